"""What an order has set moving is known, followed until it stands still, and told as it is at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from sshhome.device import Device, Scalar
from sshhome.moving import LONGEST, Motion, arrived, follow, going_row
from sshhome.user import write_whole
from tests.client import until
from tests.loop import advance, turns
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

USERS = {
    "anna": 'roles = ["resident"]',
    "ben": 'roles = ["resident"]\ngrants = [{ deny = "read:cover.kids" }, { deny = "read:cover.living" }]',
}
GARAGE = "cover.garage"


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which switch.printer never answers."""
    async with build(users=USERS, options={"mute": ["switch.printer"]}) as built:
        yield built


def tell(road: Road, device_id: str = GARAGE, /, *, available: bool = True, **change: Scalar) -> None:
    """Let a device be so, and go nowhere by itself."""
    road.backend._goals.pop(device_id, None)
    road.report(road.dispatch.house.devices[device_id].with_state(change, available=available))


# -- what moves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "line", "moving"),
    [
        ("anna", "open garage", [(GARAGE, "garage", 100)]),
        ("anna", "open garage --no-wait", [(GARAGE, "garage", 100)]),
        ("anna", "close @kids", [("cover.kids", "kids", 0)]),
        ("anna", "set cover.garage.position 40", [(GARAGE, GARAGE, 40)]),
        ("anna", "activate movie", [("cover.living", "cover.living", 0)]),
        ("ben", "close cover.*", [("cover.bedroom", "bedroom", 0)]),
        ("anna", "close garage", []),
        ("anna", "stop garage", []),
        ("anna", "on printer --no-wait", []),
        ("anna", "get living.position", []),
        ("anna", "open garage --dry-run", []),
    ],
)  # fmt: skip
async def test_what_an_order_sets_moving(
    road: Road, user: str, line: str, moving: Sequence[tuple[str, str, int]]
) -> None:
    """An order knows what it set moving, also within a scene, by the name that its answer has for it, and where to."""
    outcome = await road.one(user, line)
    assert outcome.status == 0, said(outcome)
    assert [(one.id, one.label, one.change["position"]) for one in outcome.moving] == moving


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("open garage --progress --no-wait", "--progress and --no-wait exclude each other"),
        ("open garage --progress | match open", "--progress shows how it goes: there is nothing to filter yet"),
    ],
)
async def test_what_does_not_go_together(road: Road, line: str, message: str) -> None:
    """Whoever does not wait follows nothing, and what has yet to end is not filtered; nothing moves then."""
    outcome = await road.one("anna", line)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.message) == (64, message)
    assert not road.backend.applied


async def test_json_may_stand_behind(road: Road) -> None:
    """`| json` is no filter, and what changes nothing takes the option as it takes all of them."""
    outcome = await road.one("anna", "open garage --progress | json")
    assert (outcome.status, outcome.follow, outcome.json) == (0, True, True)
    assert (await road.one("anna", "show kitchen --progress")).status == 0


# -- how it goes on ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def following(
    road: Road, *ids: str, sees: Callable[[Device], bool] = lambda _: True
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, Motion | None]]]:
    """Follow devices; what this yields returns the next motion, and None at the end."""
    motions = follow(road.dispatch.house, ids, lambda: sees)

    async def step() -> Motion | None:
        return await anext(motions, None)

    async with contextlib.aclosing(motions):
        yield step


def positions(motion: Motion | None) -> tuple[dict[str, Scalar], list[str]]:
    """Return where is what was heard of, and what still moves."""
    assert motion is not None
    return {d.id: d.state["position"] for d in motion.heard}, [d.id for d in motion.going]


async def test_it_is_followed_until_it_stands_still(road: Road) -> None:
    """Each is told of as it moves, and once more as it stands still; then nobody listens any more.

    Where it is at last may be told after it has stopped.
    """
    watchers = len(road.dispatch.house._watchers)
    tell(road, position=10, moving="opening")
    tell(road, "cover.kids", position=90, moving="closing")
    async with following(road, GARAGE, "cover.kids", "cover.living") as step:
        at = {GARAGE: 10, "cover.kids": 90, "cover.living": 100}
        assert positions(await step()) == (at, [GARAGE, "cover.kids"])
        tell(road, position=15)
        tell(road, position=20)
        tell(road, "cover.living", position=50)
        assert positions(await step()) == ({GARAGE: 20}, [GARAGE, "cover.kids"])
        tell(road, "cover.kids", position=0, moving=None)
        assert positions(await step()) == ({"cover.kids": 0}, [GARAGE])
        last = asyncio.ensure_future(step())
        await turns()
        tell(road, moving=None)
        await turns()
        tell(road, position=99)
        assert positions(await last) == ({GARAGE: 99}, [])
        assert await step() is None
    assert len(road.dispatch.house._watchers) == watchers


