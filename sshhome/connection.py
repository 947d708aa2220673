"""One SSH connection: what asyncssh leaves open for a server is closed here.

asyncssh 2.24 has no maximum of channels, no budget for bytes before the login and no backpressure towards a slow
reader. These subclasses add that; each private method they lean on is pinned by a test in `tests/test_connection.py`.
"""

import asyncio
import socket
from typing import Any

import asyncssh
from asyncssh.constants import MSG_CHANNEL_OPEN, MSG_IGNORE
from asyncssh.packet import SSHPacket

from sshhome.authentication import Authentication
from sshhome.config import Limits
from sshhome.door import Place

#: Bytes waiting for the socket at which we stop writing to it.
_WRITE_HIGH = 256 * 1024
#: Bytes gathered into one write, and bytes waiting at which the peer is given up: replies that no channel holds back.
_GATHER = 64 * 1024
_WRITE_HARD = 8 * 1024 * 1024
#: Unparsed bytes at which we stop reading, and bytes asyncio hands over at once (its 256 KiB stall the loop).
_READ_HIGH = 512 * 1024
_READ_CHUNK = 32 * 1024
#: Packets held back while a key exchange is under way at which channels pause, and at which the peer is given up.
_DEFERRED_HIGH = 32
_DEFERRED_HARD = 4096
#: Key exchanges in a minute at which the peer is given up; OpenSSH begins one an hour or a gigabyte.
_MAX_EXCHANGES = 10
#: Times that a client may ask for proofs of the host keys; OpenSSH asks once.
_MAX_PROOFS = 2
#: Pieces of data that wait on a channel before they are put together.
_MOST_PIECES = 256
_MAX_ENV = 32
_MAX_ENV_BYTES = 4096
_ENV = frozenset({b"TERM", b"LANG", b"COLORTERM", b"NO_COLOR", b"TZ"})
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)

#: What dropbear needs besides, and nobody else is offered: it has neither GCM nor encrypt-then-MAC, and sends its first
#: key exchange packet on a guess, which asyncssh judges by dropbear's rule and not by that of RFC 4253 §7.
_DROPBEAR_MAC = b"hmac-sha2-256"
_DROPBEAR_GUESS = b"kexguess2@matt.ucc.asn.au"


class Channel(asyncssh.SSHServerChannel[str]):
    """A session channel with real backpressure, a bounded environment, and commands of any bytes."""

    _conn: "Connection"

    def _flush_send_buf(self) -> None:
        """Hold data back while the socket is full; asyncssh would go on encrypting into memory."""
        if self._conn is not None and self._conn.write_paused and self._send_state in _SENDING:
            self._pause_resume_writing()
            return
        super()._flush_send_buf()

    def _flush_recv_buf(self, exc: Exception | None = None) -> None:
        """Once the client has closed the channel, end it, also where nobody reads what came before that."""
        if self._recv_state == "close_pending" and self._recv_paused is True:
            self._recv_buf, self._recv_paused = [], False
        super()._flush_recv_buf(exc)

    def _accept_data(self, data: bytes, datatype: int | None = None) -> None:
        """Take data that nobody reads yet without keeping an object for each byte of it."""
        super()._accept_data(data, datatype)
        if len(self._recv_buf) > _MOST_PIECES:
            self._recv_buf = [(b"".join(piece for piece, _ in self._recv_buf), None)]

    def _process_pty_req_request(self, packet: SSHPacket) -> bool:
        """Give no terminal to a session that has begun without one."""
        return not self._session_started and super()._process_pty_req_request(packet)

    def _process_env_request(self, packet: SSHPacket) -> bool:
        """Take what a terminal needs to look right, and nothing else."""
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        wanted = name in _ENV or name.startswith(b"LC_")
        if not wanted or len(self._env) >= _MAX_ENV or len(name) + len(value) > _MAX_ENV_BYTES:
            return False
        self._env[name] = value
        return True

    def _process_exec_request(self, packet: SSHPacket) -> bool:
        """Take a command of any bytes; asyncssh refuses one that is not UTF-8 without a word."""
        command = packet.get_string()
        packet.check_end()
        return self._start_session(command=command.decode("utf-8", "replace"))


_SENDING = frozenset({"open", "eof_pending", "close_pending"})


