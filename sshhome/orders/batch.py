"""The order that runs a file of orders, which a client gives on standard input: files of the house are nobody's."""

from typing import Annotated

from sshhome.errors import BadArguments
from sshhome.grant import Privilege
from sshhome.order import Context, order
from sshhome.param import Text

_HOW = "ssh home@house run < orders.txt"


@order("run", needs=Privilege.READ, says=str)
async def run(ctx: Context, file: Annotated[str, Text("-")] = "-") -> str:
    """Run orders from standard input, one a line, to the first that fails.

    file: standard input, which a channel reads; where there is none it is told how to give it
    """
    if file != "-":
        raise BadArguments("files are read on your side", _HOW)
    return f"orders come on standard input: {_HOW}"
