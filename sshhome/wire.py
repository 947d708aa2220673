"""Data in SSH's wire format (RFC 4251 §5), read from its beginning to its end."""


class Wire:
    """Reads one field after the other; raises ValueError where the data is cut off."""

    def __init__(self, data: bytes) -> None:
        """Begin at the beginning."""
        self._data = data
        self._at = 0

    @property
    def read(self) -> bytes:
        """What has been read so far."""
        return self._data[: self._at]

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        if size > self.rest:
            raise ValueError("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Read a number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Read a string, which says its own length."""
        return self.take(self.number(4))

    def text(self) -> str:
        """Read a string of UTF-8."""
        return self.string().decode()

    def end(self) -> None:
        """Raise ValueError unless everything has been read."""
        if self.rest:
            raise ValueError("more than there should be")


def string(value: bytes) -> bytes:
    """Return a string as it is written."""
    return len(value).to_bytes(4, "big") + value
