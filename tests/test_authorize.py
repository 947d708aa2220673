"""Who may give which order on what, here and now: which privilege it needs, what a scene touches, and what is seen."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.authorize import STEP_UP_LASTS, Authorizer
from sshhome.clock import Clock
from sshhome.condition import Facts
from sshhome.device import Device, State
from sshhome.grant import Grant, Privilege
from sshhome.house import House
from sshhome.naming import Naming
from sshhome.order import REGISTRY, Judgement, Order
from sshhome.param import Devices
from sshhome.policy import Policy, Rights
from sshhome.session import Session, Standing
from sshhome.store import Store
from sshhome.uses import Uses
from tests.client import report
from tests.conftest import NOON, FixedClock
from tests.test_dispatch import Build, Road
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)
from tests.test_grant import HOUSE, Written, facts
from tests.test_policy import ANY_GRANTS, GRANTS, LAMP, SITUATIONS, Situation, policy_of, rank
from tests.test_when import BERLIN, said

ORDERS = {order.name: order for order in REGISTRY}
CHANGING = [order for order in REGISTRY if order.changes]


def house_of(*devices: Device) -> House:
    """Return a house that has these devices in place of its own."""
    house = House(Naming(cast("Store", None)))
    house.devices = {**HOUSE, **{device.id: device for device in devices}}
    return house


def authorizer_of(*devices: Device, clock: Clock | None = None) -> Authorizer:
    """Return what decides in a house that has these devices in place of its own."""
    store: Any = None
    return Authorizer(REGISTRY, house_of(*devices), Uses(store), clock or Clock(), BERLIN)


def rights_of(*written: Written) -> Rights:
    """Return the rights of a user with these grants."""
    return Rights((policy_of(*written),))


AUTHORIZER = authorizer_of()


# -- what is true of all rights ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(GRANTS, GRANTS, SITUATIONS, st.sampled_from(CHANGING))
def test_what_is_permitted_could_be_done(
    mine: list[Grant], others: list[Grant], situation: Situation, order: Order
) -> None:
    """Whatever is permitted for some change is told beforehand to be possible, and `help` lists the order."""
    device, known = situation
    rights = Rights((Policy(mine), Policy(others)))
    able = AUTHORIZER.able(rights, order, known)
    assert able(device) == bool(rank(AUTHORIZER.may(rights, order, device, known)))
    if rank(AUTHORIZER.may(rights, order, device, known, known.change or {})):
        assert able(device)
        assert AUTHORIZER.somewhere(rights, order).allowed
        assert rights.sees(device, known)
    target, allowed = order.target, AUTHORIZER.allowed(rights, known)
    if target is not None and isinstance(target.type, Devices):
        assert (order in allowed) == any(able(d) and target.type.fits(d) for d in HOUSE.values())


@settings(deadline=None)
@given(GRANTS, st.sampled_from(ANY_GRANTS), SITUATIONS, st.sampled_from(list(REGISTRY)))
def test_more_grants_are_more_and_more_denies_less(
    grants: list[Grant], more: Grant, situation: Situation, order: Order
) -> None:
    """One more allow takes nothing away and one more deny gives nothing, on any device, for scenes and for `help`."""
    device, known = situation
    with_, without = Rights((Policy([*grants, more]),)), Rights((Policy(grants),))
    lesser, greater = (with_, without) if more.deny else (without, with_)
    for change in (known.change, None):
        low, high = (AUTHORIZER.may(rights, order, device, known, change) for rights in (lesser, greater))
        assert rank(low) <= rank(high)
    assert set(AUTHORIZER.allowed(lesser, known)) <= set(AUTHORIZER.allowed(greater, known))
    seen = [{device.id for device in AUTHORIZER.scope(rights, known).index} for rights in (lesser, greater)]
    assert seen[0] <= seen[1]


@settings(deadline=None)
@given(GRANTS, GRANTS, SITUATIONS, st.sampled_from(list(REGISTRY)))
def test_a_narrower_key_never_widens(
    mine: list[Grant], others: list[Grant], situation: Situation, order: Order
) -> None:
    """With a key that is good for less, nothing is allowed that its owner may not do, nor that the key may not."""
    device, known = situation
    user, key, both = (Rights(p) for p in ((Policy(mine),), (Policy(others),), (Policy(mine), Policy(others))))
    for rights in (user, key):
        for change in (known.change, None):
            allowed = rank(AUTHORIZER.may(both, order, device, known, change))
            assert allowed <= rank(AUTHORIZER.may(rights, order, device, known, change))
        assert set(AUTHORIZER.allowed(both, known)) <= set(AUTHORIZER.allowed(rights, known))


# -- what an order needs on a device ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "device", "needs"),
    [
        ("on", "light.desk", Privilege.CONTROL),
        ("set", "climate.living", Privilege.CONTROL),
        ("set", "cover.living", Privilege.CONTROL),
        ("activate", "scene.movie", Privilege.CONTROL),
        ("undo", "light.desk", Privilege.CONTROL),
        ("set", "lock.front_door", Privilege.ACCESS),
        ("unlock", "lock.front_door", Privilege.ACCESS),
        ("set", "cover.garage", Privilege.ACCESS),
        ("open", "cover.garage", Privilege.ACCESS),
        ("undo", "cover.garage", Privilege.ACCESS),
        ("arm", "alarm_control_panel.house", Privilege.ACCESS),
        ("get", "lock.front_door", Privilege.READ),
        ("get", "light.desk", Privilege.READ),
    ],
)
@pytest.mark.parametrize("held", list(Privilege))
def test_what_an_order_needs(order: str, device: str, needs: Privilege, held: Privilege) -> None:
    """An order needs its own privilege, and `access` in its place where it would change what guards."""
    allowed = AUTHORIZER.may(rights_of(held), ORDERS[order], HOUSE[device], facts(), {}).allowed
    assert allowed == (held == needs or (needs is Privilege.READ and held is not Privilege.ADMIN))


@pytest.mark.parametrize("kind", ["siren", "valve", "lock", "alarm_control_panel"])
def test_what_guards_whatever_it_can_do(kind: str) -> None:
    """A siren that is switched like a lamp is no lamp."""
    siren = Device(id=f"{kind}.loud", name="Loud", attributes=LAMP.attributes, state={"on": False})
    authorizer = authorizer_of(siren)
    for order, change in (("set", {"on": True}), ("undo", {"on": True}), ("dim", {"brightness": 5})):
        assert not authorizer.may(rights_of("control"), ORDERS[order], siren, facts(), change).allowed
        assert authorizer.may(rights_of("access"), ORDERS[order], siren, facts(), change).allowed


def test_access_alone_is_enough_for_what_guards() -> None:
    """Who holds `access` alone may give the orders that could be about what guards, and `undo` them."""
    rights = rights_of("access:cover.garage")
    assert {order.name for order in AUTHORIZER.allowed(rights, facts()) if order.needs is not Privilege.READ} == {
        *("close", "open", "set", "stop", "undo")
    }
    assert not AUTHORIZER.somewhere(rights, ORDERS["user list"]).allowed


# -- scenes -----------------------------------------------------------------------------------------------------------

MOVIE: State = {"activated": "now"}


@pytest.mark.parametrize(
    ("grants", "decision", "why"),
    [
        (["control"], 2, ""),
        (["control:scene.*"], 0, ""),
        (["control:light.*", "control:cover.*"], 0, ""),
        (["control", {"deny": "control:light.living"}], 0, ""),
        (["control", {"deny": "read:light.living"}], 0, ""),
        (["control:scene.*", {"allow": "control:light.*", "when": "sat"}], 0, "only sat, next Sat 6 Jun 00:00"),
        (
            ["control:scene.*", {"allow": "control:light.*", "values": {"brightness": "..10"}}],
            0,
            "brightness only ..10 %",
        ),
        (["control:scene.*", {"allow": "control:light.*", "values": {"brightness": "..90"}}], 2, ""),
        (["control", {"deny": "control:light.*", "values": {"color": "warm white"}}], 0, "not with color warm white"),
        (["control:scene.*", {"allow": "control:light.*", "orders": ["activate"]}], 2, ""),
        (["control:scene.*", {"allow": "control:light.*", "orders": ["dim"]}], 0, "only to dim"),
        (["control:scene.*", {"allow": "control:light.*", "step_up": "totp"}], 1, ""),
        ([{"allow": "control", "uses": 1}], 2, ""),
    ],
)
def test_a_scene_takes_the_right_to_all_that_it_makes_of_things(
    grants: Sequence[Written], decision: int, why: str
) -> None:
    """A scene may be activated by who could set each thing that it touches to just that, one after another."""
    evening = HOUSE["scene.evening"]
    assert {"light.living"} <= set(evening.members)
    found = AUTHORIZER.may(rights_of(*grants), ORDERS["activate"], evening, facts(), MOVIE)
    assert rank(found) == decision
    assert found.why == why
    assert len(found.used) == (1 if decision == 2 and "uses" in str(grants) else 0)


def test_a_scene_could_be_activated_whatever_it_sets() -> None:
    """Before it is known what becomes of its members, a scene is judged without their values."""
    rights = rights_of("control:scene.*", {"allow": "control", "values": {"brightness": "99.."}})
    evening = HOUSE["scene.evening"]
    assert AUTHORIZER.able(rights, ORDERS["activate"], facts())(evening)
    assert not AUTHORIZER.may(rights, ORDERS["activate"], evening, facts(), MOVIE).allowed


# -- what is known when somebody asks ---------------------------------------------------------------------------------


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road with users whose sight changes, and one who may do everything."""
    users = {
        "admin": 'roles = ["admin"]',
        "day": 'grants = [{ allow = "read:@kids", when = "14:00-15:00" }, "read:@study"]',
        "night": 'grants = ["read", { deny = "read:@kids", when = "15:00-16:00" }]',
        "guest": 'grants = ["read:@study", { allow = "control:@kids", until = "2026-06-02 15:00" }]',
        "here": 'grants = ["read:@study", { allow = "control:@kids", from = "10.0.0.0/8" }]',
        "calm": 'grants = ["read:@study", { allow = "read:@kids", house = "alarm_control_panel.house = disarmed" }]',
        "plain": 'grants = ["read:@study", { allow = "control:@kids", when = "sat", uses = 1, orders = ["dim"] }]',
    }
    async with build(users=users) as built:
        yield built


