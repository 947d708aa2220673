"""What opens and shuts: cover, valve, lock, alarm_control_panel."""

from collections.abc import Callable, Iterable, Mapping

from sshhome import unit
from sshhome.convention import Message
from sshhome.conventions.discovery.component import NONE, Component, Outlet, Take, Value
from sshhome.conventions.discovery.function import from_json
from sshhome.device import Device, State
from sshhome.errors import Refused


def _ends(made: Component, low: str, high: str) -> tuple[int, int]:
    """Return the two ends of a scale, which goes from 0 to 100 if nothing else is said."""
    return int(made.number(low, 0)), int(made.number(high, 100))


def _share(made: Component, name: str, closed: float, opened: float) -> Callable[[object], State]:
    """Return what takes a place between two ends for a percentage."""

    def take(value: object) -> State:
        place = unit.number(value)
        if place is None or opened == closed:
            return {}
        return {name: unit.reading((place - closed) / (opened - closed) * 100, "", made.attributes[name])}

    return take


def _places(made: Component, name: str, closed: float, opened: float) -> None:
    made.coarse[name] = lambda share: _place(share, closed, opened)


def _place(share: float, closed: float, opened: float) -> int:
    return round(closed + share / 100 * (opened - closed))


def _moves(made: Component, *, reports: bool) -> Take:
    """Return what takes the words of a cover or a valve; without a position of its own it is open or closed."""
    ends: Mapping[str, State] = {
        made.text("state_open", "open"): {"moving": None} if reports else {"moving": None, "position": 100},
        made.text("state_closed", "closed"): {"moving": None} if reports else {"moving": None, "position": 0},
        made.text("state_stopped", "stopped"): {"moving": None},
        made.text("state_opening", "opening"): {"moving": "opening"},
        made.text("state_closing", "closing"): {"moving": "closing"},
        NONE: {"moving": None} if reports else {"moving": None, "position": None},
    }
    return lambda text: ends.get(text, {})


def _payloads(made: Component, *, stop: str | None) -> dict[str, str]:
    """Return the words that open, close and stop; one that is null is one that there is not."""
    words = {"open": "OPEN", "close": "CLOSE", **({"stop": stop} if stop else {})}
    named = {word: made.text(f"payload_{word}", words.get(word, "")) for word in ("open", "close", "stop")}
    empty = [word for word in named if made.given(f"payload_{word}") and not made.text(f"payload_{word}")]
    return {word: said for word, said in named.items() if said and word not in empty}


def _steered(made: Component, words: Mapping[str, str], outlet: Outlet | None, place: Outlet | None) -> None:
    """Let a position be set by words at its ends, and by what makes a message of any."""
    if outlet is not None and "stop" in words:
        made.orders["moving"] = lambda _, __: [outlet(words["stop"])]
    if place is None and (outlet is None or not {"open", "close"} & words.keys()):
        return

    def order(device: Device, value: Value) -> Iterable[Message]:
        word = {0: "close", 100: "open"}.get(value, "")
        if outlet is not None and word in words:
            yield outlet(words[word])
        elif place is not None:
            yield place(value)
        else:
            raise Refused(f"{device.name} can only be opened or closed")

    made.orders["position"] = order


def _cover(made: Component) -> None:
    closed, opened = _ends(made, "position_closed", "position_open")
    low, high = _ends(made, "tilt_min", "tilt_max")
    made.constants = {"position_closed": closed, "position_open": opened, "tilt_min": low, "tilt_max": high}
    made.has("position")
    made.has("moving")
    _places(made, "position", closed, opened)
    reports = bool(made.topic("position_topic"))
    made.read(
        ("moving", *(() if reports else ("position",))), "state_topic", "value_template", _moves(made, reports=reports)
    )
    if tilts := bool(made.topic("tilt_status_topic") or made.topic("tilt_command_topic")):
        made.has("tilt")
        _places(made, "tilt", low, high)
        made.read("tilt", "tilt_status_topic", "tilt_status_template", _share(made, "tilt", low, high))
    place, lean = _share(made, "position", closed, opened), _share(made, "tilt", low, high)

    def take(text: str) -> State:
        if not text.lstrip().startswith("{"):
            return place(text)
        try:
            told = from_json(text)
        except ValueError:
            return {}
        tilt = lean(told.get("tilt_position")) if tilts else {}
        return {**place(told.get("position")), **tilt}

    names = ("position", "tilt") if tilts else ("position",)
    made.read(names, "position_topic", "position_template", take)
    setting = made.outlet("set_position_topic", "set_position_template", "position")
    _steered(
        made,
        _payloads(made, stop="STOP"),
        made.outlet("command_topic"),
        setting and (lambda value: setting(_place(value, closed, opened), position=value)),
    )
    if (leaning := made.outlet("tilt_command_topic", "tilt_command_template", "tilt")) is not None:
        made.orders["tilt"] = lambda _, value: [leaning(_place(value, low, high), tilt_position=value)]


