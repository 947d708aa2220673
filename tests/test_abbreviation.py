"""Names of orders cut short, in shells: written out where there is no doubt, and where no door could open by it."""

from collections.abc import AsyncIterator

import pytest

from sshhome.abbreviation import written_out
from tests.test_dispatch import Build, Road
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("admin> sho", "show"),
        ("admin> SHO @kitchen", "show @kitchen"),
        ("admin> back lis", "backend list"),
        ("admin> ban lis", "ban list"),
        ("admin>  us sh guest ", " user show guest "),
        ("admin> sho; tog kitchen;  who", "show; toggle kitchen;  who"),
        ("admin> dim kitchen 5", "dim kitchen 5"),
        # Ambiguous: for this user, since others may give other orders.
        ("admin> ba li", "ba li"),
        ("admin> un front_door", "un front_door"),
        ("guest> u", "u"),
        ("guest> up hi", "upper hi"),
        ("admin> o kitchen", "o kitchen"),
        # An order that is written out is no other one cut short.
        ("admin> on list", "on list"),
        ("admin> undo l", "undo l"),
        # What lets people in is written out.
        ("admin> unl front_door", "unl front_door"),
        ("admin> ope garage", "ope garage"),
        ("admin> ope cover.living", "open cover.living"),
        ("admin> arm", "arm"),
        ("admin> und", "und"),
        # Nobody types so many, and each is looked up.
        ("admin> " + "tog all;" * 20, "tog all;" * 20),
        # What is quoted or an option is no name.
        ("admin> 'sho'", "'sho'"),
        ("admin> --json sho", "--json sho"),
        ("admin> nosuch", "nosuch"),
        ("admin> ", ""),
        ("admin> echo 'open", "echo 'open"),
    ],
)
async def test_written_out(road: Road, line: str, becomes: str) -> None:
    """A name that is short for one order alone, of those that its giver may give, becomes that; all else stays."""
    user, _, given = line.partition("> ")
    session = road.session(user)
    standing = session.standing()
    assert not isinstance(standing, str)
    authorizer = road.dispatch.authorizer
    scope = authorizer.scope(standing.rights, authorizer.facts(standing, session))
    assert written_out(road.dispatch.allowed(standing, session), scope, given) == becomes
