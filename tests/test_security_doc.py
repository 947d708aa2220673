"""What docs/security.md promises: every test it names exists, every setting is one, and nothing is left out."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

from sshhome import key, user
from sshhome.config import NOT_YET, BanRules, Certificates, Config, Limits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
HEADER = ("measure", "the attack it stops", "the test that mounts it", "setting")


def measures() -> list[tuple[str, ...]]:
    """Return the rows of all tables of measures."""
    rows, inside = [], False
    for line in PAGE.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|")) if line.startswith("|") else ()
        if cells == HEADER:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(line) <= set("|-"):
            rows.append(cells)
    return rows


MEASURES = measures()


def defined_in(path: Path) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    # A test of many states is what hypothesis makes of a machine, under a name of ours.
    assigned = {
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for name in ast.walk(node.targets[0])
        if isinstance(name, ast.Name)
    }
    return {name for name in functions | assigned if name.startswith(("test_", "Test"))}


def keys_of(struct: type[msgspec.Struct], path: str = "") -> set[str]:
    """Return the keys of a configuration, a section's own with its name before them."""
    keys = set()
    for field in msgspec.structs.fields(struct):
        keys.add(f"{path}{field.name}")
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            keys |= keys_of(field.type, f"{path}{field.name}.")
    return keys


def settings(cell: str) -> list[tuple[str, str]]:
    """Return the settings that a cell names, each with where it is: in the configuration, a user's file, or a key."""
    return re.findall(r"`([^`]+)`( in the user's file| on the key's line)?", cell)


def test_there_are_measures() -> None:
    """The tables have a line for each measure, whole and none twice."""
    assert len(MEASURES) > 50
    assert all(len(row) == len(HEADER) and all(row) for row in MEASURES)
    assert len({(row[0], row[1]) for row in MEASURES}) == len(MEASURES)


@pytest.mark.parametrize("row", MEASURES, ids=lambda row: row[0])
def test_a_measure(row: tuple[str, ...]) -> None:
    """Each measure names tests that there are, and a setting that there is, or says that there is none."""
    named = re.findall(r"`([^`]+)`", row[2])
    assert named
    for name in named:
        path, _, test = name.partition("::")
        assert test in defined_in(ROOT / path), name
    found = settings(row[3])
    assert found or row[3] == "always"
    for name, where in found:
        if where == " in the user's file":
            assert name in user._UserFile.__struct_fields__
        elif where:
            assert name in key._OPTIONS
        else:
            assert name in keys_of(Config) - NOT_YET


@pytest.mark.parametrize(
    ("section", "struct"), [("limits", Limits), ("bans", BanRules), ("certificates", Certificates)]
)
def test_every_limit_is_a_measure(section: str, struct: type[msgspec.Struct]) -> None:
    """Every key that limits, bans or certifies has a line of its own."""
    named = {name for row in MEASURES for name, where in settings(row[3]) if not where}
    assert {f"{section}.{name}" for name in struct.__struct_fields__} <= named


def test_every_attack_is_named() -> None:
    """Every file of attacks is on the page, and says in its first sentence what it is about."""
    for path in sorted((ROOT / "tests" / "attacks").glob("test_*.py")):
        assert f"tests/attacks/{path.name}" in PAGE, path.name
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring is not None
        assert docstring.split("\n")[0].endswith(".")


def test_links() -> None:
    """What the page links to is there, and the README links to the page."""
    for name in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / name).is_file(), name
    assert "(docs/security.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
