"""What a line editor shows: the line and what stands below it, drawn in the client's terminal by what has changed.

prompt_toolkit lays out windows and compares whole screens at every key, which is three quarters of what a key costs.
One line, its menu and the difference to what was shown before are all that a shell needs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from prompt_toolkit.utils import get_cwidth

from sshhome.channels import SessionChannel

#: Attributes and colours of what is shown (ECMA-48 §8.3.117), which light and dark backgrounds both show well: none is
#: ever the only sign of anything. The first is for terminals without colour.
TONES = {
    "": ("", ""),
    "prompt": ("1", "1"),
    "order": ("1", "1"),
    "device": ("", "36"),
    "value": ("", "35"),
    "option": ("", "35"),
    "bad": ("4", "4;31"),
    "ghost": ("2", "2"),
    "says": ("", "2"),
    "chosen": ("7", "7"),
    "search": ("", "36"),
    "good": ("", "32"),
    "active": ("1", "1"),
    "alert": ("1", "1;31"),
}
#: Where a text ends that is longer than the terminal is wide.
_CUT = "…"


class Cell(NamedTuple):
    """One cell of the screen; the second one of a wide character is empty."""

    tone: str
    text: str


#: Text of one tone.
Piece = tuple[str, str]
Row = list[Cell]


class Frame(NamedTuple):
    """What shall be on the screen: rows, and where the cursor stands."""

    rows: list[Row]
    x: int
    y: int


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(get_cwidth, text))


def clipped(text: str, columns: int) -> str:
    """Return a text that is at most so many columns wide."""
    if width(text) <= columns:
        return text
    kept, left = [], columns - 1
    for char in text:
        left -= get_cwidth(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + _CUT[: max(columns, 0)]


def wrapped(pieces: Sequence[Piece], cursor: int, columns: int) -> Frame:
    """Return text in rows of a terminal's width; the cursor stands before a character of it, or behind the last."""
    rows: list[Row] = [[]]
    place, at = None, 0
    for tone, text in pieces:
        simple = text.isascii() and text.isprintable()
        for char in text:
            shown = char if simple or (char >= " " and char != "\x7f") else f"^{chr(ord(char) ^ 64)}"
            wide = 1 if simple else get_cwidth(shown)
            if wide and len(rows[-1]) + wide > columns:
                rows.append([])
            if at == cursor:
                place = len(rows) - 1, len(rows[-1])
            at += 1
            if wide:
                rows[-1].append(Cell(tone, shown if len(shown) == 1 else shown[0]))
                rows[-1] += [Cell(tone, part) for part in shown[1:]] or [Cell(tone, "")] * (wide - 1)
            elif rows[-1]:
                # A combining character belongs to the one before it.
                lead = next(at for at in range(len(rows[-1]) - 1, -1, -1) if rows[-1][at].text)
                rows[-1][lead] = Cell(tone, rows[-1][lead].text + shown)
    if place is None:
        if len(rows[-1]) >= columns:
            rows.append([])
        place = len(rows) - 1, len(rows[-1])
    return Frame(rows, place[1], place[0])


class Painter:
    """Draws frames, each by its difference to the one before."""

    def __init__(self, channel: SessionChannel) -> None:
        """Draw on a channel."""
        self._channel = channel
        self._codes = {tone: codes[bool(channel.color)] for tone, codes in TONES.items()}
        self._rows: list[Row] = []
        self._x = self._y = 0

    def draw(self, frame: Frame) -> None:
        """Make the screen show a frame: where it is taller than the terminal, the part around the cursor."""
        rows, x, y = frame
        height = self._channel.size[1]
        if len(rows) > height:
            first = min(max(0, y - height + 1), len(rows) - height)
            rows, y = rows[first : first + height], y - first
        out: list[str] = []
        for at, row in enumerate(rows):
            self._draw_row(out, at, row)
        if len(self._rows) > len(rows):
            self._move(out, len(rows), 0)
            out.append("\x1b[J")
        self._rows = rows
        self._move(out, y, x)
        self._channel.write("".join(out))

    def _draw_row(self, out: list[str], y: int, row: Row) -> None:
        new = y >= len(self._rows)
        before = [] if new else self._rows[y]
        if row is before or row == before:
            if new:
                self._move(out, y, 0)
            return
        same = 0
        for old, cell in zip(before, row, strict=False):
            if old != cell:
                break
            same += 1
        while same and same < len(row) and not row[same].text:
            same -= 1
        self._move(out, y, same)
        code = ""
        for cell in row[same:]:
            if (wanted := self._codes[cell.tone]) != code:
                out.append(f"\x1b[;{wanted}m" if wanted else "\x1b[m")
                code = wanted
            out.append(cell.text)
        if code:
            out.append("\x1b[m")
        if len(before) > len(row):
            out.append("\x1b[K")
        self._y, self._x = y, len(row)

    def _move(self, out: list[str], y: int, x: int) -> None:
        """Move the cursor; below what was drawn there is nothing yet, so that it goes there line by line."""
        if (y, x) == (self._y, self._x) and x < self._channel.size[0]:
            return
        if y < self._y:
            out.append(f"\x1b[{self._y - y}A")
        elif y > self._y:
            out.append("\r\n" * (y - self._y))
            self._x = 0
        if y == self._y and x == self._x - 1 and self._x < self._channel.size[0]:
            out.append("\b")
        elif x != self._x or self._x >= self._channel.size[0]:
            out.append(f"\r\x1b[{x}C" if x else "\r")
        self._y, self._x = y, x

    def erase(self) -> None:
        """Wipe what was drawn, and begin where it began."""
        out: list[str] = []
        self._move(out, 0, 0)
        self._channel.write("".join(out) + "\x1b[J")
        self.forget()

    def leave(self, frame: Frame) -> None:
        """Draw a last frame, and go on below it."""
        self.draw(frame)
        out: list[str] = []
        self._move(out, len(self._rows) - 1, 0)
        self._channel.write("".join(out) + "\r\n")
        self.forget()

    def clear(self) -> None:
        """Wipe the whole screen."""
        self._channel.write("\x1b[H\x1b[2J")
        self.forget()

    def forget(self) -> None:
        """Begin where the cursor is, with nothing drawn."""
        self._rows, self._x, self._y = [], 0, 0
