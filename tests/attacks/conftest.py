"""What the attacks share: a house in a process of its own, with the limits it has when nobody sets any."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from sshhome import app
from tests.attacks.victim import MIB, Besiege, Victim, besieged, withstood
from tests.client import Door
from tests.conftest import CONFIG
from tests.process import Operator

Serve = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
async def door(door: Door) -> AsyncIterator[Door]:
    """Serve the site in this process, as for all tests, and look at what is left of an attack."""
    async with withstood(door, memory=48 * MIB):
        yield door


@pytest.fixture
def serve(serve: Serve) -> Serve:
    """Return what serves the site with more in its sshhome.toml, and looks at what is left of an attack."""

    @asynccontextmanager
    async def serving(more: str = "") -> AsyncIterator[Door]:
        async with serve(more) as door, withstood(door, memory=48 * MIB):
            yield door

    return serving


@pytest.fixture
def besiege(operator: Operator, site: app.Site, keys: Path) -> Besiege:
    """Return what serves a house that is attacked, and may grow by so many bytes of memory meanwhile."""

    def serving(more: str = "", *, memory: int = 16 * MIB) -> AbstractAsyncContextManager[Victim]:
        return besieged(operator, site, keys, f"{more}\n{CONFIG}", memory)

    return serving
