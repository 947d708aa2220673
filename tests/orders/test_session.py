"""Orders about the session: who one is and what that means in plain words, who else is here, and what time it is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import FixedClock
from tests.test_dispatch import USERS, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

KID = """
name = "The kid"
roles = ["kid"]
grants = [
  { allow = "access:lock.side_door", uses = 3, until = "2026-06-02 18:00", step_up = "confirm" },
  { allow = "control:light.porch", house = ["light.bedroom = on", "light.hall.on = on"], from = "::1" },
  { deny = "read:@bedroom" },
]
"""
ROLES = {"kid": ["read", {"allow": "control:light.*", "values": {"brightness": "..60"}, "when": "mon-fri 09:00-12:00"}]}


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road with a kid."""
    async with build(users={**USERS, "kid": KID}, roles=ROLES) as built:
        yield built


async def told(road: Road, user: str, line: str, **how: Any) -> str:  # noqa: ANN401 (as `session`)
    """Give an order and return what a person reads."""
    outcome = await road.one(user, line, **how)
    assert outcome.error is None
    return said(outcome)[0]


FILE = "(authorized_users/kid.toml)"
IN_PLAIN_WORDS = [
    "look at everything (sshhome.toml: role kid)",
    "operate every light, brightness only ..60 %, mon-fri 09:00-12:00 (sshhome.toml: role kid)",
    "operate lock.side_door, until today 18:00, 3 of 3 times left, once it is confirmed (authorized_users/kid.toml)",
    f"operate light.porch, while the house is as it must be, while light.hall.on = on, from ::1/128 {FILE}",
    "never look at anything in bedroom (authorized_users/kid.toml)",
]


async def test_who_one_is_in_plain_words(road: Road) -> None:
    """`whoami` tells how one came in, and each rule of one's own as what one may do; no hidden device is named."""
    assert (await told(road, "kid", "whoami")).splitlines() == [
        "kid, The kid, by publickey (SHA256:x) from 127.0.0.1",
        *(f"  {words}" for words in IN_PLAIN_WORDS),
    ]


async def test_who_one_is_in_json(road: Road) -> None:
    """In JSON the rules stand as they are written beside what they mean, roles flattened."""
    me = json.loads(await told(road, "kid", "whoami --json"))
    assert me == {
        "user": "kid",
        "name": "The kid",
        "method": "publickey",
        "key": "SHA256:x",
        "source": "127.0.0.1",
        "roles": ["kid"],
        "grants": [
            "read (sshhome.toml: role kid)",
            "control:light.* when mon-fri 09:00-12:00 with brightness ..60 % (sshhome.toml: role kid)",
            "access:lock.side_door until 2026-06-02 16:00Z 3 times after a confirmation (authorized_users/kid.toml)",
            "control:light.porch from ::1/128 while … and light.hall.on = on (authorized_users/kid.toml)",
            "deny read:@bedroom (authorized_users/kid.toml)",
        ],
        "may": IN_PLAIN_WORDS,
        "key_grants": [],
        "key_may": [],
    }


async def test_what_is_left_is_told(road: Road, clock: FixedClock) -> None:
    """Uses that were taken are told, and what has ended since."""
    assert (await road.one("kid", "unlock side_door --yes")).status == 0
    assert "2 of 3 times left" in await told(road, "kid", "whoami")
    clock.advance(4 * 3600)
    assert "operate lock.side_door, which ended today 18:00, 2 of 3 times left" in await told(road, "kid", "whoami")


async def test_what_a_narrower_key_narrows_to(road: Road) -> None:
    """With a key that is good for less it is told what it narrows to, beside what its owner may."""
    key = 'sshhome-grants="read,control:light.kids",sshhome-role="viewer"'
    assert (await told(road, "admin", "whoami", key=key)).splitlines() == [
        "admin, admin, by publickey (SHA256:x) from 127.0.0.1",
        "  look at everything (role admin)",
        "  operate everything but locks, gates and alarms (role admin)",
        "  operate all locks, gates and alarms (role admin)",
        "  run the server (role admin)",
        "with this key no more than",
        "  look at everything (key phone)",
        "  operate light.kids (key phone)",
        "  look at everything (role viewer)",
    ]
    me = json.loads(await told(road, "admin", "whoami --json", key=key))
    assert me["grants"] == ["read (role admin)", "control (role admin)", "access (role admin)", "admin (role admin)"]
    assert me["key_grants"] == ["read (key phone)", "control:light.kids (key phone)", "read (role viewer)"]
    assert len(me["key_may"]) == 3


async def test_a_key_that_only_runs_one_order_narrows_nothing_else(road: Road) -> None:
    """A key's other options say nothing of grants, and nothing is told of them here."""
    assert "no more than" not in await told(road, "admin", "whoami", key="restrict")


@pytest.mark.parametrize("user", ["admin", "guest", "kid", "cleaner"])
async def test_who_else_is_here(road: Road, user: str) -> None:
    """Everybody who may look is told who is connected, and never from where or with which key."""
    session = road.session("guest", "203.0.113.9")
    text = await told(road, user, "who --json")
    assert [entry["user"] for entry in json.loads(text)] == ["guest", user]
    assert "203.0.113.9" not in text
    assert "SHA256" not in text
    road.dispatch.sessions.close(session)


@pytest.mark.parametrize("line", ["who", "session list"])
async def test_since_when_they_are_here(road: Road, clock: FixedClock, line: str) -> None:
    """People are told by the clock of the house since when somebody is here, and programs in UTC too."""
    session = road.session("guest")
    clock.advance(11 * 3600)
    text = await told(road, "admin", line)
    assert "Tue 2 Jun 14:00" in text
    assert "today 01:00" in text
    assert "T12:00:00Z" not in text
    found = json.loads(await told(road, "admin", f"{line} --json"))
    assert [entry["since"] for entry in found] == ["2026-06-02T12:00:00Z", "2026-06-02T23:00:00Z"]
    road.dispatch.sessions.close(session)


async def test_the_time_of_the_house(road: Road, clock: FixedClock) -> None:
    """The time is the house's, with its zone, and UTC beside it for programs; the clocks are put there too."""
    assert await told(road, "kid", "time") == "2026-06-02 14:00:00 Europe/Berlin\n"
    clock.advance(180 * 86400)
    assert json.loads(await told(road, "kid", "time --json")) == {
        "local": "2026-11-29 13:00:00",
        "utc": "2026-11-29T12:00:00Z",
        "timezone": "Europe/Berlin",
    }
