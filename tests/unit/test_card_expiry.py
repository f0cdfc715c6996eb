"""When a client is told that a saved card expires. Pure."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.ids import made_at, new_id
from services.payment.methods.domain import (
    ExpiryNotice,
    SavedMethod,
    expiring,
    fact_about,
    last_day,
    listed,
    months_to_tell,
)

DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2099, 12, 31))


@given(DAYS)
def test_a_card_is_told_of_in_the_month_before_its_last_day_is_over(today: date) -> None:
    told = months_to_tell(today)

    around = [(today.year + at // 12, at % 12 + 1) for at in range(today.month - 2, today.month + 3)]
    for year, month in around:
        left = date(year, month, monthrange(year, month)[1]) - today
        assert ((year, month) in told) == (timedelta(0) <= left < timedelta(days=31))


def a_method(expires: tuple[int | None, int | None], **changes: object) -> SavedMethod:
    facts: dict[str, object] = {
        "clinic_id": new_id(),
        "id": new_id(),
        "client_id": new_id(),
        "account": "acct_1",
        "stripe_id": f"pm_{new_id().hex}",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "exp_year": expires[0],
        "exp_month": expires[1],
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "fingerprint": "f1",
    }
    return SavedMethod(**facts | changes)  # type: ignore[arg-type]


@given(DAYS, st.integers(0, 70))
def test_only_the_card_with_which_payments_begin_is_told_of(today: date, ahead: int) -> None:
    soon, later = today + timedelta(days=ahead), today + timedelta(days=400)
    first = a_method((soon.year, soon.month))
    other = a_method((later.year, later.month), fingerprint="f2")
    now = datetime.combine(today, time(9), UTC)

    notice = expiring(listed([first, other], first.id, today), now)

    due = (soon.year, soon.month) in months_to_tell(today)
    assert (notice is not None) is due
    assert notice is None or (notice.method_id, notice.expires_on) == (
        first.id,
        last_day(soon.year, soon.month),
    )
    assert expiring(listed([first, other], other.id, today), now) is None, "payments begin with the other"
    renewed = a_method((later.year, later.month))
    assert expiring(listed([first, renewed], None, today), now) is None, "the same card, renewed"


@given(DAYS)
def test_the_event_of_a_card_and_month_has_one_id_from_a_moment_that_is_past(today: date) -> None:
    [(year, month), *_] = months_to_tell(today)
    now = datetime.combine(today, time(0), UTC)
    method = a_method((year, month))

    def notice(at: datetime, saved: SavedMethod) -> ExpiryNotice:
        found = expiring(listed([saved], None, today), at)
        assert found is not None
        return found

    event = fact_about(notice(now, method))
    # As after a restore: another row of ours, at another time.
    again = a_method((year, month), client_id=method.client_id, clinic_id=method.clinic_id)
    assert fact_about(notice(now + timedelta(hours=7), again)).id == event.id
    assert fact_about(notice(now, a_method((year, month)))).id != event.id, "another client"
    assert made_at(event.id) <= now
