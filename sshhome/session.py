"""Who is connected: a login is a proven identity on a connection, a session is one channel of it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field

import msgspec

from sshhome.policy import Rights
from sshhome.progress import Progress
from sshhome.user import User


class Login(msgspec.Struct, frozen=True):
    """Who logged in, fixed at the moment it was proven: by which method, with which key, from where."""

    user: str
    source: str
    method: str
    key: str = ""


class Standing(msgspec.Struct, frozen=True):
    """Who somebody is at this moment, and what they may do with what they came with."""

    user: User
    rights: Rights
    #: Whether they came with all that their user may.
    whole: bool = True
    #: Whether it is no more than what they have had kept, to be given later.
    kept: bool = False

    @property
    def bound(self) -> str:
        """Why they may not change how they get in; or nothing."""
        if self.kept:
            return "that is done by hand alone"
        if self.user.issued_by:
            return "a pass cannot change itself"
        if not self.whole:
            return "a key that is good for less than its owner, or for a while, cannot change the owner"
        return ""


async def _nobody(_code: str) -> str:
    return "no codes here"


@dataclass(slots=True, eq=False)
class Session:
    """One channel: a shell, a batch or an exec.

    `end` closes the connection, telling the client why; `standing` tells who this is now, or why this login would
    not be let in any more; `check_code` uses up a one-time code and tells nothing, or why it is not good.
    """

    number: int
    login: Login
    channel: str
    started: float
    end: Callable[[str], None]
    standing: Callable[[], Standing | str]
    check_code: Callable[[str], Awaitable[str]] = _nobody
    #: Asks whoever sits there, hidden or not, and returns what they say, None for nothing; there may be nobody.
    ask: Callable[[str, bool], Awaitable[str | None]] | None = None
    #: Shows a line to whoever sits there, whatever they are doing; there may be nobody.
    tell: Callable[[str], None] | None = None
    #: The answer that is waited for, while a question is open.
    asked: asyncio.Future[str | None] | None = None
    #: What was proved in this session beyond the login, and when, on the monotonic clock.
    proved: dict[str, float] = field(default_factory=dict)
    orders: int = 0
    #: Orders that are running now.
    running: int = 0
    #: How far the order is that began last, if it is one of many calls.
    progress: Progress | None = None
    bad_orders: int = 0
    bad_codes: int = 0
    #: The schedule whose order is given, if it is one; and told of the devices that an order is about to reach.
    schedule: int = 0
    reaching: Callable[[Collection[str]], None] = lambda _: None
    #: Whether nobody sits there, nor has been there to say anything beforehand.
    unattended: bool = False
    #: Set by the order `exit`: whoever reads the orders stops reading.
    leaving: bool = False

    def give_up(self) -> None:
        """Take silence for the answer to the question that is open, if one is."""
        if self.asked is not None and not self.asked.done():
            self.asked.set_result(None)


def unattended(login: str, standing: Callable[[], Standing | str], now: float, schedule: int = 0) -> Session:
    """Return a session for what a user has had kept, to be given later: from nowhere, and nobody sits there."""
    session = Session(0, Login(login, "", "schedule"), "schedule", now, lambda _: None, standing)
    session.schedule, session.unattended = schedule, True
    return session


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
        *,
        started: float,
        end: Callable[[str], None],
        standing: Callable[[], Standing | str],
        check_code: Callable[[str], Awaitable[str]] = _nobody,
    ) -> Session:
        """Begin a session and return it."""
        session = Session(next(self._numbers), login, channel, started, end, standing, check_code)
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
