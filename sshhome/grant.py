"""A grant is a privilege and a scope; here a user's grants become one decision about one device.

Default deny, and a deny always wins. `control` and `access` include `read` of the same scope; nothing else
includes anything. Denying `read` hides the device, so it denies everything on it.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from sshhome.device import Device
from sshhome.errors import SiteError


class Privilege(StrEnum):
    """What a user may do: look, operate comfort, operate what lets people in or alarms, run the server."""

    READ = "read"
    CONTROL = "control"
    ACCESS = "access"
    ADMIN = "admin"


#: Conditions the contract names and this version cannot check: a grant with one is refused, never half obeyed.
CONDITIONS = frozenset({"when", "values", "from", "house", "step_up", "uses", "until"})

_PART = r"[a-z0-9_*?\[\]!-]{1,64}"
_SCOPE = re.compile(rf"\*|@[a-z0-9_-]{{1,64}}|{_PART}\.{_PART}")

_COMFORT = ("read", *(f"control:{kind}.*" for kind in ("light", "switch", "fan", "media_player", "scene")))

BUILT_IN_ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": ("read", "control", "access", "admin"),
    "resident": ("read", "control", "access"),
    "guest": _COMFORT,
    "child": _COMFORT,
    "viewer": ("read",),
}


class Grant(msgspec.Struct, frozen=True):
    """One rule: allow or deny a privilege in a scope; `origin` says which file or role it stands in.

    The scope is `*`, a glob over ids (`light.*`), an id, or a room (`@kids`).
    """

    privilege: Privilege
    scope: str = "*"
    deny: bool = False
    origin: str = ""

    def covers(self, device: Device) -> bool:
        """Return whether the device is in the scope."""
        if self.scope == "*":
            return True
        if self.scope.startswith("@"):
            return device.room == self.scope[1:]
        return fnmatch.fnmatchcase(device.id, self.scope)

    def __str__(self) -> str:
        """Return the rule as it is written, and where."""
        scope = "" if self.scope == "*" else f":{self.scope}"
        return f"{'deny ' if self.deny else ''}{self.privilege}{scope} ({self.origin})"


class Decision(msgspec.Struct, frozen=True):
    """Yes or no, and the rule that decided, or why no rule did."""

    allowed: bool
    rule: str


def parse_grant(written: str | Mapping[str, Any], origin: str) -> Grant:
    """Return the grant written as `"control:light.*"` or as a table with `allow` or `deny`.

    Raises SiteError naming the origin for anything not understood, conditions included.
    """
    deny = False
    if isinstance(written, Mapping):
        table = dict(written)
        verdicts = [key for key in ("allow", "deny") if key in table]
        if len(verdicts) != 1:
            raise SiteError(f"{origin}: a grant table holds exactly one of allow and deny")
        deny = verdicts == ["deny"]
        text = table.pop(verdicts[0])
        for key in table:
            if key in CONDITIONS:
                raise SiteError(f"{origin}: condition '{key}' of a grant is not supported yet")
            raise SiteError(f"{origin}: unknown key '{key}' in a grant")
    else:
        text = written
    if not isinstance(text, str):
        raise SiteError(f"{origin}: a grant is text such as 'control:light.*'")
    word, colon, scope = text.partition(":")
    if word not in set(Privilege):
        raise SiteError(f"{origin}: '{word}' is no privilege; it is one of {', '.join(Privilege)}")
    if colon and not _SCOPE.fullmatch(scope):
        raise SiteError(f"{origin}: '{scope}' is no scope; it is an id, a glob such as light.* or a room such as @kids")
    if word == Privilege.ADMIN and colon:
        raise SiteError(f"{origin}: admin takes no scope")
    return Grant(Privilege(word), scope or "*", deny, origin)


class Roles:
    """The named lists of grants: the built-in ones and those of `[roles]` in sshhome.toml."""

    def __init__(self, own: Mapping[str, Sequence[str | Mapping[str, Any]]] | None = None) -> None:
        """Parse the site's own roles; raises SiteError for a bad one, or one named like a built-in."""
        self._roles: dict[str, tuple[Grant, ...]] = {}
        for name, written in BUILT_IN_ROLES.items():
            self._roles[name] = tuple(parse_grant(text, f"role {name}") for text in written)
        for name, grants in (own or {}).items():
            if name in self._roles:
                raise SiteError(f"sshhome.toml: roles.{name}: this role is built in")
            self._roles[name] = tuple(parse_grant(grant, f"sshhome.toml: role {name}") for grant in grants)

    def __getitem__(self, name: str) -> tuple[Grant, ...]:
        """Return the grants of a role; raises KeyError when there is none of that name."""
        return self._roles[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of all roles."""
        return tuple(self._roles)


def decide(grants: Sequence[Grant], privilege: Privilege, device: Device) -> Decision:
    """Return whether these grants give a privilege on a device, and by which rule."""
    for grant in grants:
        if grant.deny and grant.privilege in {privilege, Privilege.READ} and grant.covers(device):
            return Decision(allowed=False, rule=str(grant))
    for grant in grants:
        if not grant.deny and _gives(grant.privilege, privilege) and grant.covers(device):
            return Decision(allowed=True, rule=str(grant))
    return Decision(allowed=False, rule="no grant")


def holds(grants: Iterable[Grant], privilege: Privilege) -> Decision:
    """Return whether these grants give a privilege at all: anywhere, or for `admin` as a whole."""
    grants = tuple(grants)
    for grant in grants:
        if grant.deny and grant.scope == "*" and grant.privilege in {privilege, Privilege.READ}:
            return Decision(allowed=False, rule=str(grant))
    for grant in grants:
        if not grant.deny and _gives(grant.privilege, privilege):
            return Decision(allowed=True, rule=str(grant))
    return Decision(allowed=False, rule="no grant")


def _gives(held: Privilege, wanted: Privilege) -> bool:
    return held == wanted or (wanted == Privilege.READ and held in {Privilege.CONTROL, Privilege.ACCESS})
