"""The one road of every order: who may do what, what is told, what is written down, and that nothing breaks it."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import pyotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.audit import Audit
from sshhome.backend import Report
from sshhome.backends.simulated import SimulatedBackend, family_house
from sshhome.ban import Bans
from sshhome.bind import COMMON_OPTIONS
from sshhome.condition import Facts
from sshhome.config import BanRules, Duration, HistoryConfig, Limits, Size
from sshhome.delivery import Line
from sshhome.device import ATTRIBUTES, Device, State
from sshhome.dispatch import MAX_BAD_ORDERS, Dispatch
from sshhome.errors import BadArguments, Denied, Internal, NotConfirmed, SlowDown, TimedOut, Unavailable
from sshhome.grant import BUILT_IN_ROLES, Grant, Privilege, Roles
from sshhome.hook import Hook
from sshhome.house import House
from sshhome.journal import Journal
from sshhome.key import parse_key
from sshhome.macro import SHARED, Macros
from sshhome.naming import Naming
from sshhome.order import REGISTRY, Change, Changes, Context, Order, Registry, order
from sshhome.outbound import Outbound, Url, parse_url
from sshhome.outcome import Outcome
from sshhome.param import Dimmable, Scope, Secret, Text
from sshhome.policy import Policy, Rights
from sshhome.recall import Recall
from sshhome.recorder import Recorder
from sshhome.render import Look, render
from sshhome.schedule import Schedules
from sshhome.session import Login, Session, Sessions, Standing
from sshhome.source import Network
from sshhome.store import Macro
from sshhome.stores.history import SqliteHistory
from sshhome.stores.sqlite import SqliteStore
from sshhome.upcoming import Place
from sshhome.user import User, Users, write_whole
from sshhome.uses import Uses
from sshhome.words import Word, split
from tests.client import PATIENCE, report, until
from tests.conftest import NOON, FixedClock, NoChance
from tests.servers.receiver import SECRET

ATTACKER = "203.0.113.9"
ROLES = (*BUILT_IN_ROLES, "nobody")
#: A key that narrows nothing by itself; the options of a session's key are put before it.
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f phone"
OTHER_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA tablet"
#: Two ways in, so that one of them can be taken away.
_WAYS_IN = f'keys = ["{LINE}"]\npassword = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"\n'
#: One user a role, one with nothing at all, one who is kept from some things; a frozen one, and a pass.
USERS = {
    **{role: f'roles = ["{role}"]\n{_WAYS_IN}' for role in BUILT_IN_ROLES},
    "nobody": _WAYS_IN,
    "cleaner": f'{_WAYS_IN}grants = ["control:light.*", "access:lock.front_door", {{ deny = "read:@kids" }},'
    ' { deny = "control:light.desk" }]',
    "away": f'{_WAYS_IN}roles = ["viewer"]\nfrozen = true',
    "plumber": f'{_WAYS_IN}grants = [{{ allow = "access:lock.side_door", uses = 3 }}]\nissued_by = "admin"\n'
    'until = "2026-12-24"',
}

# -- a road of the tests' own -----------------------------------------------------------------------------------------


class Recording(SimulatedBackend):
    """The simulated house, which remembers what it was told to change, and may lack some devices."""

    #: Devices that this house does not have.
    missing: frozenset[str] = frozenset()

    def devices(self) -> Sequence[Device]:
        """Return every device but those that are missing."""
        return [device for device in super().devices() if device.id not in self.missing]

    async def apply(self, device: Device, change: State) -> None:
        """Note the change, and make it; with a device in `broken` there is a bug."""
        if device.id in self.broken:
            raise self.broken[device.id]
        self.applied.append((device.id, change))
        await super().apply(device, change)

    @property
    def applied(self) -> list[tuple[str, State]]:
        """What it was told to change, in order."""
        return self.__dict__.setdefault("_applied", [])  # type: ignore[no-any-return]  # (put there right here)

    @property
    def broken(self) -> dict[str, BaseException]:
        """What is raised when a device shall be changed."""
        return self.__dict__.setdefault("_broken", {})  # type: ignore[no-any-return]  # (put there right here)


@dataclass
class Road:
    """A dispatch on a simulated house, with users and all it needs, and no SSH."""

    dispatch: Dispatch
    #: The house, as often as it was opened.
    backends: list[Recording]
    users: Users
    path: Path
    ended: list[str] = field(default_factory=list)
    #: One-time codes that are good, each once.
    codes: list[str] = field(default_factory=list)
    #: The users' files as they were at first, and are again after `reset`.
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def backend(self) -> Recording:
        """The house as it was opened last."""
        return self.backends[-1]

    def session(self, user: str, source: str = "127.0.0.1", *, channel: str = "exec", key: str = "") -> Session:
        """Open a session; `key` are options of the key that it came with, such as `sshhome-role="viewer"`."""
        return self.dispatch.sessions.open(
            Login(user, source, "publickey", "SHA256:x"),
            channel,
            started=self.dispatch.clock.now(),
            end=self.ended.append,
            standing=lambda: self.standing(user, key),
            check_code=self.check_code,
        )

    def standing(self, login: str, key: str = "") -> Standing | str:
        """Return who somebody is now, as the door tells it."""
        user = self.users.get(login)
        if user is None:
            return "your user was removed"
        if reason := user.shut_out(self.dispatch.clock.now()):
            return reason
        return Standing(user, self.users.rights(user, parse_key(f"{key} {LINE}".strip())), whole=not key)

    async def answer(self, question: str, hidden: bool) -> str:  # noqa: FBT001 (a session's own signature)
        """Answer whatever is asked, as somebody at a terminal would who means it."""
        secret = re.search(r"^secret: (\w+)", question, re.MULTILINE)
        if secret is not None:
            return pyotp.TOTP(secret[1]).at(int(self.dispatch.clock.now()))
        if "code" in question:
            self.codes.append("123456")
            return "123456"
        return "correct horse" if "password" in question or "again" in question else "yes"

    def report(self, *devices: Device) -> None:
        """Let devices be so."""
        for device in devices:
            self.backend._devices[device.id] = device
            report(self.dispatch.house, device)

    def become(self, login: str, text: str) -> None:
        """Let a user be whom a file says, from now on and after each `reset`."""
        self.texts[login] = text
        write_whole(self.users.folder / f"{login}.toml", text)

    def reset(self) -> None:
        """Make the users those again that `texts` has."""
        for path in self.users.folder.glob("*.toml"):
            if path.stem not in self.texts:
                path.unlink()
        for login, text in self.texts.items():
            path = self.users.folder / f"{login}.toml"
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_whole(path, text)

    async def check_code(self, code: str) -> str:
        """Use up a one-time code."""
        if code not in self.codes:
            return "wrong code"
        self.codes.remove(code)
        return ""

    async def give(self, user: str, line: str, *also: str, **how: Any) -> list[Outcome]:  # noqa: ANN401 (as `session`)
        """Give the orders of a line in a session of their own."""
        session = self.session(user, **how)
        outcomes = [outcome async for outcome in self.dispatch.run_line(session, line, [Word(word) for word in also])]
        self.dispatch.sessions.close(session)
        return outcomes

    async def one(self, user: str, line: str, **how: Any) -> Outcome:  # noqa: ANN401 (as `session`)
        """Give one order."""
        (outcome,) = await self.give(user, line, **how)
        return outcome

    def user(self, login: str) -> User:
        """Return a user who is there."""
        user = self.users.get(login)
        assert user is not None
        return user

    def allowed(self, user: str, **how: Any) -> list[Order]:  # noqa: ANN401 (as `session`)
        """Return the orders that `help` tells a user of."""
        session = self.session(user, **how)
        standing = session.standing()
        assert isinstance(standing, Standing)
        allowed = self.dispatch.allowed(standing, session)
        self.dispatch.sessions.close(session)
        return allowed

    def scope(self, user: str, **how: Any) -> Scope:  # noqa: ANN401 (as `session`)
        """Return what a user's words are understood against."""
        session = self.session(user, **how)
        standing = session.standing()
        assert isinstance(standing, Standing)
        authorizer = self.dispatch.authorizer
        scope = authorizer.scope(standing.rights, authorizer.facts(standing, session))
        self.dispatch.sessions.close(session)
        return scope

    def audit(self, event: str = "") -> list[dict[str, Any]]:
        """Return the audit events so far, or those of one id."""
        lines = (self.path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        return [found for found in map(json.loads, lines) if event in {"", found["event"]}]


async def _no_hash(_password: str) -> str:
    return "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"


@contextlib.asynccontextmanager
async def open_road(
    path: Path,
    clock: FixedClock,
    *,
    registry: Registry = REGISTRY,
    limits: Limits | None = None,
    options: Mapping[str, Any] | None = None,
    users: Mapping[str, str] = USERS,
    roles: Mapping[str, Any] | None = None,
    missing: frozenset[str] = frozenset(),
) -> AsyncIterator[Road]:
    """Build a road with a house of its own; `missing` are devices that this house lacks."""
    zone = ZoneInfo("Europe/Berlin")
    folder = path / "authorized_users"
    folder.mkdir(parents=True)
    for login, text in users.items():
        write_whole(folder / f"{login}.toml", text)
    async with contextlib.AsyncExitStack() as stack:
        audit = Audit(path / "audit.jsonl", clock)
        stack.callback(audit.close)
        store = await SqliteStore.open(path / "sshhome.db")
        stack.push_async_callback(store.close)
        house = House(Naming(store), PATIENCE)
        recorder = Recorder(house, clock, await SqliteHistory.open(path / "history.db"), HistoryConfig())
        await recorder.begin()
        stack.push_async_callback(recorder.close)
        stack.push_async_callback(house.close)
        opened: list[Recording] = []

        async def open_(report: Report) -> Recording:
            backend = await Recording.open(options or {}, path, clock, report)
            backend.missing = missing
            # Like the clock, this house stands still between orders: no cover goes on by itself.
            assert backend._life is not None
            backend._life.cancel()
            opened.append(backend)
            return backend

        await house.add("simulated", open_, partial(Recording.test, options or {"kind": "simulated"}))
        known = Users(folder, Roles(roles, zone), lambda error: audit.write("user.refused", message=error.message))
        dispatch = Dispatch(
            registry=registry,
            house=house,
            users=known,
            sessions=Sessions(),
            bans=Bans(BanRules(), clock, store, NoChance()),
            uses=Uses(store),
            journal=Journal(store, clock),
            macros=Macros(store),
            schedules=Schedules(store, clock, Place(zone, 52.52, 13.405)),
            store=store,
            recorder=recorder,
            recall=Recall(path / "state" / "shells"),
            hash_password=_no_hash,
            audit=audit,
            clock=clock,
            limits=limits or Limits(orders_per_minute=10**6, order_burst=10**6),
            house_name="house",
            timezone=zone,
        )
        stack.push_async_callback(dispatch.settle)
        yield Road(dispatch, opened, known, path, texts=dict(users))


Build = Callable[..., contextlib.AbstractAsyncContextManager[Road]]


@pytest.fixture
def build(tmp_path: Path, clock: FixedClock) -> Build:
    """Return what builds a road, each in a folder of its own."""
    folders = iter(range(99))
    return lambda **how: open_road(tmp_path / str(next(folders)), clock, **how)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline."""
    async with build(options={"offline": ["light.garden"]}) as built:
        yield built


#: For each order what it may sensibly be given, with the TARGET in angle brackets; kinds of device where they matter.
ARGUMENTS: Mapping[str, Sequence[str]] = {
    "activate": ["<evening>", "<goodnight>"],
    "arm": ["", "night <house>"],
    "at": ["22:30 time"],
    "backend list": [""],
    "backend reload": ["simulated"],
    "backend test": ["simulated"],
    "ban add": ["198.51.100.7"],
    "ban explain": [ATTACKER],
    "ban lift": [ATTACKER],
    "ban list": [""],
    "close": ["<cover.living>", "<cover.garage>"],
    "color": ["<desk> red"],
    "confirm": [""],
    "dash": ["", "<light.desk>"],
    "device alias": ["desk lamp_1", "desk lamp_2 --remove"],
    "device guard": ["desk"],
    "device hide": ["light.porch"],
    "device list": [""],
    "device move": ["desk kids"],
    "device rename": ["desk Big lamp"],
    "device unhide": ["scene.movie"],
    "dim": ["<desk> 40"],
    "disarm": ["", "<house>"],
    "echo": ["hello"],
    "every": ["day 22:30 time"],
    "exit": [""],
    "explain": ["on light.desk"],
    "get": ["<light.desk>", "<lock.front_door>", "<outdoor.temperature>"],
    "help": ["", "help"],
    "hook deliveries": ["", "garage"],
    "hook list": [""],
    "hook retry": ["garage"],
    "hook test": ["garage"],
    "history": ["<light.desk>", "<lock.front_door>", "<outdoor.temperature>"],
    "in": ["10m time"],
    "key add": [OTHER_LINE],
    "key list": [""],
    "key remove": ["phone"],
    "list": ["", "<light.desk>", "<lock.front_door>"],
    "lock": ["<lock.front_door>"],
    "log": [""],
    "logins": [""],
    "macro list": [""],
    "macro remove": ["movie"],
    "macro save": ["late 'off desk; show'"],
    "macro share": ["movie"],
    "macro show": ["movie"],
    "macro unshare": ["evening_all"],
    "off": ["<light.desk>", "<switch.tv>", "<fan.bedroom>"],
    "on": ["<light.desk>", "<switch.tv>", "<fan.bedroom>"],
    "open": ["<cover.living>", "<cover.garage> 50"],
    "pass create": ["painter --may 'unlock lock.side_door' --until 2026-12-24"],
    "pass list": [""],
    "pass revoke": ["plumber"],
    "passwd": [""],
    "rooms": [""],
    "run": [""],
    "schedule list": [""],
    "schedule pause": ["1"],
    "schedule remove": ["1"],
    "schedule resume": ["1"],
    "schedule show": ["1"],
    "session kick": ["visitor"],
    "session list": [""],
    "set": [
        "<light.desk> 40%",
        "<switch.tv> on",
        "<fan.bedroom> 30%",
        "<climate.living> 21.5",
        "<climate.living>.mode off",
        "<cover.living> 50%",
        "<cover.garage> 50%",
        "<lock.front_door> unlocked",
        "<alarm_control_panel.house> night",
    ],
    "set-option": ["", "editing vi"],
    "show": ["", "<light.desk>", "<lock.front_door>"],
    "stop": ["<cover.living>", "<cover.garage>"],
    "subscribe": ["", "<light.desk> --snapshot"],
    "time": [""],
    "toggle": ["<light.desk>", "<switch.tv>", "<fan.bedroom>"],
    "totp": [""],
    "undo": [""],
    "undo list": [""],
    "unlock": ["<lock.front_door>"],
    "upper": ["hello"],
    "user add": ["zoe --role viewer"],
    "user freeze": ["viewer"],
    "user grant": ["viewer control:light.*"],
    "user key": ["viewer", f"viewer add '{OTHER_LINE}'", "viewer remove phone"],
    "user list": [""],
    "user remove": ["viewer"],
    "user revoke": ["viewer role:viewer"],
    "user show": ["viewer"],
    "user thaw": ["away"],
    "who": [""],
    "who-can": ["on light.desk"],
    "whoami": [""],
    "why": ["light.desk"],
    "wall": ["hello"],
    "watch": ["", "<light.desk>"],
    "when": ["hall_motion = on then time"],
}
_TARGET = re.compile("<([^>]+)>")


def line_of(name: str, arguments: str, target: str = r"\1") -> str:
    """Return an order as it is given, with its own TARGET or another one."""
    return f"{name} {_TARGET.sub(target, arguments)}".strip()


def lines_with(needs: Privilege | None = None) -> Iterator[str]:
    """Yield every order with each of its arguments, or those of the orders that need one privilege."""
    for found in REGISTRY:
        if needs in {None, found.needs}:
            yield from (line_of(found.name, arguments) for arguments in ARGUMENTS[found.name])


def said(outcome: Outcome) -> tuple[str, str]:
    """Return what a person reads of an outcome; of one that goes on, nothing so far."""
    return ("", "") if outcome.stream else render(outcome, Look())


# -- who may do what --------------------------------------------------------------------------------------------------

#: What the owner has made of some devices.
_MADE: Mapping[str, Mapping[str, Any]] = {
    "light.desk": {"name": "", "room": None, "aliases": ("lamp_2",), "guarded": False},
    "light.porch": {"hidden": False},
    "scene.movie": {"hidden": True},
}


class Taking(Outbound):
    """A way out at whose end all is taken."""

    async def post(self, url: Url, headers: Mapping[str, str], body: bytes, allow: Sequence[Network] = ()) -> int:
        """Take it."""
        return 204


def make_ready(road: Road, user: str) -> None:
    """See to it that there is something to be ordered, whatever has been ordered before.

    A source is banned, and the user has made a change that they can undo, and one that they may confirm. The desk has
    an alias, and a scene is hidden. They have a macro, and all have one, and a schedule of number 1. There is a hook.
    """
    house, hooks = road.dispatch.house, road.dispatch.hooks
    (road.path / "secret").touch(mode=0o600)
    (road.path / "secret").write_text(SECRET)
    hook = Hook("garage", parse_url("https://garage.example"), road.path / "secret", ("state",), "", ())
    hooks._lines["garage"], hooks.outbound = Line(hook, road.dispatch.feed), Taking()
    for device_id, made in _MADE.items():
        record = house.naming.of(device_id)
        assert record is not None
        if (again := msgspec.structs.replace(record, **made)) != record:
            house.naming.keep(again)
            house.renamed(device_id)
    road.dispatch.bans.ban(ATTACKER, "login", "5 as home", "too many failed logins")
    for whose, name in ((user, "movie"), (SHARED, "evening_all")):
        road.dispatch.macros.keep(Macro(whose, name, "off desk", user))
    schedules = road.dispatch.schedules
    for known in schedules.all():
        schedules.remove(known)
    schedules._number = 0
    schedules.add(user, "every day 07:00", "time", NOON + 68400)
    journal, hall = road.dispatch.journal, road.dispatch.house.devices["light.hall"].with_state({"on": True})
    road.report(hall)
    journal.forget(user)
    for within in (None, 600.0):
        before = {hall.id: {"on": False}}
        change = journal.begin(user, "on hall", before, before, within=within, confirm=within is not None)
        journal.made(change, before.keys())


async def give_ready(road: Road, user: str, line: str, channel: str = "shell") -> Outcome:
    """Give one order where there is something to be ordered, and a visitor is connected; a shell answers questions."""
    make_ready(road, user)
    visitor, session = road.session("visitor"), road.session(user, channel=channel)
    session.ask = road.answer if channel == "shell" else None
    also = [Word("--json")] if channel == "batch" else []
    (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, line, also)]
    for opened in (visitor, session):
        road.dispatch.sessions.close(opened)
    if outcome.order is not None and outcome.order.name.split()[0] in {"user", "key", "pass", "passwd", "totp"}:
        road.reset()
    return outcome


async def verdict(road: Road, user: str, line: str) -> str:
    """Give one order and tell how it was decided; an order that ends otherwise is no sensible argument."""
    outcome = await give_ready(road, user, line)
    verdicts = {0: "allowed", 77: "refused"}
    assert outcome.status in verdicts, f"{user}> {line}: {outcome.error}"
    return verdicts[outcome.status]


def test_every_order_has_arguments() -> None:
    """An order that is new is put into ARGUMENTS, so that the matrix and the tests below hold for it too."""
    assert set(ARGUMENTS) == {found.name for found in REGISTRY}
    for found in REGISTRY:
        assert (found.target is not None) == any("<" in arguments for arguments in ARGUMENTS[found.name])


async def test_an_empty_set_may_do_nothing(road: Road) -> None:
    """Whoever holds no grant is refused every order, sees no help and changes nothing."""
    for line in lines_with():
        outcome = await road.one("nobody", line)
        assert isinstance(outcome.error, Denied), line
        assert said(outcome)[0] == ""
    assert road.allowed("nobody") == []
    assert list(road.scope("nobody").index) == []
    assert road.backend.applied == []
    assert {event["event"] for event in road.audit()} == {"order.refused"}


async def test_every_answer_can_be_read(road: Road) -> None:
    """Each order's answer has a human form and a JSON form, and neither leaves out the end of its line."""
    for line in lines_with():
        for options in ("", " --json", " --no-wait"):
            outcome = await give_ready(road, "admin", line + options)
            out, err = said(outcome)
            assert err == ""
            assert out.endswith("\n") or line == "exit" or outcome.stream
            if outcome.json and not outcome.stream:
                json.loads(out)


#: Grants over the whole of the house, so that some cover a scene and some only what it touches.
GRANTS = st.builds(
    Grant,
    st.sampled_from(list(Privilege)),
    st.sampled_from(
        ["*", "light.*", "scene.*", "lock.*", "cover.*", "light.desk", "lock.front_door", "@kids", "@hall"]
    ),
    st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(GRANTS), GRANTS, st.integers(0, 9))
async def test_a_deny_never_allows_anything_more(road: Road, grants: list[Grant], more: Grant, at: int) -> None:
    """One more deny, wherever it stands, allows no order on any device that was not allowed without it."""
    deny = Grant(more.privilege, more.scope, deny=True)
    before, after = Rights((Policy(grants),)), Rights((Policy((*grants[:at], deny, *grants[at:])),))
    authorizer = road.dispatch.authorizer
    facts = Facts(now=NOON, zone=ZoneInfo("UTC"), source="127.0.0.1", devices=road.dispatch.house.devices)
    for found in REGISTRY:
        assert authorizer.somewhere(after, found).allowed <= authorizer.somewhere(before, found).allowed
        for device in road.dispatch.house.devices.values():
            allowed = authorizer.may(after, found, device, facts).allowed
            assert allowed <= authorizer.may(before, found, device, facts).allowed
            if found.needs is not Privilege.READ and deny.covers(device) and deny.privilege is Privilege.READ:
                assert not allowed
    assert set(authorizer.allowed(after, facts)) <= set(authorizer.allowed(before, facts))


async def test_what_guards_needs_access_whatever_the_order(road: Road) -> None:
    """A `control` grant, however wide, operates nothing that lets people in or alarms; `access` does so alone."""
    write = (road.users.folder / "cleaner.toml").write_text
    write('grants = ["control", "control:lock.*", "control:cover.garage"]')
    for line in ("set lock.front_door unlocked", "open cover.garage", "stop garage", "set cover.garage 50%", "disarm"):
        assert (await road.one("cleaner", line)).status == 77
    assert (await road.one("cleaner", "open cover.living")).status == 0
    write('grants = ["access"]')
    for line in ("set lock.front_door unlocked", "open cover.garage", "stop cover.garage", "unlock side_door", "arm"):
        assert (await road.one("cleaner", line)).status == 0
    for line in ("open cover.living", "on kitchen", "set climate.living 21", "activate evening"):
        assert (await road.one("cleaner", line)).status == 77


@pytest.mark.parametrize("privilege", ["read", "control", "access"])
async def test_a_scene_takes_the_right_to_all_it_touches(road: Road, privilege: str) -> None:
    """A scene is refused for one member that may not be operated, and then nothing of it happens."""
    (road.users.folder / "cleaner.toml").write_text(
        f'grants = ["control", "access", {{ deny = "{privilege}:lock.side_door" }}]'
    )
    outcome = await road.one("cleaner", "activate goodnight")
    assert outcome.status == (0 if privilege == "control" else 77)
    assert bool(road.backend.applied) == (privilege == "control")
    assert (await road.one("cleaner", "activate evening")).status == 0


async def test_the_order_of_decisions(build: Build) -> None:
    """First who is shut out, then what is hidden, then a deny, then what is not met, and only then more is asked."""
    allow = '{{ allow = "control", step_up = "confirm"{when} }}'
    open_, closed = allow.format(when=""), allow.format(when=', when = "sat"')
    steps = [
        (f'frozen = true\ngrants = [{closed}, {{ deny = "read:@study" }}, {{ deny = "control" }}]', "denied", "frozen"),
        (f'until = "2026-06-01"\ngrants = [{closed}, {{ deny = "read:@study" }}]', "denied", "your user has ended"),
        (f'grants = [{closed}, {{ deny = "read:@study" }}, {{ deny = "control" }}]', "denied", "the control privilege"),
        (
            f'grants = [{closed}, {{ deny = "read:@study" }}, {{ deny = "control:light.*" }}]',
            "bad_arguments",
            "no device",
        ),
        (f'grants = [{closed}, {{ deny = "control:light.*" }}]', "denied", "you may not operate light.desk"),
        (
            f'grants = [{closed}, {{ deny = "control:light.*", when = "tue" }}]',
            "denied",
            "not tue, until tomorrow 00:00",
        ),
        (f"grants = [{closed}]", "denied", "you may not operate light.desk: only sat, next Sat 6 Jun 00:00"),
        (f"grants = [{open_}]", "step_up", "'on desk' needs a confirmation"),
        ('grants = ["control"]', "", ""),
    ]
    asked: list[str] = []
    async with build(users={"anna": ""}) as road:

        async def silent(question: str, hidden: bool) -> None:  # noqa: FBT001 (a session's own signature)
            asked.append(question)

        for text, code, message in steps:
            road.become("anna", text)
            session = road.session("anna")
            session.ask = silent
            (outcome,) = [outcome async for outcome in road.dispatch.run_line(session, "on desk")]
            error = outcome.error
            assert (error.code if error else "") == code, text
            assert message in (error.message if error else ""), text
            assert bool(asked) == (code in {"step_up", ""})
            assert bool(road.backend.applied) == (code == "")
        told = [event for event in road.audit("order.refused") if event["code"] != "bad_arguments"]
        assert [event["decision"].partition(" (")[0] for event in told if "decision" in event] == [
            "deny control",
            "deny control:light.*",
            "deny control:light.* when tue",
            "control when sat after a confirmation",
            "control after a confirmation",
        ]


# -- the house is changed by what was authorized, and by nothing else -------------------------------------------------


async def test_a_read_order_changes_nothing(road: Road) -> None:
    """No order that needs only `read`, nor one about the server, ever has the backend change anything."""
    for line in (*lines_with(Privilege.READ), *lines_with(Privilege.ADMIN)):
        await verdict(road, "admin", line)
    assert road.backend.applied == []


def cheating(registry: Registry) -> None:
    """Register orders that would change what was never named, which they can only tell dispatch."""

    @order("other", needs=Privilege.CONTROL, says="{label}", registry=registry)
    async def other(ctx: Context) -> Changes:
        """Open a door as if it were comfort."""
        return {"lock.front_door": {"locked": False}}

    @order("both", needs=Privilege.CONTROL, says="{label}", registry=registry)
    async def both(ctx: Context) -> Changes:
        """Change a lamp, and a door beside it."""
        return {"light.kitchen": {"on": True}, "lock.front_door": {"locked": False}}

    @order("member", needs=Privilege.CONTROL, says="{label}", registry=registry)
    async def member(ctx: Context) -> Changes:
        """Activate a scene that locks doors."""
        return {"scene.goodnight": {"activated": "now"}}

    @order("nothing", needs=Privilege.CONTROL, says="{label}", registry=registry)
    async def nothing(ctx: Context) -> Changes:
        """Change what is not there."""
        return {"lock.nosuch": {"locked": False}}


@pytest.mark.parametrize(
    ("line", "user", "status", "applied"),
    [
        ("other", "guest", 77, []),
        ("other", "viewer", 77, []),
        ("other", "anna", 64, []),
        ("other", "admin", 0, ["lock.front_door"]),
        ("both", "viewer", 77, []),
        ("both", "guest", 77, ["light.kitchen"]),
        ("both", "anna", 0, ["light.kitchen"]),
        ("both", "admin", 0, ["light.kitchen", "lock.front_door"]),
        ("member", "guest", 77, []),
        ("member", "anna", 77, []),
        ("member", "admin", 0, ["scene.goodnight"]),
        ("nothing", "admin", 64, []),
    ],
)
async def test_no_order_changes_what_was_not_authorized(
    build: Build, line: str, user: str, status: int, applied: list[str]
) -> None:
    """Whatever an order returns, each device of it is judged for who gives it; one that they may not see is none."""
    registry = Registry()
    cheating(registry)
    users = {**USERS, "anna": 'roles = ["admin"]\ngrants = [{ deny = "read:lock.front_door" }]'}
    async with build(registry=registry, users=users) as road:
        outcome = await road.one(user, line)
        assert sorted(device_id for device_id, _ in road.backend.applied) == applied
        assert outcome.status == status
        assert user != "anna" or "front_door" not in "".join(said(outcome))


# -- hidden is missing ------------------------------------------------------------------------------------------------

_HIDDEN = {
    "lock": ("deny read:lock.front_door", {"lock.front_door"}),
    "room": ("deny read:@kids", {device.id for device in family_house() if device.room == "kids"}),
    "scene": ("deny read:scene.movie", {"scene.movie"}),
    "alarm": ("deny read:alarm_control_panel.*", {"alarm_control_panel.house"}),
    "cover": ("deny read:cover.garage", {"cover.garage"}),
    "lamp": ("deny read:light.bedroom", {"light.bedroom"}),
}


def names_of(device: Device) -> Iterator[str]:
    """Yield ways to name a device, or to miss it narrowly, quoted."""
    yield from (device.id, device.slug, device.slug.upper(), f"'{device.name}'", f"{device.room}.{device.kind}")
    yield from (f"@{device.room}", device.room, f"{device.id[:-1]}?", f"*.{device.slug}", f"{device.id[:-1]}", "all")
    yield from (f"{device.id}.{attribute}" for attribute in device.attributes)


@pytest.mark.parametrize(("rule", "hidden"), _HIDDEN.values(), ids=_HIDDEN)
async def test_hidden_is_missing(build: Build, rule: str, hidden: set[str]) -> None:
    """For every order and name, a hidden device is answered to the letter as in a house that never had it.

    So is whoever asks what another may do, who sees it.
    """
    anna = f'roles = ["admin"]\ngrants = [{{ deny = "{rule.removeprefix("deny ")}" }}]'
    users = {"anna": anna, "guest": 'roles = ["admin"]'}
    devices = {device.id: device for device in family_house()}
    lines = ["help", "rooms", "list", "show", "get all", "arm", "disarm"]
    for found in REGISTRY:
        if found.target is not None:
            arguments = next(arguments for arguments in ARGUMENTS[found.name] if "<" in arguments)
            names = dict.fromkeys(name for device_id in hidden for name in names_of(devices[device_id]))
            lines += [line_of(found.name, arguments, name) for name in names]
    given = [line for line in lines if line not in {"help", "rooms"}]
    lines += [f"{ask} {line}" for ask in ("explain", "explain --as guest", "who-can") for line in given[::5]]
    lines += [f"{line} --dry-run" for line in given[::5]]
    # A scene that touches a hidden device is refused, and there it is; nobody may have it done for them.
    scenes = [device for device in devices.values() if hidden & device.members.keys()]
    telling = tuple(f"activate {name}" for scene in scenes for name in names_of(scene))
    async with build(users=users) as here, build(users=users, missing=frozenset(hidden)) as without:
        assert set(here.dispatch.house.devices) - set(without.dispatch.house.devices) == hidden
        for line in lines:
            if not line.removesuffix(" --dry-run").endswith(telling):
                outcomes = [await road.one("anna", line) for road in (here, without)]
                errors = [(o.error.code, o.error.message, o.error.hint) if o.error else None for o in outcomes]
                assert errors[0] == errors[1], line
                assert said(outcomes[0]) == said(outcomes[1]), line
        assert not {device_id for device_id, _ in here.backend.applied} & hidden


# -- any text at all --------------------------------------------------------------------------------------------------

_WORDS = (
    *(word for found in REGISTRY for word in found.name.split()),
    *(device.id for device in family_house()),
    *(device.slug for device in family_house()),
    *(f"climate.living.{name}" for name in ATTRIBUTES),
    *("@kitchen", "@kids", "@", "all", "light.*", "*", "[", "living.thermostat", "activated", ".", ".on"),
    *("40", "40%", "+10%", "-5", "21.5", "70f", "2700k", "153mired", "#ff8800", "warm white", "on", "off", "open"),
    *(*COMMON_OPTIONS, "--", "--help", "--nosuch", "--json=1", "home", "1", ATTACKER, "::1%x", "2001:db8::/64"),
)
ANY_TEXT = st.one_of(
    st.text(),
    st.binary().map(lambda raw: raw.decode(errors="replace")),
    st.text(st.sampled_from("\0\x1b\x7f\x9b\u2028\u202e\ufeff\ufffd'\"\\; \n\t\r-@*[]?.")),
)
LINES = ANY_TEXT | st.lists(
    st.sampled_from(_WORDS) | st.sampled_from([";", "\n"]) | ANY_TEXT.map(lambda text: text[:20]), max_size=9
).map(" ".join)


@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(LINES, st.sampled_from([*ROLES, "cleaner"]))
async def test_any_text_is_an_outcome_an_order(road: Road, line: str, user: str) -> None:
    """Whatever a client sends, each order of it ends in one outcome and one audit event, and none is our fault."""
    before = len(road.audit())
    session = road.session(user)
    outcomes = [outcome async for outcome in road.dispatch.run_line(session, line, [Word("--keep-going")])]
    road.dispatch.sessions.close(session)
    try:
        count = len(split(line))
    except BadArguments:
        count = 1
        assert outcomes[0].error is not None
    assert len(outcomes) == count or (session.leaving and len(outcomes) < count)
    for outcome in outcomes:
        assert outcome.status in {0, 3, 64, 69, 77, 127}
        assert not any(_DRIVES.search(text) for text in said(outcome))
    assert len(road.audit()) == before + len(outcomes)
    lines = (road.path / "audit.jsonl").read_text(encoding="utf-8").split("\n")
    assert len(lines) == before + len(outcomes) + 1
    assert not any(_DRIVES.search(text) for text in lines[before:])


#: What drives a terminal or forges a line; the end of our own lines is no part of it.
_DRIVES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("line", ["echo \ud800", "on \udcff", "\ud800", "'\ud800"], ids=ascii)
async def test_text_that_cannot_be_encoded_is_an_outcome_too(road: Road, line: str) -> None:
    """A lone surrogate, which a JSON client may send though no bytes can, ends in an outcome and an audit event."""
    outcome = await road.one("admin", line)
    assert outcome.status in {0, 64, 127}
    assert all(text.encode() is not None for text in said(outcome))
    assert len(road.audit()) == 1


# -- lines ------------------------------------------------------------------------------------------------------------


async def test_whoever_is_cut_off_gives_no_more_orders(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs once somebody is cut off: not what follows in a line that goes on, nor what began meanwhile."""
    begun, others = asyncio.Event(), list[asyncio.Task[Outcome]]()

    async def apply(device: Device, _change: State) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            if device.id == "light.kitchen":
                others.append(asyncio.create_task(road.one("guest", "on hall")))

    monkeypatch.setattr(road.backend, "apply", apply)
    line = asyncio.create_task(road.give("guest", "on kitchen; on desk; on counter --keep-going"))
    await begun.wait()
    assert await road.dispatch.cut(lambda session: session.login.user == "guest", "you are out") == 2
    assert road.dispatch._running == {}
    ended = [*await line, *await asyncio.gather(*others)]
    assert [said(outcome)[1] for outcome in ended] == ["error: you are out\n"] * 2
    assert road.ended == ["you are out"] * 2


async def test_a_line_stops_at_the_first_failure(road: Road) -> None:
    """The orders of a line run in turn to the first one that fails; `--keep-going` on any of them runs all."""
    stopped = await road.give("admin", "on kitchen; off nosuch; on desk")
    assert [outcome.status for outcome in stopped] == [0, 64]
    for line in ("on kitchen; off nosuch --keep-going; on desk", "on kitchen\noff nosuch\non desk --keep-going"):
        assert [outcome.status for outcome in await road.give("admin", line)] == [0, 64, 0]
    assert [
        outcome.status for outcome in await road.give("admin", "on kitchen; off nosuch; on desk", "--keep-going")
    ] == [
        0,
        64,
        0,
    ]
    assert await road.give("admin", " ; \n ") == []


async def test_options_of_every_order(road: Road) -> None:
    """`--json` and `--no-wait` may stand anywhere; quoted or after `--` they are text; a batch's own hold for all."""
    for line in ("on --json kitchen", "--json on kitchen", "on kitchen --json"):
        assert (await road.one("admin", line)).json
    for line in ("echo '--json'", r"echo \--json", "echo -- --json"):
        outcome = await road.one("admin", line)
        assert not outcome.json
        assert said(outcome) == ("--json\n", "")
    (outcome,) = await road.give("admin", "echo -- --fast", "--json")
    assert outcome.json
    assert said(outcome) == ('"--fast"\n', "")
    outcome = await road.one("admin", "on kitchen --no-wait")
    assert said(outcome) == ("sent to kitchen\n", "")


@pytest.mark.parametrize(
    ("line", "explained"),
    [
        ("--help", ""),
        ("on --help", "on TARGET"),
        ("on kitchen --help", "on TARGET"),
        ("dim desk 40 --help --json", "dim TARGET [LEVEL]"),
        ("ban list --help", "ban list"),
        ("help on", "on TARGET"),
    ],
)
async def test_help_on_the_way(road: Road, line: str, explained: str) -> None:
    """`--help` anywhere in an order explains that order instead of giving it."""
    outcome = await road.one("admin", line)
    assert outcome.status == 0
    (told,) = [answer.value for answer in outcome.answers]
    assert getattr(told, "usage", "") == explained
    assert road.backend.applied == []


@pytest.mark.parametrize(
    ("line", "json_"),
    [
        ("x" * 4097, False),
        ("ü" * 2049, False),
        (f"echo {'x' * 4096} --json", True),
        ("on 'x", False),
        ("on 'x --json", True),
    ],
    ids=["long", "long in bytes", "long in JSON", "open quote", "open quote in JSON"],
)
async def test_a_line_that_cannot_be_read_is_refused_whole(road: Road, line: str, json_: bool) -> None:  # noqa: FBT001 (a column)
    """A line that is too long in bytes or has an open quote is one refusal and one short audit event."""
    outcome = await road.one("admin", line)
    assert (outcome.status, outcome.json) == (64, json_)
    (event,) = road.audit()
    assert event["event"] == "order.refused"
    assert len(event["order"]) <= 200
    assert (await road.one("admin", "echo " + "x" * 4091)).status == 0


async def test_order_line_is_the_configured_one(build: Build) -> None:
    """A line may be just as long as the configuration says."""
    async with build(limits=Limits(order_line=Size(10))) as road:
        assert [(await road.one("admin", line)).status for line in ("echo 12345", "echo 123456")] == [0, 64]


async def test_several_devices(road: Road) -> None:
    """Of several devices those that can are changed, the others are named with the reason, and the worst one counts."""
    (road.users.folder / "cleaner.toml").write_text(
        'grants = ["read", "control:light.*", {deny = "control:light.desk"}]'
    )
    cases = {
        "on light.*": (77, {"desk": "denied", "garden": "unavailable"}),
        "on light.g*": (69, {"garden": "unavailable"}),
        "on light.k*": (0, {}),
        "on light.des*": (77, {"desk": "denied"}),
    }
    for line, (status, left_out) in cases.items():
        outcome = await road.one("cleaner", line)
        assert outcome.several
        assert outcome.error is None
        assert outcome.status == status
        assert {label: error.code for label, error in outcome.left_out} == left_out
    assert all(isinstance(answer.value, Device) and answer.value.state["on"] for answer in outcome.answers)
    assert road.audit()[-1]["event"] == "order.refused"
    assert road.audit()[0]["event"] == "order.failed"
    assert road.audit()[0]["left_out"] == ["desk", "garden"]


async def test_one_value_that_does_not_fit_changes_nothing(road: Road) -> None:
    """Values are understood for every device before anything is changed."""
    outcome = await road.one("admin", "set @living 2300k")
    assert outcome.status == 64
    assert road.backend.applied == []


@pytest.mark.parametrize(
    "error",
    [SlowDown("x"), Unavailable("x"), NotConfirmed("x"), Internal("x"), BadArguments("x"), TimedOut("x"), Denied("x")],
    ids=lambda error: error.code,
)
def test_a_failure_left_out_is_never_success(error: Any) -> None:  # noqa: ANN401 (any of our errors)
    """Whatever the reason a device was left out for, the order's status tells."""
    assert Outcome(left_out=[("desk", error)]).status == error.status


# -- who is asking ----------------------------------------------------------------------------------------------------


async def test_grants_are_read_for_each_order(road: Road) -> None:
    """A live session is bound by its user's file as it is at each order; a refused version changes nothing."""
    session = road.session("cleaner")
    path = road.users.folder / "cleaner.toml"

    async def status(line: str) -> int:
        return (await road.dispatch.run(session, split(line)[0])).status

    assert await status("on kitchen") == 0
    write_whole(path, 'grants = ["read"]')
    assert await status("on kitchen") == 77
    write_whole(path, 'grants = [{ allow = "control", when = "noon" }]')
    assert await status("on kitchen") == 77
    assert await status("list") == 0
    assert [event["message"] for event in road.audit("user.refused")] == [
        (
            "authorized_users/cleaner.toml: grant 'control': 'noon' is no day; a day is mon to sun, mon-fri, weekdays, "
            "weekend, 2026-12-24 or 2026-12-24..2027-01-06, from 1970 to 2999"
        )
    ]
    write_whole(path, 'grants = [{ allow = "control", when = "sat" }]')
    assert await status("on kitchen") == 77
    write_whole(path, 'grants = ["control"]')
    assert await status("on kitchen") == 0
    path.unlink()
    assert await status("on kitchen") == 77
    assert session.leaving
    assert road.ended == ["your user was removed"]


async def test_what_is_seen_follows_the_house(road: Road) -> None:
    """A device that comes or moves is seen at the next order, by those who may see it and by no one else."""
    lamp = Device(id="light.new", name="New", room="kids", attributes={"on": ATTRIBUTES["on"]}, state={"on": False})
    house = road.dispatch.house
    assert (await road.one("cleaner", "show light.new")).status == 64
    report(house, lamp)
    assert (await road.one("cleaner", "show light.new")).status == 64
    assert (await road.one("guest", "show light.new")).status == 0
    report(house, msgspec.structs.replace(lamp, room="hall"))
    assert (await road.one("cleaner", "show light.new")).status == 0
    report(house, msgspec.structs.replace(lamp, room="kids"))
    assert (await road.one("cleaner", "show light.new")).status == 64


async def test_unknown_orders_are_counted(road: Road) -> None:
    """Ten unknown orders in a row close the session; a known one in between starts the count anew."""
    session = road.session("guest")

    async def give(line: str) -> Outcome:
        return await road.dispatch.run(session, split(line)[0])

    for _ in range(MAX_BAD_ORDERS - 1):
        assert (await give("reboot")).status == 127
    assert (await give("on nosuch")).status == 64
    for _ in range(MAX_BAD_ORDERS - 1):
        assert (await give("reboot")).status == 127
        assert not session.leaving
    last = await give("reboot")
    assert session.leaving
    assert last.status == 127
    assert last.error is not None
    assert "closed" in last.error.hint
    assert road.dispatch.bans.in_force() == []


@pytest.mark.parametrize(("how", "banned"), [("close", False), ("ban", True)])
async def test_unknown_orders_may_cost_more(build: Build, how: str, banned: bool) -> None:  # noqa: FBT001 (a column)
    """`bad_order` closes the session at the first unknown order, or bans its source too, with its audit event."""
    async with build(limits=Limits(bad_order=how)) as road:
        session = road.session("guest", ATTACKER)
        outcomes = [outcome async for outcome in road.dispatch.run_line(session, "reboot; on kitchen --keep-going")]
        assert [outcome.status for outcome in outcomes] == [127]
        assert session.leaving
        assert (road.dispatch.bans.find(ATTACKER) is not None) == banned
        assert [event["source"] for event in road.audit("ban.set")] == [ATTACKER] * banned


@pytest.mark.parametrize(
    ("user", "line", "hint"),
    [
        ("admin", "lihgt kitchen", "did you mean list?"),
        ("admin", "unlokc front_door", "did you mean unlock"),
        ("guest", "unlokc front_door", "did you mean undo?"),
        ("admin", "ban", "did you mean ban add or ban explain or ban lift or ban list?"),
        ("guest", "ban", "`help` lists yours"),
        ("admin", "''", "`help` lists yours"),
        ("admin", "x" * 4000, "`help` lists yours"),
    ],
)
async def test_unknown_orders_name_the_nearest(road: Road, user: str, line: str, hint: str) -> None:
    """An unknown order is answered with the nearest ones that this user may give, and with none that they may not."""
    outcome = await road.one(user, line)
    assert outcome.status == 127
    assert outcome.error is not None
    assert outcome.error.hint.startswith(hint)
    assert len(outcome.error.message) < 120


# -- the rate ---------------------------------------------------------------------------------------------------------


#: Three orders at once, then one in ten seconds.
SLOW = Limits(orders_per_minute=6, order_burst=3)


async def test_orders_have_a_rate(build: Build, clock: FixedClock) -> None:
    """After a burst an order is status 75 with how long to wait, in JSON too, and after that wait one is run again."""
    async with build(limits=SLOW) as road:
        assert [(await road.one("guest", "on kitchen")).status for _ in range(4)] == [0, 0, 0, 75]
        assert len(road.backend.applied) == 3
        text = "6 orders a minute, no more"
        assert said(await road.one("guest", "echo x")) == ("", f"error: {text} (try again in 10 s)\n")
        clock.advance(0.5)
        out, err = said(await road.one("guest", "list --json"))
        told = {"code": "slow_down", "message": text, "hint": "try again in 10 s"}
        assert (out, json.loads(err)) == ("", {"error": told})
        clock.advance(9.4)
        assert said(await road.one("guest", "echo x"))[1].endswith("(try again in 1 s)\n")
        clock.advance(0.1)
        assert [(await road.one("guest", "echo x")).status for _ in range(2)] == [0, 75]


async def test_a_rate_is_a_user_s_in_all_their_sessions(build: Build, clock: FixedClock) -> None:
    """Orders of one user add up over channels and connections, and keep no other user from giving any."""
    async with build(limits=SLOW) as road:
        sessions = [
            road.session("guest", source, channel=channel)
            for source, channel in (("127.0.0.1", "shell"), ("127.0.0.1", "batch"), ("127.0.0.2", "exec"))
        ]
        for session in sessions:
            assert (await road.dispatch.run(session, [Word("whoami")])).status == 0
        for session in sessions:
            assert (await road.dispatch.run(session, [Word("whoami")])).status == 75
            road.dispatch.sessions.close(session)
        assert [(await road.one("guest", "whoami")).status, (await road.one("admin", "whoami")).status] == [75, 0]
        assert [session.running for session in sessions] == [0, 0, 0]


async def test_an_order_too_fast_ends_its_line(build: Build) -> None:
    """The order of a line that comes too fast is a failure like others: it ends the line, unless that keeps going."""
    async with build(limits=SLOW) as road:
        line = "; ".join(["echo x"] * 6)
        assert [outcome.status for outcome in await road.give("guest", line)] == [0, 0, 0, 75]
        assert [outcome.status for outcome in await road.give("guest", f"{line} --keep-going")] == [75] * 6


@pytest.mark.parametrize("line", ["reboot", "on nosuch", "unlock front_door", "on", "on 'x", "x" * 5000], ids=len)
async def test_orders_that_come_to_nothing_count_too(build: Build, line: str) -> None:
    """What is unknown, badly written, too long or not permitted is an order: guessing has the same rate as giving."""
    async with build(limits=SLOW) as road:
        for _ in range(3):
            assert (await road.one("guest", line)).status in {64, 77, 127}
        assert (await road.one("guest", "whoami")).status == 75


async def test_an_order_too_fast_is_audited(build: Build) -> None:
    """What was not done for its haste is written down: who, which order, and that it was refused."""
    async with build(limits=SLOW) as road:
        for _ in range(4):
            await road.one("guest", "on kitchen")
        events = road.audit()
        assert [event["event"] for event in events] == ["order.done"] * 3 + ["order.refused"]
        told = {name: events[3][name] for name in ("user", "order", "status", "code", "message")}
        assert told == {
            "user": "guest",
            "order": "on kitchen",
            "status": 75,
            "code": "slow_down",
            "message": "6 orders a minute, no more",
        }


async def test_haste_is_no_bad_order(build: Build) -> None:
    """An order that came too fast neither closes a session nor counts as an unknown one, whatever it was."""
    async with build(limits=msgspec.structs.replace(SLOW, bad_order="ban")) as road:
        session = road.session("guest", ATTACKER)
        for _ in range(3):
            await road.dispatch.run(session, [Word("whoami")])
        for _ in range(2 * MAX_BAD_ORDERS):
            assert (await road.dispatch.run(session, [Word("reboot")])).status == 75
        assert not session.leaving
        assert road.dispatch.bans.find(ATTACKER) is None


async def test_other_limits_have_another_rate(build: Build) -> None:
    """A rate that is configured anew binds from the next order on."""
    async with build(limits=SLOW) as road:
        for _ in range(4):
            await road.one("guest", "whoami")
        road.dispatch.configure(Limits(orders_per_minute=60, order_burst=2))
        assert [(await road.one("guest", "whoami")).status for _ in range(3)] == [0, 0, 75]
        assert said(await road.one("guest", "whoami"))[1] == "error: 60 orders a minute, no more (try again in 1 s)\n"


# -- what goes wrong --------------------------------------------------------------------------------------------------


class Trouble:
    """Orders that do not end as they should, in a registry of their own."""

    def __init__(self) -> None:
        """Register them."""
        self.registry = Registry()
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.error: BaseException = ValueError("secret detail")
        trouble = self

        @order("boom", needs=Privilege.READ, says=str, registry=self.registry)
        async def boom(ctx: Context) -> str:
            """Fail."""
            raise trouble.error

        @order("boom one", needs=Privilege.CONTROL, says="{label} is on", registry=self.registry)
        async def boom_one(ctx: Context, light: Dimmable) -> Change:
            """Switch on some lamps, with one of which the backend has a bug.

            light: the lamps
            """
            return {"on": True}

        @order("boom plan", needs=Privilege.CONTROL, says="{label} is on", registry=self.registry)
        async def boom_plan(ctx: Context, light: Dimmable) -> Change:
            """Fail to say what one lamp shall be.

            light: the lamps
            """
            if light.id == "light.counter":
                raise trouble.error
            return {"on": True}

        @order("wait", needs=Privilege.READ, says=str, registry=self.registry)
        async def wait(ctx: Context) -> str:
            """Wait until told to go on."""
            trouble.begun.set()
            await trouble.go_on.wait()
            return "waited"

        @order("wait lamp", needs=Privilege.CONTROL, says="{label} is on", registry=self.registry)
        async def wait_lamp(ctx: Context, light: Dimmable) -> Change:
            """Switch on a lamp, once told to go on.

            light: the lamp to switch on then
            """
            trouble.begun.set()
            await trouble.go_on.wait()
            return {"on": True}

        @order("fine", needs=Privilege.READ, says=str, registry=self.registry)
        async def fine(ctx: Context) -> str:
            """End well."""
            return "fine"

        @order("enter", needs=Privilege.READ, says=str, registry=self.registry)
        async def enter(
            ctx: Context, code: Annotated[str, Secret("CODE")], times: int = 1, *, again: bool = False
        ) -> str:
            """Take a code.

            code: the code
            times: how often
            again: once more
            """
            if times > 3:
                raise trouble.error
            return "entered"

        @order("option", needs=Privilege.READ, says=str, registry=self.registry)
        async def option(
            ctx: Context, *, code: Annotated[str, Secret("CODE")] = "", to: Annotated[str, Text()] = ""
        ) -> str:
            """Take a code as an option.

            code: the code
            to: what it is for
            """
            return to


ERRORS = [ValueError("secret detail"), TimeoutError("secret detail"), RecursionError(), asyncio.CancelledError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_bug_costs_its_order_alone(
    build: Build, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """An exception is status 70 with an incident, the same in message, audit and log, and the next order goes on."""
    trouble = Trouble()
    trouble.error = error
    async with build(registry=trouble.registry) as road:
        bad, good = await road.give("viewer", "boom --keep-going; fine")
        assert (bad.status, good.status) == (70, 0)
        assert isinstance(bad.error, Internal)
        incident = re.search(r"incident ([0-9a-f]{8})$", bad.error.message)
        assert incident is not None
        assert said(bad) == ("", f"error: 'boom' failed by our own fault, incident {incident[1]}\n")
        event = road.audit()[0]
        assert (event["event"], event["order"], event["status"]) == ("order.failed", "boom", 70)
        assert event["incident"] == incident[1]
        assert "secret detail" not in (road.path / "audit.jsonl").read_text()
        (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert incident[1] in record.getMessage()
        assert record.exc_info is not None
        assert isinstance(error, asyncio.CancelledError) or record.exc_info[1] is error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_bug_on_one_device_costs_that_device_alone(build: Build, error: BaseException) -> None:
    """Of several devices only the one with the bug is left out, and the incident is told."""
    async with build(registry=Trouble().registry) as road:
        road.backend.broken["light.counter"] = error
        outcome = await road.one("admin", "boom one @kitchen")
        assert outcome.status == 70
        assert [answer.label for answer in outcome.answers] == ["kitchen"]
        assert [label for label, _ in outcome.left_out] == ["counter"]
        assert road.audit()[0]["incident"] in said(outcome)[1]
        assert [device_id for device_id, _ in road.backend.applied] == ["light.kitchen"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_bug_in_planning_changes_nothing(build: Build, error: BaseException) -> None:
    """An order that cannot say what it would change on one device changes none: nothing could be judged whole."""
    trouble = Trouble()
    trouble.error = error
    async with build(registry=trouble.registry) as road:
        outcome = await road.one("admin", "boom plan @kitchen")
        assert outcome.status == 70
        assert isinstance(outcome.error, Internal)
        assert road.audit()[0]["incident"] in said(outcome)[1]
        assert road.backend.applied == []


@pytest.mark.parametrize("line", ["wait", "wait lamp desk"])
async def test_an_order_that_hangs_is_timed_out(build: Build, line: str) -> None:
    """An order that runs longer than an order may is ended, status 124, and audited."""
    trouble = Trouble()
    async with build(registry=trouble.registry, limits=Limits(order_timeout=Duration(0.02))) as road:
        outcome = await road.one("admin", line)
        name = line.removesuffix(" desk")
        assert outcome.status == 124
        assert outcome.error is not None
        assert outcome.error.as_json() == {
            "error": {"code": "timed_out", "message": f"'{name}' took longer than 0.02 s", "hint": ""}
        }
        (event,) = road.audit()
        assert (event["event"], event["status"], event["code"]) == ("order.failed", 124, "timed_out")
        assert (await road.one("admin", "fine")).status == 0
        assert road.backend.applied == []


async def test_an_order_goes_on_when_its_client_leaves(build: Build) -> None:
    """Cancelling whoever waits ends the waiting alone: the order runs to its end, and its audit event is written."""
    trouble = Trouble()
    async with build(registry=trouble.registry) as road:
        waiting = asyncio.create_task(road.give("admin", "wait lamp desk"))
        await trouble.begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert road.audit() == []
        trouble.go_on.set()
        await road.dispatch.settle()
        assert road.dispatch.house.devices["light.desk"].state["on"] is True
        (event,) = road.audit()
        assert (event["event"], event["order"], event["devices"]) == ("order.done", "wait lamp", ["light.desk"])


async def test_an_order_whose_client_left_can_still_fail(build: Build) -> None:
    """An order that nobody waits for any longer is timed out and audited all the same, and leaves no task behind."""
    trouble = Trouble()
    async with build(registry=trouble.registry, limits=Limits(order_timeout=Duration(0.02))) as road:
        waiting = asyncio.create_task(road.give("admin", "wait lamp desk"))
        await trouble.begun.wait()
        waiting.cancel()
        await until(lambda: road.audit("order.failed"))
        await road.dispatch.settle()
        assert not road.dispatch._running


# -- what is written down ---------------------------------------------------------------------------------------------


async def test_the_audit_tells_who_did_what(road: Road, clock: FixedClock) -> None:
    """Each order is one event: who, from where, which order with which words, on what, by which rule, how it ended."""
    session = road.session("guest", ATTACKER)
    clock.advance(1)
    await road.dispatch.run(session, split("dim 'Desk' 40")[0])
    assert road.audit() == [
        {
            "at": "2026-06-02T12:00:01Z",
            "event": "order.done",
            "user": "guest",
            "key": "SHA256:x",
            "source": ATTACKER,
            "channel": "exec",
            "session": session.number,
            "order": "dim",
            "args": {"light": "Desk", "level": "40"},
            "devices": ["light.desk"],
            "decision": "control:light.* (role guest)",
            "status": 0,
            "ms": 0.0,
        }
    ]
    await road.one("cleaner", "on desk")
    refused = road.audit()[-1]
    assert (refused["event"], refused["order"], refused["status"]) == ("order.refused", "on", 77)
    assert refused["decision"] == "deny control:light.desk (authorized_users/cleaner.toml)"
    assert (refused["code"], refused["message"]) == ("denied", "you may not operate light.desk")
    await road.one("guest", "on garden")
    assert [event["event"] for event in road.audit()] == ["order.done", "order.refused", "order.failed"]
    assert session.orders == 1


@pytest.mark.parametrize(
    "line",
    [
        *("enter hunter2", "enter 'hunter2' 2", "enter hunter2 nonsense", "enter hunter2 9", "enter hunter2 2 3 4"),
        *("enter hunter2 --nosuch", "enter --again hunter2", "option --code hunter2", "option --code=hunter2 --to x"),
        *("option --code hunter2 extra", "option --code=hunter2 --to"),
    ],
)
async def test_secrets_are_never_written_down(build: Build, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A secret stands neither in the audit nor in the log nor in what is answered, however the order ends."""
    trouble = Trouble()
    async with build(registry=trouble.registry) as road:
        outcome = await road.one("admin", line)
        assert "hunter2" not in "".join(said(outcome))
        assert "hunter2" not in (road.path / "audit.jsonl").read_text()
        assert "hunter2" not in caplog.text
        if outcome.status in {0, 70}:
            assert road.audit()[0]["args"]["code"] == "***"


@pytest.mark.parametrize(
    "line",
    [
        *("unlock front_door --code 135790", "unlock front_door --code=135790", "--code 135790 unlock front_door"),
        *("unlokc front_door --code 135790", "--code 135790", "unlock nosuch --code 135790", "on 'x --code 135790"),
        *("unlock front_door --code 135790 --for", "unlock front_door extra --code 135790 --json", "--code=135790 'x"),
    ],
)
async def test_codes_are_never_written_down(build: Build, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A one-time code may be good for a while yet: it stands nowhere, however the order ends, and come it too fast."""
    users = {"anna": 'grants = ["read", { allow = "access", step_up = "totp" }]'}
    async with build(users=users, limits=SLOW) as road:
        outcomes = [await road.one("anna", line) for _ in range(5)]
        assert outcomes[-1].status == 75
        assert not any("135790" in "".join(said(outcome)) for outcome in outcomes)
        assert "135790" not in (road.path / "audit.jsonl").read_text()
        assert "135790" not in caplog.text


async def test_control_characters_are_escaped_in_the_audit(road: Road) -> None:
    """What a user types can forge no line of the audit and drive no terminal that shows it."""
    await road.give(
        "admin", "echo '\x1b]0;x\x07\n{\"event\":\"login.ok\"}\u2028\x9b\x7f\u202e'; '\x1b[2J\n'; on '\x1b\n'"
    )
    raw = (road.path / "audit.jsonl").read_text(encoding="utf-8")
    assert raw.count("\n") == 2
    assert all(line.isprintable() for line in raw.split("\n"))
    assert road.audit()[0]["args"]["text"] == '\x1b]0;x\x07\n{"event":"login.ok"}\u2028\x9b\x7f\u202e'


async def test_names_are_an_admins_to_know(road: Road) -> None:
    """Names of users, sessions and banned sources are in the scope of an admin, and of no one else."""
    road.dispatch.bans.ban(ATTACKER, "login", "5 as home", "too many failed logins")
    session = road.session("guest")
    names = road.scope("admin").names
    offered = {heading: [suggestion.text for suggestion in names[heading]()] for heading in names}
    assert offered == {
        "users": sorted(USERS),
        "roles": list(road.users.roles.names()),
        "backends": ["simulated"],
        "hooks": [],
        "bans": [ATTACKER],
        "sessions": [str(session.number)],
    }
    for role in set(ROLES) - {"admin"}:
        assert road.scope(role).names == {}
