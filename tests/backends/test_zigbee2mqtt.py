"""Lamps behind a real Zigbee2MQTT, behind a real Mosquitto, keep the contract of all backends."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sshhome.backends.mqtt import MqttBackend
from tests.backends.contract import BackendContract
from tests.client import until
from tests.servers.mosquitto import mosquitto
from tests.servers.things import client
from tests.servers.zigbee2mqtt import zigbee2mqtt

pytestmark = pytest.mark.real


class TestZigbee2MQTT(BackendContract):
    """Three bulbs of which Zigbee2MQTT says that one is out of reach."""

    kind = MqttBackend
    lamp = "light.bulb"
    offline = "light.garden"

    @pytest.fixture
    async def options(self, tmp_path: Path, program: Callable[[str], str]) -> AsyncIterator[Mapping[str, Any]]:
        """Return where the bulbs are, once each has joined and been interviewed."""
        program("mosquitto")
        async with (
            mosquitto(tmp_path / "broker") as broker,
            zigbee2mqtt(broker.port, "device", "device-pass", tmp_path / "zigbee2mqtt") as bridge,
        ):
            for name in ("bulb", "desk", "garden"):
                await bridge.control({"join": name})
            await until(lambda: bridge.log.read_text(errors="replace").count("Successfully interviewed") == 3)
            async with client(broker) as line:
                # It would say so itself, ten minutes after it heard of the bulb for the last time.
                await line.publish("zigbee2mqtt/garden/availability", b'{"state":"offline"}', qos=1, retain=True)
            yield {"kind": "mqtt", "url": broker.url()}
