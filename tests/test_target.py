"""How a person names devices: ids, short names, rooms, globs and `all`; what is hidden does not exist."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.device import Device
from sshhome.errors import BadArguments
from sshhome.target import Fits, Index

HOUSE = {device.id: device for device in family_house()}
INDEX = Index(HOUSE, HOUSE)


def anything(_: Device) -> bool:
    """Fit every device."""
    return True


def switchable(device: Device) -> bool:
    """Fit what is on or off."""
    return device.can_set("on")


def of_kind(kind: str) -> Fits:
    """Fit one kind."""
    return lambda device: device.kind == kind


def ids(text: str, fits: Fits = anything, *, room_first: bool = False) -> list[str]:
    """Return the ids that a TARGET means."""
    return [device.id for device in INDEX.find(text, fits, "fit", room_first=room_first).devices]


@pytest.mark.parametrize(
    ("text", "fits", "device_id"),
    [
        ("light.desk", anything, "light.desk"),
        ("desk", anything, "light.desk"),
        ("DESK", anything, "light.desk"),
        ("Reading lamp", anything, "light.reading"),
        ("reading-lamp", anything, "light.reading"),
        ("kids", of_kind("light"), "light.kids"),
        ("kids", of_kind("climate"), "climate.kids"),
        ("living.thermostat", anything, "climate.living"),
        ("living.heating", anything, "climate.living"),
        ("living.climate", anything, "climate.living"),
        ("living.blind", anything, "cover.living"),
        ("garage.garage", of_kind("cover"), "cover.garage"),
        ("thermostat.living", anything, "climate.living"),
        ("lamp.desk", anything, "light.desk"),
        ("alarm.house", anything, "alarm_control_panel.house"),
        ("House alarm", anything, "alarm_control_panel.house"),
    ],
)
def test_names_of_one_device(text: str, fits: Fits, device_id: str) -> None:
    """A device answers to its id, its slug, its name, and to its room and kind together, in any case."""
    match = INDEX.find(text, fits, "fit")
    assert [device.id for device in match.devices] == [device_id]
    assert not match.several


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@kids", ["light.kids", "light.night"]),
        ("@KIDS", ["light.kids", "light.night"]),
        ("light.k*", ["light.kitchen", "light.kids"]),
        ("LIGHT.K*", ["light.kitchen", "light.kids"]),
        ("*.bathroom", ["light.bathroom", "fan.bathroom"]),
        ("light.[kh]*", ["light.hall", "light.kitchen", "light.kids"]),
        ("light.des?", ["light.desk"]),
    ],
)
def test_rooms_and_globs_mean_what_fits(text: str, found: list[str]) -> None:
    """A room or a glob means those of its devices that fit, and is several even when that is one."""
    match = INDEX.find(text, switchable, "switchable")
    assert [device.id for device in match.devices] == found
    assert match.several


def test_all_means_all_that_fits() -> None:
    """`all` means every device that fits, in the house's order, as leaving out a TARGET of several does."""
    everything = [device.id for device in HOUSE.values() if switchable(device)]
    assert ids("all", switchable) == ids("ALL", switchable) == everything
    assert INDEX.every(switchable) == INDEX.find("all", switchable, "switchable")
    assert INDEX.every(of_kind("siren")).devices == ()


@pytest.mark.parametrize(
    ("text", "fits", "message"),
    [
        ("nosuch", anything, "no device 'nosuch'"),
        ("", anything, "no device ''"),
        ("@nosuch", anything, "no room 'nosuch'"),
        ("@", anything, "no room ''"),
        ("light.z*", anything, "nothing matches 'light.z*'"),
        ("lock.*", switchable, "nothing in 'lock.*' is fit"),
        ("@outdoor", of_kind("lock"), "nothing in '@outdoor' is fit"),
        ("all", of_kind("siren"), "nothing in 'all' is fit"),
        ("bedroom", switchable, "'bedroom' is ambiguous: light.bedroom, fan.bedroom"),
        ("lock.front_door", switchable, "lock.front_door is not fit"),
    ],
)
def test_what_names_nothing(text: str, fits: Fits, message: str) -> None:
    """A name of nothing, of several, or of what does not fit is refused, saying which of these it is."""
    with pytest.raises(BadArguments) as error:
        INDEX.find(text, fits, "fit")
    assert error.value.message == message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kitchne", "did you mean kitchen or light.kitchen?"),
        ("@kitchn", "did you mean @kitchen?"),
        ("zzzzzz", ""),
        ("k" * 5000, ""),
    ],
)
def test_nearest_names_are_offered(text: str, hint: str) -> None:
    """A mistyped name is answered with the nearest ones that fit; nonsense with none."""
    with pytest.raises(BadArguments) as error:
        INDEX.find(text, switchable, "switchable")
    assert error.value.hint == hint


def test_a_glob_is_no_longer_than_an_id_can_be() -> None:
    """A glob of thousands of characters is refused: each one asked for would be compiled and remembered."""
    with pytest.raises(BadArguments):
        INDEX.find("*" * 1000, anything, "fit")


def test_room_without_its_sign() -> None:
    """A room named without its `@` is the room only where several devices are wanted anyway."""
    assert len(ids("kitchen", room_first=True)) == 7
    assert ids("kitchen", switchable) == ["light.kitchen"]


