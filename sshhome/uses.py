"""How often a counted grant was used: a use is taken before the order runs, and given back if nothing was sent."""

from collections.abc import Sequence

from sshhome.errors import Denied
from sshhome.grant import Grant
from sshhome.store import Store


class Uses:
    """The uses of every user's counted grants, in memory and in the store."""

    def __init__(self, store: Store) -> None:
        """Start with none; see `load`."""
        self._store = store
        self._used: dict[tuple[str, str], int] = {}

    async def load(self) -> None:
        """Take over what the store knows; raises SiteError."""
        self._used = dict(await self._store.uses())

    def used(self, user: str, grant_id: str) -> int:
        """Return how often a user has used a grant."""
        return self._used.get((user, grant_id), 0)

    async def take(self, user: str, grants: Sequence[Grant]) -> None:
        """Take one use of each of these grants; done only once that would outlive a crash.

        Raises Denied when one has none left, and SiteError when it cannot be kept: then nothing is taken.
        """
        if not grants:
            return
        # Nothing is waited for from here to the count: of two orders at once the second finds it counted.
        for grant in grants:
            if self.used(user, grant.id) >= grant.uses:
                raise Denied(f"used {grant.uses} of {grant.uses} times")
        self._add(user, grants, 1)
        try:
            await self._store.settle()
        except BaseException:
            self.give_back(user, grants)
            raise

    def give_back(self, user: str, grants: Sequence[Grant]) -> None:
        """Give the uses back of an order that did nothing; a user who is gone meanwhile has none."""
        self._add(user, [grant for grant in grants if self.used(user, grant.id)], -1)

    def people(self) -> set[str]:
        """Return the users of whom it is known that they have used something."""
        return {user for user, _ in self._used}

    def forget(self, user: str) -> None:
        """Forget a user who is gone, as the store's `forget_user` does: another of the same name starts afresh."""
        self._used = {known: used for known, used in self._used.items() if known[0] != user}

    def _add(self, user: str, grants: Sequence[Grant], by: int) -> None:
        for grant in grants:
            used = self._used[user, grant.id] = self.used(user, grant.id) + by
            self._store.put_use(user, grant.id, used)
