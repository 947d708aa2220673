"""The second factor: a one-time code after the key or the password, asked for in that order and good once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncssh
import pyotp
import pytest
from asyncssh.packet import String, UInt32

from sshhome import app
from sshhome.authentication import Proof
from sshhome.password import hash_password
from sshhome.totp import new_secret
from sshhome.user import write_whole
from tests.client import Answer, Door, RawChannel, Reply, Wire, ask, until
from tests.conftest import NOON, FixedClock, NoChance
from tests.test_server import public, whoami
from tests.test_visitor import Authority, trusting

Serve = Callable[..., AbstractAsyncContextManager[Door]]
SECRET = new_secret()
PASSWORD = "low but long"
HASHED = hash_password(PASSWORD)
ASKED = Reply("this key would do")  # the same number of a message as that of a question for a code
MORE = Reply("partial success", "keyboard-interactive")
WRONG = Reply("failure", "keyboard-interactive")
NO = Reply("failure", "publickey,password")
IN = Reply("success")


def code(at: float = NOON) -> str:
    """Return the code of a moment."""
    return pyotp.TOTP(SECRET).at(int(at))


def wrong_code() -> str:
    """Return a code that is none of those that are good at noon."""
    good = {code(NOON + late) for late in (-30, 0, 30)}
    return next(text for text in ("000000", "111111", "222222", "333333") if text not in good)


def write_two(door: Door, require: str, login: str = "two", *, options: str = "", key: str = "attacker") -> None:
    """Write the file of a resident who has a key, a password and a secret."""
    line = options + public(door, key)
    text = f"roles = ['resident']\nkeys = ['{line}']\npassword = '{HASHED}'\ntotp = '{SECRET}'\nrequire = '{require}'\n"
    write_whole(door.site.path / "authorized_users" / f"{login}.toml", text)


def ask_code(wire: Wire, user: str = "two") -> None:
    """Ask to be asked for a code."""
    wire.send_packet(50, wire._request(user, "keyboard-interactive", String(""), String(""))[1:])


def answer(wire: Wire, *answers: str) -> None:
    """Answer a question for a code."""
    wire.send_packet(61, UInt32(len(answers)) + b"".join(map(String, answers)))


async def begin(door: Door, wire: Wire, method: str = "publickey", user: str = "two") -> Reply:
    """Prove the first of two things."""
    if method == "publickey":
        wire.ask_key(user, door.key("attacker"), signer=door.key("attacker"))
    else:
        wire.ask_password(user, PASSWORD)
    return await wire.reply()


async def give(wire: Wire, *answers: str, user: str = "two") -> Reply:
    """Let a code be asked for, and give it."""
    ask_code(wire, user)
    assert await wire.reply() == ASKED
    answer(wire, *answers)
    return await wire.reply()


def failures(door: Door) -> list[tuple[str, str]]:
    """Return by which method each failed login was tried, and what the log gives as the reason."""
    return [(e["method"], e.get("reason", "")) for e in door.audit("login.failed")]


# -- both, in that order ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["publickey", "password"])
async def test_two_factors_let_in(door: Door, first: str) -> None:
    """The key or password is a partial success, after which the code alone is asked for, and lets in."""
    write_two(door, f"{first}+totp")
    async with door.wire() as wire:
        assert await begin(door, wire, first) == MORE
        assert not door.audit("login.ok")
        assert await give(wire, code()) == IN
        me = await whoami(wire)
    fingerprint = door.key("attacker").get_fingerprint() if first == "publickey" else ""
    assert (me["user"], me["method"], me["key"]) == ("two", f"{first}+totp", fingerprint)
    (event,) = door.audit("login.ok")
    assert (event["method"], event.get("key", "")) == (f"{first}+totp", fingerprint)
    assert not door.audit("login.failed")


class Client(asyncssh.SSHClient):
    """A polite client that is asked for a code."""

    def __init__(self, code: str) -> None:
        """Know the code."""
        self.code = code
        self.asked: list[Any] = []

    def kbdint_auth_requested(self) -> str:
        """Agree to be asked."""
        return ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> list[str]:  # noqa: ANN401 (asyncssh's own)
        """Answer."""
        self.asked.append(prompts)
        return [self.code]


@pytest.mark.parametrize("require", ["publickey+totp", "password+totp"])
async def test_two_factors_with_a_polite_client(door: Door, require: str) -> None:
    """An ordinary client comes in by itself: it tries what is offered next."""
    write_two(door, require)
    client = Client(code())
    async with asyncssh.connect(
        "127.0.0.1",
        door.port,
        username="two",
        client_keys=[str(door.keys / "attacker")] if require.startswith("publickey") else None,
        password=PASSWORD if require.startswith("password") else None,
        client_factory=lambda: client,
        known_hosts=None,
        config=None,
        agent_path=None,
    ) as connection:
        assert (await ask(connection, "echo in")).out == "in\n"
    assert client.asked == [[("One-time code: ", False)]]


@pytest.mark.real
@pytest.mark.parametrize("given", ["right", "wrong"])
async def test_two_factors_through_openssh(door: Door, program: Callable[[str], str], given: str) -> None:
    """The OpenSSH client comes in with key and code, and with a wrong code it does not."""
    write_two(door, "publickey+totp")
    (door.keys / "two").write_bytes((door.keys / "attacker").read_bytes())
    (door.keys / "two").chmod(0o600)
    options = ["-i", str(door.keys / "two"), "-o", "PreferredAuthentications=publickey,keyboard-interactive"]
    told = await openssh_with_code(door, program("ssh"), code() if given == "right" else wrong_code(), options)
    assert (told.out, told.status) == (("in\n", 0) if given == "right" else ("", 255))
    assert failures(door) == ([] if given == "right" else [("publickey+totp", "wrong code")])


async def openssh_with_code(door: Door, program: str, code: str, options: Sequence[str]) -> Answer:
    """Run the OpenSSH client, which gets the code from a program that it asks."""
    # What it is given as a password is what its askpass program answers, whatever is asked; later options are ignored.
    return await door.openssh(
        program,
        "two",
        "echo",
        "in",
        password=code,
        options=[*options, "-o", "NumberOfPasswordPrompts=1"],
    )


# -- one of them, or in another order ---------------------------------------------------------------------------------


async def code_alone(_door: Door, wire: Wire) -> None:
    """Ask for the code first."""
    ask_code(wire)
    assert await wire.reply() == NO


async def other_factor(door: Door, wire: Wire) -> None:
    """Prove what is right, and not what is required."""
    assert await begin(door, wire, "password") == NO
    ask_code(wire)
    assert await wire.reply() == NO


async def first_twice(door: Door, wire: Wire) -> None:
    """Prove the first factor again instead of the second."""
    assert await begin(door, wire) == MORE
    assert await begin(door, wire) == WRONG
    assert await begin(door, wire, "password") == WRONG


async def nothing_more(door: Door, wire: Wire) -> None:
    """Ask to be let in after the first factor."""
    assert await begin(door, wire) == MORE
    wire.ask_none("two")
    assert await wire.reply() == WRONG
    wire.ask_key("two", door.key("attacker"))
    assert await wire.reply() == WRONG


async def offered_first(door: Door, wire: Wire) -> None:
    """Offer the key without proof, and ask for the code."""
    wire.ask_key("two", door.key("attacker"))
    assert await wire.reply() == ASKED
    ask_code(wire)
    assert await wire.reply() == NO


async def other_name_and_back(door: Door, wire: Wire) -> None:
    """Prove the first factor, ask as somebody else, and come back for the code."""
    assert await begin(door, wire) == MORE
    wire.ask_none("guest")
    assert await wire.reply() == NO
    ask_code(wire)
    assert await wire.reply() == NO


async def other_name_s_code(door: Door, wire: Wire) -> None:
    """Prove one's own first factor, and give one's code for another user with the same secret."""
    write_two(door, "publickey+totp", "victim", key="home")
    assert await begin(door, wire) == MORE
    ask_code(wire, "victim")
    assert await wire.reply() == NO


async def folded_name(door: Door, wire: Wire) -> None:
    """Prove the first factor, and go on by a name that asyncssh would fold into the same."""
    assert await begin(door, wire) == MORE
    ask_code(wire, "tw\u00ado")
    assert await wire.reply() == NO


Attack = Callable[[Door, Wire], Awaitable[None]]


@pytest.mark.parametrize(
    ("attack", "counted"),
    [
        (code_alone, []),
        (other_factor, [("password", "")]),
        (first_twice, []),
        (nothing_more, []),
        (offered_first, []),
        (other_name_and_back, []),
        (other_name_s_code, []),
        (folded_name, [("unknown user", "")]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_whoever_skips_or_reorders_gets_nothing(
    door: Door, attack: Attack, counted: Sequence[tuple[str, str]]
) -> None:
    """One factor alone, the wrong one, or both in the wrong order or for two names, lets nobody in."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        await attack(door, wire)
    await until(lambda: not door.server.visitors)
    assert failures(door) == counted
    assert not door.audit("login.ok")


