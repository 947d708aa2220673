"""A slow-down makes passwords of one user be checked later, the more were wrong lately, wherever they come from.

It stops who guesses from many sources, each too seldom to be banned. It never locks: whoever has the password waits
for some seconds at most, and a key is never asked about here.
"""

from sshhome.clock import Clock
from sshhome.expiring import Expiring
from sshhome.source import source_of

#: Seconds for which a wrong password counts.
WINDOW = 600.0
#: Wrong passwords that cost nothing; a person mistypes.
FREE = 3
#: Seconds that the first one after those costs the next password, doubling with each, and the most it ever costs.
FIRST, LONGEST = 0.5, 5.0
#: Wrong passwords remembered of a user: twice as many as lead to the longest delay.
_KEPT = 16
#: Characters of a name that tell it from others; no user's is as long.
_NAME = 64


class Slowdown:
    """Wrong passwords by the name they were tried for; one that nobody has is slowed down like any other."""

    def __init__(self, clock: Clock) -> None:
        """Start with nothing."""
        self._clock = clock
        self._failures: Expiring[list[tuple[float, str]]] = Expiring(clock.monotonic)

    def delay(self, user: str) -> float:
        """Return the seconds to wait before a password of this user is checked, whether it is right or wrong."""
        since = self._clock.monotonic() - WINDOW
        # Names are told apart as they were typed, since that is how users are looked up.
        counted = sum(at > since for at, _ in self._failures.get(user[:_NAME]) or ())
        return min(FIRST * 2.0 ** (counted - FREE - 1), LONGEST) if counted > FREE else 0.0

    def failed(self, address: str, user: str) -> None:
        """Count a wrong password."""
        now, name = self._clock.monotonic(), user[:_NAME]
        failures = [*(self._failures.get(name) or ()), (now, source_of(address))]
        self._failures.put(name, failures[-_KEPT:], now + WINDOW)

    def succeeded(self, address: str, user: str) -> None:
        """Forget what this user got wrong from this source; what others tried from elsewhere goes on counting."""
        name, source = user[:_NAME], source_of(address)
        left = [failure for failure in self._failures.get(name) or () if failure[1] != source]
        if left:
            self._failures.put(name, left, left[-1][0] + WINDOW)
        else:
            self._failures.pop(name)
