"""Takes over what changed in a site's files while it is served; checked first, the old stays if the new is wrong."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from sshhome.audit import Audit
from sshhome.ban import Bans
from sshhome.config import Config, load
from sshhome.dispatch import Dispatch
from sshhome.errors import SiteError
from sshhome.grant import Roles
from sshhome.hook import Hook, hooks
from sshhome.hostkey import HostKeys, load_host_keys
from sshhome.server import Server
from sshhome.user import Users

#: Seconds between two looks at the files.
_LOOK_EVERY = 1.0
#: What is settled when the server starts; a change to it waits for a restart, and the audit log says so.
_SETTLED = ("listen", "house", "history", "backend")


def _settled(config: Config) -> Mapping[str, object]:
    """Return what waits for a restart if it changes; of the house not where it is, which only its schedules go by."""
    house = replace(config.house, latitude=None, longitude=None)
    return {key: getattr(config, key) for key in _SETTLED} | {"house": house}


class Reload:
    """Re-reads `sshhome.toml` and the host keys; user files are read by `Users` whenever they change."""

    def __init__(
        self, path: Path, server: Server, *, dispatch: Dispatch, bans: Bans, users: Users, audit: Audit
    ) -> None:
        """Remember the files as they are now."""
        self._path = path
        self._server = server
        self._dispatch = dispatch
        self._bans = bans
        self._users = users
        self._audit = audit
        self._started = server.config
        self._seen = self._versions()
        self._asked = asyncio.Event()
        self._one = asyncio.Lock()

    def soon(self) -> None:
        """Re-read the files, whether or not they have changed."""
        self._asked.set()

    async def watch(self) -> None:
        """Re-read the files whenever that is asked for or one of them changes, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._asked.wait()
            if self._asked.is_set() or self._versions() != self._seen:
                self._asked.clear()
                await self.now()

    async def now(self) -> bool:
        """Re-read the files; returns whether they are understood, and so in force."""
        async with self._one:
            self._seen = self._versions()
            try:
                config, roles, host_keys, told = self._read()
                await self._server.configure(config, host_keys)
            except SiteError as error:
                self._audit.write("config.refused", message=error.message)
                return False
            self._bans.reconfigure(config.bans)
            self._dispatch.configure(config.limits)
            self._users.reconfigure(roles)
            await self._dispatch.hooks.configure(told)
            self._dispatch.schedules.move(config.house.latitude, config.house.longitude)
            started, now = _settled(self._started), _settled(config)
            waiting = [key for key in started if now[key] != started[key]]
            self._audit.write("config.reloaded", needs_restart=waiting, host_keys=len(host_keys))
            return True

    def _read(self) -> tuple[Config, Roles, HostKeys, Mapping[str, Hook]]:
        """Return what the files say; raises SiteError, also when a user would lose a role that their file names."""
        config = load(self._path)
        before = self._users.roles
        roles = Roles({name: role.grants for name, role in config.roles.items()}, before.zone, before.orders)
        host_keys = load_host_keys(self._path / "host_keys")
        if not host_keys:
            raise SiteError("host_keys: no key is left")
        refused: list[SiteError] = []
        known = {user.login for user in self._users}
        understood = {user.login for user in Users(self._users.folder, roles, refused.append)}
        if known - understood:
            raise SiteError(
                f"sshhome.toml: would shut out {', '.join(sorted(known - understood))}: {refused[0].message}"
            )
        return config, roles, host_keys, hooks(config.hook, self._path)

    def _versions(self) -> Sequence[tuple[str, int, int, int]]:
        """Return what tells one state of the files from another."""
        return list(self._files())

    def _files(self) -> Iterator[tuple[str, int, int, int]]:
        for path in (self._path / "sshhome.toml", *sorted((self._path / "host_keys").glob("*"))):
            try:
                info = path.stat()
            except OSError:
                continue
            yield path.name, info.st_mtime_ns, info.st_ino, info.st_mode
