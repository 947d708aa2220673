"""Take the pictures of `docs/screens/`: real sessions of the OpenSSH client at a house that has lived for two days.

`make screenshots` runs it. The house has a clock of its own, so that the pictures of tomorrow show the same day.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import struct
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyte

from sshhome import app
from sshhome.backends import simulated
from sshhome.clock import Clock
from sshhome.hostkey import make_key

FOLDER = Path(__file__).parent / "screens"
ZONE = ZoneInfo("Europe/Berlin")
BEGIN, END = datetime(2026, 6, 4, tzinfo=ZONE), datetime(2026, 6, 5, 18, 40, tzinfo=ZONE)
#: Seconds of the house that one tick lets pass, and what a tick takes.
STEP, TICK = 300.0, 0.01
#: Who has been doing what when, so that there is something to look back at.
LIVED = {
    "2026-06-04 19:30": "on living; dim reading 60; on tv",
    "2026-06-04 23:10": "off all; lock all",
    "2026-06-05 06:50": "on kitchen; on coffee; unlock front_door",
    "2026-06-05 07:40": "off all; lock front_door",
}
#: Columns and rows of the terminal, and seconds that anything may take.
SIZE, PATIENCE = (80, 24), 20.0


class HouseClock(Clock):
    """A clock that begins where the house does, and may be moved on."""

    def __init__(self) -> None:
        """Begin."""
        self._moved = 0.0
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the time of the house."""
        return BEGIN.timestamp() + self.monotonic()

    def monotonic(self) -> float:
        """Return what has passed in the house."""
        return self._moved + time.monotonic() - self._began

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._moved += seconds


class Stage(NamedTuple):
    """A house that is served, and how to get in."""

    site: Path
    port: str
    clock: HouseClock

    def ssh(self, *words: str) -> Sequence[str]:
        """Return the command that logs in as `home`."""
        options = ["-F", "none", "-p", self.port, "-i", str(self.site / "keys" / "home"), "-o", "LogLevel=ERROR"]
        options += ["-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=accept-new"]
        return ["ssh", *options, "-o", f"UserKnownHostsFile={self.site}/known_hosts", "home@127.0.0.1", *words]

    async def give(self, line: str) -> None:
        """Give orders."""
        process = await asyncio.create_subprocess_exec(*self.ssh(line), stdout=asyncio.subprocess.DEVNULL)
        await process.wait()


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Serve a throw-away house, and let two days pass in it."""
    with tempfile.TemporaryDirectory(prefix="sshhome-screens-") as folder:
        path, clock = Path(folder), HouseClock()
        key = make_key(path / "keys" / "home", "home@demo").export_public_key("openssh").decode().strip()
        (path / "sshhome.toml").write_text(f'[house]\ntimezone = "{ZONE}"\n')
        site = app.Site(path)
        app.add_user(site.users, "home", ["admin"], [key], "")
        site.bootstrap()
        simulated.MOVE_EVERY = TICK
        async with app.running(site, ["127.0.0.1:0"], clock) as running:
            served = Stage(path, running.addresses[0].rpartition(":")[2], clock)
            lived = {datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp(): line for at, line in LIVED.items()}
            while clock.now() < END.timestamp():
                clock.move(STEP)
                await asyncio.sleep(2 * TICK)
                for at in [at for at in lived if at <= clock.now()]:
                    await served.give(lived.pop(at))
            yield served


# -- a terminal -------------------------------------------------------------------------------------------------------


class Screen(pyte.Screen):
    """A terminal's screen that knows dim text, too, which pyte leaves out."""

    def select_graphic_rendition(self, *attrs: int) -> None:
        """Take attributes; what is dim has a colour of that name."""
        super().select_graphic_rendition(*attrs)
        if 2 in attrs and not {38, 48} & set(attrs):
            self.cursor.attrs = self.cursor.attrs._replace(fg="dim")


class Terminal:
    """The OpenSSH client in a terminal."""

    def __init__(self, descriptor: int) -> None:
        """Read what the client shows."""
        self.screen = Screen(*SIZE)
        self._stream = pyte.ByteStream(self.screen)
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, stage: Stage) -> AsyncIterator["Terminal"]:
        """Log in, and wait for the prompt."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        process = await asyncio.create_subprocess_exec(
            *stage.ssh(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(stage.site), "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        )
        os.close(theirs)
        terminal = cls(ours)
        try:
            await terminal.shows(lambda: terminal.last == "home@house>")
            yield terminal
        finally:
            asyncio.get_running_loop().remove_reader(ours)
            process.terminate()
            await process.wait()
            os.close(ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.feed(os.read(self._descriptor, 65536))

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return next((line.rstrip() for line in reversed(self.screen.display) if line.strip()), "")

    async def shows(self, condition: Callable[[], object]) -> None:
        """Wait until the screen fulfils a condition."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise SystemExit("\n".join(("the screen never showed what it should:", *self.screen.display))) from None

    async def type(self, text: str, shows: str) -> None:
        """Press keys one after another, as people do, and wait until the screen shows a text."""
        for char in text:
            os.write(self._descriptor, char.encode())
            await asyncio.sleep(0.05)
        await self.shows(lambda: any(shows in line for line in self.screen.display))

    async def give(self, line: str) -> None:
        """Type a line, press Enter, and wait for the next prompt."""
        await self.type(line, line)
        await self.type("\r", "")
        await self.shows(lambda: self.last == "home@house>")


