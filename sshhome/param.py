"""A param is one typed argument of an order: its annotation gives parsing, completion, help and schema.

`int`, `str`, `Literal[…]` and `bool` (an option without value) are understood as they are; anything else is
`Annotated[T, ParamType]`, such as the device types at the end of this page.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from sshhome import quantity
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.errors import BadArguments
from sshhome.naming import slug
from sshhome.target import Fits, Index, Match


class Suggestion(msgspec.Struct, frozen=True):
    """Something that may be typed here, and what it is."""

    text: str
    says: str = ""


class Scope(msgspec.Struct):
    """What a param is parsed against: the devices this user may see, and other names there are.

    `device` and `attribute` are set for a param whose values depend on the device named before it; `permits` tells
    which devices are worth offering.
    """

    index: Index
    names: Mapping[str, Callable[[], Iterable[Suggestion]]] = {}
    device: Device | None = None
    attribute: str = ""
    permits: Callable[[Device], bool] = lambda _: True

    def seen_too(self, other: "Scope") -> "Scope":
        """Return another scope without the devices that are not in this one."""
        hidden = [device.id for device in other.index if self.index.get(device.id) is None]
        return msgspec.structs.replace(other, index=other.index.without(hidden)) if hidden else other


class ParamType:
    """How text becomes a value; `rest` takes all words that are left, `dependent` needs the device first.

    `verbatim` takes them as they are written, since they are another order.

    `metavar` stands for it in the usage; the param's own name does where it is empty.
    """

    metavar = ""
    rest = False
    verbatim = False
    dependent = False

    def parse(self, text: str, scope: Scope) -> Any:  # noqa: ANN401 (whatever the order's annotation says)
        """Return the value; raises BadArguments."""
        raise NotImplementedError

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002 (for those that override it)
        """Yield what may be typed."""
        return ()


def _any(_: Device) -> bool:
    return True


#: Default of a device param: the one device that fits.
ONLY: Any = object()
#: Default of a param that takes several devices: all that fit.
EVERYTHING: Any = object()


class Text(ParamType):
    """Any word, or with `rest` all words that are left."""

    def __init__(self, metavar: str = "", *, rest: bool = False) -> None:
        """Call it `metavar` in the usage."""
        self.metavar = metavar
        self.rest = rest

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the text as it is."""
        return text


class OtherOrder(Text):
    """Another order, whole, as it would be given."""

    verbatim = True


class Secret(Text):
    """A word that the audit log and the history never see, such as a code."""


class Number(ParamType):
    """A whole number of at least 0."""

    def parse(self, text: str, scope: Scope) -> int:  # noqa: ARG002
        """Return the number."""
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise BadArguments(f"'{text}' is not a whole number")
        return int(text)


class Count(Number):
    """How many, at least one: none at all must not be taken for any number."""

    metavar = "NUMBER"

    def parse(self, text: str, scope: Scope) -> int:
        """Return the number."""
        if (number := super().parse(text, scope)) == 0:
            raise BadArguments(f"'{text}' is not a number from 1")
        return number


class Duration(ParamType):
    """Seconds, written `90s`, `5m` or `1h30m`."""

    metavar = "DURATION"

    def parse(self, text: str, scope: Scope) -> float:  # noqa: ARG002
        """Return the seconds."""
        return quantity.duration(text)

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few round values."""
        return (Suggestion(text, quantity.span(quantity.duration(text))) for text in ("10m", "1h", "1d", "7d"))


class Choice(ParamType):
    """One of a few words."""

    def __init__(self, words: Iterable[str]) -> None:
        """Take just these words."""
        self.words = tuple(words)
        self.metavar = "|".join(self.words)

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the word in lower case."""
        if text.lower() not in self.words:
            raise BadArguments(f"'{text}' must be one of {', '.join(self.words)}")
        return text.lower()

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield the words."""
        return (Suggestion(word) for word in self.words)


class Named(ParamType):
    """A name that the scope knows under a heading, such as a user or a banned source; any word is accepted."""

    def __init__(self, heading: str, metavar: str, *, rest: bool = False) -> None:
        """Complete from `scope.names[heading]`; with `rest` a name may have several words."""
        self.heading = heading
        self.metavar = metavar
        self.rest = rest

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the text as it is; the order itself says when there is no such thing."""
        return text

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the names known now."""
        return scope.names.get(self.heading, tuple)()


class OneDevice(ParamType):
    """One device by any of its names, for an order that is about what it is called and not about operating it."""

    metavar = "DEVICE"

    def parse(self, text: str, scope: Scope) -> Device:
        """Return the device."""
        match = scope.index.find(text, _any, "a device")
        if match.several:
            raise BadArguments(f"'{text[:80]}' may be several; name one device")
        return match.devices[0]

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices by their shortest name."""
        return (Suggestion(scope.index.short(device, _any), device.name) for device in scope.index)


