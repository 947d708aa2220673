"""An attacker tries hundreds of passwords; four are judged on a connection, five from a source, then it is banned."""

import asyncio

from tests.attacks.raw import FAILURE, HungUp, Raw, failures, password, sources
from tests.attacks.victim import MIB, Besiege
from tests.client import Door

#: Two hashes at once, 64 MiB each, and what any attack may cost.
MEMORY = (2 * 64 + 16) * MIB
SOURCE = "127.0.0.66"
TOO_MANY = "too many authentication failures"
BANNED = "too many failed logins from 127.0.0.66, try again in"


def guesses(number: int) -> list[bytes]:
    """Return so many login requests with wrong passwords."""
    return [password("home", f"wrong horse {guess}") for guess in range(number)]


#: The password that is never judged.
RIGHT = [password("home", "correct horse")]


async def guess(door: Door, source: str, requests: list[bytes]) -> tuple[int, str | None]:
    """Connect and guess; return how often the answer was no, and why the server hung up."""
    async with Raw.connect(door, source) as raw:
        try:
            await raw.begin()
        except HungUp as end:
            return 0, end.reason
        answers, reason = await raw.answers(requests)
        assert set(answers) <= {FAILURE}
        return len(answers), reason


async def guess_at_once(door: Door, source: str, requests: list[bytes]) -> str:
    """Connect and send all guesses in one write; return why the server hung up."""
    async with Raw.connect(door, source) as raw:
        await raw.begin()
        raw.send(*requests)
        return await raw.hung_up()


async def test_500_passwords_on_one_connection(besiege: Besiege) -> None:
    """After four wrong passwords the connection is over, given one by one or all at once, though the last is right."""
    patient, hasty = sources(2)
    async with besiege(memory=MEMORY) as victim:
        door = victim.door
        assert await guess(door, patient, guesses(499) + RIGHT) == (4, TOO_MANY)
        end, _ = await asyncio.gather(guess_at_once(door, hasty, guesses(499) + RIGHT), victim.others_are_served())
        assert end == TOO_MANY
        assert failures(door, patient) == failures(door, hasty) == [("home", "password")] * 4
        assert not [event for event in door.audit("login.ok") if event["source"] in {patient, hasty}]
        assert not door.audit("ban.set")


async def test_20_connections_one_after_the_other(besiege: Besiege) -> None:
    """Who reconnects has five passwords judged, reads three times why not more, and knocks in vain from then on."""
    async with besiege(memory=MEMORY) as victim:
        ends = [await guess(victim.door, SOURCE, guesses(3)) for _ in range(2)]
        ends += [await guess(victim.door, SOURCE, RIGHT) for _ in range(18)]
        await victim.others_are_served()
        assert [noes for noes, _ in ends] == [3, 2] + [0] * 18
        assert ends[0][1] is None
        assert all(reason and reason.startswith(BANNED) for _, reason in ends[1:5])
        assert [reason for _, reason in ends[5:]] == [""] * 15
        assert failures(victim.door, SOURCE) == [("home", "password")] * 5
        (ban,) = victim.door.audit("ban.set")
        assert (ban["source"], ban["evidence"]) == (SOURCE, "5 as home")
        refused = [event for event in victim.door.audit("connection.refused") if event["source"] == SOURCE]
        assert [event["rule"] for event in refused] == ["ban"] * 18


async def test_20_connections_at_once(besiege: Besiege) -> None:
    """Guessing on many connections at once gains nothing but the passwords that were being judged at the fifth."""
    async with besiege(memory=MEMORY) as victim:
        await asyncio.gather(*(guess(victim.door, SOURCE, guesses(5)) for _ in range(20)), victim.others_are_served())
        # Four connections of a source may be without a login, and each has one password judged at a time.
        assert 5 <= len(failures(victim.door, SOURCE)) <= 8
        assert [event["source"] for event in victim.door.audit("ban.set")] == [SOURCE]
        assert not [event for event in victim.door.audit("login.ok") if event["source"] == SOURCE]
