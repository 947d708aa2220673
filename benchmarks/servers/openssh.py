"""OpenSSH's own server with a forced command: a dash script that says the same line."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.server import ANSWER, ATTACKER, PATIENCE, Server, Unmeasured
from sshhome.hostkey import make_key

# Whatever is not needed here is off, so that sshd does as little as it can. SHLVL keeps bash from its start files,
# which it reads for the first shell of an SSH login and which may cost more than sshd itself.
_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
{command}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
LogLevel ERROR
MaxStartups 3000
PerSourceMaxStartups {startups}
MaxSessions 200
SetEnv SHLVL=2
"""
#: More than our clients log in at once.
_STARTUPS = 16
_SEPARATION = Path("/run/sshd")
# With a /etc/passwd of its own, where it may mount one, it lets in a user with a plain shell and, as on a real
# host, fewer rights than the listener; else it has to be the user who runs this.
_PRIVATE = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"')


def server() -> Server:
    """Return Debian's sshd; raises Unmeasured when it is not installed."""
    return _server("sshd", "ForceCommand {folder}/answer")


def bash() -> Server:
    """Return the same with bash behind it, which edits its lines with readline."""
    return _server("sshd and bash", "ForceCommand bash --norc --noprofile -i")


def _server(title: str, forced: str) -> Server:
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unmeasured("sshd is missing; on Debian: apt install openssh-server")
    private = not subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode

    def command(folder: Path, port: int, public_key: str) -> Sequence[str]:
        make_key(folder / "host_key", "sshd")
        forced_here = forced.format(folder=folder)
        texts = {
            "authorized_keys": public_key,
            "answer": f"#!/bin/sh\necho {ANSWER}",
            "config": _CONFIG.format(port=port, folder=folder, startups=_STARTUPS, command=forced_here),
            "passwd": "home:x:65534:65534::/:/bin/sh\n" + Path("/etc/passwd").read_text(encoding="utf-8"),
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            # Whatever the umask says: the user reads some, and runs one.
            (folder / name).chmod(0o755)
        if os.geteuid() == 0:
            # Debian's service makes it, which need not have run.
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        serve = [program, "-D", "-f", str(folder / "config")]
        return [*_PRIVATE, str(folder / "passwd"), *serve] if private else serve

    return Server(title, "home" if private else getpass.getuser(), command, _shut)


@contextlib.contextmanager
def _shut(port: int) -> Iterator[None]:
    """Let the attacker hold as many connections as one source may have that have yet to log in."""
    with contextlib.ExitStack() as stack:
        for _ in range(_STARTUPS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE, (ATTACKER, 0)))
            client.recv(64)
        yield
