"""When a window holds, begins and ends, in every zone's worst week, and which window lies within which."""

import contextlib
import math
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sshhome import when as when_module
from sshhome.errors import BadArguments
from sshhome.when import When, dated, earlier, moment, parse_moment, parse_when

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2026, 6, 2)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Where and when clocks are put in every way there is.
PLACES = (
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/Havana", date(2026, 3, 8)),  # midnight is skipped
    ("America/Havana", date(2026, 11, 1)),  # the hour after midnight is repeated
    ("Asia/Beirut", date(2026, 3, 29)),
    ("Asia/Beirut", date(2026, 10, 25)),  # the hour before midnight is repeated
    ("America/St_Johns", date(2010, 11, 7)),  # a minute past midnight, back into yesterday
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kathmandu", date(2026, 6, 2)),  # never, and 5:45 h away from UTC
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("Pacific/Kwajalein", date(1993, 8, 21)),  # another
    ("Africa/Casablanca", date(2026, 2, 15)),  # forward in autumn, as it were
    ("UTC", date(2026, 12, 31)),
)


def at(text: str) -> float:
    """Return the moment of `2026-03-29 03:00+02:00`."""
    return datetime.fromisoformat(text).timestamp()


def said(seconds: float | None, zone: ZoneInfo = BERLIN) -> str:
    """Return a moment as the clock of a zone shows it, with its offset."""
    return "never" if seconds is None else datetime.fromtimestamp(seconds, zone).isoformat(" ", "minutes")


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("mon-fri 09:00-12:00", "mon-fri 09:00-12:00"),
        ("weekdays 09:00-12:00, 14:00-18:00", "mon-fri 09:00-12:00,14:00-18:00"),
        ("WEEKEND", "sat,sun"),
        ("sat,mon,sun", "sat-mon"),
        ("sat-mon", "sat-mon"),
        ("sun,mon", "sun,mon"),
        ("fri-mon, wed", "wed,fri-mon"),
        ("mon-mon", "mon"),
        ("mon-sun", "mon-sun"),
        ("weekdays,weekend", "mon-sun"),
        ("tue-mon 09:00-12:00", "09:00-12:00"),
        ("mon-sun,2026-12-24", "mon-sun"),
        ("00:00-24:00", "mon-sun"),
        ("tue 00:00-12:00,12:00-24:00", "tue"),
        ("  tue\t09:00-12:00 ", "tue 09:00-12:00"),
        ("22:00-06:00", "22:00-06:00"),
        ("22:00-00:00", "22:00-24:00"),
        ("22:00-06:00,18:00-23:00", "18:00-23:00,22:00-06:00"),
        ("09:00-11:00,10:00-12:00,12:00-13:00", "09:00-13:00"),
        ("2026-12-24", "2026-12-24"),
        ("2026-12-24,2026-12-25", "2026-12-24,2026-12-25"),
        ("2026-12-24,2026-12-25,2026-12-26", "2026-12-24..2026-12-26"),
        ("2026-12-24..2027-01-06 08:00-20:00", "2026-12-24..2027-01-06 08:00-20:00"),
        ("2026-12-24..2026-12-24", "2026-12-24"),
        ("2026-12-24,sat", "sat,2026-12-24"),
        ("9:00-12:00", "09:00-12:00"),
        ("mon 7:30-9:00,22:00-0:00", "mon 07:30-09:00,22:00-24:00"),
        (["sat", "tue 09:00-12:00"], "tue 09:00-12:00 or sat"),
        (["2026-12-24", "sat", "SAT", "12:00-13:00"], "12:00-13:00 or sat or 2026-12-24"),
    ],
)
def test_what_is_written_has_one_canonical_text(written: str | Sequence[str], canonical: str) -> None:
    """A window is told in the shortest words that mean it, which are read back to an equal one."""
    when = parse_when(written)
    assert str(when) == canonical
    assert parse_when(canonical.split(" or ")) == when
    assert hash(parse_when(canonical.split(" or "))) == hash(when)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "'' is no time window; it is days, times or both, such as mon-fri 09:00-12:00"),
        ("09:00-12:00 mon", "'09:00-12:00 mon' is no time window"),
        ("mon tue", "'mon tue' is no time window"),
        ("mon - fri", "'mon - fri' is no time window"),
        ("mon 09:00 - 12:00", "'mon 09:00 - 12:00' is no time window"),
        ("mon,caturday", "'caturday' is no day; a day is mon to sun, mon-fri, weekdays, weekend, 2026-12-24 or"),
        ("monday", "'monday' is no day"),
        ("\u017fun", "'\u017fun' is no day"),
        ("mon-", "'mon-' is no day"),
        ("mon..fri", "'mon..fri' is no day"),
        ("mon,", "'' is no day"),
        ("2026-02-30", "'2026-02-30' is no day"),
        ("1969-12-31", "'1969-12-31' is no day"),
        ("3000-01-01", "'3000-01-01' is no day"),
        ("2026-12-24..", "'2026-12-24..' is no day"),
        ("2026-12-24-2026-12-31", "'2026-12-24-2026-12-31' is no day"),
        ("٢٠٢٦-12-24", "'٢٠٢٦-12-24' is no day"),
        ("2027-01-06..2026-12-24", "'2027-01-06..2026-12-24' ends before it begins"),
        ("today", "'today' is no day here; write its date"),
        ("9:0-12:00", "'09:0-12:00' is no time; it is from and to, 00:00 to 24:00, such as 09:00-12:00"),
        ("009:00-12:00", "'009:00-12:00' is no time"),
        ("mon 09:00-12:00,13:00", "'13:00' is no time"),
        ("09:00-24:01", "'09:00-24:01' is no time"),
        ("24:00-06:00", "'24:00-06:00' is no time"),
        ("09:00-12:60", "'09:00-12:60' is no time"),
        ("09:00-12:00,", "'' is no time"),
        ("12:00-12:00", "'12:00-12:00' ends as it begins; the whole day is 00:00-24:00"),
        (["mon", "tue 12:00-12:00"], "'12:00-12:00' ends as it begins"),
        ("mon," * 50 + "mon", "a time window is a text of at most 200 characters"),
        ([], "a list of 1 to 32 of them"),
        (["mon"] * 33, "a list of 1 to 32 of them"),
        (5, "a time window is a text such as"),
        ({"mon": 1}, "a time window is a text such as"),
        (["mon", 5], "a time window is a text of at most"),
    ],
)
def test_what_is_no_window(written: object, message: str) -> None:
    """Anything else is refused by one line that names the part at fault."""
    with pytest.raises(BadArguments) as refused:
        parse_when(written)  # type: ignore[arg-type]
    assert message in refused.value.message


