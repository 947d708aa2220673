"""What may come next in a half-typed line: the orders, devices and values this user could use."""

import itertools
from collections.abc import Iterable, Sequence

import msgspec

from sshhome.bind import COMMON_OPTIONS
from sshhome.dispatch import Dispatch
from sshhome.errors import BadArguments
from sshhome.order import Order
from sshhome.param import Scope, Suggestion
from sshhome.session import Session
from sshhome.target import Match
from sshhome.words import Word, quote, split

#: More than a person reads; the menu scrolls long before.
_MOST = 200


def complete(dispatch: Dispatch, session: Session, before: str) -> tuple[str, list[Suggestion]]:
    """Return the half-typed last word, and what it may become, quoted where it must be."""
    line = before.rsplit("\n", 1)[-1]
    try:
        orders = split(line)
    except BadArguments:
        # Inside an open quote nothing is offered: what would be put in would need the same quote.
        return "", []
    fresh = not line or line[-1] in " \t;"
    words = [] if not orders or line.rstrip().endswith(";") else orders[-1]
    typed = "" if fresh or not words else words[-1].text
    if typed and (words[-1].quoted or not line.endswith(typed)):
        return "", []
    done = words if fresh else words[:-1]
    standing, authorizer = session.standing(), dispatch.authorizer
    if isinstance(standing, str):
        return "", []
    facts = authorizer.facts(standing, session)
    names = [word.text.lower() for word in done]
    allowed = dispatch.allowed(standing, session)
    begun = [order for order in allowed if names[: len(order.name.split())] == order.name.split()]
    order = max(begun, key=lambda order: len(order.name), default=None)
    found: Iterable[Suggestion]
    if order is None or order.name == "help":
        found = _first_words(allowed, names if order is None else names[1:])
    else:
        scope = authorizer.scope(standing.rights, facts)
        scope = msgspec.structs.replace(scope, permits=authorizer.able(standing.rights, order, facts))
        found = itertools.chain(_first_words(allowed, names), _next(order, scope, done, typed))
    near = typed.lower()
    matching = (s for s in found if s.text.lower().startswith(near) and s.text)
    unique = {suggestion.text: suggestion for suggestion in itertools.islice(matching, _MOST)}
    return typed, [msgspec.structs.replace(s, text=_quoted(s.text)) for s in unique.values()]


def _quoted(text: str) -> str:
    return text if text.startswith("--") else quote(text)


def _next(order: Order, scope: Scope, done: Sequence[Word], typed: str) -> Iterable[Suggestion]:
    """Return what may follow the words that are done; `typed` decides only whether options are offered."""
    if typed.startswith("--"):
        own = [Suggestion(p.dashed, p.says) for p in order.params if p.option]
        return [*own, *(Suggestion(name, says) for name, says in COMMON_OPTIONS.items())]
    given = [word for word in done[len(order.name.split()) :] if not word.is_option]
    places = [param for param in order.params if not param.option]
    if not places or (len(given) >= len(places) and not places[-1].type.rest):
        return ()
    param = places[min(len(given), len(places) - 1)]
    if param.type.rest and len(given) >= len(places):
        return ()
    if param.type.dependent and order.target is not None:
        at = places.index(order.target)
        try:
            match = order.target.type.parse(given[at].text, scope)
        except (BadArguments, IndexError):
            return ()
        if isinstance(match, Match) and match.devices:
            scope = msgspec.structs.replace(scope, device=match.devices[0], attribute=match.attribute)
    return param.type.suggest(scope)


def _first_words(allowed: Sequence[Order], names: Sequence[str]) -> Iterable[Suggestion]:
    """Yield the next word of every order that begins with these words."""
    for order in allowed:
        words = order.name.split()
        if len(words) > len(names) and words[: len(names)] == list(names):
            last = len(words) == len(names) + 1
            yield Suggestion(words[len(names)], order.summary if last else f"{words[0]} …")
