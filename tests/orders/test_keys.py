"""What one logs in with: own keys, password and one-time codes, changed by who proves more, and who has tried."""

import contextlib
import tomllib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncssh
import pyotp
import pytest

from sshhome.errors import BadArguments, Denied, StepUp
from sshhome.session import Session
from sshhome.words import split
from tests.client import Answer, Door, RawChannel, Terminal, ask, until
from tests.conftest import FixedClock
from tests.test_dispatch import LINE, Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

OTHER = LINE.replace("AAAIAABAgME", "AAAIAABAgMF").replace("phone", "tablet")
USERS = {
    "anna": f'# Her own.\nkeys = ["{LINE}"]\nroles = ["resident"]\n',
    "ben": 'issued_by = "anna"\ngrants = ["control:light.desk"]',
}


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build(users=USERS) as built:
        yield built


def written(road: Road, login: str = "anna") -> dict[str, Any]:
    """Return what a user's file holds."""
    return tomllib.loads((road.users.folder / f"{login}.toml").read_text(encoding="utf-8"))


class Typist:
    """Somebody at a terminal, who types these answers."""

    def __init__(self, road: Road, *answers: str | None) -> None:
        """Sit down."""
        self.session: Session = road.session("anna", channel="shell")
        self.session.ask = self._ask
        self.asked: list[tuple[str, bool]] = []
        self._road = road
        self._answers = list(answers)

    async def _ask(self, question: str, hidden: bool) -> str | None:  # noqa: FBT001 (the session's own signature)
        self.asked.append((question, hidden))
        return self._answers.pop(0)

    async def gives(self, line: str) -> tuple[str, str]:
        """Give an order and return what is read of it."""
        (words,) = split(line)
        return said(await self._road.dispatch.run(self.session, words))


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_adding_and_removing_keys(road: Road) -> None:
    """A key is added once it is confirmed, and removed by its comment or fingerprint; the file stays its owner's."""
    outcome = await road.one("anna", f"key add {OTHER}")
    assert isinstance(outcome.error, StepUp)
    assert written(road)["keys"] == [LINE]
    out, _ = said(await road.one("anna", f"key add --yes {OTHER}"))
    assert written(road)["keys"] == [LINE, OTHER]
    fingerprint = out.split()[1]
    listed = (await road.one("anna", "key list")).answers[0].value
    assert [(key.comment, key.fingerprint == fingerprint) for key in listed] == [("phone", False), ("tablet", True)]
    assert said(await road.one("anna", f"key remove {fingerprint} --yes")) == (f"removed {fingerprint}\n", "")
    assert (road.users.folder / "anna.toml").read_text(encoding="utf-8").startswith("# Her own.\n")
    assert written(road)["keys"] == [LINE]


async def test_a_narrower_key_of_ones_own(road: Road) -> None:
    """A key that should do less says so on its line, and is listed with that."""
    await road.one("anna", f"key add 'sshhome-grants=\"read,control:light.*\" {OTHER}' --yes")
    (_, narrow) = (await road.one("anna", "key list")).answers[0].value
    assert list(narrow.bound) == ["read", "control:light.*"]
    assert "read, control:light.*" in said(await road.one("anna", "key list"))[0].replace("\n", " ")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"key add {LINE}", "SHA256:"),
        ("key add nonsense", "this is no public key: "),
        (f"key add 'sshhome-role=\"king\" {OTHER}'", "no role 'king'"),
        (f"key add 'environment=\"x\" {OTHER}'", "this is no public key: key option 'environment' is not supported"),
        ("key remove nonsense", "there is no key 'nonsense'"),
        ("key remove phone", "that is your last way in"),
    ],
)
async def test_what_is_not_done(road: Road, line: str, why: str) -> None:
    """What is no key, is there already or would lock its owner out, is refused."""
    before = written(road)
    outcome = await road.one("anna", f"{line} --yes")
    assert isinstance(outcome.error, BadArguments)
    assert outcome.error.message.startswith(why)
    assert written(road) == before


@pytest.mark.parametrize(
    ("left", "way_in"),
    [
        (OTHER, True),
        (f'sshhome-role=\\"viewer\\" {OTHER}', False),
        (f'command=\\"show\\" {OTHER}', False),
        (f'expiry-time=\\"20260101\\" {OTHER}', False),
        (f'expiry-time=\\"20270101\\" {OTHER}', True),
    ],
)
async def test_the_last_way_in(road: Road, left: str, *, way_in: bool) -> None:
    """A key that is good for less, or for nothing any more, is no way in to what one may."""
    (road.users.folder / "anna.toml").write_text(f'keys = ["{LINE}", "{left}"]\nroles = ["resident"]\n')
    outcome = await road.one("anna", "key remove phone --yes")
    assert (outcome.error is None) == way_in


