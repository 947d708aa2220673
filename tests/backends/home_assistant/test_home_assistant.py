"""A real Home Assistant: its demonstration house keeps the contract, and life with it goes on."""

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sshhome.backends import home_assistant as module
from sshhome.backends.home_assistant import HomeAssistantBackend
from sshhome.backends.home_assistant.instance import UNTOLD
from sshhome.backends.home_assistant.websocket import Server
from sshhome.clock import Clock
from sshhome.device import Device, State
from sshhome.errors import NotConfirmed, Refused, SiteError, Unavailable
from tests.backends.contract import BackendContract, Reports
from tests.client import PATIENCE, until
from tests.loop import advance
from tests.servers.home_assistant import HomeAssistant, home_assistant
from tests.servers.mosquitto import free_port
from tests.test_house import make_house, ways

pytestmark = pytest.mark.real

#: What a lamp that is told everything at once is told.
EVERYTHING: State = {"on": True, "brightness": 30, "hue": 120, "saturation": 90}
NOW = "2026-06-02T12:00:00Z"


class _Reports(Reports):
    """What a backend has reported, with who it said it was, and what is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.by: dict[str, list[str]] = {}
        self.lost: list[str] = []

    def changed(self, device: Device, by: str = "") -> None:
        """Take a report."""
        super().changed(device, by)
        self.by.setdefault(device.id, []).append(by)

    def gone(self, identity: str) -> None:
        """Take note of what is gone."""
        super().gone(identity)
        self.lost.append(identity)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HomeAssistant]:
    """Run one Home Assistant for all tests."""
    async with home_assistant(tmp_path_factory.mktemp("servers") / "home-assistant") as running:
        yield running


@pytest.fixture
async def ha(shared: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> HomeAssistant:
    """Return Home Assistant as it was at first, its lamps off, and a backend that tries again at once."""
    monkeypatch.setattr(module, "_FIRST", 0.05)
    monkeypatch.setattr(module, "_LONGEST", 0.1)
    monkeypatch.setattr(module, "_LOOK", 0.05)
    await shared.ready()
    await shared.restore()
    for lamp in ("light.pantry", "light.attic", "light.kitchen_lights", "switch.hasty", "input_boolean.guest_mode"):
        await shared.call("homeassistant.turn_off", lamp)
    return shared


@pytest.fixture
def reports() -> _Reports:
    """Return what takes the reports."""
    return _Reports()


def secret(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")
    return path


Open = Callable[..., AbstractAsyncContextManager[HomeAssistantBackend]]


@pytest.fixture
def behind(tmp_path: Path, reports: _Reports) -> Open:
    """Return what opens the backend as one of the users, by default as the one who may operate everything."""

    @contextlib.asynccontextmanager
    async def opened(ha: HomeAssistant, user: str = "plain", **options: Any) -> AsyncIterator[HomeAssistantBackend]:  # noqa: ANN401
        secret(tmp_path / "token", ha.tokens[user])
        wanted = {"kind": "home_assistant", "url": ha.url, "token_file": "token", "keepalive": "5s", **options}
        backend = await HomeAssistantBackend.open(wanted, tmp_path / "state", Clock(), reports)
        try:
            yield backend
        finally:
            await backend.close()

    return opened


@pytest.fixture
async def backend(ha: HomeAssistant, behind: Open) -> AsyncIterator[HomeAssistantBackend]:
    """Return the backend, connected."""
    async with behind(ha) as opened:
        await until(lambda: opened.link.up)
        yield opened


def device(backend: HomeAssistantBackend, device_id: str) -> Device:
    """Return a device as the backend knows it now."""
    (found,) = (device for device in backend.devices() if device.id == device_id)
    return found


async def apply(backend: HomeAssistantBackend, device_id: str, change: State) -> None:
    """Change a device."""
    await backend.apply(device(backend, device_id), change)


class TestContract(BackendContract):
    """The demonstration house keeps the contract of all backends."""

    kind = HomeAssistantBackend
    lamp = "light.pantry"
    offline = "light.garden"

    @pytest.fixture
    def options(self, ha: HomeAssistant, tmp_path: Path) -> Mapping[str, Any]:
        """Return where it is, and the token of a plain user."""
        token = secret(tmp_path / "token", ha.tokens["plain"])
        return {"kind": "home_assistant", "url": ha.url, "token_file": str(token)}


# -- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        ("light.kitchen_lights", {"on": True}, {"state": "on"}),
        ("light.kitchen_lights", {"brightness": 40}, {"state": "on", "brightness": 102}),
        ("light.kitchen_lights", EVERYTHING, {"brightness": 76, "hs_color": [120, 90]}),
        ("light.kitchen_lights", {"hue": 0, "saturation": 100}, {"color_mode": "hs", "hs_color": [0, 100]}),
        ("light.kitchen_lights", {"color_temperature": 4000}, {"color_mode": "color_temp", "color_temp_kelvin": 4000}),
        ("light.office_rgbw_lights", {"hue": 32, "saturation": 90}, {"color_mode": "rgbw"}),
        ("light.bed_light", {"effect": "rainbow"}, {"effect": "rainbow"}),
        ("light.upstairs", {"on": True}, {"state": "on"}),
        ("switch.ac", {"on": True}, {"state": "on"}),
        ("switch.guest_mode", {"on": True}, {}),
        ("cover.kitchen_window", {"position": 100}, {"state": "open"}),
        ("cover.kitchen_window", {"position": 0}, {"state": "closed"}),
        ("cover.hall_window", {"position": 100}, {}),
        ("cover.hall_window", {"position": 0}, {}),
        ("cover.living_room_window", {"moving": None}, {"state": "open"}),
        ("lock.front_door", {"locked": False}, {"state": {"unlocking", "unlocked"}}),
        ("lock.kitchen_door", {"locked": True}, {"state": {"locking", "locked"}}),
        ("climate.heatpump", {"target_temperature": 21.5}, {"temperature": 21.5}),
        ("climate.heatpump", {"mode": "off"}, {"state": "off"}),
        ("climate.hvac", {"mode": "heat", "target_temperature": 19.0}, {"state": "heat", "temperature": 19.0}),
        ("climate.hvac", {"target_humidity": 50, "fan_mode": "auto_low"}, {"humidity": 50, "fan_mode": "auto_low"}),
        ("climate.ecobee", {"target_low": 20.0}, {"target_temp_low": 20.0, "target_temp_high": 24.0}),
        ("climate.ecobee", {"preset": "eco"}, {"preset_mode": "eco"}),
        ("fan.living_room_fan", {"speed": 33}, {"state": "on", "percentage": 33}),
        ("fan.living_room_fan", {"on": True, "speed": 66}, {"percentage": 66}),
        ("fan.living_room_fan", {"on": False}, {"state": "off"}),
        ("fan.preset_only_limited_fan", {"preset": "auto"}, {"preset_mode": "auto"}),
        ("humidifier.hygrostat", {"mode": "eco", "target_humidity": 40}, {"mode": "eco", "humidity": 40}),
        ("media_player.walkman", {"playback": "paused"}, {"state": "paused"}),
        ("media_player.walkman", {"volume": 30, "muted": True}, {"volume_level": 0.3, "is_volume_muted": True}),
        ("media_player.lounge_room", {"source": "youtube"}, {"source": "youtube"}),
        ("media_player.walkman", {"on": False}, {"state": "off"}),
        ("vacuum.0_ground_floor", {"activity": "cleaning"}, {"state": "cleaning"}),
        ("vacuum.0_ground_floor", {"fan_mode": "max"}, {"fan_speed": "max"}),
        ("siren.siren", {"on": False}, {"state": "off"}),
        ("number.pwm_1", {"value": 0.5}, {"state": "0.5"}),
        ("number.quiet_hours", {"value": 8.0}, {}),
        ("select.speed", {"option": "light_speed"}, {"state": "light_speed"}),
        ("select.house_mode", {"option": "holiday"}, {}),
        ("text.text", {"text": "Good morning"}, {"state": "Good morning"}),
        ("text.note", {"text": "Milk"}, {}),
        ("scene.evening", {"activated": NOW}, {}),
        ("script.all_off", {"activated": NOW}, {}),
        ("button.push", {"activated": NOW}, {}),
        ("button.doorbell", {"activated": NOW}, {}),
    ],
    ids=lambda order: f"{order[0]} {' '.join(order[1])}",
)
async def test_orders_are_echoed(
    ha: HomeAssistant,
    backend: HomeAssistantBackend,
    reports: _Reports,
    order: tuple[str, State, Mapping[str, object]],
) -> None:
    """Each order comes back as the state of its device, and is what Home Assistant itself then tells everybody."""
    device_id, change, told = order
    await apply(backend, device_id, change)
    await until(lambda: reports.echoed(device_id, change))
    if told:
        state = await ha.state(device_id)
        now = {**state["attributes"], "state": state["state"]}
        # What takes a while may be over by now.
        assert all(now[name] in (value if isinstance(value, set) else [value]) for name, value in told.items()), now
    # What is so already is not told of by itself, and is confirmed all the same.
    if not {"moving", "activated"} & change.keys() and device(backend, device_id).state.get("moving") is None:
        count = len(reports.all)
        await apply(backend, device_id, change)
        await until(lambda: any(one.id == device_id and one.echoes(change) for one in reports.all[count:]))


async def test_a_panel_wants_its_code(ha: HomeAssistant, behind: Open, tmp_path: Path, reports: _Reports) -> None:
    """Without the code a panel refuses in its own words, with it it is armed; nobody is told the code."""
    async with behind(ha) as backend:
        await until(lambda: backend.link.up)
        with pytest.raises(Refused, match="Invalid alarm code provided"):
            await apply(backend, "alarm_control_panel.security", {"armed": "home"})
    secret(tmp_path / "code", "1234")
    async with behind(ha, code_file="code") as backend:
        await until(lambda: backend.link.up)
        await apply(backend, "alarm_control_panel.security", {"armed": "home"})
        await until(lambda: reports.last["alarm_control_panel.security"].state["phase"] == "arming")
        assert reports.last["alarm_control_panel.security"].state["armed"] is None
        await until(lambda: reports.echoed("alarm_control_panel.security", {"armed": "home"}))
        await apply(backend, "alarm_control_panel.security", {"armed": "disarmed"})
        await until(lambda: reports.echoed("alarm_control_panel.security", {"armed": "disarmed"}))


@pytest.mark.parametrize(
    ("device_id", "change", "words"),
    [
        ("number.pwm_1", {"value": 5.0}, "Value 5.0 for number.pwm_1 is outside valid range"),
        ("text.text_with_only_lower_case_characters", {"text": "ABC"}, "doesn't match pattern"),
        ("select.speed", {"option": "warp"}, "warp is not valid|not valid"),
        ("cover.kitchen_window", {"position": 30}, "it opens or closes"),
        ("cover.garage_door", {"moving": None}, "cannot be stopped"),
        ("media_player.browse", {"on": False}, "cannot be switched off"),
        ("vacuum.4_fourth_floor", {"activity": "docked"}, "cannot go home"),
        ("switch.ac", {"brightness": 3}, "brightness of switch.ac cannot be set"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    backend: HomeAssistantBackend, device_id: str, change: State, words: str
) -> None:
    """What a device cannot do is refused: by Home Assistant in its own words, or by us where it would say nothing."""
    with pytest.raises(Refused, match=words):
        await apply(backend, device_id, change)


async def test_a_robot_goes_home(backend: HomeAssistantBackend, reports: _Reports) -> None:
    """A robot starts, pauses, and tells that it is on its way home until it is there."""
    for wanted in ("cleaning", "paused"):
        await apply(backend, "vacuum.1_first_floor", {"activity": wanted})
        await until(functools.partial(reports.echoed, "vacuum.1_first_floor", {"activity": wanted}))
    await apply(backend, "vacuum.1_first_floor", {"activity": "docked"})
    await until(lambda: reports.last["vacuum.1_first_floor"].state["doing"] == "returning")
    assert reports.last["vacuum.1_first_floor"].state["activity"] is None


async def test_what_is_not_there_is_unavailable(backend: HomeAssistantBackend) -> None:
    """Home Assistant says that an order to nobody was done; here it is unavailable."""
    nobody = Device(id="light.nobody", name="Nobody", identity="light.nobody")
    with pytest.raises(Unavailable, match=r"light\.nobody is unavailable"):
        await backend.apply(nobody, {"on": True})


async def test_who_may_only_look(ha: HomeAssistant, behind: Open) -> None:
    """With the token of somebody who may only look everything is there, and orders are refused in so many words."""
    async with behind(ha, "reader") as backend:
        await until(lambda: backend.link.up)
        with pytest.raises(Refused, match="Unauthorized") as raised:
            await apply(backend, "light.kitchen_lights", {"on": True})
        assert "token" in raised.value.hint
        assert (await ha.state("light.kitchen_lights"))["state"] == "off"


async def test_an_error_after_the_echo(backend: HomeAssistantBackend, reports: _Reports) -> None:
    """What fails after its echo is reported as refused, though the order has been answered."""
    await apply(backend, "switch.hasty", {"on": True})
    assert reports.echoed("switch.hasty", {"on": True})
    await until(lambda: reports.refusals)
    ((identity, words),) = reports.refusals
    assert identity == device(backend, "switch.hasty").identity
    assert "outside valid range" in words


async def test_a_script_that_runs_already(
    ha: HomeAssistant, backend: HomeAssistantBackend, reports: _Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that is told to run while it does is not confirmed: Home Assistant never answers, nor runs it again."""
    monkeypatch.setattr(module, "_ORDER", 0.2)
    await ha.call("script.turn_off", "script.long")
    await apply(backend, "script.long", {"activated": NOW})
    assert reports.echoed("script.long", {"activated": NOW})
    later = {"activated": "2026-06-02T12:00:01Z"}
    await apply(backend, "script.long", later)
    assert not reports.echoed("script.long", later)
    await ha.call("script.turn_off", "script.long")


