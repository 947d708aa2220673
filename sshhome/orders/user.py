"""Orders about users: who there is, what they may do, and who may no longer come in."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from sshhome.clock import iso
from sshhome.edit import (
    ROLE,
    Edit,
    add_grant,
    add_key,
    add_role,
    all_of,
    check_role,
    grant_given,
    one_or_all,
    parts,
    put,
    remove_held,
)
from sshhome.errors import BadArguments
from sshhome.grant import STEP_UPS, Privilege
from sshhome.handing import and_ended, change_user, remove_user
from sshhome.order import Column, Context, Table, order
from sshhome.param import GRANTS, Choice, HowMany, Moment, Named, Text, Times, UserName
from sshhome.when import moment, parse_moment, parse_when


class UserInfo(msgspec.Struct, frozen=True):
    """A user as an admin may know it; never a key or a hash. `until` is when they end, `issued_by` makes it a pass."""

    user: str
    name: str
    roles: Sequence[str]
    keys: int
    password: bool
    sessions: int
    frozen: bool
    until: str
    issued_by: str
    #: The same for people.
    state: str


def _users(users: Sequence[UserInfo]) -> Table:
    columns = [
        Column("user", keep=9),
        Column("name", keep=2),
        Column("roles", keep=8),
        Column("keys", keep=3, right=True),
        Column("password", keep=1),
        Column("sessions", keep=4, right=True),
    ]
    if any(u.state for u in users):
        columns.append(Column("state", keep=7, wraps=True))
    rows = [
        (u.user, u.name, ", ".join(u.roles), str(u.keys), "yes" if u.password else "no", str(u.sessions or ""), u.state)
        for u in users
    ]
    return Table(tuple(columns), rows)


@order("user list", needs=Privilege.ADMIN, says=_users)
async def user_list(ctx: Context) -> Sequence[UserInfo]:
    """List the users and their roles."""
    live = [session.login.user for session in ctx.sessions]
    now = ctx.clock.now()
    found = []
    for user in ctx.users:
        state = [f"pass of {user.issued_by}"] if user.issued_by else []
        state += [user.state(now)] if user.state(now) else []
        if user.until is not None and now < user.until:
            state.append(f"until {moment(user.until, ctx.timezone, now)}")
        found.append(
            UserInfo(
                user.login,
                user.name,
                user.roles,
                len(user.keys),
                bool(user.password),
                live.count(user.login),
                user.frozen,
                "" if user.until is None else iso(user.until),
                user.issued_by,
                ", ".join(state),
            )
        )
    return found


class UserRules(msgspec.Struct, frozen=True):
    """What a user may do: each rule with where it is written, roles flattened."""

    user: str
    roles: Sequence[str]
    grants: Sequence[str]


def _rules(rules: UserRules) -> str:
    return "\n".join(
        [f"{rules.user}, {', '.join(rules.roles) or 'no role'}", *(f"  {grant}" for grant in rules.grants)]
    )


@order("user show", needs=Privilege.ADMIN, says=_rules)
async def user_show(ctx: Context, login: UserName) -> UserRules:
    """Tell what a user may do, and where that is written.

    login: the user
    """
    user = ctx.users.named(login)
    return UserRules(user.login, user.roles, [str(grant) for grant in user.grants])


class Changed(msgspec.Struct, frozen=True):
    """What became of a user, and how many of their sessions ended with it."""

    user: str
    says: str
    sessions: int = 0


def _changed(changed: Changed) -> str:
    return changed.says + and_ended(changed.sessions)


@order("user add", needs=Privilege.ADMIN, says=_changed)
async def user_add(
    ctx: Context,
    login: Annotated[str, Text("LOGIN")],
    *,
    name: str = "",
    role: Annotated[str, Named("roles", "ROLE")] = "",
    grant: Annotated[str, Text("GRANT", such=GRANTS)] = "",
    key: Annotated[str, Text("LINE")] = "",
    until: Moment = "",
) -> Changed:
    """Add a user, who may do what you hand out and hold yourself.

    login: the login name, a-z 0-9 _ -
    name: how people call them
    role: a role, or several such as guest,cleaner; guest if there is no grant either
    grant: what they may do, such as control:light.*, or several such as read,control:@kids
    key: their public key, a line as in authorized_keys
    until: when they end, such as tomorrow, 2026-12-24 or '2026-12-24 18:00'
    """
    roles = parts(role) or ([] if grant else ["guest"])
    for one in roles:
        check_role(one, ctx.users.roles)
    if until := ctx.dated(until):
        parse_moment(until, ctx.timezone)
    edits = [add_grant(text, ctx.users.roles) for text in parts(grant)]
    edits += [add_key(key, ctx.users.roles)] if key else []
    fields = put(name=name or login.capitalize(), roles=roles, until=until)
    user, _ = await change_user(ctx, login, all_of(fields, *edits), new=True)
    held = ", ".join([*(f"role {one}" for one in roles), *parts(grant)])
    says = f"added {login} with {held}"
    if not user.can_log_in(ctx.clock.now()):
        says += f"; {login} cannot log in yet: `user key {login} add LINE`"
    return Changed(login, says)


@order("user grant", needs=Privilege.ADMIN, says=_changed)
async def user_grant(
    ctx: Context,
    login: UserName,
    what: Annotated[str, Text("GRANT|role:ROLE", such=GRANTS)],
    *,
    deny: bool = False,
    when: Times = "",
    until: Moment = "",
    values: Annotated[str, Text("NAME=RANGE")] = "",
    from_: Annotated[str, Text("NETWORK")] = "",
    house: Annotated[str, Text("DEVICE=STATE")] = "",
    orders: Annotated[str, Text("ORDER")] = "",
    step_up: Annotated[str, Choice(STEP_UPS)] = "",
    uses: HowMany = 0,
) -> Changed:
    """Let a user do more, of what you hold yourself, or keep them from something.

    login: the user
    what: such as control:light.*, access:lock.front_door, read:@kids or role:guest
    deny: keep them from it
    when: at these times alone, such as 'mon-fri 09:00-12:00', '2026-12-24' or 'today 18:00-20:00'
    until: until then alone, such as tomorrow, 2026-12-24 or '2026-12-24 18:00'
    values: these values alone, such as brightness=..60,color=red
    from_: from these networks alone, such as 192.168.0.0/16
    house: while the house is so alone, such as 'alarm_control_panel.house = disarmed'
    orders: for these orders alone, such as lock,unlock
    step_up: once they have proved more
    uses: so many times alone
    """
    conditions: dict[str, Any] = {
        "when": str(parse_when(ctx.dated(when))) if when else "",
        "until": ctx.dated(until),
        "values": _values(values),
        "from": one_or_all(parts(from_)),
        "house": one_or_all(parts(house)),
        "orders": parts(orders),
        "step_up": step_up,
        "uses": uses,
    }
    given = {name: value for name, value in conditions.items() if value}
    if what.startswith(ROLE):
        if given or deny:
            raise BadArguments("a role is given as it is, without conditions")
        edit: Edit = add_role(what.removeprefix(ROLE), ctx.users.roles)
    else:
        written = {"deny" if deny else "allow": what, **given} if given or deny else what
        grant = grant_given(written, ctx.users.roles)
        for state in grant.house:
            # It would tell how a device is that its giver may not know of.
            if ctx.scope.index.get(state.device_id) is None:
                raise BadArguments(f"no device '{state.device_id}'")
        edit = add_grant(written, ctx.users.roles)
        what = grant.rule
    _, ended = await change_user(ctx, login, edit)
    return Changed(login, f"{login} has '{what}' now", ended)


@order("user revoke", needs=Privilege.ADMIN, says=_changed)
async def user_revoke(
    ctx: Context, login: UserName, what: Annotated[str, Text("GRANT|role:ROLE", rest=True)]
) -> Changed:
    """Take a role or a grant from a user, or a deny, which takes that you hold what it kept them from.

    login: the user
    what: such as role:guest, control:light.*, 'deny read:@kids', or a rule as `user show` tells it
    """
    _, ended = await change_user(ctx, login, remove_held(what, ctx.users.roles))
    return Changed(login, f"{login} no longer has '{what}'", ended)


@order("user freeze", needs=Privilege.ADMIN, says=_changed)
async def user_freeze(ctx: Context, login: UserName) -> Changed:
    """Keep a user out until they are thawed; their sessions end, with all that runs in them, and their schedules rest.

    login: the user
    """
    _, ended = await change_user(ctx, login, put(frozen=True), reason="your user is frozen")
    rest = ctx.schedules.rest(login, "your user was frozen")
    schedules = f"; {rest} schedule{'' if rest == 1 else 's'} paused" if rest else ""
    return Changed(login, f"{login} is frozen{schedules}", ended)


@order("user thaw", needs=Privilege.ADMIN, says=_changed)
async def user_thaw(ctx: Context, login: UserName) -> Changed:
    """Let a frozen user in again, which takes that you hold all that they may.

    login: the user
    """
    await change_user(ctx, login, put(frozen=False))
    return Changed(login, f"{login} is not frozen")


@order("user remove", needs=Privilege.ADMIN, says=_changed)
async def user_remove(ctx: Context, login: UserName) -> Changed:
    """Remove a user; their sessions end, with all that runs in them.

    login: the user
    """
    return Changed(login, f"{login} is removed", await remove_user(ctx, login))


def _values(text: str) -> Mapping[str, str | list[str]]:
    """Return `brightness=..60,color=red,color=blue` as a grant has it; raises BadArguments."""
    found: dict[str, list[str]] = {}
    for part in parts(text):
        name, equals, value = part.partition("=")
        if not equals:
            raise BadArguments(f"--values is such as brightness=..60,color=red, and not '{part}'")
        found.setdefault(name.strip(), []).append(value.strip())
    return {name: one_or_all(values) for name, values in found.items()}
