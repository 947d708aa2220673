"""What measures or notices: sensor, binary_sensor, event."""

from sshhome import unit
from sshhome.conventions.discovery.component import LONGEST_OPTION, LONGEST_STATE, NONE, Component
from sshhome.conventions.discovery.function import from_json
from sshhome.device import State
from sshhome.escape import line


def _binary_sensor(made: Component) -> None:
    name = unit.flag_for(made.text("device_class"))
    made.has(name)
    on, off = made.text("payload_on", "ON"), made.text("payload_off", "OFF")
    made.read(name, "state_topic", "value_template", made.words(name, {off: False, on: True}))


#: Device classes of sensors whose readings are no numbers.
_TEXTS = frozenset({"date", "enum", "timestamp", "uptime"})


def _sensor(made: Component) -> None:
    device_class, written = made.text("device_class"), made.text("unit_of_measurement")
    counts = device_class or written or made.text("state_class")
    if not counts or device_class in _TEXTS:
        made.has("status")
        made.read("status", "state_topic", "value_template", _status)
        return
    name = unit.attribute_for(device_class, written)
    made.has(name, **({"unit": unit.shown(written)} if name == "value" else {}))
    made.read(name, "state_topic", "value_template", made.measure(name, written if name != "value" else ""))


def _status(text: str) -> State:
    return {} if not text else {"status": None if text in {NONE, "unknown"} else line(text, LONGEST_STATE)}


def _event(made: Component) -> None:
    made.has("event")

    def take(text: str) -> State:
        try:
            told = from_json(text)
        except ValueError:
            return {}
        kind = told.get("event_type") if isinstance(told, dict) else None
        return {"event": line(kind, LONGEST_OPTION)} if isinstance(kind, str) and kind else {}

    made.read("event", "state_topic", "value_template", take)


BUILDERS = {"binary_sensor": _binary_sensor, "event": _event, "sensor": _sensor}