async def test_an_answer_that_nobody_asked_for(door: Door) -> None:
    """A code sent without a question, before or after the first factor, ends the connection."""
    write_two(door, "publickey+totp")
    for first in (False, True):
        async with door.wire() as wire:
            if first:
                assert await begin(door, wire) == MORE
            answer(wire, code())
            assert (await wire.reply()).kind in {"disconnected", "closed"}
    assert not door.audit("login.ok")


async def test_a_key_does_not_begin_where_a_password_must(door: Door) -> None:
    """With `password+totp` a key of the user is no more than a stranger's key."""
    write_two(door, "password+totp")
    async with door.wire() as wire:
        wire.ask_key("two", door.key("attacker"))
        assert await wire.reply() == NO
        assert await begin(door, wire) == NO
    assert failures(door) == [("publickey", "this user does not come by key")]


async def test_a_secret_alone_requires_nothing(door: Door) -> None:
    """With `require = "any"` key or password is enough, though there is a secret; the code alone is nothing."""
    write_two(door, "any")
    for first in ("publickey", "password"):
        async with door.wire() as wire:
            assert await begin(door, wire, first) == IN
    async with door.wire() as wire:
        await code_alone(door, wire)


@pytest.mark.parametrize("require", ["any", "publickey+totp", "password+totp"])
async def test_a_code_proves_nothing_by_itself(door: Door, require: str) -> None:
    """Should asyncssh ever take a code alone, or the first factor twice, for a login, the answer is still no."""
    write_two(door, require)
    first = require.partition("+")[0]
    async with door.wire() as wire:
        wire.ask_none("two")
        assert await wire.reply() == NO
        (visitor,) = door.server.visitors
        connection = visitor.connection
        connection._proof = Proof("two", "totp")
        await connection.send_userauth_success()
        assert await wire.reply() == NO
        if require != "any":
            connection._first = connection._proof = Proof("two", first)
            await connection.send_userauth_success()
            assert await wire.reply() == MORE
    assert not door.audit("login.ok")


