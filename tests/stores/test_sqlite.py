"""What a store remembers outlives it, in order and bounded."""

import os
import re
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.database import Database
from sshhome.device import State
from sshhome.errors import SiteError
from sshhome.store import BanRecord, Change, Delivery, DeviceRecord, Failure, LoginRecord, Macro, Run, Schedule, Store
from sshhome.stores import sqlite
from sshhome.stores.sqlite import SqliteStore
from tests.process import Process

BAN = BanRecord("10.0.0.1", 100.0, 160.5, 1, "login", "5 as home, root", "too many failed logins")
BEFORE: Mapping[str, State] = {
    "light.desk": {"on": True, "brightness": 40, "hue": None},
    "climate.kids": {"target_temperature": 21.0},
}
CHANGE = Change(1, "anna", 100.25, "off @study; 'x'\x1b\0\u2028", BEFORE)
DEVICE = DeviceRecord("mqtt", "0x01/left", "light.desk", "Désk \x1b\u2028", "study", ("lamp_1", "big"), hidden=True)
LOGIN = LoginRecord("anna", 100.25, "2001:db8::/64", "publickey", "SHA256:abc anna@laptop")


def change(number: int, user: str = "anna", due: float | None = None) -> Change:
    """Return a change of some lamp."""
    return msgspec.structs.replace(CHANGE, number=number, user=user, due=due)


def login(at: float, user: str = "anna", failed: int = 0) -> LoginRecord:
    """Return a login."""
    return msgspec.structs.replace(LOGIN, user=user, at=at, failed=failed)


async def numbers(store: Store) -> Sequence[int]:
    """Return the numbers of all changes."""
    return [known.number for known in await store.changes()]


async def rows(store: SqliteStore, table: str) -> int:
    """Return how many rows a table has, none of which is dropped by being asked for."""
    counted = await store._database.run(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone())  # noqa: S608
    return int(counted[0])


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
    reads = (store.bans(), store.failures(0), store.changes(), store.uses(), store.logins("anna"), store.devices())
    for late in (*reads, store.changed_elsewhere(), store.settle()):
        with pytest.raises(SiteError, match="the store: the database is closed"):
            await late


