"""What a house tells of: its devices, what changed of them, and what happened at its door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Device:
    """One controllable or readable thing, as it last reported itself."""

    id: str
    kind: str
    name: str
    room: str
    available: bool
    state: Mapping[str, Value]


@dataclass(frozen=True)
class Change:
    """A device as it is now, None for one that is gone; which of its values are new, and who did it if that is known.

    `at` is when, in UTC.
    """

    id: str
    device: Device | None
    change: Mapping[str, Value]
    by: str = ""
    at: str = ""


@dataclass(frozen=True)
class Happening:
    """What else happened: who came and went (`topic` is presence), or an event of the audit log, with all it tells."""

    topic: str
    event: str
    fields: Mapping[str, Any]
    at: str = ""


@dataclass(frozen=True)
class Gap:
    """Something of these topics may have been missed: the house was restarted, it was long ago, or it was too much.

    `devices` are all those that are watched as they are now, where that was asked for.
    """

    topics: Sequence[str]
    devices: Sequence[Device] = ()


def device_of(told: Mapping[str, Any]) -> Device:
    """Return a device of its JSON; what a newer house tells besides is left out."""
    return Device(told["id"], told["kind"], told["name"], told["room"], told["available"], told["state"])


def devices_of(told: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[Device, ...]:
    """Return the devices of an answer, which tells of one or of several."""
    return (device_of(told),) if isinstance(told, Mapping) else tuple(map(device_of, told))
