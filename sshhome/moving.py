"""What an order has set moving, such as a garage door, is followed until it stands still."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from sshhome.device import Device, Scalar
from sshhome.errors import NotConfirmed, SshhomeError, TimedOut, Unavailable
from sshhome.house import Event, House
from sshhome.outcome import Moving, Outcome
from sshhome.progress import row
from sshhome.quantity import span
from sshhome.summary import whereabouts

#: Seconds for which anything is followed: the slowest gate is there by then, and what is stuck never will be.
LONGEST = 120.0
#: Seconds between two looks, also between the last move and the end: some tell where they are after they have stopped.
_APART = 0.2
#: Percent by which a motor may stop beside where it was sent.
_BESIDE = 3

Sight = Callable[[], Callable[[Device], bool]]


class Motion(NamedTuple):
    """What was heard since the last look, and what of all that is followed still moves."""

    heard: Sequence[Device]
    going: Sequence[Device]


class Step(msgspec.Struct, frozen=True):
    """How far something is on its way, as a line of JSON."""

    id: str
    position: Scalar
    moving: Scalar

    @classmethod
    def of(cls, device: Device) -> "Step":
        """Return it of a device."""
        return cls(device.id, device.state.get("position"), device.state.get("moving"))


async def follow(house: House, ids: Iterable[str], sight: Sight) -> AsyncGenerator[Motion, None]:
    """Yield how far devices are, some times a second at most, until all stand still, or for as long as makes sense.

    One that is gone, or may not be seen any more, is told of no more.
    """
    following = set(ids)
    waiting = dict.fromkeys(ids)
    news = asyncio.Event()

    def hear(event: Event) -> None:
        if event.id in following and event.news:
            waiting[event.id] = None
            news.set()

    end = house.watch(hear)
    until = asyncio.get_running_loop().time() + LONGEST
    try:
        while True:
            news.clear()
            sees = sight()
            known = {id_: device for id_ in following if (device := house.devices.get(id_)) and sees(device)}
            heard = [known[id_] for id_ in waiting if id_ in known]
            waiting.clear()
            following &= {id_ for id_, device in known.items() if moves(device)}
            yield Motion(heard, [known[id_] for id_ in sorted(following)])
            if not following:
                return
            async with asyncio.timeout_at(until):
                await news.wait()
            await asyncio.sleep(_APART)
    except TimeoutError:
        # Whoever followed is told by what still moves.
        return
    finally:
        end()


def moves(device: Device) -> bool:
    """Return whether a device is known to be on its way."""
    return device.available and bool(device.state.get("moving"))


def where(device: Device) -> str:
    """Return where a device is, or on its way to, in a word or two."""
    return whereabouts(device) if device.available else "unavailable"


def going_row(going: Sequence[Device], labels: Mapping[str, str], columns: int) -> str:
    """Return a row of the first device that moves, and how many more do; nothing if none does."""
    if not going:
        return ""
    device, more = going[0], f"{len(going) - 1} more" if len(going) > 1 else ""
    position = device.state.get("position")
    share, said = None, ""
    if isinstance(position, int | float):
        share, said = position / 100, f"{position:g} %"
    said = ", ".join(part for part in (said, more) if part)
    return row(f"{labels[device.id]} {where(device)}", share, said, columns).rstrip()


def arrived(outcome: Outcome, house: House, sees: Callable[[Device], bool]) -> Outcome:
    """Return how an order ended, with what it set moving as that is now; what is not where it was sent is left out."""
    now = {one.id: device for one in outcome.moving if (device := house.devices.get(one.id)) and sees(device)}
    missed = {one.id: (one.label, error) for one in outcome.moving if (error := _missed(one, now.get(one.id)))}
    if missed and not outcome.several:
        return replace(outcome, answers=[], error=next(error for _, error in missed.values()))
    answers = []
    for answer in outcome.answers:
        id_ = answer.value.id if isinstance(answer.value, Device) else ""
        if id_ not in missed:
            answers.append(replace(answer, value=now.get(id_, answer.value)))
    return replace(outcome, answers=answers, left_out=[*outcome.left_out, *missed.values()])


def _missed(one: Moving, device: Device | None) -> SshhomeError | None:
    """Return why something is not where it was sent, unless it is."""
    if device is None:
        return Unavailable(f"{one.label} is gone")
    if not device.available:
        return Unavailable(f"{one.label} is unavailable")
    if moves(device):
        return TimedOut(f"{one.label} is still {where(device)} after {span(LONGEST)}")
    position, goal = device.state.get("position"), one.change.get("position")
    if isinstance(position, int | float) and isinstance(goal, int | float):
        there = abs(position - goal) <= _BESIDE
    else:
        there = device.echoes(one.change)
    return None if there else NotConfirmed(f"{one.label} is {where(device)}, not where it was sent")