async def test_who_changed_it(ha: HomeAssistant, behind: Open, reports: _Reports) -> None:
    """What others change is told with their name where the token may know it, what we change with none."""
    async with behind(ha, "owner") as backend:
        await until(lambda: backend.link.up)
        await apply(backend, "light.kitchen_lights", {"on": True})
        assert set(reports.by["light.kitchen_lights"]) == {""}
        await ha.call("light.turn_off", "light.kitchen_lights")
        await until(lambda: reports.by["light.kitchen_lights"][-1] == "Olga Owner in Home Assistant")
        await ha.call("switch.turn_off", "switch.decorative_lights")
        await ha.call("input_boolean.turn_on", "input_boolean.guest_mode")
        await until(lambda: reports.by["switch.decorative_lights"][-1] == "an automation or script of Home Assistant")
    async with behind(ha, "plain") as backend:
        await until(lambda: backend.link.up)
        await ha.call("light.turn_on", "light.kitchen_lights")
        await until(lambda: reports.by["light.kitchen_lights"][-1] == "a user of Home Assistant")


async def test_confirmed_through_the_house(ha: HomeAssistant, tmp_path: Path) -> None:
    """An order through the house ends with the device as Home Assistant tells it, one that nobody follows does not."""
    token = secret(tmp_path / "token", ha.tokens["plain"])
    options = {"kind": "home_assistant", "url": ha.url, "token_file": str(token)}
    async with make_house(tmp_path) as house:
        await house.add("ha", *ways(HomeAssistantBackend, options, tmp_path / "state", Clock()))
        await until(lambda: house.links["ha"].up)
        lamp = await house.change("light.kitchen_lights", {"brightness": 40})
        assert (lamp.state["on"], lamp.state["brightness"]) == (True, 40)
        assert (await house.change("light.kitchen_lights", {"brightness": 40})).state["brightness"] == 40
        assert (await house.change("lock.front_door", {"locked": False})).state["locked"] in {True, False}
        # The whole of a change is sent in time, also to what does not answer its first part.
        fan = await house.change("fan.slow", {"speed": 40, "preset": "breeze"})
        assert (fan.state["speed"], fan.state["preset"]) == (40, "breeze")
        script = house.devices["script.let_in"]
        assert dict(script.members) == {"lock.front_door": {}}
        house.confirm_within = 0.2
        with pytest.raises(NotConfirmed):
            await house.change("fan.ceiling_fan", {"speed": 50, "on": False})


