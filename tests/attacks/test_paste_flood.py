"""A user pastes a megabyte, or key presses that never end, into the shell: it is cut, and others do not notice."""

import asyncio

import pytest

from tests.attacks.intruder import intruder
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door, until

PASTE, PASTED = b"\x1b[200~", b"\x1b[201~"

#: What is typed, and what ends it; without Enter it stays one line, of which no order comes.
FLOODS = {
    "a megabyte of text": b"x" * MIB,
    "a megabyte of lines": PASTE + b"on kitchen\n" * (MIB // 11) + PASTED,
    "a paste that never ends": PASTE + b"x" * MIB,
    "pastes within pastes": PASTE * (MIB // 8),
    "a sequence of 20,000 digits": b"\x1b[" + b"1" * 20_000,
    "sequences of 20,000 digits": (b"\x1b[" + b"1;" * 10_000 + b"Z") * 20,
    "escapes": b"\x1b" * 4_000,
    "a repeat count of a billion": b"\x1b9" * 9 + b"x" + b"\x1b1\x1b0" * 500 + b"y",
    "a negative repeat count": b"\x1b-" * 500 + b"x",
    "a macro that grows": b"\x18(x\x18)\x18e" * 200,
    "yanking what was cut": b"x" * 8 + b"\x15" + b"\x19" * 4_000,
    "undoing": b"ab\x1f" * 500,
    "searching": b"\x12a" * 300,
    "completing": b"on k" + b"\t" * 300,
    "any unicode": ("\U0001f600\u0301\u202e\u200b日" * 2_000).encode(),
    "half of a character": b"\xf0\x9f" * 50_000,
}


@pytest.mark.flood
@pytest.mark.parametrize("term", ["xterm", "dumb"])
async def test_a_flood_of_keys(besiege: Besiege, term: str) -> None:
    """Whatever is typed in whatever amount, others are served, memory is bounded, no order runs, and the shell goes on.

    At a dumb terminal a newline is Enter, pasted or not.
    """
    async with besiege(memory=24 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel, term)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        for name, flood in FLOODS.items():
            if term == "dumb" and b"\n" in flood:
                continue
            pouring = asyncio.create_task(attacker.pour(0, flood))
            await victim.others_are_served()
            await pouring
            # What ends a paste and a search, drops what is on the line, and shows that the shell goes on.
            attacker.out = b""
            await attacker.pour(0, PASTED + b"\x07\x03\x03\x03upper works\r")
            await until(lambda: b"WORKS" in attacker.out)
            assert not attacker.gone, name
    orders = [event["order"] for event in victim.door.audit() if event.get("user") == "guest" and "order" in event]
    assert set(orders) == {"upper"}


async def test_a_mouse_that_there_is_not(besiege: Besiege) -> None:
    """What a mouse would say, in all dialects and with numbers that mean nothing, is no key, and no error of ours."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        for report in (b"\x1b[<%d;%d;%dM", b"\x1b[<%d;%d;%dm", b"\x1b[%d;%d;%dM", b"\x1b[M%c%c%c"):
            for number in (0, 3, 32, 35, 64, 97, 126):
                attacker.data(channel, report % (number, number, number))
        await victim.others_are_served()
        attacker.data(channel, b"\x03upper works\r")
        await until(lambda: b"WORKS" in attacker.out or victim.process.err)
        assert victim.process.err == ""


#: Keys that make a line longer of what is on it already, with prompt_toolkit's own bindings.
GROWING = {
    "cut and yanked twice": b"\x15\x19\x19",
    "a word cut and yanked twice": b"\x17\x19\x19",
    "yanked, undone, yanked twice": b"\x15\x19\x1f\x19\x19",
    "completed with all there is": b" on k\x1b*",
}


@pytest.mark.parametrize("name", GROWING)
async def test_a_line_that_doubles(door: Door, name: str) -> None:
    """A line is four kilobytes at most also for keys that insert what was cut or completed: no round doubles it."""
    async with intruder(door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        # From nine characters to 72 KB, where a line has no limit; 30 rounds more, and it is 72 TB.
        await attacker.pour(0, b"echo xxxx" + GROWING[name] * 13 + b"\r")
        await others_are_served(door)
        await until(lambda: "guest" in {event.get("user") for event in door.audit() if "order" in event})
    assert not [event for event in door.audit() if "a line may be" in event.get("message", "")]
