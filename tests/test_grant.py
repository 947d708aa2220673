"""From a user's grants to one decision: default deny, a deny always wins, nothing is half understood."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.device import Device
from sshhome.errors import SiteError
from sshhome.grant import BUILT_IN_ROLES, CONDITIONS, Grant, Privilege, Roles, decide, holds, parse_grant

HOUSE = {device.id: device for device in family_house()}
PRIVILEGES = list(Privilege)
SCOPES = ["*", "light.*", "light.desk", "@kids", "*.kids", "lock.*", "[l]ock.front_door", "@nosuch"]
GRANTS = st.builds(Grant, st.sampled_from(PRIVILEGES), st.sampled_from(SCOPES), st.booleans())
DEVICES = st.sampled_from(list(HOUSE.values()))


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
def test_grants_as_written(written: str | Mapping[str, Any], grant: Grant) -> None:
    """A grant is a privilege and a scope, as text or as a table that allows or denies."""
    assert parse_grant(written, "here") == grant


@pytest.mark.parametrize("condition", sorted(CONDITIONS))
@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_conditions_are_refused(condition: str, verdict: str) -> None:
    """A condition that is not enforced refuses the grant, by name, rather than being half obeyed."""
    with pytest.raises(SiteError, match=f"here: condition '{condition}' of a grant is not supported yet"):
        parse_grant({verdict: "access:lock.safe", condition: "x"}, "here")


@pytest.mark.parametrize(
    "written",
    [
        *("", "read:", "Read", "look", "read light.*", "control:light desk", "control:LIGHT.*", "control:light.*\n"),
        *("control:@", "control:@a@b", "admin:light.*", "control:" + "x" * 129, "control:lïght.*", "control:a:b"),
        *({}, {"allow": "read", "deny": "read"}, {"allow": 5}, {"allow": ["read"]}, {"deny": ""}),
        *({"allow": "read", "whem": "mon"}, {"alow": "read"}),
    ],
)
def test_grants_that_are_not_understood(written: str | Mapping[str, Any]) -> None:
    """A grant with anything in it that is not understood is refused, naming where it stands."""
    with pytest.raises(SiteError, match=r"^here: "):
        parse_grant(written, "here")


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
    grants = [Grant(held, "light.*")]
    assert decide(grants, wanted, HOUSE["light.desk"]).allowed is includes
    assert holds(grants, wanted).allowed is includes
    assert not decide(grants, wanted, HOUSE["lock.front_door"]).allowed


@given(st.lists(GRANTS), DEVICES, st.sampled_from(PRIVILEGES))
def test_default_is_deny(grants: list[Grant], device: Device, privilege: Privilege) -> None:
    """Nothing is allowed that no grant allows: without any allow there is no yes."""
    denies = [grant for grant in grants if grant.deny]
    assert not decide(denies, privilege, device).allowed
    assert not holds(denies, privilege).allowed
    assert decide([], privilege, device).rule == "no grant"


@given(st.lists(GRANTS), GRANTS, st.integers(0, 99), DEVICES, st.sampled_from(PRIVILEGES))
def test_a_deny_never_allows(grants: list[Grant], more: Grant, at: int, device: Device, privilege: Privilege) -> None:
    """One more deny, wherever it stands, never allows anything more, and what it covers is denied."""
    deny = Grant(more.privilege, more.scope, deny=True)
    denied = [*grants[:at], deny, *grants[at:]]
    assert decide(denied, privilege, device).allowed <= decide(grants, privilege, device).allowed
    assert holds(denied, privilege).allowed <= holds(grants, privilege).allowed
    if deny.privilege in {privilege, Privilege.READ} and deny.covers(device):
        assert not decide(denied, privilege, device).allowed


@given(st.lists(GRANTS), DEVICES, st.randoms(use_true_random=False), st.sampled_from(PRIVILEGES))
def test_order_does_not_matter(grants: list[Grant], device: Device, chance: Any, privilege: Privilege) -> None:  # noqa: ANN401 (hypothesis's own Random)
    """A decision is the same in whichever order the grants stand."""
    shuffled = list(grants)
    chance.shuffle(shuffled)
    assert decide(grants, privilege, device).allowed == decide(shuffled, privilege, device).allowed
    assert holds(grants, privilege).allowed == holds(shuffled, privilege).allowed


@given(st.lists(GRANTS), DEVICES, st.sampled_from(PRIVILEGES))
def test_what_is_hidden_cannot_be_operated(grants: list[Grant], device: Device, privilege: Privilege) -> None:
    """Whoever may operate a device may see it, whatever the grants are."""
    if privilege is not Privilege.ADMIN and decide(grants, privilege, device).allowed:
        assert decide(grants, Privilege.READ, device).allowed


def test_decisions_name_their_rule() -> None:
    """A decision tells the rule that made it and where that stands."""
    grants = [Grant(Privilege.CONTROL, "light.*", origin="role guest"), parse_grant({"deny": "read:@kids"}, "anna")]
    assert decide(grants, Privilege.CONTROL, HOUSE["light.desk"]).rule == "control:light.* (role guest)"
    assert decide(grants, Privilege.CONTROL, HOUSE["light.kids"]).rule == "deny read:@kids (anna)"
    assert str(parse_grant("admin", "role admin")) == "admin (role admin)"


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
    roles = Roles({"cleaner": ["control:light.*", {"deny": "read:@kids"}]})
    assert [str(grant) for grant in roles["cleaner"]] == [
        "control:light.* (sshhome.toml: role cleaner)",
        "deny read:@kids (sshhome.toml: role cleaner)",
    ]
    with pytest.raises(SiteError, match=r"roles\.guest: this role is built in"):
        Roles({"guest": ["read"]})
    with pytest.raises(SiteError, match="condition 'when'"):
        Roles({"cleaner": [{"allow": "access:lock.front_door", "when": "tue 09:00-12:00"}]})
    with pytest.raises(KeyError):
        roles["nosuch"]
