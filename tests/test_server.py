"""Who is let in, as whom, and who is turned away: identity, counting, bans, caps, key options, and what is refused."""

import asyncio
import contextlib
import json
import math
import socket
import struct
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import argon2
import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from sshhome import app, resources
from sshhome import server as server_module
from sshhome.app import Site
from sshhome.authentication import Proof
from sshhome.config import split_address
from sshhome.errors import SiteError
from sshhome.password import PARALLEL, hash_password
from tests.client import Answer, Door, RawChannel, Reply, Terminal, Wire, ask, until
from tests.conftest import FixedClock, NoChance
from tests.loop import advance, turns

Serve = Callable[..., AbstractAsyncContextManager[Door]]
BANNED = "too many failed logins from 127.0.0.66, try again in 1 min"


def public(door: Door, name: str) -> str:
    """Return a person's public key line."""
    return (door.keys / f"{name}.pub").read_text().strip()


def write_user(door: Door, login: str, *keys: str, role: str = "resident", password: str = "") -> None:
    """Write a user's file anew."""
    text = f"roles = ['{role}']\nkeys = [{', '.join(repr(key) for key in keys)}]\n"
    if password:
        text += f"password = '{hash_password(password)}'\n"
    (door.site.path / "authorized_users" / f"{login}.toml").write_text(text)


async def whoami(connection: asyncssh.SSHClientConnection) -> Any:  # noqa: ANN401 (JSON)
    """Return what the server takes a client for."""
    return (await ask(connection, "whoami --json")).json


# -- identity is what was proven --------------------------------------------------------------------------------------


async def test_an_offered_key_proves_nothing(door: Door) -> None:
    """Who offers the admin's key and then logs in by their own is themselves, in every order and in the audit log."""
    async with door.wire() as wire:
        wire.ask_key("home", door.key("home"))
        assert await wire.reply() == Reply("this key would do")
        await wire.log_in("guest", door.key("guest"))
        me = await whoami(wire)
        assert (await ask(wire, "unlock front_door")).status == 77
    assert (me["user"], me["method"], me["key"]) == ("guest", "publickey", door.key("guest").get_fingerprint())
    (event,) = door.audit("login.ok")
    assert (event["user"], event["key"]) == ("guest", me["key"])
    assert {e["user"] for e in door.audit() if e["event"].startswith(("session", "order"))} == {"guest"}


async def test_an_offered_key_does_not_stick_to_a_password(door: Door) -> None:
    """Who offers the admin's key and then logs in by a password is the user of the password, without any key."""
    write_user(door, "low", role="viewer", password="low but long")
    async with door.wire() as wire:
        wire.ask_key("home", door.key("home"))
        assert await wire.reply() == Reply("this key would do")
        wire.ask_password("low", "low but long")
        assert await wire.reply() == Reply("success")
        me = await whoami(wire)
    assert (me["user"], me["method"], me["key"]) == ("low", "password", "")
    assert [(e["user"], e["method"], e.get("key")) for e in door.audit("login.ok")] == [("low", "password", None)]


async def test_name_and_key_must_match(door: Door) -> None:
    """A signature counts only for the key it is by, the name it was made for, and a user who has that key."""
    home, guest = door.key("home"), door.key("guest")
    async with door.wire() as wire:
        wire.ask_key("home", home)
        assert await wire.reply() == Reply("this key would do")
        wire.ask_key("home", guest, signer=guest)
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", home, signer=guest)
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", guest, signer=guest, signed_for="guest")
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("guest", home, signer=home)
        assert (await wire.reply()).kind == "failure"
    assert [e["user"] for e in door.audit("login.failed")] == ["home", "home", "home", "guest"]
    assert not door.audit("login.ok")


async def test_a_name_changed_during_the_check_gains_nothing(door: Door) -> None:
    """While a valid password is being checked, changing to the admin's name logs nobody in (asyncssh before 2.24.1)."""
    write_user(door, "low", role="viewer", password="low but long")
    release = busy_hashing(door)
    async with door.wire() as wire:
        wire.ask_password("low", "low but long")
        await until(lambda: attempts(door) == [1])
        wire.ask_none("home")
        assert (await wire.reply()).kind == "failure"
        release.set()
        wire.ask_key("home", door.key("home"))
        assert await wire.reply() == Reply("this key would do")
    assert not door.audit("login.ok")


async def test_success_needs_a_proof_of_its_own(door: Door) -> None:
    """Should asyncssh ever say yes without an attempt, or after one for another name, the answer is still no."""
    async with door.wire() as wire:
        wire.ask_none("home")
        assert (await wire.reply()).kind == "failure"
        (visitor,) = door.server.visitors
        for proof in (None, Proof("guest", "password")):
            visitor.connection._proof = proof
            await visitor.connection.send_userauth_success()
            assert (await wire.reply()).kind == "failure"
    assert not door.audit("login.ok")


