"""What sshhome is to Home Assistant over MQTT: a device with sensors and an event, as its MQTT discovery wants them."""

import fnmatch
from collections.abc import Sequence

from sshhome import __version__
from sshhome.backend import News
from sshhome.convention import Message
from sshhome.escape import encoded
from sshhome.naming import slug

ONLINE, OFFLINE = b"online", b"offline"


class Presence:
    """The topics below one of our own, and what is published there.

    `TOPIC/online` and `TOPIC/state` are retained, `TOPIC/event` is not; `state` is an object of counts and of the last
    login, `event` one of what happened, with `event_type` as the audit log calls it. Other events that are asked for
    have a topic each, such as `TOPIC/event/order.done`.
    """

    def __init__(self, topic: str, prefix: str, events: Sequence[str], asked: Sequence[str] = ()) -> None:
        """Live below `topic`, be discovered below `prefix`, and tell these events, and those asked for by pattern."""
        self._prefix = prefix
        self.online = f"{topic}/online"
        self._state, self._event = f"{topic}/state", f"{topic}/event"
        self._id, self._events, self._asked = slug(topic), events, asked

    def introduction(self) -> Sequence[Message]:
        """Return what is published, retained, once connected: an entity a topic, which every version understands."""
        counted = {"state_class": "measurement"}
        return [
            self._sensor("sessions", "Sessions", "mdi:console", **counted),
            self._sensor("bans", "Bans", "mdi:shield-lock", **counted),
            self._sensor("last_login", "Last login", "mdi:login"),
            self._sensor("last_login_at", "Last login at", "mdi:clock", device_class="timestamp"),
            self._entity("event", "door", "Door", "mdi:door", state_topic=self._event, event_types=list(self._events)),
            Message(self.online, ONLINE),
        ]

    def wants(self, news: News) -> bool:
        """Return whether it is to be told at all."""
        return not news.event or news.event in self._events or self._is_asked(news.event)

    def _is_asked(self, event: str) -> bool:
        return any(fnmatch.fnmatchcase(event, pattern) for pattern in self._asked)

    def tell(self, news: News) -> Message:
        """Return what is published of news: retained where it is how things stand, and not where something happened."""
        if news.event:
            topic = self._event if news.event in self._events else f"{self._event}/{news.event}"
            return Message(topic, encoded({"event_type": news.event, **news.fields}))
        return Message(self._state, encoded(news.standing))

    def _sensor(self, key: str, name: str, icon: str, **more: str) -> Message:
        template = f"{{{{ value_json.{key} }}}}"
        return self._entity("sensor", key, name, icon, state_topic=self._state, value_template=template, **more)

    def _entity(self, component: str, key: str, name: str, icon: str, **more: object) -> Message:
        about = {
            "name": name,
            "unique_id": f"{self._id}_{key}",
            "object_id": f"{self._id}_{key}",
            "icon": icon,
            "availability_topic": self.online,
            **more,
            "device": {
                "identifiers": [self._id],
                "name": "sshhome",
                "manufacturer": "sshhome",
                "model": "front door",
                "sw_version": __version__,
            },
            "origin": {"name": "sshhome", "sw_version": __version__},
        }
        return Message(f"{self._prefix}/{component}/{self._id}/{key}/config", encoded(about))
