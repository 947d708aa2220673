"""Whoever waits sees how far it is: a row in a terminal that can draw, lines with `--json`, else nothing."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest

from sshhome.user import write_whole
from tests.channels.test_shell import CTRL_C, prompt, terminal
from tests.client import Door, Terminal, report, until
from tests.loop import advance

GARAGE = "cover.garage"
#: The row of four plugs, of which one does not answer.
WAITING = "on ███████████████░░░░░ 3 of 4"


def house(door: Door) -> Any:  # noqa: ANN401 (with its private parts)
    """Return the house that is served."""
    return door.server.visitors.dispatch.house


async def go_on(door: Door, position: int) -> None:
    """Let time pass until the garage is there."""
    await until(lambda: _is_there(door, position))


def _is_there(door: Door, position: int) -> bool:
    there: bool = house(door).devices[GARAGE].state["position"] == position
    if not there:
        advance(0.2)
    return there


@contextlib.asynccontextmanager
async def opening(door: Door, line: str = "open garage", columns: int = 80) -> AsyncIterator[Terminal]:
    """Open a shell in which the garage is on its way, and which shows that."""
    watchers = len(house(door)._watchers)
    async with terminal(door, "home", columns) as screen:
        screen.type("set-option notices off\r")
        await until(door.orders)
        screen.type(f"{line}\r")
        await screen.shows("garage opening ")
        yield screen
    await until(lambda: len(house(door)._watchers) == watchers)


def given(door: Door) -> list[asyncio.Task[Any]]:
    """Return the tasks that draw or look on."""
    names = ("draw", "show_moving", "_answer")
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") in names]


# -- what moves, in a shell -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 40, 20])
async def test_what_moves_is_shown_until_it_is_there(door: Door, columns: int) -> None:
    """The answer comes at once, then a row tells how far it is; at the end one line is left, and the prompt."""
    async with opening(door, "open garage 10", columns) as screen:
        assert any(line.strip() == "garage is opening" for line in screen.screen.display)
        bar = "" if columns == 20 else r"[█░▏▎▍▌▋▊▉]{20} " if columns == 80 else r"[█░▏▎▍▌▋▊▉]{1,20} "
        assert re.fullmatch(rf"garage opening {bar}\d %", screen.last)
        assert len(screen.last) < columns
        await go_on(door, 10)
        await prompt(screen, "")
        shown = str(screen).splitlines()
        assert shown[-3:] == ["garage is opening", "garage is 10 % open", "home@house>"]
    assert door.orders() == [("set-option", 0), ("open", 0)]


async def test_a_key_gives_the_prompt_back(door: Door) -> None:
    """The first key that is typed is in the prompt that comes back; the door goes on."""
    async with opening(door) as screen:
        screen.type("e")
        await prompt(screen, "e")
        assert "garage opening" not in str(screen)
        screen.type("cho there\r")
        await screen.shows("there")
        await prompt(screen, "")
        assert not given(door)
        assert house(door).devices[GARAGE].state["moving"] == "opening"


@pytest.mark.parametrize("how", ["key", "signal"])
async def test_ctrl_c_ends_the_showing_alone(door: Door, how: str) -> None:
    """^C gives an empty prompt back and stops nothing; the order's status stays."""
    async with opening(door) as screen:
        if how == "key":
            screen.type(CTRL_C)
        else:
            screen.process.send_signal("INT")
        await prompt(screen, "")
        assert "garage opening" not in str(screen)
        assert house(door).devices[GARAGE].state["moving"] == "opening"
        screen.type("\x04")
        await screen.process.wait_closed()
        assert screen.process.exit_status == 0


async def test_what_was_typed_ahead_comes_first(door: Door) -> None:
    """Who has typed the next line already is shown nothing."""
    async with terminal(door) as screen:
        screen.type("open garage; on kitchen\recho next\r")
        await screen.shows("next")
        await until(lambda: door.orders() == [("open", 0), ("on", 0), ("echo", 0)])
        assert "garage opening" not in str(screen)


