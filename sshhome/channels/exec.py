"""Orders on the command line: `ssh home@house on kitchen`."""

import asyncio

from sshhome.channels import INTERRUPTED, SessionChannel
from sshhome.channels.waiting import outcomes
from sshhome.outcome import Outcome
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
        async for outcome in outcomes(channel, session, channel.command or ""):
            failed = await _deliver(channel, session, outcome)
            # A dashboard had keys of its own.
            channel.read_with(read)
            status = status or failed
    except asyncio.CancelledError:
        if not interrupted:
            raise
        # The order itself goes on; only the waiting has ended.
        return INTERRUPTED
    return status


async def _deliver(channel: SessionChannel, session: Session, outcome: Outcome) -> int:
    """Show what an order answers: `ssh -t` has a dashboard, too."""
    if outcome.stream is None or not channel.look.drawn:
        return await channel.deliver(outcome)
    # What draws and reads keys takes prompt_toolkit, which a house that is only given orders never loads.
    from sshhome.channels.dashboard import alone, drawn  # noqa: PLC0415

    return await (alone(channel, session, outcome) if drawn(channel, outcome) else channel.deliver(outcome))
