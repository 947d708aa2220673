"""Who has been turned away goes on knocking: they are told why three times, then nothing, and the log stays short."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.attacks.raw import Raw, turned_away
from tests.attacks.victim import Besiege, others_are_served
from tests.client import Door, until
from tests.conftest import FixedClock

Serve = Callable[..., AbstractAsyncContextManager[Door]]
BUSY = "server busy, try later"
SOURCE = "127.0.0.66"


async def test_100_knocks_at_a_full_house(serve: Serve, clock: FixedClock) -> None:
    """Of a hundred refusals three are explained, and twenty are named in the log, which counts the others."""
    async with serve("[limits]\nstartups_per_source = 1") as door, Raw.connect(door, SOURCE) as waiting:
        await waiting.greeting()
        assert [await turned_away(door, SOURCE) for _ in range(100)] == [BUSY] * 3 + [""] * 97
        await others_are_served(door)
        refused = door.audit("connection.refused")
        assert [(e["source"], e["rule"], e["reason"]) for e in refused] == [
            (SOURCE, "limits.startups_per_source", BUSY)
        ] * 20
        # What was hidden is told of when the time is over, not at the next refusal alone.
        clock.advance(10)
        await until(lambda: len(door.audit("connection.refused")) == 21)
        assert door.audit("connection.refused")[-1]["hidden"] == 80
        clock.advance(50)
        assert [await turned_away(door, SOURCE) for _ in range(4)] == [BUSY] * 3 + [""]
        assert len(door.audit("connection.refused")) == 25
        assert not door.server.door._lingering


async def test_one_source_does_not_silence_another(serve: Serve) -> None:
    """Each source has its own three explanations, and a flood of one is not an other's silence."""
    async with serve("[limits]\nstartups_per_source = 1") as door, Raw.connect(door, SOURCE) as first:
        await first.greeting()
        for _ in range(10):
            await turned_away(door, SOURCE)
        async with Raw.connect(door, "127.0.0.67") as second:
            await second.greeting()
            assert [await turned_away(door, "127.0.0.67") for _ in range(4)] == [BUSY] * 3 + [""]


async def test_300_refusals_are_an_alert(serve: Serve) -> None:
    """Many refusals in a minute are one alert, however many more follow."""
    async with serve("[limits]\nstartups_per_source = 1") as door, Raw.connect(door, SOURCE) as waiting:
        await waiting.greeting()
        for _ in range(300):
            await turned_away(door, SOURCE)
        await others_are_served(door)
        (alert,) = door.audit("alert.refusals")
        assert (alert["refusals"], alert["source"], alert["rule"]) == (200, SOURCE, "limits.startups_per_source")


async def test_a_thousand_knocks_cost_nothing(besiege: Besiege) -> None:
    """Knocks that leave at once, that wait to be told, or that talk on without listening, leave nothing behind."""
    async with besiege("[limits]\nstartups_per_source = 1") as victim, Raw.connect(victim.door, SOURCE) as waiting:
        await waiting.greeting()
        for number in range(1000):
            async with Raw.connect(victim.door, SOURCE) as knock:
                if number % 3 == 1:
                    knock.write(b"SSH-2.0-rude\r\n" + bytes(10_000))
                elif number % 3 == 2:
                    await knock.hung_up()
        await victim.others_are_served()
        told = Counter(event.get("rule", "") for event in victim.door.audit("connection.refused"))
        assert 20 <= sum(told.values()) < 100
