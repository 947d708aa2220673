"""Lamps, in each of the three languages they are spoken to."""

import json

import pytest

from sshhome.errors import Refused
from tests.conventions.discovery.components.described import Described

COLORED = {"brightness": 100, "color_temperature": None, "hue": 0, "saturation": 100}


def test_a_lamp_in_json_may_only_be_on() -> None:
    """A lamp in JSON that says nothing else is on or off."""
    lamp = Described("light", schema="json", command_topic="l/set", state_topic="l")
    assert lamp.hears("l", '{"state": "ON", "brightness": 5}') == {"on": True}
    assert lamp.says(on=False) == [("l/set", '{"state":"OFF"}')]
    assert lamp.hears("l", '{"state": null}') == {"on": None}


@pytest.mark.parametrize(
    ("modes", "color"),
    [
        (["xy", "color_temp"], {"x": 0.7006, "y": 0.2993}),
        (["hs", "color_temp"], {"h": 0, "s": 100}),
        (["rgb", "color_temp"], {"r": 255, "g": 0, "b": 0}),
        (["rgbw", "color_temp"], {"r": 255, "g": 0, "b": 0, "w": 0}),
        (["rgbww", "color_temp"], {"r": 255, "g": 0, "b": 0, "c": 0, "w": 0}),
    ],
)
def test_a_lamp_in_json_has_colours_in_its_own_way(modes: list[str], color: dict[str, float]) -> None:
    """A lamp is told a colour in a mode that it has, and tells it in that; a white takes the colour's place."""
    lamp = Described(
        "light",
        schema="json",
        command_topic="l/set",
        state_topic="l",
        supported_color_modes=modes,
        brightness_scale=254,
    )
    ((topic, said),) = lamp.says(hue=0, saturation=100, brightness=40)
    assert (topic, json.loads(said)) == ("l/set", {"state": "ON", "color": color, "brightness": 102})
    told = {"state": "ON", "brightness": 254, "color_mode": modes[0], "color": color, "color_temp": 250}
    assert lamp.hears("l", json.dumps(told)) == {"on": True, **COLORED}
    white = lamp.hears("l", '{"color_mode": "color_temp"}')
    assert (white["color_temperature"], white["hue"]) == (4000, None)
    assert json.loads(lamp.says(color_temperature=2700)[0][1]) == {"state": "ON", "color_temp": 370}
    assert lamp.hears("l", '{"color_mode": "color_temp", "color_temp": 370}')["color_temperature"] == 2700


def test_a_lamp_in_json_may_say_its_features_the_old_way() -> None:
    """Flags for each feature are understood too, kelvin are said where a lamp wants them, and effects are listed."""
    lamp = Described(
        "light",
        schema="JSON",
        command_topic="l/set",
        state_topic="l",
        brightness=True,
        color_temp=True,
        hs=True,
        effect=True,
        effect_list=["rainbow"],
        color_temp_kelvin=True,
        min_kelvin=2200,
        max_kelvin=4000,
    )
    white = lamp.device.attributes["color_temperature"]
    assert (white.low, white.high) == (2200, 4000)
    assert lamp.hears("l", '{"state": "ON", "color_temp": 2700, "effect": "rainbow"}')["color_temperature"] == 2700
    assert lamp.hears("l", '{"color": {"h": 120, "s": 50}}')["color_temperature"] is None
    assert lamp.device.state["hue"] == 120
    assert json.loads(lamp.says(color_temperature=3000, effect="rainbow")[0][1])["color_temp"] == 3000
    assert json.loads(lamp.says(hue=240)[0][1])["color"] == {"h": 240, "s": 50}


def test_a_lamp_in_json_bears_nonsense() -> None:
    """Whatever is in the JSON of a lamp, what is known of it is a colour, a level, or nothing."""
    lamp = Described(
        "light", schema="json", command_topic="c", state_topic="l", supported_color_modes=["xy", "color_temp"]
    )
    for told in (
        '{"state": [], "brightness": {}, "color": [], "color_temp": "x", "color_mode": 5, "effect": {}}',
        '{"brightness": -1, "color": {"x": 1e400, "y": 0}, "color_temp": 0, "color_mode": "xyz"}',
        '{"brightness": 1e999, "color": {"h": 720, "s": 1000}}',
        '{"color": {"r": "a", "g": 1, "b": 2}}',
        '{"color": null, "color_temp": null}',
        "[1]",
        "",
        "{",
    ):
        lamp.hears("l", told)
    assert lamp.device.state["brightness"] is None