async def test_a_write_that_fails_is_logged(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """A write that nobody waits for is told to the log when it fails, and the store goes on."""
    store.put_ban(msgspec.structs.replace(BAN, evidence="\ud800"))
    store.put_ban(BAN)
    assert await store.bans() == [BAN]
    assert [record.name for record in caplog.records] == ["sshhome.stores.sqlite"]


# -- changes, uses and logins -----------------------------------------------------------------------------------------


async def test_changes_uses_and_logins_outlive_the_store(tmp_path: Path) -> None:
    """Everything is there, type for type, when the store is opened again."""
    changes = [CHANGE, Change(2, "ben", 101.5, "set desk on --for 30m", {}, 1901.5), change(3, due=400.0)]
    changes[2] = msgspec.structs.replace(changes[2], confirm=True)
    first = await SqliteStore.open(tmp_path / "test.db")
    for known in changes:
        first.put_change(known)
    first.put_use("plumber", "pass.1", 2)
    first.add_login(LOGIN)
    first.count_failed_login("anna")
    await first.close()
    second = await SqliteStore.open(tmp_path / "test.db")
    assert repr(await second.changes()) == repr(changes)
    assert await second.uses() == {("plumber", "pass.1"): 2}
    assert await second.logins("anna") == [login(100.25, failed=1)]
    await second.close()


async def test_a_change_is_kept_in_place_of_the_one_of_its_number(store: SqliteStore) -> None:
    """Changes come by their numbers, whichever was written first; each number has one, and goes with it."""
    for number in (3, 1, 2):
        store.put_change(change(number))
    due = change(2, "ben", 500.0)
    store.put_change(due)
    assert await store.changes() == [change(1), due, change(3)]
    store.remove_change(7)
    store.remove_change(1)
    assert await store.changes() == [due, change(3)]
    store.remove_change(3)
    store.put_change(change(3, "ben"))
    assert await store.changes() == [due, change(3, "ben")]


async def test_the_newest_changes_of_a_user_are_kept(store: SqliteStore) -> None:
    """Beyond twenty the oldest of that user's go, and nobody else's; none that is due is counted, or goes."""
    for number in range(30):
        store.put_change(change(number, due=1000.0))
    store.put_change(change(30, "ben"))
    for number in range(31, 61):
        store.put_change(change(number))
    assert await numbers(store) == [*range(31), *range(41, 61)]
    store.put_change(change(5))
    assert await numbers(store) == [*range(5), *range(6, 31), *range(41, 61)]


async def test_changes_are_bounded_altogether(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users there are, the oldest changes go, and none that is due."""
    monkeypatch.setattr(sqlite, "_MAX_CHANGES", 10)
    for number in range(5):
        store.put_change(change(number, due=1000.0))
    for number in range(5, 105):
        store.put_change(change(number, str(number)))
    assert await numbers(store) == [*range(5), *range(95, 105)]


async def test_tables_that_nobody_reads_stay_small(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows over a bound go also when only ever written, with so many to spare as are not counted."""
    monkeypatch.setattr(sqlite, "_MAX_ROWS", 50)
    monkeypatch.setattr(sqlite, "_UNCOUNTED", 4)
    for number in range(101):
        store.put_change(change(number))
        store.add_login(login(number))
    assert await rows(store, "change") <= 20 + 3
    assert await rows(store, "login") <= 10 + 3
    for number in range(101):
        store.add_login(login(number, str(number)))
    assert await rows(store, "login") <= 50 + 3


async def test_a_change_costs_one_insert(store: SqliteStore) -> None:
    """What is kept for every order that is given is one statement; nothing is looked up, and nothing counted."""
    spoken: list[str] = []
    await store._database.run(lambda db: db.set_trace_callback(spoken.append))
    for number in range(3):
        store.put_change(change(number))
    await store.settle()
    frame = re.compile("BEGIN|SAVEPOINT|RELEASE|COMMIT")
    done = [statement.split()[0] for statement in spoken if not frame.match(statement)]
    assert done == ["INSERT"] * 3


@pytest.mark.parametrize(
    "before", ["'{'", "''", "'null'", "'{\"a\": [1]}'", "7", "x'ff'", "CAST(x'7b2261223a7b2262223a22ff227d7d' AS TEXT)"]
)
async def test_a_damaged_change_is_passed_over(
    store: SqliteStore, caplog: pytest.LogCaptureFixture, before: str
) -> None:
    """What was written into a change by hand costs that change alone, and a line in the log."""
    for number in (1, 2, 3):
        store.put_change(change(number))
    await store._database.run(
        lambda db: db.execute(f"UPDATE change SET before = {before} WHERE number = 2").close()  # noqa: S608
    )
    assert await numbers(store) == [1, 3]
    (line,) = caplog.records
    assert line.message.startswith("store: change 2 is damaged: ")
    store.put_change(change(2))
    assert await numbers(store) == [1, 2, 3]


async def test_uses(store: SqliteStore) -> None:
    """Uses are kept by user and grant, the last number said, until a user is forgotten."""
    for user, grant, used in (("anna", "a", 1), ("anna", "b", 1), ("ben", "a", 5), ("anna", "a", 2)):
        store.put_use(user, grant, used)
    assert await store.uses() == {("anna", "a"): 2, ("anna", "b"): 1, ("ben", "a"): 5}
    store.forget_user("anna")
    assert await store.uses() == {("ben", "a"): 5}


async def test_no_use_is_ever_dropped(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many uses there are, each is remembered: a grant that is used up must not come back."""
    monkeypatch.setattr(sqlite, "_MAX_ROWS", 10)
    monkeypatch.setattr(sqlite, "_UNCOUNTED", 1)
    for number in range(100):
        store.put_use("anna", str(number), 1)
    assert len(await store.uses()) == 100


async def test_macros(store: SqliteStore) -> None:
    """Macros are kept by user and name, the last that was said, until they or their user are forgotten."""
    macros = [Macro("anna", "late", "off all\x1b; 'x'\u2028", "anna"), Macro("", "late", "on hall", "anna")]
    for macro in (Macro("anna", "late", "on all", "anna"), *macros, Macro("ben", "gone", "on all", "ben")):
        store.put_macro(macro)
    store.remove_macro("ben", "gone")
    store.remove_macro("", "gone")
    assert sorted(await store.macros(), key=lambda macro: macro.user, reverse=True) == macros
    store.forget_user("anna")
    assert await store.macros() == macros[1:]


async def test_logins_come_newest_first(store: SqliteStore) -> None:
    """The last ten logins of a user are told in the order they were made, also when the clock was set back."""
    for at in (*range(12), 3.5):
        store.add_login(login(at))
    store.add_login(login(50.0, "ben"))
    assert [known.at for known in await store.logins("anna")] == [3.5, *range(11, 2, -1)]
    assert await store.logins("ben") == [login(50.0, "ben")]
    assert await store.logins("nobody") == []


async def test_failed_tries_count_from_the_last_login(store: SqliteStore) -> None:
    """A failed try is counted for its user since their last login; without any there is nothing to count."""
    store.count_failed_login("anna")
    store.add_login(login(1.0))
    for user in ("anna", "ben", "anna"):
        store.count_failed_login(user)
    store.add_login(login(2.0))
    store.add_login(login(2.5, "ben"))
    store.count_failed_login("anna")
    assert await store.logins("anna") == [login(2.0, failed=1), login(1.0, failed=2)]
    assert await store.logins("ben") == [login(2.5, "ben")]


async def test_a_new_user_of_an_old_name_starts_afresh(store: SqliteStore) -> None:
    """Everything of a user is forgotten, and of nobody else; only what is to be set back still is."""
    for number, user in enumerate(("anna", "ben")):
        store.put_change(change(number, user))
        store.put_change(change(10 + number, user, 1000.0))
        store.put_use(user, "a", 3)
        store.put_macro(Macro(user, "late", "off all", user))
        store.add_login(login(1.0, user))
    store.forget_user("anna")
    assert await store.macros() == [Macro("ben", "late", "off all", "ben")]
    assert await store.changes() == [change(1, "ben"), change(10, "anna", 1000.0), change(11, "ben", 1000.0)]
    assert await store.uses() == {("ben", "a"): 3}
    assert await store.logins("anna") == []
    assert await store.logins("ben") == [login(1.0, "ben")]
    store.count_failed_login("anna")
    store.add_login(login(2.0))
    assert await store.logins("anna") == [login(2.0)]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put_change(msgspec.structs.replace(CHANGE, before={"media.tv": {"title": "\ud800"}})),
        lambda store: store.put_change(change(1, "\ud800")),
        lambda store: store.put_change(change(2**63)),
        lambda store: store.put_use("anna", "a", 2**63),
        lambda store: store.add_login(login(1.0, "\ud800")),
        lambda store: store.put_device(msgspec.structs.replace(DEVICE, name="\ud800")),
        lambda store: store.put_macro(Macro("anna", "late", "\ud800", "anna")),
    ],
    ids=["state", "user", "number", "use", "login", "device", "macro"],
)
async def test_whoever_waits_is_told_what_could_not_be_kept(
    store: SqliteStore, caplog: pytest.LogCaptureFixture, write: Callable[[SqliteStore], None]
) -> None:
    """A write that fails raises nothing where it is made, costs no other one, and is told to whoever settles."""
    store.put_use("ben", "a", 1)
    write(store)
    store.put_change(change(7))
    with pytest.raises(SiteError, match="the store: "):
        await store.settle()
    assert [record.name for record in caplog.records] == ["sshhome.stores.sqlite"]
    assert await numbers(store) == [7]
    assert await store.uses() == {("ben", "a"): 1}


# -- devices ----------------------------------------------------------------------------------------------------------


async def test_names_of_devices_outlive_the_store(tmp_path: Path) -> None:
    """What devices are called is there, to the last sign, when the store is opened again; the oldest comes first."""
    plain = DeviceRecord("mqtt", "0x02", "light.desk_2")
    nowhere = msgspec.structs.replace(plain, identity="0x03", id="light.desk_3", room="")
    other = msgspec.structs.replace(DEVICE, backend="second", id="light.desk_4")
    first = await SqliteStore.open(tmp_path / "test.db")
    for record in (DEVICE, plain, nowhere, other):
        first.put_device(record)
    await first.close()
    second = await SqliteStore.open(tmp_path / "test.db")
    assert repr(await second.devices()) == repr([DEVICE, plain, nowhere, other])
    await second.close()


async def test_a_name_is_kept_in_place_of_the_one_before(store: SqliteStore) -> None:
    """There is one row for what a backend knows by an identity: the last that was said, in the place of the first."""
    plain = DeviceRecord("mqtt", "0x02", "light.desk_2")
    shown = msgspec.structs.replace(DEVICE, hidden=False, aliases=(), room=None)
    for record in (DEVICE, plain, shown):
        store.put_device(record)
    assert await store.devices() == [shown, plain]
    assert await rows(store, "device") == 2


SCHEDULE = Schedule(
    3,
    "anna",
    "every day 07:00",
    "on désk --for 5m; 'x'\x1b\u2028",
    100.25,
    200.5,
    "run",
    "by anna",
    (Run(90.0), Run(100.0, 100.5), Run(150.0, 150.5, 151.0, 77, "error: 'x'\n")),
)


async def test_schedules_outlive_the_store(tmp_path: Path) -> None:
    """A schedule is there with its runs, to the last digit, when the store is opened again; the oldest comes first."""
    other = Schedule(1, "kid", "when light.hall.on = on", "off hall", 1.0)
    first = await SqliteStore.open(tmp_path / "test.db")
    for schedule in (msgspec.structs.replace(SCHEDULE, due=None, runs=()), other, SCHEDULE):
        first.put_schedule(schedule)
    await first.close()
    second = await SqliteStore.open(tmp_path / "test.db")
    assert await second.schedules() == [other, SCHEDULE]
    second.remove_schedule(1)
    assert await second.schedules() == [SCHEDULE]
    second.forget_user("anna")
    assert await second.schedules() == []
    await second.close()


async def test_a_damaged_schedule_is_passed_over(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """Of whose runs nothing can be read nobody knows what has run: it is told of, and the others are there."""
    store.put_schedule(SCHEDULE)
    store.put_schedule(msgspec.structs.replace(SCHEDULE, number=4))
    await store._database.run(lambda db: db.execute("UPDATE schedule SET runs = '[{' WHERE number = 3").close())
    assert [schedule.number for schedule in await store.schedules()] == [4]
    assert "schedule 3 is damaged" in caplog.text


# -- a kill, and older and newer files --------------------------------------------------------------------------------

#: Uses a grant and gives an order, again and again, and says so only when both are kept.
_GIVER = """
import asyncio, itertools, pathlib, sys
from sshhome.store import Change
from sshhome.stores.sqlite import SqliteStore

async def give():
    store = await SqliteStore.open(pathlib.Path(sys.argv[1]))
    for used in itertools.count((await store.uses()).get(("anna", "a"), 0) + 1):
        store.put_use("anna", "a", used)
        store.put_change(Change(used, "anna", float(used), "on desk", {"light.desk": {"on": False}}))
        await store.settle()
        print(used, flush=True)

asyncio.run(give())
"""


async def test_what_is_settled_survives_a_kill(tmp_path: Path) -> None:
    """However often it is killed, what was waited for is kept, once, and at most one more that was under way."""
    path = tmp_path / "test.db"
    for _ in range(3):
        environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
        async with Process.start(sys.executable, "-c", _GIVER, str(path), environment=environment) as giver:
            await giver.says(r"(\d+\n){5}")
            giver.signal(signal.SIGKILL)
            answer = await giver.answer()
        assert answer.status == -signal.SIGKILL, answer.err
        said = int(answer.out.splitlines()[-1])
        store = await SqliteStore.open(path)
        used = (await store.uses())["anna", "a"]
        assert used in {said, said + 1}
        assert await numbers(store) == list(range(max(1, used - 19), used + 1))
        await store.close()


DELIVERY = Delivery(3, "garage", "msg_1", 100.25, "light.désk", b"{}", 2, None, 500, "answered 500")


async def test_deliveries(tmp_path: Path) -> None:
    """What a hook is told is kept in its order, another of its number takes its place, and it can be forgotten."""
    first = await SqliteStore.open(tmp_path / "test.db")
    told = msgspec.structs.replace(DELIVERY, ended=101.5, status=204, body=b"")
    for delivery in (msgspec.structs.replace(DELIVERY, number=4), DELIVERY, told):
        first.put_delivery(delivery)
    await first.close()
    second = await SqliteStore.open(tmp_path / "test.db")
    assert await second.deliveries() == [told, msgspec.structs.replace(DELIVERY, number=4)]
    second.remove_delivery(3)
    assert [delivery.number for delivery in await second.deliveries()] == [4]
    await second.close()


@pytest.mark.parametrize("version", range(1, len(sqlite.MIGRATIONS)))
async def test_a_file_of_an_earlier_version(tmp_path: Path, version: int) -> None:
    """What an earlier version kept is there, and what it could not keep can be kept from now on."""
    old = await Database.open(tmp_path / "test.db", sqlite.MIGRATIONS[:version])
    await old.run(lambda db: db.execute("INSERT INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(BAN)))
    await old.run(lambda db: db.execute("INSERT INTO failure VALUES ('10.0.0.2', 'home', 99.25)"))
    await old.close()
    store = await SqliteStore.open(tmp_path / "test.db")
    assert await store.bans() == [BAN]
    assert await store.failures(0) == [Failure("10.0.0.2", "home", 99.25)]
    assert (await store.changes(), await store.uses(), await store.logins("anna")) == ([], {}, [])
    assert (await store.devices(), await store.schedules()) == ([], [])
    store.put_schedule(SCHEDULE)
    assert await store.schedules() == [SCHEDULE]
    store.put_delivery(DELIVERY)
    assert await store.deliveries() == [DELIVERY]
    store.put_device(DEVICE)
    assert await store.devices() == [DEVICE]
    store.put_change(CHANGE)
    store.put_use("anna", "a", 1)
    store.add_login(LOGIN)
    assert await store.changes() == [CHANGE]
    assert await store.uses() == {("anna", "a"): 1}
    assert await store.logins("anna") == [LOGIN]
    await store.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A file with a migration more than is known is refused, and stays to the byte."""
    path = tmp_path / "test.db"
    await (await SqliteStore.open(path)).close()
    newer = len(sqlite.MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    with pytest.raises(SiteError, match=rf"written by a newer sshhome \(version {newer}, known {newer - 1}\)"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


# -- against a model --------------------------------------------------------------------------------------------------


class Model:
    """What a store is to remember, in the plainest words there are."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._changes: dict[int, Change] = {}
        self._uses: dict[tuple[str, str], int] = {}
        self._logins: list[LoginRecord] = []

    def changes(self) -> Sequence[Change]:
        """Return what is left of the changes when the bounds are kept."""
        for user in {known.user for known in self._changes.values()}:
            self._drop([known for known in self._changes.values() if known.user == user], sqlite._MAX_CHANGES_OF_ONE)
        self._drop(self._changes.values(), sqlite._MAX_CHANGES)
        return [known for _, known in sorted(self._changes.items())]

    def _drop(self, changes: Any, most: int) -> None:  # noqa: ANN401 (any changes)
        for number in sorted(known.number for known in changes if known.due is None)[:-most]:
            del self._changes[number]

    def uses(self) -> Mapping[tuple[str, str], int]:
        """Return all uses."""
        return self._uses

    def logins(self, user: str) -> Sequence[LoginRecord]:
        """Return the last logins of a user."""
        return [known for known in reversed(self._logins) if known.user == user][: sqlite._MAX_LOGINS]

    def put_change(self, change: Change) -> None:
        """Keep it."""
        self._changes[change.number] = change

    def remove_change(self, number: int) -> None:
        """Forget it."""
        self._changes.pop(number, None)

    def put_use(self, user: str, grant: str, used: int) -> None:
        """Keep it."""
        self._uses[user, grant] = used

    def add_login(self, record: LoginRecord) -> None:
        """Keep it."""
        self._logins.append(record)

    def count_failed_login(self, user: str) -> None:
        """Count it, if the user has logged in."""
        for at in reversed(range(len(self._logins))):
            if self._logins[at].user == user:
                self._logins[at] = msgspec.structs.replace(self._logins[at], failed=self._logins[at].failed + 1)
                return

    def forget_user(self, user: str) -> None:
        """Forget all but what is due."""
        self._uses = {pair: used for pair, used in self._uses.items() if pair[0] != user}
        self._logins = [known for known in self._logins if known.user != user]
        self._changes = {n: known for n, known in self._changes.items() if known.user != user or known.due is not None}


_USERS = ("anna", "ben", "A\x00\u2028")
_MOMENTS = st.floats(0, 4e9)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_STATES = st.dictionaries(st.text(max_size=9), st.dictionaries(st.text(max_size=9), _SCALARS, max_size=2), max_size=2)
_user, _number = st.sampled_from(_USERS), st.integers(0, 12)
_CHANGES = st.builds(Change, _number, _user, _MOMENTS, st.text(), _STATES, st.none() | _MOMENTS, st.booleans())
_LOGINS = st.builds(LoginRecord, _user, _MOMENTS, st.text(), st.text(), st.text())
_WRITES = st.one_of(
    st.tuples(st.just("put_change"), _CHANGES),
    st.tuples(st.just("remove_change"), _number),
    st.tuples(st.just("put_use"), _user, st.sampled_from("ab"), st.integers(0, 2**63 - 1)),
    st.tuples(st.just("add_login"), _LOGINS),
    st.tuples(st.just("count_failed_login"), _user),
    st.tuples(st.just("forget_user"), _user),
    st.just(("look",)),
    st.just(("open anew",)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(_WRITES, max_size=40))
async def test_it_remembers_what_a_model_does(
    monkeypatch: pytest.MonkeyPatch, steps: Sequence[tuple[str, *tuple[Any, ...]]]
) -> None:
    """Whatever is written in whichever order, looked at and opened anew, is there as in two dictionaries and a list."""
    for name, most in (("_MAX_CHANGES", 4), ("_MAX_CHANGES_OF_ONE", 2), ("_MAX_LOGINS", 3)):
        monkeypatch.setattr(sqlite, name, most)
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "test.db", Model()
        store = await SqliteStore.open(path)
        for name, *words in (*steps, ("look",), ("open anew",), ("look",)):
            if name == "look":
                assert repr(await store.changes()) == repr(model.changes())
                assert await store.uses() == model.uses()
                assert [await store.logins(user) for user in _USERS] == [model.logins(user) for user in _USERS]
            elif name == "open anew":
                await store.settle()
                await store.close()
                store = await SqliteStore.open(path)
            else:
                getattr(store, name)(*words)
                getattr(model, name)(*words)
        await store.close()
