"""Homie 5: devices that describe themselves, on `homie/5/<device>/$description`, to the last property.

Each node is a device of the house, or several. A value is on `homie/5/<device>/<node>/<property>`, and is set on `set`
below that; what is intended, on `$target`, is not how things are. What cannot speak for itself has a root, a bridge for
one, and is lost with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from sshhome.convention import NOTHING, Heard, Message, decoded
from sshhome.conventions.homie import node as homie
from sshhome.conventions.homie.node import ID, Node, Shape
from sshhome.conventions.homie.value import Part
from sshhome.device import ATTRIBUTES, Device, Scalar, State, asked
from sshhome.errors import Refused
from sshhome.escape import line
from sshhome.naming import slug

#: Bytes of a description, and of a value; both are kept.
_LARGEST, _LARGEST_VALUE = 2**18, 2**9
#: Homie devices, and of one its nodes, devices of the house and values, that are known: anybody may describe some.
_KNOWN, _NODES, _DEVICES, _VALUES = 500, 64, 64, 256
#: Letters of a name.
_LONGEST = 64
#: States in which a device takes orders, if perhaps only when it wakes up.
_THERE = frozenset({"ready", "sleeping"})


class _Description(msgspec.Struct):
    """What a device says of itself."""

    name: str | None = None
    root: str | None = None
    nodes: dict[str, Node] = {}


class _Homie:
    """A Homie device, and the devices of the house that it is."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.state = ""
        self.root = ""
        #: Whether its values are subscribed to.
        self.listened = False
        self.devices: dict[str, Device] = {}
        self.shapes: dict[str, Shape] = {}
        #: By node and property: what that is to whom, what was heard, and what was said last with what was meant by it.
        self.parts: dict[str, list[tuple[str, Part]]] = {}
        self.values: dict[str, bytes] = {}
        self.said: dict[str, tuple[bytes, State]] = {}

    def describe(self, description: _Description, *, available: bool) -> None:
        """Take a description in place of the one before; what was heard is heard again."""
        self.devices, self.shapes, self.parts = {}, {}, {}
        nodes = [(key, node) for key, node in list(description.nodes.items())[:_NODES] if ID.fullmatch(key)]
        for key, node in nodes:
            names = [description.name or self.id, *([node.name or key] if len(nodes) > 1 else [])]
            for shape in homie.shapes(key, node):
                own = node.properties[shape.own].name or shape.own if shape.own else ""
                self._add(key, shape, " ".join([*names, own]), available=available)
        for path, payload in self.values.items():
            for _ in self.hear(path, payload):
                pass

    def hear(self, path: str, payload: bytes) -> Iterator[Device]:
        """Take the value of a property, and return the devices of which it tells something."""
        text = payload.decode(errors="replace")
        for identity, part in self.parts.get(path, ()):
            heard: dict[str, Scalar] = dict.fromkeys(attribute.name for attribute in part.attributes)
            if payload:
                heard = part.heard(text if text != "\0" else "")
            said, meant = self.said.get(path, (b"", {}))
            if payload == said:
                # It took what it was told, however that is rounded on the way.
                heard |= {name: value for name, value in meant.items() if name in heard}
            if heard:
                device = self.devices[identity]
                self.devices[identity] = device.with_state(heard, available=device.available)
                yield self.devices[identity]

    def reach(self, *, available: bool) -> Sequence[Device]:
        """Take in whether it can be reached; returns its devices."""
        self.devices = {id_: replace(device, available=available) for id_, device in self.devices.items()}
        return list(self.devices.values())

    def _add(self, node: str, shape: Shape, name: str, *, available: bool) -> None:
        if len(self.devices) >= _DEVICES:
            return
        shown = line(name, _LONGEST) or self.id
        has = {attribute.name: attribute for part in shape.parts for attribute in part.attributes}
        can = {name: has[name] for name in ATTRIBUTES if name in has}
        identity = f"{self.id}/{node}/{shape.own}" if shape.own else f"{self.id}/{node}"
        self.shapes[identity] = shape
        self.devices[identity] = Device(
            id=f"{shape.kind}.{slug(shown) or 'device'}",
            name=shown,
            device_class=shape.device_class,
            attributes=can,
            state=dict.fromkeys(can),
            available=available,
            identity=identity,
        )
        for part in shape.parts:
            self.parts.setdefault(f"{node}/{part.id}", []).append((identity, part))


