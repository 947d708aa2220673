"""A grant in plain words, for whoever holds it: what they may do, and what must be so."""

import re
from collections.abc import Iterator, Mapping

from sshhome.condition import Facts, Values
from sshhome.device import ACCESS_KINDS
from sshhome.grant import Grant, Privilege
from sshhome.when import moment

_NOUNS: Mapping[str, str] = {"alarm_control_panel": "alarm", "binary_sensor": "detector"}
_GUARDS = "locks, gates and alarms"


def plainly(grant: Grant, facts: Facts) -> str:
    """Return a grant as in `operate every light, brightness only ..60 %, mon-fri 09:00-12:00 (role kid)`."""
    never = "never " if grant.deny else ""
    return f"{', '.join((f'{never}{_what(grant)}', *_conditions(grant, facts)))} ({grant.origin})"


def _what(grant: Grant) -> str:
    every, all_of, thing = ("any", "any of the", "anything") if grant.deny else ("every", "all", "everything")
    kind, _, which = grant.scope.partition(".")
    noun = _NOUNS.get(kind, kind.replace("_", " "))
    if grant.scope == "*":
        where = ""
    elif grant.scope.startswith("@"):
        where = f" in {grant.scope[1:]}"
    elif re.search(r"[*?\[]", kind):
        where = f" called {grant.scope}"
    else:
        named = f"{every} {noun}" if which == "*" else grant.scope
        return _named(grant, kind, f"{every} {noun} called {which}" if re.search(r".[*?\[]|[*?\[].", which) else named)
    match grant.privilege:
        case Privilege.ADMIN:
            return "run the server"
        case Privilege.READ:
            return f"look at {thing}{where}"
        case Privilege.CONTROL:
            return f"operate {thing}{where} but {_GUARDS}"
        case Privilege.ACCESS:
            return f"operate {all_of} {_GUARDS}{where}"


def _named(grant: Grant, kind: str, named: str) -> str:
    """Return what may be done with devices of one kind, of which some or all or none guard."""
    if grant.privilege is Privilege.READ:
        return f"look at {named}"
    guards, access = kind in ACCESS_KINDS, grant.privilege is Privilege.ACCESS
    if kind == "cover":
        return f"operate {named}, if it is {'' if access else 'not '}a gate or a door"
    if guards == access:
        return f"operate {named}"
    # There is nothing of this kind that it is about, but whoever holds it may look.
    return f"operate {named} as what {'guards' if access else 'is comfort'}" if grant.deny else f"look at {named}"


def _conditions(grant: Grant, facts: Facts) -> Iterator[str]:
    if grant.orders:
        yield f"{'' if grant.deny else 'only '}to {' or '.join(grant.orders)}"
    if grant.values is not None:
        yield from _values(grant.values, "with" if grant.deny else "")
    if grant.when is not None:
        yield str(grant.when)
    for state in grant.house:
        yield f"while {state}" if facts.sees(state.device_id) else "while the house is as it must be"
    if grant.sources:
        yield f"from {' or '.join(map(str, grant.sources))}"
    if grant.until is not None:
        at = moment(grant.until, facts.zone, facts.now)
        yield f"until {at}" if facts.now < grant.until else f"which ended {at}"
    if grant.uses:
        yield f"{max(grant.uses - facts.used(grant.id), 0)} of {grant.uses} times left"
    if grant.step_up:
        yield {"totp": "with a one-time code", "confirm": "once it is confirmed"}[grant.step_up]


def _values(values: Values, with_: str) -> Iterator[str]:
    told = [(bound.title, bound.written) for bound in values.bounds]
    told += [("color", values.colors.written)] if values.colors is not None else []
    for name, written in told:
        yield f"{with_} {name} {written}" if with_ else f"{name} only {written}"
