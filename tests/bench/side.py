"""One side of a comparison: a running installation that settles invoices on request.

Each side runs this program of its own tree. A line on standard input is a number of invoices; a line on standard output
is the CPU that each of them took, in milliseconds.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench import run
from tests.bench.installation import Bench
from tests.bench.settle import settle, warm_up

SHARED = ("postgres", "kafka")


async def serve(place: Path) -> None:
    """Start, say so by an empty object, and settle until standard input ends."""
    bench = Bench(place, 0, True, run.say, lambda _: None)
    try:
        await bench.start()
        await warm_up(bench)
        answer({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            settled = await settle(bench, int(line))
            ours = [part for part in settled.usage.seconds if part not in SHARED]
            answer({"ours": settled.cpu_ms(ours), "all": settled.cpu_ms(list(settled.usage.seconds))})
    finally:
        await bench.stop()
        for each in (place, bench.system.postgres.moved_to):
            shutil.rmtree(each or place, ignore_errors=True)


def answer(found: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run.PLACE.mkdir(exist_ok=True)
    asyncio.run(serve(Path(tempfile.mkdtemp(dir=run.PLACE))))
