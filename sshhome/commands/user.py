"""Look after the users of a site."""

import asyncio
import contextlib
import getpass
import shutil
import sys
import time
from pathlib import Path

import click

from sshhome import app
from sshhome.command import Group, complain, say, site_option
from sshhome.edit import ROLE, add_grant, add_key, add_role, put, remove_held, remove_key
from sshhome.errors import BadArguments, SiteError
from sshhome.key import parse_key
from sshhome.password import hash_password
from sshhome.recall import Recall
from sshhome.stores.sqlite import SqliteStore
from sshhome.totp import new_secret, qr_code, uri
from sshhome.user import REQUIREMENTS


@click.group(cls=Group)
def user() -> None:
    """Look after the users of a site; a running server takes each change at once."""


@user.command("add")
@click.argument("login")
@site_option
@click.option("--role", "roles", multiple=True, help="A role; may be given again.")
@click.option("--key", "keys", multiple=True, metavar="LINE|FILE", help="A public key, or a file with one.")
@click.option("--password", "with_password", is_flag=True, help="Ask for a password.")
def user_add(login: str, site: str | None, roles: tuple[str, ...], keys: tuple[str, ...], with_password: bool) -> None:
    """Add a user."""
    users = app.Site(app.site_path(site)).users
    hashed = _new_password() if with_password else ""
    app.add_user(users, login, roles or ("guest",), [_key_line(key) for key in keys], hashed)
    click.echo(f"added {login}, role {', '.join(roles or ('guest',))}")
    if not keys and not hashed:
        click.echo(f"{login} cannot log in yet: `sshhome user key add {login} FILE` or `sshhome user passwd {login}`")


@user.command("passwd")
@click.argument("login")
@site_option
@click.option("--remove", is_flag=True, help="End password login for this user.")
def user_passwd(login: str, site: str | None, remove: bool) -> None:
    """Set a user's password, asked for without echo, or read from standard input."""
    users = app.Site(app.site_path(site)).users
    hashed = "" if remove else _new_password()
    users.edit(login, put(password=hashed))
    click.echo(f"{login} has {'a new password' if hashed else 'no password'}")


@user.command("totp")
@click.argument("login")
@site_option
@click.option("--require", type=click.Choice(REQUIREMENTS[1:]), help="What to prove at each login from now on.")
@click.option("--remove", is_flag=True, help="End one-time codes for this user.")
def user_totp(login: str, site: str | None, require: str | None, remove: bool) -> None:
    """Make a user's secret for one-time codes, and show it once, for an authenticator app."""
    if remove and require:
        raise BadArguments("--remove and --require exclude each other")
    place = app.Site(app.site_path(site))
    secret = "" if remove else new_secret()
    required = {"require": require} if require or remove else {}
    changed = place.users.edit(login, put(totp=secret, **required))
    if not secret:
        click.echo(f"{login} has no one-time codes, and needs none")
        return
    _show_secret(secret, uri(secret, login, place.config.house.name))
    if changed.needs_code:
        click.echo(f"{login} needs a code at each login: {changed.require}")
    else:
        click.echo(f'{login} is not asked for codes at login; require = "publickey+totp" in the user file does that')


def _show_secret(secret: str, link: str) -> None:
    """Show a secret as QR code, link and text; to what is no terminal, without the QR code."""
    if sys.stdout.isatty():
        code, columns = qr_code(link), shutil.get_terminal_size().columns
        if len(code[0]) <= columns:
            click.echo("scan this with an authenticator app:")
            for line in code:
                click.secho(line, fg="bright_white", bg="black")
        else:
            click.echo(f"a QR code takes {len(code[0])} columns and there are {columns}: type the secret into an")
            click.echo("authenticator app, or run this again in a wider terminal, which makes another secret")
    click.echo(link)
    click.echo(f"secret: {secret} (shown this once)")


@user.group("key", cls=Group)
def user_key() -> None:
    """List, add and remove a user's keys."""


@user_key.command("list")
@click.argument("login")
@site_option
def user_key_list(login: str, site: str | None) -> None:
    """List a user's keys."""
    for key in app.Site(app.site_path(site)).users.named(login).keys:
        say(f"{key.fingerprint} {key.kind} {key.comment}".rstrip())


# A private key given by mistake begins with dashes; click would take it for an option, and show it.
@user_key.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("login")
@click.argument("key", metavar="LINE|FILE")
@site_option
def user_key_add(login: str, key: str, site: str | None) -> None:
    """Add a public key to a user."""
    line = _key_line(key)
    users = app.Site(app.site_path(site)).users
    added = users.edit(login, add_key(line, users.roles)).keys[-1]
    click.echo(f"added {added.fingerprint} to {login}")


