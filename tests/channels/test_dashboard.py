"""The dashboard of `dash`: what is drawn, what its keys do, and that it gives the screen back however it ends."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST
from asyncssh.packet import UInt32

from sshhome.channels import SessionChannel, cards
from sshhome.orders.dash import Board, Card, Tile
from sshhome.user import write_whole
from tests.channels.test_screens import SCREENS
from tests.channels.test_tmux import Tmux, ssh
from tests.client import Door, RawChannel, Terminal, ask, report, until
from tests.conftest import FixedClock
from tests.loop import advance, turns
from tests.test_step_up import write_anna
from tests.test_visitor_totp import code

Serve = Callable[..., AbstractAsyncContextManager[Door]]

RETURNED = "\x1b[?25h\x1b[?1049l"


def house(door: Door) -> Any:  # noqa: ANN401 (with its private parts)
    """Return the house that is served."""
    return door.server.visitors.dispatch.house


def shell(door: Door) -> Any:  # noqa: ANN401 (with its private parts)
    """Return the one shell that is open."""
    (visitor,) = door.server.visitors
    (channel,) = visitor.connection._channels.values()
    assert isinstance(channel._session, SessionChannel)
    return getattr(channel._session._reader, "__self__", None)


async def still(door: Door) -> None:
    """Let nothing in the house change by itself."""
    for backend in house(door)._backends.values():
        await backend.close()


@contextlib.asynccontextmanager
async def dashboard(
    door: Door, user: str = "home", columns: int = 80, rows: int = 24, line: str = "dash"
) -> AsyncIterator[Terminal]:
    """Open a shell and in it a dashboard."""
    async with door.connect(user) as connection, Terminal.open(connection, columns, rows) as screen:
        screen.type(f"{line}\r")
        await screen.shows("q leave")
        yield screen


def chosen(screen: Terminal) -> str:
    """Return what stands behind the mark of the device that is chosen."""
    marked = [line.partition("> ")[2] for line in screen.screen.display[:-1] if line.startswith("> ") or "  > " in line]
    return marked[0].split("  ")[0] if marked else ""


async def choose(screen: Terminal, keys: str, name: str) -> None:
    """Press keys, and wait until a device is chosen."""
    screen.type(keys)
    await until(lambda: chosen(screen).startswith(name))


async def left(screen: Terminal) -> None:
    """Wait until the screen is as it was before: at the prompt, with a cursor."""
    await until(lambda: screen.screen.below is None and screen.last.endswith("house>"))
    assert not screen.screen.cursor.hidden
    assert "hall ──" not in str(screen)
    assert "home@house> dash" in str(screen).splitlines()


# -- what is seen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 40])
async def test_screen(door: Door, clock: FixedClock, columns: int) -> None:
    """Rooms are cards with a row for each thing, with bars and sparklines, in as many columns as fit."""
    path = SCREENS / f"dash-{columns}.txt"
    await still(door)
    power = house(door).devices["sensor.house_power"]
    for watts in (100, 150, 300, 900, 500, 200):
        report(house(door), power.with_state({"power": watts}))
        clock.advance(1800)
    lamp = house(door).devices["light.kitchen"]
    report(house(door), lamp.with_state({"on": True, "brightness": 40}))
    async with dashboard(door, "guest", columns) as screen:
        await choose(screen, "\t", "Kitchen")
        await screen.shows("█")
        seen = str(screen)
    if os.environ.get("SSHHOME_UPDATE"):
        path.write_text(seen, encoding="utf-8")
        return
    assert seen == path.read_text(encoding="utf-8")


async def test_what_changes_is_drawn(door: Door) -> None:
    """A change is seen at once, and sends no more than the row it is in; nothing is sent while nothing changes."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: "house>" in raw.heard.out)
        raw.channel.write("dash @kitchen\r")
        await until(lambda: "q leave" in raw.heard.out)
        raw.heard.out = ""
        lamp = house(door).devices["light.kitchen"]
        report(house(door), lamp)
        report(house(door), lamp.with_state({"on": True, "brightness": 40}))
        await until(lambda: "n, 40 %" in raw.heard.out)
        assert "Counter" not in raw.heard.out
        assert len(raw.heard.out) < 200
        raw.channel.write("q")
        await until(lambda: raw.heard.out.count("house>") == 1)


