"""The generated reference is what the program does."""

from pathlib import Path

from sshhome.bind import COMMON_OPTIONS
from sshhome.order import REGISTRY
from sshhome.pipe import FILTERS
from sshhome.reference import markdown

PAGE = Path(__file__).parent.parent / "docs" / "orders.md"


def test_orders_page_is_up_to_date() -> None:
    """docs/orders.md is what `make docs` writes."""
    assert PAGE.read_text(encoding="utf-8") == markdown(REGISTRY)


def test_orders_page_tells_everything() -> None:
    """Every order, its usage, privilege and params, and the options and filters of all, stand on the page."""
    page = markdown(REGISTRY)
    assert page.count("\n## ") == len(list(REGISTRY))
    assert all(f"* `{name}`: {says}\n" in page for name, says in COMMON_OPTIONS.items())
    assert all(f"* `| {f'{name} {takes}'.strip()}`: {says}\n" in page for name, (takes, says) in FILTERS.items())
    for order in REGISTRY:
        section = page.split(f"\n## {order.name}\n", 1)[1].split("\n## ", 1)[0]
        assert f"    {order.usage}\n" in section
        assert f"{order.summary}. Needs `{order.needs}`.\n" in section
        assert all(f"* `{param.usage}`: {param.says}\n" in section for param in order.params)
