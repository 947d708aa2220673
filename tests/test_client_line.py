"""The client app's connection: to whom it is made, what ends it, and how often it is tried."""

import asyncio
import random
from pathlib import Path

import asyncssh
import pytest

from sshhome.client import Backoff, BadArguments, Change, Closed, House, LoginRefused, NotTrusted, Unreachable
from sshhome.client.line import Line
from tests.apps import Pauses, app, host_key, known_hosts
from tests.client import Door, until
from tests.relay import Relay


def at(door: Door, user: str = "home") -> str:
    """Return the address of a house, for a user."""
    return f"{user}@127.0.0.1:{door.port}"


# -- who is it? -------------------------------------------------------------------------------------------------------


async def test_known_host_is_trusted(door: Door, tmp_path: Path) -> None:
    """A house whose key stands in the known_hosts file is connected to."""
    async with House.connect(at(door), key=door.keys / "home", known_hosts=known_hosts(door, tmp_path)):
        assert len(door.audit("login.ok")) == 1


async def test_unknown_host_is_refused_by_default(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A house that nobody has named is refused before the login, and its key is told."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NotTrusted) as refused:
        async with House.connect(at(door), key=door.keys / "home"):
            pass
    assert host_key(door).get_fingerprint() in refused.value.message
    assert not door.audit("login.ok")


async def test_no_config_turns_the_check_off(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where ~/.ssh/config names no known_hosts file, which asyncssh takes for trust in anybody."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("UserKnownHostsFile none\n")
    with pytest.raises(NotTrusted):
        async with House.connect(at(door), key=door.keys / "home"):
            pass


async def test_wrong_host_key_is_refused(door: Door, tmp_path: Path) -> None:
    """A house that shows another key than the known one is refused."""
    other = known_hosts(door, tmp_path, asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(NotTrusted):
        async with House.connect(at(door), key=door.keys / "home", known_hosts=other):
            pass
    assert not door.audit("login.ok")


async def test_pinned_fingerprint(door: Door) -> None:
    """A pinned fingerprint is enough, and no other key will do."""
    mine = host_key(door).get_fingerprint()
    async with House.connect(at(door), key=door.keys / "home", fingerprint=mine):
        pass
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    with pytest.raises(NotTrusted, match=f"shows the key {mine}, and not {other}".replace("+", r"\+")):
        async with House.connect(at(door), key=door.keys / "home", fingerprint=other):
            pass
    assert len(door.audit("login.ok")) == 1


async def test_a_pin_counts_more_than_known_hosts(door: Door, tmp_path: Path) -> None:
    """Where a fingerprint is pinned, a known_hosts file makes nobody else known."""
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    with pytest.raises(NotTrusted):
        async with House.connect(
            at(door), key=door.keys / "home", known_hosts=known_hosts(door, tmp_path), fingerprint=other
        ):
            pass


# -- who am I? --------------------------------------------------------------------------------------------------------


async def test_refused_key(door: Door) -> None:
    """A key that the house does not know is refused, and is not tried again."""
    pauses = Pauses()
    line = Line(
        at(door),
        key=door.keys / "attacker",
        password=None,
        known_hosts=None,
        fingerprint=host_key(door).get_fingerprint(),
        backoff=Backoff(pause=pauses),
    )
    with pytest.raises(LoginRefused):
        await line.open()
    with pytest.raises(LoginRefused):
        await line.connection()
    assert pauses.waited == []


async def test_password(door: Door) -> None:
    """A password lets in; no key is offered then."""
    async with House.connect(at(door), password="correct horse", fingerprint=host_key(door).get_fingerprint()):
        assert [event["method"] for event in door.audit("login.ok")] == ["password"]


@pytest.mark.parametrize("address", ["", "home@", "@house", "home@house:", "home@house:0", "home@house:99999", "a b"])
async def test_bad_address(address: str) -> None:
    """What is no address is refused, and what one looks like is told."""
    with pytest.raises(BadArguments):
        House.connect(address)


async def test_bad_fingerprint() -> None:
    """A fingerprint of another kind is refused at once."""
    with pytest.raises(BadArguments):
        House.connect("home@house", fingerprint="MD5:00:11")


async def test_key_that_cannot_be_read(door: Door, tmp_path: Path) -> None:
    """A key file that is missing or no key is told with what is wrong about it."""
    pinned = host_key(door).get_fingerprint()
    with pytest.raises(Unreachable, match="missing: no such file"):
        async with House.connect(at(door), key=tmp_path / "missing", fingerprint=pinned):
            pass
    (tmp_path / "garbage").write_text("garbage")
    locked = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="secret")
    (tmp_path / "locked").write_bytes(locked)
    for name in ("garbage", "locked"):
        with pytest.raises(BadArguments, match="cannot be reached like that"):
            async with House.connect(at(door), key=tmp_path / name, fingerprint=pinned):
                pass


async def test_closed_before_it_was_open(door: Door) -> None:
    """Who hangs up while the connection is being made has none afterwards."""
    house = app(door)
    await house.hang_up()
    with pytest.raises(Closed):
        await house.__aenter__()
    await until(lambda: not list(door.server.visitors))


# -- again and again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_first_connection_fails_at_once(unused_tcp_port: int, host: str) -> None:
    """Nobody there, at one address or at several: that is told at once, in plain words, and not tried again."""
    pauses = Pauses()
    with pytest.raises(Unreachable, match=f"^home@{host}:[0-9]+ cannot be reached: connection refused"):
        async with House.connect(f"home@{host}:{unused_tcp_port}", backoff=Backoff(pause=pauses)):
            pass
    assert pauses.waited == []


async def test_backoff_doubles_and_ends_growing() -> None:
    """Each failure doubles the wait up to the longest, and chance takes up to half of it off."""
    pauses = Pauses()
    backoff = Backoff(0.5, 4.0, pauses, random.Random(1))  # noqa: S311 (chance, not a secret)
    for failures in (0, 1, 2, 3, 4, 5, 5000):
        await backoff.wait(failures)
    assert len(pauses.waited) == 6
    for waited, whole in zip(pauses.waited, (0.5, 1, 2, 4, 4, 4), strict=True):
        assert whole / 2 <= waited <= whole
    assert len(set(pauses.waited)) == 6


async def test_stranger_who_takes_the_place_of_the_house(door: Door) -> None:
    """Whoever answers at the address of a house that was lost is shown nothing, and that ends it."""

    class Stranger(asyncssh.SSHServer):
        """Lets everybody in."""

        def begin_auth(self, username: str) -> bool:
            """Note that somebody wants to come in."""
            asked.append(username)
            return False

    asked: list[str] = []
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        await asyncssh.listen("127.0.0.1", 0, server_factory=Stranger, server_host_keys=[other]) as stranger,
        Relay.open(door.port) as relay,
        app(door, port=relay.port) as house,
        house.watch("hall") as watch,
    ):
        await house.on("hall")
        assert isinstance(await anext(watch), Change)
        relay.target = stranger.get_port()
        relay.cut()
        with pytest.raises(NotTrusted, match=other.get_fingerprint().replace("+", r"\+")):
            await anext(watch)
        with pytest.raises(NotTrusted):
            await house.off("hall")
        assert asked == []


async def test_hanging_up_ends_the_waiting(door: Door) -> None:
    """Whoever waits for the next try is told Closed when the house is closed here."""
    asleep = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    house = House.connect(
        at(door),
        key=door.keys / "home",
        fingerprint=host_key(door).get_fingerprint(),
        backoff=Backoff(pause=sleep),
    )
    async with house:
        waiting = asyncio.create_task(house._line.wait(3))
        await asleep.wait()
    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await house._line.connection()
