"""The system's use of the machine when nobody uses it, and how long it takes to start."""

import asyncio
import time
from collections.abc import Iterable

from tests.bench.cpu import PROC, descendants
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench

SETTLE_SECONDS = 5.0
GIB = 2**30

declare(
    Spec(
        "start_s",
        "s",
        "everything started on data that is there, until all is ready",
        better="less",
        target=12,
    ),
    Spec("idle_cpu", "% of a core", "CPU of all processes with no traffic", better="less", target=8),
    Spec("idle_gib", "GiB", "memory (PSS) of all processes with no traffic", better="less", target=1.6),
)


@measures("start_s", "idle_cpu", "idle_gib")
async def rest(bench: Bench) -> None:
    """Stop everything, start it again, then leave it alone, without the vacuuming that earlier figures left to do."""
    await bench.stop()
    began = time.monotonic()
    await bench.start()
    bench.found("start_s", time.monotonic() - began)
    await bench.tidy()
    await asyncio.sleep(SETTLE_SECONDS)
    before, began = bench.usage(), time.monotonic()
    await asyncio.sleep(2 * bench.window)
    used, seconds = bench.usage().since(before), time.monotonic() - began
    shares = {part: round(100 * cpu / seconds, 2) for part, cpu in used.seconds.items()}
    bench.found("idle_cpu", 100 * used.of(used.seconds) / seconds, detail=shares)
    sizes = {part: memory(pid) for part, pid in bench.pids.items()}
    detail = {part: round(size / GIB, 3) for part, size in sizes.items()}
    bench.found("idle_gib", sum(sizes.values()) / GIB, detail=detail)


def memory(root: int) -> int:
    """Bytes of a process and its descendants; what they share with others is counted by parts (PSS)."""
    return sum(_pss(pid) for pid in descendants(root))


def _pss(pid: int) -> int:
    try:
        lines: Iterable[str] = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
