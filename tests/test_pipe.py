"""Filters behind an order: which `|` is one, what each keeps, and that none changes what an order does."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from asyncssh.packet import String

from sshhome import pipe
from sshhome.errors import BadArguments, Internal
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Column, Context, Order, Registry, Table, order
from sshhome.outcome import Outcome
from sshhome.words import Word, split
from tests.client import Door, RawChannel, report, until
from tests.test_dispatch import Build, Road, give_ready, lines_with, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline."""
    async with build(options={"offline": ["light.garden"]}) as built:
        yield built


async def told(road: Road, line: str, user: str = "admin") -> str:
    """Return what somebody reads of an order that works."""
    outcome = await road.one(user, line)
    assert outcome.error is None, outcome.error
    return said(outcome)[0]


async def refused(road: Road, line: str) -> str:
    """Return why an order is refused, of which nothing has run."""
    outcome = await road.one("admin", line)
    assert isinstance(outcome.error, BadArguments)
    return f"{outcome.error.message} ({outcome.error.hint})" if outcome.error.hint else outcome.error.message


# -- which | is one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "own", "behind"),
    [
        ("show", "show", ""),
        ("show | match kitchen", "show", "match kitchen"),
        ("show | Match a | b | count", "show", "Match a | b | count"),
        ("show | count --json", "--json show", "count"),
        ("show --json | count --keep-going | first 1", "--keep-going show --json", "count | first 1"),
        ("echo a | b", "echo a | b", ""),
        ("echo a | b | count", "echo a | b", "count"),
        ("echo a|count", "echo a|count", ""),
        ("echo a '|' count", "echo a | count", ""),
        ("echo a \\| count", "echo a | count", ""),
        ("echo a | 'count'", "echo a | count", ""),
        ("echo -- a | count", "echo -- a | count", ""),
        ("| count", "| count", ""),
        ("| sh", "| sh", ""),
        ("show |", "show |", ""),
        ("echo || count", "echo || count", ""),
    ],
)
def test_which_pipe_is_one(line: str, own: str, behind: str) -> None:
    """A `|` by itself, behind an order, with the name of a filter after it; quoted or after a `--` it is text."""
    (words,) = split(line)
    before, after = pipe.split(words)
    assert (" ".join(word.text for word in before), pipe.written(after)) == (own, behind)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("show | grep x", "no filter 'grep' (there are match, except, count, first, last, columns, sort, json)"),
        ("show |", "no filter after the | (there are match, except, count, first, last, columns, sort, json)"),
        ("show | count | first 1", "'count' leaves nothing to filter (put it last)"),
        ("show | first 1 | sh", "no filter 'sh' (there are match, except, count, first, last, columns, sort, json)"),
        ("show | match", "'match' needs WORD… (usage: | match WORD…)"),
        ("show | except ''", "'except' needs WORD… (usage: | except WORD…)"),
        ("show | count 3", "one word too many: '3' (usage: | count)"),
        ("show | first", "'first' needs NUMBER (usage: | first NUMBER)"),
        ("show | first 0", "'0' is not a number from 1 (usage: | first NUMBER)"),
        ("show | last ٣", "'٣' is not a number from 1 (usage: | last NUMBER)"),
        ("show | last 1 2", "one word too many: '2' (usage: | last NUMBER)"),
        ("show | columns ,", "'columns' needs NAME,… (usage: | columns NAME,…)"),
        ("show | sort id name", "one word too many: 'name' (usage: | sort NAME)"),
        ("show | match --yes", "'--yes' stands before the | (`| match \"--yes\"` looks for it)"),
        ("show" + " | first 1" * 9, "no more than 8 filters"),
        ("list | columns id,nosuch", "no column 'nosuch' (there are id, name, room, is)"),
        ("list | columns id | sort room", "no column 'room' (there are id)"),
        ("list --json | sort is", "no column 'is' (there are id, kind, name, room, available, state, note)"),
        ("time | sort local", "'time' answers no table, so that there are no columns"),
        ("echo a | columns id", "'echo' answers no table, so that there are no columns"),
        ("echo a | columns id | json", "no column 'id' (there are none)"),
    ],
)
async def test_what_is_refused(road: Road, line: str, why: str) -> None:
    """A filter that is not known, or given too little or too much, is refused, and says what would do."""
    # The columns there are differ where others add some.
    assert (await refused(road, line)).startswith(why.removesuffix(")"))


