"""A large house and one user of it: 40 rooms, 1,000 devices, 200 grants of every shape, and what may be asked of them.

All of it is drawn from a seed, so that two runs ask the same.
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sshhome.condition import Facts
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.order import REGISTRY, Order

ZONE = ZoneInfo("Europe/Berlin")
#: A grant as a user file has it: text, or a table with conditions.
Written = str | Mapping[str, object]

_ROOMS = tuple(f"room{number:02}" for number in range(40))
#: What stands in each room, and what it can; together 25 devices.
_FURNITURE: Sequence[tuple[str, int, State]] = (
    ("light", 8, {"on": True, "brightness": 40}),
    ("switch", 3, {"on": False}),
    ("fan", 1, {"on": False, "speed": 0}),
    ("media_player", 1, {"on": True}),
    ("cover", 2, {"position": 0}),
    ("climate", 1, {"target_temperature": 21, "temperature": 20}),
    ("lock", 1, {"locked": True}),
    ("sensor", 5, {"temperature": 20}),
    ("binary_sensor", 3, {"open": False}),
)
_ORDERS: Mapping[str, Sequence[str]] = {
    "light": ("on", "off", "dim", "dim", "dim"),
    "switch": ("on", "off"),
    "fan": ("on", "off"),
    "media_player": ("on", "off"),
    "cover": ("open", "close"),
    "climate": ("set",),
    "lock": ("lock", "unlock"),
}
_SOURCES = ("192.168.1.20", "192.168.7.3", "10.8.0.2", "2001:db8::17")
_WINDOWS = ("mon-fri 09:00-12:00, 14:00-18:00", "tue 09:00-12:00", "20:00-07:00", "weekend", "sat 10:00-16:00")
_NETWORKS = ("192.168.0.0/16", "192.168.1.0/24", "10.8.0.0/24")
_VALUES: Mapping[str, Mapping[str, str]] = {
    "light": {"brightness": "..60"},
    "fan": {"speed": "..50"},
    "cover": {"position": "20..80"},
    "climate": {"temperature": "16..23"},
}
#: 2026, in seconds since the epoch.
_YEAR = (1767225600, 1798761600)


class Question(NamedTuple):
    """Whether an order may be given on a device, to make this of it, here and now."""

    order: Order
    device: Device
    change: State | None
    facts: Facts


def devices() -> dict[str, Device]:
    """Return the devices, by id."""
    chance = _chance("devices")
    found = {}
    for room in _ROOMS:
        for kind, count, state in _FURNITURE:
            for number in range(count):
                slug = f"{room}_{number}"
                guards = "garage" if kind == "cover" and number and chance.random() < 0.5 else ""
                found[f"{kind}.{slug}"] = Device(
                    id=f"{kind}.{slug}",
                    name=f"{kind} {slug}",
                    room=room,
                    device_class=guards,
                    attributes={name: ATTRIBUTES[name] for name in state},
                    state={name: _somehow(chance, name, value) for name, value in state.items()},
                )
    return found


def grants() -> list[Written]:
    """Return the grants of the user's file: 111 plain, 57 with conditions, 26 plain denies and 6 with conditions."""
    chance = _chance("grants")
    plain: list[Written] = ["read", "control:media_player.*", "control:fan.*", "access:cover.*_1", "read:sensor.*"]
    plain += (_operating(_exact(chance)) for _ in range(60))
    plain += (f"{chance.choice(('control', 'control', 'access'))}:@{room}" for room in chance.sample(_ROOMS, 20))
    plain += (_operating(_glob(chance)) for _ in range(26))
    some = [lambda: _exact(chance), lambda: _glob(chance), lambda: f"@{chance.choice(_ROOMS)}"]
    conditional: list[Written] = [
        {"allow": _operating(scope), **_conditions(chance, scope)} for scope in ("light.*", "climate.*", "lock.*")
    ]
    conditional += (
        {"allow": _operating(scope), **_conditions(chance, scope)}
        for scope in (chance.choice(some)() for _ in range(54))
    )
    denies: list[Written] = [{"deny": _operating(chance.choice(some)())} for _ in range(18)]
    denies += ({"deny": f"read:{_exact(chance)}"} for _ in range(8))
    denies += (
        {"deny": _operating(_glob(chance)), "when": chance.choice(_WINDOWS), "from": chance.choice(_NETWORKS)}
        for _ in range(6)
    )
    written = [*plain, *conditional, *denies]
    chance.shuffle(written)
    return written


def questions(known: Mapping[str, Device], count: int) -> list[Question]:
    """Return questions about these devices, at any time of a year and from several places."""
    chance = _chance("questions")
    asked = []
    for device in chance.choices(list(known.values()), k=count):
        names = _ORDERS.get(device.kind, ())
        order, _ = REGISTRY.find([chance.choice(names) if names and chance.random() < 0.9 else "get"])
        assert order is not None
        now = float(chance.randrange(*_YEAR))
        facts = Facts(now=now, zone=ZONE, source=chance.choice(_SOURCES), order=order.name, devices=known)
        asked.append(Question(order, device, _change(chance, order), facts))
    return asked


def _chance(of: str) -> random.Random:
    """Return chance that falls the same way in each run."""
    return random.Random(of)  # noqa: S311 (nothing is kept secret by it)


def _somehow(chance: random.Random, name: str, value: Scalar) -> Scalar:
    if isinstance(value, bool):
        return chance.random() < 0.5
    return chance.randrange(15, 28) if "temperature" in name else chance.randrange(0, 101)


def _exact(chance: random.Random) -> str:
    kind, count, _ = chance.choice(_FURNITURE[:7])
    return f"{kind}.{chance.choice(_ROOMS)}_{chance.randrange(count)}"


def _glob(chance: random.Random) -> str:
    kind = chance.choice(("light", "light", "switch", "cover", "*"))
    tens, ones = chance.choice("0123"), chance.randrange(9)
    return chance.choice((f"{kind}.room{tens}?_{ones % 3}", f"{kind}.room{tens}{ones}_*", f"{kind}.*[{ones}-9]_[0-2]"))


def _operating(scope: str) -> str:
    """Return the grant to operate what is in a scope."""
    return f"{'access' if scope.startswith('lock.') else 'control'}:{scope}"


def _conditions(chance: random.Random, scope: str) -> dict[str, object]:
    values = _VALUES.get(scope.partition(".")[0], {**_VALUES["light"], **_VALUES["climate"]})
    state = f"light.{chance.choice(_ROOMS)}_{chance.randrange(8)} = {chance.choice(('on', 'off'))}"
    every = {"when": chance.choice(_WINDOWS), "from": chance.choice(_NETWORKS), "values": values, "house": state}
    return {name: every[name] for name in chance.sample(list(every), chance.choice((1, 1, 1, 2, 3)))}


def _change(chance: random.Random, order: Order) -> State | None:
    match order.name:
        case "on" | "off":
            return {"on": order.name == "on"}
        case "dim":
            return {"brightness": chance.randrange(0, 101)}
        case "open" | "close":
            return {"position": 100 if order.name == "open" else 0}
        case "lock" | "unlock":
            return {"locked": order.name == "lock"}
        case "set":
            return {"target_temperature": chance.randrange(10, 30)}
    return None
