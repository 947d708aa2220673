"""What docs/backends.md promises: every command of it is run, in its order, and answers what it says there.

They are run as they stand there, but for what `Machine` says instead of a few words; where the page has somebody press
a button or open a browser, `BEFORE` and `MEANWHILE` do.
"""

import asyncio
import configparser
import contextlib
import os
import platform
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
import aiomqtt
import msgspec
import pytest

from sshhome.backend import NEWS
from sshhome.backends import mqtt
from sshhome.backends.home_assistant import websocket
from tests.client import PATIENCE, until
from tests.loop import end
from tests.process import Process
from tests.servers import things
from tests.servers.home_assistant import HomeAssistant, home_assistant
from tests.servers.mosquitto import free_port
from tests.servers.zigbee2mqtt import ADAPTER, INSTALLED, Zigbee2mqtt

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
STICK = "usb-Itead_Sonoff_Zigbee_3.0_USB_Dongle_Plus-if00-port0"
#: What packages there are, as far as this machine has been told.
LISTS = Path("/var/lib/apt/lists")
#: Seconds that anything may take on a busy machine.
LONGEST = 60.0
#: What a service says once it can be used.
READY = {"zigbee2mqtt": "Zigbee2MQTT started!", "sshhome": "listening on "}
#: What the page shows of a command that does not end well; any other has to.
FAILS = re.compile(r"^[Ee]rror: |^left out: |, not confirmed|\^C$", re.MULTILINE)
#: Orders that only look: whoever reads what has not come yet looks again.
LOOKS = re.compile(r"ssh house (list|show|rooms|get|device list|backend list)\b")
#: What is said to whoever gives orders faster than people type; nothing has been done then.
TOO_FAST = "orders a minute, no more"


class Step(NamedTuple):
    """A command of the page with what is shown below it, or a file of it with what is in there."""

    kind: Literal["command", "file"]
    what: str
    text: str


def steps(page: str) -> list[Step]:
    """Return all commands and files of a page; a block that is neither is an error."""
    found = []
    for language, text in re.findall(r"^```(\w*)\n(.*?)\n```$", page, flags=re.MULTILINE | re.DOTALL):
        first, _, rest = text.partition("\n")
        if language == "console":
            commands = re.split(r"^\$ ", text, flags=re.MULTILINE)
            assert not commands[0], text
            found += [Step("command", *command.rstrip("\n").partition("\n")[::2]) for command in commands[1:]]
        else:
            assert first.startswith("# "), f"a file has its name in its first line: {first}"
            found.append(Step("file", first.removeprefix("# "), rest + "\n"))
    return found


def fits(text: str, said: str) -> bool:
    """Return whether what was said is as the page has it; there `…` is anything, and as a line of its own any lines.

    Of what goes on until it is interrupted, the page shows a part.
    """
    part = text.removesuffix("^C")
    lines = []
    for line in part.rstrip("\n").split("\n"):
        # How wide a column is depends on what else is in it.
        words = ".*?".join(re.sub(r"(\\ ){2,}", " +", re.escape(word)) for word in line.split("…"))
        lines.append(r"(?:.*\n)*?" if line == "…" else rf"{words} *\n")
    wanted = re.compile("^" + "".join(lines), re.MULTILINE)
    return bool(wanted.search(said) if part != text else wanted.fullmatch(said))