async def test_another_size(door: Door) -> None:
    """It is drawn afresh in a window of any size, and what is chosen stays in sight."""
    async with dashboard(door) as screen:
        await choose(screen, "\t" * 6, "Kids")
        for columns, rows in ((40, 10), (300, 50), (12, 4), (8, 1), (80, 24)):
            screen.screen.resize(rows, columns)
            screen.process.change_terminal_size(columns, rows)
            await until(lambda: chosen(screen).startswith("K") or screen.screen.lines == 1)
            await until(lambda rows=rows: len(screen.screen.display) == rows)  # type: ignore[misc]  # (bound at once)
        await choose(screen, "", "Kids")
        screen.type("q")
        await until(lambda: screen.screen.below is None)


@pytest.mark.parametrize("columns", [40, 41, 79, 80, 118, 160, 300])
def test_every_width(columns: int) -> None:
    """No row is wider than the terminal, whatever things are called, and no name does anything to it."""
    names = ("Lamp", "書斎のデスクランプの明かり", "🛋️ sofa 👩‍👩‍👧", "مصباح", "x\x1b[2Jy", "e\u0301" * 40, "\u202eevil")
    tiles = [
        Tile({"id": f"light.l{n}", "name": name, "room": name}, name * 3, "active", n / 7, (1, None, 3), {})
        for n, name in enumerate(names)
    ]
    drawn = cards.Cards([Card(tile.name, [tile]) for tile in tiles], columns)
    for y in range(drawn.height):
        row = drawn.row(y, "light.l1")
        assert len(row) <= columns
        assert not any(char in cell.text for cell in row for char in "\x1b\u202e")


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ((), ""),
        ((None, None), ""),
        ((1, 2, 3, 4), "▁▃▆█"),
        ((5, 5, 5, 5), "▄▄▄▄"),
        ((0, None, None, 1), "▁  █"),
        ((1, 1, 1, 1, 3, 3, 3, 3), "▁▁██"),
        ((2, 1), "██▁▁"),
    ],
)
def test_sparklines(points: tuple[float | None, ...], line: str) -> None:
    """A sparkline goes from the lowest to the highest, and has gaps where nothing is known."""
    assert cards.spark(points, 4) == line


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_moving(door: Door) -> None:
    """Arrows and letters go from device to device, and Tab from room to room."""
    async with dashboard(door) as screen:
        await choose(screen, "", "Hall")
        await choose(screen, "j\x1b[B", "Front door co")
        await choose(screen, "k", "Front door")
        await choose(screen, "l", "Counter")
        await choose(screen, "\x1b[D", "Front door")
        await choose(screen, "\t\t", "Living room")
        await choose(screen, "\x1b[Z", "Kitchen")
        await choose(screen, "\x1b[Z\x1b[Z", "Porch")
        await choose(screen, "\t", "Hall")


async def test_operating(door: Door) -> None:
    """Each key gives an order as a line, which is audited as if it had been typed; what comes of it is told below."""
    async with dashboard(door, line="dash hall; dash kids") as screen:
        await choose(screen, "", "Hall")
        screen.type(" ")
        await screen.shows("hall is on")
        await screen.shows("on, 100 %")
        screen.type("-")
        await screen.shows("hall is at 90 %")
        screen.type("j")
        await choose(screen, "", "Front door")
        screen.type(" ")
        await screen.shows("Front door: L lock U unlock")
        screen.type("U")
        await screen.shows("front_door is unlocked")
        screen.type("\r")
        await screen.shows("front_door is locked")
        screen.type("x")
        await screen.shows("no key x; ? tells which there are")
        await choose(screen, "\x1b[F", "House power")
        screen.type("+")
        await screen.shows("House power is only to be looked at")
        screen.type("q")
        await screen.shows("kids ──")
        await choose(screen, "jj", "Kids' h")
        screen.type("+")
        await screen.shows("target temperature is 20.5")
        await choose(screen, "j", "Kids' b")
        screen.type("c")
        await screen.shows("kids is clos")
        screen.type("\x03")
        await screen.shows("home@house>")
    given = [(order, status) for order, status in door.orders() if order != "dash"]
    assert given == [
        ("toggle", 0),
        ("dim", 0),
        ("unlock", 0),
        ("lock", 0),
        ("set", 0),
        ("close", 0),
    ]
    (event,) = [event for event in door.audit("order.done") if event["order"] == "unlock"]
    assert (event["user"], event["devices"], event["channel"]) == ("home", ["lock.front_door"], "shell")
    assert door.server.visitors.dispatch.recall.lines("home")[-1:] == ["dash hall; dash kids"]


