"""The calls of an order are made: a use is taken, what was before is kept, and what comes back is brought back."""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from sshhome.audit import Audit
from sshhome.bind import Call, written
from sshhome.clock import Clock
from sshhome.device import Device, State, reached
from sshhome.errors import BadArguments, Internal, NotConfirmed, SiteError, SshhomeError, TimedOut, Unavailable
from sshhome.grant import Grant
from sshhome.house import House
from sshhome.journal import Journal
from sshhome.order import Context, Order
from sshhome.outcome import Answer, Moving, Outcome
from sshhome.progress import Progress
from sshhome.quantity import duration, span
from sshhome.store import Change
from sshhome.trace import Trace
from sshhome.uses import Uses

_T = TypeVar("_T")

#: The options after which a change is brought back, and the longest time until then.
COMES_BACK = frozenset({"--for", "--confirm"})
_LONGEST = 30 * 86400.0
#: For how many seconds, and how often, a device that is away when it is to be brought back is tried again.
_TRIED, _AGAIN = 86400.0, 30.0
#: Seconds that an order may take in which its giver types or scans something.
_TYPING = 300.0


class Ready(msgspec.Struct):
    """An order that has been understood and judged, and has yet to run.

    `asked` are calls that are permitted once a step-up is proved, each with the way of proving; `within` is after how
    many seconds a change comes back by itself, if it does.
    """

    order: Order
    context: Context
    several: bool
    permitted: list[Call] = []
    left_out: list[tuple[str, SshhomeError]] = []
    asked: list[tuple[Call, str]] = []
    used: list[Grant] = []
    within: float | None = None


