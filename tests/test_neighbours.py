"""Which networks of a /56 earned a ban lately is remembered: the last few, for a while."""

import pytest

from sshhome import expiring
from sshhome.neighbours import SEVERAL, Neighbours
from sshhome.source import origin_named, origin_of
from tests.conftest import FixedClock

WIDE, WINDOW = "2001:db8::/56", 600.0


def note(neighbours: Neighbours, clock: FixedClock, number: int, ago: float = 0) -> str:
    """Note that a network earned a ban, and return its name."""
    origin = origin_of(f"2001:db8:0:{number:x}::1")
    neighbours.note(origin, clock.monotonic() - ago, WINDOW)
    return origin.source


def test_the_last_few_are_remembered(clock: FixedClock) -> None:
    """Of many networks the latest are known, by when they earned it and not when that was told; each of them once."""
    neighbours = Neighbours(clock)
    names = [note(neighbours, clock, number, ago=100 - number) for number in (3, 1, 2, 5, 4, 5, 5)]
    assert neighbours.lately(WIDE, WINDOW) == [names[0], names[4], names[3]]
    assert len(neighbours.lately(WIDE, WINDOW)) == SEVERAL


def test_they_are_forgotten_after_the_window(clock: FixedClock) -> None:
    """Each counts until the window is over for it, and is then forgotten with its /56."""
    neighbours = Neighbours(clock)
    note(neighbours, clock, 1, ago=WINDOW / 2)
    second = note(neighbours, clock, 2)
    clock.advance(WINDOW / 2)
    assert neighbours.lately(WIDE, WINDOW) == [second]
    clock.advance(WINDOW / 2)
    assert neighbours.lately(WIDE, WINDOW) == []
    assert len(neighbours._known) == 0


def test_forgetting(clock: FixedClock) -> None:
    """One network is forgotten, or all of a /56; what is not there may be forgotten too."""
    neighbours = Neighbours(clock)
    first, second = (note(neighbours, clock, number) for number in (1, 2))
    for text in (first, "2001:db9::1", "203.0.113.9"):
        neighbours.forget(origin_named(text))
    assert neighbours.lately(WIDE, WINDOW) == [second]
    neighbours.forget(origin_named(WIDE))
    assert neighbours.lately(WIDE, WINDOW) == []


def test_memory_is_bounded(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many networks earn a ban, a bounded number of /56s is known, and IPv4 takes no room at all."""
    monkeypatch.setattr(expiring, "LIMIT", 10)
    neighbours = Neighbours(clock)
    for number in range(5000):
        note(neighbours, clock, number)
        neighbours.note(origin_of(f"10.0.{number >> 8}.{number & 255}"), clock.monotonic(), WINDOW)
    assert len(neighbours._known) == 10
