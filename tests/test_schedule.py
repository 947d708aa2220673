"""What is kept of orders that are given later: by whom, until when, and how they went."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.errors import BadArguments
from sshhome.schedule import Schedules, is_over
from sshhome.store import Run, Schedule
from sshhome.stores.sqlite import SqliteStore
from sshhome.upcoming import Place
from tests.conftest import NOON, FixedClock

BERLIN = Place(ZoneInfo("Europe/Berlin"), 52.52, 13.405)
DAY = 86400.0
#: Half past ten in the evening of that day.
EVENING = NOON + 8.5 * 3600


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


async def loaded(store: SqliteStore, clock: FixedClock, place: Place = BERLIN) -> Schedules:
    """Return what a server knows that has just started."""
    schedules = Schedules(store, clock, place)
    await schedules.load()
    return schedules


async def test_they_outlive_the_server(store: SqliteStore, clock: FixedClock) -> None:
    """What was made is there after a restart, and the next has a number of its own."""
    schedules = await loaded(store, clock)
    made = [
        schedules.add("anna", "at 22:30", "on hall", EVENING, "run"),
        schedules.add("kid", "every day 22:30", "on hall", EVENING),
        schedules.add("anna", "when light.hall.on = on", "off hall", None),
    ]
    again = await loaded(store, clock)
    assert list(again.all()) == made
    assert again.add("anna", "in 1 min", "time", NOON + 60).number == 4
    assert again.triggers.keys() == {"light.hall"}


async def test_what_waits_for_a_word_that_is_no_more(store: SqliteStore, clock: FixedClock) -> None:
    """A reaction that is not understood any more waits for nothing, and keeps no server from starting."""
    store.put_schedule(Schedule(1, "anna", "when light.hall.glow = pink", "off hall", NOON))
    schedules = await loaded(store, clock)
    assert schedules.triggers == {}
    assert len(schedules.all()) == 1


async def test_a_house_that_has_lost_its_place(store: SqliteStore, clock: FixedClock) -> None:
    """Without coordinates what goes by the sun is never due; with them it is again."""
    schedules = await loaded(store, clock)
    made = schedules.add("anna", "every day sunset", "on porch", EVENING)
    lost = await loaded(store, clock, Place(BERLIN.zone))
    assert [schedule.due for schedule in lost.all()] == [None]
    assert not is_over(lost.all()[0])
    found = await loaded(store, clock)
    assert 0 < (found.all()[0].due or 0) - (made.due or 0) + DAY < DAY


async def test_what_is_removed_while_it_runs_is_gone(store: SqliteStore, clock: FixedClock) -> None:
    """The end of a run brings nothing back that was removed meanwhile."""
    schedules = await loaded(store, clock)
    made = schedules.add("anna", "every day 22:30", "on hall", EVENING)
    schedules.begin(made, EVENING, EVENING + DAY)
    schedules.remove(made)
    schedules.end(made.number, EVENING, 0, "hall is on")
    assert list(await store.schedules()) == []


async def test_the_last_runs_are_kept(store: SqliteStore, clock: FixedClock) -> None:
    """Of many runs the last five are; of several in a row that did not run for one reason the last."""
    schedules = await loaded(store, clock)
    number = schedules.add("anna", "every day 22:30", "on hall", EVENING).number

    def known() -> Schedule:
        found = schedules.get(number)
        assert found is not None
        return found

    for day in range(7):
        schedules.begin(known(), EVENING + day * DAY, EVENING + day * DAY + DAY)
        schedules.end(number, EVENING + day * DAY, day, "x" * 1000)
    assert [run.status for run in known().runs] == [2, 3, 4, 5, 6]
    assert len(known().runs[0].says) == 300
    for day in range(7, 20):
        schedules.miss(known(), EVENING + day * DAY, EVENING + day * DAY + DAY, "did not run")
    assert [run.status for run in known().runs] == [3, 4, 5, 6, None]
    assert known().runs[-1] == Run(EVENING + 19 * DAY, says="did not run")
    assert known().due == EVENING + 20 * DAY


async def test_resuming(store: SqliteStore, clock: FixedClock) -> None:
    """What is repeated goes on with what is to come; what was for one time goes on if that is still to come."""
    schedules = await loaded(store, clock)
    daily = schedules.pause(schedules.add("anna", "every day 22:30", "on hall", EVENING), "by anna")
    once = schedules.pause(schedules.add("anna", "at 22:30", "on hall", EVENING), "by anna")
    assert (schedules.due(), schedules.soonest()) == ([], None)
    assert schedules.resume(once).due == EVENING
    schedules.pause(schedules.all()[1], "by anna")
    clock.advance(2 * DAY)
    assert schedules.resume(daily).due == EVENING + 2 * DAY
    with pytest.raises(BadArguments, match="its time has gone by"):
        schedules.resume(schedules.all()[1])


async def test_what_is_under_way_is_kept(store: SqliteStore, clock: FixedClock) -> None:
    """However often a reaction is set off meanwhile, the run that is under way is there to be ended."""
    schedules = await loaded(store, clock)
    number = schedules.add("anna", "when light.hall.on = on", "off hall", None).number
    schedules.begin(schedules.all()[0], NOON, None)
    for time in range(1, 10):
        schedules.miss(schedules.all()[0], NOON + time, None, f"did not run: {time}")
    schedules.end(number, NOON, 0, "hall is off")
    assert [run.due for run in schedules.all()[0].runs] == [NOON, *(NOON + time for time in range(6, 10))]
    assert schedules.all()[0].runs[0].says == "hall is off"


async def test_a_clock_that_is_behind_as_the_server_starts(store: SqliteStore, clock: FixedClock) -> None:
    """A machine that keeps no time while it is off starts in the past: what has run is not due again as it is put."""
    schedules = await loaded(store, clock)
    made = schedules.add("anna", "every day 22:30", "toggle hall", EVENING, "run")
    clock.advance(EVENING - NOON)
    schedules.begin(made, EVENING, EVENING + DAY)
    schedules.end(made.number, EVENING, 0, "hall is on")
    clock.step(-7200)
    again = await loaded(store, clock)
    assert [schedule.due for schedule in again.all()] == [EVENING + DAY]
    # Nor is it as the zone or the place of the house are others.
    again.reckon(clock.now())
    assert [schedule.due for schedule in again.all()] == [EVENING + DAY]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["look", "restart", "hour", "day", "back", "forward"]), max_size=30).filter(
        lambda steps: steps.count("back") <= 1
    )
)
async def test_a_time_that_has_run_is_never_due_again(tmp_path: Path, steps: list[str]) -> None:
    """However often it restarts, and however the clock is put by up to an hour, each time runs once and in order."""
    clock = FixedClock()
    store = await SqliteStore.open(tmp_path / f"{len(list(tmp_path.iterdir()))}.db")
    schedules = await loaded(store, clock)
    schedules.add("anna", "every 0 */6 * * *", "time", NOON + 4 * 3600)
    ran: list[float] = []
    for step in steps:
        match step:
            case "restart":
                schedules = await loaded(store, clock)
            case "hour":
                clock.advance(3600)
            case "day":
                clock.advance(DAY)
            case "back":
                clock.step(-3600)
            case "forward":
                clock.step(2000)
        for schedule in schedules.due():
            times, following = schedules.passed(schedule, clock.now())
            ran += times
            schedules.begin(schedule, times[-1], following)
            schedules.end(schedule.number, times[-1], 0, "done")
            assert following is not None
            assert following > clock.now() >= times[-1]
    assert ran == sorted(set(ran))
    assert all(after - before == 6 * 3600 for before, after in pairwise(ran))
    await store.close()
