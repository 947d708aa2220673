"""The SSH connection to a house: made when it is needed, made again when it was lost, and never to a stranger."""

import asyncio
import hmac
import os
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from sshhome.client.backoff import Backoff
from sshhome.client.errors import Closed, LoginRefused, NotTrusted, Unreachable
from sshhome.errors import BadArguments, SshhomeError

_ADDRESS = re.compile(r"(?:(?P<user>[^@:\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?")
#: Seconds for a connection and the login, after which whoever is there does not answer.
_CONNECTING = 60.0
#: Seconds between the signs of life that are asked for, and how many of them may stay out.
_ALIVE, _MISSED = 15, 3
#: Seconds for the last words.
_PARTING = 5.0
#: Nobody is known.
_NOBODY: tuple[list[str], list[str], list[str]] = ([], [], [])

T = TypeVar("T")
Key = str | Path | asyncssh.SSHKey


class _Guard(asyncssh.SSHClient):
    """Looks at the key of a house that no known_hosts file names."""

    def __init__(self, pinned: str) -> None:
        self._pinned = pinned
        self.shown = ""

    def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey) -> bool:
        """Return whether it is the key that was pinned."""
        self.shown = key.get_fingerprint()
        return hmac.compare_digest(self.shown.encode(), self._pinned.encode())


class Line:
    """One connection at a time, shared by all that a program asks of its house."""

    def __init__(
        self,
        address: str,
        *,
        key: Key | None,
        password: str | None,
        known_hosts: str | Path | None,
        fingerprint: str,
        backoff: Backoff,
    ) -> None:
        """Take note of where the house is and how to know it; nothing is connected yet."""
        found = _ADDRESS.fullmatch(address)
        if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
            raise BadArguments(f"'{address[:80]}' is no address", "write it as USER@HOST or USER@HOST:PORT")
        if fingerprint and not fingerprint.startswith("SHA256:"):
            raise BadArguments("a fingerprint begins with SHA256:", "`ssh-keygen -lf FILE.pub` shows it")
        self.address = address
        self._host = found["host"].strip("[]")
        self._pinned = fingerprint
        self._how: dict[str, Any] = {
            "connect_timeout": _CONNECTING,
            "keepalive_interval": _ALIVE,
            "keepalive_count_max": _MISSED,
        }
        if found["user"]:
            self._how["username"] = found["user"]
        if found["port"]:
            self._how["port"] = int(found["port"])
        if key is not None:
            own = key if isinstance(key, asyncssh.SSHKey) else str(Path(key).expanduser())
            self._how |= {"client_keys": [own], "agent_path": None}
        if password is not None:
            self._how |= {"password": password, "preferred_auth": "password"} if key is None else {"password": password}
        if fingerprint:
            self._how["known_hosts"] = _NOBODY
        elif known_hosts is not None:
            self._how["known_hosts"] = str(Path(known_hosts).expanduser())
        self._backoff = backoff
        self._failures = 0
        self._one = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        #: Why there will be no connection any more.
        self._ended: SshhomeError | None = None
        self._closing = asyncio.Event()
        #: Why there is none at the moment.
        self.trouble = ""

    async def open(self) -> asyncssh.SSHClientConnection:
        """Connect once; raises Unreachable, or of its kinds NotTrusted and LoginRefused."""
        async with self._one:
            return await self._connect()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the connection, a new one where it was lost; raises what no other try would change."""
        async with self._one:
            while True:
                if self._ended is not None:
                    raise self._ended
                if self._connection is not None and not self._connection.is_closed():
                    return self._connection
                await self.wait(self._failures)
                try:
                    return await self._unless_closed(self._connect())
                except Unreachable:
                    if self._ended is not None:
                        raise

    async def wait(self, failures: int) -> None:
        """Wait as long as it takes after so many failures; raises Closed as soon as it is closed here."""
        await self._unless_closed(self._backoff.wait(failures))

    async def close(self) -> None:
        """Hang up for good; whoever waits for a connection is told so."""
        if self._ended is None:
            self._ended = Closed("the connection to the house was closed here")
        self._closing.set()
        if self._connection is not None:
            self._connection.close()
            try:
                async with asyncio.timeout(_PARTING):
                    await self._connection.wait_closed()
            except TimeoutError:
                self._connection.abort()

    async def _unless_closed(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do something, and no longer than until it is closed here."""
        task, closing = asyncio.create_task(doing), asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait((task, closing), return_when=asyncio.FIRST_COMPLETED)
            if self._ended is not None and not task.done():
                raise self._ended
            return await task
        finally:
            task.cancel()
            closing.cancel()
            await asyncio.wait((task, closing))
            if not task.cancelled():
                # Nobody may be left to be told of an error.
                task.exception()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        guard = _Guard(self._pinned)
        try:
            connection = await asyncssh.connect(self._host, client_factory=lambda: guard, **await self._options())
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._end(NotTrusted(*_stranger(self.address, guard.shown, self._pinned, error.reason))) from None
        except asyncssh.PermissionDenied as error:
            raise self._end(LoginRefused(f"{self.address} lets nobody in like that: {_reason(error)}")) from None
        except (OSError, asyncssh.Error) as error:
            self._failures += 1
            self.trouble = _reason(error)
            raise Unreachable(f"{self.address} cannot be reached: {self.trouble}") from None
        except ValueError as error:
            # A key that is none or has a passphrase, a line of the config, a name that no host has.
            raise self._end(BadArguments(f"{self.address} cannot be reached like that: {error}")) from None
        if self._ended is not None:
            connection.abort()
            raise self._ended
        self._connection = connection
        self._failures = 0
        return connection

    async def _options(self) -> dict[str, Any]:
        """Return how to connect; whatever ~/.ssh/config says, there is always a list of who is known."""
        made = await asyncssh.SSHClientConnectionOptions.construct(None, host=self._host, config=(), **self._how)
        return self._how if made.known_hosts is not None else {**self._how, "known_hosts": _NOBODY}

    def _end(self, error: SshhomeError) -> SshhomeError:
        self._ended = error
        return error


def _stranger(address: str, shown: str, pinned: str, reason: str) -> tuple[str, str]:
    if not shown:
        return f"{address} is not who it should be: {reason}", ""
    if pinned:
        return f"{address} shows the key {shown}, and not {pinned}", "somebody may be in between: ask whoever runs it"
    return (
        f"{address} shows the key {shown}, which no known_hosts file has",
        "if that is the one which the house printed, connect once with `ssh`, or give it as the fingerprint",
    )


def _reason(error: Exception) -> str:
    """Return in a few words why it did not work."""
    if isinstance(error, asyncssh.Error):
        return error.reason
    if isinstance(error, TimeoutError):
        return "no answer"
    # What asyncio tells of a connection is the numbers of errors, between words of its own.
    numbers = dict.fromkeys(re.findall(r"\[Errno ([0-9]+)\]", str(error)))
    told = ", ".join(os.strerror(int(n)).lower() for n in numbers) or str(getattr(error, "strerror", None) or error)
    # One of a file, such as the key, is about that.
    return f"{error.filename}: {told}" if isinstance(error, OSError) and error.filename else told
