"""Devices behind a real Mosquitto: each convention keeps the contract, and life with the network goes on."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from sshhome.backend import News
from sshhome.backends import mqtt
from sshhome.backends.mqtt import MqttBackend
from sshhome.clock import Clock
from sshhome.device import Device
from sshhome.errors import NotConfirmed, SiteError, Unavailable
from sshhome.house import House
from tests.backends.contract import BackendContract, Reports
from tests.client import PATIENCE, until
from tests.loop import end
from tests.servers.mosquitto import Mosquitto, mosquitto, slow_line
from tests.servers.things import DiscoveryLamps, HomieLamps, Lamps, TasmotaLamps, ZigbeeLamps, client, living
from tests.test_house import make_house, ways

pytestmark = pytest.mark.real


@pytest.fixture
async def broker(tmp_path: Path, program: Callable[[str], str]) -> AsyncIterator[Mosquitto]:
    """Return a broker that runs."""
    program("mosquitto")
    async with mosquitto(tmp_path / "broker") as running:
        yield running


class _Contract(BackendContract):
    kind = MqttBackend
    lamp = "light.kitchen"
    offline = "light.garden"
    lamps: type[Lamps]

    @pytest.fixture
    async def options(self, broker: Mosquitto) -> AsyncIterator[Mapping[str, Any]]:
        """Return where lamps live that speak the convention."""
        async with living(broker, self.lamps()):
            yield {"kind": "mqtt", "url": broker.url()}


class TestDiscovery(_Contract):
    """Home Assistant's MQTT discovery."""

    lamps = DiscoveryLamps


class TestZigbee2Mqtt(_Contract):
    """Zigbee2MQTT's own format."""

    lamps = ZigbeeLamps


class TestTasmota(_Contract):
    """Tasmota's own discovery."""

    lamps = TasmotaLamps


class TestHomie(_Contract):
    """Homie 5."""

    lamps = HomieLamps


# -- life with the network --------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the backend try again at once, where a house would wait a second."""
    monkeypatch.setattr(mqtt, "_FIRST", 0.05)


@pytest.fixture
def reports() -> Reports:
    """Return what takes the reports."""
    return Reports()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Return a house without backends."""
    async with make_house(tmp_path) as made:
        yield made


Behind = Callable[..., AbstractAsyncContextManager[MqttBackend]]


@pytest.fixture
def behind(tmp_path: Path, reports: Reports) -> Behind:
    """Return what opens the backend on a broker, by the clock on the wall, and closes it."""

    @contextlib.asynccontextmanager
    async def opened(broker: Mosquitto, **options: Any) -> AsyncIterator[MqttBackend]:  # noqa: ANN401 (any option)
        wanted = {"kind": "mqtt", "url": broker.url(), "keepalive": "2s", **options}
        backend = await MqttBackend.open(wanted, tmp_path, Clock(), reports)
        try:
            yield backend
        finally:
            await backend.close()

    return opened


def device(backend: MqttBackend, device_id: str) -> Device | None:
    """Return a device as the backend knows it."""
    return next((device for device in backend.devices() if device.id == device_id), None)


def reachable(backend: MqttBackend, device_id: str = "light.kitchen") -> bool:
    """Return whether a device is there, and known."""
    found = device(backend, device_id)
    return found is not None and found.available and found.state["on"] is not None


async def found(backend: MqttBackend, device_id: str = "light.kitchen") -> Device:
    """Wait until a device is there, and known."""
    await until(lambda: reachable(backend, device_id))
    here = device(backend, device_id)
    assert here is not None
    return here


async def test_a_broker_that_is_down_at_start(tmp_path: Path, behind: Behind, program: Callable[[str], str]) -> None:
    """Without a broker the backend says what is wrong and goes on trying; once there is one, the devices appear."""
    program("mosquitto")
    async with mosquitto(tmp_path / "broker", started=False) as broker, behind(broker) as backend:
        await until(lambda: "refused" in backend.link.says)
        assert not backend.link.up
        assert f"127.0.0.1:{broker.port}: connection refused; the next try is in" in backend.link.says
        assert not backend.devices()
        await broker.start()
        async with living(broker, DiscoveryLamps()):
            await found(backend)
        assert backend.link.up


async def test_a_broker_that_is_killed(broker: Mosquitto, behind: Behind, reports: Reports) -> None:
    """When the broker dies all devices are unavailable at once; when it is back so are they, in the same state."""
    async with living(broker, TasmotaLamps()) as lamps, behind(broker) as backend:
        lamp = await found(backend)
        await backend.apply(lamp, {"on": True, "brightness": 40})
        await until(lambda: reports.echoed(lamp.id, {"on": True, "brightness": 40}))
        await broker.save()
        await broker.kill()
        await until(lambda: not reports.last[lamp.id].available)
        with pytest.raises(Unavailable, match=r"light\.kitchen is unavailable") as raised:
            await backend.apply(lamp, {"on": False})
        assert "the next try is in" in raised.value.hint
        # What is known of it is not forgotten meanwhile.
        assert reports.last[lamp.id].state["brightness"] == 40
        assert lamps is not None
        await broker.start()
        with contextlib.suppress(aiomqtt.MqttError):
            async with living(broker, TasmotaLamps()):
                await found(backend)


async def test_a_broker_that_is_killed_under_load(broker: Mosquitto, house: House, tmp_path: Path) -> None:
    """Orders that are under way as the broker dies each end truthfully and in time; afterwards they are taken again."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(living(broker, DiscoveryLamps()))
        await house.add("mqtt", *ways(MqttBackend, {"kind": "mqtt", "url": broker.url()}, tmp_path, Clock()))
        ids = ("light.kitchen", "light.desk")
        await until(lambda: all(id_ in house.devices and house.devices[id_].available for id_ in ids))
        house.confirm_within = 0.5
        ended: list[str] = []

        async def give(id_: str) -> None:
            on = True
            while "Unavailable" not in ended[-4:]:
                try:
                    ended.append(str((await house.change(id_, {"on": on})).state["on"] is on))
                except (NotConfirmed, Unavailable) as error:
                    ended.append(type(error).__name__)
                on = not on

        giving = [asyncio.create_task(give(id_)) for id_ in ids for _ in range(5)]
        await until(lambda: ended.count("True") > 50)
        await broker.save()
        await broker.kill()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*giving)
        assert set(ended) <= {"True", "NotConfirmed", "Unavailable"}
    await broker.start()
    async with living(broker, DiscoveryLamps()):
        await until(lambda: house.devices["light.kitchen"].available)
        house.confirm_within = PATIENCE
        assert (await house.change("light.kitchen", {"on": True})).state["on"] is True


