"""What orders changed, and how it was before: for `undo`, and for what is brought back by itself."""

from bisect import insort
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from sshhome.clock import Clock
from sshhome.device import COLOR, State
from sshhome.errors import BadArguments
from sshhome.store import Change, Store

#: Changes that a user can undo, one after another, and those of one user that may wait to be brought back.
_UNDONE, _WAITING = 20, 20


class Journal:
    """The latest changes of every user, and those that come back by themselves, in memory and in the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Start with none; see `load`."""
        self._store = store
        self._clock = clock
        self._number = 0
        self._changes: dict[int, Change] = {}
        #: By user the numbers of what they can undo, the latest last.
        self._last: dict[str, list[int]] = {}
        #: By number when a change comes back, on the monotonic clock; by device which change brings it back.
        self._due: dict[int, float] = {}
        self._returns: dict[str, int] = {}
        #: The devices of each change that is being made or undone now.
        self._under_way: dict[int, Collection[str]] = {}
        #: The numbers that the store has, and what it has yet to be told, None for what it shall forget.
        self._saved: set[int] = set()
        self._unsaved: dict[int, Change | None] = {}

    async def load(self) -> None:
        """Take over what the store knows; raises SiteError."""
        for change in await self._store.changes():
            self._number = max(self._number, change.number)
            self._saved.add(change.number)
            if change.due is not None:
                self._due[change.number] = self._clock.monotonic() + change.due - self._clock.now()
                self._take_over(change.back)
                self._returns.update(dict.fromkeys(change.back, change.number))
            self._keep(change)
        # The store has it all.
        self._unsaved.clear()

    def begin(
        self,
        user: str,
        order: str,
        before: Mapping[str, State],
        back: Mapping[str, State] | None = None,
        *,
        within: float | None = None,
        confirm: bool = False,
    ) -> Change:
        """Return a change that is about to be made; until it is `made` nothing brings these devices back.

        With `within` it comes to `back` by itself, so many seconds later. Raises BadArguments when too much of the
        user's waits for that already.
        """
        now, back = self._clock.now(), {} if within is None else _known(back or {})
        if back and sum(self._changes[number].user == user for number in self._due) >= _WAITING:
            raise BadArguments(
                f"{_WAITING} of your changes wait to be brought back already", "`undo` brings one back now"
            )
        self._number += 1
        due = now + within if back and within is not None else None
        change = Change(self._number, user, now, order, _known(before), due, confirm, back)
        self._under_way[change.number] = before.keys()
        if due is not None:
            self._changes[change.number] = change
            self._due[change.number] = self._clock.monotonic() + due - now
        return change

    async def secure(self, change: Change) -> None:
        """Have it in the store that a change comes back, before it is made: no crash leaves it as it is.

        Raises SiteError when it cannot be kept.
        """
        if change.due is not None:
            self._unsaved[change.number] = change
            self.save()
            await self._store.settle()

    def made(self, change: Change, reached: Collection[str]) -> None:
        """Keep a change as far as it was made; what waited for the devices it reached waits no more.

        The later order counts, whoever gave it.
        """
        reached = [device_id for device_id in self._under_way.pop(change.number) if device_id in reached]
        hurry = self._take_over(reached)
        if any(device_id not in reached for device_id in (*change.before, *change.back)):
            change = replace(change, before=_of(change.before, reached), back=_of(change.back, reached))
        self._returns.update(dict.fromkeys(change.back, change.number))
        self._keep(change)
        if hurry:
            self.save()

    def claim(self, change: Change) -> None:
        """Take a change to undo it; until it is `undone` it is nobody else's to undo."""
        self._last[change.user].remove(change.number)
        self._under_way[change.number] = change.before.keys()

    def undone(self, change: Change, reached: Collection[str]) -> None:
        """Forget a change as far as it was undone; the rest can be undone later."""
        reached = [device_id for device_id in self._under_way.pop(change.number) if device_id in reached]
        self._brought_back(change, reached, reached)

    def people(self) -> set[str]:
        """Return the users who have changed something that is still known."""
        return {change.user for change in self._changes.values()}

    def of(self, user: str) -> Sequence[Change]:
        """Return what a user can undo, the latest first."""
        return [self._changes[number] for number in reversed(self._last.get(user, ()))]

    def all_of(self, user: str) -> Sequence[Change]:
        """Return what a user can undo, and what comes back by itself, the latest first."""
        return [change for _, change in sorted(self._changes.items(), reverse=True) if change.user == user]

    def original(self, device_id: str, now: State) -> State:
        """Return what a device comes back to once it is changed for a while: what it waits for already, else `now`."""
        number = self._returns.get(device_id)
        if number is None:
            return now
        waits = self._changes[number].back[device_id]
        if not waits.keys().isdisjoint(COLOR):
            # A colour is one thing, and takes the place of a white.
            now = {name: value for name, value in now.items() if name not in COLOR}
        return {**now, **waits}

    def unconfirmed(self, user: str) -> Sequence[Change]:
        """Return what comes back unless its user confirms it."""
        waiting = [self._changes[number] for number in self._due if number not in self._under_way]
        return [change for change in waiting if change.user == user and change.confirm]

    async def confirm(self, changes: Sequence[Change]) -> None:
        """Let changes stay as they are; raises SiteError when that cannot be kept."""
        for change in changes:
            self._take_over(change.back)
        self.save()
        await self._store.settle()

    def due(self) -> Sequence[Change]:
        """Return what is to be brought back now."""
        now = self._clock.monotonic()
        return [self._changes[n] for n, at in self._due.items() if at <= now and n not in self._under_way]

    def brings_back(self, change: Change, device_id: str) -> bool:
        """Return whether it is still for this change to bring a device back, and no order is changing it right now."""
        return self._returns.get(device_id) == change.number and not any(
            device_id in devices for devices in self._under_way.values()
        )

    def returned(self, change: Change, devices: Collection[str]) -> None:
        """Forget a change as far as it was brought back."""
        mine = [device_id for device_id in devices if self._returns.get(device_id) == change.number]
        self._brought_back(change, devices, mine)

    def later(self, change: Change, seconds: float) -> None:
        """Try once more after a while."""
        if change.number in self._due:
            self._due[change.number] = self._clock.monotonic() + seconds

    def forget(self, user: str) -> None:
        """Forget what a user who is gone could undo or confirm; what waits is still brought back."""
        for number in [number for number, change in self._changes.items() if change.user == user]:
            self._keep(replace(self._changes[number], before={}, confirm=False))
        self._last.pop(user, None)
        self.save()

    def save(self) -> None:
        """Hand the store what is new; called every now and then, since writing costs more than most orders do."""
        for number, change in self._unsaved.items():
            if change is None:
                self._store.remove_change(number)
                self._saved.discard(number)
            else:
                self._store.put_change(change)
                self._saved.add(number)
        self._unsaved.clear()

    def _take_over(self, devices: Collection[str]) -> bool:
        """Let nothing wait any more for these devices, and return whether anything did.

        Then the store is told at once: to bring it back after a crash would do harm.
        """
        waited = False
        for device_id in devices:
            number = self._returns.pop(device_id, None)
            if number is not None:
                change = self._changes[number]
                self._keep(replace(change, back=_without(change.back, (device_id,))))
                waited = True
        return waited

    def _brought_back(self, change: Change, devices: Collection[str], free: Collection[str]) -> None:
        """Forget a change as far as it was brought back; for the free devices nothing waits any more."""
        hurry = self._take_over(free)
        known = self._changes.get(change.number)
        if known is not None:
            self._keep(replace(known, before=_without(known.before, devices)))
        if hurry:
            self.save()

    def _keep(self, change: Change) -> None:
        """Know a change as it is now; one of which nothing is left is forgotten."""
        number = change.number
        if not change.back and self._due.pop(number, None) is not None:
            change = replace(change, due=None)
        last = self._last.setdefault(change.user, [])
        if change.before and number not in self._under_way:
            if number not in last:
                insort(last, number)
        elif number in last:
            last.remove(number)
        if change.before or change.back:
            self._changes[number] = self._unsaved[number] = change
        else:
            self._forget(number)
        if len(last) > _UNDONE:
            oldest = self._changes[last[0]]
            if oldest.back:
                self._keep(replace(oldest, before={}))
            else:
                self._forget(last.pop(0))

    def _forget(self, number: int) -> None:
        self._changes.pop(number, None)
        if number in self._saved:
            self._unsaved[number] = None
        else:
            self._unsaved.pop(number, None)


def _known(states: Mapping[str, State]) -> Mapping[str, State]:
    return {device_id: state for device_id, state in states.items() if state}


def _of(states: Mapping[str, State], devices: Collection[str]) -> Mapping[str, State]:
    return {device_id: state for device_id, state in states.items() if device_id in devices}


def _without(states: Mapping[str, State], devices: Collection[str]) -> Mapping[str, State]:
    return {device_id: state for device_id, state in states.items() if device_id not in devices}
