"""Home Assistant's MQTT discovery: what is described is known, told and read as Home Assistant would."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.convention import Heard
from sshhome.conventions.discovery import Discovery
from sshhome.conventions.discovery.components import BUILDERS
from sshhome.device import Device, State
from sshhome.errors import Refused
from tests.conventions.listener import Listener

SAMPLES = {
    record["id"]: record
    for line in (Path(__file__).parents[2] / "samples" / "devices.jsonl").read_text(encoding="utf-8").splitlines()
    if (record := json.loads(line))["convention"].startswith("ha-discovery")
}
Told = list[tuple[str, Any]]


class House(Listener):
    """The devices that a parser has told of, as time goes by."""

    def __init__(self, **options: str) -> None:
        """Begin with none."""
        self.discovery = Discovery(options)
        super().__init__(self.discovery)
        self.now = 0.0

    def hear(self, topic: str, payload: object = b"", now: float | None = None) -> Heard:
        """Let a message arrive now."""
        return super().hear(topic, payload, self.now if now is None else now)

    def later(self, seconds: float) -> Heard:
        """Let time pass."""
        self.now += seconds
        return self.take(self.discovery.later(self.now))

    @property
    def only(self) -> Device:
        """The one device there is."""
        (device,) = self.devices.values()
        return device

    def named(self, name: str) -> Device:
        """Return a device by its name."""
        (device,) = (device for device in self.devices.values() if device.name == name)
        return device

    def says(self, device: Device, change: State) -> list[tuple[str, str]]:
        """Return what is published for a change."""
        return [(message.topic, message.payload.decode()) for message in self.discovery.say(device, change)]


SWITCH = "homeassistant/switch/plug/config"
PLUG = {"name": "Plug", "unique_id": "p1", "command_topic": "plug/set", "state_topic": "plug"}


# -- what was captured ------------------------------------------------------------------------------------------------

Z2M: Told = [("zigbee2mqtt/bridge/state", {"state": "online"})]
#: What the captured messages are about says itself, in the words of Zigbee2MQTT: id -> what it tells -> how it is then.
CAPTURED: dict[str, tuple[Told, State, list[tuple[State, list[tuple[str, str]]]]]] = {
    "hadisc-sensor-z2m-04": ([("zigbee2mqtt/climate_sensor", {"temperature": 22.51})], {"temperature": 22.51}, []),
    "hadisc-light-z2m-01": (
        [("zigbee2mqtt/hall_bulb", {"state": "ON", "brightness": 128, "color_mode": "color_temp", "color_temp": 250})],
        {"on": True, "brightness": 50, "color_temperature": 4000, "hue": None, "saturation": None, "effect": None},
        [
            ({"brightness": 40}, [("zigbee2mqtt/hall_bulb/set", '{"state":"ON","brightness":102}')]),
            ({"on": False}, [("zigbee2mqtt/hall_bulb/set", '{"state":"OFF"}')]),
        ],
    ),
    "hadisc-cover-z2m-03": (
        [("zigbee2mqtt/blind", {"position": 30, "state": "OPEN"})],
        {"position": 30, "moving": None},
        [
            ({"position": 30}, [("zigbee2mqtt/blind/set", '{ "position": 30 }')]),
            ({"position": 100}, [("zigbee2mqtt/blind/set", "OPEN")]),
            ({"moving": None}, [("zigbee2mqtt/blind/set", "STOP")]),
        ],
    ),
    "hadisc-lock-z2m-05": (
        [("zigbee2mqtt/front_lock", {"state": "UNLOCK", "lock_state": "unlocked"})],
        {"locked": False, "moving": None, "jammed": False},
        [({"locked": True}, [("zigbee2mqtt/front_lock/set", "LOCK")])],
    ),
    "hadisc-climate-z2m-06": (
        [
            (
                "zigbee2mqtt/radiator",
                {
                    "occupied_heating_setpoint": 21.5,
                    "local_temperature": 20.1,
                    "system_mode": "heat",
                    "running_state": "heat",
                },
            )
        ],
        {
            "target_temperature": 21.5,
            "temperature": 20.1,
            "mode": "heat",
            "heating": True,
            "cooling": False,
            "doing": "heating",
        },
        [({"target_temperature": 19.5}, [("zigbee2mqtt/radiator/set/occupied_heating_setpoint", "19.5")])],
    ),
    "hadisc-abbrev-switch": ([], {"on": False}, []),
    "hadisc-light-basic-templated": (
        [],
        {"on": True, "brightness": 40, "hue": 358, "saturation": 100},
        [({"brightness": 20}, [("esp/strip/bri", "20"), ("esp/strip/power", "on")])],
    ),
}
#: The orders of the samples, in the house's words.
ORDERS: dict[str, tuple[str, State]] = {
    "switch irrigation on": ("Garden Irrigation", {"on": True}),
    "switch kitchen-node.relay off": ("Kitchen node Relay", {"on": False}),
}


@pytest.mark.parametrize("id_", sorted(SAMPLES))
def test_captured_devices_are_known_and_told(id_: str) -> None:
    """Each device that was captured is described, reads what it tells, and is told what it was told then."""
    record, house = SAMPLES[id_], House()
    house.hear(record["topic"], record["payload"])
    assert not any(device.note for device in house.devices.values())
    tells, state, orders = CAPTURED.get(id_, ([], {}, []))
    if "-z2m-" in id_:
        name = record["payload"]["device"]["name"]
        assert not house.only.available
        assert house.only.hardware == record["payload"]["device"]["identifiers"][0].removeprefix("zigbee2mqtt_0x")
        tells = [*Z2M, (f"zigbee2mqtt/{name}/availability", {"state": "online"}), *tells]
    for topic, payload in (*map(tuple, record["state"]), *tells):
        assert topic in house.listening
        house.hear(topic, payload)
    assert all(device.available for device in house.devices.values())
    for words, topic, payload in record["orders"]:
        device_name, change = ORDERS[words]
        assert house.says(house.named(device_name), change) == [(topic, payload)]
    if id_ in CAPTURED:
        assert house.only.state == state
        for change, said in orders:
            assert house.says(house.only, change) == said


def test_a_device_is_described_whole() -> None:
    """A device has components that share its topics and name; one of which only the platform is left is removed."""
    record, house = SAMPLES["hadisc-device"], House()
    house.hear(record["topic"], record["payload"])
    house.hear(*record["state"][0])
    states = {device.name: dict(device.state) for device in house.devices.values()}
    assert states == {
        "Kitchen node Temperature": {"temperature": 21.37},
        "Kitchen node Humidity": {"humidity": 45},
        "Kitchen node Relay": {"on": True},
    }
    assert {device.room for device in house.devices.values()} == {"kitchen"}
    parts = {**record["payload"]["cmps"], "h": {"p": "sensor"}}
    heard = house.hear(record["topic"], {**record["payload"], "cmps": parts})
    assert heard.gone == ["sensor/temp01ae_h"]
    assert house.named("Kitchen node Temperature").state == {"temperature": 21.37}
    assert set(house.hear(record["topic"], b"").gone) == {"sensor/temp01ae_t", "switch/temp01ae_r"}
    assert not house.listening


def test_the_base_of_a_device_is_that_of_its_components() -> None:
    """A base that a device gives once stands in the topics of its components, and one has its own."""
    house = House()
    parts = {"a": {"p": "switch", "cmd_t": "~/a"}, "b": {"p": "switch", "cmd_t": "~/b", "~": "other"}}
    house.hear(
        "homeassistant/device/d/config", {"~": "box", "dev": {"name": "Box"}, "stat_t": "~/state", "cmps": parts}
    )
    said = [house.says(device, {"on": True})[0][0] for device in house.devices.values()]
    assert (said, house.listening) == (["box/a", "other/b"], {"box/state"})


# -- describing, again and no more ------------------------------------------------------------------------------------


def test_an_empty_message_removes() -> None:
    """What is described by nothing any more is gone, and nothing is listened to for it; twice is once."""
    house = House()
    assert house.hear(SWITCH, PLUG).listen == ["plug"]
    heard = house.hear(SWITCH, b"")
    assert (heard.gone, heard.leave) == (["switch/p1"], ["plug"])
    assert house.hear(SWITCH, b"").gone == []
    with pytest.raises(Refused, match="not described any more"):
        house.discovery.say(Device(id="switch.plug", name="Plug", identity="switch/p1"), {"on": True})


def test_a_description_may_change() -> None:
    """What is described anew keeps what it still tells where it told it, and listens where it now tells."""
    house = House()
    config = {**PLUG, "availability_topic": "plug/there"}
    house.hear(SWITCH, config)
    house.hear("plug", "ON")
    house.hear("plug/there", "online")
    heard = house.hear(SWITCH, {**config, "name": "Lamp", "payload_off": "0"})
    assert (heard.listen, heard.leave) == ([], [])
    assert (house.only.name, house.only.state, house.only.available) == ("Lamp", {"on": True}, True)
    heard = house.hear(SWITCH, {**PLUG, "state_topic": "other"})
    assert (heard.listen, sorted(heard.leave)) == (["other"], ["plug", "plug/there"])
    assert house.only.state == {"on": None}


def test_a_topic_may_come_to_describe_another_thing() -> None:
    """A new unique id on the same topic is another device, and the old one is gone."""
    house = House()
    house.hear(SWITCH, PLUG)
    heard = house.hear(SWITCH, {**PLUG, "unique_id": "p2"})
    assert (heard.gone, heard.listen, list(house.devices)) == (["switch/p1"], [], ["switch/p2"])


def test_what_was_told_before_is_known_to_who_is_described_later() -> None:
    """A second thing on a topic knows what that said last, which the broker does not tell again; an event is over."""
    house = House()
    house.hear(SWITCH, {**PLUG, "availability_topic": "there", "value_template": "{{ value_json.state }}"})
    house.hear("there", "online")
    house.hear("plug", {"state": "ON", "power": 7.5, "event_type": "press"})
    base = {"state_topic": "plug", "availability_topic": "there"}
    power = {**base, "device_class": "power", "value_template": "{{ value_json.power }}", "expire_after": 60}
    house.now = 30
    (device,) = house.hear("homeassistant/sensor/plug/config", power).changed
    assert (device.state, device.available) == ({"power": 7.5}, True)
    (device,) = house.hear("homeassistant/event/plug/config", base).changed
    assert device.state == {"event": None}
    assert len(house.later(30).changed) == 1


def test_what_is_kept_of_payloads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads that are large, or too many, are not kept, and those of topics that nobody listens to are let go."""
    monkeypatch.setattr("sshhome.conventions.discovery._ALL_KEPT", 10)
    house = House()
    house.hear(SWITCH, PLUG)
    house.hear("plug", "x" * 11)
    assert not house.discovery._last
    house.hear("plug", "x" * 10)
    house.hear("plug", "ON")
    assert house.discovery._kept == 2
    house.hear(SWITCH, b"")
    assert (house.discovery._kept, house.discovery._last) == (0, {})


