"""A component as it is described: what it is then, what it makes of messages, and what is said to it."""

from typing import Any

import msgspec

from sshhome.conventions.discovery import Discovery
from sshhome.device import State
from tests.conventions.listener import check


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
