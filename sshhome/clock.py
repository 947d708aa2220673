"""What time it is; a part that needs the time is given a clock, so that a test can give it another."""

import time
from datetime import UTC, datetime


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
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
