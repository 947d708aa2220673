"""Why an order did not end well: the house's own errors by their codes, and those of the way there.

SshhomeError
├── Unreachable      the house cannot be reached
│   ├── NotTrusted       what answers there is not the house, or nobody has said so yet
│   ├── LoginRefused     the house lets nobody in with this key or password
│   └── Closed           it was closed here
└── LeftOut          some devices did it and some did not
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sshhome.client.device import devices_of
from sshhome.errors import BY_CODE, SshhomeError


class Unreachable(SshhomeError):
    """The house cannot be reached, or what answers there is none."""

    status = 255
    code = "unreachable"


class NotTrusted(Unreachable):
    """What answers there does not prove to be the house."""

    code = "not_trusted"


class LoginRefused(Unreachable):
    """The house lets nobody in with this key or password."""

    code = "login_refused"


class Closed(Unreachable):
    """The connection was closed here."""

    code = "closed"


class LeftOut(SshhomeError):
    """Some devices did it, which are the `results`, and some did not: `left_out` tells why, `worst` the worst of it."""

    code = "left_out"

    def __init__(
        self, message: str, worst: SshhomeError, results: Sequence[Any], left_out: Mapping[str, SshhomeError]
    ) -> None:
        """Keep who did it and who did not."""
        super().__init__(message, worst.hint)
        self.worst = worst
        self.results = results
        self.left_out = left_out


def error_of(told: Mapping[str, Any]) -> SshhomeError:
    """Return the error that the house answered with."""
    about = told.get("data") or {}
    error = _error(about.get("code", ""), told.get("message", ""), about.get("hint", ""))
    if not about.get("results"):
        return error
    left_out = {one["device"]: _error(one["code"], one["message"], one["hint"]) for one in about["left_out"]}
    # What would be done tells of no device as it is.
    results = devices_of(about["results"]) if "kind" in about["results"][0] else about["results"]
    return LeftOut(error.message, error, results, left_out)


def _error(code: str, message: str, hint: str) -> SshhomeError:
    return BY_CODE.get(code, SshhomeError)(message, hint)
