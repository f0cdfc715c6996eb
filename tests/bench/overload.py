"""Three times the load that the system can carry: what it refuses, what it needs, and that nothing is lost."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from deploy.local.memory import proportional_bytes
from tests.bench import loadgen, webhooks
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.seed import Live, add_live
from tests.bench.settle import CONNECTIONS, MOST_SECONDS, all_settled, prepare, settle

TIMES = 3
SECONDS, QUICK_SECONDS = 60.0, 5.0
SENDERS = 256
RETRY_AFTER = 1.0
LOOK_EVERY = 1.0
PROBE_EVERY = 0.1
PROBES = 200

declare(
    Spec(
        "overload",
        "webhooks lost",
        "three times the sustainable load: lost of those that were taken",
        "less",
        0,
    ),
    Spec("overload_memory_ratio", "×", "memory at the height of it ÷ before", "less", 1.5),
    Spec("overload_drain_s", "s", "from the end of the flood until the backlog is settled", "less"),
)


@dataclass
class Watched:
    """Observations during the flood."""

    most_bytes: int = 0
    before_bytes: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


@measures("overload", "overload_memory_ratio", "overload_drain_s")
async def overload(bench: Bench) -> None:
    carried = await _sustainable(bench)
    rate = TIMES * carried
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    numbers = await add_live(bench, int(rate * seconds) + PROBES)
    flood, probes = numbers[:-PROBES], numbers[-PROBES:]
    log = bench.data / "overload.log"
    file = await prepare(bench, flood)
    watched = Watched(before_bytes=memory(bench))
    async with _watching(bench, watched), _probing(bench, watched, probes):
        load = await bench.send_webhooks(file, connections=SENDERS, rate=rate, seconds=seconds, log=log)
    loop = asyncio.get_running_loop()
    ended = loop.time()
    answers = loadgen.read_log(log)
    taken = {flood[answer.index] for answer in answers if answer.status == 200}
    await _again(bench, file, [n for n in (*flood, *probes) if n not in taken], carried)
    await all_settled(bench, numbers, MOST_SECONDS)
    detail = {
        "rate": round(rate),
        "seconds": round(load.seconds, 1),
        "statuses": {str(status): count for status, count in load.statuses.items()},
        "failed": load.failed,
        "p99_ms": load.p99_us / 1000,
        "retry_after": dict(watched.refusals),
        "memory_mib": [watched.before_bytes >> 20, watched.most_bytes >> 20],
    }
    lost = await _lost(bench, numbers)
    bench.found("overload", lost, detail=detail)
    bench.found("overload_memory_ratio", watched.most_bytes / watched.before_bytes)
    bench.found("overload_drain_s", loop.time() - ended)


async def _sustainable(bench: Bench) -> float:
    """Settled invoices a second, of this run if that was measured."""
    if "settle_per_s" in bench.results:
        return bench.results["settle_per_s"].value
    return (await settle(bench, min(bench.invoices, 5_000))).per_second


def memory(bench: Bench) -> int:
    """Bytes of our own processes, which a queue without a bound would fill."""
    ours = [pid for part, pid in bench.pids.items() if part not in ("postgres", "kafka")]
    return proportional_bytes(ours) or 0


async def _again(bench: Bench, file: Path, refused: list[int], rate: float) -> None:
    """Send what was refused until it is taken, as Stripe does, at a rate that can be carried."""
    template = await bench.template()
    log = bench.data / "again.log"
    async with asyncio.timeout(MOST_SECONDS):
        while refused:
            about = webhooks.requests(map(Live, refused), template, bench.system.stripe.webhook_secret)
            await asyncio.to_thread(loadgen.write_requests, file, about)
            await bench.send_webhooks(file, connections=CONNECTIONS, rate=rate, log=log)
            refused = [refused[answer.index] for answer in loadgen.read_log(log) if answer.status != 200]
            if refused:
                await asyncio.sleep(RETRY_AFTER)


async def _lost(bench: Bench, numbers: range) -> int:
    """Invoices that are not paid exactly once."""
    async with bench.admin("invoice") as invoice:
        fine: int = await invoice.fetchval(
            """
            SELECT count(*) FROM invoices
            WHERE id BETWEEN $1 AND $2 AND status = 'paid' AND settled_amount = total_amount
            """,
            Live(numbers[0]).invoice_id,
            Live(numbers[-1]).invoice_id,
        )
    return len(numbers) - fine


@asynccontextmanager
async def _watching(bench: Bench, watched: Watched) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            watched.most_bytes = max(watched.most_bytes, await asyncio.to_thread(memory, bench))
            await asyncio.sleep(LOOK_EVERY)

    async with _aside(watch()):
        yield


@asynccontextmanager
async def _probing(bench: Bench, watched: Watched, numbers: range) -> AsyncIterator[None]:
    """One sender more, that looks at the headers: a refusal must say when to come again."""
    template = await bench.template()
    about = webhooks.requests(map(Live, numbers), template, bench.system.stripe.webhook_secret)

    async def probe() -> None:
        async with httpx2.AsyncClient(base_url=f"http://{bench.address('payment.api')}", timeout=30) as http:
            for raw in _endless(about):
                head, body = raw.split(b"\r\n\r\n", 1)
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
                answer = await http.post(webhooks.PATH, content=body, headers=headers)
                if answer.status_code != 200:
                    watched.refusals[
                        f"{answer.status_code}, Retry-After: {answer.headers.get('retry-after')}"
                    ] += 1
                await asyncio.sleep(PROBE_EVERY)

    async with _aside(probe()):
        yield


def _endless(about: Iterator[bytes]) -> Iterator[bytes]:
    """Each once, then the same again: a webhook that comes twice is one."""
    return itertools.cycle(about)


@asynccontextmanager
async def _aside(work: "asyncio._CoroutineLike[None]") -> AsyncIterator[None]:
    """The work runs during the block and is ended with it. An error of its own ends the block."""
    task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
