"""What a user's file has a shell begin with: one macro, given as if it had been typed."""

import pytest

from sshhome.store import Macro
from sshhome.user import write_whole
from tests.client import Door, RawChannel, Terminal, until


@pytest.fixture
def begun(door: Door) -> Door:
    """Let the shells of home begin with a macro."""
    path = door.site.path / "authorized_users" / "home.toml"
    write_whole(path, f'startup = "hello"\n{path.read_text()}')
    return door


def keep(door: Door, orders: str) -> None:
    """Let home have a macro."""
    door.server.visitors.dispatch.macros.keep(Macro("home", "hello", orders, "home"))


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_a_shell_begins_with_it(begun: Door, term: str) -> None:
    """Its answers stand above the first prompt; it is audited as itself, and a failure is no reason to leave."""
    keep(begun, "echo how nice; on nosuch")
    async with begun.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        await screen.give("upper hall", "HALL")
        lines = str(screen).splitlines()
    assert lines.index("how nice") < lines.index("error: no device 'nosuch'") < lines.index("home@house> upper hall")
    assert [(event["order"], event.get("macro")) for event in begun.audit() if "args" in event] == [
        ("echo", "hello"),
        ("on", "hello"),
        ("upper", None),
    ]


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_it_may_go_on_until_it_is_interrupted(begun: Door, term: str) -> None:
    """^C ends a macro that goes on, and the prompt is there."""
    keep(begun, "watch")
    async with begun.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal(term)
        assert await raw.ask("shell")
        await until(lambda: any(session.running for session in begun.server.visitors.sessions))
        raw.channel.write("\x03")
        await until(lambda: "home@house>" in raw.heard.out)
        raw.channel.write("exit\r")
        await until(lambda: raw.heard.closed)


async def test_one_that_is_not_there(begun: Door) -> None:
    """A macro that is gone is told of, and is no unknown order, which could close the session or ban its source."""
    async with begun.connect("home") as connection, Terminal.open(connection) as screen:
        await screen.shows("startup: there is no macro 'hello'")
    assert begun.orders() == []


async def test_only_shells_begin_with_it(begun: Door) -> None:
    """A command, a batch and another user's shell do not."""
    keep(begun, "echo hello")
    assert (await begun.ask("home", "upper x")).out == "X\n"
    assert (await begun.ask("home", "", stdin="upper y\n")).out == "Y\n"
    async with begun.connect("guest") as connection, Terminal.open(connection) as screen:
        await screen.give("upper z", "Z")
    assert [order for order, _ in begun.orders()] == ["upper"] * 3


async def test_a_lesser_key_may_no_more(begun: Door) -> None:
    """Given with a key that is good for less, it is decided by that key."""
    keep(begun, "on hall")
    path = begun.site.path / "authorized_users" / "home.toml"
    write_whole(path, path.read_text().replace("ssh-ed25519", 'sshhome-role=\\"viewer\\" ssh-ed25519', 1))
    async with begun.connect("home") as connection, Terminal.open(connection) as screen:
        await screen.shows("needs the control privilege")
