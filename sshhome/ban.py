"""A ban is a temporary refusal of a source after failed logins; here failures are counted and bans decided."""

import ipaddress
import random
from collections import deque
from collections.abc import Sequence

import msgspec

from sshhome.clock import Clock, iso
from sshhome.config import BanRules, never_networks
from sshhome.quantity import span
from sshhome.store import BanRecord, Failure, Store

#: Sources remembered at once; beyond it the one heard of first is forgotten.
MAX_SOURCES = 65_536
_JITTER = 0.1


def address_of(text: str) -> str:
    """Return an address without its zone, an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) as IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def source_of(text: str) -> str:
    """Return what is counted and banned together: an IPv4 address, or the /64 of an IPv6 address."""
    address = ipaddress.ip_address(address_of(text))
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def facts(ban: BanRecord) -> dict[str, object]:
    """Return what the audit log shall know of a ban."""
    told = msgspec.structs.asdict(ban)
    del told["at"]
    return told | {"until": iso(ban.until)}


class _Live(msgspec.Struct):
    """A ban in force: the record that is stored, and its end on the monotonic clock."""

    record: BanRecord
    ends: float


class Bans:
    """Failed logins and bans by source: in memory for the look-up, in the store so that a restart forgets nothing."""

    def __init__(self, rules: BanRules, clock: Clock, store: Store, chance: random.Random | None = None) -> None:
        """Start empty; `load` brings back what the store holds. Raises SiteError for a bad `never` network."""
        self._rules = rules
        self._clock = clock
        self._store = store
        self._chance = chance or random.Random()  # noqa: S311 (jitter, not a secret)
        self._bans: dict[str, _Live] = {}
        self._failures: dict[str, deque[tuple[float, str]]] = {}
        self._never = never_networks(rules)

    async def load(self) -> None:
        """Bring back bans and recent failures; each keeps just the time it had left."""
        now, live = self._clock.now(), self._clock.monotonic()
        for record in await self._store.bans():
            self._bans[record.source] = _Live(record, live + record.until - now)
        for failure in await self._store.failures(now - self._rules.window):
            age = max(0.0, now - failure.at)
            self._failures.setdefault(failure.source, deque()).append((live - age, failure.user))

    def find(self, address: str) -> BanRecord | None:
        """Return the ban in force on an address, or None; O(1)."""
        live = self._bans.get(source_of(address))
        return live.record if live is not None and live.ends > self._clock.monotonic() else None

    def remaining(self, record: BanRecord) -> float:
        """Return the seconds a ban still has to run."""
        live = self._bans.get(record.source)
        return max(0.0, live.ends - self._clock.monotonic()) if live else 0.0

    def reason(self, record: BanRecord) -> str:
        """Return the line that the banned person reads in their terminal."""
        return f"{record.rule} from {record.source}, try again in {span(self.remaining(record))}"

    def failed(self, address: str, user: str, kind: str) -> BanRecord | None:
        """Count one failed login; return the ban it earns, if it does."""
        if self._exempt(address):
            return None
        source = source_of(address)
        now = self._clock.monotonic()
        # Put last, so that a full table forgets who was not heard of for longest.
        failures = self._failures[source] = self._failures.pop(source, deque())
        failures.append((now, user))
        while failures[0][0] <= now - self._rules.window:
            failures.popleft()
        self._bound(self._failures)
        self._store.add_failure(Failure(source, user, self._clock.now()))
        if len(failures) < self._rules.max_failures:
            return None
        names = sorted({name for _, name in failures})
        return self.ban(address, kind, f"{len(failures)} as {', '.join(names)[:200]}", "too many failed logins")

    def ban(self, address: str, kind: str, evidence: str, rule: str) -> BanRecord | None:
        """Ban a source now, longer than the last time; return the ban, or None for an exempt source."""
        if self._exempt(address):
            return None
        source, now = source_of(address), self._clock.monotonic()
        last = self._bans.get(source)
        count = 0
        # A source that stayed quiet for longer than its last ban, and than the window, starts anew.
        if last is not None and now - last.ends <= max(self._rules.window, last.record.until - last.record.at):
            count = last.record.count
        length = float(self._rules.first)
        for _ in range(count):
            length *= self._rules.factor
            if length >= self._rules.longest or self._rules.factor == 1:
                break
        length = min(length, self._rules.longest)
        length += length * _JITTER * self._chance.random()
        at = self._clock.now()
        record = BanRecord(source, at, at + length, count + 1, kind, evidence, rule)
        self._bans.pop(source, None)
        self._bans[source] = _Live(record, now + length)
        self._bound(self._bans)
        self._failures.pop(source, None)
        self._store.put_ban(record)
        self._store.forget_failures(source)
        return record

    def succeeded(self, address: str, user: str) -> None:
        """Forget the failures of this user from this source, and of no other pair."""
        source = source_of(address)
        failures = self._failures.get(source)
        if failures and any(name == user for _, name in failures):
            self._failures[source] = deque(failure for failure in failures if failure[1] != user)
            self._store.forget_failures(source, user)

    def lift(self, text: str) -> BanRecord | None:
        """End the ban of an address or source as `list` shows it; return it, or None if there is none in force."""
        source = text if text in self._bans else source_of(text)
        live = self._bans.get(source)
        if live is None or live.ends <= self._clock.monotonic():
            return None
        del self._bans[source]
        self._store.remove_ban(source)
        return live.record

    def in_force(self) -> Sequence[BanRecord]:
        """Return all bans in force, the one that ends soonest first."""
        now = self._clock.monotonic()
        live = sorted((ban for ban in self._bans.values() if ban.ends > now), key=lambda ban: ban.ends)
        return [ban.record for ban in live]

    def _exempt(self, address: str) -> bool:
        return any(ipaddress.ip_address(address_of(address)) in network for network in self._never)

    @staticmethod
    def _bound(table: dict[str, _Live] | dict[str, deque[tuple[float, str]]]) -> None:
        if len(table) > MAX_SOURCES:
            del table[next(iter(table))]
