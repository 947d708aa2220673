"""Where all parts meet: a site becomes a running server. The only module that names every part."""

import asyncio
import contextlib
import fcntl
import importlib
import logging
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sshhome import __version__, orders  # noqa: F401 (importing the orders registers them)
from sshhome.announce import Announcer
from sshhome.audit import Audit
from sshhome.backend import Backend
from sshhome.ban import Bans
from sshhome.channels import batch, exec, rpc  # noqa: F401, A004 (loaded before the files a process may open run out)
from sshhome.clock import Clock
from sshhome.config import Config, load, timezone
from sshhome.dispatch import Dispatch
from sshhome.door import Door
from sshhome.edit import put
from sshhome.errors import BadArguments, SiteError
from sshhome.gone import Gone
from sshhome.grant import Roles
from sshhome.hook import hooks
from sshhome.hostkey import bad_host_keys, load_host_keys, make_key
from sshhome.house import House
from sshhome.journal import Journal
from sshhome.key import parse_key
from sshhome.macro import Macros
from sshhome.naming import Naming
from sshhome.notices import Notices
from sshhome.order import REGISTRY
from sshhome.password import Passwords, hash_password
from sshhome.recall import Recall
from sshhome.recorder import Recorder
from sshhome.reload import Reload
from sshhome.replay import UsedCodes
from sshhome.schedule import Schedules
from sshhome.server import Server
from sshhome.session import Sessions
from sshhome.stores.history import SqliteHistory
from sshhome.stores.sqlite import SqliteStore
from sshhome.timetable import Timetable
from sshhome.upcoming import Place
from sshhome.user import Users
from sshhome.uses import Uses
from sshhome.visitor import Visitors

log = logging.getLogger(__name__)

#: Where each kind of backend is; one is loaded, with the packages that only it needs, once a site has it.
BACKENDS: Mapping[str, tuple[str, str]] = {
    "simulated": ("sshhome.backends.simulated", "SimulatedBackend"),
    "mqtt": ("sshhome.backends.mqtt", "MqttBackend"),
    "home_assistant": ("sshhome.backends.home_assistant", "HomeAssistantBackend"),
}
#: Seconds that connecting a backend once may take.
_CONNECT = 30


#: Options of backends that name files.
_FILES = ("token_file", "password_file", "code_file", "ca")


class Site:
    """One directory, one house: what its files say, before anything runs."""

    def __init__(self, path: Path) -> None:
        """Read the configuration; raises SiteError."""
        self.path = path
        self.config = load(path)
        own = {name: role.grants for name, role in self.config.roles.items()}
        self.roles = Roles(own, timezone(self.config), {order.name for order in REGISTRY})
        self.refused: list[SiteError] = []
        self.users = Users(path / "authorized_users", self.roles, self.refused.append)

    @property
    def database(self) -> Path:
        """Where the store keeps what outlives a process."""
        return self.path / "state" / "sshhome.db"

    def check(self) -> list[SiteError]:
        """Return everything that is wrong with the site's files."""
        errors = [*self.bad_users(), *bad_host_keys(self.path / "host_keys")]
        for options in self.config.backend:
            try:
                _backend(options).check(options)
            except SiteError as error:
                errors.append(error)
        for named in (lambda: backends(self.config, self.path), lambda: hooks(self.config.hook, self.path)):
            try:
                named()
            except SiteError as error:
                errors.append(error)
        return errors

    async def connect(self) -> Mapping[str, str | SiteError]:
        """Connect every backend once, all at the same time; return by name what is there, or what is wrong."""
        named = backends(self.config, self.path)
        found = await asyncio.gather(*(_connected(options) for options in named.values()))
        return dict(zip(named, found, strict=True))

    def bad_users(self) -> list[SiteError]:
        """Return what is wrong with each user file; the server starts without these users."""
        self.refused.clear()
        list(Users(self.users.folder, self.roles, self.refused.append))
        return list(self.refused)

    def bootstrap(self) -> list[str]:
        """Make what a first serve needs, a host key and a user; return lines to tell the person who started it.

        The user `home` gets that person's own public keys, or else a random password, shown this once.
        """
        told = []
        folder = self.path / "host_keys"
        if not load_host_keys(folder):
            key = make_key(folder / "ssh_host_ed25519_key", f"sshhome {self.config.house.name}")
            told.append(f"made the host key {key.get_fingerprint()}")
        if not self.users.files():
            told += self._first_user()
        return told

    def _first_user(self) -> list[str]:
        own = []
        for path in sorted(Path("~/.ssh").expanduser().glob("*.pub")):
            with contextlib.suppress(SiteError, OSError, UnicodeDecodeError):
                line = path.read_text(encoding="utf-8").strip()
                parse_key(line)
                own.append(line)
        password = "" if own else secrets.token_urlsafe(12)
        add_user(self.users, "home", ["admin"], own, hash_password(password) if password else "")
        if own:
            return [f"made the user home, role admin, with {len(own)} of your own keys from ~/.ssh"]
        return [f"made the user home, role admin, with the password {password} (shown this once)"]


