"""Zigbee2MQTT's own topics and payloads: devices by their address, groups, scenes, and what it says went wrong.

`<base>/bridge/devices` lists what there is and `<base>/<name>` tells how each is, whole; a name may contain `/`, and
its first part is the room then. Orders go to `<base>/<name>/set`. That one failed is told in its log alone, with the
name of the device, so it belongs to what was last said to that.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome.convention import NOTHING, Heard, Message, decoded
from sshhome.conventions.zigbee2mqtt.expose import Expose, Part
from sshhome.conventions.zigbee2mqtt.thing import grouped, parts
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.errors import Refused
from sshhome.escape import printable
from sshhome.naming import slug

#: Bytes of the lists of all devices and of all groups: 5,000 devices, more than a network can have, take 25 MB.
_LIST = 32 * 1024 * 1024
#: Bytes of any other message; the longest state of a device has some kilobytes.
_MESSAGE = 1024 * 1024
#: Devices or groups, exposes of a device and scenes of an endpoint that are read; radios address fewer.
_THINGS, _EXPOSES, _SCENES = 10_000, 500, 256
#: Those that are worked out before others get their turn.
_AT_ONCE = 50
#: Letters of a name as people see it, of one in a topic, and of what a device says.
_LONGEST, _LONGEST_NAME, _WORDS = 64, 200, 200
#: Letters of a line of the log that are looked at.
_LINE = 2000
#: Letters of a text, and entries of a colour, in the state of a device.
_TEXT, _ENTRIES = 255, 16
#: Devices a second that are asked how they are: each answers over the same slow radio that orders go over.
_ASKED = 4
#: Scenes that may be waited for, and seconds in which the log tells that one was recalled.
_RECALLS, _RECALLED = 100, 10.0

_IEEE = re.compile(r"0x[0-9a-f]{16}")
_NAME = re.compile(r"(?!bridge(/|$))[^+#\x00-\x1f\x7f]+")
#: Lines of the log begin with the part of the program that writes them.
_WRITES = r"(?:[\w:]+: )?"
_FAILED = (
    re.compile(rf"{_WRITES}Publish 'set' '[^']*' to '(?P<name>.+?)' failed: '(?P<words>.*)'", re.DOTALL),
    re.compile(rf"{_WRITES}(?P<words>No converter available for '[^']*' on '(?P<name>.+?)'):"),
    re.compile(rf"{_WRITES}(?P<words>Entity '(?P<name>.+)' is unknown)"),
    re.compile(rf"{_WRITES}(?P<words>Cannot publish to unsupported device '(?P<name>.+)')"),
)
#: What it puts the words of the radio into.
_ZCL = re.compile(r"ZCL command .*? failed \((?P<words>.*)\)", re.DOTALL)
_RECALL = re.compile(
    rf"{_WRITES}(?:Successfully recalled (?P<group>group )?scene|Unknown scene was recalled for (?P<ieee>0x\w+),)"
)


class _Scene(msgspec.Struct, frozen=True):
    id: int
    name: str = ""


class _Endpoint(msgspec.Struct, frozen=True):
    name: str | None = None
    scenes: list[_Scene] = []


class _Definition(msgspec.Struct, frozen=True):
    description: str | None = None
    exposes: list[msgspec.Raw] = []


class _Entry(msgspec.Struct, frozen=True):
    """A device, as the bridge lists it."""

    ieee_address: str
    friendly_name: str
    type: str = ""
    disabled: bool = False
    interview_completed: bool = True
    definition: msgspec.Raw = msgspec.Raw(b"null")
    endpoints: msgspec.Raw = msgspec.Raw(b"{}")


class _Log(msgspec.Struct, frozen=True):
    """A line of the bridge's log."""

    level: str
    message: str


class _Member(msgspec.Struct, frozen=True):
    ieee_address: str
    endpoint: int | str = ""


class _Group(msgspec.Struct, frozen=True):
    """A group, as the bridge lists it."""

    id: int
    friendly_name: str
    members: list[_Member] = []
    scenes: list[_Scene] = []


