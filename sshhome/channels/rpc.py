"""Orders of an app: JSON-RPC over one channel that stays open, as docs/protocol.md tells it.

Every order takes the road of all others; what is asked of the conversation itself (`cancel`, `unsubscribe`,
`rpc.discover`) is answered at once.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.errors import BadArguments, Internal, SlowDown, SshhomeError
from sshhome.form import plain, result
from sshhome.frame import BadFrame, Frames, framed
from sshhome.jsonrpc import Id, NoRequest, Request, encoded, error_of, invalid, parse
from sshhome.openrpc import openrpc
from sshhome.outcome import Outcome
from sshhome.render import left_out
from sshhome.session import Session
from sshhome.trace import incident

#: Requests that are worked on at once, and subscriptions of a channel.
_AT_ONCE, _MOST_SUBSCRIPTIONS = 16, 16
#: Messages that are read before others get their turn.
_TURN = 32
#: The order whose stream begins with what belongs to the answer.
_SUBSCRIBE = "subscribe"


class _Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id


class _Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subscription: int


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Exchange:
    """A message of the client, and the answers to what it asks, which are sent together."""

    def __init__(self, count: int, *, line: bool, array: bool) -> None:
        self.line = line
        self.array = array
        self._answers = [b""] * count
        self._left = count
        #: Set once all is answered.
        self.ended = asyncio.Event()

    def put(self, place: int, answer: bytes) -> bytes:
        """Take an answer, which may be none; return the whole once there is nothing left to wait for."""
        self._answers[place] = answer
        self._left -= 1
        if self._left:
            return b""
        self.ended.set()
        told = list(filter(None, self._answers))
        return b"[" + b",".join(told) + b"]" if self.array and told else b"".join(told)


class _Asked:
    """A request, its place in its message, and about how many bytes it is."""

    __slots__ = ("exchange", "over", "place", "request", "size")

    def __init__(self, request: Request, exchange: _Exchange, place: int, size: int) -> None:
        self.request = request
        self.exchange = exchange
        self.place = place
        self.size = size
        #: Whether it has been answered, or nobody wants an answer any more.
        self.over = False


async def run(channel: SessionChannel, session: Session) -> int:
    """Answer an app until it has nothing more to ask; return the exit status of the channel."""
    conversation = _Conversation(channel, session)
    try:
        return await conversation.ended
    finally:
        await conversation.close()


class _Conversation:
    """What is read and waits, what is under way, what is subscribed, and what is yet to be sent."""

    def __init__(self, channel: SessionChannel, session: Session) -> None:
        self._channel = channel
        self._session = session
        self._dispatch = channel.dispatch
        self._loop = asyncio.get_running_loop()
        self._most = self._dispatch.limits.rpc_message
        self._frames = Frames(self._most)
        self._open: dict[object, _Asked] = {}
        self._waiting: deque[_Asked] = deque()
        #: Bytes of what waits.
        self._size = 0
        self._under_way = 0
        self._subscriptions: dict[int, asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)
        self._out: list[bytes] = []
        self._paused = self._goes_on = self._at_end = False
        #: The exit status, once it is over.
        self.ended: asyncio.Future[int] = self._loop.create_future()
        channel.resumed = self._go_on
        channel.read_with(self._read)

    async def close(self) -> None:
        """End what is subscribed; orders that have begun go on to their end."""
        self._waiting.clear()
        for asked in self._open.values():
            asked.over = True
        tasks = list(self._subscriptions.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes | None) -> None:
        if data is None:
            self._at_end = True
        elif not self.ended.done():
            self._frames.feed(data)
        self._work()

    def _go_on(self) -> None:
        """Work on in the next turn of the loop."""
        if not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Take messages and begin what they ask, as far as there is room; then read on, or end."""
        self._goes_on = False
        if self.ended.done():
            return
        for _ in range(_TURN):
            if self._is_full:
                break
            try:
                message = self._frames.take()
            except BadFrame as error:
                self._send({"id": None, "error": invalid(error.message)}, line=error.line)
                self._end(BadArguments.status)
                return
            if message is None:
                break
            self._take(*message)
        else:
            # A flood of what costs nothing takes turns with all others.
            self._go_on()
        self._begin()
        if self._is_full != self._paused:
            self._paused = not self._paused
            if self._paused:
                self._channel.pause_reading()
            else:
                self._channel.resume_reading()
        idle = not (self._waiting or self._under_way or self._goes_on)
        over = self._at_end and idle and not self._subscriptions and self._channel.flows
        if over or (self._session.leaving and not self._under_way):
            self._end(0)

    @property
    def _is_full(self) -> bool:
        """Whether nothing more is to be read for now."""
        return self._size >= self._most or not self._channel.flows or self._goes_on or self._session.leaving

    def _end(self, status: int) -> None:
        self._flush()
        if not self.ended.done():
            self.ended.set_result(status)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _take(self, message: bytes, line: bool) -> None:  # noqa: FBT001 (as `Frames` gives it)
        found = parse(message)
        exchange = _Exchange(len(found.asked), line=line, array=found.array)
        for place, request in enumerate(found.asked):
            if isinstance(request, NoRequest):
                self._put(exchange, place, encoded({"id": request.id, "error": request.error}))
            else:
                self._enter(_Asked(request, exchange, place, len(message) // len(found.asked)))

    def _enter(self, asked: _Asked) -> None:
        """Answer what is about the conversation, and let all else wait for its turn."""
        request = asked.request
        if request.id is not msgspec.UNSET:
            if request.id in self._open:
                error = invalid("a request of this id is open")
                self._put(asked.exchange, asked.place, encoded({"id": request.id, "error": error}))
                return
            self._open[request.id] = asked
        if request.method not in {"cancel", "unsubscribe", "rpc.discover"}:
            self._size += asked.size
            self._waiting.append(asked)
            return
        try:
            self._reply(asked, {"result": self._answer(request)})
        except msgspec.ValidationError as error:
            self._reply(asked, _failed(BadArguments(f"'{request.method}': {error}")))
        except SshhomeError as error:
            self._reply(asked, _failed(error))

    def _answer(self, request: Request) -> Any:  # noqa: ANN401 (any JSON)
        """Return the answer about the conversation itself; raises SshhomeError."""
        if request.method == "cancel":
            return self._cancel(msgspec.convert(request.params, _Cancel).id)
        if request.method == "unsubscribe":
            task = self._subscriptions.pop(msgspec.convert(request.params, _Unsubscribe).subscription, None)
            return task is not None and task.cancel()
        msgspec.convert(request.params, _Nothing)
        return openrpc(self._dispatch.discover(self._session))

    def _cancel(self, id_: object) -> bool:
        """Let nobody wait for a request any more; one that has begun goes on to its end."""
        asked = self._open.get(id_)
        if asked is None or asked.request.method == "cancel":
            return False
        begun = asked not in self._waiting
        if not begun:
            self._waiting.remove(asked)
            self._size -= asked.size
        says = "it goes on, and nobody waits for it" if begun else "it was not begun"
        self._reply(asked, {"error": error_of(INTERRUPTED, "cancelled", f"cancelled: {says}", begun=begun)})
        return True

    # -- orders -------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin what waits, as far as there is room and its answers are read."""
        held = self._session.leaving or self._dispatch.settling or not self._channel.flows
        while self._waiting and self._under_way < _AT_ONCE and not held:
            asked = self._waiting.popleft()
            self._size -= asked.size
            self._under_way += 1
            task = self._dispatch.call(self._session, asked.request.method, asked.request.params)
            task.add_done_callback(partial(self._done, asked))

    def _done(self, asked: _Asked, task: "asyncio.Task[Outcome]") -> None:
        self._under_way -= 1
        if task.cancelled() or self.ended.done():
            return
        outcome = task.result()
        stream = outcome.stream
        if stream is None:
            if not asked.over:
                self._reply(asked, _told(outcome))
        elif asked.over or asked.request.id is msgspec.UNSET:
            self._drop(stream)
        elif len(self._subscriptions) >= _MOST_SUBSCRIPTIONS:
            self._drop(stream)
            self._reply(asked, _failed(SlowDown(f"{_MOST_SUBSCRIPTIONS} subscriptions on a channel, no more")))
        else:
            number = next(self._numbers)
            following = self._loop.create_task(self._follow(asked, number, outcome, stream))
            following.add_done_callback(partial(self._followed, asked, number))
            self._subscriptions[number] = following
        self._work()

    def _followed(self, asked: _Asked, number: int, following: "asyncio.Task[None]") -> None:
        self._subscriptions.pop(number, None)
        if following.cancelled() and not asked.over:
            # It was unsubscribed before it had begun.
            self._reply(asked, {"error": error_of(INTERRUPTED, "cancelled", "cancelled: unsubscribed", begun=True)})
        self._go_on()

    def _drop(self, stream: AsyncGenerator[Any, None]) -> None:
        """Close what goes on and nobody wants."""
        task = self._loop.create_task(aclosing(stream).__aexit__(None, None, None))
        task.add_done_callback(lambda _: self._go_on())

    async def _follow(self, asked: _Asked, number: int, outcome: Outcome, stream: AsyncGenerator[Any, None]) -> None:
        """Tell what goes on, no faster than it is read; whoever listens is not idle."""
        line = asked.exchange.line
        ours = outcome.order is not None and outcome.order.name == _SUBSCRIBE
        last: Mapping[str, Any] = {}
        self._session.running += 1
        try:
            async with aclosing(stream):
                begins = await anext(stream) if ours else {}
                if asked.over:
                    # It was cancelled meanwhile, and has been answered so.
                    return
                self._reply(asked, {"result": {"subscription": number, **begins}})
                await asked.exchange.ended.wait()
                async for value in stream:
                    told = value if ours else {"topic": "value", "value": plain(value)}
                    self._send({"method": "event", "params": {"subscription": number, **told}}, line=line)
                    await self._channel.drain()
        except SshhomeError as error:
            last = _failed(error)
        except Exception as error:  # noqa: BLE001 (a bug in one thing that goes on ends that alone)
            last = _failed(_fault(error))
        finally:
            self._session.running -= 1
        if not asked.over:
            self._reply(asked, last)
        else:
            event = {"subscription": number, "topic": "end", **last}
            self._send({"method": "event", "params": event}, line=line)

    # -- sending ------------------------------------------------------------------------------------------------------

    def _reply(self, asked: _Asked, member: Mapping[str, Any]) -> None:
        """Answer a request, in time with all others of its message."""
        asked.over = True
        id_, answer = asked.request.id, b""
        if id_ is not msgspec.UNSET:
            self._open.pop(id_, None)
            try:
                answer = encoded({"id": id_, **member})
            except Exception as error:  # noqa: BLE001 (an order that answers what is no JSON costs its answer)
                answer = encoded({"id": id_, **_failed(_fault(error))})
        self._put(asked.exchange, asked.place, answer)

    def _put(self, exchange: _Exchange, place: int, answer: bytes) -> None:
        whole = exchange.put(place, answer)
        if whole:
            self._frame(whole, line=exchange.line)

    def _send(self, message: Mapping[str, Any], *, line: bool) -> None:
        self._frame(encoded(message), line=line)

    def _frame(self, message: bytes, *, line: bool) -> None:
        """Send a message with all others of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(framed(message, line=line))

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out:
            self._channel.send(b"".join(out))


def _failed(error: SshhomeError) -> Mapping[str, Any]:
    data = {"code": error.code, "hint": error.hint}
    return {"error": {"code": error.status, "message": error.message, "data": data}}


def _told(outcome: Outcome) -> Mapping[str, Any]:
    """Return what an order is answered with: its result, or its error, with what was done all the same."""
    if outcome.error is not None:
        return _failed(outcome.error)
    if not outcome.left_out:
        return {"result": result(outcome)}
    worst = next(error for _, error in outcome.left_out if error.status == outcome.status)
    told = [{"device": label, **error.as_json()["error"]} for label, error in outcome.left_out]
    data = {"code": worst.code, "hint": worst.hint, "results": result(outcome), "left_out": told}
    return {"error": {"code": outcome.status, "message": left_out(outcome), "data": data}}


def _fault(error: Exception) -> Internal:
    return Internal(f"it cannot be answered by our own fault, incident {incident('answering an app', error)}")
