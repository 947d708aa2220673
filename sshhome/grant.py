"""A grant is a privilege, a scope, and the conditions under which it holds.

Default deny, and a deny always wins. `control` and `access` include `read` of the same scope; nothing else
includes anything. Denying `read` hides the device, so it denies everything on it.
"""

import difflib
import fnmatch
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sshhome.condition import Facts, HouseState, Unmet, Values, parse_house, parse_networks, parse_values, unmet_when
from sshhome.device import Device
from sshhome.errors import BadArguments, SiteError
from sshhome.source import Network
from sshhome.when import When, moment, parse_moment, parse_when


class Privilege(StrEnum):
    """What a user may do: look, operate comfort, operate what lets people in or alarms, run the server."""

    READ = "read"
    CONTROL = "control"
    ACCESS = "access"
    ADMIN = "admin"


#: How somebody may be asked to prove more before an order: a one-time code, or that it is meant.
STEP_UPS = ("totp", "confirm")
#: The conditions there are; some are about acting, and mean nothing on a grant to look; some ask or count, and
#: mean nothing on a deny; some are about devices, and mean nothing on a grant to run the server.
CONDITIONS = frozenset({"when", "from", "house", "until", "orders", "values", "step_up", "uses"})
_ACTING = frozenset({"orders", "values", "step_up", "uses"})
_ALLOWING = frozenset({"step_up", "uses"})
_COUNTED = frozenset({"values", "uses"})
_TO = {Privilege.READ: "look", Privilege.ADMIN: "run the server"}
_UTC = ZoneInfo("UTC")

ROLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PART = r"[a-z0-9_*?\[\]!-]{1,64}"
_SCOPE = re.compile(rf"\*|@[a-z0-9_-]{{1,64}}|{_PART}\.{_PART}")
_ORDER = re.compile(r"[a-z-]+( [a-z-]+)?", re.ASCII)

_COMFORT = ("read", *(f"control:{kind}.*" for kind in ("light", "switch", "fan", "media_player", "scene")))

BUILT_IN_ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": ("read", "control", "access", "admin"),
    "resident": ("read", "control", "access"),
    "guest": _COMFORT,
    "child": _COMFORT,
    "viewer": ("read",),
}


