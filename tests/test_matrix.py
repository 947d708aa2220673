"""Who may give which order: every order, by role and by condition, on every channel, and undone again.

tests/matrix.txt is the whole of it, for a person to read. `SSHHOME_UPDATE=1 make test` writes it anew; the diff is for
the reviewer.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from sshhome.backends.simulated import family_house
from sshhome.device import ATTRIBUTES, Device, Scalar
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Order
from sshhome.outcome import DryRun, Outcome
from sshhome.session import Standing
from tests.client import Door, Terminal, ask
from tests.test_dispatch import ARGUMENTS, ROLES, USERS, Build, Road, give_ready, line_of, make_ready
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

_LABEL = 46
PAGE = Path(__file__).with_name("matrix.txt")
HEAD = """\
# May it be given? A letter each for exec, shell and batch, and for `undo` once it was given with all rights:
#   y yes   n no   ? asks for more first, which nobody is there to answer   - changes nothing that could be undone
"""


#: Values of which some orders set one, and others none.
TABLE = (
    "{ on = false, brightness = 7, speed = 7, position = 7, locked = true, armed = 'away', mode = 'auto',"
    " temperature = 17, color = 'blue' }"
)
#: Every order; the one that a grant or deny for some orders is about is put in later.
ITSELF = "ITSELF"
#: Conditions that do not hold on Tuesday at noon, from the house itself, while the garden is dark.
ALLOWS = {
    "when": "'sat'",
    "from": "'10.0.0.0/8'",
    "house": "'light.garden.on = on'",
    "values": TABLE,
    "orders": "['time']",
    "until": "2026-06-01",
    "uses": "1",
    "confirm": "'confirm'",
    "totp": "'totp'",
}
#: Conditions that do.
DENIES = {
    "when": "'tue'",
    "from": "'127.0.0.0/8'",
    "house": "'light.garden.on = off'",
    "values": TABLE,
    "orders": ITSELF,
    "until": "2026-12-24",
}
HOLDING = {**DENIES, "values": "{ brightness = '0..', position = '0..' }", "uses": "1000"}
#: Who gives these hands out what they must hold: on no condition, unless what they hand out has the same.
HANDING_OUT = {"device move", "macro share", "pass create", "user add", "user grant", "user key", "user thaw"}
_CONFIRM = {"confirm": "step_up", "totp": "step_up"}


def rights(condition: str = "", value: str = "", *, deny: bool = False) -> str:
    """Return the file of somebody who may do everything, under a condition or but for a deny under it."""
    key, everything = _CONFIRM.get(condition, condition), ["control", "access", "admin"]
    held = [*everything] if deny or not condition else []
    bound = [privilege for privilege in everything if privilege != "admin" or condition not in {"values", "uses"}]
    plain = ["read", *held, *(privilege for privilege in everything if privilege not in bound and not held)]
    verdict = "deny" if deny else "allow"
    tables = [f"{{ {verdict} = '{privilege}', {key} = {value} }}" for privilege in bound if condition]
    told = ", ".join([*(f"'{privilege}'" for privilege in dict.fromkeys(plain)), *tables])
    secret = "totp = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'\n" if condition == "totp" else ""
    return f"{USERS['nobody']}{secret}grants = [{told}]\n"


class Matrix:
    """Gives orders as anna, who may now do this and now do that."""

    def __init__(self, road: Road) -> None:
        """Give them on a road."""
        self.road = road
        #: By order the devices that it would change, as they are before it is given.
        self._befores: dict[str, list[Device]] = {}

    async def become(self, text: str) -> None:
        """Let anna be whom a file says; what she may do but so often she has done as often."""
        if self.road.texts["anna"] != text:
            self.road.become("anna", text)
        for grant in self.road.user("anna").grants:
            if grant.uses == 1 and not self.road.dispatch.uses.used("anna", grant.id):
                await self.road.dispatch.uses.take("anna", [grant])

    async def page(self, title: str, columns: Mapping[str, str], *needs: Privilege) -> str:
        """Return a table of the orders that need one of these privileges, by whom anna is."""
        widths = [max(len(column), 4) + 1 for column in columns]
        named = "".join(f"{name:{width}}" for name, width in zip(columns, widths, strict=True))
        text = f"\n{title:{_LABEL}}{named}".rstrip()
        for order, line, shown in rows(*needs):
            text += f"\n{shown:{_LABEL}}"
            for user, width in zip(columns.values(), widths, strict=True):
                text += f"{await self.cell(user, order, line):{width}}"
            text = text.rstrip()
        return f"{text}\n"

    async def cell(self, text: str, order: Order, line: str) -> str:
        """Return what becomes of an order on each channel, and of undoing it."""
        text = text.replace(ITSELF, f"['{order.name}']")
        if line not in self._befores:
            await self.plan(line)
        await self.become(text)
        letters = [await self.letter(line, channel) for channel in ("exec", "shell", "batch")]
        assert letters[0] == letters[2], line
        assert order.name in HANDING_OUT or letters[0] == await self.explained(order, line), line
        return "".join([*letters, await self.undone(text, line) if _is_undone(order) else "-"])

    async def letter(self, line: str, channel: str) -> str:
        """Return what becomes of an order on a channel."""
        self.stir(line)
        return _letter(line, await give_ready(self.road, "anna", line, channel))

    async def explained(self, order: Order, line: str) -> str:
        """Return what `explain` says of it, which gives nothing."""
        make_ready(self.road, "anna")
        self.stir(line)
        session = self.road.session("anna")
        standing = session.standing()
        assert isinstance(standing, Standing)
        dispatch = self.road.dispatch
        judged = (await dispatch.explain(session, line, standing, dispatch.clock.now())).devices
        dispatch.sessions.close(session)
        if all(judgement.allowed for judgement in judged):
            return "y"
        return "?" if any(judgement.step_up for judgement in judged) else "n"

    async def undone(self, text: str, line: str) -> str:
        """Return what becomes of undoing an order that was given with all rights."""
        await self.become(rights())
        self.stir(line)
        self.road.dispatch.journal.forget("anna")
        assert _letter(line, await self.road.one("anna", line)) == "y"
        if not self.road.dispatch.journal.of("anna"):
            return "-"
        await self.become(text)
        return _letter(f"undo: {line}", await self.road.one("anna", "undo"))

    async def plan(self, line: str) -> None:
        """Find out how the house must be for an order to change all that it can."""
        await self.become(rights())
        make_ready(self.road, "anna")
        self.road.report(*family_house())
        devices, self._befores[line] = self.road.dispatch.house.devices, []
        for answer in (await self.road.one("anna", f"{line} --dry-run")).answers:
            plan = answer.value
            if isinstance(plan, DryRun) and plan.id:
                others = {
                    name: _other(name, value) for name, value in plan.change.items() if value == plan.before[name]
                }
                if others.get("on") and devices[plan.id].kind == "fan":
                    others["speed"] = 40
                self._befores[line].append(devices[plan.id].with_state(others))

    def stir(self, line: str) -> None:
        """Let the house be otherwise than an order would make it."""
        self.road.report(*self._befores.get(line, ()))


def _is_undone(order: Order) -> bool:
    return order.changes and order.name != "undo"


def _other(name: str, value: Scalar) -> Scalar:
    """Return another value of an attribute."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return 50 if value != 50 else 40
    return next((option for option in ATTRIBUTES[name].options if option != value), None) if value else None


