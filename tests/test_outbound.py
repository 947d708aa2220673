"""The way out of the house: where it leads, where it does not, and that nobody at its end keeps the house busy."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import sshhome
from sshhome.errors import BadArguments, Unavailable
from sshhome.outbound import Outbound, parse_url
from sshhome.source import Network
from tests.client import PATIENCE, until
from tests.loop import advance, turns
from tests.servers.mosquitto import _certificates
from tests.servers.receiver import receiver

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
#: An address of the loopback net at which nobody listens, and one on the Internet that no test speaks to.
ELSEWHERE, PUBLIC = "127.9.9.9", "93.184.215.14"


class Names:
    """A name server that answers what it is told to, one answer after another, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        """Give these answers, the last one for ever."""
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[Any]:
        """Return the addresses of a name."""
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [found for at in answer for found in socket.getaddrinfo(at, port, type=socket.SOCK_STREAM)]


async def post(out: Outbound, url: str, allow: Sequence[Network] = ()) -> int:
    """Post something."""
    return await out.post(parse_url(url), {"content-type": "text/plain"}, b"hello", allow)


async def refused(out: Outbound, url: str, allow: Sequence[Network] = ()) -> Unavailable:
    """Post something that is not taken, and return why."""
    with pytest.raises(Unavailable) as caught:
        await post(out, url, allow)
    return caught.value


@contextlib.asynccontextmanager
async def answering(*chunks: bytes) -> AsyncIterator[int]:
    """Answer whoever comes with bytes, and then with nothing; yields the port."""
    open_: list[asyncio.StreamWriter] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(writer)
        with contextlib.suppress(OSError):
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_:
            writer.transport.abort()
        await turns()


# -- where it leads ---------------------------------------------------------------------------------------------------


async def test_a_request() -> None:
    """What is posted arrives as it is, with its headers and the path, at what `allow` names."""
    async with receiver() as other:
        assert await post(Outbound(), other.url, LOOPBACK) == 204
        ((headers, body),) = other.requests
    assert body == b"hello"
    assert headers["host"] == f"127.0.0.1:{other.port}"
    assert headers["content-type"] == "text/plain"


async def test_tls_is_checked_by_name(tmp_path: Path) -> None:
    """Over TLS the name counts that was asked for, though an address was connected to; another one is not trusted."""
    _certificates(tmp_path, 30)
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    out = Outbound(Names(["127.0.0.1"]), ssl.create_default_context(cafile=tmp_path / "ca.crt"))
    async with receiver(tls=here) as other:
        assert await post(out, f"https://localhost:{other.port}/", LOOPBACK) == 204
        why = (await refused(out, f"https://other.example:{other.port}/", LOOPBACK)).message
        assert why.startswith(f"the certificate of https://other.example:{other.port} is not trusted: ")
        stranger = Outbound(Names(["127.0.0.1"]))
        why = (await refused(stranger, f"https://localhost:{other.port}/", LOOPBACK)).message
        assert "is not trusted" in why
        assert len(other.requests) == 1


async def test_another_address_is_tried() -> None:
    """Of a name with several addresses the first that answers is taken."""
    async with receiver() as other:
        out = Outbound(Names([ELSEWHERE, "127.0.0.1"]))
        assert await post(out, f"http://door.example:{other.port}/", LOOPBACK) == 204
        assert other.requests[0][0]["host"] == f"door.example:{other.port}"


# -- where it does not lead -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.5", "172.31.255.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"),  # noqa: S104 (nobody listens)
        *("255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        # Where clouds tell their machines what others must not know: AWS, Alibaba, Oracle, Azure, AWS over IPv6.
        *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "[fd00:ec2::254]"),
        *("[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[fec0::1]"),
        # IPv4 in the dress of IPv6: mapped, compatible, NAT64, local NAT64, 6to4, Teredo.
        *("[::ffff:127.0.0.1]", "[::ffff:10.0.0.5]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:5]"),
        *("[2002:7f00:1::1]", "[2001:0:7f00:1::1]", "[2001:db8::1]"),
    ],
)
async def test_addresses_that_are_not_public(address: str) -> None:
    """No address of the house, of the machine, of a cloud's inside, or that leads to one around a corner."""
    out = Outbound()
    for url in (f"https://{address}/", f"http://{address}/"):
        assert "which is not on the public Internet" in (await refused(out, url)).message


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "017700000001", "127.1", "localhost"])
async def test_other_ways_to_write_an_address(host: str) -> None:
    """However the machine's own address is written, it is that address."""
    why = (await refused(Outbound(), f"https://{host}/")).message
    assert why in {
        f"{host} is 127.0.0.1, which is not on the public Internet",
        f"{host} is ::1, which is not on the public Internet",
    }


async def test_a_name_that_stands_for_an_address_at_home() -> None:
    """It is what a name stands for that counts; who means it is told which key to set, and then it is taken."""
    async with receiver() as other:
        out = Outbound(Names(["127.0.0.1"]))
        error = await refused(out, f"https://public.example:{other.port}/")
        assert error.message == "public.example is 127.0.0.1, which is not on the public Internet"
        assert error.hint == 'if it is meant, say allow = ["127.0.0.1"] where its url is'
        assert other.requests == []
        assert await post(out, f"http://public.example:{other.port}/", [ipaddress.ip_network("127.0.0.1")]) == 204


async def test_rebinding() -> None:
    """A name is looked up once: that it stands for another address right afterwards is of no use."""
    async with receiver() as inside:
        names = Names([ELSEWHERE], ["127.0.0.1"])
        why = await refused(Outbound(names), f"http://evil.example:{inside.port}/", [ipaddress.ip_network(ELSEWHERE)])
        assert "connect" in why.message
        assert names.asked == 1
        assert "127.0.0.1" in (await refused(Outbound(names), f"http://evil.example:{inside.port}/")).message
        assert inside.requests == []


