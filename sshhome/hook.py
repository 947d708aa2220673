"""A hook is somebody outside who is told what happens, signed with a secret that both know (Standard Webhooks)."""

import base64
import binascii
import difflib
import fnmatch
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sshhome.audit import EVENTS
from sshhome.config import HookConfig
from sshhome.device import Device
from sshhome.errors import BadArguments, SiteError
from sshhome.feed import AUDIT, STATE, Changed, Entry, Happened
from sshhome.outbound import Url, parse_url
from sshhome.secret import SecretFile
from sshhome.source import Network

#: Hooks of a house; bytes of a secret; characters of a name.
_MOST, _SHORTEST_KEY, _LONGEST_KEY, _LONGEST_NAME = 16, 24, 64, 64
_MARK = "whsec_"


class Hook(msgspec.Struct, frozen=True):
    """Who is told, of what, and where it may be; its secret is read from its file whenever it is needed."""

    name: str
    url: Url
    secret: Path
    events: tuple[str, ...]
    target: str
    allow: tuple[Network, ...]

    @property
    def topics(self) -> Sequence[str]:
        """What of the feed it listens to."""
        said = any(fnmatch.filter(EVENTS, pattern) for pattern in self.events)
        return ([STATE] if self._wants(STATE) else []) + ([AUDIT] if said else [])

    def wants(self, entry: Entry) -> bool:
        """Return whether it is to be told of something that happened."""
        if isinstance(entry, Changed):
            return any(one is not None and self._means(one) for one in (entry.device, entry.before))
        return not isinstance(entry, Happened) or self._wants(entry.event)

    def _wants(self, event: str) -> bool:
        return any(fnmatch.fnmatchcase(event, pattern) for pattern in self.events)

    def _means(self, device: Device) -> bool:
        if self.target.startswith("@"):
            return device.room == self.target[1:]
        return not self.target or fnmatch.fnmatchcase(device.id, self.target)

    def signed(self, id_: str, at: int, body: bytes) -> Mapping[str, str]:
        """Return the headers that prove who sends a body, as what, and when; raises SiteError."""
        return {
            "webhook-id": id_,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(_signature(key, id_, at, body) for key in self.keys()),
        }

    def keys(self) -> Sequence[bytes]:
        """Return the keys to sign with, each of them while one takes the place of another; raises SiteError."""
        return [_key(self.secret, word) for word in SecretFile(self.secret).read().split()]


def _key(path: Path, word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(_MARK), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        size = f"{_SHORTEST_KEY} to {_LONGEST_KEY} bytes"
        raise SiteError(f"{path} is not {_MARK} and {size} in base64", "docs/hooks.md makes one")
    return key


def _signature(key: bytes, id_: str, at: int, body: bytes) -> str:
    digest = hmac.digest(key, b"%s.%d.%s" % (id_.encode(), at, body), "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def hooks(configured: Sequence[HookConfig], site: Path) -> Mapping[str, Hook]:
    """Return the hooks of a site by name: their own, else their host.

    By its name a hook is told what waits for it: no two have one, or as lines move one would be told what is another's.
    Raises SiteError for the first thing that is wrong, a secret that cannot be read included.
    """
    if len(configured) > _MOST:
        raise SiteError(f"sshhome.toml: hook: no more than {_MOST}")
    found: dict[str, Hook] = {}
    for given in configured:
        try:
            hook = _hook(given, site)
        except BadArguments as error:
            raise SiteError(f"sshhome.toml: hook.{error.message}", error.hint) from None
        if hook.name in found:
            raise SiteError(f"sshhome.toml: hook.name: two are named '{hook.name}'", "give each a name of its own")
        hook.keys()
        found[hook.name] = hook
    return found


def _hook(given: HookConfig, site: Path) -> Hook:
    try:
        url = parse_url(given.url)
    except BadArguments as error:
        raise BadArguments(f"url: {error.message}") from None
    name = given.name or url.host
    if len(name) > _LONGEST_NAME or not name.isascii() or not name.isprintable() or " " in name:
        raise BadArguments("name: is a word of ASCII")
    try:
        allow = tuple(ipaddress.ip_network(network) for network in given.allow)
    except ValueError as error:
        raise BadArguments(f"allow: {error}") from None
    if not url.secure and not allow:
        raise BadArguments("url: http:// is for addresses at home, which `allow` names")
    if not given.events:
        raise BadArguments('events: name some, such as ["state", "login.*"]')
    for pattern in given.events:
        if not fnmatch.filter((STATE, *EVENTS), pattern):
            near = difflib.get_close_matches(pattern, (STATE, *EVENTS), 1, 0.5)
            raise BadArguments(
                f"events: nothing is called '{pattern}'" + (f", did you mean '{near[0]}'?" if near else "")
            )
    secret = site / Path(given.secret_file).expanduser()
    return Hook(name, url, secret, given.events, given.target, allow)
