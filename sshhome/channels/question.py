"""A question in a shell: what is typed goes to it, is echoed unless it is hidden, and is kept nowhere."""

import asyncio
import re
from itertools import takewhile

from sshhome.channels import SessionChannel
from sshhome.escape import seen
from sshhome.render import wrapped

#: Characters of an answer; no password is longer.
_MOST = 256
#: The beginning of a sequence, as keys without a character and mice send them (ECMA-48 §5.4 to §5.6; of an old mouse
#: three characters follow, of the Linux console's keys one), and how much of it is kept.
_BEGUN, _KEPT = re.compile(r"\x1b(?:\[(?:M.{0,2}|\[|[0-?]*[ -/]*)|O|[]PX^_].*)?"), 24


class Question:
    """A question that is open, and what has been typed of its answer."""

    def __init__(self, channel: SessionChannel, text: str, *, hidden: bool) -> None:
        """Ask it."""
        self.answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        #: Whether ^C is what gave it up.
        self.interrupted = False
        self._channel = channel
        self._asked = wrapped(text.rstrip(), channel.look).rstrip("\n") + " "
        self._hidden = hidden
        self._typed = ""
        self._sequence = ""
        self._show()

    def read(self, text: str) -> str | None:
        """Take what is typed; return None while the question is open, and then what was typed after its end."""
        before = self._typed
        for at, char in enumerate(seen(text)):
            if self._in_sequence(char):
                continue
            if char in "\r\n\x03\x04":
                self._echo(before)
                self._close(char)
                return text[at + 1 :]
            if char in "\x7f\b":
                self._typed = self._typed[:-1]
            elif char == "\x15":
                self._typed = ""
            elif char >= " " and len(self._typed) < _MOST:
                self._typed += char
        self._echo(before)
        return None

    def _close(self, char: str) -> None:
        self.interrupted = char == "\x03"
        if not self.interrupted:
            self._channel.write("\n")
        if not self.answer.done():
            self.answer.set_result(self._typed if char in "\r\n" else None)

    def interject(self, line: str) -> None:
        """Show a line, and the question again below it."""
        self._channel.write(f"\n{line}\n")
        self._show()

    def _show(self) -> None:
        self._channel.write(self._asked if self._hidden else self._asked + self._typed)

    def _echo(self, before: str) -> None:
        """Show what has become of what was typed before."""
        if self._hidden:
            return
        same = (old == new for old, new in zip(before, self._typed, strict=False))
        kept = sum(takewhile(bool, same))
        shown = self._asked.rpartition("\n")[2] + before
        if kept == len(before) or (shown.isascii() and len(shown) < self._channel.size[0]):
            self._channel.write("\b \b" * (len(before) - kept) + self._typed[kept:])
        else:
            # How far back that is on the screen only the terminal knows.
            self._channel.write("\n")
            self._show()

    def _in_sequence(self, char: str) -> bool:
        """Return whether a character is part of a sequence, and not typed.

        A control character ends any, also one that was cut short: Enter and ^C always do what they say.
        """
        begun, self._sequence = self._sequence, ""
        if char == "\x1b":
            self._sequence = char
        elif not begun or char < " " or char == "\x7f":
            return False
        elif _BEGUN.fullmatch(begun + char):
            self._sequence = (begun + char)[:_KEPT]
        elif begun == "\x1b":
            # A lone Escape, unless this is the backslash that ends a text of the terminal's.
            return char == "\\"
        return True
