"""When something is next, against a model that looks at the clock on the wall minute by minute."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome import upcoming
from sshhome.errors import BadArguments
from sshhome.upcoming import Cron, Daily, Place, Sun
from tests.conftest import NOON

BERLIN = Place(ZoneInfo("Europe/Berlin"), 52.52, 13.405)
#: By zone two days on which its clocks are put, forward and back; one of them by half an hour, one has no such days.
TURNS = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "America/St_Johns": (date(2026, 3, 8), date(2026, 11, 1)),
    "Africa/Cairo": (date(2026, 4, 24), date(2026, 10, 30)),
    "Asia/Kolkata": (date(2026, 3, 29), date(2026, 10, 25)),
}


def at(text: str, zone: str = "Europe/Berlin") -> float:
    """Return a moment of a zone's clock; the first where there are two."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(moment: float | None, zone: str = "Europe/Berlin") -> str:
    """Return what the clock shows at a moment, with how far it is ahead of UTC."""
    return "never" if moment is None else datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat(" ", "minutes")


def times(text: str, begin: str, count: int, place: Place = BERLIN) -> list[str]:
    """Return the next few times of something repeated."""
    found, moment = [], at(begin, place.zone.key)
    for _ in range(count):
        upcoming_ = upcoming.repeated(text).next(moment, place)
        assert upcoming_ is not None
        assert upcoming_ > moment
        moment = upcoming_
        found.append(shown(moment, place.zone.key))
    return found


# -- the two nights ---------------------------------------------------------------------------------------------------


def test_a_time_that_is_skipped() -> None:
    """What is to happen at half past two does so at three on the day on which there is no half past two."""
    assert times("day 02:30", "2026-03-28 12:00", 2) == ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]
    assert times("30 2 * * *", "2026-03-28 12:00", 2) == ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]


def test_a_time_that_is_repeated() -> None:
    """What is to happen at half past two does so the first time it is that, and not the second time."""
    assert times("day 02:30", "2026-10-24 12:00", 2) == ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]
    assert times("30 2 * * *", "2026-10-24 12:00", 2) == ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]


def test_two_times_that_become_one() -> None:
    """Two times of an expression that are skipped happen once, as the clocks are put."""
    assert times("0,30 2 * * *", "2026-03-28 12:00", 2) == ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00"]


def test_every_few_minutes_goes_by_the_time_that_passes() -> None:
    """What happens every half hour does so in both of the hours that look the same, and in none that there is not."""
    assert times("*/30 * * * *", "2026-10-25 01:45", 5) == [
        "2026-10-25 02:00+02:00",
        "2026-10-25 02:30+02:00",
        "2026-10-25 02:00+01:00",
        "2026-10-25 02:30+01:00",
        "2026-10-25 03:00+01:00",
    ]
    assert times("*/30 * * * *", "2026-03-29 01:15", 2) == ["2026-03-29 01:30+01:00", "2026-03-29 03:00+02:00"]


def test_asked_within_the_repeated_hour() -> None:
    """What happened in the first of two hours is not due again in the second."""
    moment = at("2026-10-25 02:45") + 1800
    assert shown(moment) == "2026-10-25 02:15+01:00"
    for text in ("day 02:30", "30 2 * * *"):
        assert shown(upcoming.repeated(text).next(moment, BERLIN)) == "2026-10-26 02:30+01:00"


# -- a model ----------------------------------------------------------------------------------------------------------


