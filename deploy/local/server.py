"""The common part of PostgreSQL, Kafka and Connect on this machine: one process on a port of 127.0.0.1."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from deploy.local.process import Child


class Server(ABC):
    """Runs from the start of an `async with` block to its end. `port` is 0 until it was started first."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self.port = 0

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self, within: float = 10) -> None: ...

    @abstractmethod
    async def ready(self) -> bool: ...

    @property
    def child(self) -> Child:
        assert self._child, "started"
        return self._child

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _became_ready(self, seconds: float) -> bool:
        """Poll until it is ready (True), or has ended or had its time (False)."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.child.alive and asyncio.get_running_loop().time() < deadline:
            if await self.ready():
                return True
            await asyncio.sleep(0.05)
        return False
