"""Orders about users."""

from collections.abc import Sequence

import msgspec

from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order


class UserInfo(msgspec.Struct, frozen=True):
    """A user as an admin may know it; never a key or a hash."""

    user: str
    name: str
    roles: Sequence[str]
    keys: int
    password: bool
    sessions: int


def _users(users: Sequence[UserInfo]) -> Table:
    columns = (
        Column("user", keep=9),
        Column("name", keep=2),
        Column("roles", keep=8),
        Column("keys", keep=3, right=True),
        Column("password", keep=1),
        Column("sessions", keep=4, right=True),
    )
    rows = [
        (u.user, u.name, ", ".join(u.roles), str(u.keys), "yes" if u.password else "no", str(u.sessions or ""))
        for u in users
    ]
    return Table(columns, rows)


@order("user list", needs=Privilege.ADMIN, says=_users)
async def user_list(ctx: Context) -> Sequence[UserInfo]:
    """List the users and their roles."""
    live = [session.login.user for session in ctx.sessions]
    return [
        UserInfo(user.login, user.name, user.roles, len(user.keys), bool(user.password), live.count(user.login))
        for user in ctx.users
    ]
