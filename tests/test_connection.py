"""One SSH connection against its limits: attempts, keys, bytes, channels, environment, slow readers, algorithms."""

import ast
import asyncio
import importlib.metadata
import inspect
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import SSHPacket, String

from sshhome import authentication
from sshhome import connection as module
from sshhome.algorithms import ALGORITHMS
from sshhome.authentication import Authentication
from sshhome.channels import SessionChannel
from sshhome.connection import Channel, Connection
from tests.client import PATIENCE, Door, RawChannel, Reply, Wire, ask, until
from tests.loop import advance, turns

Serve = Callable[..., AbstractAsyncContextManager[Door]]


def server_side(door: Door) -> Connection:
    """Return the server's end of the only connection."""
    (visitor,) = door.server.visitors
    return visitor.connection


def session_of(connection: Connection) -> tuple[Channel, SessionChannel]:
    """Return the only channel of a connection, and the session on it."""
    (channel,) = connection._channels.values()
    assert isinstance(channel, Channel)
    assert isinstance(channel._session, SessionChannel)
    return channel, channel._session


# -- attempts and offered keys ----------------------------------------------------------------------------------------


async def test_a_connection_gets_four_verdicts(door: Door) -> None:
    """After four failures, by key or password, even the right key is not judged: the fifth attempt is hung up on."""
    home, attacker = door.key("home"), door.key("attacker")
    async with door.wire() as wire:
        wire.ask_key("home", home, signer=attacker)
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", attacker, signer=attacker)
        assert (await wire.reply()).kind == "failure"
        for guess in ("123456", "hunter2"):
            wire.ask_password("home", guess)
            assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", home, signer=home)
        assert await wire.reply() == Reply("disconnected", "too many authentication failures")
    assert [event["method"] for event in door.audit("login.failed")] == ["publickey"] * 2 + ["password"] * 2
    assert not door.audit("login.ok")


async def test_twenty_keys_may_be_offered(door: Door) -> None:
    """Offering a key is no attempt, and after twenty offers of one connection the next is hung up on."""
    wrong, right = door.key("attacker"), door.key("home")
    async with door.wire() as wire:
        for _ in range(19):
            wire.ask_key("home", wrong)
            assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", right)
        assert (await wire.reply()).kind == "this key would do"
        wire.ask_key("home", right)
        assert await wire.reply() == Reply("disconnected", "too many keys offered")
    assert not door.audit("login.failed")


# -- before the login -------------------------------------------------------------------------------------------------


async def test_bytes_before_the_login_are_budgeted(door: Door) -> None:
    """A client that has not logged in may send 128 KiB to the byte; one more, and the line is cut."""
    budget = door.site.config.limits.preauth_bytes
    assert budget == 128 * 1024
    junk = b"SSH-2.0-junk\r\n"
    while budget - len(junk) > 0:
        # SSH_MSG_IGNORE (RFC 4253 §11.2), unencrypted, with four bytes of padding.
        size = min(16 * 1024, budget - len(junk))
        payload = b"\2" + String(b"x" * (size - 14))
        junk += (len(payload) + 5).to_bytes(4, "big") + b"\4" + payload + b"\0" * 4
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(junk)
    await until(lambda: [visitor.connection._preauth_bytes for visitor in door.server.visitors] == [budget])
    writer.write(b"\0")
    await until(lambda: not door.server.visitors)
    await reader.read()
    writer.close()


TOO_LONG = (1, asyncssh.DISC_BY_APPLICATION, "login took too long")


async def in_plain(reader: asyncio.StreamReader) -> tuple[int, int, str]:
    """Return the last packet that a server sends before any encryption, which is a disconnect."""
    async with asyncio.timeout(PATIENCE):
        version, _, packets = (await reader.read(-1)).partition(b"\r\n")
    assert version == b"SSH-2.0-sshhome"
    packet = SSHPacket(b"")
    while packets:
        size = 4 + int.from_bytes(packets[:4], "big")
        packet, packets = SSHPacket(packets[5 : size - packets[4]]), packets[size:]
    kind, code, reason, language = packet.get_byte(), packet.get_uint32(), packet.get_string(), packet.get_string()
    packet.check_end()
    assert language == b"en-US"
    return kind, code, reason.decode()


