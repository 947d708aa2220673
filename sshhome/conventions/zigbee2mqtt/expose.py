"""What is exposed by things that describe themselves, and the part of the house that is made of it. No I/O.

An expose names a property of a thing's payloads, what its values are and whether it may be set or asked for. A part
gathers attributes, each with how it is read from a payload, and what to send for it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome import unit
from sshhome.device import ATTRIBUTES, Attribute, Device, Scalar, State
from sshhome.errors import Refused
from sshhome.escape import printable

#: Bits of `access`; what is published needs no bit here, as all of it is read.
SETTABLE, GETTABLE = 2, 4

#: Choices of one value; the lamp with most effects has 60.
_CHOICES = 100
#: Letters of a text.
_LONGEST = 64
#: What a thing takes as near as it can.
_COARSE = frozenset({"color_temperature", "hue", "saturation", "speed"})

Read = Callable[[Mapping[str, Any]], Scalar]
#: What to send for a value, given the whole state that is wanted.
Write = Callable[[Scalar, State], dict[str, Any]]


class Expose(msgspec.Struct, frozen=True):
    """One thing that is exposed, as it is told; `key` is its name in payloads."""

    type: str
    name: str = ""
    key: str = msgspec.field(name="property", default="")
    access: int = 0
    endpoint: str | int = ""
    category: str = ""
    unit: str = ""
    value_min: float | None = None
    value_max: float | None = None
    value_on: Any = None
    value_off: Any = None
    values: list[Any] = []
    features: list["Expose"] = []

    def feature(self, *names: str) -> "Expose | None":
        """Return the first of its features that has one of these names."""
        return next((feature for feature in self.features if feature.name in names), None)

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the values that say on and off; of lists and objects nobody knows what they say."""
        ends = (self.value_on, self.value_off)
        return ends if ends != (None, None) and all(isinstance(end, Scalar) for end in ends) else (True, False)

    @property
    def choices(self) -> dict[str, str | int]:
        """Return its values, by how each is shown."""
        told = [value for value in self.values[:_CHOICES] if isinstance(value, str) or _small(value)]
        return {as_text(str(value)): value for value in told if str(value)}

    @property
    def common(self) -> "Expose":
        """Return it and its features without their endpoint, as a group has them."""
        return replace(self._plain, features=[feature._plain for feature in self.features])  # noqa: SLF001  (its own)

    @property
    def _plain(self) -> "Expose":
        key = self.key.removesuffix(f"_{self.endpoint}") if self.endpoint != "" else self.key
        return replace(self, endpoint="", key=key)


