"""A real Prometheus beside a running system, its rules' windows sixty times shorter, so that an hour takes a minute."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
import yaml
from prometheus_client import CONTENT_TYPE_LATEST

from deploy.local.process import free_port
from services.payment.jobs import SWEEP_SECONDS
from tests.running.system import until
from tests.signals.rules import RULES

FASTER = 60
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WINDOW = re.compile(r"\[(\d+[smhd])\]")
_DURATION = re.compile(r"\b(\d+)([smhd])\b")


def scaled(text: str) -> str:
    """The durations of an expression, each a sixtieth, of a second at least."""
    return _DURATION.sub(lambda found: f"{max(int(found[1]) * _SECONDS[found[2]] // FASTER, 1)}s", text)


def scaled_rules() -> dict[str, Any]:
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _WINDOW.sub(partial(_scaled_window, rule["expr"]), rule["expr"])
            if "for" in rule:
                rule["for"] = scaled(rule["for"])
    return rules


def _scaled_window(expression: str, found: re.Match[str]) -> str:
    """A few points at least within each window; jobs, which nobody makes faster, run every 15 s."""
    least = 3 * SWEEP_SECONDS if "clinicpay_job_run" in expression else 5
    return f"[{max(int(scaled(found[1]).rstrip('s')), least)}s]"


@dataclass
class Prometheus:
    """Its address, and the questions that are put to it."""

    url: str

    async def _get(self, path: str, **parameters: str) -> Any:
        async with httpx2.AsyncClient(base_url=self.url, timeout=20) as http:
            answer = await http.get(f"/api/v1/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()["data"]

    async def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = (await self._get("alerts"))["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    async def fired(self) -> set[str]:
        """The names of the alerts that have fired at any time."""
        asked = 'last_over_time(ALERTS{alertstate="firing"}[30m])'
        return {each["metric"]["alertname"] for each in (await self._get("query", query=asked))["result"]}

    async def ever(self, expression: str) -> int:
        """How many series an expression had at any second of the last half hour."""
        asked = expression.replace("$__rate_interval", "1m")
        found = await self._get("query", query=f"last_over_time(({asked})[30m:5s])")
        return len(found["result"])

    async def scraped(self) -> bool:
        targets = (await self._get("targets"))["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)


@asynccontextmanager
async def served(textfile: Path) -> AsyncIterator[str]:
    """The address of a server of this file, as node_exporter's textfile collector serves it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            body = await asyncio.to_thread(textfile.read_bytes)
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nContent-Length: {len(body)}\r\n"
            )
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def prometheus(configuration: Path, place: Path, *more: str) -> AsyncIterator[Prometheus]:
    """Prometheus with the configuration that `up` wrote, but for its pace, and with `more` addresses to read."""
    _configure(configuration, place, more)
    port, log = free_port(), place / "log"
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={place / 'prometheus.json'}",
        f"--storage.tsdb.path={place / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=_file(log),
    )
    asked = Prometheus(f"http://127.0.0.1:{port}")

    async def ready() -> bool:
        assert process.returncode is None, f"Prometheus ended: see {log}"
        try:
            return await asked.scraped()
        except httpx2.HTTPError:
            return False

    try:
        await until(ready, 60)
        yield asked
    finally:
        process.terminate()
        await process.wait()


def _configure(configuration: Path, place: Path, more: Sequence[str]) -> None:
    (place / "rules.json").write_text(json.dumps(scaled_rules()))
    wanted = json.loads(configuration.read_text())
    wanted["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    wanted["rule_files"] = [str(place / "rules.json")]
    wanted["scrape_configs"].append({"job_name": "more", "static_configs": [{"targets": list(more)}]})
    (place / "prometheus.json").write_text(json.dumps(wanted))


def _file(path: Path) -> BinaryIO:
    return path.open("wb")
