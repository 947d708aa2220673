"""Macros are kept by user, in memory and in the store, and there are not too many of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sshhome.errors import BadArguments
from sshhome.macro import _MOST, SHARED, Macros
from sshhome.store import Macro
from sshhome.stores.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


def macro(name: str, user: str = "anna", orders: str = "off all") -> Macro:
    """Return a macro that ben has saved, if it is nobody's own."""
    return Macro(user, name, orders, user or "ben")


async def test_ones_own_counts(store: SqliteStore) -> None:
    """A user has their own macros and the shared ones, by name, and of two of one name their own."""
    macros = Macros(store)
    own, shared = macro("late"), [macro("late", SHARED), macro("away", SHARED)]
    for one in (own, *shared, macro("other", "ben")):
        macros.keep(one)
    assert macros.of("anna") == [shared[1], own]
    assert macros.find("anna", "late") == own
    assert macros.find("zoe", "late") == shared[0]
    assert macros.find("anna", "other") is None
    assert macros.find("anna", "LATE") == macros.own("anna", "Late") == own
    macros.remove(own)
    assert macros.find("anna", "late") == shared[0]


async def test_they_outlive_the_process(store: SqliteStore) -> None:
    """What is kept, changed and removed is so after a restart too."""
    first, second = Macros(store), Macros(store)
    for one in (macro("late"), macro("late", orders="on hall"), macro("gone"), macro("away", SHARED)):
        first.keep(one)
    first.remove(macro("gone"))
    await second.load()
    assert second.of("anna") == first.of("anna") == [macro("away", SHARED), macro("late", orders="on hall")]


async def test_a_new_user_of_an_old_name_has_none(store: SqliteStore) -> None:
    """The macros of a user who is gone are forgotten; those that they shared stay."""
    first, second = Macros(store), Macros(store)
    for one in (macro("late"), macro("late", "ben"), Macro(SHARED, "away", "off all", "anna")):
        first.keep(one)
    first.forget("anna")
    store.forget_user("anna")
    await second.load()
    for macros in (first, second):
        assert [one.name for one in macros.of("anna")] == ["away"]
        assert [one.name for one in macros.of("ben")] == ["away", "late"]


async def test_they_are_bounded(store: SqliteStore) -> None:
    """A user has so many, and no longer ones than so; others have theirs, and one may be replaced."""
    macros = Macros(store)
    for number in range(_MOST):
        macros.keep(macro(f"m{number}"))
    with pytest.raises(BadArguments, match="no more than 50 macros"):
        macros.keep(macro("one_more"))
    macros.keep(macro("m0", orders="x" * 1000))
    macros.keep(macro("one_more", "ben"))
    with pytest.raises(BadArguments, match="1000 characters long"):
        macros.keep(macro("m0", orders="x" * 1001))


async def test_one_that_is_not_there(store: SqliteStore) -> None:
    """Whoever asks for one of their own that is only shared is told so."""
    macros = Macros(store)
    macros.keep(macro("late", SHARED))
    with pytest.raises(BadArguments, match="no macro 'late' of your own") as only_shared:
        macros.own("anna", "late")
    assert "macro unshare" in only_shared.value.hint
    with pytest.raises(BadArguments, match=r"^no macro 'early'$"):
        macros.own("anna", "early")
