"""An agent offers thirty keys: twenty may be asked about, none of which counts as a failure or earns a ban."""

import os
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from tests.attacks.raw import FAILURE, SUCCESS, WOULD_DO, Raw, failures, sources
from tests.attacks.victim import Besiege
from tests.client import Answer, Door, run
from tests.process import Process

SOURCE = "127.0.0.66"


@pytest.fixture(scope="module")
def agent() -> list[asyncssh.SSHKey]:
    """Return the thirty keys of somebody who has one for everything."""
    return [asyncssh.generate_private_key("ssh-ed25519") for _ in range(30)]


async def test_30_offered_keys(besiege: Besiege, agent: list[asyncssh.SSHKey]) -> None:
    """Twenty questions are answered and the next is hung up on; ten times over, nobody is banned, and the key fits."""
    async with besiege() as victim:
        for _ in range(10):
            async with Raw.connect(victim.door) as raw:
                await raw.begin()
                asked = await raw.answers(raw.offer("guest", key) for key in agent)
                assert asked == ([FAILURE] * 20, "too many keys offered")
        await victim.others_are_served()
        async with Raw.connect(victim.door) as raw:
            await raw.begin()
            raw.send(*(raw.offer("guest", key) for key in agent))
            assert await raw.hung_up() == "too many keys offered"
        async with Raw.connect(victim.door) as raw:
            await raw.begin()
            for key in agent[:19]:
                assert await raw.answer(raw.offer("guest", key)) == FAILURE
            guest = victim.door.key("guest")
            assert await raw.answer(raw.offer("guest", guest)) == WOULD_DO
            assert await raw.answer(raw.signed("guest", guest)) == SUCCESS
        assert failures(victim.door, SOURCE) == []
        assert not victim.door.audit("ban.set")


async def test_30_signed_keys(besiege: Besiege, agent: list[asyncssh.SSHKey]) -> None:
    """Who signs with each key without asking first has tried to log in: four are judged, and each counts."""
    one_by_one, at_once = sources(2)
    async with besiege() as victim:
        async with Raw.connect(victim.door, one_by_one) as raw:
            await raw.begin()
            tried = await raw.answers(raw.signed("guest", key) for key in agent)
            assert tried == ([FAILURE] * 4, "too many authentication failures")
        async with Raw.connect(victim.door, at_once) as raw:
            await raw.begin()
            raw.send(*(raw.signed("guest", key) for key in agent))
            await victim.others_are_served()
            assert await raw.hung_up() == "too many authentication failures"
        for source in (one_by_one, at_once):
            assert failures(victim.door, source) == [("guest", "publickey")] * 4


@pytest.mark.real
async def test_a_real_agent(
    besiege: Besiege, agent: list[asyncssh.SSHKey], program: Callable[[str], str], tmp_path: Path
) -> None:
    """OpenSSH with 29 other keys in its agent is told so and never banned, and logs in once it is told which key."""
    ssh, ssh_add = program("ssh"), program("ssh-add")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSH_AUTH_SOCK": str(tmp_path / "agent")}

    async def knock(door: Door, *options: str) -> Answer:
        known = ("-o", f"UserKnownHostsFile={tmp_path}/known", "-o", "StrictHostKeyChecking=accept-new")
        words = ("-F", "none", "-p", str(door.port), "-b", SOURCE, *known, "-o", "BatchMode=yes", *options)
        return await run(ssh, *words, "guest@127.0.0.1", "echo in", environment=environment)

    async with (
        Process.start(program("ssh-agent"), "-D", "-a", environment["SSH_AUTH_SOCK"], environment=environment) as held,
        besiege() as victim,
    ):
        await held.says("SSH_AUTH_SOCK")
        for key in [*agent[:29], victim.door.key("guest")]:
            added = await run(ssh_add, "-q", "-", stdin=key.export_private_key().decode(), environment=environment)
            assert added.status == 0, added.err
        for _ in range(6):
            answer = await knock(victim.door)
            assert answer.status == 255
            assert "too many keys offered" in answer.err
        await victim.others_are_served()
        named = ("-o", "IdentitiesOnly=yes", "-i", str(victim.door.keys / "guest"))
        assert (await knock(victim.door, *named)).out == "in\n"
        assert failures(victim.door, SOURCE) == []
        assert not victim.door.audit("ban.set")