class Machine:
    """What stands in for a Raspberry Pi: a folder with its files, the services that run on it, and who lives there."""

    def __init__(self, root: Path, stack: contextlib.AsyncExitStack) -> None:
        """Set up what Debian and its packages bring; what is started ends with the stack."""
        self.root = root
        self.home = root / "home" / "pi"
        self.port = free_port()
        self.zigbee2mqtt = Zigbee2mqtt(root / "log", free_port())
        self.services: dict[str, Process] = {}
        self.stack = stack
        self._ends: dict[str, contextlib.AsyncExitStack] = {}
        #: How the last command ended, and what somebody types when one waits for it.
        self.status = 0
        self.typed = ""
        self.home_assistant: HomeAssistant | None = None
        door = free_port()
        #: What is written otherwise here than on the page: the whole difference between the two.
        self.instead: Mapping[str, Callable[[re.Match[str]], str]] = {
            # Nothing of this machine is changed, and what would be installed is looked up.
            r"/home/pi\b|~(?=/)": lambda _: str(self.home),
            r"(?<!\w)/(etc/mosquitto|etc/systemd|usr/local/bin|var/lib|var/log|run/mosquitto)\b": lambda m: (
                f"{root}{m[0]}"
            ),
            r"\bsudo ": lambda _: "",
            r"\bapt-get update\b": lambda m: f"{m[0]} --print-uris" if any(LISTS.glob("*_Packages*")) else m[0],
            r"\bapt-get install -y\b": lambda _: "apt-cache show",
            r"\bnpm install\b": lambda _: "npm ls",
            r"\bmake -C\b": lambda _: "make --dry-run -C",
            rf"{root}/home/pi/zigbee2mqtt\b(?!-)": lambda _: str(INSTALLED.parent),
            rf"{root}/home/pi/sshhome/\.venv\b": lambda _: sys.prefix,
            r"\bnode-linux-arm64\b": lambda _: f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}",
            # It listens on free ports, and to nobody else.
            r"\b1883\b": lambda _: str(self.port),
            r"\blistener \d+": lambda m: f"{m[0]} 127.0.0.1",
            r"\b2222\b": lambda _: str(door),
            r"\b0\.0\.0\.0\b|\braspberrypi\.local\b": lambda _: "127.0.0.1",
            r"\bhomeassistant\.local:8123\b": lambda _: self._home_assistant,
            r"\bmosquitto_(pub|sub) ": lambda m: f"{m[0]}-p {self.port} ",
            # OpenSSH looks for its files in the home directory of the account, whatever HOME says.
            r"\bssh house\b": lambda _: f"ssh -F {self.home}/.ssh/config house",
            # A stick with virtual lamps.
            r"/dev/serial/by-id\b": lambda _: f"{root}/dev",
            r"/bin/node ": lambda m: f"{m[0]}--require {ADAPTER} ",
        }
        for folder in ("etc/mosquitto/conf.d", "etc/systemd/system", "usr/local/bin", "home/pi", "dev"):
            (root / folder).mkdir(parents=True)
        for folder in ("run/mosquitto", "var/lib/mosquitto", "var/log/mosquitto"):
            (root / folder).mkdir(parents=True)
            shutil.chown(root / folder, "mosquitto")
        (self.home / "sshhome").symlink_to(ROOT)
        (root / "dev" / STICK).symlink_to("/dev/null")
        configuration = Path("/etc/mosquitto/mosquitto.conf")
        self.path(str(configuration)).write_text(self.here(configuration.read_text(encoding="utf-8")))

    def here(self, text: str) -> str:
        """Return a text of the page as it is on this machine."""
        for page, instead in self.instead.items():
            text = re.sub(page, instead, text)
        return text

    def there(self, text: str) -> str:
        """Return what was said here as the page has it."""
        text = text.replace(str(self.home), "/home/pi").replace(f"localhost:{self.port}", "localhost:1883")
        text = text.replace(self._home_assistant, "homeassistant.local:8123")
        return re.sub(r'"127\.0\.0\.1:\d+"', '"0.0.0.0:2222"', text)

    @property
    def _home_assistant(self) -> str:
        return f"127.0.0.1:{self.home_assistant.port if self.home_assistant else 8123}"

    def path(self, name: str) -> Path:
        """Return where a file of the page is."""
        return self.root / self.here(name)

    def client(self, user: str) -> contextlib.AbstractAsyncContextManager[aiomqtt.Client]:
        """Return a client of the broker, to be entered."""
        password = self.password(user)
        version = aiomqtt.ProtocolVersion.V5
        return aiomqtt.Client("127.0.0.1", self.port, username=user, password=password, protocol=version)

    def password(self, user: str) -> str:
        """Return the password that a user has at the broker."""
        file = "~/house/broker_password" if user == "sshhome" else f"~/{user}_password"
        return self.path(file).read_text(encoding="utf-8").strip()

    def write(self, name: str, text: str) -> None:
        """Write a file of the page, or more of one."""
        path = self.path(name.removeprefix("at the end of "))
        text = self.here(text)
        if path.name == "config":
            ssh = path.parent
            own = ("StrictHostKeyChecking accept-new", "LogLevel ERROR", "IdentitiesOnly yes")
            files = (f"UserKnownHostsFile {ssh}/known_hosts", f"IdentityFile {ssh}/id_ed25519")
            text += "".join(f"  {line}\n" for line in (*own, *files))
        with path.open("a" if name.startswith("at the end of ") else "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of whoever sits at it."""
        path = f"{self.root}/usr/local/bin:{os.environ['PATH']}:/usr/sbin"
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}

    # -- commands -----------------------------------------------------------------------------------------------------

    async def run(self, step: Step) -> str:
        """Run a command of the page until it ends, or until it has said what is shown and is interrupted."""
        words = shlex.split(step.what.removeprefix("sudo "))
        if words[0] == "systemctl":
            await self._systemctl(*words[1:])
            self.status = 0
            return ""
        with tempfile.TemporaryFile() as keyboard:
            keyboard.write(f"{self.typed}\n".encode())
            keyboard.seek(0)
            script = f"exec 2>&1; (exit {self.status}); {self.here(step.what)}"
            async with Process.start(
                *("bash", "-c", script), environment=self.environment, folder=self.home, stdin=keyboard.fileno()
            ) as process:
                if step.text.endswith("^C"):
                    await until(lambda: fits(step.text, self.there(process.out)))
                    # As a terminal does: the shell and what runs in it.
                    os.killpg(process.group, signal.SIGINT)
                async with asyncio.timeout(LONGEST):
                    self.status = (await process.answer()).status
        return self.there(process.out)

    # -- services -----------------------------------------------------------------------------------------------------

    async def _systemctl(self, what: str, *names: str) -> None:
        """Do what systemd would, which runs nowhere but on a whole machine."""
        name = names[-1]
        if what == "reload":
            self.services[name].signal(signal.SIGHUP)
            return
        assert what in {"restart", "stop", "enable"}, what
        if name in self._ends:
            self.services[name].signal(signal.SIGTERM)
            await self.services[name].answer()
            await self._ends.pop(name).aclose()
        if what != "stop":
            await self._start(name)

    async def _start(self, name: str) -> None:
        own = self.path(f"/etc/systemd/system/{name}.service")
        package = Path(f"/lib/systemd/system/{name}.service")
        unit = configparser.RawConfigParser(strict=False)
        unit.read_string(own.read_text() if own.exists() else self.here(package.read_text()))
        said = dict(pair.split("=", 1) for pair in unit.get("Service", "Environment", fallback="").split())
        adapter = {"ZIGBEE2MQTT": str(INSTALLED / "zigbee2mqtt"), "VIRTUAL_CONTROL": str(self.zigbee2mqtt.port)}
        self._ends[name] = end = await self.stack.enter_async_context(contextlib.AsyncExitStack())
        self.services[name] = service = await end.enter_async_context(
            Process.start(
                *shlex.split(unit.get("Service", "ExecStart")),
                environment=self.environment | adapter | said,
                folder=self.home,
            )
        )
        async with asyncio.timeout(LONGEST):
            while not await self._is_ready(name):
                assert not service._listening.done(), service.out + service.err
                await asyncio.sleep(0.02)

    async def _is_ready(self, name: str) -> bool:
        if name in READY:
            return READY[name] in self.services[name].out
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False


