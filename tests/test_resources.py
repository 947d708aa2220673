"""What the process takes of the machine: read from /proc and /sys, told in words when it is too much."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from sshhome import resources
from sshhome.config import Limits
from sshhome.resources import shortage

#: A limit that nothing reaches.
ALL = Limits(memory=1, files=1)

Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return what builds a machine of a thousand pages and a hundred files, of which the process takes some."""

    def build(*, pages: int = 0, files: int = 0, group: str | None = None) -> None:
        statm = tmp_path / "proc/self/statm"
        statm.parent.mkdir(parents=True, exist_ok=True)
        statm.write_text(f"99999 {pages} 1 2 3 4 5\n", encoding="ascii")
        if group is not None:
            (tmp_path / "memory.max").write_text(f"{group}\n", encoding="ascii")
        whole = {"SC_PHYS_PAGES": 1000}
        monkeypatch.setattr(resources, "Path", lambda path: tmp_path / path.lstrip("/"))
        monkeypatch.setattr(resources, "_GROUP", tmp_path / "memory.max")
        monkeypatch.setattr(os, "sysconf", lambda name: whole[name])
        monkeypatch.setattr(os, "listdir", lambda _: [str(number) for number in range(files)])
        monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))

    return build


def test_a_process_that_takes_little_lacks_nothing(machine: Machine) -> None:
    """At its share or below there is no shortage, neither of memory nor of files."""
    machine(pages=500, files=80)
    assert shortage(Limits()) == ""


@pytest.mark.parametrize(
    ("pages", "files", "group", "told"),
    [
        (501, 0, None, "memory 50% of what there is, at most 50%"),
        (1000, 0, None, "memory 100% of what there is, at most 50%"),
        (0, 81, None, "open files 81% of what there may be, at most 80%"),
        (0, 100, None, "open files 100% of what there may be, at most 80%"),
        (900, 90, None, "memory 90% of what there is, at most 50%"),
        (60, 0, 100, "memory 60% of what there is, at most 50%"),
        (60, 0, 5000, ""),
    ],
)
def test_a_shortage_is_told_with_its_figures(
    machine: Machine, pages: int, files: int, group: int | None, told: str
) -> None:
    """What there is too little of is told, memory first; a control group counts where it allows less than there is."""
    machine(pages=pages, files=files, group=None if group is None else str(group * resources._PAGE))
    assert shortage(Limits()) == told


@pytest.mark.parametrize("group", ["max", "", "nonsense"])
def test_a_control_group_without_a_limit(machine: Machine, group: str) -> None:
    """A control group that limits nothing leaves what the machine has."""
    machine(pages=400, group=group)
    assert shortage(Limits()) == ""
    machine(pages=600, group=group)
    assert shortage(Limits()) == "memory 60% of what there is, at most 50%"


def test_files_without_a_limit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process may open as many files as it likes, there is no shortage of them."""
    machine(files=10_000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert shortage(Limits()) == ""


def test_a_machine_that_tells_nothing(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, as elsewhere than on Linux, nothing is watched and everybody may come in."""
    machine(files=100)
    (tmp_path / "proc/self/statm").unlink()

    def listdir(path: str) -> list[str]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert shortage(Limits()) == ""


def test_a_process_that_cannot_even_look_lacks_files(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting the open files takes a file itself: when there is none left to count with, that is the shortage."""
    machine()
    (tmp_path / "proc/self/statm").unlink()

    def listdir(path: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert shortage(Limits()).startswith("open files 100%")


def test_this_very_process() -> None:
    """A process that runs takes more than nothing and less than everything, and files that it opens show."""
    assert 0 < resources._memory_share() < 1
    before = resources._files_share()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    try:
        assert 0 < before < resources._files_share() <= 1
        assert resources._files_share() - before == pytest.approx(10 / soft)
    finally:
        for number in opened:
            os.close(number)
    assert shortage(ALL) == ""
    assert shortage(Limits(memory=1e-9)).startswith("memory ")
    assert shortage(Limits(memory=1, files=1e-9)).startswith("open files ")
