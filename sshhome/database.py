"""One SQLite file on a thread of its own, with numbered migrations; jobs that wait together commit together."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sshhome.errors import SiteError

T = TypeVar("T")
#: Seconds to wait for another process that works on the file.
_PATIENCE = 5.0
_Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]


class Database:
    """A SQLite file; what `run` has answered survives `kill -9` (write-ahead log, committed before the answer)."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Take over an open connection; use `open`."""
        self._connection = connection
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._waiting: list[_Job] = []
        self._committing: asyncio.Task[None] | None = None
        self._closed = False

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
            return future
        self._waiting.append((job, future))
        if self._committing is None:
            self._committing = self._loop.create_task(self._commit_waiting())
        return future

    async def version(self) -> int:
        """Return a number that is another one once another connection has changed the file; takes no lock."""
        if self._closed:
            raise sqlite3.ProgrammingError("the database is closed")
        return await self._loop.run_in_executor(self._thread, _version, self._connection)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._closed:
            return
        self._closed = True
        if self._committing is not None:
            await self._committing
        await self._loop.run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    async def _commit_waiting(self) -> None:
        """Hand over what waits, as often as something does: one commit and one change of threads for all of it."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            _deliver(await self._loop.run_in_executor(self._thread, self._commit, batch))
        self._committing = None

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


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; here SQLite does not wait by itself for another process that does the same."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _migration(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Do the next migration, unless another process has done it by the time this one has the file to itself."""
    connection.execute("BEGIN IMMEDIATE")
    number = _migration(connection)
    if number < len(migrations):
        for statement in migrations[number].split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number + 1}")
    connection.execute("COMMIT")


def _connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
        version = _migration(connection)
        if version > len(migrations):
            raise SiteError(f"{path.name}: written by a newer sshhome (version {version}, known {len(migrations)})")
        path.chmod(0o600)
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        while _migration(connection) < len(migrations):
            _migrate(connection, migrations)
    except (sqlite3.Error, OSError, SiteError) as error:
        # Closing rolls back a migration that did not get to its end.
        if connection is not None:
            connection.close()
        if isinstance(error, SiteError):
            raise
        raise SiteError(f"{path.name}: {error}") from None
    return connection
