"""Days and hours of reminders."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notification.emails import calendar

DUE = date(2026, 12, 10)
PLAN = (-3, 1, 7)

plans = st.lists(st.integers(-30, 60), max_size=5, unique=True)


@pytest.mark.parametrize(
    ("days", "reached"),
    [
        (-4, None),
        (-3, -3),
        (-1, -3),
        (0, -3),
        (1, 1),
        (4, 1),
        (5, None),
        (6, None),
        (7, 7),
        (10, 7),
        (11, None),
    ],
)
def test_the_newest_day_of_the_plan_counts_and_none_that_was_long_ago(days: int, reached: int | None) -> None:
    assert calendar.reached(PLAN, DUE, DUE + timedelta(days=days)) == reached


@given(plans, st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(-100, 100))
def test_the_due_dates_of_a_day_are_those_that_reach_it(plan: list[int], today: date, age: int) -> None:
    due_on = today - timedelta(days=age)

    assert calendar.due_dates(plan, today).get(due_on) == calendar.reached(plan, due_on, today)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001
    st.sampled_from(
        ["Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]
    ),
)
def test_a_wait_ends_at_nine_in_the_morning_also_when_clocks_change(naive: datetime, zone: str) -> None:
    local = naive.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone))
    wait = calendar.until_civil(local)
    after = (local.astimezone(ZoneInfo("UTC")) + wait).astimezone(ZoneInfo(zone))

    assert timedelta(0) <= wait <= timedelta(hours=15)
    assert (after.hour, after.minute) == (9, 0) if wait else local.hour in calendar.CIVIL


def test_nobody_is_written_to_in_the_night() -> None:
    def hours(at: str) -> float:
        local = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Dublin"))
        return calendar.until_civil(local).total_seconds() / 3600

    assert [hours(f"2026-06-10T{clock}") for clock in ("08:00", "09:00", "19:59", "20:00")] == [1, 0, 0, 13]
    assert hours("2026-03-28T21:00") == 11  # the clocks go forward in this night
    assert hours("2026-10-24T21:00") == 13  # and back in this one