# -- pictures ---------------------------------------------------------------------------------------------------------

#: Pixels of a character, and of what is around the text.
WIDE, HIGH, EDGE, HEAD = 8.4, 17, 14, 30
#: Colours that one reads on their own ground, whatever page that is on.
GROUND, TEXT, FRAME = "#1b1f27", "#d7dae0", "#3a404c"
COLORS = {
    "default": TEXT,
    "dim": "#8b919d",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#f2cc60",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
}


class Style(NamedTuple):
    """How a cell looks."""

    color: str
    ground: str
    bold: bool
    underlined: bool


def rows(screen: pyte.Screen) -> Sequence[Sequence[tuple[str, Style]]]:
    """Return the rows of a screen down to the last that is not empty, with the cursor in its place."""
    last = max(y for y, line in enumerate(screen.display) if line.strip())
    found = []
    for y in range(max(last, screen.cursor.y) + 1):
        row = []
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            color = COLORS.get(cell.fg, TEXT)
            at = (x, y) == (screen.cursor.x, screen.cursor.y) and not screen.cursor.hidden
            turned = cell.reverse or at
            style = Style(*((GROUND, color) if turned else (color, "")), cell.bold, cell.underscore)
            row.append((cell.data, style))
        found.append(row)
    return found


def _runs(row: Sequence[tuple[str, Style]]) -> Iterator[tuple[int, int, str, Style]]:
    """Yield the stretches of one style of a row: where they begin, how many cells, what they say."""
    at = 0
    for style, cells in groupby(row, key=lambda cell: cell[1]):
        texts = [text for text, _ in cells]
        yield at, len(texts), "".join(texts), style
        at += len(texts)


def svg(screen: pyte.Screen, title: str) -> str:
    """Return a screen as a picture that needs nothing from anywhere, a font of the reader's included."""
    shown = rows(screen)
    wide, high = screen.columns * WIDE + 2 * EDGE, len(shown) * HIGH + HEAD + EDGE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" width="{wide:g}" height="{high:g}">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}</style>",
        f'<rect x=".5" y=".5" width="{wide - 1:g}" height="{high - 1:g}" rx="8" fill="{GROUND}" stroke="{FRAME}"/>',
        *(f'<circle cx="{EDGE + 5 + 16 * dot}" cy="15" r="4.5" fill="{FRAME}"/>' for dot in range(3)),
        f'<text x="{wide / 2:g}" y="19" text-anchor="middle" fill="{COLORS["dim"]}">{escape(title)}</text>',
    ]
    for y, row in enumerate(shown):
        top = HEAD + y * HIGH
        for x, cells, text, style in _runs(row):
            left, length = EDGE + x * WIDE, cells * WIDE
            if style.ground:
                box = f'x="{left:.1f}" y="{top}" width="{length:.1f}" height="{HIGH}"'
                out.append(f'<rect {box} fill="{style.ground}"/>')
            more = ' font-weight="bold"' if style.bold else ""
            more += ' text-decoration="underline"' if style.underlined else ""
            # Where there is room it is left out: not every reader keeps spaces, or an empty braille cell.
            for words in re.finditer(r"[^ \u2800]+(?: [^ \u2800]+)*", text):
                place = f'x="{left + words.start() * WIDE:.1f}" y="{top + 13}"'
                fit = f'textLength="{len(words[0]) * WIDE:.1f}" lengthAdjust="spacingAndGlyphs"'
                out.append(f'<text {place} {fit} fill="{style.color}"{more}>{escape(words[0])}</text>')
    return "\n".join((*out, "</svg>", ""))


# -- what is shown ----------------------------------------------------------------------------------------------------


async def take_completion(terminal: Terminal) -> None:
    """Open a menu with what each entry is, behind an order that is done."""
    await terminal.give("dim kitchen 30")
    await terminal.type("dim \t\t\t", "dim kitchen")


async def take_question(terminal: Terminal) -> None:
    """Ask on an empty line, and behind an order."""
    await terminal.type("?", "run the server")
    await terminal.type("dim desk ?", "<Enter>")


async def take_show(terminal: Terminal) -> None:
    """Look at the house in the evening, and at one room of it."""
    await terminal.give("on living; dim reading 40; on tv; unlock side_door")
    await terminal.type("\x0c", "")
    await terminal.give("show")
    await terminal.give("show living")


async def take_history(terminal: Terminal) -> None:
    """Plot the temperature since yesterday, and ask why a door is open."""
    await terminal.type("\x0c", "")
    await terminal.give("history outdoor_temperature --since yesterday")
    await terminal.give("why side_door")


async def take_dash(terminal: Terminal) -> None:
    """Show the house live, a lamp of it chosen."""
    await terminal.type("dash\r", "q leave")
    await terminal.type("l", "Kitchen  Space toggle")


TAKEN = {
    "completion": take_completion,
    "question": take_question,
    "show": take_show,
    "history": take_history,
    "dash": take_dash,
}


async def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    async with stage() as house:
        for name, take in TAKEN.items():
            async with Terminal.open(house) as terminal:
                await take(terminal)
                await asyncio.sleep(0.5)
                (FOLDER / f"{name}.svg").write_text(svg(terminal.screen, "ssh home@house"), encoding="utf-8")
            sys.stdout.write(f"docs/screens/{name}.svg\n")


if __name__ == "__main__":
    if shutil.which("ssh") is None:
        raise SystemExit("the OpenSSH client is not installed")
    asyncio.run(main())
