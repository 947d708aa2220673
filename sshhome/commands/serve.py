"""Serve a site, or a throw-away one to try."""

import asyncio
import contextlib
import gc
import signal
import sys
import tempfile
from pathlib import Path

import click

from sshhome import app, config
from sshhome.command import complain, site_option
from sshhome.hostkey import make_key

#: The signals that end a server.
_ENDS = (signal.SIGINT, signal.SIGTERM)
#: Seconds after which a server that listens loads what the first shell and table will need.
_WARM_UP_AFTER = 2.0


@click.command()
@site_option
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Where to listen; port 0 picks one.")
def serve(site: str | None, listen: tuple[str, ...]) -> None:
    """Serve a site until told to stop (SIGTERM or ^C)."""
    place = app.Site(app.site_path(site))
    for line in place.bootstrap():
        click.echo(line)
    for error in place.bad_users():
        complain(error)
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
        warming = asyncio.create_task(asyncio.to_thread(_settle))
        await stop.wait()
        await warming


def _settle() -> None:
    """Load what is still missing, and have the garbage collector look no more at what stays until the end.

    Else it looks through all of that, which holds up every order meanwhile, whenever enough has happened.
    """
    app.warm_up()
    gc.collect()
    gc.freeze()


@click.command()
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
