"""What docs/hooks.md promises: its secret, its configuration, its receiver and its orders, as they stand there."""

import re
import socket
import subprocess
import sys
from pathlib import Path

from sshhome import app, delivery
from sshhome.app import Site
from sshhome.config import HookConfig
from sshhome.errors import SiteError
from tests.client import Door, ask, until
from tests.process import Operator, Process

PAGE = (Path(__file__).parent.parent / "docs" / "hooks.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROMPT = "home@house> "


def block(language: str) -> str:
    """Return the one block of a language."""
    (found,) = (text for kind, text in BLOCKS if kind == language)
    return found


def answer(line: str) -> str:
    """Return what the page shows that an order answers."""
    (found,) = (text for _, text in BLOCKS if text.startswith(f"{PROMPT}{line}\n"))
    return found.partition("\n")[2]


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_the_page_is_followed(site: Site, keys: Path, operator: Operator) -> None:
    """A secret, a hook and a receiver as the page has them: what happens is printed, and what is not signed is not."""
    (command,) = re.findall(r"^\$ (.*)$", block("console"), re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=site.path, check=True)
    program = operator.home / "receiver.py"
    program.write_text(block("python"))
    port = free_port()
    hook = block("toml").replace("192.168.1.20:8000", f"127.0.0.1:{port}").replace("192.168.1.20", "127.0.0.1")
    config = site.path / "sshhome.toml"
    config.write_text(hook.replace("@garage", "@hall") + config.read_text())
    argv = (sys.executable, str(program), "127.0.0.1", str(port))
    async with (
        Process.start(*argv, environment=operator.environment(), folder=site.path) as receiver,
        app.running(Site(site.path), ["127.0.0.1:0"]) as running,
    ):
        door = Door(running.server, site, running.addresses[0], keys, running.reload)
        (line,) = running.server.visitors.dispatch.hooks.all()
        await until(lambda: can_connect(port))
        async with door.connect("home") as connection:
            assert (await ask(connection, "hook test garage")).out == answer("hook test garage")
            assert (await door.ask("guest", "on hall")).status == 0
            await receiver.says(r"'topic': 'state', .*'id': 'light\.hall', .*'change': \{'on': True")
            await receiver.says(r"'topic': 'test'")
            await until(lambda: not line.waiting)
            assert (await ask(connection, "hook list")).out == answer("hook list")
            said = len(receiver.out)
            (site.path / "hook.secret").write_text("whsec_" + "A" * 43 + "=\n")
            assert (await ask(connection, "hook test garage")).err == "error: garage: answered 401\n"
            assert "'test'" not in receiver.out[said:]


def can_connect(port: int) -> bool:
    """Return whether somebody listens."""
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def test_receiver_is_short() -> None:
    """Beside what it imports, a receiver is a dozen lines."""
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 14


def test_keys_and_topics() -> None:
    """The page names every key of a hook, every topic of what is told, and every order."""
    assert set(re.findall(r"^\| `(\w+)` \| ", PAGE.split("| key | |")[1].split("\n\n")[0], re.MULTILINE)) == set(
        HookConfig.__struct_fields__
    )
    topics = re.findall(r"^\| `(\w+)` \| ", PAGE.split("| `topic` |")[1].split("\n\n")[0], re.MULTILINE)
    assert topics == ["state", "audit", delivery.GAP, delivery.TEST]


def test_numbers() -> None:
    """The times and numbers that the page tells are those of the program."""
    assert delivery._TRIES == 7
    assert "not taken in seven tries, or within a day" in PAGE
    assert [round(pause) for pause in delivery._PAUSES] == [10, 60, 300, 1800, 7200, 21600]
    assert "after 10 seconds, 1 minute, 5 and 30 minutes, 2 and 6 hours" in PAGE
    assert (delivery._MOST, delivery._LOGGED, delivery._LATEST) == (100, 50, 86400)


def test_an_error_says_what_to_allow(site: Site) -> None:
    """Whoever leaves `allow` out for http is told so."""
    (site.path / "hook.secret").touch(mode=0o600)
    config = site.path / "sshhome.toml"
    config.write_text(block("toml").partition("allow =")[0] + config.read_text())
    assert [error.message for error in Site(site.path).check() if isinstance(error, SiteError)] == [
        "sshhome.toml: hook.url: http:// is for addresses at home, which `allow` names"
    ]
