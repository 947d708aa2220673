"""Orders about passes: users that somebody makes for somebody else, for a few orders and a while."""

import secrets
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from sshhome import words
from sshhome.clock import iso
from sshhome.config import split_address
from sshhome.device import touched
from sshhome.edit import add_grant, add_key, all_of, one_or_all, parts, put
from sshhome.errors import BadArguments, Denied, SiteError
from sshhome.grant import Grant, Privilege
from sshhome.handing import and_ended, change_user, remove_user
from sshhome.order import REGISTRY, Column, Context, Table, order
from sshhome.param import HowMany, Moment, Text, Times, UserName
from sshhome.totp import qr_code
from sshhome.user import User
from sshhome.when import When, moment, parse_moment, parse_when

#: Seconds after which a pass must have ended.
_LONGEST = 366 * 86400.0
#: What a password is made of: nothing that looks like something else.
_SIGNS, _GROUPS, _GROUP = "abcdefghjkmnpqrstuvwxyz23456789", 3, 4


class Pass(msgspec.Struct, frozen=True):
    """A pass: for whom, what it is good for, until when, and who issued it; `left` is for each rule that is counted."""

    user: str
    may: Sequence[str]
    until: str
    left: Sequence[int]
    issued_by: str
    state: str
    #: When it ends, for people.
    ends: str


class NewPass(msgspec.Struct, frozen=True):
    """A pass that was made: what to type, and the password if one was made, which is told this once."""

    user: str
    may: Sequence[str]
    until: str
    ssh: Sequence[str]
    uri: str
    password: str
    #: When it ends, for people.
    ends: str


def _created(made: NewPass) -> str:
    told = [f"a pass for {made.user}, until {made.ends}: {'; '.join(made.may)}", *made.ssh]
    told += [f"password: {made.password} (shown this once)"] if made.password else []
    return "\n".join([*told, *qr_code(made.uri)])


@order("pass create", needs=Privilege.ADMIN, says=_created)
async def pass_create(
    ctx: Context,
    login: Annotated[str, Text("LOGIN")],
    *,
    may: Annotated[str, Text("ORDER")],
    when: Times = "",
    until: Moment = "",
    uses: HowMany = 0,
    from_: Annotated[str, Text("NETWORK")] = "",
    key: Annotated[str, Text("LINE")] = "",
    password: bool = False,
) -> NewPass:
    """Make a pass for somebody: a user that ends by itself, and may do just this.

    login: the login name, a-z 0-9 _ -
    may: what they may do, such as 'unlock front_door', or several such as 'open garage; close garage'
    when: at these times alone, such as 'today 09:00-12:00' or 'tue 09:00-12:00'
    until: when it ends, such as tomorrow or '2026-12-24 18:00'; as the last of the dates in --when if left out
    uses: so many times alone, on each device
    from_: from these networks alone, such as 192.168.0.0/16
    key: their public key, a line as in authorized_keys
    password: make a password too; one is made in any case if there is no key
    """
    now = ctx.clock.now()
    window = parse_when(ctx.dated(when)) if when else None
    ends = _end(window, ctx.dated(until))
    last = parse_moment(ends, ctx.timezone)
    if not now < last <= now + _LONGEST:
        raise BadArguments("a pass ends within 366 days, and not before now")
    conditions = {
        "when": str(window) if window else "",
        "uses": uses,
        "from": one_or_all(parts(from_)),
    }
    given = {name: value for name, value in conditions.items() if value}
    lines = [_line(order_words) for order_words in words.split(may)]
    grants = await _grants(ctx, lines, given)
    made = "" if key and not password else _password()
    hashed = await ctx.hash_password(made) if made else ""
    fields = put(name=login.capitalize(), issued_by=ctx.user.login, until=ends, password=hashed)
    edits = [add_key(key, ctx.users.roles)] if key else []
    edits += [add_grant(grant, ctx.users.roles) for grant in grants]
    user, _ = await change_user(ctx, login, all_of(fields, *edits), new=True)
    ssh, uri = _way_in(ctx.address, login)
    ways = [f"{ssh} {shlex.quote(line)}" for line in lines]
    rules = [grant.rule for grant in user.grants]
    return NewPass(login, rules, iso(last), ways, uri, made, moment(last, ctx.timezone, now))


def _passes(passes: Sequence[Pass]) -> Table:
    columns = (
        Column("user", keep=9),
        Column("may", keep=8, wraps=True),
        Column("until", keep=7),
        Column("left", keep=6, right=True),
        Column("issued by", keep=2),
    )
    rows = [(p.user, "; ".join(p.may), p.state or p.ends, ", ".join(map(str, p.left)), p.issued_by) for p in passes]
    return Table(columns, rows, empty="no passes")


