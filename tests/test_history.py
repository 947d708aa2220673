"""How a value was: what five minutes come to is right to the last change, and nothing holds longer than is known."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.history import Mark, Running, Stretch, regular, shares, size, stretched, whole

_VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6))
#: Seconds since the change before, and the value from then on.
_CHANGES = st.lists(st.tuples(st.floats(0, 100), _VALUES), max_size=30)


def sample(at: float, value: float | bool | str | None) -> Mark:  # noqa: FBT001 (a value, not a switch)
    """Return a change as it is read."""
    return Mark(at, at, size(value), size(value), size(value), value)


def flat(start: float, end: float, value: float) -> Stretch:
    """Return a stretch in which nothing changed."""
    return Stretch(start, end, value, value, value, value)


@given(st.floats(-1e6, 1e6) | st.none(), _CHANGES, st.floats(0, 100))
def test_low_mean_and_high_of_a_bucket(
    held: float | None, changes: Sequence[tuple[float, float | None]], rest: float
) -> None:
    """They are those of the values, each weighed by how long it held; what was unknown counts for nothing."""
    running, now = Running(0.0, held), 0.0
    values, weighed = [held], []
    for after, value in changes:
        weighed.append((values[-1], after))
        now += after
        running.change(now, value)
        values.append(value)
    running.change(now + rest, running.value)
    weighed.append((values[-1], rest))
    known = [value for value in values if value is not None]
    if not known:
        assert running.began is None
        return
    assert (running.low, running.high) == (min(known), max(known))
    assert running.low <= running.mean() <= running.high
    seconds = sum(time for value, time in weighed if value is not None)
    if seconds > 1e-3:
        mean = sum(value * time for value, time in weighed if value is not None) / seconds
        assert running.mean() == pytest.approx(mean, rel=1e-6, abs=1e-3)


def test_a_clock_that_was_set_back() -> None:
    """Time that is gone back counts once, and nothing is weighed by less than none."""
    running = Running(1000.0, 10.0)
    running.change(1100.0, 20.0)
    running.change(400.0, 0.0)
    running.change(1200.0, 0.0)
    assert (running.low, running.mean(), running.high) == (0.0, 5.0, 20.0)


def test_what_holds() -> None:
    """A value holds until the next, and no longer than its run was recorded; what is unknown is no stretch."""
    marks = [sample(0, 1.0), sample(10, 2.0), sample(20, None), sample(30, 3.0), sample(100, 4.0)]
    runs = [(0.0, 50.0), (90.0, 200.0)]
    assert stretched(marks, runs, 5, 120) == [
        flat(5, 10, 1.0),
        flat(10, 20, 2.0),
        flat(30, 50, 3.0),
        flat(100, 120, 4.0),
    ]


def test_means_and_what_follows_them() -> None:
    """After minutes of which the mean is known their last value holds; a sample within them cuts them off."""
    mean = Mark(0, 300, 1.0, 2.0, 3.0, 2.5)
    assert stretched([mean, sample(900, 7.0)], [(0.0, 1000.0)], 0, 1000) == [
        Stretch(0, 300, 1.0, 2.0, 3.0, 2.5),
        flat(300, 900, 2.5),
        flat(900, 1000, 7.0),
    ]
    assert stretched([mean, sample(200, 7.0)], [(0.0, 1000.0)], 0, 250) == [
        Stretch(0, 200, 1.0, 2.0, 3.0, 2.5),
        flat(200, 250, 7.0),
    ]


@given(st.lists(st.tuples(st.floats(1, 50), st.floats(-100, 100)), min_size=1, max_size=20), st.integers(1, 40))
def test_regular_parts(steps: Sequence[tuple[float, float]], count: int) -> None:
    """Parts of a time have the bounds of what they touch, and together the mean of the whole."""
    at, stretches = 0.0, []
    for seconds, value in steps:
        stretches.append(flat(at, at + seconds, value))
        at += seconds
    edges = [at * place / count for place in range(count)] + [at]
    parts = regular(stretches, edges)
    found = [part for part in parts if part is not None]
    total = whole(stretches)
    assert total is not None
    assert len(found) == count
    assert (min(part.low for part in found), max(part.high for part in found)) == (total.low, total.high)
    mean = sum(part.mean * (part.end - part.start) for part in found) / at
    assert math.isclose(mean, total.mean, rel_tol=1e-6, abs_tol=1e-6)
    for part in found:
        touched = [s.low for s in stretches if s.start < part.end and s.end > part.start]
        assert (part.low, part.high) == (min(touched), max(touched))


def test_nothing_is_nothing() -> None:
    """A time of which nothing is known has no parts and no whole."""
    assert regular([flat(10, 20, 1.0)], [0, 5, 15, 25, 30]) == [None, flat(5, 15, 1.0), flat(15, 25, 1.0), None]
    assert whole([]) is None
    assert stretched([], [(0.0, 10.0)], 0, 10) == ()


def test_how_long_words_held() -> None:
    """Each word counts for as long as it held, however often."""
    told = [("heat", 0, 10), ("off", 10, 30), ("heat", 30, 31)]
    assert shares([Stretch(start, end, 0, 0, 0, word) for word, start, end in told]) == {"heat": 11, "off": 20}
