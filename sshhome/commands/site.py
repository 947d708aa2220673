"""Make a site, check it, and tell what one can be ordered."""

import asyncio
import shlex
from pathlib import Path

import click
import msgspec

from sshhome import app, config
from sshhome.command import complain, say, site_option
from sshhome.errors import BadArguments, SiteError
from sshhome.openrpc import openrpc
from sshhome.order import REGISTRY
from sshhome.reference import markdown
from sshhome.stubs import python

_EXAMPLE = """\
# The configuration of this house. Every key is optional; these are the defaults. `sshhome check` shows them all.

listen = ["127.0.0.1:2222"]

[house]
name = "house"

# A simulated house to try it on. Your own one is behind an MQTT broker, in a Home Assistant, or both:
#
#     kind = "mqtt"                                kind = "home_assistant"
#     url = "mqtt://sshhome@localhost"             url = "http://homeassistant.local:8123"
#     password_file = "/home/pi/broker_password"   token_file = "/home/pi/home_assistant_token"

[[backend]]
kind = "simulated"
"""


@click.command()
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


@click.command()
@click.option("--connect", is_flag=True, help="Connect every backend once too, and tell what is there.")
@site_option
def check(site: str | None, connect: bool) -> None:
    """Print the effective configuration, or every error."""
    place = app.Site(app.site_path(site))
    errors = place.check()
    for error in errors:
        complain(error)
    if errors:
        raise SystemExit(SiteError.status)
    for line in config.show(place.config).split("\n"):
        say(line)
    for user in place.users:
        say(f"user {user.login} = {', '.join(user.roles) or 'no role'}, {len(user.grants)} grants")
    if connect and not _connect(place):
        raise SystemExit(SiteError.status)


def _connect(place: app.Site) -> bool:
    """Connect every backend once, tell a line of each, and return whether all is well."""
    found = asyncio.run(place.connect())
    for name, what in found.items():
        if isinstance(what, SiteError):
            complain(SiteError(f"backend {name}: {what.message}", what.hint))
        else:
            say(f"backend {name}: {what}")
    return not any(isinstance(what, SiteError) for what in found.values())


@click.command()
@click.option("--python", "as_python", is_flag=True, help="As the methods of sshhome.client.")
@click.option("--openrpc", "as_openrpc", is_flag=True, help="As an OpenRPC document.")
def orders(as_python: bool, as_openrpc: bool) -> None:
    """Print the reference of all orders, as docs/orders.md has it."""
    if as_openrpc:
        click.echo(msgspec.json.format(msgspec.json.encode(openrpc(REGISTRY))))
    else:
        click.echo(python(REGISTRY) if as_python else markdown(REGISTRY), nl=False)
