"""The `sshhome` command: serve a site, make one, check it, and look after its users and bans."""

import asyncio
import contextlib
import getpass
import logging
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sshhome import __version__, app, config, quantity
from sshhome.audit import Audit
from sshhome.ban import Bans, facts
from sshhome.clock import Clock
from sshhome.errors import BadArguments, SiteError, SshhomeError
from sshhome.escape import printable
from sshhome.hostkey import make_key
from sshhome.key import parse_key
from sshhome.order import REGISTRY
from sshhome.orders.ban import as_table, as_text, explained, lift, lifted, listed
from sshhome.password import hash_password
from sshhome.reference import markdown
from sshhome.render import Look, table, wrapped
from sshhome.stores.sqlite import SqliteStore
from sshhome.totp import new_secret, qr_code, uri
from sshhome.user import REQUIREMENTS

_EXAMPLE = """\
# The configuration of this house. Every key is optional; these are the defaults. `sshhome check` shows them all.

listen = ["127.0.0.1:2222"]

[house]
name = "house"

[[backend]]
kind = "simulated"
"""

#: Who the audit log names for what is done here.
_BY = "command line"
#: The signals that end a server.
_ENDS = (signal.SIGINT, signal.SIGTERM)
#: Seconds after which a server that listens loads what the first shell and table will need.
_WARM_UP_AFTER = 2.0

T = TypeVar("T")

_site = click.option("--site", metavar="DIR", help="The site; default $SSHHOME_SITE or the current directory.")


def _complain(error: SshhomeError) -> None:
    """Tell of an error in one harmless line."""
    click.echo(printable(f"error: {error.message}" + (f" ({error.hint})" if error.hint else "")), err=True)


class _Group(click.Group):
    """A group of commands whose own errors are one line each."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        try:
            return super().invoke(ctx)
        except SshhomeError as error:
            _complain(error)
            ctx.exit(error.status)
        except OSError as error:
            _complain(SiteError(f"{error.filename or 'the system says'}: {error.strerror or error}"))
            ctx.exit(SiteError.status)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sshhome")
def main() -> None:
    """Run the front door of a smart house."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # asyncssh logs user names and commands as they come, control characters included; our audit log has them escaped.
    logging.getLogger("asyncssh").setLevel(logging.ERROR)


@main.command()
@_site
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Where to listen; port 0 picks one.")
def serve(site: str | None, listen: tuple[str, ...]) -> None:
    """Serve a site until told to stop (SIGTERM or ^C)."""
    place = app.Site(app.site_path(site))
    for line in place.bootstrap():
        click.echo(line)
    for error in place.bad_users():
        _complain(error)
    asyncio.run(_serve(place, listen))


async def _serve(site: app.Site, listen: tuple[str, ...], *hints: str) -> None:
    """Serve until a signal, telling where and how to try it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _ENDS:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    async with app.running(site, listen) as running:
        loop.add_signal_handler(signal.SIGHUP, running.reload.soon)
        for address in running.addresses:
            click.echo(f"listening on {address}")
        host, port = config.split_address(running.addresses[0])
        admins = [user.login for user in site.users if "admin" in user.roles]
        user = next(iter([*admins, *site.users.names()]), "home")
        for line in hints or (f"try: ssh -p {port} {user}@{host}",):
            click.echo(line.format(host=host, port=port))
        sys.stdout.flush()
        # Loading holds up orders that come meanwhile: not in the first moment, when somebody waits to try one.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _WARM_UP_AFTER)
        warming = asyncio.create_task(asyncio.to_thread(app.warm_up))
        await stop.wait()
        await warming


@main.command()
@click.option("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="Where to listen; port 0 picks one.")
def demo(listen: str) -> None:
    """Serve a throw-away house with the users home, guest and kid, and show the ssh lines to try."""
    # Nothing is left behind however this ends: a signal while the house is made waits until it is served.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with tempfile.TemporaryDirectory(prefix="sshhome-demo-") as folder:
        path = Path(folder)
        site = app.Site(path)
        hints = ["try, in another terminal:"]
        for login, role in (("home", "admin"), ("guest", "guest"), ("kid", "child")):
            key = make_key(path / "keys" / login, f"{login}@demo")
            app.add_user(site.users, login, [role], [key.export_public_key("openssh").decode().strip()], "")
        site.bootstrap()
        for login, words in (("home", ""), ("guest", "show"), ("kid", "on night"), ("kid", "unlock front_door")):
            options = f"-i {path}/keys/{login} -o IdentitiesOnly=yes -o UserKnownHostsFile={path}/known_hosts"
            hints.append(f"  ssh -p {{port}} {options} {login}@{{host}} {words}".rstrip())
        hints.append("^C ends it and leaves nothing behind")
        asyncio.run(_serve(site, (listen,), *hints))


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Make a new site in a directory."""
    if (directory / "sshhome.toml").exists():
        raise BadArguments(f"{directory} is a site already")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "sshhome.toml").write_text(_EXAMPLE, encoding="utf-8")
    for line in app.Site(directory).bootstrap():
        click.echo(line)
    click.echo(f"serve it with: sshhome serve --site {shlex.quote(str(directory))}")


