"""A real Mosquitto: users with passwords, an access control list, a plain listener and one with TLS."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.client import PATIENCE, until

_ACL = """\
user house
topic readwrite #
user device
topic readwrite #
user reader
topic read #
"""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program() -> str | None:
    """Return where Mosquitto is, if it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Mosquitto:
    """A broker that runs; `house` and `device` may do everything, `reader` may only read."""

    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    #: Days from now until its authority ends: it has ended for a negative number.
    days: int = 30
    _process: asyncio.subprocess.Process | None = None

    def url(self, user: str = "house", password: str = "") -> str:
        """Return where it is, for a user with their own password or another."""
        return f"mqtt://{user}:{password or f'{user}-pass'}@127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """Its authority's certificate."""
        return self.folder / "ca.crt"

    async def prepare(self) -> None:
        """Write its files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _certificates(self.folder, self.days)
        passwords = self.folder / "passwords"
        passwords.write_text("".join(f"{user}:{user}-pass\n" for user in ("house", "device", "reader")))
        passwords.chmod(0o600)
        hashing = await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", str(passwords))
        assert await hashing.wait() == 0
        acl = self.folder / "acl"
        acl.write_text(_ACL)
        acl.chmod(0o600)
        (self.folder / "mosquitto.conf").write_text(
            f"""\
{"user root" if os.getuid() == 0 else ""}
allow_anonymous false
password_file {passwords}
acl_file {acl}
persistence true
persistence_location {self.folder}/
log_dest file {self.folder / "log"}
max_queued_messages 100000
listener {self.port} 127.0.0.1
listener {self.tls_port} 127.0.0.1
certfile {self.folder / "server.crt"}
keyfile {self.folder / "server.key"}
"""
        )

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        path = program()
        assert path is not None
        self._process = await asyncio.create_subprocess_exec(
            path, "-c", str(self.folder / "mosquitto.conf"), start_new_session=True
        )
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process.returncode is None, (self.folder / "log").read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def save(self) -> None:
        """Let it write to its disk what it keeps."""
        assert self._process is not None
        kept = self.folder / "mosquitto.db"
        before = kept.stat().st_mtime_ns if kept.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        await until(lambda: kept.exists() and kept.stat().st_mtime_ns > before)

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        """Let it say nothing more, while its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, *, days: int = 30, started: bool = True) -> AsyncIterator[Mosquitto]:
    """Run a broker whose files are in a folder."""
    broker = Mosquitto(folder, days=days)
    await broker.prepare()
    if started:
        await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


@contextlib.asynccontextmanager
async def slow_line(port: int, seconds: float) -> AsyncIterator[int]:
    """Return the port of a line to another port of this machine on which everything takes so long each way."""
    lines: set[asyncio.Task[None]] = set()
    ends: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                loop.call_later(seconds, writer.write, data)
        loop.call_later(seconds, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        ends.extend((writer, back))
        for task in (asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))):
            lines.add(task)
            task.add_done_callback(lines.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(lines):
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        for end in ends:
            end.transport.abort()


def _certificates(folder: Path, days: int) -> None:
    """Write an authority that lasts so many days, and a certificate of it for this machine."""
    now = dt.datetime.now(dt.UTC)
    begin = now - dt.timedelta(days=60)
    end = now + dt.timedelta(days=days)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sshhome test authority")])
    authority = ec.generate_private_key(ec.SECP256R1())
    root = (
        x509.CertificateBuilder(name, name, authority.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(authority, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, subject, key.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(secret)
