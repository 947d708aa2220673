"""What the relays, lamps, blinds, fans, switches and sensors of a Tasmota thing tell, and how each is told. No I/O.

    Relay(config, 1).heard({"POWER": "ON"}) == {"on": True}
    Relay(config, 1).say({}, {"on": True}) == [("POWER", "ON")]

Messages are those of `tele/…/STATE`, `tele/…/SENSOR` and `stat/…/RESULT`; a command goes to `cmnd/…/` and its name.
`sshhome.conventions.tasmota` knows where these are, and makes devices of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec
from msgspec import field
from msgspec.structs import replace

from sshhome import color, unit
from sshhome.device import ATTRIBUTES, Attribute, Scalar, State

#: Relays, switches and sensors of a thing, and its readings, that are looked at; Tasmota has no more relays.
MOST = 32
#: Letters of a topic, or of the path to a reading; MQTT takes more, and no thing has them.
_LONGEST = 256

#: What a relay is (`rl`).
RELAY, LAMP, BLIND = 1, 2, 3
#: What a lamp can (`lt_st`): from RGB on it has colours, from RGBW on white diodes beside them.
PLAIN, DIMMED, COLD_WARM, RGB, RGBW, RGBCCT = range(6)
#: The settings that matter here, by the numbers of their `SetOption`s.
STAYS_OFF, AS_LAMPS, CHANNELS, FEW_WHITES = "20", "30", "68", "82"
#: Mireds of the coolest and the warmest white, and with SetOption82.
_WHITES, _FEW = (153, 500), (200, 380)

#: reading -> attribute, and its unit or by which key of the message that is told
_READINGS: Mapping[str, tuple[str, str]] = {
    "Temperature": ("temperature", "TempUnit"),
    "Humidity": ("humidity", "%"),
    "Pressure": ("pressure", "PressureUnit"),
    "Illuminance": ("illuminance", "lx"),
    "Ambient": ("illuminance", "lx"),
    "CarbonDioxide": ("carbon_dioxide", "ppm"),
    "eCO2": ("carbon_dioxide", "ppm"),
    "PM2.5": ("fine_dust", "µg/m³"),
    "TVOC": ("volatile_compounds", "ppb"),
    "Moisture": ("moisture", "%"),
    "Distance": ("distance", "cm"),
    "Weight": ("weight", "kg"),
    "Speed": ("wind_speed", "SpeedUnit"),
    "Power": ("power", "W"),
    "ActivePower": ("power", "W"),
    "Total": ("energy", "kWh"),
    "Energy": ("energy", "kWh"),
    "Voltage": ("voltage", "V"),
    "Current": ("current", "A"),
    "Frequency": ("frequency", "Hz"),
    "Battery": ("battery", "%"),
}
#: Of several phases these are the sum, all else is that of the first.
_SUMMED = frozenset({"power", "energy"})
#: How warm the chip is, and what is called energy and is none.
_NOT_READ = frozenset({("ESP32", "Temperature"), ("AS3935", "Energy"), ("LD2410", "Energy")})


class Config(msgspec.Struct):
    """What a thing announces of itself; whatever else it announces is ignored."""

    mac: str
    topic: str = field(name="t")
    full_topic: str = field(name="ft")
    prefixes: tuple[str, str, str] = field(name="tp")
    name: str = field(name="dn", default="")
    host: str = field(name="hn", default="")
    names: list[str | None] = field(name="fn", default_factory=list)
    texts: list[str] = field(name="state", default_factory=lambda: ["OFF", "ON"])
    online: str = field(name="onln", default="Online")
    offline: str = field(name="ofln", default="Offline")
    relays: list[int] = field(name="rl", default_factory=list)
    lamp: int = field(name="lt_st", default=PLAIN)
    linked: int = field(name="lk", default=1)
    tuya: int = field(name="ty", default=0)
    fan: int = field(name="if", default=0)
    battery: int = field(name="bat", default=0)
    sleeps: int = field(name="dslp", default=0)
    blinds: list[int] = field(name="sho", default_factory=list)
    tilts: list[list[int]] = field(name="sht", default_factory=list)
    switches: list[int] = field(name="swc", default_factory=list)
    switch_names: list[str | None] = field(name="swn", default_factory=list)
    options: dict[str, int] = field(name="so", default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.texts) < 2:
            raise ValueError("no texts for off and on")
        if any(not -1000 <= angle <= 1000 for tilt in self.tilts for angle in tilt[:2]):
            raise ValueError("tilts further than round")
        self.relays, self.switches = self.relays[:MOST], self.switches[:MOST]

    def where(self, prefix: int) -> str:
        """Return up to its last slash the topic where it is told (0), answers (1) or tells (2); "" if it has none."""
        full = self.full_topic
        if prefix == 0 and "%prefix%" not in full:
            full += "/%prefix%"
        # As the firmware puts it together, for which the id is the whole MAC; Home Assistant takes half of it.
        meant = {"%prefix%": self.prefixes[prefix], "%topic%": self.topic, "%hostname%": self.host, "%id%": self.mac}
        for token, text in meant.items():
            full = full.replace(token, text)
        full = f"{full}/".replace("#", "").replace("//", "/")
        # It is subscribed to, so that it must be one topic, and none of the broker's own.
        fit = full.isprintable() and "+" not in full and not full.startswith("$")
        return full if fit and 1 < len(full) <= _LONGEST else ""

    def on(self, text: object) -> bool | None:
        """Return which of its texts for on and off this is, if it is one."""
        return text == self.texts[1] if text in self.texts[:2] else None


class Part(Protocol):
    """What a device is to Tasmota."""

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return what a message tells of its state."""

    def say(self, state: State, wanted: State, /) -> list[tuple[str, str]]:
        """Return commands, each with what it is given, for a change; none if it cannot do that."""