def test_a_lamp_of_topics_may_only_be_on() -> None:
    """A lamp with a topic for each feature, and none but that, is on or off."""
    lamp = Described("light", command_topic="l/set", state_topic="l")
    assert lamp.hears("l", "ON") == {"on": True}
    assert lamp.says(on=False) == [("l/set", "OFF")]


def test_a_lamp_of_topics_has_one_for_each_feature() -> None:
    """Each feature is told on its own topic, in its own scale, and the word for on comes last."""
    names = ("brightness", "color_temp", "hs", "effect")
    topics = {
        f"{name}_{way}_topic": f"l/{name}{end}" for name in names for way, end in (("state", ""), ("command", "/set"))
    }
    lamp = Described(
        "light",
        command_topic="l/set",
        state_topic="l",
        state_value_template="{{ value_json.s }}",
        **topics,
        brightness_scale=100,
        effect_list=["calm"],
        effect_command_template="<{{ value }}>",
        min_mireds=153,
        max_mireds=400,
    )
    lamp.hears("l", '{"s": "ON"}')
    lamp.hears("l/brightness", "100")
    assert lamp.hears("l/brightness", "0")["brightness"] == 100
    lamp.hears("l/effect", "calm")
    assert lamp.hears("l/color_temp", "250")["color_temperature"] == 4000
    assert lamp.hears("l/hs", "0.0,100.0") == {"on": True, **COLORED, "effect": "calm"}
    assert lamp.says(hue=0, saturation=100, brightness=30) == [
        ("l/hs/set", "0,100"),
        ("l/brightness/set", "30"),
        ("l/set", "ON"),
    ]
    assert lamp.says(color_temperature=4000, effect="calm") == [
        ("l/color_temp/set", "250"),
        ("l/effect/set", "<calm>"),
        ("l/set", "ON"),
    ]
    assert lamp.says(brightness=0) == [("l/set", "OFF")]


@pytest.mark.parametrize(
    ("begins", "wanted"),
    [("first", ["l/set ON", "l/bri 128"]), ("last", ["l/bri 128", "l/set ON"]), ("brightness", ["l/bri 128"])],
)
def test_a_lamp_may_be_switched_on_first_last_or_by_its_level(begins: str, wanted: list[str]) -> None:
    """How a lamp is switched on is its own; one that goes by its level is given it."""
    lamp = Described("light", command_topic="l/set", brightness_command_topic="l/bri", on_command_type=begins)
    assert [" ".join(said) for said in lamp.says(brightness=50)] == wanted
    on = [" ".join(said) for said in lamp.says(on=True)]
    assert on == (["l/bri 255"] if begins == "brightness" else ["l/set ON"])


@pytest.mark.parametrize(
    ("mode", "said", "template", "made"),
    [
        ("rgb", "255,0,0", "{{ red }}-{{ green }}", "255-0"),
        ("rgbw", "255,0,0,0", "{{ red }}-{{ white }}", "255-0"),
        ("rgbww", "255,0,0,0,0", "{{ cold_white }}-{{ warm_white }}", "0-0"),
        ("xy", "0.7006,0.2993", "{{ x }}-{{ y }}", "0.7006-0.2993"),
    ],
)
def test_a_lamp_of_topics_has_colours_in_its_own_way(mode: str, said: str, template: str, made: str) -> None:
    """Colours are numbers, with the level in them where that has no topic, or what a template makes of them."""
    config = {f"{mode}_command_topic": "l/color/set", f"{mode}_state_topic": "l/color"}
    lamp = Described("light", command_topic="l/set", brightness_command_topic="l/bri", **config)
    assert lamp.says(hue=0, saturation=100) == [("l/color/set", said), ("l/set", "ON")]
    assert lamp.hears("l/color", said)["hue"] == 0
    templated = Described("light", **config, **{f"{mode}_command_template": template})
    assert templated.says(hue=0, saturation=100) == [("l/color/set", made)]


