"""`sshhome ban`: bans looked at, set and lifted on the site, whether or not it is served, and whoever is locked out."""

import asyncio
import contextlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sshhome import app
from sshhome.errors import BadArguments, SiteError
from sshhome.store import BanRecord, Failure
from sshhome.stores.sqlite import SqliteStore
from tests.client import PATIENCE, until
from tests.process import Operator, everything, lines, without_override

ATTACKER = "127.0.0.9"
BAD_ARGUMENTS, WRONG_SITE = BadArguments.status, SiteError.status
#: A moment after all these tests.
LATE = 4e9


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Return somebody whose home directory is empty."""
    return Operator(tmp_path / "operator")


async def remember(site: app.Site, *bans: BanRecord, failures: int = 0) -> None:
    """Put bans into the store of a site as its server would, and recent failures of the attacker."""
    store = await SqliteStore.open(site.path / "state" / "sshhome.db")
    for ban in bans:
        store.put_ban(ban)
    for _ in range(failures):
        store.add_failure(Failure(ATTACKER, "root\x1b[2J", LATE))
    await store.close()


def ban(source: str, evidence: str = "5 as home") -> BanRecord:
    """Return a ban that was set now and ends late."""
    return BanRecord(source, LATE - 90_000, LATE, 1, "login", evidence, "too many failed logins")


def stored(site: app.Site) -> list[tuple[object, ...]]:
    """Return what bans the store has: their source and kind."""
    with closing(sqlite3.connect(site.path / "state" / "sshhome.db")) as db:
        return db.execute("SELECT source, kind FROM ban ORDER BY source").fetchall()


def audit(site: app.Site) -> list[dict[str, Any]]:
    """Return what the audit log of a site says of bans."""
    path = site.path / "state" / "audit.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [event for event in events if event["event"].startswith("ban.")]


async def test_a_site_that_was_never_served(operator: Operator, site: app.Site) -> None:
    """A site without a database has no bans; asking for them, or lifting one, makes none."""
    before = everything(site.path)
    assert await operator.types("ban", "list", site=site.path) == ("no bans\n", "", 0)
    explained = await operator.types("ban", "explain", ATTACKER, site=site.path)
    assert explained == (f"{ATTACKER} is not banned\n5 more failed logins ban {ATTACKER} for 1 min\n", "", 0)
    lifted = await operator.types("ban", "lift", ATTACKER, site=site.path)
    assert (lifted.status, lines(lifted)) == (
        BAD_ARGUMENTS,
        [f"error: {ATTACKER} is not banned (`ban list` lists them)"],
    )
    assert everything(site.path) == before


async def test_setting_and_lifting(operator: Operator, site: app.Site) -> None:
    """A ban is set, listed, explained and lifted on a site that is not served; each change is kept and audited."""
    added = await operator.types("ban", "add", "::ffff:203.0.113.9", site=site.path)
    assert added == ("203.0.113.9 is banned for 1 h\n", "", 0)
    added = await operator.types("ban", "add", "2001:db8::5", "--for", "2d", site=site.path)
    assert added == ("2001:db8::/64 is banned for 2 d\n", "", 0)
    assert stored(site) == [("2001:db8::/64", "manual"), ("203.0.113.9", "manual")]
    listed = await operator.types("ban", "list", site=site.path)
    assert [line.split()[0] for line in listed.out.splitlines()] == ["source", "203.0.113.9", "2001:db8::/64"]
    explained = await operator.types("ban", "explain", "203.0.113.9", site=site.path)
    assert explained.out.splitlines()[0].endswith(": logins refused by hand")
    assert (await operator.types("ban", "lift", "203.0.113.9", site=site.path)).out == (
        "203.0.113.9 is no longer banned\n"
    )
    assert stored(site) == [("2001:db8::/64", "manual")]
    events = [(event["event"], event["source"], event["by"]) for event in audit(site)]
    assert events == [
        ("ban.set", "203.0.113.9", "command line"),
        ("ban.set", "2001:db8::/64", "command line"),
        ("ban.lifted", "203.0.113.9", "command line"),
    ]
    assert (site.path / "state" / "sshhome.db").stat().st_mode & 0o777 == 0o600


async def test_what_the_server_left(operator: Operator, site: app.Site) -> None:
    """Bans and failures that a server left behind are told, whatever an attacker wrote into them."""
    await remember(site, ban("203.0.113.9", "5 as \x1b]0;x\x07\nhome"), failures=4)
    listed = await operator.types("ban", "list", site=site.path)
    assert "5 as \\x1b]0;x\\x07\\x0ahome" in listed.out.replace("\n", "")
    explained = await operator.types("ban", "explain", "203.0.113.9", site=site.path)
    assert explained.out.splitlines()[1].endswith(": 5 as \\x1b]0;x\\x07\\x0ahome")
    explained = await operator.types("ban", "explain", ATTACKER, site=site.path)
    assert explained.out.splitlines()[1].startswith("failed logins: root\\x1b[2J 0 s ago, ")
    assert explained.out.splitlines()[-1] == f"the next failed login bans {ATTACKER} for 1 min"


async def test_while_it_is_served(operator: Operator, site: app.Site, keys: Path) -> None:
    """Whoever is locked out lifts their own ban at the machine, and a ban set there holds, with nothing restarted."""
    await remember(site, ban(ATTACKER))
    async with operator.serves(site.path, keys) as (_, door):
        assert (await door.ask("home", "whoami", source=ATTACKER)).status == 255
        assert (await operator.types("ban", "lift", ATTACKER, site=site.path)).status == 0
        async with asyncio.timeout(PATIENCE):
            while (await door.ask("home", "whoami", source=ATTACKER)).status:
                pass
        assert (await operator.types("ban", "add", "127.0.0.8", "--for", "1d", site=site.path)).status == 0
        told = "disconnected: logins refused by hand from 127.0.0.8, try again in "
        async with asyncio.timeout(PATIENCE):
            while not (await door.ask("home", "whoami", source="127.0.0.8")).err.startswith(told):
                pass
        assert [event["by"] for event in door.audit("ban.set") + door.audit("ban.lifted")] == ["command line"] * 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("add", "home"), "error: 'home' is no address"),
        (("add", ""), "error: '' is no address"),
        (("explain", "home\x1b"), "error: 'home\\x1b' is no address"),
        (("lift", "10.0.0.0/8"), "error: 10.0.0.0/8 is no source (an address is, or a /64 or /56 of IPv6)"),
        (("add", "10.1.2.3"), "error: 10.1.2.3 is never banned (bans.never has 10.0.0.0/8)"),
        (("add", ATTACKER, "--for", "soon"), "error: 'soon' is not a duration (such as 90s, 5m or 1h30m)"),
        (("add", ATTACKER, "--for", "0s"), "error: a ban lasts 1 s to 366 d, not 0 s"),
        (("lift", ATTACKER), f"error: {ATTACKER} is not banned (`ban list` lists them)"),
    ],
)
async def test_mistakes(operator: Operator, site: app.Site, words: tuple[str, ...], line: str) -> None:
    """A mistake is one line and a status; nothing is banned, lifted or audited."""
    (site.path / "sshhome.toml").write_text('[bans]\nnever = ["10.0.0.0/8"]\n')
    await remember(site)
    answer = await operator.types("ban", *words, site=site.path)
    assert (answer.out, lines(answer), answer.status) == ("", [line], BAD_ARGUMENTS)
    assert stored(site) == []
    assert audit(site) == []


@pytest.mark.parametrize("words", [("list",), ("explain", ATTACKER), ("add", ATTACKER), ("lift", ATTACKER)])
async def test_a_site_that_is_wrong(operator: Operator, site: app.Site, words: tuple[str, ...]) -> None:
    """Whatever is wrong with the site or its database is one line that names it, and leaves the file as it was."""
    path = site.path / "state" / "sshhome.db"
    path.parent.mkdir(exist_ok=True)
    path.write_text("no database, and long enough to be looked at as one" * 100)
    before = path.read_bytes()
    answer = await operator.types("ban", *words, site=site.path)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    (line,) = lines(answer)
    assert line.startswith("error: sshhome.db: ")
    assert path.read_bytes() == before
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    (line,) = lines(await operator.types("ban", *words, site=site.path))
    assert line.startswith("error: sshhome.db: written by a newer sshhome")
    (site.path / "sshhome.toml").write_text("[ban]\n")
    (line,) = lines(await operator.types("ban", *words, site=site.path))
    assert line == "error: sshhome.toml: unknown key 'ban', did you mean 'bans'?"


async def test_a_file_that_may_not_be_written(operator: Operator, site: app.Site) -> None:
    """A database that belongs to somebody else is one line, not a traceback, and no ban is said to be set."""
    await remember(site, ban(ATTACKER))
    state = site.path / "state"
    for path in state.iterdir():
        path.chmod(0o400)
    state.chmod(0o500)
    try:
        answer = await operator.types("ban", "add", "203.0.113.9", site=site.path, before=without_override())
    finally:
        state.chmod(0o700)
    assert answer.out == ""
    assert answer.status == WRONG_SITE
    assert len(lines(answer)) == 1
    assert stored(site) == [(ATTACKER, "login")]
    assert audit(site) == []


async def test_a_database_that_somebody_holds(operator: Operator, site: app.Site) -> None:
    """While another process holds the database, a command waits for it, and what it did is kept."""
    await remember(site, ban(ATTACKER))
    with closing(sqlite3.connect(site.path / "state" / "sshhome.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        async with operator.starts("ban", "lift", ATTACKER, site=site.path) as process:
            await until(lambda: _opened(process._process.pid, "sshhome.db"))
            db.execute("COMMIT")
            assert await process.answer() == (f"{ATTACKER} is no longer banned\n", "", 0)
    assert stored(site) == []


def _opened(pid: int, name: str) -> bool:
    """Return whether a process has a file of this name open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(link.readlink()).endswith(name):
                return True
    return False
