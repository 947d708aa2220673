"""A schedule is an order that is given by itself: at a time, again and again, or when the house becomes so.

It is kept as it was typed, and decided anew each time it runs. That a run has begun is in the store before it does, and
how it ended after: whenever the server is killed, nothing runs twice, and what nobody knows the end of is told.
"""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from sshhome import upcoming
from sshhome.clock import Clock
from sshhome.condition import HouseState, parse_house
from sshhome.errors import BadArguments
from sshhome.store import Run, Schedule, Store
from sshhome.upcoming import Place

#: Schedules of one user that are not over, and those that are and still told of; the runs of one, and its characters.
_MOST, _MOST_OVER, _MOST_RUNS, _LONGEST = 100, 10, 5, 1000
#: Characters of what is kept of an answer.
_SAYS = 300
#: Times in a row that are counted, since something missed them all: to find each takes a while, and all wait for it.
_COUNTED = 100
#: Seconds by which a clock that was wrong is put back: by less, what has run is not due again.
PUT_BACK = 3600.0
AT, IN, EVERY, WHEN = "at", "in", "every", "when"


def kind(schedule: Schedule) -> str:
    """Return the order by which it was made: `at`, `in`, `every` or `when`."""
    return schedule.when.partition(" ")[0]


def is_over(schedule: Schedule) -> bool:
    """Return whether it was for one time, which has come."""
    return schedule.due is None and kind(schedule) in {AT, IN}


