"""Whoever watches a house is told what happens in it once and in order, whatever becomes of the connection."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from sshhome import app as site_of
from sshhome.client import Change, Gap, House, Watch
from tests.apps import app
from tests.client import PATIENCE, Door, report
from tests.conftest import FixedClock, NoChance
from tests.relay import Relay

LAMPS = ("light.hall", "light.desk")


class Watcher:
    """A watch, and what the model says is yet to be told by it."""

    def __init__(self, watch: Watch) -> None:
        """Nothing has happened since it began."""
        self.watch = watch
        self.due: list[tuple[str, int]] = []
        #: Whether the house has forgotten what was not told by now, so that there must be a gap.
        self.gap = False


class Resuming(RuleBasedStateMachine):
    """A house that is restarted, an app whose connection is cut, and lamps that change all the while."""

    def __init__(self, site: Path, keys: Path) -> None:
        """Take a site to serve a copy of."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "site"
        shutil.copytree(site, self.path)
        self.keys = keys
        self.serving = contextlib.AsyncExitStack()
        self.stack = contextlib.AsyncExitStack()
        self.watchers: list[Watcher] = []
        #: All changes that were made: each has a level that there is once.
        self.made: list[tuple[str, int]] = []
        self.restarts = 0

    @initialize()
    def begin(self) -> None:
        """Serve the house, and connect to it."""

        async def begin() -> tuple[Relay, House]:
            self.door = await self.serving.enter_async_context(self.serve())
            relay = await self.stack.enter_async_context(Relay.open(self.door.port))
            return relay, await self.stack.enter_async_context(app(self.door, port=relay.port))

        self.relay, self.house = self.runner.run(begin())
        self.subscribe()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[Door]:
        """Serve the house on some port."""
        site = site_of.Site(self.path)
        async with site_of.running(site, ["127.0.0.1:0"], FixedClock(), NoChance()) as running:
            yield Door(running.server, site, running.addresses[0], self.keys, running.reload)

    def teardown(self) -> None:
        """Read what is left, and leave nothing behind."""
        try:
            if hasattr(self, "house"):
                # What is told twice comes before this.
                self.change([LAMPS[0]], arrives=True)
                self.read(most=1000)
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.run(self.serving.aclose())
            self.runner.close()
            self.folder.cleanup()

    @property
    def lamps(self) -> Mapping[str, object]:
        """How bright the lamps are."""
        devices = self.door.server.visitors.dispatch.house.devices
        return {id_: devices[id_].state["brightness"] for id_ in LAMPS}

    @rule(lamps=st.lists(st.sampled_from(LAMPS), min_size=1, max_size=5), arrives=st.booleans())
    def change(self, lamps: list[str], *, arrives: bool) -> None:
        """Lamps change, and there is time for that to arrive or not."""

        async def change() -> None:
            house = self.door.server.visitors.dispatch.house
            for id_ in lamps:
                made = (id_, 1000 + len(self.made))
                self.made.append(made)
                report(house, house.devices[id_].with_state({"on": True, "brightness": made[1]}))
                for watcher in self.watchers:
                    watcher.due.append(made)
            for _ in range(50 if arrives else 1):
                await asyncio.sleep(0)

        self.runner.run(change())

    @precondition(lambda self: len(self.watchers) < 2)
    @rule()
    def subscribe(self) -> None:
        """Watch the lamps from now on."""
        watch = self.house.watch("light.*", snapshot=True)
        self.runner.run(self.stack.enter_async_context(watch))
        assert {device.id: device.state["brightness"] for device in watch.devices if device.id in LAMPS} == self.lamps
        self.watchers.append(Watcher(watch))

    @rule(swallowed=st.lists(st.sampled_from(LAMPS), max_size=3))
    def drop(self, swallowed: list[str]) -> None:
        """Cut the connection, after some changes have got lost on their way."""

        async def drop() -> None:
            self.relay.cut()
            self.relay.mute = False

        if swallowed:
            self.relay.mute = True
            self.change(swallowed, arrives=True)
        self.runner.run(drop())

    @precondition(lambda self: self.restarts < 2)
    @rule(killed=st.booleans())
    def restart(self, *, killed: bool) -> None:
        """Stop the house, which may cut its connections without a word, and serve it anew."""

        async def restart() -> None:
            if killed:
                self.relay.cut()
            await self.serving.aclose()
            self.door = await self.serving.enter_async_context(self.serve())
            self.relay.target = self.door.port

        self.restarts += 1
        self.runner.run(restart())
        for watcher in self.watchers:
            watcher.gap = True

    @rule(most=st.sampled_from((1, 3, 100)))
    def read(self, most: int) -> None:
        """Read, over a new connection where there is none: what is due in order, or a gap with how everything is."""

        async def read(watcher: Watcher) -> None:
            for _ in range(min(most, len(watcher.due) + watcher.gap)):
                async with asyncio.timeout(PATIENCE):
                    told = await anext(watcher.watch)
                if isinstance(told, Gap):
                    assert watcher.gap
                    assert {d.id: d.state["brightness"] for d in told.devices if d.id in LAMPS} == self.lamps
                    watcher.due, watcher.gap = [], False
                    return
                assert isinstance(told, Change)
                assert told.device is not None
                assert (told.id, told.device.state["brightness"]) == watcher.due.pop(0)

        for watcher in self.watchers:
            self.runner.run(read(watcher))


def test_resuming(site: site_of.Site, keys: Path) -> None:
    """Nothing is lost and nothing comes twice; after a restart there is a gap, and then what is true."""
    run_state_machine_as_test(
        lambda: Resuming(site.path, keys),  # type: ignore[arg-type]  # (it makes one of each, by whatever it is given)
        settings=settings(max_examples=25, stateful_step_count=25),
    )
