"""A table whose entries end holds as many as it may, and of those the ones that stay longest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome import expiring
from sshhome.expiring import Expiring
from tests.conftest import FixedClock

#: Entries that the tables of these tests hold.
FEW = 8


@pytest.fixture
def table(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Expiring[int]:
    """Return a small table."""
    monkeypatch.setattr(expiring, "LIMIT", FEW)
    return Expiring(clock.monotonic)


def put(table: Expiring[int], clock: FixedClock, name: str, seconds: float, value: int = 0) -> None:
    """Enter something for so many seconds."""
    table.put(name, value, clock.monotonic() + seconds)


def names(table: Expiring[int]) -> list[str]:
    """Return what is in a table."""
    return [name for name, _ in table]


def test_entries_end(table: Expiring[int], clock: FixedClock) -> None:
    """An entry is there until its end, and not at it."""
    put(table, clock, "a", 10, 1)
    clock.advance(9.5)
    assert (table.get("a"), table.remaining("a"), len(table)) == (1, 0.5, 1)
    clock.advance(0.5)
    assert (table.get("a"), table.remaining("a"), len(table), table.pop("a")) == (None, 0, 0, None)
    assert table.get("nobody") is None


def test_an_entry_is_replaced(table: Expiring[int], clock: FixedClock) -> None:
    """A name has one entry, the last one, which ends when that says, later or sooner."""
    put(table, clock, "a", 10, 1)
    put(table, clock, "a", 20, 2)
    put(table, clock, "b", 20, 3)
    put(table, clock, "b", 10, 4)
    assert len(table) == 2
    clock.advance(15)
    assert (table.get("a"), table.get("b")) == (2, None)


def test_what_has_ended_is_not_entered(table: Expiring[int], clock: FixedClock) -> None:
    """An entry that is over already pushes nobody out, and takes the one it replaces with it."""
    for number in range(FEW):
        put(table, clock, str(number), 100)
    put(table, clock, "late", 0)
    put(table, clock, "3", -5)
    assert names(table) == [str(number) for number in range(FEW) if number != 3]


def test_entries_are_told_by_their_end(table: Expiring[int], clock: FixedClock) -> None:
    """The entry that ends soonest comes first, one that has ended not at all; a table may change meanwhile."""
    for name, seconds in (("c", 30), ("a", 10), ("d", 40), ("b", 20)):
        put(table, clock, name, seconds)
    clock.advance(10)
    assert names(table) == ["b", "c", "d"]
    for name, _ in table:
        table.pop(name)
    assert names(table) == []


def test_a_full_table_gives_up_who_ends_soonest(table: Expiring[int], clock: FixedClock) -> None:
    """A newcomer always has room, for which the entry that ends soonest goes, whenever that was entered."""
    for number in range(FEW):
        put(table, clock, str(number), 100 - number)
    put(table, clock, "short", 1)
    assert names(table) == ["short", *(str(number) for number in range(FEW - 2, -1, -1))]
    put(table, clock, "0", 200)
    assert names(table)[-1] == "0"
    assert len(table) == FEW
    put(table, clock, "long", 1000)
    assert "short" not in names(table)


def test_what_has_ended_goes_before_anyone_else(table: Expiring[int], clock: FixedClock) -> None:
    """In a full table the room of those who have ended is taken first, without a look at the others."""
    for number in range(FEW):
        put(table, clock, str(number), 10 if number % 2 else 100)
    clock.advance(10)
    for number in range(FEW // 2):
        put(table, clock, f"new {number}", 100)
    assert len(table) == FEW
    assert {name for name in names(table) if name.isdigit()} == {str(number) for number in range(0, FEW, 2)}


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "pop", "wait"]), st.sampled_from("abcdefghijkl"), st.integers(-1, 20)),
        max_size=80,
    )
)
def test_a_table_is_its_model(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is entered, taken out and waited for, the table holds what a simple search through all would find."""
    clock = FixedClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiring, "LIMIT", FEW)
        table = Expiring[int](clock.monotonic)
    model: dict[str, tuple[float, int]] = {}
    for number, (step, name, seconds) in enumerate(steps):
        if step == "wait":
            clock.advance(max(0, seconds))
        ends, now = clock.monotonic() + seconds, clock.monotonic()
        model = {known: entry for known, entry in model.items() if entry[0] > now}
        if step == "pop":
            assert table.pop(name) == model.pop(name, (0, None))[1]
        elif step == "put":
            table.put(name, number, ends)
            if name not in model and len(model) == FEW and ends > now:
                del model[min(model, key=lambda known: (model[known][0], known))]
            model[name] = (ends, number)
            if ends <= now:
                del model[name]
        assert [*table] == sorted(
            ((known, value) for known, (_, value) in model.items()), key=lambda e: (model[e[0]][0], e[0])
        )
        assert len(table) == len(model)
        assert table.get(name) == model.get(name, (0, None))[1]
        assert table.remaining(name) == max(0, model.get(name, (0, 0))[0] - now)


def test_a_million_are_no_more_than_the_limit(clock: FixedClock) -> None:
    """However many come, a bounded number is remembered, in bounded room, and they are the ones that end last."""
    table = Expiring[int](clock.monotonic)
    for number in range(1_000_000):
        table.put(str(number), number, 2000.0 + number)
    assert len(table) == expiring.LIMIT
    assert len(table._ends) <= 2 * expiring.LIMIT + 64
    assert table.get(str(1_000_000 - expiring.LIMIT)) is not None
    assert table.get(str(1_000_000 - expiring.LIMIT - 1)) is None


def test_one_entry_that_changes_for_ever_takes_the_room_of_one(clock: FixedClock) -> None:
    """What is entered again and again under one name leaves no trail."""
    table = Expiring[int](clock.monotonic)
    for number in range(10_000):
        table.put("a", number, 2000.0 + number)
    assert (len(table), table.get("a")) == (1, 9_999)
    assert len(table._ends) < 100
