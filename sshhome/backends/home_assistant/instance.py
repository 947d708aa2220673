"""One Home Assistant as it has told of itself: registries, states and scripts, and the devices they make. No I/O.

It is made anew for each connection, so that what is left from before is what has been told again. First the registries
are taken in, then the states as they come, then the scripts; `settle` puts them together.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from sshhome.backends.home_assistant import entity, sequence
from sshhome.backends.home_assistant.entity import Told
from sshhome.backends.home_assistant.entry import Entry
from sshhome.device import Device, State

#: Entities that are kept: the house takes no more devices than this from anybody.
MOST = 20_000
#: What a scene or a script touches of which nobody can tell: no device has this identity, so the house is on its guard.
UNTOLD = "untold"
_READ_ONLY = frozenset({"sensor", "binary_sensor", "event", "weather", "person"})


class Cause(msgspec.Struct, frozen=True):
    """What the last change of an entity came from: an id, the user and what set it off, as far as they are known."""

    id: str = ""
    user: str = ""
    parent: str = ""


class Instance:
    """Takes what Home Assistant tells, and gives its entities as devices."""

    def __init__(self) -> None:
        """Start with nothing told."""
        #: The unit of temperatures that tell none of their own.
        self.unit = "°C"
        self.entries: Mapping[str, Entry] = {}
        self.told: dict[str, Told] = {}
        self._causes: dict[str, Cause] = {}
        #: What the owners of scripts wrote, by entity id.
        self.scripts: dict[str, object] = {}
        self._batteries: dict[str, str] = {}
        self._bearers: dict[str, list[str]] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        #: What may be operated, by where it is - a device, an area, a platform - and by domain.
        self._there: dict[tuple[str, str, str], list[str]] = {}
        #: The entities that are devices, by identity.
        self.shown: dict[str, str] = {}
        self._shown: frozenset[str] = frozenset()
        self._activated: dict[str, tuple[str, str]] = {}

    # -- what is told -------------------------------------------------------------------------------------------------

    def hear(self, event: object) -> tuple[Mapping[str, Cause], bool]:
        """Take an event of `subscribe_entities`: which entities have changed and why, and whether some came or went."""
        if not isinstance(event, dict):
            return {}, False
        changed: dict[str, Cause] = {}
        came = False
        for entity_id, state in _items(event.get("a")):
            if len(self.told) < MOST or entity_id in self.told:
                attributes = state.get("a")
                self.told[entity_id] = Told(_state(state), attributes if isinstance(attributes, dict) else {})
                self._caused(entity_id, state.get("c"))
                came = True
        for entity_id, diff in _items(event.get("c")):
            known, more, less = self.told.get(entity_id), diff.get("+"), diff.get("-")
            if known is None:
                continue
            more, less = (part if isinstance(part, dict) else {} for part in (more, less))
            added = more.get("a")
            attributes = {**known.attributes, **(added if isinstance(added, dict) else {})}
            for name in _words(less.get("a")):
                attributes.pop(name, None)
            self.told[entity_id] = Told(_state(more, known.state), attributes)
            self._caused(entity_id, more.get("c"))
            changed |= dict.fromkeys(self._bearers.get(entity_id, ()), Cause())
            changed[entity_id] = self._causes[entity_id]
        for entity_id in _words(event.get("r")):
            came = self.told.pop(entity_id, None) is not None or came
            for kept in (self.scripts, self._causes, self._activated):
                kept.pop(entity_id, None)
        return changed, came

    def _caused(self, entity_id: str, context: object) -> None:
        known = self._causes.get(entity_id, Cause())
        if isinstance(context, str):
            self._causes[entity_id] = msgspec.structs.replace(known, id=context)
        elif isinstance(context, dict):
            now = {"id": known.id, "user_id": known.user, "parent_id": known.parent} | context
            self._causes[entity_id] = Cause(*(str(now[key] or "") for key in ("id", "user_id", "parent_id")))
        else:
            self._causes[entity_id] = known

    def activate(self, entity_id: str, text: str) -> None:
        """Take note of the moment, in the house's words, at which something was last activated."""
        self._activated[entity_id] = (entity.stamp(self.told[entity_id]), text)

    def settle(self) -> None:
        """Find out what belongs together, once registries, states or scripts have come or gone."""
        listed = [entity_id for entity_id in self.told if entity.listed(self.entry(entity_id))]
        self._batteries, self._bearers = {}, {}
        for entity_id in sorted(self.told):
            entry = self.entry(entity_id)
            if entry.device and not entry.hidden and entity.is_battery(entry, self.told[entity_id]):
                self._batteries.setdefault(entry.device, entity_id)
        for entity_id in listed:
            entry = self.entry(entity_id)
            if entry.device in self._batteries and entry.domain != "sensor":
                self._bearers.setdefault(self._batteries[entry.device], []).append(entity_id)
        # A level that others bear is no thing of its own; one that nobody bears is, though it is technical.
        self._shown = frozenset([*listed, *self._batteries.values()]) - self._bearers.keys()
        self.shown = {self.entry(entity_id).identity: entity_id for entity_id in self.told if entity_id in self._shown}
        self._there = {}
        for entity_id in listed:
            entry = self.entry(entity_id)
            if entry.domain in _READ_ONLY:
                continue
            for where, name in (("device_id", entry.device), ("area_id", entry.area), ("platform", entry.platform)):
                self._there.setdefault((where, name, entry.domain), []).append(entity_id)
                if entry.domain not in {"scene", "script"}:
                    self._there.setdefault((where, name, "homeassistant"), []).append(entity_id)
        self._parts = {entity_id: self._touched(entity_id) for entity_id in listed}

    # -- what that makes ----------------------------------------------------------------------------------------------

    def entry(self, entity_id: str) -> Entry:
        """Return what the registries say of an entity; one that they do not know goes by its id."""
        return self.entries.get(entity_id) or Entry(entity_id, entity_id)

    def device(self, entity_id: str) -> Device | None:
        """Return an entity as a device of the house, if it is one."""
        entry, told = self.entry(entity_id), self.told.get(entity_id)
        if told is None or entity_id not in self._shown:
            return None
        battery = self._batteries.get(entry.device) if entry.domain != "sensor" else None
        made = entity.device(entry, told, self.unit, battery=self.told.get(battery or ""))
        if self._activated.get(entity_id, ("",))[0] == entity.stamp(told) != "":
            made = made.with_state({"activated": self._activated[entity_id][1]}, available=made.available)
        return self._whole(made, entity_id)

    def _whole(self, made: Device, entity_id: str) -> Device:
        """Return a device with what it touches."""
        parts = self._parts.get(entity_id, ())
        if made.kind in {"scene", "script"}:
            members: dict[str, State] = {self.entry(part).identity: {} for part in parts}
            note = "what it touches is not known" if UNTOLD in parts else made.note
            return msgspec.structs.replace(made, members=members, note=note)
        if not parts:
            return made
        classes = [self.told[part].word("device_class") for part in parts]
        return msgspec.structs.replace(
            made,
            # What is hidden behind a group goes by the group's own right.
            group=tuple(self.entry(part).identity for part in parts if part in self._shown),
            device_class=made.device_class or entity.guarding(classes),
        )

    # -- what touches what --------------------------------------------------------------------------------------------

    def _touched(self, entity_id: str) -> tuple[str, ...]:
        """Return the entities there are that a group, a scene or a script changes; `UNTOLD` is what nobody can tell."""
        domain, told = self.entry(entity_id).domain, self.told[entity_id]
        if domain in _READ_ONLY:
            return ()
        if domain == "script":
            found = sequence.touches(self.scripts.get(entity_id), self._find)
            return (UNTOLD,) if found is None else tuple(sorted(found & self.told.keys()))
        if domain != "scene" or "entity_id" in told.attributes:
            return tuple(one for one in told.words("entity_id") if one in self.told)
        # A scene that lives in a bridge touches what else lives there.
        platform = self.entry(entity_id).platform
        return tuple(self._there.get(("platform", platform, "homeassistant"), ()) if platform else ()) or (UNTOLD,)

    def _find(self, where: str, name: str, domain: str) -> Collection[str]:
        """Return the entities that a target of a service reaches, as Home Assistant would."""
        if where == "entity_id":
            if name == "all":
                # Even what is hidden.
                return [one for one in self.told if domain in {"homeassistant", self.entry(one).domain}]
            return self._ungrouped(name)
        return self._there.get((where, name, domain), ())

    def _ungrouped(self, name: str) -> Collection[str]:
        """Return what a group of the old kind, which is no device, is made of."""
        found = [name]
        for one in found:
            if one.startswith("group.") and one in self.told:
                found += [part for part in self.told[one].words("entity_id") if part not in found]
        return [one for one in found if not (one.startswith("group.") and one in self.told)]


def _items(told: object) -> Iterable[tuple[str, dict[str, object]]]:
    return [(key, value) for key, value in told.items() if isinstance(value, dict)] if isinstance(told, dict) else []


def _words(told: object) -> list[str]:
    return [word for word in told if isinstance(word, str)] if isinstance(told, list) else []


def _state(told: Mapping[str, object], known: str = "unknown") -> str:
    state = told.get("s")
    return state if isinstance(state, str) else known
