"""The command line: an order over the warm channel of an app, beside one exec, and beside sshd behind a ControlMaster.

`echo` reads and writes nothing but the audit log; `on` also changes the house: the simulated backend commits each
change to its file before it echoes it, and the journal keeps how it was.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from benchmarks import proc, report
from benchmarks.load import Client, order, repeat
from benchmarks.measures import WARM, Effort, Figure, Samples, warm
from benchmarks.run import Run
from benchmarks.server import ANSWER, ORDER, Running, Unmeasured
from benchmarks.servers import openssh, sshhome

_FULL = Effort(rounds=3, commands=30, connections=0, seconds=3.0)
_QUICK = Effort(rounds=1, commands=10, connections=0, seconds=1.0)

MASTER = Figure("exec over a ControlMaster, wall ms", 2)
ALONE = Figure("exec on a warm line, wall ms", 2)
#: Requests in flight in each measure, and the goals of issue 7: a share of an exec, and orders a second.
_AT_ONCE = 16
SHARE, RATE = 0.1, 3000.0
#: What is asked, by how it is called in the report.
ASKED: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "echo": [{"method": "echo", "params": {"text": "kitchen is on"}}],
    "get": [{"method": "get", "params": {"target": "light.kitchen.on"}}],
    "on": [{"method": method, "params": {"target": "kitchen"}} for method in ("on", "off")],
}
WALL = {name: Figure(f"rpc {name}, one by one, wall ms", 3) for name in ASKED}
CPU = {name: Figure(f"rpc {name}, 16 in flight, CPU ms", 3, 0.06) for name in ASKED}
SPEED = {name: Figure(f"rpc {name}, 16 in flight, orders/s") for name in ASKED}


class _App(asyncssh.SSHClientSession[bytes]):
    """An app that keeps so many requests in flight; cheap, so that it is the server who is measured."""

    def __init__(self, asked: Sequence[Mapping[str, Any]]) -> None:
        self._asked = itertools.cycle(asked)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.answered = 0
        self.wrong = ""
        self.over = asyncio.Event()
        self.in_flight = 0
        self.until = 0.0

    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        """Take the channel."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Ask again for each answer."""
        *answers, self._rest = (self._rest + data).split(b"\n")
        for answer in answers:
            if b'"error"' in answer:
                self.wrong = answer.decode(errors="replace")
                self.over.set()
        self.answered += len(answers)
        self.in_flight -= len(answers)
        if time.perf_counter() < self.until and not self.wrong:
            self.ask(len(answers))
        elif not self.in_flight:
            self.over.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop."""
        self.wrong = self.wrong or f"hangs up: {exc}"
        self.over.set()

    def ask(self, count: int) -> None:
        """Ask so many orders at once."""
        assert self._channel is not None
        self.in_flight += count
        asked = ({"jsonrpc": "2.0", "id": next(self._numbers), **next(self._asked)} for _ in range(count))
        self._channel.write(b"".join(json.dumps(one).encode() + b"\n" for one in asked))

    async def keep_asking(self, at_once: int, seconds: float) -> tuple[int, float]:
        """Keep so many requests in flight for a while; return how many were answered, and in how many seconds."""
        before, started = self.answered, time.perf_counter()
        self.until = started + seconds
        self.over.clear()
        self.ask(at_once)
        async with asyncio.timeout(seconds + 30):
            await self.over.wait()
        if self.wrong:
            raise Unmeasured(f"answers {self.wrong}")
        return self.answered - before, time.perf_counter() - started


@contextlib.asynccontextmanager
async def _app(served: Running, key: Path, asked: Sequence[Mapping[str, Any]]) -> AsyncIterator[_App]:
    async with Client(served, key).connect() as connection:
        app = _App(asked)
        channel, _ = await connection.create_session(lambda: app, subsystem="sshhome", encoding=None)
        yield app
        channel.close()


def rpc(served: Running, key: Path, effort: Effort) -> Samples:
    """Count the server's CPU time for orders over one channel, 16 in flight, and time them one by one."""
    if served.server.name != "sshhome":
        return {}

    async def give(name: str) -> Samples:
        async with _app(served, key, ASKED[name]) as app:
            await app.keep_asking(_AT_ONCE, 0.2)
            before = proc.cpu_seconds(served.pid)
            done, elapsed = await app.keep_asking(_AT_ONCE, effort.seconds)
            cpu = proc.cpu_seconds(served.pid) - before
            alone, seconds = await app.keep_asking(1, effort.seconds / 3)
        return {CPU[name]: [cpu * 1000 / done], SPEED[name]: [done / elapsed], WALL[name]: [seconds * 1000 / alone]}

    found: dict[Figure, Sequence[float]] = {}
    for name in ASKED:
        found |= asyncio.run(give(name))
    return found


