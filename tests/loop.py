"""How tests let time pass on the event loop, on which a connection's own deadlines run."""

import asyncio
from collections.abc import Callable


class _Ahead:
    """The clock of a loop, ahead of what it was."""

    def __init__(self, before: Callable[[], float]) -> None:
        self._before = before
        self.seconds = 0.0

    def __call__(self) -> float:
        return self._before() + self.seconds


def advance(seconds: float) -> None:
    """Let time pass on the running loop's clock; what was due by then runs in its next turn."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop.time, _Ahead):
        loop.time = _Ahead(loop.time)  # type: ignore[method-assign]  # (a loop of this one test)
    loop.time.seconds += seconds


async def turns() -> None:
    """Let the loop run what is due, and what that in turn asks for."""
    for _ in range(10):
        await asyncio.sleep(0)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it ends: a cancellation can be lost in Python 3.11's `wait_for`, which aiomqtt waits with."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
    if not task.cancelled():
        # Whoever wants to know looks.
        task.exception()
