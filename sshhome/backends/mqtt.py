"""Devices behind an MQTT broker, in whichever conventions they speak; one connection, made again whenever it is lost.

A connection is a fresh start: the parsers are made anew, the broker tells everything that is retained again, and what
nobody tells of any more is gone. Orders are published with QoS 1, never retained, expire at the broker within seconds,
and are not repeated: what could not be sent at once is never sent.
"""

import asyncio
import contextlib
import fnmatch
import itertools
import logging
import random
import re
import secrets
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sshhome.audit import EVENTS
from sshhome.backend import NEWS, Link, News, Report
from sshhome.clock import Clock
from sshhome.convention import NOTHING, Convention, Heard, Make, Message
from sshhome.conventions.discovery import Discovery
from sshhome.conventions.homie import Homie
from sshhome.conventions.tasmota import Tasmota
from sshhome.conventions.zigbee2mqtt import Zigbee2MQTT
from sshhome.device import COLOR, Device, Scalar, State
from sshhome.errors import BadArguments, SiteError, Unavailable
from sshhome.presence import OFFLINE, Presence
from sshhome.quantity import duration, span
from sshhome.secret import SecretFile
from sshhome.twins import Twins

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The conventions, the best first: of a device that two of them tell of, the first counts.
CONVENTIONS: Mapping[str, Make] = {
    "zigbee2mqtt": Zigbee2MQTT,
    "tasmota": Tasmota,
    "homie": Homie,
    "homeassistant": Discovery,
}
#: Seconds until the first and until any further try to connect, and to one that the broker refused outright.
_FIRST, _LONGEST = 1.0, 60.0
#: Seconds that a connection must last for the next one to be tried at once.
_LASTED = 10.0
#: Seconds without a new device after which those that were not told of again are gone.
SETTLED = 5.0
#: Seconds until a part of a connection that does not end is cancelled again, and until all of it is.
_AGAIN, _LEAVES = 1.0, 10.0
#: Seconds that the broker has to take a message, and that it keeps one for a device that is away.
_TAKEN, _EXPIRES = 2.0, 5
#: Messages, and devices, that are worked on before others get their turn, and messages that may wait: the largest house
#: tells all at once.
_AT_ONCE, _WAITING = 64, 100_000
#: News that wait to be told.
_NEWS = 100
#: Topics in one packet to the broker; questions to devices a second, which a radio network has to carry.
_TOPICS, _QUESTIONS = 200, 25
#: A topic that we never listen to, and seconds that a broker has to tell everything that is retained.
_NOWHERE, _ALL_TOLD = "sshhome/nowhere", 120.0
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII)
_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
#: CONNACK: bad user name or password, not authorized, bad authentication method, banned (MQTT 5, 3.2.2.2).
_REFUSED = {134: "the user or password is wrong", 135: "the user or password is wrong", 138: "banned there"}
#: What a device was doing as it was last heard of says nothing of what it does now.
_PASSING = frozenset({"moving", "phase", "doing", "event", "activated"})
_HINT = "is it powered? a broker whose ACL refuses what sshhome publishes does not say so"


class Options(msgspec.Struct, frozen=True):
    """A `[[backend]]` table of kind mqtt; times are as people write them."""

    url: str
    kind: str = "mqtt"
    name: str = ""
    password_file: str = ""
    ca: str = ""
    keepalive: str = "15s"
    conventions: Sequence[str] = tuple(CONVENTIONS)
    zigbee2mqtt_topic: str = "zigbee2mqtt"
    tasmota_prefix: str = "tasmota/discovery"
    homie_domain: str = "homie"
    discovery_prefix: str = "homeassistant"
    announce: str = ""
    events: Sequence[str] = ()


