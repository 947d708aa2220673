"""Somebody finds the port with nmap and has its scripts ask, guess and run: they read what is offered, and no more."""

import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sshhome.algorithms import ALGORITHMS
from tests.attacks.victim import others_are_served
from tests.client import Door, run

Serve = Callable[..., AbstractAsyncContextManager[Door]]
Program = Callable[[str], str]
#: What nmap brings along for SSH. Its own protocol library is so old that most of them do not get past key exchange.
SCRIPTS = ("ssh2-enum-algos", "ssh-hostkey", "sshv1", "ssh-auth-methods", "ssh-publickey-acceptance", "ssh-run")


async def scan(door: Door, program: str, scripts: str, folder: Path, user: str = "home") -> str:
    """Return what nmap says of the port; the scripts run whatever it thinks that listens there."""
    (folder / "users").write_text("home\nguest\nroot\nnobody\n")
    (folder / "words").write_text("".join(f"guess {number}\n" for number in range(20)) + "correct horse\n")
    told = {
        "userdb": folder / "users",
        "passdb": folder / "words",
        "ssh.user": user,
        "ssh-run.cmd": "id",
        "ssh-run.username": user,
        "ssh-run.password": "wrong horse",
        "publickeys": door.keys / "home.pub",
        "brute.threads": 4,
    }
    given = ",".join(f"{name}={value}" for name, value in told.items())
    answer = await run(
        program,
        *("-Pn", "-n", "-sT", "-p", str(door.port), "--script", scripts, "--script-args", given, "127.0.0.1"),
        environment={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    assert answer.status == 0, answer
    assert f"{door.port}/tcp open" in answer.out
    return answer.out


@pytest.mark.real
async def test_nmap_lists_what_is_offered(serve: Serve, program: Program, tmp_path: Path) -> None:
    """Nmap lists the algorithms of the profile, and none besides."""
    async with serve("[limits]\n") as door:
        said = await scan(door, program("nmap"), "+ssh2-enum-algos", tmp_path)
        await others_are_served(door)
    listed = set(re.findall(r"^\|_?      +(\S+)$", said, re.MULTILINE))
    offered = {name for kind in ("kex_algs", "encryption_algs", "mac_algs") for name in ALGORITHMS["compat"][kind]}
    assert listed == offered | {"ssh-ed25519", "none", "ext-info-s", "kex-strict-s-v00@openssh.com"}


@pytest.mark.real
@pytest.mark.parametrize("script", SCRIPTS)
async def test_nmap_learns_nothing(serve: Serve, program: Program, tmp_path: Path, script: str) -> None:
    """What a script reports is the same for a user there is and one there is not, and nobody is logged in."""
    async with serve("[limits]\n") as door:
        reports = []
        for user in ("home", "nobody"):
            said = await scan(door, program("nmap"), f"+{script}", tmp_path, user)
            reports.append(re.sub(r"\d+\.\d+ ?s|\d\d:\d\d|[\d.]+ seconds|\([\d.]+s latency\)", "", said))
        assert reports[0] == reports[1]
        assert "home" not in reports[0]
        assert not door.audit("login.ok")
        await others_are_served(door)


@pytest.mark.real
async def test_nmap_guesses(serve: Serve, program: Program, tmp_path: Path) -> None:
    """Nmap's brute force finds no password, the right one in its list notwithstanding."""
    async with serve("[limits]\n") as door:
        said = await scan(door, program("nmap"), "+ssh-brute", tmp_path)
        assert "Valid credentials" not in said
        assert not door.audit("login.ok")
        assert len(door.audit("login.failed")) < 10
        await others_are_served(door)