# -- wrong codes ------------------------------------------------------------------------------------------------------


async def test_wrong_codes_count(door: Door) -> None:
    """Each wrong code is one failure and one try, with the key that came before it; then the right one lets in."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        for _ in range(2):
            assert await give(wire, wrong_code()) == WRONG
        assert await give(wire, code()) == IN
    assert failures(door) == [("publickey+totp", "wrong code")] * 2
    assert {e["key"] for e in door.audit("login.failed")} == {door.key("attacker").get_fingerprint()}
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        for _ in range(3):
            assert await give(wire, wrong_code()) == WRONG
        assert await give(wire, wrong_code()) == Reply("disconnected", "too many authentication failures")
    assert failures(door) == [("publickey+totp", "wrong code")] * 5


@pytest.mark.parametrize("answers", [(), ("{code}", ""), ("", "{code}"), ("{code}", "{code}")])
async def test_answers_must_be_one(door: Door, answers: Sequence[str]) -> None:
    """To one question there is one answer; none, or more of them, is a wrong one though the code is among them."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, *(text.format(code=code()) for text in answers)) == WRONG
    assert failures(door) == [("publickey+totp", "one code was asked for")]


@pytest.mark.parametrize("text", ["", " ", "\0", "a" * 5000, "\u0660\u0661\u0662\u0663\u0664\u0665", "' OR 1=1 --"])
async def test_answers_that_are_no_code(door: Door, text: str) -> None:
    """Whatever is answered is a wrong code, and the connection goes on."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, text) == WRONG
        assert await give(wire, code()) == IN
    assert failures(door) == [("publickey+totp", "wrong code")]


async def test_pipelined_answers_count(door: Door) -> None:
    """Many answers to one question at once are as many attempts, each a failure of its own."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        ask_code(wire)
        assert await wire.reply() == ASKED
        for _ in range(3):
            answer(wire, wrong_code())
        assert await wire.reply() in {WRONG, Reply("closed")}
    await until(lambda: not door.server.visitors)
    assert 1 <= len(door.audit("login.failed")) <= 3
    assert not door.audit("login.ok")


