"""Orders about bans."""

from collections.abc import Sequence

import msgspec

from sshhome.clock import iso
from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import SourceName
from sshhome.quantity import span
from sshhome.store import BanRecord


class BanInfo(msgspec.Struct, frozen=True):
    """A ban in force: until when (UTC), for how many seconds more, the how-manieth, and why."""

    source: str
    until: str
    remaining: int
    count: int
    kind: str
    evidence: str
    rule: str


def _info(ctx: Context, ban: BanRecord) -> BanInfo:
    left = round(ctx.bans.remaining(ban))
    return BanInfo(ban.source, iso(ban.until), left, ban.count, ban.kind, ban.evidence, ban.rule)


def _bans(bans: Sequence[BanInfo]) -> Table:
    columns = (
        Column("source", keep=9),
        Column("for", keep=8, right=True),
        Column("count", keep=2, right=True),
        Column("why", keep=7, wraps=True),
        Column("evidence", keep=1),
    )
    rows = [(ban.source, span(ban.remaining), str(ban.count), ban.rule, ban.evidence) for ban in bans]
    return Table(columns, rows, empty="no bans")


@order("ban list", needs=Privilege.ADMIN, says=_bans)
async def ban_list(ctx: Context) -> Sequence[BanInfo]:
    """List the bans in force and why they are."""
    return [_info(ctx, ban) for ban in ctx.bans.in_force()]


def _lifted(ban: BanInfo) -> str:
    return f"{ban.source} is no longer banned"


@order("ban lift", needs=Privilege.ADMIN, says=_lifted)
async def ban_lift(ctx: Context, source: SourceName) -> BanInfo:
    """End a ban before its time.

    source: an address, or the source as `ban list` shows it
    """
    try:
        ban = ctx.bans.find(source) if "/" not in source else None
        ban = ban or next((b for b in ctx.bans.in_force() if b.source == source), None)
    except ValueError:
        raise BadArguments(f"'{source}' is no address") from None
    if ban is None:
        raise BadArguments(f"{source} is not banned", "`ban list` lists them")
    info = _info(ctx, ban)
    ctx.bans.lift(ban.source)
    ctx.audit("ban.lifted", source=ban.source, by=ctx.user.login)
    return info
