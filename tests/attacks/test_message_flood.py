"""A user sends messages that cost nothing to send, as fast as they can: the others do not notice."""

from asyncssh.packet import Boolean, String, UInt32

from tests.attacks.intruder import DATA, GLOBAL, GRANTED, IGNORE, Intruder, intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import until

DEBUG, UNIMPLEMENTED = 4, 3


def keepalives(attacker: Intruder) -> None:
    """Ask whether the server is still there."""
    attacker.send_packet(GLOBAL, String("keepalive@openssh.com"), Boolean(True))


def nonsense(attacker: Intruder) -> None:
    """Ask for what there is not."""
    attacker.send_packet(GLOBAL, String("nonsense@example.com"), Boolean(True))


def nothing(attacker: Intruder) -> None:
    """Say what is to be ignored."""
    attacker.send_packet(IGNORE, String("x"))


def debugging(attacker: Intruder) -> None:
    """Say what nobody wants to know, with escape sequences in it."""
    attacker.send_packet(DEBUG, Boolean(True), String("\x1b[2J\x1b]0;pwned\x07"), String(""))


def complaints(attacker: Intruder) -> None:
    """Say that something was not understood."""
    attacker.send_packet(UNIMPLEMENTED, UInt32(1))


def of_no_kind(attacker: Intruder) -> None:
    """Send a message with a number that means nothing."""
    attacker.send_packet(255, String("x"))


def signals(attacker: Intruder) -> None:
    """Interrupt what runs."""
    attacker.request(attacker.channels[0], "signal", String("INT"), answer=False)


def no_data(attacker: Intruder) -> None:
    """Send data of which there is none."""
    attacker.send_packet(DATA, UInt32(attacker.channels[0]), String(""))


MESSAGES = (keepalives, nonsense, nothing, debugging, complaints, of_no_kind, signals, no_data)


async def test_a_flood_of_messages(besiege: Besiege) -> None:
    """However many such messages come, from a client that has a shell open, nothing piles up and others are served."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        for message in MESSAGES:
            for _ in range(10):
                with attacker.at_once():
                    for _ in range(500):
                        message(attacker)
                await attacker.sent()
            await victim.others_are_served()
        await until(lambda: not attacker.waiting)


async def test_a_window_that_always_changes(besiege: Besiege) -> None:
    """A screen whose size changes thousands of times at once is drawn now and then, and not for each of them."""
    async with besiege(memory=16 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        attacker.terminal(channel)
        attacker.request(channel, "shell")
        await until(lambda: b"@house" in attacker.out)
        attacker.heard.clear()
        with attacker.at_once():
            for number in range(4_000):
                size = UInt32(80 + number % 2)
                attacker.request(channel, "window-change", size, UInt32(24), UInt32(0), UInt32(0))
        await victim.others_are_served()
        await until(lambda: attacker.heard[GRANTED] == 4_000)
        assert attacker.heard[DATA] < 1_000
