"""Where history is kept: a SQLite file of its own in the site's `state/`, so that losing it loses nothing else."""

import sqlite3
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from sshhome.database import Database
from sshhome.device import ATTRIBUTES, Scalar, State
from sshhome.errors import SiteError
from sshhome.history import Batch, Cause, Mark, Stretch, size, stretched

T = TypeVar("T")

MIGRATIONS = (
    """
    CREATE TABLE series (number INTEGER PRIMARY KEY, device TEXT, attribute TEXT, UNIQUE (device, attribute));
    CREATE TABLE sample (number INTEGER PRIMARY KEY, series INTEGER, at REAL, value);
    CREATE INDEX sample_by_series ON sample (series, at);
    CREATE TABLE mean (
        number INTEGER PRIMARY KEY, series INTEGER, at REAL, until REAL, low REAL, mean REAL, high REAL, last
    );
    CREATE INDEX mean_by_series ON mean (series, at);
    CREATE TABLE run (number INTEGER PRIMARY KEY, began REAL, ended REAL);
    CREATE TABLE cause (
        device TEXT, ordered INTEGER, at REAL, by TEXT, change TEXT NOT NULL, PRIMARY KEY (device, ordered)
    ) WITHOUT ROWID
    """,
)
#: Rows of each table, the oldest beyond which go, whatever their age: 60 and 280 MB on disk at the most.
_MOST = {"sample": 1_000_000, "mean": 4_000_000, "run": 10_000}
#: Rows of causes and of series, which one device has few of.
_MOST_CAUSES = 65_536
#: Rows that one batch forgets at the most, so that no write takes long.
_AT_ONCE = 20_000
#: Marks that one reading takes in at the most, the newest: more than a year of them, for one value.
_MOST_READ = 110_000
_COLUMNS = {"sample": "at, at, value, value, value, value", "mean": "at, until, low, mean, high, last"}
_CHANGE = msgspec.json.Decoder(dict[str, Scalar])