def add_user(users: Users, login: str, roles: Sequence[str], keys: Sequence[str], hashed: str) -> None:
    """Write a new user's file; raises BadArguments or SiteError."""
    fields = put(name=login.capitalize(), roles=list(roles), keys=list(keys), password=hashed)
    users.edit(login, fields, new=True)


class Running(NamedTuple):
    """A server that runs, the addresses it listens on, and what re-reads its files."""

    server: Server
    addresses: list[str]
    reload: Reload


@contextlib.asynccontextmanager
async def running(
    site: Site, listen: Sequence[str], clock: Clock | None = None, chance: random.Random | None = None
) -> AsyncIterator[Running]:
    """Run a site's server, and end it cleanly afterwards.

    Raises SiteError for whatever keeps it from starting.
    """
    clock = clock or Clock()
    async with contextlib.AsyncExitStack() as stack:
        state = site.path / "state"
        stack.enter_context(_alone(state))
        host_keys = load_host_keys(site.path / "host_keys")
        zone = timezone(site.config)
        audit = Audit(state / "audit.jsonl", clock)
        stack.callback(audit.close)
        # The last word of the log, after what all other parts have to say in ending.
        ending = stack.push(contextlib.ExitStack())
        users = Users(
            site.path / "authorized_users", site.roles, lambda error: audit.write("user.refused", message=error.message)
        )
        store = await SqliteStore.open(site.database)
        stack.push_async_callback(store.close)
        bans = Bans(site.config.bans, clock, store, chance)
        uses, journal, macros, naming = Uses(store), Journal(store, clock), Macros(store), Naming(store)
        for known in (bans.load, uses.load, macros.load, journal.load, naming.load):
            await known()
        house = House(naming)
        recorder = await _recorder(site, house, clock)
        stack.push_async_callback(recorder.close)
        stack.push_async_callback(house.close)
        for name, options in backends(site.config, site.path).items():
            kind = _backend(options)
            await house.add(name, partial(kind.open, options, state, clock), partial(kind.test, options))
        sessions = Sessions()
        passwords = Passwords()
        stack.callback(passwords.close)
        dispatch = Dispatch(
            registry=REGISTRY,
            house=house,
            users=users,
            sessions=sessions,
            bans=bans,
            uses=uses,
            journal=journal,
            macros=macros,
            schedules=Schedules(store, clock, Place(zone, site.config.house.latitude, site.config.house.longitude)),
            store=store,
            recorder=recorder,
            recall=Recall(state / "shells"),
            hash_password=passwords.hash,
            audit=audit,
            clock=clock,
            limits=site.config.limits,
            house_name=site.config.house.name,
            timezone=zone,
        )
        visitors = Visitors(
            users=users,
            passwords=passwords,
            codes=UsedCodes(state / "codes"),
            bans=bans,
            sessions=sessions,
            dispatch=dispatch,
            audit=audit,
            clock=clock,
        )
        stack.push_async_callback(dispatch.hooks.close)
        await dispatch.hooks.load(hooks(site.config.hook, site.path))
        timetable = Timetable(dispatch)
        await timetable.load()
        stack.push_async_callback(timetable.close)
        gone = Gone(dispatch, users, clock)
        server = Server(site.config, Door(site.config.limits, bans, audit, clock, chance), visitors)
        stack.push_async_callback(server.close)
        notices = Notices(sessions, dispatch.authorizer, dispatch.recall, clock)
        # Said before the server begins to close.
        stack.callback(notices.leaving)
        stack.callback(house.watch(notices.changed))
        stack.callback(audit.watch(notices.happened))
        addresses = await server.listen(listen or site.config.listen, host_keys)
        dispatch.address = site.config.house.address or addresses[0]
        reload = Reload(site.path, server, dispatch=dispatch, bans=bans, users=users, audit=audit)
        announcer = Announcer(audit, sessions, bans, clock, house.announce)
        watches = (
            server.look_after(),
            reload.watch(),
            announcer.watch(),
            recorder.keep(),
            gone.watch(),
            timetable.watch(),
        )
        for watch in watches:
            stack.callback(asyncio.create_task(watch).cancel)
        audit.write("server.started", version=__version__, listen=addresses)
        ending.callback(audit.write, "server.stopped")
        yield Running(server, addresses, reload)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep all others from serving a site, who would do again what is due; it is free again however a process ends.

    Raises SiteError where one is there.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(state, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SiteError("this site is served already", "each has one server") from None
        yield
    finally:
        os.close(folder)


async def _recorder(site: Site, house: House, clock: Clock) -> Recorder:
    """Return what records how the house changes; a history that cannot be opened is none, and keeps nobody out."""
    keeps, history = site.config.history, None
    if keeps.record:
        try:
            history = await SqliteHistory.open(site.path / "state" / "history.db")
        except SiteError as error:
            log.error("%s; nothing is recorded", error.message)
    recorder = Recorder(house, clock, history, keeps)
    await recorder.begin()
    return recorder


def warm_up() -> None:
    """Load what the first shell and the first table need; called once the door is open."""
    for module in ("sshhome.channels.shell", "rich.console", "rich.table"):
        importlib.import_module(module)


def _backend(options: Mapping[str, Any]) -> type[Backend]:
    """Return the backend that a `[[backend]]` table asks for; raises SiteError when there is none of that kind."""
    kind = str(options.get("kind", ""))
    if kind not in BACKENDS:
        raise SiteError(f"sshhome.toml: backend: no kind '{kind}'; there is {', '.join(BACKENDS)}")
    module, name = BACKENDS[kind]
    try:
        found: type[Backend] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        extra = kind.replace("_", "")
        raise SiteError(f"backend {kind} needs {error.name}", f"pip install 'sshhome[{extra}]'") from None
    return found


async def _connected(options: Mapping[str, Any]) -> str | SiteError:
    try:
        async with asyncio.timeout(_CONNECT):
            return await _backend(options).test(options)
    except SiteError as error:
        return error
    except TimeoutError:
        return SiteError(f"no answer in {_CONNECT} s")


def backends(config: Config, path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the `[[backend]]` tables by name: their own, else their kind, numbered from the second on.

    Files that they name are looked for in the site's directory. Raises SiteError for a name that is taken.
    """
    named: dict[str, Mapping[str, Any]] = {}
    for given in config.backend:
        files = {key: str(path / Path(str(given[key])).expanduser()) for key in _FILES if given.get(key)}
        options = {**given, **files}
        wanted = str(options.get("name") or options.get("kind"))
        if wanted in named and "name" in options:
            raise SiteError(f"sshhome.toml: backend: two are named '{wanted}'")
        number = 2
        name = wanted
        while name in named:
            name, number = f"{wanted} {number}", number + 1
        named[name] = options
    return named


def site_path(given: str | None) -> Path:
    """Return the site's directory: the given one, `$SSHHOME_SITE`, or the current one; raises BadArguments."""
    wanted = given or os.environ.get("SSHHOME_SITE") or "."
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        path = Path(wanted).expanduser().resolve()
        if path.is_dir():
            return path
    raise BadArguments(f"no directory '{wanted}'", "`sshhome init` makes a site")
