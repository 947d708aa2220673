"""A man in the middle slips packets into the key exchange, to cut as many off after it (CVE-2023-48795, 46445, 46446).

Strict key exchange forbids the packets, and counts from 0 again under the new keys, so that none can be made up for.
"""

import pytest

from tests.attacks.raw import FAILURE, SEALS, SUCCESS, HungUp, Raw, kexinit, request, sources, string, strings
from tests.attacks.victim import Besiege
from tests.client import Door

#: What a middle man can slip in without either side's keys.
INJECTED: dict[str, bytes] = {
    "ignore": b"\2" + string(""),
    "unimplemented": b"\3" + bytes(4),
    "debug": b"\4\0" + string("") * 2,
    "extensions": b"\7" + b"\0\0\0\1" + string("server-sig-algs") + string("ssh-rsa"),
    "service": b"\5" + string("ssh-userauth"),
    "unknown": b"\x13",
    "unknown, of the key exchange": b"\x1d",
    "new keys": b"\x15",
}


@pytest.mark.parametrize("at", ["first", "between"])
async def test_injected_packets(besiege: Besiege, at: str) -> None:
    """A packet that does not belong to a strict key exchange ends it, before and behind the client's first."""
    async with besiege() as victim:
        for injected, source in zip(INJECTED, sources(len(INJECTED)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.greet()
                if at == "first":
                    raw.send(INJECTED[injected], kexinit())
                else:
                    raw.send(kexinit(), INJECTED[injected])
                assert await raw.hung_up(), injected
        await victim.others_are_served()


@pytest.mark.parametrize("cipher", SEALS)
async def test_the_marker_is_offered(door: Door, cipher: str) -> None:
    """The server offers strict key exchange to everyone, and no cipher that the attack works on."""
    async with Raw.connect(door) as raw:
        await raw.begin(cipher=cipher)
    names = strings(raw.server_kexinit[17:-5])
    assert b"kex-strict-s-v00@openssh.com" in names[0].split(b",")
    ciphers = [cipher for offered in names[2:4] for cipher in offered.split(b",")]
    assert not [name for name in ciphers if b"chacha20" in name or b"cbc" in name]


async def test_counting_begins_anew(door: Door) -> None:
    """Who agreed on strict key exchange and counts on is cut, and so is who did not and begins anew."""
    for strict in (True, False):
        async with Raw.connect(door) as raw:
            await raw.greet()
            # The MAC of this cipher covers the count.
            await raw.exchange(cipher="aes256-ctr", strict=strict)
            raw._sent = 3 if strict else 0
            raw.send(b"\5" + string("ssh-userauth"))
            assert await raw.hung_up() == "MAC verification failed"


async def test_a_cut_packet_is_noticed(door: Door) -> None:
    """One packet held back under the keys, and the next is refused, with each cipher, strict or not."""
    ways = [(cipher, strict) for cipher in SEALS for strict in (True, False)]
    for (cipher, strict), source in zip(ways, sources(4), strict=True):
        async with Raw.connect(door, source) as raw:
            await raw.begin(cipher=cipher, strict=strict)
            raw.seal(request("home", "none"))
            raw.send(raw.signed("home", door.key("home")))
            assert await raw.hung_up() == "MAC verification failed"
    assert not door.audit("login.ok")


async def test_old_clients_are_served(door: Door) -> None:
    """A client that knows nothing of strict key exchange may talk during it, and logs in."""
    async with Raw.connect(door) as raw:
        await raw.greet()
        raw.send(INJECTED["ignore"], INJECTED["debug"])
        await raw.exchange(strict=False)
        raw.send(b"\5" + string("ssh-userauth"))
        await raw.expect(6)
        assert await raw.answer(raw.signed("home", door.key("home"))) == SUCCESS


async def test_keys_of_another_exchange(door: Door) -> None:
    """A login that is packed with the keys of the first exchange after a second one is refused."""
    async with Raw.connect(door) as raw:
        await raw.begin()
        old = raw._out
        await raw.exchange()
        assert await raw.answer(request("home", "none")) == FAILURE
        raw._out = old
        raw.send(raw.signed("home", door.key("home")))
        with pytest.raises(HungUp):
            await raw.receive()
    assert not door.audit("login.ok")
