"""A component as it is described: what it is then, what it makes of messages, and what is said to it."""

from typing import Any

import msgspec

from sshhome.conventions.discovery import Discovery
from sshhome.device import ATTRIBUTES, Device, State


class Described:
    """One component that was discovered by a message of its own."""

    def __init__(self, kind: str, **config: Any) -> None:  # noqa: ANN401  (whatever JSON holds)
        """Describe it, and nothing else."""
        self.discovery = Discovery({})
        payload = msgspec.json.encode({"unique_id": "1", "name": "Thing", **config})
        heard = self.discovery.hear(f"homeassistant/{kind}/thing/config", payload, 0.0)
        (self.device,) = heard.changed
        self.listens = heard.listen

    def hears(self, topic: str, payload: str | bytes) -> State:
        """Let a message arrive; returns the state after it, which is one that the house may be told."""
        heard = self.discovery.hear(topic, payload if isinstance(payload, bytes) else payload.encode(), 0.0)
        for device in heard.changed:
            self.device = device
            check(device)
        return dict(self.device.state)

    def says(self, **change: object) -> list[tuple[str, str]]:
        """Return what is published for a change."""
        messages = self.discovery.say(self.device, change)  # type: ignore[arg-type]  # (values of attributes)
        return [(message.topic, message.payload.decode()) for message in messages]

    @property
    def settable(self) -> set[str]:
        """Which attributes may be set."""
        return {name for name, attribute in self.device.attributes.items() if attribute.settable}


def check(device: Device) -> None:
    """Check that a device is as the house wants it: each attribute known, each value of its type and in its bounds."""
    assert set(device.state) == set(device.attributes) <= set(ATTRIBUTES)
    assert 0 < len(device.name) <= 64
    assert device.name.isprintable()
    for name, value in device.state.items():
        attribute = device.attributes[name]
        assert (attribute.name, attribute.type) == (name, ATTRIBUTES[name].type)
        assert attribute.unit == ATTRIBUTES[name].unit or name == "value"
        if value is None:
            continue
        assert isinstance(value, (int, float) if attribute.type is float else attribute.type)
        assert isinstance(value, bool) <= (attribute.type is bool)
        if attribute.options:
            assert value in attribute.options
        elif isinstance(value, int | float) and attribute.type is not bool:
            assert attribute.low <= value <= attribute.high
        elif isinstance(value, str):
            assert len(value) <= 255
            assert value.isprintable()
