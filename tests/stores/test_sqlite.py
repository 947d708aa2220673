"""What a store remembers outlives it, in order and bounded."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from sshhome.errors import SiteError
from sshhome.store import BanRecord, Failure
from sshhome.stores import sqlite
from sshhome.stores.sqlite import SqliteStore

BAN = BanRecord("10.0.0.1", 100.0, 160.5, 1, "login", "5 as home, root", "too many failed logins")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


async def test_bans_and_failures_outlive_the_store(tmp_path: Path) -> None:
    """Everything is there, to the last digit, when the store is opened again."""
    first = await SqliteStore.open(tmp_path / "test.db")
    failures = [Failure("10.0.0.2", "home", 99.25), Failure("2001:db8::/64", "anna\x1b\u2028", 100.0)]
    first.put_ban(BAN)
    for failure in failures:
        first.add_failure(failure)
    await first.close()
    second = await SqliteStore.open(tmp_path / "test.db")
    assert await second.bans() == [BAN]
    assert await second.failures(0) == failures
    await second.close()


async def test_reads_see_the_writes_before_them(store: SqliteStore) -> None:
    """A read waits for no one and sees every change made before it."""
    store.put_ban(BAN)
    longer = msgspec.structs.replace(BAN, until=220.5, count=2)
    store.put_ban(longer)
    assert await store.bans() == [longer]
    store.remove_ban("10.0.0.2")
    store.remove_ban(BAN.source)
    assert await store.bans() == []


async def test_failures_are_forgotten_by_source_by_pair_and_by_age(store: SqliteStore) -> None:
    """Failures go with their source, with one user of it, or with time; no others do."""
    pairs = [("a", "home"), ("a", "root"), ("b", "home"), ("b", "root")]
    for at, (source, user) in enumerate(pairs):
        store.add_failure(Failure(source, user, float(at)))
    store.forget_failures("a", "home")
    assert [(f.source, f.user) for f in await store.failures(0)] == [("a", "root"), ("b", "home"), ("b", "root")]
    store.forget_failures("b")
    assert [(f.source, f.user) for f in await store.failures(0)] == [("a", "root")]
    assert await store.failures(1.5) == []
    assert await store.failures(0) == []


async def test_failures_come_oldest_first(store: SqliteStore) -> None:
    """Failures are told in the order they happened, whichever was written first."""
    for at in (3.0, 1.0, 2.0):
        store.add_failure(Failure("a", "home", at))
    assert [failure.at for failure in await store.failures(0)] == [1.0, 2.0, 3.0]


async def test_rows_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sources there are, the tables stay small, and what matters least goes first."""
    monkeypatch.setattr(sqlite, "_MAX_ROWS", 10)
    monkeypatch.setattr(sqlite, "_UNCOUNTED", 4)
    for number in range(100):
        store.put_ban(msgspec.structs.replace(BAN, source=str(number), until=float(number)))
        store.add_failure(Failure(str(number), "home", float(number)))
    assert [ban.source for ban in await store.bans()] == [str(number) for number in range(90, 100)]
    assert [failure.source for failure in await store.failures(0)] == [str(number) for number in range(90, 100)]
    store.put_ban(msgspec.structs.replace(BAN, source="long", until=1000.0))
    for number in range(100):
        store.put_ban(msgspec.structs.replace(BAN, source=str(number), until=float(number)))
    sources = [ban.source for ban in await store.bans()]
    assert "long" in sources
    assert len(sources) < 10 + 4


async def test_a_ban_set_anew_pushes_no_other_out(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One source banned again and again takes one row, and costs no other source its ban."""
    monkeypatch.setattr(sqlite, "_MAX_ROWS", 10)
    others = [msgspec.structs.replace(BAN, source=str(number), until=1000.0 + number) for number in range(5)]
    for ban in others:
        store.put_ban(ban)
    for number in range(100):
        store.put_ban(msgspec.structs.replace(BAN, until=2000.0 + number))
    assert {ban.source for ban in await store.bans()} == {BAN.source, *(ban.source for ban in others)}


async def test_what_another_process_changed(tmp_path: Path, store: SqliteStore) -> None:
    """A store knows of a change by another one on its file, once; its own changes and its reads are none."""
    other = await SqliteStore.open(tmp_path / "test.db")
    store.put_ban(BAN)
    await store.bans()
    assert not await store.changed_elsewhere()
    await other.bans()
    await other.failures(0)
    assert not await store.changed_elsewhere()
    other.remove_ban(BAN.source)
    await other.settle()
    assert await store.changed_elsewhere()
    assert not await store.changed_elsewhere()
    assert await store.bans() == []
    await other.close()


async def test_a_change_before_the_first_read_is_known(tmp_path: Path, store: SqliteStore) -> None:
    """What another store changes between the opening of this one and its first question is a change."""
    other = await SqliteStore.open(tmp_path / "test.db")
    other.put_ban(BAN)
    await other.close()
    assert await store.changed_elsewhere()


async def test_settling(store: SqliteStore) -> None:
    """Whoever waits for their changes is told when one of them could not be kept."""
    store.put_ban(BAN)
    await store.settle()
    store.put_ban(msgspec.structs.replace(BAN, evidence="\ud800"))
    with pytest.raises(SiteError, match="the store: "):
        await store.settle()


async def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    """Reads that come too late are one sentence each, and no traceback."""
    store = await SqliteStore.open(tmp_path / "test.db")
    await store.close()
    for late in (store.bans(), store.failures(0), store.changed_elsewhere(), store.settle()):
        with pytest.raises(SiteError, match="the store: the database is closed"):
            await late


async def test_a_write_that_fails_is_logged(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """A write that nobody waits for is told to the log when it fails, and the store goes on."""
    store.put_ban(msgspec.structs.replace(BAN, evidence="\ud800"))
    store.put_ban(BAN)
    assert await store.bans() == [BAN]
    assert [record.name for record in caplog.records] == ["sshhome.stores.sqlite"]
