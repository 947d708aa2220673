"""A macro that is given becomes its orders, before the first of them runs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from sshhome import pipe
from sshhome import words as tokenizer
from sshhome.bind import split_common, worded
from sshhome.errors import BadArguments
from sshhome.macro import Macros
from sshhome.order import Order, Registry
from sshhome.store import Macro
from sshhome.words import NAME, Word

#: Orders that one macro runs, those of macros that it calls counted, and how deep these may go.
_MOST, _DEEPEST = 20, 4

#: Finds the macro that a name means where it is called.
_Find = Callable[[str], Macro | None]


class Step(NamedTuple):
    """One order to run, with the macros that it is in and the filters behind these."""

    words: Sequence[Word]
    macro: str = ""
    behind: Sequence[Word] = ()


def expanded(registry: Registry, macros: Macros, user: str, words: Sequence[Word]) -> Sequence[Step]:
    """Return the orders that these words are: themselves, unless they call a macro; raises BadArguments.

    Options behind the name of a macro are those of each order in it, and so are filters.
    """
    return _steps(registry, macros, lambda name: macros.find(user, name), words, ())


def _steps(
    registry: Registry, macros: Macros, find: _Find, words: Sequence[Word], path: tuple[str, ...]
) -> Sequence[Step]:
    macro, given, behind = _called(registry, find, words)
    if macro is None:
        return [Step(words, "/".join(path))]
    if macro.name in path:
        raise BadArguments(f"the macro '{path[0]}' would never end: '{macro.name}' calls itself")
    if len(path) >= _DEEPEST:
        raise BadArguments(f"the macro '{path[0]}' calls others more than {_DEEPEST} deep")
    within = (*path, macro.name)
    if macro.user == "":
        # What is shared means the same for all.
        find = _shared(macros, macro)
    steps: list[Step] = []
    for order in tokenizer.split(macro.orders):
        for step in _steps(registry, macros, find, order, within):
            steps.append(Step([*given, *step.words], step.macro, [*step.behind, *behind]))
            if len(steps) > _MOST:
                raise BadArguments(f"the macro '{within[0]}' is more than {_MOST} orders")
    return steps


def _shared(macros: Macros, macro: Macro) -> _Find:
    return lambda name: macro if name == macro.name else macros.find("", name)


def _called(
    registry: Registry, find: _Find, words: Sequence[Word]
) -> tuple[Macro | None, Sequence[Word], Sequence[Word]]:
    """Return the macro that these words call, if they call one, with the options and the filters that are given."""
    if not any(find(word.text.lower()) for word in words) or Word("--help") in words:
        return None, (), ()
    own, behind = pipe.split(words)
    common, rest = split_common(registry, own)
    if not rest or rest[0].text.lower() in _verbs(registry):
        return None, (), ()
    macro = find(rest[0].text.lower())
    if macro is None:
        return None, (), ()
    if len(rest) > 1:
        raise BadArguments(f"one word too many: '{rest[1].text[:80]}'", f"'{macro.name}' is a macro, which takes none")
    return macro, worded(common), behind


def _verbs(registry: Registry) -> Collection[str]:
    return {order.name.split()[0] for order in registry}


def check(registry: Registry, macros: Macros, macro: Macro) -> Sequence[Step]:
    """Return the orders of a macro that is about to be kept; raises BadArguments for one that nobody could run."""
    if not NAME.fullmatch(macro.name):
        raise BadArguments(f"'{macro.name[:80]}' is no name for a macro", "1 to 32 of a-z 0-9 _ -, a letter first")
    if macro.name in _verbs(registry):
        raise BadArguments(f"'{macro.name}' is an order already")
    if not tokenizer.split(macro.orders):
        raise BadArguments("a macro needs orders", f"such as `macro save {macro.name} 'off all; lock all'`")

    def find(name: str) -> Macro | None:
        return macro if name == macro.name else macros.find(macro.user, name)

    steps = _steps(registry, macros, find, [Word(macro.name)], ())
    for step in steps:
        common, words = split_common(registry, pipe.split(step.words)[0])
        if "--code" in common:
            raise BadArguments("a one-time code is good once, and not for a macro")
        if _order(registry, words) is None and Word("--help") not in words:
            said = words[0].text[:80] if words else ""
            raise BadArguments(f"no order '{said}'", "`help` lists yours")
    return steps


def _order(registry: Registry, words: Sequence[Word]) -> Order | None:
    order, _ = registry.find([word.text for word in words[:2]])
    return order


def offered(registry: Registry, macros: Macros, user: str, allowed: Iterable[Order]) -> Sequence[Macro]:
    """Return the macros of a user all of whose orders they could give, which are those worth offering."""
    names = {order.name for order in allowed}
    found: list[Macro] = []
    for macro in macros.of(user):
        try:
            steps = expanded(registry, macros, user, [Word(macro.name)])
        except BadArguments:
            # One that it calls has changed since.
            continue
        orders = [_order(registry, split_common(registry, pipe.split(step.words)[0])[1]) for step in steps]
        if all(order is not None and order.name in names for order in orders):
            found.append(macro)
    return found
