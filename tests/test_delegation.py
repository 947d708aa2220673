"""No sequence of orders makes anybody more than they were: two who run the server and hold a part of the house try.

They work together, with every user they have made and every pass and key they can log in with. The owner never acts.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sshhome.backends.simulated import family_house
from sshhome.condition import Facts
from sshhome.delegate import looks_after
from sshhome.device import State
from sshhome.edit import names_of_grant
from sshhome.grant import Privilege
from sshhome.key import Key, parse_key
from sshhome.session import Login, Standing
from sshhome.user import User
from sshhome.words import quote, split
from tests.conftest import NOON, FixedClock
from tests.test_dispatch import open_road

ZONE = ZoneInfo("Europe/Berlin")


def line_of(number: int, name: str) -> str:
    """Return the line of a key, another one for each number."""
    blob = f"AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc{'ABCDEFGH'[number]}R4f"
    return f"ssh-ed25519 {blob} {name}"


OWNERS, PARTS, PEERS, MINE = (line_of(at, name) for at, name in enumerate(("owner", "part", "peer", "mine")))
#: The keys that the two can log in with.
THEIRS = {parse_key(line).blob for line in (PARTS, PEERS, MINE)}
#: What one of them holds: part of the house, on conditions, and not all of it.
HELD = [
    '"control:light.*"',
    '{ allow = "control:light.*", values = { brightness = "..60" } }',
    '{ allow = "access:lock.front_door", when = "tue 09:00-18:00" }',
    '{ allow = "access:lock.front_door", from = "10.0.0.0/8", step_up = "totp" }',
    '{ allow = "access:lock.*", orders = ["unlock"], until = "2026-06-03" }',
    '{ allow = "access:lock.side_door", uses = 2 }',
    '{ allow = "control:switch.tv", house = "light.hall = on" }',
    '"control:@kids"',
    '"read"',
    '{ deny = "read:@kids" }',
    '{ deny = "control:light.desk" }',
    '{ deny = "read:light.*", when = "20:00-07:00" }',
]
#: What may narrow the key that one of them came with.
NARROWED = ["", "", 'sshhome-grants="admin,read,control:light.*" ', 'sshhome-role="keeper" ']
ROLES: dict[str, Any] = {
    "keeper": ["admin", "read", "control:switch.*"],
    "lamps": ["control:light.*", {"deny": "read:@kids"}],
    "door": [{"allow": "access:lock.front_door", "when": "tue 09:00-18:00"}],
    "nothing": [],
}
OTHERS = {
    "strong": 'roles = ["resident"]',
    # Somebody whose key they have, and who was frozen for that.
    "cold": f'keys = [\'{MINE}\']\nroles = ["resident", "admin"]\nfrozen = true',
    "kept": 'grants = ["control", "access", { deny = "read:@kids" }, { deny = "access:lock.*", when = "tue" }]',
    "lamp": 'roles = ["lamps"]\nuntil = "2026-06-02 20:00"',
    "guard": 'issued_by = "owner"\nuntil = "2026-06-03"\ngrants = [{ allow = "access:lock.side_door", uses = 2 }]',
}
#: New users; some names are those of others, who may be gone.
NEW = ["one", "two", "three", "strong", "part"]
#: What they try to hand out, besides what they hold.
WHAT = [
    *("read", "control", "access", "control:light.night", "control:light.d*", "read:@kids", "control:@kids"),
    *("access:lock.front_door", "access:lock.*", "access:lock.side_door", "control:switch.tv"),
    *(f"role:{role}" for role in (*ROLES, "admin", "viewer")),
]
#: What some of them hold, as they would hand it out, whole or with less asked.
GIVEN = [
    *("control:light.*", "control:@kids", "control:light.* --values brightness=..60"),
    "access:lock.front_door --when 'tue 09:00-18:00'",
    "access:lock.front_door --from 10.0.0.0/8 --step-up totp",
    "access:lock.front_door --from 10.0.0.0/8",
    "access:lock.* --orders unlock --until 2026-06-03",
    "access:lock.side_door --uses 2",
    "control:switch.tv --house 'light.hall = on'",
]
CONDITIONS = [
    *("--when 'tue 09:00-18:00'", "--when 'tue 10:00-12:00'", "--when 07:00-20:00", "--uses 2", "--orders unlock"),
    *("--values brightness=..60", "--values brightness=..40,color=red", "--from 10.0.0.0/8", "--step-up totp"),
    *("--house 'light.hall = on'", "--until 2026-06-03", "--until '2026-06-02 19:00'"),
]
KEYS = [MINE, f'sshhome-role="lamps" {MINE}', f'sshhome-grants="admin,read" {MINE}', f'from="10.0.0.0/8" {MINE}']
MAY = [
    *("unlock front_door", "unlock front_door; lock front_door", "unlock all", "on night", "on tv", "off desk"),
    *("off light.*", "off all", "activate goodnight"),
]
ENDS = ["--when 'today 14:30-18:00'", "--when 'tomorrow 09:00-12:00'", "--until 2026-06-03", "--until 2026-06-05"]


class Cell(NamedTuple):
    """One question that is asked of everybody's rights."""

    privilege: Privilege
    facts: Facts


