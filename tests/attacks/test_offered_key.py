"""An attacker offers the admin's public key and then logs in otherwise: they are who they prove to be, or nobody."""

import json
from collections.abc import Callable, Sequence

import asyncssh
import pytest

from sshhome import app
from sshhome.password import hash_password
from tests.attacks.raw import SUCCESS, WOULD_DO, HungUp, Raw, dealt_with, password, request, sources, string
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door

#: Two hashes at once, and what any attack may cost.
MEMORY = (2 * 64 + 16) * MIB
PASSWORD = "low but long"

Requests = Callable[[Raw, Door], Sequence[bytes]]


@pytest.fixture(autouse=True)
def _low(site: app.Site, keys: object) -> None:
    """Add somebody who may next to nothing, and logs in by password."""
    app.add_user(site.users, "low", ["viewer"], [], hash_password(PASSWORD))


def interactive(user: str, *answers: str) -> Sequence[bytes]:
    """Return a login that asks for questions, and answers them before they come."""
    answered = bytes([61]) + len(answers).to_bytes(4) + b"".join(map(string, answers))
    return [request(user, "keyboard-interactive", string(""), string("")), answered]


def of_another_session(raw: Raw, key: asyncssh.SSHKey) -> bytes:
    """Return a login that was signed on another connection, such as one to the attacker's own server."""
    own, raw.session_id = raw.session_id, bytes(32)
    try:
        return raw.signed("home", key)
    finally:
        raw.session_id = own


def wrongly_named(raw: Raw, signer: asyncssh.SSHKey, key: asyncssh.SSHKey, user: str) -> bytes:
    """Return a login with one person's key, the signature of which was made for another's name."""
    made = raw.signed("guest", key, signer)
    return made.replace(string("guest"), string(user), 1)


#: What follows the admin's key, for which the server has just said that it would do; and who that may let in.
FORMS: dict[str, tuple[str, Requests]] = {
    "own key": ("guest", lambda raw, door: [raw.signed("guest", door.key("guest"))]),
    "own key, admin's name": ("", lambda raw, door: [raw.signed("home", door.key("guest"))]),
    "own signature, admin's key": ("", lambda raw, door: [raw.signed("home", door.key("home"), door.key("guest"))]),
    "admin's key, own name": ("", lambda raw, door: [raw.signed("guest", door.key("home"), door.key("guest"))]),
    "signed for own name, sent as admin": (
        "",
        lambda raw, door: [wrongly_named(raw, door.key("guest"), door.key("guest"), "home")],
    ),
    "own password": ("low", lambda raw, door: [password("low", PASSWORD)]),
    "own password, admin's name": ("", lambda raw, door: [password("home", PASSWORD)]),
    "own password, then admin's name": ("low", lambda raw, door: [password("low", PASSWORD), request("home", "none")]),
    "own key, then admin's name": (
        "guest",
        lambda raw, door: [raw.signed("guest", door.key("guest")), request("home", "none")],
    ),
    "own key, then admin's key": (
        "guest",
        lambda raw, door: [raw.signed("guest", door.key("guest")), raw.offer("home", door.key("home"))],
    ),
    "questions": ("", lambda raw, door: interactive("home", "correct")),
    "questions without answers": ("", lambda raw, door: interactive("home")),
    "questions as oneself": ("", lambda raw, door: interactive("low", PASSWORD)),
    "nothing": ("", lambda raw, door: [request("home", "none")]),
    "nothing as oneself": ("", lambda raw, door: [request("guest", "none"), request("low", "none")]),
    "a truncated signature": ("", lambda raw, door: [raw.signed("home", door.key("home"))[:-1]]),
    "an empty signature": (
        "",
        lambda raw, door: [
            request("home", "publickey", b"\1", string("ssh-ed25519"), string(door.key("home").public_data), string(""))
        ],
    ),
    "the admin's signature for another session": ("", lambda raw, door: [of_another_session(raw, door.key("home"))]),
}


def check(door: Door, form: str, source: str, who: str = "") -> None:
    """Fail unless the form has let in who it may, as themselves, or nobody."""
    allowed = {FORMS[form][0]} - {""}
    logins = [event for event in door.audit("login.ok") if event["source"] == source]
    assert {event["user"] for event in logins} | ({who} - {""}) <= allowed, form
    assert all(event.get("key") != door.key("home").get_fingerprint() for event in logins), form


async def one_by_one(raw: Raw, requests: Sequence[bytes]) -> str:
    """Make the requests, each after the answer to the one before; return whom the house takes this for, if anybody."""
    try:
        for sent in requests:
            if await raw.answer(sent) == SUCCESS:
                return str(json.loads(await raw.give("whoami --json"))["user"])
    except HungUp:
        pass
    return ""


async def test_one_by_one(besiege: Besiege) -> None:
    """Whatever follows when the server has said that the admin's key would do, lets in its own user or nobody."""
    async with besiege(memory=MEMORY) as victim:
        door = victim.door
        for form, source in zip(FORMS, sources(len(FORMS)), strict=True):
            async with Raw.connect(door, source) as raw:
                await raw.begin()
                assert await raw.answer(raw.offer("home", door.key("home"))) == WOULD_DO
                user, requests = FORMS[form]
                who = await one_by_one(raw, requests(raw, door))
                assert who == user, form
            check(door, form, source, who)
        await victim.others_are_served()


async def test_at_once(door: Door) -> None:
    """The same in one write, so that each request may overtake the check of the one before."""
    for form, source in zip(FORMS, sources(len(FORMS)), strict=True):
        async with Raw.connect(door, source) as raw:
            await raw.begin()
            raw.send(raw.offer("home", door.key("home")), *FORMS[form][1](raw, door))
            await dealt_with(door, raw)
        check(door, form, source)
    await others_are_served(door)