def test_the_first_of_two_that_describe_one_thing_is_gone_by() -> None:
    """A second description of the same unique id is ignored, as Home Assistant does, until the first is removed."""
    house = House()
    house.hear(SWITCH, PLUG)
    other = "homeassistant/switch/other/config"
    assert house.hear(other, {**PLUG, "name": "Impostor"}).changed == []
    assert house.only.name == "Plug"
    assert house.hear(other, b"").gone == []
    house.hear(SWITCH, b"")
    house.hear(other, {**PLUG, "name": "Heir"})
    assert house.only.name == "Heir"


def test_single_descriptions_may_become_a_devices() -> None:
    """A thing that says that it moves is known all the while, whichever of its two descriptions is removed then."""
    house, whole = House(), "homeassistant/device/box/config"
    house.hear(SWITCH, PLUG)
    house.hear("plug", "ON")
    device = {
        "device": {"name": "Box"},
        "origin": {"name": "x"},
        "components": {"plug": {**PLUG, "platform": "switch"}},
    }
    for before, after, config in ((SWITCH, whole, device), (whole, SWITCH, PLUG)):
        assert house.hear(before, {"migrate_discovery": True}).gone == []
        assert house.hear(after, config).gone == []
        assert house.hear(before, b"").gone == []
        assert house.only.state == {"on": True}
    house.hear(SWITCH, {"migrate_discovery": True})
    assert house.hear(SWITCH, b"").gone == ["switch/p1"]


