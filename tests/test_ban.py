"""Failed logins are counted by source, earn bans that grow, and are remembered over a restart."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome import expiring
from sshhome.ban import LONGEST_BY_HAND, Bans
from sshhome.config import BanRules, Duration
from sshhome.errors import BadArguments, SiteError
from sshhome.penalty import Penalty
from sshhome.store import BanRecord, Change, Delivery, DeviceRecord, Failure, LoginRecord, Macro, Repeatable, Schedule
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
    clock.advance(quiet - 0.5)
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
    assert bans.lift("2001:db8::2") == [record]
    assert bans.lift("2001:db8::2") == []
    assert bans.lift(ATTACKER) != []
    assert bans.in_force() == []
    assert earn(bans, "2001:db8::1").count == 1
    assert bans.lift("2001:db8::/64") != []
    with pytest.raises(BadArguments, match="'nonsense' is no address"):
        bans.lift("nonsense")


def test_bans_are_listed_by_their_end(bans: Bans, clock: FixedClock) -> None:
    """The ban that ends soonest is listed first, and one that has ended not at all."""
    earn(bans)
    clock.advance(30)
    later = earn(bans, "203.0.113.8")
    bans.ban("203.0.113.7", "bad_order", "x", "an unknown order")
    assert [record.source for record in bans.in_force()] == [ATTACKER, "203.0.113.7", "203.0.113.8"]
    clock.advance(30)
    assert bans.in_force()[1] == later


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
    """A wall clock set forward before a restart frees by no more than that, and one set back makes no ban longer."""
    record = earn(bans)
    fail(bans, 4, source="203.0.113.8")
    clock.step(step)
    again = make()
    await again.load()
    assert again.remaining(record) == pytest.approx(max(0.0, 60 - step) if step > 0 else 60)
    clock.advance(RULES.window)
    assert again.failed("203.0.113.8", "home", "login") is None


def test_memory_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sources fail, however often and as whom, a bounded number is remembered, and a bounded text."""
    monkeypatch.setattr(expiring, "LIMIT", 10)
    bans = make(BanRules(max_failures=3))
    for number in range(100):
        fail(bans, 2, source=f"10.0.0.{number}")
    for number in range(100):
        fail(bans, 3, source=f"2001:db8:{number}::1")
    assert len(bans._failures) <= 10
    assert len(bans._bans) == len(bans._past) == len(bans._neighbours._known) == 10
    fail(bans, 2, user="x" * 10_000)
    assert bans._failures.get(ATTACKER) == [(1000.0, "x" * 64)] * 2
    found = bans.failed(ATTACKER, "y" * 10_000, "login")
    assert found is not None
    assert len(found.evidence) < 300


def test_failures_of_a_source_are_bounded(make: Make) -> None:
    """Of one source no more failures are remembered than earn a ban, also when rules change meanwhile."""
    bans = make(BanRules(max_failures=100))
    fail(bans, 90)
    assert len(bans._recent(ATTACKER)) == 90
    bans.reconfigure(RULES)
    earn(bans, "203.0.113.8")
    bans._count(ATTACKER, "home", 1000.0)
    assert len(bans._recent(ATTACKER)) == RULES.max_failures


