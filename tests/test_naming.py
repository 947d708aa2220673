"""Ids never move to another thing, and what an owner made of a device outlives every restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.device import Device
from sshhome.naming import Naming, slug
from sshhome.store import DeviceRecord
from sshhome.stores.sqlite import SqliteStore

LAMP = Device(id="light.desk", identity="0x01", name="Desk", room="study")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open store."""
    opened = await SqliteStore.open(tmp_path / "test.db")
    yield opened
    await opened.close()


async def again(store: SqliteStore) -> Naming:
    """Return the names as they are after a restart."""
    naming = Naming(store)
    await naming.load()
    return naming


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Desk", "desk"),
        ("Küche (oben)", "kuche_oben"),
        ("  Hall -- lamp ", "hall_lamp"),
        ("Straße Ægir Øl Łódź", "strasse_aegir_ol_lodz"),
        ("客厅", ""),
        ("", ""),
        ("0x00124b00aabbcc01", "0x00124b00aabbcc01"),
        ("\x1b[2J", "2j"),
        ("a" * 100, "a" * 48),
        ("a" * 47 + " b", "a" * 47),
    ],
)
def test_slugs(name: str, told: str) -> None:
    """A name is in an id as small letters, digits and low lines, never too long."""
    assert slug(name) == told


@given(st.text())
def test_a_slug_is_part_of_an_id(text: str) -> None:
    """Whatever a thing is called, its slug is one that is a slug itself."""
    made = slug(text)
    assert len(made) <= 48
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slug(made) == made


async def test_an_id_is_kept_for_ever(store: SqliteStore) -> None:
    """A thing has the id that it was given first, however it is renamed, whatever else comes, and after a restart."""
    naming = Naming(store)
    assert naming.record("mqtt", LAMP).id == "light.desk"
    assert naming.record("mqtt", msgspec.structs.replace(LAMP, id="light.table", name="Table")).id == "light.desk"
    other = msgspec.structs.replace(LAMP, identity="0x02")
    assert naming.record("mqtt", other).id == "light.desk_2"
    assert naming.record("second", LAMP).id == "light.desk_3"
    naming = await again(store)
    assert naming.record("second", LAMP).id == "light.desk_3"
    assert naming.record("mqtt", other).id == "light.desk_2"
    assert naming.record("mqtt", LAMP).id == "light.desk"
    assert len(naming) == 3
    assert naming.record("mqtt", msgspec.structs.replace(LAMP, identity="0x03")).id == "light.desk_4"


async def test_many_things_of_one_name(store: SqliteStore) -> None:
    """A thousand lamps of one name are a thousand ids, also where some of the numbers are taken."""
    naming = Naming(store)
    naming.record("mqtt", msgspec.structs.replace(LAMP, identity="odd", id="light.desk_7"))
    made = [naming.record("mqtt", msgspec.structs.replace(LAMP, identity=str(n))).id for n in range(1000)]
    assert len({*made, "light.desk_7"}) == 1001


async def test_a_name_without_letters(store: SqliteStore) -> None:
    """A thing whose name has no letter of an id is a device all the same."""
    assert Naming(store).record("mqtt", msgspec.structs.replace(LAMP, id="light.客厅")).id == "light.device"


async def test_another_kind_is_another_id(store: SqliteStore) -> None:
    """A thing that becomes of another kind has an id of that; the old one stays its own, and comes back with the kind.

    What was granted on it never comes to mean anything else, and to go to and fro costs nothing.
    """
    naming = Naming(store)
    naming.record("mqtt", LAMP)
    naming.keep(DeviceRecord("mqtt", "0x01", "light.desk", name="Mine", aliases=("d",)))
    switch = msgspec.structs.replace(LAMP, id="switch.desk")
    record = naming.record("mqtt", switch)
    assert (record.id, record.name, record.aliases) == ("switch.desk", "Mine", ("d",))
    assert naming.record("mqtt", msgspec.structs.replace(LAMP, identity="0x02")).id == "light.desk_2"
    naming = await again(store)
    assert naming.id_of("mqtt", "0x01") == "switch.desk"
    for _ in range(9):
        assert naming.record("mqtt", LAMP).id == "light.desk"
        assert naming.record("mqtt", switch).id == "switch.desk"
    assert len(naming) == 4
    naming.record("mqtt", LAMP)
    naming = await again(store)
    assert naming.record("mqtt", LAMP).name == "Mine"
    assert naming.of("light.desk") == naming.record("mqtt", LAMP)


async def test_what_an_owner_made_of_it(store: SqliteStore) -> None:
    """Name, room and aliases of the owner count, the backend's where there are none; no room is a room too."""
    naming = Naming(store)
    record = naming.record("mqtt", LAMP)
    assert naming.named("mqtt", LAMP) == LAMP
    naming.keep(msgspec.structs.replace(record, name="Mine", room="", aliases=("a", "b")))
    naming = await again(store)
    named = naming.named("mqtt", LAMP)
    assert (named.id, named.name, named.room, named.aliases) == ("light.desk", "Mine", "", ("a", "b"))
    assert naming.of("light.desk") == msgspec.structs.replace(record, name="Mine", room="", aliases=("a", "b"))
    assert naming.of("light.nosuch") is None
    assert naming.id_of("mqtt", "0x09") is None


async def test_a_thing_without_an_identity(store: SqliteStore) -> None:
    """What has no identity of its own is known by the id that it proposes."""
    naming = Naming(store)
    plain = msgspec.structs.replace(LAMP, identity="")
    assert naming.named("first", plain).identity == "light.desk"
    assert naming.id_of("first", "light.desk") == "light.desk"


async def test_what_it_touches_has_ids_too(store: SqliteStore) -> None:
    """Members of a scene and of a group are told by identity, and are ids in the house; an unknown one is none."""
    naming = Naming(store)
    naming.record("mqtt", msgspec.structs.replace(LAMP, id="light.table"))
    scene = Device(id="scene.x", identity="s", name="X", members={"0x01": {"on": True}, "0x09": {}}, group=("0x01",))
    named = naming.named("mqtt", scene)
    assert named.members == {"light.table": {"on": True}, "?0x09": {}}
    assert named.group == ("light.table",)
    # Another backend's lamp of the same identity is another lamp.
    assert naming.named("other", scene).group == ("?0x01",)


async def test_the_order_is_kept(tmp_path: Path) -> None:
    """Devices stand in the order in which they first came, whatever is made of them and after a restart too."""
    store = await SqliteStore.open(tmp_path / "test.db")
    naming = Naming(store)
    devices = [Device(id=f"light.{name}", name=name) for name in ("zoe", "anna", "mia")]
    records = [naming.record("first", device) for device in devices]
    naming.keep(msgspec.structs.replace(records[0], name="Zoe's lamp"))
    again = Naming(store)
    await again.load()
    mixed = [devices[1], devices[2], devices[0]]
    assert sorted(mixed, key=again.place) == sorted(mixed, key=naming.place) == devices
    await store.close()
