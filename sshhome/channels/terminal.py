"""prompt_toolkit on an SSH channel: no pipe, no thread, nothing process-wide; bounded input, clean ends.

prompt_toolkit's own SSH front end blocks the event loop on a long paste, and its VT100 parser takes quadratic
time and memory for ever on a long escape sequence; here input is parsed in slices, and such sequences are cut.
"""

import asyncio
import contextlib
import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from prompt_toolkit.input.base import Input
from prompt_toolkit.input.vt100_parser import _IS_PREFIX_OF_LONGER_MATCH_CACHE as _PREFIXES
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from sshhome.channels import SessionChannel
from sshhome.escape import seen

#: Characters parsed in one go, so that one client's paste cannot hold up the others.
SLICE = 256
#: Characters waiting at which the client is asked to pause.
_HIGH = 32 * 1024
#: Parameter characters of one escape sequence that reach the parser; real keys have at most a dozen.
_MAX_PARAMETERS = 24
#: Beginnings of sequences that prompt_toolkit may remember.
_MOST_PREFIXES = 1000
#: Printable characters in a row that count as pasted, one key press in all. No `?` does: over a slow link what is typed
#: comes in a row too, and that one asks.
_PASTE = 8
_PASTED = re.compile(f"([^\x00-\x1f\x7f-\x9f?]{{{_PASTE},}})")
_PARAMETERS = frozenset("0123456789;<?")
#: Keys that look at the whole house, which may be thousands of devices; and keys that are taken at once.
_COSTLY = frozenset({Keys.ControlI, "?"})
_AT_ONCE = 256


