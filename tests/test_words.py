"""The one tokenizer: quotes group, backslash escapes, `;` and newline separate, and nothing else is special."""

import contextlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sshhome.errors import BadArguments
from sshhome.words import Word, join, quote, split

ANY_TEXT = st.text(st.characters())
#: Text made mostly of what the tokenizer looks at.
TRICKY = st.text(st.sampled_from("ab'\"\\; \t\r\n\x00\u2028-$|&")) | ANY_TEXT
#: Everything a Unix shell or a regular expression would make something of.
PLAIN = "".join(sorted(set(string.punctuation) - set("'\"\\;")))


def texts(line: str) -> list[list[str]]:
    """Return the orders of a line as plain texts."""
    return [[word.text for word in words] for words in split(line)]


@pytest.mark.parametrize(
    ("line", "orders"),
    [
        ("", []),
        (" \t\r\n ; ;; \n", []),
        ("on kitchen", [["on", "kitchen"]]),
        ("\ton\r kitchen \r", [["on", "kitchen"]]),
        ("on kitchen;off desk\ndim desk 20", [["on", "kitchen"], ["off", "desk"], ["dim", "desk", "20"]]),
        ("echo 'a;b\nc' \"d e\"", [["echo", "a;b\nc", "d e"]]),
        ("echo a'b c'd", [["echo", "ab cd"]]),
        (r"echo \; \' \\ a\ b", [["echo", ";", "'", "\\", "a b"]]),
        (r"""echo 'a\' "b\"c" """, [["echo", "a\\", 'b"c']]),
        ("echo '' \"\"", [["echo", "", ""]]),
        ("echo end\\", [["echo", "end\\"]]),
        ("echo a\\\nb", [["echo", "a\nb"]]),
        (
            "$(reboot) | `reboot` & > /etc/passwd * #",
            [["$(reboot)", "|", "`reboot`", "&", ">", "/etc/passwd", "*", "#"]],
        ),
        ("on\u00a0kitchen\u2028x\x00y\x0bz", [["on\u00a0kitchen\u2028x\x00y\x0bz"]]),
    ],
)
def test_lines(line: str, orders: list[list[str]]) -> None:
    """A line becomes the orders its quotes, backslashes, separators and spaces make of it."""
    assert texts(line) == orders


@pytest.mark.parametrize("line", ["'", '"', "on 'kitchen", 'a "b', "a 'b\"", '"a\\"', "on; off 'x", "'\n"])
def test_open_quote_is_refused_whole(line: str) -> None:
    """A quote that does not end refuses the whole line, the orders before it too."""
    with pytest.raises(BadArguments, match="not closed"):
        split(line)


@pytest.mark.parametrize("line", ["'--json'", '"--json"', r"\--json", "--js'on'", '--json""'])
def test_quoted_word_is_no_option(line: str) -> None:
    """A word of which any part is quoted or escaped is never an option."""
    ((word,),) = split(line)
    assert word == Word("--json", quoted=True)
    assert not word.is_option
    assert Word("--json").is_option


@given(TRICKY)
@example("\\")
@example("'\\'")
def test_any_text_is_orders_or_one_refusal(line: str) -> None:
    """Any text is a list of orders that each have a word, or BadArguments."""
    with contextlib.suppress(BadArguments):
        assert all(words for words in split(line))


@given(st.text(st.characters(exclude_characters="'\"\\;\n")))
def test_only_four_characters_and_newline_are_special(line: str) -> None:
    """Text without quotes, backslash, `;` and newline is one order of the words between its spaces, and no more."""
    expected = [word for word in line.replace("\t", " ").replace("\r", " ").split(" ") if word]
    assert texts(line) == ([expected] if expected else [])
    assert split(f"{line};") == split(line)


@given(st.text(PLAIN + "a", min_size=1))
def test_punctuation_is_plain_text(text: str) -> None:
    """Whatever a Unix shell would expand, redirect or run is a word like any other."""
    assert texts(f"echo {text}") == [["echo", text]]


@given(ANY_TEXT)
@example("")
@example("--json")
@example("|")
@example("a\\")
def test_quoting_round_trips(text: str) -> None:
    """A quoted word is read back as the same one word, and never as an option or a pipe."""
    ((word,),) = split(quote(text))
    assert word.text == text
    assert not word.is_option
    assert word != Word("|")


@given(st.lists(st.lists(ANY_TEXT, min_size=1)), st.sampled_from([";", "\n", " ; ", "\n\n;"]))
def test_orders_round_trip(orders: list[list[str]], separator: str) -> None:
    """Orders of quoted words, put together with any separator, are read back as the same orders."""
    assert texts(separator.join(" ".join(map(quote, words)) for words in orders)) == orders


def test_words_join_into_one_line() -> None:
    """Words are joined by one space each, whatever stood between them."""
    ((*words,),) = split("echo   'a  b'\tc")
    assert join(words) == "echo a  b c"
