"""The command line, through its real entry point: what each command does, and one clear line for each mistake."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import argon2
import asyncssh
import pytest

from sshhome import __version__, app
from sshhome.errors import BadArguments, SiteError
from sshhome.hostkey import make_key
from sshhome.user import User
from tests.client import run, until
from tests.process import Operator, everything, lines, without_override

ROOT = Path(__file__).parent.parent
BAD_ARGUMENTS = BadArguments.status
WRONG_SITE = SiteError.status

#: A user file as somebody wrote it by hand; the place of a key stands open.
BY_HAND = """\
# Anna comes on Tuesdays.
name = "Anna"   # as it is shown
roles = ["guest"]

keys = [
  # her laptop
  "{key}",
]

# What she may do besides.
grants = ["control:@study"]  # until June
"""


@pytest.fixture
def anna(site: app.Site, keys: Path) -> Path:
    """Write the file of one more user by hand."""
    path = site.path / "authorized_users" / "anna.toml"
    path.write_text(BY_HAND.format(key=public(keys, "home")))
    return path


def public(keys: Path, name: str) -> str:
    """Return a person's public key."""
    return (keys / f"{name}.pub").read_text().strip()


def files(site: Path) -> dict[str, bytes]:
    """Return what the owner of a site looks after, which is all but its state."""
    return {name: data for name, data in everything(site).items() if not name.startswith("state/")}


def user(site: app.Site, login: str) -> User:
    """Return a user as a server that starts now would know them."""
    found = app.Site(site.path).users.get(login)
    assert found is not None
    return found


# -- the program, and which site it works on --------------------------------------------------------------------------


async def test_version(operator: Operator) -> None:
    """`--version` is the package's own."""
    answer = await operator.types("--version")
    assert answer == (f"sshhome, version {__version__}\n", "", 0)


async def test_orders(operator: Operator) -> None:
    """`orders` prints docs/orders.md, without any site."""
    answer = await operator.types("orders")
    assert answer == ((ROOT / "docs" / "orders.md").read_text(encoding="utf-8"), "", 0)


async def test_openrpc(operator: Operator) -> None:
    """`orders --openrpc` prints docs/openrpc.json, without any site."""
    answer = await operator.types("orders", "--openrpc")
    assert answer == ((ROOT / "docs" / "openrpc.json").read_text(encoding="utf-8"), "", 0)


async def test_a_command_that_does_not_exist(operator: Operator) -> None:
    """An unknown command is said to be one, and how to find the others."""
    answer = await operator.types("serv")
    assert answer.status == 2
    assert "--help" in answer.err
    assert "'serv'" in answer.err.splitlines()[-1]


@pytest.mark.parametrize("given", ["nowhere", "file", "loop", "~nosuchuser/house", "x" * 300])
async def test_no_such_site(operator: Operator, given: str) -> None:
    """A site that is no directory, whatever it is instead, is one line that names it."""
    (operator.home / "file").touch()
    (operator.home / "loop").symlink_to("loop")
    answer = await operator.types("serve", "--site", given)
    assert answer.status == BAD_ARGUMENTS
    (line,) = lines(answer)
    assert given in line
    assert everything(operator.home).keys() == {"file"}


async def test_which_site(operator: Operator, site: app.Site) -> None:
    """A command works on `--site`, else on $SSHHOME_SITE, else on the current directory."""
    other = operator.home / "other"
    (other / "authorized_users").mkdir(parents=True)
    named = await operator.types("user", "list", site=site.path, SSHHOME_SITE=str(other))
    assert [line.split()[0] for line in named.out.splitlines()] == ["cleaner", "guest", "home", "kid", "viewer"]
    assert await operator.types("user", "list", folder=other, SSHHOME_SITE=str(site.path)) == named
    assert await operator.types("user", "list", folder=site.path) == named


# -- init, check and the first serve ----------------------------------------------------------------------------------


async def test_init(operator: Operator) -> None:
    """A new site is the owner's alone, is well, and is never made twice."""
    answer = await operator.types("init", "sites/house")
    assert answer.status == 0
    assert answer.err == ""
    house = operator.home / "sites" / "house"
    assert house.stat().st_mode & 0o077 == 0
    made = everything(house)
    checked = await operator.types("check", site=house)
    assert checked.status == 0
    assert checked.out.endswith("\nuser home = admin, 4 grants\n")
    again = await operator.types("init", house)
    assert again.status == BAD_ARGUMENTS
    assert lines(again) == [f"error: {house} is a site already"]
    assert everything(house) == made


