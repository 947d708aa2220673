"""A penalty is a short refusal of a source for what is no failed login, as PerSourcePenalties of sshd_config(5) has it.

Each fault fills a leaky bucket of seconds, which is kept in memory alone: a minute later all is forgotten.
"""

from collections.abc import Mapping, Sequence

import msgspec

from sshhome.clock import Clock
from sshhome.expiring import Expiring
from sshhome.quantity import span
from sshhome.source import Network, Origin, covering, origin_of

#: Seconds that each kind of fault adds, and the words for it.
KINDS: Mapping[str, tuple[float, str]] = {
    "crash": (90.0, "a connection that broke the server"),
    "protocol": (10.0, "connections that do not speak SSH"),
    "grace": (10.0, "logins that took too long"),
    "noauth": (1.0, "connections without a login"),
}
#: Seconds that are forgiven: a source is refused once it has more, and then until none is left.
MIN = 15.0
#: Seconds that no source has more of, however long it goes on.
MAX = 600.0


class Penalty(msgspec.Struct, frozen=True):
    """What a source has to its name: for which kind of fault last, for how many seconds more, and whether it counts."""

    source: str
    kind: str
    remaining: float
    active: bool

    @property
    def reason(self) -> str:
        """The line that whoever is refused reads in their terminal."""
        return f"{KINDS[self.kind][1]} from {self.source}, try again in {span(self.remaining)}"


class Penalties:
    """The faults of each source; a connection that is refused is none."""

    def __init__(self, clock: Clock, never: Sequence[Network] = ()) -> None:
        """Start with nothing; sources in a `never` network are never refused."""
        self.never = never
        self._clock = clock
        self._faults: Expiring[tuple[str, bool]] = Expiring(clock.monotonic)

    def add(self, address: str, kind: str) -> Penalty | None:
        """Note a fault; return the penalty if the source is refused from now on. Raises KeyError for no kind."""
        seconds, _ = KINDS[kind]
        origin = origin_of(address)
        if covering(origin, self.never) is not None:
            return None
        before = self._faults.get(origin.source)
        remaining = min(self._faults.remaining(origin.source) + seconds, MAX)
        active = remaining > MIN or (before is not None and before[1])
        self._faults.put(origin.source, (kind, active), self._clock.monotonic() + remaining)
        return Penalty(origin.source, kind, remaining, active) if active else None

    def find(self, address: str) -> Penalty | None:
        """Return the penalty that an address is refused for now, or None; O(1)."""
        origin = origin_of(address)
        found = self.known(origin)
        if found is None or not found.active or covering(origin, self.never) is not None:
            return None
        return found

    def known(self, origin: Origin) -> Penalty | None:
        """Return what an origin has to its name, though it may be forgiven, or None."""
        fault = self._faults.get(origin.source)
        return Penalty(origin.source, fault[0], self._faults.remaining(origin.source), fault[1]) if fault else None
