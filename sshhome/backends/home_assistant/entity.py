"""A Home Assistant entity as a device of the house: what its registries and its state say, in our words. No I/O.

    entity.device(entry, Told("on", {"brightness": 102, "supported_color_modes": ["brightness"]}), "°C")
    == Device(id="light.hall", …, state={"on": True, "brightness": 40})

What an entity can do is told by what is there - bits of `supported_features`, colour modes, attributes - never by the
version of Home Assistant. `sshhome.backends.home_assistant.service` is the way back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from sshhome import color
from sshhome.backends.home_assistant.entry import Entry, clean, text_of
from sshhome.clock import iso
from sshhome.device import ACCESS_COVERS, ATTRIBUTES, Attribute, Device, Scalar
from sshhome.naming import slug
from sshhome.unit import attribute_for, flag_for, number, reading, shown

#: Letters of a text that is shown, such as a title.
_LONGEST_TEXT = 255
#: Options of one attribute: an LED strip knows 200 effects, and a radio as many stations.
_MOST_OPTIONS = 256

#: Device classes of sensors that tell no number.
_NO_NUMBERS = frozenset({"", "enum", "timestamp", "date"})
#: Colour modes in which a lamp shows a colour.
_COLORS = frozenset({"hs", "xy", "rgb", "rgbw", "rgbww"})


class Told(msgspec.Struct, frozen=True):
    """How an entity is: its state and its attributes, as they came."""

    state: str
    attributes: Mapping[str, object] = {}

    @property
    def available(self) -> bool:
        """Whether it can be reached; one that has told no value yet can."""
        return self.state != "unavailable"

    @property
    def known(self) -> bool:
        """Whether it has told how it is."""
        return self.state not in {"unknown", "unavailable"}

    @property
    def features(self) -> int:
        """The bits of what it can do."""
        bits = self.attributes.get("supported_features")
        return bits if isinstance(bits, int) else 0

    def number(self, *names: str) -> float | None:
        """Return the first of these attributes that is a number."""
        return next((size for name in names if (size := number(self.attributes.get(name))) is not None), None)

    def word(self, name: str) -> str:
        """Return an attribute that is text."""
        return text_of(self.attributes.get(name))

    def words(self, name: str) -> list[str]:
        """Return an attribute that is a list of texts."""
        found = self.attributes.get(name)
        return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []

    def temperature_unit(self, unit: str) -> str:
        """Return the unit of its temperatures: its own where it tells one."""
        return self.word("temperature_unit") or unit


class _Draft:
    """The attributes and the state of a device, as they are found one by one."""

    def __init__(self, told: Told, unit: str) -> None:
        self.told = told
        self.unit = told.temperature_unit(unit)
        self.attributes: dict[str, Attribute] = {}
        self.state: dict[str, Scalar] = {}
        self.note = ""

    def put(self, name: str, value: Scalar, *, settable: bool = False, **more: object) -> None:
        """Take a value as it is."""
        self.attributes[name] = msgspec.structs.replace(ATTRIBUTES[name], settable=settable, **more)
        self.state[name] = value

    def measure(self, name: str, value: object, given: str = "", /, *, settable: bool = False, **more: object) -> None:
        """Take a number in a given unit."""
        self.put(name, None, settable=settable, **more)
        self.state[name] = reading(value, given, self.attributes[name])

    def bounded(self, name: str, value: object, low: float | None, high: float | None, unit: str = "") -> None:
        """Take a number that may be set between two bounds of the same unit, where they are told."""
        given = {"low": low, "high": high}
        free = msgspec.structs.replace(ATTRIBUTES[name], low=-1e9, high=1e9, settable=False)
        bounds = {side: held for side, size in given.items() if (held := reading(size, unit, free)) is not None}
        self.measure(name, value, unit, settable=True, **bounds)

    def choose(self, name: str, value: object, options: Iterable[str], *, settable: bool = True) -> None:
        """Take one of several words; without any there is nothing to choose."""
        fit = dict.fromkeys(option for option in options if option and option == clean(option, _LONGEST_TEXT))
        if fit:
            known = tuple(fit)[:_MOST_OPTIONS]
            self.put(name, value if isinstance(value, str) and value in known else None, options=known,
                     settable=settable)  # fmt: skip

    def switch(self, *, settable: bool = True) -> None:
        """Take whether it is on."""
        self.put("on", {"on": True, "off": False}.get(self.told.state), settable=settable)


def _light(draft: _Draft) -> None:
    told, modes = draft.told, frozenset(draft.told.words("supported_color_modes"))
    draft.switch()
    if modes - {"onoff", "unknown"}:
        level = told.number("brightness")
        # What shines a little is not at nothing.
        percent = None if level is None else max(level / 2.55, 1.0 if level > 0 else 0.0)
        draft.measure("brightness", percent, settable=True)
    shown_as = told.word("color_mode")
    if "color_temp" in modes:
        low = told.number("min_color_temp_kelvin") or _kelvin(told.number("max_mireds"))
        high = told.number("max_color_temp_kelvin") or _kelvin(told.number("min_mireds"))
        white = told.number("color_temp_kelvin") or _kelvin(told.number("color_temp"))
        draft.bounded("color_temperature", white if shown_as == "color_temp" else None, low, high)
    if modes & _COLORS:
        pair = told.attributes.get("hs_color")
        hue, saturation = pair if isinstance(pair, list) and len(pair) == 2 and shown_as in _COLORS else (None, None)
        draft.measure("hue", hue, settable=True)
        draft.measure("saturation", saturation, settable=True)
    if told.features & 4:
        draft.choose("effect", told.attributes.get("effect"), told.words("effect_list"))


def _kelvin(mired: float | None) -> float | None:
    return None if mired is None else color.kelvin(mired)


def _switch(draft: _Draft) -> None:
    draft.switch()


def _siren(draft: _Draft) -> None:
    draft.switch(settable=bool(draft.told.features & 3))


def _cover(draft: _Draft) -> None:
    told = draft.told
    # What tells no position is where it came from until it has arrived.
    where = told.number("current_position")
    if where is None:
        where = {"open": 100, "closed": 0, "opening": 0, "closing": 100}.get(told.state)
    draft.measure("position", where, settable=bool(told.features & 7))
    moving = told.state if told.state in {"opening", "closing"} else None
    draft.put("moving", moving, options=("opening", "closing"))
    if told.features & (16 | 32 | 128):
        draft.measure("tilt", told.number("current_tilt_position"), settable=True)


def _lock(draft: _Draft) -> None:
    state = draft.told.state
    locked = {"locked": True, "unlocking": True}
    unlocked = dict.fromkeys(("unlocked", "locking", "open", "opening"), False)
    draft.put("locked", {**locked, **unlocked}.get(state), settable=True)
    moving = state if state in {"locking", "unlocking"} else None
    draft.put("moving", moving, options=("locking", "unlocking"))
    draft.put("jammed", state == "jammed" if draft.told.known else None)


def _climate(draft: _Draft) -> None:
    told, features, modes = draft.told, draft.told.features, draft.told.words("hvac_modes")
    draft.choose("mode", told.state, modes)
    draft.measure("temperature", told.attributes.get("current_temperature"), draft.unit)
    low, high = told.number("min_temp"), told.number("max_temp")
    if features & 1:
        draft.bounded("target_temperature", told.attributes.get("temperature"), low, high, draft.unit)
    if features & 2:
        draft.bounded("target_low", told.attributes.get("target_temp_low"), low, high, draft.unit)
        draft.bounded("target_high", told.attributes.get("target_temp_high"), low, high, draft.unit)
    if features & 4:
        bounds = told.number("min_humidity"), told.number("max_humidity")
        draft.bounded("target_humidity", told.attributes.get("humidity"), *bounds)
    if "current_humidity" in told.attributes:
        draft.measure("humidity", told.attributes["current_humidity"])
    if features & 8:
        draft.choose("fan_mode", told.attributes.get("fan_mode"), told.words("fan_modes"))
    if features & 16:
        draft.choose("preset", told.attributes.get("preset_mode"), told.words("preset_modes"))
    does = told.word("hvac_action") or ("off" if told.state == "off" else "")
    if "heat" in modes or "heat_cool" in modes:
        draft.put("heating", does in {"heating", "preheating"} if does else None)
    if "cool" in modes or "heat_cool" in modes:
        draft.put("cooling", does == "cooling" if does else None)


def _fan(draft: _Draft) -> None:
    told = draft.told
    draft.switch()
    if told.features & 1:
        draft.measure("speed", 0 if told.state == "off" else told.attributes.get("percentage"), settable=True)
    if told.features & 8:
        draft.choose("preset", told.attributes.get("preset_mode"), told.words("preset_modes"))


def _humidifier(draft: _Draft) -> None:
    told = draft.told
    draft.switch()
    bounds = told.number("min_humidity"), told.number("max_humidity")
    draft.bounded("target_humidity", told.attributes.get("humidity"), *bounds)
    if "current_humidity" in told.attributes:
        draft.measure("humidity", told.attributes["current_humidity"])
    if told.features & 1:
        draft.choose("mode", told.attributes.get("mode"), told.words("available_modes"))
    if "action" in told.attributes:
        draft.put("doing", clean(told.attributes["action"]) or None)


#: What a player does, by Home Assistant's word.
_PLAYBACK = {
    **dict.fromkeys(("playing", "buffering"), "playing"),
    "paused": "paused",
    **dict.fromkeys(("idle", "off", "standby"), "stopped"),
}


def _media_player(draft: _Draft) -> None:
    told, features = draft.told, draft.told.features
    is_on = told.state not in {"off", "standby"} if told.known else None
    draft.put("on", is_on, settable=bool(features & 0b1_1000_0000))
    # To play, to pause and to stop are a bit each.
    draft.put("playback", _PLAYBACK.get(told.state), settable=bool(features & (16384 | 1 | 4096)))
    level = told.number("volume_level")
    if features & 4 or level is not None:
        draft.measure("volume", None if level is None else level * 100, settable=bool(features & 4))
    muted = told.attributes.get("is_volume_muted")
    if features & 8 or isinstance(muted, bool):
        draft.put("muted", muted if isinstance(muted, bool) else None, settable=bool(features & 8))
    if features & 2048:
        draft.choose("source", told.attributes.get("source"), told.words("source_list"))
    draft.put("title", clean(told.attributes.get("media_title"), _LONGEST_TEXT) or None)


def _robot(draft: _Draft, does: Mapping[str, str]) -> None:
    """Take what cleans or mows: what it is told to do, and in its own words what it does."""
    told = draft.told
    draft.put("activity", does.get(told.state), options=tuple(dict.fromkeys(does.values())), settable=True)
    # On its way to the dock, and in trouble, it does what nobody can tell it to.
    draft.put("doing", told.state if told.state in {"returning", "error"} else None)
    if told.number("battery_level") is not None:
        draft.measure("battery", told.attributes["battery_level"])


def _vacuum(draft: _Draft) -> None:
    told = draft.told
    _robot(draft, {"cleaning": "cleaning", "paused": "paused", "idle": "stopped", "docked": "docked"})
    if not told.features & (8192 | 4 | 8 | 16):
        draft.attributes["activity"] = msgspec.structs.replace(draft.attributes["activity"], settable=False)
    if told.features & 32:
        draft.choose("fan_mode", told.attributes.get("fan_speed"), told.words("fan_speed_list"))


def _lawn_mower(draft: _Draft) -> None:
    _robot(draft, {"mowing": "mowing", "paused": "paused", "docked": "docked"})


#: How a panel may be armed, each with its bit.
ARMED = {"home": 1, "away": 2, "night": 4, "vacation": 32, "custom_bypass": 16}


def _alarm_control_panel(draft: _Draft) -> None:
    state, features = draft.told.state, draft.told.features
    options = ["disarmed", *(way for way, bit in ARMED.items() if features & bit or state == f"armed_{way}")]
    draft.choose("armed", state.removeprefix("armed_"), options)
    phases = ATTRIBUTES["phase"].options
    draft.put("phase", state if state in phases else None)


def _number(draft: _Draft) -> None:
    told = draft.told
    low, high = told.number("min"), told.number("max")
    bounds = {"low": low if low is not None else -1e9, "high": high if high is not None else 1e9}
    unit = shown(told.word("unit_of_measurement"))
    draft.measure("value", told.state, settable=True, unit=unit, **bounds)


def _select(draft: _Draft) -> None:
    draft.choose("option", draft.told.state, draft.told.words("options"))


def _text_field(draft: _Draft) -> None:
    told = draft.told
    if told.word("mode") == "password":
        draft.put("text", None)
        draft.note = "it holds a password, which is not shown"
        return
    low, high = told.number("min"), told.number("max")
    value = clean(told.state, _LONGEST_TEXT) if told.known else None
    bounds = {"low": low or 0, "high": min(high, _LONGEST_TEXT) if high else _LONGEST_TEXT}
    draft.put("text", value, settable=True, **bounds)


def _activated(draft: _Draft) -> None:
    draft.put("activated", moment(stamp(draft.told)), settable=True)


def stamp(told: Told) -> str:
    """Return when a scene, a script or a button was last activated, as Home Assistant writes it; else nothing."""
    if "last_triggered" in told.attributes:
        return told.word("last_triggered")
    return told.state if told.known else ""


def moment(text: str) -> str | None:
    """Return a moment that Home Assistant tells as the house writes it."""
    try:
        return iso(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return None


def _sensor(draft: _Draft) -> None:
    told = draft.told
    device_class, unit = told.word("device_class"), told.word("unit_of_measurement")
    if not unit and "state_class" not in told.attributes and device_class in _NO_NUMBERS:
        draft.put("status", (clean(told.state, _LONGEST_TEXT) or None) if told.known else None)
        return
    name = attribute_for(device_class, unit)
    if name == "value":
        draft.measure(name, told.state, unit=shown(unit))
    else:
        draft.measure(name, told.state, unit)


def _binary_sensor(draft: _Draft) -> None:
    draft.put(flag_for(draft.told.word("device_class")), {"on": True, "off": False}.get(draft.told.state))


def _event(draft: _Draft) -> None:
    draft.put("event", clean(draft.told.attributes.get("event_type")) or None)


def _person(draft: _Draft) -> None:
    told = draft.told
    draft.put("presence", told.state == "home" if told.known else None)
    draft.put("status", clean(told.state) if told.known else None)


def _weather(draft: _Draft) -> None:
    told = draft.told
    draft.put("status", clean(told.state) if told.known else None)
    draft.measure("temperature", told.attributes.get("temperature"), draft.unit)
    draft.measure("humidity", told.attributes.get("humidity"))
    for name in ("pressure", "wind_speed"):
        if told.word(f"{name}_unit"):
            draft.measure(name, told.attributes.get(name), told.word(f"{name}_unit"))


#: Home Assistant's domain -> the house's kind, and what reads it; the helpers of its owners are like the real ones.
_DOMAINS: Mapping[str, tuple[str, Callable[[_Draft], None]]] = {
    "light": ("light", _light),
    "switch": ("switch", _switch),
    "input_boolean": ("switch", _switch),
    "siren": ("siren", _siren),
    "cover": ("cover", _cover),
    "valve": ("valve", _cover),
    "lock": ("lock", _lock),
    "climate": ("climate", _climate),
    "fan": ("fan", _fan),
    "humidifier": ("humidifier", _humidifier),
    "media_player": ("media_player", _media_player),
    "vacuum": ("vacuum", _vacuum),
    "lawn_mower": ("lawn_mower", _lawn_mower),
    "alarm_control_panel": ("alarm_control_panel", _alarm_control_panel),
    "number": ("number", _number),
    "input_number": ("number", _number),
    "select": ("select", _select),
    "input_select": ("select", _select),
    "text": ("text", _text_field),
    "input_text": ("text", _text_field),
    "button": ("button", _activated),
    "input_button": ("button", _activated),
    "scene": ("scene", _activated),
    "script": ("script", _activated),
    "sensor": ("sensor", _sensor),
    "binary_sensor": ("binary_sensor", _binary_sensor),
    "event": ("event", _event),
    "weather": ("weather", _weather),
    "person": ("person", _person),
}


def is_battery(entry: Entry, told: Told) -> bool:
    """Return whether an entity is the level of its device's battery."""
    return entry.domain == "sensor" and told.word("device_class") == "battery"