class _Thing(msgspec.Struct):
    """A device or a group: what it is in the house, by identity, and what it last told of each property."""

    key: str
    name: str
    hardware: str = ""
    parts: dict[str, Part] = {}
    members: tuple[str, ...] = ()
    #: Where to recall each scene, and which it is.
    scenes: dict[str, tuple[str, _Scene]] = {}
    #: The names of endpoints, by number.
    endpoints: dict[str, str] = {}
    told: dict[str, Any] = {}
    disabled: bool = False
    #: Whether it is always awake, and so worth asking.
    awake: bool = False
    note: str = ""


class Zigbee2MQTT:
    """Reads and writes what one Zigbee2MQTT does under its base topic; see `Convention`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Start with nothing heard; the option `zigbee2mqtt_topic` is the base topic."""
        self._base = str(options.get("zigbee2mqtt_topic", "zigbee2mqtt"))
        self._bridge: Mapping[str, Callable[[bytes], Heard]] = {
            "bridge/state": self._hear_bridge,
            "bridge/devices": self._hear_devices,
            "bridge/groups": self._hear_groups,
            "bridge/logging": self._hear_log,
        }
        # What devices tell is listened to once it is known which there are.
        self.topics: Sequence[str] = tuple(f"{self._base}/{name}" for name in self._bridge)
        self._now = 0.0
        self._online = True
        self._entries: dict[int, str] = {}
        self._groups: list[_Group] = []
        #: Devices by address, groups by number; the same by name, and by the identities of what they are in the house.
        self._things: dict[str, _Thing] = {}
        self._names: dict[str, _Thing] = {}
        self._owners: dict[str, _Thing] = {}
        self._devices: dict[str, Device] = {}
        self._available: dict[str, bool] = {}
        self._listening: set[str] = set()
        self._unasked: deque[str] = deque()
        self._wanted: dict[str, dict[str, Scalar]] = {}
        self._last_told: dict[str, str] = {}
        self._recalls: deque[tuple[str, Scalar, float]] = deque(maxlen=_RECALLS)

    def hear(self, topic: str, payload: bytes, now: float) -> Heard:
        """Take a message."""
        self._now = now
        name = topic.removeprefix(f"{self._base}/")
        if name == topic:
            return NOTHING
        if len(payload) > (_LIST if name in {"bridge/devices", "bridge/groups"} else _MESSAGE):
            return NOTHING
        if (hear := self._bridge.get(name)) is not None:
            return hear(payload)
        if (thing := self._names.get(name)) is not None:
            return self._hear_state(thing, payload)
        owner = name.removesuffix("/availability")
        return self._hear_availability(owner, payload) if owner != name else NOTHING

    def later(self, now: float) -> Heard:
        """Ask a few of those that have told nothing yet, until all were asked once."""
        self._now = now
        ask: list[Message] = []
        while self._online and self._unasked and len(ask) < _ASKED:
            thing = self._things.get(self._unasked.popleft())
            if thing is None or thing.told or thing.disabled:
                continue
            # One property of a part will do: what it answers is told with all that is known of the thing.
            if wanted := {part.ask: "" for part in thing.parts.values() if part.ask}:
                ask.append(self._message(f"{thing.name}/get", wanted))
        return Heard(ask=ask) if ask else NOTHING

    def say(self, device: Device, change: State) -> Sequence[Message]:
        """Return what to publish for a change."""
        identity = device.identity
        thing = self._owners.get(identity)
        if thing is None:
            raise Refused(f"{device.name} is not known to Zigbee2MQTT")
        if identity in thing.scenes:
            owner, scene = thing.scenes[identity]
            payload: dict[str, Any] = {"scene_recall": scene.id} if change.get("activated") else {}
            self._recalls.append((identity, change.get("activated"), self._now))
        elif identity in thing.parts:
            owner, payload = thing.name, thing.parts[identity].say(device, change)
            self._wanted.setdefault(identity, {}).update(change)
        else:
            raise Refused(f"{device.name}: {thing.note}")
        self._last_told[thing.name] = identity
        return [self._message(f"{owner}/set", payload)] if payload else []

    def _message(self, name: str, payload: Mapping[str, Any]) -> Message:
        return Message(f"{self._base}/{name}", msgspec.json.encode(payload))

    def _hear_bridge(self, payload: bytes) -> Heard:
        online = _online(payload)
        if online is None or online is self._online:
            return NOTHING
        self._online = online
        return Heard(rest=self._make_all(list(self._things.values()), {}))

    def _hear_availability(self, name: str, payload: bytes) -> Heard:
        online = _online(payload)
        if online is None and payload:
            return NOTHING
        if online is None:
            self._available.pop(name, None)
        elif name in self._available or (len(self._available) < _THINGS and len(name) <= _LONGEST_NAME):
            # It may be told before the thing itself is.
            self._available[name] = online
        thing = self._names.get(name)
        return Heard(changed=self._make(thing)) if thing is not None else NOTHING

    def _hear_state(self, thing: _Thing, payload: bytes) -> Heard:
        told = decoded(payload, dict[str, Any])
        if told is None:
            return NOTHING
        known = {key for part in thing.parts.values() for key in part.properties}
        thing.told.update({key: told[key] for key in known & told.keys() if _is_plain(told[key])})
        before: list[Device] = []
        for identity, part in thing.parts.items():
            event, device = told.get(part.event), self._devices[identity]
            if not part.event or not isinstance(event, str) or not event:
                continue
            event = printable(event[:_LONGEST])
            if device.state.get("event") == event:
                # The same again is another event, so that between the two there was none.
                before.append(device.with_state({"event": None}, available=device.available))
            self._devices[identity] = device.with_state({"event": event})
        return Heard(changed=[*before, *self._make(thing)])

    def _hear_devices(self, payload: bytes) -> Heard:
        listed = decoded(payload, list[msgspec.Raw])
        return NOTHING if listed is None else Heard(rest=self._list(listed[:_THINGS]))

    def _list(self, listed: Sequence[msgspec.Raw]) -> Iterator[Heard]:
        """Take over which devices there are, by turns."""
        entries: dict[int, str] = {}
        things: dict[str, _Thing] = {}
        for number, raw in enumerate(listed, 1):
            # A list comes with every change of one: what is as it was need not be read again.
            digest = hash(bytes(raw))
            thing = self._things.get(self._entries.get(digest, "")) or self._device(raw)
            if thing is not None:
                entries[digest] = thing.key
                things[thing.key] = thing
            if number % _AT_ONCE == 0:
                yield NOTHING
        self._entries = entries
        yield from self._settle(things)

    def _hear_groups(self, payload: bytes) -> Heard:
        listed = decoded(payload, list[msgspec.Raw])
        if listed is None:
            return NOTHING
        read = (decoded(raw, _Group) for raw in listed[:_THINGS])
        self._groups = [group for group in read if group is not None and _is_name(group.friendly_name)]
        devices = {key: thing for key, thing in self._things.items() if not key.startswith("group/")}
        return Heard(rest=self._settle(devices))

    def _device(self, raw: msgspec.Raw) -> _Thing | None:
        """Return a device as it is listed; None for what is none, or not one yet."""
        entry = decoded(raw, _Entry)
        if entry is None or entry.type == "Coordinator":
            return None
        key, name = entry.ieee_address, entry.friendly_name
        if _IEEE.fullmatch(key) is None or not _is_name(name):
            return None
        definition = decoded(entry.definition, _Definition)
        if definition is None and not entry.interview_completed:
            return None
        endpoints = decoded(entry.endpoints, dict[str, _Endpoint]) or {}
        thing = _Thing(key, name, key[2:], disabled=entry.disabled, awake=entry.type == "Router")
        thing.note = "disabled in Zigbee2MQTT" if entry.disabled else ""
        if definition is None:
            thing.note = thing.note or "not supported by Zigbee2MQTT"
        else:
            read = (decoded(one, Expose) for one in definition.exposes[:_EXPOSES])
            found = parts([one for one in read if one is not None], name, definition.description or "")
            several = len(found) > 1
            thing.parts = {f"{key}/{part.endpoint}" if several and part.endpoint else key: part for part in found}
        for number, endpoint in endpoints.items():
            thing.endpoints[number] = endpoint.name or number
            owner = f"{name}/{endpoint.name}" if endpoint.name else name
            for scene in endpoint.scenes[:_SCENES]:
                thing.scenes[f"{key}/scene/{number}/{scene.id}"] = (owner, scene)
        thing.members = tuple(thing.parts)
        if (old := self._things.get(key)) is not None:
            thing.told = old.told
            if old.name != name and old.name in self._available:
                self._available.setdefault(name, self._available.pop(old.name))
        return thing

    def _group(self, group: _Group, things: Mapping[str, _Thing]) -> _Thing:
        """Return a group, which is nothing without members that are known."""
        key = f"group/{group.id}"
        thing = _Thing(key, group.friendly_name)
        members: dict[str, Part] = {}
        for member in group.members[:_THINGS]:
            device = things.get(member.ieee_address)
            if device is not None:
                # Of a part that cannot be told, all that the device has is taken to change.
                one = f"{device.key}/{device.endpoints.get(str(member.endpoint))}"
                members |= {one: device.parts[one]} if one in device.parts else device.parts
        thing.members = tuple(members)
        common = grouped(list(members.values()))
        thing.parts = {key: common} if common is not None else {}
        for scene in group.scenes[:_SCENES]:
            thing.scenes[f"{key}/scene/{scene.id}"] = (thing.name, scene)
        if (old := self._things.get(key)) is not None:
            thing.told = old.told
        return thing

    def _settle(self, devices: dict[str, _Thing]) -> Iterator[Heard]:
        """Take over which things there are now, and yield what became of those that there were."""
        groups = [self._group(group, devices) for group in self._groups]
        things = {**devices, **{group.key: group for group in groups}}
        self._unasked.extend(key for key, thing in things.items() if thing.awake and key not in self._things)
        before, same = self._devices, {id(thing) for thing in self._things.values()}
        self._things = things
        self._names = {thing.name: thing for thing in things.values()}
        self._owners = {identity: thing for thing in things.values() for identity in self._identities(thing)}
        self._devices = {identity: device for identity, device in before.items() if identity in self._owners}
        self._wanted = {identity: wanted for identity, wanted in self._wanted.items() if identity in self._owners}
        yield from self._make_all([thing for thing in things.values() if id(thing) not in same], before)
        topics = _topics(self._base, self._names if devices else ())
        listening, self._listening = self._listening, topics
        yield Heard(
            gone=[identity for identity in before if identity not in self._owners],
            listen=sorted(topics - listening),
            leave=sorted(listening - topics),
        )

    def _make_all(self, things: Sequence[_Thing], before: Mapping[str, Device]) -> Iterator[Heard]:
        """Yield the devices of things that are not as they were before, by turns."""
        for at in range(0, len(things), _AT_ONCE):
            made = (device for thing in things[at : at + _AT_ONCE] for device in self._make(thing))
            yield Heard(changed=[device for device in made if before.get(device.identity) != device])

    def _identities(self, thing: _Thing) -> list[str]:
        found = [*thing.parts, *(thing.scenes if thing.members else ())]
        return found or ([thing.key] if thing.note else [])

    def _make(self, thing: _Thing) -> list[Device]:
        """Return every device of a thing as it is now, and keep it."""
        room, called = _called(thing.name)
        available = self._online and not thing.disabled and self._available.get(thing.name, True)
        made: list[Device] = []
        for identity in self._identities(thing):
            device = Device(
                id="",
                name=called,
                room=room,
                available=available,
                identity=identity,
                hardware=thing.hardware,
                note=thing.note,
            )
            if identity in thing.scenes:
                device = self._make_scene(thing, identity, device)
            elif identity in thing.parts:
                device = self._make_part(thing, identity, device)
            else:
                device = replace(device, id=f"sensor.{slug(thing.name) or thing.key}", available=False)
            self._devices[identity] = device
            made.append(device)
        return made

    def _make_part(self, thing: _Thing, identity: str, device: Device) -> Device:
        part = thing.parts[identity]
        beside = f" {part.endpoint}".replace("_", " ") if len(thing.parts) > 1 and part.endpoint else ""
        known = self._devices[identity].state if identity in self._devices else {}
        state = {**dict.fromkeys(part.attributes), **{name: known[name] for name in known if name in part.attributes}}
        return replace(
            device,
            id=f"{part.kind}.{slug(thing.name + beside) or slug(identity)}",
            name=f"{device.name}{printable(beside)}"[:_LONGEST],
            device_class=part.device_class,
            attributes=part.attributes,
            state={**state, **part.state(thing.told, self._wanted.get(identity, {}))},
            group=thing.members if identity == thing.key and identity not in thing.members else (),
        )

    def _make_scene(self, thing: _Thing, identity: str, device: Device) -> Device:
        _, scene = thing.scenes[identity]
        name = f"{device.name} {_shown(scene.name) or f'scene {scene.id}'}"[:_LONGEST]
        known = self._devices.get(identity)
        return replace(
            device,
            id=f"scene.{slug(f'{thing.name} {scene.name or scene.id}') or slug(identity)}",
            name=name,
            attributes={"activated": ATTRIBUTES["activated"]},
            state=known.state if known is not None else {"activated": None},
            # What it sets is known to its members alone.
            members={member: {} for member in thing.members},
        )

    def _hear_log(self, payload: bytes) -> Heard:
        told = decoded(payload, _Log)
        if told is None:
            return NOTHING
        if told.level != "error":
            return self._hear_recalled(told.message)
        line = told.message[:_LINE]
        found = next((match for failure in _FAILED if (match := failure.match(line))), None)
        identity = self._last_told.get(found["name"], "") if found is not None else ""
        if found is None or identity not in self._owners:
            return NOTHING
        words = found["words"].removeprefix("Error: ")
        if (command := _ZCL.fullmatch(words)) is not None:
            words = command["words"]
        return Heard(refused=[(identity, printable(words)[:_WORDS])])

    def _hear_recalled(self, message: str) -> Heard:
        """Take the log's word that a scene was recalled for the oldest that was told to be."""
        found = _RECALL.match(message[:_LINE])
        if found is None:
            return NOTHING
        begins = "group/" if found["group"] else found["ieee"] or "0x"
        for recall in self._recalls:
            identity, activated, told = recall
            device = self._devices.get(identity)
            if device is not None and identity.startswith(begins) and self._now - told <= _RECALLED:
                self._recalls.remove(recall)
                self._devices[identity] = device.with_state({"activated": activated}, available=device.available)
                return Heard(changed=[self._devices[identity]])
        return NOTHING