async def test_history(ha: HomeAssistant, backend: HomeAssistantBackend) -> None:
    """How a lamp was is told as it is told now, colour and all."""
    began = time.time()
    await apply(backend, "light.kitchen_lights", EVERYTHING)
    await apply(backend, "light.kitchen_lights", {"on": False})
    lamp = device(backend, "light.kitchen_lights")
    kept: list[State] = []
    async with asyncio.timeout(PATIENCE):
        # It writes down once a second.
        while not any({**state, **EVERYTHING} == state for state in kept) or kept[-1]["on"] is not False:
            await asyncio.sleep(0.05)
            kept = [state for _, state in await backend.history(lamp, began, time.time())]
    assert all(state.keys() == lamp.state.keys() for state in kept)


# -- what there is ----------------------------------------------------------------------------------------------------


async def test_every_entity_is_a_device(ha: HomeAssistant, backend: HomeAssistantBackend) -> None:
    """Every entity of a kind that the house knows is there by its own id, and none of its own making."""
    states = [state["entity_id"] for state in await ha.ask("get_states")]
    registry = {entry["entity_id"]: entry for entry in await ha.ask("config/entity_registry/list")}
    kinds = {device.kind for device in backend.devices()}
    helpers = {"input_boolean": "switch", "input_number": "number", "input_select": "select", "input_text": "text"}
    expected = set()
    for entity_id in states:
        domain, _, name = entity_id.partition(".")
        kind = {**helpers, "input_button": "button"}.get(domain, domain)
        if kind in kinds and registry.get(entity_id, {}).get("entity_category") is None:
            expected.add(f"{kind}.{name}")
    assert {device.id for device in backend.devices()} == expected
    assert kinds >= {"light", "lock", "cover", "climate", "alarm_control_panel", "sensor", "event", "weather", "person"}


