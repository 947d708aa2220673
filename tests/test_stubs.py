"""The generated methods of the client app are what the house takes."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_type_hints

from sshhome.client import House
from sshhome.client.orders import LOOKING, BlockingOrders, Changing, Given, Orders
from sshhome.grant import Privilege
from sshhome.order import REGISTRY, Context, Registry
from sshhome.order import order as register
from sshhome.stubs import python

MODULE = Path(__file__).parent.parent / "sshhome" / "client" / "orders.py"


def methods(cls: type) -> set[str]:
    """Return the orders that a class has."""
    return {name for name in vars(cls) if not name.startswith("_")} - {"call", "wait"}


def test_they_are_up_to_date() -> None:
    """sshhome/client/orders.py is what `make docs` writes."""
    ruff = Path(sys.executable).parent / "ruff"
    command = [str(ruff), "format", "--stdin-filename", str(MODULE), "-"]
    done = subprocess.run(command, input=python(REGISTRY), capture_output=True, text=True, check=True)
    assert MODULE.read_text(encoding="utf-8") == done.stdout


def test_every_order_that_answers_has_a_method() -> None:
    """All orders are there, but for those that answer without end, which `House.watch` is for."""
    names = {order.name.replace(" ", "_").replace("-", "_") for order in REGISTRY}
    endless = names - {name.rstrip("_") for name in methods(Orders)}
    assert endless == {"watch", "dash", "subscribe"}
    assert methods(Orders) == methods(BlockingOrders)


def test_no_order_hides_what_a_house_has_itself() -> None:
    """The methods that are no orders have names that no order has."""
    assert not methods(House) & {order.name for order in REGISTRY} - {"watch"}


def test_signatures() -> None:
    """Params in their order, options by name, what need not be given left out, and what may be said besides."""
    signature = inspect.signature(Orders.history)
    assert [str(param) for param in signature.parameters.values()][1:4] == [
        "target: str",
        "since: str | None = None",
        "until: str | None = None",
    ]
    assert signature.parameters["since"].kind is inspect.Parameter.KEYWORD_ONLY
    assert get_type_hints(Orders.arm)["mode"] == Literal["home", "away", "night"] | None
    assert Changing.__optional_keys__ - Given.__optional_keys__ == {"no_wait", "for_", "confirm"}


def test_what_may_be_given_again_changes_nothing() -> None:
    """No order that changes anything is given again just so."""
    orders = [order for order in REGISTRY if order.name in LOOKING]
    assert len(orders) == len(LOOKING)
    assert not [order.name for order in orders if order.changes or order.proves or order.keeps]
    assert not LOOKING & {"on", "confirm", "key add", "macro save", "user add", "passwd"}


def test_a_new_order_is_a_new_method() -> None:
    """Whatever somebody adds is in it, with the types of its signature and answer."""
    registry = Registry()

    @register("in", needs=Privilege.ADMIN, says=str, registry=registry)
    async def order(ctx: Context, number: int, *, as_: str = "", loud: bool = False) -> str:
        """Do something.

        number: how often
        as_: as whom
        loud: so that all hear it
        """
        return f"{number}{as_}{loud}"

    text = python(registry)
    takes = "self, number: int, *, as_: str | None = None, loud: bool = False, **given: Unpack[Given]"
    assert f"async def in_({takes}) -> str:" in text
    assert f"    def in_({takes}) -> str:" in text
    assert '"number": number, "as": as_, "loud": loud or None' in text
