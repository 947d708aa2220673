"""Orders on the command line: `ssh home@house on kitchen`."""

import asyncio

from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.session import Session


async def run(channel: SessionChannel, session: Session) -> int:
    """Run the orders in turn; return the status of the first failure."""
    task = asyncio.current_task()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        if task is not None:
            task.cancel()

    def read(text: str | None) -> None:
        if channel.terminal and text is not None and "\x03" in text:
            interrupt()

    channel.interrupted = interrupt
    channel.read_with(read)
    status = 0
    try:
        async for outcome in channel.dispatch.run_line(session, channel.command or ""):
            failed = await channel.deliver(outcome)
            status = status or failed
    except asyncio.CancelledError:
        if not interrupted:
            raise
        # The order itself goes on; only the waiting has ended.
        return INTERRUPTED
    return status
