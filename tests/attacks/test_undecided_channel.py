"""A user floods a channel about which a decision is still to be made: others are served, and nothing piles up."""

from collections.abc import Callable

import pytest
from asyncssh.packet import Boolean, String, UInt32

from tests.attacks.intruder import CLOSE, EOF, REQUEST, Intruder, intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import until

MANY = 5_000
COOKIE = (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String(b"0" * 32), UInt32(0))


def before_it_is_open(attacker: Intruder) -> None:
    """Talk on a channel that has only been asked for; the server gives the number 0 to the first."""
    attacker.ask_to_open(0)
    for _ in range(MANY):
        attacker.request(0, "env", String("LC_ALL"), String("C"))


def while_the_agent_is_asked_for(attacker: Intruder) -> None:
    """Ask for what asyncssh answers later, and for a lot after it."""
    attacker.request(attacker.channels[1], "auth-agent-req@openssh.com")
    for _ in range(MANY):
        attacker.request(attacker.channels[1], "env", String("LC_ALL"), String("C"))


def while_x11_is_asked_for(attacker: Intruder) -> None:
    """Ask for what asyncssh answers later, over and over."""
    for _ in range(MANY):
        attacker.request(attacker.channels[1], "x11-req", *COOKIE)


def without_wanting_an_answer(attacker: Intruder) -> None:
    """Ask for what there is not, and want no answer."""
    for _ in range(MANY):
        attacker.request(attacker.channels[1], "nonsense@example.com", answer=False)


def with_data_and_ends(attacker: Intruder) -> None:
    """Send data, its end and more data, before anything runs on the channel."""
    channel = attacker.channels[1]
    for _ in range(MANY):
        attacker.data(channel, b"on kitchen\n")
    for _ in range(MANY):
        attacker.send_packet(EOF, UInt32(channel))
        attacker.data(channel, b"on kitchen\n")


def that_is_closed_already(attacker: Intruder) -> None:
    """Close a channel, and go on as if it were open."""
    channel = attacker.channels[1]
    attacker.send_packet(CLOSE, UInt32(channel))
    for _ in range(MANY):
        attacker.send_packet(REQUEST, UInt32(channel), String("shell"), Boolean(True))


@pytest.mark.flood
@pytest.mark.parametrize(
    "flood",
    [
        before_it_is_open,
        while_the_agent_is_asked_for,
        while_x11_is_asked_for,
        without_wanting_an_answer,
        with_data_and_ends,
        that_is_closed_already,
    ],
)
async def test_a_flood_on_an_undecided_channel(besiege: Besiege, flood: Callable[[Intruder], None]) -> None:
    """Whatever is sent before it may be, at once and by the thousand, costs at most the connection it came over."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        if flood is not before_it_is_open:
            await attacker.open(1)
        with attacker.at_once():
            flood(attacker)
        await victim.others_are_served()
        await until(lambda: not attacker.waiting or attacker.gone)
        await victim.others_are_served()
    assert not [event for event in victim.door.audit("session.opened") if event["user"] == "guest"]
