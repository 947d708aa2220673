"""What may come next, laid out in a terminal: each with what it is, or names alone where there is no room for that."""

from collections.abc import Iterable

from msgspec.structs import replace
from rich.cells import cell_len as width

from sshhome.complete import Expected
from sshhome.escape import printable
from sshhome.param import Suggestion
from sshhome.render import Look, wrapped

#: Columns that names may take at least, however narrow the terminal is.
_NAMES = 12


def laid_out(expected: Expected, look: Look, rows: int) -> str:
    """Return lines that leave one row of the screen for the prompt; what goes off it would be what was looked for."""
    inset = "  " if expected.seat else ""
    values = [replace(value, text=f"{inset}{value.text}") for value in expected.values]
    told = [*expected.seat, *values, *expected.ends]
    lines = _lines(told, _names(told, look), look)
    if len(lines) < rows:
        return "".join(lines)
    brief = [replace(one, text=f"{inset}{one.text}") for one in expected.brief]
    names = _names([*expected.seat, *brief, *expected.ends], look)
    before, between, after = (_lines(some, names, look) for some in (expected.seat, brief, expected.ends))
    room = max(rows - 1 - len(before) - len(after), 1)
    if len(between) > room:
        between = [*between[: room - 1], wrapped(f"  {inset}… and more: begin one, and ask again", look)]
    return "".join([*before, *between, *after])


def _names(told: Iterable[Suggestion], look: Look) -> int:
    """Return how many columns the names take."""
    return min(max((width(printable(one.text)) for one in told), default=0), max(_NAMES, look.columns // 3))


def _lines(told: Iterable[Suggestion], names: int, look: Look) -> list[str]:
    """Return each name with what it is beside it, in as many lines as that takes."""
    lines = []
    for one in told:
        text = printable(one.text)
        # What has no name of its own is names.
        left, beside = (names, "  ") if text.strip() else (len(text), "")
        told_in = replace(look, columns=max(look.columns - left - len(beside) - 2, _NAMES))
        says = wrapped(one.says, told_in).splitlines() if one.says else []
        if width(text) > left:
            lines.append(f"  {text}\n")
            text = ""
        elif not says:
            lines.append(f"  {text}\n")
        for line in says:
            lines.append(f"  {text}{' ' * (left - width(text))}{beside}{line}\n")
            text = ""
    return lines
