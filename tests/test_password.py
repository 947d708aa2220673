"""Passwords: one that can be set can be used to log in, and is checked at the same cost for everybody."""

import argon2
import pytest
from asyncssh.saslprep import SASLPrepError, saslprep
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.errors import BadArguments
from sshhome.password import Passwords, _prepared, hash_password


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("correct horse", "correct horse"),
        ("caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me"),
        ("cafe\u0301 cre\u0300me", "caf\u00e9 cr\u00e8me"),
        ("correct\u00a0horse", "correct horse"),
        ("\uff43\uff4frrect horse", "correct horse"),
        ("\u05e9\u05dc\u05d5\u05dd \u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd \u05e9\u05dc\u05d5\u05dd"),
    ],
)
async def test_what_is_set_is_what_arrives(written: str, typed: str) -> None:
    """A password logs in however the client composes its characters, since what arrives has been prepared."""
    passwords = Passwords()
    hashed = hash_password(written)
    assert await passwords.check(saslprep(typed), hashed)
    assert not await passwords.check(saslprep(typed) + " ", hashed)
    passwords.close()


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "8 to 256"),
        ("1234567", "8 to 256"),
        ("1234567\u00ad\u200b", "8 to 256"),
        ("x" * 257, "8 to 256"),
        ("correct\thorse", "control"),
        ("correct\x00horse", "control"),
        ("correct \U0001f40e", "emoji"),
        ("correct \u05e1\u05d5\u05e1", "left to right"),
        ("\u05e1\u05d5\u05e1 12345678", "left to right"),
    ],
)
def test_passwords_that_could_not_be_used(password: str, message: str) -> None:
    """A password that no client can send, or that is too short once prepared, is refused when it is set."""
    with pytest.raises(BadArguments, match=message):
        hash_password(password)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")) | st.text(st.characters(max_codepoint=0x700)))
def test_passwords_are_prepared_as_at_login(password: str) -> None:
    """Every text is prepared as asyncssh prepares what a client sends, or refused where it would hang up."""
    try:
        expected = saslprep(password)
    except SASLPrepError:
        with pytest.raises(BadArguments):
            _prepared(password)
    else:
        assert _prepared(password) == expected


async def test_no_hash_fits_nothing() -> None:
    """A user without a password, and one whose hash is damaged, come in by no password."""
    passwords = Passwords()
    for hashed in ("", "$argon2id$", "nonsense", passwords._nobody):
        assert not await passwords.check("correct horse", hashed)
    ours = argon2.extract_parameters(hash_password("correct horse"))
    stand_in = argon2.extract_parameters(passwords._nobody)
    assert [(p.type, p.time_cost, p.memory_cost, p.parallelism) for p in (ours, stand_in)] == [
        (argon2.Type.ID, ours.time_cost, ours.memory_cost, ours.parallelism)
    ] * 2
    passwords.close()
