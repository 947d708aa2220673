"""What is offered to type next: what this user could give, and nothing that they may not know of."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.complete import complete
from sshhome.words import split
from tests.test_dispatch import _HIDDEN, ARGUMENTS, ATTACKER, LINES, ROLES, USERS, Build, Road, line_of, names_of
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


def offered(road: Road, user: str, before: str) -> list[str]:
    """Return what may be typed next."""
    return [suggestion.text for suggestion in complete(road.dispatch, road.user(user), before)[1]]


@pytest.mark.parametrize(
    ("line", "typed", "some", "none"),
    [
        ("admin> ", "", {"on", "unlock", "ban", "help"}, {"ban list", "kitchen"}),
        ("guest> ", "", {"on", "help", "whoami"}, {"unlock", "ban", "user", "arm", "open"}),
        ("viewer> ", "", {"list", "help"}, {"on", "dim"}),
        ("nobody> ", "", set(), {"help", "on"}),
        ("admin> o", "o", {"on", "off", "open"}, {"dim"}),
        ("admin> O", "O", {"on"}, {"dim"}),
        ("admin> ban ", "", {"list", "lift"}, {"on"}),
        ("admin> ban l", "l", {"list", "lift"}, {"on"}),
        ("guest> ban ", "", set(), {"list"}),
        ("guest> help u", "u", {"upper"}, {"unlock", "user"}),
        ("admin> help ban ", "", {"list", "lift"}, set()),
        ("admin> on ", "", {"kitchen", "light.bedroom", "@kids", "all"}, {"front_door", "bedroom"}),
        ("admin> on k", "k", {"kitchen", "kids"}, {"desk", "@kids"}),
        ("admin> on @k", "@k", {"@kids", "@kitchen"}, {"kitchen"}),
        ("cleaner> on ", "", {"kitchen"}, {"night", "@kids", "kids", "tv"}),
        ("cleaner> unlock ", "", {"front_door"}, {"side_door"}),
        ("admin> dim desk ", "", {"50", "100"}, {"kitchen"}),
        ("admin> dim desk 50 ", "", set(), {"50"}),
        ("admin> ban add 10.0.0.1 --f", "--f", {"--for"}, {"--for-", "--json"}),
        ("admin> color desk ", "", {"red", '"warm white"'}, {"warm white"}),
        ("admin> set climate.living ", "", {"21", "heat"}, {"locked"}),
        ("admin> set climate.living.mode ", "", {"heat"}, {"21"}),
        ("admin> set nosuch ", "", set(), {"on"}),
        ("admin> arm ", "", {"home", "away", "night"}, {"house"}),
        ("admin> arm night ", "", {"house"}, {"home"}),
        ("admin> on kitchen; of", "of", {"off"}, {"on"}),
        ("admin> on kitchen;", "", {"off", "on"}, set()),
        ("admin> on kitchen\no", "o", {"off"}, set()),
        ("admin> on --", "--", {"--json", "--no-wait", "--keep-going"}, set()),
        ("admin> on 'ki", "", set(), {"kitchen"}),
        ("admin> nosuch ", "", set(), {"kitchen"}),
        ("admin> user list ", "", set(), {"home"}),
    ],
)
async def test_what_is_offered(road: Road, line: str, typed: str, some: set[str], none: set[str]) -> None:
    """Orders, devices and values are offered that this user could give here, quoted where they must be."""
    user, _, before = line.partition("> ")
    found, suggestions = complete(road.dispatch, road.user(user), before)
    texts = [suggestion.text for suggestion in suggestions]
    assert found == typed
    assert some <= set(texts)
    assert not none & set(texts)
    assert len(texts) == len(set(texts))


async def test_names_of_people_are_an_admins(road: Road) -> None:
    """Sessions and banned sources are offered to an admin as they are now."""
    road.dispatch.bans.ban(ATTACKER, "login", "5 as home", "too many failed logins")
    session = road.session("guest")
    assert offered(road, "admin", "ban lift ") == [ATTACKER]
    assert str(session.number) in offered(road, "admin", "session kick ")
    for role in set(ROLES) - {"admin"}:
        assert offered(road, role, "ban lift ") == offered(road, role, "session kick ") == []


@pytest.mark.parametrize("user", USERS)
async def test_every_order_offered_is_allowed(road: Road, user: str) -> None:
    """What is offered first are the orders that `help` lists, and these alone."""
    names = {order.name for order in road.dispatch.allowed(road.user(user))}
    first = offered(road, user, "")
    assert set(first) == {name.partition(" ")[0] for name in names}
    spelled = {f"{word} {second}" for word in first if word not in names for second in offered(road, user, f"{word} ")}
    assert {word for word in first if word in names} | spelled == names


@pytest.mark.parametrize(("rule", "hidden"), _HIDDEN.values(), ids=_HIDDEN)
async def test_hidden_is_not_offered(build: Build, rule: str, hidden: set[str]) -> None:
    """Whatever is half typed, what is offered is the same as in a house without the hidden devices."""
    users = {"anna": f'roles = ["admin"]\ngrants = [{{ deny = "{rule.removeprefix("deny ")}" }}]'}
    devices = {device.id: device for device in family_house()}
    befores = ["", "o"]
    for name, arguments in ARGUMENTS.items():
        befores += [f"{name} ", f"{name} @", f"help {name[:2]}"]
        if any("<" in text for text in arguments):
            template = next(text for text in arguments if "<" in text)
            for device_id in hidden:
                for text in names_of(devices[device_id]):
                    whole = line_of(name, template, text)
                    befores += [whole, f"{whole} ", whole[:-2]]
    async with build(users=users) as here, build(users=users, missing=frozenset(hidden)) as without:
        for before in befores:
            answers = [complete(road.dispatch, road.user("anna"), before) for road in (here, without)]
            assert answers[0] == answers[1], before


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(LINES, st.sampled_from(list(USERS)))
@example("dim --json ", "admin")
@example("set ", "admin")
@example("arm ;", "admin")
async def test_any_text_can_be_completed(road: Road, before: str, user: str) -> None:
    """Whatever is typed, completing it fails never, and each thing offered is one word that begins as it was typed."""
    typed, suggestions = complete(road.dispatch, road.user(user), before)
    assert before.endswith(typed)
    for suggestion in suggestions:
        ((word,),) = split(suggestion.text)
        assert word.text.lower().startswith(typed.lower())
