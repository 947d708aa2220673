"""OpenSSH certificates (PROTOCOL.certkeys): what one says, and whether it lets a user in.

A certificate is trusted through the line of its authority's key: one of `[certificates]` in sshhome.toml, or a
`cert-authority` line of the user's own file. A principal of a site-wide authority is a login name, or `role:NAME`
for whoever holds that role; no login name has a colon, so the one is never taken for the other. On a user's own
line it is what `principals=` says, or the login name. The signatures are checked where asyncssh is.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sshhome.errors import SiteError
from sshhome.key import KEY_FIELDS, SIGNATURES, Key, check_fields, fingerprint, is_fido, parse_key
from sshhome.source import Network
from sshhome.wire import Wire, string

#: The type that a certificate names, and the type of the key in it.
CERTIFICATE_TYPES = {f"{kind.removesuffix('@openssh.com')}-cert-v01@openssh.com": kind for kind in KEY_FIELDS}
_USER = 1
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_LAST_SERIAL = 2**64 - 1


class Certificate(msgspec.Struct, frozen=True):
    """What a certificate says: `key` and `authority` in wire format, times in seconds since the epoch.

    `signed` is what the authority's `signature` is over; `critical` is all that must be understood.
    """

    kind: str
    key: bytes
    serial: int
    type: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: dict[str, bytes]
    extensions: dict[str, bytes]
    authority: bytes
    signed: bytes
    signature: bytes


class Admission(msgspec.Struct, frozen=True):
    """How somebody may come in: the key that has to sign with all that binds it, and the certificate it came in."""

    key: Key
    certificate: Certificate | None = None


class Authorities(msgspec.Struct, frozen=True):
    """Whose certificates let in anyone they name, and which certificates and keys no longer do."""

    keys: tuple[Key, ...] = ()
    revoked_serials: frozenset[int] = frozenset()
    revoked_key_ids: frozenset[str] = frozenset()
    revoked_keys: frozenset[str] = frozenset()

    def lines(self, certificate: Certificate, own: Iterable[Key]) -> list[Key]:
        """Return the lines that trust a certificate's authority: the site's, then a user's own."""
        trusted = (*self.keys, *(key for key in own if key.authority))
        return [key for key in trusted if key.blob == certificate.authority]

    def revoked(self, blob: bytes) -> bool:
        """Return whether a key is revoked."""
        return bool(self.revoked_keys) and fingerprint(blob) in self.revoked_keys

    def judge(
        self,
        certificate: Certificate,
        *,
        login: str,
        roles: Sequence[str],
        own: Sequence[Key],
        source: str,
        now: float,
    ) -> Admission | str:
        """Return how a certificate lets a user in from here and now, or why it does not; signatures aside.

        `own` are the user's own lines; of several that trust its authority, the first that admits it binds.
        """
        lines = self.lines(certificate, own)
        if not lines:
            return "nobody here trusts its authority"
        refusal = self._refusal(certificate, now)
        if refusal:
            return refusal
        for line in lines:
            names = self._names(line, login, roles)
            verdict = _judge(certificate, line, names, source, now)
            if not isinstance(verdict, str):
                return Admission(verdict, certificate)
            refusal = refusal or verdict
        return refusal

    def _names(self, line: Key, login: str, roles: Sequence[str]) -> set[str]:
        """Return the principals that are this user, on this line."""
        if line in self.keys:
            return {login, *(f"role:{role}" for role in roles)}
        return set(line.principals or (login,))

    def _refusal(self, certificate: Certificate, now: float) -> str:
        """Return what speaks against a certificate whoever comes with it, or nothing."""
        if certificate.type != _USER:
            return "it is not for users"
        if certificate.serial in self.revoked_serials:
            return f"serial {certificate.serial} is revoked"
        if certificate.key_id in self.revoked_key_ids:
            return "its key id is revoked"
        if self.revoked(certificate.key) or self.revoked(certificate.authority):
            return "its key or its authority is revoked"
        if now < certificate.valid_after:
            return "it is not valid yet"
        if now >= certificate.valid_before:
            return "it has expired"
        if unknown := certificate.critical.keys() - _CRITICAL:
            return f"critical option {min(unknown)} is not understood"
        if not certificate.principals:
            return "it names no principal"
        return ""


_CRITICAL = frozenset({"force-command", "source-address", "verify-required"})


