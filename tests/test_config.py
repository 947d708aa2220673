"""`sshhome.toml`: every key optional, every default the contract's, every mistake an error that names it."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.config import NOT_YET, Config, Startups, load, parse, show, split_address, timezone
from sshhome.errors import SiteError

#: What the contract promises (DESIGN sections 2 and 5), as `sshhome check` shows it.
DEFAULTS = """\
listen = ["127.0.0.1:2222"]
limits.connections = 200
limits.connections_per_source = 20
limits.startups = "10:30:100"
limits.startups_per_source = 4
limits.login_grace = 30 s
limits.auth_tries = 4
limits.offered_keys = 20
limits.preauth_bytes = 131072
limits.sessions_per_connection = 10
limits.sessions_per_user = 20
limits.idle = 10 min
limits.orders_per_minute = 60
limits.order_burst = 20
limits.order_timeout = 30 s
limits.order_line = 4096
limits.rpc_message = 65536
limits.slow_reader = 1048576
limits.bad_order = "refuse"
limits.memory = 0.5
limits.files = 0.8
limits.alert_refusals = 200
bans.max_failures = 5
bans.window = 10 min
bans.first = 1 min
bans.factor = 2
bans.longest = 1 d
bans.never = []
crypto.profile = "compat"
certificates.authorities = []
certificates.revoked_serials = []
certificates.revoked_key_ids = []
certificates.revoked_keys = []
house.name = "house"
house.timezone = ""
house.address = ""
house.latitude = null
house.longitude = null
history.record = true
history.changes = 10 d
history.means = 365 d
backend = [{"kind":"simulated"}]
hook = []
roles = {}"""

#: All keys of the contract but those of the sections that a site may hold several of.
CONTRACT = {
    *("listen", "workers", "store", "proxy", "metrics", "crypto.profile", "house.name", "house.timezone", "roles"),
    *("limits.connections", "limits.connections_per_source", "limits.startups", "limits.startups_per_source"),
    *("limits.login_grace", "limits.auth_tries", "limits.offered_keys", "limits.preauth_bytes"),
    *("limits.sessions_per_connection", "limits.sessions_per_user", "limits.idle", "limits.orders_per_minute"),
    *("limits.order_burst", "limits.order_timeout", "limits.order_line", "limits.rpc_message", "limits.slow_reader"),
    *("limits.bad_order", "bans.max_failures", "bans.window", "bans.first", "bans.factor", "bans.longest"),
    *("bans.never", "backend"),
}
#: What the machine itself can bear, what is worth telling its owner, whose certificates are good, what is recorded.
BEYOND = {
    *("limits.memory", "limits.files", "limits.alert_refusals"),
    *("certificates.authorities", "certificates.revoked_serials"),
    *("certificates.revoked_key_ids", "certificates.revoked_keys", "house.address"),
    *("house.latitude", "house.longitude"),
    *("history.record", "history.changes", "history.means", "hook"),
}

WHOLE = """
listen = ["0.0.0.0:22", "[::]:22"]
[limits]
connections = 7
login_grace = "1m30s"
order_line = "1KiB"
slow_reader = 4096
bad_order = "ban"
[bans]
max_failures = 3
window = "1h"
factor = 1.5
never = ["10.0.0.0/8", "fd00::/8"]
[crypto]
profile = "strict"
[house]
name = "home"
timezone = "Europe/Berlin"
[history]
record = false
changes = "1d"
means = "1d"
[[backend]]
kind = "simulated"
offline = ["light.garden"]
[[backend]]
kind = "simulated"
[roles.cleaner]
grants = ["control:light.*", { deny = "read:@kids" }]
"""


def test_defaults_are_the_contracts(tmp_path: Path) -> None:
    """A site without sshhome.toml, and one with an empty one, have the defaults of the contract."""
    assert load(tmp_path) == parse("") == Config()
    assert show(Config()) == DEFAULTS


def test_every_key_of_the_contract_is_known() -> None:
    """The keys that are obeyed and those refused as not done yet are together the contract's, and those beyond."""
    assert {line.partition(" = ")[0] for line in DEFAULTS.splitlines()} | NOT_YET == CONTRACT | BEYOND


