"""The shell: what a key costs, how soon it is echoed, and what an idle shell weighs, beside a stock prompt and bash.

`python -m benchmarks.shell` measures all of them in one run, interleaved.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import shutil
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncssh

from benchmarks import proc, report
from benchmarks.load import Client
from benchmarks.measures import Effort, Figure, Measure, Samples, at_rest
from benchmarks.run import Run
from benchmarks.server import PATIENCE, Running, Unmeasured, running
from benchmarks.servers import openssh, sshhome, stock

#: Rounds, and at each visit of a server shells to weigh and seconds of typing.
_FULL = Effort(rounds=3, commands=0, connections=32, seconds=8)
_QUICK = Effort(rounds=1, commands=0, connections=16, seconds=3)

KEY = Figure("a key, CPU ms", 2, 1)
ECHO = Figure("echo, p50 ms", 2)
SLOW = Figure("the same, p99 ms", 2)
KEY_OF_MANY = Figure("a key of 50 typists, CPU ms", 2, 1)
ECHO_OF_MANY = Figure("echo with 50 typists, p50 ms", 2)
SLOW_OF_MANY = Figure("the same, p99 ms", 2, 15)
IDLE = Figure("idle shell and its connection, KiB", 0, 250)

#: What is typed, again and again: a word that is known to a house, and the way back.
_TYPED = "dim kitchen 40"
_BACK = "\x7f"
#: People who type at the same time, keys that each of them presses in a second, and how many log in at once.
_TYPISTS, _RATE, _AT_ONCE = 50, 5.0, 4


class _Screen(asyncssh.SSHClientSession[bytes]):
    """Notes that something has come back."""

    def __init__(self) -> None:
        self.said = asyncio.Event()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 (asyncssh's own signature)
        self.said.set()


class _Typist:
    """Somebody at a shell who waits for each key to be echoed before pressing the next."""

    def __init__(self, channel: "asyncssh.SSHClientChannel[bytes]", screen: _Screen) -> None:
        self._channel = channel
        self._screen = screen
        self._keys = itertools.cycle([*_TYPED, *[_BACK] * len(_TYPED)])
        self.echoes: list[float] = []

    async def press(self) -> None:
        """Press the next key, and time its echo."""
        self._screen.said.clear()
        started = time.perf_counter()
        self._channel.write(next(self._keys).encode())
        async with asyncio.timeout(PATIENCE):
            await self._screen.said.wait()
        self.echoes.append((time.perf_counter() - started) * 1000)

    async def quiet(self) -> None:
        """Wait until the prompt is there and nothing more comes."""
        while True:
            self._screen.said.clear()
            try:
                async with asyncio.timeout(0.3):
                    await self._screen.said.wait()
            except TimeoutError:
                return


@contextlib.asynccontextmanager
async def _shell(client: Client) -> AsyncIterator[_Typist]:
    """Log in and open a shell in a terminal of 80 by 24."""
    async with client.connect() as connection:
        screen = _Screen()
        channel, _ = await connection.create_session(
            lambda: screen, term_type="xterm-256color", term_size=(80, 24), encoding=None
        )
        typist = _Typist(channel, screen)
        async with asyncio.timeout(PATIENCE):
            await screen.said.wait()
        yield typist


async def _first(client: Client) -> None:
    """Open a shell."""
    async with _shell(client) as typist:
        await typist.press()


async def _shells(stack: contextlib.AsyncExitStack, client: Client, count: int) -> Sequence[_Typist]:
    """Open so many shells, a few at once, and wait until all of them have their prompt."""
    typists: list[_Typist] = []
    for at in range(0, count, _AT_ONCE):
        few = range(min(_AT_ONCE, count - at))
        typists += await asyncio.gather(*(stack.enter_async_context(_shell(client)) for _ in few))
    await asyncio.gather(*(typist.quiet() for typist in typists))
    return typists


def one(served: Running, key: Path, effort: Effort) -> Samples:
    """Let one typist press keys as fast as they are echoed."""

    async def type_() -> Samples:
        async with _shell(Client(served, key)) as typist:
            await typist.quiet()
            for _ in range(2 * len(_TYPED)):
                await typist.press()
            typist.echoes.clear()
            before, end = proc.cpu_seconds(served.pid), time.monotonic() + effort.seconds
            while time.monotonic() < end:
                await typist.press()
            cpu = proc.cpu_seconds(served.pid) - before
            return {KEY: [cpu * 1000 / len(typist.echoes)], **_echoes(typist.echoes, ECHO, SLOW)}

    return asyncio.run(type_())


def many(served: Running, key: Path, effort: Effort) -> Samples:
    """Let fifty typists press five keys a second each, each in a time of their own."""

    async def type_(typist: _Typist, chance: random.Random) -> None:
        end = time.monotonic() + effort.seconds
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(0, 2 / _RATE))
            await typist.press()

    async def all_type() -> Samples:
        async with contextlib.AsyncExitStack() as stack:
            typists = await _shells(stack, Client(served, key), _TYPISTS)
            before = proc.cpu_seconds(served.pid)
            chances = (random.Random(number) for number in range(_TYPISTS))  # noqa: S311 (no secret)
            await asyncio.gather(*map(type_, typists, chances))
            cpu = proc.cpu_seconds(served.pid) - before
            echoes = [echo for typist in typists for echo in typist.echoes]
            return {KEY_OF_MANY: [cpu * 1000 / len(echoes)], **_echoes(echoes, ECHO_OF_MANY, SLOW_OF_MANY)}

    return asyncio.run(all_type())


def _echoes(echoes: Sequence[float], usual: Figure, slow: Figure) -> Samples:
    if len(echoes) < 100:
        raise Unmeasured("too few keys were echoed")
    hundredths = statistics.quantiles(echoes, n=100, method="inclusive")
    return {usual: [hundredths[49]], slow: [hundredths[98]]}


def idle(served: Running, key: Path, effort: Effort) -> Samples:
    """Weigh shells, each on a connection of its own, at whose prompt a line was typed and taken back.

    As with idle connections, those that fill memory that the process has already had are not counted.
    """

    async def weigh(fresh: Running) -> float:
        client = Client(fresh, key)
        weights = []
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                for typist in await _shells(stack, client, effort.connections):
                    for _ in range(2 * len(_TYPED)):
                        await typist.press()
                weights.append(at_rest(fresh))
        return (weights[1] - weights[0]) / effort.connections

    with running(served.server, key) as fresh:
        return {IDLE: [asyncio.run(weigh(fresh))]}


MEASURES: Sequence[Measure] = (one, many, idle)


def main() -> int:
    """Measure and print; return 0 whatever the figures are, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shell", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a minute instead of five, for rougher figures")
    arguments = parser.parse_args()
    # An exception, so that the servers are ended as they are on ^C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(_QUICK if arguments.quick else _FULL)
    finders = [sshhome.server, stock.server]
    if shutil.which("bash") is None:
        run.fail("bash", "bash is missing")
    else:
        finders.append(openssh.bash)
    try:
        run.measure(finders, MEASURES, _first)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    report.show(run.results, run.names)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
