"""An order is a whitelisted verb a user may give: one function whose annotations say all there is to know.

    @order("dim", needs=Privilege.CONTROL, says="{label} is at {brightness} %")
    async def dim(ctx: Context, light: Dimmable, level: Brightness = 50) -> Change:
        '''Dim a light.

        light: the light to dim
        level: 0 is off, 100 is full
        '''
        return {"brightness": level}

The decorator returns the plain function. A keyword-only parameter is an option (`--since 24h`). An order that
changes the house returns the change and makes none: dispatch judges it, makes it, and can bring it back.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar, get_type_hints
from zoneinfo import ZoneInfo

import msgspec

from sshhome.audit import Audit
from sshhome.backend import Link
from sshhome.ban import Bans
from sshhome.clock import Clock
from sshhome.delivery import Hooks
from sshhome.device import Device, State
from sshhome.feed import Feed
from sshhome.grant import Privilege
from sshhome.house import Event, Told
from sshhome.journal import Journal
from sshhome.macro import Macros
from sshhome.naming import Naming
from sshhome.param import Devices, ParamType, Scope, type_of
from sshhome.plot import Chart
from sshhome.recall import Recall
from sshhome.recorder import Recorder
from sshhome.schedule import Schedules
from sshhome.session import Session, Sessions, Standing
from sshhome.store import Change as KeptChange
from sshhome.store import Macro, Store
from sshhome.user import User, Users
from sshhome.uses import Uses
from sshhome.when import dated, earlier
from sshhome.words import Word

_Function = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=_Function)


class Inventory(Protocol):
    """The house as those see it who run it: what its backends tell of, and what that is called.

    Nothing of this changes a device: an order returns a change, and dispatch makes it.
    """

    naming: Naming

    @property
    def links(self) -> Mapping[str, Link]:
        """How it is with each backend, by name."""

    def watch(self, watcher: Callable[[Event], None]) -> Callable[[], None]:
        """Call `watcher` with everything that is heard of devices; returns what ends it."""

    def told(self) -> Sequence[Told]:
        """Return what all backends tell of, shown or not."""

    def find(self, id_: str) -> Device | None:
        """Return a device by its id, shown or not."""

    def renamed(self, id_: str) -> None:
        """Take over what was kept of a device."""

    async def test(self, name: str) -> str:
        """Connect to what a backend speaks to once more, and return what is there; raises SiteError."""

    async def reload(self, name: str) -> None:
        """Close a backend and open it afresh; raises SiteError."""


class Judgement(msgspec.Struct, frozen=True):
    """Whether an order may be given on one device: by which rule, after which proof, or what is not met.

    `next` is when time alone will allow it, in seconds since the epoch.
    """

    id: str
    allowed: bool
    rule: str
    step_up: str = ""
    unmet: tuple[str, ...] = ()
    next: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """Whether a user may give an order, device by device."""

    order: str
    user: str
    devices: Sequence[Judgement]


class Column(msgspec.Struct, frozen=True):
    """One column of a table; in a narrow terminal the one with the lowest `keep` goes first.

    A column that `wraps` breaks its lines before any column goes. One of `bars` says nothing that another does not,
    and is there only where they can be drawn.
    """

    title: str
    keep: int = 1
    right: bool = False
    wraps: bool = False
    bars: bool = False


#: The text of a cell, with its tone if it has one, and how much of a bar is full, 0 to 1, if it has one.
Cell = str | tuple[str, str] | tuple[str, str, float]


class Table(msgspec.Struct, frozen=True):
    """The human form of a list; a row that is one text alone is a heading.

    Tones are `good`, `active`, `alert` and `dim`; colour is never the only sign.
    """

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell] | str]
    empty: str = "nothing"


class Plot(Table, frozen=True, kw_only=True):
    """A table that is drawn where a terminal can show it, with a line of text above and one below."""

    chart: Chart
    title: str
    foot: str


#: What an order that changes a device returns: attribute → canonical value.
Change = State
#: What one returns that changes several, each in its own way: device id → change.
Changes = Mapping[str, State]

#: A template over the device's fields, its state and the arguments, or a function of the result.
Says = str | Callable[[Any], str | Table]


class Param(msgspec.Struct, frozen=True):
    """One argument of an order as its signature declares it."""

    name: str
    type: ParamType
    says: str
    default: Any = inspect.Parameter.empty
    option: bool = False
    flag: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty

    @property
    def word(self) -> str:
        """What stands for it in the usage."""
        return self.type.metavar or self.said.upper()

    @property
    def said(self) -> str:
        """Its name for people: that of `for_`, which Python does not let be `for`, is without the underscore."""
        return self.name.rstrip("_")

    @property
    def dashed(self) -> str:
        """How an option is named: `--since`."""
        return f"--{self.said.replace('_', '-')}"

    @property
    def usage(self) -> str:
        """How it is written: `TARGET`, `[LEVEL]`, `[--since DURATION]`."""
        word = self.word
        if self.option:
            word = self.dashed + ("" if self.flag else f" {word}")
        if self.type.rest:
            word += "…"
        return word if self.required else f"[{word}]"


class Order(msgspec.Struct, frozen=True):
    """A registered order."""

    name: str
    needs: Privilege
    says: Says
    run: _Function
    params: tuple[Param, ...]
    summary: str
    #: Whether it returns a change of the device named, or changes of several.
    changes: bool = False
    #: Whether it changes how its giver gets in, so that they prove more first and cannot be a pass or a narrower key.
    proves: bool = False
    #: Whether it keeps what its giver will do later, with all that they may then: neither can a pass do that, nor a
    #: narrower key.
    keeps: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether it may answer what lets people in, such as a new password, which nobody keeps."""
        return self.proves or self.needs is Privilege.ADMIN

    @property
    def usage(self) -> str:
        """The order with its params: `dim TARGET [BRIGHTNESS]`."""
        return " ".join((self.name, *(param.usage for param in self.params)))

    @property
    def target(self) -> Param | None:
        """The param that names devices, if there is one."""
        return next((param for param in self.params if isinstance(param.type, Devices)), None)


