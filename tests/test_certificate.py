"""Certificates: read to the last byte, admitted only by an authority that is trusted for this user, here and now."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.certificate import Admission, Authorities, parse_authorities, read_certificate
from sshhome.errors import SiteError
from sshhome.key import Key, fingerprint, parse_key
from sshhome.wire import string
from tests.client import run
from tests.conftest import NOON

ED25519 = "ssh-ed25519"
CA = b"".join(map(string, (ED25519.encode(), bytes(range(32)))))
OTHER_CA = b"".join(map(string, (ED25519.encode(), bytes(range(1, 33)))))
#: The fields of a certified key of each type, after the nonce.
FIELDS: dict[str, tuple[bytes, ...]] = {
    "ssh-ed25519-cert-v01@openssh.com": (b"k" * 32,),
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": (b"nistp256", b"\x04" + b"k" * 64),
    "ssh-rsa-cert-v01@openssh.com": (b"\x01\x00\x01", b"\x00" + b"\xff" * 256),
    "sk-ssh-ed25519-cert-v01@openssh.com": (b"k" * 32, b"ssh:"),
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": (b"nistp256", b"\x04" + b"k" * 64, b"ssh:"),
}
PTY = {"permit-pty": b""}


def made(
    *principals: str,
    kind: str = "ssh-ed25519-cert-v01@openssh.com",
    fields: Sequence[bytes] = (),
    serial: int = 7,
    role: int = 1,
    key_id: str = "anna@laptop",
    valid: tuple[int, int] = (0, 2**64 - 1),
    critical: Mapping[str, bytes] | Sequence[tuple[str, bytes]] = {},
    extensions: Mapping[str, bytes] | Sequence[tuple[str, bytes]] = PTY,
    authority: bytes = CA,
    signed_as: str = ED25519,
) -> bytes:
    """Return a certificate in wire format, all but its signature in order."""
    return b"".join(
        (
            *map(string, (kind.encode(), b"nonce", *(fields or FIELDS[kind]))),
            serial.to_bytes(8, "big"),
            role.to_bytes(4, "big"),
            string(key_id.encode()),
            string(b"".join(string(name.encode()) for name in principals)),
            *(moment.to_bytes(8, "big") for moment in valid),
            *(options(given) for given in (critical, extensions)),
            string(b""),
            string(authority),
            string(string(signed_as.encode()) + string(b"s" * 64)),
        )
    )


def options(given: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> bytes:
    """Return options in wire format."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return string(b"".join(string(name.encode()) + string(value) for name, value in pairs))


def line(authority: bytes = CA, *options: str) -> Key:
    """Return an authority's key, with options, as one of the site's."""
    return parse_key(written(authority, *options), authority=True)


def written(authority: bytes = CA, *options: str) -> str:
    """Return a key's line, with options."""
    text = asyncssh.public_key.decode_ssh_public_key(authority).export_public_key().decode().strip()
    return f"{','.join(options)} {text}".strip()


SITE = Authorities((line(),))


def judged(blob: bytes, authorities: Authorities = SITE, own: Sequence[Key] = (), **how: Any) -> Admission | str:  # noqa: ANN401 (as in judge)
    """Return what anna, a resident at home at noon, gets by a certificate."""
    facts: dict[str, Any] = {"login": "anna", "roles": ("resident",), "source": "127.0.0.1", "now": NOON} | how
    return authorities.judge(read_certificate(blob), own=own, **facts)


