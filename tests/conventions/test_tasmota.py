"""Tasmota: what its things announce and tell becomes devices, and orders become its commands."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.convention import NOTHING, Message
from sshhome.conventions.tasmota import Tasmota
from sshhome.device import State
from sshhome.errors import Refused
from tests.conventions.listener import Listener, known_of

SAMPLES = {
    sample["id"]: sample
    for line in (Path(__file__).parent.parent / "samples" / "devices.jsonl").read_text().splitlines()
    if (sample := json.loads(line))["convention"] == "tasmota"
}
MAC = "5CCF7F0000AA"
TELE, STAT = "tele/box/", "stat/box/"


class House(Listener):
    """The devices that a Tasmota parser has told of."""

    def __init__(self, **options: object) -> None:
        """Start with none."""
        super().__init__(Tasmota(options))

    def say(self, part: str, change: State) -> list[tuple[str, bytes]]:
        """Return what is published for a change."""
        return [(said.topic, said.payload) for said in self.convention.say(self.devices[f"{MAC}/{part}"], change)]

    def state(self, part: str) -> dict[str, object]:
        """Return what is known of a device's state."""
        return known_of(self.devices[f"{MAC}/{part}"])


def config(**changes: object) -> dict[str, Any]:
    """Return an announcement."""
    plain: dict[str, Any] = SAMPLES["tasmota-plug"]["payload"]
    thing = {"mac": MAC, "hn": "box-host", "t": "box", "dn": "Box", "fn": [None], "rl": [1]}
    told = {**plain, **thing, **changes}
    return {**told, "so": {**plain["so"], **told["so"]}}


def house(sensors: Mapping[str, object] | None = None, /, **changes: object) -> House:
    """Return a parser that knows a thing which is online."""
    known = House()
    known.hear(f"tasmota/discovery/{MAC}/config", config(**changes))
    if sensors is not None:
        known.hear(f"tasmota/discovery/{MAC}/sensors", {"sn": sensors, "ver": 1})
    known.hear(f"{TELE}LWT", "Online")
    return known


# -- the samples ------------------------------------------------------------------------------------------------------