def test_what_sets_a_thing_up_is_not_listed() -> None:
    """What is for setting up, tells of the thing itself, or is off by default is left out, but for a battery."""
    house = House()
    base: dict[str, object] = {"state_topic": "s", "device_class": "battery"}
    cases: list[tuple[dict[str, object], bool]] = [
        ({"entity_category": "config"}, True),
        ({"entity_category": "diagnostic"}, True),
        ({"entity_category": "diagnostic", "device_class": "signal_strength"}, False),
        ({"enabled_by_default": False}, False),
        ({"en": True}, True),
    ]
    for number, (config, listed) in enumerate(cases):
        heard = house.hear(f"homeassistant/sensor/s{number}/config", {**base, **config})
        assert bool(heard.changed) is listed
    assert house.hear("homeassistant/sensor/s4/config", {**base, "en": False}).gone == [
        "homeassistant/sensor/s4/config"
    ]


@pytest.mark.parametrize(
    "kind", ["update", "camera", "device_tracker", "tag", "device_automation", "water_heater", "x"]
)
def test_other_kinds_are_ignored(kind: str) -> None:
    """What the house has no word for is not listed."""
    assert House().hear(f"homeassistant/{kind}/a/config", PLUG).changed == []


def test_the_prefix_is_an_option() -> None:
    """Things are described below a prefix that may be another, even one with a dot."""
    house = House(discovery_prefix="my.house/ha")
    assert house.discovery.topics == ("my.house/ha/+/+/config", "my.house/ha/+/+/+/config")
    house.hear("my.house/ha/switch/node/plug/config", PLUG)
    assert house.only.name == "Plug"
    for topic in (
        "myxhouse/ha/switch/plug/config",
        "my.house/ha/switch/a b/config",
        "my.house/ha/switch/a/b/c/config",
        SWITCH,
    ):
        assert not house.hear(topic, {**PLUG, "unique_id": topic}).changed


