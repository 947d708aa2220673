"""The embedded store: one SQLite file in the site's `state/`."""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from msgspec.structs import astuple

from sshhome.database import Database
from sshhome.device import Scalar
from sshhome.errors import SiteError
from sshhome.store import (
    BanRecord,
    Change,
    Delivery,
    DeviceRecord,
    Failure,
    LoginRecord,
    Macro,
    Repeatable,
    Run,
    Schedule,
)

T = TypeVar("T")
log = logging.getLogger(__name__)
_Job = Callable[[sqlite3.Connection], None]

MIGRATIONS = (
    """
    CREATE TABLE ban (source TEXT PRIMARY KEY, at REAL, until REAL, count INTEGER, kind TEXT, evidence TEXT, rule TEXT);
    CREATE TABLE failure (source TEXT, user TEXT, at REAL);
    CREATE INDEX failure_by_source ON failure (source, user);
    CREATE INDEX failure_by_time ON failure (at)
    """,
    "CREATE INDEX ban_by_end ON ban (until)",
    """
    CREATE TABLE change (
        number INTEGER PRIMARY KEY, user TEXT, at REAL, "order" TEXT, before TEXT NOT NULL, due REAL, confirm INTEGER,
        back TEXT NOT NULL
    );
    CREATE INDEX change_by_user ON change (user, number DESC) WHERE due IS NULL;
    CREATE TABLE use (user TEXT, grant TEXT, used INTEGER, PRIMARY KEY (user, grant)) WITHOUT ROWID;
    CREATE TABLE login (
        number INTEGER PRIMARY KEY, user TEXT, at REAL, source TEXT, method TEXT, key TEXT, failed INTEGER
    );
    CREATE INDEX login_by_user ON login (user, number DESC)
    """,
    """
    CREATE TABLE device (
        backend TEXT, identity TEXT, id TEXT, name TEXT, room TEXT, aliases TEXT NOT NULL, hidden INTEGER,
        guarded INTEGER,
        PRIMARY KEY (backend, identity)
    )
    """,
    'CREATE TABLE macro (user TEXT, name TEXT, orders TEXT, "by" TEXT, PRIMARY KEY (user, name)) WITHOUT ROWID',
    """
    CREATE TABLE schedule (
        number INTEGER PRIMARY KEY, user TEXT, "when" TEXT, line TEXT, made REAL, due REAL, missed TEXT, paused TEXT,
        runs TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE repeatable (
        number INTEGER PRIMARY KEY, user TEXT, way TEXT, "key" TEXT, digest BLOB, at REAL, answer BLOB,
        UNIQUE (user, way, "key")
    );
    CREATE INDEX repeatable_by_user ON repeatable (user, number DESC);
    CREATE INDEX repeatable_by_time ON repeatable (at)
    """,
    """
    CREATE TABLE delivery (
        number INTEGER PRIMARY KEY, hook TEXT, id TEXT, at REAL, what TEXT, body BLOB, tries INTEGER, ended REAL,
        status INTEGER, says TEXT
    )
    """,
)
_MAX_ROWS = 65_536
#: Changes that are not due: of all users, and of one; and logins of one user.
_MAX_CHANGES, _MAX_CHANGES_OF_ONE, _MAX_LOGINS = 10_000, 20, 10
#: Repeatable orders of one user.
_MAX_REPEATABLE = 10_000
#: Rows that a table is given between two looks at how many it has, since SQLite can tell that only by counting.
_UNCOUNTED = 256
#: By table, the rows over its bounds. Uses have none: one that is forgotten is one that is given away.
_OVER: Mapping[str, Sequence[str]] = {
    "ban": ("SELECT rowid FROM ban ORDER BY until DESC LIMIT -1 OFFSET :rows",),
    "failure": ("SELECT rowid FROM failure ORDER BY at DESC LIMIT -1 OFFSET :rows",),
    "change": (
        """
        SELECT number FROM (
            SELECT number, row_number() OVER (PARTITION BY user ORDER BY number DESC) AS place
            FROM change WHERE due IS NULL
        ) WHERE place > :changes_of_one
        """,
        "SELECT number FROM change WHERE due IS NULL ORDER BY number DESC LIMIT -1 OFFSET :changes",
    ),
    "login": (
        """
        SELECT number FROM (
            SELECT number, row_number() OVER (PARTITION BY user ORDER BY number DESC) AS place FROM login
        ) WHERE place > :logins
        """,
        "SELECT number FROM login ORDER BY number DESC LIMIT -1 OFFSET :rows",
    ),
    "repeatable": (
        """
        SELECT number FROM (
            SELECT number, row_number() OVER (PARTITION BY user ORDER BY number DESC) AS place FROM repeatable
        ) WHERE place > :repeatable
        """,
        "SELECT number FROM repeatable ORDER BY number DESC LIMIT -1 OFFSET :rows",
    ),
}
_BEGIN_REPEATABLE = 'INSERT OR REPLACE INTO repeatable (user, way, "key", digest, at, answer) VALUES (?, ?, ?, ?, ?, ?)'
_RUNS = msgspec.json.Decoder(tuple[Run, ...])
_BEFORE = msgspec.json.Decoder(dict[str, dict[str, Scalar]])


