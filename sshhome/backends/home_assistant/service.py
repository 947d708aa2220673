"""A change of a device as the services of Home Assistant that make it. No I/O.

    calls("light.hall", told, device, {"on": True, "brightness": 40})
    == [Call("light", "turn_on", {"brightness_pct": 40})]

What an entity cannot do is refused here, since Home Assistant takes much of it in silence. `entity` is the way back.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sshhome import color
from sshhome.backends.home_assistant.entity import Told
from sshhome.device import Device, Scalar, State, asked
from sshhome.errors import Refused


class Call(msgspec.Struct, frozen=True):
    """A service that is called on one entity."""

    domain: str
    service: str
    data: Mapping[str, object] = {}


class _Wish:
    """What is wanted of an entity, taken piece by piece, and the calls for it so far."""

    def __init__(self, domain: str, told: Told, device: Device, change: State, *, unit: str, code: str) -> None:
        self.domain = domain
        self.told = told
        self.device = device
        # Only to stand still is said by nothing.
        self.left = asked(change)
        self.unit = told.temperature_unit(unit)
        self.code = code
        self.calls: list[Call] = []

    def take(self, name: str) -> Scalar:
        """Return what is wanted of an attribute, None for nothing."""
        return self.left.pop(name, None)

    def call(self, service: str, **data: object) -> None:
        """Call a service of the entity's domain."""
        self.calls.append(Call(self.domain, service, data))

    def able(self, bits: int, what: str) -> None:
        """Refuse what none of these bits of its features says that it can."""
        if not self.told.features & bits:
            raise Refused(f"{self.device.id} cannot {what}")

    def coded(self) -> dict[str, object]:
        """Return the code, for what wants one."""
        return {"code": self.code} if self.code and self.told.attributes.get("code_format") else {}

    def native(self, celsius: Scalar) -> float:
        """Return a temperature in the entity's own unit."""
        size = float(celsius or 0)
        return round({"°F": size * 9 / 5 + 32, "K": size + 273.15}.get(self.unit, size), 2)


def calls(
    entity_id: str, told: Told, device: Device, change: State, *, unit: str = "°C", code: str = ""
) -> Sequence[Call]:
    """Return the services to call on an entity, in their order; raises Refused for what it cannot do.

    `device` is what the house knows of it, `unit` that of temperatures which tell none of their own, and `code` is for
    locks and panels that want one.
    """
    domain = entity_id.partition(".")[0]
    wish = _Wish(domain, told, device, change, unit=unit, code=code)
    if domain in _DOMAINS:
        _DOMAINS[domain](wish)
    if wish.left:
        raise Refused(f"{', '.join(wish.left).replace('_', ' ')} of {device.id} cannot be set")
    return wish.calls


def _switch(wish: _Wish) -> None:
    on = wish.take("on")
    if on is not None:
        wish.call("turn_on" if on else "turn_off")


def _light(wish: _Wish) -> None:
    if wish.left.get("on") is False:
        # What it is to come back with cannot be told to what is off.
        wish.left.clear()
        wish.call("turn_off")
        return
    data: dict[str, object] = {}
    wanted = wish.take("on") is not None or bool(wish.left)
    if (level := wish.take("brightness")) is not None:
        data["brightness_pct"] = level
    hue, saturation = wish.take("hue"), wish.take("saturation")
    if hue is not None or saturation is not None:
        now = wish.device.state
        hue = hue if hue is not None else now.get("hue") or 0
        known = now.get("saturation")
        data["hs_color"] = [hue, saturation if saturation is not None else 100 if known is None else known]
    if (white := wish.take("color_temperature")) is not None:
        # Before there were kelvins there were mireds, which are gone since.
        old = "min_color_temp_kelvin" not in wish.told.attributes and "max_mireds" in wish.told.attributes
        data |= {"color_temp": color.mireds(float(white))} if old else {"color_temp_kelvin": white}
    if (effect := wish.take("effect")) is not None:
        data["effect"] = effect
    if wanted:
        wish.call("turn_on", **data)


def _opening(wish: _Wish, noun: str) -> None:
    if "moving" in wish.left:
        if wish.take("moving") is not None:
            raise Refused(f"{wish.device.id} can be told where to go, or to stop")
        wish.able(8 | 64, "be stopped")
        wish.call(f"stop_{noun}" if wish.told.features & 8 else f"stop_{noun}_tilt")
    if (position := wish.take("position")) is not None:
        if position == 100 and wish.told.features & 1:
            wish.call(f"open_{noun}")
        elif position == 0 and wish.told.features & 2:
            wish.call(f"close_{noun}")
        else:
            wish.able(4, f"be set to {position} %: it opens or closes")
            wish.call(f"set_{noun}_position", position=position)
    if (tilt := wish.take("tilt")) is not None:
        if wish.told.features & 128:
            wish.call("set_cover_tilt_position", tilt_position=tilt)
        else:
            wish.able(16 if tilt == 100 else 32 if tilt == 0 else 128, f"be tilted to {tilt} %")
            wish.call("open_cover_tilt" if tilt else "close_cover_tilt")


def _cover(wish: _Wish) -> None:
    _opening(wish, "cover")


def _valve(wish: _Wish) -> None:
    _opening(wish, "valve")


def _lock(wish: _Wish) -> None:
    locked = wish.take("locked")
    if locked is not None:
        wish.call("lock" if locked else "unlock", **wish.coded())


