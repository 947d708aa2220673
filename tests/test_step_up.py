"""Step-up: what an order asks for beyond the login, on every channel; for how long, of whom, what it is good for."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import asyncssh
import pytest

from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Context, Registry, order
from sshhome.step_up import MAX_BAD_CODES
from sshhome.totp import new_secret
from sshhome.user import write_whole
from tests.client import Answer, Door, Reply, Terminal, ask, until
from tests.conftest import NOON, FixedClock
from tests.loop import advance, turns
from tests.test_server import public
from tests.test_visitor_totp import SECRET, answer, ask_code, code, wrong_code

Serve = Callable[..., AbstractAsyncContextManager[Door]]

CODE = '{ allow = "access:lock.front_door", step_up = "totp" }'
SURE = '{ allow = "access:lock.side_door", step_up = "confirm" }'
#: The questions as they stand on a screen, and what is said when nobody answers.
ASKED_CODE, ASKED_SURE = "unlock front_door: one-time code?", "unlock side_door: are you sure?"
NO_CODE, NO_ANSWER = "'unlock front_door' needs a one-time code", "'unlock side_door' needs a confirmation"
USED = "the code was used before"


def write_anna(door: Door, *grants: str, secret: str = SECRET, more: str = "") -> None:
    """Write the file of a user who has the guest's key, a secret, and grants that ask for more."""
    totp = f"totp = '{secret}'\n" if secret else ""
    listed = ", ".join(grants or (CODE, SURE, '"control:light.*"'))
    text = f"keys = ['{public(door, 'guest')}']\n{totp}{more}grants = [{listed}]\n"
    write_whole(door.site.path / "authorized_users" / "anna.toml", text)


@contextlib.asynccontextmanager
async def shell(door: Door, term: str = "xterm-256color", **how: str) -> AsyncIterator[Terminal]:
    """Open a shell as her."""
    async with door.connect("anna", key="guest", **how) as connection, Terminal.open(connection, term=term) as screen:
        yield screen


async def exec_(door: Door, line: str, *, stdin: str | None = None, source: str = "127.0.0.1") -> Answer:
    """Give orders as her over a connection of their own."""
    return await door.ask("anna", line, stdin=stdin, key="guest", source=source)


async def asked(screen: Terminal, question: str) -> None:
    """Wait until a question is the last thing on the screen."""
    await until(lambda: screen.last == question)


async def back(screen: Terminal) -> None:
    """Wait for the prompt."""
    await until(lambda: screen.last == "anna@house>")


def filled(text: str) -> str:
    """Return a text with the right code, its halves, and a wrong one put in: they differ from run to run."""
    for word, digits in (("RIGHT", code()), ("WRONG", wrong_code()), ("HALF", code()[:3]), ("HALF", code()[3:])):
        text = text.replace(word, digits, 1)
    return text


def locked(door: Door, lock: str = "front_door") -> object:
    """Return whether a door is locked."""
    return door.server.visitors.dispatch.house.devices[f"lock.{lock}"].state["locked"]


def refusals(door: Door) -> list[tuple[str, str, str]]:
    """Return the order, code and message of what was refused."""
    return [(e["order"], e["code"], e["message"]) for e in door.audit("order.refused")]


def failures(door: Door) -> list[tuple[str, str]]:
    """Return by which method each failed login was tried, and why it failed."""
    return [(e["method"], e["reason"]) for e in door.audit("login.failed")]


TERMS = pytest.mark.parametrize("term", ["xterm-256color", "dumb"])

# -- a code in the shell ----------------------------------------------------------------------------------------------


@TERMS
async def test_the_right_code(door: Door, term: str) -> None:
    """The code opens the door, is not seen on the screen, and stands in no log; the order is audited once."""
    write_anna(door)
    async with shell(door, term) as screen:
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
        assert locked(door)
        assert not door.orders()
        screen.type(f"{code()}\r")
        await screen.shows("front_door is unlocked")
        await back(screen)
        assert code() not in str(screen)
    assert not locked(door)
    (event,) = door.audit("order.done")
    assert (event["order"], event["devices"], event["status"]) == ("unlock", ["lock.front_door"], 0)
    assert not door.audit("login.failed")
    assert code() not in (door.site.path / "state" / "audit.jsonl").read_text()


