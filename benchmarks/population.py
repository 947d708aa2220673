"""What lives behind a broker: thousands of things that tell of themselves, and lamps that obey, as processes.

`python -m benchmarks.population WAY URL` is one of them; what it has to say is one line of JSON on standard output.
"""

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

#: Rooms that the things are spread over.
_ROOMS = 50
#: The part of a second in which the messages of a storm go out together.
_TICK = 0.01
#: Letters of the descriptions that come with each device of Zigbee2MQTT, and that nobody here reads: a real entry has
#: five kilobytes and a half.
_PADDING = 4300

#: What is retained on the broker, by topic.
Told = Iterator[tuple[str, str]]


def discovered(count: int) -> Told:
    """Yield so many things as Home Assistant's discovery has them, half of them JSON lamps, half sensors."""
    yield "things/bridge", json.dumps({"state": "online"})
    for number in range(count):
        yield _light(number) if number % 2 else _sensor(number)
        yield state(number)


def lamps(count: int) -> Told:
    """Yield so many lamps, and nothing else."""
    yield "things/bridge", json.dumps({"state": "online"})
    for number in range(1, 2 * count, 2):
        yield _light(number)
        yield state(number)


def zigbee(count: int) -> Told:
    """Yield so many things as Zigbee2MQTT has them: one long list, and how each is."""
    yield "zigbee2mqtt/bridge/state", json.dumps({"state": "online"})
    yield "zigbee2mqtt/bridge/devices", json.dumps([_entry(number) for number in range(count)])
    for number in range(count):
        yield zigbee_state(number)


def state(number: int, turn: int = 0) -> tuple[str, str]:
    """Return how one thing of discovery is, at each turn otherwise."""
    if number % 2:
        return f"things/{number}", json.dumps({"state": "ON" if turn % 2 else "OFF", "brightness": 100 + turn % 100})
    told = {"temperature": 15 + turn % 100 / 10, "humidity": 50, "battery": 90, "linkquality": turn % 255}
    return f"things/{number}", json.dumps(told)


def zigbee_state(number: int, turn: int = 0) -> tuple[str, str]:
    """Return how one thing of Zigbee2MQTT is, at each turn otherwise."""
    _, told = state(number, turn)
    return f"zigbee2mqtt/{_called(number)}", told


#: Each population, and how one of it is at each turn.
POPULATIONS: Mapping[str, tuple[Callable[[int], Told], Callable[[int, int], tuple[str, str]]]] = {
    "discovered": (discovered, state),
    "zigbee": (zigbee, zigbee_state),
    "lamps": (lamps, state),
}


def _called(number: int) -> str:
    return f"{'lamp' if number % 2 else 'sensor'} {number}"


def _light(number: int) -> tuple[str, str]:
    return f"homeassistant/light/lamp_{number}/config", json.dumps(
        {
            **_described(number, "light"),
            "name": None,
            "schema": "json",
            "brightness": True,
            "brightness_scale": 254,
            "command_topic": f"things/{number}/set",
            "supported_color_modes": ["brightness"],
        }
    )


def _sensor(number: int) -> tuple[str, str]:
    return f"homeassistant/sensor/sensor_{number}/config", json.dumps(
        {
            **_described(number, "temperature"),
            "device_class": "temperature",
            "state_class": "measurement",
            "unit_of_measurement": "°C",
            "value_template": '{{ value_json["temperature"] }}',
        }
    )


def _described(number: int, what: str) -> Mapping[str, Any]:
    return {
        "availability": [{"topic": "things/bridge", "value_template": "{{ value_json.state }}"}],
        "unique_id": f"{_address(number)}_{what}",
        "state_topic": f"things/{number}",
        "device": {
            "identifiers": [f"bench_{_address(number)}"],
            "manufacturer": "Nobody",
            "model": "A thing that is not there",
            "name": _called(number),
            "suggested_area": f"Room {number % _ROOMS}",
        },
        "origin": {"name": "benchmark"},
    }


