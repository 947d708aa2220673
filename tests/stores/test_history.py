"""What is kept of history outlives its process, within bounds of age and of number, in a file that may be lost."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.database import Database
from sshhome.device import Scalar
from sshhome.errors import SiteError
from sshhome.history import Batch, Cause, Mean, Sample, Stretch
from sshhome.stores import history as kept
from sshhome.stores.history import MIGRATIONS, SqliteHistory

LAMP, ROOM = ("light.desk", "on"), ("sensor.room", "temperature")


def samples(values: Sequence[tuple[float, Scalar]], of: tuple[str, str] = ROOM) -> Sequence[Sample]:
    """Return changes of one value."""
    return [Sample(*of, at, value) for at, value in values]


async def rows(history: SqliteHistory, table: str) -> int:
    """Return how many rows a table has."""
    found = await history._database.run(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone())  # noqa: S608
    return int(found[0])


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    """Return an open history whose run began at 0."""
    opened = await SqliteHistory.open(tmp_path / "history.db")
    await opened.begin(0.0)
    yield opened
    await opened.close()


async def test_it_outlives_its_process(tmp_path: Path) -> None:
    """Flags stay flags and words words; nothing holds over the time in which nobody recorded."""
    first = await SqliteHistory.open(tmp_path / "history.db")
    await first.begin(0.0)
    cause = Cause("light.desk", 10.0, "anna: on desk", {"on": True, "brightness": 40, "effect": None})
    changes = [*samples([(10.0, True), (20.0, False)], LAMP), Sample("climate.room", "mode", 5.0, "heat \u2028")]
    await first.write(Batch(60.0, changes, (), [cause]))
    await first.close()
    second = await SqliteHistory.open(tmp_path / "history.db")
    await second.begin(100.0)
    await second.write(Batch(120.0, samples([(100.0, True)], LAMP)))
    found = await second.read(*LAMP, 0, 120, fine=True)
    assert [(s.start, s.end, s.value) for s in found] == [(10, 20, True), (20, 60, False), (100, 120, True)]
    (mode,) = await second.read("climate.room", "mode", 0, 120, fine=True)
    assert (mode.end, mode.value) == (60, "heat \u2028")
    assert await second.causes() == [cause]
    assert await second.read("light.nosuch", "on", 0, 120, fine=True) == ()
    await second.close()


async def test_fine_or_not(history: SqliteHistory) -> None:
    """With samples each change is told, as far back as there are any, and without them the minutes that are over."""
    mean = Mean(*ROOM, 0.0, 300.0, 1.0, 2.0, 9.0, 3.0)
    await history.write(Batch(700.0, samples([(250.0, 3.0), (600.0, 4.0)]), [mean]))
    assert [(s.start, s.low, s.high) for s in await history.read(*ROOM, 0, 700, fine=True)] == [
        (0, 1.0, 9.0),
        (250, 3.0, 3.0),
        (600, 4.0, 4.0),
    ]
    assert [(s.start, s.low, s.high) for s in await history.read(*ROOM, 0, 700, fine=False)] == [
        (0, 1.0, 9.0),
        (300, 3.0, 3.0),
        (600, 4.0, 4.0),
    ]


async def test_what_held_before(history: SqliteHistory) -> None:
    """A value that has not changed in the time that is asked for is the one it had before."""
    await history.write(Batch(900.0, samples([(10.0, 3.0)]), [Mean(*ROOM, 10.0, 300.0, 3.0, 3.0, 3.0, 3.0)]))
    for fine in (True, False):
        assert await history.read(*ROOM, 500, 900, fine=fine) == [Stretch(500, 900, 3.0, 3.0, 3.0, 3.0)]


async def test_what_is_too_old_goes(history: SqliteHistory) -> None:
    """A row goes once it is older than the time it is kept for, not before, samples and means each by their own."""
    means = [Mean(*ROOM, at, at + 1, 1.0, 1.0, 1.0, 1.0) for at in (100.0, 200.0, 300.0)]
    changes = samples([(100.0, 1.0), (200.0, 2.0), (300.0, 3.0)])
    await history.write(Batch(300.0, changes, means, (), samples_from=200.0, means_from=100.0))
    assert (await rows(history, "sample"), await rows(history, "mean"), await rows(history, "run")) == (2, 3, 1)
    await history.write(Batch(600.0, samples_from=200.5, means_from=300.5))
    assert (await rows(history, "sample"), await rows(history, "mean"), await rows(history, "run")) == (1, 0, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.integers(1, 12), st.lists(st.integers(0, 15), max_size=6), st.integers(0, 60))
async def test_rows_are_bounded(tmp_path: Path, most: int, sizes: Sequence[int], oldest: int) -> None:
    """After each write there are no more rows than the bound, the newest, and none that is too old."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_MOST", {"sample": most, "mean": 1, "run": 1})
        (tmp_path / "history.db").unlink(missing_ok=True)
        history = await SqliteHistory.open(tmp_path / "history.db")
        await history.begin(0.0)
        written: list[float] = []
        for size in sizes:
            fresh = [float(len(written) + place) for place in range(size)]
            written += fresh
            batch = Batch(float(len(written)), samples([(at, 1.0) for at in fresh]), samples_from=float(oldest))
            await history.write(batch)
            found = await history._database.run(lambda db: db.execute("SELECT at FROM sample ORDER BY at").fetchall())
            assert [at for (at,) in found] == [at for at in written[-most:] if at >= oldest]
        await history.close()


