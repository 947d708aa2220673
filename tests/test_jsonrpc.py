"""What is a request, and what is not, is told without ever failing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.jsonrpc import MOST_IN_BATCH, NoRequest, Request, encoded, parse

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]) | _JSON,
        "method": st.sampled_from(["on", "cancel"]) | _JSON,
        "params": st.dictionaries(st.text(), _JSON) | _JSON,
        "id": st.integers() | st.text() | _JSON,
        "other": _JSON,
    },
)


@given(message=st.binary() | (_JSON | _LIKE | st.lists(_LIKE)).map(lambda value: json.dumps(value).encode()))
def test_any_message(message: bytes) -> None:
    """Whatever comes is requests, or an error for each that is none, which can be answered."""
    found = parse(message)
    assert 1 <= len(found.asked) <= MOST_IN_BATCH
    for one in found.asked:
        if isinstance(one, Request):
            assert one.jsonrpc == "2.0"
            assert all(isinstance(name, str) for name in one.params)
        else:
            assert one.error["code"] in {-32700, -32600}
            assert json.loads(encoded({"id": one.id, "error": one.error}))["id"] == one.id


@pytest.mark.parametrize("id_", [2**53, -(2**53), 0, "", "x" * 64])
def test_ids(id_: object) -> None:
    """An id is a string or a whole number of a size that everybody can write."""
    (found,) = parse(json.dumps({"jsonrpc": "2.0", "method": "on", "id": id_}).encode()).asked
    assert isinstance(found, Request)
    assert found.id == id_


@pytest.mark.parametrize("id_", [2**53 + 1, 10**400, 1.5, True, None, [], {}, "x" * 65])
def test_no_ids(id_: object) -> None:
    """Anything else is no id, and is not sent back."""
    (found,) = parse(json.dumps({"jsonrpc": "2.0", "method": "on", "id": id_}).encode()).asked
    assert isinstance(found, NoRequest)
    assert found.id is None


def test_what_cannot_be_written() -> None:
    """A lone surrogate in a name is escaped, and what is no JSON is written as text."""
    assert json.loads(encoded({"id": 1, "result": "\ud800"}))["result"] == "\ud800"
    assert json.loads(encoded({"id": 1, "result": {"a": object}}))["result"]["a"] == str(object)
