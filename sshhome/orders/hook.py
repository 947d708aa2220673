"""Orders about hooks: who outside is told what happens, how that goes, and how to try it."""

from collections.abc import Sequence

import msgspec

from sshhome.clock import iso
from sshhome.delivery import Line
from sshhome.errors import BadArguments, Unavailable
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import HookName
from sshhome.store import Delivery
from sshhome.when import moment


class HookInfo(msgspec.Struct, frozen=True):
    """A hook: where it is, how it is with it and what it answered last; how much waits, failures in a row."""

    hook: str
    url: str
    events: Sequence[str]
    state: str
    says: str
    waiting: int
    failures: int


class DeliveryInfo(msgspec.Struct, frozen=True):
    """Something that a hook is told: what happened, how often it was sent, and what was answered last."""

    hook: str
    id: str
    at: str
    what: str
    state: str
    tries: int
    status: int | None
    says: str
    #: The moment for people.
    said: str


def _list(hooks: Sequence[HookInfo]) -> Table:
    columns = (
        Column("hook", keep=9),
        Column("is", keep=8),
        Column("waiting", keep=6, right=True),
        Column("last", keep=7, wraps=True),
        Column("told of", keep=3, wraps=True),
    )
    tones = {"ok": "good", "failing": "alert", "stopped": "alert"}
    rows = [
        (h.hook, (h.state, tones.get(h.state, "dim")), str(h.waiting), h.says or "-", " ".join(h.events)) for h in hooks
    ]
    return Table(columns, rows, empty="no hooks: sshhome.toml names them")


@order("hook list", needs=Privilege.ADMIN, says=_list)
async def hook_list(ctx: Context) -> Sequence[HookInfo]:
    """List who is told what happens, how it is with each, and how much waits for it."""
    return [_info(line) for line in ctx.hooks.all()]


def _deliveries(deliveries: Sequence[DeliveryInfo]) -> Table:
    columns = (
        Column("when", keep=8),
        Column("hook", keep=5),
        Column("what", keep=9),
        Column("is", keep=7),
        Column("tries", keep=3, right=True),
        Column("last", keep=6, wraps=True),
    )
    tones = {"told": "good", "given up": "alert"}
    rows = [
        (d.said, d.hook, d.what, (d.state, tones.get(d.state, "active")), str(d.tries), d.says or "-")
        for d in deliveries
    ]
    return Table(columns, rows, empty="nothing was told")


@order("hook deliveries", needs=Privilege.ADMIN, says=_deliveries)
async def hook_deliveries(ctx: Context, name: HookName = "") -> Sequence[DeliveryInfo]:
    """List what hooks were told lately and what waits to be told, the oldest first.

    name: the hook; all of them if left out
    """
    lines = [_named(ctx, name)] if name else ctx.hooks.all()
    known = (delivery for line in lines for delivery in (*line.ended, *line.waiting))
    return [_delivery(ctx, delivery) for delivery in sorted(known, key=lambda delivery: delivery.number)]


def _tested(info: DeliveryInfo) -> str:
    return f"{info.hook} {info.says}"


@order("hook test", needs=Privilege.ADMIN, says=_tested)
async def hook_test(ctx: Context, name: HookName) -> DeliveryInfo:
    """Send a word to a hook at once, past all that waits, and tell what it answers.

    name: the hook
    """
    line = _named(ctx, name)
    sent = await ctx.hooks.test(line)
    if not sent.taken:
        raise Unavailable(f"{line.hook.name}: {sent.says}")
    return _delivery(ctx, sent)


def _retried(info: HookInfo) -> str:
    return f"{info.hook} is tried again, {info.waiting} waiting"


@order("hook retry", needs=Privilege.ADMIN, says=_retried)
async def hook_retry(ctx: Context, name: HookName) -> HookInfo:
    """Tell a hook at once what waits for it, also one that was left alone or wanted nothing more.

    name: the hook
    """
    line = _named(ctx, name)
    line.again()
    return _info(line)


def _named(ctx: Context, name: str) -> Line:
    line = ctx.hooks.get(name)
    if line is None:
        raise BadArguments(f"no hook '{name[:80]}'", "`hook list` lists them")
    return line


def _info(line: Line) -> HookInfo:
    hook = line.hook
    return HookInfo(hook.name, str(hook.url), hook.events, line.state, line.says, len(line.waiting), line.failures)


def _delivery(ctx: Context, delivery: Delivery) -> DeliveryInfo:
    said = moment(delivery.at, ctx.timezone, ctx.clock.now())
    return DeliveryInfo(
        delivery.hook,
        delivery.id,
        iso(delivery.at),
        delivery.what,
        _state(delivery),
        delivery.tries,
        delivery.status,
        delivery.says,
        said,
    )


def _state(delivery: Delivery) -> str:
    if delivery.ended is None:
        return "waits"
    return "told" if delivery.taken else "given up"
