"""What the nodes of a Homie device are to the house, by their properties, and how their values are written. No I/O.

    shapes("relay", Node(properties={"power": Property("boolean", settable=True)}))
    == [Shape("switch", (Flag("power", ATTRIBUTES["on"]),))]

Homie says of a property what values it takes, and nothing of what it is for: that is found in its type, its unit and
the words of its name. `sshhome.conventions.homie` knows the topics and who is there.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from sshhome import unit
from sshhome.conventions.homie.value import Choice, Color, Flag, Moves, Number, Part, Property, Text
from sshhome.device import ATTRIBUTES, COLOR, Attribute, State

#: What a device, a node or a property may be called.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Properties of a node that are looked at, and letters of a name.
_MOST, _LONGEST = 64, 255

_LEVEL = ("brightness", "speed")
_POWER = frozenset({"on", "power", "state", "switch"})
_LEVELS = frozenset({"brightness", "level", "dim", "dimmer", "intensity"})
_SPEEDS = frozenset({"speed", "fan"})
_POSITIONS = frozenset({"position", "shutter", "blind", "blinds", "cover", "curtain", "roller", "awning"})
_TILTS = frozenset({"tilt", "slat", "slats"})
#: What lets people in, or alarms: it takes `access` to change it, so that it is better found once too often.
_ENTRANCES = ("garage", "gate", "door")
_LOCKS, _SIRENS = frozenset({"lock", "locked", "deadbolt"}), frozenset({"siren", "alarm"})
_GUARDS = frozenset({*_ENTRANCES, "valve"}) | _LOCKS | _SIRENS
#: What a garage has too.
_LAMPS = frozenset({"light", "lights", "lamp", "lamps", "bulb", "led"})
#: How values begin that shut and that open, and what a truth is without words.
_SHUT, _OPEN = ("clos", "shut", "down"), ("open", "up")
_TRUTHS = ("false", "true")
#: Words of a reading -> device class
_CLASSES = {"co2": "carbon_dioxide", "voc": "volatile_organic_compounds", "lux": "illuminance", "rain": "precipitation"}
#: Words of a flag -> device class or attribute
_FLAGS = {"contact": "opening", "open": "opening", "leak": "moisture", "flood": "moisture", "water": "moisture"}
_OWN_FLAGS = frozenset({"heating", "cooling", "charging", "jammed"})


class Node(msgspec.Struct, frozen=True):
    """A node as it is described."""

    name: str | None = None
    type: str | None = None
    properties: dict[str, Property] = {}


class Shape(msgspec.Struct, frozen=True):
    """A device as it is made of properties; `own` is the property whose name tells it from others of its node."""

    kind: str
    parts: tuple[Part, ...]
    device_class: str = ""
    own: str = ""


def shapes(id_: str, node: Node) -> Sequence[Shape]:
    """Return the devices that a node is, the first of which bears what else it measures."""
    properties = {key: one for key, one in list(node.properties.items())[:_MOST] if ID.fullmatch(key)}
    about = _meant(_words(id_, node.name, node.type))
    settable = {key: one for key, one in properties.items() if one.settable and one.retained}
    found: list[Shape] = []
    whole = _climate(settable, properties) or _cover(settable, about) or _fan(settable, about) or _light(settable)
    if whole is not None:
        found.append(whole)
        settable = {key: one for key, one in settable.items() if all(key != part.id for part in whole.parts)}
    alone = len(settable) == 1 and not found
    for key, one in settable.items():
        shape = _alone(key, one, about)
        if shape is not None:
            found.append(shape if alone else replace(shape, own=key))
    read = [(key, one) for key, one in properties.items() if one.retained and not one.settable]
    _add_readings(found, [part for key, one in read if (part := _reading(key, one, found)) is not None])
    found += [
        Shape("event", (Text(key, ATTRIBUTES["event"]),), own=key)
        for key, one in properties.items()
        if not one.retained
    ]
    return found


def _words(*texts: str | None) -> frozenset[str]:
    return frozenset(word for text in texts for word in re.findall(r"[a-z0-9]+", (text or "")[:_LONGEST].lower()))


def _meant(words: frozenset[str]) -> frozenset[str]:
    """Return words without those for what guards, if they are about a lamp there."""
    return words - _GUARDS if words & _LAMPS else words


def _first(settable: Mapping[str, Property], words: Collection[str], *, share: bool) -> str | None:
    """Return the property, of those that are shares or truths, whose name has one of these words."""
    fitting = (key for key, one in settable.items() if (one.is_share if share else one.datatype == "boolean"))
    return next((key for key in fitting if not _words(key, settable[key].name).isdisjoint(words)), None)


def _bounded(name: str, one: Property) -> Attribute:
    """Return an attribute with the bounds of a property."""
    attribute = ATTRIBUTES[name]
    ends = [unit.canonical(end, one.unit or "" if name != "value" else "", name) for end in one.range]
    low, high = sorted(end for end in ends if end is not None) if None not in ends else (attribute.low, attribute.high)
    if name == "color_temperature":
        # Nothing shines at 0 K.
        low, high = max(low, 1000), max(high, 1000)
    if name == "value":
        return replace(attribute, low=low, high=high, unit=unit.shown(one.unit or ""))
    return replace(attribute, low=round(low, 2), high=round(high, 2))


def _climate(settable: Mapping[str, Property], properties: Mapping[str, Property]) -> Shape | None:
    target = next((key for key, one in settable.items() if _warm(one)), None)
    modes = (key for key, one in settable.items() if one.datatype == "enum" and one.choices)
    mode = next((key for key in modes if "mode" in _words(key) or "heat" in settable[key].choices), None)
    measured = any(_warm(one) and not one.settable for one in properties.values())
    if target is None or not (mode or measured):
        return None
    one = settable[target]
    parts: list[Part] = [Number(target, _bounded("target_temperature", one), one)]
    if mode is not None:
        parts.append(Choice(mode, replace(ATTRIBUTES["mode"], options=settable[mode].choices)))
    return Shape("climate", tuple(parts))


def _warm(one: Property) -> bool:
    return one.numeric and unit.shown(one.unit or "") in {"°C", "°F"}


def _fan(settable: Mapping[str, Property], about: Collection[str]) -> Shape | None:
    if any(one.datatype == "color" for one in settable.values()):
        return None
    speed = _first(settable, _SPEEDS if "fan" not in about else _SPEEDS | _LEVELS, share=True)
    if speed is None:
        return None
    parts: list[Part] = [Number(speed, ATTRIBUTES["speed"], settable[speed])]
    return Shape("fan", (*parts, *_power(settable)))


def _cover(settable: Mapping[str, Property], about: frozenset[str]) -> Shape | None:
    words = {*_POSITIONS, *_ENTRANCES, "valve"}
    position = _first(settable, words | _LEVELS if about & words else words, share=True)
    if position is None:
        return None
    parts: list[Part] = [Number(position, ATTRIBUTES["position"], settable[position])]
    tilt = _first(settable, _TILTS, share=True)
    if tilt is not None and tilt != position:
        parts.append(Number(tilt, ATTRIBUTES["tilt"], settable[tilt]))
    parts += [part for key, one in settable.items() for part in _stop(key, one)][:1]
    about |= _words(position, settable[position].name)
    about = _meant(about)
    kind = "valve" if "valve" in about else "cover"
    return Shape(kind, tuple(parts), _entrance(about) if kind == "cover" else "")


def _stop(key: str, one: Property) -> Sequence[Part]:
    """Return what orders a cover to stop."""
    stop = next((choice for choice in one.choices if choice.lower() == "stop"), None)
    return [Moves(key, stop)] if stop and one.datatype == "enum" else []


def _light(settable: Mapping[str, Property]) -> Shape | None:
    colors = {key: one for key, one in settable.items() if one.datatype == "color"}
    whites = [key for key, one in settable.items() if one.numeric and unit.shown(one.unit or "") in {"K", "mired"}]
    level = _first(settable, _LEVELS, share=True)
    power = _power(settable)
    if not colors and not (power and (level or whites)):
        return None
    parts: list[Part] = [Number(level, ATTRIBUTES["brightness"], settable[level])] if level else []
    for key, one in list(colors.items())[:1]:
        formats = tuple(form for form in one.choices if form in {"rgb", "hsv", "xyz"}) or ("rgb",)
        parts.append(Color(key, formats, level is not None or formats[0] == "xyz"))
    parts += [Number(key, _bounded("color_temperature", settable[key]), settable[key]) for key in whites[:1]]
    return Shape("light", (*parts, *power))


def _power(settable: Mapping[str, Property]) -> Sequence[Part]:
    """Return the truth that switches, which is last: nothing shall flash up before it is what it shall be."""
    truths = [key for key, one in settable.items() if one.datatype == "boolean"]
    key = _first(settable, _POWER, share=False) or (truths[0] if len(truths) == 1 else None)
    return [Flag(key, ATTRIBUTES["on"])] if key is not None else []


def _entrance(about: Collection[str]) -> str:
    return next((word for word in _ENTRANCES if word in about), "")


def _alone(key: str, one: Property, about: frozenset[str]) -> Shape | None:
    """Return what a property is that is nothing but itself."""
    words = _meant(about | _words(key, one.name))
    if words & _GUARDS:
        return _guard(key, one, words)
    match one.datatype:
        case "boolean":
            return Shape("switch", (Flag(key, ATTRIBUTES["on"]),))
        case "enum" if one.choices:
            return Shape("select", (Choice(key, replace(ATTRIBUTES["option"], options=one.choices)),))
        case "integer" | "float":
            return Shape("number", (Number(key, _bounded("value", one), one),))
        case "string":
            return Shape("text", (Text(key, ATTRIBUTES["text"]),))
    return None


def _guard(key: str, one: Property, words: frozenset[str]) -> Shape | None:
    """Return what lets people in or alarms; what is of no form for that is none, so that there is no way round it."""
    if words & _LOCKS:
        kind, name, ends = "lock", "locked", _ends(one, ("unlock", "open"), ("lock", "clos"))
    elif words & _SIRENS:
        kind, name, ends = "siren", "on", _ends(one, ("off",), ("on",))
    else:
        kind, name, ends = "valve" if "valve" in words else "cover", "position", _ends(one, _SHUT, _OPEN)
    if ends is None:
        return None
    stop = _stop(key, one) if name == "position" else ()
    return Shape(kind, (Flag(key, ATTRIBUTES[name], ends), *stop), _entrance(words) if kind == "cover" else "")


def _ends(one: Property, low: tuple[str, ...], high: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the two values of a property that begin like this, or those of a truth that mean so."""
    if one.datatype == "boolean":
        return ("true", "false") if len(one.choices) == 2 and one.choices[1].lower().startswith(low) else _TRUTHS
    values = [next((choice for choice in one.choices if choice.lower().startswith(end)), None) for end in (low, high)]
    return (values[0], values[1]) if one.datatype == "enum" and values[0] and values[1] else None