# -- names and places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "own", "name"),
    [
        ("Box", {"name": "Relay"}, "Box Relay"),
        ("Box", {"name": None}, "Box"),
        ("Box", {}, "Box"),
        ("Box", {"name": "Box relay"}, "Box relay"),
        ("", {"name": "Relay"}, "Relay"),
        ("", {}, "plug"),
        ("\x1b[31mBox\n", {"name": "\u202eRelay"}, "[31mBox Relay"),
        ("B" * 100, {"name": "R"}, "B" * 64),
    ],
)
def test_a_name_is_the_devices_and_its_own(device: str, own: dict[str, object], name: str) -> None:
    """A device is named as in Home Assistant: by the thing it is part of, and by what it is of that."""
    house = House()
    house.hear(SWITCH, {"command_topic": "x", "device": {"name": device}, **own})
    assert house.only.name == name
    assert house.only.kind == "switch"


def test_a_sensor_without_a_name_is_called_by_what_it_measures() -> None:
    """Sensors that give no name are told apart by their device class."""
    house = House()
    house.hear("homeassistant/sensor/x/config", {"device_class": "carbon_dioxide", "device": {"name": "Box"}})
    assert (house.only.name, house.only.id) == ("Box Carbon dioxide", "sensor.box_carbon_dioxide")


