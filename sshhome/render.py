"""An outcome becomes what the client reads: a sentence, a table, or JSON; errors go to standard error."""

import io
from typing import Any

import msgspec

from sshhome import plot
from sshhome.device import Device
from sshhome.errors import NotConfirmed, SshhomeError
from sshhome.escape import encoded, printable, printable_json
from sshhome.form import human, plain
from sshhome.order import Cell, Plot, Table
from sshhome.outcome import Answer, DryRun, Filtered, Outcome
from sshhome.progress import bar

#: Narrower than this a wrapped column is no pleasure to read.
_WRAPPED = 14
#: Characters of a bar.
_BAR = 8
_TONES = {"good": "green", "active": "bold magenta", "alert": "bold red", "dim": "dim"}


class Look(msgspec.Struct, frozen=True):
    """What the client's terminal can show; `color` is rich's colour system, empty for none.

    With `wrap`, sentences break between words; what a script reads never breaks. `drawn` is whether it can show bars
    and plots, which say nothing to whoever has the screen read out.
    """

    columns: int = 80
    color: str = ""
    wrap: bool = False
    drawn: bool = False


def render(outcome: Outcome, look: Look) -> tuple[str, str]:
    """Return what goes to standard output and to standard error, each empty or ending in a newline."""
    if outcome.json:
        return _json(outcome)
    out = "".join(_human(outcome, answer, look) for answer in outcome.answers)
    error = outcome.error
    if error is not None:
        prefix = "" if isinstance(error, NotConfirmed) else "error: "
        hint = f" ({error.hint})" if error.hint else ""
        return out, wrapped(printable(f"{prefix}{error.message}{hint}"), look)
    return out, wrapped(printable(left_out(outcome)), look) if outcome.left_out else ""


def wrapped(text: str, look: Look) -> str:
    """Return text as harmless lines, each ending in a newline."""
    lines = [printable(line) for line in text.split("\n")]
    if look.wrap:
        lines = [part for line in lines for part in _broken(line, look.columns)]
    return "".join(f"{line}\n" for line in lines)


def _broken(line: str, columns: int) -> list[str]:
    """Return a line broken between words where it is wider than the terminal, by cells and not by characters."""
    if line.isascii() and len(line) <= columns:
        return [line]
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415 (with the tables, below)

    parts = Text(line).wrap(Console(width=columns), columns)
    return [part.plain.rstrip() for part in parts]


def _human(outcome: Outcome, answer: Answer, look: Look) -> str:
    text = human(outcome, answer)
    if isinstance(text, Plot) and not isinstance(answer.value, Filtered):
        return _plot(text, look)
    if isinstance(text, Table):
        return table(text, look)
    return wrapped(text, look) if text else ""


def _plot(content: Plot, look: Look) -> str:
    """Return a plot, or where it cannot be drawn or there is nothing to draw the table of it."""
    if not content.rows:
        return table(content, look)
    if look.drawn and plot.fits(look.columns):
        shown = "".join(f"{printable(line)}\n" for line in plot.draw(content.chart, look.columns))
    else:
        shown = table(content, look)
    return f"{wrapped(content.title, look)}{shown}{wrapped(content.foot, look)}"


def left_out(outcome: Outcome) -> str:
    """Return in words which devices an order left out, and why."""
    named = ", ".join(f"{label} ({_why(error)})" for label, error in outcome.left_out)
    return f"left out: {named}"


def _why(error: SshhomeError) -> str:
    match error.code:
        case "denied":
            return error.message.partition(": ")[2] or "not permitted"
        case "not_confirmed" | "unavailable":
            return error.code.replace("_", " ")
    return error.message


def _json(outcome: Outcome) -> tuple[str, str]:
    """Return the result alone as one line of JSON, and any error as another on standard error."""
    error = ""
    if outcome.error is not None:
        return "", _dump(outcome.error.as_json())
    if outcome.left_out:
        worst = next(error for _, error in outcome.left_out if error.status == outcome.status)
        told = {"code": worst.code, "message": left_out(outcome), "hint": worst.hint}
        error = _dump({"error": told})
    values = [answer.value for answer in outcome.answers]
    if outcome.several and all(isinstance(value, Device | DryRun) for value in values):
        return _dump(values), error
    return "".join(_dump(value) for value in values), error


def _dump(value: Any) -> str:  # noqa: ANN401 (anything an order returns)
    return printable_json(encoded(plain(value)).decode()) + "\n"


def table(content: Table, look: Look) -> str:
    """Return a table in the terminal's width; in a narrow one the least needed columns go first."""
    # 60 ms that only the first table of a process pays.
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not content.rows:
        return f"{content.empty}\n"
    rows = [row for row in content.rows if not isinstance(row, str)]
    wide = [
        max([cell_len(column.title), *(cell_len(_cell(row[at], look)) for row in rows)])
        for at, column in enumerate(content.columns)
    ]
    least = [
        min(width, _WRAPPED) if column.wraps else width for width, column in zip(wide, content.columns, strict=True)
    ]
    kept = [
        at
        for at, column in enumerate(content.columns)
        if not column.bars or (look.drawn and any(_cell(row[at], look) for row in rows))
    ]
    while len(kept) > 1 and sum(least[at] + 2 for at in kept) - 2 > look.columns:
        kept.remove(min(kept, key=lambda at: content.columns[at].keep))
    shape = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold" if look.color else "")
    for at in kept:
        column = content.columns[at]
        shape.add_column(
            column.title, justify="right" if column.right else "left", overflow="fold", no_wrap=not column.wraps
        )
    for row in content.rows:
        if isinstance(row, str):
            shape.add_row(Text(printable(row), style="bold"))
        else:
            shape.add_row(*(Text(_cell(row[at], look), style=_style(row[at])) for at in kept))
    file = io.StringIO()
    console = Console(
        file=file,
        width=look.columns,
        color_system=look.color or None,  # type: ignore[arg-type]  # (one of rich's own words)
        force_terminal=bool(look.color),
        no_color=not look.color,
        legacy_windows=False,
        _environ={},
    )
    console.print(shape)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _cell(cell: Cell, look: Look) -> str:
    if isinstance(cell, str):
        return printable(cell)
    drawn = f"{bar(cell[2], _BAR)} " if len(cell) == 3 and look.drawn else ""
    return f"{drawn}{printable(cell[0])}"


def _style(cell: Cell) -> str:
    return "" if isinstance(cell, str) else _TONES.get(cell[1], "")
