"""A question in the shell: what answers it, what is seen of that, and what a hostile or a vanished terminal can do."""

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncssh
import pytest

from sshhome.channels import SessionChannel
from sshhome.channels.prompt import Prompt
from sshhome.channels.question import Question
from sshhome.errors import SiteError
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Context, Registry, order
from tests.client import PATIENCE, Door, RawChannel, Terminal, ask, until
from tests.conftest import FixedClock
from tests.loop import advance, turns

Serve = Callable[..., AbstractAsyncContextManager[Door]]

CTRL_C, CTRL_D, CTRL_U, BACKSPACE, UP = "\x03", "\x04", "\x15", "\x7f", "\x1b[A"
TERMS = pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
HIDDEN = pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Give everybody two orders that ask, `say` and `hush`; return what they were told."""
    told: list[str | None] = []
    own = Registry()

    async def asks(ctx: Context, question: str, *, hidden: bool) -> None:
        assert ctx.session.ask is not None
        told.append(await ctx.session.ask(question, hidden))

    @order("say", needs=Privilege.READ, says="heard", registry=own)
    async def say(ctx: Context) -> None:
        """Ask for something that may be seen."""
        await asks(ctx, "what is it? ", hidden=False)

    @order("hush", needs=Privilege.READ, says="heard", registry=own)
    async def hush(ctx: Context) -> None:
        """Ask for something that may not be seen."""
        await asks(ctx, "secret: ", hidden=True)

    @order("long", needs=Privilege.READ, says="heard", registry=own)
    async def long(ctx: Context) -> None:
        """Ask at length."""
        await asks(ctx, "unlock the front door, the side door and the garage: are you sure? ", hidden=False)

    for made in own:
        monkeypatch.setitem(REGISTRY._orders, made.name, made)
    return told


@contextlib.asynccontextmanager
async def asking(
    door: Door, line: str = "say", term: str = "xterm-256color", columns: int = 80, rows: int = 24
) -> AsyncIterator[Terminal]:
    """Open a shell and give an order that asks."""
    async with door.connect("home") as connection, Terminal.open(connection, columns, rows, term) as screen:
        screen.type(f"{line}\r")
        await until(lambda: question_of(door) is not None)
        await until(lambda: screen.last.endswith(("?", "secret:")))
        yield screen


def prompts(door: Door) -> list[Prompt]:
    """Return all shells."""
    channels = [c._session for visitor in door.server.visitors for c in visitor.connection._channels.values()]
    readers = [getattr(c._reader, "__self__", None) for c in channels if isinstance(c, SessionChannel)]
    return [reader for reader in readers if isinstance(reader, Prompt)]


def question_of(door: Door) -> Question | None:
    """Return the question that is open, if one is."""
    return next((prompt.question for prompt in prompts(door) if prompt.question is not None), None)


async def back(screen: Terminal) -> None:
    """Wait for the prompt."""
    await until(lambda: screen.last == "home@house>")


async def still_works(screen: Terminal) -> None:
    """Drop what is on the line, and give an order."""
    screen.screen.reset()
    screen.type(f"{CTRL_C}{CTRL_C}\r")
    screen.type("upper still works\r")
    await screen.shows("STILL WORKS")


async def open_raw(connection: asyncssh.SSHClientConnection, term: str) -> RawChannel:
    """Open a shell that sends and gets bytes as they are, and wait for its prompt."""
    raw = await RawChannel.open(connection)
    assert await raw.terminal(term)
    assert await raw.ask("shell")
    raw.channel.set_encoding("latin-1")
    await until(lambda: "@house>" in raw.heard.out)
    return raw


# -- what is typed, and what is seen of it ----------------------------------------------------------------------------


@TERMS
@HIDDEN
@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("yes\r", "yes"),
        ("yes\n", "yes"),
        ("two words \r", "two words "),
        ("\r", ""),
        (f"nope{BACKSPACE * 4}yes\r", "yes"),
        (f"{BACKSPACE * 3}\byes\r", "yes"),
        (f"nope{CTRL_U}yes\r", "yes"),
        ("grün 日本\r", "grün 日本"),
        (f"日{BACKSPACE}yes\r", "yes"),
        ("y\x00e\x01s\x07\t\x0b\x1f\r", "yes"),
        (f"y{UP}e\x1b[D\x1b[1;5Cs\x1bOA\x1b[3~\x1b[15~\r", "yes"),
        ("y\x1b[<0;10;10Me\x1b[<0;10;10ms\x1b[M !!\r", "yes"),
        ("\x1b[[Ay\x1b[24;80Res\x1b[?62;22c\r", "yes"),
        ("\x1b]11;rgb:0000/0000/0000\x07yes\x1b]0;title\x1b\\\x1bP>|term\x1b\\\r", "yes"),
        ("\x1b[200~yes\x1b[201~\r", "yes"),
        ("\x1byes\r", "yes"),
        ("yes\x1b\r", "yes"),
        ("yes\x1b[12\r", "yes"),
        ("y\u200be\u202es\r", "y\ufffde\ufffds"),
        ("x" * 300 + "\r", "x" * 256),
    ],
    ids=ascii,
)
async def test_what_is_typed(
    door: Door, answers: list[str | None], term: str, typed: str, answer: str, *, hidden: bool
) -> None:
    """Characters, Backspace and ^U make the answer, Enter gives it; keys without a character and mice are nothing."""
    async with asking(door, "hush" if hidden else "say", term) as screen:
        screen.type(typed)
        await screen.shows("heard")
        await back(screen)
        shown = str(screen).splitlines()
        assert shown[1].startswith("home@house> ")
        if hidden:
            assert shown[2:] == ["secret:", "heard", "home@house>"]
        elif answer.isascii() and len(answer) < 60:
            assert shown[2:] == [f"what is it? {answer}".rstrip(), "heard", "home@house>"]
        await still_works(screen)
    assert answers == [answer]
    assert [name for name, _ in door.orders()] == ["hush" if hidden else "say", "upper"]


@TERMS
@pytest.mark.parametrize(
    ("typed", "answer"), [("ab", "ab"), (f"abc{BACKSPACE}", "ab"), (f"xyz{CTRL_U}ab", "ab"), (f"日本{BACKSPACE}", "日")]
)
async def test_each_key_is_seen(door: Door, answers: list[str | None], term: str, typed: str, answer: str) -> None:
    """What is typed is echoed key by key, and what is taken back goes from the screen."""
    async with asking(door, "say", term) as screen:
        for key in typed:
            before = str(screen)
            screen.type(key)
            await until(lambda before=before: str(screen) != before)  # type: ignore[misc]  # (bound at once)
        assert screen.last == f"what is it? {answer}"
        assert not answers


@TERMS
@pytest.mark.parametrize("columns", [8, 20, 40, 79])
async def test_a_narrow_terminal(door: Door, answers: list[str | None], term: str, columns: int) -> None:
    """A question wider than the terminal breaks between words, and an answer can be taken back over its edge."""
    asked = "unlock the front door, the side door and the garage: are you sure?"
    async with asking(door, "long", term, columns) as screen:
        assert all(len(line) <= columns for line in str(screen).splitlines())
        shown = " ".join(str(screen).split())
        assert shown.endswith(asked)
        screen.type("y" * 30)
        await until(lambda: "".join(str(screen).split()).endswith("?" + "y" * 30))
        for left in range(29, -1, -1):
            screen.type(BACKSPACE)
            end = "?" + "y" * left
            await until(lambda end=end: "".join(str(screen).split()).endswith(end))  # type: ignore[misc]  # (bound at once)
        screen.type("yes\r")
        await screen.shows("heard")
        await until(lambda: screen.last.endswith(">"))
    assert answers == ["yes"]


@TERMS
@HIDDEN
async def test_an_answer_is_kept_nowhere(
    door: Door, answers: list[str | None], term: str, caplog: pytest.LogCaptureFixture, *, hidden: bool
) -> None:
    """An answer is in no history, no log and no file of the site, and nothing completes it."""
    async with asking(door, "hush" if hidden else "say", term) as screen:
        screen.type("xyzzy\r")
        await screen.shows("heard")
        await back(screen)
        screen.screen.reset()
        screen.type(UP if term != "dumb" else "\r")
        await until(lambda: screen.last.endswith("hush" if hidden else "say") or term == "dumb")
        screen.type(f"{UP}xy\t")
        await turns()
        assert "xyzzy" not in str(screen)
        (session,) = door.server.visitors.sessions
        assert session.asked is None
    assert answers == ["xyzzy"]
    assert "xyzzy" not in caplog.text
    assert "xyzzy" not in "".join(door.server.visitors.dispatch.recall.lines("home"))
    for path in filter(Path.is_file, (door.site.path / "state").rglob("*")):
        assert b"xyzzy" not in path.read_bytes(), path


# -- giving up --------------------------------------------------------------------------------------------------------


@TERMS
@HIDDEN
@pytest.mark.parametrize("how", ["^C", "^D", "signal", "break", "end of input"])
async def test_giving_up(door: Door, answers: list[str | None], term: str, how: str, *, hidden: bool) -> None:
    """^C, ^D, `ssh`'s break and the end of the input are no answer, whatever has been typed."""
    async with asking(door, "hush" if hidden else "say", term) as screen:
        screen.type("half")
        await until(lambda: hidden or screen.last.endswith("half"))
        match how:
            case "^C":
                screen.type(CTRL_C)
            case "^D":
                screen.type(CTRL_D)
            case "signal":
                screen.process.send_signal("INT")
            case "break":
                screen.process.send_break(1)
            case _:
                screen.process.stdin.write_eof()
        await until(lambda: answers)
        if how == "end of input":
            await screen.process.wait_closed()
        else:
            await back(screen)
            await still_works(screen)
    assert answers == [None]
    assert door.orders()[0] == ("hush" if hidden else "say", 0)


