"""A backend carries orders to real devices: here what one must offer, in `backends/` the ones there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from sshhome.clock import Clock
from sshhome.device import Device, State


class Report(Protocol):
    """What a backend tells the house; each of its devices has an `identity` that never moves to another device."""

    def changed(self, device: Device, by: str = "") -> None:
        """Take note of a device as it is now, for everything that is heard of it, a change or not.

        Its id is a proposal. `by` is who or what changed it, in the backend's words, where it knows.
        """

    def gone(self, identity: str) -> None:
        """Take note that there is no such device any more; one that cannot be reached is `changed`."""

    def refused(self, identity: str, words: str) -> None:
        """Take note that a device did not do what it was last told to, in its own words."""


class Link(msgspec.Struct, frozen=True):
    """Whether a backend can reach what it speaks to, and in one line how that is.

    `hint` is what may be the matter when nothing answers though it can.
    """

    up: bool
    says: str
    hint: str = ""


#: The events of the audit log that are news for everybody.
NEWS = ("login.ok", "login.failed", "ban.set", "ban.lifted", "alert.refusals", "alert.resources")


class News(msgspec.Struct, frozen=True):
    """What happens at the door, for automations: an audit event with its fields, or else how things stand."""

    event: str = ""
    fields: Mapping[str, object] = {}
    standing: Mapping[str, object] = {}


class Backend(Protocol):
    """Carries orders one way and reports the other; it never answers an order itself.

    What counts as done is the device's own echo, which comes back through the report.
    """

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse, without starting anything, what is wrong with a `[[backend]]` table; raises SiteError."""

    @classmethod
    async def test(cls, options: Mapping[str, Any]) -> str:
        """Connect once and return in one line what is there; raises SiteError in one line for what is wrong."""

    @classmethod
    async def open(cls, options: Mapping[str, Any], state: Path, clock: Clock, report: Report) -> Self:
        """Begin to work; `options` is its `[[backend]]` table. Raises SiteError for an option it does not know.

        What cannot be reached yet is no error: it goes on trying. `state` is the folder where it may keep files.
        """

    @property
    def link(self) -> Link:
        """How it is with what it speaks to."""

    def devices(self) -> Sequence[Device]:
        """Return every device known now."""

    async def apply(self, device: Device, change: State) -> None:
        """Send a change to a device; raises Unavailable, or Refused in the device's own words.

        All of it is sent well within the time that the house waits, whoever answers or not. Cut off, it ends once the
        change has been sent, or never will be: nothing is sent later.
        """

    def announce(self, news: News) -> None:
        """Tell what happens at the door, where the options ask for it; what cannot be told at once is not told."""

    async def close(self) -> None:
        """Let go of everything; nothing is reported after it."""
