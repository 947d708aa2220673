"""prompt_toolkit's own front end for asyncssh with a stock `PromptSession`, as its example has it, behind a key."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncssh
from prompt_toolkit import PromptSession
from prompt_toolkit.contrib.ssh import PromptToolkitSSHServer, PromptToolkitSSHSession

from benchmarks.server import Server
from sshhome.hostkey import make_key


def server() -> Server:
    """Return the stock prompt."""
    return Server("stock prompt", "home", _command)


def _command(folder: Path, port: int, public_key: str) -> Sequence[str]:
    make_key(folder / "host_key", "stock")
    (folder / "authorized_keys").write_text(public_key, encoding="utf-8")
    files = (str(folder / "host_key"), str(folder / "authorized_keys"))
    return [sys.executable, "-m", "benchmarks.servers.stock", str(port), *files]


class _Server(PromptToolkitSSHServer):
    """The same, which lets nobody in without a key."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 (asyncssh's own signature)
        return True


async def _interact(_: PromptToolkitSSHSession) -> None:
    """Prompt, and say each line back, as the example does."""
    session: PromptSession[str] = PromptSession()
    while True:
        print(await session.prompt_async("home@house> "))


async def _serve(port: int, host_key: str, authorized_keys: str) -> None:
    """Serve until ended."""
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: _Server(_interact, enable_cpr=False),
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
    )
    await acceptor.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
