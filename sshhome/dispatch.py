"""The one road of every order: find, authorize, parse, authorize each device, run, audit.

Shell, exec and batch meet here, and so will schedules, macros and RPC: there is no second road.
"""

import asyncio
import difflib
import logging
import math
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sshhome import words as tokenizer
from sshhome.audit import Audit, Flood
from sshhome.ban import Bans, facts
from sshhome.bind import Call, calls_of, masked, split_common, texts_of
from sshhome.clock import Clock
from sshhome.config import Limits
from sshhome.device import Device
from sshhome.errors import BadArguments, Denied, Internal, NotConfirmed, SlowDown, SshhomeError, TimedOut, UnknownOrder
from sshhome.grant import Decision, Privilege, decide, holds
from sshhome.house import House
from sshhome.limits import Rate
from sshhome.order import Context, Order, Registry
from sshhome.param import Devices, Scope, Suggestion
from sshhome.quantity import span
from sshhome.session import Session, Sessions
from sshhome.target import Index
from sshhome.user import User, Users
from sshhome.words import Word

log = logging.getLogger(__name__)

#: Unknown orders in a row after which a session is closed.
MAX_BAD_ORDERS = 10
#: Statuses from the worst to the best, for an order that acted on several devices.
_WORST = (70, 124, 77, 64, 69, 3)


class Answer(msgspec.Struct, frozen=True):
    """What an order returned, and for which arguments; `label` is the short name of the device it acted on."""

    value: Any
    args: Mapping[str, Any] = {}
    label: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an order ended: its answers, the devices it left out and why, or the one error.

    `several` tells that the target was a room, a glob or `all`: the JSON form is an array then.
    """

    order: Order | None = None
    answers: Sequence[Answer] = ()
    several: bool = False
    left_out: Sequence[tuple[str, SshhomeError]] = ()
    error: SshhomeError | None = None
    json: bool = False
    wait: bool = True

    @property
    def status(self) -> int:
        """The exit status: 0, the error's, or that of the worst device left out."""
        if self.error is not None:
            return self.error.status
        statuses = {error.status for _, error in self.left_out}
        return next((status for status in _WORST if status in statuses), max(statuses, default=0))


class _Trace(msgspec.Struct):
    """What is known of an order so far; the audit event is written from it, however the order ends."""

    words: Sequence[Word] = ()
    common: frozenset[str] = frozenset()
    order: Order | None = None
    args: dict[str, str] = {}
    decision: str = ""
    devices: Sequence[str] = ()
    incident: str = ""


