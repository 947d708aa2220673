"""How a device is, in the few words that a household would use."""

import pytest

from sshhome.backends.simulated import family_house
from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.summary import looks, summary, whereabouts


def device(kind: str, *, available: bool = True, note: str = "", device_class: str = "", **state: Scalar) -> Device:
    """Return a device of a kind that is so."""
    attributes = {name: ATTRIBUTES[name] for name in state}
    return Device(
        id=f"{kind}.x",
        name="X",
        device_class=device_class,
        available=available,
        note=note,
        attributes=attributes,
        state=state,
    )


@pytest.mark.parametrize(
    ("thing", "told", "tone"),
    [
        (device("light", on=True, brightness=40, color_temperature=2700), "on, 40 %, 2700 K", "active"),
        (device("light", on=False, brightness=40, effect="rainbow"), "off", "dim"),
        (device("light", on=True, brightness=40, effect="Rainbow", hue=0, saturation=100),
         "on, 40 %, Rainbow, red", "active"),
        (device("light", on=True, effect="none"), "on", "active"),
        (device("switch", on=True, power=120.44, energy=3.2, voltage=231, current=0.52), "on, 120.4 W", "active"),
        (device("switch", on=False, power=0.0, problem=True), "off, PROBLEM", "alert"),
        (device("fan", on=True, speed=30, preset="sleep"), "on, 30 %, sleep", "active"),
        (device("cover", position=40, moving=None), "40 % open", ""),
        (device("cover", position=40, moving="closing", tilt=30), "closing, tilted 30 %", "active"),
        (device("cover", position=0, tilt=0, battery=80), "closed", ""),
        (device("cover", position=None, moving="opening"), "opening", "active"),
        (device("cover", position=100, device_class="garage"), "open", "alert"),
        (device("valve", position=100), "open", "alert"),
        (device("lock", locked=True, battery=9), "locked, battery 9 %", "good"),
        (device("lock", locked=False, open=True), "unlocked, open", "alert"),
        (device("lock", locked=True, moving="unlocking"), "unlocking", "alert"),
        (device("lock", locked=None, moving="locking"), "locking", "alert"),
        (device("lock", locked=None, jammed=True), "JAMMED", "alert"),
        (device("lock", locked=None), "unknown", ""),
        (device("siren", on=True), "on", "alert"),
        (device("climate", temperature=21.34, target_temperature=22.0, heating=True, mode="heat"),
         "21.3 °C, heating to 22 °C", "active"),
        (device("climate", temperature=21.0, target_temperature=20.5, heating=False, mode="auto", preset="eco"),
         "21 °C, set to 20.5 °C, eco", ""),
        (device("climate", temperature=26, target_low=19, target_high=24, cooling=True),
         "26 °C, cooling to 19 to 24 °C", "active"),
        (device("climate", target_low=19, target_high=24, cooling=False), "set to 19 to 24 °C", ""),
        (device("climate", temperature=21, target_temperature=20, mode="off"), "21 °C, off", ""),
        (device("humidifier", on=True, target_humidity=45, humidity=52), "on, set to 45 %, 52 %", "active"),
        (device("media_player", on=True, playback="playing", title="Blue", volume=30, muted=False, source="Radio"),
         'playing "Blue" at 30 %', "active"),
        (device("media_player", playback="paused", title="Blue", volume=30, muted=True), 'paused "Blue", muted', ""),
        (device("media_player", on=True, playback="stopped", title="Blue", volume=30), "stopped", "active"),
        (device("media_player", on=False, playback="stopped", title="Blue", volume=30), "off", "dim"),
        (device("media_player", on=True, volume=30), "on, volume 30 %", "active"),
        (device("vacuum", activity="cleaning", fan_mode="max", battery=55), "cleaning", "active"),
        (device("vacuum", activity="stopped", doing="returning", battery=15), "returning, battery 15 %", ""),
        (device("vacuum", activity="docked", charging=True), "docked, charging", ""),
        (device("lawn_mower", activity="docked", problem=True), "docked, PROBLEM", "alert"),
        (device("alarm_control_panel", armed="away", phase=None), "away", ""),
        (device("alarm_control_panel", armed=None, phase="arming"), "arming", ""),
        (device("alarm_control_panel", armed=None, phase="pending"), "ALARM SOON", "alert"),
        (device("alarm_control_panel", armed=None, phase="triggered"), "ALARM", "alert"),
        (device("binary_sensor", open=True, temperature=20.0, battery=90, tamper=False), "open, 20 °C", "active"),
        (device("binary_sensor", open=False), "closed", ""),
        (device("binary_sensor", leak=True), "LEAK", "alert"),
        (device("binary_sensor", leak=False, low_battery=True), "dry, battery low", ""),
        (device("binary_sensor", motion=True, illuminance=30, presence=False), "motion, nobody there", "active"),
        (device("binary_sensor", carbon_monoxide=True, smoke=False), "CARBON MONOXIDE, no smoke", "alert"),
        (device("binary_sensor", problem=False), "ok", ""),
        (device("binary_sensor", plugged=True), "plugged in", ""),
        (device("binary_sensor", detected=False), "not detected", ""),
        (device("binary_sensor", tamper=True), "TAMPERED WITH", "alert"),
        (device("sensor", temperature=21.0, humidity=52, pressure=1013.2, carbon_dioxide=640, battery=80),
         "21 °C, 52 %, 1013.2 hPa, 640 ppm", ""),
        (device("sensor", power=1, energy=2, voltage=3, current=4, frequency=5, pressure=6),
         "1 W, 2 kWh, 3 V, 4 A, 5 Hz", ""),
        (device("sensor", moisture=30, temperature=9.0), "moisture 30 %, 9 °C", ""),
        (device("sensor", battery=80), "battery 80 %", ""),
        (device("sensor", status="x" * 200), f"{'x' * 59}…", ""),
        (device("sensor", value=None), "unknown", ""),
        (device("weather", status="rainy", temperature=9.0, wind_speed=20), "rainy, 9 °C, 20 km/h", ""),
        (device("person", presence=True, status="home"), "home", "active"),
        (device("person", presence=False, status="not_home"), "away", ""),
        (device("person", presence=False, status="Work"), "Work", ""),
        (device("person", presence=None, status="Work"), "status Work", ""),
        (device("number", value=-1.5), "-1.5", ""),
        (device("select", option="Eco"), "Eco", ""),
        (device("text", text=""), "empty", ""),
        (device("event", event="single"), "single", ""),
        (device("scene", activated=None), "unknown", ""),
        (device("button", activated="2026-06-02T12:00:00Z"), "activated 2026-06-02T12:00:00Z", ""),
        (device("light", on=True, available=False), "unavailable", "alert"),
        (device("light", on=True, note="template not supported"), "on (template not supported)", "active"),
        (device("text", text=None, note="it holds a password"), "unknown (it holds a password)", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_in_a_few_words(thing: Device, told: str, tone: str) -> None:
    """A device is told by what a household would say of it, and nothing that goes without saying."""
    assert (summary(thing), looks(thing)) == (told, tone)


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (device("cover", position=0), "closed"),
        (device("cover", position=40), "40 % open"),
        (device("cover", position=40, moving="opening"), "opening"),
        (device("cover", position=None), "stopped"),
        (device("lock", locked=True), "locked"),
        (device("lock", locked=False), "unlocked"),
        (device("lock", locked=False, moving="locking"), "locking"),
        (device("lock", locked=None), "unknown"),
        (device("alarm_control_panel", armed="disarmed"), "disarmed"),
        (device("alarm_control_panel", armed="night"), "armed for night"),
        (device("alarm_control_panel", armed=None, phase="arming"), "arming"),
        (device("alarm_control_panel", armed=None, phase=None), "unknown"),
    ],
)
def test_where_it_is(thing: Device, told: str) -> None:
    """What moves is told by where it goes, and what stands by where it is."""
    assert whereabouts(thing) == told


def only(kind: str, name: str, value: Scalar) -> Device:
    """Return a device of which one value is all that there is."""
    return Device(id=f"{kind}.x", name="X", attributes={name: ATTRIBUTES[name]}, state={name: value})


@pytest.mark.parametrize("kind", ["sensor", "light", "person"])
@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_every_attribute_has_words(kind: str, name: str) -> None:
    """Whatever is the only thing known of a device, something is told of it, whatever its value."""
    attribute = ATTRIBUTES[name]
    values: list[Scalar] = list(attribute.options) or ["some"]
    if attribute.type is bool:
        values = [True, False]
    elif attribute.type is not str:
        values = [attribute.type(attribute.low), attribute.type(attribute.high)]
    for value in values:
        told = summary(only(kind, name, value))
        assert told not in {"", "unknown"}
        assert len(told) < 100
    assert summary(only(kind, name, None)) == "unknown"


def test_the_simulated_house_is_short() -> None:
    """Nothing in an ordinary house takes more than a line."""
    assert all(len(summary(thing)) < 40 for thing in family_house())
