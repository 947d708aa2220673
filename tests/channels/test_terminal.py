"""What a hostile terminal may send: floods, endless sequences, every byte. Others are served, and nothing stays."""

import ast
import asyncio
import importlib.metadata
import inspect
import itertools
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.input import vt100_parser
from prompt_toolkit.key_binding import key_processor
from prompt_toolkit.key_binding.key_processor import KeyProcessor

from sshhome import complete
from sshhome.channels import SessionChannel, editor, keys, painter, shell, terminal
from tests.client import PATIENCE, Door, RawChannel, ask, until

DIGITS = "0123456789"


async def open_shell(connection: asyncssh.SSHClientConnection, term: str = "xterm-256color") -> RawChannel:
    """Open a shell that sends and gets bytes as they are, and wait for its prompt."""
    raw = await RawChannel.open(connection)
    assert await raw.terminal(term)
    assert await raw.ask("shell")
    raw.channel.set_encoding("latin-1")
    await until(lambda: "@house>" in raw.heard.out)
    return raw


async def still_works(raw: RawChannel) -> None:
    """Drop what is on the line, and give an order."""
    # Twice: after ^V or ^Q the first is taken literally.
    raw.channel.write("\x03\x03")
    await until(lambda: not raw.channel.get_write_buffer_size())
    raw.heard.out = ""
    raw.channel.write("\x03upper still works\r")
    await until(lambda: "STILL WORKS" in raw.heard.out)


#: No Enter outside of a bracketed paste: each of these stays one line.
FLOODS = {
    "a long paste": "\x1b[200~" + "pasted " * 140_000 + "\x1b[201~",
    "a paste of many lines": "\x1b[200~" + "echo pasted\n" * 80_000 + "\x1b[201~",
    "a paste that never ends": "\x1b[200~" + "x" * 1_000_000,
    "typed characters": "x" * 1_000_000,
    "short words": "ab\x01" * 5_000,
    "a long sequence": "\x1b[" + "1" * 20_000,
    "long sequences": ("\x1b[" + "1;" * 40 + "R") * 500,
    "escapes": "\x1b" * 5_000,
    "tabs": "on k" + "\t" * 1_500,
    "interruptions": "\x03" * 300,
}


@pytest.mark.flood
@pytest.mark.parametrize(
    ("term", "flood"),
    [("xterm-256color", flood) for flood in FLOODS]
    + [("dumb", flood) for flood in FLOODS if flood != "a paste of many lines"],
)
async def test_a_flood_does_not_stop_the_others(door: Door, term: str, flood: str) -> None:
    """While one user's terminal sends a megabyte, others give orders, and the shell goes on afterwards."""
    async with door.connect("guest") as hostile, door.connect("home") as other:
        raw = await open_shell(hostile, term)
        raw.channel.write(FLOODS[flood])
        for _ in range(3):
            assert (await ask(other, "echo served")).out == "served\n"
        if flood == "a paste that never ends":
            raw.channel.write("\x1b[201~")
        await still_works(raw)
    assert {event["order"] for event in door.audit() if "order" in event} == {"echo", "upper"}


@pytest.mark.parametrize(
    ("term", "typed", "times"),
    [
        ("dumb", "\x15", 6_000),
        ("dumb", "\x03", 6_000),
        ("dumb", "x\x7f", 3_000),
        ("dumb", "\r", 3_000),
        ("xterm-256color", "\x15", 6_000),
        ("xterm-256color", "x\x7f", 2_000),
        ("xterm-256color", "\x03", 200),
        ("xterm-256color", "\r", 200),
    ],
)
async def test_a_shell_yields(door: Door, term: str, typed: str, times: int) -> None:
    """Between two turns of the event loop one shell answers a bounded number of keys, however many are typed."""
    async with door.connect("home") as connection:
        raw = await open_shell(connection, term)
        (visitor,) = door.server.visitors
        ours = visitor.connection
        raw.channel.write(typed * times + "\x03exit\r")
        most, before = 0, ours._send_seq
        async with asyncio.timeout(PATIENCE):
            while not raw.heard.closed:
                await asyncio.sleep(0)
                most, before = max(most, ours._send_seq - before), ours._send_seq
        assert door.orders() == [("exit", 0)]
        assert most < 1_000


