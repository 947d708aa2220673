"""A device's state in a few words, for tables and sentences."""

from collections.abc import Callable, Mapping

from sshhome.device import Device, Scalar, State
from sshhome.quantity import COLORS

#: What a flag is called when it is up, and when it is down; what is down and goes without saying says nothing.
_FLAGS: Mapping[str, tuple[str, str]] = {
    "locked": ("locked", "unlocked"),
    "jammed": ("JAMMED", ""),
    "open": ("open", "closed"),
    "motion": ("motion", "no motion"),
    "smoke": ("SMOKE", "no smoke"),
    "gas": ("GAS", "no gas"),
    "carbon_monoxide": ("CARBON MONOXIDE", "no carbon monoxide"),
    "leak": ("LEAK", "dry"),
    "vibration": ("vibration", "still"),
    "detected": ("detected", "not detected"),
    "plugged": ("plugged in", "unplugged"),
    "tamper": ("TAMPERED WITH", ""),
    "problem": ("PROBLEM", ""),
    "low_battery": ("battery low", ""),
    "charging": ("charging", ""),
    "muted": ("muted", ""),
}
#: Flags that an owner should see when they are up.
_ALARMS = frozenset({"smoke", "gas", "carbon_monoxide", "leak", "tamper", "problem", "jammed"})
_BUSY = frozenset({"on", "open", "motion", "presence", "vibration", "heating", "cooling"})
_PHASES = {"triggered": "ALARM", "pending": "ALARM SOON"}
#: What is said with another value.
_SAID = frozenset({"saturation", "target_high", "title", "source"})
#: Readings that only a sensor is there for, as many as are told, and the letters of a text that are.
_ASIDE = frozenset({
    *("energy", "voltage", "current", "frequency", "pressure", "illuminance", "distance", "weight", "duration"),
    *("carbon_dioxide", "fine_dust", "volatile_compounds", "noise", "moisture", "volume_used", "flow", "rain"),
    *("wind_speed", "value", "status", "fan_mode"),
})  # fmt: skip
_MOST, _LONGEST = 5, 60
#: Below this a battery is worth a word, in percent.
LOW_BATTERY = 20


def summary(device: Device) -> str:
    """Return how a device is, such as `on, 40 %, 2700 K`, `locked` or `21.3 °C, heating to 22 °C`."""
    return f"{_is(device)} ({_cut(device.note)})" if device.note else _is(device)


def _is(device: Device) -> str:
    if not device.available:
        return "unavailable"
    told = _told(device)
    if told.get("on") is False:
        # What is off does nothing else, but may still be on fire.
        told = {name: value for name, value in told.items() if name == "on" or (name in _ALARMS and value)}
    words = list(dict.fromkeys(word for name, value in told.items() if (word := _word(device, name, value))))
    return ", ".join(words[:_MOST]) or _plainly(device)


def _plainly(device: Device) -> str:
    """Return the first value of a device of which nothing is worth a word."""
    for name, value in _told(device).items():
        shown = f"{device.attributes[name].title} {_cut(device.attributes[name].show(value))}"
        return "ok" if value is False and name in _FLAGS else shown
    return "unknown"


def looks(device: Device) -> str:
    """Return the tone its summary deserves: `alert` for what an owner should see, `active` for what is on."""
    state = device.state
    if not device.available or state.get("locked") is False or any(state.get(name) for name in _ALARMS):
        return "alert"
    if state.get("phase") in _PHASES or (device.kind == "siren" and state.get("on")):
        return "alert"
    if device.guards and (state.get("position") or state.get("moving")):
        return "alert"
    if any(state.get(name) is True for name in _BUSY) or state.get("moving"):
        return "active"
    if state.get("playback") == "playing" or state.get("activity") in {"cleaning", "mowing"}:
        return "active"
    return "good" if state.get("locked") else "dim" if state.get("on") is False else ""


def flag(name: str, *, up: bool) -> str:
    """Return what a flag is called that is up or down: `locked`, `no motion`, or where it has no words `on`."""
    return _FLAGS.get(name, ("on", "off"))[not up] or ("yes" if up else "no")


def whereabouts(device: Device) -> str:
    """Return where something is on its way to or has come to: `opening`, `40 % open`, `locking`, `armed for away`."""
    state = device.state
    if isinstance(moving := state.get("moving") or state.get("phase"), str):
        return _PHASES.get(moving, moving)
    if "armed" in device.attributes:
        armed = state.get("armed")
        return "disarmed" if armed == "disarmed" else f"armed for {armed}" if armed else "unknown"
    if "locked" in device.attributes:
        return "unknown" if state.get("locked") is None else _FLAGS["locked"][not state["locked"]]
    position = state.get("position")
    if position is None:
        return "stopped"
    return {0: "closed", 100: "open"}.get(position, f"{position} % open")  # type: ignore[arg-type]  # (any position)


