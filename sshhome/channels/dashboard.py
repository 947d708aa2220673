"""The dashboard: the house on all of the screen, as it changes, and keys each of which gives an order.

What a key gives is a line, and takes the road of every other: it is judged, counted and audited as if it were typed.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping

from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from sshhome.channels import SessionChannel
from sshhome.channels.cards import Cards, Place, row
from sshhome.channels.painter import Frame, Painter, Row, clipped, width
from sshhome.channels.terminal import KeyInput
from sshhome.escape import printable
from sshhome.orders.dash import Board, Boards, Tile, cards
from sshhome.outcome import Outcome
from sshhome.render import Look, wrapped
from sshhome.session import Session

#: Seconds between two frames, and after which an escape that nothing followed is one.
_FRAME, _ESCAPE_AFTER = 0.1, 0.5
#: Lines that wait while one runs, rows of what is said at most, and characters of it.
_MOST_WAITING, _MOST_SAID, _LONGEST = 8, 3, 500
_LEAVE = frozenset({"q", "Q", Keys.Escape, Keys.ControlC, Keys.ControlD})
_MOVES: Mapping[str, str] = {
    Keys.Up: "up",
    Keys.Down: "down",
    Keys.Left: "left",
    Keys.Right: "right",
    "k": "up",
    "j": "down",
    "h": "left",
    "l": "right",
    Keys.Tab: "next",
    Keys.BackTab: "back",
    Keys.PageUp: "page up",
    Keys.PageDown: "page down",
    Keys.Home: "first",
    Keys.End: "last",
}
#: What operates a device; what unlocks takes the Shift key, so that nobody does it by the way.
_OPERATES: Mapping[str, str] = {
    " ": "toggle",
    Keys.Enter: "toggle",
    Keys.ControlJ: "toggle",
    "+": "more",
    "=": "more",
    "-": "less",
    "o": "open",
    "c": "close",
    "L": "lock",
    "U": "unlock",
}
_HELP = (
    ("arrows, hjkl", "another device"),
    ("Tab, Shift-Tab", "another room"),
    ("PgUp PgDn", "a screen further"),
    ("Space, Enter", "switch, close or lock"),
    ("+  -", "more, less"),
    ("o  c", "open, close"),
    ("L  U", "lock, unlock"),
    ("q, Esc, ^C", "leave"),
)
#: Columns of the keys among these.
_KEYS = 16


def drawn(channel: SessionChannel, outcome: Outcome) -> bool:
    """Return whether an order answers what a dashboard shows, to whom one can be drawn."""
    return isinstance(outcome.stream, Boards) and not outcome.json and channel.look.drawn


async def alone(channel: SessionChannel, session: Session, outcome: Outcome) -> int:
    """Show a dashboard in a session that has nothing else, and return its status."""
    source = KeyInput(channel, channel.dispatch.limits.order_line)
    dashboard = Dashboard(channel, session, source)
    notice, session.tell = channel.notice, dashboard.say
    channel.notice = dashboard.say
    channel.read_with(source.feed)
    try:
        return await dashboard.run(outcome)
    finally:
        channel.notice, session.tell = notice, None


class Dashboard:
    """What is on the screen, which device is chosen, and what was said last."""

    def __init__(self, channel: SessionChannel, session: Session, source: KeyInput) -> None:
        """Draw on a channel, and read keys."""
        #: Keys that were typed after the one that left.
        self.rest: list[KeyPress] = []
        self._channel = channel
        self._session = session
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._painter = Painter(channel)
        self._lines: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._left: asyncio.Future[None] = self._loop.create_future()
        self._running = False
        self._aside = False
        self._helps = False
        self._tiles: dict[str, Tile] = {}
        self._known = False
        self._cards: Cards | None = None
        self._chosen = ""
        self._place = Place(0, 0)
        self._slipped = False
        self._top = 0
        self._said: tuple[str, str] = ("", "")
        self._drawing: asyncio.TimerHandle | None = None
        self._drawn_at = 0.0
        self._escaping: asyncio.TimerHandle | None = None

    async def run(self, outcome: Outcome) -> int:
        """Show boards until somebody leaves; the screen is then as it was before."""
        channel = self._channel
        stream = outcome.stream
        assert isinstance(stream, Boards)  # noqa: S101 (nothing else is drawn)
        resized, channel.resized = channel.resized, self._resized
        self._running = True
        tasks = [asyncio.create_task(self._follow(stream)), asyncio.create_task(self._give())]
        try:
            with self._source.attach(self._typed):
                channel.take_screen()
                await asyncio.wait([*tasks, self._left], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._running = False
            channel.resized, channel.resumed = resized, lambda: None
            for timer in (self._drawing, self._escaping):
                if timer is not None:
                    timer.cancel()
            for task in tasks:
                task.cancel()
            channel.return_screen()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()
        return outcome.status

    async def _follow(self, stream: Boards) -> None:
        """Take boards as fast as they can be shown."""
        async with contextlib.aclosing(stream) as boards:
            async for board in boards:
                self._take(board)
                self._invalidate()
                await self._channel.drain()

    def _take(self, board: Board) -> None:
        new = [tile for card in board.cards for tile in card.tiles]
        self._tiles |= {tile.id: tile for tile in new}
        for id_ in board.gone:
            self._tiles.pop(id_, None)
        self._known = True
        if board.gone or self._cards is None or not all(map(self._cards.replace, new)):
            self._cards = None

    async def _give(self) -> None:
        """Give the lines that keys stand for, one after another, and say what comes of each."""
        while True:
            line = await self._lines.get()
            self.say(f"{line} …")
            async for outcome in self._channel.dispatch.run_line(self._session, line):
                out, error, _ = self._channel.rendered(outcome, Look())
                self.say(out + error, "alert" if error else "")
            if self._session.leaving:
                self._leave()

    def say(self, text: str, tone: str = "") -> None:
        """Say something at the bottom, until the next key."""
        self._said = (" ".join(text.split())[:_LONGEST], tone)
        self._invalidate()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the screen, from its last row on, to a question."""
        self._aside = True
        self._channel.write(f"\x1b[{self._channel.size[1]};1H\x1b[2K\x1b[?25h")
        try:
            yield
        finally:
            self._aside = False
            if self._running:
                self._channel.write("\x1b[?25l")
                self._resized()

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _typed(self) -> None:
        """Take keys that were typed."""
        if self._escaping is not None:
            self._escaping.cancel()
            self._escaping = None
        self._press(self._source.read_keys())
        if self._source.closed:
            self._leave()
        elif self._source.unsure:
            self._escaping = self._loop.call_later(_ESCAPE_AFTER, self._escape)

    def _escape(self) -> None:
        """Take an escape that nothing followed for the key of that name."""
        self._escaping = None
        self._press(self._source.flush_keys())

    def _press(self, presses: list[KeyPress]) -> None:
        for press in presses:
            if self._left.done():
                self.rest.append(press)
                continue
            self._said = ("", "")
            key = press.key
            if key is Keys.BracketedPaste:
                # A key that is held down comes in one piece over a slow line; a text that is pasted is no key.
                key = press.data[0] if len(set(press.data)) == 1 else ""
            helped, self._helps = self._helps, key == "?" and not self._helps
            if key in _LEAVE and not helped:
                self._leave()
            elif key in _MOVES:
                self._move(_MOVES[key])
            elif key in _OPERATES:
                self._operate(_OPERATES[key])
            elif key not in _LEAVE and len(key) == 1 and key.isprintable() and key != "?":
                self.say(f"no key {key}; ? tells which there are")
        if not self._left.done():
            self._invalidate()

    def _leave(self) -> None:
        if not self._left.done():
            self._left.set_result(None)

    def _move(self, way: str) -> None:
        board, place, page = self._arranged(), self._place, max(1, self._channel.size[1] - 2)
        if board is None or board.tile(place) is None:
            return
        match way:
            case "up" | "down":
                place = board.below(place, up=way == "up")
            case "left" | "right":
                place = board.nearest(Place(place.column + (1 if way == "right" else -1), place.row)) or place
            case "page up" | "page down":
                place = board.nearest(Place(place.column, place.row + (page if way == "page down" else -page))) or place
            case "first" | "last":
                place = board.nearest(Place(place.column, 0 if way == "first" else board.height)) or place
            case _:
                place = board.card(place, back=way == "back")
        tile = board.tile(place)
        if tile is not None:
            self._chosen, self._place = tile.id, place

    def _operate(self, what: str) -> None:
        tile = self._tile()
        if tile is None or self._slipped:
            return
        line = tile.orders.get(what)
        if line is None:
            can = _hints(tile)
            self.say(f"{tile.name}: {can}" if can else f"{tile.name} is only to be looked at")
        elif self._lines.full():
            self.say("too fast: some orders wait already", "alert")
        else:
            self._lines.put_nowait(line)

    def _tile(self) -> Tile | None:
        board = self._arranged()
        return board.tile(self._place) if board is not None else None

    # -- what is shown ------------------------------------------------------------------------------------------------

    def _invalidate(self) -> None:
        """Draw soon, some times a second at most."""
        if self._drawing is None and self._running:
            wait = self._drawn_at + _FRAME - self._loop.time()
            self._drawing = self._loop.call_later(max(0.0, wait), self._draw)

    def _resized(self) -> None:
        """Draw afresh."""
        if not self._aside:
            self._painter.clear()
            self._cards = None
            self._invalidate()

    def _draw(self) -> None:
        self._drawing = None
        if not self._running or self._aside:
            return
        if not self._channel.flows:
            # Whoever reads slowly is shown how things are once they have caught up, and nothing of the way there.
            self._channel.resumed = self._invalidate
            return
        board = self._arranged()
        if board is not None:
            self._drawn_at, self._slipped = self._loop.time(), False
            self._painter.draw(self._frame(board))

    def _arranged(self) -> Cards | None:
        """Return the cards as they are now; what was chosen stays so where it has gone, and if it is gone its place."""
        if not self._known:
            return None
        if self._cards is None:
            self._cards = Cards(cards(self._tiles.values()), self._channel.size[0])
            place = self._cards.find(self._chosen)
            if place is None:
                # Nobody meant the one that takes its place before they can see that.
                self._slipped = bool(self._chosen)
                place = self._cards.nearest(self._place)
            tile = self._cards.tile(place) if place is not None else None
            if place is not None and tile is not None:
                self._chosen, self._place = tile.id, place
        return self._cards

    def _frame(self, board: Cards) -> Frame:
        columns, height = self._channel.size
        bottom = self._bottom(board, columns)[: max(0, height - 1)]
        room = height - len(bottom)
        self._top = min(self._top, max(0, board.height - room), max(0, self._place.row - 1))
        self._top = max(self._top, self._place.row - room + 1)
        if self._helps:
            body = [
                row([("order", clipped(f"{keys:{_KEYS}}", columns)), ("", clipped(says, columns - _KEYS))], columns)
                for keys, says in _HELP
            ]
        elif not self._chosen or board.tile(self._place) is None:
            body = [row([("says", clipped("nothing to show", columns))], columns)]
        else:
            body = [board.row(y, self._chosen) for y in range(self._top, min(self._top + room, board.height))]
        rows: list[Row] = [*body[:room], *([] for _ in range(room - len(body))), *bottom]
        x = board.left(self._place.column)
        return Frame(rows, x, self._place.row - self._top)

    def _bottom(self, board: Cards, columns: int) -> list[Row]:
        """Return what was said last, or else what the keys do with the device that is chosen."""
        said, tone = self._said
        if said:
            lines = wrapped(said, Look(columns, wrap=True)).splitlines()[:_MOST_SAID]
            return [row([(tone, clipped(line, columns))], columns) for line in lines]
        tile = self._tile()
        hints = f"{tile.name}  {_hints(tile)}" if tile is not None else ""
        room = self._channel.size[1] - 1
        more = f"{'↑' if self._top else ''}{'↓' if board.height - self._top > room else ''}"
        end = f"  {more} ? keys  q leave".replace("   ", "  ")
        left = clipped(printable(hints), max(0, columns - width(end)))
        gap = " " * (columns - width(left) - width(end))
        return [row([("", left), ("says", clipped(gap + end, columns - width(left)))], columns)]


def _hints(tile: Tile) -> str:
    """Return which keys do what with a device: `Space toggle  + - dim`."""
    keys = {"toggle": "Space", "more": "+ -", "open": "o", "close": "c", "lock": "L", "unlock": "U"}
    return "  ".join(f"{key} {tile.orders[what].split()[0]}" for what, key in keys.items() if what in tile.orders)
