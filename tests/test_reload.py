"""A site's files change while it is served: what is right binds, what is wrong changes nothing, nobody is cut off."""

import shutil
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncssh
import pytest

from sshhome.app import Site
from sshhome.hostkey import make_key
from tests.client import Door, ask, run, until
from tests.conftest import CONFIG, ROOMY
from tests.process import Operator

Serve = Callable[..., AbstractAsyncContextManager[Door]]


def write(door: Door, text: str) -> None:
    """Replace the configuration, as an editor does."""
    (door.site.path / "sshhome.toml").write_text(f"{text}\n{CONFIG}")


async def host_key(door: Door) -> str:
    """Return the fingerprint of the key that the house shows."""
    key = await asyncssh.get_server_host_key("127.0.0.1", door.port, config=None)
    assert key is not None
    return key.get_fingerprint()


async def test_limits_bind_new_connections(door: Door) -> None:
    """Limits of a changed file bind who comes next and the next order, and the session that is open goes on."""
    async with door.connect("home") as connection:
        write(door, "[limits]\nconnections = 1\norder_line = 20\n[bans]\nmax_failures = 1")
        assert await door.reload.now()
        assert (await ask(connection, "echo still here")).out == "still here\n"
        assert (await ask(connection, "echo " + "x" * 20)).err == "error: a line may be 20 bytes long\n"
        assert (await door.ask("guest", "whoami")).err == "disconnected: server busy, try later\n"
    await until(lambda: not door.server.visitors)
    assert (await door.ask("home", "whoami", password="wrong horse")).status == 255
    assert door.audit("ban.set")


async def test_what_is_wrong_changes_nothing(door: Door) -> None:
    """A file that is not understood is refused loudly, and everything goes on as before."""
    before = door.server.config
    write(door, "[limits]\nconnections = 0")
    assert not await door.reload.now()
    assert door.server.config is before
    (refused,) = door.audit("config.refused")
    assert refused["message"] == "sshhome.toml: limits.connections must be more than 0"
    assert (await door.ask("home", "echo served")).out == "served\n"


async def test_where_the_house_is(door: Door) -> None:
    """Told where it is, the house knows the sun at once; what goes by it goes by the new place."""
    config = door.site.path / "sshhome.toml"
    before = config.read_text()
    for latitude, due in ((52.52, "today 21:20"), (40.0, "today 20:29")):
        config.write_text(before.replace("[house]", f"[house]\nlatitude = {latitude}\nlongitude = 13.405"))
        assert await door.reload.now()
        if due == "today 21:20":
            assert (await door.ask("guest", "every day sunset on porch")).status == 0
        assert f"next: {due}\n" in (await door.ask("guest", "schedule show 1")).out
    assert [event.get("needs_restart") for event in door.audit("config.reloaded")] == [None, None]


async def test_a_changed_file_is_noticed(door: Door) -> None:
    """Nobody has to tell the server: it looks at its files."""
    write(door, "[limits]\norder_line = 20")
    await until(lambda: door.audit("config.reloaded"))
    assert (await door.ask("home", "echo " + "x" * 20)).status == 64


async def test_roles_bind_live_sessions(serve: Serve) -> None:
    """A role that means less binds a live session at its next order."""
    role = '[roles.helper]\ngrants = ["control:light.*"]\n'
    async with serve(role) as door:
        door.site.users.edit("guest", lambda document: document.update(roles=["helper"]))
        async with door.connect("guest") as connection:
            assert (await ask(connection, "on hall")).status == 0
            write(door, ROOMY + role.replace("light.*", "light.desk"))
            assert await door.reload.now()
            assert (await ask(connection, "on hall")).status != 0
            assert (await ask(connection, "on desk")).status == 0


async def test_a_role_in_use_stays(serve: Serve) -> None:
    """A file without a role that a user has is refused, since it would shut that user out."""
    async with serve('[roles.helper]\ngrants = ["control:light.*"]\n') as door:
        door.site.users.edit("guest", lambda document: document.update(roles=["helper"]))
        assert (await door.ask("guest", "on hall")).status == 0
        write(door, ROOMY)
        assert not await door.reload.now()
        (refused,) = door.audit("config.refused")
        assert refused["message"].startswith("sshhome.toml: would shut out guest: authorized_users/guest.toml: no role")
        assert (await door.ask("guest", "on hall")).status == 0


async def test_what_waits_for_a_restart_is_named(door: Door) -> None:
    """The address is settled at the start; the audit log says that a change to it waits."""
    (door.site.path / "sshhome.toml").write_text(f'listen = ["127.0.0.1:1"]\n{ROOMY}{CONFIG}')
    assert await door.reload.now()
    assert door.audit("config.reloaded")[-1]["needs_restart"] == ["listen"]


async def test_the_host_key_is_changed(door: Door) -> None:
    """A second key is announced to who knows the first; once the first is gone it is the house's, sessions unharmed."""
    folder = door.site.path / "host_keys"
    old = await host_key(door)
    async with door.connect("home") as connection:
        new = make_key(folder / "ssh_host_ed25519_key_next", "next").get_fingerprint()
        assert await door.reload.now()
        assert await host_key(door) == old
        for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
            (folder / name).unlink()
        assert await door.reload.now()
        assert await host_key(door) == new
        assert (await ask(connection, "echo still here")).out == "still here\n"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.chmod(0o644), "readable by others"),
        (lambda path: path.write_text("nonsense"), "host_keys/ssh_host_ed25519_key"),
        (Path.unlink, "host_keys: no key is left"),
    ],
)
async def test_a_wrong_host_key_changes_nothing(door: Door, spoil: Callable[[Path], object], message: str) -> None:
    """A host key that others can read, that is damaged or that is gone is refused; the old one goes on."""
    before = await host_key(door)
    spoil(door.site.path / "host_keys" / "ssh_host_ed25519_key")
    assert not await door.reload.now()
    assert message in door.audit("config.refused")[-1]["message"]
    assert await host_key(door) == before


async def test_a_hangup_re_reads(operator: Operator, site: Site, keys: Path) -> None:
    """SIGHUP re-reads the files of a served site and ends nothing, however many come."""
    async with operator.serves(site.path, keys) as (process, door), door.connect("home") as connection:
        for _ in range(20):
            process.signal(signal.SIGHUP)
        await until(lambda: door.audit("config.reloaded"))
        assert (await ask(connection, "echo still here")).out == "still here\n"
        process.signal(signal.SIGTERM)
        assert (await process.answer()).status == 0


@pytest.mark.real
async def test_openssh_learns_the_next_key(door: Door, program: Callable[[str], str], tmp_path: Path) -> None:
    """OpenSSH takes the announced key into its known_hosts, and trusts the house when that key is the only one left."""
    ssh, folder = program("ssh"), door.site.path / "host_keys"
    known = tmp_path / "known_hosts"
    options = ["-F", "none", "-i", str(door.keys / "home"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    options += ["-o", f"UserKnownHostsFile={known}", "-o", "UpdateHostKeys=yes", "-p", str(door.port)]

    async def order(checking: str) -> int:
        answer = await run(ssh, *options, "-o", f"StrictHostKeyChecking={checking}", "home@127.0.0.1", "whoami")
        return answer.status

    assert await order("accept-new") == 0
    make_key(folder / "ssh_host_ed25519_key_next", "next")
    assert await door.reload.now()
    assert await order("yes") == 0
    (folder / "ssh_host_ed25519_key").unlink()
    shutil.move(folder / "ssh_host_ed25519_key_next", folder / "ssh_host_ed25519_key")
    assert await door.reload.now()
    assert await order("yes") == 0
