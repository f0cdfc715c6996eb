"""How long a webhook takes to become a paid invoice: at a steady rate, and alone."""

from collections.abc import Sequence

from tests.bench import loadgen
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.seed import Live, add_live
from tests.bench.settle import NotSettled, all_settled, prepare

RATE = 50.0
LONE_EVERY = 3.0

declare(
    Spec(
        "settle_ms_p50",
        "ms",
        "from a webhook's send to the commit that pays its invoice, at 50/s",
        "less",
        25,
        "fsync_ms",
    ),
    Spec("settle_ms_p99", "ms", "the same, of 99 in 100", "less", 100, "fsync_ms"),
    Spec("lone_ms_p99", "ms", "the same with one webhook every 3 s", "less", 300, "fsync_ms"),
)


async def settle_times(bench: Bench, count: int, rate: float) -> list[float]:
    """Milliseconds from each webhook's send to the commit in invoice's database, sorted."""
    numbers = await add_live(bench, count)
    log = bench.data / "latency.log"
    file = await prepare(bench, numbers)
    await bench.send_webhooks(file, connections=8, rate=rate, log=log)
    await all_settled(bench, numbers)
    file.unlink()
    async with bench.admin("invoice") as invoice:
        rows = await invoice.fetch(
            """
            SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS paid_at
            FROM invoices WHERE id BETWEEN $1 AND $2 AND status = 'paid'
            """,
            Live(numbers[0]).invoice_id,
            Live(numbers[-1]).invoice_id,
        )
    paid = {row["id"]: row["paid_at"] for row in rows}
    answers = loadgen.read_log(log)
    if refused := [answer for answer in answers if answer.status != 200]:
        raise NotSettled(f"{len(refused)} of {count} webhooks were refused at {rate}/s")
    return sorted(1000 * (paid[Live(numbers[each.index]).invoice_id] - each.start) for each in answers)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


@measures("settle_ms_p50", "settle_ms_p99", grows=True)
async def steady(bench: Bench) -> None:
    times = await settle_times(bench, int(RATE * bench.window), RATE)
    detail = {"webhooks": len(times), "max": round(times[-1], 1)}
    bench.found("settle_ms_p50", percentile(times, 50), detail=detail)
    bench.found("settle_ms_p99", percentile(times, 99), detail=detail)


@measures("lone_ms_p99")
async def lone(bench: Bench) -> None:
    times = await settle_times(bench, 4 if bench.quick else 40, 1 / LONE_EVERY)
    detail = {"webhooks": len(times), "p50": round(percentile(times, 50), 1)}
    bench.found("lone_ms_p99", percentile(times, 99), detail=detail)
