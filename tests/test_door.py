"""Who may connect, decided at accept: the rules in their order, room counted once, refusals bounded and told of."""

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import os
import random
import re
import socket
import struct
import termios
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import asyncssh
import msgspec
import pytest
from asyncssh.packet import SSHPacket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.app import Site
from sshhome.audit import Audit
from sshhome.ban import Bans
from sshhome.config import BanRules, Limits, Startups
from sshhome.door import BUSY, Door, Place, disconnect_message
from sshhome.reload import Reload
from sshhome.server import Server
from sshhome.stores.sqlite import SqliteStore
from tests.client import Door as Served
from tests.client import ask, until
from tests.conftest import FixedClock, NoChance
from tests.loop import advance, turns
from tests.process import Operator

HERE, THERE = "127.0.0.1", "127.0.0.2"
BANNED = "127.0.0.66"
WHY = "too many failed logins from 127.0.0.66, try again in 1 min"
#: Room for everybody.
ROOMY = Limits(connections=10**6, connections_per_source=10**6, startups_per_source=10**6, alert_refusals=10**6)
ROOMY = msgspec.structs.replace(ROOMY, startups=Startups("100000:30:100000"))


def limits(**less: Any) -> Limits:  # noqa: ANN401 (whatever a limit is)
    """Return limits with room for everybody, but for these."""
    return msgspec.structs.replace(ROOMY, **less)


class Listener(socket.socket):
    """A listening socket, of which a test says what accept fails with first, and whom it names as the peer."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, host: str = HERE) -> None:
        """Listen on a free port of the loopback net."""
        super().__init__(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.bind((host, 0))
        self.listen(512)
        self.setblocking(False)
        self.port: int = self.getsockname()[1]
        self.fails: list[OSError] = []
        self.alias = ""

    def accept(self) -> tuple[socket.socket, Any]:
        """Fail as told, or accept."""
        if self.fails:
            raise self.fails.pop(0)
        accepted, peer = super().accept()
        return accepted, (self.alias, *peer[1:]) if self.alias else peer


class Guest(asyncio.Protocol):
    """Somebody who was let in, and counts out at the end as a connection does."""

    def __init__(self, place: Place) -> None:
        """Take the place."""
        self.place = place
        self.transport: asyncio.Transport | None = None
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be in."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        self.gone = True
        self.place.left()


class Entrance:
    """A door that stands open, with who was let in and what it wrote down."""

    def __init__(self, door: Door, bans: Bans, clock: FixedClock, log: Path) -> None:
        """Open it."""
        self.door = door
        self.bans = bans
        self.clock = clock
        self.guests: list[Guest] = []
        self._log = log
        self._clients: list[socket.socket] = []
        self.listener = self.open(Listener())

    def open(self, listener: Listener, factory: Callable[[Place], asyncio.Protocol] | None = None) -> Listener:
        """Accept on one more socket."""
        self.door.listen(listener, factory or self._guest)
        return listener

    def _guest(self, place: Place) -> Guest:
        guest = Guest(place)
        self.guests.append(guest)
        return guest

    async def knock(self, source: str = HERE, listener: Listener | None = None) -> socket.socket:
        """Connect."""
        client = socket.socket()
        self._clients.append(client)
        client.setblocking(False)
        client.bind((source, 0))
        address = (HERE, (listener or self.listener).port)
        await asyncio.get_running_loop().sock_connect(client, address)
        return client

    async def enter(self, source: str = HERE) -> Guest:
        """Connect and be let in."""
        before = len(self.guests)
        await self.knock(source)
        await until(lambda: len(self.guests) > before and self.guests[-1].transport)
        return self.guests[-1]

    async def refused(self, source: str = HERE) -> str:
        """Connect, be refused, and return the reason that there is to read, or nothing."""
        client = await self.knock(source)
        reason = reason_in(await hear(client))
        client.close()
        return reason

    async def lingering(self, source: str) -> socket.socket:
        """Connect, be refused politely, and stay."""
        before = len(self.door._lingering)
        client = await self.knock(source)
        await until(lambda: len(self.door._lingering) > before)
        return client

    def audit(self, event: str) -> list[dict[str, Any]]:
        """Return the audit events of one id so far."""
        events = map(json.loads, self._log.read_text(encoding="utf-8").splitlines())
        return [found for found in events if found["event"] == event]

    @property
    def refusals(self) -> tuple[int, int]:
        """How many refusals were logged one by one, and how many were counted instead, so far."""
        events = self.audit("connection.refused")
        return sum("hidden" not in event for event in events), sum(event.get("hidden", 0) for event in events)

    async def close(self) -> None:
        """Close everything."""
        await self.door.close()
        for client in self._clients:
            client.close()
        for guest in self.guests:
            if guest.transport is not None:
                guest.transport.abort()
        await until(lambda: all(guest.gone for guest in self.guests if guest.transport))


def reason_in(heard: bytes) -> str:
    """Return the reason in what a client heard that was turned away; nothing if it was told nothing."""
    if not heard:
        return ""
    version, _, data = heard.partition(b"\r\n")
    packet = SSHPacket(data)
    length, padding = packet.get_uint32(), packet.get_byte()
    assert (version, len(data), len(data) % 8) == (b"SSH-2.0-sshhome", 4 + length, 0)
    assert (packet.get_byte(), packet.get_uint32()) == (1, asyncssh.DISC_TOO_MANY_CONNECTIONS)
    reason, language = packet.get_string().decode(), packet.get_string()
    assert (language, len(packet.get_remaining_payload())) == (b"en", padding)
    assert padding >= 4
    return reason


async def hear(client: socket.socket) -> bytes:
    """Return what a client is sent, to the end."""
    loop, heard = asyncio.get_running_loop(), b""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            while data := await loop.sock_recv(client, 4096):
                heard += data
    return heard


def reset(client: socket.socket) -> None:
    """Close in a way that resets the connection."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


