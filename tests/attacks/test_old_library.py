"""An attacker waits for a house with an old SSH library, or one without post-quantum keys: it does not start."""

import asyncssh
import pytest
from asyncssh import connection, kex

from sshhome import app
from sshhome.errors import SiteError


@pytest.mark.parametrize("version", ["2.14.0", "2.24", "2.24.0"])
async def test_a_library_with_a_known_hole(site: app.Site, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """With an asyncssh in which a user could become another the server says so, and listens nowhere."""
    monkeypatch.setattr(asyncssh, "__version__", version)
    with pytest.raises(SiteError, match=f"asyncssh {version} lets a user become another"):
        async with app.running(site, ["127.0.0.1:0"]):
            pass


@pytest.mark.parametrize("profile", ["compat", "strict"])
async def test_a_library_without_post_quantum_keys(
    site: app.Site, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """With a cryptography that cannot do it the server does not start, instead of offering less without a word."""
    classic = [name for name in kex.get_kex_algs() if b"mlkem" not in name]
    monkeypatch.setattr(connection, "get_kex_algs", lambda: classic)
    (site.path / "sshhome.toml").write_text(f'[crypto]\nprofile = "{profile}"\n')
    with pytest.raises(SiteError, match="post-quantum key exchange needs cryptography 48"):
        async with app.running(app.Site(site.path), ["127.0.0.1:0"]):
            pass
