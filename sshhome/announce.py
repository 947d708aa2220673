"""What happens at the door is told to the house's other half, so that automations can react to it."""

import asyncio
from collections.abc import Callable, Mapping

from sshhome.audit import Audit
from sshhome.backend import NEWS, News
from sshhome.ban import Bans
from sshhome.clock import Clock, iso
from sshhome.session import Sessions

#: Events told in so many seconds: who is flooded with failed logins must not flood a broker with them.
_MOST, _WINDOW = 20, 10.0


class Announcer:
    """Listens to the audit log, and looks now and then at how many are here and how many are kept out."""

    def __init__(
        self, audit: Audit, sessions: Sessions, bans: Bans, clock: Clock, announce: Callable[[News], None]
    ) -> None:
        """Tell `announce` from now on."""
        self._sessions = sessions
        self._bans = bans
        self._clock = clock
        self._announce = announce
        self._last: Mapping[str, object] = {"last_login": "", "last_login_at": None}
        self._stood: Mapping[str, object] = {}
        self._until = 0.0
        self._told = 0
        audit.watch(self._heard)

    def _heard(self, event: str, fields: Mapping[str, object]) -> None:
        if event not in NEWS:
            # For whoever asks for more; how much of it is told is theirs to bound.
            self._announce(News(event, fields))
            return
        if event == "login.ok":
            self._last = {"last_login": fields.get("user"), "last_login_at": iso(self._clock.now())}
        now = self._clock.monotonic()
        if now >= self._until:
            self._until, self._told = now + _WINDOW, 0
        self._told += 1
        if self._told <= _MOST:
            self._announce(News(event, dict(fields)))

    async def watch(self) -> None:
        """Look every second, for ever."""
        while True:
            self.look()
            await asyncio.sleep(1.0)

    def look(self) -> None:
        """Tell how things stand, where that is not how they stood."""
        standing = {"sessions": sum(1 for _ in self._sessions), "bans": len(self._bans.in_force()), **self._last}
        if standing != self._stood:
            self._stood = standing
            self._announce(News(standing=standing))