async def test_what_scenes_scripts_and_groups_touch(backend: HomeAssistantBackend) -> None:
    """Members are told by identity; of a script whose services are only found out as it runs, that nobody knows."""
    identities = {one.identity: one.id for one in backend.devices()}

    def members(device_id: str) -> set[str]:
        return {identities.get(one, one) for one in device(backend, device_id).members}

    assert members("scene.evening") == {"light.kitchen_lights", "cover.hall_window"}
    assert members("script.let_in") == {"lock.front_door"}
    assert members("script.all_off") == {one.id for one in backend.devices() if one.kind == "light"}
    assert members("script.long") == set()
    assert members("script.what") == {UNTOLD}
    assert device(backend, "script.what").note == "what it touches is not known"
    assert [identities[one] for one in device(backend, "light.upstairs").group] == ["light.pantry", "light.attic"]


async def test_rooms_names_and_hiding(ha: HomeAssistant, backend: HomeAssistantBackend, reports: _Reports) -> None:
    """What its owner changes in Home Assistant is heard of at once: rooms, names, and what is hidden."""
    lamp = device(backend, "light.ceiling_lights")
    registry = {entry["entity_id"]: entry for entry in await ha.ask("config/entity_registry/list")}
    thing = registry["light.ceiling_lights"]["device_id"]
    update = functools.partial(ha.ask, "config/entity_registry/update", entity_id="light.ceiling_lights")
    area = await ha.ask("config/area_registry/create", name=f"Küche {time.time_ns()}")
    try:
        await ha.ask("config/device_registry/update", device_id=thing, area_id=area["area_id"])
        await until(lambda: reports.last["light.ceiling_lights"].room.startswith("kuche_"))
        await update(area_id="bedroom", name="Big lamp")
        await until(lambda: reports.last["light.ceiling_lights"].room == "bedroom")
        await until(lambda: reports.last["light.ceiling_lights"].name == "Big lamp")
        await update(hidden_by="user")
        await until(lambda: lamp.identity in reports.lost)
        assert "light.ceiling_lights" not in {one.id for one in backend.devices()}
        with pytest.raises(Unavailable):
            await backend.apply(lamp, {"on": True})
    finally:
        await update(area_id=None, name=None, hidden_by=None)
        await ha.ask("config/device_registry/update", device_id=thing, area_id=None)
        await ha.ask("config/area_registry/delete", area_id=area["area_id"])
    await until(lambda: "light.ceiling_lights" in reports.last and not reports.last["light.ceiling_lights"].room)


