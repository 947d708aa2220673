"""What is known of one order so far; the audit event is written from it, however the order ends."""

import logging
import secrets
from collections.abc import Mapping, Sequence

import msgspec

from sshhome import words as tokenizer
from sshhome.errors import Internal
from sshhome.order import Order
from sshhome.outcome import Outcome
from sshhome.session import Login
from sshhome.words import Word

log = logging.getLogger(__name__)


class Trace(msgspec.Struct):
    """An order on its road: its words, what they turned out to mean, and what was decided."""

    words: Sequence[Word] = ()
    common: Mapping[str, str] = {}
    order: Order | None = None
    args: dict[str, str] = {}
    filters: str = ""
    macro: str = ""
    decision: str = ""
    devices: Sequence[str] = ()
    incident: str = ""
    #: Whether it was asked for again, and is answered as it was the first time.
    repeat: bool = False

    def told(self, login: Login, outcome: Outcome, seconds: float) -> dict[str, object]:
        """Return what the audit log shall know of an order."""
        error = outcome.error
        return {
            "user": login.user,
            "key": login.key,
            "source": login.source,
            "order": self.order.name if self.order else tokenizer.join(self.words)[:200],
            "args": self.args,
            "filters": self.filters,
            "macro": self.macro,
            "repeat": self.repeat or None,
            "dry_run": "--dry-run" in self.common or None,
            "devices": self.devices,
            "decision": self.decision,
            "left_out": [label for label, _ in outcome.left_out],
            "status": outcome.status,
            "code": error.code if error else "",
            "message": error.message if error else "",
            "incident": self.incident,
            "ms": round(seconds * 1000, 1),
        }

    def failed(self, error: Exception) -> Internal:
        """Log a bug with its traceback under a fresh id, and return what the client is told."""
        name = self.order.name if self.order else "an order"
        self.incident = incident(f"'{name}'", error)
        return Internal(f"'{name}' failed by our own fault, incident {self.incident}")


def incident(where: str, error: Exception) -> str:
    """Log a bug with its traceback under a fresh id, and return that."""
    id_ = secrets.token_hex(4)
    log.error("incident %s in %s", id_, where, exc_info=error)
    return id_