@TERMS
async def test_ctrl_c_gives_the_prompt_back_at_once(door: Door, answers: list[str | None], term: str) -> None:
    """^C says so on the line of the question, what was typed behind it is kept, and the line goes no further."""
    async with asking(door, "hush; echo not run", term) as screen:
        screen.type(f"half{CTRL_C}echo next\r")
        shown = ["secret: ^C", "home@house> echo next", "next", "home@house>"]
        await until(lambda: str(screen).splitlines()[2:] == shown)
    assert answers == [None]
    assert door.orders() == [("hush", 0), ("echo", 0)]


@TERMS
async def test_nobody_answers(serve: Serve, answers: list[str | None], term: str) -> None:
    """While somebody is asked a session is not idle; when the order has given up it is, from then on."""
    async with serve('[limits]\nidle = "40s"\norder_timeout = "60s"') as door, asking(door, "say", term) as screen:
        for _ in range(5):
            advance(10)
            await turns()
            assert "idle" not in str(screen)
        advance(11)
        await screen.shows("error: 'say' took longer than 60 s")
        await back(screen)
        assert question_of(door) is None
        advance(19)
        await turns()
        assert "idle" not in str(screen)
        advance(2)
        await screen.shows("idle: this session ends in ")
        advance(20)
        await screen.process.wait_closed()
        assert screen.process.exit_status == 124
    assert answers == []


