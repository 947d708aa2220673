"""Vacuum cleaners and lawn mowers."""

import pytest

from sshhome.errors import Refused
from tests.conventions.discovery.components.described import Described


def test_a_vacuum_is_at_something_or_on_its_way() -> None:
    """A vacuum tells in JSON what it is at; what nobody orders, such as returning, is told in words."""
    robot = Described(
        "vacuum",
        command_topic="v/set",
        state_topic="v",
        supported_features=["start", "pause", "stop", "return_home"],
        fan_speed_list=["low", "max"],
        set_fan_speed_topic="v/fan",
    )
    assert robot.hears("v", '{"state": "cleaning", "fan_speed": "max"}') == {
        "activity": "cleaning",
        "doing": "cleaning",
        "fan_mode": "max",
    }
    assert robot.hears("v", '{"state": "returning"}')["activity"] is None
    assert robot.device.state["doing"] == "returning"
    assert robot.says(activity="docked") == [("v/set", "return_to_base")]
    assert robot.says(activity="cleaning", fan_mode="low") == [("v/fan", "low"), ("v/set", "start")]
    for payload in ("docked", "[]", '{"state": 5}', ""):
        robot.hears("v", payload)


def test_a_vacuum_is_not_told_what_it_cannot() -> None:
    """A vacuum that cannot pause says so."""
    robot = Described("vacuum", command_topic="v/set")
    assert robot.says(activity="stopped") == [("v/set", "stop")]
    with pytest.raises(Refused, match="cannot be told to be paused"):
        robot.says(activity="paused")


def test_a_mower_has_a_topic_for_each_order() -> None:
    """A lawn mower mows, pauses or docks, each by a topic of its own."""
    mower = Described(
        "lawn_mower",
        activity_state_topic="m",
        start_mowing_command_topic="m/go",
        dock_command_topic="m/home",
        dock_command_template="<{{ value }}>",
    )
    assert mower.hears("m", "mowing") == {"activity": "mowing", "doing": "mowing"}
    assert mower.hears("m", "error") == {"activity": None, "doing": "error"}
    assert mower.says(activity="mowing") == [("m/go", "start_mowing")]
    assert mower.says(activity="docked") == [("m/home", "<dock>")]
    with pytest.raises(Refused):
        mower.says(activity="paused")
