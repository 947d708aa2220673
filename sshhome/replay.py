"""A one-time code is good once, over a restart too: those that were used are kept in a file."""

import asyncio
import logging
import os
import re
from pathlib import Path

from sshhome.user import write_whole

log = logging.getLogger(__name__)

#: Codes that are kept, in the order of their use and whatever the clock says, which may be set back.
_KEPT = 10_000
_LINE = re.compile(r"\d{1,12} [a-z0-9_-]{1,32}", re.ASCII)


class UsedCodes:
    """The codes that were used lately, each by the number of its 30 seconds and its user."""

    def __init__(self, path: Path) -> None:
        """Read the file; what is no code in it was cut off in writing, before it was answered."""
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        codes = [line for line in (written or "").split("\n") if _LINE.fullmatch(line)]
        self._used = dict.fromkeys(codes[-_KEPT:])
        lines = "".join(f"{code}\n" for code in self._used)
        if lines != written:
            write_whole(path, lines)

    async def use(self, user: str, step: int) -> bool:
        """Use a code up and return whether it was still good; true only once it is on disk."""
        code = f"{step} {user}"
        if code in self._used:
            return False
        # Before anything is waited for: of two logins at once with the same code one is first.
        self._used[code] = None
        if len(self._used) > _KEPT:
            del self._used[next(iter(self._used))]
        await asyncio.to_thread(self._write, code)
        return True

    def _write(self, code: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{code}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            # A full disk must not lock the owner out of the house; until a restart, memory knows.
            log.error("%s: %s", self._path.name, error.strerror)