# -- what was typed before --------------------------------------------------------------------------------------------


@TERMS
@HIDDEN
async def test_what_was_typed_ahead_is_no_answer(
    door: Door, answers: list[str | None], term: str, *, hidden: bool
) -> None:
    """What is typed before a question can be read does not answer it, is not seen, and is not run either."""
    asks = "hush" if hidden else "say"
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        screen.type(f"{asks}\rxyzzy\recho xyzzy\rxyzzy")
        await until(lambda: question_of(door))
        await turns()
        assert answers == []
        screen.type("now\r")
        await screen.shows("heard")
        await back(screen)
        assert "xyzzy" not in str(screen)
        with door.waiting_printer():
            screen.type(f"on printer; {asks}\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            screen.type("xyzzy\rxyzzy")
            await until(lambda: heard_all(door, "xyzzy"))
        await until(lambda: question_of(door))
        screen.type("again\r")
        await until(lambda: len(answers) == 2)
        await back(screen)
        assert "xyzzy" not in str(screen)
    assert answers == ["now", "again"]
    assert [name for name, _ in door.orders()] == [asks, "on", asks]


def heard_all(door: Door, text: str) -> bool:
    """Return whether a text has come as far as the one shell."""
    (prompt,) = prompts(door)
    waiting: object = getattr(prompt, "_text", None)
    if isinstance(waiting, asyncio.Queue):
        return text in str(waiting)
    return "".join(press.data for press in getattr(prompt, "_ahead", [])).endswith(text)


@TERMS
@pytest.mark.parametrize("ahead", ["\x1b[", "\x1b[200~pas", "\x1b[1;", "\x1b", "\x1b]0;", "\x16"], ids=ascii)
async def test_half_a_key_before(door: Door, answers: list[str | None], term: str, ahead: str) -> None:
    """Half a key, or half a paste, before the question takes nothing away from the answer, nor from what follows."""
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        with door.waiting_printer():
            screen.type("on printer; say\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            screen.type(ahead)
            await ask(connection, "echo heard")
        await until(lambda: question_of(door))
        screen.type("yes\r")
        await until(lambda: answers)
        await back(screen)
        await screen.give("echo after", "after")
    assert answers == ["yes"]


@TERMS
async def test_much_typed_ahead(door: Door, answers: list[str | None], term: str) -> None:
    """So much typed ahead that the client was made to wait is dropped, in whole lines and halves, and not run."""
    async with door.connect("home") as connection:
        raw = await open_raw(connection, term)
        with door.waiting_printer():
            raw.channel.write("on printer; say\r")
            await until(lambda: door.server.visitors.dispatch.house._waiting)
            raw.channel.write("echo xyzzy\r" * 5_000)
            (visitor,) = door.server.visitors
            (channel,) = visitor.connection._channels.values()
            await until(lambda: channel._recv_paused or not raw.channel.get_write_buffer_size())
            assert (await ask(connection, "echo served")).out == "served\n"
        await until(lambda: question_of(door) or answers)
        assert not getattr(getattr(prompts(door)[0], "_input", None), "_paused", False)
        raw.channel.write(CTRL_C * 2)
        await until(lambda: not raw.channel.get_write_buffer_size())
        raw.channel.write("\x15upper still works\r")
        await until(lambda: "STILL WORKS" in raw.heard.out)
    assert set(door.orders()) <= {("on", 0), ("say", 0), ("echo", 0), ("upper", 0)}


@TERMS
async def test_the_end_of_input_typed_ahead(door: Door, answers: list[str | None], term: str) -> None:
    """A client whose input has ended is asked nothing: the order is told at once, and the shell ends."""
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        screen.type("say\rsay\r")
        screen.process.stdin.write_eof()
        await screen.process.wait_closed()
    assert set(answers) == {None}
    assert ("say", 0) in door.orders()


# -- while a question is open -----------------------------------------------------------------------------------------


@TERMS
@pytest.mark.parametrize(("line", "again"), [("say", "what is it? ye"), ("hush", "secret:")])
async def test_a_notice(door: Door, answers: list[str | None], term: str, line: str, again: str) -> None:
    """A line that must be seen now stands above the question, which is shown again with what was typed."""
    async with asking(door, line, term) as screen:
        screen.type("ye")
        await until(lambda: screen.last == again)
        await ask_heard(door)
        (prompt,) = prompts(door)
        prompt.channel.notice("the house is on fire")
        await until(lambda: str(screen).splitlines()[-2:] == ["the house is on fire", again])
        screen.type("s\r")
        await screen.shows("heard")
        await back(screen)
        assert str(screen).splitlines()[-2:] == ["heard", "home@house>"]
    assert answers == ["yes"]


async def ask_heard(door: Door) -> None:
    """Wait until what was typed has come as far as the question."""
    question = question_of(door)
    assert question is not None
    await until(lambda: question._typed)


@TERMS
@HIDDEN
async def test_another_size(door: Door, answers: list[str | None], term: str, *, hidden: bool) -> None:
    """The window may change while somebody is asked, several times and to any size."""
    async with asking(door, "hush" if hidden else "long", term) as screen:
        screen.type("ye")
        await ask_heard(door)
        for columns, rows in ((40, 10), (1, 1), (500, 300), (80, 24)):
            screen.process.change_terminal_size(columns, rows)
            await until(lambda size=(columns, rows): prompts(door)[0].channel._channel.get_terminal_size()[:2] == size)  # type: ignore[misc,union-attr]  # (bound at once)
            advance(1)
            await turns()
        screen.type("s\r")
        await until(lambda: answers)
        await back(screen)
        await still_works(screen)
    assert answers == ["yes"]


@TERMS
@pytest.mark.parametrize("how", ["abort", "close", "close the channel"])
async def test_a_client_that_vanishes(door: Door, answers: list[str | None], term: str, how: str) -> None:
    """When whoever is asked is gone the order is told so, and nothing of the question stays behind."""
    before = len(asyncio.all_tasks())
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        screen.type("hush\r")
        await until(lambda: question_of(door))
        screen.type("half")
        await ask_heard(door)
        match how:
            case "abort":
                connection.abort()
            case "close":
                connection.close()
            case _:
                screen.process.close()
        await until(lambda: answers)
        await until(lambda: not door.server.visitors.sessions.count("home"))
    await until(lambda: not list(door.server.visitors))
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert answers == [None]
    assert door.orders() == [("hush", 0)]
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Question)]


