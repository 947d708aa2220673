"""The line editor of a shell: prompt_toolkit's buffer and keys, with a loop and a painter that cost far less.

Whatever is the same for all shells is made once. Of a prompt_toolkit application this keeps what key bindings ask for.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.auto_suggest import Suggestion as Ghost
from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.completion import Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.history import History
from prompt_toolkit.key_binding.key_processor import KeyPress, KeyProcessor, _Flush
from prompt_toolkit.layout import BufferControl, Layout, Window
from prompt_toolkit.output import DummyOutput

from sshhome.channels import SessionChannel
from sshhome.channels.keys import keys
from sshhome.channels.painter import Frame, Painter, Piece, Row, clipped, width, wrapped
from sshhome.channels.terminal import KeyInput
from sshhome.complete import common
from sshhome.escape import printable
from sshhome.judge import Tone
from sshhome.param import Suggestion

#: Earlier lines that are looked at for how this one may go on: to judge one may take a while in a large house.
_MOST_LOOKED = 5
#: States of a line kept for undo.
_MOST_UNDO = 100
#: Rows of the completion menu, and columns of what it offers.
_MENU, _MENU_COLUMNS = 8, 40
#: Seconds after which an escape that nothing followed is one, and a key that might begin a sequence is itself.
_ESCAPE_AFTER, _SEQUENCE_AFTER = 0.5, 1.0
_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"


class Ways(History):
    """The lines that were typed before, as prompt_toolkit's key bindings ask for them."""

    def __init__(self, lines: Callable[[], Sequence[str]]) -> None:
        """Ask `lines` each time, the oldest first."""
        super().__init__()
        self._lines = lines

    def get_strings(self) -> list[str]:
        """Return them, the oldest first."""
        return list(self._lines())

    def load_history_strings(self) -> Iterable[str]:
        """Return them, the newest first."""
        return reversed(self._lines())

    def append_string(self, string: str) -> None:
        """Leave it to whoever runs the line: not all are kept."""

    def store_string(self, string: str) -> None:
        """Leave it, too."""