#: sample -> its devices, each with what is known of it in the end
TOLD: Mapping[str, Mapping[str, tuple[str, dict[str, object]]]] = {
    "tasmota-plug": {
        "5CCF7F49A3BC/relay1": (
            "switch.washer",
            {"on": False, "energy": 12.35, "power": 412, "voltage": 230, "current": 1.79},
        ),
    },
    "tasmota-bulb-rgbcct": {
        "5CCF7F000001/light": ("light.desk_lamp", {"on": True, "brightness": 40, "hue": 0, "saturation": 100}),
    },
    "tasmota-shutter": {"5CCF7F000002/shutter1": ("cover.office", {"position": 30})},
    "tasmota-4ch": {
        "5CCF7F000004/relay1": ("switch.pump", {"on": True}),
        "5CCF7F000004/relay2": ("switch.fountain", {"on": False}),
        "5CCF7F000004/relay3": ("switch.path_lights", {"on": False}),
        "5CCF7F000004/relay4": ("switch.spare", {"on": False}),
    },
}
#: words of an order in a sample -> the device and the change
ORDERS: Mapping[str, tuple[str, State]] = {
    "switch washer on": ("5CCF7F49A3BC/relay1", {"on": True}),
    "light desk-lamp 40%": ("5CCF7F000001/light", {"brightness": 40}),
    "light desk-lamp ct 2700K": ("5CCF7F000001/light", {"color_temperature": 2700}),
    "light desk-lamp color red": ("5CCF7F000001/light", {"hue": 0, "saturation": 100}),
    "light desk-lamp off": ("5CCF7F000001/light", {"on": False}),
    "cover office 30": ("5CCF7F000002/shutter1", {"position": 30}),
    "cover office open": ("5CCF7F000002/shutter1", {"position": 100}),
    "cover office stop": ("5CCF7F000002/shutter1", {"moving": None}),
    "switch path-lights on": ("5CCF7F000004/relay3", {"on": True}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_told_and_ordered_as_they_say(name: str) -> None:
    """Each sample becomes its devices with their state, and its orders become its messages."""
    sample, known, asked = SAMPLES[name], House(), []
    for topic, payload in [(sample["topic"], sample["payload"]), *sample["state"]]:
        heard = known.hear(topic, payload)
        asked += heard.ask
    found = {
        identity: (device.id, {name: value for name, value in device.state.items() if value is not None})
        for identity, device in known.devices.items()
    }
    assert found == TOLD[name]
    assert all(device.available for device in known.devices.values())
    assert {device.hardware for device in known.devices.values()} == {sample["payload"]["mac"].lower()}
    for words, topic, payload in sample["orders"]:
        message = Message(topic, payload.encode())
        if words == "status washer":
            assert message in asked
            continue
        identity, change = ORDERS[words]
        assert known.convention.say(known.devices[identity], change) == [message]


# -- coming and going -------------------------------------------------------------------------------------------------


def test_it_listens_where_things_announce_themselves() -> None:
    """The prefix of announcements is an option, and nothing else is listened to at first."""
    assert House().convention.topics == ("tasmota/discovery/+/config", "tasmota/discovery/+/sensors")
    moved = House(tasmota_prefix="attic/things")
    assert moved.convention.topics == ("attic/things/+/config", "attic/things/+/sensors")
    assert moved.hear(f"attic/things/{MAC}/config", config()).changed
    assert moved.hear(f"tasmota/discovery/{MAC}/config", config()) is NOTHING


@pytest.mark.parametrize(
    ("full", "tele", "cmnd"),
    [
        ("%prefix%/%topic%/", "tele/box/", "cmnd/box/"),
        ("%topic%/%prefix%/", "box/tele/", "box/cmnd/"),
        ("attic/%prefix%/x/%topic%", "attic/tele/x/box/", "attic/cmnd/x/box/"),
        ("%hostname%/%prefix%/", "box-host/tele/", "box-host/cmnd/"),
        ("things/%id%/%prefix%/", f"things/{MAC}/tele/", f"things/{MAC}/cmnd/"),
        ("%topic%/", "box/", "box/cmnd/"),
        ("#/%prefix%//%topic%/", "/tele/box/", "/cmnd/box/"),
    ],
)
def test_full_topics_come_in_any_order(full: str, tele: str, cmnd: str) -> None:
    """Where a thing speaks and listens follows from the full topic, as in the firmware."""
    known = House()
    known.hear(f"tasmota/discovery/{MAC}/config", config(ft=full))
    assert f"{tele}+" in known.listening
    asked = known.hear(f"{tele}LWT", "Online").ask
    assert asked == [Message(f"{cmnd}STATE")]
    known.hear(f"{tele}STATE", {"POWER": "ON"})
    assert known.state("relay1") == {"on": True}
    assert known.say("relay1", {"on": False}) == [(f"{cmnd}POWER", b"OFF")]


def test_an_empty_announcement_removes() -> None:
    """A thing whose announcement is emptied is gone, nobody listens to it, and it can be told nothing."""
    known = house()
    device = known.devices[f"{MAC}/relay1"]
    heard = known.hear(f"tasmota/discovery/{MAC}/config", b"")
    assert (heard.gone, known.devices, known.listening) == ([f"{MAC}/relay1"], {}, set())
    assert known.hear(f"{TELE}STATE", {"POWER": "ON"}) is NOTHING
    with pytest.raises(Refused, match="Box has not announced itself"):
        known.convention.say(device, {"on": True})


def test_announced_anew_elsewhere_it_is_heard_there() -> None:
    """With another topic, what was subscribed to moves, and the thing is unavailable until it says that it is there."""
    known = house()
    known.hear(f"{TELE}STATE", {"POWER": "ON"})
    heard = known.hear(f"tasmota/discovery/{MAC}/config", config(t="new", rl=[1, 1]))
    assert sorted(heard.leave) == ["stat/box/+", "tele/box/+"]
    assert sorted(heard.listen) == ["stat/new/+", "tele/new/+"]
    assert set(known.devices) == {f"{MAC}/relay1", f"{MAC}/relay2"}
    assert not any(device.available for device in known.devices.values())
    assert known.hear(f"{TELE}STATE", {"POWER1": "OFF"}) is NOTHING
    known.hear("tele/new/LWT", "Online")
    assert known.devices[f"{MAC}/relay1"].available
    # What was known of it still is.
    assert known.state("relay1") == {"on": True}


def test_announced_anew_with_less_the_rest_is_gone() -> None:
    """A relay that is announced no more is gone; the thing stays there, and is asked how it is."""
    known = house(rl=[1, 1])
    heard = known.hear(f"tasmota/discovery/{MAC}/config", config(rl=[1]))
    assert heard.gone == [f"{MAC}/relay2"]
    assert (heard.listen, heard.leave) == ([], [])
    assert known.devices[f"{MAC}/relay1"].available
    assert heard.ask == [Message("cmnd/box/STATE")]


def test_offline_and_online() -> None:
    """The last will makes it unavailable with what is known of it; back online, it is asked how it is."""
    known = House()
    known.hear(f"tasmota/discovery/{MAC}/config", config(onln="da", ofln="weg"))
    assert not known.devices[f"{MAC}/relay1"].available
    assert known.hear(f"{TELE}LWT", "Online").changed == []
    assert known.hear(f"{TELE}LWT", "da").ask == [Message("cmnd/box/STATE")]
    known.hear(f"{TELE}STATE", {"POWER": "ON"})
    assert known.hear(f"{TELE}LWT", "weg").ask == []
    assert not known.devices[f"{MAC}/relay1"].available
    assert known.state("relay1") == {"on": True}


def test_what_sleeps_is_there() -> None:
    """A thing in deep sleep is available whatever its last will says."""
    known = house(dslp=1, rl=[])
    known.hear(f"tasmota/discovery/{MAC}/sensors", {"sn": {"BME280": {"Temperature": 20}}})
    known.hear(f"{TELE}LWT", "Offline")
    assert known.devices[MAC].available


def test_sensors_may_be_announced_first() -> None:
    """It does not matter which of its two announcements comes first."""
    known = House()
    assert known.hear(f"tasmota/discovery/{MAC}/sensors", {"sn": {"AM2301": {"Humidity": 40}}}).changed == []
    known.hear(f"tasmota/discovery/{MAC}/config", config())
    assert set(known.devices[f"{MAC}/relay1"].attributes) == {"on", "humidity"}
    known.hear(f"tasmota/discovery/{MAC}/sensors", b"")
    assert set(known.devices[f"{MAC}/relay1"].attributes) == {"on"}


def test_two_things_of_one_name_are_both_heard() -> None:
    """Things that were given the same topic speak for both, and one that leaves does not silence the other."""
    known, other = house(), "5CCF7F0000BB"
    assert known.hear(f"tasmota/discovery/{other}/config", config(mac=other)).listen == []
    assert len(known.hear(f"{TELE}STATE", {"POWER": "ON"}).changed) == 2
    assert known.hear(f"tasmota/discovery/{MAC}/config", b"").leave == []
    assert known.hear(f"{TELE}STATE", {"POWER": "OFF"}).changed[0].identity == f"{other}/relay1"


# -- relays -----------------------------------------------------------------------------------------------------------


def test_relays_are_told_in_words_of_their_own() -> None:
    """On and off are the texts that the thing announces, in JSON and alone."""
    known = house(state=["AUS", "EIN", "UM", "HALT"])
    known.hear(f"{STAT}RESULT", {"POWER": "EIN"})
    assert known.state("relay1") == {"on": True}
    known.hear(f"{STAT}POWER", "AUS")
    assert known.state("relay1") == {"on": False}
    assert known.hear(f"{STAT}POWER", "OFF").changed == []
    assert known.say("relay1", {"on": True}) == [("cmnd/box/POWER", b"EIN")]


def test_relays_may_be_lamps() -> None:
    """With SetOption30 relays are lamps, and keep their identity."""
    known = house(rl=[1, 1], so={"30": 1}, fn=["Lamp", None])
    assert [device.id for device in known.devices.values()] == ["light.lamp", "light.box_2"]
    known.hear(f"{STAT}POWER2", "ON")
    assert (known.state("relay1"), known.state("relay2")) == ({}, {"on": True})
    assert known.say("relay2", {"on": False}) == [("cmnd/box/POWER2", b"OFF")]


def test_answers_may_be_on_a_topic_of_their_own() -> None:
    """With SetOption4 an answer is on the topic of its command."""
    known = house(rl=[2], lt_st=1, so={"4": 1})
    known.hear(f"{STAT}DIMMER", {"POWER": "ON", "Dimmer": 30})
    assert known.state("light") == {"on": True, "brightness": 30}


def test_what_it_does_not_know_is_refused() -> None:
    """An unknown command refuses the order that was given last, and nothing if none was given."""
    known = house(rl=[1, 1])
    assert known.hear(f"{STAT}RESULT", {"Command": "Unknown"}).refused == []
    known.say("relay1", {"on": True})
    known.say("relay2", {"on": True})
    assert known.hear(f"{STAT}RESULT", {"Command": "Unknown"}).refused == [(f"{MAC}/relay2", "command unknown")]
    assert known.hear(f"{STAT}RESULT", {"Command": "Unknown"}).refused == []
    known.say("relay1", {"on": True})
    known.hear(f"{STAT}RESULT", {"POWER1": "ON"})
    assert known.hear(f"{STAT}RESULT", {"Command": "Error"}).refused == []


@pytest.mark.parametrize("change", [{"brightness": 40}, {"moving": None}, {"power": 3}, {"on": None}, {}])
def test_orders_that_do_not_fit_are_refused(change: State) -> None:
    """What a device does not have, or cannot be set, is refused before anything is sent."""
    known = house({"ENERGY": {"Power": 3}})
    with pytest.raises(Refused, match="Box cannot do that"):
        known.say("relay1", change)


# -- lamps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subtype", "attributes"),
    [
        (0, {"on"}),
        (1, {"on", "brightness"}),
        (2, {"on", "brightness", "color_temperature"}),
        (3, {"on", "brightness", "hue", "saturation"}),
        (4, {"on", "brightness", "hue", "saturation"}),
        (5, {"on", "brightness", "hue", "saturation", "color_temperature"}),
        (77, {"on"}),
    ],
)
def test_lamps_can_what_they_announce(subtype: int, attributes: set[str]) -> None:
    """What a lamp can follows from its type."""
    assert set(house(rl=[2], lt_st=subtype).devices[f"{MAC}/light"].attributes) == attributes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on": True}, [("POWER", b"ON")]),
        ({"on": False, "brightness": 10}, [("POWER", b"OFF")]),
        ({"on": True, "brightness": 70}, [("Dimmer", b"70")]),
        ({"brightness": 0}, [("Dimmer", b"0")]),
        ({"color_temperature": 2700, "brightness": 70}, [("CT", b"370"), ("Dimmer", b"70")]),
        ({"on": True, "color_temperature": 2000}, [("CT", b"500")]),
        ({"hue": 240, "saturation": 90, "brightness": 20}, [("HSBColor", b"240,90,20")]),
        ({"saturation": 50}, [("HSBColor", b"120,50,40")]),
        ({"hue": 30, "color_temperature": None}, [("HSBColor", b"30,60,40")]),
    ],
)
def test_lamps_are_told_in_few_words(change: State, said: Sequence[tuple[str, bytes]]) -> None:
    """A colour bears its level and what is known of it, a level switches on, and off is nothing but off."""
    known = house(rl=[2], lt_st=5)
    known.hear(f"{STAT}RESULT", {"POWER": "OFF", "Dimmer": 40, "HSBColor": "120,60,40", "White": 0, "CT": 200})
    assert known.say("light", change) == [(f"cmnd/box/{command}", payload) for command, payload in said]


