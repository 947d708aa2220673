"""The orders that look back: how a value was, and who or what changed a device last."""

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from sshhome.clock import iso
from sshhome.device import ATTRIBUTES, Attribute, Device, Scalar, State
from sshhome.errors import BadArguments
from sshhome.escape import printable
from sshhome.grant import Privilege
from sshhome.history import BUCKET, Cause, Stretch, regular, shares, whole
from sshhome.order import REGISTRY, Cell, Column, Context, Plot, Table, order
from sshhome.param import Called, Recorded, Since
from sshhome.plot import Chart
from sshhome.quantity import span
from sshhome.summary import flag, summary
from sshhome.when import moment

#: Seconds up to which numbers are told as they were every ten seconds, and not as the mean of some minutes.
_FINE = 6 * 3600.0
#: Seconds that one point of a history may stand for, and points that one answer has at the most.
_EVERY = (BUCKET, 900.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 86400.0)
_MOST = 2_200
#: Rows of the table that stands for a plot, and words that a plot has room for.
_ROWS, _WORDS = 12, 7
#: Seconds in which a scene and what it sets tell of the same change.
_TOGETHER = 2.0


class Point(msgspec.Struct, frozen=True):
    """A value from a moment on, null where it is not known; over some minutes it is the mean, between min and max."""

    at: str
    value: Scalar
    min: Scalar
    max: Scalar


class Past(msgspec.Struct, dict=True):
    """How a value of a device was; `every` tells how many seconds a point stands for, 0 from one change to the next."""

    id: str
    attribute: str
    unit: str
    since: str
    until: str
    every: float
    min: float | None
    mean: float | None
    max: float | None
    points: Sequence[Point]
    #: What people see of it, and no JSON has; None where they asked for comma-separated values.
    plot: ClassVar[Plot | None] = None


def _past(past: Past) -> str | Table:
    if past.plot is not None:
        return past.plot
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(("at", "value", "min", "max"))
    rows.writerows([_field(cell) for cell in (p.at, p.value, p.min, p.max)] for p in past.points)
    return file.getvalue().rstrip("\n")


