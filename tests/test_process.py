"""The served house as a process: how it ends, what a kill and a restart leave, and user files that change under it."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import asyncssh
import pytest

from sshhome import app
from tests.client import Answer, Door, Reply, ask, until
from tests.process import Operator, Served, lines

#: Lamps that can be dimmed, one for each connection that gives orders at the same time.
LAMPS = ("hall", "kitchen", "counter", "living", "reading", "desk", "bedside", "porch")
#: An address of the loopback network, for somebody who fails to log in.
STRANGER = "127.0.0.9"


async def kill(served: Served) -> None:
    """Kill a house at once, as a crash or the kernel would."""
    served.process.signal(signal.SIGKILL)
    assert (await served.process.answer()).status == -signal.SIGKILL


def stored(site: app.Site, query: str, *values: object) -> list[tuple[object, ...]]:
    """Ask the store's file, or change it."""
    with closing(sqlite3.connect(site.path / "state" / "sshhome.db")) as db:
        found = db.execute(query, values).fetchall()
        db.commit()
    return found


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port; found out without connecting, which a server would notice."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_clean_end(operator: Operator, site: app.Site, keys: Path, number: signal.Signals) -> None:
    """A signal ends the house well: an order under way is answered and logged first, and everyone is told."""
    async with operator.serves(site.path, keys) as (process, door):
        async with door.wire() as idle, door.connect("home") as busy:
            await idle.log_in("guest", door.key("guest"))
            # The printer never answers, so an order to it is under way for a while.
            order = asyncio.create_task(ask(busy, "on printer"))
            await until(lambda: door.audit("session.opened"))
            process.signal(number)
            answer = await order
            assert await idle.reply() == Reply("disconnected", "the house is closing its door")
        ended = await process.answer()
    assert answer == Answer("", "sent to printer, not confirmed\n", 3)
    assert (ended.err, ended.status) == ("", 0)
    assert door.orders() == [("on", 3)]
    events = [event["event"] for event in door.audit()]
    assert events[0] == "server.started"
    assert events.index("order.done") < events.index("server.stopped")


async def test_two_signals_end_it_as_well(operator: Operator, site: app.Site, keys: Path) -> None:
    """An impatient second signal neither cuts an order short nor shows a traceback."""
    async with operator.serves(site.path, keys) as (process, door), door.connect("home") as busy:
        order = asyncio.create_task(ask(busy, "on printer"))
        await until(lambda: door.audit("session.opened"))
        process.signal(signal.SIGINT)
        await until(lambda: is_free(door.port))
        process.signal(signal.SIGINT)
        process.signal(signal.SIGTERM)
        assert (await order).status == 3
        ended = await process.answer()
    assert (ended.err, ended.status) == ("", 0)
    events = [event["event"] for event in door.audit()]
    assert events.index("order.done") < events.index("server.stopped")


# -- kill -9 and restart ----------------------------------------------------------------------------------------------


class Giver:
    """Dims one lamp, a percent further each time, and remembers how far the house has said it came."""

    def __init__(self, lamp: str) -> None:
        """Begin with a lamp of which nothing is known."""
        self.lamp = lamp
        self.given = 0
        self.answered = 0
        self.count = 0

    async def give(self, door: Door, answered: asyncio.Semaphore) -> None:
        """Give orders until the house is gone."""
        with contextlib.suppress(OSError, asyncssh.Error):
            async with door.connect("home") as connection:
                for self.given in itertools.cycle(range(1, 101)):
                    answer = await ask(connection, f"dim {self.lamp} {self.given}")
                    if answer.status == 255:
                        return
                    assert answer == Answer(f"{self.lamp} is at {self.given} %\n", "", 0)
                    self.answered = self.given
                    self.count += 1
                    answered.release()


async def test_nothing_answered_is_lost(operator: Operator, site: app.Site, keys: Path) -> None:
    """However often the house is killed while it answers orders, what it has answered is done and logged."""
    givers: list[Giver] = []
    logged = 0
    for _ in range(6):
        async with operator.serves(site.path, keys) as served:
            door = served.door
            state = {device["id"]: device["state"] for device in (await door.ask("home", "list --json")).json}
            for giver in givers:
                assert state[f"light.{giver.lamp}"]["brightness"] in {giver.answered, giver.given}
            done = [event["devices"] for event in door.audit("order.done") if event["order"] == "dim"]
            for giver in givers:
                assert done[logged:].count([f"light.{giver.lamp}"]) >= giver.count
            logged = len(done)

            givers = [Giver(lamp) for lamp in LAMPS]
            answered = asyncio.Semaphore(0)
            giving = [asyncio.create_task(giver.give(door, answered)) for giver in givers]
            for _ in range(random.randint(len(LAMPS), 100)):  # noqa: S311 (pytest-randomly prints the seed)
                await answered.acquire()
            await kill(served)
            await asyncio.gather(*giving)