Make = Callable[..., contextlib.AbstractAsyncContextManager[Entrance]]


@pytest.fixture
async def bans(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Bans]:
    """Return bans by the default rules, with nobody banned."""
    store = await SqliteStore.open(tmp_path / "test.db")
    yield Bans(BanRules(), clock, store, NoChance())
    await store.close()


@pytest.fixture
def audit(tmp_path: Path, clock: FixedClock) -> Iterator[Audit]:
    """Return an audit log."""
    opened = Audit(tmp_path / "audit.jsonl", clock)
    yield opened
    opened.close()


@pytest.fixture
def make(bans: Bans, audit: Audit, clock: FixedClock, tmp_path: Path) -> Make:
    """Return what opens a door with these limits; with no chance at all the early drop strikes whenever it may."""

    @contextlib.asynccontextmanager
    async def opened(limits: Limits = ROOMY, chance: random.Random | None = None) -> AsyncIterator[Entrance]:
        door = Door(limits, bans, audit, clock, chance or NoChance())
        entrance = Entrance(door, bans, clock, tmp_path / "audit.jsonl")
        try:
            yield entrance
        finally:
            await entrance.close()

    return opened


@pytest.fixture
async def entrance(make: Make) -> AsyncIterator[Entrance]:
    """Return an open door with room for everybody, but for 127.0.0.66, which is banned."""
    async with make() as opened:
        assert opened.bans.ban(BANNED, "login", "5 as home", "too many failed logins")
        yield opened


# -- the rules --------------------------------------------------------------------------------------------------------