# -- what people do, beside typing commands ---------------------------------------------------------------------------


async def join(machine: Machine, device: str) -> None:
    """Bring a device into pairing mode, and wait until Zigbee2MQTT knows it."""
    log = machine.services["zigbee2mqtt"]
    known = log.out.count("Successfully interviewed")
    async with asyncio.timeout(LONGEST):
        # What is renamed is the last one that joined.
        while log.out.count("bridge/response/device/rename") < known:
            await asyncio.sleep(0.02)
        await machine.zigbee2mqtt.control({"join": device})
        while log.out.count("Successfully interviewed") == known:
            await asyncio.sleep(0.02)


async def pull_the_plug(machine: Machine) -> None:
    """Leave the television without power."""
    await machine.zigbee2mqtt.control({"mute": "outlet", "on": True})


async def live(machine: Machine) -> None:
    """Let it get warmer outside, and somebody press the switch on the wall, for as long as anybody watches."""
    for warmth in range(1500, 4000, 10):
        reading = {"cluster": "msTemperatureMeasurement", "attributes": {"measuredValue": warmth}}
        await machine.zigbee2mqtt.control({"report": "sensor", **reading})
        switched = {"cluster": "genOnOff", "attributes": {"onOff": warmth // 10 % 2}}
        await machine.zigbee2mqtt.control({"report": "bulb", **switched})
        await asyncio.sleep(0.2)


async def plug_in(machine: Machine) -> None:
    """Give power to a socket and to two lamps, of which one never answers and one leaves again."""
    kitchen = things.TasmotaLamps()
    # The broker may end before them.
    machine.stack.enter_context(contextlib.suppress(aiomqtt.MqttError))
    line = await machine.stack.enter_async_context(machine.client("things"))
    await line.subscribe(kitchen.told_on, qos=1)
    plugged: tuple[tuple[things.Lamps, str], ...] = (
        (kitchen, "kitchen|5CCF7F000000"),
        (things.DiscoveryLamps(), "desk"),
        (things.HomieLamps(), "garden"),
    )
    for lamps, topics in plugged:
        for topic, payload in lamps.about().items():
            if re.search(topics, topic):
                told = payload.replace("lamps/", "esphome/")
                await line.publish(topic.replace("lamps/", "esphome/"), told, qos=1, retain=True)
    life = asyncio.create_task(things._obey(line, kitchen))
    machine.stack.push_async_callback(end, life)


async def move_in(machine: Machine) -> None:
    """Start Home Assistant, put two things into its kitchen, and have a token ready to be pasted."""
    server = await machine.stack.enter_async_context(home_assistant(machine.root / "home_assistant"))
    for entity_id in ("light.kitchen_lights", "switch.decorative_lights"):
        await server.ask("config/entity_registry/update", entity_id=entity_id, area_id="kitchen")
    machine.home_assistant, machine.typed = server, server.tokens["owner"]


async def automate(machine: Machine) -> None:
    """Add the integration MQTT to Home Assistant and the automation of the page, and wait until both work."""
    server = machine.home_assistant
    assert server is not None
    broker = {"broker": "127.0.0.1", "port": machine.port, "username": "homeassistant"}
    broker["password"] = machine.password("homeassistant")
    flows = f"{server.url}/api/config/config_entries/flow"
    owner = {"Authorization": f"Bearer {server.tokens['owner']}"}
    async with aiohttp.ClientSession(headers=owner, raise_for_status=True) as session:
        async with session.post(flows, json={"handler": "mqtt"}) as answer:
            flow = await answer.json()
        async with session.post(f"{flows}/{flow['flow_id']}", json=broker) as answer:
            assert (await answer.json())["type"] == "create_entry"
    await server.stop()
    configuration = server.folder / "configuration.yaml"
    include = f', "automation page": !include {machine.path("automations.yaml")}}}'
    configuration.write_text(configuration.read_text().removesuffix("}") + include)
    await server.ready()
    async with machine.client("sshhome") as line, asyncio.timeout(LONGEST):
        while not await notices(server):
            await line.publish("sshhome/house/event", '{"event_type": "login.failed", "source": "nobody"}')
            await asyncio.sleep(0.1)


async def notices(server: HomeAssistant) -> Sequence[str]:
    """Return what Home Assistant notifies its owner of."""
    told: Sequence[Mapping[str, Any]] = await server.ask("persistent_notification/get")
    return [notice["message"] for notice in told if notice["title"] == "sshhome"]


Hand = Callable[[Machine], Coroutine[None, None, None]]
#: What is done just before a command that begins so, each once, in the order of the page; and what is done meanwhile.
BEFORE: Sequence[tuple[str, Hand]] = (
    ("mosquitto_pub -t zigbee2mqtt/bridge/request/device/rename", lambda machine: join(machine, "bulb")),
    ("mosquitto_pub -t zigbee2mqtt/bridge/request/device/rename", lambda machine: join(machine, "outlet")),
    ("mosquitto_pub -t zigbee2mqtt/bridge/request/device/rename", lambda machine: join(machine, "sensor")),
    ("mosquitto_pub -t zigbee2mqtt/bridge/request/device/rename", lambda machine: join(machine, "socket")),
    ("ssh house off @living", pull_the_plug),
    ("ssh house list", plug_in),
    ("install -m 600 /dev/stdin", move_in),
    ("ssh house ban add", automate),
)
MEANWHILE: Mapping[str, Hand] = {"ssh house watch": live}


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def machine(program: Callable[[str], str]) -> AsyncIterator[Machine]:
    """Return an empty machine, on which nothing is left running; its files can be read by its other users too."""
    for name in ("mosquitto", "mosquitto_pub", "npm", "ssh", "openssl", "apt-get", "make"):
        program(name)
    needs = {"zigbee2mqtt, see .ci/zigbee2mqtt": INSTALLED.exists(), "root, who sets machines up": os.geteuid() == 0}
    if missing := [need for need, met in needs.items() if not met]:
        why = f"this takes {' and '.join(missing)}"
        if os.environ.get("SSHHOME_REQUIRE_REAL"):
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        async with contextlib.AsyncExitStack() as stack:
            yield Machine(Path(root), stack)


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_every_command(machine: Machine) -> None:
    """Every file of the page is written and every command run, from the first to the last, as it says there."""
    hands = list(BEFORE)
    for step in steps(PAGE):
        if step.kind == "file":
            machine.write(step.what, step.text)
            continue
        if hands and step.what.startswith(hands[0][0]):
            await hands.pop(0)[1](machine)
        await check(machine, step)
    assert not hands
    assert machine.home_assistant is not None
    assert "ban.set: 203.0.113.7" in await notices(machine.home_assistant)


async def check(machine: Machine, step: Step) -> None:
    """Run a command, and compare what it says with what is shown, if anything is."""
    async with contextlib.AsyncExitStack() as stack:
        if step.what in MEANWHILE:
            stack.push_async_callback(end, asyncio.create_task(MEANWHILE[step.what](machine)))
        said = await machine.run(step)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while TOO_FAST in said or (LOOKS.match(step.what) and not fits(step.text, said)):
                    await asyncio.sleep(1.0)
                    said = await machine.run(step)
    assert not step.text or fits(step.text, said), f"$ {step.what}\n{said}\n-- and the page:\n{step.text}"
    assert bool(machine.status) is bool(FAILS.search(step.text)), f"$ {step.what}\n{said}\n-- status {machine.status}"


def test_options_are_told() -> None:
    """The tables of the page have every option of both kinds with its default, and no other."""
    for kind, options in (("mqtt", mqtt.Options), ("home_assistant", websocket.Options)):
        table = PAGE.split(f'| `kind = "{kind}"` |')[1].split("\n\n")[0]
        told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, flags=re.MULTILINE))
        assert set(told) == set(options.__struct_fields__) - {"kind"}
        for field in msgspec.structs.fields(options):
            if isinstance(field.default, str) and field.default and field.name != "kind":
                assert told[field.name] == f'`"{field.default}"`', field.name


def test_words_are_told() -> None:
    """What the page says of errors is what the program says, and every event that is announced is named."""
    program = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sshhome").rglob("*.py"))
    table = PAGE.split("| it says |")[1]
    told = re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE)
    # The words of the system itself, in its C library, are played above.
    assert [words for words in told if words not in program] == ["connection refused"]
    assert all(f"`{event}`" in PAGE for event in NEWS)


def test_versions_are_those_that_are_tested() -> None:
    """The page installs the Zigbee2MQTT and the Node that `.ci/zigbee2mqtt` does."""
    installed = re.findall(r"[\w-]+@[\d.]+", (ROOT / ".ci" / "zigbee2mqtt").read_text(encoding="utf-8"))
    (command,) = (step.what for step in steps(PAGE) if step.what.startswith("npm install"))
    assert [package.replace("x64", "arm64") for package in installed] == re.findall(r"[\w-]+@[\d.]+", command)
