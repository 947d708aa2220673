"""Orders about shells themselves: how somebody likes theirs, and a word to all of them."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from sshhome.errors import BadArguments
from sshhome.escape import printable
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Table, order
from sshhome.param import Choice, ParamType, Scope, Suggestion, Text
from sshhome.recall import CHOICES, Options

_SAYS = {
    "editing": "keys as in emacs, or as in vi",
    "plain": "no colours and no moving cursor, for a screen reader, in the next shell",
    "notices": "what you are told unasked: nothing, alarms and bans, or doors that open too",
}


class Option(msgspec.Struct, frozen=True):
    """One option of a user's shells."""

    option: str
    value: str
    choices: Sequence[str]
    says: str


class _Value(ParamType):
    """A value of any option; which ones go together, the order itself knows."""

    metavar = "VALUE"

    def parse(self, text: str, scope: Scope) -> str:  # noqa: ARG002
        word = text.lower()
        if not any(word in words for words in CHOICES.values()):
            raise BadArguments(f"'{text[:80]}' is no value of any option", "`set-option` lists them")
        return word

    def suggest(self, scope: Scope) -> "Sequence[Suggestion]":  # noqa: ARG002
        found: dict[str, list[str]] = {}
        for name, words in CHOICES.items():
            for word in words:
                found.setdefault(word, []).append(name)
        return [Suggestion(word, "of " + " and ".join(names)) for word, names in found.items()]


def _options(options: Sequence[Option] | Option) -> str | Table:
    if isinstance(options, Option):
        return f"{options.option} is {options.value}"
    columns = (Column("option", keep=9), Column("value", keep=8), Column("choices", keep=7), Column("", wraps=True))
    return Table(columns, [(o.option, o.value, " ".join(o.choices), o.says) for o in options])


@order("set-option", needs=Privilege.READ, says=_options)
async def set_option(
    ctx: Context,
    option: Annotated[str, Choice(CHOICES, _SAYS)] = "",
    value: Annotated[str, _Value()] = "",
) -> Sequence[Option] | Option:
    """Say how you like your shells, or list what there is to say.

    option: editing, plain or notices
    value: such as vi, on or all
    """
    login = ctx.user.login
    known = ctx.recall.options(login)
    if not option:
        return [_option(known, name) for name in CHOICES]
    if value:
        if value not in CHOICES[option]:
            raise BadArguments(f"{option} must be one of {', '.join(CHOICES[option])}")
        known = msgspec.structs.replace(known, **{option: value})
        ctx.recall.set(login, known)
    return _option(known, option)


def _option(options: Options, name: str) -> Option:
    return Option(name, getattr(options, name), CHOICES[name], _SAYS[name])


class Called(msgspec.Struct, frozen=True):
    """A word that was said to all shells, and how many heard it."""

    text: str
    shells: int


def _called(called: Called) -> str:
    return f"said to {called.shells} {'shell' if called.shells == 1 else 'shells'}"


@order("wall", needs=Privilege.ADMIN, says=_called)
async def wall(ctx: Context, message: Annotated[str, Text("MESSAGE", rest=True)]) -> Called:
    """Say a word to everybody at a shell, above what they are typing.

    message: what to say
    """
    tells = [session.tell for session in ctx.sessions if session.tell is not None and session is not ctx.session]
    for tell in tells:
        tell(f"* {ctx.user.login}: {printable(message)}")
    return Called(message, len(tells))