@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-slow\r\n"], ids=["nothing", "a version"])
async def test_a_silent_client_is_told_and_cut(door: Door, sent: bytes) -> None:
    """A connection that has not logged in thirty seconds after it was accepted is closed, with a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    await until(lambda: door.server.visitors)
    ours = server_side(door)
    writer.write(sent)
    await until(lambda: ours._preauth_bytes == len(sent))
    advance(29)
    await turns()
    assert list(door.server.visitors)
    advance(1)
    assert await in_plain(reader) == TOO_LONG
    assert ours.grace_exceeded
    await until(lambda: not door.server.visitors)
    assert not door.server.door.waiting
    assert not door.server.door.sources
    writer.close()


async def test_a_client_that_sends_a_byte_now_and_then_is_cut_as_soon(door: Door) -> None:
    """The time to log in runs from accept, whatever trickles in meanwhile."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    await until(lambda: door.server.visitors)
    ours = server_side(door)
    for number, char in enumerate(b"SSH-2.0-slow and slower and slow"[:29], 1):
        writer.write(bytes([char]))
        await until(lambda number=number: ours._preauth_bytes == number)  # type: ignore[misc]  # (bound at once)
        advance(1)
    await turns()
    assert not ours.grace_exceeded
    advance(1)
    assert await in_plain(reader) == TOO_LONG
    writer.close()


