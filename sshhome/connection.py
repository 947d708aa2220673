"""One SSH connection: what asyncssh leaves open for a server is closed here.

asyncssh 2.24 has no maximum of login attempts or channels, no budget for bytes before the login, no
backpressure towards a slow reader, and cannot tell a signed login from a mere question about a key. These
subclasses add that; each private method they lean on is pinned by a test in `tests/test_connection.py`.
"""

import asyncio
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, Protocol

import asyncssh
import msgspec
from asyncssh.auth import KbdIntChallenge, KbdIntResponse
from asyncssh.constants import MSG_IGNORE, MSG_USERAUTH_REQUEST
from asyncssh.packet import SSHPacket

from sshhome import wire
from sshhome.certificate import Admission
from sshhome.config import Limits
from sshhome.door import Place
from sshhome.key import SIGNATURES, is_fido

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
_MAX_ENV = 32
_MAX_ENV_BYTES = 4096
_ENV = frozenset({b"TERM", b"LANG", b"COLORTERM", b"NO_COLOR", b"TZ"})
#: A user name of more bytes is cut to them, and still longer than any user's.
_LONGEST_NAME = 64
#: The flags that a FIDO device sets (WebAuthn §6.1): somebody touched it; and it made sure who.
_TOUCHED, _VERIFIED = 0x01, 0x04
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)

#: What dropbear needs besides, and nobody else is offered: it has neither GCM nor encrypt-then-MAC, and sends its first
#: key exchange packet on a guess, which asyncssh judges by dropbear's rule and not by that of RFC 4253 §7.
_DROPBEAR_MAC = b"hmac-sha2-256"
_DROPBEAR_GUESS = b"kexguess2@matt.ucc.asn.au"


class Proof(msgspec.Struct, frozen=True):
    """What an attempt has proven: that it comes from this user, by this method; a key as it was sent and admitted."""

    user: str
    method: str
    blob: bytes = b""
    admission: Admission | None = None


class Gate(Protocol):
    """Who decides about a login; every call is about the name the client gives at that moment."""

    def attempt(self, user: str) -> None:
        """Hear that a login is tried; raises asyncssh.DisconnectError when the source is banned meanwhile."""

    def admit(self, user: str, blob: bytes) -> Admission | str:
        """Return how a key or certificate may let this user in, should it sign; or why it may not."""

    async def password(self, user: str, password: str) -> bool:
        """Return whether this is the user's password."""

    async def code(self, user: str, code: str) -> str:
        """Use up a one-time code of this user; return nothing, or why it is not good."""

    def failed(self, user: str, method: str, reason: str = "", blob: bytes = b"") -> None:
        """Hear that an attempt failed, and with which key; called exactly once for each that did."""

    def proved(self, proofs: Sequence[Proof]) -> Literal["in", "more", "out"]:
        """Hear what has been proven on the way in; return whether that is enough, or a one-time code must follow."""


class Channel(asyncssh.SSHServerChannel[str]):
    """A session channel with real backpressure, a bounded environment, and commands of any bytes."""

    _conn: "Connection"

    def _flush_send_buf(self) -> None:
        """Hold data back while the socket is full; asyncssh would go on encrypting into memory."""
        if self._conn is not None and self._conn.write_paused and self._send_state in _SENDING:
            self._pause_resume_writing()
            return
        super()._flush_send_buf()

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


