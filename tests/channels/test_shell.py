"""The interactive shell: keys, completion, history, pastes, resizing, and the plain shell of a dumb terminal."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import asyncssh
import pytest
from asyncssh.packet import String, UInt32

from sshhome.channels import SessionChannel
from tests.client import Door, RawChannel, Terminal, ask, report, until
from tests.loop import advance, turns

Serve = Callable[..., AbstractAsyncContextManager[Door]]

CTRL_C, CTRL_D, CTRL_L, CTRL_U, CTRL_W, UP, DOWN = "\x03", "\x04", "\x0c", "\x15", "\x17", "\x1b[A", "\x1b[B"


@contextlib.asynccontextmanager
async def terminal(door: Door, user: str = "home", columns: int = 80, rows: int = 24) -> AsyncIterator[Terminal]:
    """Log in and open a shell."""
    async with door.connect(user) as connection, Terminal.open(connection, columns, rows) as screen:
        yield screen


async def left(screen: Terminal) -> int:
    """Wait until the shell has ended and return its exit status."""
    await screen.process.wait_closed()
    status = screen.process.exit_status
    assert status is not None
    return status


async def prompt(screen: Terminal, line: str, user: str = "home") -> None:
    """Wait until the last line is the prompt with this text."""
    await until(lambda: screen.last == f"{user}@house> {line}".rstrip())


# -- leaving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "status"),
    [
        ([], 0),
        (["echo one"], 0),
        (["on nosuch"], 64),
        (["lihgt kitchen"], 127),
        (["on printer"], 3),
        (["on nosuch", "echo one"], 0),
        (["echo one; on nosuch; echo two"], 64),
    ],
)
async def test_ctrl_d_leaves_with_the_status_of_the_last_order(door: Door, orders: Sequence[str], status: int) -> None:
    """^D on an empty line ends the shell, whose exit status is that of the last order."""
    async with terminal(door) as screen:
        with door.mute_printer():
            for number, order in enumerate(orders, 1):
                screen.type(f"{order}\r")
                await until(lambda number=number: len(door.orders()) >= number)  # type: ignore[misc]  # (bound at once)
                await prompt(screen, "")
        screen.type(CTRL_D)
        assert await left(screen) == status
    assert len(door.audit("session.closed")) == 1


async def test_exit_leaves(door: Door) -> None:
    """`exit` ends the shell, and what stands after it on the line is not run."""
    async with terminal(door) as screen:
        screen.type("echo one; exit; on kitchen\r")
        assert await left(screen) == 0
    assert door.orders() == [("echo", 0), ("exit", 0)]


async def test_the_end_of_input_leaves(door: Door) -> None:
    """A client that ends its input has the orders run that it sent before, and then the shell is over."""
    async with terminal(door) as screen:
        screen.type("echo one\recho two\r")
        screen.process.stdin.write_eof()
        assert await left(screen) == 0
    assert door.orders() == [("echo", 0), ("echo", 0)]


# -- interrupting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "signal"])
async def test_ctrl_c_while_an_order_waits(door: Door, how: str) -> None:
    """^C gives the prompt back at once with status 130; the order goes on and is audited, the next does not begin."""
    async with terminal(door) as screen:
        with door.waiting_printer():
            screen.type("on printer; on kitchen\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            if how == "key":
                screen.type(CTRL_C)
            else:
                screen.process.send_signal("INT")
            await screen.shows("^C")
            await prompt(screen, "")
            assert door.orders() == []
        await until(lambda: door.orders() == [("on", 0)])
        assert door.audit("order.done")[0]["devices"] == ["switch.printer"]
        await screen.give("get light.kitchen.on", "no")
        with door.waiting_printer():
            screen.type("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            screen.type("echo typed before\r" + CTRL_C + CTRL_D)
            assert await left(screen) == 130
    assert "echo" not in dict(door.orders())


@pytest.mark.parametrize("how", ["key", "signal"])
async def test_ctrl_c_at_the_prompt(door: Door, how: str) -> None:
    """^C drops the line that is being typed, and nothing of it runs."""
    async with terminal(door) as screen:
        screen.type("off kitchen")
        await prompt(screen, "off kitchen")
        if how == "key":
            screen.type(CTRL_C)
        else:
            screen.process.send_signal("INT")
        await prompt(screen, "")
        screen.type("\r")
        await screen.give("echo alive", "alive")
    assert door.orders() == [("echo", 0)]


async def test_ctrl_d_in_a_line(door: Door) -> None:
    """^D in a line deletes under the cursor and never leaves."""
    async with terminal(door) as screen:
        screen.type("echo abc\x1b[D\x1b[D" + CTRL_D * 10)
        await prompt(screen, "echo a")
        screen.type("\r")
        await until(lambda: door.orders() == [("echo", 0)])


async def test_keys_typed_ahead(door: Door) -> None:
    """What is typed while an order runs is kept, in order, for the prompts after it."""
    async with terminal(door) as screen:
        with door.waiting_printer():
            screen.type("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            screen.type("echo first\recho sec")
            screen.type("ond\recho th")
        await prompt(screen, "echo th")
        screen.type("ird\r")
        await screen.shows("third")
    assert door.orders() == [("on", 0)] + [("echo", 0)] * 3
    assert [event["args"] for event in door.audit("order.done")][1:] == [
        {"text": "first"},
        {"text": "second"},
        {"text": "third"},
    ]


# -- history ----------------------------------------------------------------------------------------------------------


async def test_history(door: Door) -> None:
    """The up arrow brings back this user's lines, of earlier sessions too, and nobody else's."""
    async with terminal(door) as screen:
        await screen.give("echo first", "first")
        await screen.give("echo second", "second")
        screen.type(UP)
        await prompt(screen, "echo second")
        screen.type(UP)
        await prompt(screen, "echo first")
        screen.type(DOWN)
        await prompt(screen, "echo second")
        screen.type(f"{CTRL_C}")
    async with terminal(door) as screen:
        screen.type(f"{UP}{UP}")
        await prompt(screen, "echo first")
    async with terminal(door, "guest") as screen:
        screen.type(f"{UP}{UP}echo mine")
        await prompt(screen, "echo mine", "guest")


# -- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "typed", "becomes", "menu"),
    [
        ("home", "unl", "unlock", []),
        ("home", "u", "u", ["undo +", "unlock +Unlock a door", "upper +Say it back", "user +"]),
        ("guest", "up", "upper", []),
        ("home", "on k", "on ki", ["kitchen +Kitchen", "kids +Kids' room"]),
        ("cleaner", "on k", "on kitchen", []),
        ("home", "on n", "on night", []),
        ("home", "user l", "user list", []),
        ("home", "unlock f", "unlock front_door", []),
        ("home", "echo hi; unl", "echo hi; unlock", []),
        ("guest", "on --n", "on --no-wait", []),
    ],
)
async def test_completion(door: Door, user: str, typed: str, becomes: str, menu: Sequence[str]) -> None:
    """Tab completes to what this user may give and see, several with what each one is, and nothing else."""
    async with terminal(door, user) as screen:
        screen.type(f"{typed}\t")
        if not menu:
            await prompt(screen, becomes, user)
            return
        for entry in menu:
            await until(lambda entry=entry: re.search(f"{entry}", str(screen)))  # type: ignore[misc]  # (bound at once)
        shown = str(screen).partition(f"{user}@house> {becomes}\n")[2].split("\n")
        assert len([line for line in shown if line.strip()]) == len(menu)
        screen.type("\t")
        first = menu[0].split(" ")[0]
        await until(lambda: f"{user}@house> {typed.rpartition(' ')[0]} {first}".replace("  ", " ") in str(screen))


async def test_a_menu_cannot_move_the_cursor(door: Door) -> None:
    """A device whose name holds escape sequences is offered with them spelt out."""
    house = door.server.visitors.dispatch.house
    for device_id in ("light.kids", "light.kitchen"):
        device = house.devices[device_id]
        fields = {name: getattr(device, name) for name in device.__struct_fields__}
        report(house, type(device)(**{**fields, "name": "\x1b[2J\x07\u202elamp"}))
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("shell")
        raw.channel.write("on k\t")
        await until(lambda: "lamp" in raw.heard.out)
    assert r"\x1b[2J\x07\u{202e}lamp" in raw.heard.out
    assert not any(char in raw.heard.out for char in ("\x1b[2J", "\x07", "\u202e"))


# -- pasting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pasted", "line"),
    [
        ("on kitchen\non desk\n", "on kitchen; on desk"),
        ("on kitchen\r\n\r\n\n  on desk  \r\noff hall", "on kitchen; on desk; off hall"),
        ("on kitchen\ron desk\r", "on kitchen; on desk"),
        ("on kitchen\n# not\n  # this\non desk\n", "on kitchen; on desk"),
        ("on kitchen\r", "on kitchen"),
        ("on kitchen", "on kitchen"),
        ("\x1b[31m\x03\x04on desk", None),
    ],
)
async def test_a_paste_runs_nothing(door: Door, pasted: str, line: str | None) -> None:
    """A bracketed paste becomes one line to look at, `;` between its lines, and runs nothing before Enter."""
    async with terminal(door) as screen:
        screen.type(f"\x1b[200~{pasted}\x1b[201~")
        if line is not None:
            await prompt(screen, line)
        else:
            await screen.shows("on desk")
        assert door.orders() == []
        if line is not None:
            screen.type("\r")
            await until(lambda: len(door.orders()) == len(line.split("; ")))
            assert {status for _, status in door.orders()} == {0}
        else:
            screen.type(CTRL_C)
        await screen.give("echo alive", "alive")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
@pytest.mark.parametrize("how", ["typed", "pasted"])
async def test_a_line_has_a_limit(door: Door, term: str, how: str) -> None:
    """A line takes 4 KiB, and nothing beyond it, however it comes."""
    text = " ".join(["echo", *["y" * 6] * 2_000])
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal(term)
        assert await raw.ask("shell")
        raw.channel.write(f"\x1b[200~{text}\x1b[201~" if how == "pasted" and term != "dumb" else text)
        raw.channel.write("\r")
        await until(door.orders)
        raw.channel.write("exit\r")
        await until(lambda: raw.heard.closed)
    (event, _) = door.audit("order.done")
    assert (event["order"], len(event["args"]["text"])) == ("echo", 4096 - len("echo "))


# -- the screen -------------------------------------------------------------------------------------------------------


async def test_a_resize_draws_again(door: Door) -> None:
    """When the window changes, prompt and line are drawn anew in the new width."""
    async with terminal(door) as screen:
        line = "echo " + " ".join(f"word{number}" for number in range(8))
        screen.type(line)
        await prompt(screen, line)
        screen.screen.reset()
        screen.screen.resize(10, 40)
        screen.process.change_terminal_size(40, 10)
        await until(
            lambda: (
                [text.rstrip() for text in screen.screen.display[:2]]
                == [f"home@house> {line}"[:40].rstrip(), f"home@house> {line}"[40:]]
            )
        )
        screen.type(CTRL_C)
        await prompt(screen, "")
        screen.type("list @kitchen\r")
        await screen.shows("kitchen_smoke")
        await prompt(screen, "")
        assert all(len(text) == 40 for text in screen.screen.display)


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 1), (2**32 - 1, 2**32 - 1), (0, 24), (2**31, 1)])
@pytest.mark.parametrize("first", [True, False], ids=["from the start", "later"])
async def test_any_window_size(door: Door, columns: int, rows: int, *, first: bool) -> None:
    """A window of no size, or of four billion columns, is as good as any, from the start or later."""
    size = (UInt32(columns), UInt32(rows), UInt32(columns), UInt32(rows))
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await (raw.ask("pty-req", String("xterm"), *size, String("")) if first else raw.terminal())
        assert await raw.ask("shell")
        await until(lambda: ">" in raw.heard.out)
        assert await raw.ask("window-change", *size)
        raw.channel.write("list\r")
        await until(door.orders)
        raw.channel.write("exit\r")
        await until(lambda: raw.heard.closed)
    assert raw.heard.status == 0
    assert "light.ki" in re.sub(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", "", raw.heard.out)
    assert door.orders() == [("list", 0), ("exit", 0)]


async def test_clear_screen(door: Door) -> None:
    """^L clears the screen and keeps the line."""
    async with terminal(door) as screen:
        await screen.give("echo something", "something")
        screen.type(f"echo half{CTRL_L}")
        await until(lambda: str(screen).strip() == "home@house> echo half")


@pytest.mark.parametrize(("variable", "colored"), [("LANG", True), ("NO_COLOR", False)])
async def test_colors(door: Door, variable: str, *, colored: bool) -> None:
    """The shell colours its tables and its menu, and neither with NO_COLOR."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("env", String(variable), String("1"))
        assert await raw.terminal()
        assert await raw.ask("shell")
        raw.channel.write("on kitchen; list light.kitchen\ron k\t")
        await until(lambda: "Kids' room" in raw.heard.out)
    # SGR 30 to 49, 90 to 107: foreground and background colours (ECMA-48).
    found = re.findall(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10[0-7])[;m]", raw.heard.out)
    assert bool(found) is colored


