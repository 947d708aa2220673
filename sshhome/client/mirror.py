"""The state of a house, kept at hand: a mapping of device ids that is up to date by itself."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Self

from sshhome.client.device import Change, Device, Gap
from sshhome.client.errors import Closed
from sshhome.client.watch import Watch
from sshhome.errors import SshhomeError

#: Changes that wait for whoever iterates, before those of one device become one.
_MOST = 1000


class Mirror(Mapping[str, Device]):
    """Each device by its id, as it is now; see `House.mirror`.

    A connection that comes back brings what was missed, or else all there is, and whoever iterates over `changes` is
    told what is different: nothing is left out, and nothing comes twice.
    """

    def __init__(self, watch: Watch) -> None:
        """Begin with what was there when the watch began."""
        self._watch = watch
        self._devices = {device.id: device for device in watch.devices}
        self._readers: list[deque[Change]] = []
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None
        #: What ended it.
        self._end: Exception | None = None

    def __getitem__(self, id_: str) -> Device:
        """Return a device."""
        return self._devices[id_]

    def __iter__(self) -> Iterator[str]:
        """Yield the ids."""
        return iter(self._devices)

    def __len__(self) -> int:
        """Return how many devices there are."""
        return len(self._devices)

    def snapshot(self) -> dict[str, Device]:
        """Return all devices as they are at this moment, also to another thread."""
        return dict(self._devices)

    async def __aenter__(self) -> Self:
        """Begin to follow."""
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait((self._following,))

    async def _follow(self) -> None:
        # Also where nobody follows any more: who waits for a change must not wait for ever.
        end: Exception = Closed("the connection to the house was closed here")
        try:
            async for told in self._watch:
                if isinstance(told, Gap):
                    now = {device.id: device for device in told.devices}
                    changes = [*self._gone(now), *self._other(now)]
                else:
                    changes = [told] if isinstance(told, Change) else []
                await self._apply(changes)
        except SshhomeError as error:
            end = error
        finally:
            self._end = end
            async with self._news:
                self._news.notify_all()

    def _gone(self, now: Mapping[str, Device]) -> Iterator[Change]:
        yield from (Change(id_, None, {}) for id_ in self._devices if id_ not in now)

    def _other(self, now: Mapping[str, Device]) -> Iterator[Change]:
        """Yield what is other than it was before a gap; who did it when, nobody can tell."""
        for id_, device in now.items():
            known = self._devices.get(id_)
            if known != device:
                before = known.state if known is not None else {}
                new = {n: value for n, value in device.state.items() if n not in before or before[n] != value}
                yield Change(id_, device, new)

    async def _apply(self, changes: Sequence[Change]) -> None:
        async with self._news:
            for change in changes:
                if change.device is None:
                    self._devices.pop(change.id, None)
                else:
                    self._devices[change.id] = change.device
                for waiting in self._readers:
                    _add(waiting, change)
            self._news.notify_all()

    def changes(self) -> AsyncGenerator[Change, None]:
        """Yield each change from now on; to whoever is far behind, those of one device as one. Raises what ends it."""
        waiting: deque[Change] = deque()
        self._readers.append(waiting)
        return self._told(waiting)

    async def _told(self, waiting: deque[Change]) -> AsyncGenerator[Change, None]:
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                if self._end is not None:
                    raise self._end
                async with self._news:
                    await self._news.wait_for(lambda: waiting or self._end is not None)
        finally:
            self._readers.remove(waiting)

    async def until(self, holds: Callable[[Mapping[str, Device]], object]) -> None:
        """Wait until something is so: `await devices.until(lambda now: now["lock.front_door"].state["locked"])`."""
        async with self._news:
            await self._news.wait_for(lambda: self._end is not None or holds(self))
        if self._end is not None:
            raise self._end


def _add(waiting: deque[Change], change: Change) -> None:
    """Let a change wait; where too many wait already, as one with an earlier one of the same device."""
    if len(waiting) >= _MOST:
        for at in range(len(waiting) - 1, -1, -1):
            earlier = waiting[at]
            if earlier.id == change.id:
                waiting[at] = replace(change, change={**earlier.change, **change.change})
                return
    waiting.append(change)