async def test_a_notice_comes_above(door: Door) -> None:
    """A line that nobody asked for stands above the row, which is there again with the next move."""
    async with opening(door) as screen:
        for session in door.server.visitors.dispatch.sessions:
            assert session.tell is not None
            assert session.running == 1
            session.tell("* the bell rings")
        await screen.shows("* the bell rings")
        advance(1.0)
        await until(lambda: screen.last.startswith("garage opening"))
        assert str(screen).count("garage opening") == 1


@pytest.mark.parametrize("how", ["unavailable", "unseen", "frozen", "left"])
async def test_it_ends_truthfully(door: Door, how: str) -> None:
    """Nothing is shown of what is out of reach or may not be seen any more; whoever is shut out or leaves is gone."""
    async with opening(door) as screen:
        path = door.site.path / "authorized_users" / "home.toml"
        if how == "unavailable":
            report(house(door), house(door).devices[GARAGE].with_state({}, available=False))
            await screen.shows("garage is unavailable")
        elif how == "unseen":
            write_whole(path, f'grants = [{{ deny = "read:{GARAGE}" }}]\n{path.read_text()}')
            advance(1.0)
        elif how == "frozen":
            write_whole(path, f"frozen = true\n{path.read_text()}")
            advance(1.0)
            await screen.process.wait_closed()
        else:
            screen.process.close()
        if how in {"unavailable", "unseen"}:
            await prompt(screen, "")
            assert "garage opening" not in str(screen)
    await until(lambda: not given(door))


async def test_nothing_on_a_dumb_terminal(door: Door) -> None:
    """Where the cursor cannot move nothing is shown but the answer."""
    async with door.connect("home") as connection, Terminal.open(connection, term="dumb") as screen:
        await screen.give("open garage", "garage is opening")
        assert "garage opening" not in str(screen)


# -- what moves, in a script ------------------------------------------------------------------------------------------


async def run(door: Door, line: str, position: int = 10, **how: Any) -> tuple[str, str, int | None]:  # noqa: ANN401
    """Give an order of its own while the garage moves, and return what came of it."""
    async with door.connect("home") as connection:
        process = await connection.create_process(line, encoding="utf-8", **how)
        await until(lambda: house(door).devices[GARAGE].state["moving"])
        await go_on(door, position)
        result = await process.wait()
    return str(result.stdout), str(result.stderr), result.exit_status


async def test_a_script_waits_for_the_end(door: Door) -> None:
    """With `--progress` the only answer is how it is at the end, and the next order begins then."""
    line = "open garage 10 --progress; echo then"
    assert await run(door, line) == ("garage is 10 % open\nthen\n", "", 0)


@pytest.mark.parametrize("term", [None, "xterm-256color"])
async def test_a_script_is_told_each_step(door: Door, term: str | None) -> None:
    """With `--json` each step is a line, and the last line is the device; nothing else is written, in no terminal."""
    out, err, status = await run(door, "open garage 10 --progress --json", term_type=term)
    *steps, last = map(json.loads, out.splitlines())
    assert (err, status) == ("", 0)
    assert steps[0] == {"id": GARAGE, "position": 0, "moving": "opening"}
    assert steps[-1] == {"id": GARAGE, "position": 10, "moving": None}
    assert last == house(door).devices[GARAGE].as_json()


async def test_a_script_with_a_terminal(door: Door) -> None:
    """With a terminal a row is shown, without any colour, and wiped before the answer."""
    out, _, status = await run(door, "open garage 10 --progress", term_type="xterm-256color")
    assert re.match(r"garage opening [█░▏▎▍▌▋▊▉]+ \d %", out)
    assert out.endswith("\r\x1b[Kgarage is 10 % open\r\n")
    assert not re.search(r"\x1b\[[\d;]*m", out)
    assert status == 0


