"""Somebody who has never read the docs: what they want done, with Tab, `?` and the words that those showed."""

import re
from collections.abc import AsyncIterator, Callable

import pytest

from tests.client import Door, Terminal, report, until
from tests.conftest import FixedClock

#: What they want, which is all that they know.
WANTED = "dim a lamp to 30 %; plot yesterday's temperature; lock the house"
_WORD = re.compile(r"[\w-]+")


class Newcomer:
    """Types no word that is not in what they want and has not been on their screen."""

    def __init__(self, screen: Terminal) -> None:
        """Sit down at a terminal."""
        self.screen = screen
        self._known = set(_WORD.findall(WANTED))
        self._look()

    def _look(self) -> None:
        self._known.update(_WORD.findall(str(self.screen)))

    async def _press(self, text: str, done: Callable[[str], bool]) -> None:
        self.screen.type(text)
        try:
            await until(lambda: done(str(self.screen)))
        except TimeoutError:
            raise AssertionError(f"{text!r} did not help:\n{self.screen}") from None
        self._look()

    async def word(self, word: str) -> None:
        """Type a word that they know, as people type."""
        assert set(_WORD.findall(word)) <= self._known, f"how should anybody know {word!r}?\n{self.screen}"
        for char in word:
            self.screen.type(char)
        await self._press(" ", lambda _: self.line.endswith(word))

    async def asks(self, *shows: str) -> None:
        """Press `?`, and read."""
        line = self.line
        await self._press("?", lambda seen: all(show in seen for show in shows) and self.line == line)

    async def tabs(self, shows: str) -> None:
        """Press Tab, and read."""
        await self._press("\t", lambda seen: shows in seen)

    async def enters(self, shows: str) -> None:
        """Press Enter, and read."""
        await self._press("\r", lambda seen: shows in seen and self.line == "")

    @property
    def line(self) -> str:
        """What is typed so far, in however many rows."""
        return " ".join(str(self.screen).rpartition("home@house>")[2].split())


@pytest.fixture(params=[(80, "xterm-256color"), (40, "xterm-256color"), (80, "dumb")], ids=str)
async def newcomer(request: pytest.FixtureRequest, door: Door, clock: FixedClock) -> AsyncIterator[Newcomer]:
    """Return somebody in a house in which it was warmer yesterday."""
    house = door.server.visitors.dispatch.house
    for warmth in (24.0, 20.0):
        report(house, house.devices["sensor.kitchen_temperature"].with_state({"temperature": warmth}))
        clock.advance(16 * 3600)
    columns, term = request.param
    async with door.connect("home") as connection, Terminal.open(connection, columns, 24, term) as screen:
        await screen.shows("`?` and Tab")
        yield Newcomer(screen)


async def test_dimming_a_lamp(newcomer: Newcomer, door: Door) -> None:
    """`?` shows the orders, then the lamps, then what a level is, and that the line is whole."""
    await newcomer.asks("dim ", "lock", "history")
    await newcomer.word("dim")
    await newcomer.asks("TARGET", "kitchen", "desk")
    await newcomer.word("kitchen")
    await newcomer.asks("[LEVEL]", "100 is full", "%")
    await newcomer.word("30")
    await newcomer.asks("<Enter>")
    await newcomer.enters("kitchen is at 30 %")
    assert door.orders() == [("dim", 0)]


async def test_plotting_yesterday(newcomer: Newcomer) -> None:
    """Who looks for `plot` and `temperature` finds `history` and what measures one, and `?` how to say since when."""
    await newcomer.word("plot")
    newcomer.screen.type("\b")
    await newcomer.tabs("> history")
    for char in "temperature":
        newcomer.screen.type(char)
    await newcomer.tabs("outdoor_temperature")
    # What they typed so far is no name.
    newcomer.screen.type("\b" * len("temperature"))
    await until(lambda: newcomer.line == "history")
    await newcomer.word("kitchen_temperature")
    await newcomer.asks("--since TIME", "<Enter>")
    await newcomer.word("--since")
    await newcomer.asks("yesterday")
    await newcomer.word("yesterday")
    # Yesterday's warmth, and as of which day.
    await newcomer.enters("max 24 °C")
    assert "Kitchen temperature, °C: Tue 2 Jun" in " ".join(str(newcomer.screen).split())


async def test_locking_the_house(newcomer: Newcomer, door: Door) -> None:
    """`?` behind `lock` tells which doors there are, and that `all` is both."""
    await newcomer.word("lock")
    await newcomer.asks("all ", "Front door, Side")
    await newcomer.word("all")
    await newcomer.asks("<Enter>")
    await newcomer.enters("side_door is locked")
    assert door.orders() == [("lock", 0)]