class SqliteStore:
    """Keeps bans, failures, changes, uses, logins and the names of devices of one node."""

    def __init__(self, database: Database, version: int) -> None:
        """Use an open database; see `open`."""
        self._database = database
        self._version = version
        self._entered: Counter[str] = Counter()
        #: Writes that failed, and why the last one did.
        self._failures = 0
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

    async def changes(self) -> Sequence[Change]:
        """Return what orders changed, oldest first, and drop what is over the bound."""

        def read(db: sqlite3.Connection) -> list[Change]:
            _bound(db, "change")
            return list(_changes(db))

        return await _read(self._database.run(read))

    async def uses(self) -> Mapping[tuple[str, str], int]:
        """Return how often each grant was used, by user and grant."""

        def read(db: sqlite3.Connection) -> dict[tuple[str, str], int]:
            return {(user, grant): used for user, grant, used in db.execute("SELECT user, grant, used FROM use")}

        return await _read(self._database.run(read))

    async def logins(self, user: str) -> Sequence[LoginRecord]:
        """Return the last logins of a user, newest first, in the order they were told, whatever the clock said."""
        query = "SELECT user, at, source, method, key, failed FROM login WHERE user = ? ORDER BY number DESC LIMIT ?"

        def read(db: sqlite3.Connection) -> list[LoginRecord]:
            return [LoginRecord(*row) for row in db.execute(query, (user, _MAX_LOGINS))]

        return await _read(self._database.run(read))

    async def macros(self) -> Sequence[Macro]:
        """Return the macros of all users, and those that all have."""
        query = 'SELECT user, name, orders, "by" FROM macro'
        return await _read(self._database.run(lambda db: [Macro(*row) for row in db.execute(query)]))

    async def schedules(self) -> Sequence[Schedule]:
        """Return the schedules of all users, the oldest first."""
        return await _read(self._database.run(lambda db: list(_schedules(db))))

    async def deliveries(self) -> Sequence[Delivery]:
        """Return what hooks are to be told and were told lately, the oldest first."""
        query = "SELECT number, hook, id, at, what, body, tries, ended, status, says FROM delivery ORDER BY number"
        return await _read(self._database.run(lambda db: [Delivery(*row) for row in db.execute(query)]))

    async def repeatable(self, user: str, way: str, key: str, since: float) -> Repeatable | None:
        """Return what began with this key, if it was since a moment."""
        query = 'SELECT user, way, "key", digest, at, answer FROM repeatable WHERE user = ? AND way = ? AND "key" = ?'

        def read(db: sqlite3.Connection) -> Repeatable | None:
            row = db.execute(query, (user, way, key)).fetchone()
            known = Repeatable(*row) if row else None
            return known if known is not None and known.at >= since else None

        return await _read(self._database.run(read))

    async def begin_repeatable(self, begun: Repeatable, since: float) -> None:
        """Keep that it has begun, and forget what began before a moment; beyond the bounds the oldest goes."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM repeatable WHERE at < ?", (since,))
            db.execute(_BEGIN_REPEATABLE, astuple(begun))

        await _read(self._enter("repeatable", write))

    async def end_repeatable(self, ended: Repeatable) -> None:
        """Keep how it ended; where that cannot be kept, the log tells, and a repeat that nobody knows."""
        which = 'user = ? AND way = ? AND "key" = ? AND digest = ?'
        values = (ended.answer, ended.user, ended.way, ended.key, ended.digest)
        await asyncio.wait([self._submit(_doing(f"UPDATE repeatable SET answer = ? WHERE {which}", *values))])  # noqa: S608 (our own words)

    async def changed_elsewhere(self) -> bool:
        """Return whether another connection, such as that of `sshhome ban lift`, has changed the file since."""
        before, self._version = self._version, await _read(self._database.version())
        return self._version != before

    def put_ban(self, ban: BanRecord) -> None:
        """Keep a ban; beyond the bound the one that ends soonest goes."""
        self._enter("ban", _doing("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)", *astuple(ban)))

    def remove_ban(self, source: str) -> None:
        """Forget the ban of a source."""
        self._submit(_doing("DELETE FROM ban WHERE source = ?", source))

    def add_failure(self, failure: Failure) -> None:
        """Keep a failed login; beyond the bound the oldest goes."""
        self._enter("failure", _doing("INSERT INTO failure VALUES (?, ?, ?)", *astuple(failure)))

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget the failures of a source, or just those of one user from it."""
        self._submit(_doing("DELETE FROM failure WHERE source = ? AND user = coalesce(?, user)", source, user))

    def put_change(self, change: Change) -> None:
        """Keep what an order changed; beyond the bounds the oldest that is not due goes."""

        def write(db: sqlite3.Connection) -> None:
            # Here rather than at once, so that what cannot be encoded fails as any other write does.
            before, back = (msgspec.json.encode(states).decode() for states in (change.before, change.back))
            row = (change.number, change.user, change.at, change.order, before, change.due, change.confirm, back)
            db.execute("INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

        self._enter("change", write)

    def remove_change(self, number: int) -> None:
        """Forget what an order changed."""
        self._submit(_doing("DELETE FROM change WHERE number = ?", number))

    async def devices(self) -> Sequence[DeviceRecord]:
        """Return what is kept of each device, the oldest first."""
        query = "SELECT backend, identity, id, name, room, aliases, hidden, guarded FROM device ORDER BY rowid"

        def read(db: sqlite3.Connection) -> list[DeviceRecord]:
            return [
                DeviceRecord(backend, identity, id_, name, room, tuple(aliases.split()), bool(hidden), bool(guarded))
                for backend, identity, id_, name, room, aliases, hidden, guarded in db.execute(query)
            ]

        return await _read(self._database.run(read))

    def put_device(self, record: DeviceRecord) -> None:
        """Keep what a device is called."""
        aliases = " ".join(record.aliases)
        row = astuple(msgspec.structs.replace(record, aliases=aliases))
        # Not replaced, which would put it behind all others.
        told = "id = excluded.id, name = excluded.name, room = excluded.room, aliases = excluded.aliases"
        flags = "hidden = excluded.hidden, guarded = excluded.guarded"
        update = f"ON CONFLICT (backend, identity) DO UPDATE SET {told}, {flags}"
        self._submit(_doing(f"INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?) {update}", *row))  # noqa: S608 (our own words)

    def put_macro(self, macro: Macro) -> None:
        """Keep a macro in place of any other of its name."""
        self._submit(_doing("INSERT OR REPLACE INTO macro VALUES (?, ?, ?, ?)", *astuple(macro)))

    def remove_macro(self, user: str, name: str) -> None:
        """Forget a macro of a user."""
        self._submit(_doing("DELETE FROM macro WHERE user = ? AND name = ?", user, name))

    def put_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule, with its runs, in one row: all of it or nothing."""
        row = astuple(msgspec.structs.replace(schedule, runs=()))[:-1]
        runs = msgspec.json.encode(schedule.runs).decode()
        self._submit(_doing("INSERT OR REPLACE INTO schedule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *row, runs))

    def remove_schedule(self, number: int) -> None:
        """Forget a schedule."""
        self._submit(_doing("DELETE FROM schedule WHERE number = ?", number))

    def put_delivery(self, delivery: Delivery) -> None:
        """Keep what a hook is told; who tells it bounds how much there is."""
        values = ", ".join("?" * len(Delivery.__struct_fields__))
        self._submit(_doing(f"INSERT OR REPLACE INTO delivery VALUES ({values})", *astuple(delivery)))  # noqa: S608 (our own words)

    def remove_delivery(self, number: int) -> None:
        """Forget what a hook was told."""
        self._submit(_doing("DELETE FROM delivery WHERE number = ?", number))

    def put_use(self, user: str, grant: str, used: int) -> None:
        """Keep how often a user has used a grant."""
        self._submit(_doing("INSERT OR REPLACE INTO use VALUES (?, ?, ?)", user, grant, used))

    def add_login(self, record: LoginRecord) -> None:
        """Keep a login as the newest of its user; beyond the bounds the oldest goes."""
        self._enter("login", _doing("INSERT INTO login VALUES (NULL, ?, ?, ?, ?, ?, ?)", *astuple(record)))

    def count_failed_login(self, user: str) -> None:
        """Count a failed try after the newest login of a user, if they have one."""
        newest = "number = (SELECT max(number) FROM login WHERE user = ?)"
        self._submit(_doing(f"UPDATE login SET failed = failed + 1 WHERE {newest}", user))  # noqa: S608 (our own words)

    def forget_user(self, user: str) -> None:
        """Forget logins, uses, macros, schedules and changes of a user; what is to be brought back stays due."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM login WHERE user = ?", (user,))
            db.execute("DELETE FROM use WHERE user = ?", (user,))
            db.execute("DELETE FROM macro WHERE user = ?", (user,))
            db.execute("DELETE FROM repeatable WHERE user = ?", (user,))
            db.execute("DELETE FROM schedule WHERE user = ?", (user,))
            db.execute("DELETE FROM change WHERE user = ? AND due IS NULL", (user,))

        self._submit(write)

    async def settle(self) -> None:
        """Wait for what is queued; raises SiteError when any of it could not be kept.

        What failed before was told to the log, and is no reason to refuse what can be kept again.
        """
        known = self._failures
        await _read(self._database.run(lambda _: None))
        if self._failures > known:
            raise SiteError(f"the store: {self._lost}")

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()

    def _enter(self, table: str, job: _Job) -> "asyncio.Future[Any]":
        """Give a table a row; now and then drop those that are over its bound."""
        self._entered[table] += 1
        full = self._entered[table] % _UNCOUNTED == 0

        def write(db: sqlite3.Connection) -> None:
            job(db)
            if full:
                _bound(db, table)

        return self._submit(write)

    def _submit(self, job: _Job) -> "asyncio.Future[Any]":
        future = self._database.submit(job)
        future.add_done_callback(self._report)
        return future

    def _report(self, future: asyncio.Future[Any]) -> None:
        """Tell the log of a write that failed and nobody waits for; what it was for goes on in memory."""
        if not future.cancelled() and (error := future.exception()) is not None:
            self._failures, self._lost = self._failures + 1, error
            log.error("store: %s", error)


