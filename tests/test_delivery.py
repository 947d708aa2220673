"""What happens is told to hooks: in order, signed, again and again, across restarts, and never without bound."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sshhome import delivery
from sshhome.audit import Audit
from sshhome.config import parse
from sshhome.delivery import Hooks, Line
from sshhome.device import Device
from sshhome.errors import SiteError
from sshhome.feed import Feed
from sshhome.hook import hooks
from sshhome.house import Event, House
from sshhome.naming import Naming
from sshhome.stores.sqlite import SqliteStore
from tests.client import until
from tests.conftest import FixedClock, NoChance
from tests.loop import turns
from tests.servers.receiver import SECRET, Receiver, is_signed, receiver

LAMP = Device(id="light.lamp", name="Lamp", room="living", state={"on": False})
#: Seconds that are surely enough for the next try, and those between all of them.
PAUSES = (10, 60, 300, 1800, 7200, 21600)


class Hooked:
    """A house with one hook, named `door`, as far as hooks have to do with it."""

    def __init__(self, path: Path, clock: FixedClock, store: SqliteStore, kept: int) -> None:
        """Build it."""
        self.clock, self.store = clock, store
        self.audit = Audit(path / "audit.jsonl", clock)
        self.feed = Feed(House(Naming(store)), self.audit, clock, kept)
        self.hooks = Hooks(self.feed, store, self.audit, clock, NoChance())
        self._lamps: dict[str, Device] = {}

    @property
    def line(self) -> Line:
        """How it is with the hook."""
        (line,) = self.hooks.all()
        return line

    def happen(self, *numbers: int) -> None:
        """Let something happen for each of these numbers."""
        for number in numbers:
            self.audit.write("ban.lifted", count=number)

    def change(self, *numbers: int, lamp: str = LAMP.id) -> None:
        """Let a lamp be as bright as these, one after the other."""
        for number in numbers:
            known = self._lamps.get(lamp, msgspec.structs.replace(LAMP, id=lamp))
            self._lamps[lamp] = known.with_state({"brightness": number})
            self.feed._heard(Event(lamp, self._lamps[lamp], known, "anna: dim"))

    async def later(self, seconds: float) -> None:
        """Let time pass, and what is due by then begin."""
        self.clock.advance(seconds)
        self.hooks.look()
        await turns()

    async def idle(self) -> None:
        """Wait until the hook has heard all there is."""
        await turns()
        await until(lambda: not self.line.waiting)

    def failures(self, count: int) -> "Callable[[], bool]":
        """Return what tells whether it has failed so often in a row."""
        return lambda: self.line.failures == count


Open = Callable[..., AbstractAsyncContextManager[Hooked]]


@pytest.fixture
def open_(tmp_path: Path, clock: FixedClock) -> Open:
    """Return what opens the house, again with what it remembers."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)

    @contextlib.asynccontextmanager
    async def opening(
        url: str, events: Sequence[str] = ("state", "ban.*", "alert.*"), kept: int = 4096
    ) -> AsyncIterator[Hooked]:
        text = f'[[hook]]\nname = "door"\nurl = "{url}"\nsecret_file = "secret"\n'
        text += f'allow = ["127.0.0.1"]\nevents = {json.dumps(events)}'
        store = await SqliteStore.open(tmp_path / "test.db")
        house = Hooked(tmp_path, clock, store, kept)
        try:
            await house.hooks.load(hooks(parse(text).hook, tmp_path))
            yield house
        finally:
            await house.hooks.close()
            house.audit.close()
            await store.close()

    return opening


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    """Return a receiver."""
    async with receiver() as received:
        yield received