async def test_the_rules_are_asked_in_order(make: Make) -> None:
    """Ban, penalty, the machine, all connections, the source's, its logins, everybody's logins: the first is told."""
    async with make(
        limits(connections=3, connections_per_source=3, startups_per_source=3, startups=Startups("3:30:3"))
    ) as entrance:
        door, bans = entrance.door, entrance.bans
        for _ in range(3):
            Place(door, HERE)
        assert bans.ban(HERE, "login", "5 as home", "too many failed logins")
        for _ in range(2):
            bans.penalties.add(HERE, "protocol")
        door.shortage = "memory 90% of what there is, at most 50%"
        asked = []
        for relax in (
            lambda: bans.lift(HERE),
            lambda: entrance.clock.advance(60),
            lambda: setattr(door, "shortage", ""),
            lambda: setattr(door, "limits", msgspec.structs.replace(door.limits, connections=4)),
            lambda: setattr(door, "limits", msgspec.structs.replace(door.limits, connections_per_source=4)),
            lambda: setattr(door, "limits", msgspec.structs.replace(door.limits, startups_per_source=4)),
            lambda: setattr(door, "limits", msgspec.structs.replace(door.limits, startups=Startups("4:30:4"))),
        ):
            asked.append(door.refusal(HERE))
            relax()
        assert [rule for _, rule in asked] == [
            *("ban", "penalty", "resources", "limits.connections", "limits.connections_per_source"),
            *("limits.startups_per_source", "limits.startups"),
        ]
        assert asked[0][0] == "too many failed logins from 127.0.0.1, try again in 1 min"
        assert asked[1][0] == "connections that do not speak SSH from 127.0.0.1, try again in 20 s"
        assert {reason for reason, _ in asked[2:]} == {BUSY}
        assert door.refusal(HERE) == ("", "")


async def test_a_refusal_binds_no_other_source(make: Make) -> None:
    """What one source took, or is banned for, keeps no other one out."""
    async with make(limits(connections_per_source=2, startups_per_source=1)) as entrance:
        Place(entrance.door, HERE)
        entrance.bans.ban(BANNED, "login", "5 as home", "too many failed logins")
        assert entrance.door.refusal(HERE) == (BUSY, "limits.startups_per_source")
        assert entrance.door.refusal(BANNED) == (WHY, "ban")
        assert entrance.door.refusal(THERE) == ("", "")


async def test_logins_under_way_are_limited_and_those_who_are_in_are_not(make: Make) -> None:
    """Whoever has proved who they are no longer counts as a login under way, and still as a connection."""
    async with make(limits(connections_per_source=3, startups_per_source=1)) as entrance:
        door = entrance.door
        for _ in range(2):
            place = Place(door, HERE)
            assert door.refusal(HERE) == (BUSY, "limits.startups_per_source")
            place.proved()
            assert door.refusal(HERE) == ("", "")
        Place(door, HERE).proved()
        assert door.refusal(HERE) == (BUSY, "limits.connections_per_source")
        place.left()
        assert door.refusal(HERE) == ("", "")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("fe80::1%eth0", "fe80::2%wlan0", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.9", "203.0.113.8", False),
    ],
)
async def test_room_is_taken_by_source(make: Make, first: str, second: str, *, same: bool) -> None:
    """All of an IPv6 /64 share their room, as do the two forms of an IPv4 address; a zone makes no difference."""
    async with make(limits(connections_per_source=1)) as entrance:
        place = Place(entrance.door, first)
        assert entrance.door.refusal(second) == ((BUSY, "limits.connections_per_source") if same else ("", ""))
        place.left()
        assert not entrance.door.sources


async def test_lower_limits_bind_newcomers_alone(make: Make) -> None:
    """When a limit is lowered below what there is, nobody in has to leave, and nobody else comes in."""
    async with make() as entrance:
        guests = [await entrance.enter() for _ in range(3)]
        entrance.door.limits = limits(connections=1)
        assert await entrance.refused(THERE) == BUSY
        assert not any(guest.gone for guest in guests)


@pytest.mark.parametrize(("waiting", "dropped"), [(9, 0), (10, 30), (55, 65), (99, 99.2), (100, 100)])
async def test_early_drop(make: Make, waiting: int, dropped: float) -> None:
    """The more logins are under way, the likelier a newcomer is dropped; which one is left to chance."""
    async with make(limits(startups=Startups("10:30:100")), random.Random(1)) as entrance:  # noqa: S311 (seeded)
        for number in range(waiting):
            Place(entrance.door, f"10.0.0.{number}")
        told = Counter(entrance.door.refusal(HERE) for _ in range(2000))
    assert set(told) <= {("", ""), (BUSY, "limits.startups")}
    assert told[BUSY, "limits.startups"] / 20 == pytest.approx(dropped, abs=0 if dropped in {0, 100} else 3)


