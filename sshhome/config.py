"""`sshhome.toml` and its defaults: every key is optional, a wrong one is an error that names it."""

import difflib
import ipaddress
import os
import re
import tomllib
import zoneinfo
from pathlib import Path
from typing import Any, Self

import msgspec

from sshhome import quantity
from sshhome.certificate import Authorities, parse_authorities
from sshhome.errors import BadArguments, SiteError


class Duration(float):
    """Seconds, written `90s`, `5m` or `1h30m`."""


class Size(int):
    """Bytes, written `4KiB`."""


class Startups(str):
    """`BEGIN:PERCENT:FULL` as MaxStartups of sshd_config(5) has it; raises ValueError."""

    __slots__ = ("begin", "full", "percent")
    begin: int
    percent: int
    full: int

    def __new__(cls, text: str) -> Self:
        """Understand the text."""
        startups = super().__new__(cls, text)
        parts = text.split(":")
        if len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts):
            startups.begin, startups.percent, startups.full = map(int, parts)
            if 1 <= startups.begin <= startups.full and startups.percent <= 100:
                return startups
        raise ValueError(f"'{text}' is not BEGIN:PERCENT:FULL, such as 10:30:100")


class Limits(msgspec.Struct, frozen=True):
    """How much anyone gets; each is enforced where its comment says."""

    connections: int = 200  # door: open at once
    connections_per_source: int = 20  # door
    startups: Startups = Startups("10:30:100")  # door: connections that have yet to log in
    startups_per_source: int = 4  # door
    login_grace: Duration = Duration(30)  # connection: from accept to the proof of who it is
    auth_tries: int = 4  # connection: signed keys and passwords together
    offered_keys: int = 20  # connection: keys asked about without a signature
    preauth_bytes: Size = Size(128 * 1024)  # connection: a login sends 4 to 20 KiB
    sessions_per_connection: int = 10  # connection
    sessions_per_user: int = 20  # visitor
    idle: Duration = Duration(600)  # channels: nothing typed and nothing running
    orders_per_minute: int = 60  # dispatch: by user
    order_burst: int = 20  # dispatch
    order_timeout: Duration = Duration(30)  # dispatch
    order_line: Size = Size(4096)  # channels
    rpc_message: Size = Size(64 * 1024)  # channels: a message of an app
    slow_reader: Size = Size(2**20)  # channels: output that waits for a client that does not read
    bad_order: str = "refuse"  # dispatch: "refuse", "close" or "ban"
    memory: float = 0.5  # door: share of the machine's, at which nobody else is let in
    files: float = 0.8  # door: share of the open files that the process may have
    alert_refusals: int = 200  # door: refusals in a minute that are worth an alert


class BanRules(msgspec.Struct, frozen=True):
    """How many failed logins in which time earn which ban."""

    max_failures: int = 5
    window: Duration = Duration(600)
    first: Duration = Duration(60)
    factor: float = 2
    longest: Duration = Duration(86400)
    never: tuple[str, ...] = ()


class Crypto(msgspec.Struct, frozen=True):
    """Which algorithms are offered."""

    profile: str = "compat"


class Certificates(msgspec.Struct, frozen=True):
    """Whose certificates let in, as authorized_keys lines, and what is revoked, by certificate or by key."""

    authorities: tuple[str, ...] = ()
    revoked_serials: tuple[int, ...] = ()
    revoked_key_ids: tuple[str, ...] = ()
    revoked_keys: tuple[str, ...] = ()


class HouseConfig(msgspec.Struct, frozen=True):
    """The house's own name, its zone if not the system's, and where people find it if not where it listens.

    `latitude` and `longitude`, north and east in degrees, are where it sees the sun.
    """

    name: str = "house"
    timezone: str = ""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None


class HistoryConfig(msgspec.Struct, frozen=True):
    """Whether it is recorded how the house changes, and for how long each change and each five minutes are kept."""

    record: bool = True
    changes: Duration = Duration(10 * 86400)
    means: Duration = Duration(365 * 86400)


