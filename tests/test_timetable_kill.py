"""A house that is killed at every step of what it does by itself: nothing is done twice, and nothing is left untold."""

import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sshhome import app
from tests.client import Answer, until
from tests.process import Operator, Process, Served
from tests.test_process import LAMPS, kill, stored

#: Serves, and kills itself at a step of the first run of a schedule.
_DOOMED = """
import asyncio, os, signal, sys
from sshhome.audit import Audit
from sshhome.backends.simulated import SimulatedBackend
from sshhome.cli import main
from sshhome.dispatch import Dispatch
from sshhome.schedule import Schedules

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    async def does(*args, **options):
        await function(*args, **options)
        dies()
    return does

def told(self, event, _write=Audit.write, **fields):
    _write(self, event, **fields)
    if fields.get("schedule"):
        dies()

def ended(self, *how, _end=Schedules.end):
    _end(self, *how)
    global dying
    dying = asyncio.ensure_future(after(self._store.settle)())

match sys.argv.pop(1):
    case "due": Schedules.begin = dies
    case "begun": Dispatch.run_line = dies
    case "sending": SimulatedBackend.apply = dies
    case "sent": SimulatedBackend.apply = after(SimulatedBackend.apply)
    case "told": Audit.write = told
    case "ending": Schedules.end = dies
    case "ended": Schedules.end = ended
sys.argv[0] = "sshhome"
main()
"""


async def shown(served: Served, number: int = 1) -> Any:  # noqa: ANN401 (any JSON)
    """Return what is known of a schedule."""
    return (await served.door.ask("home", f"schedule show {number} --json")).json


async def lamp(served: Served, name: str) -> bool:
    """Return whether a lamp is on."""
    return bool((await served.door.ask("home", f"list light.{name} --json")).json[0]["state"]["on"])


async def settled(served: Served, number: int = 1) -> Any:  # noqa: ANN401 (any JSON)
    """Return what is known of a schedule once its last run has ended."""
    while True:
        known = await shown(served, number)
        if known["runs"] and known["runs"][-1]["ended"]:
            return known


@pytest.mark.parametrize(
    ("step", "told", "unknown"),
    [
        # It is not known to have begun: it runs once the house lives.
        ("due", 1, False),
        # Nobody knows how it ended: it is not run again, whether it was done or not.
        ("begun", 0, True),
        ("sending", 0, True),
        ("sent", 0, True),
        ("told", 1, True),
        ("ending", 1, True),
        # All is known.
        ("ended", 1, False),
    ],
)
async def test_killed_at_a_step(
    operator: Operator, site: app.Site, keys: Path, step: str, told: int, *, unknown: bool
) -> None:
    """Killed at any step of a run, it is done once or not at all; what nobody knows of it is told once."""
    async with operator.serves(site.path, keys) as served:
        assert (await served.door.ask("home", "in 1h on hall")).status == 0
        await kill(served)
    stored(site, "UPDATE schedule SET due = ?", time.time() - 1)
    argv = (sys.executable, "-c", _DOOMED, step, "serve", "--listen", "127.0.0.1:0", "--site", str(site.path))
    async with Process.start(*argv, environment=operator.environment(), folder=operator.home) as doomed:
        assert (await doomed.answer()).status == -signal.SIGKILL
    for _ in range(2):
        async with operator.serves(site.path, keys) as served:
            known = await settled(served)
            assert len(known["runs"]) == 1
            (run,) = known["runs"]
            assert known["over"]
            assert (run["status"] is None) == unknown
            assert ("nobody knows" in run["says"]) == unknown
            done = [event for event in served.door.audit("order.done") if event.get("schedule")]
            assert len(done) == told
            assert len(served.door.audit("schedule.unknown")) == unknown
            assert await lamp(served, "hall") == (step not in {"begun", "sending"})
            await kill(served)


async def test_killed_in_the_middle_of_many(operator: Operator, site: app.Site, keys: Path) -> None:
    """Whenever it is killed while much is due: of each the order is given once, or that nobody knows is told."""
    async with operator.serves(site.path, keys) as served, served.door.connect("home") as connection:
        for name in LAMPS:
            await connection.run(f"in 1h toggle light.{name}")
        await kill(served)
    stored(site, "UPDATE schedule SET due = ?", time.time() - 1)
    for kills in range(3):
        async with operator.serves(site.path, keys) as served:
            wanted = random.randint(0, len(LAMPS)) if kills == 0 else 0  # noqa: S311 (pytest-randomly prints the seed)
            await until(lambda wanted=wanted: len(served.door.audit("order.done")) >= wanted)  # type: ignore[misc]  # (bound at once)
            await kill(served)
    async with operator.serves(site.path, keys) as served:
        numbers = range(1, len(LAMPS) + 1)
        runs = [run for number in numbers for run in (await settled(served, number))["runs"]]
        assert len(runs) == len(LAMPS)
        done = [event["schedule"] for event in served.door.audit("order.done") if event.get("schedule")]
        unknown = [event["schedule"] for event in served.door.audit("schedule.unknown")]
        assert len(set(done)) == len(done)
        assert len(set(unknown)) == len(unknown)
        assert {*done, *unknown} == set(numbers)
        for number, name in zip(numbers, LAMPS, strict=True):
            # What was told of was done, and once: twice would be off again.
            assert number not in done or await lamp(served, name)


async def sunset(operator: Operator, site: app.Site, keys: Path) -> Answer:
    """Have the porch lit before each sunset."""
    async with operator.serves(site.path, keys) as served:
        return await served.door.ask("home", "every day sunset-15m on porch")


async def test_the_porch_at_its_time(operator: Operator, site: app.Site, keys: Path) -> None:
    """A house that is let alone gives an order when it is due, by the real clock; told its place, it knows the sun."""
    assert (await sunset(operator, site, keys)).err == (
        "error: nobody knows when sunset is (sshhome.toml tells where: [house] latitude, longitude)\n"
    )
    path = site.path / "sshhome.toml"
    path.write_text(path.read_text().replace("[house]", "[house]\nlatitude = 52.52\nlongitude = 13.4"))
    assert (await sunset(operator, site, keys)).out.startswith("schedule 1: 'on porch' every day sunset-15m, next to")
    async with operator.serves(site.path, keys) as served:
        assert (await served.door.ask("home", "in 1s on porch")).status == 0
        assert (await settled(served, 2))["runs"][0]["says"] == "porch is on"
        assert await lamp(served, "porch")
