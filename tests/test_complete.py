"""What is offered to type next: what this user could give, and nothing that they may not know of."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.complete import complete
from sshhome.order import REGISTRY
from sshhome.param import Suggestion
from sshhome.words import split
from tests.conftest import FixedClock
from tests.test_dispatch import _HIDDEN, ARGUMENTS, ATTACKER, LINES, ROLES, USERS, Build, Road, line_of, names_of
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


def completed(road: Road, user: str, before: str, **how: Any) -> tuple[str, list[Suggestion]]:  # noqa: ANN401 (as `session`)
    """Return the word that is half typed, and what may be made of it."""
    session = road.session(user, **how)
    found = complete(road.dispatch, session, before)
    road.dispatch.sessions.close(session)
    return found


def offered(road: Road, user: str, before: str) -> list[str]:
    """Return what may be typed next."""
    return [suggestion.text for suggestion in completed(road, user, before)[1]]


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
        ("admin> set climate.living.", "climate.living.", {"climate.living.mode"}, {"climate.living.temperature"}),
        ("admin> get climate.living.", "climate.living.", {"climate.living.temperature"}, set()),
        ("admin> set climate.living.target_temperature ", "", {"17", "21", "24"}, {"heat"}),
        ("admin> set light.desk.color_temperature ", "", {"2700"}, {"100"}),
        ("admin> set lock.front_door ", "", {"locked", "unlocked"}, {"on"}),
        ("admin> dim desk ", "", {"+10", "-10"}, set()),
        ("admin> on kitchen --for ", "", {"10m", "1h"}, {"kitchen"}),
        ("admin> ban add 10.0.0.1 --for ", "", {"1h", "1d"}, set()),
        ("admin> user add bob --role ", "", {"guest", "resident"}, {"bob"}),
        ("admin> user grant guest ", "", {"control:light.*", "role:guest"}, set()),
        ("admin> user grant guest read --until ", "", {"tomorrow", '"today 18:00"'}, set()),
        ("admin> pass create bob --when ", "", {'"mon-fri 09:00-12:00"'}, set()),
        ("admin> set-option editing ", "", {"emacs", "vi"}, set()),
        ("admin> explain unlock ", "", {"front_door"}, {"kitchen"}),
        ("admin> show kitchen | ", "", {"match", "count", "first"}, {"kitchen"}),
        ("admin> on --", "--", {"--json", "--no-wait", "--keep-going"}, set()),
        ("admin> plot", "plot", {"history"}, {"on"}),
        ("admin> history temp", "temp", {"kitchen_temperature", "outdoor_temperature"}, {"kitchen"}),
        ("admin> unlock garage", "garage", {"side_door"}, {"front_door"}),
        ("admin> dim ed", "ed", set(), {"bedroom"}),
        ("guest> door", "door", set(), {"unlock"}),
        ("admin> history desk ", "", {"--since", "--csv"}, {"kitchen", "--json"}),
        ("admin> history desk --since 1h ", "", {"--until", "--csv"}, {"--since"}),
        ("admin> on 'ki", "", set(), {"kitchen"}),
        ("admin> nosuch ", "", set(), {"kitchen"}),
        ("admin> user list ", "", set(), {"home"}),
        ("admin> undo ", "", {"list"}, {"kitchen"}),
        ("admin> undo l", "l", {"list"}, {"lift"}),
        ("admin> undo list ", "", set(), {"list"}),
        ("away> ", "", set(), {"on", "help"}),
        ("plumber> ", "", {"unlock", "set", "undo", "help"}, {"arm", "open", "on", "user"}),
        ("plumber> unlock ", "", {"side_door"}, {"front_door"}),
    ],
)
async def test_what_is_offered(road: Road, line: str, typed: str, some: set[str], none: set[str]) -> None:
    """Orders, devices and values are offered that this user could give here, quoted where they must be."""
    user, _, before = line.partition("> ")
    found, suggestions = completed(road, user, before)
    texts = [suggestion.text for suggestion in suggestions]
    assert found == typed
    assert some <= set(texts)
    assert not none & set(texts)
    assert len(texts) == len(set(texts))


#: May do a little now, more on Saturday, and some things never again.
KID = """
grants = [
  "read",
  { allow = "control:@kids", values = { brightness = "..60" } },
  { allow = "control:switch.tv", when = "sat" },
  { allow = "control:light.desk", until = "2026-06-02 14:00" },
  { allow = "access:lock.front_door", step_up = "totp" },
  { allow = "access:lock.side_door", from = "10.0.0.0/8" },
  { allow = "control:light.hall", orders = ["on"] },
  { allow = "control:light.porch", house = "alarm_control_panel.house = away" },
  { deny = "control:climate.kids", when = "tue" },
]
"""


@pytest.mark.parametrize(
    ("before", "some", "none"),
    [
        ("on ", {"kids", "night", "hall"}, {"tv", "desk", "porch"}),
        ("off ", {"kids", "night"}, {"tv", "desk", "hall"}),
        ("dim ", {"kids", "night"}, {"hall"}),
        ("dim kids ", {"50", "100"}, set()),
        ("unlock ", {"front_door"}, {"side_door"}),
        ("set ", {"light.kids", "cover.kids", "front_door"}, {"climate.kids", "side_door", "tv"}),
        ("show ", {"tv", "side_door", "climate.kids"}, set()),
    ],
)
async def test_what_could_not_be_done_now_is_not_offered(
    build: Build, before: str, some: set[str], none: set[str]
) -> None:
    """A device is offered for an order that could be given on it now, with the right value or once asked for more."""
    async with build(users={"kid": KID}) as road:
        texts = set(offered(road, "kid", before))
        assert some <= texts
        assert not none & texts


async def test_what_is_offered_follows_time_place_and_key(build: Build, clock: FixedClock) -> None:
    """On Saturday other things are offered than on Tuesday; elsewhere others; and with a narrower key fewer."""
    async with build(users={"kid": KID}) as road:
        assert "tv" not in offered(road, "kid", "on ")
        assert "side_door" in texts_of(road, "unlock ", source="10.1.1.1")
        narrow = texts_of(road, "", key='sshhome-grants="read,access:lock.*"')
        assert {"unlock", "lock", "show"} <= narrow
        assert not narrow & {"on", "dim", "off"}
        assert texts_of(road, "", key='sshhome-grants="admin"') == set()
        clock.advance(4 * 86400)
        assert "tv" in offered(road, "kid", "on ")


def texts_of(road: Road, before: str, **how: Any) -> set[str]:  # noqa: ANN401 (as `session`)
    """Return what the kid may type next."""
    return {suggestion.text for suggestion in completed(road, "kid", before, **how)[1]}


async def test_macros_are_offered_to_whose_they_are(road: Road) -> None:
    """A macro is offered as an order, and where macros are named; not to anybody else."""
    assert (await road.one("admin", "macro save late 'off all'")).status == 0
    assert "late" in offered(road, "admin", "la")
    for before in ("macro show ", "macro remove "):
        assert offered(road, "admin", before) == ["late"]
    assert "late" not in [*offered(road, "guest", "la"), *offered(road, "guest", "macro show ")]


async def test_names_of_people_are_an_admins(road: Road) -> None:
    """Sessions and banned sources are offered to an admin as they are now."""
    road.dispatch.bans.ban(ATTACKER, "login", "5 as home", "too many failed logins")
    session = road.session("guest")
    assert offered(road, "admin", "ban lift ") == [ATTACKER]
    assert str(session.number) in offered(road, "admin", "session kick ")
    for role in set(ROLES) - {"admin"}:
        assert offered(road, role, "ban lift ") == offered(road, role, "session kick ") == []


@pytest.mark.parametrize("user", [user for user in USERS if user != "away"])
async def test_every_order_offered_is_allowed(road: Road, user: str) -> None:
    """What is offered first are the orders that `help` lists, and these alone, those too that begin with another."""
    names = {order.name for order in road.allowed(user)}
    first = offered(road, user, "")
    assert set(first) == {name.partition(" ")[0] for name in names}
    pairs = {f"{word} {second}" for word in first for second in offered(road, user, f"{word} ")}
    spelled = {pair for pair in pairs if any(order.name == pair for order in REGISTRY)}
    assert {word for word in first if word in names} | spelled == names


@pytest.mark.parametrize(("rule", "hidden"), _HIDDEN.values(), ids=_HIDDEN)
async def test_hidden_is_not_offered(build: Build, rule: str, hidden: set[str]) -> None:
    """Whatever is half typed, what is offered is the same as in a house without the hidden devices."""
    users = {"anna": f'roles = ["admin"]\ngrants = [{{ deny = "{rule.removeprefix("deny ")}" }}]'}
    devices = {device.id: device for device in family_house()}
    scenes = {text for d in devices.values() if hidden & d.members.keys() for text in (d.id, d.slug)}
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
            answers = [completed(road, "anna", before) for road in (here, without)]
            if not before.startswith(("activate", "set ")) or not scenes:
                assert answers[0] == answers[1], before
            # A scene that touches a hidden device could not be activated, and is not offered.
            texts = {suggestion.text for suggestion in answers[0][1]}
            assert not texts & scenes or not before.startswith(("activate", "set ")), before


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(LINES, st.sampled_from(list(USERS)))
@example("dim --json ", "admin")
@example("set ", "admin")
@example("arm ;", "admin")
async def test_any_text_can_be_completed(road: Road, before: str, user: str) -> None:
    """Whatever is typed, completing it fails never, and each thing offered is one word that begins as it was typed."""
    typed, suggestions = completed(road, user, before)
    assert before.endswith(typed)
    for suggestion in suggestions:
        ((word,),) = split(suggestion.text)
        assert word.text.lower().startswith(typed.lower())


async def test_everything_offered_is_explained(road: Road) -> None:
    """Beside each order, device, value and option that is offered stands what it is."""
    befores = ["", "ban ", "on ", "dim desk ", "set climate.living ", "set climate.living.", "color desk ", "arm "]
    befores += ["on --", "user show ", "device move kitchen ", "set-option ", "set-option editing ", "show | "]
    for before in befores:
        _, suggestions = completed(road, "admin", before)
        assert suggestions, before
        assert not [suggestion.text for suggestion in suggestions if not suggestion.says], before
