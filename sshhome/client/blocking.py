"""A house for scripts that do one thing after the other: the same methods, each of which blocks.

    with House.connect("home@house") as house:
        house.on("kitchen")
        with house.watch("@living") as watch:
            for change in watch:
                print(change)

The connection is looked after by a thread of its own; any thread may ask.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from sshhome.client import house as asynchronous
from sshhome.client import mirror as mirroring
from sshhome.client import watch as watching
from sshhome.client.backoff import Backoff
from sshhome.client.device import Change, Device
from sshhome.client.errors import Closed
from sshhome.client.line import Key
from sshhome.client.orders import BlockingOrders

T = TypeVar("T")


class House(BlockingOrders):
    """One connection to a house; see `sshhome.client.House`."""

    def __init__(self, house: asynchronous.House) -> None:
        """Take over how to reach it; see `connect`."""
        self._orders = self._house = house
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="sshhome", daemon=True)

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        key: Key | None = None,
        password: str | None = None,
        known_hosts: str | Path | None = None,
        fingerprint: str = "",
        patience: float = asynchronous.PATIENCE,
        backoff: Backoff | None = None,
    ) -> Self:
        """Return the house, to be entered with `with`; what is given is told at `sshhome.client.House.connect`."""
        return cls(
            asynchronous.House.connect(
                address,
                key=key,
                password=password,
                known_hosts=known_hosts,
                fingerprint=fingerprint,
                patience=patience,
                backoff=backoff,
            )
        )

    def __enter__(self) -> Self:
        """Connect; raises Unreachable, NotTrusted or LoginRefused."""
        self._thread.start()
        try:
            self.wait(self._house.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.hang_up()

    def hang_up(self) -> None:
        """Hang up; whoever waits in another thread is told so."""
        if self._thread.is_alive():
            with suppress(Closed):
                self.wait(self._house.hang_up())
            self._stop()

    def _stop(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, True
        if ended:
            return
        # What was asked before is in the loop by now, and nothing else comes.
        asyncio.run_coroutine_threadsafe(_rest(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait(self, answer: Awaitable[T]) -> T:
        """Block until there is an answer of the house's own thread; raises Closed where that has ended."""

        async def waits() -> T:
            return await answer

        with self._lock:
            if self._ended or not self._thread.is_alive():
                # The thread is missing in the child of a fork, too.
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
                raise Closed("the connection to the house was closed here")
            answered = asyncio.run_coroutine_threadsafe(waits(), self._loop)
        try:
            return answered.result()
        except CancelledError:
            raise Closed("the connection to the house was closed here") from None
        except BaseException:
            # ^C ends the waiting there, too.
            answered.cancel()
            raise

    def call(self, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
        """Give an order by its name, and return its answer as JSON has it."""
        return self.wait(self._house.call(order, params))

    def watch(self, target: str = "", *, topics: Sequence[str] = ("state",), snapshot: bool = False) -> "Watch":
        """Return what tells all that happens, as `sshhome.client.House.watch` does."""
        return Watch(self, self._house.watch(target, topics=topics, snapshot=snapshot))

    @contextmanager
    def mirror(self, target: str = "") -> "Iterator[Mirror]":
        """Keep the state of what `target` names at hand and up to date, as `sshhome.client.House.mirror` does."""
        mirrored = self._house.mirror(target)
        mirror = self.wait(mirrored.__aenter__())
        try:
            yield Mirror(self, mirror)
        finally:
            with suppress(Closed):
                self.wait(mirrored.__aexit__(None, None, None))


async def _rest() -> None:
    """Let what is still waiting hear of the end, and end it if it does not care."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, waiting = await asyncio.wait(others, timeout=1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


class Watch:
    """Everything that is told, one after the other; see `sshhome.client.Watch`."""

    def __init__(self, house: House, watch: watching.Watch) -> None:
        """Say what to watch; it begins with the block, or with the first that is asked for."""
        self._house = house
        self._watch = watch

    @property
    def devices(self) -> Sequence[Device]:
        """The devices as they were when it began, if that was asked for."""
        return self._watch.devices

    def __enter__(self) -> Self:
        """Begin: nothing that happens from now on is missed."""
        self._house.wait(self._watch.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        """End."""
        with suppress(Closed):
            self._house.wait(self._watch.__aexit__(*exc))

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> watching.Told:
        """Block until something is told."""
        with suppress(Closed):
            if (told := self._house.wait(anext(self._watch, None))) is not None:
                return told
        raise StopIteration


class Mirror(Mapping[str, Device]):
    """Each device by its id, as it is now; see `sshhome.client.Mirror`."""

    def __init__(self, house: House, mirror: mirroring.Mirror) -> None:
        """Show what a mirror shows that a house's own thread keeps."""
        self._house = house
        self._mirror = mirror

    def __getitem__(self, id_: str) -> Device:
        """Return a device."""
        return self._mirror[id_]

    def __iter__(self) -> Iterator[str]:
        """Yield the ids that there are at this moment."""
        return iter(self._mirror.snapshot())

    def __len__(self) -> int:
        """Return how many devices there are."""
        return len(self._mirror)

    def values(self) -> ValuesView[Device]:
        """Return the devices that there are at this moment."""
        return self._mirror.snapshot().values()

    def items(self) -> ItemsView[str, Device]:
        """Return them with their ids."""
        return self._mirror.snapshot().items()

    def changes(self) -> Iterator[Change]:
        """Yield each change from now on; blocks until there is one."""
        return self._told(self._mirror.changes())

    def _told(self, changes: AsyncGenerator[Change, None]) -> Iterator[Change]:
        try:
            while True:
                yield self._house.wait(anext(changes))
        finally:
            # Python may forget it long after the house is closed.
            with suppress(Closed):
                self._house.wait(changes.aclose())

    def until(self, holds: Callable[[Mapping[str, Device]], object]) -> None:
        """Block until something is so."""
        self._house.wait(self._mirror.until(holds))