def _field(value: Scalar) -> Scalar:
    """Return a value as a field: what a device calls a state must not break the line that it stands in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(printable(value.replace("\n", " ")).split()) if isinstance(value, str) else value


@order("history", needs=Privilege.READ, says=_past)
async def history(
    ctx: Context, device: Recorded, *, since: Since = 86400.0, until: Since = 0.0, csv: bool = False
) -> Past:
    """Plot how a value was.

    device: the device, with .ATTRIBUTE for another value than its main one
    since: from when on, such as 6h, yesterday or '2026-12-24 18:00'; 24 hours ago if left out
    until: up to when; until now if left out
    csv: answer in comma-separated values
    """
    (found,), begin, end = device.devices, ctx.at(since), min(ctx.at(until), ctx.clock.now())
    if begin >= end:
        raise BadArguments("this time is yet to come, or ends before it begins", "--since comes before --until")
    attribute = found.attributes[device.attribute or _main(found)]
    fine = attribute.type in {bool, str} or end - begin <= _FINE
    async with ctx.recorder.looking:
        stretches = await ctx.recorder.read(found.id, attribute.name, begin, end, fine=fine)
        # Of a year there may be a hundred thousand: others go on while they are looked through.
        return await asyncio.to_thread(_told_of, ctx, found, attribute, stretches, (begin, end), fine=fine, csv=csv)


def _told_of(
    ctx: Context,
    found: Device,
    attribute: Attribute,
    stretches: Sequence[Stretch],
    between: tuple[float, float],
    *,
    fine: bool,
    csv: bool,
) -> Past:
    begin, end = between
    total = None if attribute.type is str else whole(stretches)
    every = 0.0 if fine else next((each for each in _EVERY if (end - begin) / each <= _MOST), _EVERY[-1])
    low, mean, high = map(_rounded, (total.low, total.mean, total.high) if total is not None else (None, None, None))
    points = _points(stretches if fine else _each(stretches, begin, end, every), attribute)[-_MOST:]
    past = Past(found.id, attribute.name, attribute.unit, iso(begin), iso(end), every, low, mean, high, points)
    if not csv:
        vars(past)["plot"] = _plot(ctx, found, attribute, stretches, (begin, end))
    return past


def _main(device: Device) -> str:
    """Return the value that is meant when none is named: what is measured, else whether it is on, else what is set."""
    if not device.attributes:
        raise BadArguments(f"{device.id} has no values")
    if device.kind in {"sensor", "binary_sensor", "weather"}:
        return next(iter(device.attributes))
    named = next((name for name in ("temperature", "on") if name in device.attributes), "")
    return named or (device.primary.name if device.primary else "")


def _each(stretches: Sequence[Stretch], begin: float, end: float, every: float) -> Sequence[Stretch]:
    """Return a stretch for every so many seconds, those in which nothing is known left out."""
    first = begin // every * every
    edges = [begin, *(first + every * step for step in range(1, int((end - first) // every) + 1)), end]
    parts = regular(stretches, sorted(set(edges)))
    return [part for part in parts if part is not None]


def _points(stretches: Sequence[Stretch], attribute: Attribute) -> list[Point]:
    points: list[Point] = []
    before: Stretch | None = None
    for stretch in stretches:
        if before is not None and stretch.start > before.end:
            points.append(Point(iso(before.end), None, None, None))
        if attribute.type is str:
            point = Point(iso(stretch.start), stretch.value, stretch.value, stretch.value)
        elif attribute.type is bool:
            point = Point(iso(stretch.start), stretch.value, stretch.low > 0, stretch.high > 0)
        else:
            low, mean, high = map(_rounded, (stretch.low, stretch.mean, stretch.high))
            point = Point(iso(stretch.start), mean, low, high)
        if before is None or stretch.start > before.end or not points or _news(points[-1], point):
            points.append(point)
        before = stretch
    return points


def _news(before: Point, after: Point) -> bool:
    return (before.value, before.min, before.max) != (after.value, after.min, after.max)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)


# -- for people -------------------------------------------------------------------------------------------------------


def _plot(
    ctx: Context, device: Device, attribute: Attribute, stretches: Sequence[Stretch], between: tuple[float, float]
) -> Plot:
    now, (begin, end) = ctx.clock.now(), between
    times = " to ".join(moment(at, ctx.timezone, now) if at < now else "now" for at in (begin, end))
    unit = f", {attribute.unit}" if attribute.unit and attribute.type is not bool else ""
    named = "" if attribute.title in device.name.lower() else f", {attribute.title}"
    title = f"{device.name}{named}{unit}: {times}"
    empty = f"nothing is recorded of {device.id}.{attribute.name} in this time"
    words = _words(stretches, attribute)
    if words:
        # The last of them may be several.
        numbers = {word: min(place, len(words) - 1) for place, word in enumerate(_ranked(stretches, attribute))}
        drawn = [_numbered(stretch, numbers[_called(stretch, attribute)]) for stretch in stretches]
        columns: tuple[Column, ...] = (Column("from", keep=9), Column("is", keep=8), Column("for", keep=7, right=True))
        rows: list[Sequence[Cell]] = [
            (moment(s.start, ctx.timezone, now), _called(s, attribute), span(s.end - s.start))
            for s in _same(stretches)[-_ROWS:]
        ]
    else:
        drawn = list(stretches)
        columns = (
            Column("from", keep=9),
            Column("min", keep=7, right=True),
            Column("mean", keep=8, right=True),
            Column("max", keep=7, right=True),
        )
        step = (end - begin) / _ROWS
        parts = regular(stretches, [begin + step * at for at in range(_ROWS + 1)])
        rows = [
            (moment(part.start, ctx.timezone, now), *map(attribute.show, (part.low, part.mean, part.high)))
            for part in parts
            if part is not None
        ]
    if len(drawn) > _MOST:
        # More than any terminal has columns.
        step = (end - begin) / _MOST
        drawn = [part for part in regular(drawn, [begin + step * at for at in range(_MOST + 1)]) if part is not None]
    chart = Chart(drawn, begin, end, ctx.timezone, words)
    return Plot(columns, rows, empty, chart=chart, title=title, foot=_foot(stretches, attribute))


def _called(stretch: Stretch, attribute: Attribute) -> str:
    return flag(attribute.name, up=bool(stretch.value)) if attribute.type is bool else printable(str(stretch.value))


def _ranked(stretches: Sequence[Stretch], attribute: Attribute) -> list[str]:
    """Return the words that a value had: of a flag down before up, else what held longest first."""
    if attribute.type is bool:
        return [flag(attribute.name, up=up) for up in (False, True)]
    held = shares([replace(stretch, value=_called(stretch, attribute)) for stretch in stretches])
    return sorted(held, key=lambda word: -held[word])


def _words(stretches: Sequence[Stretch], attribute: Attribute) -> tuple[str, ...]:
    """Return what the rows of a plot are called, the lowest first; none for a number."""
    if attribute.type not in {bool, str}:
        return ()
    ranked = _ranked(stretches, attribute)
    return tuple(ranked) if len(ranked) <= _WORDS else (*ranked[: _WORDS - 1], "other")


def _numbered(stretch: Stretch, number: int) -> Stretch:
    if isinstance(stretch.value, bool):
        return stretch
    return replace(stretch, low=number, mean=number, high=number, value=number)


def _same(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches with those as one that follow each other and are the same."""
    merged: list[Stretch] = []
    for stretch in stretches:
        if merged and merged[-1].value == stretch.value and merged[-1].end == stretch.start:
            merged[-1] = replace(merged[-1], end=stretch.end)
        else:
            merged.append(stretch)
    return merged