class Homie:
    """Reads what Homie devices tell, and writes what they are told."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Begin with nothing known; the option `homie_domain` is the first level of every topic."""
        self._prefix = f"{options.get('homie_domain', 'homie')}/5/"
        self.topics: Sequence[str] = (f"{self._prefix}+/$state", f"{self._prefix}+/$description")
        self._known: dict[str, _Homie] = {}

    def hear(self, topic: str, payload: bytes, now: float) -> Heard:  # noqa: ARG002 - nothing here depends on time
        """Take the state, the description or a value of a device."""
        if not topic.startswith(self._prefix) or len(payload) > _LARGEST:
            return NOTHING
        id_, *rest = topic[len(self._prefix) :].split("/", 4)
        if ID.fullmatch(id_) is None:
            return NOTHING
        match rest:
            case ["$state"]:
                return self._live(id_, payload)
            case ["$description"]:
                return self._describe(id_, payload)
            case [node, property_] if id_ in self._known and ID.fullmatch(node) and ID.fullmatch(property_):
                return self._tell(self._known[id_], f"{node}/{property_}", payload)
        return NOTHING

    def later(self, now: float) -> Heard:  # noqa: ARG002 - nothing here depends on time
        """Return nothing: what follows from time is told."""
        return NOTHING

    def say(self, device: Device, change: State) -> Sequence[Message]:
        """Return the values to set for a change; raises Refused for one that no property takes."""
        known = self._known.get(device.identity.partition("/")[0])
        shape = known.shapes.get(device.identity) if known else None
        if known is None or shape is None:
            raise Refused(f"{device.name} has not described itself")
        wanted = asked(change)
        takes = known.devices[device.identity]
        able = all(takes.can_set(name) or name == "moving" for name in wanted)
        said = list(homie.written(shape, device.state, wanted)) if able else []
        if not said:
            raise Refused(f"{device.name} cannot do that")
        node = "/".join(device.identity.split("/")[:2])
        for property_, text in said:
            path = f"{node.partition('/')[2]}/{property_}"
            known.said[path] = (text.encode(), wanted)
        return [Message(f"{self._prefix}{node}/{property_}/set", text.encode()) for property_, text in said]

    def _new(self, id_: str) -> _Homie | None:
        if id_ not in self._known and len(self._known) < _KNOWN:
            self._known[id_] = _Homie(id_)
        return self._known.get(id_)

    def _available(self, known: _Homie) -> bool:
        root = self._known.get(known.root)
        return known.state in _THERE and (root is None or root.state != "lost")

    def _live(self, id_: str, payload: bytes) -> Heard:
        if not payload:
            gone = self._known.pop(id_, None)
            leave = [self._values(id_)] if gone and gone.listened else []
            return Heard(gone=list(gone.devices), leave=leave) if gone else NOTHING
        known = self._new(id_)
        if known is None:
            return NOTHING
        known.state = payload[:_LONGEST].decode(errors="replace")
        family = (known, *(one for one in self._known.values() if one.root == id_ and one is not known))
        return Heard(changed=[one for each in family for one in each.reach(available=self._available(each))])

    def _describe(self, id_: str, payload: bytes) -> Heard:
        description = _Description()
        if payload:
            # Some write a truth in quotes.
            told = decoded(payload, _Description, strict=False)
            if told is None:
                return NOTHING
            description = told
        known = self._new(id_)
        if known is None:
            return NOTHING
        heard, before = Heard(), known.devices
        known.root = description.root or ""
        known.describe(description, available=self._available(known))
        if bool(payload) is not known.listened:
            known.listened = bool(payload)
            (heard.listen if payload else heard.leave).append(self._values(id_))
        heard.gone = [identity for identity in before if identity not in known.devices]
        heard.changed = list(known.devices.values())
        return heard

    def _tell(self, known: _Homie, path: str, payload: bytes) -> Heard:
        if len(payload) > _LARGEST_VALUE or (path not in known.values and len(known.values) >= _VALUES):
            return NOTHING
        known.values[path] = payload
        if not payload:
            del known.values[path]
        return Heard(changed=list(known.hear(path, payload)))

    def _values(self, id_: str) -> str:
        return f"{self._prefix}{id_}/+/+"
