"""A prompt at which somebody types orders and reads answers, whatever draws it."""

import asyncio

from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.escape import printable
from sshhome.render import wrapped
from sshhome.session import Session


class Prompt:
    """What all shells share: the greeting, and the road from a line to its answers, which ^C leaves early."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        """Prompt on a channel."""
        self.channel = channel
        self.session = session
        self.prompt = f"{session.login.user}@{printable(channel.dispatch.house_name)}> "
        self.status = 0
        self.giving: asyncio.Task[None] | None = None
        self._interrupted = False

    def greet(self) -> None:
        """Say where one is and what to do."""
        name = printable(self.channel.dispatch.house_name)
        self.channel.write(wrapped(f"Welcome to {name}. `help` lists your orders, ^D leaves.", self.channel.look))

    async def give(self, line: str) -> None:
        """Run a line and show its answers; an interrupt ends the waiting, not the order."""
        self._interrupted = False
        self.giving = asyncio.ensure_future(self._answer(line))
        try:
            await asyncio.wait([self.giving])
        finally:
            self.giving.cancel()
        if self._interrupted:
            self.status = INTERRUPTED
            self.channel.write("^C\n")
        elif not self.giving.cancelled():
            self.giving.result()
        self.giving = None

    def interrupt(self) -> None:
        """End the waiting for an answer."""
        if self.giving is not None:
            self._interrupted = True
            self.giving.cancel()

    async def _answer(self, line: str) -> None:
        async for outcome in self.channel.dispatch.run_line(self.session, line):
            self.status = self.channel.answer(outcome)
            await self.channel.drain()