def rooms(road: Road, user: str, **how: Any) -> set[str]:  # noqa: ANN401 (as `session`)
    """Return the rooms that a user sees now."""
    return set(road.scope(user, **how).index.rooms) & {"kids", "study"}


async def test_sight_follows_time_place_and_house(road: Road, clock: FixedClock) -> None:
    """What is seen is found anew when a window opens or closes, a grant ends, one is elsewhere or the house changes."""
    both, study = {"kids", "study"}, {"study"}
    expected = {"day": both, "night": both, "guest": both, "here": study, "calm": both, "plain": both}
    assert {user: rooms(road, user) for user in expected} == expected
    assert rooms(road, "here", source="10.1.2.3") == both
    assert rooms(road, "here") == study
    house = road.dispatch.house
    alarm = house.devices["alarm_control_panel.house"]
    for armed, seen in (("away", study), (None, study), ("disarmed", both)):
        report(house, alarm.with_state({"armed": armed}))
        assert rooms(road, "calm") == seen
    report(house, alarm.with_state({}, available=False))
    assert rooms(road, "calm") == study
    clock.advance(3600)
    expected |= {"day": study, "night": study, "guest": study, "calm": study}
    assert {user: rooms(road, user) for user in expected} == expected
    clock.advance(3600)
    assert {user: rooms(road, user) for user in expected} == expected | {"night": both}


