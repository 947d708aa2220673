"""A user, a device or a file has a name that would command the terminal of who reads it: it is shown spelt out."""

import asyncio
import json
import re
import unicodedata
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from asyncssh.packet import String, UInt32

from tests.attacks.intruder import DISCONNECT, intruder
from tests.attacks.victim import Besiege, others_are_served
from tests.client import Door, RawChannel, report, until
from tests.process import Operator

Serve = Callable[..., AbstractAsyncContextManager[Door]]

#: A title, a clipboard, colours, the cursor, C1 controls, a lone carriage return, text that runs backwards or hides.
EVIL = (
    "a\x1b]0;pwned\x07\x1b]52;c;cm0gLXJm\x07\x1b[31m\x1b[2J\x1b[1A\x9b2J\x9d0;pwned\x9c\x85\x08\x7f\r"
    "\u202eevil\u2066\u200b\u2028\u2029\ufeff\u00ad\u061c\U000e0041z"
)
#: The same for places that take no control characters below 0x20 to begin with.
HIGH = "".join(char for char in EVIL if char >= " " and char != "\x7f")
#: What a shell of ours never sends by itself, and what is no part of a line that is shown while it is typed.
FOREIGN = ("\x1b]", "\x07", "\x9b", "\x9c", "\x9d", "\x85", "\x7f")
HIDING = ("\u202e", "\u2066", "\u200b", "\u2028", "\u2029", "\ufeff", "\u00ad", "\u061c", "\U000e0041")


def is_harmless(text: str) -> bool:
    """Return whether a terminal would show a text as it is: no control, format, line or paragraph character."""
    return not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} and c != "\n"]


def toml(text: str) -> str:
    """Return a text as TOML has it."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


def log(door: Door) -> str:
    """Return the audit log as it stands in the file."""
    return (door.site.path / "state" / "audit.jsonl").read_text(encoding="utf-8")


def rename(door: Door, device_id: str, **fields: str) -> None:
    """Let the backend tell of a device with other fields."""
    house = door.server.visitors.dispatch.house
    device = house.devices[device_id]
    kept = {name: getattr(device, name) for name in device.__struct_fields__}
    report(house, type(device)(**kept | fields))


async def everywhere(door: Door, line: str, user: str = "home", status: int = 0) -> None:
    """Give an order by exec, batch and shell; nothing harmful is shown, and JSON has all of it, escaped."""
    answer = await door.ask(user, line)
    assert answer.status == status, answer
    assert is_harmless(answer.out + answer.err), line
    batch = await door.ask(user, "", stdin=f"{line}\n")
    assert is_harmless(batch.out + batch.err), line
    as_json = await door.ask(user, f"{line} --json")
    assert is_harmless(as_json.out + as_json.err), line
    for text in (as_json.out, as_json.err):
        for part in text.splitlines():
            json.loads(part)
    for term in ("xterm", "dumb"):
        shown = await shell(door, line, user, term)
        assert not [part for part in FOREIGN if part in shown], line
        assert term != "dumb" or is_harmless(shown.replace("\r\n", "\n").replace("\b \b", "")), line


async def shell(door: Door, line: str, user: str, term: str) -> str:
    """Paste a line into a shell and return all that comes back."""
    async with door.connect(user) as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal(term)
        assert await raw.ask("shell")
        await until(lambda: "> " in raw.heard.out or ">\x1b" in raw.heard.out)
        raw.channel.write(f"\x1b[200~{line}\x1b[201~\r" if term != "dumb" else f"{line}\r")
        raw.channel.write("exit\r")
        await until(lambda: raw.heard.closed)
        return raw.heard.out


async def test_a_device(door: Door) -> None:
    """The name and room of a device that a backend tells of are harmless wherever they are shown."""
    for line in ("list", "list light.*", "show", "show desk", "dim desk 40", "get desk.brightness", "off all"):
        rename(door, "light.desk", name=EVIL)
        rename(door, "light.hall", name=EVIL, room=EVIL)
        with door.mute_printer():
            answer = await door.ask("home", line)
        assert is_harmless(answer.out + answer.err), line
    rename(door, "light.desk", name=EVIL)
    await everywhere(door, "show desk")
    assert (await door.ask("home", "list light.desk --json")).json[0]["name"] == EVIL
    assert is_harmless(log(door))
    await others_are_served(door)


async def test_a_user(door: Door) -> None:
    """The name in a user's file is harmless to everyone who asks who is there."""
    path = door.site.path / "authorized_users" / "guest.toml"
    path.write_text(path.read_text().replace('"Guest"', toml(EVIL)))
    async with door.connect("guest") as guest:
        raw = await RawChannel.open(guest)
        assert await raw.ask("shell")
        await until(lambda: list(door.server.visitors.sessions))
        for line in ("who", "session list", "user list"):
            await everywhere(door, line)
        await everywhere(door, "whoami", "guest")
        assert EVIL in {person["name"] for person in (await door.ask("home", "who --json")).json}
    assert is_harmless(log(door))


@pytest.mark.parametrize("comment", [HIGH, "\u202e" * 5, "\x9b2J"])
async def test_the_comment_of_a_key(door: Door, operator: Operator, comment: str) -> None:
    """The comment of a key is harmless to who lists keys, to the one who uses it, and to the log."""
    path = door.site.path / "authorized_users" / "guest.toml"
    path.write_text(path.read_text().replace(" guest@test", f" {comment}"), encoding="utf-8")
    await everywhere(door, "whoami", "guest")
    answer = await operator.types("user", "key", "list", "guest", site=door.site.path)
    assert (answer.err, answer.status) == ("", 0)
    assert is_harmless(answer.out)
    assert is_harmless(log(door))


