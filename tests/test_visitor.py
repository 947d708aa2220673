"""Identity: whom a key's line, a certificate and a device's signature let in, what binds then, and whose name it is."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_OPEN, MSG_USERAUTH_REQUEST
from asyncssh.packet import Byte, MPInt, String, UInt32
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.authentication import verifies
from sshhome.certificate import read_certificate
from sshhome.connection import Connection
from sshhome.key import fingerprint
from sshhome.wire import Wire
from tests.client import Door, RawChannel, Reply, ask, run, until
from tests.conftest import NOON, FixedClock
from tests.test_certificate import made
from tests.test_server import public, whoami, write_user

Serve = Callable[..., AbstractAsyncContextManager[Door]]
YES = Reply("this key would do")
IN = Reply("success")


class Offer(NamedTuple):
    """What a client shows of a key or certificate."""

    algorithm: bytes
    public_data: bytes

    @property
    def line(self) -> str:
        """It as a line of authorized_keys."""
        return f"{self.algorithm.decode()} {base64.b64encode(self.public_data).decode()}"


async def tried(door: Door, user: str, offer: Any, signer: Any, **how: Any) -> tuple[str, str]:  # noqa: ANN401 (asyncssh's and ours alike)
    """Return what the server says to a question about a key or certificate, and to a login with it."""
    async with door.wire(source=how.pop("source", "127.0.0.1")) as wire:
        wire.ask_key(user, offer)
        question = await wire.reply()
        wire.ask_key(user, offer, signer=signer, **how)
        return question.kind, (await wire.reply()).kind


def failure(door: Door) -> dict[str, Any]:
    """Return the one login that failed."""
    (event,) = door.audit("login.failed")
    return event


# -- FIDO keys, without a device --------------------------------------------------------------------------------------

TOUCHED, VERIFIED = 1, 4


class Token:
    """A device that signs whether somebody touches it or not, and says what it is told to say of that."""

    def __init__(self, kind: str = "sk-ssh-ed25519@openssh.com", flags: int = TOUCHED) -> None:
        """Make its key."""
        self.kind = kind
        self.flags = flags
        self.signed_flags: int | None = None
        self.signs_as = kind
        if "ed25519" in kind:
            self._ed = ed25519.Ed25519PrivateKey.generate()
            self.fields: Sequence[bytes] = (self._ed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), b"ssh:")
        else:
            self._ec = ec.generate_private_key(ec.SECP256R1())
            point = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            self.fields = (b"nistp256", point, b"ssh:")
        self.offer = Offer(kind.encode(), b"".join(map(String, (kind.encode(), *self.fields))))

    def get_algorithm(self) -> str:
        """Return how it signs."""
        return self.signs_as

    def sign(self, data: bytes, _algorithm: bytes) -> bytes:
        """Sign as PROTOCOL.u2f has it."""
        said = Byte(self.flags) + UInt32(9)
        signed = said if self.signed_flags is None else Byte(self.signed_flags) + UInt32(9)
        message = hashlib.sha256(b"ssh:").digest() + signed + hashlib.sha256(data).digest()
        if "ed25519" in self.kind:
            signature = self._ed.sign(message)
        else:
            signature = b"".join(map(MPInt, decode_dss_signature(self._ec.sign(message, ec.ECDSA(hashes.SHA256())))))
        return String(self.signs_as) + String(signature) + said


FIDO_KINDS = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"]


@pytest.mark.parametrize("kind", FIDO_KINDS)
@pytest.mark.parametrize(
    ("options", "flags", "reason"),
    [
        ("", TOUCHED, ""),
        ("", TOUCHED | VERIFIED, ""),
        ("", 0, "the key was not touched"),
        ("", VERIFIED, "the key was not touched"),
        ("no-touch-required ", 0, ""),
        ("no-touch-required ", TOUCHED, ""),
        ("verify-required ", TOUCHED, "who touched the key was not verified"),
        ("verify-required ", TOUCHED | VERIFIED, ""),
        ("verify-required ", VERIFIED, "the key was not touched"),
        ("verify-required,no-touch-required ", VERIFIED, ""),
        ("verify-required,no-touch-required ", 0, "who touched the key was not verified"),
    ],
)
async def test_devices_are_touched_and_verified(door: Door, kind: str, options: str, flags: int, reason: str) -> None:
    """A FIDO key must be touched, and its user verified, as its line has it; the device says so under its signature."""
    token = Token(kind, flags)
    write_user(door, "fido", options + token.offer.line)
    assert await tried(door, "fido", token.offer, token) == (YES.kind, "failure" if reason else IN.kind)
    if reason:
        assert (failure(door)["reason"], failure(door)["key"]) == (reason, fingerprint(token.offer.public_data))
    else:
        assert [e["key"] for e in door.audit("login.ok")] == [fingerprint(token.offer.public_data)]


@pytest.mark.parametrize("kind", FIDO_KINDS)
async def test_what_a_device_says_is_signed(door: Door, kind: str) -> None:
    """Flags that were changed on the way are a bad signature."""
    token = Token(kind, TOUCHED | VERIFIED)
    token.signed_flags = 0
    write_user(door, "fido", f"no-touch-required {token.offer.line}")
    assert await tried(door, "fido", token.offer, token) == (YES.kind, "failure")
    assert failure(door)["reason"] == "bad signature"


async def test_signatures_that_a_web_page_can_ask_for_are_refused(door: Door) -> None:
    """A WebAuthn signature, which asyncssh takes from any web page at all, is refused."""
    token = Token(FIDO_KINDS[1])
    token.signs_as = f"webauthn-{token.kind}"
    write_user(door, "fido", token.offer.line)
    assert await tried(door, "fido", token.offer, token) == (YES.kind, "failure")
    assert failure(door)["reason"] == "bad signature"


# -- one line, one order ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", ["exec", "shell", "shell in a terminal"])
async def test_a_forced_order_runs_instead(door: Door, request_: str) -> None:
    """With `command=` on the key's line, that order runs whatever is asked, and the audit log tells what was asked."""
    write_user(door, "cam", f'command="echo one; echo two" {public(door, "attacker")}', role="admin")
    async with door.wire() as wire:
        await wire.log_in("cam", door.key("attacker"))
        raw = await RawChannel.open(wire)
        if request_ == "exec":
            assert await raw.ask("exec", String("unlock front_door"))
        else:
            if "terminal" in request_:
                assert await raw.terminal()
            assert await raw.ask("shell")
            raw.channel.write("unlock front_door\nexit\n")
        await until(lambda: raw.heard.closed)
        assert (raw.heard.out.split(), raw.heard.err, raw.heard.status) == (["one", "two"], "", 0)
    (opened,) = door.audit("session.opened")
    assert (opened["channel"], opened["forced"]) == ("exec", "echo one; echo two")
    assert opened.get("ignored", "") == ("unlock front_door" if request_ == "exec" else "")
    assert door.orders() == [("echo", 0)] * 2


