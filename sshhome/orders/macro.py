"""Orders about macros: names for orders that are given often."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sshhome import words
from sshhome.errors import BadArguments, Denied
from sshhome.grant import Privilege
from sshhome.macro import SHARED
from sshhome.order import Column, Context, Table, order
from sshhome.param import MacroName, Text
from sshhome.store import Macro


class MacroInfo(msgspec.Struct, frozen=True):
    """A macro: its name, the orders it runs, and who has shared it with all, if somebody has."""

    name: str
    orders: str
    shared_by: str


def _info(macro: Macro) -> MacroInfo:
    return MacroInfo(macro.name, macro.orders, macro.by if macro.user == SHARED else "")


def _saved(info: MacroInfo) -> str:
    whose = " for all" if info.shared_by else ""
    return f"{info.name} runs '{info.orders}'{whose}"


@order("macro save", needs=Privilege.READ, says=_saved, keeps=True)
async def macro_save(
    ctx: Context, name: Annotated[str, Text("NAME")], orders: Annotated[str, Text("'ORDER; …'")]
) -> MacroInfo:
    """Save orders under a name, which is an order of yours then.

    name: the name, 1 to 32 of a-z 0-9 _ -
    orders: the orders, in quotes, with a `;` between them
    """
    macro = Macro(ctx.user.login, name, orders, ctx.user.login)
    ctx.check_macro(macro)
    return await _keep(ctx, macro)


async def _keep(ctx: Context, macro: Macro) -> MacroInfo:
    ctx.macros.keep(macro)
    await ctx.store.settle()
    return _info(macro)


def _list(infos: Sequence[MacroInfo]) -> Table:
    columns = [Column("macro", keep=9), Column("orders", keep=8, wraps=True)]
    columns += [Column("shared by", keep=1)] if any(info.shared_by for info in infos) else []
    rows = [(info.name, info.orders, info.shared_by)[: len(columns)] for info in infos]
    return Table(tuple(columns), rows, empty="no macros")


@order("macro list", needs=Privilege.READ, says=_list)
async def macro_list(ctx: Context) -> Sequence[MacroInfo]:
    """List your macros, and those that all have."""
    return [_info(macro) for macro in ctx.macros.of(ctx.user.login)]


def _shown(info: MacroInfo) -> str:
    return "\n".join(map(_line, words.split(info.orders)))


def _line(given: Sequence[words.Word]) -> str:
    """Return an order of a macro as it is written."""
    return " ".join(map(words.written, given))


@order("macro show", needs=Privilege.READ, says=_shown)
async def macro_show(ctx: Context, name: MacroName) -> MacroInfo:
    """Show the orders of a macro.

    name: the macro
    """
    return _info(ctx.macros.find(ctx.user.login, name) or ctx.macros.own(ctx.user.login, name))


def _removed(info: MacroInfo) -> str:
    return f"{info.name} is {'no longer shared' if info.shared_by else 'removed'}"


@order("macro remove", needs=Privilege.READ, says=_removed, keeps=True)
async def macro_remove(ctx: Context, name: MacroName) -> MacroInfo:
    """Remove a macro of yours.

    name: the macro
    """
    return await _forget(ctx, ctx.macros.own(ctx.user.login, name))


async def _forget(ctx: Context, macro: Macro) -> MacroInfo:
    ctx.macros.remove(macro)
    await ctx.store.settle()
    return _info(macro)


@order("macro share", needs=Privilege.ADMIN, says=_saved, keeps=True)
async def macro_share(ctx: Context, name: MacroName) -> MacroInfo:
    """Let all have a macro of yours; it takes the right to each order in it.

    name: the macro
    """
    own = ctx.macros.own(ctx.user.login, name)
    macro = Macro(SHARED, own.name, own.orders, ctx.user.login)
    for step in ctx.check_macro(macro):
        if words.Word("--yes") in step:
            raise BadArguments("whoever runs it is asked themselves: without --yes it can be shared")
        line = _line(step)
        # Others take it for granted that it does them good: nobody shares what they could not do themselves.
        verdict = await ctx.explain(line, ctx.standing, ctx.clock.now())
        if not all(judged.allowed or judged.step_up for judged in verdict.devices):
            raise Denied(f"you may not give '{line}' yourself")
    return await _keep(ctx, macro)


@order("macro unshare", needs=Privilege.ADMIN, says=_removed, keeps=True)
async def macro_unshare(ctx: Context, name: MacroName) -> MacroInfo:
    """Take a macro from all again.

    name: the macro
    """
    return await _forget(ctx, ctx.macros.own(SHARED, name))
