"""The /64s of one IPv6 /56 are neighbours: one customer often has them all, and a ban of just one stops nobody."""

from collections.abc import Sequence

from sshhome.clock import Clock
from sshhome.expiring import Expiring
from sshhome.source import Origin

#: Neighbours banned within the window that ban their /56. Two may be two people of one provider; three are one guesser
#: who goes on with the next network whenever one is banned.
SEVERAL = 3


class Neighbours:
    """Which networks of each /56 earned a ban lately: the last few are remembered."""

    def __init__(self, clock: Clock) -> None:
        """Start with none."""
        self._clock = clock
        self._known: Expiring[dict[str, float]] = Expiring(clock.monotonic)

    def note(self, origin: Origin, at: float, window: float) -> None:
        """Remember a ban, earned at a moment on the monotonic clock, for as long as it counts."""
        if origin.wide:
            earned = {**(self._known.get(origin.wide) or {}), origin.source: at}
            last = sorted(earned.items(), key=lambda pair: pair[1])[-SEVERAL:]
            self._known.put(origin.wide, dict(last), last[-1][1] + window)

    def lately(self, wide: str, window: float) -> Sequence[str]:
        """Return those that earned a ban within the window, the latest last."""
        since = self._clock.monotonic() - window
        return [source for source, at in (self._known.get(wide) or {}).items() if at > since]

    def forget(self, origin: Origin) -> None:
        """Forget the ban of a network, or of all that are in a /56."""
        self._known.pop(origin.source)
        (self._known.get(origin.wide) or {}).pop(origin.source, None)