async def test_some_of_its_addresses() -> None:
    """Of a name that stands for both, only what is allowed is connected to."""
    async with receiver() as inside:
        out = Outbound(Names(["127.0.0.1", ELSEWHERE]))
        await refused(out, f"http://both.example:{inside.port}/", [ipaddress.ip_network(ELSEWHERE)])
        assert inside.requests == []


async def test_http_is_for_what_is_allowed() -> None:
    """What is not named does not get anything without TLS, be it as public as it may."""
    error = await refused(Outbound(Names([PUBLIC])), "http://public.example/")
    assert error.message == f"public.example is {PUBLIC}, and http:// is for what `allow` names"


async def test_redirects_are_not_followed() -> None:
    """A redirect is an answer like any other: nobody goes where it points."""
    async with receiver() as inside, receiver() as other:
        other.answer, other.headers = 307, {"location": inside.url}
        assert await post(Outbound(), other.url, LOOPBACK) == 307
        assert inside.requests == []


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies is nothing to us."""
    async with receiver() as proxy, receiver() as other:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await post(Outbound(), other.url, LOOPBACK) == 204
        assert proxy.requests == []


@pytest.mark.parametrize(
    "url",
    [
        *("", "door.example", "ftp://door.example/", "file:///etc/passwd", "gopher://door.example/", "https://"),
        *("https://user:secret@door.example/", "https://user@door.example/", "https://door.example/#secret"),
        *("https://door.example/a b", "https://door.example/\r\nx-header: 1", "https://dóor.example/"),
        *("https://door.example:99999/", "https://[::1", "https://door.example:x/"),
    ],
)
def test_what_is_no_url(url: str) -> None:
    """Anything but a plain URL is refused, without a word of what it says."""
    with pytest.raises(BadArguments) as caught:
        parse_url(url)
    assert "secret" not in caught.value.message
    assert "door" not in caught.value.message


def test_no_other_way_out() -> None:
    """No other module of ours opens a connection, but those that serve, and backends to what they are told to."""
    opens = {
        path.stem
        for path in Path(sshhome.__path__[0]).rglob("*.py")
        if any(word in path.read_text() for word in ("open_connection(", "create_connection(", "sock_connect("))
    }
    assert opens == {"outbound"}


# -- what is at its end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [(), (b"HTTP/1.1 2",), (b"HTTP/1.1 100 Continue\r\n\r\n",)])
async def test_never_answering(chunks: Sequence[bytes]) -> None:
    """Whoever does not come to an end is given up after a quarter of a minute."""
    async with answering(*chunks) as port:
        posting = asyncio.create_task(post(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK))
        await turns()
        advance(14)
        await turns()
        assert not posting.done()
        advance(2)
        with pytest.raises(Unavailable, match=rf"http://127\.0\.0\.1:{port} does not answer"):
            await posting


async def test_a_huge_answer() -> None:
    """Of an answer no more is read than its first line, however much there is."""
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 500) as port:
        assert await post(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK) == 200


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 20 OK\r\n", b"x" * 100_000, b"\0" * 10 + b"\n", b"\n"])
async def test_what_is_no_answer(answer: bytes) -> None:
    """Whoever does not speak HTTP has not answered."""
    async with answering(answer) as port:
        why = (await refused(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK)).message
        assert why == f"what http://127.0.0.1:{port} answers is not HTTP"


async def test_an_answer_after_another() -> None:
    """That somebody is still at it is no answer: the next one counts."""
    async with answering(
        b"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\n", b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 202 OK\r\n"
    ) as port:
        assert await post(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK) == 202


async def test_going_on_for_ever() -> None:
    """Whoever is still at it again and again, or says ever more of that, has not answered."""
    for chunk in (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b"HTTP/1.1 100 Continue\r\n" + b"x: y\r\n" * 100):
        async with answering(chunk) as port:
            why = (await refused(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK)).message
            assert why == f"what http://127.0.0.1:{port} answers is not HTTP"


async def test_a_name_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that nobody resolves hold up neither what else runs on threads, nor the end."""
    back = threading.Event()

    def away(*_: object, **__: object) -> Sequence[Any]:
        back.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", away)
        posting = [asyncio.create_task(post(Outbound(), "https://door.example/")) for _ in range(50)]
        await turns()
        try:
            async with asyncio.timeout(PATIENCE):
                assert await asyncio.to_thread(len, "others") == 6
                advance(16)
                for one in posting:
                    with pytest.raises(Unavailable, match="does not answer"):
                        await one
                await asyncio.get_running_loop().shutdown_default_executor()
        finally:
            back.set()
            for thread in threading.enumerate():
                if thread.name == "resolve":
                    await until(lambda thread=thread: not thread.is_alive())  # type: ignore[misc]  # (bound at once)


async def test_nobody_there() -> None:
    """Whoever is not there, has no address, or no name at all is told as such."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        why = (await refused(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK)).message
        assert why == f"http://127.0.0.1:{port} cannot be reached: connection refused"
    assert (await refused(Outbound(Names([])), "https://x.example/")).message == "x.example has no address"
    why = (await refused(Outbound(), f"https://{'a' * 70}.example/")).message
    assert why.endswith("cannot be reached: no such name")


async def test_cut_off_it_leaves_nothing_open() -> None:
    """A request that is cut off closes its connection."""
    came, left = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        with contextlib.suppress(OSError):
            await reader.read()
        left.set()
        writer.transport.abort()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        posting = asyncio.create_task(post(Outbound(), f"http://127.0.0.1:{port}/", LOOPBACK))
        await came.wait()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await left.wait()