def _valve(made: Component) -> None:
    closed, opened = _ends(made, "position_closed", "position_open")
    made.constants = {"position_closed": closed, "position_open": opened}
    made.has("position")
    made.has("moving")
    _places(made, "position", closed, opened)
    reports = made.flag("reports_position")
    place, move = _share(made, "position", closed, opened), _moves(made, reports=reports)

    def take(text: str) -> State:
        told: object = None
        if text.lstrip().startswith("{"):
            try:
                told = from_json(text)
            except ValueError:
                return {}
        where, how = (told.get("position", text), told.get("state", "")) if isinstance(told, dict) else (text, text)
        moved = move(how) if isinstance(how, str) else {}
        found = place(where) if reports else {}
        # What has arrived moves no longer, if it does not say so itself.
        arrived = {"moving": None} if found.get("position") in {0, 100} and not moved else {}
        return {**found, **moved, **arrived}

    made.read(("position", "moving"), "state_topic", "value_template", take)
    outlet = made.outlet("command_topic", "command_template", "position", "moving")
    words = _payloads(made, stop=None)
    if not reports:
        _steered(made, words, outlet, None)
    elif outlet is not None:
        stop = {"stop": words["stop"]} if "stop" in words else {}
        _steered(made, stop, outlet, lambda value: outlet(_place(value, closed, opened)))


def _lock(made: Component) -> None:
    locked, unlocked = made.text("state_locked", "LOCKED"), made.text("state_unlocked", "UNLOCKED")
    for name in ("locked", "moving", "jammed"):
        made.has(name)
    states: Mapping[str, State] = {
        made.text("state_jammed", "JAMMED"): {"jammed": True, "moving": None},
        made.text("state_locking", "LOCKING"): {"moving": "locking"},
        made.text("state_unlocking", "UNLOCKING"): {"moving": "unlocking"},
        unlocked: {"locked": False, "moving": None, "jammed": False},
        locked: {"locked": True, "moving": None, "jammed": False},
        made.text("payload_reset", NONE): {"locked": None, "moving": None, "jammed": None},
    }
    names = ("locked", "moving", "jammed")
    made.read(names, "state_topic", "value_template", lambda text: states.get(text, {}))
    if made.text("code_format"):
        made.forbid("locked", "it asks for a code")
        return
    lock, unlock = made.text("payload_lock", "LOCK"), made.text("payload_unlock", "UNLOCK")
    made.tell("locked", "command_topic", "command_template", lambda value: lock if value else unlock)


_ARMED = {
    "home": "arm_home",
    "away": "arm_away",
    "night": "arm_night",
    "vacation": "arm_vacation",
    "custom": "arm_custom_bypass",
}


def _alarm(made: Component) -> None:
    features = made.texts("supported_features", tuple(_ARMED.values()))
    modes = [mode for mode, feature in _ARMED.items() if feature in features]
    made.has("armed", options=("disarmed", *modes))
    made.has("phase")
    states: dict[str, State] = {
        phase: {"armed": None, "phase": phase} for phase in ("arming", "pending", "triggered", "disarming")
    }
    states |= {f"armed_{mode}": {"armed": mode, "phase": None} for mode in modes}
    states |= {"armed_custom_bypass": states["armed_custom"]} if "custom" in modes else {}
    states |= {"disarmed": {"armed": "disarmed", "phase": None}, NONE: {"armed": None, "phase": None}}
    made.read(("armed", "phase"), "state_topic", "value_template", lambda text: states.get(text, {}))
    code = made.text("code")
    asks = code.startswith("REMOTE_CODE")
    outlet = made.outlet("command_topic", "command_template", "armed")
    if outlet is None:
        return

    def order(device: Device, value: Value) -> Iterable[Message]:
        key = "disarm" if value == "disarmed" else _ARMED[value]
        if asks and made.flag(f"code_{key.partition('_')[0]}_required", default=True):
            raise Refused(f"{device.name} asks for a code")
        action = made.text(f"payload_{key}", key.upper())
        yield outlet(action, action=action, code="" if asks else code)

    made.orders["armed"] = order


BUILDERS = {"alarm_control_panel": _alarm, "cover": _cover, "lock": _lock, "valve": _valve}
