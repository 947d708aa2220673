"""Wrong passwords make the next one of that user wait, wherever it comes from, and never for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome import expiring
from sshhome.slowdown import FREE, LONGEST, WINDOW, Slowdown
from tests.conftest import FixedClock


@pytest.fixture
def slowdown(clock: FixedClock) -> Slowdown:
    """Return a slow-down with nothing to its name."""
    return Slowdown(clock)


def source(number: int) -> str:
    """Return one of many addresses."""
    return f"203.0.{number // 256 % 256}.{number % 256}"


@pytest.mark.parametrize("user", ["home", "nobody", "", "x" * 10_000, "\ud800\x1b\n"])
def test_delays_grow(slowdown: Slowdown, user: str) -> None:
    """Three wrong passwords cost nothing, each one more twice as much, up to five seconds; for any name alike."""
    delays = []
    for number in range(10):
        delays.append(slowdown.delay(user))
        slowdown.failed(source(number), user)
    assert delays == [0, 0, 0, 0, 0.5, 1, 2, 4, 5, 5]


def test_users_do_not_slow_each_other_down(slowdown: Slowdown) -> None:
    """A guesser at one name makes no other wait, nor one that is written otherwise."""
    for number in range(20):
        slowdown.failed(source(number), "home")
    assert slowdown.delay("home") == LONGEST
    assert slowdown.delay("guest") == slowdown.delay("Home") == 0


def test_failures_count_for_ten_minutes(slowdown: Slowdown, clock: FixedClock) -> None:
    """A wrong password counts until it is ten minutes old, each for itself."""
    for number in range(6):
        slowdown.failed(source(number), "home")
        clock.advance(60)
    assert slowdown.delay("home") == 2
    clock.advance(WINDOW - 6 * 60)
    assert slowdown.delay("home") == 1
    clock.advance(60)
    assert slowdown.delay("home") == 0.5
    clock.advance(WINDOW)
    assert slowdown.delay("home") == 0
    assert len(slowdown._failures) == 0


def test_success_forgets_the_own_mistakes_alone(slowdown: Slowdown) -> None:
    """Logging in forgets what went wrong from the same source, in any form of its address, and nothing else."""
    for _ in range(4):
        slowdown.failed("2001:db8::1", "home")
        slowdown.failed("2001:db8::1", "guest")
    for number in range(5):
        slowdown.failed(source(number), "home")
    slowdown.succeeded("198.51.100.1", "home")
    slowdown.succeeded("198.51.100.1", "nobody")
    assert slowdown.delay("home") == LONGEST
    slowdown.succeeded("2001:db8::2%eth0", "home")
    assert slowdown.delay("home") == 1
    assert slowdown.delay("guest") == 0.5
    slowdown.succeeded("2001:db8::2", "guest")
    assert slowdown.delay("guest") == 0
    assert len(slowdown._failures) == 1


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_step_is_nothing(slowdown: Slowdown, clock: FixedClock, step: float) -> None:
    """Setting the wall clock makes nobody wait longer or less."""
    for number in range(5):
        slowdown.failed(source(number), "home")
    clock.step(step)
    assert slowdown.delay("home") == 1


def test_memory_is_bounded(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names are tried, however long and however often, a bounded number of short ones is remembered."""
    monkeypatch.setattr(expiring, "LIMIT", 10)
    slowdown = Slowdown(clock)
    for number in range(100):
        slowdown.failed(source(number), f"{number} {'x' * 10_000}")
    for number in range(1000):
        slowdown.failed(source(number), "home")
    assert len(slowdown._failures) == 10
    assert all(len(name) <= 64 and len(failures) <= 16 for name, failures in slowdown._failures)
    assert slowdown.delay("home") == LONGEST


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=12))
def test_delays_are_those_of_a_simple_count(steps: list[tuple[bool, int]]) -> None:
    """Whatever is tried from two sources, the delay is what a count of all that went wrong lately gives."""
    clock = FixedClock()
    slowdown = Slowdown(clock)
    wrong: list[float] = []
    for right, wait in steps:
        clock.advance(wait)
        counted = sum(at > clock.monotonic() - WINDOW for at in wrong)
        expected = 0.0 if counted <= FREE else min(0.5 * 2 ** (counted - FREE - 1), LONGEST)
        assert slowdown.delay("home") == expected
        if right:
            slowdown.succeeded("198.51.100.1", "home")
        else:
            slowdown.failed(source(7), "home")
            wrong.append(clock.monotonic())