async def test_the_household_is_spared_the_early_drop(make: Make, clock: FixedClock) -> None:
    """A source that logged in within the week gets in while strangers fill the waiting room; failing earns nothing."""
    async with make(limits(startups=Startups("5:30:5"), connections_per_source=1)) as entrance:
        door = entrance.door
        home, stranger = Place(door, HERE), Place(door, THERE)
        home.proved()
        home.left()
        stranger.left()
        crowd = [Place(door, f"10.0.0.{number}") for number in range(50)]
        assert door.refusal(THERE) == (BUSY, "limits.startups")
        assert door.refusal(HERE) == ("", "")
        again = Place(door, HERE)
        assert door.refusal(HERE) == (BUSY, "limits.connections_per_source")
        again.left()
        clock.advance(7 * 86400 - 1)
        assert door.refusal(HERE) == ("", "")
        clock.advance(1)
        assert door.refusal(HERE) == (BUSY, "limits.startups")
        for place in crowd:
            place.left()
        assert door.refusal(HERE) == ("", "")


async def test_how_many_are_known_is_bounded(make: Make) -> None:
    """Of sources that have logged in 4,096 are remembered, those that did last; one that left cannot become known."""
    async with make(limits(startups=Startups("1:100:1"))) as entrance:
        door = entrance.door
        late = Place(door, THERE)
        late.left()
        late.proved()
        stranger = Place(door, "192.0.2.1")
        assert door.refusal(THERE) == (BUSY, "limits.startups")
        stranger.left()
        addresses = [f"10.0.{high}.{low}" for high in range(20) for low in range(250)]
        for address in addresses:
            place = Place(door, address)
            place.proved()
            place.left()
        assert len(door._known) == 4096
        Place(door, "192.0.2.1")
        assert door.refusal(addresses[-4096]) == door.refusal(addresses[-1]) == ("", "")
        assert door.refusal(addresses[-4097]) == door.refusal(THERE) == (BUSY, "limits.startups")


# -- counting ---------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["in", "proved", "left"]))))
async def test_everybody_counts_once_whatever_happens(
    bans: Bans, audit: Audit, clock: FixedClock, steps: Sequence[tuple[int, str]]
) -> None:
    """However often and in whichever order it is heard of somebody, they count once until they leave, and then not."""
    door = Door(ROOMY, bans, audit, clock, NoChance())
    names = [HERE, THERE, f"::ffff:{HERE}", "2001:db8::1", "2001:db8::2", "fe80::1%lo"]
    places: dict[int, Place] = {}
    waiting: set[int] = set()
    inside: set[int] = set()
    for number, what in steps:
        if what == "in" and number not in places:
            places[number] = Place(door, names[number])
            waiting.add(number)
            inside.add(number)
        elif what == "proved" and number in places:
            places[number].proved()
            waiting.discard(number)
        elif what == "left" and number in places:
            places[number].left()
            waiting.discard(number)
            inside.discard(number)
        sources = [HERE, THERE, HERE, "2001:db8::/64", "2001:db8::/64", "fe80::/64"]
        assert door.sources == Counter(sources[at] for at in inside)
        assert door.waiting == Counter(sources[at] for at in waiting)


async def test_who_connects_and_resets_at_once_counts_out(entrance: Entrance) -> None:
    """A hundred who are gone before they are looked at leave no count, no task and no socket behind."""
    for number in range(100):
        client = await entrance.knock()
        if number % 3:
            await turns()
        reset(client)
    await until(lambda: len(entrance.guests) == 100 and all(guest.gone for guest in entrance.guests))
    assert not entrance.door.sources
    assert not entrance.door.waiting
    assert not entrance.door._arriving