def test_of_a_lamp_of_which_nothing_is_known_colours_are_full() -> None:
    """Without a known level a colour is given the highest, and without a known saturation it is full."""
    known = house(rl=[2], lt_st=3)
    assert known.say("light", {"hue": 30}) == [("cmnd/box/HSBColor", b"30,100,100")]


def test_lamps_that_may_stay_off_are_switched_on_too() -> None:
    """With SetOption20 a level does not switch on, so that a lamp that is not on is told to."""
    known = house(rl=[2], lt_st=1, so={"20": 1})
    dim, on = ("cmnd/box/Dimmer", b"70"), ("cmnd/box/POWER", b"ON")
    assert known.say("light", {"brightness": 70}) == [dim, on]
    known.hear(f"{STAT}RESULT", {"POWER": "ON", "Dimmer": 70})
    assert known.say("light", {"brightness": 70}) == [dim]
    assert known.say("light", {"on": True, "brightness": 70}) == [dim, on]
    assert known.say("light", {"brightness": 0}) == [("cmnd/box/Dimmer", b"0")]


def test_a_lamp_shows_a_colour_or_a_white() -> None:
    """Of the colour and the white that it tells, the one that it does not show is not known."""
    known = house(rl=[2], lt_st=5)
    told = {"POWER": "ON", "Dimmer": 40, "HSBColor": "30,100,40", "CT": 250}
    known.hear(f"{TELE}STATE", {**told, "White": 40})
    assert known.state("light") == {"on": True, "brightness": 40, "color_temperature": 4000}
    known.hear(f"{TELE}STATE", {**told, "White": 0})
    assert known.state("light") == {"on": True, "brightness": 40, "hue": 30, "saturation": 100}
    known = house(rl=[2], lt_st=4)
    known.hear(f"{TELE}STATE", {**told, "White": 40})
    assert known.state("light") == {"on": True, "brightness": 40, "hue": 0, "saturation": 0}


