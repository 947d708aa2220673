"""What the registries of Home Assistant say of an entity: who it is, where it is, what it is called. No I/O."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from sshhome.escape import line
from sshhome.naming import slug

#: Letters of a name that is shown; what is longer says no more to anybody.
_LONGEST_NAME = 64

_MAC = r"(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}"
_HARDWARE = re.compile(rf"(?:zigbee2mqtt_)?((?:0x)?(?:{_MAC}|(?:[0-9a-f]{{2}}[:-]?){{7}}[0-9a-f]{{2}}))")
#: Kinds of connections of a device that are addresses burnt into it.
_BURNT_IN = frozenset({"mac", "zigbee", "bluetooth"})


def clean(text: object, longest: int = _LONGEST_NAME) -> str:
    """Return what can be shown of a text, on one line; of anything else nothing."""
    return line(text, longest) if isinstance(text, str) else ""


def text_of(value: object) -> str:
    """Return what is text, and of anything else nothing."""
    return value if isinstance(value, str) else ""


class Entry(msgspec.Struct, frozen=True):
    """What the registries say of an entity; `device` and `area` are their ids.

    `technical` is one for setting things up and finding faults.
    """

    entity_id: str
    identity: str
    platform: str = ""
    name: str = ""
    device: str = ""
    area: str = ""
    room: str = ""
    hardware: str = ""
    hidden: bool = False
    technical: bool = False

    @property
    def domain(self) -> str:
        """The part of the entity's id before the dot."""
        return self.entity_id.partition(".")[0]


def entries(areas: object, devices: object, entities: object) -> dict[str, Entry]:
    """Return what the three registries say together, by entity id; an entity without an area is where its device is."""
    rooms = {text_of(area.get("area_id")): slug(text_of(area.get("name"))) for area in _dicts(areas)}
    things = {text_of(thing.get("id")): thing for thing in _dicts(devices)}
    found = {}
    for one in _dicts(entities):
        entity_id, unique, platform = text_of(one.get("entity_id")), one.get("unique_id"), text_of(one.get("platform"))
        if not entity_id:
            continue
        # Some integrations have numbers for unique ids.
        told = isinstance(unique, str | int) and unique != ""
        device = text_of(one.get("device_id"))
        thing = things.get(device, {})
        area = text_of(one.get("area_id")) or text_of(thing.get("area_id"))
        found[entity_id] = Entry(
            entity_id=entity_id,
            identity=f"{entity_id.partition('.')[0]}/{platform}/{unique}" if told else entity_id,
            platform=platform,
            name=clean(one.get("name")) or clean(one.get("original_name")),
            device=device,
            area=area,
            room=rooms.get(area, ""),
            hardware=_hardware(thing),
            hidden=one.get("hidden_by") is not None or one.get("disabled_by") is not None,
            technical=one.get("entity_category") is not None,
        )
    return found


def _dicts(items: object) -> Iterable[Mapping[str, object]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _hardware(thing: Mapping[str, object]) -> str:
    """Return the address that was burnt into a device, where one of its connections or identifiers is one."""
    for pair in _pairs(thing.get("connections")):
        match = _HARDWARE.fullmatch(pair[1].lower())
        if match is not None and pair[0] in _BURNT_IN:
            return _bare(match[1])
    for pair in _pairs(thing.get("identifiers")):
        match = _HARDWARE.fullmatch(pair[1].lower())
        # Twelve digits alone are a serial number rather than an address.
        if match is not None and not match[1].isdecimal():
            return _bare(match[1])
    return ""


def _pairs(items: object) -> Iterable[tuple[str, str]]:
    for item in items if isinstance(items, list) else []:
        if isinstance(item, list) and len(item) >= 2 and all(isinstance(part, str) for part in item):
            yield item[0], item[1]


def _bare(address: str) -> str:
    return address.removeprefix("0x").replace(":", "").replace("-", "")
