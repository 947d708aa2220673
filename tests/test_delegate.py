"""What somebody may hand out: what they certainly hold themselves, and nothing that only may be within it."""

import fnmatch
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.condition import Facts
from sshhome.delegate import _contains, _meet, lacking, looks_after, widening
from sshhome.device import Device, State
from sshhome.grant import Grant, Privilege, Roles, parse_grant
from sshhome.policy import Policy, Rights
from sshhome.session import Standing
from sshhome.user import User, parse_user
from tests.conftest import NOON

ZONE = ZoneInfo("Europe/Berlin")
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@laptop"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
DEVICES = {device.id: device for device in family_house()}


def grant(written: str | dict[str, Any]) -> Grant:
    """Return a grant as it is written."""
    return parse_grant(written, "test", ZONE)


def giver(*policies: list[str | dict[str, Any]], until: float | None = None) -> Standing:
    """Return somebody who holds what all these lists of grants give."""
    rights = Rights(tuple(Policy([grant(written) for written in policy]) for policy in policies))
    return Standing(User("giver", "Giver", until=until), rights)


def user(text: str) -> User:
    """Return the user of a file's text."""
    return parse_user("anna", text, Roles(None, ZONE))


# -- one grant --------------------------------------------------------------------------------------------------------

LIGHTS = "control:light.*"
#: What is held, and what is within it.
WITHIN: list[tuple[str | dict[str, Any], str | dict[str, Any]]] = [
    ("read", "read"),
    ("read", "read:@kids"),
    ("read", {"allow": "read:light.desk", "when": "tue"}),
    (LIGHTS, LIGHTS),
    ("control", LIGHTS),
    (LIGHTS, "control:light.desk"),
    (LIGHTS, "control:light.d*"),
    (LIGHTS, "control:light.[dk]*"),
    ("control:*.desk", "control:light.desk"),
    (LIGHTS, "read:light.desk"),
    ("access:@hall", "access:@hall"),
    ("access:@hall", "read:@hall"),
    ("admin", "admin"),
    ("admin", {"allow": "admin", "when": "mon-fri 09:00-17:00"}),
    (LIGHTS, {"allow": LIGHTS, "uses": 3}),
    (LIGHTS, {"allow": LIGHTS, "values": {"brightness": "..60"}, "from": "10.0.0.0/8", "step_up": "totp"}),
    ({"allow": LIGHTS, "when": "mon-fri 08:00-18:00"}, {"allow": LIGHTS, "when": "tue 09:00-12:00"}),
    ({"allow": LIGHTS, "when": "mon-fri 08:00-18:00"}, "read:light.desk"),
    ({"allow": LIGHTS, "values": {"brightness": "..60"}}, {"allow": LIGHTS, "values": {"brightness": "10..50"}}),
    ({"allow": LIGHTS, "values": {"brightness": "..60"}}, "read:light.desk"),
    ({"allow": LIGHTS, "from": ["10.0.0.0/8", "fd00::/8"]}, {"allow": LIGHTS, "from": ["10.1.0.0/16", "fd00::/64"]}),
    (
        {"allow": LIGHTS, "house": "switch.tv = on"},
        {"allow": LIGHTS, "house": ["switch.tv = on", "light.desk = off"]},
    ),
    ({"allow": LIGHTS, "step_up": "totp"}, {"allow": LIGHTS, "step_up": "totp"}),
    ({"allow": LIGHTS, "step_up": "totp"}, "read:light.*"),
    ({"allow": LIGHTS, "orders": ["on", "off"]}, {"allow": LIGHTS, "orders": ["on"]}),
    ({"allow": LIGHTS, "until": "2026-12-24"}, {"allow": LIGHTS, "until": "2026-12-24"}),
    ({"allow": LIGHTS, "until": "2026-12-24"}, {"allow": "read:light.desk", "until": "2026-12-23"}),
    ({"allow": LIGHTS, "uses": 3}, "read:light.*"),
]
#: What is held, and what is not within it, or not certainly.
BEYOND: list[tuple[str | dict[str, Any], str | dict[str, Any]]] = [
    ("read", "control:light.desk"),
    ("control", "access:lock.front_door"),
    ("access", "control:light.desk"),
    ("admin", "read"),
    ("control", "admin"),
    (LIGHTS, "control"),
    (LIGHTS, "control:@kids"),
    (LIGHTS, "control:l*.*"),
    ("control:light.d*", LIGHTS),
    ("control:light.[!a]*", "control:light.?x"),
    ("control:@kids", "control:light.night"),
    ("control:@kids", "control:@hall"),
    ("control:@kids", "control"),
    ({"allow": LIGHTS, "when": "tue 09:00-12:00"}, LIGHTS),
    ({"allow": LIGHTS, "when": "tue 09:00-12:00"}, {"allow": LIGHTS, "when": "tue 09:00-12:01"}),
    ({"allow": "read", "when": "tue"}, "read:light.desk"),
    ({"allow": LIGHTS, "values": {"brightness": "..60"}}, LIGHTS),
    ({"allow": LIGHTS, "values": {"brightness": "..60"}}, {"allow": LIGHTS, "values": {"brightness": "..61"}}),
    ({"allow": LIGHTS, "values": {"brightness": "..60"}}, {"allow": LIGHTS, "values": {"color": "red"}}),
    ({"allow": LIGHTS, "from": "10.0.0.0/8"}, LIGHTS),
    ({"allow": LIGHTS, "from": "10.0.0.0/8"}, {"allow": LIGHTS, "from": ["10.0.0.0/8", "11.0.0.0/8"]}),
    ({"allow": LIGHTS, "from": "10.0.0.0/8"}, "read:light.desk"),
    ({"allow": LIGHTS, "house": "switch.tv = on"}, LIGHTS),
    ({"allow": LIGHTS, "house": "switch.tv = on"}, {"allow": LIGHTS, "house": "switch.tv = off"}),
    ({"allow": LIGHTS, "step_up": "totp"}, LIGHTS),
    ({"allow": LIGHTS, "step_up": "totp"}, {"allow": LIGHTS, "step_up": "confirm"}),
    ({"allow": LIGHTS, "orders": ["on"]}, LIGHTS),
    ({"allow": LIGHTS, "orders": ["on"]}, {"allow": LIGHTS, "orders": ["on", "off"]}),
    ({"allow": LIGHTS, "until": "2026-12-24"}, LIGHTS),
    ({"allow": LIGHTS, "until": "2026-12-24"}, {"allow": LIGHTS, "until": "2026-12-25"}),
    ({"allow": LIGHTS, "until": "2026-12-24"}, "read:light.desk"),
    ({"allow": LIGHTS, "uses": 3}, {"allow": LIGHTS, "uses": 1}),
]


