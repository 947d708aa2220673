"""How tests reach a house as an app does: with `sshhome.client`, whose waiting they can do without."""

import asyncio
from pathlib import Path
from typing import Any

import asyncssh

from sshhome.client import Backoff, House
from tests.client import Door


class Pauses:
    """Instead of waiting before another try: how long would have been waited."""

    def __init__(self) -> None:
        """Begin with none."""
        self.waited: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Take note, and let others have their turn."""
        self.waited.append(seconds)
        await asyncio.sleep(0)


def host_key(door: Door) -> asyncssh.SSHKey:
    """Return the house's own key."""
    return asyncssh.read_public_key(door.site.path / "host_keys" / "ssh_host_ed25519_key.pub")


def known_hosts(door: Door, folder: Path, key: asyncssh.SSHKey | None = None) -> Path:
    """Return a known_hosts file that has the house, with its own key or another one."""
    path = folder / "known_hosts"
    line = (key or host_key(door)).export_public_key().decode().strip()
    path.write_text(f"[127.0.0.1]:{door.port} {line}\n")
    return path


def way_in(door: Door, user: str = "home", *, port: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what `House.connect` is given for a user who tries again without waiting."""
    return {
        "address": f"{user}@127.0.0.1:{port or door.port}",
        "key": door.keys / user,
        "fingerprint": host_key(door).get_fingerprint(),
        "backoff": Backoff(pause=Pauses()),
        **more,
    }


def app(door: Door, user: str = "home", *, port: int = 0, **more: Any) -> House:  # noqa: ANN401
    """Return a house as an app has it, to be entered."""
    return House.connect(**way_in(door, user, port=port, **more))
