"""What Linux tells of a process and of all that descend from it: CPU time and memory (proc(5))."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> Mapping[int, Sequence[str]]:
    """Return a process and its living descendants: by pid, what `stat` says after the name, the state first."""
    stats: dict[int, Sequence[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # The name stands in parentheses and may hold anything, a parenthesis too.
                stats[int(folder.name)] = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    found = {root: stats[root]} if root in stats else {}
    generation = set(found)
    while generation:
        generation = {pid for pid, fields in stats.items() if int(fields[1]) in generation}
        found |= {pid: stats[pid] for pid in generation}
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process tree, user and system, with all its dead that were waited for.

    It is exact to a tick (10 ms) a process, so what is measured has to last far longer.
    """
    return sum(int(ticks) for fields in tree(root).values() for ticks in fields[11:15]) / _TICKS


def pss_kib(root: int) -> int:
    """Return the proportional set size of a process tree in KiB: a page that n processes share counts 1/n for each."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
