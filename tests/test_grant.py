"""A grant as it is written: what it covers, what it asks, and that nothing of it is half understood."""

import datetime as dt
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.condition import Facts, parse_house, parse_values
from sshhome.errors import SiteError
from sshhome.grant import BUILT_IN_ROLES, CONDITIONS, Grant, Privilege, Roles, parse_grant
from sshhome.when import parse_when
from tests.conftest import NOON
from tests.test_when import BERLIN

Written = str | Mapping[str, Any]

HOUSE = {device.id: device for device in family_house()}
PRIVILEGES = list(Privilege)
SCOPES = ["*", "light.*", "light.desk", "@kids", "*.kids", "lock.*", "[l]ock.front_door", "@nosuch", "scene.*"]

#: For each condition what may be written; at NOON, from 127.0.0.1, some of it holds and some does not.
WELL_WRITTEN: Mapping[str, list[Any]] = {
    "when": ["mon-fri 09:00-12:00", "tue", ["sat", "12:00-16:00"], "22:00-06:00", "2026-06-02 14:00-15:00"],
    "until": ["2026-06-02 14:00", "2026-06-02 14:01", "2026-12-24", dt.date(2026, 6, 1)],
    "from": ["127.0.0.0/8", ["10.0.0.0/8", "::1"]],
    "house": [
        "alarm_control_panel.house = disarmed",
        ["alarm_control_panel.house != disarmed", "light.desk.on = off"],
        "lock.nosuch = locked",
        "lock.side_door = locked",
    ],
    "orders": [["dim"], ["on", "unlock", "set", "undo"]],
    "values": [
        {"brightness": "..60"},
        {"brightness": "61..", "color": ["red", "warm white"]},
        {"temperature": "16..23", "position": "..50", "on": False},
        {"locked": True, "armed": ["home", "disarmed"], "speed": "..50"},
    ],
    "step_up": ["totp", "confirm"],
    "uses": [1, 3],
}
#: The conditions that mean something, by whether they stand on a deny and by the privilege.
MEANT: Mapping[tuple[str, Privilege], frozenset[str]] = {
    ("allow", Privilege.READ): frozenset({"when", "until", "from", "house"}),
    ("deny", Privilege.READ): frozenset({"when", "until", "from", "house"}),
    ("allow", Privilege.ADMIN): CONDITIONS - {"values", "uses"},
    ("deny", Privilege.ADMIN): CONDITIONS - {"values", "uses", "step_up"},
    **{("allow", privilege): CONDITIONS for privilege in (Privilege.CONTROL, Privilege.ACCESS)},
    **{("deny", privilege): CONDITIONS - {"uses", "step_up"} for privilege in (Privilege.CONTROL, Privilege.ACCESS)},
}


@st.composite
def tables(draw: st.DrawFn, verdict: str = "") -> dict[str, Any]:
    """Draw a grant as it is written in a file, with some conditions that mean something on it."""
    verdict = verdict or draw(st.sampled_from(["allow", "allow", "deny"]))
    privilege = draw(st.sampled_from(PRIVILEGES))
    scope = "*" if privilege is Privilege.ADMIN else draw(st.sampled_from(SCOPES))
    names = draw(st.lists(st.sampled_from(sorted(MEANT[verdict, privilege])), max_size=3, unique=True))
    conditions = {name: draw(st.sampled_from(WELL_WRITTEN[name])) for name in names}
    return {verdict: privilege if scope == "*" else f"{privilege}:{scope}", **conditions}


def facts(**how: Any) -> Facts:  # noqa: ANN401 (any of the facts)
    """Return the facts at noon, in a house that may be known, and changed some."""
    return Facts(
        **{"now": NOON, "zone": BERLIN, "source": "127.0.0.1", "devices": HOUSE, "sees": HOUSE.__contains__, **how}
    )


def says(grant: Grant, **how: Any) -> list[str]:  # noqa: ANN401 (any of the facts)
    """Return what is unmet of a grant, in words."""
    return [unmet.says for unmet in grant.unmet(facts(**how))]


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "grant"),
    [
        ("read", Grant(Privilege.READ, origin="here")),
        ("control:light.*", Grant(Privilege.CONTROL, "light.*", origin="here")),
        ("control:@kids", Grant(Privilege.CONTROL, "@kids", origin="here")),
        ("admin", Grant(Privilege.ADMIN, origin="here")),
        ({"allow": "access:lock.safe"}, Grant(Privilege.ACCESS, "lock.safe", origin="here")),
        ({"deny": "access:lock.safe"}, Grant(Privilege.ACCESS, "lock.safe", deny=True, origin="here")),
    ],
)
def test_grants_as_written(written: Written, grant: Grant) -> None:
    """A grant is a privilege and a scope, as text or as a table that allows or denies."""
    assert parse_grant(written, "here") == grant
    assert parse_grant(written, "here").plain