async def test_there_is_an_end_to_keys(road: Road) -> None:
    """Nobody adds keys for ever."""
    lines = []
    for number in range(64):
        key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        lines.append(f"'{key} {number}'")
    (road.users.folder / "anna.toml").write_text(f'roles = ["resident"]\nkeys = [{", ".join(lines)}]\n')
    outcome = await road.one("anna", f"key add {OTHER} --yes")
    assert outcome.error is not None
    assert outcome.error.message == "there are 64 keys already"


SELF_SERVICE = (f"key add {OTHER}", "key remove phone", "passwd", "totp")


@pytest.mark.parametrize("line", SELF_SERVICE)
@pytest.mark.parametrize(
    "key", ['sshhome-role="admin"', 'sshhome-grants="read,control,access,admin"', 'command="show"']
)
async def test_a_narrower_key_changes_nothing(road: Road, line: str, key: str) -> None:
    """Whoever comes with a key that is good for less does not change its owner, whatever they confirm."""
    before = written(road)
    outcome = await road.one("anna", f"{line} --yes", key=key)
    assert isinstance(outcome.error, Denied)
    assert outcome.error.message.endswith(
        "a key that is good for less than its owner, or for a while, cannot change the owner"
    )
    assert written(road) == before


@pytest.mark.parametrize(("login", "key"), [("ben", ""), ("anna", 'sshhome-role="admin"')], ids=["pass", "narrower"])
async def test_help_offers_what_could_be_allowed(road: Road, login: str, key: str) -> None:
    """Who cannot change how they get in is not told how to; they may look at their keys all the same."""
    helped = (await road.one(login, "help", key=key)).answers[0].value
    named = {found.order for found in helped}
    assert "key list" in named
    assert not {"key add", "key remove", "passwd", "totp"} & named
    assert "passwd" in {found.order for found in (await road.one("anna", "help")).answers[0].value}


@pytest.mark.parametrize("line", SELF_SERVICE)
async def test_a_pass_changes_nothing(road: Road, line: str) -> None:
    """A pass cannot make itself last."""
    before = written(road, "ben")
    outcome = await road.one("ben", f"{line} --yes")
    assert isinstance(outcome.error, Denied)
    assert outcome.error.message.endswith("a pass cannot change itself")
    assert written(road, "ben") == before


async def test_a_code_where_there_are_codes(road: Road) -> None:
    """Who has one-time codes proves more by one; to confirm is not enough."""
    path = road.users.folder / "anna.toml"
    path.write_text(path.read_text() + f'totp = "{pyotp.random_base32()}"\n')
    path.chmod(0o600)
    road.codes.append("123456")
    for options in ("", " --yes", " --code 654321"):
        assert isinstance((await road.one("anna", f"key add {OTHER}{options}")).error, StepUp)
    assert (await road.one("anna", f"key add {OTHER} --code 123456")).error is None


# -- passwords and codes ----------------------------------------------------------------------------------------------


async def test_a_password(road: Road) -> None:
    """A password is asked for twice, unseen, and only its hash is kept."""
    anna = Typist(road, "yes", "correct horse", "correct horse")
    assert await anna.gives("passwd") == ("you have a new password\n", "")
    assert [hidden for _, hidden in anna.asked] == [False, True, True]
    assert written(road)["password"].startswith("$argon2id$")
    assert "correct" not in (road.path / "audit.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "answers", "err"),
    [
        ("passwd", ["correct horse", "correct house"], "error: the two are not the same\n"),
        ("passwd", [None], "error: nothing was typed, nothing was changed\n"),
        ("passwd", ["correct horse", None], "error: nothing was typed, nothing was changed\n"),
        (
            "totp",
            ["123456"],
            "error: that is no code of it; nothing was changed (is the clock of your phone right?)\n",
        ),
        ("totp", [None], "error: nothing was typed, nothing was changed\n"),
    ],
)
async def test_nothing_is_changed(road: Road, line: str, answers: Sequence[str | None], err: str) -> None:
    """What is mistyped, or given up, changes nothing."""
    before = written(road)
    assert await Typist(road, *answers).gives(f"{line} --yes") == ("", err)
    assert written(road) == before


@pytest.mark.parametrize(("line", "what"), [("passwd", "a password"), ("totp", "a one-time code")])
async def test_where_nobody_can_be_asked(road: Road, line: str, what: str) -> None:
    """Over exec and in a batch there is nobody to type: the answer tells where there is."""
    assert said(await road.one("anna", f"{line} --yes")) == (
        "",
        f"error: {what} is typed, and there is nobody to ask (give this order in the shell)\n",
    )