async def test_a_forced_order_is_the_only_thing_there_is(door: Door) -> None:
    """A key with an order gets no subsystem, and the order needs the user's own privilege like any other."""
    write_user(door, "cam", f'command="unlock front_door" {public(door, "attacker")}', role="viewer")
    async with door.wire() as wire:
        await wire.log_in("cam", door.key("attacker"))
        assert not await (await RawChannel.open(wire)).ask("subsystem", String("sftp"))
        answer = await ask(wire, "show")
    assert (answer.out, answer.status) == ("", 77)
    assert (await door.ask("guest", "echo others are free")).out == "others are free\n"


# -- which line lets in -----------------------------------------------------------------------------------------------


async def test_an_authority_s_own_key_is_no_login_key(door: Door) -> None:
    """The key on a `cert-authority` line, or in sshhome.toml, signs certificates and logs nobody in itself."""
    write_user(door, "opt", f"cert-authority {public(door, 'attacker')}")
    key = door.key("attacker")
    assert await tried(door, "opt", key, key) == ("failure", "failure")
    assert failure(door)["reason"] == "not a key of this user"
    write_user(door, "opt", f"cert-authority {public(door, 'attacker')}", f"restrict {public(door, 'attacker')}")
    assert await tried(door, "opt", key, key) == (YES.kind, IN.kind)