async def test_wrong_codes_earn_a_ban(door: Door) -> None:
    """Guessing codes behind a right key bans the source like guessing passwords; the right key does not excuse it."""
    write_two(door, "publickey+totp")
    for _ in range(2):
        async with door.wire(source="127.0.0.66") as wire:
            assert await begin(door, wire) == MORE
            for _ in range(3):
                ask_code(wire)
                if (await wire.reply()).kind != ASKED.kind:
                    break
                answer(wire, wrong_code())
                if (await wire.reply()).kind != WRONG.kind:
                    break
    assert len(door.audit("login.failed")) == 5
    assert [e["source"] for e in door.audit("ban.set")] == ["127.0.0.66"]


# -- a code is good once ----------------------------------------------------------------------------------------------


async def test_a_used_code_is_no_code(door: Door, clock: FixedClock) -> None:
    """A code that let somebody in is a failure for the rest of its time; the next one is good."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, code()) == IN
    clock.advance(30)
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, code()) == WRONG
        assert await give(wire, code(NOON + 30)) == IN
    assert failures(door) == [("publickey+totp", "the code was used before")]


async def test_a_used_code_is_none_after_a_restart(site: app.Site, clock: FixedClock, keys: Any) -> None:  # noqa: ANN401 (a path)
    """A restart of the server makes no used code good again."""
    heard = []
    for _ in range(2):
        async with app.running(site, ["127.0.0.1:0"], clock, NoChance()) as running:
            door = Door(running.server, site, running.addresses[0], keys, running.reload)
            write_two(door, "publickey+totp")
            async with door.wire() as wire:
                assert await begin(door, wire) == MORE
                heard.append(await give(wire, code()))
    assert heard == [IN, WRONG]


async def test_two_logins_with_one_code(door: Door) -> None:
    """Of two logins that give the same code at once, one comes in."""
    write_two(door, "publickey+totp")
    async with door.wire() as one, door.wire() as other:
        for wire in (one, other):
            assert await begin(door, wire) == MORE
            ask_code(wire)
            assert await wire.reply() == ASKED
        for wire in (one, other):
            answer(wire, code())
        assert sorted([(await one.reply()).kind, (await other.reply()).kind]) == ["failure", "success"]
    assert failures(door) == [("publickey+totp", "the code was used before")]


async def test_a_right_code_cut_short_lets_nobody_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a right code is being kept, a change of the name makes it a failure, and the code is used up."""
    write_two(door, "publickey+totp")
    hold = asyncio.Event()
    use = door.server.visitors.codes.use
    waiting = []

    async def slowly(user: str, step: int) -> bool:
        good = await use(user, step)
        waiting.append(user)
        await hold.wait()
        return good

    monkeypatch.setattr(door.server.visitors.codes, "use", slowly)
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        ask_code(wire)
        assert await wire.reply() == ASKED
        answer(wire, code())
        await until(lambda: waiting)
        wire.ask_none("home")
        assert await wire.reply() == NO
        hold.set()
        assert await begin(door, wire) == MORE
        assert await give(wire, code()) == WRONG
    assert failures(door) == [("publickey+totp", "cut short"), ("publickey+totp", "the code was used before")]
    assert not door.audit("login.ok")


