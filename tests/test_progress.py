"""How far something has come: the row fits every terminal, and the bar is as full as it should be."""

import pytest

from sshhome.progress import Progress, bar, row


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.0, "░░░░"), (0.5, "██░░"), (0.6, "██▍░"), (1.0, "████"), (-1.0, "░░░░"), (7.0, "████")],
)
def test_a_bar_is_full_to_its_share(share: float, drawn: str) -> None:
    """A bar is full to an eighth of a character, and never more than full or less than empty."""
    assert bar(share, 4) == drawn


@pytest.mark.parametrize(
    ("columns", "drawn"),
    [
        (80, "garage opening ███████████░░░░░░░░░ 55 %"),
        (40, "garage opening ██████████▌░░░░░░░░ 55 %"),
        (25, "garage opening ██▎░ 55 %"),
        (22, "garage opening 55 %"),
        (12, "garag… 55 %"),
        (8, "g… 55 %"),
    ],
)
def test_a_row_fits(columns: int, drawn: str) -> None:
    """In a narrow terminal the bar goes before the label does, and what it says is there to the end."""
    assert row("garage opening", 0.55, "55 %", columns) == drawn


def test_a_row_never_reaches_the_last_column() -> None:
    """However much is said and however narrow the terminal: a row that wraps could not be wiped."""
    for columns in range(8, 200):
        for label in ("off", "cover.the_gate_at_the_end_of_the_drive"):
            for share in (None, 0.5):
                assert len(row(label, share, "1234 of 5000", columns)) < columns


def test_many_calls_in_a_row() -> None:
    """It tells how many calls have ended, and nothing once all have."""
    progress = Progress("off", 48, 12)
    assert progress.row(40) == "off █████░░░░░░░░░░░░░░░ 12 of 48"
    progress.done = 48
    assert not progress.row(40)
