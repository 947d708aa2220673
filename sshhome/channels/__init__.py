"""How orders come in over SSH: one session channel, an exec, a batch, a shell or an app by what the client asks.

Everything else a client can ask of a channel is refused here: other subsystems, sftp, scp, forwarding.
"""

import asyncio
import contextlib
import importlib
import logging
import math
from collections.abc import Callable
from typing import Any

import asyncssh
from msgspec.structs import replace

from sshhome.bind import split_common
from sshhome.dispatch import Dispatch
from sshhome.errors import BadArguments, Internal, SlowDown, SshhomeError, TimedOut, Unavailable
from sshhome.escape import printable
from sshhome.outcome import Answer, Outcome
from sshhome.quantity import span
from sshhome.render import Look, render
from sshhome.session import Session
from sshhome.trace import incident
from sshhome.words import split

log = logging.getLogger(__name__)

#: The subsystem of apps.
SUBSYSTEM = "sshhome"
#: Exit status of an order that ^C left early, as POSIX shells have it: 128 and the number of SIGINT.
INTERRUPTED = 130

#: What gives a program all of the screen, without a cursor, and what gives back what was there before (xterm's words).
_TAKE, _RETURN = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J", "\x1b[?25h\x1b[?1049l"
#: A client's window is what it says, within reason; 0 by 0 means that it does not know.
_COLUMNS, _ROWS = (8, 500), (1, 300)
_DEFAULT_SIZE = (80, 24)
#: Seconds from a change of the window to drawing anew.
_RESIZE_AFTER = 0.05
#: Wipes the row that the cursor is in.
_WIPE = "\r\x1b[K"
#: Seconds before the end of an idle session at which it is told.
_IDLE_NOTICE = 60.0
_PLAIN_TERMINALS = frozenset({"", "dumb", "unknown"})


class SessionChannel(asyncssh.SSHServerSession[str]):
    """One channel: bytes in, bounded; text out, held back for a slow reader; one task that runs it."""

    def __init__(
        self,
        dispatch: Dispatch,
        open_session: Callable[[str, str], Session],
        close_session: Callable[[Session], None],
        *,
        pty: bool,
        order: str = "",
    ) -> None:
        """Wait for what the client asks; `pty` is whether its key may have a terminal, `order` all it may run."""
        self.dispatch = dispatch
        self.command: str | None = None
        self.terminal = ""
        #: Called when the terminal has another size.
        self.resized: Callable[[], None] = lambda: None
        #: Called when the client asks to interrupt: ^C without a terminal, or `ssh`'s ~B.
        self.interrupted: Callable[[], None] = lambda: None
        #: Called with a line that the client shall see now, whatever else it is doing.
        self.notice: Callable[[str], None] = lambda line: self.write(f"{line}\n", error=True)
        #: Called once output flows again.
        self.resumed: Callable[[], None] = lambda: None
        #: Whether somebody wants a shell that moves no cursor, whatever the terminal can.
        self.wants_plain = False
        #: Takes text, or bytes of an app.
        self._reader: Callable[[Any], None] | None = None
        self._early: list[str | bytes | None] = []
        #: Whether an app speaks, in bytes.
        self._is_app = False
        self._open_session = open_session
        self._close_session = close_session
        self._may_have_pty = pty
        self._order = order
        self._channel: asyncssh.SSHServerChannel[str] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self._session: Session | None = None
        #: The exit status: our own fault, unless it ends otherwise.
        self._status = Internal.status
        #: When the client was last heard of, on the loop's clock.
        self._heard = 0.0
        self._warned = False
        self._idle: asyncio.TimerHandle | None = None
        self._resizing: asyncio.TimerHandle | None = None
        self._interrupting: asyncio.Handle | None = None
        #: The row that is shown for the time being.
        self._row = ""
        #: What is said once all else has been.
        self._goodbye = ""
        self._has_screen = False

    # -- asyncssh's callbacks -----------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[str]) -> None:
        """Take the channel."""
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: object, term_modes: object) -> bool:  # noqa: ARG002 (asyncssh's own)
        """Take the terminal's type; its size is asked of the channel when it is needed."""
        if self._may_have_pty:
            self.terminal = term_type or "unknown"
        return self._may_have_pty

    def shell_requested(self) -> bool:
        """Run a shell, or a batch when there is no terminal."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Run the orders of a command line."""
        self.command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Speak with an app, and refuse all other subsystems; a key with an order of its own runs that."""
        if subsystem != SUBSYSTEM:
            return False
        if not self._order and self._channel is not None:
            # Whatever terminal it has asked for before.
            self._is_app, self.terminal = True, ""
            self._channel.set_encoding(None)
        return True

    def session_started(self) -> None:
        """Begin to work."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    def data_received(self, data: str | bytes, datatype: object) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Pass on what the client types."""
        self._hear()
        self._read(data)

    def eof_received(self) -> bool:
        """Keep our side open for the answer."""
        self._read(None)
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:  # noqa: ARG002
        """Draw again, some times a second at most, however often a window changes."""
        if self._resizing is None:
            self._resizing = asyncio.get_running_loop().call_later(_RESIZE_AFTER, self._resize)

    def _resize(self) -> None:
        self._resizing = None
        self.resized()

    def signal_received(self, signal: str) -> None:
        """Interrupt what runs."""
        if signal in {"INT", "TERM", "HUP"}:
            self._interrupt_soon()

    def break_received(self, msec: int) -> bool:  # noqa: ARG002 (asyncssh's own signature)
        """Interrupt what runs."""
        self._interrupt_soon()
        return True

    def _interrupt_soon(self) -> None:
        """Interrupt once, however often that is asked for in one breath: no window bounds how often."""
        if self._interrupting is None:
            self._interrupting = asyncio.get_running_loop().call_soon(self._interrupt)

    def _interrupt(self) -> None:
        self._interrupting = None
        self.interrupted()

    def pause_writing(self) -> None:
        """Hold output back."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let output go on."""
        self._writable.set()
        self.resumed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Stop reading orders; one that is running ends by itself in dispatch."""
        self._writable.set()
        for timer in (self._idle, self._resizing, self._interrupting):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _read(self, text: str | bytes | None) -> None:
        if self._reader is None:
            self._early.append(text)
        else:
            self._reader(text)

    # -- what exec, batch and shell use -------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the client's terminal."""
        columns, rows = self._channel.get_terminal_size()[:2] if self._channel else (0, 0)
        if not columns or not rows:
            columns, rows = columns or _DEFAULT_SIZE[0], rows or _DEFAULT_SIZE[1]
        return min(max(columns, _COLUMNS[0]), _COLUMNS[1]), min(max(rows, _ROWS[0]), _ROWS[1])

    @property
    def look(self) -> Look:
        """What the client's terminal can show."""
        drawn = bool(self.terminal) and not self.plain
        return Look(self.size[0], self.color if self.terminal else "", wrap=self.interactive, drawn=drawn)

    @property
    def plain(self) -> bool:
        """Whether the terminal cannot move its cursor, or shall not."""
        return self.wants_plain or self.terminal in _PLAIN_TERMINALS

    @property
    def flows(self) -> bool:
        """Whether what is sent is read."""
        return self._writable.is_set()

    @property
    def color(self) -> str:
        """The colours the terminal has, in rich's words."""
        if self.plain or self._channel is None:
            return ""
        environment = self._channel.get_environment_bytes()
        if environment.get(b"NO_COLOR"):
            return ""
        if environment.get(b"COLORTERM") in {b"truecolor", b"24bit"}:
            return "truecolor"
        return "256" if "256" in self.terminal else "standard"

    def read_with(self, reader: Callable[[Any], None]) -> None:
        """Call `reader` with what the client types, what it has typed already first, and with None at its end."""
        self._reader = reader
        early, self._early = self._early, []
        for text in early:
            reader(text)

    def pause_reading(self) -> None:
        """Ask the client to wait with more input."""
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Let the client go on."""
        if self._channel is not None:
            self._channel.resume_reading()

    def write(self, text: str, *, error: bool = False) -> None:
        """Send text; a client that lets more than `slow_reader` wait for it is given up."""
        channel = self._channel
        if channel is None or channel.is_closing() or not text:
            return
        if self._row:
            self._row = ""
            self.write(_WIPE)
        if self.terminal:
            # The client's terminal is raw: it does not return the carriage by itself.
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        self._send(text.encode() if self._is_app else text, asyncssh.EXTENDED_DATA_STDERR if error else None)

    def send(self, data: bytes) -> None:
        """Send bytes to an app, within the same bound."""
        if self._channel is not None and not self._channel.is_closing():
            self._send(data, None)

    def _send(self, data: Any, datatype: int | None) -> None:  # noqa: ANN401 (text, or bytes to an app)
        channel = self._channel
        assert channel is not None  # noqa: S101 (both ways to send look first)
        # An answer may be as long as it is: what counts is what waited before it.
        if channel.get_write_buffer_size() > self.dispatch.limits.slow_reader:
            # The other side may never close the channel; our half ends all the same.
            channel.abort()
            self.connection_lost(None)
        else:
            channel.write(data, datatype)

    def row(self, text: str) -> None:
        """Show a row below all else for the time being: it is gone once anything is written, or with an empty one."""
        if text == self._row or (text and not self.flows):
            return
        wipe, self._row = _WIPE if self._row else "", ""
        self.write(f"{wipe}{printable(text)}")
        self._row = text

    def take_screen(self) -> None:
        """Take all of the client's screen, what is on it aside."""
        self._has_screen = True
        self.write(_TAKE)

    def return_screen(self) -> None:
        """Give the screen back as it was, if it was taken: whatever ends this must do so before the client is gone."""
        if self._has_screen:
            self._has_screen = False
            self.write(_RETURN)

    async def deliver(self, outcome: Outcome) -> int:
        """Send what an order answers and wait until it has been read; of one that goes on, for as long as it does."""
        stream, session = outcome.stream, self._session
        if stream is None or session is None:
            status = self.answer(outcome)
            await self.drain()
            return status
        # Whoever watches is not idle; whether they are still there, the connection tells.
        session.running += 1
        try:
            async with contextlib.aclosing(stream) as values:
                async for value in values:
                    self.answer(replace(outcome, answers=[Answer(value)]))
                    await self.drain()
        except SshhomeError as error:
            return self.answer(Outcome(error=error, json=outcome.json))
        except Exception as error:  # noqa: BLE001 (one bug ends what goes on, and not the shell that it goes on in)
            fault = Internal(f"it ended by our own fault, incident {incident('what goes on', error)}")
            return self.answer(Outcome(error=fault, json=outcome.json))
        finally:
            session.running -= 1
        return outcome.status

    def answer(self, outcome: Outcome) -> int:
        """Send what an order answered, and return its status."""
        self._hear()
        out, error, status = self.rendered(outcome, self.look)
        self.write(out)
        self.write(error, error=not self.interactive)
        return status

    @staticmethod
    def rendered(outcome: Outcome, look: Look) -> tuple[str, str, int]:
        """Return what goes to standard output and error, and the status; where it cannot be shown, that is said."""
        try:
            return *render(outcome, look), outcome.status
        except Exception as error:  # noqa: BLE001 (one bug ends an answer, and not the channel)
            fault = Internal(f"the answer cannot be shown, incident {incident('showing an answer', error)}")
            outcome = Outcome(error=fault, json=outcome.json)
            return *render(outcome, look), outcome.status

    @property
    def interactive(self) -> bool:
        """Whether somebody types at a terminal."""
        return bool(self.terminal) and self.command is None

    async def drain(self) -> None:
        """Wait until the client has read what was sent."""
        await self._writable.wait()

    async def _work(self) -> None:
        """Run the channel to its end and report its exit status."""
        ignored = ""
        if self._order:
            ignored, self.command, kind = self.command or "", self._order, "exec"
        elif self._is_app:
            kind = "rpc"
        elif self.command is None:
            kind = "shell" if self.interactive else "batch"
        else:
            kind = "batch" if self._only_options(self.command) else "exec"
        try:
            session = self._session = self._open_session(kind, ignored)
        except SlowDown as error:
            self._status = self.answer(Outcome(error=error, json="--json" in (self.command or "").split()))
            self._leave()
            return
        try:
            self._hear()
            self._watch_idleness()
            self.wants_plain = self.dispatch.recall.options(session.login.user).plain == "on"
            # Loaded by name when first asked for: a house that is only given orders never loads prompt_toolkit.
            drawn = "plain" if kind == "shell" and self.plain else kind
            module = importlib.import_module(f"sshhome.channels.{drawn}")
            self._status = await module.run(self, session)
        except Exception:
            log.exception("a %s ended by our own fault", kind)
        finally:
            self._close_session(session)
            self._leave()

    def _only_options(self, command: str) -> bool:
        """Return whether a command is `run`, or has options alone, which then are those of every line of a batch."""
        if not command.strip():
            return True
        try:
            orders = split(command)
        except BadArguments:
            return False
        if len(orders) != 1:
            return False
        rest = split_common(self.dispatch.registry, orders[0])[1]
        return not rest or [word.text.lower() for word in rest] in (["run"], ["run", "-"])

    def _leave(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self.return_screen()
        if self._channel is not None and not self._channel.is_closing():
            if self._goodbye:
                # A shell that draws has left its line when it ended.
                start = "\n" if self.interactive and self.plain else ""
                self.write(f"{start}{self._goodbye}\n", error=not self.interactive)
            self._channel.exit(self._status)

    async def leave(self, goodbye: str) -> None:
        """End with a word, and wait until the client has closed the channel: what comes with a disconnect few show."""
        if self._channel is not None:
            if self._session is not None:
                self._end(goodbye, Unavailable.status)
            await self._channel.wait_closed()

    def _end(self, goodbye: str, status: int) -> None:
        self._goodbye, self._status = goodbye, status
        self.connection_lost(None)

    def _hear(self) -> None:
        self._heard, self._warned = asyncio.get_running_loop().time(), False

    def _watch_idleness(self) -> None:
        """End a session in which nothing is typed and nothing runs, with a warning beforehand."""
        loop, idle = asyncio.get_running_loop(), self.dispatch.limits.idle
        notice = min(_IDLE_NOTICE, idle / 2)
        if self._session is not None and self._session.running:
            self._hear()
        left = self._heard + idle - loop.time()
        if left <= 0:
            self._end(f"idle for {span(idle)}, goodbye", TimedOut.status)
            return
        if left <= notice and not self._warned:
            self._warned = True
            self.notice(f"idle: this session ends in {span(math.ceil(left))}")
        self._idle = loop.call_later(left if self._warned else left - notice, self._watch_idleness)