def test_an_identity_is_the_unique_id_or_the_topic() -> None:
    """What has no unique id is known by where it is described."""
    house = House()
    house.hear(SWITCH, {"command_topic": "x"})
    house.hear("homeassistant/light/plug/config", {"command_topic": "x", "unique_id": 5})
    house.hear("homeassistant/device/d/config", {"components": {"a": {"platform": "switch", "name": "A"}}})
    assert set(house.devices) == {SWITCH, "light/5", "homeassistant/device/d/config/a"}


@pytest.mark.parametrize(
    ("device", "hardware"),
    [
        ({"connections": [["mac", "02:5B:26:A8:DC:12"]]}, "025b26a8dc12"),
        ({"connections": [["zigbee", "0x00124b00aabbcc01"]]}, "00124b00aabbcc01"),
        ({"identifiers": ["zigbee2mqtt_0x00124b00aabbcc01"]}, "00124b00aabbcc01"),
        ({"identifiers": "esp-5CCF7F000001"}, "5ccf7f000001"),
        ({"identifiers": ["ea334450945afc", "garden01ad"]}, ""),
        ({"connections": [["mac", "x"], ["upnp", "025b26a8dc12"], 5], "identifiers": {}}, ""),
        ("nonsense", ""),
    ],
)
def test_a_burnt_in_address_is_found(device: object, hardware: str) -> None:
    """The address of a device is in its connections or identifiers, if there is one of twelve or sixteen digits."""
    house = House()
    house.hear(SWITCH, {**PLUG, "device": device})
    assert house.only.hardware == hardware


def test_a_room_is_the_suggested_area() -> None:
    """The area that a device suggests is its room."""
    house = House()
    house.hear(SWITCH, {**PLUG, "dev": {"sa": "Küche (oben)"}})
    assert house.only.room == "kuche_oben"


# -- whether it can be reached ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "heard", "available"),
    [
        ("all", [("a", "online")], False),
        ("all", [("a", "online"), ("b", "yes")], True),
        ("all", [("a", "online"), ("b", "yes"), ("a", "offline")], False),
        ("any", [("a", "online")], True),
        ("any", [("a", "offline"), ("b", "no")], False),
        ("latest", [("a", "online")], True),
        ("latest", [("a", "online"), ("b", "no")], False),
        ("latest", [("b", "no"), ("a", "online")], True),
        ("latest", [("a", "online"), ("b", "what?")], True),
        ("latest", [], False),
    ],
)
def test_a_thing_tells_whether_it_can_be_reached(mode: str, heard: Told, available: bool) -> None:  # noqa: FBT001
    """Of several ways in which a thing tells that it is there, all count, or any, or the latest."""
    house = House()
    ways = [{"t": "a"}, {"t": "b", "pl_avail": "yes", "pl_not_avail": "no"}]
    house.hear(SWITCH, {**PLUG, "avty": ways, "avty_mode": mode})
    for topic, payload in heard:
        house.hear(topic, payload)
    assert house.only.available is available


def test_whether_it_can_be_reached_may_be_in_json() -> None:
    """A template finds the word in the payload; one that is not supported is noted, and does not count."""
    house = House()
    house.hear(SWITCH, {**PLUG, "availability_topic": "a", "availability_template": "{{ value_json.s }}"})
    house.hear("a", {"s": "online"})
    assert house.only.available
    assert house.hear("a", {"s": "online"}).changed == []
    house.hear(SWITCH, {**PLUG, "availability_topic": "a", "availability_template": "{{ now() }}"})
    assert (house.only.available, house.only.note) == (True, "template not supported: it calls now")


def test_a_reading_expires() -> None:
    """A reading that is not told again in time is not known any more, and its sensor cannot be reached until it is."""
    house, topic = House(), "homeassistant/sensor/t/config"
    config = {"state_topic": "t", "device_class": "temperature", "expire_after": 60}
    house.hear(topic, config)
    house.hear("t", "20")
    assert house.later(59).changed == []
    house.hear("t", "21")
    house.later(59)
    house.hear(topic, config)
    assert (house.only.state, house.only.available) == ({"temperature": 21}, True)
    assert len(house.later(1).changed) == 1
    assert (house.only.state, house.only.available) == ({"temperature": None}, False)
    assert house.later(100).changed == []
    house.hear("t", "22")
    assert (house.only.state, house.only.available) == ({"temperature": 22}, True)
    house.hear(topic, b"")
    assert house.later(100).changed == []


