"""What is done to the air of a room: climate, humidifier, fan."""

import math
from collections.abc import Sequence

from sshhome import unit
from sshhome.conventions.discovery.component import LONGEST_OPTION, NONE, Component
from sshhome.device import State
from sshhome.escape import line

_MODES = ("auto", "off", "cool", "heat", "dry", "fan_only")


def _climate(made: Component) -> None:
    written = "°F" if made.text("temperature_unit", "C").upper().startswith("F") else "°C"
    if made.topic("mode_command_topic") or made.topic("mode_state_topic"):
        _choice(made, "mode", "mode", made.texts("modes", _MODES), "mode_state_template")
    low, high = (made.number(f"{end}_temp", default) for end, default in (("min", 44.6), ("max", 95)))
    if written == "°C":
        low, high = made.number("min_temp", 7), made.number("max_temp", 35)
    bounds = {"low": unit.canonical(low, written, "temperature"), "high": unit.canonical(high, written, "temperature")}

    def degrees(value: float) -> float:
        return value if written == "°C" else round(value * 9 / 5 + 32, 1)

    pairs = {"target_temperature": "temperature", "target_low": "temperature_low", "target_high": "temperature_high"}
    for name, key in pairs.items():
        if made.topic(f"{key}_command_topic") or made.topic(f"{key}_state_topic"):
            made.has(name, **bounds)
            made.read(name, f"{key}_state_topic", f"{key}_state_template", made.measure(name, written))
            made.tell(name, f"{key}_command_topic", f"{key}_command_template", degrees)
    _target_humidity(made)
    if made.topic("current_temperature_topic"):
        made.has("temperature")
        take = made.measure("temperature", written)
        made.read("temperature", "current_temperature_topic", "current_temperature_template", take)
    if made.topic("current_humidity_topic"):
        made.has("humidity")
        made.read("humidity", "current_humidity_topic", "current_humidity_template", made.measure("humidity"))
    modes = made.texts("fan_modes", ("auto", "low", "medium", "high"))
    if made.topic("fan_mode_command_topic") or made.topic("fan_mode_state_topic"):
        _choice(made, "fan_mode", "fan_mode", modes, "fan_mode_state_template")
    _presets(made)
    if made.topic("action_topic"):
        names = ("heating", "cooling", "doing")
        for name in names:
            made.has(name)
        made.read(names, "action_topic", "action_template", _action)


def _action(text: str) -> State:
    if text in {"", NONE}:
        return {"heating": None, "cooling": None, "doing": None} if text else {}
    return {"heating": text == "heating", "cooling": text == "cooling", "doing": line(text, LONGEST_OPTION)}


def _choice(made: Component, name: str, key: str, options: Sequence[str], value_template: str) -> None:
    if options:
        made.has(name, options=tuple(options))
        made.read(name, f"{key}_state_topic", value_template, made.option(name))
        made.tell(name, f"{key}_command_topic", f"{key}_command_template")


def _presets(made: Component) -> None:
    modes = made.texts("preset_modes")
    if modes:
        none = made.text("payload_reset_preset_mode", NONE)
        made.has("preset", options=("none", *(mode for mode in modes if mode != "none")))
        take = made.words("preset", {**{mode: mode for mode in modes}, "none": "none", none: "none"})
        made.read("preset", "preset_mode_state_topic", "preset_mode_value_template", take)
        made.tell("preset", "preset_mode_command_topic", "preset_mode_command_template")


def _target_humidity(made: Component) -> None:
    if made.topic("target_humidity_command_topic") or made.topic("target_humidity_state_topic"):
        low, high = made.number("min_humidity", 0), made.number("max_humidity", 100)
        made.has("target_humidity", low=low, high=high)
        take = made.measure("target_humidity")
        made.read("target_humidity", "target_humidity_state_topic", "target_humidity_state_template", take)
        made.tell("target_humidity", "target_humidity_command_topic", "target_humidity_command_template")


def _humidifier(made: Component) -> None:
    made.on_off("state_topic", "state_value_template")
    _target_humidity(made)
    if made.topic("mode_command_topic") or made.topic("mode_state_topic"):
        _choice(made, "mode", "mode", made.texts("modes"), "mode_state_template")
    if made.topic("current_humidity_topic"):
        made.has("humidity")
        made.read("humidity", "current_humidity_topic", "current_humidity_template", made.measure("humidity"))
    if made.topic("action_topic"):
        made.has("doing")
        made.read(
            "doing",
            "action_topic",
            "action_template",
            lambda text: {"doing": None if text == NONE else line(text, LONGEST_OPTION)} if text else {},
        )


def _fan(made: Component) -> None:
    made.on_off("state_topic", "state_value_template")
    _presets(made)
    if not (made.topic("percentage_command_topic") or made.topic("percentage_state_topic")):
        return
    slow, fast = made.number("speed_range_min", 1), made.number("speed_range_max", 100)
    made.has("speed")
    steps = max(fast - slow + 1, 1)

    def take(text: str) -> State:
        reached = unit.number(text)
        if reached is None:
            return {"speed": None} if text == made.text("payload_reset_percentage", NONE) else {}
        return {"speed": unit.reading((reached - slow + 1) * 100 // steps, "", made.attributes["speed"])}

    made.read("speed", "percentage_state_topic", "percentage_value_template", take)

    def step(speed: float) -> int:
        return math.ceil(steps * speed / 100 + slow - 1)

    made.coarse["speed"] = step
    made.tell("speed", "percentage_command_topic", "percentage_command_template", step)


BUILDERS = {"climate": _climate, "fan": _fan, "humidifier": _humidifier}
