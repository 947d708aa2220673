"""What is changed in a user's file, each a function for `Users.edit` that keeps the owner's own comments and order.

Each raises BadArguments where there is nothing to change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sshhome.errors import BadArguments, SiteError
from sshhome.grant import Grant, Roles
from sshhome.key import Key, parse_key

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Edit = Callable[["TOMLDocument"], None]
#: What a role begins with where it stands beside grants.
ROLE = "role:"
#: More keys than anybody has, and few enough to be read at each login.
_MOST_KEYS = 64
#: Of what there is, how much is named to whoever names something else.
_NAMED = 8


def key_given(line: str, roles: Roles) -> Key:
    """Return the key of an authorized_keys line that somebody gave; raises BadArguments."""
    if "PRIVATE KEY" in line:
        raise BadArguments("this is a private key", "give its public half, from the file that ends in .pub")
    try:
        key = parse_key(line)
    except SiteError as error:
        raise BadArguments(f"this is no public key: {error.message}") from None
    if key.role:
        check_role(key.role, roles)
    return key


def check_role(role: str, roles: Roles) -> None:
    """Raise BadArguments when there is no such role."""
    names = roles.names()
    if role not in names:
        raise BadArguments(f"no role '{role}'", f"there are {', '.join(names)}")


def grant_given(written: str | Mapping[str, Any], roles: Roles) -> Grant:
    """Return the grant that somebody gave; raises BadArguments."""
    try:
        return roles.grant(written, "grant")
    except SiteError as error:
        raise BadArguments(error.message.removeprefix("grant: ")) from None


def parts(text: str) -> list[str]:
    """Return the parts of a list that somebody gave as `a,b`."""
    return [part.strip() for part in text.split(",") if part.strip()]


def one_or_all(values: list[str]) -> str | list[str]:
    """Return a list as a file has it: one alone as it is."""
    return values[0] if len(values) == 1 else values


def all_of(*edits: Edit) -> Edit:
    """Make several edits."""

    def edit(document: "TOMLDocument") -> None:
        for each in edits:
            each(document)

    return edit


def put(**fields: object) -> Edit:
    """Set fields, and take out those that are empty."""

    def edit(document: "TOMLDocument") -> None:
        for name, value in fields.items():
            if value:
                document[name] = value
            else:
                document.pop(name, None)

    return edit


def add_key(line: str, roles: Roles) -> Edit:
    """Add a key."""
    added = key_given(line, roles)

    def edit(document: "TOMLDocument") -> None:
        lines = _list(document, "keys")
        if any(parse_key(str(old)).blob == added.blob for old in lines):
            raise BadArguments(f"{added.fingerprint} is among the keys already")
        if len(lines) >= _MOST_KEYS:
            raise BadArguments(f"there are {_MOST_KEYS} keys already", "remove one that is not used any more")
        lines.append(line.strip())

    return edit


def remove_key(named: str) -> Edit:
    """Remove the keys with a fingerprint or comment."""

    def edit(document: "TOMLDocument") -> None:
        _remove(_list(document, "keys"), named, lambda line: names_of_key(parse_key(str(line))), "key")

    return edit


def names_of_key(key: Key) -> Sequence[str]:
    """Return what a key may be called by, the shortest first."""
    return [name for name in (key.comment, key.fingerprint) if name]


def add_role(role: str, roles: Roles) -> Edit:
    """Add a role."""
    check_role(role, roles)

    def edit(document: "TOMLDocument") -> None:
        held = _list(document, "roles")
        if role in held:
            raise BadArguments(f"role {role} is among the roles already")
        held.append(role)

    return edit


def remove_role(role: str) -> Edit:
    """Remove a role."""

    def edit(document: "TOMLDocument") -> None:
        _remove(_list(document, "roles"), role, lambda known: [str(known)], "role")

    return edit


def add_grant(written: str | Mapping[str, Any], roles: Roles) -> Edit:
    """Add a grant."""
    added = grant_given(written, roles)

    def edit(document: "TOMLDocument") -> None:
        import tomlkit  # noqa: PLC0415 (40 ms that only who writes users pays)

        grants = _list(document, "grants")
        if any(grant_given(_plain(old), roles) == added for old in grants):
            raise BadArguments(f"'{added.rule}' is among the grants already")
        if isinstance(grants, tomlkit.items.AoT):
            grants.append(tomlkit.item({"allow": written} if isinstance(written, str) else dict(written)))
        elif isinstance(written, str):
            grants.append(written)
        else:
            table = tomlkit.inline_table()
            table.update(written)
            grants.append(table)

    return edit


def remove_grant(named: str, roles: Roles) -> Edit:
    """Remove the grants of a rule, or of a privilege and scope such as `control:light.*` or `deny read:@kids`."""

    def edit(document: "TOMLDocument") -> None:
        def names(old: Any) -> Sequence[str]:  # noqa: ANN401 (a TOML item)
            return names_of_grant(grant_given(_plain(old), roles))

        _remove(_list(document, "grants"), named, names, "grant")

    return edit


def remove_held(named: str, roles: Roles) -> Edit:
    """Remove a role, named as `role:guest`, or the grants that are called so."""
    return remove_role(named.removeprefix(ROLE)) if named.startswith(ROLE) else remove_grant(named, roles)


def names_of_grant(grant: Grant) -> Sequence[str]:
    """Return what a grant may be called by, the shortest first."""
    return [Grant(grant.privilege, grant.scope, grant.deny).rule, grant.rule]


def _remove(written: Any, named: str, names: Callable[[Any], Sequence[str]], what: str) -> None:  # noqa: ANN401 (a TOML list)
    """Remove what is called so from a list of the file."""
    wanted = " ".join(named.split())
    found = [at for at, item in enumerate(written) if wanted in names(item)]
    if not found:
        known = ", ".join(names(item)[0] for item in written[:_NAMED])
        raise BadArguments(f"there is no {what} '{wanted[:80]}'", known and f"there is {known}")
    for at in reversed(found):
        del written[at]


def _list(document: "TOMLDocument", name: str) -> Any:  # noqa: ANN401 (a TOML list, of whatever kind)
    """Return a list of the file, made if there is none."""
    if name not in document:
        document[name] = []
    return document[name]


def _plain(item: Any) -> Any:  # noqa: ANN401 (a TOML item)
    return item.unwrap() if hasattr(item, "unwrap") else item
