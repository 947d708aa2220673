"""What orders changed is there to be undone, and to be brought back, also after a restart."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.device import State
from sshhome.errors import BadArguments, SiteError
from sshhome.journal import Journal
from sshhome.store import Change
from sshhome.stores.sqlite import SqliteStore
from tests.conftest import NOON, FixedClock

OFF: State = {"on": False}
DESK: Mapping[str, State] = {"light.desk": OFF}
ROOM: Mapping[str, State] = {"light.desk": OFF, "light.hall": {"brightness": 40}}


@contextlib.asynccontextmanager
async def opened(path: Path, clock: FixedClock) -> AsyncIterator[Journal]:
    """Open the journal of a file, as a house does that starts; at the end it goes as in a clean end."""
    store = await SqliteStore.open(path)
    journal = Journal(store, clock)
    await journal.load()
    try:
        yield journal
    finally:
        journal.save()
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the journal is kept."""
    return tmp_path / "test.db"


@pytest.fixture
async def journal(path: Path, clock: FixedClock) -> AsyncIterator[Journal]:
    """Return an empty journal."""
    async with opened(path, clock) as journal:
        yield journal


def make(
    journal: Journal,
    user: str = "anna",
    before: Mapping[str, State] = DESK,
    *,
    order: str = "on desk",
    within: float | None = None,
    confirm: bool = False,
) -> Change:
    """Make a change that reaches every device, as an order does."""
    change = journal.begin(user, order, before, before, within=within, confirm=confirm)
    journal.made(change, before.keys())
    return change


async def confirmed(journal: Journal, user: str) -> Sequence[Change]:
    """Let a user confirm what waits for that, and return it."""
    found = journal.unconfirmed(user)
    await journal.confirm(found)
    return found


def numbers(changes: Sequence[Change]) -> list[int]:
    """Return the numbers of changes."""
    return [change.number for change in changes]


# -- what can be undone -----------------------------------------------------------------------------------------------


async def test_the_latest_change_comes_first(journal: Journal) -> None:
    """Each user has changes of their own, the latest first."""
    first, other, second = make(journal), make(journal, "ben"), make(journal, order="dim desk 40")
    assert numbers(journal.of("anna")) == [second.number, first.number]
    assert numbers(journal.of("ben")) == [other.number]
    assert journal.of("nobody") == []
    assert journal.of("anna")[0].order == "dim desk 40"
    assert journal.of("anna")[0].before == DESK


async def test_what_changed_nothing_cannot_be_undone(journal: Journal) -> None:
    """An order to a lamp that is on already leaves nothing to bring back."""
    make(journal, before={"light.desk": {}})
    assert journal.of("anna") == []
    assert journal.all_of("anna") == []


async def test_only_what_was_reached_is_kept(journal: Journal) -> None:
    """A device that an order did not reach is none that it changed."""
    change = journal.begin("anna", "on all", ROOM)
    assert journal.of("anna") == []
    journal.made(change, {"light.hall"})
    assert [dict(known.before) for known in journal.of("anna")] == [{"light.hall": {"brightness": 40}}]
    journal.made(journal.begin("anna", "on all", ROOM), ())
    assert len(journal.of("anna")) == 1


async def test_a_change_is_undone_once(journal: Journal) -> None:
    """What is being undone is nobody else's to undo; what could not be undone is there again, in its place."""
    first, second = make(journal), make(journal, before=ROOM)
    journal.claim(second)
    assert numbers(journal.of("anna")) == [first.number]
    third = make(journal)
    journal.undone(second, ())
    assert numbers(journal.of("anna")) == [third.number, second.number, first.number]
    journal.claim(second)
    journal.undone(second, {"light.hall"})
    assert dict(journal.of("anna")[1].before) == DESK
    journal.claim(second)
    journal.undone(second, {"light.desk"})
    assert numbers(journal.of("anna")) == [third.number, first.number]


