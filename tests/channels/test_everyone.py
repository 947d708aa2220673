"""For everyone: wide and joined letters, names that run backwards, any width, no colours, no cursor, a slow link."""

import re
from collections.abc import Sequence

import pytest
from asyncssh.packet import String
from msgspec.structs import replace

from sshhome.render import _TONES
from tests.client import Door, RawChannel, Terminal, report, until

#: Names of two cells a letter, with a mark over one, of several people in one sign, and that would turn a line around.
NAMES = (
    "居間の照明",
    "Lampe 💡",
    "e\u0301toile",
    "👨\u200d👩\u200d👧",
    "\u05d0\u05d5\u05e8 \u202egarden",
    "\u200dhall\u2069",
)
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def rename(door: Door, names: Sequence[str] = NAMES) -> None:
    """Let lamps be called so."""
    house = door.server.visitors.dispatch.house
    lamps = [device for device in house.devices.values() if device.kind == "light"]
    for lamp, name in zip(lamps, names, strict=False):
        report(house, replace(lamp, name=name))


@pytest.mark.parametrize("columns", [40, 80, 300])
async def test_names_of_any_letters(door: Door, columns: int) -> None:
    """Tables stay straight, the cursor stands where the next letter goes, and nothing turns a line around."""
    rename(door)
    async with door.connect("home") as connection, Terminal.open(connection, columns, 60) as screen:
        await screen.give("list light.*", "light.porch")
        cells = [[screen.screen.buffer[y][x].data for x in range(columns)] for y in range(60)]
        (titles,) = [row for row in cells if "".join(row).startswith("id ")]
        begin = [x for x in range(1, columns) if titles[x - 1] == " " != titles[x]]
        rows = [row for row in cells if "".join(row).startswith("light.")]
        assert (len(rows), {row[x - 1] for row in rows for x in begin}) == (14, {" "})
        await screen.give("show", "outdoor")
        screen.type("dim \t\t")
        await until(lambda: screen.last.strip() != "home@house> dim")
        screen.type("\x07\x15\x15echo 居間💡e\u0301x\x02\x02\x02\x02")
        await until(lambda: screen.screen.cursor.x == len("home@house> echo ") + 4)
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", str(screen))


@pytest.mark.parametrize("how", ["dumb", "plain", "NO_COLOR"])
async def test_what_a_terminal_cannot_show(door: Door, how: str) -> None:
    """A dumb terminal, and who wants it plain, get no escape sequence whatever is asked; `NO_COLOR` no colour."""
    rename(door)
    if how == "plain":
        assert (await door.ask("home", "set-option plain on")).status == 0
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        if how == "NO_COLOR":
            assert await raw.ask("env", String("NO_COLOR"), String("1"))
        assert await raw.terminal("dumb" if how == "dumb" else "xterm-256color")
        assert await raw.ask("shell")
        await until(lambda: "@house>" in raw.heard.out)
        lines = ["show", "show lights", "list", "dim kitchen 900", "history kitchen", "log", "why kitchen", "help dim"]
        lines += ["macro list", "set-option", "list | match lampe", "on light.*", "dim \t\x15", "nosuch", "ban list"]
        for number, line in enumerate(lines):
            raw.channel.write(f"{line}\recho is {number} over\r")
            await until(lambda said=f"is {number} over": raw.heard.out.count(said) > 1)  # type: ignore[misc]  # (bound at once)
    assert "居間の照明" in raw.heard.out
    if how == "NO_COLOR":
        codes = {code for codes, end in _ESCAPE.findall(raw.heard.out) if end == "m" for code in codes.split(";")}
        assert codes <= {"", "0", "1", "2", "4", "7"}
    else:
        assert "\x1b" not in raw.heard.out


def test_tones_of_tables_suit_any_background() -> None:
    """No tone of a table is a colour that a light or a dark background swallows: no white, black, yellow, or ground."""
    for style in _TONES.values():
        assert not {"white", "black", "yellow", "bright_white", "bright_black", "bright_yellow", "on"} & set(
            style.split()
        )


async def test_a_slow_link(door: Door) -> None:
    """A letter behind a full menu, a step in it and a letter alone cost so many bytes, and all is drawn but once."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: raw.heard.out.endswith("@house> ") or "@house> " in raw.heard.out)

        async def cost(typed: str, shows: str) -> int:
            raw.heard.out = ""
            raw.channel.write(typed)
            await until(lambda: shows in raw.heard.out)
            return len(raw.heard.out.encode())

        await cost("dim ", "dim")
        assert await cost("\t", "more") < 8 * 100
        for _ in range(3):
            assert await cost("\t", "\x1b[;7m") < 250
        assert await cost("\x1b", "\x1b[J") < 60
        assert await cost("\x15echo x", "x") < 80
        assert await cost("y", "y") < 20