async def test_a_client_that_is_slow_to_exchange_keys_is_cut_as_soon(door: Door) -> None:
    """The time to log in ends in the middle of a key exchange too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"SSH-2.0-slow\r\n")
    await reader.readuntil(b"\r\n")
    # What the server offers is as good an offer of the client's.
    offer = await reader.readexactly(4)
    offer += await reader.readexactly(int.from_bytes(offer, "big"))
    writer.write(offer)
    ours = server_side(door)
    await until(lambda: ours._kex)
    advance(30)
    heard = await reader.read(-1)
    packet = SSHPacket(heard[5:])
    assert (packet.get_byte(), packet.get_uint32(), packet.get_string().decode()) == TOO_LONG
    writer.close()


async def test_a_client_that_never_proves_who_it_is_is_cut_as_soon(door: Door) -> None:
    """Asking about keys, and a wrong password, prolong nothing."""
    async with door.wire() as wire:
        ours = server_side(door)
        for _ in range(20):
            wire.ask_key("home", door.key("home"))
            assert (await wire.reply()).kind == "this key would do"
            advance(1)
        wire.ask_password("home", "wrong horse")
        assert (await wire.reply()).kind == "failure"
        advance(10)
        assert await wire.reply() == Reply("disconnected", "login took too long")
    assert ours.grace_exceeded
    assert not door.audit("login.ok")


async def test_who_has_logged_in_has_time(door: Door) -> None:
    """The time to log in binds nobody who did."""
    async with door.connect("home") as connection:
        ours = server_side(door)
        advance(30)
        await turns()
        assert (await ask(connection, "echo still here")).out == "still here\n"
        assert not ours.grace_exceeded


async def test_the_time_to_log_in_is_the_configured_one(serve: Serve) -> None:
    """`login_grace` is how long a login may take."""
    async with serve('[limits]\nlogin_grace = "2m"') as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await until(lambda: door.server.visitors)
        advance(119)
        await turns()
        assert not server_side(door).grace_exceeded
        advance(1)
        assert await in_plain(reader) == TOO_LONG
        writer.close()


# -- key exchanges ----------------------------------------------------------------------------------------------------


async def exchange_keys(wire: Wire) -> None:
    """Exchange keys anew, unless the connection ends over it."""
    wire._send_kexinit()
    wire._kexinit_sent = True
    await until(lambda: wire._kex_complete or not wire._transport)


async def test_key_exchanges_are_limited(door: Door) -> None:
    """A connection may exchange keys ten times in a minute, the first time included; then it is hung up on."""
    async with door.wire() as wire:
        await wire.log_in("home", door.key("home"))
        for _ in range(9):
            await exchange_keys(wire)
        assert (await ask(wire, "echo still here")).out == "still here\n"
        await exchange_keys(wire)
        assert await wire.reply() == Reply("disconnected", "too many key exchanges")
    await until(lambda: not door.server.visitors)


async def test_key_exchanges_before_the_login_are_limited_too(door: Door) -> None:
    """Who has not logged in cannot make the server work without end either."""
    async with door.wire() as wire:
        for _ in range(10):
            await exchange_keys(wire)
        assert await wire.reply() == Reply("disconnected", "too many key exchanges")
    assert not door.server.door.waiting


async def test_key_exchanges_now_and_then_are_as_many_as_it_takes(door: Door) -> None:
    """A connection that lives long exchanges keys as often as it should."""
    async with door.wire() as wire:
        await wire.log_in("home", door.key("home"))
        for _ in range(30):
            advance(61 / 9)
            await exchange_keys(wire)
        assert (await ask(wire, "echo still here")).out == "still here\n"


# -- who offers what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "client", "more_kex", "more_macs"),
    [
        ("compat", "OpenSSH_9.9", [], []),
        ("strict", "OpenSSH_9.9", [], []),
        ("compat", "dropbear_2022.83", ["kexguess2@matt.ucc.asn.au"], ["hmac-sha2-256"]),
        ("strict", "dropbear_2022.83", ["kexguess2@matt.ucc.asn.au"], []),
    ],
)
async def test_offers_exactly_its_profile(
    serve: Serve, profile: str, client: str, more_kex: Sequence[str], more_macs: Sequence[str]
) -> None:
    """Each profile offers what ALGORITHMS lists, post-quantum first, no compression; dropbear is offered a bit more."""
    async with serve(f'[crypto]\nprofile = "{profile}"') as door, door.wire(client_version=client) as wire:
        packet = SSHPacket(wire._server_kexinit)
        packet.get_bytes(17)
        offered = [[name.decode() for name in packet.get_namelist()] for _ in range(8)]
        chosen = wire.chosen
        signatures = {name.decode() for name in wire._server_sig_algs}
    expected = ALGORITHMS[profile]
    markers = ["ext-info-s", "kex-strict-s-v00@openssh.com"]
    assert offered[0] == [*expected["kex_algs"], *markers, *more_kex]
    assert offered[1] == ["ssh-ed25519"]
    assert offered[2] == offered[3] == expected["encryption_algs"]
    assert offered[4] == offered[5] == [*expected["mac_algs"], *more_macs]
    assert offered[6] == offered[7] == ["none"]
    assert signatures == set(expected["signature_algs"])
    assert not [
        name for name in (*expected["signature_algs"], *expected["mac_algs"]) if "sha1" in name or name == "ssh-rsa"
    ]
    assert chosen["key exchange"] == "mlkem768x25519-sha256"
    assert chosen["compression"] == "none"
    assert "gcm" in chosen["encryption"]


async def test_strict_refuses_a_classic_client(serve: Serve) -> None:
    """Without post-quantum key exchange there is no talking to the strict profile."""
    async with serve('[crypto]\nprofile = "strict"') as door:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await asyncssh.connect(
                "127.0.0.1", door.port, known_hosts=None, config=None, kex_algs=["curve25519-sha256"]
            )


# -- channels ---------------------------------------------------------------------------------------------------------


async def test_one_channel_too_many_is_refused(door: Door) -> None:
    """The eleventh session of a connection is refused with a reason; the other ten go on."""
    async with door.connect("home") as connection:
        channels = [await RawChannel.open(connection) for _ in range(10)]
        with pytest.raises(asyncssh.ChannelOpenError, match="too many sessions on this connection") as refused:
            await RawChannel.open(connection)
        assert refused.value.code == asyncssh.OPEN_RESOURCE_SHORTAGE
        for channel in (channels[0], channels[9]):
            assert await channel.ask("exec", String("echo still here"))
            await until(lambda channel=channel: channel.heard.closed)  # type: ignore[misc]  # (bound at once)
            assert channel.heard.out == "still here\n"
        assert (await ask(connection, "echo room again")).out == "room again\n"


@pytest.mark.parametrize("first", ["shell", "exec"])
async def test_a_channel_runs_one_thing(door: Door, first: str) -> None:
    """A second shell, exec or terminal on a channel that has one is refused, and runs nothing."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal()
        with door.waiting_printer():
            assert await raw.ask(first, *([String("on printer")] if first == "exec" else []))
            assert not await raw.ask("exec", String("on desk"))
            assert not await raw.ask("shell")
            assert not await raw.terminal()
    await until(lambda: door.audit("session.closed"))
    assert len(door.audit("session.opened")) == 1
    assert not any(event["devices"] == ["light.desk"] for event in door.audit("order.done"))