def test_a_detector_is_off_again() -> None:
    """A detector that never says that it is off is so after a while."""
    house = House()
    house.hear("homeassistant/binary_sensor/m/config", {"stat_t": "m", "dev_cla": "motion", "off_dly": "5"})
    house.hear("m", "ON")
    assert house.later(4).changed == []
    house.hear("m", "ON")
    assert house.later(4).changed == []
    house.later(1)
    assert (house.only.state, house.only.available) == ({"motion": False}, True)


def test_other_encodings_are_read() -> None:
    """A payload is in the encoding that was described; what is not in it tells nothing, nor does what decodes more."""
    house = House()
    house.hear("homeassistant/sensor/t/config", {"state_topic": "t", "encoding": "latin-1"})
    house.hear("t", "Küche".encode("latin-1"))
    assert house.only.state == {"status": "Küche"}
    house.hear("homeassistant/sensor/t/config", {"state_topic": "t", "encoding": "unicode_escape"})
    house.hear("t", "K\\u00fcche")
    assert house.only.state == {"status": "K\\u00fcche"}
    assert house.hear("t", b"\xff").changed == []


def test_a_coarse_echo_is_what_was_ordered() -> None:
    """A white that is told in mireds comes back as the kelvin that were ordered."""
    house = House()
    record = SAMPLES["hadisc-light-z2m-01"]
    house.hear(record["topic"], record["payload"])
    house.discovery.say(house.only, {"color_temperature": 2700})
    house.hear("zigbee2mqtt/hall_bulb", {"color_mode": "color_temp", "color_temp": 370})
    assert house.only.state["color_temperature"] == 2700
    house.hear("zigbee2mqtt/hall_bulb", {"color_mode": "color_temp", "color_temp": 371})
    assert house.only.state["color_temperature"] == 2695


# -- whatever is sent -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["ON", "~/x", "t"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("~", "name", "unique_id", "device", "state_topic", "command_topic", "value_template", "command_template"),
        *("availability", "availability_topic", "availability_mode", "availability_template", "components", "platform"),
        *("schema", "brightness", "brightness_scale", "supported_color_modes", "effect_list", "min_mireds", "options"),
        *("position_topic", "position_open", "position_closed", "tilt_min", "tilt_command_topic", "tilt_status_topic"),
        *("min", "max", "unit_of_measurement", "device_class", "expire_after", "off_delay", "encoding", "modes"),
        *("temperature_command_topic", "temperature_state_topic", "min_temp", "max_temp", "temperature_unit", "code"),
        *("percentage_state_topic", "percentage_command_topic", "speed_range_min", "speed_range_max", "preset_modes"),
        *("rgb_state_topic", "rgb_command_topic", "hs_state_topic", "color_temp_state_topic", "red_template"),
        *("supported_features", "fan_speed_list", "payload_on", "payload_off", "state_open", "migrate_discovery"),
    ]
)
VALUES = st.sampled_from(
    ["t", "u", "json", "template", "{{ value }}", "{{ value_json.a }}", "{{", 0, -1, 1e300, True, ["hs"], "C"]
)
CONFIGS = st.dictionaries(KEYS, VALUES | JSON, max_size=12)
KINDS = st.sampled_from([*BUILDERS, "device"])


@settings(deadline=None)
@given(
    KINDS,
    CONFIGS,
    st.lists(st.tuples(st.sampled_from("tu"), st.binary(max_size=40) | JSON.map(json.dumps)), max_size=4),
)
def test_whatever_is_described_and_told_raises_nothing(kind: str, config: dict[str, Any], told: Told) -> None:
    """No description, and nothing that is told then, raises; every device that comes of it is as it should be."""
    house = House()
    if kind == "device":
        config = {**config, "components": {name: {**config, "platform": name} for name in BUILDERS}}
    house.hear(f"homeassistant/{kind}/x/config", json.dumps(config))
    for topic, payload in told:
        house.hear(topic, payload)
    house.later(1e6)
    for device in list(house.devices.values()):
        for name, attribute in device.attributes.items():
            value = (
                attribute.options[-1] if attribute.options else attribute.high if attribute.type is not bool else True
            )
            try:
                house.says(device, {name: value if attribute.type is not str or attribute.options else "x"})
            except Refused as refusal:
                assert refusal.message  # noqa: PT017  (it may be said, or refused)