@pytest.mark.parametrize("typed", ["o\t\x15", "on \x15?\x15"])
@pytest.mark.parametrize("busy", [False, True])
async def test_keys_that_look_at_the_whole_house(
    door: Door, monkeypatch: pytest.MonkeyPatch, typed: str, *, busy: bool
) -> None:
    """Each Tab and each `?` has a turn of its own, also where they were typed ahead: thousands of devices take time."""
    looked = 0
    place = complete.place

    def counted(*args: Any) -> Any:  # noqa: ANN401 (as the one it counts)
        nonlocal looked
        looked += 1
        return place(*args)

    monkeypatch.setattr(complete, "place", counted)
    with door.waiting_printer() as echo:
        async with door.connect("home") as connection:
            raw = await open_shell(connection)
            if busy:
                raw.channel.write("on printer\r")
                await until(lambda: any(session.running for session in door.server.visitors.sessions))
            raw.channel.write(typed * 40 + "\x15exit\r")
            await until(lambda: not raw.channel.get_write_buffer_size())
            echo()
            most, before = 0, looked
            async with asyncio.timeout(PATIENCE):
                while not raw.heard.closed:
                    await asyncio.sleep(0)
                    most, before = max(most, looked - before), looked
    assert looked >= 40
    # What `?` tells is looked up more than once.
    assert most <= 5


async def test_a_paste_is_kept_in_part(door: Door) -> None:
    """Of a paste that never ends no more waits on our side than is parsed soon, and a line's worth is kept."""
    async with door.connect("guest") as connection:
        raw = await open_shell(connection)
        (visitor,) = door.server.visitors
        (channel,) = visitor.connection._channels.values()
        assert isinstance(channel._session, SessionChannel)
        keys = getattr(getattr(channel._session._reader, "__self__", None), "_input", None)
        assert isinstance(keys, terminal.KeyInput)
        raw.channel.write("\x1b[200~" + "x" * 500_000 + "\x1b[20")
        waiting = kept = 0
        async with asyncio.timeout(PATIENCE):
            while raw.channel.get_write_buffer_size() or keys._size or not kept:
                await asyncio.sleep(0)
                waiting = max(waiting, keys._size)
                kept = max(kept, len(keys._parser._paste_buffer) if keys._parser._in_bracketed_paste else 0)
        assert waiting < 128 * 1024
        assert kept < 8 * 1024
        raw.channel.write("1~")
        await still_works(raw)


