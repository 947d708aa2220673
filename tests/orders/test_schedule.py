"""The orders that have orders given by themselves: what they take, what they answer, and who may know of what."""

from collections.abc import AsyncIterator

import pytest

from sshhome.complete import complete, expected
from sshhome.judge import judge
from sshhome.outcome import Outcome
from tests.conftest import FixedClock
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which nothing is planned."""
    async with build() as built:
        yield built


async def told(road: Road, user: str, line: str) -> str:
    """Return what a person reads of an order."""
    return "".join(said(await road.one(user, line)))


async def refused(road: Road, user: str, line: str) -> str:
    """Return why an order is not taken."""
    outcome = await road.one(user, line)
    assert outcome.error is not None, line
    return outcome.error.message


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("at 22:30 off all", "schedule 1: 'off all' today 22:30"),
        ("at 7:00 off @hall", "schedule 1: 'off @hall' tomorrow 07:00"),
        ("at sunset-15m on porch", "schedule 1: 'on porch' today 21:05"),
        ("at tomorrow 07:00 on hall", "schedule 1: 'on hall' tomorrow 07:00"),
        ("at '2026-12-24 18:00' on porch", "schedule 1: 'on porch' Thu 24 Dec 18:00"),
        ("in 10m off @hall", "schedule 1: 'off @hall' today 14:10"),
        ("every weekday 07:00 open bedroom", "schedule 1: 'open bedroom' every weekday 07:00, next tomorrow 07:00"),
        ("every day sunset-15m on porch", "schedule 1: 'on porch' every day sunset-15m, next today 21:05"),
        ("every '*/15 6-8 * * *' toggle hall", "schedule 1: 'toggle hall' every */15 6-8 * * *, next tomorrow 06:00"),
        (
            "when hall_motion = on then on hall --for 5m",
            "schedule 1: 'on hall --for 5m' when binary_sensor.hall_motion.motion = on",
        ),
        ("when light.hall=on then dim hall 30", "schedule 1: 'dim hall 30' when light.hall.on = on"),
        (
            "when climate.living.temperature >= 25 then off tv",
            "schedule 1: 'off tv' when climate.living.temperature >= 25",
        ),
    ],
)
async def test_each_is_answered_with_what_it_was_taken_for(road: Road, line: str, answer: str) -> None:
    """Whoever plans something reads when it is, and which device is meant."""
    assert await told(road, "resident", line) == f"{answer}\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("at 25:00 off all", "'25:00' is no time"),
        ("at '2026-01-01 10:00' off all", "'2026-01-01 10:00' has gone by"),
        ("at '2028-01-01 10:00' off all", "'2028-01-01 10:00' is more than a year ahead"),
        ("at 22:30", "'at' needs ORDER, the order, whole"),
        ("at 22:30 of all", "no order 'of'"),
        ("at 22:30 on attic", "no device 'attic'"),
        ("at 22:30 dim hall 300", "brightness must be 0 to 100 %"),
        ("in 0s off all", "'in' takes 1 s to 366 d, not 0 s"),
        ("in 1y off all", "'1y' is not a duration"),
        ("every day off all", "'off' is no time"),
        ("every '61 * * * *' off all", "'61 * * * *' is no cron expression: Bad minute"),
        ("every '0 0 30 2 *' off all", "'0 0 30 2 *' is no cron expression: Bad day-of-month"),
        ("when hall_motion then on hall", "'hall_motion then' is not DEVICE = VALUE"),
        ("when @hall = on then on hall", "'@hall' may be several; name one device"),
        ("when lock.safe = unlocked then on hall", "no device 'lock.safe'"),
        ("when hall_motion = purple then on hall", "motion must be on or off"),
        ("when hall_motion.motion > on then on hall", "'binary_sensor.hall_motion.motion > on': motion is no number"),
        ("when hall_motion = on then every day 07:00 on hall", "'every' is given by hand alone"),
        ("in 1m macro save x 'off all'", "'macro save' is given by hand alone"),
        ("in 1m passwd", "'passwd' is given by hand alone"),
        ("in 1m unlock front_door --yes", "nobody is there to prove anything: it takes neither --code nor --yes"),
        (f"in 1m echo {'x' * 1000}", "a schedule may be 1000 characters long"),
        ("schedule show 7", "no schedule 7"),
        ("schedule resume x", "'x' is not a whole number"),
    ],
)
async def test_what_is_not_taken(road: Road, line: str, why: str) -> None:
    """A mistake is told as it is made, and not at the time at which nobody looks."""
    assert (await refused(road, "admin", line)).startswith(why)
    assert road.dispatch.schedules.all() == []


async def test_who_may_not_give_it_plans_nothing(road: Road) -> None:
    """What its giver may not do at all is refused at once, with the reason; what is hidden is not there."""
    assert await refused(road, "guest", "at 22:30 unlock front_door") == "you may not give 'unlock front_door' then"
    assert await refused(road, "cleaner", "at 22:30 on night") == "no device 'night'"
    assert await refused(road, "cleaner", "when light.night = on then on hall") == "no device 'light.night'"
    # Of several it is enough to be allowed one.
    assert await told(road, "cleaner", "at 22:30 off light.*") == "schedule 1: 'off light.*' today 22:30\n"


async def test_a_trial_keeps_nothing(road: Road) -> None:
    """With --dry-run nothing is planned; behind the time it is the order's own, which then only tells."""
    assert await told(road, "guest", "--dry-run at 22:30 on hall") == "would give 'at 22:30 on hall'\n"
    assert road.dispatch.schedules.all() == []