@settings(deadline=None)
@given(
    st.sampled_from([SWITCH, "homeassistant/device/x/config", "plug", "", "homeassistant//config"]),
    st.binary() | JSON.map(json.dumps),
)
def test_any_message_raises_nothing(topic: str, payload: bytes | str) -> None:
    """Any bytes, on any topic, are borne."""
    house = House()
    house.hear(SWITCH, PLUG)
    house.hear(topic, payload)
    house.hear(SWITCH, b"")


@pytest.mark.parametrize(
    "payload",
    [
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name": "' + b"x" * 300_000 + b'"}',
        b"\xff\xfe",
        b"null",
        b"[]",
        b"5",
        b'{"device": {"device": {"device": {}}}}',
    ],
    ids=lambda payload: f"{payload[:12]!r}",
)
def test_what_is_huge_or_half_describes_nothing_new(payload: bytes) -> None:
    """A message that is too large, too deep or no object leaves what is known as it is."""
    house = House()
    house.hear(SWITCH, PLUG)
    assert house.hear(SWITCH, payload).gone in ([], ["switch/p1"])
    assert len(house.devices) == 1


def test_what_is_told_is_bounded() -> None:
    """A payload larger than any device sends tells nothing."""
    house = House()
    house.hear(SWITCH, PLUG)
    assert house.hear("plug", b"x" * 100_000).changed == []
    assert house.hear("plug", b"x" * 1_000_000).changed == []


def test_a_large_house_is_known_whole_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five thousand things are known; those beyond what any house has are not, until others are gone."""
    house = House()
    monkeypatch.setattr("sshhome.conventions.discovery._THINGS", 5000)
    for number in range(5001):
        config = {**PLUG, "unique_id": str(number), "state_topic": f"plug/{number}", "availability_topic": "bridge"}
        house.hear(f"homeassistant/switch/p{number}/config", config)
    assert len(house.devices) == 5000
    assert len(house.hear("bridge", "online").changed) == 5000
    house.hear("plug/4999", "ON")
    assert house.devices["switch/4999"].state == {"on": True}
    house.hear("homeassistant/switch/p0/config", b"")
    house.hear("homeassistant/switch/p5000/config", {**PLUG, "unique_id": "5000"})
    assert "switch/5000" in house.devices


def test_all_descriptions_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What descriptions weigh together is bounded, and one that is removed makes room."""
    monkeypatch.setattr("sshhome.conventions.discovery._LARGEST_ALL", 250)
    house = House()
    other = "homeassistant/switch/other/config"
    house.hear(SWITCH, PLUG)
    house.hear(SWITCH, {**PLUG, "name": "Same"})
    house.hear(other, {**PLUG, "unique_id": "p2", "name": "x" * 100})
    assert house.only.name == "Same"
    house.hear(SWITCH, b"")
    house.hear(other, {**PLUG, "unique_id": "p2", "name": "x" * 100})
    assert house.only.identity == "switch/p2"


def test_one_message_is_put_through_so_many_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that more templates read than any bridge has is read by the first of them; the same one counts once."""
    monkeypatch.setattr("sshhome.conventions.discovery._RENDERED", 2)
    house = House()
    for number, key in enumerate("aabc"):
        config = {"state_topic": "t", "value_template": f"{{{{ value_json.{key} }}}}"}
        house.hear(f"homeassistant/sensor/{number}/config", config)
    house.hear("t", {"a": "1", "b": "2", "c": "3"})
    assert [device.state["status"] for device in house.devices.values()] == ["1", "1", "2", None]