@TERMS
async def test_giving_up_twice(door: Door, answers: list[str | None], term: str) -> None:
    """An input that ends and an interrupt in the same breath are one giving up."""
    async with asking(door, "say", term) as screen:
        (prompt,) = prompts(door)
        prompt.read(None)
        prompt.read(CTRL_C)
        await screen.process.wait_closed()
    assert answers == [None]


@TERMS
async def test_an_interrupted_order_asks_nobody(
    door: Door, answers: list[str | None], monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    """An order that goes on after ^C takes neither the next line's question nor what is typed for it."""
    own, go_on = Registry(), asyncio.Event()

    @order("later", needs=Privilege.READ, says="heard", registry=own)
    async def later(ctx: Context) -> None:
        """Ask when it is too late."""
        await go_on.wait()
        assert ctx.session.ask is not None
        answers.append(await ctx.session.ask("what was it? ", False))

    (made,) = own
    monkeypatch.setitem(REGISTRY._orders, made.name, made)
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        screen.type("later\r")
        await until(lambda: door.server.visitors.dispatch._running)
        screen.type(CTRL_C)
        await until(lambda: str(screen).count("home@house>") == 2)
        screen.type("say\r")
        await screen.shows("what is it?")
        screen.type("ye")
        await ask_heard(door)
        go_on.set()
        await until(lambda: answers)
        screen.type("s\r")
        await screen.shows("heard")
        await back(screen)
        assert "what was it" not in str(screen)
    assert answers == [None, "yes"]


@TERMS
async def test_an_answer_that_comes_too_late(door: Door, answers: list[str | None], term: str) -> None:
    """What is typed once the session has been ended answers nothing."""
    async with asking(door, "say", term) as screen:
        (session,) = door.server.visitors.sessions
        session.end("enough")
        with contextlib.suppress(OSError):
            screen.type("yes\r")
        await until(lambda: answers)
        await screen.process.wait_closed()
    assert answers == [None]


async def test_many_are_asked_at_once(door: Door, answers: list[str | None]) -> None:
    """Ten sessions are asked at once, five a connection, and each answer goes to its own question."""
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(door.connect("home")) for _ in range(2)]
        screens = [
            await stack.enter_async_context(
                Terminal.open(connections[number % 2], term="dumb" if number % 3 else "xterm")
            )
            for number in range(10)
        ]
        for screen in screens:
            screen.type("say\r")
            await screen.shows("what is it?")
        assert len([prompt for prompt in prompts(door) if prompt.question]) == 10
        for number in reversed(range(10)):
            screens[number].type(f"answer {number}\r")
            await screens[number].shows("heard")
            assert answers[-1] == f"answer {number}"
    assert len(answers) == 10


