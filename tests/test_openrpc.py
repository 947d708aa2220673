"""The OpenRPC document tells what the registry and the dispatcher know, and nothing else."""

import json
from pathlib import Path

import msgspec
import pytest

from sshhome import orders  # noqa: F401 (importing the orders registers them)
from sshhome.bind import named, named_texts, split_named
from sshhome.errors import BadArguments
from sshhome.openrpc import openrpc
from sshhome.order import REGISTRY, Order

DOCUMENT = json.loads(msgspec.json.encode(openrpc(REGISTRY)))
METHODS = {method["name"]: method for method in DOCUMENT["methods"]}


def test_every_order_is_a_method() -> None:
    """There is a method for each order, and three of the conversation itself, none of which an order is named like."""
    own = ["cancel", "unsubscribe", "rpc.discover"]
    assert list(METHODS) == [*(order.name for order in REGISTRY), *own]
    assert not {order.name for order in REGISTRY} & set(own)


def test_references() -> None:
    """Whatever is referred to is there."""

    def look(value: object) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                place = DOCUMENT
                for part in value["$ref"].removeprefix("#/").split("/"):
                    place = place[part]
            for member in value.values():
                look(member)
        elif isinstance(value, list):
            for member in value:
                look(member)

    look(DOCUMENT)


@pytest.mark.parametrize("order", list(REGISTRY), ids=lambda order: order.name)
def test_every_param_is_understood(order: Order) -> None:
    """What the document lists is taken by that name, and nothing else is."""
    told = METHODS[order.name]["params"]
    own = [param for param in told if "name" in param]
    given = {param["name"]: True if param["schema"].get("type") == "boolean" else "7" for param in own}
    assert set(named_texts(order, given)) == {param.name for param in order.params}
    assert [param["name"] for param in own if param.get("required")] == [
        named(order, param) for param in order.params if param.required
    ]
    shared = {param["$ref"].rpartition("/")[2] for param in told if "$ref" in param}
    common, rest = split_named(
        order,
        dict.fromkeys(shared - {"idempotency_key"}, True) | dict.fromkeys(shared & {"code", "for", "confirm"}, "1m"),
    )
    assert (len(common), rest) == (len(shared) - 1, {})
    with pytest.raises(BadArguments, match="no param"):
        named_texts(order, {**given, "nonsense": "7"})


def test_the_page() -> None:
    """The page on the protocol names every word of an error, and every method that is no order."""
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
    words = {*DOCUMENT["components"]["errors"], "parse_error", "invalid_request", "cancelled"} - {"site"}
    assert [word for word in sorted(words) if f"`{word}`" not in page] == []
    assert [
        name for name in METHODS if name not in {order.name for order in REGISTRY} and f"`{name}`" not in page
    ] == []
