"""A house that is killed at every step of telling a hook: nothing that it took on is lost, or told out of its order."""

import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import asyncssh
import pytest

from sshhome import app
from sshhome.reload import Reload
from sshhome.server import Server
from tests.client import Door, until
from tests.process import Operator, Process
from tests.servers.receiver import SECRET, Receiver, is_signed, receiver
from tests.test_process import kill, stored

#: Serves, and kills itself at a step of the first delivery.
_DOOMED = """
import asyncio, os, signal, sys
from sshhome.cli import main
from sshhome.delivery import Hooks
from sshhome.outbound import Outbound

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

async def kept(self, line):
    await self._store.settle()
    dies()

def told(self, line, ended, _log=Hooks._log):
    _log(self, line, ended)
    global dying
    dying = asyncio.ensure_future(kept(self, line))

async def sent(*args, _post=Outbound.post):
    await _post(*args)
    dies()

match sys.argv.pop(1):
    case "accepting": Hooks._accept = dies
    case "accepted": Hooks._next = kept
    case "sending": Outbound.post = dies
    case "sent": Outbound.post = sent
    case "logging": Hooks._log = dies
    case "told": Hooks._log = told
sys.argv[0] = "sshhome"
main()
"""


@pytest.fixture
async def other(site: app.Site) -> AsyncIterator[Receiver]:
    """Return a receiver that the site tells of every order that is done."""
    (site.path / "hook.secret").touch(mode=0o600)
    (site.path / "hook.secret").write_text(SECRET)
    async with receiver() as received:
        told = f'url = "{received.url}"\nsecret_file = "hook.secret"\nevents = ["order.done"]\nallow = ["127.0.0.1"]\n'
        config = site.path / "sshhome.toml"
        config.write_text(f'[[hook]]\nname = "garage"\n{told}\n{config.read_text()}')
        yield received


def waiting(site: app.Site) -> list[object]:
    """Return the ids of what is on disk and still to be told, in its order."""
    return [id_ for (id_,) in stored(site, "SELECT id FROM delivery WHERE ended IS NULL ORDER BY number")]


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        # Nobody has taken it on.
        ("accepting", 0, 0),
        ("accepted", 0, 1),
        ("sending", 0, 1),
        # Nobody knows whether it was taken: it is told again, under the same id.
        ("sent", 1, 1),
        ("logging", 1, 1),
        ("told", 1, 0),
    ],
)
async def test_killed_at_a_step(
    operator: Operator, site: app.Site, keys: Path, other: Receiver, step: str, *, before: int, after: int
) -> None:
    """Killed at any step, what is on disk is told after it, once if that is known, else again under its id."""
    argv = (sys.executable, "-c", _DOOMED, step, "serve", "--listen", "127.0.0.1:0", "--site", str(site.path))
    async with Process.start(*argv, environment=operator.environment(), folder=operator.home) as doomed:
        address = (await doomed.says(r"^listening on (\S+)$"))[1]
        door = Door(cast("Server", None), site, address, keys, cast("Reload", None))
        # Whether its answer still comes is chance.
        with contextlib.suppress(asyncssh.Error, OSError):
            await door.ask("home", "time")
        assert (await doomed.answer()).status == -signal.SIGKILL
    kept = waiting(site)
    assert (len(other.ids), len(kept)) == (before, after)
    for _ in range(2):
        async with operator.serves(site.path, keys) as served:
            await until(lambda: not waiting(site))
            await kill(served)
    assert other.ids[before:] == kept
    assert len({*other.ids}) == max(before, after)
    assert all(is_signed(headers, body) for headers, body in other.requests)


async def test_killed_while_much_waits(operator: Operator, site: app.Site, keys: Path, other: Receiver) -> None:
    """What waits while its receiver takes nothing is told, after several kills, in its order and under its ids."""
    other.answer = 503
    async with operator.serves(site.path, keys) as served, served.door.connect("home") as connection:
        for number in range(10):
            await connection.run(f"echo {number}")
        await until(lambda: len(waiting(site)) == 10 and other.ids)
        await kill(served)
    ids = waiting(site)
    async with operator.serves(site.path, keys) as served:
        await until(other.has(2))
        await kill(served)
    assert other.ids == [ids[0]] * 2
    assert waiting(site) == ids
    tried = len(other.ids)
    other.answer = 204
    async with operator.serves(site.path, keys) as served:
        # In the middle of it: the one that was on its way may be told again.
        await until(other.has(tried + 4))
        await kill(served)
    async with operator.serves(site.path, keys):
        await until(lambda: not waiting(site))
    told = other.ids[tried:]
    assert sorted(set(told), key=told.index) == ids
    assert len(told) <= len(ids) + 1
