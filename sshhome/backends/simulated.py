"""The embedded simulated house: a family's two floors that live, and whose state survives `kill -9`.

Temperatures follow the time of day and the heating, power follows what is on, motion follows the family's
day, covers take their time. It is the demo, and the house that tests run against.
"""

import asyncio
import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

import msgspec

from sshhome.backend import Link, News, Report
from sshhome.clock import Clock
from sshhome.database import Database
from sshhome.device import ATTRIBUTES, COLOR, Attribute, Device, Scalar, State
from sshhome.errors import SiteError, Unavailable

MIGRATIONS = ("CREATE TABLE device (id TEXT PRIMARY KEY, state TEXT NOT NULL)",)

#: Seconds between two looks at sensors and heating, and between two steps of a moving cover.
SENSE_EVERY = 10.0
MOVE_EVERY = 1.0
#: Share of its way that a cover goes in a second.
_SPEED = 5
#: How fast a room follows outdoors and heating: the time constant of its warmth, in seconds.
_WARMTH = 2.5 * 3600
#: Watts of what draws power when on at its full; everything else draws nothing.
_WATTS = {"light": 9, "switch.coffee": 1100, "switch.tv": 120, "switch.printer": 35, "switch.car_charger": 7200}


def _attributes(*names: str, **bounds: Mapping[str, object]) -> dict[str, Attribute]:
    return {name: msgspec.structs.replace(ATTRIBUTES[name], **bounds.get(name, {})) for name in names}


def _light(slug: str, name: str, room: str, *can: str) -> Device:
    state: dict[str, Scalar] = {"on": False}
    if "brightness" in can:
        state["brightness"] = 100
    if "color_temperature" in can:
        state["color_temperature"] = 2700
    if "hue" in can:
        state |= {"hue": None, "saturation": None}
    bounds = {"color_temperature": {"low": 2200}}
    return Device(id=f"light.{slug}", name=name, room=room, attributes=_attributes("on", *can, **bounds), state=state)


def _switch(slug: str, name: str, room: str, kind: str = "switch") -> Device:
    if kind == "fan":
        return Device(
            id=f"fan.{slug}",
            name=name,
            room=room,
            attributes=_attributes("on", "speed"),
            state={"on": False, "speed": 0},
        )
    return Device(id=f"switch.{slug}", name=name, room=room, attributes=_attributes("on"), state={"on": False})


def _cover(slug: str, name: str, room: str, device_class: str, position: int) -> Device:
    state: State = {"position": position, "moving": None}
    attributes = _attributes("position", "moving")
    return Device(
        id=f"cover.{slug}", name=name, room=room, device_class=device_class, attributes=attributes, state=state
    )


def _climate(room: str, name: str, target: float) -> Device:
    state: State = {"temperature": target, "target_temperature": target, "mode": "heat", "heating": False}
    attributes = _attributes("temperature", "target_temperature", "mode", "heating")
    return Device(id=f"climate.{room}", name=name, room=room, attributes=attributes, state=state)


def _sensor(slug: str, name: str, room: str, measures: str, value: float, *, battery: bool = True) -> Device:
    attributes = _attributes(measures, *(["battery"] if battery else []))
    state: dict[str, Scalar] = {measures: value}
    if battery:
        state["battery"] = 60 + _noise(slug, 0) % 40
    return Device(id=f"sensor.{slug}", name=name, room=room, device_class=measures, attributes=attributes, state=state)


def _detector(slug: str, name: str, room: str, detects: str, device_class: str = "") -> Device:
    state = {detects: False, "battery": 60 + _noise(slug, 0) % 40}
    attributes = _attributes(detects, "battery")
    device_class = device_class or detects
    return Device(
        id=f"binary_sensor.{slug}", name=name, room=room, device_class=device_class, attributes=attributes, state=state
    )


def _lock(slug: str, name: str, room: str) -> Device:
    attributes = _attributes("locked", "battery")
    return Device(id=f"lock.{slug}", name=name, room=room, attributes=attributes, state={"locked": True, "battery": 81})


def _scene(slug: str, name: str, room: str, **members: State) -> Device:
    named = {member.replace("__", "."): state for member, state in members.items()}
    return Device(
        id=f"scene.{slug}",
        name=name,
        room=room,
        attributes=_attributes("activated"),
        state={"activated": None},
        members=named,
    )


_WHITE = ("brightness", "color_temperature")
_COLOR = (*_WHITE, "hue", "saturation")


