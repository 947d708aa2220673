"""A user asks for proofs of the host key by the thousand, each a signature: they get one for each key there is."""

import asyncssh
from asyncssh.packet import Boolean, String

from tests.attacks.intruder import GLOBAL, GLOBAL_FAILURE, GLOBAL_SUCCESS, Intruder, intruder
from tests.attacks.victim import MIB, Besiege, Victim
from tests.client import until


def ask_for_proofs(attacker: Intruder, victim: Victim, times: int) -> None:
    """Ask for a proof of the host key, so many times in one request (OpenSSH's PROTOCOL, 2.5)."""
    path = victim.door.site.path / "host_keys" / "ssh_host_ed25519_key.pub"
    key = String(asyncssh.read_public_key(path).public_data)
    attacker.send_packet(GLOBAL, String("hostkeys-prove-00@openssh.com"), Boolean(True), key * times)


async def test_a_flood_of_proofs(besiege: Besiege) -> None:
    """Who asks for a key's proof gets it; who asks for it a thousand times in one breath gets none, and costs none."""
    async with besiege(memory=8 * MIB) as victim, intruder(victim.door) as attacker:
        ask_for_proofs(attacker, victim, 1)
        await until(lambda: attacker.heard[GLOBAL_SUCCESS] == 1)
        for _ in range(10):
            ask_for_proofs(attacker, victim, 1_000)
        await victim.others_are_served()
        await until(lambda: attacker.gone or attacker.heard[GLOBAL_SUCCESS] + attacker.heard[GLOBAL_FAILURE] == 11)
        assert attacker.heard[GLOBAL_SUCCESS] == 1
