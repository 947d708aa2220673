"""One controllable or readable thing of the house: what it is, what it can, how it is now. No I/O."""

from collections.abc import Callable, Mapping
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
        if self.type is str:
            return f"text of {self.low:g} to {self.high:g} characters"
        return f"{self.low:g} to {self.high:g} {self.unit}".strip()

    def parse(self, text: str, current: Scalar = None) -> Scalar:
        """Return the canonical value of what a person wrote; `+10%` is relative to the current value.

        Raises BadArguments when the text is of another type, in a foreign unit or out of bounds.
        """
        word = text.strip().lower()
        if self.options:
            named = next((option for option in self.options if option.lower() == word), None)
            if named is None:
                raise BadArguments(f"{self.title} must be one of {self.accepts}")
            return named
        if self.type is str:
            return self._text(text)
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

    def _text(self, text: str) -> str:
        if not self.high:
            raise BadArguments(f"{self.title} cannot be set by hand")
        if not self.low <= len(text) <= self.high:
            raise BadArguments(f"{self.title} must have {self.low:g} to {self.high:g} characters")
        return text

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
        return f"{round(value, 1):.12g} {self.unit}".strip() if isinstance(value, int | float) else str(value)


def _settable(name: str, kind: type, unit: str = "", low: float = 0, high: float = 0) -> Attribute:
    return Attribute(name, kind, unit, low, high, settable=True)


def _flag(name: str) -> Attribute:
    return Attribute(name, bool)


def _measured(name: str, unit: str, low: float = 0, high: float = 1e9) -> Attribute:
    return Attribute(name, float, unit, low, high)


#: The vocabulary of states; a backend takes these, or the same with other bounds, options or (for `value` alone)
#: another unit (`msgspec.structs.replace`).
ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _settable("on", bool),
        _settable("brightness", int, "%", 0, 100),
        _settable("color_temperature", int, "K", 2000, 6500),
        _settable("hue", int, "°", 0, 360),
        _settable("saturation", int, "%", 0, 100),
        Attribute("effect", str, options=("none",), settable=True),
        _settable("position", int, "%", 0, 100),
        _settable("tilt", int, "%", 0, 100),
        _settable("locked", bool),
        _settable("target_temperature", float, "°C", 5, 30),
        _settable("target_low", float, "°C", 5, 30),
        _settable("target_high", float, "°C", 5, 30),
        _settable("target_humidity", int, "%", 0, 100),
        _settable("speed", int, "%", 0, 100),
        Attribute("mode", str, options=("off", "heat", "auto"), settable=True),
        Attribute("fan_mode", str, options=("auto",), settable=True),
        Attribute("preset", str, options=("none",), settable=True),
        Attribute("armed", str, options=("disarmed", "home", "away", "night"), settable=True),
        Attribute("playback", str, options=("playing", "paused", "stopped"), settable=True),
        _settable("volume", int, "%", 0, 100),
        _settable("muted", bool),
        Attribute("source", str, options=("none",), settable=True),
        Attribute("activity", str, options=("cleaning", "paused", "stopped", "docked"), settable=True),
        Attribute("activated", str, settable=True),
        Attribute("option", str, options=("none",), settable=True),
        Attribute("text", str, high=255, settable=True),
        # A number without a name of its own, and a reading of a kind that is none of those below.
        _settable("value", float, "", -1e9, 1e9),
        Attribute("moving", str, options=("opening", "closing", "locking", "unlocking")),
        Attribute("phase", str, options=("arming", "pending", "triggered", "disarming")),
        Attribute("doing", str),
        Attribute("status", str),
        Attribute("title", str),
        Attribute("event", str),
        _flag("heating"),
        _flag("cooling"),
        _flag("jammed"),
        _measured("temperature", "°C", -100, 500),
        Attribute("humidity", int, "%", 0, 100),
        _measured("power", "W", -1e6, 1e6),
        _measured("energy", "kWh", -1e9),
        _measured("voltage", "V", -1e6, 1e6),
        _measured("current", "A", -1e6, 1e6),
        _measured("frequency", "Hz"),
        _measured("pressure", "hPa"),
        _measured("illuminance", "lx"),
        _measured("carbon_dioxide", "ppm"),
        _measured("fine_dust", "µg/m³"),
        _measured("volatile_compounds", "ppb"),
        _measured("moisture", "%", 0, 100),
        _measured("noise", "dB"),
        _measured("distance", "m"),
        _measured("weight", "kg"),
        _measured("volume_used", "m³"),
        _measured("flow", "m³/h"),
        _measured("rain", "mm"),
        _measured("wind_speed", "km/h"),
        _measured("duration", "s"),
        _flag("open"),
        _flag("motion"),
        _flag("presence"),
        _flag("smoke"),
        _flag("gas"),
        _flag("carbon_monoxide"),
        _flag("leak"),
        _flag("vibration"),
        _flag("tamper"),
        _flag("problem"),
        _flag("plugged"),
        _flag("charging"),
        _flag("low_battery"),
        _flag("detected"),
        Attribute("battery", int, "%", 0, 100),
    )
}