def _doing(statement: str, *values: object) -> _Job:
    return lambda db: db.execute(statement, values).close()


def _bound(db: sqlite3.Connection, table: str) -> None:
    """Drop the rows of a table that are over its bound."""
    bounds = {
        "rows": _MAX_ROWS,
        "changes": _MAX_CHANGES,
        "changes_of_one": _MAX_CHANGES_OF_ONE,
        "logins": _MAX_LOGINS,
        "repeatable": _MAX_REPEATABLE,
    }
    for over in _OVER[table]:
        db.execute(f"DELETE FROM {table} WHERE rowid IN ({over})", bounds)  # noqa: S608 (our own names)


def _changes(db: sqlite3.Connection) -> Iterator[Change]:
    # As bytes, since text that is damaged would end the reading of all rows.
    columns = 'number, user, at, "order", CAST(before AS BLOB), due, confirm, CAST(back AS BLOB)'
    rows = db.execute(f"SELECT {columns} FROM change ORDER BY number")  # noqa: S608 (our own names)
    for number, user, at, order, kept, due, confirm, kept_back in rows:
        try:
            before, back = _BEFORE.decode(kept), _BEFORE.decode(kept_back)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("store: change %d is damaged: %s", number, error)
            continue
        yield Change(number, user, at, order, before, due, bool(confirm), back)


def _schedules(db: sqlite3.Connection) -> Iterator[Schedule]:
    columns = 'number, user, "when", line, made, due, missed, paused, CAST(runs AS BLOB)'
    rows = db.execute(f"SELECT {columns} FROM schedule ORDER BY number")  # noqa: S608 (our own names)
    for number, user, when, line, made, due, missed, paused, kept in rows:
        try:
            runs = _RUNS.decode(kept)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Nobody knows what of it has run.
            log.error("store: schedule %d is damaged: %s", number, error)
            continue
        yield Schedule(number, user, when, line, made, due, missed, paused, runs)


async def _read(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except sqlite3.Error as error:
        raise SiteError(f"the store: {error}") from None
