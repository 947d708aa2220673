"""Pycasbin with the same policy: how it is asked, and the functions that its matcher needs for our conditions.

It is set up as well as we know how: deny overrides allow, nothing is logged, and a function of ours matches scopes,
since its own `globMatch` takes six times as long. It keeps no decisions, as casbin for Go can. What it has is
`FastEnforcer`, an index of fields that must be equal, which `indexed` uses: each grant becomes a line for every device
and action that it is about. For this user these are 11,000, to be made again whenever a device comes or moves.
"""

import fnmatch
import ipaddress
import logging
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import casbin
from casbin.fast_enforcer import FastEnforcer
from casbin.persist.adapters import StringAdapter

from benchmarks.household import ZONE, Question, Written
from sshhome.device import Device, State

_EFFECT = "[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n"
_MODEL = f"""
[request_definition]
r = act, device, facts
[policy_definition]
p = act, scope, eft, conditions
{_EFFECT}
[matchers]
m = about(r.device, p.scope) && meets(r.act, r.facts, p.act, p.eft, p.conditions)
"""
_INDEXED = f"""
[request_definition]
r = act, id, facts
[policy_definition]
p = act, id, eft, conditions, held
{_EFFECT}
[matchers]
m = p.conditions == '-' || meets(r.act, r.facts, p.held, p.eft, p.conditions)
"""
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_COMFORT = {"temperature": "target_temperature"}

#: Whether a condition holds.
_Test = Callable[["_Facts"], bool]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a request, and no tuple: the evaluator looks into each for what it forbids.

    `after` is what the device would be.
    """

    now: float
    source: str
    after: State
    devices: Mapping[str, Device]


class Casbin:
    """An enforcer with the grants of one user."""

    def __init__(self, written: Sequence[Written], devices: Mapping[str, Device], *, indexed: bool = False) -> None:
        """Load the grants, which takes the devices if they are to be `indexed`."""
        logging.getLogger("casbin").setLevel(logging.ERROR)
        self._indexed = indexed
        self._conditions: dict[str, dict[str, _Test]] = {}
        self._scopes: dict[str, Callable[[Device], bool]] = {}
        lines = [self._line(number, grant) for number, grant in enumerate(written)]
        if indexed:
            lines = [line for each in lines for line in self._spread(each, devices)]
        text = "\n".join(", ".join(("p", *line)) for line in lines)
        self._enforcer = _enforcer(StringAdapter(text), indexed=indexed)
        self._enforcer.add_function("about", self._about)
        self._enforcer.add_function("meets", self._meets)

    def request(self, question: Question) -> tuple[object, ...]:
        """Return a question as the enforcer takes it."""
        order, device, change, facts = question
        guarded = order.needs == "control" and device.guards
        after = {} if change is None else device.completed(change)
        told = _Facts(facts.now, facts.source, after, facts.devices)
        return "access" if guarded else str(order.needs), device.id if self._indexed else device, told

    def enforce(self, *request: object) -> bool:
        """Return whether a request is allowed."""
        return bool(self._enforcer.enforce(*request))

    def _line(self, number: int, written: Written) -> tuple[str, ...]:
        """Return a grant as a line of the policy; its conditions are known by a number there."""
        table = {"allow": written} if isinstance(written, str) else dict(written)
        effect = "deny" if "deny" in table else "allow"
        privilege, _, scope = str(table.pop(effect)).partition(":")
        self._scopes[scope or "*"] = _scope(scope or "*")
        if table:
            self._conditions[str(number)] = {name: _CONDITIONS[name](value) for name, value in table.items()}
        return privilege, scope or "*", effect, str(number) if table else "-"

    def _spread(self, line: tuple[str, ...], devices: Mapping[str, Device]) -> Sequence[tuple[str, ...]]:
        privilege, scope, effect, conditions = line
        actions = [action for action in ("read", "control", "access") if _bears(action, privilege, effect)]
        about = [device.id for device in devices.values() if self._scopes[scope](device)]
        return [(action, name, effect, conditions, privilege) for action in actions for name in about]

    def _about(self, device: Device, scope: str) -> bool:
        return self._scopes[scope](device)

    def _meets(self, action: str, facts: _Facts, privilege: str, effect: str, conditions: str) -> bool:
        if not _bears(action, privilege, effect):
            return False
        tests = self._conditions.get(conditions, {})
        if action == "read" and privilege != "read" and effect == "allow":
            # Whoever may operate a device sees it, from where they may.
            return "from" not in tests or tests["from"](facts)
        return all(test(facts) for test in tests.values())


def _enforcer(adapter: StringAdapter, *, indexed: bool) -> Any:  # noqa: ANN401 (casbin has no types)
    with tempfile.TemporaryDirectory(prefix="casbin-") as folder:
        model = Path(folder) / "model.conf"
        model.write_text(_INDEXED if indexed else _MODEL, encoding="utf-8")
        return (
            FastEnforcer(str(model), adapter, cache_key_order=[0, 1])
            if indexed
            else casbin.Enforcer(str(model), adapter)
        )


def _bears(action: str, privilege: str, effect: str) -> bool:
    """Return whether a privilege, given or denied, says anything of an action."""
    if effect == "deny":
        return privilege in {action, "read"}
    return privilege == action or (action == "read" and privilege != "admin")


def _scope(scope: str) -> Callable[[Device], bool]:
    if scope.startswith("@"):
        room = scope[1:]
        return lambda device: device.room == room
    if not any(character in scope for character in "*?["):
        return lambda device: device.id == scope
    matches = re.compile(fnmatch.translate(scope)).match
    return lambda device: matches(device.id) is not None


# -- conditions, read and judged apart from sshhome, so that it means something to answer alike ------------------------


def _when(written: str) -> _Test:
    days, _, clocks = written.partition(" ") if written[0].isalpha() else ("mon-sun", "", written)
    first, _, last = {"weekend": "sat-sun"}.get(days, days).partition("-")
    on = set(range(_WEEK.index(first), _WEEK.index(last or first) + 1))
    spans = [
        [int(clock[:2]) * 60 + int(clock[3:]) for clock in span.strip().split("-")]
        for span in (clocks or "00:00-24:00").split(",")
    ]

    def test(facts: _Facts) -> bool:
        shown = datetime.fromtimestamp(facts.now, ZONE)
        day, minute = shown.weekday(), shown.hour * 60 + shown.minute
        return any(
            (day in on and start <= minute < end)
            or (start > end and ((day in on and minute >= start) or ((day - 1) % 7 in on and minute < end)))
            for start, end in spans
        )

    return test


def _from(written: str) -> _Test:
    network = ipaddress.ip_network(written)
    return lambda facts: ipaddress.ip_address(facts.source) in network


def _house(written: str) -> _Test:
    name, _, wanted = written.partition(" = ")
    return lambda facts: facts.devices[name].state["on"] is (wanted == "on")


def _values(written: Mapping[str, str]) -> _Test:
    bounds = []
    for name, text in written.items():
        low, _, high = text.partition("..")
        bounds.append((_COMFORT.get(name, name), float(low or "-inf"), float(high or "inf")))

    def test(facts: _Facts) -> bool:
        return all(low <= cast("float", facts.after.get(name, low)) <= high for name, low, high in bounds)

    return test


_CONDITIONS: Mapping[str, Callable[[Any], _Test]] = {"when": _when, "from": _from, "house": _house, "values": _values}
