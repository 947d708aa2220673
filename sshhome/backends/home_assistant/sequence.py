"""What a script of Home Assistant may change, found in what its owner wrote. No I/O.

    touches([{"service": "light.turn_off", "target": {"area_id": "hall"}}], find) == {"light.hall", "light.stairs"}

Whoever may run a script needs the right to everything it touches, so what is not understood to the last word - a
template, an event that anything may listen for, a service of who knows what - is that nobody can tell.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

#: Given `entity_id`, `device_id` or `area_id`, what is named there and the domain that is acted on, what that reaches.
Find = Callable[[str, str, str], Collection[str]]

#: Steps within steps; nobody writes more, and a script that does is not understood.
_DEEPEST = 16
#: Services whose effect is that of the entities they name.
_DOMAINS = frozenset({
    *("light", "switch", "fan", "cover", "valve", "lock", "climate", "humidifier", "siren", "media_player", "vacuum"),
    *("lawn_mower", "alarm_control_panel", "number", "select", "text", "button"),
    *("input_boolean", "input_number", "input_select", "input_text", "input_button"),
})  # fmt: skip
#: Services that tell people something, and change nothing.
_TELLING = frozenset({"notify", "tts", "persistent_notification", "logbook", "system_log"})
#: Steps that wait, ask or remember.
_IDLE = ("delay", "wait_template", "wait_for_trigger", "condition", "and", "or", "not", "variables", "stop",
         "set_conversation_response")  # fmt: skip
_NAMED = ("entity_id", "device_id", "area_id")


class _Unclear(Exception):
    """What a step touches cannot be told from what is written."""


def touches(config: object, find: Find) -> frozenset[str] | None:
    """Return the ids of the entities that a script may change, None when that cannot be told."""
    if not isinstance(config, dict) or "sequence" not in config:
        return None
    found: set[str] = set()
    try:
        _steps(config["sequence"], find, found, 0)
    except _Unclear:
        return None
    return frozenset(found)


def _steps(steps: object, find: Find, found: set[str], depth: int) -> None:
    if depth > _DEEPEST:
        raise _Unclear
    for step in steps if isinstance(steps, list) else [steps]:
        if not isinstance(step, dict):
            raise _Unclear
        if step.get("enabled") is not False:
            _step(step, find, found, depth)


def _step(step: Mapping[str, object], find: Find, found: set[str], depth: int) -> None:
    inner = _inner(step)
    if "action" in step or "service" in step:
        _call(step, find, found)
    elif "device_id" in step:
        found.update(_reached([("device_id", step["device_id"])], "homeassistant", find))
    elif "scene" in step:
        found.update(_reached([("entity_id", step["scene"])], "scene", find))
    elif inner:
        for steps in inner:
            _steps(steps, find, found, depth + 1)
    elif not any(key in step for key in _IDLE) or "event" in step:
        raise _Unclear


def _inner(step: Mapping[str, object]) -> list[object]:
    """Return the sequences within a step."""
    found = [step[key] for key in ("then", "else", "parallel", "sequence", "default") if key in step]
    repeat, choose = step.get("repeat"), step.get("choose")
    if isinstance(repeat, dict):
        found.append(repeat.get("sequence"))
    choices = choose if isinstance(choose, list) else [choose]
    return found + [choice.get("sequence") for choice in choices if isinstance(choice, dict)]


def _call(step: Mapping[str, object], find: Find, found: set[str]) -> None:
    name = step.get("action", step.get("service"))
    if not isinstance(name, str) or "{" in name:
        raise _Unclear
    domain, _, service = name.partition(".")
    if domain in _TELLING or name == "homeassistant.update_entity":
        return
    named: list[tuple[str, object]] = []
    for where in (step.get("data_template"), step.get("data"), step.get("target"), step):
        if where is not None and not isinstance(where, Mapping):
            raise _Unclear
        named += [(key, where[key]) for key in (*_NAMED, "label_id", "floor_id") if where and key in where]
    switches = domain in {"homeassistant", "scene", "script"} and service in {"turn_on", "turn_off", "toggle"}
    if domain in _DOMAINS or switches:
        found.update(_reached(named, domain, find))
    elif domain == "script" and service != "reload":
        found.add(name)
    else:
        raise _Unclear


def _reached(named: Iterable[tuple[str, object]], domain: str, find: Find) -> Collection[str]:
    found: set[str] = set()
    for key, ids in named:
        texts = ids.split(",") if isinstance(ids, str) else ids
        if key not in _NAMED or not isinstance(texts, list):
            raise _Unclear
        for text in texts:
            if not isinstance(text, str) or "{" in text:
                raise _Unclear
            found.update(find(key, text.strip(), domain))
    return found
