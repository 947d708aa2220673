"""The interactive shell: a prompt with completion, history and judgement, drawn in the client's terminal."""

import asyncio
from contextlib import nullcontext

from prompt_toolkit.application.current import create_app_session
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import DummyOutput

from sshhome.channels import SessionChannel
from sshhome.channels.dashboard import Dashboard, drawn
from sshhome.channels.editor import Editor
from sshhome.channels.prompt import Prompt
from sshhome.channels.terminal import KeyInput
from sshhome.channels.waiting import show_moving
from sshhome.complete import asks, complete
from sshhome.judge import judge
from sshhome.outcome import Outcome
from sshhome.session import Session


async def run(channel: SessionChannel, session: Session) -> int:
    """Greet, read orders until `exit` or ^D, and return the status of the last one."""
    shell = _Shell(channel, session)
    await shell.greet()
    return await shell.run()


class _Shell(Prompt):
    """The shell of a terminal that can move its cursor."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        super().__init__(channel, session)
        dispatch = channel.dispatch
        self._most = dispatch.limits.order_line
        self._input = KeyInput(channel, self._most)
        self._ahead: list[KeyPress] = []
        self._looking: asyncio.Task[None] | None = None
        self._dashboard: Dashboard | None = None
        with create_app_session(input=self._input, output=DummyOutput()):
            self._editor = Editor(
                channel,
                self._input,
                self.prompt,
                lines=lambda: self.lines,
                offers=lambda before: complete(dispatch, session, before),
                judges=lambda line, cursor: judge(dispatch, session, line, cursor),
                asks=lambda before: asks(dispatch, session, before),
                explains=self.explained,
            )
        channel.read_with(self.read)
        channel.interrupted = lambda: self.read("\x03")
        channel.resized = self._editor.resized

    def take(self, text: str | None) -> None:
        self._input.feed(text)

    def drop(self) -> None:
        self._ahead.clear()
        self._editor.drop()
        self._input.drop()

    def show(self, text: str) -> None:
        if self._dashboard is not None:
            self._dashboard.say(text)
        else:
            self._editor.interject(text)

    def interrupt(self) -> None:
        # ^C at a question of the dashboard ends just that.
        if self._dashboard is None:
            super().interrupt()

    async def ask(self, text: str, hidden: bool) -> str | None:  # noqa: FBT001 (the session's own signature)
        with self._dashboard.aside() if self._dashboard is not None else nullcontext():
            return await super().ask(text, hidden)

    async def deliver(self, outcome: Outcome) -> int:
        """Show what an order answers; a dashboard takes all keys, but for those that were typed before it was seen."""
        if not drawn(self.channel, outcome):
            return await super().deliver(outcome)
        self.drop()
        dashboard = self._dashboard = Dashboard(self.channel, self.session, self._input)
        try:
            return await dashboard.run(outcome)
        finally:
            self._dashboard = None
            self._ahead += dashboard.rest

    async def run(self) -> int:
        try:
            with create_app_session(input=self._input, output=DummyOutput()):
                if opening := self.opening():
                    await self._give_interruptibly(opening, typed=False)
                while not self.session.leaving:
                    vi = self.options.editing == "vi"
                    try:
                        line = await self._editor.read(EditingMode.VI if vi else EditingMode.EMACS)
                    except KeyboardInterrupt:
                        continue
                    except EOFError:
                        break
                    await self._give_interruptibly(line)
        finally:
            self._input.close()
        return self.status

    async def _give_interruptibly(self, line: str, *, typed: bool = True) -> None:
        """Run a line while reading keys: ^C interrupts, the others are kept for the next prompt.

        What moves on after its answer is shown until any key is typed.
        """
        self._ahead = []

        def keys() -> None:
            presses = self._input.read_keys()
            if self._looking is not None and (presses or self._input.closed):
                self._looking.cancel()
            for press in presses:
                if press.key == Keys.ControlC:
                    self._ahead.clear()
                    self.interrupt()
                elif len(self._ahead) < self._most:
                    self._ahead.append(press)

        with self._input.attach(keys):
            await self.give(line, typed=typed)
            ahead = self._ahead or self._editor.is_awaited or self._input.closed
            if self.moving and not (ahead or self.session.leaving):
                await self._look_on()
        self._editor.keep(self._ahead)

    async def _look_on(self) -> None:
        """Show what moves until it stands still, or somebody has seen enough."""
        looking = self._looking = asyncio.ensure_future(
            show_moving(self.channel, self.session, list(self.moving.values()))
        )
        try:
            await asyncio.wait([looking])
        finally:
            self._looking = None
            looking.cancel()
        if not looking.cancelled():
            looking.result()