@pytest.mark.parametrize(
    "name", ["", "\u00ad", "HOME", "home ", "../home", "home.toml", "home\u200b.", "h" * 33, "root"]
)
async def test_only_a_user_s_own_name_lets_in(door: Door, name: str) -> None:
    """No empty, padded, folded or path-like name is anybody, whatever proof comes with it."""
    home = door.key("home")
    async with door.wire() as wire:
        wire.ask_none(name)
        assert (await wire.reply()).kind == "failure"
        wire.ask_key(name, home)
        assert (await wire.reply()).kind == "failure"
        wire.ask_key(name, home, signer=home)
        assert (await wire.reply()).kind == "failure"
        wire.ask_password(name, "correct horse")
        assert (await wire.reply()).kind == "failure"
    assert len(door.audit("login.failed")) == 2
    assert not door.audit("login.ok")


async def test_a_certificate_of_one_s_own_making_is_nothing(door: Door) -> None:
    """A certificate for the admin's name, signed by any key at all, is a failed login."""
    for authority in ("attacker", "home"):
        mine = door.key("attacker")
        certificate = door.key(authority).generate_user_certificate(mine, "me", principals=["home"])
        async with door.wire() as wire:
            wire.ask_key("home", certificate, signer=mine)
            assert (await wire.reply()).kind == "failure"
    assert len(door.audit("login.failed")) == 2


async def test_sha1_signatures_are_refused(door: Door) -> None:
    """An RSA key logs in with SHA-2 and not with the SHA-1 signatures of `ssh-rsa`, which are forgeable."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    write_user(door, "old", key.export_public_key().decode().strip())
    async with door.wire() as wire:
        wire.ask_key("old", key, signer=key, algorithm="ssh-rsa")
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("old", key, signer=key, algorithm="rsa-sha2-256")
        assert await wire.reply() == Reply("success")
    assert len(door.audit("login.failed")) == 1


# -- the same answer for everyone -------------------------------------------------------------------------------------


class Recording(argon2.PasswordHasher):
    """The real hasher, which notes what it was asked."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.asked: list[argon2.Parameters] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002, ANN401 (argon2's own signature)
        """Note the cost of a check, and make it."""
        self.asked.append(argon2.extract_parameters(str(hash)))
        return super().verify(hash, password)


async def test_nobody_learns_who_exists(door: Door) -> None:
    """Unknown user, user without password and wrong password answer the same after the same hash of the same cost."""
    recording = door.server.visitors.passwords._hasher = Recording()
    heard: list[tuple[Reply, ...]] = []
    for name in ("nobody", "guest", "home"):
        async with door.wire() as wire:
            wire.ask_none(name)
            none = await wire.reply()
            wire.ask_key(name, door.key("attacker"))
            key = await wire.reply()
            wire.ask_password(name, "correct donkey")
            heard.append((none, key, await wire.reply()))
            assert len(recording.asked) == len(heard)
    assert heard == [(Reply("failure", "publickey,password"),) * 3] * 3
    assert len({(p.type, p.time_cost, p.memory_cost, p.parallelism, p.hash_len) for p in recording.asked}) == 1
    assert [e["user"] for e in door.audit("login.failed")] == ["nobody", "guest", "home"]


async def test_methods_are_the_same_for_everyone(site: Site, serve: Serve) -> None:
    """A house in which nobody has a password offers none, to no name."""
    path = site.path / "authorized_users" / "home.toml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("password")))
    async with serve() as door:
        for name in ("nobody", "guest", "home"):
            async with door.wire() as wire:
                wire.ask_none(name)
                assert await wire.reply() == Reply("failure", "publickey")


# -- exactly once -----------------------------------------------------------------------------------------------------


def attempts(door: Door) -> Sequence[int]:
    """Return how many login attempts each open connection has made."""
    return [visitor.connection._attempts for visitor in door.server.visitors]


def busy_hashing(door: Door) -> threading.Event:
    """Keep every thread that checks passwords busy until the event is set."""
    release = threading.Event()
    for _ in range(PARALLEL):
        door.server.visitors.passwords._pool.submit(release.wait, 20)
    return release


async def probes(door: Door, wire: Wire) -> None:
    """Ask for nothing, and about keys."""
    for key in ("attacker", "home", "guest"):
        wire.ask_none("home")
        await wire.reply()
        wire.ask_key("home", door.key(key))
        await wire.reply()


async def bad_signature(door: Door, wire: Wire) -> None:
    """Sign with another key."""
    wire.ask_key("home", door.key("home"), signer=door.key("attacker"))
    await wire.reply()


async def wrong_password(_door: Door, wire: Wire) -> None:
    """Give a wrong password."""
    wire.ask_password("home", "wrong horse")
    await wire.reply()


async def names_alone(_door: Door, wire: Wire) -> None:
    """Ask as people who do not exist, without any proof."""
    for name in ("root", "admin", "pi"):
        wire.ask_none(name)
        await wire.reply()


async def pipelined(door: Door, wire: Wire) -> None:
    """Give three wrong passwords at once; the server answers the last alone."""
    release = busy_hashing(door)
    for guess in ("wrong horse 1", "wrong horse 2", "wrong horse 3"):
        wire.ask_password("home", guess)
    await until(lambda: attempts(door) == [3])
    release.set()
    assert (await wire.reply()).kind == "failure"


async def cut_during_the_check(door: Door, wire: Wire) -> None:
    """Leave while the password is being checked."""
    release = busy_hashing(door)
    wire.ask_password("home", "correct horse")
    await until(lambda: attempts(door) == [1])
    wire.abort()
    await until(lambda: not door.server.visitors)
    release.set()


