"""Apps over the subsystem `sshhome`: the conversations of `tests/protocol/`, in Python and in another language."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client import Door, run
from tests.conversation import FOLDER, converse

DOCUMENTS = sorted(FOLDER.glob("*.txt"))
#: Where `.ci/apps` puts what it installs.
MODULES = (
    Path(os.environ.get("SSHHOME_SERVERS", Path(__file__).parent.parent.parent / ".servers")) / "apps" / "node_modules"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
async def test_a_conversation(door: Door, document: Path) -> None:
    """The house says in each conversation just what the document has it say."""
    with door.waiting_printer():
        await converse(door, document.read_text(encoding="utf-8"))


async def test_a_document_can_fail(door: Door) -> None:
    """A conversation that goes otherwise is told with its line."""
    with pytest.raises(AssertionError, match="line 3"):
        await converse(door, 'as home\n> {"jsonrpc":"2.0","id":1,"method":"time"}\n< {"jsonrpc":"2.0","id":2,"…":true}')


@pytest.mark.real
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
async def test_node(door: Door, program: Callable[[str], str], document: Path) -> None:
    """Node's ssh2 has the same conversations."""
    node = program("node")
    if not (MODULES / "ssh2").exists():
        if os.environ.get("SSHHOME_REQUIRE_REAL"):
            pytest.fail("ssh2 is required here: .ci/apps installs it")
        pytest.skip("ssh2 is not installed: .ci/apps installs it")
    environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(MODULES)}
    with door.waiting_printer():
        script = str(FOLDER / "node.js")
        answer = await run(node, script, str(door.port), str(door.keys), str(document), environment=environment)
    assert answer == (f"ok {document.name}\n", "", 0)


@pytest.mark.real
async def test_node_can_fail(door: Door, program: Callable[[str], str], tmp_path: Path) -> None:
    """A conversation that goes otherwise is told there, too."""
    node = program("node")
    if not (MODULES / "ssh2").exists():
        pytest.skip("ssh2 is not installed: .ci/apps installs it")
    document = tmp_path / "wrong.txt"
    document.write_text('as home\n> {"jsonrpc":"2.0","id":1,"method":"time"}\n< {"jsonrpc":"2.0","id":2,"…":true}\n')
    environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(MODULES)}
    script = str(FOLDER / "node.js")
    answer = await run(node, script, str(door.port), str(door.keys), str(document), environment=environment)
    assert answer.status == 1
    assert "wrong.txt, line 3" in answer.err
