"""What a grant means, as its holder reads it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from sshhome.condition import Facts
from sshhome.grant import BUILT_IN_ROLES, parse_grant
from sshhome.wording import plainly
from tests.conftest import NOON
from tests.test_grant import tables
from tests.test_when import BERLIN

FACTS = Facts(
    NOON, BERLIN, "127.0.0.1", used=lambda _: 1, sees=lambda device_id: device_id not in {"lock.safe", "lock.nosuch"}
)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("read", "look at everything"),
        ("control", "operate everything but locks, gates and alarms"),
        ("access", "operate all locks, gates and alarms"),
        ("admin", "run the server"),
        ("read:@kids", "look at everything in kids"),
        ("control:@kids", "operate everything in kids but locks, gates and alarms"),
        ("access:@kids", "operate all locks, gates and alarms in kids"),
        ("control:light.*", "operate every light"),
        ("control:light.k*", "operate every light called k*"),
        ("control:light.desk", "operate light.desk"),
        ("control:*.kids", "operate everything called *.kids but locks, gates and alarms"),
        ("access:*.kids", "operate all locks, gates and alarms called *.kids"),
        ("access:alarm_control_panel.*", "operate every alarm"),
        ("read:binary_sensor.*", "look at every detector"),
        ("control:media_player.*", "operate every media player"),
        # what the privilege does not reach may be looked at all the same
        ("control:lock.*", "look at every lock"),
        ("access:light.*", "look at every light"),
        ("control:cover.*", "operate every cover, if it is not a gate or a door"),
        ("access:cover.garage", "operate cover.garage, if it is a gate or a door"),
        ({"deny": "read:@kids"}, "never look at anything in kids"),
        ({"deny": "control:light.*"}, "never operate any light"),
        ({"deny": "access"}, "never operate any of the locks, gates and alarms"),
        ({"deny": "control:lock.*"}, "never operate any lock as what is comfort"),
        ({"deny": "admin"}, "never run the server"),
        (
            {"allow": "control:light.*", "values": {"brightness": "..60"}, "when": "mon-fri 09:00-12:00"},
            "operate every light, brightness only ..60 %, mon-fri 09:00-12:00",
        ),
        (
            {"allow": "control:light.*", "values": {"color": ["red", "blue"], "on": False}},
            "operate every light, on only off, color only red or blue",
        ),
        (
            {"deny": "control:light.*", "values": {"brightness": "61.."}, "orders": ["dim", "set"]},
            "never operate any light, to dim or set, with brightness 61.. %",
        ),
        (
            {"allow": "access:lock.*", "orders": ["unlock"], "uses": 3, "until": "2026-06-02 18:00"},
            "operate every lock, only to unlock, until today 18:00, 2 of 3 times left",
        ),
        ({"allow": "access", "uses": 1}, "operate all locks, gates and alarms, 0 of 1 times left"),
        ({"allow": "read", "until": "2026-05-31"}, "look at everything, which ended Mon 1 Jun 00:00"),
        ({"allow": "access:lock.*", "step_up": "totp"}, "operate every lock, with a one-time code"),
        ({"allow": "access:lock.*", "step_up": "confirm"}, "operate every lock, once it is confirmed"),
        ({"allow": "read", "from": ["10.0.0.0/8", "::1"]}, "look at everything, from 10.0.0.0/8 or ::1/128"),
        (
            {"allow": "access:lock.*", "house": ["lock.front_door = locked", "lock.safe = locked"]},
            "operate every lock, while lock.front_door = locked, while the house is as it must be",
        ),
    ],
)
def test_grants_in_plain_words(written: str | Mapping[str, Any], told: str) -> None:
    """A grant is told as what its holder may do and what must be so, with where it stands."""
    assert plainly(parse_grant(written, "role kid", BERLIN), FACTS) == f"{told} (role kid)"


def test_every_built_in_role_in_plain_words() -> None:
    """All that the built-in roles say can be told, in words that are told apart."""
    for role, grants in BUILT_IN_ROLES.items():
        told = {plainly(parse_grant(grant, f"role {role}"), FACTS) for grant in grants}
        assert len(told) == len(grants)


@given(tables())
def test_any_grant_is_one_line(written: dict[str, Any]) -> None:
    """Whatever a grant asks, it is told in one line that names where it stands, and no device that is hidden."""
    told = plainly(parse_grant(written, "here", BERLIN), FACTS)
    assert told.endswith(" (here)")
    assert told.isprintable()
    assert "nosuch =" not in told
