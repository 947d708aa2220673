"""Clients that are not ours: paramiko, and as real programs OpenSSH, dropbear and PuTTY."""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncssh
import paramiko  # type: ignore[import-untyped]
import pytest

from sshhome.key import parse_key
from tests.client import Answer, Door, run, until
from tests.process import Operator, Process

Program = Callable[[str], str]
Ask = Callable[..., Awaitable[Answer]]

#: Lamps for orders that are given at the same time.
LAMPS = ("hall", "kitchen", "counter", "living", "reading", "desk", "bedside", "porch")
#: The kinds of key that people make, with the length they ask for.
KINDS = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "3072")]
BANNED = "too many failed logins from 127.0.0.1, try again in 1 min"


@pytest.fixture
def person(tmp_path: Path) -> Operator:
    """Return somebody whose home directory is empty."""
    return Operator(tmp_path / "person")


def host_key(door: Door) -> asyncssh.SSHKey:
    """Return the house's own key, which a client must see."""
    return asyncssh.read_public_key(door.site.path / "host_keys" / "ssh_host_ed25519_key.pub")


def let_in(door: Door, line: str) -> str:
    """Give the guest one more key; returns its fingerprint."""
    door.site.users.edit("guest", lambda document: document["keys"].append(line.strip()))
    return parse_key(line.strip()).fingerprint


def logins(door: Door) -> list[tuple[str, str, str | None]]:
    """Return who has logged in, how, and with which key."""
    return [(event["user"], event["method"], event.get("key")) for event in door.audit("login.ok")]


async def converse(ask: Ask) -> None:
    """Give the orders that any client must get right: what comes back on which stream, and with which status."""
    assert await ask("dim", "desk", "40") == Answer("desk is at 40 %\n", "", 0)
    assert (await ask("get", "desk.brightness")).out == "40 %\n"
    assert await ask("unlock front_door") == Answer("", "error: 'unlock' needs the access privilege\n", 77)
    assert await ask("nonsense") == Answer("", "error: unknown order 'nonsense' (`help` lists yours)\n", 127)
    assert await ask("echo \"Grüße; '$HOME'\"") == Answer("Grüße; '$HOME'\n", "", 0)
    batch = await ask(stdin="# a batch\ndim desk 50\nunlock front_door\ndim desk 60\n")
    assert batch == Answer("desk is at 50 %\n", "error: 'unlock' needs the access privilege\n", 77)


# -- paramiko ---------------------------------------------------------------------------------------------------------


def _paramiko(door: Door, user: str, lines: Sequence[str], **how: object) -> list[Answer]:
    """Give orders on one connection; paramiko blocks, so this runs in a thread."""
    answers = []
    with paramiko.SSHClient() as client:
        known = paramiko.PKey.from_type_string("ssh-ed25519", host_key(door).public_data)
        client.get_host_keys().add(f"[127.0.0.1]:{door.port}", "ssh-ed25519", known)
        client.connect("127.0.0.1", door.port, user, timeout=20, allow_agent=False, look_for_keys=False, **how)
        for line in lines:
            _, out, err = client.exec_command(line, timeout=20)
            answers.append(Answer(out.read().decode(), err.read().decode(), out.channel.recv_exit_status()))
    return answers


async def test_paramiko(door: Door) -> None:
    """Paramiko checks the host key, logs in by key and by password, and reads output, errors and statuses."""
    lines = ["dim desk 40", "unlock front_door", "nonsense"]
    answers = await asyncio.to_thread(_paramiko, door, "guest", lines, key_filename=str(door.keys / "guest"))
    assert answers == [
        Answer("desk is at 40 %\n", "", 0),
        Answer("", "error: 'unlock' needs the access privilege\n", 77),
        Answer("", "error: unknown order 'nonsense' (`help` lists yours)\n", 127),
    ]
    (answer,) = await asyncio.to_thread(_paramiko, door, "home", ["get desk.brightness"], password="correct horse")
    assert answer.out == "40 %\n"
    key = door.key("guest").get_fingerprint()
    assert logins(door) == [("guest", "publickey", key), ("home", "password", None)]