def test_a_short_hour_does_not_make_a_text_too_long_to_read_back() -> None:
    """`9:00` counts as what is kept, `09:00`."""
    longest = ",".join(["9:00-12:00"] * 18)
    assert len(longest) == 197
    with pytest.raises(BadArguments, match="is no time window"):
        parse_when(longest)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("today 09:00-12:00", "2026-06-02 09:00-12:00"),
        ("Today, tomorrow", "2026-06-02, 2026-06-03"),
        ("today..2026-12-24", "2026-06-02..2026-12-24"),
        ("TOMORROW 18:00", "2026-06-03 18:00"),
        ("todays", "todays"),
        ("mon 09:00-12:00", "mon 09:00-12:00"),
    ],
)
def test_days_that_are_named(written: str, meant: str) -> None:
    """`today` and `tomorrow` become the dates that they are, in whatever is written about times."""
    assert dated(written, TUESDAY) == meant


# -- when it holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [
        ("tue 09:00-12:00", ["02 09:00", "02 11:59"], ["02 08:59", "02 12:00", "03 10:00", "01 10:00"]),
        ("tue,thu", ["02 00:00", "02 23:59", "04 12:00"], ["01 23:59", "03 00:00"]),
        ("tue 22:00-06:00", ["02 22:00", "03 00:00", "03 05:59"], ["02 05:00", "03 06:00", "03 22:00"]),
        ("2026-06-03..2026-06-04 20:00-24:00", ["03 20:00", "04 23:59"], ["02 21:00", "05 00:00", "05 20:00"]),
        ("2026-06-30 22:00-02:00", ["30 23:00"], ["01 01:00", "29 23:00"]),
        (["tue 09:00-12:00", "sat"], ["02 10:00", "06 03:00"], ["02 13:00", "07 00:00"]),
    ],
)
def test_holds(written: str | Sequence[str], inside: list[str], outside: list[str]) -> None:
    """A window holds from its start on, up to its end, which is outside; past midnight it is the day's before."""
    when = parse_when(written)
    assert [when.holds(at(f"2026-06-{text}+02:00"), BERLIN) for text in inside] == [True] * len(inside)
    assert [when.holds(at(f"2026-06-{text}+02:00"), BERLIN) for text in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("zone", "written", "now", "begins", "ends"),
    [
        # Nothing is put.
        ("Europe/Berlin", "tue 09:00-12:00", "2026-06-02 10:00+02:00", "2026-06-02 10:00+02:00", "12:00+02:00"),
        ("Europe/Berlin", "tue 09:00-12:00", "2026-06-02 12:00+02:00", "2026-06-09 09:00+02:00", "12:00+02:00"),
        ("Europe/Berlin", "mon-fri", "2026-06-02 12:00+02:00", "2026-06-02 12:00+02:00", "2026-06-06 00:00+02:00"),
        ("Europe/Berlin", ["fri 18:00-24:00", "sat"], "2026-06-05 19:00+02:00", "", "2026-06-07 00:00+02:00"),
        ("Europe/Berlin", "mon-sun", "2026-06-02 12:00+02:00", "", "never"),
        ("Europe/Berlin", ["weekdays", "weekend"], "2026-06-02 12:00+02:00", "", "never"),
        ("Europe/Berlin", "00:00-12:00,11:00-01:00", "2026-06-02 12:00+02:00", "", "never"),
        ("Europe/Berlin", "2026-06-01", "2026-06-02 00:00+02:00", "never", ""),
        ("Europe/Berlin", "2999-12-31", "2026-06-02 00:00+02:00", "2999-12-31 00:00+01:00", "3000-01-01 00:00+01:00"),
        ("Europe/Berlin", "2020-01-01..2999-12-31", "2026-06-02 00:00+02:00", "", "3000-01-01 00:00+01:00"),
        # The clocks go from 2 to 3.
        ("Europe/Berlin", "sun 02:30-04:00", "2026-03-28 12:00+01:00", "2026-03-29 03:00+02:00", "04:00+02:00"),
        ("Europe/Berlin", "sun 01:00-02:30", "2026-03-28 12:00+01:00", "2026-03-29 01:00+01:00", "03:00+02:00"),
        ("Europe/Berlin", "sun 02:15-02:45", "2026-03-28 12:00+01:00", "2026-04-05 02:15+02:00", "02:45+02:00"),
        ("Europe/Berlin", "2026-03-29 02:15-02:45", "2026-03-28 12:00+01:00", "never", ""),
        # They go from 3 to 2.
        ("Europe/Berlin", "sun 02:00-02:30", "2026-10-24 12:00+02:00", "2026-10-25 02:00+02:00", "02:30+02:00"),
        ("Europe/Berlin", "sun 02:00-02:30", "2026-10-25 02:30+02:00", "2026-10-25 02:00+01:00", "02:30+01:00"),
        ("Europe/Berlin", "sun 02:30-04:00", "2026-10-25 02:30+02:00", "", "02:00+01:00"),
        ("Europe/Berlin", "sun 02:00-04:00", "2026-10-25 02:30+02:00", "", "04:00+01:00"),
        ("Europe/Berlin", "2026-10-25 02:00-02:30", "2026-10-25 02:30+02:00", "2026-10-25 02:00+01:00", "02:30+01:00"),
        (
            "Europe/Berlin",
            ["2026-10-25 02:00-02:30", "2027-06-01"],
            "2026-10-25 02:30+02:00",
            "2026-10-25 02:00+01:00",
            "",
        ),
        # Midnight to 1 does not exist; it exists twice.
        ("America/Havana", "sun", "2026-03-07 12:00-05:00", "2026-03-08 01:00-04:00", "2026-03-09 00:00-04:00"),
        ("America/Havana", "sat 22:00-00:30", "2026-03-07 12:00-05:00", "2026-03-07 22:00-05:00", "01:00-04:00"),
        ("America/Havana", "sun 00:00-00:30", "2026-11-01 00:30-04:00", "2026-11-01 00:00-05:00", "00:30-05:00"),
        # Midnight is the hour before once more.
        ("Asia/Beirut", "sat 23:00-24:00", "2026-10-24 12:00+03:00", "2026-10-24 23:00+03:00", "00:00+02:00"),
        # Half an hour forward, half an hour back.
        ("Australia/Lord_Howe", "sun 02:00-03:00", "2026-10-03 12:00+10:30", "2026-10-04 02:30+11:00", "03:00+11:00"),
        ("Australia/Lord_Howe", "sun 01:30-01:45", "2026-04-05 01:45+11:00", "2026-04-05 01:30+10:30", "01:45+10:30"),
        # There is no Friday, but a night that would have begun on it.
        ("Pacific/Apia", "thu", "2011-12-29 12:00-10:00", "", "2011-12-31 00:00+14:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-29 12:00-10:00", "never", ""),
        ("Pacific/Apia", "2011-12-31", "2011-11-01 12:00-10:00", "2011-12-31 00:00+14:00", "2012-01-01 00:00+14:00"),
        ("Pacific/Apia", "fri", "2011-12-29 12:00-10:00", "2012-01-06 00:00+14:00", "2012-01-07 00:00+14:00"),
        ("Pacific/Apia", "thu 22:00-06:00", "2011-12-29 22:00-10:00", "", "2011-12-31 00:00+14:00"),
        ("Pacific/Apia", "fri 22:00-06:00", "2011-12-29 22:00-10:00", "2011-12-31 00:00+14:00", "06:00+14:00"),
    ],
)
def test_begins_and_ends(zone: str, written: str | Sequence[str], now: str, begins: str, ends: str) -> None:
    """The next beginning is found from any moment, and the end of what holds then, to the second."""
    when, clock = parse_when(written), ZoneInfo(zone)
    start = when.next(at(now), clock)
    assert said(start, clock) == (begins or now)
    if start is None:
        return
    assert said(when.ends(start, clock), clock).endswith(ends)
    assert when.holds(start, clock)
    if begins not in {"", now}:
        assert when.ends(at(now), clock) is None
        assert not when.holds(start - 1, clock)


