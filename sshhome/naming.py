"""What the house calls its devices: an id that never moves to another device, and what their owners made of them."""

import re
import unicodedata

from msgspec.structs import replace

from sshhome.device import Device
from sshhome.store import DeviceRecord, Store

#: In the identity under which the id is kept that a thing had as one of another kind.
_WAS = " was a "
_NO_SLUG = re.compile(r"[^a-z0-9]+")
#: Letters of a slug; what is longer says no more to anybody.
_LONGEST = 48
#: Letters that do not come apart into one of a-z and an accent.
_SPELLED = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "þ": "th", "œ": "oe"})


def slug(text: str) -> str:
    """Return a name as it is part of an id: `Küche (oben)` is `kuche_oben`; one without any letter is empty."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_SPELLED)).encode("ascii", "ignore").decode()
    return _NO_SLUG.sub("_", plain)[:_LONGEST].strip("_")


class Naming:
    """Gives each device of each backend the id it has had before, or a free one, and the names its owner gave it."""

    def __init__(self, store: Store) -> None:
        """Start with none; see `load`."""
        self._store = store
        self._records: dict[tuple[str, str], DeviceRecord] = {}
        self._ids: dict[str, DeviceRecord] = {}
        #: By id, how many there were before it: what is listed is listed in the same order on each start.
        self._places: dict[str, int] = {}
        #: By wanted id, the last number that was put behind it: a thousand lamps may have one name.
        self._numbers: dict[str, int] = {}

    async def load(self) -> None:
        """Take over what is stored; raises SiteError."""
        # What a thing was before takes its id, unless that is what it is again.
        for record in sorted(await self._store.devices(), key=lambda record: _WAS not in record.identity):
            self._take(record)

    def of(self, device_id: str) -> DeviceRecord | None:
        """Return what is kept of a device, hidden or not."""
        return self._ids.get(device_id)

    def __len__(self) -> int:
        """Return how many devices there have ever been."""
        return len(self._records)

    def place(self, device: Device) -> int:
        """Return where a device stands among all there ever were."""
        return self._places.get(device.id, 0)

    def id_of(self, backend: str, identity: str) -> str | None:
        """Return the id of what a backend knows by its identity, if it has told of it."""
        record = self._records.get((backend, identity))
        return record.id if record else None

    def record(self, backend: str, device: Device) -> DeviceRecord:
        """Return what is kept of a device, with a new id if it is new or of another kind than it was."""
        identity = device.identity or device.id
        known = self._records.get((backend, identity))
        if known is not None and known.id.partition(".")[0] == device.kind:
            return known
        former = self._records.get((backend, f"{identity}{_WAS}{device.kind}"))
        # One that goes to and fro between two kinds has two ids, and not one more each time.
        id_ = former.id if former is not None else self._free(device.kind, slug(device.slug) or "device")
        if known is not None:
            # The old id stays taken: what was granted on it must not come to mean something else.
            was = known.id.partition(".")[0]
            self.keep(replace(known, identity=f"{identity}{_WAS}{was}", hidden=True))
        new = replace(known, id=id_) if known is not None else DeviceRecord(backend, identity, id_)
        self.keep(new)
        return new

    def keep(self, record: DeviceRecord) -> None:
        """Keep what an owner made of a device."""
        self._take(record)
        self._store.put_device(record)

    def named(self, backend: str, device: Device) -> Device:
        """Return a device by its id and the names of its owner; ids of what it touches are the house's too."""
        record = self.record(backend, device)
        return replace(
            device,
            id=record.id,
            identity=record.identity,
            name=record.name or device.name,
            room=device.room if record.room is None else record.room,
            aliases=record.aliases,
            guarded=record.guarded,
            members={self._part(backend, one): state for one, state in device.members.items()},
            group=tuple(self._part(backend, one) for one in device.group),
        )

    def _part(self, backend: str, identity: str) -> str:
        """Return the id of something that is touched by something else; one that is not known is no device's."""
        return self.id_of(backend, identity) or f"?{identity}"

    def _take(self, record: DeviceRecord) -> None:
        self._records[record.backend, record.identity] = self._ids[record.id] = record
        self._places.setdefault(record.id, len(self._places))

    def _free(self, kind: str, wanted: str) -> str:
        first = id_ = f"{kind}.{wanted}"
        number = self._numbers.get(first, 1)
        while id_ in self._ids:
            number += 1
            id_ = f"{first}_{number}"
        self._numbers[first] = number
        return id_
