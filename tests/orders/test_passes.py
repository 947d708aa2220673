"""Passes: users for a few orders and a while, made by who holds as much, and never made more by themselves."""

import tomllib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sshhome.errors import BadArguments, Denied
from sshhome.orders.passes import Pass, _way_in
from tests.conftest import FixedClock
from tests.test_dispatch import LINE, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

USERS = {
    "owner": f"keys = ['{LINE}']\nroles = [\"admin\"]",
    "doorkeeper": 'grants = ["admin", { allow = "access:lock.front_door", orders = ["unlock"], when = "08:00-20:00" }]',
    "anna": 'roles = ["resident"]',
}
#: It is Tuesday, 14:00 in this house.
TODAY = "2026-06-02"


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road to a house that people find at an address."""
    async with build(users=USERS) as built:
        built.dispatch.address = "house.example:2222"
        yield built


def written(road: Road, login: str) -> dict[str, Any]:
    """Return what a user's file holds, the hash of the password aside."""
    table = tomllib.loads((road.users.folder / f"{login}.toml").read_text(encoding="utf-8"))
    table.pop("password", None)
    return table


async def made(road: Road, line: str, user: str = "owner") -> Any:  # noqa: ANN401 (what the order returns)
    """Give an order that goes well and return what it returns."""
    outcome = await road.one(user, line)
    assert outcome.error is None, outcome.error
    return outcome.answers[0].value


async def refused(road: Road, line: str, user: str = "owner") -> str:
    """Give an order that is refused, makes no file, and return the reason."""
    before = sorted(road.users.folder.iterdir())
    outcome = await road.one(user, line)
    assert isinstance(outcome.error, BadArguments | Denied), outcome
    assert sorted(road.users.folder.iterdir()) == before
    return outcome.error.message


async def listed(road: Road) -> dict[str, Pass]:
    """Return the passes by their names."""
    return {found.user: found for found in await made(road, "pass list")}


# -- making -----------------------------------------------------------------------------------------------------------


async def test_a_pass_for_the_plumber(road: Road, clock: FixedClock) -> None:
    """A pass is a user that ends by itself, with a grant for each device; what to type is told, the password once."""
    line = "pass create plumber --may 'unlock front_door' --when 'today 14:00-16:00' --uses 3"
    outcome = await road.one("owner", line)
    text, made = said(outcome)[0], outcome.answers[0].value
    assert written(road, "plumber") == {
        "name": "Plumber",
        "issued_by": "owner",
        "until": f"{TODAY} 16:00",
        "grants": [
            {"allow": "access:lock.front_door", "orders": ["unlock"], "when": f"{TODAY} 14:00-16:00", "uses": 3}
        ],
    }
    lines = text.splitlines()
    assert lines[0] == (
        f"a pass for plumber, until today 16:00: access:lock.front_door to unlock when {TODAY} 14:00-16:00 3 times"
    )
    assert lines[1] == "ssh -p 2222 plumber@house.example 'unlock front_door'"
    assert lines[2] == f"password: {made.password} (shown this once)"
    assert len(lines) > 15
    assert len(made.password) == 14
    assert made.uri == "ssh://plumber@house.example:2222"
    assert made.until == f"{TODAY}T14:00:00Z"
    assert made.password not in (road.path / "audit.jsonl").read_text(encoding="utf-8")
    assert "$argon2id$" in (road.users.folder / "plumber.toml").read_text(encoding="utf-8")
    for _ in range(3):
        assert (await road.one("plumber", "unlock front_door")).error is None
    denied = (await road.one("plumber", "unlock front_door")).error
    assert denied is not None
    assert denied.message == "you may not operate lock.front_door: used 3 of 3 times"
    assert (await listed(road))["plumber"].left == [0]
    clock.advance(2 * 3600)
    assert road.standing("plumber") == "your pass has ended"


async def test_a_pass_with_a_key(road: Road) -> None:
    """With a key there is no password, unless one is asked for too."""
    plain = await made(road, f"pass create plumber --may 'unlock front_door' --until 2026-06-03 --key '{LINE}'")
    assert plain.password == ""
    assert written(road, "plumber")["keys"] == [LINE]
    assert (await made(road, f"pass create both --may disarm --until 2026-06-03 --key '{LINE}' --password")).password


