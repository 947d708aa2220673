"""A table of bounded size whose entries end by themselves: what bans, penalties and slow-downs are kept in."""

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

V = TypeVar("V")

#: Entries that a table holds at most, as many sources as sshd(8) remembers: some 80 MiB when all tables are full.
LIMIT = 65_536


class Expiring(Generic[V]):
    """Entries by name, each with its end on the monotonic clock; a look-up is O(1), a change O(log n).

    A full table gives up the entry that ends soonest for a new one, so that a flood of newcomers frees none of
    those who are to stay for long. Entries that have ended are cleared away as others come.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Start empty; `now` is a monotonic clock."""
        self._now = now
        self._limit = LIMIT
        self._entries: dict[str, tuple[float, V]] = {}
        # By their end; what it says of an entry that has changed since is stale, and passed over.
        self._ends: list[tuple[float, str]] = []

    def get(self, name: str) -> V | None:
        """Return an entry that has not ended, or None."""
        entry = self._entries.get(name)
        return entry[1] if entry is not None and entry[0] > self._now() else None

    def remaining(self, name: str) -> float:
        """Return the seconds until an entry ends; 0 for one that has ended, or is not there."""
        entry = self._entries.get(name)
        return max(0.0, entry[0] - self._now()) if entry is not None else 0.0

    def put(self, name: str, value: V, ends: float) -> None:
        """Enter a value in place of any other of its name; one that has ended already takes nobody's room."""
        self._clear()
        if ends <= self._now():
            self._entries.pop(name, None)
            return
        if name not in self._entries and len(self._entries) >= self._limit:
            self._drop_soonest()
        self._entries[name] = (ends, value)
        heapq.heappush(self._ends, (ends, name))
        if len(self._ends) > 2 * len(self._entries) + 64:
            self._ends = [(end, known) for known, (end, _) in self._entries.items()]
            heapq.heapify(self._ends)

    def pop(self, name: str) -> V | None:
        """Take an entry out and return it, or None if it has ended or is not there."""
        value = self.get(name)
        self._entries.pop(name, None)
        return value

    def __iter__(self) -> Iterator[tuple[str, V]]:
        """Yield every name and value that has not ended, the one that ends soonest first."""
        now = self._now()
        live = sorted((ends, name) for name, (ends, _) in self._entries.items() if ends > now)
        return iter([(name, self._entries[name][1]) for _, name in live])

    def __len__(self) -> int:
        """Return how many entries there are, not counting those that have ended."""
        self._clear()
        return len(self._entries)

    def _clear(self) -> None:
        """Drop the entries that have ended; each was entered once, so this costs no more than that did."""
        now = self._now()
        while self._ends and self._ends[0][0] <= now:
            ends, name = heapq.heappop(self._ends)
            if self._is(name, ends):
                del self._entries[name]

    def _drop_soonest(self) -> None:
        while True:
            ends, name = heapq.heappop(self._ends)
            if self._is(name, ends):
                del self._entries[name]
                return

    def _is(self, name: str, ends: float) -> bool:
        """Return whether this is still the end of that entry."""
        entry = self._entries.get(name)
        return entry is not None and entry[0] == ends
