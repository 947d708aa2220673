"""Ask a house that is served somewhere, as an app does: give it one order, or see what happens in it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import click

from sshhome.bind import NAMED_OPTIONS, check_common, named, split_common, texts_of
from sshhome.client import Change, Device, Gap, Happening, House, LeftOut
from sshhome.client.watch import Told
from sshhome.command import say
from sshhome.errors import UnknownOrder
from sshhome.escape import printable_json
from sshhome.order import REGISTRY
from sshhome.words import Word, split

F = TypeVar("F", bound=Callable[..., None])

_ADDRESS = click.argument("address", metavar="USER@HOST[:PORT]")


def _way(command: F) -> F:
    """Add the options that say how to get in."""
    key = click.option("--key", metavar="FILE", help="The private key; else those that `ssh` would try.")
    known = click.option("--known-hosts", metavar="FILE", help="Who is known; default ~/.ssh/known_hosts.")
    pinned = click.option("--fingerprint", default="", metavar="SHA256:…", help="The key that the house must show.")
    patience = click.option("--patience", default=60.0, metavar="SECONDS", help="How long to try again; default 60.")
    for option in (patience, pinned, known, key):
        command = option(command)
    return command


# What stands behind the address is the order's, options and all.
@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_way
@click.option(
    "--once", metavar="KEY", help="A key of your own: under the same one, the order is carried out once a day."
)
@_ADDRESS
@click.argument("order", nargs=-1, required=True, type=click.UNPROCESSED)
def call(address: str, order: Sequence[str], once: str | None, **way: Any) -> None:  # noqa: ANN401 (as declared)
    """Give a house an order, and print its answer as JSON.

    An order that a lost connection leaves in doubt is asked for again, and carried out once.
    """
    name, params = read(order)

    async def ask(house: House) -> None:
        try:
            _print(await house.call(name, {**params, "idempotency_key": once}))
        except LeftOut as error:
            _print([asdict(one) if isinstance(one, Device) else one for one in error.results])
            raise error.worst from None

    _run(_within(address, way, ask))


@click.command()
@_way
@click.option(
    "--topic", "topics", multiple=True, type=click.Choice(["state", "presence", "audit"]), help="What to tell."
)
@click.option("--json", "in_json", is_flag=True, help="One JSON object a line.")
@_ADDRESS
@click.argument("target", default="")
def tail(address: str, target: str, topics: Sequence[str], in_json: bool, **way: Any) -> None:  # noqa: ANN401
    """Print what happens in a house as it happens, through lost connections and restarts, until interrupted."""

    async def follow(house: House) -> None:
        async with house.watch(target, topics=topics or ["state"]) as watch:
            async for told in watch:
                if in_json:
                    _print(_plainly(told))
                else:
                    say(_in_words(told))

    _run(_within(address, way, follow))


def _run(doing: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(doing)
    except BrokenPipeError:
        # Whoever reads has had enough, as `head` has: that is no error, and what Python would still write goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


async def _within(address: str, way: Mapping[str, Any], do: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async with House.connect(address, **way) as house:
        await do(house)


def read(words: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Return the order that these words begin with, and its params by name; raises BadArguments or UnknownOrder."""
    orders = split(words[0]) if len(words) == 1 else []
    # One word with all of it is how `ssh` may be given an order, too.
    common, rest = split_common(REGISTRY, orders[0] if len(orders) == 1 else [Word(word) for word in words])
    check_common(common)
    order, count = REGISTRY.find([word.text for word in rest])
    if order is None:
        raise UnknownOrder(f"unknown order '{' '.join(words)[:80]}'", "`sshhome orders` lists them")
    texts = texts_of(order, rest[count:])
    params: dict[str, object] = {
        named(order, param): True if param.flag else texts[param.name] for param in order.params if param.name in texts
    }
    params |= {name: common[option] or True for name, option in NAMED_OPTIONS.items() if option in common}
    return order.name, params


def _print(value: object) -> None:
    click.echo(printable_json(json.dumps(value, ensure_ascii=False)))


def _plainly(told: Told) -> Mapping[str, object]:
    """Return what is told as one object, which says what it is about."""
    match told:
        case Change():
            return {"topic": "state", **asdict(told)}
        case Gap():
            return {"topic": "gap", "topics": told.topics}
        case Happening():
            return asdict(told)


def _in_words(told: Told) -> str:
    match told:
        case Change(device=None):
            return f"{told.at}  {told.id}  is gone"
        case Change():
            new = "  ".join(f"{name}={value}" for name, value in told.change.items())
            return f"{told.at}  {told.id}  {new or 'is there'}{f'  ({told.by})' if told.by else ''}"
        case Gap():
            return f"something may be missing here: {', '.join(told.topics)}"
        case Happening():
            return f"{told.at}  {told.event}  {'  '.join(f'{name}={value}' for name, value in told.fields.items())}"
