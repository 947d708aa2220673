"""Zigbee2MQTT's convention: what follows from its messages, and what is said to it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from sshhome.convention import NOTHING, Heard
from sshhome.conventions.zigbee2mqtt import Zigbee2MQTT
from sshhome.device import ATTRIBUTES, Device, State
from sshhome.errors import Refused

SAMPLES = [
    json.loads(line) for line in (Path(__file__).parents[2] / "samples" / "devices.jsonl").read_text().splitlines()
]
BULB, OUTLET = "0x00124b00aabbcc01", "0x00124b00aabbcc02"
SWITCH: Mapping[str, Any] = {
    "type": "switch",
    "features": [
        {"type": "binary", "name": "state", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF"}
    ],
}
#: What the samples say of the state, in the house's words.
STATES: Mapping[str, State] = {
    "z2m-hall_bulb": {"on": True, "brightness": 50, "color_temperature": 4000, "hue": None, "saturation": None},
    "z2m-blind": {"position": 30, "moving": None, "battery": None},
    "z2m-front_lock": {"locked": False, "jammed": False, "battery": None},
    "z2m-radiator": {"target_temperature": 21.5, "temperature": 20.1, "mode": "heat", "heating": False},
    "z2m-climate_sensor": {"temperature": 22.51, "humidity": 48, "pressure": 1013.1, "battery": None},
    "z2m-outlet": {"on": False},
    "z2m-door_contact": {"open": False, "battery": None},
    "z2m-motion": {"motion": True, "illuminance": 12.0, "temperature": 19.5},
}
#: What the words of the samples' orders change.
CHANGES: Mapping[str, State] = {
    "light hall_bulb 40%": {"brightness": 40},
    "light hall_bulb color red": {"hue": 0, "saturation": 100},
    "cover blind 30": {"position": 30},
    "cover blind open": {"position": 100},
    "lock front_lock": {"locked": True},
    "set radiator 21.5": {"target_temperature": 21.5},
    "switch outlet on": {"on": True},
}
#: The kinds of what the samples expose.
KINDS = {
    "exposes-fan": ["fan"],
    "exposes-two-gang": ["switch", "switch"],
    "exposes-remote-action": ["event"],
    "exposes-cover-tilt": ["cover"],
    "exposes-siren-composite": ["siren"],
}


def sample(name: str) -> Mapping[str, Any]:
    """Return a sample."""
    (found,) = (one for one in SAMPLES if one["id"] == name)
    assert isinstance(found, dict)
    return found


def entry(name: str, *exposes: Mapping[str, Any], ieee: str = OUTLET, **more: object) -> Mapping[str, Any]:
    """Return a device as the bridge lists it."""
    listed = {"ieee_address": ieee, "friendly_name": name, "type": "Router", "disabled": False}
    return {**listed, "interview_completed": True, "definition": {"exposes": exposes or [SWITCH]}, **more}


def whole(heard: Heard) -> Heard:
    """Return everything that follows from a message at once."""
    if heard is NOTHING:
        return heard
    parts = list(heard.parts)
    return Heard(
        changed=[device for part in parts for device in part.changed],
        gone=[identity for part in parts for identity in part.gone],
        refused=[refusal for part in parts for refusal in part.refused],
        listen=[topic for part in parts for topic in part.listen],
        leave=[topic for part in parts for topic in part.leave],
        ask=[message for part in parts for message in part.ask],
    )


class Bridge:
    """A bridge, as the convention hears it."""

    def __init__(self, *entries: Mapping[str, Any], **options: str) -> None:
        """Begin with devices that are listed."""
        self.convention = Zigbee2MQTT(options)
        self.devices: dict[str, Device] = {}
        self.base = options.get("zigbee2mqtt_topic", "zigbee2mqtt")
        self.first = self.list(*entries)

    def tell(self, topic: str, payload: object, now: float = 0.0) -> Heard:
        """Let the bridge publish something; text is sent as it is."""
        data = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
        heard = whole(self.convention.hear(f"{self.base}/{topic}", data, now))
        self.devices.update({device.identity: device for device in heard.changed})
        for identity in heard.gone:
            del self.devices[identity]
        return heard

    def list(self, *entries: Mapping[str, Any]) -> Heard:
        """Let it list its devices."""
        return self.tell("bridge/devices", list(entries))

    def group(self, *members: Mapping[str, Any], **more: object) -> Heard:
        """Let it list one group."""
        return self.tell("bridge/groups", [{"id": 7, "friendly_name": "plugs", "members": members, **more}])

    def say(self, identity: str, change: State) -> Sequence[tuple[str, Any]]:
        """Return the topics and payloads that a change is said by."""
        messages = self.convention.say(self.devices[identity], change)
        return [(message.topic, json.loads(message.payload)) for message in messages]

    def log(self, message: str, level: str = "error") -> Heard:
        """Let it write a line of its log."""
        return self.tell("bridge/logging", {"level": level, "message": message, "namespace": "z2m"})


def well_formed(device: Device) -> None:
    """Check what every device promises."""
    kind, dot, slug = device.id.partition(".")
    assert (kind, dot) == (device.kind, ".")
    assert slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert 0 < len(device.name) <= 64
    assert set(device.state) == set(device.attributes)
    for name, attribute in device.attributes.items():
        value = device.state[name]
        assert (attribute.name, attribute.type) == (name, ATTRIBUTES[name].type)
        assert attribute.unit == ATTRIBUTES[name].unit or name == "value"
        if value is not None and attribute.type in {int, float}:
            assert type(value) is attribute.type or (attribute.type, type(value)) == (float, int)
            assert isinstance(value, int | float)
            assert attribute.low <= value <= attribute.high
        elif value is not None:
            assert type(value) is attribute.type
            assert not attribute.options or value in attribute.options


@pytest.mark.parametrize("name", STATES)
def test_a_captured_device_is_as_it_was_captured(name: str) -> None:
    """The devices that a real bridge listed are there, with the states it told of them and the orders they took."""
    captured = sample(name)
    bridge = Bridge(*captured["payload"])
    (device,) = bridge.devices.values()
    assert device.identity == captured["payload"][0]["ieee_address"]
    assert device.hardware == device.identity.removeprefix("0x")
    assert device.available
    assert set(device.state.values()) == {None}
    well_formed(device)
    for topic, payload in captured["state"]:
        assert bridge.tell(topic.removeprefix("zigbee2mqtt/"), payload).changed
    device = bridge.devices[device.identity]
    assert {key: device.state[key] for key in STATES[name]} == STATES[name]
    well_formed(device)
    for words, topic, payload in captured["orders"]:
        assert bridge.say(device.identity, CHANGES[words]) == [(topic, payload)]


@pytest.mark.parametrize("name", KINDS)
def test_exposed_things_are_of_their_kind(name: str) -> None:
    """What the converters expose becomes devices of the kinds it is, one for each gang."""
    bridge = Bridge(entry("kitchen/thing", *sample(name)["payload"]["exposes"]))
    assert [device.kind for device in bridge.devices.values()] == KINDS[name]
    for device in bridge.devices.values():
        assert device.room == "kitchen"
        well_formed(device)


def test_ids_and_names_are_for_people() -> None:
    """A name's first part is the room, the id has all of it, and each gang of a panel has its own."""
    bridge = Bridge(entry("kitchen/wall_panel", *sample("exposes-two-gang")["payload"]["exposes"]))
    assert [(device.identity, device.id, device.name) for device in bridge.devices.values()] == [
        (f"{OUTLET}/1", "switch.kitchen_wall_panel_1", "Wall panel 1"),
        (f"{OUTLET}/2", "switch.kitchen_wall_panel_2", "Wall panel 2"),
    ]
    bridge.tell("kitchen/wall_panel", {"state_1": "ON", "state_2": "OFF", "power_1": 12.3, "power_2": 0})
    assert [(one.state["on"], one.state["power"]) for one in bridge.devices.values()] == [(True, 12.3), (False, 0)]
    assert bridge.say(f"{OUTLET}/2", {"on": True}) == [("zigbee2mqtt/kitchen/wall_panel/set", {"state_2": "ON"})]