class MqttBackend:
    """Keeps a connection to one broker, and the devices that are told of there."""

    def __init__(self, options: Mapping[str, Any], clock: Clock, report: Report) -> None:
        """Take checked options; see `open`."""
        self._options = options
        self._server = _Server(options)
        self._clock = clock
        self._report = report
        self._link = Link(up=False, says=f"{self._server}: connecting")
        self._life: asyncio.Task[None] | None = None
        self._talk: _Talk | None = None
        #: What is told of, by the rank of the convention and the identity.
        self._told: dict[tuple[int, str], Device] = {}
        self._twins = Twins()
        #: How things stand at the door, for when there is a broker to be told.
        self._standing: News | None = None
        #: By the same, what was known before the connection was lost and has not been told again.
        self._before: dict[tuple[int, str], State] = {}
        #: What was told of before the connection was lost, and has not been told of since.
        self._missing: set[tuple[int, str]] = set()

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse what is wrong with the options; raises SiteError."""
        _Server(options)

    @classmethod
    async def open(cls, options: Mapping[str, Any], state: Path, clock: Clock, report: Report) -> Self:  # noqa: ARG003 (it keeps no files)
        """Begin to connect; raises SiteError for wrong options and for a file that cannot be read."""
        backend = cls(options, clock, report)
        backend._server.password()
        backend._server.tls()
        backend._life = asyncio.create_task(backend._live())
        return backend

    @classmethod
    async def test(cls, options: Mapping[str, Any]) -> str:
        """Connect, and return what is there; raises SiteError in one line."""
        server = _Server(options)
        backend = cls(options, Clock(), _Nobody())
        try:
            async with server.connect() as (client, arrived):
                talk = _Talk(client, arrived, backend._make())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2.0):
                        await backend._converse(talk)
        except aiomqtt.MqttError as error:
            raise SiteError(f"{server}: {_words(error)}") from None
        count = len(backend.devices())
        return f"{server}: connected, {count} device{'' if count == 1 else 's'}"

    @property
    def link(self) -> Link:
        """How it is with the broker."""
        return self._link

    def devices(self) -> Sequence[Device]:
        """Return every device that is told of, each once."""
        return [d for (rank, _), d in self._told.items() if self._twins.counts(d.hardware, rank)]

    async def apply(self, device: Device, change: State) -> None:
        """Publish a change; raises Unavailable while there is no broker, or Refused for what cannot be said."""
        talk = self._talk
        rank = min((rank for rank in range(len(CONVENTIONS)) if (rank, device.identity) in self._told), default=None)
        if talk is None or rank is None or not self._told[rank, device.identity].available:
            raise Unavailable(f"{device.id} is unavailable", self._link.says)
        await asyncio.gather(*(talk.publish(message) for message in talk.conventions[rank].say(device, change)))

    def announce(self, news: News) -> None:
        """Publish what happens at the door below the topic `announce`, if there is one."""
        if not news.event:
            self._standing = news
        presence = self._server.presence
        if self._talk is not None and presence is not None and presence.wants(news):
            self._talk.news.append(news)

    async def close(self) -> None:
        """Leave the broker."""
        self._report = _Nobody()
        if self._talk is not None and self._server.presence is not None:
            # Leaving is no failure, so that our last will is not told by itself.
            with contextlib.suppress(aiomqtt.MqttError):
                await self._talk.client.publish(self._server.presence.online, OFFLINE, qos=1, retain=True, timeout=1.0)
        if self._life is not None:
            await _end([self._life], _LEAVES)

    # -- the connection -----------------------------------------------------------------------------------------------

    def _make(self) -> Sequence[Convention]:
        return [CONVENTIONS[name](self._options) for name in self._server.options.conventions]

    async def _live(self) -> None:
        """Connect again and again, ever more slowly while that fails."""
        wait = _FIRST
        while True:
            began = self._clock.monotonic()
            try:
                await self._connected()
            except MqttConnectError as error:
                # It will not let us in the next second either, and may well ban who asks too often.
                wait, words = _LONGEST, _words(error)
            except aiomqtt.MqttError as error:
                words = _words(error)
            except Exception as error:  # (a bug of ours must not end the backend for good)
                log.exception("backend %s", self._server)
                words = f"failed by our own fault: {type(error).__name__}"
            if self._clock.monotonic() - began > _LASTED:
                wait = _FIRST
            pause = wait * random.uniform(0.75, 1.25)  # noqa: S311 (no secret: so that not all come back at once)
            await self._lost(f"{words}; the next try is in {span(max(pause, 1))}")
            await asyncio.sleep(pause)
            wait = min(wait * 2, _LONGEST)

    async def _connected(self) -> None:
        """Connect once and converse until the connection is lost; raises MqttError then."""
        async with self._server.connect() as (client, arrived):
            self._talk = talk = _Talk(client, arrived, self._make())
            presence = self._server.presence
            if presence is not None:
                for message in presence.introduction():
                    await client.publish(message.topic, message.payload, qos=1, retain=True)
                talk.news.extend([self._standing] if self._standing else [])
            self._link = Link(up=True, says=f"{self._server}: connected", hint=_HINT)
            log.info("backend %s: connected", self._server)
            self._before = {key: device.state for key, device in self._told.items()}
            self._missing = set(self._told)
            try:
                await self._converse(talk)
            finally:
                self._talk = None

    async def _lost(self, words: str) -> None:
        """Tell that nothing can be reached."""
        says = f"{self._server}: {words}"
        if self._link.up or not self._told:
            log.warning("backend %s", says)
        self._link = Link(up=False, says=says)
        async for key, device in _by_turns(list(self._told.items())):
            self._told[key] = away = msgspec.structs.replace(device, available=False)
            if device.available and self._twins.counts(device.hardware, key[0]):
                self._report.changed(away)

    async def _converse(self, talk: "_Talk") -> None:
        """Hear everything and ask what is to be asked, until the connection is lost."""
        for rank, convention in enumerate(talk.conventions):
            talk.listen(rank, convention.topics)
        parts = (self._hear(talk), self._speak(talk), self._wait(talk), talk.lost())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end(tasks, _AGAIN)

    async def _hear(self, talk: "_Talk") -> None:
        count = 0
        while True:
            message = await talk.arrived.get()
            topic, payload = message.topic.value, message.payload
            if isinstance(payload, bytes):
                now = self._clock.monotonic()
                async with talk.turn:
                    for rank, convention in enumerate(talk.conventions):
                        if (heard := convention.hear(topic, payload, now)) is not NOTHING:
                            await self._follow(talk, rank, heard)
            count += 1
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _speak(self, talk: "_Talk") -> None:
        while True:
            await talk.subscribe()
            while talk.news and self._server.presence is not None:
                news = talk.news.popleft()
                message = self._server.presence.tell(news)
                await talk.client.publish(message.topic, message.payload, qos=1, retain=not news.event)
            await asyncio.sleep(1 / _QUESTIONS)
            if talk.questions:
                question = talk.questions.popleft()
                await talk.client.publish(question.topic, question.payload, qos=0)

    async def _wait(self, talk: "_Talk") -> None:
        """Let time pass for the conventions; once all is told, what was not told of again is gone."""
        while True:
            await asyncio.sleep(1.0)
            now = self._clock.monotonic()
            async with talk.turn:
                for rank, convention in enumerate(talk.conventions):
                    await self._follow(talk, rank, convention.later(now))
                if talk.quiet_since is None:
                    talk.quiet_since = now
                elif now - talk.quiet_since >= SETTLED:
                    async for rank, identity in _by_turns(list(self._missing)):
                        self._gone(rank, identity)

    # -- what is told -------------------------------------------------------------------------------------------------

    async def _follow(self, talk: "_Talk", rank: int, heard: Heard) -> None:
        for number, part in enumerate(heard.parts):
            if number:
                await asyncio.sleep(0)
            async for device in _by_turns(part.changed):
                self._changed(talk, rank, device)
            async for identity in _by_turns(part.gone):
                talk.told.discard((rank, identity))
                self._gone(rank, identity)
            for identity, words in part.refused:
                self._report.refused(identity, words)
            if part.listen or part.leave or part.ask:
                talk.leave(rank, part.leave)
                talk.listen(rank, part.listen)
                talk.questions.extend(part.ask)

    def _changed(self, talk: "_Talk", rank: int, device: Device) -> None:
        key = (rank, device.identity)
        self._missing.discard(key)
        if key not in talk.told:
            talk.told.add(key)
            talk.quiet_since = None
        if key in self._before:
            device = self._completed(key, device)
        known = self._told.get(key)
        if known is not None and known.hardware != device.hardware:
            self._gone(*key)
        self._told[key] = device
        for identity in self._twins.tell(device.hardware, rank, device.identity):
            self._report.gone(identity)
        if self._twins.counts(device.hardware, rank):
            self._report.changed(device)

    def _completed(self, key: tuple[int, str], device: Device) -> Device:
        """Return a device with what is still known from before of what it has not told since."""
        told = {name for name, value in device.state.items() if value is not None}
        if not told.isdisjoint(COLOR):
            # A lamp shows a colour or a white: one that has been told takes the place of the other.
            told.update(COLOR)
        before = {name: value for name, value in self._before[key].items() if name not in told | _PASSING}
        if before:
            self._before[key] = before
        else:
            del self._before[key]
        kept: dict[str, Scalar] = {name: value for name, value in before.items() if name in device.attributes}
        return msgspec.structs.replace(device, state={**device.state, **kept})

    def _gone(self, rank: int, identity: str) -> None:
        device = self._told.pop((rank, identity), None)
        self._before.pop((rank, identity), None)
        self._missing.discard((rank, identity))
        if device is None:
            return
        if self._twins.counts(device.hardware, rank):
            self._report.gone(identity)
        for other in self._twins.forget(device.hardware, rank, identity):
            for (_, known), twin in list(self._told.items()):
                if known == other:
                    self._report.changed(twin)


class _Talk:
    """One connection: what is listened to, and what is asked over it."""

    def __init__(self, client: aiomqtt.Client, arrived: "_Arrived", conventions: Sequence[Convention]) -> None:
        self.client = client
        self.arrived = arrived
        self.conventions = conventions
        #: Whose turn it is to tell what has become of devices: what was known first is told first.
        self.turn = asyncio.Lock()
        self.told: set[tuple[int, str]] = set()
        #: Since when no device has been told of that was not told of before, on the monotonic clock.
        self.quiet_since: float | None = None
        self.questions: deque[Message] = deque(maxlen=_WAITING)
        self.news: deque[News] = deque(maxlen=_NEWS)
        self._listeners: dict[str, set[int]] = {}
        self._topics: dict[str, bool] = {}
        self._expiring = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # (paho has none there)
        self._expiring.MessageExpiryInterval = _EXPIRES

    async def lost(self) -> None:
        """Wait until the connection is lost; raises MqttError then."""
        async for _ in self.client.messages:
            raise AssertionError("what arrives goes past aiomqtt's own queue")

    def listen(self, rank: int, topics: Iterable[str]) -> None:
        """Subscribe to topics; one that another convention listens to again, for what is retained there."""
        for topic in topics:
            self._listeners.setdefault(topic, set()).add(rank)
            self._topics[topic] = True

    def leave(self, rank: int, topics: Iterable[str]) -> None:
        """Unsubscribe from topics that nobody else listens to."""
        for topic in topics:
            listeners = self._listeners.get(topic, set())
            listeners.discard(rank)
            if not listeners:
                self._listeners.pop(topic, None)
                self._topics[topic] = False

    async def subscribe(self) -> None:
        """Tell the broker what is listened to from now on, and what is not any more."""
        while self._topics:
            topics = dict(itertools.islice(self._topics.items(), _TOPICS))
            for topic in topics:
                del self._topics[topic]
            # Of more than a thousand messages of QoS 1 at once Mosquitto drops the rest, as it comes configured; where
            # no session is kept, QoS 0 loses nothing more.
            wanted = [(topic, SubscribeOptions(qos=0)) for topic, on in topics.items() if on]
            left = [topic for topic, on in topics.items() if not on]
            if wanted:
                await self.client.subscribe(wanted)
                # Mosquitto 2.0 forgets to send what is retained if it still has other things to send as we subscribe:
                # what it answers to this comes after all of those.
                await self.client.unsubscribe(_NOWHERE, timeout=_ALL_TOLD)
            if left:
                await self.client.unsubscribe(left)

    async def publish(self, message: Message) -> None:
        """Publish an order; raises Unavailable where it can be told that it was not sent."""
        try:
            await self.client.publish(
                message.topic, message.payload, qos=1, retain=False, properties=self._expiring, timeout=_TAKEN
            )
        except aiomqtt.MqttCodeError as error:
            raise Unavailable(f"nothing can be sent: {_words(error)}") from None
        except aiomqtt.MqttError as error:
            # It may have been taken: whether it was is told by the device.
            log.info("publishing to %s: %s", message.topic, _words(error))
        connected = self.client._client.socket()  # noqa: SLF001 (there is no other way to it)
        if _QUICKACK is not None and isinstance(connected, socket.socket):
            # A broker keeps the device's echo back until we have acknowledged its own answer (Nagle), which Linux does
            # only 40 ms later. It forgets this by itself (tcp(7)), hence every time.
            with contextlib.suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


class _Server:
    """Where the broker is and how to come in, as its options say."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Check the options; raises SiteError."""
        unknown = next((key for key in options if key not in Options.__struct_fields__), None)
        if unknown is not None:
            raise _wrong(f"unknown key '{unknown}'")
        try:
            self.options = msgspec.convert(dict(options), Options)
            self.keepalive = duration(self.options.keepalive)
            parts = urlsplit(self.options.url)
            self.host, port = parts.hostname or "", parts.port
        except (msgspec.ValidationError, BadArguments, ValueError) as error:
            raise _wrong(str(error)) from None
        if parts.scheme not in _DEFAULT_PORTS or not self.host or parts.path.strip("/") or parts.query:
            raise _wrong("url is mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS")
        if not 1 <= self.keepalive <= 3600:
            raise _wrong("keepalive is 1s to 1h")
        for name in self.options.conventions:
            if name not in CONVENTIONS:
                raise _wrong(f"no convention '{name}'; there is {', '.join(CONVENTIONS)}")
        if self.options.announce and not _TOPIC.fullmatch(self.options.announce):
            raise _wrong("announce is a topic of our own, such as sshhome/house")
        if self.options.ca and parts.scheme == "mqtt":
            raise _wrong("ca is for an mqtts:// url")
        announce, events = self.options.announce, self.options.events
        for pattern in events:
            if not fnmatch.filter(EVENTS, pattern):
                raise _wrong(f"events: nothing is called '{pattern}'")
        if events and not announce:
            raise _wrong("events are told below the topic that announce names")
        self.presence = Presence(announce, self.options.discovery_prefix, NEWS, events) if announce else None
        self.secure = parts.scheme == "mqtts"
        self.port = port or _DEFAULT_PORTS[parts.scheme]
        self.user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    def __str__(self) -> str:
        """Return where it is, without any secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def password(self) -> str | None:
        """Return the password, if there is one; raises SiteError for a file that cannot be read, or that others can."""
        return SecretFile(Path(self.options.password_file)).read() if self.options.password_file else self._password

    def tls(self) -> ssl.SSLContext | None:
        """Return what the connection is secured with, if it is; raises SiteError for a ca that cannot be read."""
        if not self.secure:
            return None
        try:
            return ssl.create_default_context(cafile=self.options.ca or None)
        except OSError as error:
            raise SiteError(f"{self.options.ca}: {error.strerror}") from None

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[aiomqtt.Client, "_Arrived"]]:
        """Connect; raises MqttError when that fails, or as soon as the connection is lost."""
        try:
            password, tls = self.password(), self.tls()
        except SiteError as error:
            # A file that was there as the server started.
            raise aiomqtt.MqttError(error.message) from None
        arrived: _Arrived = asyncio.Queue(_WAITING)
        async with aiomqtt.Client(
            self.host,
            self.port,
            username=self.user,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=f"sshhome-{secrets.token_hex(6)}",
            clean_start=True,
            # It asks after this time, and waits for the answer as long again.
            keepalive=max(1, round(self.keepalive / 2)),
            timeout=max(self.keepalive, 5.0),
            tls_context=tls,
            will=aiomqtt.Will(self.presence.online, OFFLINE, qos=1, retain=True) if self.presence else None,
            queue_type=_past(arrived),
            max_inflight_messages=1000,
        ) as client:
            yield client, arrived


#: What has arrived and is to be heard.
_Arrived = asyncio.Queue[aiomqtt.Message]


def _past(arrived: _Arrived) -> type[_Arrived]:
    """Return a queue that passes everything on, for aiomqtt: to take from its own costs a task for each message."""

    class Passing(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            arrived.put_nowait(item)

    return Passing


async def _end(tasks: Sequence[asyncio.Task[None]], again: float) -> None:
    """Cancel tasks until they have ended: aiomqtt's `asyncio.wait_for` loses a cancellation, now and then, in 3.11."""
    waiting: Iterable[asyncio.Task[None]] = tasks
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=again)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _by_turns(many: Sequence[T]) -> AsyncIterator[T]:
    """Yield each of them, and now and then let others have their turn."""
    for number, one in enumerate(many, 1):
        yield one
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)


class _Nobody:
    """What is reported to by a backend that is closed, or that is only tried."""

    def changed(self, device: Device, by: str = "") -> None:
        """Take no note."""

    def gone(self, identity: str) -> None:
        """Take no note."""

    def refused(self, identity: str, words: str) -> None:
        """Take no note."""


def _wrong(what: str) -> SiteError:
    return SiteError(f"sshhome.toml: backend mqtt: {what}")


def _words(error: aiomqtt.MqttError) -> str:
    """Return in a few words why there is no connection."""
    code = getattr(error.rc, "value", error.rc) if isinstance(error, aiomqtt.MqttCodeError) else None
    if isinstance(code, int) and code in _REFUSED:
        return _REFUSED[code]
    text = str(error).partition("] ")[2] or str(error)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        text = "its certificate is not trusted:" + text.rpartition("failed:")[2].partition(" (")[0]
    return text.strip().rstrip(".").lower() if text.isascii() and len(text) < 200 else "the connection was lost"
