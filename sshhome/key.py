"""One authorized key: a line in OpenSSH's authorized_keys format, options included (sshd(8)).

Our own strict parser: an option that is not understood refuses the line, because a restriction that is
ignored is a hole. Option names are matched without regard to case, as OpenSSH does.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from sshhome.errors import SiteError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Signature keys that asyncssh verifies and that are worth trusting, no DSA, with the number of fields in wire format.
_FIELDS = {
    "ssh-ed25519": 2,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "ssh-rsa": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
KEY_TYPES = frozenset(_FIELDS)
_MIN_RSA_BITS = 2048
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(,|\s+|$)')
#: Options of OpenSSH that this version knows of but does not enforce yet: refused by name.
_NOT_YET = frozenset({"command", "principals", "cert-authority", "verify-required", "no-touch-required"})


class Key(msgspec.Struct, frozen=True):
    """A public key that may log in, and under which conditions.

    `blob` is the key in SSH wire format (RFC 4253 §6.6); `expires` is seconds since the epoch.
    """

    kind: str
    blob: bytes
    comment: str = ""
    sources: tuple[Network, ...] = ()
    expires: float | None = None
    pty: bool = True

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint as `ssh-keygen -l` prints it."""
        return fingerprint(self.blob)

    def admits(self, source: str, now: float) -> bool:
        """Return whether this key may be used from this address at this time."""
        if self.expires is not None and now >= self.expires:
            return False
        return not self.sources or any(ipaddress.ip_address(source) in network for network in self.sources)


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:…` of a key in wire format."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse_key(line: str) -> Key:
    """Return the key of one authorized_keys line; raises SiteError saying what is wrong with it."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in line):
        raise SiteError("a key is one line without control characters")
    rest = line.strip()
    options: dict[str, str | None] = {}
    first, _, second = rest.partition(" ")
    # A key in wire format begins with the length of its type, so that its base64 begins with AAAA.
    if first not in KEY_TYPES and not second.lstrip().startswith("AAAA"):
        options, rest = _options(rest)
    kind, _, rest = rest.partition(" ")
    text, _, comment = rest.strip().partition(" ")
    if kind not in KEY_TYPES:
        raise SiteError(f"'{kind}' is no key type")
    try:
        blob = base64.b64decode(text, validate=True)
        fields = list(_fields(blob))
    except (binascii.Error, struct.error, ValueError):
        raise SiteError("the key's base64 is damaged") from None
    if len(fields) != _FIELDS[kind] or fields[0] != kind.encode() or not all(fields):
        raise SiteError("the key's base64 is not of the type the line names")
    if kind == "ssh-rsa" and int.from_bytes(fields[2], "big").bit_length() < _MIN_RSA_BITS:
        raise SiteError(f"an RSA key needs at least {_MIN_RSA_BITS} bits")
    return _restricted(Key(kind, blob, comment.strip()), options)


def _fields(blob: bytes) -> Iterator[bytes]:
    """Yield the length-prefixed fields of a key in wire format (RFC 4251 §5 `string`)."""
    at = 0
    while at < len(blob):
        (length,) = struct.unpack_from(">I", blob, at)
        if at + 4 + length > len(blob):
            raise ValueError(length)
        yield blob[at + 4 : at + 4 + length]
        at += 4 + length


def _options(text: str) -> tuple[dict[str, str | None], str]:
    """Split `from="…",restrict ssh-ed25519 …` into the options and the rest."""
    options: dict[str, str | None] = {}
    at = 0
    while match := _OPTION.match(text, at):
        name, value, end = match.groups()
        if name.lower() in options:
            raise SiteError(f"key option '{name}' stands twice")
        options[name.lower()] = None if value is None else re.sub(r'\\"', '"', value)
        at = match.end()
        if end != ",":
            return options, text[at:].strip()
    raise SiteError("the line is neither a key nor options and a key")


def _restricted(key: Key, options: dict[str, str | None]) -> Key:
    changes: dict[str, object] = {}
    for name, value in options.items():
        if (value is None) != (name in {"restrict", "no-pty"}):
            raise SiteError(f"key option '{name}' is not understood")
        if name in {"restrict", "no-pty"}:
            changes["pty"] = False
        elif name == "from":
            changes["sources"] = tuple(_networks(value or ""))
        elif name == "expiry-time":
            changes["expires"] = _expiry(value or "")
        else:
            later = " yet" if name in _NOT_YET else ""
            raise SiteError(f"key option '{name}' is not supported{later}")
    return msgspec.structs.replace(key, **changes)


def _networks(value: str) -> Iterator[Network]:
    """Yield the CIDR networks of a `from=` value; names and patterns are refused, since we never ask the DNS."""
    for part in value.split(","):
        try:
            yield ipaddress.ip_network(part.strip())
        except ValueError:
            raise SiteError(f"key option 'from': '{part.strip()}' is no network such as 192.168.0.0/16") from None


def _expiry(value: str) -> float:
    """Return the moment of `YYYYMMDD[HHMM[SS]]` with or without `Z`, as sshd(8) has it; ours is always UTC."""
    digits = value.removesuffix("Z")
    pattern = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    try:
        if pattern is None or not (digits.isascii() and digits.isdigit()):
            raise ValueError
        return datetime.strptime(digits, pattern).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SiteError("key option 'expiry-time' is written YYYYMMDD or YYYYMMDDHHMM") from None
