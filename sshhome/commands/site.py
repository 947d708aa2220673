"""Make a site, check it, and tell what one can be ordered."""

import shlex
from pathlib import Path

import click

from sshhome import app, config
from sshhome.command import complain, say, site_option
from sshhome.errors import BadArguments, SiteError
from sshhome.order import REGISTRY
from sshhome.reference import markdown

_EXAMPLE = """\
# The configuration of this house. Every key is optional; these are the defaults. `sshhome check` shows them all.

listen = ["127.0.0.1:2222"]

[house]
name = "house"

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
@site_option
def check(site: str | None) -> None:
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


@click.command()
def orders() -> None:
    """Print the reference of all orders, as docs/orders.md has it."""
    click.echo(markdown(REGISTRY), nl=False)
