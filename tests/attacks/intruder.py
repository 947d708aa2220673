"""A user who has logged in and then sends whatever they like, packet by packet, without minding the answers."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncssh
from asyncssh.packet import Boolean, SSHPacket, String, UInt32

from tests.client import PATIENCE, Door, Wire, until

# RFC 4250 §4.1.2.
KEXINIT = 20
GLOBAL, GLOBAL_SUCCESS, GLOBAL_FAILURE = 80, 81, 82
OPEN, CONFIRMED, REFUSED = 90, 91, 92
ADJUST, DATA, EXTENDED, EOF, CLOSE = 93, 94, 95, 96, 97
REQUEST, GRANTED, DENIED = 98, 99, 100
DISCONNECT, IGNORE = 1, 2
_PIECE = 16 * 1024


class _Everywhere(dict[int, Any]):
    """A table of channels in which all numbers lead to the same."""

    def __init__(self, handler: object) -> None:
        super().__init__()
        self._handler = handler

    def __missing__(self, number: int) -> object:
        return self._handler


class Intruder(Wire):
    """A connection on which nothing is understood once the login has succeeded: answers are counted and kept."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHClientConnectionOptions) -> None:
        """Begin as a client does."""
        super().__init__(loop, options)
        #: How many packets of each kind have come, and the channels that the server has opened, by our number.
        self.heard: Counter[int] = Counter()
        self.channels: dict[int, int] = {}
        #: Bytes that the server still takes, by our number of the channel.
        self.windows: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.out = b""
        self._channels = _Everywhere(self)
        self._held: bytearray | None = None

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:  # noqa: ANN401 (asyncssh's own)
        """Note what comes after the login."""
        if pkttype in self.ignored or pkttype < GLOBAL:
            return super().process_packet(pkttype, pktid, packet)
        self.heard[pkttype] += 1
        if pkttype == CONFIRMED:
            number = packet.get_uint32()
            self.channels[number] = packet.get_uint32()
            self.windows[number] = packet.get_uint32()
        elif pkttype == REFUSED:
            packet.get_uint32()
            packet.get_uint32()
            self.refusals[packet.get_string().decode()] += 1
        elif pkttype == ADJUST:
            # The number has been read by who found out whose packet it is.
            number = int.from_bytes(packet.get_consumed_payload()[-4:], "big")
            self.windows[number] += packet.get_uint32()
        elif pkttype == DATA:
            self.out += packet.get_string()
        elif pkttype == EXTENDED:
            packet.get_uint32()
            self.out += packet.get_string()
        return True

    def send_packet(self, pkttype: int, *args: bytes, **kwargs: Any) -> None:  # noqa: ANN401 (asyncssh's own)
        """Send a packet, without the one to ignore that asyncssh sends before each."""
        if pkttype != IGNORE or args != (String(b""),):
            super().send_packet(pkttype, *args, **kwargs)

    def _send(self, data: bytes) -> None:
        if self._held is None:
            super()._send(data)
        else:
            self._held += data

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Send all that is said in the block in one piece, so that the server reads many packets in one turn."""
        self._held = bytearray()
        try:
            yield
        finally:
            held, self._held = self._held, None
            super()._send(bytes(held))

    def ask_to_open(self, number: int, *, kind: str = "session", window: int = 2**21, size: int = 2**15) -> None:
        """Ask for a channel; `number` is ours for it."""
        self.send_packet(OPEN, String(kind), UInt32(number), UInt32(window), UInt32(size))

    async def open(self, number: int = 0, *, window: int = 2**21, size: int = 2**15) -> int:
        """Open a channel and return the server's number for it."""
        self.ask_to_open(number, window=window, size=size)
        await until(lambda: number in self.channels)
        return self.channels[number]

    def request(self, channel: int, name: str, *fields: bytes, answer: bool = True) -> None:
        """Make a request on a channel."""
        self.send_packet(REQUEST, UInt32(channel), String(name), Boolean(answer), *fields)

    def terminal(self, channel: int, term: str = "xterm") -> None:
        """Ask for a terminal."""
        self.request(channel, "pty-req", String(term), *map(UInt32, (80, 24, 0, 0)), String(b"\0"))

    def data(self, channel: int, data: bytes) -> None:
        """Send data."""
        self.send_packet(DATA, UInt32(channel), String(data))

    async def pour(self, number: int, data: bytes) -> None:
        """Send a lot of data, as fast as the server takes it."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            # All pieces but the last are of one size, and a window that has room for one has room for less.
            await until(lambda: self.gone or self.windows[number] >= min(_PIECE, len(data)))
            self.windows[number] -= len(piece)
            self.data(self.channels[number], piece)

    async def sent(self) -> None:
        """Wait until the server has taken nearly all that was sent."""
        await until(lambda: self.gone or self.waiting < 64 * 1024)

    @property
    def waiting(self) -> int:
        """Bytes that the server has not taken."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    @property
    def gone(self) -> bool:
        """Whether the connection is over."""
        return self._transport is None or self._transport.is_closing()


@contextlib.asynccontextmanager
async def intruder(
    door: Door, user: str = "guest", *, source: str = "127.0.0.66", version: bytes = b""
) -> AsyncIterator[Intruder]:
    """Log in and misbehave."""
    made = await asyncssh.SSHClientConnectionOptions.construct(
        None,
        username="",
        client_keys=None,
        known_hosts=None,
        config=None,
        agent_path=None,
        gss_host=None,
    )
    if version:
        # asyncssh lets through what may be printed alone.
        made.version = version
    loop = asyncio.get_running_loop()
    transport, wire = await loop.create_connection(
        lambda: Intruder(loop, made), "127.0.0.1", door.port, local_addr=(source, 0)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await wire.ready.wait()
        await wire.log_in(user, door.key(user))
        yield wire
    finally:
        wire.abort()
        await wire.wait_closed()
        transport.close()
