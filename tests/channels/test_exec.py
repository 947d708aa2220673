"""Orders on the command line: any bytes, a terminal, an interruption, a client that leaves."""

import pytest
from asyncssh.packet import String, UInt32

from tests.client import Door, RawChannel, ask, report, until


def echoed(byte: int) -> tuple[str, str, int]:
    """Return what `echo x`, a byte and `y` must answer: output, error and status."""
    char = chr(byte)
    if char in "'\"":
        return "", f"error: a quote {char} is not closed\n", 64
    if char in ";\n":
        return "x\n", "error: unknown order 'y' (`help` lists yours)\n", 127
    if char in " \t\r":
        return "x y\n", "", 0
    if char == "\\":
        return "xy\n", "", 0
    if byte >= 0x80:
        return "x\ufffdy\n", "", 0
    return (f"x{char}y\n" if char.isprintable() else f"x\\x{byte:02x}y\n"), "", 0


async def test_every_byte_is_plain_text(door: Door) -> None:
    """No byte but quotes, backslash, space, `;` and newline is special in a command, and none reaches a screen raw."""
    async with door.connect("home") as connection:
        for byte in range(256):
            raw = await RawChannel.open(connection)
            assert await raw.ask("exec", String(b"echo x" + bytes([byte]) + b"y"))
            await until(lambda raw=raw: raw.heard.closed)  # type: ignore[misc]  # (bound at once)
            assert (raw.heard.out, raw.heard.err, raw.heard.status) == echoed(byte), byte
        raw = await RawChannel.open(connection)
        assert await raw.ask("exec", String(b"echo '" + bytes(set(range(256)) - {0x27}) + b"'"))
        await until(lambda: raw.heard.closed)
    assert raw.heard.status == 0
    assert raw.heard.out.count("\ufffd") == 128
    assert all(char.isprintable() for char in raw.heard.out.replace("\n", ""))


async def test_a_line_has_a_limit(door: Door) -> None:
    """A command of 4 KiB runs and one of a byte more is refused, counted in bytes."""
    most = door.site.config.limits.order_line
    async with door.connect("home") as connection:
        fits = await ask(connection, "echo " + "x" * (most - 5))
        assert (fits.status, len(fits.out)) == (0, most - 4)
        for text in ("x" * (most - 4), "ä" * (most // 2 - 2)):
            answer = await ask(connection, f"echo {text}")
            assert (answer.err, answer.status) == (f"error: a line may be {most} bytes long\n", 64)
        assert (await ask(connection, "x" * 250_000)).status == 64


async def test_a_terminal_gets_carriage_returns(door: Door) -> None:
    """With a terminal (`ssh -t`) every line ends in CR LF, typed text is ignored, and errors keep their own stream."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        raw.channel.write("off kitchen\r")
        assert await raw.ask("exec", String("echo one; echo two; on nosuch"))
        await until(lambda: raw.heard.closed)
    assert (raw.heard.out, raw.heard.err) == ("one\r\ntwo\r\n", "error: no device 'nosuch'\r\n")
    assert raw.heard.status == 64
    assert door.orders() == [("echo", 0), ("echo", 0), ("on", 64)]


@pytest.mark.parametrize("how", ["^C at a terminal", "a signal", "a break"])
async def test_an_interruption_ends_the_waiting_alone(door: Door, how: str) -> None:
    """^C, a signal or a break ends a command at once with 130; the order that runs goes on, the next does not begin."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        if how == "^C at a terminal":
            assert await raw.terminal()
        with door.waiting_printer():
            assert await raw.ask("exec", String("on printer; on kitchen"))
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            match how:
                case "^C at a terminal":
                    raw.channel.write("\x03")
                case "a signal":
                    raw.channel.send_signal("INT")
                case _:
                    assert await raw.ask("break", UInt32(0))
            await until(lambda: raw.heard.closed)
            assert raw.heard.status == 130
            assert door.orders() == []
        await until(lambda: door.orders() == [("on", 0)])
        assert (await ask(connection, "get light.kitchen.on")).out == "no\n"
    assert door.audit("order.done")[0]["devices"] == ["switch.printer"]


async def test_an_order_outlives_its_client(door: Door) -> None:
    """When the client leaves, the order that runs goes on to its end and is audited; the next does not begin."""
    with door.waiting_printer():
        async with door.connect("home") as connection:
            raw = await RawChannel.open(connection)
            assert await raw.ask("exec", String("on printer; on kitchen"))
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            connection.abort()
        await until(lambda: door.audit("session.closed"))
        assert door.orders() == []
    await until(door.orders)
    (event,) = door.audit("order.done")
    assert (event["devices"], event["user"], event["status"]) == (["switch.printer"], "home", 0)
    assert not list(door.server.visitors.sessions)


async def test_a_name_cannot_move_the_cursor(door: Door) -> None:
    """A device whose name holds escape sequences is shown with them spelt out."""
    house = door.server.visitors.dispatch.house
    desk = house.devices["light.desk"]
    hostile = type(desk)(
        **{name: getattr(desk, name) for name in desk.__struct_fields__} | {"name": "De\x1b]0;x\x07sk"}
    )
    report(house, hostile)
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        assert await raw.ask("exec", String("list light.desk; list --json light.desk"))
        await until(lambda: raw.heard.closed)
    assert "De\\x1b]0;x\\x07sk" in raw.heard.out
    assert "De\\u001b]0;x\\u0007sk" in raw.heard.out
    assert "\x1b]" not in raw.heard.out
    assert "\x07" not in raw.heard.out


@pytest.mark.parametrize(
    ("term", "environment", "colored"),
    [
        ("xterm-256color", {}, True),
        ("xterm", {}, True),
        ("xterm", {"COLORTERM": "truecolor"}, True),
        ("xterm-256color", {"NO_COLOR": "1"}, False),
        ("xterm-256color", {"NO_COLOR": ""}, True),
        ("dumb", {}, False),
        ("", {}, False),
        (None, {"COLORTERM": "truecolor"}, False),
    ],
)
async def test_colors_where_there_are_some(
    door: Door, term: str | None, environment: dict[str, str], *, colored: bool
) -> None:
    """Colours come with a terminal that has them, and never with NO_COLOR, a dumb terminal or none."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        for name, value in environment.items():
            assert await raw.ask("env", String(name), String(value))
        if term is not None:
            assert await raw.terminal(term)
        assert await raw.ask("exec", String("on kitchen; list light.kitchen"))
        await until(lambda: raw.heard.closed)
    assert ("\x1b[" in raw.heard.out) is colored
    assert ("35m" in raw.heard.out) is colored