def test_a_whole_file(tmp_path: Path) -> None:
    """What a file says is in force, units converted, the rest as by default."""
    (tmp_path / "sshhome.toml").write_text(WHOLE)
    config = load(tmp_path)
    assert config.listen == ("0.0.0.0:22", "[::]:22")
    limits = config.limits
    assert (limits.connections, limits.login_grace, limits.order_line, limits.slow_reader) == (7, 90.0, 1024, 4096)
    assert (limits.bad_order, limits.auth_tries) == ("ban", 4)
    assert (config.bans.max_failures, config.bans.window, config.bans.factor) == (3, 3600.0, 1.5)
    assert config.bans.never == ("10.0.0.0/8", "fd00::/8")
    assert config.backend == ({"kind": "simulated", "offline": ["light.garden"]}, {"kind": "simulated"})
    assert (config.history.record, config.history.changes, config.history.means) == (False, 86400.0, 86400.0)
    assert config.roles["cleaner"].grants == ["control:light.*", {"deny": "read:@kids"}]
    assert (config.crypto.profile, config.house.name, str(timezone(config))) == ("strict", "home", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ('lissten = ["x"]', "lissten", "listen"),
        ("[limit]\nconnections = 1", "limit", "limits"),
        ("[limits]\nconection = 1", "limits.conection", "limits.connections"),
        ("[limits]\nzzz = 1", "limits.zzz", ""),
        ("[bans]\nmax_failure = 1", "bans.max_failure", "bans.max_failures"),
        ('[crypto]\nprofil = "strict"', "crypto.profil", "crypto.profile"),
        ('[house]\ntime_zone = "UTC"', "house.time_zone", "house.timezone"),
        ("[certificates]\nauthority = []", "certificates.authority", "certificates.authorities"),
        ('[[backends]]\nkind = "simulated"', "backends", "backend"),
        ('[history]\nmean = "1d"', "history.mean", "history.means"),
        ('[roles.cleaner]\ngrant = ["read"]', "roles.cleaner.grant", "roles.cleaner.grants"),
    ],
)
def test_unknown_keys_name_the_nearest(text: str, key: str, nearest: str) -> None:
    """An unknown key anywhere is an error that names the file, the key and the nearest one there is."""
    with pytest.raises(SiteError) as error:
        parse(text)
    assert error.value.message.startswith("sshhome.toml: unknown key '")
    assert key in error.value.message
    assert error.value.message.endswith(f"did you mean '{nearest}'?" if nearest else f"'{key}'")


