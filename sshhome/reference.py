"""The reference of all orders, generated from the registry, so that it cannot tell otherwise than the code does."""

from sshhome.bind import COMMON_OPTIONS
from sshhome.order import Order, Registry
from sshhome.pipe import FILTERS


def markdown(registry: Registry) -> str:
    """Return docs/orders.md."""
    parts = ["# Orders\n\nMade by `sshhome orders`; a test fails when this page and the program differ.\n"]
    parts.append("Every order takes:\n\n" + "".join(f"* `{name}`: {says}\n" for name, says in COMMON_OPTIONS.items()))
    behind = (f"* `| {name}{f' {takes}' if takes else ''}`: {says}\n" for name, (takes, says) in FILTERS.items())
    parts.append("Behind every order may stand filters, which make less of what it answers:\n\n" + "".join(behind))
    parts += [_section(order) for order in registry]
    return "\n".join(parts)


def _section(order: Order) -> str:
    lines = [f"## {order.name}\n", f"    {order.usage}\n", f"{order.summary}. Needs `{order.needs}`.\n"]
    if order.params:
        lines.append("".join(f"* `{param.usage}`: {param.says}\n" for param in order.params))
    return "\n".join(lines)