def test_conditions_as_written() -> None:
    """Every condition of a grant is understood, with its times on the house's own clock."""
    table = tomllib.loads(
        """
        allow = "access:lock.*"
        when = ["tue 09:00-12:00", "sat"]
        until = 2026-12-24
        from = ["10.0.0.0/8", "::1"]
        house = "alarm_control_panel.house = disarmed"
        orders = ["lock", "user add"]
        values = { locked = true }
        step_up = "totp"
        uses = 3
        """
    )
    assert parse_grant(table, "here", BERLIN) == Grant(
        Privilege.ACCESS,
        "lock.*",
        origin="here",
        when=parse_when(["tue 09:00-12:00", "sat"]),
        values=parse_values({"locked": True}),
        sources=(ip_network("10.0.0.0/8"), ip_network("::1/128")),
        house=parse_house("alarm_control_panel.house = disarmed"),
        step_up="totp",
        uses=3,
        until=dt.datetime(2026, 12, 25, tzinfo=BERLIN).timestamp(),
        orders=("lock", "user add"),
    )
    assert set(table) == CONDITIONS | {"allow"}


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-12-24", "2026-12-25T00:00+01:00"),
        ("2026-12-24 18:00", "2026-12-24T18:00+01:00"),
        ("2026-07-24T18:00:30", "2026-07-24T18:00:30+02:00"),
        ("2026-12-24 18:00Z", "2026-12-24T18:00+00:00"),
        (dt.date(2026, 12, 24), "2026-12-25T00:00+01:00"),
        (dt.datetime(2026, 12, 24, 18), "2026-12-24T18:00+01:00"),  # noqa: DTZ001 (as TOML has a local time)
        (dt.datetime(2026, 12, 24, 18, tzinfo=dt.UTC), "2026-12-24T18:00+00:00"),
    ],
)
def test_an_end_is_written_as_text_or_as_a_date(written: object, moment: str) -> None:
    """`until` is TOML's own date or time, or text; a time without an offset is the house's, a date is its end."""
    grant = parse_grant({"allow": "read", "until": written}, "here", BERLIN)
    assert grant.until == dt.datetime.fromisoformat(moment).timestamp()


@given(tables())
def test_any_grant_that_is_well_written(written: dict[str, Any]) -> None:
    """Whatever conditions stand together, the rule tells every one of them, and none that is not there."""
    grant = parse_grant(written, "here", BERLIN)
    words = {"orders": " to ", "when": " when ", "values": " with ", "from": " from ", "house": " while "}
    words |= {"until": " until ", "uses": " times", "step_up": " after a"}
    assert {name for name, word in words.items() if word in grant.rule} == set(written) - {"allow", "deny"}
    assert grant.plain == (len(written) == 1)
    assert grant.told == f"{grant.rule} (here)"
    assert grant.rule.startswith("deny ") == ("deny" in written)
    assert parse_grant(written, "here", BERLIN).id == grant.id


