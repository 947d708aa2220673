"""`sshhome user totp`: a secret is made, shown once in a way that an app can take, and kept from everybody else."""

import asyncio
import fcntl
import os
import re
import struct
import sys
import termios
from pathlib import Path

import pyotp
import pytest

from sshhome import app
from sshhome.errors import BadArguments, SiteError
from sshhome.totp import check_secret, qr_code
from sshhome.user import User
from tests.client import PATIENCE, Answer
from tests.process import Operator, lines, without_override


def user(site: app.Site, login: str = "guest") -> User:
    """Return a user as a server that starts now would know them."""
    found = app.Site(site.path).users.get(login)
    assert found is not None
    return found


def shown(answer: Answer) -> str:
    """Return the secret that was shown, which must be good, and the same in the link."""
    assert (answer.err, answer.status) == ("", 0)
    (secret,) = re.findall(r"^secret: (\w+) \(shown this once\)\r?$", answer.out, re.MULTILINE)
    check_secret(secret)
    link = pyotp.parse_uri(next(word for word in answer.out.split() if word.startswith("otpauth://")))
    assert (link.secret, link.name, link.issuer) == (secret, "guest", "house")
    return str(secret)


async def at_a_terminal(operator: Operator, columns: int, *words: str, site: Path) -> Answer:
    """Run `sshhome` in a terminal of so many columns."""
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sshhome", *words, "--site", str(site)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=follower,
        stderr=asyncio.subprocess.PIPE,
        env=operator.environment(PYTHONUTF8="1"),
        cwd=operator.home,
    )
    os.close(follower)
    out = asyncio.create_task(asyncio.to_thread(read_all, leader))
    async with asyncio.timeout(PATIENCE):
        _, err = await process.communicate()
        text = (await out).decode()
    return Answer(text, err.decode(), process.returncode or 0)


def read_all(leader: int) -> bytes:
    """Return what a terminal was told, until nobody writes to it any more."""
    data = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            chunk = b""
        if not chunk:
            os.close(leader)
            return data
        data += chunk


async def test_a_secret_is_made_and_shown_once(operator: Operator, site: app.Site) -> None:
    """Without a terminal the secret and the link are lines of text; the file holds it, for its owner alone."""
    secret = shown(await operator.types("user", "totp", "guest", site=site.path))
    assert (user(site).totp, user(site).require) == (secret, "any")
    path = site.path / "authorized_users" / "guest.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    for words in (("user", "list"), ("check",), ("user", "key", "list", "guest")):
        assert secret not in (await operator.types(*words, site=site.path)).out


async def test_another_secret_replaces_the_first(operator: Operator, site: app.Site) -> None:
    """Running it again makes another secret, and leaves as it is what is required at login."""
    first = shown(await operator.types("user", "totp", "guest", "--require", "publickey+totp", site=site.path))
    again = await operator.types("user", "totp", "guest", site=site.path)
    assert shown(again) != first
    assert (user(site).totp, user(site).require) == (shown(again), "publickey+totp")


@pytest.mark.parametrize("require", ["publickey+totp", "password+totp"])
async def test_codes_are_required(operator: Operator, site: app.Site, require: str) -> None:
    """`--require` asks for a code at each login from now on, and it is said; without it, it is said how."""
    answer = await operator.types("user", "totp", "guest", site=site.path)
    assert answer.out.endswith(
        'guest is not asked for codes at login; require = "publickey+totp" in the user file does that\n'
    )
    answer = await operator.types("user", "totp", "guest", "--require", require, site=site.path)
    assert answer.out.endswith(f"guest needs a code at each login: {require}\n")
    assert (user(site).require, user(site).totp) == (require, shown(answer))


async def test_codes_end(operator: Operator, site: app.Site) -> None:
    """`--remove` takes the secret and what requires it out of the file, and leaves the rest as it was."""
    path = site.path / "authorized_users" / "guest.toml"
    before = path.read_text()
    await operator.types("user", "totp", "guest", "--require", "publickey+totp", site=site.path)
    answer = await operator.types("user", "totp", "guest", "--remove", site=site.path)
    assert answer == ("guest has no one-time codes, and needs none\n", "", 0)
    assert path.read_text() == before
    assert await operator.types("user", "totp", "guest", "--remove", site=site.path) == answer


async def test_a_terminal_shows_a_qr_code(operator: Operator, site: app.Site) -> None:
    """In a terminal the QR code of the link is drawn, light on dark whatever the terminal's colours."""
    answer = await at_a_terminal(operator, 41, "user", "totp", "guest", site=site.path)
    secret = shown(answer)
    link = next(word for word in answer.out.split() if word.startswith("otpauth://"))
    drawn = re.findall(r"^\x1b\[97m\x1b\[40m([█▀▄ ]+)\x1b\[0m\r$", answer.out, re.MULTILINE)
    assert drawn == qr_code(link)
    assert user(site).totp == secret


async def test_a_narrow_terminal_says_what_to_do(operator: Operator, site: app.Site) -> None:
    """A terminal too narrow for the QR code is told how wide it would have to be, and shows the secret all the same."""
    answer = await at_a_terminal(operator, 40, "user", "totp", "guest", site=site.path)
    assert user(site).totp == shown(answer)
    assert answer.out.startswith("a QR code takes 41 columns and there are 40: type the secret into an\r\n")
    assert "█" not in answer.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nobody",), BadArguments.status, "'nobody' does not exist"),
        (("../guest",), BadArguments.status, "no login name"),
        (("guest", "--remove", "--require", "publickey+totp"), BadArguments.status, "exclude each other"),
        (("guest", "--require", "totp"), 2, "totp"),
        (("guest", "--require", "any"), 2, "any"),
    ],
)
async def test_mistakes(operator: Operator, site: app.Site, words: tuple[str, ...], status: int, message: str) -> None:
    """A mistake is told, changes nothing, and shows no secret."""
    answer = await operator.types("user", "totp", *words, site=site.path)
    assert answer.status == status
    assert message in answer.err
    assert answer.out == ""
    assert user(site).totp == ""


async def test_a_broken_file_is_told_without_its_secret(operator: Operator, site: app.Site) -> None:
    """A file that is not understood is left as it is, and neither its secret nor a new one is shown."""
    path = site.path / "authorized_users" / "guest.toml"
    text = 'totp = "hunter2hunter2hunter2"\nrequire = "publickey+totp"\n'
    path.write_text(text)
    answer = await operator.types("user", "totp", "guest", site=site.path)
    assert (answer.out, answer.status) == ("", SiteError.status)
    (line,) = lines(answer)
    assert line.startswith("error: authorized_users/guest.toml: totp: a secret is base32")
    assert "hunter2" not in line
    assert path.read_text() == text


async def test_a_file_that_cannot_be_written(operator: Operator, site: app.Site) -> None:
    """A secret that cannot be kept is not shown."""
    folder = site.path / "authorized_users"
    folder.chmod(0o500)
    answer = await operator.types("user", "totp", "guest", site=site.path, before=without_override())
    folder.chmod(0o700)
    assert (answer.out, answer.status) == ("", SiteError.status)
    assert len(lines(answer)) == 1
    assert user(site).totp == ""
