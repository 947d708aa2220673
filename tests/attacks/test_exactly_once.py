"""An attacker pipelines, cuts and mutilates login requests: each password or signature counts once, questions never."""

import threading
from collections.abc import Callable, Sequence

import pytest

from sshhome.password import PARALLEL
from tests.attacks.raw import HungUp, Raw, failures, password, request, sources, string
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door, until

#: Two hashes at once, and what any attack may cost.
MEMORY = (2 * 64 + 16) * MIB

Requests = Callable[[Raw, Door], Sequence[bytes]]
NONE = request("home", "none")
#: What is sent, and the failures that it counts for; by different users, whose wrong passwords slow them down alone.
CASES: dict[str, tuple[int, Requests]] = {
    "nothing": (0, lambda raw, door: [NONE] * 3),
    "questions about keys": (0, lambda raw, door: [raw.offer("home", door.key(k)) for k in ("home", "guest", "kid")]),
    "a bad signature": (1, lambda raw, door: [raw.signed("home", door.key("home"), door.key("attacker"))]),
    "no signature at all": (
        1,
        lambda raw, door: [
            request("home", "publickey", b"\1", string("ssh-ed25519"), string(door.key("home").public_data), string(""))
        ],
    ),
    "a key that is none": (1, lambda raw, door: [request("home", "publickey", b"\1", *map(string, ("x", "y", "z")))]),
    "a question, then a bad signature": (
        1,
        lambda raw, door: [
            raw.offer("home", door.key("home")),
            raw.signed("home", door.key("home"), door.key("attacker")),
        ],
    ),
    "a wrong password between nothings": (1, lambda raw, door: [NONE, password("home", "wrong horse"), NONE]),
    "4 wrong passwords": (4, lambda raw, door: [password("guest", f"wrong {n}") for n in range(4)]),
    "5 wrong passwords": (4, lambda raw, door: [password("kid", f"wrong {n}") for n in range(5)]),
    "50 wrong passwords": (4, lambda raw, door: [password("viewer", f"wrong {n}") for n in range(50)]),
    "names that are nobody's": (1, lambda raw, door: [request(name, "none") for name in ("root", "pi", "admin")]),
    "a wrong password for nobody": (1, lambda raw, door: [password("root", "toor")]),
    "a password, then nobody": (1, lambda raw, door: [password("home", "wrong horse"), request("root", "none")]),
}


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
async def test_counts_exactly_once(besiege: Besiege, *, at_once: bool) -> None:
    """Each case counts for what it is and no more, however soon one request follows another."""
    async with besiege(memory=MEMORY) as victim:
        door = victim.door
        for (case, (count, requests)), source in zip(CASES.items(), sources(len(CASES)), strict=True):
            async with Raw.connect(door, source) as raw:
                await raw.begin()
                made = requests(raw, door)
                try:
                    if at_once:
                        raw.send(*made)
                        # One is answered at least; what is still being judged when the line is closed counts as well.
                        await raw.receive()
                    for sent in () if at_once else made:
                        await raw.answer(sent)
                except HungUp:
                    pass
                raw.half_close()
                await raw.hung_up()
            await until(lambda source=source, count=count: len(failures(door, source)) >= count)  # type: ignore[misc]
            assert len(failures(door, source)) == count, case
        await victim.others_are_served()
        assert not [event for event in door.audit("login.ok") if event["source"] in sources(len(CASES))]
        assert not door.audit("ban.set")


async def test_half_a_request(besiege: Besiege) -> None:
    """A request that is cut at any byte is none; the whole one counts, also when its sender leaves at once."""
    async with besiege() as victim:
        for source, whole in zip(sources(6), (False, False, False, False, False, True), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                packet = raw.seal(raw.signed("home", victim.door.key("home"), victim.door.key("attacker")))
                raw.write(packet if whole else packet[: len(packet) * int(source.rpartition(".")[2]) // 6])
                raw.half_close()
                await raw.hung_up()
            if whole:
                await until(lambda: failures(victim.door, source))  # noqa: B023 (the last one)
        await victim.others_are_served()
        assert [len(failures(victim.door, source)) for source in sources(6)] == [0] * 5 + [1]


async def test_leaving_during_the_check(door: Door) -> None:
    """Who leaves while each password is checked has tried it all the same: the fifth earns the ban."""
    release = threading.Event()
    for _ in range(PARALLEL):
        door.server.visitors.passwords._pool.submit(release.wait, 20)
    try:
        for left in range(1, 6):
            async with Raw.connect(door) as raw:
                await raw.begin()
                raw.send(password("home", f"wrong horse {left}"))
                (visitor,) = door.server.visitors
                await until(lambda visitor=visitor: visitor.connection._attempts)  # type: ignore[misc]
                raw.abort()
            await until(lambda: not door.server.visitors)
            assert len(failures(door, "127.0.0.66")) == left
        await others_are_served(door)
    finally:
        release.set()
    assert len(door.audit("ban.set")) == 1
