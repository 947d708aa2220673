"""What a configuration says is read for what it is, and what cannot be said is refused."""

import pytest

from sshhome.conventions.discovery.component import Component
from sshhome.conventions.discovery.components import BUILDERS, build
from sshhome.device import Device
from sshhome.errors import Refused
from tests.conventions.discovery.components.described import Described


def test_texts_numbers_and_flags_are_read_as_home_assistant_reads_them() -> None:
    """Numbers and booleans may be texts, texts may be numbers, and what is neither is the default."""
    config = {"a": 1, "b": True, "c": "2.5", "d": None, "e": ["x", 5, {}, "\x1b"], "f": "false", "g": "x" * 5000}
    made = Component("switch", config)
    assert [made.text(key, "?") for key in "abcdefgh"] == ["1", "True", "2.5", "?", "?", "false", "?", "?"]
    assert [made.number(key, -1) for key in "acdz"] == [1, 2.5, -1, -1]
    assert [made.flag(key) for key in "bfz"] == [True, False, False]
    assert (made.texts("e"), made.texts("c"), made.texts("z", ("y",))) == (("x", "5"), ("2.5",), ("y",))
    assert made.given("d")


@pytest.mark.parametrize("topic", ["a/+/b", "a/#", "", "a\x00b", "x" * 2000, None, 5, ["a"]])
def test_what_is_no_topic_is_not_listened_to(topic: object) -> None:
    """Wildcards, control characters, and what is too long or no text are no topics, to listen to or to speak to."""
    plug = Described("switch", state_topic=topic, command_topic=topic)
    assert not plug.listens
    with pytest.raises(Refused):
        plug.says(on=True)


def test_a_template_that_is_not_supported_is_noted() -> None:
    """What can be read and said without it works; what it is needed for cannot be set, for the same reason."""
    loop = "{% for x in value %}{% endfor %}"
    blind = Described(
        "cover",
        position_topic="b",
        command_topic="b/set",
        tilt_status_topic="b/tilt",
        tilt_status_template=loop,
        tilt_command_topic="b/tilt/set",
        tilt_command_template=loop,
    )
    assert blind.device.note == "template not supported: it has a loop"
    assert blind.hears("b", "30")["position"] == 30
    assert blind.says(position=100) == [("b/set", "OPEN")]
    assert "tilt" not in blind.settable
    with pytest.raises(Refused, match="tilt of Thing cannot be set: template not supported: it has a loop"):
        blind.says(tilt=30)


def test_a_template_that_fails_refuses() -> None:
    """What a template cannot make of a value is not published."""
    level = Described("number", command_topic="l", command_template="{{ value / 0 }}")
    with pytest.raises(Refused, match="its template cannot say 5"):
        level.says(value=5.0)


def test_values_of_none_are_left_alone() -> None:
    """A change that holds nothing says nothing, but for a stop."""
    assert Described("switch", command_topic="p").says(on=None) == []
    assert Described("cover", command_topic="c").says(moving=None, position=None) == [("c", "STOP")]


def test_bounds_are_in_order() -> None:
    """A range that is told the wrong way round is that range."""
    value = Described("number", min=10, max=-10, command_topic="n").device.attributes["value"]
    assert (value.low, value.high) == (10, 10)
    target = Described("climate", min_temp=30, max_temp=5, temperature_command_topic="t").device.attributes
    assert (target["target_temperature"].low, target["target_temperature"].high) == (5, 30)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_every_component_can_be_described_by_nothing(kind: str) -> None:
    """A component that says nothing at all is a device, of which nothing is known and that cannot be set."""
    made = build(kind, {})
    assert made is not None
    device = Device(id=f"{kind}.x", name="X", attributes=made.attributes)
    for name in made.attributes:
        with pytest.raises(Refused):
            made.say(device, {name: 1})


def test_other_components_are_none() -> None:
    """What is of no use here is not built."""
    assert [build(kind, {}) for kind in ("camera", "update", "device_automation", "tag", "")] == [None] * 5
