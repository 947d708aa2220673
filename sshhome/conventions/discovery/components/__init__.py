"""Each component that discovery can tell of, and what reads its configuration: add another where it belongs."""

from collections.abc import Callable, Mapping
from typing import Any

from sshhome.conventions.discovery.component import Component
from sshhome.conventions.discovery.components import air, cleaning, light, opening, sensing, setting

BUILDERS: Mapping[str, Callable[[Component], None]] = {
    **air.BUILDERS,
    **cleaning.BUILDERS,
    **light.BUILDERS,
    **opening.BUILDERS,
    **sensing.BUILDERS,
    **setting.BUILDERS,
}


def build(kind: str, config: Mapping[str, Any]) -> Component | None:
    """Return the component of a configuration, its keys written out; None for a kind that is of no use here."""
    builder = BUILDERS.get(kind)
    if builder is None:
        return None
    made = Component(kind, config)
    builder(made)
    return made.built()
