"""OpenSSH's own server with a forced command: a dash script that says the same line."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.server import ANSWER, Server, Unmeasured
from sshhome.hostkey import make_key

# Whatever is not needed here is off, so that sshd does as little as it can. SHLVL keeps bash from its start files,
# which it reads for the first shell of an SSH login and which may cost more than sshd itself.
_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
ForceCommand {folder}/answer
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
LogLevel ERROR
MaxStartups 3000
MaxSessions 200
SetEnv SHLVL=2
"""
_SEPARATION = Path("/run/sshd")
# With a /etc/passwd of its own, where it may mount one, it lets in a user with a plain shell and, as on a real
# host, fewer rights than the listener; else it has to be the user who runs this.
_PRIVATE = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"')


def server() -> Server:
    """Return Debian's sshd; raises Unmeasured when it is not installed."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unmeasured("sshd is missing; on Debian: apt install openssh-server")
    private = not subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode

    def command(folder: Path, port: int, public_key: str) -> Sequence[str]:
        make_key(folder / "host_key", "sshd")
        (folder / "authorized_keys").write_text(public_key, encoding="utf-8")
        (folder / "answer").write_text(f"#!/bin/sh\necho {ANSWER}", encoding="utf-8")
        (folder / "answer").chmod(0o755)
        (folder / "config").write_text(_CONFIG.format(port=port, folder=folder), encoding="utf-8")
        if os.geteuid() == 0:
            # Debian's service makes it, which need not have run.
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        serve = [program, "-D", "-f", str(folder / "config")]
        if not private:
            return serve
        users = Path("/etc/passwd").read_text(encoding="utf-8")
        (folder / "passwd").write_text(f"home:x:65534:65534::/:/bin/sh\n{users}", encoding="utf-8")
        return [*_PRIVATE, str(folder / "passwd"), *serve]

    return Server("sshd", "home" if private else getpass.getuser(), command)