async def test_one_time_codes(road: Road, clock: FixedClock) -> None:
    """A secret is shown once, and kept once a code of it was typed; that code is not good again."""
    secrets: list[str] = []

    class Phone(Typist):
        async def _ask(self, question: str, hidden: bool) -> str | None:  # noqa: FBT001 (the session's own signature)
            self.asked.append((question, hidden))
            secrets.append(next(line for line in question.splitlines() if line.startswith("secret: ")).split()[1])
            return pyotp.TOTP(secrets[0]).at(int(clock.now()))

    anna = Phone(road)
    road.codes.append(code := "0")
    assert await anna.gives("totp --yes") == ("you have one-time codes\n", "")
    assert written(road)["totp"] == secrets[0]
    assert code in road.codes
    ((question, hidden),) = anna.asked
    assert hidden
    assert f"otpauth://totp/house:anna?secret={secrets[0]}" in question
    assert secrets[0] not in (road.path / "audit.jsonl").read_text(encoding="utf-8")
    assert (road.users.folder / "anna.toml").stat().st_mode & 0o777 == 0o600


# -- at the door ------------------------------------------------------------------------------------------------------


async def test_a_removed_key_is_out(door: Door) -> None:
    """Who removes a key of theirs ends what others do with it, before the answer; they themselves are told."""
    other = (door.keys / "viewer.pub").read_text().strip()
    async with door.connect("home") as admin:
        assert (await ask(admin, f"user key guest add '{other}'")).status == 0
    async with door.connect("guest") as mine, door.connect("guest", key="viewer") as theirs:
        with door.waiting_printer() as echo:
            raw = await RawChannel.open(theirs)
            assert await raw.ask("shell")
            raw.channel.write("on printer\non hall\n")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            answer = await ask(mine, "key remove viewer@test --yes")
            assert not door.server.visitors.dispatch._running
            echo()
        assert answer == Answer("removed viewer@test; 1 session ended\n", "", 0)
        await until(lambda: raw.heard.closed)
        assert (await ask(mine, "on hall")).status == 0
    assert (await door.ask("guest", "whoami", key="viewer")).err == "permission denied\n"


async def test_a_new_password_is_asked_for(door: Door) -> None:
    """Whoever came with the old password is out once there is another, and their connection with them."""
    async with door.connect("home", password="correct horse") as thief, door.connect("home") as home:
        assert (await ask(thief, "whoami")).status == 0
        async with Terminal.open(home) as terminal:
            terminal.type("passwd --yes\r")
            await terminal.shows("new password: ")
            terminal.type("staple battery\r")
            await terminal.shows("again: ")
            terminal.type("staple battery\r")
            await terminal.shows("you have a new password")
            assert "staple" not in str(terminal)
        with contextlib.suppress(asyncssh.Error):
            assert (await ask(thief, "whoami")).out == ""
    assert (await door.ask("home", "whoami", password="correct horse")).status == 255
    assert (await door.ask("home", "whoami", password="staple battery")).status == 0


async def test_one_time_codes_in_the_shell(door: Door, clock: FixedClock) -> None:
    """The QR code is on the screen before the code is asked for, and the code is good for nothing else."""
    async with door.connect("guest") as connection, Terminal.open(connection, 80, 60) as terminal:
        terminal.type("totp --yes\r")
        await terminal.shows("a code of it:")
        screen = str(terminal)
        assert "▀" in screen
        secret = screen.partition("secret: ")[2].split()[0]
        code = pyotp.TOTP(secret).at(int(clock.now()))
        terminal.type(f"{code}\r")
        await terminal.shows("you have one-time codes")
        assert code not in str(terminal)
    user = door.server.visitors.users.get("guest")
    assert user is not None
    assert user.totp == secret
    answer = await door.ask("guest", f"key remove guest@test --code {code}")
    assert answer.err.startswith("error: the code was used before")


async def test_logins(door: Door, clock: FixedClock) -> None:
    """The last logins are told with how, from where and with which key, and how often others failed after each."""
    await door.ask("home", "whoami", password="correct horse", source="127.0.0.2")
    await door.ask("home", "whoami", password="wrong horse", source="127.0.0.3")
    clock.advance(3600)
    answer = await door.ask("home", "logins --json")
    now, before = answer.json
    assert (now["method"], now["comment"], now["source"], now["failed"]) == ("publickey", "home@test", "127.0.0.1", 0)
    assert (before["method"], before["key"], before["source"], before["failed"]) == ("password", "", "127.0.0.2", 1)
    assert now["key"].startswith("SHA256:")
    lines = (await door.ask("home", "logins")).out.splitlines()
    assert lines[0].split() == ["at", "from", "by", "key", "failed", "since"]
    assert lines[3].split() == ["today", "14:00", "127.0.0.2", "password", "1"]
    assert (await door.ask("guest", "logins --json")).json[0]["comment"] == "guest@test"