def alone(served: Running, key: Path, effort: Effort) -> Samples:
    """Time orders on one connection, one by one, each a channel of its own."""

    async def give() -> Samples:
        async with Client(served, key).connect() as connection:
            await order(connection)
            started = time.perf_counter()
            done = await repeat(lambda: order(connection), effort.seconds / 3, 1)
            return {ALONE: [(time.perf_counter() - started) * 1000 / done]}

    return asyncio.run(give())


def master(served: Running, key: Path, effort: Effort) -> Samples:
    """Time the OpenSSH client from its start to its end, where another one keeps the connection open."""
    with _master(served, key) as line:
        times = []
        for _ in range(effort.commands):
            started = time.perf_counter()
            ended = subprocess.run(
                [*line, ORDER], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
            )
            times.append((time.perf_counter() - started) * 1000)
            if ended.stdout != ANSWER or ended.returncode != 0:
                raise Unmeasured(f"ssh answers {ended.stdout or ended.stderr!r} and status {ended.returncode}")
    return {MASTER: times}


@contextlib.contextmanager
def _master(served: Running, key: Path) -> Iterator[Sequence[str]]:
    """Keep a connection open; yield the command line that goes over it."""
    options = ("StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={key.with_name(f'known_hosts_{served.port}')}")
    line = ["ssh", "-F", "none", "-i", str(key), "-p", str(served.port), *(f"-o{option}" for option in options)]
    line += ["-oIdentitiesOnly=yes", "-oBatchMode=yes", "-oLogLevel=ERROR", "-S", str(key.with_name("master"))]
    who = f"{served.server.user}@127.0.0.1"
    subprocess.run([*line, "-M", "-N", "-f", who], stdin=subprocess.DEVNULL, timeout=30, check=True)
    try:
        yield [*line, who]
    finally:
        subprocess.run([*line, "-O", "exit", who], capture_output=True, timeout=30, check=False)


def verdict(results: report.Results) -> Iterator[str]:
    """Yield the lines that say whether the goals are met."""

    def middle(figure: Figure, name: str) -> float:
        return statistics.median(results[figure][name])

    for name in ASKED:
        if CPU[name] not in results or WARM not in results:
            yield f"an order `{name}` over a warm channel was not measured"
            continue
        cpu, speed, wall = (middle(figure[name], "sshhome") for figure in (CPU, SPEED, WALL))
        yield (
            f"`{name}`: {cpu / middle(WARM, 'sshhome'):.2f} of the CPU of an exec on the same server, "
            f"{wall / middle(ALONE, 'sshhome'):.2f} of its time (goal {SHARE:g}); "
            f"{speed:.0f} orders/s (goal {RATE:.0f})"
        )
        if "sshd" in results[WARM]:
            beside = f"{cpu / middle(WARM, 'sshd'):.3f} of the CPU of sshd's exec"
            beside += f", {wall / middle(MASTER, 'sshd'):.3f} of its time by ControlMaster" if MASTER in results else ""
            yield f"`{name}`: {beside}"


def main() -> int:
    """Measure and print; return 0 whatever the figures are, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rpc", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the time, for rougher figures")
    arguments = parser.parse_args()
    # An exception, so that the servers are ended as they are on ^C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(_QUICK if arguments.quick else _FULL)
    measures = [rpc, warm, alone, master]
    if shutil.which("ssh") is None:
        run.fail(master.__name__, "ssh is missing; on Debian: apt install openssh-client")
        measures.remove(master)
    try:
        run.measure((sshhome.server, openssh.server), measures)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    report.show(run.results, run.names)
    for line in verdict(run.results):
        print(line)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