class SqliteHistory:
    """Keeps samples and means in the order they come, so that the oldest are found without looking for them."""

    def __init__(self, database: Database) -> None:
        """Use an open database; see `open`."""
        self._database = database
        self._run = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the file; raises SiteError."""
        return cls(await Database.open(path, MIGRATIONS))

    async def begin(self, now: float) -> None:
        """Begin a run; what was recorded before held until the end of its own."""

        def write(db: sqlite3.Connection) -> int:
            return db.execute("INSERT INTO run VALUES (NULL, ?, ?)", (now, now)).lastrowid or 0

        self._run = await _done(self._database.run(write))

    async def write(self, batch: Batch) -> None:
        """Keep a batch, and forget what is too old or too much, some of it at a time."""
        await _done(self._database.run(lambda db: self._write(db, batch)))

    def _write(self, db: sqlite3.Connection, batch: Batch) -> None:
        named = {(row.device, row.attribute) for row in batch.samples}
        named |= {(row.device, row.attribute) for row in batch.means}
        db.executemany("INSERT OR IGNORE INTO series VALUES (NULL, ?, ?)", named)
        series = "(SELECT number FROM series WHERE device = ? AND attribute = ?)"
        db.executemany(
            f"INSERT INTO sample VALUES (NULL, {series}, ?, ?)",  # noqa: S608 (our own words)
            [(row.device, row.attribute, row.at, row.value) for row in batch.samples],
        )
        db.executemany(
            f"INSERT INTO mean VALUES (NULL, {series}, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (our own words)
            [(r.device, r.attribute, r.at, r.until, r.low, r.mean, r.high, r.last) for r in batch.means],
        )
        db.executemany(
            "INSERT OR REPLACE INTO cause VALUES (?, ?, ?, ?, ?)",
            [(c.device, bool(c.by), c.at, c.by, msgspec.json.encode(c.change).decode()) for c in batch.causes],
        )
        db.execute("UPDATE run SET ended = max(ended, ?) WHERE number = ?", (batch.now, self._run))
        _forget(db, "sample", "at", batch.samples_from)
        _forget(db, "mean", "at", batch.means_from)
        _forget(db, "run", "ended", batch.means_from)
        if batch.causes:
            (over,) = db.execute("SELECT max(count(*) - ?, 0) FROM cause", (_MOST_CAUSES,)).fetchone()
            if over:
                oldest = "SELECT device, ordered FROM cause ORDER BY at LIMIT ?"
                db.execute(f"DELETE FROM cause WHERE (device, ordered) IN ({oldest})", (over,))  # noqa: S608 (our own words)

    async def read(self, device: str, attribute: str, since: float, until: float, *, fine: bool) -> Sequence[Stretch]:
        """Return how a value was; in the newest minutes, of which there are no means yet, as samples in any case."""

        def read(db: sqlite3.Connection) -> Sequence[Stretch]:
            named = "SELECT number FROM series WHERE device = ? AND attribute = ?"
            found = db.execute(named, (device, attribute)).fetchone()
            if found is None:
                return ()
            samples, means = (_rows(db, table, found[0], since, until) for table in ("sample", "mean"))
            if fine and samples:
                means = [mean for mean in means if mean[0] < samples[0][0]]
            elif means:
                samples = [sample for sample in samples if sample[0] >= means[-1][1]]
            flag = attribute in ATTRIBUTES and ATTRIBUTES[attribute].type is bool
            marks = [_mark(row, flag=flag) for row in (*means, *samples)]
            # What runs now knows of everything until now.
            runs = db.execute(
                "SELECT began, CASE number WHEN ? THEN ? ELSE ended END FROM run WHERE ended >= ? OR number = ? "
                "ORDER BY began",
                (self._run, until, since, self._run),
            )
            return stretched(marks, runs.fetchall(), since, until)

        return await _done(self._database.run(read))

    async def causes(self) -> Sequence[Cause]:
        """Return what changed each device last, by an order and by none."""

        def read(db: sqlite3.Connection) -> list[Cause]:
            rows = db.execute("SELECT device, at, by, CAST(change AS BLOB) FROM cause ORDER BY at")
            return [Cause(device, at, by, change) for device, at, by, kept in rows if (change := _change(kept))]

        return await _done(self._database.run(read))

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()


def _forget(db: sqlite3.Connection, table: str, column: str, before: float) -> None:
    """Forget the oldest rows, in the order they came: those from before a moment, and those over the bound."""
    first, last = db.execute(f"SELECT min(number), max(number) FROM {table}").fetchone()  # noqa: S608 (our own names)
    if first is None:
        return
    young = db.execute(
        f"SELECT number FROM {table} WHERE number < ? AND {column} >= ? ORDER BY number LIMIT 1",  # noqa: S608 (our own names)
        (first + _AT_ONCE, before),
    ).fetchone()
    end = max(young[0] if young else first + _AT_ONCE, min(last - _MOST[table] + 1, first + _AT_ONCE))
    db.execute(f"DELETE FROM {table} WHERE number < ?", (end,))  # noqa: S608 (our own names)


def _rows(
    db: sqlite3.Connection, table: str, series: int, since: float, until: float
) -> list[tuple[float, float, Scalar, Scalar, Scalar, Scalar]]:
    """Return the rows of a value that begin in some time, oldest first, and the one before, which may hold in it."""
    before = f"SELECT max(at) FROM {table} WHERE series = ? AND at < ?"  # noqa: S608 (our own names)
    rows = db.execute(
        f"SELECT {_COLUMNS[table]} FROM {table} WHERE series = ? AND at >= coalesce(({before}), 0) AND at < ? "  # noqa: S608 (our own names)
        "ORDER BY at DESC, number DESC LIMIT ?",
        (series, series, since, until, _MOST_READ),
    )
    return rows.fetchall()[::-1]


def _mark(row: tuple[float, float, Scalar, Scalar, Scalar, Scalar], *, flag: bool) -> Mark:
    start, end, low, mean, high, last = row
    value = bool(last) if flag and last is not None else last
    return Mark(start, end, size(low), size(mean), size(high), value)


def _change(kept: bytes) -> State:
    try:
        return _CHANGE.decode(kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


async def _done(work: Awaitable[T]) -> T:
    try:
        return await work
    except (sqlite3.Error, ValueError, OverflowError) as error:
        raise SiteError(f"history: {error}") from None
