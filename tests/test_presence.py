"""sshhome in Home Assistant: a device with sensors and an event, through a real broker, in a real Home Assistant."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from sshhome.backend import NEWS, News
from sshhome.backends.mqtt import MqttBackend
from sshhome.clock import Clock
from sshhome.convention import Message
from sshhome.errors import SiteError
from sshhome.presence import Presence
from tests.backends.contract import Reports
from tests.client import until
from tests.servers.home_assistant import HomeAssistant, home_assistant
from tests.servers.mosquitto import Mosquitto, mosquitto


def test_what_is_published() -> None:
    """How things stand and what happened have a topic each below ours."""
    presence = Presence("sshhome/house", "homeassistant", NEWS)
    assert presence.tell(News("ban.set", {"source": "10.0.0.1"})) == Message(
        "sshhome/house/event", b'{"event_type":"ban.set","source":"10.0.0.1"}'
    )
    assert presence.tell(News(standing={"sessions": 1})) == Message("sshhome/house/state", b'{"sessions":1}')
    assert not presence.wants(News("order.done", {"user": "anna"}))
    topics = [message.topic for message in presence.introduction()]
    assert topics[0] == "homeassistant/sensor/sshhome_house/sessions/config"
    assert topics[-1] == "sshhome/house/online"


def test_text_that_is_none() -> None:
    """What no UTF-8 can say is escaped, as in the audit log, and ends no connection."""
    told = Presence("sshhome/house", "homeassistant", NEWS).tell(News("ban.set", {"evidence": "as \udcff"}))
    assert json.loads(told.payload) == {"event_type": "ban.set", "evidence": "as \udcff"}


def test_what_is_asked_for() -> None:
    """Events that are asked for have topics of their own, and those that are told anyway stay where they are."""
    presence = Presence("sshhome/house", "homeassistant", NEWS, ["order.*", "ban.*"])
    told = [News(event, {"user": "anna"}) for event in ("order.done", "ban.set", "session.opened")]
    assert [presence.wants(news) for news in told] == [True, True, False]
    assert presence.tell(told[0]) == Message(
        "sshhome/house/event/order.done", b'{"event_type":"order.done","user":"anna"}'
    )
    assert presence.tell(told[1]).topic == "sshhome/house/event"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"events": ["order.*"]}, "events are told below the topic that announce names"),
        ({"announce": "sshhome/house", "events": ["order.don"]}, "events: nothing is called 'order.don'"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, object], why: str) -> None:
    """Events without a topic, and those that there are not, are refused."""
    with pytest.raises(SiteError, match=f"^sshhome.toml: backend mqtt: {why}$"):
        MqttBackend.check({"kind": "mqtt", "url": "mqtt://localhost", **options})


@pytest.fixture
async def joined(tmp_path: Path, program: Callable[[str], str]) -> AsyncIterator[tuple[HomeAssistant, Mosquitto]]:
    """Return a Home Assistant that listens to a broker."""
    program("mosquitto")
    async with mosquitto(tmp_path / "broker") as broker, home_assistant(tmp_path / "ha") as ha:
        headers = {"Authorization": f"Bearer {ha.tokens['owner']}"}
        flows = f"{ha.url}/api/config/config_entries/flow"
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(flows, json={"handler": "mqtt"}) as begun:
                flow = (await begun.json())["flow_id"]
            line = {"broker": "127.0.0.1", "port": broker.port, "username": "device", "password": "device-pass"}
            async with session.post(f"{flows}/{flow}", json=line) as done:
                assert (await done.json())["type"] == "create_entry", await done.text()
        yield ha, broker


@pytest.mark.real
async def test_it_joins_the_ecosystem(joined: tuple[HomeAssistant, Mosquitto], tmp_path: Path) -> None:
    """Home Assistant shows how many are here and kept out and who came last, and is told what happens as it does."""
    ha, broker = joined
    options = {"kind": "mqtt", "url": broker.url(), "announce": "sshhome/house", "conventions": ["homie"]}
    backend = await MqttBackend.open(options, tmp_path, Clock(), Reports())
    try:
        await until(lambda: backend.link.up)
        at = "2026-06-02T12:00:00Z"
        backend.announce(News(standing={"sessions": 2, "bans": 1, "last_login": "anna", "last_login_at": at}))
        wanted = {"sessions": "2", "bans": "1", "last_login": "anna", "last_login_at": "2026-06-02T12:00:00+00:00"}
        for key, value in wanted.items():
            assert await becomes(ha, f"sensor.sshhome_house_{key}", value)
        assert await becomes(ha, "event.sshhome_house_door", "unknown")
        backend.announce(News("ban.set", {"source": "10.0.0.1", "rule": "5 failures in 10 min"}))
        while (door := await ha.state("event.sshhome_house_door"))["state"] == "unknown":
            await asyncio.sleep(0.05)
        assert door["attributes"]["event_type"] == "ban.set"
        assert door["attributes"]["source"] == "10.0.0.1"
    finally:
        await backend.close()
    assert await becomes(ha, "sensor.sshhome_house_sessions", "unavailable")


async def becomes(ha: HomeAssistant, entity_id: str, value: str) -> bool:
    """Wait until an entity is there and so."""
    async with asyncio.timeout(20):
        while True:
            states = {state["entity_id"]: state["state"] for state in await ha.ask("get_states")}
            if states.get(entity_id) == value:
                return True
            await asyncio.sleep(0.05)
