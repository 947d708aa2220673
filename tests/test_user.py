"""A user is one file, read again when it changes; a file that is not understood is refused whole."""

import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.errors import BadArguments, SiteError
from sshhome.grant import Roles
from sshhome.user import User, Users, check_login_name, parse_user, write_whole
from tests.conftest import NOON
from tests.test_when import BERLIN

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@laptop"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
GOOD = f"""# The owner's own words.
name = "Anna"
roles = ["guest"]   # for now
keys = ['{LINE}', 'from="10.0.0.0/8" {LINE}']
password = "{HASH}"
require = "any"
grants = ["control:climate.*", {{ deny = "read:@kids" }}]
"""

BAD = {
    "unknown key": ('nmae = "Anna"', "unknown key 'nmae', did you mean 'name'?"),
    "unknown key, no nearest": ("zzzzzz = 1", "unknown key 'zzzzzz'"),
    "unknown role": ('roles = ["king"]', "no role 'king'; there are admin, resident, guest, child, viewer"),
    "unknown key option": (
        f"keys = ['environment=\"x\" {LINE}']",
        "keys, line 1: key option 'environment' is not supported",
    ),
    "damaged key": (f"keys = ['{LINE}', 'ssh-ed25519 AAAA']", "keys, line 2: "),
    "plain password": ('password = "hunter2"', "password must be an argon2id hash"),
    "unknown require": ('require = "totp"', "require must be one of any, publickey+totp, password+totp"),
    "require without a secret": ('require = "password+totp"', "require = 'password+totp' needs a secret: "),
    **{
        f"secret {secret}": (f'totp = "{secret}"\nrequire = "publickey+totp"', "totp: a secret is base32")
        for secret in (
            "hunter2",
            SECRET[:24],
            SECRET.lower(),
            f"{SECRET}=",
            f"{SECRET} ",
            SECRET[:-2],
            f"{SECRET}A",
            "1" * 32,
        )
    },
    "unknown privilege": ('grants = ["look"]', "'look' is no privilege"),
    **{
        f"startup {startup}": (f"startup = {startup}", "startup")
        for startup in ('"off all"', '"show;show"', '"--yes"', '"Hello"', "5", f'"{"x" * 33}"')
    },
    "wrong type": ("roles = 5", "roles"),
    "wrong type inside": ("keys = [5]", "keys"),
    "no TOML": ("name = ", "authorized_users/anna.toml: "),
    "key twice": ('name = "a"\nname = "b"', "authorized_users/anna.toml: "),
    "number of many digits": (f"name = {'1' * 5000}", "authorized_users/anna.toml: "),
    "deep nesting": (f"name = {'[' * 5000}", "authorized_users/anna.toml: "),
    **{
        f"condition {condition}": (
            f'grants = [{{ allow = "access:lock.front_door", {condition} = "x" }}]',
            f"grant 'access:lock.front_door': {message}",
        )
        for condition, message in {
            "from": "from: 'x' is no network",
            "house": "house: 'x' is not DEVICE = STATE",
            "orders": "orders is a list of orders",
            "step_up": 'step_up is "totp" or "confirm"',
            "until": "'x' is no moment",
            "uses": "uses is a number of orders from 1",
            "values": "values is a table",
            "when": "'x' is no day",
        }.items()
    },
    "condition that means nothing": (
        'grants = [{ allow = "read", uses = 1 }]',
        "'uses' means nothing on a grant to look",
    ),
    "order that there is not": (
        'grants = [{ allow = "control", orders = ["dimm"] }]',
        "orders: no order 'dimm', did you mean 'dim'?",
    ),
    "role of a key": (f"keys = ['sshhome-role=\"king\" {LINE}']", "keys, line 1: no role 'king'; there are admin, "),
    "grant of a key": (
        f"keys = ['sshhome-grants=\"look\" {LINE}']",
        "keys, line 1: key option 'sshhome-grants': 'look' is no privilege",
    ),
    "frozen in words": ('frozen = "yes"', "frozen"),
    "end that is none": ('until = "tomorrow"', "until: 'tomorrow' is no moment"),
    "end that is a number": ("until = 1780401600", "until: '1780401600' is no moment"),
    "issuer that is none": ("issued_by = 5", "issued_by"),
}