def test_what_is_listened_to_follows_the_names() -> None:
    """States are listened to once devices are known, those of a room while there is a device in it."""
    bridge = Bridge(entry("outlet"))
    assert bridge.first.listen == ["zigbee2mqtt/+", "zigbee2mqtt/+/availability"]
    assert bridge.list(entry("kitchen/outlet")).listen == ["zigbee2mqtt/kitchen/#"]
    assert bridge.list(entry("outlet")).leave == ["zigbee2mqtt/kitchen/#"]
    assert bridge.list().leave == ["zigbee2mqtt/+", "zigbee2mqtt/+/availability"]


def test_another_base_topic() -> None:
    """The base topic is the option's, and what is told under another is nobody's."""
    bridge = Bridge(entry("outlet"), zigbee2mqtt_topic="home/zigbee")
    assert "home/zigbee/bridge/devices" in bridge.convention.topics
    assert bridge.say(OUTLET, {"on": True}) == [("home/zigbee/outlet/set", {"state": "ON"})]
    assert bridge.convention.hear("zigbee2mqtt/outlet", b'{"state": "ON"}', 0) is NOTHING


def test_a_rename_keeps_identity_state_and_availability() -> None:
    """A device that is renamed is what it was, under the topics of its new name alone."""
    bridge = Bridge(entry("outlet"))
    bridge.tell("outlet", {"state": "ON"})
    bridge.tell("outlet/availability", {"state": "offline"})
    (renamed,) = bridge.list(entry("kitchen/coffee")).changed
    assert (renamed.identity, renamed.name, renamed.room) == (OUTLET, "Coffee", "kitchen")
    assert (renamed.state["on"], renamed.available) == (True, False)
    assert bridge.tell("outlet", {"state": "OFF"}) is NOTHING
    assert bridge.tell("kitchen/coffee", {"state": "OFF"}).changed[0].state["on"] is False
    assert bridge.say(OUTLET, {"on": True}) == [("zigbee2mqtt/kitchen/coffee/set", {"state": "ON"})]


