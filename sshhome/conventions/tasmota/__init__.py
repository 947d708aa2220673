"""Tasmota, by its native discovery.

A thing announces itself on `tasmota/discovery/<MAC>/config`, and its sensors beside that; where it listens and speaks
follows from the full topic it announces. Each of its relays, lamps, blinds and switches is a device. Its readings are
with the first of them, or with a sensor of their own where there is none or that has such a reading already.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from sshhome.convention import NOTHING, Heard, Message, decoded
from sshhome.conventions.tasmota import part as tasmota
from sshhome.conventions.tasmota.part import MOST, Config, Part, Reading
from sshhome.device import ATTRIBUTES, Attribute, Device, State, asked
from sshhome.errors import Refused
from sshhome.escape import line, printable
from sshhome.naming import slug

#: Bytes of a message, and of one that announces, which is kept; real ones have two thousand.
_LARGEST, _LARGEST_ANNOUNCEMENT = 2**20, 2**14
#: Things that are known at once: announcements are anybody's.
_THINGS = 500
#: Letters of a name.
_LONGEST = 64
#: Seconds after which a detector that does not say so is taken to see nothing any more, as in Home Assistant.
_MOTION = 1.0

_ANNOUNCED = re.compile(r"([0-9A-F]{12})/(config|sensors)")
#: Modes of a switch that has two positions, and of a detector that tells that something moves but not that it stopped.
_POSITIONED, _MOMENTARY = frozenset({1, 2, 3, 4, 5, 6, 9, 10, 15, 16}), frozenset({13, 14})


class _Thing:
    """A thing as it has announced itself, and what it has told since."""

    def __init__(self, config: Config, readings: Sequence[Reading]) -> None:
        self.config = config
        self.order, *heads = map(config.where, range(3))
        self.heads = frozenset(heads)
        # One that sleeps most of the time is no less there.
        self.online = bool(config.sleeps)
        self.devices: dict[str, Device] = {}
        self.parts: dict[str, Part] = {}
        self.readings: list[tuple[str, Reading]] = []
        #: What was ordered of each device, and of which one last, until that has answered.
        self.ordered: dict[str, State] = {}
        self.waiting = ""
        self._add_parts()
        self._add_readings(readings)
        self._add_switches()

    def keep(self, old: "_Thing") -> None:
        """Take over what was known before it announced itself anew."""
        self.online = self.online or (old.online and old.heads == self.heads)
        self.ordered = old.ordered
        for identity, device in self.devices.items():
            before = old.devices[identity].state if identity in old.devices else {}
            known = {name: value for name, value in before.items() if name in device.attributes}
            self.devices[identity] = device.with_state(known, available=self.online)

    def hear(self, told: Mapping[str, Any]) -> Iterator[Device]:
        """Take what it tells, and return the devices of which that tells something."""
        changes = {identity: part.heard(told) for identity, part in self.parts.items()}
        for identity, reading in self.readings:
            changes[identity] |= reading.heard(told)
        for identity, change in changes.items():
            if change:
                # What it cannot tell apart from what was ordered is what was ordered.
                for name, value in self.ordered.get(identity, {}).items():
                    if tasmota.alike(name, value, change.get(name)):
                        change[name] = value
                yield self.change(identity, change)

    def change(self, identity: str, change: State) -> Device:
        """Take in what has become of a device, and return it."""
        device = self.devices[identity]
        self.devices[identity] = device.with_state(change, available=device.available)
        return self.devices[identity]

    def reach(self, *, online: bool) -> Iterable[Device]:
        """Take in whether it can be reached, and return its devices."""
        self.online = online or bool(self.config.sleeps)
        self.devices = {id_: replace(device, available=self.online) for id_, device in self.devices.items()}
        return self.devices.values()

    @property
    def asked(self) -> list[Message]:
        """What asks it for all that it has to tell."""
        asked = [Message(f"{self.order}STATE")]
        if self.readings or any(isinstance(part, tasmota.Blind | tasmota.Switch) for part in self.parts.values()):
            asked.append(Message(f"{self.order}STATUS", b"10"))
        return asked

    def _add(self, part: Part, suffix: str, kind: str, name: str, attributes: Iterable[Attribute]) -> str:
        shown = line(name, _LONGEST) or f"Tasmota {self.config.mac}"
        can = {attribute.name: attribute for attribute in attributes}
        identity = f"{self.config.mac}{suffix}"
        self.parts[identity] = part
        self.devices[identity] = Device(
            id=f"{kind}.{slug(shown) or 'device'}",
            name=shown,
            attributes=can,
            state=dict.fromkeys(can),
            available=self.online,
            identity=identity,
            hardware=self.config.mac.lower(),
        )
        return identity

    def _add_parts(self) -> None:
        config = self.config
        blinds = config.relays.count(tasmota.BLIND) // 2
        for number in range(1, blinds + 1):
            options = config.blinds[number - 1] if number <= len(config.blinds) else 0
            tilts = config.tilts[number - 1] if number <= len(config.tilts) else []
            shut, open_, seconds, *_ = (*tilts, 0, 0, 0)
            blind = tasmota.Blind(number, bool(options & 1), (shut, open_) if seconds else (0, 0))
            name = config.name if blinds == 1 else f"{config.name} {number}"
            self._add(blind, f"/shutter{number}", "cover", name, blind.attributes)
        if config.fan:
            self._add(tasmota.Fan(), "/fan", "fan", config.name, (ATTRIBUTES["on"], ATTRIBUTES["speed"]))
        switched = [number for number, what in enumerate(config.relays, 1) if what in {tasmota.RELAY, tasmota.LAMP}]
        alone = len(switched) == 1 and not self.parts
        lamps = 0
        for number in switched:
            relay = tasmota.Relay(config, number)
            name = _at(config.names, number) or (config.name if alone else f"{config.name} {number}")
            if config.relays[number - 1] == tasmota.LAMP and not (config.fan and number == 1):
                lamps += 1
                lamp = self._lamp(relay, lamps)
                self._add(lamp, "/light" if lamps == 1 else f"/light{lamps}", "light", name, lamp.attributes)
            else:
                # The light of an iFan is a relay, and others may be lamps by the word of their owner.
                kind = "light" if config.options.get(tasmota.AS_LAMPS) or config.fan else "switch"
                self._add(relay, f"/relay{number}", kind, name, (ATTRIBUTES["on"],))

    def _lamp(self, relay: tasmota.Relay, number: int) -> tasmota.Lamp:
        config = self.config
        if config.options.get(tasmota.CHANNELS):
            channel = f"Channel{relay.number}"
            return tasmota.Lamp(relay, tasmota.DIMMED, channel, channel)
        if not config.linked and config.lamp in {tasmota.RGBW, tasmota.RGBCCT} and number <= 2:
            # Its colours and its white are two lamps.
            white = tasmota.COLD_WARM if config.lamp == tasmota.RGBCCT else tasmota.DIMMED
            return tasmota.Lamp(relay, tasmota.RGB if number == 1 else white, f"Dimmer{number}", f"Dimmer{number}")
        type_ = config.lamp if config.lamp <= tasmota.RGBCCT else tasmota.PLAIN
        return tasmota.Lamp(relay, type_, "Dimmer3" if config.tuya else "Dimmer")

    def _add_readings(self, readings: Sequence[Reading]) -> None:
        first = next(iter(self.devices), "")
        if self.config.battery:
            readings = (Reading(("BatteryPercentage",), "battery", "%"), *readings)
        sensors: dict[str, str] = {}
        for reading in readings:
            key = reading.path[0]
            if key not in sensors:
                first = first or self._add(tasmota.Sensor(), "", "sensor", self.config.name, ())
                sensors[key] = first
                taken = self.devices[first].attributes
                if any(other.attribute in taken for other in readings if other.path[0] == key):
                    name, suffix = f"{self.config.name} {key}", f"/sensor/{slug(key)}"
                    own = f"{self.config.mac}{suffix}"
                    sensors[key] = own if own in self.parts else self._add(tasmota.Sensor(), suffix, "sensor", name, ())
            device = self.devices[sensors[key]]
            if reading.attribute not in device.attributes:
                can = {**device.attributes, reading.attribute: ATTRIBUTES[reading.attribute]}
                self.devices[sensors[key]] = replace(device, attributes=can, state=dict.fromkeys(can))
                self.readings.append((sensors[key], reading))

    def _add_switches(self) -> None:
        for number, mode in enumerate(self.config.switches, 1):
            if mode in _POSITIONED | _MOMENTARY:
                given = _at(self.config.switch_names, number)
                switch = tasmota.Switch(self.config, given or f"Switch{number}", mode in _MOMENTARY)
                name = f"{self.config.name} {given or f'switch {number}'}"
                self._add(switch, f"/switch{number}", "binary_sensor", name, (ATTRIBUTES["detected"],))


class Tasmota:
    """Reads what Tasmota's things tell, and writes what they are told."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Begin with nothing known; the option `tasmota_prefix` is where things announce themselves."""
        self._prefix = f"{options.get('tasmota_prefix', 'tasmota/discovery')}/"
        self.topics: Sequence[str] = (f"{self._prefix}+/config", f"{self._prefix}+/sensors")
        self._configs: dict[str, Config] = {}
        self._readings: dict[str, Sequence[Reading]] = {}
        self._things: dict[str, _Thing] = {}
        #: Who speaks on a topic; of two that were given one name, both.
        self._heads: dict[str, list[str]] = {}
        #: Until when a detector is taken to see something.
        self._until: dict[str, float] = {}

    def hear(self, topic: str, payload: bytes, now: float) -> Heard:
        """Take what a thing announces or tells."""
        if topic.startswith(self._prefix):
            match = _ANNOUNCED.fullmatch(topic, len(self._prefix))
            return self._announce(match[1], match[2], payload) if match else NOTHING
        head, slash, leaf = topic.rpartition("/")
        macs = self._heads.get(head + slash)
        if not macs or len(payload) > _LARGEST:
            return NOTHING
        heard = Heard()
        for mac in macs:
            if leaf == "LWT":
                _reach(self._things[mac], payload, heard)
            else:
                self._tell(self._things[mac], _told(leaf, payload), now, heard)
        return heard

    def later(self, now: float) -> Heard:
        """Return the detectors that are taken to see nothing any more."""
        heard = Heard()
        for identity in [identity for identity, until in self._until.items() if until <= now]:
            del self._until[identity]
            thing = self._thing(identity)
            if thing is not None and identity in thing.devices:
                heard.changed.append(thing.change(identity, {"detected": False}))
        return heard

    def say(self, device: Device, change: State) -> Sequence[Message]:
        """Return the commands for a change; raises Refused for one that there are none for."""
        thing = self._thing(device.identity)
        if thing is None or device.identity not in thing.parts:
            raise Refused(f"{device.name} has not announced itself")
        wanted = asked(change)
        known = thing.devices[device.identity]
        able = all(known.can_set(name) or (name == "moving" and name in known.attributes) for name in wanted)
        said = thing.parts[device.identity].say(device.state, wanted) if able and wanted else []
        if not said:
            raise Refused(f"{device.name} cannot do that")
        thing.ordered[device.identity] = {**thing.ordered.get(device.identity, {}), **wanted}
        thing.waiting = device.identity
        return [Message(thing.order + command, text.encode()) for command, text in said]

    def _thing(self, identity: str) -> _Thing | None:
        return self._things.get(identity.partition("/")[0])

    def _announce(self, mac: str, what: str, payload: bytes) -> Heard:
        kept: dict[str, Any] = self._configs if what == "config" else self._readings
        if len(payload) > _LARGEST_ANNOUNCEMENT or (mac not in kept and len(kept) >= _THINGS):
            return NOTHING
        if not payload:
            kept.pop(mac, None)
        else:
            announced = _config(payload, mac) if what == "config" else _sensors(payload)
            if announced is None:
                return NOTHING
            kept[mac] = announced
        return self._renew(mac)

    def _renew(self, mac: str) -> Heard:
        """Make a thing anew of what it has announced."""
        heard, old = Heard(), self._things.pop(mac, None)
        new = _Thing(self._configs[mac], self._readings.get(mac, ())) if mac in self._configs else None
        before, after = old.heads if old else frozenset(), new.heads if new else frozenset()
        for head in sorted(after - before):
            self._heads.setdefault(head, []).append(mac)
            if len(self._heads[head]) == 1:
                heard.listen.append(f"{head}+")
        for head in sorted(before - after):
            self._heads[head].remove(mac)
            if not self._heads[head]:
                del self._heads[head]
                heard.leave.append(f"{head}+")
        if new is not None:
            self._things[mac] = new
            if old is not None:
                new.keep(old)
            heard.changed = list(new.devices.values())
            heard.ask = new.asked if new.online else []
        heard.gone = [identity for identity in (old.devices if old else ()) if not new or identity not in new.devices]
        return heard

    def _tell(self, thing: _Thing, told: Mapping[str, Any], now: float, heard: Heard) -> None:
        answer = told.get("Command")
        if isinstance(answer, str) and thing.waiting:
            # To a command that it knows it answers how it is.
            heard.refused.append((thing.waiting, printable(f"command {answer[:MOST].lower()}")))
            thing.waiting = ""
        for device in thing.hear(told):
            heard.changed.append(device)
            if device.identity == thing.waiting:
                thing.waiting = ""
            part = thing.parts[device.identity]
            if isinstance(part, tasmota.Switch) and part.momentary and device.state["detected"]:
                self._until[device.identity] = now + _MOTION


