"""The order that tells what has been done in the house and at its door, in plain words from the audit log.

Everybody reads of what they did themselves, and of what others did to devices that they may see: to those, and to no
more of the order than that. What is about the server and its door is for who runs it. What was only looked at is not
told: the audit log has it.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

import msgspec

from sshhome.audit import EVENTS
from sshhome.clock import iso
from sshhome.errors import NotConfirmed
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Column, Context, Order, Table, order
from sshhome.param import Since, UserName
from sshhome.when import moment

#: Entries that one answer has, the newest; and events that wait for somebody who reads slowly.
_MOST, _WAITING = 500, 1000
#: Events that are read at once.
_AT_ONCE = 500
#: What is told of some events; of the others what the catalogue says.
_WORDS: Mapping[str, str] = {
    "server.started": "the server started, version {version}",
    "login.ok": "logged in from {source}",
    "login.failed": "did not get in from {source}: {reason}",
    "ban.set": "{source} is banned: {evidence}",
    "ban.lifted": "the ban of {source} was lifted",
    "penalty.set": "{source} is turned away for a while: {reason}",
    "connection.refused": "{source} was turned away: {reason}",
    "session.refused": "had too many sessions open",
    "alert.refusals": "many were turned away in a short time",
    "alert.resources": "the machine is at its end, nobody else is let in",
    "alert.hook": "hook {hook} takes nothing: {reason}",
    "config.refused": "changed files are not understood: {message}",
    "user.refused": "a user file is not understood: {message}",
    "schedule.missed": "schedule {schedule}, '{order}', did not run: {reason}",
    "schedule.unknown": "schedule {schedule}, '{order}', ran as the server ended: nobody knows how it went",
    "schedule.stopped": "schedule {schedule}, '{order}', did not run: {reason}",
    "schedule.paused": "schedule {schedule}, '{order}', rests: {reason}",
}
#: What goes without saying: a login that is half done is told once it is whole, a session with its login.
_QUIET = frozenset({"login.halfway", "session.opened", "session.closed"})


#: Orders that make somebody, who did nothing before.
_MAKING = frozenset({"user add", "pass create"})


class Entry(msgspec.Struct, frozen=True):
    """What was done, when and by whom, in words; `devices` are those of it that may be seen."""

    at: str
    event: str
    user: str
    what: str
    devices: Sequence[str]
    #: The moment for people.
    said: str


def _entries(found: Entry | Sequence[Entry]) -> str | Table:
    if isinstance(found, Entry):
        return f"{found.said}  {f'{found.user}: ' if found.user else ''}{found.what}"
    columns = (Column("when", keep=8), Column("who", keep=7), Column("what", keep=9, wraps=True))
    return Table(columns, [(e.said, e.user, e.what) for e in found], empty="nothing was done in this time")


@order("log", needs=Privilege.READ, says=_entries)
async def log(
    ctx: Context, *, user: UserName = "", since: Since = 86400.0, follow: bool = False
) -> Sequence[Entry] | AsyncGenerator[Entry, None]:
    """Tell what was done in the house, by whom; of others only what they did to what you may see.

    user: what this user did alone
    since: from when on, such as 1h or yesterday; 24 hours ago if left out
    follow: go on with what is done from now on, until it is interrupted
    """
    begin = ctx.at(since)
    came: set[tuple[str, str]] = set()
    entries = await _found(ctx, _Eyes(ctx, came), user, ctx.log.read(begin))
    return _followed(ctx, user, entries, came) if follow else entries


async def _found(ctx: Context, eyes: "_Eyes", user: str, events: Iterator[Mapping[str, Any]]) -> Sequence[Entry]:
    """Return the newest of these events that are to be told, the oldest first.

    There may be megabytes of which nobody is told anything: they are read bit by bit, and for one order at a time.
    """
    told: list[Entry] = []
    async with ctx.log.reading:
        while len(told) < _MOST and (some := await asyncio.to_thread(lambda: list(islice(events, _AT_ONCE)))):
            entries = (entry for event in some if (entry := eyes.told(event)) is not None)
            told += (entry for entry in entries if user in {"", entry.user})
    return told[:_MOST][::-1]


async def _followed(
    ctx: Context, user: str, entries: Sequence[Entry], came: set[tuple[str, str]]
) -> AsyncGenerator[Entry, None]:
    waiting: deque[Mapping[str, Any]] = deque(maxlen=_WAITING)
    news = asyncio.Event()

    def heard(event: str, told: Mapping[str, object]) -> None:
        waiting.append({"at": iso(ctx.clock.now()), "event": event, **told})
        news.set()

    end = ctx.log.watch(heard)
    try:
        for before in entries:
            yield before
        while True:
            await news.wait()
            news.clear()
            # What may be seen is looked at each time: rights come and go while this goes on.
            eyes = _Eyes(ctx, came)
            while waiting:
                if (entry := eyes.told(waiting.popleft())) is not None and user in {"", entry.user}:
                    yield entry
    finally:
        end()


class _Eyes:
    """What somebody may know of what was done, at this moment."""

    def __init__(self, ctx: Context, came: set[tuple[str, str]]) -> None:
        self._ctx = ctx
        self._came = came
        self._now = ctx.clock.now()
        standing = ctx.session.standing()
        #: As whom they read, nobody where they were shut out; a key that is good for less reads less, too.
        self._own = "" if isinstance(standing, str) or not standing.whole else standing.user.login
        self._runs = not isinstance(standing, str) and standing.rights.somewhere(Privilege.ADMIN).allowed
        self._sight = ctx.sight()
        self._seen: dict[str, bool] = {}

    @cached_property
    def _all(self) -> bool:
        """Whether nothing is hidden from them, so that they may read what others wrote."""
        return self._runs and all(self._sees(told.record.id) for told in self._ctx.house.told())

    def _sees(self, device_id: str) -> bool:
        """Return whether they may know of a device; who runs the house also of one that is gone."""
        if device_id not in self._seen:
            device = self._ctx.house.find(device_id)
            self._seen[device_id] = self._runs if device is None else self._sight(device)
        return self._seen[device_id]

    def told(self, event: Mapping[str, Any]) -> Entry | None:
        """Return an event as they may know of it, or None."""
        name, user = str(event["event"]), str(event.get("user", ""))
        if name in _QUIET or name not in EVENTS:
            return None
        own = user == self._own != ""
        if not name.startswith("order."):
            # What others have planned may name what is hidden from who runs the server.
            may = own or self._all if name.startswith("schedule.") else self._runs
            return self._entry(event, _plainly(name, event)) if may and self._new(event) else None
        given, _ = REGISTRY.find(str(event.get("order", "")).split())
        if given is not None and given.name in _MAKING and _args(event).get("login") == self._own:
            # What another of this name did before is not theirs to read.
            self._own = ""
        devices = [str(device) for device in event.get("devices", ()) if self._sees(str(device))]
        if given is not None and not (given.changes or given.proves or given.keeps or given.needs is Privilege.ADMIN):
            return None
        if own or self._all:
            return self._entry(event, _order(event, given), devices)
        if not devices or (name != "order.reverted" and (given is None or not given.changes)):
            return None
        return self._entry(event, _seen(event, given, devices), devices)

    def _new(self, event: Mapping[str, Any]) -> bool:
        """Return whether it is no login like one that was told of: whoever gives single orders logs in for each."""
        came = (str(event.get("user", "")), str(event.get("source", "")))
        if event["event"] != "login.ok":
            return True
        known = came in self._came
        self._came.add(came)
        return not known

    def _entry(self, event: Mapping[str, Any], what: str, devices: Sequence[str] = ()) -> Entry:
        at = str(event["at"])
        try:
            said = moment(datetime.fromisoformat(at).timestamp(), self._ctx.timezone, self._now)
        except ValueError:
            said = at
        return Entry(at, str(event["event"]), str(event.get("user", "")), what, devices, said)


def _plainly(name: str, event: Mapping[str, Any]) -> str:
    return _WORDS.get(name, EVENTS[name]).format_map(defaultdict(str, event)).rstrip(": ,")


def _args(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments that were given, whatever else a line of the log may hold in their place."""
    args = event.get("args")
    return {str(name): str(value) for name, value in args.items()} if isinstance(args, dict) else {}


