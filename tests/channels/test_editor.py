"""The line editor: what `?` tells, ghosts of earlier lines, ^R, vi's keys, names cut short, and how it is drawn."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pyte
import pytest
from asyncssh.packet import String
from prompt_toolkit.key_binding.vi_state import InputMode

from sshhome.channels import SessionChannel
from sshhome.channels.painter import TONES, Painter, clipped, width, wrapped
from sshhome.recall import Options
from tests.client import Door, RawChannel, Terminal, until
from tests.loop import advance

CTRL_C, CTRL_D, CTRL_G, CTRL_R, UP, RIGHT, ESC = "\x03", "\x04", "\x07", "\x12", "\x1b[A", "\x1b[C", "\x1b"
TERMS = pytest.mark.parametrize("term", ["xterm-256color", "dumb"])


@contextlib.asynccontextmanager
async def shell(
    door: Door, user: str = "home", columns: int = 80, term: str = "xterm-256color", rows: int = 80
) -> AsyncIterator[Terminal]:
    """Log in and open a shell."""
    async with door.connect(user) as connection, Terminal.open(connection, columns, rows, term) as screen:
        yield screen


async def prompt(screen: Terminal, line: str, user: str = "home") -> None:
    """Wait until the last line is the prompt with this text."""
    await until(lambda: screen.last == f"{user}@house> {line}".rstrip())


async def escape(door: Door, screen: Terminal, typed: str) -> None:
    """Type a text and Escape, and let the time pass in which something could follow that."""
    *_, session = door.server.visitors.sessions
    editor = getattr(session.tell, "__self__")._editor  # noqa: B009 (what is told goes to the shell)
    screen.type(f"{typed}{ESC}")
    await until(lambda: editor._escaping is not None)
    advance(0.6)
    await until(lambda: editor.vi_state.input_mode is InputMode.NAVIGATION)


async def test_what_is_the_same_for_all_is_made_once(door: Door) -> None:
    """Two shells share their key bindings, of which there are hundreds: an idle one weighs little."""
    async with shell(door) as one, shell(door) as other:
        await prompt(one, "")
        await prompt(other, "")
        mine, theirs = (
            getattr(session.tell, "__self__")._editor  # noqa: B009 (what is told goes to the shell)
            for session in door.server.visitors.sessions
        )
        assert mine is not theirs
        assert mine._default_bindings is theirs._default_bindings
        assert mine.key_processor._bindings is theirs.key_processor._bindings


# -- `?` --------------------------------------------------------------------------------------------------------------


@TERMS
@pytest.mark.parametrize(
    ("user", "typed", "told", "not_told"),
    [
        ("home", "", ["unlock", "Unlock a door", "ban"], ["<Enter>"]),
        ("guest", "", ["dim", "Dim a lamp"], ["unlock", "ban "]),
        ("home", "di", ["dim", "disarm"], ["unlock"]),
        ("home", "ban ", ["list", "lift", "explain"], ["unlock", "<Enter>"]),
        (
            "home",
            "dim ",
            ["TARGET", "the lamp to dim", "  kitchen", "@living", "Kitchen, Counter", "and 9 more"],
            ["front_door"],
        ),
        ("home", "dim desk ", ["[LEVEL]", "0 is off", "  25", "brightness 50 %", "+10", "<Enter>"], ["kitchen"]),
        ("home", "dim desk 5", ["  50"], ["  25", "<Enter>"]),
        ("home", "set climate.living.mode ", ["VALUE", "  heat", "  auto"], ["  21"]),
        ("home", "set climate.living.", ["climate.living.mode", "climate.living.target_temperature"], ["kitchen"]),
        ("home", "ban add 10.0.0.1 --for ", ["DURATION", "10m", "1h"], []),
        ("home", "color desk ", ["red", "warm white", "2700 K"], []),
        ("home", "arm ", ["home", "away", "night"], ["kitchen"]),
        ("home", "show ", ["[TARGET]", "| ", "<Enter>"], []),
        ("home", "show | ", ["match", "count"], ["<Enter>"]),
        ("home", "explain unlock ", ["front_door"], []),
        ("home", "nosuch ", ["nothing"], []),
    ],
)
async def test_what_may_come_next(
    door: Door, term: str, *, user: str, typed: str, told: Sequence[str], not_told: Sequence[str]
) -> None:
    """`?` lists above the line what may come next, with what it is, and is no part of the line."""
    async with shell(door, user, term=term) as screen:
        screen.screen.reset()
        screen.type(typed)
        await until(lambda: typed.rstrip() in str(screen))
        screen.type("?")
        for text in told:
            await screen.shows(text)
        await prompt(screen, typed, user)
        shown = [line for line in str(screen).splitlines() if not line.startswith(f"{user}@house>")]
        assert not [text for text in not_told if text in "\n".join(shown)]
        screen.type(CTRL_C)
    assert door.orders() == []


@TERMS
@pytest.mark.parametrize(
    ("typed", "given"),
    [("echo why?", "why?"), ("echo '?'", "?"), ("echo \\?", "?"), ("echo what is 'this ?'", "what is this ?")],
)
async def test_a_question_mark_that_is_one(door: Door, term: str, typed: str, given: str) -> None:
    """In free text, in quotes and behind a backslash `?` is itself."""
    async with shell(door, term=term) as screen:
        for char in typed:
            screen.type(char)
        screen.type("\r")
        await until(door.orders)
    assert door.audit("order.done")[0]["args"] == {"text": given}


async def test_a_question_at_the_end_of_a_burst(door: Door) -> None:
    """Over a slow link a line comes all at once, and its `?` asks all the same; many ask once, as nobody reads more."""
    async with shell(door) as screen:
        screen.type("dim kitchen ?")
        await screen.shows("[LEVEL]")
        await prompt(screen, "dim kitchen")
        screen.type("?" * 200)
        screen.type("x")
        await prompt(screen, "dim kitchen x")
        assert str(screen).count("[LEVEL]") <= 4


@TERMS
async def test_what_does_not_fit_is_told_briefly(door: Door, term: str) -> None:
    """What may come next leaves the prompt on the screen with it: names alone where there is no room for more."""
    async with shell(door, term=term, rows=24) as screen:
        screen.screen.reset()
        screen.type("?")
        await screen.shows("operate")
        await prompt(screen, "")
        assert all(name in str(screen).split() for name in ("activate", "dim", "history", "lock", "ban", "whoami"))
        screen.type("history ")
        await prompt(screen, "history")
        screen.type("?")
        await screen.shows("--csv")
        await prompt(screen, "history")
        assert all(name in str(screen).split() for name in ("DEVICE[.ATTRIBUTE]", "hall", "goodnight", "--since"))


async def test_what_does_not_fit_at_all_is_cut(door: Door) -> None:
    """In a few rows some of the names are shown, that there are more, and all that follows them."""
    async with shell(door, columns=40, rows=12) as screen:
        for char in "show ?":
            screen.type(char)
        await screen.shows("<Enter>")
        await prompt(screen, "show")
        assert "lights" in str(screen)
        assert "… and more" in str(screen)


# -- Tab --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("dim k\t\t30", "dim kitchen 30"),
        ("set climate.li\t.mo\t", "set climate.living.mode"),
        ("set cl\t\t\t.mode", "set climate.bedroom.mode"),
        ("history desk \ts\t\t1h", "history desk --since 1h"),
        ("show kitchen | \t\tdoor", "show kitchen | match door"),
    ],
)
async def test_what_follows_a_chosen_word(door: Door, typed: str, becomes: str) -> None:
    """A letter behind an entry of the menu begins another word, a dot goes on with an attribute of it."""
    async with shell(door) as screen:
        screen.type(typed)
        await prompt(screen, becomes)


async def test_escape_leaves_the_menu(door: Door) -> None:
    """Escape closes the menu and leaves what was typed; what only begins with one is another key still."""
    async with shell(door) as screen:
        screen.type("lock \t\t")
        await screen.shows("lock front_door")
        screen.type(ESC)
        await prompt(screen, "lock")
        screen.type("side\t\x01\x1bf\x1b[200~x\x1b[201~")
        await prompt(screen, "lockx side_door")


async def test_tab_where_there_is_nothing(door: Door) -> None:
    """Where nothing is to be put in, Tab tells what may come next, once."""
    async with shell(door) as screen:
        screen.type("dim kitchen 30 \t\t\t")
        await screen.shows("<Enter>")
        screen.type("\tx")
        await prompt(screen, "dim kitchen 30 x")
        assert str(screen).count("<Enter>") == 1


async def test_tab_at_a_dumb_terminal(door: Door) -> None:
    """Tab puts in what is certain, also instead of what was typed, and tells what may come next where nothing is."""
    async with shell(door, term="dumb") as screen:
        for typed, becomes in (
            ("tog\t", "toggle"),
            ("\x15history char\t", "history car_charger"),
            ("\x15on kit\t", "on kitchen"),
        ):
            for char in typed:
                screen.type(char)
            await prompt(screen, becomes)
        screen.type("\x15lock ")
        await prompt(screen, "lock")
        screen.type("\t")
        await screen.shows("Front door, hall")
        await prompt(screen, "lock")


# -- names cut short --------------------------------------------------------------------------------------------------


@TERMS
async def test_names_cut_short(door: Door, term: str) -> None:
    """In a shell, and nowhere else, a name may be cut short; not what could open a door, nor what is ambiguous."""
    async with shell(door, term=term) as screen:
        await screen.give("tog kitchen", "kitchen is on")
        await screen.give("unl front_door", "did you mean unlock?")
        await screen.give("un", "did you mean")
    assert (await door.ask("home", "tog kitchen")).status == 127
    assert (await door.ask("home", "", stdin="tog kitchen\n")).status == 127
    assert door.orders()[0] == ("toggle", 0)
    assert {status for _, status in door.orders()[1:]} == {127}


# -- history ----------------------------------------------------------------------------------------------------------


async def test_a_ghost(door: Door) -> None:
    """Behind the cursor stands, dimmed, how the newest line went on that began so; an arrow to the right takes it."""
    async with shell(door) as screen:
        await screen.give("echo first line", "first line")
        await screen.give("echo second", "second")
        screen.type("echo f")
        await prompt(screen, "echo first line")
        assert screen.screen.cursor.x == len("home@house> echo f")
        screen.type(RIGHT)
        await until(lambda: screen.screen.cursor.x == len("home@house> echo first line"))
        screen.type(f"{CTRL_C}echo f\r")
        await until(lambda: len(door.orders()) == 3)
    assert door.audit("order.done")[-1]["args"] == {"text": "f"}


async def test_no_ghost_of_a_mistake(door: Door) -> None:
    """A line that was wrong, or would be now, is not suggested again."""
    async with shell(door) as screen:
        await screen.give("dim kitchen 20", "kitchen is at 20 %")
        await screen.give("dim kitchen to 30", "one word too many")
        await screen.give("dim kitchn", "no device")
        screen.type("dim k")
        await prompt(screen, "dim kitchen 20")


async def test_a_search(door: Door) -> None:
    """^R looks for what is typed in the lines before, again for older ones; Enter gives it, ^G goes back."""
    async with shell(door) as screen:
        for line in ("echo alpha one", "echo beta", "echo alpha two"):
            await screen.give(line, line.partition(" ")[2])
        screen.type(f"half{CTRL_R}alp")
        await until(lambda: screen.last == "(search) alp: echo alpha two")
        screen.type(CTRL_R)
        await until(lambda: screen.last == "(search) alp: echo alpha one")
        screen.type("x")
        await until(lambda: screen.last.startswith("(nothing) alpx:"))
        screen.type(CTRL_G)
        await prompt(screen, "half")
        screen.type(f"{CTRL_C}{CTRL_R}bet\x1b[D\x1b[Cs\r")
        await until(lambda: len(door.orders()) == 4)
    assert door.audit("order.done")[-1]["args"] == {"text": "betas"}


@TERMS
async def test_history_outlives_the_server(serve: Callable[..., AbstractAsyncContextManager[Door]], term: str) -> None:
    """Lines are there after a restart, but none that held a secret or was no order; a removed user's are gone."""
    async with serve() as door:
        async with shell(door, "guest", term=term) as screen:
            await screen.give("echo kept", "kept")
            await screen.give("on kitchen --code 123456", "kitchen is on")
            await screen.give("correct horse battery", "unknown order")
        lines = door.site.path / "state" / "shells" / "guest.lines"
        assert (lines.read_text(), lines.stat().st_mode & 0o777) == ("echo kept\n", 0o600)
    async with serve() as door:
        async with shell(door, "guest") as screen:
            screen.type(UP)
            await prompt(screen, "echo kept", "guest")
        assert (await door.ask("home", "user remove guest --yes")).status == 0
        assert not lines.exists()


