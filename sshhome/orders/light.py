"""Orders about lamps."""

from sshhome.grant import Privilege
from sshhome.order import Change, Context, order
from sshhome.param import Brightness, Color, Colorable, Dimmable


@order("dim", needs=Privilege.CONTROL, says="{label} is at {brightness} %")
async def dim(ctx: Context, light: Dimmable, level: Brightness = 50) -> Change:
    """Dim a lamp.

    light: the lamp to dim
    level: 0 is off, 100 is full, +10 is a little brighter
    """
    return {"brightness": level}


@order("color", needs=Privilege.CONTROL, says="{label} shows {color}")
async def color(ctx: Context, light: Colorable, color: Color) -> Change:
    """Give a lamp a colour, or a warmer or cooler white.

    light: the lamp to colour
    color: a name such as red or warm white, #ff8800, or a temperature such as 2700k
    """
    return color