@pytest.mark.parametrize(
    ("attack", "failures"),
    [
        (probes, 0),
        (bad_signature, 1),
        (wrong_password, 1),
        (names_alone, 1),
        (pipelined, 3),
        (cut_during_the_check, 1),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_failures_count_exactly_once(
    door: Door, attack: Callable[[Door, Wire], Awaitable[None]], failures: int
) -> None:
    """Each failed attempt counts once, however it ends; questions count nothing, and unknown names once in all."""
    async with door.wire(source="127.0.0.66") as wire:
        await attack(door, wire)
    await until(lambda: not door.server.visitors)
    assert len(door.audit("login.failed")) == failures
    assert len(door.server.visitors.bans.explain("127.0.0.66").failures) == failures
    assert not door.audit("login.ok")


async def test_the_last_of_pipelined_passwords_may_be_right(door: Door) -> None:
    """A right password after a pipelined wrong one lets in, and the wrong one counts."""
    release = busy_hashing(door)
    async with door.wire() as wire:
        wire.ask_password("home", "wrong horse")
        wire.ask_password("home", "correct horse")
        await until(lambda: attempts(door) == [2])
        release.set()
        assert await wire.reply() == Reply("success")
    assert len(door.audit("login.failed")) == 1
    assert len(door.audit("login.ok")) == 1


# -- bans and caps, before any key exchange ---------------------------------------------------------------------------


async def refusal(door: Door, source: str = "127.0.0.1") -> tuple[bytes, int, str]:
    """Return what a refused client reads, to the end: the version line, and the disconnect's code and reason."""
    # It speaks first, as clients do, before the server gets to see it: a careless close would reset what it is told.
    knock = socket.create_connection(("127.0.0.1", door.port), source_address=(source, 0))
    knock.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
    reader, writer = await asyncio.open_connection(sock=knock)
    async with asyncio.timeout(20):
        version, _, packet = (await reader.read(-1)).partition(b"\r\n")
    writer.close()
    length, padding = struct.unpack_from(">IB", packet)
    assert len(packet) == length + 4
    kind, code, size = struct.unpack_from(">BII", packet, 5)
    assert (kind, len(packet) % 8) == (1, 0)
    reason = packet[14 : 14 + size]
    assert packet[14 + size : len(packet) - padding] == String("en")
    return version, code, reason.decode()


async def get_banned(door: Door, source: str = "127.0.0.66") -> None:
    """Fail to log in five times."""
    for _ in range(2):
        async with door.wire(source=source) as wire:
            for _ in range(3):
                await bad_signature(door, wire)
                if door.audit("ban.set"):
                    return


async def test_a_banned_source_is_told_before_any_key_exchange(door: Door) -> None:
    """A banned source reads the version and a plain disconnect with the reason, and nothing is made for it."""
    await get_banned(door)
    await until(lambda: not door.server.visitors)
    assert await refusal(door, "127.0.0.66") == (b"SSH-2.0-sshhome", asyncssh.DISC_TOO_MANY_CONNECTIONS, BANNED)
    assert not door.server.visitors
    assert (await door.ask("guest", "echo others are not", source="127.0.0.67")).status == 0
    (ban,) = door.audit("ban.set")
    assert (ban["source"], ban["count"], ban["rule"]) == ("127.0.0.66", 1, "too many failed logins")
    assert ban["evidence"] == "5 as home"
    assert len(door.audit("login.failed")) == 5
    assert [(e["source"], e["reason"]) for e in door.audit("connection.refused")] == [("127.0.0.66", BANNED)]


async def test_a_ban_binds_connections_that_are_open_already(door: Door) -> None:
    """A connection made before the ban is hung up on at its next attempt, right or wrong; who is in stays in."""
    async with (
        door.connect("guest", source="127.0.0.66") as inside,
        door.wire(source="127.0.0.66") as by_key,
        door.wire(source="127.0.0.66") as by_password,
    ):
        await get_banned(door)
        by_key.ask_key("home", door.key("home"), signer=door.key("home"))
        assert await by_key.reply() == Reply("disconnected", BANNED)
        by_password.ask_password("home", "correct horse")
        assert await by_password.reply() == Reply("disconnected", BANNED)
        assert (await ask(inside, "echo still here")).out == "still here\n"
    assert len(door.audit("login.failed")) == 5
    assert [e["user"] for e in door.audit("login.ok")] == ["guest"]
    assert [e["event"] for e in door.audit() if e["event"].startswith("session")] == [
        "session.opened",
        "session.closed",
    ]


@pytest.mark.parametrize(
    ("limits", "sources"),
    [
        ("connections_per_source = 2", ["127.0.0.1", "127.0.0.1"]),
        ("connections = 3", ["127.0.0.1", "127.0.0.7", "127.0.0.8"]),
        ("startups_per_source = 2", ["127.0.0.1", "127.0.0.1"]),
        ("startups = '3:30:100'", ["127.0.0.1", "127.0.0.7", "127.0.0.8"]),
    ],
)
async def test_at_a_cap_the_server_is_busy(serve: Serve, limits: str, sources: Sequence[str]) -> None:
    """One connection too many, from a source or in all, reads `server busy, try later`; one that ends makes room."""
    async with serve(f"[limits]\n{limits}") as door:
        open_ones = [await asyncio.open_connection("127.0.0.1", door.port, local_addr=(s, 0)) for s in sources]
        await until(lambda: len(door.server.visitors) == len(sources))
        told = (b"SSH-2.0-sshhome", asyncssh.DISC_TOO_MANY_CONNECTIONS, "server busy, try later")
        assert await refusal(door) == told
        answer = await door.ask("home", "on kitchen")
        assert (answer.err, answer.status) == ("disconnected: server busy, try later\n", 255)
        if "per_source" in limits:
            assert (await door.ask("guest", "echo others may", source="127.0.0.9")).status == 0
        open_ones[0][1].close()
        await until(lambda: len(door.server.visitors) == len(sources) - 1)
        assert (await door.ask("home", "echo room again")).status == 0
        for _, writer in open_ones:
            writer.close()
    assert [e["reason"] for e in door.audit("connection.refused")] == ["server busy, try later"] * 2


async def test_rude_banned_clients_leave_nothing(door: Door) -> None:
    """Banned clients that knock and leave at once, or talk before they listen, leave no socket and no count behind."""
    await get_banned(door)
    before = asyncio.all_tasks()
    for number in range(200):
        with socket.socket() as knock:
            knock.setblocking(False)
            knock.bind(("127.0.0.66", 0))
            await asyncio.get_running_loop().sock_connect(knock, ("127.0.0.1", door.port))
            if number % 2:
                await asyncio.get_running_loop().sock_sendall(knock, b"SSH-2.0-rude\r\n" + b"\0" * 1000)
            else:
                knock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: len(door.audit("connection.refused")) + door.server.door.refusals.hidden == 200)
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})
    assert not door.server.visitors
    assert not door.server.door.sources


