"""A user asks one channel for several sessions: it is one, and what came after the first request never runs."""

import itertools

import pytest
from asyncssh.packet import String

from tests.attacks.intruder import CLOSE, DENIED, GRANTED, Intruder, intruder
from tests.attacks.victim import others_are_served
from tests.client import Door, until


def ask_for(attacker: Intruder, channel: int, what: str) -> None:
    """Ask for a session of one kind."""
    if what == "exec":
        attacker.request(channel, "exec", String("on hall"))
    elif what == "subsystem":
        attacker.request(channel, "subsystem", String("sftp"))
    elif what == "terminal":
        attacker.terminal(channel)
    else:
        attacker.request(channel, what)


@pytest.mark.parametrize(("first", "second"), [*itertools.product(("shell", "exec"), ("shell", "exec", "terminal"))])
async def test_a_second_request(door: Door, first: str, second: str) -> None:
    """After a shell or an order no other can be had on the channel, be it in the same breath or asked for a lot."""
    async with intruder(door, "home") as attacker:
        channel = await attacker.open()
        with attacker.at_once():
            attacker.request(channel, first, *([String("on kitchen")] if first == "exec" else []))
            for _ in range(20):
                ask_for(attacker, channel, second)
            if first == "shell":
                attacker.data(channel, b"on kitchen\nexit\n")
        await until(lambda: attacker.heard[CLOSE])
        # What is asked of a channel that is closing is not answered.
        assert attacker.heard[GRANTED] == 1
        assert attacker.heard[DENIED] <= 20
        await others_are_served(door)
    devices = [event.get("devices") for event in door.audit("order.done") if event["order"] == "on"]
    assert devices == [["light.kitchen"]]
    assert [event["user"] for event in door.audit("session.opened")].count("home") == 2


async def test_a_request_after_a_refusal(door: Door) -> None:
    """A channel whose subsystem was refused stays without a session, whatever is asked of it then."""
    async with intruder(door, "home") as attacker:
        channel = await attacker.open()
        ask_for(attacker, channel, "subsystem")
        for what in ("exec", "shell", "exec"):
            ask_for(attacker, channel, what)
        await until(lambda: attacker.heard[DENIED] == 4)
        await others_are_served(door)
    assert door.orders() == [("upper", 0)]
