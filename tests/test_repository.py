"""What the repository promises of itself: no secret in it, every dependency explained, no way out of the house."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGE = sorted((ROOT / "sshhome").rglob("*.py"))

#: Modules that may know asyncssh, and those that may know prompt_toolkit.
ASYNCSSH = {"client", "server", "visitor", "connection", "authentication", "algorithms", "hostkey", "channels"}
PROMPT_TOOLKIT = {"channels"}
#: What only some houses need, and the one place that knows it.
EXTRAS = {
    "aiomqtt": "backends/mqtt",
    "paho": "backends/mqtt",
    "aiohttp": "backends/home_assistant",
    "jinja2": "conventions/discovery",
}


def tracked() -> list[Path]:
    """Return the files in git."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def dependencies() -> list[str]:
    """Return the names of what the package needs to run, extras included."""
    project = PYPROJECT["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    return [re.split(r"[\[<>=~! ;]", line)[0] for line in (*project["dependencies"], *extras)]


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports, at its head or inside a function."""
    return set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))


def part(path: Path) -> str:
    """Return the part of the package that a module belongs to."""
    return path.relative_to(ROOT / "sshhome").parts[0].removesuffix(".py")


def test_no_secrets() -> None:
    """No private key, state or lock file is in git, and no address of a registry is in a file."""
    # Written in pieces, so that this file may be tracked too.
    wanted = re.compile(
        "BEGIN [A-Z ]*PRIV" + r"ATE KEY-----\s*\w{40}|py" + r"pi\.org|python" + r"hosted\.org|npm" + "js"
    )
    for path in tracked():
        assert path.suffix not in {".lock", ".sqlite", ".db"}, path
        assert not (path.parent.name == "host_keys" and path.name != "README.md"), path
        assert not wanted.search(path.read_bytes().decode(errors="replace")), path


@pytest.mark.parametrize("name", dependencies())
def test_dependency(name: str) -> None:
    """Each dependency has one exact version in constraints.txt and one line of reason in docs/architecture.md."""
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    assert len(re.findall(rf"^{name.lower()}==[\w.]+$", pins, re.MULTILINE)) == 1
    assert re.search(rf"^\W*`?{name}`?\W.*\w", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_way_out(path: Path) -> None:
    """No module starts a program, opens a pseudo-terminal or evaluates text; few know asyncssh or prompt_toolkit."""
    assert imported(path).isdisjoint({"subprocess", "pty", "pexpect", "multiprocessing", "pickle", "marshal"})
    assert not re.search(
        r"\bos\.(system|popen|exec|spawn|fork)|(?<![.\w])(eval|exec|compile|__import__)\(", path.read_text()
    )
    assert "asyncssh" not in imported(path) or part(path) in ASYNCSSH
    assert "prompt_toolkit" not in imported(path) or part(path) in PROMPT_TOOLKIT
    place = path.relative_to(ROOT / "sshhome").with_suffix("").as_posix()
    assert all(place.startswith(only) for package, only in EXTRAS.items() if package in imported(path))
