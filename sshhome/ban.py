"""A ban is a temporary refusal of a source after failed logins; here failures are counted and bans decided."""

import contextlib
import logging
import math
import random
from collections.abc import Sequence

import msgspec

from sshhome.clock import Clock, iso
from sshhome.config import BanRules, never_networks
from sshhome.errors import BadArguments, SiteError
from sshhome.expiring import Expiring
from sshhome.neighbours import SEVERAL, Neighbours
from sshhome.penalty import Penalties, Penalty
from sshhome.quantity import span
from sshhome.source import Network, Origin, covering, origin_named, origin_of
from sshhome.store import BanRecord, Failure, Store

log = logging.getLogger(__name__)

#: Seconds that a ban by hand takes unless it is told otherwise, and at most: an address comes to be somebody else's.
BY_HAND, LONGEST_BY_HAND = 3600.0, 366 * 86400.0
_JITTER = 0.1
#: Characters kept of what an attacker wrote: a name, and the evidence of a ban.
_NAME, _EVIDENCE = 64, 240


def facts(ban: BanRecord) -> dict[str, object]:
    """Return what the audit log shall know of a ban."""
    told = msgspec.structs.asdict(ban)
    del told["at"]
    return told | {"until": iso(ban.until)}


class Explanation(msgspec.Struct, frozen=True):
    """All that is known about a source.

    `never` is the network that exempts it; `failures` are the names tried within the window, each with the seconds
    since; `neighbours` the networks of its /56 that earned a ban within the window. One more failed login than
    `tries - 1` bans `would_ban` for so many seconds, and with no tries nothing will.
    """

    source: str
    ban: BanRecord | None
    never: str
    failures: Sequence[tuple[str, float]]
    neighbours: Sequence[str]
    penalty: Penalty | None
    tries: int
    would_ban: str
    seconds: float


class _Sentence(msgspec.Struct, frozen=True):
    """What the next ban will be: of which source, its how-manieth, for how long, and the neighbours it is for."""

    source: str
    count: int
    length: float
    neighbours: Sequence[str] = ()


