"""A param is one typed argument of an order: its annotation gives parsing, completion, help and schema.

`int`, `str`, `Literal[…]` and `bool` (an option without value) are understood as they are; anything else is
`Annotated[T, ParamType]`, such as the device types at the end of this page.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from sshhome import quantity
from sshhome.device import ATTRIBUTES, Attribute, Device, Scalar, State
from sshhome.errors import BadArguments
from sshhome.glance import KINDS
from sshhome.naming import slug
from sshhome.target import Fits, Index, Match, sweeps
from sshhome.when import earlier

#: A day like any other, in seconds since the epoch.
_SOME_DAY = 1e9
#: Names that tell what a room or `all` means.
_NAMED = 4


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
    #: Whether any text is as good as another, so that nothing of it can be judged.
    free = False

    def parse(self, text: str, scope: Scope) -> Any:  # noqa: ANN401 (whatever the order's annotation says)
        """Return the value; raises BadArguments."""
        raise NotImplementedError

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002 (for those that override it)
        """Yield what may be typed."""
        return ()

    def offer(self, text: str, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002 (for those that override it)
        """Yield what may be typed besides, once a word has begun."""
        return ()

    def goes_on(self, text: str) -> bool:  # noqa: ARG002 (for those that override it)
        """Return whether the word behind these is one more of the same value."""
        return False

    def follow(self, text: str, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002 (for those that override it)
        """Yield what may be the next word of a value of which these are typed."""
        return ()

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether a word will do; asked at every key, so it never looks for what else could be meant."""
        try:
            self.parse(text, scope)
        except BadArguments:
            return False
        return True

    def begins(self, text: str, scope: Scope) -> bool:
        """Return whether a word that will not do may be the beginning of one that does."""
        near = text.lower()
        return any(suggestion.text.lower().startswith(near) for suggestion in self.suggest(scope))


def _any(_: Device) -> bool:
    return True


def _named(devices: Sequence[Device]) -> str:
    """Return the names of devices, of many only the first few."""
    most = len(devices) if len(devices) <= _NAMED else _NAMED - 1
    rest = f" and {len(devices) - most} more" if most < len(devices) else ""
    return ", ".join(device.name for device in devices[:most]) + rest


#: Examples of moments, and of the times of a week.
MOMENTS: Mapping[str, str] = {
    "tomorrow": "until the day begins",
    "today 18:00": "at a time of today",
    "tomorrow 18:00": "at a time of tomorrow",
}
TIMES: Mapping[str, str] = {
    "today 09:00-12:00": "once",
    "mon-fri 09:00-12:00": "on weekdays",
    "sat,sun": "at the weekend, all day",
    "22:00-06:00": "every night",
}
#: Examples of what may be granted.
GRANTS: Mapping[str, str] = {
    "read": "look at everything",
    "control:light.*": "operate any lamp",
    "control:@kitchen": "operate what is in a room",
    "access:lock.front_door": "open one door",
    "role:guest": "a role",
}
#: Default of a device param: the one device that fits.
ONLY: Any = object()
#: Default of a param that takes several devices: all that fit.
EVERYTHING: Any = object()


class Text(ParamType):
    """Any word, or with `rest` all words that are left."""

    free = True

    def __init__(self, metavar: str = "", *, rest: bool = False, such: Mapping[str, str] | None = None) -> None:
        """Call it `metavar` in the usage; `such` are a few examples, with what each means."""
        self.metavar = metavar
        self.rest = rest
        self.such = such or {}

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the text as it is."""
        return text

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield the examples."""
        return (Suggestion(text, says) for text, says in self.such.items())


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

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few."""
        return (Suggestion(str(number), "a number") for number in (1, 2, 5, 10))


class Count(Number):
    """How many, at least one: none at all must not be taken for any number."""

    metavar = "NUMBER"

    def parse(self, text: str, scope: Scope) -> int:
        """Return the number."""
        if (number := super().parse(text, scope)) == 0:
            raise BadArguments(f"'{text}' is not a number from 1")
        return number


class Several(ParamType):
    """Some of a few words, with commas between them."""

    def __init__(self, words: Iterable[str], says: Mapping[str, str]) -> None:
        """Take just these words; `says` is what they mean."""
        self.words = tuple(words)
        self.says = says
        self.metavar = f"{'|'.join(self.words)},…"

    def parse(self, text: str, scope: Scope) -> Sequence[str]:  # noqa: ARG002
        """Return the words, each once."""
        named = dict.fromkeys(word.strip().lower() for word in text.split(",", len(self.words)))
        wrong = next((word for word in named if word not in self.words), None)
        if wrong is not None:
            raise BadArguments(f"'{wrong[:80]}' must be one of {', '.join(self.words)}")
        return tuple(named)

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield the words."""
        return (Suggestion(word, self.says[word]) for word in self.words)


