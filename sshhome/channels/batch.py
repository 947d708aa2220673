"""Orders on standard input, one a line: `ssh -T home@house < orders.txt`, or `ssh home@house run < orders.txt`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from sshhome.bind import split_common, worded
from sshhome.channels import SessionChannel
from sshhome.channels.waiting import outcomes
from sshhome.dispatch import goes_on
from sshhome.session import Session
from sshhome.words import split

#: Characters waiting to be run at which the client is asked to wait.
_HIGH = 32 * 1024


async def run(channel: SessionChannel, session: Session) -> int:
    """Run lines until the input ends or an order fails; return the status of the first failure.

    Options given in place of a command are those of every line: `ssh home@house --keep-going --json < orders.txt`.
    """
    words = [word for words in split(channel.command or "") for word in words]
    also = worded(split_common(channel.dispatch.registry, words)[0])
    keep_going = goes_on(also)
    status = 0
    async for line in Lines(channel):
        if line.lstrip().startswith("#"):
            continue
        async for outcome in outcomes(channel, session, line, also):
            failed = await channel.deliver(outcome)
            status = status or failed
        if (status and not keep_going) or session.leaving:
            break
    return status


class Lines:
    """What the client sends, line by line; a line over the limit is cut just beyond it, for dispatch to refuse."""

    def __init__(self, channel: SessionChannel) -> None:
        """Read from a channel."""
        self._channel = channel
        self._most = channel.dispatch.limits.order_line + 1
        self._lines: deque[str] = deque()
        self._rest = ""
        self._ended = False
        self._size = 0
        self._news = asyncio.Event()
        channel.read_with(self._read)

    def _read(self, text: str | None) -> None:
        if text is None:
            self._ended = True
        else:
            *lines, rest = (self._rest + text).split("\n")
            self._lines.extend(line[: self._most].rstrip("\r") for line in lines)
            self._rest = rest[: self._most]
            self._size += sum(len(line) + 1 for line in lines)
            if self._size > _HIGH:
                self._channel.pause_reading()
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield the lines; the last one need not end in a newline."""
        while True:
            while self._lines:
                line = self._lines.popleft()
                if not self._lines:
                    self._size = 0
                    self._channel.resume_reading()
                yield line
            if self._ended:
                if self._rest:
                    yield self._rest
                return
            self._news.clear()
            await self._news.wait()