@pytest.mark.parametrize(
    "written",
    [
        *("", "read:", "Read", "look", "read light.*", "control:light desk", "control:LIGHT.*", "control:light.*\n"),
        *("control:@", "control:@a@b", "admin:light.*", "control:" + "x" * 129, "control:lïght.*", "control:a:b"),
        *({}, {"allow": "read", "deny": "read"}, {"allow": 5}, {"allow": ["read"]}, {"deny": ""}),
        *({"allow": "read", "whem": "mon"}, {"alow": "read"}, {"when": "mon"}),
    ],
)
def test_grants_that_are_not_understood(written: Written) -> None:
    """A grant with anything in it that is not understood is refused, naming where it stands."""
    with pytest.raises(SiteError, match=r"^here: "):
        parse_grant(written, "here")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("whem", "mon", "unknown key 'whem' in a grant, did you mean 'when'?"),
        ("value", {"on": True}, "unknown key 'value' in a grant, did you mean 'values'?"),
        ("zzzzzzz", 1, "unknown key 'zzzzzzz' in a grant"),
        ("sources", "10.0.0.0/8", "unknown key 'sources' in a grant"),
        ("when", "monday", "'monday' is no day"),
        ("when", "", "is no time window"),
        ("when", [], "a time window is a text such as"),
        ("when", 5, "a time window is a text such as"),
        ("when", "today", "'today' is no day here; write its date"),
        ("until", "tomorrow", "'tomorrow' is no moment"),
        ("until", "", "'' is no moment"),
        ("until", 1780401600, "'1780401600' is no moment"),
        ("until", dt.time(12), "'12:00:00' is no moment"),
        ("from", "home", "from: 'home' is no network"),
        ("from", [], "from is a network such as"),
        ("house", "locked", "house: 'locked' is not DEVICE = STATE"),
        ("house", [], "house is text such as"),
        ("orders", "dim", "orders is a list of orders such as"),
        ("orders", [], "orders is a list of orders such as"),
        ("orders", ["dim", 5], "orders is a list of orders such as"),
        ("orders", ["DIM"], "orders is a list of orders such as"),
        ("orders", ["dim desk 40"], "orders is a list of orders such as"),
        ("values", "..60", "values is a table such as"),
        ("values", {}, "values is a table such as"),
        ("values", {"brightness": ".."}, "values.brightness: '..' bounds nothing"),
        ("values", {"brigthness": "..60"}, "values: 'brigthness' is nothing an order sets"),
        ("step_up", "password", 'step_up is "totp" or "confirm"'),
        ("step_up", True, 'step_up is "totp" or "confirm"'),
        ("step_up", ["totp"], 'step_up is "totp" or "confirm"'),
        ("step_up", "", 'step_up is "totp" or "confirm"'),
        ("uses", 0, "uses is a number of orders from 1"),
        ("uses", -1, "uses is a number of orders from 1"),
        ("uses", True, "uses is a number of orders from 1"),
        ("uses", 1.5, "uses is a number of orders from 1"),
        ("uses", "3", "uses is a number of orders from 1"),
        ("uses", 10**6, "uses is a number of orders from 1"),
    ],
)
def test_conditions_that_are_not_understood(key: str, value: object, message: str) -> None:
    """A condition that is badly written refuses the grant: one line that names the file, the grant and the key."""
    with pytest.raises(SiteError) as caught:
        parse_grant({"allow": "control:light.*", key: value}, "authorized_users/anna.toml", BERLIN)
    told = caught.value.message
    assert told.startswith("authorized_users/anna.toml: ")
    assert message in told
    assert told.startswith("authorized_users/anna.toml: unknown key") or "grant 'control:light.*': " in told
    assert told.isprintable()


@pytest.mark.parametrize("verdict", ["allow", "deny"])
@pytest.mark.parametrize("privilege", PRIVILEGES)
@pytest.mark.parametrize("condition", sorted(CONDITIONS))
def test_conditions_that_mean_nothing(verdict: str, privilege: Privilege, condition: str) -> None:
    """A condition that would mean nothing where it stands is refused by name: it is no comment."""
    for value in WELL_WRITTEN[condition]:
        written = {verdict: privilege, condition: value}
        if condition in MEANT[verdict, privilege]:
            assert not parse_grant(written, "here").plain
        else:
            with pytest.raises(SiteError, match=rf"^here: '{condition}' means nothing on a (deny$|grant to )"):
                parse_grant(written, "here")


@given(
    st.dictionaries(
        st.sampled_from([*sorted(CONDITIONS), "allow", "deny", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=4,
        )
        | st.sampled_from(["read", "control:light.*", "access", "admin", "10.0.0.0/8", "mon", "totp"]),
        max_size=4,
    )
)
def test_any_table_is_a_grant_or_a_site_error(written: dict[str, Any]) -> None:
    """Whatever stands in a table, it is a grant or a SiteError that says where."""
    try:
        where = parse_grant(written, "here", BERLIN).origin
    except SiteError as error:
        where = error.message.partition(": ")[0]
    assert where == "here"


# -- what it covers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["@*", "@k*", "@[k]ids", "light", "desk", "light.", ".desk"])
def test_scopes_that_nothing_can_be_in(scope: str) -> None:
    """A scope in which no device can ever be is refused: a deny that denies nothing is a hole."""
    with pytest.raises(SiteError):
        parse_grant({"deny": f"read:{scope}"}, "here")


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("*", set(HOUSE), set()),
        ("light.*", {"light.desk"}, {"lock.front_door"}),
        ("light.desk", {"light.desk"}, {"light.kids"}),
        ("@kids", {"light.kids", "climate.kids", "light.night"}, {"light.desk"}),
        ("*.kids", {"light.kids", "climate.kids"}, {"light.night"}),
        ("light.k?ds", {"light.kids"}, {"light.desk"}),
        ("light.[!k]*", {"light.desk"}, {"light.kids"}),
    ],
)
def test_scopes(scope: str, inside: set[str], outside: set[str]) -> None:
    """A scope holds the devices its id, glob or room names."""
    grant = Grant(Privilege.READ, scope)
    assert all(grant.covers(HOUSE[device_id]) for device_id in inside)
    assert not any(grant.covers(HOUSE[device_id]) for device_id in outside)


