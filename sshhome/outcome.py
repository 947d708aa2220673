"""How an order ended: what it answered, what it left out and why, or what it would have done."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from sshhome.device import State
from sshhome.errors import NotConfirmed, SshhomeError
from sshhome.order import Order

#: Statuses from the worst to the best, for an order that acted on several devices.
_WORST = (70, 124, 77, 64, 69, 3)


class DryRun(msgspec.Struct, frozen=True):
    """What an order, told with its arguments, would do: to which device, from what to what; nothing of it is done."""

    order: str
    id: str = ""
    before: State = {}
    change: State = {}


class Filtered(msgspec.Struct, frozen=True):
    """What filters left of an answer: text or a table for people, and for JSON plain data."""

    left: Any


class Answer(msgspec.Struct, frozen=True):
    """What an order returned, and for which arguments; `label` is the short name of the device it acted on.

    `back` tells people how what it changed comes back by itself.
    """

    value: Any
    args: Mapping[str, Any] = {}
    label: str = ""
    back: str = ""


class Moving(msgspec.Struct, frozen=True):
    """A device that an order set moving: its short name, and what shall become of it."""

    id: str
    label: str
    change: State


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an order ended: its answers, the devices it left out and why, or the one error.

    `several` tells that the target was a room, a glob or `all`: the JSON form is an array then. One that was
    `rehearsed` tells what would be done, and nothing was. What it set `moving` is to be followed to its end if the
    giver asks for that.
    """

    order: Order | None = None
    answers: Sequence[Answer] = ()
    several: bool = False
    left_out: Sequence[tuple[str, SshhomeError]] = ()
    error: SshhomeError | None = None
    json: bool = False
    wait: bool = True
    rehearsed: bool = False
    moving: Sequence[Moving] = ()
    follow: bool = False

    @property
    def status(self) -> int:
        """The exit status: 0, the error's, or that of the worst device left out."""
        if self.error is not None:
            return self.error.status
        if not self.left_out:
            return 0
        statuses = {error.status for _, error in self.left_out}
        return next((status for status in _WORST if status in statuses), max(statuses))

    @property
    def stream(self) -> AsyncGenerator[Any, None] | None:
        """What goes on answering until whoever asked has enough, for an order that does."""
        values = [answer.value for answer in self.answers]
        return values[0] if values and isinstance(values[0], AsyncGenerator) else None

    @property
    def event(self) -> str:
        """How the audit log calls it."""
        if self.rehearsed and self.answers:
            return "order.rehearsed"
        if self.status in {64, 75, 77, 127} and not self.answers:
            return "order.refused"
        return "order.done" if self.status in {0, NotConfirmed.status} else "order.failed"
