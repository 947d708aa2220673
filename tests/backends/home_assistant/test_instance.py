"""One Home Assistant as it tells of itself: what comes, changes and goes, what bears a battery, what touches what."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.backends.home_assistant.entry import entries
from sshhome.backends.home_assistant.instance import UNTOLD, Cause, Instance
from sshhome.device import Device

LOCK_ON = {"alias": "Let in", "sequence": [{"service": "lock.unlock", "target": {"entity_id": "lock.door"}}]}


def instance(states: Mapping[str, object], *registry: Mapping[str, object], **scripts: object) -> Instance:
    """Return one that has told of these states and registry entries, and of these scripts."""
    made = Instance()
    made.entries = entries([{"area_id": "hall", "name": "Hall"}], [{"id": "d1", "area_id": "hall"}], list(registry))
    made.hear({"a": {one: {"s": told} if isinstance(told, str) else told for one, told in states.items()}})
    made.scripts.update({f"script.{name}": config for name, config in scripts.items()})
    made.settle()
    return made


def entry(entity_id: str, **fields: object) -> Mapping[str, object]:
    """Return a registry entry of a device of its own platform."""
    unique = entity_id.partition(".")[2]
    return {"entity_id": entity_id, "platform": "hub", "unique_id": unique, **fields}


def the(made: Instance, entity_id: str) -> Device:
    """Return an entity as a device."""
    found = made.device(entity_id)
    assert found is not None
    return found


def test_changes() -> None:
    """What is told of a change is only what is different; what is taken away is not kept."""
    made = instance({"light.a": {"s": "on", "a": {"supported_color_modes": ["brightness"], "brightness": 255}}})
    changed, came = made.hear({"c": {"light.a": {"+": {"a": {"brightness": 102}, "lu": 1.0}}}})
    assert (list(changed), came) == (["light.a"], False)
    assert the(made, "light.a").state == {"on": True, "brightness": 40}
    made.hear({"c": {"light.a": {"+": {"s": "off"}, "-": {"a": ["brightness", "nosuch"]}}}})
    assert the(made, "light.a").state == {"on": False, "brightness": None}
    assert made.hear({"c": {"light.b": {"+": {"s": "off"}}}}) == ({}, False)


def test_who_changed_it() -> None:
    """A cause is told as far as it is another than before."""
    made = instance({"light.a": {"s": "on", "c": "1"}})
    (change, _) = made.hear({"c": {"light.a": {"+": {"s": "off", "c": {"id": "2", "user_id": "anna"}}}}})
    assert change["light.a"] == Cause("2", "anna")
    (change, _) = made.hear({"c": {"light.a": {"+": {"s": "on", "c": "3"}}}})
    assert change["light.a"] == Cause("3", "anna")
    (change, _) = made.hear({"c": {"light.a": {"+": {"s": "off", "c": {"user_id": None, "parent_id": "3"}}}}})
    assert change["light.a"] == Cause("3", "", "3")
    (change, _) = made.hear({"c": {"light.a": {"+": {"a": {"x": 1}}}}})
    assert change["light.a"] == Cause("3", "", "3")


def test_coming_and_going() -> None:
    """What has come is a device once everything has been put together; what has gone is none at once."""
    made = instance({"light.a": "on"})
    assert made.hear({"a": {"light.b": {"s": "on"}}}) == ({}, True)
    assert made.device("light.b") is None
    made.settle()
    assert made.shown == {"light.a": "light.a", "light.b": "light.b"}
    assert made.hear({"r": ["light.a"]}) == ({}, True)
    assert made.device("light.a") is None
    assert made.hear({"r": ["light.nosuch"]}) == ({}, False)


def test_another_id_is_the_same_identity() -> None:
    """An entity whose id is another is the same device, as soon as the registry has been told again."""
    made = instance({"light.a": "on"}, entry("light.a", unique_id="7"))
    made.hear({"r": ["light.a"], "a": {"light.b": {"s": "on"}}})
    made.entries = entries([], [], [entry("light.b", unique_id="7")])
    made.settle()
    assert made.shown == {"light/hub/7": "light.b"}


def test_what_is_no_device() -> None:
    """What is hidden, for setting things up, or of a kind that the house does not know is none."""
    made = instance(
        dict.fromkeys(("light.a", "light.b", "light.c", "camera.d", "sensor.e"), "on"),
        entry("light.b", hidden_by="user"),
        entry("light.c", entity_category="config"),
        entry("sensor.e", entity_category="diagnostic"),
    )
    assert list(made.shown.values()) == ["light.a"]


def test_batteries() -> None:
    """A battery's level is borne by what runs on it, and is a sensor where nothing but sensors does."""
    level = {"s": "81", "a": {"device_class": "battery", "unit_of_measurement": "%"}}
    diagnostic = {"device_id": "d1", "entity_category": "diagnostic"}
    made = instance(
        {"lock.a": "locked", "sensor.a_temperature": "20", "sensor.a_battery": level},
        entry("lock.a", device_id="d1"),
        entry("sensor.a_temperature", device_id="d1"),
        entry("sensor.a_battery", **diagnostic),
    )
    assert set(made.shown.values()) == {"lock.a", "sensor.a_temperature"}
    assert the(made, "lock.a").state["battery"] == 81
    assert the(made, "lock.a").room == "hall"
    # Whoever charged it did not turn the lock.
    by = {"s": "80", "c": {"id": "1", "user_id": "anna"}}
    changed, _ = made.hear({"c": {"sensor.a_battery": {"+": by}}})
    assert changed["lock.a"] == Cause()
    assert the(made, "lock.a").state["battery"] == 80
    alone = instance({"sensor.a_battery": level}, entry("sensor.a_battery", **diagnostic))
    assert the(alone, "sensor.a_battery").state == {"battery": 81}
    hidden = instance({"sensor.a_battery": level}, entry("sensor.a_battery", **diagnostic, hidden_by="user"))
    assert not hidden.shown