def test_names_are_never_split() -> None:
    """Of names that begin alike, each hears its own, and a device may be called as a topic of another is."""
    lamp, shade = entry("lamp"), entry("lamp/availability", ieee=BULB)
    bridge = Bridge(lamp, shade)
    assert [one.identity for one in bridge.tell("lamp", {"state": "ON"}).changed] == [OUTLET]
    assert [one.identity for one in bridge.tell("lamp/availability", {"state": "ON"}).changed] == [BULB]
    assert bridge.tell("lamp/set", {"state": "ON"}) is NOTHING


def test_what_is_not_listed_any_more_is_gone() -> None:
    """A device that is removed is gone, and so are its other parts; one that changed its parts has those it has."""
    bridge = Bridge(entry("panel", *sample("exposes-two-gang")["payload"]["exposes"]), entry("lamp", ieee=BULB))
    heard = bridge.list(entry("panel"), entry("lamp", ieee=BULB))
    assert heard.gone == [f"{OUTLET}/1", f"{OUTLET}/2"]
    assert [device.identity for device in heard.changed] == [OUTLET]
    assert bridge.list(entry("lamp", ieee=BULB)).gone == [OUTLET]
    assert set(bridge.devices) == {BULB}


def test_a_list_tells_what_changed_alone() -> None:
    """A list that comes again says nothing of what is as it was."""
    bridge = Bridge(entry("outlet"), entry("lamp", ieee=BULB))
    assert bridge.list(entry("outlet"), entry("lamp", ieee=BULB)) == NOTHING
    heard = bridge.list(entry("outlet"), entry("lamp", ieee=BULB), entry("more", ieee="0x00124b00aabbcc03"))
    assert [device.id for device in heard.changed] == ["switch.more"]