@pytest.mark.parametrize("key", sorted(NOT_YET))
def test_keys_that_are_not_done_yet_are_refused(key: str) -> None:
    """A key whose work this version cannot do is refused by name, rather than obeyed in part or ignored."""
    section, _, name = key.rpartition(".")
    with pytest.raises(SiteError, match=f"sshhome.toml: {key} is not supported yet"):
        parse(f"[{section}]\n{name} = 1" if section else f"{name} = 1")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("listen = 22", "listen"),
        ('listen = ["localhost"]', "listen"),
        ('listen = [":22"]', "listen"),
        ('listen = ["127.0.0.1:65536"]', "listen"),
        ('listen = ["127.0.0.1:٢٢"]', "listen"),
        ('limits = "none"', "limits"),
        ('[limits]\nconnections = "many"', "limits.connections"),
        ("[limits]\nconnections = true", "limits.connections"),
        ("[limits]\nconnections = 0", "limits.connections"),
        ("[limits]\nauth_tries = -1", "limits.auth_tries"),
        ("[limits]\nlogin_grace = 30", "limits.login_grace"),
        ('[limits]\nlogin_grace = "30"', "limits.login_grace"),
        ('[limits]\nlogin_grace = "0s"', "limits.login_grace"),
        ('[limits]\norder_line = "4kB"', "limits.order_line"),
        ("[limits]\norder_line = 4.5", "limits.order_line"),
        ("[limits]\norder_line = true", "limits.order_line"),
        ("[limits]\norder_line = 0", "limits.order_line"),
        ('[limits]\nbad_order = "kill"', "limits.bad_order"),
        ("[limits]\nstartups = 10", "limits.startups"),
        ('[limits]\nstartups = ""', "limits.startups"),
        ('[limits]\nstartups = "10"', "limits.startups"),
        ('[limits]\nstartups = "10:30"', "limits.startups"),
        ('[limits]\nstartups = "10:30:100:5"', "limits.startups"),
        ('[limits]\nstartups = "100:30:10"', "limits.startups"),
        ('[limits]\nstartups = "0:30:100"', "limits.startups"),
        ('[limits]\nstartups = "10:101:100"', "limits.startups"),
        ('[limits]\nstartups = "10:-1:100"', "limits.startups"),
        ('[limits]\nstartups = "10:3.5:100"', "limits.startups"),
        ('[limits]\nstartups = " 10:30:100"', "limits.startups"),
        ('[limits]\nstartups = "10:٣٠:100"', "limits.startups"),
        (f"[limits]\nstartups = '10:30:{'1' * 5000}'", "limits.startups"),
        ("[limits]\nmemory = 1.01", "limits.memory"),
        ("[limits]\nmemory = 0", "limits.memory"),
        ("[limits]\nmemory = nan", "limits.memory"),
        ('[limits]\nmemory = "50%"', "limits.memory"),
        ("[limits]\nfiles = 2", "limits.files"),
        ("[limits]\nfiles = -0.5", "limits.files"),
        ("[limits]\nfiles = nan", "limits.files"),
        ("[limits]\nfiles = inf", "limits.files"),
        ("[limits]\nalert_refusals = 0", "limits.alert_refusals"),
        ("[limits]\nalert_refusals = 1.5", "limits.alert_refusals"),
        ("[bans]\nmax_failures = 0", "bans.max_failures"),
        ("[bans]\nfactor = 0.5", "bans.factor"),
        ("[bans]\nfactor = nan", "bans.factor"),
        ("[bans]\nfactor = inf", "bans.factor"),
        ('[bans]\nwindow = "0s"', "bans.window"),
        ('[bans]\nfirst = "0s"', "bans.first"),
        ('[bans]\nlongest = "0s"', "bans.longest"),
        ('[bans]\nnever = ["home"]', "bans.never"),
        ('[bans]\nnever = ["10.0.0.1/8"]', "bans.never"),
        ('[bans]\nnever = "10.0.0.0/8"', "bans.never"),
        ('[crypto]\nprofile = "weak"', "crypto.profile"),
        ('[certificates]\nauthorities = "x"', "certificates.authorities"),
        ('[certificates]\nauthorities = ["x"]', "certificates.authorities, line 1"),
        ("[certificates]\nrevoked_serials = [0]", "certificates.revoked_serials"),
        ('[certificates]\nrevoked_serials = ["7"]', "certificates.revoked_serials"),
        ('[certificates]\nrevoked_key_ids = [""]', "certificates.revoked_key_ids"),
        ('[certificates]\nrevoked_keys = ["x"]', "certificates.revoked_keys"),
        ("[house]\nname = 5", "house.name"),
        ('[history]\nrecord = "no"', "history.record"),
        ('[history]\nchanges = "23h"', "history.changes"),
        ('[history]\nmeans = "9d"', "history.means"),
        ('[history]\nmeans = "3651d"', "history.means"),
        ('[house]\ntimezone = "Mars/Base"', "house.timezone"),
        ('[house]\ntimezone = "../../etc/passwd"', "house.timezone"),
        ('[house]\ntimezone = "Europe"', "house.timezone"),
        ('[backend]\nkind = "simulated"', "backend"),
        ("[roles.cleaner]\ngrants = 5", "roles"),
        ("[roles.cleaner]\ngrants = [5]", "roles"),
        ("x = ", ""),
        ("[limits]\n[limits]", ""),
        (f"workers = {'1' * 5000}", ""),
        (f"workers = {'[' * 5000}", ""),
    ],
)
def test_wrong_values_name_file_and_key(text: str, key: str) -> None:
    """A value of the wrong type, out of bounds or of a unit not understood is an error that names file and key."""
    with pytest.raises(SiteError) as error:
        parse(text)
    assert error.value.message.startswith("sshhome.toml: ")
    assert key in error.value.message
    assert "\n" not in error.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is no text, or no file, is an error that names it."""
    (tmp_path / "sshhome.toml").write_bytes(b"\xff")
    with pytest.raises(SiteError, match=r"^sshhome\.toml: "):
        load(tmp_path)
    (tmp_path / "sshhome.toml").unlink()
    (tmp_path / "sshhome.toml").mkdir()
    with pytest.raises(SiteError, match=r"^sshhome\.toml: "):
        load(tmp_path)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:2222", "127.0.0.1", 2222), ("[::1]:0", "::1", 0), ("house.local:65535", "house.local", 65535)],
)
def test_addresses(address: str, host: str, port: int) -> None:
    """An address is host and port, an IPv6 one in brackets."""
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    ("text", "begin", "percent", "full"),
    [("10:30:100", 10, 30, 100), ("5:0:5", 5, 0, 5), ("1:100:1", 1, 100, 1), ("010:030:0100", 10, 30, 100)],
)
def test_startups(text: str, begin: int, percent: int, full: int) -> None:
    """Startups are three numbers between colons, and are shown as they were written."""
    config = parse(f'[limits]\nstartups = "{text}"')
    startups = config.limits.startups
    assert (startups.begin, startups.percent, startups.full) == (begin, percent, full)
    assert f'limits.startups = "{text}"' in show(config)


@given(st.text("0123456789:-٣. ", max_size=12))
def test_any_startups_are_sound_or_refused(text: str) -> None:
    """Whatever is written, the three numbers are in their bounds and in their order, or it is refused."""
    try:
        startups = Startups(text)
    except ValueError:
        return
    assert 1 <= startups.begin <= startups.full
    assert 0 <= startups.percent <= 100
    assert startups == text


def test_shares_may_be_the_whole() -> None:
    """A share of 1, written as a whole number too, is all there is: nothing is ever too much."""
    limits = parse("[limits]\nmemory = 1\nfiles = 1.0").limits
    assert (limits.memory, limits.files) == (1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("latitude = 52.5", "house.latitude and house.longitude belong together"),
        ("longitude = 13", "house.latitude and house.longitude belong together"),
        ("latitude = 91\nlongitude = 13", "house.latitude must be -90 to 90 degrees"),
        ("latitude = 52\nlongitude = -180.1", "house.longitude must be -180 to 180 degrees"),
        ("latitude = nan\nlongitude = 13", "house.latitude must be -90 to 90 degrees"),
        ('latitude = "52 N"\nlongitude = 13', "Expected `float | null`"),
    ],
)
def test_what_is_no_place(text: str, why: str) -> None:
    """The place of the house is both of two numbers, on this earth."""
    with pytest.raises(SiteError, match=re.escape(why)):
        parse(f"[house]\n{text}")


def test_a_place() -> None:
    """Whole degrees are degrees, too, and the poles are places."""
    house = parse("[house]\nlatitude = -90\nlongitude = 180").house
    assert (house.latitude, house.longitude) == (-90.0, 180.0)


@pytest.mark.parametrize("zone", ["CET-1CEST,M3.5.0,M10.5.0/3", ":Europe/Berlin", "/etc/localtime", "nonsense", ":"])
def test_a_foreign_tz_does_not_keep_the_house_from_starting(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Whatever `$TZ` says, of the forms that POSIX allows or none, a site without a zone of its own has one."""
    monkeypatch.setenv("TZ", zone)
    assert str(timezone(parse("")))