def test_a_scene_touches_what_it_names() -> None:
    """A scene of Home Assistant names what it sets, hidden things too; one that lives in a bridge does not."""
    states = {
        "scene.own": {"s": "unknown", "a": {"entity_id": ["light.a", "lock.hidden"]}},
        "scene.bridge": "unknown",
        "scene.alone": "unknown",
        **dict.fromkeys(("light.a", "lock.hidden", "light.b", "switch.b", "sensor.b", "scene.b"), "on"),
    }
    made = instance(
        states,
        entry("light.a", platform="other"),
        entry("lock.hidden", hidden_by="user", platform="other"),
        *(entry(one) for one in ("scene.bridge", "light.b", "switch.b", "sensor.b", "scene.b")),
    )
    assert the(made, "scene.own").members == {"light/other/a": {}, "lock/other/hidden": {}}
    assert the(made, "scene.bridge").members == {"light/hub/b": {}, "switch/hub/b": {}}
    assert the(made, "scene.alone").members == {UNTOLD: {}}
    assert the(made, "scene.alone").note == "what it touches is not known"


def test_a_script_touches_what_its_owner_wrote() -> None:
    """A script touches what is written there; one that is not known, or has gone since, nobody can tell what."""
    states = dict.fromkeys(("script.let_in", "script.secret", "script.chain", "lock.door"), "off")
    chain = {"sequence": [{"service": "script.let_in"}]}
    made = instance(states, let_in=LOCK_ON, chain=chain)
    assert the(made, "script.let_in").members == {"lock.door": {}}
    assert the(made, "script.chain").members == {"script.let_in": {}}
    assert the(made, "script.secret").members == {UNTOLD: {}}
    made.hear({"r": ["script.let_in"]})
    made.hear({"a": {"script.let_in": {"s": "off"}}})
    made.settle()
    assert the(made, "script.let_in").members == {UNTOLD: {}}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"area_id": "hall"}, {"light/hub/a"}),
        ({"device_id": "d1"}, {"light/hub/a"}),
        ({"entity_id": "all"}, {"light/hub/a", "light/hub/b", "light/hub/hidden"}),
        ({"entity_id": "group.downstairs"}, {"light/hub/a", "light/hub/b"}),
        ({"entity_id": "light.nosuch"}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_a_target_reaches(target: Mapping[str, object], expected: set[str]) -> None:
    """Areas, devices and groups reach what Home Assistant would operate there, of the kind that is operated."""
    states: dict[str, object] = dict.fromkeys(("light.a", "light.b", "light.hidden", "lock.a", "sensor.a"), "on")
    states["group.upstairs"] = {"s": "on", "a": {"entity_id": ["light.b", "group.downstairs"]}}
    states["group.downstairs"] = {"s": "on", "a": {"entity_id": ["light.a", "group.upstairs"]}}
    made = instance(
        {**states, "script.x": "off"},
        entry("light.a", device_id="d1"),
        entry("lock.a", device_id="d1"),
        entry("sensor.a", device_id="d1"),
        entry("light.b"),
        entry("light.hidden", hidden_by="user", device_id="d1"),
        x={"sequence": [{"service": "light.turn_off", "target": target}]},
    )
    assert the(made, "script.x").members.keys() == expected


def test_groups() -> None:
    """A group changes its parts; of covers one with a garage door in it guards, even where that is hidden."""
    made = instance(
        {
            "cover.all": {"s": "open", "a": {"entity_id": ["cover.blind", "cover.garage", "cover.nosuch"]}},
            "cover.blind": {"s": "open", "a": {"device_class": "blind"}},
            "cover.garage": {"s": "open", "a": {"device_class": "garage"}},
            "sensor.mean": {"s": "20", "a": {"entity_id": ["sensor.a"], "unit_of_measurement": "°C"}},
        },
        entry("cover.garage", hidden_by="integration"),
    )
    group = the(made, "cover.all")
    assert group.group == ("cover.blind",)
    assert group.guards
    assert not the(made, "cover.blind").guards
    assert not the(made, "sensor.mean").touches


def test_what_was_activated() -> None:
    """A scene that ran because we said so tells our own moment, until it runs again."""
    made = instance({"scene.a": {"s": "unknown", "a": {"entity_id": []}}})
    made.hear({"c": {"scene.a": {"+": {"s": "2026-06-02T12:00:00.5+00:00"}}}})
    made.activate("scene.a", "2026-06-02T11:59:59Z")
    assert the(made, "scene.a").state == {"activated": "2026-06-02T11:59:59Z"}
    made.hear({"c": {"scene.a": {"+": {"s": "2026-06-02T12:00:07+00:00"}}}})
    assert the(made, "scene.a").state == {"activated": "2026-06-02T12:00:07Z"}


def test_what_cannot_be_reached() -> None:
    """An entity that is not available is told of, as such."""
    assert not the(instance({"light.a": "unavailable"}), "light.a").available
    assert the(instance({"light.a": "unknown"}), "light.a").available


_KEYS = st.sampled_from(["a", "c", "r", "+", "-", "s", "light.a", "script.b", "scene.c", "id", "user_id", "entity_id"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_JSON | st.dictionaries(_KEYS, _JSON, max_size=3), max_size=4))
def test_whatever_is_told(events: list[object]) -> None:
    """Whatever comes as an event, nothing breaks, and every device has a name."""
    made = instance({"light.a": "on", "script.b": "off", "scene.c": "unknown"})
    for event in events:
        made.hear(event)
        made.settle()
        assert all(the(made, entity_id).name for entity_id in made.shown.values())
