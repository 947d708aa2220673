"""Passwords: argon2id, off the event loop, a few at a time, and the same cost for a user who does not exist."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import argon2

from sshhome.errors import BadArguments

#: Hashes at once: each takes 64 MiB and most of a core for a tenth of a second.
PARALLEL = 2
_MIN_LENGTH = 8
_MAX_LENGTH = 256


class Passwords:
    """Makes and checks hashes in threads of its own, so that logins cannot starve the rest of the server."""

    def __init__(self) -> None:
        """Prepare the hash that stands in for a user without one."""
        self._hasher = argon2.PasswordHasher()
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="argon2")
        parameters = f"m={self._hasher.memory_cost},t={self._hasher.time_cost},p={self._hasher.parallelism}"
        self._nobody = f"$argon2id$v=19${parameters}$c3NoaG9tZSBub2JvZHk${'A' * 43}"

    async def check(self, password: str, hashed: str) -> bool:
        """Return whether a password fits a hash; an empty hash fits none, and takes as long to say so."""
        fits = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._fits, password, hashed or self._nobody
        )
        return fits and bool(hashed)

    def _fits(self, password: str, hashed: str) -> bool:
        try:
            return len(password) <= _MAX_LENGTH and self._hasher.verify(hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def close(self) -> None:
        """End the threads once they are idle."""
        self._pool.shutdown(wait=False)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a new password; raises BadArguments for one that could not be used to log in.

    SSH prepares passwords with SASLprep (RFC 4013), so a client may be unable to send control characters.
    """
    if not _MIN_LENGTH <= len(password) <= _MAX_LENGTH:
        raise BadArguments(f"a password has {_MIN_LENGTH} to {_MAX_LENGTH} characters")
    if not password.isprintable():
        raise BadArguments("a password has no control characters")
    return argon2.PasswordHasher().hash(password)
