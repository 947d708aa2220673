"""One JSON-RPC channel: what is asked on it is answered in whatever order, and all of it is lost with the channel."""

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar, cast

import asyncssh

from sshhome.client.errors import Unreachable, error_of
from sshhome.client.frames import Frames, packed

SUBSYSTEM = "sshhome"
_Opened = TypeVar("_Opened", bound=tuple[Any, ...])
#: Exit status of a channel that the house closes at once since the user has too many.
TOO_MANY = 75


class Lost(Exception):
    """The channel was closed, or there was none, before there was an answer."""


async def opened(connection: asyncssh.SSHClientConnection, opening: Coroutine[Any, Any, _Opened]) -> _Opened:
    """Return a channel, the first of a tuple, once it is open; raises Lost, or Unreachable where there is never one.

    Whoever stops waiting leaves none behind: the house counts them.
    """
    task = asyncio.create_task(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_close)
        raise
    except (OSError, asyncssh.Error) as error:
        # To asyncssh a connection that is closed meanwhile is one that refuses.
        raise Lost("the house has hung up") if connection.is_closed() else _refused(error) from None


def _close(opening: asyncio.Task[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


def _refused(error: Exception) -> Exception:
    """Return what it means that no channel was opened."""
    if isinstance(error, asyncssh.ChannelOpenError) and error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED:
        return Unreachable("what answers there has no channel for apps", "is it a house, and new enough?")
    return Lost(getattr(error, "reason", str(error)))


def strange(error: Exception) -> Unreachable:
    """Return what it means that something was said that no house says."""
    return Unreachable(f"what answers there does not speak as a house does: {error or type(error).__name__}")


class Channel(asyncssh.SSHClientSession[bytes]):
    """Asks, and hears the answers; see `open`."""

    def __init__(self) -> None:
        """Begin."""
        self._frames = Frames()
        self._ids = itertools.count(1)
        self._waiting: dict[object, asyncio.Future[Any]] = {}
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        #: Why nothing can be asked any more.
        self.closed: Exception | None = None

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection) -> "Channel":
        """Open a channel; raises Lost, or Unreachable where there will never be one."""
        _, session = await opened(connection, connection.create_session(cls, subsystem=SUBSYSTEM, encoding=None))
        channel = cast("Channel", session)
        if channel.closed is not None:
            # At once, as where there are too many.
            raise channel.closed
        return channel

    async def ask(self, method: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
        """Return the answer; raises the error that the house answers, or Lost."""
        if self.closed is not None:
            raise self.closed
        id_ = next(self._ids)
        self._waiting[id_] = answer = asyncio.get_running_loop().create_future()
        try:
            self._send({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
            return await answer
        except asyncio.CancelledError:
            with contextlib.suppress(Lost):
                self._send({"jsonrpc": "2.0", "method": "cancel", "params": {"id": id_}})
            raise
        finally:
            del self._waiting[id_]
            if answer.done() and not answer.cancelled():
                # Nobody may be left to be told of an error.
                answer.exception()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._channel is not None  # noqa: S101 (an open session has its channel)
        try:
            self._channel.write(packed(message))
        except OSError:
            # It is being closed, and only the last word is missing.
            lost = Lost("the house is hanging up")
            self._end(lost)
            raise lost from None

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()

    # -- what asyncssh calls ------------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take note of the channel."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Hand out the answers; what comes on standard error is for people."""
        if datatype is not None:
            return
        try:
            for message in self._frames.feed(data):
                self._answer(message)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self._end(strange(error))
            self.close()

    def _answer(self, message: Mapping[str, Any]) -> None:
        id_ = message.get("id")
        if id_ is None and "error" in message:
            # What was sent was no message to it, and nobody knows whose it was.
            raise ValueError(error_of(message["error"]).message)
        waiting = self._waiting.get(id_)
        if waiting is None or waiting.done():
            return
        if "error" in message:
            waiting.set_exception(error_of(message["error"]))
        else:
            waiting.set_result(message.get("result"))

    def exit_status_received(self, status: int) -> None:
        """Take note of why the house closes the channel."""
        if status == TOO_MANY:
            self._end(Lost("the house has too many sessions of this user"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._end(Lost(getattr(exc, "reason", "") or "the house has hung up"))

    def _end(self, why: Exception) -> None:
        if self.closed is None:
            self.closed = why
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(why)
