"""Tokens of pay links: read by who has a key, and by no other text."""

import base64
import re
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from contracts.pay_links import DAYS, PayLink, PayLinks, path
from services.chassis.signing import SigningKeys, keys_of

OLD, NEW = b"the-old-key-of-thirty-two-letters", b"the-new-key-of-thirty-two-letters"
OURS = PayLinks((NEW,))
TODAY = date(2026, 11, 30)
LINK = PayLink(UUID(int=7), UUID(int=9), 3, date(2027, 5, 29))
TOKEN = OURS.token(LINK)

links = st.builds(
    PayLink,
    clinic_id=st.uuids(),
    invoice_id=st.uuids(),
    generation=st.integers(0, 2**31 - 1),
    expires_on=st.dates(date(2020, 1, 1), date(2140, 1, 1)),
)


@given(links)
def test_a_token_is_read_as_it_was_made_and_fits_into_an_address(link: PayLink) -> None:
    token = OURS.token(link)

    assert OURS.read(token) == link
    assert re.fullmatch(r"[A-Za-z0-9_-]{84}", token)
    assert path(token) == f"/pay/{token}"


@given(links, st.integers(0, 62), st.integers(1, 255))
def test_any_changed_byte_is_refused(link: PayLink, at: int, by: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(OURS.token(link)))
    raw[at] ^= by

    assert OURS.read(base64.urlsafe_b64encode(raw).decode()) is None


@given(st.integers(0, 83), st.characters())
def test_any_changed_character_is_refused(at: int, other: str) -> None:
    changed = TOKEN[:at] + other + TOKEN[at + 1 :]

    assert (OURS.read(changed) is not None) == (changed == TOKEN)


@given(st.text())
def test_no_other_text_is_a_link(text: str) -> None:
    assert OURS.read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        TOKEN[:-1],
        TOKEN[:-4],
        TOKEN + "A",
        TOKEN + "AAAA",
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[:40] + "\n" + TOKEN[40:],
        TOKEN[:40] + "!" + TOKEN[40:],
        TOKEN.upper(),
    ],
)
def test_a_token_has_one_spelling(text: str) -> None:
    assert OURS.read(text) is None


def test_base64_of_the_other_alphabet_is_no_second_spelling() -> None:
    token = next(
        each
        for n in range(200)
        if "_" in (each := OURS.token(PayLink(UUID(int=n), LINK.invoice_id, 0, TODAY)))
    )

    assert OURS.read(token.replace("_", "/").replace("-", "+")) is None


def test_a_link_of_another_installation_is_none() -> None:
    assert OURS.read(PayLinks((OLD,)).token(LINK)) is None


def test_each_fact_is_signed_for_itself() -> None:
    """The facts of one link with the signature of another are no link."""
    others = [
        PayLink(UUID(int=8), LINK.invoice_id, LINK.generation, LINK.expires_on),
        PayLink(LINK.clinic_id, UUID(int=8), LINK.generation, LINK.expires_on),
        PayLink(LINK.clinic_id, LINK.invoice_id, 4, LINK.expires_on),
        PayLink(LINK.clinic_id, LINK.invoice_id, LINK.generation, LINK.expires_on + timedelta(days=1)),
    ]
    signature = TOKEN[-32:]

    assert all(OURS.read(OURS.token(other)[:-32] + signature) is None for other in others)


def test_a_key_is_replaced_with_overlap() -> None:
    both = PayLinks(keys_of(f"{NEW.decode()}, {OLD.decode()}"))

    assert both.read(PayLinks((OLD,)).token(LINK)) == LINK
    assert PayLinks((NEW,)).read(both.token(LINK)) == LINK
    assert PayLinks((OLD,)).read(both.token(LINK)) is None


def test_a_new_link_works_for_as_many_days_as_are_set() -> None:
    def last_day(links: PayLinks, due_on: date) -> date:
        return links.new(LINK.clinic_id, LINK.invoice_id, 0, TODAY, due_on).expires_on

    assert last_day(OURS, TODAY) == TODAY + timedelta(days=DAYS)
    assert last_day(OURS, TODAY - timedelta(days=900)) == TODAY + timedelta(days=DAYS)
    assert last_day(PayLinks((NEW,), days=1), TODAY) == date(2026, 12, 1)


def test_a_new_link_works_until_after_a_due_date_years_away() -> None:
    due_on = TODAY + timedelta(days=3650)
    link = OURS.new(LINK.clinic_id, LINK.invoice_id, 0, TODAY, due_on)

    assert link.expires_on == due_on + timedelta(days=DAYS)
    assert OURS.read(OURS.token(link)) == link


@pytest.mark.parametrize("given", ["", " , ", "short", f"{'n' * 32},short"])
def test_a_setting_with_a_short_key_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="at least 32 characters"):
        TypeAdapter(SigningKeys).validate_python(SecretStr(given))