async def test_keys_typed_while_an_order_runs_are_bounded(door: Door) -> None:
    """A dumb terminal that types on while an order runs is made to wait."""
    with door.waiting_printer():
        async with door.connect("home") as connection:
            raw = await open_shell(connection, "dumb")
            raw.channel.write("on printer\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            (visitor,) = door.server.visitors
            (channel,) = visitor.connection._channels.values()
            raw.channel.write("\x15" * 1_000_000)
            await until(lambda: channel._recv_paused or not raw.channel.get_write_buffer_size())
            assert channel._recv_paused
            assert raw.channel.get_write_buffer_size() > 500_000


@pytest.mark.parametrize(
    "sequences",
    [
        pytest.param(lambda chance: f"\x1b[{digits(chance, 20_000)}Z", id="one long sequence"),
        pytest.param(
            lambda chance: "".join(f"\x1b[{digits(chance, 24)}Z" for _ in range(200)), id="many short sequences"
        ),
        pytest.param(
            # Aligned so that the end of the paste and what follows it are parsed in one go.
            lambda chance: "".join(f"\x1b[200~{'x' * 506}\x1b[201~\x1b[{digits(chance, 503)}Z" for _ in range(5)),
            id="after a paste",
        ),
    ],
)
async def test_sequences_leave_nothing_behind(door: Door, sequences: Callable[[random.Random], str]) -> None:
    """prompt_toolkit's table of all the beginnings of sequences ever seen cannot be filled by a client."""
    async with door.connect("guest") as connection:
        raw = await open_shell(connection)
        before = len(vt100_parser._IS_PREFIX_OF_LONGER_MATCH_CACHE)
        raw.channel.write(sequences(random.Random(1)))  # noqa: S311 (a test's own chance)
        await until(lambda: not raw.channel.get_write_buffer_size())
        await still_works(raw)
    assert len(vt100_parser._IS_PREFIX_OF_LONGER_MATCH_CACHE) - before < 2_000


def digits(chance: random.Random, count: int) -> str:
    """Return digits by chance."""
    return "".join(chance.choices(DIGITS, k=count))


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_every_byte(door: Door, term: str) -> None:
    """No byte, alone or after an escape, and no ten thousand of them by chance, ends a shell or gives an order."""
    async with door.connect("home") as connection:
        raw = await open_shell(connection, term)
        # Not ^D, which leaves, nor what ends a line: Enter, ^J, and readline's ^O.
        harmless = [chr(byte) for byte in range(256) if byte not in {0x04, 0x0A, 0x0D, 0x0F}]
        for number, char in enumerate(harmless):
            raw.channel.write(f"{char}x\x1b{char}y" + ("\x03\x03" if number % 16 == 0 else ""))
        await still_works(raw)
        chance = random.Random(2)  # noqa: S311 (a test's own chance)
        noise = "".join(chance.choices(harmless, k=10_000))
        raw.channel.write(noise)
        raw.channel.write("\x1b[201~")
        await still_works(raw)
        raw.channel.write("\x04")
        await until(lambda: raw.heard.closed)
    assert raw.heard.status == 0
    assert set(door.orders()) == {("upper", 0)}


async def test_the_same_bytes_cut_anywhere(door: Door) -> None:
    """However the bytes of keys, pastes and characters are cut into packets, they mean the same."""
    typed = "echo ä\x1b[D\x1b[200~1 2 \x1b[201~\x1b[C日\x1b[H\x1b[3~\x1b[3~\x1b[3~\x1b[3~upper".encode()
    chance = random.Random(3)  # noqa: S311 (a test's own chance)
    async with door.connect("home") as connection:
        raw = await open_shell(connection)
        for count in range(1, 13):
            cuts = sorted(chance.sample(range(1, len(typed)), count)) if count < 12 else range(1, len(typed))
            for start, end in itertools.pairwise([0, *cuts, len(typed)]):
                raw.channel.write(typed[start:end].decode("latin-1"))
            raw.channel.write("\r")
            await until(lambda count=count: len(door.orders()) == count)  # type: ignore[misc]  # (bound at once)
    assert {event["args"]["text"] for event in door.audit("order.done")} == {"1 2 ä日"}


async def test_hung_up_shells_leave_nothing(door: Door) -> None:
    """Clients that vanish at the prompt, with half a line, a menu open or an order running, leave no task behind."""
    await door.ask("home", "echo warm")
    before = asyncio.all_tasks()
    for typed in ("", "half a line", "on k\t", "\x1b", "\x1b[200~paste", "list\r") * 4:
        async with door.connect("home") as connection:
            raw = await open_shell(connection, "dumb" if typed == "half a line" else "xterm")
            raw.channel.write(typed)
            await until(lambda raw=raw: not raw.channel.get_write_buffer_size())  # type: ignore[misc]  # (bound at once)
            connection.abort()
    await until(lambda: not door.server.visitors)
    await until(lambda: asyncio.all_tasks() <= before)
    assert not list(door.server.visitors.sessions)
    assert len(door.audit("session.closed")) == len(door.audit("session.opened")) == 25
    await until(lambda: not door.server.visitors.dispatch._running)


#: What somebody may be in the midst of when their connection breaks.
PROMPTS = {
    "an empty line": "",
    "half a line": "half a line",
    "a menu": "on k\t\t",
    "half a sequence": "\x1b[",
    "a paste": "\x1b[200~paste",
    "a search": "echo x\r\x12ech",
    "a question mark": "dim ?",
    "a quoted key": "\x11",
    "an order that goes on": "watch\r",
    "an order that waits": "on printer\r",
    "a question": "passwd\r",
    "answers": "list; list; list\r",
}


@pytest.mark.flood
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_a_thousand_broken_connections(door: Door, term: str) -> None:
    """A thousand clients that vanish at every kind of prompt leave no task, no session and no watcher behind."""
    await door.ask("home", "echo warm")
    house = door.server.visitors.dispatch.house
    before, watchers = asyncio.all_tasks(), len(house._watchers)
    for number in range(500):
        typed = list(PROMPTS.values())[number % len(PROMPTS)]
        async with door.connect("home") as connection:
            raw = await open_shell(connection, term)
            raw.channel.write(typed)
            if number % 3:
                await until(lambda raw=raw: not raw.channel.get_write_buffer_size())  # type: ignore[misc]  # (bound at once)
            connection.abort()
    await until(lambda: not door.server.visitors)
    await until(lambda: asyncio.all_tasks() <= before)
    assert not list(door.server.visitors.sessions)
    assert len(house._watchers) == watchers
    await until(lambda: not door.server.visitors.dispatch._running)


# -- what we lean on --------------------------------------------------------------------------------------------------


def test_we_lean_on_prompt_toolkit_3_0_alone() -> None:
    """The project pins the one minor version of prompt_toolkit whose private parts are tested below."""
    required = [line for line in importlib.metadata.requires("sshhome") or () if line.startswith("prompt-toolkit")]
    assert [set(line.removeprefix("prompt-toolkit").split(",")) for line in required] == [{">=3.0.53", "<3.1"}]


def test_prompt_toolkit_3_0_has_the_private_parts_we_lean_on() -> None:
    """Each private name of prompt_toolkit that our code mentions exists and is what we take it for (>=3.0.53,<3.1)."""
    parser = vt100_parser.Vt100Parser(lambda _: None)
    parser.feed("\x1b[200~pasted")
    assert parser._in_bracketed_paste
    assert parser._paste_buffer == "pasted"
    buffer = Buffer()
    buffer.save_to_undo_stack()
    assert isinstance(buffer._undo_stack, list)
    assert isinstance(buffer._working_lines, deque)
    # An application calls these, and has these looked at, by these names.
    assert inspect.signature(Application._redraw).parameters.keys() == {"self", "render_as_done"}
    assert not inspect.signature(KeyProcessor._start_timeout).parameters.keys() - {"self"}
    assert "self._start_timeout()" in inspect.getsource(KeyProcessor.process_keys)
    source = inspect.getsource(Application)
    assert all(
        f"self.{name} = " in source for name in ("_is_running", "_default_bindings", "future", "loop", "context")
    )
    assert key_processor._Flush.data == "_Flush"


def test_nothing_else_is_leaned_on() -> None:
    """The private names of prompt_toolkit that our code mentions are those of the test above, and no others."""
    known = {
        "_in_bracketed_paste",
        "_paste_buffer",
        "_undo_stack",
        "_working_lines",
        "_is_running",
        "_default_bindings",
    }
    for module in (editor, keys, painter, shell, terminal):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
        own = {
            name
            for kind in ast.walk(tree)
            if isinstance(kind, ast.ClassDef)
            for node in ast.walk(kind)
            for name in _defined(node)
        }
        assert names - own <= known | {"__init__"}


def _defined(node: ast.AST) -> set[str]:
    """Return the name that a statement of a class gives to itself or to `self`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
        return {node.attr}
    return set()
