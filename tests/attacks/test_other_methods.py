"""An attacker logs in by methods that nobody can use here, or changes a password: no way in, no failure, no oracle."""

import argon2
import pytest

from tests.attacks.raw import FAILURE, HungUp, Raw, failures, password, request, sources, string
from tests.attacks.victim import Besiege, others_are_served
from tests.client import Door

KERBEROS = bytes.fromhex("060a2b0601040182370202 0a".replace(" ", ""))
METHODS: dict[str, bytes] = {
    "none": request("home", "none"),
    "none, with a password": request("home", "none", string("correct horse")),
    "hostbased": request("home", "hostbased", *map(string, ("ssh-ed25519", "key", "host.", "home", "signature"))),
    "gssapi-with-mic": request("home", "gssapi-with-mic", b"\0\0\0\1", string(KERBEROS)),
    "gssapi-keyex": request("home", "gssapi-keyex", string("mic")),
    "keyboard-interactive": request("home", "keyboard-interactive", string(""), string("pam")),
    "keyboard-interactive, by password": request("home", "keyboard-interactive", string(""), string("password")),
    "unknown": request("home", "nonsense", string("correct horse")),
    "empty": request("home", ""),
    "upper case": request("home", "PASSWORD", b"\0", string("correct horse")),
    "with a NUL": request("home", "password\0", b"\0", string("correct horse")),
    "10 KB": request("home", "x" * 10_000),
    "not UTF-8": request("home", "").removesuffix(string("")) + string(b"\xff\xfe"),
}


async def test_other_methods(besiege: Besiege) -> None:
    """Each is refused a hundred times on a connection, or until that has said enough, and counts for nothing."""
    async with besiege() as victim:
        for method, source in zip(METHODS, sources(len(METHODS)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                try:
                    for _ in range(100):
                        assert await raw.answer(METHODS[method]) == FAILURE, method
                except HungUp:
                    assert len(METHODS[method]) > 1000, method
            assert failures(victim.door, source) == [], method
        await victim.others_are_served()
        assert not [e for e in victim.door.audit("login.ok") if e["source"] in sources(len(METHODS))]
        assert not victim.door.audit("ban.set")


class Recording(argon2.PasswordHasher):
    """The real hasher, which counts what it is asked."""

    asked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002 (argon2's own)
        """Count, and check."""
        self.asked += 1
        return super().verify(hash, password)


@pytest.mark.parametrize("old", ["correct horse", "wrong horse"])
async def test_changing_a_password(door: Door, old: str) -> None:
    """A request to change the password is refused alike with the right and a wrong one, which is not even looked at."""
    hasher = door.server.visitors.passwords._hasher = Recording()
    file = door.site.path / "authorized_users" / "home.toml"
    before = file.read_bytes()
    change = request("home", "password", b"\1", string(old), string("a new password"))
    async with Raw.connect(door) as raw:
        await raw.begin()
        for _ in range(50):
            assert await raw.answer(change) == FAILURE
        assert await raw.answer(password("home", "a new password")) == FAILURE
    await others_are_served(door)
    assert hasher.asked == 1
    assert file.read_bytes() == before
    assert failures(door, "127.0.0.66") == [("home", "password")]
    assert [event["source"] for event in door.audit("login.ok")] == ["127.0.0.9"]
