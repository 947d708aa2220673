"""Messages on a channel: JSON, each behind its length in four bytes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sshhome.errors import BadArguments

#: Bytes of the longest answer that is believed: a house of twenty thousand devices is a quarter of it.
_LONGEST = 2**26
#: Bytes of the longest message that a house reads, if its owner wants it no other way.
_LONGEST_READ = 2**16


def packed(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent; raises BadArguments for what no house would know an answer to."""
    try:
        body = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadArguments(f"that is nothing to tell a house: {error}") from None
    if len(body) > _LONGEST_READ:
        raise BadArguments(f"an order and its params are too long: a house reads {_LONGEST_READ} bytes")
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Puts messages together of what arrives in pieces."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take a piece, and yield each message that is whole; raises ValueError for what is none."""
        self._held += data
        while len(self._held) >= 4:
            size = int.from_bytes(self._held[:4], "big")
            if size > _LONGEST:
                raise ValueError("the house sends what no house sends")
            if len(self._held) < 4 + size:
                return
            try:
                message = json.loads(self._held[4 : 4 + size])
            except RecursionError:
                raise ValueError("the house sends what is nested too deeply") from None
            del self._held[: 4 + size]
            if not isinstance(message, dict):
                raise ValueError("the house sends what is no message")  # noqa: TRY004 (whatever it is, it is the value)
            yield message