def _judge(certificate: Certificate, line: Key, names: set[str], source: str, now: float) -> Key | str:
    """Return the certified key under the options of its certificate and of its authority's line, or a refusal."""
    if names.isdisjoint(certificate.principals):
        return "none of its principals is this user"
    if not line.admits(source, now):
        return "its authority is not trusted from here and now"
    try:
        networks = _source_address(certificate)
        order = _force_command(certificate)
    except ValueError:
        return "a critical option is damaged"
    if networks is not None and not any(ipaddress.ip_address(source) in network for network in networks):
        return "it is not for use from here"
    if line.order and order and line.order != order:
        return "its order is not that of its authority"
    verify = line.verify or "verify-required" in certificate.critical
    if verify and not is_fido(certificate.kind):
        return "it wants a verified user, which its key cannot tell"
    return Key(
        certificate.kind,
        certificate.key,
        certificate.key_id,
        pty=line.pty and "permit-pty" in certificate.extensions,
        order=line.order or order,
        touch=line.touch or "no-touch-required" not in certificate.extensions,
        verify=verify,
        grants=line.grants,
        role=line.role,
    )


def _source_address(certificate: Certificate) -> list[Network] | None:
    """Return the networks of a `source-address`, or None without one; raises ValueError."""
    if "source-address" not in certificate.critical:
        return None
    return [ipaddress.ip_network(part) for part in _one_text(certificate.critical["source-address"]).split(",")]


def _force_command(certificate: Certificate) -> str:
    """Return the order of a `force-command`, or nothing without one; raises ValueError."""
    if "force-command" not in certificate.critical:
        return ""
    order = _one_text(certificate.critical["force-command"])
    if not order.strip():
        raise ValueError(order)
    return order


def _one_text(data: bytes) -> str:
    wire = Wire(data)
    text = wire.text()
    wire.end()
    return text


def read_certificate(blob: bytes) -> Certificate:
    """Return what a certificate in wire format says; raises ValueError for what is none, or is damaged."""
    wire = Wire(blob)
    kind = CERTIFICATE_TYPES.get(wire.text(), "")
    if not kind:
        raise ValueError("not a certificate")
    wire.string()  # a nonce, which only makes what is signed unforeseeable
    fields = [kind.encode(), *(wire.string() for _ in range(KEY_FIELDS[kind] - 1))]
    try:
        check_fields(kind, fields)
    except SiteError as error:
        raise ValueError(error.message) from None
    said = (wire.number(8), wire.number(4), wire.text(), tuple(_texts(wire.string())), wire.number(8), wire.number(8))
    critical, extensions = _options(wire.string()), _options(wire.string())
    wire.string()  # reserved
    authority = wire.string()
    signed = wire.read
    signature = wire.string()
    wire.end()
    if Wire(signature).text() not in SIGNATURES.get(Wire(authority).text(), ()):
        raise ValueError("signed in a way that is not trusted")
    key = b"".join(map(string, fields))
    return Certificate(kind, key, *said, critical, extensions, authority, signed, signature)


def _texts(data: bytes) -> Iterator[str]:
    wire = Wire(data)
    while wire.rest:
        yield wire.text()


def _options(data: bytes) -> dict[str, bytes]:
    """Return options by name; raises ValueError when one stands twice."""
    options: dict[str, bytes] = {}
    wire = Wire(data)
    while wire.rest:
        name = wire.text()
        if name in options:
            raise ValueError("an option stands twice")
        options[name] = wire.string()
    return options


def parse_authorities(
    lines: Sequence[str], serials: Sequence[int], key_ids: Sequence[str], fingerprints: Sequence[str]
) -> Authorities:
    """Return what `[certificates]` says; raises SiteError naming the key and what is wrong with it."""
    keys = []
    for number, line in enumerate(lines, 1):
        where = f"certificates.authorities, line {number}"
        try:
            key = parse_key(line, authority=True)
        except SiteError as error:
            raise SiteError(f"{where}: {error.message}") from None
        if key.principals:
            # It would let whoever has that principal in as anyone at all.
            raise SiteError(f"{where}: key option 'principals' is for a user's own file")
        keys.append(key)
    for serial in serials:
        # A certificate made without a serial has number 0, as has every other one.
        if not 1 <= serial <= _LAST_SERIAL:
            raise SiteError(f"certificates.revoked_serials: {serial} is no serial; revoke the key or the key id")
    for key_id in key_ids:
        if not key_id:
            raise SiteError("certificates.revoked_key_ids: an empty key id")
    for text in fingerprints:
        if not _FINGERPRINT.fullmatch(text):
            raise SiteError(f"certificates.revoked_keys: '{text}' is no fingerprint such as `ssh-keygen -l` prints")
    return Authorities(tuple(keys), frozenset(serials), frozenset(key_ids), frozenset(fingerprints))
