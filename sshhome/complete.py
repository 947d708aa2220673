"""What may come next in a half-typed line: the orders, devices and values this user could use."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sshhome import pipe
from sshhome.bind import COMMON_OPTIONS, VALUED
from sshhome.dispatch import Dispatch
from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Order, Param
from sshhome.param import Duration, Scope, Suggestion
from sshhome.session import Session
from sshhome.store import Macro
from sshhome.target import Match
from sshhome.words import Word, locate, quote

#: More than a person reads; the menu scrolls long before.
_MOST = 200
#: Letters from which on a word is looked for inside others and in what is said of them, if none begins with it.
_INSIDE = 2
_WORD = re.compile(r"[^\W_]+")
_ENTER = "<Enter>"
#: What the orders that need a privilege are for, in the order in which newcomers want to know.
_FOR = {
    Privilege.CONTROL: "operate",
    Privilege.ACCESS: "operate",
    Privilege.READ: "look and more",
    Privilege.ADMIN: "run the server",
}


class Place(msgspec.Struct):
    """Where somebody is in a line: the words of the order that are done, and the one that is half typed.

    `shut` is a word that nothing can be offered for, since it is quoted or escaped.
    """

    allowed: Sequence[Order]
    order: Order | None
    done: Sequence[Word]
    typed: str
    shut: bool
    scope: Scope
    macros: Sequence[Macro]


def place(dispatch: Dispatch, session: Session, before: str) -> Place | None:
    """Return where the end of a text is in its last order; None for who may do nothing any more."""
    standing, authorizer = session.standing(), dispatch.authorizer
    if isinstance(standing, str):
        return None
    located = locate(before.rsplit("\n", 1)[-1])[-1]
    last = located[-1] if located else None
    half = last is not None and (last.open or last.end == len(before.rsplit("\n", 1)[-1]))
    words = [one.word for one in located]
    done = words[:-1] if half else words
    facts = authorizer.facts(standing, session)
    allowed = dispatch.allowed(standing, session)
    order, at = _given(allowed, done)
    scope = authorizer.scope(standing.rights, facts)
    own = {"schedules": lambda: _schedules(dispatch, session.login.user)}
    scope = msgspec.structs.replace(scope, names={**scope.names, **own})
    if order is not None:
        # Whose macros those are is known to a session alone.
        names = {**scope.names, "macros": lambda: map(_told, dispatch.macros.of(session.login.user))}
        permits = authorizer.able(standing.rights, order, facts)
        scope = msgspec.structs.replace(scope, permits=permits, names=names)
    typed = words[-1] if half else Word("")
    macros = () if done else dispatch.offered_macros(session, allowed)
    shut = half and (typed.quoted or (last is not None and last.open))
    return Place(allowed, order, done[at:], typed.text, shut, scope, macros)


def _schedules(dispatch: Dispatch, user: str) -> list[Suggestion]:
    return [Suggestion(str(one.number), f"{one.when} {one.line}") for one in dispatch.schedules.of(user)]


def _given(allowed: Sequence[Order], done: Sequence[Word]) -> tuple[Order | None, int]:
    """Return the order that words give, and at which of them it begins: behind one that takes another, as `explain`."""
    names = [word.text.lower() for word in done]
    begun = [order for order in allowed if names[: len(order.name.split())] == order.name.split()]
    order = max(begun, key=lambda order: len(order.name), default=None)
    if order is not None and any(param.type.verbatim for param in order.params):
        first = len(order.name.split())
        behind = enumerate(seats(order, [*done[first:], Word("")]), first)
        at = next((at for at, seat in behind if isinstance(seat, Param) and seat.type.verbatim), None)
        if at is not None:
            inner, inside = _given(allowed, done[at:])
            return inner, at + inside
    return order, 0


def complete(dispatch: Dispatch, session: Session, before: str) -> tuple[str, list[Suggestion]]:
    """Return the half-typed last word, and what it may become, quoted where it must be."""
    at = place(dispatch, session, before)
    if at is None or at.shut:
        # Inside an open quote nothing is offered: what would be put in would need the same quote.
        return "", []
    found = _piped(at)
    if found is None:
        found = _first_words(at)
        if at.order is not None and at.order.name != "help":
            found = itertools.chain(found, _next(at))
    unique: dict[str, Suggestion] = {}
    for suggestion in itertools.islice(_matching([s for s in found if s.text], at.typed.lower()), _MOST):
        unique.setdefault(suggestion.text, suggestion)
    return at.typed, [msgspec.structs.replace(s, text=_quoted(s.text)) for s in unique.values()]


def _matching(found: Sequence[Suggestion], near: str) -> Iterator[Suggestion]:
    """Yield what begins with a word; if nothing does, what has it inside or is told with it: `plot` means `history`."""
    begun = False
    for suggestion in found:
        if suggestion.text.lower().startswith(near):
            begun = True
            yield suggestion
    if begun or len(near) < _INSIDE or near.startswith("-"):
        return
    for suggestion in found:
        if any(word.startswith(near) for word in _WORD.findall(f"{suggestion.text} {suggestion.says}".lower())):
            yield suggestion


def _piped(at: Place) -> Iterable[Suggestion] | None:
    """Return what may come next behind a pipe; None where there is none."""
    return pipe.suggest(at.order, at.done, at.typed, json=Word("--json") in at.done)


def _quoted(text: str) -> str:
    return text if text.startswith("--") else quote(text)


def _first_words(at: Place) -> Iterator[Suggestion]:
    """Yield the next word of every order that begins with the words that are done."""
    names = [word.text.lower() for word in at.done]
    if at.order is not None and at.order.name == "help":
        names = names[1:]
    found: dict[str, list[Order]] = {}
    for order in at.allowed:
        words = order.name.split()
        if len(words) > len(names) and words[: len(names)] == names:
            found.setdefault(words[len(names)], []).append(order)
    for word, orders in found.items():
        whole = [order for order in orders if len(order.name.split()) == len(names) + 1]
        rest = ", ".join(order.name.split()[-1] for order in orders if order not in whole)
        yield Suggestion(word, whole[0].summary if whole else rest)
    yield from map(_told, () if names else at.macros)


def _told(macro: Macro) -> Suggestion:
    return Suggestion(macro.name, f"macro: {macro.orders}")


def _next(at: Place) -> Iterable[Suggestion]:
    """Return what may follow the words that are done; what is typed decides only whether options are offered."""
    assert at.order is not None  # noqa: S101 (whoever calls has looked)
    words = at.done[len(at.order.name.split()) :]
    *_, seat = seats(at.order, [*words, Word("")])
    if at.typed.startswith("--") and isinstance(seat, Param | None) and not (seat and seat.option):
        own = [Suggestion(p.dashed, p.says) for p in at.order.params if p.option]
        return [*own, *(Suggestion(name, says) for name, says in COMMON_OPTIONS.items())]
    if isinstance(seat, str):
        return Duration().suggest(at.scope) if seat in {"--for", "--confirm"} else ()
    if seat is None:
        given = {word.text.partition("=")[0] for word in words if word.is_option}
        return [Suggestion(p.dashed, p.says) for p in at.order.params if p.option and p.dashed not in given]
    scope = scope_of(at.order, seat, words, at.scope)
    if scope is None:
        return ()
    return itertools.chain(seat.type.offer(at.typed, scope), _offered(seat, words, at.order, scope))


def _offered(seat: Param, words: Sequence[Word], order: Order, scope: Scope) -> Iterable[Suggestion]:
    if seat.type.rest and list(seats(order, words))[-1:] == [seat]:
        # The words that are left belong together: whatever is offered would be the first of them.
        return ()
    begun = [word.text for word, one in zip(words, seats(order, words), strict=True) if one is seat]
    if begun:
        return seat.type.follow(" ".join(begun), scope)
    return (one if one.says else Suggestion(one.text, seat.says) for one in seat.type.suggest(scope))


def seats(order: Order, words: Iterable[Word]) -> Iterator[Param | str | None]:
    """Yield what each word behind an order's name is for: a param, an option that all orders take, or nothing.

    An option itself is for nothing, its value for the option.
    """
    places = [param for param in order.params if not param.option]
    options = {param.dashed: param for param in order.params if param.option}
    at, plain, begun = 0, False, ""
    waiting: Param | str | None = None
    for word in words:
        seat: Param | str | None = None
        if waiting is not None:
            seat, waiting = waiting, None
        elif word == Word("--") and not plain:
            plain = True
        elif word.is_option and not plain:
            name, equals, _ = word.text.partition("=")
            own = options.get(name)
            if not equals and own is not None and not own.flag:
                waiting = own
            elif not equals and own is None and name in VALUED:
                waiting = name
        elif at < len(places):
            seat = places[at]
            begun = f"{begun} {word.text}".lstrip()
            if not seat.type.rest and not seat.type.goes_on(begun):
                at, begun = at + 1, ""
        yield seat


def scope_of(order: Order, seat: Param, words: Sequence[Word], scope: Scope) -> Scope | None:
    """Return what a param's word is understood against; None for one whose device is not known yet."""
    if not seat.type.dependent or order.target is None:
        return scope
    named = next((word for word, one in zip(words, seats(order, words), strict=True) if one is order.target), None)
    if named is None or not order.target.type.takes(named.text, scope):
        return None
    try:
        match = order.target.type.parse(named.text, scope)
    except BadArguments:
        return None
    if not isinstance(match, Match) or not match.devices:
        return None
    return msgspec.structs.replace(scope, device=match.devices[0], attribute=match.attribute)


