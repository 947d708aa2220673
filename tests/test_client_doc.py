"""What docs/client.md promises: each program and line of it is run as it stands there, against a real house."""

import ast
import asyncio
import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from types import FunctionType
from typing import Any

import asyncssh
import pytest

from sshhome import client
from sshhome.app import Site
from sshhome.upcoming import Place
from tests.apps import app, host_key, known_hosts
from tests.client import Door, run, until
from tests.conftest import FixedClock
from tests.process import Operator, Process
from tests.test_client_kill import Machine
from tests.test_client_kill import machine as machine  # noqa: PLC0414 (a fixture, used by its name)

PAGE = (Path(__file__).parent.parent / "docs" / "client.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(language: str, has: str) -> str:
    """Return the one block of a language that has this."""
    (found,) = (text for kind, text in BLOCKS if kind == language and has in text)
    return found


def move_in(person: Operator, door: Door, user: str = "home", *, port: int = 0) -> None:
    """Give somebody the key and the known house that the page takes for granted."""
    ssh = person.home / ".ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "app").write_bytes((door.keys / user).read_bytes())
    (ssh / "app").chmod(0o600)
    known_hosts(door, ssh)
    text = (ssh / "known_hosts").read_text().replace(f":{door.port} ", f":{port or door.port} ")
    (ssh / "known_hosts").write_text(text)
    config = f"Host house\n  HostName 127.0.0.1\n  Port {port or door.port}\n  IdentityFile {ssh / 'app'}\n"
    (ssh / "config").write_text(config)


@contextlib.asynccontextmanager
async def started(person: Operator, text: str) -> AsyncIterator[Process]:
    """Run a program of the page."""
    path = person.home / "program.py"
    path.write_text(text)
    async with Process.start(
        sys.executable, str(path), environment=person.environment(PYTHONUNBUFFERED="1")
    ) as process:
        yield process


MIRROR = block("python", "async def main")


def told(process: Process, id_: str) -> list[str]:
    """Return what a mirror has told of a device."""
    return [line.partition(" ")[2] for line in process.out.splitlines() if line.startswith(f"{id_} ")]


# -- the mirror -------------------------------------------------------------------------------------------------------


def test_mirror_is_short() -> None:
    """Twenty lines are enough."""
    assert len(MIRROR.strip().splitlines()) <= 20


async def test_mirror_survives_a_restart(operator: Operator, machine: Machine, site: Site) -> None:
    """The program follows the house through its end by kill, and tells each change once."""
    config = site.path / "sshhome.toml"
    config.write_text(config.read_text().replace("[house]", "[house]\nlatitude = 52.5\nlongitude = 13.4"))
    async with machine.serving() as first:
        move_in(operator, first.door, port=machine.relay.port)
        async with started(operator, MIRROR) as process:
            await process.says(r"^light\.porch \{'on': False")
            assert (await first.door.ask("home", "on hall")).status == 0
            await until(lambda: told(process, "light.hall")[1:] == ["{'on': True}"])
            await machine.kill(first)
            async with machine.serving() as second:
                assert (await second.door.ask("home", "dim desk 40")).status == 0
                await until(lambda: len(told(process, "light.desk")) > 1)
                assert (await second.door.ask("home", "off hall")).status == 0
                await until(lambda: len(told(process, "light.hall")) > 2)
                assert told(process, "light.hall")[1:] == ["{'on': True}", "{'on': False}"]
                assert "'brightness': 40" in told(process, "light.desk")[1]
                assert len(told(process, "light.desk")) == 2
            assert process.err == ""


async def test_porch_light_comes_on_at_sunset(operator: Operator, door: Door, clock: FixedClock) -> None:
    """The program has the house keep it, once; and the light comes on as the sun sets, which the program tells."""
    dispatch = door.server.visitors.dispatch
    dispatch.schedules.place = Place(dispatch.timezone, 52.5, 13.4)
    move_in(operator, door)
    for _ in range(2):
        async with started(operator, MIRROR) as process:
            await process.says(r"^light\.porch \{'on': False")
    async with started(operator, MIRROR) as process, app(door) as house:
        await process.says(r"^light\.porch \{'on': False")
        (kept,) = await house.schedule_list()
        sunset = datetime.fromisoformat(kept["next"]).timestamp()
        assert kept["next"].startswith("2026-06-02T19:2")
        clock.step(sunset - clock.now() - 1)
        dispatch.schedules.news.set()
        await house.time()
        assert told(process, "light.porch")[1:] == []
        clock.step(1)
        dispatch.schedules.news.set()
        await until(lambda: told(process, "light.porch")[1:] == ["{'on': True}"])
        assert process.err == ""


# -- what stands on the page ------------------------------------------------------------------------------------------


async def _runs(text: str, names: dict[str, Any]) -> None:
    """Run a piece of a program that may wait."""
    code = compile(text, "client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = FunctionType(code, names)()
    if waiting is not None:
        await waiting


async def test_orders_on_the_page(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """The pieces about orders run as they stand there."""
    async with app(door) as house:
        await house.dim("desk", 30)
        await _runs(block("python", "house.history"), {"house": house})
        assert capsys.readouterr().out.splitlines()[0] == "40 True"
        await _runs(block("python", "idempotency_key"), {"house": house})
        await house.disarm()
        await _runs(block("python", "idempotency_key"), {"house": house})
        (alarm,) = await house.list("alarm_control_panel.house")
        assert alarm.state["armed"] == "disarmed"


async def test_watching_on_the_page(door: Door) -> None:
    """The piece about watching tells changes, and devices that are gone."""
    out = io.StringIO()
    names = {**vars(client), "print": lambda *words: print(*words, file=out)}
    async with app(door) as house:
        watching = asyncio.create_task(_runs(block("python", "case Gap"), {**names, "house": house}))
        while "light.reading" not in out.getvalue():
            await house.toggle("reading")
        await house.device_hide("light.reading")
        await until(lambda: "light.reading is gone" in out.getvalue())
        watching.cancel()
        await asyncio.wait([watching])


async def test_script_on_the_page(operator: Operator, door: Door) -> None:
    """The script that blocks prints how the kitchen is."""
    move_in(operator, door)
    async with started(operator, block("python", "blocking")) as process:
        answer = await process.answer()
    assert (answer.err, answer.status) == ("", 0)
    assert "'on': True" in answer.out


async def test_commands_on_the_page(operator: Operator, door: Door) -> None:
    """`sshhome call` answers what is shown, and `tail` follows."""
    move_in(operator, door)
    shown = block("console", "sshhome call")
    lines = shown.splitlines()
    answer = await operator.types(*lines[0].split()[2:])
    assert answer.out.splitlines() == [lines[1]]
    commands = [line.removeprefix("$ sshhome ").split() for line in lines if line.startswith("$")]
    assert [words[0] for words in commands] == ["call", "call", "tail"]
    async with operator.starts(*commands[2]) as process:
        while "light.reading" not in process.out:
            await door.ask("home", "toggle reading")


# -- without the library ----------------------------------------------------------------------------------------------


def let_in(door: Door, line: str, folder: Path) -> Path:
    """Give the owner one more key, as a line of the page has it; return the private one."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "cron").write_bytes(key.export_private_key())
    (folder / "cron").chmod(0o600)
    public = key.export_public_key().decode().split()[1]
    (value,) = re.findall(r"'(.+)'", line.replace("AAAA…", public))
    door.site.users.edit("home", lambda document: document["keys"].append(value))
    return folder / "cron"


@pytest.mark.real
async def test_cron(door: Door, program: Callable[[str], str], tmp_path: Path) -> None:
    """The key of a cron job gives its one order, whatever is asked for with it."""
    let_in(door, block("toml", "cron@nas").replace("@downstairs", "hall"), tmp_path)
    door = door._replace(keys=tmp_path)
    answer = await door.openssh(program("ssh"), "home", key="cron")
    assert (answer.out, answer.status) == ("hall is off\n", 0)
    answer = await door.openssh(program("ssh"), "home", "unlock", "front_door", key="cron")
    assert (answer.out, answer.status) == ("hall is off\n", 0)


async def test_paramiko(operator: Operator, door: Door) -> None:
    """The piece for paramiko prints JSON, nothing else, and status 0."""
    move_in(operator, door)
    text = block("python", "import paramiko").replace('"house", 2222', f'"127.0.0.1", {door.port}')
    text = text.replace("/home/me", str(operator.home))
    async with started(operator, text) as process:
        answer = await process.answer()
    assert (answer.err, answer.status) == ("", 0)
    assert answer.out.startswith('[{"id":"light.kitchen"')
    assert answer.out.rstrip().endswith(" 0")


#: Where `.ci/apps` puts what it installs.
APPS = Path(os.environ.get("SSHHOME_SERVERS", Path(__file__).parent.parent / ".servers")) / "apps"


def installed(path: str) -> Path:
    """Return what `.ci/apps` installs; a test skips without it, and fails where real programs are required."""
    if not (APPS / path).exists():
        if os.environ.get("SSHHOME_REQUIRE_REAL"):
            pytest.fail(f"{path} is required here: .ci/apps installs it")
        pytest.skip(f"{path} is not installed: .ci/apps installs it")
    return APPS / path


@pytest.mark.real
async def test_node(operator: Operator, door: Door, program: Callable[[str], str]) -> None:
    """The piece for Node checks the host key, gives its order over the channel for apps, and prints the answer."""
    modules, node = installed("node_modules/ssh2").parent, program("node")
    move_in(operator, door)
    text = block("js", "ssh2").replace('host: "house", port: 2222', f'host: "127.0.0.1", port: {door.port}')
    (operator.home / "app.js").write_text(text)
    for shown, status in ((host_key(door).get_fingerprint(), 0), (f"SHA256:{'A' * 43}", 1)):
        environment = operator.environment(NODE_PATH=str(modules), HOUSE_KEY=shown)
        answer = await run(node, str(operator.home / "app.js"), environment=environment)
        assert answer.status == status, answer.err
        if not status:
            assert answer.json["state"]["brightness"] == 40
    assert door.orders() == [("dim", 0)]


@pytest.mark.real
async def test_ansible(operator: Operator, door: Door) -> None:
    """The line for Ansible gives its order, and a refusal is a failure."""
    ansible = installed("venv/bin/ansible")
    move_in(operator, door, "guest")
    ssh = operator.home / ".ssh"
    # ssh itself asks the system where the home directory is, and not the environment.
    how = f"-F {ssh / 'config'} -o UserKnownHostsFile={ssh / 'known_hosts'}"
    environment = operator.environment(ANSIBLE_SSH_ARGS=how, LC_ALL="C.UTF-8")
    words = shlex.split(block("console", "$ ansible").removeprefix("$ "))
    words = [word if word != "home" else "guest" for word in words]
    answer = await run(str(ansible), *words[1:], environment=environment)
    assert answer.status == 0, answer
    assert "kitchen is on" in answer.out
    refused = await run(str(ansible), *words[1:-1], "unlock front_door", environment=environment)
    assert refused.status == 2
    assert "rc=77" in refused.out