def _reach(thing: _Thing, payload: bytes, heard: Heard) -> None:
    text = payload.decode(errors="replace")
    if text in {thing.config.online, thing.config.offline}:
        online = text == thing.config.online
        heard.changed += thing.reach(online=online)
        heard.ask += thing.asked if online else []


def _config(payload: bytes, mac: str) -> Config | None:
    config = decoded(payload, Config)
    return config if config is not None and config.mac == mac and all(map(config.where, range(3))) else None


def _sensors(payload: bytes) -> Sequence[Reading] | None:
    told = (decoded(payload, dict) or {}).get("sn")
    return tasmota.readings(told) if isinstance(told, dict) else None


def _told(leaf: str, payload: bytes) -> Mapping[str, Any]:
    """Return what a message tells; in an answer to STATUS that is one level deeper, and POWER is told in a word too."""
    told: dict[str, Any] | None = decoded(payload, dict)
    if told is None:
        return {leaf: payload[:MOST].decode(errors="replace")} if leaf.startswith("POWER") else {}
    for status in ("StatusSNS", "StatusSTS"):
        if isinstance(told.get(status), dict):
            return dict(told[status])
    return told


def _at(names: Sequence[str | None], number: int) -> str:
    return names[number - 1] or "" if number <= len(names) else ""
