"""Thermostats, humidifiers and fans."""

from tests.conventions.discovery.components.described import Described


def test_a_thermostat_may_have_one_setpoint() -> None:
    """A thermostat that says nothing else has a target from 7 to 35 °C."""
    radiator = Described("climate", temperature_command_topic="r/set", temperature_state_topic="r")
    target = radiator.device.attributes["target_temperature"]
    assert (target.low, target.high, radiator.settable) == (7, 35, {"target_temperature"})
    assert radiator.hears("r", "21.5") == {"target_temperature": 21.5}
    assert radiator.says(target_temperature=19.0) == [("r/set", "19.0")]


def test_a_thermostat_may_have_everything() -> None:
    """Modes, a range, fans, presets, humidity, and what it is doing each have topics, and degrees are its own."""
    pairs = ("mode", "temperature_low", "temperature_high", "fan_mode", "preset_mode", "target_humidity")
    topics = {
        f"{name}_{way}_topic": f"ac/{name}{end}" for name in pairs for way, end in (("state", ""), ("command", "/set"))
    }
    ac = Described(
        "climate",
        **topics,
        temperature_unit="F",
        min_temp="59",
        max_temp=86,
        modes=["off", "heat", "cool"],
        preset_modes=["eco"],
        preset_mode_command_template="p-{{ value }}",
        current_temperature_topic="ac/now",
        current_temperature_template="{{ value_json.t }}",
        current_humidity_topic="ac/damp",
        action_topic="ac/action",
    )
    assert (ac.device.attributes["target_low"].low, ac.device.attributes["target_low"].high) == (15, 30)
    ac.hears("ac/mode", "cool")
    ac.hears("ac/temperature_low", "68")
    ac.hears("ac/temperature_high", "77")
    ac.hears("ac/fan_mode", "low")
    ac.hears("ac/preset_mode", "None")
    ac.hears("ac/target_humidity", "45")
    ac.hears("ac/now", '{"t": 70.7}')
    ac.hears("ac/damp", "51")
    state = ac.hears("ac/action", "cooling")
    assert state == {
        "mode": "cool",
        "target_low": 20,
        "target_high": 25,
        "fan_mode": "low",
        "preset": "none",
        "target_humidity": 45,
        "temperature": 21.5,
        "humidity": 51,
        "heating": False,
        "cooling": True,
        "doing": "cooling",
    }
    assert ac.says(target_high=24.5, mode="heat") == [("ac/mode/set", "heat"), ("ac/temperature_high/set", "76.1")]
    assert ac.says(preset="eco", fan_mode="auto") == [("ac/fan_mode/set", "auto"), ("ac/preset_mode/set", "p-eco")]
    assert ac.hears("ac/mode", "perhaps")["mode"] == "cool"


def test_a_humidifier_has_a_target() -> None:
    """A humidifier is on or off, with a target and modes."""
    damp = Described(
        "humidifier",
        command_topic="h/set",
        state_topic="h",
        target_humidity_command_topic="h/target/set",
        target_humidity_state_topic="h/target",
        min_humidity=30,
        max_humidity=80,
        mode_command_topic="h/mode/set",
        modes=["auto", "night"],
        current_humidity_topic="h/now",
        action_topic="h/action",
    )
    damp.hears("h", "ON")
    damp.hears("h/target", "55")
    damp.hears("h/now", "48")
    state = damp.hears("h/action", "humidifying")
    assert state == {"on": True, "target_humidity": 55, "mode": None, "humidity": 48, "doing": "humidifying"}
    assert damp.says(target_humidity=60, on=True) == [("h/set", "ON"), ("h/target/set", "60")]
    assert damp.says(mode="night") == [("h/mode/set", "night")]


def test_a_fan_counts_its_speeds_its_own_way() -> None:
    """A fan with three speeds takes a share for the next one up, and what it then tells is the share that was asked."""
    fan = Described(
        "fan",
        command_topic="f/set",
        state_topic="f",
        percentage_command_topic="f/speed/set",
        percentage_state_topic="f/speed",
        speed_range_max=3,
        preset_modes=["breeze"],
        preset_mode_command_topic="f/preset",
    )
    assert fan.hears("f/speed", "2")["speed"] == 66
    assert fan.says(speed=40) == [("f/speed/set", "2")]
    assert fan.hears("f/speed", "2")["speed"] == 40
    assert fan.hears("f/speed", "3")["speed"] == 100
    assert fan.hears("f/speed", "None")["speed"] is None
    assert fan.says(speed=0) == [("f/speed/set", "0")]
    assert fan.says(on=True, speed=100, preset="breeze") == [
        ("f/set", "ON"),
        ("f/preset", "breeze"),
        ("f/speed/set", "3"),
    ]


def test_a_fan_may_only_be_on() -> None:
    """A fan that has no speeds is on or off."""
    assert Described("fan", command_topic="f/set").settable == {"on"}
