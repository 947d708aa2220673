"""A user sends every byte there is, alone and together: each is text or a key, and never more than one order."""

from collections import Counter

import pytest
from asyncssh.packet import String, UInt32

from tests.attacks.intruder import CLOSE, Intruder, intruder
from tests.attacks.victim import others_are_served
from tests.client import Door, until

ALL = bytes(range(256))
#: The two bytes that separate orders; all others are part of one.
SEPARATORS = b"\n;"
#: What is typed at a terminal; ^D on an empty line would be the end of the shell, as it should.
TYPED = {
    "alone": b"".join(bytes([number]) + b"\x03" for number in range(256) if number != 4),
    "after an escape": b"".join(b"\x1b" + bytes([number]) + b"\x03" for number in range(256) if number != 4),
    # But the beginning of what a mouse says, of which test_paste_flood.py has more.
    "after a bracket": b"".join(
        b"\x1b[" + bytes([number]) + b"\x03" for number in range(256) if number not in b"\x04M"
    ),
    "together": ALL.replace(b"\x04", b""),
}


def orders_of_sessions(door: Door) -> Counter[int]:
    """Return how many sessions have given one order, and how many more than one; an error is one as well."""
    sessions = Counter(event["session"] for event in door.audit() if "status" in event)
    return Counter(sessions.values())


def no_fault_of_ours(door: Door) -> bool:
    """Return whether no order has failed by our own fault."""
    return not [event for event in door.audit() if event.get("status") == 70]


async def test_every_byte_in_a_command(door: Door) -> None:
    """Each byte as an argument of a command is one order or one error, and two only where it separates them."""
    commands = [b"echo a" + bytes([number]) + b"echo b" for number in range(256)]
    async with intruder(door, "home") as attacker:
        for start in range(0, 256, 8):
            attacker.channels.clear()
            attacker.heard.clear()
            for number in range(8):
                attacker.ask_to_open(number)
            await until(lambda: len(attacker.channels) == 8)
            for number, channel in attacker.channels.items():
                attacker.request(channel, "exec", String(commands[start + number]))
            await until(lambda: attacker.heard[CLOSE] == 8)
            for channel in attacker.channels.values():
                attacker.send_packet(CLOSE, UInt32(channel))
        assert orders_of_sessions(door) == {1: 256 - len(SEPARATORS), 2: len(SEPARATORS)}
        await others_are_served(door)
    assert no_fault_of_ours(door)


async def test_every_byte_in_a_batch(door: Door) -> None:
    """Each byte as a line of a batch, and all of them as one, is answered, and the orders around it are given."""
    lines = [*(bytes([number]) for number in range(256)), ALL]
    async with intruder(door, "home") as attacker:
        channel = await attacker.open()
        # Options in place of a command are those of all lines of a batch.
        attacker.request(channel, "exec", String("--keep-going"))
        for line in lines:
            # A session ends after ten orders in a row that do not exist.
            attacker.data(channel, line + b"\necho well\n")
        attacker.data(channel, b"exit\n")
        await until(lambda: attacker.heard[CLOSE])
        assert attacker.out.count(b"well\n") == len(lines)
        await others_are_served(door)
    assert no_fault_of_ours(door)


async def quiet(attacker: Intruder, door: Door) -> None:
    """Wait until nothing comes back any more, while others are served."""
    before = -1
    while before != (now := len(attacker.out)):
        before = now
        await others_are_served(door)


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
@pytest.mark.parametrize("typed", TYPED)
async def test_every_byte_at_a_terminal(door: Door, term: str, typed: str) -> None:
    """Each byte typed at a shell, alone, after an escape and with all the others, leaves a shell that works."""
    async with intruder(door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel, term)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        attacker.data(channel, TYPED[typed])
        await quiet(attacker, door)
        # ^G ends a search, and ^C drops the line; the first of them may be part of what was begun before.
        attacker.data(channel, b"\x07\x03\x03\x03upper works\r")
        await until(lambda: b"WORKS" in attacker.out)
    assert no_fault_of_ours(door)
