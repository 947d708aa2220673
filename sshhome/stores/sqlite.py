"""The embedded store: one SQLite file in the site's `state/`."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from sshhome.database import Database
from sshhome.store import BanRecord, Failure

log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE ban (source TEXT PRIMARY KEY, at REAL, until REAL, count INTEGER, kind TEXT, evidence TEXT, rule TEXT);
    CREATE TABLE failure (source TEXT, user TEXT, at REAL);
    CREATE INDEX failure_by_source ON failure (source, user);
    CREATE INDEX failure_by_time ON failure (at)
    """,
)
_MAX_ROWS = 65_536


class SqliteStore:
    """Keeps bans and failures of one node."""

    def __init__(self, database: Database) -> None:
        """Use an open database; see `open`."""
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the file; raises SiteError."""
        return cls(await Database.open(path, MIGRATIONS))

    async def bans(self) -> Sequence[BanRecord]:
        """Return every ban there is a row for."""
        return await self._database.run(lambda db: [BanRecord(*row) for row in db.execute("SELECT * FROM ban")])

    async def failures(self, since: float) -> Sequence[Failure]:
        """Return the failed logins since a moment, oldest first, and drop the older ones."""

        def read(db: sqlite3.Connection) -> list[Failure]:
            db.execute("DELETE FROM failure WHERE at < ?", (since,))
            return [Failure(*row) for row in db.execute("SELECT source, user, at FROM failure ORDER BY at")]

        return await self._database.run(read)

    def put_ban(self, ban: BanRecord) -> None:
        """Keep a ban; beyond the bound the one that ends soonest goes."""

        def write(db: sqlite3.Connection) -> None:
            row = (ban.source, ban.at, ban.until, ban.count, ban.kind, ban.evidence, ban.rule)
            db.execute("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            _bound(db, "ban", "until")

        self._submit(write)

    def remove_ban(self, source: str) -> None:
        """Forget the ban of a source."""
        self._submit(lambda db: db.execute("DELETE FROM ban WHERE source = ?", (source,)).close())

    def add_failure(self, failure: Failure) -> None:
        """Keep a failed login; beyond the bound the oldest goes."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO failure VALUES (?, ?, ?)", (failure.source, failure.user, failure.at))
            _bound(db, "failure", "at")

        self._submit(write)

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget the failures of a source, or just those of one user from it."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM failure WHERE source = ? AND user = coalesce(?, user)", (source, user))

        self._submit(write)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()

    def _submit(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        self._database.submit(job).add_done_callback(_report)


def _bound(db: sqlite3.Connection, table: str, order: str) -> None:
    """Drop the first row in this order when the table is over its bound."""
    (rows,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 (our own names)
    if rows > _MAX_ROWS:
        db.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY {order} LIMIT 1)")  # noqa: S608


def _report(future: asyncio.Future[Any]) -> None:
    """Tell the log of a write that failed and nobody waits for; the bans go on in memory."""
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("store: %s", error)