@pytest.mark.parametrize(("held", "given_on"), WITHIN)
def test_what_is_held(held: str | dict[str, Any], given_on: str | dict[str, Any]) -> None:
    """What is the same or less, in each respect that a rule has, may be handed out."""
    assert lacking(giver([held]), grant(given_on)) == ""


@pytest.mark.parametrize(("held", "given_on"), BEYOND)
def test_what_is_not_held(held: str | dict[str, Any], given_on: str | dict[str, Any]) -> None:
    """What is more in one respect, or only may be within what is held, is refused with a reason."""
    why = lacking(giver([held]), grant(given_on))
    assert why.startswith(("you do not hold '", "you hold no more than '"))


def test_a_narrower_key_counts() -> None:
    """Whoever comes with a narrower key hands out what both the key and its owner may."""
    both = giver(["read", "control", "admin"], [LIGHTS, "admin"])
    assert lacking(both, grant("control:light.desk")) == ""
    assert lacking(both, grant("control:switch.tv")) == "you do not hold 'control:switch.tv' yourself"


DENIES: list[tuple[str | dict[str, Any], str, bool]] = [
    ({"deny": "read:@kids"}, "control:@hall", True),
    ({"deny": "read:@kids"}, "control:@kids", False),
    ({"deny": "read:@kids"}, "control:light.desk", False),
    ({"deny": "read:lock.*"}, LIGHTS, True),
    ({"deny": "read:light.desk"}, "control:light.d*", False),
    ({"deny": "read:light.desk"}, "control:light.k*", True),
    ({"deny": "control:light.desk"}, "read:light.desk", True),
    ({"deny": "control:light.desk"}, "access:light.desk", True),
    ({"deny": "access"}, LIGHTS, True),
    ({"deny": "control:light.desk", "when": "tue"}, LIGHTS, False),
    ({"deny": "read:light.desk"}, "admin", True),
    ({"deny": "read"}, "admin", False),
    ({"deny": "admin"}, "admin", False),
    ({"deny": "admin"}, LIGHTS, True),
]


