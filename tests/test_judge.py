"""What a line is while it is typed: orders, devices and values in their tones, and what will not do marked."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.judge import judge
from sshhome.target import Fits, Index
from sshhome.words import locate, split
from tests.test_dispatch import LINES, USERS, Build, Road
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


def toned(road: Road, user: str, line: str, *, typing: bool) -> str:
    """Return the line with its tones: `order:dim device:desk bad:400`; what has none stands alone."""
    session = road.session(user)
    tones = judge(road.dispatch, session, line, len(line) if typing else -1)
    road.dispatch.sessions.close(session)
    told, at = "", 0
    for tone in tones:
        told += line[at : tone.start] + f"{tone.tone}:{line[tone.start : tone.end]}"
        at = tone.end
    return told + line[at:]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("admin> dim desk 40", "order:dim device:desk value:40"),
        ("admin> --json list", "--json list"),
        ("admin> dim desk 400 ", "order:dim device:desk bad:400 "),
        ("admin> dim nosuch ", "order:dim bad:nosuch "),
        ("admin> dim des", "order:dim des"),
        ("admin> dim desx", "order:dim bad:desx"),
        ("admin> dim lock.front_door ", "order:dim bad:lock.front_door "),
        ("admin> set climate.living 21.5", "order:set device:climate.living value:21.5"),
        ("admin> set climate.living.mode heat", "order:set device:climate.living.mode value:heat"),
        ("admin> set climate.living.mode hea", "order:set device:climate.living.mode hea"),
        ("admin> set climate.living.mo", "order:set climate.living.mo"),
        ("admin> on @kitchen; of", "order:on device:@kitchen; of"),
        ("admin> show living ", "order:show device:living "),
        ("admin> get living ", "order:get device:living "),
        ("admin> on @nosuch ", "order:on bad:@nosuch "),
        ("admin> on light.* --no-wait", "order:on device:light.* option:--no-wait"),
        ("admin> on all --nosuch ", "order:on device:all bad:--nosuch "),
        ("admin> on kitchen --for 5m", "order:on device:kitchen option:--for value:5m"),
        ("admin> on kitchen desk ", "order:on device:kitchen bad:desk "),
        ("admin> ban list", "order:ban order:list"),
        ("admin> ban li", "ban li"),
        ("admin> nosuch kitchen", "bad:nosuch kitchen"),
        ("admin> echo anything at all", "order:echo anything at all"),
        ("admin> dim 'desk' 40", "order:dim device:'desk' value:40"),
        ("admin> dim 'des", "order:dim bad:'des"),
        ("guest> unlock front_door", "bad:unlock front_door"),
        ("cleaner> on light.kitchen ", "order:on device:light.kitchen "),
        ("admin> show | mat", "order:show option:| mat"),
        (
            "admin> show kitchen | match x | nosuch ",
            "order:show device:kitchen option:| order:match value:x option:| bad:nosuch ",
        ),
        ("nobody> on light.kitchen", "bad:on light.kitchen"),
    ],
)
async def test_tones(road: Road, line: str, told: str) -> None:
    """A word that will not do is bad, and one that is half typed and may yet do is nothing."""
    user, _, typed = line.partition("> ")
    assert toned(road, user, typed, typing=True) == told


async def test_half_a_word_that_nobody_types_on(road: Road) -> None:
    """What may yet become a device is bad once the cursor is elsewhere."""
    assert toned(road, "admin", "dim des 40", typing=True) == "order:dim bad:des 40"
    assert toned(road, "admin", "dim des", typing=False) == "order:dim bad:des"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(LINES, st.sampled_from(list(USERS)))
async def test_any_line_can_be_judged(road: Road, line: str, user: str) -> None:
    """Whatever is typed, judging it fails never, and tones are in order and within the line."""
    session = road.session(user)
    tones = judge(road.dispatch, session, line, len(line))
    road.dispatch.sessions.close(session)
    places = [place for tone in tones for place in (tone.start, tone.end)]
    assert places == sorted(places)
    assert all(0 <= place <= len(line) for place in places)


@given(st.text(alphabet="ab \t\r\n;'\"\\-|é日"))
def test_words_are_where_they_stand(line: str) -> None:
    """Where words stand is told of the same words that a line is split into."""
    located = [words for words in locate(line) if words]
    if any(one.open for words in located for one in words):
        return
    assert [[one.word for one in words] for words in located] == split(line)


@pytest.mark.parametrize(
    "line", ["; ".join(f"on *{n}*" for n in range(300)), "off all; " * 400, "show @kitchen; " * 250]
)
async def test_what_a_key_may_cost(road: Road, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """However long the line, a few of its words are looked up among all devices, of which there may be thousands."""
    looked: list[str] = []
    sweeps = Index.sweeps

    def counted(index: Index, text: str, fits: Fits) -> bool:
        looked.append(text)
        return sweeps(index, text, fits)

    monkeypatch.setattr(Index, "sweeps", counted)
    assert toned(road, "admin", line, typing=True).startswith("order:")
    assert 1 <= len(looked) <= 4
    assert toned(road, "admin", "x; " * 1000, typing=False).count("bad:") == 20