async def test_a_view_is_kept_while_nothing_changes(road: Road, clock: FixedClock) -> None:
    """Who sees what is worked out once, until it may be otherwise: not for each order, nor for what binds acting."""
    views = {user: road.scope(user).index for user in ("plain", "day", "admin")}
    clock.advance(1800)
    house = road.dispatch.house
    report(house, house.devices["light.kids"].with_state({"on": True}))
    assert all(road.scope(user).index is view for user, view in views.items())
    report(house, msgspec.structs.replace(house.devices["light.kids"], name="Other"))
    assert all(road.scope(user).index is not view for user, view in views.items())


async def test_views_are_bounded(road: Road) -> None:
    """However often rights change, no more views are kept than people have use for."""
    authorizer = road.dispatch.authorizer
    known = Facts(NOON, BERLIN, "127.0.0.1", devices=road.dispatch.house.devices)
    for _ in range(600):
        authorizer.scope(rights_of("read:@study"), known)
    assert len(authorizer._views) <= 256


async def test_a_step_up_is_remembered_for_five_minutes(road: Road, clock: FixedClock) -> None:
    """What was proved in a session counts there for five minutes, and in no other session."""
    session, other = road.session("admin"), road.session("admin")
    session.proved["totp"] = clock.monotonic()

    def proved(of: Session) -> frozenset[str]:
        standing = of.standing()
        assert isinstance(standing, Standing)
        return road.dispatch.authorizer.facts(standing, of).proved

    assert proved(session) == {"totp"}
    assert proved(other) == frozenset()
    clock.advance(STEP_UP_LASTS - 1)
    assert proved(session) == {"totp"}
    clock.step(-86400)
    assert proved(session) == {"totp"}
    clock.advance(1)
    assert proved(session) == frozenset()


# -- when it would be allowed -----------------------------------------------------------------------------------------


def opens(order: str, device_id: str, *written: Written, change: State | None = None, **how: Any) -> str:  # noqa: ANN401
    """Return when an order on a device would be allowed if only time passed, as the clock on the wall shows it."""
    rights, known = rights_of(*written), facts(**how).of(order, HOUSE.get(device_id), change)
    if known.device is None:
        decision = rights.holds(ORDERS[order].needs, known)
    else:
        decision = AUTHORIZER.may(rights, ORDERS[order], known.device, known, change)
    found = AUTHORIZER.judgement(rights, ORDERS[order], known, decision).next
    return said(found)[:16]


