"""Orders about the house as a whole: look at it, set any value, activate a scene."""

from collections.abc import Iterable, Sequence

import msgspec

from sshhome.clock import iso
from sshhome.device import Device, Scalar
from sshhome.glance import glance, level, power
from sshhome.grant import Privilege
from sshhome.order import Cell, Change, Column, Context, Table, order
from sshhome.param import EVERYTHING, Anything, NewState, Readable, Scene, Settable
from sshhome.summary import looks, summary


class Reading(msgspec.Struct, frozen=True):
    """One value of one device, in the attribute's canonical unit."""

    id: str
    attribute: str
    value: Scalar
    unit: str


class Room(msgspec.Struct, frozen=True):
    """A room as a whole."""

    room: str
    devices: int
    on: int
    temperature: float | None


@order("set", needs=Privilege.CONTROL, says="{label}: {change}")
async def set_(ctx: Context, device: Settable, value: NewState) -> Change:
    """Set any value of a device.

    device: the device, with .ATTRIBUTE for another value than its main one
    value: what it shall be, such as 21.5, 70f, 40%, +10%, on or heat
    """
    return value


@order("activate", needs=Privilege.CONTROL, says="{label} is activated")
async def activate(ctx: Context, scene: Scene) -> Change:
    """Activate a scene or a script, or press a button; it takes the right to each thing that is touched.

    scene: what to activate
    """
    # Milliseconds, so that the echo of this activation is not taken for that of the one before.
    now = ctx.clock.now()
    return {"activated": f"{iso(now)[:-1]}.{round(now * 1000) % 1000:03d}Z"}


class Sight(list[Device]):
    """Devices to be shown, with the word for what is looked at: `house`, or a kind of things; or none."""

    def __init__(self, devices: Iterable[Device], what: str = "") -> None:
        """Show these."""
        super().__init__(devices)
        self.what = what


def _seen(devices: Sequence[Device]) -> Table:
    what = devices.what if isinstance(devices, Sight) else ""
    return _at_a_glance(devices) if what == "house" else _by_room(devices, what)


def _by_room(devices: Sequence[Device], what: str) -> Table:
    rows: list[Sequence[Cell] | str] = []
    most = max(map(power, devices), default=0.0)
    for room in dict.fromkeys(device.room for device in devices):
        inside = [device for device in devices if device.room == room]
        rows.append(room or "house")
        rows += [
            (f"  {device.name}", (summary(device), looks(device)), level(device, what, most), device.id)
            for device in inside
        ]
    levels = Column("level", keep=2, bars=what != "batteries")
    columns = (Column("device", keep=9), Column("is", keep=8, wraps=True), levels, Column("id", keep=1))
    return Table(columns, rows, empty="no devices")


def _at_a_glance(devices: Sequence[Device]) -> Table:
    columns = (
        Column("room", keep=9),
        Column("warm", keep=5, right=True),
        Column("on", keep=7, wraps=True),
        Column("worth a look", keep=8, wraps=True),
    )
    rows: list[Sequence[Cell]] = []
    for room in dict.fromkeys(device.room for device in devices):
        seen = glance(room, [device for device in devices if device.room == room])
        look = ", ".join(filter(None, (seen.alert, seen.open)))
        tone = "alert" if seen.alert or seen.ajar else ""
        rows.append((room or "house", seen.warm, (seen.on, "active"), (look, tone)))
    return Table(columns, rows, empty="no devices")


@order("show", needs=Privilege.READ, says=_seen)
async def show(ctx: Context, target: Anything = EVERYTHING) -> Sequence[Device]:
    """Show the house at a glance, or what is in a room or of a kind.

    target: a room, a device, a glob, or all of a kind, such as lights, locks, windows or batteries
    """
    # What can only be activated is not in any way.
    seen = [device for device in target.devices if "activated" not in device.attributes or not target.several]
    # All of the house, or what of it may be seen: then rooms say more than every single thing.
    house = target.several and not target.kind and len(target.devices) == sum(1 for _ in ctx.scope.index)
    return Sight(target.devices if target.kind == "scenes" else seen, "house" if house else target.kind)


def _as_list(devices: Sequence[Device]) -> Table:
    columns = (Column("id", keep=9), Column("name", keep=2), Column("room", keep=1), Column("is", keep=8, wraps=True))
    rows = [(device.id, device.name, device.room, (summary(device), looks(device))) for device in devices]
    return Table(columns, rows, empty="no devices")


@order("list", needs=Privilege.READ, says=_as_list)
async def list_(ctx: Context, target: Anything = EVERYTHING) -> Sequence[Device]:
    """List devices, one a line.

    target: a room, a device, a glob, or all of a kind, such as lights; everything if left out
    """
    return target.devices


def _shown(reading: Reading) -> str:
    if isinstance(reading.value, bool):
        return "yes" if reading.value else "no"
    return "unknown" if reading.value is None else str(reading.value)


def _readings(readings: Reading | Sequence[Reading]) -> str | Table:
    if isinstance(readings, Reading):
        return f"{_shown(readings)} {readings.unit}".strip()
    shown = [_shown(reading) for reading in readings]
    columns = (
        Column("id", keep=9),
        Column("attribute", keep=7),
        Column("value", keep=8, right=True),
        Column("unit", keep=2),
    )
    rows = [(r.id, r.attribute, text, r.unit) for r, text in zip(readings, shown, strict=True)]
    return Table(columns, rows, empty="no values")


@order("get", needs=Privilege.READ, says=_readings)
async def get(ctx: Context, target: Readable) -> Reading | Sequence[Reading]:
    """Get a value of a device, or all its values.

    target: the device, with .ATTRIBUTE for one value; a sensor's main value needs none
    """
    readings: list[Reading] = []
    for device in target.devices:
        one = target.attribute or (next(iter(device.attributes)) if device.kind == "sensor" else "")
        readings += [
            Reading(device.id, attribute.name, device.state.get(attribute.name), attribute.unit)
            for attribute in device.attributes.values()
            if one in {"", attribute.name}
        ]
    return readings[0] if not target.several and len(readings) == 1 else readings


def _rooms(rooms: Sequence[Room]) -> Table:
    columns = (
        Column("room", keep=9),
        Column("devices", keep=1, right=True),
        Column("on", keep=5, right=True),
        Column("temperature", keep=6, right=True),
    )
    return Table(columns, [_room_row(room) for room in rooms], empty="no rooms")


def _room_row(room: Room) -> Sequence[str | tuple[str, str]]:
    warmth = "" if room.temperature is None else f"{room.temperature:.1f} °C"
    return (room.room, str(room.devices), (str(room.on or ""), "active"), warmth)


@order("rooms", needs=Privilege.READ, says=_rooms)
async def rooms(ctx: Context) -> Sequence[Room]:
    """List the rooms with what is on in them and how warm they are."""
    found = []
    for room in ctx.scope.index.rooms:
        inside = [device for device in ctx.scope.index if device.room == room]
        warmth = [d.state["temperature"] for d in inside if isinstance(d.state.get("temperature"), int | float)]
        on = sum(device.state.get("on") is True for device in inside)
        found.append(Room(room, len(inside), on, warmth[0] if warmth else None))  # type: ignore[arg-type]  # (a number, just looked at)
    return found