@main.command()
@_site
def check(site: str | None) -> None:
    """Print the effective configuration, or every error."""
    place = app.Site(app.site_path(site))
    errors = place.check()
    for error in errors:
        _complain(error)
    if errors:
        raise SystemExit(SiteError.status)
    click.echo(config.show(place.config))
    for user in place.users:
        click.echo(f"user {user.login} = {', '.join(user.roles) or 'no role'}, {len(user.grants)} grants")


@main.command()
def orders() -> None:
    """Print the reference of all orders, as docs/orders.md has it."""
    click.echo(markdown(REGISTRY), nl=False)


@main.group(cls=_Group)
def user() -> None:
    """Look after the users of a site; a running server takes each change at once."""


@user.command("add")
@click.argument("login")
@_site
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
@_site
@click.option("--remove", is_flag=True, help="End password login for this user.")
def user_passwd(login: str, site: str | None, remove: bool) -> None:
    """Set a user's password, asked for without echo, or read from standard input."""
    users = app.Site(app.site_path(site)).users
    hashed = "" if remove else _new_password()

    def change(document: Any) -> None:  # noqa: ANN401 (a TOML document)
        if hashed:
            document["password"] = hashed
        else:
            document.pop("password", None)

    users.edit(login, change)
    click.echo(f"{login} has {'a new password' if hashed else 'no password'}")


@user.command("totp")
@click.argument("login")
@_site
@click.option("--require", type=click.Choice(REQUIREMENTS[1:]), help="What to prove at each login from now on.")
@click.option("--remove", is_flag=True, help="End one-time codes for this user.")
def user_totp(login: str, site: str | None, require: str | None, remove: bool) -> None:
    """Make a user's secret for one-time codes, and show it once, for an authenticator app."""
    if remove and require:
        raise BadArguments("--remove and --require exclude each other")
    place = app.Site(app.site_path(site))
    secret = "" if remove else new_secret()

    def change(document: Any) -> None:  # noqa: ANN401 (a TOML document)
        if secret:
            document["totp"] = secret
            document["require"] = require or document.get("require", REQUIREMENTS[0])
        else:
            document.pop("totp", None)
            document.pop("require", None)

    changed = place.users.edit(login, change)
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


@user.group("key", cls=_Group)
def user_key() -> None:
    """List, add and remove a user's keys."""


@user_key.command("list")
@click.argument("login")
@_site
def user_key_list(login: str, site: str | None) -> None:
    """List a user's keys."""
    found = app.Site(app.site_path(site)).users.get(login)
    if found is None:
        raise BadArguments(f"user '{login}' does not exist, or its file is not understood")
    for key in found.keys:
        click.echo(f"{key.fingerprint} {key.kind} {key.comment}".rstrip())


# A private key given by mistake begins with dashes; click would take it for an option, and show it.
@user_key.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("login")
@click.argument("key", metavar="LINE|FILE")
@_site
def user_key_add(login: str, key: str, site: str | None) -> None:
    """Add a public key to a user."""
    line = _key_line(key)

    def change(document: Any) -> None:  # noqa: ANN401 (a TOML document)
        if "keys" not in document:
            document["keys"] = []
        if any(parse_key(str(old)).blob == parse_key(line).blob for old in document["keys"]):
            raise BadArguments(f"{login} has this key already")
        document["keys"].append(line)

    app.Site(app.site_path(site)).users.edit(login, change)
    click.echo(f"added {parse_key(line).fingerprint} to {login}")


