"""A link to PostgreSQL that counts what a process asks of it, by reading the protocol from outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_STATEMENTS, _WAITS = b"QE", b"QSH"
"""Messages that run a statement (Query, Execute), and those whose answer the client waits for (Query, Sync, Flush)."""


@dataclass
class Wire:
    """Counts over all connections since they were last read: statements run, and round trips."""

    dsn: str
    statements: int = 0
    round_trips: int = 0

    def clear(self) -> None:
        self.statements = self.round_trips = 0

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        to_reader, to_writer = await asyncio.open_connection(host, port)
        back = asyncio.create_task(_pass_on(to_reader, writer))
        try:
            await self._count(reader, to_writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            to_writer.close()
        await back

    async def _count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started = False
        while True:
            kind = await reader.readexactly(1) if started else b""
            size = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(size, "big") - 4)
            writer.write(kind + size + body)
            await writer.drain()
            self.statements += kind != b"" and kind in _STATEMENTS
            self.round_trips += kind != b"" and kind in _WAITS
            # A request for TLS is refused here and followed by the start-up message, which has no type either.
            started = started or body[:4] == (3 << 16).to_bytes(4, "big")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def wire_to(dsn: str) -> AsyncIterator[Wire]:
    """A wire whose `dsn` leads to the same database."""
    at = urlsplit(dsn)
    assert at.hostname and at.port
    host, port = at.hostname, at.port
    wire = Wire(dsn)
    server = await asyncio.start_server(lambda r, w: wire.carry(r, w, host, port), "127.0.0.1", 0)
    wire.dsn = dsn.replace(f"{host}:{port}", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield wire
    finally:
        server.close()
