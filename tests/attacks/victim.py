"""A house under attack, in a process of its own: what that costs it, and whether others are served meanwhile."""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, cast

from sshhome import app
from sshhome.reload import Reload
from sshhome.server import Server
from tests.client import PATIENCE, Answer, Door, until
from tests.process import Operator, Process

ROOT = Path(__file__).parent.parent.parent
MIB = 2**20
#: Where those come from who have nothing to do with the attack.
ELSEWHERE = "127.0.0.9"
#: Turns of the loop in which all that a house does by itself has begun.
_TURNS = 10


class Load(NamedTuple):
    """What a process takes of the machine."""

    tasks: int
    files: int


class Victim:
    """A served house, and what an attack does to its process."""

    def __init__(self, process: Process, door: Door) -> None:
        """Hold a process that runs `tests.attacks.telling`."""
        self.process = process
        self.door = door
        self._folder = Path(f"/proc/{process._process.pid}")
        self._asked = itertools.count(1)
        self._calm = Load(0, 0)
        self._memory = 0

    @property
    def grown(self) -> int:
        """The most memory it has had since it was calm, in bytes, above what it had then."""
        return self._memory_of("VmHWM") - self._memory

    async def others_are_served(self) -> None:
        """Log in as somebody else, from elsewhere, and give an order."""
        await others_are_served(self.door)

    async def is_calm(self) -> None:
        """Note what it takes when nobody does it any harm; what it has taken so far is forgotten."""
        self._calm = await self._load()
        self._memory = self._memory_of("VmRSS")
        # The highest figure so far is forgotten at this (proc(5)).
        (self._folder / "clear_refs").write_text("5")

    async def calms_down(self) -> None:
        """Wait until no task and no open file of the attack is left."""
        load = await self._load()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while load.tasks > self._calm.tasks or load.files > self._calm.files:
                    load = await self._load()
        assert load.tasks <= self._calm.tasks
        assert load.files <= self._calm.files

    async def _load(self) -> Load:
        self.process.signal(signal.SIGUSR1)
        said = await self.process.says(rf"^load {next(self._asked)} (\d+) (\d+)$")
        return Load(int(said[1]), int(said[2]))

    def _memory_of(self, key: str) -> int:
        return memory_of(self._folder, key)


#: Serves a house, with this in its sshhome.toml, that may take so many bytes of memory more while the block runs.
Besiege = Callable[..., AbstractAsyncContextManager[Victim]]


@contextlib.asynccontextmanager
async def besieged(
    operator: Operator, site: app.Site, keys: Path, configuration: str, memory: int
) -> AsyncIterator[Victim]:
    """Serve a house in a process of its own; afterwards it lives, is as calm as before and has not grown beyond bounds.

    Nothing that an attacker does is an error of the program: it says nothing on standard error.
    """
    (site.path / "sshhome.toml").write_text(configuration)
    async with Process.start(
        *(sys.executable, "-m", "tests.attacks.telling", "serve", "--listen", "127.0.0.1:0", "--site", str(site.path)),
        environment=operator.environment(),
        folder=ROOT,
    ) as process:
        said = await process.says(r"^listening on (\S+)$")
        # The server itself is in the other process; what asks for it does not work here.
        door = Door(cast("Server", None), app.Site(site.path), said[1], keys, cast("Reload", None))
        victim = Victim(process, door)
        await others_are_served(door)
        await victim.is_calm()
        yield victim
        await victim.calms_down()
        await others_are_served(door)
        assert victim.grown <= memory
        assert process.err == ""


@contextlib.asynccontextmanager
async def withstood(door: Door, memory: int) -> AsyncIterator[Door]:
    """Attack a house in this process; afterwards others are served, and nothing of the attack is left."""
    this = Path("/proc/self")
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    tasks, files, before = len(asyncio.all_tasks()), open_files(this), memory_of(this, "VmRSS")
    yield door
    await until(lambda: len(asyncio.all_tasks()) <= tasks and open_files(this) <= files)
    # What is left, and not the most there was: each password that is checked takes 64 MiB until that is done.
    await until(lambda: memory_of(this, "VmRSS") - before <= memory)


def memory_of(process: Path, key: str) -> int:
    """Return a figure of what the kernel knows of a process's memory, in bytes (proc(5))."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def open_files(process: Path) -> int:
    """Return how many files a process has open."""
    return len(list((process / "fd").iterdir()))


async def others_are_served(door: Door) -> None:
    """Log in as somebody who has nothing to do with the attack, from elsewhere, and give an order."""
    assert await door.ask("home", "upper served", source=ELSEWHERE) == Answer("SERVED\n", "", 0)