async def test_who_logs_in_makes_room(serve: Serve) -> None:
    """A login that is under way keeps others out at the cap, and one that has succeeded does not."""
    for limits in ("startups_per_source = 1", "startups = '1:30:1'"):
        async with serve(f"[limits]\n{limits}") as door, door.wire() as wire:
            assert (await door.ask("home", "echo in")).err == "disconnected: server busy, try later\n"
            await wire.log_in("home", door.key("home"))
            assert (await door.ask("home", "echo in")).out == "in\n"
            await until(lambda door=door: door.server.door.sources["127.0.0.1"] == 1)  # type: ignore[misc]  # (bound at once)
            assert not door.server.door.waiting


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-rude\r\n", b"GET / HTTP/1.1\r\n\r\n"], ids=["none", "SSH", "HTTP"])
async def test_rude_clients_leave_nothing(serve: Serve, words: bytes) -> None:
    """Clients that may come in and reset the connection at once, whatever they say, leave no place taken."""
    async with serve("[bans]\nnever = ['127.0.0.0/8']") as door:
        before = len(asyncio.all_tasks())
        for number in range(100):
            knock = socket.create_connection(("127.0.0.1", door.port))
            knock.sendall(words)
            if number % 3:
                await turns()
            knock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            knock.close()
        await turns()
        await until(lambda: not door.server.visitors and not door.server.door._arriving)
        # The server's own come and go.
        await until(lambda: len(asyncio.all_tasks()) < before + 5)
        assert not door.server.door.sources
        assert not door.server.door.waiting
        assert not door.audit("connection.refused")


async def test_who_arrives_while_the_door_closes_is_not_left_behind(site: Site, clock: FixedClock) -> None:
    """A connection that was accepted and not yet made when the server closes does not outlive it."""
    async with app.running(site, ["127.0.0.1:0"], clock, NoChance()) as running:
        server, port = running.server, split_address(running.addresses[0])[1]
        knock = socket.create_connection(("127.0.0.1", port))
        # What the loop would do in its next turn.
        server.door._accept(server.door._sockets[0], server._connection)
        assert server.door._arriving
    await turns()
    left = list(server.visitors)
    for visitor in left:
        visitor.connection.abort()
    await until(lambda: not server.visitors)
    knock.close()
    assert not left


async def test_hidden_refusals_are_told_by_and_by(serve: Serve, clock: FixedClock) -> None:
    """A server tells how many refusals it did not name once their time is over, and at its end."""

    def knock() -> None:
        for _ in range(25):
            socket.create_connection(("127.0.0.1", door.port), source_address=("127.0.0.66", 0)).close()

    async with serve() as door:
        await get_banned(door)
        knock()
        await until(lambda: door.server.door.refusals.hidden == 5)
        clock.advance(10)
        await until(lambda: [e["hidden"] for e in door.audit("connection.refused") if "hidden" in e] == [5])
        knock()
        await until(lambda: door.server.door.refusals.hidden == 5)
    assert [e["hidden"] for e in door.audit("connection.refused") if "hidden" in e] == [5, 5]
    assert door.audit()[-1]["event"] == "server.stopped"


# -- where it listens -------------------------------------------------------------------------------------------------