@user_key.command("remove")
@click.argument("login")
@click.argument("fingerprint", metavar="FINGERPRINT|COMMENT")
@site_option
def user_key_remove(login: str, fingerprint: str, site: str | None) -> None:
    """Remove a key from a user; sessions that use it end."""
    app.Site(app.site_path(site)).users.edit(login, remove_key(fingerprint))
    click.echo(f"removed {fingerprint} from {login}")


@user.command("grant")
@click.argument("login")
@click.argument("what", metavar="GRANT|role:ROLE")
@site_option
@click.option("--deny", is_flag=True, help="Keep the user from it.")
def user_grant(login: str, what: str, site: str | None, deny: bool) -> None:
    """Let a user do more, such as control:light.*, or give them a role; conditions are written in the user's file."""
    users = app.Site(app.site_path(site)).users
    if what.startswith(ROLE):
        if deny:
            raise BadArguments("a role is given as it is, and not denied")
        users.edit(login, add_role(what.removeprefix(ROLE), users.roles))
    else:
        users.edit(login, add_grant({"deny": what} if deny else what, users.roles))
    click.echo(f"{login} has '{'deny ' if deny else ''}{what}' now")


@user.command("revoke")
@click.argument("login")
@click.argument("what", metavar="GRANT|role:ROLE", nargs=-1, required=True)
@site_option
def user_revoke(login: str, what: tuple[str, ...], site: str | None) -> None:
    """Take a grant, a deny or a role from a user."""
    users, named = app.Site(app.site_path(site)).users, " ".join(what)
    users.edit(login, remove_held(named, users.roles))
    click.echo(f"{login} no longer has '{named}'")


@user.command("freeze")
@click.argument("login")
@site_option
def user_freeze(login: str, site: str | None) -> None:
    """Keep a user out until they are thawed; live sessions end."""
    app.Site(app.site_path(site)).users.edit(login, put(frozen=True))
    click.echo(f"{login} is frozen")


@user.command("thaw")
@click.argument("login")
@site_option
def user_thaw(login: str, site: str | None) -> None:
    """Let a frozen user in again."""
    app.Site(app.site_path(site)).users.edit(login, put(frozen=False))
    click.echo(f"{login} is not frozen")


@user.command("list")
@site_option
def user_list(site: str | None) -> None:
    """List the users of a site."""
    place = app.Site(app.site_path(site))
    place.users.files()
    for found in place.users:
        ways = [f"{len(found.keys)} keys"] if found.keys else []
        ways += ["password"] if found.password else []
        ways = [found.require] if found.needs_code else ways
        ways = [state] if (state := found.state(time.time())) else ways
        ways += [f"pass of {found.issued_by}"] if found.issued_by else []
        say(f"{found.login:16} {', '.join(found.roles) or 'no role':16} {', '.join(ways) or 'cannot log in'}")
    for error in place.refused:
        complain(error)


@user.command("remove")
@click.argument("login")
@site_option
def user_remove(login: str, site: str | None) -> None:
    """Remove a user; live sessions end."""
    place = app.Site(app.site_path(site))
    place.users.remove(login)
    asyncio.run(_forget(place, login))
    click.echo(f"removed {login}")


async def _forget(place: app.Site, login: str) -> None:
    """Forget what is remembered of a user who is gone; a server that runs forgets by itself what it has in mind."""
    Recall(place.path / "state" / "shells").forget(login)
    if place.database.exists():
        store = await SqliteStore.open(place.database)
        try:
            store.forget_user(login)
            await store.settle()
        finally:
            await store.close()


def _new_password() -> str:
    """Ask for a password twice, or read it once from standard input; return its hash."""
    if not sys.stdin.isatty():
        return hash_password(sys.stdin.readline().rstrip("\n"))
    first = getpass.getpass("new password: ")
    if getpass.getpass("again: ") != first:
        raise BadArguments("the two are not the same")
    return hash_password(first)


def _key_line(given: str) -> str:
    """Return the authorized_keys line given, or that of the file given; raises SiteError for one that is no key."""
    line, is_file = given, False
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        path = Path(given).expanduser()
        is_file = path.is_file()
        line = path.read_text(encoding="utf-8").strip() if is_file else given
    if "PRIVATE KEY" in line:
        raise BadArguments("this is a private key", f"its public half is probably {given}.pub" if is_file else "")
    try:
        parse_key(line)
    except SiteError as error:
        what = "holds no key" if is_file else "is neither a file nor a key"
        raise BadArguments(f"'{given[:80]}' {what}: {error.message}") from None
    return line
