"""A second factor of a login: codes of an app, and recovery codes in their place. Pure.

The codes are those of RFC 6238 with its defaults, which every such app has: six digits, another each 30 seconds.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import pyotp
import segno

from services.gateway.accounts.typed_codes import bare, new_code, plain

SETUP_LASTS = timedelta(minutes=15)
"""How long a secret waits until a code confirms it."""
RECOVERY_CODES = 10
LONGEST_TYPED = 64
WRONG_CODE = (
    "The code is not right. Type the one that your app shows now. If it is refused again, let the phone set its clock "
    "by itself."
)
_SECONDS = 30
_DRIFT = 1
"""Codes of so many steps before and after the present one are accepted: clocks of phones are not exact."""
_GROUPS = 4

Way = Literal["app", "recovery"]


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A login's second factor that is on. `used_step`: no code of this step or before is accepted again."""

    login_id: UUID
    sealed: bytes
    used_step: int
    codes_left: int


@dataclass(frozen=True, slots=True)
class Setup:
    """The secret for an app: as a picture to scan, as text to type, and as a link for the phone itself."""

    picture: str
    key: str
    link: str


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 asks for."""
    return pyotp.random_base32()


def setup_of(secret: str, email: str, issuer: str) -> Setup:
    """`issuer` is the name under which the app lists the code."""
    link = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)
    picture = segno.make_qr(link, error="m").svg_inline(
        scale=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True
    )
    key = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return Setup(picture, key, link)


def step_of(secret: str, typed: str, now: datetime) -> int | None:
    """The step whose code was typed, within the drift of clocks; None for any other text."""
    code = "".join(plain(typed).split())
    present, totp = int(now.timestamp()) // _SECONDS, pyotp.TOTP(secret)
    fits = [
        step
        for step in range(present - _DRIFT, present + _DRIFT + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "replace"))
    ]
    return fits[-1] if fits else None


def new_recovery_codes() -> tuple[str, ...]:
    """Codes of 79 random bits."""
    return tuple(new_code(_GROUPS) for _ in range(RECOVERY_CODES))


def hash_of(login_id: UUID, typed: str) -> bytes:
    """The hash of a recovery code as it was typed, with or without hyphens and spaces, in either case."""
    return hashlib.sha256(login_id.bytes + bare(typed)).digest()