@pytest.fixture
def ipv6() -> None:
    """Skip a test where there is no IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")


async def greeting(address: str) -> bytes:
    """Return the first line that is heard at an address."""
    reader, writer = await asyncio.open_connection(*split_address(address))
    line = await reader.readline()
    writer.close()
    return line


async def test_several_addresses(site: Site, clock: FixedClock) -> None:
    """A server listens on each of its addresses, and names them with the ports it got."""
    async with app.running(site, ["127.0.0.1:0", "127.0.0.2:0"], clock, NoChance()) as running:
        assert [split_address(address)[0] for address in running.addresses] == ["127.0.0.1", "127.0.0.2"]
        assert [await greeting(address) for address in running.addresses] == [b"SSH-2.0-sshhome\r\n"] * 2


@pytest.mark.usefixtures("ipv6")
async def test_a_name_of_several_addresses(site: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name such as `localhost` is listened for at all it stands for, IPv4 and IPv6, each once."""

    async def getaddrinfo(host: str, port: int, **how: object) -> Sequence[tuple[Any, ...]]:
        assert host == "localhost"
        four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        return [four, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)), four]

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        running = app.running(site, ["localhost:0"], clock, NoChance())
        server, addresses, _ = await running.__aenter__()
    try:
        assert [address.rpartition(":")[0] for address in addresses] == ["127.0.0.1", "[::1]"]
        assert [await greeting(address) for address in addresses] == [b"SSH-2.0-sshhome\r\n"] * 2
        assert len(server.door._sockets) == 2
    finally:
        await running.__aexit__(None, None, None)


class Counted(socket.socket):
    """A socket that is remembered, so that a test can see whether it was closed."""

    made: ClassVar[list[socket.socket]] = []

    def __init__(self, *how: Any) -> None:  # noqa: ANN401 (whatever a socket takes)
        """Be remembered."""
        super().__init__(*how)
        self.made.append(self)


@pytest.mark.parametrize(
    "addresses", [["{taken}"], ["127.0.0.1:0", "{taken}"], ["127.0.0.1:0", "{taken}", "127.0.0.2:0"]]
)
async def test_an_address_that_is_taken(
    site: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, addresses: Sequence[str]
) -> None:
    """Where one address is taken the server does not start, says which, and leaves no socket open on any other."""
    Counted.made.clear()
    monkeypatch.setattr(server_module, "socket", types.SimpleNamespace(**(vars(socket) | {"socket": Counted})))
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        listen = [address.format(taken=taken) for address in addresses]
        with pytest.raises(SiteError) as refused:
            async with app.running(site, listen, clock, NoChance()):
                pass
    assert refused.value.message == f"cannot listen on {taken}: Address already in use"
    left = [listener for listener in Counted.made if listener.fileno() != -1]
    for listener in left:
        listener.close()
    assert not left