class Connection(Authentication):
    """A connection on which every attempt, byte and channel counts against a limit."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        limits: Limits,
        place: Place,
    ) -> None:
        """Make a connection that has been accepted, and the room it takes up."""
        super().__init__(loop, options, limits)
        self.place = place
        #: Whether the time to log in ran out.
        self.grace_exceeded = False
        self.write_paused = False
        self._outgoing = bytearray()
        self._flushing = False
        self._read_paused = False
        self._preauth_bytes = 0
        self._exchanges = 0
        self._proofs_asked = 0
        self._exchanges_since = 0.0
        self._socket: socket.socket | None = None

    # -- transport ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what may wait in either direction."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a TCP listener makes no other)
        transport.set_write_buffer_limits(high=_WRITE_HIGH)
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_CHUNK
        self._socket = transport.get_extra_info("socket")
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Count bytes before the login, and acknowledge at once.

        The OpenSSH client leaves Nagle's algorithm on, so a delayed acknowledgement of ours costs it 40 ms;
        Linux forgets TCP_QUICKACK by itself (tcp(7)), hence again for every read.
        """
        if _QUICKACK is not None and self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        if not self._auth_complete:
            self._preauth_bytes += len(data)
            if self._preauth_bytes > self.limits.preauth_bytes:
                self._force_close(asyncssh.ProtocolError("too much before the login"))
                return
        super().data_received(data, datatype)
        if len(self._inpbuf) > _READ_HIGH and self._transport and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _send_kexinit(self) -> None:
        """Offer our algorithms; the client's version is known by now (RFC 4253 §4.2 comes before §7.1)."""
        now = self._loop.time()
        if now - self._exchanges_since > 60:
            self._exchanges, self._exchanges_since = 0, now
        self._exchanges += 1
        if self._exchanges > _MAX_EXCHANGES:
            raise asyncssh.ProtocolError("too many key exchanges")
        if self._is_dropbear and b"curve25519-sha256" in self._kex_algs and _DROPBEAR_MAC not in self._mac_algs:
            self._mac_algs = [*self._mac_algs, _DROPBEAR_MAC]
        super()._send_kexinit()

    def _get_extra_kex_algs(self) -> list[bytes]:
        extra = super()._get_extra_kex_algs()
        return [*extra, _DROPBEAR_GUESS] if self._is_dropbear else extra

    @property
    def _is_dropbear(self) -> bool:
        return self._client_version.startswith(b"SSH-2.0-dropbear")

    def _finish_recv_packet(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (asyncssh's own signature)
        super()._finish_recv_packet(*args, **kwargs)
        if self._read_paused and len(self._inpbuf) < _READ_HIGH // 2 and self._transport:
            self._read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Let channels hold their data back; asyncssh ignores this."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let channels write what they held back, until the socket is full again."""
        self.write_paused = False
        for channel in list(self._channels.values()):
            if self.write_paused:
                return
            if channel._send_chan is not None:  # noqa: SLF001 (asyncssh has no other way)
                channel._flush_send_buf()  # noqa: SLF001

    def _send(self, data: bytes) -> None:
        """Gather what one turn of the loop sends into one write; asyncssh makes a system call for each packet."""
        self._outgoing += data
        if len(self._outgoing) > _GATHER:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data, self._outgoing = bytes(self._outgoing), bytearray()
        if data:
            super()._send(data)
            if self._transport and self._transport.get_write_buffer_size() > _WRITE_HARD:
                self.abort()

    def _force_close(self, exc: Exception | None) -> None:
        """Close at once, after what has been said; the last word may be why."""
        self._flush()
        super()._force_close(exc)

    def send_packet(self, pkttype: int, *args: bytes, **kwargs: Any) -> None:  # noqa: ANN401 (asyncssh's own signature)
        """Send a packet; a peer that begins a key exchange and never ends it makes them pile up.

        asyncssh sends an SSH_MSG_IGNORE before each, against an attack on CBC ciphers, of which we offer none.
        """
        if pkttype == MSG_IGNORE:
            return
        super().send_packet(pkttype, *args, **kwargs)
        if self._auth_complete and len(self._deferred_packets) > _DEFERRED_HIGH:
            self.write_paused = True
            if len(self._deferred_packets) > _DEFERRED_HARD:
                self.abort()

    def _send_deferred_packets(self) -> None:
        super()._send_deferred_packets()
        if self.write_paused and self._transport:
            waiting = self._transport.get_write_buffer_size()
            if waiting < _WRITE_HIGH:
                self.resume_writing()

    # -- channels -----------------------------------------------------------------------------------------------------

    def add_channel(self, chan: Any) -> int:  # noqa: ANN401 (generic in asyncssh)
        """Refuse one channel too many; one that both sides have closed, and asyncssh has yet to forget, is none."""
        channels = self._channels.values()
        live = sum(one._session is None or one._recv_state != "closed" for one in channels)  # noqa: SLF001 (see above)
        if live >= self.limits.sessions_per_connection:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions on this connection")
        return super().add_channel(chan)

    def _process_channel_open(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """Open sessions alone; asyncssh calls whatever method of its own is named like what is asked for."""
        if SSHPacket(packet.get_remaining_payload()).get_string() == b"session":
            super()._process_channel_open(_pkttype, _pktid, packet)
            return
        packet.get_string()
        number = packet.get_uint32()
        self.send_channel_open_failure(number, asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "nothing is forwarded", "en")

    #: asyncssh finds what handles a packet in here, and not by the name of a method.
    _packet_handlers = {  # noqa: RUF012 (asyncssh's own)
        **Authentication._packet_handlers,  # noqa: SLF001 (see above)
        MSG_CHANNEL_OPEN: _process_channel_open,
    }

    def _process_hostkeys_prove_00_at_openssh_dot_com_global_request(self, packet: SSHPacket) -> None:
        """Prove each host key, once or twice: a signature costs far more than to ask for it."""
        self._proofs_asked += 1
        size = sum(4 + len(key) for key in self._all_server_host_keys)
        if self._proofs_asked > _MAX_PROOFS or len(packet.get_remaining_payload()) > size:
            self._report_global_response(False)
        else:
            super()._process_hostkeys_prove_00_at_openssh_dot_com_global_request(packet)

    def create_server_channel(
        self, encoding: str | None = "", errors: str = "", window: int = 0, max_pktsize: int = 0
    ) -> Channel:
        """Make our own kind of channel, with the same defaults as asyncssh's."""
        size = max_pktsize or self._max_pktsize
        self._update_recv_pktlen(size)
        return Channel(
            self,
            self._loop,
            self._allow_pty,
            self._line_editor,
            self._line_echo,
            self._line_history,
            self._max_line_length,
            self._encoding if encoding == "" else encoding,
            errors or self._errors,
            window or self._window,
            size,
        )

    def _login_timer_callback(self) -> None:
        """Close the connection with a word when the time to log in is over; asyncssh would leave without one."""
        self._login_timer = None
        self.grace_exceeded = True
        self.disconnect(asyncssh.DISC_BY_APPLICATION, "login took too long")
