"""Messages come out of a stream of bytes as they went in, in whatever pieces it comes, within a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.frame import BadFrame, Frames, framed

_LINES = st.binary(max_size=40).map(lambda rest: (b"{" + rest.replace(b"\n", b""), True))
_COUNTED = st.binary(max_size=60).map(lambda body: (body, False))
_MESSAGES = st.lists(st.one_of(_LINES, _COUNTED), max_size=8)


def taken(frames: Frames) -> list[tuple[bytes, bool]]:
    """Return all messages that are whole."""
    found = []
    while (message := frames.take()) is not None:
        found.append(message)
    return found


@given(messages=_MESSAGES, sizes=st.lists(st.integers(1, 30), min_size=1), space=st.sampled_from([b"", b" \r\n\t"]))
def test_any_pieces(messages: list[tuple[bytes, bool]], sizes: list[int], space: bytes) -> None:
    """What is sent is what comes out, however it is cut."""
    data = b"".join(space + framed(body, line=line) for body, line in messages)
    frames, found = Frames(64), []
    while data:
        for size in sizes:
            frames.feed(data[:size])
            data = data[size:]
            found += taken(frames)
    assert found == messages


@pytest.mark.parametrize(
    "data", [b"\0\0\0\x41", b"{" + b"x" * 64, b"[" * 65, b"{" + b"x" * 64 + b"\n", b"\0\xff\xff\xff"]
)
def test_too_long(data: bytes) -> None:
    """What is beyond the bound is refused before it is there."""
    frames = Frames(64)
    frames.feed(data)
    with pytest.raises(BadFrame, match="64 bytes") as error:
        frames.take()
    assert error.value.line is (data[0] != 0)


@pytest.mark.parametrize("data", [b"\0\0\0\x40" + b"x" * 64, b"{" + b"x" * 63 + b"\n"])
def test_just_long_enough(data: bytes) -> None:
    """What is at the bound is taken."""
    frames = Frames(64)
    frames.feed(data)
    assert len(taken(frames)[0][0]) == 64


@pytest.mark.parametrize("data", [b"on", b"\1\0\0\0", b"\xff", b'"a"', b"7", b"\x7f"])
def test_no_message(data: bytes) -> None:
    """What begins as no message does is none."""
    frames = Frames(64)
    frames.feed(data)
    with pytest.raises(BadFrame, match="neither"):
        frames.take()