@order("pass list", needs=Privilege.ADMIN, says=_passes)
async def pass_list(ctx: Context) -> Sequence[Pass]:
    """List the passes, those too that have ended."""
    return [_pass(ctx, user) for user in ctx.users if user.issued_by]


def _pass(ctx: Context, user: User) -> Pass:
    now = ctx.clock.now()
    return Pass(
        user.login,
        [grant.rule for grant in user.grants],
        "" if user.until is None else iso(user.until),
        [max(0, grant.uses - ctx.uses.used(user.login, grant.id)) for grant in user.grants if grant.uses],
        user.issued_by,
        user.state(now),
        "" if user.until is None else moment(user.until, ctx.timezone, now),
    )


class Revoked(msgspec.Struct, frozen=True):
    """A pass that is no more, and how many sessions ended with it."""

    user: str
    sessions: int


def _revoked(revoked: Revoked) -> str:
    return f"the pass of {revoked.user} is revoked{and_ended(revoked.sessions)}"


@order("pass revoke", needs=Privilege.ADMIN, says=_revoked)
async def pass_revoke(ctx: Context, login: UserName) -> Revoked:
    """Revoke a pass; its sessions end, with all that runs in them.

    login: whose pass
    """
    user = ctx.users.get(login)
    if user is None or not user.issued_by:
        raise BadArguments(f"'{login}' has no pass", "`pass list` lists them, `user remove` removes a user")
    return Revoked(login, await remove_user(ctx, login, "your pass was revoked"))


# -- what it is good for ----------------------------------------------------------------------------------------------


def _line(order_words: Sequence[words.Word]) -> str:
    """Return an order as it is typed; raises BadArguments for one that is more than a verb and a target."""
    found, count = REGISTRY.find([word.text for word in order_words[:2]])
    texts = [word.text for word in order_words]
    if found is None:
        raise BadArguments(f"unknown order '{texts[0][:80]}'")
    places = [param for param in found.params if not param.option]
    if found.target is None or not found.changes:
        raise BadArguments(f"a pass is for orders that change a device, and '{found.name}' changes none")
    given = order_words[count:]
    more = len(given) > 1 or any(word.is_option for word in given) or (given and places[0] is not found.target)
    if more or any(param.required and param is not found.target for param in places):
        raise BadArguments(
            f"a pass is for an order and its target, and not for '{' '.join(texts)[:80]}'",
            "`user grant` bounds the values too: --orders, --values",
        )
    return " ".join(map(words.quote, texts))


async def _grants(ctx: Context, lines: Sequence[str], given: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return a grant for each device that the orders are for; raises BadArguments, and Denied where none is held."""
    orders: dict[str, list[str]] = {}
    for line in lines:
        verdict = await ctx.explain(line, ctx.standing, ctx.clock.now())
        for judged in verdict.devices:
            for what in _takes(ctx, judged.id):
                named = orders.setdefault(what, [])
                if verdict.order not in named:
                    named.append(verdict.order)
    if not orders:
        raise BadArguments("name an order, such as --may 'unlock front_door'")
    return [{"allow": what, "orders": named, **given} for what, named in orders.items()]


def _takes(ctx: Context, device_id: str) -> Sequence[str]:
    """Return what it takes to operate a device, and for a scene all that it touches."""
    rules = []
    find = ctx.scope.index.get
    device = find(device_id)
    for id_ in (device_id,) if device is None else touched(device, None, find):
        part = find(id_)
        if part is None:
            raise Denied("you may not do all of that yourself")
        rules.append(Grant(Privilege.ACCESS if part.guards else Privilege.CONTROL, id_).rule)
    return rules


# -- when it ends, and how one comes in -------------------------------------------------------------------------------


def _end(window: When | None, until: str) -> str:
    """Return when a pass ends, as it is written; raises BadArguments when nothing says so."""
    if until:
        return until
    if window is None or any(part.weekdays for part in window.windows):
        raise BadArguments("a pass must end", "say when with --until, or give --when dates")
    last = max(
        datetime.fromordinal(part.dates[-1][1] - 1) + timedelta(minutes=max(end for _, end in part.times))
        for part in window.windows
    )
    return last.strftime("%Y-%m-%d %H:%M")


def _password() -> str:
    groups = ("".join(secrets.choice(_SIGNS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _way_in(address: str, login: str) -> tuple[str, str]:
    """Return the `ssh` line that leads to the house, and the same as a URI."""
    try:
        host, port = split_address(address)
    except SiteError:
        # A name alone, for the port that everybody knows.
        host, port = address, 22
    option = "" if port == 22 else f"-p {port} "
    bracketed = f"[{host}]" if ":" in host else host
    return f"ssh {option}{login}@{host}", f"ssh://{login}@{bracketed}:{port}"
