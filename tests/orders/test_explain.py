"""Orders that explain: the same decision as the order itself would get, by which rule of which file, and when next."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sshhome.bind import COMMON_OPTIONS
from sshhome.order import REGISTRY
from sshhome.user import write_whole
from tests.conftest import FixedClock
from tests.test_dispatch import ARGUMENTS, LINE, OTHER_LINE, ROLES, USERS, Build, Road, line_of, make_ready, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

KID = """
roles = ["kid"]
grants = [
  { allow = "control:light.night", when = "18:00-20:00" },
  { allow = "access:cover.garage", step_up = "totp" },
  { allow = "access:lock.side_door", step_up = "confirm", uses = 2 },
  { allow = "access:lock.front_door", when = "tue 09:00-12:00" },
  { allow = "control:fan.*", from = "10.0.0.0/8" },
  { deny = "control:light.desk", when = "mon-fri" },
  { deny = "read:@bedroom" },
  { allow = "control:light.hall", house = ["light.bedroom = on", "light.porch.brightness = 100"] },
]
"""
ROLE = {
    "kid": [
        "read",
        {"allow": "control:@kids", "values": {"brightness": "..60"}, "when": "07:00-20:00"},
        {"allow": "control:light.desk"},
    ]
}
HOLIDAY = """
grants = [{ allow = "control:light.night", when = "2026-12-24..2026-12-26 18:00-20:00" }]
until = "2026-12-26"
"""


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road with a kid, of whom much is asked."""
    users = {**USERS, "kid": KID, "aunt": HOLIDAY, "sleeper": 'roles = ["resident"]\nfrozen = true'}
    users["boss"] = 'grants = ["read", { allow = "admin", when = "sat" }, { deny = "read:@kids" }]'
    users["clerk"] = 'grants = ["read", { allow = "admin", orders = ["ban list"] }]'
    users["chief"] = 'grants = ["read", { allow = "admin", step_up = "confirm" }]'
    async with build(users=users, roles=ROLE) as built:
        yield built


async def told(road: Road, user: str, line: str, **how: Any) -> str:  # noqa: ANN401 (as `session`)
    """Give an order and return what a person reads."""
    return "".join(said(await road.one(user, line, **how)))


# -- explain ----------------------------------------------------------------------------------------------------------

_ROLE, _FILE = "(sshhome.toml: role kid)", "(authorized_users/kid.toml)"
_DIM = f"control:@kids when 07:00-20:00 with brightness ..60 % {_ROLE}"


_GARAGE = f"access:cover.garage after a one-time code {_FILE}"
_SIDE = f"access:lock.side_door 2 times after a confirmation {_FILE}"
_DESK = f"deny control:light.desk when mon-fri {_FILE}: not mon-fri, until Sat 6 Jun 00:00"
_FRONT = f"access:lock.front_door when tue 09:00-12:00 {_FILE}: only tue 09:00-12:00, next Tue 9 Jun 09:00"
_HALL = f"control:light.hall while … and light.porch.brightness = 100 {_FILE}: not as the house is now"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("on light.kids", f"no, kid may not on light.kids, by {_DIM}: brightness only ..60 %"),
        ("dim light.kids 60%", f"yes, kid may dim light.kids, by {_DIM}"),
        ("dim light.kids 61", f"no, kid may not dim light.kids, by {_DIM}: brightness only ..60 %"),
        ("dim light.night 30", f"yes, kid may dim light.night, by {_DIM}"),
        (
            "dim light.night 80",
            f"no, kid may not dim light.night, by {_DIM}: brightness only ..60 %; next today 18:00",
        ),
        (
            "on light.desk",
            f"no, kid may not on light.desk, by {_DESK}; next Sat 6 Jun 00:00",
        ),
        (
            "open cover.garage",
            f"yes, kid may open cover.garage, with a one-time code, by {_GARAGE}",
        ),
        (
            "unlock side_door",
            f"yes, kid may unlock lock.side_door, once it is confirmed, by {_SIDE}",
        ),
        (
            "unlock front_door",
            f"no, kid may not unlock lock.front_door, by {_FRONT}",
        ),
        ("on switch.tv", "no, kid may not on switch.tv, no grant gives it"),
        ("user list", "no, kid may not user list, no grant gives it"),
        ("whoami", f"yes, kid may whoami, by read {_ROLE}"),
        ("list @kids", f"yes, kid may list, by read {_ROLE}"),
        # a condition on what is hidden is not named, neither as unmet nor in the rule
        (
            "on light.hall",
            f"no, kid may not on light.hall, by {_HALL}",
        ),
        # what is hidden or missing is told as such, and so is what is no order
        ("on light.bedroom", "error: no device 'light.bedroom'"),
        ("on light.nosuch", "error: no device 'light.nosuch'"),
        ("on @bedroom", "error: no room 'bedroom'"),
        ("dim light.kids 140", "error: brightness must be 0 to 100 %"),
        ("dim", "error: 'dim' needs TARGET, the lamp to dim (usage: dim TARGET [LEVEL])"),
        ("fly", "error: no order 'fly'"),
        ("-- fly 'to the moon'", "error: no order 'fly'"),
        ("'on light.kids'", "error: no order 'on light.kids'"),
    ],
)
async def test_explaining(road: Road, line: str, says: str) -> None:
    """An order is explained in a sentence: yes or no, by which rule of which file, what is not met, and when next."""
    text = await told(road, "kid", f"explain {line}")
    assert text.startswith(says) if says.startswith("error") else text == f"{says}\n"
    assert road.backend.applied == []