@pytest.mark.parametrize("name", [EVIL, "\u202eesuoh"])
async def test_the_house(serve: Serve, operator: Operator, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The name of the house is harmless in the welcome, in the prompt, and to who checks the configuration."""
    monkeypatch.setattr("tests.conftest.CONFIG", f"[house]\nname = {toml(name)}\n")
    async with serve() as door:
        for term in ("xterm", "dumb"):
            shown = await shell(door, "whoami", "home", term)
            assert "Welcome to" in shown
            assert not [part for part in (*FOREIGN, *HIDING) if part in shown]
        answer = await operator.types("check", site=door.site.path)
        assert answer.status == 0
        assert is_harmless(answer.out + answer.err)
        assert is_harmless(log(door))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("echo '{}'", 0),
        ("upper '{}'", 0),
        ("'{}'", 127),
        ("on '{}'", 64),
        ("on 'light.{}'", 64),
        ("dim desk '{}'", 64),
        ("dim '{}' 5", 64),
        ("set desk '{}'", 64),
        ("help '{}'", 64),
        ("ban lift '{}'", 64),
        ("session kick '{}'", 64),
        ("on --'{}' desk", 64),
        ("echo '{}", 64),
    ],
)
async def test_the_words_of_an_order(door: Door, line: str, status: int) -> None:
    """What a user says in an order comes back harmless, be it the answer, the error, or the log."""
    for evil in (EVIL, HIGH):
        await everywhere(door, line.format(evil), status=status)
    assert is_harmless(log(door))


@pytest.mark.parametrize("term", ["xterm", "dumb"])
async def test_a_line_that_is_pasted(door: Door, term: str) -> None:
    """A line that is pasted shows what it is before Enter is pressed: nothing in it hides, or runs backwards."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal(term)
        assert await raw.ask("shell")
        await until(lambda: "@house>" in raw.heard.out)
        start, end = ("\x1b[200~", "\x1b[201~") if term == "xterm" else ("", "")
        for number, char in enumerate(HIDING, 1):
            raw.heard.out = ""
            raw.channel.write(f"{start}echo on{char}kitchen{end}")
            await until(lambda: "kitchen" in raw.heard.out)
            assert char not in raw.heard.out
            (shown,) = set(re.findall(r"on\S*?kitchen", raw.heard.out))
            raw.channel.write("\r")
            await until(lambda number=number: len(door.orders()) == number)  # type: ignore[misc]  # (bound at once)
            assert door.audit("order.done")[-1]["args"] == {"text": shown}


@pytest.mark.parametrize("term", ["\x1b]0;pwned\x07", "\x1b[2J", "xterm\r\nERROR", "xterm-\x07", "x" * 5_000])
async def test_the_type_of_a_terminal(door: Door, term: str) -> None:
    """A terminal of any type gets a shell, and never its own name back."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.terminal(term)
        assert await raw.ask("env", String("LC_ALL"), String(EVIL))
        assert await raw.ask("shell")
        raw.channel.write("upper works\rexit\r")
        await until(lambda: raw.heard.closed)
        assert "WORKS" in raw.heard.out
        assert not [part for part in FOREIGN if part in raw.heard.out]
        await others_are_served(door)
    assert is_harmless(log(door))


@pytest.mark.parametrize("login", [EVIL, HIGH, "\u202e", "home\x1b[2J"])
async def test_the_name_of_a_login(door: Door, login: str) -> None:
    """Whoever tries to log in as such a name is a failure like others, harmless in the log, in bans and to admins."""
    for _ in range(2):
        async with door.wire(source="127.0.0.66") as wire:
            for _ in range(3):
                wire.ask_key(login, door.key("attacker"), signer=door.key("attacker"))
                await wire.reply()
                if door.audit("ban.set"):
                    break
    await until(lambda: door.audit("ban.set"))
    for line in ("ban list", "ban list --json"):
        answer = await door.ask("home", line)
        assert "127.0.0.66" in answer.out
        assert is_harmless(answer.out)
    assert is_harmless(log(door))
    await others_are_served(door)


async def test_the_version_of_a_client(besiege: Besiege) -> None:
    """What a client calls itself, and says in leaving, reaches neither log nor terminal of the operator as it is."""
    async with besiege() as victim:
        for number, version in enumerate(("\x1b]0;pwned\x07", "x \x1b[31mred", EVIL.replace("\r", ""), "\0", "%s%n")):
            source = f"127.0.1.{number}"
            reader, writer = await asyncio.open_connection("127.0.0.1", victim.door.port, local_addr=(source, 0))
            writer.write(f"SSH-2.0-{version}\r\n{EVIL}".encode() + b"\0" * 64)
            writer.write_eof()
            await reader.read()
            writer.close()
        async with intruder(victim.door, version=b"SSH-2.0-OpenSSH_9.9 \x1b[31mred") as attacker:
            channel = await attacker.open()
            attacker.request(channel, "exec", String("upper works"))
            await until(lambda: attacker.out == b"WORKS\n")
            attacker.send_packet(DISCONNECT, UInt32(11), String(EVIL), String("en"))
            await until(lambda: attacker.gone)
        await victim.others_are_served()
        assert is_harmless(log(victim.door))
        assert is_harmless(victim.process.out + victim.process.err)
