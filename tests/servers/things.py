"""Lamps that speak over a broker as real ones do, one class a convention: they tell of themselves, obey and report."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import aiomqtt

from tests.loop import end
from tests.servers.mosquitto import Mosquitto

#: The lamps of each house of lamps; the last one is out of reach.
LAMPS = ("Kitchen", "Desk", "Garden")


class Lamps(Protocol):
    """Three lamps that speak one convention."""

    #: Filter of the topics on which they are told what to do, or asked how they are.
    told_on: str
    #: Whether what they report stays with the broker.
    retained: bool

    def about(self) -> Mapping[str, str]:
        """Return what is retained about them, by topic."""

    def obey(self, topic: str, payload: str) -> Mapping[str, str]:
        """Return what they report when they are told something."""


class DiscoveryLamps:
    """Lamps as Home Assistant's MQTT discovery tells of them, with the JSON schema."""

    told_on = "lamps/+/set"
    retained = True

    def __init__(self) -> None:
        """Begin with all of them off."""
        self._state: dict[str, dict[str, Any]] = {name.lower(): {"state": "OFF"} for name in LAMPS}

    def about(self) -> Mapping[str, str]:
        """Return their configurations and states."""
        told: dict[str, str] = {}
        for name in LAMPS:
            slug = name.lower()
            told[f"homeassistant/light/{slug}/config"] = json.dumps(
                {
                    "~": f"lamps/{slug}",
                    "schema": "json",
                    "name": None,
                    "uniq_id": f"lamp-{slug}",
                    "cmd_t": "~/set",
                    "stat_t": "~",
                    "avty_t": "~/online",
                    "brightness": True,
                    "brightness_scale": 100,
                    "supported_color_modes": ["brightness"],
                    "dev": {"ids": [f"lamp-{slug}"], "name": name, "sa": "Living room"},
                }
            )
            told[f"lamps/{slug}/online"] = "offline" if name == LAMPS[-1] else "online"
            told[f"lamps/{slug}"] = json.dumps(self._state[slug])
        return told

    def obey(self, topic: str, payload: str) -> Mapping[str, str]:
        """Return the new state of one."""
        slug = topic.split("/")[1]
        self._state[slug] |= json.loads(payload)
        return {f"lamps/{slug}": json.dumps(self._state[slug])}