@pytest.mark.parametrize("typed", ["HALF HALF", "  RIGHT ", "99\x7f\x7fRIGHT", "1\x15RIGHT"])
async def test_a_code_as_people_type_it(door: Door, typed: str) -> None:
    """Spaces are nothing, and what is taken back has not been typed."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
        screen.type(filled(f"{typed}\r"))
        await screen.shows("front_door is unlocked")


async def test_a_wrong_code(door: Door) -> None:
    """A wrong code opens nothing, is a failed login in the log, and the next order asks again."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock front_door; echo not run\r")
        await asked(screen, ASKED_CODE)
        screen.type(f"{wrong_code()}\r")
        await screen.shows("error: wrong code")
        await back(screen)
        assert locked(door)
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
        screen.type(f"{code()}\r")
        await screen.shows("front_door is unlocked")
    assert failures(door) == [("step_up+totp", "wrong code")]
    assert refusals(door) == [("unlock", "step_up", "wrong code")]
    assert door.orders() == [("unlock", 77), ("unlock", 0)]
    text = (door.site.path / "state" / "audit.jsonl").read_text()
    assert wrong_code() not in text


async def test_a_code_is_good_once(door: Door) -> None:
    """A code that one session has used is good in no other, whoever of this user's it is."""
    write_anna(door)
    assert (await exec_(door, f"unlock front_door --code {code()}")).status == 0
    async with shell(door) as screen:
        screen.type("lock front_door\r")
        await asked(screen, "lock front_door: one-time code?")
        screen.type(f"{code()}\r")
        await screen.shows(f"error: {USED}")
    assert not locked(door)
    assert failures(door) == [("step_up+totp", USED)]


async def test_a_login_with_a_code_has_proved_it(door: Door, clock: FixedClock) -> None:
    """Who came in with a code is not asked for five minutes after the login; then its code is no longer good."""
    write_anna(door, more="require = 'publickey+totp'\n")
    async with door.wire() as wire:
        wire.ask_key("anna", door.key("guest"), signer=door.key("guest"))
        assert (await wire.reply()).kind == "partial success"
        ask_code(wire, "anna")
        await wire.reply()
        answer(wire, code())
        assert await wire.reply() == Reply("success")
        assert (await ask(wire, "unlock front_door")).status == 0
        clock.advance(299)
        assert (await ask(wire, "lock front_door")).status == 0
        clock.advance(1)
        late = await ask(wire, "unlock front_door")
        assert late.err.startswith(f"error: {NO_CODE}")
        clock.step(-300)
        late = await ask(wire, f"unlock front_door --code {code()}")
        assert late.err == f"error: {USED}\n"
    assert locked(door)


async def test_no_secret(door: Door) -> None:
    """Who has no secret is asked for nothing, and told how to get one."""
    write_anna(door, secret="")
    said = "error: 'unlock front_door' needs a one-time code, and you have no secret (`totp` makes you one)"
    async with door.connect("anna", key="guest") as connection, Terminal.open(connection, 120) as screen:
        await screen.give("unlock front_door", said)
    for line in ("unlock front_door", f"unlock front_door --code {code()}"):
        assert await exec_(door, line) == Answer("", f"{said}\n", 77)
    assert {refused[1] for refused in refusals(door)} == {"denied"}
    assert not door.audit("login.failed")


@TERMS
async def test_three_wrong_codes_close_the_session(door: Door, term: str) -> None:
    """The third wrong code in a row ends the shell, with the status of a denial."""
    write_anna(door)
    async with shell(door, term) as screen:
        for number in range(MAX_BAD_CODES):
            screen.type("unlock front_door\r")
            await until(lambda number=number: str(screen).count(ASKED_CODE) == number + 1)  # type: ignore[misc]  # (bound at once)
            screen.type(f"{wrong_code()}\r")
            await until(lambda number=number: len(refusals(door)) == number + 1)  # type: ignore[misc]  # (bound at once)
        await screen.process.wait_closed()
        assert screen.process.exit_status == 77
        assert "(that was one too many, the session is closed)" in " ".join(str(screen).split())
    assert [method for method, _ in failures(door)] == ["step_up+totp"] * MAX_BAD_CODES
    assert locked(door)


