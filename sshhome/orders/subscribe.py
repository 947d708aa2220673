"""The order that tells programs what happens, and goes on where they left off; people have `watch` and `log`."""

import asyncio
import fnmatch
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Annotated, Any

from msgspec.structs import replace

from sshhome.clock import iso
from sshhome.device import Device
from sshhome.errors import Denied
from sshhome.escape import encoded
from sshhome.feed import AUDIT, STATE, TOPICS, Changed, Entry, Happened, Passed
from sshhome.glance import KINDS
from sshhome.grant import Privilege
from sshhome.order import Context, order
from sshhome.param import EVERYTHING, Anything, Several
from sshhome.target import Match

_SAYS: Mapping[str, str] = {
    "state": "what changes in the house",
    "presence": "who comes and goes, for admins",
    "audit": "what is done, for admins",
}
Topics = Annotated[Sequence[str], Several(TOPICS, _SAYS)]

#: Happenings that are told before others get their turn, and for which they are looked up at once.
_AT_ONCE = 50
#: Happenings that wait, once all that was missed is told, from which on a device is told of once.
_BEHIND = 64
#: Seconds for which rights that were looked at count; and for which that nothing is hidden from somebody does.
_LOOK, _LOOK_AT_ALL = 0.05, 1.0


def _said(told: Mapping[str, Any]) -> str:
    """Return JSON: it is for programs."""
    return encoded(told).decode()


@order("subscribe", needs=Privilege.READ, says=_said)
async def subscribe(
    ctx: Context,
    target: Anything = EVERYTHING,
    *,
    topics: Topics = (STATE,),
    cursor: str = "",
    snapshot: bool = False,
) -> AsyncGenerator[Mapping[str, Any], None]:
    """Tell programs what happens, in JSON, and what they have missed.

    target: a room, a device or a glob; everything, also what is yet to come, if left out
    topics: what to tell of; of state if left out
    cursor: go on behind the event that had this cursor
    snapshot: first tell how everything is
    """
    if set(topics) != {STATE} and not _runs(ctx):
        raise Denied(f"'subscribe' to {' and '.join(t for t in topics if t != STATE)} needs the admin privilege")
    return _Subscription(ctx, topics, _meant(target), snapshot=snapshot).told(cursor)


def _runs(ctx: Context) -> bool:
    """Return whether they run the house, at this moment."""
    standing = ctx.session.standing()
    return not isinstance(standing, str) and standing.rights.somewhere(Privilege.ADMIN).allowed


def _meant(target: Match) -> Callable[[Device], bool]:
    """Return what tells whether a device is meant, also one that is yet to come."""
    text = target.text
    if target.several and text in {"", "all"}:
        return lambda _: True
    if target.kind:
        return KINDS[target.kind]
    if target.several and not text.startswith("@") and any(char in text for char in "*?["):
        return lambda device: fnmatch.fnmatchcase(device.id, text)
    if target.several:
        room = text.removeprefix("@")
        return lambda device: device.room == room
    ids = {device.id for device in target.devices}
    return lambda device: device.id in ids


class _Subscription:
    """One client's view of the feed."""

    def __init__(self, ctx: Context, topics: Sequence[str], meant: Callable[[Device], bool], *, snapshot: bool) -> None:
        self._ctx = ctx
        self._feed = ctx.feed
        self._topics = topics
        self._meant = meant
        self._snapshot = snapshot
        self._news = asyncio.Event()
        self._passed = Passed(ctx.feed)
        self._looked = self._looked_at_all = -math.inf
        self._sees: Callable[[Device], bool] = lambda _: False
        self._is_admin = self._sees_all = False

    async def told(self, cursor: str) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield how it begins, and then event after event."""
        head = self._feed.head
        place = self._feed.place(cursor) if cursor else head
        known = place is not None and self._feed.keeps(place, self._topics)
        at = place if place is not None and known else head
        end = self._feed.listen(self._news.set)
        try:
            yield {"cursor": self._feed.cursor(at), **(self._devices() if not cursor else {})}
            if not known:
                yield self._event(at, "gap", topics=self._topics, **self._devices())
            async for event in self._events(at, head):
                yield event
        finally:
            end()

    def _devices(self) -> Mapping[str, Any]:
        if not self._snapshot or STATE not in self._topics:
            return {}
        self._look()
        sees, index = self._sees, self._ctx.scope.index
        return {"devices": [device.as_json() for device in index if sees(device) and self._meant(device)]}

    def _event(self, number: int, topic: str, **members: object) -> Mapping[str, Any]:
        return {"cursor": self._feed.cursor(number), "topic": topic, **members}

    async def _events(self, at: int, replayed: int) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield what happens after a number; up to `replayed` every step of it, as long as it is kept."""
        slow = False
        while True:
            entries = self._feed.after(at, self._topics)
            if not entries:
                slow = False
                self._news.clear()
                await self._news.wait()
                continue
            slow = at >= replayed and (slow or len(entries) > _BEHIND)
            entries = entries[:_AT_ONCE]
            for entry in entries:
                told = self._told(entry, slow=slow)
                at = entry.number
                if told is not None:
                    yield told
            await asyncio.sleep(0)

    def _told(self, entry: Entry, *, slow: bool) -> Mapping[str, Any] | None:
        """Return what is told of a happening, or None for what is not theirs to know, or told with a later one."""
        self._look()
        if isinstance(entry, Changed):
            return self._change(entry, slow=slow)
        if not self._is_admin:
            return None
        if not isinstance(entry, Happened):
            return self._event(entry.number, "gap", topics=[entry.topic])
        if entry.topic == AUDIT:
            return self._audit(entry)
        return self._event(entry.number, entry.topic, at=iso(entry.at), event=entry.event, **_who(entry))

    def _change(self, entry: Changed, *, slow: bool) -> Mapping[str, Any] | None:
        changed = self._passed.since(entry, behind=slow)
        if changed is None or not self._sees(changed.known):
            return None
        now = changed.device if changed.device is not None and self._meant(changed.device) else None
        if now is None and (changed.before is None or not self._meant(changed.before)):
            return None
        # What has left the room that they watch is gone from there.
        told = replace(changed, device=now).told(self._by(changed.by))
        return {"cursor": self._feed.cursor(changed.number), **told}

    def _by(self, by: str) -> str:
        """Return who changed a device; which order it was may name what others must not know of."""
        login, order, _ = by.partition(": ")
        return by if self._is_admin or login == self._ctx.user.login or not order else login

    def _audit(self, entry: Happened) -> Mapping[str, Any] | None:
        """Return an event of the audit log; what others ordered may name what is hidden from this admin."""
        own = entry.fields.get("user") == self._ctx.user.login
        if entry.event.startswith("order.") and not own and not self._looks_at_all():
            return None
        return {"cursor": self._feed.cursor(entry.number), **entry.told()}

    def _look(self) -> None:
        """Look at what they may know of, which comes and goes while this goes on."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= _LOOK:
            self._looked, self._sees, self._is_admin = now, self._ctx.sight(), _runs(self._ctx)

    def _looks_at_all(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._looked_at_all >= _LOOK_AT_ALL:
            self._looked_at_all, house = now, self._ctx.house
            devices = (house.find(told.record.id) for told in house.told())
            self._sees_all = all(device is None or self._sees(device) for device in devices)
        return self._sees_all


def _who(entry: Happened) -> Mapping[str, Any]:
    return {name: entry.fields[name] for name in ("user", "session", "source", "channel") if name in entry.fields}