async def test_help(door: Door) -> None:
    """A question mark tells all keys, and any key shows the house again."""
    async with dashboard(door) as screen:
        screen.type("?")
        await screen.shows("lock, unlock")
        screen.type("q")
        await screen.shows("hall ──")
        screen.type("q")
        await left(screen)


async def test_what_may_not_be_operated(door: Door) -> None:
    """What is hidden is not there, what is denied is refused below as at the prompt, and both are audited alike."""
    async with dashboard(door, "cleaner", line="dash light.*") as screen:
        assert "Night light" not in str(screen)
        for _ in range(20):
            if chosen(screen).startswith("Desk"):
                break
            before = chosen(screen)
            screen.type("\t")
            await until(lambda before=before: chosen(screen) != before)  # type: ignore[misc]  # (bound at once)
        screen.type(" ")
        await screen.shows("error: you may not operate light.desk")
        assert house(door).devices["light.desk"].state["on"] is False
    assert door.orders()[-1] == ("toggle", 77)


async def test_orders_that_a_user_cannot_give(door: Door) -> None:
    """Who may only look is offered no keys."""
    async with dashboard(door, "viewer") as screen:
        assert screen.last.split() == ["Hall", "↓", "?", "keys", "q", "leave"]
        screen.type(" ")
        await screen.shows("Hall is only to be looked at")
    assert door.orders() == [("dash", 0)]


async def test_rights_that_end(door: Door) -> None:
    """What may no longer be seen vanishes by itself."""
    async with dashboard(door, "cleaner") as screen:
        await screen.shows("smoke alarm")
        path = door.site.path / "authorized_users" / "cleaner.toml"
        write_whole(path, path.read_text().replace('"read:@hall",', ""))
        advance(1)
        await until(lambda: "smoke" not in str(screen))
        assert "Hall" in str(screen)


async def test_what_takes_the_place_of_another(door: Door) -> None:
    """A key meant for what is gone does not operate what stands there now, before that can be seen."""
    async with dashboard(door, line="dash kids") as screen:
        board = shell(door)._dashboard
        board._take(Board("", [], ["light.kids"], []))
        board._operate("toggle")
        assert board._lines.empty()
        await choose(screen, "", "Kids")
        board._take(Board("", [], [board._chosen], []))
        board._invalidate()
        await until(lambda: not board._slipped and board._cards is not None)
        board._operate("more")
        assert not board._lines.empty()


async def test_a_notice(door: Door) -> None:
    """What nobody asked for is told below, until the next key."""
    async with dashboard(door, "guest") as screen:
        assert (await door.ask("home", "wall dinner is ready")).status == 0
        await screen.shows("dinner is ready")
        assert "hall ──" in str(screen)
        screen.type("j")
        await until(lambda: "dinner" not in str(screen))


async def test_being_asked(door: Door) -> None:
    """An order that asks for a code does so below, as at the prompt; ^C gives up that order alone."""
    write_anna(door)
    async with door.connect("anna", key="guest") as connection, Terminal.open(connection) as screen:
        screen.type("dash lock.*\r")
        await choose(screen, "", "Front door")
        screen.type("U")
        await screen.shows("one-time code?")
        screen.type("\x03")
        await screen.shows("error: 'unlock front_door' needs a one-time code")
        await choose(screen, "", "Front door")
        screen.type("U")
        await until(lambda: "one-time code?" in screen.last)
        screen.type(f"{code()}\r")
        await screen.shows("front_door is unlocked")
        assert code() not in str(screen)
        screen.type("q")
        await until(lambda: screen.screen.below is None and screen.last == "anna@house>")
    assert [order for order in door.orders() if order[0] == "unlock"] == [("unlock", 77), ("unlock", 0)]


