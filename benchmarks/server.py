"""A server that is measured: started as a process of its own on a free port, and ended with all its children."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import proc

#: What every server is asked, and what it answers.
ORDER, ANSWER = "on kitchen", "kitchen is on\n"
#: The address of the loopback network that somebody unwelcome comes from.
ATTACKER = "127.0.0.66"
#: Seconds a server has to start, to come to rest, or to end.
PATIENCE = 10.0


class Unmeasured(Exception):
    """Something could not be measured; the message is one line that says why."""


class Server(NamedTuple):
    """A kind of server; `command` lays out a folder for one that listens on a port and lets a public key in.

    While what `shut` returns is entered, the server on that port turns away who comes from `ATTACKER`.
    """

    name: str
    user: str
    command: Callable[[Path, int, str], Sequence[str]]
    shut: Callable[[int], contextlib.AbstractContextManager[None]] | None = None


class Running(NamedTuple):
    """A server that accepts connections; `seconds` is how long that took it, `banner` what it calls itself."""

    server: Server
    pid: int
    port: int
    seconds: float
    banner: str

    def rest(self) -> None:
        """Wait until the server's children are gone and waited for, so that their CPU time is known."""
        deadline = time.monotonic() + PATIENCE
        while len(proc.tree(self.pid)) > 1:
            if time.monotonic() > deadline:
                raise Unmeasured("connections do not end")
            time.sleep(0.005)


@contextlib.contextmanager
def running(server: Server, key: Path) -> Iterator[Running]:
    """Run a server that lets a key in; it and its children are gone afterwards, however this ends."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, socket.socket() as probe:
        folder = Path(name)
        # A server that gives up its privileges must still get at the files it is pointed to.
        folder.chmod(0o755)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        probe.close()
        command = server.command(folder, port, key.with_suffix(".pub").read_text(encoding="utf-8"))
        with (folder / "log").open("w+", encoding="utf-8") as log:
            started = time.perf_counter()
            # A session of its own: ^C is for us alone, and we end it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                banner = _banner(process, port, log.name)
                yield Running(server, process.pid, port, time.perf_counter() - started, banner)
            finally:
                _end(process)


def _banner(process: "subprocess.Popen[bytes]", port: int, log: str) -> str:
    """Return the line a server greets with; it has accepted by then, not just its kernel."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client, client.makefile("rb") as lines:
                return lines.readline().decode(errors="replace").strip().removeprefix("SSH-2.0-")
        except ConnectionError:
            time.sleep(0.001)
    said = Path(log).read_text(encoding="utf-8").strip().splitlines()
    raise Unmeasured(f"does not start: {said[-1] if said else 'no word why'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server; its children first, while it is there to tell who they are."""
    for pid in set(proc.tree(process.pid)) - {process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
