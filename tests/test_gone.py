"""What is remembered of a user goes with their file, whoever takes it away, and not while an editor saves it."""

from collections.abc import AsyncIterator

import pytest

from sshhome.gone import Gone
from sshhome.recall import Options
from sshhome.store import Macro
from tests.conftest import FixedClock
from tests.test_dispatch import Build, Road
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which two people have left something of everything."""
    async with build() as built:
        for user, lamp in (("guest", "kitchen"), ("resident", "desk")):
            await built.give(user, f"on {lamp}; macro save cosy 'dim kitchen 5'; at 22:30 on kitchen")
            built.dispatch.recall.add(user, "on kitchen")
            built.dispatch.recall.set(user, Options(editing="vi"))
        yield built


def left(road: Road, user: str) -> list[bool]:
    """Return whether there is a line, an option, a macro, a schedule, and something to undo of a user."""
    known = road.dispatch
    return [
        bool(known.recall.lines(user)),
        known.recall.options(user) != Options(),
        known.macros.find(user, "cosy") is not None,
        bool(known.schedules.of(user)),
        bool(known.journal.of(user)),
    ]


async def test_a_file_is_taken_away_by_hand(road: Road, clock: FixedClock) -> None:
    """Whoever gets the name of somebody whose file was deleted by hand finds nothing; others keep theirs."""
    gone = Gone(road.dispatch, road.users, clock)
    path = road.users.folder / "guest.toml"
    text = path.read_text()
    gone.look()
    path.unlink()
    gone.look()
    clock.advance(10)
    gone.look()
    path.write_text(text)
    gone.look()
    assert (left(road, "guest"), left(road, "resident")) == ([False] * 5, [True] * 5)
    assert [macro.user for macro in await road.dispatch.store.macros()] == ["resident"]


async def test_it_was_taken_away_while_nobody_served(road: Road, clock: FixedClock) -> None:
    """What was left by somebody who was gone before the server started is forgotten, too."""
    (road.users.folder / "guest.toml").unlink()
    road.dispatch.macros.keep(Macro("long_gone", "cosy", "on kitchen", "long_gone"))
    gone = Gone(road.dispatch, road.users, clock)
    gone.look()
    clock.advance(10)
    gone.look()
    assert road.dispatch.recall.people() == ["resident"]
    assert (left(road, "guest")[2], left(road, "long_gone")[2], left(road, "resident")) == (False, False, [True] * 5)


async def test_who_never_had_a_shell(road: Road, clock: FixedClock) -> None:
    """What somebody has changed is forgotten though they have left no line and no macro."""
    for part in (road.dispatch.recall, road.dispatch.macros):
        part.forget("guest")
    (road.users.folder / "guest.toml").unlink()
    gone = Gone(road.dispatch, road.users, clock)
    gone.look()
    clock.advance(10)
    gone.look()
    assert (left(road, "guest"), left(road, "resident")) == ([False] * 5, [True] * 5)


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_file_that_is_back_soon(road: Road, clock: FixedClock, *, all_of_them: bool) -> None:
    """An editor that takes a file away to save it, and a folder that is not mounted, cost nobody anything."""
    gone = Gone(road.dispatch, road.users, clock)
    texts = {path: path.read_text() for path in road.users.folder.glob("*.toml" if all_of_them else "guest.toml")}
    for path in texts:
        path.unlink()
    gone.look()
    clock.advance(60 if all_of_them else 9)
    gone.look()
    for path, text in texts.items():
        path.write_text(text)
    gone.look()
    clock.advance(60)
    gone.look()
    assert left(road, "guest") == [True] * 5
