"""One, two and four invoice workers over the same twelve partitions: what they book together, and each event's CPU."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from deploy.local.process import free_port
from deploy.local.units import PythonUnit
from tests.bench.book import rate
from tests.bench.cpu import Usage
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import READY_SECONDS, Bench
from tests.bench.seed import Live, add_live
from tests.bench.settle import CONNECTIONS, MOST_SECONDS, PAID, prepare, until_count

WORKERS = (1, 2, 4)
INSTANCE = "KAFKA_GROUP_INSTANCE_ID"

declare(
    Spec(
        "scaling",
        "×",
        "CPU of the invoice workers for one booked settlement: four of them ÷ one",
        better="less",
        target=1.2,
    )
)


@measures("scaling", asked=True)
async def scaling(bench: Bench) -> None:
    """Each number of workers books as many settlements, which wait in payment's outbox until all workers are ready."""
    detail = {str(workers): await _booked_by(bench, workers) for workers in WORKERS}
    first, last = (detail[str(workers)]["cpu_us_per_event"] for workers in (WORKERS[0], WORKERS[-1]))
    bench.found("scaling", last / first, detail=detail)


async def _booked_by(bench: Bench, workers: int) -> Mapping[str, float]:
    count = 4_000 if bench.quick else 40_000
    numbers = await add_live(bench, count)
    file = await prepare(bench, numbers)
    ends = Live(numbers[0]).invoice_id, Live(numbers[-1]).invoice_id
    await bench.put_down("relay")
    await bench.send_webhooks(file, connections=CONNECTIONS)
    async with bench.admin("payment") as payment, asyncio.timeout(MOST_SECONDS):
        await until_count(payment, _MOVED, ends, count)
    async with AsyncExitStack() as stack:
        pids = {"1": bench.pids["invoice.worker"]}
        for number in range(2, workers + 1):
            pids[str(number)] = await stack.enter_async_context(_another(bench, number))
        before = Usage.now(pids)
        await bench.put_up("relay")
        async with bench.admin("invoice") as invoice, asyncio.timeout(MOST_SECONDS):
            await until_count(invoice, PAID, ends, count)
            used = Usage.now(pids).since(before)
            commits = await invoice.fetch(_COMMITS, *ends)
    return {
        "events_per_s": round(rate([(row["at"], row["rows"]) for row in commits])),
        "cpu_us_per_event": round(1e6 * used.of(pids) / count, 1),
        "workers_that_booked": sum(
            seconds > 0.1 * used.of(pids) / workers for seconds in used.seconds.values()
        ),
        "commits": len(commits),
    }


_MOVED = "SELECT count(*) FROM payables WHERE settled_amount = due_amount AND id BETWEEN $1 AND $2"
_COMMITS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at, count(*)::int AS rows
    FROM invoices WHERE id BETWEEN $1 AND $2 GROUP BY 1 ORDER BY 1
"""


@asynccontextmanager
async def _another(bench: Bench, number: int) -> AsyncIterator[int]:
    """One more invoice worker, without a place of its own in the group, so that it leaves when it stops. Its pid."""
    (known,) = (unit for unit in bench.system.units() if unit.name == "invoice.worker")

    def environment() -> dict[str, Any]:
        return {name: value for name, value in known.env().items() if name != INSTANCE}

    log = bench.data / "logs" / f"invoice.worker.{number}.log"
    unit = PythonUnit(f"invoice.worker.{number}", known.argv, free_port(), log, environment)
    child = await unit.start()
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await unit.ready():
                await asyncio.sleep(0.05)
        yield child.pid
    finally:
        await unit.stop()
