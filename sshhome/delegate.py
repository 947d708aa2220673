"""Nobody hands out what they do not hold: whether the rights of whoever gives certainly contain what they would give.

It is read off the rules as they are written, and so is true of devices that come tomorrow too. Where the rules alone
do not tell, the answer is no. How a key may be used, from where and until when, is about the key; what is handed out
is measured by the grants of its owner and of the key, and by the end of the owner.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

import msgspec

from sshhome.grant import Grant, Privilege
from sshhome.policy import Policy
from sshhome.session import Standing
from sshhome.source import Network, Origin, covering
from sshhome.user import User

#: Every sign that a glob can name, and one that stands for all others.
_SIGNS = (*map(chr, range(128)), "é")


def widening(giver: Standing, before: User | None, after: User) -> str:
    """Return why somebody may not change a user so, or nothing: whatever is new to that user must be held.

    So must all that a user may who could not come in before, or not in this way: who changes that could come in as
    them. A role lets in as well, by a certificate for it.
    """
    denies = [grant for grant in after.grants if grant.deny]
    gained: list[tuple[Grant, ...]] = []
    if before is None or _opens(before, after):
        gained = [(grant,) for grant in after.grants if not grant.deny]
    else:
        gained = [(grant,) for grant in after.grants if not grant.deny and grant not in before.grants]
        lifted = [g for g in before.grants if g.deny and not any(_bars_as_much(other, g) for other in denies)]
        for grant in after.grants:
            # What a deny held back is in the scope of either rule: to hold one of the two is enough.
            gained += (
                (grant, msgspec.structs.replace(grant, scope=deny.scope))
                for deny in lifted
                if not grant.deny and _touches(deny, grant)
            )
    for ways in gained:
        missing = [lacking(giver, _until(grant, after.until), denies) for grant in ways]
        if all(missing):
            return missing[-1]
    return ""


def lacking(giver: Standing, grant: Grant, beside: Sequence[Grant] = ()) -> str:
    """Return why somebody does not certainly hold all that a grant gives, or nothing.

    A deny of theirs does not matter where one that is at least as wide is `beside` the grant.
    """
    ends = giver.user.until
    if ends is not None and (grant.until is None or grant.until > ends):
        return f"{_named(grant)} would outlast you yourself"
    return next((why for policy in giver.rights.policies if (why := _lacking(policy, grant, beside))), "")


def looks_after(user: User, now: float) -> bool:
    """Return whether a user can log in and run the server, today and tomorrow, on no condition."""
    running = Grant(Privilege.ADMIN)
    return (
        user.until is None
        and user.can_log_in(now)
        and any(grant.plain and not grant.deny and grant.privilege is Privilege.ADMIN for grant in user.grants)
        and not any(grant.deny and _touches(grant, running) for grant in user.grants)
    )


def _opens(before: User, after: User) -> bool:
    """Return whether somebody can come in as a user after a change who could not before it."""
    return bool(
        (before.frozen and not after.frozen)
        or _later(before.until, after.until)
        or set(after.keys) - set(before.keys)
        or (after.password and after.password != before.password)
        or (after.totp, after.require) != (before.totp, before.require)
        or set(after.roles) - set(before.roles)
    )


def _later(before: float | None, after: float | None) -> bool:
    return before is not None and (after is None or after > before)


def _until(grant: Grant, ends: float | None) -> Grant:
    """Return a grant as it is for a user who ends."""
    return msgspec.structs.replace(grant, until=ends) if _later(ends, grant.until) else grant


def _named(grant: Grant) -> str:
    return f"'{Grant(grant.privilege, grant.scope).rule}'"


# -- one grant in a policy --------------------------------------------------------------------------------------------


def _lacking(policy: Policy, grant: Grant, beside: Iterable[Grant]) -> str:
    near = [
        held
        for held in policy.grants
        if not held.deny and held.gives(grant.privilege) and _contains(held.scope, grant.scope)
    ]
    if not near:
        return f"you do not hold {_named(grant)} yourself"
    if not any(_asks_no_more(held, grant) for held in near):
        return f"you hold no more than '{near[0].rule}' yourself"
    for deny in policy.grants:
        if deny.deny and _touches(deny, grant) and not any(_bars_as_much(other, deny) for other in beside):
            return f"'{deny.rule}' keeps you from some of {_named(grant)}"
    return ""


def _asks_no_more(held: Grant, grant: Grant) -> bool:
    """Return whether each condition of a grant that is held is on the other one too, and as strict."""
    if _later(held.until, grant.until):
        return False
    if held.sources and not (grant.sources and all(_is_in(source, held) for source in grant.sources)):
        return False
    if grant.privilege is Privilege.READ and held.privilege is not Privilege.READ:
        # Whoever may operate a device may look at it, whatever the operating takes.
        return True
    return (
        not held.uses
        and (held.when is None or (grant.when is not None and grant.when.within(held.when)))
        and (held.values is None or (grant.values is not None and grant.values.within(held.values)))
        and set(held.house) <= set(grant.house)
        and held.step_up in {"", grant.step_up}
        and (not held.orders or (bool(grant.orders) and set(grant.orders) <= set(held.orders)))
    )


def _is_in(source: Network, held: Grant) -> bool:
    return covering(Origin(source.network_address, source.broadcast_address, ""), held.sources) is not None


def _touches(deny: Grant, grant: Grant) -> bool:
    """Return whether a deny may bar some of what a grant gives."""
    if deny.privilege not in {Privilege.READ, grant.privilege}:
        return False
    if grant.privilege is Privilege.ADMIN:
        # It is about no device: a deny of some bars nothing of it.
        return deny.scope == "*"
    return _meet(deny.scope, grant.scope)


def _bars_as_much(deny: Grant, other: Grant) -> bool:
    """Return whether a deny bars all that another one bars."""
    same = {"privilege": other.privilege, "scope": other.scope, "origin": other.origin}
    return (
        deny.privilege in {Privilege.READ, other.privilege}
        and _contains(deny.scope, other.scope)
        and (deny.plain or msgspec.structs.replace(deny, **same) == other)
    )


# -- scopes -----------------------------------------------------------------------------------------------------------


def _contains(outer: str, inner: str) -> bool:
    """Return whether every device of one scope is certainly in another: what is in a room, no glob tells."""
    if outer in {"*", inner}:
        return True
    return not outer.startswith("@") and not inner.startswith("@") and _covers(_signs(outer), _signs(inner))


def _meet(one: str, other: str) -> bool:
    """Return whether a device may be in both scopes."""
    rooms = one.startswith("@"), other.startswith("@")
    if any(rooms):
        return one == other or not all(rooms)
    return _overlap(_signs(one), _signs(other))


_Signs = tuple[frozenset[str] | None, ...]


@lru_cache(maxsize=1024)
def _signs(glob: str) -> _Signs:
    """Return which signs may stand at each place of what a glob matches; None is for any number of any."""
    places: list[frozenset[str] | None] = []
    at = 0
    while at < len(glob):
        end = at + 1
        if glob[at] == "[":
            # As fnmatch reads it: a ] that comes first is one of the set, a [ without an end is itself.
            first = at + 1 + glob.startswith("!", at + 1)
            end = glob.find("]", first + 1) + 1 or at + 1
        part = glob[at:end]
        places.append(None if part == "*" else frozenset(sign for sign in _SIGNS if fnmatch.fnmatchcase(sign, part)))
        at = end
    return tuple(places)


def _covers(outer: _Signs, inner: _Signs) -> bool:
    """Return whether one glob certainly matches all that another one does."""

    @cache
    def from_here(at: int, there: int) -> bool:
        if there == len(inner):
            return all(signs is None for signs in outer[at:])
        if at == len(outer):
            return False
        mine, theirs = outer[at], inner[there]
        if mine is None:
            return from_here(at + 1, there) or from_here(at, there + 1)
        return theirs is not None and theirs <= mine and from_here(at + 1, there + 1)

    return from_here(0, 0)


def _overlap(one: _Signs, other: _Signs) -> bool:
    """Return whether anything is matched by both globs."""

    @cache
    def from_here(at: int, there: int) -> bool:
        if at == len(one) or there == len(other):
            return all(signs is None for signs in (*one[at:], *other[there:]))
        mine, theirs = one[at], other[there]
        if mine is None or theirs is None:
            return from_here(at + 1, there) or from_here(at, there + 1)
        return bool(mine & theirs) and from_here(at + 1, there + 1)

    return from_here(0, 0)