Write = Callable[[str], None]


@pytest.fixture
def refused() -> list[SiteError]:
    """Return what was refused so far."""
    return []


@pytest.fixture
def users(tmp_path: Path, refused: list[SiteError]) -> Users:
    """Return the users of a folder."""
    return Users(tmp_path, Roles(zone=BERLIN, orders=("dim", "on")), refused.append)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes anna's file, as a new version each time."""
    return lambda text: write_whole(tmp_path / "anna.toml", text)


def test_a_whole_file() -> None:
    """A user file is who may log in, with which keys, and the grants of the roles and of the file together."""
    user = parse_user("anna", GOOD, Roles())
    assert (user.login, user.name, user.roles, user.password) == ("anna", "Anna", ("guest",), HASH)
    assert [(key.comment, bool(key.sources)) for key in user.keys] == [("anna@laptop", False), ("anna@laptop", True)]
    assert [str(grant) for grant in user.grants] == [
        "read (role guest)",
        *(f"control:{kind}.* (role guest)" for kind in ("light", "switch", "fan", "media_player", "scene")),
        "control:climate.* (authorized_users/anna.toml)",
        "deny read:@kids (authorized_users/anna.toml)",
    ]


def test_an_empty_file_may_do_nothing() -> None:
    """Whoever's file says nothing has no key, no password and no grant."""
    assert parse_user("anna", "", Roles()) == User("anna", "anna")


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_file_is_refused_whole_and_the_old_version_stays(
    users: Users, write: Write, refused: list[SiteError], text: str, message: str
) -> None:
    """A file with anything in it that is not understood is refused, told of once, and taken up when corrected."""
    write(GOOD)
    old = users.get("anna")
    assert old is not None
    write(f"{text}\n")
    assert [users.get("anna") for _ in range(3)] == [old] * 3
    assert len(refused) == 1
    assert refused[0].message.startswith("authorized_users/anna.toml: ")
    assert message in refused[0].message
    write(f"{text}\n\n")
    assert users.get("anna") is old
    assert len(refused) == 2
    write('name = "Anna the second"')
    corrected = users.get("anna")
    assert corrected is not None
    assert corrected.name == "Anna the second"
    assert not corrected.keys
    assert len(refused) == 2


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_nobody_comes_in_by_a_refused_first_version(
    users: Users, write: Write, refused: list[SiteError], text: str, message: str
) -> None:
    """A file that was never understood is no user, and yet takes the name."""
    write(text)
    assert users.get("anna") is None
    assert users.get("anna") is None
    assert len(refused) == 1
    assert list(users) == []
    assert users.names() == ["anna"]
    assert message in refused[0].message


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(b'name = "\xff"'), id="no UTF-8"),
        pytest.param(lambda path: path.write_text("#" * (256 * 1024 + 1)), id="too big"),
        pytest.param(Path.mkdir, id="a folder"),
        pytest.param(os.mkfifo, id="a pipe"),
        pytest.param(lambda path: path.symlink_to(path.name), id="a link to itself"),
    ],
)
def test_what_is_no_sensible_file(
    users: Users, write: Write, refused: list[SiteError], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """What cannot be read as a file is refused like one that is not understood: told once, the old version stays."""
    write(GOOD)
    old = users.get("anna")
    assert old is not None
    (tmp_path / "anna.toml").unlink()
    spoil(tmp_path / "anna.toml")
    assert [users.get("anna") for _ in range(3)] == [old] * 3
    assert len(refused) == 1


def test_a_change_is_seen_at_the_next_look(users: Users, write: Write) -> None:
    """A changed file is the next answer; an unchanged one is the same user, unread; a deleted one is none at once."""
    assert users.get("anna") is None
    write(GOOD)
    first = users.get("anna")
    assert first is not None
    assert users.get("anna") is first
    write('name = "Other"')
    second = users.get("anna")
    assert second is not None
    assert second.name == "Other"
    (users.folder / "anna.toml").unlink()
    assert users.get("anna") is None
    write(GOOD)
    assert users.get("anna") == first


def test_a_change_is_seen_whatever_the_file_says_of_its_age(users: Users, tmp_path: Path) -> None:
    """A change in place is seen though size and modification time are those of before, as `cp -p` leaves them."""
    path = tmp_path / "anna.toml"
    path.write_text('roles = ["admin"]')
    before = path.stat()
    assert users.get("anna") is not None
    path.write_text('roles = ["guest"]')
    # The kernel's own stamp of a change cannot be set; wait for it to move on from the first one's.
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = users.get("anna")
    assert changed is not None
    assert changed.roles == ("guest",)


@pytest.mark.parametrize(
    "login",
    [
        "",
        "Anna",
        "anna.toml",
        "../anna",
        "anna/",
        ".",
        "anna\n",
        "änna",
        "anna ",
        "a" * 33,
        "anna\0",
        "an\u2028na",
        "*",
    ],
)
def test_names_that_are_no_login(users: Users, write: Write, login: str) -> None:
    """A name with anything but 1 to 32 of a-z 0-9 _ - is nobody, whatever files there are."""
    write(GOOD)
    assert users.get(login) is None
    with pytest.raises(BadArguments):
        check_login_name(login)


def test_the_folder_is_read_by_name(users: Users, tmp_path: Path) -> None:
    """Users are listed by login name, without files that are none and without those not understood."""
    for name in ("zoe", "anna", "0-9_", "Anna", "a b", "x" * 33):
        (tmp_path / f"{name}.toml").write_text("")
    (tmp_path / "bad.toml").write_text("?")
    (tmp_path / "README.md").write_text("# Users")
    (tmp_path / "guest.toml.example").write_text("")
    assert users.names() == ["0-9_", "anna", "bad", "zoe"]
    assert [user.login for user in users] == ["0-9_", "anna", "zoe"]
    assert Users(tmp_path / "nosuch", Roles()).names() == []


def test_passwords_are_offered_when_anyone_has_one(users: Users, tmp_path: Path) -> None:
    """As soon as one user has a password, passwords are offered."""
    (tmp_path / "zoe.toml").write_text("")
    assert not users.any_password
    (tmp_path / "anna.toml").write_text(GOOD)
    assert users.any_password


def test_a_password_that_lets_nobody_in_is_not_offered(users: Users, tmp_path: Path) -> None:
    """The password of a user who must begin with a key is no reason to offer passwords."""
    write_whole(tmp_path / "anna.toml", f'password = "{HASH}"\ntotp = "{SECRET}"\nrequire = "publickey+totp"')
    assert not users.any_password


@pytest.mark.parametrize(
    ("require", "methods", "code"),
    [
        ("any", ["publickey", "password"], False),
        ("publickey+totp", ["publickey"], True),
        ("password+totp", ["password"], True),
    ],
)
def test_what_a_user_must_prove(require: str, methods: Sequence[str], *, code: bool) -> None:
    """`require` says what a user may begin with, and whether a code is needed after it."""
    user = parse_user("anna", f'require = "{require}"\ntotp = "{SECRET}"', Roles())
    assert [method for method in ("publickey", "password", "totp", "any", "") if user.takes(method)] == methods
    assert (user.needs_code, user.totp) == (code, SECRET)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_is_for_its_owner_alone(users: Users, refused: list[SiteError], tmp_path: Path, mode: int) -> None:
    """A file with a secret that others may read is refused, until it is put right."""
    path = tmp_path / "anna.toml"
    path.write_text(f'totp = "{SECRET}"')
    path.chmod(mode)
    assert users.get("anna") is None
    assert "readable by others; `chmod 600` it" in refused[0].message
    path.chmod(0o600)
    assert users.get("anna") is not None
    assert len(refused) == 1


def test_refusals_do_not_tell_secrets() -> None:
    """What is wrong with a secret is told without the secret."""
    for text in (
        f'totp = "{SECRET}!"',
        f'totp = "{SECRET}"\nrequire = "x"',
        f'totp = ["{SECRET}"]',
        f'totp = "{SECRET}',
    ):
        with pytest.raises(SiteError) as caught:
            parse_user("anna", text, Roles())
        assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("text", "now", "why"),
    [
        ("", NOON, ""),
        ("frozen = false", NOON, ""),
        ("frozen = true", NOON, "your user is frozen"),
        ('frozen = true\nuntil = "2026-06-01"', NOON, "your user is frozen"),
        ('until = "2026-06-02 14:00"', NOON - 1, ""),
        ('until = "2026-06-02 14:00"', NOON, "your user has ended"),
        ("until = 2026-06-02T12:00:00Z", NOON, "your user has ended"),
        ("until = 2026-06-02", NOON + 36000 - 1, ""),
        ("until = 2026-06-02", NOON + 36000, "your user has ended"),
        ('until = "2026-06-02 14:00"\nissued_by = "home"', NOON, "your pass has ended"),
        ('issued_by = "home"', NOON, ""),
    ],
)
def test_who_may_not_be_here(users: Users, write: Write, text: str, now: float, why: str) -> None:
    """A user who is frozen, or has ended by the clock of the house, may not be here, whatever they hold."""
    write(f'roles = ["admin"]\n{text}')
    user = users.get("anna")
    assert user is not None
    assert user.shut_out(now) == why


