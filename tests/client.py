"""How tests knock: through asyncssh's client in this process, or through the real OpenSSH client."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
import pyte

from sshhome.app import Site
from sshhome.config import split_address
from sshhome.server import Server

#: Seconds any single condition is waited for before a test fails.
PATIENCE = 20.0


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

    @property
    def port(self) -> int:
        """The port it listens on."""
        return split_address(self.address)[1]

    def audit(self, event: str = "") -> list[dict[str, Any]]:
        """Return the audit events so far, or those of one id."""
        text = (self.site.path / "state" / "audit.jsonl").read_text(encoding="utf-8")
        events = [json.loads(line) for line in text.splitlines()]
        return [e for e in events if event in {"", e["event"]}]

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


class Terminal:
    """A shell in a terminal of a given size: what is typed, and what the screen shows."""

    def __init__(self, process: "asyncssh.SSHClientProcess[str]", columns: int, rows: int) -> None:
        """Watch a process's output."""
        self.process = process
        self.screen = pyte.Screen(columns, rows)
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
