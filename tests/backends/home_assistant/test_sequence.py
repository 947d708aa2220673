"""What a script may change: exactly what is written, or that nobody can tell."""

from collections.abc import Collection

import pytest

from sshhome.backends.home_assistant.sequence import touches

LIGHT_ON = {"service": "light.turn_on", "target": {"entity_id": "light.hall"}}
UNLOCK = {"action": "lock.unlock", "target": {"entity_id": ["lock.front"]}}


def find(where: str, name: str, domain: str) -> Collection[str]:
    """Find what is named, of a device or in an area one of each kind."""
    return [name] if where == "entity_id" else [f"{domain}.of_{name}"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], set()),
        ([{"delay": 5}, {"condition": "state", "entity_id": "lock.front", "state": "on"}, {"stop": "done"}], set()),
        ([LIGHT_ON], {"light.hall"}),
        (LIGHT_ON, {"light.hall"}),
        ([{"service": "light.turn_on", "entity_id": "light.a, light.b"}], {"light.a", "light.b"}),
        ([{"service": "light.turn_on", "data": {"entity_id": "light.a"}, "target": {"area_id": "x"}}],
         {"light.a", "light.of_x"}),
        ([{"action": "light.turn_on", "data": {"brightness": "{{ 7 }}"}, "target": {"device_id": ["x"]}}],
         {"light.of_x"}),
        ([{"device_id": "x", "domain": "lock", "type": "unlock", "entity_id": "f00"}], {"homeassistant.of_x"}),
        ([{"scene": "scene.evening"}], {"scene.evening"}),
        ([{"service": "scene.turn_on", "target": {"entity_id": "scene.evening"}}], {"scene.evening"}),
        ([{"service": "script.other", "data": {"a": 1}}], {"script.other"}),
        ([{"service": "script.turn_on", "target": {"entity_id": "script.other"}}], {"script.other"}),
        ([{"service": "homeassistant.turn_off", "target": {"entity_id": "all"}}], {"all"}),
        ([{"service": "notify.phone", "data": {"message": "{{ x }}"}}], set()),
        ([{"service": "homeassistant.update_entity", "target": {"entity_id": "lock.front"}}], set()),
        ([{"enabled": False, **UNLOCK}], set()),
        ([{"enabled": "{{ false }}", **UNLOCK}], {"lock.front"}),
        ([{"if": [], "then": [LIGHT_ON], "else": UNLOCK}], {"light.hall", "lock.front"}),
        ([{"choose": [{"conditions": [], "sequence": [LIGHT_ON]}], "default": [UNLOCK]}], {"light.hall", "lock.front"}),
        ([{"choose": {"conditions": [], "sequence": [LIGHT_ON]}}], {"light.hall"}),
        ([{"repeat": {"count": 3, "sequence": [LIGHT_ON]}}], {"light.hall"}),
        ([{"parallel": [LIGHT_ON, {"sequence": [UNLOCK]}]}], {"light.hall", "lock.front"}),
        ([{"sequence": [{"sequence": [UNLOCK]}]}], {"lock.front"}),
    ],
)  # fmt: skip
def test_what_is_written(steps: object, expected: set[str]) -> None:
    """Everything that a script names to change is found, whatever is around it; what it only asks about is not."""
    assert touches({"alias": "x", "sequence": steps}, find) == frozenset(expected)


@pytest.mark.parametrize(
    "step",
    [
        {"service": "{{ what }}"},
        {"service_template": "lock.{{ what }}"},
        {"service": "lock.unlock", "target": "{{ where }}"},
        {"service": "lock.unlock", "target": {"entity_id": "{{ where }}"}},
        {"service": "lock.unlock", "target": {"entity_id": ["lock.a", "lock.{{ x }}"]}},
        {"service": "lock.unlock", "data_template": {"entity_id": "{{ where }}"}},
        {"service": "lock.unlock", "target": {"label_id": "doors"}},
        {"service": "lock.unlock", "target": {"floor_id": "ground"}},
        {"service": "lock.unlock", "target": {"entity_id": {"a": 1}}},
        {"service": "shell_command.open"},
        {"service": "mqtt.publish", "data": {"topic": "lock/set"}},
        {"service": "python_script.open"},
        {"service": "automation.trigger", "target": {"entity_id": "automation.open"}},
        {"service": "scene.apply", "data": {"entities": {"lock.a": "unlocked"}}},
        {"service": "homeassistant.restart"},
        {"service": "script.reload"},
        {"service": 3},
        {"event": "open_the_door"},
        {"what": "is this"},
        {"repeat": "me"},
        "lock.unlock",
        None,
        [],
    ],
)
def test_what_nobody_can_tell(step: object) -> None:
    """One step that is not understood to the last word, and nobody can tell."""
    assert touches({"sequence": [LIGHT_ON, step]}, find) is None
    assert touches({"sequence": [{"if": [], "then": [{"delay": 1}], "else": [step]}]}, find) is None


@pytest.mark.parametrize("config", [None, 3, [], {}, {"use_blueprint": {"path": "x"}}, {"sequence": None}])
def test_what_is_no_script(config: object) -> None:
    """Of what is no script, or made from a blueprint, nobody can tell."""
    assert touches(config, find) is None


def test_it_ends() -> None:
    """A script that goes too deep is not followed for ever."""
    steps: object = [UNLOCK]
    for _ in range(5000):
        steps = [{"sequence": steps}]
    assert touches({"sequence": steps}, find) is None
