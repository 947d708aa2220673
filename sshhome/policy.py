"""The one decision: what a list of grants says of one order on one device, here and now.

A grant to operate a device lets its holder see it at all times: conditions are about acting, and whoever is told
"only Tuesdays" must know of what. Only where a grant is over, or not for where one is, is the device hidden again.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from sshhome.condition import Facts, Unmet
from sshhome.device import Device
from sshhome.grant import Grant, Privilege

#: Devices a policy remembers the grants of; beyond that it starts anew.
_MOST = 10_000
_WILD = re.compile(r"[*?\[]")


class Decision(msgspec.Struct, frozen=True):
    """Yes or no, the rule that decided, or why no rule did.

    `unmet` are the conditions of the nearest rule that do not hold, or those of a deny that do; `step_up` is what must
    be proved first, and then it is yes. `used` are the grants of which a use is taken.
    """

    allowed: bool
    rule: str
    unmet: tuple[Unmet, ...] = ()
    step_up: str = ""
    used: tuple[Grant, ...] = ()

    @property
    def why(self) -> str:
        """Which conditions are not met, in words, or nothing."""
        return "; ".join(dict.fromkeys(unmet.says for unmet in self.unmet))


_NO_GRANT = Decision(allowed=False, rule="no grant")


class Policy:
    """A list of grants, sorted so that a decision looks only at those that are about the device."""

    def __init__(self, grants: Sequence[Grant] = ()) -> None:
        """Sort the grants; they never change."""
        self.grants = tuple(grants)
        #: Those that say something of what takes no device: a deny of some devices does not.
        self._whole = tuple(grant for grant in self.grants if grant.scope == "*" or not grant.deny)
        #: The places of the grants by their scope if that is an id or a room, else by the kind it is a glob of, if any.
        self._sorted: dict[str, list[int]] = {}
        for at, grant in enumerate(self.grants):
            self._sorted.setdefault(_sorted_under(grant.scope), []).append(at)
        self._about: dict[tuple[str, str], tuple[Grant, ...]] = {}
        #: The orders that some grant is for alone: the others are all the same to these grants.
        self.named = frozenset(name for grant in self.grants for name in grant.orders)
        self._somewhere: dict[Privilege, Decision] = {}
        # What decides who sees what and does not always hold: when grants end, where they are for, looking itself.
        sight = [grant for grant in self.grants if _about_sight(grant)]
        self._ends = sorted({grant.until for grant in sight if grant.until is not None})
        self._places = tuple(dict.fromkeys(grant.sources for grant in sight if grant.sources))
        self._looking = tuple(grant for grant in sight if grant.privilege is Privilege.READ and not grant.plain)

    def decide(self, privilege: Privilege, device: Device, facts: Facts) -> Decision:
        """Return whether these grants give a privilege on a device."""
        return _decide(self._of(device), privilege, facts)

    def holds(self, privilege: Privilege, facts: Facts) -> Decision:
        """Return whether these grants give a privilege as a whole: what takes no device."""
        return _decide(self._whole, privilege, facts)

    def somewhere(self, privilege: Privilege) -> Decision:
        """Return whether any grant gives a privilege, on whatever device and under whatever conditions."""
        known = self._somewhere.get(privilege)
        if known is None:
            known = self._somewhere[privilege] = self._find_somewhere(privilege)
        return known

    def _find_somewhere(self, privilege: Privilege) -> Decision:
        for grant in self._whole:
            if grant.deny and grant.plain and grant.privilege in {privilege, Privilege.READ}:
                return Decision(allowed=False, rule=grant.told)
        for grant in self._whole:
            if not grant.deny and grant.gives(privilege):
                return Decision(allowed=True, rule=grant.told)
        return _NO_GRANT

    def sees(self, device: Device, facts: Facts) -> bool:
        """Return whether the holder of these grants may know of a device."""
        return self.able(Privilege.READ, facts)(device)

    def able(self, privilege: Privilege, facts: Facts) -> Callable[[Device], bool]:
        """Return what tells whether a privilege could be used on a device now, with the right values and step-up.

        It answers as `decide` does without a change, for many devices: whether a grant holds is looked at once.
        """
        known: dict[int, bool] = {}
        denying = {privilege, Privilege.READ}

        def holds(grant: Grant) -> bool:
            held = known.get(id(grant))
            if held is None:
                looking = privilege is Privilege.READ and grant.privilege is not Privilege.READ
                held = grant.bars(facts) if grant.deny else not grant.unmet(facts, reach=looking)
                known[id(grant)] = held
            return held

        def able(device: Device) -> bool:
            given = False
            for grant in self._of(device):
                if grant.deny:
                    if grant.privilege in denying and holds(grant):
                        return False
                elif not given and grant.gives(privilege):
                    given = holds(grant)
            return given

        return able

    def sight(self, facts: Facts) -> tuple[int | None, ...]:
        """Return what tells whether `sees` may answer otherwise than it did."""
        return (
            bisect_right(self._ends, facts.now),
            *(facts.comes_from(place) for place in self._places),
            *(grant.bars(facts) if grant.deny else not grant.unmet(facts) for grant in self._looking),
        )

    def opens(self, facts: Facts) -> float | None:
        """Return the next moment at which time alone may have these grants give more than now, if there is one."""
        now, zone = facts.now, facts.zone
        moments: list[float | None] = []
        for grant in self._whole if facts.device is None else self._of(facts.device):
            if grant.deny:
                moments += (grant.until, grant.when.ends(now, zone) if grant.when is not None else None)
            elif grant.when is not None and all(unmet.condition == "when" for unmet in grant.unmet(facts)):
                moments.append(grant.when.next(now, zone))
        return min((at for at in moments if at is not None and at > now), default=None)

    def _of(self, device: Device) -> tuple[Grant, ...]:
        """Return the grants about a device, in their order."""
        about = self._about.get((device.id, device.room))
        if about is None:
            if len(self._about) >= _MOST:
                self._about.clear()
            keys = (device.id, f"@{device.room}", device.kind, "")
            places = sorted(at for key in keys for at in self._sorted.get(key, ()))
            about = tuple(grant for at in places if (grant := self.grants[at]).covers(device))
            self._about[device.id, device.room] = about
        return about


def _sorted_under(scope: str) -> str:
    """Return what a device must have for a scope to be about it: its id, its room, its kind or nothing."""
    if not _WILD.search(scope):
        return scope
    kind = scope.partition(".")[0]
    return "" if _WILD.search(kind) else kind


def _about_sight(grant: Grant) -> bool:
    return grant.privilege is Privilege.READ or (not grant.deny and grant.gives(Privilege.READ))


def _decide(grants: Sequence[Grant], privilege: Privilege, facts: Facts) -> Decision:
    """Return what the grants say: a deny in force first, then the allow that asks for least."""
    barring = [g for g in grants if g.deny and g.privilege in {privilege, Privilege.READ} and g.bars(facts)]
    if barring:
        # Where one bars whatever the conditions, it would be no help to tell those of another.
        absolute = next((grant for grant in barring if grant.plain), None)
        why = () if absolute else tuple(unmet for grant in barring for unmet in grant.barring(facts))
        return Decision(allowed=False, rule=(absolute or barring[0]).told, unmet=why)
    counted: Grant | None = None
    asking: Grant | None = None
    nearest = _NO_GRANT
    for grant in grants:
        if grant.deny or not grant.gives(privilege):
            continue
        if grant.plain:
            return Decision(allowed=True, rule=grant.told)
        # Whoever may operate a device may look at it, whatever the operating takes.
        looking = privilege is Privilege.READ and grant.privilege is not Privilege.READ
        unmet = grant.unmet(facts, reach=looking)
        if unmet:
            if nearest is _NO_GRANT or len(unmet) < len(nearest.unmet):
                nearest = Decision(allowed=False, rule=grant.told, unmet=tuple(unmet))
        elif not looking and grant.step_up and grant.step_up not in facts.proved:
            # To say that it is meant is less than to prove who says it.
            asking = grant if asking is None or grant.step_up == "confirm" else asking
        elif not looking and grant.uses:
            counted = counted or grant
        else:
            return Decision(allowed=True, rule=grant.told)
    if counted is not None:
        return Decision(allowed=True, rule=counted.told, used=(counted,))
    if asking is not None:
        return Decision(allowed=False, rule=asking.told, step_up=asking.step_up)
    return nearest


class Rights(msgspec.Struct, frozen=True, eq=False):
    """What somebody may do: each policy must agree, so that a key that is narrower than its owner narrows.

    The first is the user's own; a key may bring another.
    """

    policies: tuple[Policy, ...]

    def decide(self, privilege: Privilege, device: Device, facts: Facts) -> Decision:
        """Return whether every policy gives a privilege on a device; the first that does not tells why."""
        return agreed([policy.decide(privilege, device, facts) for policy in self.policies])

    def holds(self, privilege: Privilege, facts: Facts) -> Decision:
        """Return whether every policy gives a privilege as a whole."""
        return agreed([policy.holds(privilege, facts) for policy in self.policies])

    def somewhere(self, privilege: Privilege) -> Decision:
        """Return whether every policy gives a privilege at all."""
        return agreed([policy.somewhere(privilege) for policy in self.policies])

    def sees(self, device: Device, facts: Facts) -> bool:
        """Return whether the device may be known of."""
        return all(policy.sees(device, facts) for policy in self.policies)

    def able(self, privilege: Privilege, facts: Facts) -> Callable[[Device], bool]:
        """Return what tells whether every policy would let a privilege be used on a device now."""
        if len(self.policies) == 1:
            return self.policies[0].able(privilege, facts)
        ables = [policy.able(privilege, facts) for policy in self.policies]
        return lambda device: all(able(device) for able in ables)

    def names(self, order: str) -> bool:
        """Return whether any grant is for this order, or this and a few others, alone."""
        return any(order in policy.named for policy in self.policies)

    def opens(self, facts: Facts) -> float | None:
        """Return the next moment at which time alone may have a policy give more than now, if there is one."""
        moments = [at for policy in self.policies if (at := policy.opens(facts)) is not None]
        return min(moments, default=None)

    def sight(self, facts: Facts) -> tuple[tuple[int | None, ...], ...]:
        """Return what tells whether `sees` may answer otherwise than it did."""
        return tuple(policy.sight(facts) for policy in self.policies)

    def veiled(self, text: str, sees: Callable[[str], bool]) -> str:
        """Return a rule without the devices that a condition on the house names, and that may not be known of."""
        for state in (state for policy in self.policies for grant in policy.grants for state in grant.house):
            if not sees(state.device_id):
                text = text.replace(str(state), "…")
        return text


def agreed(decisions: Sequence[Decision]) -> Decision:
    """Return the one decision of several: no before a step-up, a step-up before yes; all uses are taken.

    A no for which no condition is at fault is told alone; else all that is not met.
    """
    if len(decisions) == 1:
        return decisions[0]
    refused = [decision for decision in decisions if not decision.allowed]
    firmly = [decision for decision in refused if not decision.step_up]
    if firmly:
        first = next((decision for decision in firmly if not decision.unmet), None)
        return first or replace(firmly[0], unmet=tuple(unmet for decision in firmly for unmet in decision.unmet))
    if refused:
        return next((decision for decision in refused if decision.step_up == "confirm"), refused[0])
    used = tuple(dict.fromkeys(grant for decision in decisions for grant in decision.used))
    return Decision(allowed=True, rule=" and ".join(dict.fromkeys(d.rule for d in decisions)), used=used)
