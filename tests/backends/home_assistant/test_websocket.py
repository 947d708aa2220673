"""Where a Home Assistant is and how to come in; what is said there is tried in backends/test_home_assistant.py."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from sshhome.backends.home_assistant.websocket import NeedsToken, Server, object_of, objects_of
from sshhome.errors import SiteError


def secret(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")
    return path


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"nosuch": 1}, "unknown key 'nosuch'"),
        ({"url": "ws://house"}, "url is http://HOST:8123"),
        ({"url": "http://user:secret@house"}, "url is http://HOST:8123"),
        ({"url": "http://house:port"}, "[Pp]ort"),
        ({"url": 8123}, "Expected `str`, got `int`"),
        ({"url": None}, "Expected `str`"),
        ({"token_file": ""}, "token_file is the file that holds"),
        ({"keepalive": "0s"}, "keepalive is 1s to 1h"),
        ({"keepalive": "soon"}, "'soon' is not a duration"),
        ({"ca": "ca.pem"}, "ca is for an https"),
    ],
)
def test_wrong_options(wrong: Mapping[str, object], words: str) -> None:
    """What is wrong with an option is told without connecting anywhere, and without any secret."""
    with pytest.raises(SiteError, match=f"^sshhome.toml: backend home_assistant: .*{words}") as raised:
        Server({"kind": "home_assistant", "url": "http://house:8123", "token_file": "t", **wrong}, Path())
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    ("key", "words"),
    [("token_file", "No such file"), ("code_file", "No such file"), ("ca", "ca: ")],
)
def test_files_that_are_not_there(tmp_path: Path, key: str, words: str) -> None:
    """A file that cannot be read is an error at once, not only when there is a connection."""
    secret(tmp_path / "token", "a-token")
    server = Server({"url": "https://127.0.0.1:1", "token_file": "token", key: "nosuch"}, tmp_path)
    with pytest.raises(SiteError, match=f"^sshhome.toml: backend home_assistant: .*{words}"):
        server.read()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NeedsToken("it is not a-token"), "it needs a new token: it is not …"),
        (TimeoutError(), "it does not answer"),
        (ConnectionError("it hung up"), "it hung up"),
        (ConnectionResetError(), "the connection was lost"),
        (aiohttp.ClientError("code 1234\n\x1b[2J of a-token"), "code … [2J of …"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_words_have_no_secret_in_them(tmp_path: Path, error: Exception, words: str) -> None:
    """What went wrong is told on one line, with neither the token nor the code nor what moves a cursor."""
    secret(tmp_path / "token", "a-token")
    secret(tmp_path / "code", "1234")
    server = Server({"url": "http://house", "token_file": "token", "code_file": "code"}, tmp_path)
    server.read()
    assert server.words(error) == words
    assert str(server) == "house:80"


@pytest.mark.parametrize("told", [None, [], "text", 3, [[]], [None]])
def test_whoever_tells_no_objects_is_somebody_else(told: object) -> None:
    """Where Home Assistant tells an object, anything else is an error that ends the conversation."""
    with pytest.raises(ValueError, match="as Home Assistant does"):
        object_of(told)
    if told in ([[]], [None]):
        with pytest.raises(ValueError, match="as Home Assistant does"):
            objects_of(told)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", b"\x00" * 10000],
    ids=["ssh", "http", "nothing", "zeros"],
)
async def test_whoever_else_listens_there(tmp_path: Path, said: bytes) -> None:
    """Any other server at that address is an error in one line, and the token is not told to it."""
    heard = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    secret(tmp_path / "token", "a-token")
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        server = Server({"url": f"http://127.0.0.1:{port}", "token_file": "token"}, tmp_path)
        server.read()
        with pytest.raises((aiohttp.ClientError, OSError)) as raised:
            async with server.connect():
                pass
    words = server.words(raised.value)
    assert words
    assert words.isprintable()
    assert b"GET /api/websocket" in heard
    assert b"a-token" not in heard
