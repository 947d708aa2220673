"""An attacker sends a good beginning of a connection with anything at all changed in it: it ends, and that is all.

What is changed is either the bytes on the wire or, under real keys, the messages in the packets. A login by key is
among them that is good but for its session, so that whoever gets in by chance has broken more than a signature.
"""

import asyncio
import functools
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks.raw import (
    CONFIRMED,
    ECDH_INIT,
    IGNORE,
    NEWKEYS,
    SERVICE_REQUEST,
    SUCCESS,
    Raw,
    kexinit,
    request,
    string,
)
from tests.attacks.victim import ELSEWHERE, MIB, Besiege
from tests.client import Door

Change = Callable[[bytes], bytes]
NEW = bytes([NEWKEYS])
#: A public value that a client may send (RFC 7748 §4.1).
BASE_POINT = b"\x09" + bytes(31)
#: Lengths that a length field has when somebody lies.
LENGTHS = [0, 1, 3, 4, 0x7F, 0xFF, 0x3FFFF, 0x40000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFB, 0xFFFFFFFC, 0xFFFFFFFF]
PLACES = st.integers(0, 2000)


def flip(place: int, bit: int) -> Change:
    """Flip a bit."""
    return lambda data: _at(data, place, lambda rest: bytes([rest[0] ^ 1 << bit]) + rest[1:] if rest else b"")


def cut(place: int, count: int) -> Change:
    """Leave bytes out."""
    return lambda data: _at(data, place, lambda rest: rest[count:])


def double(place: int, count: int) -> Change:
    """Say bytes twice."""
    return lambda data: _at(data, place, lambda rest: rest[:count] + rest)


def insert(place: int, new: bytes) -> Change:
    """Say something in between."""
    return lambda data: _at(data, place, lambda rest: new + rest)


def lie(place: int, length: int) -> Change:
    """Put a length over what is there."""
    return lambda data: _at(data, place, lambda rest: length.to_bytes(4) + rest[4:])


def _at(data: bytes, place: int, change: Change) -> bytes:
    place %= len(data) + 1
    return data[:place] + change(data[place:])


CHANGES = st.lists(
    st.builds(flip, PLACES, st.integers(0, 7))
    | st.builds(cut, PLACES, st.integers(1, 100))
    | st.builds(double, PLACES, st.integers(1, 100))
    | st.builds(insert, PLACES, st.binary(max_size=20))
    | st.builds(lie, PLACES, st.sampled_from(LENGTHS)),
    max_size=6,
)
#: For each message under keys, whether it is sent, and how it is changed.
SCRIPT = st.lists(st.tuples(st.integers(0, 8), CHANGES), min_size=1, max_size=8)


async def plain(door: Door) -> bytes:
    """Return all that is sent in the clear, and the beginning of what is not."""
    async with Raw.connect(door) as raw:
        packets = [raw.seal(message) for message in (kexinit(), bytes([ECDH_INIT]) + string(BASE_POINT), NEW)]
    return b"SSH-2.0-raw\r\n" + b"".join(packets) + bytes(range(200))


def sealed(raw: Raw, door: Door) -> Sequence[bytes]:
    """Return the messages of a login, none of which lets anybody in."""
    home = door.key("home")
    own, raw.session_id = raw.session_id, bytes(32)
    stolen = raw.signed("home", home)
    raw.session_id = own
    return [
        bytes([SERVICE_REQUEST]) + string("ssh-userauth"),
        request("home", "none"),
        raw.offer("home", home),
        raw.signed("home", home, door.key("attacker")),
        stolen,
        request("home", "password", b"\1", string("correct horse"), string("another horse")),
        request("home", "keyboard-interactive", string(""), string("")),
        bytes([IGNORE]) + string("x" * 20),
        kexinit(),
    ]


async def in_the_clear(door: Door, source: str, data: bytes) -> None:
    """Send bytes, and wait until the server has closed."""
    async with Raw.connect(door, source) as raw:
        raw.write(data)
        await enough(raw, asyncio.create_task(raw.everything()))


async def under_keys(door: Door, source: str, script: Sequence[tuple[int, Sequence[Change]]]) -> None:
    """Send messages, and wait until the server has closed."""
    async with Raw.connect(door, source) as raw:
        await raw.greet()
        await raw.exchange()
        messages = sealed(raw, door)
        raw.send(*(functools.reduce(lambda data, change: change(data), how, messages[which]) for which, how in script))
        await enough(raw, asyncio.create_task(nobody_comes_in(raw)))


async def nobody_comes_in(raw: Raw) -> None:
    """Read until the server has closed."""
    messages, _ = await raw.heard()
    assert not {message[0] for message in messages if message} & {SUCCESS, CONFIRMED}


async def enough(raw: Raw, reading: "asyncio.Task[Any]") -> None:
    """Wait for the end; a server that waits for more gets, after a moment to think, more than it can bear."""
    await asyncio.wait({reading}, timeout=0.02)
    if not reading.done():
        raw.write(b"\xff" * 130 * 1024)
    await reading


async def fuzz(door: Door, examples: int) -> None:
    """Send so many examples of either kind, each from an address of its own."""
    recorded = await plain(door)
    loop = asyncio.get_running_loop()
    numbers = itertools.count()
    careful = settings(max_examples=examples, deadline=None, database=None)

    def run(attack: Callable[[Door, str, Any], Coroutine[Any, Any, None]], what: Any) -> None:  # noqa: ANN401 (either)
        number = next(numbers)
        source = f"127.{2 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
        asyncio.run_coroutine_threadsafe(attack(door, source, what), loop).result()

    @careful
    @given(CHANGES)
    def clear(changes: Sequence[Change]) -> None:
        run(in_the_clear, functools.reduce(lambda data, change: change(data), changes, recorded))

    @careful
    @given(SCRIPT)
    def keyed(script: Sequence[tuple[int, Sequence[Change]]]) -> None:
        run(under_keys, script)

    # hypothesis knows nothing of asyncio: it waits in a thread for what this loop does.
    await asyncio.to_thread(clear)
    await asyncio.to_thread(keyed)


@pytest.mark.parametrize(
    "examples",
    [75, pytest.param(2000, marks=[pytest.mark.flood, pytest.mark.timeout(600)])],
    ids=["briefly", "long"],
)
async def test_fuzz(besiege: Besiege, examples: int) -> None:
    """Whatever comes, the server closes, lets nobody in, says no word on standard error and serves others meanwhile.

    Nor does it think that something broke it, which is what an exception that nobody expected is taken for.
    """
    async with besiege(memory=24 * MIB) as victim:
        fuzzing = asyncio.create_task(fuzz(victim.door, examples))
        await victim.others_are_served()
        await fuzzing
        await victim.others_are_served()
        assert {event["source"] for event in victim.door.audit("login.ok")} == {ELSEWHERE}
        assert not [event for event in victim.door.audit("penalty.set") if event["kind"] == "crash"]
