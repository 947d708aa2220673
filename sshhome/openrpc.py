"""The protocol of apps as OpenRPC, generated from the registry, so that it cannot tell otherwise than the code does."""

import inspect
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from sshhome import __version__, device
from sshhome.bind import COMMON_OPTIONS, NAMED_OPTIONS, VALUED, named
from sshhome.errors import BY_CODE
from sshhome.order import Order, Param
from sshhome.param import Choice, Number, Of, Secret, Several

_TEXT: Mapping[str, Any] = {"type": "string"}
_FLAG: Mapping[str, Any] = {"type": "boolean"}
#: What is asked of the conversation itself: what it is, its params, and its result.
_OWN: Mapping[str, tuple[str, Mapping[str, tuple[str, Mapping[str, Any]]], Mapping[str, Any]]] = {
    "cancel": (
        "Wait no longer for the answer to a request, which goes on if it has begun",
        {"id": ("the id of the request", {"type": ["string", "integer"]})},
        _FLAG,
    ),
    "unsubscribe": (
        "End a subscription",
        {"subscription": ("the number of the subscription", {"type": "integer"})},
        _FLAG,
    ),
    "rpc.discover": ("Tell what this user could ask, as this document does", {}, {"type": "object"}),
}
#: What only an order takes that changes the house.
_CHANGING = frozenset({"no_wait", "for", "confirm"})
_KEY = "make the order run once, however often it is asked for: 1 to 64 visible ASCII characters"


class Device(msgspec.Struct):
    """A device as it is in JSON."""

    id: str
    kind: str
    name: str
    room: str
    available: bool
    state: dict[str, device.Scalar]
    note: str = ""


class Subscription(msgspec.Struct):
    """What goes on is told by events of this number; of `subscribe` there is more."""

    subscription: int
    cursor: str = ""
    devices: list[Device] = []


def openrpc(orders: Iterable[Order]) -> Mapping[str, Any]:
    """Return the document of these orders, and of what everybody may ask."""
    orders = list(orders)
    returned = [_returned(order) for order in orders]
    schemas, components = msgspec.json.schema_components(returned, ref_template="#/components/schemas/{name}")
    common = {
        name: _described(name, COMMON_OPTIONS[option], _TEXT if option in VALUED else _FLAG)
        for name, option in NAMED_OPTIONS.items()
    }
    common["idempotency_key"] = _described("idempotency_key", _KEY, {**_TEXT, "minLength": 1, "maxLength": 64})
    own = [
        {
            "name": name,
            "summary": says,
            "paramStructure": "by-name",
            "params": [_described(param, told, schema, required=True) for param, (told, schema) in params.items()],
            "result": {"name": "result", "schema": result},
        }
        for name, (says, params, result) in _OWN.items()
    ]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "sshhome",
            "version": __version__,
            "description": "Orders of a house, over the subsystem `sshhome` of SSH; see docs/protocol.md.",
        },
        "methods": [*(_method(order, schema) for order, schema in zip(orders, schemas, strict=True)), *own],
        "components": {
            # How far a docstring is indented differs from Python to Python.
            "schemas": {n: {**it, "description": inspect.cleandoc(it["description"])} for n, it in components.items()},
            "contentDescriptors": common,
            "errors": {code: {"code": BY_CODE[code].status, "message": code} for code in sorted(BY_CODE)},
        },
    }


def _method(order: Order, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    own = {named(order, param) for param in order.params}
    useless = own if order.changes else {*own, *_CHANGING}
    shared = [name for name in (*NAMED_OPTIONS, "idempotency_key") if name not in useless]
    return {
        "name": order.name,
        "summary": order.summary,
        "paramStructure": "by-name",
        "params": [
            *(
                _described(named(order, param), param.says, _schema(param), required=param.required)
                for param in order.params
            ),
            *({"$ref": f"#/components/contentDescriptors/{name}"} for name in shared),
        ],
        "result": {"name": "result", "schema": schema},
        "x-needs": str(order.needs),
    }


def _described(name: str, says: str, schema: Mapping[str, Any], *, required: bool = False) -> Mapping[str, Any]:
    return {"name": name, "description": says, **({"required": True} if required else {}), "schema": schema}


def _schema(param: Param) -> Mapping[str, Any]:
    """Return what a param may be in JSON; what people write is understood everywhere."""
    if param.flag:
        return _FLAG
    match param.type:
        case Several(words=words):
            return {"anyOf": [{"type": "array", "items": {"enum": list(words)}}, _TEXT]}
        case Choice(words=words):
            return {"enum": list(words)}
        case Number():
            return {"type": ["integer", "string"]}
        case Of():
            return {"type": ["number", "string"]}
        case Secret():
            return {**_TEXT, "writeOnly": True}
    return _TEXT if param.type.free or not param.type.dependent else {"type": ["string", "number", "boolean"]}


def _returned(order: Order) -> Any:  # noqa: ANN401 (any annotation)
    """Return the type of what an order answers in JSON; one that changes devices answers these."""
    return Device | list[Device] if order.changes else _form(get_type_hints(order.run)["return"])


def _form(annotation: Any) -> Any:  # noqa: ANN401 (any annotation)
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is device.Device:
        return Device
    if origin is AsyncGenerator:
        return Subscription
    if origin in {Union, UnionType}:
        return Union[tuple(map(_form, parts))]  # noqa: UP007 (its parts are known at run time alone)
    return list[_form(parts[0])] if origin is Sequence else annotation  # type: ignore[misc]