async def test_environment_is_an_allow_list(door: Door) -> None:
    """A client may set what a terminal needs, in bounded number and size, and nothing else."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        for name in ("TERM", "LANG", "LC_ALL", "LC_CTYPE", "COLORTERM", "NO_COLOR", "TZ"):
            assert await raw.ask("env", String(name), String("yes")), name
        for name in ("PATH", "LD_PRELOAD", "LANGUAGE", "lc_all", "SSH_ORIGINAL_COMMAND", ""):
            assert not await raw.ask("env", String(name), String("no")), name
        assert not await raw.ask("env", String("LC_BIG"), String("x" * 4096))
        granted = [await raw.ask("env", String(f"LC_{number}"), String("x")) for number in range(30)]
        assert granted == [True] * 25 + [False] * 5
        channel, _ = session_of(server_side(door))
        kept = channel.get_environment_bytes()
        assert len(kept) == 32
        assert all(name.startswith(b"LC_") or value == b"yes" for name, value in kept.items())


async def test_a_command_may_be_any_bytes(door: Door) -> None:
    """Bytes of a command that are not UTF-8 reach the order as U+FFFD, instead of being refused without a word."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("exec", String(b"echo caf\xc3\xa9 caf\xe9 \xff\xfe."))
        await until(lambda: raw.heard.closed)
    assert (raw.heard.out, raw.heard.status) == ("café caf\ufffd \ufffd\ufffd.\n", 0)


# -- slow readers -----------------------------------------------------------------------------------------------------

ANSWERS = 300


def ask_for_much(channel: RawChannel) -> None:
    """Give a batch orders whose answers are a few megabytes."""
    channel.channel.write("list --json\n" * ANSWERS)
    channel.channel.write_eof()


