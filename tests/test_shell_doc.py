"""What docs/shell.md promises: each line of it that somebody types answers what stands below it."""

import re
from pathlib import Path

from sshhome.judge import judge
from tests.client import Door, Terminal, until
from tests.test_dispatch import Build
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "shell.md").read_text(encoding="utf-8")
PROMPT = "home@house> "
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What is shown of sessions, and what is only named; a `text` is what moves, or another page's to prove.
SESSIONS = [text for language, text in _FENCED.findall(PAGE) if not language]
NAMED: list[str] = re.findall(r"`([^`\n]+)`", _FENCED.sub("", PAGE))


async def test_sessions_are_as_shown(door: Door) -> None:
    """Typed at one shell one after another, all lines of the page answer what it shows; `?` is pressed, not given."""
    assert len(SESSIONS) >= 4
    async with door.connect("home") as connection, Terminal.open(connection, 128, 60) as screen:
        for session in SESSIONS:
            for shown in re.split(rf"^{PROMPT}", session, flags=re.MULTILINE)[1:]:
                typed, _, told = shown.partition("\n")
                screen.screen.reset()
                asked = typed.endswith("?")
                for char in typed:
                    screen.type(char)
                if not asked:
                    screen.type("\r")
                left = f"{PROMPT}{typed.rstrip('?')}".rstrip() if asked else PROMPT.rstrip()
                try:
                    await until(lambda told=told, left=left: str(screen).endswith(f"{told}{left}\n"))  # type: ignore[misc]  # (bound at once)
                except TimeoutError:
                    raise AssertionError(f"{typed!r} shows something else:\n{screen}") from None
                if asked:
                    screen.type("\x03")


async def test_named_orders_are_orders(build: Build) -> None:
    """Whatever order the page names is one, with nothing wrong in it."""
    async with build() as road:
        session = road.session("admin")
        names = {order.name.partition(" ")[0] for order in road.allowed("admin")}
        orders = [line for line in NAMED if line.partition(" ")[0] in names]
        assert len(orders) >= 10
        for line in orders:
            assert not [tone for tone in judge(road.dispatch, session, f"{line} ", -1) if tone.tone == "bad"], line
        road.dispatch.sessions.close(session)


def test_pictures_are_there_and_need_nothing() -> None:
    """Each picture that a page shows is there, small, and fetches nothing; each that is there is shown."""
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    shown = {name for page in pages for name in re.findall(r"screens/(\w+)\.svg\)", page.read_text(encoding="utf-8"))}
    pictures = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "screens").glob("*.svg")}
    assert shown == pictures.keys()
    for picture in pictures.values():
        assert len(picture) < 60_000
        assert re.findall(r"https?://[^\s\"<]+", picture) == ["http://www.w3.org/2000/svg"]
        assert not re.search(r"@import|@font-face|url\(|<script|<image|href", picture)
