"""Names of orders cut short: what somebody at a keyboard may leave out, and a script may not.

Only shells ask here; a script that says `sho` must not mean something else once there is another order. What needs
`access` is always written out, and so is an order on a device that guards: no door opens by a slip of the finger.
"""

from collections.abc import Callable, Sequence

from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Order
from sshhome.param import Scope
from sshhome.target import Match
from sshhome.words import locate

#: Orders of a line in which names may be cut short; whoever gives more does not type them.
_MOST = 20


def candidates(orders: Sequence[Order], words: Sequence[str]) -> list[Order]:
    """Return the orders whose names these words may be short for; one that is written out is none but itself."""
    found: list[Order] = []
    for count in (2, 1):
        begun = [word.lower() for word in words[:count]]
        if len(begun) < count or not all(begun):
            continue
        named = [order for order in orders if len(order.name.split()) == count]
        if exact := [order for order in named if order.name.split() == begun]:
            return exact
        found += [order for order in named if all(map(str.startswith, order.name.split(), begun))]
    return found


def written_out(
    orders: Sequence[Order], scope: Scope, line: str, taken: Callable[[str], bool] = lambda _: False
) -> str:
    """Return a line with the names of its orders written out where there is no doubt which are meant.

    A name that is `taken`, as by a macro, is short for nothing.
    """
    made, at = "", 0
    given = locate(line)
    if len(given) > _MOST:
        return line
    for order in given:
        words = [located.word.text for located in order if not located.word.is_option and not located.word.quoted]
        if not order or not words or order[0].word.text != words[0] or taken(words[0]):
            continue
        found = candidates(orders, words[:2])
        if len(found) != 1 or _guards(found[0], scope, words):
            continue
        count = len(found[0].name.split())
        if [located.word.text for located in order[:count]] != words[:count]:
            continue
        made += line[at : order[0].start] + found[0].name
        at = order[count - 1].end
    return made + line[at:]


def _guards(order: Order, scope: Scope, words: Sequence[str]) -> bool:
    """Return whether an order is about what lets people in or alarms."""
    if order.needs is Privilege.ACCESS:
        return True
    target = order.target
    if not order.changes or target is None:
        # What touches devices that it does not name, as `undo` does, may open a door.
        return order.changes
    for word in words[len(order.name.split()) :]:
        try:
            match = target.type.parse(word, scope)
        except BadArguments:
            continue
        if isinstance(match, Match) and any(device.guards for device in match.devices):
            return True
    return False