@pytest.mark.parametrize(
    "filters",
    ["grep x", "match", "count | count", "columns id", "sort id", "first many", "columns nosuch --json", "json x"],
)
async def test_a_wrong_filter_refuses_the_order(road: Road, filters: str) -> None:
    """What is wrong behind the pipe is found before anything has run."""
    assert await refused(road, f"on kitchen | {filters}")
    assert road.backend.applied == []
    assert [(event["event"], event["status"]) for event in road.audit()] == [("order.refused", 64)]


# -- what is kept -----------------------------------------------------------------------------------------------------


async def test_rows_of_a_table(road: Road) -> None:
    """Rows are matched as they are read, in capitals or not, counted, cut, put in order and made of fewer columns."""
    title, *whole = (await told(road, "list | columns id")).splitlines()
    kitchen = (await told(road, "list | match KITCHEN | columns id")).splitlines()[1:]
    assert (title, len(whole)) == ("id", len(road.dispatch.house.devices))
    devices = road.dispatch.house.devices
    assert kitchen == [id_ for id_ in whole if "kitchen" in f"{id_} {devices[id_].name} {devices[id_].room}".lower()]
    assert await told(road, "list | count") == f"{len(whole)}\n"
    assert await told(road, "list | match kitchen | count") == f"{len(kitchen)}\n"
    assert await told(road, "list | except kitchen | count") == f"{len(whole) - len(kitchen)}\n"
    assert (await told(road, "list | first 2 | columns id")).splitlines() == ["id", *whole[:2]]
    assert (await told(road, "list light.* | sort name | last 1 | columns room,id")).split()[:2] == ["room", "id"]
    assert await told(road, "list | match no_such_thing") == "nothing matches\n"
    assert await told(road, "list | match no_such_thing | count") == "0\n"


async def test_sorted_rows(road: Road) -> None:
    """Numbers come by what they are, with a unit or without, then texts by their letters, and what is empty last."""
    rooms = await told(road, "rooms | sort temperature | columns temperature")
    told_ = [line.strip() for line in rooms.splitlines()[1:]]
    numbers = [float(text.split()[0]) for text in told_ if text]
    assert len(numbers) > 1
    assert numbers == sorted(numbers)
    assert told_[len(numbers) :] == [""] * (len(told_) - len(numbers))
    names = (await told(road, "list | sort id | columns id")).splitlines()[1:]
    assert names == sorted(road.dispatch.house.devices)


async def test_a_heading_is_of_its_rows(build: Build) -> None:
    """What stands under a heading is found by it, and no heading stands over nothing; sorted, there is none."""
    own = Registry()
    rows = ["hall", ("lamp", "on"), ("door", "shut"), "kitchen", ("oven", "off"), ("lamp", "off")]

    @order("look", needs=Privilege.READ, says=lambda _: Table((Column("what"), Column("is")), rows), registry=own)
    async def look(ctx: Context) -> Sequence[str]:
        """Look around."""
        return []

    async with build(registry=own) as road:
        for line, shown in {
            "look | match KITCHEN": ["kitchen", "oven  off", "lamp  off"],
            "look | except kitchen": ["hall", "lamp  on", "door  shut"],
            "look | match lamp": ["hall", "lamp  on", "kitchen", "lamp  off"],
            "look | last 2 | first 1": ["kitchen", "oven  off"],
            "look | sort what | last 3": ["lamp  on", "lamp  off", "oven  off"],
            "look | match kitchen | columns is,what": ["kitchen", "off  oven", "off  lamp"],
        }.items():
            told_ = [line.split() for line in (await told(road, line)).splitlines()[1:]]
            assert told_ == [line.split() for line in shown], line
        assert await told(road, "look | count") == "4\n"


async def test_lines_of_a_text(road: Road) -> None:
    """Of sentences, one for each device, and of any text, what is kept are lines."""
    assert await told(road, "off @living | match tv") == "tv is off\n"
    assert await told(road, "off @living | count") == "3\n"
    assert await told(road, "help on | first 1") == "on TARGET\n"
    assert await told(road, "time | match 2026") == await told(road, "time")
    assert await told(road, "time | except 2026") == "nothing matches\n"
    assert await told(road, "exit | count") == "0\n"


async def test_items_of_json(road: Road) -> None:
    """Of an array the items are filtered, by their values and not by their names; one object is kept or is not."""
    whole = json.loads(await told(road, "list --json"))
    kitchen = json.loads(await told(road, "list --json | match kitchen"))
    assert kitchen == [one for one in whole if "kitchen" in json.dumps(list(one.values())).lower()]
    assert json.loads(await told(road, "list --json | match brightness")) == []
    assert await told(road, "list | count | json") == f"{len(whole)}\n"
    ids = json.loads(await told(road, "list | sort id | columns id | first 2 | json"))
    assert ids == [{"id": id_} for id_ in sorted(one["id"] for one in whole)[:2]]
    assert await told(road, "time --json | columns timezone") == '{"timezone":"Europe/Berlin"}\n'
    assert await told(road, "time --json | match Berlin | count") == "1\n"
    assert await told(road, "time --json | except Berlin") == ""
    assert json.loads(await told(road, "off @living --json | match tv | columns id")) == [{"id": "switch.tv"}]
    plan = json.loads(await told(road, "on tv --dry-run --json | columns id,change"))
    assert plan == {"id": "switch.tv", "change": {"on": True}}