async def test_a_name_of_which_one_address_is_taken(
    site: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a name stands for an address that is taken, those of its addresses that are free are let go too."""
    Counted.made.clear()
    with socket.create_server(("127.0.0.1", 0)) as other, monkeypatch.context() as patched:
        names = [("127.0.0.1", 0), other.getsockname(), ("127.0.0.2", 0)]

        async def getaddrinfo(*_: object, **how: object) -> Sequence[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", name) for name in names]

        patched.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        patched.setattr(server_module, "socket", types.SimpleNamespace(**(vars(socket) | {"socket": Counted})))
        with pytest.raises(SiteError, match="cannot listen on localhost:0: Address already in use"):
            async with app.running(site, ["localhost:0"], clock, NoChance()):
                pass
    assert [listener.fileno() for listener in Counted.made] == [-1, -1]


# -- a machine at its end ---------------------------------------------------------------------------------------------


async def test_a_machine_at_its_end_lets_nobody_else_in(
    door: Door, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While memory is short newcomers read that the server is busy, those who are in go on, and then all is well."""
    async with door.connect("home") as inside:
        for turn in range(2):
            monkeypatch.setattr(resources, "_memory_share", lambda: 0.9)
            await until(lambda: door.server.door.shortage)
            assert (await door.ask("guest", "echo in")).err == "disconnected: server busy, try later\n"
            assert door.audit("connection.refused")[-1]["rule"] == "resources"
            assert (await ask(inside, "echo still here")).out == "still here\n"
            monkeypatch.setattr(resources, "_memory_share", lambda: 0.1)
            await until(lambda: not door.server.door.shortage)
            assert (await door.ask("guest", "echo in")).out == "in\n"
            alerts = [event["reason"] for event in door.audit("alert.resources")]
            assert alerts == ["memory 90% of what there is, at most 50%"] * (turn + 1)
            clock.advance(600)


@pytest.mark.parametrize(("key", "what"), [("memory", "memory"), ("files", "open files")])
async def test_what_is_too_much_is_configured(serve: Serve, key: str, what: str) -> None:
    """`memory` and `files` are the shares above which nobody else is let in."""
    async with serve(f"[limits]\n{key} = 0.000001") as door:
        await until(lambda: door.server.door.shortage)
        assert (await door.ask("home", "echo in")).err == "disconnected: server busy, try later\n"
        (alert,) = door.audit("alert.resources")
        assert alert["reason"].startswith(f"{what} ")
        assert alert["reason"].endswith("at most 0%")


# -- sessions, orders and idleness of a user --------------------------------------------------------------------------

TOO_MANY = "error: server busy, try later (you have too many sessions open)\n"


@contextlib.asynccontextmanager
async def full_house(door: Door) -> AsyncIterator[tuple[Sequence[RawChannel], asyncssh.SSHClientConnection]]:
    """Open twenty batches as home, all that a user may have, and one more connection."""
    async with door.connect("home") as one, door.connect("home") as two, door.connect("home") as three:
        batches = [await RawChannel.open(connection) for connection in (one, two) for _ in range(10)]
        for batch in batches:
            assert await batch.ask("shell")
        await until(lambda: door.server.visitors.sessions.count("home") == 20)
        yield batches, three


async def test_a_user_has_so_many_sessions(door: Door) -> None:
    """The twenty-first session of a user, of whatever kind, is told so with status 75; the others go on."""
    async with full_house(door) as (batches, connection):
        assert await ask(connection, "echo one more") == Answer("", TOO_MANY, 75)
        for terminal in (False, True):
            raw = await RawChannel.open(connection)
            assert not terminal or await raw.terminal()
            assert await raw.ask("shell")
            await until(lambda raw=raw: raw.heard.closed)  # type: ignore[misc]  # (bound at once)
            out, err = (TOO_MANY.replace("\n", "\r\n"), "") if terminal else ("", TOO_MANY)
            assert (raw.heard.out, raw.heard.err, raw.heard.status) == (out, err, 75)
        assert (await door.ask("guest", "echo others may")).out == "others may\n"
        for batch in (batches[0], batches[19]):
            batch.channel.write("echo still here\n")
            await until(lambda batch=batch: batch.heard.out == "still here\n")  # type: ignore[misc]  # (bound at once)
        batches[7].channel.write_eof()
        await until(lambda: batches[7].heard.closed)
        assert (await ask(connection, "echo room again")).out == "room again\n"
    await until(lambda: not list(door.server.visitors.sessions))
    assert not [event for event in door.audit("order.done") if event["args"] == {"text": "one more"}]


async def test_a_session_too_many_is_told_in_json(door: Door) -> None:
    """Who asks for JSON gets the refusal of a session as JSON, like any other error."""
    async with full_house(door) as (_, connection):
        answer = await ask(connection, "list --json")
        told = {"code": "slow_down", "message": "server busy, try later", "hint": "you have too many sessions open"}
        assert (answer.out, json.loads(answer.err), answer.status) == ("", {"error": told}, 75)


async def test_a_session_too_many_is_written_down(door: Door) -> None:
    """That a user was refused a session stands in the audit log, as every refusal at a cap does."""
    async with full_house(door) as (_, connection):
        await ask(connection, "echo one more")
        (event,) = door.audit("session.refused")
    assert (event["user"], event["source"], event["channel"]) == ("home", "127.0.0.1", "exec")
    assert (event["reason"], event["rule"]) == ("server busy, try later", "limits.sessions_per_user")


async def test_orders_have_a_rate_whichever_way_they_come(serve: Serve, clock: FixedClock) -> None:
    """Orders of one user add up over exec, batch, shell and connections; another user's rate is their own."""
    async with serve("[limits]\norder_burst = 3") as door, door.connect("home") as one, door.connect("home") as two:
        assert (await ask(one, "echo one")).status == 0
        assert (await ask(two, "", stdin="echo two\n")).out == "two\n"
        async with Terminal.open(one) as terminal:
            await terminal.give("echo three", "three")
            await terminal.give("echo four", "error: 60 orders a minute, no more (try again in 1 s)")
        answer = await ask(two, "echo five --json")
        told = {"code": "slow_down", "message": "60 orders a minute, no more", "hint": "try again in 1 s"}
        assert (answer.out, json.loads(answer.err), answer.status) == ("", {"error": told}, 75)
        assert (await door.ask("guest", "echo others may")).status == 0
        clock.advance(1)
        assert (await ask(two, "echo six")).out == "six\n"
    assert [(e["order"], e["status"]) for e in door.audit("order.refused")] == [("echo four", 75), ("echo five", 75)]


UNUSED = Reply("disconnected", "no session was open for too long")


async def test_a_connection_without_a_session_is_ended(door: Door) -> None:
    """A connection that is logged in and has had no session for ten minutes is ended, with a word."""
    async with door.wire() as unused, door.wire() as used:
        await unused.log_in("home", door.key("home"))
        await used.log_in("guest", door.key("guest"))
        assert (await ask(unused, "echo in")).out == "in\n"
        await until(lambda: all(visitor.unused_since < math.inf for visitor in door.server.visitors))
        advance(599)
        door.server.visitors.look_after()
        assert (await ask(used, "echo in")).out == "in\n"
        advance(1)
        assert await unused.reply() == UNUSED
        assert (await ask(used, "echo still here")).out == "still here\n"


async def test_a_connection_knows_since_when_nobody_uses_it(door: Door) -> None:
    """A connection is unused from its login and from the end of its last session on, and not while it has one."""
    loop = asyncio.get_running_loop()
    async with door.wire() as wire:
        (visitor,) = door.server.visitors

        def unused() -> float:
            """Return for how long it has been unused; less than nothing while it is in use."""
            return loop.time() - visitor.unused_since

        assert unused() == -math.inf
        advance(20)
        await wire.log_in("home", door.key("home"))
        assert 0 <= unused() < 20
        one, two = [await RawChannel.open(wire) for _ in range(2)]
        for raw in (one, two):
            assert await raw.ask("shell")
        await until(lambda: len(list(door.server.visitors.sessions)) == 2)
        advance(500)
        one.channel.close()
        await until(lambda: len(list(door.server.visitors.sessions)) == 1)
        assert unused() == -math.inf
        two.channel.close()
        await until(lambda: not list(door.server.visitors.sessions))
        assert 0 <= unused() < 500
        advance(500)
        assert 500 <= unused() < 1000
        assert (await ask(wire, "echo in use again")).status == 0
        await until(lambda: 0 <= unused() < 500)


async def test_time_to_log_in_is_no_idleness(serve: Serve) -> None:
    """Who took longer to log in than a connection may be unused has as long as everybody to open a session."""
    async with serve('[limits]\nidle = "10s"') as door, door.wire() as wire:
        advance(11)
        await wire.log_in("home", door.key("home"))
        door.server.visitors.look_after()
        assert (await ask(wire, "echo in")).out == "in\n"


@pytest.mark.parametrize("ended", [False, True], ids=["not begun", "not closed"])
async def test_a_channel_without_a_session_is_no_session(
    door: Door, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    """A channel on which nothing runs, not yet or no longer, does not keep a connection from being ended."""
    async with door.wire() as wire:
        await wire.log_in("home", door.key("home"))
        raw = await RawChannel.open(wire)
        if ended:
            monkeypatch.setattr(raw.channel, "process_packet", lambda *_: True)
            raw.channel._send_request(b"exec", String("echo in"))
            await until(lambda: door.audit("session.closed"))
        advance(601)
        door.server.visitors.look_after()
        await turns()
        assert not door.server.visitors
        assert await wire.reply() == UNUSED


# -- options of a key -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "enters", "terminal"),
    [
        ("", True, True),
        ('from="127.0.0.0/8" ', True, True),
        ('from="10.0.0.0/8" ', False, False),
        ('FROM="10.0.0.0/8" ', False, False),
        ('expiry-time="20260603" ', True, True),
        ('expiry-time="20260601" ', False, False),
        ("restrict ", True, False),
        ("no-pty ", True, False),
        ('No-Pty,from="127.0.0.1/32",expiry-time="20270101" ', True, False),
    ],
)
async def test_key_options_bind(door: Door, options: str, *, enters: bool, terminal: bool) -> None:
    """A key's from=, expiry-time= and restrict or no-pty decide who enters with it, and who gets a terminal."""
    write_user(door, "opt", f"{options}{public(door, 'attacker')}")
    key = door.key("attacker")
    async with door.wire() as wire:
        wire.ask_key("opt", key)
        assert (await wire.reply()).kind == ("this key would do" if enters else "failure")
        wire.ask_key("opt", key, signer=key)
        assert (await wire.reply()).kind == ("success" if enters else "failure")
        if enters:
            assert await (await RawChannel.open(wire)).terminal() is terminal
            assert (await ask(wire, "echo in")).out == "in\n"
    assert len(door.audit("login.ok")) == enters
    assert len(door.audit("login.failed")) == (not enters)


@pytest.mark.parametrize("other", ['from="10.0.0.0/8" ', 'expiry-time="20260601" '])
async def test_the_line_that_admits_is_the_line_that_binds(door: Door, other: str) -> None:
    """Of two lines with the same key, the options of the one that lets in count, not those of one that would not."""
    line = public(door, "attacker")
    write_user(door, "opt", f"{other}{line}", f"restrict {line}")
    async with door.wire() as wire:
        await wire.log_in("opt", door.key("attacker"))
        assert not await (await RawChannel.open(wire)).terminal()


async def test_a_key_expires_while_the_server_runs(door: Door, clock: FixedClock) -> None:
    """A key is good until the second its expiry-time names, and not a login longer."""
    write_user(door, "opt", f'expiry-time="202606021300" {public(door, "attacker")}')
    assert (await door.ask("opt", "echo in", key="attacker")).status == 0
    clock.step(3599)
    assert (await door.ask("opt", "echo in", key="attacker")).status == 0
    clock.step(1)
    assert (await door.ask("opt", "echo in", key="attacker")).err == "permission denied\n"


# -- a user file that changes under a live connection -----------------------------------------------------------------


@pytest.mark.parametrize("idle", [False, True], ids=["shell", "idle"])
@pytest.mark.parametrize("removed", ["user", "key"])
async def test_removal_ends_live_connections(door: Door, removed: str, *, idle: bool) -> None:
    """When a user, or the key they came with, is removed, their connections end with the reason; others go on."""
    async with door.wire() as wire, door.wire() as other:
        await wire.log_in("guest", door.key("guest"))
        await other.log_in("home", door.key("home"))
        if not idle:
            raw = await RawChannel.open(wire)
            assert await raw.terminal()
            assert await raw.ask("shell")
            await until(lambda: "guest@house>" in raw.heard.out)
        if removed == "user":
            (door.site.path / "authorized_users" / "guest.toml").unlink()
        else:
            write_user(door, "guest", public(door, "attacker"), role="guest")
        assert await wire.reply() == Reply("disconnected", f"your {removed} was removed")
        assert (await ask(other, "echo still here")).out == "still here\n"
        await until(lambda: len(door.server.visitors) == 1)
    await until(lambda: len(door.audit("session.closed")) == len(door.audit("session.opened")))
    assert [e["user"] for e in door.audit("session.closed")] == ["home"] if idle else ["guest", "home"]
    assert (await door.ask("guest", "echo in")).err == "permission denied\n"


async def test_a_password_login_outlives_the_keys(door: Door) -> None:
    """Removing a key ends nobody who came by password; removing the user does, at the latest with the next order."""
    async with door.wire() as wire:
        wire.ask_password("home", "correct horse")
        assert await wire.reply() == Reply("success")
        door.site.users.edit("home", lambda file: file.update({"keys": [public(door, "attacker")]}))
        assert (await whoami(wire))["method"] == "password"
        raw = await RawChannel.open(wire)
        (door.site.path / "authorized_users" / "home.toml").unlink()
        # Whichever comes first, the order or the look at the user files.
        raw.channel._send_request(b"exec", String("on kitchen"))
        assert await wire.reply() == Reply("disconnected", "your user was removed")
    assert not [e for e in door.audit("order.done") if e["order"] == "on"]


async def test_a_changed_file_binds_at_the_next_order(door: Door) -> None:
    """What a user file says now decides the next order of a session that is open; a broken file changes nothing."""
    async with door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("shell")
        raw.channel.write("on --keep-going kitchen\n")
        await until(lambda: raw.heard.out == "kitchen is on\n")
        path = door.site.path / "authorized_users" / "guest.toml"
        text = path.read_text()
        path.write_text(text.replace('"guest"]', '"nonsense"]'))
        raw.channel.write("off kitchen\n")
        await until(lambda: raw.heard.out.endswith("kitchen is off\n"))
        path.write_text(text.replace('"guest"]', '"viewer"]'))
        raw.channel.write("on kitchen\n")
        await until(lambda: raw.heard.closed)
        assert (raw.heard.err, raw.heard.status) == ("error: 'on' needs the control privilege\n", 77)
    assert len(door.audit("user.refused")) == 1
    assert [e["event"] for e in door.audit() if e["event"].startswith("order")] == ["order.done"] * 2 + [
        "order.refused"
    ]


# -- what nobody gets, not even the admin -----------------------------------------------------------------------------


async def test_channels_other_than_orders_are_refused(door: Door) -> None:
    """Subsystems, X11 and agent forwarding are refused for the admin too, and begin no session."""
    cookie = (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String(b"0" * 32), UInt32(0))
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert not await raw.ask("x11-req", *cookie)
        assert not await raw.ask("auth-agent-req@openssh.com")
        assert not await raw.ask("nonsense@example.com")
        for name in (b"sftp", b"SFTP", b"scp", b"netconf", b"", b"\xff\xfe"):
            assert not await (await RawChannel.open(connection)).ask("subsystem", String(name)), name
        assert not list(door.server.visitors.sessions)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()
    assert not door.audit("session.opened")


@pytest.mark.parametrize(
    "command", ["scp -t /tmp", "scp -f host_keys/ssh_host_ed25519_key", "sh -c id", "/bin/sh", "sftp-server"]
)
async def test_programs_are_unknown_orders(door: Door, command: str) -> None:
    """What scp, sftp and a Unix shell would run is an unknown order like any other."""
    answer = await door.ask("home", command)
    assert (answer.out, answer.status) == ("", 127)
    assert answer.err.startswith(f"error: unknown order '{command.split(maxsplit=1)[0]}'")
    (event,) = door.audit("order.refused")
    assert (event["code"], event["order"]) == ("unknown_order", command)


async def forward(connection: asyncssh.SSHClientConnection, how: str, port: int) -> None:
    """Ask for one kind of forwarding."""
    match how:
        case "a TCP connection":
            await connection.open_connection("127.0.0.1", port)
        case "a socket":
            await connection.open_unix_connection("/tmp/any.sock")
        case "a TCP listener":
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port)
        case "a socket listener":
            await connection.forward_remote_path("/tmp/any.sock", "/tmp/other.sock")
        case "a tunnel":
            await connection.create_tun(asyncssh.SSHTunTapSession)
        case _:
            await connection.create_tap(asyncssh.SSHTunTapSession)