class HookConfig(msgspec.Struct, frozen=True):
    """Where to tell what happens, with which secret, and of what; `allow` are addresses it may go to at home."""

    url: str
    secret_file: str
    events: tuple[str, ...]
    name: str = ""
    target: str = ""
    allow: tuple[str, ...] = ()


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named list of grants."""

    grants: list[str | dict[str, Any]] = []


class Config(msgspec.Struct, frozen=True):
    """The whole of `sshhome.toml`; `backend` is one table a backend, its own keys checked by the backend itself."""

    listen: tuple[str, ...] = ("127.0.0.1:2222",)
    limits: Limits = Limits()
    bans: BanRules = BanRules()
    crypto: Crypto = Crypto()
    certificates: Certificates = Certificates()
    house: HouseConfig = HouseConfig()
    history: HistoryConfig = HistoryConfig()
    backend: tuple[dict[str, Any], ...] = ({"kind": "simulated"},)
    hook: tuple[HookConfig, ...] = ()
    roles: dict[str, Role] = {}


#: Keys of the contract whose work this version cannot do: refused by name rather than obeyed in part.
NOT_YET = frozenset({"workers", "store", "proxy", "metrics"})
_LONGEST_HISTORY = 3650 * 86400
_CHOICES = {"limits.bad_order": ("refuse", "close", "ban"), "crypto.profile": ("compat", "strict")}


#: A password in a URL, and what stands behind the host in one.
_SECRET = re.compile(r"(://[^:/@\s\"]*):[^@/\s\"]*@")
_BEHIND = re.compile(r"(://[^/?#]*[/?#]).+")


def load(site: Path) -> Config:
    """Return the configuration of a site; raises SiteError with one line for the first thing that is wrong."""
    path = site / "sshhome.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"sshhome.toml: {error}") from None
    return parse(text)


def parse(text: str) -> Config:
    """Return the configuration that a file's text describes; raises SiteError."""
    try:
        table = tomllib.loads(text)
        _known_keys(table, Config, "")
        config = msgspec.convert(table, Config, dec_hook=_unit)
    except RecursionError:
        raise SiteError("sshhome.toml: nested too deeply") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise SiteError(f"sshhome.toml: {error}") from None
    _check(config)
    return config


def _check(config: Config) -> None:
    """Refuse values that fit their type and make no sense."""
    for path, choices in _CHOICES.items():
        section, _, key = path.partition(".")
        if getattr(getattr(config, section), key) not in choices:
            raise SiteError(f"sshhome.toml: {path} must be one of {', '.join(choices)}")
    for key in Limits.__struct_fields__:
        value = getattr(config.limits, key)
        if not (isinstance(value, str) or value > 0):
            raise SiteError(f"sshhome.toml: limits.{key} must be more than 0")
    if config.limits.memory > 1 or config.limits.files > 1:
        raise SiteError("sshhome.toml: limits.memory and limits.files are shares, 0 to 1")
    for key in ("window", "first", "longest"):
        if getattr(config.bans, key) <= 0:
            raise SiteError(f"sshhome.toml: bans.{key} must be more than 0")
    if config.bans.max_failures < 1 or not 1 <= config.bans.factor <= 1000:
        raise SiteError("sshhome.toml: bans.max_failures must be at least 1, and bans.factor 1 to 1000")
    if not 86400 <= config.history.changes <= config.history.means <= _LONGEST_HISTORY:
        raise SiteError("sshhome.toml: history.changes and then history.means must be 1d to 3650d, means the longer")
    never_networks(config.bans)
    authorities(config.certificates)
    _check_place(config.house)
    if not config.listen:
        raise SiteError("sshhome.toml: listen must name an address")
    for address in config.listen:
        try:
            split_address(address)
        except SiteError as error:
            raise SiteError(f"sshhome.toml: {error.message}") from None
    try:
        timezone(config)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise SiteError(f"sshhome.toml: house.timezone: no zone '{config.house.timezone}'") from None