@pytest.mark.parametrize("term", [None, "xterm-256color"])
async def test_a_script_that_is_interrupted(door: Door, term: str | None) -> None:
    """^C ends the waiting with status 130, and neither the door nor the order; no row is left behind."""
    watchers = len(house(door)._watchers)
    async with door.connect("home") as connection:
        process = await connection.create_process("open garage --progress", term_type=term, encoding="utf-8")
        await until(lambda: len(house(door)._watchers) > watchers)
        process.send_signal("INT")
        result = await process.wait()
    assert result.exit_status == 130
    assert str(result.stdout).endswith("\r\x1b[K" if term else "")
    assert bool(result.stdout) == bool(term)
    assert len(house(door)._watchers) == watchers
    assert house(door).devices[GARAGE].state["moving"] == "opening"
    assert door.orders() == [("open", 0)]


# -- many devices -----------------------------------------------------------------------------------------------------


async def waits(door: Door) -> None:
    """Wait until one plug alone is waited for, and then for as long as nothing is shown."""
    await until(lambda: list(house(door)._waiting) == ["switch.printer"])
    advance(0.6)


async def test_a_bulk_order_shows_how_far_it_is(door: Door) -> None:
    """An order over many devices that takes its time shows how many have answered, and wipes that with the answer."""
    async with terminal(door) as screen:
        with door.waiting_printer():
            screen.type("on switch.*\r")
            await waits(door)
            await screen.shows(WAITING)
        await screen.shows("printer is on")
        await prompt(screen, "")
        assert "3 of 4" not in str(screen)


async def test_ctrl_c_wipes_it(door: Door) -> None:
    """Of an order that ^C left nothing more is shown, not even while the next one is waited for."""
    async with terminal(door) as screen:
        with door.waiting_printer():
            screen.type("on switch.*\r")
            await waits(door)
            await screen.shows(WAITING)
            screen.type(CTRL_C)
            await screen.shows("^C")
            await prompt(screen, "")
            screen.type("on printer\r")
            await until(lambda: len(house(door)._waiting.get("switch.printer", ())) == 2)
            assert [session.progress for session in door.server.visitors.dispatch.sessions] == [None]
            screen.type(CTRL_C)
            await prompt(screen, "")
        await until(lambda: not given(door))


@pytest.mark.parametrize(
    ("line", "term"), [("on switch.*", None), ("on switch.*", "dumb"), ("on switch.* --json", "xterm-256color")]
)
async def test_nothing_where_it_would_disturb(door: Door, line: str, term: str | None) -> None:
    """Without a terminal, in one that cannot draw, and for who reads JSON there is nothing but the answer."""
    async with door.connect("home") as connection:
        with door.waiting_printer():
            process = await connection.create_process(line, term_type=term, encoding="utf-8")
            await waits(door)
            advance(0.6)
        result = await process.wait()
    assert "3 of 4" not in str(result.stdout)
    assert "\x1b" not in str(result.stdout)


async def test_a_script_that_asks_is_told_how_many(door: Door) -> None:
    """With `--progress --json` an order over many devices tells in lines how many have answered, then the answer."""
    async with door.connect("home") as connection:
        with door.waiting_printer():
            process = await connection.create_process("on switch.* --progress --json", encoding="utf-8")
            await waits(door)
            advance(0.6)
            assert json.loads(await process.stdout.readline()) == {"order": "on", "done": 3, "of": 4}
        result = await process.wait()
    (last,) = str(result.stdout).splitlines()
    assert len(json.loads(last)) == 4


async def test_it_is_wiped_with_a_script_that_is_interrupted(door: Door) -> None:
    """^C leaves no row behind in the terminal of a script."""
    async with door.connect("home") as connection:
        with door.waiting_printer():
            process: asyncssh.SSHClientProcess[str] = await connection.create_process(
                "on switch.*", term_type="xterm-256color", encoding="utf-8"
            )
            await waits(door)
            assert await process.stdout.readexactly(len(WAITING)) == WAITING
            process.stdin.write(CTRL_C)
            result = await process.wait()
    assert (result.stdout, result.exit_status) == ("\r\x1b[K", 130)