async def test_explaining_several(road: Road) -> None:
    """A room is explained device by device, those alone that the order fits and that may be seen."""
    lines = (await told(road, "kid", "explain on @kids")).splitlines()
    assert [line.partition(",")[0] for line in lines] == ["no"] * 2
    assert ["light.kids" in lines[0], "light.night" in lines[1]] == [True, True]
    assert "bedroom" not in await told(road, "kid", "explain on all")


async def test_explaining_in_json(road: Road) -> None:
    """In JSON each device has its verdict, its rule, what is not met, and when it would be next, in UTC."""
    assert json.loads(await told(road, "kid", "explain unlock front_door --json")) == [
        {
            "user": "kid",
            "order": "unlock",
            "id": "lock.front_door",
            "allowed": False,
            "rule": f"access:lock.front_door when tue 09:00-12:00 {_FILE}",
            "step_up": "",
            "unmet": ["only tue 09:00-12:00, next Tue 9 Jun 09:00"],
            "next": "2026-06-09T07:00:00Z",
            "says": f"no, kid may not unlock lock.front_door, by access:lock.front_door when tue 09:00-12:00 {_FILE}: "
            "only tue 09:00-12:00, next Tue 9 Jun 09:00",
            "key": "",
        }
    ]
    (garage,) = json.loads(await told(road, "kid", "explain --json open garage"))
    assert (garage["allowed"], garage["step_up"], garage["next"]) == (False, "totp", "")


@pytest.mark.parametrize(
    ("at", "line", "says"),
    [
        ("'2026-06-09 09:00'", "unlock front_door", "yes"),
        ("'2026-06-09 12:00'", "unlock front_door", "no"),
        ("2026-06-06", "on light.desk", "yes"),
        ("'tomorrow 19:00'", "dim light.night 10", "yes"),
        ("tomorrow", "dim light.night 10", "no"),
        ("'2026-06-02 20:00'", "dim light.kids 10", "no"),
        ("'2026-06-02 06:00'", "dim light.kids 10", "no"),
        ("noon", "dim light.kids 10", "error: 'noon' is no moment"),
    ],
)
async def test_explaining_another_time(road: Road, at: str, line: str, says: str) -> None:
    """An order is explained as it would be decided at another time, on the clock of the house."""
    assert (await told(road, "kid", f"explain --at {at} {line}")).startswith(says)


async def test_what_is_proved_now_is_not_proved_then(road: Road, clock: FixedClock) -> None:
    """A step-up that is fresh counts for an order now, and for none at another time."""
    session = road.session("kid")
    session.proved["totp"] = clock.monotonic()

    async def explain(line: str) -> str:
        (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, f"explain {line}")]
        return said(outcome)[0]

    assert "with a one-time code" not in await explain("open garage")
    assert "with a one-time code" in await explain("--at '2026-06-03 12:00' open garage")


