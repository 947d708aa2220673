"""An order with a key of its own runs once: whoever asks for it again gets the first answer, also after a restart.

Who loses a connection cannot know whether the order that was sent was carried out, and asks again with the same key.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from sshhome.clock import Clock
from sshhome.errors import BY_CODE, BadArguments, Internal, OutcomeUnknown, SshhomeError
from sshhome.escape import encoded
from sshhome.form import result
from sshhome.order import Order
from sshhome.outcome import Answer, Filtered, Outcome
from sshhome.session import Login
from sshhome.store import Repeatable, Store

#: Seconds for which an answer is kept, and its bytes; characters of a key.
_KEPT, _LONGEST, _LONGEST_KEY = 86_400.0, 16 * 1024, 64
#: What proves who asks, and need not be the same when they ask again.
_PROOFS = frozenset({"code", "yes"})

#: Runs an order whose turn it is.
Runs = Callable[[Awaitable[Outcome]], Awaitable[Outcome]]


class _Ended(msgspec.Struct, frozen=True):
    """How an order ended, as it is kept: each error is its code, message and hint."""

    result: Any = None
    answers: bool = False
    left_out: tuple[tuple[str, str, str, str], ...] = ()
    error: tuple[str, str, str] | None = None
    #: Why there is no more of it.
    unkept: str = ""


class Turn:
    """One order that runs once: either it has been answered, or `run` is how it is carried out."""

    def __init__(self, store: Store, begun: Repeatable) -> None:
        """Begin with nothing done."""
        self._store = store
        self._begun = begun
        self.answer: Outcome | None = None

    async def run(self, order: Order, carry_out: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Carry out what has passed all checks, once it is kept that this begins, and keep how it ends."""
        await self._store.begin_repeatable(self._begun, self._begun.at - _KEPT)
        try:
            outcome = await carry_out()
        except SshhomeError as error:
            await self._end(order, Outcome(error=error))
            raise
        if outcome.stream is None:
            await self._end(order, outcome)
        return outcome

    async def _end(self, order: Order, outcome: Outcome) -> None:
        # Nobody is answered what a repeat would not be told as well.
        await self._store.end_repeatable(msgspec.structs.replace(self._begun, answer=_kept(order, outcome)))


class Once:
    """The orders that run once, by who gives them, what they came with, and the key that they made up."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep them in a store."""
        self._store = store
        self._clock = clock
        self._running: dict[tuple[str, str, str], asyncio.Future[None]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, login: Login, key: object, name: str, params: Mapping[str, Any]) -> AsyncIterator[Turn]:
        """Take a turn with a key, after any other that has it: that one's answer is then this one's, too.

        Raises BadArguments for what is no key, or one of another order, and OutcomeUnknown where it had begun and
        nobody knows how it ended.
        """
        if not isinstance(key, str) or not (1 <= len(key) <= _LONGEST_KEY and all("!" <= char <= "~" for char in key)):
            raise BadArguments(f"an idempotency_key is 1 to {_LONGEST_KEY} visible ASCII characters")
        way = login.key or login.method
        place = (login.user, way, key)
        while (other := self._running.get(place)) is not None:
            await asyncio.shield(other)
        ended = self._running[place] = asyncio.get_running_loop().create_future()
        try:
            now = self._clock.now()
            turn = Turn(self._store, Repeatable(login.user, way, key, _digest(name, params), now))
            known = await self._store.repeatable(login.user, way, key, now - _KEPT)
            if known is not None:
                turn.answer = _answered(known, _digest(name, params))
            yield turn
        finally:
            del self._running[place]
            ended.set_result(None)


def _digest(name: str, params: Mapping[str, Any]) -> bytes:
    meant = {param: value for param, value in params.items() if param not in _PROOFS}
    return hashlib.sha256(msgspec.json.encode([name, meant], order="sorted")).digest()


def _kept(order: Order, outcome: Outcome) -> bytes:
    """Return how an order ended as it is kept; a store is no place for secrets, nor for long lists."""
    error, unkept = outcome.error, ""
    answer = msgspec.Raw(encoded(result(outcome) if outcome.answers else None))
    if order.is_secret:
        unkept = "what it answered may be secret"
    elif len(answer) > _LONGEST:
        unkept = "what it answered is too long"
    left_out = tuple((label, why.code, why.message, why.hint) for label, why in outcome.left_out)
    return encoded(
        _Ended(
            result=None if unkept else answer,
            answers=bool(outcome.answers),
            left_out=left_out,
            error=(error.code, error.message, error.hint) if error else None,
            unkept=unkept if outcome.answers else "",
        )
    )


def _answered(known: Repeatable, digest: bytes) -> Outcome:
    """Return what is kept of an order; raises BadArguments for another one, and OutcomeUnknown where nothing is."""
    if known.digest != digest:
        raise BadArguments("this idempotency_key was another order's", "make up one for each order")
    if known.answer is None:
        raise OutcomeUnknown(
            "it had begun, and nobody knows how it ended; it was not given again", "look at what it was to change"
        )
    # The fast decoder takes no text that the slow encoder had to write.
    ended = msgspec.convert(json.loads(known.answer), _Ended)
    if ended.unkept:
        raise OutcomeUnknown(f"it was carried out; {ended.unkept}, so that it was not kept")
    answers = [Answer(Filtered(ended.result))] if ended.answers else []
    left_out = [(label, _error(*told)) for label, *told in ended.left_out]
    return Outcome(answers=answers, left_out=left_out, error=_error(*ended.error) if ended.error else None)


def _error(code: str, message: str, hint: str) -> SshhomeError:
    return BY_CODE.get(code, Internal)(message, hint)
