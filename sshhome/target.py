"""A TARGET is how a person names devices: an id, a short name, a room (`@kitchen`), a glob or `all`."""

import difflib
import fnmatch
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from sshhome.device import Device
from sshhome.errors import BadArguments

Fits = Callable[[Device], bool]

#: As long as a scope of a grant may be.
MAX_GLOB = 128

#: How people call a kind; `living.thermostat` is the climate device of the room `living`.
_NOUNS: Mapping[str, tuple[str, ...]] = {
    "climate": ("thermostat", "heating"),
    "light": ("lamp",),
    "alarm_control_panel": ("alarm",),
    "cover": ("blind", "shutter"),
    "binary_sensor": (),
}


class Match(msgspec.Struct, frozen=True):
    """The devices a TARGET means; `several` when it was a room, a glob or `all`, however many that are.

    `attribute` is the one named after the device, as in `climate.living.mode`, or empty; `kind` is the word that
    stood for all of a kind, such as `locks`, or empty; `text` is how it was written, where that will be asked for.
    """

    devices: tuple[Device, ...]
    several: bool = False
    attribute: str = ""
    kind: str = ""
    text: str = ""


class Index:
    """The devices a user may see, by every name they answer to; devices not in it do not exist for the user.

    It keeps ids and names; the devices themselves are looked up as they are now.
    """

    def __init__(self, ids: Iterable[str], devices: Mapping[str, Device]) -> None:
        """Index these ids of a live mapping of devices."""
        self._devices = devices
        self._ids = dict.fromkeys(ids)
        self._names: dict[str, list[str]] = {}
        for device in self:
            for name in dict.fromkeys(_names(device)):
                self._names.setdefault(name, []).append(device.id)
        self._sorted: list[str] = []
        self.rooms: tuple[str, ...] = tuple(dict.fromkeys(device.room for device in self if device.room))

    def without(self, hidden: Collection[str]) -> "Index":
        """Return the same for somebody who may not see some of these devices."""
        return Index((device_id for device_id in self._ids if device_id not in hidden), self._devices)

    def __iter__(self) -> Iterator[Device]:
        """Yield the devices as they are now."""
        return (self._devices[device_id] for device_id in self._ids if device_id in self._devices)

    def get(self, device_id: str) -> Device | None:
        """Return a device as it is now, or None for one that is hidden or missing."""
        return self._devices.get(device_id) if device_id in self._ids else None

    def named(self, text: str) -> Sequence[Device]:
        """Return the devices that answer to a name; an id is the name of one alone."""
        if (device := self.get(text)) is not None:
            return (device,)
        ids = self._names.get(text.lower().replace(" ", "_").replace("-", "_"), ())
        return [self._devices[device_id] for device_id in ids if device_id in self._devices]

    def begins(self, text: str) -> bool:
        """Return whether the name of a device begins like this."""
        if not self._sorted:
            self._sorted = sorted(self._names)
        begun = text.lower().replace(" ", "_").replace("-", "_")
        at = bisect_left(self._sorted, begun)
        return at < len(self._sorted) and self._sorted[at].startswith(begun)

    def short(self, device: Device, fits: Fits) -> str:
        """Return the shortest name that is unique among the devices that fit: the slug, or else the id."""
        same = [other.id for other in self.named(device.slug) if fits(other)]
        return device.slug if same == [device.id] else device.id

    def find(self, text: str, fits: Fits, fitting: str, *, room_first: bool = False) -> Match:
        """Return the devices a TARGET names among those that fit; `fitting` says in words what fits.

        A room named without its `@` is taken for the room only when `room_first`. Raises BadArguments, which
        never tells a hidden device from one that does not exist.
        """
        if text.lower() == "all":
            return self._several(text, self, fits, fitting)
        if text.startswith("@") or (room_first and text in self.rooms):
            room = text.removeprefix("@").lower()
            if room not in self.rooms:
                raise BadArguments(f"no room '{room}'", _nearest(room, self.rooms, "@"))
            return self._several(text, (device for device in self if device.room == room), fits, fitting)
        if any(char in text for char in "*?["):
            if len(text) > MAX_GLOB:
                # Longer than any id, and Python keeps each pattern it has compiled.
                raise BadArguments(f"a glob has at most {MAX_GLOB} characters")
            pattern = text.lower()
            matching = (device for device in self if fnmatch.fnmatchcase(device.id, pattern))
            return self._several(text, matching, fits, fitting)
        named = self.named(text)
        fit = [device for device in named if fits(device)]
        if len(fit) == 1:
            return Match((fit[0],))
        if fit:
            raise BadArguments(f"'{text}' is ambiguous: {', '.join(device.id for device in fit)}")
        if named:
            raise BadArguments(f"{named[0].id} is not {fitting}")
        names = [name for device in self if fits(device) for name in (self.short(device, fits), device.id)]
        raise BadArguments(f"no device '{text}'", _nearest(text.lower(), dict.fromkeys(names)))

    def sweeps(self, text: str, fits: Fits) -> bool:
        """Return whether a room, a glob or `all` means any device that fits; `find` tells which, and costs more."""
        near = text.lower()
        if near == "all":
            return any(map(fits, self))
        if any(char in near for char in "*?[") and not near.startswith("@"):
            return len(near) <= MAX_GLOB and any(fnmatch.fnmatchcase(d.id, near) and fits(d) for d in self)
        room = near.removeprefix("@")
        return room in self.rooms and any(device.room == room and fits(device) for device in self)

    def only(self, fits: Fits, fitting: str) -> Match:
        """Return the one device that fits, for a TARGET left out; raises BadArguments when there is not just one."""
        fit = [device for device in self if fits(device)]
        if len(fit) == 1:
            return Match((fit[0],))
        raise BadArguments(f"name the device: {', '.join(d.id for d in fit[:8])}" if fit else f"nothing is {fitting}")

    def every(self, fits: Fits) -> Match:
        """Return all devices that fit, for a TARGET left out; there may be none."""
        return Match(tuple(device for device in self if fits(device)), several=True)

    @staticmethod
    def _several(text: str, devices: Iterable[Device], fits: Fits, fitting: str) -> Match:
        named = tuple(devices)
        fit = tuple(device for device in named if fits(device))
        if not fit:
            raise BadArguments(f"nothing in '{text}' is {fitting}" if named else f"nothing matches '{text}'")
        return Match(fit, several=True)


def sweeps(text: str) -> bool:
    """Return whether a TARGET may mean several devices: a room with its `@`, a glob or `all`."""
    return text.lower() == "all" or text.startswith("@") or any(char in text for char in "*?[")


def _names(device: Device) -> Iterable[str]:
    """Yield every name a device answers to."""
    yield device.id
    yield device.slug
    yield device.name.lower().replace(" ", "_").replace("-", "_")
    yield from device.aliases
    if device.room:
        words = (device.slug, device.kind, device.device_class, *_NOUNS.get(device.kind, ()))
        yield from (f"{device.room}.{word}" for word in words if word)
    yield from (f"{noun}.{device.slug}" for noun in _NOUNS.get(device.kind, ()))


def _nearest(text: str, names: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(text[:64], list(names), 3, 0.6)
    return f"did you mean {' or '.join(prefix + name for name in near)}?" if near else ""
