"""What has happened in the house and at its door, kept for a while, so that whoever was away is told of it.

Each happening has a number. To a client its place is a cursor, which tells nobody but us how many there were: somebody
from whom most of the house is hidden must not count what happens there.
"""

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from hmac import compare_digest
from itertools import takewhile
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome.audit import Audit
from sshhome.clock import Clock, iso
from sshhome.device import Device, State
from sshhome.house import Event, House

#: Happenings of each topic that are kept.
KEPT = 4096
STATE, PRESENCE, AUDIT = "state", "presence", "audit"
TOPICS = (STATE, PRESENCE, AUDIT)
#: Which events of the audit log tell who is there.
_COMING = frozenset({"session.opened", "session.closed"})
#: Bytes of a number, of what hides it, and of what proves that we told it.
_SIZE = 8


class Changed(msgspec.Struct, frozen=True):
    """A device as it is from a moment on, None for one that is gone, and as it was before.

    `whole` is one that stands for changes that are not kept any more.
    """

    number: int
    at: float
    id: str
    device: Device | None
    before: Device | None
    by: str
    whole: bool = False

    @property
    def known(self) -> Device:
        """The device, as it is or as it was."""
        known = self.device or self.before
        assert known is not None  # noqa: S101 (what is not and never was is nothing that happens)
        return known

    def told(self, by: str) -> Mapping[str, Any]:
        """Return what programs are told of it, and who they are told it was by."""
        before = None if self.whole else self.before
        return {
            "topic": STATE,
            "at": iso(self.at),
            "id": self.id,
            "device": self.device.as_json() if self.device else None,
            "change": Event(self.id, self.device, before).change,
            "by": by,
        }


class Happened(msgspec.Struct, frozen=True):
    """An event of the audit log."""

    number: int
    at: float
    topic: str
    event: str
    fields: Mapping[str, Any]

    def told(self) -> Mapping[str, Any]:
        """Return what programs are told of it."""
        fields = msgspec.to_builtins(self.fields, enc_hook=str)
        return {"topic": self.topic, "at": iso(self.at), "event": self.event, "fields": fields}


class Lost(msgspec.Struct, frozen=True):
    """Something of a topic is not kept any more."""

    number: int
    topic: str


#: What may stand at a place.
Entry = Changed | Happened | Lost


class _Ring:
    """The last happenings of a topic."""

    def __init__(self, kept: int) -> None:
        self.entries: deque[Changed | Happened] = deque(maxlen=kept)
        #: The number of the last one that is not kept any more.
        self.floor = 0

    def add(self, entry: Changed | Happened) -> None:
        if len(self.entries) == self.entries.maxlen:
            self.floor = self.entries[0].number
        self.entries.append(entry)

    def after(self, number: int) -> list[Changed | Happened]:
        return list(takewhile(lambda entry: entry.number > number, reversed(self.entries)))[::-1]


class Feed:
    """Listens to the house and to the audit log, and keeps what it heard, in memory."""

    def __init__(self, house: House, audit: Audit, clock: Clock, kept: int = KEPT) -> None:
        """Listen from now on."""
        self._clock = clock
        self._rings = {topic: _Ring(kept) for topic in TOPICS}
        #: The last change of each device, the latest last; there are no more than there have ever been devices.
        self._latest: OrderedDict[str, Changed] = OrderedDict()
        #: The number of the last happening.
        self.head = 0
        self._listeners: list[Callable[[], None]] = []
        self._secret = secrets.token_bytes(32)
        house.watch(self._heard)
        audit.watch(self._happened)

    # -- hearing ------------------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if not _differs(event.device, event.before):
            return
        self.head += 1
        changed = Changed(self.head, self._clock.now(), event.id, event.device, event.before, event.by)
        self._rings[STATE].add(changed)
        self._latest[event.id] = changed
        self._latest.move_to_end(event.id)
        self._tell()

    def _happened(self, event: str, fields: Mapping[str, Any]) -> None:
        at = self._clock.now()
        for topic in (PRESENCE, AUDIT) if event in _COMING else (AUDIT,):
            self.head += 1
            self._rings[topic].add(Happened(self.head, at, topic, event, fields))
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever something happens; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- telling ------------------------------------------------------------------------------------------------------

    def after(self, number: int, topics: Sequence[str]) -> list[Entry]:
        """Return what happened after a number, the oldest first.

        Of devices whose changes are not all kept any more there is the last one of each; of other topics it is told
        that something is lost.
        """
        found: list[Entry] = []
        for topic in topics:
            ring = self._rings[topic]
            if number >= ring.floor:
                found += ring.after(number)
            elif topic == STATE:
                latest = takewhile(lambda one: one.number > number, reversed(self._latest.values()))
                found += [replace(changed, whole=True) for changed in latest][::-1]
            else:
                found += [Lost(ring.floor, topic), *ring.after(number)]
        return sorted(found, key=lambda entry: entry.number) if len(topics) > 1 else found

    def keeps(self, number: int, topics: Sequence[str]) -> bool:
        """Return whether all that happened after a number is kept."""
        return all(number >= self._rings[topic].floor for topic in topics)

    def is_latest(self, changed: Changed) -> bool:
        """Return whether nothing has happened to this device since."""
        return self._latest[changed.id].number == changed.number

    # -- cursors ------------------------------------------------------------------------------------------------------

    def cursor(self, number: int) -> str:
        """Return the place of a number; never twice the same, and good until this process ends."""
        salt, plain = secrets.token_bytes(_SIZE), number.to_bytes(_SIZE, "big")
        return (salt + self._masked(salt, plain) + self._proof(salt, plain)).hex()

    def place(self, cursor: str) -> int | None:
        """Return the number of a place, or None for one that was never told."""
        try:
            data = bytes.fromhex(cursor)
        except ValueError:
            return None
        if len(data) != 3 * _SIZE:
            return None
        salt, proof = data[:_SIZE], data[2 * _SIZE :]
        plain = self._masked(salt, data[_SIZE : 2 * _SIZE])
        # Whoever could change a bit of a cursor would learn the number by what still is a place.
        return int.from_bytes(plain, "big") if compare_digest(proof, self._proof(salt, plain)) else None

    def _masked(self, salt: bytes, data: bytes) -> bytes:
        mask = blake2b(salt, key=self._secret, digest_size=_SIZE).digest()
        return bytes(one ^ other for one, other in zip(data, mask, strict=True))

    def _proof(self, salt: bytes, plain: bytes) -> bytes:
        return blake2b(salt + plain, key=self._secret, digest_size=_SIZE).digest()


class Passed:
    """Changes that were passed over for somebody who is slow: the last one of each device will do."""

    def __init__(self, feed: Feed) -> None:
        """Begin with none."""
        self._feed = feed
        #: By device the first of those that were passed over.
        self._first: dict[str, Changed] = {}

    def since(self, changed: Changed, *, behind: bool) -> Changed | None:
        """Return a change since its device was last told of; None for what is passed over, or came and is gone."""
        if behind and not self._feed.is_latest(changed):
            self._first.setdefault(changed.id, changed)
            return None
        first = self._first.pop(changed.id, None)
        if first is None:
            return changed
        if first.before is None and changed.device is None:
            return None
        return replace(changed, before=first.before, whole=first.whole)


def _differs(device: Device | None, before: Device | None) -> bool:
    """Return whether a device is other than it was, in what is told of it."""
    if device is None or before is None:
        return True
    if device is before:
        return False
    told: Sequence[tuple[str, str, bool, State]] = [
        (one.name, f"{one.room} {one.note}", one.available, one.state) for one in (device, before)
    ]
    return told[0] != told[1]