def admitted(blob: bytes, authorities: Authorities = SITE, own: Sequence[Key] = (), **how: Any) -> Key:  # noqa: ANN401 (as in judge)
    """Return the key by which a certificate lets in, which it must."""
    verdict = judged(blob, authorities, own, **how)
    assert isinstance(verdict, Admission), verdict
    assert verdict.certificate == read_certificate(blob)
    return verdict.key


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIELDS)
def test_every_field_is_read(kind: str) -> None:
    """What a certificate says is read from its bytes, for every type of key."""
    blob = made("anna", "bob", kind=kind, critical={"force-command": b"x"}, valid=(5, 9))
    certificate = read_certificate(blob)
    name = certificate.kind.encode()
    assert certificate.key == b"".join(map(string, (name, *FIELDS[kind])))
    assert certificate.kind.replace("@openssh.com", "") == kind.replace("-cert-v01@openssh.com", "")
    assert (certificate.serial, certificate.type, certificate.key_id) == (7, 1, "anna@laptop")
    assert (certificate.principals, certificate.valid_after, certificate.valid_before) == (("anna", "bob"), 5, 9)
    assert (certificate.critical, certificate.extensions) == ({"force-command": b"x"}, PTY)
    assert certificate.authority == CA
    assert certificate.signed + string(certificate.signature) == blob


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("authority", ["ssh-ed25519", "ecdsa-sha2-nistp384", "ssh-rsa"])
def test_certificates_that_asyncssh_makes(kind: str, authority: str) -> None:
    """A certificate made elsewhere is read, and what it says is signed is what is signed."""
    key, signer = asyncssh.generate_private_key(kind), asyncssh.generate_private_key(authority)
    given = signer.generate_user_certificate(
        key, "anna@laptop", serial=2**64 - 1, principals=["anna"], source_address=["10.0.0.0/8"], permit_pty=False
    )
    certificate = read_certificate(given.public_data)
    assert (certificate.key, certificate.authority) == (key.public_data, signer.public_data)
    assert (certificate.serial, certificate.principals, set(certificate.critical)) == (
        2**64 - 1,
        ("anna",),
        {"source-address"},
    )
    assert "permit-pty" not in certificate.extensions
    assert signer.convert_to_public().verify(certificate.signed, certificate.signature)


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(CA, id="a plain key"),
        pytest.param(made("anna")[:-1], id="cut off"),
        pytest.param(made("anna") + b"\0", id="too long"),
        pytest.param(made("anna", kind="ssh-ed25519-cert-v00@openssh.com", fields=(b"k",)), id="version 0"),
        pytest.param(made("anna", kind="ssh-dss-cert-v01@openssh.com", fields=(b"k",) * 4), id="DSA"),
        pytest.param(made("anna", fields=(b"",)), id="an empty key"),
        pytest.param(
            made("anna", kind="ssh-rsa-cert-v01@openssh.com", fields=(b"\x03", b"\x7f" * 128)), id="RSA of 1023 bits"
        ),
        pytest.param(made("anna", critical=[("force-command", b"")] * 2), id="a critical option twice"),
        pytest.param(made("anna", extensions=[("permit-pty", b"")] * 2), id="an extension twice"),
        pytest.param(made("anna", authority=string(b"ssh-dss") + string(b"x"), signed_as="ssh-dss"), id="a DSA CA"),
        pytest.param(made("anna", authority=made("anna")), id="a certificate as CA"),
        pytest.param(
            made(
                "anna", authority=b"".join(map(string, (b"ssh-rsa", b"\3", b"\0" + b"\xff" * 256))), signed_as="ssh-rsa"
            ),
            id="SHA-1",
        ),
        pytest.param(made("anna", signed_as="rsa-sha2-256"), id="a signature of another type"),
        pytest.param(made("anna", authority=b""), id="no CA"),
    ],
)
def test_what_is_no_certificate(blob: bytes) -> None:
    """What is cut off, of an old type, made for a weak key or signed in a weak way is refused as a whole."""
    with pytest.raises(ValueError, match=r"."):
        read_certificate(blob)


@settings(deadline=None)
@given(st.data())
def test_any_bytes_are_a_certificate_or_a_value_error(data: st.DataObject) -> None:
    """Any bytes at all, and any damage to a certificate, are read or a ValueError."""
    blob = bytearray(made("anna", "bob", critical={"source-address": string(b"10.0.0.0/8")}))
    at = data.draw(st.integers(0, len(blob)))
    blob[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    for given_bytes in (bytes(blob), data.draw(st.binary(max_size=200))):
        try:
            certificate = read_certificate(given_bytes)
        except ValueError:
            continue
        verdict = SITE.judge(certificate, login="anna", roles=(), own=(), source="10.0.0.1", now=NOON)
        assert isinstance(verdict, str | Admission)


# -- who is meant -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principals", "enters"),
    [
        (["anna"], True),
        (["bob", "anna"], True),
        (["role:resident"], True),
        (["bob"], False),
        (["role:admin"], False),
        (["resident"], False),
        (["role:anna"], False),
        (["role:"], False),
        ([""], False),
        (["Anna"], False),
        (["anna "], False),
        (["*"], False),
        (["an*"], False),
    ],
)
def test_principals_of_the_site(principals: Sequence[str], *, enters: bool) -> None:
    """A principal of a site-wide authority is the login name to the letter, or `role:` and a role the user holds."""
    verdict = judged(made(*principals))
    assert verdict == (
        Admission(admitted(made(*principals)), read_certificate(made(*principals))) if enters else NOT_ME
    )


NOT_ME = "none of its principals is this user"


