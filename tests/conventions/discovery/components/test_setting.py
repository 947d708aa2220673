"""Switches, sirens, numbers, selects, texts, and what is pressed."""

import pytest

from sshhome.errors import Refused
from tests.conventions.discovery.components.described import Described


def test_a_switch_has_words_for_on_and_off() -> None:
    """A switch that says no words of its own has ON and OFF, in both directions."""
    plug = Described("switch", command_topic="plug/set", state_topic="plug")
    assert plug.device.state == {"on": None}
    assert plug.hears("plug", "ON") == {"on": True}
    assert plug.hears("plug", "OFF") == {"on": False}
    assert plug.hears("plug", "perhaps") == {"on": False}
    assert plug.hears("plug", "None") == {"on": None}
    assert plug.says(on=True) == [("plug/set", "ON")]
    assert plug.says(on=False) == [("plug/set", "OFF")]


def test_a_switch_may_have_words_of_its_own() -> None:
    """Its states may have other words than its orders, numbers are words, and templates make both."""
    plug = Described(
        "switch",
        command_topic="plug/set",
        command_template='{"relay": "{{ value }}"}',
        state_topic="plug",
        value_template="{{ value_json.relay }}",
        payload_on=1,
        payload_off=0,
        state_on="open",
        state_off="shut",
        device_class="outlet",
    )
    assert plug.device.device_class == "outlet"
    assert plug.hears("plug", '{"relay": "open"}') == {"on": True}
    assert plug.hears("plug", '{"relay": 1}') == {"on": True}
    assert plug.says(on=False) == [("plug/set", '{"relay": "0"}')]


def test_without_a_state_topic_nothing_is_known() -> None:
    """What only takes orders can be given them, and its state stays unknown: no echo is invented."""
    plug = Described("switch", command_topic="plug/set")
    assert plug.says(on=True) == [("plug/set", "ON")]
    assert plug.device.state == {"on": None}
    assert not plug.listens


def test_without_a_command_topic_it_is_read_only() -> None:
    """What only tells how it is cannot be set, and says so."""
    plug = Described("switch", state_topic="plug")
    assert plug.settable == set()
    with pytest.raises(Refused, match=r"on of Thing cannot be set"):
        plug.says(on=True)


def test_a_siren_speaks_json_if_it_has_no_template() -> None:
    """A siren is told in JSON, and tells a word or JSON; by a template it is told what that makes."""
    siren = Described("siren", command_topic="siren/set", state_topic="siren")
    assert siren.hears("siren", "ON") == {"on": True}
    assert siren.hears("siren", '{"state": "OFF", "tone": "x"}') == {"on": False}
    assert siren.hears("siren", '{"state": ["ON"]}') == {"on": False}
    assert siren.says(on=True) == [("siren/set", '{"state":"ON"}')]
    bell = Described(
        "siren",
        command_topic="bell",
        command_template='{"warning": "{{ tone | default("burglar") if state == "ON" else "stop" }}"}',
    )
    assert bell.says(on=True) == [("bell", '{"warning": "burglar"}')]
    assert bell.says(on=False) == [("bell", '{"warning": "stop"}')]
    horn = Described("siren", command_topic="horn", command_off_template="quiet {{ value }}")
    assert [horn.says(on=on) for on in (True, False)] == [[("horn", '{"state":"ON"}')], [("horn", "quiet OFF")]]


def test_a_number_has_bounds_and_a_unit() -> None:
    """A number is the value that it is, in its own unit; whole ones are written so."""
    level = Described("number", command_topic="l/set", state_topic="l", min=-5, max=5.5, unit_of_measurement="V")
    value = level.device.attributes["value"]
    assert (value.low, value.high, value.unit) == (-5, 5.5, "V")
    assert level.hears("l", "2.25") == {"value": 2.25}
    assert level.hears("l", "None") == {"value": None}
    assert level.says(value=3.0) == [("l/set", "3")]
    assert level.says(value=0.5) == [("l/set", "0.5")]
    assert Described("number", command_topic="l/set").device.attributes["value"].high == 100


def test_a_select_has_options() -> None:
    """A select is one of its options, and nothing else."""
    source = Described("select", command_topic="s/set", state_topic="s", options=["TV", "Radio", "TV", "\x1b", 5])
    assert source.device.attributes["option"].options == ("TV", "Radio", "5")
    assert source.hears("s", "Radio") == {"option": "Radio"}
    assert source.hears("s", "else") == {"option": "Radio"}
    assert source.says(option="TV") == [("s/set", "TV")]


def test_a_text_is_one_line_and_a_password_is_not_shown() -> None:
    """A text is shown as one harmless line; one that is a password is never known."""
    note = Described("text", command_topic="t/set", state_topic="t", min=2, max=1000)
    assert (note.device.attributes["text"].low, note.device.attributes["text"].high) == (2, 255)
    assert note.hears("t", "one\n two\x1b[2J") == {"text": "one two[2J"}
    assert note.says(text="Grüße") == [("t/set", "Grüße")]
    secret = Described("text", command_topic="t/set", state_topic="t", mode="password")
    assert secret.hears("t", "secret") == {"text": None}


@pytest.mark.parametrize(("kind", "word"), [("button", "PRESS"), ("scene", "ON")])
def test_what_is_pressed_is_told_so(kind: str, word: str) -> None:
    """A button and a scene are told one word, and tell nothing."""
    assert Described(kind, command_topic="b").says(activated="2026-11-21T12:00:00Z") == [("b", word)]
    own = {"payload_press": "x", "payload_on": "x"}
    assert Described(kind, command_topic="b", **own).says(activated="now") == [("b", "x")]
