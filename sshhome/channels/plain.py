"""The shell of a terminal that cannot move its cursor, and of a screen reader: what is typed is echoed, once."""

import asyncio

from sshhome.channels import SessionChannel
from sshhome.channels.prompt import Prompt
from sshhome.escape import seen
from sshhome.session import Session

#: Characters taken from the client at once, and characters waiting at which it is asked to wait.
_SLICE, _HIGH = 256, 32 * 1024


async def run(channel: SessionChannel, session: Session) -> int:
    """Greet, read orders until `exit` or ^D, and return the status of the last one."""
    shell = _PlainShell(channel, session)
    await shell.greet()
    return await shell.run()


class _PlainShell(Prompt):
    """Reads one character after another."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        super().__init__(channel, session)
        self._text: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting = ""
        self._size = 0
        self._typed = ""
        channel.read_with(self.read)
        channel.interrupted = lambda: self.read("\x03")
        channel.notice = self._notice

    def take(self, text: str | None) -> None:
        if self.giving is not None and text is not None and "\x03" in text:
            self.interrupt()
            text = text.rpartition("\x03")[2]
        if text is None:
            self._text.put_nowait(None)
            return
        text = seen(text)
        self._size += len(text)
        for at in range(0, len(text), _SLICE):
            self._text.put_nowait(text[at : at + _SLICE])
        if self._size > _HIGH:
            self.channel.pause_reading()

    def drop(self) -> None:
        self._waiting = ""
        while not self._text.empty():
            ended = self._text.get_nowait() is None
            if self._text.empty():
                self._size = 0
                if ended:
                    self._text.put_nowait(None)
                    return
                # What was held back comes at once.
                self.channel.resume_reading()

    async def run(self) -> int:
        while not self.session.leaving:
            self.channel.write(self.prompt)
            line = await self._line()
            if line is None:
                break
            await self.give(line)
        return self.status

    def _notice(self, line: str) -> None:
        """Show a line above what is half typed, which is shown again."""
        if self.question is not None:
            self.question.interject(line)
            return
        self.channel.write(f"\n{line}\n{self.prompt}{self._typed}")

    async def _line(self) -> str | None:
        """Return a typed line; None at ^D on an empty one, or when the input ends."""
        self._typed = ""
        while True:
            char = await self._char()
            if char is None or (char == "\x04" and not self._typed):
                self.channel.write("\n")
                return None
            if char in "\r\n":
                self.channel.write("\n")
                return self._typed
            if char == "\x03":
                self._typed = ""
                self.channel.write("^C\n" + self.prompt)
            elif char in "\x7f\b" and self._typed:
                self._typed = self._typed[:-1]
                self.channel.write("\b \b")
            elif char == "\x15":
                self._typed = ""
                self.channel.write("\n" + self.prompt)
            elif char.isprintable() and len(self._typed) < self.channel.dispatch.limits.order_line:
                self._typed += char
                self.channel.write(char)

    async def _char(self) -> str | None:
        while not self._waiting:
            text = await self._text.get()
            if text is None:
                return None
            self._waiting = text
            self._size -= len(text)
            # However much is typed ahead, others have their turn.
            await asyncio.sleep(0)
            if not self._size:
                self.channel.resume_reading()
        char, self._waiting = self._waiting[0], self._waiting[1:]
        return char
