"""History: how values were over time, told as stretches; here what must be kept of them, in `stores/` who keeps it."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import msgspec

from sshhome.device import Scalar, State

#: Seconds that lie between two marks of the lowest, mean and highest value: five minutes.
BUCKET = 300.0


class Stretch(msgspec.Struct, frozen=True):
    """From one moment to another a value lay between `low` and `high`, and at the end it was `value`.

    A word has no bounds; of a flag they are 0 and 1, and the mean is the share of the time that it was up.
    """

    start: float
    end: float
    low: float
    mean: float
    high: float
    value: Scalar


class Sample(msgspec.Struct, frozen=True):
    """A value as it was from a moment on, None where nobody knows any more."""

    device: str
    attribute: str
    at: float
    value: Scalar


class Mean(msgspec.Struct, frozen=True):
    """What a value was like for some minutes in which it changed; `last` holds from then on, None where unknown."""

    device: str
    attribute: str
    at: float
    until: float
    low: float
    mean: float
    high: float
    last: Scalar


class Cause(msgspec.Struct, frozen=True):
    """What changed a device last: by whose order, or by none, which is by itself or by hand."""

    device: str
    at: float
    by: str
    change: State


class Batch(msgspec.Struct, frozen=True):
    """What is to be kept, all of it known until `now`; samples and means from before are to be forgotten."""

    now: float
    samples: Sequence[Sample] = ()
    means: Sequence[Mean] = ()
    causes: Sequence[Cause] = ()
    samples_from: float = 0
    means_from: float = 0


class History(Protocol):
    """Keeps how values were. Everything raises SiteError when it cannot be done."""

    async def begin(self, now: float) -> None:
        """Begin to record: what was told before is not known to have held until now."""

    async def write(self, batch: Batch) -> None:
        """Keep a batch, and forget what is too old or too much."""

    async def read(self, device: str, attribute: str, since: float, until: float, *, fine: bool) -> Sequence[Stretch]:
        """Return how a value was: with `fine` from samples, as far back as there are any, else from means."""

    async def causes(self) -> Sequence[Cause]:
        """Return what changed each device last, by an order and by none."""

    async def close(self) -> None:
        """Let go."""


class Running:
    """The lowest, mean and highest of a value, worked out as it changes; the mean is over the time it was known."""

    __slots__ = ("_area", "_seconds", "_since", "began", "high", "low", "until", "value")

    def __init__(self, at: float, value: float | None) -> None:
        """Begin with a value that holds already."""
        self.value: float | None = None
        self.began: float | None = None
        self.until = at
        self.low, self.high = float("inf"), float("-inf")
        self._area = self._seconds = 0.0
        self._since = at
        self.change(at, value)

    def change(self, at: float, value: float | None) -> None:
        """Take another value, None where it is not known any more; a clock that was set back holds time up."""
        at = max(at, self._since)
        if self.value is not None:
            self._area += self.value * (at - self._since)
            self._seconds += at - self._since
            self.until = at
        if value is not None:
            self.began = at if self.began is None else self.began
            self.low, self.high = min(self.low, value), max(self.high, value)
            self.until = at
        self.value, self._since = value, at

    def mean(self) -> float:
        """Return the mean so far."""
        mean = self._area / self._seconds if self._seconds else (self.low + self.high) / 2
        # Sums of floats may end a hair beside what they are sums of.
        return min(max(mean, self.low), self.high)


class Mark(msgspec.Struct, frozen=True):
    """A sample or a mean as it is read: what was from `start` to `end`, and `last` from then on."""

    start: float
    end: float
    low: float
    mean: float
    high: float
    last: Scalar


def size(value: Scalar) -> float:
    """Return a value as a number: 0 or 1 for a flag, nothing for a word."""
    return float(value) if isinstance(value, bool | int | float) else 0.0


def stretched(
    marks: Sequence[Mark], runs: Sequence[tuple[float, float]], since: float, until: float
) -> Sequence[Stretch]:
    """Return marks, oldest first, as stretches: each holds until the next, and no longer than was recorded.

    `runs` are the times from and to which anything was recorded, oldest first.
    """
    if not marks:
        return ()
    began = [start for start, _ in runs]

    def recorded(at: float) -> float:
        run = bisect_right(began, at) - 1
        return max(at, runs[run][1]) if run >= 0 else at

    def parts() -> Iterator[Stretch]:
        ends = [mark.start for mark in marks[1:]]
        for mark, following in zip(marks, [*ends, until], strict=True):
            yield Stretch(mark.start, min(mark.end, following), mark.low, mark.mean, mark.high, mark.last)
            if mark.last is not None:
                held = size(mark.last)
                yield Stretch(mark.end, min(following, recorded(mark.end)), held, held, held, mark.last)

    clipped = (msgspec.structs.replace(p, start=max(p.start, since), end=min(p.end, until)) for p in parts())
    return [part for part in clipped if part.start < part.end]


def regular(stretches: Sequence[Stretch], edges: Sequence[float]) -> Sequence[Stretch | None]:
    """Return what was between each two moments, None where nothing is known: the mean is over the time it is known."""
    found: list[Stretch | None] = []
    first = 0
    for start, end in pairwise(edges):
        while first < len(stretches) and stretches[first].end <= start:
            first += 1
        inside = []
        for at in range(first, len(stretches)):
            if stretches[at].start >= end:
                break
            inside.append(stretches[at])
        found.append(_merged(inside, start, end))
    return found


def _merged(stretches: Sequence[Stretch], start: float, end: float) -> Stretch | None:
    if not stretches:
        return None
    low, high = min(s.low for s in stretches), max(s.high for s in stretches)
    weights = [min(s.end, end) - max(s.start, start) for s in stretches]
    mean = sum(s.mean * weight for s, weight in zip(stretches, weights, strict=True)) / sum(weights)
    return Stretch(start, end, low, min(max(mean, low), high), high, stretches[-1].value)


def whole(stretches: Sequence[Stretch]) -> Stretch | None:
    """Return what was in all that time, as one."""
    return _merged(stretches, stretches[0].start, stretches[-1].end) if stretches else None


def shares(stretches: Sequence[Stretch]) -> Mapping[str, float]:
    """Return for each word how many seconds it held."""
    held: dict[str, float] = {}
    for stretch in stretches:
        held[str(stretch.value)] = held.get(str(stretch.value), 0.0) + stretch.end - stretch.start
    return held
