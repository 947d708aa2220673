"""The one road of every order: find, authorize, parse, authorize each device, run, audit.

Shell, exec, batch, apps, macros and schedules meet here: there is no second road.
"""

import asyncio
import difflib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sshhome import expansion, pipe
from sshhome import words as tokenizer
from sshhome.abbreviation import candidates
from sshhome.audit import Audit, Flood
from sshhome.authorize import STEP_UP_LASTS, Authorizer
from sshhome.ban import Bans
from sshhome.ban import facts as facts_of_ban
from sshhome.bind import (
    Call,
    calls_of,
    check_common,
    masked,
    named_texts,
    split_common,
    split_named,
    texts_of,
    written,
)
from sshhome.clock import Clock
from sshhome.condition import Facts, Unmet
from sshhome.config import Limits
from sshhome.delivery import Hooks
from sshhome.device import Device, State, reached
from sshhome.errors import BadArguments, Denied, Internal, SiteError, SlowDown, SshhomeError, Unavailable, UnknownOrder
from sshhome.execution import COMES_BACK, Execution, Ready, TimeFor, function, unbroken
from sshhome.feed import Feed
from sshhome.grant import Privilege
from sshhome.house import House
from sshhome.journal import Journal
from sshhome.limits import Rate
from sshhome.macro import Macros
from sshhome.once import Once, Turn
from sshhome.order import Context, Judgement, Order, Registry, Verdict
from sshhome.outcome import Answer, DryRun, Outcome
from sshhome.param import Scope, Suggestion
from sshhome.policy import Decision, agreed
from sshhome.quantity import span
from sshhome.recall import Recall
from sshhome.recorder import Recorder
from sshhome.schedule import Schedules
from sshhome.session import Session, Sessions, Standing, unattended
from sshhome.step_up import prove
from sshhome.store import Macro, Store
from sshhome.trace import Trace
from sshhome.user import User, Users
from sshhome.uses import Uses
from sshhome.words import Word

