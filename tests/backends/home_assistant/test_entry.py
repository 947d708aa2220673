"""What the registries of Home Assistant say of an entity."""

import pytest

from sshhome.backends.home_assistant.entry import Entry, clean, entries

AREAS = [{"area_id": "a1", "name": "Küche (oben)"}, {"area_id": "a2", "name": "Hall"}]
DEVICES = [{"id": "d1", "area_id": "a1", "connections": [["mac", "AA:BB:CC:DD:EE:FF"]], "identifiers": []}]


def entry(*, device: object = None, **fields: object) -> Entry:
    """Return what is made of an entity with these fields."""
    one = {"entity_id": "light.a", "platform": "hue", "unique_id": "u1", **fields}
    return entries(AREAS, DEVICES if device is None else [device], [one])["light.a"]


def test_identity() -> None:
    """An entity goes by what its integration calls it, whatever its id; one without that goes by its id."""
    assert entry().identity == "light/hue/u1"
    assert entry(unique_id=17).identity == "light/hue/17"
    assert entry(unique_id=None).identity == entry(unique_id="").identity == "light.a"


def test_rooms() -> None:
    """An entity is in its own area, else where its device is."""
    assert entry(device_id="d1").room == "kuche_oben"
    assert entry(device_id="d1", area_id="a2").room == "hall"
    assert entry(device_id="nobody").room == entry(area_id="nowhere").room == ""


@pytest.mark.parametrize(
    ("connections", "identifiers", "hardware"),
    [
        ([["mac", "AA:BB:CC:DD:EE:FF"]], [], "aabbccddeeff"),
        ([["zigbee", "00:12:4b:00:aa:bb:cc:01"]], [], "00124b00aabbcc01"),
        ([["upnp", "AA:BB:CC:DD:EE:FF"]], [], ""),
        ([], [["mqtt", "zigbee2mqtt_0x00124b00aabbcc01"]], "00124b00aabbcc01"),
        ([], [["zha", "00:12:4b:00:aa:bb:cc:01"]], "00124b00aabbcc01"),
        ([], [["shelly", "AABBCCDDEEFF"]], "aabbccddeeff"),
        ([], [["meter", "123456789012"]], ""),
        ([], [["demo", "light_1"]], ""),
        ([["mac"], "mac", None, ["mac", 3]], {"a": 1}, ""),
        (None, None, ""),
    ],
)
def test_hardware(connections: object, identifiers: object, hardware: str) -> None:
    """The address that was burnt into a device is found among its connections, else among its identifiers."""
    thing = {"id": "d1", "connections": connections, "identifiers": identifiers}
    assert entry(device=thing, device_id="d1").hardware == hardware


def test_hidden_and_technical() -> None:
    """What its owner hid or switched off is told apart from what is for setting things up."""
    assert not entry().hidden
    assert not entry(hidden_by=None, disabled_by=None, entity_category=None).technical
    assert entry(hidden_by="user").hidden
    assert entry(disabled_by="integration").hidden
    assert entry(entity_category="diagnostic").technical


def test_names() -> None:
    """The name that the owner gave comes before the one that it came with."""
    assert entry(name="Own", original_name="Came with").name == "Own"
    assert entry(original_name="Came with").name == "Came with"
    assert clean("\x1b[2J\tHall\u202e  lamp\n") == "[2J Hall lamp"
    assert not clean(3)


@pytest.mark.parametrize(
    "rubbish", [None, 3, "text", {}, [None, 3, "text", [], {}], [{"entity_id": 3, "id": [], "area_id": {}}]]
)
def test_rubbish(rubbish: object) -> None:
    """Registries that are none have no entities in them."""
    assert entries(rubbish, rubbish, rubbish) == {}
