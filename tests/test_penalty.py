"""Faults that are no failed logins add up to a short refusal, as in sshd(8)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome import expiring
from sshhome.penalty import KINDS, MAX, MIN, Penalties, Penalty
from sshhome.source import origin_of
from tests.conftest import FixedClock

ATTACKER = "203.0.113.9"


@pytest.fixture
def penalties(clock: FixedClock) -> Penalties:
    """Return penalties that exempt one network."""
    return Penalties(clock, [ipaddress.ip_network("10.0.0.0/8")])


def test_a_crash_is_refused_at_once(penalties: Penalties, clock: FixedClock) -> None:
    """One crash is 90 s of refusal, which says why, and ends by itself."""
    penalty = penalties.add(ATTACKER, "crash")
    assert penalty == penalties.find(ATTACKER) == Penalty(ATTACKER, "crash", 90.0, active=True)
    assert penalty.reason == "a connection that broke the server from 203.0.113.9, try again in 1 min 30 s"
    clock.advance(89.5)
    assert penalties.find(ATTACKER) == Penalty(ATTACKER, "crash", 0.5, active=True)
    clock.advance(0.5)
    assert penalties.find(ATTACKER) is None
    assert penalties.known(origin_of(ATTACKER)) is None


def test_a_few_seconds_are_forgiven(penalties: Penalties, clock: FixedClock) -> None:
    """Up to 15 s are forgiven, those included; more are not, and then until none is left."""
    assert penalties.add(ATTACKER, "protocol") is None
    for _ in range(5):
        assert penalties.add(ATTACKER, "noauth") is None
    assert penalties.find(ATTACKER) is None
    assert penalties.known(origin_of(ATTACKER)) == Penalty(ATTACKER, "noauth", 15.0, active=False)
    assert penalties.add(ATTACKER, "noauth") is not None
    clock.advance(15.5)
    found = penalties.find(ATTACKER)
    assert found is not None
    assert found.remaining == 0.5
    clock.advance(1)
    assert penalties.add(ATTACKER, "protocol") is None


def test_the_bucket_leaks(penalties: Penalties, clock: FixedClock) -> None:
    """Whoever connects and leaves once a second or less often is never refused."""
    for _ in range(1000):
        assert penalties.add(ATTACKER, "noauth") is None
        clock.advance(1)
    for _ in range(16):
        penalties.add(ATTACKER, "noauth")
    assert penalties.find(ATTACKER) is not None


def test_no_more_than_the_most(penalties: Penalties, clock: FixedClock) -> None:
    """However much is added, it is 10 minutes at most, counted from the last fault."""
    for _ in range(100):
        penalties.add(ATTACKER, "crash")
    assert penalties.find(ATTACKER) == Penalty(ATTACKER, "crash", MAX, active=True)
    clock.advance(MAX)
    assert penalties.find(ATTACKER) is None


def test_the_last_kind_is_told(penalties: Penalties) -> None:
    """A refusal names what the source did last, in words for each kind there is."""
    for kind in KINDS:
        for _ in range(16):
            penalties.add(ATTACKER, kind)
        found = penalties.find(ATTACKER)
        assert found is not None
        assert found.kind == kind
        assert found.reason.startswith(KINDS[kind][1])
    with pytest.raises(KeyError):
        penalties.add(ATTACKER, "nonsense")


def test_sources_are_those_of_bans(penalties: Penalties) -> None:
    """A penalty is for the /64 of an IPv6 address, for an IPv4 address in any form, and for no neighbour."""
    penalties.add("2001:db8::1%eth0", "crash")
    penalties.add(f"::ffff:{ATTACKER}", "crash")
    for address in ("2001:db8::2", ATTACKER):
        assert penalties.find(address) is not None
    for address in ("2001:db8:0:1::1", "203.0.113.8"):
        assert penalties.find(address) is None


def test_never(penalties: Penalties) -> None:
    """A source of a `never` network is never refused, also when it becomes one afterwards."""
    for _ in range(10):
        assert penalties.add("10.1.2.3", "crash") is None
        penalties.add(ATTACKER, "crash")
    assert penalties.find("::ffff:10.1.2.3") is None
    penalties.never = [ipaddress.ip_network(f"{ATTACKER}/32")]
    assert penalties.find(ATTACKER) is None
    penalties.never = []
    assert penalties.find(ATTACKER) is not None


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_step_is_nothing(penalties: Penalties, clock: FixedClock, step: float) -> None:
    """Setting the wall clock neither ends nor prolongs a penalty."""
    penalties.add(ATTACKER, "crash")
    clock.step(step)
    assert penalties.find(ATTACKER) == Penalty(ATTACKER, "crash", 90.0, active=True)


def test_a_flood_frees_no_one_who_is_out_for_long(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound it is the penalty that ends soonest that is forgotten."""
    monkeypatch.setattr(expiring, "LIMIT", 10)
    penalties = Penalties(clock)
    penalties.add(ATTACKER, "crash")
    for number in range(100):
        penalties.add(f"10.0.0.{number}", "noauth")
    assert penalties.find(ATTACKER) is not None
    assert len(penalties._faults) == 10


@given(st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(0, 40))))
def test_penalties_are_those_of_sshd(faults: list[tuple[str, int]]) -> None:
    """Whatever happens when, a source is refused just when the algorithm of srclimit.c says so."""
    clock = FixedClock()
    penalties = Penalties(clock)
    expiry, active = 0.0, False
    for kind, wait in faults:
        clock.advance(wait)
        now = clock.monotonic()
        if expiry <= now:
            expiry, active = now, False
        assert (penalties.find(ATTACKER) is not None) == active
        penalties.add(ATTACKER, kind)
        expiry = min(expiry + KINDS[kind][0], now + MAX)
        active = active or expiry - now > MIN
        found = penalties.known(origin_of(ATTACKER))
        assert found is not None
        assert (found.remaining, found.active) == (expiry - now, active)
