"""Who is connected: a login is a proven identity on a connection, a session is one channel of it."""

import itertools
from collections.abc import Callable, Iterator

import msgspec


class Login(msgspec.Struct, frozen=True):
    """Who logged in, fixed at the moment it was proven: by which method, with which key, from where."""

    user: str
    source: str
    method: str
    key: str = ""
    key_comment: str = ""


class Session:
    """One channel: a shell, a batch or an exec."""

    def __init__(
        self,
        number: int,
        login: Login,
        channel: str,
        *,
        started: float,
        end: Callable[[str], None],
        removed: Callable[[], str],
    ) -> None:
        """Remember who and since when.

        `end` closes the connection, telling the client why; `removed` tells why this login would not be let in any
        more, or nothing.
        """
        self.number = number
        self.login = login
        self.channel = channel
        self.started = started
        self.end = end
        self.removed = removed
        self.orders = 0
        #: Orders that are running now.
        self.running = 0
        self.bad_orders = 0
        #: Set by the order `exit`: whoever reads the orders stops reading.
        self.leaving = False


class Sessions:
    """The live sessions of this node."""

    def __init__(self) -> None:
        """Start with none."""
        self._live: dict[int, Session] = {}
        self._numbers = itertools.count(1)

    def open(
        self,
        login: Login,
        channel: str,
        started: float,
        end: Callable[[str], None],
        removed: Callable[[], str] = lambda: "",
    ) -> Session:
        """Begin a session and return it."""
        session = Session(next(self._numbers), login, channel, started=started, end=end, removed=removed)
        self._live[session.number] = session
        return session

    def close(self, session: Session) -> None:
        """Forget a session that has ended."""
        self._live.pop(session.number, None)

    def __iter__(self) -> Iterator[Session]:
        """Yield the live sessions, oldest first; safe while sessions end."""
        return iter(list(self._live.values()))

    def count(self, user: str) -> int:
        """Return how many live sessions a user has."""
        return sum(session.login.user == user for session in self._live.values())

    def get(self, number: int) -> Session | None:
        """Return a live session by its number."""
        return self._live.get(number)