@pytest.mark.parametrize(
    ("options", "source", "enters"),
    [
        ('from="127.0.0.0/8,!127.0.0.66" ', "127.0.0.1", True),
        ('from="127.0.0.0/8,!127.0.0.66" ', "127.0.0.66", False),
        ('from="!127.0.0.66,127.0.0.66" ', "127.0.0.66", False),
    ],
)
async def test_barred_networks(door: Door, options: str, source: str, *, enters: bool) -> None:
    """An address that `from` bars with `!` is kept out, whichever other network it is in."""
    write_user(door, "opt", options + public(door, "attacker"))
    key = door.key("attacker")
    expected = (YES.kind, IN.kind) if enters else ("failure", "failure")
    assert await tried(door, "opt", key, key, source=source) == expected
    if not enters:
        assert failure(door)["reason"] == "the key is not for use from here and now"


async def test_a_revoked_key_lets_nobody_in(serve: Serve, keys: Path) -> None:
    """A key that sshhome.toml revokes is no key, though it stands in a user's file."""
    key = asyncssh.read_private_key(keys / "guest")
    async with serve(f'[certificates]\nrevoked_keys = ["{key.get_fingerprint()}"]') as door:
        assert await tried(door, "guest", key, key) == ("failure", "failure")
        assert failure(door)["reason"] == "the key is revoked"
        assert (await door.ask("home", "echo in")).status == 0


async def test_a_line_that_changes_meanwhile_lets_nobody_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What binds the session is what was admitted to sign; should the line differ by then, the login fails."""
    write_user(door, "opt", f"restrict {public(door, 'attacker')}")
    async with door.wire() as wire:
        wire.ask_none("opt")
        await wire.reply()
        (visitor,) = door.server.visitors
        attempt = visitor.connection._attempt

        async def changing(*args: Any) -> bool:  # noqa: ANN401 (asyncssh's own)
            passed = await attempt(*args)
            write_user(door, "opt", public(door, "attacker"))
            return passed

        monkeypatch.setattr(visitor.connection, "_attempt", changing)
        wire.ask_key("opt", door.key("attacker"), signer=door.key("attacker"))
        assert (await wire.reply()).kind == "failure"
    assert not door.audit("login.ok")


# -- certificates -----------------------------------------------------------------------------------------------------


class Authority:
    """An authority, and the certificates that it makes."""

    def __init__(self, kind: str = "ssh-ed25519") -> None:
        """Make its key."""
        self.key = asyncssh.generate_private_key(kind)
        self.line = self.key.export_public_key().decode().strip()
        self.signs_as = "rsa-sha2-512" if kind == "ssh-rsa" else kind

    def certifies(self, key: asyncssh.SSHKey | Token, *principals: str, **facts: Any) -> Offer:  # noqa: ANN401 (as in made)
        """Return a certificate of a key."""
        if isinstance(key, Token):
            facts |= {"kind": key.kind.replace("@", "-cert-v01@"), "fields": key.fields}
        else:
            facts["fields"] = (key.public_data[-32:],)
        blob = made(*principals, authority=self.key.public_data, signed_as=self.signs_as, **facts)
        signed = read_certificate(blob).signed
        algorithm = read_certificate(blob).kind.removesuffix("@openssh.com") + "-cert-v01@openssh.com"
        return Offer(algorithm.encode(), signed + String(self.key.sign(signed, self.signs_as.encode())))


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Return an authority."""
    return Authority()


@pytest.fixture(scope="module")
def mine() -> asyncssh.SSHKey:
    """Return a key that no file knows of."""
    return asyncssh.generate_private_key("ssh-ed25519")