@pytest.mark.parametrize(("online", "offline"), [({"state": "online"}, {"state": "offline"}), ("online", "offline")])
def test_availability_is_told_by_device_and_bridge(online: object, offline: object) -> None:
    """A device is available while neither it nor the bridge is offline, told as JSON or as older versions do."""
    bridge = Bridge(entry("outlet"))
    assert bridge.devices[OUTLET].available
    bridge.tell("outlet/availability", offline)
    assert not bridge.devices[OUTLET].available
    bridge.tell("bridge/state", offline)
    bridge.tell("outlet/availability", online)
    assert not bridge.devices[OUTLET].available
    bridge.tell("bridge/state", online)
    assert bridge.devices[OUTLET].available
    assert bridge.tell("bridge/state", online) is NOTHING
    bridge.tell("outlet/availability", offline)
    bridge.tell("outlet/availability", "")
    assert bridge.devices[OUTLET].available


def test_availability_may_come_first() -> None:
    """What is told of a device before the device itself is listed counts."""
    bridge = Bridge()
    bridge.tell("outlet/availability", {"state": "offline"})
    bridge.list(entry("outlet"))
    assert not bridge.devices[OUTLET].available


def test_what_cannot_be_operated_says_why() -> None:
    """A device that is disabled or not supported is unavailable and says so; one that is interviewed is not there."""
    unsupported = {**entry("odd", ieee=BULB), "definition": None, "supported": False}
    bridge = Bridge(entry("outlet", disabled=True), unsupported)
    assert (bridge.devices[OUTLET].available, bridge.devices[OUTLET].note) == (False, "disabled in Zigbee2MQTT")
    assert (bridge.devices[BULB].available, bridge.devices[BULB].note) == (False, "not supported by Zigbee2MQTT")
    with pytest.raises(Refused, match="Odd: not supported by Zigbee2MQTT"):
        bridge.say(BULB, {"on": True})
    coordinator = {"ieee_address": BULB, "friendly_name": "Coordinator", "type": "Coordinator"}
    interviewed = {**entry("outlet"), "definition": None, "interview_completed": False}
    assert set(Bridge(coordinator, interviewed).devices) == set()


def test_what_nobody_knows_is_none() -> None:
    """A null is a value that is not known; what a message does not speak of is as it was."""
    bridge = Bridge(*sample("z2m-hall_bulb")["payload"])
    bridge.tell("hall_bulb", {"state": "ON", "brightness": 254})
    bridge.tell("hall_bulb", {"brightness": None})
    assert (bridge.devices[BULB].state["on"], bridge.devices[BULB].state["brightness"]) == (True, None)


def test_an_order_of_several_values_is_one_message() -> None:
    """What is wanted together is said together, and what is None is left alone."""
    bridge = Bridge(*sample("z2m-hall_bulb")["payload"])
    wanted = {"on": True, "brightness": 40, "hue": None, "saturation": None, "color_temperature": 2700}
    assert bridge.say(BULB, wanted) == [
        ("zigbee2mqtt/hall_bulb/set", {"state": "ON", "brightness": 102, "color_temp": 370})
    ]
    assert bridge.say(BULB, {"hue": None}) == []
    with pytest.raises(Refused):
        bridge.say(BULB, {"locked": True})


def test_the_echo_is_what_was_said() -> None:
    """What a lamp takes as near as it can comes back as it was wanted, until it is something else."""
    bridge = Bridge(*sample("z2m-hall_bulb")["payload"])
    bridge.say(BULB, {"color_temperature": 2700})
    bridge.tell("hall_bulb", {"state": "ON", "color_mode": "color_temp", "color_temp": 370})
    assert bridge.devices[BULB].state["color_temperature"] == 2700
    bridge.tell("hall_bulb", {"color_temp": 371})
    assert bridge.devices[BULB].state["color_temperature"] == 2695
    bridge.say(BULB, {"hue": 211, "saturation": 60})
    bridge.tell("hall_bulb", {"color_mode": "hs", "color": {"hue": 210, "saturation": 61}})
    state = bridge.devices[BULB].state
    assert (state["hue"], state["saturation"], state["color_temperature"]) == (211, 60, None)