def _online(payload: bytes) -> bool | None:
    """Return whether something is online, told as JSON, or plainly as older versions do."""
    told = decoded(payload, dict[str, Any])
    word = told.get("state") if told is not None else payload[:16].decode(errors="replace").strip('"')
    return {"online": True, "offline": False}.get(word) if isinstance(word, str) else None


def _is_plain(value: object) -> bool:
    """Return whether a value is one that is worth keeping: a scalar, or a colour."""
    if isinstance(value, dict):
        return len(value) <= _ENTRIES and all(isinstance(one, int | float) for one in value.values())
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _TEXT)


def _is_name(name: str) -> bool:
    """Return whether a name can be part of a topic of a thing, and of no other."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _topics(base: str, names: Iterable[str]) -> set[str]:
    """Return what to listen to: wildcards that hear new names too, as a state is told once and not again."""
    rooms = {name.partition("/")[0] for name in names if "/" in name}
    plain = {f"{base}/+", f"{base}/+/availability"} if names else set()
    return plain | {f"{base}/{room}/#" for room in rooms}


def _called(name: str) -> tuple[str, str]:
    """Return the room and the name, for people, of what is called `room/name` in topics."""
    room, slash, rest = name.partition("/")
    shown = _shown(rest if slash else name) or _shown(name) or name[:_LONGEST]
    return (slug(room) if slash else ""), shown


def _shown(name: str) -> str:
    shown = printable(" ".join(name.replace("_", " ").replace("/", " ").split()))[:_LONGEST]
    return shown[:1].upper() + shown[1:] if shown.islower() else shown