class Part(msgspec.Struct):
    """What is one device of the house: its attributes, how each is read, and what to send for it."""

    kind: str
    endpoint: str = ""
    device_class: str = ""
    attributes: dict[str, Attribute] = {}
    reads: dict[str, Read] = {}
    writes: dict[str, Write] = {}
    #: The properties that it is read from, and the one that tells of momentary events.
    properties: set[str] = set()
    event: str = ""
    #: A property for which it can be asked.
    ask: str = ""
    #: The specific expose that it is.
    main: Expose | None = None

    def state(self, payload: Mapping[str, Any], wanted: State) -> dict[str, Scalar]:
        """Return what everything that was ever told of the properties says of the attributes.

        What was `wanted` is told as it was, where the thing took it as near as it can: of 2700 K it takes 370 mireds.
        """
        state = {name: read(payload) for name, read in self.reads.items()}
        for name in wanted.keys() & self.writes.keys():
            now, value = state.get(name), wanted[name]
            if name not in _COARSE or now is None or value is None or now == value:
                continue
            sent = self.writes[name](value, {**state, **wanted})
            if all(payload.get(key) == told for key, told in sent.items()) or _same_color(name, now, value):
                state[name] = value
        return state

    def say(self, device: Device, change: State) -> dict[str, Any]:
        """Return the payload for a change; raises Refused for one that the thing cannot be told."""
        payload: dict[str, Any] = {}
        after = {**device.state, **{name: value for name, value in change.items() if value is not None}}
        for name, value in change.items():
            # That nothing is moving is an order to stop; any other None, and how it will move, is none.
            if (value is None) is not (name == "moving"):
                continue
            if name not in self.writes:
                words = "be stopped" if name == "moving" else f"be given another {name.replace('_', ' ')}"
                raise Refused(f"{device.name} cannot {words}")
            payload |= self.writes[name](value, after)
        return payload

    def add(
        self,
        name: str,
        sources: Iterable[Expose],
        read: Read | None,
        write: Write | None = None,
        **differs: Any,  # noqa: ANN401  (whatever attributes have)
    ) -> None:
        """Give it an attribute, unless it has it already; the first of the sources says whether it may be set."""
        if name in self.attributes:
            return
        exposes = list(sources)
        settable = write is not None and bool(exposes[0].access & SETTABLE)
        self.attributes[name] = replace(ATTRIBUTES[name], settable=settable, **differs)
        if read is not None:
            self.reads[name] = read
            self.properties.update(source.key for source in exposes)
        if settable and write is not None:
            self.writes[name] = write
        self.ask = self.ask or next((source.key for source in exposes if source.access & GETTABLE), "")

    def add_number(self, name: str, source: Expose, *, settable: bool = False, **differs: Any) -> None:  # noqa: ANN401  (whatever attributes have)
        """Give it a number; one that may be set has the bounds of the thing."""
        low, high = source.value_min, source.value_max
        if settable and low is not None and high is not None and low < high:
            differs |= {"low": low, "high": high}
        attribute = replace(ATTRIBUTES[name], **differs)
        self.add(
            name,
            [source],
            lambda payload: unit.reading(payload.get(source.key), source.unit, attribute),
            (lambda value, _: {source.key: value}) if settable else None,
            **differs,
        )

    def add_choice(self, name: str, source: Expose) -> None:
        """Give it one of several values."""
        choices = source.choices
        if choices:
            self.add(
                name,
                [source],
                lambda payload: _chosen(choices, payload.get(source.key)),
                lambda value, _: {source.key: choices[str(value)]},
                options=tuple(choices),
            )

    def add_flag(self, name: str, source: Expose) -> None:
        """Give it a flag that only tells."""
        self.add(name, [source], is_open(source) if "contact" in source.name else is_on(source))

    def add_switch(self, source: Expose) -> None:
        """Give it what is on or off."""
        on, off = source.ends
        self.add("on", [source], is_on(source), lambda value, _: {source.key: on if value else off})


def is_on(source: Expose) -> Callable[[Mapping[str, Any]], bool | None]:
    """Return what reads whether something is on."""
    on, off = source.ends

    def read(payload: Mapping[str, Any]) -> bool | None:
        told = payload.get(source.key)
        # Of one type, as Python takes 1 for true.
        if type(told) is type(on) and told == on:
            return True
        return False if type(told) is type(off) and told == off else None

    return read


def is_open(source: Expose) -> Callable[[Mapping[str, Any]], bool | None]:
    """Return what reads whether a contact is open: true says that it is closed, whichever value is called on."""

    def read(payload: Mapping[str, Any]) -> bool | None:
        told = payload.get(source.key)
        return {"true": False, "false": True, "ON": False, "OFF": True}.get(
            str(told).lower() if isinstance(told, bool) else told if isinstance(told, str) else ""
        )

    return read


def _same_color(name: str, now: Scalar, wanted: Scalar) -> bool:
    """Return whether a hue or saturation is as near as a lamp, which thinks in other colours, comes to it."""
    apart = abs(as_number(now) - as_number(wanted))
    return (name == "hue" and min(apart, 360 - apart) <= 2) or (name == "saturation" and apart <= 2)


def _chosen(choices: Mapping[str, str | int], told: object) -> str | None:
    return next((shown for shown, value in choices.items() if type(value) is type(told) and value == told), None)


def as_word(told: object) -> str:
    """Return a word in lower case, empty if it is none."""
    return told.lower() if isinstance(told, str) else ""


def as_text(told: object) -> str:
    """Return a text that does no harm where it is shown, empty if it is none."""
    return printable(told[:_LONGEST]) if isinstance(told, str) else ""


def _small(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1_000_000


def as_number(value: Scalar) -> float:
    """Return a value that is a number, as one."""
    return float(value) if isinstance(value, int | float) else 0.0
