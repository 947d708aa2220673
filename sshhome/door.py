"""The door: which address may connect now; the rest is turned away at accept, before any key exchange, and cheaply."""

import asyncio
import errno
import logging
import os
import random
import socket
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable

from sshhome.audit import Audit, Flood
from sshhome.ban import Bans
from sshhome.clock import Clock
from sshhome.config import Limits
from sshhome.limits import turned_away
from sshhome.source import address_of, source_of

log = logging.getLogger(__name__)

BUSY = "server busy, try later"
#: Connections taken from the kernel in one turn of the loop; then everybody else has a turn.
_ACCEPTS = 64
#: What accept(2) fails with when the machine is at its end, and the seconds until it is worth another try.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RECOVER = 0.5
#: Seconds for which a source that has logged in is spared the early drop, and how many sources are remembered.
_KNOWN_FOR, _MAX_KNOWN = 7 * 86400.0, 4096
#: Refusals that a source reads the reason of, in so many seconds; the ones after that are silent, and cost less.
_POLITE, _POLITE_WINDOW = 3, 60.0
#: Polite refusals at once, each a socket of its own, the seconds each has to be read, and what it may send meanwhile.
_MAX_LINGERING, _LINGER, _LINGER_BYTES = 64, 2.0, 64 * 1024
#: Seconds in which `limits.alert_refusals` refusals are an alert, and seconds until the next alert of its kind.
_ALERT_WINDOW, _ALERT_AGAIN = 60.0, 600.0
_DISC_TOO_MANY_CONNECTIONS = 12


class Place:
    """The room that one connection takes up, from accept to its end."""

    def __init__(self, door: "Door", address: str) -> None:
        """Count in."""
        self.address = address
        self._door = door
        self._source = source_of(address)
        self._proved = False
        self._left = False
        door.sources[self._source] += 1
        door.waiting[self._source] += 1

    def proved(self) -> None:
        """Stop counting as somebody unknown, and let the source be known for a while."""
        if not self._left:
            self._wait_no_more()
            self._door.remember(self._source)

    def left(self) -> None:
        """Count out; more than once does nothing."""
        if not self._left:
            self._left = True
            self._wait_no_more()
            _count_out(self._door.sources, self._source)

    def _wait_no_more(self) -> None:
        if not self._proved:
            self._proved = True
            _count_out(self._door.waiting, self._source)


def _count_out(counter: Counter[str], source: str) -> None:
    counter[source] -= 1
    if not counter[source]:
        del counter[source]


