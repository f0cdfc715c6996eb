"""Receipts handed to a mail server on this machine: written, sent over kept connections, and recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import PAUSED, Bench
from tests.bench.settle import settle

WORKER = "notification.worker"
MOST_PER_SECOND = 1_500
"""Receipts queued for each second of the window: more than can be sent in it."""

declare(
    Spec(
        "mail_per_s",
        "receipts/s",
        "receipts handed to a local SMTP server over kept connections",
        target=300,
        limit="one_row_commits_per_s",
    )
)


class Sink(asyncio.Protocol):
    """As little of a mail server as takes every message, so that what is measured is the sender."""

    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._left, self._reading = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._left += data
        while self._reading or b"\r\n" in self._left:
            if not self._reading:
                line, _, self._left = self._left.partition(b"\r\n")
                self._answer(line[:4].upper())
            elif b"\r\n.\r\n" in self._left:
                self._left = self._left.partition(b"\r\n.\r\n")[2]
                self._reading = False
                Sink.taken += 1
                self._transport.write(b"250 taken\r\n")
            else:
                return

    def _answer(self, command: bytes) -> None:
        self._reading = command == b"DATA"
        self._transport.write(
            {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(command, b"250 ok\r\n")
        )


@asynccontextmanager
async def a_sink() -> AsyncIterator[str]:
    """A mail server while the block lasts; its URL."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def restart(bench: Bench, environment: dict[str, str]) -> None:
    """Start the worker again with these variables."""
    await bench.put_down(WORKER)
    bench.system.more[WORKER] = environment
    await bench.put_up(WORKER)


@measures("mail_per_s")
async def mail(bench: Bench) -> None:
    """Settle until enough receipts are queued, then let the sender go."""
    count = int(MOST_PER_SECOND * bench.window)
    async with bench.admin("notification") as admin:
        queued = await admin.fetchval("SELECT count(*) FROM deliveries WHERE state IN ('due', 'waiting')")
    if queued < count:
        await settle(bench, count - queued)
    async with a_sink() as url:
        await restart(bench, {"SMTP_URL": url})
        await asyncio.sleep(bench.window / 5)
        before, taken, clock = bench.usage(), Sink.taken, asyncio.get_running_loop()
        began = clock.time()
        await asyncio.sleep(bench.window)
        usage, sent, seconds = bench.usage().since(before), Sink.taken - taken, clock.time() - began
        await restart(bench, PAUSED)
    cpu = {part: round(1000 * used / max(sent, 1), 4) for part, used in usage.seconds.items()}
    bench.found("mail_per_s", sent / seconds, detail={"cpu_ms": cpu})
