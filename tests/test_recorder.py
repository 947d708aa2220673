"""Whatever changes in the house is recorded, however often it does; and nothing that is wrong with that stops it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome import recorder as recording
from sshhome.config import HistoryConfig
from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.errors import SiteError, Unavailable
from sshhome.history import Batch, Cause, Stretch
from sshhome.house import Event
from sshhome.recorder import Recorder
from sshhome.stores.history import SqliteHistory
from tests.conftest import NOON, FixedClock


class Telling:
    """A house of which only is heard what it tells."""

    def __init__(self) -> None:
        """Begin with no device."""
        self.devices: dict[str, Device] = {}
        self.heard: Any = None

    def watch(self, watcher: Any) -> Any:  # noqa: ANN401 (as the house has it)
        """Take the one who listens."""
        self.heard = watcher
        return lambda: None

    def tell(self, device: Device | None, by: str = "", device_id: str = "") -> None:
        """Tell of a device, or that one is gone."""
        id_ = device.id if device else device_id
        before = self.devices.pop(id_, None)
        if device is not None:
            self.devices[id_] = device
        self.heard(Event(id_, device, before, by))

    def set(self, device_id: str, by: str = "", **state: Scalar) -> None:
        """Let a device be so."""
        self.tell(self.devices[device_id].with_state(state), by)


def thing(device_id: str, **state: Scalar) -> Device:
    """Return a device with these values."""
    return Device(id=device_id, name=device_id, attributes={name: ATTRIBUTES[name] for name in state}, state=state)


class Written:
    """A history that keeps batches in memory, or fails."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.batches: list[Batch] = []
        self.known: Sequence[Cause] = ()
        self.broken = ""

    async def begin(self, now: float) -> None:
        """Begin, if that works."""
        self.fail()

    async def write(self, batch: Batch) -> None:
        """Keep a batch, if that works."""
        self.fail()
        self.batches.append(batch)

    async def read(self, device: str, attribute: str, since: float, until: float, *, fine: bool) -> Sequence[Stretch]:
        """Return nothing, if that works."""
        self.fail()
        return ()

    async def causes(self) -> Sequence[Cause]:
        """Return what is known from before."""
        return self.known

    async def close(self) -> None:
        """Let go."""

    def fail(self) -> None:
        """Raise what is wrong."""
        if self.broken:
            raise SiteError(self.broken)

    @property
    def samples(self) -> list[tuple[str, float, Scalar]]:
        """What was written, with seconds since noon."""
        return [(s.attribute, s.at - NOON, s.value) for batch in self.batches for s in batch.samples]

    @property
    def means(self) -> list[Mapping[str, Any]]:
        """The means that were written."""
        return [msgspec.structs.asdict(mean) for batch in self.batches for mean in batch.means]


class Recorded:
    """A recorder with all that is around it."""

    def __init__(self, clock: FixedClock) -> None:
        """Listen to a house of nothing."""
        self.clock, self.house, self.history = clock, Telling(), Written()
        self.recorder = Recorder(self.house, clock, self.history, HistoryConfig())  # type: ignore[arg-type]  # (as much of a house as it needs)


@pytest.fixture
async def recorded(clock: FixedClock) -> Recorded:
    """Return a recorder at noon, and a sensor, a door and a thermostat."""
    built = Recorded(clock)
    await built.recorder.begin()
    built.house.tell(thing("sensor.room", temperature=20.0))
    built.house.tell(thing("binary_sensor.door", open=False))
    built.house.tell(thing("climate.room", mode="heat"))
    return built


async def test_numbers_are_told_once_and_flags_each_time(recorded: Recorded) -> None:
    """Between two writes a number is told as it is last; a door that was open for a second was open."""
    for second in range(1, 9):
        recorded.clock.advance(1)
        recorded.house.set("sensor.room", temperature=20.0 + second)
        recorded.house.set("binary_sensor.door", open=second == 3)
        recorded.house.set("climate.room", mode="heat")
    await recorded.recorder.flush()
    told = recorded.history.samples
    assert [row for row in told if row[0] == "temperature"] == [("temperature", 8, 28.0)]
    assert [row for row in told if row[0] == "open"] == [("open", 0, False), ("open", 3, True), ("open", 4, False)]
    assert [row for row in told if row[0] == "mode"] == [("mode", 0, "heat")]
    await recorded.recorder.flush()
    assert len(recorded.history.batches) == 1


