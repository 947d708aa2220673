"""Orders on standard input: lines in pieces, lines too long, failures, clients that leave or push."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from asyncssh.packet import String

from sshhome.channels import SessionChannel
from tests.client import Door, RawChannel, ask, until
from tests.loop import advance, turns

Serve = Callable[..., AbstractAsyncContextManager[Door]]


async def batch(door: Door, *pieces: str | bytes, options: str = "") -> RawChannel:
    """Give a batch its input in these pieces, each a packet of its own, and wait until it has ended."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("exec", String(options)) if options else await raw.ask("shell")
        raw.channel.set_encoding("latin-1")
        for piece in pieces:
            raw.channel.write(piece if isinstance(piece, str) else piece.decode("latin-1"))
        raw.channel.write_eof()
        await until(lambda: raw.heard.closed)
    return raw


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([], []),
        (["\n\n \t\n# nothing\n"], []),
        (["echo", " ", "ha", "lf\nec", "ho whole\n"], ["half", "whole"]),
        (["echo no newline at the end"], ["no newline at the end"]),
        (["echo dos\r\n\r\necho too\r\n"], ["dos", "too"]),
        (["echo dos\r", "\necho too\r", "\n"], ["dos", "too"]),
        (["  # a comment; echo not this\necho this; echo and this\n"], ["this", "and this"]),
        (["echo 'a quoted\n", "newline ends the line'\n"], None),
        (["echo before\nexit\necho after\n"], ["before"]),
        (["echo before; exit; echo after\necho after\n"], ["before"]),
    ],
)
async def test_lines(door: Door, pieces: Sequence[str], said: Sequence[str] | None) -> None:
    """Orders stand one a line however the input is cut into packets; an unfinished quote is refused."""
    raw = await batch(door, *pieces)
    assert raw.heard.out.splitlines() == ([] if said is None else said)
    assert raw.heard.status == (0 if said is not None else 64)


async def test_characters_cut_in_two(door: Door) -> None:
    """A character whose bytes come in two packets is one character, and bytes that are none become U+FFFD."""
    raw = await batch(door, b"echo \xc3", b"\xa4 \xf0\x9f", b"\x92\xa1 \xff\n")
    assert raw.heard.out.encode("latin-1").decode() == "ä 💡 \ufffd\n"


@pytest.mark.parametrize("size", [4096, 4097, 1_000_000])
@pytest.mark.parametrize("end", ["\n", ""], ids=["line", "end"])
async def test_a_line_has_a_limit(door: Door, size: int, end: str) -> None:
    """A line of 4 KiB runs; a longer one is refused as a whole, and with it what follows."""
    raw = await batch(door, "echo begin\n", "echo " + "x" * (size - 5) + end, "" if not end else "echo after\n")
    if size == 4096:
        assert raw.heard.out == "begin\n" + "x" * 4091 + "\n" + ("after\n" if end else "")
        assert raw.heard.status == 0
    else:
        assert (raw.heard.out, raw.heard.err) == ("begin\n", "error: a line may be 4096 bytes long\n")
        assert raw.heard.status == 64


@pytest.mark.parametrize(
    ("options", "out", "status"),
    [
        ("", ["one"], 64),
        ("--keep-going", ["one", "two", "three"], 64),
        ("--keep-going --json", ['"one"', '"two"', '"three"'], 64),
    ],
)
async def test_failures(door: Door, options: str, out: Sequence[str], status: int) -> None:
    """A batch stops at the first failure, or with --keep-going runs all and ends with the first failure's status."""
    raw = await batch(door, "echo one\non nosuch\necho two; lihgt\necho three\n", options=options)
    assert raw.heard.out.splitlines() == out
    assert raw.heard.status == status
    assert len(raw.heard.err.splitlines()) == (2 if options else 1)


async def test_filters(door: Door) -> None:
    """A filter makes less of an answer in a batch, too, and a wrong one is refused."""
    raw = await batch(door, "list @study | count\necho a | b\nlist | first none\n")
    assert (raw.heard.out, raw.heard.status) == ("3\na | b\n", 64)


@pytest.mark.parametrize(
    ("command", "out", "status"),
    [
        ("run", ["one"], 64),
        ("run -", ["one"], 64),
        ("RUN --stop-on-error", ["one"], 64),
        ("run --keep-going", ["one", "two", "three"], 64),
        ("--keep-going run --json", ['"one"', '"two"', '"three"'], 64),
        ("--stop-on-error", ["one"], 64),
        ("--stop-on-error --keep-going", [], 64),
        ("run --code", [], 64),
        ("run orders.txt", [], 64),
        ("run; echo two", ["orders come on standard input: ssh home@house run < orders.txt", "two"], 0),
    ],
)
async def test_run(door: Door, command: str, out: Sequence[str], status: int) -> None:
    """`run` reads orders from standard input, as no command at all does; files are nobody's on our side."""
    raw = await batch(door, "echo one\non nosuch\necho two\necho three\n", options=command)
    assert (raw.heard.out.splitlines(), raw.heard.status) == (out, status)


