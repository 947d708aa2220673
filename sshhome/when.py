"""When a grant holds: weekdays, dates and times of day, on the clock on the wall of the house.

Whether a window holds is asked of what that clock shows, and of nothing else. So an hour that is skipped as the clocks
go forward is in no window, an hour that they repeat counts both times, and one window lies within another exactly if
its days and times do, whatever the zone.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sshhome.errors import BadArguments

#: A stretch of days, or of minutes from the midnight on which a day begins: its first, and the first after it.
_Span = tuple[int, int]

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GROUPS = {"weekdays": range(5), "weekend": range(5, 7)}

# ASCII digits only: `\d` and `int()` would also take `٣`.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
#: The hour of `9:00`, which people write so.
_SHORT = re.compile(r"(?<![0-9:])([0-9]:)")
_TIMES = re.compile(rf"({_CLOCK})-({_CLOCK}|24:00)")
_MOMENT = re.compile(rf"({_DATE.pattern})(?:[ T]({_CLOCK}(?::[0-5][0-9])?) ?(Z|[+-]{_CLOCK})?)?")

#: Years before and after them are mistyped, and near the ends of the calendar no zone can be asked.
_YEARS = range(1970, 3000)
#: A grant is read by people; and what it costs to look for the next moment of a window is bounded by these.
_TEXTS, _LONGEST = 32, 200

_DAY = 1440
_ALL_DAY: tuple[_Span, ...] = ((0, _DAY),)
_EPOCH = date(1970, 1, 1).toordinal()
_TWO_DAYS = 2 * 86400


class Window(msgspec.Struct, frozen=True):
    """What one text says: on these weekdays and dates, during these times; a time past midnight is the day's before."""

    weekdays: tuple[int, ...]
    dates: tuple[_Span, ...]
    times: tuple[_Span, ...]

    def on(self, day: int) -> bool:
        """Return whether times begin on a day, counted as `date.toordinal` does."""
        return (day + 6) % 7 in self.weekdays or any(first <= day < after for first, after in self.dates)

    def covers(self, day: int, minute: int) -> bool:
        """Return whether a minute of a day is in the window."""
        for start, end in self.times:
            if start <= minute < end:
                if self.on(day):
                    return True
            elif minute + _DAY < end and self.on(day - 1):
                return True
        return False

    def spans(self, day: int) -> Iterator[_Span]:
        """Yield the minutes of a day that are in the window, in no order."""
        today, yesterday = self.on(day), self.on(day - 1)
        for start, end in self.times:
            if today:
                yield start, min(end, _DAY)
            if yesterday and end > _DAY:
                yield 0, end - _DAY

    def __str__(self) -> str:
        """Return the shortest text that says the same: `mon-fri 09:00-12:00`."""
        times = ",".join(f"{_clock(start)}-{_clock(end)}" for start, end in self.times if self.times != _ALL_DAY)
        if len(self.weekdays) == 7:
            return times or "mon-sun"
        runs = (*_runs_of_weekdays(self.weekdays), *(_dates(*span) for span in self.dates))
        return f"{','.join(runs)} {times}".rstrip()


