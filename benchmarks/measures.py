"""What is measured, and how: each measure looks at one server once and returns samples of its figures."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks import proc
from benchmarks.load import Client, order, repeat
from benchmarks.server import ANSWER, ATTACKER, ORDER, PATIENCE, Running, Unmeasured, running
from sshhome.hostkey import make_key


class Effort(NamedTuple):
    """How much is done: rounds, and at each visit of a server `ssh` commands, idle connections (by 4) and seconds."""

    rounds: int
    commands: int
    connections: int
    seconds: float


class Figure(NamedTuple):
    """One line of the report: its digits after the point, and the design's budget for sshhome, where it has one."""

    title: str
    digits: int = 0
    budget: float | None = None


WALL = Figure("`ssh ... on kitchen`, wall ms", 1, 20)
CONNECT = Figure("connect, key, order, CPU ms", 2, 1.3)
WARM = Figure("order on a warm line, CPU ms", 2, 0.3)
RATE = Figure("the same 8 at once, orders/s")
IDLE = Figure("idle connection, KiB", 1, 25)
FAILED = Figure("failed login, CPU ms", 2, 0.8)
REFUSED = Figure("banned source turned away, CPU us", 0, 25)
REFUSALS = Figure("the same by 4 at once, refusals/s")
START = Figure("start to first accept, ms", 0, 300)

Samples = Mapping[Figure, Sequence[float]]
#: A measure gets a server that has been running for a while, the client's key, and how much to do.
Measure = Callable[[Running, Path, Effort], Samples]


def command(served: Running, key: Path, effort: Effort) -> Samples:
    """Time the OpenSSH client from its start to its end."""
    known_hosts = key.with_name(f"known_hosts_{served.port}")
    options = ("StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={known_hosts}", "LogLevel=ERROR")
    line = ["ssh", "-F", "none", "-i", str(key), "-p", str(served.port), *(f"-o{option}" for option in options)]
    line += ["-oIdentitiesOnly=yes", "-oBatchMode=yes", f"{served.server.user}@127.0.0.1", ORDER]
    times = []
    for _ in range(effort.commands):
        started = time.perf_counter()
        ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
        times.append((time.perf_counter() - started) * 1000)
        if ended.stdout != ANSWER or ended.returncode != 0:
            raise Unmeasured(f"ssh answers {ended.stdout or ended.stderr!r} and status {ended.returncode}")
    return {WALL: times}


def connect(served: Running, key: Path, effort: Effort) -> Samples:
    """Count the server's CPU time for connections that give one order each, 4 at once."""
    served.rest()
    before = proc.cpu_seconds(served.pid)
    done = asyncio.run(repeat(Client(served, key).fresh_order, effort.seconds, 4))
    served.rest()
    return {CONNECT: [(proc.cpu_seconds(served.pid) - before) * 1000 / done]}


def failed(served: Running, key: Path, effort: Effort) -> Samples:
    """Count the server's CPU time for connections whose key is not the user's, 4 at once."""
    wrong = key.with_name("wrong_key")
    if not wrong.exists():
        make_key(wrong, "wrong@benchmark")
    served.rest()
    before = proc.cpu_seconds(served.pid)
    done = asyncio.run(repeat(Client(served, wrong).refused_login, effort.seconds, 4))
    served.rest()
    return {FAILED: [(proc.cpu_seconds(served.pid) - before) * 1000 / done]}


def refused(served: Running, key: Path, effort: Effort) -> Samples:  # noqa: ARG001 (nobody gets as far as a key)
    """Count the server's CPU time for connections of a source that it turns away, 4 at once."""
    if served.server.shut is None:
        return {}
    with served.server.shut(served.port), ThreadPoolExecutor(4) as pool:
        # The first few are told why, which costs more and is not what a flood consists of.
        _knock(served.port, time.monotonic() + 0.1)
        before, started = proc.cpu_seconds(served.pid), time.perf_counter()
        end = time.monotonic() + effort.seconds
        done = sum(pool.map(_knock, [served.port] * 4, [end] * 4))
        elapsed = time.perf_counter() - started
        cpu = proc.cpu_seconds(served.pid) - before
    return {REFUSED: [cpu * 1_000_000 / done], REFUSALS: [done / elapsed]}


def _knock(port: int, end: float) -> int:
    """Connect until the time is over, each time until the server closes; return how often it did."""
    done = 0
    while time.monotonic() < end:
        client = socket.create_connection(("127.0.0.1", port), PATIENCE, (ATTACKER, 0))
        # Who is let in is greeted, and waits in vain for the end.
        with client, contextlib.suppress(ConnectionResetError):
            while client.recv(4096):
                pass
        done += 1
    return done


def warm(served: Running, key: Path, effort: Effort) -> Samples:
    """Count the server's CPU time for orders on one connection, 8 at once."""

    async def give() -> Samples:
        async with Client(served, key).connect() as connection:
            await order(connection)
            before, started = proc.cpu_seconds(served.pid), time.perf_counter()
            done = await repeat(lambda: order(connection), effort.seconds, 8)
            elapsed = time.perf_counter() - started
            return {WARM: [(proc.cpu_seconds(served.pid) - before) * 1000 / done], RATE: [done / elapsed]}

    return asyncio.run(give())


def idle(served: Running, key: Path, effort: Effort) -> Samples:
    """Weigh connections that are logged in and have opened no channel, and time the start.

    It takes a server of its own, which has not served many yet, and as many connections that are not counted:
    they fill the memory that a process has already had and will use again.
    """

    async def weigh(fresh: Running) -> float:
        client = Client(fresh, key)
        weights = []
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                for _ in range(effort.connections // 4):
                    await asyncio.gather(*(stack.enter_async_context(client.connect()) for _ in range(4)))
                weights.append(at_rest(fresh))
        return (weights[1] - weights[0]) / effort.connections

    with running(served.server, key) as fresh:
        return {IDLE: [asyncio.run(weigh(fresh))], START: [fresh.seconds * 1000]}


def at_rest(served: Running) -> int:
    """Return a server's memory once it no longer changes: it may still load something, or end a connection."""
    deadline = time.monotonic() + PATIENCE
    before, now = -1, proc.pss_kib(served.pid)
    while abs(now - before) > 8 and time.monotonic() < deadline:
        time.sleep(0.3)
        before, now = now, proc.pss_kib(served.pid)
    return now


MEASURES: Sequence[Measure] = (command, connect, failed, refused, warm, idle)
