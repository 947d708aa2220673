"""Words become typed arguments: the options of every order apart, each word to its param, each device a call."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome import orders as orders  # noqa: PLC0414 (importing them registers them)
from sshhome.bind import COMMON_OPTIONS, VALUED, Call, calls_of, check_common, masked, split_common, texts_of
from sshhome.errors import BadArguments
from sshhome.order import REGISTRY, Order
from sshhome.param import Scope
from sshhome.target import Index
from sshhome.words import Word, join, split
from tests.test_grant import HOUSE

SCOPE = Scope(Index(HOUSE, HOUSE))


def split_off(line: str) -> tuple[Mapping[str, str], str]:
    """Return the common options of a line, and what is left of it."""
    common, rest = split_common(REGISTRY, split(line)[0])
    return common, join(rest)


def found(name: str) -> Order:
    """Return an order."""
    return next(order for order in REGISTRY if order.name == name)


def texts(line: str) -> dict[str, str]:
    """Return which param of an order each word of a line goes to."""
    _, rest = split_common(REGISTRY, split(line)[0])
    order, count = REGISTRY.find([word.text for word in rest[:2]])
    assert order is not None
    return texts_of(order, rest[count:])


def calls(line: str) -> tuple[list[Call], bool]:
    """Return the calls that a line asks for."""
    _, rest = split_common(REGISTRY, split(line)[0])
    order, count = REGISTRY.find([word.text for word in rest[:2]])
    assert order is not None
    made, several = calls_of(order, texts_of(order, rest[count:]), SCOPE)
    return list(made), several


# -- the options of every order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "common", "rest"),
    [
        ("on desk", {}, "on desk"),
        ("on desk --json", {"--json": ""}, "on desk"),
        ("--json --yes on --no-wait desk", {"--json": "", "--yes": "", "--no-wait": ""}, "on desk"),
        ("set desk 40 --for 30m", {"--for": "30m"}, "set desk 40"),
        ("set desk --for=30m 40", {"--for": "30m"}, "set desk 40"),
        ("--for 30m set desk 40", {"--for": "30m"}, "set desk 40"),
        ("set desk 40 --for 30m --for 5m", {"--for": "5m"}, "set desk 40"),
        ("unlock front_door --code 123456", {"--code": "123456"}, "unlock front_door"),
        ("unlock --code '12 34' front_door", {"--code": "12 34"}, "unlock front_door"),
        ("on desk --code --json", {"--code": "--json"}, "on desk"),
        ("on desk --code", {"--code": ""}, "on desk"),
        ("on desk --for=", {"--for": ""}, "on desk"),
        # no options of ours: quoted, behind a bare --, with a value that they do not have, or unknown
        ("echo '--json' \\--yes", {}, "echo --json --yes"),
        ("echo -- --json --code 1", {}, "echo --json --code 1"),
        ("on desk --json=1", {}, "on desk --json=1"),
        ("on desk --nosuch", {}, "on desk --nosuch"),
        # an order's own option of that name is its own, as soon as the order is known
        ("ban add 10.0.0.1 --for 2h", {}, "ban add 10.0.0.1 --for 2h"),
        ("ban --for 2h add 10.0.0.1", {"--for": "2h"}, "ban add 10.0.0.1"),
        # those behind another order are that order's, but for how to answer
        ("explain on desk --for 30m --json", {"--json": ""}, "explain on desk --for 30m"),
        ("who-can on desk --yes --code 1 --dry-run", {}, "who-can on desk --yes --code 1 --dry-run"),
        ("--dry-run explain on desk", {"--dry-run": ""}, "explain on desk"),
    ],
)
def test_options_of_every_order(line: str, common: Mapping[str, str], rest: str) -> None:
    """The options of every order may stand anywhere, each with its value, and nothing else is taken for one."""
    assert split_off(line) == (common, rest)


@pytest.mark.parametrize("option", sorted(VALUED))
def test_options_that_need_a_value(option: str) -> None:
    """An option that needs a value is refused without one, and with an empty one."""
    for line in (f"on desk {option}", f"on desk {option}=", f"{option}= on desk", f"on desk {option} ''"):
        common, _ = split_off(line)
        with pytest.raises(BadArguments, match=f"option '{option}' needs a value"):
            check_common(common)
    check_common(split_off(f"on desk {option} x --json --yes")[0])


@given(st.lists(st.text(max_size=8) | st.sampled_from([*COMMON_OPTIONS, "--", "explain", "on", "ban", "add"])))
def test_no_word_is_lost(given_words: list[str]) -> None:
    """Whatever the words are, those that are no option of every order are left to the order, as they come."""
    words = [Word(text) for text in given_words]
    common, rest = split_common(REGISTRY, words)
    assert set(common) <= set(COMMON_OPTIONS)
    still = iter(given_words)
    assert all(word.text in still for word in rest)
    assert len(rest) + len(common) <= len(words)


# -- words go to params -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "args"),
    [
        ("dim desk 40", {"light": "desk", "level": "40"}),
        ("color desk warm white", {"light": "desk", "color": "warm white"}),
        ("echo a  'b  c' d", {"text": "a b  c d"}),
        ("ban add 10.0.0.1 --for 2h", {"source": "10.0.0.1", "for_": "2h"}),
        # another order is taken as it is written, quotes and options and all
        ("explain on desk", {"line": "on desk"}),
        ("explain dim 'light.desk' --for 30m", {"line": "dim light.desk --for 30m"}),
        ("explain echo 'a  b' \\--json", {"line": 'echo "a  b" "--json"'}),
        (
            "explain --as kid --at '2026-12-24 18:00' on desk",
            {"as_": "kid", "at": "2026-12-24 18:00", "line": "on desk"},
        ),
        ("explain on desk --as kid", {"line": "on desk --as kid"}),
    ],
)
def test_words_go_to_params(line: str, args: Mapping[str, str]) -> None:
    """Each word goes to the param it belongs to, and another order is understood again as it was written."""
    assert texts(line) == args


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=5))
def test_another_order_is_the_same_again(given_words: list[str]) -> None:
    """Whatever the words of an order that is explained: read again, they are the same."""
    words = [Word(text, quoted=True) for text in given_words]
    (again,) = split(texts_of(found("explain"), words)["line"])
    assert [word.text for word in again] == given_words
    assert not any(word.is_option for word in again)


# -- each device has a call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "labels", "several"),
    [
        ("on desk", ["desk"], False),
        ("on @kids", ["kids", "night"], True),
        ("unlock all", ["front_door", "side_door"], True),
        ("arm", ["house"], False),
        ("arm night house", ["house"], False),
        ("list @kids", [""], True),
        ("list desk", [""], False),
        ("list", [""], True),
        ("user list", [""], False),
        ("undo", [""], False),
    ],
)
def test_each_device_has_a_call(line: str, labels: list[str], *, several: bool) -> None:
    """An order runs once for each device that its target means, under the name that a person would use."""
    made, many = calls(line)
    assert ([call.label for call in made], many) == (labels, several)
    assert all((call.device is None) == (call.label == "") for call in made)
    assert all(call.change is None for call in made)


def test_a_value_is_of_its_own_device() -> None:
    """A value that depends on the device is worked out for each one by itself."""
    lamps = {**HOUSE, "light.kids": HOUSE["light.kids"].with_state({"on": True, "brightness": 20})}
    scope = Scope(Index(lamps, lamps))
    made, _ = calls_of(found("dim"), {"light": "@kids", "level": "+10"}, scope)
    assert {call.label: call.args["level"] for call in made} == {"kids": 30, "night": 100}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("on nosuch", "no device 'nosuch'"),
        ("dim @living 140", "brightness must be 0 to 100 %"),
        ("set @living 2300k", None),
        ("dim", "'dim' needs TARGET, the lamp to dim"),
        ("on desk lamp", "one word too many: 'lamp'"),
    ],
)
def test_words_that_fit_nothing(line: str, message: str | None) -> None:
    """One word that fits nothing, or one value that does not fit one device, is enough to refuse all of it."""
    with pytest.raises(BadArguments) as caught:
        calls(line)
    assert message in {None, caught.value.message}


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("on desk for 5m", "did you mean '--for'?"),
        ("on desk for", "did you mean '--for'?"),
        ("on desk 5m", "usage: on TARGET"),
    ],
)
def test_an_option_without_its_dashes(line: str, hint: str) -> None:
    """A word too many that is the name of an option is taken for one that lacks its dashes."""
    with pytest.raises(BadArguments) as caught:
        calls(line)
    assert caught.value.hint == hint


def test_secrets_are_masked() -> None:
    """What the audit may know of the arguments has the names that people see, and no secret."""
    assert masked(found("ban add"), {"source": "10.0.0.1", "for_": "2h"}) == {"source": "10.0.0.1", "for": "2h"}