def color(device: Device) -> str:
    """Return a lamp's colour: a name, hue and saturation, or kelvin."""
    hue, saturation = device.state.get("hue"), device.state.get("saturation")
    if isinstance(hue, int | float):
        if not isinstance(saturation, int | float):
            return f"hue {hue:g}"
        names = {pair: name for name, pair in COLORS.items()}
        return names.get((round(hue), round(saturation)), f"hue {hue:g}, {saturation:g} % saturation")
    return f"{device.state.get('color_temperature')} K"


# -- a word for each value --------------------------------------------------------------------------------------------


def _word(device: Device, name: str, value: Scalar) -> str:
    """Return what is worth saying of a value that is known, if anything is."""
    if name in _SAID:
        return ""
    if name in _WORDS:
        return _WORDS[name](device, value)
    if name in _FLAGS:
        return _FLAGS[name][not value]
    attribute = device.attributes[name]
    if name in _ASIDE and not (device.kind in {"sensor", "weather"} or attribute is device.primary):
        return ""
    text = _cut(attribute.show(value)) or "empty"
    # Of what else is told in percent, everybody knows what it is.
    return f"moisture {text}" if name == "moisture" else text


def _told(device: Device) -> State:
    return {name: value for name in device.attributes if (value := device.state.get(name)) is not None}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _percent(device: Device, name: str) -> str:
    return device.attributes[name].show(device.state[name])


def _target(device: Device) -> str:
    """Return what a thermostat keeps to, one temperature or two."""
    target, low, high = (device.state.get(name) for name in ("target_temperature", "target_low", "target_high"))
    if target is not None:
        return f"{target:g} °C"
    return f"{low:g} to {high:g} °C" if low is not None and high is not None else ""


def _kept(device: Device, _: Scalar) -> str:
    state, target = device.state, _target(device)
    busy = state.get("heating") or state.get("cooling") or state.get("mode") == "off"
    return f"set to {target}" if target and not busy else ""


def _towards(doing: str) -> Callable[[Device, Scalar], str]:
    def word(device: Device, value: Scalar) -> str:
        target = _target(device)
        return "" if not value else f"{doing} to {target}" if target else doing

    return word


def _playing(device: Device, value: Scalar) -> str:
    """Return what is being played, and how loud: `playing "Blue" at 30 %`."""
    state = device.state
    title = f' "{_cut(str(state["title"]))}"' if state.get("title") and value != "stopped" else ""
    loud = f" at {_percent(device, 'volume')}" if state.get("volume") is not None and value == "playing" else ""
    return f"{value}{title}{loud}"


def _home(device: Device, value: Scalar) -> str:
    """Return where a person is, or whether anybody is in a room."""
    if device.kind != "person":
        return "somebody there" if value else "nobody there"
    at = device.state.get("status")
    return _cut(str(at)) if at and at != "not_home" else "home" if value else "away"


_WORDS: Mapping[str, Callable[[Device, Scalar], str]] = {
    "on": lambda device, value: "" if value and device.state.get("playback") else "on" if value else "off",
    "locked": lambda device, _: whereabouts(device),
    "position": lambda device, _: whereabouts(device),
    "moving": lambda device, value: "" if {"position", "locked"} & _told(device).keys() else str(value),
    "tilt": lambda device, value: "" if value in {0, 100} else f"tilted {_percent(device, 'tilt')}",
    "presence": _home,
    "hue": lambda device, _: color(device),
    "effect": lambda _, value: "" if value == "none" else str(value),
    "preset": lambda _, value: "" if value == "none" else str(value),
    "mode": lambda _, value: "off" if value == "off" else "",
    "target_temperature": _kept,
    "target_low": _kept,
    "target_humidity": lambda device, _: f"set to {_percent(device, 'target_humidity')}",
    "heating": _towards("heating"),
    "cooling": _towards("cooling"),
    "playback": _playing,
    "volume": lambda device, _: "" if device.state.get("playback") else f"volume {_percent(device, 'volume')}",
    # What it is doing right now says more than what it was told to do.
    "activity": lambda device, value: "" if device.state.get("doing") else str(value),
    "doing": lambda device, value: "" if {"heating", "cooling"} & device.attributes.keys() else str(value),
    "phase": lambda _, value: _PHASES.get(str(value), str(value)),
    "activated": lambda _, value: f"activated {value}",
    "battery": lambda _, value: f"battery {value} %" if isinstance(value, int) and value < LOW_BATTERY else "",
}