def listed(entry: Entry) -> bool:
    """Return whether an entity is a device of the house: of a domain there is, and neither hidden nor technical."""
    return entry.domain in _DOMAINS and not entry.hidden and not entry.technical


def device(entry: Entry, told: Told, unit: str, *, battery: Told | None = None) -> Device:
    """Return an entity of a domain that there is as a device.

    `unit` is that of temperatures that tell none of their own, and `battery` the level of the battery that it runs on,
    where another entity tells that.
    """
    kind, read = _DOMAINS[entry.domain]
    draft = _Draft(told, unit)
    read(draft)
    if battery is not None and "battery" not in draft.attributes:
        draft.measure("battery", battery.state)
    object_id = entry.entity_id.partition(".")[2]
    return Device(
        id=f"{kind}.{slug(object_id) or 'device'}",
        identity=entry.identity,
        name=clean(told.attributes.get("friendly_name")) or entry.name or clean(object_id.replace("_", " ")) or kind,
        room=entry.room,
        hardware=entry.hardware,
        device_class=slug(told.word("device_class")),
        attributes=draft.attributes,
        state=draft.state,
        available=told.available,
        note=draft.note,
    )


def guarding(classes: Sequence[str]) -> str:
    """Return the device class of a group of covers that tells none: one that lets people in, if any part does."""
    return next((one for one in classes if one in ACCESS_COVERS), "")
