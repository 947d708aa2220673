"""What a client reads: a sentence, a table that fits, or pure JSON; nothing in it drives the terminal."""

import json
import re
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.errors import BadArguments, Denied, NotConfirmed, SshhomeError, Unavailable
from sshhome.grant import Privilege
from sshhome.history import Stretch
from sshhome.order import Column, Order, Plot, Says, Table
from sshhome.outcome import Answer, DryRun, Filtered, Outcome
from sshhome.plot import Chart
from sshhome.render import Look, render, table

LAMP = Device(
    id="light.desk",
    name="Desk",
    room="study",
    attributes={name: ATTRIBUTES[name] for name in ("on", "brightness")},
    state={"on": True, "brightness": 40},
)
DOOR = Device(
    id="cover.garage",
    name="Garage",
    device_class="garage",
    attributes={name: ATTRIBUTES[name] for name in ("position", "moving")},
    state={"position": 0, "moving": None},
)


def outcome(says: Says, *values: object, label: str = "desk", **how: Any) -> Outcome:  # noqa: ANN401 (any field)
    """Return the outcome of an order that says this of these values."""

    async def run() -> None: ...

    args = how.pop("args", {})
    answers = [Answer(value, args, label) for value in values]
    return Outcome(order=Order("try", Privilege.READ, says, run, (), ""), answers=answers, **how)


@pytest.mark.parametrize(
    ("says", "device", "args", "text"),
    [
        ("{label} is {on_off}", LAMP, {}, "desk is on"),
        ("{id} {name} {room} {kind}", LAMP, {}, "light.desk Desk study light"),
        ("{label} is at {brightness} %", LAMP, {}, "desk is at 40 %"),
        ("{label} is {is}", LAMP, {}, "desk is on, 40 %"),
        ("{label}: {change}", LAMP, {"value": {"brightness": 40, "on": True}}, "desk: brightness is 40 %, on is on"),
        ("{label} to {level}", LAMP, {"level": 7}, "desk to 7"),
        ("{label} is {where}", DOOR, {}, "desk is closed"),
        ("{label} is {where}", DOOR.with_state({"position": 100}), {}, "desk is open"),
        ("{label} is {where}", DOOR.with_state({"position": 40}), {}, "desk is 40 % open"),
        ("{label} is {where}", DOOR.with_state({"moving": "opening"}), {}, "desk is opening"),
        (
            "{label} shows {color}",
            LAMP.with_state({"hue": 32, "saturation": 90}),
            {},
            "desk shows hue 32, 90 % saturation",
        ),
        ("{label} shows {color}", LAMP.with_state({"hue": 0, "saturation": 100}), {}, "desk shows red"),
        ("{label} shows {color}", LAMP.with_state({"color_temperature": 2700}), {}, "desk shows 2700 K"),
    ],
)
def test_sentences(says: str, device: Device, args: dict[str, Any], text: str) -> None:
    """A sentence may name the device, its state, where and how it is, what changed, and the arguments."""
    assert render(outcome(says, device, args=args), Look()) == (f"{text}\n", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("hello", "hello\n"), ("", ""), ("a\nb", "a\nb\n"), ("\x1b[2J\x00\u202e", "\\x1b[2J\\x00\\u{202e}\n")),
        *(("{label} {0} {x!r}", "{label} {0} {x!r}\n"), ("a\rb\u2028c", "a\\x0db\\u{2028}c\n")),
    ],
)
def test_text_comes_out_harmless(value: str, text: str) -> None:
    """An order's own text is told line by line, with nothing in it that drives a terminal, and braces as they are."""
    assert render(outcome(str, value), Look()) == (text, "")


def test_names_are_no_templates() -> None:
    """A device's name and what a user typed are never themselves read as a template."""
    odd = Device(id="light.x", name="{args} {0.__class__}\x1b", state={})
    out, _ = render(outcome("{name} {label} {word}", odd, label="{id}", args={"word": "{name}"}), Look())
    assert out == "{args} {0.__class__}\\x1b {id} {name}\n"


