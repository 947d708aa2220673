"""Orders about what opens and closes: blinds, the garage, gates."""

from sshhome.grant import Privilege
from sshhome.order import Change, Context, order
from sshhome.param import Openable, Position


@order("open", needs=Privilege.CONTROL, says="{label} is {where}")
async def open_(ctx: Context, cover: Openable, position: Position = 100) -> Change:
    """Open a blind, a door or a gate.

    cover: what to open
    position: how far, 0 is closed and 100 is open
    """
    return {"position": position}


@order("close", needs=Privilege.CONTROL, says="{label} is {where}")
async def close(ctx: Context, cover: Openable) -> Change:
    """Close a blind, a door or a gate.

    cover: what to close
    """
    return {"position": 0}


@order("stop", needs=Privilege.CONTROL, says="{label} is {where}")
async def stop(ctx: Context, cover: Openable) -> Change:
    """Stop a blind, a door or a gate where it is.

    cover: what to stop
    """
    return {"moving": None}
