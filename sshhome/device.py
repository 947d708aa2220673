"""One controllable or readable thing of the house: what it is, what it can, how it is now. No I/O."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sshhome import quantity
from sshhome.errors import BadArguments

Scalar = bool | int | float | str | None
State = Mapping[str, Scalar]

#: What lets people in or alarms: a changing order on these needs `access`, whatever the order.
ACCESS_KINDS = frozenset({"lock", "alarm_control_panel", "siren", "valve"})
ACCESS_COVERS = frozenset({"garage", "gate", "door"})

_YES = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
_WORDS: Mapping[str, Mapping[str, bool]] = {
    "locked": {"locked": True, "unlocked": False},
    "position": {"open": True, "closed": False},
    "open": {"open": True, "closed": False},
}


class Attribute(msgspec.Struct, frozen=True):
    """One named value of a device: its type, canonical unit, bounds, and whether an order may set it."""

    name: str
    type: type = str
    unit: str = ""
    low: float = 0
    high: float = 0
    options: tuple[str, ...] = ()
    settable: bool = False

    @property
    def title(self) -> str:
        """The name as a person reads it."""
        return self.name.replace("_", " ")

    @property
    def accepts(self) -> str:
        """What may be written for it, in a few words."""
        if self.options:
            return ", ".join(self.options)
        if self.type is bool:
            return "on or off"
        return f"{self.low:g} to {self.high:g} {self.unit}".strip()

    def parse(self, text: str, current: Scalar = None) -> Scalar:
        """Return the canonical value of what a person wrote; `+10%` is relative to the current value.

        Raises BadArguments when the text is of another type, in a foreign unit or out of bounds.
        """
        word = text.strip().lower()
        if self.options:
            if word not in self.options:
                raise BadArguments(f"{self.title} must be one of {self.accepts}")
            return word
        if self.type is str:
            raise BadArguments(f"{self.title} cannot be set by hand")
        if self.type is bool:
            words = {**_WORDS.get(self.name, {}), **_YES}
            if word not in words:
                raise BadArguments(f"{self.title} must be {self.accepts}")
            return words[word]
        if self.name in _WORDS and word in _WORDS[self.name]:
            return self.bounded(self.high if _WORDS[self.name][word] else self.low)
        sign, size, unit = quantity.number(word)
        signed = -size if sign == "-" else size
        if sign and (sign == "+" or self.low >= 0):
            # A signed number is a step from where the device is now, except where negative values exist.
            now = current if isinstance(current, int | float) else self.low
            return self.bounded(min(max(quantity.step(now, signed, unit, self.unit), self.low), self.high))
        return self.bounded(quantity.convert(signed, unit, self.unit))

    def bounded(self, value: float) -> Scalar:
        """Return a canonical value, rounded to what the attribute holds; raises BadArguments when out of bounds."""
        if not self.low <= value <= self.high:
            raise BadArguments(f"{self.title} must be {self.accepts}")
        return round(value) if self.type is int else round(value, 2)

    def show(self, value: Scalar) -> str:
        """Return a value as a person reads it, with its unit."""
        if value is None:
            return "unknown"
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{round(value, 1):g} {self.unit}".strip() if isinstance(value, int | float) else str(value)


def _settable(name: str, kind: type, unit: str = "", low: float = 0, high: float = 0) -> Attribute:
    return Attribute(name, kind, unit, low, high, settable=True)


#: The vocabulary of states; a backend takes these, or the same with other bounds (`msgspec.structs.replace`).
ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _settable("on", bool),
        _settable("brightness", int, "%", 0, 100),
        _settable("color_temperature", int, "K", 2000, 6500),
        _settable("hue", int, "°", 0, 360),
        _settable("saturation", int, "%", 0, 100),
        _settable("position", int, "%", 0, 100),
        _settable("locked", bool),
        _settable("target_temperature", float, "°C", 5, 30),
        _settable("speed", int, "%", 0, 100),
        Attribute("mode", str, options=("off", "heat", "auto"), settable=True),
        Attribute("armed", str, options=("disarmed", "home", "away", "night"), settable=True),
        Attribute("activated", str, settable=True),
        Attribute("moving", str, options=("opening", "closing")),
        Attribute("heating", bool),
        Attribute("temperature", float, "°C", -60, 100),
        Attribute("humidity", int, "%", 0, 100),
        Attribute("power", float, "W", 0, 100_000),
        Attribute("energy", float, "kWh", 0, 1e9),
        Attribute("open", bool),
        Attribute("motion", bool),
        Attribute("smoke", bool),
        Attribute("battery", int, "%", 0, 100),
    )
}

#: The attribute that `set DEVICE VALUE` and `get DEVICE` mean when none is named, best first.
_PRIMARY = ("target_temperature", "position", "speed", "brightness", "locked", "armed", "on")


#: What a lamp or a fan comes back with when it is switched on.
_LEVELS = ("brightness", "speed")
COLOR = ("hue", "saturation", "color_temperature")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device as the house knows it now; a change makes a new one.

    `members` is what a scene sets, device id → state; every other device has none.
    """

    id: str
    name: str
    room: str = ""
    device_class: str = ""
    attributes: Mapping[str, Attribute] = {}
    state: State = {}
    available: bool = True
    members: Mapping[str, State] = {}

    @property
    def kind(self) -> str:
        """The part of the id before the dot, such as `light`."""
        return self.id.partition(".")[0]

    @property
    def slug(self) -> str:
        """The part of the id after the dot, such as `desk`."""
        return self.id.partition(".")[2]

    @property
    def guards(self) -> bool:
        """Whether it lets people in or alarms, so that changing it needs `access`."""
        return self.kind in ACCESS_KINDS or (self.kind == "cover" and self.device_class in ACCESS_COVERS)

    @property
    def primary(self) -> Attribute | None:
        """The attribute meant when none is named: the first settable one, else the first there is."""
        for name in _PRIMARY:
            if (attribute := self.attributes.get(name)) is not None and attribute.settable:
                return attribute
        return next(iter(self.attributes.values()), None)

    def can_set(self, name: str) -> bool:
        """Return whether an order may set this attribute."""
        attribute = self.attributes.get(name)
        return attribute is not None and attribute.settable

    def settable(self, state: State) -> State:
        """Return what of a state an order may set: a device that was replaced may do less than the one before."""
        return {name: value for name, value in state.items() if self.can_set(name)}

    def as_json(self) -> dict[str, Any]:
        """Return the one form a device has in every JSON answer."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "room": self.room,
            "available": self.available,
            "state": dict(self.state),
        }

    def with_state(self, change: State, *, available: bool = True) -> "Device":
        """Return the device after a change of some of its state."""
        return msgspec.structs.replace(self, state={**self.state, **change}, available=available)

    def completed(self, change: State) -> State:
        """Return a change with what follows from it: what a lamp comes back with, that one that is dimmed is on.

        A level or colour that it comes back with and that is not known is None.
        """
        after = dict(change)
        level = next((name for name in _LEVELS if name in self.attributes), "")
        if "hue" in change:
            after.setdefault("color_temperature", None)
        elif "color_temperature" in change:
            after = {"hue": None, "saturation": None, **after}
        if "on" not in self.attributes or not any(name in change for name in ("on", level, *COLOR)):
            return after
        if change.get("on") is False:
            # What is off shows nothing, whatever it is given to come back with.
            return {name: value for name, value in after.items() if name not in (level, *COLOR)}
        if change.get(level) == 0:
            return {**after, "on": False} if "on" not in change else after
        if self.state.get("on") is not True:
            shown = {name: self.state.get(name) for name in COLOR if name in self.attributes}
            # A lamp shows a colour or a white: if one of them is known, the other is not what it comes back with.
            remembered: dict[str, Scalar] = {name: value for name, value in shown.items() if value is not None}
            remembered = remembered or shown
            if level:
                remembered[level] = self.state.get(level) or None
            after = {"on": True, **remembered, **after}
        return after

    def before(self, change: State) -> State:
        """Return what brings it back to how it is now, once a change has been made."""
        after = {**change, **self.completed(change)}
        names = {name for name, wanted in after.items() if self.state.get(name) != wanted}
        if not names:
            return {}
        if self.state.get("on") is True and after.get("on") is False:
            # Not everything that goes out knows how it shone.
            names.update(_LEVELS, COLOR)
        if not names.isdisjoint(COLOR):
            # A colour is one thing, and takes the place of a white.
            names.update(COLOR)
        if self.state.get("on") is False and not names.isdisjoint((*_LEVELS, *COLOR)):
            # To set these switches on.
            names.add("on")
        # That a scene was activated is nothing that could be brought back.
        names.discard("activated")
        settable = [name for name, attribute in self.attributes.items() if name in names and attribute.settable]
        return {name: now for name in settable if (now := self.state.get(name)) is not None}

    def echoes(self, change: State) -> bool:
        """Return whether its own report says that it took the change.

        A cover on its way to the wanted position has taken the order though it has not arrived.
        """
        return all(self._echoes(name, wanted) for name, wanted in change.items())

    def _echoes(self, name: str, wanted: Scalar) -> bool:
        now = self.state.get(name)
        if isinstance(now, int | float) and isinstance(wanted, int | float) and not isinstance(now, bool):
            if abs(now - wanted) <= (0.5 if self.attributes[name].type is int else 0.05):
                return True
            moving = self.state.get("moving")
            return name == "position" and moving == ("opening" if wanted > now else "closing")
        return now == wanted
