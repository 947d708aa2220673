"""A user with a valid login changes to the admin's name while it is checked: they are themselves, or nobody.

asyncssh before 2.24.1 let them be the admin, four times of five.
"""

import json
from collections.abc import Callable, Sequence

import pytest

from sshhome import app
from sshhome.password import hash_password
from tests.attacks.raw import SUCCESS, HungUp, Raw, dealt_with, password, request, sources, string
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door

#: Two hashes at once, and what any attack may cost.
MEMORY = (2 * 64 + 16) * MIB
PASSWORD = "low but long"
RIGHT = password("low", PASSWORD)
NONE = request("home", "none")
#: What comes right behind the right password of somebody else.
SWITCHES: dict[str, Callable[[Raw, Door], Sequence[bytes]]] = {
    "nothing": lambda raw, door: [NONE],
    "nothing, ten times": lambda raw, door: [NONE] * 10,
    "their key, unsigned": lambda raw, door: [raw.offer("home", door.key("home"))],
    "their key, signed by another": lambda raw, door: [raw.signed("home", door.key("home"), door.key("guest"))],
    "one's own password": lambda raw, door: [password("home", PASSWORD)],
    "an unknown method": lambda raw, door: [request("home", "nonsense")],
    "questions": lambda raw, door: [request("home", "keyboard-interactive", string(""), string(""))],
    "a change of password": lambda raw, door: [request("home", "password", b"\1", string(PASSWORD), string("x" * 9))],
    "and back again": lambda raw, door: [NONE, request("low", "none")],
    "and the password again": lambda raw, door: [NONE, RIGHT],
    "from a name that is nobody's": lambda raw, door: [request("", "none"), NONE],
}


@pytest.fixture(autouse=True)
def _low(site: app.Site) -> None:
    """Add somebody who may next to nothing, and logs in by password."""
    app.add_user(site.users, "low", ["viewer"], [], hash_password(PASSWORD))


def nobody_is_home(door: Door, source: str) -> None:
    """Fail if anybody but the one with the right password has come in from here."""
    assert {event["user"] for event in door.audit("login.ok") if event["source"] == source} <= {"low"}


@pytest.mark.parametrize("switch", SWITCHES)
async def test_while_the_password_is_checked(door: Door, switch: str) -> None:
    """The name changes before the check begins, as it begins and, as far as can be, while and after it runs."""
    for messages, source in enumerate(sources(5)):
        async with Raw.connect(door, source) as raw:
            await raw.begin()
            # A message to ignore takes the server one turn of its loop.
            raw.send(RIGHT, *[b"\2" + string("")] * messages, *SWITCHES[switch](raw, door))
            await dealt_with(door, raw)
        nobody_is_home(door, source)
    await others_are_served(door)


async def test_after_the_login(besiege: Besiege) -> None:
    """Whoever asks for another name after their login gets no answer, and goes on as themselves."""
    async with besiege(memory=MEMORY) as victim:
        for switch, source in zip(SWITCHES, sources(len(SWITCHES)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                assert await raw.answer(RIGHT) == SUCCESS
                raw.send(*SWITCHES[switch](raw, victim.door))
                assert json.loads(await raw.give("whoami --json"))["user"] == "low"
                raw.send(NONE)
                with pytest.raises(HungUp):
                    await raw.give("whoami --json")
            nobody_is_home(victim.door, source)
        await victim.others_are_served()


async def test_many_at_once(besiege: Besiege) -> None:
    """Twenty connections that switch while all passwords wait for their check let nobody in as the admin."""
    limits = '[limits]\nstartups = "50:30:50"'
    async with besiege(limits, memory=MEMORY) as victim:
        for source in sources(20):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                raw.send(RIGHT, NONE, RIGHT, NONE)
            nobody_is_home(victim.door, source)
        await victim.others_are_served()