async def test_keys_stay_where_they_are_typed(door: Door) -> None:
    """What is typed before it is seen operates nothing, what is typed in it reaches no prompt, what follows does."""
    async with door.connect("home") as connection, Terminal.open(connection) as screen:
        screen.type("dash\rU   echo before\r")
        await screen.shows("q leave")
        screen.type("jqtime\r")
        await left(screen)
        await until(lambda: door.orders() == [("dash", 0), ("time", 0)])


async def test_pasted_text_is_no_keys(door: Door) -> None:
    """A text that is pasted operates nothing; a key that is held down over a slow line is that key, once."""
    async with dashboard(door) as screen:
        screen.type("U L     UUL   ")
        screen.type("j" * 20)
        await choose(screen, "", "Front door")
    assert door.orders() == [("dash", 0)]


async def test_too_fast(serve: Serve) -> None:
    """Keys count against the user's orders a minute, and what waits behind a slow one is bounded."""
    async with serve("[limits]\norders_per_minute = 60\norder_burst = 4") as door, dashboard(door) as screen:
        for _ in range(6):
            screen.type(" \x1b[A")
        await screen.shows("error: 60 orders a minute, no more")
        screen.type("q")
        await left(screen)
    assert [status for order, status in door.orders() if order == "toggle"] == [0, 0, 0]


# -- ways out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["q", "\x03", "\x04", "signal", "escape"])
async def test_leaving(door: Door, how: str) -> None:
    """Each way out gives the screen back as it was, with a prompt that works and nobody who watches on."""
    watchers = len(house(door)._watchers)
    async with dashboard(door) as screen:
        if how == "signal":
            screen.process.send_signal("INT")
        elif how == "escape":
            screen.type("\x1b")
            await until(lambda: shell(door)._input.unsure)
            advance(1)
        else:
            screen.type(how)
        await left(screen)
        assert len(house(door)._watchers) == watchers
        await screen.give("upper still here", "STILL HERE")


async def test_the_end_of_input(door: Door) -> None:
    """A client that ends its input ends the dashboard, and then the shell."""
    async with dashboard(door) as screen:
        screen.process.stdin.write_eof()
        await screen.process.wait_closed()
        assert screen.process.exit_status == 0
        assert screen.screen.below is None


async def test_whoever_presses_no_key_is_idle(serve: Serve) -> None:
    """A keyboard that nobody is at locks itself: that is told below, and a key prevents it."""
    async with serve('[limits]\nidle = "40s"') as door, dashboard(door) as screen:
        advance(21)
        await screen.shows("idle: this session ends in ")
        await choose(screen, "j", "Front door")
        advance(21)
        await screen.shows("idle: this session ends in ")
        advance(20)
        await screen.process.wait_closed()
        assert screen.process.exit_status == 124
        await until(lambda: "goodbye" in str(screen))
        assert screen.screen.below is None
        assert not screen.screen.cursor.hidden


@pytest.mark.parametrize("how", ["frozen", "closed"])
async def test_being_shut_out(door: Door, how: str) -> None:
    """Whoever is shut out, and whoever is there when the house closes its door, gets their screen back first."""
    async with door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: "house>" in raw.heard.out)
        raw.channel.write("dash\r")
        await until(lambda: "q leave" in raw.heard.out)
        if how == "frozen":
            assert (await door.ask("home", "user freeze guest")).status == 0
        else:
            await door.server.close()
        await until(lambda: raw.heard.closed)
    assert raw.heard.out.removesuffix("the house is closing its door\r\n").endswith(RETURNED)


