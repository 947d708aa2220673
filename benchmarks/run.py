"""One interleaved run: every measure visits all servers by turns, there and back, for some rounds."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from benchmarks.load import Client
from benchmarks.measures import Effort, Figure, Measure
from benchmarks.server import Running, Server, Unmeasured, running
from sshhome.hostkey import make_key


class Run:
    """The results so far, and what failed: it is told once, left out from then on, and the rest goes on."""

    def __init__(self, effort: Effort) -> None:
        """Begin with nothing."""
        self.results: dict[Figure, dict[str, list[float]]] = {}
        self.names: list[str] = []
        self.failures: set[str] = set()
        self._effort = effort

    def measure(
        self,
        finders: Sequence[Callable[[], Server]],
        measures: Sequence[Measure],
        first: Callable[[Client], Coroutine[Any, Any, None]] = Client.fresh_order,
    ) -> None:
        """Start the servers and visit them; A B C C B A, so that a drift of the machine falls on all of them.

        `first` has each of them load what it loads when it is first asked for something.
        """
        with tempfile.TemporaryDirectory(prefix="benchmark-key-") as folder, contextlib.ExitStack() as stack:
            key = Path(folder) / "key"
            make_key(key, "home@benchmark")
            served: list[Running] = []
            for find in finders:
                with self._reported(find.__module__.rpartition(".")[2]):
                    one = stack.enter_context(running(find(), key))
                    asyncio.run(first(Client(one, key)))
                    served.append(one)
                    print(f"{one.server.name} ({one.banner}), user {one.server.user}")
            self.names = [one.server.name for one in served]
            # Sshhome opens its door before it has loaded all it may need.
            time.sleep(1)
            for number in range(self._effort.rounds):
                for measure in measures:
                    print(f"round {number + 1} of {self._effort.rounds}: {measure.__name__}", file=sys.stderr)
                    for one in (*served, *reversed(served)):
                        self._visit(measure, one, key)

    def _visit(self, measure: Measure, one: Running, key: Path) -> None:
        what = f"{measure.__name__} of {one.server.name}"
        if what in self.failures:
            return
        with self._reported(what):
            for figure, samples in measure(one, key, self._effort).items():
                self.results.setdefault(figure, {}).setdefault(one.server.name, []).extend(samples)

    def fail(self, what: str, why: str) -> None:
        """Tell what cannot be measured, and why."""
        self.failures.add(what)
        print(f"not measured: {what}: {why}", file=sys.stderr)

    @contextlib.contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        try:
            yield
        except (Unmeasured, OSError, asyncssh.Error, subprocess.SubprocessError) as error:
            self.fail(what, str(error) or type(error).__name__)
