"""What a house tells while it happens: a subscription that goes on where it was when the connection comes back."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import asyncssh

from sshhome.client.channel import SUBSYSTEM, TOO_MANY, Lost, opened, strange
from sshhome.client.device import Change, Device, Gap, Happening, device_of
from sshhome.client.errors import Closed, Unreachable, error_of
from sshhome.client.frames import Frames, packed
from sshhome.client.line import Line
from sshhome.errors import Denied, SlowDown, SshhomeError

Told = Change | Happening | Gap
#: Bytes that may wait here for whoever watches; what is more waits in the house, which then leaves out steps.
_WINDOW = 2**16


class Watch:
    """Everything that is told, in order and nothing twice; where something was missed, there is a Gap.

    It has a channel of its own, from which nothing is read until somebody asks for more: whoever is slow to read is
    told less by the house, and costs no memory here.
    """

    def __init__(self, line: Line, topics: Sequence[str], target: str, *, snapshot: bool) -> None:
        """Say what to watch; it begins with the block, or with the first that is asked for."""
        self._line = line
        self._asked: dict[str, Any] = {"topics": list(topics), "snapshot": snapshot}
        if target:
            self._asked["target"] = target
        #: Where it goes on; empty until it has begun.
        self._cursor = ""
        self._failures = 0
        self._frames = Frames()
        self._heard: list[Mapping[str, Any]] = []
        self._streams: tuple[asyncssh.SSHWriter[bytes], asyncssh.SSHReader[bytes]] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        #: The devices as they were when it began, if that was asked for.
        self.devices: Sequence[Device] = ()

    async def __aenter__(self) -> Self:
        """Begin: nothing that happens from now on is missed. Raises what the house says against it."""
        while self._streams is None:
            await self._connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        self.close()

    def close(self) -> None:
        """End; whoever waits for more is told that there is none."""
        self._closed = True
        self._hang_up()
        if self._connecting is not None:
            self._connecting.cancel()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Told:
        """Return what is told next, if need be over another connection; raises what none would change."""
        try:
            while not self._closed:
                if self._streams is None:
                    await self._connected_or_closed()
                elif (told := await self._next()) is not None:
                    return told
        except Closed:
            raise StopAsyncIteration from None
        # It may have been closed when it had just connected.
        self._hang_up()
        raise StopAsyncIteration

    async def _connected_or_closed(self) -> None:
        """Do the same as `_connected`, and no longer than until it is closed here."""
        self._connecting = asyncio.create_task(self._connected())
        try:
            await self._connecting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._closed or (task is not None and task.cancelling()):
                raise
        finally:
            self._connecting = None

    async def _connected(self) -> None:
        """Connect and subscribe once, after waiting for as long as that has failed; raises what no try would change."""
        await self._line.wait(self._failures)
        connection = await self._line.connection()
        try:
            await self._subscribe(connection)
        except Lost:
            self._lost()
        except BaseException as error:
            self._hang_up()
            # It was good before: a house that has just started need not know all of its devices yet.
            soon = isinstance(error, SshhomeError) and not isinstance(error, Denied | Unreachable)
            if not self._cursor or not soon:
                raise
            self._failures += 1

    async def _subscribe(self, connection: asyncssh.SSHClientConnection) -> None:
        opening = connection.open_session(subsystem=SUBSYSTEM, encoding=None, window=_WINDOW)
        writer, reader, _ = await opened(connection, opening)
        self._frames, self._heard, self._streams = Frames(), [], (writer, reader)
        params = {**self._asked, "cursor": self._cursor} if self._cursor else self._asked
        try:
            writer.write(packed({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}))
        except OSError as error:
            raise Lost(str(error)) from None
        answer = await self._message()
        if "error" in answer:
            raise error_of(answer["error"])
        if not self._cursor:
            try:
                self._cursor = answer["result"]["cursor"]
                self.devices = _devices(answer["result"])
            except (TypeError, LookupError, AttributeError) as error:
                raise strange(error) from None
        self._failures = 0

    async def _next(self) -> Told | None:
        """Return what is told next, None for nothing, which also is a connection that was lost."""
        try:
            message = await self._message()
        except Lost:
            self._lost()
            return None
        try:
            event = message.get("params", {})
            topic = event.get("topic")
            if topic != "end":
                self._cursor = event.get("cursor", self._cursor)
                return _told(topic, event)
            error = error_of(event["error"]) if "error" in event else None
        except (TypeError, LookupError, AttributeError) as wrong:
            self._hang_up()
            raise strange(wrong) from None
        self._lost()
        if error is not None:
            raise error
        return None

    async def _message(self) -> Mapping[str, Any]:
        """Return the next message; raises Lost. Cut off, it loses nothing that was read."""
        assert self._streams is not None  # noqa: S101 (who asks has subscribed)
        writer, reader = self._streams
        while not self._heard:
            try:
                data = await reader.read(_WINDOW)
            except (OSError, asyncssh.Error) as error:
                raise Lost(str(error)) from None
            if not data:
                if cast("asyncssh.SSHClientChannel[bytes]", writer.channel).get_exit_status() == TOO_MANY:
                    raise SlowDown("the house has too many sessions of this user")
                raise Lost("the house has hung up")
            try:
                self._heard += self._frames.feed(data)
            except ValueError as error:
                raise strange(error) from None
        return self._heard.pop(0)

    def _lost(self) -> None:
        self._hang_up()
        self._failures += 1

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[0].close()
            self._streams = None


def _devices(told: Mapping[str, Any]) -> Sequence[Device]:
    return tuple(device_of(device) for device in told.get("devices") or ())


def _told(topic: str, event: Mapping[str, Any]) -> Told | None:
    """Return what an event tells; None for what only a newer client understands."""
    match topic:
        case "state":
            device = event["device"] and device_of(event["device"])
            return Change(event["id"], device, event["change"], event.get("by", ""), event.get("at", ""))
        case "presence":
            fields = {name: event[name] for name in event.keys() - {"subscription", "cursor", "topic", "event", "at"}}
            return Happening("presence", event["event"], fields, event.get("at", ""))
        case "audit":
            return Happening("audit", event["event"], event["fields"], event.get("at", ""))
        case "gap":
            return Gap(tuple(event["topics"]), _devices(event))
    return None
