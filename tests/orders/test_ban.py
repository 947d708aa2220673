"""Orders about bans: listed, explained, set and lifted, by admins alone, and each change audited."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sshhome.config import BanRules
from sshhome.errors import BadArguments
from sshhome.outcome import Outcome
from tests.conftest import FixedClock
from tests.test_dispatch import ATTACKER, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


async def told(road: Road, line: str) -> str:
    """Give an order and return what a person reads."""
    outcome = await road.one("admin", line)
    assert outcome.error is None
    return said(outcome)[0]


async def as_json(road: Road, line: str) -> Any:  # noqa: ANN401 (any JSON)
    """Give an order and return its result."""
    return json.loads(await told(road, f"{line} --json"))


def fail(road: Road, times: int, source: str = ATTACKER, user: str = "home") -> None:
    """Fail to log in so many times."""
    for _ in range(times):
        road.dispatch.bans.failed(source, user, "login")


def refused(outcome: Outcome) -> BadArguments:
    """Return the error of an order that its arguments kept from running."""
    assert isinstance(outcome.error, BadArguments)
    return outcome.error


async def test_listing(road: Road, clock: FixedClock) -> None:
    """Bans are listed with what is left of them, the one that ends soonest first, and why they are."""
    assert await told(road, "ban list") == "no bans\n"
    fail(road, 5)
    await road.one("admin", "ban add 2001:db8::5 --for 2h")
    clock.advance(30)
    assert (await told(road, "ban list")).splitlines() == [
        "source                for  count  why                     evidence",
        "203.0.113.9          30 s      1  too many failed logins  5 as home",
        "2001:db8::/64  1 h 59 min      1  logins refused by hand  by admin",
    ]
    first, second = await as_json(road, "ban list")
    assert first == {
        "source": ATTACKER,
        "since": "2026-06-02T12:00:00Z",
        "until": "2026-06-02T12:01:00Z",
        "remaining": 30,
        "count": 1,
        "kind": "login",
        "evidence": "5 as home",
        "rule": "too many failed logins",
    }
    assert (second["source"], second["kind"], second["remaining"]) == ("2001:db8::/64", "manual", 7170)


async def test_explaining(road: Road, clock: FixedClock) -> None:
    """A source is explained in a few lines: what it did, what it has to its name, and what comes next."""
    assert await told(road, f"ban explain {ATTACKER}") == (
        "203.0.113.9 is not banned\n5 more failed logins ban 203.0.113.9 for 1 min\n"
    )
    fail(road, 3)
    clock.advance(90)
    fail(road, 1, user="\x1b[2J\nroot")
    road.dispatch.bans.penalties.add(ATTACKER, "protocol")
    assert await told(road, f"ban explain ::ffff:{ATTACKER}") == (
        "203.0.113.9 is not banned\n"
        "penalty: 10 s, and refused once it is more than 15 s, for connections that do not speak SSH\n"
        "failed logins: home 1 min 30 s ago, home 1 min 30 s ago, home 1 min 30 s ago, \\x1b[2J\\x0aroot 0 s ago\n"
        "the next failed login bans 203.0.113.9 for 1 min\n"
    )
    fail(road, 1)
    road.dispatch.bans.penalties.add(ATTACKER, "crash")
    assert await told(road, f"ban explain {ATTACKER}") == (
        "203.0.113.9 is banned for 1 min more, until 2026-06-02T12:02:30Z: too many failed logins\n"
        "  ban 1, kind login, since 2026-06-02T12:01:30Z: 5 as \\x1b[2J\\x0aroot, home\n"
        "penalty: refused for 1 min 40 s more, for a connection that broke the server\n"
        "it is refused before it can try again\n"
    )
    known = await as_json(road, f"ban explain {ATTACKER}")
    assert known["ban"]["evidence"] == "5 as \x1b[2J\nroot, home"
    assert known["penalty"] == {"kind": "crash", "remaining": 100, "active": True}
    assert (known["failures"], known["tries"], known["would_ban"]) == ([], 0, "")


async def test_explaining_networks(road: Road) -> None:
    """Of a network it is told which of its neighbours are banned, and that the /56 is next."""
    for number in range(2):
        fail(road, 5, f"2001:db8:0:{number}::1")
    fail(road, 4, "2001:db8:0:2::1")
    assert await told(road, "ban explain 2001:db8:0:2::9") == (
        "2001:db8:0:2::/64 is not banned\n"
        "failed logins: home 0 s ago, home 0 s ago, home 0 s ago, home 0 s ago\n"
        "banned lately in its /56: 2001:db8::/64, 2001:db8:0:1::/64\n"
        "the next failed login bans 2001:db8::/56 for 1 min\n"
    )
    assert (await told(road, "ban explain 2001:db8::/56")).splitlines() == [
        "2001:db8::/56 is not banned",
        "banned lately in its /56: 2001:db8::/64, 2001:db8:0:1::/64",
    ]


async def test_explaining_never(road: Road) -> None:
    """Of an exempt source it is told which network exempts it, also when it was banned before that."""
    fail(road, 5)
    road.dispatch.bans.reconfigure(BanRules(never=("203.0.113.0/24",)))
    text = await told(road, f"ban explain {ATTACKER}")
    assert text.splitlines()[-1] == (
        "bans.never has 203.0.113.0/24: it is never refused, and what it fails does not count"
    )


@pytest.mark.parametrize(("options", "seconds"), [("", 3600), (" --for 90s", 90), (" --for=1h30m", 5400)])
async def test_banning(road: Road, options: str, seconds: int) -> None:
    """A ban by hand is an hour or as long as was said, is in force at once, and the audit says who set it."""
    info = await as_json(road, f"ban add {ATTACKER}{options}")
    assert (info["source"], info["remaining"], info["kind"]) == (ATTACKER, seconds, "manual")
    record = road.dispatch.bans.find(ATTACKER)
    assert record is not None
    (event,) = road.audit("ban.set")
    assert (event["source"], event["kind"], event["by"], event["until"]) == (ATTACKER, "manual", "admin", info["until"])
    (event,) = road.audit("order.done")
    assert event["args"].keys() == {"source", *({"for"} if options else ())}
    assert await told(road, f"ban add 2001:db8::5{options}") != ""
    assert road.dispatch.bans.find("2001:db8::6") is not None


async def test_banning_says_what_is_banned(road: Road) -> None:
    """An address is answered with the source that it stands for."""
    assert await told(road, "ban add 2001:db8::5 --for 90m") == "2001:db8::/64 is banned for 1 h 30 min\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nonsense", "'nonsense' is no address"),
        ("10.0.0.0/8", "10.0.0.0/8 is no source"),
        ("192.0.2.7", "192.0.2.7 is never banned"),
        (f"{ATTACKER} --for soon", "'soon' is not a duration"),
        (f"{ATTACKER} --for 0s", "a ban lasts 1 s to 366 d, not 0 s"),
        (f"{ATTACKER} --for 999999999d", "a ban lasts 1 s to 366 d"),
        ("127.0.0.1", "127.0.0.1 is where you are yourself"),
        ("::ffff:127.0.0.1", "127.0.0.1 is where you are yourself"),
        ("127.0.0.1/32", "127.0.0.1 is where you are yourself"),
    ],
)
async def test_nobody_is_banned_by_mistake(road: Road, words: str, message: str) -> None:
    """What is no source, what is exempt, and the admin's own source are refused in a sentence, and nothing changes."""
    road.dispatch.bans.reconfigure(BanRules(never=("192.0.2.0/24",)))
    assert refused(await road.one("admin", f"ban add {words}")).message.startswith(message)
    assert road.dispatch.bans.in_force() == []
    assert road.audit("ban.set") == []


