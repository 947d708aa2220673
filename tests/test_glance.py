"""The house at a glance: what is on, open, unlocked, warm, low on battery or away, and all of a kind by its name."""

from collections.abc import Sequence

import pytest

from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.glance import KINDS, Glance, glance, level


def thing(device_id: str, *, device_class: str = "", available: bool = True, **state: Scalar) -> Device:
    """Return a device that is so."""
    return Device(
        id=device_id,
        name=device_id.partition(".")[2].title(),
        device_class=device_class,
        attributes={name: ATTRIBUTES[name] for name in state},
        state=state,
        available=available,
    )


@pytest.mark.parametrize(
    ("device", "on", "opened", "alert"),
    [
        (thing("light.desk", on=True, brightness=40), "Desk 40 %", "", ""),
        (thing("light.desk", on=True, brightness=100), "Desk", "", ""),
        (thing("light.desk", on=False, brightness=40), "", "", ""),
        (thing("switch.tv", on=True), "Tv", "", ""),
        (thing("climate.bath", temperature=20.0, mode="heat", heating=True), "Bath heating", "", ""),
        (thing("media_player.radio", playback="playing"), "Radio", "", ""),
        (thing("alarm_control_panel.house", armed="away"), "House armed for away", "", ""),
        (thing("alarm_control_panel.house", armed="disarmed"), "", "", ""),
        (thing("lock.door", locked=False), "", "Door unlocked", ""),
        (thing("lock.door", locked=True), "", "", ""),
        (thing("lock.door", locked=False, jammed=True), "", "Door unlocked", "Door unlocked, JAMMED"),
        (thing("cover.blind", position=40, moving=None), "", "Blind 40 % open", ""),
        (thing("cover.gate", device_class="garage", position=0, moving="opening"), "", "Gate opening", ""),
        (thing("binary_sensor.window", open=True), "", "Window open", ""),
        (thing("binary_sensor.smoke", smoke=True, battery=90), "", "", "Smoke SMOKE"),
        (thing("sensor.garden", moisture=30.0, battery=12), "", "", "Garden battery 12 %"),
        (thing("sensor.garden", moisture=30.0, low_battery=True), "", "", "Garden battery low"),
        (thing("siren.loud", on=True), "", "", "Loud on"),
        (thing("light.desk", available=False, on=True), "", "", "Desk unavailable"),
        (thing("sensor.power", power=120.0), "", "", ""),
    ],
)
def test_what_is_worth_a_word(device: Device, on: str, opened: str, alert: str) -> None:
    """Each thing is told of where it belongs, and nowhere if all is as it should be."""
    seen = glance("hall", [device])
    assert (seen.on, seen.open, seen.alert) == (on, opened, alert)


def test_a_room() -> None:
    """A room is as warm as the first that measures it, and what is open is ajar only if it should not be."""
    blind, lamp = thing("cover.blind", position=100, moving=None), thing("light.a", on=True)
    warm = thing("climate.b", temperature=20.46, mode="heat", heating=False)
    assert glance("hall", [lamp, warm, blind]) == Glance("hall", "20.5 °C", "A", "Blind open", "", ajar=False)
    assert glance("hall", [blind, thing("binary_sensor.door", open=True)]).ajar


@pytest.mark.parametrize(
    ("device", "what", "cell"),
    [
        (thing("light.desk", on=True, brightness=40), "", ("40 %", "", 0.4)),
        (thing("light.desk", on=False, brightness=40), "", ""),
        (thing("light.desk", on=True, brightness=None), "", ""),
        (thing("light.desk", available=False, on=True, brightness=40), "", ""),
        (thing("cover.blind", position=0), "", ("0 %", "", 0.0)),
        (thing("switch.tv", on=False, power=50.0), "", ("50 W", "", 0.25)),
        (thing("sensor.roof", power=-50.0), "", ("-50 W", "", 0.0)),
        (thing("lock.door", locked=True, battery=12), "batteries", ("12 %", "alert", 0.12)),
        (thing("lock.door", locked=True, low_battery=False), "batteries", ""),
    ],
)
def test_how_full_something_is(device: Device, what: str, cell: object) -> None:
    """Brightness while it is on, position, power of the most there is; where batteries are looked at, those."""
    assert level(device, what, 200.0) == cell


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("lights", ["light.a"]),
        ("locks", ["lock.a"]),
        ("doors", ["binary_sensor.door", "cover.garage"]),
        ("windows", ["binary_sensor.window"]),
        ("covers", ["cover.garage", "cover.blind"]),
        ("sensors", ["binary_sensor.door", "binary_sensor.window", "sensor.a"]),
        ("batteries", ["lock.a", "sensor.a"]),
        ("motion", []),
    ],
)
def test_kinds(kind: str, found: Sequence[str]) -> None:
    """A word for a kind means all that people call so, whatever its id begins with."""
    devices = (
        thing("light.a", on=True),
        thing("lock.a", locked=True, battery=50),
        thing("binary_sensor.door", device_class="door", open=False),
        thing("binary_sensor.window", device_class="window", open=False),
        thing("cover.garage", device_class="garage", position=0),
        thing("cover.blind", device_class="blind", position=0),
        thing("sensor.a", temperature=1.0, battery=50),
    )
    assert [device.id for device in devices if KINDS[kind](device)] == found