def test_whites_are_as_they_were_ordered() -> None:
    """Mireds are coarser than kelvins: the ones that were ordered are what the lamp has taken, others are others."""
    known = house(rl=[2], lt_st=2)
    known.say("light", {"color_temperature": 2700})
    known.hear(f"{STAT}RESULT", {"POWER": "ON", "CT": 370})
    assert known.state("light")["color_temperature"] == 2700
    known.hear(f"{STAT}RESULT", {"CT": 371})
    assert known.state("light")["color_temperature"] == 2695


def test_whites_may_be_fewer() -> None:
    """With SetOption82 a lamp has fewer whites."""
    white = house(rl=[2], lt_st=2).devices[f"{MAC}/light"].attributes["color_temperature"]
    assert (white.low, white.high) == (2000, 6536)
    known = house(rl=[2], lt_st=2, so={"82": 1})
    white = known.devices[f"{MAC}/light"].attributes["color_temperature"]
    assert (white.low, white.high) == (2632, 5000)
    assert known.say("light", {"color_temperature": 2632}) == [("cmnd/box/CT", b"380")]


def test_colours_and_white_may_be_two_lamps() -> None:
    """Unlinked, the colours and the white diodes of a lamp are two lamps with a dimmer each."""
    known = house(rl=[2, 2], lt_st=5, lk=0, fn=["Colours", "White"])
    assert [device.id for device in known.devices.values()] == ["light.colours", "light.white"]
    told = {"POWER1": "ON", "Dimmer1": 30, "POWER2": "OFF", "Dimmer2": 60, "HSBColor": "120,100,30", "CT": 200}
    known.hear(f"{TELE}STATE", {**told, "White": 60})
    assert known.state("light") == {"on": True, "brightness": 30, "hue": 120, "saturation": 100}
    assert known.state("light2") == {"on": False, "brightness": 60, "color_temperature": 5000}
    assert known.say("light2", {"brightness": 5}) == [("cmnd/box/Dimmer2", b"5")]
    assert known.say("light", {"on": False}) == [("cmnd/box/POWER1", b"OFF")]


