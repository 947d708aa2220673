"""The order that goes on: it shows what changes in the house while it changes."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sshhome.clock import iso
from sshhome.device import Device, State
from sshhome.grant import Privilege
from sshhome.house import Event
from sshhome.order import Context, order
from sshhome.param import EVERYTHING, Anything
from sshhome.summary import summary

#: Seconds in which changes of one device are told as one: nobody reads faster, and a script need not.
_TOGETHER = 0.05
#: Changes that are told before others get their turn.
_AT_ONCE = 50


class Seen(msgspec.Struct, frozen=True):
    """What was seen of a device: how it is now, which of that is new, and by whom where that is known.

    A device that is gone is null. `said` is that in words, with the time of the house.
    """

    at: str
    id: str
    device: Mapping[str, Any] | None
    change: State
    by: str
    said: str


def _said(seen: Seen) -> str:
    return seen.said


@order("watch", needs=Privilege.READ, says=_said)
async def watch(ctx: Context, target: Anything = EVERYTHING) -> AsyncGenerator[Seen, None]:
    """Show what changes in the house, as it changes, until it is interrupted.

    target: a room, a device or a glob; everything, also what is yet to come, if left out
    """
    ids = {device.id for device in target.devices}
    everything = all(device.id in ids for device in ctx.scope.index)
    return _seen(ctx, lambda id_: everything or id_ in ids)


async def _seen(ctx: Context, watched: Callable[[str], bool]) -> AsyncGenerator[Seen, None]:
    """Yield what is seen; whoever reads slowly is told the last of it, and not each step on the way."""
    waiting: dict[str, Event] = {}
    news = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard(event: Event) -> None:
        if watched(event.id) and event.news:
            earlier = waiting.pop(event.id, None)
            # Told is the way from where it was when it was last told.
            waiting[event.id] = event if earlier is None else msgspec.structs.replace(event, before=earlier.before)
            news.set()

    end = ctx.house.watch(heard)
    try:
        while True:
            await news.wait()
            news.clear()
            events, waiting = waiting, {}
            looked = -math.inf
            for number, event in enumerate(events.values(), 1):
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                if loop.time() - looked >= _TOGETHER:
                    # Rights come and go while this goes on, and whoever reads slowly may be at it for long.
                    sees, looked = ctx.sight(), loop.time()
                known = event.device or event.before
                if known is not None and event.news and sees(known):
                    yield _told(ctx, event, known)
            await asyncio.sleep(_TOGETHER)
    finally:
        end()


def _by(ctx: Context, by: str) -> str:
    """Return who changed a device; which order it was may name what others must not know of."""
    login, order, _ = by.partition(": ")
    all_told = login == ctx.user.login or ctx.standing.rights.somewhere(Privilege.ADMIN).allowed
    return by if all_told or not order else login


def _told(ctx: Context, event: Event, known: Device) -> Seen:
    now = ctx.clock.now()
    what = "is gone" if event.device is None else summary(event.device)
    who = _by(ctx, event.by)
    by = f"  ({who})" if who else ""
    said = f"{datetime.fromtimestamp(now, ctx.timezone):%H:%M:%S}  {known.id}  {what}{by}"
    return Seen(iso(now), event.id, event.device.as_json() if event.device else None, event.change, who, said)
