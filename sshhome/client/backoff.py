"""How long to wait before something is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Backoff:
    """Twice as long before each further try, up to `longest` seconds, and never the same for all who wait.

    After a power cut all apps of a house come back at once: by chance each waits half to all of its time.
    """

    first: float = 0.5
    longest: float = 30.0
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: random.Random = field(default_factory=random.SystemRandom)

    async def wait(self, failures: int) -> None:
        """Wait before the try that follows so many failed ones; the first one needs no waiting."""
        if failures:
            # A float of more doublings than that is none any more.
            delay = min(self.first * 2.0 ** min(failures - 1, 64), self.longest)
            await self.pause(delay * (0.5 + self.chance.random() / 2))