@TERMS
async def test_question_after_question(door: Door, answers: list[str | None], term: str) -> None:
    """Several questions of one line are asked one after the other; the newline after one is no answer to the next."""
    async with asking(door, "say; hush; say", term) as screen:
        screen.type("one\r\n")
        await screen.shows("secret:")
        screen.type("two\r\n\r\n")
        await until(lambda: str(screen).count("what is it?") == 2)
        assert answers == ["one", "two"]
        screen.type("three\r")
        await until(lambda: len(answers) == 3)
        await back(screen)
        assert "two" not in str(screen)
    assert answers == ["one", "two", "three"]


# -- a hostile terminal -----------------------------------------------------------------------------------------------

FLOODS = {
    "keys": "x" * 10_000,
    "a megabyte of keys": "x" * 1_000_000,
    "keys taken back": f"x{BACKSPACE}" * 200_000,
    "wide keys taken back": f"日{BACKSPACE}".encode().decode("latin-1") * 50_000,
    "a paste": "\x1b[200~" + "pasted " * 100_000 + "\x1b[201~",
    "a long sequence": "\x1b[" + "1" * 500_000,
    "a text that never ends": "\x1b]" + "x" * 500_000,
    "escapes": "\x1b" * 100_000,
    "mice": "\x1b[<0;10;10M" * 20_000,
    "^U": "x\x15" * 200_000,
    "tabs": "\t" * 100_000,
}


