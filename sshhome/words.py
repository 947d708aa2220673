"""The one tokenizer: a line of text becomes orders, each a list of words.

Quotes group, backslash escapes, `;` and newline separate orders; no other character is special.
"""

from collections.abc import Sequence

import msgspec

from sshhome.errors import BadArguments

_SPACE = " \t\r"


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


def quote(text: str) -> str:
    """Return a word as it must be written so that `split` gives it back."""
    if text and not any(char in text for char in " \t\r\n;'\"\\") and not text.startswith("--"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def join(words: Sequence[Word]) -> str:
    """Return words as one line, for the audit log and for the rest of a line."""
    return " ".join(word.text for word in words)
