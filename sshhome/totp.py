"""One-time codes: six digits that an app makes of a shared secret and the time, new every 30 seconds (RFC 6238)."""

import base64
import binascii
import hmac
import io
import re

import pyotp

from sshhome.errors import SiteError

STEP = 30
_DIGITS = 6
#: Steps before and after the present one whose code is taken too: clocks differ, and typing takes time.
_TOLERANCE = 1
#: RFC 4226 §4 asks for at least 128 bits.
_MIN_SECRET = 16
_SECRET = re.compile(r"[A-Z2-7]+", re.ASCII)


def new_secret() -> str:
    """Return a secret of 160 bits, as text that an app takes."""
    return pyotp.random_base32()


def check_secret(secret: str) -> None:
    """Raise SiteError unless this is a secret; its message does not tell it."""
    try:
        size = len(base64.b32decode(secret + "=" * (-len(secret) % 8))) if _SECRET.fullmatch(secret) else 0
    except binascii.Error:
        size = 0
    if size < _MIN_SECRET:
        raise SiteError(f"a secret is base32, A-Z and 2-7, of at least {_MIN_SECRET} bytes")


def matching_step(secret: str, code: str, now: float) -> int | None:
    """Return the number of the 30 seconds that a code is of, or None for a wrong or outdated one.

    A code is good once: whoever asks must keep the number, and refuse it the next time.
    """
    present = int(now // STEP)
    totp = pyotp.TOTP(secret)
    given = code.replace(" ", "").encode()
    found = None
    # All are compared, in a time that tells nothing of the code.
    for step in range(max(0, present - _TOLERANCE), present + _TOLERANCE + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            found = step
    return found


def uri(secret: str, login: str, house: str) -> str:
    """Return what an app reads from the QR code."""
    return pyotp.TOTP(secret, digits=_DIGITS, interval=STEP).provisioning_uri(name=login, issuer_name=house)


def qr_code(text: str) -> list[str]:
    """Return the lines of a QR code, made of half blocks, light where the terminal writes."""
    import segno  # noqa: PLC0415 (40 ms that only who makes a secret pays)

    out = io.StringIO()
    segno.make_qr(text, error="l").terminal(out, border=2, compact=True)
    return out.getvalue().splitlines()
