"""A user, an admin even, asks for what sshd would give, files, forwarding, an agent, a screen: nobody gets it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from asyncssh.packet import Boolean, String, UInt32

from tests.attacks.intruder import CLOSE, DENIED, GLOBAL, GLOBAL_FAILURE, GRANTED, OPEN, REFUSED, Intruder, intruder
from tests.attacks.victim import open_files, others_are_served
from tests.client import Answer, Door, run, until

Program = Callable[[str], str]
#: This process, in which client and server both are.
THIS = Path("/proc/self")

#: Channels that would forward something: what is said of each in opening it.
CHANNELS = {
    "direct-tcpip": (String("127.0.0.1"), UInt32(22), String("127.0.0.1"), UInt32(1)),
    "forwarded-tcpip": (String("127.0.0.1"), UInt32(22), String("127.0.0.1"), UInt32(1)),
    "direct-streamlocal@openssh.com": (String("/run/any.sock"), String(""), UInt32(0)),
    "forwarded-streamlocal@openssh.com": (String("/run/any.sock"), String("")),
    "tun@openssh.com": (UInt32(1), UInt32(0x7FFFFFFF)),
    "x11": (String("127.0.0.1"), UInt32(1)),
    "auth-agent@openssh.com": (),
}
#: Requests that would have the server listen for us.
LISTENERS = {
    "tcpip-forward": (String("127.0.0.1"), UInt32(0)),
    "streamlocal-forward@openssh.com": (String("/tmp/any.sock"),),
    "nonsense@example.com": (),
}
#: Requests on a channel that would begin something else than orders.
REQUESTS = {
    "x11-req": (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String(b"0" * 32), UInt32(0)),
    "auth-agent-req@openssh.com": (),
    "auth-agent-req": (),
    "env": (String("LD_PRELOAD"), String("/tmp/evil.so")),
    "nonsense@example.com": (),
    "": (),
}
SUBSYSTEMS = ("sftp", "SFTP", "sftp ", "scp", "shell", "exec", "netconf", "publickey", "../sftp", "\x1b[2J", "")


async def is_none_the_worse(attacker: Intruder, door: Door) -> None:
    """Give an order on the connection that was used, and serve others."""
    attacker.out = b""
    channel = await attacker.open(99)
    attacker.request(channel, "exec", String("upper usable"))
    await until(lambda: attacker.out == b"USABLE\n")
    await others_are_served(door)


async def test_channels_that_forward(door: Door) -> None:
    """No channel in either direction is opened to a port, a socket, a network device, a screen or an agent."""
    async with intruder(door, "home") as attacker:
        for number, (kind, fields) in enumerate(CHANNELS.items(), 1):
            attacker.send_packet(OPEN, String(kind), UInt32(number), UInt32(2**21), UInt32(2**15), *fields)
            await until(lambda: attacker.heard[REFUSED] + attacker.gone)
            assert attacker.heard.pop(REFUSED) == 1, kind
        await is_none_the_worse(attacker, door)


async def test_listening_for_a_client(door: Door) -> None:
    """The server listens on no port and on no socket for anybody."""
    before = open_files(THIS)
    async with intruder(door, "home") as attacker:
        for name, fields in LISTENERS.items():
            attacker.send_packet(GLOBAL, String(name), Boolean(True), *fields)
            await until(lambda: attacker.heard[GLOBAL_FAILURE] + attacker.gone)
            assert attacker.heard.pop(GLOBAL_FAILURE) == 1, name
        # Ours, the server's, and no listener.
        assert open_files(THIS) <= before + 2
        await is_none_the_worse(attacker, door)
    assert not Path("/tmp/any.sock").exists()


async def test_requests_for_other_things(door: Door) -> None:
    """A channel gives no screen, no agent, no variable that a program obeys, and still takes its order after that."""
    async with intruder(door, "home") as attacker:
        channel = await attacker.open()
        for name, fields in REQUESTS.items():
            attacker.request(channel, name, *fields)
            await until(lambda: attacker.heard[DENIED] + attacker.gone)
            assert attacker.heard.pop(DENIED) == 1, name
        attacker.request(channel, "exec", String("upper usable"))
        await until(lambda: attacker.heard[CLOSE])
        assert attacker.out == b"USABLE\n"
        await is_none_the_worse(attacker, door)


async def test_subsystems(door: Door) -> None:
    """There is no subsystem of any name, and none begins a session."""
    async with intruder(door, "home") as attacker:
        for number, name in enumerate(SUBSYSTEMS):
            channel = await attacker.open(number % 10)
            attacker.request(channel, "subsystem", String(name))
            await until(lambda: attacker.heard[DENIED] + attacker.heard[GRANTED])
            assert attacker.heard.pop(DENIED) == 1, name
            attacker.send_packet(CLOSE, UInt32(channel))
            attacker.channels.clear()
        assert not door.audit("session.opened")
        await is_none_the_worse(attacker, door)


# -- through OpenSSH's own programs -----------------------------------------------------------------------------------


def options(door: Door) -> list[str]:
    """Return what makes OpenSSH's programs log in as the admin."""
    known = f"UserKnownHostsFile={door.keys}/known_{door.port}"
    pairs = (known, "StrictHostKeyChecking=accept-new", "IdentitiesOnly=yes", "BatchMode=yes", "LogLevel=ERROR")
    return ["-F", "none", "-i", str(door.keys / "home"), *(word for pair in pairs for word in ("-o", pair))]