def test_a_flood_frees_those_who_would_be_free_first(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound it is the ban that ends soonest that goes, not the one that was set first."""
    monkeypatch.setattr(expiring, "LIMIT", 10)
    bans = make()
    longest = [earn(bans) for _ in range(3)][-1]
    for number in range(100):
        bans.ban(f"10.0.0.{number}", "login", "5 as home", "too many failed logins")
        assert bans.find(f"10.0.0.{number}") is not None
    assert bans.find(ATTACKER) == longest
    assert len(bans.in_force()) == 10


class Forgetful:
    """A store that keeps nothing, and a few things it is told to tell."""

    def __init__(self, bans: Sequence[BanRecord] = ()) -> None:
        """Tell of these bans."""
        self.told = bans
        self.changed = False
        self.fails = False
        self.reading: list[asyncio.Future[None]] = []

    async def bans(self) -> Sequence[BanRecord]:
        """Return the bans, after whatever is to come before."""
        told = self.told
        for waiting in self.reading:
            await waiting
        if self.fails:
            raise SiteError("the store: disk I/O error")
        return told

    async def failures(self, since: float) -> Sequence[Failure]:
        """Return nothing."""
        return []

    async def changes(self) -> Sequence[Change]:
        """Return nothing."""
        return []

    async def uses(self) -> Mapping[tuple[str, str], int]:
        """Return nothing."""
        return {}

    async def logins(self, user: str) -> Sequence[LoginRecord]:
        """Return nothing."""
        return []

    async def changed_elsewhere(self) -> bool:
        """Return what it is told to, once."""
        changed, self.changed = self.changed, False
        return changed

    def put_ban(self, ban: BanRecord) -> None:
        """Forget it."""

    def remove_ban(self, source: str) -> None:
        """Forget it."""

    def add_failure(self, failure: Failure) -> None:
        """Forget it."""

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget them."""

    def put_change(self, change: Change) -> None:
        """Forget it."""

    def remove_change(self, number: int) -> None:
        """Forget it."""

    async def devices(self) -> Sequence[DeviceRecord]:
        """Return none."""
        return ()

    def put_device(self, record: DeviceRecord) -> None:
        """Keep nothing."""

    async def macros(self) -> Sequence[Macro]:
        """Return none."""
        return ()

    def put_macro(self, macro: Macro) -> None:
        """Forget it."""

    def remove_macro(self, user: str, name: str) -> None:
        """Forget it."""

    async def repeatable(self, user: str, way: str, key: str, since: float) -> Repeatable | None:
        """Know none."""
        return None

    async def begin_repeatable(self, begun: Repeatable, since: float) -> None:
        """Forget it."""

    async def end_repeatable(self, ended: Repeatable) -> None:
        """Forget it."""

    async def deliveries(self) -> Sequence[Delivery]:
        """Return none."""
        return ()

    def put_delivery(self, delivery: Delivery) -> None:
        """Forget it."""

    def remove_delivery(self, number: int) -> None:
        """Forget it."""

    async def schedules(self) -> Sequence[Schedule]:
        """Return none."""
        return ()

    def put_schedule(self, schedule: Schedule) -> None:
        """Forget it."""

    def remove_schedule(self, number: int) -> None:
        """Forget it."""

    def put_use(self, user: str, grant: str, used: int) -> None:
        """Forget it."""

    def add_login(self, record: LoginRecord) -> None:
        """Forget it."""

    def count_failed_login(self, user: str) -> None:
        """Forget it."""

    def forget_user(self, user: str) -> None:
        """Forget them."""

    async def settle(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.flood
def test_two_hundred_thousand_bans(clock: FixedClock) -> None:
    """However many sources are banned, each of them is at once, and as many stay so as there is room for."""
    bans = Bans(RULES, clock, Forgetful(), NoChance())
    for number in range(200_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        bans.ban(address, "login", "5 as home", "too many failed logins")
    assert bans.find(address) is not None
    assert len(bans._bans) == len(bans._past) == expiring.LIMIT


def test_a_window_of_one_failure(make: Make) -> None:
    """With `max_failures = 1` the first failure is the ban."""
    bans = make(BanRules(max_failures=1, first=Duration(5)))
    record = bans.failed(ATTACKER, "home", "login")
    assert record is not None
    assert record.until - record.at == 5


# -- networks of one customer -----------------------------------------------------------------------------------------


def network(number: int, host: int = 1) -> str:
    """Return an address in one of the 256 networks of a /56."""
    return f"2001:db8:0:{number:x}::{host}"


def test_the_third_network_takes_its_56_along(bans: Bans) -> None:
    """Two banned /64s of one /56 are two; with the third the whole /56 is banned, and the ban names them."""
    assert [earn(bans, network(number)).source for number in range(2)] == ["2001:db8::/64", "2001:db8:0:1::/64"]
    assert bans.find(network(2)) is None
    record = earn(bans, network(2))
    assert record.source == "2001:db8::/56"
    assert (record.kind, record.rule) == ("neighbours", "too many banned networks")
    assert record.evidence == "2001:db8::/64, 2001:db8:0:1::/64, 2001:db8:0:2::/64; the last for 5 as home"
    for number in (2, 3, 255):
        assert bans.find(network(number)) == record
    assert bans.find("2001:db8:0:100::1") is None


def test_neighbours_are_different_ones_within_the_window(bans: Bans, clock: FixedClock) -> None:
    """One network banned three times is one; so is another whose ban was earned longer ago than the window."""
    for _ in range(3):
        earn(bans, network(0))
    earn(bans, network(1))
    clock.advance(RULES.window)
    earn(bans, network(2))
    assert earn(bans, network(3)).source == "2001:db8:0:3::/64"
    assert earn(bans, network(4)).source == "2001:db8::/56"


def test_ipv4_has_no_neighbours(bans: Bans) -> None:
    """An IPv4 address answers for itself alone, in whichever form it comes."""
    for number in range(50):
        assert earn(bans, f"::ffff:203.0.113.{number}").source == f"203.0.113.{number}"
    assert bans.find("203.0.113.99") is None


def test_a_56_is_banned_for_longer_each_time(bans: Bans, clock: FixedClock) -> None:
    """Each further network bans the /56 anew, for twice as long, and never for less than its own ban would be."""
    for number in range(2):
        earn(bans, network(number))
    lengths = []
    for number in range(2, 5):
        record = earn(bans, network(number))
        lengths.append(record.until - record.at)
        clock.advance(record.until - record.at)
    assert lengths == [60, 120, 240]
    bans.lift("2001:db8::/56")
    for _ in range(5):
        offender = earn(bans, network(9))
    clock.advance(offender.until - offender.at)
    for number in (1, 2):
        earn(bans, network(number))
    last = earn(bans, network(9))
    assert last.source == "2001:db8::/56"
    assert last.until - last.at == 2 * (offender.until - offender.at)


def test_the_ban_that_ends_later_is_told(bans: Bans, clock: FixedClock) -> None:
    """Where a network and its /56 are banned, it is the one that ends later that the banned person reads of."""
    for _ in range(3):
        own = earn(bans, network(0))
    earn(bans, network(1))
    clock.advance(1)
    around = earn(bans, network(2))
    assert bans.find(network(0)) == own
    assert bans.find(network(1)) == around
    assert bans.holding(network(0)) == [own, around]


async def test_neighbours_outlast_a_restart(make: Make, bans: Bans, clock: FixedClock) -> None:
    """Two banned networks before a restart and one after it are three, unless the window is over by then."""
    for number in range(2):
        earn(bans, network(number))
        earn(bans, f"2001:db8:ff:{number}::1")
    clock.advance(RULES.window - 1)
    again = make()
    await again.load()
    assert earn(again, network(2)).source == "2001:db8::/56"
    clock.advance(1)
    assert earn(again, "2001:db8:ff:2::1").source == "2001:db8:ff:2::/64"


def test_lifting_a_56_and_its_networks(bans: Bans) -> None:
    """An address is let in again however it was banned; a /56 alone leaves the bans of its networks as they are."""
    own = [earn(bans, network(number)) for number in range(2)]
    around = earn(bans, network(2))
    assert bans.lift("2001:db8::/56") == [around]
    assert [bans.find(network(number)) for number in range(3)] == [*own, None]
    assert earn(bans, network(3)).source == "2001:db8:0:3::/64"
    assert earn(bans, network(4)).source == "2001:db8:0:4::/64"
    assert earn(bans, network(5)).source == "2001:db8::/56"


def test_a_lifted_network_is_no_neighbour(bans: Bans) -> None:
    """A ban that was lifted does not count for the /56, and an address is free once all that held for it is lifted."""
    for number in range(2):
        earn(bans, network(number))
    assert len(bans.lift(network(0))) == 1
    assert earn(bans, network(2)).source == "2001:db8:0:2::/64"
    around = earn(bans, network(3))
    assert around.source == "2001:db8::/56"
    assert [ban.source for ban in bans.lift(network(1))] == ["2001:db8:0:1::/64", "2001:db8::/56"]
    assert bans.find(network(1)) is None


# -- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "source", "address"),
    [
        (ATTACKER, ATTACKER, ATTACKER),
        (f"::ffff:{ATTACKER}", ATTACKER, ATTACKER),
        ("2001:db8::1", "2001:db8::/64", "2001:db8::ffff"),
        ("2001:db8:0:1::/56", "2001:db8::/56", "2001:db8:0:ff::1"),
    ],
)
async def test_by_hand(make: Make, clock: FixedClock, text: str, source: str, address: str) -> None:
    """Whoever is banned by hand is so for just the time that was said, says who did it, and outlasts a restart."""
    bans = make()
    record = bans.add(text, 3600, "anna")
    assert record == BanRecord(source, NOON, NOON + 3600, 1, "manual", "by anna", "logins refused by hand")
    assert bans.reason(record) == f"logins refused by hand from {source}, try again in 1 h"
    clock.advance(3599)
    again = make()
    await again.load()
    assert again.find(address) == bans.find(address) == record
    clock.advance(1)
    assert again.find(address) is bans.find(address) is None


def test_by_hand_or_earned(bans: Bans, clock: FixedClock) -> None:
    """A ban by hand takes the place of any other; an earned one replaces it only where it lasts longer."""
    earn(bans)
    record = bans.add(ATTACKER, 100, "anna")
    assert bans.find(ATTACKER) == record
    assert record.count == 2
    longer = bans.ban(ATTACKER, "login", "5 as home", "too many failed logins")
    assert longer is not None
    assert longer.until == NOON + 240
    bans.add(ATTACKER, DAY, "anna")
    assert bans.ban(ATTACKER, "bad_order", "x", "an unknown order") is None
    assert bans.in_force()[0].kind == "manual"


def test_by_hand_says_nothing_of_neighbours(bans: Bans) -> None:
    """Networks that a person banned one by one do not get their /56 banned."""
    for number in range(5):
        bans.add(network(number), 60, "anna")
    assert earn(bans, network(9)).source == "2001:db8:0:9::/64"


@pytest.mark.parametrize("seconds", [0.0, 0.25, -1.0, LONGEST_BY_HAND + 1, 1e12, float("nan")])
def test_by_hand_for_a_sensible_time(bans: Bans, seconds: float) -> None:
    """A ban by hand lasts a second at least and a year at most."""
    if seconds == seconds:  # noqa: PLR0124 (not for what is no number)
        with pytest.raises(BadArguments, match="a ban lasts 1 s to 366 d"):
            bans.add(ATTACKER, seconds, "anna")
    assert bans.in_force() == []


def test_never_by_hand(make: Make) -> None:
    """A `never` network is not banned by hand either, and the refusal names it; a network around it may be."""
    bans = make(BanRules(never=("10.0.0.0/8", "2001:db8::5/128")))
    with pytest.raises(BadArguments, match=r"10\.1\.2\.3 is never banned") as error:
        bans.add("10.1.2.3", 60, "anna")
    assert error.value.hint == "bans.never has 10.0.0.0/8"
    bans.add("2001:db8::/64", 60, "anna")
    assert bans.find("2001:db8::5") is None
    assert bans.find("2001:db8::6") is not None


# -- explaining -------------------------------------------------------------------------------------------------------


def test_explaining_somebody_unknown(bans: Bans) -> None:
    """Of a source that did nothing it is told what it would take to be banned."""
    known = bans.explain(f"::ffff:{ATTACKER}")
    assert (known.source, known.ban, known.penalty, known.never) == (ATTACKER, None, None, "")
    assert (known.failures, known.neighbours) == ([], [])
    assert (known.tries, known.would_ban, known.seconds) == (5, ATTACKER, 60)


def test_explaining_who_is_about_to_be_banned(bans: Bans, clock: FixedClock) -> None:
    """Failures that count are told with their names and ages, and what the next one does."""
    earn(bans)
    clock.advance(60)
    fail(bans, 1, user="old")
    clock.advance(RULES.window - 20)
    fail(bans, 1)
    clock.advance(20)
    fail(bans, 1, user="root")
    bans.penalties.add(ATTACKER, "crash")
    known = bans.explain(ATTACKER)
    assert known.failures == [("home", 20.0), ("root", 0.0)]
    assert known.penalty == Penalty(ATTACKER, "crash", 90.0, active=True)
    assert (known.tries, known.would_ban, known.seconds) == (3, ATTACKER, 60)
    fail(bans, 2)
    assert bans.explain(ATTACKER).tries == 1
    record = bans.failed(ATTACKER, "home", "login")
    assert record is not None
    assert (record.source, record.until - record.at) == (known.would_ban, known.seconds)


def test_explaining_who_is_banned(bans: Bans) -> None:
    """A ban is told whole; nobody who is banned can try again."""
    record = earn(bans)
    known = bans.explain(ATTACKER)
    assert (known.ban, known.failures, known.tries, known.would_ban) == (record, [], 0, "")


def test_explaining_a_network_and_its_56(bans: Bans) -> None:
    """Of a network in a /56 it is told which others were banned, and that the /56 comes next, and then is."""
    for number in range(2):
        earn(bans, network(number))
    known = bans.explain(network(2))
    assert known.neighbours == ["2001:db8::/64", "2001:db8:0:1::/64"]
    assert (known.tries, known.would_ban, known.seconds) == (5, "2001:db8::/56", 60)
    assert bans.explain("2001:db8::/56").neighbours == known.neighbours
    assert bans.explain("2001:db8::/56").tries == 0
    around = earn(bans, network(2))
    assert bans.explain(network(7)).ban == bans.explain("2001:db8::/56").ban == around


def test_explaining_never(make: Make) -> None:
    """Of an exempt source it is told by which network, and that nothing will ban it."""
    known = make(BanRules(never=("10.0.0.0/8",))).explain("10.1.2.3")
    assert (known.never, known.tries, known.would_ban, known.seconds) == ("10.0.0.0/8", 0, "", 0)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text() | st.from_regex(r"[0-9a-f:.]{1,20}(%\w{1,4})?(/[0-9]{1,3})?", fullmatch=True), st.floats())
async def test_any_source_is_an_answer_or_bad_arguments(bans: Bans, text: str, seconds: float) -> None:
    """Whatever is said for a source and a time, it is banned, explained and lifted, or BadArguments."""
    with contextlib.suppress(BadArguments):
        record = bans.add(text, seconds, "anna")
        assert bans.explain(text).ban == record
        assert bans.lift(text)[0] == record
        assert bans.lift(record.source) == []


def test_what_cannot_be_encoded_is_banned_and_kept(bans: Bans, store: SqliteStore) -> None:
    """A name with half a surrogate neither breaks the store nor goes on counting after a success."""
    fail(bans, 4, user="\ud800")
    bans.succeeded(ATTACKER, "\ud800")
    assert bans.explain(ATTACKER).failures == []
    for name in ("\ud800", "\udfff\x00"):
        fail(bans, 2, user=name)
    record = bans.failed(ATTACKER, "home", "login")
    assert record is not None
    record.evidence.encode()


# -- other rules ------------------------------------------------------------------------------------------------------


def test_rules_change_while_it_runs(bans: Bans) -> None:
    """Other rules hold from the next failure on; bans that were set stay."""
    first = earn(bans)
    fail(bans, 3, source="203.0.113.8")
    bans.reconfigure(BanRules(max_failures=2, first=Duration(10)))
    record = bans.failed("203.0.113.8", "home", "login")
    assert record is not None
    assert record.until - record.at == 10
    assert bans.remaining(first) == 60


def test_never_holds_at_once(bans: Bans) -> None:
    """Whoever becomes exempt is let in though a ban or penalty exists, and refused again once exempt no more."""
    record = earn(bans)
    bans.penalties.add(ATTACKER, "crash")
    bans.reconfigure(BanRules(never=(f"{ATTACKER}/32",)))
    assert bans.find(ATTACKER) is None
    assert bans.penalties.find(ATTACKER) is None
    assert bans.explain(ATTACKER).ban == record
    bans.reconfigure(RULES)
    assert bans.find(ATTACKER) == record
    assert bans.penalties.find(ATTACKER) is not None


def test_bad_rules_change_nothing(bans: Bans) -> None:
    """Rules that are not understood leave those in force that were."""
    bans.reconfigure(BanRules(never=("10.0.0.0/8",)))
    with pytest.raises(SiteError):
        bans.reconfigure(BanRules(max_failures=1, never=("home",)))
    assert bans.rules.max_failures == 5
    assert bans.failed("10.0.0.1", "home", "login") is None
    assert bans.explain("10.0.0.1").never == "10.0.0.0/8"


# -- what another process changes -------------------------------------------------------------------------------------


@pytest.fixture
async def elsewhere(tmp_path: Path, store: SqliteStore, clock: FixedClock) -> AsyncIterator[Bans]:
    """Return the bans as another process on the same file has them."""
    other = await SqliteStore.open(tmp_path / "test.db")
    yield Bans(RULES, clock, other, NoChance())
    await other.close()


async def kept(bans: Bans) -> None:
    """Wait until what was changed is in the store."""
    await bans._store.settle()


async def test_what_another_process_changes_is_taken_over(
    bans: Bans, elsewhere: Bans, store: SqliteStore, clock: FixedClock
) -> None:
    """A ban that is set or lifted through the store by another process is so here at the next refresh."""
    record = earn(bans)
    await kept(bans)
    await bans.refresh()
    assert bans.find(ATTACKER) == record
    await elsewhere.load()
    by_hand = elsewhere.add("2001:db8::/56", 600, "command line")
    assert elsewhere.lift(ATTACKER) == [record]
    await kept(elsewhere)
    assert bans.find(ATTACKER) == record
    clock.advance(5)
    await bans.refresh()
    assert bans.find(ATTACKER) is None
    assert bans.find("2001:db8::1") == by_hand
    assert bans.remaining(by_hand) == pytest.approx(595)
    assert earn(bans).count == 1


async def test_a_refresh_touches_nothing_else(bans: Bans, elsewhere: Bans, clock: FixedClock) -> None:
    """Bans that nobody changed elsewhere keep their end and their count, though the wall clock was set meanwhile."""
    record = earn(bans)
    ended = earn(bans, "203.0.113.8")
    await kept(bans)
    clock.step(-DAY)
    elsewhere.add("198.51.100.1", 600, "command line")
    await kept(elsewhere)
    await bans.refresh()
    assert bans.remaining(record) == 60
    clock.advance(61)
    await bans.refresh()
    assert earn(bans, ended.source).count == 2


async def test_what_changes_here_meanwhile_stays(clock: FixedClock) -> None:
    """A ban that is set or lifted here while the store is being read is not undone by what was read."""
    lifted = BanRecord("203.0.113.7", NOON, NOON + 60, 1, "login", "", "")
    store = Forgetful([lifted])
    bans = Bans(RULES, clock, store, NoChance())
    await bans.load()
    waiting = asyncio.get_running_loop().create_future()
    store.reading, store.changed = [waiting], True
    reading = asyncio.create_task(bans.refresh())
    await asyncio.sleep(0)
    record = earn(bans)
    bans.lift(lifted.source)
    store.told = []
    waiting.set_result(None)
    await reading
    assert bans.in_force() == [record]


async def test_a_store_that_cannot_be_read_is_read_later(clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    """A refresh that fails changes nothing, says so once, and is made up for as soon as it can be."""
    store = Forgetful()
    bans = Bans(RULES, clock, store, NoChance())
    record = earn(bans)
    store.changed = store.fails = True
    for _ in range(5):
        await bans.refresh()
    assert bans.find(ATTACKER) == record
    assert [line.message for line in caplog.records] == ["bans: the store: disk I/O error"]
    store.fails = False
    await bans.refresh()
    assert bans.find(ATTACKER) is None


async def test_an_unknown_row_keeps_nobody_out(clock: FixedClock) -> None:
    """What somebody wrote into the store by hand, and is no source, neither stops a start nor a refresh."""
    store = Forgetful([BanRecord("home", NOON, NOON + 60, 1, "login", "", "")])
    bans = Bans(RULES, clock, store, NoChance())
    await bans.load()
    store.told, store.changed = [], True
    await bans.refresh()
    assert bans.in_force() == []
