"""Zigbee2MQTT's convention, as a real one with virtual devices speaks it."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from sshhome.convention import Heard
from sshhome.conventions.zigbee2mqtt import Zigbee2MQTT
from sshhome.device import Device, State
from sshhome.errors import Refused
from tests.client import until
from tests.loop import end
from tests.servers.mosquitto import Mosquitto, mosquitto
from tests.servers.zigbee2mqtt import ADDRESSES, Zigbee2mqtt, zigbee2mqtt

pytestmark = pytest.mark.real


class Listener:
    """What hears a broker through the convention, and speaks to it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        """Start with nothing heard."""
        self.convention = Zigbee2MQTT({})
        self.devices: dict[str, Device] = {}
        self.heard: list[Device] = []
        self.refused: list[tuple[str, str]] = []
        self._client = client

    async def listen(self) -> None:
        """Hear everything, for ever."""
        await self._follow(Heard(listen=list(self.convention.topics)))
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            await self._follow(self.convention.hear(message.topic.value, message.payload, _now()))

    async def ask(self) -> None:
        """Let the convention ask what it wants to know."""
        await self._follow(self.convention.later(_now()))

    async def _follow(self, heard: Heard) -> None:
        for part in heard.parts:
            for topic in part.listen:
                await self._client.subscribe(topic)
            for topic in part.leave:
                await self._client.unsubscribe(topic)
            for message in part.ask:
                await self._client.publish(message.topic, message.payload)
            for device in part.changed:
                self.devices[device.identity] = device
                self.heard.append(device)
            for identity in part.gone:
                del self.devices[identity]
            self.refused += part.refused

    async def order(self, identity: str, change: State) -> None:
        """Send a change to a device."""
        for message in self.convention.say(self.devices[identity], change):
            await self._client.publish(message.topic, message.payload)

    async def echoed(self, identity: str, change: State) -> None:
        """Send a change to a device, and wait for the echo."""
        await self.order(identity, change)
        await until(lambda: self.devices[identity].echoes(change))

    async def request(self, what: str, **about: Any) -> None:  # noqa: ANN401  (whatever the bridge takes)
        """Ask the bridge itself for something."""
        await self._client.publish(f"zigbee2mqtt/bridge/request/{what}", json.dumps(about))

    async def set(self, name: str, **payload: Any) -> None:  # noqa: ANN401  (whatever the bridge takes)
        """Tell the bridge something that no order of ours says."""
        await self._client.publish(f"zigbee2mqtt/{name}/set", json.dumps(payload))


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def listening(broker: Mosquitto) -> AsyncIterator[Listener]:
    """Connect to a broker and listen there."""
    async with aiomqtt.Client("127.0.0.1", broker.port, username="house", password="house-pass") as client:
        listener = Listener(client)
        task = asyncio.create_task(listener.listen())
        try:
            yield listener
        finally:
            await end(task)


@pytest.fixture
async def broker(tmp_path: Path, program: Any) -> AsyncIterator[Mosquitto]:  # noqa: ANN401  (a fixture that finds programs)
    """Run a broker."""
    program("mosquitto")
    async with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
