"""Home Assistant's MQTT discovery: a retained message describes each thing, one component at a time or a whole device.

What describes it is on `<prefix>/<component>/[<node>/]<object>/config`, or with many components on `<prefix>/device/…`;
where it speaks and listens is in there. Each component is a device here. What one can do is in `components`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome.convention import NOTHING, Heard, Message, decoded
from sshhome.conventions.discovery import components, template
from sshhome.conventions.discovery.abbreviation import written_out
from sshhome.conventions.discovery.component import Component, Reading
from sshhome.conventions.discovery.function import LARGEST, Failed
from sshhome.device import Device, Scalar, State
from sshhome.errors import Refused
from sshhome.escape import line
from sshhome.naming import slug

#: Bytes of a message that describes: a device of sixty components has forty thousand.
_LARGEST_CONFIG = 256 * 1024
#: Bytes of all of them, which are kept in another form.
_LARGEST_ALL = 32 * 2**20
#: Things that are known at once, and components of one device; the largest houses have a few thousand.
_THINGS, _COMPONENTS = 10_000, 300
#: Bytes of a payload that is kept for those who are described after it, and of all of them.
_LARGEST_KEPT, _ALL_KEPT = 16 * 1024, 8 * 2**20
#: Ways in which one tells that it can be reached; templates that one message is put through.
_WAYS, _RENDERED = 16, 300
#: Letters of a name, and of what identifies.
_LONGEST_NAME, _LONGEST_ID = 64, 255

#: What components of a device have in common, and need not say.
_SHARED = (
    *("availability", "availability_mode", "availability_topic", "availability_template"),
    *("payload_available", "payload_not_available", "state_topic", "command_topic", "encoding", "qos"),
)
#: Texts of other encodings than these are not read: some are decoders of more than text.
_ENCODINGS = frozenset({"utf-8", "utf8", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1", "utf-16", "cp1252"})
_ADDRESS = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{12})(?![0-9a-fA-F])")
_CLASS = re.compile(r"[a-z0-9_]{1,32}")

#: Where a component was described: the topic, and which of the device's it is.
_Place = tuple[str, str]


class _Way(msgspec.Struct, frozen=True):
    """A topic on which one tells that it can be reached, and its words for that."""

    topic: str
    template: str
    yes: str
    no: str


class _Thing(msgspec.Struct):
    """A component that was discovered, as it is now."""

    place: _Place
    component: Component
    device: Device
    encoding: str
    ways: Sequence[_Way]
    mode: str
    #: Seconds after which a reading is worth nothing, and after which a detector is off again; 0 for never.
    expires: float
    off_after: float
    reached: dict[_Way, bool] = {}
    #: What it was told last: how it counts that may be less fine.
    ordered: dict[str, Scalar] = {}
    #: When its reading expires, and when it is off again.
    stale_at: float | None = None
    off_at: float | None = None
    stale: bool = False

    @property
    def topics(self) -> list[str]:
        """Return what it is heard on, each once."""
        return list(dict.fromkeys([way.topic for way in self.ways] + [one.topic for one in self.component.readings]))

    @property
    def available(self) -> bool:
        """Return whether it can be reached: what has not said so yet cannot."""
        if self.stale:
            return False
        if not self.ways:
            return True
        if self.mode == "latest":
            return next(reversed(self.reached.values()), False)
        return (any if self.mode == "any" else all)(self.reached.get(way, False) for way in self.ways)


class Discovery:
    """Knows what has been discovered; a message that describes something anew changes it, an empty one removes it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Start with nothing; `discovery_prefix` is where things are described."""
        prefix = options.get("discovery_prefix", "homeassistant")
        self.topics = (f"{prefix}/+/+/config", f"{prefix}/+/+/+/config")
        self._described = re.compile(rf"{re.escape(prefix)}/([a-z_]+)/(?:[a-zA-Z0-9_-]+/)?([a-zA-Z0-9_-]+)/config")
        self._things: dict[str, _Thing] = {}
        #: What each topic that describes is about, by the component; what it weighs; whether others may take it over.
        self._places: dict[str, dict[str, str]] = {}
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._released: set[str] = set()
        self._listeners: dict[str, dict[str, None]] = {}
        self._timed: set[str] = set()
        #: What was told last on each topic, and when: who is described later is not told again what is retained.
        self._last: dict[str, tuple[bytes, float]] = {}
        self._kept = 0

    def hear(self, topic: str, payload: bytes, now: float) -> Heard:
        """Take a message that describes, or that tells how something is."""
        described, heard = self._described.fullmatch(topic), Heard()
        if described is not None:
            self._describe(topic, described[1], described[2], payload, heard)
            twice = set(heard.listen) & set(heard.leave)
            heard.listen = [one for one in heard.listen if one not in twice]
            heard.leave = [one for one in heard.leave if one not in twice]
        if topic in self._listeners and len(payload) <= 4 * LARGEST:
            self._keep(topic, payload, now)
            told = _Told(payload)
            for identity in list(self._listeners[topic]):
                if self._read(identity, topic, told, now):
                    heard.changed.append(self._things[identity].device)
        return heard if described is not None or heard.changed else NOTHING

    def later(self, now: float) -> Heard:
        """Return what has expired, and the detectors that are off again because they were on long ago."""
        heard = Heard()
        for identity in list(self._timed):
            thing = self._things[identity]
            if thing.off_at is not None and now >= thing.off_at:
                thing.off_at = None
                heard.changed.append(self._change(thing, dict.fromkeys(thing.component.attributes, False)))
            if thing.stale_at is not None and now >= thing.stale_at:
                thing.stale_at, thing.stale = None, True
                heard.changed.append(self._change(thing, dict.fromkeys(thing.component.attributes)))
            if thing.off_at is None and thing.stale_at is None:
                self._timed.discard(identity)
        return heard if heard.changed else NOTHING

    def say(self, device: Device, change: State) -> Sequence[Message]:
        """Return what to publish for a change; raises Refused."""
        thing = self._things.get(device.identity)
        if thing is None:
            raise Refused(f"{device.name} is not described any more")
        messages = thing.component.say(device, change)
        thing.ordered.update(change)
        return messages

    # -- what describes -----------------------------------------------------------------------------------------------

    def _describe(self, topic: str, kind: str, object_id: str, payload: bytes, heard: Heard) -> None:
        if not payload:
            self._released.discard(topic)
            self._weight -= self._weights.pop(topic, 0)
            for name in list(self._places.get(topic, ())):
                self._remove((topic, name), heard)
            return
        config = _config(payload)
        weight = self._weight - self._weights.get(topic, 0) + len(payload)
        if config is None or weight > _LARGEST_ALL:
            return
        if config.get("migrate_discovery") is True:
            # Its things stay until another topic describes them, or this one is empty.
            self._released.add(topic)
            return
        self._released.discard(topic)
        self._weights[topic], self._weight = len(payload), weight
        if kind != "device":
            self._discover((topic, ""), kind, object_id, config, heard)
            return
        for name, part in _parts(config):
            if part is not None:
                self._discover((topic, name), str(part.get("platform")), f"{object_id}_{name}", part, heard)
            else:
                self._remove((topic, name), heard)

    def _discover(self, place: _Place, kind: str, object_id: str, config: Mapping[str, Any], heard: Heard) -> None:
        """Take in a component as it is described, in place of what was described there before."""
        topic, name = place
        component = components.build(kind, config) if _is_wanted(config) else None
        if component is None:
            self._remove(place, heard)
            return
        identity = _identity(kind, place, config)
        before = self._things.get(identity)
        if before is not None and before.place != place:
            if before.place[0] not in self._released:
                # Two describe one thing; Home Assistant too goes by the first.
                return
            self._places[before.place[0]].pop(before.place[1], None)
        if before is None and len(self._things) >= _THINGS:
            return
        thing = _thing(place, component, identity, object_id, config)
        if before is not None:
            _take_over(thing, before)
        other = self._places.setdefault(topic, {}).get(name, identity)
        self._things[identity], self._places[topic][name] = thing, identity
        self._listen(identity, before.topics if before is not None else (), thing.topics, heard)
        if thing.off_at is None and thing.stale_at is None:
            self._timed.discard(identity)
        for told in thing.topics if kind != "event" else ():
            if told in self._last:
                payload, at = self._last[told]
                self._read(identity, told, _Told(payload), at)
        heard.changed.append(self._change(thing, {}))
        if other != identity:
            self._forget(other, heard)

    def _remove(self, place: _Place, heard: Heard) -> None:
        topic, name = place
        identity = self._places.get(topic, {}).pop(name, None)
        if not self._places.get(topic):
            self._places.pop(topic, None)
        if identity is not None:
            self._forget(identity, heard)

    def _forget(self, identity: str, heard: Heard) -> None:
        self._listen(identity, self._things.pop(identity).topics, (), heard)
        self._timed.discard(identity)
        heard.gone.append(identity)

    def _listen(self, identity: str, before: Sequence[str], after: Sequence[str], heard: Heard) -> None:
        for topic in after:
            if topic not in self._listeners:
                heard.listen.append(topic)
            self._listeners.setdefault(topic, {})[identity] = None
        for topic in set(before) - set(after):
            listeners = self._listeners[topic]
            del listeners[identity]
            if not listeners:
                del self._listeners[topic]
                self._kept -= len(self._last.pop(topic, (b"", 0.0))[0])
                heard.leave.append(topic)

    # -- what tells how things are ------------------------------------------------------------------------------------

    def _keep(self, topic: str, payload: bytes, now: float) -> None:
        self._kept -= len(self._last.pop(topic, (b"", 0.0))[0])
        if len(payload) <= min(_LARGEST_KEPT, _ALL_KEPT - self._kept):
            self._last[topic] = payload, now
            self._kept += len(payload)

    def _read(self, identity: str, topic: str, told: "_Told", now: float) -> bool:
        """Take what is told on a topic; returns whether that is something about this thing."""
        thing = self._things[identity]
        could, heard_of = thing.available, False
        change: dict[str, Scalar] = {}
        for way in thing.ways:
            text = told.text(thing, way) if way.topic == topic else None
            if text is not None and text in {way.yes, way.no}:
                # The latest is the last of them.
                thing.reached.pop(way, None)
                thing.reached[way] = text == way.yes
        for reading in thing.component.readings:
            if reading.topic == topic and (text := told.text(thing, reading)) is not None:
                heard_of = True
                change |= reading.take(text)
        if change:
            self._time(identity, thing, change, now)
        if heard_of or thing.available != could:
            self._change(thing, change)
        return heard_of or thing.available != could

    def _time(self, identity: str, thing: _Thing, change: State, now: float) -> None:
        thing.stale = False
        if thing.expires:
            thing.stale_at = now + thing.expires
        if thing.off_after:
            thing.off_at = now + thing.off_after if True in change.values() else None
        if thing.stale_at is not None or thing.off_at is not None:
            self._timed.add(identity)

    def _change(self, thing: _Thing, change: State) -> Device:
        known = {name: value for name, value in change.items() if name in thing.component.attributes}
        for name, value in known.items():
            if thing.component.alike(name, value, ordered := thing.ordered.get(name)):
                known[name] = ordered
        thing.device = thing.device.with_state(known, available=thing.available)
        return thing.device


class _Told:
    """A payload, and what templates have made of it: many things may listen to one topic, by one template."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._texts: dict[str, str | None] = {}
        self._names: dict[str, Mapping[str, Any]] = {}
        self._rendered: dict[tuple[str, str, tuple[Any, ...]], str | None] = {}

    def text(self, thing: _Thing, way: _Way | Reading) -> str | None:
        """Return what a thing reads in it; None if it cannot."""
        if thing.encoding not in self._texts:
            self._texts[thing.encoding] = _decoded(self._payload, thing.encoding)
        text = self._texts[thing.encoding]
        if text is None or not way.template:
            return text
        constants = thing.component.constants
        key = (way.template, thing.encoding, tuple(constants.values()))
        if key not in self._rendered and len(self._rendered) < _RENDERED:
            self._rendered[key] = self._render(way.template, thing.encoding, text, constants)
        return self._rendered.get(key)

    def _render(self, written: str, encoding: str, text: str, constants: Mapping[str, Any]) -> str | None:
        if encoding not in self._names:
            self._names[encoding] = template.variables(text)
        try:
            return template.render(written, {**self._names[encoding], **constants})
        except (Failed, template.NotSupported):
            return None


