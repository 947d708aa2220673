"""The printed report: one table of medians and ratios, and what they say about the design's goals."""

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.measures import WALL, Figure

#: How many times sooner than sshd's an order over a fresh connection is to answer.
GOAL = 8.0

#: All samples of a figure, by the name of the server.
Results = Mapping[Figure, Mapping[str, Sequence[float]]]


def show(results: Results, names: Sequence[str]) -> None:
    """Print the table; the first name is what the others are compared with."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("median (p10..p90)", no_wrap=True)
    table.add_column("budget", justify="right", no_wrap=True)
    for at, name in enumerate(names):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
        if at:
            table.add_column("ratio", justify="right", no_wrap=True)
    for figure, samples in results.items():
        cells = ["" if figure.budget is None else f"{figure.budget:g}"]
        for at, name in enumerate(names):
            cells += _cells(figure, samples.get(name, ()))
            if at:
                cells.append(_ratio(samples.get(name, ()), samples.get(names[0], ())))
        table.add_row(figure.title, *cells)
    # A narrow terminal wraps the lines; columns that were cut would be worth nothing.
    Console(width=200, highlight=False).print(table, soft_wrap=True)


def verdict(results: Results, subject: str, peer: str) -> str:
    """Return the line that says whether the goal is met."""
    samples = results.get(WALL, {})
    ratio = _ratio(samples.get(peer, ()), samples.get(subject, ()))
    if not ratio:
        return f"how much sooner than {peer}'s an order over a fresh connection answers was not measured"
    return f"an order over a fresh connection answers {ratio} sooner than {peer}'s (goal {GOAL:g} x)"


def _cells(figure: Figure, samples: Sequence[float]) -> tuple[str, str]:
    if not samples:
        return "-", ""
    tenths = statistics.quantiles(samples, n=10, method="inclusive") if len(samples) > 1 else list(samples)
    low, middle, high = (f"{value:.{figure.digits}f}" for value in (tenths[0], statistics.median(samples), tenths[-1]))
    return middle, f"({low}..{high})"


def _ratio(samples: Sequence[float], reference: Sequence[float]) -> str:
    if not samples or not reference:
        return ""
    ratio = statistics.median(samples) / statistics.median(reference)
    return f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f} x"
