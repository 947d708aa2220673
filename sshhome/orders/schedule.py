"""Orders that have an order given by itself: at a time, again and again, or when the house becomes so."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from sshhome import upcoming
from sshhome.clock import iso
from sshhome.condition import parse_house
from sshhome.errors import BadArguments, Denied
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import (
    Change,
    Choice,
    GivenOrder,
    OneAttributed,
    ParamType,
    ScheduleNumber,
    Scope,
    Seconds,
    Suggestion,
)
from sshhome.quantity import span
from sshhome.schedule import AT, EVERY, IN, WHEN, is_over, kind
from sshhome.store import Run, Schedule
from sshhome.when import moment

#: The longest time ahead of which an order can be given.
_LONGEST = 366 * 86400.0
_CONDITION = re.compile(r"(.+?)\s*(!=|<=|>=|=|<|>)\s*([^=<>!]+?)(?:\s+then)?", re.ASCII | re.IGNORECASE)
_COMPARISONS = ("=", "!=", "<", ">", "<=", ">=")
_MISSED = {"skip": "leave it out", "run": "run it late, within a day"}


# -- how it is written when -------------------------------------------------------------------------------------------


class Time(ParamType):
    """A time that is still to come: `22:30`, `sunset-15m`, `tomorrow 07:00`."""

    metavar = "TIME"

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the text; the order asks the clock of the house what it means."""
        return text

    def goes_on(self, text: str) -> bool:
        """Return whether this is a day, whose time is the next word."""
        return upcoming.goes_on(text)

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few."""
        yield from _TIMES_OF_DAY
        yield Suggestion("tomorrow", "and a time")

    def follow(self, text: str, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield times of a day."""
        yield from (Suggestion(time, text) for time in ("07:00", "18:00", "22:30"))


_TIMES_OF_DAY = (
    Suggestion("07:00", "in the morning"),
    Suggestion("22:30", "in the evening"),
    Suggestion("sunrise", "as the sun rises"),
    Suggestion("sunset-15m", "a quarter of an hour before the sun sets"),
)