@pytest.mark.parametrize("option", sorted({"--for", "--confirm", "--yes", "--code", "--dry-run"}))
async def test_options_of_the_order_are_its_own(road: Road, option: str) -> None:
    """What stands behind the order that is explained belongs to it, but for how the answer is to be."""
    assert option in COMMON_OPTIONS
    value = {"--for": " 30m", "--confirm": " 30m", "--code": " 123456"}.get(option, "")
    plain = await told(road, "kid", "explain dim light.night 30")
    assert plain.startswith("yes")
    # Whoever may not bring it back may not do it for a while.
    comes_back = option in {"--for", "--confirm"}
    found = await told(road, "kid", f"explain dim light.night 30{' ' + option}{value}")
    assert found.startswith("yes")
    road.report(road.dispatch.house.devices["light.night"].with_state({"on": True, "brightness": 90}))
    found = await told(road, "kid", f"explain dim light.night 30 {option}{value}")
    assert found.startswith("no" if comes_back else "yes")
    assert road.backend.applied == []


async def test_explaining_for_another(road: Road) -> None:
    """Who may ask who can may explain for another, by that one's rules; nobody else may, whatever they hold."""
    assert await told(road, "admin", "explain --as kid dim light.kids 61") == (
        f"no, kid may not dim light.kids, by {_DIM}: brightness only ..60 %\n"
    )
    assert await told(road, "admin", "explain --as sleeper on light.kids") == (
        "no, sleeper may not on light.kids: their user is frozen\n"
    )
    assert await told(road, "admin", "explain --as nosuch on light.kids") == (
        "error: user 'nosuch' does not exist, or its file is not understood\n"
    )
    assert await told(road, "kid", "explain --as kid on switch.tv") == await told(road, "kid", "explain on switch.tv")
    denied = "error: to explain for somebody else takes the right to give 'who-can'\n"
    for user in ("kid", "viewer", "boss", "clerk", "chief"):
        for other in ("admin", "nosuch"):
            assert await told(road, user, f"explain --as {other} on switch.tv") == denied
    session = road.session("chief")
    session.proved["confirm"] = road.dispatch.clock.monotonic()
    (outcome,) = [o async for o in road.dispatch.run_line(session, "explain --as admin on switch.tv")]
    assert said(outcome)[0].startswith("yes, admin may on switch.tv")


async def test_another_s_place_is_not_known(road: Road) -> None:
    """Where another would be is not known: a condition on that is told, and the device is not hidden for it."""
    assert await told(road, "kid", "explain on fan.bathroom") == (
        f"no, kid may not on fan.bathroom, by control:fan.* from 10.0.0.0/8 {_FILE}: only from 10.0.0.0/8\n"
    )
    assert (await told(road, "kid", "explain on fan.bathroom", source="10.1.1.1")).startswith("yes")
    assert await told(road, "admin", "explain --as kid on fan.bathroom", source="10.1.1.1") == (
        f"no, kid may not on fan.bathroom, by control:fan.* from 10.0.0.0/8 {_FILE}: only from 10.0.0.0/8\n"
    )


async def test_explaining_with_a_narrower_key(road: Road) -> None:
    """With a key that is good for less, it is told what the key keeps one from."""
    key = 'sshhome-grants="read,control:light.kids"'
    assert await told(road, "kid", "explain dim light.kids 10", key=key) == (
        f"yes, kid may dim light.kids, by {_DIM} and control:light.kids (key phone)\n"
    )
    assert (await told(road, "kid", "explain dim light.night 10", key=key)) == (
        "no, kid may not dim light.night, no grant gives it\n"
    )
    assert (await told(road, "admin", "explain key list", key=key)).startswith("yes")
    assert await told(road, "admin", "explain passwd", key=key) == (
        "no, admin may not passwd, by a key that is good for less than its owner, or for a while, "
        "cannot change the owner\n"
    )


