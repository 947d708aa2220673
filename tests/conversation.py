"""Conversations of apps with the house: what is sent and what comes, as `tests/protocol/README.md` tells it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh

from tests.client import PATIENCE, Door

FOLDER = Path(__file__).parent / "protocol"
_MORE = "…"


class Message(NamedTuple):
    """What came, and whether it was a line."""

    value: Any
    line: bool


class App:
    """An app at the other end of one channel."""

    def __init__(self, writer: "asyncssh.SSHWriter[bytes]", reader: "asyncssh.SSHReader[bytes]") -> None:
        """Speak and listen."""
        self._writer = writer
        self._reader = reader
        self._numbers = iter(range(1, 1_000_000))

    def send(self, message: object, *, line: bool = True) -> None:
        """Send a message."""
        body = json.dumps(message).encode()
        self.send_raw(body + b"\n" if line else len(body).to_bytes(4, "big") + body)

    def send_raw(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    def ask(self, method: str, **params: object) -> int:
        """Ask, and return the id of the question."""
        number = next(self._numbers)
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    async def hear(self) -> Message:
        """Return the next message; raises EOFError when there is none."""
        try:
            async with asyncio.timeout(PATIENCE):
                first = await self._reader.readexactly(1)
                if first in b"{[":
                    return Message(json.loads(first + await self._reader.readuntil(b"\n")), line=True)
                size = int.from_bytes(first + await self._reader.readexactly(3), "big")
                return Message(json.loads(await self._reader.readexactly(size)), line=False)
        except asyncio.IncompleteReadError as error:
            raise EOFError(f"{error.partial!r}") from None

    async def answer(self, method: str, **params: object) -> Any:  # noqa: ANN401 (any JSON)
        """Ask and return the answer, whatever else comes before it."""
        number = self.ask(method, **params)
        while True:
            message = (await self.hear()).value
            if isinstance(message, dict) and message.get("id") == number:
                return message

    async def result(self, method: str, **params: object) -> Any:  # noqa: ANN401 (any JSON)
        """Ask and return the result."""
        answer = await self.answer(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    async def event(self) -> dict[str, Any]:
        """Return the members of the next event, whatever else comes before it."""
        while True:
            message = (await self.hear()).value
            if isinstance(message, dict) and message.get("method") == "event":
                return dict(message["params"])

    def end(self) -> None:
        """End this side."""
        self._writer.write_eof()

    async def closed(self) -> int | None:
        """Wait until the house closes the channel; return its exit status."""
        async with asyncio.timeout(PATIENCE):
            rest = await self._reader.read()
            channel = self._writer.channel
            await channel.wait_closed()
        assert not rest
        assert isinstance(channel, asyncssh.SSHClientChannel)
        return channel.get_exit_status()


@contextlib.asynccontextmanager
async def app(door: Door, user: str, **how: Any) -> AsyncIterator[App]:  # noqa: ANN401 (as `Door.connect`)
    """Open a connection and the channel of an app on it."""
    async with door.connect(user, **how) as connection:
        writer, reader, _ = await connection.open_session(subsystem="sshhome", encoding=None)
        yield App(writer, reader)


async def converse(door: Door, document: str) -> None:
    """Have a conversation; raises AssertionError with the line that was not as it should be."""
    known: dict[str, Any] = {}
    lines = [(number, line) for number, line in enumerate(document.splitlines(), 1) if line and line[0] != "#"]
    async with contextlib.AsyncExitStack() as stack:
        here: App | None = None
        while lines:
            number, line = lines.pop(0)
            word, _, rest = line.partition(" ")
            if word == "as":
                await stack.aclose()
                here = await stack.enter_async_context(app(door, rest))
                continue
            assert here is not None, "nobody is there yet"
            try:
                if word in {">", ">>"}:
                    here.send(filled(json.loads(rest), known), line=word == ">")
                elif word == ">raw":
                    text, times = raw(rest)
                    here.send_raw(text * times)
                elif word in {"<", "<<"}:
                    expected = [(word == "<", json.loads(rest))]
                    while lines and lines[0][1].partition(" ")[0] in {"<", "<<"}:
                        word, _, rest = lines.pop(0)[1].partition(" ")
                        expected.append((word == "<", json.loads(rest)))
                    await _heard(here, expected, known)
                elif word == "eof":
                    here.end()
                else:
                    assert await here.closed() == int(rest)
            except Exception as error:
                raise AssertionError(f"line {number}: {line[:200]}: {error!r}") from error


def raw(text: str) -> tuple[bytes, int]:
    """Return the bytes of a string in JSON, and how many times they are meant."""
    value, end = json.JSONDecoder().raw_decode(text)
    return str(value).encode("latin-1"), int(text[end:].strip() or "1")


async def _heard(here: App, expected: Sequence[tuple[bool, Any]], known: dict[str, Any]) -> None:
    """Wait for messages, in any order."""
    left = list(expected)
    while left:
        message = await here.hear()
        for one in left:
            names = dict(known)
            if one[0] == message.line and matches(one[1], message.value, names):
                known.update(names)
                left.remove(one)
                break
        else:
            raise AssertionError(f"unexpected {message}, and not {left}")


def filled(value: Any, known: dict[str, Any]) -> Any:  # noqa: ANN401 (any JSON)
    """Return what is sent, with what names stand for."""
    if isinstance(value, dict):
        return {name: filled(member, known) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(member, known) for member in value]
    return known[value] if isinstance(value, str) and value.startswith("$") and value in known else value


def matches(expected: Any, value: Any, known: dict[str, Any]) -> bool:  # noqa: ANN401 (any JSON)
    """Return whether something is as expected; takes note of what names stand for."""
    if isinstance(expected, str) and expected.startswith("$"):
        return expected == "$_" or known.setdefault(expected, value) == value
    if isinstance(expected, dict) and isinstance(value, dict):
        named = {name: member for name, member in expected.items() if name != _MORE}
        if named.keys() - value.keys() or (_MORE not in expected and value.keys() - named.keys()):
            return False
        return all(matches(member, value[name], known) for name, member in named.items())
    if isinstance(expected, list) and isinstance(value, list):
        if expected[:1] == [_MORE]:
            return all(_among(member, value, known) for member in expected[1:])
        pairs = zip(expected, value, strict=False)
        return len(expected) == len(value) and all(matches(one, other, known) for one, other in pairs)
    return type(expected) is type(value) and bool(expected == value)


def _among(expected: Any, values: Iterable[Any], known: dict[str, Any]) -> bool:  # noqa: ANN401 (any JSON)
    for value in values:
        names = dict(known)
        if matches(expected, value, names):
            known.update(names)
            return True
    return False
