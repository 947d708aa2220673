"""Somebody guesses the admin's password with hydra, from a list that has it: they are banned before they get there."""

import contextlib
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.attacks.victim import others_are_served
from tests.client import Door
from tests.process import Process

Serve = Callable[..., AbstractAsyncContextManager[Door]]
Program = Callable[[str], str]
#: Where the right one stands in the list: after more guesses than all tasks together have before the ban.
RIGHT = 24


@pytest.mark.real
@pytest.mark.parametrize("tasks", [1, 4])
async def test_hydra(serve: Serve, program: Program, tmp_path: Path, tasks: int) -> None:
    """However many guess at once, five failures ban; hydra finds nothing, and reads why when it knocks again."""
    guesses = [f"guess {number}" for number in range(30)]
    guesses[RIGHT] = "correct horse"
    (tmp_path / "guesses").write_text("\n".join(guesses) + "\n")
    async with serve("[limits]\n") as door:
        assert (await door.ask("home", "echo it is right", password=guesses[RIGHT], source="127.0.0.8")).status == 0
        argv = ["-I", "-f", "-w", "1", "-t", str(tasks), "-l", "home", "-P", "guesses", "-s", str(door.port)]
        async with Process.start(
            program("hydra"),
            *argv,
            "ssh://127.0.0.1",
            environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            folder=tmp_path,
        ) as hydra:
            try:
                answer = await hydra.answer()
            finally:
                # Its children outlive it when it does not end by itself.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(hydra._process.pid, signal.SIGKILL)
        assert "0 valid password found" in answer.out
        banned = "too many failed logins from 127.0.0.1, try again in 1 min"
        refused = await door.ask("home", "whoami", password=guesses[RIGHT])
        assert refused.status == 255
        await others_are_served(door)
    (ban,) = door.audit("ban.set")
    assert (ban["source"], ban["rule"]) == ("127.0.0.1", "too many failed logins")
    # Those who were being checked when the ban was set are answered, and no more.
    assert 5 <= len(door.audit("login.failed")) < 5 + tasks
    assert {event["reason"] for event in door.audit("connection.refused")} == {banned}
    assert [event["source"] for event in door.audit("login.ok")] == ["127.0.0.8", "127.0.0.9"]