class Door:
    """Accepts connections and hands those that may come in to a factory of protocols."""

    def __init__(
        self, limits: Limits, bans: Bans, audit: Audit, clock: Clock, chance: random.Random | None = None
    ) -> None:
        """Stand open for nobody; `listen` opens it."""
        self.limits = limits
        #: Why nobody else can be let in just now, or nothing; set by whoever watches the machine.
        self.shortage = ""
        #: Connections by source: all, and those that have yet to prove who they are.
        self.sources: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        #: Until when a source is known for a login that succeeded; the latest one last.
        self._known: OrderedDict[str, float] = OrderedDict()
        self.refusals = Flood(audit, clock, "connection.refused")
        self._bans = bans
        self._audit = audit
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self._sockets: list[socket.socket] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self._lingering: dict[socket.socket, asyncio.TimerHandle] = {}
        self._told: Counter[str] = Counter()
        self._told_until = 0.0
        self._alert_until = 0.0
        self._refused = 0
        self._alerted: dict[str, float] = {}

    def listen(self, listener: socket.socket, factory: Callable[[Place], asyncio.Protocol]) -> None:
        """Accept from a listening, non-blocking socket until `close`."""
        self._sockets.append(listener)
        asyncio.get_running_loop().add_reader(listener, self._accept, listener, factory)

    async def close(self) -> None:
        """Accept nobody any more; whoever has been accepted already is there when this returns."""
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()
        for client in list(self._lingering):
            self._let_go(client)
        if self._arriving:
            await asyncio.wait(self._arriving)
        self.refusals.tell()

    def refusal(self, address: str) -> tuple[str, str]:
        """Return why an address may not connect now, in words for the client and as the rule; or two empty texts.

        The order is that of sshd(8): bans and penalties, then what the machine can bear, then what a source may take.
        """
        ban = self._bans.find(address)
        if ban is not None:
            return self._bans.reason(ban), "ban"
        penalty = self._bans.penalties.find(address)
        if penalty is not None:
            return penalty.reason, "penalty"
        limits, source = self.limits, source_of(address)
        if self.shortage:
            return BUSY, "resources"
        if self.sources.total() >= limits.connections:
            return BUSY, "limits.connections"
        if self.sources[source] >= limits.connections_per_source:
            return BUSY, "limits.connections_per_source"
        if self.waiting[source] >= limits.startups_per_source:
            return BUSY, "limits.startups_per_source"
        # Whoever fills the waiting room cannot keep the household out: it is known here.
        if not self._is_known(source) and turned_away(limits, self.waiting.total(), self._chance):
            return BUSY, "limits.startups"
        return "", ""

    def remember(self, source: str) -> None:
        """Note that somebody from this source has proved who they are."""
        self._known[source] = self._clock.monotonic() + _KNOWN_FOR
        self._known.move_to_end(source)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def _is_known(self, source: str) -> bool:
        return self._known.get(source, 0.0) > self._clock.monotonic()

    def alert(self, event: str, **facts: object) -> None:
        """Write an alert, unless there was one of its kind a short while ago."""
        now = self._clock.monotonic()
        if now >= self._alerted.get(event, now):
            self._alerted[event] = now + _ALERT_AGAIN
            self._audit.write(event, **facts)

    # -- accepting ----------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, factory: Callable[[Place], asyncio.Protocol]) -> None:
        for _ in range(_ACCEPTS):
            try:
                client, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(listener, factory, error)
                return
            address = address_of(peer[0])
            reason, rule = self.refusal(address)
            if reason:
                self._refuse(client, address, reason, rule)
            else:
                client.setblocking(False)
                task = asyncio.get_running_loop().create_task(self._let_in(client, Place(self, address), factory))
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)

    async def _let_in(self, client: socket.socket, place: Place, factory: Callable[[Place], asyncio.Protocol]) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: factory(place), client)
        except Exception as error:
            # Whoever connects and is gone again at once; or a bug of ours, which costs this one alone.
            if not isinstance(error, OSError):
                log.exception("no connection for %s", place.address)
            client.close()
            place.left()

    def _pause(self, listener: socket.socket, factory: Callable[[Place], asyncio.Protocol], error: OSError) -> None:
        """Leave callers in the kernel's queue for a moment: the machine has nothing left to take one with."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self.alert("alert.resources", reason=f"cannot accept: {error.strerror}")

        def again() -> None:
            if listener in self._sockets:
                loop.add_reader(listener, self._accept, listener, factory)

        loop.call_later(_RECOVER, again)

    # -- refusing -----------------------------------------------------------------------------------------------------

    def _refuse(self, client: socket.socket, address: str, reason: str, rule: str) -> None:
        self._count(address, reason, rule)
        source, now = source_of(address), self._clock.monotonic()
        if now >= self._told_until:
            self._told.clear()
            self._told_until = now + _POLITE_WINDOW
        polite = self._told[source] < _POLITE and len(self._lingering) < _MAX_LINGERING and len(self._told) < _MAX_KNOWN
        if not polite:
            client.close()
            return
        self._told[source] += 1
        try:
            client.setblocking(False)
            client.send(disconnect_message(_DISC_TOO_MANY_CONNECTIONS, reason))
            client.shutdown(socket.SHUT_WR)
        except OSError:
            client.close()
            return
        # A close with unread input resets the connection, and the reason with it: wait until it is read.
        loop = asyncio.get_running_loop()
        self._lingering[client] = loop.call_later(_LINGER, self._let_go, client)
        left = _LINGER_BYTES

        def read() -> None:
            nonlocal left
            try:
                data = client.recv(4096)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            left -= len(data)
            if not data or left < 0:
                self._let_go(client)

        loop.add_reader(client, read)

    def _let_go(self, client: socket.socket) -> None:
        self._lingering.pop(client).cancel()
        asyncio.get_running_loop().remove_reader(client)
        client.close()

    def _count(self, address: str, reason: str, rule: str) -> None:
        """Log a refusal; many of them are an alert."""
        self.refusals.write(source=address, reason=reason, rule=rule)
        now = self._clock.monotonic()
        if now >= self._alert_until:
            self._alert_until, self._refused = now + _ALERT_WINDOW, 0
        self._refused += 1
        if self._refused >= self.limits.alert_refusals:
            self.alert("alert.refusals", refusals=self._refused, seconds=int(_ALERT_WINDOW), source=address, rule=rule)


def disconnect_message(code: int, reason: str) -> bytes:
    """Return a version line and an unencrypted SSH_MSG_DISCONNECT (RFC 4253 §4.2, §6, §11.1)."""
    text = reason.encode()
    payload = struct.pack(">BII", 1, code, len(text)) + text + struct.pack(">I", 2) + b"en"
    padding = -(5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    packet = struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + os.urandom(padding)
    return b"SSH-2.0-sshhome\r\n" + packet