async def test_the_life_of_a_schedule(road: Road, clock: FixedClock) -> None:
    """It is listed, shown, paused, resumed and removed, by its number."""
    await told(road, "guest", "every --missed run weekday 07:00 on hall")
    await told(road, "guest", "when hall_motion = on then on hall")
    listed = await told(road, "guest", "schedule list")
    assert "1  every weekday 07:00" in listed
    assert "tomorrow 07:00" in listed
    assert await told(road, "guest", "schedule show 1") == (
        "schedule 1 of guest: every weekday 07:00\n  order: on hall\n  next: tomorrow 07:00\n  missed: is run late\n"
    )
    assert await told(road, "guest", "schedule pause 1") == "schedule 1 is paused\n"
    assert "next: paused: by guest" in await told(road, "guest", "schedule show 1")
    clock.advance(3 * 86400)
    assert await told(road, "guest", "schedule resume 1") == "schedule 1 goes on\n"
    # What it missed while it rested is not due now.
    assert "next: Mon 8 Jun 07:00" in await told(road, "guest", "schedule show 1")
    for number in (1, 2):
        assert await told(road, "guest", f"schedule remove {number}") == f"schedule {number} is removed\n"
    assert await told(road, "guest", "schedule list") == "no schedules\n"
    assert list(await road.dispatch.store.schedules()) == []


async def test_what_has_had_its_time_is_not_resumed(road: Road, clock: FixedClock) -> None:
    """What was paused past its time is over: it is neither run nor resumed."""
    await road.give("guest", "at 22:30 on hall; schedule pause 1")
    clock.advance(86400)
    assert await refused(road, "guest", "schedule resume 1") == "its time has gone by"


async def test_whose_they_are(road: Road) -> None:
    """Each has their own, which nobody else knows of but who runs the server, and nothing is hidden from."""
    await told(road, "guest", "at 22:30 on hall")
    await told(road, "resident", "at 23:30 on hall")
    for line in ("schedule show 1", "schedule pause 1", "schedule remove 1"):
        assert await refused(road, "resident", line) == "no schedule 1"
    assert await refused(road, "resident", "schedule list --all") == (
        "to list those of everybody takes the admin privilege, and that nothing is hidden from you"
    )
    assert "22:30" not in await told(road, "admin", "schedule list")
    listed = await told(road, "admin", "schedule list --all")
    assert "guest" in listed
    assert "resident" in listed
    assert await told(road, "admin", "schedule remove 1") == "schedule 1 is removed\n"
    road.become("admin", f"{road.texts['admin']}grants = [{{ deny = 'read:@kids' }}]\n")
    assert await refused(road, "admin", "schedule show 2") == "no schedule 2"
    assert (await road.one("admin", "schedule list --all")).status == 77


async def test_there_is_a_bound(road: Road) -> None:
    """A user has a hundred and no more; what is over does not count, and of that the last ten are told of."""
    for _ in range(100):
        await told(road, "guest", "at 22:30 time")
    assert await refused(road, "guest", "at 22:30 time") == "no more than 100 schedules"
    assert await told(road, "resident", "at 22:30 time") == "schedule 101: 'time' today 22:30\n"
    schedules = road.dispatch.schedules
    for schedule in schedules.of("guest")[:50]:
        schedules.miss(schedule, schedule.due or 0, None, "did not run")
    assert len(schedules.of("guest")) == 60
    assert (await road.one("guest", "at 22:30 time")).error is None