async def test_two_shells_on_one_connection(door: Door) -> None:
    """Each shell of a connection has its own line, its own answers and its own end."""
    async with (
        door.connect("home") as connection,
        Terminal.open(connection) as one,
        Terminal.open(connection) as two,
    ):
        one.type("echo o")
        two.type("echo two\r")
        await two.shows("two")
        one.type("ne\r")
        await one.shows("one")
        assert "echo one" not in str(two)
        two.type(CTRL_D)
        assert await left(two) == 0
        await one.give("who", "shell")


# -- idleness ---------------------------------------------------------------------------------------------------------


async def test_an_idle_shell_is_warned_and_ended(door: Door) -> None:
    """After nine minutes without a key a shell says that it ends in a minute, and then it does, with status 124."""
    async with terminal(door) as screen:
        advance(539)
        await turns()
        advance(1)
        await screen.shows("idle: this session ends in 1 min")
        await prompt(screen, "")
        advance(59)
        await turns()
        assert screen.process.exit_status is None
        advance(1)
        assert await left(screen) == 124
        assert "idle for 10 min, goodbye" in str(screen)
        assert str(screen).count("idle: this session ends") == 1
    assert len(door.audit("session.closed")) == 1


async def test_goodbye_is_the_last_word(door: Door) -> None:
    """Below the goodbye of a shell that was idle there is no prompt, at which nobody can type any more."""
    async with terminal(door) as screen:
        screen.type("echo half")
        await prompt(screen, "echo half")
        advance(540)
        await screen.shows("idle: this session ends in 1 min")
        advance(60)
        assert await left(screen) == 124
        assert screen.last == "idle for 10 min, goodbye"


