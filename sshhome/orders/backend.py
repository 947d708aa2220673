"""Orders about backends: how it is with each, and how to try it and open it afresh."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import msgspec

from sshhome.errors import BadArguments, SiteError, Unavailable
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import BackendName

_T = TypeVar("_T")


class BackendInfo(msgspec.Struct, frozen=True):
    """A backend: whether it reaches what it speaks to, how that is, and how many devices it tells of."""

    backend: str
    up: bool
    says: str
    devices: int


class Tested(msgspec.Struct, frozen=True):
    """What a backend finds when it connects once more."""

    backend: str
    found: str


def _list(backends: Sequence[BackendInfo]) -> Table:
    columns = (
        Column("backend", keep=9),
        Column("up", keep=7),
        Column("is", keep=8, wraps=True),
        Column("devices", keep=3, right=True),
    )
    rows = [(b.backend, ("yes", "good") if b.up else ("no", "alert"), b.says, str(b.devices)) for b in backends]
    return Table(columns, rows, empty="no backends")


def _said(info: BackendInfo) -> str:
    return f"{info.backend}: {info.says}, {info.devices} {'device' if info.devices == 1 else 'devices'}"


@order("backend list", needs=Privilege.ADMIN, says=_list)
async def backend_list(ctx: Context) -> Sequence[BackendInfo]:
    """List the backends, whether each reaches what it speaks to, and how many devices it tells of."""
    return [_info(ctx, name) for name in ctx.house.links]


def _tested(tested: Tested) -> str:
    return f"{tested.backend}: {tested.found}"


@order("backend test", needs=Privilege.ADMIN, says=_tested)
async def backend_test(ctx: Context, name: BackendName) -> Tested:
    """Connect a backend once more, beside what runs, and tell what is there.

    name: the backend
    """
    return Tested(name, await _reached(ctx.house.test(_named(ctx, name))))


@order("backend reload", needs=Privilege.ADMIN, says=_said)
async def backend_reload(ctx: Context, name: BackendName) -> BackendInfo:
    """Close a backend and open it afresh; what it does not tell of any more is gone.

    name: the backend
    """
    await _reached(ctx.house.reload(_named(ctx, name)))
    return _info(ctx, name)


def _named(ctx: Context, name: str) -> str:
    if name not in ctx.house.links:
        raise BadArguments(f"no backend '{name[:80]}'", "`backend list` lists them")
    return name


def _info(ctx: Context, name: str) -> BackendInfo:
    link = ctx.house.links[name]
    sees = ctx.sight()
    told = sum(told.record.backend == name and sees(told.device) for told in ctx.house.told())
    return BackendInfo(name, link.up, link.says, told)


async def _reached(doing: Awaitable[_T]) -> _T:
    try:
        return await doing
    except SiteError as error:
        # Its options were right when it was first opened; what is wrong now is out there.
        raise Unavailable(error.message, error.hint) from None