def test_channels_may_be_lamps() -> None:
    """With SetOption68 each channel is a lamp that is dimmed by itself."""
    known = house(rl=[2, 2, 2], lt_st=3, so={"68": 1})
    known.hear(f"{TELE}STATE", {"POWER3": "ON", "Channel3": 45, "Channel": [1, 2, 45]})
    assert known.state("light3") == {"on": True, "brightness": 45}
    assert known.say("light3", {"brightness": 7}) == [("cmnd/box/Channel3", b"7")]


def test_some_dimmers_are_dimmed_by_another_command() -> None:
    """A Tuya dimmer is told its level as the third, and tells it as the only one."""
    known = house(rl=[1, 2], lt_st=1, ty=1)
    known.hear(f"{TELE}STATE", {"POWER1": "ON", "POWER2": "ON", "Dimmer": 45})
    assert known.state("light") == {"on": True, "brightness": 45}
    assert known.say("light", {"brightness": 7}) == [("cmnd/box/Dimmer3", b"7")]
    assert known.say("light", {"on": True}) == [("cmnd/box/POWER2", b"ON")]


# -- fans, blinds, switches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("light", [1, 2])
def test_fans_have_three_speeds(light: int) -> None:
    """An iFan is a fan and a light that cannot be dimmed; a speed between two is the nearer, as it was ordered."""
    known = house(**{"if": 1}, rl=[light], lt_st=1, fn=["Ceiling"])
    assert [device.id for device in known.devices.values()] == ["fan.box", "light.ceiling"]
    assert set(known.devices[f"{MAC}/relay1"].attributes) == {"on"}
    known.hear(f"{STAT}RESULT", {"FanSpeed": 2})
    assert known.state("fan") == {"on": True, "speed": 67}
    assert known.say("fan", {"speed": 100}) == [("cmnd/box/FanSpeed", b"3")]
    assert known.say("fan", {"speed": 5}) == [("cmnd/box/FanSpeed", b"1")]
    assert known.say("fan", {"on": False}) == [("cmnd/box/FanSpeed", b"0")]
    assert known.say("fan", {"on": True}) == [("cmnd/box/FanSpeed", b"2")]
    assert known.say("fan", {"speed": 50}) == [("cmnd/box/FanSpeed", b"2")]
    known.hear(f"{STAT}RESULT", {"FanSpeed": 2})
    assert known.state("fan")["speed"] == 50
    known.hear(f"{STAT}RESULT", {"FanSpeed": 0})
    assert known.state("fan") == {"on": False, "speed": 0}
    assert known.hear(f"{STAT}RESULT", {"FanSpeed": 4}).changed == []


