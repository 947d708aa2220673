"""A house for scripts: every method blocks, from whichever thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from sshhome.client import Change, Closed, Denied, NotTrusted, SshhomeError, Unreachable
from sshhome.client.blocking import House
from tests.apps import way_in
from tests.client import PATIENCE, Door

T = TypeVar("T")


async def script(run: Callable[[], T]) -> T:
    """Run a script that blocks, beside the house that this process serves."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(run)


async def test_orders(door: Door) -> None:
    """Orders answer and raise as they do elsewhere."""

    def run() -> list[object]:
        with House.connect(**way_in(door, "guest")) as house:
            (hall,) = house.on("hall")
            with pytest.raises(Denied):
                house.unlock("front_door")
            return [hall.state["on"], house.echo("hello"), house.call("whoami", {})["user"]]

    assert await script(run) == [True, "hello", "guest"]
    assert not [thread for thread in threading.enumerate() if thread.name == "sshhome"]


async def test_watch(door: Door) -> None:
    """A loop over what happens, which may be left at any time."""

    def run() -> list[Change]:
        seen: list[Change] = []
        with House.connect(**way_in(door)) as house:
            house.off("hall")
            with house.watch("light.hall", snapshot=True) as watch:
                assert watch.devices[0].state["on"] is False
                house.on("hall")
                for told in watch:
                    assert isinstance(told, Change)
                    seen.append(told)
                    if len(seen) == 2:
                        break
                    house.off("hall")
        return seen

    assert [told.change for told in await script(run)] == [{"on": True}, {"on": False}]


async def test_mirror(door: Door) -> None:
    """The state of the house is at hand, and follows while the script does something else."""

    def run() -> object:
        with House.connect(**way_in(door)) as house, house.mirror() as mirror:
            house.on("hall")
            mirror.until(lambda now: now["light.hall"].state["on"])
            changes = mirror.changes()
            assert len(mirror) == len(list(mirror)) > 10
            house.off("hall")
            return next(changes).change

    assert await script(run) == {"on": False}


async def test_what_goes_while_a_script_looks(door: Door) -> None:
    """Whoever goes through a mirror sees it as it was when they began, whatever the house's thread hears meanwhile."""

    def run() -> tuple[int, int, int]:
        with House.connect(**way_in(door)) as house, house.mirror() as mirror:
            before, devices, pairs = len(mirror), iter(mirror.values()), iter(mirror.items())
            house.device_hide("light.hall")
            mirror.until(lambda now: "light.hall" not in now)
            return before, len(list(devices)), len(list(pairs))

    before, devices, pairs = await script(run)
    assert before == devices == pairs


async def test_several_threads(door: Door) -> None:
    """Threads share one connection, and each gets its own answers."""

    def run() -> list[str]:
        with House.connect(**way_in(door)) as house:
            answers: list[str] = []
            threads = [
                threading.Thread(target=lambda number=number: answers.append(house.echo(f"thread {number}")))
                for number in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sorted(answers)

    assert await script(run) == [f"thread {number}" for number in range(8)]
    assert len(door.audit("login.ok")) == 1


async def test_no_thread_is_left_where_nobody_lets_in(door: Door) -> None:
    """What cannot be connected to is told, and nothing goes on behind the script's back."""

    def run() -> None:
        with House.connect(**way_in(door, fingerprint=f"SHA256:{'A' * 43}")):
            pass

    with pytest.raises(NotTrusted):
        await script(run)
    assert not [thread for thread in threading.enumerate() if thread.name == "sshhome"]


async def test_thread_that_is_gone(door: Door) -> None:
    """Where the thread is missing, as in the child of a fork, nobody waits for it for ever."""

    def run() -> None:
        with House.connect(**way_in(door)) as house:
            watch, loop = house.watch("light.hall"), house._loop
            house.wait(house._house.hang_up())
            loop.call_soon_threadsafe(loop.stop)
            house._thread.join()
            with pytest.raises(Closed):
                house.echo("hello")
            assert list(watch) == []
        loop.close()

    await script(run)


async def test_hanging_up_ends_who_waits(door: Door) -> None:
    """Another thread that waits for what happens next is told that there is no more."""
    ended = threading.Event()

    def run() -> None:
        house = House.connect(**way_in(door))
        with house:
            began = threading.Event()

            def watch() -> None:
                with house.watch("light.hall") as watching:
                    began.set()
                    assert list(watching) == []
                ended.set()

            thread = threading.Thread(target=watch)
            thread.start()
            assert began.wait(PATIENCE)
        thread.join(PATIENCE)
        with pytest.raises(Unreachable):
            house.echo("too late")

    await script(run)
    assert ended.is_set()


async def test_hanging_up_while_many_ask(door: Door) -> None:
    """However many threads ask at the moment in which it is closed: each gets an answer, or is told why not."""

    def run() -> list[str]:
        ends: list[str] = []

        def ask(house: House) -> None:
            try:
                while True:
                    house.echo("again")
            except SshhomeError as error:
                ends.append(error.code)

        for _ in range(5):
            with House.connect(**way_in(door)) as house:
                threads = [threading.Thread(target=ask, args=(house,)) for _ in range(8)]
                for thread in threads:
                    thread.start()
                house.echo("now")
            for thread in threads:
                thread.join(PATIENCE)
        return ends

    ends = await script(run)
    assert len(ends) == 40
    assert set(ends) <= {"closed", "outcome_unknown"}
