"""A real Home Assistant with its demonstration house, which nobody has to set up in a browser.

Beside the demonstration it has what tests need that is not in there: lamps that are off, one that cannot be reached,
a group, helpers and scripts.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.servers.mosquitto import free_port

ROOT = Path(__file__).parents[2]
#: Where `.ci/home-assistant` has installed it.
INSTALLED = Path(os.environ.get("SSHHOME_SERVERS", ROOT / ".servers")) / "home-assistant" / "bin" / "hass"
#: Seconds that a busy machine may take to start it.
START = 90.0
PASSWORD = "correct horse battery staple"
#: What lets it start for as long as a test wants.
_HELD = """\
import asyncio
from pathlib import Path


async def async_setup(hass, config):
    while Path(hass.config.path("hold")).exists():
        await asyncio.sleep(0.02)
    return True
"""


@dataclass
class HomeAssistant:
    """One that can be started and stopped, always on the same port, with the same house and the same tokens."""

    folder: Path
    port: int = field(default_factory=free_port)
    #: Tokens that last, by the login of their user: owner, plain, reader.
    tokens: dict[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has said in all its lives."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def hold(self) -> Path:
        """The file that keeps it from having set up everything, as long as there is one."""
        return self.folder / "hold"

    # -- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it, and wait until it answers; it has not set up everything by then."""
        self.spawn()
        async with asyncio.timeout(START), aiohttp.ClientSession() as session:
            while True:
                assert self._process is not None
                assert self._process.poll() is None, self.log
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/manifest.json") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    def spawn(self) -> None:
        """Start it and wait for nothing."""
        assert not self.runs
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(INSTALLED), "--config", str(self.folder), "--skip-pip", "--log-no-color"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    async def ready(self) -> None:
        """Wait until it has set up everything; start it if it does not run."""
        if not self.runs:
            await self.start()
        async with asyncio.timeout(START):
            while (await self.ask("get_config"))["state"] != "RUNNING":
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it as its owner would."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            # No child may outlive it, whatever it started.
            os.killpg(self._process.pid, number)
            await asyncio.to_thread(self._process.wait, START)

    def freeze(self) -> None:
        """Let it say nothing more, while its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    # -- its owner ----------------------------------------------------------------------------------------------------

    async def ask(self, kind: str, *, user: str = "owner", **fields: object) -> Any:  # noqa: ANN401 (any JSON)
        """Ask it something as one of its users, over a connection of their own."""
        return await self._ask(self.tokens[user], kind, **fields)

    async def _ask(self, token: str, kind: str, **fields: object) -> Any:  # noqa: ANN401 (any JSON)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.url}/api/websocket") as socket:
            assert (await socket.receive_json())["type"] == "auth_required"
            await socket.send_json({"type": "auth", "access_token": token})
            assert (await socket.receive_json())["type"] == "auth_ok"
            await socket.send_json({"id": 1, "type": kind, **fields})
            answer = await socket.receive_json()
            assert answer["success"], answer
            return answer["result"]

    async def call(self, name: str, entity_id: str, **data: object) -> None:
        """Call a service as the owner."""
        domain, _, what = name.partition(".")
        await self.ask("call_service", domain=domain, service=what, service_data=data, target={"entity_id": entity_id})

    async def restore(self) -> None:
        """Let its demonstration house be as it was at first, whatever it was told since."""
        (demo,) = (one for one in await self.ask("config_entries/get") if one["domain"] == "demo")
        again = {"entry_id": demo["entry_id"]}
        await self.ask("call_service", domain="homeassistant", service="reload_config_entry", service_data=again)

    async def state(self, entity_id: str) -> dict[str, Any]:
        """Return how an entity is, as it tells everybody."""
        states: list[dict[str, Any]] = await self.ask("get_states")
        (found,) = (state for state in states if state["entity_id"] == entity_id)
        return found

    async def settle_in(self) -> None:
        """Let the owner move in, who lets in a plain user and one who may only look."""
        async with aiohttp.ClientSession() as session:
            owner = {"name": "Olga Owner", "username": "owner", "password": PASSWORD, "language": "en"}
            code = await self._post(session, "/api/onboarding/users", {"client_id": f"{self.url}/", **owner})
            # The further steps would add what fetches things from the internet.
            await self._keep_token(session, "owner", code["auth_code"])
            for login, group in (("plain", "system-users"), ("reader", "system-read-only")):
                made = await self.ask("config/auth/create", name=login.title(), group_ids=[group])
                user = made["user"]["id"]
                provider = "config/auth_provider/homeassistant/create"
                await self.ask(provider, user_id=user, username=login, password=PASSWORD)
                who = {"client_id": f"{self.url}/", "redirect_uri": f"{self.url}/"}
                flow = {**who, "handler": ["homeassistant", None]}
                begun = await self._post(session, "/auth/login_flow", flow)
                known = {"client_id": f"{self.url}/", "username": login, "password": PASSWORD}
                done = await self._post(session, f"/auth/login_flow/{begun['flow_id']}", known)
                await self._keep_token(session, login, done["result"])
        # It writes down whom it knows only a while later, or as it ends, and a test may kill it before.
        await self.stop()

    async def _post(self, session: aiohttp.ClientSession, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        async with session.post(f"{self.url}{path}", json=body) as answer:
            answer.raise_for_status()
            told: dict[str, Any] = await answer.json()
            return told

    async def _keep_token(self, session: aiohttp.ClientSession, login: str, code: str) -> None:
        form = {"grant_type": "authorization_code", "code": code, "client_id": f"{self.url}/"}
        async with session.post(f"{self.url}/auth/token", data=form) as answer:
            answer.raise_for_status()
            token = (await answer.json())["access_token"]
        kept = await self._ask(token, "auth/long_lived_access_token", client_name=f"token of {login}", lifespan=30)
        self.tokens[login] = kept

    async def reckon_in(self, units: str) -> None:
        """Let it begin again with another system of units: metric or us_customary."""
        await self.stop()
        file = self.folder / "configuration.yaml"
        configuration = json.loads(file.read_text())
        configuration["homeassistant"]["unit_system"] = units
        file.write_text(json.dumps(configuration))
        await self.ready()

    async def new_token(self) -> str:
        """Return another token of the owner."""
        name = f"another {secrets.token_hex(4)}"
        return str(await self.ask("auth/long_lived_access_token", client_name=name, lifespan=30))


@contextlib.asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[HomeAssistant]:
    """Run one whose files are in a folder; the test skips where it is not installed, unless real servers are required.

    Its owner has moved in, and it has set up everything.
    """
    if not INSTALLED.exists():
        if os.environ.get("SSHHOME_REQUIRE_REAL"):
            pytest.fail("home assistant is required here and not installed: see .ci/home-assistant")
        pytest.skip("home assistant is not installed: see .ci/home-assistant")
    folder.mkdir(parents=True)
    running = HomeAssistant(folder)
    # What is JSON is YAML.
    (folder / "configuration.yaml").write_text(json.dumps(_configuration(running.port)))
    held = folder / "custom_components" / "held"
    held.mkdir(parents=True)
    (held / "__init__.py").write_text(_HELD)
    (held / "manifest.json").write_text(json.dumps({"domain": "held", "name": "Held", "version": "1.0.0"}))
    try:
        await running.start()
        await running.settle_in()
        await running.ready()
        yield running
    finally:
        # It has nothing to lose.
        await running.kill()


def _configuration(port: int) -> dict[str, Any]:
    return {
        "homeassistant": {
            "name": "Test House",
            "latitude": 52.37,
            "longitude": 4.89,
            "elevation": 2,
            "country": "NL",
            "currency": "EUR",
            "language": "en",
            "time_zone": "Europe/Amsterdam",
            "unit_system": "metric",
        },
        "http": {"server_host": "127.0.0.1", "server_port": port},
        # Not `default_config`, which looks for things in the network and in the cloud.
        **dict.fromkeys(("api", "websocket_api", "config", "history", "logbook", "demo", "held")),
        "recorder": {"commit_interval": 1},
        "logger": {"default": "warning"},
        "input_boolean": {
            name: {"name": name.title()} for name in ("pantry_lamp", "attic_lamp", "hasty_helper", "guest_mode")
        },
        "input_number": {
            "slow_speed": {"min": 0, "max": 100},
            "quiet_hours": {"min": 0, "max": 12, "unit_of_measurement": "h"},
        },
        "input_select": {
            "house_mode": {"options": ["home", "away", "holiday"]},
            "slow_preset": {"options": ["calm", "breeze"]},
        },
        "input_button": {"doorbell": {"name": "Doorbell"}},
        "input_text": {"note": {"max": 40}},
        "light": [
            {"platform": "template", "lights": {name: _lamp(name) for name in ("pantry", "attic", "garden")}},
            {
                "platform": "group",
                "name": "Upstairs",
                "unique_id": "upstairs",
                "entities": ["light.pantry", "light.attic"],
            },
        ],
        # It has done what it was told when it finds that it cannot do all of it.
        "switch": [{"platform": "template", "switches": {"hasty": _hasty()}}],
        "fan": [{"platform": "template", "fans": {"slow": _slow()}}],
        "automation": [
            {
                "alias": "Guests",
                "trigger": {"platform": "state", "entity_id": "input_boolean.guest_mode", "to": "on"},
                "action": {"service": "switch.turn_on", "target": {"entity_id": "switch.decorative_lights"}},
            }
        ],
        "scene": [
            {
                "name": "Evening",
                "entities": {"light.kitchen_lights": {"state": "on", "brightness": 80}, "cover.hall_window": "closed"},
            }
        ],
        "script": {
            "all_off": {"sequence": [{"service": "light.turn_off", "target": {"entity_id": "all"}}]},
            "let_in": {"sequence": [{"service": "lock.unlock", "target": {"entity_id": "lock.front_door"}}]},
            "what": {"sequence": [{"service": "{{ what }}"}]},
            "long": {"sequence": [{"delay": 3600}]},
        },
    }


def _lamp(name: str) -> dict[str, Any]:
    """Return a lamp that is on as a helper says; that in the garden is out of reach."""
    helper = {"entity_id": f"input_boolean.{name}_lamp"}
    return {
        "value_template": f"{{{{ is_state('input_boolean.{name}_lamp', 'on') }}}}",
        "availability_template": "{{ %s }}" % (name != "garden"),
        "unique_id": name,
        "turn_on": {"service": "input_boolean.turn_on", "target": helper},
        "turn_off": {"service": "input_boolean.turn_off", "target": helper},
    }


def _hasty() -> dict[str, Any]:
    helper = {"entity_id": "input_boolean.hasty_helper"}
    too_much = {"service": "number.set_value", "target": {"entity_id": "number.pwm_1"}, "data": {"value": 7}}
    return {
        "value_template": "{{ is_state('input_boolean.hasty_helper', 'on') }}",
        "turn_on": [{"service": "input_boolean.turn_on", "target": helper}, {"delay": {"milliseconds": 100}}, too_much],
        "turn_off": {"service": "input_boolean.turn_off", "target": helper},
    }


def _slow() -> dict[str, Any]:
    """Return a fan that says only long after that it has taken a speed, as what is behind a cloud does."""
    speed = {"service": "input_number.set_value", "target": {"entity_id": "input_number.slow_speed"}}
    preset = {"service": "input_select.select_option", "target": {"entity_id": "input_select.slow_preset"}}
    return {
        "value_template": "on",
        "percentage_template": "{{ states('input_number.slow_speed') | int }}",
        "preset_mode_template": "{{ states('input_select.slow_preset') }}",
        "preset_modes": ["calm", "breeze"],
        "turn_on": [],
        "turn_off": [],
        "set_percentage": [speed | {"data": {"value": "{{ percentage }}"}}, {"delay": 3600}],
        "set_preset_mode": preset | {"data": {"option": "{{ preset_mode }}"}},
    }