def counts(told: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers of what happened."""
    return [int(body["fields"]["count"]) for body in told if body["topic"] == "audit" and "count" in body["fields"]]


# -- telling ----------------------------------------------------------------------------------------------------------


async def test_what_is_told(open_: Open, other: Receiver) -> None:
    """What happens is told in its order, each time signed, under an id of its own, in the words of a subscription."""
    async with open_(other.url) as house:
        house.happen(7)
        house.change(40)
        house.audit.write("login.ok", user="anna")
        house.feed._heard(Event(LAMP.id, None, LAMP))
        await until(lambda: len(other.requests) == 3)
        await house.idle()
    at = "2026-06-02T12:00:00Z"
    lamp = {"id": "light.lamp", "kind": "light", "name": "Lamp", "room": "living", "available": True}
    assert other.told == [
        {"topic": "audit", "at": at, "event": "ban.lifted", "fields": {"count": 7}},
        {
            "topic": "state",
            "at": at,
            "id": "light.lamp",
            "device": {**lamp, "state": {"on": False, "brightness": 40}},
            "change": {"brightness": 40},
            "by": "anna: dim",
        },
        {"topic": "state", "at": at, "id": "light.lamp", "device": None, "change": {}, "by": ""},
    ]
    assert len(set(other.ids)) == 3
    for headers, body in other.requests:
        assert is_signed(headers, body)
        assert headers["webhook-timestamp"] == "1780401600"
        assert headers["content-type"] == "application/json"


async def test_text_that_is_none(open_: Open, other: Receiver) -> None:
    """What the log escapes is told, too."""
    async with open_(other.url) as house:
        house.audit.write("ban.set", source="10.0.0.1", evidence="as \udcff")
        await house.idle()
    assert other.told[0]["fields"]["evidence"] == "as \udcff"


async def test_an_answer_by_redirect(open_: Open, other: Receiver) -> None:
    """Whoever points elsewhere has not taken anything, and nobody goes there."""
    async with receiver() as inside, open_(other.url) as house:
        other.answers, other.headers = [302], {"location": inside.url}
        house.happen(1)
        await until(house.failures(1))
        assert house.line.says == "answered 302, and redirects are not followed"
        assert inside.requests == []


# -- trying again -----------------------------------------------------------------------------------------------------


async def test_tries(open_: Open, other: Receiver) -> None:
    """What is not taken is sent again under the same id, ever later, and what comes after it waits its turn."""
    async with open_(other.url) as house:
        other.answers = [500, 503, 404]
        house.happen(1, 2)
        for count, pause in enumerate(PAUSES[:3], 1):
            await until(house.failures(count))
            await house.later(pause * 0.75 - 1)
            assert len(other.requests) == count
            await house.later(1)
            await until(other.has(count + 1))
        await house.idle()
        assert counts(other.told) == [1, 1, 1, 1, 2]
        assert len(set(other.ids[:4])) == 1
        assert other.ids[4] != other.ids[3]
        assert [(ended.tries, ended.status, ended.says) for ended in house.line.ended] == [
            (4, 204, "answered 204"),
            (1, 204, "answered 204"),
        ]
        assert all(is_signed(headers, body) for headers, body in other.requests)
        assert other.requests[0][0]["webhook-timestamp"] != other.requests[3][0]["webhook-timestamp"]


async def test_its_owner_is_told(open_: Open, other: Receiver, tmp_path: Path) -> None:
    """Once a hook has failed for some minutes there is an alert, and no other until it has worked again."""

    def alerts() -> list[dict[str, Any]]:
        events = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
        return [event for event in events if event["event"] == "alert.hook"]

    async with open_(other.url) as house:
        other.answer = 500
        house.happen(1)
        for count, pause in enumerate(PAUSES[:5], 1):
            await until(house.failures(count))
            assert len(alerts()) == (count >= 4)
            await house.later(pause)
        await until(house.failures(6))
        (alert,) = alerts()
        assert (alert["hook"], alert["reason"]) == ("door", "answered 500")
        other.answer = 200
        await house.later(PAUSES[5])
        await house.idle()
        assert house.line.failures == 0
        assert [body["event"] for body in other.told[-2:]] == ["ban.lifted", "alert.hook"]


async def test_given_up(open_: Open, other: Receiver) -> None:
    """What was not taken seven times is given up, what is a day old too; that something is missing is told, once."""
    async with open_(other.url, ["ban.*"]) as house:
        other.answer = 500
        house.happen(1, 2, 3)
        for count, pause in enumerate(PAUSES, 1):
            await until(house.failures(count))
            await house.later(pause)
        await until(house.failures(7))
        assert counts(other.told) == [1] * 7
        assert [(ended.tries, ended.status) for ended in house.line.ended] == [(7, 500)]
        other.answer = 204
        await house.later(86400)
        await house.idle()
        assert [ended.says for ended in house.line.ended][1:] == ["too late", "too late", "answered 204"]
        assert other.told[7:] == [{"topic": "gap", "at": "2026-06-02T20:36:10Z", "topics": ["audit"]}]


async def test_whoever_wants_nothing_more(open_: Open, other: Receiver, tmp_path: Path) -> None:
    """410 ends it at once, which is told; nothing is sent until it is tried again by hand or by configuration."""
    async with open_(other.url) as house:
        other.answers = [410]
        house.happen(1)
        await until(lambda: house.line.stopped)
        assert "answered 410: it is told nothing any more" in (tmp_path / "audit.jsonl").read_text()
        house.happen(2)
        await house.later(86000)
        assert len(other.requests) == 1
        house.line.again()
        await house.idle()
        assert [body["event"] for body in other.told] == ["ban.lifted", "ban.lifted", "alert.hook", "ban.lifted"]
        other.answers = [410]
        house.happen(3)
        await until(lambda: house.line.stopped)
        await house.hooks.configure({"door": house.line.hook})
        await house.idle()
        assert counts(other.told) == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("how", ["nobody", "silent"])
async def test_nobody_takes_it(open_: Open, other: Receiver, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there, and somebody who never answers, is as good as a refusal."""
    monkeypatch.setattr("sshhome.outbound._PATIENCE", 0.05)
    port = other.port
    if how == "silent":
        other.open.clear()
    async with open_(other.url if how == "silent" else "http://127.0.0.1:1/") as house:
        house.happen(1)
        await until(house.failures(1))
        said = {"silent": f"http://127.0.0.1:{port} does not answer", "nobody": "connection refused"}
        assert said[how] in house.line.says


async def test_a_secret_that_is_gone(open_: Open, other: Receiver, tmp_path: Path) -> None:
    """Without its secret nothing is sent; another one that takes its place is taken at once."""
    async with open_(other.url) as house:
        (tmp_path / "secret").rename(tmp_path / "elsewhere")
        house.happen(1)
        await until(house.failures(1))
        assert house.line.says.endswith("secret: No such file or directory")
        (tmp_path / "elsewhere").rename(tmp_path / "secret")
        await house.later(PAUSES[0])
        await house.idle()
        assert len(other.requests) == 1


async def test_a_bug_ends_nothing(open_: Open, other: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails by our own fault is tried again like anything else, and what could not be told is a gap."""
    async with open_(other.url) as house:
        with monkeypatch.context() as broken:
            broken.setattr(house.hooks, "_sent", None)
            house.happen(1)
            await until(house.failures(1))
            assert house.line.says == "failed by our own fault: TypeError"
        with monkeypatch.context() as broken:
            broken.setattr(house.hooks, "_told", None)
            house.happen(2)
            await until(lambda: len(house.line.waiting) == 2)
        house.happen(3)
        await house.later(PAUSES[0])
        await house.idle()
        assert [body.get("topic") for body in other.told] == ["audit", "gap", "audit"]
        assert counts(other.told) == [1, 3]


async def test_what_is_missing_after_a_gap_was_sent(open_: Open, other: Receiver) -> None:
    """A gap that may have been heard tells nothing of what is lost after it: another one does."""
    other.answer = 500
    async with open_(other.url, ["ban.*"]) as house:
        house.hooks._lose(house.line)
        await until(house.failures(1))
        for _ in range(2):
            house.clock.advance(1)
            house.hooks._lose(house.line)
        other.answer = 204
        house.line.again()
        await house.idle()
        assert [body["at"][-3:] for body in other.told] == ["00Z", "00Z", "01Z"]


async def test_a_bug_at_the_end(open_: Open, other: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be told by our own fault as the house is closed keeps nothing else from being closed."""
    other.answer = 500
    with monkeypatch.context() as broken:
        async with open_(other.url) as house:
            house.happen(1)
            await until(house.failures(1))
            house.happen(2)
            broken.setattr(house.hooks, "_told", None)
    async with open_(other.url) as house:
        assert [waiting.what for waiting in house.line.waiting] == ["ban.lifted", "gap"]


async def test_it_rests(open_: Open, other: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still right before the next try, the house does something else meanwhile."""
    other.answer = 500
    async with open_(other.url) as house:
        house.happen(1)
        await until(house.failures(1))
        waits = list[float | None]()
        timeout = asyncio.timeout

        def timed(wait: float | None) -> asyncio.Timeout:
            waits.append(wait)
            return timeout(wait)

        monkeypatch.setattr(asyncio, "timeout", timed)
        house.line.until = house.clock.monotonic() + 1e-9
        house.hooks.look()
        await turns()
        monkeypatch.undo()
        assert waits == [0.01]
        house.line.until += 1000


# -- remembering ------------------------------------------------------------------------------------------------------


async def test_a_restart(open_: Open, other: Receiver) -> None:
    """What was to be told as the server ended is told after it, in order, under the ids it had, sent before or not."""
    other.open.clear()
    async with open_(other.url) as house:
        house.happen(1, 2)
        await until(lambda: other.requests)
        house.happen(3)
        house.change(40)
        (sent,) = other.ids
    other.open.set()
    async with open_(other.url) as house:
        await house.idle()
        house.happen(4)
        await until(lambda: len(other.requests) == 6)
        await house.idle()
        assert counts(other.told) == [1, 1, 2, 3, 4]
        assert other.told[4]["change"] == {"brightness": 40}
        assert other.ids[:2] == [sent, sent]
        assert len(set(other.ids)) == 5
    async with open_(other.url) as house:
        await turns()
        assert len(other.requests) == 6
        assert (house.line.state, house.line.says) == ("ok", "answered 204")
        assert [ended.says for ended in house.line.ended] == ["answered 204"] * 5


async def test_tries_count_across_restarts(open_: Open, other: Receiver) -> None:
    """A restart tries again at once, and does not begin to count afresh."""
    other.answer = 500
    for count in range(1, 7):
        async with open_(other.url, ["ban.*"]) as house:
            if count == 1:
                house.happen(1)
            await until(house.failures(1))
            assert house.line.waiting[0].tries == count
    async with open_(other.url, ["ban.*"]) as house:
        await until(lambda: house.line.ended)
        assert house.line.ended[0].tries == 7
        assert [waiting.what for waiting in house.line.waiting] == ["gap"]


async def test_nothing_is_sent_that_is_not_kept(open_: Open, other: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it sent and then lost, it would be sent again under another id: so it waits until the store has it."""
    async with open_(other.url) as house:

        async def full() -> None:
            raise SiteError("the store: disk full")

        with monkeypatch.context() as broken:
            broken.setattr(house.store, "settle", full)
            house.happen(1)
            await until(house.failures(1))
            assert house.line.says == "the store: disk full"
            assert other.requests == []
        await house.later(PAUSES[0])
        await house.idle()
        assert len(other.requests) == 1
        # What was not sent was no try.
        assert house.line.ended[0].tries == 1


async def test_a_hook_that_is_taken_away(open_: Open, other: Receiver) -> None:
    """Of a hook that is configured no more nothing is sent and nothing is kept; nor of one that is not any more."""
    other.open.clear()
    async with open_(other.url) as house:
        hook = house.line.hook
        house.happen(1)
        await until(lambda: other.requests)
        await house.hooks.configure({})
        house.happen(2)
        await turns()
        assert await house.store.deliveries() == []
        await house.hooks.configure({"door": hook})
        house.happen(3)
        await until(lambda: len(other.requests) == 2)
        assert counts(other.told) == [1, 3]
        kept = [waiting.what for waiting in await house.store.deliveries()]
        assert kept == ["ban.lifted"]
    async with open_(other.url) as house:
        await house.hooks.configure({})
        assert await house.store.deliveries() == []


async def test_a_hook_that_wants_more(open_: Open, other: Receiver) -> None:
    """Of what it did not want it is not told once it wants it: that has gone by."""
    async with open_(other.url, ["state"]) as house:
        house.happen(1)
        house.change(40)
        await until(other.has(1))
        house.happen(2)
        await house.idle()
        more = msgspec.structs.replace(house.line.hook, events=("state", "ban.*"))
        await house.hooks.configure({"door": more})
        house.happen(3)
        await until(other.has(2))
        await house.idle()
        assert [body["topic"] for body in other.told] == ["state", "audit"]
        assert counts(other.told) == [3]


# -- bounds -----------------------------------------------------------------------------------------------------------


async def test_a_flood_of_changes(open_: Open, other: Receiver) -> None:
    """Of 5,000 changes while nobody answers a hundred are kept; of the rest each lamp is told of as it is at last."""
    other.open.clear()
    async with open_(other.url, ["state"]) as house:
        for number in range(1, 1001):
            for lamp in "abcde":
                house.change(number, lamp=f"light.{lamp}")
            if number % 100 == 0:
                await turns()
        await until(lambda: len(house.line.waiting) == 100)
        assert len(await house.store.deliveries()) <= 100
        other.open.set()
        await house.idle()
        last = {body["id"]: body["device"]["state"]["brightness"] for body in other.told}
        assert last == {f"light.{lamp}": 1000 for lamp in "abcde"}
        assert len(other.requests) <= 400
        assert len(house.line.ended) == 50
        assert len(await house.store.deliveries()) == 50


async def test_a_flood_of_events(open_: Open, other: Receiver) -> None:
    """Of events that are not kept any more it is told that there were some, where they are missing."""
    other.open.clear()
    async with open_(other.url, ["ban.*"], kept=200) as house:
        house.happen(0)
        await until(lambda: other.requests)
        house.happen(*range(1, 1000))
        await until(lambda: len(house.line.waiting) == 100)
        other.open.set()
        await until(lambda: counts(other.told)[-1:] == [999])
        await house.idle()
        gaps = [number for number, body in enumerate(other.told) if body["topic"] == "gap"]
        assert len(gaps) == 1
        told = counts(other.told)
        assert told[: gaps[0]] == list(range(gaps[0]))
        assert told[gaps[0] :] == list(range(800, 1000))


async def test_a_restart_while_it_was_full(open_: Open, other: Receiver) -> None:
    """What did not fit any more is lost with the server: that it may be is told after the restart."""
    other.answer = 500
    async with open_(other.url, ["ban.*"]) as house:
        house.happen(*range(150))
        await until(house.failures(1))
        assert len(house.line.waiting) == 100
    other.answer = 204
    async with open_(other.url, ["ban.*"]) as house:
        await house.idle()
    assert other.told[-1]["topic"] == "gap"
    assert counts(other.told)[1:] == list(range(100))


async def test_what_is_secret_is_in_no_log(
    open_: Open, other: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the secret nor what stands behind the host in the URL is in a log, in the store or in an answer."""
    caplog.set_level("DEBUG")
    async with open_(other.url) as house:
        other.answer = 500
        house.happen(1)
        await until(house.failures(1))
        other.answer = 410
        house.line.again()
        await until(lambda: house.line.stopped)
        said = f"{house.line.says} {house.line.hook.url} {[*house.line.waiting]}"
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "secret")
    for secret in ("hidden-in-the-url", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in caplog.text
        assert secret not in said
        assert secret.encode() not in written


async def test_nobody_to_tell(open_: Open, other: Receiver) -> None:
    """A house without hooks does nothing of it."""
    async with open_(other.url) as house:
        await house.hooks.configure({})
        house.happen(1)
        await asyncio.sleep(0)
        assert not house.hooks.all()
        assert house.hooks.get("door") is None


def test_pauses() -> None:
    """A thing is tried seven times, over some hours."""
    assert list(delivery._PAUSES) == list(PAUSES)
    assert 6 * 3600 < sum(PAUSES) < 12 * 3600
