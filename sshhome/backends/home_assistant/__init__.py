"""The entities of a Home Assistant, over one connection that is made again whenever it is lost.

What Home Assistant answers to an order proves nothing, as it says so of an entity that is not there too: what counts
is the state that it tells afterwards. Orders are not kept: without a connection there are none. A token that Home
Assistant does not take is not tried again until its file is another, since it bans who tries.
"""

import asyncio
import contextlib
import functools
import logging
import random
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from sshhome.backend import Link, News, Report
from sshhome.backends.home_assistant import entity, service
from sshhome.backends.home_assistant.entity import Told
from sshhome.backends.home_assistant.entry import clean, entries
from sshhome.backends.home_assistant.instance import Cause, Instance
from sshhome.backends.home_assistant.websocket import ERRORS, Failed, NeedsToken, Server, Talk, object_of, objects_of
from sshhome.clock import Clock
from sshhome.device import Device, State
from sshhome.errors import NotConfirmed, Refused, SiteError, Unavailable
from sshhome.quantity import span

log = logging.getLogger(__name__)

#: Seconds until the first and until any further try to connect; what lasted longer than that begins anew.
_FIRST, _LONGEST = 1.0, 60.0
#: Seconds that Home Assistant has to tell of all states, and to answer an order.
_TELL, _ORDER = 30.0, 5.0
#: Seconds that a service has before the next one of the same change is called. They are called one by one, as what is
#: off takes no volume; but a slow cloud must not keep the last of five from being sent while somebody still waits.
_PART = 0.3
#: Seconds between two looks at a token's file, and at a Home Assistant that is starting.
_LOOK = 1.0
#: Seconds in which what comes and goes together is taken together.
_TOGETHER = 0.2
#: Scripts that are read; what one beyond them touches is not known.
_SCRIPTS = 1000
#: Entities that are told of before others get their turn.
_AT_ONCE = 100
#: Orders of which we remember that they were ours, for the changes that follow from them.
_OURS = 256
#: What a device was doing as it was last heard of says nothing of what it does now.
_PASSING = frozenset({"moving", "phase", "doing"})
#: What Home Assistant calls itself once everything has been set up.
_RUNNING = "RUNNING"
#: After any of these, what is known of registries and units may be wrong.
_UPDATES = ("area_registry_updated", "device_registry_updated", "entity_registry_updated", "core_config_updated")


