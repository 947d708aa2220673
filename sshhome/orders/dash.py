"""The order that shows the house live: rooms with what is in them, how that was of late, and what operates it.

Where a terminal can draw it becomes a dashboard; elsewhere it is the house in lines, and then what changes.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sshhome.clock import iso
from sshhome.device import Attribute, Device
from sshhome.errors import Unavailable
from sshhome.glance import level
from sshhome.grant import Privilege
from sshhome.history import regular
from sshhome.house import Event
from sshhome.order import Context, order
from sshhome.param import EVERYTHING, Anything
from sshhome.summary import looks, summary
from sshhome.words import quote

#: Seconds in which changes are told as one, and after which everything is looked at afresh: rights come and go.
_TOGETHER, _AFRESH = 0.2, 1.0
#: Devices that are looked at before others get their turn.
_AT_ONCE = 50
#: How far back a sparkline goes, in how many points, and after how many seconds it is read anew.
_PAST, _POINTS, _AGAIN = 3 * 3600.0, 24, 60.0
#: Values that have one, and how many are read in one go: each is a look into the history.
_MOST, _READ = 100, 10
#: What of a device that is no sensor has one.
_MEASURED = ("temperature", "humidity", "power")


class Tile(msgspec.Struct, frozen=True):
    """A device as it is to be seen: in words and with the tone they deserve, how full it is, 0 to 1, and how it was.

    `orders` are the lines that operate it, by what they are for: toggle, more, less, open, close, lock, unlock.
    """

    device: Mapping[str, Any]
    said: str
    tone: str
    level: float | None
    recent: Sequence[float | None]
    orders: Mapping[str, str]

    @property
    def id(self) -> str:
        """The device's id."""
        return str(self.device["id"])

    @property
    def name(self) -> str:
        """What the device is called."""
        return str(self.device["name"])


class Card(msgspec.Struct, frozen=True):
    """A room, and what is in it; what is in no room has one without a name."""

    room: str
    tiles: Sequence[Tile]


class Board(msgspec.Struct, frozen=True):
    """What is new of the house at a moment, at first all of it; `news` are the ids of what is not just a sparkline."""

    at: str
    cards: Sequence[Card]
    gone: Sequence[str]
    news: Sequence[str]


class Boards(AsyncGenerator[Board, None]):
    """Boards that go on; what filters make of them are none."""

    def __init__(self, boards: AsyncGenerator[Board, None]) -> None:
        """Go on with these."""
        self._boards = boards

    def asend(self, value: None) -> Any:  # noqa: ANN401 (as its base has it)
        """Return the next one."""
        return self._boards.asend(value)

    def athrow(self, *error: Any) -> Any:  # noqa: ANN401 (as its base has it)
        """Raise an error where the next one is made."""
        return self._boards.athrow(*error)

    def aclose(self) -> Any:  # noqa: ANN401 (as its base has it)
        """End."""
        return self._boards.aclose()


def _said(board: Board) -> str:
    """Return what is new on a board, a line a room."""
    new, lines = set(board.news), []
    for card in board.cards:
        told = [f"{tile.name} {tile.said}".rstrip() for tile in card.tiles if tile.id in new]
        lines += [f"{called(card)}: {'; '.join(told)}"] if told else []
    return "\n".join([*lines, *(f"{device_id} is gone" for device_id in board.gone)])


def cards(tiles: Iterable[Tile]) -> Sequence[Card]:
    """Return things by room."""
    rooms: dict[str, list[Tile]] = {}
    for tile in tiles:
        rooms.setdefault(str(tile.device["room"]), []).append(tile)
    return [Card(room, inside) for room, inside in rooms.items()]


def called(card: Card) -> str:
    """Return what people call the room of a card."""
    return card.room.replace("_", " ") or "house"


@order("dash", needs=Privilege.READ, says=_said)
async def dash(ctx: Context, target: Anything = EVERYTHING) -> AsyncGenerator[Board, None]:
    """Show the house live, room by room, and operate it by single keys.

    target: a room, a device, a glob, or all of a kind; everything, also what is yet to come, if left out
    """
    ids = {device.id for device in target.devices}
    everything = all(device.id in ids for device in ctx.scope.index)
    return Boards(_boards(_House(ctx, target.devices, lambda id_: everything or id_ in ids)))


async def _boards(house: "_House") -> AsyncGenerator[Board, None]:
    """Yield a board, and another one whenever it is other than the one before; slow readers miss what lies between."""
    end = house.watch()
    loop, looked = asyncio.get_running_loop(), -math.inf
    try:
        while True:
            house.changed.clear()
            afresh = loop.time() - looked >= _AFRESH
            looked = loop.time() if afresh else looked
            await house.recall(afresh=afresh)
            board = await house.board(afresh=afresh)
            if board is not None:
                yield board
            await asyncio.sleep(_TOGETHER)
            try:
                async with asyncio.timeout(_AFRESH):
                    await house.changed.wait()
            except TimeoutError:
                continue
    finally:
        end()