def test_a_button_is_pressed_twice() -> None:
    """An event stays until the next one; the same again is told as another one."""
    bridge = Bridge(entry("button", *sample("exposes-remote-action")["payload"]["exposes"]))
    assert [one.state["event"] for one in bridge.tell("button", {"action": "single"}).changed] == ["single"]
    assert [one.state["event"] for one in bridge.tell("button", {"battery": 90}).changed] == ["single"]
    assert [one.state["event"] for one in bridge.tell("button", {"action": "single"}).changed] == [None, "single"]
    assert [one.state["event"] for one in bridge.tell("button", {"action": "hold"}).changed] == ["hold"]
    assert [one.state["event"] for one in bridge.tell("button", {"action": ""}).changed] == ["hold"]


def test_a_group_is_what_its_members_are() -> None:
    """A group has the values of its members and their identities; it obeys and tells under its own name."""
    bridge = Bridge(*sample("z2m-hall_bulb")["payload"], entry("outlet"))
    bridge.group({"ieee_address": BULB, "endpoint": 11}, {"ieee_address": OUTLET, "endpoint": 1})
    group = bridge.devices["group/7"]
    assert (group.id, group.name, group.group, group.hardware) == ("light.plugs", "Plugs", (BULB, OUTLET), "")
    assert list(group.attributes) == ["on", "brightness", "color_temperature", "hue", "saturation"]
    assert bridge.say("group/7", {"on": True}) == [("zigbee2mqtt/plugs/set", {"state": "ON"})]
    bridge.tell("plugs", {"state": "ON", "brightness": 127})
    assert bridge.devices["group/7"].state["brightness"] == 50
    bridge.tell("plugs/availability", {"state": "offline"})
    assert not bridge.devices["group/7"].available
    assert bridge.list(entry("outlet")).changed[-1].id == "switch.plugs"


def test_a_group_may_be_told_before_its_members() -> None:
    """A group is there once one of its members is, and is nothing without any."""
    bridge = Bridge()
    assert bridge.group({"ieee_address": OUTLET, "endpoint": 1}) == NOTHING
    assert set(bridge.list(entry("outlet")).changed[1].group) == {OUTLET}
    assert bridge.group().gone == ["group/7"]


def test_a_group_of_gangs_has_those_alone() -> None:
    """A member that is one gang of several is that one; of one that cannot be told, all are taken to change."""
    panel = entry("panel", *sample("exposes-two-gang")["payload"]["exposes"])
    bridge = Bridge({**panel, "endpoints": {"1": {"name": "1"}, "2": {"name": "2"}}})
    bridge.group({"ieee_address": OUTLET, "endpoint": 2})
    assert list(bridge.devices["group/7"].group) == [f"{OUTLET}/2"]
    assert bridge.say("group/7", {"on": False}) == [("zigbee2mqtt/plugs/set", {"state": "OFF"})]
    bridge.group({"ieee_address": OUTLET, "endpoint": 9})
    assert list(bridge.devices["group/7"].group) == [f"{OUTLET}/1", f"{OUTLET}/2"]


def test_a_group_of_garage_doors_guards() -> None:
    """A group of what lets people in does so itself."""
    cover = {
        "type": "cover",
        "features": [
            {"type": "enum", "name": "state", "property": "state", "access": 3, "values": ["OPEN", "CLOSE", "STOP"]}
        ],
    }
    bridge = Bridge(entry("garage_door", cover), entry("blind", cover, ieee=BULB))
    assert (bridge.devices[OUTLET].guards, bridge.devices[BULB].guards) == (True, False)
    bridge.group({"ieee_address": BULB}, {"ieee_address": OUTLET})
    assert bridge.devices["group/7"].guards