# -- how it is typed --------------------------------------------------------------------------------------------------


async def test_keys_of_vi(door: Door) -> None:
    """With `set-option editing vi` Escape leaves the line to vi's commands, from the next line on, and for good."""
    async with shell(door) as screen:
        await screen.give("set-option editing vi", "editing is vi")
        await escape(door, screen, "echo abc def")
        screen.type("bD\r")
        await until(lambda: len(door.orders()) == 2)
    assert door.audit("order.done")[-1]["args"] == {"text": "abc"}
    async with shell(door) as screen:
        await escape(door, screen, "echo one two")
        screen.type("2bD0wiup \r")
        await until(lambda: len(door.orders()) == 3)
        # Who types fast leaves no time between Escape and what follows, which may be a digit.
        screen.type(f"whoami{ESC}0")
        screen.type("iecho \r")
        await until(lambda: len(door.orders()) == 4)
    assert door.audit("order.done")[-1]["args"] == {"text": "whoami"}


@pytest.mark.parametrize("typed", ["999999999p", "yy99999999p", "qa@aq@a", "qaxq99999@a"], ids=ascii)
async def test_no_few_keys_of_vi_cost_much(door: Door, typed: str) -> None:
    """Neither a repeat count nor a macro that calls itself stops the house or makes a line too long."""
    door.server.visitors.dispatch.recall.set("home", Options(editing="vi"))
    async with shell(door) as screen:
        await escape(door, screen, f"echo {'x' * 7}")
        screen.type(typed)
        assert (await door.ask("home", "echo served")).out == "served\n"
        screen.type(CTRL_C)
        screen.type("echo alive\r")
        await screen.shows("alive")