def common(texts: Sequence[str]) -> str:
    """Return how all of these begin."""
    first, last = min(texts), max(texts)
    same = next((at for at, char in enumerate(first) if at >= len(last) or last[at] != char), len(first))
    return first[:same]


# -- what may come next, for who asks with `?` ------------------------------------------------------------------------


def asks(dispatch: Dispatch, session: Session, before: str) -> bool:
    """Return whether a `?` typed after this asks what may come next; in a quote and in free text it is only itself."""
    at = place(dispatch, session, before)
    if at is None or at.shut or before.endswith("\\"):
        return False
    if not at.typed or at.order is None:
        return True
    if any(char in at.typed for char in "*["):
        # A glob, of which it is a part.
        return False
    *_, seat = seats(at.order, [*at.done[len(at.order.name.split()) :], Word(at.typed)])
    return not (isinstance(seat, Param) and seat.type.free)


class Expected(msgspec.Struct):
    """What may come next: what the word is for, what it may be, and what may follow instead of it.

    `brief` stands for `values` where there is no room to tell what each is.
    """

    seat: Sequence[Suggestion] = ()
    values: Sequence[Suggestion] = ()
    brief: Sequence[Suggestion] = ()
    ends: Sequence[Suggestion] = ()


def expected(dispatch: Dispatch, session: Session, before: str) -> Expected:
    """Return what may come next, each with what it is."""
    at = place(dispatch, session, before)
    if at is None or at.shut:
        return Expected()
    _, values = complete(dispatch, session, before)
    if at.order is None and not at.done and not at.typed:
        return Expected(values=values, brief=_by_purpose(at, values))
    brief = [Suggestion("", " ".join(value.text for value in values))] if values else []
    if at.order is None or _piped(at) is not None or at.typed.startswith("--"):
        return Expected(values=values, brief=brief)
    words = at.done[len(at.order.name.split()) :]
    *_, seat = seats(at.order, [*words, Word("")])
    told: list[Suggestion] = []
    if isinstance(seat, Param):
        told.append(Suggestion(seat.word if seat.required or seat.option else f"[{seat.word}]", seat.says))
    elif seat is not None:
        told.append(Suggestion("DURATION" if seat != "--code" else "CODE", COMMON_OPTIONS[seat]))
    else:
        # The options are told with the ends.
        values, brief = [value for value in values if not value.text.startswith("--")], []
    return Expected(told, values, brief, () if at.typed else list(_end(at.order, at.done)))