async def test_twenty_can_be_undone(path: Path, clock: FixedClock) -> None:
    """Beyond twenty the oldest of that user go, from the store too; what comes back by itself still does."""
    async with opened(path, clock) as journal:
        due = make(journal, within=60)
        other = make(journal, "ben", {"light.hall": OFF})
        made = [make(journal, before={"light.kids": OFF}).number for _ in range(25)]
        assert numbers(journal.of("anna")) == made[:4:-1]
        assert numbers(journal.all_of("anna")) == [*made[:4:-1], due.number]
        assert numbers(journal.of("ben")) == [other.number]
    async with opened(path, clock) as journal:
        assert numbers(journal.of("anna")) == made[:4:-1]
        clock.advance(60)
        assert numbers(journal.due()) == [due.number]


async def test_a_flood_of_changes_is_few_writes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many orders a user gives in a moment, the store is told of those that are left."""
    told: list[int] = []
    monkeypatch.setattr(journal._store, "put_change", lambda change: told.append(change.number))
    made = [make(journal).number for _ in range(1000)]
    assert told == []
    journal.save()
    assert told == made[-20:]
    journal.save()
    assert told == made[-20:]


# -- what comes back by itself ----------------------------------------------------------------------------------------


async def test_it_comes_back_when_its_time_is_over(journal: Journal, clock: FixedClock) -> None:
    """A change is due at its time and not before, until it has been brought back."""
    change = make(journal, within=60)
    clock.advance(59.9)
    assert journal.due() == []
    clock.advance(0.1)
    assert numbers(journal.due()) == [change.number]
    assert journal.brings_back(change, "light.desk")
    journal.later(change, 30)
    assert journal.due() == []
    clock.advance(30)
    journal.returned(change, ["light.desk"])
    assert journal.due() == []
    assert journal.all_of("anna") == []
    journal.later(change, 1)
    assert not journal.brings_back(change, "light.desk")


@pytest.mark.parametrize("step", [-7 * 86400.0, 7 * 86400.0])
async def test_a_clock_step_changes_nothing_while_it_runs(journal: Journal, clock: FixedClock, step: float) -> None:
    """Whoever sets the clock neither frees nor prolongs what waits."""
    make(journal, within=60)
    clock.step(step)
    assert journal.due() == []
    clock.advance(60)
    assert len(journal.due()) == 1


async def test_a_restart_forgets_nothing(path: Path, clock: FixedClock) -> None:
    """What waits comes back at its time, at once if that is over; what can be undone can be undone."""
    async with opened(path, clock) as journal:
        soon = make(journal, within=60)
        late = make(journal, "ben", {"light.hall": OFF}, within=3600, confirm=True)
        plain = make(journal, before={"light.kids": OFF})
    clock.advance(100)
    async with opened(path, clock) as journal:
        assert numbers(journal.due()) == [soon.number]
        assert numbers(journal.of("anna")) == [plain.number, soon.number]
        assert journal.all_of("ben")[0] == late
        clock.advance(3500)
        assert numbers(journal.due()) == [soon.number, late.number]
        assert make(journal).number > plain.number


@pytest.mark.parametrize("user", ["anna", "ben"])
async def test_a_later_order_takes_over(path: Path, clock: FixedClock, user: str) -> None:
    """What waited on the same device waits no more, whoever gave the later order; the rest of it does."""
    async with opened(path, clock) as journal:
        first = make(journal, before=ROOM, within=60)
        later = make(journal, user, DESK)
    async with opened(path, clock) as journal:
        assert not journal.brings_back(first, "light.desk")
        assert journal.brings_back(first, "light.hall")
        clock.advance(60)
        (due,) = journal.due()
        assert dict(due.back) == {"light.hall": {"brightness": 40}}
        # To undo it is another matter: that brings back all of it.
        assert dict(due.before) == ROOM
        journal.returned(due, ["light.hall"])
        assert numbers(journal.all_of("anna"))[-1:] == [first.number]
        assert dict(journal.all_of("anna")[-1].before) == DESK
        assert later.number in numbers(journal.of(user))
        assert journal.due() == []


async def test_an_order_that_reaches_nothing_takes_over_nothing(path: Path, clock: FixedClock) -> None:
    """Only what was changed after all waits no more."""
    async with opened(path, clock) as journal:
        first = make(journal, within=60)
        for within in (None, 3600.0):
            change = journal.begin("ben", "off desk", DESK, DESK, within=within)
            await journal.secure(change)
            assert not journal.brings_back(first, "light.desk")
            journal.made(change, ())
            assert journal.brings_back(first, "light.desk")
        assert journal.all_of("ben") == []
    async with opened(path, clock) as journal:
        assert journal.brings_back(first, "light.desk")
        assert journal.all_of("ben") == []


async def test_an_order_that_changed_nothing_takes_over(journal: Journal, clock: FixedClock) -> None:
    """Whoever says `on` to a lamp that is on for a while wants it to stay on."""
    make(journal, within=60)
    make(journal, before={"light.desk": {}})
    clock.advance(60)
    assert journal.due() == []


async def test_the_original_is_what_it_comes_back_to(journal: Journal) -> None:
    """What has been changed for a while, and is changed for a while again, comes back to how it was at first."""
    assert journal.original("light.desk", {"brightness": 40}) == {"brightness": 40}
    make(journal, before={"light.desk": {"on": False, "color_temperature": 2700}}, within=60)
    now: State = {"brightness": 40, "hue": 0, "saturation": 100}
    assert journal.original("light.desk", now) == {"brightness": 40, "on": False, "color_temperature": 2700}
    make(journal, "ben")
    assert journal.original("light.desk", now) == now


async def test_what_is_confirmed_stays(path: Path, clock: FixedClock) -> None:
    """A user confirms what they asked to confirm, all of it, and nothing else; it can still be undone."""
    async with opened(path, clock) as journal:
        first = make(journal, within=60, confirm=True)
        second = make(journal, before={"light.hall": OFF}, within=90, confirm=True)
        make(journal, before={"light.kids": OFF}, within=60)
        make(journal, "ben", {"light.night": OFF}, within=60, confirm=True)
        under_way = journal.begin(
            "anna", "on porch", {"light.porch": OFF}, {"light.porch": OFF}, within=60, confirm=True
        )
        assert numbers(await confirmed(journal, "anna")) == [first.number, second.number]
        assert await confirmed(journal, "anna") == []
        journal.made(under_way, ["light.porch"])
        assert numbers(await confirmed(journal, "anna")) == [under_way.number]
    async with opened(path, clock) as journal:
        assert len(journal.of("anna")) == 4
        clock.advance(90)
        assert [change.user for change in journal.due()] == ["anna", "ben"]


async def test_an_undone_change_does_not_come_back(path: Path, clock: FixedClock) -> None:
    """To undo what comes back by itself is a later order too."""
    async with opened(path, clock) as journal:
        change = make(journal, before=ROOM, within=60)
        journal.claim(change)
        clock.advance(60)
        # While it is being undone nothing is brought back under its hands.
        assert journal.due() == []
        assert not journal.brings_back(change, "light.hall")
        journal.undone(change, {"light.desk"})
        (due,) = journal.due()
        assert dict(due.back) == {"light.hall": {"brightness": 40}}
    async with opened(path, clock) as journal:
        (due,) = journal.due()
        assert due.back == due.before == {"light.hall": {"brightness": 40}}
        journal.claim(due)
        journal.undone(due, {"light.hall"})
    async with opened(path, clock) as journal:
        assert journal.due() == []


async def test_nothing_is_brought_back_under_the_hands_of_an_order(journal: Journal, clock: FixedClock) -> None:
    """While an order is changing a device, what it waited for has to wait."""
    first = make(journal, before=ROOM, within=60)
    clock.advance(60)
    change = journal.begin("ben", "dim desk 20", DESK)
    assert [journal.brings_back(first, name) for name in ROOM] == [False, True]
    journal.made(change, ())
    assert [journal.brings_back(first, name) for name in ROOM] == [True, True]


async def test_twenty_may_wait(journal: Journal, clock: FixedClock) -> None:
    """One user's changes that come back are bounded, also those being made; nobody else's count."""
    under_way = journal.begin("anna", "on porch", DESK, DESK, within=60)
    for number in range(19):
        make(journal, before={f"light.lamp_{number}": OFF}, within=60)
    with pytest.raises(BadArguments, match="20 of your changes wait to be brought back already"):
        make(journal, before={"light.hall": OFF}, within=60)
    make(journal, before={"light.hall": OFF})
    make(journal, "ben", {"light.hall": OFF}, within=60)
    journal.made(under_way, ())
    make(journal, before={"light.kids": OFF}, within=60)


async def test_what_is_secured_survives_a_kill(path: Path, clock: FixedClock) -> None:
    """A change that comes back is in the store before it is made, and one that does not is not waited for."""
    async with opened(path, clock) as journal:
        await journal.secure(journal.begin("anna", "on desk", DESK, DESK, within=60))
        await journal.secure(journal.begin("anna", "on hall", {"light.hall": OFF}))
        other = await SqliteStore.open(path)
        (change,) = await other.changes()
        assert (change.before, change.back, change.due) == (DESK, DESK, NOON + 60)
        await other.close()


async def test_of_two_that_wait_for_a_device_the_later_one_brings_it_back(path: Path, clock: FixedClock) -> None:
    """After a kill both may be in the store: that which was given later counts."""
    store = await SqliteStore.open(path)
    for number, device_id in ((1, "light.desk"), (1, "light.hall"), (2, "light.desk")):
        before = {device_id: OFF} if number == 2 else ROOM
        store.put_change(Change(number, "anna", NOON, "on all", before, NOON + number, back=before))
    await store.close()
    clock.advance(60)
    async with opened(path, clock) as journal:
        assert [sorted(change.back) for change in journal.due()] == [["light.hall"], ["light.desk"]]


async def test_what_waits_no_more_is_not_saved_up(path: Path, clock: FixedClock) -> None:
    """That something waits no more is on its way to the store at once, so that after a kill it does not come back."""
    async with opened(path, clock) as journal:
        other = await SqliteStore.open(path)

        async def due() -> list[int]:
            await journal._store.settle()
            return [change.number for change in await other.changes() if change.due is not None]

        waiting = []
        for name in ("desk", "hall", "kids", "night"):
            states = {f"light.{name}": OFF}
            waiting.append(journal.begin("anna", "on", states, states, within=60, confirm=name == "night"))
            await journal.secure(waiting[-1])
            journal.made(waiting[-1], states)
        desk, hall, kids, night = waiting
        make(journal, "ben")
        assert await due() == [hall.number, kids.number, night.number]
        journal.returned(hall, ["light.hall"])
        assert await due() == [kids.number, night.number]
        journal.claim(kids)
        journal.undone(kids, ["light.kids"])
        assert await due() == [night.number]
        await confirmed(journal, "anna")
        assert [change.number for change in await other.changes() if change.due is not None] == []
        assert numbers(journal.of("anna")) == [night.number, desk.number]
        await other.close()


async def test_what_cannot_be_kept_is_told(path: Path, clock: FixedClock) -> None:
    """A change that comes back is not made when the store cannot keep that; one that does not come back is."""
    async with opened(path, clock) as journal:
        bad: Mapping[str, State] = {"light.desk": {"mode": "\ud800"}}
        change = journal.begin("anna", "on desk", bad, bad, within=60)
        with pytest.raises(SiteError):
            await journal.secure(change)
        journal.made(change, ())
        assert journal.all_of("anna") == []
        change = journal.begin("anna", "on desk", DESK, DESK, within=60)
        await journal.secure(change)
        journal.made(change, DESK)
        assert numbers(journal.all_of("anna")) == [change.number]


async def test_another_user_of_the_name_begins_with_nothing(path: Path, clock: FixedClock) -> None:
    """Who comes after a user who was removed can undo and confirm nothing of theirs; it still comes back."""
    async with opened(path, clock) as journal:
        make(journal)
        make(journal, before={"light.hall": OFF}, within=60, confirm=True)
        other = make(journal, "ben")
        journal.forget("anna")
        assert journal.of("anna") == await confirmed(journal, "anna") == []
        assert numbers(journal.of("ben")) == [other.number]
    async with opened(path, clock) as journal:
        assert journal.of("anna") == await confirmed(journal, "anna") == []
        clock.advance(60)
        assert [dict(change.back) for change in journal.due()] == [{"light.hall": OFF}]
        make(journal)
        assert len(journal.of("anna")) == 1


async def test_a_user_goes_while_they_undo(journal: Journal) -> None:
    """An undo that ends after its user is gone leaves nothing behind."""
    change = make(journal)
    journal.claim(change)
    journal.forget("anna")
    journal.undone(change, ())
    assert journal.all_of("anna") == []


# -- whatever happens -------------------------------------------------------------------------------------------------

_DEVICES = ("light.desk", "light.hall", "lock.front_door")
_STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(["anna", "ben"]),
        st.lists(st.sampled_from(_DEVICES), min_size=1, unique=True),
        st.none() | st.integers(1, 100),
        st.booleans(),
        st.sets(st.sampled_from(_DEVICES)),
    ),
    st.tuples(st.just("undo"), st.sampled_from(["anna", "ben"]), st.sets(st.sampled_from(_DEVICES))),
    st.tuples(st.just("confirm"), st.sampled_from(["anna", "ben"])),
    st.tuples(st.just("time"), st.integers(0, 100), st.sets(st.sampled_from(_DEVICES))),
    st.tuples(st.just("forget"), st.sampled_from(["anna", "ben"])),
    st.just(("restart",)),
)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60
)
@given(st.lists(_STEPS, max_size=25))
async def test_a_restart_changes_nothing(steps: Sequence[tuple[object, ...]]) -> None:
    """Whatever was made, undone, confirmed, brought back and forgotten: a restart leaves the journal as it was.

    A device comes back at most once, for one change, and the one that does is the latest to have touched it.
    """
    clock = FixedClock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.db"
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(opened(path, clock))
            latest: dict[str, int] = {}
            for step in steps:
                match step:
                    case ("order", str(user), list(devices), within, bool(confirm), set(reached)):
                        states = dict.fromkeys(devices, OFF)
                        change = journal.begin(user, "x", states, states, within=within, confirm=confirm)  # type: ignore[arg-type]  # (a number)
                        await journal.secure(change)
                        journal.made(change, reached)
                        latest.update((name, change.number) for name in devices if name in reached)
                    case ("undo", str(user), set(reached)) if journal.of(user):
                        change = journal.of(user)[0]
                        journal.claim(change)
                        journal.undone(change, reached)
                        latest.update((name, 0) for name in change.before if name in reached)
                    case ("confirm", str(user)):
                        await confirmed(journal, user)
                    case ("time", int(seconds), set(reached)):
                        clock.advance(seconds)
                        for change in journal.due():
                            journal.returned(change, [n for n in change.back if n in reached])
                    case ("forget", str(user)):
                        journal.forget(user)
                    case ("restart",):
                        before = [journal.all_of(user) for user in ("anna", "ben")], journal._due
                        await stack.aclose()
                        journal = await stack.enter_async_context(opened(path, clock))
                        assert [journal.all_of(user) for user in ("anna", "ben")] == before[0]
                        assert journal._due == before[1]
                waiting = [c for user in ("anna", "ben") for c in journal.all_of(user) if c.back]
                assert {name: c.number for c in waiting for name in c.back} == journal._returns
                assert sum(len(c.back) for c in waiting) == len(journal._returns)
                assert all(latest[name] == number for name, number in journal._returns.items())
                assert all(
                    (c.due is not None) == bool(c.back) for user in ("anna", "ben") for c in journal.all_of(user)
                )
                assert journal._due.keys() == {c.number for c in waiting}
