"""How likely a newcomer is turned away, and how often a user may give orders: the figures, against simple models."""

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome import limits as module
from sshhome.config import Limits, Startups
from sshhome.limits import Rate, turned_away
from tests.conftest import FixedClock


class Chance(random.Random):
    """Chance that always falls on the same number."""

    def __init__(self, number: float) -> None:
        """Take the number."""
        super().__init__(0)
        self.number = number

    def random(self) -> float:
        """Return the number."""
        return self.number


#: The least and the most that chance can be.
LEAST, MOST = 0.0, 1 - 2**-53


def limits(startups: str) -> Limits:
    """Return the limits with these startups."""
    return Limits(startups=Startups(startups))


# -- early drop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("startups", "waiting", "percent"),
    [
        ("10:30:100", 0, 0),
        ("10:30:100", 9, 0),
        ("10:30:100", 10, 30),
        ("10:30:100", 55, 65),
        ("10:30:100", 99, 100 - 70 / 90),
        ("10:30:100", 100, 100),
        ("10:30:100", 101, 100),
        ("10:30:100", 10_000, 100),
        ("1:30:1", 0, 0),
        ("1:30:1", 1, 100),
        ("5:0:5", 4, 0),
        ("5:0:5", 5, 100),
        ("10:0:20", 10, 0),
        ("10:0:20", 15, 50),
        ("10:100:20", 9, 0),
        ("10:100:20", 10, 100),
    ],
)
def test_how_likely_a_newcomer_is_dropped(startups: str, waiting: int, percent: float) -> None:
    """Nobody is dropped below BEGIN, PERCENT of them at it, more in a straight line up to FULL, and all from there."""
    assert turned_away(limits(startups), waiting, Chance(LEAST)) == (percent > 0)
    assert turned_away(limits(startups), waiting, Chance(MOST)) == (percent == 100)
    if 0 < percent < 100:
        assert turned_away(limits(startups), waiting, Chance(percent / 100 - 1e-9))
        assert not turned_away(limits(startups), waiting, Chance(percent / 100 + 1e-9))


def test_a_crowd_is_thinned_as_promised() -> None:
    """Of ten thousand newcomers at the middle of 10:30:100 about 65 % are dropped, by true chance."""
    chance = random.Random(7)  # noqa: S311 (seeded)
    dropped = sum(turned_away(limits("10:30:100"), 55, chance) for _ in range(10_000))
    assert 6350 < dropped < 6650


@given(
    st.lists(st.integers(1, 300), min_size=2, max_size=2).map(sorted),
    st.integers(0, 100),
    st.integers(0, 400),
    st.floats(0, 1, exclude_max=True),
)
def test_more_who_wait_never_help_a_newcomer(bounds: Sequence[int], percent: int, waiting: int, drawn: float) -> None:
    """Whoever is dropped with so many waiting is dropped with one more, whatever the figures."""
    these = limits(f"{bounds[0]}:{percent}:{bounds[1]}")
    assert turned_away(these, waiting + 1, Chance(drawn)) >= turned_away(these, waiting, Chance(drawn))


# -- the rate of orders -----------------------------------------------------------------------------------------------


class Model:
    """A token bucket as a textbook has it, in exact fractions."""

    def __init__(self, a_minute: int, burst: int) -> None:
        """Start full."""
        self.rate = Fraction(a_minute, 60)
        self.burst = burst
        self.tokens = Fraction(burst)

    def advance(self, seconds: Fraction) -> None:
        """Let tokens come in."""
        self.tokens = min(Fraction(self.burst), self.tokens + seconds * self.rate)

    def take(self) -> Fraction:
        """Take a token, or return how long until there is one."""
        if self.tokens >= 1:
            self.tokens -= 1
            return Fraction(0)
        return (1 - self.tokens) / self.rate


#: Seconds that a float holds exactly.
STEPS = st.integers(0, 64).map(lambda eighths: Fraction(eighths, 8))


@given(
    st.sampled_from([15, 30, 60, 120, 240, 960]),
    st.integers(1, 30),
    st.lists(st.tuples(STEPS, st.sampled_from(["home", "guest"])), max_size=120),
)
def test_a_rate_is_a_token_bucket(a_minute: int, burst: int, takes: Sequence[tuple[Fraction, str]]) -> None:
    """Each user's orders go by a bucket of their own, and each that must wait is told exactly how long."""
    clock = FixedClock()
    rate = Rate(a_minute, burst, clock.monotonic)
    models = {name: Model(a_minute, burst) for name in ("home", "guest")}
    for step, name in takes:
        clock.advance(float(step))
        for model in models.values():
            model.advance(step)
        assert rate.take(name) == pytest.approx(float(models[name].take()))


@given(
    st.integers(1, 5000),
    st.integers(1, 50),
    st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=100),
)
def test_never_more_than_burst_and_rate(a_minute: int, burst: int, steps: Sequence[float]) -> None:
    """In no stretch of time are there more orders than the burst and what comes in meanwhile; no wait is negative."""
    clock = FixedClock()
    rate = Rate(a_minute, burst, clock.monotonic)
    given_at = []
    for step in steps:
        clock.advance(step)
        wait = rate.take("home")
        assert 0 <= wait <= 60 / a_minute + 1e-6
        if not wait:
            given_at.append(clock.monotonic())
    for first, begin in enumerate(given_at):
        for last in range(first, len(given_at)):
            assert last - first + 1 <= burst + (given_at[last] - begin) * a_minute / 60 + 1e-6


@given(st.integers(1, 5000), st.integers(1, 20), st.floats(0, 100))
def test_who_waits_as_told_is_served(a_minute: int, burst: int, before: float) -> None:
    """After the wait that it tells there is a token, and asking again meanwhile costs nothing."""
    clock = FixedClock()
    rate = Rate(a_minute, burst, clock.monotonic)
    clock.advance(before)
    for _ in range(burst):
        assert rate.take("home") == 0
    wait = rate.take("home")
    for _ in range(100):
        assert rate.take("home") == wait
    clock.advance(wait / 2)
    assert rate.take("home") == pytest.approx(wait / 2)
    clock.advance(wait / 2 + 1e-6)
    assert rate.take("home") == 0
    assert rate.take("home") > 0


def test_a_clock_that_stands_still() -> None:
    """While no time passes there is the burst and no more, and a clock that goes back takes nothing away."""
    clock = FixedClock()
    rate = Rate(60, 20, clock.monotonic)
    assert [rate.take("home") for _ in range(1000)] == [0.0] * 20 + [1.0] * 980
    clock.advance(-500)
    assert rate.take("home") == 1.0
    clock.advance(1)
    assert rate.take("home") == 0


def test_rest_fills_no_more_than_the_burst() -> None:
    """A user who gave no order for a year has a burst, and not a year's worth."""
    clock = FixedClock()
    rate = Rate(60, 20, clock.monotonic)
    rate.take("home")
    clock.advance(365 * 86400)
    assert sum(not rate.take("home") for _ in range(1000)) == 20


def test_memory_is_bounded() -> None:
    """Of however many names 4,096 are remembered; the one quiet for longest is forgotten, with a full bucket."""
    rate = Rate(60, 1, FixedClock().monotonic)
    for number in range(module._MAX_BUCKETS):
        assert rate.take(f"user{number}") == 0
    assert rate.take("user0") > 0
    assert rate.take("one more") == 0
    assert len(rate._buckets) == module._MAX_BUCKETS == 4096
    assert rate.take("user2") > 0
    assert rate.take("user0") > 0
    assert rate.take("user1") == 0
    for number in range(20_000):
        rate.take(f"other{number}")
    assert len(rate._buckets) == 4096