def test_a_user_without_a_narrower_key_has_all_their_rights(users: Users, write: Write) -> None:
    """Whoever comes with a password, or with a key that says nothing of rights, may do all that their user may."""
    write(GOOD)
    user = users.get("anna")
    assert user is not None
    assert users.rights(user, None) is user.rights
    assert users.rights(user, user.keys[1]) is user.rights
    assert [grant.told for grant in user.rights.policies[0].grants] == [str(grant) for grant in user.grants]


def test_a_narrower_key_has_no_more_than_both(users: Users, write: Write) -> None:
    """The rights of a key are its own grants and its role, beside its owner's: worked out once, until one changes."""
    write(f"""roles = ["guest"]\nkeys = ['sshhome-grants="read,access:lock.*",sshhome-role="viewer" {LINE}']""")
    user = users.get("anna")
    assert user is not None
    rights = users.rights(user, user.keys[0])
    assert [[str(grant) for grant in policy.grants] for policy in rights.policies] == [
        [str(grant) for grant in user.grants],
        ["read (key anna@laptop)", "access:lock.* (key anna@laptop)", "read (role viewer)"],
    ]
    assert users.rights(user, user.keys[0]) is rights
    write(f"""roles = ["guest"]\nkeys = ['sshhome-grants="read" {LINE}']""")
    other = users.get("anna")
    assert other is not None
    assert [len(policy.grants) for policy in users.rights(other, other.keys[0]).policies] == [len(user.grants), 1]


