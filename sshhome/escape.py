"""Text from elsewhere is made harmless to the terminal, log or JSON that will show it."""

import json
import re
from typing import Any

import msgspec

# C0 and C1 controls, soft hyphen, zero-width and bidirectional marks, line and paragraph separators, lone
# surrogates, the byte-order mark and the invisible tag characters: all that moves a cursor or hides.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_encode = msgspec.json.Encoder(enc_hook=str).encode
_UNSEEN = re.compile(_HARMFUL.pattern.replace("\x00-\x1f\x7f-\x9f", "\x80-\x9f"))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def printable(text: str) -> str:
    """Return the text with every harmful character spelt out, escape as a backslash and `x1b`."""
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub(_visible, text)


def line(text: str, longest: int) -> str:
    """Return a text as one line of at most so many characters, without those that cannot be seen."""
    return "".join(sign for sign in " ".join(text[: 4 * longest].split()) if sign.isprintable())[:longest].strip()


def seen(text: str) -> str:
    """Return what somebody types, U+FFFD in place of what would not be seen on the line; control keys stay."""
    return text if text.isascii() else _UNSEEN.sub("\ufffd", text)


def encoded(value: Any) -> bytes:  # noqa: ANN401 (any value)
    """Return a value as JSON on one line, whatever its texts hold; what JSON has no word for is told as text."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        # A lone surrogate, such as a device may have in what it tells: the slow encoder escapes it.
        return json.dumps(msgspec.to_builtins(value, enc_hook=_told), separators=(",", ":")).encode()


def _told(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else str(value)


def printable_json(text: str) -> str:
    """Return JSON text with the harmful characters inside its strings as JSON escapes, same value."""
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub(_json_escape, text)
