"""A conversation with a Home Assistant over its WebSocket, and where that is and how to come in.

Questions are answered by number, and what is told without being asked is passed on at once. Nothing that is told here
is believed to have the form it should; whoever does not tell objects where Home Assistant does is somebody else.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from sshhome.backends.home_assistant.entry import clean
from sshhome.errors import BadArguments, SiteError
from sshhome.quantity import duration
from sshhome.secret import SecretFile

#: Seconds to connect and be let in, for a question and for an order to be answered.
_CONNECT, _ANSWER, _ORDER = 10.0, 30.0, 5.0
#: Bytes of one message: the registries of 20,000 entities fit.
_LARGEST = 16 * 1024 * 1024
#: Letters of Home Assistant's own words.
_WORDS = 200

#: What is done with an event.
Hear = Callable[[object], None]


class NeedsToken(Exception):
    """Home Assistant does not take the token."""


class Failed(Exception):
    """Home Assistant answered with an error, in its own words."""

    def __init__(self, code: str, words: str) -> None:
        """Keep both."""
        super().__init__(words)
        self.code = code
        self.words = words


#: All that may come of a conversation but what it was for.
ERRORS = (NeedsToken, Failed, aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Options(msgspec.Struct, frozen=True):
    """A `[[backend]]` table of kind home_assistant; files are relative to the site, times as people write them."""

    url: str
    token_file: str
    kind: str = "home_assistant"
    name: str = ""
    code_file: str = ""
    ca: str = ""
    keepalive: str = "15s"


class Server:
    """Where Home Assistant is and how to come in, as its options say."""

    def __init__(self, options: Mapping[str, Any], folder: Path) -> None:
        """Check the options, of which files are relative to a folder; raises SiteError."""
        unknown = next((key for key in options if key not in Options.__struct_fields__), None)
        if unknown is not None:
            raise _wrong(f"unknown key '{unknown}'")
        try:
            self.options = msgspec.convert(dict(options), Options)
            self._keepalive = duration(self.options.keepalive)
            parts = urlsplit(self.options.url)
            host, port = parts.hostname or "", parts.port
        except (msgspec.ValidationError, BadArguments, ValueError) as error:
            raise _wrong(str(error)) from None
        if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
            raise _wrong("url is http://HOST:8123, or https:// for TLS")
        if not 1 <= self._keepalive <= 3600:
            raise _wrong("keepalive is 1s to 1h")
        if not self.options.token_file:
            raise _wrong("token_file is the file that holds a long-lived access token")
        if self.options.ca and parts.scheme == "http":
            raise _wrong("ca is for an https:// url")
        self._address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/api/websocket"
        self._host = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}"
        self._folder = folder
        self._token_file = SecretFile(folder / self.options.token_file)
        self._tls: ssl.SSLContext | None = None
        self._token = ""
        #: The code for what wants one.
        self.code = ""

    def __str__(self) -> str:
        """Return where it is."""
        return self._host

    def read(self) -> None:
        """Read the token and what else is in files; raises SiteError."""
        try:
            self._token = self._token_file.read()
            if self.options.code_file:
                self.code = SecretFile(self._folder / self.options.code_file).read()
            if self.options.ca:
                self._tls = ssl.create_default_context(cafile=str(self._folder / self.options.ca))
        except OSError as error:
            raise _wrong(f"ca: {error.strerror or error}") from None
        except SiteError as error:
            raise _wrong(error.message) from None

    def has_new_token(self) -> bool:
        """Return whether the token's file is another than the one that was read."""
        return self._token_file.is_new()

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator["Talk"]:
        """Connect and be let in; events are heard until the block ends. Raises one of `ERRORS`."""
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(_CONNECT):
                session = await stack.enter_async_context(aiohttp.ClientSession())
                socket = await session.ws_connect(
                    self._address,
                    ssl=self._tls or True,
                    # It asks after this time, and waits for the answer half as long.
                    heartbeat=self._keepalive * 2 / 3,
                    max_msg_size=_LARGEST,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
                stack.push_async_callback(socket.close)
                talk = Talk(socket)
                await talk.log_in(self._token)
            reading = asyncio.create_task(talk.read())
            stack.push_async_callback(_end, reading)
            yield talk
            if talk.ended.is_set():
                await reading

    def redact(self, text: str) -> str:
        """Return words without any secret in them."""
        for secret in filter(None, (self._token, self.code)):
            text = text.replace(secret, "…")
        return text

    def words(self, error: BaseException) -> str:
        """Return in a few words what went wrong."""
        match error:
            case NeedsToken():
                return self.redact(f"it needs a new token: {error}")
            case aiohttp.WSServerHandshakeError():
                return f"there is no Home Assistant: it answers {error.status}"
            case aiohttp.ClientConnectorCertificateError():
                return "its certificate is not trusted"
            case aiohttp.ClientConnectorError():
                return clean(error.os_error.strerror or "it cannot be reached", _WORDS).lower()
            case TimeoutError():
                return "it does not answer"
        return self.redact(clean(str(error), _WORDS)) or "the connection was lost"


class Talk:
    """One conversation; see `Server.connect`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take an open connection."""
        self._socket = socket
        self._hears: dict[int, Hear] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        #: Set once nobody is there any more.
        self.ended = asyncio.Event()
        self.version = ""

    async def log_in(self, token: str) -> None:
        """Show the token; raises NeedsToken."""
        hello = object_of(await self._heard())
        if hello.get("type") != "auth_required":
            raise _stranger()
        await self._socket.send_str(_written({"type": "auth", "access_token": token}))
        answer = object_of(await self._heard())
        if answer.get("type") != "auth_ok":
            raise NeedsToken(clean(answer.get("message"), _WORDS))
        self.version = clean(answer.get("ha_version"))

    async def _heard(self) -> object:
        frame = await self._socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            return _read(frame.data)
        if isinstance(self._socket.exception(), aiohttp.ServerTimeoutError):
            raise ConnectionError("it does not answer any more")
        raise ConnectionError("it hung up")

    async def read(self) -> None:
        """Take whatever comes, until the connection is lost; it never waits for anybody."""
        why: Exception = ConnectionError("the connection was lost")
        try:
            while True:
                told = await self._heard()
                for message in told if isinstance(told, list) else [told]:
                    self._take(object_of(message))
        except Exception as error:
            why = error
            raise
        finally:
            self.ended.set()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(why)
                    # Nobody may be left to ask.
                    answer.exception()

    def _take(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        if not isinstance(number, int):
            return
        if message.get("type") == "event":
            if number in self._hears:
                self._hears[number](message.get("event"))
            return
        answer = self._answers.pop(number, None)
        if answer is None or answer.done():
            return
        if message.get("success") is True:
            answer.set_result(message.get("result"))
        else:
            told = message.get("error")
            error = told if isinstance(told, dict) else {}
            answer.set_exception(Failed(clean(error.get("code")), clean(error.get("message"), _WORDS) or "no reason"))
            answer.exception()

    async def _send(self, kind: str, hear: Hear | None = None, **fields: object) -> "asyncio.Future[Any]":
        if self.ended.is_set():
            raise ConnectionError("the connection was lost")
        # Numbers must reach it in their order, so nothing is awaited before it is written.
        self._last = number = self._last + 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        if hear is not None:
            self._hears[number] = hear
        await self._socket.send_str(_written({"id": number, "type": kind, **fields}))
        return answer

    async def ask(self, kind: str, hear: Hear | None = None, **fields: object) -> Any:  # noqa: ANN401 (any JSON)
        """Ask and return the answer; what it asks to be told of is heard from then on. Raises Failed."""
        async with asyncio.timeout(_ANSWER):
            return await (await self._send(kind, hear, **fields))

    async def order(self, domain: str, name: str, data: Mapping[str, object], entity_id: str) -> "asyncio.Future[Any]":
        """Call a service on an entity and return what will be the answer."""
        target = {"entity_id": entity_id}
        async with asyncio.timeout(_ORDER):
            return await self._send("call_service", domain=domain, service=name, service_data=data, target=target)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _wrong(what: str) -> SiteError:
    return SiteError(f"sshhome.toml: backend home_assistant: {what}")


def object_of(told: object) -> dict[str, Any]:
    """Return a JSON object, which is what Home Assistant tells; raises ValueError."""
    if not isinstance(told, dict):
        raise _stranger()
    return told


def objects_of(told: object) -> list[dict[str, Any]]:
    """Return a list of JSON objects; raises ValueError."""
    return [object_of(one) for one in told] if isinstance(told, list) else []


def _stranger() -> ValueError:
    return ValueError("it does not speak as Home Assistant does")


def _read(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _stranger() from None


def _written(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()