class Execution:
    """Makes the calls that have been permitted, and no others."""

    def __init__(self, house: House, uses: Uses, journal: Journal, audit: Audit, clock: Clock) -> None:
        """Hold the parts it works on."""
        self._house = house
        self._uses = uses
        self._journal = journal
        self._audit = audit
        self._clock = clock
        #: By number, what is being brought back, and since when that has been tried, on the monotonic clock.
        self._returning: dict[int, asyncio.Task[None]] = {}
        self._tried: dict[int, float] = {}

    @property
    def running(self) -> Sequence[asyncio.Task[None]]:
        """What is being brought back now."""
        return list(self._returning.values())

    def before(self, call: Call) -> Sequence[tuple[Device, State, State]]:
        """Return each device that a call would reach, how it is now, and what it would come back to by itself.

        What waits to be brought back has not been as it is now for long: it comes back to how it was before that.
        """
        befores = [(device, device.before(change)) for device, change in self._changes(call)]
        return [(device, now, self._journal.original(device.id, now)) for device, now in befores]

    def _changes(self, call: Call) -> Sequence[tuple[Device, State]]:
        """Return each device that a call would reach, with what becomes of it."""
        if call.device is None or call.change is None:
            return ()
        devices = self._house.devices
        ends = reached(call.device, call.change, devices.get)
        return [(devices[id_], state) for id_, state in ends.items() if id_ in devices and devices[id_].available]

    def _devices(self, calls: Iterable[Call]) -> frozenset[str]:
        """Return the devices that calls may reach."""
        find = self._house.devices.get
        made = [(call.device, call.change or {}) for call in calls if call.device is not None]
        return frozenset(id_ for device, change in made for id_ in reached(device, change, find))

    async def carry_out(self, ready: Ready, trace: Trace, seconds: float) -> Outcome:
        """Make the calls, within the time that an order has, and keep how it was before."""
        user, undoing = ready.context.user.login, ready.context.undoing
        line = _told(ready, trace)
        change = self._begin(ready, trace, line)
        sent_to: Collection[str] = ()
        unused: Sequence[Grant] = ()
        try:
            await self._uses.take(user, ready.used)
            unused = ready.used
            if change is not None:
                await self._journal.secure(change)
            # From here on something may have been sent, however this ends.
            sent_to, unused = self._devices(ready.permitted), ()
            ready.context.session.reaching(sent_to)
            async with TimeFor(ready.order, seconds):
                ended = await self._call_all(ready, trace, f"{user}: {line}")
            sent = [call for call, end in ended if not isinstance(end, Unavailable | BadArguments)]
            sent_to, unused = self._devices(sent), () if sent else ready.used
        except SiteError as error:
            raise trace.failed(error) from None
        finally:
            self._uses.give_back(user, unused)
            if undoing is not None:
                self._journal.undone(undoing, sent_to)
            elif change is not None:
                self._journal.made(change, sent_to)
        failed = [(call.label, end) for call, end in ended if isinstance(end, SshhomeError)]
        if failed and (not ready.several or all(call.device is None for call, _ in ended)):
            # One that takes all devices at once leaves none of them out.
            raise failed[0][1]
        answers = [
            msgspec.structs.replace(end, back=self._back(change, call))
            for call, end in ended
            if isinstance(end, Answer)
        ]
        moving = self._moving(ready, [call for call, end in ended if isinstance(end, Answer)])
        return Outcome(answers=answers, several=ready.several, left_out=[*ready.left_out, *failed], moving=moving)

    def _moving(self, ready: Ready, calls: Iterable[Call]) -> Sequence[Moving]:
        """Return what calls have set moving; whoever follows it looks whether its giver may see it."""
        index, found = ready.context.scope.index, dict[str, Moving]()
        for call in calls:
            for device, change in self._changes(call):
                if device.state.get("moving"):
                    own = call.device is not None and call.device.id == device.id
                    label = call.label if own else index.short(device, lambda _: True)
                    found[device.id] = Moving(device.id, label, change)
        return list(found.values())

    def _begin(self, ready: Ready, trace: Trace, line: str) -> Change | None:
        """Return the change that an order is about to make, unless it changes nothing or undoes another."""
        order, undoing = ready.order, ready.context.undoing
        if undoing is not None:
            self._journal.claim(undoing)
        if not order.changes or undoing is not None:
            return None
        before: dict[str, State] = {}
        back: dict[str, State] = {}
        for device, now, original in (known for call in ready.permitted for known in self.before(call)):
            # Two scenes may touch the same lamp.
            before[device.id] = {**before.get(device.id, {}), **now}
            back[device.id] = {**back.get(device.id, {}), **original}
        login, confirm = ready.context.user.login, "--confirm" in trace.common
        return self._journal.begin(login, line, before, back, within=ready.within, confirm=confirm)

    async def _call_all(self, ready: Ready, trace: Trace, by: str) -> list[tuple[Call, Answer | SshhomeError]]:
        """Make the calls, all at once when there are several, and return how each ended, in their order."""
        calls, wait = ready.permitted, "--no-wait" not in trace.common
        if len(calls) == 1:
            return [(calls[0], await self._ending(ready, trace, calls[0], by, wait=wait))]
        progress = Progress(ready.order.name, len(calls), json="--json" in trace.common)
        # What reads JSON reads nothing else, unless it asks.
        told = not progress.json or "--progress" in trace.common
        ready.context.session.progress = progress if told else None

        async def ending(call: Call) -> Answer | SshhomeError:
            try:
                return await self._ending(ready, trace, call, by, wait=wait)
            finally:
                progress.done += 1

        return list(zip(calls, await asyncio.gather(*map(ending, calls)), strict=True))

    async def _ending(self, ready: Ready, trace: Trace, call: Call, by: str, *, wait: bool) -> Answer | SshhomeError:
        try:
            return await self._call(ready, call, by, wait=wait)
        except SshhomeError as error:
            return error
        except Exception as error:  # noqa: BLE001 (a bug with one device costs that device alone)
            return trace.failed(error)

    async def _call(self, ready: Ready, call: Call, by: str, *, wait: bool) -> Answer:
        if call.device is None or call.change is None:
            return Answer(await unbroken(function(ready.order, ready.context, call)), call.args, call.label)
        try:
            device = await unbroken(self._house.change(call.device.id, call.change, by=by, wait=wait))
            return Answer(device, call.args, call.label)
        except NotConfirmed as error:
            # Said with the short name the person used.
            raise NotConfirmed(f"sent to {call.label}, not confirmed", error.hint) from None

    def comes_back(self, ready: Ready, common: Mapping[str, str]) -> float | None:
        """Return after how many seconds a change comes back by itself, if it does; raises BadArguments if it cannot."""
        ways = sorted(COMES_BACK & common.keys())
        if not ways:
            return None
        order, way = ready.order, ways[0]
        if len(ways) > 1:
            raise BadArguments(f"{' and '.join(ways)} exclude each other")
        if not order.changes or order.name == "undo":
            raise BadArguments(f"'{order.name}' takes no option '{way}'", "it is for orders that change the house")
        within = duration(common[way])
        if not 1 <= within <= _LONGEST:
            raise BadArguments(f"option '{way}' takes 1 s to {span(_LONGEST)}")
        for call in (*ready.permitted, *(call for call, _ in ready.asked)):
            for device, change in self._changes(call):
                if not device.before(change) and any(device.state.get(name) != new for name, new in change.items()):
                    # Such as a lock of which nobody knows whether it is locked.
                    raise BadArguments(f"{device.id} could not be brought back to how it is now")
        return within

    def _back(self, change: Change | None, call: Call) -> str:
        """Return how what a call changed comes back by itself, for people; or nothing."""
        if change is None or change.due is None or change.back.keys().isdisjoint(self._devices([call])):
            return ""
        unless = " unless you say 'confirm'" if change.confirm else ""
        return f"comes back in {span(change.due - change.at)}{unless}"

    def look_after(self) -> None:
        """Bring back what is due, and have kept what is new; called every now and then."""
        self._journal.save()
        for change in self._journal.due():
            if change.number not in self._returning:
                task = asyncio.get_running_loop().create_task(self._bring_back(change))
                self._returning[change.number] = task
                task.add_done_callback(partial(self._returned, change.number))

    async def _bring_back(self, change: Change) -> None:
        """Bring back what an order said it would; permitted when that order was, whoever has lost what since.

        What cannot be reached is tried again for a day.
        """
        started, trace = self._clock.monotonic(), Trace()
        first = self._tried.setdefault(change.number, started)
        ends = await asyncio.gather(*(self._bring(change, device_id, trace) for device_id in change.back))
        ended = {device_id: end for device_id, end in zip(change.back, ends, strict=True) if end != "not now"}
        away = [d for d, end in ended.items() if isinstance(end, Unavailable | Internal) and started - first < _TRIED]
        done = [device_id for device_id in ended if device_id not in away]
        self._journal.returned(change, done)
        if away:
            self._journal.later(change, _AGAIN)
        else:
            del self._tried[change.number]
        if done:
            self._tell(change, {d: ended[d] for d in done}, trace, started)
        if away and first == started:
            self._tell(change, {d: ended[d] for d in away}, trace, started, tried_again=True)

    def _tell(
        self,
        change: Change,
        ended: Mapping[str, SshhomeError | str],
        trace: Trace,
        started: float,
        *,
        tried_again: bool | None = None,
    ) -> None:
        """Write into the audit log how bringing back some devices ended."""
        errors = [(device_id, end) for device_id, end in ended.items() if isinstance(end, SshhomeError)]
        status = Outcome(left_out=errors).status
        error = next((error for _, error in errors if error.status == status), None)
        self._audit.write(
            "order.reverted",
            user=change.user,
            order=change.order,
            devices=list(ended),
            tried_again=tried_again,
            status=status,
            code=error.code if error else "",
            message=error.message if error else "",
            incident=trace.incident,
            ms=round((self._clock.monotonic() - started) * 1000, 1),
        )

    async def _bring(self, change: Change, device_id: str, trace: Trace) -> SshhomeError | str:
        """Bring back one device, unless a later order counts, or is changing it right now."""
        if not self._journal.brings_back(change, device_id):
            return "not now"
        device = self._house.devices.get(device_id)
        if device is None:
            # Its backend may have yet to find it.
            return Unavailable(f"{device_id} is unavailable")
        state = device.settable(change.back[device_id])
        try:
            if state:
                await self._house.change(device_id, state, by=f"{change.user}: {change.order}")
        except SshhomeError as error:
            return error
        except Exception as error:  # noqa: BLE001 (a bug with one device costs that device alone)
            return trace.failed(error)
        return "done"

    def _returned(self, number: int, _: asyncio.Task[None]) -> None:
        del self._returning[number]


def _told(ready: Ready, trace: Trace) -> str:
    """Return an order as it is told of later, with the schedule that gave it."""
    number = ready.context.session.schedule
    return written(ready.order, trace.args) + (f" (schedule {number})" if number else "")


def function(order: Order, context: Context, call: Call) -> Awaitable[Any]:
    """Call the function of an order."""
    positional = [call.args[param.name] for param in order.params if not param.option]
    options = {param.name: call.args[param.name] for param in order.params if param.option}
    return order.run(context, *positional, **options)


async def unbroken(part: Awaitable[_T]) -> _T:
    """Wait for a part of an order; one that cancels itself has a bug, and cancels nothing else."""
    try:
        return await part
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("an order cancelled itself") from error


class TimeFor:
    """The time that an order has; raises TimedOut when it takes longer."""

    def __init__(self, order: Order, seconds: float) -> None:
        """Give it so many seconds."""
        self._order = order
        self._longest = max(seconds, _TYPING) if order.proves else seconds
        self._limit = asyncio.timeout(self._longest)

    async def __aenter__(self) -> None:
        """Begin."""
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell that the time is over, if it is."""
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise TimedOut(f"'{self._order.name}' took longer than {self._longest:g} s") from None