def _reading(key: str, one: Property, found: Sequence[Shape]) -> Part | None:
    match one.datatype:
        case "integer" | "float":
            name = _measured(key, one)
            if name == "value":
                return Number(key, replace(_bounded("value", one), settable=False), one)
            return Number(key, ATTRIBUTES[name], one)
        case "boolean":
            name = _flag(key, one)
            return Flag(key, ATTRIBUTES[name], (name == "open" and _ends(one, _SHUT, _OPEN)) or _TRUTHS)
        case "enum" if found and found[0].kind == "cover" and {"opening", "closing"} & set(one.choices):
            return Choice(key, ATTRIBUTES["moving"])
        case "enum" | "string" | "datetime":
            return Text(key, ATTRIBUTES["status"])
    return None


def _measured(key: str, one: Property) -> str:
    """Return the attribute that a number is, by its name and unit, or by its unit alone."""
    given = one.unit or ""
    named = [key.replace("-", "_"), *(sorted(_words(key, one.name)) if given else ())]
    fitting = (name for word in named if (name := unit.attribute_for(_CLASSES.get(word, word), given)) != "value")
    return next(fitting, unit.attribute_for("", given))


def _flag(key: str, one: Property) -> str:
    words = sorted(_words(key, one.name))
    own = (word for word in words if word in _OWN_FLAGS)
    known = (name for word in words if (name := unit.flag_for(_FLAGS.get(word, word))) != "detected")
    return next(own, next(known, "detected"))


