"""What tests share: a clock that stands still, a site with users and keys, and the house served from it."""

import contextlib
import gc
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncssh
import hypothesis
import pytest

from sshhome import app
from sshhome.clock import Clock
from sshhome.password import hash_password
from tests.client import PATIENCE, Door
from tests.process import Operator

# A shell that runs this in the background has told it to ignore ^C, and so what it starts: there it must end things.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What fails here fails for everybody who looks, however busy the machine; `make explore` goes where no run has been.
hypothesis.settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "explore", hypothesis.settings.get_profile("same"), derandomize=False, print_blob=True
)
hypothesis.settings.load_profile("same")


def pytest_collection_finish() -> None:
    """Have the garbage collector look no more at what stays, such as the tests themselves: a tenth of the time."""
    gc.collect()
    gc.freeze()


#: Tuesday, 2 June 2026, noon UTC.
NOON = 1780401600.0

CONFIG = """
[house]
timezone = "Europe/Berlin"

[[backend]]
kind = "simulated"
offline = ["light.garden"]
mute = ["switch.printer"]
"""

#: Room for tests that knock or give orders more often than anyone in a house does; the clock of most stands still.
ROOMY = """
[limits]
startups = "200:30:200"
startups_per_source = 100
orders_per_minute = 100000
order_burst = 100000
"""

#: Sees the ground floor alone, opens one door, and is kept away from one thing by a deny.
CLEANER = """
grants = [
  "control:light.*",
  "read:@hall",
  "access:lock.front_door",
  { deny = "read:@kids" },
  { deny = "control:light.desk" },
]
"""


class FixedClock(Clock):
    """A clock that goes on only when told to."""

    def __init__(self) -> None:
        """Begin at noon."""
        self._now = NOON
        self._monotonic = 1000.0

    def now(self) -> float:
        """Return the moment it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the moment it was set to, on a clock of its own."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock, as an operator or NTP would: no time passes."""
        self._now += seconds


class NoChance(random.Random):
    """Chance that always falls the same way: no jitter."""

    def random(self) -> float:
        """Return nothing to add."""
        return 0.0


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that stands at noon."""
    return FixedClock()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key pair for each person of the tests; `keys / "guest"` is a private key file."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("home", "guest", "kid", "parent", "viewer", "cleaner", "plumber", "attacker"):
        key = asyncssh.generate_private_key("ssh-ed25519", comment=f"{name}@test")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture(scope="session")
def _built_site(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """Build a site once: users home (admin), guest, kid (child) and viewer, each with a key; home has a password."""
    path = tmp_path_factory.mktemp("site")
    (path / "sshhome.toml").write_text(ROOMY + CONFIG)
    site = app.Site(path)
    hashed = hash_password("correct horse")
    for login, role in (("home", "admin"), ("guest", "guest"), ("kid", "child"), ("viewer", "viewer")):
        line = (keys / f"{login}.pub").read_text().strip()
        app.add_user(site.users, login, [role], [line], hashed if login == "home" else "")
    line = (keys / "cleaner.pub").read_text().strip()
    (path / "authorized_users" / "cleaner.toml").write_text(f"keys = ['{line}']\n{CLEANER}")
    site.bootstrap()
    return path


@pytest.fixture
def site(tmp_path: Path, _built_site: Path) -> app.Site:
    """Return a fresh copy of the site; in it light.garden is offline and switch.printer never answers."""
    path = tmp_path / "site"
    shutil.copytree(_built_site, path)
    return app.Site(path)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Return somebody who runs the program, and whose home directory is empty."""
    return Operator(tmp_path / "operator")


@pytest.fixture
async def door(site: app.Site, clock: FixedClock, keys: Path) -> AsyncIterator[Door]:
    """Serve the site in this process, on a free port and with the clock standing still."""
    async with app.running(site, ["127.0.0.1:0"], clock, NoChance()) as running:
        running.server.visitors.dispatch.house.confirm_within = PATIENCE
        yield Door(running.server, site, running.addresses[0], keys, running.reload)


@pytest.fixture
def serve(site: app.Site, clock: FixedClock, keys: Path) -> Callable[..., contextlib.AbstractAsyncContextManager[Door]]:
    """Return what serves the site as `door` does, with more in its sshhome.toml."""

    @contextlib.asynccontextmanager
    async def serving(more: str = "") -> AsyncIterator[Door]:
        room = "" if "[limits]" in more else ROOMY
        (site.path / "sshhome.toml").write_text(f"{more}\n{room}{CONFIG}")
        configured = app.Site(site.path)
        async with app.running(configured, ["127.0.0.1:0"], clock, NoChance()) as running:
            running.server.visitors.dispatch.house.confirm_within = PATIENCE
            yield Door(running.server, configured, running.addresses[0], keys, running.reload)

    return serving


@pytest.fixture
def program() -> Callable[[str], str]:
    """Return what finds a program; a test skips without it, and fails where real programs are required."""

    def find(name: str) -> str:
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if path is None:
            if os.environ.get("SSHHOME_REQUIRE_REAL"):
                pytest.fail(f"{name} is required here and not installed")
            pytest.skip(f"{name} is not installed")
        return path

    return find


@pytest.fixture(autouse=True)
def _no_ssh_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own agent and keys out of the tests."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
