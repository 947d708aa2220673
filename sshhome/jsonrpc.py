"""JSON-RPC 2.0: what a message asks, whether it is one at all, and how it is answered."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from sshhome import escape

#: Requests of one batch.
MOST_IN_BATCH = 16
_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600

Id = Annotated[str, msgspec.Meta(max_length=64)] | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class Request(msgspec.Struct, frozen=True):
    """What a client asks; without an id it wants no answer."""

    jsonrpc: Literal["2.0"]
    method: str
    params: dict[str, Any] = {}
    id: Id | msgspec.UnsetType = msgspec.UNSET


class NoRequest(msgspec.Struct, frozen=True):
    """What is no request, by its id if it has one, and the error that it is answered with."""

    id: str | int | None
    error: Mapping[str, Any]


_decode_request = msgspec.json.Decoder(Request).decode
_decode = msgspec.json.Decoder().decode


class Message(msgspec.Struct, frozen=True):
    """What a client asks at once, and whether it is answered by an array."""

    asked: Sequence[Request | NoRequest]
    array: bool = False


def parse(message: bytes) -> Message:
    """Return what a message asks; what is no JSON, or no batch, is one thing that is no request."""
    try:
        if message.lstrip()[:1] == b"[":
            return _batch(_decode(message))
        try:
            return Message([_decode_request(message)])
        except msgspec.ValidationError:
            return Message([_request(_decode(message))])
    except msgspec.ValidationError as error:
        return Message([NoRequest(None, invalid(str(error)))])
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Message([NoRequest(None, error_of(_PARSE_ERROR, "parse_error", f"no JSON: {why}"))])


def _batch(values: Sequence[object]) -> Message:
    if 1 <= len(values) <= MOST_IN_BATCH:
        return Message([_request(value) for value in values], array=True)
    return Message([NoRequest(None, invalid(f"a batch is 1 to {MOST_IN_BATCH} requests"))])


def _request(value: object) -> Request | NoRequest:
    try:
        return msgspec.convert(value, Request)
    except msgspec.ValidationError as error:
        id_ = value.get("id") if isinstance(value, dict) else None
        return NoRequest(id_ if _is_id(id_) else None, invalid(f"no request: {error}"))


def _is_id(value: object) -> bool:
    try:
        msgspec.convert(value, Id)
    except msgspec.ValidationError:
        return False
    return True


def error_of(code: int, word: str, message: str, **data: object) -> Mapping[str, Any]:
    """Return an error; `word` is what programs may go by."""
    return {"code": code, "message": message, "data": {"code": word, "hint": "", **data}}


def invalid(message: str) -> Mapping[str, Any]:
    """Return the error of what is no request."""
    return error_of(_INVALID_REQUEST, "invalid_request", message)


def encoded(message: Mapping[str, Any]) -> bytes:
    """Return a message as JSON on one line."""
    return escape.encoded({"jsonrpc": "2.0", **message})
