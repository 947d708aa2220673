"""Orders about users: what is handed out and taken back is in the file, and nobody hands out what they do not hold."""

import tomllib
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest

from sshhome.errors import BadArguments, Denied
from sshhome.grant import Privilege
from tests.conftest import FixedClock
from tests.test_dispatch import LINE, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

OTHER = LINE.replace("AAAIAABAgME", "AAAIAABAgMF").replace("phone", "tablet")
#: Two who look after the house, one who runs the server and holds the lights alone, and some to be looked after.
USERS = {
    "owner": f"keys = ['{LINE}']\nroles = [\"admin\"]",
    "partner": f"keys = ['{LINE}']\nroles = [\"admin\"]",
    "lamplighter": 'grants = ["admin", "control:light.*"]',
    "anna": '# Her own words.\nname = "Anna"\nroles = ["resident"]   # for good\n',
    "kid": 'grants = ["control:light.night", { deny = "read:@study" }]',
    "plumber": 'issued_by = "owner"\nuntil = "2026-06-02 18:00"\ngrants = ["access:lock.side_door"]',
}


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build(users=USERS, roles={"cleaner": ["control:light.*"]}) as built:
        yield built


def written(road: Road, login: str) -> dict[str, Any]:
    """Return what a user's file holds."""
    return tomllib.loads((road.users.folder / f"{login}.toml").read_text(encoding="utf-8"))


async def tells(road: Road, user: str, line: str, **how: Any) -> str:  # noqa: ANN401 (as `Road.session`)
    """Give an order that goes well and return what a person reads."""
    outcome = await road.one(user, line, **how)
    assert outcome.error is None, outcome.error
    return said(outcome)[0]


async def refuses(road: Road, user: str, line: str, **how: Any) -> str:  # noqa: ANN401 (as `Road.session`)
    """Give an order that is refused, and changes no file; return the reason."""
    before = {path.name: path.read_bytes() for path in road.users.folder.iterdir()}
    outcome = await road.one(user, line, **how)
    assert isinstance(outcome.error, BadArguments | Denied), outcome
    assert {path.name: path.read_bytes() for path in road.users.folder.iterdir()} == before
    return outcome.error.message


async def may(road: Road, login: str, line: str) -> bool:
    """Return whether a user may give an order now."""
    return (await road.one(login, line)).error is None


# -- adding -----------------------------------------------------------------------------------------------------------


async def test_adding(road: Road) -> None:
    """A new user holds what was said, or the role guest, and is told to need a key if there is none."""
    assert await tells(road, "owner", "user add ben") == (
        "added ben with role guest; ben cannot log in yet: `user key ben add LINE`\n"
    )
    assert written(road, "ben") == {"name": "Ben", "roles": ["guest"]}
    options = f"--name 'Lena M.' --role cleaner,viewer --grant read,control:@kids --key '{LINE}' --until 2026-12-24"
    assert (
        await tells(road, "owner", f"user add lena {options}")
        == "added lena with role cleaner, role viewer, read, control:@kids\n"
    )
    assert written(road, "lena") == {
        "name": "Lena M.",
        "roles": ["cleaner", "viewer"],
        "until": "2026-12-24",
        "keys": [LINE],
        "grants": ["read", "control:@kids"],
    }
    assert (road.users.folder / "lena.toml").stat().st_mode & 0o777 == 0o600
    assert await may(road, "lena", "on night")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("user add anna", "user 'anna' exists already"),
        ("user add plumber", "user 'plumber' exists already"),
        ("user add Ben", "'Ben' is no login name"),
        ("user add ../ben", "'../ben' is no login name"),
        ("user add ben --role king", "no role 'king'"),
        ("user add ben --grant look", "'look' is no privilege; it is one of read, control, access, admin"),
        ("user add ben --until soon", "'soon' is no moment; it is such as"),
        ("user add ben --key nonsense", "this is no public key: key option 'nonsense' is not supported"),
        (f"user add ben --key 'sshhome-role=\"king\" {LINE}'", "no role 'king'"),
        ("user add ben --key '-----BEGIN OPENSSH PRIVATE KEY-----'", "this is a private key"),
    ],
)
async def test_what_nobody_can_add(road: Road, line: str, why: str) -> None:
    """What is badly written is refused, and makes no file."""
    assert (await refuses(road, "owner", line)).startswith(why)
    assert not (road.users.folder / "ben.toml").exists()


