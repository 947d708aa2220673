"""What every backend must do: one class of tests, run against each of them.

A backend's test module subclasses `BackendContract` and says which backend it is, and what to try it on.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sshhome.backend import Backend
from sshhome.device import ATTRIBUTES, Device, State
from sshhome.errors import SiteError, Unavailable
from tests.client import until
from tests.conftest import FixedClock

Start = Callable[[], Awaitable[Backend]]


class Reports:
    """What a backend has reported: in order, and the last of each device."""

    def __init__(self) -> None:
        """Start with none."""
        self.all: list[Device] = []
        self.refusals: list[tuple[str, str]] = []
        self.last: dict[str, Device] = {}

    def changed(self, device: Device, by: str = "") -> None:
        """Take a report."""
        self.all.append(device)
        self.last[device.id] = device

    def gone(self, identity: str) -> None:
        """Forget a device."""
        self.last = {id_: device for id_, device in self.last.items() if device.identity != identity}

    def refused(self, identity: str, words: str) -> None:
        """Take note of what a device would not do."""
        self.refusals.append((identity, words))

    def echoed(self, device_id: str, change: State) -> bool:
        """Return whether the last report of a device shows a change."""
        return device_id in self.last and self.last[device_id].echoes(change)


class BackendContract:
    """The contract of `sshhome.backend`; a subclass says which backend, and which devices to try it on."""

    kind: type[Backend]
    #: A lamp that can be reached, and a device that cannot.
    lamp: str
    offline: str

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Return options with which it opens, and with which `offline` is out of reach."""
        raise NotImplementedError

    @pytest.fixture
    def reports(self) -> Reports:
        """Return what takes the reports."""
        return Reports()

    @pytest.fixture
    def start(self, options: Mapping[str, Any], tmp_path: Path, clock: FixedClock, reports: Reports) -> Start:
        """Return what opens the backend, and waits until it has found what the tests are about."""

        async def begin() -> Backend:
            backend = await self.kind.open(options, tmp_path, clock, reports)
            await until(lambda: self.found(backend))
            return backend

        return begin

    def found(self, backend: Backend) -> bool:
        """Return whether the backend knows the lamp and the device that is out of reach, and how all lamps are."""
        known = {device.id: device for device in backend.devices()}
        if not {self.lamp, self.offline} <= known.keys() or not known[self.lamp].available:
            return False
        lamps = [device for device in known.values() if device.kind == "light" and device.id != self.offline]
        return all(lamp.available and lamp.state["on"] is not None for lamp in lamps)

    def device(self, backend: Backend, device_id: str) -> Device:
        """Return a device as the backend has it now."""
        (found,) = (device for device in backend.devices() if device.id == device_id)
        return found

    async def test_devices_are_well_formed(self, start: Start) -> None:
        """Ids are `kind.slug` and unique, states are of known attributes and their types, every device has a name."""
        backend = await start()
        devices = backend.devices()
        assert devices
        assert len({device.id for device in devices}) == len(devices)
        for device in devices:
            kind, dot, slug = device.id.partition(".")
            assert (kind, dot, slug) == (device.kind, ".", device.slug)
            assert all(word and set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for word in (kind, slug))
            assert device.name
            assert set(device.state) <= set(device.attributes) <= set(ATTRIBUTES)
            for name, value in device.state.items():
                attribute = device.attributes[name]
                assert attribute.name == name
                assert attribute.type is ATTRIBUTES[name].type
                wanted = (int, float) if attribute.type in {int, float} else attribute.type
                assert value is None or isinstance(value, wanted)
                assert isinstance(value, bool) <= (attribute.type is bool)
                if attribute.options:
                    assert value is None or value in attribute.options
                elif isinstance(value, int | float) and not isinstance(value, bool):
                    assert attribute.low <= value <= attribute.high
        await backend.close()

    async def test_apply_is_echoed_through_the_report(self, start: Start, reports: Reports) -> None:
        """What is applied comes back in a report of that device, whole, and is what the backend tells from then on."""
        backend = await start()
        before = self.device(backend, self.lamp)
        changes: list[State] = [{"on": True}, {"on": False}, {"on": True}]
        for change in changes:
            reports.last.pop(self.lamp, None)
            await backend.apply(self.device(backend, self.lamp), change)
            await until(functools.partial(reports.echoed, self.lamp, change))
            echo = reports.last[self.lamp]
            assert self.device(backend, self.lamp) == echo
            assert (echo.id, echo.name, echo.room, echo.attributes) == (
                before.id,
                before.name,
                before.room,
                before.attributes,
            )
            assert set(echo.state) == set(before.state)
        await backend.close()

    async def test_changes_at_once_all_arrive(self, start: Start, reports: Reports) -> None:
        """Changes of several devices at once are each applied and reported."""
        backend = await start()
        lamps = [
            device
            for device in backend.devices()
            if device.kind == "light" and device.available and device.state.get("on") is False
        ]
        assert len(lamps) > 1
        await asyncio.gather(*(backend.apply(lamp, {"on": True}) for lamp in lamps))
        await until(lambda: all(lamp.id in reports.last and reports.last[lamp.id].state["on"] for lamp in lamps))
        await backend.close()

    async def test_offline_raises_unavailable(self, start: Start, reports: Reports) -> None:
        """A device that cannot be reached says so in its report and when it is told to change, and stays as it is."""
        backend = await start()
        before = self.device(backend, self.offline)
        assert not before.available
        told = len(reports.all)
        with pytest.raises(Unavailable):
            await backend.apply(before, {"on": True})
        assert self.device(backend, self.offline) == before
        assert self.offline not in {device.id for device in reports.all[told:]}
        await backend.close()

    async def test_state_survives_close_and_reopen(self, start: Start, reports: Reports) -> None:
        """What was applied and echoed is so after the server is started again."""
        backend = await start()
        await backend.apply(self.device(backend, self.lamp), {"on": True})
        await until(lambda: reports.echoed(self.lamp, {"on": True}))
        ids = [device.id for device in backend.devices()]
        await backend.close()
        again = await start()
        assert self.device(again, self.lamp).state["on"] is True
        assert [device.id for device in again.devices()] == ids
        await again.close()

    async def test_nothing_is_reported_after_close(self, start: Start, reports: Reports, clock: FixedClock) -> None:
        """Once closed, a backend is silent."""
        backend = await start()
        lamp = self.device(backend, self.lamp)
        changes = [asyncio.create_task(backend.apply(lamp, {"on": on})) for on in (True, False, True)]
        await asyncio.sleep(0)
        await backend.close()
        await asyncio.gather(*changes, return_exceptions=True)
        count = len(reports.all)
        clock.advance(3600)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(reports.all) == count

    async def test_unknown_options_are_refused(
        self, options: Mapping[str, Any], tmp_path: Path, clock: FixedClock, reports: Reports
    ) -> None:
        """An option that the backend does not know is an error that names file, backend and option."""
        with pytest.raises(SiteError, match=r"^sshhome\.toml: backend \w+: .*'nosuch'"):
            await self.kind.open({**options, "nosuch": 1}, tmp_path, clock, reports)
