"""Forgets what is remembered of users whose file is gone, whoever took it away: another of that name finds nothing."""

import asyncio
from typing import Protocol

from sshhome.clock import Clock
from sshhome.errors import SiteError
from sshhome.journal import Journal
from sshhome.macro import Macros
from sshhome.recall import Recall
from sshhome.schedule import Schedules
from sshhome.store import Store
from sshhome.user import Users
from sshhome.uses import Uses

#: Seconds that a file must be missing: some editors take it away for a moment when they save it.
_AFTER = 10.0
_LOOK_EVERY = 2.0


class Remembers(Protocol):
    """What remembers something of users."""

    @property
    def journal(self) -> Journal:
        """Their changes."""

    @property
    def uses(self) -> Uses:
        """How often they have used a grant."""

    @property
    def macros(self) -> Macros:
        """Their macros."""

    @property
    def schedules(self) -> Schedules:
        """What they have had kept, to be given later."""

    @property
    def store(self) -> Store:
        """All of these, and their logins."""

    @property
    def recall(self) -> Recall:
        """What they typed, and how they like their shells."""


def forget(known: Remembers, login: str) -> None:
    """Forget all that is remembered of a user."""
    known.journal.forget(login)
    known.uses.forget(login)
    known.macros.forget(login)
    known.schedules.forget(login)
    known.store.forget_user(login)
    known.recall.forget(login)


class Gone:
    """Looks for users whose file is gone, also those of whom something is remembered from before the server started."""

    def __init__(self, known: Remembers, users: Users, clock: Clock) -> None:
        """Look once `watch` runs."""
        self._known = known
        self._users = users
        self._clock = clock
        parts = (known.recall, known.macros, known.journal, known.uses, known.schedules)
        self._there = {name for part in parts for name in part.people()}
        self._missing: dict[str, float] = {}

    async def watch(self) -> None:
        """Look every now and then, for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Forget who has been gone for a while."""
        try:
            there = set(self._users.files())
        except SiteError:
            return
        if not there:
            # A folder that is not where it should be, as when a disk is not mounted, is no wish of anybody's.
            return
        now = self._clock.monotonic()
        self._there |= there
        self._missing = {login: self._missing.get(login, now) for login in self._there - there}
        for login, since in self._missing.items():
            if now - since >= _AFTER:
                forget(self._known, login)
                self._there.discard(login)
