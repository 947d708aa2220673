"""An order with a key of its own runs once, whatever happens to who gave it, and to the house."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sshhome import once
from sshhome.errors import BadArguments, Denied, OutcomeUnknown, Refused, Unavailable
from sshhome.outcome import Outcome
from sshhome.store import Repeatable
from sshhome.stores import sqlite
from sshhome.stores.sqlite import SqliteStore
from tests.client import Door, until
from tests.conftest import FixedClock
from tests.conversation import app
from tests.test_dispatch import Road, open_road

DAY = 86_400.0


@pytest.fixture
async def road(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline."""
    async with open_road(tmp_path / "road", clock, options={"offline": ["light.garden"]}) as built:
        yield built


async def give(road: Road, order: str, key: str = "k", user: str = "admin", **params: object) -> Outcome:
    """Give an order with a key, in a session of its own."""
    session = road.session(user, channel="rpc")
    given: Mapping[str, Any] = {**params, "idempotency_key": key}
    outcome = await road.dispatch.call(session, order, given)
    road.dispatch.sessions.close(session)
    return outcome


def is_on(road: Road, device_id: str = "light.desk") -> bool:
    """Return whether a lamp is on."""
    return bool(road.dispatch.house.devices[device_id].state["on"])


async def test_once(road: Road) -> None:
    """Asked for again, it is not done again, and answered and audited as it was, with a word that it was."""
    before = is_on(road)
    first, second = await give(road, "toggle", target="desk"), await give(road, "toggle", target="desk")
    assert is_on(road) is not before
    assert (first.status, second.status) == (0, 0)
    assert (await give(road, "toggle", "other", target="desk")).status == 0
    assert is_on(road) is before


async def test_while_it_runs(road: Road) -> None:
    """Asked for again while it runs, it is waited for, however often."""
    road.backend.broken["light.desk"] = Unavailable("light.desk is unavailable")
    outcomes = await asyncio.gather(*(give(road, "on", target="desk") for _ in range(5)))
    assert [outcome.status for outcome in outcomes] == [69] * 5
    assert {outcome.error.message for outcome in outcomes if outcome.error} == {"light.desk is unavailable"}
    road.backend.broken.clear()
    road.backend.applied.clear()
    assert (await give(road, "on", target="desk")).status == 69
    assert not road.backend.applied


async def test_some_did_it(road: Road) -> None:
    """What some did and some did not is answered again as it was."""
    first = await give(road, "on", target="light.[dg]*")
    second = await give(road, "on", target="light.[dg]*")
    assert first.status == second.status == 69
    assert [(label, error.code) for label, error in second.left_out] == [("garden", "unavailable")]


async def test_half_a_surrogate(road: Road) -> None:
    """What a device says for which UTF-8 has no bytes is kept and told again as all else is."""
    road.backend.broken["light.desk"] = Refused("\ud800")
    for _ in range(2):
        outcome = await give(road, "on", target="desk")
        assert isinstance(outcome.error, Refused)
        assert outcome.error.message == "\ud800"


async def test_a_crash(road: Road) -> None:
    """Of one that had begun when the house was killed it is told that nobody knows, and it is not done again."""
    params = {"target": "desk"}
    async with road.dispatch.once.turn(road.session("admin").login, "k", "on", params) as turn:
        await turn._store.begin_repeatable(turn._begun, 0.0)
    outcome = await give(road, "on", target="desk")
    assert isinstance(outcome.error, OutcomeUnknown)
    assert outcome.error.as_json()["error"]["code"] == "outcome_unknown"
    assert not road.backend.applied


async def test_cut_off(road: Road) -> None:
    """One that was cut off while it ran had begun, and nobody knows how it ended."""
    never = asyncio.Event()

    async def stuck(device: object, change: object) -> None:
        await never.wait()

    road.backend.apply = stuck  # type: ignore[method-assign]
    session = road.session("admin", channel="rpc")
    task = road.dispatch.call(session, "on", {"target": "desk", "idempotency_key": "k"})
    await until(lambda: road.dispatch.house._waiting)
    await road.dispatch.cut(lambda one: one is session, "enough")
    assert isinstance((await task).error, Denied)
    assert isinstance((await give(road, "on", target="desk")).error, OutcomeUnknown)


async def test_what_did_not_begin(road: Road) -> None:
    """What was refused before it began may be asked for again, and then runs."""
    assert (await give(road, "on", user="viewer", target="desk")).status == 77
    assert (await give(road, "on", target="nothing")).status == 64
    assert (await give(road, "on", target="desk", dry_run=True)).rehearsed
    assert (await give(road, "on", target="desk")).status == 0
    assert is_on(road)


LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f x"


