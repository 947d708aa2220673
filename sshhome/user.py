"""A user is one file in `authorized_users/`; a file is read again whenever it changes.

A file with anything in it that is not understood is refused whole, loudly, and the user's old version stays.
"""

import difflib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sshhome.errors import BadArguments, SiteError
from sshhome.grant import Grant, Roles
from sshhome.key import Key, parse_key
from sshhome.policy import Policy, Rights
from sshhome.totp import check_secret
from sshhome.when import parse_moment
from sshhome.words import NAME

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

LOGIN_NAME = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)
#: What a login may begin with, and what it may be required to prove: one of them, or one and a one-time code after it.
FIRST_FACTORS = ("publickey", "password")
REQUIREMENTS = ("any", *(f"{method}+totp" for method in FIRST_FACTORS))
_MAX_FILE = 256 * 1024


class _UserFile(msgspec.Struct):
    """The keys a user file may hold."""

    name: str = ""
    roles: list[str] = []
    keys: list[str] = []
    password: str = ""
    totp: str = ""
    require: str = "any"
    grants: list[str | dict[str, Any]] = []
    frozen: bool = False
    until: Any = ""  # a date, a time or text
    issued_by: str = ""
    startup: str = ""


class User(msgspec.Struct, frozen=True, dict=True):
    """Who may log in, with which keys or password, and what they may do; roles are flattened into the grants.

    A user with an issuer is a pass: it ends at `until`, in seconds since the epoch, and cannot change itself.
    `startup` is the macro, or the order of one word, that a shell of theirs begins with.
    """

    login: str
    name: str
    roles: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    password: str = ""
    totp: str = ""
    require: str = "any"
    grants: tuple[Grant, ...] = ()
    frozen: bool = False
    until: float | None = None
    issued_by: str = ""
    startup: str = ""

    @cached_property
    def rights(self) -> Rights:
        """What this user may do with a key that is not narrower."""
        return Rights((Policy(self.grants),))

    def shut_out(self, now: float) -> str:
        """Return why this user may not be here, whatever they prove; or nothing."""
        match self.state(now):
            case "frozen":
                return "your user is frozen"
            case "ended":
                return "your pass has ended" if self.issued_by else "your user has ended"
        return ""

    def state(self, now: float) -> str:
        """Return whether this user is `frozen` or has `ended`, or nothing."""
        return "frozen" if self.frozen else "ended" if self.until is not None and now >= self.until else ""

    @property
    def needs_code(self) -> bool:
        """Whether a one-time code is wanted after the key or password."""
        return self.require.endswith("+totp")

    def takes(self, method: str) -> bool:
        """Return whether this user may begin with this method."""
        return method in FIRST_FACTORS and self.require in {"any", f"{method}+totp"}

    def ways_in(self, now: float) -> Sequence[Key | None]:
        """Return what this user can come in with, other than by an authority of the site.

        That is None where something lets in with all that they may, a password or a key; else each key that does not.
        """
        keys = [key for key in self.keys if not key.ended(now)] if self.takes("publickey") else []
        whole = (self.password and self.takes("password")) or any(key.whole for key in keys)
        return [None] if whole else keys

    def can_log_in(self, now: float) -> bool:
        """Return whether there is a way in with all that this user may, other than by an authority of the site."""
        return not self.shut_out(now) and None in self.ways_in(now)


def check_login_name(login: str) -> str:
    """Return the name if it is one a user can have; raises BadArguments otherwise."""
    if not LOGIN_NAME.fullmatch(login):
        raise BadArguments(f"'{login}' is no login name", "1 to 32 of a-z 0-9 _ -")
    return login


