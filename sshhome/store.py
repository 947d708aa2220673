"""A store remembers what must outlive a process: here what one must offer, in `stores/` the ones there are."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from sshhome.device import State


class BanRecord(msgspec.Struct, frozen=True):
    """A ban as it is stored; times are seconds since the epoch, `count` is how many this source has had."""

    source: str
    at: float
    until: float
    count: int
    kind: str
    evidence: str
    rule: str


class Failure(msgspec.Struct, frozen=True):
    """One failed login; the time is seconds since the epoch."""

    source: str
    user: str
    at: float


class Change(msgspec.Struct, frozen=True):
    """What an order changed; times are seconds since the epoch.

    `number` is the caller's and grows; `before` is what to set, by device id, to bring back how it was; `due` is
    when `back` is set by itself, with `confirm` only unless somebody confirms the change until then.
    """

    number: int
    user: str
    at: float
    order: str
    before: Mapping[str, State]
    due: float | None = None
    confirm: bool = False
    back: Mapping[str, State] = {}


class LoginRecord(msgspec.Struct, frozen=True):
    """One login; the time is seconds since the epoch, `failed` counts the failed tries at this user after it."""

    user: str
    at: float
    source: str
    method: str
    key: str
    failed: int = 0


class DeviceRecord(msgspec.Struct, frozen=True):
    """What the house calls what a backend knows by its identity, and what its owner made of it.

    An empty name and a room of None are those that the backend tells.
    """

    backend: str
    identity: str
    id: str
    name: str = ""
    room: str | None = None
    aliases: tuple[str, ...] = ()
    hidden: bool = False
    guarded: bool = False


class Macro(msgspec.Struct, frozen=True):
    """Orders that run by one name; whose they are, nobody's for those that all have, and who saved them."""

    user: str
    name: str
    orders: str
    by: str


class Run(msgspec.Struct, frozen=True):
    """One time at which a schedule was due; times are seconds since the epoch.

    One that did not run has not `begun`; of one that has, and has not `ended`, nobody knows how it does. `says` is what
    it answered, or why it did not run.
    """

    due: float
    begun: float | None = None
    ended: float | None = None
    status: int | None = None
    says: str = ""


class Repeatable(msgspec.Struct, frozen=True):
    """An order that may be asked for again and runs once; `at` is when it began, in seconds since the epoch.

    `way` is what its user came with. `digest` tells whether it is asked for again, or another one is; `answer` is None
    until it has ended.
    """

    user: str
    way: str
    key: str
    digest: bytes
    at: float
    answer: bytes | None = None


class Schedule(msgspec.Struct, frozen=True):
    """An order that is given by itself, for its user: `when` is as it was written, and so is `line`.

    `due` is when it is next, in seconds since the epoch, None for what is not a matter of time and what is over.
    `missed` tells whether what was missed is to `run` late, or to be left out (`skip`). While it is `paused` that says
    why. `runs` are the latest.
    """

    number: int
    user: str
    when: str
    line: str
    made: float
    due: float | None = None
    missed: str = "skip"
    paused: str = ""
    runs: tuple[Run, ...] = ()


class Delivery(msgspec.Struct, frozen=True):
    """Something that a hook is told; times are seconds since the epoch, `number` is the caller's and grows.

    `id` is by what its receiver knows it again, `what` names what happened. Until it has `ended` it is still to be
    told; `status` and `says` are the last answer.
    """

    number: int
    hook: str
    id: str
    at: float
    what: str
    body: bytes
    tries: int = 0
    ended: float | None = None
    status: int | None = None
    says: str = ""

    @property
    def taken(self) -> bool:
        """Whether its receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300


class Store(Protocol):
    """What is remembered; changes are queued and kept in order, reads see every change made before them.

    Reads raise SiteError when they cannot be done.
    """

    async def bans(self) -> Sequence[BanRecord]:
        """Return every ban, also those that have ended: the next one is longer for them."""

    async def failures(self, since: float) -> Sequence[Failure]:
        """Return the failed logins since a moment, oldest first."""

    async def changes(self) -> Sequence[Change]:
        """Return what orders changed, oldest first: all that is due, of the rest the newest of each user."""

    async def uses(self) -> Mapping[tuple[str, str], int]:
        """Return how often each grant was used, by user and grant."""

    async def logins(self, user: str) -> Sequence[LoginRecord]:
        """Return the last ten logins of a user, newest first."""

    async def devices(self) -> Sequence[DeviceRecord]:
        """Return what is kept of each device, the oldest first."""

    async def macros(self) -> Sequence[Macro]:
        """Return the macros of all users, and those that all have."""

    async def schedules(self) -> Sequence[Schedule]:
        """Return the schedules of all users, the oldest first."""

    async def deliveries(self) -> Sequence[Delivery]:
        """Return what hooks are to be told and were told lately, the oldest first."""

    async def repeatable(self, user: str, way: str, key: str, since: float) -> Repeatable | None:
        """Return what began with this key, if it was since a moment."""

    async def begin_repeatable(self, begun: Repeatable, since: float) -> None:
        """Keep that it has begun, and forget what began before a moment; raises SiteError when that cannot be."""

    async def changed_elsewhere(self) -> bool:
        """Return whether another process has changed anything since the last time this was asked; cheap."""

    def put_ban(self, ban: BanRecord) -> None:
        """Keep a ban in place of any other of its source."""

    def remove_ban(self, source: str) -> None:
        """Forget the ban of a source."""

    def add_failure(self, failure: Failure) -> None:
        """Keep a failed login."""

    def forget_failures(self, source: str, user: str | None = None) -> None:
        """Forget the failures of a source, or just those of one user from it."""

    def put_change(self, change: Change) -> None:
        """Keep what an order changed, in place of any other change of its number."""

    def remove_change(self, number: int) -> None:
        """Forget what an order changed."""

    def put_device(self, record: DeviceRecord) -> None:
        """Keep what a device is called, in place of what was kept of the same identity."""

    def put_macro(self, macro: Macro) -> None:
        """Keep a macro in place of any other of its name that is the same user's."""

    def remove_macro(self, user: str, name: str) -> None:
        """Forget a macro of a user."""

    def put_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule, with its runs, in place of any other of its number: all of it or nothing."""

    def remove_schedule(self, number: int) -> None:
        """Forget a schedule."""

    def put_delivery(self, delivery: Delivery) -> None:
        """Keep what a hook is told, in place of any other of its number."""

    def remove_delivery(self, number: int) -> None:
        """Forget what a hook was told."""

    async def end_repeatable(self, ended: Repeatable) -> None:
        """Return once it is kept how it ended, or told why it could not be."""

    def put_use(self, user: str, grant: str, used: int) -> None:
        """Keep how often a user has used a grant."""

    def add_login(self, record: LoginRecord) -> None:
        """Keep a login as the newest of its user."""

    def count_failed_login(self, user: str) -> None:
        """Count a failed try after the newest login of a user; there may be none."""

    def forget_user(self, user: str) -> None:
        """Forget logins, uses, macros, schedules and changes of a user, for another one of that name.

        What is to be brought back stays due.
        """

    async def settle(self) -> None:
        """Wait for what is queued; raises SiteError when any of it could not be kept."""

    async def close(self) -> None:
        """Finish what is queued and let go."""
