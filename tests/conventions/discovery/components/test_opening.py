"""Covers, valves, locks and alarms."""

import pytest

from sshhome.errors import Refused
from tests.conventions.discovery.components.described import Described


def test_a_cover_without_a_position_is_open_or_closed() -> None:
    """What only opens and closes has its ends for positions, and none between them."""
    door = Described("cover", command_topic="d/set", state_topic="d", device_class="garage")
    assert door.device.guards
    assert door.hears("d", "open") == {"position": 100, "moving": None}
    assert door.hears("d", "closing") == {"position": 100, "moving": "closing"}
    assert door.hears("d", "closed") == {"position": 0, "moving": None}
    assert door.says(position=100) == [("d/set", "OPEN")]
    assert door.says(position=0) == [("d/set", "CLOSE")]
    assert door.says(moving=None) == [("d/set", "STOP")]
    with pytest.raises(Refused, match="can only be opened or closed"):
        door.says(position=30)


def test_a_cover_has_positions_on_its_own_scale() -> None:
    """Positions and tilts are told on a cover's scale, which may begin at its open end, and come back from it."""
    blind = Described(
        "cover",
        command_topic="b/set",
        state_topic="b/state",
        state_opening="up",
        position_topic="b",
        position_template="{{ value_json.p }}",
        position_open=0,
        position_closed=255,
        set_position_topic="b/pos",
        set_position_template='{"p": {{ value }}, "share": {{ position }}, "closed": {{ position_closed }}}',
        tilt_status_topic="b/tilt",
        tilt_command_topic="b/tilt/set",
        tilt_min=0,
        tilt_max=50,
        payload_open="UP",
        payload_stop=None,
    )
    assert blind.hears("b", '{"p": 255}') == {"position": 0, "moving": None, "tilt": None}
    assert blind.hears("b", '{"p": 51}')["position"] == 80
    assert blind.hears("b/state", "up")["moving"] == "opening"
    assert blind.hears("b/state", "open") == {"position": 80, "moving": None, "tilt": None}
    assert blind.hears("b/tilt", "25")["tilt"] == 50
    assert blind.says(position=30) == [("b/pos", '{"p": 178, "share": 30, "closed": 255}')]
    assert blind.says(position=100, tilt=10) == [("b/set", "UP"), ("b/tilt/set", "5")]
    with pytest.raises(Refused):
        blind.says(moving=None)


def test_a_cover_may_tell_its_places_in_json() -> None:
    """A position that a template makes may be JSON, with a tilt in it."""
    blind = Described("cover", position_topic="b", tilt_status_topic="t", set_position_topic="b/set")
    assert blind.hears("b", '{"position": 40, "tilt_position": 60}') == {"position": 40, "moving": None, "tilt": 60}
    for payload in ('{"position": "x"}', "{", "", "[]", "1e400", "500"):
        assert blind.hears("b", payload)["position"] in {40, None}
    assert blind.says(position=0) == [("b/set", "0")]


def test_a_valve_reports_a_position_or_none() -> None:
    """A valve tells words, or a number, or both in JSON, and is told what it tells."""
    tap = Described("valve", command_topic="v/set", state_topic="v")
    assert tap.hears("v", "opening") == {"position": None, "moving": "opening"}
    assert tap.hears("v", "open") == {"position": 100, "moving": None}
    assert [tap.says(position=place) for place in (0, 100)] == [[("v/set", "CLOSE")], [("v/set", "OPEN")]]
    with pytest.raises(Refused):
        tap.says(moving=None)
    main = Described(
        "valve", command_topic="v/set", state_topic="v", reports_position=True, position_open=50, payload_stop="STOP"
    )
    assert main.hears("v", '{"state": "closing", "position": 25}') == {"position": 50, "moving": "closing"}
    assert main.hears("v", "0") == {"position": 0, "moving": None}
    assert main.says(position=100) == [("v/set", "50")]
    assert main.says(moving=None) == [("v/set", "STOP")]


def test_a_lock_is_locked_unlocked_or_jammed() -> None:
    """A lock has words for what it is and what it is doing, and is told to lock or to unlock."""
    door = Described("lock", command_topic="l/set", state_topic="l", state_jammed="STUCK")
    assert door.hears("l", "LOCKING") == {"locked": None, "moving": "locking", "jammed": None}
    assert door.hears("l", "LOCKED") == {"locked": True, "moving": None, "jammed": False}
    assert door.hears("l", "STUCK") == {"locked": True, "moving": None, "jammed": True}
    assert door.hears("l", "UNLOCKED")["locked"] is False
    assert [door.says(locked=locked) for locked in (True, False)] == [[("l/set", "LOCK")], [("l/set", "UNLOCK")]]


def test_a_lock_that_asks_for_a_code_cannot_be_operated() -> None:
    """A lock whose orders need a code is listed with a note, and refuses."""
    safe = Described("lock", command_topic="l/set", state_topic="l", code_format="^\\d{4}$")
    assert "code" in safe.device.note
    with pytest.raises(Refused, match="asks for a code"):
        safe.says(locked=False)


def test_an_alarm_is_armed_or_in_a_phase() -> None:
    """An alarm is armed in one of the ways that it has; while it arms or alarms it is in no way armed."""
    alarm = Described(
        "alarm_control_panel",
        command_topic="a/set",
        state_topic="a",
        supported_features=["arm_home", "arm_away"],
        payload_arm_away="GO",
    )
    assert alarm.device.attributes["armed"].options == ("disarmed", "home", "away")
    assert alarm.hears("a", "arming") == {"armed": None, "phase": "arming"}
    assert alarm.hears("a", "armed_away") == {"armed": "away", "phase": None}
    assert alarm.hears("a", "armed_night") == {"armed": "away", "phase": None}
    assert alarm.says(armed="away") == [("a/set", "GO")]
    assert alarm.says(armed="disarmed") == [("a/set", "DISARM")]


def test_an_alarm_that_asks_for_a_code_refuses_what_needs_it() -> None:
    """A code that the alarm checks itself cannot be given; one of Home Assistant's own is sent as that does."""
    remote = {
        "command_template": '{"a": "{{ action }}", "c": "{{ code }}"}',
        "state_topic": "a",
        "command_topic": "a/set",
    }
    strict = Described("alarm_control_panel", code="REMOTE_CODE", code_arm_required=False, **remote)
    assert strict.says(armed="night") == [("a/set", '{"a": "ARM_NIGHT", "c": ""}')]
    with pytest.raises(Refused, match="asks for a code"):
        strict.says(armed="disarmed")
    own = Described("alarm_control_panel", code="1234", **remote)
    assert own.says(armed="disarmed") == [("a/set", '{"a": "DISARM", "c": "1234"}')]
