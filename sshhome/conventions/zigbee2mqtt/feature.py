"""What a lamp, cover, lock, fan or thermostat has by its features, as Zigbee2MQTT exposes them. No I/O."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from sshhome import color, unit
from sshhome.conventions.zigbee2mqtt.expose import SETTABLE, Expose, Part, as_number, as_word, is_on
from sshhome.device import ATTRIBUTES, Scalar, State
from sshhome.errors import Refused

#: Specific exposes, what a thing is first of all before the rest: a thermostat with a relay is no relay.
SPECIFIC = ("climate", "cover", "lock", "fan", "light", "switch")
#: Speeds of fans that have words for them.
_SPEEDS: tuple[str, ...] = ("low", "medium", "high")
#: Mireds of the whites of most lamps, and of any.
_WHITES, _LAMPS = (153, 500), (25, 1000)
#: What is in the name of a cover that lets people in, and of one that is before such a thing; and of a valve.
_GUARDING = re.compile(r"(?<![a-z])(garage|gate|door)(?![a-z])")
_SCREEN = re.compile(r"blind|shutter|curtain|shade|awning")
_VALVE = re.compile(r"(?<![a-z])valves?(?![a-z])")


def specific(main: Expose, words: str, *, alone: bool) -> Part:
    """Return the part that a specific expose is; a switch that is alone is a valve if the words say so."""
    if main.type == "switch" and alone and _VALVE.search(words):
        part = Part("valve", main=main)
        _valve(part, main)
    else:
        part = Part(main.type, main=main)
        _MAKE[main.type](part, main)
    if main.type == "cover" and (guards := _GUARDING.search(words)) and not _SCREEN.search(words):
        part.device_class = guards[0]
    return part


def _switch(part: Part, main: Expose) -> None:
    if (state := main.feature("state")) is not None:
        part.add_switch(state)


def _valve(part: Part, main: Expose) -> None:
    """Give a valve its two places: it is opened and closed, though it is told as a switch."""
    state = main.feature("state")
    if state is None:
        return
    on, off = state.ends
    read = is_on(state)
    part.add(
        "position",
        [state],
        lambda payload: None if (told := read(payload)) is None else 100 * told,
        lambda value, _: {state.key: on if as_end(value) else off},
    )


def _light(part: Part, main: Expose) -> None:
    _switch(part, main)
    if (brightness := main.feature("brightness")) is not None:
        _scaled(part, "brightness", brightness, brightness.value_max or 254)
    white, hued = main.feature("color_temp"), main.feature("color_xy", "color_hs")
    if white is not None:
        _white(part, white)
    if hued is not None:
        _hued(part, hued, white)


def _scaled(part: Part, name: str, source: Expose, full: float) -> None:
    """Give it a share of a scale of its own."""

    def read(payload: Mapping[str, Any]) -> Scalar:
        told = unit.number(payload.get(source.key))
        # What is barely lit is lit.
        return None if told is None or not 0 <= told <= full else max(round(told / full * 100), 1 if told else 0)

    part.add(name, [source], read, lambda value, _: {source.key: round(as_number(value) / 100 * full)})


def _white(part: Part, white: Expose) -> None:
    mode = white.key.replace("color_temp", "color_mode")
    coolest, warmest = white.value_min or _WHITES[0], white.value_max or _WHITES[1]
    if not _LAMPS[0] <= coolest < warmest <= _LAMPS[1]:
        coolest, warmest = _WHITES

    def read(payload: Mapping[str, Any]) -> Scalar:
        told = unit.number(payload.get(white.key))
        if told is None or as_word(payload.get(mode)) in {"xy", "hs"} or not coolest * 0.9 <= told <= warmest * 1.1:
            return None
        return color.kelvin(min(max(told, coolest), warmest))

    def write(value: Scalar, _: State) -> dict[str, Any]:
        return {white.key: round(min(max(color.mireds(as_number(value)), coolest), warmest))}

    low, high = color.kelvin(warmest), color.kelvin(coolest)
    part.add("color_temperature", [white], read, write, low=low, high=high)
    part.properties.add(mode)


def _hued(part: Part, hued: Expose, white: Expose | None) -> None:
    mode = hued.key.replace("color", "color_mode")

    def read(payload: Mapping[str, Any]) -> tuple[int, int] | None:
        told, shows = payload.get(hued.key), payload.get(mode)
        if shows == "color_temp" or (shows is None and white is not None and payload.get(white.key) is not None):
            return None
        return _color_of(told, by_hue=shows == "hs") if isinstance(told, dict) else None

    def write(_: Scalar, after: State) -> dict[str, Any]:
        hue, saturation = after.get("hue"), after.get("saturation")
        channels = color.to_rgb(as_number(hue or 0), as_number(100 if saturation is None else saturation))
        return {hued.key: {"hex": "#{:02X}{:02X}{:02X}".format(*channels)}}

    part.add("hue", [hued], lambda payload: told[0] if (told := read(payload)) else None, write)
    part.add("saturation", [hued], lambda payload: told[1] if (told := read(payload)) else None, write)
    part.properties.add(mode)


def _cover(part: Part, main: Expose) -> None:
    state, position, tilt = main.feature("state"), main.feature("position"), main.feature("tilt")
    words = {word.lower(): word for word in state.choices} if state is not None else {}

    def read(payload: Mapping[str, Any]) -> Scalar:
        if position is not None and (told := payload.get(position.key)) is not None:
            return unit.reading(told, "%", ATTRIBUTES["position"])
        shows = as_word(payload.get(state.key)) if state is not None else ""
        return {"close": 0, "open": None if position is not None else 100}.get(shows)

    def write(value: Scalar, _: State) -> dict[str, Any]:
        end = {0: "close", 100: "open"}.get(round(as_number(value)), "")
        if state is not None and end in words:
            return {state.key: words[end]}
        if position is None:
            raise Refused("it can only be opened and closed")
        return {position.key: value}

    sources = [source for source in (position, state) if source is not None]
    if position is None and not {"open", "close"} <= words.keys():
        return
    part.add("position", sources, read, write)
    part.add("moving", sources, lambda _: None)
    if state is not None and state.access & SETTABLE and "stop" in words:
        part.writes["moving"] = lambda _, __: {state.key: words["stop"]}
    if tilt is not None:
        part.add_number("tilt", tilt, settable=True)


def _lock(part: Part, main: Expose) -> None:
    state, told = main.feature("state"), main.feature("lock_state")
    if state is None:
        return
    on, off = state.ends
    says = is_on(state)

    def read(payload: Mapping[str, Any]) -> Scalar:
        # The bolt itself, if it can be felt; the other says at once what was asked for.
        shows = as_word(payload.get(told.key)) if told is not None else ""
        return {"locked": True, "unlocked": False, "not_fully_locked": False}.get(shows) if shows else says(payload)

    sources = [source for source in (state, told) if source is not None]
    part.add("locked", sources, read, lambda value, _: {state.key: on if value else off})
    if told is not None:
        part.add("jammed", [told], lambda p: _is(p.get(told.key), "not_fully_locked"))


def _fan(part: Part, main: Expose) -> None:
    _switch(part, main)
    if (speed := main.feature("speed", "percentage")) is not None:
        _scaled(part, "speed", speed, speed.value_max or 100)
    if (mode := main.feature("mode")) is None:
        return
    words = mode.choices
    speeds = [word for word in _SPEEDS if word in words]
    speeds = speeds or sorted((word for word in words if word.isascii() and word.isdigit()), key=int)
    levels = {word: round(100 * (at + 1) / len(speeds)) for at, word in enumerate(speeds)}

    def read(payload: Mapping[str, Any]) -> Scalar:
        told = as_word(payload.get(mode.key))
        return 0 if told == "off" else levels.get(told)

    def write(value: Scalar, _: State) -> dict[str, Any]:
        if not value and "off" in words:
            return {mode.key: words["off"]}
        return {mode.key: words[next((word for word in speeds if levels[word] >= as_number(value)), speeds[-1])]}

    if speeds:
        part.add("speed", [mode], read, write)
    part.add_choice("preset", replace(mode, values=[words[word] for word in words if word not in {"off", *speeds}]))


def _climate(part: Part, main: Expose) -> None:
    heat = main.feature("occupied_heating_setpoint", "current_heating_setpoint")
    cool, mode = main.feature("occupied_cooling_setpoint"), main.feature("system_mode")
    if heat is not None and cool is not None:
        part.add_number("target_low", heat, settable=True)
        part.add_number("target_high", cool, settable=True)
        _target(part, heat, cool, mode)
    elif (target := heat or cool) is not None:
        part.add_number("target_temperature", target, settable=True)
    if (local := main.feature("local_temperature")) is not None:
        part.add_number("temperature", local)
    for name, choice in (("mode", mode), ("preset", main.feature("preset")), ("fan_mode", main.feature("fan_mode"))):
        if choice is not None:
            part.add_choice(name, choice)
    running = main.feature("running_state") or main.feature("running_mode")
    if running is not None:
        part.add("heating", [running], lambda p: _is(p.get(running.key), "heat"))
        if "cool" in running.values:
            part.add("cooling", [running], lambda p: _is(p.get(running.key), "cool"))


def _target(part: Part, heat: Expose, cool: Expose, mode: Expose | None) -> None:
    """Give it one temperature where it has two: the one that counts in the mode that it is in."""
    low, high = part.attributes["target_low"], part.attributes["target_high"]
    attribute = replace(ATTRIBUTES["target_temperature"], low=min(low.low, high.low), high=max(low.high, high.high))

    def read(payload: Mapping[str, Any]) -> Scalar:
        counts = cool if mode is not None and payload.get(mode.key) == "cool" else heat
        return unit.reading(payload.get(counts.key), counts.unit, attribute)

    def write(value: Scalar, after: State) -> dict[str, Any]:
        return {(cool if after.get("mode") == "cool" else heat).key: value}

    part.add("target_temperature", [heat], read, write, low=attribute.low, high=attribute.high)


_MAKE: Mapping[str, Callable[[Part, Expose], None]] = {
    "climate": _climate,
    "cover": _cover,
    "lock": _lock,
    "fan": _fan,
    "light": _light,
    "switch": _switch,
}


def _color_of(told: Mapping[Any, Any], *, by_hue: bool) -> tuple[int, int] | None:
    hue, saturation = unit.number(told.get("hue")), unit.number(told.get("saturation"))
    x, y = unit.number(told.get("x")), unit.number(told.get("y"))
    if x is not None and y is not None and not (by_hue and hue is not None):
        return color.of_xy(x, y)
    if hue is None or saturation is None or not (0 <= hue <= 360 and 0 <= saturation <= 100):
        return None
    return round(hue), round(saturation)


def as_end(value: Scalar) -> bool:
    """Return which end of its way is meant; raises Refused for a place between them."""
    if value not in {0, 100}:
        raise Refused("it can only be opened and closed")
    return value == 100


def _is(told: object, word: str) -> bool | None:
    return told == word if isinstance(told, str) else None
