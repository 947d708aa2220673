"""Edits of a user's file: what is asked for is changed, and its owner's words and order stay."""

import pytest
import tomlkit

from sshhome.edit import (
    Edit,
    add_grant,
    add_key,
    add_role,
    all_of,
    key_given,
    one_or_all,
    parts,
    put,
    remove_grant,
    remove_key,
    remove_role,
)
from sshhome.errors import BadArguments
from sshhome.grant import Roles

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@laptop"
FILE = f"""# The owner's own words.
name = "Anna"
roles = ["guest"]   # for now
keys = [
  '{LINE}',  # at home
]
grants = [
  "read",             # everything
  {{ deny = "read:@kids" }},
  {{ allow = "control:light.*", when = "tue" }},
]
"""
ROLES = Roles({"cleaner": ["control:light.*"]})


def edited(edit: Edit, text: str = FILE) -> str:
    """Return a file after an edit."""
    document = tomlkit.parse(text)
    edit(document)
    return tomlkit.dumps(document)


def test_what_is_not_touched_stays() -> None:
    """Every edit leaves all other lines as they are."""
    text = edited(
        all_of(
            put(frozen=True, name=""),
            add_role("cleaner", ROLES),
            remove_role("guest"),
            add_grant({"allow": "control:switch.*", "values": {"on": "off"}}, ROLES),
            remove_grant("control:light.* when tue", ROLES),
        )
    )
    assert text == (
        "# The owner's own words.\n"
        'roles = ["cleaner"]   # for now\n'
        "keys = [\n"
        f"  '{LINE}',  # at home\n"
        "]\n"
        "grants = [\n"
        '  "read",             # everything\n'
        '  { deny = "read:@kids" },\n'
        '  {allow = "control:switch.*", values = {on = "off"}},\n'
        "]\n"
        "frozen = true\n"
    )


def test_an_empty_file() -> None:
    """What is missing is made."""
    text = edited(all_of(add_role("guest", ROLES), add_key(LINE, ROLES), add_grant("read", ROLES)), "")
    assert text == f'roles = ["guest"]\nkeys = ["{LINE}"]\ngrants = ["read"]\n'


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (add_role("guest", ROLES), "role guest is among the roles already"),
        (add_key(LINE, ROLES), "SHA256:"),
        (add_key(f"no-pty {LINE.replace('laptop', 'phone')}", ROLES), "SHA256:"),
        (add_grant("read", ROLES), "'read' is among the grants already"),
        (add_grant({"deny": "read:@kids"}, ROLES), "'deny read:@kids' is among the grants already"),
        (remove_role("cleaner"), "there is no role 'cleaner'"),
        (remove_key("anna@phone"), "there is no key 'anna@phone'"),
        (remove_grant("read:@kids", ROLES), "there is no grant 'read:@kids'"),
        (remove_grant("deny read", ROLES), "there is no grant 'deny read'"),
    ],
)
def test_nothing_to_change(edit: Edit, why: str) -> None:
    """What is there already is not added, and what is not there is not removed."""
    with pytest.raises(BadArguments) as error:
        edited(edit)
    assert error.value.message.startswith(why)


def test_what_there_is() -> None:
    """Who names something that is not there is told what is."""
    with pytest.raises(BadArguments) as error:
        edited(remove_grant("control", ROLES))
    assert error.value.hint == "there is read, deny read:@kids, control:light.*"
    with pytest.raises(BadArguments) as error:
        edited(remove_key("x"), "")
    assert error.value.hint == ""


def test_keys_by_their_names() -> None:
    """A key goes by its comment or fingerprint."""
    for named in ("anna@laptop", key_given(LINE, ROLES).fingerprint):
        assert "keys = [\n]" in edited(remove_key(named))


def test_lists_of_people() -> None:
    """A list is written with commas, and one alone stands for itself in the file."""
    assert parts(" a, b,,c ") == ["a", "b", "c"]
    assert [one_or_all(values) for values in ([], ["a"], ["a", "b"])] == [[], "a", ["a", "b"]]