@pytest.mark.parametrize(
    ("named", "principals", "enters"),
    [
        ("", ["anna"], True),
        ("", ["role:resident"], False),
        ("", ["bob"], False),
        ("ops,night", ["night"], True),
        ("ops", ["anna"], False),
        ("ops", ["role:resident"], False),
        ("role:resident", ["role:resident"], True),
    ],
)
def test_principals_of_a_user_s_own_line(named: str, principals: Sequence[str], *, enters: bool) -> None:
    """On a user's own line a principal is what `principals=` says, or else the login name; never a role as such."""
    own = [line(CA, "cert-authority", *([f'principals="{named}"'] if named else []))]
    assert isinstance(judged(made(*principals), Authorities(), own), Admission) is enters


def test_a_certificate_for_nobody_is_for_nobody() -> None:
    """A certificate without principals, which OpenSSH's sshd takes for anyone, lets nobody in."""
    for own in ([], [line(CA, "cert-authority")]):
        assert judged(made(), SITE, own) == "it names no principal"


# -- who is trusted ---------------------------------------------------------------------------------------------------


def test_unknown_authorities() -> None:
    """A certificate of an authority that nobody trusts is nothing; a login key is no authority."""
    refusal = "nobody here trusts its authority"
    assert judged(made("anna", authority=OTHER_CA)) == refusal
    assert judged(made("anna"), Authorities()) == refusal
    assert judged(made("anna"), Authorities(), [parse_key(written())]) == refusal
    assert judged(made("anna"), Authorities(), [line(OTHER_CA, "cert-authority")]) == refusal
    assert SITE.lines(read_certificate(made("anna")), [parse_key(written()), line(CA, "no-pty")]) == [
        line(),
        line(CA, "no-pty"),
    ]


def test_the_line_that_admits_is_the_line_that_binds() -> None:
    """Of several lines that trust an authority the first that admits counts, and binds with its options."""
    own = [line(CA, "cert-authority", 'from="10.0.0.0/8"'), line(CA, "cert-authority", 'command="show"')]
    assert admitted(made("anna"), Authorities(), own).order == "show"
    assert admitted(made("anna"), Authorities(), own, source="10.0.0.1").order == ""
    assert judged(made("bob"), SITE, own) == NOT_ME


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ('from="127.0.0.0/8"', ""),
        ('from="10.0.0.0/8"', "its authority is not trusted from here and now"),
        ('expiry-time="20260603"', ""),
        ('expiry-time="20260601"', "its authority is not trusted from here and now"),
    ],
)
def test_options_of_an_authority_bind(options: str, refusal: str) -> None:
    """`from` and `expiry-time` of an authority's line, of the site or a user's own, limit all its certificates."""
    for authorities, own in (
        (Authorities((line(CA, options),)), []),
        (Authorities(), [line(CA, "cert-authority", options)]),
    ):
        verdict = judged(made("anna"), authorities, own)
        assert (verdict if isinstance(verdict, str) else "") == refusal


# -- what speaks against it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valid", "refusal"),
    [
        ((int(NOON), int(NOON) + 1), ""),
        ((0, 2**64 - 1), ""),
        ((int(NOON) + 1, 2**64 - 1), "it is not valid yet"),
        ((0, int(NOON)), "it has expired"),
        ((int(NOON) + 1, int(NOON) - 1), "it is not valid yet"),
        ((2**64 - 1, 2**64 - 1), "it is not valid yet"),
    ],
)
def test_validity(valid: tuple[int, int], refusal: str) -> None:
    """A certificate is valid from its first second up to, and not in, its last."""
    verdict = judged(made("anna", valid=valid))
    assert (verdict if isinstance(verdict, str) else "") == refusal


def test_certificates_for_hosts() -> None:
    """A certificate for a host, or of a type to come, is none for a user."""
    for role in (0, 2, 3):
        assert judged(made("anna", role=role)) == "it is not for users"


@pytest.mark.parametrize(
    ("revoked", "refusal"),
    [
        (Authorities((line(),), revoked_serials=frozenset({7})), "serial 7 is revoked"),
        (Authorities((line(),), revoked_serials=frozenset({8})), ""),
        (Authorities((line(),), revoked_key_ids=frozenset({"anna@laptop"})), "its key id is revoked"),
        (Authorities((line(),), revoked_key_ids=frozenset({"anna"})), ""),
        (
            Authorities((line(),), revoked_keys=frozenset({fingerprint(read_certificate(made("anna")).key)})),
            "its key or its authority is revoked",
        ),
        (Authorities((line(),), revoked_keys=frozenset({fingerprint(CA)})), "its key or its authority is revoked"),
        (Authorities((line(),), revoked_keys=frozenset({fingerprint(OTHER_CA)})), ""),
    ],
)
def test_revocation(revoked: Authorities, refusal: str) -> None:
    """A revoked serial, key id, key or authority lets in by no line, of the site or a user's own."""
    for own in ([], [line(CA, "cert-authority")]):
        verdict = judged(made("anna"), revoked, own)
        assert (verdict if isinstance(verdict, str) else "") == refusal