@pytest.mark.parametrize("error", [OSError(errno.ENOTCONN, "gone"), RuntimeError("a bug")], ids=["gone", "a bug"])
async def test_a_connection_that_cannot_be_made_counts_out(entrance: Entrance, error: Exception) -> None:
    """When no connection comes of it, whyever, the place is free again and the socket closed."""
    tried = []

    def factory(place: Place) -> asyncio.Protocol:
        tried.append(place)
        raise error

    listener = entrance.open(Listener(), factory)
    client = await entrance.knock(listener=listener)
    await until(lambda: tried)
    await until(lambda: not entrance.door._arriving)
    assert not entrance.door.sources
    assert not entrance.door.waiting
    assert await hear(client) == b""


# -- refusing ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.text(max_size=300))
def test_a_refusal_is_ssh(code: int, reason: str) -> None:
    """A refusal is a version line and one whole packet as RFC 4253 has it, whatever the reason's length."""
    line, _, data = disconnect_message(code, reason).partition(b"\r\n")
    assert line == b"SSH-2.0-sshhome"
    packet = SSHPacket(data)
    length, padding = packet.get_uint32(), packet.get_byte()
    assert (length + 4, len(data) % 8, len(data) >= 16, 4 <= padding <= 255) == (len(data), 0, True, True)
    assert (packet.get_byte(), packet.get_uint32()) == (1, code)
    assert (packet.get_string().decode(), packet.get_string()) == (reason, b"en")
    assert len(packet.get_remaining_payload()) == padding


async def test_three_refusals_are_polite_and_the_others_silent(entrance: Entrance, clock: FixedClock) -> None:
    """A source reads why three times a minute, then it is hung up on; another one reads it all the same."""
    entrance.bans.ban(THERE, "login", "5 as home", "too many failed logins")
    assert [await entrance.refused(BANNED) for _ in range(6)] == [WHY] * 3 + [""] * 3
    assert await entrance.refused(THERE) == WHY.replace(BANNED, THERE)
    clock.advance(59)
    assert await entrance.refused(BANNED) == ""
    entrance.bans.lift(BANNED)
    entrance.bans.lift(THERE)
    entrance.door.shortage = "memory"
    assert await entrance.refused(BANNED) == ""
    assert await entrance.refused(THERE) == BUSY
    clock.advance(1)
    assert [await entrance.refused(BANNED) for _ in range(4)] == [BUSY] * 3 + [""]


async def test_a_client_that_speaks_first_reads_why(entrance: Entrance) -> None:
    """What a client sends before it listens does not cost it the reason."""
    client = await entrance.knock(BANNED)
    await asyncio.get_running_loop().sock_sendall(client, b"SSH-2.0-eager\r\n" + b"x" * 10_000)
    assert reason_in(await hear(client)) == WHY


async def test_polite_refusals_at_once_are_bounded(entrance: Entrance) -> None:
    """Sixty-four may take their time to read why; whoever else comes is hung up on, until one of them goes."""
    entrance.door.shortage = "memory"
    staying = [await entrance.lingering(f"127.0.1.{number // 3}") for number in range(64)]
    assert [await entrance.refused(f"127.0.2.{number}") for number in range(20)] == [""] * 20
    assert len(entrance.door._lingering) == 64
    staying[0].close()
    await until(lambda: len(entrance.door._lingering) == 63)
    assert await entrance.refused("127.0.3.1") == BUSY
    assert not entrance.door.sources


async def test_who_has_read_why_is_let_go(entrance: Entrance) -> None:
    """A client that is refused reads all there is at once; when it has ended or reset, the socket is closed."""
    for end in (lambda client: client.shutdown(socket.SHUT_WR), socket.socket.close, reset):
        client = await entrance.lingering(BANNED)
        assert reason_in(await hear(client)) == WHY
        assert len(entrance.door._lingering) == 1
        end(client)
        await until(lambda: not entrance.door._lingering)


async def test_who_was_told_why_and_stays_is_let_go(entrance: Entrance) -> None:
    """The socket of a refusal is closed two seconds later at the latest, also when the client goes on and on."""
    client = await entrance.lingering(BANNED)
    advance(1.9)
    await asyncio.get_running_loop().sock_sendall(client, b"x")
    await turns()
    assert len(entrance.door._lingering) == 1
    advance(0.1)
    await turns()
    assert not entrance.door._lingering
    assert reason_in(await hear(client)) == WHY