def test_the_zone_is_the_configured_one_else_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """The house's own zone wins over the system's, and the system's is taken where the house names none."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert str(timezone(parse(""))) == "Asia/Tokyo"
    assert str(timezone(parse('[house]\ntimezone = "Europe/Berlin"'))) == "Europe/Berlin"


@settings(deadline=None)
@given(
    st.text(st.characters())
    | st.builds(
        lambda section, key, value: f"[{section}]\n{key} = {value}",
        st.sampled_from(["limits", "bans", "house", "crypto", "roles", "roles.x", "backend", "store"]),
        st.sampled_from(
            ["connections", "login_grace", "order_line", "never", "factor", "timezone", "profile", "grants"]
        ),
        st.sampled_from(["0", "-1", "1.5", "nan", '"5m"', '"4KiB"', "[]", "{}", "true", '[{allow="read"}]', "07:32:00"])
        | st.text().map(lambda text: f'"{text}"'),
    )
)
def test_any_text_is_a_configuration_or_a_site_error(text: str) -> None:
    """Any file at all is a configuration that can be shown, or a SiteError."""
    try:
        config = parse(text)
    except SiteError:
        return
    assert show(config).count(" = ") >= len(DEFAULTS.splitlines())


def test_what_stands_behind_a_host_is_not_shown() -> None:
    """The path and the query of a hook's URL, which may be what lets one in there, are left out of what is printed."""
    for url in ("https://door.example:8443/T0/secret?key=secret", "https://door.example:8443?secret"):
        told = show(parse(f'[[hook]]\nurl = "{url}"\nsecret_file = "x"\nevents = ["state"]'))
        assert "https://door.example:8443" in told
        assert "secret?" not in told
        assert "=secret" not in told
        assert "?secret" not in told


def test_a_password_in_a_url_is_not_shown() -> None:
    """What `check` prints of a backend tells where it is and as whom, and no password."""
    table = {"kind": "mqtt", "url": "mqtt://house:s3cret:x@127.0.0.1:1883"}
    told = show(Config(backend=(table,)))
    assert "mqtt://house:***@127.0.0.1:1883" in told
    assert "s3cret" not in told