async def fail(door: Door, times: int) -> None:
    """Fail to log in from a stranger's address."""
    for _ in range(times):
        answer = await door.ask("home", "whoami", password="wrong horse", source=STRANGER)
        assert answer == Answer("", "permission denied\n", 255)


async def test_a_ban_survives_a_restart(operator: Operator, site: app.Site, keys: Path) -> None:
    """A ban ends when it was to end, however often the house is killed until then, and no later."""
    async with operator.serves(site.path, keys) as served:
        await fail(served.door, 5)
        await until(lambda: stored(site, "SELECT * FROM ban"))
        await kill(served)
    # It began a day ago and has 20 minutes left: neither its full length nor its first minute.
    stored(site, "UPDATE ban SET at = at - 86400, until = until + 1200")
    banned = stored(site, "SELECT source, at, until, count FROM ban")
    assert [source for source, *_ in banned] == [STRANGER]
    async with operator.serves(site.path, keys) as served:
        answer = await served.door.ask("home", "whoami", source=STRANGER)
        told = re.fullmatch(rf"disconnected: too many .* from {STRANGER}, try again in (\d+) min\n", answer.err)
        assert told is not None
        assert 1 < int(told[1]) <= 21
        assert (await served.door.ask("home", "whoami")).status == 0
        await kill(served)
    assert stored(site, "SELECT source, at, until, count FROM ban") == banned
    stored(site, "UPDATE ban SET until = ?", time.time())
    async with operator.serves(site.path, keys) as served:
        assert (await served.door.ask("home", "whoami", source=STRANGER)).status == 0


async def test_failures_survive_a_restart(operator: Operator, site: app.Site, keys: Path) -> None:
    """Four failed logins, a kill, and one more: the fifth bans."""
    async with operator.serves(site.path, keys) as served:
        await fail(served.door, 4)
        await until(lambda: len(stored(site, "SELECT * FROM failure")) == 4)
        assert served.door.audit("ban.set") == []
        await kill(served)
    async with operator.serves(site.path, keys) as served:
        await fail(served.door, 1)
        answer = await served.door.ask("home", "whoami", source=STRANGER)
        assert answer.err.startswith(f"disconnected: too many failed logins from {STRANGER}, try again in ")
        (ban,) = served.door.audit("ban.set")
    assert ban["source"] == STRANGER


async def on(door: Door, *lamps: str) -> dict[str, bool]:
    """Return which lamps are on."""
    devices = (await door.ask("home", "list --json")).json
    return {device["id"]: device["state"]["on"] for device in devices if device["id"] in lamps}


async def test_a_change_comes_back_after_a_kill(operator: Operator, site: app.Site, keys: Path) -> None:
    """What was to come back while the house was dead does once it lives; what was confirmed or undone does not."""
    lamps = ("light.hall", "light.porch", "light.kitchen", "light.night")
    async with operator.serves(site.path, keys) as served:
        lines = ("on porch --confirm 1h", "on hall --for 1h", "on kitchen --for 3h", "confirm", "on night --confirm 1h")
        for line in lines:
            assert (await served.door.ask("home", line)).status == 0
        await kill(served)
    # Two hours later.
    stored(site, "UPDATE change SET due = due - 7200 WHERE due IS NOT NULL")
    async with operator.serves(site.path, keys) as served:
        await until(lambda: len(served.door.audit("order.reverted")) == 2)
        assert await on(served.door, *lamps) == dict(zip(lamps, (False, True, True, False), strict=True))
        assert (await served.door.ask("home", "undo")).out == "kitchen is off again\n"
        await until(lambda: not stored(site, "SELECT * FROM change WHERE due IS NOT NULL"))
        await kill(served)
    async with operator.serves(site.path, keys) as served:
        # What was undone or came back before a kill cannot be undone after it.
        assert (await served.door.ask("home", "undo")).out == "porch is off again\n"
        assert (await served.door.ask("home", "undo")).status == 64


async def test_a_kill_in_the_middle_of_orders_loses_no_return(operator: Operator, site: app.Site, keys: Path) -> None:
    """Whenever the house is killed: each lamp that an order has switched on for a while goes out after the restart."""
    async with operator.serves(site.path, keys) as served, served.door.connect("home") as connection:
        # Nobody waits for an answer: the kill comes when some are sent, some are not, and some are in between.
        orders = [asyncio.create_task(ask(connection, f"on {lamp} --for 1h")) for lamp in LAMPS]
        await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
        await kill(served)
        await asyncio.gather(*orders, return_exceptions=True)
    stored(site, "UPDATE change SET due = due - 7200 WHERE due IS NOT NULL")
    async with operator.serves(site.path, keys) as served:
        await until(lambda: served.door.audit("order.reverted"))
        await until(lambda: not stored(site, "SELECT * FROM change WHERE due IS NOT NULL"))
        assert set((await on(served.door, *(f"light.{lamp}" for lamp in LAMPS))).values()) == {False}


