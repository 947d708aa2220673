"""What a property of Homie is to a device of the house: how its values are read, and how they are written. No I/O.

    Flag("power", ATTRIBUTES["on"]).heard("true") == {"on": True}
    Flag("power", ATTRIBUTES["on"]).say({}, {"on": False}) == "false"

`sshhome.conventions.homie.node` finds out what each is.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sshhome import color, unit
from sshhome.device import ATTRIBUTES, Attribute, Scalar, State
from sshhome.escape import line

#: Choices of a property that are looked at; nobody could handle more.
_MOST = 64
#: Letters of a value that is shown.
_LONGEST = 255


class Property(msgspec.Struct, frozen=True):
    """A property as it is described."""

    datatype: str
    name: str | None = None
    format: str | None = None
    settable: bool = False
    retained: bool = True
    unit: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.datatype in {"integer", "float"}

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The lowest and the highest value, each None if there is none."""
        low, high, *_ = (*map(unit.number, (self.format or "")[:_LONGEST].split(":")), None, None)
        return low, high

    @property
    def is_share(self) -> bool:
        """Whether its values are shares of a whole, be that 100 % or a number of its own."""
        low, high = self.range
        return self.numeric and (
            self.unit == "%" or (not self.unit and low is not None and high is not None and low < high)
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """What there is to choose from, of a truth what its two values mean."""
        choices = (self.format or "").split(",", _MOST)[:_MOST]
        return tuple(dict.fromkeys(one for one in choices if one and len(one) <= _LONGEST and one.isprintable()))

    def written(self, value: float) -> str:
        """Return a number as its values are written."""
        return str(round(value)) if self.datatype == "integer" else f"{value:.4f}".rstrip("0").rstrip(".")


class Part(Protocol):
    """What one property is to a device."""

    @property
    def id(self) -> str:
        """The property."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        """What it tells of the device."""

    def heard(self, text: str, /) -> dict[str, Scalar]:
        """Return what a value says."""

    def say(self, state: State, wanted: State, /) -> str | None:
        """Return the value that says a change, None if it has nothing to do with it."""


class _Single(msgspec.Struct, frozen=True):
    """A property that is one attribute."""

    id: str
    attribute: Attribute

    @property
    def attributes(self) -> Sequence[Attribute]:
        """The one there is."""
        return (self.attribute,)

    def say(self, _state: State, wanted: State, /) -> str | None:
        """Return the value that its attribute shall have."""
        value = wanted.get(self.attribute.name)
        return None if value is None or not self.attribute.settable else self.written(value)

    def heard(self, text: str, /) -> dict[str, Scalar]:
        """Return what its attribute is."""
        return {self.attribute.name: self.read(text)}

    def read(self, text: str) -> Scalar:
        """Return a value as the house has it."""
        return line(text, _LONGEST)

    def written(self, value: Scalar) -> str:
        """Return a value as Homie has it; it is no empty message, for that would take the value away."""
        return str(value) or "\0"


class Text(_Single, frozen=True):
    """Any text."""


class Choice(_Single, frozen=True):
    """One of the choices of an attribute."""

    def read(self, text: str) -> Scalar:
        """Return a choice that there is."""
        return text if text in self.attribute.options else None


class Flag(_Single, frozen=True):
    """What is one of two values, by which it is off or on, or is at the one end of its way or at the other."""

    texts: tuple[str, str] = ("false", "true")

    def read(self, text: str) -> Scalar:
        """Return which of the two it is."""
        if text not in self.texts:
            return None
        on = text == self.texts[1]
        return on if self.attribute.type is bool else 100 * on

    def written(self, value: Scalar) -> str:
        """Return the value for off or on, or for the end of its way that is nearer."""
        half = 0 if self.attribute.type is bool else 50
        return self.texts[isinstance(value, int | float) and value > half]


class Number(_Single, frozen=True):
    """A number in a unit, of a share in its own bounds."""

    of: Property

    def read(self, text: str) -> Scalar:
        """Return it in the unit of the attribute."""
        size, share = unit.number(text), self._share
        if share is not None and size is not None:
            low, high = share
            return unit.reading((size - low) * 100 / (high - low), "%", self.attribute)
        return unit.reading(size, "" if self.attribute.name == "value" else self.of.unit or "", self.attribute)

    def written(self, value: Scalar) -> str:
        """Return it in the unit of the property."""
        if not isinstance(value, int | float):
            return ""
        match unit.shown(self.of.unit or ""):
            case "°F" if self.attribute.unit == "°C":
                value = value * 9 / 5 + 32
            case "K" if self.attribute.unit == "°C":
                value = value + 273.15
            case "mired" if self.attribute.unit == "K":
                value = color.mireds(value)
        if (share := self._share) is not None:
            low, high = share
            value = low + value * (high - low) / 100
        return self.of.written(value)

    @property
    def _share(self) -> tuple[float, float] | None:
        """The bounds of what is a share to the house and counted otherwise by the property."""
        low, high = self.of.range
        if self.of.unit or self.attribute.unit != "%" or low is None or high is None or low >= high:
            return None
        return low, high


class Color(msgspec.Struct, frozen=True):
    """A colour; without a level beside it, it is told how bright it is too."""

    id: str
    formats: tuple[str, ...]
    level: bool

    @property
    def attributes(self) -> Sequence[Attribute]:
        """Hue and saturation, and the brightness that no other property has."""
        names = ("hue", "saturation") if self.level else ("brightness", "hue", "saturation")
        return [ATTRIBUTES[name] for name in names]

    def heard(self, text: str, /) -> dict[str, Scalar]:
        """Return the colour."""
        name, *rest = text.split(",", 4)
        sizes = [size for one in rest if (size := unit.number(one)) is not None]
        known: tuple[int, int] | None = None
        bright: float | None = None
        if name == "xyz" and len(sizes) == 2:
            known = color.of_xy(*sizes)
        elif name == "rgb" and len(sizes) == 3:
            known, bright = color.of_rgb(*sizes), max(sizes) * 100 / 255
        elif name == "hsv" and len(sizes) == 3:
            known, bright = (round(sizes[0]) % 360, round(sizes[1])), sizes[2]
        hue, saturation = known or (None, None)
        told: dict[str, Scalar] = {"hue": hue, "saturation": unit.reading(saturation, "%", ATTRIBUTES["saturation"])}
        return told if self.level else {**told, "brightness": unit.reading(bright, "%", ATTRIBUTES["brightness"])}

    def say(self, state: State, wanted: State, /) -> str | None:
        """Return the colour in the form that the device likes best."""
        if not any(attribute.name in wanted for attribute in self.attributes):
            return None
        known = {name: value for name, value in {**state, **wanted}.items() if isinstance(value, int | float)}
        hue, saturation = known.get("hue", 0), known.get("saturation", 100 if "hue" in known else 0)
        bright = 100 if self.level else wanted.get("brightness", known.get("brightness") or 100)
        match self.formats[0]:
            case "hsv":
                return f"hsv,{hue},{saturation},{bright}"
            case "xyz":
                return "xyz,{},{}".format(*color.to_xy(hue, saturation))
            case _:
                return "rgb,{},{},{}".format(*color.to_rgb(hue, saturation, float(bright or 0)))


class Moves(msgspec.Struct, frozen=True):
    """The orders that a cover takes by name: of these, that it shall stop."""

    id: str
    stop: str

    @property
    def attributes(self) -> Sequence[Attribute]:
        """Which way it goes, of which this tells nothing."""
        return (ATTRIBUTES["moving"],)

    def heard(self, _text: str, /) -> dict[str, Scalar]:
        """Return nothing: it is what it was told last."""
        return {}

    def say(self, _state: State, wanted: State, /) -> str | None:
        """Return the order to stop."""
        return self.stop if "moving" in wanted else None