class Duration(ParamType):
    """Seconds, written `90s`, `5m` or `1h30m`."""

    metavar = "DURATION"

    def parse(self, text: str, scope: Scope) -> float:  # noqa: ARG002
        """Return the seconds."""
        return quantity.duration(text)

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few round values."""
        return (Suggestion(text, quantity.span(quantity.duration(text))) for text in ("10m", "1h", "1d", "7d"))


class Earlier(ParamType):
    """A time gone by: seconds ago, written `24h`, or text such as `yesterday`, which the zone of the house dates."""

    metavar = "TIME"

    def parse(self, text: str, scope: Scope) -> float | str:  # noqa: ARG002
        """Return the seconds, or the text once it is known to be a time."""
        try:
            return quantity.duration(text)
        except BadArguments:
            # In whichever zone, and on whichever day.
            earlier(text, ZoneInfo("UTC"), _SOME_DAY)
            return text

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few round values."""
        yield from (Suggestion(text, f"{says} ago") for text, says in (("1h", "an hour"), ("24h", "a day")))
        yield from (Suggestion(text, f"{says} ago") for text, says in (("7d", "a week"), ("30d", "a month")))
        yield from (Suggestion("today", "when it began"), Suggestion("yesterday", "when it began"))


class Choice(ParamType):
    """One of a few words."""

    def __init__(self, words: Iterable[str], says: Mapping[str, str] | None = None) -> None:
        """Take just these words; `says` is what they mean."""
        self.words = tuple(words)
        self.says = says or {}
        self.metavar = "|".join(self.words)

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the word in lower case."""
        if text.lower() not in self.words:
            raise BadArguments(f"'{text}' must be one of {', '.join(self.words)}")
        return text.lower()

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield the words."""
        return (Suggestion(word, self.says.get(word, "")) for word in self.words)


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