class _House:
    """What somebody watches of the house: devices as they are, and what was shown of them last."""

    def __init__(self, ctx: Context, devices: Sequence[Device], watched: Callable[[str], bool]) -> None:
        self.changed = asyncio.Event()
        self._ctx = ctx
        self._watched = watched
        self._devices = {device.id: device for device in devices}
        self._new = set(self._devices)
        self._tiles: dict[str, Tile] = {}
        self._known = False
        self._may_give = {order.name for order in ctx.orders()}
        #: How values were, and when each is to be read anew, on the loop's clock.
        self._recent: dict[str, Sequence[float | None]] = {}
        self._due: dict[str, float] = {}

    def watch(self) -> Callable[[], None]:
        """Begin to listen, and return what ends it."""
        return self._ctx.house.watch(self._heard)

    def _heard(self, event: Event) -> None:
        if not self._watched(event.id):
            return
        if event.device is None:
            self._devices.pop(event.id, None)
        else:
            self._devices[event.id] = event.device
        self._new.add(event.id)
        self.changed.set()

    async def board(self, *, afresh: bool) -> Board | None:
        """Return what may be seen now, None if that is what was shown last; `afresh` looks at what did not change."""
        new, self._new = self._new, set()
        sees = self._ctx.sight()
        turned: list[Tile] = []
        gone, news = [], []
        for number, id_ in enumerate([*self._devices, *new] if afresh else list(new), 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            shown, device = self._tiles.get(id_), self._devices.get(id_)
            if device is None or not sees(device):
                if self._tiles.pop(id_, None) is not None:
                    gone.append(id_)
                continue
            tile = self._tile(device) if shown is None or id_ in new else shown
            new.discard(id_)
            if tile == shown:
                continue
            self._tiles[id_] = tile
            turned.append(tile)
            if shown is None or (tile.device, tile.said) != (shown.device, shown.said):
                news.append(id_)
        first, self._known = not self._known, True
        return Board(iso(self._ctx.clock.now()), cards(turned), gone, news) if turned or gone or first else None

    def _tile(self, device: Device) -> Tile:
        full = level(device)
        orders = {what: line for what, line in _orders(device) if line.partition(" ")[0] in self._may_give}
        return Tile(
            device.as_json(),
            # What can only be activated is not in any way.
            "" if "activated" in device.attributes else summary(device),
            looks(device),
            full[2] if isinstance(full, tuple) and len(full) == 3 else None,
            self._recent.get(device.id, ()),
            orders,
        )

    async def recall(self, *, afresh: bool) -> None:
        """Read how some values were, of those whose turn it is; the others have theirs the next time."""
        now = asyncio.get_running_loop().time()
        if afresh and len(self._due) < _MOST:
            measured = [id_ for id_, device in self._devices.items() if _measured(device) is not None]
            self._due = {id_: self._due.get(id_, -math.inf) for id_ in measured[:_MOST]}
        due = [id_ for id_, at in self._due.items() if at <= now]
        for id_ in due[:_READ]:
            self._due[id_] = now + _AGAIN
            device = self._devices.get(id_)
            attribute = _measured(device) if device is not None else None
            if attribute is None:
                del self._due[id_]
            elif (recent := await self._read(id_, attribute)) != self._recent.get(id_):
                self._recent[id_] = recent
                self._new.add(id_)
        if len(due) > _READ:
            self.changed.set()

    async def _read(self, id_: str, attribute: Attribute) -> Sequence[float | None]:
        until = self._ctx.clock.now()
        since = until - _PAST
        try:
            stretches = await self._ctx.recorder.read(id_, attribute.name, since, until, fine=True)
        except Unavailable:
            # Then there are no sparklines, and everything else.
            return ()
        edges = [since + _PAST * at / _POINTS for at in range(_POINTS + 1)]
        recent = [None if part is None else round(part.mean, 2) for part in regular(stretches, edges)]
        return () if all(point is None for point in recent) else recent


def _measured(device: Device) -> Attribute | None:
    """Return the value of a device that has a sparkline, if one does."""
    if device.kind in {"sensor", "weather"}:
        first = next(iter(device.attributes.values()), None)
        return first if first is not None and first.type in {int, float} else None
    return next((device.attributes[name] for name in _MEASURED if name in device.attributes), None)


def _orders(device: Device) -> Iterator[tuple[str, str]]:
    """Yield what each line that operates a device is for.

    What lets people in or alarms is only made safer by toggling it: to open it has a line of its own.
    """
    state, named = device.state, quote(device.id)
    if device.kind == "lock":
        yield from (("lock", f"lock {named}"), ("unlock", f"unlock {named}"))
        if state.get("locked") is not True:
            yield "toggle", f"lock {named}"
    elif device.can_set("position"):
        yield from (("open", f"open {named}"), ("close", f"close {named}"))
        yield from (("more", f"open {named} +10"), ("less", f"open {named} -10"))
        if state.get("moving"):
            yield "toggle", f"stop {named}"
        elif state.get("position") or not device.guards:
            yield "toggle", f"{'close' if state.get('position') else 'open'} {named}"
    elif device.can_set("on") and not (device.guards and state.get("on") is not True):
        yield "toggle", f"toggle {named}"
    elif device.can_set("activated"):
        yield "toggle", f"activate {named}"
    elif device.can_set("playback"):
        yield "toggle", f"set {named}.playback {'paused' if state.get('playback') == 'playing' else 'playing'}"
    if device.can_set("brightness"):
        # What is off comes on a little, and cannot be less.
        yield "more", f"dim {named} {'+10' if state.get('on') else '10'}"
        if state.get("on"):
            yield "less", f"dim {named} -10"
    else:
        for name, step in (("target_temperature", "0.5"), ("speed", "10"), ("target_humidity", "5"), ("volume", "5")):
            if device.can_set(name):
                yield from (("more", f"set {named}.{name} +{step}"), ("less", f"set {named}.{name} -{step}"))
                break
