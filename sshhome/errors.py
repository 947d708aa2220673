"""Why an order did not end well: one class per exit status, with a JSON code that never changes.

    SshhomeError
    ├── BadArguments   64  bad_arguments
    │   └── Refused    64  refused
    ├── Unavailable    69  unavailable
    ├── Internal       70  internal
    │   └── OutcomeUnknown 70  outcome_unknown
    ├── SlowDown       75  slow_down
    ├── Denied         77  denied
    │   ├── Banned     77  banned
    │   └── StepUp     77  step_up
    ├── SiteError      78  site            (command line only: the site's files are wrong)
    ├── NotConfirmed    3  not_confirmed
    ├── TimedOut      124  timed_out
    └── UnknownOrder  127  unknown_order

The statuses follow sysexits.h where it has a word, timeout(1) for 124 and POSIX sh for 127.
"""

from collections.abc import Mapping
from typing import ClassVar


class SshhomeError(Exception):
    """Says in one line what did not work, and in its hint what would."""

    status: ClassVar[int] = 70
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the message, and a hint that may be empty."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, dict[str, str]]:
        """Return the `{"error": …}` object that `--json` and RPC answer."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


class BadArguments(SshhomeError):
    """The words after the order do not fit it, or name nothing the user can see."""

    status = 64
    code = "bad_arguments"


class Refused(BadArguments):
    """The device, or who carries orders to it, will not do this; the message is in their own words."""

    code = "refused"


class Unavailable(SshhomeError):
    """The device cannot be reached."""

    status = 69
    code = "unavailable"


class Internal(SshhomeError):
    """Our own fault; the message carries an incident id, the traceback is in the log alone."""


class OutcomeUnknown(Internal):
    """The order had begun before, and nobody can tell any more how it ended; it is not run again."""

    code = "outcome_unknown"


class SlowDown(SshhomeError):
    """Too many orders in too short a time."""

    status = 75
    code = "slow_down"


class Denied(SshhomeError):
    """The user does not hold the privilege that this takes."""

    status = 77
    code = "denied"


class Banned(Denied):
    """The source has failed to log in too often."""

    code = "banned"


class StepUp(Denied):
    """The order is permitted once more is proved: by a one-time code, or by saying that it is meant."""

    code = "step_up"


class SiteError(SshhomeError):
    """A file of the site is missing, unreadable or wrong; the message names file and key."""

    status = 78
    code = "site"


class NotConfirmed(SshhomeError):
    """The order was sent, and the device's own echo did not come in time."""

    status = 3
    code = "not_confirmed"


class TimedOut(SshhomeError):
    """The order ran longer than an order may."""

    status = 124
    code = "timed_out"


class UnknownOrder(SshhomeError):
    """No order has this name."""

    status = 127
    code = "unknown_order"


#: Each of them by the code that it has in JSON.
BY_CODE: Mapping[str, type[SshhomeError]] = {
    kind.code: kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, SshhomeError) and kind is not SshhomeError
}