async def test_json(road: Road) -> None:
    """For programs it is an object, with moments in UTC."""
    (outcome,) = await road.give("guest", "at 22:30 on hall --json")
    answer = outcome.answers[0].value
    assert (answer.schedule, answer.user, answer.when, answer.order) == (1, "guest", "at 22:30", "on hall")
    assert (answer.next, answer.missed, answer.paused, answer.over) == ("2026-06-02T20:30:00Z", "skip", "", False)


async def test_it_is_in_the_log(road: Road) -> None:
    """The log tells of what was planned, and by which schedule an order was given."""
    await told(road, "guest", "at 22:30 on hall")
    log = await told(road, "guest", "log")
    assert "guest  at 22:30 on hall" in log


# -- typing -----------------------------------------------------------------------------------------------------------


def offered(road: Road, before: str, user: str = "resident") -> list[str]:
    """Return what may come next."""
    session = road.session(user)
    found = [suggestion.text for suggestion in complete(road.dispatch, session, before)[1]]
    road.dispatch.sessions.close(session)
    return found


@pytest.mark.parametrize(
    ("before", "some", "none"),
    [
        ("at ", ["22:30", "sunset-15m", "tomorrow"], ["on"]),
        ("at tomorrow ", ["07:00"], ["on", "sunrise"]),
        ("at 22:30 ", ["on", "off", "dim"], ["22:30"]),
        ("at --missed run 22:30 o", ["on", "off", "open"], ["dim"]),
        ("at 22:30 dim ", ["hall", "desk"], ["front_door"]),
        ("at 22:30 dim hall ", ["25", "50"], ["hall"]),
        ("at --missed ", ["skip", "run"], ["on"]),
        ("every ", ["day", "weekday", "weekend"], ["07:00"]),
        ("every week", ["weekday", "weekend"], ["day"]),
        ("every weekday ", ["07:00", "sunrise"], ["on"]),
        ("every weekday 07:00 op", ["open"], ["off"]),
        ("every '*/15 * * * *' op", ["open"], ["07:00"]),
        ("when hall_m", ["hall_motion"], ["hall"]),
        ("when hall_motion.", ["hall_motion.motion"], ["hall"]),
        ("when hall_motion ", ["=", "!="], ["on"]),
        ("when hall_motion = ", ["on", "off"], ["then"]),
        ("when living.climate > ", ["21"], ["then"]),
        ("when hall_motion = on ", ["then"], ["on"]),
        ("when hall_motion = on then o", ["on", "off"], ["then"]),
        ("when hall_motion = on then on ", ["hall"], ["then"]),
        ("schedule ", ["list", "show", "pause", "resume", "remove"], []),
        ("schedule pause ", ["1"], ["2"]),
    ],
)
async def test_what_may_come_next(road: Road, before: str, some: list[str], none: list[str]) -> None:
    """The time, then the order in the order are offered as they are everywhere; of schedules one's own."""
    for user in ("resident", "admin"):
        await told(road, user, "at 22:30 on hall")
    found = offered(road, before)
    assert [word for word in some if word not in found] == []
    assert [word for word in none if word in found] == []


async def test_what_is_asked_with_a_question_mark(road: Road) -> None:
    """`?` tells what the next word is for, of the order in the order too."""
    session = road.session("guest")
    seats = {
        before: [one.text for one in expected(road.dispatch, session, before).seat]
        for before in ("at ", "every day ", "when hall_motion ", "at 22:30 dim hall ", "schedule show ")
    }
    assert list(seats.values()) == [["TIME"], ["DAYS TIME|CRON"], ["DEVICE = VALUE then"], ["[LEVEL]"], ["NUMBER"]]


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("at 22:30 on hall ", 0),
        ("every weekday 07:00 on hall ", 0),
        ("every '*/15 * * * *' on hall ", 0),
        ("every noday 07:00 on hall ", 1),
        ("when hall_motion = on then on hall ", 0),
        ("schedule show x ", 1),
    ],
)
async def test_what_is_wrong_as_it_is_typed(road: Road, line: str, bad: int) -> None:
    """A word that is no day is shown to be wrong; what is right is not."""
    session = road.session("guest")
    assert sum(tone.tone == "bad" for tone in judge(road.dispatch, session, line, -1)) == bad


async def test_pipes_are_of_what_it_answers(road: Road) -> None:
    """A filter behind it is one of the answer: what was planned can be looked through."""
    await road.give("guest", "at 22:30 on hall; at 23:30 off desk")
    outcome: Outcome = await road.one("guest", "schedule list | match desk | count")
    assert said(outcome)[0] == "1\n"
