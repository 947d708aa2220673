"""A command of `sshhome`: what all of them share. Its errors are one line each, with the status of the error."""

import signal
from typing import Any

import click

from sshhome.errors import SiteError, SshhomeError
from sshhome.escape import printable

site_option = click.option("--site", metavar="DIR", help="The site; default $SSHHOME_SITE or the current directory.")


def say(line: str) -> None:
    """Tell one harmless line."""
    click.echo(printable(line))


def complain(error: SshhomeError) -> None:
    """Tell of an error in one harmless line."""
    click.echo(printable(f"error: {error.message}" + (f" ({error.hint})" if error.hint else "")), err=True)


class Group(click.Group):
    """A group of commands whose own errors are one line each."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        """Run a command, and tell of what goes wrong."""
        try:
            return super().invoke(ctx)
        except SshhomeError as error:
            complain(error)
            ctx.exit(error.status)
        except OSError as error:
            complain(SiteError(f"{error.filename or 'the system says'}: {error.strerror or error}"))
            ctx.exit(SiteError.status)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