async def test_a_failure_inside_a_line(door: Door) -> None:
    """`--keep-going` for a batch is for its lines, and `--stop-on-error` in one of them ends that alone."""
    lines = "on nosuch --stop-on-error; echo one\necho two; on nosuch; echo three\n"
    raw = await batch(door, lines, options="run --keep-going")
    assert raw.heard.out.splitlines() == ["two", "three"]


async def test_a_client_that_leaves(door: Door) -> None:
    """When the client goes, the order that runs ends by itself, and no line after it begins."""
    with door.waiting_printer():
        async with door.connect("home") as connection:
            raw = await RawChannel.open(connection)
            assert await raw.ask("shell")
            raw.channel.write("on printer\non kitchen\n")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            raw.channel.close()
            await until(lambda: not list(door.server.visitors.sessions))
            assert (await ask(connection, "echo the connection goes on")).status == 0
    await until(lambda: door.orders() == [("echo", 0), ("on", 0)])
    assert door.audit("order.done")[-1]["devices"] == ["switch.printer"]


@pytest.mark.parametrize(
    "line", ["echo x\n", "# remarks\n", "\n", "\r\n"], ids=["orders", "comments", "empty", "CR LF"]
)
async def test_input_waits_while_an_order_runs(door: Door, line: str) -> None:
    """A client that sends lines faster than they run is made to wait: what is kept of its input is bounded."""
    with door.waiting_printer():
        async with door.connect("home") as connection:
            raw = await RawChannel.open(connection)
            assert await raw.ask("shell")
            raw.channel.write("on printer\n")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            (visitor,) = door.server.visitors
            (channel,) = visitor.connection._channels.values()
            assert isinstance(channel._session, SessionChannel)
            raw.channel.write(line * (1_000_000 // len(line)))
            await until(lambda: channel._recv_paused or not raw.channel.get_write_buffer_size())
            assert channel._recv_paused
            assert raw.channel.get_write_buffer_size() > 500_000


# -- idleness ---------------------------------------------------------------------------------------------------------

WARNED, ENDED = "idle: this session ends in 1 min\n", "idle for 10 min, goodbye\n"


async def test_an_idle_batch_is_warned_and_ended(door: Door) -> None:
    """A batch that gets no line for ten minutes is told on standard error and ends with status 124."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("exec", String("--json"))
        raw.channel.write("echo one\n")
        await until(lambda: raw.heard.out == '"one"\n')
        advance(539)
        assert (await ask(connection, "echo x")).status == 0
        assert raw.heard.err == ""
        advance(1)
        await until(lambda: raw.heard.err == WARNED)
        raw.channel.write("echo two\n")
        await until(lambda: raw.heard.out == '"one"\n"two"\n')
        advance(539)
        assert (await ask(connection, "echo x")).status == 0
        assert not raw.heard.closed
        advance(1)
        await until(lambda: raw.heard.err == WARNED * 2)
        advance(60)
        await until(lambda: raw.heard.closed)
        assert (await ask(connection, "echo the connection goes on")).status == 0
    assert (raw.heard.out, raw.heard.err, raw.heard.status) == ('"one"\n"two"\n', WARNED * 2 + ENDED, 124)


async def test_half_a_line_is_a_sign_of_life(door: Door) -> None:
    """A client that sends a line in pieces, with minutes between them, is not idle."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("shell")
        await until(lambda: list(door.server.visitors.sessions))
        for piece in ("ec", "ho", " slow", "ly\n"):
            raw.channel.write(piece)
            assert (await ask(connection, "echo x")).status == 0
            advance(539)
        raw.channel.write_eof()
        await until(lambda: raw.heard.closed)
    assert (raw.heard.out, raw.heard.err, raw.heard.status) == ("slowly\n", "", 0)


@pytest.mark.parametrize("how", ["exec", "shell"])
async def test_a_running_order_is_not_idle(serve: Serve, how: str) -> None:
    """While an order of a batch, or the one of a command line, runs, however long, nothing is warned of or ended."""
    async with serve('[limits]\norder_timeout = "2h"') as door, door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        with door.waiting_printer():
            door.server.visitors.dispatch.house.confirm_within = 7200
            assert await raw.ask(how, *([String("on printer")] if how == "exec" else []))
            if how == "shell":
                raw.channel.write("on printer\n")
                raw.channel.write_eof()
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            for _ in range(10):
                advance(300)
                await turns()
        await until(lambda: raw.heard.closed)
    assert (raw.heard.out, raw.heard.err, raw.heard.status) == ("printer is on\n", "", 0)


async def test_a_client_that_does_not_read_is_idle(door: Door) -> None:
    """A batch whose client takes no output is ended like any other in which nothing happens."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection, window=1000)
        raw.channel._recv_paused = True
        assert await raw.ask("shell")
        raw.channel.write("list --json\n" * 100)
        await until(door.orders)
        (channel,) = next(iter(door.server.visitors)).connection._channels.values()
        assert isinstance(channel._session, SessionChannel)
        session = channel._session
        await until(lambda: not session._writable.is_set())
        advance(540)
        await turns()
        advance(60)
        await until(lambda: not list(door.server.visitors.sessions))
