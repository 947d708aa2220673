"""What docs/privileges.md promises: each of its households is set up as it says, and every line of it comes true."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import asyncssh
import pyotp
import pytest

from sshhome.dispatch import Dispatch
from sshhome.grant import CONDITIONS, Privilege
from sshhome.orders.explain import Explanation
from sshhome.session import Login, Session, Standing
from tests.client import Door
from tests.conftest import FixedClock

PAGE = (Path(__file__).parent.parent / "docs" / "privileges.md").read_text(encoding="utf-8")
ZONE = ZoneInfo("Europe/Berlin")
LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d)  (\w+)(?: with (\S+))?(?: from (\S+))? +(.*?) +(yes|no|hidden)\b[:;,]? ?(.*)"
)
RECIPES = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]


class Line(NamedTuple):
    """One line of a household: who asks what when, and what the page says of it."""

    at: float
    user: str
    key: str
    source: str
    order: str
    verdict: str
    why: str


def fenced(recipe: str, language: str) -> Iterator[str]:
    """Yield the blocks of a recipe that are in a language."""
    for named, text in re.findall(r"^```(\w*)\n(.*?)\n```$", recipe, flags=re.MULTILINE | re.DOTALL):
        if named == language:
            yield text


def files(recipe: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a recipe, each key in them a real one."""
    for text in fenced(recipe, "toml"):
        name, _, body = text.removeprefix("# ").partition("\n")
        while "AAAA…" in body:
            key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[1]
            body = body.replace("AAAA…", key, 1)
        yield name, body


def lines(recipe: str) -> Iterator[Line]:
    """Yield the lines of a recipe; one that is not understood is an error."""
    for text in fenced(recipe, ""):
        for line in text.split("\n"):
            match = LINE.fullmatch(line)
            assert match, line
            at, user, key, source, order, verdict, why = match.groups(default="")
            moment = datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp()
            yield Line(moment, user, key, source or "192.168.1.2", order, verdict, why)


class Household:
    """A house with the users of one recipe, in which somebody may speak at any time."""

    def __init__(self, door: Door, clock: FixedClock) -> None:
        """Speak through the dispatch of a house that is served."""
        self.dispatch: Dispatch = door.server.visitors.dispatch
        self.clock = clock

    def session(self, line: Line) -> Session:
        """Return a session of whoever a line is about, as a login of theirs would have it."""
        users = self.dispatch.users

        def standing() -> Standing | str:
            user = users.get(line.user)
            assert user is not None, f"no user {line.user}"
            if reason := user.shut_out(self.clock.now()):
                return reason
            key = next((key for key in user.keys if line.key and key.comment == line.key), None)
            return Standing(user, users.rights(user, key))

        login = Login(line.user, line.source, "publickey")

        async def code_is_good(code: str) -> str:
            user = users.get(line.user)
            assert user is not None
            return "" if code == pyotp.TOTP(user.totp).at(int(self.clock.now())) else "wrong"

        return self.dispatch.sessions.open(
            login, "exec", started=self.clock.now(), end=lambda _: None, standing=standing, check_code=code_is_good
        )

    async def explained(self, line: Line) -> list[Explanation] | None:
        """Return what `explain` says of a line, or None where there is nothing to be explained to that user."""
        (outcome,) = [o async for o in self.dispatch.run_line(self.session(line), f"explain {line.order}")]
        if outcome.error is not None:
            return None
        found: list[Explanation] = outcome.answers[0].value
        return found

    async def given(self, line: Line, options: str = "") -> tuple[int, list[str]]:
        """Give the order of a line; return its status and what was left out."""
        (outcome,) = [o async for o in self.dispatch.run_line(self.session(line), f"{line.order} {options}")]
        return outcome.status, [label for label, _ in outcome.left_out]


@pytest.fixture
async def household(
    request: pytest.FixtureRequest,
    serve: Callable[..., AbstractAsyncContextManager[Door]],
    site: object,
    clock: FixedClock,
    tmp_path: Path,
) -> AsyncIterator[Household]:
    """Return the household of a recipe."""
    more = ""
    for name, text in files(request.param):
        if name == "sshhome.toml":
            more = text
        else:
            path = tmp_path / "site" / name
            path.write_text(text)
            path.chmod(0o600)
    async with serve(more) as door:
        yield Household(door, clock)


def test_there_are_ten_households() -> None:
    """There are ten, each with a file and with lines that say yes and no."""
    assert len(RECIPES) == 10
    for recipe in RECIPES:
        assert list(files(recipe))
        assert {line.verdict for line in lines(recipe)} > {"yes"}


def test_every_condition_is_told() -> None:
    """The page tells of every privilege, and its table of every condition."""
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    assert told == CONDITIONS
    assert all(f"`{privilege}`" in PAGE for privilege in Privilege)


@pytest.mark.parametrize("household", RECIPES, indirect=True, ids=[recipe.partition("\n")[0] for recipe in RECIPES])
async def test_households(household: Household, request: pytest.FixtureRequest) -> None:
    """Each line of a household is what `explain` says at that time, and what comes of the order."""
    clock = household.clock
    for line in lines(request.node.callspec.params["household"]):
        clock.advance(max(line.at - clock.now(), 0))
        clock.step(line.at - clock.now())
        found = await household.explained(line)
        if line.verdict == "hidden":
            assert found is None, line
            assert (await household.given(line))[0] in {64, 77}, line
            continue
        if found is None:
            # Whoever is over is told so, and has nothing explained.
            (outcome,) = [o async for o in household.dispatch.run_line(household.session(line), line.order)]
            assert outcome.error, line
            assert (outcome.error.message, outcome.status) == (line.why, 77), line
            continue
        allowed = [e for e in found if e.allowed or e.step_up]
        if line.verdict == "no":
            assert not allowed, line
            assert "; ".join(found[0].unmet) == line.why, line
            assert await household.given(line) == (77, []), line
            continue
        assert allowed, line
        left_out = line.why.removeprefix("left out: ") if line.why.startswith("left out: ") else ""
        proofs = {"with a one-time code": "totp", "once it is confirmed": "confirm"}
        assert allowed[0].step_up == proofs.get(line.why, ""), line
        options = ""
        if allowed[0].step_up:
            assert await household.given(line) == (77, []), line
            user = household.dispatch.users.get(line.user)
            assert user is not None
            code = pyotp.TOTP(user.totp).at(int(clock.now())) if user.totp else ""
            options = f"--code {code}" if allowed[0].step_up == "totp" else "--yes"
        status, others = await household.given(line, options)
        assert (status, others) == ((77, left_out.split(", ")) if left_out else (0, [])), line