async def test_a_new_entity_id_is_the_same_device(
    ha: HomeAssistant, backend: HomeAssistantBackend, reports: _Reports
) -> None:
    """A lamp whose entity id changes is still itself: it is never gone, and takes orders by its new name."""
    before = device(backend, "light.bed_light")
    update = functools.partial(ha.ask, "config/entity_registry/update")
    await update(entity_id="light.bed_light", new_entity_id="light.guest_bed")
    try:
        await until(lambda: "light.guest_bed" in reports.last)
        assert reports.last["light.guest_bed"].identity == before.identity
        # By the id that the house knows it by.
        await backend.apply(before, {"on": True})
        await until(lambda: reports.echoed("light.guest_bed", {"on": True}))
        assert not reports.lost
        assert len([one for one in backend.devices() if one.identity == before.identity]) == 1
    finally:
        await update(entity_id="light.guest_bed", new_entity_id="light.bed_light")


async def test_fahrenheit(ha: HomeAssistant, behind: Open, reports: _Reports) -> None:
    """Where Home Assistant reckons in °F, orders and states are in °C all the same."""
    try:
        await ha.reckon_in("us_customary")
        assert (await ha.state("climate.heatpump"))["attributes"]["max_temp"] == 95
        async with behind(ha) as backend:
            await until(lambda: backend.link.up)
            await apply(backend, "climate.heatpump", {"target_temperature": 20.0})
            await until(lambda: reports.echoed("climate.heatpump", {"target_temperature": 20.0}))
            assert (await ha.state("climate.heatpump"))["attributes"]["temperature"] == 68
            heating = device(backend, "climate.heatpump")
            target = heating.attributes["target_temperature"]
            # Home Assistant rounds: 45 to 95 °F.
            assert (target.low, target.high, target.unit) == (7.22, 35.0, "°C")
            assert heating.state["temperature"] == 25.0
            assert (await ha.state("weather.demo_weather_south"))["attributes"]["temperature_unit"] == "°F"
            assert device(backend, "weather.demo_weather_south").state["temperature"] == pytest.approx(21.6, abs=0.3)
    finally:
        await ha.reckon_in("metric")


