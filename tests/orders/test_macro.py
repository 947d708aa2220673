"""The orders about macros: saved by their user, shared by who could give all of it, and by no lesser key."""

from collections.abc import AsyncIterator

import pytest

from sshhome.macro import SHARED
from sshhome.store import Macro
from tests.client import Door, ask
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

#: Runs the server, and may switch lights; asked about the lock of the front door.
CARETAKER = """
grants = ["read", "admin", "control:light.*", { allow = "access:lock.front_door", step_up = "confirm" }]
"""
#: What the key of somebody who may do everything may be good for.
LESSER = 'sshhome-grants="read,admin"'


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        built.become("caretaker", CARETAKER)
        yield built


async def told(road: Road, user: str, line: str, **how: str) -> str:
    """Return what somebody reads of an order, on whichever stream."""
    return "".join(said(await road.one(user, line, **how)))


async def test_the_life_of_a_macro(road: Road) -> None:
    """It is saved, listed, shown, given, saved anew and removed, and is nobody else's."""
    assert await told(road, "guest", "macro save late 'off all; list | match \"on\" | count'") == (
        "late runs 'off all; list | match \"on\" | count'\n"
    )
    assert (await told(road, "guest", "macro list | columns macro")) == "macro\nlate\n"
    assert await told(road, "guest", "macro show late") == 'off all\nlist | match "on" | count\n'
    assert await told(road, "guest", "macro show late --json") == (
        '{"name":"late","orders":"off all; list | match \\"on\\" | count","shared_by":""}\n'
    )
    assert len(await road.give("guest", "late")) == 2
    assert await told(road, "admin", "late") == "error: unknown order 'late' (did you mean at?)\n"
    assert await told(road, "admin", "macro list") == "no macros\n"
    assert await told(road, "admin", "macro show late") == "error: no macro 'late' (`macro list` lists yours)\n"
    await road.one("guest", "macro save late 'off desk'")
    assert await told(road, "guest", "late") == "desk is off\n"
    assert await told(road, "guest", "macro remove late") == "late is removed\n"
    assert (await road.one("guest", "late")).status == 127


async def test_orders_that_are_not_quoted_are_not_saved(road: Road) -> None:
    """Without quotes the `;` ends the order: then nothing is saved, and nothing behind it is given."""
    outcomes = await road.give("admin", "macro save late off all; unlock front_door")
    assert [outcome.status for outcome in outcomes] == [64]
    assert road.backend.applied == []


async def test_sharing(road: Road) -> None:
    """What is shared all have as it was then, until it is taken back; whoever shares it is named."""
    await road.one("admin", "macro save late 'off desk'")
    assert await told(road, "admin", "macro share late") == "late runs 'off desk' for all\n"
    await road.one("admin", "macro save late 'off hall'")
    assert await told(road, "guest", "late") == "desk is off\n"
    assert (await told(road, "guest", "macro list")).splitlines()[1].split() == ["late", "off", "desk", "admin"]
    assert "`macro unshare`" in await told(road, "guest", "macro remove late")
    assert (await road.one("guest", "macro unshare late")).status == 77
    assert await told(road, "admin", "macro unshare late") == "late is no longer shared\n"
    assert (await road.one("guest", "late")).status == 127
    assert await told(road, "admin", "late") == "hall is off\n"


@pytest.mark.parametrize(
    ("orders", "status"),
    [
        ("off light.*; show", 0),
        ("lock front_door", 0),
        ("lock front_door --yes", 64),
        ("on hall; unlock side_door", 77),
        ("off all", 77),
        ("on nosuch", 64),
        ("own", 64),
    ],
)
async def test_nobody_shares_what_they_may_not_do(road: Road, orders: str, status: int) -> None:
    """Whoever runs the server slips nobody an order that they could not give themselves, nor an answer."""
    await road.one("caretaker", "macro save own 'on hall'")
    assert (await road.one("caretaker", f"macro save theirs '{orders}'")).status == 0
    assert (await road.one("caretaker", "macro share theirs")).status == status
    assert (road.dispatch.macros.find(SHARED, "theirs") is not None) == (status == 0)


@pytest.mark.parametrize("line", ["macro save late 'unlock all'", "macro remove late", "macro share late"])
async def test_a_lesser_key_changes_no_macro(road: Road, line: str) -> None:
    """What a key that is good for less would leave in a macro, its owner would run with all their rights."""
    await road.one("admin", "macro save late 'off all'")
    outcome = await road.one("admin", line, key=LESSER)
    assert outcome.status == 77
    assert "a key that is good for less than its owner" in said(outcome)[1]
    kept = road.dispatch.macros.find("admin", "late")
    assert kept is not None
    assert kept.orders == "off all"
    allowed = {order.name for order in road.allowed("admin", key=LESSER)}
    assert {name for name in allowed if name.startswith("macro")} == {"macro list", "macro show"}
    assert (await road.one("plumber", line)).status == 77


async def test_a_new_user_of_an_old_name_has_none(road: Road) -> None:
    """With a user go their macros."""
    await road.one("guest", "macro save late 'off desk'")
    assert (await road.one("admin", "user remove guest")).status == 0
    assert road.dispatch.macros.of("guest") == []
    assert await road.dispatch.store.macros() == []


async def test_it_is_kept_before_the_answer(door: Door) -> None:
    """Over SSH a macro is an order like any other: as a command, as a line of a batch and inside another line."""
    async with door.connect("guest") as connection:
        assert (await ask(connection, "macro save late 'off desk; unlock front_door'")).status == 0
        assert await door.server.visitors.dispatch.store.macros() == [
            Macro("guest", "late", "off desk; unlock front_door", "guest")
        ]
        answer = await ask(connection, "late")
        assert (answer.out, answer.err) == ("desk is off\n", "error: 'unlock' needs the access privilege\n")
        assert answer.status == 77
        batch = await ask(connection, "--keep-going", stdin="late\necho on\n")
        assert (batch.out, batch.status) == ("desk is off\non\n", 77)
