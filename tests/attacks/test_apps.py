"""An app's channel is held as all others are: by bounds, by rights at that moment, and by the limits of its user."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import partial

import asyncssh
import pytest

from sshhome.user import write_whole
from tests.client import Door, ask, report, until
from tests.conversation import App, app
from tests.loop import turns

#: Serves the site with more in its configuration.
Serve = Callable[[str], contextlib.AbstractAsyncContextManager[Door]]


async def is_alive(door: Door) -> None:
    """Make sure that somebody else is served."""
    answer = await door.ask("guest", "echo alive")
    assert (answer.out, answer.status) == ("alive\n", 0)


async def test_a_message_that_is_too_long(serve: Serve) -> None:
    """A message beyond the limit is refused once its length is known, and nothing of it is kept."""
    async with serve("[limits]\nrpc_message = '1KiB'") as door:
        for data in (b"\0\0\4\1", b"{" * 1025):
            async with app(door, "home") as here:
                here.send_raw(data)
                assert (await here.hear()).value["error"]["data"]["code"] == "invalid_request"
                assert await here.closed() == 64
        async with app(door, "home") as here:
            here.send_raw(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "time"}).encode().ljust(1024) + b"\n")
            assert "result" in (await here.hear()).value


async def test_half_a_message(door: Door) -> None:
    """Who sends half a message keeps nobody waiting but themselves, and leaves nothing behind."""
    async with app(door, "home") as here:
        here.send_raw(b"\0\0\xff\xff" + b"x" * 60_000)
        await is_alive(door)
    await until(lambda: not list(door.server.visitors.sessions))


async def test_one_byte_at_a_time(door: Door) -> None:
    """A message may come in any pieces."""
    async with app(door, "home") as here:
        for byte in json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": "slow"}}).encode():
            here.send_raw(bytes([byte]))
            await asyncio.sleep(0)
        here.send_raw(b"\n")
        assert (await here.hear()).value["result"] == "slow"


async def test_a_flood_of_cancelling(door: Door) -> None:
    """Ten thousand times of what costs no order is answered, in turns with what others ask."""
    async with app(door, "home") as here:
        here.send_raw(b'{"jsonrpc":"2.0","method":"cancel","params":{"id":1}}\n' * 10_000)
        await is_alive(door)
        assert await here.result("cancel", id=1) is False


@pytest.mark.flood
async def test_10_000_subscriptions(door: Door) -> None:
    """There are so many subscriptions on a channel, however often one asks, and each of the others is refused."""
    listeners = door.server.visitors.dispatch.feed._listeners
    before = len(listeners)
    async with app(door, "home") as here:
        codes: dict[int, int] = {}
        for _ in range(100):
            numbers = [here.ask("subscribe", target="desk") for _ in range(100)]
            left = set(numbers)
            while left:
                message = (await here.hear()).value
                left.discard(message["id"])
                code = message["error"]["code"] if "error" in message else 0
                codes[code] = codes.get(code, 0) + 1
        assert codes == {0: 16, 75: 9_984}
        (session,) = door.server.visitors.sessions
        await until(lambda: session.running == 16)
        assert len(listeners) == before + 16
        await is_alive(door)
    await until(lambda: len(listeners) == before)


async def test_more_than_are_worked_on_at_once(door: Door) -> None:
    """Sixteen orders are under way, more wait, and behind those nothing is read; what waits can be cancelled."""
    dispatch = door.server.visitors.dispatch

    def is_under_way(count: int) -> bool:
        return len(dispatch._running) >= count

    with door.waiting_printer() as echo:
        async with app(door, "home") as here:
            numbers = [here.ask("on", target="switch.printer") for _ in range(40)]
            await until(lambda: len(dispatch._running) == 16)
            assert await here.result("cancel", id=numbers[-1]) is True
            here.send_raw(b'{"jsonrpc":"2.0","method":"echo","params":{"text":"%s"}}\n' % (b"x" * 3000) * 100)
            await is_alive(door)
            answered: list[int] = []
            for begun in (16, 16, 7):
                await until(partial(is_under_way, begun))
                echo()
                for _ in range(begun):
                    answer = (await here.hear()).value
                    assert "result" in answer
                    answered.append(answer["id"])
            assert answered == numbers[:-1]
        await until(lambda: not dispatch._running)


async def test_orders_that_wait_while_the_house_stops(serve: Serve) -> None:
    """A house that stops lets end what has begun, however much more waits, and begins none of that."""
    async with serve("") as door, app(door, "home") as here:
        with door.waiting_printer() as echo:
            for _ in range(40):
                here.ask("on", target="switch.printer")
            await until(lambda: len(door.server.visitors.dispatch._running) == 16)
            stopping = asyncio.create_task(door.server.close())
            await until(lambda: door.server.visitors.dispatch.settling)
            echo()
            await stopping
            assert [(await here.hear()).value["id"] for _ in range(16)] == list(range(1, 17))
            with pytest.raises(EOFError):
                await here.hear()
    assert [event["order"] for event in door.audit("order.done")] == ["on"] * 16


async def test_who_never_reads(door: Door) -> None:
    """Whoever asks and does not read is given no more once enough waits for them."""
    async with app(door, "home") as here:
        here._reader.channel.pause_reading()
        for _ in range(400):
            here.ask("rpc.discover")
            await asyncio.sleep(0)
        await is_alive(door)
        (session, *_) = door.server.visitors.sessions
        assert session.orders < 400


async def test_who_never_reads_and_leaves(door: Door) -> None:
    """Whoever closes a channel of which either side has stopped reading leaves no session behind on the connection."""
    async with door.connect("home") as connection:
        writer, reader, _ = await connection.open_session(subsystem="sshhome", encoding=None, window=1024)
        here = App(writer, reader)
        writer.channel.pause_reading()
        here.ask("rpc.discover")
        (visitor,) = door.server.visitors
        (theirs,) = visitor.connection._channels.values()
        await until(lambda: theirs._send_paused)
        while not writer.channel.get_write_buffer_size():
            here.send_raw(b" " * 30_000)
            await asyncio.sleep(0)
        writer.channel.abort()
        await until(lambda: not list(door.server.visitors.sessions))
        assert (await ask(connection, "echo alive")).out == "alive\n"


async def test_a_flood_at_the_end(door: Door) -> None:
    """Whoever is to leave once their last order has ended is not read any further until then."""
    with door.waiting_printer():
        async with app(door, "home") as here:
            here.ask("on", target="switch.printer")
            for number in range(10):
                here.ask(f"guess{number}")
            (session,) = door.server.visitors.sessions
            await until(lambda: session.leaving)
            here.send_raw(b" " * 1_000_000)
            await is_alive(door)
            assert here._writer.channel.get_write_buffer_size() > 800_000


async def test_an_answer_that_is_long(serve: Serve) -> None:
    """An answer may be longer than what may wait for a slow reader: that it is long makes nobody slow."""
    async with serve("[limits]\nslow_reader = '2KiB'") as door, door.connect("home") as connection:
        writer, reader, _ = await connection.open_session(subsystem="sshhome", encoding=None, window=1024)
        here = App(writer, reader)
        here.send({"jsonrpc": "2.0", "id": 1, "method": "list"}, line=False)
        assert len((await here.hear()).value["result"]) > 10
        answer = await connection.run("list --json", encoding="utf-8", window=1024)
        assert len(json.loads(str(answer.stdout))) > 10


_SUBSCRIBE = {"jsonrpc": "2.0", "id": "s", "method": "subscribe"}


def flood(count: int, method: str, **params: object) -> bytes:
    """Return so many requests of a kind; of a few hundred, some are read at every moment of another one's life."""
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode().join([b"\n"] * (count + 1))