@pytest.mark.parametrize("named", ["2001:db8::1", "2001:db8::2", "2001:db8::/64", "2001:db8::/56", "2001:db8:0:1::/56"])
async def test_no_network_around_oneself(road: Road, named: str) -> None:
    """An admin who comes over IPv6 bans neither their /64 nor the /56 around it, but may ban another of its /64s."""
    session = road.session("admin", "2001:db8::1")
    (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, f"ban add {named}")]
    assert "is where you are yourself" in refused(outcome).message
    (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, "ban add 2001:db8:0:1::/64")]
    assert outcome.status == 0
    assert road.dispatch.bans.find("2001:db8::1") is None


async def test_lifting(road: Road) -> None:
    """Every ban that holds for an address is lifted, each with its own event that says who did it."""
    for number in range(3):
        fail(road, 5, f"2001:db8:0:{number}::1")
    ended = await as_json(road, "ban lift 2001:db8:0:1::7")
    assert [(ban["source"], ban["remaining"]) for ban in ended] == [("2001:db8:0:1::/64", 60), ("2001:db8::/56", 60)]
    assert road.dispatch.bans.find("2001:db8:0:1::7") is None
    assert [(event["source"], event["by"]) for event in road.audit("ban.lifted")] == [
        ("2001:db8:0:1::/64", "admin"),
        ("2001:db8::/56", "admin"),
    ]
    fail(road, 5)
    assert await told(road, f"ban lift {ATTACKER}") == "203.0.113.9 is no longer banned\n"
    error = refused(await road.one("admin", f"ban lift {ATTACKER}"))
    assert (error.message, error.hint) == ("203.0.113.9 is not banned", "`ban list` lists them")
    assert refused(await road.one("admin", "ban lift home")).message == "'home' is no address"
