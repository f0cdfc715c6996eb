"""Money that is no longer due on a paid invoice becomes credit: exactly that sum, from the newest payments first."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.payment.ledger.domain import unbalanced
from services.payment.payments.excess import Paid, take_off
from services.payment.receivables.domain import Receivable

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def a_receivable(due: int, settled: int, returned: int = 0, status: str = "paid") -> Receivable:
    return Receivable(
        clinic_id=UUID(int=1),
        id=UUID(int=2),
        client_id=UUID(int=3),
        due_amount=due,
        settled_amount=settled,
        currency="EUR",
        status=status,
        returned_amount=returned,
        version=7,
    )


@given(
    due=st.integers(0, 1000),
    kept=st.lists(st.integers(1, 400), max_size=5),
    returned=st.integers(0, 300),
    status=st.sampled_from(["paid", "void"]),
)
def test_credit_is_what_was_kept_above_what_is_due(
    due: int, kept: list[int], returned: int, status: str
) -> None:
    receivable = a_receivable(due, sum(kept) + returned, returned, status)
    paid = [Paid(UUID(int=100 + at), amount) for at, amount in enumerate(kept)]

    moved = take_off(receivable, paid, NOW)

    assert sum(each.amount for each in moved) == max(0, sum(kept) - (0 if status == "void" else due))
    for each in moved:
        assert 0 < each.amount <= kept[each.payment_id.int - 100]
        assert not unbalanced(each.entry.postings)
        assert each.movement.amount.minor == -each.amount
    assert len({each.entry.id for each in moved} | {each.movement.id for each in moved}) == 2 * len(moved)


def test_the_newest_payment_gives_first() -> None:
    moved = take_off(a_receivable(30, 100), [Paid(UUID(int=9), 40), Paid(UUID(int=8), 60)], NOW)

    assert [(each.payment_id.int, each.amount) for each in moved] == [(9, 40), (8, 30)]


def test_what_was_refunded_is_not_credited_as_well() -> None:
    assert take_off(a_receivable(60, 100, returned=40), [Paid(UUID(int=9), 60)], NOW) == []
