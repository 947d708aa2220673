"""Orders about whatever is on or off: lamps, switches, fans."""

from sshhome.device import Device
from sshhome.grant import Privilege
from sshhome.order import Context, order
from sshhome.param import Switchable


@order("on", needs=Privilege.CONTROL, says="{label} is on")
async def on(ctx: Context, device: Switchable) -> Device:
    """Switch something on.

    device: the lamp, switch or fan to switch on
    """
    return await ctx.change(device, on=True)


@order("off", needs=Privilege.CONTROL, says="{label} is off")
async def off(ctx: Context, device: Switchable) -> Device:
    """Switch something off.

    device: the lamp, switch or fan to switch off
    """
    return await ctx.change(device, on=False)


@order("toggle", needs=Privilege.CONTROL, says="{label} is {on_off}")
async def toggle(ctx: Context, device: Switchable) -> Device:
    """Switch something on if it is off, and off if it is on.

    device: the lamp, switch or fan to switch over
    """
    return await ctx.change(device, on=not device.state.get("on"))
