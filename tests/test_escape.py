"""Text from elsewhere cannot move a cursor, hide anything or forge a line."""

import json
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.escape import encoded, line, printable, printable_json

#: Any text at all, lone surrogates too.
ANY_TEXT = st.text(st.characters())

BIDI = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F]
HIDDEN = [0x00AD, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xE0001, 0xE0041, 0xE007F]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Küche 21 °C ✓ 厨房", "Küche 21 °C ✓ 厨房"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("a\u2028b", "a\\u{2028}b"),
        ("\ufeff", "\\u{feff}"),
        ("\ud800", "\\u{d800}"),
        ("\U000e0041", "\\u{e0041}"),
    ],
)
def test_harmful_characters_are_spelt_out(text: str, shown: str) -> None:
    """A control character is shown by its number; ordinary text of any script stays as it is."""
    assert printable(text) == shown


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *BIDI, *HIDDEN], ids=hex)
def test_nothing_that_moves_or_hides_gets_through(code: int) -> None:
    """No control character, line separator, bidirectional mark or invisible character reaches a terminal or a log."""
    assert printable(chr(code)).isascii()
    assert printable(f"ü{chr(code)}ü").removeprefix("ü").removesuffix("ü").isascii()
    # JSON itself spells out what is below the space.
    assert code < 0x20 or printable_json(f'"{chr(code)}"').isprintable()
    assert code < 0x20 or json.loads(printable_json(f'"{chr(code)}"')) == chr(code)


@given(ANY_TEXT)
def test_shown_text_is_one_line_and_stays_as_it_is(text: str) -> None:
    """What is shown holds no control, no separator and no lone surrogate, can be encoded, and is not escaped again."""
    shown = printable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Zl", "Zp", "Cs"}
    assert len(f"{shown}.".splitlines()) == 1
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


#: Any JSON, of numbers that every JSON has.
ANY_JSON = st.recursive(
    ANY_TEXT | st.integers(-(2**53), 2**53) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


@given(ANY_JSON)
def test_any_value_becomes_json(value: object) -> None:
    """Whatever its texts hold, a value is one line of JSON that says the same."""
    text = encoded(value)
    assert json.loads(text) == value
    assert b"\n" not in text


@pytest.mark.parametrize("beside", ["a", "\ud800"])
def test_what_json_has_no_word_for(beside: str) -> None:
    """What is JSON already stays as it is, and what cannot be is told as text, also beside half a surrogate."""
    value = [beside, msgspec.Raw(b'{"on":true}'), Path("a"), (1, 2)]
    assert json.loads(encoded(value)) == [beside, {"on": True}, "a", [1, 2]]


@given(ANY_JSON)
def test_json_keeps_its_value(value: object) -> None:
    """JSON whose harmful characters are escaped says the same as before, on one line that can be encoded."""
    text = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert len(text.splitlines()) == 1
    assert text.encode()


def test_a_name_is_one_harmless_line() -> None:
    """What something calls itself is one line of what can be seen, and no longer than it may be."""
    assert line(" a\n\tb\x1b[2J\u202e ", 64) == "a b[2J"
    assert line("x" * 1000, 64) == "x" * 64
    assert line("\x00" * 10, 64) == ""