class Often(ParamType):
    """How often: days and a time, or a cron expression in quotes."""

    metavar = "DAYS TIME|CRON"

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        """Return the text, once it is understood."""
        upcoming.repeated(text)
        return text

    def takes(self, text: str, scope: Scope) -> bool:
        """Return whether one of the words will do."""
        try:
            if " " in text:
                self.parse(text, scope)
            elif upcoming.clock_or_sun(text) is None:
                upcoming.weekdays(text)
        except BadArguments:
            return False
        return True

    def goes_on(self, text: str) -> bool:
        """Return whether these are the days, whose time is the next word."""
        return " " not in text

    def begins(self, text: str, scope: Scope) -> bool:  # noqa: ARG002
        """Return that any word may become one that will do."""
        return True

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield a few."""
        yield Suggestion("day", "every day")
        yield Suggestion("weekday", "monday to friday")
        yield Suggestion("weekend", "saturday and sunday")
        yield Suggestion("mon,thu", "on these days of the week")
        yield Suggestion("*/15 6-8 * * *", "as cron says: minute hour day month weekday")

    def follow(self, text: str, scope: Scope) -> Iterable[Suggestion]:  # noqa: ARG002
        """Yield times of a day."""
        return _TIMES_OF_DAY


class Becomes(ParamType):
    """What a device becomes, up to the word `then`: `hall_motion = on then`."""

    metavar = "DEVICE = VALUE then"
    free = True

    def __init__(self) -> None:
        """Take any device that has a value."""
        self._device = OneAttributed()

    def parse(self, text: str, scope: Scope) -> str:
        """Return it as it is kept: the device by its id, and which attribute is meant."""
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise BadArguments(f"'{text[:80]}' is not DEVICE = VALUE", "such as hall_motion = on, or kids.climate > 25")
        named = self._device.parse(match[1], scope)
        (device,) = named.devices
        first: BadArguments | None = None
        attributes = [device.attributes[named.attribute]] if named.attribute else list(device.attributes.values())
        for attribute in sorted(attributes, key=lambda one: one is not device.primary):
            try:
                attribute.parse(match[3])
                (state,) = parse_house(f"{device.id}.{attribute.name} {match[2]} {match[3].lower()}")
            except BadArguments as error:
                first = first or BadArguments(error.message.removeprefix("house: "), error.hint)
            else:
                return str(state)
        raise first or BadArguments(f"{device.id} has no value")

    def goes_on(self, text: str) -> bool:
        """Return whether it has not come to its `then` yet."""
        return text.split()[-1:] != ["then"]

    def suggest(self, scope: Scope) -> Iterable[Suggestion]:
        """Yield the devices that have a value."""
        return self._device.suggest(scope)

    def offer(self, text: str, scope: Scope) -> Iterable[Suggestion]:
        """Yield the attributes of the device that is named up to the last dot."""
        return self._device.offer(text, scope)

    def follow(self, text: str, scope: Scope) -> Iterable[Suggestion]:
        """Yield how it is compared, then with what, and then `then`."""
        words = text.split()
        if len(words) == 1:
            yield from (Suggestion(sign, "compared with") for sign in _COMPARISONS)
        elif len(words) > 2:
            yield Suggestion("then", "and the order")
        elif self._device.takes(words[0], scope):
            match = self._device.parse(words[0], scope)
            within = msgspec.structs.replace(scope, device=match.devices[0], attribute=match.attribute)
            yield from Change().suggest(within)
            yield from (Suggestion(word, "as it is, or is not") for word in ("on", "off"))


Missed = Annotated[str, Choice(_MISSED, _MISSED)]

# -- what they answer -------------------------------------------------------------------------------------------------


class RunInfo(msgspec.Struct, frozen=True):
    """A time at which it was due: when its order began and ended, with which status, and what it answered."""

    due: str
    begun: str
    ended: str
    status: int | None
    says: str
    #: When it was due, for people.
    said: str


class ScheduleInfo(msgspec.Struct, frozen=True):
    """A schedule: whose it is, when its order is given, when that is next, and how it went."""

    schedule: int
    user: str
    when: str
    order: str
    next: str
    missed: str
    paused: str
    over: bool
    runs: Sequence[RunInfo]
    #: How it is with it, for people, and how it went the last time.
    state: str
    last: str


def _info(ctx: Context, schedule: Schedule) -> ScheduleInfo:
    now = ctx.clock.now()
    runs = [
        RunInfo(
            iso(run.due),
            "" if run.begun is None else iso(run.begun),
            "" if run.ended is None else iso(run.ended),
            run.status,
            run.says,
            moment(run.due, ctx.timezone, now),
        )
        for run in schedule.runs
    ]
    paused, due = schedule.paused, schedule.due
    if paused:
        state = f"paused: {paused}"
    elif is_over(schedule):
        state = "over"
    elif kind(schedule) == WHEN:
        state = "waits"
    else:
        state = "never again" if due is None else moment(due, ctx.timezone, now)
    last = _how(schedule.runs[-1]) if schedule.runs else ""
    next_ = "" if due is None or paused else iso(due)
    return ScheduleInfo(
        schedule.number,
        schedule.user,
        schedule.when,
        schedule.line,
        next_,
        schedule.missed if kind(schedule) != WHEN else "",
        paused,
        is_over(schedule),
        runs,
        state,
        last,
    )


def _how(run: Run) -> str:
    if run.begun is None:
        return "did not run"
    if run.ended is None:
        return "runs now"
    return "done" if run.status == 0 else "unknown" if run.status is None else f"ended with {run.status}"


def _made(info: ScheduleInfo) -> str:
    when = info.when if info.state == "waits" else f"{info.when}, next {info.state}"
    if info.when.partition(" ")[0] in {AT, IN}:
        when = info.state
    return f"schedule {info.schedule}: '{info.order}' {when}"


# -- making one -------------------------------------------------------------------------------------------------------


@order("at", needs=Privilege.READ, says=_made, keeps=True)
async def at(ctx: Context, time: Annotated[str, Time()], line: GivenOrder, *, missed: Missed = "skip") -> ScheduleInfo:
    """Give an order later, once, with what you may do then.

    time: such as 22:30, sunrise, sunset-15m, tomorrow 07:00 or 2026-12-24 18:00
    line: the order, whole
    missed: skip it, or run it late, if the server is not running at that time
    """
    due = upcoming.once(time, ctx.clock.now(), ctx.schedules.place)
    if due > ctx.clock.now() + _LONGEST:
        raise BadArguments(f"'{time}' is more than a year ahead")
    return await _make(ctx, f"{AT} {ctx.dated(time)}", line, due, missed)


@order("in", needs=Privilege.READ, says=_made, keeps=True)
async def in_(ctx: Context, duration: Seconds, line: GivenOrder) -> ScheduleInfo:
    """Give an order in a while, once, with what you may do then; late rather than not at all.

    duration: such as 10m or 1h30m
    line: the order, whole
    """
    if not 1 <= duration <= _LONGEST:
        raise BadArguments(f"'in' takes 1 s to {span(_LONGEST)}, not {span(duration)}")
    return await _make(ctx, f"{IN} {span(duration)}", line, ctx.clock.now() + duration, "run")


@order("every", needs=Privilege.READ, says=_made, keeps=True)
async def every(
    ctx: Context, often: Annotated[str, Often()], line: GivenOrder, *, missed: Missed = "skip"
) -> ScheduleInfo:
    """Give an order again and again, each time with what you may do then.

    often: such as day 22:30, weekday 07:00, mon,thu sunset-15m, or as cron says it, '*/15 6-8 * * *'
    line: the order, whole
    missed: skip what the server was not running for, or run it late, once for them all
    """
    due = upcoming.repeated(often).next(ctx.clock.now(), ctx.schedules.place)
    if due is None:
        raise BadArguments(f"'{often}' is never")
    return await _make(ctx, f"{EVERY} {often}", line, due, missed)


@order("when", needs=Privilege.READ, says=_made, keeps=True)
async def when(ctx: Context, condition: Annotated[str, Becomes()], line: GivenOrder) -> ScheduleInfo:
    """Give an order whenever a device becomes so, with what you may do then.

    condition: such as hall_motion = on then
    line: the order, whole
    """
    return await _make(ctx, f"{WHEN} {condition}", line, None, "skip")


async def _make(ctx: Context, when: str, line: str, due: float | None, missed: str) -> ScheduleInfo:
    """Keep an order to be given later; raises Denied for one that could not be given then, as far as that is known."""
    for verdict in await ctx.foresee(line, ctx.clock.now() if due is None else due):
        asked = [judged for judged in verdict.devices if judged.step_up]
        if asked:
            way = "a one-time code" if asked[0].step_up == "totp" else "a confirmation"
            raise Denied(f"'{verdict.order} {asked[0].id}'".replace(" '", "'") + f" needs {way}, and nobody is there")
        if not any(judged.allowed for judged in verdict.devices):
            why = "; ".join(dict.fromkeys(unmet for judged in verdict.devices for unmet in judged.unmet))
            raise Denied(f"you may not give '{line}' then" + (f": {why}" if why else ""))
    schedule = ctx.schedules.add(ctx.user.login, when, line, due, missed)
    await ctx.store.settle()
    return _info(ctx, schedule)


# -- looking after them -----------------------------------------------------------------------------------------------


def _list(infos: Sequence[ScheduleInfo]) -> Table:
    whose = len({info.user for info in infos}) > 1
    columns = [Column("number", keep=9, right=True)] + [Column("user", keep=5)] * whose
    columns += [Column("when", keep=6, wraps=True), Column("order", keep=8, wraps=True)]
    columns += [Column("next", keep=7, wraps=True), Column("last", keep=3)]
    rows = [
        (str(i.schedule), *([i.user] if whose else []), i.when, i.order, i.state if i.state != i.when else "", i.last)
        for i in infos
    ]
    return Table(tuple(columns), rows, empty="no schedules")


@order("schedule list", needs=Privilege.READ, says=_list)
async def schedule_list(ctx: Context, *, all_: bool = False) -> Sequence[ScheduleInfo]:
    """List your schedules, those that are over last.

    all_: those of everybody, as who runs the server
    """
    if all_ and not await _oversees(ctx):
        raise Denied("to list those of everybody takes the admin privilege, and that nothing is hidden from you")
    found = ctx.schedules.all() if all_ else ctx.schedules.of(ctx.user.login)
    return [_info(ctx, schedule) for schedule in sorted(found, key=lambda one: (is_over(one), one.number))]


def _shown(info: ScheduleInfo) -> str:
    told = [f"schedule {info.schedule} of {info.user}: {info.when}", f"  order: {info.order}", f"  next: {info.state}"]
    if info.missed == "run":
        told.append("  missed: is run late")
    for run in info.runs:
        ended = "" if run.status in {0, None} else f" ({run.status})"
        said = " / ".join(run.says.splitlines()) or ("runs now" if not run.ended else "done")
        told.append(f"  {run.said}: {said}{ended}")
    return "\n".join(told)


@order("schedule show", needs=Privilege.READ, says=_shown)
async def schedule_show(ctx: Context, number: ScheduleNumber) -> ScheduleInfo:
    """Show a schedule, and how its last runs went.

    number: its number, as `schedule list` tells it
    """
    return _info(ctx, await _named(ctx, number))


@order("schedule pause", needs=Privilege.READ, says="schedule {number} is paused", keeps=True)
async def schedule_pause(ctx: Context, number: ScheduleNumber) -> ScheduleInfo:
    """Let a schedule rest until it is resumed; what it misses until then it misses.

    number: its number
    """
    schedule = await _named(ctx, number)
    return await _kept(ctx, schedule if schedule.paused else ctx.schedules.pause(schedule, f"by {ctx.user.login}"))


@order("schedule resume", needs=Privilege.READ, says="schedule {number} goes on", keeps=True)
async def schedule_resume(ctx: Context, number: ScheduleNumber) -> ScheduleInfo:
    """Let a schedule go on that was paused.

    number: its number
    """
    schedule = await _named(ctx, number)
    return await _kept(ctx, ctx.schedules.resume(schedule) if schedule.paused else schedule)


@order("schedule remove", needs=Privilege.READ, says="schedule {number} is removed", keeps=True)
async def schedule_remove(ctx: Context, number: ScheduleNumber) -> ScheduleInfo:
    """Remove a schedule; a run of it that has begun goes on to its end.

    number: its number
    """
    schedule = await _named(ctx, number)
    ctx.schedules.remove(schedule)
    return await _kept(ctx, schedule)


async def _kept(ctx: Context, schedule: Schedule) -> ScheduleInfo:
    await ctx.store.settle()
    return _info(ctx, schedule)


async def _named(ctx: Context, number: int) -> Schedule:
    """Return a schedule of the giver's, or of anybody's for who runs the server; raises BadArguments."""
    schedule = ctx.schedules.get(number)
    if schedule is None or (schedule.user != ctx.user.login and not await _oversees(ctx)):
        raise BadArguments(f"no schedule {number}", "`schedule list` lists yours")
    return schedule


async def _oversees(ctx: Context) -> bool:
    """Return whether the giver runs the server and may see all devices, and so may know of what others have planned."""
    (who_can,) = (await ctx.explain("who-can explain", ctx.standing, ctx.clock.now())).devices
    return who_can.allowed and all(map(ctx.sight(), (told.device for told in ctx.house.told())))