def test_a_key_s_role_follows_the_configuration(users: Users, write: Write, refused: list[SiteError]) -> None:
    """A role that a key names binds as it is configured now; one that is gone refuses the file, and gives nothing."""
    users.reconfigure(Roles({"phone": ["control:light.*"]}))
    write(f"""roles = ["guest"]\nkeys = ['sshhome-role="phone" {LINE}']""")
    user = users.get("anna")
    assert user is not None
    assert [str(grant) for grant in users.rights(user, user.keys[0]).policies[1].grants] == [
        "control:light.* (sshhome.toml: role phone)"
    ]
    users.reconfigure(Roles({"phone": ["control:fan.*"]}))
    user = users.get("anna")
    assert user is not None
    assert [grant.scope for grant in users.rights(user, user.keys[0]).policies[1].grants] == ["fan.*"]
    users.reconfigure(Roles())
    stayed = users.get("anna")
    assert stayed is not None
    assert len(refused) == 1
    assert users.rights(stayed, stayed.keys[0]).policies[1].grants == ()


def test_other_roles_bind_at_the_next_look(users: Users, write: Write, refused: list[SiteError]) -> None:
    """When roles change, users have the new grants; one who names a role that is gone stays as they were."""
    users.reconfigure(Roles({"cleaner": ["control:light.*"]}))
    write('roles = ["cleaner"]')
    before = users.get("anna")
    assert before is not None
    users.reconfigure(Roles({"cleaner": ["control:fan.*"]}))
    after = users.get("anna")
    assert after is not None
    assert [str(grant) for grant in (*before.grants, *after.grants)] == [
        "control:light.* (sshhome.toml: role cleaner)",
        "control:fan.* (sshhome.toml: role cleaner)",
    ]
    users.reconfigure(Roles())
    assert [users.get("anna") for _ in range(3)] == [after] * 3
    assert len(refused) == 1


