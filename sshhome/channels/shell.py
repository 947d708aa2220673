"""The interactive shell: a prompt with completion and history, drawn by prompt_toolkit in the client's terminal."""

import contextvars
from collections.abc import Iterable
from functools import cache

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import create_app_session, get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, CompletionsMenu, Dimension, Float, FloatContainer, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from sshhome.channels import SessionChannel
from sshhome.channels.prompt import Prompt
from sshhome.channels.terminal import ChannelOutput, KeyInput
from sshhome.complete import complete
from sshhome.escape import printable
from sshhome.session import Session

_STYLE = Style.from_dict({"prompt": "bold", "completion-menu.meta": "italic"})
_DEPTHS = {"": ColorDepth.DEPTH_1_BIT, "standard": ColorDepth.DEPTH_4_BIT, "truecolor": ColorDepth.DEPTH_24_BIT}
#: Lines of history kept for each user while the server runs.
_MOST_HISTORY = 1000
#: States of a line kept for undo.
_MOST_UNDO = 100
#: Rows of the completion menu.
_MENU = 8
_history: dict[str, "_History"] = {}


async def run(channel: SessionChannel, session: Session) -> int:
    """Greet, read orders until `exit` or ^D, and return the status of the last one."""
    shell = _Shell(channel, session)
    await shell.greet()
    return await shell.run()


class _History(InMemoryHistory):
    """The lines of one user, the latest ones, while the server runs."""

    def append_string(self, string: str) -> None:
        """Keep a line, and forget the oldest beyond the bound."""
        super().append_string(string)
        del self._storage[:-_MOST_HISTORY]
        del self._loaded_strings[_MOST_HISTORY:]


class _Shell(Prompt):
    """The shell of a terminal that can move its cursor."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        super().__init__(channel, session)
        self._most = channel.dispatch.limits.order_line
        self._input = KeyInput(channel, self._most)
        self._ahead: list[KeyPress] = []
        channel.read_with(self.read)
        channel.interrupted = lambda: self.read("\x03")

    def take(self, text: str | None) -> None:
        self._input.feed(text)

    def drop(self) -> None:
        self._ahead.clear()
        self._input.drop()

    async def run(self) -> int:
        try:
            with create_app_session(input=self._input, output=ChannelOutput(self.channel)):
                application = self._application()
                context = contextvars.copy_context()
                self.channel.notice = lambda line: self._notice(application, context, line)
                self.channel.resized = application._on_resize  # noqa: SLF001 (what its own SIGWINCH handler calls)
                while not self.session.leaving:
                    self._buffer.reset()
                    try:
                        line = await application.run_async(handle_sigint=False, set_exception_handler=False)
                    except KeyboardInterrupt:
                        continue
                    except EOFError:
                        break
                    await self._give_interruptibly(line)
        finally:
            self._input.close()
            self._input.forget()
        return self.status

    def _application(self) -> Application[str]:
        """Return the prompt: one window and a menu, which costs half of a stock PromptSession."""
        user = self.session.login.user
        history = _history.setdefault(user, _History())
        buffer = Buffer(
            completer=_OrderCompleter(self.channel, self.session),
            history=history,
            multiline=False,
            accept_handler=self._accept,
        )
        buffer.on_text_changed += self._cut
        self._buffer = buffer
        control = BufferControl(buffer, input_processors=[BeforeInput(self.prompt, style="class:prompt")])

        def height() -> Dimension:
            """Ask for room below the line while there is a menu to show."""
            menu_shows = buffer.complete_state is not None and not get_app().is_done
            return Dimension(min=_MENU + 1 if menu_shows else 1)

        window = Window(control, height=height, wrap_lines=True, dont_extend_height=True)
        menu = Float(CompletionsMenu(max_height=_MENU, scroll_offset=1), xcursor=True, ycursor=True)
        return Application(
            layout=Layout(FloatContainer(window, [menu])),
            key_bindings=_keys(),
            style=_STYLE,
            include_default_pygments_style=False,
            color_depth=_DEPTHS.get(self.channel.color, ColorDepth.DEPTH_8_BIT),
            terminal_size_polling_interval=None,
        )

    def _notice(self, application: Application[str], context: contextvars.Context, line: str) -> None:
        """Show a line above what is half typed."""

        def write() -> None:
            self.channel.write(f"{line}\n")

        if self.question is not None:
            self.question.interject(line)
        elif application.is_running:
            context.run(run_in_terminal, write)
        else:
            write()

    def _accept(self, buffer: Buffer) -> bool:
        get_app().exit(result=buffer.text)
        # Keep the text until the prompt has been drawn for the last time; `run` empties it.
        return True

    def _cut(self, buffer: Buffer) -> None:
        if len(buffer.text) > self._most:
            buffer.text = buffer.text[: self._most]
        # prompt_toolkit remembers every state of the line without bound.
        del buffer._undo_stack[:-_MOST_UNDO]  # noqa: SLF001

    async def _give_interruptibly(self, line: str) -> None:
        """Run a line while reading keys: ^C interrupts, the others are kept for the next prompt."""
        self._ahead = []

        def keys() -> None:
            for press in self._input.read_keys():
                if press.key == Keys.ControlC:
                    self._ahead.clear()
                    self.interrupt()
                elif len(self._ahead) < self._most:
                    self._ahead.append(press)

        with self._input.attach(keys):
            await self.give(line)
        self._input.keep(self._ahead)


class _OrderCompleter(Completer):
    """Offers what this user could give next, with what it is beside it."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        self._dispatch = channel.dispatch
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield completions of the word before the cursor."""
        typed, suggestions = complete(self._dispatch, self._session, document.text_before_cursor)
        for suggestion in suggestions:
            meta = printable(suggestion.says)
            yield Completion(printable(suggestion.text), start_position=-len(typed), display_meta=meta)


@cache
def _keys() -> KeyBindings:
    """Return the keys that are ours, one set for all shells."""
    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.delete()
        else:
            event.app.exit(exception=EOFError, style="class:exiting")

    @keys.add("c-l")
    def _(event: KeyPressEvent) -> None:
        event.app.renderer.clear()

    # A repeat count would let one key press insert gigabytes, and a recorded macro grow without end.
    for nothing in (*(("escape", digit) for digit in "0123456789-"), ("c-x", "(")):
        keys.add(*nothing)(lambda _: None)

    @keys.add(Keys.BracketedPaste)
    def _(event: KeyPressEvent) -> None:
        # A pasted newline separates orders, as `;` does: nothing runs before Enter.
        lines = event.data.replace("\r", "\n").split("\n")
        one = lines[0] if len(lines) == 1 else "; ".join(line.strip() for line in lines if line.strip())
        event.current_buffer.insert_text(one)

    return keys