async def test_a_write_forgets_so_many_at_once(history: SqliteHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is too old, a write takes no longer than it may; the rest goes with the next ones."""
    await history.write(Batch(10.0, samples([(float(at), 1.0) for at in range(10)])))
    monkeypatch.setattr(kept, "_AT_ONCE", 4)
    left = []
    for _ in range(3):
        await history.write(Batch(1000.0, samples_from=100.0))
        left.append(await rows(history, "sample"))
    assert left == [6, 2, 0]


async def test_causes_are_bounded(history: SqliteHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each device the last order and the last other cause are kept, and of all devices the newest."""
    monkeypatch.setattr(kept, "_MOST_CAUSES", 3)
    for at, (device, by) in enumerate([("a", "x"), ("b", ""), ("b", "x"), ("b", "y"), ("c", ""), ("c", "x")]):
        await history.write(Batch(float(at), causes=[Cause(device, float(at), by, {"on": True})]))
    assert [(c.device, c.by) for c in await history.causes()] == [("b", "y"), ("c", ""), ("c", "x")]


@pytest.mark.parametrize("number", range(len(MIGRATIONS)))
async def test_migrations(tmp_path: Path, number: int) -> None:
    """A file of any version is brought to this one, and works."""
    before = await Database.open(tmp_path / "history.db", MIGRATIONS[:number])
    await before.close()
    history = await SqliteHistory.open(tmp_path / "history.db")
    await history.begin(0.0)
    await history.write(Batch(10.0, samples([(1.0, 2.0)]), [Mean(*ROOM, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)]))
    assert await history.read(*ROOM, 0, 10, fine=True)
    await history.close()


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """What a newer version wrote is not touched by this one."""
    newer = await Database.open(tmp_path / "history.db", [*MIGRATIONS, "CREATE TABLE later (at REAL)"])
    await newer.close()
    with pytest.raises(SiteError, match="newer"):
        await SqliteHistory.open(tmp_path / "history.db")


async def test_what_no_database_takes(history: SqliteHistory) -> None:
    """What cannot be written, or be read back, is one error and no other."""
    with pytest.raises(SiteError, match="history"):
        await history.write(Batch(1.0, samples([(1.0, 2**80)])))
    path = Path(str((await history._database.run(lambda db: db.execute("PRAGMA database_list").fetchone()))[2]))
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO cause VALUES ('light.x', 0, 1.0, '', X'ff')")
        other.commit()
    assert await history.causes() == []


async def test_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """What was recorded by a clock that was ahead takes nothing from what is recorded since it was set back."""
    first = await SqliteHistory.open(tmp_path / "history.db")
    await first.begin(9000.0)
    await first.write(Batch(9100.0, samples([(9000.0, False)], LAMP)))
    await first.close()
    second = await SqliteHistory.open(tmp_path / "history.db")
    await second.begin(100.0)
    await second.write(Batch(150.0, samples([(110.0, True)], LAMP)))
    await second.close()
    third = await SqliteHistory.open(tmp_path / "history.db")
    await third.begin(500.0)
    found = await third.read(*LAMP, 0, 600, fine=True)
    await third.close()
    assert [(s.start, s.end, s.value) for s in found] == [(110, 150, True)]
