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
FIDO_KIND = "sk-ssh-ed25519@openssh.com"
FIDO = f"{FIDO_KIND} {blob(FIDO_KIND.encode(), bytes(range(32)), b'ssh:')} anna@token"
#: Every option there is, well written.
OPTIONS = (
    'from="10.0.0.0/8"',
    'expiry-time="20270101"',
    'command="on kitchen"',
    'principals="anna"',
    'sshhome-grants="read,control:light.*"',
    'sshhome-role="viewer"',
    *("restrict", "no-pty", "cert-authority", "verify-required", "no-touch-required"),
)


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
    with pytest.raises(SiteError, match="2048 bits"):
        parse_key("ssh-rsa " + blob(b"ssh-rsa", b"\x01\x00\x01", b"\xff" + b"\x00" * 256))


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
        *("environment", "permitopen", "permitlisten", "tunnel", "user-rc", "pty", "nosuch", "frm"),
        *("port-forwarding", "agent-forwarding", "x11-forwarding"),
        *("no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding", "no-user-rc"),
    ],
)
@pytest.mark.parametrize("value", ["", '="x"'])
def test_unknown_options_refuse_the_line(option: str, value: str) -> None:
    """An option that is not enforced refuses the line by the option's name, since ignoring it would be a hole."""
    with pytest.raises(SiteError, match=f"'{option}'"):
        parse_key(f"{option}{value} {LINE}")
    with pytest.raises(SiteError, match=f"'{option}'"):
        parse_key(f'restrict,{option}{value},from="10.0.0.0/8" {LINE}')


@pytest.mark.parametrize("option", ["from", "expiry-time", "command", "principals", "sshhome-grants", "sshhome-role"])
def test_options_that_need_a_value(option: str) -> None:
    """An option that has a value is refused without one, and with an empty one."""
    for written in (option, f'{option}=""', f'{option}=" "'):
        with pytest.raises(SiteError, match=f"'{option}'"):
            parse_key(f"cert-authority,{written} {LINE}")


@pytest.mark.parametrize("option", ["restrict", "no-pty", "cert-authority", "verify-required", "no-touch-required"])
@pytest.mark.parametrize("value", ['=""', '="yes"'])
def test_options_that_have_no_value(option: str, value: str) -> None:
    """An option that is on or off is refused with a value, an empty one too."""
    with pytest.raises(SiteError, match=f"'{option}' has no value"):
        parse_key(f"{option}{value} {FIDO}")


@pytest.mark.parametrize("options", OPTIONS)
def test_options_stand_once(options: str) -> None:
    """The same option twice refuses the line, also when it is written differently."""
    name = options.partition("=")[0]
    for again in (options, options.replace(name, name.upper())):
        with pytest.raises(SiteError, match="stands twice"):
            parse_key(f"{options},{again} {FIDO}")


@pytest.mark.parametrize(
    "options",
    [
        *("from=10.0.0.0/8", 'from="*.example.org"', 'from="!10.0.0.1"', 'from="10.0.0.1/8"', 'from="10.0.0.0/8,"'),
        *('from="!!10.0.0.1,::/0"', 'from="10.0.0.0/8', 'from="10.0.0.0/8",', 'from="10.0.0.0/8"no-pty'),
        *(",restrict", "restrict,,no-pty", "restrict no-pty", "restrict=", "restrict ", "=", "no_pty"),
        *('expiry-time="tomorrow"', 'expiry-time="20271301"', 'expiry-time="2027"', 'expiry-time="20270101z"'),
        'expiry-time="\uff12\uff10\uff12\uff170101"',
        *('command="on \'kitchen"', 'command=";"', 'command="on kitchen\\"', "command=on"),
        *('principals="anna"', 'cert-authority,principals="anna,,bob"', 'cert-authority,principals=","'),
        *("verify-required", "no-touch-required"),
        *('sshhome-grants="look"', 'sshhome-grants="read,"', 'sshhome-grants="read control"', "sshhome-grants=read"),
        *('sshhome-grants="deny read"', 'sshhome-grants="{ allow = \\"read\\" }"', 'sshhome-grants="admin:light.*"'),
        *('sshhome-role="a b"', 'sshhome-role="viewer,guest"', 'sshhome-role="k\u00f6nig"', "sshhome-role=viewer"),
        *('sshhome_role="viewer"', 'role="viewer"', 'grants="read"'),
    ],
)
def test_options_that_are_not_understood(options: str) -> None:
    """An option that is badly written, or that this line cannot keep, refuses the line."""
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
        ("192.168.0.0/16,!192.168.7.1", "192.168.7.1", False),
        ("!192.168.7.1,192.168.0.0/16", "192.168.7.1", False),
        ("!192.168.7.0/24 , 192.168.7.1", "192.168.7.1", False),
        ("!192.168.7.1,192.168.0.0/16", "192.168.7.2", True),
        ("!192.168.7.1,192.168.0.0/16", "10.0.0.1", False),
        ("!::/0,0.0.0.0/0", "2001:db8::1", False),
    ],
)
def test_from_admits_its_networks_alone(networks: str, source: str, admitted: bool) -> None:  # noqa: FBT001 (a column)
    """`from` admits the addresses in its networks and no other; one that is barred by `!` wherever it stands is not."""
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


