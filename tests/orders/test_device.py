"""What devices are called, where they are, and which are shown: an admin's to say, and kept for ever."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from sshhome.device import ATTRIBUTES, Device
from sshhome.house import House
from sshhome.naming import Naming
from sshhome.outcome import Outcome
from sshhome.render import Look, render
from tests.client import report, until
from tests.test_complete import offered
from tests.test_dispatch import USERS, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

#: Runs the server and operates lamps, in a part of the house.
BOB = """
grants = ["read", "admin", "control:light.desk", "control:@hall", { deny = "control:light.hall" },
  { deny = "read:@kids" }, { deny = "read:lock.side_door" }]
"""


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build(users={**USERS, "bob": BOB}) as built:
        yield built


async def told(road: Road, line: str, user: str = "admin") -> str:
    """Give an order and return what a person reads."""
    out, err = said(await road.one(user, line))
    return out or err


async def listed(road: Road, user: str = "admin") -> dict[str, dict[str, Any]]:
    """Return what `device list` tells, by id."""
    found = json.loads(said(await road.one(user, "device list --json"))[0])
    return {known["id"]: known for known in found}


def device(road: Road, device_id: str) -> Device:
    """Return a device as it is now."""
    return road.dispatch.house.devices[device_id]


async def afresh(road: Road) -> Naming:
    """Return the names as they are after a restart."""
    naming = Naming(road.dispatch.store)
    await naming.load()
    return naming


def ended(outcome: Outcome) -> tuple[int, str]:
    """Return how an order ended, and why."""
    return outcome.status, outcome.error.message if outcome.error else ""


# -- what it is called ------------------------------------------------------------------------------------------------


async def test_renaming(road: Road) -> None:
    """A device answers to its new name and to its id, and no more to its old name; its id and its grants stay."""
    assert await told(road, "device rename 'Reading lamp' Big  lamp") == "light.reading is called Big lamp\n"
    assert device(road, "light.reading").name == "Big lamp"
    for name in ("'Big lamp'", "big-lamp", "light.reading", "reading"):
        assert await told(road, f"on {name}") == "reading is on\n"
    assert "no device 'Reading lamp'" in await told(road, "on 'Reading lamp'")
    record = (await afresh(road)).of("light.reading")
    assert record is not None
    assert (record.name, record.identity) == ("Big lamp", "light.reading")
    assert await told(road, "device rename 'big lamp' -") == "light.reading is called Reading lamp\n"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("''", "a name has 1 to 64 characters"),
        ("'  '", "a name has 1 to 64 characters"),
        (f"'{'x' * 65}'", "a name has 1 to 64 characters"),
        ("'a\x1b[2Jb'", "a name has no characters that cannot be seen"),
        ("'a\u202eb'", "a name has no characters that cannot be seen"),
        ("'a\u200bb'", "a name has no characters that cannot be seen"),
        ("'a\ud800'", "a name has no characters that cannot be seen"),
    ],
)
async def test_names_that_are_none(road: Road, name: str, error: str) -> None:
    """A name can be seen, all of it, and is no longer than a table likes."""
    before = device(road, "light.desk")
    assert ended(await road.one("admin", f"device rename desk {name}")) == (64, error)
    assert device(road, "light.desk") == before


async def test_names_of_any_script(road: Road) -> None:
    """A name is in any script, of as many characters as any."""
    for name in ("客厅的灯", "Lámpara ñ", "x" * 64, "a;b|c"):
        assert await told(road, f"device rename desk '{name}'") == f"light.desk is called {name}\n"
    assert json.loads(await told(road, "device rename desk X --json"))["name"] == "X"


async def test_aliases(road: Road) -> None:
    """A device answers to its aliases too, wherever it may be named, until they are taken away."""
    assert await told(road, "device alias desk Leselampe") == "light.desk answers to leselampe\n"
    assert await told(road, "device alias leselampe ll") == "light.desk answers to leselampe, ll\n"
    assert await told(road, "device alias ll ll") == "light.desk answers to leselampe, ll\n"
    assert await told(road, "dim LL 40") == "desk is at 40 %\n"
    assert await told(road, "get ll.brightness") == "40 %\n"
    assert await told(road, "on ll", "cleaner") == "error: you may not operate light.desk\n"
    record = (await afresh(road)).of("light.desk")
    assert record is not None
    assert record.aliases == ("leselampe", "ll")
    assert await told(road, "device alias desk ll --remove") == "light.desk answers to leselampe\n"
    assert await told(road, "device alias desk leselampe --remove") == "light.desk has no alias\n"
    assert ended(await road.one("admin", "on ll")) == (64, "no device 'll'")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("desk a.b", "'a.b' is no alias"),
        ("desk 'a b'", "'a b' is no alias"),
        ("desk ü", "'ü' is no alias"),
        ("desk ''", "'' is no alias"),
        ("desk all", "'all' is no alias"),
        ("desk @kids", "'@kids' is no alias"),
        (f"desk {'x' * 33}", f"'{'x' * 33}' is no alias"),
        ("desk hall", "light.hall answers to 'hall' already"),
        ("desk reading_lamp", "light.reading answers to 'reading_lamp' already"),
        ("desk taken", "light.porch answers to 'taken' already"),
        ("desk nosuch --remove", "light.desk has no alias 'nosuch'"),
        ("desk desk --remove", "light.desk has no alias 'desk'"),
        ("@kids x", "'@kids' may be several; name one device"),
        ("nosuch x", "no device 'nosuch'"),
    ],
)
async def test_aliases_that_are_none(road: Road, line: str, error: str) -> None:
    """An alias is a short word to which nothing else answers that its giver may know of."""
    await told(road, "device alias porch taken")
    assert ended(await road.one("admin", f"device alias {line}")) == (64, error)
    assert device(road, "light.desk").aliases == ()


async def test_not_too_many_aliases(road: Road) -> None:
    """A device answers to a few aliases, and not to any number."""
    for number in range(8):
        assert ended(await road.one("admin", f"device alias desk a{number}")) == (0, "")
    assert ended(await road.one("admin", "device alias desk a8")) == (64, "a device has at most 8 aliases")
    assert ended(await road.one("admin", "device alias desk a0")) == (0, "")


async def test_an_alias_tells_of_nothing_hidden(road: Road) -> None:
    """Whoever may not know of a device is not told that a word is its own; for who sees both it is ambiguous."""
    assert await told(road, "device alias side_door back") == "lock.side_door answers to back\n"
    assert await told(road, "device alias desk back", "bob") == "light.desk answers to back\n"
    assert await told(road, "show back", "bob") == await told(road, "show desk", "bob")
    assert "ambiguous" in await told(road, "show back")


# -- where it is ------------------------------------------------------------------------------------------------------


async def test_moving(road: Road) -> None:
    """A device that is moved is in its new room for everybody and everything, rights that name rooms included."""
    assert await told(road, "device move desk 'Living room 2'") == "light.desk is in living_room_2\n"
    assert await told(road, "on @living_room_2") == "desk is on\n"
    assert "desk" not in await told(road, "list @study")
    assert (await road.one("cleaner", "show porch")).status == 0
    assert await told(road, "device move light.porch kids") == "light.porch is in kids\n"
    assert ended(await road.one("cleaner", "show porch")) == (64, "no device 'porch'")
    record = (await afresh(road)).of("light.porch")
    assert record is not None
    assert record.room == "kids"
    assert await told(road, "device move light.porch -") == "light.porch is in outdoor\n"
    assert (await road.one("cleaner", "show porch")).status == 0


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("desk hall", 0),
        ("desk study", 0),
        ("desk cellar", 0),
        # What is denied here, what is operated nowhere, and what would be held only there.
        ("light.hall study", 77),
        ("lock.front_door cellar", 77),
        ("kitchen hall", 77),
        ("cover.garage hall", 77),
        # To look at is all that there is to it.
        ("outdoor_temperature hall", 0),
        ("outdoor_temperature kids", 77),
        ("light.night hall", 64),
    ],
)
async def test_moving_hands_out_nothing_that_is_not_held(road: Road, line: str, status: int) -> None:
    """What is granted on rooms follows a device, so whoever moves it may operate it in both, on no condition."""
    device_id = line.split(maxsplit=1)[0].replace("kitchen", "light.kitchen")
    before = road.dispatch.house.devices.get(device_id)
    outcome = await road.one("bob", f"device move {line}")
    assert outcome.status == status, ended(outcome)
    assert status == 0 or road.dispatch.house.devices.get(device_id) is before


@pytest.mark.parametrize(
    ("grants", "status"),
    [
        ('["read", "control", "admin"]', 0),
        ('["read", "admin"]', 77),
        ('["admin", "control:@study"]', 77),
        ('["admin", "control:@study", "control:@hall"]', 0),
        ('["admin", "control:light.*", { deny = "control:@hall" }]', 77),
        ('["admin", "control:light.*", { deny = "access:@hall" }]', 0),
        ('["admin", "control:light.*", { deny = "read:@hall", when = "sat" }]', 77),
        ('["admin", { allow = "control", when = "tue" }]', 77),
    ],
)
async def test_what_it_takes_to_move_a_lamp(road: Road, grants: str, status: int) -> None:
    """Moving the desk lamp to the hall takes `control` of it here and there, whenever."""
    road.become("cleaner", f"grants = {grants}")
    outcome = await road.one("cleaner", "device move desk hall")
    assert outcome.status == status
    assert await told(road, "device move desk -") == "light.desk is in study\n"


async def test_moving_back_takes_the_same(road: Road) -> None:
    """To give a device the room back that its backend tells takes the right there too."""
    await told(road, "device move kitchen hall")
    outcome = await road.one("bob", "device move kitchen -")
    assert outcome.status == 77
    assert device(road, "light.kitchen").room == "hall"
    road.become("cleaner", 'grants = ["admin", "control:light.*"]\nuntil = "2026-12-24"')
    assert (await road.one("cleaner", "device move kitchen -")).status == 77


async def test_rooms_that_are_none(road: Road) -> None:
    """A room has a name."""
    status, why = ended(await road.one("admin", "device move desk '?!'"))
    assert (status, why) == (64, "'?!' is no name of a room")


# -- whether it is shown ----------------------------------------------------------------------------------------------


async def test_hiding(road: Road) -> None:
    """A hidden device is as one that never was, for everybody, at once and after a restart; to show it needs its id."""
    lines = (
        "on porch",
        "show light.porch",
        "get light.porch",
        "list light.p*",
        "device rename porch X",
        "explain on porch",
    )
    answer = await told(road, "device hide porch")
    assert answer == "light.porch is hidden: `device unhide light.porch` brings it back\n"
    assert "light.porch" not in road.dispatch.house.devices
    for line in lines:
        assert (await road.one("admin", line)).status == 64, line
    assert "light.porch" not in await told(road, "list --json")
    known = (await listed(road))["light.porch"]
    assert (known["hidden"], known["name"], known["backend"]) == (True, "Porch", "simulated")
    record = (await afresh(road)).of("light.porch")
    assert record is not None
    assert record.hidden
    report(road.dispatch.house, road.backend._devices["light.porch"].with_state({"on": True}))
    assert "light.porch" not in road.dispatch.house.devices
    assert ended(await road.one("admin", "device unhide porch")) == (64, "no hidden device 'porch'")
    assert await told(road, "device unhide Light.porch") == "light.porch is not hidden\n"
    assert device(road, "light.porch").state["on"] is True
    for line in lines:
        assert (await road.one("admin", line)).status == 0, line
    assert ended(await road.one("admin", "device unhide light.porch")) == (64, "no hidden device 'light.porch'")


async def test_what_is_hidden_ends_what_runs(road: Road) -> None:
    """An order that waits for a device which is hidden meanwhile is told that it is gone."""
    road.backend._mute = frozenset({"light.porch"})
    waiting = asyncio.create_task(road.one("admin", "on porch"))
    await until(lambda: road.dispatch.house._waiting)
    await told(road, "device hide porch")
    assert ended(await waiting) == (69, "light.porch is gone")


async def test_what_is_told_twice(road: Road) -> None:
    """A thing that is told of twice is listed twice, and which of the two is shown."""
    lamp = msgspec.structs.replace(device(road, "light.desk"), hardware="aa", identity="light.desk", id="light.desk")
    report(road.dispatch.house, lamp)
    house: House = road.dispatch.house

    class Second:
        """Another backend that knows the desk."""

        link = road.backend.link

        def devices(self) -> list[Device]:
            """Return the desk."""
            return [Device(id="light.bulb", identity="b", name="Bulb", hardware="aa", note="odd",
                           attributes={"on": ATTRIBUTES["on"]})]  # fmt: skip

        async def close(self) -> None:
            """End."""

    async def open_(_: object) -> Second:
        return Second()

    async def test() -> str:
        return ""

    await house.add("second", open_, test)  # type: ignore[arg-type]  # (all of a backend that a house looks at)
    known = await listed(road)
    assert (known["light.bulb"]["as"], known["light.bulb"]["note"]) == ("light.desk", "odd")
    assert (known["light.desk"]["as"], known["light.desk"]["hidden"]) == ("", False)
    wide, _ = render(await road.one("admin", "device list"), Look(columns=200))
    assert re.search("^light.bulb +Bulb +same as light.desk, odd +second +b$", wide, re.MULTILINE)
    await told(road, "device hide desk")
    known = await listed(road)
    assert (known["light.desk"]["hidden"], known["light.bulb"]["hidden"]) == (True, False)
    assert "light.bulb" not in house.devices


# -- who may know of it -----------------------------------------------------------------------------------------------


async def test_it_is_an_admins(road: Road) -> None:
    """Nobody but who runs the server is told what is hidden, or calls anything otherwise."""
    for user in ("resident", "guest", "viewer", "cleaner", "nobody"):
        for line in ("list", "rename desk X", "alias desk x", "move desk kids", "hide desk", "unhide light.desk"):
            assert (await road.one(user, f"device {line}")).status == 77


@pytest.mark.parametrize(
    "line",
    [
        *("rename {} X", "alias {} x", "alias {} x --remove", "move {} hall", "hide {}", "unhide {}", "list"),
        *("rename {} X --json", "hide {} --dry-run", "list --json", "alias {}", "rename {} -", "unhide {} --json"),
    ],
)
@pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])
async def test_hidden_is_missing(build: Build, line: str, hidden: bool) -> None:  # noqa: FBT001 (a column)
    """An admin who may not know of a device is answered to the letter as in a house that never had it.

    That is so also when its owner has hidden it from all.
    """
    gone = frozenset({"lock.side_door"})
    users = {"bob": BOB, "admin": USERS["admin"]}
    async with build(users=users) as here, build(users=users, missing=gone) as without:
        if hidden:
            assert (await here.one("admin", "device hide side_door")).status == 0
        names = ("lock.side_door", "side_door", "SIDE_DOOR", "'Side door'")
        for given in ("backend list", *(f"device {line.format(name)}" for name in names)):
            assert said(await here.one("bob", given)) == said(await without.one("bob", given))


async def test_what_is_offered(road: Road) -> None:
    """Devices are offered by name, and rooms, to who may give these orders and of what they may know."""
    assert {"desk", "lock.front_door"} <= set(offered(road, "admin", "device rename "))
    assert not {"side_door", "night", "all", "@hall"} & set(offered(road, "bob", "device rename "))
    assert {"study", "hall"} <= set(offered(road, "bob", "device move desk "))
    assert "kids" not in offered(road, "bob", "device move desk ")
    assert offered(road, "guest", "device ") == []
    assert offered(road, "admin", "backend test ") == ["simulated"]


async def test_it_is_audited(road: Road) -> None:
    """The log tells who called what otherwise, as of any order."""
    await road.one("admin", "device rename desk 'Big lamp'")
    event = road.audit()[-1]
    assert (event["event"], event["user"], event["order"]) == ("order.done", "admin", "device rename")
    assert event["args"] == {"device": "desk", "name": "Big lamp"}


async def test_what_cannot_be_kept(road: Road) -> None:
    """Whoever calls a device otherwise is told when that will not outlive a restart."""
    await road.dispatch.store._database.run(lambda db: db.execute("DROP TABLE device").close())  # type: ignore[attr-defined]
    outcome = await road.one("admin", "device rename desk X")
    assert outcome.status == 78
    assert "the store: no such table" in ended(outcome)[1]


async def test_guarding(road: Road) -> None:
    """What its owner says lets people in takes `access`, whatever its kind; to say that it does not takes the right."""
    road.become("cleaner", 'grants = ["control:switch.*"]')
    assert (await road.one("cleaner", "on tv")).status == 0
    assert await told(road, "device guard tv") == "switch.tv needs access\n"
    assert (await road.one("cleaner", "off tv")).status == 77
    assert (await road.one("bob", "device guard tv --remove")).status == 77
    assert await told(road, "device guard tv --remove") == "switch.tv needs what its kind needs\n"
    assert (await road.one("cleaner", "off tv")).status == 0
