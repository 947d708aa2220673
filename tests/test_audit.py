"""The audit log: one JSON line an event, of the events there are, on which nothing from outside leaves a mark."""

import ast
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sshhome
from sshhome import audit as auditing
from sshhome.audit import EVENTS, Audit
from tests.conftest import FixedClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the log is."""
    return tmp_path / "state" / "audit.jsonl"


@pytest.fixture
def audit(path: Path, clock: FixedClock) -> Iterator[Audit]:
    """Return an open audit log."""
    opened = Audit(path, clock)
    yield opened
    opened.close()


def last(path: Path) -> dict[str, Any]:
    """Return the last event, from a file that is whole lines only."""
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    event = json.loads(lines[-1])
    assert isinstance(event, dict)
    return event


def test_an_event_is_one_line(audit: Audit, path: Path) -> None:
    """An event tells when and what, and leaves out what is empty; numbers and truths stay, zero and false too."""
    audit.write(
        "server.started", version="1", listen=[], none=None, empty="", nothing=(), status=0, wait=False, args={}
    )
    assert last(path) == {
        "at": "2026-06-02T12:00:00Z",
        "event": "server.started",
        "version": "1",
        "status": 0,
        "wait": False,
        "args": {},
    }


def test_an_unknown_event_cannot_be_written(audit: Audit, path: Path) -> None:
    """An event that is not in the catalogue is a mistake of ours, and nothing is written."""
    with pytest.raises(KeyError):
        audit.write("order.done ")
    assert path.read_bytes() == b""


def test_the_log_is_appended_to_and_its_owners_alone(path: Path, clock: FixedClock) -> None:
    """A restart goes on where the log ended, and nobody else may read it."""
    for _ in range(2):
        audit = Audit(path, clock)
        audit.write("server.started")
        audit.close()
    assert len(path.read_text().splitlines()) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "text",
    [
        *(
            "\n",
            "\r\n",
            "\x00",
            "\x1b[2J",
            "\x7f",
            "\x9b31m",
            "\u2028",
            "\u202e",
            "\u200b",
            "\ufeff",
            "\U000e0041",
            '"}\n{"',
        ),
        *("\ud800", "a\udcffb"),
    ],
    ids=ascii,
)
def test_control_characters_are_escaped(audit: Audit, path: Path, text: str) -> None:
    """Nothing that a user sends forges a line, drives a terminal or hides, wherever in an event it stands."""
    audit.write("order.refused", user=text, args={"text": text, text: "x"}, left_out=[text])
    line = path.read_bytes()
    assert line.count(b"\n") == 1
    assert line.rstrip(b"\n").decode().isprintable()
    assert last(path)["args"]["text"] in {text, text.encode(errors="replace").decode()}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(st.text(), st.text() | st.binary() | st.floats(), max_size=3), st.text())
def test_any_event_is_one_line_of_json(audit: Audit, path: Path, args: dict[str, Any], message: str) -> None:
    """Whatever an event holds, it is one line, and what it told is what is read back."""
    audit.write("order.failed", args=args, message=message or "x")
    assert last(path)["message"] == (message or "x")
    assert len(path.read_text(encoding="utf-8").splitlines()) == path.read_bytes().count(b"\n")


def test_a_full_disk_locks_nobody_out(
    audit: Audit, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When an event cannot be written, the log of the process tells, the writer goes on, and so does the next event."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        audit.write("login.ok", user="home")
    assert "lost: login.ok" in caplog.text
    audit.write("login.ok", user="anna")
    assert last(path)["user"] == "anna"


# -- reading ----------------------------------------------------------------------------------------------------------


def test_it_is_read_from_its_end(audit: Audit, path: Path, clock: FixedClock) -> None:
    """Events come the newest first, since a moment, from a log that a rotation cut in two as from one that is whole."""
    for number in range(5):
        audit.write("login.ok", user=str(number))
        clock.advance(60)
    everything = [event["user"] for event in audit.read(0)]
    assert everything == ["4", "3", "2", "1", "0"]
    assert [event["user"] for event in audit.read(clock.now() - 150)] == ["4", "3"]
    # As logrotate does with `copytruncate`.
    path.with_name("audit.jsonl.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    assert [event["user"] for event in audit.read(0)] == everything
    audit.write("login.ok", user="5")
    assert [event["user"] for event in audit.read(0)] == ["5", *everything]
    path.unlink()
    path.with_name("audit.jsonl.1").unlink()
    assert list(audit.read(0)) == []


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=20), st.integers(1, 50), st.integers(1, 3000)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_is_read_in_blocks(audit: Audit, path: Path, texts: list[str], block: int, most: int) -> None:
    """Wherever the blocks end in which it is read, no event is cut or lost, but what is beyond the bound."""
    os.truncate(path, 0)
    for text in texts:
        audit.write("login.ok", user=f"-{text}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auditing, "_BLOCK", block)
        found = [event["user"] for event in audit.read(0)]
        assert found == [f"-{text}" for text in reversed(texts)]
        patch.setattr(auditing, "_READ", most)
        some = [event["user"] for event in audit.read(0)]
    assert some == found[: len(some)]
    size = path.stat().st_size
    assert (
        len(some) == len(found) or sum(len(line) for line in path.read_bytes().splitlines(keepends=True)) == size > most
    )


def test_whoever_watches_is_told(audit: Audit, path: Path) -> None:
    """All who watch are told of each event as it is written, until they watch no more."""
    heard: list[tuple[int, str]] = []
    ends = [audit.watch(lambda event, told, who=who: heard.append((who, event))) for who in (1, 2)]  # type: ignore[misc]  # (bound at once)
    audit.write("login.ok")
    ends[0]()
    audit.write("ban.set")
    assert heard == [(1, "login.ok"), (2, "login.ok"), (2, "ban.set")]


def written_events() -> set[str]:
    """Return the ids of all events that the source writes: what stands where an audit event's id does."""
    found = set()
    for path in Path(sshhome.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "event":
                # How an outcome is called: `audit.write(outcome.event, …)`.
                told = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                found |= {text for text in told if isinstance(text, str) and " " not in text}
            if not isinstance(node, ast.Call):
                continue
            # `audit.write("id", …)`, `ctx.audit("id", …)`, `self.alert("id", …)`, `Flood(…, "id")`; as a callback too
            called = [ast.unparse(part) for part in (node.func, *node.args[:1])]
            writes = [name.endswith(("audit.write", ".audit", ".alert")) for name in called]
            at = 0 if writes[0] else 1 if writes[1:] == [True] else 2 if called[0] == "Flood" else None
            if at is not None:
                constants = (part for part in ast.walk(node.args[at]) if isinstance(part, ast.Constant))
                found |= {part.value for part in constants if isinstance(part.value, str)}
    return found


def test_every_event_is_in_the_catalogue_and_written() -> None:
    """The source writes the events of the catalogue, all of them and no others, each with its own explanation."""
    assert written_events() == set(EVENTS)
    assert len(set(EVENTS.values())) == len(EVENTS)
