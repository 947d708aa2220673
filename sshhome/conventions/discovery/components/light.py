"""What shines: light, in the three languages it is spoken to - a topic for each feature, JSON, and templates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sshhome import color, unit
from sshhome.convention import Message
from sshhome.conventions.discovery.component import NONE, Component, Order, Outlet, Take, Value
from sshhome.conventions.discovery.function import from_json
from sshhome.device import Device, State

#: Modes of a lamp that shows colours, in the order in which they are preferred to say one.
_COLORS = ("hs", "xy", "rgb", "rgbw", "rgbww")


class _Shade:
    """The colour and the white that a lamp has told of, of which it shows one: the one it says, or else the last."""

    def __init__(self, made: Component, *, white: bool, colors: bool) -> None:
        self.names = (("color_temperature",) if white else ()) + (("hue", "saturation") if colors else ())
        #: Whether it says which it shows.
        self.says = False
        self._color: tuple[int, int] | None = None
        self._white: int | float | None = None
        self._shows_color = False
        self._attributes = made.attributes
        self._sent: tuple[Sequence[float], tuple[int, int]] = ((), (0, 0))
        for name in self.names:
            made.has(name, **(_whites(made) if name == "color_temperature" else {}))
        made.coarse["color_temperature"] = lambda kelvins: _temperature(made, kelvins)
        made.coarse["brightness"] = lambda level: _step(level, _scale(made)) if level else 0

    @property
    def state(self) -> State:
        hue, saturation = self._color or (None, None)
        shown = {
            "color_temperature": None if self._shows_color else self._white,
            "hue": hue if self._shows_color else None,
            "saturation": saturation if self._shows_color else None,
        }
        return {name: shown[name] for name in self.names}

    def sends(self, numbers: Sequence[float], tint: tuple[int, int]) -> None:
        """Remember by what numbers it is told a colour: it shows that one when it tells the same."""
        self._sent = (tuple(numbers), tint)

    def colored(self, numbers: Sequence[float], tint: tuple[int, int] | None) -> State:
        """Take a colour, which is a hue and a saturation, and the numbers that it was told by."""
        if tuple(numbers) == self._sent[0]:
            tint = self._sent[1]
        self._color = tint
        self._shows_color = self._shows_color if self.says else tint is not None
        return self.state

    def white(self, size: object, written: str) -> State:
        """Take a colour temperature."""
        if "color_temperature" not in self.names:
            return {}
        self._white = unit.reading(size, written, self._attributes["color_temperature"])
        self._shows_color = self._shows_color if self.says else self._white is None and self._color is not None
        return self.state

    def shows(self, mode: str) -> State:
        """Take what it says that it shows."""
        self.says = True
        self._shows_color = mode in _COLORS
        return self.state


def _whites(made: Component) -> Mapping[str, object]:
    """Return the bounds of a colour temperature, which are told in kelvin or in mireds."""
    warm = made.number("min_kelvin", 1e6 / max(made.number("max_mireds", 500), 1))
    cool = made.number("max_kelvin", 1e6 / max(made.number("min_mireds", 153), 1))
    return {"low": round(min(warm, cool)), "high": round(max(warm, cool))}


def _written(made: Component) -> str:
    return "K" if made.flag("color_temp_kelvin") else "mired"


def _temperature(made: Component, kelvins: Value) -> int:
    return round(kelvins) if made.flag("color_temp_kelvin") else color.mireds(kelvins)


def _level(size: object, scale: float) -> State:
    """Return the brightness of a lamp that tells it on a scale; none is told by one that is off."""
    number = unit.number(size)
    return {"brightness": min(max(round(number / scale * 100), 1), 100)} if number is not None and number > 0 else {}


def _step(brightness: Value, scale: float) -> int:
    step: int = round(brightness / 100 * scale)
    return max(step, 1)


def _scale(made: Component) -> float:
    return max(made.number("brightness_scale", 255), 1)


def _goes_out(wanted: State) -> bool:
    return wanted.get("on") is False or wanted.get("brightness") == 0


def _tint(device: Device, wanted: State) -> tuple[Value, Value] | None:
    """Return the hue and the saturation that are wanted; if only one of them is, the other is as it was."""
    if "hue" not in wanted and "saturation" not in wanted:
        return None
    hue, saturation = (wanted.get(name, device.state.get(name)) for name in ("hue", "saturation"))
    return hue or 0, 100 if saturation is None else saturation


def _offers(made: Component, order: Callable[[Device, State], Iterable[Message]], *names: str) -> None:
    """Let these attributes be set, all that are wanted at once."""
    made.together = order
    made.orders.update(dict.fromkeys(names, lambda _, __: ()))


def _effects(made: Component) -> bool:
    effects = made.texts("effect_list")
    if effects:
        made.has("effect", options=effects)
    return bool(effects)


def _light(made: Component) -> None:
    {"json": _json, "template": _templates}.get(made.text("schema").lower(), _topics)(made)


# -- in JSON ----------------------------------------------------------------------------------------------------------


def _json(made: Component) -> None:
    modes = set(made.texts("supported_color_modes")) | {
        key for key in ("color_temp", "hs", "xy", "rgb") if made.flag(key)
    }
    said = [mode for mode in _COLORS if mode in modes]
    scale = _scale(made)
    made.has("on")
    if made.flag("brightness") or modes - {"onoff"}:
        made.has("brightness")
    shade = _Shade(made, white="color_temp" in modes, colors=bool(said))
    if made.flag("effect"):
        _effects(made)

    def take(text: str) -> State:
        try:
            told = from_json(text)
        except ValueError:
            return {}
        return _heard(made, shade, told, scale) if isinstance(told, dict) else {}

    made.read(tuple(made.attributes), "state_topic", "", take)
    outlet = made.outlet("command_topic")
    if outlet is None:
        return

    def order(device: Device, wanted: State) -> Iterable[Message]:
        message: dict[str, Any] = {"state": "OFF" if _goes_out(wanted) else "ON"}
        if not _goes_out(wanted):
            if (tint := _tint(device, wanted)) is not None:
                message["color"] = _colors(said[0], *tint)
                shade.sends(list(message["color"].values())[:3], tint)
            if "brightness" in wanted:
                message["brightness"] = _step(wanted["brightness"], scale)
            if "color_temperature" in wanted:
                message["color_temp"] = _temperature(made, wanted["color_temperature"])
            if "effect" in wanted:
                message["effect"] = wanted["effect"]
        yield outlet(msgspec.json.encode(message).decode())

    _offers(made, order, *made.attributes)


def _heard(made: Component, shade: _Shade, told: Mapping[str, Any], scale: float) -> State:
    """Return what a lamp that speaks JSON tells; what it does not mention stays as it was."""
    found: dict[str, Any] = {}
    if "state" in told:
        state = told["state"]
        found["on"] = {"ON": True, "OFF": False}.get(state) if isinstance(state, str) else None
    if "brightness" in made.attributes:
        found |= _level(told.get("brightness"), scale)
    if isinstance(mode := told.get("color_mode"), str):
        found |= shade.shows(mode)
    if "color_temp" in told:
        found |= shade.white(told["color_temp"], _written(made))
    if isinstance(parts := told.get("color"), dict) and "hue" in shade.names:
        found |= shade.colored(*_color(parts))
    effect = told.get("effect")
    if "effect" in made.attributes and isinstance(effect, str):
        found["effect"] = effect if effect in made.attributes["effect"].options else None
    return found


def _color(parts: Mapping[str, Any]) -> tuple[Sequence[float], tuple[int, int] | None]:
    """Return the numbers that tell a colour, and what hue and saturation it is."""
    for names, read in ((("h", "s"), _of_hs), (("hue", "saturation"), _of_hs), (("x", "y"), color.of_xy)):
        found = [size for name in names if (size := unit.number(parts.get(name))) is not None]
        if len(found) == 2:
            return found, read(*found)
    channels = [size for name in "rgb" if (size := unit.number(parts.get(name))) is not None]
    return channels, color.of_rgb(*channels) if len(channels) == 3 else None


def _of_hs(hue: float, saturation: float) -> tuple[int, int] | None:
    return (round(hue) % 360, round(saturation)) if 0 <= hue <= 360 and 0 <= saturation <= 100 else None


def _colors(mode: str, hue: float, saturation: float) -> dict[str, Any]:
    """Return a colour as a lamp takes it in JSON."""
    if mode == "hs":
        return {"h": hue, "s": saturation}
    if mode == "xy":
        return dict(zip("xy", color.to_xy(hue, saturation), strict=True))
    whites = {"rgb": "", "rgbw": "w", "rgbww": "cw"}[mode]
    return {**dict(zip("rgb", color.to_rgb(hue, saturation), strict=True)), **dict.fromkeys(whites, 0)}


# -- a topic for each feature -----------------------------------------------------------------------------------------


def _numbers(text: str, least: int) -> list[float]:
    parts = [unit.number(part) for part in text.split(",", 8)]
    numbers = [part for part in parts if part is not None]
    return numbers if len(numbers) == len(parts) >= least else []


def _topics(made: Component) -> None:
    made.on_off("state_topic", "state_value_template" if made.given("state_value_template") else "value_template")
    switch = made.orders.pop("on", None)
    scale = _scale(made)
    said = [mode for mode in _COLORS if made.topic(f"{mode}_command_topic") or made.topic(f"{mode}_state_topic")]
    channels = [mode for mode in said if mode.startswith("rgb")]
    own_level = bool(made.topic("brightness_command_topic") or made.topic("brightness_state_topic"))
    if own_level or channels:
        made.has("brightness")
    made.read("brightness", "brightness_state_topic", "brightness_value_template", lambda text: _level(text, scale))
    white = made.topic("color_temp_command_topic") or made.topic("color_temp_state_topic")
    shade = _Shade(made, white=bool(white), colors=bool(said))
    for mode in said:
        take = _colored(shade, mode, level=not own_level)
        made.read((*shade.names, "brightness"), f"{mode}_state_topic", f"{mode}_value_template", take)
    made.read(
        shade.names,
        "color_temp_state_topic",
        "color_temp_value_template",
        lambda text: shade.white(text, _written(made)) if text else {},
    )
    if made.topic("color_mode_state_topic"):
        shade.says = True
        made.read(
            shade.names,
            "color_mode_state_topic",
            "color_mode_value_template",
            lambda text: shade.shows(text) if text else {},
        )
    if _effects(made):
        made.read("effect", "effect_state_topic", "effect_value_template", made.option("effect"))
    _speak(made, shade, switch, said, own_level=own_level)


def _colored(shade: _Shade, mode: str, *, level: bool) -> Take:
    """Return what takes a colour as one text; how bright its channels are is how bright the lamp is, if need be."""
    read = {"hs": _of_hs, "xy": color.of_xy}.get(mode)

    def take(text: str) -> State:
        if read is not None:
            numbers = _numbers(text, 2)
            return shade.colored(numbers[:2], read(*numbers[:2])) if numbers else {}
        numbers = _numbers(text, len(mode))
        if not numbers or (level and not max(numbers) > 0):
            return {}
        found = shade.colored(numbers[:3], color.of_rgb(*numbers[:3]) or (0, 0))
        return {**found, **_level(max(numbers), 255)} if level else found

    return take


def _speak(made: Component, shade: _Shade, switch: Order | None, said: list[str], *, own_level: bool) -> None:
    """Let the lamp be told by the topics that it listens to."""
    scale = _scale(made)
    outlets: dict[str, Outlet] = {}
    for name, key in (("brightness", "brightness"), ("color_temperature", "color_temp"), ("effect", "effect")):
        if name in made.attributes:
            outlet = made.outlet(f"{key}_command_topic", f"{key}_command_template", name)
            outlets.update({name: outlet} if outlet is not None else {})
    tints = [
        (mode, outlet)
        for mode in said
        if (outlet := made.outlet(f"{mode}_command_topic", f"{mode}_command_template", "hue", "saturation")) is not None
    ]
    begins = made.text("on_command_type", "last")

    def order(device: Device, wanted: State) -> Iterable[Message]:
        if _goes_out(wanted):
            yield from switch(device, False) if switch is not None else ()
            return
        if begins == "first" and switch is not None:
            yield from switch(device, True)
        level: Value = wanted.get("brightness")
        shines: Value = device.state.get("brightness") or 100
        if begins == "brightness" and level is None and "brightness" in made.attributes:
            level = shines
        tint = _tint(device, wanted)
        if tint is None and level is not None and not own_level:
            hue, saturation = device.state.get("hue"), device.state.get("saturation")
            tint = (hue, saturation) if hue is not None and saturation is not None else (0, 0)
        if tint is not None and tints:
            numbers = _said(tints[0][0], *tint, 100 if own_level else level or shines)
            shade.sends(numbers[:3], tint)
            yield _tinted(*tints[0], numbers)
        if level is not None and "brightness" in outlets:
            yield outlets["brightness"](_step(level, scale))
        if "color_temperature" in wanted:
            yield outlets["color_temperature"](_temperature(made, wanted["color_temperature"]))
        if "effect" in wanted:
            yield outlets["effect"](wanted["effect"])
        if begins == "last" and switch is not None:
            yield from switch(device, True)

    by_color = (
        ("hue", "saturation", *(() if own_level or tints[0][0] in {"hs", "xy"} else ("brightness",))) if tints else ()
    )
    _offers(made, order, *(("on",) if switch is not None else ()), *outlets, *by_color)


def _said(mode: str, hue: float, saturation: float, brightness: float) -> Sequence[float]:
    """Return a colour as the numbers of a mode."""
    if mode == "hs":
        return hue, saturation
    if mode == "xy":
        return color.to_xy(hue, saturation)
    return *color.to_rgb(hue, saturation, brightness), *(0,) * (len(mode) - 3)


_NAMED: Mapping[str, Sequence[str]] = {
    "hs": ("hue", "sat"),
    "xy": ("x", "y"),
    "rgb": ("red", "green", "blue"),
    "rgbw": ("red", "green", "blue", "white"),
    "rgbww": ("red", "green", "blue", "cold_white", "warm_white"),
}


def _tinted(mode: str, outlet: Outlet, numbers: Sequence[float]) -> Message:
    return outlet(",".join(map(str, numbers)), **dict(zip(_NAMED[mode], numbers, strict=True)))


# -- in templates -----------------------------------------------------------------------------------------------------


def _templates(made: Component) -> None:
    made.has("on")
    made.read("on", "state_topic", "state_template", made.words("on", {"off": False, "on": True}))
    if made.given("brightness_template"):
        made.has("brightness")
        made.read("brightness", "state_topic", "brightness_template", lambda text: _level(text, 255))
    parts = [f"{name}_template" for name in ("red", "green", "blue")]
    shade = _Shade(made, white=made.given("color_temp_template"), colors=all(map(made.given, parts)))
    if "color_temperature" in shade.names:
        made.read(
            shade.names,
            "state_topic",
            "color_temp_template",
            lambda text: shade.white(text, _written(made)) if text not in {"", NONE} else {},
        )
    if "hue" in shade.names:
        heard: dict[int, float | None] = {}
        for place, part in enumerate(parts):
            made.read(shade.names, "state_topic", part, _channel(shade, heard, place))
    if _effects(made):
        made.read("effect", "state_topic", "effect_template", made.option("effect"))
    on, off = (
        made.outlet("command_topic", f"command_{word}_template", "on")
        if made.given(f"command_{word}_template")
        else None
        for word in ("on", "off")
    )
    if on is None or off is None:
        return

    def order(device: Device, wanted: State) -> Iterable[Message]:
        if _goes_out(wanted):
            yield off(None, state=False)
            return
        values: dict[str, Any] = {"state": True}
        if "brightness" in wanted:
            values["brightness"] = _step(wanted["brightness"], 255)
        if "color_temperature" in wanted:
            values["color_temp"] = _temperature(made, wanted["color_temperature"])
        if (tint := _tint(device, wanted)) is not None:
            channels = color.to_rgb(*tint)
            shade.sends(channels, tint)
            values |= zip(("red", "green", "blue", "hue", "sat"), (*channels, *tint), strict=True)
        if "effect" in wanted:
            values["effect"] = wanted["effect"]
        yield on(None, **values)

    _offers(made, order, *made.attributes)


def _channel(shade: _Shade, heard: dict[int, float | None], place: int) -> Take:
    """Return what takes one of three channels, which come one after the other and are one colour."""

    def take(text: str) -> State:
        heard[place] = unit.number(text)
        found = [size for size in heard.values() if size is not None]
        if place < 2:
            return {}
        return shade.colored(found, color.of_rgb(*found)) if len(found) == 3 and any(found) else {}

    return take


BUILDERS = {"light": _light}