@pytest.mark.parametrize("held", PRIVILEGES)
@pytest.mark.parametrize("wanted", PRIVILEGES)
def test_what_a_privilege_includes(held: Privilege, wanted: Privilege) -> None:
    """`control` and `access` include `read` of the same scope; nothing else includes anything."""
    includes = held == wanted or (wanted == "read" and held in {"control", "access"})
    assert Grant(held).gives(wanted) is includes


# -- what it asks -----------------------------------------------------------------------------------------------------

#: For each condition a grant on which it does not hold at noon, and what is then told.
NOT_MET: Mapping[str, tuple[Any, dict[str, Any], str]] = {
    "when": ("sat 09:00-12:00", {}, "only sat 09:00-12:00, next Sat 6 Jun 09:00"),
    "when, today": ("15:00-16:00", {}, "only 15:00-16:00, next today 15:00"),
    "when, over": ("2026-06-01", {}, "only 2026-06-01, never again"),
    "until": ("2026-06-02 13:00", {}, "ended today 13:00"),
    "until, just now": ("2026-06-02 14:00", {}, "ended today 14:00"),
    "from": (["10.0.0.0/8", "::1"], {}, "only from 10.0.0.0/8, ::1/128"),
    "house": ("lock.front_door = unlocked", {}, "only while lock.front_door = unlocked"),
    "house, unknown": ("climate.living.humidity < 50", {}, "only while climate.living.humidity < 50"),
    "house, hidden": ("lock.front_door = unlocked", {"sees": lambda _: False}, "not as the house is now"),
    "house, missing": ("lock.nosuch = unlocked", {}, "not as the house is now"),
    "orders": (["dim", "on"], {"order": "off"}, "only to dim or on"),
    "values": (
        {"brightness": "..60"},
        {"device": HOUSE["light.desk"], "change": {"brightness": 61}},
        "brightness only ..60 %",
    ),
    "uses": (3, {"used": lambda _: 3}, "used 3 of 3 times"),
}
#: For each condition what makes it hold.
MET: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "when": ("tue 14:00-15:00", {}),
    "until": ("2026-06-02 14:01", {}),
    "from": (["10.0.0.0/8", "127.0.0.0/8"], {}),
    "house": ("lock.front_door = locked", {}),
    "house, hidden": ("lock.front_door = locked", {"sees": lambda _: False}),
    "orders": (["dim", "on"], {"order": "dim"}),
    "values": ({"brightness": "..60"}, {"device": HOUSE["light.desk"], "change": {"brightness": 60}}),
    "values, not known yet": ({"brightness": "..60"}, {"device": HOUSE["light.desk"]}),
    "values, of another attribute": ({"position": "..60"}, {"device": HOUSE["light.desk"], "change": {"on": True}}),
    "uses": (3, {"used": lambda _: 2}),
    "step_up": ("totp", {}),
}


@pytest.mark.parametrize("name", NOT_MET)
def test_what_is_not_met_is_told(name: str) -> None:
    """A condition that does not hold is told in words that say when it would; a hidden device is not named."""
    value, how, told = NOT_MET[name]
    grant = parse_grant({"allow": "control:light.*", name.partition(",")[0]: value}, "here", BERLIN)
    assert says(grant, **how) == [told]


@pytest.mark.parametrize("name", MET)
def test_what_is_met_is_not_told(name: str) -> None:
    """A condition that holds is nothing to tell of; a step-up is not asked here."""
    value, how = MET[name]
    grant = parse_grant({"allow": "control:light.*", name.partition(",")[0]: value}, "here", BERLIN)
    assert says(grant, **how) == []