class HomeAssistantBackend:
    """Keeps a connection to one Home Assistant, and the devices that its entities are."""

    def __init__(self, server: Server, clock: Clock, report: Report) -> None:
        """Take a server whose options are checked; see `open`."""
        self._server = server
        self._clock = clock
        self._report = report
        self._link = Link(up=False, says=f"{server}: connecting")
        self._life: asyncio.Task[None] | None = None
        self._talk: Talk | None = None
        self._instance = Instance()
        #: Every device that is known, by identity; without a connection as they were last told of.
        self._devices: dict[str, Device] = {}
        #: Whether states have been told, all has been put together, and Home Assistant has set up everything.
        self._told = asyncio.Event()
        self._settled = False
        self._running = False
        #: Set whenever registries have to be asked again.
        self._stale = asyncio.Event()
        #: Orders under way: by entity id, what is wanted and what to tell when its echo comes.
        self._waiting: dict[str, list[tuple[State, asyncio.Future[None]]]] = {}
        self._ours: deque[str] = deque(maxlen=_OURS)
        self._me = ""
        self._people: Mapping[str, str] = {}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse what is wrong with the options; raises SiteError."""
        Server(options, Path())

    @classmethod
    async def open(cls, options: Mapping[str, Any], state: Path, clock: Clock, report: Report) -> Self:
        """Begin to connect; raises SiteError for wrong options and for a file that cannot be read or others can."""
        server = Server(options, state.parent)
        server.read()
        backend = cls(server, clock, report)
        backend._life = asyncio.create_task(backend._live())
        return backend

    @classmethod
    async def test(cls, options: Mapping[str, Any]) -> str:
        """Connect once, and return what is there; raises SiteError in one line."""
        server = Server(options, Path())
        server.read()
        backend = cls(server, Clock(), _Nobody())
        try:
            async with server.connect() as talk:
                await backend._take_stock(talk)
        except ERRORS as error:
            raise SiteError(f"{server}: {server.words(error)}") from None
        count = len(backend.devices())
        return f"{backend.link.says}, {count} device{'' if count == 1 else 's'}"

    @property
    def link(self) -> Link:
        """How it is with Home Assistant."""
        return self._link

    def devices(self) -> Sequence[Device]:
        """Return every device known now."""
        return list(self._devices.values())

    def announce(self, news: News) -> None:
        """Tell nothing: Home Assistant lets none but its administrators tell it news."""

    async def close(self) -> None:
        """Hang up."""
        self._report = _Nobody()
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    # -- orders -------------------------------------------------------------------------------------------------------

    async def apply(self, device: Device, change: State) -> None:
        """Call the services that make a change; ends with Home Assistant's answer or the echo, whichever is first."""
        talk, entity_id, told = self._found(device)
        # Home Assistant would take an order for what is not there, and say that it is done.
        if not told.available:
            raise Unavailable(f"{device.id} is unavailable")
        calls = service.calls(entity_id, told, device, change, unit=self._instance.unit, code=self._server.code)
        echo: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(entity_id, []).append((change, echo))
        try:
            for call in calls:
                last = call is calls[-1]
                if not await self._called(talk, call, entity_id, device, {echo} if last else set()) and last:
                    return
        finally:
            self._waiting[entity_id].remove((change, echo))
            if not self._waiting[entity_id]:
                del self._waiting[entity_id]
        if self._talk is talk:
            # Of what was so already nothing is told; that it is so is an echo all the same.
            self._tell(entity_id)

    def _found(self, device: Device) -> tuple[Talk, str, Told]:
        entity_id = self._instance.shown.get(device.identity, "")
        told = self._instance.told.get(entity_id)
        if self._talk is None or told is None:
            raise Unavailable(f"{device.id} is unavailable", "" if self._link.up else self._link.says)
        return self._talk, entity_id, told

    async def _called(
        self, talk: Talk, call: service.Call, entity_id: str, device: Device, echo: "set[asyncio.Future[None]]"
    ) -> bool:
        """Call a service and wait for the answer, or for an echo after the last; return whether either came."""
        try:
            answer = await talk.order(call.domain, call.service, call.data, entity_id)
        except ERRORS:
            raise Unavailable(f"{device.id} could not be told") from None
        patience = _ORDER if echo else _PART
        done, _ = await asyncio.wait({answer, *echo}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        answer.add_done_callback(functools.partial(self._answered, device.identity, raised=answer in done))
        if answer in done:
            try:
                answer.result()
            except Failed as error:
                may_not = "unauthorized" in {error.code, error.words.lower()}
                hint = "the user whose token it is may not operate this" if may_not else ""
                raise Refused(self._server.redact(error.words), hint) from None
            except ERRORS:
                # It may well have been done.
                raise NotConfirmed(f"sent to {device.id}, not confirmed", "the connection was lost then") from None
        return bool(done)

    def _answered(self, identity: str, answer: "asyncio.Future[Any]", *, raised: bool) -> None:
        """Take note of the answer to an order, which may come long after its echo."""
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, Failed) and not raised:
            self._report.refused(identity, self._server.redact(error.words))
        elif error is None and not answer.cancelled() and isinstance(answer.result(), dict):
            context = answer.result().get("context")
            if isinstance(context, dict):
                self._ours.append(str(context.get("id")))

    async def history(self, device: Device, since: float, until: float) -> Sequence[tuple[float, State]]:
        """Return how a device was, as far as Home Assistant has kept it; raises Unavailable."""
        talk, entity_id, now = self._found(device)
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (since, until))
        try:
            kept = object_of(
                await talk.ask(
                    "history/history_during_period",
                    start_time=start,
                    end_time=end,
                    entity_ids=[entity_id],
                    minimal_response=False,
                    no_attributes=False,
                    significant_changes_only=False,
                )
            )
            rows = objects_of(kept.get(entity_id))
        except ERRORS as error:
            raise Unavailable(f"{device.id} has no history now", self._server.words(error)) from None
        entry, found = self._instance.entry(entity_id), []
        for row in rows:
            state, at = row.get("s"), row.get("lu", row.get("lc"))
            if isinstance(state, str) and isinstance(at, int | float):
                # What an entity can do is not kept; of what it was while it could not be reached, nothing is.
                then = Told(state, {**now.attributes, **object_of(row.get("a", {}))})
                known = entity.device(entry, then, self._instance.unit).state
                found.append((float(at), known if then.available else dict.fromkeys(known)))
        return found

    # -- the connection -----------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Connect again and again, ever more slowly while that fails."""
        wait = _FIRST
        while True:
            began = self._clock.monotonic()
            try:
                async with self._server.connect() as talk:
                    await self._take_stock(talk)
                    await self._keep_up(talk)
                    words = "the connection was lost"
            except NeedsToken as error:
                self._lose(self._server.words(error))
                log.error("backend %s", self._link.says)
                await self._new_token()
                continue
            except ERRORS as error:
                words = self._server.words(error)
            except Exception as error:  # (a bug of ours must not end the backend for good)
                log.exception("backend %s", self._server)
                words = f"failed by our own fault: {type(error).__name__}"
            if self._clock.monotonic() - began > _LONGEST:
                wait = _FIRST
            # So that not everybody comes back at once.
            pause = wait * random.uniform(1.0, 1.25)  # noqa: S311 (jitter, not a secret)
            self._lose(f"{words}; the next try is in {span(pause)}")
            await asyncio.sleep(pause)
            wait = min(wait * 2, _LONGEST)

    async def _take_stock(self, talk: Talk) -> None:
        """Ask for everything there is, and be told of every change from then on."""
        self._instance, self._settled = Instance(), False
        self._stale.clear()
        self._told.clear()
        await talk.ask("supported_features", features={"coalesce_messages": 1})
        me = object_of(await talk.ask("auth/current_user"))
        people = objects_of(await talk.ask("config/auth/list")) if me.get("is_admin") is True else []
        self._me = str(me.get("id"))
        self._people = {str(one.get("id")): clean(one.get("name")) for one in [me, *people]}
        for update in _UPDATES:
            await talk.ask("subscribe_events", lambda _: self._stale.set(), event_type=update)
        await self._ask_registries(talk)
        await talk.ask("subscribe_entities", self._hear)
        async with asyncio.timeout(_TELL):
            await self._told.wait()
        await self._settle(talk)

    async def _keep_up(self, talk: Talk) -> None:
        """Ask again for what has changed, until the connection is lost."""
        self._talk = talk
        while not await self._lost(talk):
            if self._stale.is_set():
                await asyncio.sleep(_TOGETHER)
                self._stale.clear()
                await self._ask_registries(talk)
                await self._settle(talk)
            elif object_of(await talk.ask("get_config")).get("state") == _RUNNING:
                self._stale.set()

    async def _lost(self, talk: Talk) -> bool:
        """Wait until something is to be asked, and return whether there is nobody to ask."""
        ends = [asyncio.create_task(event.wait()) for event in (self._stale, talk.ended)]
        try:
            await asyncio.wait(ends, timeout=None if self._running else _LOOK, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return talk.ended.is_set()

    async def _ask_registries(self, talk: Talk) -> None:
        config = object_of(await talk.ask("get_config"))
        unit = object_of(config.get("unit_system", {})).get("temperature")
        self._running = config.get("state") == _RUNNING
        self._instance.unit = unit if isinstance(unit, str) else "°C"
        told = [await talk.ask(f"config/{registry}_registry/list") for registry in ("area", "device", "entity")]
        self._instance.entries = entries(*told)

    async def _settle(self, talk: Talk) -> None:
        """Read the scripts, put everything together, and report what has come, changed or gone."""
        scripts = [entity_id for entity_id in self._instance.told if entity_id.startswith("script.")]
        for entity_id in scripts[:_SCRIPTS]:
            with contextlib.suppress(Failed):
                told = object_of(await talk.ask("script/config", entity_id=entity_id))
                self._instance.scripts[entity_id] = told.get("config")
        self._instance.settle()
        self._settled = True
        says = f"Home Assistant {talk.version}{'' if self._running else ' is starting'}"
        self._link = Link(up=True, says=f"{self._server}: {says}")
        shown = dict(self._instance.shown)
        for identity in self._devices.keys() - shown.keys():
            if self._running:
                del self._devices[identity]
                self._report.gone(identity)
            else:
                # It may only not have been set up yet.
                self._unreachable(identity)
        for number, entity_id in enumerate(shown.values(), 1):
            self._tell(entity_id, only_news=True)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _lose(self, words: str) -> None:
        """Take note that there is no connection."""
        self._talk, self._settled = None, False
        if self._link.up:
            log.warning("backend %s: %s", self._server, words)
        self._link = Link(up=False, says=f"{self._server}: {words}")
        for identity in list(self._devices):
            self._unreachable(identity)

    def _unreachable(self, identity: str) -> None:
        known = self._devices[identity]
        if known.available:
            self._devices[identity] = known.with_state(_still(known), available=False)
            self._report.changed(self._devices[identity])

    async def _new_token(self) -> None:
        """Wait until there is another token in the file."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._server.has_new_token():
                continue
            try:
                self._server.read()
            except SiteError as error:
                self._link = Link(up=False, says=f"{self._server}: {error.message}")
                log.error("%s", error.message)
            else:
                return

    # -- what it tells ------------------------------------------------------------------------------------------------

    def _hear(self, event: object) -> None:
        """Take how entities are; whatever is done about it is done at once, so that Home Assistant never waits."""
        stamps = {one: entity.stamp(self._instance.told[one]) for one in self._waiting if one in self._instance.told}
        changed, came = self._instance.hear(event)
        self._told.set()
        if not self._settled:
            return
        if came:
            self._stale.set()
        for entity_id, cause in changed.items():
            self._ran(entity_id, cause, stamps.get(entity_id, ""))
            self._tell(entity_id, by=self._by(cause))

    def _ran(self, entity_id: str, cause: Cause, before: str) -> None:
        """Take note of what ran because we said so."""
        wanted = [change["activated"] for change, _ in self._waiting.get(entity_id, ()) if change.get("activated")]
        now = entity.stamp(self._instance.told[entity_id])
        if wanted and now != before and self._is_ours(cause):
            self._instance.activate(entity_id, str(wanted[-1]))

    def _tell(self, entity_id: str, *, by: str = "", only_news: bool = False) -> None:
        """Report an entity as it is now."""
        device = self._instance.device(entity_id)
        if device is None:
            return
        known = self._devices.get(device.identity)
        if known is not None and not device.available and known.id == device.id:
            # What cannot be reached tells nothing of what it can do.
            device = msgspec.structs.replace(
                device, attributes=known.attributes, state={**known.state, **_still(known)}
            )
        if only_news and device == known:
            return
        self._devices[device.identity] = device
        self._report.changed(device, by)
        for change, echo in self._waiting.get(entity_id, ()):
            if not echo.done() and device.echoes(change):
                echo.set_result(None)

    def _is_ours(self, cause: Cause) -> bool:
        """Return whether a change follows from an order of ours, of which the answer may still be on its way."""
        return cause.id in self._ours or (bool(self._waiting) and cause.user == self._me)

    def _by(self, cause: Cause) -> str:
        """Return who or what made a change, where it was not us."""
        if self._is_ours(cause):
            return ""
        if cause.user:
            name = self._people.get(cause.user, "")
            return f"{name} in Home Assistant" if name else "a user of Home Assistant"
        return "an automation or script of Home Assistant" if cause.parent else ""


class _Nobody:
    """What is reported to by a backend that is closed, or that is only tried."""

    def changed(self, device: Device, by: str = "") -> None:
        """Take no note."""

    def gone(self, identity: str) -> None:
        """Take no note."""

    def refused(self, identity: str, words: str) -> None:
        """Take no note."""


def _still(device: Device) -> State:
    return {name: None for name in device.state if name in _PASSING}
