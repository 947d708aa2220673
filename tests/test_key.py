"""One line of authorized_keys: understood whole, options included, or refused."""

import base64
import struct

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.errors import SiteError
from sshhome.key import KEY_TYPES, parse_key

#: 2027-01-01 00:00 UTC.
NEW_YEAR = 1798761600.0


def blob(*fields: bytes) -> str:
    """Return these fields in wire format, as base64."""
    return base64.b64encode(b"".join(struct.pack(">I", len(field)) + field for field in fields)).decode()


KIND = "ssh-ed25519"
BASE64 = blob(KIND.encode(), bytes(range(32)))
LINE = f"{KIND} {BASE64} anna@laptop"


def rsa(bits: int) -> str:
    """Return a line with an RSA key of so many bits."""
    return "ssh-rsa " + blob(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + (1 << bits - 1).to_bytes(bits // 8, "big"))


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"])
def test_keys_as_openssh_writes_them(kind: str) -> None:
    """A public key file of any trusted type is understood, and its fingerprint is OpenSSH's."""
    key = asyncssh.generate_private_key(kind, comment="anna@laptop, the old one")
    parsed = parse_key(key.export_public_key("openssh").decode().strip())
    assert parsed.kind == kind
    assert parsed.blob == key.public_data
    assert parsed.comment == "anna@laptop, the old one"
    assert parsed.fingerprint == key.get_fingerprint()
    assert parsed.pty


def test_rsa_keys_of_2048_bits_and_more() -> None:
    """An RSA key is understood from 2048 bits on."""
    assert parse_key(rsa(2048)).kind == "ssh-rsa"
    with pytest.raises(SiteError, match="2048 bits"):
        parse_key(rsa(1024))


@pytest.mark.parametrize(
    "line",
    [
        *(
            "",
            " ",
            "# a comment",
            "ssh-dss AAAAB3NzaC1kc3M=",
            KIND,
            f"{KIND} ",
            BASE64,
            f"{KIND} AAAA",
            f"{KIND} !{BASE64}",
        ),
        *(f"{KIND} {BASE64[:-8]}", f"{KIND} {BASE64[:-1]}", f"ssh-rsa {BASE64}", f"ecdsa-sha2-nistp256 {BASE64}"),
        *(f"{LINE}\n{LINE}", f"{LINE}\x00", f"\x1b{LINE}", f"{KIND}\t{BASE64}", f"{KIND} {blob(b'ssh-ed25519')}"),
        *(f"ssh-rsa {blob(b'ssh-rsa', b'x')}", "ssh-ed25519-cert-v01@openssh.com AAAA", f"{KIND} {BASE64}{BASE64}"),
    ],
)
def test_lines_that_are_no_key(line: str) -> None:
    """A line that is cut off, of another type than it says, or more than one line is refused."""
    with pytest.raises(SiteError):
        parse_key(line)


@pytest.mark.parametrize(
    "option",
    [
        *(
            "command",
            "environment",
            "permitopen",
            "permitlisten",
            "port-forwarding",
            "agent-forwarding",
            "x11-forwarding",
        ),
        *("no-port-forwarding", "no-agent-forwarding", "tunnel", "principals", "cert-authority", "verify-required"),
        *("no-touch-required", "no-user-rc", "pty", "nosuch"),
    ],
)
@pytest.mark.parametrize("value", ["", '="x"'])
def test_unknown_options_refuse_the_line(option: str, value: str) -> None:
    """An option that is not enforced refuses the line by the option's name, since ignoring it would be a hole."""
    with pytest.raises(SiteError, match=f"'{option}'"):
        parse_key(f"{option}{value} {LINE}")
    with pytest.raises(SiteError, match=f"'{option}'"):
        parse_key(f'restrict,{option}{value},from="10.0.0.0/8" {LINE}')


@pytest.mark.parametrize(
    "options",
    [
        *(
            "from",
            "from=",
            "from=10.0.0.0/8",
            'from=""',
            'from="*.example.org"',
            'from="!10.0.0.1"',
            'from="10.0.0.1/8"',
        ),
        *(
            'from="10.0.0.0/8',
            'from="10.0.0.0/8",',
            ",restrict",
            "restrict,,no-pty",
            'restrict="yes"',
            "restrict,restrict",
        ),
        *('from="10.0.0.0/8",FROM="::/0"', "expiry-time", 'expiry-time=""', 'expiry-time="tomorrow"'),
        *('expiry-time="20271301"', 'expiry-time="2027"', 'expiry-time="\uff12\uff10\uff12\uff170101"', "restrict "),
    ],
)
def test_options_that_are_not_understood(options: str) -> None:
    """A badly written option, a name or pattern in `from`, and an option given twice refuse the line."""
    with pytest.raises(SiteError):
        parse_key(f"{options} {LINE}" if options != "restrict " else options)


@pytest.mark.parametrize("options", ["restrict", "no-pty", "RESTRICT", "restrict,no-pty"])
def test_restricted_keys_get_no_terminal(options: str) -> None:
    """`restrict` and `no-pty`, in any case, take the terminal away."""
    assert not parse_key(f"{options} {LINE}").pty


@pytest.mark.parametrize(
    ("networks", "source", "admitted"),
    [
        ("192.168.0.0/16", "192.168.7.1", True),
        ("192.168.0.0/16", "10.0.0.1", False),
        ("10.0.0.0/8, 192.168.0.0/16", "192.168.7.1", True),
        ("192.168.7.1", "192.168.7.1", True),
        ("192.168.7.1", "192.168.7.2", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "192.168.7.1", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_from_admits_its_networks_alone(networks: str, source: str, admitted: bool) -> None:  # noqa: FBT001 (a column)
    """`from` admits the addresses in its networks and no other."""
    key = parse_key(f'from="{networks}" {LINE}')
    assert key.admits(source, 0.0) is admitted
    assert parse_key(LINE).admits(source, 0.0)


@pytest.mark.parametrize("time", ["20270101", "20270101Z", "202701010000", "20270101000000Z"])
def test_expiry_is_a_moment_in_utc(time: str) -> None:
    """`expiry-time` ends a key at that moment, to the second, in UTC."""
    key = parse_key(f'expiry-time="{time}" {LINE}')
    assert key.expires == NEW_YEAR
    assert key.admits("127.0.0.1", NEW_YEAR - 1)
    assert not key.admits("127.0.0.1", NEW_YEAR)


def test_options_hold_together() -> None:
    """Several options of one line all hold."""
    key = parse_key(f'from="10.0.0.0/8",expiry-time="20270101",no-pty {LINE}')
    assert key.admits("10.1.1.1", NEW_YEAR - 1)
    assert not key.admits("11.1.1.1", NEW_YEAR - 1)
    assert not key.admits("10.1.1.1", NEW_YEAR)
    assert not key.pty
    assert key.comment == "anna@laptop"


def test_key_types_are_those_that_can_sign() -> None:
    """No type of key is trusted that is broken, or that asyncssh does not know."""
    assert "ssh-dss" not in KEY_TYPES
    known = {kind.decode() for kind in asyncssh.public_key.get_public_key_algs()}
    assert known - {"ssh-dss"} >= KEY_TYPES - {"ssh-rsa"}


@settings(deadline=None)
@given(
    st.text(st.characters())
    | st.builds(lambda options: f"{options} {LINE}", st.text(st.sampled_from('from="10./8,\\ restict-pyx')))
    | st.builds(lambda body: f"{KIND} {base64.b64encode(body).decode()}", st.binary(max_size=80))
)
def test_any_line_is_a_key_or_a_site_error(line: str) -> None:
    """Any line at all is a key or a SiteError."""
    try:
        key = parse_key(line)
    except SiteError:
        return
    assert key.kind in KEY_TYPES
    assert key.blob
