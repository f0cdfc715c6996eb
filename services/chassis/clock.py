"""The time that all decisions go by: `now()` here, `app_now()` in SQL. A simulation moves both.

Real time counts where others' clocks do: in tokens between processes, Stripe's signatures, e-mails' dates, the audit
log, and the ids of new things.

Under row-level security compare an indexed column with `(SELECT app_now())`: see `tests/service/test_query_plans.py`.
"""

from datetime import UTC, datetime, timedelta

SETTING = "clinicpay.clock_shift"
"""PostgreSQL's setting that moves `app_now()`: `ALTER DATABASE … SET clinicpay.clock_shift = '25 days'`."""

_shift = timedelta(0)


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC) + _shift


def move(by: timedelta) -> None:
    """Move this process's time, counted from real time. For simulations; see `SETTING` for its databases'."""
    global _shift
    _shift = by
