"""Orders about locks and the alarm."""

from typing import Literal

from sshhome.device import Device
from sshhome.grant import Privilege
from sshhome.order import Context, order
from sshhome.param import ONLY, Alarm, Lock


@order("lock", needs=Privilege.ACCESS, says="{label} is locked")
async def lock(ctx: Context, lock: Lock) -> Device:
    """Lock a door.

    lock: the lock to lock
    """
    return await ctx.change(lock, locked=True)


@order("unlock", needs=Privilege.ACCESS, says="{label} is unlocked")
async def unlock(ctx: Context, lock: Lock) -> Device:
    """Unlock a door.

    lock: the lock to unlock
    """
    return await ctx.change(lock, locked=False)


@order("arm", needs=Privilege.ACCESS, says="{label} is armed for {armed}")
async def arm(ctx: Context, mode: Literal["home", "away", "night"] = "away", alarm: Alarm = ONLY) -> Device:
    """Arm the alarm.

    mode: home, away or night
    alarm: which alarm, if there are several
    """
    return await ctx.change(alarm, armed=mode)


@order("disarm", needs=Privilege.ACCESS, says="{label} is disarmed")
async def disarm(ctx: Context, alarm: Alarm = ONLY) -> Device:
    """Disarm the alarm.

    alarm: which alarm, if there are several
    """
    return await ctx.change(alarm, armed="disarmed")