class ScheduleOf(Number):
    """A schedule by its number."""

    metavar = "NUMBER"

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield those of the giver."""
        return scope.names.get("schedules", tuple)()


class OneDevice(ParamType):
    """One device by any of its names, for an order that is about what it is called and not about operating it."""

    metavar = "DEVICE"

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether one device answers to this."""
        return len(scope.index.named(text)) == 1

    def begins(self, text: str, scope: Scope) -> bool:
        """Return whether this may become the name of a device."""
        return scope.index.begins(text)

    def parse(self, text: str, scope: Scope) -> Device:
        """Return the device."""
        match = scope.index.find(text, _any, "a device")
        if match.several:
            raise BadArguments(f"'{text[:80]}' may be several; name one device")
        return match.devices[0]

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices by their shortest name."""
        return (Suggestion(scope.index.short(device, _any), about(device)) for device in scope.index)


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
        return (Suggestion(room, "a room") for room in scope.index.rooms)


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
        self.room_first = not each
        self._first: Fits = lambda device: fits(device) and swept(device)

    def parse(self, text: str, scope: Scope) -> Match:
        """Return the devices named."""
        try:
            return scope.index.find(text, self._first, self.fitting, room_first=self.room_first)
        except BadArguments:
            match = scope.index.find(text, self.fits, self.fitting, room_first=self.room_first)
            if match.several:
                raise
            return match

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether this names devices that fit."""
        if sweeps(text):
            return self._sweeps(text, self._first, scope)
        if self.room_first and text in scope.index.rooms:
            return True
        named = scope.index.named(text)
        return len(list(filter(self._first, named))) == 1 or len(list(filter(self.fits, named))) == 1

    def _sweeps(self, text: str, fits: Fits, scope: Scope) -> bool:
        return scope.index.sweeps(text, fits)

    def begins(self, text: str, scope: Scope) -> bool:
        """Return whether this may become the name of a device, a room or `all`."""
        near = text.lower()
        return (
            "all".startswith(near)
            or any(f"@{room}".startswith(near) for room in scope.index.rooms)
            or scope.index.begins(text)
        )

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices that fit by their shortest name, then the rooms that hold one, then `all`."""
        fit = [device for device in scope.index if self.fits(device) and scope.permits(device)]
        for device in fit:
            yield Suggestion(scope.index.short(device, self.fits), about(device))
        swept = list(filter(self._first, fit))
        rooms: dict[str, list[Device]] = {room: [] for room in scope.index.rooms}
        for device in swept:
            rooms.setdefault(device.room, []).append(device)
        yield from (Suggestion(f"@{room}", _named(there)) for room, there in rooms.items() if room and there)
        if swept:
            yield Suggestion("all", _named(swept))


class Sights(Devices):
    """A TARGET to be looked at, which may be all of a kind: `lights`, `locks`, `windows`, `batteries`."""

    def __init__(self) -> None:
        """Take any devices, all at once."""
        super().__init__(_any, "a device", each=False)

    def parse(self, text: str, scope: Scope) -> Match:
        """Return the devices named; a room or a device of that name counts more than a kind."""
        kind = text.lower()
        if kind not in KINDS or kind in scope.index.rooms or scope.index.named(kind):
            return msgspec.structs.replace(super().parse(text, scope), text=kind)
        found = tuple(filter(KINDS[kind], scope.index))
        if not found:
            raise BadArguments(f"nothing matches '{kind}'")
        return Match(found, several=True, kind=kind, text=kind)

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether this names devices, or a kind of them."""
        kind = KINDS.get(text.lower())
        return super().takes(text, scope) or (kind is not None and any(map(kind, scope.index)))

    def begins(self, text: str, scope: Scope) -> bool:
        """Return whether this may become the name of a device, a room or a kind."""
        return any(kind.startswith(text.lower()) for kind in KINDS) or super().begins(text, scope)

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the kinds there are, then all that a TARGET may be."""
        seen = list(scope.index)
        yield from (Suggestion(kind, "of the whole house") for kind, fits in KINDS.items() if any(map(fits, seen)))
        yield from super().suggest(scope)


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
        head, dot, attribute = text.lower().rpartition(".")
        if not dot or attribute not in ATTRIBUTES or super().takes(text, scope):
            return super().parse(text, scope)

        def has(device: Device) -> bool:
            return device.can_set(attribute) if self._settable else attribute in device.attributes

        fitting = f"a device whose {ATTRIBUTES[attribute].title} can be {'set' if self._settable else 'read'}"
        match = scope.index.find(head, has, fitting, room_first=self.room_first)
        return msgspec.structs.replace(match, attribute=attribute)

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether this names devices, and an attribute that they have."""
        head, _, attribute = text.lower().rpartition(".")

        def has(device: Device) -> bool:
            return attribute in device.attributes and (device.can_set(attribute) or not self._settable)

        if super().takes(text, scope) or any(map(has, scope.index.named(head))):
            return True
        return attribute in ATTRIBUTES and (sweeps(head) or self.room_first) and self._sweeps(head, has, scope)

    def begins(self, text: str, scope: Scope) -> bool:
        """Return whether this may become the name of a device, or of an attribute of one."""
        return super().begins(text, scope) or any(self._attributes(text, scope))

    def offer(self, text: str, scope: Scope) -> Iterable[Suggestion]:
        """Yield, besides what `suggest` does, the attributes of the device that is named up to the last dot."""
        yield from self._attributes(text, scope)

    def _attributes(self, text: str, scope: Scope) -> Iterable[Suggestion]:
        head, dot, begun = text.rpartition(".")
        if not dot:
            return
        for device in scope.index.named(head):
            if not scope.permits(device):
                continue
            for attribute in device.attributes.values():
                if attribute.name.startswith(begun.lower()) and (attribute.settable or not self._settable):
                    now = attribute.show(device.state.get(attribute.name))
                    may = f", {attribute.accepts}" if self._settable else ""
                    yield Suggestion(f"{head}.{attribute.name}", f"is {now}{may}")


