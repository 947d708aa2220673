"""What somebody's shells remember from one to the next: the lines they typed, and how they like to type.

Two files a user in `state/shells/`, readable by their owner alone: `NAME.lines`, the oldest first, and `NAME.json`.
Nobody is kept from anything because they cannot be read or written.
"""

import contextlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sshhome.escape import seen
from sshhome.user import LOGIN_NAME, write_whole

log = logging.getLogger(__name__)

#: Lines of a user that are kept, and how many may be in the file before it is written anew.
MOST_LINES, _MOST_WRITTEN = 1000, 2000
#: Bytes of a file that are read: as many lines as may be written, of the longest that people type.
_MOST_BYTES = 1024 * 1024
#: Characters of a line that is kept.
_LONGEST = 4096
#: People whose lines are in memory; nobody is forgotten but by it.
_MOST_PEOPLE = 256
#: What is no part of a history, whichever order it is said to.
_SECRET = re.compile(r"--code\b")


class Options(msgspec.Struct, frozen=True):
    """How somebody likes their shell."""

    editing: Literal["emacs", "vi"] = "emacs"
    plain: Literal["off", "on"] = "off"
    notices: Literal["off", "important", "all"] = "important"


#: Each option with the values it takes, the default first.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "editing": ("emacs", "vi"),
    "plain": ("off", "on"),
    "notices": ("important", "all", "off"),
}


class Recall:
    """The lines and options of everybody, read when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder, which is made when there is something to keep."""
        self._folder = folder
        self._lines: dict[str, list[str]] = {}
        self._written: dict[str, int] = {}
        self._options: dict[str, Options] = {}

    def lines(self, user: str) -> Sequence[str]:
        """Return the lines of a user, the oldest first; the same list for all their shells, which grows."""
        if user not in self._lines:
            while len(self._lines) >= _MOST_PEOPLE:
                self._lines.pop(next(iter(self._lines)))
            found = [seen(line)[:_LONGEST] for line in self._read(user, "lines").splitlines() if line.strip()]
            self._written[user] = len(found)
            self._lines[user] = found[-MOST_LINES:]
        return self._lines[user]

    def add(self, user: str, line: str, *, keep: bool = True) -> None:
        """Remember a line as the newest; with `keep` beyond this process too.

        A line that begins with a space, or that holds a secret, is not remembered at all.
        """
        if not line.strip() or line[0] == " " or _SECRET.search(line) or len(line) > _LONGEST:
            return
        self.lines(user)
        lines = self._lines[user]
        if lines[-1:] == [line]:
            return
        lines.append(line)
        del lines[:-MOST_LINES]
        if not keep:
            return
        self._written[user] += 1
        if self._written[user] > _MOST_WRITTEN:
            self._write(user, "lines", "".join(f"{kept}\n" for kept in lines))
            self._written[user] = len(lines)
        else:
            self._append(user, line)

    def options(self, user: str) -> Options:
        """Return how a user likes their shell."""
        if user not in self._options:
            while len(self._options) >= _MOST_PEOPLE:
                self._options.pop(next(iter(self._options)))
            self._options[user] = Options()
            with contextlib.suppress(msgspec.DecodeError):
                self._options[user] = msgspec.json.decode(self._read(user, "json") or "{}", type=Options)
        return self._options[user]

    def set(self, user: str, options: Options) -> None:
        """Remember how a user likes their shell."""
        self._options[user] = options
        self._write(user, "json", msgspec.json.encode(options).decode())

    def people(self) -> Sequence[str]:
        """Return of whom there is a file."""
        try:
            names = {name.rpartition(".")[0] for name in os.listdir(self._folder)}  # noqa: PTH208 (names alone)
        except OSError:
            return []
        return sorted(filter(LOGIN_NAME.fullmatch, names))

    def forget(self, user: str) -> None:
        """Forget a user: another one of that name begins with nothing."""
        for known in (self._lines, self._options, self._written):
            known.pop(user, None)
        for kind in ("lines", "json"):
            with contextlib.suppress(OSError):
                self._path(user, kind).unlink(missing_ok=True)

    def _path(self, user: str, kind: str) -> Path:
        assert LOGIN_NAME.fullmatch(user)  # noqa: S101 (whoever is logged in has such a name)
        return self._folder / f"{user}.{kind}"

    def _read(self, user: str, kind: str) -> str:
        try:
            with self._path(user, kind).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_BYTES))
                return file.read(_MOST_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            log.error("what the shells of %s remember cannot be read: %s", user, error.strerror)
            return ""

    def _write(self, user: str, kind: str, text: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path(user, kind), text)
        except OSError as error:
            log.error("what the shells of %s remember cannot be written: %s", user, error.strerror)

    def _append(self, user: str, line: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path(user, "lines"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{line}\n".encode(errors="replace"))
            finally:
                os.close(file)
        except OSError as error:
            log.error("what the shells of %s remember cannot be written: %s", user, error.strerror)
