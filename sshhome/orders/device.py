"""Orders about what devices are called, where they are, and which of them the house shows."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from sshhome.device import Device
from sshhome.errors import BadArguments, Denied
from sshhome.escape import printable
from sshhome.grant import Privilege
from sshhome.house import Told
from sshhome.order import Column, Context, Table, order
from sshhome.param import Called, RoomName, Text
from sshhome.policy import Policy
from sshhome.store import DeviceRecord

#: In place of a name or a room: the one that the backend tells.
_OWN = "-"
#: Letters of a name, as many as a backend's own may have; and of an alias, and aliases of one device.
_LONGEST, _MOST = 64, 8
_ALIAS = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)


class Known(msgspec.Struct, frozen=True):
    """What a backend tells of, and what its owner made of it; `identity` is what the backend knows it by.

    One that is `hidden`, or the same thing `as` another device, is in no other answer.
    """

    id: str
    backend: str
    identity: str
    name: str
    room: str
    aliases: Sequence[str]
    hidden: bool
    guarded: bool
    same: str = msgspec.field(name="as")
    note: str


def _known(told: Told, shown: str = "") -> Known:
    device, record = told.device, told.record
    return Known(
        record.id,
        record.backend,
        record.identity,
        device.name,
        device.room,
        record.aliases,
        record.hidden,
        record.guarded,
        shown,
        device.note,
    )


def _list(found: Sequence[Known]) -> Table:
    columns = (
        Column("id", keep=9),
        Column("name", keep=7),
        Column("room", keep=5),
        Column("is", keep=8, wraps=True),
        Column("backend", keep=3),
        Column("identity", keep=1),
    )
    rows = [(k.id, k.name, k.room, _state(k), k.backend, k.identity) for k in found]
    return Table(columns, rows, empty="no devices")


def _state(known: Known) -> str:
    told = [word for word, so in (("hidden", known.hidden), ("guarded", known.guarded)) if so]
    told += [f"same as {known.same}"] if known.same else []
    return ", ".join([*told, *([known.note] if known.note else [])])


def _told(ctx: Context) -> Sequence[Told]:
    """Return all that backends tell of and the giver may know of, by id."""
    sees = ctx.sight()
    return sorted((told for told in ctx.house.told() if sees(told.device)), key=lambda told: told.record.id)


@order("device list", needs=Privilege.ADMIN, says=_list)
async def device_list(ctx: Context) -> Sequence[Known]:
    """List all that backends tell of, also what is hidden and what is told of twice."""
    shown = {device.hardware: device.id for device in ctx.scope.index if device.hardware}
    return [
        _known(told, "" if _is_shown(ctx, told) or told.record.hidden else shown.get(told.device.hardware, ""))
        for told in _told(ctx)
    ]


def _is_shown(ctx: Context, told: Told) -> bool:
    return ctx.scope.index.get(told.record.id) is not None


def _says(text: str) -> Callable[[Known], str]:
    return lambda known: text.format_map({name: getattr(known, name) for name in Known.__struct_fields__})


@order("device rename", needs=Privilege.ADMIN, says=_says("{id} is called {name}"))
async def device_rename(ctx: Context, device: Called, name: Annotated[str, Text("NAME", rest=True)]) -> Known:
    """Call a device otherwise; its id stays.

    device: the device
    name: its new name, or - for the one that its backend tells
    """
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST:
        raise BadArguments(f"a name has 1 to {_LONGEST} characters")
    if printable(name) != name:
        raise BadArguments("a name has no characters that cannot be seen")
    return await _keep(ctx, device, name="" if name == _OWN else name)


def _answers(known: Known) -> str:
    return f"{known.id} answers to {', '.join(known.aliases)}" if known.aliases else f"{known.id} has no alias"


@order("device alias", needs=Privilege.ADMIN, says=_answers)
async def device_alias(
    ctx: Context, device: Called, word: Annotated[str, Text("WORD")], *, remove: bool = False
) -> Known:
    """Let a device answer to one more word, or to one less.

    device: the device
    word: the word, a-z 0-9 _
    remove: take the word away
    """
    word, aliases = word.lower(), device.aliases
    if remove:
        if word not in aliases:
            raise BadArguments(f"{device.id} has no alias '{word[:80]}'")
        return await _keep(ctx, device, aliases=tuple(alias for alias in aliases if alias != word))
    if not _ALIAS.fullmatch(word) or word == "all":
        raise BadArguments(f"'{word[:80]}' is no alias", "an alias is a word of a-z 0-9 _")
    if others := [other.id for other in ctx.scope.index.named(word) if other.id != device.id]:
        raise BadArguments(f"{', '.join(others)} answers to '{word}' already")
    if word not in aliases and len(aliases) >= _MOST:
        raise BadArguments(f"a device has at most {_MOST} aliases")
    return await _keep(ctx, device, aliases=tuple(dict.fromkeys([*aliases, word])))


def _moved(known: Known) -> str:
    return f"{known.id} is in {known.room}" if known.room else f"{known.id} is in no room"


@order("device move", needs=Privilege.ADMIN, says=_moved)
async def device_move(ctx: Context, device: Called, room: RoomName) -> Known:
    """Put a device into another room; what is granted on rooms follows, so that it takes the right to operate it.

    device: the device
    room: the room, known or new, or - for the one that its backend tells
    """
    own = next((told.raw.room for told in ctx.house.told() if told.record.id == device.id), "")
    there = replace(device, room=own if room == _OWN else room)
    if not all(_holds(ctx, one) for one in (device, there)):
        raise Denied(f"to move {device.id} takes the right to operate it where it is and where it goes, at any time")
    return await _keep(ctx, device, room=None if room == _OWN else room)


def _holds(ctx: Context, device: Device) -> bool:
    """Return whether the giver may operate a device on no condition, so that it is theirs to let others."""
    needs = Privilege.ACCESS if device.guards else Privilege.CONTROL if device.anything else Privilege.READ

    def held(policy: Policy) -> bool:
        of_it = [grant for grant in policy.grants if grant.covers(device)]
        return any(grant.plain and not grant.deny and grant.gives(needs) for grant in of_it) and not any(
            grant.deny and grant.privilege in {needs, Privilege.READ} for grant in of_it
        )

    return ctx.user.until is None and all(map(held, ctx.standing.rights.policies))


def _guarded(known: Known) -> str:
    return f"{known.id} needs {'access' if known.guarded else 'what its kind needs'}"


@order("device guard", needs=Privilege.ADMIN, says=_guarded)
async def device_guard(ctx: Context, device: Called, *, remove: bool = False) -> Known:
    """Say that a device lets people in, as a relay does that opens a gate: operating it needs `access` then.

    device: the device
    remove: it does not; takes the right to operate it
    """
    if remove and not _holds(ctx, device):
        raise Denied(f"to say that of {device.id} takes the right to operate it, at any time")
    return await _keep(ctx, device, guarded=not remove)


@order("device hide", needs=Privilege.ADMIN, says=_says("{id} is hidden: `device unhide {id}` brings it back"))
async def device_hide(ctx: Context, device: Called) -> Known:
    """Hide a device from everybody, as if it were not there.

    device: the device
    """
    return await _keep(ctx, device, hidden=True)


def _shown(known: Known) -> str:
    return f"{known.id} is not hidden"


@order("device unhide", needs=Privilege.ADMIN, says=_shown)
async def device_unhide(ctx: Context, device_id: Annotated[str, Text("ID")]) -> Known:
    """Show a hidden device again.

    device_id: its id, as `device list` tells it
    """
    hidden = [told for told in _told(ctx) if told.record.hidden and told.record.id == device_id.lower()]
    if not hidden:
        raise BadArguments(f"no hidden device '{device_id[:80]}'", "`device list` lists them")
    return await _kept(ctx, hidden[0].record, hidden=False)


async def _keep(ctx: Context, device: Device, **made: Any) -> Known:  # noqa: ANN401 (any field of a record)
    record = ctx.house.naming.of(device.id)
    if record is None:
        raise BadArguments(f"no device '{device.id}'")
    return await _kept(ctx, record, **made)


async def _kept(ctx: Context, record: DeviceRecord, **made: Any) -> Known:  # noqa: ANN401 (any field of a record)
    """Keep what an owner made of a device, in the store too, and return it as it is now."""
    ctx.house.naming.keep(replace(record, **made))
    ctx.house.renamed(record.id)
    await ctx.store.settle()
    return next(_known(told) for told in ctx.house.told() if told.record.id == record.id)
