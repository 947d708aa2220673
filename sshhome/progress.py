"""How far something has come, as a row of a terminal: what it is, a bar, and a few words."""

import msgspec

#: Characters of a bar at its longest, and at its shortest, and one that is full to so many eighths.
_LONGEST, _SHORTEST, _EIGHTHS = 20, 4, ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


class Count(msgspec.Struct, frozen=True):
    """How many calls of an order have ended, of how many, as a line of JSON."""

    order: str
    done: int
    of: int


class Progress(msgspec.Struct, eq=False):
    """How many calls of an order have ended, of how many, and whether that is to be told in JSON."""

    order: str
    of: int
    done: int = 0
    json: bool = False

    @property
    def count(self) -> Count:
        """What there is to tell now."""
        return Count(self.order, self.done, self.of)

    def row(self, columns: int) -> str:
        """Return it as a row, or nothing once all have ended."""
        if self.done >= self.of:
            return ""
        return row(self.order, self.done / self.of, f"{self.done} of {self.of}", columns)


def bar(share: float, cells: int) -> str:
    """Return a bar that is full to a share of 0 to 1, in eighths of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    whole, part = divmod(eighths, 8)
    return f"{'█' * whole}{_EIGHTHS[part]}".ljust(cells, "░")


def row(label: str, share: float | None, said: str, columns: int) -> str:
    """Return a row that leaves the last column free, with a bar if there is a share, and room for one.

    Label and words are ASCII; in a narrow terminal the label is cut.
    """
    room = columns - 2 - len(said)
    if len(label) > room:
        label = f"{label[: max(room - 1, 0)]}…"
    cells = min(_LONGEST, room - len(label) - 1)
    drawn = f" {bar(share, cells)}" if share is not None and cells >= _SHORTEST else ""
    return f"{label}{drawn} {said}"[: columns - 1]
