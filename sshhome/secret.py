"""A secret in a file of its own: one line, which nobody but its owner may read."""

import stat
from pathlib import Path

from sshhome.errors import SiteError

#: Bytes of such a file: the longest, a token of Home Assistant, has about 200.
_LONGEST = 4096


class SecretFile:
    """Reads the secret, and tells when there may be another."""

    def __init__(self, path: Path) -> None:
        """Remember where it is; see `read`."""
        self._path = path
        self._seen: tuple[int, ...] = ()

    def read(self) -> str:
        """Return the secret; raises SiteError for a file that others may read, too."""
        self._seen = self._look()
        try:
            info = self._path.stat()
            if not stat.S_ISREG(info.st_mode) or info.st_size > _LONGEST:
                raise SiteError(f"{self._path} is not a file of one line")
            if info.st_mode & 0o077:
                raise SiteError(f"{self._path} can be read by others: chmod 600 {self._path}")
            secret = self._path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise SiteError(f"{self._path}: {error.strerror}") from None
        if not secret or not secret.isprintable() or "\ufffd" in secret:
            raise SiteError(f"{self._path} is not a file of one line")
        return secret

    def is_new(self) -> bool:
        """Return whether the file is another than the one that was read last; cheap."""
        return self._look() != self._seen

    def _look(self) -> tuple[int, ...]:
        try:
            info = self._path.stat()
        except OSError:
            return ()
        return info.st_mtime_ns, info.st_size, info.st_ino, info.st_mode