def parse_user(login: str, text: str, roles: Roles) -> User:
    """Return the user that a file's text describes; raises SiteError naming the file, the key and the reason."""
    file = f"authorized_users/{login}.toml"
    try:
        table = tomllib.loads(text)
        for key in table:
            if key not in _UserFile.__struct_fields__:
                near = difflib.get_close_matches(key, _UserFile.__struct_fields__, 1, 0.5)
                raise SiteError(f"{file}: unknown key '{key}'" + (f", did you mean '{near[0]}'?" if near else ""))
        written = msgspec.convert(table, _UserFile)
    except RecursionError:
        raise SiteError(f"{file}: nested too deeply") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise SiteError(f"{file}: {error}") from None
    if written.require not in REQUIREMENTS:
        raise SiteError(f"{file}: require must be one of {', '.join(REQUIREMENTS)}")
    if written.password and not written.password.startswith("$argon2id$"):
        raise SiteError(f"{file}: password must be an argon2id hash, made by `sshhome user passwd {login}`")
    if written.totp:
        try:
            check_secret(written.totp)
        except SiteError as error:
            raise SiteError(f"{file}: totp: {error.message}; `sshhome user totp {login}` makes one") from None
    elif written.require != "any":
        raise SiteError(
            f"{file}: require = '{written.require}' needs a secret: take the line out, "
            f"then `sshhome user totp {login} --require {written.require}`"
        )
    if written.startup and not NAME.fullmatch(written.startup):
        raise SiteError(f"{file}: startup must be the name of a macro, and not '{written.startup[:80]}'")
    keys = _keys(file, written.keys, roles)
    grants: list[Grant] = []
    for role in written.roles:
        try:
            grants += roles[role]
        except KeyError:
            known = ", ".join(roles.names())
            raise SiteError(f"{file}: no role '{role}'; there are {known}") from None
    grants += (roles.grant(grant, file) for grant in written.grants)
    try:
        until = parse_moment(written.until, roles.zone) if written.until else None
    except BadArguments as error:
        raise SiteError(f"{file}: until: {error.message}") from None
    return User(
        login,
        written.name or login,
        tuple(written.roles),
        keys,
        written.password,
        written.totp,
        written.require,
        tuple(grants),
        written.frozen,
        until,
        written.issued_by,
        written.startup,
    )


def _keys(file: str, lines: Sequence[str], roles: Roles) -> tuple[Key, ...]:
    keys = []
    for number, line in enumerate(lines, 1):
        where = f"{file}: keys, line {number}"
        try:
            keys.append(parse_key(line))
        except SiteError as error:
            raise SiteError(f"{where}: {error.message}") from None
        if keys[-1].role and keys[-1].role not in roles.names():
            raise SiteError(f"{where}: no role '{keys[-1].role}'; there are {', '.join(roles.names())}")
    return tuple(keys)


#: What tells one version of a file from another without reading it: the times of change, size and inode, or an error.
_Version = tuple[int, ...]


