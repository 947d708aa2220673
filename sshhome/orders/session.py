"""Orders about who is connected, and about the session itself."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from sshhome.clock import iso
from sshhome.condition import Facts
from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import SessionName
from sshhome.when import moment
from sshhome.wording import plainly


class Presence(msgspec.Struct, frozen=True):
    """Someone who is connected, as any user may know it."""

    user: str
    name: str
    channel: str
    since: str
    #: The moment for people.
    said: str


class SessionInfo(msgspec.Struct, frozen=True):
    """A live session, as an admin may know it; `key` is a fingerprint, or the method for a password."""

    session: int
    user: str
    source: str
    channel: str
    key: str
    since: str
    orders: int
    #: The moment for people.
    said: str


class Identity(msgspec.Struct, frozen=True):
    """Who you are and what you may do; `grants` are the rules in force, roles flattened, and `may` is what they say.

    Those of a key that is good for less than its owner are beside them: what both allow is allowed.
    """

    user: str
    name: str
    method: str
    key: str
    source: str
    roles: Sequence[str]
    grants: Sequence[str]
    may: Sequence[str]
    key_grants: Sequence[str] = ()
    key_may: Sequence[str] = ()


class Now(msgspec.Struct, frozen=True):
    """The house's time, local and UTC."""

    local: str
    utc: str
    timezone: str


def _about(me: Identity) -> str:
    key = f" ({me.key})" if me.key else ""
    lines = [f"{me.user}, {me.name}, by {me.method}{key} from {me.source}"]
    lines += [f"  {told}" for told in me.may]
    lines += ["with this key no more than"] * bool(me.key_grants)
    lines += [f"  {told}" for told in me.key_may]
    return "\n".join(lines)


@order("whoami", needs=Privilege.READ, says=_about)
async def whoami(ctx: Context) -> Identity:
    """Tell who you are, how you logged in and what you may do."""
    login, user, rights = ctx.session.login, ctx.user, ctx.standing.rights
    facts = Facts(
        ctx.clock.now(),
        ctx.timezone,
        login.source,
        used=lambda grant_id: ctx.uses.used(user.login, grant_id),
        sees=lambda device_id: ctx.scope.index.get(device_id) is not None,
    )
    told = [[rights.veiled(str(grant), facts.sees) for grant in policy.grants] for policy in rights.policies]
    may = [[plainly(grant, facts) for grant in policy.grants] for policy in rights.policies]
    return Identity(
        user.login,
        user.name,
        login.method,
        login.key,
        login.source,
        user.roles,
        told[0],
        may[0],
        [rule for rules in told[1:] for rule in rules],
        [rule for rules in may[1:] for rule in rules],
    )


def _present(people: Sequence[Presence]) -> Table:
    columns = (Column("user", keep=9), Column("name", keep=2), Column("channel", keep=3), Column("since", keep=1))
    return Table(columns, [(p.user, p.name, p.channel, p.said) for p in people])


@order("who", needs=Privilege.READ, says=_present)
async def who(ctx: Context) -> Sequence[Presence]:
    """List who is connected now."""
    found = []
    now = ctx.clock.now()
    for session in ctx.sessions:
        user = ctx.users.get(session.login.user)
        name = user.name if user else session.login.user
        said = moment(session.started, ctx.timezone, now)
        found.append(Presence(session.login.user, name, session.channel, iso(session.started), said))
    return found


def _time(now: Now) -> str:
    return f"{now.local} {now.timezone}"


@order("time", needs=Privilege.READ, says=_time)
async def time(ctx: Context) -> Now:
    """Tell the house's time."""
    at = ctx.clock.now()
    local = datetime.fromtimestamp(at, ctx.timezone).strftime("%Y-%m-%d %H:%M:%S")
    return Now(local, iso(at), str(ctx.timezone))


@order("exit", needs=Privilege.READ, says="")
async def exit_(ctx: Context) -> None:
    """End the session."""
    ctx.session.leaving = True


def _sessions(sessions: Sequence[SessionInfo]) -> Table:
    columns = (
        Column("session", keep=9, right=True),
        Column("user", keep=8),
        Column("source", keep=6),
        Column("channel", keep=5),
        Column("since", keep=3),
        Column("orders", keep=2, right=True),
        Column("key", keep=1),
    )
    rows = [(str(s.session), s.user, s.source, s.channel, s.said, str(s.orders), s.key) for s in sessions]
    return Table(columns, rows)


@order("session list", needs=Privilege.ADMIN, says=_sessions)
async def session_list(ctx: Context) -> Sequence[SessionInfo]:
    """List the live sessions."""
    now = ctx.clock.now()
    return [
        SessionInfo(
            session.number,
            session.login.user,
            session.login.source,
            session.channel,
            session.login.key or session.login.method,
            iso(session.started),
            session.orders,
            moment(session.started, ctx.timezone, now),
        )
        for session in ctx.sessions
    ]


class Kicked(msgspec.Struct, frozen=True):
    """The sessions that were ended."""

    sessions: Sequence[int]


def _kicked(kicked: Kicked) -> str:
    return f"ended {len(kicked.sessions)} {'session' if len(kicked.sessions) == 1 else 'sessions'}"


@order("session kick", needs=Privilege.ADMIN, says=_kicked)
async def session_kick(ctx: Context, which: SessionName) -> Kicked:
    """End a session, or all sessions of a user, with the connection they run on.

    which: a session's number, or a user
    """
    kicked = [s for s in ctx.sessions if which in {str(s.number), s.login.user}]
    if not kicked:
        raise BadArguments(f"no session '{which}'", "`session list` lists them")
    for session in kicked:
        session.end(f"ended by {ctx.user.login}")
    return Kicked([session.number for session in kicked])
