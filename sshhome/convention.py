"""A convention is how devices speak over MQTT: here what a parser must offer, in `conventions/` the ones there are.

A parser does no I/O and knows no broker: messages go in; devices, and messages to send, come out. It is made anew for
each connection, so that what is left from before is what has been told again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from sshhome.device import Device, State

T = TypeVar("T")


def decoded(payload: bytes | msgspec.Raw, kind: type[T], *, strict: bool = True) -> T | None:
    """Return what JSON says if it is of a kind, else None; with `strict=False` also what is written in quotes."""
    try:
        return msgspec.json.decode(payload, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Message(msgspec.Struct, frozen=True):
    """What is published, never retained."""

    topic: str
    payload: bytes = b""


class Heard(msgspec.Struct):
    """What follows from a message: each list is in order, and most are empty.

    `changed` has each device of which something was heard, a change or not; `gone` and `refused` (with the device's
    own words) go by identity. `listen` and `leave` are topics to be subscribed to from now on, or no longer; `ask` are
    messages that ask devices how they are. `rest` is what else follows from a message that takes long, each part worked
    out when it is asked for, so that others get their turn in between; nothing else is heard until the last of them.
    """

    changed: list[Device] = []
    gone: list[str] = []
    refused: list[tuple[str, str]] = []
    listen: list[str] = []
    leave: list[str] = []
    ask: list[Message] = []
    rest: Iterable["Heard"] = ()

    @property
    def parts(self) -> Iterator["Heard"]:
        """It, and its rest."""
        yield self
        yield from self.rest


#: What nothing follows from.
NOTHING = Heard()


class Convention(Protocol):
    """Reads what devices tell, and writes what they are told, in one convention.

    Whatever is sent to it, `hear` raises nothing: payloads are anybody's.
    """

    @property
    def topics(self) -> Sequence[str]:
        """Topic filters to subscribe to once connected; what is listened to later comes from `hear`."""

    def hear(self, topic: str, payload: bytes, now: float) -> Heard:
        """Take a message; `now` is on the monotonic clock. One on a topic of somebody else's is `NOTHING`."""

    def later(self, now: float) -> Heard:
        """Return what follows from time alone, such as a reading that has expired; called every second."""

    def say(self, device: Device, change: State) -> Sequence[Message]:
        """Return what to publish for a change; raises Refused for one that cannot be said.

        `device` is as the house has it, with everything that is known of its state; it goes by its identity.
        """


#: What makes the parser of a convention, given the options of its backend.
Make = Callable[[Mapping[str, Any]], Convention]