def test_an_edit_keeps_the_owners_own_words(users: Users, write: Write, tmp_path: Path) -> None:
    """A change by the command line leaves comments and order as they are, and the file to its owner alone."""
    write(GOOD)
    user = users.edit("anna", lambda document: document.update({"name": "Anna Maria"}))
    text = (tmp_path / "anna.toml").read_text()
    assert text == GOOD.replace('"Anna"', '"Anna Maria"')
    assert user.name == "Anna Maria"
    assert users.get("anna") == user
    assert (tmp_path / "anna.toml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["anna.toml"]


def test_a_wrong_edit_is_not_written(users: Users, write: Write, tmp_path: Path) -> None:
    """A change that makes the file wrong is refused, and the file stays to the byte."""
    write(GOOD)
    with pytest.raises(SiteError, match="no role 'king'"):
        users.edit("anna", lambda document: document.update({"roles": ["king"]}))
    assert (tmp_path / "anna.toml").read_text() == GOOD


def test_an_edit_of_a_broken_file_is_refused(users: Users, write: Write) -> None:
    """A file that is no TOML cannot be edited, and the error names it."""
    write("name = ")
    with pytest.raises(SiteError, match=r"^authorized_users/anna\.toml: "):
        users.edit("anna", lambda document: None)


def test_new_and_removed_users(tmp_path: Path) -> None:
    """A user is made once, in a folder made for it, and removed once."""
    users = Users(tmp_path / "authorized_users", Roles())
    users.edit("anna", lambda document: document.update({"name": "Anna"}), new=True)
    assert users.names() == ["anna"]
    assert users.folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(BadArguments, match="exists already"):
        users.edit("anna", lambda document: None, new=True)
    users.remove("anna")
    for attempt in (lambda: users.remove("anna"), lambda: users.edit("anna", lambda document: None)):
        with pytest.raises(BadArguments, match="does not exist"):
            attempt()
    for attempt in (lambda: users.remove("../anna"), lambda: users.edit("../anna", lambda _: None, new=True)):
        with pytest.raises(BadArguments, match="no login name"):
            attempt()


@settings(deadline=None)
@given(
    st.text(st.characters())
    | st.builds(
        lambda key, value: f"{key} = {value}",
        st.sampled_from(
            ["name", "roles", "keys", "password", "totp", "require", "grants", "frozen", "until", "issued_by", "nosuch"]
        ),
        st.sampled_from(["5", '"x"', "[]", '["read"]', "[[]]", "{}", "1979-05-27", "true", "nan", '[{deny="read"}]'])
        | st.text(),
    )
)
def test_any_text_is_a_user_or_a_site_error(text: str) -> None:
    """Any file at all is a user or a SiteError that names the file."""
    try:
        user = parse_user("anna", text, Roles())
    except SiteError as error:
        assert error.message.startswith("authorized_users/anna.toml: ")  # noqa: PT017 (either is right)
    else:
        known = {"name", "roles", "keys", "password", "totp", "require", "grants", "frozen", "until", "issued_by"}
        assert set(tomllib.loads(text)) <= known
        assert user.login == "anna"
