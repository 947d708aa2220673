"""Sshhome itself: a site with one user, who is an admin, and every policy on."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.server import Server
from sshhome import app

# The defaults are for a house, and all our clients come from one address.
_CONFIG = """\
[limits]
connections = 2000
connections_per_source = 2000
sessions_per_connection = 100
"""


def server() -> Server:
    """Return sshhome as `sshhome serve` runs it."""
    return Server("sshhome", "home", _command)


def _command(folder: Path, port: int, public_key: str) -> Sequence[str]:
    (folder / "sshhome.toml").write_text(_CONFIG, encoding="utf-8")
    site = app.Site(folder)
    app.add_user(site.users, "home", ["admin"], [public_key.strip()], "")
    site.bootstrap()
    return [sys.executable, "-m", "sshhome", "serve", "--site", str(folder), "--listen", f"127.0.0.1:{port}"]
