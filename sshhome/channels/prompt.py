"""A prompt at which somebody types orders and reads answers, whatever draws it."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from contextvars import ContextVar

from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.channels.question import Question
from sshhome.errors import SiteError
from sshhome.escape import printable
from sshhome.render import wrapped
from sshhome.session import Session
from sshhome.when import moment

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
        self._interrupted = False
        self._ended = False
        session.ask = self.ask

    @abstractmethod
    def take(self, text: str | None) -> None:
        """Take what is typed while no question is open, or None for the end of the input."""

    @abstractmethod
    def drop(self) -> None:
        """Forget what was typed ahead."""

    async def greet(self) -> None:
        """Say where one is and what to do, and whether somebody else has tried to get in."""
        name = printable(self.channel.dispatch.house_name)
        said = f"Welcome to {name}. `help` lists your orders, ^D leaves.{await self._tries()}"
        self.channel.write(wrapped(said, self.channel.look))

    async def _tries(self) -> str:
        """Return how often somebody failed to log in as this user since their login before this one."""
        dispatch = self.channel.dispatch
        # The audit log has them too: nobody is kept out because they cannot be counted.
        with contextlib.suppress(SiteError):
            before = (await dispatch.store.logins(self.session.login.user))[1:2]
            for login in before:
                if login.failed:
                    tries = "1 failed try" if login.failed == 1 else f"{login.failed} failed tries"
                    since = moment(login.at, dispatch.timezone, dispatch.clock.now())
                    return f"\n{tries} to log in as you since {since}"
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

    async def give(self, line: str) -> None:
        """Run a line and show its answers; an interrupt ends the waiting, not the order."""
        self._interrupted = False
        giving = self.giving = asyncio.ensure_future(self._answer(line))
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

    async def _answer(self, line: str) -> None:
        _line.set(asyncio.current_task())
        async for outcome in self.channel.dispatch.run_line(self.session, line):
            self.status = await self.channel.deliver(outcome)
