"""Golden screens: what a person sees, in `tests/screens/`, rewritten by `SSHHOME_UPDATE=1 make test`."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.client import Door, Terminal, report, until
from tests.conftest import FixedClock

SCREENS = Path(__file__).parent.parent / "screens"


async def show_help(screen: Terminal) -> None:
    """Ask for help, which for a guest fits on one screen."""
    await screen.give("help", "whoami")


async def show_menu(screen: Terminal) -> None:
    """Open the completion menu, and go to its second entry."""
    screen.type("dim \t")
    await screen.shows("Hall")
    screen.type("\t\t")
    await until(lambda: "dim kitchen" in str(screen))


async def show_table(screen: Terminal) -> None:
    """List the lamps, of which one is dimmed, one is on and one is offline."""
    await screen.give("dim kids 40; on kitchen", "kitchen is on")
    await screen.give("list light.*", "light.garden")


async def show_house(screen: Terminal) -> None:
    """Look at the house, in which a few things are on, and at what is in one room, where bars tell how bright it is."""
    await screen.give("dim kids 40; on tv", "tv is on")
    await screen.give("show", "Garden unavailable" if screen.screen.columns == 80 else "unavailable")
    await screen.give("show kids", "light.night" if screen.screen.columns == 80 else "Night light")


async def show_plot(screen: Terminal) -> None:
    """Plot a lamp that was on for a while."""
    await screen.give("history light.hall --since 1h", "on 20 min")


SHOWN = {"help": show_help, "menu": show_menu, "list": show_table, "show": show_house, "plot": show_plot}


@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize(("name", "show"), SHOWN.items(), ids=SHOWN)
async def test_screens(
    door: Door, clock: FixedClock, name: str, show: Callable[[Terminal], Awaitable[None]], columns: int
) -> None:
    """Help, menu, tables and plots look, in a wide and in a narrow terminal, as they did when last looked at."""
    path = SCREENS / f"{name}-{columns}.txt"
    house = door.server.visitors.dispatch.house
    for on in (True, False):
        report(house, house.devices["light.hall"].with_state({"on": on}))
        clock.advance(1200)
    async with door.connect("guest") as connection, Terminal.open(connection, columns, 24) as screen:
        await show(screen)
        seen = str(screen)
    if os.environ.get("SSHHOME_UPDATE"):
        path.write_text(seen, encoding="utf-8")
        return
    assert seen == path.read_text(encoding="utf-8")
