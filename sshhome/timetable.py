"""Gives the orders that are due, and those that what happens in the house sets off, by the one road that there is.

Each is judged when it runs, by what its user may do at that moment, and nobody is there who could prove more.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection, Sequence
from functools import partial

from sshhome.audit import Audit, Flood
from sshhome.dispatch import Dispatch
from sshhome.errors import Internal, SiteError
from sshhome.house import Event
from sshhome.limits import Rate
from sshhome.render import Look, render
from sshhome.schedule import IN, PUT_BACK, WHEN, kind
from sshhome.session import Session, Standing, unattended
from sshhome.store import Schedule

log = logging.getLogger(__name__)

#: Seconds between two looks at the clock on the wall, which may have been put, or the machine slept, meanwhile.
_LOOK_EVERY = 30.0
#: Seconds until the next look, the fewest, and while what is due waits since too much is run at once.
_SOONEST, _AGAIN = 0.01, 1.0
#: Seconds that a run may be late and still be on time, as after a restart; and how late what is to be run late may be.
_ON_TIME, _LATEST = 300.0, 86400.0
#: Runs of one user in a minute, and of one reaction; how many reactions may set off one another.
_OF_USER, _OF_REACTION, _DEEPEST = 20, 10, 4
#: Seconds after a run for which what happens to the devices that it has reached is put down to it.
_LINGERS = 10.0
_BY = re.compile(r"\(schedule ([0-9]+)\)$", re.ASCII)
#: The schedules that set off one another, the first first.
_Path = tuple[int, ...]


class Timetable:
    """Runs schedules when they are due, and reactions when their device becomes so."""

    def __init__(self, dispatch: Dispatch) -> None:
        """Begin with the house as it is; see `watch`."""
        self._dispatch = dispatch
        self._schedules = dispatch.schedules
        self._audit: Audit = dispatch.audit
        self._clock = dispatch.clock
        self._stopped = Flood(self._audit, self._clock, "schedule.stopped")
        self._of_user = Rate(_OF_USER, _OF_USER, self._clock.monotonic)
        self._of_reaction = Rate(_OF_REACTION, _OF_REACTION, self._clock.monotonic)
        self._running: dict[int, asyncio.Task[None]] = {}
        #: By reaction whether its device is so, as far as that is known.
        self._is_so: dict[int, bool] = {}
        #: By reaction what has set off its last run, and itself.
        self._paths: dict[int, _Path] = {}
        #: By device whose run has reached it, and until when that counts.
        self._reached: dict[str, tuple[_Path, float]] = {}
        self._seen = self._clock.now()
        self._closed = False
        self._end_watching = dispatch.house.watch(self._heard)

    async def load(self) -> None:
        """Take over what the store knows, and tell of what was running when the server ended; raises SiteError."""
        for schedule in await self._schedules.load():
            self._audit.write("schedule.unknown", **_facts(schedule))

    async def watch(self) -> None:
        """Run what is due, for ever."""
        while True:
            self._schedules.news.clear()
            try:
                self.look()
            except Exception as error:
                # A bug today must not let all that is due tomorrow be forgotten.
                log.error("the timetable", exc_info=error)
            soonest = self._schedules.soonest()
            wait = _LOOK_EVERY if soonest is None else min(soonest, _LOOK_EVERY) if soonest > 0 else _AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _SOONEST)):
                    await self._schedules.news.wait()

    def look(self) -> None:
        """Begin what is due."""
        if self._closed:
            return
        now = self._clock.now()
        if now < self._seen - PUT_BACK:
            self._schedules.reckon(now)
        self._seen = now
        self._stopped.tick()
        for kept in (self._is_so, self._paths):
            for number in [number for number in kept if self._schedules.get(number) is None]:
                del kept[number]
        waiting = set[str]()
        for schedule in self._schedules.due():
            if schedule.user in waiting:
                continue
            try:
                if not self._due(schedule, now):
                    waiting.add(schedule.user)
            except Exception as error:
                # A bug with one must not keep all others from their time.
                log.error("schedule %d", schedule.number, exc_info=error)
                self._schedules.miss(schedule, now, None, "did not run: it failed by our own fault")

    async def close(self) -> None:
        """Begin nothing any more, and wait for what runs."""
        self._closed = True
        self._end_watching()
        while self._running:
            await asyncio.wait(self._running.values())
        self._stopped.tell()

    # -- by time ------------------------------------------------------------------------------------------------------

    def _due(self, schedule: Schedule, now: float) -> bool:
        """Begin a run, unless it is too late for it; returns False where too much of its user runs at once."""
        times, following = self._schedules.passed(schedule, now)
        late = now - times[-1]
        if schedule.number in self._running:
            self._miss(schedule, times, following, "the run before it had not ended")
        elif late > _ON_TIME and (schedule.missed == "skip" or (late > _LATEST and kind(schedule) != IN)):
            self._miss(schedule, times, following, "the server was not running then")
        elif self._of_user.take(schedule.user):
            return False
        else:
            if len(times) > 1:
                self._audit.write(
                    "schedule.missed", **_facts(schedule), count=len(times) - 1, reason="one run stands for them all"
                )
            self._start(schedule, times[-1], following, ())
        return True

    def _miss(self, schedule: Schedule, times: Sequence[float], following: float | None, why: str) -> None:
        self._schedules.miss(schedule, times[-1], following, f"did not run: {why}")
        self._audit.write("schedule.missed", **_facts(schedule), count=len(times), reason=why)

    # -- by what happens ----------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        """Begin what a change of a device sets off: that it has become so, and not that it is."""
        if event.device is None:
            return
        for number, state in list(self._schedules.triggers.get(event.id, {}).items()):
            known = self._is_so.get(number)
            if known is None and event.before is not None:
                known = state.holds({event.id: event.before})
            is_so = state.holds({event.id: event.device})
            if is_so is None:
                # What cannot be known now is as it was last known to be.
                is_so = known
            if is_so is not None:
                self._is_so[number] = is_so
            schedule = self._schedules.get(number)
            if is_so and known is False and schedule is not None and not schedule.paused and not self._closed:
                self._react(schedule, event)

    def _react(self, schedule: Schedule, event: Event) -> None:
        assert event.device is not None  # noqa: S101 (whoever calls has looked)
        session = self._session(schedule)
        if isinstance(standing := session.standing(), str):
            self._pause(schedule, standing)
            return
        if not self._dispatch.sight(session)(event.device):
            # It would tell how a device is that its user may not know of.
            return
        path = self._cause(event)
        if schedule.number in path:
            chain = " and ".join(f"schedule {number}" for number in path)
            self._stop(schedule, f"{chain} has set it off, and it would go on for ever")
        elif len(path) >= _DEEPEST:
            self._stop(schedule, f"more than {_DEEPEST} schedules would set off one another")
        elif schedule.number in self._running:
            self._stop(schedule, "the run before it had not ended")
        elif self._of_reaction.take(str(schedule.number)) or self._of_user.take(schedule.user):
            self._stop(schedule, "it happens too often")
        else:
            self._start(schedule, self._clock.now(), None, path)

    def _cause(self, event: Event) -> _Path:
        """Return the schedules that a change comes from, the bringing back of what one did for a while included."""
        if (by := _BY.search(event.by)) is not None:
            return self._paths.get(int(by[1]), (int(by[1]),))
        if event.by:
            return ()
        path, until = self._reached.get(event.id, ((), 0.0))
        return path if self._clock.monotonic() < until else ()

    def _stop(self, schedule: Schedule, why: str) -> None:
        self._schedules.miss(schedule, self._clock.now(), None, f"did not run: {why}")
        self._stopped.write(**_facts(schedule), reason=why)

    # -- running ------------------------------------------------------------------------------------------------------

    def _session(self, schedule: Schedule) -> Session:
        def standing() -> Standing | str:
            user = self._dispatch.users.get(schedule.user)
            if user is None:
                return "your user was removed"
            return user.shut_out(self._clock.now()) or Standing(user, user.rights, kept=True)

        return unattended(schedule.user, standing, self._clock.now(), schedule.number)

    def _start(self, schedule: Schedule, due: float, following: float | None, cause: _Path) -> None:
        self._schedules.begin(schedule, due, following)
        path = (*cause, schedule.number)
        if kind(schedule) == WHEN:
            self._paths[schedule.number] = path
        task = asyncio.get_running_loop().create_task(self._run(schedule, due, path))
        self._running[schedule.number] = task
        task.add_done_callback(partial(self._ended, schedule.number))

    def _ended(self, number: int, _: asyncio.Task[None]) -> None:
        del self._running[number]
        # Something may have come due while it ran.
        self._schedules.news.set()

    async def _run(self, schedule: Schedule, due: float, path: _Path) -> None:
        """Give the order of a schedule, once it is kept that it is given."""
        number = schedule.number
        try:
            await self._dispatch.store.settle()
        except SiteError as error:
            self._schedules.end(number, due, error.status, f"did not run: {error.message}")
            self._audit.write("schedule.missed", **_facts(schedule), count=1, reason=error.message)
            return
        known = self._schedules.get(number)
        if known is None or known.paused:
            self._schedules.end(number, due, 0, f"did not run: {known.paused}" if known else "")
            return
        session = self._session(schedule)
        reached: set[str] = set()
        session.reaching = partial(self._reaching, path, reached)
        status, says = 0, ""
        try:
            async for outcome in self._dispatch.run_line(session, schedule.line):
                status = status or outcome.status
                if outcome.stream is not None:
                    # Nobody listens.
                    await outcome.stream.aclose()
                elif outcome.answers and outcome.order is not None and outcome.order.is_secret:
                    says += "what it answered may be secret, so that it was not kept\n"
                else:
                    says += "".join(render(outcome, Look()))
        except Exception as error:
            # A bug with one answer costs that answer alone.
            log.error("schedule %d", number, exc_info=error)
            status, says = Internal.status, "it failed by our own fault"
        until = self._clock.monotonic() + _LINGERS
        for device_id in reached:
            if self._reached.get(device_id, ((), 0.0))[0] is path:
                self._reached[device_id] = (path, until)
        self._schedules.end(number, due, status, says.strip())
        if isinstance(standing := session.standing(), str) and self._schedules.get(number) is not None:
            self._pause(self._schedules.get(number) or schedule, standing)

    def _reaching(self, path: _Path, reached: set[str], devices: Collection[str]) -> None:
        """Note which devices an order of a run is about to reach."""
        reached.update(devices)
        now = self._clock.monotonic()
        self._reached = {id_: told for id_, told in self._reached.items() if told[1] > now}
        self._reached.update(dict.fromkeys(devices, (path, float("inf"))))

    def _pause(self, schedule: Schedule, why: str) -> None:
        self._schedules.pause(schedule, why)
        self._audit.write("schedule.paused", **_facts(schedule), reason=why)


def _facts(schedule: Schedule) -> dict[str, object]:
    """Return what the audit log shall know of a schedule."""
    return {"user": schedule.user, "schedule": schedule.number, "order": schedule.line}
