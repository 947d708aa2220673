"""Words become typed arguments: each word goes to the param it belongs to, and each device gets a call of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sshhome.device import Device, State
from sshhome.errors import BadArguments
from sshhome.order import Order, Registry
from sshhome.param import EVERYTHING, ONLY, Devices, Scope, Secret
from sshhome.target import Match
from sshhome.words import Word, quote

#: Options that every order takes, unless it has one of that name itself.
COMMON_OPTIONS: Mapping[str, str] = {
    "--json": "answer in JSON",
    "--no-wait": "do not wait for the device's own echo",
    "--progress": "wait until what it sets moving stands still, and show how far it is",
    "--keep-going": "go on with the next order after one that failed",
    "--stop-on-error": "stop at the first order that fails, as is done if nothing is said",
    "--dry-run": "tell what would be done, and do nothing",
    "--yes": "say beforehand that it is meant",
    "--code": "prove who you are with a one-time code",
    "--for": "bring it back after a while",
    "--confirm": "bring it back unless `confirm` is said in time",
}
#: Those that a value follows.
VALUED = frozenset({"--code", "--for", "--confirm"})
#: Those about the answer, and about what comes after it.
_ANSWERING = frozenset({"--json", "--keep-going", "--stop-on-error"})


class Call(msgspec.Struct, frozen=True):
    """One run of an order's function: its arguments, the device it may change, and that one's short name.

    `change` is what would be set on the device, and None for an order that sets nothing.
    """

    args: Mapping[str, Any]
    device: Device | None = None
    label: str = ""
    change: State | None = None


def split_common(registry: Registry, words: Sequence[Word]) -> tuple[Mapping[str, str], Sequence[Word]]:
    """Split off the options that every order takes, each with its value; what follows a bare `--` is never an option.

    Those behind another order, as `explain` takes one, are that order's, but for how to answer.
    """
    common: dict[str, str] = {}
    rest: list[Word] = []
    order: Order | None = None
    waiting = iter(words)
    for word in waiting:
        if word == Word("--"):
            rest += (Word(later.text, quoted=True) for later in waiting)
            break
        name, equals, value = word.text.partition("=")
        if word.is_option and name in COMMON_OPTIONS and (name in VALUED or not equals) and not _own(order, name):
            if name in VALUED and not equals:
                following = next(waiting, None)
                value = "" if following is None else following.text
            common[name] = value
            continue
        rest.append(word)
        if order is None and len(rest) <= 2:
            order, _ = registry.find([word.text for word in rest])
    return common, rest


def _own(order: Order | None, name: str) -> bool:
    """Return whether an option is the order's own, or that of another order which it takes."""
    if order is None:
        return False
    takes_order = any(param.type.verbatim for param in order.params)
    return (takes_order and name not in _ANSWERING) or any(p.option and p.dashed == name for p in order.params)


def worded(common: Mapping[str, str]) -> Sequence[Word]:
    """Return options as words that `split_common` reads the same from, whatever stands behind them."""
    return [Word(f"{name}={value}" if name in VALUED else name) for name, value in common.items()]


def check_common(common: Mapping[str, str]) -> None:
    """Raise BadArguments when one of these options lacks its value."""
    if "--keep-going" in common and "--stop-on-error" in common:
        raise BadArguments("--keep-going and --stop-on-error exclude each other")
    if "--progress" in common and "--no-wait" in common:
        raise BadArguments("--progress and --no-wait exclude each other")
    for name in common:
        if name in VALUED and not common[name]:
            raise BadArguments(f"option '{name}' needs a value")


def texts_of(order: Order, words: Sequence[Word]) -> dict[str, str]:
    """Give each word to the param it belongs to; raises BadArguments for too few, too many or unknown options."""
    texts: dict[str, str] = {}
    options = {param.dashed: param for param in order.params if param.option}
    places = [param for param in order.params if not param.option]
    waiting = iter(words)
    for word in waiting:
        if places and places[0].type.verbatim and places[0].name in texts:
            # Another order, whose options are its own.
            texts[places[0].name] += f" {word.text if word.is_option else quote(word.text)}"
        elif word.is_option:
            name, equals, value = word.text.partition("=")
            param = options.get(name)
            if param is None:
                raise BadArguments(f"'{order.name}' has no option '{name}'", f"usage: {order.usage}")
            if param.flag and equals:
                raise BadArguments(f"option '{name}' takes no value", f"usage: {order.usage}")
            if not param.flag and not equals:
                following = next(waiting, None)
                if following is None:
                    raise BadArguments(f"option '{name}' needs a value", f"usage: {order.usage}")
                value = following.text
            if not param.flag and not value.strip(" ,"):
                # A script whose variable is empty must not hand out without the condition that it names.
                raise BadArguments(f"option '{name}' needs a value", f"usage: {order.usage}")
            texts[param.name] = value
        elif not places:
            raise BadArguments(f"one word too many: '{word.text}'", f"usage: {order.usage}")
        elif places[0].type.rest:
            verbatim = places[0].type.verbatim
            text = quote(word.text) if verbatim else word.text
            name = places[0].name
            texts[name] = f"{texts[name]} {text}" if name in texts else text
        else:
            texts[places.pop(0).name] = word.text
    missing = next((param for param in order.params if param.required and param.name not in texts), None)
    if missing is not None:
        raise BadArguments(f"'{order.name}' needs {missing.word}, {missing.says}", f"usage: {order.usage}")
    return texts


def masked(order: Order, texts: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments as the audit log may know them."""
    given = [param for param in order.params if param.name in texts]
    return {param.said: "***" if isinstance(param.type, Secret) else texts[param.name] for param in given}


def written(order: Order, args: Mapping[str, str]) -> str:
    """Return an order with its arguments, as `masked` has them, in one line."""
    told = [order.name]
    for param in order.params:
        if param.said in args:
            told += [param.dashed] if param.option else []
            told += [] if param.flag else [args[param.said] if param.type.rest else quote(args[param.said])]
    return " ".join(told)


def calls_of(order: Order, texts: Mapping[str, str], scope: Scope) -> tuple[Sequence[Call], bool]:
    """Return the typed calls that the words ask for, one for each device or one alone, and whether for several.

    Raises BadArguments before anything has run, whichever device a value does not fit.
    """
    args: dict[str, Any] = {}
    match: Match | None = None
    for param in order.params:
        text = texts.get(param.name)
        if text is None:
            args[param.name] = param.default
        elif param.flag:
            args[param.name] = True
        elif not param.type.dependent:
            args[param.name] = param.type.parse(text, scope)
        if param is order.target and isinstance(param.type, Devices):
            value = args[param.name]
            if value is ONLY:
                value = scope.index.only(param.type.fits, param.type.fitting)
            elif value is EVERYTHING:
                value = scope.index.every(param.type.fits)
            args[param.name] = match = value
    target = order.target
    if match is None or target is None or not isinstance(target.type, Devices):
        return [Call(args)], False
    if not target.type.each:
        return [Call(args)], match.several
    calls = []
    for device in match.devices:
        own = msgspec.structs.replace(scope, device=device, attribute=match.attribute)
        fitted = {
            param.name: param.type.parse(texts[param.name], own)
            for param in order.params
            if param.type.dependent and param.name in texts
        }
        label = scope.index.short(device, target.type.fits)
        calls.append(Call({**args, **fitted, target.name: device}, device, label))
    return calls, match.several
