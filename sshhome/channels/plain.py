"""The shell of a terminal that cannot move its cursor, and of a screen reader: what is typed is echoed, once."""

import asyncio

from rich.cells import cell_len

from sshhome.channels import SessionChannel
from sshhome.channels.prompt import Prompt
from sshhome.complete import asks, common, complete
from sshhome.escape import printable, seen
from sshhome.session import Session

#: Characters taken from the client at once, and characters waiting at which it is asked to wait.
_SLICE, _HIGH = 256, 32 * 1024
#: Characters of the longest sequence that a key sends.
_LONGEST_KEY = 16


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
        if opening := self.opening():
            await self.give(opening, typed=False)
        while not self.session.leaving:
            self.channel.write(self.prompt)
            line = await self._line()
            if line is None:
                break
            await self.give(line)
        return self.status

    def show(self, text: str) -> None:
        """Show text above what is half typed, which is shown again; while an order runs nothing is."""
        again = "" if self.giving is not None else f"{self.prompt}{self._typed}"
        self.channel.write(f"\n{text}{again}" if again else text)

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
                gone, self._typed = cell_len(self._typed[-1]), self._typed[:-1]
                self.channel.write("\b \b" * gone)
            elif char == "\x15":
                self._typed = ""
                self.channel.write("\n" + self.prompt)
            elif char == "?" and not self._waiting and self._asks():
                self.show(self.explained(self._typed))
            elif char == "\t" and not self._waiting:
                self._complete()
            elif char == "\x1b":
                await self._skip_key()
            elif char.isprintable() and len(self._typed) < self.channel.dispatch.limits.order_line:
                self._typed += char
                self.channel.write(char)

    def _complete(self) -> None:
        """Put in what all that may come next has in common; where that is nothing, tell what may."""
        typed, offered = complete(self.channel.dispatch, self.session, self._typed)
        same = common([one.text for one in offered]) if offered else ""
        if len(offered) == 1:
            same += " "
        if len(same) > len(typed):
            gone, more = ("", same[len(typed) :]) if same.startswith(typed) else (typed, same)
            self._typed = self._typed.removesuffix(gone) + more
            self.channel.write("\b \b" * cell_len(printable(gone)) + printable(more))
        elif self._asks():
            self.show(self.explained(self._typed))

    async def _skip_key(self) -> None:
        """Leave out what an arrow or another key sends that has nothing to do here."""
        char = await self._char()
        left = _LONGEST_KEY if char in {"[", "O"} else 0
        while left and char is not None and char.isprintable():
            char = await self._char()
            left = left - 1 if char is not None and (char.isdigit() or char in ";?<") else 0
        if char is None:
            self._text.put_nowait(None)
        elif not char.isprintable():
            # Enter, or ^C, is none of it.
            self._waiting = char + self._waiting

    def _asks(self) -> bool:
        return asks(self.channel.dispatch, self.session, self._typed)

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
