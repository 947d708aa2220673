"""An attacker sends what belongs after a login before it: the line is cut, and nothing at all is done about it.

libssh believed a client that said USERAUTH_SUCCESS (CVE-2018-10933), asyncssh and Erlang ran what came on a channel
(CVE-2018-7749, CVE-2025-32433).
"""

import inspect
from collections.abc import Awaitable, Callable

import pytest

from sshhome.visitor import Visitor
from tests.attacks.raw import SERVICE_REQUEST, HungUp, Raw, kexinit, password, request, sources, string
from tests.attacks.victim import ELSEWHERE, Besiege, others_are_served
from tests.client import Door, until

NUMBER = b"\0\0\0\0"
CHANNEL = string("session") + NUMBER + b"\0\1\0\0" * 2
#: The messages, well written.
MESSAGES: dict[str, bytes] = {
    "51 login failed": bytes([51]) + string("password") + b"\0",
    "52 login succeeded": bytes([52]),
    "53 banner": bytes([53]) + string("hello") + string(""),
    "60 this key would do": bytes([60]) + string("ssh-ed25519") + string(b"x"),
    "61 answers": bytes([61]) + b"\0\0\0\1" + string("correct horse"),
    "63 token": bytes([63]) + string("x"),
    "80 global request": bytes([80]) + string("tcpip-forward") + b"\1" + string("127.0.0.1") + b"\0\0\x22\xb8",
    "80 keepalive": bytes([80]) + string("keepalive@openssh.com") + b"\1",
    "81 granted": bytes([81]),
    "82 denied": bytes([82]),
    "90 open a session": bytes([90]) + CHANNEL,
    "90 open a forwarding": bytes([90]) + string("direct-tcpip") + NUMBER + b"\0\1\0\0" * 2 + string("x") * 2 + NUMBER,
    "91 opened": bytes([91]) + NUMBER * 4,
    "92 not opened": bytes([92]) + NUMBER * 2 + string("") * 2,
    "93 window": bytes([93]) + NUMBER + b"\xff" * 4,
    "94 data": bytes([94]) + NUMBER + string("on kitchen\n"),
    "95 more data": bytes([95]) + NUMBER + b"\0\0\0\1" + string("on kitchen\n"),
    "96 end of data": bytes([96]) + NUMBER,
    "97 close": bytes([97]) + NUMBER,
    "98 exec": bytes([98]) + NUMBER + string("exec") + b"\1" + string("unlock front_door"),
    "98 shell": bytes([98]) + NUMBER + string("shell") + b"\1",
    "99 done": bytes([99]) + NUMBER,
    "100 not done": bytes([100]) + NUMBER,
    "a whole session": bytes([90]) + CHANNEL,
    "200 something of one's own": bytes([200]),
}
MORE: dict[str, list[bytes]] = {
    "a whole session": [
        bytes([98]) + NUMBER + string("exec") + b"\1" + string("unlock front_door"),
        bytes([94]) + NUMBER + string("unlock front_door\n"),
        bytes([96]) + NUMBER,
    ]
}
#: A login is early too, before the keys.
LOGINS = {"50 nothing": request("home", "none"), "50 the right password": password("home", "correct horse")}


async def greeted(raw: Raw) -> None:
    """Stop before the key exchange."""
    await raw.greet()


async def exchanging(raw: Raw) -> None:
    """Stop in the middle of the key exchange."""
    await raw.greet()
    raw.send(kexinit())
    await raw.expect(20)


async def encrypted(raw: Raw) -> None:
    """Stop when there are keys."""
    await raw.greet()
    await raw.exchange()


async def asking(raw: Raw) -> None:
    """Stop when a login may be asked for."""
    await raw.begin()


async def refused(raw: Raw) -> None:
    """Stop after a login that failed."""
    await raw.begin()
    await raw.answer(request("home", "none"))


async def rekeying(raw: Raw) -> None:
    """Stop in the middle of a second key exchange."""
    await raw.begin()
    raw.send(kexinit())
    await raw.expect(20)


Stage = Callable[[Raw], Awaitable[None]]
STAGES: list[Stage] = [greeted, exchanging, encrypted, asking, refused, rekeying]


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what asyncssh asks of anybody at the door, by their address, in the order it is asked."""
    asked: list[tuple[str, str]] = []
    silent = {"connection_made", "connection_lost", "end"}
    for name, method in inspect.getmembers(Visitor, inspect.isfunction):
        if not name.startswith("_") and name not in silent:

            def ask(self: Visitor, *args: object, name: str = name, method: Callable[..., object] = method) -> object:
                asked.append((self._address, name))
                return method(self, *args)

            monkeypatch.setattr(Visitor, name, ask)
    return asked


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_nothing_is_done(door: Door, callbacks: list[tuple[str, str]], stage: Stage) -> None:
    """Each message ends the connection with a reason, no callback runs, and no order is given."""
    messages = MESSAGES | (LOGINS if stage in {greeted, exchanging} else {})
    for message, source in zip(messages, sources(len(messages)), strict=True):
        async with Raw.connect(door, source) as raw:
            await stage(raw)
            before = len(callbacks)
            raw.send(messages[message], *MORE.get(message, ()))
            reason = await raw.hung_up()
        assert reason, message
        assert callbacks[before:] == [], message
    await until(lambda: not door.server.visitors)
    await others_are_served(door)
    assert (ELSEWHERE, "session_requested") in callbacks
    assert not door.audit("login.failed")
    assert [event["user"] for event in door.audit("login.ok")] == ["home"]
    assert door.orders() == [("upper", 0)]


@pytest.mark.parametrize("service", ["ssh-connection", "ssh-userauth ", "", "x" * 10_000])
async def test_another_service(door: Door, callbacks: list[tuple[str, str]], service: str) -> None:
    """Asking for the service that gives orders, instead of the one that logs in, ends the connection."""
    first, second = sources(2)
    async with Raw.connect(door, first) as raw:
        await encrypted(raw)
        raw.send(bytes([SERVICE_REQUEST]) + string(service), bytes([90]) + CHANNEL)
        assert await raw.hung_up()
    async with Raw.connect(door, second) as raw:
        await asking(raw)
        raw.send(request("home", "none").replace(b"ssh-connection", b"ssh-userauthxx"))
        assert await raw.hung_up()
    assert callbacks == []


async def test_what_it_costs(besiege: Besiege) -> None:
    """A hundred connections that begin with a session cost nothing, and unlock nothing."""
    async with besiege() as victim:
        for source in sources(100):
            async with Raw.connect(victim.door, source) as raw:
                await asking(raw)
                raw.send(MESSAGES["a whole session"], *MORE["a whole session"])
                with pytest.raises(HungUp):
                    await raw.receive()
        await victim.others_are_served()
        # Those of the house itself, at the beginning and just now.
        assert victim.door.orders() == [("upper", 0)] * 2
