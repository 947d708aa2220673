"""Whether somebody may give an order: on this device, with these values, here and now; the one place that decides."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from sshhome.clock import Clock
from sshhome.condition import Facts
from sshhome.device import Device, State, touched
from sshhome.grant import Privilege
from sshhome.house import House
from sshhome.order import Judgement, Order, Registry
from sshhome.param import Devices, Scope, Suggestion
from sshhome.policy import Decision, Rights, agreed
from sshhome.session import Session, Standing
from sshhome.target import Index
from sshhome.uses import Uses

#: Seconds for which a session need not prove the same again.
STEP_UP_LASTS = 300.0
#: Moments at which a window opens or closes that are looked at for the next at which an order is permitted.
_MOST_MOMENTS = 64
#: People whose view of the house is remembered.
_MOST_VIEWS = 256


class Authorizer:
    """Decides by a user's rights, the device's class, and how everything is now."""

    def __init__(self, registry: Registry, house: House, uses: Uses, clock: Clock, zone: ZoneInfo) -> None:
        """Hold the parts that a decision looks at."""
        self._registry = registry
        self._house = house
        self._uses = uses
        self._clock = clock
        self._zone = zone
        self._views: dict[Rights, tuple[tuple[Any, ...], Index]] = {}
        #: Names that only who runs the server is told, by heading.
        self.names: Mapping[str, Callable[[], Iterable[Suggestion]]] = {}

    def facts(self, standing: Standing, session: Session, order: str = "") -> Facts:
        """Return what a decision about this user is judged by now."""
        login = standing.user.login
        now = self._clock.monotonic()
        proved = frozenset(way for way, at in session.proved.items() if now - at < STEP_UP_LASTS)
        facts = Facts(
            now=self._clock.now(),
            zone=self._zone,
            source=session.login.source,
            order=order,
            proved=proved,
            devices=self._house.devices,
            used=lambda grant_id: self._uses.used(login, grant_id),
        )
        # By facts of its own: what refers to itself waits for the garbage collector, which all orders wait for.
        devices, rights, known = self._house.devices, standing.rights, facts.of(order)
        facts.sees = lambda device_id: device_id in devices and rights.sees(devices[device_id], known)
        return facts

    def scope(self, rights: Rights, facts: Facts) -> Scope:
        """Return what words are understood against: the devices that may be seen, and names for who runs the server."""
        state = (self._house.version, rights.sight(facts))
        known = self._views.get(rights)
        if known is None or known[0] != state:
            if len(self._views) >= _MOST_VIEWS:
                self._views.clear()
            sees = rights.able(Privilege.READ, facts)
            seen = filter(sees, sorted(self._house.devices.values(), key=self._house.naming.place))
            known = self._views[rights] = state, Index((device.id for device in seen), self._house.devices)
        names = self.names if rights.somewhere(Privilege.ADMIN).allowed else {}
        return Scope(known[1], names)

    def somewhere(self, rights: Rights, order: Order) -> Decision:
        """Return whether what an order needs is held anywhere; `access` alone will do where a device guards."""
        decision = rights.somewhere(order.needs)
        if not decision.allowed and order.needs is Privilege.CONTROL and (order.target is not None or order.changes):
            access = rights.somewhere(Privilege.ACCESS)
            return access if access.allowed else decision
        return decision

    def may(self, rights: Rights, order: Order, device: Device, facts: Facts, change: State | None = None) -> Decision:
        """Return whether an order may be given on a device: the stronger of the two's privileges decides.

        A scene or a group needs the right to each thing it touches, and to what it makes of it; one that touches what
        is not known could open a door, and needs `access`. Without a `change` it is asked
        whether there is one that may be made.
        """
        if order.needs is Privilege.READ or not device.touches:
            return rights.decide(_needs(order, device), device, facts.of(order.name, device, change))
        parts = touched(device, change, self._house.find)
        return agreed(
            [
                rights.decide(needs, part, facts.of(order.name, part, parts[part.id]))
                for part, needs in self._needed(order, device, parts)
            ]
        )

    def _needed(self, order: Order, device: Device, parts: Iterable[str]) -> Iterable[tuple[Device, Privilege]]:
        """Yield each device that an order on one touches, that one first, with what it needs there."""
        known = [self._house.find(id_) for id_ in parts]
        for part in known:
            if part is not None:
                yield part, _needs(order, part, blind=part.id == device.id and None in known)

    def allowed(self, rights: Rights, facts: Facts) -> list[Order]:
        """Return the orders that could be given now with success: on a device that may be operated, if it takes one."""
        scope = self.scope(rights, facts)
        # Few grants are for some orders alone: to most orders that need the same, the same devices are open.
        open_to: dict[tuple[Privilege, str], list[Device]] = {}

        def devices(order: Order) -> list[Device]:
            like = order.needs, order.name if rights.names(order.name) else ""
            if like not in open_to:
                open_to[like] = list(filter(self.able(rights, order, facts), scope.index))
            return open_to[like]

        return [order for order in self._registry if self._could(rights, order, scope, facts, devices)]

    def able(self, rights: Rights, order: Order, facts: Facts) -> Callable[[Device], bool]:
        """Return what tells whether an order could be given on a device now, with the right values and step-up.

        It answers as `may` does without a change, for many devices.
        """
        facts = facts.of(order.name)
        ways = {needs: rights.able(needs, facts) for needs in {order.needs, Privilege.ACCESS}}

        def able(device: Device) -> bool:
            if order.needs is Privilege.READ or not device.touches:
                return ways[_needs(order, device)](device)
            parts = touched(device, None, self._house.find)
            return all(ways[needs](part) for part, needs in self._needed(order, device, parts))

        return able

    def _could(
        self, rights: Rights, order: Order, scope: Scope, facts: Facts, devices: Callable[[Order], list[Device]]
    ) -> bool:
        if not self.somewhere(rights, order).allowed:
            return False
        target = order.target
        if target is None or not isinstance(target.type, Devices):
            return order.changes or self._could_whole(rights, order, facts)
        if target.type.each:
            return any(map(target.type.fits, devices(order)))
        # One that takes them all at once is judged as a whole.
        fitting = not target.required or any(map(target.type.fits, scope.index))
        return fitting and self._could_whole(rights, order, facts)

    def _could_whole(self, rights: Rights, order: Order, facts: Facts) -> bool:
        decision = rights.holds(order.needs, facts.of(order.name))
        return decision.allowed or bool(decision.step_up)

    def judgement(self, rights: Rights, order: Order, facts: Facts, decision: Decision) -> Judgement:
        """Return a decision about the device of these facts as it is explained, with when time alone makes it yes."""
        opens = None
        if not decision.allowed and not decision.step_up:
            opens = self._opens(rights, order, facts)
        unmet = tuple(dict.fromkeys(unmet.says for unmet in decision.unmet))
        told, rule = facts.device.id if facts.device else "", rights.veiled(decision.rule, facts.sees)
        return Judgement(told, decision.allowed, rule, decision.step_up, unmet, opens)

    def _opens(self, rights: Rights, order: Order, facts: Facts) -> float | None:
        """Return the first moment at which an order would be permitted if nothing but the time changed, if there is."""
        device, later = facts.device, replace(facts)
        find, parts = self._house.find, [(device, facts.change)]
        if device is not None and device.touches:
            parts = [(find(id_), state) for id_, state in touched(device, facts.change, find).items()]
        for _ in range(_MOST_MOMENTS):
            moments = [rights.opens(replace(later, device=each, change=change)) for each, change in parts]
            later.now = min((at for at in moments if at is not None), default=math.inf)
            if later.now == math.inf:
                return None
            if device is None:
                decision = rights.holds(order.needs, later)
            else:
                decision = self.may(rights, order, device, later, later.change)
            if decision.allowed or decision.step_up:
                return later.now
        return None


def _needs(order: Order, device: Device, *, blind: bool = False) -> Privilege:
    """Return the stronger of what an order and a device need; `blind` is a device that touches what is not known."""
    return Privilege.ACCESS if order.needs is Privilege.CONTROL and (device.guards or blind) else order.needs
