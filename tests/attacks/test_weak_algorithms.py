"""An attacker asks for algorithms that can be broken, or signs with them: none is agreed on, none lets anybody in."""

import asyncssh
import pytest

from sshhome import app
from tests.attacks.raw import FAILURE, SUCCESS, Raw, failures, kexinit, request, sources, string, strings
from tests.attacks.victim import Besiege, others_are_served
from tests.client import Door

#: What a client may still ask for, by what it is asked for.
WEAK = {
    "kex": [
        *("diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha256"),
        *("ecdh-sha2-nistp256", "rsa2048-sha256", "none"),
    ],
    "host_key": ["ssh-dss", "ssh-rsa", "none"],
    "cipher": ["none", "3des-cbc", "aes128-cbc", "arcfour", "chacha20-poly1305@openssh.com"],
    "mac": ["none", "hmac-md5", "hmac-sha1", "hmac-sha1-etm@openssh.com", "umac-64@openssh.com", "hmac-sha2-256"],
    "compression": ["zlib", "zlib@openssh.com"],
}


@pytest.mark.parametrize("kind", WEAK)
async def test_weak_algorithms_are_not_agreed_on(besiege: Besiege, kind: str) -> None:
    """A client that will have nothing else is told that nothing fits, and nobody is logged in."""
    async with besiege() as victim:
        for name, source in zip(WEAK[kind], sources(len(WEAK[kind])), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.greet()
                raw.send(kexinit(**{kind: [name] if kind == "kex" else name}))  # type: ignore[arg-type]  # (by kind)
                offered = bytes([20]) + await raw.expect(20)
                assert not any(name in names.decode().split(",") for names in strings(offered[17:-5]) if name != "none")
                reason = await raw.hung_up()
                assert reason, name
        await victim.others_are_served()


@pytest.mark.parametrize("name", ["zlib", "zlib@openssh.com"])
async def test_compression_is_never_begun(door: Door, name: str) -> None:
    """Who prefers compression and can do without gets none; a bomb of it has nowhere to go off."""
    async with Raw.connect(door) as raw:
        await raw.greet()
        raw.send(kexinit(compression=f"{name},none"))
        offered = bytes([20]) + await raw.expect(20)
    assert strings(offered[17:-5])[6:8] == [b"none"] * 2


@pytest.fixture
def rsa(site: app.Site) -> asyncssh.SSHKey:
    """Add somebody whose key is RSA, of good length."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    app.add_user(site.users, "old", ["resident"], [key.export_public_key().decode().strip()], "")
    return key


async def test_sha1_signatures(rsa: asyncssh.SSHKey, besiege: Besiege) -> None:
    """A signature with SHA-1 lets nobody in, under its own name or under a better one; each is a failed login."""

    def signed(raw: Raw, claimed: str, used: str) -> bytes:
        asked = request("old", "publickey", b"\1", string(claimed), string(rsa.public_data))
        return asked + string(rsa.sign(string(raw.session_id) + asked, used.encode()))

    one, two = sources(2)
    async with besiege() as victim:
        async with Raw.connect(victim.door, one) as raw:
            await raw.begin()
            for claimed, used in (("ssh-rsa", "ssh-rsa"), ("rsa-sha2-512", "ssh-rsa"), ("ssh-rsa", "ssh-rsa")):
                assert await raw.answer(signed(raw, claimed, used)) == FAILURE
        async with Raw.connect(victim.door, two) as raw:
            await raw.begin()
            assert await raw.answer(signed(raw, "rsa-sha2-256", "rsa-sha2-256")) == SUCCESS
        await victim.others_are_served()
        assert failures(victim.door, one) == [("old", "publickey")] * 3
        assert [e["user"] for e in victim.door.audit("login.ok") if e["source"] in {one, two}] == ["old"]


@pytest.mark.parametrize(("kind", "size"), [("ssh-rsa", 1024), ("ssh-rsa", 2047), ("ssh-dss", 0)])
async def test_weak_keys(door: Door, kind: str, size: int) -> None:
    """A key that can be broken lets nobody in, though somebody has put it into a user's file."""
    weak = asyncssh.generate_private_key(kind, **{"key_size": size} if size else {})  # type: ignore[arg-type]
    line = weak.export_public_key().decode().strip()
    path = door.site.path / "authorized_users" / "weak.toml"
    path.write_text(f"roles = ['admin']\nkeys = ['{line}']\n")
    algorithms = ["ssh-dss"] if kind == "ssh-dss" else ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"]
    async with Raw.connect(door) as raw:
        await raw.begin()
        assert await raw.answer(raw.offer("weak", weak)) == FAILURE
        for algorithm in algorithms:
            assert await raw.answer(raw.signed("weak", weak, algorithm=algorithm)) == FAILURE
    await others_are_served(door)
    assert [e["user"] for e in door.audit("login.ok")] == ["home"]
    assert door.audit("user.refused")
