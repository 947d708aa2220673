"""The house at a glance: what of it is worth a word, and what people call things of a kind: `lights`, `windows`."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sshhome.device import ACCESS_COVERS, Device, Scalar
from sshhome.summary import LOW_BATTERY, looks, summary, whereabouts

Fits = Callable[[Device], bool]


def _kind(*kinds: str) -> Fits:
    return lambda device: device.kind in kinds


def _has(*names: str) -> Fits:
    return lambda device: not device.attributes.keys().isdisjoint(names)


def _class(kind: str, *classes: str) -> Fits:
    return lambda device: device.kind == kind and device.device_class in classes


def _either(*fits: Fits) -> Fits:
    return lambda device: any(fit(device) for fit in fits)


#: What people call all things of a kind, or all that tell of the same.
KINDS: Mapping[str, Fits] = {
    "lights": _kind("light"),
    "switches": _kind("switch"),
    "locks": _kind("lock"),
    "covers": _kind("cover"),
    "doors": _either(_class("binary_sensor", "door", "garage_door", "opening"), _class("cover", *ACCESS_COVERS)),
    "windows": _either(_class("binary_sensor", "window"), _class("cover", "window")),
    "climate": _kind("climate", "humidifier", "water_heater"),
    "fans": _kind("fan"),
    "media": _kind("media_player"),
    "alarms": _kind("alarm_control_panel", "siren"),
    "scenes": _kind("scene"),
    "sensors": _kind("sensor", "binary_sensor", "weather"),
    "motion": _has("motion", "presence"),
    "power": _has("power"),
    "batteries": _has("battery", "low_battery"),
}
#: What a thing is full of, of 100, best first; a lamp and a fan only while they are on.
_LEVELS = ("brightness", "speed", "position", "volume")


class Glance(msgspec.Struct, frozen=True):
    """What is worth a word in one room: how warm it is, what is on, what is open or unlocked, what to look at."""

    room: str
    warm: str
    on: str
    open: str
    alert: str
    #: Whether what is open is what should not be.
    ajar: bool


def glance(room: str, devices: Sequence[Device]) -> Glance:
    """Return what is worth a word of the devices of a room."""
    there = [device for device in devices if device.available]
    warm = [now for device in there if (now := _number(device.state.get("temperature"))) is not None]
    opened = [word for device in there if (word := _opened(device))]
    return Glance(
        room,
        f"{warm[0]:.1f} °C" if warm else "",
        ", ".join(word for device in there if (word := _on(device))),
        ", ".join(opened),
        ", ".join(word for device in devices if (word := _alert(device))),
        any(_opened(device) and (device.guards or "open" in device.attributes) for device in there),
    )


def _on(device: Device) -> str:
    state = device.state
    if device.kind == "alarm_control_panel":
        armed = state.get("armed")
        return f"{device.name} {whereabouts(device)}" if armed not in {None, "disarmed"} else ""
    if state.get("on") is True and device.kind != "siren":
        level = next((now for name in _LEVELS if (now := _number(state.get(name))) is not None), None)
        return device.name if level is None or level >= 100 else f"{device.name} {level:.0f} %"
    if state.get("heating") or state.get("cooling"):
        return f"{device.name} {'heating' if state.get('heating') else 'cooling'}"
    return device.name if state.get("playback") == "playing" or state.get("activity") in {"cleaning", "mowing"} else ""


def _opened(device: Device) -> str:
    state = device.state
    if state.get("locked") is False:
        return f"{device.name} {whereabouts(device)}"
    if state.get("open") is True:
        return f"{device.name} open"
    position = _number(state.get("position"))
    return f"{device.name} {whereabouts(device)}" if position or state.get("moving") else ""


def _alert(device: Device) -> str:
    if not device.available:
        return f"{device.name} unavailable"
    battery = _number(device.state.get("battery"))
    if device.state.get("low_battery") or (battery is not None and battery < LOW_BATTERY):
        return f"{device.name} battery {'low' if battery is None else f'{battery:.0f} %'}"
    shut = "locked" in device.attributes or device.guards
    # What is open or unlocked is told of beside it.
    alarming = looks(device) == "alert" and not (shut and _opened(device))
    return f"{device.name} {summary(device)}" if alarming or device.state.get("jammed") else ""


def level(device: Device, what: str = "", most: float = 0.0) -> str | tuple[str, str, float]:
    """Return how full something is, as a cell that can be drawn: brightness, position, or `what`, power of the most."""
    if not device.available:
        return ""
    if what == "batteries":
        battery = _number(device.state.get("battery"))
        return "" if battery is None else (f"{battery:.0f} %", "alert" if battery < LOW_BATTERY else "", battery / 100)
    power = _number(device.state.get("power"))
    if power is not None and most > 0:
        return f"{power:.0f} W", "", max(power, 0.0) / most
    if device.state.get("on") is False:
        return ""
    for name in _LEVELS:
        now = _number(device.state.get(name))
        if now is not None:
            return f"{now:.0f} %", "", now / 100
    return ""


def power(device: Device) -> float:
    """Return what a device draws now, in watts."""
    return _number(device.state.get("power")) or 0.0


def _number(value: Scalar) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
