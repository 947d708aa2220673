"""A user cuts the line a thousand times, at the prompt, in an order, in completion: nothing of them is left."""

import pytest

from tests.attacks.intruder import intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import until

ROOM = "[limits]\norders_per_minute = 1000000\norder_burst = 1000000\n"
#: What has been typed at the moment of the cut.
MOMENTS = {
    "at the prompt": b"",
    "in a line": b"on kitch",
    "in completion": b"on k\t",
    "in an order": b"on printer\r",
    "in a paste": b"\x1b[200~on kitchen\n",
    "in a search": b"\x12",
}
#: Shells on one connection, each at another moment.
SHELLS = len(MOMENTS)


@pytest.mark.parametrize("times", [60, pytest.param(1_000, marks=pytest.mark.flood)])
async def test_abrupt_disconnects(besiege: Besiege, times: int) -> None:
    """However many shells end in the middle of things, their tasks, files and memory are as before afterwards."""
    async with besiege(ROOM, memory=40 * MIB) as victim:
        for _ in range(times // SHELLS):
            async with intruder(victim.door) as attacker:
                for number, typed in enumerate(MOMENTS.values()):
                    channel = await attacker.open(number)
                    attacker.terminal(channel)
                    attacker.request(channel, "shell")
                    attacker.data(channel, typed)
                await until(lambda: b"Kids" in attacker.out and b"printer" in attacker.out)
                attacker.abort()
        await victim.others_are_served()
        await until(lambda: len(victim.door.audit("session.closed")) == len(victim.door.audit("session.opened")))