def _foot(stretches: Sequence[Stretch], attribute: Attribute) -> str:
    total = whole(stretches)
    if total is None:
        return ""
    if attribute.type not in {bool, str}:
        low, mean, high = (attribute.show(value) for value in (total.low, total.mean, total.high))
        return f"min {low}  mean {mean}  max {high}"
    known = sum(stretch.end - stretch.start for stretch in stretches)
    if attribute.type is bool:
        # Minutes of which only the mean is left count as it says.
        up = sum(stretch.mean * (stretch.end - stretch.start) for stretch in stretches)
        held = {flag(attribute.name, up=True): up, flag(attribute.name, up=False): known - up}
    else:
        found = shares([replace(stretch, value=_called(stretch, attribute)) for stretch in stretches])
        held = dict(sorted(found.items(), key=lambda each: -each[1])[:_WORDS])
    told = [f"{word} {span(seconds)} ({round(seconds / known * 100)} %)" for word, seconds in held.items() if seconds]
    return "  ".join(told)


# -- who or what ------------------------------------------------------------------------------------------------------


class Told(msgspec.Struct, frozen=True):
    """One change of a device: what became of it, and by whose order, empty where nobody gave one."""

    at: str
    user: str
    order: str
    change: State
    #: The same for people.
    said: str


class Why(msgspec.Struct, frozen=True):
    """What changed a device last: an order, and what came by itself or by hand; the later of them first."""

    id: str
    state: State
    changes: Sequence[Told]
    said: str


def _why(why: Why) -> str:
    return "\n".join((why.said, *(f"  {told.said}" for told in why.changes)))


@order("why", needs=Privilege.READ, says=_why)
async def why(ctx: Context, device: Called) -> Why:
    """Tell who or what changed a device last.

    device: the device
    """
    causes = [cause for by in ("order", "itself") if (cause := ctx.recorder.cause(device.id, by)) is not None]
    found = [_told(ctx, device, _scened(ctx, cause)) for cause in sorted(causes, key=lambda c: -c.at)]
    said = f"{device.id} is {summary(device)}" + ("" if found else "; nothing has changed it since that is recorded")
    return Why(device.id, device.state, found, said)


def _scened(ctx: Context, cause: Cause) -> Cause:
    """Return a change that came by itself as one of the scene or group that was told to make it, if one was."""
    if cause.by:
        return cause
    for other in ctx.scope.index:
        if cause.device in other.members or cause.device in other.group:
            by = ctx.recorder.cause(other.id, "order")
            if by is not None and abs(by.at - cause.at) <= _TOGETHER:
                return replace(cause, by=by.by)
    return cause


def _told(ctx: Context, device: Device, cause: Cause) -> Told:
    user, _, order_ = cause.by.partition(": ")
    own = user == ctx.user.login and ctx.standing.whole
    if order_ and not own and not ctx.standing.rights.somewhere(Privilege.ADMIN).allowed:
        # The rest of it may name what is hidden from who asks.
        given, _ = REGISTRY.find(order_.split())
        order_ = given.name if given is not None else "an order"
    became = ", ".join(_became(device, name, value) for name, value in cause.change.items())
    who = f"{user} gave '{order_}'" if order_ else f"by {cause.by}" if cause.by else "by itself or by hand"
    said = f"{moment(cause.at, ctx.timezone, ctx.clock.now())}: {became}, {who}"
    return Told(iso(cause.at), user if order_ else "", order_ or cause.by, cause.change, said)


def _became(device: Device, name: str, value: Any) -> str:  # noqa: ANN401 (any value)
    attribute = device.attributes.get(name) or ATTRIBUTES.get(name)
    if attribute is None:
        return f"{name} {value}"
    return flag(name, up=value) if isinstance(value, bool) else f"{attribute.title} {attribute.show(value)}"
