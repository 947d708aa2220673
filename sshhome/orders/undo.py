"""Orders that bring back how it was."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sshhome.clock import iso
from sshhome.device import State
from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Changes, Column, Context, Table, order
from sshhome.when import moment


@order("undo", needs=Privilege.CONTROL, says="{label} is {is} again")
async def undo(ctx: Context) -> Changes:
    """Bring back how it was before your last change, everything that it touched."""
    for change in ctx.journal.of(ctx.user.login):
        before = _known(ctx, change.before)
        if before:
            ctx.undoing = change
            return before
    raise BadArguments("there is nothing to undo")


def _known(ctx: Context, states: Mapping[str, State]) -> Mapping[str, State]:
    """Return states of devices as far as they can be set, and the giver may know of them."""
    found = [(device, state) for id_, state in states.items() if (device := ctx.scope.index.get(id_))]
    return {device.id: settable for device, state in found if (settable := device.settable(state))}


class Kept(msgspec.Struct, frozen=True):
    """A change: what was ordered and when, how it was before, and when it comes back by itself, to what."""

    at: str
    order: str
    before: Mapping[str, State]
    due: str
    back: Mapping[str, State]
    #: The two moments for people.
    said: str
    due_said: str


def _kept(changes: Sequence[Kept]) -> Table:
    columns = (Column("order", keep=9, wraps=True), Column("at", keep=7), Column("comes back", keep=8))
    return Table(columns, [(kept.order, kept.said, kept.due_said) for kept in changes], empty="nothing to undo")


@order("undo list", needs=Privilege.READ, says=_kept)
async def undo_list(ctx: Context) -> Sequence[Kept]:
    """List your latest changes, which `undo` brings back one after another, and which come back by themselves."""
    found = []
    now = ctx.clock.now()
    for change in ctx.journal.all_of(ctx.user.login):
        before, back = _known(ctx, change.before), _known(ctx, change.back)
        if before or back:
            due, due_said = "", ""
            if back and change.due is not None:
                due, due_said = iso(change.due), moment(change.due, ctx.timezone, now)
            said = moment(change.at, ctx.timezone, now)
            found.append(Kept(iso(change.at), change.order, before, due, back, said, due_said))
    return found


def _confirmed(orders: Sequence[str]) -> str:
    return f"confirmed: {', '.join(orders)}"


@order("confirm", needs=Privilege.READ, says=_confirmed)
async def confirm(ctx: Context) -> Sequence[str]:
    """Let stay what you changed with --confirm."""
    found = [change for change in ctx.journal.unconfirmed(ctx.user.login) if _within_key(ctx, change.back)]
    if not found:
        raise BadArguments("nothing waits to be confirmed")
    await ctx.journal.confirm(found)
    return [change.order for change in found]


def _within_key(ctx: Context, devices: Iterable[str]) -> bool:
    """Return whether these devices may be operated with the key that the giver has come with.

    It was themselves who gave the order, but perhaps with a key that is good for more.
    """
    _, *narrower = ctx.standing.rights.policies
    known = [device for device_id in devices if (device := ctx.scope.index.get(device_id)) is not None]
    for device in known:
        needs = Privilege.ACCESS if device.guards else Privilege.CONTROL
        for policy in narrower:
            if not any(not grant.deny and grant.gives(needs) and grant.covers(device) for grant in policy.grants):
                return False
    return bool(known)