async def test_who_was_told_why_and_sends_on_is_let_go(entrance: Entrance) -> None:
    """The socket of a refusal takes 64 KiB, and is closed at one byte more."""
    client = await entrance.lingering(BANNED)
    (ours,) = entrance.door._lingering
    loop = asyncio.get_running_loop()

    def read() -> bool:
        """Return whether all that was sent has arrived and been taken."""
        waiting = [
            fcntl.ioctl(end, number, b"\0" * 4)
            for end, number in ((client, termios.TIOCOUTQ), (ours, termios.FIONREAD))
        ]
        return waiting == [b"\0" * 4] * 2

    await loop.sock_sendall(client, b"x" * 64 * 1024)
    await until(read)
    assert len(entrance.door._lingering) == 1
    await loop.sock_sendall(client, b"x")
    await until(lambda: not entrance.door._lingering)


async def test_closing_waits_for_who_arrives(entrance: Entrance) -> None:
    """Whoever was accepted before the door closes is in when it has closed, so that they can be told goodbye."""
    await entrance.knock()
    entrance.door._accept(entrance.listener, entrance._guest)
    assert entrance.door._arriving
    await entrance.door.close()
    assert not entrance.door._arriving
    assert [guest.transport is not None for guest in entrance.guests] == [True]


async def test_closing_lets_everybody_go(entrance: Entrance) -> None:
    """When the door is closed no refusal lingers, nobody else can connect, and who is in stays in."""
    guest = await entrance.enter()
    clients = [await entrance.lingering(BANNED) for _ in range(3)]
    await entrance.door.close()
    assert not entrance.door._lingering
    assert [reason_in(await hear(client)) for client in clients] == [WHY] * 3
    with pytest.raises(ConnectionRefusedError):
        await entrance.knock()
    advance(10)
    await turns()
    assert not guest.gone
    await entrance.door.close()


# -- addresses --------------------------------------------------------------------------------------------------------


async def test_an_ipv4_address_is_one_on_a_socket_for_both(entrance: Entrance) -> None:
    """Who comes by IPv4 to a socket of both kinds is counted, banned and written down by their IPv4 address."""
    try:
        listener = Listener(socket.AF_INET6, f"::ffff:{HERE}")
    except OSError:
        pytest.skip("no IPv6 here")
    entrance.open(listener)
    await entrance.knock(THERE, listener)
    await until(lambda: entrance.guests)
    assert entrance.guests[0].place.address == THERE
    assert entrance.door.sources == Counter([THERE])
    client = await entrance.knock(BANNED, listener)
    assert reason_in(await hear(client)) == WHY
    assert [event["source"] for event in entrance.audit("connection.refused")] == [BANNED]


async def test_the_zone_of_an_address_is_nothing(entrance: Entrance) -> None:
    """A link-local address is the same on whichever interface it comes in, and is written down without its zone."""
    entrance.listener.alias = "fe80::1%eth0"
    guest = await entrance.enter()
    assert guest.place.address == "fe80::1"
    assert entrance.door.sources == Counter(["fe80::/64"])
    entrance.bans.ban("fe80::2%wlan0", "login", "5 as home", "too many failed logins")
    assert await entrance.refused() == WHY.replace(BANNED, "fe80::/64")
    assert [event["source"] for event in entrance.audit("connection.refused")] == ["fe80::1"]


# -- what is written down ---------------------------------------------------------------------------------------------


async def test_a_refusal_is_written_down(entrance: Entrance) -> None:
    """A refusal tells who was refused, why, and by which rule."""
    await entrance.refused(BANNED)
    entrance.door.limits = limits(connections=0)
    await entrance.refused(HERE)
    told = [(e["source"], e["reason"], e["rule"]) for e in entrance.audit("connection.refused")]
    assert told == [(BANNED, WHY, "ban"), (HERE, BUSY, "limits.connections")]


