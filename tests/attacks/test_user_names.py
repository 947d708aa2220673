"""An attacker who knows the right key and password of one user logs in by names that only look like theirs.

Names that are folded, padded, empty or huge let nobody in, each is one failed login at most, and no file is touched.
"""

import argon2
import pytest

from tests.attacks.raw import FAILURE, Raw, failures, password, request, sources
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door, until

NAMES: dict[str, bytes] = {
    "empty": b"",
    "fullwidth": "ｈｏｍｅ".encode(),  # noqa: RUF001 (the attack)
    "one fullwidth letter": "hｏme".encode(),  # noqa: RUF001
    "mathematical": "𝐡𝐨𝐦𝐞".encode(),  # noqa: RUF001
    "ligature": "\ufb01".encode(),
    "cyrillic": "hоme".encode(),  # noqa: RUF001
    "soft hyphen": "ho\u00adme".encode(),
    "nothing but a soft hyphen": "\u00ad".encode(),
    "zero-width joiner": "ho\u200dme".encode(),
    "zero-width space": "home\u200b".encode(),
    "byte order mark": "\ufeffhome".encode(),
    "variation selector": "home\ufe0f".encode(),
    "combining": "home\u0301".encode(),
    "right to left": "\u202eemoh".encode(),
    "NUL": b"home\0",
    "NUL first": b"\0home",
    "upper case": b"HOME",
    "one capital": b"Home",
    "space behind": b"home ",
    "space before": b" home",
    "no-break space": "home\u00a0".encode(),
    "newline": b"home\n",
    "escape": b"\x1b[2Jhome",
    "path": b"../authorized_users/home",
    "path to here": b"./home",
    "absolute path": b"/etc/passwd",
    "backslash": b"..\\home",
    "with its ending": b"home.toml",
    "glob": b"hom?",
    "star": b"*",
    "percent": b"%u",
    "command": b"$(id)",
    "option": b"--help",
    "domain": b"home@house",
    "33 letters": b"h" * 33,
    "1 KB": b"h" * 1024,
    "100 KB": b"h" * 100_000,
    "not UTF-8": b"hom\xe9",
    "a surrogate": b"\xed\xa0\x80home",
    "overlong": b"hom\xc1\xa5",
    "nobody": b"nobody",
    "root": b"root",
}
#: The proofs, each of which is right for `home`.
PROOFS = ("none", "key", "signature", "password")


def proof(raw: Raw, door: Door, name: bytes, kind: str) -> bytes:
    """Return a login request by this name with the proof that is good for `home`."""
    key = door.key("home")
    match kind:
        case "none":
            return request(name, "none")
        case "key":
            return raw.offer(name, key)
        case "signature":
            return raw.signed(name, key)
    return password(name, "correct horse")


@pytest.mark.parametrize("kind", PROOFS)
async def test_strange_names(door: Door, kind: str) -> None:
    """No strange name is anybody, whatever proof comes with it, and asking by one is one failure at most."""
    before = {path.name for path in (door.site.path / "authorized_users").iterdir()}
    # What a password costs is not what is attacked here.
    door.server.visitors.passwords._nobody = argon2.PasswordHasher(1, 8, 1).hash("nobody")
    for name, source in zip(NAMES, sources(len(NAMES)), strict=True):
        async with Raw.connect(door, source) as raw:
            await raw.begin()
            answers, _ = await raw.answers([proof(raw, door, NAMES[name], kind)])
            # Some are no names at all, which is no way to speak SSH.
            assert answers in ([], [FAILURE]), name
        await until(lambda source=source: source not in door.server.door.sources)  # type: ignore[misc]
        assert len(failures(door, source)) <= 1, name
    await others_are_served(door)
    assert [event["user"] for event in door.audit("login.ok")] == ["home"]
    assert {path.name for path in (door.site.path / "authorized_users").iterdir()} == before
    log = (door.site.path / "state" / "audit.jsonl").read_text(encoding="utf-8")
    assert "\x1b" not in log
    assert "\u202e" not in log


async def test_a_strange_name_then_the_right_one(door: Door) -> None:
    """What was proven under a strange name is worth nothing under the right one, and the other way round."""
    for name, source in zip(NAMES, sources(len(NAMES)), strict=True):
        async with Raw.connect(door, source) as raw:
            await raw.begin()
            nothing = request("home", "none")
            strange = [raw.offer(NAMES[name], door.key("home")), raw.signed(NAMES[name], door.key("home"))]
            answers, _ = await raw.answers([strange[0], nothing, strange[1], nothing])
            assert set(answers) <= {FAILURE}, name
    assert not door.audit("login.ok")


async def test_names_of_a_megabyte(besiege: Besiege) -> None:
    """A name of a megabyte is cut where the budget ends, and a thousand names cost one failure."""
    async with besiege(memory=8 * MIB) as victim:
        one, two = sources(2)
        async with Raw.connect(victim.door, one) as raw:
            await raw.begin()
            raw.send(request(b"h" * MIB, "none"))
            await raw.hung_up()
        async with Raw.connect(victim.door, two) as raw:
            await raw.begin()
            answers, _ = await raw.answers(request(f"nobody{number}", "none") for number in range(1000))
            assert set(answers) == {FAILURE}
        await victim.others_are_served()
        await until(lambda: failures(victim.door, two))
        assert (len(failures(victim.door, one)), len(failures(victim.door, two))) == (0, 1)
