"""When something is next, on the clock on the wall of the house: once, on days at a time, by the sun, or as cron says.

When the clocks are put forward or back:

* a time that they skip is the moment at which they are put; one that they repeat is the first of the two, and happens
  once;
* a cron expression whose minutes or hours begin with `*` goes by the time that passes instead, as cron does: what it
  does every few minutes it does in both of the hours that look the same, and not in the hour that there is not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import msgspec

from sshhome.errors import BadArguments
from sshhome.quantity import duration
from sshhome.when import dated, parse_moment, parse_when, reached, turn_between, wall_at

#: How people call the days on which something happens; `parse_when` knows the others.
_DAYS: Mapping[str, str] = {"day": "mon-sun", "weekday": "weekdays"}
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_SUN = re.compile(r"(sunrise|sunset)(?:([+-])([0-9hms]+))?", re.ASCII)
_DATE = re.compile(r"today|tomorrow|[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
#: Seconds that something may be before or after the sun, and characters of a cron expression.
_MOST_OFF, _LONGEST = 12 * 3600.0, 100
#: Days that are looked at for the next time: near the poles the sun does not set for months.
_AHEAD, _AHEAD_SUN = 12, 400
_TWO_DAYS = 2 * 86400


class Place(msgspec.Struct, frozen=True):
    """Where the house is: what its clocks show, and where it sees the sun, if that is known."""

    zone: ZoneInfo
    latitude: float | None = None
    longitude: float | None = None


class Sun(msgspec.Struct, frozen=True):
    """A time of day that the sun makes, and how many seconds after it is meant."""

    event: str
    after: float = 0.0

    def on(self, day: date, place: Place) -> float | None:
        """Return the moment at which the sun rises or sets on a day; None where it does not. Raises BadArguments.

        The day is that of the sun, noon in its middle: by the clock it may be the one before or after.
        """
        # Loaded by those alone who go by the sun.
        from astral import Observer  # noqa: PLC0415
        from astral.sun import sunrise, sunset  # noqa: PLC0415

        if place.latitude is None or place.longitude is None:
            raise BadArguments(
                f"nobody knows when {self.event} is", "sshhome.toml tells where: [house] latitude, longitude"
            )
        observer = Observer(place.latitude, place.longitude)
        solar = timezone(timedelta(hours=place.longitude / 15))
        try:
            at = (sunrise if self.event == "sunrise" else sunset)(observer, day, solar)
        except ValueError:
            return None
        return at.timestamp() // 1


class Daily(msgspec.Struct, frozen=True):
    """On these weekdays, at a time: a minute of the day, or by the sun."""

    weekdays: Sequence[int]
    time: int | Sun

    def next(self, after: float, place: Place) -> float | None:
        """Return the first moment after one; None if there is none for a year. Raises BadArguments."""
        # Twelve hours after sunset may be of the day before yesterday, and the sun's days are not the clock's.
        first = datetime.fromtimestamp(after // 1, place.zone).date() - timedelta(days=3)
        for ahead in range(_AHEAD_SUN if isinstance(self.time, Sun) else _AHEAD):
            at = self._on(first + timedelta(days=ahead), place)
            if at is not None and at > after:
                return at
        return None

    def _on(self, day: date, place: Place) -> float | None:
        """Return the moment of a day, if it is one of the weekdays that are meant."""
        if isinstance(self.time, Sun):
            at = self.time.on(day, place)
            if at is None or datetime.fromtimestamp(at, place.zone).weekday() not in self.weekdays:
                return None
            return at + self.time.after
        if day.weekday() not in self.weekdays:
            return None
        hour, minute = divmod(self.time, 60)
        return float(reached(datetime(day.year, day.month, day.day, hour, minute), place.zone))  # noqa: DTZ001 (the zone is asked)


class Cron(msgspec.Struct, frozen=True):
    """As the five fields of a cron expression say."""

    text: str

    def next(self, after: float, place: Place) -> float | None:
        """Return the first moment after one; None if there is none for decades. Raises BadArguments."""
        try:
            minutes, hours, *_ = self.text.split()
            passing = minutes.startswith("*") or hours.startswith("*")
            return self._passing(int(after // 1), place.zone) if passing else self._fixed(after, place.zone)
        except (ValueError, AssertionError, OverflowError) as error:
            raise BadArguments(f"'{self.text}' is no cron expression: {error}", _FIELDS) from None

    def _fixed(self, after: float, zone: ZoneInfo) -> float | None:
        for wall in self._times(wall_at(int(after // 1), zone)):
            at = float(reached(datetime.fromtimestamp(wall, UTC).replace(tzinfo=None), zone))
            # In the hour that is repeated, the clock shows again what has been.
            if at > after:
                return at
        return None

    def _passing(self, now: int, zone: ZoneInfo) -> float | None:
        """Return the first moment after one at which the clock shows such a time, the same one twice if it does."""
        at, wall = now, wall_at(now, zone)
        while (time := next(self._times(wall), None)) is not None:
            found = at + time - wall
            soon = now + _TWO_DAYS
            turn = turn_between(now, min(soon, found), zone)
            if turn is not None:
                # From here on the clock shows other times, and the first of them may be one.
                now, at, wall = turn, turn - 1, wall_at(turn, zone) - 1
            elif found <= soon:
                return float(found)
            else:
                now = at = max(soon, found - _TWO_DAYS)
                wall = wall_at(now, zone)
        return None

    def _times(self, wall: int) -> Iterator[int]:
        """Yield what a clock that nobody puts shows at each time after one; raises ValueError."""
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 (loaded by those alone who use it)

        try:
            for time in CronSim(self.text, datetime.fromtimestamp(wall, UTC)):
                yield int(time.timestamp())
        except CronSimError as error:
            raise ValueError(str(error)) from None


_FIELDS = "minute hour day-of-month month day-of-week, such as '*/15 6-8 * * *'"


def clock_or_sun(text: str) -> int | Sun | None:
    """Return the time of day that a word is, `07:00` or `sunset-15m`; None where it is none. Raises BadArguments."""
    if (clock := _CLOCK.fullmatch(text)) is not None:
        return int(clock[1]) * 60 + int(clock[2])
    if (sun := _SUN.fullmatch(text.lower())) is None:
        return None
    event, sign, off = sun.groups()
    seconds = duration(off) if off else 0.0
    if seconds > _MOST_OFF:
        raise BadArguments(f"'{text}' is more than 12 h from {event}")
    return Sun(event, -seconds if sign == "-" else seconds)


def weekdays(text: str) -> Sequence[int]:
    """Return the weekdays that a word means, such as `day`, `weekday` or `mon,wed-fri`; raises BadArguments."""
    word = text.lower()
    try:
        (window,) = parse_when(_DAYS.get(word, word)).windows
    except BadArguments:
        window = None
    if window is None or window.dates or ":" in word or not window.weekdays:
        raise BadArguments(f"'{text[:80]}' is no days", "they are day, weekday, weekend, or such as mon,wed or tue-thu")
    return window.weekdays


def repeated(text: str) -> Daily | Cron:
    """Return how often is meant: `weekday 07:00`, `day sunset-15m` or a cron expression; raises BadArguments."""
    words = text.split()
    if len(words) == 5 and len(text) <= _LONGEST:
        return Cron(" ".join(words))
    if len(words) == 2:
        time = clock_or_sun(words[1])
        if time is not None:
            return Daily(weekdays(words[0]), time)
        raise BadArguments(f"'{words[1][:80]}' is no time", "it is such as 07:00, sunrise or sunset-15m")
    raise BadArguments(
        f"'{text[:80]}' is not how often", f"such as weekday 07:00, day sunset-15m or, in quotes, a cron one: {_FIELDS}"
    )


def once(text: str, now: float, place: Place) -> float:
    """Return the moment after now of `22:30`, `sunset-15m`, `tomorrow 07:00` or `2026-12-24 18:00`.

    Raises BadArguments.
    """
    time = clock_or_sun(text.strip())
    if time is not None:
        at = Daily(range(7), time).next(now, place)
    elif _DATE.fullmatch(text.strip().lower()):
        raise BadArguments(f"'{text}' is a day and no time", f"such as '{text} 18:00'")
    else:
        today = datetime.fromtimestamp(now // 1, place.zone).date()
        try:
            at = parse_moment(dated(text, today), place.zone)
        except BadArguments:
            raise BadArguments(
                f"'{text[:80]}' is no time", "it is such as 22:30, sunset-15m, 'tomorrow 07:00' or '2026-12-24 18:00'"
            ) from None
    if at is None or at <= now:
        raise BadArguments(f"'{text}' " + ("is never" if at is None else "has gone by"))
    return at


def goes_on(text: str) -> bool:
    """Return whether a word of `at` is a day, whose time is the next word."""
    return _DATE.fullmatch(text.lower()) is not None