class OneAttributed(Attributed):
    """One device that may be read, by its own name before that of a room, which may end in `.ATTRIBUTE`."""

    metavar = "DEVICE[.ATTRIBUTE]"

    def __init__(self) -> None:
        """Take any device that has a value."""
        super().__init__(settable=False, each=False)
        self.room_first = False

    def _sweeps(self, text: str, fits: Fits, scope: Scope) -> bool:  # noqa: ARG002 (it is one device)
        return False

    def parse(self, text: str, scope: Scope) -> Match:
        """Return the device named, and the attribute if one was."""
        match = super().parse(text, scope)
        if match.several:
            raise BadArguments(f"'{text[:80]}' may be several; name one device")
        return match

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices by their shortest name."""
        return (Suggestion(scope.index.short(device, self.fits), about(device)) for device in scope.index)


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
            yield from _values(attribute, scope.device.state.get(attribute.name) if scope.device else None)


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
                yield from _values(attribute, scope.device.state.get(attribute.name))


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
            yield from (Suggestion(name, f"hue {hue}°") for name, (hue, _) in quantity.COLORS.items())
        if scope.device is None or scope.device.can_set("color_temperature"):
            white = (scope.device.attributes if scope.device else ATTRIBUTES)["color_temperature"]
            for name, kelvin in quantity.WHITES.items():
                if white.low <= kelvin <= white.high:
                    yield Suggestion(name, f"{kelvin} K")


def about(device: Device) -> str:
    """Return what a device is, in the words beside its name in a menu."""
    room = device.room.replace("_", " ")
    return f"{device.name}, {room}" if room and room not in device.name.lower() else device.name


def _device(scope: Scope) -> Device:
    if scope.device is None:
        raise BadArguments("name the device first")
    return scope.device


#: Steps at which a number is offered, where it has a unit that people set by feel.
_STEPS: Mapping[str, Sequence[int]] = {"%": (0, 25, 50, 75, 100), "K": (2200, 2700, 3000, 4000, 5500, 6500)}


def _values(attribute: Attribute, now: Scalar = None) -> Iterable[Suggestion]:
    """Yield a few values of an attribute, each with what it means, the present one named as such."""
    for text, says in _named_values(attribute):
        is_now = now is not None and text == (attribute.show(now).partition(" ")[0])
        yield Suggestion(text, f"{says}, as it is" if is_now else says)


def _named_values(attribute: Attribute) -> Iterable[tuple[str, str]]:
    low, high, unit = attribute.low, attribute.high, attribute.unit
    if attribute.options:
        yield from ((option, attribute.title) for option in attribute.options)
    elif attribute.type is bool:
        yes, no = ("locked", "unlocked") if attribute.name == "locked" else ("on", "off")
        yield from ((word, attribute.title) for word in (yes, no))
    elif attribute.type is str:
        yield "", attribute.accepts
    elif attribute.name.startswith("target_") and unit == "°C":
        degrees = range(max(17, ceil(low)), min(24, int(high)) + 1)
        yield from ((str(degree), f"{degree} °C") for degree in degrees)
    elif unit in _STEPS:
        yield from (
            (str(step), f"{attribute.title} {step} {unit}{_SHARES.get((attribute.name, step), '')}")
            for step in _STEPS[unit]
            if low <= step <= high
        )
        if unit == "%":
            yield "+10", "a step up from where it is"
            yield "-10", "a step down"
    elif unit == "°":
        yield from ((str(hue), name) for name, (hue, _) in quantity.COLORS.items() if low <= hue <= high)
    else:
        ends = dict.fromkeys(f"{end:.12g}" for end in (low, high)) if high < 1e6 else {}
        yield from ((end, f"{attribute.title}, {attribute.accepts}") for end in ends)
        if not ends:
            yield "", attribute.accepts


#: What the ends of some scales mean.
_SHARES: Mapping[tuple[str, int], str] = {
    ("brightness", 0): ", off",
    ("brightness", 100): ", full",
    ("position", 0): ", closed",
    ("position", 100): ", open",
    ("volume", 0): ", silent",
}


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
Recorded = Annotated[Match, OneAttributed()]
Anything = Annotated[Match, Sights()]
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
HookName = Annotated[str, Named("hooks", "HOOK")]
Seconds = Annotated[float, Duration()]
Since = Annotated[float | str, Earlier()]
MacroName = Annotated[str, Named("macros", "MACRO")]
ScheduleNumber = Annotated[int, ScheduleOf()]
SessionName = Annotated[str, Named("sessions", "SESSION|USER")]
Moment = Annotated[str, Text("MOMENT", such=MOMENTS)]
Times = Annotated[str, Text("TIMES", such=TIMES)]
GivenOrder = Annotated[str, OtherOrder("ORDER", rest=True)]
OrderName = Annotated[str, Text("ORDER", rest=True)]