def test_everything_that_is_not_met_is_told() -> None:
    """All conditions that do not hold are told at once, each in its own words."""
    written = {name: value for name, (value, _, _) in NOT_MET.items() if name in CONDITIONS}
    how = {key: value for name in written for key, value in NOT_MET[name][1].items()}
    told = says(parse_grant({"allow": "control:light.*", **written}, "here", BERLIN), **how)
    assert sorted(told) == sorted(NOT_MET[name][2] for name in written)


def test_who_may_look_whatever_is_not_met() -> None:
    """How far a grant reaches depends on its end and on where one is, and on nothing else."""
    written = {name: value for name, (value, _, _) in NOT_MET.items() if name in CONDITIONS}
    how = {key: value for name in written for key, value in NOT_MET[name][1].items()}
    grant = parse_grant({"allow": "control:light.*", **written}, "here", BERLIN)
    assert [unmet.condition for unmet in grant.unmet(facts(**how), reach=True)] == ["until", "from"]
    # Where it is not known where somebody is, they may be where it reaches.
    assert [unmet.condition for unmet in grant.unmet(facts(**how, source=""), reach=True)] == ["until"]
    assert "from" in [unmet.condition for unmet in grant.unmet(facts(**how, source=""))]


#: For each condition a deny that is in force because of it, with what is told, and one that is not.
BARS: Mapping[str, tuple[Any, dict[str, Any], str]] = {
    "when": ("12:00-16:00", {}, "not 12:00-16:00, until today 16:00"),
    "when, always": ("mon-sun", {}, "not mon-sun"),
    "until": ("2026-06-03 18:00", {}, "not before tomorrow 18:00"),
    "from": ("127.0.0.0/8", {}, "not from 127.0.0.0/8"),
    "from, not known": ("10.0.0.0/8", {"source": ""}, "not from 10.0.0.0/8"),
    "house": ("lock.front_door = locked", {}, "not while lock.front_door = locked"),
    "house, hidden": ("lock.front_door = locked", {"sees": lambda _: False}, "not as the house is now"),
    "house, unknown": ("climate.living.humidity < 50", {}, "not while climate.living.humidity < 50"),
    "house, missing": ("lock.nosuch = locked", {}, "not as the house is now"),
    "orders": (["dim", "on"], {"order": "on"}, "not to dim or on"),
    "values": (
        {"brightness": "61.."},
        {"device": HOUSE["light.desk"], "change": {"brightness": 61}},
        "not with brightness 61.. %",
    ),
    "values, not known": (
        {"brightness": "61.."},
        {"device": HOUSE["light.desk"].with_state({"brightness": None}), "change": {"on": True}},
        "not with brightness 61.. %",
    ),
}
BARS_NOT: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "when": ("16:00-18:00", {}),
    "until": ("2026-06-02 14:00", {}),
    "from": ("10.0.0.0/8", {}),
    "house": ("lock.front_door = unlocked", {}),
    "house, not all of it": (["lock.front_door = unlocked", "lock.nosuch = locked"], {}),
    "orders": (["dim", "on"], {"order": "off"}),
    "values": ({"brightness": "61.."}, {"device": HOUSE["light.desk"], "change": {"brightness": 60}}),
    "values, not known yet": ({"brightness": "61.."}, {"device": HOUSE["light.desk"]}),
    "values, of what takes no device": ({"brightness": "61.."}, {}),
}


@pytest.mark.parametrize("name", BARS)
def test_a_deny_in_force(name: str) -> None:
    """A deny is in force while its condition holds, or may hold for all that is known; it tells what that is."""
    value, how, told = BARS[name]
    deny = parse_grant({"deny": "control:light.*", name.partition(",")[0]: value}, "here", BERLIN)
    assert deny.bars(facts(**how))
    assert [unmet.says for unmet in deny.barring(facts(**how))] == [told]


@pytest.mark.parametrize("name", BARS_NOT)
def test_a_deny_not_in_force(name: str) -> None:
    """A deny whose condition certainly does not hold is as if it were not written."""
    value, how = BARS_NOT[name]
    deny = parse_grant({"deny": "control:light.*", name.partition(",")[0]: value}, "here", BERLIN)
    assert not deny.bars(facts(**how))