async def test_output_waits_for_a_client_that_does_not_read(door: Door) -> None:
    """While a client reads nothing its batch stands still, with a bounded part of the output held; then all comes."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection, window=2**30)
        ours = server_side(door)
        assert ours._socket is not None
        ours._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs = connection._transport
        assert theirs is not None
        theirs.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert await raw.ask("shell")
        theirs.pause_reading()
        ask_for_much(raw)
        await until(lambda: ours.write_paused)
        channel, session = session_of(ours)
        await until(lambda: not session._writable.is_set())
        assert ours._transport is not None
        assert ours._transport.get_write_buffer_size() < module._WRITE_HIGH + 64 * 1024
        assert channel.get_write_buffer_size() < 128 * 1024
        assert len(door.audit("order.done")) < ANSWERS
        theirs.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        theirs.resume_reading()
        await until(lambda: raw.heard.closed)
    assert raw.heard.status == 0
    lines = raw.heard.out.splitlines()
    assert len(lines) == ANSWERS
    assert len(set(lines)) == 1


async def test_output_waits_for_a_key_exchange_that_never_ends(door: Door) -> None:
    """A client that begins a key exchange and never goes on with it cannot make packets pile up."""
    async with door.wire() as wire:
        await wire.log_in("home", door.key("home"))
        raw = await RawChannel.open(wire, window=2**30)
        assert await raw.ask("shell")
        ask_for_much(raw)
        wire.ignored.add(20)
        wire._send_kexinit()
        ours = server_side(door)
        await until(lambda: len(ours._deferred_packets) > module._DEFERRED_HIGH)
        _, session = session_of(ours)
        await until(lambda: not session._writable.is_set())
        assert len(ours._deferred_packets) < module._DEFERRED_HIGH + 10
        assert len(door.audit("order.done")) < ANSWERS


async def test_a_client_that_never_opens_its_window_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell whose client takes no output at all, nor the end, is over when more than `slow_reader` waits for it."""
    async with serve('[limits]\nslow_reader = "16KiB"') as door, door.connect("home") as connection:
        raw = await RawChannel.open(connection, window=0)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: list(door.server.visitors.sessions))
        monkeypatch.setattr(raw.channel, "process_packet", lambda *_: True)
        channel, _ = session_of(server_side(door))
        (session,) = door.server.visitors.sessions
        for _ in range(1000):
            if session.tell is not None:
                session.tell("the front door is open")
        await until(lambda: not list(door.server.visitors.sessions))
        assert channel.get_write_buffer_size() == 0
        assert (await ask(connection, "echo the connection lives on")).status == 0


# -- what we lean on --------------------------------------------------------------------------------------------------

#: Methods of asyncssh that we override, or call though they are private: the params that we count on.
METHODS: dict[type, dict[str, str]] = {
    asyncssh.SSHServerConnection: {
        "__init__": "loop options acceptor error_handler wait",
        "connection_made": "transport",
        "data_received": "data datatype",
        "_finish_recv_packet": "pkttype seq _task is_async",
        "pause_writing": "",
        "resume_writing": "",
        "_send": "data",
        "_force_close": "exc",
        "send_packet": "pkttype args handler",
        "_send_deferred_packets": "",
        "_send_kexinit": "",
        "_get_extra_kex_algs": "",
        "add_channel": "chan",
        "_process_channel_open": "_pkttype _pktid packet",
        "_process_hostkeys_prove_00_at_openssh_dot_com_global_request": "packet",
        "_report_global_response": "result",
        "send_channel_open_failure": "send_chan code reason lang",
        "_login_timer_callback": "",
        "create_server_channel": "encoding errors window max_pktsize",
        "_update_recv_pktlen": "max_pktsize",
        "reload_config": "",
        "_process_userauth_request": "_pkttype _pktid packet",
        "public_key_auth_supported": "",
        "password_auth_supported": "",
        "kbdint_auth_supported": "",
        "get_kbdint_challenge": "username lang submethods",
        "validate_kbdint_response": "username responses",
        "validate_password": "username password",
        "validate_public_key": "username key_data msg signature",
        "send_userauth_success": "",
        "send_userauth_failure": "partial_success",
        "get_key_option": "option default",
    },
    asyncssh.SSHServerChannel: {
        "__init__": "conn loop allow_pty line_editor line_echo line_history max_line_length encoding errors window "
        "max_pktsize",
        "_flush_send_buf": "",
        "_flush_recv_buf": "exc",
        "_accept_data": "data datatype",
        "_process_pty_req_request": "packet",
        "_pause_resume_writing": "",
        "_process_env_request": "packet",
        "_process_exec_request": "packet",
        "_start_session": "command subsystem",
    },
}
#: Attributes of a live connection and a live channel that we read or write.
ATTRIBUTES: dict[type, set[str]] = {
    asyncssh.SSHServerConnection: {
        *("_allow_pty", "_auth_complete", "_channels", "_deferred_packets", "_encoding", "_errors", "_inpbuf"),
        *("_line_echo", "_line_editor", "_line_history", "_loop", "_max_line_length", "_max_pktsize", "_transport"),
        *(
            "_all_server_host_keys",
            "_auth_in_progress",
            "_client_version",
            "_login_timer",
            "_kex_algs",
            "_mac_algs",
            "_username",
            "_window",
        ),
        "_session_id",
    },
    asyncssh.SSHServerChannel: {
        "_recv_buf",
        "_recv_paused",
        "_session",
        "_session_started",
        "_conn",
        "_env",
        "_recv_state",
        "_send_chan",
        "_send_state",
    },
}