class Room(ParamType):
    """A room, known or new, as its name is part of an id."""

    metavar = "ROOM"

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the room: `Living room` is `living_room`; a single `-` stays as it is."""
        room = text if text == "-" else slug(text)
        if not room:
            raise BadArguments(f"'{text[:80]}' is no name of a room", "a room is such as living_room")
        return room

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the rooms there are."""
        return (Suggestion(room) for room in scope.index.rooms)


class Devices(ParamType):
    """A TARGET. With `each`, the order runs once for every device it means; else it gets them all at once."""

    metavar = "TARGET"

    def __init__(self, fits: Fits, fitting: str, *, each: bool = True, swept: Fits = _any) -> None:
        """Take devices that fit; `fitting` ends the sentence "lock.front_door is not …".

        One that is not to be `swept` up by a room, a glob or `all` is meant by its own name alone, and only where
        nothing else has that name.
        """
        self.fits = fits
        self.fitting = fitting
        self.each = each
        self._first: Fits = lambda device: fits(device) and swept(device)

    def parse(self, text: str, scope: Scope) -> Match:
        """Return the devices named."""
        try:
            return scope.index.find(text, self._first, self.fitting, room_first=not self.each)
        except BadArguments:
            match = scope.index.find(text, self.fits, self.fitting, room_first=not self.each)
            if match.several:
                raise
            return match

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices that fit by their shortest name, then the rooms that hold one, then `all`."""
        fit = [device for device in scope.index if self.fits(device) and scope.permits(device)]
        for device in fit:
            yield Suggestion(scope.index.short(device, self.fits), device.name)
        swept = list(filter(self._first, fit))
        for room in scope.index.rooms:
            if any(device.room == room for device in swept):
                yield Suggestion(f"@{room}", "room")
        if swept:
            yield Suggestion("all", f"all that is {self.fitting}")


class Attributed(Devices):
    """A TARGET that may end in `.ATTRIBUTE`, such as `climate.living.target_temperature`."""

    metavar = "TARGET[.ATTRIBUTE]"

    def __init__(self, *, settable: bool, each: bool) -> None:
        """Take devices that have an attribute, a settable one if need be."""

        def has_any(device: Device) -> bool:
            return any(attribute.settable or not settable for attribute in device.attributes.values())

        super().__init__(has_any, "settable" if settable else "readable", each=each)
        self._settable = settable

    def parse(self, text: str, scope: Scope) -> Match:
        """Return the devices named, and the attribute if one was."""
        try:
            return super().parse(text, scope)
        except BadArguments:
            head, dot, attribute = text.lower().rpartition(".")
            if not dot or attribute not in ATTRIBUTES:
                raise

        def has(device: Device) -> bool:
            return device.can_set(attribute) if self._settable else attribute in device.attributes

        fitting = f"a device whose {ATTRIBUTES[attribute].title} can be {'set' if self._settable else 'read'}"
        match = scope.index.find(head, has, fitting, room_first=not self.each)
        return msgspec.structs.replace(match, attribute=attribute)


class Of(ParamType):
    """A value of one attribute of the device named before, with that device's own bounds."""

    dependent = True

    def __init__(self, attribute: str) -> None:
        """Take values of this attribute."""
        self.attribute = attribute

    def parse(self, text: str, scope: Scope) -> Scalar:
        """Return the canonical value, relative ones counted from where the device is now."""
        device = _device(scope)
        return device.attributes[self.attribute].parse(text, device.state.get(self.attribute))

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield a few round values."""
        attribute = (scope.device.attributes if scope.device else ATTRIBUTES).get(self.attribute)
        if attribute is not None:
            yield from _values(attribute.name, attribute.accepts, attribute.options, attribute.unit)


class Change(ParamType):
    """A new value for the attribute named, or for the first attribute of the device that the value fits."""

    metavar = "VALUE"
    dependent = True

    def parse(self, text: str, scope: Scope) -> State:
        """Return the change as attribute → canonical value."""
        device = _device(scope)
        if scope.attribute:
            name = scope.attribute
            return {name: device.attributes[name].parse(text, device.state.get(name))}
        first: BadArguments | None = None
        candidates = [a for a in device.attributes.values() if a.settable and a.name != "activated"]
        candidates.sort(key=lambda attribute: attribute is not device.primary)
        for attribute in candidates:
            try:
                return {attribute.name: attribute.parse(text, device.state.get(attribute.name))}
            except BadArguments as error:
                first = first or error
        raise first or BadArguments(f"{device.id} takes no value")

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield what the attributes of the device take."""
        if scope.device is None:
            return
        for attribute in scope.device.attributes.values():
            if attribute.settable and scope.attribute in {"", attribute.name} and attribute.name != "activated":
                yield from _values(attribute.name, attribute.accepts, attribute.options, attribute.unit)


