"""The server: listens at the door, looks after everyone who came in, and closes with a word."""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from typing import Any

import asyncssh

from sshhome.algorithms import options
from sshhome.config import Config, authorities, split_address
from sshhome.connection import Connection
from sshhome.door import Door, Place
from sshhome.errors import SiteError
from sshhome.resources import shortage
from sshhome.visitor import Visitor, Visitors

#: What whoever is there is told when the server ends, and seconds they have to hear that and then to close.
_CLOSING = "the house is closing its door"
_FAREWELL, _GOODBYE = 1.0, 2.0
_BACKLOG = 512
#: What a name may stand for besides, as `localhost` does for an address of IPv6 where there is none.
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
#: Seconds between two looks at user files, bans and resources.
_LOOK_EVERY = 0.5


class Server:
    """Listens for as long as it is open; what every connection is made with can change meanwhile."""

    def __init__(self, config: Config, door: Door, visitors: Visitors) -> None:
        """Hold the parts; `listen` begins to work."""
        self.config = config
        self.door = door
        self.visitors = visitors
        self._options: asyncssh.SSHServerConnectionOptions | None = None

    async def configure(self, config: Config, host_keys: Sequence[asyncssh.SSHKey]) -> None:
        """Make new connections with this configuration; raises SiteError and changes nothing if it cannot be."""
        self._options = await options(
            lambda: Visitor(self.visitors), host_keys, config.crypto.profile, config.limits.login_grace
        )
        self.config = config
        self.door.limits = config.limits
        self.visitors.authorities = authorities(config.certificates)

    async def listen(self, addresses: Sequence[str], host_keys: Sequence[asyncssh.SSHKey]) -> list[str]:
        """Begin to accept; return the addresses as `host:port`, with the port the system picked for port 0.

        Raises SiteError for an address that cannot be had.
        """
        await self.configure(self.config, host_keys)
        listeners: list[socket.socket] = []
        try:
            for address in addresses:
                listeners += await _listeners(address)
        except SiteError:
            for listener in listeners:
                listener.close()
            raise
        for listener in listeners:
            self.door.listen(listener, self._connection)
        names = [listener.getsockname() for listener in listeners]
        return [f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}" for name in names]

    def _connection(self, place: Place) -> Connection:
        assert self._options is not None  # noqa: S101 (set before the door opens)
        return Connection(asyncio.get_running_loop(), self._options, self.config.limits, place)

    async def close(self) -> None:
        """Stop accepting, let running orders end, and close every connection with a word."""
        await self.door.close()
        await self.visitors.dispatch.settle()
        connections = [visitor.connection for visitor in self.visitors]
        farewells = [asyncio.ensure_future(visitor.leave(_CLOSING)) for visitor in self.visitors]
        if farewells:
            _, unheard = await asyncio.wait(farewells, timeout=_FAREWELL)
            for farewell in unheard:
                farewell.cancel()
        for visitor in self.visitors:
            visitor.end(_CLOSING)
        waiting = [asyncio.ensure_future(connection.wait_closed()) for connection in connections]
        if waiting:
            await asyncio.wait(waiting, timeout=_GOODBYE)
        for connection in connections:
            connection.abort()

    async def look_after(self) -> None:
        """Look after whoever is connected, and after the door itself, for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.visitors.bans.refresh()
            self.visitors.look_after()
            self.visitors.dispatch.execution.look_after()
            self._look_at_resources()
            self.door.refusals.tick()
            self.visitors.dispatch.hasty.tick()

    def _look_at_resources(self) -> None:
        self.door.shortage = shortage(self.config.limits)
        if self.door.shortage:
            self.door.alert("alert.resources", reason=self.door.shortage)


async def _listeners(address: str) -> list[socket.socket]:
    """Return a listening socket for each thing that an address stands for; raises SiteError."""
    host, port = split_address(address)
    listeners: list[socket.socket] = []
    loop, missing = asyncio.get_running_loop(), None
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, name in dict.fromkeys(found):
            try:
                listeners.append(_listener(family, name))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not listeners:
            raise missing
    except UnicodeError:
        raise SiteError(f"cannot listen on {address}: not a host name") from None
    except OSError as error:
        for listener in listeners:
            listener.close()
        # A name that cannot be resolved has a number of its own kind.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SiteError(f"cannot listen on {address}: {reason}") from None
    return listeners


def _listener(family: int, name: Any) -> socket.socket:  # noqa: ANN401 (a tuple that depends on the family)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(name)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
