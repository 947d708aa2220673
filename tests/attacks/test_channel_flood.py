"""A user opens channels without end: ten on a connection are theirs, and the others are refused and cost nothing."""

import pytest
from asyncssh.packet import UInt32

from tests.attacks.intruder import CLOSE, CONFIRMED, REFUSED, Intruder, intruder
from tests.attacks.victim import MIB, Besiege, Victim
from tests.client import until

MANY = 30_000
TEN = 10


def answered(attacker: Intruder) -> int:
    """Return how many of the channels asked for have been granted or refused."""
    return attacker.heard[CONFIRMED] + attacker.heard[REFUSED]


def events(victim: Victim, event: str) -> int:
    """Return how many events of one kind the attacker has caused."""
    return sum(found["user"] == "guest" for found in victim.door.audit(event))


@pytest.mark.flood
async def test_30_000_channels(besiege: Besiege) -> None:
    """Of 30,000 channels asked for at once, ten are opened; the connection goes on, and others are served."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        with attacker.at_once():
            for number in range(MANY):
                attacker.ask_to_open(number)
        await victim.others_are_served()
        await until(lambda: answered(attacker) == MANY)
        assert len(attacker.channels) == TEN
        assert attacker.refusals == {"too many sessions on this connection": MANY - TEN}
        await victim.others_are_served()


# The last one is what asyncssh calls its own handler of all the others.
@pytest.mark.flood
@pytest.mark.parametrize("kind", ["nonsense", "x11", "auth-agent@openssh.com", "", "\x1b[2J", "channel"])
async def test_channels_that_are_refused_in_a_loop(besiege: Besiege, kind: str) -> None:
    """Thousands of channels of a kind that there is not are refused one by one, and nothing of them is kept."""
    async with besiege(memory=4 * MIB) as victim, intruder(victim.door) as attacker:
        for _ in range(10):
            with attacker.at_once():
                for number in range(500):
                    attacker.ask_to_open(number, kind=kind)
            await attacker.sent()
        await until(lambda: attacker.gone or answered(attacker) == 5_000)
        assert attacker.refusals == {"nothing is forwarded": 5_000}
        await attacker.open()
        await victim.others_are_served()


@pytest.mark.flood
async def test_channels_opened_and_closed_in_a_loop(besiege: Besiege) -> None:
    """Two thousand channels, ten at a time, each closed once it is open: all are granted, and none leaves a thing."""
    async with besiege(memory=4 * MIB) as victim, intruder(victim.door) as attacker:
        for _ in range(200):
            attacker.channels.clear()
            attacker.heard.clear()
            with attacker.at_once():
                for number in range(TEN):
                    attacker.ask_to_open(number)
            await until(lambda: len(attacker.channels) == TEN)
            with attacker.at_once():
                for channel in attacker.channels.values():
                    attacker.send_packet(CLOSE, UInt32(channel))
            await until(lambda: attacker.heard[CLOSE] == TEN)
        await victim.others_are_served()
        assert not attacker.refusals


async def test_sessions_over_many_connections(besiege: Besiege) -> None:
    """A user's twenty-first session is told that the server is busy, over whichever connection; others have theirs."""
    async with (
        besiege(memory=48 * MIB) as victim,
        intruder(victim.door) as one,
        intruder(victim.door) as two,
        intruder(victim.door, source="127.0.0.67") as three,
    ):
        for attacker in (one, two):
            for number in range(TEN):
                channel = await attacker.open(number)
                attacker.terminal(channel)
                attacker.request(channel, "shell")
        await until(lambda: events(victim, "session.opened") == 2 * TEN)
        channel = await three.open()
        three.request(channel, "shell")
        await until(lambda: three.heard[CLOSE])
        assert three.out == b"error: server busy, try later (you have too many sessions open)\n"
        await victim.others_are_served()
        one.abort()
        await until(lambda: events(victim, "session.closed") == TEN)
        channel = await three.open(1)
        three.request(channel, "shell")
        three.data(channel, b"upper room again\n")
        await until(lambda: b"ROOM AGAIN" in three.out)
        assert events(victim, "session.opened") == 2 * TEN + 1