async def test_paramiko_is_kept_out(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Paramiko is told that its password is wrong, and after five of those that it is banned."""
    for _ in range(5):
        with pytest.raises(paramiko.AuthenticationException):
            await asyncio.to_thread(_paramiko, door, "home", [], password="wrong horse")
    assert len(door.audit("login.failed")) == 5
    with caplog.at_level(logging.INFO, "paramiko.transport"), pytest.raises(paramiko.SSHException):
        await asyncio.to_thread(_paramiko, door, "home", [], password="correct horse")
    assert BANNED in caplog.text


# -- OpenSSH ----------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("kind", "bits"), KINDS)
async def test_openssh(door: Door, program: Program, tmp_path: Path, kind: str, bits: str) -> None:
    """OpenSSH does all that a client must, with every kind of key that ssh-keygen makes."""
    ssh, key = program("ssh"), tmp_path / "key"
    made = await run(program("ssh-keygen"), "-q", "-t", kind, "-b", bits, "-N", "", "-C", "", "-f", str(key))
    assert made == Answer("", "", 0)
    printed = let_in(door, key.with_suffix(".pub").read_text())

    async def ask(*words: str, stdin: str | None = None) -> Answer:
        return await door.openssh(ssh, "guest", *words, key=str(key), stdin=stdin)

    await converse(ask)
    assert set(logins(door)) == {("guest", "publickey", printed)}


@pytest.mark.real
async def test_openssh_key_options(door: Door, program: Program, tmp_path: Path) -> None:
    """A key line's options bind OpenSSH: where from, until when, and without a terminal."""
    ssh, key = program("ssh"), tmp_path / "key"
    await run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", str(key))
    let_in(door, f'from="127.0.0.5",expiry-time="20260603",no-pty {key.with_suffix(".pub").read_text()}')

    async def ask(source: str, *words: str, terminal: bool = False, stdin: str | None = None) -> Answer:
        options = ["-tt"] if terminal else []
        return await door.openssh(ssh, "guest", *words, key=str(key), source=source, options=options, stdin=stdin)

    assert await ask("127.0.0.5", "on hall") == Answer("hall is on\n", "", 0)
    refused = await ask("127.0.0.1", "on hall")
    assert refused.status == 255
    assert "Permission denied (publickey,password)." in refused.err
    assert await ask("127.0.0.5", stdin="off hall\n") == Answer("hall is off\n", "", 0)
    plain = await ask("127.0.0.5", terminal=True)
    assert plain.status == 255
    assert "PTY allocation request failed" in plain.err


@pytest.mark.real
async def test_openssh_terminal(door: Door, program: Program) -> None:
    """`ssh -t` gets lines that end as a terminal needs them, from an order and from a shell."""
    ssh = program("ssh")

    async def ask(*words: str, stdin: str | None = None) -> Answer:
        return await door.openssh(ssh, "guest", *words, options=["-tt"], stdin=stdin)

    assert await ask("dim desk 40") == Answer("desk is at 40 %\r\n", "", 0)
    shell = await ask(stdin="dim desk 50\nunlock front_door\nexit\n")
    assert "\r\n" in shell.out
    assert "\n" not in shell.out.replace("\r\n", "")
    assert "desk is at 50 %" in shell.out
    assert "'unlock' needs the access privilege" in shell.out
    assert (shell.err, shell.status) == ("", 0)


@pytest.mark.real
async def test_openssh_multiplexing(door: Door, program: Program, person: Operator) -> None:
    """Eight orders given at once over one shared OpenSSH connection are all carried out and all answered."""
    ssh = program("ssh")
    # A socket's path may be some 100 bytes long, and pytest's are longer.
    with tempfile.TemporaryDirectory() as folder:
        shared = ["-F", "none", "-S", f"{folder}/s", "-p", str(door.port), "guest@127.0.0.1"]
        master = ["-M", "-N", "-i", str(door.keys / "guest"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        master += ["-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={folder}/known_hosts"]
        async with Process.start(ssh, *master, *shared, environment=person.environment()) as process:
            await until(Path(folder, "s").exists)
            for level in range(20, 60, 10):
                answers = await asyncio.gather(*(run(ssh, *shared, f"dim {lamp} {level}") for lamp in LAMPS))
                assert answers == [Answer(f"{lamp} is at {level} %\n", "", 0) for lamp in LAMPS]
            assert (await run(ssh, "-O", "exit", *shared)).status == 0
            await process.answer()
    assert len(door.audit("login.ok")) == 1
    assert len(door.audit("session.closed")) == 4 * len(LAMPS)
    assert {door.server.visitors.dispatch.house.devices[f"light.{lamp}"].state["brightness"] for lamp in LAMPS} == {50}


@pytest.mark.real
async def test_openssh_says_why_it_is_banned(door: Door, program: Program) -> None:
    """Whoever fails five times reads the reason in their terminal on the next try, right password or not."""
    ssh = program("ssh")
    for _ in range(5):
        answer = await door.openssh(ssh, "home", "whoami", password="wrong horse")
        assert answer.status == 255
        assert "Permission denied" in answer.err
    answer = await door.openssh(ssh, "home", "whoami", password="correct horse")
    assert (answer.out, answer.status) == ("", 255)
    assert f"Received disconnect from 127.0.0.1 port {door.port}:12: {BANNED}\n" in answer.err.replace("\r", "")


# -- dropbear ---------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("kind", "bits"), [*KINDS, ("openssh", "")])
async def test_dropbear(door: Door, program: Program, person: Operator, kind: str, bits: str) -> None:
    """Dropbear's dbclient does all that a client must, with keys of its own making and a converted one of OpenSSH's."""
    dbclient, key = program("dbclient"), person.home / "key"
    if kind == "openssh":
        made = await run(program("dropbearconvert"), "openssh", "dropbear", str(door.keys / "guest"), str(key))
    else:
        made = await run(program("dropbearkey"), "-t", kind, "-s", bits, "-f", str(key))
    assert made.status == 0, made.err
    told = await run(program("dropbearkey"), "-y", "-f", str(key))
    (line,) = (line for line in told.out.splitlines() if line.startswith(("ssh-", "ecdsa-")))
    printed = parse_key(line).fingerprint if kind == "openssh" else let_in(door, line)
    accepted = f"accepted unconditionally.\n(ssh-ed25519 fingerprint {host_key(door).get_fingerprint()})\n\n"

    async def ask(*words: str, stdin: str | None = None) -> Answer:
        options = ["-y", "-i", str(key), "-p", str(door.port), *(["-T"] if stdin else [])]
        answer = await run(dbclient, *options, "guest@127.0.0.1", *words, stdin=stdin, environment=person.environment())
        _, told, err = answer.err.partition(accepted)
        assert told, answer.err
        return answer._replace(err=err)

    await converse(ask)
    assert set(logins(door)) == {("guest", "publickey", printed)}


@pytest.mark.real
async def test_dropbear_by_password(door: Door, program: Program, person: Operator) -> None:
    """Dbclient logs in by password; with a wrong one it is refused, and banned once it has tried it often enough."""
    dbclient = program("dbclient")

    async def ask(password: str) -> Answer:
        options = ["-y", "-p", str(door.port), "home@127.0.0.1", "on hall"]
        return await run(dbclient, *options, environment=person.environment(DROPBEAR_PASSWORD=password))

    answer = await ask("correct horse")
    assert (answer.out, answer.status) == ("hall is on\n", 0)
    assert logins(door) == [("home", "password", None)]
    while not door.audit("ban.set"):
        failures = len(door.audit("login.failed"))
        assert (await ask("wrong horse")).out == ""
        assert len(door.audit("login.failed")) > failures
    answer = await ask("correct horse")
    assert answer.out == ""
    assert "Disconnect received" in answer.err
    assert [event["source"] for event in door.audit("connection.refused")] == ["127.0.0.1"]
    assert len(logins(door)) == 1


# -- PuTTY ------------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("kind", "bits"), [*KINDS, ("openssh", "")])
async def test_putty(door: Door, program: Program, person: Operator, kind: str, bits: str) -> None:
    """PuTTY's plink checks the host key and does all that a client must, with keys made or converted by puttygen."""
    plink, puttygen, key = program("plink"), program("puttygen"), person.home / "key.ppk"
    environment = person.environment()
    if kind == "openssh":
        made = await run(puttygen, str(door.keys / "guest"), "-O", "private", "-o", str(key), environment=environment)
    else:
        options = ["-q", "-t", kind, "-b", bits, "-C", "me", "--new-passphrase", "/dev/null"]
        made = await run(puttygen, *options, "-o", str(key), environment=environment)
    assert made.status == 0, made.err
    line = (await run(puttygen, str(key), "-L", environment=environment)).out
    printed = parse_key(line.strip()).fingerprint if kind == "openssh" else let_in(door, line)

    async def ask(*words: str, stdin: str | None = None) -> Answer:
        options = ["-batch", "-hostkey", host_key(door).get_fingerprint(), "-i", str(key), "-P", str(door.port)]
        options += ["-T"] if stdin else []
        answer = await run(plink, *options, "guest@127.0.0.1", *words, stdin=stdin, environment=environment)
        return answer._replace(err=answer.err.replace("\r", "").replace('Using username "guest".\n', ""))

    await converse(ask)
    assert set(logins(door)) == {("guest", "publickey", printed)}


@pytest.mark.real
async def test_putty_is_kept_out(door: Door, program: Program, person: Operator) -> None:
    """Plink is told that its password is wrong, and after five of those why it is banned."""
    plink = program("plink")

    async def ask(password: str) -> Answer:
        options = ["-batch", "-hostkey", host_key(door).get_fingerprint(), "-pw", password, "-P", str(door.port)]
        return await run(plink, *options, "home@127.0.0.1", "on hall", environment=person.environment())

    answer = await ask("correct horse")
    assert (answer.out, answer.status) == ("hall is on\n", 0)
    for _ in range(5):
        answer = await ask("wrong horse")
        assert (answer.out, answer.status) == ("", 1)
        assert "Configured password was not accepted" in answer.err
    answer = await ask("correct horse")
    assert (answer.out, answer.status) == ("", 1)
    assert BANNED in answer.err