@cache
def family_house() -> Sequence[Device]:
    """Return the house as it is on its first day."""
    return (
        _light("hall", "Hall", "hall", "brightness"),
        _lock("front_door", "Front door", "hall"),
        _detector("front_door", "Front door contact", "hall", "open", "door"),
        _detector("hall_motion", "Hall motion", "hall", "motion"),
        _detector("hall_smoke", "Hall smoke alarm", "hall", "smoke"),
        Device(
            id="alarm_control_panel.house",
            name="House alarm",
            room="hall",
            attributes=_attributes("armed"),
            state={"armed": "disarmed"},
        ),
        _sensor("house_power", "House power", "hall", "power", 180, battery=False),
        _light("kitchen", "Kitchen", "kitchen", *_WHITE),
        _light("counter", "Counter", "kitchen", "brightness"),
        _switch("coffee", "Coffee machine", "kitchen"),
        _detector("kitchen_window", "Kitchen window", "kitchen", "open", "window"),
        _detector("kitchen_smoke", "Kitchen smoke alarm", "kitchen", "smoke"),
        _sensor("kitchen_temperature", "Kitchen temperature", "kitchen", "temperature", 20.5),
        _sensor("kitchen_humidity", "Kitchen humidity", "kitchen", "humidity", 46),
        _light("living", "Living room", "living", *_COLOR),
        _light("reading", "Reading lamp", "living", *_WHITE),
        _switch("tv", "Television", "living"),
        _climate("living", "Living room heating", 21),
        _cover("living", "Living room blind", "living", "blind", 100),
        _light("desk", "Desk", "study", *_COLOR),
        _switch("printer", "Printer", "study"),
        _climate("study", "Study heating", 20),
        _light("garage", "Garage", "garage"),
        _cover("garage", "Garage door", "garage", "garage", 0),
        _lock("side_door", "Side door", "garage"),
        _switch("car_charger", "Car charger", "garage"),
        _detector("garage_motion", "Garage motion", "garage", "motion"),
        _light("bedroom", "Bedroom", "bedroom", "brightness"),
        _light("bedside", "Bedside lamp", "bedroom", *_WHITE),
        _climate("bedroom", "Bedroom heating", 18),
        _cover("bedroom", "Bedroom blind", "bedroom", "blind", 100),
        _switch("bedroom", "Bedroom fan", "bedroom", "fan"),
        _light("kids", "Kids' room", "kids", *_COLOR),
        _light("night", "Night light", "kids", "brightness"),
        _climate("kids", "Kids' heating", 20),
        _cover("kids", "Kids' blind", "kids", "blind", 100),
        _light("bathroom", "Bathroom", "bathroom", "brightness"),
        _climate("bathroom", "Bathroom heating", 22),
        _switch("bathroom", "Bathroom fan", "bathroom", "fan"),
        _sensor("bathroom_humidity", "Bathroom humidity", "bathroom", "humidity", 52),
        _light("porch", "Porch", "outdoor", "brightness"),
        _light("garden", "Garden", "outdoor"),
        _sensor("outdoor_temperature", "Outdoor temperature", "outdoor", "temperature", 8),
        _detector("driveway_motion", "Driveway motion", "outdoor", "motion"),
        _scene("evening", "Evening", "living", light__living={"on": True, "brightness": 40, "color_temperature": 2700},
               light__reading={"on": True, "brightness": 60}, light__porch={"on": True, "brightness": 50}),
        _scene("movie", "Movie", "living", light__living={"on": True, "brightness": 10}, light__reading={"on": False},
               switch__tv={"on": True}, cover__living={"position": 0}),
        _scene("goodnight", "Good night", "bedroom", light__living={"on": False}, light__kitchen={"on": False},
               light__hall={"on": False}, switch__tv={"on": False}, light__night={"on": True, "brightness": 5},
               lock__front_door={"locked": True}, lock__side_door={"locked": True}),
    )  # fmt: skip