class ZigbeeLamps:
    """Lamps as Zigbee2MQTT tells of them."""

    told_on = "zigbee2mqtt/+/+"
    retained = False

    def __init__(self) -> None:
        """Begin with all of them off."""
        self._state: dict[str, dict[str, Any]] = {name: {"state": "OFF", "brightness": 254} for name in LAMPS}

    def about(self) -> Mapping[str, str]:
        """Return the bridge's list, and each one's availability."""
        features = [
            {"type": "binary", "name": "state", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"},
            {
                "type": "numeric",
                "name": "brightness",
                "property": "brightness",
                "access": 7,
                "value_min": 0,
                "value_max": 254,
            },
        ]
        devices = [
            {
                "ieee_address": f"0x00124b00000000{number:02x}",
                "type": "Router",
                "friendly_name": name,
                "supported": True,
                "disabled": False,
                "interview_state": "SUCCESSFUL",
                "definition": {"vendor": "x", "model": "y", "exposes": [{"type": "light", "features": features}]},
            }
            for number, name in enumerate(LAMPS)
        ]
        told = {
            "zigbee2mqtt/bridge/state": json.dumps({"state": "online"}),
            "zigbee2mqtt/bridge/devices": json.dumps(devices),
        }
        for name in LAMPS:
            online = "offline" if name == LAMPS[-1] else "online"
            told[f"zigbee2mqtt/{name}/availability"] = json.dumps({"state": online})
        return told

    def obey(self, topic: str, payload: str) -> Mapping[str, str]:
        """Return the new state of one."""
        _, name, word = topic.split("/")
        if word not in {"set", "get"} or name == LAMPS[-1]:
            return {}
        self._state[name] |= json.loads(payload) if word == "set" else {}
        return {f"zigbee2mqtt/{name}": json.dumps(self._state[name])}


class TasmotaLamps:
    """Dimmable lamps that run Tasmota."""

    told_on = "cmnd/+/+"
    retained = False

    def __init__(self) -> None:
        """Begin with all of them off."""
        self._state: dict[str, dict[str, Any]] = {name.lower(): {"POWER": "OFF", "Dimmer": 100} for name in LAMPS}

    def about(self) -> Mapping[str, str]:
        """Return their discovery, their last wills and states."""
        told: dict[str, str] = {}
        for number, name in enumerate(LAMPS):
            mac, slug = f"5CCF7F00000{number}", name.lower()
            told[f"tasmota/discovery/{mac}/config"] = json.dumps(
                {
                    "mac": mac,
                    "dn": name,
                    "fn": [name],
                    "md": "Bulb",
                    "hn": slug,
                    "t": slug,
                    "ver": 1,
                    "ft": "%prefix%/%topic%/",
                    "tp": ["cmnd", "stat", "tele"],
                    "ofln": "Offline",
                    "onln": "Online",
                    "state": ["OFF", "ON", "TOGGLE", "HOLD"],
                    "rl": [2, 0, 0, 0],
                    "lt_st": 1,
                    "so": {},
                    "if": 0,
                    "swc": [-1],
                    "btn": [0],
                    "lk": 1,
                    "ty": 0,
                    "bat": 0,
                    "dslp": 0,
                    "sho": [],
                    "sht": [],
                }
            )
            told[f"tele/{slug}/LWT"] = "Offline" if name == LAMPS[-1] else "Online"
        return told

    def obey(self, topic: str, payload: str) -> Mapping[str, str]:
        """Return the new state of one, or how it is where that was asked."""
        _, slug, command = topic.split("/")
        state = self._state[slug]
        if command == "STATE":
            return {f"tele/{slug}/STATE": json.dumps(state)}
        if command.startswith("POWER"):
            state["POWER"] = payload
        elif command == "Dimmer":
            state |= {"Dimmer": int(payload), "POWER": "ON"}
        else:
            return {f"stat/{slug}/RESULT": json.dumps({"Command": "Unknown"})}
        return {f"stat/{slug}/RESULT": json.dumps(state)}


class HomieLamps:
    """Lamps of the Homie convention."""

    told_on = "homie/5/+/light/+/set"
    retained = True

    def about(self) -> Mapping[str, str]:
        """Return their descriptions and states."""
        told: dict[str, str] = {}
        for name in LAMPS:
            root = f"homie/5/{name.lower()}"
            told[f"{root}/$description"] = json.dumps(
                {
                    "homie": "5.0",
                    "version": 1,
                    "name": name,
                    "nodes": {
                        "light": {
                            "properties": {
                                "power": {"datatype": "boolean", "settable": True},
                                "level": {"datatype": "integer", "format": "0:100", "unit": "%", "settable": True},
                            }
                        }
                    },
                }
            )
            told |= {f"{root}/light/power": "false", f"{root}/light/level": "100"}
            told[f"{root}/$state"] = "lost" if name == LAMPS[-1] else "ready"
        return told

    def obey(self, topic: str, payload: str) -> Mapping[str, str]:
        """Return what one says that it was told."""
        return {topic.removesuffix("/set"): payload}


def client(broker: Mosquitto, user: str = "device") -> aiomqtt.Client:
    """Return a client of a broker, to be entered."""
    return aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username=user,
        password=f"{user}-pass",
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=1000,
    )


@contextlib.asynccontextmanager
async def living(broker: Mosquitto, lamps: Lamps) -> AsyncIterator[aiomqtt.Client]:
    """Let lamps live behind a broker for a while; what they have told stays there, as it does in a house.

    They end with their connection, and what came over it before is still obeyed.
    """
    with contextlib.suppress(aiomqtt.MqttError):
        async with client(broker) as line:
            await line.subscribe(lamps.told_on, qos=1)
            for topic, payload in lamps.about().items():
                await line.publish(topic, payload, qos=1, retain=True)
            life = asyncio.create_task(_obey(line, lamps))
            try:
                yield line
            finally:
                await end(life)
            if not life.cancelled() and isinstance(wrong := life.exception(), AssertionError):
                raise wrong


async def _obey(line: aiomqtt.Client, lamps: Lamps) -> None:
    async for message in line.messages:
        assert isinstance(message.payload, bytes)
        assert not message.retain, "an order was published retained"
        for topic, payload in lamps.obey(message.topic.value, message.payload.decode()).items():
            await line.publish(topic, payload, qos=1, retain=lamps.retained)
