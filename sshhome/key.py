"""One authorized key: a line in OpenSSH's authorized_keys format, options included (sshd(8)).

Our own strict parser: an option that is not understood refuses the line, because a restriction that is
ignored is a hole. Option names are matched without regard to case, as OpenSSH does.
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from sshhome import words
from sshhome.errors import BadArguments, SiteError
from sshhome.grant import ROLE_NAME, Grant, parse_grant
from sshhome.source import Network
from sshhome.wire import Wire

#: Signature keys that asyncssh verifies and that are worth trusting, no DSA, with the number of fields in wire format.
KEY_FIELDS = {
    "ssh-ed25519": 2,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "ssh-rsa": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
KEY_TYPES = frozenset(KEY_FIELDS)
#: The signatures that each type of key may make: no SHA-1 (`ssh-rsa`), and none that a web page can ask for (WebAuthn).
SIGNATURES = {kind: frozenset({kind}) for kind in KEY_TYPES} | {"ssh-rsa": frozenset({"rsa-sha2-256", "rsa-sha2-512"})}
_MIN_RSA_BITS = 2048
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(,|\s+|$)')
#: The options there are, and whether each has a value.
_OPTIONS = {
    "from": True,
    "expiry-time": True,
    "command": True,
    "principals": True,
    "restrict": False,
    "no-pty": False,
    "cert-authority": False,
    "verify-required": False,
    "no-touch-required": False,
    "sshhome-grants": True,
    "sshhome-role": True,
}


class Key(msgspec.Struct, frozen=True):
    """A public key that may log in, or whose certificates may, and under which conditions.

    `blob` is the key in SSH wire format (RFC 4253 §6.6); `expires` is seconds since the epoch; `order`, unless
    it is empty, is the only line of orders that runs, whatever is asked. Whoever comes with a key that has `grants`
    or a `role` may do no more than these, and no more than its owner.
    """

    kind: str
    blob: bytes
    comment: str = ""
    sources: tuple[Network, ...] = ()
    barred: tuple[Network, ...] = ()
    expires: float | None = None
    pty: bool = True
    order: str = ""
    authority: bool = False
    principals: tuple[str, ...] = ()
    touch: bool = True
    verify: bool = False
    grants: tuple[Grant, ...] = ()
    role: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether who comes with it holds less than its owner does."""
        return bool(self.grants or self.role)

    @property
    def whole(self) -> bool:
        """Whether it is good for all that its owner may do."""
        return not (self.narrowed or self.order)

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint as `ssh-keygen -l` prints it."""
        return fingerprint(self.blob)

    def ended(self, now: float) -> bool:
        """Return whether its time is over."""
        return self.expires is not None and now >= self.expires

    def admits(self, source: str, now: float) -> bool:
        """Return whether this key may be used from this address at this time."""
        if self.ended(now):
            return False
        if not self.barred and not self.sources:
            # As most keys are, on the road of every order.
            return True
        address = ipaddress.ip_address(source)
        if any(address in network for network in self.barred):
            return False
        return not self.sources or any(address in network for network in self.sources)


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:…` of a key in wire format."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def is_fido(kind: str) -> bool:
    """Return whether keys of this type live in a device that can ask for a touch, or for who touches it."""
    return kind.startswith("sk-")


def parse_key(line: str, *, authority: bool = False) -> Key:
    """Return the key of one authorized_keys line; raises SiteError saying what is wrong with it.

    With `authority` it is that of an authority, whether it says so or not.
    """
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in line):
        raise SiteError("a key is one line without control characters")
    rest = line.strip()
    options: dict[str, str] = {}
    first, _, second = rest.partition(" ")
    # A key in wire format begins with the length of its type, so that its base64 begins with AAAA.
    if first not in KEY_TYPES and ('"' in first or not second.lstrip().startswith("AAAA")):
        options, rest = _options(rest)
    kind, _, rest = rest.partition(" ")
    text, _, comment = rest.strip().partition(" ")
    if kind not in KEY_TYPES:
        raise SiteError(f"'{kind}' is no key type")
    try:
        blob = base64.b64decode(text, validate=True)
        wire = Wire(blob)
        fields = []
        while wire.rest:
            fields.append(wire.string())
    except ValueError:
        raise SiteError("the key's base64 is damaged") from None
    check_fields(kind, fields)
    return _restricted(Key(kind, blob, comment.strip()), options | ({"cert-authority": ""} if authority else {}))


def check_fields(kind: str, fields: Sequence[bytes]) -> None:
    """Raise SiteError unless these fields are a key of this type, and one that is long enough."""
    if len(fields) != KEY_FIELDS[kind] or fields[0] != kind.encode() or not all(fields):
        raise SiteError("the key's base64 is not of the type the line names")
    if kind == "ssh-rsa" and int.from_bytes(fields[2], "big", signed=True) < 1 << _MIN_RSA_BITS - 1:
        raise SiteError(f"an RSA key needs at least {_MIN_RSA_BITS} bits")


def _options(text: str) -> tuple[dict[str, str], str]:
    """Split `from="…",restrict ssh-ed25519 …` into the options, each with its value or nothing, and the rest."""
    options: dict[str, str] = {}
    at = 0
    while match := _OPTION.match(text, at):
        written, value, end = match.groups()
        name = written.lower()
        if name not in _OPTIONS:
            raise SiteError(f"key option '{written}' is not supported")
        if _OPTIONS[name] != (value is not None):
            wants = "needs a value" if _OPTIONS[name] else "has no value"
            raise SiteError(f"key option '{written}' {wants}")
        if name in options:
            raise SiteError(f"key option '{written}' stands twice")
        options[name] = re.sub(r'\\"', '"', value or "")
        at = match.end()
        if end != ",":
            return options, text[at:].strip()
    raise SiteError("the line is neither a key nor options and a key")


def _restricted(key: Key, options: dict[str, str]) -> Key:
    """Return the key under its options; raises SiteError for one that is badly written or cannot be kept."""
    authority = "cert-authority" in options
    if "principals" in options and not authority:
        raise SiteError("key option 'principals' goes with cert-authority alone")
    for name in ("verify-required", "no-touch-required"):
        if name in options and not (authority or is_fido(key.kind)):
            raise SiteError(f"key option '{name}' is for FIDO keys (sk-…), which this is not")
    sources, barred = _networks(options["from"]) if "from" in options else ((), ())
    return msgspec.structs.replace(
        key,
        sources=sources,
        barred=barred,
        expires=_expiry(options["expiry-time"]) if "expiry-time" in options else None,
        pty=not {"restrict", "no-pty"} & set(options),
        order=_order(options["command"]) if "command" in options else "",
        authority=authority,
        principals=_principals(options["principals"]) if "principals" in options else (),
        touch="no-touch-required" not in options,
        verify="verify-required" in options,
        grants=_grants(options["sshhome-grants"], key) if "sshhome-grants" in options else (),
        role=_role(options["sshhome-role"]) if "sshhome-role" in options else "",
    )


def _networks(value: str) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """Return the CIDR networks of a `from=` value, and those barred by a `!`, which beats the others.

    Names and patterns are refused, since we never ask the DNS.
    """
    sources: list[Network] = []
    barred: list[Network] = []
    for part in value.split(","):
        text = part.strip()
        try:
            (barred if text.startswith("!") else sources).append(ipaddress.ip_network(text.removeprefix("!")))
        except ValueError:
            raise SiteError(f"key option 'from': '{text}' is no network such as 192.168.0.0/16") from None
    if not sources:
        raise SiteError("key option 'from' lets nobody in: name a network beside those barred by !")
    return tuple(sources), tuple(barred)


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


def _order(value: str) -> str:
    """Return the line of orders of a `command=` value."""
    try:
        if words.split(value):
            return value
    except BadArguments as error:
        raise SiteError(f"key option 'command': {error.message}") from None
    raise SiteError("key option 'command' is no order")


def _grants(value: str, key: Key) -> tuple[Grant, ...]:
    """Return the grants of an `sshhome-grants=` value, such as `read,control:light.*`; none would be no key at all."""
    origin = f"key {key.comment or key.fingerprint}"
    try:
        return tuple(parse_grant(text.strip(), origin) for text in value.split(","))
    except SiteError as error:
        raise SiteError(f"key option 'sshhome-grants': {error.message.removeprefix(f'{origin}: ')}") from None


def _role(value: str) -> str:
    if not ROLE_NAME.fullmatch(value):
        raise SiteError(f"key option 'sshhome-role': '{value}' is no name of a role")
    return value


def _principals(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise SiteError("key option 'principals' is a list of names, such as anna,bob")
    return names