class SimulatedBackend:
    """Keeps the house in one SQLite file; a change is committed before it is echoed.

    Two options rehearse failures: devices in `offline` are unavailable, those in `mute` take orders and
    never echo them.
    """

    def __init__(self, database: Database, clock: Clock, report: Report) -> None:
        """Take over an open database; see `open`."""
        self._database = database
        self._clock = clock
        self._report = report
        self._devices: dict[str, Device] = {}
        #: The same as they were last committed.
        self._kept: dict[str, Device] = {}
        self._goals: dict[str, int] = {}
        self._mute: frozenset[str] = frozenset()
        self._life: asyncio.Task[None] | None = None
        self._sensed = clock.monotonic()

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse an unknown option or device; raises SiteError."""
        known = [device.id for device in family_house()]
        for option, value in options.items():
            if option not in {"kind", "name", "offline", "mute"}:
                raise SiteError(f"sshhome.toml: backend simulated: unknown key '{option}'")
            if option in {"offline", "mute"} and not (isinstance(value, list) and all(item in known for item in value)):
                raise SiteError(f"sshhome.toml: backend simulated: {option} is a list of its device ids")

    @classmethod
    async def open(cls, options: Mapping[str, Any], state: Path, clock: Clock, report: Report) -> Self:
        """Open or build the house; raises SiteError for an unknown option or device."""
        cls.check(options)
        fresh = {device.id: msgspec.structs.replace(device, identity=device.id) for device in family_house()}
        backend = cls(await Database.open(state / "simulated.db", MIGRATIONS), clock, report)
        backend._mute = frozenset(options.get("mute", ()))
        kept = await backend._database.run(
            lambda db: {row[0]: json.loads(row[1]) for row in db.execute("SELECT id, state FROM device")}
        )
        for device in fresh.values():
            # A cover that was on its way when the house went down stands where it was last seen.
            still = {"moving": None} if device.kind == "cover" else {}
            known = {name: value for name, value in kept.get(device.id, {}).items() if name in device.attributes}
            available = device.id not in options.get("offline", ())
            backend._devices[device.id] = device.with_state({**known, **still}, available=available)
        backend._devices |= {device.id: device for device in backend._sense(0.0)}
        backend._life = asyncio.create_task(backend._live())
        return backend

    @classmethod
    async def test(cls, options: Mapping[str, Any]) -> str:
        """Return what is there; raises SiteError for an unknown option or device."""
        cls.check(options)
        return f"{len(family_house())} simulated devices"

    @property
    def link(self) -> Link:
        """It is always there."""
        return Link(up=True, says="simulated here")

    def devices(self) -> Sequence[Device]:
        """Return every device."""
        return list(self._devices.values())

    async def apply(self, device: Device, change: State) -> None:
        """Change a device, and for a scene all it touches; raises Unavailable for one that is offline."""
        own = self._devices[device.identity]
        if not own.available:
            raise Unavailable(f"{device.id} is unavailable")
        if own.id in self._mute:
            return
        changed = []
        for member_id, state in own.members.items():
            if self._devices[member_id].available:
                changed.append(self._changed(self._devices[member_id], state))
        changed.append(self._changed(own, change))
        if all(self._kept.get(new.id) == new == self._devices[new.id] for new in changed):
            # Nothing to commit that is not committed already, but still an echo.
            for same in changed:
                self._report.changed(same)
        else:
            await self._keep(changed)

    def announce(self, news: News) -> None:
        """Tell nobody: nothing reacts here."""

    async def close(self) -> None:
        """Stop the house's life and close the file."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._database.close()

    # -- what a change does -------------------------------------------------------------------------------------------

    def _changed(self, device: Device, change: State) -> Device:
        """Return the device after a change, with what follows from it: a dimmed lamp is on, a cover begins to move."""
        state = dict(change)
        level = "speed" if device.kind == "fan" else "brightness"
        if device.kind in {"light", "fan"} and level in device.attributes:
            if level in state and "on" not in state:
                state["on"] = state[level] != 0
            elif state.get("on") is True and not (state.get(level) or device.state.get(level)):
                state[level] = 100
            if device.kind == "fan" and state.get("on") is False:
                state["speed"] = 0
        if device.kind == "light" and not state.keys().isdisjoint(COLOR):
            state.setdefault("on", True)
            if "hue" in device.attributes:
                # A lamp shows a colour, which has a hue and a saturation, or a white, never both.
                if "color_temperature" in state:
                    state |= {"hue": None, "saturation": None}
                else:
                    state["color_temperature"] = None
                    state.setdefault("hue", device.state.get("hue") or 0)
                    state.setdefault("saturation", 100 if (now := device.state.get("saturation")) is None else now)
        if device.kind == "cover":
            return device.with_state(self._steered(device, state), available=device.available)
        return device.with_state(state, available=device.available)

    def _steered(self, device: Device, change: State) -> State:
        """Set a cover off towards a position, or stop it where it is."""
        now, goal = device.state["position"], change.get("position")
        if not isinstance(goal, int) or not isinstance(now, int) or goal == now:
            self._goals.pop(device.id, None)
            return {"moving": None}
        self._goals[device.id] = goal
        return {"moving": "opening" if goal > now else "closing"}

    async def _keep(self, changed: Iterable[Device]) -> None:
        """Commit these devices' states, then report them; reports come in the order of the commits."""
        changed = list(changed)
        for device in changed:
            self._devices[device.id] = device
        rows = [(device.id, msgspec.json.encode(device.state).decode()) for device in changed]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO device VALUES (?, ?)", rows)

        committed = self._database.submit(write)
        try:
            await asyncio.wait([committed])
        except asyncio.CancelledError:
            # Cut off; but what is on its way arrives, and whoever waits for the end of this must not find it later.
            await asyncio.wait([committed])
            raise
        finally:
            if committed.done() and committed.exception() is None:
                for device in changed:
                    self._kept[device.id] = device
                    self._report.changed(device)
        committed.result()

    # -- its own life -------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Move covers every second and look at the sensors every ten."""
        while True:
            await asyncio.sleep(MOVE_EVERY)
            changed = {device.id: device for device in self._move(MOVE_EVERY)}
            if (elapsed := self._clock.monotonic() - self._sensed) >= SENSE_EVERY:
                self._sensed = self._clock.monotonic()
                changed |= {device.id: device for device in self._sense(elapsed)}
            if changed:
                await self._keep(changed.values())

    def _move(self, seconds: float) -> Iterable[Device]:
        for device_id, goal in list(self._goals.items()):
            device = self._devices[device_id]
            now = device.state["position"]
            if not isinstance(now, int):
                continue
            step = round(_SPEED * seconds)
            there = abs(goal - now) <= step
            position = goal if there else now + (step if goal > now else -step)
            if there:
                del self._goals[device_id]
            yield device.with_state({"position": position} | ({"moving": None} if there else {}))

    def _sense(self, elapsed: float) -> Iterable[Device]:
        """Return the sensors and thermostats that read otherwise than before, `elapsed` seconds later."""
        now = self._clock.now()
        outdoor = _outdoor(now)
        for device in list(self._devices.values()):
            state = self._reading(device, now, outdoor, elapsed)
            if any(device.state.get(name) != value for name, value in state.items()):
                yield device.with_state(state, available=device.available)

    def _reading(self, device: Device, now: float, outdoor: float, elapsed: float) -> State:
        match device.kind, device.device_class:
            case "climate", _:
                return _heated(device.state, outdoor, elapsed)
            case "sensor", "temperature":
                return {"temperature": round(outdoor, 1) if device.room == "outdoor" else round(20.5 + outdoor / 20, 1)}
            case "sensor", "humidity":
                damp = 20 if device.room == "bathroom" and 6 <= _hour(now) < 8 else 0
                return {"humidity": round(48 + damp + 6 * math.sin(now / 9000) + len(device.id) % 5)}
            case "sensor", "power":
                return {"power": round(self._power(now), 0)}
            case "binary_sensor", "motion":
                awake = 0.30 if 6 <= _hour(now) < 23 else 0.02
                return {"motion": _noise(device.id, int(now // 60)) % 1000 < awake * 1000}
            case "binary_sensor", "door":
                shut = self._devices["lock.front_door"].state["locked"] is not False
                return {"open": not shut and _noise(device.id, int(now // 60)) % 10 == 0}
            case "binary_sensor", "window":
                airing = 7 <= _hour(now) < 8 and outdoor > 0
                return {"open": airing}
        return {}

    def _power(self, now: float) -> float:
        """Return what the house draws: what always runs, and everything that is on."""
        total = 150.0 + _noise("base", int(now // 30)) % 60
        for device in self._devices.values():
            if device.state.get("on") is True:
                share = device.state.get("brightness", 100)
                watts = _WATTS.get(device.id, _WATTS.get(device.kind, 40))
                total += watts * (share if isinstance(share, int) else 100) / 100
        return total


def _heated(state: State, outdoor: float, elapsed: float) -> State:
    """Return a room's temperature after a while: it drifts to outdoors, or to warmth while the heating runs."""
    temperature, target = state["temperature"], state["target_temperature"]
    if not isinstance(temperature, int | float) or not isinstance(target, int | float):
        return {}
    heating = state["mode"] != "off" and temperature < target - (0.0 if state["heating"] else 0.3)
    goal = outdoor + 24 if heating else outdoor + 3
    later = goal + (temperature - goal) * math.exp(-elapsed / _WARMTH)
    if heating:
        later = min(later, max(target + 0.2, temperature))
    return {"temperature": round(later, 2), "heating": heating}


def _outdoor(now: float) -> float:
    """Return the outdoor temperature: cold in January, coldest before dawn."""
    day = datetime.fromtimestamp(now, UTC).timetuple().tm_yday
    season = 10 - 9 * math.cos((day - 20) / 365 * math.tau)
    return season - 4 * math.cos((_hour(now) - 4) / 24 * math.tau) + (_noise("sky", int(now // 3600)) % 20) / 10


def _hour(now: float) -> float:
    """Return the time of day: the simulated house stands in Greenwich, wherever the machine does."""
    return now % 86400 / 3600


def _noise(*seed: object) -> int:
    """Return a number that is the same for the same seed, on every run."""
    return int.from_bytes(hashlib.blake2b(repr(seed).encode(), digest_size=4).digest(), "big")
