"""Bare asyncssh: the shortest program that answers the same line, every option at its default."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from benchmarks.server import ANSWER, Server
from sshhome.hostkey import make_key


def server() -> Server:
    """Return asyncssh as its own examples use it."""
    return Server("bare asyncssh", "home", _command)


def _command(folder: Path, port: int, public_key: str) -> Sequence[str]:
    make_key(folder / "host_key", "bare")
    (folder / "authorized_keys").write_text(public_key, encoding="utf-8")
    files = (str(folder / "host_key"), str(folder / "authorized_keys"))
    return [sys.executable, "-m", "benchmarks.servers.bare", str(port), *files]


def _answer(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stdout.write(ANSWER)
    process.exit(0)


async def _serve(port: int, host_key: str, authorized_keys: str) -> None:
    """Serve until ended."""
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=_answer,
    )
    await acceptor.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
