"""The report of `clinicpay verify`: what was left out is counted under the table, and is no breach."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from deploy.ops.verify import textfile
from deploy.ops.verify.report import Breach, Report, Result
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
    assert lines[0] == lines[-1] == "no breach: 2 checks"


@pytest.mark.parametrize("width", [60, 80, 119, 120, 200])
def test_no_name_and_no_number_is_cut_whatever_the_screens_width(width: int) -> None:
    breach = Breach("charges_are_refunded_as_booked_by_everybody", {"payment": "0190c0de"})
    says = "what was refunded of a charge at Stripe is what the books say was refunded of its payment"
    report = Report([Result(breach.check, "payment and Stripe", says, (breach,) * 7, 12.5)])
    output = io.StringIO()

    show(report, Console(file=output, width=width))

    text = output.getvalue()
    assert breach.check in text.replace("Breaches", "", 1).partition("Breaches")[0] and "…" not in text
    assert "12.5" in text and "7" in text


def test_the_outcome_is_written_for_prometheus(tmp_path: Path) -> None:
    breach = Breach("entries_balance", {"entry": "0190c0de"})
    broken = Result(breach.check, "payment", "balanced", (breach,) * 2, 1.0)
    whole = Result("movements_agree", "both", "agree", (), 1.0, unread={"acct_1": "access taken away"})

    textfile.write(Report([broken, whole]), tmp_path / "verify.prom")

    lines = (tmp_path / "verify.prom").read_text().splitlines()
    assert 'clinicpay_verify_breaches{check="entries_balance"} 2.0' in lines
    assert 'clinicpay_verify_breaches{check="movements_agree"} 0.0' in lines
    assert "clinicpay_verify_not_checked 1.0" in lines
    assert [line for line in lines if line.startswith("clinicpay_verify_ended_time_seconds 1.")]