class Schedules:
    """All schedules, in memory and in the store."""

    def __init__(self, store: Store, clock: Clock, place: Place) -> None:
        """Start with none; see `load`."""
        self._store = store
        self._clock = clock
        self.place = place
        self._number = 0
        self._known: dict[int, Schedule] = {}
        #: When what was asked for `in` a while is due on the monotonic clock, which nobody puts.
        self._elapsed: dict[int, float] = {}
        #: What ran by a clock that showed more than it did as the server started: it has run, whichever was wrong.
        self._ahead: frozenset[tuple[int, float]] = frozenset()
        #: By device what it sets off: the number of a schedule, and what is to become of the device.
        self.triggers: dict[str, dict[int, HouseState]] = {}
        #: Set whenever something may be due sooner than it was.
        self.news = asyncio.Event()

    async def load(self) -> Sequence[Schedule]:
        """Take over what the store knows, and return what was running when the server ended; raises SiteError."""
        now, cut = self._clock.now(), list[Schedule]()
        for schedule in await self._store.schedules():
            self._number = max(self._number, schedule.number)
            unknown = [run for run in schedule.runs if run.begun is not None and run.ended is None]
            runs = tuple(
                replace(run, ended=run.begun, says="nobody knows how it ended: the server did not live to see it")
                if run in unknown
                else run
                for run in schedule.runs
            )
            self._take(replace(schedule, runs=runs))
            if unknown:
                self._keep(self._known[schedule.number])
                cut.append(self._known[schedule.number])
        ran = [(known.number, run) for known in self.all() for run in known.runs if run.begun is not None]
        self._ahead = frozenset((number, run.due) for number, run in ran if run.due > now)
        self.reckon(now)
        return cut

    def reckon(self, now: float) -> None:
        """Work out anew what is still to come: the clock, its zone or the place of the house may be others.

        What has run is not due again, unless it ran by a clock that was far ahead.
        """
        for schedule in list(self._known.values()):
            if kind(schedule) != EVERY or schedule.paused or (schedule.due is not None and schedule.due <= now):
                continue
            last = max((run.due for run in schedule.runs), default=now)
            after = last if now < last <= now + PUT_BACK else now
            self._plan(schedule, after)

    def move(self, latitude: float | None, longitude: float | None) -> None:
        """See the sun from another place from now on."""
        place = replace(self.place, latitude=latitude, longitude=longitude)
        if place != self.place:
            self.place = place
            self.reckon(self._clock.now())

    # -- asking -------------------------------------------------------------------------------------------------------

    def of(self, user: str) -> Sequence[Schedule]:
        """Return what a user has, the oldest first."""
        return [schedule for schedule in self.all() if schedule.user == user]

    def all(self) -> Sequence[Schedule]:
        """Return the schedules of all users, the oldest first."""
        return [schedule for _, schedule in sorted(self._known.items())]

    def get(self, number: int) -> Schedule | None:
        """Return the schedule of a number, if there is one."""
        return self._known.get(number)

    def due(self) -> Sequence[Schedule]:
        """Return what is due, the longest due first."""
        now, elapsed = self._clock.now(), self._clock.monotonic()
        found = [s for s in self._known.values() if not s.paused and s.due is not None]
        found = [s for s in found if s.due is not None and (s.due <= now or self._is_elapsed(s, elapsed))]
        return sorted(found, key=lambda schedule: (schedule.due, schedule.number))

    def _is_elapsed(self, schedule: Schedule, elapsed: float) -> bool:
        at = self._elapsed.get(schedule.number)
        return at is not None and at <= elapsed

    def soonest(self) -> float | None:
        """Return in how many seconds the next is due; None if none is."""
        now, elapsed = self._clock.now(), self._clock.monotonic()
        waits = [s.due - now for s in self._known.values() if not s.paused and s.due is not None]
        waits += [at - elapsed for number, at in self._elapsed.items() if not self._known[number].paused]
        return min(waits, default=None)

    def passed(self, schedule: Schedule, now: float) -> tuple[Sequence[float], float | None]:
        """Return the times of a schedule that have come, up to a hundred, and the one that is next."""
        assert schedule.due is not None  # noqa: S101 (whoever calls has looked)
        times = [schedule.due]
        at = self._after(schedule, schedule.due)
        while at is not None and at <= now and len(times) < _COUNTED:
            times.append(at)
            at = self._after(schedule, at)
        return times, self._after(schedule, now) if at is not None and at <= now else at

    def _after(self, schedule: Schedule, after: float) -> float | None:
        if kind(schedule) != EVERY:
            return None
        try:
            often = upcoming.repeated(schedule.when.partition(" ")[2])
            at = often.next(after, self.place)
            while at is not None and (schedule.number, at) in self._ahead:
                at = often.next(at, self.place)
        except BadArguments:
            # The house has lost the place from where it sees the sun.
            at = None
        return at

    # -- making and ending --------------------------------------------------------------------------------------------

    def add(self, user: str, when: str, line: str, due: float | None, missed: str = "skip") -> Schedule:
        """Make a schedule; raises BadArguments where there are too many, or it is too long."""
        if len(when) + len(line) > _LONGEST:
            raise BadArguments(f"a schedule may be {_LONGEST} characters long")
        if sum(not is_over(schedule) for schedule in self.of(user)) >= _MOST:
            raise BadArguments(f"no more than {_MOST} schedules", "`schedule list` lists them")
        self._number += 1
        schedule = Schedule(self._number, user, when, line, self._clock.now(), due, missed)
        self._take(schedule)
        self._keep(schedule)
        return schedule

    def pause(self, schedule: Schedule, why: str) -> Schedule:
        """Let a schedule rest until it is resumed."""
        return self._keep(replace(schedule, paused=why))

    def resume(self, schedule: Schedule) -> Schedule:
        """Let a schedule go on, with what is to come; raises BadArguments for what has had its time."""
        if is_over(schedule) or (kind(schedule) in {AT, IN} and (schedule.due or 0) <= self._clock.now()):
            raise BadArguments("its time has gone by", f"`schedule remove {schedule.number}` removes it")
        running = replace(schedule, paused="")
        if kind(schedule) != EVERY:
            return self._keep(running)
        self._known[schedule.number] = replace(running, due=None)
        return self._plan(self._known[schedule.number], self._clock.now())

    def rest(self, user: str, why: str) -> int:
        """Pause all that a user has and that is not over, and return how many these are."""
        resting = [schedule for schedule in self.of(user) if not schedule.paused and not is_over(schedule)]
        for schedule in resting:
            self.pause(schedule, why)
        return len(resting)

    def remove(self, schedule: Schedule) -> None:
        """Forget a schedule."""
        self._drop(schedule.number)
        self._store.remove_schedule(schedule.number)

    def people(self) -> Sequence[str]:
        """Return who has schedules."""
        return list({schedule.user for schedule in self._known.values()})

    def forget(self, user: str) -> None:
        """Forget a user who is gone, as the store's `forget_user` does."""
        for schedule in self.of(user):
            self._drop(schedule.number)

    # -- running ------------------------------------------------------------------------------------------------------

    def begin(self, schedule: Schedule, due: float, following: float | None) -> None:
        """Note that a run begins, and when the next one will; it may once the store has settled."""
        self._ran(replace(schedule, due=following), Run(due, begun=self._clock.now()))
        self._elapsed.pop(schedule.number, None)

    def end(self, number: int, due: float, status: int, says: str) -> None:
        """Note how a run ended; of what was removed meanwhile nothing is kept."""
        schedule = self._known.get(number)
        if schedule is None:
            return
        ended = [
            replace(run, ended=self._clock.now(), status=status, says=says[:_SAYS])
            if run.due == due and run.begun is not None and run.ended is None
            else run
            for run in schedule.runs
        ]
        self._keep(replace(schedule, runs=tuple(ended)))
        self._tidy(schedule.user)

    def miss(self, schedule: Schedule, due: float, following: float | None, says: str) -> None:
        """Note that a time came and nothing was run, and why; the same reason again is the last time's alone."""
        if not (schedule.runs and schedule.runs[-1].begun is None and schedule.runs[-1].says == says):
            self._ran(replace(schedule, due=following), Run(due, says=says[:_SAYS]))
        elif kind(schedule) != WHEN:
            self._keep(replace(schedule, due=following, runs=(*schedule.runs[:-1], Run(due, says=says[:_SAYS]))))
        self._elapsed.pop(schedule.number, None)
        self._tidy(schedule.user)

    def _ran(self, schedule: Schedule, run: Run) -> None:
        runs = [*schedule.runs, run]
        if len(runs) > _MOST_RUNS:
            # Not the one that is under way, whose end is still to be kept.
            runs.remove(next(one for one in runs if one.begun is None or one.ended is not None))
        self._keep(replace(schedule, runs=tuple(runs)))

    def _plan(self, schedule: Schedule, after: float) -> Schedule:
        """Keep when a schedule is next, if that is not as it was."""
        due = self._after(schedule, after)
        known = self._known[schedule.number]
        return known if known == (new := replace(schedule, due=due)) and due is not None else self._keep(new)

    def _tidy(self, user: str) -> None:
        """Forget what has been over for the longest."""
        over = [schedule for schedule in self.of(user) if is_over(schedule)]
        for schedule in over[: max(0, len(over) - _MOST_OVER)]:
            self.remove(schedule)

    def _keep(self, schedule: Schedule) -> Schedule:
        self._known[schedule.number] = schedule
        self._store.put_schedule(schedule)
        self.news.set()
        return schedule

    def _take(self, schedule: Schedule) -> None:
        self._known[schedule.number] = schedule
        if kind(schedule) == IN and schedule.due is not None:
            self._elapsed[schedule.number] = self._clock.monotonic() + schedule.due - self._clock.now()
        if kind(schedule) == WHEN:
            try:
                (state,) = parse_house(schedule.when.partition(" ")[2])
            except BadArguments:
                # Written by a version that knew other words: it waits for nothing.
                return
            self.triggers.setdefault(state.device_id, {})[schedule.number] = state

    def _drop(self, number: int) -> None:
        del self._known[number]
        self._elapsed.pop(number, None)
        for of_device in self.triggers.values():
            of_device.pop(number, None)