async def test_our_own_fault(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard that cannot be drawn costs the shell, and leaves the screen as it was."""
    async with dashboard(door) as screen:

        def fail(*_: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("sshhome.channels.dashboard.Dashboard._take", fail)
        report(house(door), house(door).devices["light.hall"].with_state({"on": True}))
        await screen.process.wait_closed()
        assert screen.process.exit_status == 70
        await until(lambda: screen.screen.below is None)


async def test_ten_that_vanish(door: Door) -> None:
    """Of clients that are suddenly gone nothing stays, no task and nobody who listens."""
    watchers, before = len(house(door)._watchers), len(asyncio.all_tasks())
    for _ in range(10):
        async with door.connect("home") as connection:
            raw = await RawChannel.open(connection)
            assert await raw.terminal()
            assert await raw.ask("shell")
            await until(lambda heard=raw.heard: "house>" in heard.out)  # type: ignore[misc]  # (bound at once)
            raw.channel.write("dash\r")
            await until(lambda heard=raw.heard: "q leave" in heard.out)  # type: ignore[misc]  # (bound at once)
            raw.channel.write(" ")
            connection.abort()
    await until(lambda: len(house(door)._watchers) == watchers and len(asyncio.all_tasks()) <= before)
    assert not list(door.server.visitors.dispatch.sessions)


async def test_a_slow_reader(door: Door) -> None:
    """Who does not read is drawn nothing, and then how things are, and nothing of the way there."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: "house>" in raw.heard.out)
        raw.channel.write("dash kids\r")
        await until(lambda: "q leave" in raw.heard.out)
        (visitor,) = door.server.visitors
        (ours,) = visitor.connection._channels.values()
        ours._send_window = 0
        shell(door).channel.pause_writing()
        lamp = house(door).devices["light.kids"]
        for level in range(1, 21):
            report(house(door), lamp.with_state({"on": True, "brightness": level}))
            advance(1)
            await turns()
        assert ours.get_write_buffer_size() == 0
        report(house(door), lamp.with_state({"on": True, "brightness": 42}))
        raw.heard.out = ""
        raw.channel.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(2**20))
        await until(lambda: ours._send_window)
        shell(door).channel.resume_writing()
        await until(lambda: "42 %" in raw.heard.out)
        assert raw.heard.out.count("%,") <= 2


# -- without a shell --------------------------------------------------------------------------------------------------


async def test_on_the_command_line(door: Door) -> None:
    """`ssh -t house dash` is the same, with the status of the order; what must be proved cannot be asked there."""
    async with door.connect("home") as connection:
        process = await connection.create_process("dash hall", term_type="xterm", term_size=(80, 24))
        screen = Terminal(process, 80, 24)
        await screen.shows("q leave")
        screen.type(" ")
        await screen.shows("hall is on")
        screen.type("q")
        await process.wait_closed()
        assert process.exit_status == 0
        await until(lambda: screen.screen.below is None)
        assert str(screen).strip() == ""
        screen._reading.cancel()
    assert door.orders() == [("dash", 0), ("toggle", 0)]


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
async def test_where_no_cursor_moves(door: Door, term: str) -> None:
    """On a dumb terminal, and with `plain on`, it is lines: the house by room, then what changes, until ^C."""
    async with door.connect("home") as connection:
        assert (await ask(connection, "set-option plain on")).status == 0 or term == "dumb"
        async with Terminal.open(connection, 80, 40, term) as screen:
            screen.type("dash kids\r")
            await screen.shows("kids: Kids' room off; Night light off; Kids' heating")
            assert (await ask(connection, "dim night 30")).status == 0
            await screen.shows("kids: Night light on, 30 %")
            screen.type("\x03")
            await screen.shows("^C")
            assert "\x1b" not in str(screen)
            assert screen.screen.below is None


# -- for real ---------------------------------------------------------------------------------------------------------


@pytest.mark.real
async def test_in_a_real_terminal(door: Door, program: Callable[[str], str], tmp_path: Path) -> None:
    """In tmux, through OpenSSH, it is drawn, operated, resized and left."""
    tmux = Tmux(program("tmux"), tmp_path)
    async with tmux.running(f"{ssh(program, door, tmp_path, 'home', 'home')}; echo left with $?; read wait"):
        await tmux.shows(lambda lines: lines[-1] == "home@house>")
        await tmux.type("dash kids", "Enter")
        await tmux.shows(lambda lines: len(lines) > 1 and lines[1].startswith("> Kids' room"))
        await tmux.type("Down", "Space")
        await tmux.shows(lambda lines: [line.split()[:4] for line in lines[2:3]] == [[">", "Night", "light", "on,"]])
        await tmux.do("resize-window", "-x", "40", "-y", "12")
        await tmux.shows(lambda lines: len(lines[0]) == 40 and "> Night" in lines[2])
        await tmux.type("q")
        await tmux.shows(lambda lines: lines[-1] == "home@house>" and not any("──" in line for line in lines))
        await tmux.type("C-d")
        await tmux.shows(lambda lines: lines[-1] == "left with 0")
    assert door.orders() == [("dash", 0), ("toggle", 0)]
