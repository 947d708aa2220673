"""One SQLite file on a thread of its own, with numbered migrations; jobs that wait together commit together."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sshhome.errors import SiteError

T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]


class Database:
    """A SQLite file; what `run` has answered survives `kill -9` (write-ahead log, committed before the answer)."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Take over an open connection; use `open`."""
        self._connection = connection
        self._loop = loop
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[str]) -> Self:
        """Open or create the file and bring it to the last migration.

        `migrations[n]` is the SQL that takes `PRAGMA user_version` from n to n + 1. Raises SiteError, leaving
        the file untouched, when it is newer than the migrations known here.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = await asyncio.to_thread(_connect, path, migrations)
        return cls(connection, asyncio.get_running_loop())

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a transaction and return its result once it is committed."""
        return cast("T", await self.submit(job))

    def submit(self, job: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        """Queue a job, in order; the future is done once it is committed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._closed:
            future.set_exception(sqlite3.ProgrammingError("the database is closed"))
        else:
            self._jobs.put((job, future))
        return future

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        """Run jobs until told to stop, committing all that queued up meanwhile at once."""
        going = True
        while going:
            batch: list[_Job] = []
            waiting = self._jobs.get()
            while waiting is not None:
                batch.append(waiting)
                try:
                    waiting = self._jobs.get_nowait()
                except queue.Empty:
                    break
            going = waiting is not None
            if batch:
                results = self._commit(batch)
                self._loop.call_soon_threadsafe(_deliver, results)
        self._connection.close()

    def _commit(self, batch: Sequence[_Job]) -> list[tuple[asyncio.Future[Any], Any, Exception | None]]:
        results: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job, future in batch:
                self._connection.execute("SAVEPOINT job")
                try:
                    results.append((future, job(self._connection), None))
                except Exception as error:  # noqa: BLE001 (whatever a job raises is its caller's to see)
                    self._connection.execute("ROLLBACK TO job")
                    results.append((future, None, error))
                self._connection.execute("RELEASE job")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return [(future, None, error) for _, future in batch]
        return results


def _deliver(results: Sequence[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, value, error in results:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def _connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(migrations):
            raise SiteError(f"{path.name}: written by a newer sshhome (version {version}, known {len(migrations)})")
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for number in range(version, len(migrations)):
            connection.executescript(f"BEGIN; {migrations[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
    except (sqlite3.Error, OSError, SiteError) as error:
        # Closing rolls back a migration that did not get to its end.
        if connection is not None:
            connection.close()
        if isinstance(error, SiteError):
            raise
        raise SiteError(f"{path.name}: {error}") from None
    return connection
