"""An order is one function whose signature and docstring agree; words become its arguments."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from sshhome.bind import COMMON_OPTIONS
from sshhome.config import Limits
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Change, Changes, Context, Registry, order
from sshhome.param import EVERYTHING, ONLY, Alarm, Anything, Brightness, Dimmable, Line
from tests.conftest import FixedClock
from tests.test_dispatch import Road, open_road, said


@pytest.fixture
def registry() -> Registry:
    """Return an empty registry."""
    return Registry()


def register(registry: Registry, function: Any, name: str = "try") -> None:  # noqa: ANN401 (any function)
    """Register a function as an order."""
    order(name, needs=Privilege.READ, says=str, registry=registry)(function)


# -- registration -----------------------------------------------------------------------------------------------------


async def _no_docstring(ctx: Context) -> str:
    return ""


async def _not_told(ctx: Context, light: Dimmable, level: int) -> str:
    """Try.

    light: the light
    """
    return ""


async def _told_too_much(ctx: Context, light: Dimmable) -> str:
    """Try.

    light: the light
    level: how much
    """
    return ""


async def _no_param_type(ctx: Context, level: float) -> str:
    """Try.

    level: how much
    """
    return ""


async def _no_annotation(ctx: Context, level) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001 (just that)
    """Try.

    level: how much
    """
    return ""


async def _any_number(ctx: Context, *levels: int) -> str:
    """Try.

    levels: how much
    """
    return ""


async def _truth_by_place(ctx: Context, loud: bool) -> str:  # noqa: FBT001 (just that)
    """Try.

    loud: whether loudly
    """
    return ""


async def _context_left_out(light: Dimmable) -> str:
    """Try."""
    return ""


def _not_async(ctx: Context) -> str:
    """Try."""
    return ""


@pytest.mark.parametrize(
    "function",
    [
        *(_no_docstring, _not_told, _told_too_much, _no_param_type, _no_annotation, _any_number, _truth_by_place),
        *(_context_left_out, _not_async),
    ],
    ids=lambda function: function.__name__.strip("_"),
)
def test_mistakes_are_found_at_start_up(registry: Registry, function: Any) -> None:  # noqa: ANN401 (any function)
    """A function whose docstring or annotations do not say all there is to know cannot be registered."""
    with pytest.raises(TypeError):
        register(registry, function)
    assert list(registry) == []


async def _change_of_none(ctx: Context) -> Change:
    """Try."""
    return {}


async def _change_of_two(ctx: Context, light: Dimmable, alarm: Alarm) -> Change:
    """Try.

    light: the light
    alarm: the alarm
    """
    return {}


async def _change_of_many(ctx: Context, target: Anything) -> Change:
    """Try.

    target: the devices, at once
    """
    return {}


async def _changes_of_one(ctx: Context, light: Dimmable) -> Changes:
    """Try.

    light: the light
    """
    return {}


async def _change_of_one(ctx: Context, light: Dimmable) -> Change:
    """Try.

    light: the light
    """
    return {}


async def _changes(ctx: Context) -> Changes:
    """Try."""
    return {}


@pytest.mark.parametrize(
    "function",
    [_change_of_none, _change_of_two, _change_of_many, _changes_of_one],
    ids=lambda function: function.__name__.strip("_"),
)
@pytest.mark.parametrize("needs", Privilege)
def test_changes_that_nobody_could_judge(registry: Registry, function: Any, needs: Privilege) -> None:  # noqa: ANN401 (any function)
    """An order returns the change of the one device named, or the changes of devices that it finds by itself."""
    with pytest.raises(
        TypeError, match=r"order 'try' returns (a Change|Changes), so|order 'try' changes the house, so"
    ):
        order("try", needs=needs, says=str, registry=registry)(function)


@pytest.mark.parametrize("function", [_change_of_one, _changes], ids=lambda function: function.__name__.strip("_"))
@pytest.mark.parametrize("needs", Privilege)
def test_a_change_takes_more_than_looking(registry: Registry, function: Any, needs: Privilege) -> None:  # noqa: ANN401 (any function)
    """No order that needs only `read`, or that is about the server, can change the house."""
    if needs in {Privilege.CONTROL, Privilege.ACCESS}:
        order("try", needs=needs, says=str, registry=registry)(function)
        assert [found.changes for found in registry] == [True]
    else:
        with pytest.raises(TypeError, match="order 'try' changes the house, so that it needs control or access"):
            order("try", needs=needs, says=str, registry=registry)(function)


def test_running_the_server_is_about_no_device(registry: Registry) -> None:
    """A deny of some devices says nothing of `admin`, so that no order that needs it takes one."""

    async def about(ctx: Context, light: Dimmable) -> str:
        """Try.

        light: the light
        """
        return ""

    order("try", needs=Privilege.READ, says=str, registry=registry)(about)
    with pytest.raises(TypeError, match="order 'try' runs the server, which is about no device"):
        order("try", needs=Privilege.ADMIN, says=str, registry=registry)(about)


def test_two_orders_of_one_name(registry: Registry) -> None:
    """A name is taken once."""

    async def fine(ctx: Context) -> str:
        """Try."""
        return ""

    register(registry, fine)
    with pytest.raises(TypeError, match="two orders are named 'try'"):
        register(registry, fine)


def test_privilege_cannot_be_left_out(registry: Registry) -> None:
    """An order without `needs` does not start."""
    with pytest.raises(TypeError, match="needs"):
        order("try", says=str, registry=registry)  # type: ignore[call-arg]  # (just that)


def test_the_decorator_returns_the_plain_function(registry: Registry) -> None:
    """An order can be called as the function it is."""

    async def fine(ctx: Context) -> str:
        """Try it."""
        return ""

    assert order("try", needs=Privilege.READ, says=str, registry=registry)(fine) is fine
    (found,) = registry
    assert (found.run, found.summary, found.params, found.target) == (fine, "Try it", (), None)


def test_names_of_two_words_are_found_first(registry: Registry) -> None:
    """An order is found by its words in any case, the longer name first, and tells how many words that took."""

    async def fine(ctx: Context) -> str:
        """Try."""
        return ""

    for name in ("ban", "ban list", "on"):
        register(registry, fine, name)

    def find(*words: str) -> tuple[str, int]:
        found, count = registry.find(words)
        return (found.name if found else "", count)

    assert find("BAN", "List", "x") == ("ban list", 2)
    assert find("ban", "lift") == ("ban", 1)
    assert find("ban") == ("ban", 1)
    assert find("on", "kitchen") == ("on", 1)
    assert find("list") == find() == find("") == find("o") == ("", 0)
    assert [found.name for found in registry] == ["ban", "ban list", "on"]


def test_every_order_explains_itself() -> None:
    """Each order there is has a summary of one line and tells of each param, which its usage names."""
    for found in REGISTRY:
        assert found.summary
        assert found.summary[0].isupper()
        assert not found.summary.endswith(".")
        assert found.usage.startswith(found.name)
        assert len({param.name for param in found.params}) == len(found.params)
        for param in found.params:
            assert param.says
            assert param.usage in found.usage
            assert param.required != param.usage.startswith("[")
            assert f"--{param.name}" not in COMMON_OPTIONS


# -- words become arguments -------------------------------------------------------------------------------------------


@pytest.fixture
async def road(registry: Registry, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Road]:
    """Return a road on which orders with every sort of param tell what they were given."""

    @order("plain", needs=Privilege.READ, says=str, registry=registry)
    async def plain(ctx: Context, name: str, times: int = 1, mode: Literal["home", "away"] = "away") -> str:
        """Tell.

        name: a name
        times: how often
        mode: a mode
        """
        return f"{name} {times} {mode}"

    @order("options", needs=Privilege.READ, says=str, registry=registry)
    async def options(ctx: Context, name: str = "", *, since_when: int = 0, loud: bool = False) -> str:
        """Tell.

        name: a name
        since_when: since when
        loud: whether loudly
        """
        return f"{name} {since_when} {loud}"

    @order("keyword", needs=Privilege.READ, says=str, registry=registry)
    async def keyword(ctx: Context, *, for_: int = 0) -> str:
        """Tell.

        for_: how long
        """
        return str(for_)

    @order("rest", needs=Privilege.READ, says=str, registry=registry)
    async def rest(ctx: Context, name: str, text: Line) -> str:
        """Tell.

        name: a name
        text: the rest
        """
        return f"{name}: {text}"

    @order("dim", needs=Privilege.CONTROL, says="{label} {level}", registry=registry)
    async def dim(ctx: Context, light: Dimmable, level: Brightness = 50) -> Change:
        """Dim.

        light: the light
        level: how much
        """
        return {"brightness": level}

    @order("mode", needs=Privilege.ACCESS, says="{label} {mode}", registry=registry)
    async def mode(ctx: Context, mode: Literal["home", "away"] = "away", alarm: Alarm = ONLY) -> Change:
        """Arm.

        mode: the mode
        alarm: the alarm
        """
        return {"armed": mode}

    @order("count", needs=Privilege.READ, says=str, registry=registry)
    async def count(ctx: Context, target: Anything = EVERYTHING) -> str:
        """Count.

        target: what
        """
        return f"{len(target.devices)} {target.several}"

    async with open_road(tmp_path, clock, registry=registry, limits=Limits()) as built:
        yield built


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("plain a", "a 1 away"),
        ("plain 'a b' 3 HOME", "a b 3 home"),
        ("PLAIN a", "a 1 away"),
        ("options", " 0 False"),
        ("options a --since-when 5", "a 5 False"),
        ("options --since-when=5 a --loud", "a 5 True"),
        ("options --loud --since-when 5 --since-when 6", " 6 True"),
        ("options -- --loud", "--loud 0 False"),
        ("options '--loud'", "--loud 0 False"),
        ("options --since-when '7'", " 7 False"),
        ("keyword --for 7", "7"),
        ("rest a b  'c  d' e", "a: b c  d e"),
        ("rest a -- --json b", "a: --json b"),
        ("dim desk", "desk 50"),
        ("dim desk 40%", "desk 40"),
        ("dim desk 40; dim desk +10", "desk 40\ndesk 50"),
        ("dim @study -100", "desk 0"),
        ("mode", "house away"),
        ("mode home house", "house home"),
        ("count light.desk", "1 False"),
        ("count study", "3 True"),
    ],
)
async def test_arguments(road: Road, line: str, answer: str) -> None:
    """Words go to the params in their order, options by their name, and what is left out has its default."""
    outcomes = await road.give("admin", line)
    assert "".join(said(outcome)[0] for outcome in outcomes) == f"{answer}\n"
    assert all(outcome.error is None for outcome in outcomes)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("plain", "'plain' needs NAME, a name", "usage: plain NAME [TIMES] [home|away]"),
        ("plain a b", "'b' is not a whole number", ""),
        ("plain a 1 night", "'night' must be one of home, away", ""),
        ("plain a 1 home x", "one word too many: 'x'", "usage: plain NAME [TIMES] [home|away]"),
        ("plain a --loud", "'plain' has no option '--loud'", "usage: plain NAME [TIMES] [home|away]"),
        ("options --since-when", "option '--since-when' needs a value", None),
        ("options --since-when x", "'x' is not a whole number", ""),
        ("options --since_when 5", "'options' has no option '--since_when'", None),
        ("options --loud=false", None, None),
        ("keyword --for", "option '--for' needs a value", "usage: keyword [--for FOR]"),
        ("keyword --for_ 7", "'keyword' has no option '--for_'", None),
        ("rest a", "'rest' needs TEXT, the rest", "usage: rest NAME TEXT…"),
        ("dim desk 101", "brightness must be 0 to 100 %", ""),
        ("count desk lamp", "one word too many: 'lamp'", "usage: count [TARGET]"),
    ],
)
async def test_words_that_do_not_fit(road: Road, line: str, message: str | None, hint: str | None) -> None:
    """Too few words, too many, or one that does not fit is refused in words that help, before anything has run."""
    outcome = await road.one("admin", line)
    assert outcome.status == 64
    assert outcome.error is not None
    assert message in {None, outcome.error.message}
    assert hint in {None, outcome.error.hint}
    assert road.backend.applied == []