# -- life with it -----------------------------------------------------------------------------------------------------


async def test_it_is_down_at_start(ha: HomeAssistant, behind: Open) -> None:
    """Without Home Assistant the backend says what is wrong and goes on trying; once there is one, so are devices."""
    await ha.stop()
    async with behind(ha) as backend:
        await until(lambda: "connect call failed" in backend.link.says or "refused" in backend.link.says)
        assert not backend.link.up
        assert "; the next try is in " in backend.link.says
        assert not backend.devices()
        await ha.start()
        await until(lambda: backend.link.up)
        await until(lambda: "light.pantry" in {one.id for one in backend.devices()})


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_it_ends_and_comes_back(ha: HomeAssistant, behind: Open, reports: _Reports, how: str) -> None:
    """When it ends everything is unavailable at once; when it is back so is everything, and nothing was ever gone."""
    async with behind(ha) as backend:
        await until(lambda: backend.link.up)
        await apply(backend, "light.kitchen_lights", {"on": True})
        before = {one.identity: one for one in backend.devices()}
        lamp = device(backend, "light.kitchen_lights")
        await getattr(ha, how)()
        await until(lambda: not backend.link.up)
        assert not any(one.available for one in backend.devices())
        assert not any(one.available for one in reports.last.values())
        with pytest.raises(Unavailable, match=r"light\.kitchen_lights is unavailable") as raised:
            await backend.apply(lamp, {"on": False})
        assert "the next try is in" in raised.value.hint
        # What is known of it is not forgotten meanwhile.
        assert reports.last["light.kitchen_lights"].state["on"] is True
        # It lets us in long before it knows all of its own devices.
        ha.hold.touch()
        ha.spawn()
        await until(lambda: "is starting" in backend.link.says)
        ha.hold.unlink()
        await until(lambda: backend.link.up and "is starting" not in backend.link.says)
        await until(lambda: all(one.available or one.id == "light.garden" for one in backend.devices()))
        assert not reports.lost
        assert {one.identity for one in backend.devices()} == before.keys()
        # The order that could not be sent was not sent later.
        await apply(backend, "light.kitchen_lights", {"brightness": 40})
        await until(lambda: reports.echoed("light.kitchen_lights", {"brightness": 40}))


