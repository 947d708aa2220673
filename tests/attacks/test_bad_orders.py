"""A user tries orders that there are not: after ten in a row the session is over, or the source is banned."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.attacks.victim import others_are_served
from tests.client import Door, RawChannel, ask, until

Serve = Callable[..., AbstractAsyncContextManager[Door]]
#: What people look for who think that there is a Unix shell behind it.
GUESSES = (
    *("ls", "id", "uname -a", "cat /etc/passwd", "wget http://127.0.0.1", "bash", "/bin/busybox", "sudo -i", "enable"),
    *("$(reboot)", "`reboot`", "| sh", "&& sh", "> /etc/passwd", "system", "python3 -c 1", "nc -e sh", "tftp", "chmod"),
)
TOO_MANY = "that was one too many, the session is closed"


@pytest.mark.parametrize("way", ["xterm", "dumb", "batch", "exec"])
async def test_ten_bad_orders(door: Door, way: str) -> None:
    """The tenth unknown order in a row ends a session of any kind; what comes after it never runs."""
    async with door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        if way == "exec":
            answer = await ask(connection, "; ".join(f"{guess} --keep-going" for guess in GUESSES))
            said = answer.err
        elif way == "batch":
            said = (await ask(connection, "--keep-going", stdin="\n".join(GUESSES) + "\non hall\n")).err
        else:
            assert await raw.terminal(way)
            assert await raw.ask("shell")
            raw.channel.write("".join(f"{guess}\r" for guess in (*GUESSES, "on hall")))
            await until(lambda: raw.heard.closed)
            said = raw.heard.out
        assert said.count("unknown order") == 10
        assert TOO_MANY in " ".join(said.split())
        assert (await ask(connection, "upper the connection lives on")).status == 0
        await others_are_served(door)
    assert [status for _, status in door.orders()] == [127] * 10 + [0, 0]


async def test_good_orders_between(door: Door) -> None:
    """A good order, or one that is merely refused, begins the count anew: people mistype."""
    async with door.connect("guest") as connection:
        nine = "nonsense\n" * 9
        answer = await ask(connection, "--keep-going", stdin=f"{nine}echo a\n{nine}unlock front_door\n{nine}echo b\n")
        assert answer.out == "a\nb\n"
        assert TOO_MANY not in answer.err


@pytest.mark.parametrize(("bad_order", "banned"), [("close", False), ("ban", True)])
async def test_one_bad_order_may_be_too_many(serve: Serve, bad_order: str, *, banned: bool) -> None:
    """Where the owner says so, the first unknown order ends the session, or bans the source as well."""
    async with serve(f'[limits]\nbad_order = "{bad_order}"\n') as door:
        answer = await door.ask("guest", "--keep-going", stdin="id\non hall\n", source="127.0.0.66")
        assert (answer.out, answer.status) == ("", 127)
        assert TOO_MANY in answer.err
        again = await door.ask("guest", "upper again", source="127.0.0.66")
        assert ("disconnected" in again.err) is banned
        await others_are_served(door)
    assert [event["kind"] for event in door.audit("ban.set")] == ["bad_order"] * banned
