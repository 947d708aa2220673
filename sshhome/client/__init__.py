"""The client app's library: a house's orders as methods, and what happens in it; it needs nothing but asyncssh.

async with House.connect("home@house", key="~/.ssh/app") as house:
    await house.on("kitchen")
    async for change in house.watch("@living"):
        print(change)
"""

from sshhome.client.backoff import Backoff
from sshhome.client.device import Change, Device, Gap, Happening
from sshhome.client.errors import Closed, LeftOut, LoginRefused, NotTrusted, Unreachable
from sshhome.client.house import House
from sshhome.client.mirror import Mirror
from sshhome.client.watch import Watch
from sshhome.errors import (
    BadArguments,
    Banned,
    Denied,
    Internal,
    NotConfirmed,
    OutcomeUnknown,
    Refused,
    SlowDown,
    SshhomeError,
    StepUp,
    TimedOut,
    Unavailable,
    UnknownOrder,
)

__all__ = [
    "Backoff",
    "BadArguments",
    "Banned",
    "Change",
    "Closed",
    "Denied",
    "Device",
    "Gap",
    "Happening",
    "House",
    "Internal",
    "LeftOut",
    "LoginRefused",
    "Mirror",
    "NotConfirmed",
    "NotTrusted",
    "OutcomeUnknown",
    "Refused",
    "SlowDown",
    "SshhomeError",
    "StepUp",
    "TimedOut",
    "Unavailable",
    "UnknownOrder",
    "Unreachable",
    "Watch",
]
