"""What a component of a discovery message can do: which topics tell its attributes, and what is said to change them.

Here what one is; in `components/` the ones that there are, each of which is a platform of Home Assistant's with its
defaults.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from sshhome import unit
from sshhome.convention import Message
from sshhome.conventions.discovery import template
from sshhome.device import ATTRIBUTES, Attribute, Device, Scalar, State, asked
from sshhome.errors import Refused

#: Letters of a topic, and of a text of the configuration; what is longer is not offered.
_LONGEST_TOPIC, _LONGEST_TEXT = 1024, 1024
#: Options of an attribute and letters of one: some lamps have two hundred effects. Letters of a state, as many as
#: Home Assistant's may have.
_OPTIONS, LONGEST_OPTION, LONGEST_STATE = 300, 64, 255
#: What a device says that has a value no longer.
NONE = "None"

#: What is made of a text: the attributes that it tells, none for a text that says nothing.
Take = Callable[[str], State]
#: A value of an attribute that is to be set.
Value: TypeAlias = Any
#: What is published for the value of an attribute.
Order = Callable[[Device, Value], Iterable[Message]]
#: What makes a message of a value, and of what else its template may ask for.
Outlet = Callable[..., Message]


class Reading(msgspec.Struct, frozen=True):
    """A topic that tells some attributes: what its template makes of a payload, or else the payload, is taken."""

    names: tuple[str, ...]
    topic: str
    template: str
    take: Take


class Component:
    """One thing that was discovered: what it has, how that is read, and how it is told."""

    def __init__(self, kind: str, config: Mapping[str, Any]) -> None:
        """Start with nothing; a builder adds what the configuration says."""
        self.kind = kind
        self.attributes: dict[str, Attribute] = {}
        self.readings: list[Reading] = []
        self.orders: dict[str, Order] = {}
        #: What is published for all that is wanted at once, where that is not one thing after the other.
        self.together: Callable[[Device, State], Iterable[Message]] | None = None
        #: How it counts what it counts more coarsely than the house: two values that are one to it.
        self.coarse: dict[str, Callable[[Value], object]] = {}
        #: What its templates may ask for besides a value.
        self.constants: dict[str, Any] = {}
        #: Why it cannot be operated, or read, as it should.
        self.note = ""
        self._config = config
        self._why: dict[str, str] = {}

    # -- its configuration --------------------------------------------------------------------------------------------

    def text(self, key: str, default: str = "") -> str:
        """Return a text; numbers and booleans are texts too, as Home Assistant reads them."""
        value = self._config.get(key)
        if isinstance(value, bool | int | float):
            value = str(value)
        return value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else default

    def number(self, key: str, default: float) -> float:
        """Return a number, which may be written as a text."""
        value = unit.number(self._config.get(key))
        return default if value is None else value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return whether something is so."""
        text = self.text(key).lower()
        return default if not text else text in {"true", "yes", "on", "1", "enable"}

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of texts, each of which an option can be."""
        value = self._config.get(key)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            return tuple(default)
        texts = (str(one) for one in value[:_OPTIONS] if isinstance(one, str | int | float))
        return tuple(dict.fromkeys(one for one in texts if one.isprintable() and 0 < len(one) <= LONGEST_OPTION))

    def given(self, key: str) -> bool:
        """Return whether the configuration names something, even that it is nothing."""
        return key in self._config

    def topic(self, key: str) -> str:
        """Return a topic that can be listened to, and spoken to; empty if there is none."""
        topic = self._config.get(key)
        if not isinstance(topic, str) or len(topic) > _LONGEST_TOPIC:
            return ""
        return topic if topic.isprintable() and not any(char in topic for char in "+#") else ""

    def ready(self, key: str, *names: str) -> str | None:
        """Return a template, empty if there is none; None, with a note, if it is not supported.

        `key` may be a template that these attributes cannot be set without.
        """
        text = self._config.get(key)
        if not isinstance(text, str):
            return ""
        try:
            template.check(text)
        except template.NotSupported as refusal:
            why = f"template not supported: {refusal}"
            self.note = self.note or why
            self._why.update(dict.fromkeys(names, why))
            return None
        return text

    # -- what it has --------------------------------------------------------------------------------------------------

    def has(self, name: str, **bounds: object) -> None:
        """Add an attribute; whether it may be set is seen in the end."""
        made = msgspec.structs.replace(ATTRIBUTES[name], settable=False, **bounds)
        low, high = sorted((made.low, made.high))
        self.attributes[name] = msgspec.structs.replace(made, low=low, high=high)

    def read(self, names: str | tuple[str, ...], topic: str, value_template: str, take: Take) -> None:
        """Let a topic, if there is one under this key, tell some attributes."""
        where, text = self.topic(topic), self.ready(value_template)
        if where and text is not None:
            self.readings.append(Reading((names,) if isinstance(names, str) else names, where, text, take))

    def forbid(self, name: str, why: str) -> None:
        """Let an attribute not be set, and say why."""
        self._why[name] = self.note = why

    def outlet(self, topic: str, command_template: str = "", *names: str) -> Outlet | None:
        """Return what makes messages for a topic, if there is one under this key and its template is supported."""
        where, text = self.topic(topic), self.ready(command_template, *names)
        if not where or text is None:
            return None

        def make(value: object, **variables: object) -> Message:
            if not text:
                return Message(where, str(value).encode(errors="replace"))
            try:
                said = template.render(text, {**self.constants, **variables, "value": value})
            except template.Failed as failure:
                raise Refused(f"its template cannot say {value!r:.40}: {failure}") from None
            return Message(where, said.encode(errors="replace"))

        return make

    def tell(
        self, name: str, topic: str, command_template: str, payload: Callable[[Value], object] = lambda value: value
    ) -> None:
        """Let an attribute be set by what is made of its value."""
        if (outlet := self.outlet(topic, command_template, name)) is not None:
            self.orders[name] = lambda _, value: [outlet(payload(value))]

    def built(self) -> "Component":
        """Return it with the attributes settable that there is an order for."""
        for name, attribute in self.attributes.items():
            if name in self.orders and not attribute.settable and ATTRIBUTES[name].settable:
                self.attributes[name] = msgspec.structs.replace(attribute, settable=True)
        return self

    def say(self, device: Device, change: State) -> list[Message]:
        """Return what to publish for a change; raises Refused."""
        wanted = asked(change)
        for name in wanted:
            if name not in self.orders:
                why = self._why.get(name, "it takes no such order")
                raise Refused(f"{name.replace('_', ' ')} of {device.name} cannot be set: {why}")
        if self.together is not None:
            return list(self.together(device, wanted)) if wanted else []
        names = sorted(wanted, key=list(self.orders).index)
        return [message for name in names for message in self.orders[name](device, wanted[name])]

    def alike(self, name: str, one: Scalar, other: Scalar) -> bool:
        """Return whether two values of an attribute are one to it."""
        coarse = self.coarse.get(name)
        return coarse is not None and one is not None and other is not None and coarse(one) == coarse(other)

    # -- what texts tell ----------------------------------------------------------------------------------------------

    def words(self, name: str, words: Mapping[str, Scalar]) -> Take:
        """Return what takes one of some words for an attribute, and nothing else."""
        return lambda text: {name: words[text]} if text in words else {name: None} if text == NONE else {}

    def measure(self, name: str, written: str = "") -> Take:
        """Return what takes a number in a unit; whatever else is said is not known."""
        attribute = self.attributes[name]
        return lambda text: {name: unit.reading(text, written, attribute)} if text else {}

    def option(self, name: str) -> Take:
        """Return what takes one of the options of an attribute."""
        return self.words(name, {option: option for option in self.attributes[name].options})

    def on_off(self, topic: str, value_template: str, command: str = "command_topic") -> None:
        """Add what is on or off, by the words for that."""
        on, off = self.text("payload_on", "ON"), self.text("payload_off", "OFF")
        self.has("on")
        self.read("on", topic, value_template, self.words("on", self.switched(on, off)))
        self.tell("on", command, "command_template", lambda value: on if value else off)

    def switched(self, on: str, off: str) -> Mapping[str, Scalar]:
        """Return the words for on and off that a state has, which are those of orders if no others are given."""
        return {self.text("state_off", off): False, self.text("state_on", on): True}
