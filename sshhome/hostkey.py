"""The house's own key: made on the first serve, never readable by anyone else."""

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from sshhome.errors import SiteError

HostKeys = Sequence[asyncssh.SSHKey]


def load_host_keys(folder: Path) -> HostKeys:
    """Return the host keys of a site; raises SiteError for the first that is unreadable, or readable by others."""
    return [_load(path) for path in _files(folder)]


def bad_host_keys(folder: Path) -> list[SiteError]:
    """Return what is wrong with each host key of a site."""
    errors = []
    try:
        for path in _files(folder):
            try:
                _load(path)
            except SiteError as error:
                errors.append(error)
    except SiteError as error:
        errors.append(error)
    return errors


def _files(folder: Path) -> Sequence[Path]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 (pathlib's glob hides that a folder may not be read)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SiteError(f"host_keys: {error.strerror}") from None
    return [folder / name for name in sorted(names) if not name.endswith((".pub", ".md")) and name[0] != "."]


def _load(path: Path) -> asyncssh.SSHKey:
    try:
        if path.stat().st_mode & 0o077:
            raise SiteError(f"host_keys/{path.name}: readable by others; `chmod 600 {path}`")
        key = asyncssh.read_private_key(path)
    except OSError as error:
        raise SiteError(f"host_keys/{path.name}: {error.strerror}") from None
    except asyncssh.KeyImportError as error:
        raise SiteError(f"host_keys/{path.name}: {error}") from None
    if key.get_algorithm() == "ssh-rsa":
        raise SiteError(f"host_keys/{path.name}: an RSA host key; use Ed25519")
    return key


def make_key(path: Path, comment: str) -> asyncssh.SSHKey:
    """Make an Ed25519 key pair, the private half readable by its owner alone, and return it."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.export_private_key("openssh"))
    path.with_name(f"{path.name}.pub").write_bytes(key.export_public_key("openssh"))
    return key
