"""Somebody at the door: who they are is decided here, and fixed when it is proven."""

import asyncio
from collections.abc import Iterator

import asyncssh

from sshhome.audit import Audit
from sshhome.ban import Bans, facts
from sshhome.channels import SessionChannel
from sshhome.clock import Clock
from sshhome.connection import Connection
from sshhome.dispatch import Dispatch
from sshhome.door import BUSY
from sshhome.errors import SlowDown
from sshhome.key import Key
from sshhome.password import Passwords
from sshhome.session import Login, Session, Sessions
from sshhome.user import User, Users


class Visitors:
    """Everyone who is connected, and the parts that decide about them."""

    def __init__(
        self,
        *,
        users: Users,
        passwords: Passwords,
        bans: Bans,
        sessions: Sessions,
        dispatch: Dispatch,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """Hold the parts; nobody is here yet."""
        self.users = users
        self.passwords = passwords
        self.bans = bans
        self.sessions = sessions
        self.dispatch = dispatch
        self.audit = audit
        self.clock = clock
        self.present: set[Visitor] = set()
        #: Whether any user can log in by password; looked at anew by `look_after`.
        self.offers_passwords = users.any_password

    def __iter__(self) -> Iterator["Visitor"]:
        """Yield everyone; safe while they leave."""
        return iter(list(self.present))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.present)

    def look_after(self) -> None:
        """End the connections of users whose file is gone, of keys that are no longer in it, and idle ones."""
        self.offers_passwords = self.users.any_password
        unused = asyncio.get_running_loop().time() - self.dispatch.limits.idle
        for visitor in self:
            if visitor.login is None:
                continue
            since = visitor.connection.unused_since
            reason = self._removed(visitor.login)
            if reason or (since is not None and since < unused):
                visitor.end(reason or "no session was open for too long")

    def _removed(self, login: Login) -> str:
        user = self.users.get(login.user)
        if user is None:
            return "your user was removed"
        if login.key and all(key.fingerprint != login.key for key in user.keys):
            return "your key was removed"
        return ""


class Visitor(asyncssh.SSHServer):
    """Somebody at the door: asyncssh's callbacks of one connection, and the gate that decides about the login."""

    connection: Connection

    def __init__(self, visitors: Visitors) -> None:
        """Know nobody yet."""
        self._visitors = visitors
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
        self._address = conn.place.address
        self._visitors.present.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's own signature)
        """Count out; a connection that only ever asked as somebody who does not exist is one failure."""
        self.connection.place.left()
        self._visitors.present.discard(self)
        if self.login is None and self._unknown and not self._counted:
            self.failed(self._unknown, "unknown user")

    def begin_auth(self, username: str) -> bool:
        """Ask everyone for proof, those who do not exist too."""
        if self._visitors.users.get(username) is None:
            self._unknown = username
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer keys to everyone."""
        return True

    def password_auth_supported(self) -> bool:
        """Offer passwords to everyone as soon as anyone has one, so that the offer tells nothing of a user."""
        return self._visitors.offers_passwords

    def kbdint_auth_supported(self) -> bool:
        """Offer no keyboard-interactive: clients would try a wrong password twice."""
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Return whether this key may log this user in from here and now; asyncssh checks the signature."""
        user = self._visitors.users.get(username)
        return user is not None and self._admitting(user, key.public_data) is not None

    def _admitting(self, user: User, blob: bytes) -> Key | None:
        """Return the first of a user's lines that admits a key from here and now; it is the one that binds."""
        now = self._visitors.clock.now()
        return next((key for key in user.keys if key.blob == blob and key.admits(self._address, now)), None)

    async def validate_password(self, username: str, password: str) -> bool:
        """Return whether this is the user's password; takes as long for a user who has none."""
        user = self._visitors.users.get(username)
        return await self._visitors.passwords.check(password, user.password if user else "")

    def session_requested(self) -> SessionChannel:
        """Begin a session."""
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        return SessionChannel(self._visitors.dispatch, self._open_session, self._close_session, pty=self._pty)

    # -- the gate -----------------------------------------------------------------------------------------------------

    def attempt(self, user: str) -> None:  # noqa: ARG002 (the gate's own signature)
        """Refuse a source that has been banned since it connected."""
        ban = self._visitors.bans.find(self._address)
        if ban is not None:
            reason = self._visitors.bans.reason(ban)
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)

    def failed(self, user: str, method: str) -> None:
        """Count a failed login, and audit the ban that it earns."""
        self._counted = True
        visitors = self._visitors
        visitors.audit.write("login.failed", user=user[:64], source=self._address, method=method)
        ban = visitors.bans.failed(self._address, user[:64], "login")
        if ban is not None:
            visitors.audit.write("ban.set", **facts(ban))

    def proved(self, user: str, method: str, key: bytes) -> bool:
        """Fix the identity; false for a user who was removed while they proved it."""
        visitors = self._visitors
        known = visitors.users.get(user)
        if known is None:
            return False
        line = self._admitting(known, key)
        if key and line is None:
            return False
        name, comment = (line.fingerprint, line.comment) if line else ("", "")
        self.login = Login(known.login, self._address, method, name, comment)
        self._pty = line.pty if line else True
        self.connection.place.proved()
        visitors.bans.succeeded(self._address, user)
        visitors.audit.write("login.ok", user=user, source=self._address, method=method, key=name)
        return True

    def _open_session(self, channel: str) -> Session:
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        visitors = self._visitors
        if visitors.sessions.count(self.login.user) >= visitors.dispatch.limits.sessions_per_user:
            raise SlowDown(BUSY, "you have too many sessions open")
        session = visitors.sessions.open(self.login, channel, visitors.clock.now(), self.end)
        visitors.audit.write(
            "session.opened",
            user=self.login.user,
            key=self.login.key,
            source=self._address,
            channel=channel,
            session=session.number,
        )
        return session

    def _close_session(self, session: Session) -> None:
        visitors = self._visitors
        visitors.sessions.close(session)
        visitors.audit.write("session.closed", user=session.login.user, session=session.number, orders=session.orders)

    def end(self, reason: str) -> None:
        """Close the connection with a reason; what a channel still has to say is sent first."""
        self.connection.disconnect(asyncssh.DISC_BY_APPLICATION, reason)