def test_a_deny_takes_all_of_its_conditions() -> None:
    """One condition that does not hold is enough to keep a deny with several from being in force."""
    all_of = {name: BARS[name][0] for name in BARS if name in CONDITIONS}
    how = {key: value for name in all_of for key, value in BARS[name][1].items()}
    assert parse_grant({"deny": "control:light.*", **all_of}, "here", BERLIN).bars(facts(**how))
    for name in all_of:
        but_one = {**all_of, name: BARS_NOT[name][0]}
        assert not parse_grant({"deny": "control:light.*", **but_one}, "here", BERLIN).bars(
            facts(**{**how, **BARS_NOT[name][1]})
        ), name


# -- what its uses are counted under ----------------------------------------------------------------------------------


def test_a_grant_that_is_changed_is_another() -> None:
    """A grant is counted anew when anything of it is changed or it stands elsewhere, and not when it stays the same."""
    base = {"allow": "access:lock.*", "uses": 3}
    others = [
        parse_grant({**base, name: value}, "here", BERLIN)
        for name in CONDITIONS
        for value in ([4] if name == "uses" else WELL_WRITTEN[name])
    ]
    others += [parse_grant({**base, "allow": "access:lock.front_door"}, "here"), parse_grant(base, "there")]
    assert len({grant.id for grant in (parse_grant(base, "here"), *others)}) == len(others) + 1
    assert parse_grant(base, "here").id == parse_grant(dict(base), "here").id


# -- roles ------------------------------------------------------------------------------------------------------------


def test_built_in_roles() -> None:
    """The built-in roles are those of the contract, and the guest's comforts are all that child and guest have."""
    comfort = ("read", "control:light.*", "control:switch.*", "control:fan.*", "control:media_player.*")
    assert dict(BUILT_IN_ROLES) == {
        "admin": ("read", "control", "access", "admin"),
        "resident": ("read", "control", "access"),
        "guest": (*comfort, "control:scene.*"),
        "child": (*comfort, "control:scene.*"),
        "viewer": ("read",),
    }
    assert Roles().names() == tuple(BUILT_IN_ROLES)


def test_own_roles() -> None:
    """A site's role is a list of grants; it cannot take a built-in role's name, nor hold what is not understood."""
    roles = Roles({"cleaner": ["control:light.*", {"deny": "read:@kids", "until": "2026-12-24 18:00"}]}, BERLIN)
    assert [str(grant) for grant in roles["cleaner"]] == [
        "control:light.* (sshhome.toml: role cleaner)",
        "deny read:@kids until 2026-12-24 17:00Z (sshhome.toml: role cleaner)",
    ]
    with pytest.raises(SiteError, match=r"roles\.guest: this role is built in"):
        Roles({"guest": ["read"]})
    with pytest.raises(SiteError, match=r"sshhome\.toml: role cleaner: grant 'access:lock\.front_door': 'dienstag'"):
        Roles({"cleaner": [{"allow": "access:lock.front_door", "when": "dienstag 09:00-12:00"}]})
    with pytest.raises(KeyError):
        roles["nosuch"]


def test_orders_are_those_there_are() -> None:
    """Where it is known which orders there are, a grant that names another one is refused: a deny of it is a hole."""
    known = ("dim", "on", "unlock")
    written = {"deny": "access:lock.*", "orders": ["unlok"]}
    assert Roles({"kid": [written]})["kid"][0].orders == ("unlok",)
    with pytest.raises(SiteError, match="here: orders: no order 'unlok', did you mean 'unlock'"):
        Roles(orders=known).grant(written, "here")
    with pytest.raises(SiteError, match=r"sshhome\.toml: role kid: orders: no order 'unlok'"):
        Roles({"kid": [written]}, orders=known)
    assert Roles(orders=known).grant({**written, "orders": ["unlock"]}, "here").orders == ("unlock",)


def test_decisions_name_their_rule() -> None:
    """A grant tells its rule as it is written, and where that stands."""
    assert str(parse_grant("admin", "role admin")) == "admin (role admin)"
    assert str(parse_grant({"deny": "read:@kids"}, "anna")) == "deny read:@kids (anna)"
    written = {"allow": "access:lock.*", "when": "TUE 09:00-12:00", "step_up": "confirm", "uses": 2}
    written |= {"from": "10.0.0.0/8", "values": {"locked": True}, "until": "2026-12-24", "orders": ["lock"]}
    assert parse_grant({**written, "house": "light.desk = on"}, "anna").rule == (
        "access:lock.* to lock when tue 09:00-12:00 with locked on from 10.0.0.0/8 while light.desk = on "
        "until 2026-12-25 00:00Z 2 times after a confirmation"
    )
