"""A recorded payment that is taken back: the event says what moved, to the last unit."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.payment import PaymentReversed, PaymentSettled
from services.payment.ledger.domain import unbalanced
from services.payment.outside.domain import Kept, Reversed, Taken, record, reversal_of, take_back
from services.payment.receivables.domain import Receivable

CLINIC, CLIENT, PAYMENT = UUID(int=1), UUID(int=2), UUID("0192f3d1-9f04-7d21-b6c3-8d3f6e9c5a44")
AT = datetime(2026, 11, 6, 9, 14, tzinfo=UTC)
SUMS = st.integers(min_value=0, max_value=10**9)


@given(
    # Of each invoice: what it owes, what of the payment is on it, what became credit since, what others paid.
    invoices=st.lists(st.tuples(SUMS, SUMS.filter(bool), SUMS, SUMS), max_size=4),
    surplus=SUMS,
)
def test_what_was_taken_back_is_what_the_books_moved(
    invoices: list[tuple[int, int, int, int]], surplus: int
) -> None:
    parts = {UUID(int=10 + at): part for at, (_, part, _, _) in enumerate(invoices)}
    amount = sum(parts.values()) + surplus
    if not amount:
        return
    owed = [
        Receivable(CLINIC, UUID(int=10 + at), CLIENT, due, others, "EUR", "unpaid")
        for at, (due, _, _, others) in enumerate(invoices)
    ]
    taken = Taken(CLIENT, "cash", amount, "EUR", None, AT)
    booked = record(taken, parts, owed, clinic_id=CLINIC, payment_id=PAYMENT, livemode=False, now=AT)
    kept = [
        Kept(each, part - min(part, moved))
        for (each, part), (_, _, moved, _) in zip(parts.items(), invoices, strict=True)
    ]

    later = AT + timedelta(days=1)
    back = take_back(booked.payment, kept, booked.receivables, later)

    events = [event for event, _ in back.booking.events]
    moved = {each.invoice_id: -each.amount.minor for each in events if isinstance(each, PaymentSettled)}
    [told] = [each for each in events if isinstance(each, PaymentReversed)]
    assert {each.invoice_id: each.amount.minor for each in told.invoices} == moved
    assert told.amount.minor == amount and told.time == later
    due_again = {each.id: each.open_amount for each in back.receivables}
    assert {each.invoice_id: each.due.minor for each in told.invoices} == due_again
    [entry] = back.booking.entries
    assert not unbalanced(entry.postings)
    credit = sum(each.amount for each in entry.postings if each.account == "client_credit")
    assert credit == amount - sum(moved.values()), "the rest of the event is the client's credit"
    assert told == reversal_of(booked.payment, _rows(told), later)


def test_a_reversal_that_a_restore_lost_is_another_movement_when_it_is_made_again() -> None:
    """Readers have the lost one's id as lost; the client was told once, under one id."""
    owed = [Receivable(CLINIC, UUID(int=10), CLIENT, 500, 0, "EUR", "unpaid")]
    taken = Taken(CLIENT, "cash", 500, "EUR", None, AT)
    booked = record(
        taken, {UUID(int=10): 500}, owed, clinic_id=CLINIC, payment_id=PAYMENT, livemode=False, now=AT
    )

    def back(at: datetime) -> tuple[UUID, UUID]:
        made = take_back(booked.payment, [Kept(UUID(int=10), 500)], booked.receivables, at).booking
        [movement], [told] = (
            made.movements,
            [each for each, _ in made.events if isinstance(each, PaymentReversed)],
        )
        return movement.movement_id, told.id

    (lost, told), (again, told_again) = back(AT + timedelta(days=1)), back(AT + timedelta(days=2))
    assert lost != again and told == told_again


def _rows(told: PaymentReversed) -> list[Reversed]:
    return [Reversed(each.invoice_id, each.amount.minor, each.due.minor) for each in reversed(told.invoices)]