@pytest.mark.parametrize("user", [*ROLES[:-1], "kid", "cleaner", "plumber"])
async def test_what_is_explained_is_what_happens(road: Road, user: str) -> None:
    """For every order, `explain` says yes or no as the order itself then ends."""
    for found in REGISTRY:
        for arguments in ARGUMENTS[found.name]:
            line = line_of(found.name, arguments)
            make_ready(road, user)
            explained = await road.one(user, f"explain {line}")
            make_ready(road, user)
            outcome = await road.one(user, line)
            road.reset()
            if explained.error is not None:
                assert outcome.status == explained.status, line
                continue
            verdicts = [explanation for answer in explained.answers for explanation in answer.value]
            if any(verdict.step_up for verdict in verdicts):
                assert outcome.error is not None
                assert outcome.error.code in {"step_up", "denied"}, line
            else:
                assert (outcome.status == 77) == any(not verdict.allowed for verdict in verdicts), line


# -- who-can ----------------------------------------------------------------------------------------------------------


async def test_who_can(road: Road) -> None:
    """Those are listed who could give an order, now or under which conditions, each with the rule; and nobody else."""
    text = await told(road, "admin", "who-can dim light.night 30")
    assert re.findall(r"^(\w+)  +(\S+)", text, re.MULTILINE) == [
        *(("user", "may"), ("admin", "yes"), ("aunt", "not"), ("child", "yes"), ("guest", "yes"), ("kid", "yes")),
        *(("resident", "yes"), ("sleeper", "not")),
    ]
    found = json.loads(await told(road, "admin", "who-can dim light.night 30 --json"))
    assert {entry["user"]: (entry["allowed"], entry["step_up"]) for entry in found} == {
        "admin": (True, ""),
        "aunt": (False, ""),
        "child": (True, ""),
        "guest": (True, ""),
        "kid": (True, ""),
        "resident": (True, ""),
        "sleeper": (False, ""),
    }
    by = {entry["user"]: entry for entry in found}
    assert by["aunt"]["unmet"] == ["only 2026-12-24..2026-12-26 18:00-20:00, next Thu 24 Dec 18:00"]
    assert by["sleeper"]["unmet"] == ["their user is frozen"]
    assert by["kid"]["rule"] == _DIM


async def test_who_can_once_asked(road: Road) -> None:
    """Who must prove more first is listed as such, and who has ended is not as one who could."""
    text = await told(road, "admin", "who-can open garage")
    assert re.findall(r"^\w+", text, re.MULTILINE)[:3] == ["user", "admin", "kid"]
    assert re.findall(r"^(resident|sleeper|guest|plumber)", text, re.MULTILINE) == ["resident", "sleeper"]
    assert "with a one-time code" in text
    write_whole(road.users.folder / "kid.toml", f"frozen = true{KID}")
    (kid,) = [e for e in json.loads(await told(road, "admin", "who-can open garage --json")) if e["user"] == "kid"]
    assert (kid["allowed"], kid["step_up"], kid["unmet"]) == (False, "", ["their user is frozen"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("on light.nosuch", "error: no device 'light.nosuch'"),
        ("fly", "error: no order 'fly'"),
        ("dim light.desk 140", "error: brightness must be 0 to 100 %"),
        ("", "error: 'who-can' needs ORDER"),
        ("on light.desk; off light.desk", "user"),
    ],
)
async def test_who_can_do_what_nobody_can(road: Road, line: str, says: str) -> None:
    """A mistake in the order is told to who asks, as it would be told of the order itself."""
    (first, *_) = await road.give("admin", f"who-can {line}")
    assert "".join(said(first)).startswith(says)


async def test_nobody(road: Road) -> None:
    """An order that is well written and that nobody may give has nobody listed."""
    for login in road.users.names():
        write_whole(road.users.folder / f"{login}.toml", 'grants = ["read"]')
    write_whole(road.users.folder / "admin.toml", 'grants = ["read", "admin"]')
    assert await told(road, "admin", "who-can unlock front_door") == "nobody\n"
    assert json.loads(await told(road, "admin", "who-can unlock front_door --json")) == []


async def test_who_can_is_for_who_runs_the_server(road: Road) -> None:
    """Who can what is told to nobody who may not run the server now."""
    for user in ("kid", "viewer", "resident", "boss", "clerk"):
        assert (await road.one(user, "who-can on light.kids")).status == 77
    assert (await road.one("chief", "who-can on light.kids")).status == 77


