"""The report of `clinicpay verify`: what was left out is counted under the table, and is no breach."""

import io

from rich.console import Console

from deploy.ops.verify.report import Report, Result
from deploy.ops.verify.screen import show


def test_what_was_left_out_is_counted_under_the_table() -> None:
    report = Report()
    report.results = [
        Result(
            "charges_are_booked", "Stripe", "booked", (), 0, {"not ours: unsigned": 3, "not ours: copied": 2}
        ),
        Result("bookings_are_charged", "Stripe", "charged", (), 0),
    ]
    output = io.StringIO()

    show(report, Console(file=output, width=200))

    lines = output.getvalue().splitlines()
    assert "left out by charges_are_booked: 2 not ours: copied, 3 not ours: unsigned" in lines
    assert "no breach: 2 checks" in lines