async def test_a_right_code_ends_the_row(door: Door, clock: FixedClock) -> None:
    """Two wrong codes, a right one and two wrong ones close nothing, and the right one clears the slate."""
    write_anna(door)
    visitors = door.server.visitors
    async with shell(door) as screen:
        for given in (wrong_code(), wrong_code(), code(NOON), wrong_code(), wrong_code(), code(NOON + 300)):
            before = len(door.orders())
            screen.type("unlock front_door\r")
            await asked(screen, ASKED_CODE)
            screen.type(f"{given}\r")
            await until(lambda before=before: len(door.orders()) > before)  # type: ignore[misc]  # (bound at once)
            await back(screen)
            if given == code(NOON):
                assert not visitors.bans.explain("127.0.0.1").failures
                clock.advance(300)
        assert len(failures(door)) == 4
    assert door.orders() == [("unlock", 77), ("unlock", 77), ("unlock", 0)] * 2


async def test_wrong_codes_earn_a_ban(serve: Serve) -> None:
    """Codes guessed over one session after another count as failed logins: the source is banned, and is put out."""
    async with serve("[bans]\nmax_failures = 4\n") as door:
        write_anna(door)
        async with door.connect("anna", key="guest", source="127.0.0.8") as connection:
            told = [await ask(connection, f"unlock front_door --code {wrong_code()}") for _ in range(4)]
            await until(lambda: not list(door.server.visitors))
        assert [answer.err for answer in told[:3]] == ["error: wrong code\n"] * 3
        assert told[3].status == 255
        assert (await exec_(door, f"unlock front_door --code {code()}", source="127.0.0.8")).status == 255
        assert (await exec_(door, f"unlock front_door --code {code()}")).status == 0
    (ban,) = door.audit("ban.set")
    assert ban["source"].startswith("127.0.0.8")


async def test_no_login_forgives_wrong_codes(door: Door) -> None:
    """Who has the key and guesses a code with each login is banned all the same, though every login succeeds."""
    write_anna(door)
    guess = f"unlock front_door --code {wrong_code()}"
    told = [await exec_(door, guess, source="127.0.0.8") for _ in range(6)]
    assert [answer.err for answer in told[:4]] == ["error: wrong code\n"] * 4
    assert {answer.status for answer in told[4:]} == {255}
    (ban,) = door.audit("ban.set")
    assert ban["evidence"] == "5 as anna+totp"
    assert len(failures(door)) == 5
    # The next login from elsewhere is as good as ever.
    assert (await exec_(door, f"unlock front_door --code {code()}")).status == 0


async def test_guesses_are_slowed_down(serve: Serve) -> None:
    """After some wrong codes even a right one has to wait, as at the login; the right one ends that."""
    async with serve("[bans]\nmax_failures = 100\n") as door:
        write_anna(door)
        for _ in range(4):
            assert (await exec_(door, f"unlock front_door --code {wrong_code()}")).err == "error: wrong code\n"
        slowdown = door.server.visitors.slowdown
        assert slowdown.delay("anna+totp") == 0.5
        assert (await exec_(door, f"unlock front_door --code {code()}")).status == 0
        assert slowdown.delay("anna+totp") == 0.0


# -- a confirmation in the shell --------------------------------------------------------------------------------------


@TERMS
@pytest.mark.parametrize(
    ("typed", "said", "opened"),
    [
        ("yes\r", "side_door is unlocked", True),
        ("Y\r", "side_door is unlocked", True),
        ("no\r", "error: 'unlock side_door' was not meant", False),
        ("yes please\r", "error: 'unlock side_door' was not meant", False),
        ("\r", f"error: {NO_ANSWER}", False),
        ("\x04", f"error: {NO_ANSWER}", False),
        ("ye\x04", f"error: {NO_ANSWER}", False),
        ("\x03", "^C", False),
        ("yes\x03", "^C", False),
    ],
)
async def test_a_confirmation(door: Door, term: str, typed: str, said: str, *, opened: bool) -> None:
    """Only a yes is a yes; ^C and ^D are none, and nothing runs after them."""
    write_anna(door)
    async with shell(door, term) as screen:
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        screen.type(typed)
        await screen.shows(said)
        await back(screen)
        await until(lambda: len(door.orders()) == 1)
        screen.type("\x04")
        await screen.process.wait_closed()
        assert screen.process.exit_status == (0 if opened else 130 if said == "^C" else 77)
    assert locked(door, "side_door") is not opened
    assert door.orders() == [("unlock", 0 if opened else 77)]
    assert not door.audit("login.failed")


