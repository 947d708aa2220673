"""The house: all devices of all backends, as they last reported themselves."""

import asyncio
import functools
import logging
from collections.abc import Callable

from sshhome.backend import Backend, Report
from sshhome.device import Device, State
from sshhome.errors import NotConfirmed, Unavailable

log = logging.getLogger(__name__)

#: Seconds a device has to echo a change (the contract's 2 s).
CONFIRM_WITHIN = 2.0


class House:
    """Knows every device, sends changes to the one backend that has it, and waits for the device's own echo."""

    def __init__(self, confirm_within: float = CONFIRM_WITHIN) -> None:
        """Start with no device; backends report theirs through `report`."""
        self.confirm_within = confirm_within
        #: Grows whenever a device comes, goes or is renamed: what may be kept about ids and names until then.
        self.version = 0
        #: Every device as it last reported itself, by id.
        self.devices: dict[str, Device] = {}
        self._backends: dict[str, Backend] = {}
        self._owner: dict[str, str] = {}
        self._waiting: dict[str, list[tuple[State, asyncio.Future[Device]]]] = {}
        self._watchers: list[Callable[[Device], None]] = []

    def reporter(self, name: str) -> Report:
        """Return what the backend of this name reports its devices to."""
        return functools.partial(self._report, name)

    def add(self, name: str, backend: Backend) -> None:
        """Take in a backend and its devices."""
        self._backends[name] = backend
        for device in backend.devices():
            self._report(name, device)

    def _report(self, name: str, device: Device) -> None:
        """Take note of a device as it is now; resolves the orders that wait for this echo."""
        if self._owner.setdefault(device.id, name) != name:
            log.error("two backends report %s: that of %s is ignored", device.id, name)
            return
        known = self.devices.get(device.id)
        if known is None or (known.name, known.room) != (device.name, device.room):
            self.version += 1
        self.devices[device.id] = device
        for change, echo in self._waiting.get(device.id, ()):
            if not echo.done() and device.echoes(change):
                echo.set_result(device)
        for watcher in list(self._watchers):
            watcher(device)

    def watch(self, watcher: Callable[[Device], None]) -> Callable[[], None]:
        """Call `watcher` with every device that reports itself; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def change(self, device_id: str, change: State, *, wait: bool = True) -> Device:
        """Send a change and return the device as it echoes it, or with `wait=False` as it is known now.

        Raises Unavailable, BadArguments in the device's own words, or NotConfirmed when no echo comes in time.
        """
        device = self.devices[device_id]
        if not device.available:
            raise Unavailable(f"{device.id} is unavailable")
        echo: asyncio.Future[Device] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(device_id, [])
        # The echo may come before `apply` returns, so we listen before we speak.
        waiting.append((change, echo))
        try:
            await self._backends[self._owner[device_id]].apply(device, change)
            if not wait:
                return self.devices[device_id]
            await asyncio.wait([echo], timeout=self.confirm_within)
            if not echo.done():
                raise NotConfirmed(f"sent to {device.id}, not confirmed")
            return echo.result()
        finally:
            waiting.remove((change, echo))
            if not waiting:
                self._waiting.pop(device_id, None)
