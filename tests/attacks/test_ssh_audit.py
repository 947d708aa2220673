"""Somebody reads with ssh-audit which weak algorithms are offered, and how often they may knock: there is nothing."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from sshhome.algorithms import ALGORITHMS
from tests.attacks.victim import others_are_served
from tests.client import Door

Serve = Callable[..., AbstractAsyncContextManager[Door]]
#: What ssh-audit says of every key exchange that a client from before 2024 can take part in.
CLASSIC = "does not provide protection against post-quantum attacks"
#: Its statuses: nothing flagged, something to warn of.
GOOD, WARNING = 0, 2


async def audit(door: Door) -> tuple[Any, int | None]:
    """Return what ssh-audit reports, and its status; how often one may knock is part of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ssh_audit.ssh_audit", "--json", "--port", str(door.port), "127.0.0.1"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    out, _ = await process.communicate()
    return json.loads(out), process.returncode


def flagged(report: Any) -> set[tuple[str, str, str]]:  # noqa: ANN401 (JSON)
    """Return what the report holds against each algorithm: its name, how bad it is, and why."""
    algorithms = [algorithm for kind in ("kex", "key", "enc", "mac") for algorithm in report[kind]]
    assert len(algorithms) > 5
    return {
        (algorithm["algorithm"], level, note)
        for algorithm in algorithms
        for level in ("fail", "warn")
        for note in algorithm["notes"].get(level, [])
    }


@pytest.mark.parametrize(("profile", "status"), [("strict", GOOD), ("compat", WARNING)])
async def test_ssh_audit(serve: Serve, profile: str, status: int) -> None:
    """The strict profile has nothing flagged; the other just the classic key exchanges; neither may be knocked down.

    The additional notes are where ssh-audit says that it could knock too often (CVE-2002-20001, DHEat).
    """
    async with serve(f'[limits]\n[crypto]\nprofile = "{profile}"\n') as door:
        report, ended = await audit(door)
        classic = [name for name in ALGORITHMS[profile]["kex_algs"] if name.startswith("curve25519")]
        assert flagged(report) == {(name, "warn", CLASSIC) for name in classic}
        assert report["additional_notes"] == []
        assert report["cves"] == []
        assert report["recommendations"] == {}
        assert ended == status
        await others_are_served(door)
