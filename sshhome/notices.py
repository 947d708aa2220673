"""What shells are told that nobody asked for: an alarm, a door that opens, a ban, and that the house closes its door.

Each is told to those alone who may know of it, as they chose with `set-option notices`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sshhome.authorize import Authorizer
from sshhome.clock import Clock
from sshhome.device import Device
from sshhome.escape import printable
from sshhome.grant import Privilege
from sshhome.house import Event
from sshhome.quantity import span
from sshhome.recall import Recall
from sshhome.session import Session, Sessions, Standing

#: Notices that one session is told in so many seconds: what comes by the dozen would keep it from its prompt.
_MOST, _WINDOW = 5, 10.0
#: Letters of a name that are told.
_LONGEST = 64


@dataclass(slots=True)
class _Told:
    """How many notices a session has been told of late."""

    until: float = 0.0
    count: int = 0


class Notices:
    """Tells the shells that are open."""

    def __init__(self, sessions: Sessions, authorizer: Authorizer, recall: Recall, clock: Clock) -> None:
        """Tell these sessions."""
        self._sessions = sessions
        self._authorizer = authorizer
        self._recall = recall
        self._clock = clock
        self._told: dict[int, _Told] = {}

    def changed(self, event: Event) -> None:
        """Hear of a device that is other than it was."""
        device = event.device
        if device is None or event.before is None:
            return
        if event.change.get("phase") == "triggered":
            self._tell("important", f"alarm: {_named(device)} is triggered", self._sees(device))
        elif _opened(event, device):
            how = "unlocked" if device.kind == "lock" else "open"
            by = f" ({event.by.partition(':')[0]})" if event.by else ""
            self._tell("all", f"{_named(device)} is {how}{by}", self._sees(device))

    def happened(self, event: str, fields: Mapping[str, object]) -> None:
        """Hear of an event of the audit log."""
        if event != "ban.set":
            return
        until = datetime.fromisoformat(str(fields["until"])).timestamp()
        left = f" for {span(math.ceil(until - self._clock.now()))}"
        why = f": {fields['rule']}" if fields.get("rule") else ""
        self._tell("important", f"{fields.get('source')} is banned{left}{why}", _administers)

    def leaving(self) -> None:
        """Tell everybody that the house is about to close its door, if it has yet to wait for something."""
        sessions = list(self._sessions)
        for session in sessions if any(session.running for session in sessions) else ():
            if session.tell is not None:
                session.tell("* the house closes its door once what is running has ended")

    def _sees(self, device: Device) -> Callable[[Session, Standing], bool]:
        def sees(session: Session, standing: Standing) -> bool:
            return standing.rights.sees(device, self._authorizer.facts(standing, session))

        return sees

    def _tell(self, weight: str, line: str, may_know: Callable[[Session, Standing], bool]) -> None:
        """Tell every shell whose user may know, and wants to know what weighs this much."""
        live = {session.number for session in self._sessions}
        self._told = {number: told for number, told in self._told.items() if number in live}
        for session in self._sessions:
            standing = session.standing() if session.tell is not None else ""
            if session.tell is None or isinstance(standing, str):
                continue
            wanted = self._recall.options(session.login.user).notices
            if wanted in {"all", weight} and may_know(session, standing) and self._is_calm(session):
                session.tell(f"* {printable(line)}")

    def _is_calm(self, session: Session) -> bool:
        """Return whether a session has not been told much of late."""
        now = self._clock.monotonic()
        told = self._told.setdefault(session.number, _Told())
        if now >= told.until:
            told.until, told.count = now + _WINDOW, 0
        told.count += 1
        return told.count <= _MOST


def _administers(_: Session, standing: Standing) -> bool:
    return standing.rights.somewhere(Privilege.ADMIN).allowed


def _opened(event: Event, device: Device) -> bool:
    """Return whether something that lets people in has just opened: a lock, a door, a gate, a window."""
    if device.kind == "lock":
        return event.change.get("locked") is False
    if device.kind == "cover" and device.guards:
        before = event.before.state.get("position") if event.before else None
        return before == 0 and isinstance(device.state.get("position"), int | float) and device.state["position"] != 0
    return device.device_class in _WAYS_IN and event.change.get("open") is True


#: Classes of sensors that tell of a way in (Home Assistant's words).
_WAYS_IN = frozenset({"door", "garage_door", "opening", "window", "garage", "gate"})


def _named(device: Device) -> str:
    return f"{device.name[:_LONGEST]} ({device.id})"