class _Keys(KeyProcessor):
    """prompt_toolkit's key processor, with a timer only where there is something to wait for."""

    def __init__(self) -> None:
        super().__init__(keys())
        self.waiting: asyncio.TimerHandle | None = None

    def _start_timeout(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None
        if self.key_buffer:
            self.waiting = asyncio.get_running_loop().call_later(_SEQUENCE_AFTER, self._settle)

    def _settle(self) -> None:
        self.waiting = None
        if self.key_buffer:
            self.feed(_Flush)
            self.process_keys()


class Search:
    """A search of the history that is going on: what is looked for, where it was found, and what was there before."""

    def __init__(self, before: Document) -> None:
        """Begin with nothing to look for."""
        self.before = before
        self.text = ""
        self.at = -1
        self.failed = False


class Editor(Application[str]):
    """One line at a time, with completion, history and what is known of it while it is typed."""

    def __init__(
        self,
        channel: SessionChannel,
        source: KeyInput,
        prompt: str,
        *,
        lines: Callable[[], Sequence[str]],
        offers: Callable[[str], tuple[str, Sequence[Suggestion]]],
        judges: Callable[[str, int], Sequence[Tone]],
        asks: Callable[[str], bool],
        explains: Callable[[str], str],
    ) -> None:
        """Edit on a channel; the others tell of the lines before, and what is known of the text before the cursor."""
        self.buffer = Buffer(history=Ways(lines), multiline=False, accept_handler=self._accept)
        super().__init__(
            layout=Layout(Window(BufferControl(self.buffer))),
            include_default_pygments_style=False,
            output=DummyOutput(),
            input=source,
        )
        self._default_bindings = keys()
        self.key_processor = self._processor = _Keys()
        self.buffer.on_text_changed += self._cut
        self.search: Search | None = None
        self._channel = channel
        self._source = source
        self._lines = lines
        self._offers = offers
        self._judges = judges
        self._asks = asks
        self._explains = explains
        self._most = channel.dispatch.limits.order_line
        self._prompt: Piece = ("prompt", prompt)
        self._painter = Painter(channel)
        self._judged: tuple[str, int, bool] | None = None
        self._pieces: Sequence[Piece] = ()
        self._ahead: list[KeyPress] = []
        #: What was drawn last, and the line to which a completion put a space.
        self._drawn: tuple[object, ...] | None = None
        self._spaced = ""
        #: Whether it is to be told what may come next, and where that was told last.
        self._telling = False
        self._told: Document | None = None
        #: Earlier lines and whether they are worth suggesting, as far as that was asked at this prompt.
        self._good: dict[str, bool] = {}
        self._drawing: asyncio.Handle | None = None
        self._escaping: asyncio.TimerHandle | None = None

    # -- reading a line -----------------------------------------------------------------------------------------------

    async def read(self, mode: EditingMode = EditingMode.EMACS) -> str:
        """Return a line that was typed; raises KeyboardInterrupt for ^C, EOFError for ^D or the end of the input."""
        loop = self.loop = asyncio.get_running_loop()
        self.editing_mode = mode
        self._begin()
        with set_app(self):
            self.future = loop.create_future()
            self.context = contextvars.copy_context()
            self._is_running = True
            try:
                with self._source.attach(lambda: self._in_context(self._typed)):
                    self._channel.write(_PASTE_ON)
                    ahead, self._ahead = self._ahead, []
                    self._source.put_back(ahead)
                    self._redraw()
                    return await self.future
            finally:
                self._end()
                await self.cancel_and_wait_for_background_tasks()

    def _begin(self) -> None:
        """Start with an empty line, above which are the lines that were typed before."""
        self.vi_state.reset()
        self.emacs_state.reset()
        self._processor.reset()
        self.quoted_insert = False
        self.search = self._told = None
        self._telling = False
        self._good.clear()
        before = self._lines()
        self.buffer.reset()
        self.buffer._working_lines.extendleft(reversed(before))  # noqa: SLF001 (else in a task)
        self.buffer.working_index = len(before)
        self._judged = None

    def _end(self) -> None:
        self.search = self._drawn = None
        self._painter.leave(self._frame(done=True))
        self._channel.write(_PASTE_OFF)
        self._is_running = False
        self._ahead = [*self._processor.empty_queue(), *self._source.all_keys()]
        for timer in (self._drawing, self._escaping, self._processor.waiting):
            if timer is not None:
                timer.cancel()
        self._drawing = self._escaping = self._processor.waiting = None
        self.loop = self.future = None
        # Nothing of the history is held while an order runs.
        self.buffer.reset()

    def _in_context(self, function: Callable[[], None]) -> None:
        if self.context is not None:
            self.context.run(function)

    def _typed(self) -> None:
        """Take keys that were typed."""
        if self.is_done or not self._is_running:
            return
        self._processor.feed_multiple(self._source.read_keys())
        self._processor.process_keys()
        if self._escaping is not None:
            self._escaping.cancel()
            self._escaping = None
        if self._source.closed:
            self._leave()
        elif self._source.unsure:
            loop = asyncio.get_running_loop()
            self._escaping = loop.call_later(_ESCAPE_AFTER, self._escape)

    def _leave(self) -> None:
        """End, unless what was typed last is a line, which is to be run first."""
        if not self.is_done:
            self.exit(exception=EOFError)

    def _escape(self) -> None:
        """Take an escape that nothing followed for the key of that name."""
        self._escaping = None
        if self._is_running and not self.is_done:
            self._processor.feed_multiple(self._source.flush_keys())
            self._processor.process_keys()

    def keep(self, ahead: list[KeyPress]) -> None:
        """Take keys that were pressed while an order ran for the next line."""
        self._ahead += ahead

    def drop(self) -> None:
        """Forget what was typed ahead."""
        self._ahead.clear()

    @property
    def is_awaited(self) -> bool:
        """Whether keys wait for the next line to begin."""
        return bool(self._ahead)

    def _accept(self, buffer: Buffer) -> bool:
        self.exit(result=buffer.text)
        # Keep the text until the line has been drawn for the last time.
        return True

    def _cut(self, buffer: Buffer) -> None:
        if len(buffer.text) > self._most:
            buffer.text = buffer.text[: self._most]
        # prompt_toolkit remembers every state of the line without bound.
        del buffer._undo_stack[:-_MOST_UNDO]  # noqa: SLF001

    # -- what our keys do ---------------------------------------------------------------------------------------------

    def complete(self) -> None:
        """Put in what all that may come next has in common, or go to the next entry of the menu."""
        buffer = self.buffer
        if buffer.complete_state is not None:
            buffer.complete_next()
            return
        typed, suggestions = self._offers(buffer.document.text_before_cursor)
        offered = [
            Completion(printable(one.text), start_position=-len(typed), display_meta=printable(one.says))
            for one in suggestions
        ]
        if not offered:
            # A key that does nothing would leave open whether there is nothing, or nobody there.
            if self.asks() and self._told != buffer.document:
                self.explain()
            return
        same = common([one.text for one in offered])
        end = buffer.document.is_cursor_at_the_end
        if len(same) >= len(typed):
            buffer.delete_before_cursor(len(typed))
            # What is whole is left behind; an attribute may follow the name of a device.
            if len(offered) == 1 and end:
                same += " "
                self._spaced = buffer.text + same
            buffer.insert_text(same)
            offered = [Completion(one.text, -len(same), display_meta=one.display_meta) for one in offered]
        if len(offered) > 1:
            buffer.complete_state = CompletionState(buffer.document, offered)

    def spaced(self) -> bool:
        """Return whether there is a space at the end already, which a completion has put there."""
        return bool(self._spaced) and self.buffer.text == self._spaced and self.buffer.document.is_cursor_at_the_end

    def take_space(self) -> None:
        """Take the space that is typed for the one that is there; the next one is another."""
        self._spaced = ""

    def asks(self) -> bool:
        """Return whether a `?` that is typed now asks what may come next."""
        return self.search is None and self._asks(self.buffer.document.text_before_cursor)

    def explain(self) -> None:
        """Tell above the line what may come next, once for all that was typed at once."""
        self._telling = True
        self.invalidate()

    def chosen(self) -> bool:
        """Return whether the line ends in an entry that was chosen from the menu."""
        state = self.buffer.complete_state
        return state is not None and state.complete_index is not None and self.buffer.document.is_cursor_at_the_end

    def part(self) -> None:
        """Begin another word behind the one that was chosen."""
        self.buffer.insert_text(" ")

    def close_menu(self) -> None:
        """Leave the menu, with the line as it was before."""
        self.buffer.cancel_completion()

    def clear(self) -> None:
        """Wipe the screen, but for the line."""
        self._painter.clear()
        self._drawn = None

    def find(self, *, older: bool) -> None:
        """Begin to search the history, or find the next older or newer line."""
        if self.search is None:
            self.search = Search(self.buffer.document)
            self.search.at = len(self._lines())
            return
        self._find(older=older)

    def narrow(self, text: str | None) -> None:
        """Search for more letters, or for one less."""
        search = self.search
        if search is None:
            return
        search.text = search.text[:-1] if text is None else (search.text + text)[: self._most]
        search.at = len(self._lines())
        self._find(older=True)

    def _find(self, *, older: bool) -> None:
        search, lines = self.search, self._lines()
        if search is None or not search.text:
            return
        places = range(min(search.at, len(lines)) - 1, -1, -1) if older else range(search.at + 1, len(lines))
        # The same line again is no other.
        found = next((at for at in places if search.text in lines[at] and lines[at] != self.buffer.text), None)
        if found is None:
            search.failed = search.text not in self.buffer.text
            return
        search.failed, search.at = False, found
        self.buffer.document = Document(lines[found], lines[found].find(search.text))

    def leave_search(self, *, keep: bool) -> None:
        """End the search, with what was found or with what was there before."""
        search, self.search = self.search, None
        if search is not None and not keep:
            self.buffer.document = search.before
        elif search is not None:
            self.buffer.cursor_position = len(self.buffer.text)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def invalidate(self) -> None:
        """Draw soon, once for all that happens until then."""
        if self._drawing is None and self._is_running and self.loop is not None:
            self._drawing = self.loop.call_soon(self._redraw, context=self.context)

    def _redraw(self, render_as_done: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (prompt_toolkit's own)
        self._drawing = None
        if not self._is_running or self.is_done:
            return
        if self._telling and self._channel.flows and not self._source.behind:
            self._telling, self._told = False, self.buffer.document
            self._painter.erase()
            self._drawn = None
            self._channel.write(self._explains(self._told.text_before_cursor))
        if not self._channel.flows:
            # Whoever reads slowly is shown how things are once they have caught up, and nothing of the way there.
            self._channel.resumed = self.invalidate
            return
        state, search = self.buffer.complete_state, self.search
        shown = (
            *(self.buffer.text, self.buffer.cursor_position, state, state and state.complete_index),
            *(search and (search.text, search.failed), self._channel.size),
        )
        if shown != self._drawn:
            self._painter.draw(self._frame())
            self._drawn = shown

    def resized(self) -> None:
        """Draw afresh in a window of another size."""
        if self._is_running:
            self._painter.erase()
            self._drawn = None
            self.invalidate()

    def interject(self, text: str) -> None:
        """Show text above the line."""
        if not self._is_running:
            self._channel.write(text)
            return
        self._painter.erase()
        self._drawn = None
        self._channel.write(text)
        self.invalidate()

    def _frame(self, *, done: bool = False) -> Frame:
        buffer, columns = self.buffer, self._channel.size[0]
        text, cursor = buffer.text, len(buffer.text) if done else buffer.cursor_position
        lead = self._prompt
        if self.search is not None:
            lead = ("search", f"({'nothing' if self.search.failed else 'search'}) {self.search.text}: ")
        pieces = [lead, *self._line(text, cursor, done=done)]
        frame = wrapped(pieces, len(lead[1]) + cursor, columns)
        if not done and buffer.complete_state is not None:
            frame.rows.extend(self._menu(buffer.complete_state, columns, self._channel.size[1] - 1))
        return frame

    def _line(self, text: str, cursor: int, *, done: bool) -> Sequence[Piece]:
        """Return the line in its tones, judged when it changes; behind it, dimmed, how it went on before."""
        at_end = cursor == len(text) and not done
        if self._judged != (text, cursor, at_end):
            if self._judged is None or self._judged[0] != text or self._judged[2] != at_end:
                self._pieces = _toned(text, self._judges(text, cursor if at_end else -1))
            self._judged = (text, cursor, at_end)
        if not at_end or self.search is not None or self.buffer.complete_state is not None:
            self.buffer.suggestion = None
            return self._pieces
        rest = self._ghost(text)
        self.buffer.suggestion = Ghost(rest) if rest else None
        return [*self._pieces, ("ghost", rest)]

    def _ghost(self, text: str) -> str:
        """Return how the newest line went on that began like this one."""
        if not text.strip():
            return ""
        begun = islice((line for line in reversed(self._lines()) if line.startswith(text)), _MOST_LOOKED)
        return next((line[len(text) :] for line in begun if self._is_good(line)), "")

    def _is_good(self, line: str) -> bool:
        """Return whether nothing is wrong with a line as the house is: nobody wants the same mistake again."""
        if line not in self._good:
            self._good[line] = all(tone.tone != "bad" for tone in self._judges(line, -1))
        return self._good[line]

    @staticmethod
    def _menu(state: CompletionState, columns: int, room: int) -> list[Row]:
        """Return the rows around the chosen entry of a menu, and how many there are besides."""
        entries, chosen = state.completions, state.complete_index
        most = max(1, min(_MENU, room))
        first = min(max(0, (chosen or 0) - most + 2), max(0, len(entries) - most))
        shown = entries[first : first + most]
        left = max(width(entry.text) for entry in shown)
        left = min(left, _MENU_COLUMNS, max(8, columns - 12))
        rows = []
        for at, entry in enumerate(shown, first):
            text = clipped(entry.text, left)
            says = clipped(entry.display_meta_text, max(0, columns - left - 5))
            more = len(entries) - first - most
            if at == first + most - 1 and more > 0:
                text, says = "…", f"{more + 1} more"
            pieces: list[Piece] = [("chosen" if at == chosen else "", f" {text}{' ' * (left - width(text))} ")]
            pieces.append(("says", f"  {says}" if says else ""))
            rows.append(wrapped(pieces, 0, columns).rows[0])
        return rows


def _toned(text: str, tones: Sequence[Tone]) -> list[Piece]:
    """Return text in pieces, each of one tone."""
    pieces: list[Piece] = []
    at = 0
    for tone in tones:
        pieces += [("", text[at : tone.start]), (tone.tone, text[tone.start : tone.end])]
        at = tone.end
    return [*pieces, ("", text[at:])]