def _by_purpose(at: Place, values: Sequence[Suggestion]) -> list[Suggestion]:
    """Return the first words of all orders, by what they are for."""
    purposes: dict[str, list[str]] = {purpose: [] for purpose in _FOR.values()}
    for value in values:
        needs = {order.needs for order in at.allowed if order.name.split()[0] == value.text}
        purpose = next((purpose for privilege, purpose in _FOR.items() if privilege in needs), "macros")
        purposes.setdefault(purpose, []).append(value.text)
    told = [Suggestion(purpose, " ".join(words)) for purpose, words in purposes.items() if words]
    return [*told, Suggestion("", "a word and ? tell more of it, as: help ?")]


def _end(order: Order, done: Sequence[Word]) -> Iterator[Suggestion]:
    """Yield the options of an order that are not given yet, and that it may be given as it is, if it may."""
    words = done[len(order.name.split()) :]
    taken = list(seats(order, words))
    given = {word.text.partition("=")[0] for word in words if word.is_option}
    *_, seat = seats(order, [*words, Word("")])
    if isinstance(seat, str) or (isinstance(seat, Param) and seat.option):
        return
    for param in order.params:
        if param.option and param.dashed not in given:
            yield Suggestion(param.usage.strip("[]"), param.says)
    if all(param in taken or not param.required for param in order.params):
        if not order.changes:
            yield Suggestion("|", "a filter of the answer, such as | match or | count")
        yield Suggestion(_ENTER, order.summary[:1].lower() + order.summary[1:])
