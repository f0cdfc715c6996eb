"""From Stripe's webhooks to paid invoices: how many a second, and what each costs in CPU."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import loadgen, webhooks
from tests.bench.cpu import Usage
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.seed import Live, add_history, add_live

CONNECTIONS = 16
MOST_SECONDS = 600
LOOK_EVERY = 0.25
HISTORY = 10_000
WARMING = 1_000
EDGE_SECONDS = 3.0
MOST_WEBHOOKS_PER_S = 6_000

declare(
    Spec(
        "settle_per_s",
        "invoices/s",
        "webhooks of N payments until all N invoices are paid and N receipts are queued",
        target=1_000,
        limit="one_row_commits_per_s",
        least_ratio=0.75,
    ),
    Spec(
        "webhook_per_s",
        "webhooks/s",
        "webhooks acknowledged by one edge process, payment's worker held",
        target=3_000,
        limit="kafka_produce_per_s",
    ),
    Spec(
        "cpu_ms_per_settlement",
        "ms",
        "CPU of all our processes for one settled invoice",
        better="less",
        target=1.0,
        limit="commit_cpu_ms",
    ),
    Spec(
        "all_cpu_ms_per_settlement",
        "ms",
        "the same with PostgreSQL's and Kafka's",
        better="less",
        target=1.7,
        limit="commit_cpu_ms",
    ),
)


class NotSettled(Exception):
    """The pipeline did not bring all to an end; the message says how far each part came."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One run. Times in seconds since 1970; `seconds` from the first webhook sent to the last commit."""

    count: int
    began: float
    load: loadgen.Load
    paid_at: float
    queued_at: float
    usage: Usage

    @property
    def seconds(self) -> float:
        return max(self.paid_at, self.queued_at) - self.began

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    def cpu_ms(self, parts: Sequence[str]) -> float:
        """Milliseconds of CPU of these parts for one invoice."""
        return 1000 * self.usage.of(parts) / self.count


async def settle(bench: Bench, count: int, connections: int = CONNECTIONS) -> Settled:
    """Seed, send all webhooks as fast as they are taken, and wait for the last receipt. Raises `NotSettled`."""
    numbers = await add_live(bench, count)
    file, log = await prepare(bench, numbers), bench.data / "settle.log"
    before = bench.usage()
    load = await bench.send_webhooks(file, connections=connections, log=log)
    await all_settled(bench, numbers)
    usage = bench.usage().since(before)
    file.unlink()
    began = loadgen.read_log(log)[0].start
    paid_at, queued_at = await last_commits(bench, numbers)
    return Settled(count, began, load, paid_at, queued_at, usage)


async def prepare(bench: Bench, numbers: range) -> Path:
    """A file of signed webhooks for these invoices."""
    file = bench.data / "webhooks"
    template = await bench.template()
    secret = bench.system.stripe.webhook_secret
    await asyncio.to_thread(
        loadgen.write_requests, file, webhooks.requests(map(Live, numbers), template, secret)
    )
    return file


async def all_settled(bench: Bench, numbers: range, most_seconds: float = MOST_SECONDS) -> None:
    """Wait until these invoices are paid and their receipts queued. Raises `NotSettled`.

    A few are asked about by their keys until they are done, and only then all are counted: a count of a large table
    every moment would slow down what is measured.
    """
    few = [Live(n) for n in sample(numbers)]
    keys = [live.clinic_id for live in few], [live.invoice_id for live in few]
    receipts = [live.clinic_id for live in few], [live.payment_id for live in few]
    first, last = Live(numbers[0]), Live(numbers[-1])
    try:
        async with (
            asyncio.timeout(most_seconds),
            bench.admin("invoice") as invoice,
            bench.admin("notification") as notification,
        ):
            await until_count(invoice, FEW_PAID, keys, len(few))
            await until_count(notification, FEW_QUEUED, receipts, len(few))
            await until_count(invoice, PAID, (first.invoice_id, last.invoice_id), len(numbers))
            await until_count(notification, QUEUED, (first.payment_id, last.payment_id), len(numbers))
    except TimeoutError:
        raise NotSettled(f"{len(numbers)} invoices are not all settled after {most_seconds:.0f} s") from None