def _letter(line: str, outcome: Outcome) -> str:
    """Return how an order ended; one that ends otherwise is no sensible one to ask about."""
    error = outcome.error
    if outcome.status in {0, 3}:
        return "y"
    asked = error is not None and (error.code == "step_up" or "nobody to ask" in error.message)
    assert asked or outcome.status == 77, f"{line}: {error}"
    return "?" if asked else "n"


def rows(*needs: Privilege) -> Iterator[tuple[Order, str, str]]:
    """Yield the orders that need one of these privileges, as they are given and as they are shown."""
    for order in REGISTRY:
        for arguments in ARGUMENTS[order.name] if order.needs in needs else ():
            line = line_of(order.name, arguments)
            shown = re.sub(r"AAAA\w+", "AAAA…", line)
            yield order, line, shown if len(shown) < _LABEL else f"{shown[: _LABEL - 2]}…"


def compared(pages: Sequence[str]) -> None:
    """Compare with the page there is, or write it."""
    text = HEAD + "".join(pages)
    if os.environ.get("SSHHOME_UPDATE"):
        PAGE.write_text(text, encoding="utf-8")
    assert text == PAGE.read_text(encoding="utf-8")


@pytest.fixture
async def matrix(build: Build) -> AsyncIterator[Matrix]:
    """Return what gives orders as anna."""
    async with build(users={**USERS, "anna": rights()}) as road:
        yield Matrix(road)


