"""One SQLite file: jobs in order, each for itself, and numbered migrations from every version."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sshhome.backends import simulated
from sshhome.database import Database
from sshhome.errors import SiteError
from sshhome.stores import sqlite

MIGRATIONS = (
    "CREATE TABLE thing (name TEXT)",
    "ALTER TABLE thing ADD COLUMN size INTEGER; UPDATE thing SET size = length(name)",
    "CREATE INDEX thing_by_name ON thing (name)",
)


def add(name: str) -> Callable[[sqlite3.Connection], None]:
    """Return a job that adds a row."""
    return lambda db: db.execute("INSERT INTO thing (name) VALUES (?)", (name,)).close()


async def names(database: Database) -> list[str]:
    """Return all rows."""
    return await database.run(lambda db: [row[0] for row in db.execute("SELECT name FROM thing ORDER BY rowid")])


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    """Ask a file behind the program's back."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


async def test_jobs_are_done_in_order_and_kept(tmp_path: Path) -> None:
    """Jobs run in the order they came, waited for or not, and what they did is there after the close."""
    path = tmp_path / "state" / "test.db"
    database = await Database.open(path, MIGRATIONS)
    for name in "abcdefgh":
        database.submit(add(name))
    assert await names(database) == list("abcdefgh")
    database.submit(add("last"))
    await database.close()
    assert read(path, "SELECT name FROM thing ORDER BY rowid")[-1] == ("last",)
    database = await Database.open(path, MIGRATIONS)
    assert await names(database) == [*"abcdefgh", "last"]
    await database.close()


async def test_the_answer_comes_after_the_commit(tmp_path: Path) -> None:
    """What `run` has answered another reader of the file sees: it is committed, and would survive a kill."""
    database = await Database.open(tmp_path / "test.db", MIGRATIONS)
    await database.run(add("a"))
    assert read(tmp_path / "test.db", "SELECT name FROM thing") == [("a",)]
    await database.close()


async def test_a_job_that_fails_costs_itself_alone(tmp_path: Path) -> None:
    """A job's exception is its caller's, what it did half is undone, and its neighbours are committed."""

    def half(db: sqlite3.Connection) -> None:
        add("half")(db)
        raise ZeroDivisionError

    database = await Database.open(tmp_path / "test.db", MIGRATIONS)
    jobs = [add("a"), half, lambda db: db.execute("SELECT nonsense"), add("b")]
    ends = await asyncio.gather(*map(database.submit, jobs), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), ZeroDivisionError, sqlite3.OperationalError, type(None)]
    assert await names(database) == ["a", "b"]
    await database.close()


async def test_a_job_whose_caller_left_is_done(tmp_path: Path) -> None:
    """A write goes on when the one who waits for it is cancelled."""
    database = await Database.open(tmp_path / "test.db", MIGRATIONS)
    waiting = asyncio.create_task(database.run(add("a")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await names(database) == ["a"]
    await database.close()


async def test_a_job_after_the_close_does_not_hang(tmp_path: Path) -> None:
    """Whoever comes too late is told so, and does not wait for ever."""
    database = await Database.open(tmp_path / "test.db", MIGRATIONS)
    await database.close()
    late = asyncio.create_task(database.run(add("a")))
    for _ in range(100):
        await asyncio.sleep(0)
    assert late.done()
    assert late.exception() is not None


async def test_the_version_changes_with_what_others_do(tmp_path: Path) -> None:
    """Another connection's commit makes the version another one; the own, and what changes nothing, do not."""
    database = await Database.open(tmp_path / "test.db", MIGRATIONS)
    other = await Database.open(tmp_path / "test.db", MIGRATIONS)
    before = await database.version()
    await database.run(add("own"))
    await names(other)
    assert await database.version() == before
    await other.run(add("other"))
    assert await database.version() != before
    await other.close()
    await database.close()
    with pytest.raises(sqlite3.ProgrammingError):
        await database.version()


async def test_two_who_open_at_once(tmp_path: Path) -> None:
    """Several processes may make the file at the same time: each migration is done once, and nobody fails."""
    opening = (Database.open(tmp_path / "test.db", MIGRATIONS) for _ in range(8))
    for database in await asyncio.gather(*opening):
        await database.close()
    assert read(tmp_path / "test.db", "PRAGMA user_version") == [(len(MIGRATIONS),)]


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_migrations_from_every_version(tmp_path: Path, version: int) -> None:
    """A file of any earlier version is brought to the last one with what it holds, and is its owner's alone."""
    path = tmp_path / "test.db"
    old = await Database.open(path, MIGRATIONS[:version])
    if version:
        await old.run(add("old"))
    await old.close()
    new = await Database.open(path, MIGRATIONS)
    rows = await new.run(lambda db: db.execute("SELECT name, size FROM thing").fetchall())
    await new.close()
    assert rows == ([] if version == 0 else [("old", 3 if version == 1 else None)])
    assert read(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_migration_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    """A migration that fails leaves the file at the version before, and a corrected one goes on from there."""
    path = tmp_path / "test.db"
    broken = (MIGRATIONS[0], "CREATE TABLE half (name TEXT); SELECT nonsense")
    with pytest.raises(SiteError, match=r"^test\.db: "):
        await Database.open(path, broken)
    assert read(path, "PRAGMA user_version") == [(1,)]
    assert read(path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    database = await Database.open(path, MIGRATIONS)
    await database.run(add("a"))
    await database.close()


async def test_a_newer_file_is_refused_untouched(tmp_path: Path) -> None:
    """A file of a version that is not known is refused, and stays to the byte."""
    path = tmp_path / "test.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    path.chmod(0o640)
    before = path.read_bytes()
    with pytest.raises(SiteError, match=r"test\.db: written by a newer sshhome \(version 99, known 3\)"):
        await Database.open(path, MIGRATIONS)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["test.db"]


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file that is no database is refused by name and stays to the byte."""
    path = tmp_path / "test.db"
    path.write_text("no database, and long enough to be looked at as one" * 100)
    before = path.read_bytes()
    with pytest.raises(SiteError, match=r"^test\.db: "):
        await Database.open(path, MIGRATIONS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("migrations", [sqlite.MIGRATIONS, simulated.MIGRATIONS], ids=["store", "simulated"])
async def test_our_own_migrations_lead_to_one_schema(tmp_path: Path, migrations: tuple[str, ...]) -> None:
    """From whichever version one starts, the migrations of the program lead to the same tables."""
    schemas = []
    for version in range(len(migrations) + 1):
        path = tmp_path / f"{version}.db"
        for known in (migrations[:version], migrations):
            await (await Database.open(path, known)).close()
        schemas.append(read(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name"))
    assert all(schema == schemas[0] for schema in schemas)
    assert schemas[0]