# -- granting ---------------------------------------------------------------------------------------------------------


async def test_granting(road: Road) -> None:
    """A grant is written as it was given, its owner's words around it stay, and it holds at once."""
    for line, told in (
        ("read:@kids", "kid has 'read:@kids' now"),
        (
            "control:light.* --when 'today 18:00-20:00' --values brightness=..60,color=red,color=blue",
            "kid has 'control:light.* when 2026-06-02 18:00-20:00 with brightness ..60 %, color red or blue' now",
        ),
        (
            "access:lock.front_door --from 10.0.0.0/8,fd00::/8 --house 'light.hall = on' --uses 3",
            "kid has 'access:lock.front_door from 10.0.0.0/8, fd00::/8 while light.hall = on 3 times' now",
        ),
        (
            "access:cover.garage --orders open,close --step-up totp --until '2026-12-24 18:00'",
            "kid has 'access:cover.garage to open or close until 2026-12-24 17:00Z after a one-time code' now",
        ),
        ("control:switch.tv --deny --when 20:00-07:00", "kid has 'deny control:switch.tv when 20:00-07:00' now"),
        ("role:viewer", "kid has 'role:viewer' now"),
    ):
        assert await tells(road, "owner", f"user grant kid {line}") == f"{told}\n"
    assert written(road, "kid") == {
        "roles": ["viewer"],
        "grants": [
            "control:light.night",
            {"deny": "read:@study"},
            "read:@kids",
            {
                "allow": "control:light.*",
                "when": "2026-06-02 18:00-20:00",
                "values": {"brightness": "..60", "color": ["red", "blue"]},
            },
            {
                "allow": "access:lock.front_door",
                "from": ["10.0.0.0/8", "fd00::/8"],
                "house": "light.hall = on",
                "uses": 3,
            },
            {
                "allow": "access:cover.garage",
                "until": "2026-12-24 18:00",
                "orders": ["open", "close"],
                "step_up": "totp",
            },
            {"deny": "control:switch.tv", "when": "20:00-07:00"},
        ],
    }
    await tells(road, "owner", "user grant anna control:light.desk")
    text = (road.users.folder / "anna.toml").read_text(encoding="utf-8")
    assert (
        text == '# Her own words.\nname = "Anna"\nroles = ["resident"]   # for good\ngrants = ["control:light.desk"]\n'
    )


async def test_granting_to_a_file_with_tables(road: Road) -> None:
    """A file whose grants are tables stays one."""
    path = road.users.folder / "kid.toml"
    path.write_text('name = "Kid"\n\n[[grants]]\nallow = "read"\n\n[[grants]]\ndeny = "read:@study"\n')
    for line in ("control:light.night", "control:light.desk --values brightness=..60"):
        await tells(road, "owner", f"user grant kid {line}")
    await tells(road, "owner", "user freeze kid")
    assert written(road, "kid") == {
        "name": "Kid",
        "frozen": True,
        "grants": [
            {"allow": "read"},
            {"deny": "read:@study"},
            {"allow": "control:light.night"},
            {"allow": "control:light.desk", "values": {"brightness": "..60"}},
        ],
    }
    await tells(road, "owner", "user revoke kid read")
    assert written(road, "kid")["grants"][0] == {"deny": "read:@study"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nobody read", "user 'nobody' does not exist"),
        ("kid look", "'look' is no privilege; it is one of read, control, access, admin"),
        ("kid read --uses 3", "'uses' means nothing on a grant to look"),
        ("kid control:light.night", "'control:light.night' is among the grants already"),
        ("anna role:resident", "role resident is among the roles already"),
        ("kid role:king", "no role 'king'"),
        ("kid role:viewer --uses 3", "a role is given as it is, without conditions"),
        ("kid role:viewer --deny", "a role is given as it is, without conditions"),
        ("kid control --when never", "'never' is no day; a day is"),
        ("kid control --values 60", "--values is such as brightness=..60,color=red, and not '60'"),
        ("kid control --values size=1", "grant 'control': values: 'size' is nothing an order sets"),
        ("kid control --from here", "grant 'control': from: 'here' is no network"),
        ("kid control --house 'lock.safe = locked'", "no device 'lock.safe'"),
        ("kid control --house nonsense", "grant 'control': house: 'nonsense' is not DEVICE = STATE"),
        ("kid control --orders nonsense,1", "grant 'control': orders is a list of orders"),
        ("kid control --until never", "grant 'control': 'never' is no moment"),
        ("kid control --step-up face", "'face' must be one of totp, confirm"),
        # What a script makes of a variable that is not set: never a grant without the condition.
        ("kid control --uses 0", "'0' is not a number from 1"),
        ("kid control --uses ''", "option '--uses' needs a value"),
        ("kid control --when ''", "option '--when' needs a value"),
        ("kid control --values= --until 2027-01-01", "option '--values' needs a value"),
        ("kid control --from ' , '", "option '--from' needs a value"),
        ("kid control --house ,", "option '--house' needs a value"),
        ("kid control --orders ' '", "option '--orders' needs a value"),
    ],
)
async def test_what_nobody_can_grant(road: Road, line: str, why: str) -> None:
    """What is badly written, or there already, is refused."""
    assert (await refuses(road, "owner", f"user grant {line}")).startswith(why)