class Dispatch:
    """Carries orders from a channel to the house, and their outcomes back."""

    def __init__(
        self,
        *,
        registry: Registry,
        house: House,
        users: Users,
        sessions: Sessions,
        bans: Bans,
        audit: Audit,
        clock: Clock,
        limits: Limits,
        house_name: str,
        timezone: ZoneInfo,
    ) -> None:
        """Hold the parts of the house."""
        self.registry = registry
        self.house = house
        self.users = users
        self.sessions = sessions
        self.bans = bans
        self.audit = audit
        #: Orders refused because they come too fast, which a batch may give by the thousand.
        self.hasty = Flood(audit, clock, "order.refused")
        self.clock = clock
        self.configure(limits)
        self.house_name = house_name
        self.timezone = timezone
        self._indexes: dict[str, tuple[User, int, Index]] = {}
        self._running: set[asyncio.Task[Outcome]] = set()

    def configure(self, limits: Limits) -> None:
        """Take other limits, for the orders from now on."""
        self.limits = limits
        self._rate = Rate(limits.orders_per_minute, limits.order_burst, self.clock.monotonic)

    async def run_line(self, session: Session, line: str, also: Sequence[Word] = ()) -> AsyncIterator[Outcome]:
        """Run the orders of a line in turn and yield their outcomes; the first failure ends it.

        `--keep-going` on any order of the line runs all of them; the words in `also` are added to each.
        """
        try:
            if len(line) > self.limits.order_line or len(line.encode(errors="surrogatepass")) > self.limits.order_line:
                raise BadArguments(f"a line may be {self.limits.order_line} bytes long")
            orders = tokenizer.split(line)
        except BadArguments as bad:
            error: SshhomeError = bad
            try:
                self._not_too_fast(session)
            except SlowDown as slow:
                error = slow
            trace = _Trace(words=[Word(line[:200])])
            outcome = Outcome(error=error, json="--json" in (*line[-200:].split(), *(word.text for word in also)))
            self._write_audit(session, trace, outcome, self.clock.monotonic())
            yield outcome
            return
        keep_going = any(word == Word("--keep-going") for words in (*orders, also) for word in words)
        for words in orders:
            outcome = await self.run(session, [*also, *words])
            yield outcome
            if (outcome.status and not keep_going) or session.leaving:
                return

    async def run(self, session: Session, words: Sequence[Word]) -> Outcome:
        """Run one order to its end, also when whoever waits for it leaves."""
        task = asyncio.get_running_loop().create_task(self._run(session, words))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait for the orders that are still running."""
        while self._running:
            await asyncio.wait(self._running)
        self.hasty.tell()

    def scope(self, user: User) -> Scope:
        """Return what this user's words are understood against: the devices they may see, and names if admin."""
        known = self._indexes.get(user.login)
        if known is None or known[0] is not user or known[1] != self.house.version:
            visible = (d.id for d in self.house.devices.values() if decide(user.grants, Privilege.READ, d).allowed)
            known = (user, self.house.version, Index(visible, self.house.devices))
            self._indexes[user.login] = known
        names = self._names if holds(user.grants, Privilege.ADMIN).allowed else {}
        return Scope(known[2], names)

    def allowed(self, user: User) -> list[Order]:
        """Return the orders this user could give with success: on a device they may operate, if it takes one."""
        scope = self.scope(user)
        return [order for order in self.registry if self._could(user, order, scope)]

    def may(self, user: User, order: Order, device: Device) -> Decision:
        """Return whether a user may give an order on a device: the stronger of the two's privileges decides.

        A scene needs the right to each thing it touches.
        """
        needs = order.needs
        if needs is Privilege.CONTROL and device.guards:
            needs = Privilege.ACCESS
        decision = decide(user.grants, needs, device)
        if decision.allowed and needs is not Privilege.READ:
            for member_id in device.members:
                member = self.house.devices.get(member_id)
                if member is not None and not (inner := self.may(user, order, member)).allowed:
                    return inner
        return decision

    # -- the road -----------------------------------------------------------------------------------------------------

    async def _run(self, session: Session, words: Sequence[Word]) -> Outcome:
        """Take the road and write the audit event, whatever happens on it."""
        started = self.clock.monotonic()
        common, rest = split_common(words)
        trace = _Trace(words=rest, common=common)
        outcome = Outcome(error=Internal("cut off"))
        session.orders += 1
        session.running += 1
        try:
            self._not_too_fast(session)
            outcome = await self._road(session, trace)
        except SshhomeError as error:
            outcome = Outcome(error=error)
        except Exception as error:  # noqa: BLE001 (a bug in one order costs that order alone)
            outcome = Outcome(error=_incident(trace, error))
        finally:
            session.running -= 1
            self._write_audit(session, trace, outcome, started)
        outcome = self._count_unknown(session, outcome)
        return msgspec.structs.replace(
            outcome, order=trace.order, json="--json" in common, wait="--no-wait" not in common
        )

    def _not_too_fast(self, session: Session) -> None:
        """Take an order off what the user may give in a minute, whichever way each comes in; raises SlowDown."""
        wait = self._rate.take(session.login.user)
        if wait:
            often = self.limits.orders_per_minute
            raise SlowDown(
                f"{often} {'order' if often == 1 else 'orders'} a minute, no more",
                f"try again in {span(math.ceil(wait))}",
            )

    async def _road(self, session: Session, trace: _Trace) -> Outcome:
        user = self.users.get(session.login.user)
        reason = session.removed() if user is not None else "your user was removed"
        if user is None or reason:
            session.leaving = True
            session.end(reason)
            raise Denied(reason)
        order, words = self._find(user, trace)
        decision = self._holds(user, order)
        trace.decision = decision.rule
        if not decision.allowed:
            raise Denied(f"'{order.name}' needs the {order.needs} privilege")
        scope = self.scope(user)
        texts = texts_of(order, words)
        trace.args = masked(order, texts)
        calls, several = calls_of(order, texts, scope)
        permitted, left_out = self._authorize(user, order, calls, trace)
        if left_out and not several:
            raise left_out[0][1]
        context = self._context(user, session, scope, wait="--no-wait" not in trace.common)
        try:
            async with asyncio.timeout(self.limits.order_timeout) as limit:
                answers, failed = await _call_all(order, context, permitted, trace, several=several)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut(f"'{order.name}' took longer than {self.limits.order_timeout:g} s") from None
        return Outcome(answers=answers, several=several, left_out=[*left_out, *failed])

    def _find(self, user: User, trace: _Trace) -> tuple[Order, Sequence[Word]]:
        """Return the order that the words begin with, and the words after its name."""
        if Word("--help") in trace.words:
            plain = [word for word in trace.words if not word.is_option]
            asked, count = self.registry.find([word.text for word in plain[:2]])
            trace.words = [Word("help"), *plain[: count if asked is not None else None]]
        names = [word.text for word in trace.words[:2]]
        order, count = self.registry.find(names)
        if order is not None:
            trace.order = order
            return order, trace.words[count:]
        said = names[0][:80] if names else ""
        if not said:
            raise UnknownOrder("no order", "`help` lists yours")
        known = [other.name for other in self.allowed(user)]
        near = [name for name in known if name.startswith(f"{said.lower()} ")]
        near = near or difflib.get_close_matches(" ".join(names)[:80].lower(), known, 3, 0.6)
        near = near or difflib.get_close_matches(said.lower(), known, 3, 0.6)
        hint = f"did you mean {' or '.join(near[:4])}?" if near else "`help` lists yours"
        raise UnknownOrder(f"unknown order '{said}'", hint)

    @staticmethod
    def _holds(user: User, order: Order) -> Decision:
        """Return whether the user holds anywhere what the order needs; `access` alone will do where a device guards."""
        decision = holds(user.grants, order.needs)
        if not decision.allowed and order.needs is Privilege.CONTROL and order.target is not None:
            return holds(user.grants, Privilege.ACCESS)
        return decision

    def _authorize(
        self, user: User, order: Order, calls: Sequence[Call], trace: _Trace
    ) -> tuple[Sequence[Call], list[tuple[str, SshhomeError]]]:
        """Sort the calls into those this user may make, and those left out with the reason."""
        permitted: list[Call] = []
        left_out: list[tuple[str, SshhomeError]] = []
        for call in calls:
            if call.device is None:
                permitted.append(call)
                continue
            decision = self.may(user, order, call.device)
            trace.decision = decision.rule
            if decision.allowed:
                permitted.append(call)
            else:
                left_out.append((call.label, Denied(f"you may not operate {call.device.id}")))
        trace.devices = [call.device.id for call in permitted if call.device is not None]
        return permitted, left_out

    def _context(self, user: User, session: Session, scope: Scope, *, wait: bool) -> Context:
        return Context(
            user=user,
            session=session,
            _house=self.house,
            users=self.users,
            sessions=self.sessions,
            bans=self.bans,
            clock=self.clock,
            timezone=self.timezone,
            house_name=self.house_name,
            scope=scope,
            orders=lambda: self.allowed(user),
            audit=self.audit.write,
            wait=wait,
        )

    def _could(self, user: User, order: Order, scope: Scope) -> bool:
        """Return whether the user could give an order on anything; one that only looks needs no device."""
        target, held = order.target, self._holds(user, order).allowed
        if not held or target is None or not isinstance(target.type, Devices):
            return held
        if order.needs is Privilege.READ and not target.required:
            return True
        fits = target.type.fits
        return any(fits(device) and self.may(user, order, device).allowed for device in scope.index)

    @property
    def _names(self) -> Mapping[str, Any]:
        """Names that only an admin is told, by heading."""
        return {
            "users": lambda: [Suggestion(name) for name in self.users.names()],
            "bans": lambda: [Suggestion(ban.source, ban.rule) for ban in self.bans.in_force()],
            "sessions": lambda: [Suggestion(str(s.number), f"{s.login.user}, {s.channel}") for s in self.sessions],
        }

    def _count_unknown(self, session: Session, outcome: Outcome) -> Outcome:
        """Do what `bad_order` says to a session that gives an unknown order, or ten in a row."""
        if not isinstance(outcome.error, UnknownOrder):
            session.bad_orders = 0
            return outcome
        session.bad_orders += 1
        if self.limits.bad_order == "ban":
            ban = self.bans.ban(session.login.source, "bad_order", outcome.error.message[:200], "an unknown order")
            if ban is not None:
                self.audit.write("ban.set", **facts(ban))
        if self.limits.bad_order != "refuse" or session.bad_orders >= MAX_BAD_ORDERS:
            session.leaving = True
            return Outcome(error=UnknownOrder(outcome.error.message, "that was one too many, the session is closed"))
        return outcome

    def _write_audit(self, session: Session, trace: _Trace, outcome: Outcome, started: float) -> None:
        error, login, status = outcome.error, session.login, outcome.status
        refused = status in {64, 75, 77, 127} and not outcome.answers
        told = {
            "user": login.user,
            "key": login.key,
            "source": login.source,
            "channel": session.channel,
            "session": session.number,
            "order": trace.order.name if trace.order else tokenizer.join(trace.words)[:200],
            "args": trace.args,
            "devices": trace.devices,
            "decision": trace.decision,
            "left_out": [label for label, _ in outcome.left_out],
            "status": status,
            "code": error.code if error else "",
            "message": error.message if error else "",
            "incident": trace.incident,
            "ms": round((self.clock.monotonic() - started) * 1000, 1),
        }
        if isinstance(error, SlowDown):
            self.hasty.write(**told)
            return
        self.audit.write(
            "order.refused" if refused else "order.done" if status in {0, NotConfirmed.status} else "order.failed",
            **told,
        )