async def test_another_order(road: Road) -> None:
    """A key is for one order with its params; how it is proved is none of them, and their order is none."""
    assert (await give(road, "dim", target="desk", level=30, yes=True)).status == 0
    assert (await give(road, "dim", level=30, target="desk", code="123456")).status == 0
    for order, params in (("dim", {"target": "desk", "level": 31}), ("on", {"target": "desk"})):
        outcome = await give(road, order, **params)
        assert isinstance(outcome.error, BadArguments)
    assert isinstance((await give(road, "dim", target="desk", level=30, no_wait=True)).error, BadArguments)


async def test_rights_at_that_moment(road: Road) -> None:
    """Who may give the order no more is not told how it ended; nor is another user of the name."""
    assert (await give(road, "on", user="resident", target="desk")).status == 0
    road.become("resident", f"grants = ['read']\nkeys = ['{LINE}']")
    assert (await give(road, "on", user="resident", target="desk")).status == 77
    road.become("resident", f"grants = ['control']\nkeys = ['{LINE}']")
    road.dispatch.store.forget_user("resident")
    road.backend.applied.clear()
    assert (await give(road, "on", user="resident", target="desk")).status == 0
    assert road.backend.applied


async def test_a_day(road: Road, clock: FixedClock) -> None:
    """What was answered is kept for a day, and then forgotten."""
    for passed, times in ((0.0, 1), (DAY - 1, 1), (2.0, 2)):
        clock.advance(passed)
        assert (await give(road, "on", target="desk")).status == 0
        assert len(road.backend.applied) == times
    assert len(rows(road)) == 1


def rows(road: Road) -> list[tuple[str, bytes]]:
    """Return what the store keeps."""
    with closing(sqlite3.connect(road.path / "sshhome.db")) as db, db:
        return list(db.execute('SELECT "key", answer FROM repeatable'))


@pytest.mark.parametrize(
    ("order", "params"), [("user list", {}), ("echo", {"text": "x" * 3000 + "\u00e9" * 300}), ("list", {})]
)
async def test_what_is_kept(road: Road, monkeypatch: pytest.MonkeyPatch, order: str, params: Mapping[str, str]) -> None:
    """What may be secret, and what is long, is not written down; it is not done again either."""
    monkeypatch.setattr(once, "_LONGEST", 5000)
    first, second = await give(road, order, **params), await give(road, order, **params)
    assert first.status == 0
    kept = b"".join(answer for _, answer in rows(road))
    if order == "echo":
        assert second.status == 0
    else:
        assert isinstance(second.error, OutcomeUnknown)
        assert "carried out" in second.error.message
        assert b"admin" not in kept
    assert len(kept) < 6000


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "é", "\n", 7, True, ["k"], {"k": 1}])
async def test_what_is_no_key(road: Road, key: object) -> None:
    """A key is 1 to 64 visible ASCII characters."""
    outcome = await road.dispatch.call(
        road.session("admin", channel="rpc"), "on", {"target": "desk", "idempotency_key": key}
    )
    assert isinstance(outcome.error, BadArguments)
    assert not road.backend.applied


async def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each user the newest are kept, and of others no fewer for it."""
    monkeypatch.setattr(sqlite, "_MAX_REPEATABLE", 5)
    monkeypatch.setattr(sqlite, "_UNCOUNTED", 1)
    store = await SqliteStore.open(tmp_path / "store.db")
    for number in range(8):
        await store.begin_repeatable(Repeatable("anna", "key", f"k{number}", b"", float(number)), 0.0)
    await store.begin_repeatable(Repeatable("bob", "key", "k0", b"", 0.0), 0.0)
    found = [await store.repeatable("anna", "key", f"k{number}", 0.0) is not None for number in range(8)]
    assert found == [False] * 3 + [True] * 5
    assert await store.repeatable("bob", "key", "k0", 0.0) is not None
    assert await store.repeatable("anna", "password", "k7", 0.0) is None
    assert await store.repeatable("anna", "key", "k7", 7.5) is None
    await store.close()


async def test_a_store_that_cannot_keep_it(road: Road) -> None:
    """Where it cannot be kept that it begins, it does not."""
    with closing(sqlite3.connect(road.path / "sshhome.db")) as db, db:
        db.execute("DROP TABLE repeatable")
    assert (await give(road, "on", target="desk")).status == 70
    assert not road.backend.applied


async def test_after_a_restart(serve: Any) -> None:  # noqa: ANN401 (the fixture's own)
    """The first answer is answered after a restart, too, and nothing is done again."""
    answers = []
    for _ in range(2):
        door: Door
        async with serve("") as door, app(door, "home") as here:
            answers.append(await here.result("toggle", target="desk", idempotency_key="k"))
            answers.append(await here.result("get", target="light.desk.on"))
    assert answers[0] == answers[2]
    assert answers[1]["value"] == answers[3]["value"]
