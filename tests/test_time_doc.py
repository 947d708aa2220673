"""What docs/time.md promises: each line of it that somebody types answers what stands below it."""

import re
import tomllib
from pathlib import Path

from sshhome.config import parse
from sshhome.judge import judge
from tests.test_dispatch import USERS, Build, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

PAGE = (Path(__file__).parent.parent / "docs" / "time.md").read_text(encoding="utf-8")
PROMPT = "home@house> "
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What is only named.
NAMED: list[str] = re.findall(r"`([^`\n]+)`", _FENCED.sub("", PAGE).replace("\n", " "))


async def test_sessions_are_as_shown(build: Build) -> None:
    """Given one after another, on a Tuesday at two in the afternoon, all lines answer what the page shows."""
    sessions = [text for language, text in _FENCED.findall(PAGE) if not language]
    assert len(sessions) == 5
    async with build(users={"home": USERS["admin"]}) as road:
        for session in sessions:
            for shown in re.split(rf"^{PROMPT}", session, flags=re.MULTILINE)[1:]:
                line, _, told = shown.partition("\n")
                assert "".join(said(await road.one("home", line))) == told, line


def test_the_place_of_the_house_is_understood() -> None:
    """What the page writes into sshhome.toml is a place."""
    (text,) = [text for language, text in _FENCED.findall(PAGE) if language == "toml"]
    house = parse(text).house
    assert (house.latitude, house.longitude) == tuple(tomllib.loads(text)["house"].values())


async def test_named_orders_are_orders(build: Build) -> None:
    """Whatever order the page names is one, with nothing wrong in it, and is taken."""
    async with build(users={"home": USERS["admin"]}) as road:
        names = {order.name.partition(" ")[0] for order in road.allowed("home")}
        orders = [line for line in NAMED if line.partition(" ")[0] in names]
        assert len(orders) >= 10
        session = road.session("home")
        await road.give("home", "macro save night 'off all'")
        for line in orders:
            assert not [tone for tone in judge(road.dispatch, session, f"{line} ", -1) if tone.tone == "bad"], line
            if line.partition(" ")[0] in {"at", "in", "every", "when"} and " " in line and line != "at 7:00":
                assert (await road.one("home", line)).status == 0, line
        road.dispatch.sessions.close(session)
