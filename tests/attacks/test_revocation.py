"""Somebody gives orders as fast as they can, in every way at once, while an admin shuts them out: then none runs."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from tests.attacks.victim import others_are_served
from tests.client import Answer, Door, RawChannel, Terminal, ask, until

#: Whoever is to be shut out: a pass, so that every way of shutting out is one for them.
FILE = """
keys = ['{}', '{}']
issued_by = "home"
until = 2026-12-24
roles = ["viewer"]
grants = [
  "control:light.*",
  "control:switch.printer",
  {{ allow = "control:switch.tv", step_up = "confirm" }},
]
"""
LAMPS = ("hall", "kitchen", "counter", "desk")
#: How they are shut out, and what they are told.
WAYS = {
    "user freeze guest": "your user is frozen",
    "user remove guest": "your user was removed",
    "pass revoke guest": "your pass was revoked",
    "user key guest remove guest@test": "your key was removed",
    "user revoke guest control:light.*": "what you may do has changed",
    "user revoke guest role:viewer": "what you may do has changed",
    "user grant guest read --deny": "what you may do has changed",
}


def path_of(door: Door, login: str) -> Path:
    """Return a user's file."""
    return door.site.path / "authorized_users" / f"{login}.toml"


def given(door: Door) -> list[str]:
    """Return the orders of the guest that have run, and those of the admin, in their order."""
    events = [event for event in door.audit() if event["event"] in {"order.done", "order.failed"}]
    return [event["order"] for event in events if event["user"] in {"guest", "home"}]


class Flood:
    """Somebody who gives orders in every way there is, and never stops by themselves."""

    def __init__(self, door: Door, connection: asyncssh.SSHClientConnection) -> None:
        """Begin on a connection."""
        self._door = door
        self._connection = connection
        self.done = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, door: Door, **how: str) -> "AsyncIterator[Flood]":
        """Give orders until the block ends, or nobody takes them any more."""
        async with door.connect("guest", **how) as connection:
            flood = cls(door, connection)
            ways = [flood._by_exec(lamp) for lamp in LAMPS]
            tasks = [asyncio.create_task(way) for way in (*ways, flood._by_batch(), flood._waiting_for_an_echo())]
            tasks.append(asyncio.create_task(flood._asked_whether_it_is_meant()))
            try:
                yield flood
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _by_exec(self, lamp: str) -> None:
        """Give one order after another, each on a channel of its own."""
        while True:
            if (await ask(self._connection, f"toggle {lamp}; toggle {lamp}")).status == 0:
                self.done += 1

    async def _by_batch(self) -> None:
        """Give orders by the hundred, without waiting for any answer."""
        raw = await RawChannel.open(self._connection)
        assert await raw.ask("shell")
        for number in itertools.count(1):
            raw.channel.write("toggle reading --keep-going\n" * 100)
            await until(lambda wanted=100 * number: raw.heard.closed or raw.heard.out.count("\n") >= wanted)  # type: ignore[misc]

    async def _waiting_for_an_echo(self) -> None:
        """Give an order to a device that answers late."""
        raw = await RawChannel.open(self._connection)
        assert await raw.ask("shell")
        raw.channel.write("on printer --keep-going\ntoggle porch --keep-going\n")
        await until(lambda: raw.heard.closed)

    async def _asked_whether_it_is_meant(self) -> None:
        """Give an order that asks back, and type ahead what comes after it."""
        async with Terminal.open(self._connection) as terminal:
            terminal.type("on tv; toggle bedside\r")
            await terminal.shows("are you sure?")
            self.asked = terminal
            await asyncio.Event().wait()

    asked: Terminal | None = None

    @property
    def under_way(self) -> bool:
        """Whether each way has got somewhere."""
        running = [session.channel for session in self._door.server.visitors.dispatch._running.values()]
        return self.done > 10 and self.asked is not None and {"shell", "batch"} <= set(running)

    def answers(self) -> None:
        """Say yes to what was asked, too late."""
        assert self.asked is not None
        with contextlib.suppress(OSError, asyncssh.Error):
            self.asked.type("yes\r")


