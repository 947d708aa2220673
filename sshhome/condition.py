"""When a grant holds: what each condition on it asks, and how that is said to whoever fails it."""

import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sshhome import quantity
from sshhome.device import ATTRIBUTES, COLOR, Attribute, Device, Scalar, State
from sshhome.errors import BadArguments
from sshhome.source import Network, covering, origin_of
from sshhome.when import When, moment

#: Words of `values` that are not the name of an attribute.
_ALIASES: Mapping[str, str] = {"temperature": "target_temperature"}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_ORDERING = frozenset({"<=", ">=", "<", ">"})
_WORD = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_COMPARISON = re.compile(r"([a-z0-9_]+\.[a-z0-9_]+)(?:\.([a-z_]+))?\s*(!=|<=|>=|=|<|>)\s*([^=<>!]+)", re.ASCII)


@dataclass(slots=True)
class Facts:
    """What is known when somebody asks: conditions are judged by this and nothing else.

    `change` is what would be set on `device`, None where that is not known or there is nothing to set. `proved`
    holds the step-ups that are fresh; an empty `source` is one that is not known. `sees` tells whether the asker may
    know of a device at all.
    """

    now: float
    zone: ZoneInfo
    source: str
    order: str = ""
    device: Device | None = None
    change: State | None = None
    proved: frozenset[str] = frozenset()
    devices: Mapping[str, Device] = field(default_factory=dict)
    used: Callable[[str], int] = lambda _: 0
    sees: Callable[[str], bool] = lambda _: False

    def of(self, order: str, device: Device | None = None, change: State | None = None) -> "Facts":
        """Return the same for an order on a device; `dataclasses.replace` would take as long as all of a decision."""
        return Facts(
            self.now, self.zone, self.source, order, device, change, self.proved, self.devices, self.used, self.sees
        )

    def comes_from(self, networks: Sequence[Network]) -> bool | None:
        """Return whether the asker is in one of these networks; None where it is not known where they are."""
        return covering(origin_of(self.source), networks) is not None if self.source else None


class Unmet(msgspec.Struct, frozen=True):
    """One condition that an order fails: its name in the file, and what puts it into words.

    Most are never told, and to find out when a window opens next costs more than all the rest of a decision.
    """

    condition: str
    tell: Callable[[], str]

    @property
    def says(self) -> str:
        """What it asks, in words."""
        return self.tell()


