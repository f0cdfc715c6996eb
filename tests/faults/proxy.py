"""A TCP link between a process and a server that can fail as networks do, and lose replies on purpose."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Half = Literal["request", "reply"]
COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
PRODUCE, FETCH, OFFSET_COMMIT = 0, 1, 8


@dataclass
class Loss:
    """Lose the reply to the next matching requests: the server acts, its answer never arrives.

    matches     whether a request's bytes match
    """

    matches: Callable[[bytes], bool]
    count: int = 1
    lost: int = 0


def commit(data: bytes) -> bool:
    return COMMIT in data


def kafka_request(key: int) -> Callable[[bytes], bool]:
    """A Kafka request of that API key: four bytes of length, then two of key."""
    return lambda data: len(data) >= 6 and int.from_bytes(data[4:6], "big") == key


def http_request(start: str) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(start.encode())


@dataclass
class Link:
    """A proxy on a free port of 127.0.0.1. Its attributes set its faults, at any time."""

    name: str
    target: Callable[[], int]
    port: int = 0
    latency: float = 0.0
    """Seconds by which each piece is delayed, each way."""
    cut: bool = False
    """A partition: no bytes pass, without an error; new connections hang."""
    loss: Loss | None = None
    server: asyncio.Server | None = None
    _pairs: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    async def open(cls, name: str, target: Callable[[], int]) -> "Link":
        link = cls(name, target)
        link.server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
        link.port = int(link.server.sockets[0].getsockname()[1])
        return link

    async def close(self) -> None:
        assert self.server
        self.server.close()
        self.reset()

    def lose(self, matches: Callable[[bytes], bool], count: int = 1) -> Loss:
        self.loss = Loss(matches, count)
        return self.loss

    def reset(self) -> None:
        """Break every open connection."""
        for pair in list(self._pairs):
            pair.cancel()

    def heal(self) -> None:
        """Remove all faults; connections that a partition froze are broken."""
        frozen, self.cut, self.latency, self.loss = self.cut, False, 0.0, None
        if frozen:
            self.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._pairs.add(task)
        try:
            await self._unless_cut()
            away = await asyncio.open_connection("127.0.0.1", self.target())
        except (OSError, asyncio.CancelledError):
            _abort(writer)
            self._pairs.discard(task)
            return
        try:
            await self._join(_Pair(), reader, writer, *away)
        except (OSError, asyncio.CancelledError, EOFError):
            pass
        finally:
            _abort(writer)
            _abort(away[1])
            self._pairs.discard(task)

    async def _join(
        self,
        pair: "_Pair",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        away_reader: asyncio.StreamReader,
        away_writer: asyncio.StreamWriter,
    ) -> None:
        up = asyncio.create_task(self._copy(reader, away_writer, pair, "request"))
        down = asyncio.create_task(self._copy(away_reader, writer, pair, "reply"))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: "_Pair", half: Half
    ) -> None:
        while data := await source.read(65_536):
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._unless_cut()
            if half == "request" and self._lost(data):
                pair.losing = True
            elif half == "reply" and pair.losing:
                return  # the server has acted, and its reply is lost
            sink.write(data)
            await sink.drain()

    def _lost(self, data: bytes) -> bool:
        if self.loss is None or self.loss.lost >= self.loss.count or not self.loss.matches(data):
            return False
        self.loss.lost += 1
        return True

    async def _unless_cut(self) -> None:
        while self.cut:
            await asyncio.sleep(0.05)


@dataclass
class _Pair:
    losing: bool = False


def _abort(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(Exception):
        writer.transport.abort()