@pytest.mark.parametrize(("deny", "given_on", "may"), DENIES)
def test_denies_of_the_giver(deny: str | dict[str, Any], given_on: str, *, may: bool) -> None:
    """What a deny of theirs may touch, nobody hands out, unless the other is kept from it as well."""
    standing = giver(["read", "control", "access", "admin", deny])
    assert (lacking(standing, grant(given_on)) == "") == may
    assert lacking(standing, grant(given_on), [grant(deny)]) == ""


def test_a_weaker_deny_beside_it_is_not_enough() -> None:
    """What the other is kept from must be all that the giver is kept from."""
    standing = giver(["control", {"deny": "read:@kids", "when": "20:00-07:00"}])
    for beside, enough in (
        ({"deny": "read:@kids"}, True),
        ({"deny": "read"}, True),
        ({"deny": "read:@kids", "when": "20:00-07:00"}, True),
        ({"deny": "read:@kids", "when": "21:00-07:00"}, False),
        ({"deny": "control:@kids"}, False),
        ({"deny": "read:light.night"}, False),
    ):
        assert (lacking(standing, grant("control"), [grant(beside)]) == "") == enough


def test_the_end_of_the_giver() -> None:
    """Whoever ends hands out nothing that outlasts them."""
    standing = giver(["read", "admin"], until=NOON)
    assert lacking(standing, grant("read")) == "'read' would outlast you yourself"
    assert lacking(standing, msgspec.structs.replace(grant("read"), until=NOON)) == ""
    assert lacking(standing, msgspec.structs.replace(grant("read"), until=NOON + 1)) != ""


# -- proof by trying --------------------------------------------------------------------------------------------------

SCOPES = st.sampled_from(
    [
        "*",
        "light.*",
        "light.d*",
        "light.desk",
        "light.?esk",
        "l*.desk",
        "*.desk",
        "light.[a-k]*",
        "light.[!a-k]*",
        "@study",
        "@kids",
        "light.night",
        "lock.*",
        "lock.front_door",
        "switch.tv",
    ]
)
GLOBS = st.text("ab*?[]!-", min_size=1, max_size=8)
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "when": st.sampled_from(["tue", "tue 09:00-15:00", "mon-fri 08:00-20:00", "20:00-07:00", "2026-06-02"]),
        "values": st.sampled_from(
            [{"brightness": "..60"}, {"brightness": "..40", "color": "red"}, {"color": ["red", "blue"]}, {"on": "on"}]
        ),
        "from": st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", ["10.1.0.0/16", "192.168.0.0/16"]]),
        "house": st.sampled_from(["switch.tv = on", ["switch.tv = on", "light.hall = off"], "light.nowhere = on"]),
        "until": st.sampled_from(["2026-06-02", "2026-06-03", "2026-06-01"]),
        "step_up": st.sampled_from(["totp", "confirm"]),
        "uses": st.sampled_from([1, 3]),
        "orders": st.sampled_from([["on"], ["on", "dim"], ["unlock"]]),
    },
)
MEANINGLESS = {
    Privilege.READ: {"orders", "values", "step_up", "uses"},
    Privilege.ADMIN: {"values", "uses"},
}