def test_revoked_keys() -> None:
    """A revoked key is told from one that is not."""
    revoked = Authorities(revoked_keys=frozenset({fingerprint(CA)}))
    assert (revoked.revoked(CA), revoked.revoked(OTHER_CA), Authorities().revoked(CA)) == (True, False, False)


@pytest.mark.parametrize(
    ("critical", "refusal"),
    [
        ({"source-address": string(b"127.0.0.0/8")}, ""),
        ({"source-address": string(b"10.0.0.0/8,127.0.0.1")}, ""),
        ({"source-address": string(b"10.0.0.0/8")}, "it is not for use from here"),
        ({"source-address": string(b"::/0")}, "it is not for use from here"),
        ({"source-address": string(b"")}, "a critical option is damaged"),
        ({"source-address": b""}, "a critical option is damaged"),
        ({"source-address": string(b"127.0.0.1/8")}, "a critical option is damaged"),
        ({"source-address": string(b"!127.0.0.1")}, "a critical option is damaged"),
        ({"source-address": string(b"127.0.0.1") + b"\0"}, "a critical option is damaged"),
        ({"force-command": string(b"")}, "a critical option is damaged"),
        ({"force-command": string(b" ")}, "a critical option is damaged"),
        ({"force-command": string(b"\xff")}, "a critical option is damaged"),
        ({"force-command": b"show"}, "a critical option is damaged"),
        ({"nosuch@example.org": b""}, "critical option nosuch@example.org is not understood"),
        ({"permit-pty": b""}, "critical option permit-pty is not understood"),
        ({"verify-required": b""}, "it wants a verified user, which its key cannot tell"),
    ],
)
def test_critical_options(critical: dict[str, bytes], refusal: str) -> None:
    """A critical option is understood and kept, or the certificate lets nobody in."""
    verdict = judged(made("anna", critical=critical))
    assert (verdict if isinstance(verdict, str) else "") == refusal


# -- what binds -------------------------------------------------------------------------------------------------------


def test_a_terminal_takes_permission() -> None:
    """There is a terminal when the certificate permits one and the authority's line does not take it away."""
    assert admitted(made("anna")).pty
    assert not admitted(made("anna", extensions={})).pty
    assert not admitted(made("anna"), Authorities((line(CA, "restrict"),))).pty
    assert admitted(made("anna", extensions=PTY | {"nosuch@example.org": b"x"})).pty


def test_orders_of_certificate_and_authority() -> None:
    """An order that either names is the only one; two that differ let nobody in."""
    show = made("anna", critical={"force-command": string(b"show kitchen")})
    assert admitted(made("anna")).order == ""
    assert admitted(show).order == "show kitchen"
    assert admitted(made("anna"), Authorities((line(CA, 'command="list"'),))).order == "list"
    assert admitted(show, Authorities((line(CA, 'command="show kitchen"'),))).order == "show kitchen"
    assert judged(show, Authorities((line(CA, 'command="list"'),))) == "its order is not that of its authority"


@pytest.mark.parametrize("kind", ["sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"])
@pytest.mark.parametrize("extension", [False, True])
@pytest.mark.parametrize("option", [False, True])
def test_touch_is_left_out_by_both_alone(kind: str, *, extension: bool, option: bool) -> None:
    """A touch is required unless the certificate and its authority's line both say otherwise."""
    blob = made("anna", kind=kind, extensions={"no-touch-required": b""} if extension else {})
    options = ["no-touch-required"] if option else []
    required = not (extension and option)
    assert admitted(blob, Authorities((line(CA, *options),))).touch is required
    assert admitted(blob, Authorities(), [line(CA, "cert-authority", *options)]).touch is required


def test_a_verified_user_is_wanted_by_either() -> None:
    """Who touches is verified when the certificate or its authority's line wants it."""
    kind = "sk-ssh-ed25519-cert-v01@openssh.com"
    assert not admitted(made("anna", kind=kind)).verify
    assert admitted(made("anna", kind=kind, critical={"verify-required": b""})).verify
    assert admitted(made("anna", kind=kind), Authorities((line(CA, "cert-authority", "verify-required"),))).verify


def test_what_is_proven_is_the_certified_key() -> None:
    """The key that has to sign is the one in the certificate, known by the certificate's id."""
    key = admitted(made("anna"))
    assert (key.kind, key.blob, key.comment) == (ED25519, read_certificate(made("anna")).key, "anna@laptop")
    assert not key.authority


