"""What drives about by itself: vacuum, lawn_mower."""

from collections.abc import Callable, Iterable, Mapping

from sshhome.convention import Message
from sshhome.conventions.discovery.component import LONGEST_OPTION, NONE, Component, Outlet, Value
from sshhome.conventions.discovery.function import from_json
from sshhome.device import Device, State
from sshhome.errors import Refused
from sshhome.escape import line

_ACTIVITIES: Mapping[str, str] = {
    "cleaning": "cleaning",
    "mowing": "mowing",
    "paused": "paused",
    "idle": "stopped",
    "docked": "docked",
}


def _active(made: Component, *activities: str) -> Callable[[str], State]:
    """Add what it is at; what it is at that nobody orders, such as returning, is told in words alone."""
    made.has("activity", options=activities)
    made.has("doing")

    def take(text: str) -> State:
        if not text:
            return {}
        activity = _ACTIVITIES.get(text)
        doing = None if text == NONE else line(text, LONGEST_OPTION)
        return {"activity": activity if activity in activities else None, "doing": doing}

    return take


def _vacuum(made: Component) -> None:
    take = _active(made, "cleaning", "paused", "stopped", "docked")
    speeds = made.texts("fan_speed_list")
    if speeds:
        made.has("fan_mode", options=speeds)
        made.tell("fan_mode", "set_fan_speed_topic", "")

    def told(text: str) -> State:
        try:
            said = from_json(text)
        except ValueError:
            return {}
        if not isinstance(said, dict):
            return {}
        state, speed = said.get("state", ""), said.get("fan_speed")
        found = dict(take(state if isinstance(state, str) else NONE))
        return {**found, **({"fan_mode": speed} if isinstance(speed, str) and speed in speeds else {})}

    names = ("activity", "doing", *(("fan_mode",) if speeds else ()))
    made.read(names, "state_topic", "value_template", told)
    features = made.texts("supported_features", ("start", "stop", "return_home"))
    offered = {
        "cleaning": ("start", made.text("payload_start", "start")),
        "paused": ("pause", made.text("payload_pause", "pause")),
        "stopped": ("stop", made.text("payload_stop", "stop")),
        "docked": ("return_home", made.text("payload_return_to_base", "return_to_base")),
    }
    payloads = {activity: payload for activity, (feature, payload) in offered.items() if feature in features}
    if (outlet := made.outlet("command_topic")) is not None and payloads:
        _acts(made, {activity: (outlet, payload) for activity, payload in payloads.items()})


def _lawn_mower(made: Component) -> None:
    take = _active(made, "mowing", "paused", "docked")
    made.read(("activity", "doing"), "activity_state_topic", "activity_value_template", take)
    orders = {}
    for activity, key in (("mowing", "start_mowing"), ("paused", "pause"), ("docked", "dock")):
        if (outlet := made.outlet(f"{key}_command_topic", f"{key}_command_template", "activity")) is not None:
            orders[activity] = (outlet, key)
    if orders:
        _acts(made, orders)


def _acts(made: Component, orders: Mapping[str, tuple[Outlet, str]]) -> None:
    def order(device: Device, value: Value) -> Iterable[Message]:
        if value not in orders:
            raise Refused(f"{device.name} cannot be told to be {value}")
        outlet, payload = orders[value]
        yield outlet(payload)

    made.orders["activity"] = order


BUILDERS = {"lawn_mower": _lawn_mower, "vacuum": _vacuum}