class Registry:
    """All orders by name; names of two words, such as `ban list`, are found by both."""

    def __init__(self) -> None:
        """Start empty."""
        self._orders: dict[str, Order] = {}

    def add(self, order: Order) -> None:
        """Take in an order; raises TypeError when the name is taken."""
        if order.name in self._orders:
            raise TypeError(f"two orders are named '{order.name}'")
        self._orders[order.name] = order

    def find(self, words: Sequence[str]) -> tuple[Order | None, int]:
        """Return the order that these words begin with, and how many words its name takes."""
        for count in (2, 1):
            order = self._orders.get(" ".join(words[:count]).lower()) if len(words) >= count else None
            if order is not None:
                return order, count
        return None, 0

    def __iter__(self) -> Iterator[Order]:
        """Yield all orders by name."""
        return iter(sorted(self._orders.values(), key=lambda order: order.name))


REGISTRY = Registry()


def order(
    name: str,
    *,
    needs: Privilege,
    says: Says,
    proves: bool = False,
    keeps: bool = False,
    registry: Registry = REGISTRY,
) -> Callable[[F], F]:
    """Register a function as the order `name`; raises TypeError where signature and docstring do not agree."""

    def register(function: F) -> F:
        plain: object = function
        if not inspect.iscoroutinefunction(plain):
            raise TypeError(f"order '{name}' is not an async function")
        summary, documented = _docstring(name, function)
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or hints.get(parameters[0].name) is not Context:
            raise TypeError(f"order '{name}' does not take a Context first")
        params = []
        for parameter in parameters[1:]:
            if parameter.name not in documented:
                raise TypeError(f"order '{name}': the docstring does not tell of '{parameter.name}'")
            params.append(_param(name, parameter, hints.get(parameter.name), documented.pop(parameter.name)))
        if documented:
            raise TypeError(
                f"order '{name}': the docstring tells of '{next(iter(documented))}', the signature does not"
            )
        changes = _changes(name, needs, hints.get("return"), params)
        if needs is Privilege.ADMIN and any(isinstance(param.type, Devices) for param in params):
            raise TypeError(f"order '{name}' runs the server, which is about no device: nobody could be denied one")
        registry.add(Order(name, needs, says, function, tuple(params), summary, changes, proves, keeps))
        return function

    return register


