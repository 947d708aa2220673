"""Orders about whatever is on or off: lamps, switches, fans."""

from sshhome.grant import Privilege
from sshhome.order import Change, Context, order
from sshhome.param import Switchable


@order("on", needs=Privilege.CONTROL, says="{label} is on")
async def on(ctx: Context, device: Switchable) -> Change:
    """Switch something on.

    device: the lamp, switch or fan to switch on
    """
    return {"on": True}


@order("off", needs=Privilege.CONTROL, says="{label} is off")
async def off(ctx: Context, device: Switchable) -> Change:
    """Switch something off.

    device: the lamp, switch or fan to switch off
    """
    return {"on": False}


@order("toggle", needs=Privilege.CONTROL, says="{label} is {on_off}")
async def toggle(ctx: Context, device: Switchable) -> Change:
    """Switch something on if it is off, and off if it is on.

    device: the lamp, switch or fan to switch over
    """
    return {"on": not device.state.get("on")}