@pytest.fixture
def guest(door: Door) -> Door:
    """Let the guest be a pass with two keys."""
    keys = [(door.keys / f"{name}.pub").read_text().strip() for name in ("guest", "cleaner")]
    path_of(door, "guest").write_text(FILE.format(*keys))
    return door


@pytest.mark.parametrize("line", WAYS)
async def test_nothing_runs_after_the_answer(guest: Door, line: str) -> None:
    """From the answer to the admin on, no order of theirs runs, whichever way it came and whatever it waited for."""
    door, dispatch = guest, guest.server.visitors.dispatch
    reports: list[str] = []
    async with door.connect("home") as admin, Flood.of(door) as flood:
        with door.waiting_printer() as echo:
            await until(lambda: flood.under_way)
            unwatch = dispatch.house.watch(lambda device: reports.append(device.id))
            answer = await ask(admin, line)
            reports.clear()
            assert [s for s in dispatch._running.values() if s.login.user == "guest"] == []
            flood.answers()
            echo()
            await until(lambda: not [s for s in dispatch.sessions if s.login.user == "guest"])
        assert answer.status == 0
        assert "ended" in answer.out
        await others_are_served(door)
        unwatch()
    # The printer's own echoes, which come too late.
    assert set(reports) == {"switch.printer"}
    told = given(door)
    after = told[told.index(" ".join(line.split()[:2])) + 1 :]
    assert set(after) == {"upper"}
    assert dispatch.house.devices["switch.tv"].state["on"] is False
    assert dispatch.house.devices["light.bedside"].state["on"] is False
    assert {e["message"] for e in door.audit("order.refused") if e["user"] == "guest"} >= {WAYS[line]}


async def test_another_key_goes_on(guest: Door) -> None:
    """Who came with another key of the same user, gives orders as before when the first is removed."""
    async with guest.connect("home") as admin, guest.connect("guest", key="cleaner") as other, Flood.of(guest) as flood:
        with guest.waiting_printer():
            await until(lambda: flood.under_way)
            waiting = asyncio.create_task(ask(other, "on printer"))
            assert (await ask(admin, "user key guest remove guest@test")).status == 0
        assert (await waiting) == Answer("printer is on\n", "", 0)
        assert (await ask(other, "on hall")).status == 0
    assert (await guest.ask("guest", "whoami")).err == "permission denied\n"


async def test_many_are_shut_out_at_once(guest: Door) -> None:
    """Two admins who shut each other out at the same moment do not wait for each other, and one of them stays."""
    path_of(guest, "guest").write_text(
        path_of(guest, "home")
        .read_text()
        .replace((guest.keys / "home.pub").read_text().strip(), (guest.keys / "guest.pub").read_text().strip())
    )
    async with guest.connect("home") as one, guest.connect("guest") as other:
        answers = await asyncio.gather(
            ask(one, "user freeze guest"), ask(other, "user freeze home"), return_exceptions=True
        )
    done = [answer for answer in answers if isinstance(answer, Answer) and answer.status == 0]
    assert len(done) == 1
    frozen = [login for login in ("home", "guest") if "frozen = true" in path_of(guest, login).read_text()]
    assert len(frozen) == 1


async def test_a_connection_without_a_session(guest: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits on a connection that nothing runs on, until another user of the same name is made, is not that one."""
    # As if it all happened between two of its rounds.
    monkeypatch.setattr(guest.server.visitors, "look_after", lambda: None)
    assert (await guest.ask("home", "user remove guest")).status == 0
    made = await guest.ask("home", "pass create guest --may 'unlock front_door' --until 2026-06-03 --json")
    async with guest.connect("guest", password=made.json["password"]) as old:
        for line in (
            "pass revoke guest",
            "pass create guest --may 'unlock side_door' --until 2026-06-03",
        ):
            assert (await guest.ask("home", line)).status == 0
        for line in ("unlock front_door", "unlock side_door"):
            with contextlib.suppress(asyncssh.Error):
                assert (await ask(old, line)).status != 0
    assert [event for event in guest.audit("order.done") if event["order"] == "unlock"] == []
