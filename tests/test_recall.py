"""What shells remember of a person: lines and options, without secrets, within bounds, and gone with the person."""

import stat
from pathlib import Path

import pytest

from sshhome import recall
from sshhome.recall import Options, Recall


def test_lines_outlive_the_process(tmp_path: Path) -> None:
    """Lines are the same, the oldest first, for whoever asks next; each person has their own, for their eyes alone."""
    first = Recall(tmp_path / "shells")
    for line in ("on kitchen", "off kitchen", "echo grün 日本"):
        first.add("anna", line)
    first.add("ben", "who")
    again = Recall(tmp_path / "shells")
    assert again.lines("anna") == ["on kitchen", "off kitchen", "echo grün 日本"]
    assert again.lines("ben") == ["who"]
    assert again.lines("carl") == []
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "shells").iterdir()}
    assert (modes, stat.S_IMODE((tmp_path / "shells").stat().st_mode)) == ({0o600}, 0o700)


@pytest.mark.parametrize(
    "line", ["unlock front_door --code 123456", "on kitchen; unlock all --code=1", " on kitchen", "", "  ", "x" * 5000]
)
def test_what_is_not_kept(tmp_path: Path, line: str) -> None:
    """A line with a one-time code, one that begins with a space, and one of nothing or of too much are not kept."""
    kept = Recall(tmp_path)
    kept.add("anna", line)
    assert kept.lines("anna") == Recall(tmp_path).lines("anna") == []


def test_what_is_kept_for_this_process_alone(tmp_path: Path) -> None:
    """What may be a password at the wrong prompt can be brought back at once, and is in no file."""
    kept = Recall(tmp_path)
    kept.add("anna", "correct horse", keep=False)
    assert kept.lines("anna") == ["correct horse"]
    assert Recall(tmp_path).lines("anna") == []


def test_the_same_line_again_is_kept_once(tmp_path: Path) -> None:
    """A line that is given twice in a row is one line to go back to."""
    kept = Recall(tmp_path)
    for line in ("who", "who", "time", "who"):
        kept.add("anna", line)
    assert Recall(tmp_path).lines("anna") == ["who", "time", "who"]


def test_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of lines the newest are kept, in memory and, with some to spare, in the file; so of people."""
    monkeypatch.setattr(recall, "MOST_LINES", 3)
    monkeypatch.setattr(recall, "_MOST_WRITTEN", 5)
    monkeypatch.setattr(recall, "_MOST_PEOPLE", 2)
    kept = Recall(tmp_path)
    for number in range(100):
        kept.add("anna", f"echo {number}")
        assert len((tmp_path / "anna.lines").read_text().splitlines()) <= 5
    assert kept.lines("anna") == Recall(tmp_path).lines("anna") == ["echo 97", "echo 98", "echo 99"]
    for name in ("ben", "carl", "dora"):
        kept.add(name, "who")
    assert len(kept._lines) == 2
    assert kept.lines("anna") == ["echo 97", "echo 98", "echo 99"]


def test_options(tmp_path: Path) -> None:
    """How somebody likes their shells is kept; a file that is not understood says nothing."""
    kept = Recall(tmp_path)
    assert kept.options("anna") == Options()
    kept.set("anna", Options(editing="vi", notices="all"))
    assert Recall(tmp_path).options("anna") == Options(editing="vi", notices="all")
    (tmp_path / "ben.json").write_text('{"editing": "ed"}')
    assert kept.options("ben") == Options()


def test_a_person_is_forgotten(tmp_path: Path) -> None:
    """Whoever gets the name of somebody who is gone finds nothing of theirs, and nothing of others goes."""
    kept = Recall(tmp_path)
    for name in ("anna", "ben"):
        kept.add(name, "who")
        kept.set(name, Options(editing="vi"))
    kept.forget("anna")
    kept.forget("nobody")
    for one in (kept, Recall(tmp_path)):
        assert (one.lines("anna"), one.options("anna")) == ([], Options())
        assert (one.lines("ben"), one.options("ben").editing) == (["who"], "vi")


def test_a_disk_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be read or written, lines are kept in memory, and the log tells."""
    (tmp_path / "shells").write_text("in the way")
    kept = Recall(tmp_path / "shells")
    kept.add("anna", "who")
    kept.set("anna", Options(plain="on"))
    assert (kept.lines("anna"), kept.options("anna").plain) == (["who"], "on")
    assert "what the shells of anna remember cannot be written" in caplog.text


def test_a_file_with_anything_in_it(tmp_path: Path) -> None:
    """What moves a cursor, or is no text, comes back as something that does not."""
    (tmp_path / "anna.lines").write_bytes(b"echo \xff\n\n" + "echo a\u202eb\u009b1m\n".encode() + b"x" * 9000 + b"\n")
    lines = Recall(tmp_path).lines("anna")
    assert lines[:2] == ["echo \ufffd", "echo a\ufffdb\ufffd1m"]
    assert len(lines[2]) == 4096