class Connection(asyncssh.SSHServerConnection):
    """A connection on which every attempt, byte and channel counts against a limit."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        limits: Limits,
        place: Place,
    ) -> None:
        """Make a connection that has been accepted, and the room it takes up."""
        super().__init__(loop, options)
        self.limits = limits
        self.place = place
        #: Whether the time to log in ran out.
        self.grace_exceeded = False
        self.gate: Gate | None = None
        self.write_paused = False
        self._outgoing = bytearray()
        self._flushing = False
        self._read_paused = False
        self._preauth_bytes = 0
        self._attempts = 0
        self._probes = 0
        self._exchanges = 0
        self._exchanges_since = 0.0
        #: What the request that is answered now has proven, and what an earlier one has, where a code must follow.
        self._proof: Proof | None = None
        self._first: Proof | None = None
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
        live = sum(channel._recv_state != "closed" for channel in self._channels.values())  # noqa: SLF001 (see above)
        if live >= self.limits.sessions_per_connection:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions on this connection")
        return super().add_channel(chan)

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

    # -- login --------------------------------------------------------------------------------------------------------

    async def reload_config(self) -> None:
        """Do nothing: our options are the same for everyone, and asyncssh would rebuild them in a thread."""

    def _process_userauth_request(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> Any:  # noqa: ANN401 (asyncssh's own signature)
        """Take a request as one by the very name that was sent; asyncssh folds names, so that many become one."""
        sent = packet.get_consumed_payload()
        rest = SSHPacket(packet.get_remaining_payload())
        raw = rest.get_string()
        name = _unfolded(raw)
        if name != raw:
            packet = SSHPacket(sent + wire.string(name) + rest.get_remaining_payload())
            packet.get_bytes(len(sent))
        self._proof = None
        if name.decode() != self._username:
            self._first = None
        return super()._process_userauth_request(_pkttype, _pktid, packet)

    #: asyncssh finds what handles a packet in here, and not by the name of a method.
    _packet_handlers = {  # noqa: RUF012 (asyncssh's own)
        **asyncssh.SSHServerConnection._packet_handlers,  # noqa: SLF001 (see above)
        MSG_USERAUTH_REQUEST: _process_userauth_request,
    }

    def public_key_auth_supported(self) -> bool:
        """Offer keys, unless it is a code that is missing."""
        return self._first is None and super().public_key_auth_supported()

    def password_auth_supported(self) -> bool:
        """Offer passwords, unless it is a code that is missing."""
        return self._first is None and super().password_auth_supported()

    def kbdint_auth_supported(self) -> bool:
        """Offer to ask for a code once nothing else is missing; before that, clients would type passwords there."""
        return self._first is not None

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Check a signed login, which counts, or answer a question about a key (no message), which does not."""
        if msg:
            check = self._check_key(username, key_data, msg, signature)
            return await self._attempt(username, "publickey", check, key_data)
        self._probes += 1
        if self._probes > self.limits.offered_keys:
            raise _too_many("too many keys offered")
        return not isinstance(self._gate.admit(username, key_data), str)

    async def _check_key(self, user: str, blob: bytes, message: bytes, signature: bytes) -> Proof | str:
        admission = self._gate.admit(user, blob)
        if isinstance(admission, str):
            return admission
        key = admission.key
        if not verifies(key.blob, wire.string(self._session_id) + message, signature):
            return "bad signature"
        if is_fido(key.kind):
            flags = _fido_flags(signature)
            if key.touch and not flags & _TOUCHED:
                return "the key was not touched"
            if key.verify and not flags & _VERIFIED:
                return "who touched the key was not verified"
        return Proof(user, "publickey", blob, admission)

    async def validate_password(self, username: str, password: str) -> bool:
        """Check a password, which counts."""
        return await self._attempt(username, "password", self._check_password(username, password))

    async def _check_password(self, user: str, password: str) -> Proof | str:
        return Proof(user, "password") if await self._gate.password(user, password) else ""

    async def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> KbdIntChallenge:  # noqa: ARG002 (asyncssh's own signature)
        """Ask for a one-time code."""
        return ("", "", "en", [("One-time code: ", False)])

    async def validate_kbdint_response(self, username: str, responses: KbdIntResponse) -> bool:
        """Check a one-time code, which counts."""
        first = self._first
        assert first is not None  # noqa: S101 (nobody is asked for a code before)
        return await self._attempt(username, f"{first.method}+totp", self._check_code(username, responses), first.blob)

    async def _check_code(self, user: str, answers: Sequence[str]) -> Proof | str:
        if len(answers) != 1:
            return "one code was asked for"
        return await self._gate.code(user, answers[0]) or Proof(user, "totp")

    async def _attempt(
        self, user: str, method: str, check: Coroutine[Any, Any, Proof | str], blob: bytes = b""
    ) -> bool:
        self._attempts += 1
        self._proof = None
        try:
            if self._attempts > self.limits.auth_tries:
                raise _too_many("too many authentication failures")
            self._gate.attempt(user)
        except asyncssh.DisconnectError:
            check.close()
            raise
        verdict: Proof | str = "cut short"
        try:
            verdict = await check
        finally:
            # Also when a pipelined request or a cut line cancels the check: each attempt counts exactly once.
            if isinstance(verdict, str):
                self._gate.failed(user, method, verdict, blob)
            else:
                self._proof = verdict
        return not isinstance(verdict, str)

    async def send_userauth_success(self) -> None:
        """Let in who has proven, in this very request, to be the user they name; nothing else does.

        asyncssh calls this after any callback that said yes. Where a code must follow, the first proof is kept for
        as long as the name stays the same, and with it all that binds the session.
        """
        proofs = [proof for proof in (self._first, self._proof) if proof is not None]
        self._proof, proven = None, self._proof is not None
        if not proven or any(proof.user != self._username for proof in proofs):
            self.send_userauth_failure(False)
            return
        verdict = self._gate.proved(proofs)
        if verdict == "in":
            self.unused_since = self._loop.time()
            await super().send_userauth_success()
            return
        self._first = proofs[0] if verdict == "more" else None
        self.send_userauth_failure(verdict == "more")

    @property
    def _gate(self) -> Gate:
        assert self.gate is not None  # noqa: S101 (set when the connection was made)
        return self.gate


def verifies(blob: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature of a message is by this key, and made in a way that its type may.

    asyncssh advertises the signature algorithms it is told to, and verifies all it knows.
    """
    try:
        allowed = SIGNATURES.get(wire.Wire(blob).text(), frozenset())
        key = asyncssh.public_key.decode_ssh_public_key(blob)
        return wire.Wire(signature).text() in allowed and key.verify(message, signature)
    except (ValueError, OverflowError):
        return False


def _fido_flags(signature: bytes) -> int:
    """Return what a signature by a device says of its user (PROTOCOL.u2f); it is part of what is signed."""
    read = wire.Wire(signature)
    read.string()
    read.string()
    return read.number(1)


def _unfolded(name: bytes) -> bytes:
    """Return a user name as it is, or, of one that is no plain ASCII, a text that stands for it and is nobody's."""
    if not name:
        return b"(empty)"
    if len(name) <= _LONGEST_NAME and name.isascii() and name.decode().isprintable():
        return name
    return name.decode("utf-8", "backslashreplace").encode("unicode_escape")[:_LONGEST_NAME]


def _too_many(reason: str) -> asyncssh.DisconnectError:
    return asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)
