"""What people write for numbers, units, colours and durations, and the canonical value of each."""

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sshhome import quantity
from sshhome.errors import BadArguments


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("21.5", "°C", 21.5),
        ("21c", "°C", 21),
        ("21 °C", "°C", 21),
        ("70f", "°C", 21.11),
        ("32°F", "°C", 0),
        ("40%", "%", 40),
        (" 40 % ", "%", 40),
        ("2700k", "K", 2700),
        ("370mired", "K", 2702.7),
        ("1.5kW", "W", 1500),
        ("90deg", "°", 90),
        ("007", "", 7),
    ],
)
def test_units_become_the_canonical_one(text: str, unit: str, value: float) -> None:
    """A number in any unit of its kind is converted at the edge, in whichever case it is written."""
    _, size, given_unit = quantity.number(text)
    assert quantity.convert(size, given_unit, unit) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize(
    ("text", "unit"), [("21k", "°C"), ("40%", "K"), ("40c", "%"), ("5w", "°"), ("3h", "W"), ("0mired", "K"), ("5x", "")]
)
def test_foreign_units_are_refused(text: str, unit: str) -> None:
    """A unit of another kind is refused, never taken for a bare number."""
    _, size, given_unit = quantity.number(text)
    with pytest.raises(BadArguments):
        quantity.convert(size, given_unit, unit)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "%",
            "+",
            "-",
            "1e5",
            "0x10",
            "1_000",
            "nan",
            "inf",
            "-inf",
            "٣",
            "½",
            "1.",
            ".5",
            "1,5",
            "--1",
            "1 2",
        ),
        *("1" * 10, "1" * 10_000, "1." + "1" * 10, "1\x00", "1\u2028k", "\uff11", "1∞"),
    ],
)
def test_what_is_no_number(text: str) -> None:
    """Only short decimal ASCII numbers are numbers: nothing of what else Python's float() would take."""
    with pytest.raises(BadArguments):
        quantity.number(text)


@given(st.sampled_from(["", "+", "-"]), st.integers(0, 999_999_999), st.sampled_from(["", "%", "k", "°C", "kW"]))
def test_every_short_number_is_read_exactly(sign: str, size: int, unit: str) -> None:
    """A sign, up to nine digits and a unit come back as they were written."""
    assert quantity.number(f"{sign}{size}{unit}") == (sign, float(size), unit.lower())


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("red", {"hue": 0, "saturation": 100}),
        ("  Warm_White ", {"color_temperature": 2700}),
        ("warm  white", {"color_temperature": 2700}),
        ("#ff8800", {"hue": 32, "saturation": 100}),
        ("#FF8800", {"hue": 32, "saturation": 100}),
        ("#ff0001", {"hue": 360, "saturation": 100}),
        ("#000000", {"hue": 0, "saturation": 0}),
        ("2700K", {"color_temperature": 2700}),
        ("2700 k", {"color_temperature": 2700}),
        ("250mired", {"color_temperature": 4000}),
    ],
)
def test_colours(text: str, change: dict[str, float]) -> None:
    """A name, a hexadecimal triple and a temperature are colours."""
    assert quantity.color(text) == change


@pytest.mark.parametrize("text", ["", "rot", "#ff880", "#ff88000", "#gg8800", "2700", "1.2.3k", "-5k", "0mired", "k"])
def test_what_is_no_colour(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(BadArguments):
        quantity.color(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1d", 86400), ("1m500ms", 60.5)]
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is numbers with their units, added up; `ms` is not `m` and `s`."""
    assert quantity.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "s", "1.5h", "-5m", "5 m", "5M", "1h30", "٣s", "1w", "5m\n", "1" * 10 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    """A duration always names its unit."""
    with pytest.raises(BadArguments):
        quantity.duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("12", 12), ("1B", 1), ("4KiB", 4096), ("1 MiB", 2**20), ("2GiB", 2**31)]
)
def test_sizes(text: str, size: int) -> None:
    """A size is bytes, or binary multiples of them."""
    assert quantity.size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "4kb", "4KB", "4k", "4.5KiB", "-4KiB", "4kib", "٤KiB", "4KiB\n"])
def test_what_is_no_size(text: str) -> None:
    """A decimal multiple, or one in another case, is refused rather than guessed."""
    with pytest.raises(BadArguments):
        quantity.size(text)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_spans_as_people_say_them(seconds: float, said: str) -> None:
    """A duration is told in at most two units."""
    assert quantity.span(seconds) == said


@settings(deadline=None)
@given(st.text())
@example("1e999k")
@example("999999999mired")
@example("0.000000001mired")
@example("\u212a")
def test_any_text_is_a_value_or_bad_arguments(text: str) -> None:
    """No parser answers any text with another exception than BadArguments, nor with an infinite value."""
    parsers: list[Callable[[str], float | dict[str, float]]] = [
        quantity.duration,
        quantity.size,
        quantity.color,
        lambda text: quantity.number(text)[1],
    ]
    for parse in parsers:
        with contextlib.suppress(BadArguments):
            value = parse(text)
            assert all(math.isfinite(part) for part in (value.values() if isinstance(value, dict) else [value]))