class Colour(ParamType):
    """A colour by name, `#rrggbb` or temperature, as the device named before can show it."""

    metavar = "COLOR"
    rest = True
    dependent = True

    def parse(self, text: str, scope: Scope) -> State:
        """Return the change: hue and saturation, or a colour temperature within the device's bounds."""
        device = _device(scope)
        change = quantity.color(text)
        for name, value in change.items():
            if not device.can_set(name):
                can = "white only" if device.can_set("color_temperature") else "colours only"
                raise BadArguments(f"{device.id} shows {can}, not '{text}'")
            device.attributes[name].bounded(value)
        return {name: round(value) for name, value in change.items()}

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the names that the device can show."""
        if scope.device is None or scope.device.can_set("hue"):
            yield from (Suggestion(name) for name in quantity.COLORS)
        if scope.device is None or scope.device.can_set("color_temperature"):
            white = (scope.device.attributes if scope.device else ATTRIBUTES)["color_temperature"]
            for name, kelvin in quantity.WHITES.items():
                if white.low <= kelvin <= white.high:
                    yield Suggestion(name, f"{kelvin} K")


def _device(scope: Scope) -> Device:
    if scope.device is None:
        raise BadArguments("name the device first")
    return scope.device


def _values(name: str, accepts: str, options: tuple[str, ...], unit: str) -> Iterable[Suggestion]:
    if options:
        yield from (Suggestion(option, name.replace("_", " ")) for option in options)
    elif name == "on":
        yield from (Suggestion(word, "") for word in ("on", "off"))
    elif unit == "%":
        yield from (Suggestion(str(share), f"{name} {share} %") for share in (0, 25, 50, 75, 100))
    elif name == "target_temperature":
        yield from (Suggestion(str(degrees), f"{degrees} °C") for degrees in range(17, 25))
    else:
        yield Suggestion("", accepts)


def type_of(annotation: object) -> ParamType:
    """Return the ParamType of an annotation; raises TypeError for one that says nothing."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, ParamType):
                return extra
    if get_origin(annotation) is Literal:
        return Choice(get_args(annotation))
    if annotation is str:
        return Text()
    if annotation is int:
        return Number()
    if annotation is bool:
        return Choice(("true", "false"))
    raise TypeError(f"{annotation!r} is no annotation of a param")


def _sets(*names: str) -> Fits:
    return lambda device: any(device.can_set(name) for name in names)


def _kind(kind: str) -> Fits:
    return lambda device: device.kind == kind


# The vocabulary of annotations. A siren is switched by its own name, and never swept up in `on all`: it guards. Nor
# does anybody want to press every button of a room.
Switchable = Annotated[Device, Devices(_sets("on"), "switchable", swept=lambda device: not device.guards)]
Dimmable = Annotated[Device, Devices(_sets("brightness"), "dimmable")]
Colorable = Annotated[Device, Devices(_sets("hue", "color_temperature"), "a lamp with colour")]
Openable = Annotated[Device, Devices(_sets("position"), "something that opens")]
Lock = Annotated[Device, Devices(_kind("lock"), "a lock")]
Alarm = Annotated[Device, Devices(_kind("alarm_control_panel"), "an alarm")]
Scene = Annotated[Device, Devices(_sets("activated"), "a scene, a script or a button", swept=_kind("scene"))]
Settable = Annotated[Device, Attributed(settable=True, each=True)]
Readable = Annotated[Match, Attributed(settable=False, each=False)]
Anything = Annotated[Match, Devices(_any, "a device", each=False)]
Called = Annotated[Device, OneDevice()]
RoomName = Annotated[str, Room()]
Brightness = Annotated[int, Of("brightness")]
Position = Annotated[int, Of("position")]
NewState = Annotated[State, Change()]
Color = Annotated[State, Colour()]
HowMany = Annotated[int, Count()]
Line = Annotated[str, Text("TEXT", rest=True)]
UserName = Annotated[str, Named("users", "USER")]
SourceName = Annotated[str, Named("bans", "SOURCE")]
BackendName = Annotated[str, Named("backends", "BACKEND", rest=True)]
Seconds = Annotated[float, Duration()]
SessionName = Annotated[str, Named("sessions", "SESSION|USER")]
GivenOrder = Annotated[str, OtherOrder("ORDER", rest=True)]
OrderName = Annotated[str, Text("ORDER", rest=True)]
