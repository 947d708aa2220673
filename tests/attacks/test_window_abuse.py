"""A user breaks the rules of a channel's window: the connection ends, or the server is none the worse for it."""

import pytest
from asyncssh.packet import String, UInt32

from tests.attacks.intruder import ADJUST, CLOSE, intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import until

#: What the server lets a client send on one channel before it has read any of it.
WINDOW = 64 * 1024


@pytest.mark.parametrize("at_once", [WINDOW + 1, 16 * 1024, 1])
async def test_data_beyond_the_window(besiege: Besiege, at_once: int) -> None:
    """More data than the window allows, in whatever pieces, ends the connection, and none of the orders in it runs."""
    async with besiege(memory=16 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        data = b"on kitchen\n" * (2 * WINDOW // 11)
        with attacker.at_once():
            for start in range(0, WINDOW + 1, at_once):
                attacker.data(channel, data[start : start + at_once])
        await until(lambda: attacker.gone)
    assert [event["order"] for event in victim.door.audit("order.done")] == ["upper", "upper"]


@pytest.mark.flood
async def test_windows_full_of_small_packets(besiege: Besiege) -> None:
    """Two windows filled byte by byte, on channels on which nobody reads, cost no more than a few times the bytes."""
    async with besiege(memory=3 * MIB) as victim, intruder(victim.door) as attacker:
        for number in range(2):
            channel = await attacker.open(number)
            for _ in range(8):
                with attacker.at_once():
                    for _ in range(WINDOW // 8):
                        attacker.data(channel, b"x")
                await attacker.sent()
        await until(lambda: not attacker.waiting)
        await victim.others_are_served()
        assert not attacker.gone


async def test_a_window_of_more_than_4_gib(besiege: Besiege) -> None:
    """A window that is opened beyond 2^32 bytes, a thousand times, lets through the answer and nothing else."""
    async with besiege(memory=4 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open(window=2**32 - 1)
        with attacker.at_once():
            for _ in range(1_000):
                attacker.send_packet(ADJUST, UInt32(channel), UInt32(2**32 - 1))
        attacker.request(channel, "exec", String("upper still right"))
        await until(lambda: attacker.heard[CLOSE] or attacker.gone)
        await victim.others_are_served()
    assert attacker.out in {b"STILL RIGHT\n", b""}


async def test_an_answer_byte_by_byte(besiege: Besiege) -> None:
    """A client that takes one byte at a time, by its packet size or by its window, gets its answer and no more."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        small = await attacker.open(0, size=1)
        attacker.request(small, "exec", String("list --json"))
        await until(lambda: attacker.heard[CLOSE] == 1)
        answer, attacker.out = attacker.out, b""
        narrow = await attacker.open(1, window=0)
        attacker.request(narrow, "exec", String("list --json"))
        with attacker.at_once():
            for _ in range(len(answer)):
                attacker.send_packet(ADJUST, UInt32(narrow), UInt32(1))
        await until(lambda: attacker.heard[CLOSE] == 2)
        assert attacker.out == answer
        await victim.others_are_served()


async def test_a_packet_size_of_nothing(besiege: Besiege) -> None:
    """A channel whose packets may hold nothing at all is refused, instead of being answered for ever."""
    async with besiege(memory=4 * MIB) as victim, intruder(victim.door) as attacker:
        attacker.ask_to_open(0, size=0)
        await until(lambda: attacker.gone)
        assert not attacker.channels
        await victim.others_are_served()
