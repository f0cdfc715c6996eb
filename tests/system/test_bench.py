"""The benchmark's harness on a few invoices: what it calls settled is booked, and nothing else happened."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from tests.bench import run
from tests.bench.figures import Result
from tests.bench.installation import Bench
from tests.bench.seed import add_history
from tests.bench.settle import settle

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go to build the load generator")
INVOICES = 200


async def test_what_is_settled_is_booked_once_and_mailed_to_nobody(tmp_path: Path) -> None:
    run.load_figures()
    reported: list[Result] = []
    bench = Bench(tmp_path / "data", INVOICES, quick=True, say=print, report=reported.append)
    try:
        await bench.start()
        await add_history(bench, 100)
        first = await settle(bench, INVOICES)
        second = await settle(bench, INVOICES)
        # Stripe's books are left out: the sandbox never saw these payments.
        report = await verify(replace(Access.of_data(bench.data), stripe_secret_key=None), wait=30)
        async with bench.admin("invoice") as invoice, bench.admin("notification") as notification:
            paid = await invoice.fetchval("SELECT count(*) FROM invoices WHERE status = 'paid'")
            receipts = await notification.fetch(
                """
                SELECT state, attempts, count(*) FROM deliveries
                WHERE template = 'receipt' AND created_at > now() - interval '1 hour' GROUP BY 1, 2
                """
            )
    finally:
        await bench.stop()

    assert not report.breaches, str(report)
    assert paid == 2 * INVOICES + 90
    assert [tuple(row) for row in receipts] == [("due", 0, 2 * INVOICES)]
    assert first.load.statuses == second.load.statuses == {200: INVOICES}
    assert first.paid_at < second.began < second.paid_at
    assert 0 < second.seconds < 60
    assert second.usage.seconds["payment.worker"] > 0