class When(msgspec.Struct, frozen=True):
    """The windows of a grant, any of which is enough."""

    windows: tuple[Window, ...]

    def holds(self, at: float, zone: ZoneInfo) -> bool:
        """Return whether a moment is in one of the windows."""
        # Whole seconds: `fromtimestamp` would round the last microsecond of an hour up into the next.
        shown = datetime.fromtimestamp(at // 1, zone)
        day, minute = shown.toordinal(), shown.hour * 60 + shown.minute
        for window in self.windows:  # noqa: SIM110  a generator would cost as much again, and every order asks
            if window.covers(day, minute):
                return True
        return False

    def next(self, at: float, zone: ZoneInfo) -> float | None:
        """Return the first moment at which it holds, from one on; None if it never will again."""
        return at if self.holds(at, zone) else self._first(at, zone, inside=True)

    def ends(self, at: float, zone: ZoneInfo) -> float | None:
        """Return the moment at which it no longer holds; None if it does not hold now, or always will."""
        return self._first(at, zone, inside=False) if self.holds(at, zone) else None

    def within(self, other: "When") -> bool:
        """Return whether it holds only when the other one does, in any zone."""
        changes = self.changes() | other.changes()
        # Weeks before the first change are like those after the last.
        days = _telling_days(min(changes, default=1), changes)
        return all(_is_inside(self.spans(day), other.spans(day)) for day in days)

    def spans(self, day: int) -> list[_Span]:
        """Return the minutes of a day that are in any window, in order."""
        return _merged(span for window in self.windows for span in window.spans(day))

    def changes(self) -> set[int]:
        """Return the days on which dates begin, or are over: between them, each week is like the one before."""
        return {day for window in self.windows for span in window.dates for day in span}

    def __str__(self) -> str:
        """Return it as people are told: `tue 09:00-12:00 or sat`."""
        return " or ".join(str(window) for window in self.windows)

    def _first(self, at: float, zone: ZoneInfo, *, inside: bool) -> float | None:
        """Return the first moment after one that is in a window, or that is in none.

        The clock is less than a day away from UTC. So from two days on it only shows later times than it does now, and
        up to two days before what is looked for only earlier ones; in between there is nothing to look at.
        """
        now = int(at // 1)
        while True:
            shown = wall_at(now, zone)
            edge = self._edge(shown, inside=inside)
            soon = now + _TWO_DAYS
            found = None if edge is None else now + edge - shown
            turn = turn_between(now, soon if found is None else min(soon, found), zone)
            if turn is not None:
                now = turn
            elif found is None:
                return None
            elif found <= soon:
                return float(found)
            else:
                now = max(soon, found - _TWO_DAYS)

    def _edge(self, shown: int, *, inside: bool) -> int | None:
        """Return the first time from one on, as `wall_at` counts, that is in a window, or in none."""
        for day in _telling_days(shown // 86400 + _EPOCH, self.changes()):
            midnight = (day - _EPOCH) * 86400
            spans = self.spans(day)
            for start, end in spans if inside else _between(spans):
                if midnight + end * 60 > shown:
                    return max(shown, midnight + start * 60)
        return None


def dated(written: str, today: date) -> str:
    """Return what is written about times with the dates that its `today` and `tomorrow` are."""
    for word, day in (("today", today), ("tomorrow", today + timedelta(days=1))):
        written = re.sub(rf"\b{word}\b", day.isoformat(), written, flags=re.IGNORECASE)
    return written


def parse_when(written: str | Sequence[str]) -> When:
    """Return the windows written as `"mon-fri 09:00-12:00, 14:00-18:00"`, or as a list of which any is enough.

    Raises BadArguments.
    """
    texts = [written] if isinstance(written, str) else written
    if not isinstance(texts, list | tuple) or not 1 <= len(texts) <= _TEXTS:
        raise BadArguments(f"a time window is a text such as mon-fri 09:00-12:00, or a list of 1 to {_TEXTS} of them")
    windows = {_window(text) for text in texts}
    return When(tuple(sorted(windows, key=lambda window: (window.weekdays or (7,), window.dates, window.times))))


def parse_moment(written: str | date | datetime, zone: ZoneInfo) -> float:
    """Return the moment of `2026-12-24 18:00`, on the clock of a zone unless its offset is written too.

    A bare date is the end of that day. A time that the clocks skip is the moment at which they do, one that they
    repeat is the first of the two. Raises BadArguments.
    """
    try:
        meant = _moment(written)
    except ValueError:
        raise BadArguments(
            f"'{str(written)[:80]}' is no moment; it is such as 2026-12-24, whose end is meant, or 2026-12-24 18:00, "
            f"from {_YEARS[0]} to {_YEARS[-1]}"
        ) from None
    return meant.timestamp() if meant.tzinfo is not None else float(reached(meant, zone))


def earlier(written: str, zone: ZoneInfo, now: float) -> float:
    """Return the moment of `yesterday` or `2026-12-24`, at which they begin, of `2026-12-24 18:00`, or today's `18:00`.

    Raises BadArguments.
    """
    today = datetime.fromtimestamp(now // 1, zone).date()
    yesterday = (today - timedelta(days=1)).isoformat()
    text = _SHORT.sub(r"0\1", dated(re.sub(r"\byesterday\b", yesterday, written.strip().lower()), today))
    try:
        if re.fullmatch(_CLOCK, text):
            text = f"{today} {text}"
        meant = datetime.combine(_date(text), datetime.min.time()) if _DATE.fullmatch(text) else _moment(text)
    except ValueError:
        raise BadArguments(
            f"'{written[:80]}' is no time gone by",
            "such as 24h, yesterday, 18:00, 2026-12-24 or '2026-12-24 18:00'",
        ) from None
    return meant.timestamp() if meant.tzinfo is not None else float(reached(meant, zone))


def moment(at: float, zone: ZoneInfo, now: float) -> str:
    """Return a moment as people say it: `today 20:00`, `tomorrow 07:00`, `Tue 24 Nov 09:00`."""
    then, today = datetime.fromtimestamp(at // 1, zone), datetime.fromtimestamp(now // 1, zone).date()
    away = (then.date() - today).days
    if away in {0, 1}:
        return f"{('today', 'tomorrow')[away]} {then:%H:%M}"
    # Not by strftime: it would say the names in the machine's language.
    day = f"{_WEEKDAYS[then.weekday()].title()} {then.day} {_MONTHS[then.month - 1]}"
    return f"{day} {then:%H:%M}" if then.year == today.year else f"{day} {then.year} {then:%H:%M}"


# -- reading ----------------------------------------------------------------------------------------------------------


def _window(text: str) -> Window:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise BadArguments(f"a time window is a text of at most {_LONGEST} characters")
    named = _SHORT.sub(r"0\1", text.lower())
    words = re.sub(r",\s+", ",", named).split()
    times = words.pop() if words and ":" in words[-1] else ""
    days = words.pop() if words else ""
    if words or not (days or times) or len(named) > _LONGEST:
        raise BadArguments(f"'{text}' is no time window; it is days, times or both, such as mon-fri 09:00-12:00")
    weekdays, dates = _read_days(days) if days else (set(range(7)), [])
    return Window(
        weekdays=tuple(sorted(weekdays)),
        # On every day of the week is on these dates too.
        dates=tuple(_merged(dates)) if len(weekdays) < 7 else (),
        times=_read_times(times) if times else _ALL_DAY,
    )


def _read_days(text: str) -> tuple[set[int], list[_Span]]:
    weekdays: set[int] = set()
    dates: list[_Span] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if part in _GROUPS:
            weekdays.update(_GROUPS[part])
        elif first in _WEEKDAYS and (last in _WEEKDAYS or not dash):
            start = _WEEKDAYS.index(first)
            length = (_WEEKDAYS.index(last or first) - start) % 7
            weekdays.update(day % 7 for day in range(start, start + length + 1))
        else:
            dates.append(_read_dates(part))
    return weekdays, dates


def _read_dates(text: str) -> _Span:
    first, dots, last = text.partition("..")
    if text in {"today", "tomorrow"}:
        raise BadArguments(f"'{text}' is no day here; write its date, such as 2026-12-24")
    try:
        begins = _date(first).toordinal()
        ends = _date(last).toordinal() if dots else begins
    except ValueError:
        raise BadArguments(
            f"'{text}' is no day; a day is mon to sun, mon-fri, weekdays, weekend, 2026-12-24 or "
            f"2026-12-24..2027-01-06, from {_YEARS[0]} to {_YEARS[-1]}"
        ) from None
    if ends < begins:
        raise BadArguments(f"'{text}' ends before it begins; write the earlier date first")
    return begins, ends + 1


def _read_times(text: str) -> tuple[_Span, ...]:
    inner: list[_Span] = []
    # Those past midnight are left as they are: two of them may be longer than a day, which no text can say.
    past: set[_Span] = set()
    for part in text.split(","):
        match = _TIMES.fullmatch(part)
        if match is None:
            raise BadArguments(f"'{part}' is no time; it is from and to, 00:00 to 24:00, such as 09:00-12:00")
        start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in match.groups())
        if start == end:
            raise BadArguments(f"'{part}' ends as it begins; the whole day is 00:00-24:00")
        if end == 0 or start < end:
            inner.append((start, end or _DAY))
        else:
            past.add((start, end + _DAY))
    return (*_merged(inner), *sorted(past))


def _date(text: str) -> date:
    if not _DATE.fullmatch(text) or int(text[:4]) not in _YEARS:
        raise ValueError
    return date.fromisoformat(text)


def _moment(written: object) -> datetime:
    """Return what is written, without a zone if none is; a bare date as the midnight that ends it."""
    if isinstance(written, str):
        match = _MOMENT.fullmatch(_SHORT.sub(r"0\1", written.strip().upper()))
        if match is None:
            raise ValueError
        day, clock, offset = match.groups()
        written = datetime.fromisoformat(f"{day}T{clock}{offset or ''}") if clock else _date(day)
    if not isinstance(written, date) or written.year not in _YEARS:
        raise ValueError
    if isinstance(written, datetime):
        return written
    return datetime.combine(written + timedelta(days=1), datetime.min.time())


# -- saying -----------------------------------------------------------------------------------------------------------


def _clock(minute: int) -> str:
    hours, minutes = divmod(minute if minute <= _DAY else minute - _DAY, 60)
    return f"{hours:02}:{minutes:02}"


def _runs_of_weekdays(days: Sequence[int]) -> Iterator[str]:
    """Yield `mon-fri`, or past the end of the week `sat-mon`, for days that are not all."""
    for first in days:
        if (first - 1) % 7 in days:
            continue
        last = first
        while (last + 1) % 7 in days:
            last += 1
        names = [_WEEKDAYS[day % 7] for day in range(first, last + 1)]
        yield f"{names[0]}-{names[-1]}" if len(names) > 2 else ",".join(names)


def _dates(first: int, after: int) -> str:
    ends = [str(date.fromordinal(day)) for day in (first, after - 1)]
    # Two dates are a little shorter than a range: no text gets longer than it may be by being read and said.
    return (",", "..")[after - first > 2].join(ends) if after - first > 1 else ends[0]


# -- stretches of time ------------------------------------------------------------------------------------------------


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Return the same stretches in order, those that overlap or adjoin as one."""
    merged: list[_Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _between(spans: Sequence[_Span]) -> Iterator[_Span]:
    """Yield the minutes of a day that merged stretches leave."""
    start = 0
    for first, after in (*spans, (_DAY, _DAY)):
        if start < first:
            yield start, first
        start = after


def _is_inside(inner: Iterable[_Span], outer: Sequence[_Span]) -> bool:
    """Return whether merged stretches lie within others."""
    return all(any(start <= first and after <= end for start, end in outer) for first, after in inner)


def _telling_days(first: int, changes: Iterable[int]) -> Iterator[int]:
    """Yield the days from one on, but not those that are like the same weekday before.

    After a change that is a week and a day, since the times of the day before may last past midnight.
    """
    told = first
    for change in (first, *sorted(change for change in changes if change > first)):
        yield from range(max(told, change), change + 8)
        told = change + 8


# -- the clock on the wall --------------------------------------------------------------------------------------------


def wall_at(at: int, zone: ZoneInfo) -> int:
    """Return what the clock shows, in seconds from the moment at which it would show that 1970 begins."""
    return int(datetime.fromtimestamp(at, zone).replace(tzinfo=UTC).timestamp())


def turn_between(after: int, until: int, zone: ZoneInfo) -> int | None:
    """Return the moment at which the clocks are put forward or back, of at most two days, or None.

    No zone has ever done so twice within a few days, so that the two ends tell.
    """
    ahead = wall_at(after, zone) - after
    if wall_at(until, zone) - until == ahead:
        return None
    moments = range(after, until)
    return after + bisect_left(moments, x=True, key=lambda at: wall_at(at, zone) - at != ahead)


def reached(time: datetime, zone: ZoneInfo) -> int:
    """Return the moment at which the clock first shows a time, or is put past it."""
    # As the clock went before it was put, and as it goes after; the same at other times.
    before, after = (int(time.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    turn = turn_between(after, before, zone) if after < before else None
    return before if turn is None else turn
