"""Failed logins are counted by source, earn bans that grow, and are remembered over a restart."""

import ipaddress
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome import ban
from sshhome.ban import Bans, address_of, source_of
from sshhome.config import BanRules, Duration
from sshhome.errors import SiteError
from sshhome.store import BanRecord
from sshhome.stores.sqlite import SqliteStore
from tests.conftest import NOON, FixedClock, NoChance

RULES = BanRules()
ATTACKER = "203.0.113.9"
DAY = 86400.0

Make = Callable[..., Bans]


class Always(random.Random):
    """Chance that always falls on the far end."""

    def random(self) -> float:
        """Return the most there is."""
        return 1.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


@pytest.fixture
def make(clock: FixedClock, store: SqliteStore) -> Make:
    """Return what makes the bans of a freshly started server."""

    def bans(rules: BanRules = RULES, chance: random.Random | None = None) -> Bans:
        return Bans(rules, clock, store, chance or NoChance())

    return bans


@pytest.fixture
def bans(make: Make) -> Bans:
    """Return bans by the default rules."""
    return make()


def fail(bans: Bans, times: int, source: str = ATTACKER, user: str = "home") -> list[BanRecord | None]:
    """Fail to log in so many times."""
    return [bans.failed(source, user, "login") for _ in range(times)]


def earn(bans: Bans, source: str = ATTACKER) -> BanRecord:
    """Fail until it earns a ban."""
    record = fail(bans, RULES.max_failures, source)[-1]
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:cb00:7109", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_sources(address: str, source: str) -> None:
    """A source is an IPv4 address, mapped or not, or the /64 of an IPv6 address without its zone."""
    assert source_of(address) == source


