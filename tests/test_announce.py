"""News of the door: which events are told, how things stand, and that a flood of failures floods nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sshhome.announce import Announcer
from sshhome.audit import Audit
from sshhome.backend import NEWS, News
from sshhome.ban import Bans
from sshhome.config import BanRules
from sshhome.session import Login, Sessions
from sshhome.stores.sqlite import SqliteStore
from tests.conftest import FixedClock, NoChance


class Door:
    """What is announced, and what it is announced of."""

    def __init__(self, audit: Audit, bans: Bans, clock: FixedClock) -> None:
        """Listen."""
        self.audit, self.bans, self.clock = audit, bans, clock
        self.sessions = Sessions()
        self.told: list[News] = []
        self.announcer = Announcer(audit, self.sessions, bans, clock, self.told.append)


@pytest.fixture
async def announced(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Door]:
    """Return a door that is listened to."""
    store = await SqliteStore.open(tmp_path / "test.db")
    audit = Audit(tmp_path / "audit.jsonl", clock)
    yield Door(audit, Bans(BanRules(), clock, store, NoChance()), clock)
    audit.close()
    await store.close()


def test_what_is_news(announced: Door) -> None:
    """Logins, failures, bans and alarms are news, with what the audit log tells of them; others are for who asks."""
    announced.audit.write("login.ok", user="anna", source="127.0.0.1", method="publickey", key="")
    announced.audit.write("order.done", user="anna", order="on")
    announced.audit.write("ban.set", source="10.0.0.1")
    assert announced.told == [
        News("login.ok", {"user": "anna", "source": "127.0.0.1", "method": "publickey"}),
        News("order.done", {"user": "anna", "order": "on"}),
        News("ban.set", {"source": "10.0.0.1"}),
    ]
    assert "order.done" not in NEWS


def test_how_things_stand(announced: Door) -> None:
    """How many are here, how many are kept out and who came last is told when it changes, and only then."""
    announced.announcer.look()
    announced.announcer.look()
    announced.audit.write("login.ok", user="anna")
    session = announced.sessions.open(
        Login("anna", "127.0.0.1", "password"), "exec", started=0, end=lambda _: None, standing=lambda: "gone"
    )
    announced.bans.add("10.0.0.1", 60, "anna")
    announced.announcer.look()
    announced.sessions.close(session)
    announced.announcer.look()
    stood = [news.standing for news in announced.told if not news.event]
    assert stood == [
        {"sessions": 0, "bans": 0, "last_login": "", "last_login_at": None},
        {"sessions": 1, "bans": 1, "last_login": "anna", "last_login_at": "2026-06-02T12:00:00Z"},
        {"sessions": 0, "bans": 1, "last_login": "anna", "last_login_at": "2026-06-02T12:00:00Z"},
    ]


def test_a_flood_is_not_passed_on(announced: Door) -> None:
    """Of a thousand failed logins in ten seconds twenty are told; once it is over, the next one is."""
    for _ in range(1000):
        announced.audit.write("login.failed", user="root", source="10.0.0.1")
    assert len(announced.told) == 20
    announced.clock.advance(11)
    announced.audit.write("login.failed", user="root", source="10.0.0.1")
    assert len(announced.told) == 21