def test_scenes_are_recalled() -> None:
    """Scenes of groups and devices are scenes with what they touch, and are activated once the log says so."""
    scenes = [{"id": 3, "name": "Evening"}]
    bridge = Bridge({**entry("outlet"), "endpoints": {"1": {"scenes": [{"id": 1, "name": ""}]}}})
    bridge.group({"ieee_address": OUTLET, "endpoint": 1}, scenes=scenes)
    of_group, of_device = bridge.devices["group/7/scene/3"], bridge.devices[f"{OUTLET}/scene/1/1"]
    assert (of_group.id, of_group.name, dict(of_group.members)) == (
        "scene.plugs_evening",
        "Plugs Evening",
        {OUTLET: {}},
    )
    assert (of_device.id, of_device.name, of_device.members) == ("scene.outlet_1", "Outlet scene 1", {OUTLET: {}})
    well_formed(of_group)
    assert bridge.say("group/7/scene/3", {"activated": "now"}) == [("zigbee2mqtt/plugs/set", {"scene_recall": 3})]
    assert bridge.say(f"{OUTLET}/scene/1/1", {"activated": "then"}) == [("zigbee2mqtt/outlet/set", {"scene_recall": 1})]
    assert bridge.log("z2m: something else", "info") is NOTHING
    (activated,) = bridge.log("zhc:tz: Successfully recalled group scene", "info").changed
    assert (activated.identity, activated.state["activated"]) == ("group/7/scene/3", "now")
    unknown = f"zhc:tz: Unknown scene was recalled for {OUTLET}, can't restore state."
    (activated,) = bridge.log(unknown, "warning").changed
    assert (activated.identity, activated.state["activated"]) == (f"{OUTLET}/scene/1/1", "then")
    assert bridge.log("zhc:tz: Successfully recalled group scene", "info") is NOTHING


def test_a_scene_that_was_recalled_long_ago_was_another() -> None:
    """The log's word is not taken for a scene that was told to be recalled long before."""
    bridge = Bridge(entry("outlet"))
    bridge.group({"ieee_address": OUTLET, "endpoint": 1}, scenes=[{"id": 3, "name": "Evening"}])
    bridge.say("group/7/scene/3", {"activated": "now"})
    bridge.convention.later(60.0)
    recalled = {"level": "info", "message": "zhc:tz: Successfully recalled group scene"}
    assert bridge.tell("bridge/logging", recalled, now=60.0) is NOTHING


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "z2m: Publish 'set' 'state' to 'Anna's lamp' failed: 'Error: ZCL command 0x1/1 on() failed (It (said) no)'",
            "It (said) no",
        ),
        ("z2m: Publish 'set' 'state' to 'Anna's lamp' failed: 'Error: it is \x1b[2Jtoo hot'", "it is \\x1b[2Jtoo hot"),
        ("Publish 'set' 'state' to 'Anna's lamp' failed: 'busy'", "busy"),
        ("z2m: Entity 'Anna's lamp' is unknown", "Entity 'Anna's lamp' is unknown"),
        (
            "z2m: No converter available for 'state' on 'Anna's lamp': (\"ON\")",
            "No converter available for 'state' on 'Anna's lamp'",
        ),
        (
            "z2m: Cannot publish to unsupported device 'Anna's lamp'",
            "Cannot publish to unsupported device 'Anna's lamp'",
        ),
    ],
)
def test_what_failed_is_refused_in_its_words(line: str, words: str) -> None:
    """An error of the log about a device that was told something is that device's refusal."""
    bridge = Bridge(entry("Anna's lamp"))
    assert bridge.log(line) is NOTHING
    bridge.say(OUTLET, {"on": True})
    assert bridge.log(line).refused == [(OUTLET, words)]
    assert bridge.log(line, "info") is NOTHING
    assert bridge.log(line.replace("Anna", "Bert")) is NOTHING


def test_what_could_not_be_asked_is_no_refusal() -> None:
    """That a question failed says nothing of an order; of several parts, the one that was told last is meant."""
    bridge = Bridge(entry("panel", *sample("exposes-two-gang")["payload"]["exposes"]))
    bridge.say(f"{OUTLET}/2", {"on": True})
    assert bridge.log("z2m: Publish 'get' 'state' to 'panel' failed: 'busy'") is NOTHING
    assert bridge.log("z2m: Publish 'set' 'state' to 'panel' failed: 'busy'").refused == [(f"{OUTLET}/2", "busy")]


