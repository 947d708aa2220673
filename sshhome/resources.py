"""What this process takes of the machine, as shares of what it may have; Linux tells it in /proc and /sys."""

import contextlib
import errno
import os
import resource
from pathlib import Path

from sshhome.config import Limits

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GROUP = Path("/sys/fs/cgroup/memory.max")


def shortage(limits: Limits) -> str:
    """Return what there is too little left of to let anybody else in, with the figures, or nothing."""
    memory, files = _memory_share(), _files_share()
    if memory > limits.memory:
        return f"memory {memory:.0%} of what there is, at most {limits.memory:.0%}"
    if files > limits.files:
        return f"open files {files:.0%} of what there may be, at most {limits.files:.0%}"
    return ""


def _memory_share() -> float:
    """Return resident memory as a share of the machine's, or of the control group's where that is less."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    whole = os.sysconf("SC_PHYS_PAGES") * _PAGE
    # There may be no control group, or one whose limit is the word `max`.
    with contextlib.suppress(OSError, ValueError):
        whole = min(whole, int(_GROUP.read_text(encoding="ascii")))
    return pages * _PAGE / whole


def _files_share() -> float:
    try:
        open_files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone, once a second)
    except OSError as error:
        # It takes a file to count them; without a /proc there is nothing to go by.
        return float(error.errno in {errno.EMFILE, errno.ENFILE})
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0.0 if soft == resource.RLIM_INFINITY else open_files / soft
