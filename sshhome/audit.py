"""What happened, for the owner of the house: one JSON line an event, each with an id from one catalogue."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sshhome.clock import Clock, iso
from sshhome.escape import encoded, printable_json

log = logging.getLogger(__name__)

#: Events of a flood that are written one by one, in so many seconds.
_SHOWN, _WINDOW = 20, 10.0
#: Bytes that are read back at the most, and at once.
_READ, _BLOCK = 8 * 2**20, 2**16
_EVENT = msgspec.json.Decoder(dict[str, Any])

#: Every event there is, with what it tells; an event that is not here cannot be written.
EVENTS = {
    "server.started": "the server listens",
    "server.stopped": "the server ended cleanly",
    "connection.refused": "a source was turned away before key exchange; `hidden` counts those not named one by one",
    "login.ok": "a user proved who they are",
    "login.halfway": "a key or password was right, and a one-time code must follow",
    "login.failed": "a wrong password or code, a bad signature, a refused certificate or an unknown user",
    "ban.set": "a source failed too often, or was banned by hand",
    "ban.lifted": "a ban ended before its time",
    "penalty.set": "a source was rude, and is turned away for a while",
    "session.opened": "a shell, a batch or an exec began",
    "session.refused": "a user had too many sessions open",
    "session.closed": "it ended, by itself or by us",
    "alert.refusals": "many were turned away in a short time",
    "alert.resources": "the machine is at its end; nobody else is let in",
    "alert.hook": "a hook has not taken what it is told for some minutes, or wants nothing more, as its `reason` says",
    "config.reloaded": "changed files were taken over; `needs_restart` names what waits for a restart",
    "config.refused": "changed files are not understood; the old configuration stays",
    "user.refused": "a user file is not understood; the old version stays",
    "order.done": "an order ended well, or was sent and not confirmed",
    "order.rehearsed": "an order was given with --dry-run: it told what it would do, and did nothing",
    "order.reverted": "what an order changed came back by itself, or could not be reached, as its status tells",
    "order.refused": "an order was unknown, badly written or not permitted",
    "order.failed": "an order was permitted and did not work",
    "schedule.missed": "times of a schedule came and nothing was run; `count` says how many, `reason` why",
    "schedule.unknown": "the server ended while a schedule ran: nobody knows how it went, and it is not run again",
    "schedule.stopped": "what a schedule waits for happened, and it did not run: it would for ever, or too often",
    "schedule.paused": "a schedule rests, since its user may not be here any more",
}


class Audit:
    """The audit log of a site, appended line by line; a line is with the kernel before `write` returns."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the file for appending, readable by its owner alone."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._clock = clock
        #: Held while somebody reads back, one after the other.
        self.reading = asyncio.Lock()
        self._watchers: list[Callable[[str, Mapping[str, object]], None]] = []

    def write(self, event: str, **fields: object) -> None:
        """Append one event; fields that are None or empty are left out. Raises KeyError for an unknown event."""
        if event not in EVENTS:
            raise KeyError(event)
        told = {name: value for name, value in fields.items() if value not in (None, "", (), [])}
        line: dict[str, object] = {"at": iso(self._clock.now()), "event": event, **told}
        for watcher in list(self._watchers):
            watcher(event, told)
        text = printable_json(encoded(line).decode())
        try:
            os.write(self._file, text.encode() + b"\n")
        except OSError as error:
            # A full disk must not lock the owner out of the house; the process's own log still tells.
            log.error("audit log: %s; lost: %s", error.strerror, event)

    def watch(self, watcher: Callable[[str, Mapping[str, object]], None]) -> Callable[[], None]:
        """Call `watcher` with each event that is written, and what it tells; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def read(self, since: float) -> Iterator[Mapping[str, Any]]:
        """Yield the events since a moment, the newest first, as far back as a bounded reading goes.

        Goes on in the file that a rotation put aside. What is no event, such as half a line, is passed over.
        """
        left, first = _READ, iso(since)
        for path in (self._path, self._path.with_name(f"{self._path.name}.1")):
            for line in _backwards(path, left):
                left -= len(line) + 1
                try:
                    event = _EVENT.decode(line)
                    at, _ = event["at"], event["event"]
                except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
                    continue
                if isinstance(at, str) and at < first:
                    return
                yield event

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _backwards(path: Path, most: int) -> Iterator[bytes]:
    """Yield the lines at the end of a file, so many bytes at the most, the last first; of no file there are none."""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            rest = b""
            while at > 0 and most > 0:
                size = min(_BLOCK, at, most)
                at, most = at - size, most - size
                file.seek(at)
                # A file that was cut off meanwhile has less than it had.
                first, *lines = (file.read(size) + rest).split(b"\n")
                yield from (line for line in reversed(lines) if line)
                rest = first
            if at == 0 and rest:
                yield rest
    except OSError:
        return


class Flood:
    """Events of one kind that may come by the thousand: some are written, and of the others how many there were."""

    def __init__(self, audit: Audit, clock: Clock, event: str) -> None:
        """Write to an audit log; a line with `hidden` counts the events since the last one that was written."""
        self.hidden = 0
        self._audit = audit
        self._clock = clock
        self._event = event
        self._until = 0.0
        self._written = 0

    def write(self, **fields: object) -> None:
        """Append one event, or count it."""
        now = self._clock.monotonic()
        if now >= self._until:
            self.tell()
            self._until, self._written = now + _WINDOW, 0
        self._written += 1
        if self._written <= _SHOWN:
            self._audit.write(self._event, **fields)
        else:
            self.hidden += 1

    def tick(self) -> None:
        """Tell of hidden events once their time is over; called every now and then."""
        if self._clock.monotonic() >= self._until:
            self.tell()

    def tell(self) -> None:
        """Tell of hidden events, if there are any."""
        hidden, self.hidden = self.hidden, 0
        if hidden:
            self._audit.write(self._event, hidden=hidden, reason="more of the same")
