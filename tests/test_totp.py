"""One-time codes: those of RFC 6238, for a minute and a half, of a secret that is long enough."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.errors import SiteError
from sshhome.totp import STEP, check_secret, matching_step, new_secret, qr_code, uri

#: The secret of RFC 6238, appendix B: `12345678901234567890`.
RFC = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_of_the_rfc(now: int, code: str) -> None:
    """The last six digits of the test values of RFC 6238 are codes of their 30 seconds."""
    assert matching_step(RFC, code, now) == now // STEP


@pytest.mark.parametrize(
    ("late", "good"), [(-31, False), (-30, True), (-1, True), (0, True), (29, True), (59.9, True), (60, False)]
)
def test_a_code_is_good_for_a_step_before_and_after(late: float, *, good: bool) -> None:
    """A code is taken during its own 30 seconds, those before and those after, and names its own every time."""
    begin = 1111111110
    assert (matching_step(RFC, "050471", begin + late) == begin // STEP) is good


@pytest.mark.parametrize("code", ["287 082", " 287082", "287082 "])
def test_a_code_may_be_spaced(code: str) -> None:
    """Apps show codes in two groups, and people type them so."""
    assert matching_step(RFC, code, 59) == 1


@pytest.mark.parametrize(
    "code",
    ["", "287083", "28708", "2870820", "94287082", "287082\n", "\uff12\uff18\uff17\uff10\uff18\uff12", "-287082", "\0"],
)
def test_what_is_no_code(code: str) -> None:
    """Nothing but the very digits is a code, no longer one, and no digits of another script."""
    assert matching_step(RFC, code, 59) is None


def test_codes_at_the_beginning_of_time() -> None:
    """A machine whose clock stands at or before the epoch checks codes without falling over."""
    assert matching_step(RFC, "755224", 0) == 0
    assert matching_step(RFC, "755224", -86400) is None


@given(st.text(), st.floats(0, 1e11))
def test_any_text_is_checked(code: str, now: float) -> None:
    """Any answer at any time is checked, and what is not six digits is wrong."""
    step = matching_step(RFC, code, now)
    assert step is None or re.fullmatch(r"\d{6}", code.replace(" ", ""))


def test_new_secrets() -> None:
    """A new secret is 160 bits, good, and another one each time."""
    secrets = {new_secret() for _ in range(20)}
    assert len(secrets) == 20
    for secret in secrets:
        check_secret(secret)
        assert len(secret) == 32


@pytest.mark.parametrize("secret", ["GEZDGNBVGY3TQOJQGEZDGNBVGY", "A" * 32, "A" * 100 + "BCD2"])
def test_secrets_that_are_long_enough(secret: str) -> None:
    """16 bytes are enough; more are welcome."""
    check_secret(secret)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "GEZDGNBVGY3TQOJQGEZDGNBV",
        "A" * 25,
        "A" * 33,
        RFC.lower(),
        f"{RFC}======",
        f"{RFC}\n",
        "0" * 32,
        "\u0131" * 32,
    ],
)
def test_secrets_that_are_none(secret: str) -> None:
    """What is short, padded, or no base32 is refused, without being told again."""
    with pytest.raises(SiteError) as caught:
        check_secret(secret)
    assert not secret or secret not in caught.value.message


def test_what_an_app_reads() -> None:
    """The link names the user, the house and the secret; its QR code is square, two blocks to a line."""
    link = uri(RFC, "anna", "house")
    assert link == f"otpauth://totp/house:anna?secret={RFC}&issuer=house"
    assert uri(RFC, "anna", "our house & garden").endswith("issuer=our%20house%20%26%20garden")
    lines = qr_code(link)
    assert {len(line) for line in lines} == {37}
    assert len(lines) == 19
    assert set("".join(lines)) <= set("█▀▄ ")