def walk(zone: ZoneInfo, begin: float, days: int) -> list[tuple[float, datetime]]:
    """Return every minute of some days, with what the clock on the wall shows."""
    first = int(begin // 60) * 60 + 60
    return [
        (float(m), datetime.fromtimestamp(m, zone).replace(tzinfo=None)) for m in range(first, first + days * 86400, 60)
    ]


def first_shown(minutes: Sequence[tuple[float, datetime]], wanted: Callable[[datetime], bool]) -> list[float]:
    """Return when the clock shows each wanted time for the first time, or is put past it: each moment once."""
    found: list[float] = []
    latest = minutes[0][1] - timedelta(minutes=1)
    for moment, wall in minutes:
        passed, time = False, latest
        while time < wall:
            time += timedelta(minutes=1)
            passed = passed or wanted(time)
        latest = max(latest, wall)
        if passed:
            found.append(moment)
    return found


@st.composite
def around_a_turn(draw: st.DrawFn) -> tuple[ZoneInfo, float]:
    """Return a zone, and a moment some time before its clocks are put."""
    zone = draw(st.sampled_from(list(TURNS)))
    day = draw(st.sampled_from(TURNS[zone]))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return ZoneInfo(zone), midnight - draw(st.integers(20 * 60, 40 * 60)) * 60


@settings(max_examples=60)
@given(around_a_turn(), st.sets(st.integers(0, 6), min_size=1), st.integers(0, 5 * 60))
def test_daily_times_are_as_the_clock_shows_them(
    around: tuple[ZoneInfo, float], weekdays: set[int], minute: int
) -> None:
    """Every time of a week around the turn is the moment at which the clock first shows it, or is put past it."""
    zone, begin = around
    minutes = walk(zone, begin, 8)
    wanted = first_shown(minutes, lambda wall: wall.weekday() in weekdays and wall.hour * 60 + wall.minute == minute)
    assert _all(Daily(tuple(weekdays), minute), Place(zone), begin, minutes[-1][0]) == wanted


@settings(max_examples=60)
@given(around_a_turn(), st.sets(st.integers(0, 59), min_size=1, max_size=3), st.sets(st.integers(0, 5), min_size=1))
def test_fixed_cron_times_are_as_the_clock_shows_them(
    around: tuple[ZoneInfo, float], minutes: set[int], hours: set[int]
) -> None:
    """A cron expression with hours and minutes means what times of day do."""
    zone, begin = around
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    walked = walk(zone, begin, 4)
    wanted = first_shown(walked, lambda wall: wall.minute in minutes and wall.hour in hours)
    assert _all(Cron(text), Place(zone), begin, walked[-1][0]) == wanted


@settings(max_examples=60)
@given(
    around_a_turn(),
    st.integers(1, 30),
    st.sampled_from(["*", "*/2", "1-3"]),
)
def test_passing_cron_times_are_whenever_the_clock_shows_them(
    around: tuple[ZoneInfo, float], step: int, hours: str
) -> None:
    """A cron expression whose minutes begin with a star is due whenever the clock shows such a time."""
    zone, begin = around
    among = {"*": range(24), "*/2": range(0, 24, 2), "1-3": range(1, 4)}[hours]
    walked = walk(zone, begin, 3)
    wanted = [moment for moment, wall in walked if wall.minute % step == 0 and wall.hour in among]
    assert _all(Cron(f"*/{step} {hours} * * *"), Place(zone), begin, walked[-1][0]) == wanted


def _all(often: Daily | Cron, place: Place, begin: float, until: float) -> list[float]:
    found = []
    moment = often.next(begin, place)
    while moment is not None and moment <= until:
        found.append(moment)
        moment = often.next(moment, place)
    return found


# -- the sun ----------------------------------------------------------------------------------------------------------


def test_the_sun_of_berlin() -> None:
    """The sun rises and sets when the almanac says, to a few minutes, on the longest day and on the shortest."""
    day = at("2026-06-21 00:00")
    assert shown(Daily(range(7), Sun("sunrise")).next(day, BERLIN))[:15] == "2026-06-21 04:4"
    assert shown(Daily(range(7), Sun("sunset")).next(day, BERLIN))[:15] == "2026-06-21 21:3"
    day = at("2026-12-21 00:00")
    assert shown(Daily(range(7), Sun("sunrise")).next(day, BERLIN))[:15] == "2026-12-21 08:1"
    assert shown(Daily(range(7), Sun("sunset")).next(day, BERLIN))[:15] == "2026-12-21 15:5"


def test_before_and_after_the_sun() -> None:
    """What is meant a while before or after the sun is so, on the days that are named, also past midnight."""
    day = at("2026-06-19 12:00")
    sunset = Daily(range(7), Sun("sunset")).next(day, BERLIN)
    assert sunset is not None
    assert upcoming.repeated("day sunset-15m").next(day, BERLIN) == sunset - 900
    late = upcoming.repeated("fri sunset+3h30m").next(day, BERLIN)
    assert late == sunset + 12600
    assert shown(late).startswith("2026-06-20 01:")


@settings(max_examples=60)
@given(
    st.floats(-60, 60),
    st.floats(-180, 180),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"]),
    st.integers(0, 365),
    st.sampled_from(["sunrise", "sunset"]),
)
def test_the_sun_rises_and_sets_about_once_a_day(
    latitude: float, longitude: float, zone: str, day: int, event: str
) -> None:
    """Away from the poles, each is a day after the one before but for a few minutes, whatever the clocks show."""
    place = Place(ZoneInfo(zone), latitude, longitude)
    moment = at("2026-01-01 12:00", "UTC") + day * 86400
    found = []
    for _ in range(3):
        following = Daily(range(7), Sun(event)).next(moment, place)
        assert following is not None
        found.append(following)
        moment = following
    assert 0 < found[0] - at("2026-01-01 12:00", "UTC") - day * 86400 < 86400 + 900
    assert all(abs(after - before - 86400) < 900 for before, after in pairwise(found))


def test_where_the_sun_does_not_set() -> None:
    """In the far north there is no sunset for months: the next is the first there is."""
    tromso = Place(ZoneInfo("Europe/Oslo"), 69.65, 18.96)
    found = upcoming.repeated("day sunset").next(at("2026-06-01 12:00"), tromso)
    assert shown(found)[:7] == "2026-07"


def test_a_house_without_a_place_has_no_sun() -> None:
    """Without coordinates the sun is refused, in words that say what is missing."""
    with pytest.raises(BadArguments, match="nobody knows when sunset is") as refused:
        upcoming.once("sunset", NOON, Place(BERLIN.zone))
    assert "[house] latitude" in refused.value.hint


# -- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:30", "2026-06-02 22:30+02:00"),
        ("7:05", "2026-06-03 07:05+02:00"),
        ("14:00", "2026-06-03 14:00+02:00"),
        ("tomorrow 07:00", "2026-06-03 07:00+02:00"),
        ("today 23:59", "2026-06-02 23:59+02:00"),
        ("2026-12-24 18:00", "2026-12-24 18:00+01:00"),
        ("2026-12-24T18:00", "2026-12-24 18:00+01:00"),
    ],
)
def test_once(text: str, expected: str) -> None:
    """A time of day is the next such, a date and a time what they say; it is two in the afternoon."""
    assert shown(upcoming.once(text, NOON, BERLIN)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "24:00", "7", "tomorrow", "2026-12-24", "noon", "sunset-", "sunset-13h", "sunset15m", "today 13:00", "-1:00"],
)
def test_what_is_no_time(text: str) -> None:
    """What is no time, or has gone by, is refused."""
    with pytest.raises(BadArguments):
        upcoming.once(text, NOON, BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day 07:00", "2026-06-03 07:00+02:00"),
        ("weekday 07:00", "2026-06-03 07:00+02:00"),
        ("weekend 9:30", "2026-06-06 09:30+02:00"),
        ("mon,thu 18:00", "2026-06-04 18:00+02:00"),
        ("fri-mon 18:00", "2026-06-05 18:00+02:00"),
        ("TUE 18:00", "2026-06-02 18:00+02:00"),
        ("*/15 6-8 * * *", "2026-06-03 06:00+02:00"),
        ("0 9 1 * *", "2026-07-01 09:00+02:00"),
        ("0 9 * * mon#1", "2026-07-06 09:00+02:00"),
        ("0 0 29 2 *", "2028-02-29 00:00+01:00"),
    ],
)
def test_repeated(text: str, expected: str) -> None:
    """Days and a time, or what cron says."""
    assert shown(upcoming.repeated(text).next(NOON, BERLIN)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "day", "day 25:00", "noday 07:00", "2026-12-24 07:00", "day 07:00 08:00", "mon-xyz 07:00", "* * * *"),
        *("* * * * * *", "60 * * * *", "* * 31 2 *", "a b c d e", "*/0 * * * *", f"{','.join(['1'] * 60)} * * * *"),
    ],
)
def test_what_is_not_how_often(text: str) -> None:
    """What is not understood, and what would run every second, is refused."""
    with pytest.raises(BadArguments):
        assert upcoming.repeated(text).next(NOON, BERLIN) is not None


@given(st.text(st.sampled_from("0123456789*/-,L#W MONSUN"), max_size=40) | st.text(max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Any text at all is a time, or how often, or refused in words; and never takes for ever."""
    with suppress(BadArguments):
        assert upcoming.once(text, NOON, BERLIN) > NOON
    with suppress(BadArguments):
        moment = upcoming.repeated(text).next(NOON, BERLIN)
        assert moment is None or moment > NOON


@given(
    st.lists(
        st.sampled_from(["*", "*/7", "1", "5-9", "L", "LW", "mon#5", "5L", "31", "2", "1,2", "*/31"]),
        min_size=5,
        max_size=5,
    )
)
def test_any_cron_expression_ends(fields: list[str]) -> None:
    """Whatever the five fields are, they have a next time, or none, or are refused."""
    try:
        moment = upcoming.repeated(" ".join(fields)).next(NOON, BERLIN)
    except BadArguments:
        return
    assert moment is None or moment > NOON
