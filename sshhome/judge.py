"""What is wrong with a line before it is given: each word judged as it is typed, cheaply, and nothing else is done.

What is judged here is only shown. Whether an order may be given is decided on its road, when it is.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise

import msgspec

from sshhome.bind import COMMON_OPTIONS
from sshhome.complete import scope_of, seats
from sshhome.dispatch import Dispatch
from sshhome.order import Order, Param
from sshhome.param import Devices, OneDevice, Scope
from sshhome.pipe import FILTERS, PIPE
from sshhome.session import Session
from sshhome.target import sweeps
from sshhome.words import Located, locate

#: Orders of a line that are judged: in a house of thousands of devices each may take a while, at every key.
_MOST = 20


class Tone(msgspec.Struct, frozen=True):
    """A stretch of a line and what it is: `order device value option bad`."""

    start: int
    end: int
    tone: str


def judge(dispatch: Dispatch, session: Session, line: str, cursor: int) -> list[Tone]:
    """Return what the words of a line are; one that ends at the cursor may still become something else."""
    standing = session.standing()
    if isinstance(standing, str):
        return []
    authorizer = dispatch.authorizer
    facts = authorizer.facts(standing, session)
    scope = authorizer.scope(standing.rights, facts)
    tones: list[Tone] = []
    looked = _Looked()
    for words in list(filter(None, locate(line)))[:_MOST]:
        order, count = dispatch.registry.find([one.word.text for one in words[:2]])
        own, behind = _cut(words)
        if order is not None and not authorizer.somewhere(standing.rights, order).allowed:
            order = None
        if order is not None:
            tones += (Tone(one.start, one.end, "order") for one in words[:count])
            able = msgspec.structs.replace(scope, permits=authorizer.able(standing.rights, order, facts))
            tones += _arguments(order, own[count:], able, cursor, looked)
            tones += _filters(behind, cursor)
        elif dispatch.macros.find(session.login.user, words[0].word.text) is not None:
            tones.append(Tone(words[0].start, words[0].end, "order"))
        else:
            given = (order for order in dispatch.registry if authorizer.somewhere(standing.rights, order).allowed)
            tones += _unknown(given, words)
    return tones


def _unknown(orders: Iterable[Order], words: Sequence[Located]) -> list[Tone]:
    """Return what the first words of no order are: bad, unless they are the beginning of one, or short for one."""
    if words[0].word.is_option:
        # An order may stand behind its options.
        return []
    texts = [one.word.text.lower() for one in words[:2]]
    for order in orders:
        name = order.name.split()
        if all(map(str.startswith, name, texts)) or (len(name) == 1 and name[0].startswith(texts[0])):
            return []
    return [Tone(words[0].start, words[0].end, "bad")]


def _cut(words: Sequence[Located]) -> tuple[Sequence[Located], Sequence[Located]]:
    """Return an order's own words, and those of the filters behind it."""
    at = next((at for at, one in enumerate(words) if at and one.word == PIPE), len(words))
    return words[:at], words[at:]


def _filters(words: Sequence[Located], cursor: int) -> list[Tone]:
    """Return what filters are: a pipe and a name each, and what they take."""
    tones: list[Tone] = []
    for before, one in pairwise([None, *words]):
        tone = "value"
        if one is None or one.word == PIPE:
            tone = "option"
        elif before is not None and before.word == PIPE:
            name = one.word.text.lower()
            begun = one.end == cursor and any(known.startswith(name) for known in FILTERS)
            tone = "order" if name in FILTERS else "" if begun else "bad"
        if one is not None and tone:
            tones.append(Tone(one.start, one.end, tone))
    return tones


class _Looked:
    """How many words of a line were looked up in the whole house, and what came of it."""

    most = 4

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bool] = {}

    def takes(self, order: Order, seat: Param, text: str, scope: Scope) -> bool | None:
        """Return whether a param takes a text; None where too many others were looked up before it."""
        if not isinstance(seat.type, Devices) or not sweeps(text):
            return seat.type.takes(text, scope)
        asked = order.name, text
        if asked not in self._known and len(self._known) < self.most:
            self._known[asked] = seat.type.takes(text, scope)
        return self._known.get(asked)


def _arguments(order: Order, words: Sequence[Located], scope: Scope, cursor: int, looked: _Looked) -> list[Tone]:
    plain = [one.word for one in words]
    tones: list[Tone] = []
    options = {param.dashed for param in order.params if param.option} | COMMON_OPTIONS.keys()
    for one, seat in zip(words, seats(order, plain), strict=True):
        typing = one.end == cursor
        if isinstance(seat, Param):
            within = scope_of(order, seat, plain, scope)
            tone = _tone(seat, one, within, scope, partial(looked.takes, order), typing=typing)
        elif seat is not None:
            tone = "value"
        elif one.word.is_option:
            name = one.word.text.partition("=")[0]
            begun = typing and any(option.startswith(name) for option in options)
            tone = "option" if name in options or begun else "bad"
        else:
            tone = "bad"
        if tone:
            tones.append(Tone(one.start, one.end, tone))
    return tones


def _tone(
    seat: Param,
    one: Located,
    within: Scope | None,
    scope: Scope,
    takes: Callable[[Param, str, Scope], bool | None],
    *,
    typing: bool,
) -> str:
    kind = seat.type
    if kind.free or kind.rest or within is None:
        return ""
    text = one.word.text
    taken = takes(seat, text, within)
    if taken is None:
        return ""
    if taken:
        if not isinstance(kind, Devices | OneDevice):
            return "value"
        named = scope.index.named(text)
        return "bad" if len(named) == 1 and not scope.permits(named[0]) else "device"
    return "" if typing and not one.word.quoted and kind.begins(text, within) else "bad"
