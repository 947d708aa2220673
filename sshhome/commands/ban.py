"""Look after the bans of a site, also from outside when one is locked out."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from sshhome import app, quantity
from sshhome.audit import Audit
from sshhome.ban import Bans, facts
from sshhome.clock import Clock
from sshhome.command import Group, site_option
from sshhome.orders.ban import as_table, as_text, explained, lift, lifted, listed
from sshhome.render import Look, table, wrapped
from sshhome.stores.sqlite import SqliteStore

#: Who the audit log names for what is done here.
_BY = "command line"

T = TypeVar("T")


@click.group(cls=Group)
def ban() -> None:
    """Look after the bans of a site, served or not; a running server takes each change at once."""


@ban.command("list")
@site_option
def ban_list(site: str | None) -> None:
    """List the bans in force."""
    found = _on_bans(app.Site(app.site_path(site)), listed)
    click.echo(table(as_table(found), Look(shutil.get_terminal_size().columns)), nl=False)


@ban.command("explain")
@click.argument("source")
@site_option
def ban_explain(source: str, site: str | None) -> None:
    """Tell why a source is refused; penalties are in the server's memory, and known to its own `ban explain` alone."""
    known = _on_bans(app.Site(app.site_path(site)), lambda bans: explained(bans, source))
    click.echo(wrapped(as_text(known), Look()), nl=False)


@ban.command("add")
@click.argument("source")
@site_option
@click.option("--for", "duration", default="1h", show_default=True, help="For how long.")
def ban_add(source: str, site: str | None, duration: str) -> None:
    """Ban an address, or a /64 or /56 of IPv6, by hand."""
    place, seconds = app.Site(app.site_path(site)), quantity.duration(duration)
    record = _on_bans(place, lambda bans: bans.add(source, seconds, _BY), make=True)
    _audit(place, "ban.set", **facts(record))
    click.echo(f"{record.source} is banned for {quantity.span(seconds)}")


@ban.command("lift")
@click.argument("source")
@site_option
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

    path = place.database
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
