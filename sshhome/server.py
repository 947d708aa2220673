"""The listener: who is let in, as whom. Bans refuse before any key exchange; identity is fixed when it is proven."""

import asyncio
import errno
import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence

import asyncssh

from sshhome.audit import Audit
from sshhome.ban import Bans, address_of, facts, source_of
from sshhome.channels import SessionChannel
from sshhome.clock import Clock
from sshhome.config import Config, split_address
from sshhome.connection import Connection, options
from sshhome.dispatch import Dispatch
from sshhome.errors import SiteError
from sshhome.key import Key
from sshhome.password import Passwords
from sshhome.session import Login, Session, Sessions
from sshhome.user import User, Users

#: Seconds a refused client has to read why; after that, or once it has closed, the socket goes.
_LINGER = 2.0
_BACKLOG = 512
#: Seconds between two looks at the user files of those who are connected.
_WATCH_EVERY = 0.5


class Server:
    """Listens, and holds what every connection needs."""

    def __init__(
        self,
        *,
        config: Config,
        users: Users,
        passwords: Passwords,
        bans: Bans,
        sessions: Sessions,
        dispatch: Dispatch,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """Hold the parts; `listen` begins to work."""
        self.config = config
        self.users = users
        self.passwords = passwords
        self.bans = bans
        self.sessions = sessions
        self.dispatch = dispatch
        self.audit = audit
        self.clock = clock
        self.visitors: set[Visitor] = set()
        #: Whether any user can log in by password; looked at anew by `watch_users`.
        self.offers_passwords = users.any_password
        self._per_source: Counter[str] = Counter()
        self._listeners: list[asyncio.Server] = []

    async def listen(self, addresses: Sequence[str], host_keys: Sequence[asyncssh.SSHKey]) -> list[str]:
        """Begin to accept; return the addresses as `host:port`, with the port the system picked for port 0.

        Raises SiteError for an address that cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            made = await options(
                lambda: Visitor(self), host_keys, self.config.crypto.profile, self.config.limits.login_grace
            )
        except ValueError as error:
            raise SiteError(f"crypto: {error}; post-quantum key exchange needs cryptography 48 or newer") from None
        for address in addresses:
            host, port = split_address(address)
            try:
                listener = await loop.create_server(lambda: Doorstep(self, made), host, port, backlog=_BACKLOG)
            except UnicodeError:
                raise SiteError(f"cannot listen on {address}: not a host name") from None
            except OSError as error:
                # asyncio wraps the system's words; a name that cannot be resolved has no number of an error, and from
                # Python 3.13 on an address that is not this machine's has neither.
                reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
                reason = reason or os.strerror(errno.EADDRNOTAVAIL)
                raise SiteError(f"cannot listen on {address}: {reason}") from None
            self._listeners.append(listener)
        names = [socket.getsockname() for listener in self._listeners for socket in listener.sockets]
        return [f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}" for name in names]

    async def close(self) -> None:
        """Stop accepting, let running orders end, and close every connection with a word."""
        for listener in self._listeners:
            listener.close()
        await self.dispatch.settle()
        connections = [visitor.connection for visitor in self.visitors]
        for visitor in list(self.visitors):
            visitor.end("the house is closing its door")
        waiting = [asyncio.ensure_future(connection.wait_closed()) for connection in connections]
        if waiting:
            await asyncio.wait(waiting, timeout=_LINGER)
        for connection in connections:
            connection.abort()

    async def watch_users(self) -> None:
        """End the connections of users whose file is gone, and of keys that are no longer in it, for ever."""
        while True:
            await asyncio.sleep(_WATCH_EVERY)
            self.offers_passwords = self.users.any_password
            for visitor in list(self.visitors):
                if visitor.login is not None and (reason := self._removed(visitor.login)):
                    visitor.end(reason)

    def _removed(self, login: Login) -> str:
        user = self.users.get(login.user)
        if user is None:
            return "your user was removed"
        if login.key and all(key.fingerprint != login.key for key in user.keys):
            return "your key was removed"
        return ""

    def refusal(self, address: str) -> str:
        """Return why an address may not connect now, or nothing."""
        limits = self.config.limits
        ban = self.bans.find(address)
        if ban is not None:
            return self.bans.reason(ban)
        crowded = self._per_source[source_of(address)] >= limits.connections_per_source
        if crowded or self._per_source.total() >= limits.connections:
            return "server busy, try later"
        return ""

    def arrived(self, address: str) -> Callable[[], None]:
        """Count a connection; returns what counts it out again."""
        source = source_of(address)
        self._per_source[source] += 1

        def left() -> None:
            self._per_source[source] -= 1
            if not self._per_source[source]:
                del self._per_source[source]

        return left


class Doorstep(asyncio.Protocol):
    """The first protocol on an accepted socket: turns a source away, or hands the socket on to a Connection."""

    def __init__(self, server: Server, made: asyncssh.SSHServerConnectionOptions) -> None:
        """Stand at the door."""
        self._server = server
        self._options = made
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide at once, before a byte is read."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a TCP listener makes no other)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if not peer:
            transport.abort()
            return
        address = address_of(peer[0])
        reason = self._server.refusal(address)
        if reason:
            self._refuse(transport, address, reason)
            return
        connection = Connection(asyncio.get_running_loop(), self._options, self._server.config.limits)
        transport.set_protocol(connection)
        connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read nothing from who was turned away."""

    def eof_received(self) -> bool:
        """Close when the other side has."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's own signature)
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _refuse(self, transport: asyncio.Transport, address: str, reason: str) -> None:
        self._server.audit.write("connection.refused", source=address, reason=reason)
        try:
            transport.write(disconnect_message(asyncssh.DISC_TOO_MANY_CONNECTIONS, reason))
            transport.write_eof()
        except OSError:
            # The peer has left already; asking it to read would only fill the log.
            transport.abort()
            return
        # A close with unread input resets the connection, and the reason with it: wait until it is read.
        self._timer = asyncio.get_running_loop().call_later(_LINGER, transport.abort)


def disconnect_message(code: int, reason: str) -> bytes:
    """Return a version line and an unencrypted SSH_MSG_DISCONNECT (RFC 4253 §4.2, §6, §11.1)."""
    text = reason.encode()
    payload = struct.pack(">BII", 1, code, len(text)) + text + struct.pack(">I", 2) + b"en"
    padding = -(5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    packet = struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + os.urandom(padding)
    return b"SSH-2.0-sshhome\r\n" + packet


class Visitor(asyncssh.SSHServer):
    """Somebody at the door: asyncssh's callbacks of one connection, and the gate that decides about the login."""

    connection: Connection

    def __init__(self, server: Server) -> None:
        """Know nobody yet."""
        self._server = server
        self._left: Callable[[], None] = lambda: None
        self._address = ""
        self._unknown = ""
        self._counted = False
        self._pty = True
        self.login: Login | None = None

    # -- asyncssh's callbacks -----------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note where the connection comes from."""
        assert isinstance(conn, Connection)  # noqa: S101 (the doorstep makes no other)
        self.connection = conn
        conn.gate = self
        self._address = address_of(conn.get_extra_info("peername")[0])
        self._left = self._server.arrived(self._address)
        self._server.visitors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Count out; a connection that only ever asked as somebody who does not exist is one failure."""
        self._left()
        self._server.visitors.discard(self)
        if self.login is None and self._unknown and not self._counted:
            self.failed(self._unknown, "unknown user")

    def begin_auth(self, username: str) -> bool:
        """Ask everyone for proof, those who do not exist too."""
        if self._server.users.get(username) is None:
            self._unknown = username
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer keys to everyone."""
        return True

    def password_auth_supported(self) -> bool:
        """Offer passwords to everyone as soon as anyone has one, so that the offer tells nothing of a user."""
        return self._server.offers_passwords

    def kbdint_auth_supported(self) -> bool:
        """Offer no keyboard-interactive: clients would try a wrong password twice."""
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Return whether this key may log this user in from here and now; asyncssh checks the signature."""
        user = self._server.users.get(username)
        return user is not None and self._admitting(user, key.public_data) is not None

    def _admitting(self, user: User, blob: bytes) -> Key | None:
        """Return the first of a user's lines that admits a key from here and now; it is the one that binds."""
        now = self._server.clock.now()
        return next((key for key in user.keys if key.blob == blob and key.admits(self._address, now)), None)

    async def validate_password(self, username: str, password: str) -> bool:
        """Return whether this is the user's password; takes as long for a user who has none."""
        user = self._server.users.get(username)
        return await self._server.passwords.check(password, user.password if user else "")

    def session_requested(self) -> SessionChannel:
        """Begin a session."""
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        server = self._server
        return SessionChannel(server.dispatch, self._open_session, self._close_session, pty=self._pty)

    # -- the gate -----------------------------------------------------------------------------------------------------

    def attempt(self, user: str) -> None:  # noqa: ARG002 (the gate's own signature)
        """Refuse a source that has been banned since it connected."""
        ban = self._server.bans.find(self._address)
        if ban is not None:
            reason = self._server.bans.reason(ban)
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)

    def failed(self, user: str, method: str) -> None:
        """Count a failed login, and audit the ban that it earns."""
        self._counted = True
        server = self._server
        server.audit.write("login.failed", user=user[:64], source=self._address, method=method)
        ban = server.bans.failed(self._address, user[:64], "login")
        if ban is not None:
            server.audit.write("ban.set", **facts(ban))

    def proved(self, user: str, method: str, key: bytes) -> bool:
        """Fix the identity; false for a user who was removed while they proved it."""
        server = self._server
        known = server.users.get(user)
        if known is None:
            return False
        line = self._admitting(known, key)
        if key and line is None:
            return False
        name, comment = (line.fingerprint, line.comment) if line else ("", "")
        self.login = Login(known.login, self._address, method, name, comment)
        self._pty = line.pty if line else True
        server.bans.succeeded(self._address, user)
        server.audit.write("login.ok", user=user, source=self._address, method=method, key=name)
        return True

    def _open_session(self, channel: str) -> Session:
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        server = self._server
        session = server.sessions.open(self.login, channel, server.clock.now(), self.end)
        server.audit.write(
            "session.opened",
            user=self.login.user,
            key=self.login.key,
            source=self._address,
            channel=channel,
            session=session.number,
        )
        return session

    def _close_session(self, session: Session) -> None:
        server = self._server
        server.sessions.close(session)
        server.audit.write("session.closed", user=session.login.user, session=session.number, orders=session.orders)

    def end(self, reason: str) -> None:
        """Close the connection with a reason; what a channel still has to say is sent first."""
        self.connection.disconnect(asyncssh.DISC_BY_APPLICATION, reason)