async def test_a_grant_tells_nothing_of_the_house(road: Road) -> None:
    """Nobody finds out how a device is that they may not know of by making somebody's grant depend on it."""
    line = "user grant kid control:light.desk --house"
    assert await refuses(road, "lamplighter", f"{line} 'lock.front_door = locked'") == "no device 'lock.front_door'"
    assert await may(road, "lamplighter", f"{line} 'light.hall = off'")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("user add ben --role resident", "you do not hold 'read' yourself"),
        ("user add ben --role admin", "you do not hold 'read' yourself"),
        ("user grant kid control:@kids", "you do not hold 'control:@kids' yourself"),
        ("user grant kid control:switch.tv", "you do not hold 'control:switch.tv' yourself"),
        ("user grant kid role:viewer", "you do not hold 'read' yourself"),
        (f"user key anna add {LINE}", "you do not hold 'read' yourself"),
        (f"user key anna add 'sshhome-role=\"cleaner\" {LINE}'", "you do not hold 'read' yourself"),
        (f"user key owner add {OTHER}", "you do not hold 'read' yourself"),
    ],
)
async def test_nobody_hands_out_what_they_do_not_hold(road: Road, line: str, why: str) -> None:
    """Who holds the lights alone hands out no more, whoever it is for."""
    assert await refuses(road, "lamplighter", line) == why
    assert await may(road, "partner", line)


async def test_what_is_held_is_handed_out(road: Road) -> None:
    """Who holds the lights alone hands those out, and somebody who runs the server besides."""
    for line in (
        "user add ben --role cleaner",
        "user add tim --grant admin,control:light.*",
        "user grant kid control:light.desk --values brightness=..60",
        # What it keeps the kid from is nothing but lights.
        "user revoke kid deny read:@study",
        f"user key kid add {LINE}",
    ):
        assert await may(road, "lamplighter", line)
    # Whoever was made so goes no further.
    assert await refuses(road, "tim", "user add tom --role resident") == "you do not hold 'read' yourself"
    assert await may(road, "tim", "user add tom --role cleaner")


async def test_a_narrower_key_hands_out_less(road: Road) -> None:
    """Whoever comes with a narrower key hands out what both it and its owner may."""
    narrow = 'sshhome-grants="admin,control:light.*"'
    assert await refuses(road, "owner", "user add ben --role resident", key=narrow) == "you do not hold 'read' yourself"
    await tells(road, "owner", "user add ben --grant control:light.desk", key=narrow)
    # Their own whole key would make them more.
    assert await refuses(road, "owner", f"user key owner add {LINE}", key=narrow) == "these are your own keys"


