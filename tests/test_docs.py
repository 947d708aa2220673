"""What the README and the guides show is what happens."""

import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

from sshhome import app
from sshhome.order import REGISTRY, Registry
from tests.client import Door, run
from tests.test_dispatch import Build, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

ROOT = Path(__file__).parent.parent


async def test_readme_shows_what_happens(door: Door) -> None:
    """Every ssh line of the README answers what stands below it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ ssh -p 2222 home@127.0.0.1 (.+)\n((?:(?!\$ |```).*\n)+)", text, re.MULTILINE)
    assert len(shown) >= 6
    for words, expected in shown:
        answer = await door.ask("home", " ".join(shlex.split(words)))
        assert answer.out + answer.err == expected, words


def test_example_user_is_understood(tmp_path: Path) -> None:
    """The example user file is a user as it stands."""
    folder = tmp_path / "authorized_users"
    folder.mkdir()
    shutil.copy(ROOT / "authorized_users" / "guest.toml.example", folder / "anna.toml")
    site = app.Site(tmp_path)
    assert site.check() == []
    assert [user.login for user in site.users] == ["anna"]


async def test_new_order_is_one_new_file(tmp_path: Path) -> None:
    """The order of the guide works as one file put into the orders folder, and nothing else touched."""
    guide = (ROOT / "docs" / "add-an-order.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    shutil.copytree(ROOT / "sshhome", tmp_path / "sshhome", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sshhome" / "orders" / "night.py").write_text(block[1], encoding="utf-8")
    answer = await run(sys.executable, "-P", "-m", "sshhome", "orders", environment={"PYTHONPATH": str(tmp_path)})
    assert answer.err == ""
    assert "## night\n\n    night TARGET [LEVEL]\n" in answer.out


async def test_the_order_of_the_guide_does_what_it_says(build: Build) -> None:
    """The order of the guide changes the lamp as it tells, and its condition, dry run and undo come with it."""
    guide = (ROOT / "docs" / "add-an-order.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    registry = Registry()
    registry.add(next(order for order in REGISTRY if order.name == "undo"))
    exec(block[1].replace("@order(", "@order(registry=registry, name="), {"registry": registry})  # noqa: S102
    users = {"anna": "grants = [{ allow = 'control', values = { brightness = '..20' } }]"}
    async with build(registry=registry, users=users) as road:
        assert said(await road.one("anna", "night desk 30")) == (
            "",
            "error: you may not operate light.desk: brightness only ..20 %\n",
        )
        (plan,) = (await road.one("anna", "night desk --dry-run")).answers
        assert plan.value.change == {"on": True, "brightness": 10, "color_temperature": 2200}
        assert road.backend.applied == []
        assert said(await road.one("anna", "night desk")) == ("desk is at 10 %, as for the night\n", "")
        (undone,) = (await road.one("anna", "undo")).answers
        assert undone.value.state["on"] is False


def test_architecture_names_the_layers() -> None:
    """The page on the architecture has the layers that `make layers` checks, in their order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = "\n".join(layer.replace(" | ", " · ") for layer in contracts[0]["layers"])
    assert f"```\n{layers}\n```" in (ROOT / "docs/architecture.md").read_text()