async def test_a_flood_does_not_fill_the_log(entrance: Entrance, clock: FixedClock) -> None:
    """Twenty refusals in ten seconds are named one by one; the others are counted, and told of once that is over."""
    for number in range(50):
        await entrance.refused(BANNED)
        assert entrance.refusals == (min(number + 1, 20), 0)
    clock.advance(9.9)
    entrance.door.refusals.tick()
    assert entrance.refusals == (20, 0)
    clock.advance(0.1)
    entrance.door.refusals.tick()
    assert entrance.refusals == (20, 30)
    (hidden,) = [event for event in entrance.audit("connection.refused") if "hidden" in event]
    assert hidden["reason"] == "more of the same"
    entrance.door.refusals.tick()
    clock.advance(100)
    entrance.door.refusals.tick()
    assert entrance.refusals == (20, 30)


async def test_what_was_hidden_is_told_before_what_comes_next(entrance: Entrance, clock: FixedClock) -> None:
    """Should nobody have told of hidden refusals by then, the next one that is named tells of them first."""
    for _ in range(25):
        await entrance.refused(BANNED)
    clock.advance(10)
    await entrance.refused(BANNED)
    assert entrance.refusals == (21, 5)
    assert [event.get("hidden") for event in entrance.audit("connection.refused")[-2:]] == [5, None]
    for _ in range(30):
        await entrance.refused(BANNED)
    assert entrance.refusals == (40, 5)
    assert entrance.door.refusals.hidden == 11


async def test_closing_tells_what_was_hidden(entrance: Entrance) -> None:
    """What is hidden when the door closes is told then, once, and with nothing hidden nothing is told."""
    for _ in range(22):
        await entrance.refused(BANNED)
    await entrance.door.close()
    assert entrance.refusals == (20, 2)
    await entrance.door.close()
    assert len(entrance.audit("connection.refused")) == 21


async def test_many_refusals_are_an_alert(make: Make, clock: FixedClock) -> None:
    """So many refusals in a minute are an alert, of whatever rule, with the last one's; the next is ten minutes off."""
    async with make(limits(connections=0, alert_refusals=5)) as entrance:
        for expected in (0, 0, 0, 0, 1, 1, 1):
            await entrance.refused(THERE)
            assert len(entrance.audit("alert.refusals")) == expected
        (alert,) = entrance.audit("alert.refusals")
        told = {name: alert[name] for name in ("refusals", "seconds", "source", "rule")}
        assert told == {"refusals": 5, "seconds": 60, "source": THERE, "rule": "limits.connections"}
        clock.advance(599)
        for _ in range(20):
            await entrance.refused(THERE)
        assert len(entrance.audit("alert.refusals")) == 1
        clock.advance(1)
        await entrance.refused(THERE)
        assert [event["refusals"] for event in entrance.audit("alert.refusals")] == [5, 21]


async def test_refusals_now_and_then_are_no_alert(make: Make, clock: FixedClock) -> None:
    """Refusals over more than a minute do not add up."""
    async with make(limits(connections=0, alert_refusals=5)) as entrance:
        for _ in range(5):
            for _ in range(4):
                await entrance.refused()
            clock.advance(60)
        assert not entrance.audit("alert.refusals")


async def test_each_kind_of_alert_has_its_own_pause(entrance: Entrance, clock: FixedClock) -> None:
    """An alert of one kind does not keep another one from being told, and after ten minutes it is told again."""
    for _ in range(3):
        entrance.door.alert("alert.resources", reason="memory")
        entrance.door.alert("alert.refusals", refusals=5)
    assert len(entrance.audit("alert.resources")) == len(entrance.audit("alert.refusals")) == 1
    clock.advance(600)
    entrance.door.alert("alert.resources", reason="files")
    assert [event["reason"] for event in entrance.audit("alert.resources")] == ["memory", "files"]


