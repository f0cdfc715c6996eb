"""How a subscriber fetches batches: in the place of FastStream's own fetch and of aiokafka's prefetch.

A fetch, a transaction and an acknowledgement each cost as much as the work on twenty events. When few events come, some
are awaited and taken together.
"""

import asyncio
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer

LARGEST_BATCH = 500
EMPTY_FETCH_MS = 1000
"""How long a fetch waits for a first record."""
MORE_MS = 3
"""How long it then waits for records that came meanwhile."""
LONGEST_WAIT_MS = 1000
"""How long the broker keeps a fetch that finds nothing. An event ends the wait; each new request costs both sides."""
GATHERED = range(4, 250)
GATHER_SECONDS = 0.05
"""After a batch of such a size the next fetch waits: fewer, larger transactions. A lone event never waits, nor does a
backlog, whose batches are larger."""
DELAY_TOLERANT = range(1, 250)
DELAY_TOLERANT_SECONDS = 0.1


class Fetches:
    """Fetch batches, one a call.

    FastStream's own fetch sleeps after an empty answer before it asks again, which delays the next event.

    delay_tolerant  wait longer, after any batch that is not a backlog's
    """

    def __init__(self, *, delay_tolerant: bool = False) -> None:
        self._gathered = DELAY_TOLERANT if delay_tolerant else GATHERED
        self._seconds = DELAY_TOLERANT_SECONDS if delay_tolerant else GATHER_SECONDS
        self._last_size = 0

    async def __call__(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        """The next batch, of up to `LARGEST_BATCH` records. Raises what aiokafka raises, also when it is stopped."""
        if self._last_size in self._gathered:
            await asyncio.sleep(self._seconds)
        self._last_size = 0
        records = await _fetched(consumer, 0, LARGEST_BATCH)
        if records:
            # aiokafka fetches no more while it holds unread records: newer ones wait at the broker until now.
            records += await _fetched(consumer, MORE_MS, LARGEST_BATCH - len(records))
        while not records:
            records = await _fetched(consumer, EMPTY_FETCH_MS, LARGEST_BATCH)
        self._last_size = len(records)
        return records


def stop_prefetching(consumer: Any) -> None:
    """Never fetch while the last answer is not read to its end. `consumer` is started.

    After a tenth of a second aiokafka would ask for all other partitions. While the broker keeps that request, no more
    of a partition that is behind would come: 500 events a second at most, or none for as long as a fetch waits.
    """
    fetcher = consumer._fetcher
    if not isinstance(fetcher._prefetch_backoff, float):
        raise TypeError("aiokafka's fetcher is another than this was written for")
    fetcher._prefetch_backoff = 3600.0


async def _fetched(consumer: AIOKafkaConsumer, wait_ms: int, most: int) -> tuple[Any, ...]:
    if not most:
        return ()
    found = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
    return tuple(chain.from_iterable(found.values()))
