"""Programs are told what happens: nothing is lost, nothing comes twice, and nobody learns what is hidden from them."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sshhome.device import Device
from sshhome.errors import BadArguments, Denied
from sshhome.feed import Feed
from sshhome.session import Session
from tests.conftest import FixedClock
from tests.loop import advance
from tests.test_dispatch import Road, open_road

#: What may be seen of this house, and what may not.
SEEN, HIDDEN = ("light.desk", "light.hall"), "light.kids"
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f x"
USERS = {
    "anna": f"keys = ['{LINE}']\ngrants = ['read', {{ deny = 'read:{HIDDEN}' }}]",
    "chief": f"keys = ['{LINE}']\nroles = ['admin']",
    "half": f"keys = ['{LINE}']\nroles = ['admin']\ngrants = [{{ deny = 'read:{HIDDEN}' }}]",
}
#: Levels and numbers that there are once each begin here, above all that the lamps are at first.
_FIRST = 1000
#: Happenings that are kept: few, so that some are not.
KEPT = 12


class Reader:
    """A client that reads as fast as it can, or not at all; what it has read is its own."""

    def __init__(self, stream: AsyncGenerator[Mapping[str, Any], None]) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._stream = stream
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with contextlib.aclosing(self._stream):
            async for told in self._stream:
                self.heard.append(json.loads(json.dumps(told)))
                await self.reads.wait()

    async def close(self) -> None:
        """Leave."""
        self._task.cancel()
        await asyncio.wait([self._task])


async def settle() -> None:
    """Let all be told that there is to be told."""
    for _ in range(200):
        await asyncio.sleep(0)


async def subscribe(road: Road, user: str, **params: object) -> tuple[Session, Reader]:
    """Subscribe in a session of their own."""
    session = road.session(user, channel="rpc")
    outcome = await road.dispatch.call(session, "subscribe", params)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.stream is not None
    reader = Reader(outcome.stream)
    await settle()
    return session, reader


def set_level(road: Road, device_id: str, level: int) -> None:
    """Let a lamp report itself."""
    road.report(road.dispatch.house.devices[device_id].with_state({"on": True, "brightness": level}))


class Following(RuleBasedStateMachine):
    """A house in which things happen, and a client that comes, reads or does not, goes, and comes back."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        #: What has happened, the first first: a topic, the device or event, and a level that there is once.
        self.happened: list[tuple[str, str, int]] = []
        self.reader: Reader | None = None
        self.topics: Sequence[str] = ()
        #: What the client has: the levels of lamps, the numbers of events, from which on it has them, and its cursor.
        self.levels: dict[str, int] = {}
        self.events: list[int] = []
        self.since: int | None = None
        self.cursor = ""
        #: How much of what it has read it has acted on.
        self.acted = 0

    @initialize()
    def begin(self) -> None:
        """Open the house."""
        self.road = self.runner.run(
            self.stack.enter_async_context(open_road(Path(self.folder.name), FixedClock(), users=USERS))
        )
        dispatch = self.road.dispatch
        dispatch.feed = Feed(dispatch.house, dispatch.audit, dispatch.clock, KEPT)

    def teardown(self) -> None:
        """Leave nothing behind."""
        if self.reader is not None:
            self.runner.run(self.reader.close())
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(devices=st.lists(st.sampled_from([*SEEN, HIDDEN]), min_size=1, max_size=30), turns=st.booleans())
    def change(self, *, devices: list[str], turns: bool) -> None:
        """Things change, one after the other or all in one turn of the loop."""

        async def report() -> None:
            for device_id in devices:
                level = _FIRST + len(self.happened)
                self.happened.append(("state", device_id, level))
                set_level(self.road, device_id, level)
                if turns:
                    await settle()

        self.runner.run(report())

    @rule(count=st.integers(1, 20))
    def audit(self, count: int) -> None:
        """Something is done at the door."""
        for _ in range(count):
            number = _FIRST + len(self.happened)
            self.happened.append(("audit", "ban.lifted", number))
            self.road.dispatch.audit.write("ban.lifted", count=number)

    @rule(topics=st.sampled_from([("state",), ("audit",), ("state", "audit")]), again=st.booleans())
    def come(self, *, topics: Sequence[str], again: bool) -> None:
        """Subscribe, anew or where it left off."""
        if self.reader is not None:
            return
        self.topics = self.topics if again and self.cursor else topics
        if not (again and self.cursor):
            self.cursor, self.levels, self.events = "", {}, []
            self.since = _FIRST + len(self.happened)
        params = {"topics": list(self.topics), "snapshot": True, "cursor": self.cursor or None}
        _, self.reader = self.runner.run(subscribe(self.road, "chief", **params))
        self.acted = 0

    @rule()
    def stop(self) -> None:
        """Read no more for a while."""
        if self.reader is not None:
            self.reader.reads.clear()

    @rule()
    def go_on(self) -> None:
        """Read on."""
        if self.reader is not None:
            self.reader.reads.set()

    @rule()
    def leave(self) -> None:
        """Lose the connection: what has not been read by then has never come."""
        if self.reader is not None:
            self.take()
            self.runner.run(self.reader.close())
            self.reader = None

    def take(self) -> None:
        """Act on what has been read."""
        assert self.reader is not None
        heard, self.acted = self.reader.heard[self.acted :], len(self.reader.heard)
        for told in heard:
            self.cursor = told["cursor"]
            for device in told.get("devices", ()):
                self.levels[device["id"]] = device["state"].get("brightness", 0)
            match told.get("topic"):
                case "state":
                    level = told["device"]["state"]["brightness"]
                    # Nothing comes twice, and nothing old after what is new.
                    assert ("state", told["id"], level) in self.happened
                    assert level > self.levels.get(told["id"], 0)
                    assert told["change"]["brightness"] == level
                    self.levels[told["id"]] = level
                case "audit" if told["event"] == "ban.lifted":
                    assert told["fields"]["count"] not in self.events
                    self.events.append(told["fields"]["count"])
                case "gap":
                    assert set(told["topics"]) <= set(self.topics)
                    if "audit" in told["topics"]:
                        self.events, self.since = [], None

    @invariant()
    def nothing_is_lost(self) -> None:
        """Once all is read, the client knows how everything is, and all that was done, or that some of it is lost."""
        if self.reader is None or not self.reader.reads.is_set():
            return
        self.runner.run(settle())
        self.take()
        if "state" in self.topics:
            for device_id in (*SEEN, HIDDEN):
                assert self.levels[device_id] == self.road.dispatch.house.devices[device_id].state["brightness"]
        if "audit" in self.topics:
            since = min(self.events, default=None) if self.since is None else self.since
            done = [number for topic, _, number in self.happened if topic == "audit"]
            assert self.events == [number for number in done if since is not None and number >= since]