# -- what binds -------------------------------------------------------------------------------------------------------


async def test_options_of_the_key_bind_after_the_code(door: Door) -> None:
    """The order and the missing terminal of the key's line are those of the session, though the code came last."""
    write_two(door, "publickey+totp", options='restrict,command="echo forced" ')
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, wrong_code()) == WRONG
        assert await give(wire, code()) == IN
        assert not await (await RawChannel.open(wire)).terminal()
        assert (await ask(wire, "unlock front_door")).out == "forced\n"


async def test_a_certificate_may_come_first(serve: Serve) -> None:
    """A certificate is a key like another: a code follows it, and what it binds binds the session."""
    authority, mine = Authority(), asyncssh.generate_private_key("ssh-ed25519")
    certificate: Any = authority.certifies(mine, "two", extensions={}, serial=42)
    async with serve(trusting(authority)) as door:
        write_two(door, "publickey+totp")
        async with door.wire() as wire:
            wire.ask_key("two", certificate, signer=mine)
            assert await wire.reply() == MORE
            assert await give(wire, wrong_code()) == WRONG
            assert await give(wire, code()) == IN
            assert not await (await RawChannel.open(wire)).terminal()
        told = [(e["event"], e["serial"]) for e in door.audit() if e["event"].startswith("login")]
        assert [event for event, _ in told].count("login.halfway") == 1
        assert {serial for _, serial in told} == {42}


@pytest.mark.parametrize("change", ["user", "key", "options", "method", "secret"])
async def test_a_file_that_changes_between_the_factors(door: Door, change: str) -> None:
    """What the file says when the code is given decides: who lost the user, key or secret meanwhile stays out."""
    write_two(door, "publickey+totp", options='from="127.0.0.0/8" ')
    path = door.site.path / "authorized_users" / "two.toml"
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        text = path.read_text()
        match change:
            case "user":
                path.unlink()
            case "key":
                write_two(door, "publickey+totp", key="guest")
            case "options":
                write_two(door, "publickey+totp", options='restrict,from="127.0.0.0/8" ')
            case "method":
                write_two(door, "password+totp", options='from="127.0.0.0/8" ')
            case _:
                write_whole(path, text.replace(SECRET, new_secret()))
        assert (await give(wire, code())).kind == "failure"
    assert not door.audit("login.ok")


async def test_the_key_s_removal_ends_the_session(door: Door) -> None:
    """Who came in with key and code leaves when the key goes."""
    write_two(door, "publickey+totp")
    async with door.wire() as wire:
        assert await begin(door, wire) == MORE
        assert await give(wire, code()) == IN
        write_two(door, "publickey+totp", key="guest")
        assert await wire.reply() == Reply("disconnected", "your key was removed")


# -- the same answer for everyone -------------------------------------------------------------------------------------


async def test_nobody_learns_who_needs_a_code(door: Door) -> None:
    """Without the first factor, who needs a code answers like who does not, and like nobody."""
    write_two(door, "publickey+totp", "by_key")
    write_two(door, "password+totp", "by_password")
    heard = []
    for name in ("by_key", "by_password", "guest", "nobody"):
        async with door.wire() as wire:
            wire.ask_none(name)
            replies = [await wire.reply()]
            wire.ask_key(name, door.key("home"))
            replies.append(await wire.reply())
            ask_code(wire, name)
            replies.append(await wire.reply())
            wire.ask_password(name, "wrong horse")
            heard.append([*replies, await wire.reply()])
    assert heard == [[NO] * 4] * 4


async def test_a_password_that_alone_is_nothing_is_a_wrong_one(door: Door) -> None:
    """The right password of who must come by key, and a wrong one of anybody, are one and the same failure."""
    write_two(door, "publickey+totp")
    for user, password in (("two", PASSWORD), ("two", "wrong horse"), ("nobody", "wrong horse")):
        async with door.wire() as wire:
            wire.ask_password(user, password)
            assert await wire.reply() == NO
    assert failures(door) == [("password", "")] * 3
