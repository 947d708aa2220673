"""Somebody at the door: who they are is decided here, and fixed when it is proven."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Literal
from weakref import WeakSet

import asyncssh
import msgspec

from sshhome.audit import Audit
from sshhome.authentication import Proof, verifies
from sshhome.ban import Bans, facts
from sshhome.certificate import CERTIFICATE_TYPES, Admission, Authorities, Certificate, read_certificate
from sshhome.channels import SessionChannel
from sshhome.clock import Clock
from sshhome.connection import Connection
from sshhome.dispatch import Dispatch
from sshhome.door import BUSY
from sshhome.errors import SlowDown
from sshhome.key import fingerprint
from sshhome.password import Passwords
from sshhome.replay import UsedCodes
from sshhome.session import Login, Session, Sessions, Standing
from sshhome.slowdown import Slowdown
from sshhome.store import LoginRecord
from sshhome.totp import matching_step
from sshhome.user import User, Users

#: Characters of what a client says that go into the audit log.
_TOLD = 64
#: How the log calls a one-time code that an order asked for.
_STEP_UP = "step_up+totp"
#: What asyncssh raises for what is no SSH; some of it by an oversight.
_GARBAGE = (
    asyncssh.ProtocolError,
    asyncssh.ProtocolNotSupported,
    asyncssh.MACError,
    asyncssh.CompressionError,
    asyncssh.packet.PacketDecodeError,
    UnicodeDecodeError,
)


class Visitors:
    """Everyone who is connected, and the parts that decide about them."""

    def __init__(
        self,
        *,
        users: Users,
        passwords: Passwords,
        codes: UsedCodes,
        bans: Bans,
        sessions: Sessions,
        dispatch: Dispatch,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """Hold the parts; nobody is here yet."""
        self.users = users
        self.passwords = passwords
        self.codes = codes
        #: Whose certificates let in; others whenever the configuration changes.
        self.authorities = Authorities()
        self.bans = bans
        self.sessions = sessions
        self.dispatch = dispatch
        self.audit = audit
        self.clock = clock
        self.slowdown = Slowdown(clock)
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
            standing = visitor.standing()
            if isinstance(standing, str):
                visitor.end(standing)
            elif visitor.unused_since < unused:
                visitor.end("no session was open for too long")


class Visitor(asyncssh.SSHServer):
    """Somebody at the door: asyncssh's callbacks of one connection, and the gate that decides about the login."""

    connection: Connection

    def __init__(self, visitors: Visitors) -> None:
        """Know nobody yet."""
        self._visitors = visitors
        self._address = ""
        #: Why the connection was ended, if it was.
        self._ended = ""
        self._unknown = ""
        self._counted = False
        self.login: Login | None = None
        #: The key and all that binds it, if the login was by one, and when that was.
        self._admission: Admission | None = None
        #: The hash of the password, if the login was by one.
        self._password = ""
        self._since = 0.0
        #: When it was, on the monotonic clock.
        self._proved = 0.0
        self._sessions = 0
        self._channels: WeakSet[SessionChannel] = WeakSet()
        #: Since when this connection has had no session, on the loop's clock; never, while it has one.
        self.unused_since = math.inf

    # -- asyncssh's callbacks -----------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note where the connection comes from."""
        assert isinstance(conn, Connection)  # noqa: S101 (the doorstep makes no other)
        self.connection = conn
        conn.gate = self
        self._address = conn.place.address
        self._visitors.present.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count out; who only ever asked as somebody who does not exist has failed, who proved nothing is at fault."""
        self.connection.place.left()
        self._visitors.present.discard(self)
        if self.login is not None or self._counted:
            return
        if self._unknown:
            known = self._visitors.users.get(self._unknown)
            shut_out = known.shut_out(self._visitors.clock.now()) if known else ""
            self.failed(self._unknown, shut_out or "unknown user")
            return
        penalty = self._visitors.bans.penalties.add(self._address, self._fault(exc))
        if penalty is not None:
            told = msgspec.structs.asdict(penalty)
            del told["active"]
            self._visitors.audit.write("penalty.set", **told)

    def _fault(self, exc: Exception | None) -> str:
        """Return which fault a connection was that ended before anybody proved or failed to prove anything."""
        if self.connection.grace_exceeded:
            return "grace"
        if isinstance(exc, _GARBAGE):
            return "protocol"
        ordinary = exc is None or isinstance(exc, OSError | asyncssh.DisconnectError)
        return "noauth" if ordinary else "crash"

    def begin_auth(self, username: str) -> bool:
        """Ask everyone for proof, those who do not exist too."""
        if self._welcome(username) is None:
            self._unknown = username
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer keys to everyone."""
        return True

    def password_auth_supported(self) -> bool:
        """Offer passwords to everyone as soon as anyone has one, so that the offer tells nothing of a user."""
        return self._visitors.offers_passwords

    def session_requested(self) -> SessionChannel:
        """Begin a session."""
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        key = self._admission.key if self._admission else None
        channel = SessionChannel(
            self._visitors.dispatch,
            self._open_session,
            self._close_session,
            pty=key is None or key.pty,
            order=key.order if key else "",
        )
        self._channels.add(channel)
        return channel

    def _welcome(self, login: str) -> User | None:
        """Return the user of this name; one who is frozen or has ended is nobody, as one who never was."""
        user = self._visitors.users.get(login)
        return None if user is None or user.shut_out(self._visitors.clock.now()) else user

    # -- the gate -----------------------------------------------------------------------------------------------------

    def attempt(self, user: str) -> None:  # noqa: ARG002 (the gate's own signature)
        """Refuse a source that has been banned since it connected."""
        ban = self._visitors.bans.find(self._address)
        if ban is not None:
            reason = self._visitors.bans.reason(ban)
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)

    def admit(self, user: str, blob: bytes) -> Admission | str:
        """Return how a key or certificate may let this user in from here and now, should it sign; or why it may not.

        The signature of an authority is checked before its certificate is judged, whoever the user is: the time
        this takes tells nothing of them.
        """
        known, now = self._welcome(user), self._visitors.clock.now()
        certificate = _certificate(blob)
        if isinstance(certificate, str):
            return certificate
        if certificate is not None:
            if not self._visitors.authorities.lines(certificate, known.keys if known else ()):
                return "nobody here trusts its authority"
            if not verifies(certificate.authority, certificate.signed, certificate.signature):
                return "its authority's signature is bad"
        return self._admit(known, blob, certificate, now)

    def _admit(self, user: User | None, blob: bytes, certificate: Certificate | None, now: float) -> Admission | str:
        """Judge a certificate; or return the first of a user's lines that admits a key from here, which binds."""
        authorities = self._visitors.authorities
        if user is None:
            return "unknown user"
        if not user.takes("publickey"):
            return "this user does not come by key"
        if certificate is not None:
            return authorities.judge(
                certificate, login=user.login, roles=user.roles, own=user.keys, source=self._address, now=now
            )
        if authorities.revoked(blob):
            return "the key is revoked"
        lines = [key for key in user.keys if key.blob == blob and not key.authority]
        for line in lines:
            if line.admits(self._address, now):
                return Admission(line)
        return "the key is not for use from here and now" if lines else "not a key of this user"

    async def password(self, user: str, password: str) -> bool:
        """Return whether this is the user's password; takes as long for one who has none, and longer under attack."""
        await asyncio.sleep(self._visitors.slowdown.delay(user))
        known = self._welcome(user)
        hashed = known.password if known is not None and known.takes("password") else ""
        fits = await self._visitors.passwords.check(password, hashed)
        self._password = hashed if fits else ""
        return fits

    async def code(self, user: str, code: str) -> str:
        """Use up a one-time code of this user; return nothing, or why it is not good."""
        # Counted apart from passwords: who guesses those, without a first factor, keeps nobody with one waiting.
        await asyncio.sleep(self._visitors.slowdown.delay(f"{user}+totp"))
        known = self._welcome(user)
        step = matching_step(known.totp, code, self._visitors.clock.now()) if known and known.totp else None
        if step is None:
            return "wrong code"
        return "" if await self._visitors.codes.use(user, step) else "the code was used before"

    def failed(self, user: str, method: str, reason: str = "", blob: bytes = b"") -> None:
        """Count a failed login, and audit the ban that it earns."""
        self._counted = True
        visitors = self._visitors
        if method == "password":
            visitors.slowdown.failed(self._address, user)
        elif method.endswith("+totp"):
            visitors.slowdown.failed(self._address, f"{user}+totp")
        told = {"user": user[:_TOLD], "source": self._address, "method": method, "reason": reason}
        visitors.audit.write("login.failed", **told, **_facts(blob))
        if visitors.users.get(user) is not None:
            visitors.dispatch.store.count_failed_login(user)
        # Codes of a step-up are counted apart: the login before each would forgive those that were wrong until then.
        counted = f"{user}+totp" if method == _STEP_UP else user[:_TOLD]
        ban = visitors.bans.failed(self._address, counted, "login")
        if ban is not None:
            visitors.audit.write("ban.set", **facts(ban))

    def proved(self, proofs: Sequence[Proof]) -> Literal["in", "more", "out"]:
        """Fix the identity once all is proven that this user must prove, by their file as it is now."""
        visitors = self._visitors
        first = proofs[0]
        known = self._welcome(first.user)
        if known is None or not known.takes(first.method):
            return "out"
        if first.admission is not None and first.admission != self.admit(first.user, first.blob):
            # What was admitted to sign is not what would bind the session.
            return "out"
        if known.needs_code and proofs[-1].method != "totp":
            told = {"user": known.login, "source": self._address, "method": first.method}
            visitors.audit.write("login.halfway", **told, **_facts(first.blob))
            return "more"
        method = "+".join(proof.method for proof in proofs)
        key = first.admission.key if first.admission else None
        self.login = Login(known.login, self._address, method, key.fingerprint if key else "")
        self._admission, self._since = first.admission, visitors.clock.now()
        self._proved = visitors.clock.monotonic()
        self.unused_since = asyncio.get_running_loop().time()
        self.connection.place.proved()
        visitors.bans.succeeded(self._address, known.login)
        if first.method == "password":
            visitors.slowdown.succeeded(self._address, known.login)
        if len(proofs) > 1:
            visitors.slowdown.succeeded(self._address, f"{known.login}+totp")
        told = {"user": known.login, "source": self._address, "method": method}
        visitors.audit.write("login.ok", **told, **_facts(first.blob))
        record = LoginRecord(known.login, self._since, self._address, method, self.login.key)
        visitors.dispatch.store.add_login(record)
        return "in"

    def standing(self) -> Standing | str:
        """Return who this is now, or why they would not be let in any more, the time since their login aside."""
        if self._ended:
            # A channel that the client had just opened may begin after that.
            return self._ended
        visitors = self._visitors
        user = visitors.users.get(self.login.user) if self.login else None
        if user is None:
            return "your user was removed"
        if reason := user.shut_out(visitors.clock.now()):
            return reason
        if self._admission is None:
            # Another user of that name, too, has another one.
            return Standing(user, user.rights) if user.password == self._password else "your password was changed"
        certificate = self._admission.certificate
        admitted = self._admit(user, self._admission.key.blob, certificate, self._since)
        if isinstance(admitted, str):
            return "your key was removed" if certificate is None else "your certificate is no longer good"
        key = admitted.key
        # What lets in for a while must not make itself last. Where a key is for says no less of who is there with it.
        whole = key.whole and key.expires is None and certificate is None
        return Standing(user, visitors.users.rights(user, key), whole=whole)

    async def _check_code(self, code: str) -> str:
        """Use up a one-time code for a step-up; a wrong one counts as a failed login does, and ends who is banned."""
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        reason = await self.code(self.login.user, code)
        if reason:
            self.failed(self.login.user, _STEP_UP, reason)
            if self._visitors.bans.find(self._address) is not None:
                self.end("too many wrong codes")
        else:
            counted = f"{self.login.user}+totp"
            self._visitors.bans.succeeded(self._address, counted)
            self._visitors.slowdown.succeeded(self._address, counted)
        return reason

    def _open_session(self, channel: str, asked: str = "") -> Session:
        """Begin a session; what was asked is told where the key has an order of its own, which runs instead."""
        assert self.login is not None  # noqa: S101 (no channel opens before the login)
        visitors = self._visitors
        if visitors.sessions.count(self.login.user) >= visitors.dispatch.limits.sessions_per_user:
            told = {"user": self.login.user, "source": self._address, "channel": channel}
            visitors.audit.write("session.refused", **told, reason=BUSY, rule="limits.sessions_per_user")
            raise SlowDown(BUSY, "you have too many sessions open")
        self._sessions, self.unused_since = self._sessions + 1, math.inf
        session = visitors.sessions.open(
            self.login,
            channel,
            started=visitors.clock.now(),
            end=self.end,
            standing=self.standing,
            check_code=self._check_code,
        )
        if "totp" in self.login.method:
            session.proved["totp"] = self._proved
        visitors.audit.write(
            "session.opened",
            user=self.login.user,
            key=self.login.key,
            source=self._address,
            channel=channel,
            session=session.number,
            forced=self._admission.key.order if self._admission else "",
            ignored=asked,
        )
        return session

    def _close_session(self, session: Session) -> None:
        visitors = self._visitors
        visitors.sessions.close(session)
        self._sessions -= 1
        if not self._sessions:
            self.unused_since = asyncio.get_running_loop().time()
        visitors.audit.write("session.closed", user=session.login.user, session=session.number, orders=session.orders)

    async def leave(self, goodbye: str) -> None:
        """End all sessions with a word, and wait until the client has closed them."""
        await asyncio.gather(*(channel.leave(goodbye) for channel in list(self._channels)))

    def end(self, reason: str) -> None:
        """Close the connection with a reason; what a channel still has to say is sent first."""
        self._ended = reason
        for channel in self._channels:
            channel.return_screen()
        self.connection.disconnect(asyncssh.DISC_BY_APPLICATION, reason)


def _certificate(blob: bytes) -> Certificate | str | None:
    """Return the certificate in wire format, or what is wrong with it; or None for what is none, as a key is."""
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    if kind not in CERTIFICATE_TYPES:
        return None
    try:
        return read_certificate(blob)
    except ValueError as error:
        return f"no good certificate: {error}"


def _facts(blob: bytes) -> dict[str, object]:
    """Return what the audit log shall know of a key or certificate."""
    certificate = _certificate(blob)
    if isinstance(certificate, Certificate):
        return {
            "key": fingerprint(certificate.key),
            "certificate": certificate.key_id[:_TOLD],
            "serial": certificate.serial,
            "authority": fingerprint(certificate.authority),
        }
    return {"key": fingerprint(blob)} if blob else {}