def _line(given: Order, args: Mapping[str, str], named: str = "") -> str:
    """Return an order as it was given, or with what stands in place of all that says which devices were meant."""
    told = [given.name, named] if named else [given.name]
    for param in given.params:
        if param.said in args and not (named and (given.target is None or param is given.target)):
            told += [param.dashed] if param.option else []
            told += [] if param.flag else [args[param.said]]
    return " ".join(told)


def _order(event: Mapping[str, Any], given: Order | None) -> str:
    """Return an order as it was given, and how it ended."""
    if given is None or event["event"] == "order.reverted":
        return f"{event.get('order', '')}{_ended(event, whole=True)}"
    by = f" by schedule {event['schedule']}" if event.get("schedule") else ""
    again = " (asked again)" if event.get("repeat") else ""
    return f"{_line(given, _args(event))}{by}{again}{_ended(event, whole=True)}"


def _seen(event: Mapping[str, Any], given: Order | None, devices: Sequence[str]) -> str:
    """Return no more of what another did than what became of these devices, by whatever name they were meant."""
    named = ", ".join(devices)
    if given is None or event["event"] == "order.reverted":
        return f"{named}{_ended(event, whole=False)}"
    return f"{_line(given, _args(event), named)}{_ended(event, whole=False)}"


def _ended(event: Mapping[str, Any], *, whole: bool) -> str:
    """Return how an order ended, if not well; why only to whoever may read the whole of it."""
    why = f": {event['message']}" if whole and event.get("message") else ""
    match event["event"]:
        case "order.rehearsed":
            return " (only tried out)"
        case "order.reverted":
            return f" came back by itself{' (failed' + why + ')' if why else ''}"
        case "order.refused":
            return f" (refused{why})"
        case "order.failed" if event.get("devices") and event.get("left_out"):
            return " (in part)"
        case "order.failed":
            return f" (failed{why})"
    return " (not confirmed)" if event.get("status") == NotConfirmed.status else ""