async def test_orders_are_never_sent_later(broker: Mosquitto, behind: Behind) -> None:
    """An order that could not be sent is not sent when the broker is back, nor is one sent twice or kept by it."""
    async with behind(broker) as backend:
        async with living(broker, ZigbeeLamps()):
            lamp = await found(backend)
        await broker.save()
        await broker.kill()
        await until(lambda: not backend.link.up)
        with pytest.raises(Unavailable):
            await backend.apply(lamp, {"on": True})
        await broker.start()
        async with client(broker) as listener:
            await listener.subscribe("#", qos=1)
            await until(lambda: backend.link.up)
            await backend.apply(await found(backend), {"on": True})
            async with asyncio.timeout(PATIENCE):
                async for message in listener.messages:
                    if message.topic.value.endswith("/set"):
                        assert not message.retain
                        assert message.properties is not None
                        assert getattr(message.properties, "MessageExpiryInterval") <= 5  # noqa: B009 (paho has no such attribute in its types)
                        break
        async with client(broker) as late:
            await late.subscribe("zigbee2mqtt/+/set", qos=1)
            await late.subscribe("zigbee2mqtt/bridge/state", qos=1)
            async with asyncio.timeout(PATIENCE):
                async for message in late.messages:
                    assert message.topic.value == "zigbee2mqtt/bridge/state"
                    break


async def test_a_connection_that_is_half_open(broker: Mosquitto, behind: Behind, reports: Reports) -> None:
    """A broker that says nothing more, while its connection stays open, is noticed within the keepalive."""
    async with living(broker, HomieLamps()), behind(broker, keepalive="2s") as backend:
        await found(backend)
        broker.freeze()
        try:
            await until(lambda: not reports.last["light.kitchen"].available)
            assert not backend.link.up
        finally:
            broker.thaw()
        await found(backend)


