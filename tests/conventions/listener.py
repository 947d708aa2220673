"""Who listens to a convention's parser: the devices that it tells of, each looked at, and what is to be listened to."""

import msgspec

from sshhome.convention import Convention, Heard
from sshhome.device import ATTRIBUTES, Device


class Listener:
    """What a parser has told so far."""

    def __init__(self, convention: Convention) -> None:
        """Begin with nothing."""
        self.convention = convention
        self.devices: dict[str, Device] = {}
        self.listening: set[str] = set()

    def hear(self, topic: str, payload: object = b"", now: float = 0.0) -> Heard:
        """Let a message arrive, as it is or as JSON, and take note of what it says."""
        raw = payload.encode() if isinstance(payload, str) else payload
        return self.take(self.convention.hear(topic, raw if isinstance(raw, bytes) else msgspec.json.encode(raw), now))

    def take(self, heard: Heard) -> Heard:
        """Take note of what follows from something."""
        for device in heard.changed:
            check(device)
            self.devices[device.identity] = device
        for identity in heard.gone:
            del self.devices[identity]
        assert self.listening.isdisjoint(heard.listen)
        assert self.listening.issuperset(heard.leave)
        self.listening = (self.listening | set(heard.listen)) - set(heard.leave)
        return heard


def known_of(device: Device) -> dict[str, object]:
    """Return what is known of a device's state."""
    return {name: value for name, value in device.state.items() if value is not None}


def check(device: Device) -> None:
    """Check that a device is as the house wants it: each attribute known, each value of its type and in its bounds."""
    assert set(device.state) == set(device.attributes) <= set(ATTRIBUTES)
    assert 0 < len(device.name) <= 64
    assert device.name.isprintable()
    for name, value in device.state.items():
        attribute = device.attributes[name]
        assert (attribute.name, attribute.type) == (name, ATTRIBUTES[name].type)
        assert attribute.unit == ATTRIBUTES[name].unit or name == "value"
        assert attribute.low <= attribute.high
        if value is None:
            continue
        assert type(value) is attribute.type
        if attribute.options:
            assert value in attribute.options
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert attribute.low <= value <= attribute.high
        elif isinstance(value, str):
            assert len(value) <= 255
            assert value.isprintable()
