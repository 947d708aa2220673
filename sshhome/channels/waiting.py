"""What somebody sees who waits: how far an order over many devices is, and what still moves once it was answered.

It is one row below all else, where the terminal can draw it, and wiped by whatever is written next.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from msgspec.structs import replace

from sshhome.channels import SessionChannel
from sshhome.moving import Motion, Step, arrived, follow, going_row, moves, where
from sshhome.outcome import Answer, Moving, Outcome
from sshhome.render import wrapped
from sshhome.session import Session
from sshhome.words import Word

#: Seconds that an order may take before it shows how far it is, and then between two looks.
_AFTER, _APART = 0.5, 0.2


async def outcomes(
    channel: SessionChannel, session: Session, line: str, also: Sequence[Word] = ()
) -> AsyncIterator[Outcome]:
    """Run the orders of a line and yield how each ended; one that takes long shows meanwhile how far it is.

    With `--progress` an order has ended once what it set moving stands still.
    """
    asked = "--progress" in line or any(word.text == "--progress" for word in also)
    running = channel.dispatch.run_line(session, line, also)
    while True:
        with _shown(channel, session, asked=asked):
            outcome = await anext(running, None)
        if outcome is None:
            return
        if outcome.follow and outcome.moving:
            outcome = await _arrival(channel, session, outcome)
        yield outcome


@contextlib.contextmanager
def _shown(channel: SessionChannel, session: Session, *, asked: bool) -> Iterator[None]:
    """Show how far the order is that is waited for, where it tells of that; in JSON, to who has asked for it."""
    if not (channel.look.drawn or asked):
        yield
        return

    async def draw() -> None:
        told = None
        await asyncio.sleep(_AFTER)
        while True:
            progress = session.progress
            if progress is not None and progress.json and progress.count != told:
                told = progress.count
                channel.answer(Outcome(answers=[Answer(told)], json=True))
            elif progress is not None and not progress.json and channel.look.drawn:
                channel.row(progress.row(channel.size[0]))
            await asyncio.sleep(_APART)

    # Of an order that ^C left nothing is told to whoever waits for the next one.
    session.progress = None
    drawing = asyncio.create_task(draw())
    try:
        yield
    finally:
        drawing.cancel()
        channel.row("")


async def _arrival(channel: SessionChannel, session: Session, outcome: Outcome) -> Outcome:
    """Wait until what an order set moving stands still, and return how it ended; in JSON, tell each step."""

    def step(motion: Motion) -> None:
        for device in motion.heard if outcome.json else ():
            if device.available:
                channel.answer(replace(outcome, answers=[Answer(Step.of(device))], several=False, left_out=[]))

    await _follow(channel, session, outcome.moving, step, drawn=not outcome.json)
    return arrived(outcome, channel.dispatch.house, channel.dispatch.sight(session))


async def show_moving(channel: SessionChannel, session: Session, moving: Sequence[Moving]) -> None:
    """Show what moves on until it stands still, and then, in a line, where it does."""
    labels = {one.id: one.label for one in moving}

    def step(motion: Motion) -> None:
        for device in motion.heard:
            if not moves(device):
                channel.write(wrapped(f"{labels[device.id]} is {where(device)}", channel.look))

    await _follow(channel, session, moving, step)


async def _follow(
    channel: SessionChannel,
    session: Session,
    moving: Sequence[Moving],
    step: Callable[[Motion], None],
    *,
    drawn: bool = True,
) -> None:
    """Call `step` with each motion; whoever looks on is not idle."""
    dispatch, labels = channel.dispatch, {one.id: one.label for one in moving}
    session.running += 1
    try:
        async with contextlib.aclosing(follow(dispatch.house, labels, lambda: dispatch.sight(session))) as motions:
            async for motion in motions:
                step(motion)
                if drawn and channel.look.drawn:
                    channel.row(going_row(motion.going, labels, channel.size[0]))
                await channel.drain()
    finally:
        session.running -= 1
        channel.row("")