def trusting(*authorities: Authority, options: str = "", more: str = "") -> str:
    """Return the section that trusts authorities."""
    lines = ", ".join(f"'{options}{authority.line}'" for authority in authorities)
    return f"[certificates]\nauthorities = [{lines}]\n{more}"


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp521", "ssh-rsa"])
async def test_a_certificate_of_the_site_lets_in(serve: Serve, mine: asyncssh.SSHKey, kind: str) -> None:
    """A certificate for a login name lets that user in, and no other; the log tells which one, by whom."""
    authority = Authority(kind)
    certificate = authority.certifies(mine, "guest", key_id="guest\x1b@laptop", serial=42)
    async with serve(trusting(authority)) as door:
        async with door.wire() as wire:
            wire.ask_key("guest", certificate)  # type: ignore[arg-type]
            assert await wire.reply() == YES
            wire.ask_key("guest", certificate, signer=mine)  # type: ignore[arg-type]
            assert await wire.reply() == IN
            me = await whoami(wire)
        assert (me["user"], me["method"], me["key"]) == ("guest", "publickey", mine.get_fingerprint())
        (event,) = door.audit("login.ok")
        assert (event["key"], event["certificate"], event["serial"]) == (me["key"], "guest\x1b@laptop", 42)
        assert event["authority"] == authority.key.get_fingerprint()
        assert await tried(door, "home", certificate, mine) == ("failure", "failure")
        assert (failure(door)["reason"], failure(door)["serial"]) == ("none of its principals is this user", 42)
        assert failure(door)["certificate"] == "guest\x1b@laptop"


async def test_a_certificate_for_a_role(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """A certificate for a role lets in as whoever holds it, and as nobody else, existing or not."""
    certificate = authority.certifies(mine, "role:guest")
    async with serve(trusting(authority)) as door:
        assert await tried(door, "guest", certificate, mine) == (YES.kind, IN.kind)
        for other in ("home", "viewer", "nobody", "role:guest"):
            assert await tried(door, other, certificate, mine) == ("failure", "failure")
    assert [e["reason"] for e in door.audit("login.failed")] == [
        *["none of its principals is this user"] * 2,
        *["unknown user"] * 2,
    ]


async def test_a_certificate_of_a_user_s_own_authority(door: Door, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """A `cert-authority` line lets in its own user alone, for its principals, bound by its options."""
    write_user(door, "opt", f'cert-authority,principals="ops",no-pty,command="whoami" {authority.line}')
    certificate = authority.certifies(mine, "ops", "guest")
    assert await tried(door, "guest", certificate, mine) == ("failure", "failure")
    assert failure(door)["reason"] == "nobody here trusts its authority"
    async with door.wire() as wire:
        wire.ask_key("opt", certificate, signer=mine)  # type: ignore[arg-type]
        assert await wire.reply() == IN
        assert not await (await RawChannel.open(wire)).terminal()
        assert "opt" in (await ask(wire, "show")).out
    assert [e["forced"] for e in door.audit("session.opened")] == ["whoami"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"valid": (0, int(NOON))}, "it has expired"),
    "not yet": ({"valid": (int(NOON) + 1, 2**64 - 1)}, "it is not valid yet"),
    "a host's": ({"role": 2}, "it is not for users"),
    "elsewhere": ({"critical": {"source-address": String("10.0.0.0/8")}}, "it is not for use from here"),
    "unknown option": ({"critical": {"x@example.org": b""}}, "critical option x@example.org is not understood"),
    "no device": (
        {"critical": {"verify-required": b""}},
        "it wants a verified user, which its key cannot tell",
    ),
    "revoked serial": ({"serial": 13}, "serial 13 is revoked"),
    "revoked id": ({"key_id": "stolen"}, "its key id is revoked"),
}