def _climate(wish: _Wish) -> None:
    # A mode goes first and by itself: many integrations overlook the one that `set_temperature` takes.
    if (mode := wish.take("mode")) is not None:
        wish.call("set_hvac_mode", hvac_mode=mode)
    if (preset := wish.take("preset")) is not None:
        wish.call("set_preset_mode", preset_mode=preset)
    data: dict[str, object] = {}
    if (target := wish.take("target_temperature")) is not None:
        data["temperature"] = wish.native(target)
    low, high = wish.take("target_low"), wish.take("target_high")
    if low is not None or high is not None:
        pair = [wanted if wanted is not None else wish.device.state.get(name)
                for name, wanted in (("target_low", low), ("target_high", high))]  # fmt: skip
        if None in pair:
            raise Refused(f"{wish.device.id} takes a low and a high target together")
        data |= {"target_temp_low": wish.native(pair[0]), "target_temp_high": wish.native(pair[1])}
    if data:
        wish.call("set_temperature", **data)
    if (humidity := wish.take("target_humidity")) is not None:
        wish.call("set_humidity", humidity=humidity)
    if (fan := wish.take("fan_mode")) is not None:
        wish.call("set_fan_mode", fan_mode=fan)


def _fan(wish: _Wish) -> None:
    on, speed, preset = wish.take("on"), wish.take("speed"), wish.take("preset")
    if on is False:
        wish.call("turn_off")
    elif on:
        data = {"percentage": speed or None, "preset_mode": preset}
        wish.call("turn_on", **{name: value for name, value in data.items() if value is not None})
    elif speed is not None:
        wish.call("set_percentage", percentage=speed)
    if preset is not None and on is None:
        wish.call("set_preset_mode", preset_mode=preset)


def _humidifier(wish: _Wish) -> None:
    _switch(wish)
    if (humidity := wish.take("target_humidity")) is not None:
        wish.call("set_humidity", humidity=humidity)
    if (mode := wish.take("mode")) is not None:
        wish.call("set_mode", mode=mode)


def _media_player(wish: _Wish) -> None:
    on = wish.take("on")
    if on is not None:
        wish.able(128 if on else 256, "be switched on" if on else "be switched off")
        wish.call("turn_on" if on else "turn_off")
    if (source := wish.take("source")) is not None:
        wish.call("select_source", source=source)
    if isinstance(volume := wish.take("volume"), int | float):
        wish.call("volume_set", volume_level=volume / 100)
    if (muted := wish.take("muted")) is not None:
        wish.call("volume_mute", is_volume_muted=muted)
    if (playback := wish.take("playback")) is not None:
        bit, service, what = {
            "playing": (16384, "media_play", "play"),
            "paused": (1, "media_pause", "pause"),
            "stopped": (4096, "media_stop", "stop"),
        }[str(playback)]
        wish.able(bit, what)
        wish.call(service)


def _vacuum(wish: _Wish) -> None:
    if (fan := wish.take("fan_mode")) is not None:
        wish.call("set_fan_speed", fan_speed=fan)
    if (activity := wish.take("activity")) is not None:
        bit, service, what = {
            "cleaning": (8192, "start", "be started"),
            "paused": (4, "pause", "pause"),
            "stopped": (8, "stop", "be stopped"),
            "docked": (16, "return_to_base", "go home"),
        }[str(activity)]
        wish.able(bit, what)
        wish.call(service)


def _lawn_mower(wish: _Wish) -> None:
    if (activity := wish.take("activity")) is not None:
        bit, service, what = {
            "mowing": (1, "start_mowing", "mow"),
            "paused": (2, "pause", "pause"),
            "docked": (4, "dock", "go home"),
        }[str(activity)]
        wish.able(bit, what)
        wish.call(service)


def _alarm_control_panel(wish: _Wish) -> None:
    if (armed := wish.take("armed")) is not None:
        wish.call("alarm_disarm" if armed == "disarmed" else f"alarm_arm_{armed}", **wish.coded())


def _number(wish: _Wish) -> None:
    if (value := wish.take("value")) is not None:
        wish.call("set_value", value=value)


def _select(wish: _Wish) -> None:
    if (option := wish.take("option")) is not None:
        wish.call("select_option", option=option)


def _text(wish: _Wish) -> None:
    if (text := wish.take("text")) is not None:
        wish.call("set_value", value=text)


def _activate(wish: _Wish) -> None:
    if wish.take("activated") is not None:
        wish.call("press" if "button" in wish.domain else "turn_on")


_DOMAINS: Mapping[str, Callable[[_Wish], None]] = {
    "light": _light,
    **dict.fromkeys(("switch", "input_boolean", "siren"), _switch),
    "cover": _cover,
    "valve": _valve,
    "lock": _lock,
    "climate": _climate,
    "fan": _fan,
    "humidifier": _humidifier,
    "media_player": _media_player,
    "vacuum": _vacuum,
    "lawn_mower": _lawn_mower,
    "alarm_control_panel": _alarm_control_panel,
    **dict.fromkeys(("number", "input_number"), _number),
    **dict.fromkeys(("select", "input_select"), _select),
    **dict.fromkeys(("text", "input_text"), _text),
    **dict.fromkeys(("button", "input_button", "scene", "script"), _activate),
}
