"""The shell as a person has it: the real OpenSSH client in the real terminal that tmux is."""

import asyncio
import contextlib
import os
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.client import PATIENCE, Door, run, until
from tests.test_step_up import write_anna
from tests.test_visitor_totp import code, wrong_code

pytestmark = pytest.mark.real
Serve = Callable[..., AbstractAsyncContextManager[Door]]


class Tmux:
    """One window of a tmux server of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        """Keep the server's socket in a folder of the test."""
        self._program = program
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMUX_TMPDIR": str(folder)}
        self._environment |= {"LANG": "C.UTF-8", "TERM": "xterm-256color", "SHELL": "/bin/sh"}

    async def do(self, *words: str) -> str:
        """Run a tmux command and return what it prints."""
        done = await run(self._program, "-u", "-f", "/dev/null", "-L", "sshhome", *words, environment=self._environment)
        assert done.status == 0, done.err
        return done.out

    @contextlib.asynccontextmanager
    async def running(self, command: str) -> AsyncIterator[None]:
        """Run a shell's command in a window of 80 by 24 until the end of the block."""
        await self.do("new-session", "-d", "-x", "80", "-y", "24", command)
        try:
            yield
        finally:
            await self.do("kill-server")

    async def type(self, *keys: str) -> None:
        """Press keys by tmux's names for them, or type text."""
        await self.do("send-keys", *keys)

    async def shows(self, condition: Callable[[list[str]], object]) -> None:
        """Wait until the lines on the screen fulfil a condition."""
        screen = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition(screen.rstrip().split("\n")):
                    screen = await self.do("capture-pane", "-p")
        except TimeoutError:
            raise AssertionError(f"the screen never showed what it should:\n{screen}") from None


def ssh(program: Callable[[str], str], door: Door, folder: Path, user: str, key: str) -> str:
    """Return the shell's command that logs somebody in."""
    words = [program("ssh"), "-F", "none", "-p", str(door.port), "-i", str(door.keys / key)]
    words += ["-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes"]
    words += ["-o", f"UserKnownHostsFile={folder}/known", "-o", "StrictHostKeyChecking=accept-new"]
    return shlex.join([*words, f"{user}@127.0.0.1"])


async def test_a_person_at_a_terminal(door: Door, program: Callable[[str], str], tmp_path: Path) -> None:
    """Login, Tab, an order, a resize, ^C and ^D work in a real terminal, and ssh ends with the shell's status."""
    tmux = Tmux(program("tmux"), tmp_path)
    async with tmux.running(f"{ssh(program, door, tmp_path, 'home', 'home')}; echo left with $?; read wait"):
        await tmux.shows(lambda lines: lines[-1] == "home@house>")
        await tmux.type("unl", "Tab")
        await tmux.shows(lambda lines: lines[-1] == "home@house> unlock")
        await tmux.type(" f", "Tab")
        await tmux.shows(lambda lines: lines[-1] == "home@house> unlock front_door")
        await tmux.type("Enter")
        await tmux.shows(lambda lines: lines[-2:] == ["front_door is unlocked", "home@house>"])

        await tmux.type("on k", "Tab")
        await tmux.shows(lambda lines: lines[-1].split() == ["kids", "Kids'", "room"])
        await tmux.type("Tab")
        await tmux.shows(lambda lines: "home@house> on kitchen" in lines)
        await tmux.type("Enter")
        await tmux.shows(lambda lines: lines[-2:] == ["kitchen is on", "home@house>"])

        await tmux.do("resize-window", "-x", "40", "-y", "12")
        long = "echo " + "wide " * 8 + "end"
        await tmux.type(long)
        await tmux.shows(lambda lines: "".join(lines[-2:]) == f"home@house> {long}" and len(lines[-2]) == 40)
        await tmux.do("resize-window", "-x", "80", "-y", "24")
        await tmux.shows(lambda lines: lines[-1] == f"home@house> {long}")
        await tmux.type("C-c")
        await tmux.shows(lambda lines: lines[-1] == "home@house>")

        with door.waiting_printer():
            await tmux.type("on printer", "Enter")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            await tmux.type("C-c")
            await tmux.shows(lambda lines: lines[-2:] == ["^C", "home@house>"])
        await tmux.type("C-d")
        await tmux.shows(lambda lines: lines[-1] == "left with 130")
    await until(lambda: not door.server.visitors)
    assert door.orders() == [("unlock", 0), ("on", 0), ("on", 0)]