@pytest.mark.real
async def test_sftp(door: Door, program: Program, tmp_path: Path) -> None:
    """OpenSSH's sftp is told that there is no such thing, and no file changes hands."""
    answer = await run(program("sftp"), *options(door), "-P", str(door.port), "home@127.0.0.1", stdin="ls\n")
    assert (answer.out, answer.status) == ("", 255)
    assert "subsystem request failed" in answer.err
    assert (await door.ask("home", "upper usable")).out == "USABLE\n"


@pytest.mark.real
@pytest.mark.parametrize("protocol", ["-O", "-s"], ids=["scp", "sftp"])
@pytest.mark.parametrize("way", ["up", "down"])
async def test_scp(door: Door, program: Program, tmp_path: Path, protocol: str, way: str) -> None:
    """OpenSSH's scp, in its old protocol and its new one, brings nothing in and gets nothing out."""
    mine, theirs = tmp_path / "mine", f"home@127.0.0.1:{door.site.path}/sshhome.toml"
    mine.write_text("listen = []\n")
    ends = [str(mine), theirs] if way == "up" else [theirs, str(mine)]
    before = (door.site.path / "sshhome.toml").read_text()
    answer = await run(program("scp"), protocol, *options(door), "-P", str(door.port), *ends)
    assert answer.status != 0
    assert mine.read_text() == "listen = []\n"
    assert (door.site.path / "sshhome.toml").read_text() == before
    if protocol == "-O":
        (event,) = door.audit("order.refused")
        assert event["code"] == "unknown_order"
    assert (await door.ask("home", "upper usable")).out == "USABLE\n"


@pytest.mark.real
@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (["-W", "127.0.0.1:22"], "stdio forwarding failed"),
        (["-N", "-R", "0:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes"], "remote port forwarding failed"),
        (["-N", "-R", "/tmp/any.sock:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes"], "remote port forwarding failed"),
        (["-s", "home@127.0.0.1", "netconf"], "subsystem request failed"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
async def test_openssh_forwards_nothing(door: Door, program: Program, wish: list[str], told: str) -> None:
    """OpenSSH's wish for a port, a listener or a subsystem fails, and it says so."""
    answer = await run(program("ssh"), *options(door), "-p", str(door.port), *wish, "home@127.0.0.1")
    assert (answer.out, answer.status) == ("", 255)
    assert told in answer.err


@pytest.mark.real
async def test_openssh_with_agent_and_screen(door: Door, program: Program) -> None:
    """An order of a client that would forward its agent and its screen is given without either."""
    wish = ["-A", "-X", "-o", "ForwardX11Trusted=yes", "-o", "SetEnv=LD_PRELOAD=/tmp/evil.so"]
    answer = await run(
        program("ssh"),
        *options(door),
        "-p",
        str(door.port),
        *wish,
        "home@127.0.0.1",
        "upper usable",
        environment={"PATH": os.environ["PATH"], "DISPLAY": ":99", "SSH_AUTH_SOCK": "/tmp/agent.sock"},
    )
    assert answer == Answer("USABLE\n", answer.err, 0)
