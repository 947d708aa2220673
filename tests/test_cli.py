"""The command line, through its real entry point: what each command does, and one clear line for each mistake."""

import asyncio
import contextlib
import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import argon2
import asyncssh
import pytest

from sshhome import __version__, app, backends, stores
from sshhome.backends import simulated
from sshhome.errors import SiteError
from sshhome.hostkey import make_key
from sshhome.order import REGISTRY
from sshhome.reference import markdown
from sshhome.stores import sqlite
from tests.client import PATIENCE, Answer, until
from tests.process import Operator, Process, everything, lines, without_override

#: A user file as somebody wrote it by hand; the place of a key stands open.
BY_HAND = """\
# Anna comes on Tuesdays.
name = "Anna"   # as it is shown
roles = ["guest"]

keys = [
  # her laptop
  "{key}",
]

# What she may do besides.
grants = ["control:@study"]  # until June
"""


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Return somebody whose home directory is empty."""
    return Operator(tmp_path / "operator")


def public(keys: Path, name: str) -> str:
    """Return a person's public key."""
    return (keys / f"{name}.pub").read_text().strip()


async def logs_in(address: str, user: str, **how: object) -> bool:
    """Return whether a user can log in to a served house."""
    host, _, port = address.rpartition(":")
    try:
        async with (
            asyncio.timeout(PATIENCE),
            asyncssh.connect(
                host, int(port), username=user, known_hosts=None, config=None, agent_path=None, **how
            ) as connection,
        ):
            return (await connection.run("whoami")).stdout == f"{user}"
    except asyncssh.PermissionDenied:
        return False