async def test_init_says_how_to_serve(operator: Operator) -> None:
    """The command that `init` prints serves the new site, also one with a space in its name."""
    answer = await operator.types("init", "my house")
    (command,) = re.findall(r"^serve it with: (.+)$", answer.out, re.MULTILINE)
    program, *words = shlex.split(command)
    assert program == "sshhome"
    async with operator.starts(*words, "--listen", "127.0.0.1:0") as process:
        await process.says("^listening on ")


async def test_check_shows_what_holds(operator: Operator, site: app.Site) -> None:
    """`check` prints every setting, given or default, and every user."""
    (site.path / "sshhome.toml").write_text('listen = ["[::1]:2022"]\n[limits]\norder_line = "8KiB"\n')
    answer = await operator.types("check", site=site.path)
    assert answer.status == 0
    assert answer.err == ""
    shown = dict(line.split(" = ", 1) for line in answer.out.splitlines())
    assert shown["listen"] == '["[::1]:2022"]'
    assert shown["limits.order_line"] == "8192"
    assert shown["bans.first"] == "1 min"
    assert shown["backend"] == '[{"kind":"simulated"}]'
    assert {name.removeprefix("user ") for name in shown if name.startswith("user ")} == set(site.users.names())


async def test_check_tells_everything_that_is_wrong(operator: Operator, site: app.Site) -> None:
    """Mistakes in several files are told at once, one line each, naming the file."""
    (site.path / "sshhome.toml").write_text('[[backend]]\nkind = "hue"\n[[backend]]\nkind = "zigbee"\n')
    (site.path / "authorized_users" / "guest.toml").write_text("role = ['guest']\n")
    (site.path / "authorized_users" / "kid.toml").write_bytes(b"name = '\xff'\n")
    for name in ("one", "two"):
        (site.path / "host_keys" / name).write_text("no key\n")
        (site.path / "host_keys" / name).chmod(0o600)
    answer = await operator.types("check", site=site.path)
    assert answer.status == WRONG_SITE
    assert answer.out == ""
    assert lines(answer) == [
        "error: authorized_users/guest.toml: unknown key 'role', did you mean 'roles'?",
        "error: authorized_users/kid.toml: not UTF-8",
        "error: host_keys/one: Invalid private key",
        "error: host_keys/two: Invalid private key",
        "error: sshhome.toml: backend: no kind 'hue'; there is simulated, mqtt, home_assistant",
        "error: sshhome.toml: backend: no kind 'zigbee'; there is simulated, mqtt, home_assistant",
    ]


async def test_check_connects_every_backend(operator: Operator, site: app.Site) -> None:
    """`check --connect` tries every backend too, a line each; one that does not answer is told, and the rest tried."""
    config = site.path / "sshhome.toml"
    config.write_text('[[backend]]\nkind = "simulated"\n[[backend]]\nkind = "simulated"\n')
    answer = await operator.types("check", "--connect", site=site.path)
    assert (answer.status, answer.err) == (0, "")
    told = [line for line in answer.out.splitlines() if line.startswith("backend ") and "=" not in line]
    assert [re.sub(r"\d+ ", "N ", line.split(": ")[1]) for line in told] == ["N simulated devices"] * 2
    assert [line.split(": ")[0] for line in told] == ["backend simulated", "backend simulated 2"]
    config.write_text('[[backend]]\nkind = "mqtt"\nurl = "mqtt://127.0.0.1:1"\n[[backend]]\nkind = "simulated"\n')
    answer = await operator.types("check", "--connect", site=site.path)
    assert answer.status == WRONG_SITE
    (line,) = lines(answer)
    assert line.startswith("error: backend mqtt: ")
    assert "simulated devices" in answer.out


async def test_backends_have_names_of_their_own(operator: Operator, site: app.Site) -> None:
    """Two backends of one name are an error, and so `check` tells it."""
    named = '[[backend]]\nkind = "simulated"\nname = "x"\n'
    (site.path / "sshhome.toml").write_text(named * 2)
    answer = await operator.types("check", site=site.path)
    assert answer.status == WRONG_SITE
    assert lines(answer) == ["error: sshhome.toml: backend: two are named 'x'"]


