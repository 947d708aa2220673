"""The one decision: what a list of grants says, whatever stands in it and in whichever order."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.condition import Facts
from sshhome.device import Attribute, Device, Scalar
from sshhome.grant import STEP_UPS, Grant, Privilege, parse_grant
from sshhome.policy import Decision, Policy, Rights, agreed
from tests.conftest import NOON
from tests.test_grant import HOUSE, MEANT, PRIVILEGES, SCOPES, WELL_WRITTEN, Written, facts
from tests.test_when import BERLIN, PLACES, at

LAMP, KIDS, DOOR = HOUSE["light.desk"], HOUSE["light.kids"], HOUSE["lock.front_door"]
ALARM = HOUSE["alarm_control_panel.house"]
CONTROL, READ = Privilege.CONTROL, Privilege.READ


def grants_of(*written: Written) -> list[Grant]:
    """Return grants as they are written, each standing in a file of its own."""
    return [parse_grant(grant, f"file {number}", BERLIN) for number, grant in enumerate(written, 1)]


def policy_of(*written: Written) -> Policy:
    """Return the policy of some grants as they are written."""
    return Policy(grants_of(*written))


def rank(decision: Decision) -> int:
    """Return how much a decision allows: nothing, something once more is proved, or all that was asked."""
    return 2 if decision.allowed else bool(decision.step_up)


def told(decision: Decision) -> tuple[int, str, str]:
    """Return how a decision was made, and why."""
    return rank(decision), decision.rule.partition(" (")[0], decision.why


# -- grants and situations of every kind, made once: to draw each anew takes longer than to judge it ------------------

_CHANCE = random.Random(4)  # noqa: S311


def _any_grant(number: int) -> Grant:
    verdict, privilege = _CHANCE.choice(["allow", "allow", "deny"]), _CHANCE.choice(PRIVILEGES)
    scope = "*" if privilege is Privilege.ADMIN else _CHANCE.choice(SCOPES)
    names = _CHANCE.sample(sorted(MEANT[verdict, privilege]), _CHANCE.choice([0, 0, 1, 1, 2, 3]))
    conditions = {name: _CHANCE.choice(WELL_WRITTEN[name]) for name in names}
    written = {verdict: privilege if scope == "*" else f"{privilege}:{scope}", **conditions}
    return parse_grant(written, f"file {number}", BERLIN)


def _any_change(device: Device) -> dict[str, Scalar]:
    made: Mapping[type, Callable[[Attribute], Scalar]] = {
        bool: lambda _: _CHANCE.random() < 0.5,
        int: lambda attribute: _CHANCE.randint(int(attribute.low), int(attribute.high)),
        float: lambda attribute: round(_CHANCE.uniform(attribute.low, attribute.high), 2),
        str: lambda attribute: _CHANCE.choice(attribute.options or ("now",)),
    }
    can = [attribute for attribute in device.attributes.values() if attribute.settable]
    return {attribute.name: made[attribute.type](attribute) for attribute in can if _CHANCE.random() < 0.5}


class Situation(NamedTuple):
    """A device, and all that is known when somebody wants to do something with it."""

    device: Device
    known: Facts

    def __repr__(self) -> str:
        """Return what tells it from others: of the house there is far too much to show."""
        known = self.known
        named = {"state": self.device.state, "alarm": known.devices[ALARM.id].state, "used": known.used("")}
        named |= {name: getattr(known, name) for name in ("now", "source", "order", "change", "proved")}
        return f"{self.device.id} {named}"


def _any_situation() -> Situation:
    device = HOUSE[_CHANCE.choice([*HOUSE, *["light.desk", "light.kids", "lock.front_door"] * 5])]
    state = _any_change(device)
    device = device.with_state({name: state.get(name) for name in device.attributes if _CHANCE.random() < 0.3})
    alarm, used = ALARM.with_state({"armed": _CHANCE.choice(["disarmed", "away", None])}), _CHANCE.randint(0, 3)
    known = facts(
        now=NOON + _CHANCE.choice([-1, 0, 1, 60, 7200, _CHANCE.randint(-30 * 86400, 30 * 86400)]),
        source=_CHANCE.choice(["127.0.0.1", "10.1.2.3", "::1", ""]),
        order=_CHANCE.choice(["dim", "on", "unlock", "undo", "time"]),
        device=device,
        change=_CHANCE.choice([None, _any_change(device), _any_change(device)]),
        proved=frozenset(_CHANCE.sample(STEP_UPS, _CHANCE.randint(0, 2))),
        devices={**HOUSE, alarm.id: alarm, device.id: device},
        used=lambda _: used,
    )
    return Situation(device, known)


ANY_GRANTS = [_any_grant(number) for number in range(2000)]
GRANT = st.sampled_from(ANY_GRANTS)
GRANTS = st.lists(GRANT, max_size=6)
DENY, ALLOW = ([grant for grant in ANY_GRANTS if grant.deny is deny] for deny in (True, False))
SITUATIONS = st.sampled_from([_any_situation() for _ in range(3000)])


# -- what is true of every policy -------------------------------------------------------------------------------------


@given(GRANTS, SITUATIONS, st.sampled_from(PRIVILEGES))
def test_default_is_deny(grants: list[Grant], situation: Situation, privilege: Privilege) -> None:
    """Nothing is allowed that no grant allows: without any allow there is no yes, and nothing is seen."""
    device, known = situation
    policy = Policy([grant for grant in grants if grant.deny])
    assert rank(policy.decide(privilege, device, known)) == rank(policy.holds(privilege, known)) == 0
    assert not policy.somewhere(privilege).allowed
    assert not policy.sees(device, known)
    assert Policy([]).decide(privilege, device, known) == Decision(allowed=False, rule="no grant")


@given(GRANTS, st.sampled_from(DENY), st.integers(0, 9), SITUATIONS, st.sampled_from(PRIVILEGES))
def test_a_deny_never_allows(
    grants: list[Grant], deny: Grant, place: int, situation: Situation, privilege: Privilege
) -> None:
    """One more deny, wherever it stands and whatever its conditions, never allows anything more."""
    device, known = situation
    before, after = Policy(grants), Policy([*grants[:place], deny, *grants[place:]])
    assert rank(after.decide(privilege, device, known)) <= rank(before.decide(privilege, device, known))
    assert rank(after.holds(privilege, known)) <= rank(before.holds(privilege, known))
    assert after.somewhere(privilege).allowed <= before.somewhere(privilege).allowed
    assert after.sees(device, known) <= before.sees(device, known)
    if deny.privilege in {privilege, READ} and deny.covers(device) and deny.bars(known):
        assert rank(after.decide(privilege, device, known)) == 0


@given(GRANTS, st.sampled_from(ALLOW), st.integers(0, 9), SITUATIONS, st.sampled_from(PRIVILEGES))
def test_an_allow_never_denies(
    grants: list[Grant], allow: Grant, place: int, situation: Situation, privilege: Privilege
) -> None:
    """One more allow, wherever it stands, takes nothing away: neither a right, nor by asking for more than before."""
    device, known = situation
    before, after = Policy(grants), Policy([*grants[:place], allow, *grants[place:]])
    assert rank(after.decide(privilege, device, known)) >= rank(before.decide(privilege, device, known))
    assert rank(after.holds(privilege, known)) >= rank(before.holds(privilege, known))
    assert after.somewhere(privilege).allowed >= before.somewhere(privilege).allowed
    assert after.sees(device, known) >= before.sees(device, known)


@given(GRANTS, GRANTS, SITUATIONS, st.sampled_from(PRIVILEGES))
def test_an_intersection_never_widens(
    mine: list[Grant], other: list[Grant], situation: Situation, privilege: Privilege
) -> None:
    """What two policies must both give is just what the lesser of them gives, whichever comes first."""
    device, known = situation
    policies = (Policy(mine), Policy(other))
    for rights in (Rights(policies), Rights(policies[::-1])):
        assert rank(rights.decide(privilege, device, known)) == min(
            rank(policy.decide(privilege, device, known)) for policy in policies
        )
        assert rank(rights.holds(privilege, known)) == min(rank(policy.holds(privilege, known)) for policy in policies)
        assert rights.sees(device, known) == all(policy.sees(device, known) for policy in policies)
        assert rights.somewhere(privilege).allowed == all(policy.somewhere(privilege).allowed for policy in policies)


@given(GRANTS, st.randoms(use_true_random=False), SITUATIONS, st.sampled_from(PRIVILEGES))
def test_order_does_not_matter(
    grants: list[Grant],
    chance: Any,  # noqa: ANN401 (hypothesis's own Random)
    situation: Situation,
    privilege: Privilege,
) -> None:
    """A decision is the same in whichever order the grants stand: no, a step-up and which one, or yes."""
    device, known = situation
    shuffled = list(grants)
    chance.shuffle(shuffled)
    one, other = Policy(grants), Policy(shuffled)
    for mine, theirs in (
        (one.decide(privilege, device, known), other.decide(privilege, device, known)),
        (one.holds(privilege, known), other.holds(privilege, known)),
    ):
        assert (mine.allowed, mine.step_up, bool(mine.used)) == (theirs.allowed, theirs.step_up, bool(theirs.used))
    assert one.somewhere(privilege).allowed == other.somewhere(privilege).allowed
    assert one.sees(device, known) == other.sees(device, known)
    assert one.opens(known) == other.opens(known)


@given(GRANTS, SITUATIONS, st.sampled_from([Privilege.CONTROL, Privilege.ACCESS, Privilege.READ]))
def test_what_is_hidden_cannot_be_operated(grants: list[Grant], situation: Situation, privilege: Privilege) -> None:
    """Whoever may operate a device, now or once asked, may see it; and to see it is to be allowed to look."""
    device, known = situation
    policy = Policy(grants)
    if rank(policy.decide(privilege, device, known)):
        assert policy.sees(device, known)
    assert policy.sees(device, known) == policy.decide(READ, device, known).allowed


@given(GRANTS, SITUATIONS, st.sampled_from(PRIVILEGES))
def test_whether_anything_could_be_done_is_asked_first(
    grants: list[Grant], situation: Situation, privilege: Privilege
) -> None:
    """What some change is allowed for could be done; and what is held anywhere is held somewhere."""
    device, known = situation
    policy = Policy(grants)
    could = policy.decide(privilege, device, known.of(known.order, device))
    assert rank(could) >= rank(policy.decide(privilege, device, known))
    if rank(could) or rank(policy.holds(privilege, known)):
        # A plain deny of all devices hides them all, whatever allows one.
        assert policy.somewhere(privilege).allowed


@given(GRANTS, SITUATIONS)
def test_no_reason_names_what_is_hidden(grants: list[Grant], situation: Situation) -> None:
    """Why something is refused is told without any device that the asker may not know of."""
    device, known = situation
    known = known.of(known.order, device, known.change)
    known.sees = lambda device_id: device_id == device.id
    policy = Policy(grants)
    for privilege in PRIVILEGES:
        for decision in (policy.decide(privilege, device, known), policy.holds(privilege, known)):
            assert not [other for other in (*HOUSE, "lock.nosuch") if other != device.id and other in decision.why]
    rights = Rights((policy,))
    for grant in grants:
        for state in grant.house:
            assert state.device_id == device.id or str(state) not in rights.veiled(grant.told, known.sees)


@given(GRANTS, SITUATIONS, SITUATIONS)
def test_what_is_seen_changes_with_sight_alone(grants: list[Grant], here: Situation, there: Situation) -> None:
    """Whatever changes in the house and with time: while `sight` is the same, the same devices are seen."""
    policy = Policy(grants)
    if policy.sight(here.known) == policy.sight(there.known):
        for device in HOUSE.values():
            assert policy.sees(device, here.known) == policy.sees(device, there.known)


@given(GRANTS, SITUATIONS, st.sampled_from(PRIVILEGES), st.floats(0, 1))
def test_until_it_opens_time_gives_no_more(
    grants: list[Grant], situation: Situation, privilege: Privilege, share: float
) -> None:
    """Until the moment at which something may open, and ever if there is none, time alone allows nothing more."""
    device, known = situation
    known = known.of(known.order, device, known.change)
    policy, now = Policy(grants), known.now
    before, opens = rank(policy.decide(privilege, device, known)), policy.opens(known)
    assert opens is None or opens > now
    known.now = now + share * ((opens or now + 60 * 86400) - now)
    if opens is None or known.now < opens:
        assert rank(policy.decide(privilege, device, known)) <= before


@given(GRANTS, st.sampled_from(sorted(HOUSE)))
def test_a_device_has_all_grants_that_cover_it(grants: list[Grant], device_id: str) -> None:
    """However a policy sorts its grants, a device has those that cover it, in their order, in whichever room it is."""
    policy = Policy(grants)
    for device in (HOUSE[device_id], Device(id=device_id, name="Moved", room="kids"), HOUSE[device_id]):
        assert policy._of(device) == tuple(grant for grant in grants if grant.covers(device))


# -- which rule decides, and what it tells ----------------------------------------------------------------------------

SATURDAY = {"allow": "control:light.*", "when": "sat"}
OVER = {"allow": "control:light.*", "when": "sat", "until": "2026-06-01"}
DIM = {"allow": "control:light.*", "values": {"brightness": "..60"}}
CODE = {"allow": "control:light.*", "step_up": "totp"}
SURE = {"allow": "control:@study", "step_up": "confirm"}
THRICE = {"allow": "control:light.*", "uses": 3}
ONLY_SATURDAY = "only sat, next Sat 6 Jun 00:00"


@pytest.mark.parametrize(
    ("written", "how", "decision"),
    [
        ([], {}, (0, "no grant", "")),
        (["read", "control:lock.*", "access:light.*"], {}, (0, "no grant", "")),
        (["control"], {}, (2, "control", "")),
        (["control:light.*", {"deny": "control:light.desk"}], {}, (0, "deny control:light.desk", "")),
        (["control", {"deny": "read:@study"}], {}, (0, "deny read:@study", "")),
        (["control", {"deny": "access:light.desk"}], {}, (2, "control", "")),
        # a deny in force wins, and tells under which conditions it is
        (
            [{"deny": "control", "when": "tue"}, "control"],
            {},
            (0, "deny control when tue", "not tue, until tomorrow 00:00"),
        ),
        ([{"deny": "control", "when": "wed"}, "control"], {}, (2, "control", "")),
        (
            ["control", {"deny": "control", "when": "tue"}, {"deny": "control", "from": "127.0.0.1"}],
            {},
            (0, "deny control when tue", "not tue, until tomorrow 00:00; not from 127.0.0.1/32"),
        ),
        # but where one is in force whatever the conditions, those of another would be no help
        ([{"deny": "control", "when": "tue"}, {"deny": "control:@study"}], {}, (0, "deny control:@study", "")),
        # the allow that is nearest tells what is not met
        ([SATURDAY], {}, (0, "control:light.* when sat", ONLY_SATURDAY)),
        ([OVER, SATURDAY], {}, (0, "control:light.* when sat", ONLY_SATURDAY)),
        ([OVER], {}, (0, "control:light.* when sat until 2026-06-01 22:00Z", f"ended today 00:00; {ONLY_SATURDAY}")),
        ([SATURDAY, "control:@study"], {}, (2, "control:@study", "")),
        ([DIM], {"change": {"brightness": 60}}, (2, "control:light.* with brightness ..60 %", "")),
        (
            [DIM, SATURDAY],
            {"change": {"brightness": 61}},
            (0, "control:light.* with brightness ..60 %", "brightness only ..60 %"),
        ),
        ([DIM], {}, (2, "control:light.* with brightness ..60 %", "")),
        # the one that asks for least: nothing, a use, to say that it is meant, a code
        ([CODE, SURE, THRICE, "control:light.*"], {}, (2, "control:light.*", "")),
        ([CODE, SURE, THRICE], {}, (2, "control:light.* 3 times", "")),
        ([CODE, SURE, THRICE], {"used": lambda _: 3}, (1, "control:@study after a confirmation", "")),
        ([CODE, SURE], {}, (1, "control:@study after a confirmation", "")),
        ([CODE, SURE], {"proved": {"totp"}}, (2, "control:light.* after a one-time code", "")),
        ([CODE, SATURDAY], {}, (1, "control:light.* after a one-time code", "")),
        (
            [{**CODE, "when": "sat"}],
            {"proved": {"totp"}},
            (0, "control:light.* when sat after a one-time code", ONLY_SATURDAY),
        ),
        ([{**CODE, "when": "sat"}, SURE], {}, (1, "control:@study after a confirmation", "")),
        ([{**CODE, **SATURDAY, "from": "10.0.0.0/8"}, SATURDAY], {}, (0, "control:light.* when sat", ONLY_SATURDAY)),
    ],
)
def test_which_rule_decides(written: Sequence[Written], how: dict[str, Any], decision: tuple[int, str, str]) -> None:
    """A deny in force decides, then the allow that asks for least, then the one that lacks least."""
    known = facts(device=LAMP, **how)
    assert told(policy_of(*written).decide(CONTROL, LAMP, known)) == decision


@pytest.mark.parametrize(
    ("written", "how", "used"),
    [
        ([THRICE], {}, [1]),
        ([THRICE, "control"], {}, []),
        ([THRICE, {**THRICE, "uses": 5}], {"used": lambda _: 2}, [1]),
        ([THRICE, {**THRICE, "uses": 5}], {"used": lambda _: 3}, [2]),
        ([{**THRICE, **CODE}], {}, []),
        ([{**THRICE, **CODE}], {"proved": {"totp"}}, [1]),
        ([{**THRICE, **CODE}], {"proved": {"totp"}, "used": lambda _: 3}, []),
    ],
)
def test_which_grants_are_used(written: Sequence[Written], how: dict[str, Any], used: list[int]) -> None:
    """A use is taken of the one grant that gives it, when no other does for nothing, and only once it gives."""
    policy = policy_of(*written)
    decision = policy.decide(CONTROL, LAMP, facts(device=LAMP, **how))
    assert [policy.grants.index(grant) + 1 for grant in decision.used] == used
    assert not used or decision.allowed


@pytest.mark.parametrize("counted", [THRICE, {**THRICE, **CODE}])
def test_looking_costs_nothing(counted: Written) -> None:
    """Whoever may operate a device only so often, or after a code, may look at it as often as they like."""
    for used in (0, 3):
        decision = policy_of(counted).decide(READ, LAMP, facts(device=LAMP, used=lambda _, used=used: used))
        assert (decision.allowed, decision.used, decision.step_up) == (True, (), "")
        assert policy_of(counted).holds(READ, facts(used=lambda _, used=used: used)).allowed


# -- several that must agree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "others", "decision"),
    [
        (["control"], ["control:light.*"], (2, "control", "")),
        (["control"], ["read"], (0, "no grant", "")),
        ([SATURDAY], ["read"], (0, "no grant", "")),
        (
            [SATURDAY],
            [{**DIM, "from": "10.0.0.0/8"}],
            (0, "control:light.* when sat", f"{ONLY_SATURDAY}; only from 10.0.0.0/8"),
        ),
        ([CODE], [SATURDAY], (0, "control:light.* when sat", ONLY_SATURDAY)),
        (["control"], [CODE], (1, "control:light.* after a one-time code", "")),
        ([CODE], [SURE], (1, "control:@study after a confirmation", "")),
        (["control"], ["control", {"deny": "control:@study"}], (0, "deny control:@study", "")),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_narrower_key(
    mine: Sequence[Written], others: Sequence[Written], decision: tuple[int, str, str], *, swapped: bool
) -> None:
    """A user and a key must agree: a firm no is told alone, else all that is not met, and what is asked for last."""
    policies = (policy_of(*mine), policy_of(*others))
    found = Rights(policies[::-1] if swapped else policies).decide(CONTROL, LAMP, facts(device=LAMP))
    assert rank(found) == decision[0]
    if not swapped:
        assert found.rule.startswith(decision[1])
    assert sorted(found.why.split("; ")) == sorted(decision[2].split("; "))


def test_uses_of_all_that_must_agree_are_taken() -> None:
    """Where a user's grant is counted and a key's is too, an order takes a use of either, and of each one alone."""
    mine, others = policy_of(THRICE), policy_of({**THRICE, "uses": 1})
    decision = Rights((mine, others)).decide(CONTROL, LAMP, facts(device=LAMP))
    assert decision.used == (mine.grants[0], others.grants[0])
    assert agreed([decision, decision, decision]).used == decision.used
    assert Rights((mine, mine)).decide(CONTROL, LAMP, facts(device=LAMP)).used == mine.grants


# -- what takes no device ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "privilege", "decision"),
    [
        (["admin"], Privilege.ADMIN, (2, "admin", "")),
        (["control:light.*"], READ, (2, "control:light.*", "")),
        (["read:light.*", {"deny": "read:@kids"}], READ, (2, "read:light.*", "")),
        (["read", {"deny": "read"}], READ, (0, "deny read", "")),
        (["admin", {"deny": "read"}], Privilege.ADMIN, (0, "deny read", "")),
        (
            ["admin", {"deny": "admin", "when": "tue"}],
            Privilege.ADMIN,
            (0, "deny admin when tue", "not tue, until tomorrow 00:00"),
        ),
        ([{"allow": "admin", "when": "sat"}], Privilege.ADMIN, (0, "admin when sat", ONLY_SATURDAY)),
        ([{"allow": "admin", "orders": ["time"]}], Privilege.ADMIN, (2, "admin to time", "")),
        ([{"allow": "admin", "orders": ["user add"]}], Privilege.ADMIN, (0, "admin to user add", "only to user add")),
        ([{"allow": "admin", "step_up": "totp"}], Privilege.ADMIN, (1, "admin after a one-time code", "")),
        (["read", "control", "access"], Privilege.ADMIN, (0, "no grant", "")),
        (["admin"], READ, (0, "no grant", "")),
    ],
)
def test_what_takes_no_device(written: Sequence[Written], privilege: Privilege, decision: tuple[int, str, str]) -> None:
    """What is about no device is held if any grant gives it and no deny of everything is in force."""
    assert told(policy_of(*written).holds(privilege, facts(order="time"))) == decision


def test_somewhere_is_whatever_the_conditions() -> None:
    """Whether a privilege is held anywhere is asked of the rules alone: conditions are for the order itself to fail."""
    for written in ({"allow": "admin", "until": "2020-01-01"}, {"allow": "admin", "from": "10.0.0.0/8"}):
        assert policy_of(written).somewhere(Privilege.ADMIN).allowed
    assert not policy_of("admin", {"deny": "admin"}).somewhere(Privilege.ADMIN).allowed
    assert policy_of("admin", {"deny": "admin", "when": "tue"}).somewhere(Privilege.ADMIN).allowed
    assert policy_of("control", {"deny": "control:light.*"}).somewhere(CONTROL).allowed


# -- what is seen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "how", "seen"),
    [
        ([], {}, False),
        (["read:@study"], {}, True),
        (["read:@kids"], {}, False),
        (["control:light.*"], {}, True),
        (["access:@study"], {}, True),
        (["admin"], {}, False),
        (["read", {"deny": "read:@study"}], {}, False),
        (["read", {"deny": "control:@study"}], {}, True),
        # a grant to operate shows what it is about, whatever the operating takes
        ([SATURDAY], {}, True),
        (
            [{**SATURDAY, "house": "lock.front_door = unlocked", "uses": 1, "step_up": "totp"}],
            {"used": lambda _: 1},
            True,
        ),
        ([{**DIM, "orders": ["dim"]}], {"order": "off", "change": {"brightness": 100}}, True),
        # but not where it is over, or not for where one is
        ([{"allow": "control", "until": "2026-06-02 14:00"}], {}, False),
        ([{"allow": "control", "until": "2026-06-02 14:00"}], {"now": NOON - 1}, True),
        ([{"allow": "control", "from": "10.0.0.0/8"}], {}, False),
        ([{"allow": "control", "from": "10.0.0.0/8"}], {"source": "10.1.1.1"}, True),
        # one to look shows it while it holds
        ([{"allow": "read", "when": "sat"}], {}, False),
        ([{"allow": "read", "when": "tue"}], {}, True),
        ([{"allow": "read", "house": "lock.front_door = unlocked"}], {}, False),
        ([{"allow": "read", "house": "lock.front_door = locked"}], {}, True),
        ([{"allow": "read", "house": "lock.nosuch = locked"}], {}, False),
        ([{"allow": "read", "from": "10.0.0.0/8"}], {}, False),
        # and a deny of it hides it while it is in force, or may be
        (["control", {"deny": "read", "when": "tue"}], {}, False),
        (["control", {"deny": "read", "when": "sat"}], {}, True),
        (["control", {"deny": "read", "house": "lock.nosuch = locked"}], {}, False),
        (["control", {"deny": "read", "from": "10.0.0.0/8"}], {}, True),
        (["control", {"deny": "read", "until": "2026-06-02 14:00"}], {}, True),
        (["control", {"deny": "read", "until": "2026-06-02 14:01"}], {}, False),
    ],
)
def test_what_is_seen(written: Sequence[Written], how: dict[str, Any], *, seen: bool) -> None:
    """A device is seen by who may look at it or operate it, there and then; conditions bind acting alone."""
    assert policy_of(*written).sees(LAMP, facts(device=LAMP, **how)) is seen


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "moments"),
    [
        # the clocks go forward at 02:00: an hour that there is not is in no window
        ("02:00-03:00", {"2026-03-29 00:59:59Z": 0, "2026-03-29 01:00Z": 0, "2026-03-30 00:00Z": 2}),
        ("sun 01:00-02:30", {"2026-03-29 00:59:59Z": 2, "2026-03-29 01:00Z": 0}),
        ("sun 02:30-04:00", {"2026-03-29 00:59:59Z": 0, "2026-03-29 01:00Z": 2, "2026-03-29 02:00Z": 0}),
        # they go back at 03:00: an hour that there is twice counts both times
        ("02:00-03:00", {"2026-10-25 00:00Z": 2, "2026-10-25 01:00Z": 2, "2026-10-25 02:00Z": 0}),
        ("sat 22:00-02:30", {"2026-10-25 00:29Z": 2, "2026-10-25 00:30Z": 0, "2026-10-25 01:29Z": 2}),
        # a window past midnight is the day's on which it began
        ("sat 22:00-06:00", {"2026-06-06 20:00Z": 2, "2026-06-07 03:59Z": 2, "2026-06-07 04:00Z": 0}),
        ("sun", {"2026-06-06 21:59:59Z": 0, "2026-06-06 22:00Z": 2, "2026-06-07 21:59:59Z": 2, "2026-06-07 22:00Z": 0}),
    ],
)
def test_windows_on_the_wall(when: str, moments: dict[str, int]) -> None:
    """Windows are those of the clock on the wall of the house: of an allow, and of a deny the other way round."""
    allow = policy_of({"allow": "control", "when": when})
    deny = policy_of("control", {"deny": "control", "when": when})
    for moment, allowed in moments.items():
        known = facts(device=LAMP, now=at(moment))
        assert rank(allow.decide(CONTROL, LAMP, known)) == allowed, moment
        assert rank(deny.decide(CONTROL, LAMP, known)) == 2 - allowed, moment


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("2026-03-29 02:30", "2026-03-29 01:00Z"),
        ("2026-10-25 02:30", "2026-10-25 00:30Z"),
        ("2026-03-28", "2026-03-28 23:00Z"),
        ("2026-03-29", "2026-03-29 22:00Z"),
    ],
)
def test_ends_on_the_wall(until: str, ends: str) -> None:
    """An end in an hour that there is not is when the clocks are put; in one that there is twice, the first."""
    allow = policy_of({"allow": "control", "until": until})
    deny = policy_of("control", {"deny": "control", "until": until})
    for seconds, allowed in ((-1, 2), (0, 0), (3600, 0)):
        known = facts(device=LAMP, now=at(ends) + seconds)
        assert rank(allow.decide(CONTROL, LAMP, known)) == allowed
        assert rank(deny.decide(CONTROL, LAMP, known)) == 2 - allowed


@pytest.mark.parametrize(("name", "day"), PLACES)
def test_what_opens_next_is_open_then(name: str, day: date) -> None:
    """In each zone, on the days about the one on which its clocks are put, the moment told is the first to allow."""
    zone = ZoneInfo(name)
    policy = policy_of(
        {"allow": "control", "when": ["23:30-00:30", "02:15-02:45"]},
        {"deny": "control", "when": "00:10-02:20"},
    )
    known = facts(device=LAMP, zone=zone)

    def allowed(moment: float) -> bool:
        known.now = moment
        return policy.decide(CONTROL, LAMP, known).allowed

    begin = at(f"{day.isoformat()} 00:00Z") - 1.5 * 86400
    minutes = [begin + 60 * minute for minute in range(5 * 1440)]
    open_at = [moment for moment in minutes if allowed(moment)]
    for now in minutes[: 3 * 1440 : 83]:
        moment: float | None = now
        while moment is not None and not allowed(moment):
            moment = policy.opens(known)
        assert moment == next(at for at in open_at if at >= now)