class Sensor(msgspec.Struct, frozen=True):
    """What has readings and nothing else."""

    def heard(self, _told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return nothing: each reading is heard by itself."""
        return {}

    def say(self, _state: State, _wanted: State, /) -> list[tuple[str, str]]:
        """Return no command."""
        return []


class Switch(Sensor, frozen=True):
    """A switch on the wall, or a motion detector, that switches no relay."""

    config: Config
    key: str
    #: Whether it tells that something moves, and not that it stopped.
    momentary: bool

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return whether it is on."""
        text = told.get(self.key)
        if isinstance(text, dict):
            text = text.get("Action")
        elif self.momentary:
            # What is told every five minutes is not what happens, but what happened last.
            return {}
        on = self.config.on(text)
        return {} if on is None else {"detected": on}


class Relay(msgspec.Struct, frozen=True):
    """What is on or off."""

    config: Config
    number: int

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return whether it is on; the first may be told of without its number."""
        on = self.config.on(told.get(f"POWER{self.number}", told.get("POWER") if self.number == 1 else None))
        return {} if on is None else {"on": on}

    def say(self, _state: State, wanted: State, /) -> list[tuple[str, str]]:
        """Return the command that switches it."""
        alone = self.number == 1 == sum(relay > 0 for relay in self.config.relays)
        command = "POWER" if alone else f"POWER{self.number}"
        return [(command, self.config.texts[bool(wanted["on"])])] if "on" in wanted else []


class Fan(msgspec.Struct, frozen=True):
    """The three speeds of an iFan."""

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return its speed as a share of the highest."""
        step = unit.number(told.get("FanSpeed"))
        return {"on": step > 0, "speed": round(step * 100 / 3)} if step in {0, 1, 2, 3} else {}

    def say(self, state: State, wanted: State, /) -> list[tuple[str, str]]:
        """Return the command for a speed; switched on without one, it takes the second, as from Home Assistant."""
        speed = 0 if wanted.get("on") is False else wanted.get("speed", state.get("speed") or 67)
        return [("FanSpeed", str(_step(speed)))] if isinstance(speed, int | float) else []


class Lamp(msgspec.Struct, frozen=True):
    """A lamp that can be dimmed, and perhaps be coloured or given another white."""

    relay: Relay
    type: int
    #: The command that dims it, and where its level is told.
    dims: str = "Dimmer"
    level: str = "Dimmer"

    @property
    def attributes(self) -> Iterator[Attribute]:
        """What it can."""
        yield ATTRIBUTES["on"]
        if self.type >= DIMMED:
            yield ATTRIBUTES["brightness"]
        if self.type >= RGB:
            yield from (ATTRIBUTES["hue"], ATTRIBUTES["saturation"])
        if self._tempered:
            high, low = map(color.kelvin, self._whites)
            yield replace(ATTRIBUTES["color_temperature"], low=low, high=high)

    @property
    def _tempered(self) -> bool:
        return self.type in {COLD_WARM, RGBCCT}

    @property
    def _whites(self) -> tuple[int, int]:
        return _FEW if self.relay.config.options.get(FEW_WHITES) else _WHITES

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return how it shines; it tells of a colour and of a white, but shows one of them."""
        heard = self.relay.heard(told)
        if self.type >= DIMMED and self.level in told:
            heard["brightness"] = unit.reading(told[self.level], "%", ATTRIBUTES["brightness"])
        white = unit.number(told.get("White")) if self.type >= RGBW else None
        if self.type >= RGB and isinstance(text := told.get("HSBColor"), str):
            if white:
                heard["hue"] = heard["saturation"] = None if self._tempered else 0
            else:
                hue, saturation, *_ = (*text[:MOST].split(","), None)
                heard["hue"] = unit.reading(hue, "", ATTRIBUTES["hue"])
                heard["saturation"] = unit.reading(saturation, "", ATTRIBUTES["saturation"])
        if self._tempered and (mired := unit.number(told.get("CT"))) is not None:
            coolest, warmest = self._whites
            heard["color_temperature"] = None if white == 0 else color.kelvin(min(max(mired, coolest), warmest))
        return heard

    def say(self, state: State, wanted: State, /) -> list[tuple[str, str]]:
        """Return as few commands as say it: a colour bears its level, and either switches it on."""
        if wanted.get("on") is False:
            return self.relay.say(state, wanted)
        said, level, kelvins = [], wanted.get("brightness"), wanted.get("color_temperature")
        if "hue" in wanted or "saturation" in wanted:
            known = {name: value for name, value in {**state, **wanted}.items() if value is not None}
            bright = level if level is not None else state.get("brightness") or 100
            said.append(("HSBColor", f"{known.get('hue', 0)},{known.get('saturation', 100)},{bright}"))
        else:
            if isinstance(kelvins, int | float):
                coolest, warmest = self._whites
                said.append(("CT", str(min(max(color.mireds(kelvins), coolest), warmest))))
            if level is not None:
                said.append((self.dims, str(level)))
        # SetOption20 lets it be given a level while it is off.
        stays_off = self.relay.config.options.get(STAYS_OFF) and level != 0
        if not said or (stays_off and ("on" in wanted or state.get("on") is not True)):
            said += self.relay.say(state, {"on": True})
        return said


class Blind(msgspec.Struct, frozen=True):
    """A shutter; an inverted one counts from the other end, and yet `ShutterOpen` opens it."""

    number: int
    inverted: bool = False
    #: What its tilt is when it is shut and when it is open, which is the same if it has none.
    tilts: tuple[int, int] = (0, 0)

    @property
    def attributes(self) -> Iterator[Attribute]:
        """What it can."""
        yield from (ATTRIBUTES["position"], ATTRIBUTES["moving"])
        if self.tilts[0] != self.tilts[1]:
            yield ATTRIBUTES["tilt"]

    def heard(self, told: Mapping[str, Any], /) -> dict[str, Scalar]:
        """Return where it is, and which way it goes.

        The direction is that of the motor, which is not inverted, though Home Assistant takes it to be; the way to the
        target, where that is told, leaves no doubt.
        """
        shutter = told.get(f"Shutter{self.number}")
        if not isinstance(shutter, dict):
            return {}
        heard: dict[str, Scalar] = {}
        position, target = self._position(shutter.get("Position")), self._position(shutter.get("Target"))
        if position is not None:
            heard["position"] = position
        if (direction := unit.number(shutter.get("Direction"))) is not None:
            way = target - position if target is not None and position is not None else 0
            heard["moving"] = ("opening" if (way or direction) > 0 else "closing") if direction else None
        shut, open_ = self.tilts
        if shut != open_ and (tilt := unit.number(shutter.get("Tilt"))) is not None:
            heard["tilt"] = unit.reading((tilt - shut) * 100 / (open_ - shut), "%", ATTRIBUTES["tilt"])
        return heard

    def say(self, _state: State, wanted: State, /) -> list[tuple[str, str]]:
        """Return the command that stops it, or those that move it."""
        if "moving" in wanted:
            return [(f"ShutterStop{self.number}", "")]
        said, position, tilt = [], wanted.get("position"), wanted.get("tilt")
        if position in {0, 100}:
            said.append((f"Shutter{'Open' if position else 'Close'}{self.number}", ""))
        elif isinstance(position, int | float):
            said.append((f"ShutterPosition{self.number}", str(100 - position if self.inverted else position)))
        if isinstance(tilt, int | float):
            shut, open_ = self.tilts
            said.append((f"ShutterTilt{self.number}", str(round(shut + tilt * (open_ - shut) / 100))))
        return said

    def _position(self, value: object) -> int | float | None:
        position = unit.reading(value, "%", ATTRIBUTES["position"])
        return 100 - position if self.inverted and position is not None else position


class Reading(msgspec.Struct, frozen=True):
    """Where in a message a reading is, in this unit unless the message says another."""

    path: tuple[str, ...]
    attribute: str
    unit: str = ""
    unit_key: str = ""

    def heard(self, told: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return what a message tells of it."""
        value: object = told
        for key in self.path:
            if not isinstance(value, dict) or key not in value:
                return {}
            value = value[key]
        if isinstance(value, list):
            phases = [phase for one in value[:MOST] if (phase := unit.number(one)) is not None]
            value = sum(phases[: None if self.attribute in _SUMMED else 1]) if phases else None
        given = told.get(self.unit_key)
        given = given if isinstance(given, str) else self.unit
        return {self.attribute: unit.reading(value, given, ATTRIBUTES[self.attribute])}


def readings(told: Mapping[str, Any]) -> Sequence[Reading]:
    """Return the readings that are in a message of a thing's sensors."""
    found = []
    for path, name in islice(_leaves(told), MOST * MOST):
        if name in _READINGS and (path[0], name) not in _NOT_READ and sum(map(len, path)) <= _LONGEST:
            attribute, given = _READINGS[name]
            key = given if given.endswith("Unit") else ""
            said = told.get(key) if key else given
            found.append(Reading(path, attribute, said[:MOST] if isinstance(said, str) else "", key))
    return found[:MOST]


def alike(name: str, one: Scalar, other: Scalar) -> bool:
    """Return whether two values are one to Tasmota, which counts some more coarsely than the house."""
    coarse = _COARSE.get(name)
    if coarse is None or not isinstance(one, int | float) or not isinstance(other, int | float):
        return False
    return coarse(one) == coarse(other)


def _step(speed: float) -> int:
    """Return which of the three speeds of an iFan it is; what is not off is at least the first."""
    return max(round(speed * 3 / 100), 1) if speed else 0


_COARSE = {"color_temperature": color.mireds, "speed": _step}


def _leaves(told: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return the path to everything that may be a reading, and how it is called."""
    for key, sensor in told.items():
        for name, value in sensor.items() if isinstance(sensor, dict) else ():
            # The pins of the chip's own converter are numbered.
            plain = name.rstrip("0123456789") if key == "ANALOG" else name
            if isinstance(value, dict):
                for inner in value:
                    yield (key, name, inner), inner if inner in _READINGS else plain
            else:
                yield (key, name), plain
