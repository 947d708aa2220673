"""The command line: sshhome, bare asyncssh and OpenSSH's sshd side by side, interleaved in one run."""

import argparse
import shutil
import signal
import sys

from benchmarks import report
from benchmarks.measures import MEASURES, Effort, command
from benchmarks.run import Run
from benchmarks.servers import bare, openssh, sshhome

_FULL = Effort(rounds=3, commands=8, connections=48, seconds=1.5)
_QUICK = Effort(rounds=1, commands=4, connections=48, seconds=0.4)


def main() -> int:
    """Measure and print; return 0 whatever the figures are, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 s instead of 2 minutes, for rougher figures")
    arguments = parser.parse_args()
    # An exception, so that the servers are ended as they are on ^C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(_QUICK if arguments.quick else _FULL)
    measures = list(MEASURES)
    if shutil.which("ssh") is None:
        run.fail(command.__name__, "ssh is missing; on Debian: apt install openssh-client")
        measures.remove(command)
    try:
        run.measure((sshhome.server, bare.server, openssh.server), measures)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    report.show(run.results, run.names)
    print(report.verdict(run.results, "sshhome", "sshd"))
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
