"""Records how the house changes, whichever backend tells of it: what values were, and who or what changed a device.

A house may change a thousand times a second. So what is heard is worked into one row a value every ten seconds, and
into the lowest, mean and highest of every five minutes, before any of it is written. A recorder that cannot write says
so in the process's own log, and keeps nobody from anything.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from sshhome.clock import Clock
from sshhome.config import HistoryConfig
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.errors import SiteError, Unavailable
from sshhome.history import BUCKET, Batch, Cause, History, Mean, Running, Sample, Stretch, size
from sshhome.house import Event, House

log = logging.getLogger(__name__)

#: Seconds between two writes, in which numbers are told once, and flags and words a few times.
_EVERY = 10.0
_KEPT = 8
#: Seconds after which it is written that there was nothing to write, and after which a value that stays is told again.
_ALIVE, _AGAIN = 60.0, 12 * 3600.0
#: Values that are recorded, ten times those of the largest house we know; means that may wait to be written.
_MOST_VALUES, _MOST_MEANS = 20_000, 100_000
#: Changes of which it is known who made them, two of each device; devices come and go, and a broker may say anything.
_MOST_CAUSES = 65_536
#: Letters of a word and of an order, the largest number, and what is not recorded: what people write or watch is
#: nobody's to look up later.
_LONGEST, _LONGEST_ORDER, _LARGEST = 60, 200, 1e15
_UNRECORDED = frozenset({"text", "title"})


class _Value:
    """One value of one device: how it is, what is yet to be written of it, and its bounds in the minutes that run."""

    __slots__ = ("attribute", "bucket", "device", "running", "value", "waiting")

    def __init__(self, device: str, attribute: str) -> None:
        self.device = device
        self.attribute = attribute
        self.value: Scalar = None
        self.bucket = -math.inf
        self.running: Running | None = None
        self.waiting: list[Sample] = []

    @property
    def counts(self) -> bool:
        """Whether it has bounds, as numbers and flags do and words do not."""
        return ATTRIBUTES[self.attribute].type is not str if self.attribute in ATTRIBUTES else False

    def change(self, at: float, value: Scalar) -> Mean | None:
        """Take another value; returns the mean of the minutes before, if they are over and had one."""
        ended = self.end(at)
        if self.counts:
            if self.running is None:
                self.bucket = at // BUCKET * BUCKET
                held = None if self.value is None else size(self.value)
                self.running = Running(self.bucket if held is not None else at, held)
            self.running.change(at, None if value is None else size(value))
        self.value = value
        sample = Sample(self.device, self.attribute, at, value)
        most = _KEPT if isinstance(value, bool | str) or not self.counts else 1
        if len(self.waiting) >= most:
            self.waiting[-1] = sample
        else:
            self.waiting.append(sample)
        return ended

    def end(self, at: float) -> Mean | None:
        """Return the mean of the minutes that are over by a moment, if it changed in them."""
        running, until = self.running, self.bucket + BUCKET
        if running is None or self.bucket - BUCKET <= at < until:
            return None
        self.running = None
        if at >= until:
            running.change(until, running.value)
        # Else the clock has been set back, and will not come here again for long.
        return self._mean(running)

    def close(self, at: float) -> Mean | None:
        """Return the mean of the minutes that run, before they are over."""
        running, self.running = self.running, None
        if running is None:
            return None
        running.change(at, running.value)
        return self._mean(running)

    def _mean(self, running: Running) -> Mean | None:
        if running.began is None:
            return None
        last = None if running.value is None else self.value
        return Mean(
            self.device,
            self.attribute,
            running.began,
            running.until,
            running.low,
            running.mean(),
            running.high,
            last,
        )


class Recorder:
    """Listens to the house, and hands what it heard to a history."""

    def __init__(self, house: House, clock: Clock, history: History | None, keeps: HistoryConfig) -> None:
        """Record into a history; without one, it is still known what changed a device last, until the process ends."""
        self._clock = clock
        self._history = history
        self._keeps = keeps
        self._values: dict[tuple[str, str], _Value] = {}
        #: Those of which something waits to be written, and those that changed in the minutes that run.
        self._waiting: set[_Value] = set()
        self._running: set[_Value] = set()
        self._means: deque[Mean] = deque(maxlen=_MOST_MEANS)
        #: What changed each device last, by an order and by none.
        self._causes: dict[tuple[str, bool], Cause] = {}
        self._unsaved: dict[tuple[str, bool], Cause] = {}
        self._bucket = self._again = self._written = -math.inf
        self._writing = asyncio.Lock()
        #: Held while somebody looks back, which costs much: one after the other.
        self.looking = asyncio.Lock()
        self._lost = ""
        self._complained = False
        self._end = house.watch(self._heard)

    async def begin(self) -> None:
        """Take over what is known from before; a history that cannot be read is not written either."""
        if self._history is None:
            return
        try:
            for cause in await self._history.causes():
                self._causes.setdefault((cause.device, bool(cause.by)), cause)
            await self._history.begin(self._clock.now())
        except SiteError as error:
            log.error("%s; nothing is recorded", error.message)
            await self._history.close()
            self._history = None

    # -- hearing ------------------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        device, before = event.device, event.before
        if device is None:
            if before is not None:
                self._take(before.id, dict.fromkeys(before.state))
            return
        if before is None or before.available != device.available:
            state = device.state if device.available else dict.fromkeys(device.state)
            self._take(device.id, state)
        elif device.available:
            change = event.change
            gone = before.state.keys() - device.state.keys()
            if change or gone:
                self._take(device.id, {**change, **dict.fromkeys(gone)})
        if before is not None and event.news:
            self._blame(device, event)

    def _blame(self, device: Device, event: Event) -> None:
        told = {name: _short(value) for name, value in event.change.items() if name not in _UNRECORDED}
        if told:
            cause = Cause(device.id, self._clock.now(), _text(event.by, _LONGEST_ORDER), told)
            key = device.id, bool(event.by)
            if key not in self._causes and len(self._causes) >= _MOST_CAUSES:
                del self._causes[next(iter(self._causes))]
            self._causes[key] = self._unsaved[key] = cause

    def _take(self, device_id: str, state: State) -> None:
        """Take note of values as they are from now on."""
        if self._history is None:
            return
        now = self._clock.now()
        for name, heard in state.items():
            value = _short(heard)
            known = self._values.get((device_id, name))
            if known is None:
                if value is None or name in _UNRECORDED or not self._room():
                    continue
                known = self._values[device_id, name] = _Value(device_id, name)
            elif known.value == value:
                continue
            if (mean := known.change(now, value)) is not None:
                self._means.append(mean)
            self._waiting.add(known)
            if known.running is not None:
                self._running.add(known)

    def _room(self) -> bool:
        if len(self._values) < _MOST_VALUES:
            return True
        if not self._complained:
            self._complained = True
            log.error("history: more than %d values: the rest is not recorded", _MOST_VALUES)
        return False

    # -- writing ------------------------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Write every ten seconds, for ever."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Write what was heard."""
        async with self._writing:
            if self._history is None:
                self._unsaved.clear()
                return
            now = self._clock.now()
            self._end_minutes(now)
            if self._waiting or self._means or self._unsaved or now - self._written >= _ALIVE:
                await self._write(self._history, now)

    def _end_minutes(self, now: float) -> None:
        """Work out the means of minutes that are over; and tell again now and then what stays as it is."""
        bucket = now // BUCKET
        if bucket != self._bucket:
            self._bucket = bucket
            ended = [(value, value.end(now)) for value in self._running]
            self._means.extend(mean for _, mean in ended if mean is not None)
            self._running = {value for value, _ in ended if value.running is not None}
            for key in [key for key, value in self._values.items() if value.value is None and value.running is None]:
                # Nobody knows it any more; what is yet to be written of it waits all the same.
                del self._values[key]
        if now // _AGAIN != self._again:
            self._again = now // _AGAIN
            for value in self._values.values():
                if not value.waiting and value.value is not None:
                    value.waiting.append(Sample(value.device, value.attribute, now, value.value))
                    self._waiting.add(value)

    async def _write(self, history: History, now: float) -> None:
        samples = [sample for value in self._waiting for sample in value.waiting]
        for value in self._waiting:
            value.waiting.clear()
        means, causes = list(self._means), list(self._unsaved.values())
        self._waiting.clear()
        self._means.clear()
        self._unsaved.clear()
        self._written = now
        keeps = self._keeps
        try:
            await history.write(Batch(now, samples, means, causes, now - keeps.changes, now - keeps.means))
        except SiteError as error:
            # Once for each reason, not every ten seconds of a full disk.
            if error.message != self._lost:
                log.error("%s; what was heard is lost", error.message)
            self._lost = error.message
        else:
            self._lost = ""

    async def close(self) -> None:
        """Write what is left, the minutes that run as far as they have, and let go."""
        self._end()
        now = self._clock.now()
        self._means.extend(mean for value in self._running if (mean := value.close(now)) is not None)
        self._running.clear()
        await self.flush()
        if self._history is not None:
            await self._history.close()

    # -- telling ------------------------------------------------------------------------------------------------------

    async def read(self, device: str, attribute: str, since: float, until: float, *, fine: bool) -> Sequence[Stretch]:
        """Return how a value was until now; raises Unavailable when that is not known."""
        if self._history is None:
            raise Unavailable("no history is recorded", "`record` in [history] of sshhome.toml, or the server's log")
        await self.flush()
        try:
            return await self._history.read(device, attribute, since, min(until, self._clock.now()), fine=fine)
        except SiteError as error:
            raise Unavailable(error.message) from None

    def cause(self, device: str, by: Literal["order", "itself"]) -> Cause | None:
        """Return what changed a device last, by an order or by none."""
        return self._causes.get((device, by == "order"))


def _short(value: Scalar) -> Scalar:
    """Return a value as it is recorded: what no database takes is not known."""
    if isinstance(value, str):
        return _text(value, _LONGEST)
    if isinstance(value, bool) or value is None:
        return value
    return value if -_LARGEST < value < _LARGEST else None


def _text(text: str, longest: int) -> str:
    return text[:longest].encode(errors="replace").decode()