def test_the_only_one() -> None:
    """A TARGET left out means the one device that fits, and never one of several."""
    assert [d.id for d in INDEX.only(of_kind("alarm_control_panel"), "an alarm").devices] == [
        "alarm_control_panel.house"
    ]
    with pytest.raises(BadArguments, match=r"name the device: lock\.front_door, lock\.side_door"):
        INDEX.only(of_kind("lock"), "a lock")
    with pytest.raises(BadArguments, match="nothing is a siren"):
        INDEX.only(of_kind("siren"), "a siren")


@pytest.mark.parametrize("fits", [anything, switchable, of_kind("light"), of_kind("scene")])
def test_short_names_lead_back(fits: Fits) -> None:
    """The short name of a device finds just this device among those that fit."""
    for device in HOUSE.values():
        if fits(device):
            assert ids(INDEX.short(device, fits), fits) == [device.id]


def test_the_same_without_some_devices() -> None:
    """Without some devices an index answers as if it had never had them, and is otherwise as fresh as before."""
    index = Index(HOUSE, HOUSE).without({"light.kids", "climate.kids", "cover.kids", "light.night"})
    assert index.get("light.kids") is None
    assert "kids" not in index.rooms
    assert [device.id for device in index.named("desk")] == ["light.desk"]
    assert len(list(index)) == len(HOUSE) - 4


def test_aliases() -> None:
    """A device answers to its aliases too, in any case; one that others answer to as well is ambiguous."""
    desk = msgspec.structs.replace(HOUSE["light.desk"], aliases=("leselampe", "hall"))
    index = Index(HOUSE, {**HOUSE, desk.id: desk})
    assert index.find("Leselampe", anything, "fit").devices == (desk,)
    assert index.short(desk, anything) == "desk"
    with pytest.raises(BadArguments, match=r"'hall' is ambiguous: light\.hall, light\.desk"):
        index.find("hall", switchable, "fit")


def test_a_device_is_looked_up_as_it_is_now() -> None:
    """An index keeps names, never states; a device that has gone is no longer found."""
    house = dict(HOUSE)
    index = Index(house, house)
    house["light.desk"] = house["light.desk"].with_state({"on": True})
    assert index.find("desk", anything, "fit").devices[0].state["on"] is True
    del house["light.desk"]
    with pytest.raises(BadArguments):
        index.find("desk", anything, "fit")
    assert "light.desk" not in [device.id for device in index]


#: Names that are nearly names of the house, and any text at all.
NAMES = st.one_of(
    st.text(st.characters()),
    st.builds(
        lambda name, wrap: wrap(name),
        st.sampled_from(sorted({*HOUSE, *(device.slug for device in HOUSE.values()), *INDEX.rooms, "all"})),
        st.sampled_from(
            [
                *(str, str.upper, lambda name: f"@{name}", lambda name: f"{name[:-1]}*", lambda name: f"[{name}]"),
                *(lambda name: name[1:], lambda name: f"{name}\0", lambda name: f"{name}.on"),
            ]
        ),
    ),
    st.text(st.sampled_from("*?[]!-a.@^\\&|~{}()+$"), max_size=40),
)


@settings(deadline=None)
@given(NAMES, st.sampled_from([anything, switchable, of_kind("lock")]), st.booleans())
@example("[[a]", anything, False)
@example("[z-a]", anything, False)
@example("[a--b]", anything, False)
@example("[!]", anything, False)
@example("[" * 3000, anything, False)
@example("*" * 3000 + "?", anything, False)
def test_any_text_is_devices_or_bad_arguments(text: str, fits: Fits, room_first: bool) -> None:  # noqa: FBT001 (drawn)
    """Any text is some devices that fit, each once, or BadArguments; and nothing warns of it."""
    with contextlib.suppress(BadArguments):
        match = INDEX.find(text, fits, "fit", room_first=room_first)
        assert match.devices
        assert all(fits(device) for device in match.devices)
        assert len({device.id for device in match.devices}) == len(match.devices)
        assert match.several or len(match.devices) == 1


def answer(ask: Callable[[], object]) -> object:
    """Return what a question is answered with: the devices, or all that an error tells."""
    try:
        return ask()
    except BadArguments as error:
        return error.message, error.hint


@settings(deadline=None)
@given(NAMES, st.sets(st.sampled_from(sorted(HOUSE))), st.sampled_from([anything, switchable]), st.booleans())
def test_hidden_is_missing(text: str, hidden: set[str], fits: Fits, room_first: bool) -> None:  # noqa: FBT001 (drawn)
    """Whatever is asked, a device that is hidden is answered exactly as if the house had no such device."""
    seen = Index((device_id for device_id in HOUSE if device_id not in hidden), HOUSE)
    fewer = {device_id: device for device_id, device in HOUSE.items() if device_id not in hidden}
    without = Index(fewer, fewer)

    def find(index: Index) -> object:
        return index.find(text, fits, "fit", room_first=room_first)

    assert answer(lambda: find(seen)) == answer(lambda: find(without))
    assert answer(lambda: seen.only(fits, "fit")) == answer(lambda: without.only(fits, "fit"))
    assert seen.every(fits) == without.every(fits)
    assert seen.rooms == without.rooms
    assert [seen.short(device, fits) for device in seen] == [without.short(device, fits) for device in without]