class Bound(msgspec.Struct, frozen=True):
    """The values one attribute may be given: ranges from low to high, or words; as it is written."""

    attribute: str
    ranges: tuple[tuple[float, float], ...] = ()
    words: tuple[Scalar, ...] = ()
    written: str = ""

    @property
    def title(self) -> str:
        """The name of the attribute as a person reads it."""
        return self.attribute.replace("_", " ")

    def takes(self, value: Scalar) -> bool:
        """Return whether a canonical value is certainly one of these."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return any(low <= value <= high for low, high in self.ranges)
        return value is not None and value in self.words

    def within(self, other: "Bound") -> bool:
        """Return whether every value of this is certainly one of the other."""
        return (
            self.attribute == other.attribute
            and set(self.words) <= set(other.words)
            and all(any(a <= low and high <= b for a, b in other.ranges) for low, high in self.ranges)
        )


class Colors(msgspec.Struct, frozen=True):
    """The colours and whites a lamp may be given, each as the change it makes."""

    choices: tuple[tuple[tuple[str, float], ...], ...]
    written: str = ""

    def takes(self, shown: Mapping[str, Scalar]) -> bool:
        """Return whether a lamp that shows this certainly shows one of these."""
        return any(all(shown.get(name) == value for name, value in choice) for choice in self.choices)

    def may_take(self, shown: Mapping[str, Scalar]) -> bool:
        """Return whether a lamp that shows this may show one of these, where something of it is not known."""
        return any(
            all(name in shown and shown[name] in {value, None} for name, value in choice) for choice in self.choices
        )

    def within(self, other: "Colors") -> bool:
        """Return whether every colour of this is one of the other."""
        return set(self.choices) <= set(other.choices)


class Values(msgspec.Struct, frozen=True):
    """What may be set: a bound for each attribute named; the others are free."""

    bounds: tuple[Bound, ...] = ()
    colors: Colors | None = None

    def unmet(self, device: Device, change: State) -> list[str]:
        """Return the bounds that a change of a device breaks, in words.

        What a lamp comes back with when it is switched on counts as set; what is not known breaks every bound.
        """
        after = device.completed(change)
        broken = [
            f"{bound.title} only {bound.written}"
            for bound in self.bounds
            if bound.attribute in after and not bound.takes(after[bound.attribute])
        ]
        if self.colors is not None and (shown := _shown(device, after)) and not self.colors.takes(shown):
            broken.append(f"color only {self.colors.written}")
        return broken

    def met(self, device: Device, change: State) -> bool:
        """Return whether a change may set any of the values named: what a deny with values is about."""
        after = device.completed(change)
        for bound in self.bounds:
            if bound.attribute in after and (bound.takes(after[bound.attribute]) or _unknown(bound.attribute, after)):
                return True
        return self.colors is not None and self.colors.may_take(_shown(device, after))

    def within(self, other: "Values") -> bool:
        """Return whether every change that this takes is certainly taken by the other."""
        mine = {bound.attribute: bound for bound in self.bounds}
        for bound in other.bounds:
            if bound.attribute not in mine or not mine[bound.attribute].within(bound):
                return False
        return other.colors is None or (self.colors is not None and self.colors.within(other.colors))

    def __str__(self) -> str:
        """Return the bounds as they are written."""
        told = [f"{bound.title} {bound.written}" for bound in self.bounds]
        return ", ".join([*told, f"color {self.colors.written}"] if self.colors else told)


def _shown(device: Device, after: State) -> State:
    """Return the colour or the white that a change shows, never both; nothing where there is no colour to show.

    What is not known of it is None.
    """
    if after.get("color_temperature") is not None:
        return {"color_temperature": after["color_temperature"]}
    if after.get("hue") is not None or after.get("saturation") is not None:
        hue, saturation = (after.get(name, device.state.get(name)) for name in ("hue", "saturation"))
        return {"hue": _turned(hue), "saturation": saturation}
    return {name: None for name in COLOR if name in after}


def _unknown(attribute: str, after: State) -> bool:
    """Return whether a change leaves open what an attribute will be: no hue, where a white is shown, is not open."""
    return after[attribute] is None and (attribute not in COLOR or all(after.get(name) is None for name in COLOR))


def _turned(hue: Scalar) -> Scalar:
    """Return a hue from 0 on and below 360, where it is 0 again."""
    return hue % 360 if isinstance(hue, int | float) else hue


def parse_values(written: object) -> Values:
    """Return the `values` of a grant; raises BadArguments naming what is not understood."""
    if not isinstance(written, Mapping) or not written:
        raise BadArguments('values is a table such as { brightness = "..60" }')
    bounds: list[Bound] = []
    colors: Colors | None = None
    for word, value in written.items():
        name = _ALIASES.get(str(word), str(word))
        given = value if isinstance(value, list) else [value]
        if not given or not all(isinstance(item, str | int | float | bool) for item in given):
            raise BadArguments(f'values.{word} is a range such as "16..23", or a list')
        if word == "color":
            colors = Colors(tuple(map(_color, given)), _listed(given))
            continue
        attribute = ATTRIBUTES.get(name)
        if attribute is None or not attribute.settable or name == "activated":
            raise BadArguments(f"values: '{word}' is nothing an order sets")
        bounds.append(_bound(attribute, given))
    if len({bound.attribute for bound in bounds}) < len(bounds):
        raise BadArguments("values: temperature and target_temperature are the same")
    return Values(tuple(sorted(bounds, key=lambda bound: bound.attribute)), colors)


def _color(item: object) -> tuple[tuple[str, float], ...]:
    """Return a colour as the change it makes."""
    change = quantity.color(str(item))
    return tuple(sorted((name, value % 360 if name == "hue" else value) for name, value in change.items()))


def _bound(attribute: Attribute, given: Sequence[object]) -> Bound:
    ranges: list[tuple[float, float]] = []
    words: list[Scalar] = []
    for item in given:
        text = str(item).lower()
        if attribute.options:
            # A real house may have other words than the vocabulary.
            if not _WORD.fullmatch(text):
                raise BadArguments(f"values.{attribute.name}: '{text}' is no such word as {attribute.accepts}")
            words.append(text)
            continue
        if attribute.type is bool:
            words.append(attribute.parse(text))
            continue
        low, dots, high = (part.strip() for part in text.partition(".."))
        if not low and not high:
            raise BadArguments(f"values.{attribute.name}: '{text}' bounds nothing")
        high = high if dots else low
        bottom = _limit(attribute, low, attribute.low)
        top = _limit(attribute, high, attribute.high)
        if bottom > top:
            raise BadArguments(f"values.{attribute.name}: '{text}' is empty")
        # An open end has none: a device may go further than the vocabulary says.
        ranges.append((bottom if low else float("-inf"), top if high else float("inf")))
    written = _listed(given)
    # A unit that is written is told as it is.
    unit = f" {attribute.unit}" if ranges and attribute.unit and re.fullmatch(r"[-0-9. or]+", written) else ""
    return Bound(attribute.name, tuple(ranges), tuple(words), written + unit)


def _limit(attribute: Attribute, text: str, default: float) -> float:
    if not text:
        return default
    sign, size, unit = quantity.number(text)
    if sign == "+" or unit.startswith("mired"):
        # A step is no limit; and more mireds are less kelvin, so that both ends would be the other one.
        wanted = f"a number, in {attribute.unit} or none" if attribute.unit else "a number"
        raise BadArguments(f"values.{attribute.name}: '{text}' is no limit, which is {wanted}")
    value = quantity.convert(-size if sign == "-" else size, unit, attribute.unit)
    # As a value that is given is rounded, so that 73f is in ..73f.
    return round(value, 2) if attribute.type is float else value


def _listed(given: Sequence[object]) -> str:
    words = [("on" if item else "off") if isinstance(item, bool) else str(item) for item in given]
    return " or ".join(words)


class HouseState(msgspec.Struct, frozen=True):
    """How another device must be: `alarm_control_panel.house = disarmed`, `climate.living.temperature < 25`."""

    device_id: str
    attribute: str
    comparison: str
    wanted: str

    def holds(self, devices: Mapping[str, Device]) -> bool | None:
        """Return whether the house is so; None where that cannot be known."""
        device = devices.get(self.device_id)
        if device is None or not device.available:
            return None
        for attribute in self._compared(device):
            try:
                wanted = attribute.parse(self.wanted)
            except BadArguments:
                continue
            now = device.state.get(attribute.name)
            if now is None or (self.comparison in _ORDERING and not (_is_number(now) and _is_number(wanted))):
                return None
            return bool(_COMPARISONS[self.comparison](now, wanted))
        return None

    def _compared(self, device: Device) -> Iterator[Attribute]:
        """Yield the attribute that is named; where none is, the value chooses one, the main one first."""
        attribute = device.attributes.get(self.attribute) if self.attribute else device.primary
        if attribute is not None:
            yield attribute
        if not self.attribute:
            yield from (other for other in device.attributes.values() if other is not attribute)

    def __str__(self) -> str:
        """Return it as it is written."""
        attribute = f".{self.attribute}" if self.attribute else ""
        return f"{self.device_id}{attribute} {self.comparison} {self.wanted}"


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_house(written: object) -> tuple[HouseState, ...]:
    """Return the `house` of a grant, all of which must be so; raises BadArguments."""
    given = [written] if isinstance(written, str) else written
    if not isinstance(given, list) or not given:
        raise BadArguments('house is text such as "alarm_control_panel.house = disarmed", or a list of such')
    found = []
    for text in given:
        match = _COMPARISON.fullmatch(str(text).strip())
        if match is None or (match[2] and match[2] not in ATTRIBUTES):
            raise BadArguments(f"house: '{text}' is not DEVICE = STATE")
        state = HouseState(match[1], match[2] or "", match[3], match[4].strip())
        if match[2]:
            _check_state(state, ATTRIBUTES[match[2]])
        found.append(state)
    return tuple(found)


def _check_state(state: HouseState, attribute: Attribute) -> None:
    """Raise BadArguments for a comparison that could hold of no device."""
    if attribute.type is str and not attribute.options:
        raise BadArguments(f"house: '{state}': {attribute.title} cannot be compared")
    if state.comparison in _ORDERING and attribute.type not in {int, float}:
        raise BadArguments(f"house: '{state}': {attribute.title} is no number")
    if not attribute.options:
        # A real house may have other words than the vocabulary, but no other numbers and no other yes and no.
        attribute.parse(state.wanted)


def parse_networks(written: object) -> tuple[Network, ...]:
    """Return the `from` of a grant; raises BadArguments."""
    given = [written] if isinstance(written, str) else written
    if not isinstance(given, list) or not given:
        raise BadArguments('from is a network such as "192.168.0.0/16", or a list of such')
    try:
        return tuple(ipaddress.ip_network(str(text)) for text in given)
    except ValueError:
        raise BadArguments(f"from: '{written}' is no network such as 192.168.0.0/16") from None


def unmet_when(when: When, facts: Facts) -> Unmet | None:
    """Return what is unmet of a time window; when that opens next is found out as it is told."""
    if when.holds(facts.now, facts.zone):
        return None

    def tell() -> str:
        opens = when.next(facts.now, facts.zone)
        hint = f"next {moment(opens, facts.zone, facts.now)}" if opens is not None else "never again"
        return f"only {when}, {hint}"

    return Unmet("when", tell)