def _add_readings(found: list[Shape], readings: Iterable[Part]) -> None:
    """Add readings to the first device, or what it has already to another."""
    readings = list(readings)
    if not found and readings:
        flags = any(isinstance(part, Flag) for part in readings)
        found.append(Shape("binary_sensor" if flags else "sensor", ()))
    for part in readings:
        # What orders a cover to stop tells nothing, and leaves room for what does.
        telling = [other for other in found[0].parts if not isinstance(other, Moves)]
        taken = {attribute.name for other in telling for attribute in other.attributes}
        if taken.isdisjoint(attribute.name for attribute in part.attributes):
            found[0] = replace(found[0], parts=(*found[0].parts, part))
        else:
            found.append(Shape("binary_sensor" if isinstance(part, Flag) else "sensor", (part,), own=part.id))


def written(shape: Shape, state: State, wanted: State) -> Iterator[tuple[str, str]]:
    """Return the properties to set for a change, each with its value, in order."""
    if wanted.get("on") is False:
        wanted = {"on": False}
    elif state.get("on") is not True and (any(map(wanted.get, _LEVEL)) or not wanted.keys().isdisjoint(COLOR)):
        # In the house what is dimmed or coloured is on; in Homie these are apart.
        wanted = {"on": True, **wanted}
    for part in shape.parts:
        text = part.say(state, wanted)
        if text is not None:
            yield part.id, text