def test_channels_tell_the_level_if_nothing_else_does() -> None:
    """A lamp of three channels is as bright as the brightest of them, and is dimmed by all three."""
    lamp = Described("light", command_topic="l/set", rgb_command_topic="l/rgb/set", rgb_state_topic="l/rgb")
    state = lamp.hears("l/rgb", "0,51,0")
    assert (state["hue"], state["saturation"], state["brightness"]) == (120, 100, 20)
    assert lamp.says(brightness=50) == [("l/rgb/set", "0,128,0"), ("l/set", "ON")]
    assert lamp.says(hue=0, saturation=100) == [("l/rgb/set", "51,0,0"), ("l/set", "ON")]
    for payload in ("0,0,0", "1,2", "a,b,c", "", "1" * 5000):
        assert lamp.hears("l/rgb", payload)["hue"] == 120


def test_a_lamp_that_says_its_mode_shows_that() -> None:
    """Where a topic tells whether a colour or a white is shown, that is shown, whatever else is told."""
    lamp = Described(
        "light",
        command_topic="l/set",
        hs_command_topic="l/hs/set",
        hs_state_topic="l/hs",
        color_temp_command_topic="l/ct/set",
        color_temp_state_topic="l/ct",
        color_mode_state_topic="l/mode",
    )
    lamp.hears("l/mode", "hs")
    lamp.hears("l/hs", "120,100")
    assert lamp.hears("l/ct", "250")["hue"] == 120
    assert lamp.hears("l/mode", "color_temp")["color_temperature"] == 4000


def test_what_a_colour_comes_back_as_is_the_colour() -> None:
    """A dim lamp of three channels cannot tell a colour as finely as it was told it, and has it all the same."""
    lamp = Described("light", command_topic="l/set", rgb_command_topic="l/rgb", rgb_state_topic="l/rgb/state")
    lamp.hears("l/rgb/state", "3,3,3")
    ((_, said), _) = lamp.says(hue=200, saturation=30)
    state = lamp.hears("l/rgb/state", said)
    assert (state["hue"], state["saturation"]) == (200, 30)


def test_a_lamp_in_templates_is_spoken_to_in_them() -> None:
    """A lamp of templates is told what they make of what is wanted, and of that alone."""
    lamp = Described(
        "light",
        schema="template",
        command_topic="l/set",
        state_topic="l",
        command_on_template=(
            "on{% if brightness is defined %},b{{ brightness }}{% endif %}"
            "{% if red is defined %},{{ red }}-{{ green }}-{{ blue }}{% endif %}"
            "{% if color_temp is defined %},c{{ color_temp }}{% endif %}{{ ',' ~ effect if effect is defined }}"
        ),
        command_off_template="off",
        state_template="{{ value.split(',')[0] }}",
        brightness_template="{{ value.split(',')[1] }}",
        red_template="{{ value.split(',')[2].split('-')[0] }}",
        green_template="{{ value.split(',')[2].split('-')[1] }}",
        blue_template="{{ value.split(',')[2].split('-')[2] }}",
        color_temp_template="{{ value.split(',')[3] }}",
        effect_template="{{ value.split(',')[4] }}",
        effect_list=["calm"],
    )
    assert lamp.hears("l", "on,255,255-0-0,None,calm") == {"on": True, **COLORED, "effect": "calm"}
    assert lamp.says(on=False) == [("l/set", "off")]
    assert lamp.says(brightness=50, hue=0, saturation=100) == [("l/set", "on,b128,255-0-0")]
    assert lamp.says(color_temperature=4000, effect="calm") == [("l/set", "on,c250,calm")]
    lamp.hears("l", "nonsense")
    assert lamp.device.state["on"] is True


def test_a_lamp_in_templates_may_only_be_on() -> None:
    """A lamp of templates that says nothing else is on or off, and cannot be told anything if one is missing."""
    config = {"schema": "template", "command_topic": "l/set"}
    assert Described("light", **config, command_on_template="1", command_off_template="0").says(on=True) == [
        ("l/set", "1")
    ]
    with pytest.raises(Refused):
        Described("light", **config, command_on_template="1").says(on=True)
