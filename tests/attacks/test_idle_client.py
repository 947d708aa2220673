"""A user takes up room and does nothing with it: they are warned, and then it is taken from them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from asyncssh.packet import Boolean, String

from tests.attacks.intruder import CLOSE, GLOBAL, IGNORE, intruder
from tests.attacks.victim import others_are_served
from tests.client import Door, RawChannel, Reply, ask, until

Serve = Callable[..., AbstractAsyncContextManager[Door]]
SHORT = '[limits]\nidle = "1s"\n'


@pytest.mark.parametrize(("term", "line_end"), [("xterm", "\r\n"), ("dumb", "\r\n"), ("", "\n")])
async def test_an_idle_session(serve: Serve, term: str, line_end: str) -> None:
    """A shell, at a terminal that can move its cursor or not, and a batch, is told, and then ended with status 124."""
    async with serve(SHORT) as door, door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        assert not term or await raw.terminal(term)
        assert await raw.ask("shell")
        await until(lambda: raw.heard.closed)
        said = raw.heard.out if term else raw.heard.err
        assert said.index("idle: this session ends in 1 s") < said.index(f"idle for 1 s, goodbye{line_end}")
        assert raw.heard.status == 124
        assert (await ask(connection, "upper the connection lives on")).status == 0
        await others_are_served(door)
    await until(lambda: len(door.audit("session.closed")) == 3)


async def test_a_running_order_is_not_idle(serve: Serve) -> None:
    """A session that waits for its order outlives one that has nothing to wait for, and reads the answer."""
    async with serve(SHORT) as door, door.connect("guest") as connection:
        with door.waiting_printer() as echo:
            waiting = asyncio.create_task(ask(connection, "on printer"))
            await until(lambda: door.server.visitors.dispatch._running)
            idle = await RawChannel.open(connection)
            assert await idle.ask("shell")
            await until(lambda: idle.heard.closed)
            assert not waiting.done()
            echo()
            assert (await waiting).out == "printer is on\n"


async def test_a_connection_without_a_session(serve: Serve) -> None:
    """A connection on which no channel is opened is closed with the reason."""
    async with serve(SHORT) as door, door.wire() as wire:
        await wire.log_in("guest", door.key("guest"))
        assert await wire.reply() == Reply("disconnected", "no session was open for too long")
        await others_are_served(door)


@pytest.mark.parametrize("manner", ["asking for nothing", "refused", "left open after its order"])
async def test_a_channel_without_a_session(serve: Serve, manner: str) -> None:
    """A connection whose only channel has no session on it, or one that is over, is as idle as one without."""
    async with serve(SHORT) as door, intruder(door) as attacker:
        channel = await attacker.open()
        if manner == "refused":
            attacker.request(channel, "subsystem", String("sftp"))
        elif manner == "left open after its order":
            attacker.request(channel, "exec", String("echo once"))
            # Our side never closes it.
            await until(lambda: attacker.heard[CLOSE])
        await until(lambda: attacker.gone)
        assert not door.server.visitors


@pytest.mark.parametrize("manner", ["keepalives", "nothing", "variables"])
async def test_being_busy_with_nothing(serve: Serve, manner: str) -> None:
    """Messages that are no input keep no session and no connection from being idle."""
    async with serve(SHORT) as door, intruder(door) as attacker:
        channel = await attacker.open()
        attacker.request(channel, "shell")

        def is_gone() -> bool:
            """Send one more message; tells whether the session is over."""
            if manner == "keepalives":
                attacker.send_packet(GLOBAL, String("keepalive@openssh.com"), Boolean(True))
            elif manner == "nothing":
                attacker.send_packet(IGNORE, String("x"))
            else:
                attacker.request(channel, "env", String("LC_ALL"), String("C"))
            return bool(attacker.heard[CLOSE])

        await until(is_gone)
        assert b"goodbye" in attacker.out