async def test_unsubscribing_at_any_moment(door: Door) -> None:
    """A subscription that is ended before it has begun is answered all the same, and its place is free again."""
    async with app(door, "home") as here:
        here.send_raw(json.dumps(_SUBSCRIBE).encode() + flood(300, "unsubscribe", subscription=1))
        assert (await here.hear()).value["error"]["data"]["code"] == "cancelled"
        assert (await here.answer("unsubscribe", subscription=1))["result"] is False
        assert (await here.result("subscribe"))["subscription"] == 2


async def test_cancelling_at_any_moment(door: Door) -> None:
    """A subscription that is cancelled just as it begins is answered once, and so are all others of its batch."""
    waits = {"jsonrpc": "2.0", "id": "p", "method": "on", "params": {"target": "switch.printer"}}
    house = door.server.visitors.dispatch.house
    listeners = list(door.server.visitors.dispatch.feed._listeners)
    async with app(door, "home") as here:
        for others in range(0, 320, 16):
            # The more stand in front of it, the further the subscription is when it is cancelled.
            asked = json.dumps([_SUBSCRIBE, waits]).encode()
            with door.waiting_printer() as echo:
                here.send_raw(asked + flood(others, "cancel", id="nobody") + flood(1, "cancel", id="s"))
                await until(lambda: "switch.printer" in house._waiting)
                await turns()
                await turns()
                echo()
                answer = (await here.hear()).value
                while not isinstance(answer, list):
                    answer = (await here.hear()).value
                assert [one["id"] for one in answer] == ["s", "p"]
                if "result" in answer[0]:
                    await here.result("unsubscribe", subscription=answer[0]["result"]["subscription"])
            report(house, house.devices["switch.printer"].with_state({"on": False}))
            assert door.server.visitors.dispatch.feed._listeners == listeners