FEW = 100
FEW_PAID = """
    SELECT count(*) FROM unnest($1::uuid[], $2::uuid[]) AS few (clinic_id, id)
    JOIN invoices USING (clinic_id, id) WHERE status = 'paid'
"""
FEW_QUEUED = """
    SELECT count(*) FROM unnest($1::uuid[], $2::uuid[]) AS few (clinic_id, subject_id)
    JOIN deliveries USING (clinic_id, subject_id) WHERE template = 'receipt'
"""
PAID = "SELECT count(*) FROM invoices WHERE status = 'paid' AND id BETWEEN $1 AND $2"
QUEUED = "SELECT count(*) FROM deliveries WHERE template = 'receipt' AND subject_id BETWEEN $1 AND $2"


def sample(numbers: range) -> list[int]:
    """The last of them, which are sent last, and some in between."""
    spread = numbers[:: max(1, len(numbers) // FEW)]
    return sorted({*numbers[-FEW:], *spread})


async def until_count(connection: Any, query: str, arguments: Sequence[object], count: int) -> None:
    """Ask now and then until the answer is at least `count`."""
    while await connection.fetchval(query, *arguments) < count:
        await asyncio.sleep(LOOK_EVERY)


async def last_commits(bench: Bench, numbers: range) -> tuple[float, float]:
    """When the last of these invoices was paid, and the last receipt queued, in seconds since 1970."""
    first, last = Live(numbers[0]), Live(numbers[-1])
    async with bench.admin("invoice") as invoice, bench.admin("notification") as notification:
        paid = await invoice.fetchval(
            """
            SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))::float8
            FROM invoices WHERE id BETWEEN $1 AND $2
            """,
            first.invoice_id,
            last.invoice_id,
        )
        queued = await notification.fetchval(
            """
            SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))::float8
            FROM deliveries WHERE template = 'receipt' AND subject_id BETWEEN $1 AND $2
            """,
            first.payment_id,
            last.payment_id,
        )
    return paid, queued


async def warm_up(bench: Bench) -> None:
    """An installation that is in use: it has a history, statistics, open connections and compiled code."""
    await add_history(bench, HISTORY)
    await settle(bench, WARMING)


@measures("settle_per_s", "cpu_ms_per_settlement", "all_cpu_ms_per_settlement", grows=True)
async def settling(bench: Bench) -> None:
    run = await settle(bench, bench.invoices)
    ours = [part for part in run.usage.seconds if part not in ("postgres", "kafka")]
    parts = {part: round(run.cpu_ms([part]), 4) for part in run.usage.seconds}
    detail = {
        "invoices": run.count,
        "seconds": round(run.seconds, 3),
        "refused": run.count - _taken(run.load),
    }
    bench.found("settle_per_s", run.per_second, detail=detail)
    bench.found(
        "cpu_ms_per_settlement",
        run.cpu_ms(ours),
        detail=parts | {"load generator": round(1000 * run.load.cpu_seconds / run.count, 4)},
    )
    bench.found("all_cpu_ms_per_settlement", run.cpu_ms(list(run.usage.seconds)))


def _taken(load: loadgen.Load) -> int:
    return load.statuses.get(200, 0)


@measures("webhook_per_s")
async def acknowledging(bench: Bench) -> None:
    """The edge alone: what it took waits in the topic meanwhile, and is settled before the next figure."""
    numbers = await add_live(bench, int(MOST_WEBHOOKS_PER_S * EDGE_SECONDS))
    file, log = await prepare(bench, numbers), bench.data / "edge.log"
    with bench.held("payment.worker"):
        load = await bench.send_webhooks(file, connections=CONNECTIONS, seconds=EDGE_SECONDS, log=log)
    file.unlink()
    bench.found("webhook_per_s", _taken(load) / load.seconds, detail={"p99_ms": load.p99_us / 1000})
    await all_settled(bench, numbers[: load.sent])