async def test_errors_stay_as_they_are(road: Road) -> None:
    """What was left out, an error and the status are those of the order, whatever is kept of its answer."""
    plain, some = await road.one("admin", "off @outdoor"), await road.one("admin", "off @outdoor | match nosuch")
    assert (some.status, said(some)) == (69, ("nothing matches\n", said(plain)[1]))
    none = await road.one("admin", "off @outdoor --json | match nosuch")
    assert (none.status, said(none)[0]) == (69, "[]\n")
    failed = await road.one("admin", "on garden | count")
    assert (failed.status, said(failed)) == (69, ("", "error: light.garden is unavailable\n"))
    assert (await road.one("guest", "unlock front_door | count")).status == 77
    assert (await road.one("admin", "lihgt | count")).status == 127
    assert [event["event"] for event in road.audit()] == ["order.failed"] * 4 + ["order.refused"] * 2


async def test_the_audit_log_tells_of_filters(road: Road) -> None:
    """An audit line has the filters as they were written, and the arguments without them."""
    await road.one("admin", "list @kitchen | match 'a b' | columns id --json")
    await road.one("admin", "list")
    filtered, plain = road.audit()
    assert filtered["filters"] == "match a b | columns id"
    assert filtered["args"] == {"target": "@kitchen"}
    assert "filters" not in plain


async def test_a_key_with_an_order_of_its_own(road: Road) -> None:
    """A pipe in what an order quotes for another order is text there too."""
    (judged,) = (await road.one("admin", "explain on desk | match yes")).answers
    assert "yes, admin may on light.desk" in judged.value.left
    assert (await road.one("admin", "explain echo '|' count")).status == 0


@pytest.mark.parametrize(
    "filters", ["match o | first 2", "except o", "match zzz | json", "last 2 | count", "columns id,name", "sort id"]
)
async def test_any_filter_behind_any_order(road: Road, filters: str) -> None:
    """No filter breaks any answer: it is refused with a reason, or something can be read."""
    for line in lines_with(Privilege.READ):
        for options in ("", " --json"):
            plain = await give_ready(road, "admin", f"{line}{options}")
            outcome = await give_ready(road, "admin", f"{line}{options} | {filters}")
            assert not isinstance(outcome.error, Internal), line
            assert outcome.status in {plain.status, 64}
            out, _ = said(outcome)
            for one in out.splitlines() if outcome.json else ():
                json.loads(one)


# -- what goes on -----------------------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True):
    """Something that goes on."""

    number: int
    what: str


@pytest.fixture
async def ticking(build: Build) -> AsyncIterator[tuple[Road, list[int]]]:
    """Return a road with an order that goes on, and how far each of them has come when it was ended."""
    own, ended = Registry(), list[int]()

    @order("tick", needs=Privilege.READ, says=lambda tick: f"{tick.number} {tick.what}", registry=own)
    async def tick(ctx: Context) -> AsyncGenerator[Tick, None]:
        """Go on for ever."""
        return ticks()

    async def ticks() -> AsyncGenerator[Tick, None]:
        number = 0
        try:
            while True:
                number += 1
                yield Tick(number, "Even" if number % 2 == 0 else "odd")
        finally:
            ended.append(number)

    async with build(registry=own) as road:
        yield road, ended


async def followed(road: Road, line: str, most: int = 5) -> list[str]:
    """Return what is read of something that goes on, until that ends or somebody has read enough."""
    outcome = await road.one("admin", line)
    assert outcome.stream is not None
    read: list[str] = []
    async for value in outcome.stream:
        (answer,) = outcome.answers
        one = msgspec.structs.replace(outcome, answers=[msgspec.structs.replace(answer, value=value)])
        read.append(said(one)[0].strip())
        if len(read) == most:
            break
    await outcome.stream.aclose()
    return read


async def test_what_goes_on_is_filtered_as_it_comes(ticking: tuple[Road, list[int]]) -> None:
    """Each is matched as it comes; after the first so many it ends, and with it what it comes from."""
    road, ended = ticking
    assert await followed(road, "tick | match even", 2) == ["2 Even", "4 Even"]
    assert await followed(road, "tick | except even | first 2") == ["1 odd", "3 odd"]
    assert await followed(road, "tick | first 3 | match even") == ["2 Even"]
    assert await followed(road, "tick --json | match even | first 1") == ['{"number":2,"what":"Even"}']
    assert await followed(road, "tick | first 1 | columns what | json") == ['{"what":"odd"}']
    assert ended == [4, 3, 3, 2, 1]


@pytest.mark.parametrize("name", ["count", "last 3", "sort number"])
async def test_what_goes_on_has_no_end(ticking: tuple[Road, list[int]], name: str) -> None:
    """A filter that needs the end is refused for what has none, and nothing of it has run."""
    road, ended = ticking
    assert f"'{name.partition(' ')[0]}' would wait for its end" in await refused(road, f"tick --json | {name}")
    assert ended == []


async def test_what_goes_on_has_columns_in_json_alone(ticking: tuple[Road, list[int]]) -> None:
    """People read lines of what goes on, which have no columns; in JSON one that there is not is refused before."""
    road, ended = ticking
    assert "no columns" in await refused(road, "tick | columns what")
    assert "no column 'nosuch'" in await refused(road, "tick | columns nosuch | json")
    assert ended == []


async def test_watching_until_enough_was_seen(door: Door) -> None:
    """`watch` shows what is matched as it changes, and its channel ends by itself after the first so many."""
    house = door.server.visitors.dispatch.house
    others = len(house._watchers)
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("exec", String("watch | match kitchen | first 2"))
        await until(lambda: len(house._watchers) > others)
        for count, on in enumerate((True, False), 1):
            for name in ("light.desk", "light.kitchen"):
                report(house, house.devices[name].with_state({"on": on}))
            await until(lambda count=count: raw.heard.out.count("\n") == count)  # type: ignore[misc]  # (bound at once)
        await until(lambda: raw.heard.closed)
    assert [line.split("  ")[1] for line in raw.heard.out.splitlines()] == ["light.kitchen"] * 2
    assert raw.heard.status == 0
    await until(lambda: len(house._watchers) == others)
    assert [event["filters"] for event in door.audit("order.done")] == ["match kitchen | first 2"]


# -- typing -----------------------------------------------------------------------------------------------------------


def typed(line: str, *, json: bool = False) -> Any:  # noqa: ANN401 (a list, or None)
    """Return what is offered for the last word of a line, which may be empty."""
    before, _, last = line.rpartition(" ")
    (words,) = split(before)
    found, _ = REGISTRY.find([word.text for word in words[:2]])
    offered = pipe.suggest(found, words, last, json=json)
    return None if offered is None else [suggestion.text for suggestion in offered]


def test_what_is_offered_behind_a_pipe() -> None:
    """Filters are offered behind a pipe, and columns where a filter takes them, each of them once."""
    assert typed("list ") is None
    assert typed("list light.* ") is None
    assert typed("list | ") == typed("list | ma") == list(pipe.FILTERS)
    assert typed("list | match kitchen | ") == list(pipe.FILTERS)
    assert typed("list | sort ") == ["id", "name", "room", "is"]
    assert typed("list | columns room,") == ["room,id", "room,name", "room,is"]
    assert typed("list | columns ", json=True)[:3] == ["id", "kind", "name"]
    assert typed("on all | columns ") == []
    assert typed("on all | columns ", json=True)[:2] == ["id", "kind"]
    assert typed("list | match ") == []
    assert typed("list | first ") == ["5", "10", "20"]
    assert typed("list | first 5 ") == []
    assert typed("echo a | b ") is None
    assert typed("echo -- a | ") is None
    assert pipe.suggest(None, [Word("x"), pipe.PIPE], "", json=False) is None


def columns(found: Order) -> tuple[Sequence[str], Sequence[str]]:
    """Return the columns of an order for people, and in JSON."""
    return pipe.columns(found, json=False), pipe.columns(found, json=True)


async def test_columns_that_are_offered_are_there(road: Road) -> None:
    """Every column that is offered for an order is one that its answer has, or may have."""
    for found in REGISTRY:
        people, script = columns(found)
        if people and not found.target:
            outcome: Outcome = await give_ready(road, "admin", f"{found.name} | columns {','.join(map(repr, people))}")
            assert outcome.error is None or "needs" in outcome.error.message, found.name
        assert len(set(script)) == len(script)
    who, _ = REGISTRY.find(["who"])
    assert who is not None
    assert columns(who) == (["user", "name", "channel", "since"], ("user", "name", "channel", "since", "said"))