async def test_plain(door: Door) -> None:
    """Who wants it plain gets no escape sequence from the next shell on, whatever their terminal can."""
    assert (await door.ask("guest", "set-option plain on")).out == "plain is on\n"
    async with door.connect("guest") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("env", String("COLORTERM"), String("truecolor"))
        assert await raw.terminal()
        assert await raw.ask("shell")
        raw.channel.write("on kitchen; list @kitchen\rexit\r")
        await until(lambda: raw.heard.closed)
    assert "kitchen is on" in raw.heard.out
    assert "\x1b" not in raw.heard.out


@pytest.mark.parametrize(("variable", "colored"), [("LANG", True), ("NO_COLOR", False)])
async def test_a_bad_value_is_marked_before_enter(door: Door, variable: str, *, colored: bool) -> None:
    """A value that will not do is underlined, also where there are no colours, and red where there are."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection)
        assert await raw.ask("env", String(variable), String("1"))
        assert await raw.terminal()
        assert await raw.ask("shell")
        raw.channel.write("dim desk 400 ")
        code = TONES["bad"][colored]
        await until(lambda: f"\x1b[;{code}m400" in raw.heard.out)
        assert ("31m" in raw.heard.out) is colored


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_tones_suit_any_background() -> None:
    """No tone sets a background, or a colour that a light or a dark one swallows; what is bad shows without colour."""
    for plain, colored in TONES.values():
        codes = {int(code) for code in colored.split(";") if code}
        assert not codes & {30, 33, 37, 90, 97, *range(40, 48), *range(100, 108)}
        assert not {int(code) for code in plain.split(";") if code} & set(range(30, 50))
    assert TONES["bad"][0] != TONES[""][0]


class _Window:
    """A terminal of a size that shows what is written."""

    def __init__(self, columns: int, rows: int) -> None:
        self.size = columns, rows
        self.color = "256"
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.written = 0

    def write(self, text: str) -> None:
        """Show text, as a channel with a terminal sends it."""
        self.written += len(text)
        self.stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))


WORDS = ["echo", "日本語", "🏠", "\x01", "שלום", "x" * 30, " "]


@pytest.mark.parametrize("columns", [8, 9, 40, 80, 300])
@pytest.mark.parametrize("seed", range(3))
def test_drawing_differences_shows_the_same(columns: int, seed: int) -> None:
    """However a line changes from key to key, the screen is the same as if it had been drawn at once."""
    chance = random.Random(seed)  # noqa: S311 (a test's own chance)
    window = _Window(columns, 12)
    painter = Painter(window)  # type: ignore[arg-type]  # (all of a channel that it needs)
    text, cursor = "", 0
    for _ in range(150):
        if chance.random() < 0.7:
            added = chance.choice(WORDS) if chance.random() < 0.3 else chance.choice("ab 日é🏠")
            text, cursor = text[:cursor] + added + text[cursor:], cursor + len(added)
            text, cursor = text[:200], min(cursor, 200)
        elif cursor:
            cut = chance.randint(0, cursor)
            text, cursor = text[:cut] + text[cursor:], cut
        cursor = chance.randint(0, len(text)) if chance.random() < 0.3 else cursor
        half = len(text) // 2
        pieces = [("prompt", "> "), ("device", text[:half]), ("bad", text[half:])]
        frame = wrapped(pieces, 2 + cursor, columns)
        painter.draw(frame)
        fresh = _Window(columns, 12)
        Painter(fresh).draw(frame)  # type: ignore[arg-type]  # (as above)
        assert window.screen.display == fresh.screen.display
        assert (window.screen.cursor.y, window.screen.cursor.x) == (fresh.screen.cursor.y, fresh.screen.cursor.x)
    painter.erase()
    assert not "".join(window.screen.display).strip()


def test_a_combining_character_belongs_to_the_one_before() -> None:
    """What is drawn over a letter takes no room of its own, also over a wide one; at the beginning it is nothing."""
    frame = wrapped([("", "\u0301e\u0301日\u0301x")], 5, 80)
    assert [cell.text for cell in frame.rows[0]] == ["e\u0301", "日\u0301", "", "x"]
    assert frame.x == 3


def test_a_key_costs_few_bytes() -> None:
    """At the end of a line a letter more is one letter on the wire, and one less a few bytes."""
    window = _Window(80, 24)
    painter = Painter(window)  # type: ignore[arg-type]  # (all of a channel that it needs)
    painter.draw(wrapped([("prompt", "home@house> "), ("", "dim kitche")], 22, 80))
    window.written = 0
    painter.draw(wrapped([("prompt", "home@house> "), ("", "dim kitchen")], 23, 80))
    assert window.written == 1
    painter.draw(wrapped([("prompt", "home@house> "), ("", "dim kitche")], 22, 80))
    assert window.written < 8


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("kitchen", 7, "kitchen"), ("kitchen", 5, "kitc…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…")],
)
def test_what_is_too_wide_is_cut(text: str, columns: int, shown: str) -> None:
    """A text is cut by the columns it takes and not by its characters."""
    assert clipped(text, columns) == shown
    assert width(clipped(text, columns)) <= columns


async def test_who_reads_slowly_is_not_drawn_for(door: Door) -> None:
    """While a client does not read, its line is drawn once it does, and not at every key in between."""
    async with door.connect("home") as connection:
        raw = await RawChannel.open(connection, window=4096)
        assert await raw.terminal()
        assert await raw.ask("shell")
        await until(lambda: "@house>" in raw.heard.out)
        raw.channel.pause_reading()
        raw.channel.write(f"{'list; ' * 40}list\r")
        (visitor,) = door.server.visitors
        (channel,) = visitor.connection._channels.values()
        session = channel._session
        assert isinstance(session, SessionChannel)
        await until(lambda: not session.flows)
        raw.channel.resume_reading()
        raw.channel.write("upper caught up\r")
        await until(lambda: "CAUGHT UP" in raw.heard.out)
