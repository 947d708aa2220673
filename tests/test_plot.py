"""A plot: a line of braille between two axes, whose ticks are round times on the clock on the wall."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sshhome.history import Stretch
from sshhome.plot import Chart, draw, fits, ticks

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    """Return a moment by the clock in Berlin, or with its offset."""
    given = datetime.fromisoformat(text)
    return (given if given.tzinfo else given.replace(tzinfo=BERLIN)).timestamp()


def steps(*values: float) -> Sequence[Stretch]:
    """Return values of which each holds for a minute."""
    return [Stretch(60.0 * place, 60.0 * place + 60, v, v, v, v) for place, v in enumerate(values)]


def test_a_line() -> None:
    """It goes up and down with the value, from the highest to the lowest of it."""
    drawn = draw(Chart(steps(0, 1, 2, 3), 0, 240, ZoneInfo("UTC")), 34)
    assert drawn == [
        "3.0 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⢸⠉⠉⠉⠉⠉⠉⠉",
        "    │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⢸",
        "    │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⡤⠤⠤⠤⠤⠤⠤⠼",
        "    │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⡇",
        "1.3 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⡇",
        "    │⠀⠀⠀⠀⠀⠀⠀⡖⠒⠒⠒⠒⠒⠒⠃",
        "    │⠀⠀⠀⠀⠀⠀⠀⡇",
        "0.0 ┤⣀⣀⣀⣀⣀⣀⣀⡇",
        "    └┬─────────────┬─────────────┬",
        "     1 Jan       00:02       00:04",
    ]


def test_words() -> None:
    """What is no number has a row for each word; what is not known is a gap."""
    flags = [Stretch(0, 60, 0, 0, 0, value=False), Stretch(120, 240, 1, 1, 1, value=True)]
    assert draw(Chart(flags, 0, 240, ZoneInfo("UTC"), ("zu", "门开")), 30)[:2] == [
        "门开 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤",
        "  zu ┤⠤⠤⠤⠤⠤⠤",
    ]


def test_what_never_changes() -> None:
    """It runs through the middle, and its labels are not all the same."""
    drawn = draw(Chart(steps(21, 21), 0, 120, ZoneInfo("UTC")), 40)
    assert [line.split("┤")[0].strip() for line in drawn if "┤" in line] == ["22.0", "20.9", "20.0"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
    st.integers(30, 300),
    st.lists(st.text(min_size=1, max_size=60), max_size=7, unique=True).map(tuple),
)
def test_it_fits(values: list[float], columns: int, words: tuple[str, ...]) -> None:
    """Whatever it is of, and however wide what its values are called, no line is wider than the terminal."""
    assert fits(columns)
    if words:
        values = [float(place % len(words)) for place in range(len(values))]
    for line in draw(Chart(steps(*values), 0, 60.0 * len(values), BERLIN, words), columns):
        assert cell_len(line) <= columns


@pytest.mark.parametrize(
    ("since", "until", "most", "labels"),
    [
        ("2026-06-02 13:50", "2026-06-02 14:06", 5, "13:50 13:55 14:00 14:05"),
        ("2026-06-02 20:00", "2026-06-03 04:00", 5, "20:00 22:00 3 Jun 02:00 04:00"),
        # The clocks go forward: there is no 02:00. And back: there are two.
        ("2026-03-29 00:30", "2026-03-29 05:30", 6, "01:00 03:00 04:00 05:00"),
        ("2026-10-25 00:30", "2026-10-25 04:30", 6, "01:00 02:00 02:00 03:00 04:00"),
        ("2026-03-28 00:00", "2026-03-30 00:00", 8, "28 Mar 06:00 12:00 18:00 29 Mar 06:00 12:00 18:00 30 Mar"),
        ("2026-05-30 12:00", "2026-06-03 12:00", 4, "31 May 1 Jun 2 Jun 3 Jun"),
    ],
)
def test_ticks(since: str, until: str, most: int, labels: str) -> None:
    """Ticks are at round times of the clock on the wall, also on the days on which it is put forward or back."""
    found = ticks(at(since), at(until), BERLIN, most)
    assert " ".join(label for _, label in found) == labels
    for moment, label in found:
        shown = datetime.fromtimestamp(moment, BERLIN)
        assert label in {f"{shown:%H:%M}", f"{shown.day} {shown:%b}"}


@given(
    st.floats(0, 4e9), st.floats(60, 4e8), st.integers(1, 40), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])
)
def test_ticks_of_any_time(since: float, seconds: float, most: int, zone: str) -> None:
    """Whatever time it is, its ticks are in it, in order, and not many more than were asked for."""
    found = [moment for moment, _ in ticks(since, since + seconds, ZoneInfo(zone), most)]
    assert found == sorted(set(found))
    assert all(since <= moment <= since + seconds for moment in found)
    assert len(found) <= 2 * most + 3
