"""The raw client itself: what it says is SSH as others speak it, until it is told to say something else."""

import pytest

from tests.attacks.raw import DISCONNECT, FAILURE, SEALS, SUCCESS, WOULD_DO, Raw, password, request, string
from tests.client import Door, until


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lax"])
@pytest.mark.parametrize("cipher", SEALS)
async def test_logs_in(door: Door, cipher: str, *, strict: bool) -> None:
    """It logs in by key and by password with each cipher, counting strictly or not, also over new keys."""
    for proof in ("publickey", "password"):
        async with Raw.connect(door) as raw:
            await raw.begin(cipher=cipher, strict=strict)
            assert raw.server_version == b"SSH-2.0-sshhome"
            assert await raw.answer(request("home", "none")) == FAILURE
            await raw.exchange(cipher=cipher, strict=strict)
            assert await raw.answer(raw.offer("home", door.key("home"))) == WOULD_DO
            right = raw.signed("home", door.key("home")) if proof == "publickey" else password("home", "correct horse")
            assert await raw.answer(right) == SUCCESS
    assert [event["method"] for event in door.audit("login.ok")] == ["publickey", "password"]
    assert {event["source"] for event in door.audit("login.ok")} == {"127.0.0.66"}


async def test_gives_orders(door: Door) -> None:
    """It opens a channel, gives an order and reads the answer."""
    async with Raw.connect(door) as raw:
        await raw.begin()
        assert await raw.answer(raw.signed("home", door.key("home"))) == SUCCESS
        assert await raw.give("echo hello") == b"hello\n"
        assert await raw.give("echo again") == b"again\n"


async def test_lies(door: Door) -> None:
    """A lie about a packet's length is sent as it is, and the server hangs up with a reason."""
    async with Raw.connect(door) as raw:
        await raw.greet()
        raw.write(raw.seal(b"\2" + string("x"), length=0xFFFFFFFF))
        assert await raw.hung_up() == "Max packet size exceeded"
    async with Raw.connect(door) as raw:
        await raw.begin()
        raw.send(bytes([DISCONNECT]) + b"\0\0\0\x0b" + string("bye") + string(""))
        assert await raw.hung_up() == ""


async def test_several_messages_are_one_write(door: Door) -> None:
    """Pipelined requests arrive together, and each is answered or overtaken."""
    async with Raw.connect(door) as raw:
        await raw.begin()
        raw.send(*[request("home", "none")] * 3)
        assert [(await raw.receive())[0] for _ in range(3)] == [FAILURE] * 3


async def test_half_a_packet(door: Door) -> None:
    """A packet may come in pieces, and one that never comes whole is none."""
    async with Raw.connect(door) as raw:
        await raw.begin()
        packet = raw.seal(request("home", "none"))
        raw.write(packet[:20])
        (visitor,) = door.server.visitors
        await until(lambda: visitor.connection._packet)
        raw.write(packet[20:])
        await raw.expect(FAILURE)
        raw.write(raw.seal(request("home", "none"))[:10])
        raw.half_close()
        assert await raw.hung_up() == ""
    assert not door.server.visitors
