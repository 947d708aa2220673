"""An attacker exchanges keys again and again without ever logging in: ten are done in a minute, no more."""

import asyncio

import pytest

from tests.attacks.raw import HungUp, Raw, kexinit, mpint, sources, string
from tests.attacks.victim import Besiege
from tests.client import Door


async def exchange_on(door: Door, source: str) -> tuple[int, str]:
    """Exchange keys until the server has enough; return how often, and why it hung up."""
    done = 0
    async with Raw.connect(door, source) as raw:
        try:
            await raw.greet()
            while done < 1000:
                await raw.exchange()
                done += 1
        except HungUp as end:
            return done, end.reason
    return done, ""


async def test_endless_key_exchange(besiege: Besiege) -> None:
    """Eight connections get ten exchanges each, while others are served."""
    async with besiege() as victim:
        ends = await asyncio.gather(*(exchange_on(victim.door, source) for source in sources(8)))
        await victim.others_are_served()
        assert ends == [(10, "too many key exchanges")] * 8


async def test_begun_and_never_ended(besiege: Besiege) -> None:
    """One exchange that is begun twice is over, as is one in which anything else is said instead."""
    async with besiege() as victim:
        ways = ([kexinit()] * 2, [kexinit(), b"\x15"], [b"\x1e" + string(bytes(32))])
        for sent, source in zip(ways, sources(3), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.greet()
                raw.send(*sent)
                assert await raw.hung_up()
        await victim.others_are_served()


#: Public values with which the secret would be known to anybody, or that are none at all (RFC 7748 §6.1, RFC 8731 §3).
SHARES = {
    "zero": bytes(32),
    "one": b"\1" + bytes(31),
    "a point of low order": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "the prime": b"\xed" + b"\xff" * 30 + b"\x7f",
    "too short": bytes(31),
    "too long": bytes(33),
    "nothing": b"",
    "a number": mpint(b"\1"),
    "100 KB": b"x" * 100_000,
}


@pytest.mark.parametrize("kex", ["curve25519-sha256", "mlkem768x25519-sha256"])
async def test_bad_public_values(besiege: Besiege, kex: str) -> None:
    """No secret is agreed on with a public value that is no good, whatever its size."""
    async with besiege() as victim:
        for share, source in zip(SHARES, sources(len(SHARES)), strict=True):
            # The post-quantum part comes before the classic one, 1,184 bytes.
            value = SHARES[share] if kex.startswith("curve") else bytes(1184) + SHARES[share]
            async with Raw.connect(victim.door, source) as raw:
                await raw.greet()
                raw.send(kexinit(kex=[kex]), b"\x1e" + string(value))
                await raw.expect(20)
                with pytest.raises(HungUp):
                    await raw.expect(31)
        await victim.others_are_served()