@pytest.mark.flood
@TERMS
@HIDDEN
@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_while_asked(
    door: Door, answers: list[str | None], term: str, flood: str, *, hidden: bool
) -> None:
    """While one terminal floods a question others are served, little comes back, and the answer is bounded."""
    async with door.connect("home") as hostile, door.connect("guest") as other:
        raw = await open_raw(hostile, term)
        raw.channel.write("hush\r" if hidden else "say\r")
        await until(lambda: question_of(door))
        question = question_of(door)
        assert question is not None
        raw.heard.out = ""
        raw.channel.write(FLOODS[flood])
        for _ in range(3):
            assert (await ask(other, "echo served")).out == "served\n"
        async with asyncio.timeout(PATIENCE):
            while raw.channel.get_write_buffer_size():
                await asyncio.sleep(0)
                assert len(question._typed) <= 256
                assert len(question._sequence) <= 32
        raw.channel.write("\x15end\r")
        await until(lambda: answers)
        await until(lambda: "heard" in raw.heard.out)
        assert len(raw.heard.out) < 64 * 1024
    assert answers == ["end"]


@TERMS
async def test_any_bytes_while_asked(door: Door, answers: list[str | None], term: str) -> None:
    """No ten thousand bytes by chance do anything but answer or give up, and the shell goes on after each."""
    chance = random.Random(4)  # noqa: S311 (a test's own chance)
    async with door.connect("home") as connection:
        raw = await open_raw(connection, term)
        for _ in range(5):
            before = len(answers)
            raw.channel.write("\x03\x03\x15hush\r")
            await until(lambda: question_of(door))
            raw.channel.write(
                "".join(map(chr, (byte for byte in chance.randbytes(2_000) if byte not in b"\r\n\x03\x04")))
            )
            raw.channel.write("\x1b[20\x15end\r")
            await until(lambda before=before: len(answers) > before)  # type: ignore[misc]  # (bound at once)
            assert answers[-1] == "end"
        for byte in range(256):
            before = len(answers)
            raw.channel.write("\x03\x15hush\r")
            await until(lambda: question_of(door))
            raw.channel.write(chr(byte))
            if byte not in b"\r\n\x03\x04":
                raw.channel.write("\x1b" + chr(byte) + "\x15end\r" if byte not in b"\x1b" else "\x15end\r")
            await until(lambda before=before: len(answers) > before)  # type: ignore[misc]  # (bound at once)
        raw.heard.out = ""
        raw.channel.write("\x03\x03\x15upper still works\r")
        await until(lambda: "STILL WORKS" in raw.heard.out)
    assert {name for name, _ in door.orders()} == {"hush", "upper"}


async def test_a_question_cut_into_packets(door: Door, answers: list[str | None]) -> None:
    """However the bytes of an answer are cut into packets, it is the same answer."""
    typed = f"grün\x1b[D\x1b[<0;1;1M日x{BACKSPACE}\x1bOA\x1b]0;a\x1b\\!\r".encode()
    async with door.connect("home") as connection:
        raw = await open_raw(connection, "xterm")
        for at in range(1, len(typed)):
            raw.channel.write("say\r")
            await until(lambda: question_of(door))
            for part in (typed[:at], typed[at:]):
                raw.channel.write(part.decode("latin-1"))
                await turns()
            await until(lambda at=at: len(answers) == at)  # type: ignore[misc]  # (bound at once)
    assert set(answers) == {"grün日!"}


# -- the greeting -----------------------------------------------------------------------------------------------------


@TERMS
async def test_failed_tries_are_told(door: Door, clock: FixedClock, term: str) -> None:
    """Whoever comes in is told when they came in last, and how often somebody has tried in vain since then."""

    async def greeting() -> list[str]:
        async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
            return str(screen).splitlines()[1:-1]

    async def fail(times: int) -> None:
        for _ in range(times):
            assert (await door.ask("home", "echo", password="wrong horse", source="127.0.0.7")).status == 255

    await fail(1)
    assert await greeting() == []
    clock.advance(60)
    assert await greeting() == ["last login today 14:00 from 127.0.0.1"]
    clock.advance(86400)
    await fail(3)
    assert await greeting() == ["last login Tue 2 Jun 14:01 from 127.0.0.1, and 3 failed tries since"]
    await fail(1)
    assert await greeting() == ["last login today 14:01 from 127.0.0.1, and 1 failed try since"]


@TERMS
async def test_a_greeting_without_a_store(door: Door, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """A store that cannot be read keeps nobody out of the shell."""

    async def broken(_user: str) -> list[object]:
        raise SiteError("the disk is gone")

    monkeypatch.setattr(door.server.visitors.dispatch.store, "logins", broken)
    async with door.connect("home") as connection, Terminal.open(connection, term=term) as screen:
        await screen.give("echo in", "in")
