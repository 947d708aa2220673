"""The `sshhome` command: serve a site, make one, check it, look after its users and bans, and ask it as an app does."""

import logging

import click

from sshhome import __version__
from sshhome.command import Group
from sshhome.commands.ban import ban
from sshhome.commands.remote import call, tail
from sshhome.commands.serve import demo, serve
from sshhome.commands.site import check, init, orders
from sshhome.commands.user import user


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sshhome")
def main() -> None:
    """Run the front door of a smart house."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # asyncssh logs user names and commands as they come, control characters included; our audit log has them escaped.
    logging.getLogger("asyncssh").setLevel(logging.ERROR)


for command in (serve, demo, init, check, orders, user, ban, call, tail):
    main.add_command(command)
