"""Orders about bans."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sshhome.ban import BY_HAND, Bans, facts
from sshhome.clock import iso
from sshhome.errors import BadArguments
from sshhome.escape import printable
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import Seconds, SourceName, Text
from sshhome.penalty import KINDS, MIN
from sshhome.quantity import span
from sshhome.source import origin_named, origin_of
from sshhome.store import BanRecord


class BanInfo(msgspec.Struct, frozen=True):
    """A ban in force: since and until when (UTC), for how many seconds more, the how-manieth, and why."""

    source: str
    since: str
    until: str
    remaining: int
    count: int
    kind: str
    evidence: str
    rule: str


class FailureInfo(msgspec.Struct, frozen=True):
    """A failed login that still counts: for which name, and how many seconds ago."""

    user: str
    ago: int


class PenaltyInfo(msgspec.Struct, frozen=True):
    """A fault that is no failed login, and for how many seconds it is still held against a source, if it is."""

    kind: str
    remaining: int
    active: bool


class Explained(msgspec.Struct, frozen=True):
    """Why a source is refused, or what it would take.

    So many `tries` of a wrong login ban `would_ban` for so many `seconds`; with 0 nothing will. `never` is the
    network that exempts the source, `neighbours` are those of its /56 that earned a ban lately.
    """

    source: str
    ban: BanInfo | None
    penalty: PenaltyInfo | None
    failures: Sequence[FailureInfo]
    neighbours: Sequence[str]
    never: str
    tries: int
    would_ban: str
    seconds: int


def _info(bans: Bans, ban: BanRecord) -> BanInfo:
    left = round(bans.remaining(ban))
    return BanInfo(ban.source, iso(ban.at), iso(ban.until), left, ban.count, ban.kind, ban.evidence, ban.rule)


def listed(bans: Bans) -> Sequence[BanInfo]:
    """Return the bans in force, the one that ends soonest first."""
    return [_info(bans, ban) for ban in bans.in_force()]


def as_table(bans: Sequence[BanInfo]) -> Table:
    """Return bans as a person reads them."""
    columns = (
        Column("source", keep=9),
        Column("for", keep=8, right=True),
        Column("count", keep=2, right=True),
        Column("why", keep=7, wraps=True),
        Column("evidence", keep=1),
    )
    rows = [(ban.source, span(ban.remaining), str(ban.count), ban.rule, ban.evidence) for ban in bans]
    return Table(columns, rows, empty="no bans")


@order("ban list", needs=Privilege.ADMIN, says=as_table)
async def ban_list(ctx: Context) -> Sequence[BanInfo]:
    """List the bans in force and why they are."""
    return listed(ctx.bans)


def explained(bans: Bans, source: str) -> Explained:
    """Return all that is known about a source; raises BadArguments."""
    known = bans.explain(source)
    penalty = known.penalty
    return Explained(
        source=known.source,
        ban=_info(bans, known.ban) if known.ban else None,
        penalty=PenaltyInfo(penalty.kind, round(penalty.remaining), penalty.active) if penalty else None,
        failures=[FailureInfo(name, round(ago)) for name, ago in known.failures],
        neighbours=known.neighbours,
        never=known.never,
        tries=known.tries,
        would_ban=known.would_ban,
        seconds=round(known.seconds),
    )


def as_text(known: Explained) -> str:
    """Return an explanation as a person reads it, a line for each thing there is to tell."""
    ban, penalty = known.ban, known.penalty
    lines = []
    if ban is not None:
        lines.append(f"{ban.source} is banned for {span(ban.remaining)} more, until {ban.until}: {ban.rule}")
        lines.append(f"  ban {ban.count}, kind {ban.kind}, since {ban.since}: {printable(ban.evidence)}")
    else:
        lines.append(f"{known.source} is not banned")
    if penalty is not None:
        why, left = KINDS[penalty.kind][1], span(penalty.remaining)
        held = f"refused for {left} more" if penalty.active else f"{left}, and refused once it is more than {span(MIN)}"
        lines.append(f"penalty: {held}, for {why}")
    if known.failures:
        names = ", ".join(f"{printable(failure.user)} {span(failure.ago)} ago" for failure in known.failures)
        lines.append(f"failed logins: {names}")
    if known.neighbours:
        lines.append(f"banned lately in its /56: {', '.join(known.neighbours)}")
    if known.never:
        lines.append(f"bans.never has {known.never}: it is never refused, and what it fails does not count")
    elif ban is not None:
        lines.append("it is refused before it can try again")
    elif known.tries:
        when = "the next failed login bans" if known.tries == 1 else f"{known.tries} more failed logins ban"
        lines.append(f"{when} {known.would_ban} for {span(known.seconds)}")
    return "\n".join(lines)


@order("ban explain", needs=Privilege.ADMIN, says=as_text)
async def ban_explain(ctx: Context, source: SourceName) -> Explained:
    """Tell why a source is refused, or what it would take.

    source: an address, or a source as `ban list` shows it
    """
    return explained(ctx.bans, source)


def added(ban: BanInfo) -> str:
    """Return the sentence that tells of a new ban."""
    return f"{ban.source} is banned for {span(ban.remaining)}"


@order("ban add", needs=Privilege.ADMIN, says=added)
async def ban_add(ctx: Context, source: Annotated[str, Text("SOURCE")], *, for_: Seconds = BY_HAND) -> BanInfo:
    """Ban a source by hand; those who are in already stay.

    source: an address, which stands for the /64 it is in if it is IPv6, or a source as `ban list` shows it
    for_: for how long, an hour if nothing is said
    """
    named = origin_named(source)
    mine = origin_of(ctx.session.login.source) if ctx.session.login.source else None
    if mine is not None and named.source in {mine.source, mine.wide}:
        raise BadArguments(f"{named.source} is where you are yourself", "give this order from elsewhere")
    ban = ctx.bans.add(source, for_, ctx.user.login)
    ctx.audit("ban.set", **facts(ban), by=ctx.user.login)
    return _info(ctx.bans, ban)


def lifted(bans: Sequence[BanInfo]) -> str:
    """Return the sentence that tells of bans that are no more."""
    return "\n".join(f"{ban.source} is no longer banned" for ban in bans)


def lift(bans: Bans, source: str) -> Sequence[BanInfo]:
    """End the bans that hold for a source and return them as they were; raises BadArguments when there are none."""
    ended = [_info(bans, ban) for ban in bans.holding(source)]
    if not bans.lift(source):
        raise BadArguments(f"{source[:80]} is not banned", "`ban list` lists them")
    return ended


@order("ban lift", needs=Privilege.ADMIN, says=lifted)
async def ban_lift(ctx: Context, source: SourceName) -> Sequence[BanInfo]:
    """End the bans of a source before their time.

    source: an address, or a source as `ban list` shows it
    """
    ended = lift(ctx.bans, source)
    for ban in ended:
        ctx.audit("ban.lifted", source=ban.source, by=ctx.user.login)
    return ended
