"""What happens is told to hooks: each hears it in order, again and again until it has taken it or is given up.

What is to be told is in the store before it is sent for the first time, with the id by which its receiver knows it
again. What would not fit there waits in the feed, where a device that changes often is told of once, as it is at last.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from sshhome import __version__
from sshhome.audit import Audit
from sshhome.clock import Clock, iso
from sshhome.errors import SiteError, Unavailable
from sshhome.escape import encoded
from sshhome.feed import Changed, Entry, Feed, Lost, Passed
from sshhome.hook import Hook
from sshhome.outbound import Outbound
from sshhome.store import Delivery, Store

log = logging.getLogger(__name__)

#: Deliveries that wait for one hook, and those that have ended and are still told of.
_MOST, _LOGGED = 100, 50
#: Happenings that wait in the feed, from which on a device is told of once; those that are taken at once.
_BEHIND, _AT_ONCE = 64, 50
#: Seconds before a hook that did not take something is tried again, ever longer; how often one thing is tried.
_PAUSES = (10.0, 60.0, 300.0, 1800.0, 7200.0, 21600.0)
_TRIES = len(_PAUSES) + 1
#: Seconds for which something is worth telling.
_LATEST = 86400.0
#: Failures in a row at which its owner is told.
_ALERT = 4
#: Seconds between two looks at the clock.
_LOOK_EVERY = 30.0
#: Seconds that it rests at the least before it looks again.
_SOONEST = 0.01
_GONE = 410
GAP, TEST = "gap", "test"


class Line:
    """All that waits to be told to one hook, the oldest first, and how that goes."""

    def __init__(self, hook: Hook, feed: Feed) -> None:
        """Begin behind what is in the feed."""
        self.hook = hook
        self.waiting: deque[Delivery] = deque()
        self.ended: deque[Delivery] = deque()
        #: How often in a row it did not take anything, and until when, on the monotonic clock, it is left alone.
        self.failures = 0
        self.until = 0.0
        #: Whether it wants nothing any more.
        self.stopped = False
        #: How it was the last time.
        self.says = ""
        self.news = asyncio.Event()
        #: How far it has been told of the feed.
        self.place = feed.head
        self.passed = Passed(feed)
        self.task: asyncio.Task[None] | None = None

    def again(self) -> None:
        """Try it at once."""
        self.failures, self.until, self.stopped = 0, 0.0, False
        self.news.set()

    @property
    def state(self) -> str:
        """How it is with it, in a word."""
        return "stopped" if self.stopped else "failing" if self.failures else "ok" if self.says else "unused"


class Hooks:
    """All hooks, and what each is still to be told."""

    def __init__(
        self, feed: Feed, store: Store, audit: Audit, clock: Clock, chance: random.Random | None = None
    ) -> None:
        """Start with none; see `load`."""
        self._feed = feed
        self._store = store
        self._audit = audit
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self.outbound = Outbound()
        self._number = 0
        self._lines: dict[str, Line] = {}
        #: What the store knows of hooks that are not configured yet.
        self._kept: dict[str, list[Delivery]] = {}
        self._news = asyncio.Event()
        self._taker: asyncio.Task[None] | None = None
        self._end_listening = feed.listen(self._news.set)

    async def load(self, hooks: Mapping[str, Hook]) -> None:
        """Take over what the store knows, and tell these hooks from now on; raises SiteError."""
        for delivery in await self._store.deliveries():
            self._number = max(self._number, delivery.number)
            self._kept.setdefault(delivery.hook, []).append(delivery)
        await self.configure(hooks)

    async def configure(self, hooks: Mapping[str, Hook]) -> None:
        """Tell these hooks from now on; one that has its name from before goes on where it was, and is tried at once.

        Of a name that there is no more nothing is kept.
        """
        for name in [name for name in self._lines if name not in hooks]:
            line = self._lines.pop(name)
            await _end(line.task)
            self._forget([*line.waiting, *line.ended])
        for name, hook in hooks.items():
            if name in self._lines:
                self._lines[name].hook = hook
                self._lines[name].again()
            else:
                self._lines[name] = line = self._begun(hook)
                line.task = asyncio.create_task(self._live(line))
        for unknown in self._kept.values():
            self._forget(unknown)
        self._kept = {}
        if self._lines and self._taker is None:
            self._taker = asyncio.create_task(self._take_all())

    def _begun(self, hook: Hook) -> Line:
        line = Line(hook, self._feed)
        for delivery in self._kept.pop(hook.name, ()):
            (line.waiting if delivery.ended is None else line.ended).append(delivery)
            line.says = delivery.says if delivery.taken else line.says
        if len(line.waiting) >= _MOST:
            # More of it was in the feed of the server that ended.
            self._lose(line)
        return line

    async def close(self) -> None:
        """Send nothing any more; what was to be told is kept."""
        self._end_listening()
        await _end(self._taker)
        for line in self._lines.values():
            await _end(line.task)
            # Each takes some of what there is, and nothing happens meanwhile.
            while self._taken(line):
                pass

    # -- asking -------------------------------------------------------------------------------------------------------

    def all(self) -> Sequence[Line]:
        """Return how it is with each hook."""
        return list(self._lines.values())

    def get(self, name: str) -> Line | None:
        """Return how it is with one."""
        return self._lines.get(name)

    async def test(self, line: Line) -> Delivery:
        """Send one word to a hook, past all that waits and once, and return how that went."""
        body = encoded({"topic": TEST, "at": iso(self._clock.now())})
        delivery = replace(self._delivery(line, TEST, body), tries=1)
        ended = await self._sent(line.hook, delivery)
        line.says = ended.says if ended.taken and not line.failures else line.says
        self._log(line, ended)
        return ended

    # -- taking -------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at what is to be done: the clock may have gone on."""
        self._news.set()
        for line in self._lines.values():
            line.news.set()

    async def _take_all(self) -> None:
        """Take what happens, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            for line in self.all():
                more = True
                while more:
                    more = self._taken(line)
                    await asyncio.sleep(0)

    def _taken(self, line: Line) -> bool:
        """Take over some of what has happened, or tell that a bug of ours lost it; return whether there may be more."""
        try:
            return self._take(line)
        except Exception:  # (it must not end it for all hooks)
            log.exception("hook %s", line.hook.name)
            line.place = self._feed.head
            self._lose(line)
            return False

    def _take(self, line: Line) -> bool:
        """Take over some of what has happened, as far as there is room; returns whether there may be more."""
        if len(line.waiting) >= _MOST:
            return False
        entries = self._feed.after(line.place, line.hook.topics)
        behind = len(entries) > _BEHIND
        for entry in entries[:_AT_ONCE]:
            if len(line.waiting) >= _MOST:
                break
            line.place = entry.number
            if isinstance(entry, Lost):
                self._lose(line)
            elif (told := self._told(line, entry, behind=behind)) is not None:
                what = entry.id if isinstance(entry, Changed) else entry.event
                self._accept(line, what, encoded(told))
        if not entries:
            # What it is not told of is behind it, too: it may want that tomorrow, and not as it was today.
            line.place = self._feed.head
        return bool(entries)

    def _told(self, line: Line, entry: Entry, *, behind: bool) -> Mapping[str, Any] | None:
        """Return what a hook is told of a happening, or None for what it does not want or hears of later."""
        if not isinstance(entry, Changed):
            return entry.told() if not isinstance(entry, Lost) and line.hook.wants(entry) else None
        changed = line.passed.since(entry, behind=behind)
        return changed.told(changed.by) if changed is not None and line.hook.wants(changed) else None

    def _accept(self, line: Line, what: str, body: bytes) -> None:
        delivery = self._delivery(line, what, body)
        line.waiting.append(delivery)
        self._store.put_delivery(delivery)
        line.news.set()

    def _delivery(self, line: Line, what: str, body: bytes) -> Delivery:
        self._number += 1
        return Delivery(self._number, line.hook.name, f"msg_{secrets.token_hex(12)}", self._clock.now(), what, body)

    def _lose(self, line: Line) -> None:
        """Tell that something may have been missed, once for all that is missing until that is sent."""
        last = line.waiting[-1] if line.waiting else None
        if last is None or last.what != GAP or last.tries:
            told = {"topic": GAP, "at": iso(self._clock.now()), "topics": line.hook.topics}
            self._accept(line, GAP, encoded(told))

    # -- sending ------------------------------------------------------------------------------------------------------

    async def _live(self, line: Line) -> None:
        """Tell a hook what waits for it, for ever."""
        while True:
            line.news.clear()
            wait = line.until - self._clock.monotonic()
            if line.waiting and not line.stopped and wait <= 0:
                try:
                    await self._next(line)
                except Exception as error:  # (a bug of ours must not end the hook for good)
                    log.exception("hook %s", line.hook.name)
                    self._failed(line, f"failed by our own fault: {type(error).__name__}")
                continue
            with contextlib.suppress(TimeoutError):
                timed = line.waiting and wait > 0
                async with asyncio.timeout(max(_SOONEST, min(wait, _LOOK_EVERY)) if timed else None):
                    await line.news.wait()

    async def _next(self, line: Line) -> None:
        """Send what has waited for longest."""
        head = line.waiting[0]
        if self._clock.now() - head.at > _LATEST:
            self._give_up(line, replace(head, says=f"too late; {head.says}".rstrip("; ")))
            return
        head = replace(head, tries=head.tries + 1)
        self._store.put_delivery(head)
        try:
            await self._store.settle()
        except SiteError as error:
            self._failed(line, error.message)
            return
        line.waiting[0] = head
        sent = await self._sent(line.hook, head)
        if sent.taken:
            line.waiting.popleft()
            line.failures, line.says = 0, sent.says
            self._log(line, sent)
            # There is room for more.
            self._news.set()
            return
        line.waiting[0] = replace(head, status=sent.status, says=sent.says)
        if sent.status == _GONE:
            line.stopped, line.says = True, sent.says
            self._audit.write("alert.hook", hook=line.hook.name, reason=f"{sent.says}: it is told nothing any more")
        else:
            self._failed(line, sent.says)
        if head.tries >= _TRIES:
            self._give_up(line, line.waiting[0])

    async def _sent(self, hook: Hook, delivery: Delivery) -> Delivery:
        """Send something once, and return it with how that went."""
        at, status = int(self._clock.now()), None
        try:
            told = {"content-type": "application/json", "user-agent": f"sshhome/{__version__}"}
            headers = {**told, **hook.signed(delivery.id, at, delivery.body)}
            status = await self.outbound.post(hook.url, headers, delivery.body, hook.allow)
            says = f"answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")
        except (Unavailable, SiteError) as error:
            says = f"{error.message} ({error.hint})" if error.hint else error.message
        return replace(delivery, ended=self._clock.now(), status=status, says=says)

    def _failed(self, line: Line, says: str) -> None:
        """Leave a hook alone for a while; by chance not all that failed at once come back at once."""
        pause = _PAUSES[min(line.failures, len(_PAUSES) - 1)] * (0.75 + self._chance.random() / 2)
        line.failures, line.says = line.failures + 1, says
        line.until = self._clock.monotonic() + pause
        if line.failures == _ALERT:
            self._audit.write("alert.hook", hook=line.hook.name, reason=says)

    def _give_up(self, line: Line, delivery: Delivery) -> None:
        line.waiting.popleft()
        self._log(line, replace(delivery, ended=self._clock.now()))
        self._lose(line)
        self._news.set()

    def _log(self, line: Line, ended: Delivery) -> None:
        """Keep how something ended for a while, without what it was."""
        ended = replace(ended, body=b"")
        line.ended.append(ended)
        self._store.put_delivery(ended)
        if len(line.ended) > _LOGGED:
            self._forget([line.ended.popleft()])

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._store.remove_delivery(delivery.number)


async def _end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, and wait for its end."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