def cells() -> Iterator[Cell]:
    """Yield the questions: what, of which device, to which value, when, from where, in which house, proved by what."""
    devices = {device.id: device for device in family_house()}
    lit = {**devices, "light.hall": devices["light.hall"].with_state({"on": True})}
    things: list[tuple[str, str, State]] = [
        ("light.night", "dim", {"brightness": 50}),
        ("light.desk", "dim", {"brightness": 90}),
        ("light.desk", "color", {"hue": 0, "saturation": 100}),
        ("lock.front_door", "unlock", {"locked": False}),
        ("lock.side_door", "lock", {"locked": True}),
        ("switch.tv", "on", {"on": True}),
        ("climate.kids", "set", {"target_temperature": 21}),
    ]
    hours = (0, 3, 7, 22, 48)
    sources = ("10.1.2.3", "192.168.1.1")
    proved = (frozenset[str](), frozenset({"totp"}), frozenset({"confirm"}))
    for (id_, order, change), after, source, house in itertools.product(things, hours, sources, (devices, lit)):
        for proofs in proved:
            facts = Facts(NOON + 3600 * after, ZONE, source, order, house[id_], change, proofs, house)
            yield from (Cell(privilege, facts) for privilege in Privilege)


CELLS = list(cells())


class Way(NamedTuple):
    """How one of the two can come in: as whom, and with which key, or by a password."""

    user: User
    key: Key | None


