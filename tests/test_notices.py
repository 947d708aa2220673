"""What shells are told unasked: by whom it may be known, how they chose, and above what they are typing."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from sshhome.house import House
from tests.client import Door, Terminal, ask, report, until
from tests.conftest import FixedClock

Serve = Callable[..., AbstractAsyncContextManager[Door]]
TERMS = pytest.mark.parametrize("term", ["xterm-256color", "dumb"])


def house(door: Door) -> House:
    """Return the house behind a door."""
    return door.server.visitors.dispatch.house


def alarm(door: Door) -> None:
    """Have the alarm go off."""
    device = house(door).devices["alarm_control_panel.house"]
    report(house(door), device.with_state({"phase": ""}))
    report(house(door), device.with_state({"phase": "triggered"}))


@TERMS
async def test_an_alarm_is_told_to_who_may_know(door: Door, term: str) -> None:
    """An alarm is told above what is half typed, to whoever may see it, but who wants to hear nothing."""
    assert (await door.ask("home", "user grant cleaner read:alarm_control_panel.* --deny --yes")).status == 0
    async with (
        door.connect("home") as home,
        door.connect("guest") as guest,
        door.connect("cleaner") as cleaner,
        Terminal.open(home, term=term) as mine,
        Terminal.open(guest, term=term) as theirs,
        Terminal.open(cleaner, term=term) as hers,
    ):
        await theirs.give("set-option notices off", "notices is off")
        mine.type("echo half")
        await until(lambda: mine.last.endswith("echo half"))
        alarm(door)
        await mine.shows("* alarm: ")
        await until(lambda: mine.last == "home@house> echo half")
        assert "is triggered" in str(mine)
        await theirs.give("echo still", "still")
        await hers.give("echo still", "still")
        assert "alarm:" not in str(theirs) + str(hers)


async def test_a_door_is_told_of_on_request(door: Door) -> None:
    """That a door is unlocked is told to who asked to be told of everything, and not to others."""
    async with (
        door.connect("home") as home,
        Terminal.open(home) as mine,
        door.connect("viewer") as viewer,
        Terminal.open(viewer) as theirs,
    ):
        await mine.give("set-option notices all", "notices is all")
        assert (await ask(home, "unlock front_door")).status == 0
        await mine.shows("(lock.front_door) is unlocked (home)")
        await theirs.give("echo still", "still")
        assert "unlocked" not in str(theirs)


async def test_a_ban_is_told_to_who_runs_the_server(door: Door) -> None:
    """A ban is told to admins, with how long it lasts and why, and to nobody else."""
    async with (
        door.connect("home") as home,
        Terminal.open(home) as mine,
        door.connect("guest") as guest,
        Terminal.open(guest) as theirs,
    ):
        assert (await ask(home, "ban add 192.0.2.7")).status == 0
        await mine.shows("* 192.0.2.7 is banned for 1 h")
        await theirs.give("echo still", "still")
        assert "banned" not in str(theirs)


async def test_notices_do_not_come_by_the_dozen(door: Door, clock: FixedClock) -> None:
    """Of many notices in a short time a shell is told a few, and the next ones once that is over."""
    async with door.connect("home") as home, Terminal.open(home, rows=60) as mine:
        for _ in range(30):
            alarm(door)
        await mine.give("echo first", "first")
        assert str(mine).count("alarm:") == 5
        clock.advance(10)
        alarm(door)
        await until(lambda: str(mine).count("alarm:") == 6)


@TERMS
async def test_a_word_to_everybody(door: Door, term: str) -> None:
    """`wall` says a word in every other shell, whatever they chose to be told, and nobody but an admin can."""
    async with (
        door.connect("home") as home,
        Terminal.open(home, term=term) as mine,
        door.connect("guest") as guest,
        Terminal.open(guest, term=term) as theirs,
    ):
        await theirs.give("set-option notices off", "notices is off")
        theirs.type("echo half")
        await mine.give("wall dinner is \x16\x1bready", "said to 1 shell")
        await theirs.shows("* home: dinner is")
        await until(lambda: theirs.last == "guest@house> echo half")
        assert "* home" not in str(mine)
        assert (await ask(guest, "wall hello")).status == 77


@TERMS
async def test_the_house_closes_its_door_with_a_word(serve: Serve, term: str) -> None:
    """Shells are told that the server ends before it does."""
    async with contextlib.AsyncExitStack() as stack:
        async with serve() as door:
            home = await stack.enter_async_context(door.connect("home"))
            mine = await stack.enter_async_context(Terminal.open(home, term=term))
            mine.type("echo half")
            await until(lambda: mine.last.endswith("echo half"))
        await mine.shows("the house is closing its door")


async def test_options(door: Door) -> None:
    """`set-option` lists what there is, tells one, sets one, and refuses what is none."""
    assert "editing" in (await door.ask("guest", "set-option")).out
    assert (await door.ask("guest", "set-option editing")).out == "editing is emacs\n"
    assert (await door.ask("guest", "set-option --json editing vi")).json["value"] == "vi"
    assert (await door.ask("guest", "set-option plain vi")).err == "error: plain must be one of off, on\n"
    assert (await door.ask("guest", "set-option nosuch on")).status == 64
    assert (await door.ask("guest", "set-option editing ed")).status == 64
    assert (await door.ask("home", "set-option editing")).out == "editing is emacs\n"
