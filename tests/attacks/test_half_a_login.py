"""An attacker has one of the two things that a user must prove, or one of each of two users: they are nobody."""

from collections.abc import Callable, Sequence

import pyotp
import pytest

from sshhome import app
from sshhome.password import hash_password
from tests.attacks.raw import SUCCESS, HungUp, Raw, dealt_with, password, request, sources, string
from tests.attacks.victim import others_are_served
from tests.client import Door
from tests.conftest import NOON

PASSWORD = "both but long"
SECRETS = {"keyed": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "typed": "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"}

Requests = Callable[[Raw, Door], Sequence[bytes]]


@pytest.fixture(autouse=True)
def _careful(site: app.Site, door: Door) -> None:
    """Add two users with a key and a password; `keyed` comes by key and code, `typed` by password and code."""
    line = (door.keys / "attacker.pub").read_text().strip()
    for login, first in (("keyed", "publickey"), ("typed", "password")):
        path = site.path / "authorized_users" / f"{login}.toml"
        path.write_text(
            f"roles = ['resident']\nkeys = ['{line}']\npassword = '{hash_password(PASSWORD)}'\n"
            f"require = '{first}+totp'\ntotp = '{SECRETS[login]}'\n"
        )
        path.chmod(0o600)


def key(raw: Raw, door: Door, user: str = "keyed") -> bytes:
    """Return a login by the right key."""
    return raw.signed(user, door.key("attacker"))


def code(user: str, secret_of: str = "") -> list[bytes]:
    """Return a login by a code that is right for this user, or for another, without waiting to be asked for it."""
    right = pyotp.TOTP(SECRETS[secret_of or user]).at(int(NOON))
    return [
        request(user, "keyboard-interactive", string(""), string("")),
        bytes([61]) + b"\0\0\0\1" + string(right),
    ]


#: What is sent, none of which is all that must be proven, in this order and by one user.
HALVES: dict[str, Requests] = {
    "the key": lambda raw, door: [key(raw, door)],
    "the key, twice": lambda raw, door: [key(raw, door), key(raw, door)],
    "the key, and the password": lambda raw, door: [key(raw, door), password("keyed", PASSWORD)],
    "the password": lambda raw, door: [password("typed", PASSWORD)],
    "the password, and the key": lambda raw, door: [password("typed", PASSWORD), key(raw, door, "typed")],
    "the other one's password": lambda raw, door: [password("keyed", PASSWORD), *code("keyed")],
    "the other one's key": lambda raw, door: [key(raw, door, "typed"), *code("typed")],
    "the code": lambda raw, door: code("keyed"),
    "the code, then the key": lambda raw, door: [*code("keyed"), key(raw, door)],
    "the code, of a name that has none": lambda raw, door: code("home", "keyed"),
    "an offered key, then the code": lambda raw, door: [raw.offer("keyed", door.key("attacker")), *code("keyed")],
    "a wrong key, then the code": lambda raw, door: [raw.signed("keyed", door.key("guest")), *code("keyed")],
    "another's code": lambda raw, door: [key(raw, door), *code("keyed", "typed")],
    "another's name for the code": lambda raw, door: [key(raw, door), *code("typed")],
    "the admin's name for the code": lambda raw, door: [key(raw, door), *code("home", "keyed")],
    "another name in between": lambda raw, door: [key(raw, door), request("home", "none"), *code("keyed")],
    "no name in between": lambda raw, door: [key(raw, door), request("", "none"), *code("keyed")],
    "no answer": lambda raw, door: [key(raw, door), code("keyed")[0], bytes([61]) + bytes(4)],
    "two answers": lambda raw, door: [
        key(raw, door),
        code("keyed")[0],
        bytes([61]) + b"\0\0\0\2" + code("keyed")[1][5:] * 2,
    ],
    "a million answers": lambda raw, door: [key(raw, door), code("keyed")[0], bytes([61]) + b"\0\x0f\x42\x40"],
    "answers of 100 KB": lambda raw, door: [
        key(raw, door),
        code("keyed")[0],
        bytes([61]) + b"\0\0\0\1" + string("0" * 100_000),
    ],
}


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
async def test_half_a_login(door: Door, *, at_once: bool) -> None:
    """No half is enough, nor two that do not belong together, however soon one follows the other."""
    for half, source in zip(HALVES, sources(len(HALVES)), strict=True):
        async with Raw.connect(door, source) as raw:
            await raw.begin()
            requests = HALVES[half](raw, door)
            try:
                if at_once:
                    raw.send(*requests)
                    await dealt_with(door, raw)
                for sent in () if at_once else requests:
                    assert await raw.answer(sent) != SUCCESS, half
            except HungUp:
                pass
        assert not [event for event in door.audit("login.ok") if event["source"] == source], half
    await others_are_served(door)


async def test_both_halves(door: Door) -> None:
    """The same, done as it should be, lets in once, with a code that is good once."""
    for user, first, answer in (("keyed", "publickey", SUCCESS), ("keyed", "publickey", 51), ("typed", "password", 52)):
        async with Raw.connect(door) as raw:
            await raw.begin()
            await raw.answer(key(raw, door) if first == "publickey" else password(user, PASSWORD))
            ask, tell = code(user)
            await raw.answer(ask)
            assert await raw.answer(tell) == answer
    assert [(event["user"], event["method"]) for event in door.audit("login.ok")] == [
        ("keyed", "publickey+totp"),
        ("typed", "password+totp"),
    ]
