"""Transcripts of who may do what, run in this process and again through the real OpenSSH client.

A transcript holds orders and the answers to them:

    guest> unlock front_door            an order by exec, with the key of that name
    ! error: 'unlock' needs …           what came on standard error
    [77]                                the exit status, when it is not 0
    attacker as home> on kitchen        another one's name, the own key
    attacker as home, password hunter2> a password instead
    home from 127.0.0.9>                another source
    home << --keep-going                a batch: the indented lines below are its input
    home> pass create x --key '{x}'     the public key of that name, whole, in place of {x}

`SSHHOME_UPDATE=1 make test` writes the answers anew; the diff is for the reviewer.
"""

import contextlib
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sshhome import app
from sshhome.order import REGISTRY
from sshhome.user import write_whole
from tests.client import Answer, Door

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
_ORDER = re.compile(
    r"(?P<key>\w+)(?: as (?P<user>\S+?))?(?:, password (?P<password>[^>]+?))?(?: from (?P<source>[\d.]+))? ?"
    r"(?P<kind>>|<<) ?(?P<line>.*)"
)
#: What differs from run to run and says nothing.
_VARIES = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "SHA256:…"),
    (re.compile(r"incident [0-9a-f]{8}"), "incident …"),
    (re.compile(r"(?<=ssh -p )\d+"), "…"),
    (re.compile(r"(?:^[ ▀▄█]+\n)+", re.MULTILINE), "(a QR code)\n"),
)

#: May do what a resident may, and is asked for more where somebody is let in; this secret's code at noon is 725056.
PARENT = """
totp = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
grants = [
  "read",
  "control",
  "access:lock.side_door",
  { allow = "access:lock.front_door", step_up = "totp" },
  { allow = "access:cover.garage", step_up = "confirm" },
]
"""

Ask = Callable[[re.Match[str], str | None], Awaitable[Answer]]


@pytest.fixture
def site(site: app.Site, keys: Path) -> app.Site:
    """Return the site of all tests, in which a parent lives too."""
    line = (keys / "parent.pub").read_text().strip()
    write_whole(site.path / "authorized_users" / "parent.toml", f"keys = ['{line}']\n{PARENT}")
    return site


class Step(NamedTuple):
    """One order of a transcript: the comments before it, how it is given, and its standard input, if it has one."""

    before: str
    order: re.Match[str] | None
    stdin: str | None = None


def _steps(text: str) -> Iterator[Step]:
    """Yield the orders of a transcript, and last what stands after them; the answers are passed over."""
    before = ""
    lines = deque(text.splitlines())
    while lines:
        line = lines.popleft()
        order = _ORDER.fullmatch(line)
        if order is not None:
            stdin = "" if order["kind"] == "<<" else None
            while stdin is not None and lines and lines[0].startswith("  "):
                stdin += f"{lines.popleft()[2:]}\n"
            yield Step(before, order, stdin)
            before = ""
        elif line.startswith("#") or not line:
            before += f"{line}\n"
    yield Step(before, None)


def _given(door: Door, line: str) -> str:
    """Return a line with the keys in it that it names."""
    return re.sub(r"\{(\w+)\}", lambda named: (door.keys / f"{named[1]}.pub").read_text().strip(), line)


async def _play(door: Door, path: Path, ask: Ask) -> None:
    text = path.read_text(encoding="utf-8")
    played = ""
    for before, order, stdin in _steps(text):
        played += before
        if order is None:
            continue
        with door.mute_printer() if "printer" in order["line"] else contextlib.nullcontext():
            answer = await ask(order, stdin)
        err = "".join(f"! {line}\n" for line in answer.err.splitlines())
        status = f"[{answer.status}]\n" if answer.status else ""
        given = "".join(f"  {line}\n" for line in (stdin or "").splitlines())
        said = f"{answer.out}{err}{status}"
        for pattern, steady in _VARIES:
            said = pattern.sub(steady, said)
        played += f"{order[0]}\n{given}{said}"
    played = played.strip() + "\n"
    if os.environ.get("SSHHOME_UPDATE"):
        path.write_text(played, encoding="utf-8")
        return
    assert played == text


def test_every_order_is_in_a_transcript() -> None:
    """Each order there is stands in some transcript, but for those that go on until they are interrupted."""
    steps = [step for path in SCENARIOS for step in _steps(path.read_text(encoding="utf-8"))]
    lines = [
        line for step in steps for line in (step.order["line"] if step.order else "", *(step.stdin or "").splitlines())
    ]
    found = {order.name for line in lines for part in line.split(";") if (order := REGISTRY.find(part.split())[0])}
    assert {order.name for order in REGISTRY} - found == {"dash", "watch"}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_in_process(door: Door, path: Path) -> None:
    """Every transcript holds through asyncssh's client."""

    async def ask(match: re.Match[str], stdin: str | None) -> Answer:
        user, source = match["user"] or match["key"], match["source"] or "127.0.0.1"
        return await door.ask(
            user, _given(door, match["line"]), stdin=stdin, key=match["key"], password=match["password"], source=source
        )

    await _play(door, path, ask)


@pytest.mark.real
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_through_openssh(door: Door, path: Path, program: Callable[[str], str]) -> None:
    """Every transcript holds, to the letter, through the real OpenSSH client."""
    ssh = program("ssh")

    async def ask(match: re.Match[str], stdin: str | None) -> Answer:
        user, source = match["user"] or match["key"], match["source"] or "127.0.0.1"
        words = [_given(door, match["line"])] if match["line"] else []
        answer = await door.openssh(
            ssh, user, *words, stdin=stdin, key=match["key"], password=match["password"], source=source
        )
        if answer.status != 255:
            return answer
        told = re.search(r"(?:Received disconnect from|Disconnected from) .* port \d+:\d+: (.*)", answer.err)
        if told:
            return Answer("", f"disconnected: {told[1]}\n", 255)
        return Answer("", "permission denied\n", 255) if "Permission denied" in answer.err else answer

    await _play(door, path, ask)