def test_we_lean_on_asyncssh_2_24_alone() -> None:
    """The project pins the one minor version of asyncssh, from 2.24.1 on, whose private parts are tested below."""
    required = [line for line in importlib.metadata.requires("sshhome") or () if line.startswith("asyncssh")]
    assert [set(line.removeprefix("asyncssh").split(",")) for line in required] == [{">=2.24.1", "<2.25"}]
    installed = tuple(int(part) for part in importlib.metadata.version("asyncssh").split("."))
    assert (2, 24, 1) <= installed < (2, 25)


@pytest.mark.parametrize(
    ("base", "name"),
    [(base, name) for base, names in METHODS.items() for name in names],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_asyncssh_2_24_has_the_methods_we_lean_on(base: type, name: str) -> None:
    """A method that we override or call still exists and takes what we count on (asyncssh >=2.24.1,<2.25)."""
    method: Callable[..., Any] = getattr(base, name)
    parameters = list(inspect.signature(method).parameters)[1:]
    assert parameters == METHODS[base][name].split()


async def test_asyncssh_2_24_has_the_attributes_we_lean_on(door: Door) -> None:
    """A live connection and channel of asyncssh have the attributes that we read or write (>=2.24.1,<2.25)."""
    async with door.connect("home") as connection:
        await RawChannel.open(connection)
        ours = server_side(door)
        channel, _ = session_of(ours)
        ordinary = asyncssh.SSHServerConnection(asyncio.get_running_loop(), ours._options)
        ordinary._cancel_login_timer()
        missing = {name for name in ATTRIBUTES[asyncssh.SSHServerConnection] if not hasattr(ordinary, name)}
        missing |= {name for name in ATTRIBUTES[asyncssh.SSHServerChannel] if not hasattr(channel, name)}
    assert not missing


def test_nothing_else_is_leaned_on() -> None:
    """Every override and every private name of asyncssh that our code mentions is pinned by the tests above."""
    ours: dict[type, Sequence[type]] = {
        asyncssh.SSHServerConnection: (Authentication, Connection),
        asyncssh.SSHServerChannel: (Channel,),
    }
    pinned: set[str] = set()
    own: set[str] = set()
    for base, names in METHODS.items():
        parts = {name: value for part in ours[base] for name, value in vars(part).items()}
        overridden = {name for name in parts if hasattr(base, name) and inspect.isfunction(parts[name])}
        assert overridden <= set(names)
        own |= set(parts) - overridden
        pinned |= set(names) | ATTRIBUTES[base]
    trees = [ast.parse(inspect.getsource(part)) for part in (authentication, module)]
    own |= _set_in_init(trees[0]) | _set_in_init(trees[1])
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    mentioned = {node.attr for node in nodes if node.attr.startswith("_")}
    assert mentioned - own <= pinned


def _set_in_init(tree: ast.Module) -> set[str]:
    """Return the attributes that the classes of a module give themselves when they are made."""
    inits: Sequence[ast.AST] = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return {
        node.attr
        for init in inits
        for node in ast.walk(init)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