@pytest.mark.parametrize(
    "how", ["a TCP connection", "a socket", "a TCP listener", "a socket listener", "a tunnel", "an Ethernet tunnel"]
)
async def test_nothing_is_forwarded(door: Door, how: str) -> None:
    """No forwarding in either direction is granted, to the admin neither, and the connection goes on."""
    async with door.connect("home") as connection:
        with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ChannelListenError)):
            await forward(connection, how, door.port)
        assert (await ask(connection, "echo still here")).status == 0
    assert [e["user"] for e in door.audit("login.ok")] == ["home"]


async def test_every_session_is_audited(door: Door) -> None:
    """A login, and the beginning and the end of each session, are audit events that belong together."""
    await door.ask("guest", "echo hello")
    await until(lambda: door.audit("session.closed"))
    events = [e for e in door.audit() if not e["event"].startswith("server")]
    assert [e["event"] for e in events] == ["login.ok", "session.opened", "order.done", "session.closed"]
    key = door.key("guest").get_fingerprint()
    assert {e["user"] for e in events} == {"guest"}
    assert {e["key"] for e in events[:3]} == {key}
    assert {e["source"] for e in events[:3]} == {"127.0.0.1"}
    assert len({e["session"] for e in events[1:]}) == 1
    assert (events[1]["channel"], events[3]["orders"]) == ("exec", 1)
