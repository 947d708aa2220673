"""What all shells share: the lines before, and that one bug in what goes on does not end the shell it goes on in."""

import pytest

from sshhome.orders import watch
from tests.client import Door, Terminal, report, until


async def test_a_narrower_key_has_lines_of_its_own(door: Door) -> None:
    """A key that is good for less brings back nothing that its owner typed, and leaves nothing for them to give."""
    path = door.site.path / "authorized_users" / "home.toml"
    (line,) = ((door.keys / "parent.pub").read_text().splitlines())[:1]
    path.write_text(path.read_text().replace("keys = [", f"keys = ['sshhome-role=\"viewer\" {line}',", 1))
    async with door.connect("home") as connection, Terminal.open(connection) as mine:
        await mine.give("echo of my own", "of my own")
        async with door.connect("home", key="parent") as narrow, Terminal.open(narrow) as theirs:
            theirs.type("ec\x1b[C\x1b[A!")
            await until(lambda: theirs.last.endswith("!"))
            assert "own" not in str(theirs)
            await theirs.give("\x15echo of theirs", "of theirs")
            theirs.type("\x1b[A!")
            await until(lambda: theirs.last == "home@house> echo of theirs!")
        mine.type("\x1b[A!")
        await until(lambda: mine.last == "home@house> echo of my own!")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_a_bug_in_what_goes_on(door: Door, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """What goes on ends with an incident, and the prompt is there."""
    house = door.server.visitors.dispatch.house
    others = len(house._watchers)
    monkeypatch.setattr(watch, "summary", lambda device: 1 // 0)
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        screen.type("watch\r")
        await until(lambda: len(house._watchers) > others)
        report(house, house.devices["light.desk"].with_state({"on": True}))
        await screen.shows("by our own fault, incident")
        await screen.give("echo still there", "still there")