async def test_the_house_closes_its_door(serve: Serve, program: Callable[[str], str], tmp_path: Path) -> None:
    """Whoever has typed half a line when the server ends is told why, on a line of its own."""
    tmux = Tmux(program("tmux"), tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        async with serve() as door:
            await stack.enter_async_context(
                tmux.running(f"{ssh(program, door, tmp_path, 'home', 'home')}; echo left with $?; read wait")
            )
            await tmux.shows(lambda lines: lines[-1] == "home@house>")
            await tmux.type("echo half")
            await tmux.shows(lambda lines: lines[-1] == "home@house> echo half")
        await tmux.shows(
            lambda lines: lines[-3:] == ["home@house> echo half", "the house is closing its door", "left with 69"]
        )


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
async def test_a_person_who_is_asked(door: Door, program: Callable[[str], str], tmp_path: Path, term: str) -> None:
    """A code that is typed is not seen, a yes is; ^C, a narrow window and three wrong codes do what they should."""
    write_anna(door)
    tmux = Tmux(program("tmux"), tmp_path)
    async with tmux.running(
        f"TERM={term} {ssh(program, door, tmp_path, 'anna', 'guest')}; echo left with $?; read wait"
    ):
        await tmux.shows(lambda lines: lines[-1] == "anna@house>")
        await tmux.type("unlock front_door", "Enter")
        await tmux.shows(lambda lines: lines[-1] == "unlock front_door: one-time code?")
        await tmux.type("1", "BSpace", code(), "Enter")
        await tmux.shows(lambda lines: lines[-2:] == ["front_door is unlocked", "anna@house>"])
        await tmux.shows(lambda lines: lines[-3:-2] == ["unlock front_door: one-time code?"])

        await tmux.do("resize-window", "-x", "20", "-y", "12")
        await tmux.type("unlock side_door", "Enter")
        await tmux.shows(lambda lines: lines[-2:] == ["unlock side_door:", "are you sure?"])
        await tmux.type("yes, I am", *["BSpace"] * 6)
        await tmux.shows(lambda lines: lines[-1] == "are you sure? yes")
        await tmux.type("C-c")
        await tmux.shows(lambda lines: lines[-2:] == ["are you sure? yes^C", "anna@house>"])
        await tmux.type("unlock side_door", "Enter")
        await tmux.shows(lambda lines: lines[-1] == "are you sure?")
        await tmux.type("yes", "Enter")
        await tmux.shows(lambda lines: lines[-2:] == ["unlocked", "anna@house>"])

        (session,) = door.server.visitors.sessions
        session.proved.clear()
        for number in range(3):
            # What is typed before the question is no answer to it.
            await tmux.shows(lambda lines: lines[-1] == "anna@house>")
            await tmux.type("lock front_door", "Enter")
            await tmux.shows(lambda lines: lines[-2:] == ["lock front_door:", "one-time code?"])
            await tmux.type(wrong_code(), "Enter")
            await until(lambda number=number: len(door.audit("login.failed")) == number + 1)  # type: ignore[misc]  # (bound at once)
        await tmux.shows(lambda lines: lines[-1] == "left with 77")
        await tmux.shows(lambda lines: not any(code() in line or wrong_code() in line for line in lines))
    await until(lambda: not door.server.visitors)
    assert door.orders() == [("unlock", 0), ("unlock", 77), ("unlock", 0), *[("lock", 77)] * 3]
