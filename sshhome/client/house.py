"""A house, as an app has it: its orders as methods, and what happens in it as it happens."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sshhome.client.backoff import Backoff
from sshhome.client.channel import Channel, Lost
from sshhome.client.errors import Unreachable
from sshhome.client.line import Key, Line
from sshhome.client.mirror import Mirror
from sshhome.client.orders import LOOKING, Orders
from sshhome.client.watch import Watch
from sshhome.errors import BadArguments, OutcomeUnknown, SlowDown

#: Orders that the house works on at once on one channel; with more, those that wait could not be called off.
_AT_ONCE = 16
#: Seconds for which an order waits for a connection that was lost.
PATIENCE = 60.0


class House(Orders):
    """One connection to a house, made again whenever it is lost.

        async with House.connect("home@house", key="~/.ssh/app") as house:
            await house.on("kitchen")

    No order is carried out twice: each bears a key of its own, under which the house runs it once. What only looks at
    the house bears none, and is asked again.
    """

    def __init__(self, line: Line, patience: float) -> None:
        """Take over how to reach it; see `connect`."""
        self._line = line
        self._patience = patience
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._opening = asyncio.Lock()
        self._channel: Channel | None = None
        #: Times in a row that no channel was to be had.
        self._failures = 0

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        key: Key | None = None,
        password: str | None = None,
        known_hosts: str | Path | None = None,
        fingerprint: str = "",
        patience: float = PATIENCE,
        backoff: Backoff | None = None,
    ) -> Self:
        """Return the house at USER@HOST or USER@HOST:PORT, to be entered with `async with`.

        Without a key, those of ~/.ssh, its agent and its config count, as for `ssh`. It must prove to be the house by a
        key that a known_hosts file has, ~/.ssh/known_hosts if none is named, or one of this `fingerprint` (SHA256:…).
        """
        return cls(
            Line(
                address,
                key=key,
                password=password,
                known_hosts=known_hosts,
                fingerprint=fingerprint,
                backoff=backoff or Backoff(),
            ),
            patience,
        )

    async def __aenter__(self) -> Self:
        """Connect; raises Unreachable, NotTrusted or LoginRefused."""
        await self._line.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self.hang_up()

    async def hang_up(self) -> None:
        """Hang up; who waits for an answer is told Closed, and who watches that there is no more."""
        await self._line.close()

    # -- orders -------------------------------------------------------------------------------------------------------

    async def call(self, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
        """Give an order by its name, and return its answer as JSON has it; a param that is None is not given.

        If the connection is lost, the order is given again under the same key when there is another one. Raises the
        house's own error; Unreachable if there is none in time, or OutcomeUnknown if the order may have run before.
        """
        given = {name.rstrip("_"): value for name, value in params.items() if value is not None}
        if order not in LOOKING:
            given.setdefault("idempotency_key", secrets.token_hex(16))
        async with self._room:
            return await self._call(order, given)

    async def _call(self, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
        loop = asyncio.get_running_loop()
        sent, tries, patience = False, 0, self._patience
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(patience):
                    await self._line.wait(tries)
                    channel = await self._opened()
            except (TimeoutError, Unreachable) as error:
                why = error.message if isinstance(error, Unreachable) else self._line.trouble
                if sent:
                    _doubt(order, params, f"the connection was lost: {why}")
                if isinstance(error, Unreachable):
                    raise
                raise Unreachable(f"{self._line.address} cannot be reached: {why}") from None
            patience -= loop.time() - began
            try:
                return await _answer(channel, order, params)
            except Lost as lost:
                self._line.trouble = str(lost)
            except Unreachable as error:
                if sent:
                    _doubt(order, params, error.message)
                raise
            except SlowDown:
                # Where it was given before, it may have run: then this is no answer yet.
                if not sent:
                    raise
            sent, tries = True, tries + 1

    async def _opened(self) -> Channel:
        """Return the channel, a new one where it was lost."""
        async with self._opening:
            while self._channel is None or self._channel.closed is not None:
                await self._line.wait(self._failures)
                connection = await self._line.connection()
                try:
                    self._channel = await Channel.open(connection)
                    self._failures = 0
                except Lost as lost:
                    self._failures += 1
                    self._line.trouble = str(lost)
            return self._channel

    # -- what happens -------------------------------------------------------------------------------------------------

    def watch(self, target: str = "", *, topics: Sequence[str] = ("state",), snapshot: bool = False) -> Watch:
        """Return what tells each change of what `target` names, everything if nothing is named, as it happens.

        `topics` are `state`, and for those who run the house `presence` and `audit`. With a `snapshot`, `devices` has
        what is watched as it is when it begins, and each Gap what it is after that.
        """
        return Watch(self._line, topics, target, snapshot=snapshot)

    @asynccontextmanager
    async def mirror(self, target: str = "") -> AsyncIterator[Mirror]:
        """Keep the state of what `target` names, everything if nothing is named, at hand and up to date."""
        async with self.watch(target, snapshot=True) as watch, Mirror(watch) as mirror:
            yield mirror


async def _answer(channel: Channel, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
    answer = await channel.ask(order, params)
    if isinstance(answer, Mapping) and "subscription" in answer:
        await channel.ask("unsubscribe", {"subscription": answer["subscription"]})
        raise BadArguments(f"'{order}' goes on, and has no answer", "`watch` tells what happens")
    return answer


def _doubt(order: str, params: Mapping[str, object], why: str) -> None:
    """Raise OutcomeUnknown for an order that was given and may have changed something."""
    if "idempotency_key" in params:
        raise OutcomeUnknown(f"'{order}' was given, and {why}") from None