def test_sent_is_not_done() -> None:
    """With `--no-wait` a device is told as sent to, whatever the order says of it."""
    assert render(outcome("{label} is on", LAMP, wait=False), Look()) == ("sent to desk\n", "")
    assert render(outcome(str, "hello", wait=False), Look()) == ("hello\n", "")


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (DryRun("time"), "would give 'time'"),
        (DryRun("on", "light.desk", {"on": False}, {"on": True}), "would change desk: on: no → yes"),
        (
            DryRun("color", "light.desk", {"hue": None, "saturation": None}, {"hue": 0, "saturation": 100}),
            "would change desk: hue: none → 0 °, saturation: none → 100 %",
        ),
        (
            DryRun("set", "climate.x", {"target_temperature": 20}, {"target_temperature": 21.5}),
            "would change desk: target temperature: 20 °C → 21.5 °C",
        ),
        (DryRun("on", "light.desk", {"on": True}, {"on": True}), "would leave desk as it is"),
    ],
)
def test_what_would_be_done(plan: DryRun, text: str) -> None:
    """A dry run tells what would become of what, in words with units, and in JSON with the values themselves."""
    assert render(outcome("{label} is on", plan), Look()) == (f"{text}\n", "")
    out, err = render(outcome("{label} is on", plan, json=True), Look())
    assert (json.loads(out), err) == (msgspec.to_builtins(plan), "")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BadArguments("no device 'x'"), "error: no device 'x'\n"),
        (BadArguments("no device 'x'", "did you mean y?"), "error: no device 'x' (did you mean y?)\n"),
        (NotConfirmed("sent to desk, not confirmed"), "sent to desk, not confirmed\n"),
        (Denied("no\n\x1b[2J"), "error: no\\x0a\\x1b[2J\n"),
    ],
)
def test_an_error_is_one_line_on_standard_error(error: SshhomeError, text: str) -> None:
    """An error is one line, its hint in brackets; with `--json` it is one JSON object, and the output is empty."""
    assert render(Outcome(error=error), Look()) == ("", text)
    out, err = render(Outcome(error=error, json=True), Look())
    assert out == ""
    assert err.count("\n") == 1
    assert json.loads(err) == {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    assert error.code == re.sub("(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


LEFT_OUT = [
    ("kids", Denied("x")),
    ("garden", Unavailable("x")),
    ("tv", NotConfirmed("x")),
    ("a", BadArguments("bad\n")),
]


def test_what_was_left_out_is_named() -> None:
    """Devices left out are named on standard error with the reason, after the answers; in JSON with the worst code."""
    partly = outcome("{label} is {on_off}", LAMP, several=True, left_out=LEFT_OUT)
    told = "left out: kids (not permitted), garden (unavailable), tv (not confirmed), a (bad\\x0a)\n"
    assert render(partly, Look()) == ("desk is on\n", told)
    out, err = render(outcome("{label}", LAMP, several=True, left_out=LEFT_OUT, json=True), Look())
    assert json.loads(out) == [LAMP.as_json()]
    assert json.loads(err)["error"]["code"] == "denied"
    out, err = render(outcome("{label}", several=True, left_out=LEFT_OUT[1:2], json=True), Look())
    assert (json.loads(out), json.loads(err)["error"]["code"]) == ([], "unavailable")


@pytest.mark.parametrize(
    ("values", "several", "expected"),
    [
        ([LAMP], False, LAMP.as_json()),
        ([LAMP], True, [LAMP.as_json()]),
        ([LAMP, DOOR], True, [LAMP.as_json(), DOOR.as_json()]),
        ([[LAMP, DOOR]], True, [LAMP.as_json(), DOOR.as_json()]),
        ([[]], True, []),
        (["a\u2028\x1b\x7f"], False, "a\u2028\x1b\x7f"),
        ([None], False, None),
    ],
)
def test_json(values: list[object], several: bool, expected: object) -> None:  # noqa: FBT001 (a column)
    """JSON is one line: a device an object, several an array, and what is harmful in it escaped."""
    out, err = render(outcome("", *values, several=several, json=True), Look())
    assert err == ""
    assert out.endswith("\n")
    assert out[:-1].isprintable()
    assert json.loads(out) == expected


@settings(deadline=None)
@given(st.text(), st.integers(20, 120))
def test_sentences_break_only_in_a_terminal(text: str, columns: int) -> None:
    """In a terminal a sentence breaks so that it fits; for a script each line of it is one line; no word is lost."""
    plain, _ = render(outcome(str, text), Look(columns=columns))
    broken, _ = render(outcome(str, text), Look(columns=columns, wrap=True))
    assert plain.count("\n") == (text.count("\n") + 1 if text else 0)
    assert "".join(broken.split()) == "".join(plain.split())
    assert all(cell_len(line) <= columns for line in broken.split("\n"))


# -- tables -----------------------------------------------------------------------------------------------------------

COLUMNS = (
    Column("id", keep=9),
    Column("name", keep=1),
    Column("is", keep=8, wraps=True),
    Column("n", keep=5, right=True),
)
ROWS: list[list[str | tuple[str, str]] | str] = [
    "a rather long heading of a room",
    ["light.desk", "Desk", ("on, 40 %", "active"), "7"],
    ["lock.front_door", "Front door", ("unlocked and more than fits into one line", "alert"), "123"],
]


def test_a_table_in_a_wide_terminal() -> None:
    """A table has a line of titles and a line a row, numbers to the right, no line with space at its end."""
    assert table(Table(COLUMNS, ROWS[1:]), Look(columns=100)).splitlines() == [
        "id               name        is                                           n",
        "light.desk       Desk        on, 40 %                                     7",
        "lock.front_door  Front door  unlocked and more than fits into one line  123",
    ]


@pytest.mark.parametrize(
    ("columns", "titles"),
    [(100, "id name is n"), (50, "id name is n"), (40, "id is n"), (33, "id is"), (20, "id"), (3, "id")],
)
def test_the_least_needed_columns_go_first(columns: int, titles: str) -> None:
    """In a narrow terminal long cells are wrapped, then columns go, and the one needed most stays."""
    assert table(Table(COLUMNS, ROWS[1:]), Look(columns=columns)).splitlines()[0].split() == titles.split()


def test_an_empty_table_says_so() -> None:
    """A list of nothing says that."""
    assert table(Table(COLUMNS, [], empty="no bans"), Look()) == "no bans\n"


def test_headings_stand_whole() -> None:
    """A heading is shown whole, whatever the width of the column below it."""
    narrow = Table((Column("id"), Column("n")), ["a rather long heading of a room", ["x", "1"]])
    assert "a rather long heading of a room" in table(narrow, Look()).replace("\n", " ")


def test_colour_is_only_for_who_can_see_it() -> None:
    """Without colour there is no escape in a table; with it there is, and the words are the same."""
    plain = table(Table(COLUMNS, ROWS), Look())
    coloured = table(Table(COLUMNS, ROWS), Look(color="standard"))
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60), st.integers()),
        min_size=1,
        max_size=5,
    ),
    st.integers(20, 120),
)
def test_any_table_fits_and_is_harmless(rows: list[tuple[str, str, str, int]], columns: int) -> None:
    """Whatever the cells hold, no line drives the terminal, and none is wider than it unless one column alone is."""
    cells = [[first, second, third, str(number)] for first, second, third, number in rows]
    text = table(Table(COLUMNS, cells), Look(columns=columns))
    lines = text.split("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)
    assert all(cell_len(line) <= columns for line in lines)


def test_bars() -> None:
    """A share is drawn in eighths where it can be; a column of bars alone is nowhere else, nor where it is empty."""
    columns = (Column("lamp"), Column("level", bars=True), Column("battery"))
    rows = [("a", ("50 %", "", 0.5), ("7 %", "alert", 0.07)), ("b", ("", "", -1), ("200 %", "", 2.0))]
    assert table(Table(columns, rows), Look(drawn=True)).splitlines() == [
        "lamp  level          battery",
        "a     ████░░░░ 50 %  ▌░░░░░░░ 7 %",
        "b     ░░░░░░░░       ████████ 200 %",
    ]
    assert table(Table(columns, rows), Look()).splitlines() == ["lamp  battery", "a     7 %", "b     200 %"]
    assert table(Table(columns, [("a", "", "x")]), Look(drawn=True)).splitlines() == ["lamp  battery", "a     x"]


def test_plots() -> None:
    """A plot is drawn where that can be and there is room, else told in rows; filters leave of it rows alone."""
    chart = Chart([Stretch(0, 60, 1, 1, 1, 1)], 0, 60, ZoneInfo("UTC"))
    shown = Plot((Column("from"),), [["rows"]], "none", chart=chart, title="Desk \x1b", foot="min 1")
    drawn, _ = render(outcome(lambda _: shown, None), Look(drawn=True))
    assert drawn.splitlines()[0] == "Desk \\x1b"
    assert "┤" in drawn
    for look in (Look(), Look(columns=29, drawn=True)):
        assert render(outcome(lambda _: shown, None), look)[0] == "Desk \\x1b\nfrom\nrows\nmin 1\n"
    assert render(outcome(str, Filtered(shown)), Look(drawn=True))[0] == "from\nrows\n"
    empty = msgspec.structs.replace(shown, rows=[])
    assert render(outcome(lambda _: empty, None), Look(drawn=True))[0] == "none\n"


def test_scalars_of_every_kind_can_be_told() -> None:
    """A state of any value, also one not known, is told in words."""
    values: list[Scalar] = [None, True, 0, 1.5, "heat"]
    for value in values:
        out, _ = render(outcome("{on}", LAMP.with_state({"on": value})), Look())
        assert out.strip()