async def test_freezing_and_thawing(road: Road) -> None:
    """A frozen user is out; whoever thaws them must hold all that they may."""
    assert await tells(road, "lamplighter", "user freeze anna") == "anna is frozen\n"
    assert written(road, "anna")["frozen"] is True
    assert road.standing("anna") == "your user is frozen"
    assert await refuses(road, "lamplighter", "user thaw anna") == "you do not hold 'read' yourself"
    assert await tells(road, "owner", "user thaw anna") == "anna is not frozen\n"
    assert "frozen" not in written(road, "anna")
    assert await may(road, "anna", "unlock front_door")


async def test_revoking(road: Road) -> None:
    """A role or grant is taken by its name, whatever its conditions, or by its rule; a deny by its own."""
    await tells(road, "owner", "user grant kid control:light.night --when tue")
    assert await tells(road, "lamplighter", "user revoke kid control:light.night") == (
        "kid no longer has 'control:light.night'\n"
    )
    assert written(road, "kid")["grants"] == [{"deny": "read:@study"}]
    await tells(road, "owner", "user grant kid control:light.desk --when tue")
    await tells(road, "owner", "user grant kid control:light.desk --when wed")
    await tells(road, "owner", "user revoke kid control:light.desk when wed")
    assert written(road, "kid")["grants"][1:] == [{"allow": "control:light.desk", "when": "tue"}]
    await tells(road, "owner", "user revoke kid 'deny read:@study'")
    assert len(written(road, "kid")["grants"]) == 1
    await tells(road, "lamplighter", "user revoke anna role:resident")
    assert not await may(road, "anna", "show")
    for what in ("role:resident", "control", "deny control"):
        assert (await refuses(road, "owner", f"user revoke anna {what}")).startswith("there is no ")


async def test_a_grant_that_is_given_again_is_as_good_as_new(road: Road) -> None:
    """Who is given so many uses, has them taken away and is given them again, has all of them."""
    for _ in range(2):
        await tells(road, "owner", "user grant kid access:lock.front_door --uses 2")
        for order in ("unlock", "lock"):
            assert await may(road, "kid", f"{order} front_door")
        assert not await may(road, "kid", "unlock front_door")
        await tells(road, "owner", "user revoke kid access:lock.front_door")


async def test_removing(road: Road, clock: FixedClock) -> None:
    """Of a user who is removed nothing is left for another one of that name."""
    await tells(road, "owner", "user grant kid access:lock.front_door --uses 1")
    assert await may(road, "kid", "on night")
    assert await may(road, "kid", "unlock front_door")
    assert await tells(road, "lamplighter", "user remove kid") == "kid is removed\n"
    assert not (road.users.folder / "kid.toml").exists()
    assert road.standing("kid") == "your user was removed"
    await tells(road, "owner", "user add kid --grant control:light.night")
    await tells(road, "owner", "user grant kid access:lock.front_door --uses 1")
    assert (await road.one("kid", "undo")).error is not None
    assert await may(road, "kid", "unlock front_door")
    assert await refuses(road, "owner", "user remove nobody") == "user 'nobody' does not exist"


async def test_removed_by_hand(road: Road) -> None:
    """Of a user whose file was deleted nothing is left either for another one of that name."""
    assert await may(road, "kid", "on night")
    (road.users.folder / "kid.toml").unlink()
    await tells(road, "owner", "user add kid --grant control:light.night")
    assert (await road.one("kid", "undo")).error is not None


@pytest.mark.parametrize(
    "line",
    [
        "user freeze owner",
        "user thaw owner",
        "user remove owner",
        "user revoke owner role:admin",
        "user grant owner read:@kids",
        "user grant owner read:@kids --deny",
    ],
)
async def test_nobody_does_it_to_themselves(road: Road, line: str) -> None:
    """Nobody locks themselves out, nor gives themselves anything."""
    assert await refuses(road, "owner", line) == "that is you: somebody else must do it"


async def test_somebody_is_left(road: Road) -> None:
    """The last who can log in and run the server on no condition stays so, whoever asks."""
    await tells(road, "owner", "user freeze partner")
    for line in (
        "user freeze owner",
        "user remove owner",
        "user revoke owner role:admin",
        "user grant owner admin --deny",
        "user key owner remove phone",
    ):
        assert await refuses(road, "lamplighter", line) == (
            "owner is the last who can log in and run the server on no condition"
        )
    await tells(road, "owner", "user thaw partner")
    assert await may(road, "lamplighter", "user freeze owner")