async def test_first_serve_takes_the_own_keys(operator: Operator, tmp_path: Path) -> None:
    """Who starts an empty site is `home`, the admin, by their own keys; the host key is made and its print shown."""
    house, own = tmp_path / "house", operator.home / ".ssh"
    house.mkdir()
    make_key(own / "id_ed25519", "me@laptop")
    make_key(own / "id_work", "me@work")
    (own / "id_dsa.pub").write_text("ssh-dss AAAAB3NzaC1kc3M= me@attic\n")
    async with operator.serves(house, own) as (process, door):
        await process.says("^try: ")
        key = await asyncssh.get_server_host_key("127.0.0.1", door.port, config=None)
        assert key is not None
        assert process.out.splitlines() == [
            f"made the host key {key.get_fingerprint()}",
            "made the user home, role admin, with 2 of your own keys from ~/.ssh",
            f"listening on 127.0.0.1:{door.port}",
            f"try: ssh -p {door.port} home@127.0.0.1",
        ]
        assert process.err == ""
        for name in ("id_ed25519", "id_work"):
            answer = await door.ask("home", "whoami", key=name)
            assert (answer.status, answer.err) == (0, "")
            assert "run the server (role admin)" in answer.out
    assert (house / "host_keys" / "ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert (house / "authorized_users" / "home.toml").stat().st_mode & 0o777 == 0o600


async def test_first_serve_without_keys(operator: Operator, tmp_path: Path) -> None:
    """Without keys the admin gets a password: shown once, kept only as a hash, and not made again by the next serve."""
    house = tmp_path / "house"
    house.mkdir()
    async with operator.serves(house, tmp_path) as (process, door):
        said = await process.says(r"^made the user home, role admin, with the password (\S+) \(shown this once\)$")
        password = said[1]
        assert len(password) >= 16
        assert (await door.ask("home", "whoami", password=password)).status == 0
        assert (await door.ask("home", "whoami", password=f"{password}x")).status == 255
        process.signal(signal.SIGTERM)
        assert (await process.answer()).status == 0
    kept = everything(house)
    assert kept["authorized_users/home.toml"].count(b'password = "$argon2id$') == 1
    assert not any(password.encode() in data for data in kept.values())

    async with operator.serves(house, tmp_path) as (process, door):
        await process.says("^try: ")
        assert process.out == f"listening on 127.0.0.1:{door.port}\ntry: ssh -p {door.port} home@127.0.0.1\n"
        assert (await door.ask("home", "whoami", password=password)).status == 0
    assert files(house) == {name: data for name, data in kept.items() if not name.startswith("state/")}


async def test_serve_listens_where_it_is_told(operator: Operator, site: app.Site) -> None:
    """`--listen` may be given again, goes before sshhome.toml, and each address is printed with its port."""
    (site.path / "sshhome.toml").write_text('listen = ["127.0.0.1:1"]\n')
    words = ("serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0")
    async with operator.starts(*words, site=site.path) as process:
        said = await process.says(r"^listening on 127\.0\.0\.1:(\d+)\nlistening on 127\.0\.0\.2:(\d+)\ntry: (.*)$")
        assert said[3] == f"ssh -p {said[1]} home@127.0.0.1"
        for host, port in (("127.0.0.1", said[1]), ("127.0.0.2", said[2])):
            assert await asyncssh.get_server_host_key(host, int(port), config=None) is not None


# -- one clear line for each mistake ----------------------------------------------------------------------------------

Break = Callable[[Path], object]


def toml(text: str) -> Break:
    """Return what writes a site's sshhome.toml."""
    return lambda site: (site / "sshhome.toml").write_text(text)


def host_key(mode: int, text: str) -> Break:
    """Return what puts one more file among the host keys."""

    def put(site: Path) -> None:
        (site / "host_keys" / "other").write_text(text)
        (site / "host_keys" / "other").chmod(mode)

    return put


def in_the_way(name: str) -> Break:
    """Return what puts a directory where a file belongs, and a file where a directory does."""

    def put(site: Path) -> None:
        path = site / name
        if path.is_dir():
            shutil.rmtree(path)
        path.parent.mkdir(exist_ok=True)
        if path.suffix:
            path.unlink(missing_ok=True)
            path.mkdir()
        else:
            path.touch()

    return put


def junk(site: Path) -> None:
    """Put something else where the database belongs."""
    (site / "state").mkdir()
    (site / "state" / "sshhome.db").write_text("this is not a database, and long enough to be looked at\n")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(toml("listen = ["), r"sshhome\.toml: .+", id="syntax"),
        pytest.param(
            toml('lisen = ["127.0.0.1:0"]'),
            r"sshhome\.toml: unknown key 'lisen', did you mean 'listen'\?",
            id="unknown-key",
        ),
        pytest.param(toml("[limits]\nconnections = 'many'"), r"sshhome\.toml: .*limits\.connections.*", id="type"),
        pytest.param(toml("workers = 4"), r"sshhome\.toml: workers is not supported yet", id="not-yet"),
        pytest.param(toml("listen = []"), r"sshhome\.toml: .*listen.*", id="nowhere-to-listen"),
        pytest.param(toml('"lis\\nten\\u001b[2J" = 1'), r"sshhome\.toml: unknown key .+", id="control-characters"),
        pytest.param(toml("[roles.maid]\ngrants = ['clean']"), r"sshhome\.toml: role maid: 'clean' .+", id="grant"),
        pytest.param(toml("[[backend]]\nkind = 'zigbee'"), r"sshhome\.toml: backend: no kind 'zigbee'.*", id="backend"),
        pytest.param(
            toml("[[backend]]\nkind = 'simulated'\noffline = ['light.moon']"),
            r"sshhome\.toml: backend simulated: offline .+",
            id="backend-option",
        ),
        pytest.param(in_the_way("sshhome.toml"), r"sshhome\.toml: .+", id="directory"),
        pytest.param(host_key(0o644, "no key"), r"host_keys/other: readable by others; `chmod 600 .+`", id="readable"),
        pytest.param(host_key(0o600, "no key"), r"host_keys/other: .+", id="no-key"),
        pytest.param(in_the_way("authorized_users"), r".*authorized_users.*", id="no-user-folder"),
    ],
)
async def test_wrong_site(operator: Operator, site: app.Site, spoil: Break, told: str) -> None:
    """What keeps a house from being served is one line, the same from `check` as from `serve`, and nothing changes."""
    spoil(site.path)
    before = files(site.path)
    checked, served = await asyncio.gather(
        operator.types("check", site=site.path),
        operator.types("serve", "--listen", "127.0.0.1:0", site=site.path),
    )
    for answer in (served, checked):
        assert (answer.out, answer.status) == ("", WRONG_SITE)
        (line,) = lines(answer)
        assert re.fullmatch(f"error: {told}", line)
    assert files(site.path) == before


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(in_the_way("state"), id="file"),
        pytest.param(in_the_way("state/audit.jsonl"), id="audit"),
        pytest.param(in_the_way("state/sshhome.db"), id="store"),
        pytest.param(in_the_way("state/simulated.db"), id="house"),
        pytest.param(junk, id="no-database"),
    ],
)
async def test_unusable_state(operator: Operator, site: app.Site, spoil: Break) -> None:
    """A state folder that cannot be worked with is one line."""
    spoil(site.path)
    answer = await operator.types("serve", "--listen", "127.0.0.1:0", site=site.path)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    (line,) = lines(answer)
    assert re.search(r"state|audit\.jsonl|\.db", line)