def test_blinds_go_where_they_are_told() -> None:
    """A blind tells where it is and which way it goes; what it answers first is where it is to go."""
    known = house(rl=[3, 3, 3, 3], sho=[0, 0])
    assert [device.name for device in known.devices.values()] == ["Box 1", "Box 2"]
    known.hear(f"{STAT}RESULT", {"Shutter2": {"Position": 30, "Direction": 1, "Target": 80}})
    assert known.state("shutter2") == {"position": 30, "moving": "opening"}
    assert known.hear(f"{STAT}RESULT", {"ShutterPosition2": 80}).changed == []
    known.hear(f"{STAT}RESULT", {"Shutter2": {"Position": 80, "Direction": 0, "Target": 80}})
    assert known.state("shutter2") == {"position": 80}
    known.hear(f"{STAT}STATUS10", {"StatusSNS": {"Shutter1": {"Position": 5, "Direction": -1, "Target": 0}}})
    assert known.state("shutter1") == {"position": 5, "moving": "closing"}
    assert known.say("shutter2", {"position": 0}) == [("cmnd/box/ShutterClose2", b"")]


def test_inverted_blinds_count_from_the_other_end() -> None:
    """An inverted blind is 0 when open; the way it goes is that of its target, and opening it is opening it."""
    known = house(rl=[3, 3], sho=[1])
    known.hear(f"{STAT}RESULT", {"Shutter1": {"Position": 20, "Direction": 1, "Target": 0}})
    assert known.state("shutter1") == {"position": 80, "moving": "opening"}
    known.hear(f"{STAT}RESULT", {"Shutter1": {"Position": 20, "Direction": 1, "Target": 90}})
    assert known.state("shutter1")["moving"] == "closing"
    assert known.say("shutter1", {"position": 30}) == [("cmnd/box/ShutterPosition1", b"70")]
    assert known.say("shutter1", {"position": 100}) == [("cmnd/box/ShutterOpen1", b"")]


def test_blinds_may_tilt() -> None:
    """The range of a tilt is the thing's own; a blind whose slats take no time to turn has none."""
    known = house(rl=[3, 3], sho=[0], sht=[[-90, 90, 24]])
    known.hear(f"{STAT}RESULT", {"Shutter1": {"Position": 0, "Direction": 0, "Target": 0, "Tilt": 45}})
    assert known.state("shutter1") == {"position": 0, "tilt": 75}
    tilt = ("cmnd/box/ShutterTilt1", b"-45")
    assert known.say("shutter1", {"tilt": 25}) == [tilt]
    assert known.say("shutter1", {"tilt": 25, "position": 40}) == [("cmnd/box/ShutterPosition1", b"40"), tilt]
    assert "tilt" not in house(rl=[3, 3], sht=[[-90, 90, 0]]).devices[f"{MAC}/shutter1"].attributes


def test_switches_without_a_relay_detect() -> None:
    """A switch that has positions is a detector of its own, told at once and every five minutes."""
    known = house(rl=[0], swc=[-1, 1, 0, 5], swn=[None, "Back door"])
    assert [device.id for device in known.devices.values()] == [
        "binary_sensor.box_back_door",
        "binary_sensor.box_switch_4",
    ]
    assert Message("cmnd/box/STATUS", b"10") in known.hear(f"{TELE}LWT", "Online").ask
    known.hear(f"{STAT}RESULT", {"Back door": {"Action": "ON"}})
    assert known.state("switch2") == {"detected": True}
    known.hear(f"{TELE}SENSOR", {"Back door": "OFF", "Switch4": "ON"})
    assert (known.state("switch2"), known.state("switch4")) == ({"detected": False}, {"detected": True})
    with pytest.raises(Refused):
        known.say("switch2", {"detected": True})