async def test_the_screen_after_each_answer(door: Door) -> None:
    """Question, answer and what came of it stand one below the other, and nothing else."""
    write_anna(door)
    async with shell(door) as screen:
        for order, answer in (
            ("unlock side_door", "no\r"),
            ("unlock side_door", "\x04"),
            ("unlock front_door", "\x03"),
        ):
            screen.type(f"{order}\r")
            await until(lambda: screen.last.endswith("?"))
            screen.type(answer)
            await back(screen)
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        screen.type("yes")
        await asked(screen, f"{ASKED_SURE} yes")
        screen.type("\r")
        await screen.shows("side_door is unlocked")
        await back(screen)
        assert str(screen).splitlines()[1:] == [
            "anna@house> unlock side_door",
            f"{ASKED_SURE} no",
            "error: 'unlock side_door' was not meant",
            "anna@house> unlock side_door",
            ASKED_SURE,
            f"error: {NO_ANSWER}",
            "anna@house> unlock front_door",
            f"{ASKED_CODE} ^C",
            "anna@house> unlock side_door",
            f"{ASKED_SURE} yes",
            "side_door is unlocked",
            "anna@house>",
        ]


# -- for how long, and for whom ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "question", "reply"), [("front_door", ASKED_CODE, "RIGHT"), ("side_door", ASKED_SURE, "yes")]
)
async def test_it_is_remembered_for_five_minutes(
    door: Door, clock: FixedClock, line: str, question: str, reply: str
) -> None:
    """What was proved counts for five minutes from the proof on, used or not, and then is asked for again."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type(f"unlock {line}\r")
        await asked(screen, question)
        screen.type(filled(f"{reply}\r"))
        await screen.shows(f"{line} is unlocked")
        await back(screen)
        for number in (1, 2):
            clock.advance(149.9)
            screen.type(f"lock {line}; unlock {line}\r")
            await until(lambda number=number: len(door.orders()) == 1 + 2 * number)  # type: ignore[misc]  # (bound at once)
            await back(screen)
        assert {status for _, status in door.orders()} == {0}
        clock.advance(0.2)
        screen.type(f"unlock {line}\r")
        await asked(screen, question)


async def test_it_is_remembered_for_one_session(door: Door) -> None:
    """What one session has proved, another does not know, not even on the same connection."""
    write_anna(door)
    async with door.connect("anna", key="guest") as connection:
        assert (await ask(connection, f"unlock front_door --code {code()}")).status == 0
        assert (await ask(connection, "lock front_door")).status == 77
        async with Terminal.open(connection) as one, Terminal.open(connection) as two:
            for screen in (one, two):
                screen.type("unlock side_door\r")
                await asked(screen, ASKED_SURE)
                screen.type("yes\r")
                await screen.shows("side_door is unlocked")


async def test_one_proof_is_not_the_other(door: Door) -> None:
    """A yes is no code, and a code is no yes; two orders of one line ask one after the other."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock side_door; unlock front_door\r")
        await asked(screen, ASKED_SURE)
        screen.type("yes\r")
        await asked(screen, ASKED_CODE)
        assert "side_door is unlocked" in str(screen)
        screen.type(f"{code()}\r")
        await screen.shows("front_door is unlocked")
    assert door.orders() == [("unlock", 0), ("unlock", 0)]


@pytest.mark.parametrize("keep_going", [False, True])
async def test_two_questions_in_one_line(door: Door, *, keep_going: bool) -> None:
    """After a no the line is over, unless it shall go on; then the next order asks anew."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type(f"unlock side_door{' --keep-going' * keep_going}; unlock front_door\r")
        await asked(screen, ASKED_SURE)
        # What is typed before the second question is no answer to it.
        screen.type(f"no\r{code()}\r")
        if keep_going:
            await asked(screen, ASKED_CODE)
            screen.type(f"{code()}\r")
            await screen.shows("front_door is unlocked")
        await until(lambda: len(door.orders()) > keep_going)
    assert door.orders()[: 1 + keep_going] == [("unlock", 77), ("unlock", 0)][: 1 + keep_going]


async def test_ctrl_c_ends_the_line(door: Door) -> None:
    """^C at a question ends the whole line, also one that shall go on after failures."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock side_door --keep-going; unlock front_door; echo not run\r")
        await asked(screen, ASKED_SURE)
        screen.type("\x03")
        await back(screen)
        await until(door.orders)
    assert door.orders() == [("unlock", 77)]