def _decoded(payload: bytes, encoding: str) -> str | None:
    if len(payload) > LARGEST:
        return None
    try:
        return payload.decode(encoding)
    except UnicodeDecodeError:
        return None


# -- what is in a description -----------------------------------------------------------------------------------------


def _config(payload: bytes) -> dict[str, Any] | None:
    if len(payload) > _LARGEST_CONFIG:
        return None
    config: dict[str, Any] | None = decoded(payload, dict)
    if config is None:
        return None
    base = config.get("~")
    return {**written_out(config), "~": base}


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the components of a device, each with what it shares with the others; None for one that is to go."""
    parts = config.get("components")
    shared = {key: config[key] for key in (*_SHARED, "device") if key in config}
    for name, told in list(parts.items())[:_COMPONENTS] if isinstance(parts, dict) else ():
        if isinstance(told, dict):
            part = written_out({"~": config["~"], **told})
            yield name[:_LONGEST_ID], {**shared, **part} if part.keys() - {"platform"} else None


def _is_wanted(config: Mapping[str, Any]) -> bool:
    """Return whether people want to see a component: what sets a thing up is noise, and all it tells of itself is too.

    But for its battery.
    """
    if config.get("enabled_by_default") is False:
        return False
    return config.get("entity_category") not in {"config", "diagnostic"} or config.get("device_class") == "battery"


def _identity(kind: str, place: _Place, config: Mapping[str, Any]) -> str:
    unique = config.get("unique_id")
    if isinstance(unique, str | int) and 0 < len(str(unique)) <= _LONGEST_ID:
        return f"{kind}/{unique}"
    return "/".join(filter(None, place))


def _thing(place: _Place, component: Component, identity: str, object_id: str, config: Mapping[str, Any]) -> _Thing:
    device = config.get("device")
    of = device if isinstance(device, dict) else {}
    name = _name(of, config, component) or line(object_id, _LONGEST_NAME)
    device_class, area = component.text("device_class"), of.get("suggested_area")
    ways, note = _ways(config, component)
    expires, off_after = component.number("expire_after", 0), component.number("off_delay", 0)
    encoding = component.text("encoding", "utf-8").lower()
    return _Thing(
        place=place,
        component=component,
        device=Device(
            id=f"{component.kind}.{slug(name) or slug(object_id) or 'device'}",
            name=name,
            room=slug(area) if isinstance(area, str) else "",
            device_class=device_class if _CLASS.fullmatch(device_class) else "",
            attributes=component.attributes,
            state=dict.fromkeys(component.attributes),
            identity=identity,
            hardware=_hardware(of),
            note=component.note or note,
        ),
        encoding=encoding if encoding in _ENCODINGS else "utf-8",
        ways=ways,
        mode=component.text("availability_mode", "latest"),
        expires=max(expires, 0),
        off_after=max(off_after, 0) if component.kind == "binary_sensor" else 0,
    )


def _name(device: Mapping[str, Any], config: Mapping[str, Any], component: Component) -> str:
    """Return the name of a component, as Home Assistant makes it of the device's and its own."""
    whole = device.get("name")
    of = line(whole, _LONGEST_NAME) if isinstance(whole, str) else ""
    own = config.get("name")
    if "name" not in config and component.kind in {"sensor", "binary_sensor"}:
        own = component.text("device_class").replace("_", " ").capitalize()
    own = line(own, _LONGEST_NAME) if isinstance(own, str) else ""
    if not of or own.lower().startswith(of.lower()):
        return own or of
    return line(f"{of} {own}", _LONGEST_NAME)