Following.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
test_following = Following.TestCase


@pytest.fixture
async def house(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Road]:
    """Return a house of which anna may see most, chief all, and half a chief as much as anna."""
    async with open_road(tmp_path / "house", clock, users=USERS) as built:
        yield built


def gone(road: Road, device_id: str) -> None:
    """Let a backend tell that a device is no more."""
    next(iter(road.dispatch.house._reporters.values())).gone(device_id)


async def test_what_is_told(house: Road) -> None:
    """An event has how the device is now, what of it is new, and by whom where that is known."""
    _, reader = await subscribe(house, "anna", target="light.desk")
    assert (await house.one("chief", "dim desk 40")).status == 0
    house.report(house.dispatch.house.devices["light.desk"])
    await settle()
    opened, told = reader.heard
    assert opened.keys() == {"cursor"}
    assert told == {
        "cursor": told["cursor"],
        "topic": "state",
        "at": "2026-06-02T12:00:00Z",
        "id": "light.desk",
        "device": house.dispatch.house.devices["light.desk"].as_json(),
        "change": {"on": True, "brightness": 40},
        "by": "chief",
    }
    await reader.close()


async def test_hidden_devices(house: Road) -> None:
    """Of a hidden device there is no word: no event, nothing in a snapshot, and no cursor that counts."""
    _, reader = await subscribe(house, "anna", snapshot=True)
    set_level(house, HIDDEN, 50)
    gone(house, HIDDEN)
    set_level(house, SEEN[0], 50)
    await settle()
    assert [told["id"] for told in reader.heard[1:]] == [SEEN[0]]
    assert HIDDEN not in json.dumps(reader.heard)
    await reader.close()