@pytest.mark.parametrize("what", ["unavailable", "gone", "unseen"])
async def test_what_is_lost_is_followed_no_more(road: Road, what: str) -> None:
    """It ends with what is out of reach, gone, or no longer to be seen; of the latter two nothing more is told."""
    tell(road, position=10, moving="opening")
    hidden = set[str]()
    async with following(road, GARAGE, sees=lambda device: device.id not in hidden) as step:
        await step()
        if what == "unavailable":
            tell(road, available=False)
        elif what == "gone":
            next(iter(road.dispatch.house._reporters.values())).gone(GARAGE)
        else:
            hidden.add(GARAGE)
            tell(road, position=15)
        assert positions(await step()) == ({GARAGE: 10} if what == "unavailable" else {}, [])
        assert await step() is None


async def test_what_never_arrives_is_followed_for_a_while(road: Road) -> None:
    """What says for ever that it moves is followed for two minutes and no longer."""
    tell(road, position=10, moving="opening")
    async with following(road, GARAGE) as step:
        await step()
        advance(LONGEST)
        assert await step() is None


# -- how it ended -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "told", "status"),
    [
        ({"position": 100}, ("garage is open\n", ""), 0),
        ({"position": 98}, ("garage is 98 % open\n", ""), 0),
        ({"position": 40}, ("", "garage is 40 % open, not where it was sent\n"), 3),
        ({"position": 0}, ("", "garage is closed, not where it was sent\n"), 3),
        (
            {"position": 40, "moving": "closing"},
            ("", "error: garage is still closing after 2 min\n"),
            124,
        ),
        (None, ("", "error: garage is unavailable\n"), 69),
    ],
)
async def test_how_it_ended(road: Road, now: dict[str, Any] | None, told: tuple[str, str], status: int) -> None:
    """The answer is how it is at the end, and only what is where it was sent has status 0."""
    outcome = await road.one("anna", "open garage --progress")
    if now is None:
        tell(road, available=False)
    else:
        tell(road, **{"moving": None, **now})
    ended = arrived(outcome, road.dispatch.house, lambda _: True)
    assert (said(ended), ended.status) == (told, status)


async def test_how_what_may_not_be_seen_ended(road: Road) -> None:
    """What its giver may not see any more is told as if it were gone."""
    session = road.session("anna")
    (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, "open garage --progress")]
    write_whole(road.users.folder / "anna.toml", 'roles = ["resident"]\ngrants = [{ deny = "read:cover.garage" }]')
    await until(lambda: not road.dispatch.sight(session)(road.dispatch.house.devices[GARAGE]))
    ended = arrived(outcome, road.dispatch.house, road.dispatch.sight(session))
    assert said(ended) == ("", "error: garage is gone\n")


async def test_how_several_ended(road: Road) -> None:
    """Of several those that are there are told, and those that are not are left out; lamps are told as answered."""
    outcome = await road.one("anna", "close cover.*")
    tell(road, "cover.living", position=0, moving=None)
    tell(road, "cover.bedroom", available=False)
    tell(road, "cover.kids", position=50, moving=None)
    ended = arrived(outcome, road.dispatch.house, lambda _: True)
    assert said(ended) == (
        "living is closed\ngarage is closed\n",
        "left out: bedroom (unavailable), kids (not confirmed)\n",
    )
    assert ended.status == 69
    scene = await road.one("anna", "activate movie")
    tell(road, "cover.living", position=0, moving=None)
    assert said(arrived(scene, road.dispatch.house, lambda _: True)) == ("movie is activated\n", "")


def test_what_moves_in_a_row() -> None:
    """The first that moves is told, with how many more do; what tells no position has no bar."""
    garage = Device(id=GARAGE, name="Garage", state={"position": 50, "moving": "opening"})
    lock = Device(id="lock.door", name="Door", state={"locked": False, "moving": "locking"})
    labels = {GARAGE: "garage", "lock.door": "door"}
    assert going_row([garage, lock], labels, 40) == "garage opening █████▌░░░░░ 50 %, 1 more"
    assert going_row([lock], labels, 40) == "door locking"
    assert not going_row([], labels, 40)
