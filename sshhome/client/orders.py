"""The orders of a house, one method each; made by `make docs`, and a test fails when they differ from the house's own.

What is not given is not sent, so that the house's own default counts.
"""

# ruff: noqa: A002, E501, UP013 (whatever the house calls things, and however long it tells of them)

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, cast

from sshhome.client.device import Device, Value, devices_of

T = TypeVar("T")


class Given(TypedDict, total=False):
    """What any order takes besides: that it is meant, a one-time code, and a key under which it runs once."""

    yes: bool
    code: str
    idempotency_key: str


class Changing(Given, total=False):
    """What an order that changes the house takes besides: whether to wait, and for how long it shall be so."""

    no_wait: bool
    for_: str
    confirm: str


#: Orders that only look, so that they may be given again.
LOOKING = frozenset(
    {
        "echo",
        "exit",
        "explain",
        "get",
        "help",
        "history",
        "key list",
        "list",
        "log",
        "logins",
        "macro list",
        "macro show",
        "rooms",
        "run",
        "schedule list",
        "schedule show",
        "set-option",
        "show",
        "time",
        "undo list",
        "upper",
        "who",
        "whoami",
        "why",
    }
)

BackendInfo = TypedDict("BackendInfo", {"backend": str, "up": bool, "says": str, "devices": int})

BanInfo = TypedDict(
    "BanInfo",
    {
        "source": str,
        "since": str,
        "until": str,
        "remaining": int,
        "count": int,
        "kind": str,
        "evidence": str,
        "rule": str,
    },
)

Called = TypedDict("Called", {"text": str, "shells": int})

Changed = TypedDict("Changed", {"user": str, "says": str, "sessions": int})

DeliveryInfo = TypedDict(
    "DeliveryInfo",
    {
        "hook": str,
        "id": str,
        "at": str,
        "what": str,
        "state": str,
        "tries": int,
        "status": "int | None",
        "says": str,
        "said": str,
    },
)

Entry = TypedDict("Entry", {"at": str, "event": str, "user": str, "what": str, "devices": Sequence[str], "said": str})

Explained = TypedDict(
    "Explained",
    {
        "source": str,
        "ban": "BanInfo | None",
        "penalty": "PenaltyInfo | None",
        "failures": Sequence["FailureInfo"],
        "neighbours": Sequence[str],
        "never": str,
        "tries": int,
        "would_ban": str,
        "seconds": int,
    },
)

Explanation = TypedDict(
    "Explanation",
    {
        "user": str,
        "order": str,
        "id": str,
        "allowed": bool,
        "rule": str,
        "step_up": str,
        "unmet": Sequence[str],
        "next": str,
        "says": str,
        "key": str,
    },
)

FailureInfo = TypedDict("FailureInfo", {"user": str, "ago": int})

HookInfo = TypedDict(
    "HookInfo",
    {"hook": str, "url": str, "events": Sequence[str], "state": str, "says": str, "waiting": int, "failures": int},
)

Identity = TypedDict(
    "Identity",
    {
        "user": str,
        "name": str,
        "method": str,
        "key": str,
        "source": str,
        "roles": Sequence[str],
        "grants": Sequence[str],
        "may": Sequence[str],
        "key_grants": Sequence[str],
        "key_may": Sequence[str],
    },
)

Kept = TypedDict(
    "Kept",
    {
        "at": str,
        "order": str,
        "before": Mapping[str, Mapping[str, Value]],
        "due": str,
        "back": Mapping[str, Mapping[str, Value]],
        "said": str,
        "due_said": str,
    },
)

KeyChanged = TypedDict("KeyChanged", {"user": str, "key": str, "says": str, "sessions": int})

KeyInfo = TypedDict("KeyInfo", {"fingerprint": str, "kind": str, "comment": str, "bound": Sequence[str], "own": bool})

Kicked = TypedDict("Kicked", {"sessions": Sequence[int]})

Known = TypedDict(
    "Known",
    {
        "id": str,
        "backend": str,
        "identity": str,
        "name": str,
        "room": str,
        "aliases": Sequence[str],
        "hidden": bool,
        "guarded": bool,
        "as": str,
        "note": str,
    },
)

LoginInfo = TypedDict(
    "LoginInfo", {"at": str, "source": str, "method": str, "key": str, "comment": str, "failed": int, "said": str}
)

MacroInfo = TypedDict("MacroInfo", {"name": str, "orders": str, "shared_by": str})

NewPass = TypedDict(
    "NewPass",
    {"user": str, "may": Sequence[str], "until": str, "ssh": Sequence[str], "uri": str, "password": str, "ends": str},
)

Now = TypedDict("Now", {"local": str, "utc": str, "timezone": str})

Option = TypedDict("Option", {"option": str, "value": str, "choices": Sequence[str], "says": str})

OrderHelp = TypedDict(
    "OrderHelp", {"order": str, "usage": str, "summary": str, "needs": str, "params": Mapping[str, str]}
)

Pass = TypedDict(
    "Pass",
    {
        "user": str,
        "may": Sequence[str],
        "until": str,
        "left": Sequence[int],
        "issued_by": str,
        "state": str,
        "ends": str,
    },
)

Past = TypedDict(
    "Past",
    {
        "id": str,
        "attribute": str,
        "unit": str,
        "since": str,
        "until": str,
        "every": float,
        "min": "float | None",
        "mean": "float | None",
        "max": "float | None",
        "points": Sequence["Point"],
    },
)

PenaltyInfo = TypedDict("PenaltyInfo", {"kind": str, "remaining": int, "active": bool})

Point = TypedDict("Point", {"at": str, "value": Value, "min": Value, "max": Value})

Presence = TypedDict("Presence", {"user": str, "name": str, "channel": str, "since": str, "said": str})

Reading = TypedDict("Reading", {"id": str, "attribute": str, "value": Value, "unit": str})