@pytest.mark.parametrize(("name", "known"), [("sshhome.db", 8), ("simulated.db", 1)])
async def test_newer_database(operator: Operator, site: app.Site, name: str, known: int) -> None:
    """A database of a newer sshhome is refused in one line and left as it is, byte for byte."""
    path = site.path / "state" / name
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE device (id TEXT, state TEXT, owner TEXT)")
        db.execute("INSERT INTO device VALUES ('light.moon', '{}', 'all of us')")
        db.commit()
        db.execute("PRAGMA user_version = 99")
    path.chmod(0o640)
    before = path.read_bytes()
    answer = await operator.types("serve", "--listen", "127.0.0.1:0", site=site.path)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    assert lines(answer) == [f"error: {name}: written by a newer sshhome (version 99, known {known})"]
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert [other.name for other in path.parent.glob(f"{name}-*")] == []


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense", "'nonsense' is not host:port"),
        ("127.0.0.1:65536", "'127.0.0.1:65536' is not host:port"),
        ("192.0.2.1:0", "192.0.2.1:0: Cannot assign requested address"),
        ("[fe80::1%nosuch]:0", "[fe80::1%nosuch]:0: Name or service not known"),
        ("x" * 70 + ":0", "x" * 70 + ":0"),
    ],
)
async def test_wrong_address(operator: Operator, site: app.Site, address: str, told: str) -> None:
    """An address that cannot be listened on is one line that names it and says why."""
    answer = await operator.types("serve", "--listen", address, site=site.path)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    (line,) = lines(answer)
    assert told in line


