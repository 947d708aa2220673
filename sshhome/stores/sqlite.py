"""The embedded store: one SQLite file in the site's `state/`."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from sshhome.database import Database
from sshhome.errors import SiteError
from sshhome.store import BanRecord, Failure

T = TypeVar("T")
log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE ban (source TEXT PRIMARY KEY, at REAL, until REAL, count INTEGER, kind TEXT, evidence TEXT, rule TEXT);
    CREATE TABLE failure (source TEXT, user TEXT, at REAL);
    CREATE INDEX failure_by_source ON failure (source, user);
    CREATE INDEX failure_by_time ON failure (at)
    """,
    "CREATE INDEX ban_by_end ON ban (until)",
)
_MAX_ROWS = 65_536
#: Rows that are entered between two looks at how many there are, since SQLite can tell that only by counting.
_UNCOUNTED = 256


class SqliteStore:
    """Keeps bans and failures of one node."""

    def __init__(self, database: Database, version: int) -> None:
        """Use an open database; see `open`."""
        self._database = database
        self._version = version
        self._entered = 0
        self._lost: BaseException | None = None

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the file; raises SiteError."""
        database = await Database.open(path, MIGRATIONS)
        return cls(database, await database.version())

    async def bans(self) -> Sequence[BanRecord]:
        """Return every ban there is a row for."""
        return await _read(self._database.run(lambda db: [BanRecord(*row) for row in db.execute("SELECT * FROM ban")]))

    async def failures(self, since: float) -> Sequence[Failure]:
        """Return the failed logins since a moment, oldest first, and drop the older ones."""

        def read(db: sqlite3.Connection) -> list[Failure]:
            db.execute("DELETE FROM failure WHERE at < ?", (since,))
            return [Failure(*row) for row in db.execute("SELECT source, user, at FROM failure ORDER BY at")]

        return await _read(self._database.run(read))

    async def changed_elsewhere(self) -> bool:
        """Return whether another connection, such as that of `sshhome ban lift`, has changed the file since."""
        before, self._version = self._version, await _read(self._database.version())
        return self._version != before

    def put_ban(self, ban: BanRecord) -> None:
        """Keep a ban; beyond the bound the one that ends soonest goes."""
        row = (ban.source, ban.at, ban.until, ban.count, ban.kind, ban.evidence, ban.rule)
        self._enter("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def remove_ban(self, source: str) -> None:
        """Forget the ban of a source."""
        self._submit(lambda db: db.execute("DELETE FROM ban WHERE source = ?", (source,)).close())

    def add_failure(self, failure: Failure) -> None:
        """Keep a failed login; beyond the bound the oldest goes."""
        self._enter("INSERT INTO failure VALUES (?, ?, ?)", (failure.source, failure.user, failure.at))

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget the failures of a source, or just those of one user from it."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM failure WHERE source = ? AND user = coalesce(?, user)", (source, user))

        self._submit(write)

    async def settle(self) -> None:
        """Wait for what is queued; raises SiteError when a change so far could not be kept."""
        await _read(self._database.run(lambda _: None))
        if self._lost is not None:
            raise SiteError(f"the store: {self._lost}")

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()

    def _enter(self, statement: str, row: Sequence[object]) -> None:
        """Keep a row; now and then drop those that are over the bound."""
        self._entered += 1
        full = self._entered % _UNCOUNTED == 0

        def write(db: sqlite3.Connection) -> None:
            db.execute(statement, row)
            if full:
                _bound(db, "ban", "until")
                _bound(db, "failure", "at")

        self._submit(write)

    def _submit(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        self._database.submit(job).add_done_callback(self._report)

    def _report(self, future: asyncio.Future[Any]) -> None:
        """Tell the log of a write that failed and nobody waits for; the bans go on in memory."""
        if not future.cancelled() and (error := future.exception()) is not None:
            self._lost = error
            log.error("store: %s", error)


def _bound(db: sqlite3.Connection, table: str, order: str) -> None:
    """Drop the first rows in this order as far as the table is over its bound."""
    over = f"SELECT rowid FROM {table} ORDER BY {order} DESC LIMIT -1 OFFSET {_MAX_ROWS}"  # noqa: S608 (our own names)
    db.execute(f"DELETE FROM {table} WHERE rowid IN ({over})")  # noqa: S608


async def _read(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except sqlite3.Error as error:
        raise SiteError(f"the store: {error}") from None