def test_who_is_awake_is_asked() -> None:
    """Devices that are awake and have told nothing are asked once, a few at a time, while the bridge is there."""
    awake = [entry(f"lamp_{number}", ieee=f"0x{number:016x}") for number in range(6)]
    bridge = Bridge(*awake, {**entry("asleep", ieee=BULB), "type": "EndDevice"}, entry("off", disabled=True))
    bridge.tell("bridge/state", "offline")
    assert bridge.convention.later(1.0) is NOTHING
    bridge.tell("bridge/state", "online")
    bridge.tell("lamp_1", {"state": "ON"})
    asked = [bridge.convention.later(float(second)).ask for second in range(3)]
    assert [[message.topic[-5] for message in messages] for messages in asked] == [["0", "2", "3", "4"], ["5"], []]
    assert asked[1][0].topic == "zigbee2mqtt/lamp_5/get"
    assert {message.payload for messages in asked for message in messages} == {b'{"state":""}'}


def test_what_is_not_a_device_is_ignored() -> None:
    """Of a list, what has no address, no name or a name that is no topic is left out, and the rest is there."""
    odd: list[Any] = [
        5,
        {},
        {"ieee_address": OUTLET},
        {**entry("x"), "ieee_address": "lamp"},
        *(entry(name, ieee=BULB) for name in ("", "#", "a/+", "bridge/devices", "bridge", "a\x00b", "x" * 300)),
    ]
    assert set(Bridge(*odd, entry("outlet")).devices) == {OUTLET}


def test_a_long_list_is_taken_in_parts() -> None:
    """Of a long list, each part tells of a few devices, all of which can be operated once the last has been taken."""
    convention = Zigbee2MQTT({})
    many = [entry(f"lamp_{number}", ieee=f"0x{number:016x}") for number in range(1000)]
    parts = list(convention.hear("zigbee2mqtt/bridge/devices", json.dumps(many).encode(), 0).parts)
    assert max(len(part.changed) for part in parts) <= 50
    changed = [device for part in parts for device in part.changed]
    assert len({device.identity for device in changed}) == 1000
    assert all(convention.say(device, {"on": True}) for device in changed)


def test_too_much_is_ignored() -> None:
    """Messages that are larger than any bridge sends are not read, and a list of devices may be large."""
    bridge = Bridge(entry("outlet"))
    assert bridge.convention.hear("zigbee2mqtt/outlet", b'{"state": "ON", "x": "' + b"x" * 2**20 + b'"}', 0) is NOTHING
    many = [entry(f"lamp_{number}", ieee=f"0x{number:016x}", padding="x" * 4000) for number in range(1000)]
    assert len(bridge.list(*many).changed) == 1000
    assert bridge.convention.hear("zigbee2mqtt/bridge/devices", b" " * 2**26, 0) is NOTHING


@pytest.mark.parametrize("depth", [100, 400, 900, 5000, 100_000])
def test_what_is_deep_is_no_deeper_than_it_may_be(depth: int) -> None:
    """Exposes within exposes, values within values and any other JSON do no harm however deep they are."""
    deep = "[" * depth + "]" * depth
    within = '{"type": "light", "features": [' * depth + "]}" * depth
    state = {"type": "binary", "name": "state", "property": "state", "value_on": "DEEP", "access": 7}
    entries = [entry("lamp", {"DEEP": 1}, ieee=BULB), entry("outlet", {"type": "switch", "features": [state]})]
    listed = json.dumps(entries).replace('{"DEEP": 1}', within).replace('"DEEP"', deep)
    bridge = Bridge(entry("known", ieee="0x00124b00aabbcc03"))
    bridge.tell("bridge/devices", listed)
    bridge.group({"ieee_address": BULB, "endpoint": 1}, {"ieee_address": OUTLET, "endpoint": 1})
    bridge.tell("outlet", f'{{"state": {deep}}}')
    for name in ("bridge/state", "bridge/groups", "bridge/logging", "outlet/availability"):
        assert not bridge.tell(name, deep).changed
    for identity in bridge.devices:
        assert bridge.say(identity, {"on": True})