def _entry(number: int) -> Mapping[str, Any]:
    on = {"type": "binary", "name": "state", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"}
    level = {**_reading("brightness"), "access": 7, "value_min": 0, "value_max": 254}
    lamp = [{"type": "light", "features": [on, level]}]
    sensor = [_reading("temperature", "°C"), _reading("humidity", "%"), _reading("battery", "%")]
    return {
        "ieee_address": f"0x{_address(number)}",
        "friendly_name": _called(number),
        "type": "EndDevice",
        "supported": True,
        "disabled": False,
        "interview_completed": True,
        "endpoints": {"1": {"bindings": [], "clusters": {"input": ["genBasic"], "output": []}, "scenes": []}},
        "definition": {
            "description": "A thing that is not there",
            "exposes": [
                *(lamp if number % 2 else sensor),
                {**_reading("linkquality", "lqi"), "category": "diagnostic"},
            ],
            "options": [{"access": 2, "name": "precision", "type": "numeric", "description": "x" * _PADDING}],
        },
    }


def _reading(name: str, unit: str = "") -> Mapping[str, Any]:
    return {"type": "numeric", "name": name, "property": name, "access": 1, "unit": unit, "label": name.title()}


def _address(number: int) -> str:
    return f"00124b00{number:08x}"


# -- the processes ----------------------------------------------------------------------------------------------------


def connect(url: str) -> aiomqtt.Client:
    """Return a client for a broker, not yet connected."""
    parts = urlsplit(url)
    return aiomqtt.Client(
        parts.hostname or "",
        parts.port or 0,
        username=parts.username,
        password=parts.password,
        protocol=aiomqtt.ProtocolVersion.V5,
        max_queued_incoming_messages=100_000,
        max_inflight_messages=1000,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )


async def retain(url: str, told: Told) -> None:
    """Leave everything with the broker, and wait until it has it."""
    async with connect(url) as client:
        for topic, payload in told:
            await client.publish(topic, payload, retain=True, timeout=30)
        # It takes them in their order.
        await client.publish("things/retained", "", qos=1, timeout=30)


async def _obey(url: str) -> None:
    """Be lamps that do what they are told, and say so, until the end."""
    async with connect(url) as client:
        await client.subscribe("things/+/set")
        _say({})
        async for message in client.messages:
            if isinstance(message.payload, bytes):
                await client.publish(message.topic.value.removesuffix("/set"), message.payload)


async def _hear(url: str, count: int, *, live: bool) -> None:
    """Hear so many messages, do nothing with them, and tell how long that took, and what CPU time."""
    async with connect(url) as client:
        heard_before = SubscribeOptions.RETAIN_DO_NOT_SEND if live else SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        await client.subscribe("#", options=SubscribeOptions(qos=1, retainHandling=heard_before))
        _say({})
        heard, began, cpu = 0, time.perf_counter(), time.process_time()
        async for message in client.messages:
            if heard == 0:
                began, cpu = time.perf_counter(), time.process_time()
            heard += isinstance(message.payload, bytes)
            if heard == count:
                break
    taken = time.process_time() - cpu
    _say({"messages": heard, "seconds": time.perf_counter() - began, "cpu": taken})


async def _storm(url: str, count: int, population: str, rate: int, seconds: float) -> None:
    """Change one thing after the other, so many a second, and tell how many messages that were and how long it took."""
    change = POPULATIONS[population][1]
    # No storm begins where the one before it ended.
    first, sent, began = int(time.time()), 0, time.perf_counter()
    async with connect(url) as client:
        while (elapsed := time.perf_counter() - began) < seconds:
            while sent < elapsed * rate:
                await client.publish(*change(sent % count, first + sent // count))
                sent += 1
            await asyncio.sleep(_TICK)
    _say({"messages": sent, "seconds": time.perf_counter() - began})


def _say(told: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Be one of the processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.population", description=__doc__.partition("\n")[0])
    parser.add_argument("way", choices=("obey", "hear", "storm"))
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=0, help="things, or messages to be heard")
    parser.add_argument("--live", action="store_true", help="hear nothing of what is retained")
    parser.add_argument("--population", choices=POPULATIONS, default="discovered")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    match asked.way:
        case "obey":
            asyncio.run(_obey(asked.url))
        case "hear":
            asyncio.run(_hear(asked.url, asked.count, live=asked.live))
        case _:
            asyncio.run(_storm(asked.url, asked.count, asked.population, asked.rate, asked.seconds))


if __name__ == "__main__":
    main()
