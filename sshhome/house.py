"""The house: all devices of all backends, as they last reported themselves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome.backend import Backend, Link, News, Report
from sshhome.device import Device, State
from sshhome.errors import NotConfirmed, Refused, SshhomeError, Unavailable
from sshhome.naming import Naming
from sshhome.store import DeviceRecord
from sshhome.twins import Twins

log = logging.getLogger(__name__)

#: Seconds a device has to echo a change (the contract's 2 s).
CONFIRM_WITHIN = 2.0
#: Devices of one backend: ten times the largest house we know, so that a broker full of rubbish costs no more.
MOST_DEVICES = 20_000
#: Devices that there have ever been: their ids stay taken.
MOST_EVER = 65_536

Open = Callable[[Report], Awaitable[Backend]]
#: Connects once and returns in one line what is there; raises SiteError.
Test = Callable[[], Awaitable[str]]


class Event(msgspec.Struct, frozen=True, dict=True):
    """A device as it is now, None for one that is gone, and as it was, and by whom it changed where that is known."""

    id: str
    device: Device | None
    before: Device | None
    by: str = ""

    @cached_property
    def change(self) -> State:
        """Which of its values are other than they were."""
        now, then = (self.device.state if self.device else {}), (self.before.state if self.before else {})
        return {name: value for name, value in now.items() if name not in then or then[name] != value}

    @property
    def news(self) -> bool:
        """Whether anything is other than it was, so that it is worth telling."""
        if self.device is None or self.before is None:
            return True
        return self.device.available != self.before.available or bool(self.change)


class Told(msgspec.Struct, frozen=True):
    """What a backend tells of, shown or not: by the names of its owner, what is kept of it, and as it was told."""

    device: Device
    record: DeviceRecord
    raw: Device


class _Waiting(msgspec.Struct, eq=False):
    """An order that waits for the echo of its change."""

    change: State
    echo: "asyncio.Future[Device]"
    by: str


class House:
    """Knows every device, sends changes to the one backend that has it, and waits for the device's own echo."""

    def __init__(self, naming: Naming, confirm_within: float = CONFIRM_WITHIN) -> None:
        """Start with no device; see `add`."""
        self.naming = naming
        self.confirm_within = confirm_within
        #: Grows whenever a device comes, goes or is renamed: what may be kept about ids and names until then.
        self.version = 0
        #: Every device as it last reported itself, by id.
        self.devices: dict[str, Device] = {}
        self._backends: dict[str, Backend] = {}
        self._openers: dict[str, Open] = {}
        self._tests: dict[str, Test] = {}
        self._reloading = asyncio.Lock()
        self._closed = False
        self._reporters: dict[str, _Reporter] = {}
        #: What is known of everything that backends tell of, by id, hidden things and those that are told twice too.
        self._told: dict[str, tuple[_Reporter, Device]] = {}
        self._twins = Twins()
        #: By backend and identity, what touches something that nobody has told of yet.
        self._incomplete: dict[tuple[str, str], set[str]] = {}
        self._waiting: dict[str, list[_Waiting]] = {}
        self._watchers: list[Callable[[Event], None]] = []

    # -- backends -----------------------------------------------------------------------------------------------------

    async def add(self, name: str, open_: Open, test: Test) -> None:
        """Open a backend and take in its devices; of a thing that two tell of, the one that was added first counts."""
        self._openers[name] = open_
        self._tests[name] = test
        self._reporters[name] = _Reporter(self, name, len(self._reporters))
        await self._open(name)

    async def _open(self, name: str) -> None:
        reporter = self._reporters[name]
        self._backends[name] = backend = await self._openers[name](reporter)
        for device in backend.devices():
            reporter.changed(device)

    async def test(self, name: str) -> str:
        """Connect to what a backend speaks to once more, and return what is there; raises SiteError."""
        return await self._tests[name]()

    async def reload(self, name: str) -> None:
        """Close a backend and open it afresh; what it does not tell of any more is gone. Raises SiteError.

        Cut off, it goes on to its end: it is not whoever asked for it who is left without the backend.
        """
        await asyncio.shield(self._reload(name))

    async def _reload(self, name: str) -> None:
        # Of two that reload it at once, one would be left open for ever.
        async with self._reloading:
            if self._closed:
                return
            if name in self._backends:
                await self._backends.pop(name).close()
            for reporter, device in list(self._told.values()):
                if reporter.name == name:
                    self._gone(reporter, device.identity)
            await self._open(name)

    async def close(self) -> None:
        """Close every backend."""
        async with self._reloading:
            self._closed = True
            while self._backends:
                await self._backends.popitem()[1].close()

    @property
    def links(self) -> Mapping[str, Link]:
        """How it is with each backend, by name."""
        return {
            name: self._backends[name].link if name in self._backends else Link(up=False, says="is being opened")
            for name in self._openers
        }

    def told(self) -> Sequence[Told]:
        """Return what all backends tell of, hidden things and those that another one tells of too."""
        return [
            Told(self.naming.named(reporter.name, raw), self.naming.record(reporter.name, raw), raw)
            for reporter, raw in self._told.values()
        ]

    def find(self, id_: str) -> Device | None:
        """Return a device by its id, hidden and doubled ones too: whoever touches them needs the right to it."""
        if id_ not in self.devices and id_ in self._told:
            reporter, raw = self._told[id_]
            return self.naming.named(reporter.name, raw)
        return self.devices.get(id_)

    def announce(self, news: News) -> None:
        """Let every backend tell what happens at the door."""
        for backend in self._backends.values():
            backend.announce(news)

    # -- what they tell -----------------------------------------------------------------------------------------------

    def _changed(self, reporter: "_Reporter", raw: Device, by: str) -> None:
        """Take note of a device as it is now; resolves the orders that wait for this echo."""
        raw = raw if raw.identity else replace(raw, identity=raw.id)
        id_ = self.naming.id_of(reporter.name, raw.identity)
        if (id_ is None and len(self.naming) >= MOST_EVER) or (id_ not in self._told and reporter.told >= MOST_DEVICES):
            reporter.complain()
            return
        record = self.naming.record(reporter.name, raw)
        if id_ is not None and id_ != record.id and id_ in self._told:
            # It is of another kind now, and has another id.
            self._forget(reporter, id_)
        known = self._told.get(record.id)
        if known is None:
            reporter.told += 1
        elif known[1].hardware != raw.hardware:
            self._untwin(reporter, record.id, known[1].hardware)
        self._told[record.id] = (reporter, raw)
        for twin in self._twins.tell(raw.hardware, reporter.rank, record.id):
            self._drop(twin)
        if record.hidden or not self._twins.counts(raw.hardware, reporter.rank):
            self._drop(record.id)
            return
        self._put(self.naming.named(reporter.name, raw), by)
        self._complete(reporter, raw.identity)

    def _complete(self, reporter: "_Reporter", identity: str) -> None:
        """Tell what touches a new device that it is known now."""
        for id_ in self._incomplete.pop((reporter.name, identity), ()):
            if id_ in self.devices:
                teller, raw = self._told[id_]
                self._put(self.naming.named(teller.name, raw), "")

    def _put(self, device: Device, by: str) -> None:
        known = self.devices.get(device.id)
        if known is None or (known.name, known.room, known.aliases) != (device.name, device.room, device.aliases):
            self.version += 1
        self.devices[device.id] = device
        for part in (*device.members, *device.group):
            if part.startswith("?"):
                self._incomplete.setdefault((self._told[device.id][0].name, part[1:]), set()).add(device.id)
        for waiting in self._waiting.get(device.id, ()):
            if device.echoes(waiting.change):
                by = waiting.by
                if not waiting.echo.done():
                    waiting.echo.set_result(device)
        self._tell(Event(device.id, device, known, by))

    def _gone(self, reporter: "_Reporter", identity: str) -> None:
        id_ = self.naming.id_of(reporter.name, identity)
        if id_ is not None and id_ in self._told:
            self._forget(reporter, id_)

    def _forget(self, reporter: "_Reporter", id_: str) -> None:
        reporter.told -= 1
        _, raw = self._told.pop(id_)
        self._drop(id_)
        self._untwin(reporter, id_, raw.hardware)

    def _untwin(self, reporter: "_Reporter", id_: str, hardware: str) -> None:
        for twin in self._twins.forget(hardware, reporter.rank, id_):
            other, device = self._told[twin]
            self._changed(other, device, "")

    def _drop(self, id_: str) -> None:
        known = self.devices.pop(id_, None)
        if known is None:
            return
        self.version += 1
        self._end_waiting(id_, Unavailable(f"{id_} is gone"))
        self._tell(Event(id_, None, known))

    def _refused(self, reporter: "_Reporter", identity: str, words: str) -> None:
        id_ = self.naming.id_of(reporter.name, identity)
        if id_ is not None:
            self._end_waiting(id_, Refused(words))

    def _end_waiting(self, id_: str, error: SshhomeError) -> None:
        for waiting in self._waiting.get(id_, ()):
            if not waiting.echo.done():
                waiting.echo.set_exception(error)

    def renamed(self, id_: str) -> None:
        """Take over what an owner made of a device."""
        told = self._told.get(id_)
        if told is not None:
            self._changed(*told, "")

    # -- who listens --------------------------------------------------------------------------------------------------

    def watch(self, watcher: Callable[[Event], None]) -> Callable[[], None]:
        """Call `watcher` with everything that is heard of devices, changes or not; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _tell(self, event: Event) -> None:
        for watcher in list(self._watchers):
            watcher(event)

    # -- changing -----------------------------------------------------------------------------------------------------

    async def change(self, device_id: str, change: State, *, by: str = "", wait: bool = True) -> Device:
        """Send a change and return the device as it echoes it, or with `wait=False` as it is known now.

        Raises Unavailable, Refused in the device's own words, or NotConfirmed when no echo comes in time.
        """
        device = self.devices[device_id]
        backend = self._backends.get(self._told[device_id][0].name)
        if backend is None or not device.available:
            link = self.links[self._told[device_id][0].name]
            raise Unavailable(f"{device.id} is unavailable", "" if link.up else link.says)
        waiting = _Waiting(change, asyncio.get_running_loop().create_future(), by)
        # The echo may come before `apply` returns, so we listen before we speak.
        self._waiting.setdefault(device_id, []).append(waiting)
        sending = asyncio.create_task(backend.apply(device, change))
        try:
            ends = asyncio.get_running_loop().time() + self.confirm_within
            first: list[asyncio.Future[Any]] = [sending, waiting.echo] if wait else [sending]
            await asyncio.wait(first, timeout=self.confirm_within, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            if not wait:
                return self.devices.get(device_id, device)
            if not waiting.echo.done():
                await asyncio.wait([waiting.echo], timeout=max(0.0, ends - asyncio.get_running_loop().time()))
            if not waiting.echo.done():
                raise NotConfirmed(f"sent to {device.id}, not confirmed", backend.link.hint)
            return waiting.echo.result()
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait([sending])
            self._waiting[device_id].remove(waiting)
            if not self._waiting[device_id]:
                del self._waiting[device_id]
            ends_of: tuple[asyncio.Future[Any], ...] = (sending, waiting.echo)
            for ended in ends_of:
                if ended.done() and not ended.cancelled():
                    # What nobody waited for is no error that was overlooked.
                    ended.exception()


class _Reporter:
    """What one backend reports to."""

    def __init__(self, house: House, name: str, rank: int) -> None:
        self._house = house
        self.name = name
        self.rank = rank
        self.told = 0
        self._complained = False

    def changed(self, device: Device, by: str = "") -> None:
        """Take note of a device as it is now."""
        self._house._changed(self, device, by)  # noqa: SLF001 (a part of the house)

    def gone(self, identity: str) -> None:
        """Take note that there is no such device any more."""
        self._house._gone(self, identity)  # noqa: SLF001 (a part of the house)

    def refused(self, identity: str, words: str) -> None:
        """Take note that a device did not do what it was told."""
        self._house._refused(self, identity, words)  # noqa: SLF001 (a part of the house)

    def complain(self) -> None:
        """Tell the log, once, that there is too much."""
        if not self._complained:
            self._complained = True
            log.error("backend %s tells of more than %d devices: the rest is ignored", self.name, MOST_DEVICES)
