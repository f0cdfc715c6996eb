"""Whether each process is ready while a part of the embedded system is down.

Docker's health checks are asked: the very commands of docker-compose.yml, each with the port of the same process here.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import yaml

from deploy.local.datadir import DataDir
from deploy.local.process import free_port
from deploy.local.system import Ports, System
from deploy.sandbox.webhooks import signature
from tests.faults.system import Keeper
from tests.running.system import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by signal, looks through /proc")

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 60
WORKERS = {"invoice-worker", "payment-worker", "notification-worker"}


class Whole:
    """The embedded system, whose parts a test takes down and brings back."""

    def __init__(self, system: System, keeper: Keeper) -> None:
        self.system, self.keeper = system, keeper
        self.checks = health_checks()

    @asynccontextmanager
    async def down(self, name: str) -> AsyncIterator[None]:
        self.keeper.gate(name).clear()
        pid = self.keeper.statuses[name].pid
        assert pid is not None
        os.kill(pid, 9)
        try:
            yield
        finally:
            self.keeper.gate(name).set()
        await until(self.all_healthy, WITHIN)

    async def unhealthy(self) -> set[str]:
        """The services that Docker would call unhealthy."""
        found = await asyncio.gather(*(self._passes(name) for name in self.checks))
        return {name for name, passes in zip(self.checks, found, strict=True) if not passes}

    async def all_healthy(self) -> bool:
        return not await self.unhealthy() and (await self.get("/healthz/system")).status_code == 200

    async def _passes(self, name: str) -> bool:
        kind, *command = self.checks[name]
        assert kind == "CMD"
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HTTP_PORT": str(self._port(name))},
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0

    def _port(self, name: str) -> int:
        ports = self.system.ports
        inner = ports.inner.get(name.replace("-", "."))
        return inner or int(getattr(ports, name))

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.system.public_url, timeout=20) as http:
            return await http.get(path)

    async def webhook(self) -> int:
        """The answer to a webhook of Stripe's that is acted on."""
        event = {
            "id": f"evt_{time.time_ns()}",
            "object": "event",
            "type": "charge.succeeded",
            "livemode": False,
            "created": int(time.time()),
            "data": {
                "object": {"id": "ch_1", "object": "charge", "created": 1, "amount": 1, "currency": "eur"}
            },
        }
        body = json.dumps(event).encode()
        signed = {"Stripe-Signature": signature(self.system.stripe.webhook_secret, body, int(time.time()))}
        async with httpx2.AsyncClient(base_url=self.system.public_url, timeout=20) as http:
            return (await http.post("/webhooks/stripe", content=body, headers=signed)).status_code


def health_checks() -> dict[str, list[str]]:
    """The health checks of our own long-running processes, by the service's name in docker-compose.yml."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {
        name: service["healthcheck"]["test"]
        for name, service in services.items()
        if service["image"].startswith("clinicpay") and "healthcheck" in service and name != "demo"
    }


@pytest.fixture(scope="module")
async def whole() -> AsyncIterator[Whole]:
    place = Path(tempfile.mkdtemp(prefix="clinicpay-test-"))
    os.chmod(place, 0o711)  # noqa: PTH101, S103  PostgreSQL's account has to reach the data under root
    system = System(DataDir(place / "data"), Ports.choose(free_port()), demo=False)
    keeper = Keeper(lambda _: None)
    try:
        system.keep_all(keeper)
        await asyncio.wait_for(keeper.all_ready(), 240)
        yield Whole(system, keeper)
    finally:
        await keeper.stop()
        shutil.rmtree(place)


async def test_the_checks_of_the_containers_pass_when_all_runs(whole: Whole) -> None:
    assert whole.checks.keys() >= WORKERS | {"gateway", "payment-api", "relay", "mailbox", "sandbox"}
    await until(whole.all_healthy, WITHIN)


async def test_without_postgresql_webhooks_are_taken_by_processes_that_say_ready(whole: Whole) -> None:
    async with whole.down("postgres"):
        await until(
            lambda: _is(whole, WORKERS | {"invoice-api", "notification-api", "relay", "console"}), WITHIN
        )

        assert await whole.webhook() == 200
        await until(lambda: _says(whole, "/healthz/ready", 200, "database", "ConnectionRefusedError"), WITHIN)
        await until(lambda: _says(whole, "/healthz/system", 503, "payment.api", "degraded: database"), WITHIN)


async def test_without_kafka_what_writes_to_it_and_reads_it_is_not_ready(whole: Whole) -> None:
    async with whole.down("kafka"):
        await until(lambda: _is(whole, WORKERS | {"payment-api", "relay"}), WITHIN)

        assert await whole.webhook() == 503
        assert (await whole.get("/healthz/system")).status_code == 503


@pytest.mark.parametrize("part", ["invoice.worker", "relay", "notification.api"])
async def test_one_process_less_takes_no_other_with_it(whole: Whole, part: str) -> None:
    async with whole.down(part):
        await until(lambda: _is(whole, {part.replace(".", "-")}), WITHIN)

        await until(lambda: _says(whole, "/healthz/system", 503, part, "away"), WITHIN)
        assert (await whole.get("/healthz/system")).json()["checks"]["payment.api"] == "ok"


async def _is(whole: Whole, names: set[str]) -> bool:
    return await whole.unhealthy() == names


async def _says(whole: Whole, path: str, status: int, part: str, state: str) -> bool:
    answer = await whole.get(path)
    return answer.status_code == status and answer.json()["checks"].get(part) == state