async def test_a_site_has_one_server(operator: Operator, site: app.Site, keys: Path) -> None:
    """A second server of a site does nothing of what the first one does, whatever it listens on."""
    async with operator.serves(site.path, keys):
        answer = await operator.types("serve", "--listen", "127.0.0.1:0", site=site.path)
        assert (answer.out, answer.status) == ("", WRONG_SITE)
        assert lines(answer) == ["error: this site is served already (each has one server)"]


async def test_port_in_use(operator: Operator, site: app.Site) -> None:
    """A port that another program has is one line, from `serve` and from `demo`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answers = await asyncio.gather(
            operator.types("serve", "--listen", address, site=site.path),
            operator.types("demo", "--listen", address),
        )
    for answer in answers:
        assert (answer.out, answer.status) == ("", WRONG_SITE)
        assert lines(answer) == [f"error: cannot listen on {address}: Address already in use"]


@pytest.mark.parametrize(
    ("closed", "mode", "words"),
    [
        ("", 0o500, ("serve", "--listen", "127.0.0.1:0")),
        ("state", 0o500, ("serve", "--listen", "127.0.0.1:0")),
        ("authorized_users", 0o300, ("serve", "--listen", "127.0.0.1:0")),
        ("authorized_users", 0o300, ("check",)),
        ("authorized_users", 0o000, ("user", "list")),
        ("authorized_users", 0o500, ("user", "add", "bob")),
        ("authorized_users", 0o500, ("user", "passwd", "bea", "--remove")),
        ("authorized_users", 0o500, ("user", "remove", "bea")),
        ("host_keys", 0o000, ("check",)),
        ("host_keys/ssh_host_ed25519_key", 0o000, ("check",)),
        ("sshhome.toml", 0o000, ("check",)),
    ],
)
async def test_not_permitted(
    operator: Operator, site: app.Site, closed: str, mode: int, words: tuple[str, ...]
) -> None:
    """What the system does not let us read or write is one line that names it, and is never taken for empty."""
    before = without_override()
    if before and shutil.which(before[0]) is None:
        pytest.skip("root is not bound by permissions, and setpriv is not installed")
    if closed == "state":
        (site.path / "state").mkdir()
    (site.path / "authorized_users" / "home.toml").rename(site.path / "authorized_users" / "bea.toml")
    kept = everything(site.path)
    path = site.path / closed
    path.chmod(mode)
    try:
        answer = await operator.types(*words, site=site.path, before=before)
    finally:
        path.chmod(0o700)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    (line,) = lines(answer)
    assert "ermission denied" in line
    assert (Path(closed).name or "state") in line
    assert everything(site.path) == kept


# -- users ------------------------------------------------------------------------------------------------------------


async def test_add_a_user(operator: Operator, site: app.Site, keys: Path) -> None:
    """A user is added with roles and keys, is a guest unless told otherwise, and is never added twice."""
    line = public(keys, "attacker")
    answer = await operator.types("user", "add", "bob", "--key", keys / "attacker.pub", site=site.path)
    assert answer == ("added bob, role guest\n", "", 0)
    words = ("user", "add", "eva", "--role", "viewer", "--role", "child", "--key", f"restrict {line}")
    answer = await operator.types(*words, site=site.path)
    assert answer == ("added eva, role viewer, child\n", "", 0)
    bob, eva = user(site, "bob"), user(site, "eva")
    assert (bob.name, bob.roles, bob.password) == ("Bob", ("guest",), "")
    assert eva.roles == ("viewer", "child")
    assert [(key.blob, key.pty) for key in (*bob.keys, *eva.keys)] == [
        (bob.keys[0].blob, True),
        (bob.keys[0].blob, False),
    ]
    before = files(site.path)
    answer = await operator.types("user", "add", "bob", site=site.path)
    assert (lines(answer), answer.status) == (["error: user 'bob' exists already"], BAD_ARGUMENTS)
    assert files(site.path) == before


async def test_a_user_who_cannot_log_in(operator: Operator, site: app.Site, keys: Path) -> None:
    """Whoever adds a user without a key or a password is told the commands that help, and they do."""
    answer = await operator.types("user", "add", "bob", site=site.path)
    hints = re.findall("`sshhome (.+?)`", answer.out)
    assert len(hints) == 2
    for hint in hints:
        words = shlex.split(hint.replace("FILE", str(keys / "attacker.pub")))
        assert (await operator.types(*words, site=site.path, stdin="correct battery\n")).status == 0, hint
    assert user(site, "bob").keys
    assert user(site, "bob").password


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("user", "add", "../bob"), "error: '../bob' is no login name (1 to 32 of a-z 0-9 _ -)"),
        (("user", "add", "Bob"), "error: 'Bob' is no login name (1 to 32 of a-z 0-9 _ -)"),
        (("user", "remove", "../bob"), "error: '../bob' is no login name (1 to 32 of a-z 0-9 _ -)"),
        (("user", "remove", "bob"), "error: user 'bob' does not exist"),
        (("user", "passwd", "bob", "--remove"), "error: user 'bob' does not exist"),
        (("user", "key", "list", "bob"), "error: user 'bob' does not exist, or its file is not understood"),
        (("user", "key", "remove", "bob", "me"), "error: user 'bob' does not exist"),
        (
            ("user", "key", "remove", "kid", "me"),
            "error: there is no key 'me' (there is kid@test)",
        ),
    ],
)
async def test_no_such_user(operator: Operator, site: app.Site, words: tuple[str, ...], told: str) -> None:
    """A name that is none, of nobody, or of no key is one line, and no file is touched."""
    (site.path / "bob.toml").touch()
    before = files(site.path)
    answer = await operator.types(*words, site=site.path)
    assert answer == ("", f"{told}\n", BAD_ARGUMENTS)
    assert files(site.path) == before


async def test_keys_of_a_file_written_by_hand(operator: Operator, site: app.Site, keys: Path, anna: Path) -> None:
    """Keys are listed, added and removed in a file written by hand, of which nothing else changes."""
    written = anna.read_text()
    prints = {name: user(site, name).keys[0].fingerprint for name in ("home", "guest", "kid")}

    async def key(*words: str | Path) -> str:
        answer = await operator.types("user", "key", *words, site=site.path)
        assert (answer.err, answer.status) == ("", 0)
        return answer.out

    assert await key("add", "anna", keys / "guest.pub") == f"added {prints['guest']} to anna\n"
    assert await key("add", "anna", f'from="127.0.0.0/8" {public(keys, "kid")}') == f"added {prints['kid']} to anna\n"
    listed = await key("list", "anna")
    assert listed == "".join(f"{prints[name]} ssh-ed25519 {name}@test\n" for name in ("home", "guest", "kid"))
    added = [line for line in anna.read_text().splitlines() if line not in written.splitlines()]
    assert len(added) == 2
    assert (
        "".join(line for line in anna.read_text().splitlines(keepends=True) if line.strip("\n") not in added) == written
    )

    before = files(site.path)
    again = await operator.types("user", "key", "add", "anna", public(keys, "kid"), site=site.path)
    assert (lines(again), again.status) == ([f"error: {prints['kid']} is among the keys already"], BAD_ARGUMENTS)
    assert files(site.path) == before

    assert await key("remove", "anna", "kid@test") == "removed kid@test from anna\n"
    assert await key("remove", "anna", prints["guest"]) == f"removed {prints['guest']} from anna\n"
    assert anna.read_text() == written
    assert anna.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("given", ["file", "text", "option"])
async def test_a_private_key_given_by_mistake(operator: Operator, site: app.Site, keys: Path, given: str) -> None:
    """A private key is refused with a hint at the public one, is stored nowhere and shown nowhere."""
    private = (keys / "attacker").read_text()
    before = files(site.path)
    given_as: dict[str, tuple[str | Path, ...]] = {
        "file": ("user", "key", "add", "guest", keys / "attacker"),
        "text": ("user", "key", "add", "guest", private),
        "option": ("user", "add", "bob", "--key", keys / "attacker"),
    }
    answer = await operator.types(*given_as[given], site=site.path)
    assert not any(line in answer.out + answer.err for line in private.splitlines()[1:-1])
    assert (answer.out, answer.status) == ("", BAD_ARGUMENTS)
    (line,) = lines(answer)
    assert line.startswith("error: this is a private key")
    if given != "text":
        assert f"{keys / 'attacker'}.pub" in line
    assert files(site.path) == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ssh-ed25519 AAAA me", "base64"),
        ("ssh-dss AAAAB3NzaC1kc3M= me", "ssh-dss"),
        ('environment="A=b" {key}', "key option 'environment' is not supported"),
        ("no-such-file.pub", "no-such-file.pub"),
        ("nosuchfile", "nosuchfile"),
        ("~nosuchuser/id.pub", "~nosuchuser/id.pub"),
        ("", "key"),
    ],
)
async def test_a_key_line_that_is_none(operator: Operator, site: app.Site, keys: Path, line: str, told: str) -> None:
    """What is neither a key nor a file with one is refused in one line that says what was given or is wrong with it."""
    before = files(site.path)
    line = line.replace("{key}", public(keys, "attacker"))
    answer = await operator.types("user", "key", "add", "guest", line, site=site.path)
    assert answer.out == ""
    assert answer.status in {BAD_ARGUMENTS, WRONG_SITE}
    (error,) = lines(answer)
    assert told in error
    assert files(site.path) == before


@pytest.mark.parametrize("text", ["keys = 'x'\n", "keys = [\n", "roles = ['guest']\nkyes = []\n"])
async def test_edit_a_broken_file(operator: Operator, site: app.Site, keys: Path, text: str) -> None:
    """A file that is not understood is not edited; the line names it."""
    path = site.path / "authorized_users" / "guest.toml"
    path.write_text(text)
    answer = await operator.types("user", "key", "add", "guest", keys / "attacker.pub", site=site.path)
    assert (answer.out, answer.status) == ("", WRONG_SITE)
    (line,) = lines(answer)
    assert line.startswith("error: authorized_users/guest.toml: ")
    assert path.read_text() == text


async def test_passwords_from_standard_input(operator: Operator, site: app.Site, keys: Path, anna: Path) -> None:
    """A password is read from standard input, kept as a hash in a file that is otherwise the same, and ended."""
    written = anna.read_text()
    answer = await operator.types("user", "passwd", "anna", site=site.path, stdin="correct battery\n")
    assert answer == ("anna has a new password\n", "", 0)
    hashed = user(site, "anna").password
    assert argon2.PasswordHasher().verify(hashed, "correct battery")
    assert anna.read_text().replace(f'password = "{hashed}"\n', "") == written
    answer = await operator.types("user", "passwd", "anna", "--remove", site=site.path)
    assert answer == ("anna has no password\n", "", 0)
    assert anna.read_text() == written
    answer = await operator.types("user", "add", "bob", "--password", site=site.path, stdin="battery staple")
    assert answer == ("added bob, role guest\n", "", 0)
    assert argon2.PasswordHasher().verify(user(site, "bob").password, "battery staple")


@pytest.mark.parametrize("given", ["short", "", "x" * 257, "tab\tand more", b"caf\xe9 au lait"])
async def test_a_password_that_will_not_do(operator: Operator, site: app.Site, given: str | bytes) -> None:
    """A password that is too short, too long or could not be typed into every client is refused in one line."""
    before = files(site.path)
    answer = await operator.types("user", "passwd", "home", site=site.path, stdin=given)
    assert (answer.out, answer.status) == ("", BAD_ARGUMENTS)
    (line,) = lines(answer)
    assert line.startswith("error: a password has ")
    assert files(site.path) == before


@pytest.mark.parametrize(("again", "told"), [("correct battery", ""), ("correct batter", "are not the same")])
async def test_a_password_typed_at_a_terminal(operator: Operator, site: app.Site, again: str, told: str) -> None:
    """At a terminal a password is asked for twice and never echoed."""
    before = user(site, "home").password
    leader, follower = os.openpty()
    try:
        os.set_blocking(leader, False)
        async with operator.starts("user", "passwd", "home", site=site.path, stdin=follower) as process:
            await process.says("new password: $")
            os.write(leader, b"correct battery\n")
            await process.says("again: $")
            os.write(leader, f"{again}\n".encode())
            answer = await process.answer()
        with pytest.raises(BlockingIOError):
            os.read(leader, 1)
    finally:
        os.close(leader)
        os.close(follower)
    assert told in answer.err
    assert answer.status == (BAD_ARGUMENTS if told else 0)
    assert (user(site, "home").password == before) == bool(told)


async def test_list_and_remove_users(operator: Operator, site: app.Site) -> None:
    """Users are listed with how they log in, a broken file is told of beside them, and a user is removed by name."""
    (site.path / "authorized_users" / "zoe.toml").write_text("name = 1\n")
    answer = await operator.types("user", "list", site=site.path)
    assert [re.split(" {2,}", line) for line in answer.out.splitlines()] == [
        ["cleaner", "no role", "1 keys"],
        ["guest", "guest", "1 keys"],
        ["home", "admin", "1 keys, password"],
        ["kid", "child", "1 keys"],
        ["viewer", "viewer", "1 keys"],
    ]
    (line,) = lines(answer)
    assert line.startswith("error: authorized_users/zoe.toml: ")
    before = files(site.path)
    for login in ("guest", "zoe"):
        assert await operator.types("user", "remove", login, site=site.path) == (f"removed {login}\n", "", 0)
        del before[f"authorized_users/{login}.toml"]
    assert files(site.path) == before


# -- demo -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_demo(operator: Operator, tmp_path: Path, number: signal.Signals) -> None:
    """The throw-away house lets home, guest and kid in with the keys it shows, and leaves nothing behind."""
    folder = tmp_path / "throw-away"
    folder.mkdir()
    async with operator.starts("demo", TMPDIR=str(folder)) as process:
        await process.says("^\\^C ends it")
        shown = [shlex.split(line) for line in process.out.splitlines() if line.startswith("  ssh ")]
        assert {words[9].partition("@")[0] for words in shown} == {"home", "guest", "kid"}
        for words in shown:
            login, host = words[9].split("@")
            async with asyncssh.connect(
                host, int(words[2]), username=login, client_keys=[words[4]], known_hosts=None, config=None
            ) as connection:
                assert f"{login}, " in str((await connection.run("whoami", check=True)).stdout)
        process.signal(number)
        answer = await process.answer()
    assert (answer.err, answer.status) == ("", 0)
    assert list(folder.rglob("*")) == []
    assert list(operator.home.rglob("*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_demo_ended_before_it_began(operator: Operator, tmp_path: Path, number: signal.Signals) -> None:
    """Who stops it while it is still being built is left with nothing to clean up either, and with no traceback."""
    folder = tmp_path / "throw-away"
    folder.mkdir()
    async with operator.starts("demo", TMPDIR=str(folder)) as process:
        await until(lambda: list(folder.glob("sshhome-demo-*")))
        process.signal(number)
        answer = await process.answer()
    assert (answer.err, answer.status) == ("", 0)
    assert list(folder.rglob("*")) == []


@pytest.mark.real
async def test_demo_lines_work_as_they_stand(operator: Operator, tmp_path: Path, program: Callable[[str], str]) -> None:
    """Each ssh line that `demo` prints works when it is typed as it stands and the new host key is accepted."""
    ssh = program("ssh")
    yes = tmp_path / "yes"
    yes.write_text("#!/bin/sh\necho yes\n")
    yes.chmod(0o700)
    async with operator.starts("demo", TMPDIR=str(tmp_path)) as process:
        await process.says("^\\^C ends it")
        shown = [shlex.split(line) for line in process.out.splitlines() if line.startswith("  ssh ")]
        environment = operator.environment(SSH_ASKPASS=str(yes), SSH_ASKPASS_REQUIRE="force")
        told = {}
        for program_name, *words in shown:
            assert program_name == "ssh"
            answer = await run(ssh, *words, stdin="whoami\n", environment=environment)
            told[" ".join(words[8:]).partition("@")[0] + " " + " ".join(words[9:])] = answer
    assert {line: answer.status for line, answer in told.items()} == {
        "home ": 0,
        "guest show": 0,
        "kid on night": 0,
        "kid unlock front_door": 77,
    }
    assert "home, Home, by publickey" in told["home "].out
    assert "Kids' blind open" in told["guest show"].out
    assert told["kid on night"].out == "night is on\n"
    assert "access" in told["kid unlock front_door"].err
