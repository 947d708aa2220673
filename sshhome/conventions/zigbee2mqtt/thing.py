"""What Zigbee things are, by what they expose to Zigbee2MQTT: lamps, locks, thermostats, sensors. No I/O.

A list of exposes becomes parts, each of which is a device of the house: one for each specific expose (a light, a cover
…), which bears the readings of its endpoint; the first bears those of none. A thing without any is a siren or a garage
door if it can be told to be one, else a sensor with everything that it measures.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sshhome import unit
from sshhome.conventions.zigbee2mqtt.expose import SETTABLE, Expose, Part, as_text, as_word, is_open
from sshhome.conventions.zigbee2mqtt.feature import SPECIFIC, as_end, specific
from sshhome.device import Scalar, State
from sshhome.errors import Refused

#: Parts of one thing: a panel has up to 24 switches.
_PARTS = 40
#: Seconds that a siren sounds if nobody stops it before.
_SOUNDS = 60

#: Properties of what is switched; others that are exposed as switches are settings.
_SWITCHED = re.compile(r"(fan_)?state(_.+)?")

#: Names of readings that are not Home Assistant's words for them.
_CLASSES = {
    "local_temperature": "temperature",
    "co2": "carbon_dioxide",
    "voc": "volatile_organic_compounds",
    "soil_moisture": "moisture",
    "ac_frequency": "frequency",
    "target_distance": "distance",
    "noise": "sound_pressure",
    "water_consumed": "water",
    "flow": "volume_flow_rate",
}
_FLAGS = {
    **{name: name for name in ("motion", "presence", "smoke", "gas", "carbon_monoxide", "vibration", "tamper")},
    **{name: name for name in ("charging", "problem")},
    "contact": "open",
    "occupancy": "motion",
    "water_leak": "leak",
    "battery_low": "low_battery",
}
#: Alarms of one kind are numbered.
_NUMBERED = re.compile(r"_alarm(_1)?$")
#: What people want to know though it is called diagnostic.
_WANTED = frozenset({"battery", "battery_low", "tamper", "action"})
#: Attributes that are not what a sensor is for.
_BESIDE = ("battery", "low_battery", "voltage", "tamper", "charging", "problem")
_MOVING = {"opening": "opening", "up": "opening", "closing": "closing", "down": "closing"}


def parts(exposes: Sequence[Expose], name: str = "", description: str = "") -> list[Part]:
    """Return what a thing is, best first, that its owner gave a name and its maker a description."""
    found: dict[str, Part] = {}
    called, described = name.lower(), f"{description} {name}".lower()
    mains = [one for one in exposes if one.type in SPECIFIC and (one.type != "switch" or _is_switched(one))]
    for main in sorted(mains, key=lambda one: SPECIFIC.index(one.type)):
        words = described if main.type == "switch" else called
        part = specific(main, words, alone=all(one.type == "switch" for one in mains))
        part.endpoint = str(main.endpoint) or (main.type if "" in found else "")
        if part.attributes:
            found.setdefault(part.endpoint, part)
    told = (one for one in exposes if one.type not in SPECIFIC and one.key)
    generic = [one for one in told if not one.category or one.name in _WANTED]
    if not found and (odd := _unspecific(generic, called, described)) is not None:
        found[""] = odd
    first = next(iter(found.values()), None) or found.setdefault("", Part("sensor"))
    several = Counter(one.name for one in generic if one.endpoint != "")
    for one in sorted(generic, key=_rank):
        endpoint = str(one.endpoint)
        if endpoint not in found and several[one.name] > 1:
            found[endpoint] = Part("sensor", endpoint)
        _take(found.get(endpoint, first), one)
    if first.kind == "sensor":
        read = {key for part in found.values() for key in part.properties}
        _measure_rest(first, [one for one in generic if not one.access & SETTABLE and one.key not in read])
    named = [_named(part) for part in found.values() if part.attributes]
    return (named or _settings(generic))[:_PARTS]


def grouped(members: Sequence[Part]) -> Part | None:
    """Return what a group of parts is: a lamp if there is one among them, able to do all that any of its kind can."""
    mains = [(part, part.main.common) for part in members if part.main is not None]
    kinds = {main.type for _, main in mains}
    kind = next((kind for kind in ("light", "switch", *SPECIFIC) if kind in kinds), None)
    if kind is None:
        return None
    alike = [(part, main) for part, main in mains if main.type == kind]
    features = {feature.name: feature for _, main in reversed(alike) for feature in main.features}
    # It lets in what any of its kind does.
    guards = next(
        (part.device_class or part.kind for part, _ in alike if part.device_class or part.kind == "valve"), ""
    )
    return specific(Expose(kind, features=list(features.values())), guards, alone=True)


def _is_switched(main: Expose) -> bool:
    state = main.feature("state")
    return state is not None and _SWITCHED.fullmatch(state.key) is not None


def _unspecific(generic: Sequence[Expose], called: str, described: str) -> Part | None:
    """Return what a thing is by a generic expose: a garage door, a siren, a cover, a valve or a switch."""
    by_name = {one.name: one for one in reversed(generic) if one.access & SETTABLE}
    contact = next((one for one in generic if one.name == "garage_door_contact"), None)
    state, siren = by_name.get("state"), by_name.get("warning", by_name.get("alarm"))
    if contact is not None and (trigger := by_name.get("trigger", state)) is not None:
        return _garage_door(trigger, contact)
    if siren is not None and siren.type in {"composite", "binary"}:
        return _siren(siren)
    if state is None:
        return None
    if state.type == "binary":
        return specific(Expose("switch", features=[state]), described, alone=True)
    if {"open", "close"} <= {word.lower() for word in state.choices}:
        return specific(Expose("cover", features=[state]), called, alone=True)
    return None


def _garage_door(trigger: Expose, contact: Expose) -> Part:
    part = Part("cover", device_class="garage")
    on, off = trigger.ends
    read = is_open(contact)

    def write(value: Scalar, after: State) -> dict[str, Any]:
        wanted, now = as_end(value), after.get("open")
        if now is None or now is wanted:
            # Most only know to start the motor, whichever way.
            raise Refused(
                f"it is {'open' if now else 'closed'} already" if now is not None else "nobody knows how it is"
            )
        return {trigger.key: on if wanted else off}

    part.add(
        "position",
        [trigger, contact],
        lambda payload: None if (told := read(payload)) is None else 100 * told,
        write,
    )
    part.add("open", [contact], read)
    return part


def _siren(source: Expose) -> Part:
    part = Part("siren")
    if source.type == "binary":
        part.add_switch(source)
        return part
    modes = (source.feature("mode") or Expose("enum")).choices
    start: dict[str, Any] = {"mode": next((modes[word] for word in modes if word != "stop"), "emergency")}
    if (lasts := source.feature("duration")) is not None:
        start["duration"] = round(min(_SOUNDS, lasts.value_max or _SOUNDS))
    part.add("on", [source], lambda _: None, lambda value, _: {source.key: start if value else {"mode": "stop"}})
    return part


def _measure_rest(part: Part, told: Sequence[Expose]) -> None:
    """Give a sensor what has no name in the house: by its unit, or one number, flag and text of any kind."""
    numbers = [one for one in told if one.type == "numeric" and one.name not in {"battery", "voltage"}]
    for one in numbers:
        if (name := unit.attribute_for("", one.unit)) != "value":
            part.add_number(name, one)
    rest = [one for one in numbers if one.key not in part.properties]
    if rest:
        part.add_number("value", rest[0], unit=unit.shown(rest[0].unit))
    flags = [one for one in told if one.type == "binary" and not _detected(one)]
    if flags and not part.attributes.keys() - {"value", *_BESIDE}:
        part.add_flag("detected", flags[0])
    texts = [one for one in told if one.type in {"enum", "text"} and one.name != "action"]
    if texts and not part.attributes.keys() - set(_BESIDE):
        part.add("status", [texts[0]], lambda payload: as_text(payload.get(texts[0].key)) or None)


def _take(part: Part, source: Expose) -> None:
    """Give a part what a generic expose beside it tells, if the house has a word for that."""
    name = source.name
    if name == "action":
        part.add("event", [source], None)
        part.event = source.key
    elif source.type == "enum" and name == "effect" and part.kind == "light":
        part.add_choice("effect", source)
    elif source.type == "enum" and name in {"motor_state", "moving"} and part.kind == "cover":
        # A cover has it already, and knows nothing of it without this.
        part.reads["moving"] = lambda payload: _MOVING.get(as_word(payload.get(source.key)))
        part.properties.add(source.key)
    elif source.access & SETTABLE:
        return
    elif source.type == "binary" and (detected := _detected(source)):
        part.add_flag(detected, source)
    elif source.type == "numeric" and (measured := _measured(source)) != "value":
        part.add_number(measured, source)


def _named(part: Part) -> Part:
    """Return a sensor as what it senses."""
    if part.kind != "sensor":
        return part
    part.attributes = dict(sorted(part.attributes.items(), key=lambda item: item[0] in _BESIDE))
    names = [name for name in part.attributes if name not in _BESIDE]
    if any(part.attributes[name].type is bool for name in names):
        part.kind = "binary_sensor"
    elif names == ["event"]:
        part.kind = "event"
    part.device_class = names[0] if names else next(iter(part.attributes))
    return part


def _settings(generic: Sequence[Expose]) -> list[Part]:
    """Return a part for each value that may be set, of a thing that has nothing else."""
    found: dict[str, Part] = {}
    for one in generic:
        if one.access & SETTABLE and one.key not in found and (part := _setting(one)).attributes:
            part.endpoint = one.key if found else ""
            found[one.key] = part
    return list(found.values())


def _setting(one: Expose) -> Part:
    if one.type == "binary":
        part = Part("switch")
        part.add_switch(one)
    elif one.type == "numeric":
        part = Part("number")
        part.add_number("value", one, settable=True, unit=unit.shown(one.unit))
    elif one.type == "text":
        part = Part("text")
        part.add(
            "text", [one], lambda payload: as_text(payload.get(one.key)) or None, lambda value, _: {one.key: value}
        )
    elif len(choices := one.choices) == 1:
        part = Part("button")
        part.add("activated", [one], None, lambda _, __: {one.key: next(iter(choices.values()))})
    else:
        part = Part("select")
        part.add_choice("option", one)
    return part


def _rank(source: Expose) -> tuple[bool, bool]:
    """Return where a reading stands: what a thing detects first, and last what it only has beside."""
    return (_detected(source) or source.name) in _BESIDE, source.type != "binary"


def _detected(source: Expose) -> str:
    """Return the attribute that a flag is by its name; it is empty if it is none that the house has a word for."""
    return _FLAGS.get(_NUMBERED.sub("", source.name), "")


def _measured(source: Expose) -> str:
    """Return the attribute that a number is by its name, `value` if it is none that the house has a word for."""
    named = _CLASSES.get(source.name, source.name)
    return unit.attribute_for(named, source.unit) if named else "value"
