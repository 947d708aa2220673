"""How much anyone gets, worked out: how likely a newcomer is turned away, and how often a user may give orders."""

import random
from collections import OrderedDict
from collections.abc import Callable

from sshhome.config import Limits

#: Users whose rate is remembered at once; the one who has been quiet for longest is forgotten, with a full bucket.
_MAX_BUCKETS = 4096


def turned_away(limits: Limits, waiting: int, chance: random.Random) -> bool:
    """Return whether a newcomer is dropped while so many have yet to log in (`MaxStartups` in sshd_config(5))."""
    startups = limits.startups
    if waiting < startups.begin:
        return False
    if waiting >= startups.full:
        return True
    further = (waiting - startups.begin) / (startups.full - startups.begin)
    return chance.random() * 100 < startups.percent + (100 - startups.percent) * further


class Rate:
    """A token bucket for each name: `burst` at once, then `a_minute`."""

    def __init__(self, a_minute: float, burst: int, now: Callable[[], float]) -> None:
        """Start with every bucket full; `now` is a monotonic clock."""
        self._a_second = a_minute / 60
        self._burst = burst
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = self._now()
        tokens, then = self._buckets.get(name, (float(self._burst), now))
        tokens = min(self._burst, tokens + max(0.0, now - then) * self._a_second)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._a_second
        self._buckets[name] = (tokens if wait else tokens - 1, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait
