"""A macro that is given is its orders: each decided as itself, with the options and filters given behind the name."""

import json
from collections.abc import AsyncIterator

import pytest

from sshhome.expansion import check, expanded, offered
from sshhome.macro import SHARED, Macros
from sshhome.order import REGISTRY
from sshhome.outcome import DryRun
from sshhome.store import Macro
from sshhome.words import join, split
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline."""
    async with build(options={"offline": ["light.garden"]}) as built:
        yield built


def keep(road: Road, **macros: str) -> None:
    """Let the admin have macros, and all those whose names begin with `all_`."""
    for name, orders in macros.items():
        road.dispatch.macros.keep(Macro(SHARED if name.startswith("all_") else "admin", name, orders, "admin"))


def steps(road: Road, line: str, user: str = "admin") -> list[tuple[str, str, str]]:
    """Return the orders that one line becomes: each with its macro and the filters behind that."""
    (words,) = split(line)
    found = expanded(REGISTRY, road.dispatch.macros, user, words)
    return [(join(step.words), step.macro, join(step.behind)) for step in found]


def orders(road: Road, event: str = "") -> list[tuple[str, str, int]]:
    """Return the orders in the audit log, each with the macro it was in and its status."""
    return [(e["order"], e.get("macro", ""), e["status"]) for e in road.audit(event)]


async def test_what_a_macro_becomes(road: Road) -> None:
    """The options behind its name stand before each order, and macros in it are orders of it too."""
    keep(road, late="off all; lights", lights="on hall --no-wait; on desk | count", all_late="off @kids")
    assert steps(road, "on hall") == [("on hall", "", "")]
    assert steps(road, "echo late") == [("echo late", "", "")]
    assert steps(road, "'all_late'") == [("off @kids", "all_late", "")]
    assert steps(road, "late", "guest") == [("late", "", "")]
    assert steps(road, "LATE --for 5m --json | match x --keep-going") == [
        ("--keep-going --for=5m --json off all", "late", "| match x"),
        ("--keep-going --for=5m --json on hall --no-wait", "late/lights", "| match x"),
        ("--keep-going --for=5m --json on desk | count", "late/lights", "| match x"),
    ]
    assert steps(road, "late --help") == [("late --help", "", "")]


async def test_it_runs_as_its_giver(road: Road) -> None:
    """A macro gives no right: each order in it is decided, answered and audited as itself, to the first refusal."""
    keep(road, all_home="on hall; unlock front_door; on desk")
    outcomes = await road.give("guest", "all_home; on kitchen")
    assert [outcome.status for outcome in outcomes] == [0, 77]
    assert orders(road) == [("on", "all_home", 0), ("unlock", "all_home", 77)]
    assert [outcome.status for outcome in await road.give("guest", "all_home --keep-going; on kitchen")] == [
        0,
        77,
        0,
        0,
    ]
    assert [outcome.status for outcome in await road.give("admin", "all_home")] == [0, 0, 0]
    assert orders(road)[-1] == ("on", "all_home", 0)
    assert "macro" not in road.audit()[-4]


async def test_it_may_say_itself_that_it_goes_on(road: Road) -> None:
    """`--keep-going` in a macro is for its own orders; a line whose macro failed ends behind it."""
    keep(road, some="on nosuch --keep-going; on hall")
    assert [outcome.status for outcome in await road.give("admin", "some; on desk")] == [64, 0]
    assert [outcome.status for outcome in await road.give("admin", "some; on desk", "--keep-going")] == [64, 0, 0]


async def test_options_and_filters_are_for_each(road: Road) -> None:
    """A rehearsal does nothing, JSON is a line for each order, and a filter makes less of each answer."""
    keep(road, late="off hall; list light.* | columns id,name")
    plans = await road.give("admin", "late --dry-run")
    assert isinstance(plans[0].answers[0].value, DryRun)
    assert road.backend.applied == []
    hall, named = [said(outcome)[0] for outcome in await road.give("admin", "late | match hall --json")]
    assert json.loads(hall)["state"]["on"] is False
    assert json.loads(named) == [{"id": "light.hall", "name": "Hall"}]
    assert [event["filters"] for event in road.audit("order.done")] == [
        "match hall",
        "columns id,name | match hall",
    ]


async def test_step_ups_are_asked_for_inside(build: Build) -> None:
    """An order in a macro that must be meant asks whoever sits there, or takes `--yes` from behind the name."""
    users = {"admin": 'grants = ["read", { allow = "access:lock.*", step_up = "confirm" }]'}
    async with build(users=users) as road:
        keep(road, leave="lock front_door; show")
        assert [outcome.status for outcome in await road.give("admin", "leave")] == [77]
        assert [outcome.status for outcome in await road.give("admin", "leave --yes")] == [0, 0]


@pytest.mark.parametrize(
    ("macros", "line", "why"),
    [
        ({"a": "b", "b": "on hall; a"}, "a", "the macro 'a' would never end: 'a' calls itself"),
        ({"a": "on hall;" * 20 + "on hall"}, "a", "the macro 'a' is more than 20 orders"),
        ({"a": "b;b;b", "b": "on hall;" * 7}, "a", "the macro 'a' is more than 20 orders"),
        (
            {"a": "b", "b": "c", "c": "d", "d": "e", "e": "on hall"},
            "a",
            "the macro 'a' calls others more than 4 deep",
        ),
        ({"a": "on hall"}, "a desk", "one word too many: 'desk'"),
    ],
)
async def test_one_that_cannot_run(road: Road, macros: dict[str, str], line: str, why: str) -> None:
    """What goes too far, or takes no words, is refused before anything of it runs, and once."""
    keep(road, **macros)
    (outcome,) = await road.give("admin", f"{line} --json; on kitchen")
    assert outcome.error is not None
    assert outcome.error.message == why
    assert outcome.json
    assert orders(road, "order.refused") == [(f"{line} --json", "", 64)]
    assert road.backend.applied == []


async def test_orders_come_first(road: Road) -> None:
    """A macro by the name of an order, as one that is older than the order has it, is never run."""
    keep(road, on="unlock front_door", user="unlock front_door")
    assert steps(road, "on hall") == [("on hall", "", "")]
    assert (await road.one("admin", "user nosuch")).status == 127


async def test_what_is_shared_means_the_same_for_all(road: Road) -> None:
    """A shared macro calls shared ones alone: nobody's own of that name takes their place."""
    keep(road, all_late="all_lights; show", all_lights="off all")
    road.dispatch.macros.keep(Macro("guest", "all_lights", "on all", "guest"))
    assert steps(road, "all_late", "guest")[0] == ("off all", "all_late/all_lights", "")
    assert steps(road, "all_lights", "guest")[0] == ("on all", "all_lights", "")


@pytest.mark.parametrize(
    ("name", "orders_", "why"),
    [
        ("on", "show", "'on' is an order already"),
        ("user", "show", "'user' is an order already"),
        ("Late", "show", "'Late' is no name for a macro"),
        ("2nd", "show", "'2nd' is no name for a macro"),
        ("x" * 33, "show", "is no name for a macro"),
        ("late", " ; ", "a macro needs orders"),
        ("late", "show; lihgt x", "no order 'lihgt'"),
        ("late", "unlock front_door --code 123456", "a one-time code is good once"),
        ("late", "on 'hall", "a quote ' is not closed"),
        ("late", "LATE", "'late' calls itself"),
    ],
)
async def test_what_may_be_kept(road: Road, name: str, orders_: str, why: str) -> None:
    """A macro takes no order's name, has orders that there are, never ends up in itself, and holds no code."""
    with pytest.raises(Exception, match=why):
        check(REGISTRY, road.dispatch.macros, Macro("admin", name, orders_, "admin"))


async def test_a_macro_that_others_call_may_not_call_them(road: Road) -> None:
    """A change by which two macros would call each other is refused."""
    keep(road, a="on hall", b="a")
    with pytest.raises(Exception, match="would never end"):
        check(REGISTRY, road.dispatch.macros, Macro("admin", "a", "b", "admin"))


async def test_only_what_could_be_given_is_offered(road: Road) -> None:
    """A macro is offered to who could give all of its orders, in `help` and for a word that is nearly its name."""
    keep(road, all_lights="off light.*; all_more", all_more="on tv", all_doors="on hall; unlock all", all_gone="all_no")
    macros: Macros = road.dispatch.macros

    def names(user: str) -> list[str]:
        return [macro.name for macro in offered(REGISTRY, macros, user, road.allowed(user))]

    assert names("admin") == ["all_doors", "all_lights", "all_more"]
    assert names("guest") == ["all_lights", "all_more"]
    assert names("nobody") == []
    assert "all_lights Run 'off light.*; all_more'" in " ".join(said(await road.one("guest", "help"))[0].split())
    told = said(await road.one("guest", "help all_lights"))[0]
    assert told == "all_lights\n  Run 'off light.*; all_more'.\n  needs what each order in it does\n"
    assert said(await road.one("guest", "all_lights --help"))[0] == told
    assert (await road.one("guest", "help all_doors")).status == 64
    assert "did you mean all_lights" in said(await road.one("guest", "all_light"))[1]
