"""What `sshhome user` changes of what people may do: in their file, which stays its owner's, and at once."""

import tomllib
from typing import Any

import pytest

from sshhome import app
from sshhome.recall import Recall
from sshhome.store import Macro
from sshhome.stores.sqlite import SqliteStore
from tests.client import Answer
from tests.process import Operator, lines

BAD_ARGUMENTS = 64


def written(site: app.Site, login: str) -> dict[str, Any]:
    """Return what a user's file holds."""
    return tomllib.loads((site.path / "authorized_users" / f"{login}.toml").read_text(encoding="utf-8"))


async def test_granting_and_revoking(operator: Operator, site: app.Site) -> None:
    """Grants, denies and roles are added and taken away by their names."""
    for words, told in (
        (("grant", "kid", "read:@kids"), "kid has 'read:@kids' now\n"),
        (("grant", "kid", "read:@study", "--deny"), "kid has 'deny read:@study' now\n"),
        (("grant", "kid", "role:viewer"), "kid has 'role:viewer' now\n"),
    ):
        assert await operator.types("user", *words, site=site.path) == Answer(told, "", 0)
    assert written(site, "kid")["roles"] == ["child", "viewer"]
    assert written(site, "kid")["grants"] == ["read:@kids", {"deny": "read:@study"}]
    for words, told in (
        (("revoke", "kid", "role:child"), "kid no longer has 'role:child'\n"),
        (("revoke", "kid", "deny", "read:@study"), "kid no longer has 'deny read:@study'\n"),
    ):
        assert await operator.types("user", *words, site=site.path) == Answer(told, "", 0)
    assert (written(site, "kid")["roles"], written(site, "kid")["grants"]) == (["viewer"], ["read:@kids"])


async def test_freezing_and_thawing(operator: Operator, site: app.Site) -> None:
    """Who is frozen is listed so, and is as before once thawed."""
    before = written(site, "kid")
    assert (await operator.types("user", "freeze", "kid", site=site.path)).out == "kid is frozen\n"
    listed = (await operator.types("user", "list", site=site.path)).out.splitlines()
    assert next(line for line in listed if line.startswith("kid ")).split() == ["kid", "child", "frozen"]
    assert (await operator.types("user", "thaw", "kid", site=site.path)).out == "kid is not frozen\n"
    assert written(site, "kid") == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("freeze", "nobody"), "user 'nobody' does not exist"),
        (("grant", "kid", "look"), "'look' is no privilege; it is one of read, control, access, admin"),
        (("grant", "kid", "role:king"), "no role 'king' (there are admin, resident, guest, child, viewer)"),
        (("revoke", "kid", "control"), "there is no grant 'control'"),
        (("revoke", "kid", "role:guest"), "there is no role 'guest' (there is child)"),
    ],
)
async def test_what_is_not_there(operator: Operator, site: app.Site, words: tuple[str, ...], told: str) -> None:
    """What is no user, grant or role is one line, and changes nothing."""
    before = written(site, "kid")
    answer = await operator.types("user", *words, site=site.path)
    assert (lines(answer), answer.out, answer.status) == ([f"error: {told}"], "", BAD_ARGUMENTS)
    assert written(site, "kid") == before


async def test_a_user_is_removed_with_all_that_is_remembered(operator: Operator, site: app.Site) -> None:
    """Where nobody serves the site, `user remove` itself forgets what another of that name must not find."""
    recall = Recall(site.path / "state" / "shells")
    recall.add("kid", "on kitchen")
    store = await SqliteStore.open(site.database)
    store.put_macro(Macro("kid", "cosy", "on kitchen", "kid"))
    await store.settle()
    assert await operator.types("user", "remove", "kid", site=site.path) == Answer("removed kid\n", "", 0)
    assert await store.macros() == []
    assert Recall(site.path / "state" / "shells").lines("kid") == []
    await store.close()
