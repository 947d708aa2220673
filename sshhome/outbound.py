"""Requests to the world outside: the one way out of the house, which leads nowhere that the owner has not named.

Whoever can choose where a server sends something can have it speak to what only the server reaches: the router, a
camera, the address from which a cloud hands out its keys. So a name is looked up once, each address that it stands for
is looked at, and the connection goes to that very address: a name that stands for another one by then changes nothing.
No redirect is followed, no proxy is asked, and of the answer no more is read than its status.
"""

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sshhome.errors import BadArguments, Unavailable
from sshhome.source import Address, Network, origin_of

#: Seconds for all of a request, and for a connection to one of the addresses; how many of them are tried.
_PATIENCE, _CONNECT, _ADDRESSES = 15.0, 5.0, 3
#: Bytes of a line of an answer, and lines before that with its status: of what goes on.
_LINE, _LINES = 8 * 1024, 100
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r?\n)")
_PORTS = {"https": 443, "http": 80}

#: What is not on the public Internet, or leads around a corner to what is not (IANA's registries of special addresses);
#: and one that looks public, from which a cloud tells its machines what others must not know.
_INSIDE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        # Of IPv6 2000::/3 alone is public: not ::1, fc00::/7, fe80::/10, nor NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
        *("::/3", "4000::/2", "8000::/1"),
        # Teredo and others of the IETF, examples, 6to4.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)

#: What a name and a port stand for, as `getaddrinfo` tells it.
Resolve = Callable[[str, int], Awaitable[Sequence[Any]]]


class Url(msgspec.Struct, frozen=True):
    """Where a request goes; `path` may hold a secret, and is not shown."""

    secure: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        """Return where it is, without what stands behind that."""
        return f"{'https' if self.secure else 'http'}://{self.place}"

    @property
    def place(self) -> str:
        """Its host, and its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Return what a URL means; raises BadArguments, without a word of what it says."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in _PORTS or not all("!" <= char <= "~" for char in text):
        raise BadArguments("a url is https://HOST[:PORT][/PATH], in ASCII and without spaces")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadArguments("a url has no user, password or #fragment here")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Url(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)


class Outbound:
    """Sends requests; there is one for all that leaves the house."""

    def __init__(self, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Ask the system for addresses, and trust whom the system trusts, unless others are given."""
        self._resolve = resolve or _resolve
        self._tls = tls

    async def post(self, url: Url, headers: Mapping[str, str], body: bytes, allow: Sequence[Network] = ()) -> int:
        """Post a body and return the status of the answer; raises Unavailable where there is none.

        `allow` are the networks that it may go to beside the public Internet, and to which it may go without TLS.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await self._connected(url, allow)
                try:
                    return await _asked(reader, writer, _request(url, headers, body))
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise Unavailable(f"{url} does not answer") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Unavailable(f"what {url} answers is not HTTP") from None
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(f"the certificate of {url} is not trusted: {error.verify_message}") from None
        except (ssl.SSLError, OSError, UnicodeError) as error:
            raise Unavailable(f"{url} cannot be reached: {_words(error)}") from None

    async def _connected(self, url: Url, allow: Sequence[Network]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address that answers, of those that it may go to."""
        found = dict.fromkeys((family, at) for family, _, _, _, at in await self._resolve(url.host, url.port))
        barred = [why for _, at in found if (why := _barred(url, at[0], allow))]
        places = [place for place in found if not _barred(url, place[1][0], allow)][:_ADDRESSES]
        if not places:
            raise barred[0] if barred else Unavailable(f"{url.host} has no address")
        for number, (family, at) in enumerate(places, 1):
            try:
                async with asyncio.timeout(_CONNECT):
                    connected = await _connect(family, at)
                break
            except OSError:  # (a timeout is one, too)
                if number == len(places):
                    raise
        trusted: dict[str, Any] = {"ssl": self._trusted, "server_hostname": url.host} if url.secure else {}
        return await asyncio.open_connection(sock=connected, limit=_LINE, **trusted)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return self._tls or ssl.create_default_context()


def _barred(url: Url, address: str, allow: Sequence[Network]) -> Unavailable | None:
    """Return why a request does not go to an address, or None."""
    at: Address = origin_of(address).first
    if any(at in network for network in allow):
        return None
    named = "" if url.host == str(at) else f"{url.host} is "
    hint = f'if it is meant, say allow = ["{at}"] where its url is'
    if any(at in network for network in _INSIDE):
        return Unavailable(f"{named}{at}, which is not on the public Internet", hint)
    return None if url.secure else Unavailable(f"{named}{at}, and http:// is for what `allow` names", hint)


async def _resolve(host: str, port: int) -> Sequence[Any]:
    """Ask the system, which may take its time: on a thread that nothing else waits for, the end of us neither."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[Any]] = loop.create_future()

    def tell(answer: Sequence[Any] | Exception) -> None:
        if found.done():
            return
        if isinstance(answer, Exception):
            found.set_exception(answer)
        else:
            found.set_result(answer)

    def ask() -> None:
        answer: Sequence[Any] | Exception
        try:
            answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answer = error
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    return await found


async def _connect(family: int, at: Any) -> socket.socket:  # noqa: ANN401 (a tuple that depends on the family)
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, at)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _request(url: Url, headers: Mapping[str, str], body: bytes) -> bytes:
    told = {"host": url.place, **headers, "content-length": str(len(body)), "connection": "close"}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + body


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request and return the status of its answer; what else there is of that is not read."""
    writer.write(request)
    await writer.drain()
    going_on = False
    for _ in range(_LINES):
        line = await reader.readuntil(b"\n")
        if going_on:
            # Up to the line that is empty; that it goes on is no answer yet.
            going_on = bool(line.strip())
        elif (status := _STATUS.match(line)) is None:
            break
        elif not (going_on := status[1].startswith(b"1")):
            return int(status[1])
    raise asyncio.IncompleteReadError(b"", None)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    # A name that cannot be resolved has a number of its own kind, and one that cannot be any has none.
    return "no such name"
