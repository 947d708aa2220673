"""A device's state in a few words, for tables and sentences."""

from sshhome.device import Device, Scalar
from sshhome.quantity import COLORS


def summary(device: Device) -> str:
    """Return how a device is, such as `on, 40 %, 2700 K`, `locked` or `21.3 °C, heating to 22 °C`."""
    if not device.available:
        return "unavailable"
    words = [word for name in device.attributes if (word := _word(device, name, device.state.get(name)))]
    return ", ".join(words) or "unknown"


def looks(device: Device) -> str:
    """Return the tone its summary deserves: `alert` for what an owner should see, `active` for what is on."""
    state = device.state
    if not device.available or state.get("smoke") or state.get("locked") is False:
        return "alert"
    if device.guards and (state.get("position") or state.get("moving")):
        return "alert"
    if any(state.get(name) is True for name in ("on", "open", "motion", "heating")) or state.get("moving"):
        return "active"
    return "good" if device.kind == "lock" else "dim" if state.get("on") is False else ""


def whereabouts(device: Device) -> str:
    """Return where a cover is: `opening`, `closed`, `open` or `40 % open`."""
    position, moving = device.state.get("position"), device.state.get("moving")
    if isinstance(moving, str):
        return moving
    return {0: "closed", 100: "open"}.get(position, f"{position} % open")  # type: ignore[arg-type]  # (any position)


def color(device: Device) -> str:
    """Return a lamp's colour: a name, hue and saturation, or kelvin."""
    hue, saturation = device.state.get("hue"), device.state.get("saturation")
    if isinstance(hue, int | float):
        names = {pair: name for name, pair in COLORS.items()}
        return names.get((round(hue), round(saturation or 0)), f"hue {hue:g}, {saturation:g} % saturation")  # type: ignore[arg-type]  # (numbers, as hue is)
    return f"{device.state.get('color_temperature')} K"


def _word(device: Device, name: str, value: Scalar) -> str:
    on = device.state.get("on")
    if value is None or (on is False and name != "on"):
        return ""
    attribute = device.attributes[name]
    match name:
        case "locked":
            return "locked" if value else "unlocked"
        case "open":
            return "open" if value else "closed"
        case "motion":
            return "motion" if value else "no motion"
        case "smoke":
            return "SMOKE" if value else "no smoke"
        case "position":
            return whereabouts(device)
        case "heating":
            return f"heating to {device.state.get('target_temperature'):g} °C" if value else ""
        case "mode":
            return "off" if value == "off" else ""
        case "target_temperature":
            return "" if device.state.get("heating") else f"set to {value:g} °C"
        case "hue":
            return color(device)
        case "activated":
            return f"activated {value}"
        case "saturation" | "moving":
            return ""
        case "battery":
            return f"battery {value} %" if isinstance(value, int) and value < 20 else ""
    return attribute.show(value)
