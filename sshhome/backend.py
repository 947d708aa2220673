"""A backend carries orders to real devices: here what one must offer, in `backends/` the ones there are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from sshhome.clock import Clock
from sshhome.device import Device, State

#: A backend calls this with a device as it is now, whenever it has changed, come or gone (`available=False`).
Report = Callable[[Device], None]


class Backend(Protocol):
    """Carries orders one way and reports the other; it never answers an order itself.

    What counts as done is the device's own echo, which comes back through the report.
    """

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse, without starting anything, what is wrong with a `[[backend]]` table; raises SiteError."""

    @classmethod
    async def open(cls, options: Mapping[str, Any], state: Path, clock: Clock, report: Report) -> Self:
        """Begin to work; `options` is its `[[backend]]` table. Raises SiteError for an option it does not know.

        `state` is the folder where it may keep files of its own.
        """

    def devices(self) -> Sequence[Device]:
        """Return every device known now."""

    async def apply(self, device: Device, change: State) -> None:
        """Send a change to a device; raises Unavailable, or BadArguments in the device's own words.

        Cut off, it ends once the change has been sent, or never will be.
        """

    async def close(self) -> None:
        """Let go of everything; nothing is reported after it."""
