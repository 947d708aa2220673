"""The house's own key: made on the first serve, never readable by anyone else."""

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from sshhome.errors import SiteError


def load_host_keys(folder: Path) -> Sequence[asyncssh.SSHKey]:
    """Return the host keys of a site; raises SiteError for one that is unreadable, or readable by others."""
    keys = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.suffix in {".pub", ".md"} or path.name.startswith("."):
            continue
        try:
            if path.stat().st_mode & 0o077:
                raise SiteError(f"host_keys/{path.name}: readable by others; `chmod 600 {path}`")
            key = asyncssh.read_private_key(path)
        except (OSError, asyncssh.KeyImportError) as error:
            raise SiteError(f"host_keys/{path.name}: {error}") from None
        if key.get_algorithm() == "ssh-rsa":
            raise SiteError(f"host_keys/{path.name}: an RSA host key; use Ed25519")
        keys.append(key)
    return keys


def make_key(path: Path, comment: str) -> asyncssh.SSHKey:
    """Make an Ed25519 key pair, the private half readable by its owner alone, and return it."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.export_private_key("openssh"))
    path.with_name(f"{path.name}.pub").write_bytes(key.export_public_key("openssh"))
    return key
