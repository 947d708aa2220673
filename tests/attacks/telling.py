"""The program itself, in a process that tells on SIGUSR1 how many tasks and open files it has."""

import asyncio
import ctypes
import gc
import itertools
import os
import signal
from pathlib import Path

from sshhome import app
from sshhome.cli import main

_numbers = itertools.count(1)


def tell(_number: int, _frame: object) -> None:
    """Let go of what nothing holds any more, and tell of the rest in one line."""
    gc.collect()
    # What has been freed goes back to the kernel, where the allocator can do that.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    tasks = len(asyncio.all_tasks())
    # The directory itself is open while it is listed.
    files = len(list(Path("/proc/self/fd").iterdir())) - 1
    os.write(1, f"load {next(_numbers)} {tasks} {files}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    # Loaded before the attack, so that it is not taken for what the attack costs.
    app.warm_up()
    main()