async def test_rights_at_that_moment(house: Road) -> None:
    """What one may know is looked at for each event, and what was missed is told by what one may know now."""
    session, reader = await subscribe(house, "chief", topics=["state", "audit", "presence"])
    set_level(house, SEEN[0], 50)
    await settle()
    cursor = reader.heard[-1]["cursor"]
    house.become("chief", USERS["anna"])
    advance(0.1)
    set_level(house, HIDDEN, 51)
    set_level(house, SEEN[0], 52)
    house.dispatch.audit.write("ban.lifted", count=1)
    await settle()
    assert [(told["id"], told["change"]["brightness"]) for told in reader.heard[1:]] == [(SEEN[0], 50), (SEEN[0], 52)]
    await reader.close()
    _, again = await subscribe(house, "chief", cursor=cursor)
    assert [told.get("id") for told in again.heard] == [None, SEEN[0]]
    await again.close()
    assert session.running == 0


@pytest.mark.parametrize("topics", [["audit"], ["presence"], ["state", "presence"]])
async def test_who_does_not_run_the_house(house: Road, topics: list[str]) -> None:
    """Who comes and what is done is for admins."""
    with pytest.raises(Denied, match="needs the admin privilege"):
        await subscribe(house, "anna", topics=topics)


@pytest.mark.parametrize("topics", ["weather", "", ",", "state,weather", ["state", ""]])
async def test_topics_that_there_are_not(house: Road, topics: object) -> None:
    """A topic that there is not is an error, also among others."""
    with pytest.raises(BadArguments):
        await subscribe(house, "chief", topics=topics)


async def test_an_admin_from_whom_something_is_hidden(house: Road) -> None:
    """What others ordered may name what is hidden: of the log there is what they did themselves, and the door."""
    _, reader = await subscribe(house, "half", topics=["audit"])
    await house.one("chief", f"on {HIDDEN}")
    await house.one("half", "echo hello")
    house.dispatch.audit.write("ban.lifted", count=1)
    await settle()
    told = [(one["event"], one["fields"].get("user")) for one in reader.heard[1:]]
    assert told == [("order.done", "half"), ("ban.lifted", None)]
    assert HIDDEN not in json.dumps(reader.heard)
    await reader.close()


async def test_who_comes_and_goes(house: Road) -> None:
    """Presence is who opens a session and who closes one, and nothing of what they came with."""
    _, reader = await subscribe(house, "chief", topics=["presence"])
    told = {"user": "anna", "key": "SHA256:x", "source": "192.0.2.1", "channel": "shell", "session": 7}
    house.dispatch.audit.write("session.opened", **told)
    house.dispatch.audit.write("order.done", user="anna", order="on")
    house.dispatch.audit.write("session.closed", user="anna", session=7, orders=3)
    await settle()
    known = {"topic": "presence", "at": "2026-06-02T12:00:00Z"}
    assert [{name: one[name] for name in one if name != "cursor"} for one in reader.heard[1:]] == [
        {**known, "event": "session.opened", "user": "anna", "session": 7, "source": "192.0.2.1", "channel": "shell"},
        {**known, "event": "session.closed", "user": "anna", "session": 7},
    ]
    await reader.close()


