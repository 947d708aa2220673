"""The login on a connection: who proves what, by which key or word; each attempt counts exactly once.

asyncssh 2.24 has no maximum of attempts, and cannot tell a signed login from a mere question about a key. This
subclass adds that; each private method it leans on is pinned by a test in `tests/test_connection.py`.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, Protocol

import asyncssh
import msgspec
from asyncssh.auth import KbdIntChallenge, KbdIntResponse
from asyncssh.constants import MSG_USERAUTH_REQUEST
from asyncssh.packet import SSHPacket

from sshhome import wire
from sshhome.certificate import Admission
from sshhome.config import Limits
from sshhome.key import SIGNATURES, is_fido

#: A user name of more bytes is cut to them, and still longer than any user's.
_LONGEST_NAME = 64
#: Bytes of a password that are looked at: asyncssh prepares it (RFC 4013) in a time that grows with their square.
_LONGEST_PASSWORD = 1200
#: The flags that a FIDO device sets (WebAuthn §6.1): somebody touched it; and it made sure who.
_TOUCHED, _VERIFIED = 0x01, 0x04


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


class Authentication(asyncssh.SSHServerConnection):
    """A connection until it is clear who is on it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHServerConnectionOptions, limits: Limits
    ) -> None:
        """Begin with nobody; whoever decides about the login sets the gate."""
        super().__init__(loop, options)
        self.limits = limits
        self.gate: Gate | None = None
        self._attempts = 0
        self._probes = 0
        #: What the request that is answered now has proven, and what an earlier one has, where a code must follow.
        self._proof: Proof | None = None
        self._first: Proof | None = None

    async def reload_config(self) -> None:
        """Do nothing: our options are the same for everyone, and asyncssh would rebuild them in a thread."""

    def _process_userauth_request(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> Any:  # noqa: ANN401 (asyncssh's own signature)
        """Take a request as one by the very name that was sent; asyncssh folds names, so that many become one."""
        sent = packet.get_consumed_payload()
        rest = SSHPacket(packet.get_remaining_payload())
        raw = rest.get_string()
        fields = SSHPacket(rest.get_remaining_payload())
        fields.get_string()
        if fields.get_string() == b"password" and len(fields.get_remaining_payload()) > _LONGEST_PASSWORD:
            raise asyncssh.ProtocolError("password too long")
        if not (self._auth_in_progress or self._auth_complete):
            raise asyncssh.ProtocolError("no service was asked for")
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
        algorithm = wire.Wire(signature).text()
        if algorithm.startswith("rsa-"):
            signature = _whole(blob, signature)
        return algorithm in allowed and key.verify(message, signature)
    except (ValueError, OverflowError):
        return False


def _whole(blob: bytes, signature: bytes) -> bytes:
    """Return an RSA signature as long as its key: PuTTY leaves out the zeros that one in 256 begins with.

    RFC 8332 wants them, and OpenSSH's sshd puts them back too.
    """
    read, key = wire.Wire(signature), wire.Wire(blob)
    algorithm, made = read.string(), read.string()
    read.end()
    _, _, modulus = key.string(), key.string(), key.string()
    return wire.string(algorithm) + wire.string(made.rjust(len(modulus.lstrip(b"\0")), b"\0"))


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