async def test_it_freezes(ha: HomeAssistant, behind: Open, reports: _Reports) -> None:
    """One that says nothing more, though the connection is open, is noticed by its keepalive; an order ends in time."""
    async with behind(ha, keepalive="1s") as backend:
        await until(lambda: backend.link.up)
        lamp = device(backend, "light.kitchen_lights")
        ha.freeze()
        try:
            with pytest.raises(NotConfirmed, match=r"sent to light\.kitchen_lights, not confirmed"):
                await backend.apply(lamp, {"on": True})
            await until(lambda: not backend.link.up)
            assert "does not answer" in backend.link.says
            assert not reports.last["light.kitchen_lights"].available
        finally:
            ha.thaw()
        await until(lambda: backend.link.up and reports.last["light.kitchen_lights"].available)


async def test_a_wrong_token_is_shown_once(
    ha: HomeAssistant,
    behind: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that is not taken is shown once; the backend says that it needs another, and takes that from the file."""
    looks = 0
    look = Server.has_new_token

    def counted(server: Server) -> bool:
        nonlocal looks
        looks += 1
        return look(server)

    monkeypatch.setattr(Server, "has_new_token", counted)
    wrong = ha.tokens["plain"][:-4] + "AAAA"
    rejected = "Login attempt or request with invalid authentication"
    before = ha.log.count(rejected)
    async with behind(ha) as backend:
        await until(lambda: backend.link.up)
    with caplog.at_level(logging.INFO):
        ha.tokens["wrong"] = wrong
        async with behind(ha, "wrong") as backend:
            await until(lambda: "it needs a new token" in backend.link.says)
            assert "Invalid access token" in backend.link.says
            await until(lambda: looks > 5)
            await until(lambda: ha.log.count(rejected) > before)
            assert ha.log.count(rejected) == before + 1
            # One that others can read is not taken either.
            (tmp_path / "token").chmod(0o644)
            await until(lambda: "can be read by others" in backend.link.says)
            secret(tmp_path / "token", ha.tokens["plain"]).chmod(0o600)
            await until(lambda: backend.link.up)
            assert ha.log.count(rejected) == before + 1
    assert wrong not in caplog.text
    assert ha.tokens["plain"] not in caplog.text


async def test_a_token_that_is_withdrawn(ha: HomeAssistant, behind: Open, tmp_path: Path) -> None:
    """When its token is withdrawn while it is connected, the backend needs another."""
    ha.tokens["withdrawn"] = await ha.new_token()
    tokens = await ha.ask("auth/refresh_tokens")
    newest = max(tokens, key=lambda token: token["created_at"])
    async with behind(ha, "withdrawn") as backend:
        await until(lambda: backend.link.up)
        await ha.ask("auth/delete_refresh_token", refresh_token_id=newest["id"])
        await until(lambda: "it needs a new token" in backend.link.says)
        secret(tmp_path / "token", ha.tokens["owner"])
        await until(lambda: backend.link.up)


async def test_nobody_is_hammered(tmp_path: Path, behind: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens the next try is ever later, up to a minute."""
    monkeypatch.setattr(random, "uniform", min)
    nobody = HomeAssistant(tmp_path, free_port(), {"plain": "a-token"})
    async with behind(nobody) as backend:
        for pause in ("1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "1 min", "1 min"):
            await until(functools.partial(waits, backend, pause))
            advance(60)


def waits(backend: HomeAssistantBackend, pause: str) -> bool:
    """Return whether a backend says how long it waits until it tries again."""
    return backend.link.says.endswith(f"; the next try is in {pause}")


async def test_trying_it_out(ha: HomeAssistant, tmp_path: Path) -> None:
    """A try says in one line what is there, or what is wrong."""
    token = secret(tmp_path / "token", ha.tokens["plain"])
    options = {"kind": "home_assistant", "url": ha.url, "token_file": str(token)}
    said = await HomeAssistantBackend.test(options)
    assert said.startswith(f"127.0.0.1:{ha.port}: Home Assistant 2024.3.3, ")
    assert said.endswith(" devices")
    for wrong, words in (
        ({"url": f"http://127.0.0.1:{free_port()}"}, "connect"),
        ({"url": f"{ha.url}/nosuch"}, "there is no Home Assistant: it answers 404"),
        ({"url": f"https://127.0.0.1:{ha.port}"}, "ssl|tls|version"),
        ({"token_file": str(secret(tmp_path / "wrong", "nonsense"))}, "it needs a new token: Invalid access token"),
    ):
        with pytest.raises(SiteError, match=f"(?i){words}") as raised:
            await HomeAssistantBackend.test({**options, **wrong})
        assert "\n" not in raised.value.message