async def test_a_wrong_password(broker: Mosquitto, behind: Behind) -> None:
    """A wrong password is told in words, and not tried again every second."""
    async with behind(broker, url=broker.url("house", "wrong")) as backend:
        await until(lambda: "password" in backend.link.says)
        assert backend.link.says.startswith(
            f"127.0.0.1:{broker.port}: the user or password is wrong; the next try is in"
        )
        assert re.search(r"in (4[5-9]|5\d) s|in 1 min", backend.link.says)
        assert "wrong@" not in backend.link.says


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_authority_that_has_ended(
    tmp_path: Path, behind: Behind, reports: Reports, program: Callable[[str], str]
) -> None:
    """With TLS the broker must prove who it is: an authority that has ended, or another one, is told in words."""
    program("mosquitto")
    async with (
        mosquitto(tmp_path / "ended", days=-1) as ended,
        mosquitto(tmp_path / "good") as good,
        living(good, DiscoveryLamps()),
    ):
        for broker, ca, says in (
            (ended, ended.ca, "its certificate is not trusted: certificate has expired"),
            (good, ended.ca, "its certificate is not trusted: "),
        ):
            url = f"mqtts://house:house-pass@localhost:{broker.tls_port}"
            async with behind(broker, url=url, ca=str(ca)) as backend:
                await until(lambda: "certificate" in backend.link.says)
                assert says in backend.link.says
                assert not backend.devices()
        url = f"mqtts://house:house-pass@localhost:{good.tls_port}"
        async with behind(good, url=url, ca=str(good.ca)) as backend:
            await found(backend)
    assert "light.kitchen" in reports.last


async def test_a_publish_that_is_denied(broker: Mosquitto, house: House, tmp_path: Path) -> None:
    """What the broker's access control refuses ends as not confirmed, with a hint at it: the broker does not tell."""
    async with living(broker, DiscoveryLamps()):
        await house.add("mqtt", *ways(MqttBackend, {"kind": "mqtt", "url": broker.url("reader")}, tmp_path, Clock()))
        await until(lambda: "light.kitchen" in house.devices and house.devices["light.kitchen"].available)
        house.confirm_within = 0.3
        with pytest.raises(NotConfirmed) as raised:
            await house.change("light.kitchen", {"on": True})
        assert "ACL" in raised.value.hint


async def test_a_slow_broker(broker: Mosquitto, house: House, tmp_path: Path) -> None:
    """Through a line that takes half a second each way, orders wait their time and what is known is told at once."""
    async with living(broker, HomieLamps()), slow_line(broker.port, 0.5) as port:
        url = f"mqtt://house:house-pass@127.0.0.1:{port}"
        await house.add("mqtt", *ways(MqttBackend, {"kind": "mqtt", "url": url}, tmp_path, Clock()))
        await until(lambda: "light.kitchen" in house.devices and house.devices["light.kitchen"].available)
        house.confirm_within = 0.3
        with pytest.raises(NotConfirmed):
            await house.change("light.kitchen", {"on": True})
        house.confirm_within = PATIENCE
        assert (await house.change("light.kitchen", {"on": False})).state["on"] is False


async def test_ten_thousand_retained_topics(broker: Mosquitto, behind: Behind) -> None:
    """A broker that keeps rubbish on ten thousand topics, where devices tell of themselves, hides no device in it."""
    rubbish = [
        b"\xff\xfe",
        b"{",
        b"[" * 5000,
        b'{"schema":"json","cmd_t":1}',
        b"null",
        b'{"components":{"a":{"p":"light"}}}',
    ]
    async with client(broker) as polluter:
        for number in range(10_000):
            kind = ("light", "sensor", "nonsense", "device")[number % 4]
            topic = f"homeassistant/{kind}/rubbish{number}/config"
            await polluter.publish(topic, rubbish[number % len(rubbish)], qos=0, retain=True)
        await polluter.publish("zigbee2mqtt/bridge/devices", b'[{"ieee_address":7},null,[]]', qos=1, retain=True)
        await polluter.publish("tasmota/discovery/AABBCCDDEEFF/config", b"{" * 100, qos=1, retain=True)
        await polluter.publish("homie/5/x/$description", b"\x00\x01", qos=1, retain=True)
    async with living(broker, DiscoveryLamps()), behind(broker, keepalive="15s") as backend:
        lamp = await found(backend)
        await backend.apply(lamp, {"on": True})
        await until(lambda: (here := device(backend, lamp.id)) is not None and here.state["on"] is True)
        assert backend.link.up