def test_motion_ends_by_itself() -> None:
    """A motion detector that tells of no end is taken to see nothing a second later."""
    known = house(swc=[13])
    known.hear(f"{STAT}RESULT", {"Switch1": {"Action": "ON"}}, now=100.0)
    assert known.state("switch1") == {"detected": True}
    assert known.hear(f"{TELE}SENSOR", {"Switch1": "ON"}, now=100.5).changed == []
    assert known.take(known.convention.later(100.9)).changed == []
    known.take(known.convention.later(101.0))
    assert known.state("switch1") == {"detected": False}
    assert known.take(known.convention.later(200.0)).changed == []
    known.hear(f"{STAT}RESULT", {"Switch1": {"Action": "ON"}}, now=300.0)
    known.hear(f"tasmota/discovery/{MAC}/config", b"")
    assert known.take(known.convention.later(400.0)).changed == []


# -- readings ---------------------------------------------------------------------------------------------------------


def test_readings_are_in_our_units() -> None:
    """Temperatures, pressures, lengths and speeds are told in the thing's units, and each message says in which."""
    announced = {
        "BME280": {"Temperature": 68, "Humidity": 40.4, "DewPoint": 44, "Pressure": 755},
        "VL53L0X": {"Distance": 12},
        "TX23": {"Speed": {"Act": 10, "Avg": 9}, "Dir": {"Deg": 247.5}},
        "ANALOG": {"Illuminance1": 3},
        "TempUnit": "F",
        "PressureUnit": "mmHg",
        "SpeedUnit": "m/s",
    }
    known = house(announced, rl=[], dn="Weather")
    told = {key: value for key, value in announced.items() if not key.endswith("Unit")}
    known.hear(f"{TELE}SENSOR", told)
    assert known.devices[MAC].id == "sensor.weather"
    assert dict(known.devices[MAC].state) == {
        "temperature": 20,
        "humidity": 40,
        "pressure": 1006.58,
        "distance": 0.12,
        "wind_speed": 36,
        "illuminance": 3,
    }
    known.hear(f"{STAT}STATUS10", {"StatusSNS": {"BME280": {"Temperature": 21.5}, "TempUnit": "C"}})
    assert known.devices[MAC].state["temperature"] == 21.5


def test_silent_sensors_are_not_known() -> None:
    """A reading that is null, text or beyond belief is not known."""
    known = house({"DS18B20": {"Temperature": 20.6}, "TempUnit": "C"})
    silent: object
    for silent in (None, "nan", True, 4711, [], {}):
        known.hear(f"{TELE}SENSOR", {"DS18B20": {"Temperature": 20.6}})
        known.hear(f"{TELE}SENSOR", {"DS18B20": {"Temperature": silent}})
        assert known.state("relay1") == {}


def test_phases_add_up() -> None:
    """Of several phases the power is the sum, and the voltage that of the first."""
    known = house({"ENERGY": {"Power": [1, 2, 3], "Voltage": [230, 231], "Total": 5, "Factor": 1}})
    known.hear(f"{TELE}SENSOR", {"ENERGY": {"Power": [100, 20, 3], "Voltage": [230, 231], "Total": [1, 2, None]}})
    assert known.state("relay1") == {"power": 123, "voltage": 230, "energy": 3}


def test_a_second_thermometer_is_a_device_of_its_own() -> None:
    """What the first device has already is told by another, named after the sensor."""
    known = house({"DS18B20-1": {"Id": "1", "Temperature": 1}, "DS18B20-2": {"Id": "2", "Temperature": 2}})
    known.hear(f"{TELE}SENSOR", {"DS18B20-1": {"Temperature": 20}, "DS18B20-2": {"Temperature": 30}})
    assert known.state("relay1") == {"temperature": 20}
    assert known.state("sensor/ds18b20_2") == {"temperature": 30}
    assert known.devices[f"{MAC}/sensor/ds18b20_2"].id == "sensor.box_ds18b20_2"


def test_the_warmth_of_the_chip_is_none_of_ours() -> None:
    """The temperature of the chip itself, and what is called energy and is none, are left out."""
    known = house({"ESP32": {"Temperature": 55}, "LD2410": {"Energy": 12, "Distance": [0, 0, 0]}})
    assert set(known.devices[f"{MAC}/relay1"].attributes) == {"on", "distance"}


def test_batteries() -> None:
    """A thing with a battery tells in its state how full it is."""
    known = house(rl=[], bat=1)
    known.hear(f"{TELE}STATE", {"BatteryPercentage": 61})
    assert known.devices[MAC].state == {"battery": 61}


