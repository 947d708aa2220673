"""What has one value that is set: switch, siren, number, select, text, and what is pressed: button, scene."""

from collections.abc import Callable, Iterable

import msgspec

from sshhome import unit
from sshhome.convention import Message
from sshhome.conventions.discovery.component import LONGEST_STATE, NONE, Component, Value
from sshhome.conventions.discovery.function import from_json
from sshhome.device import Device, State
from sshhome.escape import line


def _switch(made: Component) -> None:
    made.on_off("state_topic", "value_template")


def _siren(made: Component) -> None:
    on, off = made.text("payload_on", "ON"), made.text("payload_off", "OFF")
    states = made.switched(on, off)
    made.has("on")

    def take(text: str) -> State:
        told: object = text
        if text not in states:
            try:
                told = from_json(text)
            except ValueError:
                return {}
            told = told.get("state") if isinstance(told, dict) else None
        return {"on": states[told]} if isinstance(told, str) and told in states else {}

    made.read("on", "state_topic", "state_value_template", take)
    loud = made.outlet("command_topic", "command_template", "on")
    silent_template = "command_off_template" if made.given("command_off_template") else "command_template"
    silent = made.outlet("command_topic", silent_template, "on")
    if loud is None or silent is None:
        return
    # Without a template it is told in JSON, which is how a tone and a duration would go with it.
    json = not made.given("command_template")

    def order(_: Device, value: Value) -> Iterable[Message]:
        outlet, word = (loud, on) if value else (silent, off)
        in_json = json and (value or not made.given("command_off_template"))
        said: object = msgspec.json.encode({"state": word}).decode() if in_json else word
        yield outlet(said, state=word)

    made.orders["on"] = order


def _number(made: Component) -> None:
    low, high = made.number("min", 1), made.number("max", 100)
    made.has("value", low=low, high=max(low, high), unit=unit.shown(made.text("unit_of_measurement")))
    reset = made.text("payload_reset", NONE)
    measure = made.measure("value")
    made.read(
        "value", "state_topic", "value_template", lambda text: {"value": None} if text == reset else measure(text)
    )
    made.tell("value", "command_topic", "command_template", lambda value: int(value) if value == int(value) else value)


def _select(made: Component) -> None:
    made.has("option", options=made.texts("options") or ("none",))
    made.read("option", "state_topic", "value_template", made.option("option"))
    made.tell("option", "command_topic", "command_template")


def _text(made: Component) -> None:
    low, high = made.number("min", 0), made.number("max", 255)
    made.has("text", low=max(low, 0), high=min(high, 255))
    if made.text("mode") != "password":
        made.read("text", "state_topic", "value_template", lambda text: {"text": line(text, LONGEST_STATE)})
    made.tell("text", "command_topic", "command_template")


def _pressed(key: str, payload: str) -> Callable[[Component], None]:
    def build(made: Component) -> None:
        made.has("activated")
        said = made.text(key, payload)
        made.tell("activated", "command_topic", "command_template", lambda _: said)

    return build


BUILDERS = {
    "button": _pressed("payload_press", "PRESS"),
    "number": _number,
    "scene": _pressed("payload_on", "ON"),
    "select": _select,
    "siren": _siren,
    "switch": _switch,
    "text": _text,
}