# -- several devices --------------------------------------------------------------------------------------------------

MIXED = ('"control:light.*"', '{ allow = "control:light.kitchen", step_up = "confirm" }')
SOME = (
    '"access:lock.side_door"',
    '{ allow = "access:lock.front_door", step_up = "totp" }',
)


@pytest.mark.parametrize(
    ("reply", "told", "open_"),
    [
        ("RIGHT\r", "front_door is unlocked", True),
        ("WRONG\r", "left out: front_door (wrong code)", False),
        ("\x04", f"left out: front_door ({NO_CODE})", False),
    ],
)
async def test_some_of_several(door: Door, reply: str, told: str, *, open_: bool) -> None:
    """Of several devices the question names those that it is for; without the proof the others are seen to alone."""
    write_anna(door, *SOME)
    async with shell(door) as screen:
        screen.type("unlock lock.*\r")
        await asked(screen, ASKED_CODE)
        assert locked(door, "side_door")
        screen.type(filled(reply))
        await screen.shows(told)
        await screen.shows("side_door is unlocked")
        await back(screen)
    assert not locked(door, "side_door")
    assert locked(door) is not open_
    assert door.orders() == [("unlock", 0 if open_ else 77)]


async def test_some_of_several_over_exec(door: Door) -> None:
    """Where nobody can be asked, the devices that need no more are seen to, and the others named with the reason."""
    write_anna(door, *SOME)
    assert await exec_(door, "unlock lock.*") == Answer(
        "side_door is unlocked\n", f"left out: front_door ({NO_CODE})\n", 77
    )
    told = await exec_(door, "lock lock.* --json")
    assert json.loads(told.err)["error"]["code"] == "step_up"
    assert [device["id"] for device in told.json] == ["lock.side_door"]
    told = await exec_(door, f"unlock lock.* --code {code()}")
    assert (told.err, told.status) == ("", 0)
    assert sorted(told.out.splitlines()) == ["front_door is unlocked", "side_door is unlocked"]


