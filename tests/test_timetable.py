"""Orders that are given by themselves: at their time, once, with what their user may do then, and never for ever."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sshhome import timetable as timetable_module
from sshhome.config import Limits
from sshhome.device import Device
from sshhome.errors import Internal, SiteError
from sshhome.session import Standing, unattended
from sshhome.store import Run, Schedule
from sshhome.timetable import Timetable
from sshhome.upcoming import Place
from tests.client import until
from tests.conftest import FixedClock
from tests.loop import turns
from tests.test_dispatch import USERS, Build, Road, lines_with, make_ready
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

MOTION = "binary_sensor.hall_motion"


class Time:
    """A road on which time passes, and what is due is given."""

    def __init__(self, road: Road, clock: FixedClock) -> None:
        """Begin with nothing kept."""
        self.road, self.clock = road, clock
        self.timetable = Timetable(road.dispatch)

    async def passes(self, seconds: float) -> None:
        """Let time pass, and what is due then run to its end."""
        self.clock.advance(seconds)
        await self.look()

    async def look(self) -> None:
        """Let what is due run to its end, and what that sets off."""
        self.timetable.look()
        await self.rests()

    async def rests(self) -> None:
        """Wait until nothing runs."""
        await turns()
        while self.timetable._running:
            await asyncio.wait(list(self.timetable._running.values()))
            await turns()

    async def plans(self, user: str, line: str, **how: Any) -> Schedule:  # noqa: ANN401 (as `Road.give`)
        """Give an order that makes a schedule, and return that."""
        outcome = await self.road.one(user, line, **how)
        assert outcome.error is None, outcome.error.message
        return self.schedule(outcome.answers[0].value.schedule)

    def schedule(self, number: int) -> Schedule:
        """Return a schedule as it is now."""
        known = self.road.dispatch.schedules.get(number)
        assert known is not None
        return known

    def last(self, number: int) -> Run:
        """Return the last run of a schedule."""
        return self.schedule(number).runs[-1]

    def lamp(self, name: str) -> bool:
        """Return whether a lamp is on."""
        return bool(self.road.dispatch.house.devices[f"light.{name}"].state["on"])

    def is_so(self, device_id: str, **state: Any) -> Device:  # noqa: ANN401 (any values)
        """Let a device report itself."""
        device = self.road.dispatch.house.devices[device_id].with_state(state)
        self.road.report(device)
        return device

    def given(self, event: str = "order.") -> list[tuple[str, int | None, int]]:
        """Return what was given by itself: the order, its schedule, and its status."""
        audit = [e for e in self.road.audit() if e["event"].startswith(event) and e.get("channel") == "schedule"]
        return [(e["order"], e.get("schedule"), e["status"]) for e in audit]

    def told(self, event: str) -> list[tuple[int, str]]:
        """Return what is told of schedules in the audit log: their numbers, and why."""
        return [(e["schedule"], e.get("reason", "")) for e in self.road.audit(event)]

    async def ends(self) -> None:
        """Let what runs end, unless that was done."""
        if not self.timetable._closed:
            await self.timetable.close()

    @contextlib.asynccontextmanager
    async def restarted(self) -> AsyncIterator["Time"]:
        """Return the same house after the server was killed: only what the store has is known."""
        await self.road.dispatch.store.settle()
        if not self.timetable._closed:
            self.timetable._closed = True
            self.timetable._end_watching()
        before = self.road.dispatch.schedules
        self.road.dispatch.schedules = type(before)(self.road.dispatch.store, self.clock, before.place)
        again = Time(self.road, self.clock)
        await again.timetable.load()
        try:
            yield again
        finally:
            await again.ends()


@pytest.fixture
async def time(build: Build, clock: FixedClock) -> AsyncIterator[Time]:
    """Return a road on which time passes; nothing moves in the hall."""
    async with build() as road:
        time = Time(road, clock)
        time.is_so(MOTION, motion=False)
        yield time
        await time.ends()


# -- at its time ------------------------------------------------------------------------------------------------------


async def test_once(time: Time) -> None:
    """An order that is given for later runs at its time, not before and never again, and is told of as such."""
    made = await time.plans("guest", "at 22:30 on hall")
    await time.passes(8.5 * 3600 - 1)
    assert (time.lamp("hall"), time.given()) == (False, [])
    await time.passes(1)
    assert time.lamp("hall")
    assert time.last(made.number) == Run(made.due or 0, made.due, made.due, 0, "hall is on")
    (event,) = (e for e in time.road.audit("order.done") if e["channel"] == "schedule")
    assert (event["user"], event["order"], event["schedule"], event["session"]) == ("guest", "on", made.number, 0)
    assert "source" not in event
    await time.passes(7 * 86400)
    assert time.given() == [("on", made.number, 0)]


async def test_what_is_answered_may_be_secret(time: Time) -> None:
    """A password that an order makes by itself is kept nowhere, though how it ended is."""
    made = await time.plans("admin", "in 1m pass create painter --may 'on hall' --until tomorrow")
    await time.passes(60)
    assert time.road.users.get("painter") is not None
    last = time.last(made.number)
    assert (last.status, last.says) == (0, "what it answered may be secret, so that it was not kept")


async def test_again_and_again(time: Time) -> None:
    """What is repeated runs at each of its times, each once, however often the clock is looked at."""
    made = await time.plans("guest", "every '*/30 * * * *' toggle hall")
    for _ in range(12):
        await time.passes(600)
        await time.look()
    assert time.given() == [("toggle", made.number, 0)] * 4
    assert [run.due for run in time.schedule(made.number).runs] == [(made.due or 0) + 1800 * n for n in range(4)]


async def test_in_a_while_goes_by_the_clock_that_nobody_puts(time: Time) -> None:
    """What was asked for in ten minutes comes in ten, though the clock on the wall was put back meanwhile."""
    await time.plans("guest", "in 10m on hall")
    time.clock.step(-7200)
    await time.passes(599)
    assert not time.lamp("hall")
    await time.passes(1)
    assert time.lamp("hall")


async def test_a_filter_a_macro_and_what_never_ends(time: Time) -> None:
    """A macro is its orders; what goes on for ever is ended at once."""
    await time.road.give("guest", "macro save night 'off all; on hall'")
    made = await time.plans("guest", "in 1m night")
    await time.passes(60)
    stream = await time.plans("guest", "in 1m watch")
    await time.passes(60)
    assert time.given() == [("off", made.number, 0), ("on", made.number, 0), ("watch", stream.number, 0)]
    assert time.last(stream.number).ended is not None


async def test_the_real_loop_runs_what_is_due(time: Time) -> None:
    """The watch wakes up for what is new, and gives it once it is due."""
    watching = asyncio.create_task(time.timetable.watch())
    await turns()
    await time.plans("guest", "in 10m on hall")
    time.clock.advance(600)
    time.road.dispatch.schedules.news.set()
    await until(lambda: time.lamp("hall"))
    watching.cancel()


# -- with what its user may do then -----------------------------------------------------------------------------------


async def test_rights_are_those_of_that_time(time: Time) -> None:
    """Who has lost a right since is refused, and who has been given one may: it is decided when it runs."""
    made = await time.plans("guest", "in 1m on hall")
    time.road.become("guest", 'grants = ["read", "control:light.desk"]')
    await time.passes(60)
    assert not time.lamp("hall")
    assert time.given() == [("on", made.number, 77)]
    assert time.last(made.number).says == "error: you may not operate light.hall"
    assert time.last(made.number).status == 77


async def test_a_window_is_that_of_its_time(time: Time) -> None:
    """What is permitted at its time and not now can be made now; what is not permitted then cannot."""
    time.road.become("guest", "grants = ['read', { allow = 'control:light.*', when = '22:00-23:00' }]")
    made = await time.plans("guest", "at 22:30 on hall")
    refused = await time.road.one("guest", "at 23:30 on hall")
    assert refused.error is not None
    assert (refused.status, refused.error.message) == (
        77,
        "you may not give 'on hall' then: only 22:00-23:00, next tomorrow 22:00",
    )
    await time.passes(8.5 * 3600)
    assert (time.lamp("hall"), time.given()) == (True, [("on", made.number, 0)])


@pytest.mark.parametrize(
    ("became", "why"),
    [
        ("frozen = true", "your user is frozen"),
        ("until = '2026-06-01'", "your user has ended"),
        ("until = '2026-06-01'\nissued_by = 'admin'", "your pass has ended"),
    ],
)
async def test_who_is_shut_out_gives_nothing(time: Time, became: str, why: str) -> None:
    """Of who may not be here nothing is given, and all that was theirs rests, also once they may be here again."""
    text = USERS["guest"]
    made = await time.plans("guest", "every day 22:30 on hall")
    reaction = await time.plans("guest", "when hall_motion = on then on hall")
    time.road.become("guest", f"{became}\n{text}")
    await time.passes(8.5 * 3600)
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert not time.lamp("hall")
    assert time.schedule(made.number).paused == time.schedule(reaction.number).paused == why
    assert time.told("schedule.paused") == [(made.number, why), (reaction.number, why)]
    assert [status for *_, status in time.given()] == [77]
    time.road.become("guest", text)
    await time.passes(86400)
    assert not time.lamp("hall")


async def test_freezing_lets_them_rest(time: Time) -> None:
    """`user freeze` says what rests with the user, and a thaw alone wakes none of it."""
    made = await time.plans("guest", "every day 22:30 on hall")
    await time.plans("guest", "in 1m on hall")
    frozen = await time.road.one("admin", "user freeze guest")
    assert frozen.answers[0].value.says == "guest is frozen; 2 schedules paused"
    await time.road.one("admin", "user thaw guest")
    await time.passes(8.5 * 3600)
    assert time.given() == []
    await time.road.one("guest", f"schedule resume {made.number}")
    await time.passes(86400)
    assert time.given() == [("on", made.number, 0)]


async def test_who_is_removed_leaves_nothing(time: Time) -> None:
    """With a user their schedules go, also from the store, and another of that name has none."""
    await time.plans("guest", "every day 22:30 on hall")
    await time.plans("guest", "when hall_motion = on then on hall")
    await time.road.one("admin", "user remove guest")
    await time.road.one("admin", "user add guest --role guest")
    time.is_so(MOTION, motion=True)
    await time.passes(9 * 3600)
    assert (time.given(), time.lamp("hall")) == ([], False)
    assert list(await time.road.dispatch.store.schedules()) == []


async def test_what_asks_for_more_is_refused_as_it_is_made(time: Time) -> None:
    """Nobody is there to prove anything: an order that wants that cannot be kept, and neither can its proof."""
    asked = (("front_door", "confirm"), ("side_door", "totp"))
    grants = ", ".join(f"{{ allow = 'access:lock.{door}', step_up = '{way}' }}" for door, way in asked)
    time.road.become("guest", f"totp = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'\ngrants = ['read', {grants}]\n")
    session = time.road.session("guest")
    # That it was proved a moment ago helps now, and not then.
    session.proved.update(confirm=time.clock.monotonic(), totp=time.clock.monotonic())
    for line in ("in 1m unlock front_door", "in 1m unlock side_door"):
        (outcome,) = [outcome async for outcome in time.road.dispatch.run_line(session, line)]
        assert outcome.status == 77
        assert "nobody is there" in (outcome.error.message if outcome.error else "")
    for option in ("--yes", "--code 123456"):
        assert (await time.road.one("guest", f"in 1m unlock front_door {option}")).status == 64


async def test_what_asks_for_more_by_then_is_refused_as_it_runs(time: Time) -> None:
    """A proof that is asked for since is given by nobody, not by a macro that says yes either."""
    await time.road.give("resident", "macro save out 'unlock front_door --yes'")
    made = await time.plans("resident", "in 1m unlock front_door")
    time.road.become("resident", "grants = ['read', { allow = 'access:lock.front_door', step_up = 'confirm' }]")
    # As one was that says yes since.
    other = time.road.dispatch.schedules.add("resident", "in 1 min", "out", time.clock.now() + 60)
    await time.passes(60)
    assert time.given() == [("unlock", made.number, 77), ("unlock", other.number, 77)]
    assert "nobody is there" in time.last(made.number).says
    assert time.road.dispatch.house.devices["lock.front_door"].state["locked"]


async def test_what_is_done_by_hand_alone(time: Time) -> None:
    """A macro that has become one which keeps orders, or changes how its user gets in, does neither by itself."""
    for orders in ("in 1m time", "macro save other time", "key remove phone"):
        await time.road.give("resident", "macro save later time")
        made = await time.plans("resident", "in 1m later")
        await time.road.give("resident", f"macro save later '{orders}'")
        await time.passes(60)
        assert (time.last(made.number).status, "by hand alone" in time.last(made.number).says) == (77, True)
    assert time.road.dispatch.macros.find("resident", "other") is None


async def test_no_order_breaks_because_nobody_gives_it(time: Time) -> None:
    """Each order there is can be given by itself, from nowhere, or is refused: none fails by our own fault."""
    dispatch = time.road.dispatch

    def standing() -> Standing:
        user = time.road.user("admin")
        return Standing(user, user.rights, kept=True)

    for line in lines_with():
        make_ready(time.road, "admin")
        session = unattended("admin", standing, time.clock.now(), 1)
        for outcome in [outcome async for outcome in dispatch.run_line(session, line)]:
            assert outcome.status != Internal.status, line
            if outcome.stream is not None:
                await outcome.stream.aclose()
        time.road.reset()


@pytest.mark.parametrize("key", ['sshhome-role="viewer"', 'expiry-time="20270101"'])
async def test_a_narrower_key_keeps_nothing(time: Time, key: str) -> None:
    """Who came with less than all that they may, or with a pass, has nothing kept that would be given with all."""
    for line in ("in 1m on hall", "at 22:30 on hall", "every day 22:30 on hall", "when hall_motion = on then on hall"):
        assert (await time.road.one("resident", line, key=key)).status == 77
    assert (await time.road.one("plumber", "in 1m lock side_door")).status == 77


async def test_orders_of_schedules_are_counted_by_themselves(build: Build, clock: FixedClock) -> None:
    """What is given by itself leaves its user what they may give by hand, and has no more than that itself."""
    async with build(limits=Limits(orders_per_minute=3, order_burst=3)) as road:
        time = Time(road, clock)
        for _ in range(5):
            road.dispatch.schedules.add("guest", "in 1 min", "toggle hall", clock.now() + 60)
        await time.passes(60)
        assert sorted(status for *_, status in time.given()) == [0, 0, 0, 75, 75]
        assert [(await road.one("guest", "time")).status for _ in range(3)] == [0, 0, 0]
        await time.timetable.close()


async def test_too_many_at_once_wait(time: Time) -> None:
    """Of very many that are due at the same time some run a little later, and none is left out."""
    for _ in range(30):
        await time.plans("guest", "at 22:30 time")
    await time.passes(8.5 * 3600)
    assert len(time.given()) == 20
    for _ in range(40):
        await time.passes(1)
    assert len(time.given()) == 30


async def test_what_waits_costs_nothing(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """While too much is due at once, not all that waits is looked at again and again."""
    for _ in range(40):
        await time.plans("guest", "every --missed run '* * * * *' time")
    await time.passes(3600)
    assert len(time.given()) == 20
    looked = list[int]()
    passed = time.road.dispatch.schedules.passed

    def counted(schedule: Schedule, now: float) -> tuple[Sequence[float], float | None]:
        looked.append(schedule.number)
        return passed(schedule, now)

    monkeypatch.setattr(time.road.dispatch.schedules, "passed", counted)
    await time.look()
    assert len(looked) == 1


async def test_of_what_is_over_nothing_is_kept(time: Time) -> None:
    """What has run once, and a reaction that is removed, are forgotten whole."""
    for _ in range(30):
        await time.plans("guest", "in 1m time")
        await time.passes(60)
    reaction = await time.plans("guest", "when hall_motion = on then on hall")
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert len(time.given()) == 31
    await time.road.one("guest", f"schedule remove {reaction.number}")
    await time.look()
    assert (time.timetable._paths, time.timetable._is_so, time.timetable._running) == ({}, {}, {})


# -- what is missed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "late", "runs"),
    [
        ("at 22:30 on hall", 299, True),
        ("at 22:30 on hall", 301, False),
        ("at --missed run 22:30 on hall", 301, True),
        ("at --missed run 22:30 on hall", 86399, True),
        ("at --missed run 22:30 on hall", 86401, False),
        ("in 510m on hall", 301, True),
        ("in 510m on hall", 7 * 86400, True),
        ("every day 22:30 on hall", 299, True),
        ("every day 22:30 on hall", 301, False),
        ("every --missed run day 22:30 on hall", 301, True),
    ],
)
async def test_what_was_missed(time: Time, line: str, late: float, *, runs: bool) -> None:
    """A few minutes late is on time; else what was missed is left out, or run late where that was asked for."""
    made = await time.plans("guest", line)
    await time.passes(8.5 * 3600 + late)
    assert time.lamp("hall") == runs
    if runs:
        assert (time.told("schedule.missed"), time.last(made.number).status) == ([], 0)
    else:
        assert time.told("schedule.missed") == [(made.number, "the server was not running then")]
        assert time.last(made.number).says == "did not run: the server was not running then"
    await time.passes(1)
    assert len(time.given()) == runs


async def test_several_that_were_missed_are_one(time: Time) -> None:
    """Of several times that were missed one run stands for all, and how many there were is told."""
    late = await time.plans("guest", "every --missed run day 22:30 on hall")
    never = await time.plans("guest", "every day 22:30 on desk")
    await time.passes(3 * 86400 + 12 * 3600)
    counted = {e["schedule"]: e["count"] for e in time.road.audit("schedule.missed")}
    assert counted == {late.number: 3, never.number: 4}
    assert time.given() == [("on", late.number, 0)]
    assert (time.schedule(never.number).due or 0) > time.clock.now()


async def test_the_latest_of_many_is_on_time(time: Time) -> None:
    """What runs every minute runs on after a sleep, and tells what it has missed, however much that is."""
    made = await time.plans("guest", "every '* * * * *' time")
    await time.passes(86400 * 30)
    # So many are not counted one by one.
    (missed,) = time.road.audit("schedule.missed")
    assert missed["count"] == 100
    await time.passes(60)
    await time.passes(180)
    assert time.given() == [("time", made.number, 0)] * 2


async def test_the_clock_is_put_back(time: Time) -> None:
    """What has run is not due again as the clock shows its time again; a clock that was a day ahead costs no day."""
    made = await time.plans("guest", "every day 22:30 on hall")
    await time.passes(8.5 * 3600 + 60)
    time.clock.step(-1800)
    await time.look()
    await time.passes(1800)
    assert time.given() == [("on", made.number, 0)]
    time.clock.step(86400 * 3 + 7200)
    await time.look()
    await time.passes(60)
    time.clock.step(-86400 * 3 - 7200)
    await time.look()
    await time.passes(86400)
    assert time.given() == [("on", made.number, 0)] * 2


async def test_a_run_that_is_not_over(time: Time) -> None:
    """What is due while its last run has not ended is left out, and that is told."""
    holding = asyncio.Event()

    async def held(device: Device, change: Mapping[str, object]) -> None:
        await holding.wait()

    made = await time.plans("guest", "every '* * * * *' on hall")
    time.road.backend.apply = held  # type: ignore[method-assign]  # (one that takes its time)
    time.clock.advance(60)
    time.timetable.look()
    await turns()
    time.clock.advance(60)
    time.timetable.look()
    assert time.told("schedule.missed") == [(made.number, "the run before it had not ended")]
    await time.road.give("guest", f"schedule remove {made.number}")
    holding.set()
    time.is_so("light.hall", on=True)
    await time.rests()
    assert time.road.dispatch.schedules.get(made.number) is None


# -- once, whatever happens -------------------------------------------------------------------------------------------


async def test_killed_before_it_began(time: Time) -> None:
    """What was due while the server was dead, a moment ago, runs once it lives, and once."""
    made = await time.plans("guest", "at 22:30 on hall")
    async with time.restarted() as again:
        await again.passes(8.5 * 3600 + 30)
        assert again.given() == [("on", made.number, 0)]
    async with again.restarted() as third:
        await third.look()
        assert third.given() == [("on", made.number, 0)]
        assert third.last(made.number).status == 0


async def test_killed_while_it_ran(time: Time) -> None:
    """Of what had begun nobody knows how it ended: that is told once, and it is not run again."""
    made = await time.plans("guest", "every day 22:30 on hall")
    time.clock.advance(8.5 * 3600)
    # All that a run does before its order is on its way.
    schedules = time.road.dispatch.schedules
    times, following = schedules.passed(time.schedule(made.number), time.clock.now())
    schedules.begin(time.schedule(made.number), times[-1], following)
    for _ in range(2):
        async with time.restarted() as again:
            await again.look()
            assert (again.given(), again.told("schedule.unknown")) == ([], [(made.number, "")])
            assert again.last(made.number).status is None
            assert "nobody knows" in again.last(made.number).says
            time = again
    await time.passes(60)
    assert time.given() == []


async def test_nothing_runs_that_cannot_be_kept(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be kept that a run begins, it does not: it might run again."""
    made = await time.plans("guest", "at 22:30 on hall")

    async def full() -> None:
        raise SiteError("the store: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(time.road.dispatch.store, "settle", full)
        await time.passes(8.5 * 3600)
    assert (time.lamp("hall"), time.given()) == (False, [])
    assert time.told("schedule.missed") == [(made.number, "the store: disk full")]


async def test_a_bug_costs_one_run(
    time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in what is made of an answer is told of, and neither that schedule nor any other ends with it."""
    made = await time.plans("guest", "every '* * * * *' time")

    def broken(*_: object) -> tuple[str, str]:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(timetable_module, "render", broken)
        await time.passes(60)
    assert (time.last(made.number).status, time.last(made.number).says) == (70, "it failed by our own fault")
    assert "ZeroDivisionError" in caplog.text
    await time.passes(60)
    assert time.last(made.number).status == 0


async def test_a_bug_costs_one_schedule(
    time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A schedule of which nobody can tell when it is next holds up none that is due after it, and is left alone."""
    broken = await time.plans("guest", "every '* * * * *' time")
    other = await time.plans("guest", "in 2m time")
    passed = time.road.dispatch.schedules.passed

    def broken_for_one(schedule: Schedule, now: float) -> tuple[Sequence[float], float | None]:
        if schedule.number == broken.number:
            raise ZeroDivisionError
        return passed(schedule, now)

    monkeypatch.setattr(time.road.dispatch.schedules, "passed", broken_for_one)
    await time.passes(120)
    await time.passes(120)
    assert time.given() == [("time", other.number, 0)]
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert time.last(broken.number).says == "did not run: it failed by our own fault"


async def test_removed_or_paused_as_it_begins(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is removed or paused while it is being kept that it runs does not."""
    removed = await time.plans("guest", "at 22:30 on hall")
    paused = await time.plans("guest", "at 22:30 on desk")
    settle = time.road.dispatch.store.settle

    async def slowly() -> None:
        schedules = time.road.dispatch.schedules
        if (known := schedules.get(removed.number)) is not None:
            schedules.remove(known)
        schedules.pause(time.schedule(paused.number), "by guest")
        await settle()

    monkeypatch.setattr(time.road.dispatch.store, "settle", slowly)
    await time.passes(8.5 * 3600)
    assert time.given() == []
    assert time.last(paused.number).says == "did not run: by guest"


async def test_the_zone_of_the_house_is_another(time: Time) -> None:
    """After a restart what is repeated is so by the clock as it is now."""
    made = await time.plans("guest", "every day 22:30 on hall")
    before = made.due or 0
    time.road.dispatch.schedules.place = Place(ZoneInfo("Europe/London"))
    async with time.restarted() as again:
        assert again.schedule(made.number).due == before + 3600


async def test_it_ends_what_runs(time: Time) -> None:
    """A server that ends lets what runs end first, and begins nothing more."""
    made = await time.plans("guest", "in 1m on hall")
    time.clock.advance(60)
    time.timetable.look()
    await time.timetable.close()
    assert time.last(made.number).status == 0
    await time.plans("guest", "in 1m on desk")
    await time.passes(60)
    assert not time.lamp("desk")


# -- what happens in the house ----------------------------------------------------------------------------------------


async def test_a_reaction(time: Time) -> None:
    """As something becomes so, and not while it is so, its order is given; `--for` brings back what it did."""
    made = await time.plans("guest", "when hall_motion = on then on hall --for 5m")
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert time.lamp("hall")
    assert time.last(made.number).says == "hall is on; comes back in 5 min"
    time.is_so(MOTION, motion=True)
    time.is_so(MOTION, battery=3)
    await time.rests()
    assert len(time.given()) == 1
    time.clock.advance(301)
    time.road.dispatch.execution.look_after()
    await until(lambda: not time.lamp("hall"))
    time.is_so(MOTION, motion=False)
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert len(time.given()) == 2


async def test_numbers_cross_a_line(time: Time) -> None:
    """A reaction to a number runs as that crosses the line, and not at each value beyond."""
    await time.plans("guest", "when sensor.outdoor_temperature < 3 then on porch")
    for value in (5, 4, 2.9, 1, 2, 3, 2):
        time.is_so("sensor.outdoor_temperature", temperature=value)
        await time.rests()
    assert len(time.given()) == 2


async def test_what_is_not_known_is_no_change(time: Time) -> None:
    """A device that is away for a while, and comes back as it was, sets off nothing; as another, it does."""
    await time.plans("guest", "when hall_motion = on then on hall")
    device = time.is_so(MOTION, motion=True)
    await time.rests()
    for motion, count in ((True, 1), (False, 1), (True, 2)):
        time.road.report(device.with_state({}, available=False))
        time.is_so(MOTION, motion=motion)
        time.road.report(time.road.dispatch.house.devices[MOTION].with_state({}, available=True))
        await time.rests()
        assert len(time.given()) == count


async def test_what_is_so_at_the_start_is_no_change(time: Time) -> None:
    """What has been so since before a reaction was made, or the server started, sets off nothing."""
    time.is_so(MOTION, motion=True)
    await time.plans("guest", "when hall_motion = on then on hall")
    time.is_so(MOTION, battery=7)
    async with time.restarted() as again:
        again.is_so(MOTION, battery=8)
        await again.rests()
        assert again.given() == []
        again.is_so(MOTION, motion=False)
        again.is_so(MOTION, motion=True)
        await again.rests()
        assert len(again.given()) == 1


async def test_what_may_not_be_seen_sets_off_nothing(time: Time) -> None:
    """Whose user may not look at a device any more is not told by a reaction how it is."""
    await time.plans("guest", "when hall_motion = on then on desk")
    time.road.become("guest", "grants = ['control:light.*']")
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert (time.given(), time.lamp("desk")) == ([], False)
    outcome = await time.road.one("guest", "when hall_motion = on then on desk")
    assert outcome.error is not None
    assert outcome.error.message == "no device 'hall_motion'"


async def test_paused_reactions_rest(time: Time) -> None:
    """A reaction that is paused does nothing; resumed, it waits for the next change."""
    made = await time.plans("guest", "when hall_motion = on then on hall")
    await time.road.one("guest", f"schedule pause {made.number}")
    time.is_so(MOTION, motion=True)
    await time.rests()
    await time.road.one("guest", f"schedule resume {made.number}")
    await time.rests()
    assert time.given() == []
    time.is_so(MOTION, motion=False)
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert len(time.given()) == 1


async def test_a_circle_is_broken(time: Time) -> None:
    """Reactions that set off one another run once each; then the circle is broken, and that is told."""
    on = await time.plans("guest", "when hall = off then on hall")
    off = await time.plans("guest", "when hall = on then off hall")
    await time.road.one("guest", "on hall")
    await time.rests()
    assert time.given() == [("off", off.number, 0), ("on", on.number, 0)]
    ((number, why),) = time.told("schedule.stopped")
    assert (number, why) == (
        off.number,
        f"schedule {off.number} and schedule {on.number} has set it off, and it would go on for ever",
    )
    assert time.last(off.number).says == f"did not run: {why}"


async def test_what_comes_back_by_itself_starts_no_circle(time: Time) -> None:
    """What a reaction brings back after a while is its own doing: it does not set itself off, however slowly."""
    made = await time.plans("guest", "when hall = off then on hall --for 5m")
    for line in ("on hall", "off hall"):
        await time.road.one("guest", line)
        await time.rests()
    assert time.lamp("hall")
    time.clock.advance(301)
    time.road.dispatch.execution.look_after()
    await until(lambda: bool(time.told("schedule.stopped")))
    await time.rests()
    assert (time.lamp("hall"), len(time.given())) == (False, 1)
    # By hand it is what it is for.
    time.clock.advance(60)
    for line in ("on hall", "off hall"):
        await time.road.one("guest", line)
        await time.rests()
    assert (time.lamp("hall"), time.given()) == (True, [("on", made.number, 0)] * 2)


async def test_what_a_scene_touches_is_its_doing(time: Time) -> None:
    """What a scene does to its members, of which no echo tells, is put down to who activated it."""
    scene = await time.plans("resident", "when porch = off then activate evening")
    off = await time.plans("resident", "when light.living = on then off porch")
    await time.road.one("resident", "on porch")
    await time.road.one("resident", "off porch")
    await time.rests()
    assert time.given() == [("activate", scene.number, 0), ("off", off.number, 0)]
    assert [number for number, _ in time.told("schedule.stopped")] == [scene.number]


async def test_a_chain_is_not_endless(time: Time) -> None:
    """Reactions that set off one another do so four deep."""
    chain = ("hall", "kitchen", "counter", "reading", "porch", "desk")
    made = [await time.plans("guest", f"when {lamp} = on then on {following}") for lamp, following in pairwise(chain)]
    await time.road.one("guest", "on hall")
    await time.rests()
    assert [number for _, number, _ in time.given()] == [schedule.number for schedule in made[:4]]
    assert time.told("schedule.stopped") == [(made[4].number, "more than 4 schedules would set off one another")]
    assert not time.lamp("desk")


async def test_too_often(time: Time) -> None:
    """What happens all the time sets off ten runs a minute and no more; it is not told of each that was left out."""
    made = await time.plans("guest", "when hall_motion = on then time")
    for _ in range(60):
        time.is_so(MOTION, motion=False)
        time.is_so(MOTION, motion=True)
        await time.rests()
    assert len(time.given()) == 10
    assert set(time.told("schedule.stopped")) == {(made.number, "it happens too often")}
    assert len(time.told("schedule.stopped")) == 20
    await time.passes(60)
    time.is_so(MOTION, motion=False)
    time.is_so(MOTION, motion=True)
    await time.rests()
    assert len(time.given()) == 11


async def test_several_reactions_of_one_user(time: Time) -> None:
    """All reactions of a user together run twenty times a minute, whatever sets them off."""
    for _ in range(4):
        await time.plans("guest", "when hall_motion = on then time")
    for _ in range(9):
        time.is_so(MOTION, motion=False)
        time.is_so(MOTION, motion=True)
        await time.rests()
    assert len(time.given()) == 20


async def test_it_happens_while_it_runs(time: Time) -> None:
    """What happens again while the run that it set off has not ended sets off no second one."""
    made = await time.plans("guest", "when hall_motion = on then on hall")
    for motion in (True, False, True):
        time.is_so(MOTION, motion=motion)
    await time.rests()
    assert len(time.given()) == 1
    assert time.told("schedule.stopped") == [(made.number, "the run before it had not ended")]


async def test_the_log_tells_of_it(time: Time) -> None:
    """Its owner reads in the log what was given for them and what was not; others read no more than what became."""
    made = await time.plans("guest", "in 1m on hall")
    missed = await time.plans("guest", "at 22:30 on desk")
    await time.passes(60)
    await time.passes(9 * 3600)
    own = [entry.what for entry in (await time.road.one("guest", "log")).answers[0].value]
    assert f"on hall by schedule {made.number}" in own
    assert f"schedule {missed.number}, 'on desk', did not run: the server was not running then" in own
    others = [entry.what for entry in (await time.road.one("resident", "log")).answers[0].value]
    assert others == ["on light.hall"]
    admin = [entry.what for entry in (await time.road.one("admin", "log")).answers[0].value]
    assert set(own) <= set(admin)
    time.road.become("admin", f"{USERS['admin']}grants = [{{ deny = 'read:@kids' }}]\n")
    narrow = [entry.what for entry in (await time.road.one("admin", "log")).answers[0].value]
    assert not [what for what in narrow if "desk" in what]


async def test_who_did_it_is_told(time: Time, tmp_path: Path) -> None:
    """What a schedule changed is put down to it, where the house tells who changed what."""
    made = await time.plans("guest", "in 1m on hall")
    heard: list[str] = []
    stop: Callable[[], None] = time.road.dispatch.house.watch(lambda event: heard.append(event.by))
    await time.passes(60)
    stop()
    assert f"guest: on hall (schedule {made.number})" in heard
