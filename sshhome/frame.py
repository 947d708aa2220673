"""Messages on a stream of bytes, told apart by their first byte: lines of JSON, or a length and then so many bytes.

A message is bounded before it is there: of one that is too long nothing but its beginning is ever kept.
"""

#: What a line of JSON begins with, what stands between messages, and bytes of the length in front of others.
_LINE, _SPACE, _LENGTH = b"{[", b" \t\r\n", 4


class BadFrame(Exception):
    """What follows cannot be told apart any more; `line` is the kind in which that can be answered."""

    def __init__(self, message: str, *, line: bool) -> None:
        """Say why."""
        super().__init__(message)
        self.message = message
        self.line = line


class Frames:
    """Takes bytes as they come and gives messages."""

    def __init__(self, most: int) -> None:
        """Take messages of so many bytes at the most."""
        self._most = most
        self._data = bytearray()
        #: How far the first message has been looked through for its end.
        self._looked = 0

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._data += data

    def take(self) -> tuple[bytes, bool] | None:
        """Return the next message, and whether it was a line, or None while it is not whole; raises BadFrame."""
        data = self._data
        if data and data[0] in _SPACE:
            del data[: len(data) - len(data.lstrip(_SPACE))]
        if not data:
            return None
        return self._take_line() if data[0] in _LINE else self._take_counted()

    def _take_line(self) -> tuple[bytes, bool] | None:
        end = self._data.find(b"\n", self._looked, self._most + 1)
        if end < 0:
            if len(self._data) > self._most:
                raise BadFrame(self._too_long, line=True)
            self._looked = len(self._data)
            return None
        message = bytes(self._data[:end])
        del self._data[: end + 1]
        self._looked = 0
        return message, True

    def _take_counted(self) -> tuple[bytes, bool] | None:
        if self._data[0]:
            raise BadFrame("this is neither a line of JSON nor the length of a message", line=True)
        if len(self._data) < _LENGTH:
            return None
        size = int.from_bytes(self._data[:_LENGTH], "big")
        if size > self._most:
            raise BadFrame(self._too_long, line=False)
        if len(self._data) < _LENGTH + size:
            return None
        message = bytes(self._data[_LENGTH : _LENGTH + size])
        del self._data[: _LENGTH + size]
        return message, False

    @property
    def _too_long(self) -> str:
        return f"a message may be {self._most} bytes long"


def framed(message: bytes, *, line: bool) -> bytes:
    """Return a message as it is sent; a line holds no newline."""
    return message + b"\n" if line else len(message).to_bytes(_LENGTH, "big") + message
