"""`sshhome call` and `sshhome tail`: what an app does, from a terminal or a script."""

import json
import shlex
import signal
import sys
from typing import Any

import pytest

from sshhome import app as site_of
from sshhome.commands.remote import read
from sshhome.errors import BadArguments, SshhomeError, UnknownOrder
from tests.apps import host_key, known_hosts
from tests.client import Answer, Door
from tests.process import Operator, Process, lines
from tests.relay import Relay

assert site_of  # (it brings in the orders, as the program does)


def way(door: Door, user: str = "home", port: int = 0) -> tuple[str, ...]:
    """Return how a user gets in, and where."""
    pinned = ("--key", str(door.keys / user), "--fingerprint", host_key(door).get_fingerprint())
    return (*pinned, f"{user}@127.0.0.1:{port or door.port}")


async def call(operator: Operator, door: Door, *order: str, user: str = "home") -> Answer:
    """Give an order."""
    return await operator.types("call", *way(door, user), *order)


async def test_call(operator: Operator, door: Door) -> None:
    """An order is written as for `ssh`, and answers JSON."""
    answer = await call(operator, door, "dim", "desk", "40")
    assert (answer.err, answer.status) == ("", 0)
    assert answer.json["id"] == "light.desk"
    assert answer.json["state"]["brightness"] == 40
    assert [user["user"] for user in (await call(operator, door, "user", "list")).json][-1] == "viewer"


async def test_errors(operator: Operator, door: Door) -> None:
    """An error is one line, with the status of the order."""
    answer = await call(operator, door, "unlock", "front_door", user="guest")
    assert (answer.out, answer.status) == ("", 77)
    assert lines(answer) == ["error: 'unlock' needs the access privilege"]
    answer = await call(operator, door, "on", "@outdoor")
    assert [device["room"] for device in answer.json] == ["outdoor"]
    assert answer.status == 69
    assert len(lines(answer)) == 1
    assert (await call(operator, door, "nonsense")).status == 127
    assert door.audit("order.refused") != []


async def test_stranger(operator: Operator, door: Door) -> None:
    """A house that is not known is refused with the status that `ssh` has for it."""
    answer = await operator.types("call", "--key", door.keys / "home", f"home@127.0.0.1:{door.port}", "on", "hall")
    assert (answer.out, answer.status) == ("", 255)
    assert "which no known_hosts file has" in answer.err
    known = known_hosts(door, operator.home)
    words = ("--key", door.keys / "home", "--known-hosts", known, f"home@127.0.0.1:{door.port}", "on", "hall")
    assert (await operator.types("call", *words)).status == 0


async def test_once(operator: Operator, door: Door) -> None:
    """Under one key of one's own an order runs once, however often a script is started."""
    for _ in range(2):
        answer = await operator.types("call", "--once", "today", *way(door), "toggle", "hall")
        assert answer.json["state"]["on"] is True
    answer = await operator.types("call", "--once", "tomorrow", *way(door), "toggle", "hall")
    assert answer.json["state"]["on"] is False


async def test_tail(operator: Operator, door: Door) -> None:
    """What happens is told a line each, also after the connection was lost, until it is interrupted."""
    async with Relay.open(door.port) as relay, operator.starts("tail", *way(door, port=relay.port), "hall") as process:
        # It has begun once the house has a channel of it.
        while not door.audit("session.opened"):
            await door.ask("home", "time")
        while "light.hall" not in process.out:
            await door.ask("home", "toggle hall")
        await process.says(r"^2026-06-02T12:00:00\S*  light\.hall  on=(True|False)  \(home: toggle hall\)$")
        relay.cut()
        assert (await door.ask("home", "dim hall 33")).status == 0
        await process.says(r"  light\.hall  .*brightness=33")
        process.signal(signal.SIGINT)
        assert (await process.answer()).status == 130


async def test_tail_in_json(operator: Operator, door: Door) -> None:
    """With --json each line is one object; with --topic other things are told."""
    words = ("tail", "--json", "--topic", "state", "--topic", "audit", *way(door))
    async with operator.starts(*words) as process:
        while '"topic": "state"' not in process.out or '"topic": "audit"' not in process.out:
            await door.ask("guest", "toggle hall")
        process.signal(signal.SIGINT)
        told = [json.loads(line) for line in (await process.answer()).out.splitlines()]
        assert {one["topic"] for one in told} == {"state", "audit"}
        assert "light.hall" in [one["device"]["id"] for one in told if one["topic"] == "state"]


@pytest.mark.parametrize(
    ("line", "order", "params"),
    [
        ("dim desk 40", "dim", {"target": "desk", "level": "40"}),
        ("ON kitchen --no-wait --json", "on", {"target": "kitchen", "no_wait": True}),
        ("on @hall --for 10m", "on", {"target": "@hall", "for": "10m"}),
        ("user list", "user list", {}),
        ("history outdoor --since 24h --csv", "history", {"target": "outdoor", "since": "24h", "csv": True}),
        ("ban add 192.0.2.1 --for 1h", "ban add", {"source": "192.0.2.1", "for": "1h"}),
        ("color desk warm white", "color", {"target": "desk", "color": "warm white"}),
    ],
)
def test_words(line: str, order: str, params: dict[str, Any]) -> None:
    """What is written as for `ssh` becomes params by name, in one word or several."""
    assert read(line.split()) == read([line]) == (order, params)


async def test_left_out_of_what_would_be_done(operator: Operator, door: Door) -> None:
    """What is merely rehearsed is told, too, where some could not do it."""
    answer = await call(operator, door, "on", "@outdoor", "--dry-run")
    assert [plan["id"] for plan in answer.json] == ["light.porch"]
    assert (answer.status, len(lines(answer))) == (69, 1)


async def test_what_goes_on(operator: Operator, door: Door) -> None:
    """An order that goes on has no answer, and leaves nothing behind."""
    answer = await call(operator, door, "watch")
    assert (answer.out, answer.status) == ("", 64)
    assert lines(answer) == ["error: 'watch' goes on, and has no answer (`watch` tells what happens)"]


async def test_whoever_reads_has_had_enough(operator: Operator, door: Door) -> None:
    """`sshhome tail … | head -1` ends without a word of error."""
    line = f"{shlex.join((sys.executable, '-m', 'sshhome', 'tail', *way(door)))} | head -n 1"
    async with Process.start("/bin/sh", "-c", line, environment=operator.environment()) as process:
        while process._process.returncode is None:
            await door.ask("guest", "toggle hall")
        answer = await process.answer()
    assert "light.hall" in answer.out
    assert (answer.err, answer.status) == ("", 0)


@pytest.mark.parametrize(
    ("line", "error"), [("dim", BadArguments), ("on a b", BadArguments), ("fly away", UnknownOrder)]
)
def test_wrong_words(line: str, error: type[SshhomeError]) -> None:
    """What is no order is refused before anything is connected to."""
    with pytest.raises(error):
        read(line.split())
