"""A user sets variables of the server's environment, by the thousand and by name: a terminal's few are kept."""

from asyncssh.packet import String

from tests.attacks.intruder import DENIED, GRANTED, intruder
from tests.attacks.victim import MIB, Besiege
from tests.client import Door, RawChannel, until

#: What programs and their loaders obey, and what a client has no business to say.
DANGEROUS = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PATH", "IFS", "ENV", "BASH_ENV", "BASH_FUNC_x%%", "SHELL", "HOME"),
    *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONWARNINGS", "PERL5OPT", "NODE_OPTIONS", "GIT_SSH_COMMAND", "GIT_PROTOCOL"),
    *("SSHHOME_SITE", "SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_ORIGINAL_COMMAND", "SUDO_USER", "USER"),
    *("TERMINFO", "TERMCAP", "LINES", "COLUMNS", "EDITOR", "PAGER", "HTTP_PROXY", "TMPDIR", "LOCPATH", "NLSPATH"),
    *(
        "LANGUAGE",
        "LC",
        "lang",
        "TERM ",
        " TERM",
        "TERM\0LD_PRELOAD",
        "TERM=x\nLD_PRELOAD",
        "",
        "\x1b[2J",
        "\uff34\uff25\uff32\uff2d",
    ),
)


async def test_1_000_variables_of_200_kb(besiege: Besiege) -> None:
    """A thousand variables of 200 KB each, some with names that are taken, are refused, and none is kept."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        for number in range(1_000):
            attacker.request(channel, "env", String(f"LC_{number}"), String(b"x" * 200_000))
            await attacker.sent()
        await victim.others_are_served()
        await until(lambda: attacker.heard[DENIED] == 1_000)
        assert not attacker.heard[GRANTED]


async def test_30_000_small_variables(besiege: Besiege) -> None:
    """Of 30,000 small variables, with good names and the same or different ones, 32 are kept."""
    async with besiege(memory=4 * MIB) as victim, intruder(victim.door) as attacker:
        channel = await attacker.open()
        for _ in range(10):
            with attacker.at_once():
                for number in range(3_000):
                    attacker.request(channel, "env", String(f"LC_{number}"), String("C"))
            await attacker.sent()
        await until(lambda: attacker.heard[DENIED] + attacker.heard[GRANTED] == 30_000)
        assert attacker.heard[GRANTED] == 32


async def test_dangerous_variables(door: Door) -> None:
    """No variable that a program obeys is taken, and the order that follows is none the worse."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        for name in DANGEROUS:
            assert not await raw.ask("env", String(name), String("/tmp/evil.so")), name
        (visitor,) = door.server.visitors
        (channel,) = visitor.connection._channels.values()
        assert dict(channel.get_environment_bytes()) == {}
        assert await raw.ask("exec", String("upper fine"))
        await until(lambda: raw.heard.closed)
        assert (raw.heard.out, raw.heard.status) == ("FINE\n", 0)
