"""A macro is a name for orders that somebody gives often; each is decided when it runs, as if it had been typed.

A user has macros of their own, and all have those that are shared; of two with one name their own counts.
"""

from collections.abc import Sequence

from sshhome.errors import BadArguments
from sshhome.store import Macro, Store

#: Whose the macros are that all have; no user is called so.
SHARED = ""
#: Macros of one user, and of all; the characters of one.
_MOST, _LONGEST = 50, 1000


class Macros:
    """All macros, in memory and in the store."""

    def __init__(self, store: Store) -> None:
        """Start with none; see `load`."""
        self._store = store
        self._known: dict[str, dict[str, Macro]] = {SHARED: {}}

    async def load(self) -> None:
        """Take over what the store knows; raises SiteError."""
        for macro in await self._store.macros():
            self._known.setdefault(macro.user, {})[macro.name] = macro

    def find(self, user: str, name: str) -> Macro | None:
        """Return the macro that a user means by a name, if there is one; as with orders, its letters may be large."""
        name = name.lower()
        return self._known.get(user, {}).get(name) or self._known[SHARED].get(name)

    def of(self, user: str) -> Sequence[Macro]:
        """Return what a user has, by name."""
        return [macro for _, macro in sorted((self._known[SHARED] | self._known.get(user, {})).items())]

    def own(self, user: str, name: str) -> Macro:
        """Return a macro of a user's own, or one that is shared for `SHARED`; raises BadArguments."""
        name = name.lower()
        macro = self._known.get(user, {}).get(name)
        if macro is None:
            shared = user != SHARED and name in self._known[SHARED]
            hint = "it is shared: `macro unshare` ends that" if shared else "`macro list` lists yours"
            raise BadArguments(f"no macro '{name[:80]}'" + (" of your own" if shared else ""), hint)
        return macro

    def keep(self, macro: Macro) -> None:
        """Keep a macro in place of any other of its name; raises BadArguments when there are too many, or too much."""
        if len(macro.orders) > _LONGEST:
            raise BadArguments(f"a macro may be {_LONGEST} characters long")
        known = self._known.setdefault(macro.user, {})
        if macro.name not in known and len(known) >= _MOST:
            raise BadArguments(f"no more than {_MOST} macros", "`macro list` lists them, `macro remove` removes one")
        known[macro.name] = macro
        self._store.put_macro(macro)

    def remove(self, macro: Macro) -> None:
        """Forget a macro."""
        self._known[macro.user].pop(macro.name, None)
        self._store.remove_macro(macro.user, macro.name)

    def people(self) -> Sequence[str]:
        """Return who has macros of their own."""
        return [user for user in self._known if user != SHARED]

    def forget(self, user: str) -> None:
        """Forget a user who is gone, as the store's `forget_user` does; what they have shared stays."""
        self._known.pop(user, None)