@pytest.mark.parametrize("rows", [24, 3], ids=["room below", "no room below"])
async def test_a_notice_stands_above_a_half_typed_line(door: Door, rows: int) -> None:
    """A warning is shown above the line that is being typed, which stays as it was and can be typed on."""
    async with terminal(door, rows=rows) as screen:
        await screen.give("echo before", "before")
        screen.type("echo half a lin\x1b[D\x1b[D")
        await prompt(screen, "echo half a lin")
        advance(540)
        await screen.shows("idle: this session ends in 1 min")
        await prompt(screen, "echo half a lin")
        shown = str(screen).splitlines()
        assert shown[-3:] == ["before", "idle: this session ends in 1 min", "home@house> echo half a lin"]
        assert screen.screen.cursor.x == len("home@house> echo half a l")
        screen.type("XY\r")
        await screen.shows("half a lXYin")
        await prompt(screen, "")
    assert [event["args"] for event in door.audit("order.done")] == [{"text": "before"}, {"text": "half a lXYin"}]


async def test_a_notice_with_the_menu_open(door: Door) -> None:
    """A warning does not disturb what is being completed."""
    async with terminal(door) as screen:
        screen.type("on k\t")
        await screen.shows("Kids' room")
        advance(540)
        await screen.shows("idle: this session ends in 1 min")
        screen.type("\x1b[200~tchen\x1b[201~\r")
        await screen.shows("kitchen is on")
        await prompt(screen, "")