async def test_several_orders_and_devices(road: Road) -> None:
    """Each device is a grant with its orders; a scene takes all that it touches, for no order but its own."""
    line = "pass create ben --may 'open cover.garage; close cover.garage; off @kitchen' --until 2026-06-03"
    value = await made(road, line)
    grants = written(road, "ben")["grants"]
    assert {grant["allow"]: grant["orders"] for grant in grants} == {
        "access:cover.garage": ["open", "close"],
        "control:light.kitchen": ["off"],
        "control:light.counter": ["off"],
        "control:switch.coffee": ["off"],
    }
    assert list(value.ssh) == [
        "ssh -p 2222 ben@house.example 'open cover.garage'",
        "ssh -p 2222 ben@house.example 'close cover.garage'",
        "ssh -p 2222 ben@house.example 'off @kitchen'",
    ]
    assert (await road.one("ben", "off @kitchen")).status == 0
    assert (await road.one("ben", "on kitchen")).status == 77
    await made(road, "pass create night --may 'activate goodnight' --when 'tomorrow 20:00-02:00' --from 10.0.0.0/8")
    grants = written(road, "night")["grants"]
    assert {grant["allow"] for grant in grants} >= {"control:scene.goodnight", "access:lock.front_door"}
    for grant in grants:
        allow = grant.pop("allow")
        assert allow
        assert grant == {"orders": ["activate"], "when": "2026-06-03 20:00-02:00", "from": "10.0.0.0/8"}
    assert written(road, "night")["until"] == "2026-06-04 02:00"


@pytest.mark.parametrize(
    ("options", "until"),
    [
        ("--when 'today 15:00-16:00, 18:00-19:00'", f"{TODAY} 19:00"),
        ("--when today", "2026-06-03 00:00"),
        ("--when 2026-06-05..2026-06-07", "2026-06-08 00:00"),
        ("--when '2026-06-05,2026-06-03 10:00-11:00'", "2026-06-05 11:00"),
        ("--when 'mon-fri 09:00-12:00' --until 2026-06-30", "2026-06-30"),
        ("--until '2026-06-02 15:00'", "2026-06-02 15:00"),
        ("--until 2027-06-02", "2027-06-02"),
        ("--until today", "2026-06-02"),
        ("--until tomorrow", "2026-06-03"),
        ("--until 'Tomorrow 9:00'", "2026-06-03 9:00"),
    ],
)
async def test_when_a_pass_ends(road: Road, options: str, until: str) -> None:
    """A pass ends when it is said, or as the last of its dates does."""
    await made(road, f"pass create ben --may 'unlock front_door' {options}")
    assert written(road, "ben")["until"] == until


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--may 'unlock front_door'", "a pass must end"),
        ("--may 'unlock front_door' --when 'tue 09:00-12:00'", "a pass must end"),
        ("--may 'unlock front_door' --when '2026-06-03,tue'", "a pass must end"),
        ("--may 'unlock front_door' --when 09:00-12:00", "a pass must end"),
        ("--may 'unlock front_door' --until 2026-06-01", "a pass ends within 366 days, and not before now"),
        ("--may 'unlock front_door' --when 'today 09:00-12:00'", "a pass ends within 366 days, and not before now"),
        ("--may 'unlock front_door' --until 2027-06-04", "a pass ends within 366 days, and not before now"),
        ("--may '' --until 2026-06-03", "option '--may' needs a value"),
        ("--may ';' --until 2026-06-03", "name an order, such as --may 'unlock front_door'"),
        ("--may 'unlock front_door' --until 2026-06-03 --uses 0", "'0' is not a number from 1"),
        ("--until 2026-06-03", "'pass create' needs ORDER, what they may do"),
        ("--may nonsense --until 2026-06-03", "unknown order 'nonsense'"),
        ("--may 'unlock vault' --until 2026-06-03", "no device 'vault'"),
        ("--may show --until 2026-06-03", "a pass is for orders that change a device, and 'show' changes none"),
        ("--may undo --until 2026-06-03", "a pass is for orders that change a device, and 'undo' changes none"),
        ("--may 'user list' --until 2026-06-03", "a pass is for orders that change a device, and 'user list' changes"),
        ("--may 'dim desk 40' --until 2026-06-03", "a pass is for an order and its target, and not for 'dim desk 40'"),
        ("--may 'arm night' --until 2026-06-03", "a pass is for an order and its target, and not for 'arm night'"),
        ("--may 'off desk --yes' --until 2026-06-03", "a pass is for an order and its target"),
        (
            "--may 'set climate.living' --until 2026-06-03",
            "a pass is for an order and its target, and not for 'set climate.living'",
        ),
        ('--may "unlock \'front_door" --until 2026-06-03', "a quote ' is not closed"),
        ("--may 'unlock front_door' --until 2026-06-03 --key nonsense", "this is no public key"),
        ("--may 'unlock front_door' --until 2026-06-03 --from here", "grant 'access:lock.front_door': from: 'here'"),
    ],
)
async def test_what_is_no_pass(road: Road, options: str, why: str) -> None:
    """What says too little, or more than an order and its target, is refused, and makes no user."""
    assert (await refused(road, f"pass create ben {options}")).startswith(why)


async def test_a_name_that_is_taken(road: Road) -> None:
    """A pass never takes the place of a user, nor of another pass."""
    await made(road, "pass create ben --may disarm --until 2026-06-03")
    for login in ("anna", "ben"):
        why = await refused(road, f"pass create {login} --may disarm --until 2026-06-03")
        assert why == f"user '{login}' exists already"


