"""Orders about locks and the alarm."""

from typing import Literal

from sshhome.grant import Privilege
from sshhome.order import Change, Context, order
from sshhome.param import ONLY, Alarm, Lock


@order("lock", needs=Privilege.ACCESS, says="{label} is {where}")
async def lock(ctx: Context, lock: Lock) -> Change:
    """Lock a door.

    lock: the lock to lock
    """
    return {"locked": True}


@order("unlock", needs=Privilege.ACCESS, says="{label} is {where}")
async def unlock(ctx: Context, lock: Lock) -> Change:
    """Unlock a door.

    lock: the lock to unlock
    """
    return {"locked": False}


@order("arm", needs=Privilege.ACCESS, says="{label} is {where}")
async def arm(ctx: Context, mode: Literal["home", "away", "night"] = "away", alarm: Alarm = ONLY) -> Change:
    """Arm the alarm.

    mode: home, away or night
    alarm: which alarm, if there are several
    """
    return {"armed": mode}


@order("disarm", needs=Privilege.ACCESS, says="{label} is {where}")
async def disarm(ctx: Context, alarm: Alarm = ONLY) -> Change:
    """Disarm the alarm.

    alarm: which alarm, if there are several
    """
    return {"armed": "disarmed"}
