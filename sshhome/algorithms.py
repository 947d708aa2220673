"""What the server offers and how it is set up: everything asyncssh decides about a connection before it begins."""

from collections.abc import Sequence
from typing import Any

import asyncssh

from sshhome.errors import SiteError

#: Until then a user with a valid login could become any other by changing the name while it was checked.
_FLOOR = (2, 24, 1)

ALGORITHMS: dict[str, dict[str, Any]] = {
    # chacha20 is left out for its cost, five times that of AES per packet here; clients fall back by themselves.
    "compat": {
        "kex_algs": ["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org"],
        "encryption_algs": [
            "aes256-gcm@openssh.com",
            "aes128-gcm@openssh.com",
            "aes256-ctr",
            "aes192-ctr",
            "aes128-ctr",
        ],
        "signature_algs": [
            "ssh-ed25519",
            "ecdsa-sha2-nistp256",
            "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp521",
            "sk-ssh-ed25519@openssh.com",
            "sk-ecdsa-sha2-nistp256@openssh.com",
            "rsa-sha2-512",
            "rsa-sha2-256",
        ],
        "mac_algs": ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"],
    }
}
ALGORITHMS["strict"] = ALGORITHMS["compat"] | {"kex_algs": ["mlkem768x25519-sha256"]}


async def options(
    server_factory: Any,  # noqa: ANN401 (asyncssh's own type is private)
    host_keys: Sequence[asyncssh.SSHKey],
    profile: str,
    login_grace: float,
) -> asyncssh.SSHServerConnectionOptions:
    """Return the options of every connection; raises SiteError for a library that is less than it should be."""
    if tuple(int(part) for part in asyncssh.__version__.split(".")[:3] if part.isdigit()) < _FLOOR:
        raise SiteError(f"asyncssh {asyncssh.__version__} lets a user become another; 2.24.1 or newer is needed")
    try:
        return await _construct(server_factory, host_keys, profile, login_grace)
    except ValueError as error:
        raise SiteError(f"crypto: {error}; post-quantum key exchange needs cryptography 48 or newer") from None


async def _construct(
    server_factory: Any,  # noqa: ANN401 (asyncssh's own type is private)
    host_keys: Sequence[asyncssh.SSHKey],
    profile: str,
    login_grace: float,
) -> asyncssh.SSHServerConnectionOptions:
    made: asyncssh.SSHServerConnectionOptions = await asyncssh.SSHServerConnectionOptions.construct(
        None,
        config=None,
        server_factory=server_factory,
        server_host_keys=list(host_keys),
        # The first key of a kind is used, the others are announced, so that clients know the next one beforehand.
        send_server_host_keys=True,
        **ALGORITHMS[profile],
        compression_algs=None,
        gss_host=None,
        agent_forwarding=False,
        x11_forwarding=False,
        line_editor=False,
        host_based_auth=False,
        x509_trusted_certs=None,
        allow_scp=False,
        login_timeout=login_grace,
        keepalive_interval=30,
        keepalive_count_max=3,
        window=64 * 1024,
        max_pktsize=16 * 1024,
        server_version="sshhome",
        encoding="utf-8",
        errors="replace",
    )
    return made