async def test_more_than_a_broker_queues(tmp_path: Path, behind: Behind, program: Callable[[str], str]) -> None:
    """Three thousand things that are retained with QoS 1 are found at a Mosquitto that queues a thousand messages."""
    program("mosquitto")
    async with mosquitto(tmp_path / "broker", started=False) as broker:
        file = broker.folder / "mosquitto.conf"
        file.write_text(re.sub(r"max_queued_messages \d+", "max_queued_messages 1000", file.read_text()))
        await broker.start()
        async with client(broker) as teller:
            for number in range(3000):
                about = {
                    "uniq_id": f"lamp-{number}",
                    "name": f"Lamp {number}",
                    "cmd_t": "x",
                    "stat_t": f"lamps/{number}",
                }
                topic = f"homeassistant/light/lamp{number}/config"
                await teller.publish(topic, json.dumps(about), qos=1, retain=True)
        async with behind(broker) as backend:
            await until(lambda: len(backend.devices()) == 3000)


async def test_others_get_their_turn(broker: Mosquitto, behind: Behind) -> None:
    """While a bridge tells of three thousand devices at once, whoever else has something to do is not kept waiting."""
    switch = {"type": "binary", "name": "state", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"}
    listed = [
        {
            "ieee_address": f"0x{number:016x}",
            "friendly_name": f"lamp {number}",
            "definition": {"exposes": [{"type": "light", "features": [switch]}]},
        }
        for number in range(3000)
    ]
    async with behind(broker) as backend, client(broker) as bridge:
        await until(lambda: backend.link.up)
        known = set()
        await bridge.publish("zigbee2mqtt/bridge/devices", json.dumps(listed), qos=1, retain=True)
        async with asyncio.timeout(PATIENCE):
            while len(backend.devices()) < 3000:
                known.add(len(backend.devices()))
                await asyncio.sleep(0)
        assert len(known) > 20


async def test_aiomqtts_private_parts(broker: Mosquitto, behind: Behind) -> None:
    """The socket that what a broker holds back is hurried on is where we look for it."""
    async with behind(broker) as backend:
        await until(lambda: backend.link.up)
        assert backend._talk is not None
        assert isinstance(backend._talk.client._client.socket(), socket.socket)


async def test_a_device_that_flaps(broker: Mosquitto, behind: Behind, reports: Reports) -> None:
    """A device that comes and goes two hundred times is, at the end, how it said last."""
    async with living(broker, DiscoveryLamps()) as lamps, behind(broker) as backend:
        await found(backend)
        for number in range(200):
            await lamps.publish("lamps/kitchen/online", ("offline", "online")[number % 2], qos=1, retain=True)
        await lamps.publish("lamps/kitchen/online", "offline", qos=1, retain=True)
        await until(lambda: not reports.last["light.kitchen"].available)
        await lamps.publish("lamps/kitchen/online", "online", qos=1, retain=True)
        lamp = await found(backend)
        await backend.apply(lamp, {"on": True})
        await until(lambda: reports.echoed("light.kitchen", {"on": True}))


async def test_what_left_while_we_were_away(
    broker: Mosquitto, behind: Behind, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that was removed while the connection was lost is gone once everything has been told again."""
    monkeypatch.setattr(mqtt, "SETTLED", 0.2)
    async with behind(broker) as backend:
        async with living(broker, DiscoveryLamps()):
            await found(backend)
        await broker.save()
        await broker.kill()
        await until(lambda: not backend.link.up)
        await broker.start()
        # Faster than the backend is back, or not: it is told in either case.
        async with client(broker) as remover:
            await remover.publish("homeassistant/light/desk/config", b"", qos=1, retain=True)
        await found(backend)
        await until(lambda: device(backend, "light.desk") is None)
        assert "light.desk" not in reports.last


async def test_twice_the_same_lamp(broker: Mosquitto, behind: Behind, reports: Reports) -> None:
    """A lamp that two conventions tell of is one, in the better convention's words, until that is silent."""
    lamps = ZigbeeLamps()
    other = {
        "name": None,
        "schema": "json",
        "uniq_id": "0x00124b0000000000_light_zigbee2mqtt",
        "cmd_t": "zigbee2mqtt/Kitchen/set",
        "stat_t": "zigbee2mqtt/Kitchen",
        "o": {"name": "Zigbee2MQTT"},
        "dev": {"ids": ["zigbee2mqtt_0x00124b0000000000"], "name": "Kitchen"},
    }
    async with living(broker, lamps) as house, behind(broker) as backend:
        await house.publish(
            "homeassistant/light/0x00124b0000000000/light/config", json.dumps(other), qos=1, retain=True
        )
        await found(backend)
        await house.publish(
            "homeassistant/light/other/config",
            json.dumps(other | {"uniq_id": "x", "dev": {"ids": ["y"], "name": "Other"}}),
            qos=1,
        )
        await until(lambda: device(backend, "light.other") is not None)
        assert [d.identity for d in backend.devices() if d.name == "Kitchen"] == ["0x00124b0000000000"]
        await house.publish("zigbee2mqtt/bridge/devices", b"[]", qos=1, retain=True)
        await until(
            lambda: [d.identity for d in backend.devices() if d.name == "Kitchen"] not in ([], ["0x00124b0000000000"])
        )


async def test_connecting_once_to_try(broker: Mosquitto) -> None:
    """A test connects, and says in one line what is there or what is wrong."""
    async with living(broker, DiscoveryLamps()):
        told = await MqttBackend.test({"kind": "mqtt", "url": broker.url()})
    assert told == f"127.0.0.1:{broker.port}: connected, 3 devices"
    await broker.kill()
    with pytest.raises(SiteError, match=rf"^127\.0\.0\.1:{broker.port}: connection refused$"):
        await MqttBackend.test({"kind": "mqtt", "url": broker.url()})


# -- news of the door -------------------------------------------------------------------------------------------------


async def test_the_door_is_announced(broker: Mosquitto, behind: Behind) -> None:
    """With `announce`, sshhome introduces itself to Home Assistant, and tells how things stand and what happens."""
    async with client(broker) as listener:
        await listener.subscribe([("sshhome/#", 1), ("homeassistant/#", 1)])
        heard: dict[str, tuple[str, bool]] = {}

        async def listen() -> None:
            async for message in listener.messages:
                assert isinstance(message.payload, bytes)
                heard[message.topic.value] = message.payload.decode(), bool(message.retain)

        listening = asyncio.create_task(listen())
        async with behind(broker, announce="sshhome/house", events=["order.d*"]) as backend:
            backend.announce(News(standing={"sessions": 2, "bans": 0}))
            await until(lambda: "sshhome/house/state" in heard)
            backend.announce(News("login.ok", {"user": "anna"}))
            backend.announce(News("order.refused", {"user": "kid"}))
            backend.announce(News("order.done", {"user": "anna", "order": "on"}))
            await until(lambda: "sshhome/house/event/order.done" in heard)
        await until(lambda: heard["sshhome/house/online"][0] == "offline")
        assert json.loads(heard["sshhome/house/state"][0]) == {"sessions": 2, "bans": 0}
        assert json.loads(heard["sshhome/house/event"][0]) == {"event_type": "login.ok", "user": "anna"}
        ordered = {"event_type": "order.done", "user": "anna", "order": "on"}
        assert json.loads(heard["sshhome/house/event/order.done"][0]) == ordered
        assert "sshhome/house/event/order.refused" not in heard
        introduced = [json.loads(told) for topic, (told, _) in heard.items() if topic.startswith("homeassistant/")]
        assert {about["name"] for about in introduced} == {"Sessions", "Bans", "Last login", "Last login at", "Door"}
        assert {about["device"]["identifiers"][0] for about in introduced} == {"sshhome_house"}
        await end(listening)
    async with client(broker) as late:
        await late.subscribe("sshhome/#", qos=1)
        kept = set()
        async with asyncio.timeout(PATIENCE):
            async for message in late.messages:
                kept.add(message.topic.value)
                if {"sshhome/house/state", "sshhome/house/online"} <= kept:
                    break
        # What happened is told once, to who listens then.
        assert not [topic for topic in kept if topic.startswith("sshhome/house/event")]


async def test_a_door_that_died_is_offline(broker: Mosquitto, behind: Behind) -> None:
    """A server that is cut off without a word is offline to whoever listens: its last will says so."""
    async with contextlib.AsyncExitStack() as line, client(broker) as listener:
        port = await line.enter_async_context(slow_line(broker.port, 0.0))
        await listener.subscribe("sshhome/house/online", qos=1)
        url = f"mqtt://house:house-pass@127.0.0.1:{port}"
        told = []
        async with behind(broker, url=url, announce="sshhome/house"), asyncio.timeout(PATIENCE):
            async for message in listener.messages:
                told.append(message.payload)
                if message.payload == b"offline":
                    break
                await line.aclose()
        assert told == [b"online", b"offline"]