async def test_several_ways_for_one_order(door: Door) -> None:
    """One order may ask for both, for one device each, and is given whole once both are proved."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock lock.*\r")
        await asked(screen, ASKED_CODE)
        screen.type(f"{code()}\r")
        await asked(screen, ASKED_SURE)
        assert locked(door)
        screen.type("yes\r")
        await screen.shows("front_door is unlocked")
        await screen.shows("side_door is unlocked")
    assert door.orders() == [("unlock", 0)]
    both = f"unlock lock.* --code {code(NOON + 30)} --yes"
    assert (await exec_(door, both)).status == 0


async def test_a_question_names_what_it_is_for(door: Door) -> None:
    """A yes to many devices is a yes to those that are named, a few at most, and counted."""
    write_anna(door, '{ allow = "control:light.*", step_up = "confirm" }')
    async with door.connect("anna", key="guest") as connection, Terminal.open(connection, 120) as screen:
        screen.type("off light.*\r")
        await until(lambda: screen.last.endswith(": are you sure?"))
        named, _, more = screen.last.removesuffix(": are you sure?").removeprefix("off ").partition(" and ")
        count = len([e for e in door.server.visitors.dispatch.house.devices if e.startswith("light.")])
        assert len(named.split(", ")) == 5
        assert more == f"{count - 5} more"


# -- exec and batch ---------------------------------------------------------------------------------------------------


async def test_exec_without(door: Door) -> None:
    """Where nobody sits to be asked, an order that needs more is refused at once, and its hint says how to give it."""
    write_anna(door)
    assert await exec_(door, "unlock front_door") == Answer(
        "", f"error: {NO_CODE} (give it with --code 123456, or in the shell)\n", 77
    )
    assert await exec_(door, "unlock side_door") == Answer(
        "", f"error: {NO_ANSWER} (give it with --yes, or in the shell)\n", 77
    )
    told = await exec_(door, "unlock front_door --json")
    assert json.loads(told.err) == {
        "error": {"code": "step_up", "message": NO_CODE, "hint": "give it with --code 123456, or in the shell"}
    }
    assert (told.out, told.status) == ("", 77)
    assert [code for _, code, _ in refusals(door)] == ["step_up"] * 3
    assert locked(door)
    assert locked(door, "side_door")


@pytest.mark.parametrize(
    "line",
    [
        "unlock front_door --code {}",
        "unlock front_door --code={}",
        "--code {} unlock front_door",
        "unlock --code {} front_door",
    ],
)
async def test_exec_with_a_code(door: Door, line: str) -> None:
    """A code may be given beforehand, anywhere on the line, and is in no log."""
    write_anna(door)
    assert await exec_(door, line.format(code())) == Answer("front_door is unlocked\n", "", 0)
    (event,) = door.audit("order.done")
    assert event["args"] == {"lock": "front_door"}
    assert code() not in (door.site.path / "state" / "audit.jsonl").read_text()


async def test_exec_with_yes(door: Door) -> None:
    """It may be said beforehand that an order is meant; that is no code."""
    write_anna(door)
    assert await exec_(door, "unlock side_door --yes") == Answer("side_door is unlocked\n", "", 0)
    assert (await exec_(door, "unlock front_door --yes")).err.startswith(f"error: {NO_CODE}")
    assert (await exec_(door, f"lock side_door --code {code()}")).err.startswith("error: 'lock side_door' needs a conf")


async def test_a_code_for_an_order_that_needs_none(door: Door) -> None:
    """A code that nothing asks for is not used up."""
    write_anna(door)
    assert (await exec_(door, f"on kitchen --code {code()}")).status == 0
    assert (await exec_(door, f"unlock front_door --code {code()}")).status == 0


async def test_exec_with_a_terminal(door: Door) -> None:
    """An order with a terminal is no shell: nobody is asked."""
    write_anna(door)
    async with door.connect("anna", key="guest") as connection:
        result = await connection.run("unlock side_door", term_type="xterm", input="yes\n")
    assert result.exit_status == 77
    assert locked(door, "side_door")


async def test_a_batch(door: Door) -> None:
    """What stands in place of a command is for every line; lines are orders and answer no question."""
    write_anna(door)
    told = await exec_(door, "--yes", stdin="unlock side_door\nlock side_door\nunlock front_door\nyes\n")
    assert told.out == "side_door is unlocked\nside_door is locked\n"
    assert told.err.startswith(f"error: {NO_CODE}")
    told = await exec_(door, "--keep-going", stdin="unlock side_door\nyes\n")
    assert told.err.splitlines()[0] == f"error: {NO_ANSWER} (give it with --yes, or in the shell)"
    assert door.orders()[-1] == ("yes", 127)
    assert locked(door, "side_door")


async def test_a_batch_with_a_code(door: Door) -> None:
    """A code is used once for a whole batch, whose session has then proved it."""
    write_anna(door)
    told = await exec_(door, f"--code {code()}", stdin="unlock front_door\nlock front_door\nunlock front_door\n")
    assert (told.err, told.status) == ("", 0)
    assert door.orders() == [("unlock", 0), ("lock", 0), ("unlock", 0)]


async def test_a_batch_of_wrong_codes(door: Door) -> None:
    """A batch that goes on after failures is closed at the third wrong code."""
    write_anna(door)
    lines = f"unlock front_door --code {wrong_code()}\n" * 5
    told = await exec_(door, "--keep-going", stdin=lines + "on kitchen\n")
    assert told.err.count("wrong code") == MAX_BAD_CODES
    assert door.orders() == [("unlock", 77)] * MAX_BAD_CODES


# -- what is decided once it is proved --------------------------------------------------------------------------------


@TERMS
async def test_a_dry_run_asks_nothing(door: Door, term: str) -> None:
    """What would be done is told without a question, and proves nothing."""
    write_anna(door)
    async with shell(door, term) as screen:
        await screen.give("unlock front_door --dry-run", "would change front_door")
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
    assert (await exec_(door, "unlock lock.* --dry-run")).status == 0
    assert locked(door)


@pytest.mark.parametrize("reply", ["yes\r", "no\r"])
async def test_the_grant_is_gone_when_it_is_answered(door: Door, reply: str) -> None:
    """An order is judged by the rights of the moment at which it runs, not of that at which it was asked about."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        write_anna(door, '"read"', '"access:lock.front_door"')
        screen.type(reply)
        await back(screen)
    assert locked(door, "side_door")
    assert [e["order"] for e in door.audit("order.refused")] == ["unlock"]
    assert not door.audit("order.done")