def _check_place(house: HouseConfig) -> None:
    """Refuse what is no place on earth."""
    if (house.latitude is None) != (house.longitude is None):
        raise SiteError("sshhome.toml: house.latitude and house.longitude belong together")
    for key, value, most in (("latitude", house.latitude, 90), ("longitude", house.longitude, 180)):
        if value is not None and not -most <= value <= most:
            raise SiteError(f"sshhome.toml: house.{key} must be -{most} to {most} degrees")


def never_networks(rules: BanRules) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks that are never banned; raises SiteError."""
    try:
        return [ipaddress.ip_network(network) for network in rules.never]
    except ValueError as error:
        raise SiteError(f"sshhome.toml: bans.never: {error}") from None


def authorities(certificates: Certificates) -> Authorities:
    """Return whose certificates let in; raises SiteError."""
    try:
        return parse_authorities(
            certificates.authorities,
            certificates.revoked_serials,
            certificates.revoked_key_ids,
            certificates.revoked_keys,
        )
    except SiteError as error:
        raise SiteError(f"sshhome.toml: {error.message}") from None


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:2222` or `[::1]:2222`; raises SiteError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise SiteError(f"listen: '{address}' is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def timezone(config: Config) -> zoneinfo.ZoneInfo:
    """Return the house's zone: the configured one, else the system's, else UTC."""
    if config.house.timezone:
        return zoneinfo.ZoneInfo(config.house.timezone)
    for name in (os.environ.get("TZ", ""), os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]):
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return zoneinfo.ZoneInfo("UTC")


def show(config: Config) -> str:
    """Return the effective configuration as text for a person, one `key = value` a line."""
    lines = []
    for key in Config.__struct_fields__:
        value = getattr(config, key)
        if key == "hook":
            # It may well be what lets one in there.
            value = [msgspec.structs.replace(hook, url=_BEHIND.sub(r"\1***", hook.url)) for hook in value]
        if isinstance(value, msgspec.Struct):
            lines += [f"{key}.{name} = {_plain(getattr(value, name))}" for name in value.__struct_fields__]
        else:
            plain = _SECRET.sub(r"\1:***@", _plain(value))
            lines.append(f"{key} = {plain}")
    return "\n".join(lines)


def _plain(value: object) -> str:
    if isinstance(value, Duration):
        return quantity.span(value)
    plain = value if not isinstance(value, Size | Startups) else int(value) if isinstance(value, Size) else str(value)
    return msgspec.json.encode(plain).decode()


def _unit(kind: type, value: object) -> object:
    """Convert what is written as text; msgspec adds the key's path to the message."""
    try:
        if kind is Duration and isinstance(value, str):
            return Duration(quantity.duration(value))
        if kind is Size and isinstance(value, str | int):
            return Size(quantity.size(str(value)))
        if kind is Startups and isinstance(value, str):
            return Startups(value)
    except BadArguments as error:
        raise ValueError(error.message) from None
    raise ValueError(f"'{value}' is not a {kind.__name__.lower()}, which is text such as '30s' or '4KiB'")


def _known_keys(table: dict[str, Any], struct: type[msgspec.Struct], path: str) -> None:
    """Refuse a key that does not exist, naming the nearest one that does."""
    for field in msgspec.structs.fields(struct):
        inner = table.get(field.name)
        if isinstance(inner, dict) and isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            _known_keys(inner, field.type, f"{path}{field.name}.")
    if struct is Config and isinstance(table.get("roles"), dict):
        for name, role in table["roles"].items():
            if isinstance(role, dict):
                _known_keys(role, Role, f"roles.{name}.")
    if struct is Config and isinstance(table.get("hook"), list):
        for hook in table["hook"]:
            if isinstance(hook, dict):
                _known_keys(hook, HookConfig, "hook.")
    for key in table:
        if f"{path}{key}" in NOT_YET:
            raise SiteError(f"sshhome.toml: {path}{key} is not supported yet")
        if key not in struct.__struct_fields__:
            near = difflib.get_close_matches(key, struct.__struct_fields__, 1, 0.5)
            raise SiteError(
                f"sshhome.toml: unknown key '{path}{key}'" + (f", did you mean '{path}{near[0]}'?" if near else "")
            )