def _hardware(device: Mapping[str, Any]) -> str:
    """Return the address that was burnt into a device, if it tells one."""
    connections, identifiers = device.get("connections"), device.get("identifiers")
    for one in connections if isinstance(connections, list) else ():
        match one:
            case ["mac" | "zigbee" | "bluetooth", str(address)]:
                plain = re.sub(r"^0x|[:.-]", "", address[:_LONGEST_ID].lower())
                if _ADDRESS.fullmatch(plain):
                    return plain
    for name in identifiers if isinstance(identifiers, list) else [identifiers]:
        found = _ADDRESS.search(name[:_LONGEST_ID]) if isinstance(name, str) else None
        if found is not None:
            return found[0].lower()
    return ""


def _ways(config: Mapping[str, Any], component: Component) -> tuple[Sequence[_Way], str]:
    """Return the ways in which it tells that it can be reached, and what is wrong with them."""
    told = config.get("availability")
    listed = [way for way in told if isinstance(way, dict)] if isinstance(told, list) else []
    if not listed and component.topic("availability_topic"):
        named = {"topic": "availability_topic", "value_template": "availability_template"}
        named |= {key: key for key in ("payload_available", "payload_not_available")}
        listed = [{key: config[name] for key, name in named.items() if name in config}]
    ways, note = [], ""
    for way in listed[:_WAYS]:
        part = Component(component.kind, way)
        topic, written = part.topic("topic"), part.ready("value_template")
        note = note or part.note
        if topic and written is not None:
            yes, no = part.text("payload_available", "online"), part.text("payload_not_available", "offline")
            ways.append(_Way(topic, written, yes, no))
    return ways, note


def _take_over(thing: _Thing, before: _Thing) -> None:
    """Take over what is known of a thing that is described anew: what it still tells where it did."""
    thing.reached = {way: reached for way, reached in before.reached.items() if way in thing.ways}
    old, new = _sources(before.component), _sources(thing.component)
    known = {
        name: value
        for name, value in before.device.state.items()
        if old.get(name) == new.get(name) and before.component.attributes[name] == thing.component.attributes.get(name)
    }
    thing.device = replace(thing.device, state={**thing.device.state, **known})
    if thing.expires == before.expires and thing.off_after == before.off_after:
        thing.stale, thing.stale_at, thing.off_at = before.stale, before.stale_at, before.off_at


def _sources(component: Component) -> Mapping[str, set[tuple[str, str]]]:
    """Return where each attribute is read, and by what template."""
    found: dict[str, set[tuple[str, str]]] = {}
    for reading in component.readings:
        for name in reading.names:
            found.setdefault(name, set()).add((reading.topic, reading.template))
    return found