async def test_a_file_that_is_not_understood(road: Road) -> None:
    """A user whose file is wrong is not changed, since nobody knows what they may; they can be removed."""
    (road.users.folder / "kid.toml").write_text("rolls = []")
    outcome = await road.one("owner", "user freeze kid")
    assert outcome.error is not None
    assert outcome.error.message.startswith("authorized_users/kid.toml: unknown key 'rolls'")
    assert await may(road, "owner", "user remove kid")


async def test_a_file_does_not_grow_for_ever(road: Road) -> None:
    """A file that could not be read any more is not written."""
    path = road.users.folder / "kid.toml"
    path.write_text(f'name = "{"x" * (256 * 1024 - 20)}"\n')
    assert await refuses(road, "owner", "user grant kid control:light.night") == "the file of 'kid' would be too long"


# -- who there is -----------------------------------------------------------------------------------------------------


async def test_listing(road: Road, clock: FixedClock) -> None:
    """The list tells who is frozen, who ends, and who is a pass; and says nothing of it where nobody is."""
    await tells(road, "owner", "user freeze kid")
    states = {user.user: user.state for user in (await road.one("owner", "user list")).answers[0].value}
    assert (states["kid"], states["plumber"], states["anna"]) == ("frozen", "pass of owner, until today 18:00", "")
    assert "state" in await tells(road, "owner", "user list")
    clock.advance(12 * 3600)
    states = {user.user: user.state for user in (await road.one("owner", "user list")).answers[0].value}
    assert states["plumber"] == "pass of owner, ended"
    for login in ("plumber", "kid"):
        await tells(road, "owner", f"user remove {login}")
    assert "state" not in await tells(road, "owner", "user list")


async def test_showing(road: Road) -> None:
    """What a user may do is told with where it is written."""
    assert await tells(road, "lamplighter", "user show kid") == (
        "kid, no role\n"
        "  control:light.night (authorized_users/kid.toml)\n"
        "  deny read:@study (authorized_users/kid.toml)\n"
    )
    assert (await tells(road, "owner", "user show anna")).splitlines()[:2] == [
        "anna, resident",
        "  read (role resident)",
    ]
    assert (await refuses(road, "owner", "user show nobody")).startswith("user 'nobody' does not exist")


async def test_only_who_runs_the_server(road: Road) -> None:
    """None of it is for anybody else."""
    for found in road.dispatch.registry:
        if found.name.startswith(("user ", "pass ")):
            assert found.needs is Privilege.ADMIN
    for line in ("user add ben", "user grant kid admin", "user freeze owner", "user list"):
        assert isinstance((await road.one("anna", line)).error, Denied)


async def test_keys_of_others(road: Road) -> None:
    """The keys of a user are listed with what binds them, added and removed."""
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() + " kid@tablet"
    bound = f'from="10.0.0.0/8,!10.1.0.0/16",expiry-time="20270101",sshhome-role="viewer",command="show" {key}'
    told = await tells(road, "owner", f"user key kid add '{bound}'")
    assert told.endswith(" to kid\n")
    fingerprint = told.split()[1]
    (listed,) = (await road.one("owner", "user key kid list --json")).answers[0].value
    assert listed.fingerprint == fingerprint
    assert listed.comment == "kid@tablet"
    assert list(listed.bound) == [
        "from 10.0.0.0/8",
        "not from 10.1.0.0/16",
        "until 2027-01-01T00:00:00Z",
        "role viewer",
        "runs 'show'",
    ]
    assert await refuses(road, "owner", f"user key kid add '{key}'") == f"{fingerprint} is among the keys already"
    assert await refuses(road, "owner", "user key kid remove nonsense") == "there is no key 'nonsense'"
    assert await refuses(road, "owner", "user key kid add") == "which key shall be added?"
    assert await refuses(road, "owner", "user key kid remove") == "which key shall be removed?"
    assert (await refuses(road, "owner", "user key nobody")).startswith("user 'nobody' does not exist")
    assert await tells(road, "owner", "user key kid remove kid@tablet") == "removed kid@tablet from kid\n"
    assert await tells(road, "owner", "user key kid") == "no keys\n"