async def test_nobody_issues_what_they_do_not_hold(road: Road) -> None:
    """A pass is for no more orders, devices and hours than its issuer's."""
    for options, why in (
        ("--may 'unlock front_door' --when 'today 15:00-18:00'", ""),
        ("--may 'unlock front_door' --when 'today 15:00-21:00'", "you hold no more than"),
        ("--may 'unlock front_door' --until 2026-06-03", "you hold no more than"),
        ("--may 'lock front_door' --when 'today 15:00-18:00'", "you hold no more than"),
        ("--may 'unlock front_door; lock front_door' --when 'today 15:00-18:00'", "you hold no more than"),
        ("--may 'unlock side_door' --when 'today 15:00-18:00'", "no device 'side_door'"),
        ("--may 'unlock all' --when 'today 15:00-18:00'", ""),
        ("--may 'off desk' --when 'today 15:00-18:00'", "no device 'desk'"),
        ("--may 'activate goodnight' --when 'today 15:00-18:00'", "no device 'goodnight'"),
    ):
        line = f"pass create ben{len(list(road.users.folder.iterdir()))} {options}"
        if why:
            assert (await refused(road, line, "doorkeeper")).startswith(why), options
        else:
            await made(road, line, "doorkeeper")
    await made(road, "user grant doorkeeper control:scene.*")
    assert await refused(road, "pass create x --may 'activate goodnight' --when today", "doorkeeper") == (
        "you may not do all of that yourself"
    )


# -- being one --------------------------------------------------------------------------------------------------------


async def test_a_pass_cannot_change_itself(road: Road) -> None:
    """Whoever has a pass adds no key and no password, and issues nothing."""
    await made(road, "pass create ben --may 'unlock front_door' --until 2026-06-03")
    for line in (f"key add '{LINE}'", "key remove phone", "passwd", "totp"):
        outcome = await road.one("ben", f"{line} --yes")
        assert isinstance(outcome.error, Denied)
        assert outcome.error.message.endswith("a pass cannot change itself")
    for line in ("pass create tom --may 'unlock front_door' --until 2026-06-03", "pass list", "user thaw ben"):
        assert isinstance((await road.one("ben", line)).error, Denied)
    assert (await road.one("ben", "whoami")).error is None
    assert (await road.one("ben", "key list")).error is None


# -- looking after ----------------------------------------------------------------------------------------------------


async def test_listing(road: Road, clock: FixedClock) -> None:
    """Passes are listed with what is left of them, and stay so once they are over, until they are revoked."""
    assert said(await road.one("owner", "pass list"))[0] == "no passes\n"
    await made(road, "pass create ben --may 'unlock front_door' --when 'today 14:00-16:00' --uses 3")
    await road.one("ben", "unlock front_door")
    found = (await listed(road))["ben"]
    assert found == Pass(
        "ben",
        [f"access:lock.front_door to unlock when {TODAY} 14:00-16:00 3 times"],
        f"{TODAY}T14:00:00Z",
        [2],
        "owner",
        "",
        "today 16:00",
    )
    await made(road, "user freeze ben")
    assert (await listed(road))["ben"].state == "frozen"
    await made(road, "user thaw ben")
    clock.advance(2 * 3600)
    assert (await listed(road))["ben"].state == "ended"
    assert "ended" in said(await road.one("owner", "pass list"))[0]
    assert said(await road.one("doorkeeper", "pass revoke ben"))[0] == "the pass of ben is revoked\n"
    assert await listed(road) == {}


async def test_a_pass_that_is_made_again(road: Road) -> None:
    """A pass of the same name and kind is another one: all its uses are left."""
    line = "pass create ben --may 'unlock front_door' --when 'today 14:00-16:00' --uses 1"
    for _ in range(2):
        await made(road, line)
        assert (await road.one("ben", "unlock front_door")).status == 0
        assert (await road.one("ben", "unlock front_door")).status == 77
        await made(road, "pass revoke ben")


async def test_revoking_no_pass(road: Road) -> None:
    """A user who is no pass is not revoked."""
    for login in ("anna", "owner", "nobody"):
        assert await refused(road, f"pass revoke {login}") == f"'{login}' has no pass"


@pytest.mark.parametrize(
    ("address", "ssh", "uri"),
    [
        ("127.0.0.1:2222", "ssh -p 2222 ben@127.0.0.1", "ssh://ben@127.0.0.1:2222"),
        ("house.example:22", "ssh ben@house.example", "ssh://ben@house.example:22"),
        ("house.example", "ssh ben@house.example", "ssh://ben@house.example:22"),
        ("[2001:db8::1]:2222", "ssh -p 2222 ben@2001:db8::1", "ssh://ben@[2001:db8::1]:2222"),
    ],
)
def test_the_way_in(address: str, ssh: str, uri: str) -> None:
    """What to type leads to the house, whatever its address looks like."""
    assert _way_in(address, "ben") == (ssh, uri)