Revoked = TypedDict("Revoked", {"user": str, "sessions": int})

Room = TypedDict("Room", {"room": str, "devices": int, "on": int, "temperature": "float | None"})

RunInfo = TypedDict(
    "RunInfo", {"due": str, "begun": str, "ended": str, "status": "int | None", "says": str, "said": str}
)

ScheduleInfo = TypedDict(
    "ScheduleInfo",
    {
        "schedule": int,
        "user": str,
        "when": str,
        "order": str,
        "next": str,
        "missed": str,
        "paused": str,
        "over": bool,
        "runs": Sequence["RunInfo"],
        "state": str,
        "last": str,
    },
)

SessionInfo = TypedDict(
    "SessionInfo",
    {"session": int, "user": str, "source": str, "channel": str, "key": str, "since": str, "orders": int, "said": str},
)

Tested = TypedDict("Tested", {"backend": str, "found": str})

Told = TypedDict("Told", {"at": str, "user": str, "order": str, "change": Mapping[str, Value], "said": str})

UserInfo = TypedDict(
    "UserInfo",
    {
        "user": str,
        "name": str,
        "roles": Sequence[str],
        "keys": int,
        "password": bool,
        "sessions": int,
        "frozen": bool,
        "until": str,
        "issued_by": str,
        "state": str,
    },
)

UserRules = TypedDict("UserRules", {"user": str, "roles": Sequence[str], "grants": Sequence[str]})

Why = TypedDict("Why", {"id": str, "state": Mapping[str, Value], "changes": Sequence["Told"], "said": str})


