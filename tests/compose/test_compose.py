"""The whole system in containers, as `docker compose up --build` runs it, and a client who pays in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from deploy.local.demo.data import CLIENT_EMAIL, HARBOUR, PASSWORD
from deploy.local.process import free_port
from tests.system.portal import Portal, pay_at_sandbox, receipt
from tests.tools.runner import PROBES

ROOT = Path(__file__).resolve().parents[2]
MINUTES_UP = 12
"""The first build downloads packages, and a CI machine may have two busy cores."""
SECONDS_TO_PAID = 10
ONCE = {"migrate", "topics", "kafka-volume"}


@dataclass
class Compose:
    """One project of containers, on ports of its own."""

    project: str
    ports: dict[str, int]

    @property
    def portal_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['PORTAL_PORT']}"

    @property
    def mailbox_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['MAILBOX_PORT']}"

    def run(self, *words: str, within: float = 120) -> str:
        """`docker compose …`; CalledProcessError with its output if it fails."""
        command = ["docker", "compose", "--project-name", self.project, *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment(), timeout=within, capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
        return done.stdout

    def containers(self) -> dict[str, str]:
        """The ids of the running containers, by service."""
        rows = [json.loads(line) for line in self.run("ps", "--format", "json").splitlines()]
        return {row["Service"]: row["ID"] for row in rows}

    def _environment(self) -> dict[str, str]:
        """Only the variables that Docker needs: the user's own keys and passwords must not reach this system."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME") or name.startswith(("DOCKER_", "BUILDKIT_"))
        }
        return kept | {"CLINICPAY_TAG": "test"} | {name: str(port) for name, port in self.ports.items()}


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    if wanted := PROBES["compose"]():
        pytest.skip(f"needs a container engine with compose and its base images: {wanted}")
    ports = {f"{name}_PORT": free_port() for name in ("PORTAL", "SANDBOX", "MAILBOX", "CONSOLE")}
    system = Compose(f"clinicpay-test-{uuid4().hex[:8]}", ports)
    try:
        system.run("up", "--build", "--detach", "--wait", within=MINUTES_UP * 60)
        yield system
    except BaseException:
        sys.stderr.write(system.run("ps", "--all") + system.run("logs", "--no-color", "--tail=40"))
        raise
    finally:
        system.run("down", "--volumes", "--remove-orphans")


async def test_everything_is_ready(compose: Compose) -> None:
    async with httpx2.AsyncClient(base_url=compose.portal_url, timeout=20) as http:
        answer = await http.get("/healthz/system")

    assert answer.status_code == 200, answer.text
    assert {"invoice.worker", "payment.api", "relay"} <= answer.json()["checks"].keys()


async def test_a_client_pays_an_invoice_and_gets_the_receipt(compose: Compose) -> None:
    slug = str(HARBOUR.settings["slug"])
    async with Portal(compose.portal_url) as portal:
        await portal.log_in(CLIENT_EMAIL, PASSWORD)
        unpaid = (await portal.billing_history(slug, "unpaid"))[0]
        assert unpaid.status == "Unpaid"

        started = await portal.start_payment(slug, unpaid.id)
        intent = await pay_at_sandbox(started)
        assert intent["status"] == "succeeded"
        await portal.receives(slug, "invoice", unpaid.id, "paid", within=SECONDS_TO_PAID)

        [paid] = [row for row in await portal.billing_history(slug, "paid") if row.id == unpaid.id]
        assert (paid.status, paid.method) == ("Paid", "Visa ending 4242")
        assert "Receipt" in await portal.page(f"/c/{slug}/payments/{started.id}")
        mail = await receipt(compose.mailbox_url, CLIENT_EMAIL, started.id)
        assert mail["subject"].startswith("Receipt for your payment - ") and unpaid.amount in mail["text"]


def test_production_runs_an_image_without_any_simulator(compose: Compose) -> None:
    running = compose.containers()
    held = {service: _docker("exec", running[service], "find", "/app") for service in ("gateway", "sandbox")}

    assert "/app/deploy/ops/verify/run.py" in held["gateway"]
    assert not [
        name for name in ("/app/deploy/sandbox", "/app/deploy/local", "/app/tests") if name in held["gateway"]
    ]
    assert "/app/deploy/sandbox/app.py" in held["sandbox"]


def test_no_process_is_root_or_could_become_it(compose: Compose) -> None:
    running = compose.containers()
    assert {"postgres", "kafka", "gateway", "relay", "sandbox", "mailbox"} <= running.keys()
    assert not ONCE & running.keys()

    for service, container in running.items():
        users = _docker("top", container, "-eo", "pid,uid").splitlines()[1:]
        assert users, service
        assert all(line.split()[-1] != "0" for line in users), service
        limits = json.loads(_docker("inspect", "--format", "{{json .HostConfig}}", container))
        assert limits["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in limits["SecurityOpt"], service
        assert limits["ReadonlyRootfs"], service


def test_only_the_four_pages_are_published_and_only_here(compose: Compose) -> None:
    published = {
        (service, bound["HostIp"])
        for service, container in compose.containers().items()
        for ports in json.loads(
            _docker("inspect", "--format", "{{json .NetworkSettings.Ports}}", container)
        ).values()
        for bound in ports or ()
    }
    assert published == {(service, "127.0.0.1") for service in ("gateway", "console", "sandbox", "mailbox")}


def test_the_profile_with_traces_is_whole(compose: Compose) -> None:
    services = compose.run("--profile", "observability", "config", "--services").split()
    assert {"collector", "jaeger"} <= set(services)


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=60).stdout