@st.composite
def grants(draw: st.DrawFn, *, may_deny: bool = False) -> Grant:
    """Return some grant."""
    privilege = draw(st.sampled_from([*Privilege]))
    deny = may_deny and draw(st.booleans())
    without = MEANINGLESS.get(privilege, set()) | ({"step_up", "uses"} if deny else set())
    drawn = draw(TABLES)
    # Two at most: what asks for more hardly ever holds.
    names = draw(st.permutations([name for name in drawn if name not in without]))[:2]
    table = {name: drawn[name] for name in names}
    scope = "" if privilege is Privilege.ADMIN else f":{draw(SCOPES)}"
    return grant({"deny" if deny else "allow": f"{privilege}{scope}", **table})


CHANGES: list[tuple[str, State | None]] = [
    ("light.desk", {"on": True}),
    ("light.desk", {"brightness": 30}),
    ("light.desk", {"brightness": 50}),
    ("light.desk", {"hue": 0, "saturation": 100}),
    ("light.night", {"brightness": 70}),
    ("light.night", None),
    ("lock.front_door", {"locked": False}),
    ("switch.tv", {"on": False}),
    ("light.kitchen", {"on": False}),
]


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Return what somebody may find when they ask."""
    device_id, change = draw(st.sampled_from(CHANGES))
    devices = dict(DEVICES)
    for id_, on in (("switch.tv", draw(st.booleans())), ("light.hall", draw(st.booleans()))):
        devices[id_] = devices[id_].with_state({"on": on}, available=draw(st.booleans()))
    return Facts(
        now=NOON + 3600 * draw(st.integers(-40, 40)),
        zone=ZONE,
        source=draw(st.sampled_from(["10.1.2.3", "10.2.3.4", "192.168.1.1", "fd00::1"])),
        order=draw(st.sampled_from(["on", "dim", "unlock", "user list"])),
        device=devices[device_id],
        change=change,
        proved=draw(st.sampled_from([frozenset(), frozenset({"totp"}), frozenset({"confirm"})])),
        devices=devices,
    )


def may(policies: tuple[Policy, ...], privilege: Privilege, found: Facts) -> bool:
    """Return whether all these let somebody do something and go on doing it, or see a device, on no count."""
    rights = Rights(policies)
    assert isinstance(found.device, Device)
    if privilege is Privilege.ADMIN:
        # No order that runs the server takes a device.
        return rights.holds(privilege, found).allowed
    decision = rights.decide(privilege, found.device, found)
    return decision.allowed and not decision.used


@st.composite
def near(draw: st.DrawFn, held: Grant) -> Grant:
    """Return a grant that is one that is held, but for a few respects."""
    other = draw(grants())
    if Privilege.ADMIN in {held.privilege, other.privilege}:
        return other
    fields = ("privilege", "scope", "when", "values", "sources", "house", "until", "step_up", "orders", "uses")
    names = draw(st.lists(st.sampled_from(fields), max_size=3))
    made = msgspec.structs.replace(held, **{name: getattr(other, name) for name in names})
    if made.privilege is Privilege.READ:
        made = msgspec.structs.replace(made, values=None, step_up="", orders=(), uses=0)
    return made


@settings(deadline=None, max_examples=200)
@given(st.lists(grants(may_deny=True), min_size=1, max_size=3), st.lists(grants(), max_size=1), st.data())
def test_what_may_be_handed_out_is_held(own: list[Grant], key: list[Grant], data: st.DataObject) -> None:
    """Whatever a grant that may be handed out allows, whoever hands it out is allowed, and they see what it shows."""
    policies = (Policy([*own, *key]), *([Policy([*key, *own[:1]])] if key else []))
    standing = Standing(User("giver", "Giver"), Rights(policies))
    held = [grant for grant in (*own, *key) if not grant.deny]
    if not held:
        return
    tried = data.draw(st.lists(st.sampled_from(held).flatmap(near), min_size=6, max_size=6))
    found = data.draw(st.lists(facts(), min_size=12, max_size=12))
    for given_on in tried:
        if lacking(standing, given_on) == "":
            new = Rights((Policy([msgspec.structs.replace(given_on, uses=0)]),))
            for each in found:
                is_within(new, standing.rights, each)


def is_within(new: Rights, held: Rights, found: Facts) -> None:
    """Fail if somebody may do or see something by new rights, and not by those that are held."""
    assert found.device is not None
    for privilege in Privilege:
        assert may(new.policies, privilege, found) <= may(held.policies, privilege, found)
        assert new.holds(privilege, found).allowed <= held.holds(privilege, found).allowed
    assert new.sees(found.device, found) <= held.sees(found.device, found)


@settings(max_examples=500)
@given(GLOBS, GLOBS, st.lists(st.text("ab!-]", max_size=6), min_size=10, max_size=10))
def test_globs(one: str, other: str, texts: list[str]) -> None:
    """One glob contains another only if it matches all that the other does; no text is in two that do not meet."""
    for text in texts:
        both = fnmatch.fnmatchcase(text, one), fnmatch.fnmatchcase(text, other)
        assert not (_contains(one, other) and both == (False, True))
        assert _meet(one, other) or both != (True, True)


# -- a whole user -----------------------------------------------------------------------------------------------------

OWNER = giver(["read", "control", "access", "admin"])
#: Holds the lights alone, and runs the server.
LAMPLIGHTER = giver([LIGHTS, "admin"])
KEY = f"keys = ['{LINE}']\n"
#: What a file is before and after, and whether who holds the lights alone may change it so.
STEPS: dict[str, tuple[str | None, str, bool]] = {
    "a new user with less": (None, 'grants = ["control:light.desk"]', True),
    "a new user with more": (None, 'roles = ["resident"]', False),
    "a grant that is held": ('roles = ["resident"]', 'roles = ["resident"]\ngrants = ["control:light.desk"]', True),
    "a grant that is not": ('roles = ["resident"]', 'roles = ["resident"]\ngrants = ["admin", "read:@kids"]', False),
    "less": ('grants = ["control", "access"]', 'grants = ["access"]', True),
    "one more deny": ('grants = ["control"]', 'grants = ["control", { deny = "read:@kids" }]', True),
    "frozen": ('roles = ["resident"]', 'roles = ["resident"]\nfrozen = true', True),
    "thawed with less": ('grants = ["control:light.*"]\nfrozen = true', 'grants = ["control:light.*"]', True),
    "thawed with more": ('roles = ["resident"]\nfrozen = true', 'roles = ["resident"]', False),
    "a key of one with less": ('grants = ["control:light.*"]', f'{KEY}grants = ["control:light.*"]', True),
    "a key of one with more": ('roles = ["resident"]', f'{KEY}roles = ["resident"]', False),
    "a narrow key of one with more": (
        'roles = ["resident"]',
        f'keys = [\'sshhome-grants="control:light.*" {LINE}\']\nroles = ["resident"]',
        False,
    ),
    "a key less": (f'{KEY}roles = ["resident"]', 'roles = ["resident"]', True),
    "the same key for more": (
        f'keys = [\'from="10.0.0.0/8" {LINE}\']\nroles = ["resident"]',
        f'{KEY}roles = ["resident"]',
        False,
    ),
    "a password": ('roles = ["resident"]', f'password = "{HASH}"\nroles = ["resident"]', False),
    "no password": (f'password = "{HASH}"\nroles = ["resident"]', 'roles = ["resident"]', True),
    "one-time codes": ('roles = ["resident"]', f'totp = "{SECRET}"\nroles = ["resident"]', False),
    "no one-time codes": (f'totp = "{SECRET}"\nroles = ["resident"]', 'roles = ["resident"]', False),
    "a later end": ('until = 2026-06-01\nroles = ["resident"]', 'until = 2026-06-02\nroles = ["resident"]', False),
    "no end": ('until = 2026-06-01\nroles = ["resident"]', 'roles = ["resident"]', False),
    "an earlier end": ('until = 2026-06-02\nroles = ["resident"]', 'until = 2026-06-01\nroles = ["resident"]', True),
    "a role, for whose certificate one may come in": (
        'grants = ["access"]',
        'grants = ["access"]\nroles = ["empty"]',
        False,
    ),
    "a deny of what is not held": ('grants = ["control", { deny = "read:@kids" }]', 'grants = ["control"]', False),
    "a deny of what is held": (
        'grants = ["control", { deny = "read:light.night" }]',
        'grants = ["control"]',
        True,
    ),
    "a deny that held nothing back": ('grants = ["access", { deny = "admin" }]', 'grants = ["access"]', True),
    "a deny that another one is as wide as": (
        'grants = ["control", { deny = "read:@kids" }, { deny = "control:@kids" }]',
        'grants = ["control", { deny = "read:@kids" }]',
        True,
    ),
    "a conditional deny": (
        'grants = ["access", { deny = "access:lock.*", when = "20:00-07:00" }]',
        'grants = ["access"]',
        False,
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_changes_of_a_user(step: str) -> None:
    """Who holds a part of the house may change no user so that they could do more through them; the owner may."""
    before, after, allowed = STEPS[step]
    roles = Roles({"empty": []}, ZONE)
    change = (None if before is None else parse_user("anna", before, roles)), parse_user("anna", after, roles)
    assert (widening(LAMPLIGHTER, *change) == "") == allowed
    assert widening(OWNER, *change) == ""


def test_the_end_of_the_other() -> None:
    """What is given to somebody who ends, ends with them: a role, which has no end of its own, can be given so."""
    standing = giver([{"allow": "read", "until": "2026-06-03"}, "admin"])
    assert widening(standing, None, user('grants = ["read"]\nuntil = 2026-06-03')) == ""
    assert widening(standing, None, user('grants = ["read"]\nuntil = 2026-06-04')) != ""
    assert (
        widening(standing, None, user('grants = ["read"]'))
        == "you hold no more than 'read until 2026-06-03 22:00Z' yourself"
    )


def test_the_same_denies_for_the_other() -> None:
    """Who is kept from a room may add a user who is kept from it too, and nobody else."""
    standing = giver(["read", "control", "access", "admin", {"deny": "read:@kids"}])
    kept = user('roles = ["resident"]\ngrants = [{ deny = "read:@kids" }]')
    assert widening(standing, None, kept) == ""
    assert widening(standing, kept, user('roles = ["resident"]')).startswith("'deny read:@kids' keeps you from")
    assert widening(standing, None, user('roles = ["resident"]')).startswith("'deny read:@kids' keeps you from")


def test_a_role_that_denies() -> None:
    """To take a role away may take a deny away, and so give."""
    roles = Roles({"nokids": [{"deny": "read:@kids"}]}, ZONE)
    before, after = (
        parse_user("anna", f'roles = [{named}]\ngrants = ["control"]', roles) for named in ('"nokids"', "")
    )
    assert widening(LAMPLIGHTER, before, after) != ""
    assert widening(OWNER, before, after) == ""


# -- who looks after the house ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        (f'{KEY}roles = ["admin"]', True),
        (f'password = "{HASH}"\nroles = ["admin"]', True),
        (f'{KEY}grants = ["admin", {{ deny = "control" }}]', True),
        ('roles = ["admin"]', False),
        (f'{KEY}roles = ["resident"]', False),
        (f'{KEY}roles = ["admin"]\nfrozen = true', False),
        (f'{KEY}roles = ["admin"]\nuntil = 2030-01-01', False),
        (f'{KEY}grants = [{{ allow = "admin", when = "mon-fri" }}]', False),
        (f'{KEY}roles = ["admin"]\ngrants = [{{ deny = "admin", when = "sun" }}]', False),
        (f'{KEY}roles = ["admin"]\ngrants = [{{ deny = "read" }}]', False),
        (f'keys = [\'sshhome-role="viewer" {LINE}\']\nroles = ["admin"]', False),
        (f'keys = [\'command="whoami" {LINE}\']\nroles = ["admin"]', False),
        (f'keys = [\'expiry-time="20260101" {LINE}\']\nroles = ["admin"]', False),
        (f'{KEY}roles = ["admin"]\ntotp = "{SECRET}"\nrequire = "password+totp"', False),
        (f'{KEY}roles = ["admin"]\ntotp = "{SECRET}"\nrequire = "publickey+totp"', True),
    ],
)
def test_who_looks_after_the_house(text: str, *, looks: bool) -> None:
    """Only who can log in with all that they may, and run the server on no condition, keeps a house from being lost."""
    assert looks_after(user(text), NOON) == looks
