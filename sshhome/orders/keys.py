"""Orders about what one logs in with: keys, password, one-time codes, and who has tried."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from sshhome.clock import iso
from sshhome.edit import add_key, put, remove_key
from sshhome.errors import BadArguments, Denied
from sshhome.grant import Privilege
from sshhome.handing import and_ended, change_user
from sshhome.key import Key
from sshhome.order import Column, Context, Table, order
from sshhome.param import Text, UserName
from sshhome.session import Session
from sshhome.totp import matching_step, new_secret, qr_code, uri
from sshhome.user import User
from sshhome.when import moment

KeyGiven = Annotated[str, Text("KEY", rest=True)]


class KeyInfo(msgspec.Struct, frozen=True):
    """A key that lets in; `bound` is what its line says beyond that, `own` tells that this session came with it."""

    fingerprint: str
    kind: str
    comment: str
    bound: Sequence[str]
    own: bool = False


def _keys(keys: Sequence[KeyInfo]) -> Table:
    columns = (
        Column("key", keep=8, wraps=True),
        Column("comment", keep=9),
        Column("bound", keep=7, wraps=True),
        Column("kind", keep=1),
    )
    rows = [
        (k.fingerprint, f"{k.comment}{' (this session)' if k.own else ''}", ", ".join(k.bound), k.kind) for k in keys
    ]
    return Table(columns, rows, empty="no keys")


def _info(key: Key, own: str = "") -> KeyInfo:
    bound = [f"from {', '.join(map(str, key.sources))}"] if key.sources else []
    bound += [f"not from {', '.join(map(str, key.barred))}"] if key.barred else []
    bound += [f"until {iso(key.expires)}"] if key.expires is not None else []
    bound += [f"role {key.role}"] if key.role else []
    bound += [grant.rule for grant in key.grants]
    bound += [f"runs '{key.order}'"] if key.order else []
    bound += ["an authority"] if key.authority else []
    return KeyInfo(key.fingerprint, key.kind, key.comment, bound, own=key.fingerprint == own)


class KeyChanged(msgspec.Struct, frozen=True):
    """A key that was added or removed, and how many sessions ended with it."""

    user: str
    key: str
    says: str
    sessions: int = 0


def _key_changed(changed: KeyChanged) -> str:
    return changed.says + and_ended(changed.sessions)


def _told(told: Sequence[KeyInfo] | KeyChanged) -> str | Table:
    return _key_changed(told) if isinstance(told, KeyChanged) else _keys(told)


@order("user key", needs=Privilege.ADMIN, says=_told)
async def user_key(
    ctx: Context, login: UserName, what: Literal["list", "add", "remove"] = "list", key: KeyGiven = ""
) -> Sequence[KeyInfo] | KeyChanged:
    """List, add or remove the keys of a user; to add one takes that you hold all that they may.

    login: the user
    what: list, add or remove
    key: to add, a line as in authorized_keys; to remove, a fingerprint or comment
    """
    if what == "list":
        return [_info(known) for known in ctx.users.named(login).keys]
    if login == ctx.user.login:
        raise BadArguments("these are your own keys", f"`key {what}` is for them, and asks who you are")
    if not key:
        raise BadArguments(f"which key shall be {what.removesuffix('e')}ed?", "usage: user key USER add|remove KEY")
    if what == "add":
        user, ended = await change_user(ctx, login, add_key(key, ctx.users.roles))
        return KeyChanged(login, user.keys[-1].fingerprint, f"added {user.keys[-1].fingerprint} to {login}", ended)
    _, ended = await change_user(ctx, login, remove_key(key), reason="your key was removed")
    return KeyChanged(login, key, f"removed {key} from {login}", ended)


# -- one's own --------------------------------------------------------------------------------------------------------


@order("key list", needs=Privilege.READ, says=_keys)
async def key_list(ctx: Context) -> Sequence[KeyInfo]:
    """List your keys."""
    return [_info(key, ctx.session.login.key) for key in ctx.user.keys]


@order("key add", needs=Privilege.READ, says=_key_changed, proves=True)
async def key_add(ctx: Context, line: KeyGiven) -> KeyChanged:
    """Add a key that you log in with; one that should do less than you carries sshhome-grants or sshhome-role.

    line: a line as in authorized_keys
    """
    added = ctx.users.edit(ctx.user.login, add_key(line, ctx.users.roles)).keys[-1]
    return KeyChanged(ctx.user.login, added.fingerprint, f"added {added.fingerprint}")


@order("key remove", needs=Privilege.READ, says=_key_changed, proves=True)
async def key_remove(ctx: Context, key: KeyGiven) -> KeyChanged:
    """Remove a key of yours; other sessions that came with it end, with all that runs in them.

    key: its fingerprint or comment
    """

    def check(_before: User | None, after: User) -> None:
        if not after.can_log_in(ctx.clock.now()):
            raise BadArguments("that is your last way in", "`key add` or `passwd` makes another")

    ctx.users.edit(ctx.user.login, remove_key(key), check=check)
    return KeyChanged(ctx.user.login, key, f"removed {key}", await _cut_others(ctx, "your key was removed"))


@order("passwd", needs=Privilege.READ, says=str, proves=True)
async def passwd(ctx: Context) -> str:
    """Set your password; other sessions that came with the old one end."""
    first = await _ask(ctx, "new password: ", "a password")
    if await _ask(ctx, "again: ", "a password") != first:
        raise BadArguments("the two are not the same")
    hashed = await ctx.hash_password(first)
    ctx.users.edit(ctx.user.login, put(password=hashed))
    await _cut_others(ctx, "your password was changed")
    return "you have a new password"


@order("totp", needs=Privilege.READ, says=str, proves=True)
async def totp(ctx: Context) -> str:
    """Make a secret for one-time codes, which your authenticator app scans; kept once you type a code of it."""
    secret, login = new_secret(), ctx.user.login
    link = uri(secret, login, ctx.house_name)
    shown = ["scan this with an authenticator app:", *qr_code(link), link, f"secret: {secret} (shown this once)"]
    code = await _ask(ctx, "\n".join([*shown, "a code of it: "]), "a one-time code")
    if matching_step(secret, code.strip(), ctx.clock.now()) is None:
        raise BadArguments("that is no code of it; nothing was changed", "is the clock of your phone right?")
    ctx.users.edit(login, put(totp=secret))
    # A code is good once, this one too.
    await ctx.session.check_code(code.strip())
    return "you have one-time codes"


async def _ask(ctx: Context, question: str, what: str) -> str:
    """Return what is typed, unseen; raises where nobody can be asked, and where nobody answers."""
    if ctx.session.ask is None:
        raise BadArguments(f"{what} is typed, and there is nobody to ask", "give this order in the shell")
    said = await ctx.session.ask(question, True)
    if said is None:
        raise Denied("nothing was typed, nothing was changed")
    return said


async def _cut_others(ctx: Context, reason: str) -> int:
    """End the other sessions of this user that would not be let in any more; this one ends by itself, once answered."""

    def affected(session: Session) -> bool:
        same = session.login.user == ctx.user.login and session is not ctx.session
        return same and isinstance(session.standing(), str)

    return await ctx.cut(affected, reason)


class LoginInfo(msgspec.Struct, frozen=True):
    """A login of yours: from where, how, with which key, and how often somebody failed to log in as you after it."""

    at: str
    source: str
    method: str
    key: str
    comment: str
    failed: int
    #: The moment for people.
    said: str


def _logins(logins: Sequence[LoginInfo]) -> Table:
    columns = (
        Column("at", keep=9),
        Column("from", keep=8),
        Column("by", keep=7),
        Column("key", keep=5, wraps=True),
        Column("failed since", keep=8, right=True),
    )
    rows = [(at.said, at.source, at.method, at.comment or at.key, str(at.failed or "")) for at in logins]
    return Table(columns, rows, empty="none is remembered")


@order("logins", needs=Privilege.READ, says=_logins)
async def logins(ctx: Context) -> Sequence[LoginInfo]:
    """List your last logins, and how often somebody failed to log in as you after each."""
    comments = {key.fingerprint: key.comment for key in ctx.user.keys}
    now = ctx.clock.now()
    return [
        LoginInfo(
            iso(login.at),
            login.source,
            login.method,
            login.key,
            comments.get(login.key, ""),
            login.failed,
            moment(login.at, ctx.timezone, now),
        )
        for login in await ctx.store.logins(ctx.user.login)
    ]