@pytest.mark.parametrize("reply", ["RIGHT\r", "WRONG\r", "\x04"])
async def test_what_needed_no_proof_is_judged_afresh_too(door: Door, reply: str) -> None:
    """Of several devices those that needed no proof are not seen to either once the right to them is gone."""
    write_anna(door, *SOME)
    async with shell(door) as screen:
        screen.type("unlock lock.*\r")
        await asked(screen, ASKED_CODE)
        write_anna(door, '"read"', '{ allow = "access:lock.front_door", step_up = "totp" }')
        screen.type(filled(reply))
        await back(screen)
    assert locked(door, "side_door")
    assert locked(door) is (reply != "RIGHT\r")


async def test_the_time_is_over_when_it_is_answered(door: Door, clock: FixedClock) -> None:
    """A window that closes while somebody looks for their phone is closed."""
    write_anna(door, '{ allow = "access:lock.side_door", step_up = "confirm", when = "tue 09:00-14:01" }')
    async with shell(door) as screen:
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        clock.advance(59)
        screen.type("yes")
        await asked(screen, f"{ASKED_SURE} yes")
        clock.advance(1)
        screen.type("\r")
        await back(screen)
        assert "you may not operate lock.side_door: only tue 09:00-14:01" in " ".join(str(screen).split())
    assert locked(door, "side_door")


@pytest.mark.parametrize("how", ["frozen", "removed", "key"])
async def test_who_is_shut_out_while_asked(door: Door, how: str) -> None:
    """Nothing runs for somebody who is frozen, removed or without that key by the time they answer."""
    write_anna(door)
    path = door.site.path / "authorized_users" / "anna.toml"
    async with shell(door) as screen:
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        if how == "removed":
            path.unlink()
        else:
            text = path.read_text()
            changed = text.replace(public(door, "guest"), public(door, "kid"))
            write_whole(path, f"frozen = true\n{text}" if how == "frozen" else changed)
        screen.type("yes\r")
        await screen.process.wait_closed()
    await until(lambda: not list(door.server.visitors.sessions))
    assert locked(door, "side_door")
    assert door.orders() == [("unlock", 77)]
    assert not door.audit("order.done")


async def test_who_is_cut_off_while_asked(door: Door) -> None:
    """Cutting off a user ends the question too: no order of theirs runs any more when that is done."""
    write_anna(door)
    dispatch = door.server.visitors.dispatch
    async with shell(door) as screen:
        screen.type("unlock side_door\r")
        await asked(screen, ASKED_SURE)
        assert await dispatch.cut(lambda session: session.login.user == "anna", "you were frozen") == 1
        assert not dispatch._running
        await screen.process.wait_closed()
    assert refusals(door) == [("unlock", "denied", "you were frozen")]
    assert locked(door, "side_door")


async def test_the_secret_is_changed_while_asked(door: Door) -> None:
    """The code is checked against the secret of the moment at which it is given."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
        write_anna(door, secret=new_secret())
        screen.type(f"{code()}\r")
        await screen.shows("error: wrong code")
    assert locked(door)


# -- orders that change how one gets in -------------------------------------------------------------------------------


@pytest.fixture
def proving(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give everybody an order that proves and asks for a word twice; return what it was told."""
    told: list[str] = []
    own = Registry()

    @order("keyword", needs=Privilege.READ, says="kept", proves=True, registry=own)
    async def keyword(ctx: Context) -> None:
        """Take a word, hidden, and take it again."""
        for question in ("word: ", "again: "):
            word = await ctx.session.ask(question, True) if ctx.session.ask else "nobody"
            told.append("-" if word is None else word)

    (made,) = own
    monkeypatch.setitem(REGISTRY._orders, made.name, made)
    return told


READ = ('"read"',)


async def prove_shell(screen: Terminal, question: str, reply: str) -> None:
    """Give that order and prove what it asks for."""
    screen.type("keyword\r")
    await asked(screen, question)
    screen.type(f"{reply}\r")
    await asked(screen, "word:")


