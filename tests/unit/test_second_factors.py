"""Codes of apps, recovery codes, and the sealing of what must be read again."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.ids import new_id
from services.gateway.accounts.sealing import SealBroken, Sealer
from services.gateway.accounts.second_factors import domain

SECRET = domain.new_secret()
LOGIN = new_id()
OLD, NEW = b"an-old-key-of-more-than-thirty-two-bytes", b"a-new-key-of-more-than-thirty-two-bytes"


def code_at(moment: datetime) -> str:
    return pyotp.TOTP(SECRET).at(moment)


@given(st.integers(1_600_000_000, 3_800_000_000), st.integers(-200, 200))
def test_a_code_is_accepted_in_its_half_minute_and_the_ones_beside_it(moment: int, seconds: int) -> None:
    now = datetime.fromtimestamp(moment, UTC)
    typed_at = now + timedelta(seconds=seconds)
    present, of_code = int(now.timestamp()) // 30, int(typed_at.timestamp()) // 30

    found = domain.step_of(SECRET, code_at(typed_at), now)

    # By chance two of the three codes may be the same.
    assert (found is not None) == (abs(of_code - present) <= 1) or found in range(present - 1, present + 2)


@pytest.mark.parametrize("write", ["{0}{1}", " {0} {1} ", "{0}\u00a0{1}"])
def test_a_code_may_be_typed_with_spaces(write: str) -> None:
    now = datetime.now(UTC)
    code = code_at(now)

    assert domain.step_of(SECRET, write.format(code[:3], code[3:]), now) is not None


def test_full_width_digits_are_digits() -> None:
    now = datetime.now(UTC)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code_at(now))

    assert domain.step_of(SECRET, wide, now) is not None


@pytest.mark.parametrize("typed", ["", " ", "12345", "1234567", "x" * 64, "é", "\ud800", "٠١٢٣٤٥", "-1"])
def test_any_other_text_is_no_code(typed: str) -> None:
    assert domain.step_of(SECRET, typed, datetime.now(UTC)) is None
    assert len(domain.hash_of(LOGIN, typed)) == 32


def test_recovery_codes_are_ten_random_and_read_as_they_are_typed() -> None:
    codes = domain.new_recovery_codes()

    assert len(set(codes)) == len(codes) == 10
    assert not set("".join(codes)) & set("01ilo")
    for typed in (codes[0].upper(), codes[0].replace("-", ""), f" {codes[0].replace('-', ' ')} "):
        assert domain.hash_of(LOGIN, typed) == domain.hash_of(LOGIN, codes[0])
    assert domain.hash_of(new_id(), codes[0]) != domain.hash_of(LOGIN, codes[0]), "each login's are its own"


def test_what_the_app_has_to_know() -> None:
    setup = domain.setup_of(SECRET, "ann@example.com", "Oak: Street & <Sons>")

    read = pyotp.parse_uri(setup.link)
    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer) == (SECRET, "ann@example.com", "Oak: Street & <Sons>")
    assert setup.key.replace(" ", "") == SECRET
    assert "style" not in setup.picture and "<script" not in setup.picture, (
        "the content security policy allows none"
    )


@pytest.mark.parametrize("keys", [(OLD,), (OLD, NEW), (NEW, OLD)])
def test_a_sealed_secret_opens_while_its_key_is_there(keys: tuple[bytes, ...]) -> None:
    sealed = Sealer((OLD,)).seal(LOGIN, SECRET)

    assert SECRET.encode() not in sealed.secret
    assert Sealer(keys).open(LOGIN, sealed.secret) == SECRET


def test_a_secret_without_its_key_of_another_login_or_changed_opens_never() -> None:
    sealed = Sealer((OLD,)).seal(LOGIN, SECRET)

    for keys, login, secret in (
        ((NEW,), LOGIN, sealed.secret),
        ((OLD,), new_id(), sealed.secret),
        ((OLD,), LOGIN, sealed.secret[:-1] + b"A"),
        ((OLD,), LOGIN, b""),
    ):
        with pytest.raises(SealBroken):
            Sealer(keys).open(login, secret)
    assert sealed.by == Sealer((OLD, NEW)).mark != Sealer((NEW, OLD)).mark
