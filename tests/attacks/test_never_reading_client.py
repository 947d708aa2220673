"""A user never reads what they ask for: orders stand still, and no more than a bounded part of the output waits."""

import socket

import pytest
from asyncssh.packet import String

from tests.attacks.intruder import Intruder, intruder
from tests.attacks.victim import MIB, Besiege, Victim

#: As many orders as anyone could want, since here it is the output that is to be bounded.
ROOM = "[limits]\norders_per_minute = 1000000\norder_burst = 1000000\n"
#: Each answers with some 10 KB: 20 MB and more in all.
ORDERS = 2_000
WAYS = ("a shell", "a plain shell", "a batch", "an exec")


def ask_for_much(attacker: Intruder, channel: int, way: str) -> None:
    """Give orders whose answers are many megabytes."""
    if way == "an exec":
        attacker.request(channel, "exec", String(";".join(["list --json"] * 300)))
        return
    if way != "a batch":
        attacker.terminal(channel, "xterm" if way == "a shell" else "dumb")
    attacker.request(channel, "shell")
    end = b"\n" if way == "a batch" else b"\r"
    line = b";".join([b"list --json"] * 100) + end
    for _ in range(ORDERS // 100):
        attacker.data(channel, line)


def given(victim: Victim) -> int:
    """Return how many orders of the attacker have run."""
    return sum(event["user"] == "guest" for event in victim.door.audit("order.done"))


async def standing_still(victim: Victim) -> int:
    """Return how many orders have run once no more do."""
    before = -1
    while before != (now := given(victim)):
        before = now
        await victim.others_are_served()
    return now


def stop_reading(attacker: Intruder) -> None:
    """Read nothing from the socket any more, and let the kernel hold as little as it can."""
    assert attacker._transport is not None
    attacker._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    attacker._transport.pause_reading()


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_that_does_not_read(besiege: Besiege, way: str) -> None:
    """With a window of 4 GiB and a socket nobody reads from, ten channels ask for megabytes and get them nowhere."""
    async with besiege(ROOM, memory=24 * MIB) as victim, intruder(victim.door) as attacker:
        channels = [await attacker.open(number, window=2**32 - 1) for number in range(10)]
        stop_reading(attacker)
        for channel in channels:
            ask_for_much(attacker, channel, way)
        assert await standing_still(victim) < ORDERS


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_that_never_opens_its_window(besiege: Besiege, way: str) -> None:
    """With no window at all, ten channels ask for megabytes: shells are given up, and what waits is bounded."""
    async with besiege(ROOM, memory=24 * MIB) as victim, intruder(victim.door) as attacker:
        for number in range(10):
            ask_for_much(attacker, await attacker.open(number, window=0), way)
        assert await standing_still(victim) < ORDERS
