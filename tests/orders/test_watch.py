"""The order `watch`: what changes is shown as it changes, to who may see it then, however slowly they read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST
from asyncssh.packet import String, UInt32

from sshhome.device import Device
from sshhome.user import write_whole
from tests.channels.test_shell import terminal
from tests.client import Door, RawChannel, ask, report, until


class Watching:
    """A client that watches, and what it has read so far."""

    def __init__(self, process: "asyncssh.SSHClientProcess[str]") -> None:
        """Read what comes."""
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self.process.stdout:
            self.lines += [line.rstrip("\n")] if line else []

    async def stop(self) -> None:
        """Leave."""
        self.process.close()
        await self.process.wait_closed()
        await self._reading


@contextlib.asynccontextmanager
async def watching(door: Door, user: str, line: str = "watch --json") -> AsyncIterator[Watching]:
    """Let a user watch."""
    watchers = len(house(door)._watchers)
    async with door.connect(user) as connection:
        watch = Watching(await connection.create_process(line))
        await until(lambda: len(house(door)._watchers) > watchers)
        try:
            yield watch
        finally:
            await watch.stop()
    await until(lambda: len(house(door)._watchers) == watchers)


def house(door: Door) -> Any:  # noqa: ANN401 (with its private parts)
    """Return the house that is served."""
    return door.server.visitors.dispatch.house


async def give(door: Door, line: str) -> int:
    """Give an order and return its status."""
    async with door.connect("home") as connection:
        return (await ask(connection, line)).status


async def test_what_changes_is_shown(door: Door) -> None:
    """Each change is a line: what is new, how it is now, and who gave the order; what stays as it is, is none."""
    async with watching(door, "home") as watch, watching(door, "home", "watch @kitchen") as kitchen:
        assert await give(door, "on kitchen") == 0
        report(house(door), house(door).devices["light.kitchen"])
        assert await give(door, "on desk") == 0
        await until(lambda: len(watch.lines) >= 2)
        seen = [json.loads(line) for line in watch.lines]
        assert [(one["id"], one["change"]["on"], one["by"]) for one in seen] == [
            ("light.kitchen", True, "home: on kitchen"),
            ("light.desk", True, "home: on desk"),
        ]
        assert seen[0]["device"] == house(door).devices["light.kitchen"].as_json()
        assert kitchen.lines == ["14:00:00  light.kitchen  on, 100 %, 2700 K  (home: on kitchen)"]


async def test_what_comes_and_goes(door: Door) -> None:
    """A device that comes, is out of reach or is gone is shown, where everything is watched."""
    lamp = Device(id="light.new", name="New", room="hall")
    async with watching(door, "home", "watch") as watch:
        report(house(door), lamp)
        await until(lambda: len(watch.lines) == 1)
        report(house(door), Device(id="light.new", name="New", room="hall", available=False))
        await until(lambda: len(watch.lines) == 2)
        next(iter(house(door)._reporters.values())).gone("light.new")
        await until(lambda: len(watch.lines) == 3)
    assert [line.split("  ")[1:] for line in watch.lines] == [
        ["light.new", "unknown"],
        ["light.new", "unavailable"],
        ["light.new", "is gone"],
    ]


async def test_only_what_may_be_seen(door: Door) -> None:
    """Whoever may not see a device does not learn that it changed, also when their rights change meanwhile."""
    async with watching(door, "cleaner") as watch:
        assert await give(door, "on kids") == 0
        assert await give(door, "on kitchen") == 0
        await until(lambda: watch.lines)
        path = door.site.path / "authorized_users" / "cleaner.toml"
        write_whole(path, path.read_text().replace('"control:light.*"', '"control:light.desk"'))
        assert await give(door, "off kitchen") == 0
        assert await give(door, "on night") == 0
        assert await give(door, "on hall") == 0
        await until(lambda: len(watch.lines) == 2)
    assert [json.loads(line)["id"] for line in watch.lines] == ["light.kitchen", "light.hall"]


async def test_whose_order_it_was(door: Door) -> None:
    """Who changed it is told to everybody who sees it; what the order was, to who gave it and who runs the server."""
    async with watching(door, "guest") as watch:
        assert await give(door, "on @kitchen") == 0
        await until(lambda: watch.lines)
    assert {json.loads(line)["by"] for line in watch.lines} == {"home"}


async def test_it_ends_with_its_user(door: Door) -> None:
    """Who is frozen watches no more."""
    async with watching(door, "guest") as watch:
        assert await give(door, "user freeze guest") == 0
        assert await give(door, "on kitchen") == 0
        await watch._reading
    assert watch.lines == []


async def test_a_slow_reader_is_told_the_last(door: Door) -> None:
    """Who does not read is told once how a device is at the end, not ten thousand times how it was; nothing grows."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection, window=0)
        watchers = len(house(door)._watchers)
        assert await raw.ask("exec", String("watch --json"))
        await until(lambda: len(house(door)._watchers) > watchers)
        lamp = house(door).devices["light.kitchen"]
        for number in range(10_000):
            report(house(door), lamp.with_state({"on": True, "brightness": number % 100 + 1}))
            if number % 100 == 0:
                await asyncio.sleep(0)
        report(house(door), lamp.with_state({"on": True, "brightness": 42}))
        raw.channel._recv_window = 2**20
        raw.channel.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(2**20))
        await until(lambda: '"brightness":42' in raw.heard.out)
        assert len(raw.heard.out.splitlines()) < 1000


async def test_in_a_shell(door: Door) -> None:
    """In a shell ^C ends the watching and nothing else."""
    watchers = len(house(door)._watchers)
    async with terminal(door) as screen:
        screen.type("watch\r")
        await until(lambda: len(house(door)._watchers) > watchers)
        assert await give(door, "on kitchen") == 0
        await until(lambda: "light.kitchen  on" in str(screen))
        screen.type("\x03")
        await until(lambda: len(house(door)._watchers) == watchers)
        screen.type("time\r")
        await until(lambda: "2026" in str(screen))


async def test_whoever_watches_is_not_idle(door: Door) -> None:
    """Watching is no idleness, and one line in the audit log."""
    async with watching(door, "home"):
        (session,) = door.server.visitors.dispatch.sessions
        assert session.running == 1
    assert [line for line, _ in door.orders()] == ["watch"]
