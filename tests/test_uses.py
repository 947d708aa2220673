"""A counted grant is used as often as it says and no more: at once, across a kill, and whatever the disk does."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sshhome.errors import Denied, SiteError
from sshhome.grant import Grant, parse_grant
from sshhome.stores.sqlite import SqliteStore
from sshhome.uses import Uses
from tests.process import Process


def grant(uses: int = 3, scope: str = "lock.front_door") -> Grant:
    """Return a grant that is good for so many orders."""
    return parse_grant({"allow": f"access:{scope}", "uses": uses}, "anna.toml", ZoneInfo("UTC"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


@pytest.fixture
def uses(store: SqliteStore) -> Uses:
    """Return uses of which there have been none."""
    return Uses(store)


async def test_as_often_as_it_says(uses: Uses) -> None:
    """Three uses are three uses, of each user."""
    for used in range(3):
        assert uses.used("anna", grant().id) == used
        await uses.take("anna", [grant()])
    with pytest.raises(Denied, match="used 3 of 3 times"):
        await uses.take("anna", [grant()])
    await uses.take("ben", [grant()])
    assert (uses.used("anna", grant().id), uses.used("ben", grant().id)) == (3, 1)


async def test_no_grant_costs_nothing(uses: Uses, store: SqliteStore) -> None:
    """An order by a grant that is not counted waits for no store."""
    await store.close()
    await uses.take("anna", [])


async def test_a_changed_grant_is_another(uses: Uses) -> None:
    """Uses are those of the grant as it is written: one that is written otherwise begins anew."""
    await uses.take("anna", [grant()])
    assert uses.used("anna", grant(4).id) == 0
    assert uses.used("anna", grant(scope="lock.*").id) == 0


async def test_all_or_nothing(uses: Uses) -> None:
    """An order that takes several takes none where one of them has been used up."""
    await uses.take("anna", [grant(1)])
    with pytest.raises(Denied, match="used 1 of 1 times"):
        await uses.take("anna", [grant(3), grant(1)])
    assert uses.used("anna", grant(3).id) == 0


async def test_exactly_as_many_at_once(uses: Uses, store: SqliteStore) -> None:
    """Of fifty orders at once, three are permitted."""
    ended = await asyncio.gather(*(uses.take("anna", [grant()]) for _ in range(50)), return_exceptions=True)
    assert [type(end) for end in ended if end is not None] == [Denied] * 47
    assert await store.uses() == {("anna", grant().id): 3}


async def test_a_use_is_given_back(uses: Uses, store: SqliteStore) -> None:
    """A use of an order that did nothing is there again; nobody ever has more than the grant says."""
    await uses.take("anna", [grant(1)])
    uses.give_back("anna", [grant(1)])
    assert await store.uses() == {("anna", grant(1).id): 0}
    uses.give_back("anna", [grant(1)])
    assert uses.used("anna", grant(1).id) == 0
    await uses.take("anna", [grant(1)])
    with pytest.raises(Denied):
        await uses.take("anna", [grant(1)])


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Uses are counted on where they were."""
    for used in range(3):
        store = await SqliteStore.open(tmp_path / "test.db")
        uses = Uses(store)
        await uses.load()
        assert uses.used("anna", grant().id) == used
        await uses.take("anna", [grant()])
        await store.close()


async def test_what_cannot_be_kept_is_not_taken(tmp_path: Path, uses: Uses, store: SqliteStore) -> None:
    """An order is refused when its use cannot be kept, and costs none; once it can be, the next one is permitted."""
    with closing(sqlite3.connect(tmp_path / "test.db")) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON use BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(SiteError, match="disk full"):
        await uses.take("anna", [grant(1)])
    assert uses.used("anna", grant(1).id) == 0
    with closing(sqlite3.connect(tmp_path / "test.db")) as other:
        other.execute("DROP TRIGGER full")
    await uses.take("anna", [grant(1)])
    assert await store.uses() == {("anna", grant(1).id): 1}


async def test_a_store_that_is_gone_permits_nothing(uses: Uses, store: SqliteStore) -> None:
    """A store that is closed keeps nothing, so nothing counted is permitted."""
    await store.close()
    with pytest.raises(SiteError):
        await uses.take("anna", [grant()])
    assert uses.used("anna", grant().id) == 0


async def test_whoever_is_cut_off_before_has_used_nothing(uses: Uses, store: SqliteStore) -> None:
    """An order that is cut off while its use is being kept has done nothing, and has its use back."""
    task = asyncio.create_task(uses.take("anna", [grant()]))
    await asyncio.sleep(0)
    assert uses.used("anna", grant().id) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.uses() == {("anna", grant().id): 0}


async def test_another_user_of_the_name_begins_with_nothing(uses: Uses, store: SqliteStore) -> None:
    """Who is gone has no uses, and an order of theirs that ends after that gives none away."""
    await uses.take("anna", [grant()])
    await uses.take("ben", [grant()])
    uses.forget("anna")
    store.forget_user("anna")
    uses.give_back("anna", [grant()])
    assert uses.used("anna", grant().id) == 0
    assert await store.uses() == {("ben", grant().id): 1}


#: Takes the uses of one grant as fast as it can, and says so of each.
_TAKER = """
import asyncio, pathlib, sys
from sshhome.errors import Denied
from sshhome.grant import parse_grant
from sshhome.stores.sqlite import SqliteStore
from sshhome.uses import Uses

async def take():
    uses = Uses(await SqliteStore.open(pathlib.Path(sys.argv[1])))
    await uses.load()
    grant = parse_grant({"allow": "access:lock.front_door", "uses": 900000}, "anna.toml")
    while True:
        await uses.take("anna", [grant])
        print(uses.used("anna", grant.id), flush=True)

asyncio.run(take())
"""


async def test_no_kill_gives_a_use_away(tmp_path: Path) -> None:
    """However often it is killed, a use that was taken stays taken, and at most one more that was under way."""
    for _ in range(3):
        environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
        path = tmp_path / "test.db"
        async with Process.start(sys.executable, "-c", _TAKER, str(path), environment=environment) as taker:
            await taker.says(r"(\d+\n){5}")
            taker.signal(signal.SIGKILL)
            answer = await taker.answer()
        assert answer.status == -signal.SIGKILL, answer.err
        said = int(answer.out.splitlines()[-1])
        store = await SqliteStore.open(path)
        assert next(iter((await store.uses()).values())) in {said, said + 1}
        await store.close()