async def test_coming_going_and_moving(house: Road) -> None:
    """A device that comes, is renamed, moves or goes is told of; what leaves the room that is watched is gone there."""
    readers = [(await subscribe(house, "chief", target=target))[1] for target in ("@hall", "light.n*", "all", "lights")]
    lamp = Device(id="light.new", name="New", room="hall", state={"on": True})
    house.report(lamp)
    house.report(Device(id="light.new", name="Newer", room="hall", state={"on": True}))
    house.report(Device(id="light.new", name="Newer", room="kitchen", state={"on": True}))
    house.report(Device(id="light.new", name="Newest", room="kitchen", state={"on": True}))
    gone(house, "light.new")
    await settle()
    everywhere = ["New", "Newer", "Newer", "Newest", None]
    for reader, names in zip(readers, (["New", "Newer", None], everywhere, everywhere, everywhere), strict=True):
        told = [one for one in reader.heard if one.get("id") == "light.new"]
        assert [one["device"] and one["device"]["name"] for one in told] == names
        assert told[1]["change"] == {}
        await reader.close()


async def test_a_slow_reader(house: Road) -> None:
    """Whoever reads slowly is told the last of each device, with all that is other than was told before."""
    _, reader = await subscribe(house, "chief")
    reader.reads.clear()
    lamp = house.dispatch.house.devices[SEEN[0]]
    house.report(lamp.with_state({"on": not lamp.state["on"]}))
    for level in range(1, 100):
        house.report(house.dispatch.house.devices[SEEN[0]].with_state({"brightness": level}))
        await asyncio.sleep(0)
    reader.reads.set()
    await settle()
    told = [one for one in reader.heard if one.get("id") == SEEN[0]]
    assert len(told) < 10
    assert told[-1]["change"].get("brightness") == 99
    known: dict[str, object] = dict(lamp.state)
    for one in told:
        known |= one["change"]
    assert known == house.dispatch.house.devices[SEEN[0]].state
    await reader.close()


async def test_a_slow_reader_of_a_room(house: Road) -> None:
    """Whoever reads a room slowly is told, too, of what has left it and changed since."""
    _, reader = await subscribe(house, "chief", target="@hall")
    reader.reads.clear()
    house.report(Device(id="light.moves", name="Moves", room="hall", state={"brightness": 0}))
    await settle()
    for level in range(1, 100):
        room = "hall" if level < 50 else "kitchen"
        house.report(Device(id="light.moves", name="Moves", room=room, state={"brightness": level}))
    reader.reads.set()
    await settle()
    assert (reader.heard[-1]["id"], reader.heard[-1]["device"]) == ("light.moves", None)
    assert len(reader.heard) < 10
    await reader.close()


async def test_what_is_not_kept(house: Road) -> None:
    """Who comes back too late is told of one gap, with how everything is if they want that."""
    dispatch = house.dispatch
    dispatch.feed = Feed(dispatch.house, dispatch.audit, dispatch.clock, KEPT)
    _, reader = await subscribe(house, "anna")
    cursor = reader.heard[0]["cursor"]
    await reader.close()
    for level in range(1, KEPT + 2):
        set_level(house, SEEN[0], level)
    for snapshot in (True, False):
        _, reader = await subscribe(house, "anna", cursor=cursor, snapshot=snapshot)
        opened, told = reader.heard
        assert opened.keys() == {"cursor"}
        assert (told["topic"], told["topics"]) == ("gap", ["state"])
        if snapshot:
            (lamp,) = (device for device in told["devices"] if device["id"] == SEEN[0])
            assert lamp["state"]["brightness"] == KEPT + 1
        else:
            assert "devices" not in told
        await reader.close()
    set_level(house, SEEN[1], 7)
    _, reader = await subscribe(house, "anna", cursor=told["cursor"])
    assert [one.get("id") for one in reader.heard] == [None, SEEN[1]]
    await reader.close()


async def test_people(house: Road) -> None:
    """A person who asks for it reads the same, as JSON."""
    outcome = await house.one("anna", "subscribe desk --snapshot")
    assert outcome.stream is not None
    assert outcome.order is not None
    opened = await anext(outcome.stream)
    assert callable(outcome.order.says)
    assert json.loads(str(outcome.order.says(opened))) == opened
    await outcome.stream.aclose()