class Users:
    """All users of a site, each as fresh as its file."""

    def __init__(self, folder: Path, roles: Roles, refused: Callable[[SiteError], None] = lambda _: None) -> None:
        """Read from `folder`; `refused` is told once of each version of a file that is not understood."""
        self.folder = folder
        self._prefix = f"{folder}{os.sep}"
        self.roles = roles
        self._refused = refused
        self._known: dict[str, tuple[_Version, User | None]] = {}
        self._narrowed: dict[tuple[str, bytes], tuple[User, Key, Rights]] = {}

    def reconfigure(self, roles: Roles) -> None:
        """Take other roles: every file is read again at the next look, and one that names a lost role is refused."""
        self.roles = roles
        self._known = {login: ((), user) for login, (_, user) in self._known.items()}
        self._narrowed.clear()

    def get(self, login: str) -> User | None:
        """Return the user as the file has it now, or None; costs one stat(2) when nothing has changed."""
        if not LOGIN_NAME.fullmatch(login):
            return None
        path = f"{self._prefix}{login}.toml"
        try:
            info = os.stat(path)  # noqa: PTH116 (half the cost of Path.stat, on the road of every order)
            version: _Version = (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)
        except FileNotFoundError:
            self._known.pop(login, None)
            return None
        except OSError as error:
            version = (error.errno or 0,)
        known = self._known.get(login)
        if known is None or known[0] != version:
            old = known[1] if known else None
            self._known[login] = known = (version, self._read(login, Path(path)) or old)
        return known[1]

    def named(self, login: str) -> User:
        """Return the user of this name; raises BadArguments where there is none."""
        user = self.get(login)
        if user is None:
            raise BadArguments(f"user '{login}' does not exist, or its file is not understood")
        return user

    def rights(self, user: User, key: Key | None) -> Rights:
        """Return what a user may do who came with this key: what both may."""
        if key is None or not key.narrowed:
            return user.rights
        known = self._narrowed.get((user.login, key.blob))
        if known is None or known[0] is not user or known[1] != key:
            of_role = self.roles[key.role] if key.role in self.roles.names() else ()
            known = user, key, Rights((*user.rights.policies, Policy((*key.grants, *of_role))))
            self._narrowed[user.login, key.blob] = known
        return known[2]

    def _read(self, login: str, path: Path) -> User | None:
        file = f"authorized_users/{login}.toml"
        try:
            info = path.stat()
            if not stat.S_ISREG(info.st_mode) or info.st_size > _MAX_FILE:
                raise SiteError(f"{file}: not a file of a sensible size")
            user = parse_user(login, path.read_text(encoding="utf-8"), self.roles)
            if user.totp and info.st_mode & 0o077:
                raise SiteError(f"{file}: holds a secret and is readable by others; `chmod 600` it")
        except UnicodeDecodeError:
            self._refused(SiteError(f"{file}: not UTF-8"))
        except OSError as error:
            self._refused(SiteError(f"{file}: {error.strerror}"))
        except SiteError as error:
            self._refused(error)
        else:
            return user
        return None

    def __iter__(self) -> Iterator[User]:
        """Yield every user whose file is understood, by login name."""
        for login in self.names():
            if (user := self.get(login)) is not None:
                yield user

    def names(self) -> list[str]:
        """Return the login names for which there is a file, understood or not."""
        try:
            return self.files()
        except SiteError as error:
            self._refused(error)
            return []

    def files(self) -> list[str]:
        """Return the same names; raises SiteError when the folder cannot be read."""
        try:
            files = os.listdir(self.folder)  # noqa: PTH208 (names alone, twice a second)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SiteError(f"authorized_users: {error.strerror}") from None
        names = (file.removesuffix(".toml") for file in files if file.endswith(".toml"))
        return sorted(name for name in names if LOGIN_NAME.fullmatch(name))

    @property
    def any_password(self) -> bool:
        """Whether any user can log in by password, and so whether the method is offered to all."""
        return any(user.password and user.takes("password") for user in self)

    # -- writing: what people change, keeping the owner's own comments and order --------------------------------------

    def edit(
        self,
        login: str,
        change: Callable[["TOMLDocument"], None],
        *,
        new: bool = False,
        check: Callable[[User | None, User], None] = lambda _before, _after: None,
    ) -> User:
        """Apply a change to a user's file and return the new user; a change that makes it wrong is not written.

        `check` sees the user before and after, and may refuse by raising. Raises BadArguments when the user does not
        exist, or with `new` when it does.
        """
        import tomlkit  # noqa: PLC0415 (40 ms that only who writes users pays)

        path = self.folder / f"{check_login_name(login)}.toml"
        if new == path.exists():
            raise BadArguments(f"user '{login}' {'exists already' if new else 'does not exist'}")
        try:
            text = "" if new else path.read_text(encoding="utf-8")
        except (ValueError, OSError) as error:
            raise SiteError(f"authorized_users/{login}.toml: {error}") from None
        before = parse_user(login, text, self.roles)
        document = tomlkit.parse(text)
        change(document)
        text = tomlkit.dumps(document)
        if len(text.encode()) > _MAX_FILE:
            raise BadArguments(f"the file of '{login}' would be too long")
        user = parse_user(login, text, self.roles)
        check(None if new else before, user)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text)
        return user

    def remove(self, login: str) -> None:
        """Delete a user's file; raises BadArguments when there is none."""
        try:
            (self.folder / f"{check_login_name(login)}.toml").unlink()
        except FileNotFoundError:
            raise BadArguments(f"user '{login}' does not exist") from None


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner alone, so that a reader never sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
