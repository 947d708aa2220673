"""How tests run the program itself: as a process with a home directory of its own, ended by its id whatever happens."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from sshhome import app
from sshhome.reload import Reload
from sshhome.server import Server
from tests.client import PATIENCE, Answer, Door, until


class Process:
    """A program that runs, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Listen to it; see `start`."""
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.out = ""
        self.err = ""
        self._listening = asyncio.gather(self._hear(process.stdout, "out"), self._hear(process.stderr, "err"))

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        *argv: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
    ) -> "AsyncIterator[Process]":
        """Start a program; it is gone when the block ends, killed if need be."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        started = cls(process)
        try:
            yield started
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await started._listening

    async def _hear(self, stream: asyncio.StreamReader, name: str) -> None:
        heard = b""
        while chunk := await stream.read(4096):
            heard += chunk
            setattr(self, name, heard.decode(errors="replace"))

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until its output, or else what it says on standard error, has this; fail when it ends without."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, self.out, re.MULTILINE) or re.search(pattern, self.err, re.MULTILINE)

        try:
            await until(lambda: found() or self._listening.done())
        except TimeoutError:
            pytest.fail(f"it never said {pattern!r}:\n{self.out}\n{self.err}")
        said = found()
        assert said is not None, f"it ended without saying {pattern!r}:\n{self.out}\n{self.err}"
        return said

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    @property
    def group(self) -> int:
        """The id of the process group that it and its children are."""
        return self._process.pid

    async def answer(self) -> Answer:
        """Wait for its end and return what it said; a status below 0 is the signal that ended it."""
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self._process.wait()
                await self._listening
        except TimeoutError:
            pytest.fail(f"it does not end:\n{self.out}\n{self.err}")
        return Answer(self.out, self.err, status)


class Served(NamedTuple):
    """A house that is served by a process of its own."""

    process: Process
    door: Door


class Operator:
    """Who looks after the house, at a terminal of its machine: runs `sshhome`, and has a home directory."""

    def __init__(self, home: Path) -> None:
        """Move in."""
        self.home = home
        home.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment: nothing of the tester's own; a warning of the program is an error."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONWARNINGS": "error", **more}

    @contextlib.asynccontextmanager
    async def starts(
        self,
        *words: str | Path,
        site: Path | None = None,
        folder: Path | None = None,
        before: Sequence[str] = (),
        stdin: int = asyncio.subprocess.DEVNULL,
        **environment: str,
    ) -> AsyncIterator[Process]:
        """Start `sshhome` with these words; `before` is the command that starts it in turn."""
        more = () if site is None else ("--site", str(site))
        async with Process.start(
            *before,
            sys.executable,
            "-m",
            "sshhome",
            *map(str, words),
            *more,
            environment=self.environment(**environment),
            folder=folder or self.home,
            stdin=stdin,
        ) as process:
            yield process

    async def types(
        self,
        *words: str | Path,
        site: Path | None = None,
        folder: Path | None = None,
        before: Sequence[str] = (),
        stdin: str | bytes = b"",
        **environment: str,
    ) -> Answer:
        """Run `sshhome` with these words to its end."""
        with tempfile.TemporaryFile() as file:
            file.write(stdin.encode() if isinstance(stdin, str) else stdin)
            file.seek(0)
            async with self.starts(
                *words, site=site, folder=folder, before=before, stdin=file.fileno(), **environment
            ) as process:
                return await process.answer()

    @contextlib.asynccontextmanager
    async def serves(self, site: Path, keys: Path, *words: str) -> AsyncIterator[Served]:
        """Serve a site on a free port; `keys` are those to try on it."""
        async with self.starts("serve", "--listen", "127.0.0.1:0", *words, site=site) as process:
            said = await process.says(r"^listening on (\S+)$")
            # The server itself is in the other process; what asks for it does not work here.
            yield Served(process, Door(cast("Server", None), app.Site(site), said[1], keys, cast("Reload", None)))


def lines(answer: Answer) -> list[str]:
    """Return the lines on standard error, each of which tells of one error and none of which is a traceback."""
    told = answer.err.splitlines()
    assert all(line.startswith("error: ") and line.isprintable() for line in told), answer.err
    return told


def without_override() -> Sequence[str]:
    """Return the command that starts a program which file permissions bind, as they do not bind root."""
    if os.geteuid() != 0:
        return ()
    caps = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}")


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