# -- `[certificates]` -------------------------------------------------------------------------------------------------


def test_a_whole_section() -> None:
    """Authorities are lines as in a user file; serials, key ids and fingerprints are revoked."""
    found = parse_authorities(
        [written(), written(CA, "cert-authority", 'from="10.0.0.0/8"')], [1, 2**64 - 1], ["x"], [fingerprint(CA)]
    )
    assert found.keys == (line(), line(CA, "cert-authority", 'from="10.0.0.0/8"'))
    assert found.revoked_serials == {1, 2**64 - 1}
    assert found.revoked_key_ids == {"x"}
    assert found.revoked_keys == {fingerprint(CA)}
    assert parse_authorities([], [], [], []) == Authorities()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ((["nonsense"], [], [], []), "certificates.authorities, line 1: "),
        ((["ssh-ed25519-cert-v01@openssh.com AAAA"], [], [], []), "certificates.authorities, line 1: "),
        (([], [0], [], []), "certificates.revoked_serials: 0 is no serial"),
        (([], [-1], [], []), "certificates.revoked_serials: -1 is no serial"),
        (([], [2**64], [], []), "is no serial"),
        (([], [], [""], []), "certificates.revoked_key_ids: an empty key id"),
        (([], [], [], ["SHA256:x"]), "certificates.revoked_keys: 'SHA256:x' is no fingerprint"),
        (([], [], [], [fingerprint(CA)[7:]]), "is no fingerprint"),
        (([], [], [], [fingerprint(CA) + "="]), "is no fingerprint"),
        (([], [], [], ["MD5:00:11"]), "is no fingerprint"),
    ],
)
def test_a_wrong_section(section: tuple[list[str], list[int], list[str], list[str]], message: str) -> None:
    """What is wrong with the section is told by its key."""
    with pytest.raises(SiteError) as caught:
        parse_authorities(*section)
    assert message in caught.value.message


def test_principals_are_for_users_own_lines() -> None:
    """An authority of the whole site with `principals=` would let them in as anyone, and is refused."""
    with pytest.raises(SiteError, match=r"^certificates\.authorities, line 2: key option 'principals'"):
        parse_authorities([written(), written(CA, 'principals="ops"')], [], [], [])


# -- those of ssh-keygen ----------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
async def test_certificates_that_ssh_keygen_makes(program: Callable[[str], str], tmp_path: Path, kind: str) -> None:
    """A certificate of OpenSSH's own making is read and judged as it was meant."""
    keygen = program("ssh-keygen")
    for name in ("ca", "anna"):
        assert (await run(keygen, "-q", "-t", kind, "-N", "", "-f", str(tmp_path / name))).status == 0
    wanted = ["-I", "anna@laptop", "-n", "anna,role:guest", "-z", "42", "-V", "20260601Z:20260603Z"]
    wanted += [
        "-O",
        "clear",
        "-O",
        "permit-pty",
        "-O",
        "force-command=show kitchen",
        "-O",
        "source-address=127.0.0.0/8",
    ]
    answer = await run(keygen, "-q", "-s", str(tmp_path / "ca"), *wanted, str(tmp_path / "anna.pub"))
    assert answer.status == 0, answer.err
    text = await asyncio.to_thread((tmp_path / "anna-cert.pub").read_text)
    blob = asyncssh.import_certificate(text).public_data
    authority = (tmp_path / "ca.pub").read_text().strip()
    authorities = parse_authorities([authority], [], [], [])
    key = admitted(blob, authorities)
    assert (key.pty, key.order, key.comment) == (True, "show kitchen", "anna@laptop")
    assert key.blob == parse_key((tmp_path / "anna.pub").read_text().strip()).blob
    assert judged(blob, authorities, now=NOON + 86400 * 2) == "it has expired"
    assert judged(blob, authorities, source="10.0.0.1") == "it is not for use from here"
    assert judged(blob, authorities, login="bob") == NOT_ME
    assert admitted(blob, authorities, login="bob", roles=("guest",)) == key
    assert judged(blob, parse_authorities([authority], [42], [], [])) == "serial 42 is revoked"


def test_a_narrower_authority() -> None:
    """Whoever its authority lets in with less, a certificate lets in with no more, whosever line that is."""
    narrow = 'sshhome-grants="read,control:light.*"', 'sshhome-role="viewer"'
    own = parse_key(written(CA, "cert-authority", *narrow))
    for key in (
        admitted(made("anna"), Authorities((line(CA, *narrow),))),
        admitted(made("anna"), Authorities(), [own]),
    ):
        assert key.narrowed
        assert (key.grants, key.role) == (own.grants, "viewer")
