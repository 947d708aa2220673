"""A one-time code is good once: for two logins at once, after a restart, and when the clock is set back."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from sshhome import replay
from sshhome.replay import UsedCodes
from sshhome.totp import STEP
from tests.conftest import NOON

NOW = int(NOON // STEP)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is to be."""
    return tmp_path / "state" / "codes"


async def test_a_code_is_good_once(path: Path) -> None:
    """A code is good the first time, for its own user and its own 30 seconds."""
    used = UsedCodes(path)
    codes = [("anna", NOW), ("bob", NOW), ("anna", NOW - 1), ("anna", NOW + 1)]
    assert [await used.use(*code) for code in codes] == [True] * 4
    assert [await used.use(*code) for code in codes] == [False] * 4


async def test_of_two_logins_at_once_one_is_first(path: Path) -> None:
    """The same code given many times in the same moment is good for one of them."""
    used = UsedCodes(path)
    answers = await asyncio.gather(*(used.use("anna", NOW) for _ in range(20)))
    assert sorted(answers) == [False] * 19 + [True]


async def test_a_restart_forgets_nothing(path: Path) -> None:
    """What was answered is on disk: a code is not good again after a kill and a restart."""
    assert await UsedCodes(path).use("anna", NOW)
    assert not await UsedCodes(path).use("anna", NOW)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_an_answer_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code is good only after the file has been synchronized with it."""
    used = UsedCodes(path)
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.read_text()))
    assert await used.use("anna", NOW)
    assert seen == [f"{NOW} anna\n"]


@pytest.mark.parametrize("text", ["{now} anna", "\xff\n{now} anna\nnonsense\n{long} x\n\n{now} an", "{now} anna\n59"])
async def test_a_line_that_was_cut_off(path: Path, text: str) -> None:
    """A line that a crash cut off, and whatever else is no line, harms neither the others nor the next one."""
    path.parent.mkdir()
    path.write_bytes(text.format(now=NOW, long="9" * 5000).encode("latin-1"))
    assert await UsedCodes(path).use("bob", NOW)
    used = UsedCodes(path)
    assert [await used.use(user, NOW) for user in ("anna", "bob", "carl")] == [False, False, True]


async def test_the_order_of_the_steps_does_not_matter(path: Path) -> None:
    """A clock set back makes no used code good again, and one that was far ahead locks nobody out."""
    used = UsedCodes(path)
    steps = [NOW, NOW + 1_000_000, NOW - 2, NOW - 1]
    assert [await used.use("anna", step) for step in steps] == [True] * 4
    for kept in (used, UsedCodes(path)):
        assert [await kept.use("anna", step) for step in steps] == [False] * 4


async def test_what_is_kept_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The codes used last are kept, in memory and, from the next start on, on disk."""
    monkeypatch.setattr(replay, "_KEPT", 3)
    used = UsedCodes(path)
    for step in range(5):
        assert await used.use("anna", NOW + step)
    assert list(used._used) == [f"{NOW + step} anna" for step in (2, 3, 4)]
    assert len(path.read_text().splitlines()) == 5
    assert UsedCodes(path)._used == used._used
    assert path.read_text() == "".join(f"{code}\n" for code in used._used)


async def test_a_full_disk_locks_nobody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the file cannot be written, the log says so and memory still knows what was used."""
    used = UsedCodes(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.ERROR):
        assert await used.use("anna", NOW)
    assert "codes: No space left on device" in caplog.text
    assert not await used.use("anna", NOW)