@pytest.mark.parametrize("order", ["on kitchen", "AAAA is no key", 'echo "a, b"; off all', "show --json"])
def test_a_command_is_the_only_order(order: str) -> None:
    """`command` is a line of orders, quotes and all, that runs instead of what is asked."""
    written = order.replace('"', '\\"')
    assert parse_key(f'command="{written}" {LINE}').order == order
    assert parse_key(f'COMMAND="{written}",no-pty {LINE}').order == order
    assert not parse_key(LINE).order


def test_narrower_keys() -> None:
    """A key may be good for less than its owner: for some grants, for a role, or for both together."""
    assert not parse_key(LINE).narrowed
    key = parse_key(f'sshhome-grants="read, control:light.*,access:lock.front_door" {LINE}')
    assert key.narrowed
    assert [str(grant) for grant in key.grants] == [
        "read (key anna@laptop)",
        "control:light.* (key anna@laptop)",
        "access:lock.front_door (key anna@laptop)",
    ]
    assert (parse_key(f'SSHHOME-ROLE="viewer" {LINE}').role, parse_key(LINE).role) == ("viewer", "")
    assert parse_key(f'sshhome-role="viewer" {LINE}').narrowed
    unnamed = parse_key(f'sshhome-grants="read",restrict {KIND} {BASE64}')
    assert str(unnamed.grants[0]) == f"read (key {unnamed.fingerprint})"
    assert not unnamed.pty


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("look", "'look' is no privilege"),
        ("read,control:Light.*", "'Light.*' is no scope"),
        ("read,", "'' is no privilege"),
    ],
)
def test_grants_of_a_key_that_are_not_understood(value: str, message: str) -> None:
    """What is wrong with the grants of a key is told with the option's name, and without the key's."""
    with pytest.raises(SiteError) as caught:
        parse_key(f'sshhome-grants="{value}" {LINE}')
    assert caught.value.message.startswith(f"key option 'sshhome-grants': {message}")
    assert "anna@laptop" not in caught.value.message


def test_authorities() -> None:
    """`cert-authority` makes a line trust certificates, for its `principals` if it names any."""
    assert not parse_key(LINE).authority
    plain = parse_key(f"cert-authority {LINE}")
    assert (plain.authority, plain.principals) == (True, ())
    named = parse_key(f'cert-authority,principals="anna, role:x" {LINE}')
    assert (named.authority, named.principals) == (True, ("anna", "role:x"))


def test_fido_keys() -> None:
    """A key in a device asks for a touch unless its line says otherwise, and for who touches if its line says so."""
    assert (parse_key(FIDO).touch, parse_key(FIDO).verify) == (True, False)
    assert not parse_key(f"no-touch-required {FIDO}").touch
    assert parse_key(f"verify-required {FIDO}").verify
    both = parse_key(f"no-touch-required,verify-required,cert-authority {LINE}")
    assert (both.touch, both.verify) == (False, True)


def test_options_hold_together() -> None:
    """Several options of one line all hold, in any case and order."""
    key = parse_key(f"{','.join(option.upper() for option in OPTIONS[:2])},{','.join(OPTIONS[2:])} {FIDO}")
    assert key.admits("10.1.1.1", NEW_YEAR - 1)
    assert not key.admits("11.1.1.1", NEW_YEAR - 1)
    assert not key.admits("10.1.1.1", NEW_YEAR)
    assert (key.kind, key.comment, key.order, key.principals) == (FIDO_KIND, "anna@token", "on kitchen", ("anna",))
    assert (key.pty, key.authority, key.verify, key.touch) == (False, True, True, False)
    assert ([grant.rule for grant in key.grants], key.role) == (["read", "control:light.*"], "viewer")


def test_key_types_are_those_that_can_sign() -> None:
    """No type of key is trusted that is broken, or that asyncssh does not know."""
    assert "ssh-dss" not in KEY_TYPES
    known = {kind.decode() for kind in asyncssh.public_key.get_public_key_algs()}
    assert known - {"ssh-dss"} >= KEY_TYPES - {"ssh-rsa"}


@settings(deadline=None)
@given(
    st.text(st.characters())
    | st.builds(lambda options: f"{options} {LINE}", st.text(st.sampled_from('from="10./8,\\ restict-pyx')))
    | st.builds(lambda options: f"{','.join(options)} {FIDO}", st.lists(st.sampled_from(OPTIONS) | st.text()))
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
