"""Things that are told of twice: a lamp that two conventions, or two backends, know by one hardware address."""

from collections.abc import Collection


class Twins:
    """Tells which of several tellers counts for a thing: the one of the lowest rank, with all that it tells of it."""

    def __init__(self) -> None:
        """Start with nothing told."""
        self._told: dict[str, dict[int, set[str]]] = {}

    def tell(self, hardware: str, rank: int, key: str) -> Collection[str]:
        """Take note of a key under which a teller knows a thing; returns the keys that count no more."""
        if not hardware:
            return ()
        ranks = self._told.setdefault(hardware, {})
        first = min(ranks, default=rank)
        ranks.setdefault(rank, set()).add(key)
        return set(ranks[first]) if rank < first else ()

    def counts(self, hardware: str, rank: int) -> bool:
        """Return whether nobody of a lower rank tells of a thing."""
        return not hardware or min(self._told.get(hardware, ()), default=rank) >= rank

    def forget(self, hardware: str, rank: int, key: str) -> Collection[str]:
        """Forget a key; returns the keys that count from now on."""
        ranks = self._told.get(hardware, {})
        keys = ranks.get(rank)
        if keys is None:
            return ()
        keys.discard(key)
        if keys:
            return ()
        first = min(ranks)
        del ranks[rank]
        if not ranks:
            del self._told[hardware]
            return ()
        return set(ranks[min(ranks)]) if rank == first else ()