@user_key.command("remove")
@click.argument("login")
@click.argument("fingerprint", metavar="FINGERPRINT|COMMENT")
@_site
def user_key_remove(login: str, fingerprint: str, site: str | None) -> None:
    """Remove a key from a user; sessions that use it end."""

    def change(document: Any) -> None:  # noqa: ANN401 (a TOML document)
        lines = document.get("keys", [])
        parsed = [parse_key(str(line)) for line in lines]
        found = [at for at, key in enumerate(parsed) if fingerprint in {key.fingerprint, key.comment}]
        if not found:
            raise BadArguments(f"{login} has no key '{fingerprint}'", f"`sshhome user key list {login}` lists them")
        for at in reversed(found):
            del lines[at]

    app.Site(app.site_path(site)).users.edit(login, change)
    click.echo(f"removed {fingerprint} from {login}")


@user.command("list")
@_site
def user_list(site: str | None) -> None:
    """List the users of a site."""
    place = app.Site(app.site_path(site))
    place.users.files()
    for found in place.users:
        ways = [f"{len(found.keys)} keys"] if found.keys else []
        ways += ["password"] if found.password else []
        click.echo(f"{found.login:16} {', '.join(found.roles) or 'no role':16} {', '.join(ways) or 'cannot log in'}")
    for error in place.refused:
        _complain(error)


@user.command("remove")
@click.argument("login")
@_site
def user_remove(login: str, site: str | None) -> None:
    """Remove a user; live sessions end."""
    app.Site(app.site_path(site)).users.remove(login)
    click.echo(f"removed {login}")


@main.group(cls=_Group)
def ban() -> None:
    """Look after the bans of a site, served or not; a running server takes each change at once."""


@ban.command("list")
@_site
def ban_list(site: str | None) -> None:
    """List the bans in force."""
    found = _on_bans(app.Site(app.site_path(site)), listed)
    click.echo(table(as_table(found), Look(shutil.get_terminal_size().columns)), nl=False)


@ban.command("explain")
@click.argument("source")
@_site
def ban_explain(source: str, site: str | None) -> None:
    """Tell why a source is refused; penalties are in the server's memory, and known to its own `ban explain` alone."""
    known = _on_bans(app.Site(app.site_path(site)), lambda bans: explained(bans, source))
    click.echo(wrapped(as_text(known), Look()), nl=False)


@ban.command("add")
@click.argument("source")
@_site
@click.option("--for", "duration", default="1h", show_default=True, help="For how long.")
def ban_add(source: str, site: str | None, duration: str) -> None:
    """Ban an address, or a /64 or /56 of IPv6, by hand."""
    place, seconds = app.Site(app.site_path(site)), quantity.duration(duration)
    record = _on_bans(place, lambda bans: bans.add(source, seconds, _BY), make=True)
    _audit(place, "ban.set", **facts(record))
    click.echo(f"{record.source} is banned for {quantity.span(seconds)}")


@ban.command("lift")
@click.argument("source")
@_site
def ban_lift(source: str, site: str | None) -> None:
    """End the bans of an address or source before their time."""
    place = app.Site(app.site_path(site))
    ended = _on_bans(place, lambda bans: lift(bans, source))
    for info in ended:
        _audit(place, "ban.lifted", source=info.source)
    click.echo(lifted(ended))


def _on_bans(place: app.Site, job: Callable[[Bans], T], *, make: bool = False) -> T:
    """Return what a job makes of the bans of a site, once what it changed is kept."""
    # What could not be kept is told once, as this command's own error.
    logging.getLogger("sshhome.stores").setLevel(logging.CRITICAL)

    async def work(path: Path) -> T:
        store = await SqliteStore.open(path)
        try:
            bans = Bans(place.config.bans, Clock(), store)
            await bans.load()
            result = job(bans)
            await store.settle()
            return result
        finally:
            await store.close()

    path = place.path / "state" / "sshhome.db"
    if make or path.exists():
        return asyncio.run(work(path))
    # A site that was never served has no bans, and asking for them leaves nothing behind.
    with tempfile.TemporaryDirectory(prefix="sshhome-ban-") as folder:
        return asyncio.run(work(Path(folder) / path.name))


def _audit(place: app.Site, event: str, **fields: object) -> None:
    """Write an event into the audit log of a site."""
    audit = Audit(place.path / "state" / "audit.jsonl", Clock())
    audit.write(event, **fields, by=_BY)
    audit.close()


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