_CODE = re.compile(r"(--code[=\s]+)\S+")
_KEY = "idempotency_key"
#: Reads the text of each param of an order; raises BadArguments.
_Read = Callable[[], Mapping[str, str]]
#: Unknown orders in a row after which a session is closed.
MAX_BAD_ORDERS = 10


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
        uses: Uses,
        journal: Journal,
        macros: Macros,
        schedules: Schedules,
        store: Store,
        recorder: Recorder,
        recall: Recall,
        hash_password: Callable[[str], Awaitable[str]],
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
        self.uses = uses
        self.journal = journal
        self.macros = macros
        self.schedules = schedules
        self.store = store
        self.recorder = recorder
        self.recall = recall
        self.hash_password = hash_password
        #: Where people find the house; known once it listens.
        self.address = ""
        self.audit = audit
        #: Orders refused because they come too fast, which a batch may give by the thousand.
        self.hasty = Flood(audit, clock, "order.refused")
        self.clock = clock
        self.configure(limits)
        self.house_name = house_name
        self.timezone = timezone
        self.authorizer = Authorizer(registry, house, uses, clock, timezone)
        self.execution = Execution(house, uses, journal, audit, clock)
        self.once = Once(store, clock)
        self.feed = Feed(house, audit, clock)
        self.hooks = Hooks(self.feed, store, audit, clock)
        self.authorizer.names = {
            "users": lambda: [Suggestion(name, _about(users.get(name))) for name in users.names()],
            "roles": lambda: [Suggestion(name, "a role") for name in users.roles.names()],
            "backends": lambda: [Suggestion(name, link.says) for name, link in house.links.items()],
            "hooks": lambda: [Suggestion(line.hook.name, line.state) for line in self.hooks.all()],
            "bans": lambda: [Suggestion(ban.source, ban.rule) for ban in bans.in_force()],
            "sessions": lambda: [Suggestion(str(s.number), f"{s.login.user}, {s.channel}") for s in sessions],
        }
        #: Whether the house is stopping: what waits is not begun any more.
        self.settling = False
        self._running: dict[asyncio.Task[Outcome], Session] = {}
        #: Orders that were cut off, and why.
        self._cut: dict[asyncio.Task[Any], str] = {}

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
        except BadArguments as error:
            yield self._not_understood(session, line, also, error)
            return
        keep_going = goes_on([*also, *(word for words in orders for word in words)])
        for words in orders:
            try:
                steps = expansion.expanded(self.registry, self.macros, session.login.user, [*also, *words])
            except BadArguments as error:
                steps = ()
                outcome = self._not_understood(session, tokenizer.join(words), also, error)
                yield outcome
            in_it = keep_going or any(goes_on(step.words) for step in steps)
            failed = not steps
            for step in steps:
                outcome = await self.run(session, step.words, step.behind, step.macro)
                yield outcome
                failed = failed or bool(outcome.status)
                if (failed and not in_it) or session.leaving:
                    return
            if failed and not keep_going:
                return

    def _not_understood(self, session: Session, line: str, also: Sequence[Word], error: SshhomeError) -> Outcome:
        """Return the refusal of a line of which nothing has run, and write it into the audit log."""
        try:
            self._not_too_fast(session)
        except SlowDown as slow:
            error = slow
        # Nobody can tell which of it are options; a code in it may still be good.
        trace = Trace(words=[Word(_CODE.sub(r"\1***", line[:200]))])
        outcome = Outcome(error=error, json="--json" in (*line[-200:].split(), *(word.text for word in also)))
        self._write_audit(session, trace, outcome, self.clock.monotonic())
        return outcome

    async def run(
        self, session: Session, words: Sequence[Word], behind: Sequence[Word] = (), macro: str = ""
    ) -> Outcome:
        """Run one order to its end, also when whoever waits for it leaves.

        `behind` are the filters behind the macro that it is in.
        """
        return await asyncio.shield(self._begin(session, self._run(session, words, behind, macro)))

    def call(self, session: Session, name: str, params: Mapping[str, Any]) -> asyncio.Task[Outcome]:
        """Begin an order whose params are given by name; it goes on to its end, also when nobody waits for it any more.

        With an `idempotency_key` among them it runs once.
        """
        return self._begin(session, self._run_named(session, name, params))

    def _begin(self, session: Session, order: Coroutine[Any, Any, Outcome]) -> asyncio.Task[Outcome]:
        task = asyncio.get_running_loop().create_task(order)
        self._running[task] = session
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        self._running.pop(task, None)
        self._cut.pop(task, None)

    async def settle(self) -> None:
        """Wait for the orders that are still running, but for nobody's answer to a question."""
        self.settling = True
        while tasks := [*self._running, *self.execution.running]:
            for session in self.sessions:
                session.ask = None
                session.give_up()
            await asyncio.wait(tasks)
        self.journal.save()
        self.hasty.tell()

    async def cut(self, affected: Callable[[Session], bool], reason: str) -> int:
        """Cut off the orders of some sessions and end these; none of them runs any more when this returns.

        Returns how many sessions there were. The order that asks for it goes on to its end.
        """
        own = asyncio.current_task()
        sessions: set[Session] = set()
        # What begins while the first orders are being cut off is cut off too, once nothing can follow it.
        for last in (False, True):
            sessions |= {session for session in self.sessions if affected(session)}
            for session in sessions:
                session.leaving = True
                if last:
                    session.end(reason)
            tasks = [task for task, session in self._running.items() if affected(session) and task is not own]
            for task in tasks:
                self._cut[task] = reason
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
        return len(sessions)

    def allowed(self, standing: Standing, session: Session) -> list[Order]:
        """Return the orders that could be given in this session now."""
        allowed = self.authorizer.allowed(standing.rights, self.authorizer.facts(standing, session))
        return [order for order in allowed if not ((order.proves or order.keeps) and standing.bound)]

    def discover(self, session: Session) -> list[Order]:
        """Return the same for a program that asks, which counts as an order; raises SlowDown or Denied."""
        self._not_too_fast(session)
        return self.allowed(self._standing(session), session)

    def offered_macros(self, session: Session, allowed: Sequence[Order]) -> Sequence[Macro]:
        """Return the macros that could be given in a session, of whose user these orders are allowed."""
        return expansion.offered(self.registry, self.macros, session.login.user, allowed)

    def knows(self, session: Session, name: str) -> bool:
        """Return whether a word by itself is an order, or a macro of whoever is in a session."""
        order, _ = self.registry.find([name])
        return order is not None or self.macros.find(session.login.user, name) is not None

    # -- the road -----------------------------------------------------------------------------------------------------

    async def _run(self, session: Session, words: Sequence[Word], around: Sequence[Word], macro: str) -> Outcome:
        """Take the road of an order in words."""
        trace = Trace(words=words, macro=macro)

        async def road() -> tuple[Outcome, Sequence[pipe.Filter]]:
            words, own = pipe.split(trace.words)
            behind = [*own, *around]
            trace.common, trace.words = split_common(self.registry, words)
            trace.filters = pipe.written(behind)
            self._not_too_fast(session)
            check_common(trace.common)
            filters, in_json = pipe.parse(behind)
            if filters and "--progress" in trace.common:
                raise BadArguments("--progress shows how it goes: there is nothing to filter yet")
            trace.common = {**trace.common, **({"--json": ""} if in_json else {})}
            standing = self._standing(session)
            order, words = self._find(standing, session, trace)
            pipe.check(order, words, filters, json="--json" in trace.common, rehearsed="--dry-run" in trace.common)
            return await self._road(standing, session, order, partial(texts_of, order, words), trace), filters

        return await self._recorded(session, trace, road)

    async def _run_named(self, session: Session, name: str, given: Mapping[str, Any]) -> Outcome:
        """Take the road of an order whose params are given by name: it is the same behind the tokenizer."""
        trace = Trace(words=[Word(word, quoted=True) for word in name.split(" ")], common={"--json": ""})

        async def road() -> tuple[Outcome, Sequence[pipe.Filter]]:
            self._not_too_fast(session)
            if len(name) + len(msgspec.json.encode(given)) > self.limits.order_line:
                raise BadArguments(f"an order and its params may be {self.limits.order_line} bytes long")
            standing = self._standing(session)
            order, words = self._find(standing, session, trace)
            if words:
                trace.order = None
                raise UnknownOrder(f"unknown order '{name[:80]}'", f"did you mean '{order.name}'?")
            key, meant = given.get(_KEY), {name: value for name, value in given.items() if name != _KEY}
            common, params = split_named(order, meant)
            trace.common = {**trace.common, **common}
            check_common(common)
            read = partial(named_texts, order, params)
            if key is None:
                return await self._road(standing, session, order, read, trace), ()
            try:
                async with self.once.turn(session.login, key, order.name, meant) as turn:
                    trace.repeat = turn.answer is not None
                    # The first one may have taken long.
                    standing = self._standing(session)
                    if turn.answer is None:
                        return await self._road(standing, session, order, read, trace, turn=turn), ()
                    self._allowed_somewhere(standing, order, trace)
                    trace.args = masked(order, read())
                    return turn.answer, ()
            except SiteError as error:
                raise trace.failed(error) from None

        return await self._recorded(session, trace, road)

    async def _recorded(
        self,
        session: Session,
        trace: Trace,
        road: Callable[[], Coroutine[Any, Any, tuple[Outcome, Sequence[pipe.Filter]]]],
    ) -> Outcome:
        """Take a road and write the audit event, whatever happens on it."""
        started = self.clock.monotonic()
        outcome = shown = Outcome(error=Internal("cut off"))
        session.orders += 1
        session.running += 1
        try:
            outcome, filters = await road()
            shown = outcome
            if filters:
                shown = pipe.filtered(_as_asked(outcome, trace), filters)
        except SshhomeError as error:
            outcome = shown = Outcome(error=error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task not in self._cut:
                raise
            task.uncancel()
            outcome = shown = Outcome(error=Denied(self._cut[task]))
        except Exception as error:  # noqa: BLE001 (a bug in one order costs that order alone)
            outcome = shown = Outcome(error=trace.failed(error))
        finally:
            session.running -= 1
            self._write_audit(session, trace, outcome, started)
        return _as_asked(self._count_unknown(session, shown), trace)

    def _not_too_fast(self, session: Session) -> None:
        """Take an order off what the user may give in a minute, whichever way each comes in; raises SlowDown."""
        # What a user has had kept takes nothing off what they may give by hand; no name of a user has a space.
        wait = self._rate.take(f"{session.login.user} unattended" if session.unattended else session.login.user)
        if wait:
            often = self.limits.orders_per_minute
            raise SlowDown(
                f"{often} {'order' if often == 1 else 'orders'} a minute, no more",
                f"try again in {span(math.ceil(wait))}",
            )

    async def _road(
        self, standing: Standing, session: Session, order: Order, read: _Read, trace: Trace, *, turn: Turn | None = None
    ) -> Outcome:
        """Judge an order, have proved what it takes, and carry it out; of one that runs once it is the turn."""
        ready = await self._prepare(standing, session, order, read, trace)
        if "--dry-run" in trace.common:
            return _dry_run(ready, written(order, trace.args))
        refused: Denied | None = None
        while ready.asked and refused is None:
            try:
                await prove(standing, session, ready, trace.common, self.clock)
            except Denied as error:
                if not ready.several or not ready.permitted:
                    raise
                refused = error
            # Somebody took their time to answer: everything is looked at afresh.
            standing = self._standing(session)
            ready = await self._prepare(standing, session, order, read, trace)
        if refused is not None:
            ready.left_out += ((call.label, refused) for call, _ in ready.asked)
        trace.devices = [call.device.id for call in ready.permitted if call.device is not None]
        if ready.left_out and not ready.several:
            raise ready.left_out[0][1]
        carry_out = partial(self.execution.carry_out, ready, trace, self.limits.order_timeout)
        return await (carry_out() if turn is None else turn.run(order, carry_out))

    def _standing(self, session: Session) -> Standing:
        """Return who gives the order and what they may do, as it is now; raises Denied for who has been shut out."""
        standing = session.standing()
        if isinstance(standing, str):
            session.leaving = True
            session.end(standing)
            raise Denied(standing)
        return standing

    def _find(self, standing: Standing, session: Session, trace: Trace) -> tuple[Order, Sequence[Word]]:
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
        allowed = self.allowed(standing, session)
        known = [other.name for other in allowed]
        known += [macro.name for macro in self.offered_macros(session, allowed)]
        near = [name for name in known if name.startswith(f"{said.lower()} ")]
        near = near or [order.name for order in candidates(allowed, names)]
        near = near or difflib.get_close_matches(" ".join(names)[:80].lower(), known, 3, 0.6)
        near = near or difflib.get_close_matches(said.lower(), known, 3, 0.6)
        hint = f"did you mean {' or '.join(near[:4])}?" if near else "`help` lists yours"
        raise UnknownOrder(f"unknown order '{said}'", hint)

    async def _prepare(self, standing: Standing, session: Session, order: Order, read: _Read, trace: Trace) -> Ready:
        """Understand an order and judge every call of it by what it would do; changes nothing."""
        facts = self.authorizer.facts(standing, session, order.name)
        self._allowed_somewhere(standing, order, trace)
        scope = self.authorizer.scope(standing.rights, facts)
        texts = read()
        trace.args = masked(order, texts)
        calls, several = calls_of(order, texts, scope)
        context = self._context(standing, session, scope)
        planned, several = await self._planned(order, context, calls, several=several)
        ready = Ready(order, context, several)
        for call in planned:
            decision = self._judge(standing, order, call, facts, trace.common)
            trace.decision = decision.rule
            if decision.allowed:
                ready.permitted.append(call)
                # One order is one use, however many devices it is for.
                ready.used = list(dict.fromkeys([*ready.used, *decision.used]))
            elif decision.step_up:
                ready.asked.append((call, decision.step_up))
            else:
                ready.left_out.append((call.label, _denied(order, call.device, decision)))
        ready.within = self.execution.comes_back(ready, trace.common)
        return ready

    def _allowed_somewhere(self, standing: Standing, order: Order, trace: Trace) -> None:
        """Raise Denied for an order that somebody may give on nothing."""
        decision = self.authorizer.somewhere(standing.rights, order)
        trace.decision = decision.rule
        if not decision.allowed:
            raise Denied(f"'{order.name}' needs the {order.needs} privilege")

    async def _planned(
        self, order: Order, context: Context, calls: Sequence[Call], *, several: bool
    ) -> tuple[Sequence[Call], bool]:
        """Return the calls with what each would change, and whether they are for several devices.

        An order that changes devices that it does not name gets a call for each.
        """
        if not order.changes:
            return calls, several
        async with TimeFor(order, self.limits.order_timeout):
            planned = [await unbroken(function(order, context, call)) for call in calls]
        if order.target is not None:
            pairs = zip(calls, planned, strict=True)
            return [msgspec.structs.replace(call, change=change) for call, change in pairs], several
        changes: Mapping[str, State] = planned[0]
        found = [
            Call(calls[0].args, device, context.scope.index.short(device, lambda _: True), changes[device.id])
            for device_id in changes
            if (device := context.scope.index.get(device_id)) is not None
        ]
        if not found:
            raise BadArguments(f"'{order.name}' finds nothing that you may see")
        return found, len(changes) > 1

    def _judge(self, standing: Standing, order: Order, call: Call, facts: Facts, common: Mapping[str, str]) -> Decision:
        """Return whether one call may be made, and brought back if that is asked for."""
        rights = standing.rights
        if call.device is None:
            decision = rights.holds(order.needs, facts)
            if decision.allowed and order.proves:
                return _proving(standing, facts, decision)
            if decision.allowed and order.keeps and standing.bound:
                return Decision(allowed=False, rule=standing.bound)
            return decision
        decision = self.authorizer.may(rights, order, call.device, facts, call.change)
        if call.change is None or not COMES_BACK & common.keys():
            return decision
        undo, _ = self.registry.find(["undo"])
        assert undo is not None  # noqa: S101 (the registry always has it)
        backs = [
            self.authorizer.may(rights, undo, device, facts, original)
            for device, _, original in self.execution.before(call)
            if original
        ]
        return agreed([decision, *map(_bringing_back, backs)])

    def _context(self, standing: Standing, session: Session, scope: Scope) -> Context:
        return Context(
            standing=standing,
            session=session,
            users=self.users,
            sessions=self.sessions,
            bans=self.bans,
            journal=self.journal,
            uses=self.uses,
            store=self.store,
            recall=self.recall,
            hash_password=self.hash_password,
            address=self.address,
            clock=self.clock,
            timezone=self.timezone,
            house_name=self.house_name,
            house=self.house,
            sight=lambda: self.sight(session),
            scope=scope,
            orders=lambda: self.allowed(standing, session),
            explain=lambda line, who, at: self.explain(session, line, who, at),
            cut=self.cut,
            audit=self.audit.write,
            log=self.audit,
            feed=self.feed,
            hooks=self.hooks,
            recorder=self.recorder,
            macros=self.macros,
            schedules=self.schedules,
            foresee=lambda line, at: self.foresee(standing, line, at),
            check_macro=lambda macro: [step.words for step in expansion.check(self.registry, self.macros, macro)],
            offered_macros=lambda: self.offered_macros(session, self.allowed(standing, session)),
        )

    def sight(self, session: Session) -> Callable[[Device], bool]:
        """Return what tells whether whoever is in a session may know of a device at this moment."""
        standing = session.standing()
        if isinstance(standing, str):
            return lambda _: False
        return standing.rights.able(Privilege.READ, self.authorizer.facts(standing, session))

    async def explain(self, session: Session, line: str, standing: Standing, at: float) -> Verdict:
        """Return whether somebody may give an order, as it would be decided now or at another time; runs nothing.

        Raises BadArguments for what is no order, or none that they could understand.
        """
        orders = tokenizer.split(line)
        if len(orders) != 1:
            raise BadArguments("name one order")
        common, words = split_common(self.registry, orders[0])
        check_common(common)
        order, count = self.registry.find([word.text for word in words[:2]])
        if order is None:
            raise BadArguments(f"no order '{words[0].text[:80]}'" if words else "name one order")
        facts = self.authorizer.facts(standing, session, order.name)
        facts.now = at
        asker = self._standing(session)
        known = self.authorizer.facts(asker, session)
        other = standing.user.login != session.login.user
        if other:
            # Nothing is known of where the other is; and what is told is told to who asks.
            facts.proved, facts.source, facts.sees = frozenset(), "", known.sees
        elif abs(at - self.clock.now()) >= STEP_UP_LASTS:
            facts.proved = frozenset()
        decision = self.authorizer.somewhere(standing.rights, order)
        if not decision.allowed:
            return Verdict(order.name, standing.user.login, [Judgement("", allowed=False, rule=decision.rule)])
        scope = self.authorizer.scope(standing.rights, facts)
        if other:
            scope = self.authorizer.scope(asker.rights, known).seen_too(scope)
        calls, several = calls_of(order, texts_of(order, words[count:]), scope)
        context = self._context(standing, session, scope)
        planned, _ = await self._planned(order, context, calls, several=several)
        judged = []
        for call in planned:
            decision = self._judge(standing, order, call, facts, common)
            asked = replace(facts, device=call.device, change=call.change)
            judged.append(self.authorizer.judgement(standing.rights, order, asked, decision))
        return Verdict(order.name, standing.user.login, judged)

    async def foresee(self, standing: Standing, line: str, at: float) -> Sequence[Verdict]:
        """Return how each order of a line would be judged that its giver wants kept, to be given later by itself.

        Raises BadArguments for what nobody could give so.
        """
        orders = tokenizer.split(line)
        if len(orders) != 1:
            raise BadArguments("name one order", "several that belong together are a macro: `macro save`")
        session = unattended(standing.user.login, lambda: standing, self.clock.now())
        verdicts = []
        for step in expansion.expanded(self.registry, self.macros, standing.user.login, orders[0]):
            own, _ = pipe.split(step.words)
            common, words = split_common(self.registry, own)
            order, _ = self.registry.find([word.text for word in words[:2]])
            if {"--code", "--yes"} & common.keys():
                raise BadArguments("nobody is there to prove anything: it takes neither --code nor --yes")
            if order is not None and (order.proves or order.keeps):
                raise BadArguments(f"'{order.name}' is given by hand alone")
            verdicts.append(await self.explain(session, " ".join(map(tokenizer.written, own)), standing, at))
        return verdicts

    def _count_unknown(self, session: Session, outcome: Outcome) -> Outcome:
        """Do what `bad_order` says to a session that gives an unknown order, or ten in a row."""
        if not isinstance(outcome.error, UnknownOrder):
            session.bad_orders = 0
            return outcome
        session.bad_orders += 1
        if self.limits.bad_order == "ban" and session.login.source:
            ban = self.bans.ban(session.login.source, "bad_order", outcome.error.message[:200], "an unknown order")
            if ban is not None:
                self.audit.write("ban.set", **facts_of_ban(ban))
        if self.limits.bad_order != "refuse" or session.bad_orders >= MAX_BAD_ORDERS:
            session.leaving = True
            return Outcome(error=UnknownOrder(outcome.error.message, "that was one too many, the session is closed"))
        return outcome

    def _write_audit(self, session: Session, trace: Trace, outcome: Outcome, started: float) -> None:
        told = trace.told(session.login, outcome, self.clock.monotonic() - started)
        told["schedule"] = session.schedule or None
        if isinstance(outcome.error, SlowDown):
            self.hasty.write(channel=session.channel, session=session.number, **told)
        else:
            self.audit.write(outcome.event, channel=session.channel, session=session.number, **told)


def goes_on(words: Sequence[Word]) -> bool:
    """Return whether the orders behind one that fails run too."""
    return Word("--keep-going") in words and Word("--stop-on-error") not in words


def _as_asked(outcome: Outcome, trace: Trace) -> Outcome:
    """Return an outcome with the order, and with how its giver wants to be answered."""
    json, wait, follow = (option in trace.common for option in ("--json", "--no-wait", "--progress"))
    return msgspec.structs.replace(outcome, order=trace.order, json=json, wait=not wait, follow=follow)


def _about(user: User | None) -> str:
    """Return who a user is, in the words beside their name in a menu."""
    return ", ".join((user.name, *user.roles)) if user else ""


def _proving(standing: Standing, facts: Facts, decision: Decision) -> Decision:
    """Return whether somebody may change how they get in themselves."""
    if standing.bound:
        return Decision(allowed=False, rule=standing.bound)
    way = "totp" if standing.user.totp else "confirm"
    if way in facts.proved:
        return decision
    return Decision(allowed=False, rule=decision.rule, step_up=way)


def _bringing_back(decision: Decision) -> Decision:
    """Return a decision about bringing back what an order would change, as that order's giver is told of it."""
    if decision.allowed or decision.step_up:
        return decision
    why = f": {decision.why}" if decision.why else ""
    unmet = Unmet("back", lambda: f"it may not be brought back{why}")
    return msgspec.structs.replace(decision, unmet=(unmet,))


def _dry_run(ready: Ready, line: str) -> Outcome:
    """Return what an order, told as a line, would do, devices that are left out aside."""
    if ready.left_out and not ready.several:
        raise ready.left_out[0][1]
    answers: list[Answer] = []
    left_out = list(ready.left_out)
    index = ready.context.scope.index
    for call in (*ready.permitted, *(call for call, _ in ready.asked)):
        plans: Mapping[str, State] = {}
        if call.device is not None and call.change is not None:
            # Of a scene it is told what becomes of each thing that it touches.
            plans = reached(call.device, call.change, index.get)
        for device_id, change in plans.items():
            if (device := index.get(device_id)) is not None:
                label = call.label if device == call.device else index.short(device, lambda _: True)
                if device.available:
                    answers.append(Answer(_plan(line, device, change), call.args, label))
                else:
                    left_out.append((label, Unavailable(f"{device_id} is unavailable")))
        if not plans:
            answers.append(Answer(DryRun(line), call.args, call.label))
    several = ready.several or len(answers) + len(left_out) > 1
    if left_out and not several:
        raise left_out[0][1]
    return Outcome(answers=answers, several=several, left_out=left_out, rehearsed=True)


def _plan(line: str, device: Device, change: State) -> DryRun:
    """Return what would become of a device, with what follows by itself: a lamp that is dimmed goes on."""
    now = device.state
    follows = {name: value for name, value in device.completed(change).items() if value not in {None, now.get(name)}}
    after = {**change, **follows}
    return DryRun(line, device.id, {name: now.get(name) for name in after}, after)


def _denied(order: Order, device: Device | None, decision: Decision) -> Denied:
    """Return why an order is refused, with every condition that it fails."""
    subject = f"you may not operate {device.id}" if device is not None else f"you may not give '{order.name}'"
    why = decision.why or (decision.rule if order.proves or order.keeps else "")
    return Denied(f"{subject}: {why}" if why else subject)