@pytest.mark.parametrize(("facts", "reason"), REFUSED.values(), ids=REFUSED)
async def test_certificates_that_are_refused(
    serve: Serve, authority: Authority, mine: asyncssh.SSHKey, facts: Mapping[str, Any], reason: str
) -> None:
    """What speaks against a certificate is told to the audit log, once a login, and not to the client."""
    more = 'revoked_serials = [13]\nrevoked_key_ids = ["stolen"]'
    async with serve(trusting(authority, more=more)) as door:
        assert await tried(door, "guest", authority.certifies(mine, "guest", **facts), mine) == ("failure", "failure")
        assert failure(door)["reason"] == reason
        assert await tried(door, "guest", authority.certifies(mine, "guest"), mine) == (YES.kind, IN.kind)


async def test_forged_certificates(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """A certificate that its authority did not sign as it is, or signed with SHA-1, is nothing."""
    rsa = Authority("ssh-rsa")
    rsa.signs_as = "rsa-sha2-256"
    good = authority.certifies(mine, "guest")
    other = Offer(good.algorithm, made("guest", fields=(mine.public_data[-32:],), authority=authority.key.public_data))
    changed = Offer(good.algorithm, good.public_data.replace(String("guest"), String("home."), 1))
    blob = made("guest", fields=(mine.public_data[-32:],), authority=rsa.key.public_data, signed_as=rsa.signs_as)
    signed = read_certificate(blob).signed
    sha1 = Offer(good.algorithm, signed + String(rsa.key.sign(signed, b"ssh-rsa")))
    async with serve(trusting(authority, rsa)) as door:
        for offer in (other, changed, sha1, Offer(good.algorithm, good.public_data[:-1])):
            assert await tried(door, "guest", offer, mine) == ("failure", "failure")
        assert await tried(door, "guest", rsa.certifies(mine, "guest"), mine) == (YES.kind, IN.kind)
    assert [e["reason"] for e in door.audit("login.failed")] == [
        *["its authority's signature is bad"] * 2,
        "no good certificate: signed in a way that is not trusted",
        "no good certificate: cut off",
    ]


async def test_a_certificate_is_no_proof(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """Who has a certificate and not its key is a failed login, also with a key of their own that may log in."""
    certificate = authority.certifies(mine, "guest")
    async with serve(trusting(authority)) as door:
        assert await tried(door, "guest", certificate, door.key("guest")) == (YES.kind, "failure")
        assert (failure(door)["reason"], failure(door)["key"]) == ("bad signature", mine.get_fingerprint())


async def test_an_offered_certificate_binds_nothing(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """Who offers a certificate with an order and then signs with a plain key is bound by that key alone."""
    certificate = authority.certifies(mine, "guest", critical={"force-command": String("show")}, extensions={})
    async with serve(trusting(authority)) as door, door.wire() as wire:
        wire.ask_key("guest", certificate)  # type: ignore[arg-type]
        assert await wire.reply() == YES
        await wire.log_in("guest", door.key("guest"))
        assert (await ask(wire, "echo free")).out == "free\n"
        assert await (await RawChannel.open(wire)).terminal()
    assert [e.get("certificate") for e in door.audit("login.ok")] == [None]


async def test_what_a_certificate_binds(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """`force-command` is the only order, and without `permit-pty` there is no terminal."""
    certificate = authority.certifies(mine, "guest", critical={"force-command": String("echo forced")}, extensions={})
    async with serve(trusting(authority)) as door, door.wire() as wire:
        wire.ask_key("guest", certificate, signer=mine)  # type: ignore[arg-type]
        assert await wire.reply() == IN
        assert (await ask(wire, "echo free")).out == "forced\n"
        assert not await (await RawChannel.open(wire)).terminal()


@pytest.mark.parametrize("kind", FIDO_KINDS)
@pytest.mark.parametrize(
    ("line", "facts", "flags", "enters"),
    [
        ("", {}, TOUCHED, True),
        ("", {}, 0, False),
        ("", {"extensions": {"no-touch-required": b""}}, 0, False),
        ("cert-authority,no-touch-required ", {}, 0, False),
        ("cert-authority,no-touch-required ", {"extensions": {"no-touch-required": b""}}, 0, True),
        ("", {"critical": {"verify-required": b""}}, TOUCHED, False),
        ("", {"critical": {"verify-required": b""}}, TOUCHED | VERIFIED, True),
        ("verify-required,cert-authority ", {}, TOUCHED, False),
    ],
)
async def test_certified_devices(
    serve: Serve, authority: Authority, kind: str, line: str, *, facts: dict[str, Any], flags: int, enters: bool
) -> None:
    """A certified FIDO key is touched unless both sides waive it, and its user verified as soon as one side asks."""
    token = Token(kind, flags)
    async with serve(trusting(authority, options=line)) as door:
        answers = await tried(door, "guest", authority.certifies(token, "guest", **dict(facts)), token)
        assert answers == (YES.kind, IN.kind if enters else "failure")


@pytest.mark.parametrize(
    "more",
    ["revoked_serials = [7]", 'revoked_key_ids = ["anna@laptop"]', "revoked_keys = ['{key}']", "authorities = []"],
)
async def test_revocation_ends_live_connections(
    serve: Serve, authority: Authority, mine: asyncssh.SSHKey, clock: FixedClock, more: str
) -> None:
    """Who is in by a certificate leaves as soon as it is revoked or its authority goes, though not when it expires."""
    certificate = authority.certifies(mine, "guest", valid=(0, int(NOON) + 60))
    async with serve(trusting(authority)) as door, door.wire() as wire, door.wire() as other:
        wire.ask_key("guest", certificate, signer=mine)  # type: ignore[arg-type]
        assert await wire.reply() == IN
        await other.log_in("guest", door.key("guest"))
        clock.advance(120)
        door.server.visitors.look_after()
        assert (await ask(wire, "echo still here")).status == 0
        config = door.site.path / "sshhome.toml"
        section = trusting(authority)
        changed = "[certificates]\n" + more if "authorities" in more else section + more
        config.write_text(config.read_text().replace(section, changed.format(key=mine.get_fingerprint()) + "\n"))
        assert await door.reload.now()
        assert await wire.reply() == Reply("disconnected", "your certificate is no longer good")
        assert (await ask(other, "echo not me")).status == 0


async def test_a_certificate_does_not_make_itself_last(
    serve: Serve, authority: Authority, mine: asyncssh.SSHKey
) -> None:
    """Who is in by a certificate, which ends, adds no key that does not."""
    line = mine.export_public_key().decode().strip()
    async with serve(trusting(authority)) as door, door.wire() as wire:
        wire.ask_key("guest", authority.certifies(mine, "guest"), signer=mine)  # type: ignore[arg-type]
        assert await wire.reply() == IN
        answer = await ask(wire, f"key add '{line}' --yes")
        assert answer.status == 77
        assert "or for a while, cannot change the owner" in answer.err
        assert line not in (door.site.path / "authorized_users" / "guest.toml").read_text()


async def test_a_connection_that_was_ended_takes_no_orders(door: Door) -> None:
    """A channel that begins just as its connection is ended gives no order any more, though its user still may."""
    dispatch = door.server.visitors.dispatch
    async with door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("shell")
        await until(lambda: list(dispatch.sessions))
        (session,) = dispatch.sessions
        session.end("you are out")
        (outcome,) = [outcome async for outcome in dispatch.run_line(session, "on hall; on desk")]
    assert str(outcome.error) == "you are out"
    assert dispatch.house.devices["light.hall"].state["on"] is False


async def test_a_user_who_loses_a_role_leaves(serve: Serve, authority: Authority, mine: asyncssh.SSHKey) -> None:
    """Who is in by a certificate for a role leaves when their file does not name that role any more."""
    async with serve(trusting(authority)) as door, door.wire() as wire:
        wire.ask_key("guest", authority.certifies(mine, "role:guest"), signer=mine)  # type: ignore[arg-type]
        assert await wire.reply() == IN
        write_user(door, "guest", role="viewer")
        assert await wire.reply() == Reply("disconnected", "your certificate is no longer good")


@pytest.mark.real
async def test_certificates_through_openssh(
    serve: Serve, program: Callable[[str], str], keys: Path, tmp_path: Path
) -> None:
    """The OpenSSH client comes in with a certificate that ssh-keygen made, and is bound by it."""
    keygen, ssh = program("ssh-keygen"), program("ssh")
    assert (await run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ca"))).status == 0
    line = (tmp_path / "ca.pub").read_text().strip()
    (tmp_path / "attacker.pub").write_text((keys / "attacker.pub").read_text())
    wanted = ["-I", "by ssh-keygen", "-n", "role:guest", "-z", "42", "-V", "20260601Z:20260603Z", "-O", "clear"]
    wanted += ["-O", "source-address=127.0.0.0/8", "-O", "force-command=echo forced"]
    answer = await run(keygen, "-q", "-s", str(tmp_path / "ca"), *wanted, str(tmp_path / "attacker.pub"))
    assert answer.status == 0, answer.err
    options = ["-o", f"CertificateFile={tmp_path}/attacker-cert.pub"]
    async with serve(f"[certificates]\nauthorities = ['{line}']") as door:
        answer = await door.openssh(ssh, "guest", "echo free", key="attacker", options=options)
        assert (answer.out, answer.status) == ("forced\n", 0)
        assert (await door.openssh(ssh, "home", "echo free", key="attacker", options=options)).status == 255
    (event,) = door.audit("login.ok")
    assert (event["certificate"], event["serial"]) == ("by ssh-keygen", 42)


# -- whose name it is -------------------------------------------------------------------------------------------------

#: Names that asyncssh folds into another one, or cannot read, as they are sent, and as the audit log tells them.
FOLDED: list[tuple[bytes, str]] = [
    ("\uff48\uff4f\uff4d\uff45".encode(), r"\uff48\uff4f\uff4d\uff45"),
    ("ho\u00adme".encode(), r"ho\xadme"),
    ("home\u200b".encode(), r"home\u200b"),
    ("\u00ad".encode(), r"\xad"),
    ("\U0001d421ome".encode(), r"\U0001d421ome"),
    ("hom\u00e9".encode(), r"hom\xe9"),
    (b"", "(empty)"),
    (b"home\0", r"home\x00"),
    (b"home\n", r"home\n"),
    (b"\x1b[31mhome", r"\x1b[31mhome"),
    (b"\xff\xfehome", r"\\xff\\xfehome"),
    (b"home" * 400, "home" * 16),
    ("\u00e9".encode() * 500, r"\xe9" * 16),
]


@pytest.mark.parametrize(("name", "told"), FOLDED, ids=[told for _, told in FOLDED])
async def test_folded_names_are_nobody_s(door: Door, name: Any, told: str) -> None:  # noqa: ANN401 (bytes where text is meant)
    """A name that is no plain ASCII is taken for what it is: nobody's, told escaped, answered like any unknown one."""
    home = door.key("home")
    heard = []
    names: Sequence[Any] = (name, "nobody")
    for user in names:
        async with door.wire() as wire:
            wire.ask_none(user)
            replies = [await wire.reply()]
            wire.ask_key(user, home)
            replies.append(await wire.reply())
            wire.ask_key(user, home, signer=home)
            replies.append(await wire.reply())
            wire.ask_password(user, "correct horse")
            heard.append([*replies, await wire.reply()])
    assert heard[0] == heard[1] == [Reply("failure", "publickey,password")] * 4
    assert [e["user"] for e in door.audit("login.failed")] == [told] * 2 + ["nobody"] * 2
    assert not door.audit("login.ok")


@pytest.mark.parametrize("name", [b"", "\uff48ome".encode()])
async def test_a_folded_name_alone_is_one_failure(door: Door, name: Any) -> None:  # noqa: ANN401 (bytes where text is meant)
    """Who only ever asks by such a name counts once, as somebody who does not exist."""
    async with door.wire() as wire:
        for _ in range(3):
            wire.ask_none(name)
            assert await wire.reply() == Reply("failure", "publickey,password")
    await until(lambda: not door.server.visitors)
    assert failure(door)["method"] == "unknown user"


async def test_a_folded_name_does_not_come_in_as_the_plain_one(door: Door) -> None:
    """After a folded form of the admin's name, a login is by the name that it says, and by its own proof."""
    async with door.wire() as wire:
        wire.ask_key("\uff48ome", door.key("home"))
        assert (await wire.reply()).kind == "failure"
        wire.ask_key("home", door.key("home"), signer=door.key("home"), signed_for="\uff48ome")
        assert (await wire.reply()).kind == "failure"
        await wire.log_in("guest", door.key("guest"))
        assert (await whoami(wire))["user"] == "guest"


# -- what we lean on --------------------------------------------------------------------------------------------------


def test_asyncssh_2_24_hands_packets_to_what_its_map_says() -> None:
    """Where asyncssh looks up what handles a packet stands ours for logins and channels, its own for the rest."""
    theirs, ours = asyncssh.SSHServerConnection._packet_handlers, Connection._packet_handlers
    assert theirs[MSG_USERAUTH_REQUEST] is asyncssh.SSHServerConnection._process_userauth_request
    assert ours[MSG_USERAUTH_REQUEST] is Connection._process_userauth_request
    assert ours[MSG_CHANNEL_OPEN] is Connection._process_channel_open
    own = {MSG_USERAUTH_REQUEST, MSG_CHANNEL_OPEN}
    assert {k: v for k, v in ours.items() if k not in own} == {k: v for k, v in theirs.items() if k not in own}


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_bytes_break_the_check_of_a_signature(data: st.DataObject) -> None:
    """Any key and signature at all, and any damage to good ones, are checked and never an exception."""
    blob = bytearray(SIGNER.public_data)
    signature = bytearray(SIGNER.sign(b"message", b"ssh-ed25519"))
    assert verifies(bytes(blob), b"message", bytes(signature))
    before = bytes(blob), bytes(signature)
    for part in (blob, signature):
        at = data.draw(st.integers(0, len(part)))
        part[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    after = bytes(blob), bytes(signature)
    assert verifies(after[0], b"message", after[1]) == (after == before)
    for kind in KINDS:
        fields = data.draw(st.lists(st.binary(max_size=80), max_size=4))
        verifies(String(kind) + b"".join(map(String, fields)), b"", String(kind) + data.draw(st.binary(max_size=80)))


def test_a_signature_without_its_zeros() -> None:
    """PuTTY leaves out the zeros that an RSA signature begins with, one time in 256: it is good all the same."""
    signer = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    for number in range(5000):
        message = number.to_bytes(4, "big")
        read = Wire(signer.sign(message, b"rsa-sha2-256"))
        algorithm, signature = read.string(), read.string()
        if not signature[0]:
            break
    short = String(algorithm) + String(signature.lstrip(b"\0"))
    assert verifies(signer.public_data, message, short)
    assert not verifies(signer.public_data, message + b"!", short)
    assert not verifies(signer.public_data, message, short + b"!")
    assert not verifies(signer.public_data, message, String(algorithm) + String(signature.lstrip(b"\0")[1:]))


SIGNER = asyncssh.generate_private_key("ssh-ed25519")
KINDS: Sequence[str] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa", "ssh-dss", *FIDO_KINDS]


async def test_keys_are_checked_on_the_loop_without_waiting(door: Door) -> None:
    """A signed login is decided in one go: nothing another request does can come between its check and its answer."""
    async with door.wire() as wire:
        for _ in range(3):
            wire.ask_key("guest", door.key("guest"), signer=door.key("attacker"))
        wire.ask_key("guest", door.key("guest"), signer=door.key("guest"))
        assert [(await wire.reply()).kind for _ in range(4)] == ["failure"] * 3 + ["success"]
    assert len(door.audit("login.failed")) == 3
    assert [e["reason"] for e in door.audit("login.failed")] == ["bad signature"] * 3