# -- by their keys ----------------------------------------------------------------------------------------------------

_PHONE = f'sshhome-grants="control:light.*" {LINE}'
_TABLET = f'sshhome-grants="read,access:lock.front_door" {OTHER_LINE}'
_CRON = f'restrict,command="off light.kids; dim desk 40" {LINE}'


def come_with(road: Road, *keys: str, more: str = "") -> None:
    """Let the resident have these keys, and whatever else."""
    lines = ", ".join(f"'{key}'" for key in keys)
    road.become("resident", f'keys = [{lines}]\nroles = ["resident"]\n{more}')


async def verdicts(road: Road, line: str) -> list[tuple[bool, str]]:
    """Return whether the resident may, with each key that it is told of."""
    found = json.loads(await told(road, "admin", f"{line} --json"))
    return [(entry["allowed"], entry["key"]) for entry in found if entry["user"] == "resident"]


async def test_who_has_narrower_keys_alone(road: Road) -> None:
    """Who has no key that is good for all that they may is judged by each key; what it does not let them see is not."""
    come_with(road, _PHONE, _TABLET)
    assert await told(road, "admin", "explain --as resident on hall") == (
        "yes, resident may on light.hall with key phone, by control (role resident) and control:light.* (key phone)\n"
        "no, resident may not on light.hall with key tablet, no grant gives it\n"
    )
    assert await verdicts(road, "who-can on hall") == [(True, "phone")]
    assert await verdicts(road, "who-can unlock front_door") == [(True, "tablet")]
    assert await verdicts(road, "who-can open garage") == []
    table = await told(road, "admin", "who-can lock front_door")
    assert re.search(r"^resident with tablet +yes +lock.front_door", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ((_PHONE, OTHER_LINE), ""),
        ((_PHONE,), 'password = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"'),
        ((), ""),
        ((f'expiry-time="20260601",{_PHONE}',), ""),
    ],
)
async def test_who_has_a_way_in_with_all(road: Road, keys: tuple[str, ...], more: str) -> None:
    """Who has a password or a key for all, or none that counts, is judged by what they may, and no key is told."""
    come_with(road, *keys, more=more)
    assert await verdicts(road, "explain --as resident on hall") == [(True, "")]
    assert await verdicts(road, "who-can open garage") == [(True, "")]


@pytest.mark.parametrize(
    ("line", "may"),
    [
        ("off light.kids", True),
        ("'off' light.kids", True),
        ("dim desk 40", True),
        ("dim desk 80", False),
        ("off light.*", False),
        ("on light.kids", False),
        ("unlock front_door", False),
    ],
)
async def test_a_key_that_runs_one_line(road: Road, line: str, may: bool) -> None:  # noqa: FBT001 (a parameter of cases)
    """A key with a command of its own gives the orders of that command, as they stand there, and no others."""
    come_with(road, _CRON)
    assert set(await verdicts(road, f"explain --as resident {line}")) == {(may, "phone")}
    assert set(await verdicts(road, f"who-can {line}")) == ({(True, "phone")} if may else set())
    if not may:
        told_of = await told(road, "admin", f"explain --as resident {line}")
        assert "with key phone, by its command 'off light.kids; dim desk 40' and no other\n" in told_of


async def test_a_key_without_a_name_is_told_by_its_fingerprint(road: Road) -> None:
    """A key that has no comment is told by what `ssh-keygen -l` prints."""
    come_with(road, _PHONE.removesuffix(" phone"))
    ((may, key),) = await verdicts(road, "who-can on hall")
    assert may
    assert key.startswith("SHA256:")


async def test_who_asks_learns_of_nothing_hidden(road: Road, clock: FixedClock) -> None:
    """Who runs the server and may not see a room learns nothing of it from what others can there."""
    clock.advance(4 * 86400)
    assert await told(road, "boss", "who-can on light.kids") == await told(road, "boss", "who-can on light.nosuch")
    explained = await told(road, "boss", "explain --as kid on light.kids")
    assert explained == "error: no device 'light.kids' (did you mean light.desk or light.kitchen or light.living?)\n"
    assert "kids" not in await told(road, "boss", "who-can on all --json")