async def _call_all(
    order: Order, context: Context, calls: Sequence[Call], trace: _Trace, *, several: bool
) -> tuple[list[Answer], list[tuple[str, SshhomeError]]]:
    """Make the calls, all at once when there are several, and return answers and failures in their order."""
    if not several:
        return [await _call(order, context, call) for call in calls], []
    ended = await asyncio.gather(*(_call(order, context, call) for call in calls), return_exceptions=True)
    answers: list[Answer] = []
    failed: list[tuple[str, SshhomeError]] = []
    for call, end in zip(calls, ended, strict=True):
        if isinstance(end, Answer):
            answers.append(end)
        elif isinstance(end, SshhomeError):
            failed.append((call.label, end))
        elif isinstance(end, Exception):
            failed.append((call.label, _incident(trace, end)))
        else:
            raise end
    return answers, failed


async def _call(order: Order, context: Context, call: Call) -> Answer:
    if call.device is not None and order.needs is not Privilege.READ:
        context = context.for_device(call.device)
    positional = [call.args[param.name] for param in order.params if not param.option]
    options = {param.name: call.args[param.name] for param in order.params if param.option}
    try:
        return Answer(await order.run(context, *positional, **options), call.args, call.label)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("an order cancelled itself") from error
    except NotConfirmed as error:
        # Said with the short name the person used.
        raise NotConfirmed(f"sent to {call.label}, not confirmed", error.hint) from None


def _incident(trace: _Trace, error: Exception) -> Internal:
    """Log a bug with its traceback under a fresh id, and return what the client is told."""
    trace.incident = secrets.token_hex(4)
    name = trace.order.name if trace.order else "an order"
    log.error("incident %s in '%s'", trace.incident, name, exc_info=error)
    return Internal(f"'{name}' failed by our own fault, incident {trace.incident}")
