"""A prompt at which somebody types orders and reads answers, whatever draws it."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextvars import ContextVar

from sshhome.abbreviation import written_out
from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.channels.choices import laid_out
from sshhome.channels.question import Question
from sshhome.channels.waiting import outcomes
from sshhome.complete import Expected, expected
from sshhome.errors import SiteError
from sshhome.escape import printable
from sshhome.order import Order
from sshhome.outcome import Moving, Outcome
from sshhome.param import Secret, Suggestion
from sshhome.recall import MOST_LINES, Options
from sshhome.render import wrapped
from sshhome.session import Session
from sshhome.when import moment
from sshhome.words import locate

#: In an order, the line that it was given in.
_line: ContextVar[asyncio.Task[None] | None] = ContextVar("line", default=None)


class Prompt(ABC):
    """What all shells share: greeting, questions, and the road from a line to its answers, which ^C leaves early."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        """Prompt on a channel."""
        self.channel = channel
        self.session = session
        self.prompt = f"{session.login.user}@{printable(channel.dispatch.house_name)}> "
        self.status = 0
        self.giving: asyncio.Task[None] | None = None
        self.question: Question | None = None
        #: What the last line set moving, by id, and nobody has looked after yet.
        self.moving: dict[str, Moving] = {}
        #: What was typed here with a key that is good for less than its owner.
        self._lines: list[str] = []
        self._interrupted = False
        self._ended = False
        session.ask = self.ask
        session.tell = channel.notice = self.tell

    @abstractmethod
    def take(self, text: str | None) -> None:
        """Take what is typed while no question is open, or None for the end of the input."""

    @abstractmethod
    def drop(self) -> None:
        """Forget what was typed ahead."""

    @abstractmethod
    def show(self, text: str) -> None:
        """Show text, each line of which ends in a newline, above what is half typed."""

    @property
    def options(self) -> Options:
        """How whoever sits there likes their shell."""
        return self.channel.dispatch.recall.options(self.session.login.user)

    @property
    def lines(self) -> Sequence[str]:
        """The lines that were typed before, the oldest first; a key that is good for less finds its own alone."""
        return self.channel.dispatch.recall.lines(self.session.login.user) if self._is_whole() else self._lines

    def _is_whole(self) -> bool:
        standing = self.session.standing()
        return not isinstance(standing, str) and standing.whole

    def tell(self, line: str) -> None:
        """Show a line that nobody asked for, whatever is going on."""
        if self.question is not None:
            self.question.interject(line)
        else:
            self.show(wrapped(line, self.channel.look))

    def explained(self, before: str) -> str:
        """Return what may come after a text, in lines; it is what `?` asks for."""
        told = expected(self.channel.dispatch, self.session, before)
        if not (told.seat or told.values or told.ends):
            says = "begins like this" if before[-1:].strip() else "may follow here"
            told = Expected([Suggestion("nothing", says)])
        return laid_out(told, self.channel.look, self.channel.size[1])

    async def greet(self) -> None:
        """Say where one is and what to do, and whether somebody else has tried to get in."""
        name = printable(self.channel.dispatch.house_name)
        said = f"Welcome to {name}. `?` and Tab tell what may come next, ^D leaves.{await self._login()}"
        self.channel.write(wrapped(said, self.channel.look))

    def opening(self) -> str:
        """Return what the user's file has a shell begin with, or nothing; tell of a macro that there is not."""
        standing = self.session.standing()
        line = "" if isinstance(standing, str) else standing.user.startup
        if line and not self.channel.dispatch.knows(self.session, line):
            self.channel.write(f"startup: there is no macro '{line}'\n")
            return ""
        return line

    async def _login(self) -> str:
        """Return when this user logged in before, and how often somebody failed to since then."""
        dispatch = self.channel.dispatch
        # The audit log has them too: nobody is kept out because they cannot be counted.
        with contextlib.suppress(SiteError):
            for before in (await dispatch.store.logins(self.session.login.user))[1:2]:
                since = moment(before.at, dispatch.timezone, dispatch.clock.now())
                told = f"\nlast login {since} from {before.source}"
                if before.failed:
                    told += f", and {before.failed} failed {'try' if before.failed == 1 else 'tries'} since"
                return told
        return ""

    def read(self, text: str | None) -> None:
        """Take what the client types, or None for the end of its input: an open question goes first."""
        question = self.question
        if text is None:
            self._ended = True
            self.session.give_up()
        elif question is not None:
            rest = question.read(text)
            if rest is None:
                return
            self.question = None
            if question.interrupted:
                self.interrupt()
            text = rest
        self.take(text)

    async def ask(self, text: str, hidden: bool) -> str | None:  # noqa: FBT001 (the session's own signature)
        """Ask whoever waits for the order that this is called in; return None if nobody does, or they give up.

        What they have typed before they could read the question is no answer to it.
        """
        if self.giving is None or _line.get() is not self.giving:
            return None
        self.drop()
        if self._ended:
            return None
        question = self.question = Question(self.channel, text, hidden=hidden)
        self.session.asked = question.answer
        try:
            return await question.answer
        finally:
            # What was said is for the order alone.
            self.session.asked = None
            if self.question is question:
                self.question = None
                self.channel.write("\n")

    async def give(self, line: str, *, typed: bool = True) -> None:
        """Run a line and show its answers; an interrupt ends the waiting, not the order. What was typed is kept."""
        self._interrupted = False
        self.moving = {}
        giving = self.giving = asyncio.ensure_future(self._answer(line, typed=typed))
        try:
            await asyncio.wait([giving])
        finally:
            self.giving = None
            giving.cancel()
            self.session.give_up()
        if self._interrupted:
            self.status = INTERRUPTED
            self.channel.write("^C\n")
        elif not giving.cancelled():
            giving.result()

    def interrupt(self) -> None:
        """End the waiting for an answer."""
        giving, self.giving = self.giving, None
        if giving is not None:
            self._interrupted = True
            giving.cancel()

    async def _answer(self, line: str, *, typed: bool) -> None:
        _line.set(asyncio.current_task())
        known = False
        moving: dict[str, Moving] = {}
        try:
            async for outcome in outcomes(self.channel, self.session, self._written_out(line)):
                known = known or outcome.order is not None
                self.status = await self.deliver(outcome)
                if not outcome.follow and not outcome.json:
                    moving |= {one.id: one for one in outcome.moving}
            self.moving = moving
        finally:
            if typed:
                self._remember(line, known=known)

    async def deliver(self, outcome: Outcome) -> int:
        """Show what an order answers, and return its status."""
        return await self.channel.deliver(outcome)

    def _remember(self, line: str, *, known: bool) -> None:
        """Keep a line for the next time, unless it holds a secret.

        What is no order may be a password that was typed at the wrong prompt: it is kept in memory alone.
        """
        if any(isinstance(param.type, Secret) for order in self._orders(line) for param in order.params):
            return
        if self._is_whole():
            self.channel.dispatch.recall.add(self.session.login.user, line, keep=known)
        elif line.strip() and line[0] != " ":
            # Its owner reads nothing that somebody else may have put there for them to give.
            self._lines.append(line)
            del self._lines[:-MOST_LINES]

    def _orders(self, line: str) -> Sequence[Order]:
        """Return the orders of a line."""
        registry = self.channel.dispatch.registry
        found = (registry.find([one.word.text for one in words[:2]])[0] for words in locate(line))
        return [order for order in found if order is not None]

    def _written_out(self, line: str) -> str:
        """Return a line with the names of its orders written out where they are cut short; see `abbreviation`."""
        standing, dispatch = self.session.standing(), self.channel.dispatch
        if isinstance(standing, str) or len(line) > dispatch.limits.order_line:
            return line
        facts = dispatch.authorizer.facts(standing, self.session)
        scope = dispatch.authorizer.scope(standing.rights, facts)
        allowed, user = dispatch.allowed(standing, self.session), self.session.login.user
        return written_out(allowed, scope, line, lambda name: dispatch.macros.find(user, name) is not None)