async def test_a_thousand_changes_a_second(recorded: Recorded) -> None:
    """However often values change, what waits to be written is a few rows a value, and the last of them is the last."""
    for number in range(10_000):
        recorded.clock.advance(0.001)
        recorded.house.set("sensor.room", temperature=float(number % 77))
        recorded.house.set("binary_sensor.door", open=number % 2 == 0)
    await recorded.recorder.flush()
    assert len(recorded.history.samples) <= 1 + recording._KEPT + 1
    last = {name: value for name, _, value in recorded.history.samples}
    assert (last["temperature"], last["open"]) == (float(9999 % 77), False)
    recorded.clock.advance(300)
    await recorded.recorder.flush()
    (mean,) = [mean for mean in recorded.history.means if mean["attribute"] == "temperature"]
    assert (mean["low"], mean["high"], mean["until"] - mean["at"]) == (0.0, 76.0, 300.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 400), st.one_of(st.floats(-50, 50), st.none())), max_size=25))
async def test_buckets_are_right(changes: Sequence[tuple[float, float | None]]) -> None:
    """Every five minutes in which a value changed have its lowest, mean and highest, the one from before included."""
    made = Recorded(FixedClock())
    await made.recorder.begin()
    made.house.tell(thing("sensor.room", temperature=10.0))
    steps: list[tuple[float, float | None]] = [(NOON, 10.0)]
    for after, value in changes:
        made.clock.advance(after)
        made.house.set("sensor.room", temperature=value)
        steps.append((made.clock.now(), value))
        await made.recorder.flush()
    made.clock.advance(600)
    await made.recorder.flush()
    found = {mean["at"] // 300: mean for mean in made.history.means}
    assert len(found) == len(made.history.means)
    ends = [at for at, _ in steps[1:]] + [made.clock.now()]
    for bucket, mean in found.items():
        begin, over = bucket * 300, bucket * 300 + 300
        held = [
            (value, min(end, over) - max(at, begin))
            for (at, value), end in zip(steps, ends, strict=True)
            if value is not None and at < over and (end > begin or at >= begin)
        ]
        known = [value for value, seconds in held if seconds > 0]
        assert mean["low"] <= min(known, default=mean["low"])
        assert mean["high"] >= max(known, default=mean["high"])
        assert {mean["low"], mean["high"]} <= {value for value, _ in held}
        weight = sum(max(seconds, 0.0) for _, seconds in held)
        if weight > 1e-3:
            expected = sum(value * max(seconds, 0.0) for value, seconds in held) / weight
            assert mean["mean"] == pytest.approx(expected, abs=1e-3)


async def test_out_of_reach_is_unknown(recorded: Recorded) -> None:
    """Of a device that is out of reach or gone nothing is known until it is back."""
    sensor = recorded.house.devices["sensor.room"]
    recorded.clock.advance(20)
    recorded.house.tell(msgspec.structs.replace(sensor, available=False))
    await recorded.recorder.flush()
    recorded.clock.advance(20)
    recorded.house.tell(sensor)
    await recorded.recorder.flush()
    recorded.clock.advance(20)
    recorded.house.tell(None, device_id="sensor.room")
    recorded.clock.advance(300)
    await recorded.recorder.flush()
    rows = [row[1:] for row in recorded.history.samples if row[0] == "temperature"]
    assert rows == [(20, None), (40, 20.0), (60, None)]
    (mean,) = [mean for mean in recorded.history.means if mean["attribute"] == "temperature"]
    assert (mean["until"] - NOON, mean["last"]) == (60, None)
    assert ("sensor.room", "temperature") not in recorded.recorder._values


async def test_what_stays_is_told_again(recorded: Recorded) -> None:
    """What does not change is told twice a day, so that the row that told it can be forgotten."""
    await recorded.recorder.flush()
    recorded.clock.advance(12 * 3600)
    await recorded.recorder.flush()
    assert ("mode", 12 * 3600, "heat") in recorded.history.samples


async def test_what_people_write_is_not_recorded(recorded: Recorded) -> None:
    """What plays and what somebody wrote is nobody's to look up; odd numbers and letters do no harm."""
    radio: dict[str, Scalar] = {
        "title": "Blue",
        "text": "hello",
        "playback": "playing",
        "status": "x" * 500,
        "value": float("inf"),
    }
    recorded.house.tell(thing("media_player.radio", **radio, power=10**400, event="\ud800"))
    recorded.house.set("media_player.radio", by="anna: \ud800", title="Red", status="y")
    await recorded.recorder.flush()
    told = {name: value for name, _, value in recorded.history.samples}
    assert told.keys() & {"title", "text", "value", "power"} == set()
    assert (told["playback"], told["event"]) == ("playing", "?")
    cause = recorded.recorder.cause("media_player.radio", "order")
    assert cause is not None
    assert (cause.by, cause.change) == ("anna: ?", {"status": "y"})


async def test_values_are_bounded(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More values than any house has are not recorded, which is told once."""
    monkeypatch.setattr(recording, "_MOST_VALUES", 5)
    for number in range(20):
        recorded.house.tell(thing(f"sensor.s{number}", temperature=1.0))
    assert len(recorded.recorder._values) == 5
    assert len(caplog.records) == 1


async def test_who_and_what(recorded: Recorded) -> None:
    """The last order and the last other cause of each device are known, and written."""
    recorded.house.set("climate.room", by="anna: set climate.room off", mode="off")
    recorded.clock.advance(5)
    recorded.house.set("climate.room", mode="auto")
    ordered, other = (recorded.recorder.cause("climate.room", by) for by in ("order", "itself"))
    assert ordered is not None
    assert other is not None
    assert (ordered.by, ordered.change, other.change, other.at - ordered.at) == (
        "anna: set climate.room off",
        {"mode": "off"},
        {"mode": "auto"},
        5,
    )
    assert recorded.recorder.cause("sensor.room", "itself") is None
    await recorded.recorder.flush()
    assert list(recorded.history.batches[0].causes) == [ordered, other]


@pytest.mark.parametrize("broken", ["begin", "write"])
async def test_a_broken_history(clock: FixedClock, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """A history that cannot be read or written is told of once, loses what was heard, and grows nothing."""
    built = Recorded(clock)
    built.history.broken = "history: disk full" if broken == "begin" else ""
    await built.recorder.begin()
    built.history.broken = "history: disk full"
    built.house.tell(thing("sensor.room", temperature=1.0))
    for number in range(5):
        built.house.set("sensor.room", temperature=2.0 + number)
        await built.recorder.flush()
    assert [record.message.partition(";")[0] for record in caplog.records] == ["history: disk full"]
    assert not built.recorder._waiting
    with pytest.raises(Unavailable):
        await built.recorder.read("sensor.room", "temperature", 0, 1, fine=True)
    built.history.broken = ""
    built.house.set("sensor.room", temperature=50.0)
    await built.recorder.flush()
    assert bool(built.history.batches) == (broken == "write")
    await built.recorder.close()


async def test_from_one_process_to_the_next(tmp_path: Path, clock: FixedClock) -> None:
    """After a restart it is still known who changed what, and how it was until the end."""
    for second in (False, True):
        house = Telling()
        history = await SqliteHistory.open(tmp_path / "history.db")
        recorder = Recorder(house, clock, history, HistoryConfig())  # type: ignore[arg-type]  # (as much of a house as it needs)
        await recorder.begin()
        house.tell(thing("light.desk", on=second))
        if not second:
            clock.advance(30)
            house.set("light.desk", by="anna: on desk", on=True)
            clock.advance(60)
        else:
            cause = recorder.cause("light.desk", "order")
            assert cause is not None
            assert (cause.by, cause.at) == ("anna: on desk", NOON + 30)
            found = await recorder.read("light.desk", "on", NOON, clock.now(), fine=True)
            assert [(s.start - NOON, s.end - NOON, s.value) for s in found] == [(0, 30, False), (30, 90, True)]
            means = await recorder.read("light.desk", "on", NOON, clock.now(), fine=False)
            assert [(s.end - NOON, round(s.mean, 3)) for s in means] == [(90, 0.667)]
        await recorder.close()
        clock.advance(1000)


async def test_it_writes_every_ten_seconds(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was heard is written without anybody asking."""
    monkeypatch.setattr(recording, "_EVERY", 0)
    keeping = asyncio.create_task(recorded.recorder.keep())
    while not recorded.history.batches:
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_clock_that_was_years_ahead(recorded: Recorded, clock: FixedClock) -> None:
    """What changes after the clock was set back is recorded, however far, and not once it comes here again."""
    recorded.house.set("sensor.room", temperature=21.0)
    clock.step(-3 * 365 * 86400)
    await recorded.recorder.flush()
    recorded.house.set("sensor.room", temperature=30.0)
    clock.advance(600)
    await recorded.recorder.flush()
    assert [mean["high"] for mean in recorded.history.means if mean["attribute"] == "temperature"] == [21.0, 30.0]


async def test_reasons_are_bounded(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many devices come and go, it is known of so many what changed them; the first are forgotten."""
    monkeypatch.setattr(recording, "_MOST_CAUSES", 2)
    for name in ("sensor.a", "sensor.b", "sensor.c"):
        recorded.house.tell(thing(name, temperature=1.0))
        recorded.house.set(name, temperature=2.0)
    known = [recorded.recorder.cause(name, "itself") is not None for name in ("sensor.a", "sensor.b", "sensor.c")]
    assert known == [False, True, True]