#: Two windows on each of many days, of which none helps while the lamp may not be that bright.
USELESS = {"allow": "control", "when": ["08:00-09:00", "10:00-11:00"], "values": {"brightness": "..1"}}


@pytest.mark.parametrize(
    ("written", "when"),
    [
        (["control"], "never"),
        ([], "never"),
        ([{"allow": "control", "when": "tue"}], "never"),
        ([{"allow": "control", "when": "sat 09:00-12:00"}], "2026-06-06 09:00"),
        ([{"allow": "control", "when": "15:00-16:00", "step_up": "totp"}], "2026-06-02 15:00"),
        ([{"allow": "control", "when": "2026-06-01"}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "until": "2026-06-02 15:00"}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "uses": 1}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "from": "10.0.0.0/8"}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "house": "lock.front_door = unlocked"}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "values": {"brightness": "..20"}}], "never"),
        ([{"allow": "control", "when": "15:00-16:00", "orders": ["on"]}], "never"),
        (["control", {"deny": "control", "when": "12:00-18:30"}], "2026-06-02 18:30"),
        (["control", {"deny": "control", "until": "2026-06-03"}], "2026-06-04 00:00"),
        (["control", {"deny": "control"}], "never"),
        (["control", {"deny": "control", "when": "mon-sun"}], "never"),
        # one opens while another one bars
        (
            [{"allow": "control", "when": "17:00-18:00,20:00-21:00"}, {"deny": "control", "when": "12:00-19:00"}],
            "2026-06-02 20:00",
        ),
        (
            [{"allow": "control", "when": "17:00-18:00"}, {"deny": "control", "when": "mon-fri 12:00-19:00"}],
            "2026-06-06 17:00",
        ),
        # what does not help is passed over, however long that takes
        ([USELESS, {"allow": "control", "when": "2026-12-24 09:00-12:00"}], "2026-12-24 09:00"),
        (
            [{"allow": "control", "when": "mon-sun"}, {"deny": "control", "when": "2026-06-01..2027-03-01"}],
            "2027-03-02 00:00",
        ),
        # the clocks are put in between
        ([{"allow": "control", "when": "2026-10-25 02:30-04:00"}], "2026-10-25 02:30"),
        ([{"allow": "control", "when": "2027-03-28 02:30-04:00"}], "2027-03-28 03:00"),
    ],
)
def test_when_it_would_be_allowed(written: Sequence[Written], when: str) -> None:
    """It is told when time alone would allow an order, once asked for more at most; and nothing where it would not."""
    used = {"used": lambda _: 1}
    assert opens("dim", "light.desk", *written, change={"brightness": 40}, **used) == when[:16]


def test_when_a_scene_would_be_allowed() -> None:
    """A scene is allowed once each thing that it touches may be set."""
    own, lights = (
        {"allow": "control:scene.*", "when": "17:00-20:00"},
        {"allow": "control:light.*", "when": "19:00-21:00"},
    )
    assert opens("activate", "scene.evening", own, lights, "control:cover.*", change=MOVIE) == "2026-06-02 19:00"
    dark = {**lights, "values": {"brightness": "..1"}}
    assert opens("activate", "scene.evening", own, dark, "control:cover.*", change=MOVIE) == "never"


def test_when_an_order_on_no_device_would_be_allowed() -> None:
    """What takes no device has its windows too."""
    assert opens("user list", "", {"allow": "admin", "when": "15:00-16:00"}) == "2026-06-02 15:00"
    assert opens("user list", "", {"allow": "admin", "when": "15:00-16:00", "orders": ["ban list"]}) == "never"


@pytest.mark.parametrize("hidden", ["lock.front_door", "lock.nosuch"])
def test_a_rule_is_told_without_what_is_hidden(hidden: str) -> None:
    """A rule is told as it is written, but for a device in it that the asker may not know of."""
    written = {"allow": "control:light.*", "house": [f"{hidden} = unlocked", "light.hall = 100"]}
    rights = rights_of(written, "read:light.*")
    known = facts(sees=lambda device_id: device_id.startswith("light.")).of("on", LAMP, {"on": True})
    decision = AUTHORIZER.may(rights, ORDERS["on"], LAMP, known, {"on": True})
    told = AUTHORIZER.judgement(rights, ORDERS["on"], known, decision)
    assert told == Judgement(
        "light.desk",
        allowed=False,
        rule="control:light.* while … and light.hall = 100 (file 1)",
        unmet=("not as the house is now",),
    )
    assert hidden in decision.rule
