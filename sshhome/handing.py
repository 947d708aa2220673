"""Handing out and taking back: how an order changes a user other than its giver.

What is handed out is held by whoever gives it, somebody who looks after the house is left, and who loses something
loses it before the order answers: live sessions end, and what runs in them is cut off.
"""

from sshhome.delegate import looks_after, widening
from sshhome.edit import Edit
from sshhome.errors import BadArguments, Denied
from sshhome.gone import forget
from sshhome.grant import Grant
from sshhome.order import Context
from sshhome.user import User


async def change_user(
    ctx: Context, login: str, edit: Edit, *, new: bool = False, reason: str = "what you may do has changed"
) -> tuple[User, int]:
    """Change a user's file and return the user as they are now, and how many of their sessions ended for a reason.

    Raises BadArguments and Denied.
    """
    _not_oneself(ctx, login)
    known: list[User] = []

    def check(before: User | None, after: User) -> None:
        if why := widening(ctx.standing, before, after):
            raise Denied(ctx.standing.rights.veiled(why, lambda id_: ctx.scope.index.get(id_) is not None))
        if before is not None:
            _somebody_is_left(ctx, before, after)
            known.append(before)

    after = ctx.users.edit(login, edit, new=new, check=check)
    if new:
        # Whoever had this name, and was removed by hand, leaves nothing to another.
        forget(ctx, login)
        return after, 0
    (before,) = known
    less = _is_less(before, after)
    ended = await ctx.cut(
        lambda session: session.login.user == login and (less or isinstance(session.standing(), str)), reason
    )
    for grant in _gone(before, after):
        # Who is given the same again may use it as often again.
        ctx.uses.give_back(login, [grant] * ctx.uses.used(login, grant.id))
    return after, ended


async def remove_user(ctx: Context, login: str, reason: str = "your user was removed") -> int:
    """Remove a user's file and all that is remembered of them; return how many of their sessions ended for a reason.

    Raises BadArguments.
    """
    _not_oneself(ctx, login)
    before = ctx.users.get(login)
    if before is not None:
        _somebody_is_left(ctx, before, None)
    ctx.users.remove(login)
    try:
        return await ctx.cut(lambda session: session.login.user == login, reason)
    finally:
        forget(ctx, login)


def and_ended(sessions: int) -> str:
    """Return the end of a sentence that tells how many sessions ended, if any did."""
    return f"; {sessions} session{'' if sessions == 1 else 's'} ended" if sessions else ""


def _not_oneself(ctx: Context, login: str) -> None:
    if login == ctx.user.login:
        raise BadArguments("that is you: somebody else must do it")


def _somebody_is_left(ctx: Context, before: User, after: User | None) -> None:
    """Raise BadArguments when a change of a user leaves nobody who can look after the house."""
    now = ctx.clock.now()
    if not looks_after(before, now) or (after is not None and looks_after(after, now)):
        return
    if not any(looks_after(user, now) for user in ctx.users if user.login != before.login):
        raise BadArguments(
            f"{before.login} is the last who can log in and run the server on no condition",
            "give somebody else the role admin first",
        )


def _is_less(before: User, after: User) -> bool:
    """Return whether a user may do less than before, or may not be here any more."""
    lost = _gone(before, after) or any(grant.deny and grant not in before.grants for grant in after.grants)
    sooner = after.until is not None and (before.until is None or after.until < before.until)
    return bool(lost) or sooner or after.frozen


def _gone(before: User, after: User) -> list[Grant]:
    return [grant for grant in before.grants if not grant.deny and grant not in after.grants]
