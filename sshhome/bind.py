"""Words become typed arguments: each word goes to the param it belongs to, and each device gets a call of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sshhome.device import Device
from sshhome.errors import BadArguments
from sshhome.order import Order
from sshhome.param import EVERYTHING, ONLY, Devices, Scope, Secret
from sshhome.target import Match
from sshhome.words import Word

#: Options that every order takes.
COMMON_OPTIONS: Mapping[str, str] = {
    "--json": "answer in JSON",
    "--no-wait": "do not wait for the device's own echo",
    "--keep-going": "go on with the next order after one that failed",
}


class Call(msgspec.Struct, frozen=True):
    """One run of an order's function: its arguments, the device it may change, and that one's short name."""

    args: Mapping[str, Any]
    device: Device | None = None
    label: str = ""


def split_common(words: Sequence[Word]) -> tuple[frozenset[str], Sequence[Word]]:
    """Split off the options that every order takes; what follows a bare `--` is never an option."""
    common: set[str] = set()
    rest: list[Word] = []
    for at, word in enumerate(words):
        if word == Word("--"):
            rest += (Word(later.text, quoted=True) for later in words[at + 1 :])
            break
        if word.is_option and word.text in COMMON_OPTIONS:
            common.add(word.text)
        else:
            rest.append(word)
    return frozenset(common), rest


def texts_of(order: Order, words: Sequence[Word]) -> dict[str, str]:
    """Give each word to the param it belongs to; raises BadArguments for too few, too many or unknown options."""
    texts: dict[str, str] = {}
    options = {param.dashed: param for param in order.params if param.option}
    places = [param for param in order.params if not param.option]
    waiting = iter(words)
    for word in waiting:
        if word.is_option:
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
            texts[param.name] = value
        elif not places:
            raise BadArguments(f"one word too many: '{word.text}'", f"usage: {order.usage}")
        elif places[0].type.rest:
            name = places[0].name
            texts[name] = f"{texts[name]} {word.text}" if name in texts else word.text
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