async def test_matrix(matrix: Matrix) -> None:
    """Who may give which order, by role and by condition, and undo it again, is what tests/matrix.txt says."""
    roles = {role: USERS[role] for role in ROLES}
    allows = {name: rights(name, value) for name, value in ALLOWS.items()}
    denies = {name: rights(name, value, deny=True) for name, value in DENIES.items()}
    acting = (Privilege.CONTROL, Privilege.ACCESS, Privilege.ADMIN)
    compared(
        [
            await matrix.page("by role", roles, *Privilege),
            await matrix.page("all allowed, if only …", allows, *acting),
            await matrix.page("all denied, since …", denies, *acting),
        ]
    )


@pytest.mark.parametrize(("condition", "value"), HOLDING.items(), ids=HOLDING)
async def test_a_condition_that_holds_is_no_condition(matrix: Matrix, condition: str, value: str) -> None:
    """Whoever may do everything under a condition that holds may do everything; the deny that does not is none."""
    elsewhere = {**ALLOWS, "values": "{ brightness = 99, position = 99, hue = 99 }"}
    acting = rows(Privilege.CONTROL, Privilege.ACCESS, Privilege.ADMIN)
    for order, line in [(order, line) for order, line, _ in acting if order.name not in HANDING_OUT]:
        for text in (
            rights(condition, value.replace(ITSELF, f"['{order.name}', 'undo']")),
            *([rights(condition, elsewhere[condition], deny=True)] if condition != "uses" else []),
        ):
            await matrix.become(text)
            assert await matrix.letter(line, "exec") == "y", (line, text)


async def test_help_tells_just_what_the_matrix_does(matrix: Matrix) -> None:
    """`help` lists to each role the orders that it can give in some way, and no others."""
    for role in ROLES:
        some = {order.name for order, line, _ in rows(*Privilege) if await matrix_of(matrix, role, line) == "y"}
        assert {order.name for order in matrix.road.allowed(role)} == some


async def matrix_of(matrix: Matrix, role: str, line: str) -> str:
    """Return what becomes of an order that somebody of a role gives in a shell."""
    return _letter(line, await give_ready(matrix.road, role, line))


#: Lines that are permitted, refused, not met or asked about, for the cleaner of the tests.
LINES = [
    *("on kitchen", "on desk", "unlock front_door", "unlock side_door", "show @kids", "off light.*", "user list"),
    *("dim kitchen 140", "on kitchen; unlock side_door; off kitchen", "whoami", "on kitchen --dry-run"),
    *("list light.k* | columns id", "off light.* | match kit", "list | grep kitchen", "echo a | b"),
]


async def test_every_channel_has_the_one_engine(door: Door) -> None:
    """Over SSH an order is decided alike as a command, as a line of a batch, and typed in a shell: word for word."""
    async with door.connect("cleaner") as connection, Terminal.open(connection, 200, 50, term="dumb") as shell:
        for line in LINES:
            command = await ask(connection, line)
            batch = await ask(connection, "", stdin=f"{line}\n")
            assert (command.out, command.err, command.status) == (batch.out, batch.err, batch.status), line
            said = f"{command.out}{command.err}".splitlines()
            await shell.give(line, said[-1] if said else "> ")
            for told in said:
                assert told in str(shell), line
