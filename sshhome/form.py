"""The two forms of an answer: what people read of it, a sentence or a table, and the plain data that JSON has."""

from collections.abc import Mapping
from typing import Any

from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.order import Table
from sshhome.outcome import Answer, DryRun, Filtered, Outcome
from sshhome.summary import color, summary, whereabouts


def human(outcome: Outcome, answer: Answer) -> str | Table:
    """Return what people read of an answer; nothing of it is harmless to a terminal yet."""
    order = outcome.order
    assert order is not None  # noqa: S101 (there is no answer without an order)
    if isinstance(answer.value, Filtered):
        text: str | Table = answer.value.left
    elif isinstance(answer.value, DryRun):
        text = _would(answer.value, answer.label)
    elif isinstance(answer.value, Device) and not outcome.wait:
        text = f"sent to {answer.label}"
    elif isinstance(order.says, str):
        text = order.says.format_map(_Fields(answer))
    else:
        text = order.says(answer.value)
    return f"{text}; {answer.back}" if answer.back and not isinstance(text, Table) else text


def plain(value: Any) -> Any:  # noqa: ANN401 (anything an order returns)
    """Return what an order returned as JSON has it, devices in their one form."""
    if isinstance(value, Filtered):
        return value.left
    if isinstance(value, Device):
        return value.as_json()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def result(outcome: Outcome) -> Any:  # noqa: ANN401 (anything an order returns)
    """Return what an order answered as JSON has it, an array where it was for several devices."""
    values = [plain(answer.value) for answer in outcome.answers]
    each = outcome.several and all(isinstance(answer.value, Device | DryRun) for answer in outcome.answers)
    return values if each or len(values) != 1 else values[0]


def _would(plan: DryRun, label: str) -> str:
    """Return what an order would do."""
    if not plan.id:
        return f"would give '{plan.order}'"
    if plan.before == plan.change:
        return f"would leave {label} as it is"
    told = [
        f"{ATTRIBUTES[name].title}: {_value(name, plan.before[name])} → {_value(name, plan.change[name])}"
        for name in plan.change
    ]
    return f"would change {label}: {', '.join(told)}"


def _value(name: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else ATTRIBUTES[name].show(value)


class _Fields(dict[str, Any]):
    """What an order's `says` template may name, worked out when it does."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.args, label=answer.label)
        self._answer = answer

    def __missing__(self, name: str) -> object:
        device: Device = self._answer.value
        match name:
            case "id" | "name" | "room" | "kind":
                return getattr(device, name)
            case "is":
                return summary(device)
            case "on_off":
                return "on" if device.state.get("on") else "off"
            case "where":
                return whereabouts(device)
            case "change":
                change: Mapping[str, Any] = self._answer.args["value"]
                return ", ".join(_changed(device, attribute) for attribute in change)
        return device.state[name]

    def __getitem__(self, name: str) -> object:
        return color(self._answer.value) if name == "color" else super().__getitem__(name)


def _changed(device: Device, name: str) -> str:
    attribute = device.attributes[name]
    return f"{attribute.title} is {attribute.show(device.state.get(name))}"