@pytest.mark.parametrize("key", ["x", CTRL_C, "\x1b[A", "\x00", "\r"], ids=ascii)
async def test_any_key_is_a_sign_of_life(door: Door, key: str) -> None:
    """Whichever key is pressed, before a warning or after it, the ten minutes begin anew."""
    async with terminal(door) as screen, door.connect("home") as other:
        for warned in (False, True, False):
            advance(540.5 if warned else 539)
            if warned:
                await screen.shows("idle: this session ends in 1 min")
            screen.type(key)
            # What was typed has been heard by the time an order of later is answered.
            await until(lambda: heard_lately(door))
            assert (await ask(other, "echo x")).status == 0
            screen.screen.reset()
        advance(539)
        assert (await ask(other, "echo x")).status == 0
        assert screen.process.exit_status is None
        assert "idle" not in str(screen)
        advance(1)
        await screen.shows("idle: this session ends in 1 min")


def heard_lately(door: Door) -> bool:
    """Return whether some shell has just heard of its client."""
    channels = [
        channel._session for visitor in door.server.visitors for channel in visitor.connection._channels.values()
    ]
    now = asyncio.get_running_loop().time()
    return any(isinstance(session, SessionChannel) and now - session._heard < 100 for session in channels)


@pytest.mark.parametrize(("idle", "before", "left_over"), [("10s", 5, "5 s"), ("90s", 45, "45 s"), ("2m", 60, "1 min")])
async def test_short_idleness_is_warned_at_half_time(serve: Serve, idle: str, before: float, left_over: str) -> None:
    """Where a session may be idle for less than two minutes, the warning comes when half of that is over."""
    async with serve(f'[limits]\nidle = "{idle}"') as door, terminal(door) as screen:
        advance(before - 1)
        await turns()
        assert "idle" not in str(screen)
        advance(1)
        await screen.shows(f"idle: this session ends in {left_over}")
        advance(before)
        assert await left(screen) == 124


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_a_running_order_is_not_idle(serve: Serve, term: str) -> None:
    """While an order runs, however long, nobody is warned and nothing ends; afterwards the time counts again."""
    async with (
        serve('[limits]\norder_timeout = "2h"') as door,
        door.connect("home") as connection,
        Terminal.open(connection, term=term) as screen,
    ):
        with door.waiting_printer():
            door.server.visitors.dispatch.house.confirm_within = 7200
            screen.type("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            for _ in range(10):
                advance(300)
                await turns()
                assert "idle" not in str(screen)
        await screen.shows("printer is on")
        await prompt(screen, "")
        advance(599)
        await screen.shows("idle: this session ends in ")
        advance(600)
        assert await left(screen) == 124


async def test_idleness_begins_when_an_order_has_ended(serve: Serve) -> None:
    """A session is idle from the end of its last order on, not from the key that gave it."""
    async with serve('[limits]\norder_timeout = "2h"') as door, terminal(door) as screen:
        with door.waiting_printer():
            door.server.visitors.dispatch.house.confirm_within = 7200
            screen.type("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            advance(530)
        await screen.shows("printer is on")
        await prompt(screen, "")
        for _ in range(53):
            advance(10)
            await turns()
        assert "idle" not in str(screen)
        advance(10)
        await screen.shows("idle: this session ends in 1 min")


async def test_an_idle_dumb_terminal(door: Door) -> None:
    """At a dumb terminal the warning is a line of its own, and what was half typed is shown again below it."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal("dumb")
        assert await raw.ask("shell")
        await until(lambda: "> " in raw.heard.out)
        raw.channel.write("echo ha")
        await until(lambda: raw.heard.out.endswith("> echo ha"))
        advance(540)
        await until(lambda: "idle" in raw.heard.out)
        assert raw.heard.out.endswith("echo ha\r\nidle: this session ends in 1 min\r\nhome@house> echo ha")
        raw.channel.write("lf\r")
        await until(lambda: raw.heard.out.endswith("> "))
        assert raw.heard.out.endswith("home@house> echo half\r\nhalf\r\nhome@house> ")
        advance(540)
        await until(lambda: raw.heard.out.count("idle:") == 2)
        advance(60)
        await until(lambda: raw.heard.closed)
    assert raw.heard.out.endswith("> \r\nidle for 10 min, goodbye\r\n")
    assert (raw.heard.err, raw.heard.status) == ("", 124)
    assert "\x1b" not in raw.heard.out


async def test_an_idle_shell_ends_alone(door: Door) -> None:
    """When one shell of a connection is ended for idleness, another that is in use goes on."""
    async with (
        door.connect("home") as connection,
        Terminal.open(connection) as idle,
        Terminal.open(connection) as used,
    ):
        advance(300)
        await used.give("echo used", "used")
        advance(300)
        assert await left(idle) == 124
        await used.give("echo still here", "still here")


# -- a terminal that cannot move its cursor ---------------------------------------------------------------------------


async def dumb(connection: asyncssh.SSHClientConnection, *typed: str) -> RawChannel:
    """Type at a dumb terminal, each text once the one before has been answered, and wait for the end."""
    raw = await RawChannel.open(connection)
    assert await raw.terminal("dumb")
    assert await raw.ask("shell")
    for text in typed:
        prompts = raw.heard.out.count("> ")
        raw.channel.write(text)
        await until(lambda prompts=prompts: raw.heard.closed or raw.heard.out.count("> ") > prompts)  # type: ignore[misc]  # (bound at once)
    await until(lambda: raw.heard.closed)
    return raw


@pytest.mark.parametrize(
    ("typed", "screen", "status"),
    [
        ("echo one\r", "> echo one\r\none\r\n", 0),
        ("on nosuch\r", "> on nosuch\r\nerror: no device 'nosuch'\r\n", 64),
        ("echo onx\x7fe\r", "> echo onx\b \be\r\none\r\n", 0),
        ("\x7f\b\becho one\r", "> echo one\r\none\r\n", 0),
        ("off all^C\x03echo one\r", "> off all^C^C\r\nhome@house> echo one\r\none\r\n", 0),
        ("off all\x15echo one\r", "> off all\r\nhome@house> echo one\r\none\r\n", 0),
        ("echo a\x04b\r", "> echo ab\r\nab\r\n", 0),
        ("echo \x1b[31mred\t\x00\x07\r", "> echo red\r\nred\r\n", 0),
        ("echo a\x1b[A\x1bOC\x1b[1;5Db\x1bfc\r", "> echo abc\r\nabc\r\n", 0),
        ("echo a\x1b\recho b\x1b[\r", "> echo a\r\na\r\nhome@house> echo b\r\nb\r\n", 0),
        ("echo grün 日\r", "> echo grün 日\r\ngrün 日\r\n", 0),
        ("echo a\necho b\n", "> echo a\r\na\r\nhome@house> echo b\r\nb\r\n", 0),
        ("\r", "> \r\n", 0),
    ],
)
async def test_a_dumb_terminal(door: Door, typed: str, screen: str, status: int) -> None:
    """What is typed at a dumb terminal is echoed once, edited with backspace, ^U and ^C, without a single escape."""
    async with door.connect("home") as connection:
        raw = await dumb(connection, typed + CTRL_D)
    welcome, _, rest = raw.heard.out.partition("home@house")
    assert welcome == "Welcome to house. `?` and Tab tell what may come next, ^D leaves.\r\n"
    assert rest == f"{screen}home@house> \r\n"
    assert (raw.heard.err, raw.heard.status) == ("", status)


async def test_ctrl_c_at_a_dumb_terminal_while_an_order_waits(door: Door) -> None:
    """^C at a dumb terminal gives the prompt back too; the order goes on and is audited."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal("dumb")
        assert await raw.ask("shell")
        with door.waiting_printer():
            raw.channel.write("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            raw.channel.write(f"{CTRL_C}echo alive\r")
            await until(lambda: "alive\r\nalive" in raw.heard.out)
            assert door.orders() == [("echo", 0)]
        await until(lambda: door.orders() == [("echo", 0), ("on", 0)])
        raw.channel.write("exit\r")
        await until(lambda: raw.heard.closed)
        assert (await ask(connection, "echo the connection goes on")).status == 0