class Orders(ABC):
    """Each order as a method that waits for its answer."""

    @abstractmethod
    async def call(self, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)
        """Give an order and return its answer as JSON has it."""

    async def activate(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Activate a scene or a script, or press a button; it takes the right to each thing that is touched."""
        return devices_of(await self.call("activate", {"target": target, **given}))

    async def arm(
        self, mode: Literal["home", "away", "night"] | None = None, target: str | None = None, **given: Unpack[Changing]
    ) -> tuple[Device, ...]:
        """Arm the alarm."""
        return devices_of(await self.call("arm", {"mode": mode, "target": target, **given}))

    async def at(
        self, time: str, line: str, *, missed: Literal["skip", "run"] | None = None, **given: Unpack[Given]
    ) -> ScheduleInfo:
        """Give an order later, once, with what you may do then."""
        return cast("ScheduleInfo", await self.call("at", {"time": time, "line": line, "missed": missed, **given}))

    async def backend_list(self, **given: Unpack[Given]) -> Sequence[BackendInfo]:
        """List the backends, whether each reaches what it speaks to, and how many devices it tells of."""
        return cast("Sequence[BackendInfo]", await self.call("backend list", {**given}))

    async def backend_reload(self, name: str, **given: Unpack[Given]) -> BackendInfo:
        """Close a backend and open it afresh; what it does not tell of any more is gone."""
        return cast("BackendInfo", await self.call("backend reload", {"name": name, **given}))

    async def backend_test(self, name: str, **given: Unpack[Given]) -> Tested:
        """Connect a backend once more, beside what runs, and tell what is there."""
        return cast("Tested", await self.call("backend test", {"name": name, **given}))

    async def ban_add(self, source: str, *, for_: str | None = None, **given: Unpack[Given]) -> BanInfo:
        """Ban a source by hand; those who are in already stay."""
        return cast("BanInfo", await self.call("ban add", {"source": source, "for": for_, **given}))

    async def ban_explain(self, source: str, **given: Unpack[Given]) -> Explained:
        """Tell why a source is refused, or what it would take."""
        return cast("Explained", await self.call("ban explain", {"source": source, **given}))

    async def ban_lift(self, source: str, **given: Unpack[Given]) -> Sequence[BanInfo]:
        """End the bans of a source before their time."""
        return cast("Sequence[BanInfo]", await self.call("ban lift", {"source": source, **given}))

    async def ban_list(self, **given: Unpack[Given]) -> Sequence[BanInfo]:
        """List the bans in force and why they are."""
        return cast("Sequence[BanInfo]", await self.call("ban list", {**given}))

    async def close(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Close a blind, a door or a gate."""
        return devices_of(await self.call("close", {"target": target, **given}))

    async def color(self, target: str, color: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Give a lamp a colour, or a warmer or cooler white."""
        return devices_of(await self.call("color", {"target": target, "color": color, **given}))

    async def confirm(self, **given: Unpack[Given]) -> Sequence[str]:
        """Let stay what you changed with --confirm."""
        return cast("Sequence[str]", await self.call("confirm", {**given}))

    async def device_alias(self, device: str, word: str, *, remove: bool = False, **given: Unpack[Given]) -> Known:
        """Let a device answer to one more word, or to one less."""
        return cast(
            "Known",
            await self.call("device alias", {"device": device, "word": word, "remove": remove or None, **given}),
        )

    async def device_guard(self, device: str, *, remove: bool = False, **given: Unpack[Given]) -> Known:
        """Say that a device lets people in, as a relay does that opens a gate: operating it needs `access` then."""
        return cast("Known", await self.call("device guard", {"device": device, "remove": remove or None, **given}))

    async def device_hide(self, device: str, **given: Unpack[Given]) -> Known:
        """Hide a device from everybody, as if it were not there."""
        return cast("Known", await self.call("device hide", {"device": device, **given}))

    async def device_list(self, **given: Unpack[Given]) -> Sequence[Known]:
        """List all that backends tell of, also what is hidden and what is told of twice."""
        return cast("Sequence[Known]", await self.call("device list", {**given}))

    async def device_move(self, device: str, room: str, **given: Unpack[Given]) -> Known:
        """Put a device into another room; what is granted on rooms follows, so that it takes the right to operate it."""
        return cast("Known", await self.call("device move", {"device": device, "room": room, **given}))

    async def device_rename(self, device: str, name: str, **given: Unpack[Given]) -> Known:
        """Call a device otherwise; its id stays."""
        return cast("Known", await self.call("device rename", {"device": device, "name": name, **given}))

    async def device_unhide(self, device_id: str, **given: Unpack[Given]) -> Known:
        """Show a hidden device again."""
        return cast("Known", await self.call("device unhide", {"device_id": device_id, **given}))

    async def dim(self, target: str, level: str | float | None = None, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Dim a lamp."""
        return devices_of(await self.call("dim", {"target": target, "level": level, **given}))

    async def disarm(self, target: str | None = None, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Disarm the alarm."""
        return devices_of(await self.call("disarm", {"target": target, **given}))

    async def echo(self, text: str | None = None, **given: Unpack[Given]) -> str:
        """Say the same back."""
        return cast("str", await self.call("echo", {"text": text, **given}))

    async def every(
        self, often: str, line: str, *, missed: Literal["skip", "run"] | None = None, **given: Unpack[Given]
    ) -> ScheduleInfo:
        """Give an order again and again, each time with what you may do then."""
        return cast("ScheduleInfo", await self.call("every", {"often": often, "line": line, "missed": missed, **given}))

    async def exit(self, **given: Unpack[Given]) -> None:
        """End the session."""
        return cast("None", await self.call("exit", {**given}))

    async def explain(
        self, line: str, *, as_: str | None = None, at: str | None = None, **given: Unpack[Given]
    ) -> Sequence[Explanation]:
        """Tell whether an order would be allowed, by which rule, and when it would be next; it is not given."""
        return cast("Sequence[Explanation]", await self.call("explain", {"line": line, "as": as_, "at": at, **given}))

    async def get(self, target: str, **given: Unpack[Given]) -> Reading | Sequence[Reading]:
        """Get a value of a device, or all its values."""
        return cast("Reading | Sequence[Reading]", await self.call("get", {"target": target, **given}))

    async def help(self, name: str | None = None, **given: Unpack[Given]) -> Sequence[OrderHelp] | OrderHelp:
        """List the orders you may give, or explain one."""
        return cast("Sequence[OrderHelp] | OrderHelp", await self.call("help", {"name": name, **given}))

    async def history(
        self,
        target: str,
        *,
        since: str | None = None,
        until: str | None = None,
        csv: bool = False,
        **given: Unpack[Given],
    ) -> Past:
        """Plot how a value was."""
        return cast(
            "Past",
            await self.call("history", {"target": target, "since": since, "until": until, "csv": csv or None, **given}),
        )

    async def hook_deliveries(self, name: str | None = None, **given: Unpack[Given]) -> Sequence[DeliveryInfo]:
        """List what hooks were told lately and what waits to be told, the oldest first."""
        return cast("Sequence[DeliveryInfo]", await self.call("hook deliveries", {"name": name, **given}))

    async def hook_list(self, **given: Unpack[Given]) -> Sequence[HookInfo]:
        """List who is told what happens, how it is with each, and how much waits for it."""
        return cast("Sequence[HookInfo]", await self.call("hook list", {**given}))

    async def hook_retry(self, name: str, **given: Unpack[Given]) -> HookInfo:
        """Tell a hook at once what waits for it, also one that was left alone or wanted nothing more."""
        return cast("HookInfo", await self.call("hook retry", {"name": name, **given}))

    async def hook_test(self, name: str, **given: Unpack[Given]) -> DeliveryInfo:
        """Send a word to a hook at once, past all that waits, and tell what it answers."""
        return cast("DeliveryInfo", await self.call("hook test", {"name": name, **given}))

    async def in_(self, duration: str, line: str, **given: Unpack[Given]) -> ScheduleInfo:
        """Give an order in a while, once, with what you may do then; late rather than not at all."""
        return cast("ScheduleInfo", await self.call("in", {"duration": duration, "line": line, **given}))

    async def key_add(self, line: str, **given: Unpack[Given]) -> KeyChanged:
        """Add a key that you log in with; one that should do less than you carries sshhome-grants or sshhome-role."""
        return cast("KeyChanged", await self.call("key add", {"line": line, **given}))

    async def key_list(self, **given: Unpack[Given]) -> Sequence[KeyInfo]:
        """List your keys."""
        return cast("Sequence[KeyInfo]", await self.call("key list", {**given}))

    async def key_remove(self, key: str, **given: Unpack[Given]) -> KeyChanged:
        """Remove a key of yours; other sessions that came with it end, with all that runs in them."""
        return cast("KeyChanged", await self.call("key remove", {"key": key, **given}))

    async def list(self, target: str | None = None, **given: Unpack[Given]) -> tuple[Device, ...]:
        """List devices, one a line."""
        return devices_of(await self.call("list", {"target": target, **given}))

    async def lock(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Lock a door."""
        return devices_of(await self.call("lock", {"target": target, **given}))

    async def log(
        self, *, user: str | None = None, since: str | None = None, follow: bool = False, **given: Unpack[Given]
    ) -> Sequence[Entry]:
        """Tell what was done in the house, by whom; of others only what they did to what you may see."""
        return cast(
            "Sequence[Entry]", await self.call("log", {"user": user, "since": since, "follow": follow or None, **given})
        )

    async def logins(self, **given: Unpack[Given]) -> Sequence[LoginInfo]:
        """List your last logins, and how often somebody failed to log in as you after each."""
        return cast("Sequence[LoginInfo]", await self.call("logins", {**given}))

    async def macro_list(self, **given: Unpack[Given]) -> Sequence[MacroInfo]:
        """List your macros, and those that all have."""
        return cast("Sequence[MacroInfo]", await self.call("macro list", {**given}))

    async def macro_remove(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Remove a macro of yours."""
        return cast("MacroInfo", await self.call("macro remove", {"name": name, **given}))

    async def macro_save(self, name: str, orders: str, **given: Unpack[Given]) -> MacroInfo:
        """Save orders under a name, which is an order of yours then."""
        return cast("MacroInfo", await self.call("macro save", {"name": name, "orders": orders, **given}))

    async def macro_share(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Let all have a macro of yours; it takes the right to each order in it."""
        return cast("MacroInfo", await self.call("macro share", {"name": name, **given}))

    async def macro_show(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Show the orders of a macro."""
        return cast("MacroInfo", await self.call("macro show", {"name": name, **given}))

    async def macro_unshare(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Take a macro from all again."""
        return cast("MacroInfo", await self.call("macro unshare", {"name": name, **given}))

    async def off(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something off."""
        return devices_of(await self.call("off", {"target": target, **given}))

    async def on(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something on."""
        return devices_of(await self.call("on", {"target": target, **given}))

    async def open(
        self, target: str, position: str | float | None = None, **given: Unpack[Changing]
    ) -> tuple[Device, ...]:
        """Open a blind, a door or a gate."""
        return devices_of(await self.call("open", {"target": target, "position": position, **given}))

    async def pass_create(
        self,
        login: str,
        *,
        may: str,
        when: str | None = None,
        until: str | None = None,
        uses: int | None = None,
        from_: str | None = None,
        key: str | None = None,
        password: bool = False,
        **given: Unpack[Given],
    ) -> NewPass:
        """Make a pass for somebody: a user that ends by itself, and may do just this."""
        return cast(
            "NewPass",
            await self.call(
                "pass create",
                {
                    "login": login,
                    "may": may,
                    "when": when,
                    "until": until,
                    "uses": uses,
                    "from": from_,
                    "key": key,
                    "password": password or None,
                    **given,
                },
            ),
        )

    async def pass_list(self, **given: Unpack[Given]) -> Sequence[Pass]:
        """List the passes, those too that have ended."""
        return cast("Sequence[Pass]", await self.call("pass list", {**given}))

    async def pass_revoke(self, login: str, **given: Unpack[Given]) -> Revoked:
        """Revoke a pass; its sessions end, with all that runs in them."""
        return cast("Revoked", await self.call("pass revoke", {"login": login, **given}))

    async def passwd(self, **given: Unpack[Given]) -> str:
        """Set your password; other sessions that came with the old one end."""
        return cast("str", await self.call("passwd", {**given}))

    async def rooms(self, **given: Unpack[Given]) -> Sequence[Room]:
        """List the rooms with what is on in them and how warm they are."""
        return cast("Sequence[Room]", await self.call("rooms", {**given}))

    async def run(self, file: str | None = None, **given: Unpack[Given]) -> str:
        """Run orders from standard input, one a line, to the first that fails."""
        return cast("str", await self.call("run", {"file": file, **given}))

    async def schedule_list(self, *, all: bool = False, **given: Unpack[Given]) -> Sequence[ScheduleInfo]:
        """List your schedules, those that are over last."""
        return cast("Sequence[ScheduleInfo]", await self.call("schedule list", {"all": all or None, **given}))

    async def schedule_pause(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Let a schedule rest until it is resumed; what it misses until then it misses."""
        return cast("ScheduleInfo", await self.call("schedule pause", {"number": number, **given}))

    async def schedule_remove(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Remove a schedule; a run of it that has begun goes on to its end."""
        return cast("ScheduleInfo", await self.call("schedule remove", {"number": number, **given}))

    async def schedule_resume(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Let a schedule go on that was paused."""
        return cast("ScheduleInfo", await self.call("schedule resume", {"number": number, **given}))

    async def schedule_show(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Show a schedule, and how its last runs went."""
        return cast("ScheduleInfo", await self.call("schedule show", {"number": number, **given}))

    async def session_kick(self, which: str, **given: Unpack[Given]) -> Kicked:
        """End a session, or all sessions of a user, with the connection they run on."""
        return cast("Kicked", await self.call("session kick", {"which": which, **given}))

    async def session_list(self, **given: Unpack[Given]) -> Sequence[SessionInfo]:
        """List the live sessions."""
        return cast("Sequence[SessionInfo]", await self.call("session list", {**given}))

    async def set(self, target: str, value: str | float, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Set any value of a device."""
        return devices_of(await self.call("set", {"target": target, "value": value, **given}))

    async def set_option(
        self,
        option: Literal["editing", "plain", "notices"] | None = None,
        value: str | None = None,
        **given: Unpack[Given],
    ) -> Sequence[Option] | Option:
        """Say how you like your shells, or list what there is to say."""
        return cast(
            "Sequence[Option] | Option", await self.call("set-option", {"option": option, "value": value, **given})
        )

    async def show(self, target: str | None = None, **given: Unpack[Given]) -> tuple[Device, ...]:
        """Show the house at a glance, or what is in a room or of a kind."""
        return devices_of(await self.call("show", {"target": target, **given}))

    async def stop(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Stop a blind, a door or a gate where it is."""
        return devices_of(await self.call("stop", {"target": target, **given}))

    async def time(self, **given: Unpack[Given]) -> Now:
        """Tell the house's time."""
        return cast("Now", await self.call("time", {**given}))

    async def toggle(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something on if it is off, and off if it is on."""
        return devices_of(await self.call("toggle", {"target": target, **given}))

    async def totp(self, **given: Unpack[Given]) -> str:
        """Make a secret for one-time codes, which your authenticator app scans; kept once you type a code of it."""
        return cast("str", await self.call("totp", {**given}))

    async def undo(self, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Bring back how it was before your last change, everything that it touched."""
        return devices_of(await self.call("undo", {**given}))

    async def undo_list(self, **given: Unpack[Given]) -> Sequence[Kept]:
        """List your latest changes, which `undo` brings back one after another, and which come back by themselves."""
        return cast("Sequence[Kept]", await self.call("undo list", {**given}))

    async def unlock(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Unlock a door."""
        return devices_of(await self.call("unlock", {"target": target, **given}))

    async def upper(self, text: str | None = None, **given: Unpack[Given]) -> str:
        """Say it back in capitals."""
        return cast("str", await self.call("upper", {"text": text, **given}))

    async def user_add(
        self,
        login: str,
        *,
        name: str | None = None,
        role: str | None = None,
        grant: str | None = None,
        key: str | None = None,
        until: str | None = None,
        **given: Unpack[Given],
    ) -> Changed:
        """Add a user, who may do what you hand out and hold yourself."""
        return cast(
            "Changed",
            await self.call(
                "user add",
                {"login": login, "name": name, "role": role, "grant": grant, "key": key, "until": until, **given},
            ),
        )

    async def user_freeze(self, login: str, **given: Unpack[Given]) -> Changed:
        """Keep a user out until they are thawed; their sessions end, with all that runs in them, and their schedules rest."""
        return cast("Changed", await self.call("user freeze", {"login": login, **given}))

    async def user_grant(
        self,
        login: str,
        what: str,
        *,
        deny: bool = False,
        when: str | None = None,
        until: str | None = None,
        values: str | None = None,
        from_: str | None = None,
        house: str | None = None,
        orders: str | None = None,
        step_up: Literal["totp", "confirm"] | None = None,
        uses: int | None = None,
        **given: Unpack[Given],
    ) -> Changed:
        """Let a user do more, of what you hold yourself, or keep them from something."""
        return cast(
            "Changed",
            await self.call(
                "user grant",
                {
                    "login": login,
                    "what": what,
                    "deny": deny or None,
                    "when": when,
                    "until": until,
                    "values": values,
                    "from": from_,
                    "house": house,
                    "orders": orders,
                    "step_up": step_up,
                    "uses": uses,
                    **given,
                },
            ),
        )

    async def user_key(
        self,
        login: str,
        what: Literal["list", "add", "remove"] | None = None,
        key: str | None = None,
        **given: Unpack[Given],
    ) -> Sequence[KeyInfo] | KeyChanged:
        """List, add or remove the keys of a user; to add one takes that you hold all that they may."""
        return cast(
            "Sequence[KeyInfo] | KeyChanged",
            await self.call("user key", {"login": login, "what": what, "key": key, **given}),
        )

    async def user_list(self, **given: Unpack[Given]) -> Sequence[UserInfo]:
        """List the users and their roles."""
        return cast("Sequence[UserInfo]", await self.call("user list", {**given}))

    async def user_remove(self, login: str, **given: Unpack[Given]) -> Changed:
        """Remove a user; their sessions end, with all that runs in them."""
        return cast("Changed", await self.call("user remove", {"login": login, **given}))

    async def user_revoke(self, login: str, what: str, **given: Unpack[Given]) -> Changed:
        """Take a role or a grant from a user, or a deny, which takes that you hold what it kept them from."""
        return cast("Changed", await self.call("user revoke", {"login": login, "what": what, **given}))

    async def user_show(self, login: str, **given: Unpack[Given]) -> UserRules:
        """Tell what a user may do, and where that is written."""
        return cast("UserRules", await self.call("user show", {"login": login, **given}))

    async def user_thaw(self, login: str, **given: Unpack[Given]) -> Changed:
        """Let a frozen user in again, which takes that you hold all that they may."""
        return cast("Changed", await self.call("user thaw", {"login": login, **given}))

    async def wall(self, message: str, **given: Unpack[Given]) -> Called:
        """Say a word to everybody at a shell, above what they are typing."""
        return cast("Called", await self.call("wall", {"message": message, **given}))

    async def when(self, condition: str, line: str, **given: Unpack[Given]) -> ScheduleInfo:
        """Give an order whenever a device becomes so, with what you may do then."""
        return cast("ScheduleInfo", await self.call("when", {"condition": condition, "line": line, **given}))

    async def who(self, **given: Unpack[Given]) -> Sequence[Presence]:
        """List who is connected now."""
        return cast("Sequence[Presence]", await self.call("who", {**given}))

    async def who_can(self, line: str, **given: Unpack[Given]) -> Sequence[Explanation]:
        """List who could give an order now, or at another time."""
        return cast("Sequence[Explanation]", await self.call("who-can", {"line": line, **given}))

    async def whoami(self, **given: Unpack[Given]) -> Identity:
        """Tell who you are, how you logged in and what you may do."""
        return cast("Identity", await self.call("whoami", {**given}))

    async def why(self, device: str, **given: Unpack[Given]) -> Why:
        """Tell who or what changed a device last."""
        return cast("Why", await self.call("why", {"device": device, **given}))


class BlockingOrders(ABC):
    """Each order as a method that blocks until it is answered."""

    _orders: Orders

    @abstractmethod
    def wait(self, answer: Awaitable[T]) -> T:
        """Block until there is an answer."""

    def activate(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Activate a scene or a script, or press a button; it takes the right to each thing that is touched."""
        return self.wait(self._orders.activate(target, **given))

    def arm(
        self, mode: Literal["home", "away", "night"] | None = None, target: str | None = None, **given: Unpack[Changing]
    ) -> tuple[Device, ...]:
        """Arm the alarm."""
        return self.wait(self._orders.arm(mode, target, **given))

    def at(
        self, time: str, line: str, *, missed: Literal["skip", "run"] | None = None, **given: Unpack[Given]
    ) -> ScheduleInfo:
        """Give an order later, once, with what you may do then."""
        return self.wait(self._orders.at(time, line, missed=missed, **given))

    def backend_list(self, **given: Unpack[Given]) -> Sequence[BackendInfo]:
        """List the backends, whether each reaches what it speaks to, and how many devices it tells of."""
        return self.wait(self._orders.backend_list(**given))

    def backend_reload(self, name: str, **given: Unpack[Given]) -> BackendInfo:
        """Close a backend and open it afresh; what it does not tell of any more is gone."""
        return self.wait(self._orders.backend_reload(name, **given))

    def backend_test(self, name: str, **given: Unpack[Given]) -> Tested:
        """Connect a backend once more, beside what runs, and tell what is there."""
        return self.wait(self._orders.backend_test(name, **given))

    def ban_add(self, source: str, *, for_: str | None = None, **given: Unpack[Given]) -> BanInfo:
        """Ban a source by hand; those who are in already stay."""
        return self.wait(self._orders.ban_add(source, for_=for_, **given))

    def ban_explain(self, source: str, **given: Unpack[Given]) -> Explained:
        """Tell why a source is refused, or what it would take."""
        return self.wait(self._orders.ban_explain(source, **given))

    def ban_lift(self, source: str, **given: Unpack[Given]) -> Sequence[BanInfo]:
        """End the bans of a source before their time."""
        return self.wait(self._orders.ban_lift(source, **given))

    def ban_list(self, **given: Unpack[Given]) -> Sequence[BanInfo]:
        """List the bans in force and why they are."""
        return self.wait(self._orders.ban_list(**given))

    def close(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Close a blind, a door or a gate."""
        return self.wait(self._orders.close(target, **given))

    def color(self, target: str, color: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Give a lamp a colour, or a warmer or cooler white."""
        return self.wait(self._orders.color(target, color, **given))

    def confirm(self, **given: Unpack[Given]) -> Sequence[str]:
        """Let stay what you changed with --confirm."""
        return self.wait(self._orders.confirm(**given))

    def device_alias(self, device: str, word: str, *, remove: bool = False, **given: Unpack[Given]) -> Known:
        """Let a device answer to one more word, or to one less."""
        return self.wait(self._orders.device_alias(device, word, remove=remove, **given))

    def device_guard(self, device: str, *, remove: bool = False, **given: Unpack[Given]) -> Known:
        """Say that a device lets people in, as a relay does that opens a gate: operating it needs `access` then."""
        return self.wait(self._orders.device_guard(device, remove=remove, **given))

    def device_hide(self, device: str, **given: Unpack[Given]) -> Known:
        """Hide a device from everybody, as if it were not there."""
        return self.wait(self._orders.device_hide(device, **given))

    def device_list(self, **given: Unpack[Given]) -> Sequence[Known]:
        """List all that backends tell of, also what is hidden and what is told of twice."""
        return self.wait(self._orders.device_list(**given))

    def device_move(self, device: str, room: str, **given: Unpack[Given]) -> Known:
        """Put a device into another room; what is granted on rooms follows, so that it takes the right to operate it."""
        return self.wait(self._orders.device_move(device, room, **given))

    def device_rename(self, device: str, name: str, **given: Unpack[Given]) -> Known:
        """Call a device otherwise; its id stays."""
        return self.wait(self._orders.device_rename(device, name, **given))

    def device_unhide(self, device_id: str, **given: Unpack[Given]) -> Known:
        """Show a hidden device again."""
        return self.wait(self._orders.device_unhide(device_id, **given))

    def dim(self, target: str, level: str | float | None = None, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Dim a lamp."""
        return self.wait(self._orders.dim(target, level, **given))

    def disarm(self, target: str | None = None, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Disarm the alarm."""
        return self.wait(self._orders.disarm(target, **given))

    def echo(self, text: str | None = None, **given: Unpack[Given]) -> str:
        """Say the same back."""
        return self.wait(self._orders.echo(text, **given))

    def every(
        self, often: str, line: str, *, missed: Literal["skip", "run"] | None = None, **given: Unpack[Given]
    ) -> ScheduleInfo:
        """Give an order again and again, each time with what you may do then."""
        return self.wait(self._orders.every(often, line, missed=missed, **given))

    def exit(self, **given: Unpack[Given]) -> None:
        """End the session."""
        return self.wait(self._orders.exit(**given))

    def explain(
        self, line: str, *, as_: str | None = None, at: str | None = None, **given: Unpack[Given]
    ) -> Sequence[Explanation]:
        """Tell whether an order would be allowed, by which rule, and when it would be next; it is not given."""
        return self.wait(self._orders.explain(line, as_=as_, at=at, **given))

    def get(self, target: str, **given: Unpack[Given]) -> Reading | Sequence[Reading]:
        """Get a value of a device, or all its values."""
        return self.wait(self._orders.get(target, **given))

    def help(self, name: str | None = None, **given: Unpack[Given]) -> Sequence[OrderHelp] | OrderHelp:
        """List the orders you may give, or explain one."""
        return self.wait(self._orders.help(name, **given))

    def history(
        self,
        target: str,
        *,
        since: str | None = None,
        until: str | None = None,
        csv: bool = False,
        **given: Unpack[Given],
    ) -> Past:
        """Plot how a value was."""
        return self.wait(self._orders.history(target, since=since, until=until, csv=csv, **given))

    def hook_deliveries(self, name: str | None = None, **given: Unpack[Given]) -> Sequence[DeliveryInfo]:
        """List what hooks were told lately and what waits to be told, the oldest first."""
        return self.wait(self._orders.hook_deliveries(name, **given))

    def hook_list(self, **given: Unpack[Given]) -> Sequence[HookInfo]:
        """List who is told what happens, how it is with each, and how much waits for it."""
        return self.wait(self._orders.hook_list(**given))

    def hook_retry(self, name: str, **given: Unpack[Given]) -> HookInfo:
        """Tell a hook at once what waits for it, also one that was left alone or wanted nothing more."""
        return self.wait(self._orders.hook_retry(name, **given))

    def hook_test(self, name: str, **given: Unpack[Given]) -> DeliveryInfo:
        """Send a word to a hook at once, past all that waits, and tell what it answers."""
        return self.wait(self._orders.hook_test(name, **given))

    def in_(self, duration: str, line: str, **given: Unpack[Given]) -> ScheduleInfo:
        """Give an order in a while, once, with what you may do then; late rather than not at all."""
        return self.wait(self._orders.in_(duration, line, **given))

    def key_add(self, line: str, **given: Unpack[Given]) -> KeyChanged:
        """Add a key that you log in with; one that should do less than you carries sshhome-grants or sshhome-role."""
        return self.wait(self._orders.key_add(line, **given))

    def key_list(self, **given: Unpack[Given]) -> Sequence[KeyInfo]:
        """List your keys."""
        return self.wait(self._orders.key_list(**given))

    def key_remove(self, key: str, **given: Unpack[Given]) -> KeyChanged:
        """Remove a key of yours; other sessions that came with it end, with all that runs in them."""
        return self.wait(self._orders.key_remove(key, **given))

    def list(self, target: str | None = None, **given: Unpack[Given]) -> tuple[Device, ...]:
        """List devices, one a line."""
        return self.wait(self._orders.list(target, **given))

    def lock(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Lock a door."""
        return self.wait(self._orders.lock(target, **given))

    def log(
        self, *, user: str | None = None, since: str | None = None, follow: bool = False, **given: Unpack[Given]
    ) -> Sequence[Entry]:
        """Tell what was done in the house, by whom; of others only what they did to what you may see."""
        return self.wait(self._orders.log(user=user, since=since, follow=follow, **given))

    def logins(self, **given: Unpack[Given]) -> Sequence[LoginInfo]:
        """List your last logins, and how often somebody failed to log in as you after each."""
        return self.wait(self._orders.logins(**given))

    def macro_list(self, **given: Unpack[Given]) -> Sequence[MacroInfo]:
        """List your macros, and those that all have."""
        return self.wait(self._orders.macro_list(**given))

    def macro_remove(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Remove a macro of yours."""
        return self.wait(self._orders.macro_remove(name, **given))

    def macro_save(self, name: str, orders: str, **given: Unpack[Given]) -> MacroInfo:
        """Save orders under a name, which is an order of yours then."""
        return self.wait(self._orders.macro_save(name, orders, **given))

    def macro_share(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Let all have a macro of yours; it takes the right to each order in it."""
        return self.wait(self._orders.macro_share(name, **given))

    def macro_show(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Show the orders of a macro."""
        return self.wait(self._orders.macro_show(name, **given))

    def macro_unshare(self, name: str, **given: Unpack[Given]) -> MacroInfo:
        """Take a macro from all again."""
        return self.wait(self._orders.macro_unshare(name, **given))

    def off(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something off."""
        return self.wait(self._orders.off(target, **given))

    def on(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something on."""
        return self.wait(self._orders.on(target, **given))

    def open(self, target: str, position: str | float | None = None, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Open a blind, a door or a gate."""
        return self.wait(self._orders.open(target, position, **given))

    def pass_create(
        self,
        login: str,
        *,
        may: str,
        when: str | None = None,
        until: str | None = None,
        uses: int | None = None,
        from_: str | None = None,
        key: str | None = None,
        password: bool = False,
        **given: Unpack[Given],
    ) -> NewPass:
        """Make a pass for somebody: a user that ends by itself, and may do just this."""
        return self.wait(
            self._orders.pass_create(
                login, may=may, when=when, until=until, uses=uses, from_=from_, key=key, password=password, **given
            )
        )

    def pass_list(self, **given: Unpack[Given]) -> Sequence[Pass]:
        """List the passes, those too that have ended."""
        return self.wait(self._orders.pass_list(**given))

    def pass_revoke(self, login: str, **given: Unpack[Given]) -> Revoked:
        """Revoke a pass; its sessions end, with all that runs in them."""
        return self.wait(self._orders.pass_revoke(login, **given))

    def passwd(self, **given: Unpack[Given]) -> str:
        """Set your password; other sessions that came with the old one end."""
        return self.wait(self._orders.passwd(**given))

    def rooms(self, **given: Unpack[Given]) -> Sequence[Room]:
        """List the rooms with what is on in them and how warm they are."""
        return self.wait(self._orders.rooms(**given))

    def run(self, file: str | None = None, **given: Unpack[Given]) -> str:
        """Run orders from standard input, one a line, to the first that fails."""
        return self.wait(self._orders.run(file, **given))

    def schedule_list(self, *, all: bool = False, **given: Unpack[Given]) -> Sequence[ScheduleInfo]:
        """List your schedules, those that are over last."""
        return self.wait(self._orders.schedule_list(all=all, **given))

    def schedule_pause(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Let a schedule rest until it is resumed; what it misses until then it misses."""
        return self.wait(self._orders.schedule_pause(number, **given))

    def schedule_remove(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Remove a schedule; a run of it that has begun goes on to its end."""
        return self.wait(self._orders.schedule_remove(number, **given))

    def schedule_resume(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Let a schedule go on that was paused."""
        return self.wait(self._orders.schedule_resume(number, **given))

    def schedule_show(self, number: int, **given: Unpack[Given]) -> ScheduleInfo:
        """Show a schedule, and how its last runs went."""
        return self.wait(self._orders.schedule_show(number, **given))

    def session_kick(self, which: str, **given: Unpack[Given]) -> Kicked:
        """End a session, or all sessions of a user, with the connection they run on."""
        return self.wait(self._orders.session_kick(which, **given))

    def session_list(self, **given: Unpack[Given]) -> Sequence[SessionInfo]:
        """List the live sessions."""
        return self.wait(self._orders.session_list(**given))

    def set(self, target: str, value: str | float, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Set any value of a device."""
        return self.wait(self._orders.set(target, value, **given))

    def set_option(
        self,
        option: Literal["editing", "plain", "notices"] | None = None,
        value: str | None = None,
        **given: Unpack[Given],
    ) -> Sequence[Option] | Option:
        """Say how you like your shells, or list what there is to say."""
        return self.wait(self._orders.set_option(option, value, **given))

    def show(self, target: str | None = None, **given: Unpack[Given]) -> tuple[Device, ...]:
        """Show the house at a glance, or what is in a room or of a kind."""
        return self.wait(self._orders.show(target, **given))

    def stop(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Stop a blind, a door or a gate where it is."""
        return self.wait(self._orders.stop(target, **given))

    def time(self, **given: Unpack[Given]) -> Now:
        """Tell the house's time."""
        return self.wait(self._orders.time(**given))

    def toggle(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Switch something on if it is off, and off if it is on."""
        return self.wait(self._orders.toggle(target, **given))

    def totp(self, **given: Unpack[Given]) -> str:
        """Make a secret for one-time codes, which your authenticator app scans; kept once you type a code of it."""
        return self.wait(self._orders.totp(**given))

    def undo(self, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Bring back how it was before your last change, everything that it touched."""
        return self.wait(self._orders.undo(**given))

    def undo_list(self, **given: Unpack[Given]) -> Sequence[Kept]:
        """List your latest changes, which `undo` brings back one after another, and which come back by themselves."""
        return self.wait(self._orders.undo_list(**given))

    def unlock(self, target: str, **given: Unpack[Changing]) -> tuple[Device, ...]:
        """Unlock a door."""
        return self.wait(self._orders.unlock(target, **given))

    def upper(self, text: str | None = None, **given: Unpack[Given]) -> str:
        """Say it back in capitals."""
        return self.wait(self._orders.upper(text, **given))

    def user_add(
        self,
        login: str,
        *,
        name: str | None = None,
        role: str | None = None,
        grant: str | None = None,
        key: str | None = None,
        until: str | None = None,
        **given: Unpack[Given],
    ) -> Changed:
        """Add a user, who may do what you hand out and hold yourself."""
        return self.wait(self._orders.user_add(login, name=name, role=role, grant=grant, key=key, until=until, **given))

    def user_freeze(self, login: str, **given: Unpack[Given]) -> Changed:
        """Keep a user out until they are thawed; their sessions end, with all that runs in them, and their schedules rest."""
        return self.wait(self._orders.user_freeze(login, **given))

    def user_grant(
        self,
        login: str,
        what: str,
        *,
        deny: bool = False,
        when: str | None = None,
        until: str | None = None,
        values: str | None = None,
        from_: str | None = None,
        house: str | None = None,
        orders: str | None = None,
        step_up: Literal["totp", "confirm"] | None = None,
        uses: int | None = None,
        **given: Unpack[Given],
    ) -> Changed:
        """Let a user do more, of what you hold yourself, or keep them from something."""
        return self.wait(
            self._orders.user_grant(
                login,
                what,
                deny=deny,
                when=when,
                until=until,
                values=values,
                from_=from_,
                house=house,
                orders=orders,
                step_up=step_up,
                uses=uses,
                **given,
            )
        )

    def user_key(
        self,
        login: str,
        what: Literal["list", "add", "remove"] | None = None,
        key: str | None = None,
        **given: Unpack[Given],
    ) -> Sequence[KeyInfo] | KeyChanged:
        """List, add or remove the keys of a user; to add one takes that you hold all that they may."""
        return self.wait(self._orders.user_key(login, what, key, **given))

    def user_list(self, **given: Unpack[Given]) -> Sequence[UserInfo]:
        """List the users and their roles."""
        return self.wait(self._orders.user_list(**given))

    def user_remove(self, login: str, **given: Unpack[Given]) -> Changed:
        """Remove a user; their sessions end, with all that runs in them."""
        return self.wait(self._orders.user_remove(login, **given))

    def user_revoke(self, login: str, what: str, **given: Unpack[Given]) -> Changed:
        """Take a role or a grant from a user, or a deny, which takes that you hold what it kept them from."""
        return self.wait(self._orders.user_revoke(login, what, **given))

    def user_show(self, login: str, **given: Unpack[Given]) -> UserRules:
        """Tell what a user may do, and where that is written."""
        return self.wait(self._orders.user_show(login, **given))

    def user_thaw(self, login: str, **given: Unpack[Given]) -> Changed:
        """Let a frozen user in again, which takes that you hold all that they may."""
        return self.wait(self._orders.user_thaw(login, **given))

    def wall(self, message: str, **given: Unpack[Given]) -> Called:
        """Say a word to everybody at a shell, above what they are typing."""
        return self.wait(self._orders.wall(message, **given))

    def when(self, condition: str, line: str, **given: Unpack[Given]) -> ScheduleInfo:
        """Give an order whenever a device becomes so, with what you may do then."""
        return self.wait(self._orders.when(condition, line, **given))

    def who(self, **given: Unpack[Given]) -> Sequence[Presence]:
        """List who is connected now."""
        return self.wait(self._orders.who(**given))

    def who_can(self, line: str, **given: Unpack[Given]) -> Sequence[Explanation]:
        """List who could give an order now, or at another time."""
        return self.wait(self._orders.who_can(line, **given))

    def whoami(self, **given: Unpack[Given]) -> Identity:
        """Tell who you are, how you logged in and what you may do."""
        return self.wait(self._orders.whoami(**given))

    def why(self, device: str, **given: Unpack[Given]) -> Why:
        """Tell who or what changed a device last."""
        return self.wait(self._orders.why(device, **given))