#: The attribute that `set DEVICE VALUE` and `get DEVICE` mean when none is named, best first.
_PRIMARY = (
    *("target_temperature", "target_humidity", "position", "speed", "brightness", "locked", "armed", "playback"),
    *("activity", "value", "option", "text", "on"),
)


#: What a lamp or a fan comes back with when it is switched on.
_LEVELS = ("brightness", "speed")
COLOR = ("hue", "saturation", "color_temperature")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device as the house knows it now; a change makes a new one.

    `members` is what a scene sets, device id → state, where an empty state is one that nobody knows; `group` are the
    devices that a change of this one changes too. `guarded` is one of which its owner says that
    it lets people in. `identity` is what its backend knows it by, and `hardware` the address that was burnt into it,
    by which two that tell of one thing are found out. `note` says why it cannot be what it should be.
    """

    id: str
    name: str
    room: str = ""
    device_class: str = ""
    attributes: Mapping[str, Attribute] = {}
    state: State = {}
    available: bool = True
    members: Mapping[str, State] = {}
    group: tuple[str, ...] = ()
    identity: str = ""
    hardware: str = ""
    aliases: tuple[str, ...] = ()
    guarded: bool = False
    note: str = ""

    @property
    def kind(self) -> str:
        """The part of the id before the dot, such as `light`."""
        return self.id.partition(".")[0]

    @property
    def slug(self) -> str:
        """The part of the id after the dot, such as `desk`."""
        return self.id.partition(".")[2]

    @property
    def touches(self) -> bool:
        """Whether a change of it changes other devices too."""
        return bool(self.members or self.group)

    @property
    def guards(self) -> bool:
        """Whether it lets people in or alarms, so that changing it needs `access`."""
        return (
            self.guarded or self.kind in ACCESS_KINDS or (self.kind == "cover" and self.device_class in ACCESS_COVERS)
        )

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

    @property
    def anything(self) -> State:
        """The change of which nobody knows what it sets: None for each value that an order may set."""
        return {name: None for name, attribute in self.attributes.items() if attribute.settable}

    def settable(self, state: State) -> State:
        """Return what of a state an order may set: a device that was replaced may do less than the one before."""
        return {name: value for name, value in state.items() if self.can_set(name)}

    def as_json(self) -> dict[str, Any]:
        """Return the one form a device has in every JSON answer; a note only where there is one."""
        told = {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "room": self.room,
            "available": self.available,
            "state": dict(self.state),
        }
        return {**told, "note": self.note} if self.note else told

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
        if "on" not in self.attributes or change.keys().isdisjoint(("on", level, *COLOR)):
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

        A cover on its way to the wanted position has taken the order though it has not arrived; so has a lock that
        is locking, and an alarm that leaves time to go.
        """
        now = self.state
        return all(now.get(name) == wanted or self._echoes(name, wanted) for name, wanted in change.items())

    def _echoes(self, name: str, wanted: Scalar) -> bool:
        """Return the same of a value that is another one."""
        now, moving = self.state.get(name), self.state.get("moving")
        if name == "locked" and moving == ("locking" if wanted else "unlocking"):
            return True
        if name == "armed" and self.state.get("phase") == ("disarming" if wanted == "disarmed" else "arming"):
            return True
        if name == "activity" and wanted == "docked" and self.state.get("doing") == "returning":
            return True
        if isinstance(now, int | float) and isinstance(wanted, int | float) and not isinstance(now, bool):
            if name == "color_temperature" and now and wanted:
                # Most lamps reckon in whole mireds.
                return abs(1_000_000 / now - 1_000_000 / wanted) <= 1
            if abs(now - wanted) <= (0.5 if self.attributes[name].type is int else 0.05):
                return True
            return name == "position" and moving == ("opening" if wanted > now else "closing")
        return False


def asked(change: State) -> dict[str, Scalar]:
    """Return what a change is about: None leaves a value alone, except where it stops what moves."""
    return {name: value for name, value in change.items() if value is not None or name == "moving"}


def touched(device: Device, change: State | None, find: Callable[[str], Device | None]) -> dict[str, State | None]:
    """Return everything that a change of a device changes, by id, with what becomes of each: itself comes first.

    A scene sets its members, a group changes as one; either may hold another, or itself, or what cannot be found.
    What becomes of a member is of its settable values, None where nobody knows. Without a change, none is told.
    """
    found: dict[str, State | None] = {device.id: change}
    waiting = [(device, change)]
    for one, what in waiting:
        for id_, state in (one.members or dict.fromkeys(one.group, what or {})).items():
            if id_ in found:
                continue
            found[id_] = None
            if (part := find(id_)) is not None:
                found[id_] = None if change is None else part.settable(state) or part.anything
                waiting.append((part, found[id_]))
    return found


def reached(device: Device, change: State, find: Callable[[str], Device | None]) -> dict[str, State]:
    """Return the devices on which a change ends, with what becomes of each: of a scene or a group those it touches."""
    if not device.touches:
        return {device.id: change}
    found = touched(device, change, find).items()
    ends = {id_: state or {} for id_, state in found if (part := find(id_)) is not None and not part.touches}
    return ends or {device.id: change}
