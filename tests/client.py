"""How tests knock: through asyncssh's client in this process, or through the real OpenSSH client."""

import asyncio
import contextlib
import copy
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
import pyte
from asyncssh.auth import ClientAuth
from asyncssh.packet import Boolean, SSHPacket, String, UInt32

from sshhome.app import Site
from sshhome.config import split_address
from sshhome.device import Device
from sshhome.house import House
from sshhome.reload import Reload
from sshhome.server import Server

#: Seconds any single condition is waited for before a test fails.
PATIENCE = 60.0


def report(house: House, device: Device) -> None:
    """Let a device report itself, as by a switch on the wall; one that nobody told of is the first backend's."""
    told = house._told.get(device.id)
    reporter = told[0] if told else next(iter(house._reporters.values()))
    reporter.changed(device)


class Answer(NamedTuple):
    """What a client got: standard output, standard error and exit status; 255 is the connection's own failure."""

    out: str
    err: str
    status: int

    @property
    def json(self) -> Any:  # noqa: ANN401 (any JSON)
        """The output as JSON."""
        return json.loads(self.out)


class Door(NamedTuple):
    """A served house, and the keys to try on it."""

    server: Server
    site: Site
    address: str
    keys: Path
    reload: Reload

    @property
    def port(self) -> int:
        """The port it listens on."""
        return split_address(self.address)[1]

    def key(self, name: str) -> asyncssh.SSHKey:
        """Return a person's private key."""
        return asyncssh.read_private_key(self.keys / name)

    def audit(self, event: str = "") -> list[dict[str, Any]]:
        """Return the audit events so far, or those of one id."""
        text = (self.site.path / "state" / "audit.jsonl").read_text(encoding="utf-8")
        # A line across two pages of the file can be seen half, while another thread writes it.
        events = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [e for e in events if event in {"", e["event"]}]

    def orders(self) -> list[tuple[str, int]]:
        """Return the orders that the audit log knows of so far, each with its status."""
        return [(e["order"], e["status"]) for e in self.audit() if e["event"].startswith("order.")]

    @contextlib.contextmanager
    def waiting_printer(self) -> Iterator[Callable[[], None]]:
        """Let orders to switch.printer wait until the function that this yields is called: that it is on."""
        house = self.server.visitors.dispatch.house
        printer = house.devices["switch.printer"]

        def echo() -> None:
            report(house, printer.with_state({"on": True}))

        try:
            yield echo
        finally:
            echo()

    @contextlib.contextmanager
    def mute_printer(self) -> Iterator[None]:
        """Let orders to switch.printer end at once, not confirmed: it never answers."""
        house = self.server.visitors.dispatch.house
        before, house.confirm_within = house.confirm_within, 0.0
        try:
            yield
        finally:
            house.confirm_within = before

    @contextlib.asynccontextmanager
    async def connect(
        self, user: str, *, key: str | None = None, password: str | None = None, source: str = "127.0.0.1"
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Log in with a key named like the user, another one, or a password, from an address of the loopback net."""
        async with asyncssh.connect(
            "127.0.0.1",
            self.port,
            username=user,
            client_keys=None if password is not None else [str(self.keys / (key or user))],
            password=password,
            preferred_auth="password" if password is not None else "publickey",
            known_hosts=None,
            config=None,
            local_addr=(source, 0),
            agent_path=None,
        ) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def wire(self, *, source: str = "127.0.0.1", **options: Any) -> "AsyncIterator[Wire]":  # noqa: ANN401
        """Open a connection that has exchanged keys and waits to be told how to log in."""
        made = await asyncssh.SSHClientConnectionOptions.construct(
            None,
            username="",
            client_keys=None,
            known_hosts=None,
            config=None,
            agent_path=None,
            gss_host=None,
            **options,
        )
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_connection(
            lambda: Wire(loop, made), "127.0.0.1", self.port, local_addr=(source, 0)
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await wire.ready.wait()
            yield wire
        finally:
            wire.abort()
            await wire.wait_closed()
            transport.close()

    async def ask(self, user: str, line: str, *, stdin: str | None = None, **how: Any) -> Answer:  # noqa: ANN401
        """Give orders over a fresh connection; with `stdin`, the line is the options of a batch."""
        try:
            async with asyncio.timeout(PATIENCE), self.connect(user, **how) as connection:
                return await ask(connection, line, stdin=stdin)
        except asyncssh.PermissionDenied:
            return Answer("", "permission denied\n", 255)
        except asyncssh.DisconnectError as error:
            return Answer("", f"disconnected: {error.reason.partition(' (error ')[0]}\n", 255)
        except (ConnectionError, asyncssh.Error) as error:
            return Answer("", f"{type(error).__name__}\n", 255)

    async def openssh(self, program: str, user: str, *words: str, **how: Any) -> Answer:  # noqa: ANN401
        """Run the OpenSSH client with `words` as its command; `how` as in `ask`, and more `options` for the client."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.keys), "TERM": "xterm-256color"}
        password = how.get("password")
        options = ["-F", "none", "-p", str(self.port), "-b", how.get("source", "127.0.0.1")]
        options += ["-o", f"UserKnownHostsFile={self.keys}/known_{self.port}", "-o", "StrictHostKeyChecking=accept-new"]
        options += ["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", *how.get("options", ())]
        if password is None:
            options += ["-i", str(self.keys / (how.get("key") or user)), "-o", "BatchMode=yes"]
        else:
            helper = self.keys / "askpass"
            helper.write_text('#!/bin/sh\necho "$ANSWER"\n')
            helper.chmod(0o700)
            options += ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
            environment |= {"SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "ANSWER": password}
        return await run(
            program,
            *options,
            f"{user}@127.0.0.1",
            *(["--", *words] if words else []),
            stdin=how.get("stdin"),
            environment=environment,
        )


async def ask(connection: asyncssh.SSHClientConnection, line: str | None, *, stdin: str | None = None) -> Answer:
    """Give orders on an open connection."""
    result = await connection.run(line, input=stdin, encoding="utf-8", errors="replace")
    status = result.exit_status if result.exit_status is not None else 255
    return Answer(str(result.stdout), str(result.stderr), status)


async def run(program: str, *args: str, stdin: str | None = None, environment: dict[str, str] | None = None) -> Answer:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        program,
        *args,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(None if stdin is None else stdin.encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return Answer(out.decode(errors="replace"), err.decode(errors="replace"), process.returncode or 0)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail when it does not come true in time."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


class Screen(pyte.Screen):
    """A screen with a second one that programs may take and give back, as xterm has it; pyte knows of none."""

    #: What the first one shows while the second is taken.
    below: tuple[dict[int, Any], int, int] | None = None

    def set_mode(self, *modes: int, **how: Any) -> None:  # noqa: ANN401 (pyte's own signature)
        """Take the second screen, besides what else there is."""
        super().set_mode(*modes, **how)
        if how.get("private") and 1049 in modes:
            self.below = (copy.deepcopy(dict(self.buffer)), self.cursor.x, self.cursor.y)

    def reset_mode(self, *modes: int, **how: Any) -> None:  # noqa: ANN401 (pyte's own signature)
        """Give it back, besides what else there is."""
        super().reset_mode(*modes, **how)
        if how.get("private") and 1049 in modes and self.below is not None:
            rows, self.cursor.x, self.cursor.y = self.below
            self.buffer.clear()
            self.buffer.update(rows)
            self.below = None


class Terminal:
    """A shell in a terminal of a given size: what is typed, and what the screen shows."""

    def __init__(self, process: "asyncssh.SSHClientProcess[str]", columns: int, rows: int) -> None:
        """Watch a process's output."""
        self.process = process
        self.screen = Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, connection: asyncssh.SSHClientConnection, columns: int = 80, rows: int = 24, term: str = "xterm-256color"
    ) -> "AsyncIterator[Terminal]":
        """Open a shell and wait for its prompt."""
        async with connection.create_process(
            term_type=term, term_size=(columns, rows), encoding="utf-8", errors="replace"
        ) as process:
            terminal = cls(process, columns, rows)
            await terminal.shows("> ")
            try:
                yield terminal
            finally:
                terminal._reading.cancel()
                process.close()

    async def _read(self) -> None:
        while text := await self.process.stdout.read(4096):
            self._stream.feed(text)

    def type(self, text: str) -> None:
        """Type; Enter is a carriage return."""
        self.process.stdin.write(text)

    async def shows(self, text: str) -> None:
        """Wait until the screen shows a text."""
        try:
            await until(lambda: any(text in line for line in self.screen.display))
        except TimeoutError:
            raise AssertionError(f"the screen never showed {text!r}:\n{self}") from None

    async def give(self, line: str, shows: str) -> None:
        """Type a line, press Enter, and wait for an answer and the next prompt."""
        self.type(f"{line}\r")
        await self.shows(shows)
        await until(lambda: self.last.endswith(">"))

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return next((line.rstrip() for line in reversed(self.screen.display) if line.strip()), "")

    def __str__(self) -> str:
        """Return the screen, without the empty space around."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip() + "\n"


class Reply(NamedTuple):
    """What a server says to a login request; the detail is what it offers instead, or why it hung up."""

    kind: str
    detail: str = ""


class _Listening(ClientAuth):
    """A login method of asyncssh that does nothing by itself and hears everything."""

    async def _start(self) -> None:
        assert isinstance(self._conn, Wire)
        self._conn.ready.set()

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool:
        """Hear that a key would do."""
        self._conn.process_packet(pkttype, pktid, packet)
        return True


class Wire(asyncssh.SSHClientConnection):
    """asyncssh's client, except that the test says which login requests are sent, and sees every reply.

    Once a login has succeeded, it is an ordinary client connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHClientConnectionOptions) -> None:
        """Begin; `ready` is set when login requests may be sent."""
        super().__init__(loop, options)
        self.ready = asyncio.Event()
        #: The algorithms that were agreed on, by what they are for.
        self.chosen: dict[str, str] = {}
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()
        #: Packet types to turn a deaf ear to.
        self.ignored: set[int] = set()

    def try_next_auth(self, *, next_method: bool = False) -> None:
        """Try nothing; listen."""
        self._auth = _Listening(self, b"")

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:  # noqa: ANN401 (asyncssh's own)
        """Note what the server says about a login, and why it hangs up."""
        if pkttype in self.ignored:
            return True
        if pkttype == 1:
            packet.get_uint32()
            self.replies.put_nowait(Reply("disconnected", packet.get_string().decode()))
            self.abort()
        elif pkttype == 51:
            methods = packet.get_string().decode()
            self.replies.put_nowait(Reply("partial success" if packet.get_boolean() else "failure", methods))
        elif pkttype == 60:
            self.replies.put_nowait(Reply("this key would do"))
        else:
            if pkttype == 52:
                self.replies.put_nowait(Reply("success"))
            return super().process_packet(pkttype, pktid, packet)
        return True

    def _choose_alg(self, alg_type: str, local_algs: Any, remote_algs: Any) -> bytes:  # noqa: ANN401 (asyncssh's own)
        chosen = super()._choose_alg(alg_type, local_algs, remote_algs)
        self.chosen[alg_type] = chosen.decode()
        return chosen

    def _cleanup(self, exc: Exception | None) -> None:
        self.replies.put_nowait(Reply("closed"))
        super()._cleanup(exc)

    def _request(self, user: str, method: str, *fields: bytes) -> bytes:
        return b"\x32" + String(user) + String("ssh-connection") + String(method) + b"".join(fields)

    def ask_none(self, user: str) -> None:
        """Ask to be let in just so."""
        self.send_packet(50, self._request(user, "none")[1:])

    def ask_password(self, user: str, password: str) -> None:
        """Ask to be let in by password."""
        self._username = user
        self.send_packet(50, self._request(user, "password", Boolean(False), String(password))[1:])

    def ask_key(
        self,
        user: str,
        key: asyncssh.SSHKey | asyncssh.SSHCertificate,
        *,
        signer: asyncssh.SSHKey | None = None,
        algorithm: str = "",
        signed_for: str | None = None,
    ) -> None:
        """Ask whether a key would do; with a signer, ask to be let in, with that one's signature."""
        name = algorithm or key.algorithm.decode()
        fields = (Boolean(signer is not None), String(name), String(key.public_data))
        packet = self._request(user, "publickey", *fields)
        if signer is not None:
            self._username = user
            signed = self._request(user if signed_for is None else signed_for, "publickey", *fields)
            packet += String(
                signer.sign(String(self._session_id) + signed, (algorithm or signer.get_algorithm()).encode())
            )
        self.send_packet(50, packet[1:])

    async def log_in(self, user: str, key: asyncssh.SSHKey) -> None:
        """Log in with a key."""
        self.ask_key(user, key, signer=key)
        assert await self.reply() == Reply("success")

    async def reply(self) -> Reply:
        """Return the next reply."""
        async with asyncio.timeout(PATIENCE):
            return await self.replies.get()


class Heard(asyncssh.SSHClientSession[str]):
    """What came back on a channel."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.out = ""
        self.err = ""
        self.status: int | None = None
        self.closed = False

    def data_received(self, data: str, datatype: int | None) -> None:
        """Keep what came."""
        if datatype is None:
            self.out += data
        else:
            self.err += data

    def exit_status_received(self, status: int) -> None:
        """Keep the exit status."""
        self.status = status

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.closed = True


class RawChannel:
    """A session channel on which the test says which requests are sent, as bytes."""

    def __init__(self, channel: asyncssh.SSHClientChannel[str], heard: Heard) -> None:
        """Hold an open channel; see `open`."""
        self.channel = channel
        self.heard = heard

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, *, window: int = 2**21) -> "RawChannel":
        """Open a channel, and ask for nothing on it; with window 0 the server may not send."""
        loop = asyncio.get_running_loop()
        channel = asyncssh.SSHClientChannel[str](connection, loop, "replace", "utf-8", "replace", window, 2**15)
        await channel._open(b"session")
        heard = Heard()
        channel._session = heard
        await channel._start_reading()
        return cls(channel, heard)

    async def ask(self, request: str, *fields: bytes) -> bool:
        """Make a request and return whether it was granted."""
        async with asyncio.timeout(PATIENCE):
            return bool(await self.channel._make_request(request.encode(), *fields))

    async def terminal(self, term: str = "xterm-256color", columns: int = 80, rows: int = 24) -> bool:
        """Ask for a terminal."""
        size = (UInt32(columns), UInt32(rows), UInt32(0), UInt32(0))
        return await self.ask("pty-req", String(term), *size, String(b"\0"))
