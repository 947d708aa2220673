"""A store remembers what must outlive a process: here what one must offer, in `stores/` the ones there are."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class BanRecord(msgspec.Struct, frozen=True):
    """A ban as it is stored; times are seconds since the epoch, `count` is how many this source has had."""

    source: str
    at: float
    until: float
    count: int
    kind: str
    evidence: str
    rule: str


class Failure(msgspec.Struct, frozen=True):
    """One failed login; the time is seconds since the epoch."""

    source: str
    user: str
    at: float


class Store(Protocol):
    """What is remembered; changes are queued and kept in order, reads see every change made before them.

    Reads raise SiteError when they cannot be done.
    """

    async def bans(self) -> Sequence[BanRecord]:
        """Return every ban, also those that have ended: the next one is longer for them."""

    async def failures(self, since: float) -> Sequence[Failure]:
        """Return the failed logins since a moment, oldest first."""

    async def changed_elsewhere(self) -> bool:
        """Return whether another process has changed anything since the last time this was asked; cheap."""

    def put_ban(self, ban: BanRecord) -> None:
        """Keep a ban in place of any other of its source."""

    def remove_ban(self, source: str) -> None:
        """Forget the ban of a source."""

    def add_failure(self, failure: Failure) -> None:
        """Keep a failed login."""

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget the failures of a source, or just those of one user from it."""

    async def settle(self) -> None:
        """Wait for what is queued; raises SiteError when a change so far could not be kept."""

    async def close(self) -> None:
        """Finish what is queued and let go."""
