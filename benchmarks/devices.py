"""A house of 5,000 devices behind a real Mosquitto: how soon it is known, 200 lamps at once, 1,000 changes a second.

Sshhome runs as a process of its own, and so does everything else. Beside it a bare aiomqtt client hears the same
messages and does nothing with them.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
from rich.console import Console
from rich.table import Table

from benchmarks import population, proc
from benchmarks.server import Running, Server, Unmeasured, running
from benchmarks.servers import sshhome
from sshhome.hostkey import make_key
from tests.servers.mosquitto import Mosquitto, mosquitto, program

#: Seconds from one order to the next on the warm connection, and that a house has to become known.
_EVERY, _PATIENCE = 0.05, 120.0
_STORM_EVERY = 0.1
#: Seconds of CPU time in one second that count as none.
_RESTS = 0.03
#: Sessions that watch and read, beside one that does not read.
_WATCHERS = 3


class Row(NamedTuple):
    """A line of the report; the ratio is what the peer's is of ours, or ours of the peer's where less is better."""

    figure: str
    ours: str
    peer: str = ""
    ratio: float | None = None


def main() -> int:
    """Measure and print; return 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=5000, help="how many there are")
    parser.add_argument("--seconds", type=float, default=20, help="how long the storm of changes lasts")
    parser.add_argument("--rate", type=int, default=1000, help="changes a second")
    parser.add_argument("--only", choices=("discovered", "zigbee", "lamps"), help="just one house")
    parser.add_argument("--watch", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.watch:
        asyncio.run(_watch(asked.watch, asked.key))
        return 0
    if program() is None:
        sys.stderr.write("not measured: mosquitto is missing; on Debian: apt install mosquitto\n")
        return 1
    try:
        for name in ("discovered", "zigbee", "lamps") if asked.only is None else (asked.only,):
            with tempfile.TemporaryDirectory(prefix="devices-") as folder:
                asyncio.run(_house(Path(folder), name, asked))
    except (Unmeasured, OSError, asyncssh.Error) as error:
        sys.stderr.write(f"not measured: {error or type(error).__name__}\n")
        return 1
    return 0


async def _house(folder: Path, name: str, asked: argparse.Namespace) -> None:
    """Measure one house, and print what was found."""
    make_key(folder / "key", "home@benchmark")
    count = 200 if name == "lamps" else asked.devices
    async with mosquitto(folder / "broker") as broker:
        await population.retain(broker.url(), population.POPULATIONS[name][0](count))
        retained = sum(1 for _ in population.POPULATIONS[name][0](count))
        rows: list[Row] = []
        if name == "lamps":
            with _serving(broker, folder / "key") as served:
                await _orders(rows, Client(served.port, folder / "key"), broker, count)
        else:
            peer = await _heard(broker, retained)
            began = time.perf_counter()
            with _serving(broker, folder / "key") as served:
                client = Client(served.port, folder / "key")
                await _discovery(rows, client, served, count, began=began, peer=peer)
                await _at_rest(served)
                await _changes(rows, client, served, broker, name=name, asked=asked)
    show({"lamps": f"{count} lamps", "zigbee": f"{count} of Zigbee2MQTT"}.get(name, f"{count} discovered"), rows)


def _serving(broker: Mosquitto, key: Path) -> contextlib.AbstractContextManager[Running]:
    """Run sshhome with that broker's devices."""

    def command(folder: Path, port: int, public_key: str) -> Sequence[str]:
        line = sshhome.server().command(folder, port, public_key)
        with (folder / "sshhome.toml").open("a", encoding="utf-8") as file:
            file.write(f'[[backend]]\nkind = "mqtt"\nurl = "{broker.url()}"\n')
        return line

    return running(Server("sshhome", "home", command), key)


# -- what is measured -------------------------------------------------------------------------------------------------


async def _heard(broker: Mosquitto, count: int) -> dict[str, Any]:
    """Return what a bare client needs to hear everything that is retained."""
    async with _process("hear", broker.url(), "--count", count) as process:
        await _line(process)
        return await _line(process)


async def _discovery(
    rows: list[Row], client: "Client", served: Running, count: int, *, began: float, peer: dict[str, Any]
) -> None:
    """Time how long it takes until all are listed, and what orders take meanwhile."""
    async with client.connect() as warm, _asking(warm, _EVERY) as taken:
        await _all(warm, count)
        rows.append(_against("all are listed, from `serve`, s", time.perf_counter() - began, peer["seconds"]))
    rows.append(Row("  an order meanwhile, ms", _spread(taken)))
    cpu, memory = proc.cpu_seconds(served.pid), proc.pss_kib(served.pid) / 1024
    rows.append(_against("  CPU time, s", cpu, peer["cpu"]))
    rows.append(Row("  memory, MiB", f"{memory:.0f}"))
    async with client.connect() as warm, _asking(warm, _EVERY) as taken:
        again = time.perf_counter()
        await warm.answer("backend reload mqtt")
        await _all(warm, count)
        rows.append(_against("all are listed again, from connecting, s", time.perf_counter() - again, peer["seconds"]))
    rows.append(Row("  an order meanwhile, ms", _spread(taken)))
    rows.append(Row("  memory, MiB", f"{proc.pss_kib(served.pid) / 1024:.0f}"))
    async with client.connect() as warm:
        for line in ("list --json", "get light.lamp_1", "backend list"):
            taken = [await warm.time(line) for _ in range(10)]
            rows.append(Row(f"`{line}`, ms", _spread(taken)))


async def _all(warm: "Warm", count: int) -> None:
    """Wait until all devices are listed; the last lamps are asked for first, which costs less than all devices."""
    await _listed(warm, f"light.lamp_{(count - 1) // 100}??", 50)
    await _listed(warm, "all", count)


async def _listed(warm: "Warm", target: str, count: int) -> None:
    end = time.monotonic() + _PATIENCE
    while (seen := len(await warm.devices(f"list {target} --json"))) < count:
        if time.monotonic() > end:
            raise Unmeasured(f"{seen} of {count} devices are listed")
        await asyncio.sleep(_EVERY)


async def _at_rest(served: Running) -> None:
    """Wait until the server has nothing more to do."""
    before, now = -1.0, proc.cpu_seconds(served.pid)
    while now - before > _RESTS:
        await asyncio.sleep(1)
        before, now = now, proc.cpu_seconds(served.pid)


async def _orders(rows: list[Row], client: "Client", broker: Mosquitto, count: int) -> None:
    """Time one order to all lamps, and one to each, one after the other."""
    at_once, one_by_one, confirmed = [], [], 0
    async with client.connect() as warm, _process("obey", broker.url()) as lamps:
        await _line(lamps)
        await _listed(warm, "light.*", count)
        for _ in range(3):
            for word in ("on", "off"):
                began = time.perf_counter()
                answered = json.loads((await warm.answer(f"{word} light.* --json")).text)
                at_once.append((time.perf_counter() - began) * 1000)
                confirmed += len(answered)
            began = time.perf_counter()
            for number in range(1, 2 * count, 2):
                await warm.answer(f"on light.lamp_{number}")
            one_by_one.append((time.perf_counter() - began) * 1000)
            await warm.answer("off light.*")
    rows.append(Row(f"`on light.*`, {count} lamps, ms", _spread(at_once)))
    rows.append(Row("  confirmed", f"{confirmed} of {6 * count}"))
    each = statistics.median(one_by_one)
    rows.append(Row(f"{count} orders, one after the other, ms", _spread(one_by_one)))
    rows.append(Row("  as many times longer", "", "", each / statistics.median(at_once)))


async def _changes(
    rows: list[Row], client: "Client", served: Running, broker: Mosquitto, *, name: str, asked: argparse.Namespace
) -> None:
    """Let things change all the time, and look at the server's memory and CPU time, at orders and at who watches."""
    storm = ["storm", broker.url(), "--count", asked.devices, "--population", name, "--rate", asked.rate]
    async with client.connect() as warm:
        silence = await _storm(warm, served, asked.seconds / 4, None)
        rows.append(Row("in silence: an order, ms", _spread(silence.taken)))
        rows.append(Row("  CPU, %", f"{silence.share * 100:.1f}"))
        heard = ["hear", broker.url(), "--live", "--count", int(asked.rate * asked.seconds * 0.4)]
        async with _process(*heard) as bare:
            await _line(bare)
            alone = await _storm(warm, served, asked.seconds / 2, [*storm, "--seconds", asked.seconds / 2])
            peer = await _line(bare)
        _told(rows, f"{alone.rate:.0f} changes a second, nobody watches", alone, silence)
        each = (alone.share - silence.share) / alone.rate * 1e6
        rows.append(_against("  CPU a change, us", each, peer["cpu"] / peer["messages"] * 1e6))
        watch = [sys.executable, "-m", "benchmarks.devices", "--watch", str(served.port), "--key", str(client.key)]
        async with _running(watch) as watchers:
            await _line(watchers)
            watched = await _storm(warm, served, asked.seconds, [*storm, "--seconds", asked.seconds])
            assert watchers.stdin is not None
            watchers.stdin.close()
            lines = await _line(watchers)
        _told(rows, f"{watched.rate:.0f} changes a second, {_WATCHERS} watch and 1 does not read", watched, silence)
        each = (watched.share - silence.share) / watched.rate * 1e6
        rows.append(Row("  CPU a change, us", f"{each:.0f}"))
        memory = ", ".join(f"{one:.1f}" for one in watched.memory)
        rows.append(Row("  memory at the start, amid and at the end, MiB", memory))
        of = f"of {watched.rate * asked.seconds:.0f} changes"
        rows.append(Row("  lines each watcher read", ", ".join(map(str, lines["lines"])), of))


class Storm(NamedTuple):
    """What a while was like: milliseconds of orders, the CPU's share, memory in MiB, and changes a second."""

    taken: Sequence[float]
    share: float
    memory: Sequence[float]
    rate: float


async def _storm(warm: "Warm", served: Running, seconds: float, storm: Sequence[object] | None) -> Storm:
    memory = [proc.pss_kib(served.pid) / 1024]
    cpu, began = proc.cpu_seconds(served.pid), time.perf_counter()
    async with contextlib.AsyncExitStack() as stack:
        process = await stack.enter_async_context(_process(*storm)) if storm else None
        taken = await stack.enter_async_context(_asking(warm, _STORM_EVERY))
        await asyncio.sleep(seconds / 2)
        memory.append(proc.pss_kib(served.pid) / 1024)
        await asyncio.sleep(seconds / 2)
        sent = await _line(process) if process is not None else {"messages": 0, "seconds": 1.0}
        share = (proc.cpu_seconds(served.pid) - cpu) / (time.perf_counter() - began)
    memory.append(proc.pss_kib(served.pid) / 1024)
    return Storm(taken, share, memory, sent["messages"] / sent["seconds"])


# -- who gives orders, and who watches --------------------------------------------------------------------------------


class _Answer(asyncssh.SSHClientSession[str]):
    """Gathers what a server says."""

    def __init__(self) -> None:
        self.text = ""

    def data_received(self, data: str, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 (asyncssh's own signature)
        self.text += data


class Client:
    """Somebody with a key."""

    def __init__(self, port: int, key: Path) -> None:
        """Read the key."""
        self.key = key
        self._port = port
        self._options = asyncssh.SSHClientConnectionOptions(
            username="home", client_keys=[str(key)], known_hosts=None, config=None, agent_path=None
        )

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator["Warm"]:
        """Log in, and leave at the end."""
        async with asyncssh.connect("127.0.0.1", self._port, options=self._options) as connection:
            yield Warm(connection)


class Warm:
    """A connection on which orders are given."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        """Take a connection."""
        self.connection = connection

    async def answer(self, line: str) -> _Answer:
        """Give an order, and return its answer; raises Unmeasured for one that fails."""
        answer = _Answer()
        channel, _ = await self.connection.create_session(lambda: answer, line)
        await channel.wait_closed()
        if channel.get_exit_status() != 0:
            raise Unmeasured(f"'{line}' answers {answer.text[:200]!r} and status {channel.get_exit_status()}")
        return answer

    async def devices(self, line: str) -> Sequence[object]:
        """Return the devices that an order lists; none if there are none."""
        try:
            found: Sequence[object] = json.loads((await self.answer(line)).text)
        except Unmeasured:
            return ()
        return found

    async def time(self, line: str) -> float:
        """Return how many milliseconds an order takes."""
        began = time.perf_counter()
        await self.answer(line)
        return (time.perf_counter() - began) * 1000


@contextlib.asynccontextmanager
async def _asking(warm: Warm, every: float) -> AsyncIterator[list[float]]:
    """Give an order now and then; what each took, in milliseconds, is in the list that this returns."""
    taken: list[float] = []

    async def ask() -> None:
        while True:
            taken.append(await warm.time("time"))
            await asyncio.sleep(every)

    task = asyncio.create_task(ask())
    try:
        yield taken
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Watcher(asyncssh.SSHClientSession[bytes]):
    """Counts the lines that it reads, if it reads."""

    def __init__(self, *, reads: bool) -> None:
        self.lines = 0
        self._reads = reads

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Read nothing, if so."""
        if not self._reads:
            chan.pause_reading()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Count."""
        self.lines += data.count(b"\n")


async def _watch(port: int, key: str) -> None:
    """Watch the house in several sessions until standard input ends, and tell how many lines each has read."""
    async with contextlib.AsyncExitStack() as stack:
        watchers = [_Watcher(reads=at < _WATCHERS) for at in range(_WATCHERS + 1)]
        for watcher in watchers:
            warm = await stack.enter_async_context(Client(port, Path(key)).connect())
            made = _made(watcher)
            await warm.connection.create_session(made, "watch --json", encoding=None, window=64 * 1024)
        sys.stdout.write("{}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        sys.stdout.write(json.dumps({"lines": [watcher.lines for watcher in watchers]}) + "\n")


def _made(watcher: _Watcher) -> Callable[[], _Watcher]:
    return lambda: watcher


def _process(*words: object) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return _running([sys.executable, "-m", "benchmarks.population", *map(str, words)])


@contextlib.asynccontextmanager
async def _running(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return the next line that a process says."""
    assert process.stdout is not None
    said = await _in_time(process.stdout.readline())
    if not said:
        raise Unmeasured("a process ended without a word")
    told: dict[str, Any] = json.loads(said)
    return told


async def _in_time(waiting: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(_PATIENCE):
        return await waiting


# -- telling ----------------------------------------------------------------------------------------------------------


def _spread(taken: Sequence[float]) -> str:
    """Return the median, the 99th percentile and the longest."""
    if not taken:
        return "-"
    ordered = sorted(taken)
    return f"{statistics.median(ordered):.1f} (p99 {ordered[len(ordered) * 99 // 100]:.1f}, max {ordered[-1]:.1f})"


def _against(figure: str, ours: float, peer: float) -> Row:
    digits = 2 if ours < 10 else 0
    return Row(figure, f"{ours:.{digits}f}", f"{peer:.{digits}f}", ours / peer)


def _told(rows: list[Row], title: str, storm: Storm, silence: Storm) -> None:
    ratio = statistics.median(storm.taken) / statistics.median(silence.taken)
    rows.append(Row(f"{title}: an order, ms", _spread(storm.taken), "", ratio))
    rows.append(Row("  CPU, %", f"{storm.share * 100:.1f}"))


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, no_wrap=True)
    for name in ("sshhome", "bare aiomqtt", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.{2 if row.ratio < 10 else 1}f} x"
        table.add_row(row.figure, row.ours, row.peer, ratio)
    Console(width=200, highlight=False).print(table, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
