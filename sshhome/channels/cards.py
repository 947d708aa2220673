"""What a dashboard shows: rooms as cards, in as many columns as fit, and a row of cells for each thing in them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sshhome.channels.painter import Cell, Piece, Row, clipped, width, wrapped
from sshhome.escape import printable
from sshhome.orders.dash import Card, Tile, called
from sshhome.progress import bar

#: Columns that a card takes at least and at most, and between two of them.
_NARROW, _WIDE, _GAP = 38, 72, 2
#: Rows whose cells are kept, more than any terminal shows.
_MOST_MADE = 1000
#: Columns of a bar or sparkline at most.
_GAUGE = 12
_BARS = "▁▂▃▄▅▆▇█"
_TONES = {"dim": "says"}

#: A row of a column: the head of a card, one thing in it, or nothing.
Entry = Card | Tile | None


class Place(NamedTuple):
    """Where something stands: in which column, how far down."""

    column: int
    row: int


class Cards:
    """Cards side by side, and below each other where there is no room; each goes where there is the most."""

    def __init__(self, cards: Sequence[Card], columns: int) -> None:
        """Arrange them for a terminal so many columns wide."""
        count = max(1, min((columns + _GAP) // (_NARROW + _GAP), len(cards)))
        #: Columns of each card.
        self.width = min((columns - _GAP * (count - 1)) // count, _WIDE)
        self._columns: list[list[Entry]] = [[] for _ in range(count)]
        self._places: dict[str, Place] = {}
        self._heads: list[Place] = []
        #: Cells of rows that were made before, by what they are of.
        self._made: dict[str, Row] = {}
        for card in cards:
            at = min(range(count), key=lambda at: len(self._columns[at]))
            column = self._columns[at]
            column += [None, card] if column else [card]
            self._heads.append(Place(at, len(column)))
            for tile in card.tiles:
                self._places[tile.id] = Place(at, len(column))
                column.append(tile)

    def replace(self, tile: Tile) -> bool:
        """Take a device as it is now, unless it belongs elsewhere: then all is to be arranged anew."""
        place = self._places.get(tile.id)
        before = self.tile(place) if place is not None else None
        if place is None or before is None or before.device["room"] != tile.device["room"]:
            return False
        self._columns[place.column][place.row] = tile
        self._made.pop(tile.id, None)
        return True

    @property
    def height(self) -> int:
        """How many rows they take."""
        return max(map(len, self._columns))

    def find(self, id_: str) -> Place | None:
        """Return where a device is."""
        return self._places.get(id_)

    def tile(self, place: Place) -> Tile | None:
        """Return what is somewhere, if it is a device."""
        if not (0 <= place.column < len(self._columns) and 0 <= place.row < len(self._columns[place.column])):
            return None
        entry = self._columns[place.column][place.row]
        return entry if isinstance(entry, Tile) else None

    def nearest(self, place: Place) -> Place | None:
        """Return the place of the device that is nearest in the same column, or else the first one."""
        column = min(max(place.column, 0), len(self._columns) - 1)
        rows = [row for row, entry in enumerate(self._columns[column]) if isinstance(entry, Tile)]
        if rows:
            return Place(column, min(rows, key=lambda row: abs(row - place.row)))
        return next(iter(self._places.values()), None)

    def below(self, place: Place, *, up: bool = False) -> Place:
        """Return the place of the next device down or up, or the same one."""
        column = self._columns[place.column]
        rows = range(place.row - 1, -1, -1) if up else range(place.row + 1, len(column))
        return next((Place(place.column, row) for row in rows if isinstance(column[row], Tile)), place)

    def card(self, place: Place, *, back: bool = False) -> Place:
        """Return the first place of the next card, or of the one before; behind the last comes the first."""
        at = max((at for at, head in enumerate(self._heads) if head.column == place.column and head.row <= place.row))
        return self._heads[(at + (-1 if back else 1)) % len(self._heads)]

    def left(self, column: int) -> int:
        """Return how many columns of the terminal are left of a card."""
        return column * (self.width + _GAP)

    def row(self, y: int, chosen: str) -> Row:
        """Return the cells of a row, with a mark before the device that is chosen."""
        cells: Row = []
        for at, column in enumerate(self._columns):
            entry = column[y] if y < len(column) else None
            if entry is not None:
                cells += [Cell("", " ")] * (self.left(at) - len(cells))
                cells += self._cells(entry, chosen)
        return cells

    def _cells(self, entry: Card | Tile, chosen: str) -> Row:
        if isinstance(entry, Tile) and entry.id == chosen:
            pieces = list(self._told(entry))
            return row(
                [("chosen", f">{text[1:]}" if at == 0 else text) for at, (_, text) in enumerate(pieces)], self.width
            )
        # No device is named like this.
        key = entry.id if isinstance(entry, Tile) else f"@{entry.room}"
        if key not in self._made:
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            self._made[key] = row(list(self._told(entry) if isinstance(entry, Tile) else self._head(entry)), self.width)
        return self._made[key]

    def _head(self, card: Card) -> Iterator[Piece]:
        name = clipped(printable(called(card)), self.width - 4)
        yield from (("says", "── "), ("order", name), ("says", f" {'─' * (self.width - width(name) - 4)}"))

    def _told(self, tile: Tile) -> Iterator[Piece]:
        """Yield what is told of a device: its name, how it is, and where there is one a bar or a sparkline."""
        told, across = printable(tile.said), min(self.width // 6, _GAUGE)
        gauge = bar(tile.level, across) if tile.level is not None else spark(tile.recent, across)
        named = (self.width - 2) * 2 // 5
        room = self.width - 2 - named - 1
        if width(told) + 1 + across > room:
            # Words say more.
            gauge = ""
        room -= across + 1 if gauge else 0
        said, name = clipped(told, room), clipped(printable(_in_room(tile)), named)
        yield "", f"  {name}{' ' * (named - width(name))} "
        yield _TONES.get(tile.tone, tile.tone), said
        yield "", " " * (room - width(said))
        if gauge:
            yield "value", f" {gauge}"


def row(pieces: Sequence[Piece], columns: int) -> Row:
    """Return the cells of text that fits into one row."""
    return wrapped(pieces, 0, max(columns, 1)).rows[0]


def _in_room(tile: Tile) -> str:
    """Return what a device is called on the card of its room, whose name need not be said again."""
    room = str(tile.device["room"]).replace("_", " ").lower()
    for lead in (f"{room} room", room) if room else ():
        if tile.name.lower() == lead:
            break
        if tile.name.lower().startswith(f"{lead} "):
            return tile.name[len(lead) + 1 :].lstrip() or tile.name
    return tile.name


def spark(points: Sequence[float | None], columns: int) -> str:
    """Return a line that is high where a value was high; nothing if it never was known."""
    known = [point for point in points if point is not None]
    if not known or columns < 1:
        return ""
    low, high = min(known), max(known)
    shown = []
    for at in range(columns):
        first = at * len(points) // columns
        part = points[first : max((at + 1) * len(points) // columns, first + 1)]
        there = [point for point in part if point is not None]
        mean = sum(there) / len(there) if there else None
        # What does not change at all runs through the middle.
        height = 3 if high <= low else round(((mean or 0) - low) / (high - low) * (len(_BARS) - 1))
        shown.append(" " if mean is None else _BARS[min(max(height, 0), len(_BARS) - 1)])
    return "".join(shown)
