"""The table of what Stripe's answers prove, against Stripe's own published answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox.refusals import EARLY, LATE
from services.chassis.errors import Unavailable
from services.payment.stripe.answers import (
    TABLE,
    AccountRefused,
    Answer,
    KeyRefused,
    KeySpent,
    Meaning,
    StripeBusy,
    StripeDeclined,
    StripeFailed,
    StripeGone,
    StripeMoved,
    StripeRefused,
    StripeTooLarge,
    StripeTooSmall,
    StripeUnavailable,
)

INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (Answer(400, INVALID), StripeRefused),
        (Answer(400, INVALID, "amount_too_small", "amount"), StripeTooSmall),
        (Answer(400, INVALID, "amount_too_large", "amount"), StripeTooLarge),
        (Answer(400, INVALID, "charge_disputed"), StripeRefused),
        (Answer(404, INVALID), StripeRefused),
        (Answer(404, INVALID, "resource_missing", "intent"), StripeGone),
        (Answer(400, INVALID, "resource_missing", "customer"), StripeGone),
        (Answer(400, INVALID, "payment_intent_unexpected_state"), StripeMoved),
        (Answer(400, INVALID, "charge_already_refunded"), StripeMoved),
        (Answer(400, "idempotency_error"), KeySpent),
        (Answer(409, "idempotency_error", "idempotency_key_in_use"), StripeBusy),
        (Answer(401, INVALID), KeyRefused),
        (Answer(401, INVALID, "api_key_expired"), KeyRefused),
        (Answer(403, INVALID, "account_invalid"), AccountRefused),
        (Answer(403, INVALID, "more_permissions_required"), KeyRefused),
        (Answer(403, INVALID, "secret_key_required"), KeyRefused),
        (Answer(402, "card_error", "card_declined"), StripeDeclined),
        (Answer(402, "card_error", "card_declined", replayed=True), KeySpent),
        (Answer(429, INVALID, "rate_limit"), StripeBusy),
        (Answer(429, INVALID, "lock_timeout"), StripeBusy),
        (Answer(400, INVALID, "rate_limit"), StripeBusy),
        (Answer(424, "api_error"), StripeFailed),
        (Answer(500, "api_error"), StripeFailed),
        (Answer(500, "api_error", replayed=True), KeySpent),
        (Answer(400, INVALID, replayed=True), StripeRefused),
        (Answer(503), StripeFailed),
        (Answer(0), StripeUnavailable),
        (Answer(302), StripeUnavailable),
    ],
)
def test_each_answer_has_its_meaning(answer: Answer, meaning: Meaning) -> None:
    assert answer.meaning is meaning


def test_each_row_of_the_table_is_the_first_for_some_answer_of_the_sandbox() -> None:
    """The sandbox gives every one of them, so that the tests of the callers meet every row."""
    errors = [make() for make in (*EARLY.values(), *LATE.values())]
    met = {Answer(each.status, each.body["type"], each.body.get("code")).meaning for each in errors}
    assert met | {StripeUnavailable} == {row.means for row in TABLE}


@given(
    st.integers(0, 999),
    st.sampled_from([None, "api_error", "card_error", "idempotency_error", INVALID, "tomorrow_error"]),
    st.sampled_from([None, "resource_missing", "account_invalid", "code_of_tomorrow"]),
    st.booleans(),
)
def test_no_answer_is_without_a_meaning(
    status: int, type_: str | None, code: str | None, again: bool
) -> None:
    error = Answer(status, type_, code, None, again).error()
    assert error.detail.endswith(".")
    if isinstance(error, Unavailable):
        assert error.retry_after > 0