class Delegation(RuleBasedStateMachine):
    """What the two can do, one order after another."""

    def __init__(self) -> None:
        """Nobody is there yet."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = FixedClock()
        self.folder = tempfile.TemporaryDirectory()
        self.given = 0
        #: What one of the two could at the start, by the place of the question.
        self.held: set[int] = set()
        #: Grants that are counted and were theirs from the start, by their users.
        self.counted: set[tuple[str, str]] = set()
        #: Ways that have been looked at; the users are kept so that no other one is mistaken for them.
        self.seen: dict[tuple[int, Key | None], User] = {}

    @initialize(random=st.randoms(use_true_random=True))
    def begin(self, random: Random) -> None:
        """Let the two move in."""
        held = [", ".join(['"admin"', *random.sample(HELD, random.randint(1, 5))]) for _ in range(2)]
        until = [random.choice(["", 'until = "2026-06-03 12:00"\n']) for _ in range(2)]
        users = {
            **OTHERS,
            "owner": f"keys = ['{OWNERS}']\nroles = [\"admin\"]",
            "part": f"{until[0]}keys = ['{random.choice(NARROWED)}{PARTS}']\ngrants = [{held[0]}]",
            "peer": f"{until[1]}keys = ['{PEERS}']\ngrants = [{held[1]}]",
        }
        note(f"{users['part']}\n{users['peer']}")
        road = open_road(Path(self.folder.name), self.clock, users=users, roles=ROLES)
        self.road = self.runner.run(self.stack.enter_async_context(road))
        self.road.dispatch.address = "127.0.0.1:2222"
        for way in self.ways():
            self.counted |= {(way.user.login, grant.id) for grant in way.user.grants if grant.uses}
        for way in self.ways():
            if not way.user.frozen:
                self.held |= {at for at, cell in enumerate(CELLS) if self.may(way, cell)}

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    # -- what is true all the while -----------------------------------------------------------------------------------

    def ways(self) -> list[Way]:
        """Return how the two can come in now: by a key of theirs, or by a password, all of which they were told."""
        found: list[Way] = []
        for user in self.road.users:
            found += (Way(user, key) for key in user.keys if key.blob in THEIRS)
            found += [Way(user, None)] if user.password else []
        return found

    def may(self, way: Way, cell: Cell) -> bool:
        """Return whether they may do something then, other than by a use of what was theirs from the start."""
        user, facts = way.user, cell.facts
        assert facts.device is not None
        if user.until is not None and facts.now >= user.until:
            return False
        rights = self.road.users.rights(user, way.key)
        if cell.privilege is Privilege.ADMIN:
            decision = rights.holds(cell.privilege, facts)
        else:
            decision = rights.decide(cell.privilege, facts.device, facts)
        own = bool(decision.used) and all((user.login, grant.id) in self.counted for grant in decision.used)
        return decision.allowed and not own

    @invariant()
    def nobody_is_more(self) -> None:
        """Whoever they come in as may do nothing that neither of them could at the start."""
        for way in self.ways():
            if way.user.frozen or (id(way.user), way.key) in self.seen:
                continue
            self.seen[id(way.user), way.key] = way.user
            more = [cell for at, cell in enumerate(CELLS) if at not in self.held and self.may(way, cell)]
            assert not more, f"{way.user.login} may {more[0]}: {[str(grant) for grant in way.user.grants]}"

    @invariant()
    def somebody_is_left(self) -> None:
        """There is always somebody who looks after the house."""
        assert any(looks_after(user, self.clock.now()) for user in self.road.users)

    # -- what they do -------------------------------------------------------------------------------------------------

    # One number for each order: what is drawn piece by piece is too much alike to get anywhere.
    @rule(number=st.integers(0, 2**64 - 1))
    def give(self, number: int) -> None:
        """Give some order as somebody; a bug in it is an error."""
        self.given += 1
        # What is drawn repeats itself; its place in the sequence does not.
        random = Random(f"{number} {self.given}")  # noqa: S311 (no secret)
        ways = [way for way in self.ways() if not way.user.shut_out(self.clock.now())]
        if ways:
            way = random.choice(ways)
            line = random.choice(LINES)(self, random, way)
            status = self.runner.run(self._give(way, line))
            note(f"{way.user.login}> {line} -> {status}")

    async def _give(self, way: Way, line: str) -> int:
        def standing() -> Standing | str:
            user = self.road.users.get(way.user.login)
            if user is None or user.shut_out(self.clock.now()) or (way.key is not None and way.key not in user.keys):
                return "out"
            rights = self.road.users.rights(user, way.key)
            return Standing(user, rights, whole=not (way.key is not None and way.key.narrowed))

        session = self.road.dispatch.sessions.open(
            Login(way.user.login, "10.1.2.3", "publickey", way.key.fingerprint if way.key else ""),
            "exec",
            started=self.clock.now(),
            end=lambda _: None,
            standing=standing,
        )
        session.proved["totp"] = self.clock.monotonic()
        (words,) = split(line)
        outcome = await self.road.dispatch.run(session, words)
        self.road.dispatch.sessions.close(session)
        assert outcome.status in {0, 64, 77}, (line, outcome.error)
        return outcome.status

    def somebody(self, random: Random) -> User:
        """Return somebody who is there, most often one of those they can come in as."""
        everybody = list(self.road.users)
        return random.choice(random.choice([[way.user for way in self.ways()] or everybody, everybody]))

    def something(self, random: Random, way: Way) -> str:
        """Return what may be handed out: most often something that they hold."""
        held = [grant.rule.split()[0] for grant in way.user.grants if not grant.deny]
        return random.choice(random.choice([held, held, WHAT]) or WHAT)

    def add(self, random: Random, way: Way) -> str:
        """Add a user, who may run the server if need be."""
        what = self.something(random, way)
        held = f"--role {what.removeprefix('role:')}" if what.startswith("role:") else f"--grant admin,{what}"
        more = [random.choice(["", "--until 2026-06-03", "--until '2026-06-02 19:00'"])]
        more += [f"--key {quote(random.choice(KEYS))}"] if random.random() < 0.7 else []
        return f"user add {random.choice(NEW)} {held.replace('admin,admin', 'admin')} {' '.join(more)}"

    def grant(self, random: Random, way: Way) -> str:
        """Grant something, or keep somebody from it."""
        login = self.somebody(random).login
        if random.random() < 0.4:
            return f"user grant {login} {random.choice(GIVEN)}"
        what = self.something(random, way)
        more = random.sample(CONDITIONS, random.choice([0, 1, 1, 2])) + random.choice([[], [], ["--deny"]])
        return f"user grant {login} {what} {'' if what.startswith('role:') else ' '.join(more)}"

    def revoke(self, random: Random, way: Way) -> str:
        """Revoke something that is there, a deny most of all."""
        user = self.somebody(random)
        there = [f"role:{role}" for role in user.roles]
        there += sorted({name for grant in user.grants for name in names_of_grant(grant)})
        denies = [name for name in there if name.startswith("deny ")]
        return f"user revoke {user.login} {quote(random.choice(denies or there or ['read']))}"

    def key(self, random: Random, way: Way) -> str:
        """Add a key to a user, or remove one."""
        user = self.somebody(random)
        if user.keys and random.random() < 0.4:
            return f"user key {user.login} remove {random.choice(user.keys).comment}"
        return f"user key {user.login} add {quote(random.choice(KEYS))}"

    def own_key(self, random: Random, way: Way) -> str:
        """Add a key to themselves."""
        return f"key add --yes {quote(random.choice(KEYS))}"

    def change(self, random: Random, way: Way) -> str:
        """Freeze, thaw or remove a user."""
        return f"user {random.choice(['freeze', 'thaw', 'thaw', 'remove'])} {self.somebody(random).login}"

    def issue(self, random: Random, way: Way) -> str:
        """Issue a pass, whose password they are told."""
        more = random.choice(["", "--uses 2", f"--key {quote(random.choice(KEYS))}"])
        return f"pass create {random.choice(NEW)} --may {quote(random.choice(MAY))} {random.choice(ENDS)} {more}"

    def revoke_pass(self, random: Random, way: Way) -> str:
        """Revoke a pass."""
        passes = [user.login for user in self.road.users if user.issued_by]
        return f"pass revoke {random.choice(passes or ['guard'])}"

    @rule(hours=st.integers(1, 6))
    def wait(self, hours: int) -> None:
        """Let time pass."""
        self.clock.advance(hours * 3600)


Lines = Callable[[Delegation, Random, Way], str]
#: The orders they give, those the most often that hand something out.
LINES: list[Lines] = [
    *([Delegation.add, Delegation.grant, Delegation.grant, Delegation.revoke, Delegation.key, Delegation.issue] * 2),
    *(Delegation.own_key, Delegation.change, Delegation.revoke_pass),
]

TestDelegation = Delegation.TestCase
TestDelegation.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