def _changes(order_name: str, needs: Privilege, returns: object, params: Sequence[Param]) -> bool:
    """Return whether an order changes the house; raises TypeError for one whose changes nobody could judge."""
    if returns not in {Change, Changes}:
        return False
    if needs not in {Privilege.CONTROL, Privilege.ACCESS}:
        raise TypeError(f"order '{order_name}' changes the house, so that it needs control or access")
    targets = [param.type for param in params if isinstance(param.type, Devices)]
    if returns == Change and [target.each for target in targets] != [True]:
        raise TypeError(f"order '{order_name}' returns a Change, so that it takes one param for the device")
    if returns == Changes and targets:
        raise TypeError(f"order '{order_name}' returns Changes, so that it takes no param for a device")
    return True


def _param(order_name: str, parameter: inspect.Parameter, annotation: object, says: str) -> Param:
    """Return one param of an order; raises TypeError for one that no word could be given to."""
    option = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    flag = annotation is bool
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise TypeError(f"order '{order_name}': '{parameter.name}' takes any number; a param takes one value")
    if flag and not option:
        raise TypeError(f"order '{order_name}': '{parameter.name}' is a flag, so it stands after the *")
    return Param(parameter.name, type_of(annotation), says, parameter.default, option, flag)


def _docstring(name: str, function: _Function) -> tuple[str, dict[str, str]]:
    """Return the summary and what the docstring tells of each param, a line `param: what it is` each."""
    text = inspect.getdoc(function)
    if not text:
        raise TypeError(f"order '{name}' has no docstring")
    summary, *lines = text.splitlines()
    told = (re.fullmatch(r"(\w+): (.+)", line) for line in lines)
    return summary.rstrip("."), {match[1]: match[2] for match in told if match}


@dataclass(slots=True)
class Context:
    """What an order may use: who gives it, as whom, and the parts of the house it asks.

    `address` is where people find the house, HOST:PORT; `explain` tells whether somebody may give a line, now or at
    another time; `cut` ends sessions, with all that runs in them; an order that brings a change back sets `undoing`.
    `sight` returns what tells of a device, also one that the house does not show, whether the giver may know of it now.
    `check_macro` returns the words of each order of a macro, or refuses it; `offered_macros` are those that the giver
    could run. `foresee` tells how each order of a line will be judged that is given later by itself, or refuses it.
    `audit` writes into the `log`, which is to be read with the giver's eyes alone,
    as the `feed` is.
    """

    standing: Standing
    session: Session
    users: Users
    sessions: Sessions
    bans: Bans
    journal: Journal
    uses: Uses
    store: Store
    recall: Recall
    hash_password: Callable[[str], Awaitable[str]]
    address: str
    clock: Clock
    timezone: ZoneInfo
    house_name: str
    house: Inventory
    sight: Callable[[], Callable[[Device], bool]]
    scope: Scope
    orders: Callable[[], Sequence[Order]]
    explain: Callable[[str, Standing, float], Awaitable[Verdict]]
    cut: Callable[[Callable[[Session], bool], str], Awaitable[int]]
    audit: Callable[..., None]
    macros: Macros
    check_macro: Callable[[Macro], Sequence[Sequence[Word]]]
    offered_macros: Callable[[], Sequence[Macro]]
    schedules: Schedules
    foresee: Callable[[str, float], Awaitable[Sequence[Verdict]]]
    log: Audit
    feed: Feed
    hooks: Hooks
    recorder: Recorder
    undoing: KeptChange | None = None

    @property
    def user(self) -> User:
        """Who gives the order."""
        return self.standing.user

    def dated(self, text: str) -> str:
        """Return what is written about times with the dates that its `today` and `tomorrow` are in this house."""
        return dated(text, datetime.fromtimestamp(self.clock.now(), self.timezone).date())

    def at(self, given: float | str) -> float:
        """Return the moment so many seconds ago, or of a text such as `yesterday`; raises BadArguments."""
        now = self.clock.now()
        at = now - given if isinstance(given, int | float) else earlier(given, self.timezone, now)
        # Nobody has known anything before there were computers, and no calendar goes back for ever.
        return max(at, 0.0)