@TERMS
@pytest.mark.parametrize("secret", [SECRET, ""], ids=["with a secret", "without"])
async def test_an_order_that_proves(door: Door, proving: list[str], term: str, secret: str) -> None:
    """It asks for a code, or a yes of who has no secret; what it asks itself is hidden where it says so."""
    write_anna(door, *READ, secret=secret)
    question, reply = ("keyword: one-time code?", code()) if secret else ("keyword: are you sure?", "yes")
    async with shell(door, term) as screen:
        await prove_shell(screen, question, reply)
        screen.type("s3cret word\r")
        await asked(screen, "again:")
        screen.type("s3cret\r")
        await screen.shows("kept")
        await back(screen)
        assert "s3cret" not in str(screen)
        screen.type("\x1b[A\x1b[A" if term != "dumb" else "")
        await turns()
        assert "s3cret" not in str(screen)
    assert proving == ["s3cret word", "s3cret"]
    assert "s3cret" not in (door.site.path / "state" / "audit.jsonl").read_text()


@pytest.mark.parametrize("option", ['sshhome-grants="read"', 'expiry-time="20270101"'])
async def test_a_narrower_key_does_not_prove(door: Door, proving: list[str], option: str) -> None:
    """A key that is good for less than its owner, or for a while, cannot change the owner, whatever it proves."""
    line = f"{option} {public(door, 'guest')}".replace('"', '\\"')
    text = f'keys = ["{line}"]\ntotp = "{SECRET}"\ngrants = ["read"]\n'
    write_whole(door.site.path / "authorized_users" / "anna.toml", text)
    async with shell(door) as screen:
        screen.type(f"keyword --code {code()}\r")
        await until(door.orders)
        await back(screen)
    assert refusals(door)[0][1] == "denied"
    assert proving == []


@pytest.mark.parametrize("gone", ["left", "interrupted"])
async def test_an_order_asks_nobody_who_no_longer_waits(door: Door, proving: list[str], gone: str) -> None:
    """An order whose giver has left or interrupted it is told that nobody answers, for every question it has."""
    write_anna(door, *READ)
    async with door.connect("anna", key="guest") as connection, Terminal.open(connection) as screen:
        await prove_shell(screen, "keyword: one-time code?", code())
        if gone == "left":
            connection.abort()
        else:
            screen.type("\x03echo a; echo b\r")
            await screen.shows("b")
            await back(screen)
            assert "again" not in str(screen)
        await until(lambda: ("keyword", 0) in door.orders())
    assert proving == ["-", "-"]
    await until(lambda: not door.server.visitors.dispatch._running)


async def test_no_question_outlives_the_patience(door: Door) -> None:
    """After a minute without an answer the order is refused, says why, and the prompt is back."""
    write_anna(door)
    async with shell(door) as screen:
        screen.type("unlock front_door\r")
        await asked(screen, ASKED_CODE)
        screen.type("12")
        advance(59.9)
        await turns()
        assert not door.orders()
        advance(0.2)
        await screen.shows("and nobody answered within 1")
        await back(screen)
        assert ASKED_CODE in str(screen).splitlines()
        await screen.give("echo still here", "still here")
    assert refusals(door) == [("unlock", "step_up", f"{NO_CODE}, and nobody answered within 1 min")]
    assert not door.audit("login.failed")


async def test_the_house_closes_while_asked(serve: Serve) -> None:
    """A house that closes its door waits for nobody's answer."""
    async with serve() as door:
        write_anna(door)
        async with shell(door) as screen:
            screen.type("unlock front_door\r")
            await asked(screen, ASKED_CODE)
            async with asyncio.timeout(5):
                await door.server.close()
            with contextlib.suppress(asyncssh.Error):
                await screen.process.wait_closed()
        assert refusals(door) == [("unlock", "step_up", NO_CODE)]
        assert locked(door)


async def test_the_house_closes_and_asks_no_more(serve: Serve, proving: list[str]) -> None:
    """An order that has more to ask while the house closes its door is told that there is nobody."""
    async with serve() as door:
        write_anna(door, *READ)
        async with shell(door) as screen:
            await prove_shell(screen, "keyword: one-time code?", code())
            async with asyncio.timeout(5):
                await door.server.close()
            with contextlib.suppress(asyncssh.Error):
                await screen.process.wait_closed()
    assert proving == ["-", "nobody"]
