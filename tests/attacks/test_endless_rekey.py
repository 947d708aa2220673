"""A user asks for new keys without end, or never ends what they began: they are given up, and nothing piles up."""

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from tests.attacks.intruder import DATA, GLOBAL, KEXINIT, REQUEST, intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import Door, Reply, ask, until

ROOM = "[limits]\norders_per_minute = 1000000\norder_burst = 1000000\n"


def ask_for_new_keys(connection: asyncssh.SSHClientConnection) -> None:
    """Begin a key exchange, as asyncssh does after a gigabyte."""
    connection._send_kexinit()
    connection._kexinit_sent = True


async def test_new_keys_without_end(besiege: Besiege) -> None:
    """A client that asks for new keys again and again gets them ten times in a minute, and is hung up on then."""
    async with besiege(memory=4 * MIB) as victim, victim.door.wire() as wire:
        await wire.log_in("guest", victim.door.key("guest"))
        # The first one came with the connection.
        for number in range(2, 11):
            ask_for_new_keys(wire)
            await until(lambda: wire._kex_complete)
            assert (await ask(wire, f"echo {number}")).out == f"{number}\n"
        await victim.others_are_served()
        ask_for_new_keys(wire)
        assert await wire.reply() == Reply("disconnected", "too many key exchanges")


async def test_an_honest_client_may_have_new_keys(door: Door) -> None:
    """A client that asks for new keys now and then, as after each gigabyte, goes on undisturbed."""
    async with door.connect("guest") as connection:
        for number in range(5):
            ask_for_new_keys(connection)
            await until(lambda: connection._kex_complete)
            assert (await ask(connection, f"echo {number}")).out == f"{number}\n"


@pytest.mark.parametrize("flood", ["orders", "requests", "questions"])
async def test_new_keys_that_are_never_made(besiege: Besiege, flood: str) -> None:
    """Who begins to make new keys, never ends it, and goes on asking makes a bounded number of answers wait."""
    async with besiege(ROOM, memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open(window=2**32 - 1)
        attacker.request(channel, "shell")
        attacker.ignored.add(KEXINIT)
        ask_for_new_keys(attacker)
        for _ in range(20):
            with attacker.at_once():
                # The client's own manners would keep these back until the keys are made.
                attacker._kex_complete = True
                for number in range(1_000):
                    if flood == "orders":
                        attacker.send_packet(DATA, UInt32(channel), String("list --json\n"))
                    elif flood == "requests":
                        attacker.send_packet(REQUEST, UInt32(channel), String("x@y"), Boolean(True))
                    else:
                        attacker.send_packet(GLOBAL, String(f"x{number}@y"), Boolean(True))
            await attacker.sent()
        await victim.others_are_served()
        await until(lambda: attacker.gone or not attacker.waiting)
        await victim.others_are_served()
        given = [event for event in victim.door.audit("order.done") if event["user"] == "guest"]
        assert len(given) < 5_000
