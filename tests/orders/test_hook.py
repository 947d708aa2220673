"""Orders about hooks: how it is with each, what it was told, tried by hand; in a house as its owner configures it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from sshhome.app import Site
from tests.client import Door, until
from tests.servers.receiver import SECRET, Receiver, is_signed, receiver

Serve = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
async def other(site: Site) -> AsyncIterator[Receiver]:
    """Return a receiver, with whom the site shares a secret."""
    (site.path / "hook.secret").touch(mode=0o600)
    (site.path / "hook.secret").write_text(SECRET)
    async with receiver() as received:
        yield received


def hook(other: Receiver, events: str = '["order.done"]', more: str = "") -> str:
    """Return what configures a hook."""
    told = f'url = "{other.url}"\nsecret_file = "hook.secret"\nevents = {events}\nallow = ["127.0.0.1"]\n'
    return f'[[hook]]\nname = "garage"\n{told}{more}\n'


def last(other: Receiver, event: str) -> Mapping[str, str]:
    """Return the fields of the last event of a kind that was told."""
    told: list[Mapping[str, str]] = [body["fields"] for body in other.told if body.get("event") == event]
    return told[-1]


async def test_what_is_done_is_told(serve: Serve, other: Receiver) -> None:
    """An order that is done, and what it changes, is told to who is named in sshhome.toml, signed."""
    async with serve(hook(other, '["state", "order.done"]', 'target = "@hall"')) as door:
        assert (await door.ask("guest", "on hall")).status == 0
        assert (await door.ask("guest", "on desk")).status == 0
        await until(lambda: len(other.requests) == 3)
        assert [body["topic"] for body in other.told] == ["state", "audit", "audit"]
        state = other.told[0]
        assert (state["id"], state["change"]["on"], state["by"]) == ("light.hall", True, "guest: on hall")
        assert last(other, "order.done")["user"] == "guest"
        assert all(is_signed(headers, body) for headers, body in other.requests)


async def test_orders(serve: Serve, other: Receiver) -> None:
    """How it is with a hook is listed, what it was told too; a word is sent by hand, and it is tried again at once."""
    async with serve(hook(other, '["login.ok", "ban.set"]')) as door:
        assert (await door.ask("home", "hook test garage")).out == "garage answered 204\n"
        assert {"topic": "test", "at": "2026-06-02T12:00:00Z"} in other.told
        await until(lambda: not door.server.visitors.dispatch.hooks.all()[0].waiting)
        (info,) = json.loads((await door.ask("home", "hook list --json")).out)
        assert info["hook"] == "garage"
        assert info["url"] == f"http://127.0.0.1:{other.port}"
        assert (info["state"], info["says"], info["failures"]) == ("ok", "answered 204", 0)
        assert "hidden-in-the-url" not in json.dumps(info)
        assert "login.ok ban.set" in (await door.ask("home", "hook list")).out
        other.answer = 500
        answer = await door.ask("home", "hook test garage")
        assert (answer.status, answer.err) == (69, "error: garage: answered 500\n")
        line = door.server.visitors.dispatch.hooks.all()[0]
        await until(lambda: line.failures)
        table = (await door.ask("home", "hook deliveries garage")).out
        assert {" ".join(row.split()[-5:-3]) for row in table.splitlines()[1:3]} == {"login.ok told", "test told"}
        assert "given up" in table
        assert "waits" in table
        other.answer = 204
        assert (await door.ask("home", "hook retry garage")).out.startswith("garage is tried again, ")
        await until(lambda: not line.waiting)
        assert len(json.loads((await door.ask("home", "hook deliveries --json")).out)) >= 4


async def test_a_hook_that_was_tried_is_not_unused(serve: Serve, other: Receiver) -> None:
    """That a word by hand was taken is how it is with a hook that nothing else was told."""
    async with serve(hook(other, '["server.stopped"]')) as door:
        assert "unused" in (await door.ask("home", "hook list")).out
        for status, says in ((500, "-"), (204, "answered 204"), (500, "answered 204")):
            other.answer = status
            await door.ask("home", "hook test garage")
            assert says in (await door.ask("home", "hook list")).out


async def test_no_such_hook(door: Door) -> None:
    """A hook that there is not is named back; without any, that is said."""
    for order in ("test", "retry", "deliveries"):
        answer = await door.ask("home", f"hook {order} nobody")
        assert (answer.status, answer.err) == (64, "error: no hook 'nobody' (`hook list` lists them)\n")
    assert (await door.ask("home", "hook list")).out == "no hooks: sshhome.toml names them\n"
    assert (await door.ask("home", "hook deliveries")).out == "nothing was told\n"
    for user in ("guest", "viewer", "kid"):
        for order in ("list", "test garage", "retry garage", "deliveries"):
            assert (await door.ask(user, f"hook {order}")).status == 77


async def test_hooks_are_taken_over(serve: Serve, other: Receiver) -> None:
    """A changed file binds at once, one that is wrong changes nothing, and what is taken away is told nothing more."""
    async with serve() as door:
        config = door.site.path / "sshhome.toml"
        before = config.read_text()
        config.write_text(hook(other) + before)
        assert await door.reload.now()
        await door.ask("home", "whoami")
        await until(lambda: other.requests)
        assert last(other, "order.done")["order"] == "whoami"
        config.write_text(hook(other, '["order.don"]') + before)
        assert not await door.reload.now()
        (refused,) = door.audit("config.refused")
        assert (
            refused["message"] == "sshhome.toml: hook.events: nothing is called 'order.don', did you mean 'order.done'?"
        )
        await door.ask("home", "time")
        await until(lambda: len(other.requests) == 2)
        config.write_text(before)
        assert await door.reload.now()
        assert door.server.visitors.dispatch.hooks.all() == []
        await door.ask("home", "time")
        assert len(other.requests) == 2


async def test_a_restart_of_the_house(serve: Serve, other: Receiver) -> None:
    """What was not taken when the house was closed is told when it opens again, its start among what is new."""
    other.answer = 503
    async with serve(hook(other, '["order.*", "server.*"]')) as door:
        await until(lambda: len(other.requests) == 1)
        await door.ask("home", "whoami")
    other.answer = 204
    async with serve(hook(other, '["order.*", "server.*"]')):
        await until(lambda: len(other.requests) == 4)
    assert [body["event"] for body in other.told] == [
        "server.started",
        "server.started",
        "order.done",
        "server.started",
    ]
    assert other.ids[0] == other.ids[1]


async def test_a_wrong_secret_is_told_before_anything_runs(site: Site, other: Receiver) -> None:
    """`sshhome check` finds what is wrong with a hook."""
    config = site.path / "sshhome.toml"
    config.write_text(hook(other) + config.read_text())
    assert Site(site.path).check() == []
    (site.path / "hook.secret").chmod(0o644)
    (error,) = Site(site.path).check()
    assert "can be read by others" in error.message
