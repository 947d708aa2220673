"""Sshhome itself: a site with one user, who is an admin, and every policy on."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncssh

from benchmarks.server import ATTACKER, Server
from sshhome import app
from sshhome.password import hash_password

# The defaults are for a house, and all our clients come from one address and are one user.
_CONFIG = """\
[limits]
connections = 2000
connections_per_source = 2000
startups = "2000:30:2000"
startups_per_source = 2000
sessions_per_connection = 100
sessions_per_user = 2000
orders_per_minute = 1000000
order_burst = 1000000
[bans]
never = ["127.0.0.1/32"]
"""


def server() -> Server:
    """Return sshhome as `sshhome serve` runs it."""
    return Server("sshhome", "home", _command, _shut)


def guarded() -> Server:
    """Return sshhome with the limits and bans of every house, except for how often one user may give orders."""
    return Server("sshhome", "home", _guarded)


def _guarded(folder: Path, port: int, public_key: str) -> Sequence[str]:
    command = _command(folder, port, public_key)
    (folder / "sshhome.toml").write_text("[limits]\norders_per_minute = 100000\norder_burst = 1000\n", encoding="utf-8")
    password = hash_password("correct horse battery staple")
    app.Site(folder).users.edit("home", lambda document: document.update(password=password))
    return command


def _command(folder: Path, port: int, public_key: str) -> Sequence[str]:
    (folder / "sshhome.toml").write_text(_CONFIG, encoding="utf-8")
    site = app.Site(folder)
    app.add_user(site.users, "home", ["admin"], [public_key.strip()], "")
    site.bootstrap()
    return [sys.executable, "-m", "sshhome", "serve", "--site", str(folder), "--listen", f"127.0.0.1:{port}"]


@contextlib.contextmanager
def _shut(port: int) -> Iterator[None]:
    """Get the attacker banned."""

    async def fail() -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            await asyncssh.connect(
                "127.0.0.1",
                port,
                username="nobody",
                client_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                known_hosts=None,
                config=None,
                agent_path=None,
                local_addr=(ATTACKER, 0),
            )

    for _ in range(6):
        asyncio.run(fail())
    yield