async def bridge(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[Zigbee2mqtt]:
    """Run a Zigbee2MQTT at the broker."""
    async with zigbee2mqtt(broker.port, "device", "device-pass", tmp_path / "zigbee2mqtt") as running:
        yield running


@pytest.fixture
async def listener(broker: Mosquitto, bridge: Zigbee2mqtt) -> AsyncIterator[Listener]:
    """Listen to them."""
    async with listening(broker) as one:
        yield one


async def joined(bridge: Zigbee2mqtt, listener: Listener, *names: str) -> list[str]:
    """Let devices join, and return their identities once they are known."""
    for name in names:
        await bridge.control({"join": name})
    identities = [ADDRESSES[name] for name in names]
    await until(lambda: listener.devices.keys() >= set(identities))
    return identities


async def test_a_lamp_that_joins_obeys(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A lamp that joins while we listen is there, and what it is told comes back as it was told: white, colour too."""
    (bulb,) = await joined(bridge, listener, "bulb")
    assert listener.devices[bulb].id == "light.bulb"
    assert listener.devices[bulb].hardware == "00124b0000000001"
    for change in (
        {"on": True},
        {"on": False},
        {"on": True, "brightness": 40},
        {"brightness": 1},
        {"color_temperature": 2700},
        {"hue": 0, "saturation": 100},
        {"hue": 210, "saturation": 60},
        {"color_temperature": 6500},
    ):
        await listener.echoed(bulb, change)
    assert listener.devices[bulb].state["hue"] is None


async def test_the_rest_of_the_house(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A blind and a lock do what they are told, and a sensor tells what it measures."""
    blind, lock, sensor = await joined(bridge, listener, "blind", "lock", "sensor")
    changes: list[tuple[str, State]] = [
        (blind, {"position": 30}),
        (blind, {"position": 100}),
        (blind, {"position": 0}),
        (lock, {"locked": False}),
        (lock, {"locked": True}),
    ]
    for identity, change in changes:
        await listener.echoed(identity, change)
    await bridge.control(
        {"report": "sensor", "cluster": "msTemperatureMeasurement", "attributes": {"measuredValue": 1987}}
    )
    await until(lambda: listener.devices[sensor].state["temperature"] == 19.87)


async def test_a_renamed_device_stays_itself(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A device that is renamed, into a room even, keeps its identity and state, and obeys under its new name."""
    (outlet,) = await joined(bridge, listener, "outlet")
    await listener.echoed(outlet, {"on": True})
    await listener.request("device/rename", **{"from": "outlet", "to": "kitchen/coffee"})
    await until(lambda: listener.devices[outlet].room == "kitchen")
    device = listener.devices[outlet]
    assert (device.name, device.available, device.state["on"]) == ("Coffee", True, True)
    # The broker takes the new subscription before the order, as both come from here.
    await listener.echoed(outlet, {"on": False})
    await bridge.control({"report": "outlet", "cluster": "genOnOff", "attributes": {"onOff": 1}})
    await until(lambda: listener.devices[outlet].state["on"])
    await listener.request("device/rename", **{"from": "kitchen/coffee", "to": "outlet"})
    await until(lambda: listener.devices[outlet].room == "")
    await listener.echoed(outlet, {"on": False})


async def test_a_deaf_device_refuses(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A device that cannot be reached does not echo, and what is told of that is its refusal."""
    (outlet,) = await joined(bridge, listener, "outlet")
    await listener.echoed(outlet, {"on": False})
    await bridge.control({"mute": "outlet", "on": True})
    await listener.order(outlet, {"on": True})
    await until(lambda: listener.refused)
    assert listener.refused == [(outlet, "Delivery failed (the device does not answer)")]
    assert listener.devices[outlet].state["on"] is False
    await bridge.control({"mute": "outlet", "on": False})
    await listener.echoed(outlet, {"on": True})


async def test_a_device_that_leaves_is_gone(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A device that leaves is gone, and is told nothing any more."""
    (outlet,) = await joined(bridge, listener, "outlet")
    device = listener.devices[outlet]
    await bridge.control({"leave": "outlet"})
    await until(lambda: outlet not in listener.devices)
    with pytest.raises(Refused):
        listener.convention.say(device, {"on": True})


async def test_an_unknown_device_is_told_of(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """An order for a device that the bridge does not know any more is refused in its words."""
    (outlet,) = await joined(bridge, listener, "outlet")
    list(listener.convention.hear("zigbee2mqtt/bridge/devices", _listed(outlet, "nobody"), _now()).parts)
    await listener.order(outlet, {"on": True})
    await until(lambda: listener.refused)
    assert listener.refused == [(outlet, "Entity 'nobody' is unknown")]


def _listed(identity: str, name: str) -> bytes:
    state = {"type": "binary", "name": "state", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"}
    definition = {"exposes": [{"type": "switch", "features": [state]}]}
    return json.dumps([{"ieee_address": identity, "friendly_name": name, "definition": definition}]).encode()


async def test_a_group_and_its_scene(bridge: Zigbee2mqtt, listener: Listener) -> None:
    """A group is one thing with what is in it; its scene is activated once the bridge says so."""
    outlet, socket = await joined(bridge, listener, "outlet", "socket")
    await listener.request("group/add", friendly_name="plugs", id=7)
    for name in ("outlet", "socket"):
        await listener.request("group/members/add", group="plugs", device=name)
    await until(lambda: "group/7" in listener.devices and len(listener.devices["group/7"].group) == 2)
    group = listener.devices["group/7"]
    assert (group.id, set(group.group)) == ("switch.plugs", {outlet, socket})
    await listener.echoed("group/7", {"on": True})
    for identity in (outlet, socket):
        await until(functools.partial(lambda one: listener.devices[one].state["on"] is True, identity))
    await listener.set("plugs", scene_store={"ID": 3, "name": "Evening"})
    await until(lambda: "group/7/scene/3" in listener.devices)
    scene = listener.devices["group/7/scene/3"]
    assert (scene.id, scene.name, set(scene.members)) == ("scene.plugs_evening", "Plugs Evening", {outlet, socket})
    await listener.echoed("group/7", {"on": False})
    await listener.echoed("group/7/scene/3", {"activated": "2026-11-21T20:00:00.000Z"})
    await until(lambda: listener.devices[outlet].state["on"] and listener.devices[socket].state["on"])


async def test_who_comes_later_asks(broker: Mosquitto, bridge: Zigbee2mqtt, listener: Listener) -> None:
    """Who connects when everything has been said already asks the devices that are awake how they are."""
    bulb, _ = await joined(bridge, listener, "bulb", "blind")
    await listener.echoed(bulb, {"on": True, "brightness": 40})
    async with listening(broker) as late:
        await until(lambda: len(late.devices) == 2)
        assert late.devices[bulb].state["on"] is None
        await late.ask()
        await until(lambda: late.devices[bulb].state["on"])
        assert late.devices[bulb].state["brightness"] == 40


async def test_a_bridge_that_ends_takes_its_devices_along(tmp_path: Path, broker: Mosquitto) -> None:
    """When the bridge ends, its will says so and nothing of it is available; started again, it all is."""
    async with listening(broker) as listener:
        async with zigbee2mqtt(broker.port, "device", "device-pass", tmp_path / "zigbee2mqtt") as bridge:
            (bulb,) = await joined(bridge, listener, "bulb")
            assert listener.devices[bulb].available
        await until(lambda: not listener.devices[bulb].available)
        async with zigbee2mqtt(broker.port, "device", "device-pass", tmp_path / "zigbee2mqtt"):
            await until(lambda: listener.devices[bulb].available)