async def test_orders_a_minute(serve: Serve) -> None:
    """An app gets as many orders a minute as any other client of its user, whatever it asks, and however."""
    async with serve("[limits]\norder_burst = 5\norders_per_minute = 1") as door, app(door, "home") as here:
        here.send([{"jsonrpc": "2.0", "id": id_, "method": "rpc.discover" if id_ % 2 else "time"} for id_ in range(10)])
        codes = [one.get("error", {}).get("code", 0) for one in (await here.hear()).value]
        assert sorted(codes) == [0] * 5 + [75] * 5
        assert (await door.ask("home", "time")).status == 75


async def test_bad_orders(door: Door) -> None:
    """Ten unknown orders in a row end the session."""
    async with app(door, "home") as here:
        for number in range(10):
            assert (await here.answer(f"guess{number}"))["error"]["code"] == 127
        assert await here.closed() == 0


@pytest.mark.parametrize("how", ["frozen", "removed", "kicked"])
async def test_who_is_shut_out(door: Door, how: str) -> None:
    """Whoever is frozen, removed or kicked is given no further answer and told no further event."""
    path = door.site.path / "authorized_users" / "guest.toml"
    async with app(door, "guest") as here:
        await here.result("subscribe")
        if how == "kicked":
            assert (await door.ask("home", "session kick guest --yes")).status == 0
        elif how == "frozen":
            write_whole(path, f"frozen = true\n{path.read_text(encoding='utf-8')}")
        else:
            path.unlink()
        assert (await door.ask("home", "on desk")).status == 0
        with pytest.raises(EOFError):
            await here.event()


async def test_a_key_with_an_order_of_its_own(door: Door) -> None:
    """A key that is for one order gives that, whatever the subsystem, and speaks with no app."""
    path = door.site.path / "authorized_users" / "guest.toml"
    write_whole(
        path,
        path.read_text(encoding="utf-8").replace('"ssh-', '\'command="echo mine" ssh-', 1).replace('test"', "test'", 1),
    )
    async with app(door, "guest") as here:
        here.send({"jsonrpc": "2.0", "id": 1, "method": "on", "params": {"target": "desk"}})
        assert await here._reader.read() == b"mine\n"
    assert "on" not in [order for order, _ in door.orders()]


async def test_another_subsystem(door: Door) -> None:
    """There is the one subsystem, and none whose name is nearly that."""
    async with door.connect("home") as connection:
        for name in ("sshhome ", "SSHHOME", "sshhome2", "sftp"):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(subsystem=name, encoding=None)


async def test_leaving_with_orders_under_way(door: Door) -> None:
    """What has begun goes on to its end when its app is gone, and what has not never does."""
    with door.waiting_printer():
        async with app(door, "home") as here:
            for _ in range(20):
                here.ask("on", target="switch.printer")
            await until(lambda: len(door.server.visitors.dispatch._running) == 16)
        await until(lambda: not list(door.server.visitors.sessions))
        assert len(door.server.visitors.dispatch._running) == 16
    await until(lambda: len(door.audit("order.done")) == 16)
    await until(lambda: not door.server.visitors.dispatch._running)


async def test_a_hidden_device(door: Door) -> None:
    """A device that is hidden is missing in every way an app can ask of it."""
    async with app(door, "cleaner") as here:
        hidden = await here.answer("on", target="light.kids")
        missing = await here.answer("on", target="light.none")
        assert hidden["error"]["data"]["code"] == missing["error"]["data"]["code"] == "bad_arguments"
        assert hidden["error"]["message"].replace("kids", "none") == missing["error"]["message"]
        for params in ({"target": "light.kids"}, {"target": "@kids"}):
            assert (await here.answer("subscribe", **params))["error"]["code"] == 64
        told = await here.result("subscribe", snapshot=True)
        assert "kids" not in json.dumps(told)


async def test_somebody_elses_key_of_an_order(door: Door) -> None:
    """An idempotency key tells nobody but whoever made it up anything, also not with another key of theirs."""

    async def give(here: App) -> bool:
        device = await here.result("toggle", target="desk", idempotency_key="guess-me")
        return bool(device["state"]["on"])

    path = door.site.path / "authorized_users" / "home.toml"
    path.chmod(0o600)
    async with app(door, "home") as here:
        first = await give(here)
        assert await give(here) is first
    async with app(door, "home", password="correct horse") as here:
        assert await give(here) is not first
    async with app(door, "guest") as here:
        assert await give(here) is first
    repeats = [event.get("repeat") for event in door.audit("order.done") if event["order"] == "toggle"]
    assert repeats == [None, True, None, None]