class Bans:
    """Failed logins and bans by source: in memory for the look-up, in the store so that a restart forgets nothing."""

    def __init__(self, rules: BanRules, clock: Clock, store: Store, chance: random.Random | None = None) -> None:
        """Start empty; `load` brings back what the store holds. Raises SiteError for a bad `never` network."""
        self.rules = rules
        #: What is no failed login; kept here so that one `never` exempts from both.
        self.penalties = Penalties(clock)
        self._clock = clock
        self._store = store
        self._chance = chance or random.Random()  # noqa: S311 (jitter, not a secret)
        self._bans: Expiring[BanRecord] = Expiring(clock.monotonic)
        # Bans that count for the next one's length: those in force, and those that ended a short while ago.
        self._past: Expiring[BanRecord] = Expiring(clock.monotonic)
        self._failures: Expiring[list[tuple[float, str]]] = Expiring(clock.monotonic)
        self._neighbours = Neighbours(clock)
        # What has changed here while the store is being read; whether it is to be read anew, and could not be.
        self._own: set[str] | None = None
        self._behind = self._unreadable = False
        self._never: Sequence[Network] = ()
        self.reconfigure(rules)

    def reconfigure(self, rules: BanRules) -> None:
        """Go by other rules from now on; raises SiteError, and changes nothing, for a bad `never` network."""
        self.penalties.never = self._never = never_networks(rules)
        self.rules = rules

    # -- what the store holds -----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Bring back bans and recent failures; each keeps just the time it had left. Raises SiteError."""
        for record in await self._store.bans():
            self._take(record)
        since = self._clock.now() - self.rules.window
        for failure in await self._store.failures(since):
            age = max(0.0, self._clock.now() - failure.at)
            self._count(failure.source, failure.user, self._clock.monotonic() - age)

    async def refresh(self) -> None:
        """Take over what another process has changed, such as `sshhome ban lift`; cheap when none has."""
        own: set[str] = set()
        try:
            self._behind = await self._store.changed_elsewhere() or self._behind
            if not self._behind:
                return
            self._own = own
            stored = {record.source: record for record in await self._store.bans()}
        except SiteError as error:
            if not self._unreadable:
                log.error("bans: %s", error.message)
            self._unreadable = True
            return
        finally:
            self._own = None
        self._behind = self._unreadable = False
        # What has changed here meanwhile may be newer than what was read.
        for source, _ in self._past:
            if source not in stored and source not in own:
                self._forget(source)
        for source, record in stored.items():
            if source not in own and self._past.get(source) != record:
                self._take(record)

    def _take(self, record: BanRecord) -> None:
        """Take over a stored ban, which is never longer than it was meant to be, however the wall clock was set."""
        length = record.until - record.at
        ends = self._clock.monotonic() + min(record.until - self._clock.now(), length)
        self._enter(record, ends)
        # What was set by hand says nothing of the neighbours; what somebody wrote into the store may say anything.
        if record.kind != "manual":
            with contextlib.suppress(BadArguments):
                self._neighbours.note(origin_named(record.source), ends - length, self.rules.window)

    # -- the look-up --------------------------------------------------------------------------------------------------

    def find(self, address: str) -> BanRecord | None:
        """Return the ban in force on an address, or None; of two the one that ends later; O(1)."""
        origin = origin_of(address)
        found = self._in_force(origin)
        return found if found is not None and covering(origin, self._never) is None else None

    def _in_force(self, origin: Origin) -> BanRecord | None:
        own = self._bans.get(origin.source)
        around = self._bans.get(origin.wide) if origin.wide else None
        if own is None or around is None:
            return own or around
        return max(own, around, key=self.remaining)

    def remaining(self, record: BanRecord) -> float:
        """Return the seconds a ban still has to run."""
        return self._bans.remaining(record.source)

    def reason(self, record: BanRecord) -> str:
        """Return the line that the banned person reads in their terminal."""
        return f"{record.rule} from {record.source}, try again in {span(self.remaining(record))}"

    def in_force(self) -> Sequence[BanRecord]:
        """Return all bans in force, the one that ends soonest first."""
        return [record for _, record in self._bans]

    # -- counting and banning -----------------------------------------------------------------------------------------

    def failed(self, address: str, user: str, kind: str) -> BanRecord | None:
        """Count one failed login; return the ban it earns, if it does."""
        origin = origin_of(address)
        if covering(origin, self._never) is not None:
            return None
        user = _harmless(user, _NAME)
        failures = self._count(origin.source, user, self._clock.monotonic())
        self._store.add_failure(Failure(origin.source, user, self._clock.now()))
        if len(failures) < self.rules.max_failures:
            return None
        names = sorted({name for _, name in failures})
        return self.ban(address, kind, f"{len(failures)} as {', '.join(names)}", "too many failed logins")

    def succeeded(self, address: str, user: str) -> None:
        """Forget the failures of this user from this source, and of no other pair."""
        source, user = origin_of(address).source, _harmless(user, _NAME)
        failures = self._failures.get(source) or ()
        left = [failure for failure in failures if failure[1] != user]
        if len(left) == len(failures):
            return
        if left:
            self._failures.put(source, left, left[-1][0] + self.rules.window)
        else:
            self._failures.pop(source)
        self._store.forget_failures(source, user)

    def ban(self, address: str, kind: str, evidence: str, rule: str) -> BanRecord | None:
        """Ban a source now, longer than the last time, and with too many of its neighbours all of their /56.

        Returns the ban; or None for an exempt source, and for one that is banned for longer already.
        """
        origin = origin_of(address)
        if covering(origin, self._never) is not None:
            return None
        sentence = self._sentence(origin)
        self._neighbours.note(origin, self._clock.monotonic(), self.rules.window)
        self._spend(origin.source)
        length = sentence.length + sentence.length * _JITTER * self._chance.random()
        if length <= self._bans.remaining(sentence.source):
            return None
        sentence = msgspec.structs.replace(sentence, length=length)
        if sentence.neighbours:
            kind, rule = "neighbours", "too many banned networks"
            evidence = f"{', '.join(sentence.neighbours)}; the last for {evidence}"
        return self._set(sentence, kind, evidence, rule)

    def add(self, text: str, seconds: float, by: str) -> BanRecord:
        """Ban an address or source by hand, in place of any other ban of it; raises BadArguments."""
        origin = origin_named(text)
        never = covering(origin, self._never)
        if never is not None:
            raise BadArguments(f"{text} is never banned", f"bans.never has {never}")
        if not 1 <= seconds <= LONGEST_BY_HAND:
            raise BadArguments(f"a ban lasts 1 s to {span(LONGEST_BY_HAND)}, not {span(seconds)}")
        self._spend(origin.source)
        sentence = _Sentence(origin.source, self._count_of(origin.source) + 1, seconds)
        return self._set(sentence, "manual", f"by {by}", "logins refused by hand")

    def holding(self, text: str) -> Sequence[BanRecord]:
        """Return every ban in force on an address or source, that of its /56 included; raises BadArguments."""
        origin = origin_named(text)
        return [ban for source in (origin.source, origin.wide) if (ban := self._bans.get(source)) is not None]

    def lift(self, text: str) -> Sequence[BanRecord]:
        """End every ban that `holding` returns, and return them; raises BadArguments."""
        lifted = self.holding(text)
        for ban in lifted:
            self._forget(ban.source)
            self._store.remove_ban(ban.source)
        return lifted

    def explain(self, text: str) -> Explanation:
        """Return all that is known about an address or source; raises BadArguments."""
        origin = origin_named(text)
        never = covering(origin, self._never)
        ban, now = self._in_force(origin), self._clock.monotonic()
        failures = [(name, now - at) for at, name in self._recent(origin.source)]
        sentence = self._sentence(origin)
        tries = max(1, self.rules.max_failures - len(failures))
        # Whoever cannot try, or is never counted; and failures are counted by network, not by /56.
        if ban is not None or never is not None or origin.is_wide:
            tries = 0
        return Explanation(
            source=origin.source,
            ban=ban,
            never=str(never or ""),
            failures=failures,
            neighbours=self._neighbours.lately(origin.wide or origin.source, self.rules.window),
            penalty=self.penalties.known(origin),
            tries=tries,
            would_ban=sentence.source if tries else "",
            seconds=sentence.length if tries else 0.0,
        )

    # -- how long, and for whom ---------------------------------------------------------------------------------------

    def _sentence(self, origin: Origin) -> _Sentence:
        """Return what the next ban that an origin earns will be."""
        rules, source, neighbours = self.rules, origin.source, list[str]()
        if origin.wide:
            others = [other for other in self._neighbours.lately(origin.wide, rules.window) if other != source]
            if len(others) + 1 >= SEVERAL:
                source, neighbours = origin.wide, [*others[1 - SEVERAL :], source]
        # The ban of a /56 is no shorter than the network's own would be.
        count = max(self._count_of(source), self._count_of(origin.source))
        # Logarithms, since a high factor and count would overflow.
        doublings = math.inf if rules.factor == 1 else math.log(rules.longest / rules.first, rules.factor)
        length = float(rules.first * rules.factor**count) if count < doublings else math.inf
        return _Sentence(source, count + 1, min(length, float(rules.longest)), neighbours)

    def _count_of(self, source: str) -> int:
        """Return the bans a source has had, until it stays quiet for longer than its last one, and than the window."""
        past = self._past.get(source)
        return past.count if past is not None else 0

    def _set(self, sentence: _Sentence, kind: str, evidence: str, rule: str) -> BanRecord:
        at, evidence = self._clock.now(), _harmless(evidence, _EVIDENCE)
        record = BanRecord(sentence.source, at, at + sentence.length, sentence.count, kind, evidence, rule)
        self._enter(record, self._clock.monotonic() + sentence.length)
        self._changed(record.source)
        self._store.put_ban(record)
        return record

    def _enter(self, record: BanRecord, ends: float) -> None:
        quiet = max(self.rules.window, record.until - record.at)
        self._past.put(record.source, record, ends + quiet)
        self._bans.put(record.source, record, ends)

    def _forget(self, source: str) -> None:
        """Forget a ban, that it was, and that its neighbours could suffer from it."""
        self._bans.pop(source)
        self._past.pop(source)
        with contextlib.suppress(BadArguments):
            self._neighbours.forget(origin_named(source))
        self._changed(source)

    def _changed(self, source: str) -> None:
        if self._own is not None:
            self._own.add(source)

    # -- failures -----------------------------------------------------------------------------------------------------

    def _recent(self, source: str) -> list[tuple[float, str]]:
        """Return the failures of a source within the window."""
        since = self._clock.monotonic() - self.rules.window
        return [failure for failure in self._failures.get(source) or () if failure[0] > since]

    def _count(self, source: str, user: str, at: float) -> Sequence[tuple[float, str]]:
        """Remember a failure, and return those within the window: never more than a ban takes."""
        failures = [*self._recent(source), (at, user)][-self.rules.max_failures :]
        self._failures.put(source, failures, at + self.rules.window)
        return failures

    def _spend(self, source: str) -> None:
        """Forget the failures of a source: they have earned it a ban."""
        self._failures.pop(source)
        self._store.forget_failures(source)


def _harmless(text: str, most: int) -> str:
    """Return the beginning of a text as any store can keep it: no lone surrogates, which nothing can encode."""
    return text[:most].encode(errors="replace").decode()
