"""The load generator, one for all servers: an asyncssh client that offers what the OpenSSH client offers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh

from benchmarks.server import ANSWER, ORDER, Running, Unmeasured

# In the order of OpenSSH's client, because that order decides what a server at its defaults has to compute; one
# key exchange that all servers have, so that each of them computes the same.
_CIPHERS = ("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr")
_KEX = ("curve25519-sha256",)


class Client:
    """Connects to one server."""

    def __init__(self, running: Running, key: Path) -> None:
        """Read the key once for all connections."""
        self._port = running.port
        self._options = asyncssh.SSHClientConnectionOptions(
            username=running.server.user,
            client_keys=[str(key)],
            known_hosts=None,
            config=None,
            agent_path=None,
            kex_algs=_KEX,
            encryption_algs=_CIPHERS,
        )

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Log in, and leave at the end."""
        async with asyncssh.connect("127.0.0.1", self._port, options=self._options) as connection:
            yield connection

    async def fresh_order(self) -> None:
        """Log in, give one order, and leave."""
        async with self.connect() as connection:
            await order(connection)

    async def refused_login(self) -> None:
        """Log in with a key that must not be let in."""
        with contextlib.suppress(asyncssh.PermissionDenied):
            async with self.connect():
                raise Unmeasured("lets a stranger's key in")


class _Answer(asyncssh.SSHClientSession[str]):
    """Gathers what a server says; cheaper than asyncssh's process, so that it is the server who is measured."""

    def __init__(self) -> None:
        self.text = ""

    def data_received(self, data: str, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 (asyncssh's own signature)
        self.text += data


async def order(connection: asyncssh.SSHClientConnection) -> None:
    """Give one order and check the answer."""
    answer = _Answer()
    channel, _ = await connection.create_session(lambda: answer, ORDER)
    await channel.wait_closed()
    if answer.text != ANSWER or channel.get_exit_status() != 0:
        raise Unmeasured(f"answers {answer.text!r} and status {channel.get_exit_status()}")


async def repeat(job: Callable[[], Awaitable[None]], seconds: float, at_once: int) -> int:
    """Do a job again and again, some at once, until the time is over; return how often it was done."""
    end = time.monotonic() + seconds

    async def work() -> int:
        done = 0
        while time.monotonic() < end:
            await job()
            done += 1
        return done

    async with asyncio.timeout(seconds + 30):
        return sum(await asyncio.gather(*(work() for _ in range(at_once))))