class Grant(msgspec.Struct, frozen=True, dict=True):
    """One rule: allow or deny a privilege in a scope, under conditions; `origin` says which file or role it stands in.

    The scope is `*`, a glob over ids (`light.*`), an id, or a room (`@kids`). `until` is seconds since the epoch,
    `uses` how many orders it is good for, 0 for any number; `orders` names the only ones it is for, if any.
    """

    privilege: Privilege
    scope: str = "*"
    deny: bool = False
    origin: str = ""
    when: When | None = None
    values: Values | None = None
    sources: tuple[Network, ...] = ()
    house: tuple[HouseState, ...] = ()
    step_up: str = ""
    uses: int = 0
    until: float | None = None
    orders: tuple[str, ...] = ()

    def covers(self, device: Device) -> bool:
        """Return whether the device is in the scope."""
        if self.scope == "*":
            return True
        if self.scope.startswith("@"):
            return device.room == self.scope[1:]
        return self._glob(device.id) is not None

    @cached_property
    def _glob(self) -> Callable[[str], object]:
        # Kept here: to look it up among those that `fnmatch` keeps takes longer than to match.
        return re.compile(fnmatch.translate(self.scope)).match

    def gives(self, wanted: Privilege) -> bool:
        """Return whether its privilege is or includes the one that is wanted."""
        held = self.privilege
        return held == wanted or (wanted == Privilege.READ and held in {Privilege.CONTROL, Privilege.ACCESS})

    @cached_property
    def plain(self) -> bool:
        """Whether there is no condition on it."""
        return self == Grant(self.privilege, self.scope, self.deny, self.origin)

    @cached_property
    def id(self) -> str:
        """What its uses are counted under: the same as long as nothing of it is changed."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:16]

    def unmet(self, facts: Facts, *, reach: bool = False) -> list[Unmet]:
        """Return the conditions that do not hold, the step-up aside; what cannot be known does not hold.

        With `reach` only whether it has ended, and is not for where the asker is: beyond that it is as if it were not
        written. A device that the asker may not know of is not named.
        """
        unmet: list[Unmet] = []
        until = self.until
        if until is not None and facts.now >= until:
            unmet.append(Unmet("until", lambda: f"ended {moment(until, facts.zone, facts.now)}"))
        if self.sources and not (here := facts.comes_from(self.sources)) and (here is False or not reach):
            unmet.append(Unmet("from", lambda: f"only from {', '.join(map(str, self.sources))}"))
        if reach:
            return unmet
        if self.orders and facts.order not in self.orders:
            unmet.append(Unmet("orders", lambda: f"only to {' or '.join(self.orders)}"))
        if self.when is not None and (closed := unmet_when(self.when, facts)) is not None:
            unmet.append(closed)
        barring = (state for state in self.house if not state.holds(facts.devices))
        unmet += (Unmet("house", partial(_tell, state, facts)) for state in barring)
        if self.values is not None and facts.device is not None and facts.change is not None:
            unmet += (Unmet("values", partial(str, told)) for told in self.values.unmet(facts.device, facts.change))
        if self.uses and facts.used(self.id) >= self.uses:
            unmet.append(Unmet("uses", lambda: f"used {self.uses} of {self.uses} times"))
        return unmet

    def bars(self, facts: Facts) -> bool:
        """Return whether this deny is in force; what cannot be known bars."""
        if self.plain:
            return True
        if self.unmet(facts, reach=True) or (self.orders and facts.order not in self.orders):
            return False
        if self.when is not None and not self.when.holds(facts.now, facts.zone):
            return False
        if any(state.holds(facts.devices) is False for state in self.house):
            return False
        if self.values is not None:
            # Where it is not known yet what will be set, the values bar nothing yet.
            return bool(facts.device and facts.change is not None and self.values.met(facts.device, facts.change))
        return True

    def barring(self, facts: Facts) -> list[Unmet]:
        """Return the conditions under which this deny is in force, for whoever it bars; a plain one has none."""
        when, until = self.when, self.until
        told: list[Unmet] = []
        if self.orders:
            told.append(Unmet("orders", lambda: f"not to {' or '.join(self.orders)}"))
        if when is not None:
            told.append(Unmet("when", partial(_closing, when, facts)))
        told += (Unmet("house", partial(_tell, state, facts, "not")) for state in self.house)
        if self.values is not None:
            told.append(Unmet("values", lambda: f"not with {self.values}"))
        if self.sources:
            told.append(Unmet("from", lambda: f"not from {', '.join(map(str, self.sources))}"))
        if until is not None:
            told.append(Unmet("until", lambda: f"not before {moment(until, facts.zone, facts.now)}"))
        return told

    @property
    def rule(self) -> str:
        """The rule as it is written."""
        scope = "" if self.scope == "*" else f":{self.scope}"
        told = [f"{'deny ' if self.deny else ''}{self.privilege}{scope}"]
        told += [f"to {' or '.join(self.orders)}"] if self.orders else []
        told += [f"when {self.when}"] if self.when else []
        told += [f"with {self.values}"] if self.values else []
        told += [f"from {', '.join(map(str, self.sources))}"] if self.sources else []
        told += [f"while {' and '.join(map(str, self.house))}"] if self.house else []
        told += [f"until {_utc(self.until)}"] if self.until is not None else []
        told += [f"{self.uses} times"] if self.uses else []
        told += [f"after {_STEP_UP_SAYS[self.step_up]}"] if self.step_up else []
        return " ".join(told)

    @cached_property
    def told(self) -> str:
        """The rule, and where it is written."""
        return f"{self.rule} ({self.origin})"

    def __str__(self) -> str:
        """Return the rule, and where it is written."""
        return self.told


#: How a step-up is told of.
_STEP_UP_SAYS = {"totp": "a one-time code", "confirm": "a confirmation"}


def _tell(state: HouseState, facts: Facts, word: str = "only") -> str:
    """Return how the house must be, unless that would tell of a device that the asker may not know of."""
    return f"{word} while {state}" if facts.sees(state.device_id) else "not as the house is now"


def _closing(when: When, facts: Facts) -> str:
    ends = when.ends(facts.now, facts.zone)
    return f"not {when}" + (f", until {moment(ends, facts.zone, facts.now)}" if ends is not None else "")


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%MZ")


def parse_grant(written: str | Mapping[str, Any], origin: str, zone: ZoneInfo = _UTC) -> Grant:
    """Return the grant written as `"control:light.*"` or as a table with `allow` or `deny` and conditions.

    Times without an offset are the zone's. Raises SiteError naming the origin for anything not understood, and for
    a condition that would mean nothing.
    """
    if isinstance(written, Mapping):
        table = dict(written)
        verdicts = [key for key in ("allow", "deny") if key in table]
        if len(verdicts) != 1:
            raise SiteError(f"{origin}: a grant table holds exactly one of allow and deny")
        deny, text = verdicts == ["deny"], table.pop(verdicts[0])
    else:
        table, deny, text = {}, False, written
    if not isinstance(text, str):
        raise SiteError(f"{origin}: a grant is text such as 'control:light.*'")
    word, colon, scope = text.partition(":")
    if word not in set(Privilege):
        raise SiteError(f"{origin}: '{word}' is no privilege; it is one of {', '.join(Privilege)}")
    if colon and not _SCOPE.fullmatch(scope):
        raise SiteError(f"{origin}: '{scope}' is no scope; it is an id, a glob such as light.* or a room such as @kids")
    privilege = Privilege(word)
    if privilege is Privilege.ADMIN and colon:
        raise SiteError(f"{origin}: admin takes no scope")
    for key in table:
        if key not in CONDITIONS:
            raise SiteError(f"{origin}: unknown key '{key}' in a grant{_meant(key, CONDITIONS)}")
        if deny and key in _ALLOWING:
            raise SiteError(f"{origin}: '{key}' means nothing on a deny")
        if (privilege is Privilege.READ and key in _ACTING) or (privilege is Privilege.ADMIN and key in _COUNTED):
            raise SiteError(f"{origin}: '{key}' means nothing on a grant to {_TO[privilege]}")
    try:
        conditions = {_FIELDS.get(key, key): _parse(key, value, zone) for key, value in table.items()}
    except BadArguments as error:
        raise SiteError(f"{origin}: grant '{text}': {error.message}") from None
    return Grant(privilege, scope or "*", deny, origin, **conditions)


def _meant(written: str, known: Collection[str]) -> str:
    """Return which of the words there are is nearest, as a question, or nothing."""
    near = difflib.get_close_matches(written, sorted(known), 1, 0.5)
    return f", did you mean '{near[0]}'?" if near else ""


def _parse(key: str, value: Any, zone: ZoneInfo) -> Any:  # noqa: ANN401 (whatever the condition holds)
    """Return one condition as it is kept; raises BadArguments."""
    match key:
        case "when":
            return parse_when(value)
        case "until":
            return parse_moment(value, zone)
        case "from":
            return parse_networks(value)
        case "house":
            return parse_house(value)
        case "values":
            return parse_values(value)
        case "step_up" if value in STEP_UPS:
            return value
        case "uses" if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**6:
            return value
        case "orders" if isinstance(value, list) and value and all(_ORDER.fullmatch(str(name)) for name in value):
            return tuple(value)
    raise BadArguments(f"{key} is {_WANTED[key]}")


_FIELDS = {"from": "sources"}
_WANTED = {
    "step_up": " or ".join(f'"{way}"' for way in STEP_UPS),
    "uses": "a number of orders from 1",
    "orders": 'a list of orders such as ["unlock"]',
}


class Roles:
    """The named lists of grants: the built-in ones and those of `[roles]` in sshhome.toml."""

    def __init__(
        self,
        own: Mapping[str, Sequence[str | Mapping[str, Any]]] | None = None,
        zone: ZoneInfo = _UTC,
        orders: Collection[str] = (),
    ) -> None:
        """Parse the site's own roles; raises SiteError for a bad one, or one named like a built-in.

        `zone` is the house's: the times in grants are its; `orders` are the names of those there are, empty for any.
        """
        self.zone = zone
        self.orders = orders
        self._roles: dict[str, tuple[Grant, ...]] = {}
        for name, written in BUILT_IN_ROLES.items():
            self._roles[name] = tuple(parse_grant(text, f"role {name}") for text in written)
        for name, grants in (own or {}).items():
            if name in self._roles:
                raise SiteError(f"sshhome.toml: roles.{name}: this role is built in")
            self._roles[name] = tuple(self.grant(grant, f"sshhome.toml: role {name}") for grant in grants)

    def grant(self, written: str | Mapping[str, Any], origin: str) -> Grant:
        """Return a grant as it is understood at this site; raises SiteError, for an order that there is not too."""
        grant = parse_grant(written, origin, self.zone)
        for name in grant.orders if self.orders else ():
            if name not in self.orders:
                raise SiteError(f"{origin}: orders: no order '{name}'{_meant(name, self.orders)}")
        return grant

    def __getitem__(self, name: str) -> tuple[Grant, ...]:
        """Return the grants of a role; raises KeyError when there is none of that name."""
        return self._roles[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of all roles."""
        return tuple(self._roles)
