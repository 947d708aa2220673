"""The one tokenizer: a line of text becomes orders, each a list of words.

Quotes group, backslash escapes, `;` and newline separate orders; no other character is special.
"""

import re
from collections.abc import Sequence

import msgspec

from sshhome.errors import BadArguments

#: What may name a macro: one word that is never quoted, and never an option.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_SPACE = " \t\r"
#: What a word cannot hold unless it is quoted.
_SPECIAL = frozenset(f"{_SPACE}\n;'\"\\")


class Word(msgspec.Struct, frozen=True):
    """One word; a word with any quoted or escaped part is never an option."""

    text: str
    quoted: bool = False

    @property
    def is_option(self) -> bool:
        """Whether it is written like an option, `--json` or `--for`."""
        return not self.quoted and self.text.startswith("--")


def split(line: str) -> list[list[Word]]:
    """Return the orders of a line, empty ones left out; raises BadArguments for a quote that does not end."""
    if not any(char in line for char in "'\"\\;\n"):
        words = [Word(text) for text in line.replace("\t", " ").replace("\r", " ").split(" ") if text]
        return [words] if words else []
    orders: list[list[Word]] = [[]]
    text, started, quoted, quote = "", False, False, ""
    characters = iter(line)
    for char in characters:
        if char == "\\" and quote != "'":
            text += next(characters, "\\")
            started = quoted = True
        elif quote:
            if char == quote:
                quote = ""
            else:
                text += char
        elif char in "'\"":
            quote, started, quoted = char, True, True
        elif char in _SPACE or char in ";\n":
            if started:
                orders[-1].append(Word(text, quoted))
                text, started, quoted = "", False, False
            if char in ";\n":
                orders.append([])
        else:
            text += char
            started = True
    if quote:
        raise BadArguments(f"a quote {quote} is not closed")
    if started:
        orders[-1].append(Word(text, quoted))
    return [words for words in orders if words]


def quote(text: str, *, always: bool = False) -> str:
    """Return a word as it must be written so that `split` gives it back, or with quotes in any case."""
    if text and not always and _SPECIAL.isdisjoint(text) and not text.startswith("--") and text != "|":
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(word: Word) -> str:
    """Return a word as it was written: what was quoted in quotes, whatever is in it."""
    return quote(word.text, always=True) if word.quoted else word.text


def join(words: Sequence[Word]) -> str:
    """Return words as one line, for the audit log and for the rest of a line."""
    return " ".join(word.text for word in words)


class Located(msgspec.Struct, frozen=True):
    """A word and where in the line it stands; `open` is one whose quote has not ended yet."""

    word: Word
    start: int
    end: int
    open: bool = False


def locate(line: str) -> list[list[Located]]:
    """Return the orders of a line that may be half typed, each word with its place; agrees with `split`."""
    orders: list[list[Located]] = [[]]
    text, start, quoted, quote = "", -1, False, ""
    at = 0
    while at < len(line):
        char = line[at]
        ends = not quote and (char in _SPACE or char in ";\n")
        if ends:
            if start >= 0:
                orders[-1].append(Located(Word(text, quoted), start, at))
                text, start, quoted = "", -1, False
            if char in ";\n":
                orders.append([])
            at += 1
            continue
        start = at if start < 0 else start
        if char == "\\" and quote != "'":
            at += 1
            text += line[at] if at < len(line) else "\\"
            quoted = True
        elif quote:
            quote, text = ("", text) if char == quote else (quote, text + char)
        elif char in "'\"":
            quote, quoted = char, True
        else:
            text += char
        at += 1
    if start >= 0:
        orders[-1].append(Located(Word(text, quoted), start, len(line), bool(quote)))
    return orders