@given(st.ip_addresses())
def test_every_address_is_in_its_source(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """An address is within what is banned for it, and its source does not depend on how it is written."""
    folded = ipaddress.ip_address(address_of(str(address)))
    assert folded in ipaddress.ip_network(source_of(str(address)))
    assert source_of(address.exploded) == source_of(str(address))
    if isinstance(address, ipaddress.IPv4Address):
        assert source_of(f"::ffff:{address}") == source_of(str(address))


def test_the_fifth_failure_earns_a_ban_that_says_why(bans: Bans, clock: FixedClock) -> None:
    """Four failures earn nothing, the fifth a ban of a minute, whoever was tried, and the ban tells of it."""
    assert fail(bans, 3) + fail(bans, 1, user="root") == [None] * 4
    assert bans.find(ATTACKER) is None
    record = bans.failed(ATTACKER, "admin", "login")
    rule, evidence = "too many failed logins", "5 as admin, home, root"
    assert record == BanRecord(ATTACKER, NOON, NOON + 60, 1, "login", evidence, rule)
    assert bans.find(ATTACKER) == record
    assert bans.in_force() == [record]
    assert bans.reason(record) == "too many failed logins from 203.0.113.9, try again in 1 min"
    clock.advance(59.5)
    assert bans.find(ATTACKER) == record
    assert bans.remaining(record) == pytest.approx(0.5)
    clock.advance(0.5)
    assert bans.find(ATTACKER) is None
    assert bans.in_force() == []
    assert bans.remaining(record) == 0


def test_failures_count_for_their_window_alone(bans: Bans, clock: FixedClock) -> None:
    """A failure older than the window no longer counts, and one within it does."""
    fail(bans, 4)
    clock.advance(RULES.window)
    assert fail(bans, 4) == [None] * 4
    clock.advance(RULES.window - 1)
    assert bans.failed(ATTACKER, "home", "login") is not None


def test_after_a_ban_counting_starts_anew(bans: Bans, clock: FixedClock) -> None:
    """The failures that earned a ban are spent: four more earn nothing."""
    earn(bans)
    clock.advance(61)
    assert fail(bans, 4) == [None] * 4


def test_each_further_ban_is_twice_as_long_up_to_a_day(bans: Bans, clock: FixedClock) -> None:
    """Bans double from a minute to a day, counted, and no longer."""
    lengths = []
    for number in range(1, 16):
        record = earn(bans)
        assert record.count == number
        lengths.append(record.until - record.at)
        clock.advance(record.until - record.at + 1)
    assert lengths == [min(60.0 * 2**n, DAY) for n in range(15)]


@pytest.mark.parametrize("factor", [1.0, 1.5, 1e9, 1e300])
def test_any_factor_leads_to_bans(make: Make, clock: FixedClock, factor: float) -> None:
    """Whatever the factor, the fiftieth ban is as sound as the first, and none is longer than the longest."""
    bans = make(BanRules(factor=factor))
    lengths = []
    for _ in range(50):
        record = earn(bans)
        assert bans.find(ATTACKER) == record
        lengths.append(record.until - record.at)
        clock.advance(record.until - record.at + 1)
    assert lengths == sorted(lengths)
    assert lengths[0] == 60
    assert max(lengths) <= DAY


@pytest.mark.parametrize("count", [1, 5])
def test_a_source_that_stays_quiet_starts_anew(bans: Bans, clock: FixedClock, count: int) -> None:
    """After as long a quiet as its last ban, and as the window, a source's next ban is the first again."""
    for _ in range(count):
        record = earn(bans)
        clock.advance(record.until - record.at)
    quiet = max(RULES.window, 60.0 * 2 ** (count - 1))
    clock.advance(quiet)
    assert earn(bans).count == count + 1
    clock.advance(60.0 * 2**count + max(RULES.window, 60.0 * 2**count) + 1)
    assert earn(bans).count == 1


async def test_jitter_is_added_once(make: Make) -> None:
    """A ban is at most a tenth longer by chance, decided when it is set: never again at a look, nor after a restart."""
    bans = make(chance=Always())
    record = earn(bans)
    assert record.until - record.at == pytest.approx(66)
    assert [bans.remaining(record) for _ in range(3)] == [pytest.approx(66)] * 3
    again = make(chance=Always())
    await again.load()
    assert again.find(ATTACKER) == record
    assert again.remaining(record) == pytest.approx(66)


def test_a_banned_source_is_all_its_addresses(bans: Bans) -> None:
    """A ban holds for the mapped form of an address and for the whole /64, and for no neighbour."""
    earn(bans, "::ffff:203.0.113.9")
    earn(bans, "2001:db8:1:2::1%eth0")
    for address in (ATTACKER, "::ffff:203.0.113.9", "2001:db8:1:2:ffff::9", "2001:db8:1:2::%wlan0"):
        assert bans.find(address) is not None
    for address in ("203.0.113.8", "2001:db8:1:3::1", "::203.0.113.9"):
        assert bans.find(address) is None


def test_success_clears_that_pair_alone(bans: Bans) -> None:
    """Logging in forgets the failures of that user from that source: not another's, nor those from elsewhere."""
    fail(bans, 2)
    fail(bans, 2, user="root")
    fail(bans, 4, source="203.0.113.8")
    bans.succeeded(ATTACKER, "home")
    bans.succeeded(ATTACKER, "nobody")
    bans.succeeded("198.51.100.1", "home")
    assert fail(bans, 2) == [None, None]
    assert bans.failed(ATTACKER, "home", "login") is not None
    assert bans.failed("203.0.113.8", "home", "login") is not None


def test_success_lifts_no_ban(bans: Bans) -> None:
    """A ban in force outlasts a login of that source on a connection that was open before."""
    earn(bans)
    bans.succeeded(ATTACKER, "home")
    assert bans.find(ATTACKER) is not None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"])
def test_never_networks_are_never_banned(make: Make, address: str) -> None:
    """An address in a `never` network is neither counted nor banned, in whichever form it is written."""
    bans = make(BanRules(never=("10.0.0.0/8", "fd00::/8")))
    assert fail(bans, 50, source=address) == [None] * 50
    assert bans.ban(address, "bad_order", "x", "an unknown order") is None
    assert bans.find(address) is None
    assert bans.in_force() == []
    assert bans.failed("11.1.2.3", "home", "login") is None
    assert fail(bans, 4, source="11.1.2.3")[-1] is not None


def test_bad_never_network_is_a_site_error(make: Make) -> None:
    """A `never` that is no network keeps the server from starting, naming the key."""
    with pytest.raises(SiteError, match=r"sshhome.toml: bans\.never: "):
        make(BanRules(never=("home",)))


def test_lifting(bans: Bans) -> None:
    """A ban is lifted by any address it holds for or by its source, once, and counting starts anew."""
    earn(bans)
    record = earn(bans, "2001:db8::1")
    assert bans.lift("2001:db8::2") == record
    assert bans.lift("2001:db8::2") is None
    assert bans.lift(ATTACKER) is not None
    assert bans.in_force() == []
    assert earn(bans, "2001:db8::1").count == 1
    assert bans.lift("2001:db8::/64") is not None
    with pytest.raises(ValueError, match="nonsense"):
        bans.lift("nonsense")


def test_bans_are_listed_by_their_end(bans: Bans, clock: FixedClock) -> None:
    """The ban that ends soonest is listed first, and one that has ended not at all."""
    earn(bans)
    clock.advance(30)
    later = earn(bans, "203.0.113.8")
    bans.ban("203.0.113.7", "bad_order", "x", "an unknown order")
    assert [record.source for record in bans.in_force()] == [ATTACKER, "203.0.113.8", "203.0.113.7"]
    clock.advance(30)
    assert bans.in_force()[0] == later


async def test_a_restart_forgets_nothing(make: Make, bans: Bans, clock: FixedClock) -> None:
    """Bans, their count and failures outlast the process, each with just the time it had left."""
    record = earn(bans)
    fail(bans, 4, source="203.0.113.8")
    clock.advance(20)
    clock._monotonic = 5.0
    again = make()
    await again.load()
    assert again.find(ATTACKER) == record
    assert again.remaining(record) == pytest.approx(40)
    assert again.failed("203.0.113.8", "home", "login") is not None
    clock.advance(40)
    assert again.find(ATTACKER) is None
    assert earn(again).count == 2


async def test_a_restart_brings_nothing_back(make: Make, bans: Bans, clock: FixedClock) -> None:
    """What was lifted, cleared, spent or too old before a restart stays so after it."""
    fail(bans, 4, source="203.0.113.7")
    clock.advance(RULES.window)
    earn(bans)
    bans.lift(ATTACKER)
    fail(bans, 4, source="203.0.113.8")
    bans.succeeded("203.0.113.8", "home")
    again = make()
    await again.load()
    assert again.find(ATTACKER) is None
    for source in (ATTACKER, "203.0.113.8", "203.0.113.7"):
        assert fail(again, 4, source=source) == [None] * 4


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_a_clock_step_touches_no_live_ban(bans: Bans, clock: FixedClock, step: float) -> None:
    """Setting the wall clock by a day neither ends nor prolongs a ban, nor makes failures older or younger."""
    record = earn(bans)
    fail(bans, 4, source="203.0.113.8")
    clock.step(step)
    assert bans.find(ATTACKER) == record
    assert bans.remaining(record) == pytest.approx(60)
    assert bans.failed("203.0.113.8", "home", "login") is not None
    clock.advance(60)
    assert bans.find(ATTACKER) is None
    assert earn(bans).count == 2


@pytest.mark.parametrize("step", [-DAY, DAY])
async def test_a_clock_step_over_a_restart_costs_no_more_than_the_step(
    make: Make, bans: Bans, clock: FixedClock, step: float
) -> None:
    """A wall clock set by a day before a restart frees or prolongs by at most that day."""
    record = earn(bans)
    fail(bans, 4, source="203.0.113.8")
    clock.step(step)
    again = make()
    await again.load()
    assert again.remaining(record) == pytest.approx(max(0.0, 60 - step))
    clock.advance(RULES.window)
    assert again.failed("203.0.113.8", "home", "login") is None


def test_memory_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sources fail, however often, a bounded number is remembered, and the last ones are."""
    monkeypatch.setattr(ban, "MAX_SOURCES", 10)
    bans = make(BanRules(max_failures=3))
    for number in range(100):
        fail(bans, 2, source=f"10.0.0.{number}")
    for number in range(100):
        fail(bans, 3, source=f"10.0.1.{number}")
    assert len(bans._failures) <= 10
    assert [record.source for record in bans.in_force()] == [f"10.0.1.{number}" for number in range(90, 100)]
    fail(bans, 1000, user="x" * 10_000)
    assert len(bans._bans) <= 10
    assert all(len(failures) < 3 for failures in bans._failures.values())
    found = bans.find(ATTACKER)
    assert found is not None
    assert len(found.evidence) < 300


def test_flooding_frees_no_one_who_keeps_coming(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is reached costs the source not heard of for longest, never one that has just been banned again."""
    monkeypatch.setattr(ban, "MAX_SOURCES", 10)
    bans = make()
    earn(bans)
    for number in range(9):
        earn(bans, f"10.0.0.{number}")
    again = earn(bans)
    for number in range(5):
        earn(bans, f"10.0.1.{number}")
    assert bans.find(ATTACKER) == again


def test_a_window_of_one_failure(make: Make) -> None:
    """With `max_failures = 1` the first failure is the ban."""
    bans = make(BanRules(max_failures=1, first=Duration(5)))
    record = bans.failed(ATTACKER, "home", "login")
    assert record is not None
    assert record.until - record.at == 5
