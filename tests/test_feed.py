"""What has happened lately: kept by topic, and found again by cursors that tell nothing."""

from pathlib import Path

import pytest

from sshhome.audit import Audit
from sshhome.device import Device
from sshhome.feed import Changed, Feed, Happened, Lost, Passed
from sshhome.house import Event, House
from sshhome.naming import Naming
from sshhome.stores.sqlite import SqliteStore
from tests.conftest import FixedClock

LAMP = Device(id="light.lamp", name="Lamp", state={"on": False})


@pytest.fixture
async def feed(tmp_path: Path, clock: FixedClock) -> Feed:
    """Return a feed that keeps three happenings of a topic."""
    store = await SqliteStore.open(tmp_path / "store.db")
    audit = Audit(tmp_path / "audit.jsonl", clock)
    house = House(Naming(store))
    found = Feed(house, audit, clock, kept=3)
    audit.close()
    await store.close()
    return found


def change(feed: Feed, *numbers: int, lamp: str = "light.lamp") -> None:
    """Let a lamp change so often."""
    for number in numbers:
        device = Device(id=lamp, name="Lamp", state={"brightness": number})
        feed._heard(Event(lamp, device, Device(id=lamp, name="Lamp", state={"brightness": -number})))


def test_what_is_kept(feed: Feed) -> None:
    """The last happenings of a topic are kept, those of another one aside."""
    feed._happened("ban.lifted", {"count": 1})
    change(feed, 1, 2, 3)
    assert [entry.number for entry in feed.after(0, ["state", "audit"])] == [1, 2, 3, 4]
    assert [entry.number for entry in feed.after(2, ["state"])] == [3, 4]
    assert feed.keeps(0, ["state", "audit"])
    assert feed.after(4, ["state", "audit"]) == []


def test_what_is_lost(feed: Feed) -> None:
    """Of what is not kept there is the last state of each device, and word that something is lost."""
    for count in range(5):
        feed._happened("ban.lifted", {"count": count})
    change(feed, 1, 2, lamp="light.other")
    change(feed, 1, 2, 3, 4)
    assert not feed.keeps(0, ["state"])
    assert not feed.keeps(0, ["audit"])
    states = feed.after(0, ["state"])
    assert [(s.id, s.whole, s.device.state) for s in states if isinstance(s, Changed) and s.device] == [
        ("light.other", True, {"brightness": 2}),
        ("light.lamp", True, {"brightness": 4}),
    ]
    lost, *events = feed.after(0, ["audit"])
    assert lost == Lost(2, "audit")
    assert [event.fields["count"] for event in events if isinstance(event, Happened)] == [2, 3, 4]
    assert feed.keeps(lost.number, ["audit"])


def steps(feed: Feed, *, behind: bool) -> list[tuple[object, bool]]:
    """Return how the lamp was before each change that somebody is told of, and whether that stands for others."""
    passed = Passed(feed)
    told = [passed.since(one, behind=behind) for one in feed.after(0, ["state"]) if isinstance(one, Changed)]
    return [(one.before.state if one.before else None, one.whole) for one in told if one is not None]


def test_who_is_slow_is_told_of_the_last(feed: Feed) -> None:
    """Whoever is behind is told of the last change of a device, as one since they last heard of it."""
    change(feed, 1, 2, 3)
    assert steps(feed, behind=False) == [({"brightness": -number}, False) for number in (1, 2, 3)]
    assert steps(feed, behind=True) == [({"brightness": -1}, False)]
    change(feed, 4)
    assert steps(feed, behind=True) == [({"brightness": -4}, True)]


def test_what_came_and_went_is_not_told(feed: Feed) -> None:
    """Of a device that came and went while somebody was behind they are told nothing, and of one that went they are."""
    feed._heard(Event("light.lamp", LAMP, None))
    feed._heard(Event("light.lamp", None, LAMP))
    assert steps(feed, behind=True) == []
    assert steps(feed, behind=False) == [(None, False), ({"on": False}, False)]
    change(feed, 1)
    feed._heard(Event("light.lamp", None, LAMP))
    assert steps(feed, behind=True) == [(LAMP.state, True)]


def test_who_is_there_is_kept_apart(feed: Feed) -> None:
    """A flood of other events leaves it known who came."""
    feed._happened("session.opened", {"user": "anna"})
    for count in range(9):
        feed._happened("ban.lifted", {"count": count})
    (came,) = feed.after(0, ["presence"])
    assert isinstance(came, Happened)
    assert came.fields == {"user": "anna"}


def test_what_is_no_news(feed: Feed) -> None:
    """A device that reports itself as it was is nothing that happens."""
    feed._heard(Event("light.lamp", LAMP, LAMP))
    feed._heard(Event("light.lamp", LAMP, Device(id="light.lamp", name="Lamp", state={"on": False})))
    assert feed.head == 0
    for other in (
        Device(id="light.lamp", name="Other", state={"on": False}),
        Device(id="light.lamp", name="Lamp", room="hall", state={"on": False}),
        Device(id="light.lamp", name="Lamp", state={"on": False}, available=False),
        Device(id="light.lamp", name="Lamp", state={}),
        None,
    ):
        feed._heard(Event("light.lamp", other, LAMP))
    assert feed.head == 5


def test_cursors_tell_nothing(feed: Feed) -> None:
    """A cursor is another one each time, and no nearer to one of the same place than to any other."""
    change(feed, 1, 2, 3)
    cursors = [feed.cursor(number) for number in (1, 1, 2, 3)]
    assert len({cursor[:16] for cursor in cursors}) == len({cursor[16:] for cursor in cursors}) == 4
    assert [feed.place(cursor) for cursor in cursors] == [1, 1, 2, 3]


def test_cursors_cannot_be_changed(feed: Feed) -> None:
    """A cursor of which a bit is another is no place: by which still were, one could count what is hidden."""
    change(feed, *range(3))
    cursor = bytes.fromhex(feed.cursor(3))
    changed = [bytearray(cursor) for _ in range(8 * len(cursor))]
    for bit, data in enumerate(changed):
        data[bit // 8] ^= 1 << bit % 8
    assert {feed.place(data.hex()) for data in changed} == {None}


@pytest.mark.parametrize("cursor", ["x", "00", "é" * 32, "00" * 24, "00" * 25, "-1", "0" * 4000])
def test_what_is_no_cursor(feed: Feed, cursor: str) -> None:
    """What was never told is no place, whatever it is."""
    change(feed, 1, 2, 3)
    assert feed.place(cursor) is None


def test_cursors_of_another_process(feed: Feed, clock: FixedClock, tmp_path: Path) -> None:
    """After a restart no cursor from before is a place."""
    change(feed, 1, 2, 3)
    audit = Audit(tmp_path / "other.jsonl", clock)
    other = Feed(House(Naming(None)), audit, clock)  # type: ignore[arg-type]  # (nothing is named)
    audit.close()
    change(other, 1, 2, 3)
    assert [other.place(feed.cursor(number)) for number in range(4)] == [None] * 4
