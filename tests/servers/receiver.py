"""A receiver of webhooks, written with aiohttp: it keeps all that it gets, and answers as it is told."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import web

#: 32 bytes, as docs/hooks.md makes them.
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()


def is_signed(headers: Mapping[str, str], body: bytes, secret: str = SECRET) -> bool:
    """Return whether a body is signed with a secret, as Standard Webhooks has it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = hmac.new(b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    told = [b64decode(word.removeprefix("v1,")) for word in headers["webhook-signature"].split()]
    return any(hmac.compare_digest(wanted, one) for one in told)


class Receiver:
    """What it has got so far, and how it answers."""

    def __init__(self) -> None:
        """Answer 204 to everything."""
        self.port = 0
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        #: Statuses that are answered first, and then for ever.
        self.answers: list[int] = []
        self.answer = 204
        self.headers: Mapping[str, str] = {}
        #: While it is cleared, nothing is answered.
        self.open = asyncio.Event()
        self.open.set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/door?token=hidden-in-the-url"

    @property
    def told(self) -> list[dict[str, Any]]:
        """All that it was told, refused or not."""
        return [json.loads(body) for _, body in self.requests]

    @property
    def ids(self) -> list[str]:
        """The ids of what it was told."""
        return [headers["webhook-id"] for headers, _ in self.requests]

    def has(self, count: int) -> Callable[[], bool]:
        """Return what tells whether it has got so many."""
        return lambda: len(self.requests) >= count

    async def handle(self, request: web.Request) -> web.Response:
        """Take a request."""
        self.requests.append((request.headers, await request.read()))
        status = self.answers.pop(0) if self.answers else self.answer
        await self.open.wait()
        return web.Response(status=status, headers=self.headers)


@contextlib.asynccontextmanager
async def receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Receive webhooks on a port of the loopback net."""
    received = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", received.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        received.port = runner.addresses[0][1]
        yield received
    finally:
        received.open.set()
        await runner.cleanup()