async def test_a_use_survives_a_kill(operator: Operator, site: app.Site, keys: Path) -> None:
    """Of three uses there are three, however often the house is killed right after one; what was answered was a use."""
    path = site.path / "authorized_users" / "kid.toml"
    key = (keys / "kid.pub").read_text().strip()
    path.write_text(f"keys = ['{key}']\ngrants = [{{ allow = 'access:lock.front_door', uses = 3 }}]\n")
    for _ in range(3):
        async with operator.serves(site.path, keys) as served:
            assert (await served.door.ask("kid", "unlock front_door")).status == 0
            await kill(served)
    async with operator.serves(site.path, keys) as served:
        answer = await served.door.ask("kid", "unlock front_door")
        assert (answer.status, answer.err) == (
            77,
            "error: you may not operate lock.front_door: used 3 of 3 times\n",
        )


async def test_what_can_be_undone_survives_a_kill(operator: Operator, site: app.Site, keys: Path) -> None:
    """What a user changed before a kill, but for its last moment, is undone after it."""
    async with operator.serves(site.path, keys) as served:
        for line in ("on hall", "dim @living 30"):
            assert (await served.door.ask("home", line)).status == 0
        await until(lambda: len(stored(site, "SELECT * FROM change")) == 2)
        await kill(served)
    async with operator.serves(site.path, keys) as served:
        assert (await served.door.ask("home", "undo")).out == "light.living is off again\nreading is off again\n"
        assert (await served.door.ask("home", "undo")).out == "hall is off again\n"


# -- user files that change -------------------------------------------------------------------------------------------


async def test_a_user_is_removed(operator: Operator, site: app.Site, keys: Path) -> None:
    """`user remove` ends the live connections of that user at once, and of nobody else."""
    async with operator.serves(site.path, keys) as (_, door):
        async with door.wire() as guest, door.wire() as kid:
            await guest.log_in("guest", door.key("guest"))
            await kid.log_in("kid", door.key("kid"))
            assert (await operator.types("user", "remove", "guest", site=site.path)).status == 0
            assert await guest.reply() == Reply("disconnected", "your user was removed")
            assert (await ask(kid, "on night")).status == 0
        assert (await door.ask("guest", "whoami")).err == "permission denied\n"


async def test_a_user_file_breaks_while_it_runs(operator: Operator, site: app.Site, keys: Path) -> None:
    """A live user's broken file is logged and their old version stays; the mended file holds at once."""
    path = site.path / "authorized_users" / "guest.toml"
    good = path.read_text()
    async with operator.serves(site.path, keys) as (process, door):
        async with door.connect("guest") as guest:
            assert (await ask(guest, "on hall")).status == 0
            path.write_text(good.replace("roles", "rolls"))
            await until(lambda: door.audit("user.refused"))
            assert (await ask(guest, "off hall")).status == 0
            assert (await door.ask("guest", "on hall")).status == 0
            path.write_text(good.replace('"guest"', '"viewer"'))
            assert (await ask(guest, "off hall")).status == 77
            assert (await ask(guest, "show hall")).status == 0
        (refused,) = door.audit("user.refused")
        assert refused["message"] == "authorized_users/guest.toml: unknown key 'rolls', did you mean 'roles'?"
        assert process.err == ""


async def test_a_user_file_is_broken_at_the_start(operator: Operator, site: app.Site, keys: Path) -> None:
    """The start tells of each broken user file in one line, logs it, and serves the others."""
    (site.path / "authorized_users" / "guest.toml").write_text("roles = [\n")
    (site.path / "authorized_users" / "kid.toml").write_text('"ki\\nd\\u001b[2J" = 1\n')
    async with operator.serves(site.path, keys) as (process, door):
        told = lines(Answer("", process.err, 0))
        assert [line.split(": ")[1] for line in told] == ["authorized_users/guest.toml", "authorized_users/kid.toml"]
        assert (await door.ask("home", "whoami")).status == 0
        for login in ("guest", "kid"):
            assert (await door.ask(login, "whoami")).err == "permission denied\n"
        files = [event["message"].split(": ")[0] for event in door.audit("user.refused")]
        assert sorted(files) == ["authorized_users/guest.toml", "authorized_users/kid.toml"]


# -- what is kept -----------------------------------------------------------------------------------------------------


async def test_state_is_the_owner_s_alone(operator: Operator, site: app.Site, keys: Path) -> None:
    """What the house keeps is readable by nobody else, and the audit log is JSON, one event a line, across restarts."""
    for _ in range(2):
        async with operator.serves(site.path, keys) as served:
            await served.door.ask("home", 'echo "a\nb\x1b[2J"; nonsense')
            await fail(served.door, 1)
            await kill(served)
    state = site.path / "state"
    assert {path.name for path in state.iterdir()} >= {"audit.jsonl", "sshhome.db", "simulated.db"}
    assert {path.stat().st_mode & 0o077 for path in (state, *state.iterdir())} == {0}
    text = (state / "audit.jsonl").read_bytes()
    assert text.endswith(b"\n")
    assert text.replace(b"\n", b"").decode("ascii").isprintable()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert events.count("server.started") == events.count("login.failed") == events.count("order.refused") == 2