# -- accepting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM], ids=errno.errorcode.get)
async def test_a_machine_at_its_end_gets_a_moment(entrance: Entrance, number: int) -> None:
    """When nothing is left to take callers with they wait in the kernel's queue, an alert says so, and it passes."""
    entrance.listener.fails = [OSError(number, os.strerror(number)) for _ in range(2)]
    await entrance.knock()
    for left in (1, 0):
        await until(lambda left=left: len(entrance.listener.fails) == left)  # type: ignore[misc]  # (bound at once)
        # Nobody spins on a socket that stays readable.
        assert not asyncio.get_running_loop().remove_reader(entrance.listener)
        assert not entrance.guests
        advance(0.5)
    await until(lambda: entrance.guests)
    assert [e["reason"] for e in entrance.audit("alert.resources")] == [f"cannot accept: {os.strerror(number)}"]
    await entrance.enter()


async def test_closing_during_a_pause(entrance: Entrance, caplog: pytest.LogCaptureFixture) -> None:
    """A door that is closed while it waits for better times does not open by itself again."""
    entrance.listener.fails = [OSError(errno.EMFILE, "Too many open files")]
    await entrance.knock()
    await until(lambda: entrance.audit("alert.resources"))
    await entrance.door.close()
    advance(1)
    await turns()
    assert not entrance.guests
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "number",
    [*(errno.EAGAIN, errno.EINTR, errno.ECONNABORTED), *(errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH)],
    ids=errno.errorcode.get,
)
async def test_an_accept_that_fails_by_chance_costs_nothing(entrance: Entrance, number: int) -> None:
    """What accept(2) may fail with because of the one who calls keeps nobody else out."""
    entrance.listener.fails = [OSError(number, os.strerror(number))]
    await entrance.enter()
    assert not entrance.audit("alert.resources")


async def test_a_crowd_is_let_in_by_turns(entrance: Entrance) -> None:
    """Of a crowd that comes at once no more than 64 are taken in one turn of the loop, and in the end all are."""
    loop = asyncio.get_running_loop()
    loop.remove_reader(entrance.listener)
    for _ in range(150):
        await entrance.knock()
    counts = []
    factory = entrance._guest
    for _ in range(3):
        entrance.door._accept(entrance.listener, factory)
        counts.append(len(entrance.door.sources) and entrance.door.sources[HERE])
    assert counts == [64, 128, 150]
    await until(lambda: sum(guest.transport is not None for guest in entrance.guests) == 150)


@pytest.mark.parametrize(
    ("files", "many", "reason"),
    [
        ("0.5", 15, r"open files \d+% of what there may be, at most 50%"),
        ("1", 60, "cannot accept: Too many open files"),
    ],
)
async def test_a_process_without_files_left(
    operator: Operator, site: Site, keys: Path, *, files: str, many: int, reason: str
) -> None:
    """A process that may open no more files lets nobody else in and says so; who is in goes on, and it recovers."""
    path = site.path / "sshhome.toml"
    most = "connections = 999\nconnections_per_source = 999\nstartups = '999:30:999'\nstartups_per_source = 999"
    path.write_text(f"[limits]\n{most}\nfiles = {files}\n[bans]\nnever = ['127.0.0.0/8']\n")
    few = ("sh", "-c", 'ulimit -n 48; exec "$@"', "few")
    async with operator.starts("serve", "--listen", "127.0.0.1:0", site=site.path, before=few) as process:
        said = await process.says(r"^listening on (\S+)$")
        # The server itself is in the other process.
        house = Served(cast("Server", None), site, said[1], keys, cast("Reload", None))
        async with house.connect("home") as inside:
            with contextlib.ExitStack() as crowd:
                for _ in range(many):
                    crowd.enter_context(socket.create_connection((HERE, house.port)))
                    await turns()
                await until(lambda: house.audit("alert.resources"))
                assert re.fullmatch(reason, house.audit("alert.resources")[0]["reason"])
                assert (await ask(inside, "echo still here")).out == "still here\n"
                if files != "1":
                    assert (await house.ask("guest", "echo let me in")).err == f"disconnected: {BUSY}\n"
                    assert house.audit("connection.refused")[-1]["rule"] == "resources"
            answer = await house.ask("guest", "echo in")
            while answer.out != "in\n":
                answer = await house.ask("guest", "echo in")
            assert (await ask(inside, "echo still here")).out == "still here\n"
    assert "Traceback" not in process.err
