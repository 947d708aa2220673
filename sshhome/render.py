"""An outcome becomes what the client reads: a sentence, a table, or JSON; errors go to standard error."""

import io
from collections.abc import Mapping
from typing import Any

import msgspec

from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.errors import NotConfirmed, SshhomeError
from sshhome.escape import printable, printable_json
from sshhome.order import Table
from sshhome.outcome import Answer, DryRun, Outcome
from sshhome.summary import color, summary, whereabouts

#: Narrower than this a wrapped column is no pleasure to read.
_WRAPPED = 14
_TONES = {"good": "green", "active": "bold yellow", "alert": "bold red", "dim": "dim"}


class Look(msgspec.Struct, frozen=True):
    """What the client's terminal can show; `color` is rich's colour system, empty for none.

    With `wrap`, sentences break between words; what a script reads never breaks.
    """

    columns: int = 80
    color: str = ""
    wrap: bool = False


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
    return out, wrapped(printable(_left_out(outcome)), look) if outcome.left_out else ""


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
    order = outcome.order
    assert order is not None  # noqa: S101 (there is no answer without an order)
    if isinstance(answer.value, DryRun):
        text: str | Table = _would(answer.value, answer.label)
    elif isinstance(answer.value, Device) and not outcome.wait:
        text = f"sent to {answer.label}"
    elif isinstance(order.says, str):
        text = order.says.format_map(_Fields(answer))
    else:
        text = order.says(answer.value)
    if isinstance(text, Table):
        return table(text, look)
    if answer.back:
        text = f"{text}; {answer.back}"
    return wrapped(text, look) if text else ""


def _would(plan: DryRun, label: str) -> str:
    """Return what an order would do."""
    if not plan.id:
        return f"would give '{plan.order}'"
    if plan.before == plan.change:
        return f"would leave {label} as it is"
    told = [
        f"{ATTRIBUTES[name].title}: {_value(name, plan.before[name])} → {_value(name, plan.change[name])}"
        for name in plan.change
    ]
    return f"would change {label}: {', '.join(told)}"


def _value(name: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else ATTRIBUTES[name].show(value)


class _Fields(dict[str, Any]):
    """What an order's `says` template may name, worked out when it does."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.args, label=answer.label)
        self._answer = answer

    def __missing__(self, name: str) -> object:
        device: Device = self._answer.value
        match name:
            case "id" | "name" | "room" | "kind":
                return getattr(device, name)
            case "is":
                return summary(device)
            case "on_off":
                return "on" if device.state.get("on") else "off"
            case "where":
                return whereabouts(device)
            case "change":
                change: Mapping[str, Any] = self._answer.args["value"]
                return ", ".join(_changed(device, attribute) for attribute in change)
        return device.state[name]

    def __getitem__(self, name: str) -> object:
        return color(self._answer.value) if name == "color" else super().__getitem__(name)


def _changed(device: Device, name: str) -> str:
    attribute = device.attributes[name]
    return f"{attribute.title} is {attribute.show(device.state.get(name))}"


def _left_out(outcome: Outcome) -> str:
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
        told = {"code": worst.code, "message": _left_out(outcome), "hint": worst.hint}
        error = _dump({"error": told})
    values = [answer.value for answer in outcome.answers]
    if outcome.several and all(isinstance(value, Device | DryRun) for value in values):
        return _dump(values), error
    return "".join(_dump(value) for value in values), error


def _plain(value: Any) -> Any:  # noqa: ANN401 (anything an order returns)
    if isinstance(value, Device):
        return value.as_json()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _dump(value: Any) -> str:  # noqa: ANN401 (anything an order returns)
    return printable_json(msgspec.json.encode(_plain(value)).decode()) + "\n"


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
        max([cell_len(column.title), *(cell_len(_cell(row[at])) for row in rows)])
        for at, column in enumerate(content.columns)
    ]
    least = [
        min(width, _WRAPPED) if column.wraps else width for width, column in zip(wide, content.columns, strict=True)
    ]
    kept = list(range(len(wide)))
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
            shape.add_row(*(Text(_cell(row[at]), style=_style(row[at])) for at in kept))
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


def _cell(cell: str | tuple[str, str]) -> str:
    return printable(cell if isinstance(cell, str) else cell[0])


def _style(cell: str | tuple[str, str]) -> str:
    return "" if isinstance(cell, str) else _TONES.get(cell[1], "")