#: JSON of any kind, with words that mean something to the convention in it.
_WORDS = st.sampled_from(
    (
        *("state", "ON", "OFF", "online", "offline", "type", "name", "property", "features", "exposes", "definition"),
        *("light", "switch", "cover", "lock", "climate", "fan", "binary", "numeric", "enum", "composite", "warning"),
        *("friendly_name", "ieee_address", "endpoints", "scenes", "members", "level", "message", "error", "action"),
        *("brightness", "color", "color_temp", "position", "values", "value_max", "access", "endpoint", OUTLET),
    )
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | _WORDS, inner, max_size=6),
    max_leaves=20,
)
_TOPICS = st.sampled_from(
    ("bridge/state", "bridge/devices", "bridge/groups", "bridge/logging", "hall_bulb", "hall_bulb/availability", "x/y")
)


@hypothesis.given(st.lists(st.tuples(_TOPICS, _JSON | st.binary(max_size=60)), max_size=6))
def test_nothing_that_is_sent_raises(messages: list[tuple[str, Any]]) -> None:
    """Whatever is sent, nothing raises, and every device is well formed."""
    bridge = Bridge(*sample("z2m-hall_bulb")["payload"])
    for topic, payload in messages:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        for device in whole(bridge.convention.hear(f"zigbee2mqtt/{topic}", data, 0.0)).changed:
            well_formed(device)
    bridge.convention.later(1.0)


_NUMBERS = st.none() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
_NAMES = st.sampled_from(
    (
        *(
            "state",
            "brightness",
            "color_mode",
            "color_temp",
            "color_xy",
            "color_hs",
            "position",
            "tilt",
            "lock_state",
            "mode",
            "speed",
        ),
        *(
            "occupied_heating_setpoint",
            "occupied_cooling_setpoint",
            "system_mode",
            "running_state",
            "local_temperature",
        ),
        *(
            "temperature",
            "battery",
            "contact",
            "action",
            "effect",
            "warning",
            "alarm",
            "trigger",
            "garage_door_contact",
        ),
        *("moving", "preset", "fan_mode", "duration", "smoke_alarm_1", "anything"),
    )
)
_LEAVES = st.fixed_dictionaries(
    {"type": st.sampled_from(("binary", "numeric", "enum", "text", "composite", "list")), "name": _NAMES},
    optional={
        "access": st.integers(0, 7),
        "property": _NAMES,
        "endpoint": st.sampled_from(("", "l1", "left", 2)),
        "category": st.sampled_from(("config", "diagnostic")),
        "unit": st.sampled_from(("°C", "%", "W", "mired", "s", "x")),
        "value_min": _NUMBERS,
        "value_max": _NUMBERS,
        "value_on": _SCALARS,
        "value_off": _SCALARS,
        "values": st.lists(
            st.sampled_from(("OPEN", "CLOSE", "STOP", "off", "heat", "low", "stop", 1, 2, True)), max_size=5
        ),
    },
)
_SPECIFICS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(("light", "switch", "cover", "lock", "climate", "fan", "composite")),
        "features": st.lists(_LEAVES, max_size=6),
    },
    optional={"endpoint": st.sampled_from(("l1", "left", 2)), "name": _NAMES, "property": _NAMES, "access": st.just(7)},
)
_PAYLOADS = st.dictionaries(_NAMES, _JSON, max_size=8)


@hypothesis.given(st.lists(_LEAVES | _SPECIFICS, max_size=6), _PAYLOADS)
def test_nothing_that_is_exposed_raises(exposes: list[Mapping[str, Any]], payload: Mapping[str, Any]) -> None:
    """Whatever a device exposes and tells, it is well formed, and orders within its bounds are said or refused."""
    bridge = Bridge(entry("garage valve", *exposes))
    bridge.group({"ieee_address": OUTLET, "endpoint": 1}, scenes=[{"id": 1, "name": "x"}])
    bridge.tell("garage valve", payload)
    for device in bridge.devices.values():
        well_formed(device)
        for attribute in device.attributes.values():
            words = (*attribute.options, "x")
            wanted = True if attribute.type is bool else words[0] if attribute.type is str else attribute.high
            try:
                messages = bridge.say(device.identity, {attribute.name: wanted})
            except Refused:
                continue
            assert attribute.settable or not messages
            assert all(topic.endswith("/set") for topic, _ in messages)
    bridge.tell("garage valve", payload)
