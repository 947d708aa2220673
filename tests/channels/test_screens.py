"""Golden screens: what a person sees, in `tests/screens/`, rewritten by `SSHHOME_UPDATE=1 make test`."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.client import Door, Terminal, until

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


@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize(
    ("name", "show"), [("help", show_help), ("menu", show_menu), ("list", show_table)], ids=["help", "menu", "list"]
)
async def test_screens(door: Door, name: str, show: Callable[[Terminal], Awaitable[None]], columns: int) -> None:
    """Help, completion menu and table look, in a wide and in a narrow terminal, as they did when last looked at."""
    path = SCREENS / f"{name}-{columns}.txt"
    async with door.connect("guest") as connection, Terminal.open(connection, columns, 24) as screen:
        await show(screen)
        seen = str(screen)
    if os.environ.get("SSHHOME_UPDATE"):
        path.write_text(seen, encoding="utf-8")
        return
    assert seen == path.read_text(encoding="utf-8")
