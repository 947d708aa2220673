"""A plot of a value over time, in braille dots: two across and four down for each character."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sshhome.history import Stretch, regular, size

#: Characters from top to bottom of a plot of numbers, and from left to right of the narrowest.
_ROWS, _NARROW = 8, 10
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
#: Minutes, and days, that may lie between two ticks; and characters that a tick takes with its label.
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS = (1, 2, 7, 14, 28, 91, 182, 364, 1820)
_TICK = 9
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Chart(msgspec.Struct, frozen=True):
    """What is to be drawn; `words` are what the numbers 0, 1, 2 … are called, for a value that is none."""

    stretches: Sequence[Stretch]
    since: float
    until: float
    zone: ZoneInfo
    words: tuple[str, ...] = ()


def fits(columns: int) -> bool:
    """Return whether a terminal is wide enough to draw in."""
    return columns >= 3 * _NARROW


def draw(chart: Chart, columns: int) -> list[str]:
    """Return a plot with its axes as lines of at most so many columns."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 (as the tables, only once something is drawn)

    bounds = _bounds(chart)
    labels = _labels(chart, bounds)
    gutter = min(max(cell_len(label) for label in labels), columns - 2 - _NARROW)
    across = columns - gutter - 2
    dots = _dots(chart, bounds, across, len(labels))
    lines = []
    for label, row in zip(labels, dots, strict=True):
        # As many cells as the widest has, whichever characters it is of.
        shown = " " * (gutter - min(cell_len(label), gutter)) + set_cell_size(label, min(cell_len(label), gutter))
        lines.append(f"{shown} {'┤' if label else '│'}{''.join(chr(0x2800 + bits) for bits in row)}".rstrip("\u2800"))
    axis, below = _axis(chart, across)
    return [*lines, f"{' ' * gutter} └{axis}", f"{' ' * gutter}  {below}".rstrip()]


def _bounds(chart: Chart) -> tuple[float, float]:
    if chart.words:
        return 0.0, float(len(chart.words) - 1)
    low, high = min(s.low for s in chart.stretches), max(s.high for s in chart.stretches)
    # What does not change at all runs through the middle.
    return (low, high) if low < high else (low - 1, high + 1)


def _labels(chart: Chart, bounds: tuple[float, float]) -> list[str]:
    if chart.words:
        return list(reversed(chart.words))
    low, high = bounds
    labels = [""] * _ROWS
    across = high - low
    # So many places that no two labels are the same.
    places = 0 if across >= 100 else 1 if across >= 1 else 2 if across >= 0.1 else 3
    for row in (0, _ROWS // 2, _ROWS - 1):
        labels[row] = f"{high - across * row / (_ROWS - 1):.{places}f}"
    return labels


def _dots(chart: Chart, bounds: tuple[float, float], across: int, rows: int) -> list[list[int]]:
    canvas = [[0] * across for _ in range(rows)]
    low, high = bounds

    def height(value: float) -> int:
        if chart.words:
            # A line through the middle of the row of its word.
            return (rows - 1 - round(value)) * 4 + 2
        return round((high - value) / (high - low) * (rows * 4 - 1))

    step = (chart.until - chart.since) / (across * 2)
    edges = [chart.since + step * x for x in range(across * 2 + 1)]
    before: int | None = None
    for x, part in enumerate(regular(chart.stretches, edges)):
        if part is None:
            before = None
            continue
        heights = [height(part.low), height(part.high), *([] if before is None else [before])]
        for y in range(min(heights), max(heights) + 1):
            canvas[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        before = height(size(part.value))
    return canvas


def _axis(chart: Chart, across: int) -> tuple[str, str]:
    """Return the line of the axis with its ticks, and what stands below it."""
    axis, below = ["─"] * across, [" "] * across
    free = 0
    for at, label in ticks(chart.since, chart.until, chart.zone, max(1, across // _TICK)):
        x = min(int((at - chart.since) / (chart.until - chart.since) * across), across - 1)
        axis[x] = "┬"
        start = min(max(x - len(label) // 2, 0), across - len(label))
        if start >= free:
            below[start : start + len(label)] = label
            free = start + len(label) + 1
    return "".join(axis), "".join(below).rstrip()


def ticks(since: float, until: float, zone: ZoneInfo, most: int) -> list[tuple[float, str]]:
    """Return round times of the clock on the wall, and what they are called: some hours, or some days, apart.

    An hour that is skipped as the clocks go forward has no tick, one that is repeated has two.
    """
    apart = (until - since) / most / 60
    minutes = next((step for step in _MINUTES if step >= apart), 0)
    days = next((step for step in _DAYS if step * 1440 >= apart), _DAYS[-1])
    found = _times(since, until, zone, minutes) if minutes else _midnights(since, until, zone, days)
    return sorted({at: label for at, label in found if since <= at <= until}.items())


def _dates(since: float, until: float, zone: ZoneInfo) -> Iterator[date]:
    day, last = (datetime.fromtimestamp(at // 1, zone).date() for at in (since, until))
    while day <= last:
        yield day
        day += timedelta(days=1)


def _times(since: float, until: float, zone: ZoneInfo, minutes: int) -> Iterator[tuple[float, str]]:
    for day in _dates(since, until, zone):
        for minute in range(0, 1440, minutes):
            for fold in (0, 1):
                shown = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone, fold=fold)
                at = shown.timestamp()
                if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
                    yield at, f"{shown:%H:%M}" if minute else _day(day)


def _midnights(since: float, until: float, zone: ZoneInfo, days: int) -> Iterator[tuple[float, str]]:
    for day in _dates(since, until, zone):
        if day.toordinal() % days == 0:
            yield datetime(day.year, day.month, day.day, tzinfo=zone).timestamp(), _day(day)


def _day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"