# -- what nobody should send ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"ft": "+/%prefix%/"},
        {"t": "a/+/b"},
        {"t": "x" * 300},
        {"t": "a\0b"},
        {"ft": "$SYS/%prefix%/"},
        {"ft": 5},
        {"tp": ["cmnd", "stat"]},
        {"state": ["OFF"]},
        {"rl": "1"},
        {"mac": "5CCF7F0000AB"},
        {"sht": [[0, 10**400, 5]]},
        {"fn": [{}]},
    ],
)
def test_what_is_no_announcement_is_none(changes: dict[str, Any]) -> None:
    """An announcement that is wrong anywhere, or whose topics are not one topic, is not taken at all."""
    known = House()
    assert known.hear(f"tasmota/discovery/{MAC}/config", config(**changes)) is NOTHING
    assert known.hear(f"tasmota/discovery/{MAC}/LWT", "Online") is NOTHING


def test_names_are_made_harmless() -> None:
    """Names are short and printable, and there always is one."""
    known = house(fn=["\x1b[2J\u202eLamp\n" + "x" * 500])
    assert known.devices[f"{MAC}/relay1"].name.startswith("[2JLamp xxx")
    known = house(dn="\0", fn=[""])
    assert known.devices[f"{MAC}/relay1"].name == f"Tasmota {MAC}"


def test_what_is_too_large_or_too_many_is_ignored() -> None:
    """Huge messages, and things beyond those a house can have, change nothing."""
    known = house()
    assert known.hear(f"{TELE}STATE", b'{"POWER":"ON"}' + b" " * 2**20) is NOTHING
    assert known.hear(f"tasmota/discovery/{MAC}/config", json.dumps(config()).encode() + b" " * 2**14) is NOTHING
    heard = [known.hear(f"tasmota/discovery/{i:012X}/config", config(mac=f"{i:012X}")) for i in range(600)]
    assert sum(one is not NOTHING for one in heard) == 499
    assert known.hear(f"tasmota/discovery/{MAC}/config", config(rl=[1] * 1000)).changed[-1].identity == f"{MAC}/relay32"


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xfe", b'"\xff"', b"[" * 100_000, b'{"sn":' * 5000, b"null", b"[]", b'{"POWER":', b"{}"]
)
@pytest.mark.parametrize(
    "topic",
    [f"tasmota/discovery/{MAC}/config", f"tasmota/discovery/{MAC}/sensors", f"{TELE}LWT", f"{TELE}STATE", f"{STAT}X"],
)
def test_rubbish_raises_nothing(topic: str, payload: bytes) -> None:
    """Whatever is on its topics, the parser takes it."""
    house().hear(topic, payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from([
    *("POWER", "POWER1", "Dimmer", "HSBColor", "CT", "White", "FanSpeed", "Shutter1", "Command", "Switch1", "ENERGY"),
    *("Position", "Direction", "Target", "Tilt", "Power", "Action", "StatusSNS", "TempUnit", "DS18B20", "Temperature"),
])  # fmt: skip
TOLD_JSON = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=5)


@given(st.text(max_size=30) | st.sampled_from([f"{TELE}STATE", f"{STAT}RESULT", f"{TELE}LWT"]), st.binary(max_size=50))
def test_any_bytes_anywhere_raise_nothing(topic: str, payload: bytes) -> None:
    """Any bytes on any topic are taken."""
    house(rl=[2], lt_st=5).hear(topic, payload)


@given(told=TOLD_JSON)
def test_whatever_is_told_devices_stay_sound(told: dict[str, Any]) -> None:
    """Whatever JSON a thing tells, its devices are such as the house takes."""
    known = house(
        {"ENERGY": {"Power": 1}, "DS18B20": {"Temperature": 1}},
        **{"if": 1},
        rl=[1, 3, 3, 2, 1],
        lt_st=5,
        sht=[[-90, 90, 9]],
        swc=[1, 13],
    )
    known.hear(f"{STAT}RESULT", told)
    known.hear(f"{STAT}RESULT", {"StatusSNS": told})


@given(st.dictionaries(st.sampled_from(sorted(config())), JSON, max_size=4), JSON)
def test_whatever_is_announced_devices_are_sound(changes: dict[str, Any], sensors: object) -> None:
    """Whatever a thing announces, what becomes of it is such as the house takes, and can be asked and heard."""
    known = House()
    known.hear(f"tasmota/discovery/{MAC}/config", {**config(), **changes})
    known.hear(f"tasmota/discovery/{MAC}/sensors", {"sn": sensors})
    known.hear(f"{TELE}LWT", "Online")
    known.hear(f"{TELE}STATE", {"POWER": "ON"})
