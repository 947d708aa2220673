"""What time it is; a part that needs the time is given a clock, so that a test can give it another."""

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC: for what is stored."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that no clock step touches: for durations of live things."""
        return time.monotonic()


def iso(at: float) -> str:
    """Return a moment as ISO 8601 in UTC, to the second."""
    return _iso(int(at // 1))


@lru_cache(maxsize=16)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
