"""An attacker sends passwords of 100 KB, of letters that unfold to eighteen: none costs more than a wrong one does."""

import asyncssh.auth
import pytest
from asyncssh.saslprep import saslprep

from tests.attacks.raw import FAILURE, Raw, failures, password, sources
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door

#: Two hashes at once, and what any attack may cost.
MEMORY = (2 * 64 + 16) * MIB
#: One letter of three bytes, which SASLprep turns into eighteen letters (Unicode's longest decomposition).
UNFOLDING = "\ufdfa"
HUGE = {
    "letters": "x" * 100_000,
    "unfolding letters": UNFOLDING * 33_000,
    "spaces": "\u2003" * 33_000,
    "marks on one letter": "a" + "\u0301\u0316" * 25_000,
    "NULs": "\0" * 100_000,
    "unassigned": "\u0378" * 50_000,
}


async def test_8_huge_passwords(besiege: Besiege) -> None:
    """However many a connection sends, all together are cut after 128 KiB, and others are served."""
    async with besiege(memory=MEMORY) as victim:
        for kind, source in zip(HUGE, sources(len(HUGE)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                raw.send(*[password("guest", HUGE[kind])] * 8)
                await victim.others_are_served()
                await raw.hung_up()
            assert len(failures(victim.door, source)) <= 1, kind
        assert not [e for e in victim.door.audit("login.ok") if e["source"] in sources(len(HUGE))]


@pytest.mark.parametrize("kind", HUGE)
async def test_one_huge_password(door: Door, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Not even one of them is prepared or hashed: that takes the server most of a second, in which it serves nobody."""
    prepared: list[int] = []

    def measured(text: str) -> str:
        prepared.append(len(text))
        return saslprep(text)

    monkeypatch.setattr(asyncssh.auth, "saslprep", measured)
    async with Raw.connect(door) as raw:
        await raw.begin()
        answers, _ = await raw.answers([password("guest", HUGE[kind])])
        assert answers in ([], [FAILURE])
    assert max(prepared, default=0) <= 1024
    assert len(failures(door, "127.0.0.66")) <= 1
    await others_are_served(door)
