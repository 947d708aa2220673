"""A user whose file or key was taken away goes on giving orders over what they have open: none runs any more."""

import asyncio
from collections.abc import Callable

import pytest
from asyncssh.packet import String

from tests.attacks.intruder import intruder
from tests.attacks.victim import others_are_served
from tests.client import Door, RawChannel, ask, until


def remove_user(door: Door) -> None:
    """Delete the file of the guest."""
    (door.site.path / "authorized_users" / "guest.toml").unlink()


def remove_key(door: Door) -> None:
    """Take the guest's key out of the file, and put another in."""
    path = door.site.path / "authorized_users" / "guest.toml"
    mine, other = ((door.keys / f"{name}.pub").read_text().strip() for name in ("guest", "viewer"))
    path.write_text(path.read_text().replace(mine, other))


def remove_role(door: Door) -> None:
    """Take the guest's role away."""
    path = door.site.path / "authorized_users" / "guest.toml"
    path.write_text(path.read_text().replace('["guest"]', "[]"))


def given(door: Door) -> list[str]:
    """Return the orders of the guest that have run."""
    return [event["order"] for event in door.audit("order.done") if event["user"] == "guest"]


@pytest.mark.parametrize("revoke", [remove_user, remove_key, remove_role])
@pytest.mark.parametrize("way", ["exec", "batch", "xterm", "dumb"])
async def test_an_order_right_after(door: Door, revoke: Callable[[Door], None], way: str) -> None:
    """The very next order of a session that is open already does not run, whichever way it comes."""
    async with intruder(door) as attacker:
        channel = await attacker.open()
        if way in {"xterm", "dumb"}:
            attacker.terminal(channel, way)
        if way != "exec":
            attacker.request(channel, "shell")
            attacker.data(channel, b"upper ready\r" if way != "batch" else b"upper ready\n")
            await until(lambda: b"READY" in attacker.out)
        revoke(door)
        if way == "exec":
            attacker.request(channel, "exec", String("on hall"))
        else:
            attacker.data(channel, b"on hall\r" if way != "batch" else b"on hall\n")
        await until(lambda: attacker.gone or [e for e in door.audit() if e.get("order") in {"on", "on hall"}])
        await others_are_served(door)
    assert "on" not in given(door)
    assert door.server.visitors.dispatch.house.devices["light.hall"].state["on"] is False


@pytest.mark.parametrize("revoke", [remove_user, remove_key, remove_role])
async def test_orders_that_wait_in_line(door: Door, revoke: Callable[[Door], None]) -> None:
    """Of a line of orders the one that runs is finished, and those after it, pasted long before, do not run."""
    async with door.connect("guest") as connection:
        with door.waiting_printer() as echo:
            raw = await RawChannel.open(connection)
            assert await raw.ask("shell")
            raw.channel.write("on printer; on hall --keep-going\non hall --keep-going\n" * 3)
            await until(lambda: door.server.visitors.dispatch._running)
            revoke(door)
            echo()
            await until(lambda: raw.heard.closed)
        await others_are_served(door)
    assert given(door) in ([], ["on"])
    assert door.server.visitors.dispatch.house.devices["light.hall"].state["on"] is False


@pytest.mark.parametrize("revoke", [remove_user, remove_key])
async def test_another_session_right_after(door: Door, revoke: Callable[[Door], None]) -> None:
    """Whoever has been shut out gets nothing from new channels on their old connection, nor from a new one."""
    async with intruder(door) as attacker:
        revoke(door)
        with attacker.at_once():
            for number in range(5):
                attacker.ask_to_open(number)
        await until(lambda: attacker.gone or len(attacker.channels) == 5)
        for channel in list(attacker.channels.values()):
            attacker.request(channel, "exec", String("on hall"))
        await until(lambda: attacker.gone)
        assert (await door.ask("guest", "on hall")).err == "permission denied\n"
        await others_are_served(door)
    assert given(door) == []


async def test_orders_after_leaving(door: Door) -> None:
    """What stands behind `exit`, on its line, in its batch, or sent while it ends, does not run."""
    async with intruder(door) as attacker:
        channels = []
        for number, term in enumerate(("xterm", "dumb", "")):
            channels.append(await attacker.open(number))
            if term:
                attacker.terminal(channels[-1], term)
            attacker.request(channels[-1], "shell")
        with attacker.at_once():
            for channel in channels:
                attacker.data(channel, b"exit; on hall\ron hall\r\non hall\n" * 10)
        await until(lambda: not list(door.server.visitors.sessions))
        await others_are_served(door)
    assert set(given(door)) == {"exit"}


async def test_a_kicked_session(door: Door) -> None:
    """Whoever an admin ends while their order runs gets no further order done on that connection."""
    async with door.connect("guest") as connection, door.connect("home") as admin:
        with door.waiting_printer():
            order = asyncio.create_task(ask(connection, "on printer; on hall"))
            await until(lambda: door.server.visitors.dispatch._running)
            assert (await ask(admin, "session kick guest")).status == 0
            await asyncio.wait([order])
            order.exception()
    assert "on hall" not in given(door)
    assert door.server.visitors.dispatch.house.devices["light.hall"].state["on"] is False
