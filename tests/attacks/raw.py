"""An SSH client without manners: version, packets and messages in any order, of any bytes and at any speed.

Key exchange (RFC 8731) and encryption are real, so that whatever breaks the rules later is judged by what it says.
"""

import asyncio
import contextlib
import hmac
import os
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from hashlib import sha256
from typing import Protocol, Self

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sshhome.connection import Connection
from tests.client import PATIENCE, Door, until

#: Messages by number (RFC 4250 §4.1.2).
DISCONNECT, IGNORE, SERVICE_REQUEST, SERVICE_ACCEPT, KEXINIT, NEWKEYS = 1, 2, 5, 6, 20, 21
ECDH_INIT, ECDH_REPLY = 30, 31
REQUEST, FAILURE, SUCCESS, WOULD_DO = 50, 51, 52, 60
OPEN, CONFIRMED, DATA, CLOSE, CHANNEL_REQUEST = 90, 91, 94, 97, 98

MAC = "hmac-sha2-256-etm@openssh.com"
STRICT = "kex-strict-c-v00@openssh.com"


def string(value: str | bytes) -> bytes:
    """Return a string as the wire has it (RFC 4251 §5)."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def strings(data: bytes) -> list[bytes]:
    """Return the strings that follow one another in some bytes."""
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def mpint(value: bytes) -> bytes:
    """Return a positive number as the wire has it."""
    value = value.lstrip(b"\0")
    return string(b"\0" + value if value and value[0] & 0x80 else value)


def kexinit(
    *,
    kex: Sequence[str] = ("curve25519-sha256",),
    host_key: str = "ssh-ed25519",
    cipher: str = "aes256-ctr",
    mac: str = MAC,
    compression: str = "none",
    strict: bool = True,
    guessed: bool = False,
) -> bytes:
    """Return the message that begins a key exchange."""
    names = [",".join([*kex, STRICT] if strict else kex), host_key, *[cipher] * 2, *[mac] * 2, *[compression] * 2]
    return bytes([KEXINIT]) + os.urandom(16) + b"".join(map(string, [*names, "", ""])) + bytes([guessed]) + b"\0" * 4


def request(user: str | bytes, method: str, *fields: bytes) -> bytes:
    """Return a login request."""
    return bytes([REQUEST]) + string(user) + string("ssh-connection") + string(method) + b"".join(fields)


def password(user: str | bytes, guess: str | bytes) -> bytes:
    """Return a login request by password."""
    return request(user, "password", b"\0", string(guess))


class HungUp(Exception):
    """The server has closed the connection, with this reason or with none."""

    def __init__(self, reason: str = "") -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class Seal(Protocol):
    """How packets are closed and opened in one direction."""

    #: Bytes that follow a packet, bytes that its length is a multiple of, and whether the length itself counts there.
    tag: int
    block: int
    counted: int

    def seal(self, number: int, head: bytes, body: bytes) -> bytes:
        """Return a packet as it is sent; the head is its length."""

    def unseal(self, number: int, head: bytes, body: bytes, tag: bytes) -> bytes:
        """Return what a packet holds."""


class Plain:
    """No encryption, with which every connection begins."""

    tag, block, counted = 0, 8, 4

    def seal(self, number: int, head: bytes, body: bytes) -> bytes:
        """Return it as it is."""
        return head + body

    def unseal(self, number: int, head: bytes, body: bytes, tag: bytes) -> bytes:
        """Return it as it is."""
        return body


class Ctr:
    """`aes256-ctr` with the MAC after encryption, over a number that each side counts for itself."""

    tag, block, counted = 32, 16, 0

    def __init__(self, key: bytes, iv: bytes, mac: bytes) -> None:
        """Begin with these keys; encrypting and decrypting are the same."""
        self._stream = Cipher(algorithms.AES(key), modes.CTR(iv[:16])).encryptor()
        self._mac = mac

    def seal(self, number: int, head: bytes, body: bytes) -> bytes:
        """Encrypt and authenticate."""
        sealed = head + self._stream.update(body)
        return sealed + hmac.digest(self._mac, struct.pack(">I", number) + sealed, sha256)

    def unseal(self, number: int, head: bytes, body: bytes, tag: bytes) -> bytes:
        """Check and decrypt."""
        assert hmac.digest(self._mac, struct.pack(">I", number) + head + body, sha256) == tag
        return self._stream.update(body)


class Gcm:
    """`aes256-gcm@openssh.com` (RFC 5647), which counts its packets in the nonce."""

    tag, block, counted = 16, 16, 0

    def __init__(self, key: bytes, iv: bytes, mac: bytes) -> None:
        """Begin with these keys; there is no MAC besides."""
        self._aead = AESGCM(key)
        self._fixed, self._count = iv[:4], int.from_bytes(iv[4:12])

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._count.to_bytes(8)
        self._count += 1
        return nonce

    def seal(self, number: int, head: bytes, body: bytes) -> bytes:
        """Encrypt and authenticate."""
        return head + self._aead.encrypt(self._nonce(), body, head)

    def unseal(self, number: int, head: bytes, body: bytes, tag: bytes) -> bytes:
        """Check and decrypt."""
        return self._aead.decrypt(self._nonce(), body + tag, head)


SEALS: dict[str, type[Ctr | Gcm]] = {"aes256-ctr": Ctr, "aes256-gcm@openssh.com": Gcm}


class Raw:
    """A connection to a door; nothing is sent on it unless the test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str) -> None:
        """Hold an open connection; see `connect`."""
        self.source = source
        self.version = b""
        self.server_version = b""
        self.server_kexinit = b""
        self.session_id = b""
        #: Whether both sides count from 0 again after new keys (Terrapin, CVE-2023-48795); a liar sets it otherwise.
        self.strict = False
        self._reader = reader
        self._writer = writer
        self._out: Seal = Plain()
        self._in: Seal = Plain()
        self._sent = self._received = 0
        self._next: tuple[Seal, Seal] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, door: Door, source: str = "127.0.0.66") -> AsyncIterator[Self]:
        """Connect from an address of the loopback net."""
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, local_addr=(source, 0))
        try:
            yield cls(reader, writer, source)
        finally:
            writer.transport.abort()

    # -- bytes --------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes as they are; whether anybody still listens shows in what comes back."""
        self._writer.write(data)

    async def flush(self) -> None:
        """Wait until the bytes are on their way, or the line is cut."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def half_close(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def abort(self) -> None:
        """Leave without a word."""
        self._writer.transport.abort()

    # -- packets ------------------------------------------------------------------------------------------------------

    def seal(self, payload: bytes, *, length: int | None = None, padding: int | None = None) -> bytes:
        """Return a message as its packet; the length and the padding it tells of may be lies."""
        needed = -(self._out.counted + 1 + len(payload)) % self._out.block
        needed += self._out.block if needed < 4 else 0
        body = bytes([needed if padding is None else padding]) + payload + os.urandom(needed)
        head = struct.pack(">I", len(body) if length is None else length)
        packet = self._out.seal(self._sent, head, body)
        self._sent = (self._sent + 1) & 0xFFFFFFFF
        if payload[:1] == bytes([NEWKEYS]) and self._next is not None:
            self._out = self._next[0]
            self._sent = 0 if self.strict else self._sent
        return packet

    def send(self, *payloads: bytes) -> None:
        """Send messages, all of them at once."""
        self.write(b"".join(map(self.seal, payloads)))

    async def receive(self) -> bytes:
        """Return the next message; raises HungUp."""
        head = await self._read(4)
        body = await self._read(int.from_bytes(head))
        body = self._in.unseal(self._received, head, body, await self._read(self._in.tag))
        payload = body[1 : len(body) - body[0]]
        self._received = (self._received + 1) & 0xFFFFFFFF
        if payload[:1] == bytes([NEWKEYS]) and self._next is not None:
            self._in = self._next[1]
            self._received = 0 if self.strict else self._received
        if payload[:1] == bytes([DISCONNECT]):
            raise HungUp(strings(payload[5:])[0].decode())
        return payload

    async def _read(self, count: int) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.readexactly(count)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise HungUp from None

    async def until(self, number: int) -> bytes:
        """Return what this message says, when it comes; others before it are passed over. Raises HungUp."""
        message = b"\0"
        while message[0] != number:
            message = await self.receive()
        return message[1:]

    async def expect(self, number: int) -> bytes:
        """Return what the next message says, which must be this one; raises HungUp."""
        message = await self.receive()
        assert message[0] == number, message
        return message[1:]

    async def heard(self) -> tuple[list[bytes], str]:
        """Return all messages until the server hangs up, and the reason it gives, or nothing when it only closes."""
        messages = []
        try:
            if not self.server_version:
                await self.greeting()
            while True:
                messages.append(await self.receive())
        except HungUp as end:
            return messages, end.reason

    async def hung_up(self) -> str:
        """Wait until the server hangs up, and return the reason."""
        return (await self.heard())[1]

    async def everything(self) -> bytes:
        """Return all bytes that come until the server closes, whatever they mean."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.read(-1)
        except ConnectionError:
            return b""

    # -- the way to a login -------------------------------------------------------------------------------------------

    async def greeting(self) -> bytes:
        """Return the server's version line; raises HungUp."""
        while not self.server_version.endswith(b"\n"):
            self.server_version += await self._read(1)
        self.server_version = self.server_version.rstrip(b"\r\n")
        return self.server_version

    async def greet(self, version: bytes = b"SSH-2.0-raw") -> None:
        """Exchange versions."""
        self.version = version
        self.write(version + b"\r\n")
        await self.greeting()

    async def exchange(self, *, cipher: str = "aes256-ctr", strict: bool = True) -> None:
        """Exchange keys, for the first time or anew."""
        ours = kexinit(cipher=cipher, strict=strict)
        self.send(ours)
        self.server_kexinit = bytes([KEXINIT]) + await self.expect(KEXINIT)
        private = X25519PrivateKey.generate()
        share = private.public_key().public_bytes_raw()
        self.send(bytes([ECDH_INIT]) + string(share))
        host_key, their_share, signature = strings(await self.expect(ECDH_REPLY))
        secret = mpint(private.exchange(X25519PublicKey.from_public_bytes(their_share)))
        told = (self.version, self.server_version, ours, self.server_kexinit, host_key, share, their_share)
        digest = sha256(b"".join(map(string, told)) + secret).digest()
        Ed25519PublicKey.from_public_bytes(strings(host_key)[1]).verify(strings(signature)[1], digest)
        if not self.session_id:
            self.session_id = digest
            self.strict = strict
        self._next = tuple(self._seal(cipher, secret + digest, letters) for letters in ("CAE", "DBF"))  # type: ignore[assignment]
        self.send(bytes([NEWKEYS]))
        await self.expect(NEWKEYS)

    def _seal(self, cipher: str, secret: bytes, letters: str) -> Seal:
        """Return what the keys of one direction seal with (RFC 4253 §7.2)."""
        return SEALS[cipher](*(sha256(secret + letter.encode() + self.session_id).digest() for letter in letters))

    async def begin(self, *, cipher: str = "aes256-ctr", strict: bool = True) -> None:
        """Do all that comes before a login request."""
        await self.greet()
        await self.exchange(cipher=cipher, strict=strict)
        self.send(bytes([SERVICE_REQUEST]) + string("ssh-userauth"))
        await self.expect(SERVICE_ACCEPT)

    def offer(self, user: str | bytes, key: asyncssh.SSHKey) -> bytes:
        """Return the question whether a key would do."""
        return request(user, "publickey", b"\0", string(key.algorithm), string(key.public_data))

    def signed(
        self, user: str | bytes, key: asyncssh.SSHKey, signer: asyncssh.SSHKey | None = None, algorithm: str = ""
    ) -> bytes:
        """Return a login request by key, signed by that one or by another."""
        name = algorithm.encode() or key.algorithm
        asked = request(user, "publickey", b"\1", string(name), string(key.public_data))
        return asked + string((signer or key).sign(string(self.session_id) + asked, name))

    async def answer(self, payload: bytes) -> int:
        """Send one request and return the number of the message that answers it."""
        self.send(payload)
        return (await self.receive())[0]

    async def answers(self, payloads: Iterable[bytes]) -> tuple[list[int], str | None]:
        """Send requests, each after the answer to the one before, until the server hangs up.

        Returns the numbers of the messages that answer them, and the reason for the end, or None if there was none.
        """
        numbers = []
        try:
            for payload in payloads:
                numbers.append(await self.answer(payload))  # noqa: PERF401 (what came before the end counts)
        except HungUp as end:
            return numbers, end.reason
        return numbers, None

    async def give(self, order: str) -> bytes:
        """Give an order on a channel of its own, once logged in, and return what comes back."""
        self.send(bytes([OPEN]) + string("session") + b"\0" * 4 + b"\0\1\0\0" * 2)
        channel = (await self.until(CONFIRMED))[4:8]
        self.send(bytes([CHANNEL_REQUEST]) + channel + string("exec") + b"\0" + string(order))
        out = b""
        while (message := await self.receive())[0] != CLOSE:
            out += strings(message[5:])[0] if message[0] == DATA else b""
        self.send(bytes([CLOSE]) + channel)
        return out


async def turned_away(door: Door, source: str) -> str | None:
    """Knock once; return the reason for being turned away, an empty one for a line cut in silence, None if let in."""
    async with Raw.connect(door, source) as raw:
        raw.write(b"SSH-2.0-raw\r\n")
        try:
            await raw.greeting()
            await raw.receive()
        except HungUp as end:
            return end.reason
        return None


async def dealt_with(door: Door, raw: Raw) -> None:
    """Wait until a server in this process has done all that it will do about what was sent."""
    port = raw._writer.get_extra_info("sockname")[1]

    def is_done(connection: Connection) -> bool:
        peer = connection.get_extra_info("peername")
        if connection.is_closed() or not peer or peer[1] != port:
            return True
        return connection._recv_seq == raw._sent and not connection._tasks

    await until(lambda: all(is_done(visitor.connection) for visitor in door.server.visitors))


def sources(count: int) -> Sequence[str]:
    """Return so many addresses of the loopback net, which nobody else of the tests uses."""
    return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]


def failures(door: Door, source: str) -> list[tuple[str, str]]:
    """Return the failed logins that the audit log has of an address: as whom, and by which method."""
    return [(event["user"], event["method"]) for event in door.audit("login.failed") if event["source"] == source]
