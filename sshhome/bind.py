"""Words become typed arguments: each word goes to the param it belongs to, and each device gets a call of its own."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sshhome.device import Device, State
from sshhome.errors import BadArguments
from sshhome.order import Order, Param, Registry
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
#: By the name that a program gives them, those that make sense for one order that is answered in JSON.
NAMED_OPTIONS: Mapping[str, str] = {
    name.removeprefix("--").replace("-", "_"): name
    for name in COMMON_OPTIONS
    if name not in {*_ANSWERING, "--progress"}
}


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


def split_named(order: Order, params: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """Split off what every order takes from params by name, as options with their values; raises BadArguments."""
    common: dict[str, str] = {}
    rest: dict[str, Any] = {}
    own = {param.said for param in order.params}
    for name, value in params.items():
        option = NAMED_OPTIONS.get(name)
        if option is None or name in own:
            rest[name] = value
        elif (text := text_of(name, value, flag=option not in VALUED)) is not None:
            common[option] = text
    return common, rest


def text_of(name: str, value: object, *, flag: bool) -> str | None:
    """Return a value of JSON as it would be written, or None for one that is not given; raises BadArguments."""
    if value is None or (flag and value is False):
        return None
    if flag:
        if value is not True:
            raise BadArguments(f"'{name}' is true or false")
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    if isinstance(value, list) and all(isinstance(part, str) and "," not in part for part in value):
        return ",".join(value)
    raise BadArguments(f"'{name}' is a string, a number, true or false, or an array of strings without commas")


def named_texts(order: Order, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each param that is given by name; raises BadArguments as `texts_of` does."""
    known = {name: param for param in order.params for name in (param.name, param.said, named(order, param))}
    texts: dict[str, str] = {}
    for name, value in params.items():
        if name not in known:
            near = difflib.get_close_matches(name[:80], [*known, *NAMED_OPTIONS], 1, 0.6)
            its = ", ".join(named(order, param) for param in order.params)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {its or 'none'}"
            raise BadArguments(f"'{order.name}' has no param '{name[:80]}'", hint)
        param = known[name]
        text = text_of(name, value, flag=param.flag)
        if text is None:
            continue
        if param.option and not param.flag and not text.strip(" ,"):
            raise BadArguments(f"'{name}' needs a value")
        if param.name in texts:
            raise BadArguments(f"'{order.name}' takes one {named(order, param)}")
        texts[param.name] = text
    missing = next((param for param in order.params if param.required and param.name not in texts), None)
    if missing is not None:
        raise BadArguments(f"'{order.name}' needs {named(order, missing)}, {missing.says}")
    return texts


def named(order: Order, param: Param) -> str:
    """Return the name by which a program gives a param: what devices are meant is the `target` of every order."""
    return "target" if param is order.target else param.said


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
            option = f"--{word.text}"
            meant = option in COMMON_OPTIONS or any(param.option and param.dashed == option for param in order.params)
            hint = f"did you mean '{option}'?" if meant else f"usage: {order.usage}"
            raise BadArguments(f"one word too many: '{word.text}'", hint)
        elif places[0].type.rest:
            verbatim = places[0].type.verbatim
            text = quote(word.text) if verbatim else word.text
            name = places[0].name
            texts[name] = f"{texts[name]} {text}" if name in texts else text
        else:
            name, kind = places[0].name, places[0].type
            texts[name] = f"{texts[name]} {word.text}" if name in texts else word.text
            if not kind.goes_on(texts[name]):
                places.pop(0)
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