class KeyInput(Input):
    """Key presses from what a client sends; unread text waits, within bounds, when nobody is attached."""

    _numbers = itertools.count()

    def __init__(self, channel: SessionChannel, most: int) -> None:
        """Read from a channel; no paste is longer than `most`."""
        self._number = next(self._numbers)
        self._channel = channel
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._text: deque[str] = deque()
        self._size = 0
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._press)
        self._escape = 0
        #: Whether what was parsed last may be the beginning of a sequence, or an escape that nothing follows.
        self.unsure = False
        self._paused = False
        self._ended = False
        self._callback: Callable[[], None] | None = None
        self._step_handle: asyncio.Handle | None = None

    def feed(self, text: str | None) -> None:
        """Take what the client sent, or None for the end of its input."""
        if text is None:
            self.close()
            return
        if self._ended:
            return
        text = seen(text)
        self._text.append(text)
        self._size += len(text)
        if self._size > _HIGH and not self._paused:
            self._paused = True
            self._channel.pause_reading()
        self._schedule()

    def _press(self, press: KeyPress) -> None:
        # Nobody was asked for a mouse, and prompt_toolkit's handler fails on what one may say.
        if press.key is not Keys.Vt100MouseEvent:
            self._keys.append(press)

    def _schedule(self) -> None:
        if self._step_handle is None and self._callback is not None:
            self._step_handle = self._loop.call_soon(self._step)

    def _step(self) -> None:
        """Parse one slice and tell who reads."""
        self._step_handle = None
        if self._callback is None:
            return
        if self._text:
            text = self._text.popleft()
            if len(text) > SLICE:
                self._text.appendleft(text[SLICE:])
                text = text[:SLICE]
            self._size -= len(text)
            self._parse(text)
            if self._paused and self._size < _HIGH // 4:
                self._paused = False
                self._channel.resume_reading()
        self._callback()
        if self._text or self._keys:
            self._schedule()

    def _parse(self, text: str) -> None:
        parser = self._parser
        self.unsure = "\x1b" in text
        if parser._in_bracketed_paste:  # noqa: SLF001 (the one place where its growth can be bounded)
            buffer = parser._paste_buffer  # noqa: SLF001
            if len(buffer) > self._most:
                # The last few characters may be the beginning of the sequence that ends the paste.
                parser._paste_buffer = buffer[: self._most] + buffer[-8:]  # noqa: SLF001
            parser.feed(text)
        elif self._escape or "\x1b" in text:
            parser.feed(self._shortened(text))
            if len(_PREFIXES) > _MOST_PREFIXES:
                # prompt_toolkit remembers every beginning of every sequence, for all clients and for ever.
                _PREFIXES.clear()
        else:
            for at, run in enumerate(_PASTED.split(text)):
                # `split` gives what the pattern matched at the odd places.
                if at % 2:
                    self._keys.append(KeyPress(Keys.BracketedPaste, run))
                elif run:
                    parser.feed(run)

    def _shortened(self, text: str) -> str:
        """Return the text with the parameters of overlong escape sequences left out.

        `_escape` is 0 outside a sequence, 1 after ESC, and from 2 on one more than the parameters seen.
        """
        kept = []
        for char in text:
            if char == "\x1b":
                self._escape = 1
            elif self._escape == 1:
                self._escape = 2 if char == "[" else 0
            elif self._escape and char in _PARAMETERS:
                self._escape += 1
                if self._escape > _MAX_PARAMETERS:
                    continue
            else:
                self._escape = 0
            kept.append(char)
        return "".join(kept)

    # -- prompt_toolkit's side ----------------------------------------------------------------------------------------

    def read_keys(self) -> list[KeyPress]:
        """Return some of the keys that were parsed, one that costs much at the most; the others have another turn."""
        costly = next((at for at, press in enumerate(self._keys) if press.key in _COSTLY), _AT_ONCE)
        end = min(costly + 1, _AT_ONCE)
        keys, self._keys = self._keys[:end], self._keys[end:]
        return keys

    def all_keys(self) -> list[KeyPress]:
        """Return all keys that were parsed, which nobody acts on yet."""
        keys, self._keys = self._keys, []
        return keys

    @property
    def behind(self) -> bool:
        """Whether more was typed than has been read."""
        return bool(self._text or self._keys)

    def put_back(self, keys: list[KeyPress]) -> None:
        """Take keys back, to be read before all others."""
        self._keys = [*keys, *self._keys]
        if keys:
            self._schedule()

    def flush_keys(self) -> list[KeyPress]:
        """Return what a lone escape turns out to be, once nothing followed it."""
        self.unsure = False
        self._parser.flush()
        return self.all_keys()

    @property
    def closed(self) -> bool:
        """Whether the client has ended its input and all of it is read."""
        return self._ended and not self._text and not self._keys

    def close(self) -> None:
        """End the input after what is waiting."""
        self._ended = True
        self._schedule()

    @contextlib.contextmanager
    def _reading(self, callback: Callable[[], None] | None) -> Iterator[None]:
        before, self._callback = self._callback, callback
        if self._text or self._keys or self._ended:
            self._schedule()
        try:
            yield
        finally:
            self._callback = before

    def attach(self, input_ready_callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call back when keys can be read."""
        return self._reading(input_ready_callback)

    def detach(self) -> AbstractContextManager[None]:
        """Call nobody back for a while."""
        return self._reading(None)

    def raw_mode(self) -> AbstractContextManager[None]:
        """Do nothing: the client's terminal is raw already."""
        return contextlib.nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        """Do nothing: the client's terminal stays raw."""
        return contextlib.nullcontext()

    def fileno(self) -> int:
        """There is no file."""
        raise NotImplementedError("keys come from a channel, not a file")

    def typeahead_hash(self) -> str:
        """Name this input among all."""
        return f"sshhome-{self._number}"

    def drop(self) -> None:
        """Forget what was typed and nobody has read, also what the client was asked to wait with."""
        while self._text:
            self._text.clear()
            self._size = 0
            if self._paused:
                self._paused = False
                # What was held back comes at once.
                self._channel.resume_reading()
        self._keys.clear()
        self._parser.reset()
        self._escape = 0
