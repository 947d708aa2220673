"""Orders that explain, and those that only talk back."""

from collections.abc import Sequence

import msgspec

from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Order, Table, order
from sshhome.param import Line, OrderName
from sshhome.store import Macro


class OrderHelp(msgspec.Struct, frozen=True):
    """How one order is given: `usage` in one line, and what each param is; a macro itself needs no privilege."""

    order: str
    usage: str
    summary: str
    needs: str
    params: dict[str, str]


def _help_of(order: Order) -> OrderHelp:
    params = {param.usage.strip("[]"): param.says for param in order.params}
    return OrderHelp(order.name, order.usage, order.summary, order.needs, params)


def _help_of_macro(macro: Macro) -> OrderHelp:
    return OrderHelp(macro.name, macro.name, f"Run '{macro.orders}'", "", {})


def _helps(helps: Sequence[OrderHelp] | OrderHelp) -> str | Table:
    if isinstance(helps, OrderHelp):
        width = max((len(name) for name in helps.params), default=0)
        lines = [helps.usage, f"  {helps.summary}."]
        lines += [f"  {name:{width}}  {says}" for name, says in helps.params.items()]
        lines.append(f"  needs the {helps.needs} privilege" if helps.needs else "  needs what each order in it does")
        return "\n".join(lines)
    return Table(
        (Column("order", keep=9, wraps=True), Column("what it does", keep=8, wraps=True)),
        [(h.usage, h.summary) for h in helps],
    )


@order("help", needs=Privilege.READ, says=_helps)
async def help_(ctx: Context, name: OrderName = "") -> Sequence[OrderHelp] | OrderHelp:
    """List the orders you may give, or explain one.

    name: the order to explain
    """
    orders, macros = ctx.orders(), ctx.offered_macros()
    if not name:
        return [*(_help_of(order) for order in orders), *(_help_of_macro(macro) for macro in macros)]
    for macro in macros:
        if macro.name == name.lower():
            return _help_of_macro(macro)
    found = [order for order in orders if order.name == name.lower()]
    found = found or [order for order in orders if order.name.startswith(f"{name.lower()} ")]
    if not found:
        raise BadArguments(f"no order '{name}' for you", "`help` lists yours")
    return _help_of(found[0]) if len(found) == 1 else [_help_of(order) for order in found]


@order("echo", needs=Privilege.READ, says=str)
async def echo(ctx: Context, text: Line = "") -> str:
    """Say the same back.

    text: what to say
    """
    return text


@order("upper", needs=Privilege.READ, says=str)
async def upper(ctx: Context, text: Line = "") -> str:
    """Say it back in capitals.

    text: what to say
    """
    return text.upper()