def test_the_second_before_is_outside() -> None:
    """No fraction of a second is rounded into a window, or out of one."""
    when = parse_when("tue 09:00-12:00")
    start, end = at("2026-06-02 09:00+02:00"), at("2026-06-02 12:00+02:00")
    before, last = math.nextafter(start, 0), math.nextafter(end, 0)
    assert not when.holds(before, BERLIN)
    assert (when.next(before, BERLIN), when.ends(before, BERLIN)) == (start, None)
    assert when.holds(last, BERLIN)
    assert (when.next(last, BERLIN), when.ends(last, BERLIN)) == (last, end)


def test_what_is_far_away_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is looked at near the moments that matter, not on all the days until then."""
    looks: list[int] = []
    shown = when_module.wall_at

    def look(moment: int, zone: ZoneInfo) -> int:
        looks.append(moment)
        return shown(moment, zone)

    monkeypatch.setattr(when_module, "wall_at", look)
    now = at("2026-06-02 12:00+02:00")
    assert said(parse_when("2999-12-31").next(now, BERLIN)) == "2999-12-31 00:00+01:00"
    assert said(parse_when("2020-01-01..2999-12-31").ends(now, BERLIN)) == "3000-01-01 00:00+01:00"
    assert len(looks) < 200


# -- what lies within what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("tue 09:00-12:00", "tue 09:00-12:00"),
        ("tue", "mon-fri"),
        ("tue 10:00-11:00", "mon-fri 09:00-12:00"),
        ("2026-06-02 10:00-11:00", "tue 09:00-12:00"),
        ("2026-06-02", "2026-06-01..2026-06-30"),
        ("2026-06-02..2026-06-03", ["tue", "wed"]),
        ("09:00-12:00", ["weekdays 09:00-12:00", "weekend"]),
        ("tue 09:00-12:00", ["09:00-10:00", "tue 10:00-11:00", "tue 11:00-13:00"]),
        ("tue 23:00-05:00", "tue 22:00-06:00"),
        ("wed 00:00-05:00", "tue 22:00-06:00"),
        ("tue 22:00-06:00", ["tue", "wed 00:00-06:00"]),
        ("2026-06-02 22:00-06:00", "2026-06-02..2026-06-03"),
        (["sat", "sun"], "weekend"),
    ],
)
def test_within(inner: str | Sequence[str], outer: str | Sequence[str]) -> None:
    """Fewer days, fewer hours, or a date on such a day lie within; and not the other way round, unless equal."""
    narrow, wide = parse_when(inner), parse_when(outer)
    assert narrow.within(wide)
    assert narrow.within(parse_when("mon-sun"))
    equal = outer in (inner, "weekend")
    assert wide.within(narrow) is equal


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("mon-sun", "weekdays"),
        ("tue 09:00-12:01", "tue 09:00-12:00"),
        ("2026-06-02", "wed"),
        ("2026-06-02..2026-06-03", "tue"),
        ("tue", "2026-06-02"),
        ("mon-sun", "1970-01-01..2999-12-31"),
        ("tue 22:00-06:00", "tue"),
        ("wed 22:00-06:00", "tue,wed 22:00-24:00"),
        ("tue 09:00-12:00", ["tue 09:00-10:00", "tue 10:01-12:00"]),
    ],
)
def test_not_within(inner: str | Sequence[str], outer: str | Sequence[str]) -> None:
    """A single day or minute too many is not within."""
    assert not parse_when(inner).within(parse_when(outer))


# -- against every minute ---------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """A window as the tests understand it: its text, the weekdays and dates meant, and the times."""

    text: str
    weekdays: frozenset[int]
    dates: frozenset[date]
    times: tuple[tuple[int, int], ...]

    def on(self, day: date) -> bool:
        """Return whether a day is meant."""
        return day.weekday() in self.weekdays or day in self.dates

    def covers(self, shown: datetime) -> bool:
        """Return whether a time on the wall is meant."""
        minute = shown.hour * 60 + shown.minute
        today, yesterday = self.on(shown.date()), self.on(shown.date() - timedelta(days=1))
        for start, end in self.times:
            if start < end and today and start <= minute < end:
                return True
            if start > end and ((today and minute >= start) or (yesterday and minute < end)):
                return True
        return False


def text_of(minute: int) -> str:
    """Return `09:30`."""
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def rules(draw: st.DrawFn, day: date) -> Rule:
    """Draw a window about a day, on the half hour mostly."""
    words: list[str] = []
    weekdays: set[int] = set()
    dates: set[date] = set()
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            first, length = draw(st.integers(0, 6)), draw(st.integers(0, 6))
            weekdays.update((first + more) % 7 for more in range(length + 1))
            words.append(f"{WEEKDAYS[first]}-{WEEKDAYS[(first + length) % 7]}" if length else WEEKDAYS[first])
        else:
            begins, length = day + timedelta(days=draw(st.integers(-4, 4))), draw(st.integers(0, 3))
            dates.update(begins + timedelta(days=more) for more in range(length + 1))
            words.append(f"{begins}..{begins + timedelta(days=length)}" if length else str(begins))
    half_hours = st.integers(0, 48).map(lambda half: half * 30)
    ends = st.tuples(half_hours, half_hours).filter(lambda both: both[0] != both[1] and both[0] < 1440)
    times = tuple(draw(st.lists(ends, min_size=0 if words else 1, max_size=3)))
    hours = ",".join(f"{text_of(start)}-{text_of(end)}" for start, end in times)
    every = frozenset(range(7))
    return Rule(
        f"{','.join(words)} {hours}".strip(),
        frozenset(weekdays) if words else every,
        frozenset(dates),
        tuple((start, end or 1440) for start, end in times) or ((0, 1440),),
    )


def about(day: date) -> st.SearchStrategy[list[Rule]]:
    """Draw windows about a day."""
    return st.lists(rules(day), min_size=1, max_size=3)


def read(drawn: Sequence[Rule]) -> When:
    """Return what is made of the texts of drawn windows."""
    return parse_when([rule.text for rule in drawn])


@lru_cache(maxsize=len(PLACES))
def minutes_of(place: tuple[str, date]) -> tuple[tuple[int, datetime], ...]:
    """Return every minute of three days around a day, and what the clock shows then."""
    name, day = place
    zone = ZoneInfo(name)
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    minutes = range(noon - 129_600, noon + 129_600, 60)
    return tuple((minute, datetime.fromtimestamp(minute, zone).replace(tzinfo=None)) for minute in minutes)


@settings(deadline=None, max_examples=80)
@given(st.data(), st.sampled_from(PLACES))
def test_every_minute_agrees(data: st.DataObject, place: tuple[str, date]) -> None:
    """Around any day on which clocks are put, a window holds, begins and ends as every single minute says."""
    drawn = data.draw(about(place[1]))
    when, zone, minutes = read(drawn), ZoneInfo(place[0]), minutes_of(place)
    truth = [any(rule.covers(shown) for rule in drawn) for _, shown in minutes]
    assert [when.holds(minute, zone) for minute, _ in minutes] == truth

    #: From each minute on, the first at which it holds, and the first at which it does not.
    first: list[dict[bool, int | None]] = [{True: None, False: None}]
    for (minute, _), holds in zip(reversed(minutes), reversed(truth), strict=True):
        first.append({**first[-1], holds: minute})
    first = first[:0:-1]
    edges = [i for i, (before, after) in enumerate(pairwise(truth), 1) if before is not after]
    some = data.draw(st.lists(st.integers(0, len(minutes) - 1), max_size=8))
    over = minutes[-1][0] + 60
    for i in sorted({0, *edges[:40], *(edge - 1 for edge in edges[:40]), *some}):
        now = minutes[i][0]
        for later in (0.0, 0.25, 59.5):
            begins, ends = when.next(now + later, zone), when.ends(now + later, zone)
            if truth[i]:
                assert begins == now + later
                assert ends == first[i][False] or (first[i][False] is None and (ends is None or ends >= over))
            else:
                assert ends is None
                assert begins == first[i][True] or (first[i][True] is None and (begins is None or begins >= over))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_within_is_every_half_hour(data: st.DataObject) -> None:
    """One window lies within another exactly if each half hour of four weeks about their dates does."""
    wide = data.draw(about(TUESDAY))
    # Most windows drawn by themselves lie within no other, so that others are made of parts of the first.
    part = st.sampled_from(wide).flatmap(lambda rule: narrowed(rule, TUESDAY))
    narrow = data.draw(st.lists(st.one_of(part, part, part, rules(TUESDAY)), min_size=1, max_size=2))
    midnight = datetime(2026, 5, 19)  # noqa: DTZ001  the clock on the wall
    halves = [midnight + timedelta(minutes=30 * half) for half in range(28 * 48)]
    contained = all(
        any(rule.covers(half) for rule in wide) for half in halves if any(rule.covers(half) for rule in narrow)
    )
    assert read(narrow).within(read(wide)) is contained
    assert read(narrow).within(read([*narrow, *wide]))


@st.composite
def narrowed(draw: st.DrawFn, rule: Rule, day: date) -> Rule:
    """Draw a window that lies within another: some of its days, and a part of one of its times."""
    days = sorted(rule.weekdays)
    dates = [day + timedelta(days=away) for away in range(-6, 7) if rule.on(day + timedelta(days=away))]
    some = draw(st.lists(st.sampled_from(days), max_size=3)) if days else []
    dated = draw(st.lists(st.sampled_from(dates), min_size=0 if some else 1, max_size=3)) if dates else []
    start, end = draw(st.sampled_from(rule.times))
    length = end - start if start < end else end + 1440 - start
    begins = draw(st.integers(0, length // 30 - 1))
    takes = draw(st.integers(begins + 1, length // 30)) - begins
    start += begins * 30
    if start >= 1440:
        # What is left of it is all on the day after.
        some, dated = [(one + 1) % 7 for one in some], [one + timedelta(days=1) for one in dated]
        start -= 1440
    end = start + takes * 30
    end = end if end <= 1440 else end - 1440
    words = [*(WEEKDAYS[one] for one in some), *map(str, dated)]
    text = f"{','.join(words)} {text_of(start)}-{text_of(end)}"
    return Rule(text, frozenset(some), frozenset(dated), ((start, end),))


@settings(deadline=None)
@given(st.data())
def test_a_part_is_within_the_whole(data: st.DataObject) -> None:
    """Some of the days of a window and a part of its times lie within it, also past midnight."""
    wide = data.draw(about(TUESDAY))
    narrow = data.draw(st.sampled_from(wide).flatmap(lambda rule: narrowed(rule, TUESDAY)))
    assert read([narrow]).within(read(wide))


@settings(deadline=None)
@given(about(TUESDAY))
def test_every_window_is_read_back(drawn: list[Rule]) -> None:
    """The canonical text of a window is read to an equal one, in which it lies."""
    when = read(drawn)
    again = parse_when(str(when).split(" or "))
    assert again == when
    assert str(again) == str(when)
    assert when.within(again)


PIECES = st.sampled_from([*WEEKDAYS, "weekdays", "weekend", "today", "tomorrow", "2026-12-24", "2026-12-31", "09:00"])
GLUE = st.sampled_from(["-", "..", ",", ", ", " ", "", ":", "24:00", "00:00", "İ", "\n", "\u017fun"])


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.lists(st.one_of(PIECES, GLUE), max_size=12).map("".join)))
@example("today," * 14 + "2026-12-24..2026-12-31" * 5)
def test_any_text_is_a_window_or_bad_arguments(text: str) -> None:
    """No text is answered with another exception than BadArguments, and what is read can be read back."""
    with contextlib.suppress(BadArguments):
        when = parse_when(dated(text, TUESDAY))
        assert parse_when(str(when)) == when
    with contextlib.suppress(BadArguments):
        assert math.isfinite(parse_moment(dated(text, TUESDAY), BERLIN))


# -- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-24 18:00", "2026-12-24 18:00+01:00"),
        ("2026-12-24T18:00", "2026-12-24 18:00+01:00"),
        (" 2026-06-24 18:00:30 ", "2026-06-24 18:00:30+02:00"),
        ("2026-12-24T18:00Z", "2026-12-24 18:00+00:00"),
        ("2026-12-24t18:00z", "2026-12-24 18:00+00:00"),
        ("2026-12-24 18:00-05:30", "2026-12-24 18:00-05:30"),
        ("2026-12-24 18:00 +02:00", "2026-12-24 18:00+02:00"),
        ("2026-12-24 9:00", "2026-12-24 09:00+01:00"),
        ("2026-12-24", "2026-12-25 00:00+01:00"),
        ("2999-12-31", "3000-01-01 00:00+01:00"),
        ("2026-03-29 02:30", "2026-03-29 03:00+02:00"),
        ("2026-10-25 02:30", "2026-10-25 02:30+02:00"),
        (date(2026, 12, 24), "2026-12-25 00:00+01:00"),
    ],
)
def test_moments(written: str | date, meant: str) -> None:
    """A moment is on the clock of the house unless an offset is written, and a date is the end of that day."""
    assert parse_moment(written, BERLIN) == at(meant)


def test_moments_of_toml() -> None:
    """Dates and times that are written in TOML without quotes mean the same."""
    written = tomllib.loads(
        """
        offset = 2026-12-24T18:00:00Z
        local = 2026-12-24T18:00:00.5
        day = 2026-12-24
        time = 18:00:00
        """
    )
    assert parse_moment(written["offset"], BERLIN) == at("2026-12-24 18:00+00:00")
    assert parse_moment(written["local"], BERLIN) == at("2026-12-24 18:00+01:00")
    assert parse_moment(written["day"], BERLIN) == at("2026-12-25 00:00+01:00")
    with pytest.raises(BadArguments):
        parse_moment(written["time"], BERLIN)


@pytest.mark.parametrize(
    "written",
    [
        *("", "tomorrow", "18:00", "24.12.2026", "2026-12-24 24:00", "2026-12-24 18", "2026-02-30", "2026-02-30 18:00"),
        *("2026-12-24Z", "2026-12-24 18:00+25:00", "1969-12-31", "3000-01-01", "0001-01-01 00:00", "٢٠٢٦-12-24"),
        *(5, None, True, datetime(1, 1, 1, tzinfo=UTC), date(9999, 12, 31)),
    ],
)
def test_what_is_no_moment(written: object) -> None:
    """Anything else is refused, by its name."""
    with pytest.raises(BadArguments) as refused:
        parse_moment(written, BERLIN)  # type: ignore[arg-type]
    assert refused.value.message.startswith(f"'{written}' is no moment; it is such as 2026-12-24")


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("America/Havana", "2026-03-07", "2026-03-08 01:00-04:00"),
        ("America/Havana", "2026-10-31", "2026-11-01 00:00-04:00"),
        ("Asia/Beirut", "2026-10-24", "2026-10-25 00:00+02:00"),
        ("Pacific/Apia", "2011-12-29", "2011-12-31 00:00+14:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-31 00:00+14:00"),
    ],
)
def test_days_end_where_midnight_is_put(zone: str, day: str, end: str) -> None:
    """A day ends when the next begins, wherever the clocks are put at midnight."""
    assert said(parse_moment(day, ZoneInfo(zone)), ZoneInfo(zone)) == end


@settings(deadline=None)
@given(st.data(), st.sampled_from(PLACES))
def test_moments_are_when_the_clock_first_shows_them(data: st.DataObject, place: tuple[str, date]) -> None:
    """A time is the first minute at which the clock shows it, or has been put past it."""
    minutes = minutes_of(place)
    span = int((minutes[-1][1] - minutes[0][1]).total_seconds()) // 60
    wanted = minutes[0][1] + timedelta(minutes=data.draw(st.integers(0, span)))
    first = next(minute for minute, shown in minutes if shown >= wanted)
    assert parse_moment(f"{wanted:%Y-%m-%d %H:%M}", ZoneInfo(place[0])) == first


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("2026-06-02 20:00+02:00", "today 20:00"),
        ("2026-06-02 00:00:59+02:00", "today 00:00"),
        ("2026-06-03 07:00+02:00", "tomorrow 07:00"),
        ("2026-06-01 23:59+02:00", "Mon 1 Jun 23:59"),
        ("2026-06-04 00:00+02:00", "Thu 4 Jun 00:00"),
        ("2026-11-24 09:00+01:00", "Tue 24 Nov 09:00"),
        ("2027-11-24 09:00+01:00", "Wed 24 Nov 2027 09:00"),
        ("2026-06-02 22:30+00:00", "tomorrow 00:30"),
    ],
)
def test_moments_as_people_say_them(then: str, told: str) -> None:
    """A moment is told by the clock of the house, and no more of its date than it takes."""
    assert moment(at(then), BERLIN, at("2026-06-02 12:00+02:00")) == told
    assert moment(at("2027-01-01 07:00+01:00"), BERLIN, at("2026-12-31 12:00+01:00")) == "tomorrow 07:00"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("today", "2026-06-02 00:00+02:00"),
        ("Yesterday", "2026-06-01 00:00+02:00"),
        ("yesterday 9:30", "2026-06-01 09:30+02:00"),
        ("7:00", "2026-06-02 07:00+02:00"),
        ("2026-03-29", "2026-03-29 00:00+01:00"),
        # Skipped as the clocks go forward, and the first of two.
        ("2026-03-29 02:30", "2026-03-29 03:00+02:00"),
        ("2025-10-26 02:30", "2025-10-26 02:30+02:00"),
        ("2026-06-01 12:00Z", "2026-06-01 12:00+00:00"),
    ],
)
def test_times_gone_by(written: str, meant: str) -> None:
    """A day is meant from its beginning, a time by the clock of the house and on this day if none is named."""
    assert earlier(written, BERLIN, at("2026-06-02 12:00+02:00")) == at(meant)


@pytest.mark.parametrize("written", ["", "noon", "25:00", "2026-02-30", "monday", "0001-01-01", "yesterday yesterday"])
def test_what_is_no_time_gone_by(written: str) -> None:
    """What is none says what would be."""
    with pytest.raises(BadArguments, match="no time gone by"):
        earlier(written, BERLIN, at("2026-06-02 12:00+02:00"))
