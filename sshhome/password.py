"""Passwords: argon2id, off the event loop, a few at a time, and the same cost for a user who does not exist."""

import asyncio
import contextlib
import os
import stringprep
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import argon2

from sshhome.errors import BadArguments

#: Hashes at once: each takes 64 MiB and most of a core for a tenth of a second.
PARALLEL = 2
#: How far the threads stand back, of 19.
_NICE = 10
_MIN_LENGTH = 8
_MAX_LENGTH = 256
_PROHIBITED = (
    *(stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4),
    *(stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8),
    stringprep.in_table_c9,
)


class Passwords:
    """Makes and checks hashes in threads of its own, so that logins cannot starve the rest of the server."""

    def __init__(self) -> None:
        """Prepare the hash that stands in for a user without one."""
        self._hasher = argon2.PasswordHasher()
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="argon2", initializer=_give_way)
        parameters = f"m={self._hasher.memory_cost},t={self._hasher.time_cost},p={self._hasher.parallelism}"
        self._nobody = f"$argon2id$v=19${parameters}$c3NoaG9tZSBub2JvZHk${'A' * 43}"

    async def check(self, password: str, hashed: str) -> bool:
        """Return whether a password fits a hash; an empty hash fits none, and takes as long to say so."""
        fits = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._fits, password, hashed or self._nobody
        )
        return fits and bool(hashed)

    async def hash(self, password: str) -> str:
        """Return the hash of a new password; raises BadArguments for one that could not be used to log in."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, hash_password, password)

    def _fits(self, password: str, hashed: str) -> bool:
        try:
            return len(password) <= _MAX_LENGTH and self._hasher.verify(hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def close(self) -> None:
        """End the threads once they are idle."""
        self._pool.shutdown(wait=False)


def _give_way() -> None:
    """Let the event loop go first: guessed passwords must not hold up those who are in already."""
    # Linux has a priority for each thread (sched(7)), whose threads in turn begin with it.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a new password; raises BadArguments for one that could not be used to log in."""
    prepared = _prepared(password)
    if not _MIN_LENGTH <= len(prepared) <= _MAX_LENGTH:
        raise BadArguments(f"a password has {_MIN_LENGTH} to {_MAX_LENGTH} characters")
    return argon2.PasswordHasher().hash(prepared)


def _prepared(password: str) -> str:
    """Return a password as SASLprep (RFC 4013) makes it, which is what arrives at a login; raises BadArguments."""
    if any(stringprep.in_table_a1(char) for char in password):
        raise BadArguments("a password has no characters newer than Unicode 3.2, such as emoji")
    mapped = (" " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char))
    prepared = unicodedata.normalize("NFKC", "".join(mapped))
    if any(table(char) for char in prepared for table in _PROHIBITED):
        raise BadArguments("a password has no control characters")
    right_to_left = [stringprep.in_table_d1(char) for char in prepared]
    if any(right_to_left) and not (
        right_to_left[0] and right_to_left[-1] and not any(map(stringprep.in_table_d2, prepared))
    ):
        raise BadArguments("a password is written from left to right, or from right to left, and not both")
    return prepared
