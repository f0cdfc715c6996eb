"""`clinicpay up` from start to stop, as a user runs it."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import stamina

from deploy.local.process import free_port

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="looks at processes through /proc: needs Linux"
)

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "invoice.api",
    "payment.api",
    "notification.api",
    "invoice.worker",
    "payment.worker",
    "notification.worker",
)


class Run:
    """A running `clinicpay up`, and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, data: Path) -> None:
        self.process, self.port, self.data = process, port, data
        self.lines: list[str] = []

    @classmethod
    async def start(cls, data: Path, port: int, *more: str) -> "Run":
        command = [
            sys.executable,
            "-P",
            "-m",
            "deploy.cli",
            "up",
            "--no-demo",
            "--port",
            str(port),
            "--data",
            str(data),
            *more,
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=data.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return cls(process, port, data)

    async def says(self, pattern: str, within: float = 120) -> str:
        """The next line that matches."""
        assert self.process.stdout
        async with asyncio.timeout(within):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip())
                if re.search(pattern, line):
                    return line
        raise AssertionError(f"ended without saying {pattern!r}:\n" + "\n".join(self.lines))

    def pid_of(self, *words: str) -> int:
        """The one child whose command line holds these words."""
        [pid] = [
            pid for pid, line in children(self.process.pid).items() if all(word in line for word in words)
        ]
        return pid

    async def answer(self) -> tuple[int, dict[str, object]]:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as web:
            answer = await web.get("/healthz/system", timeout=20)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Run]:
    place = Path(tempfile.mkdtemp(prefix="clinicpay-test-"))
    os.chmod(place, 0o711)  # noqa: PTH101, S103  PostgreSQL's account has to reach the data under root
    run = await Run.start(place / "data", free_port())
    try:
        await run.says("ClinicPay is ready")
        yield run
    finally:
        if run.process.returncode is None:
            run.process.kill()
        await run.process.wait()
        shutil.rmtree(place)


async def test_with_traces_a_request_is_seen_in_zipkin() -> None:
    place = Path(tempfile.mkdtemp(prefix="clinicpay-test-"))
    os.chmod(place, 0o711)  # noqa: PTH101, S103  PostgreSQL's account has to reach the data under root
    run = await Run.start(place / "data", free_port(), "--traces")
    try:
        zipkin = (await run.says(r"^  Traces ", within=240)).split()[1]
        kafka = (await run.says(r"^  Kafka ")).split()[1]
        assert run.pid_of("kafka.Kafka") and kafka.startswith("127.0.0.1:")
        async with httpx2.AsyncClient() as http:
            page = await http.get(f"http://127.0.0.1:{run.port}/login")
            trace = page.headers["x-request-id"]
            async for attempt in stamina.retry_context(
                on=AssertionError, timeout=60, attempts=None, wait_max=1
            ):
                with attempt:
                    found = await http.get(f"{zipkin}/api/v2/trace/{trace}")
                    assert found.status_code == 200
        assert "get /login" in {span["name"] for span in found.json()}
        assert {span["localEndpoint"]["serviceName"] for span in found.json()} == {"clinicpay-gateway"}
    finally:
        if run.process.returncode is None:
            run.process.send_signal(signal.SIGTERM)
        await run.process.wait()
        shutil.rmtree(place)


async def test_the_gateway_says_that_all_is_ready(running: Run) -> None:
    # Each part has been ready once by now. A consumer may be moved to other partitions after that.
    async for attempt in stamina.retry_context(on=AssertionError, attempts=60, timeout=60, wait_max=1):
        with attempt:
            status, answer = await running.answer()
            assert status == 200, answer
    assert answer["status"] == "ready"
    checks = answer["checks"]
    assert isinstance(checks, dict)
    assert {part: checks.get(part) for part in PARTS} == dict.fromkeys(PARTS, "ok")


async def test_its_secrets_are_private_and_not_on_the_command_lines(running: Run) -> None:
    secrets = json.loads((running.data / "secrets.json").read_text())
    shown = " ".join(children(running.process.pid).values())
    assert not [password for password in secrets["role_passwords"].values() if password in shown]


async def test_the_same_data_cannot_be_used_twice(running: Run) -> None:
    second = await Run.start(running.data, free_port())
    await second.says(r"^clinicpay: the data directory .* is in use by another `clinicpay up`")
    assert await second.process.wait() == 1


async def test_a_taken_port_ends_in_one_line(running: Run, tmp_path: Path) -> None:
    second = await Run.start(tmp_path / "data", running.port)
    await second.says(f"^clinicpay: port {running.port} is taken")
    assert await second.process.wait() == 1
    assert second.lines == [f"clinicpay: port {running.port} is taken: choose another with --port"]


async def test_a_killed_worker_is_back_and_it_is_said(running: Run) -> None:
    killed = running.pid_of("services.invoice", "worker")
    os.kill(killed, signal.SIGKILL)
    await running.says(r"^invoice\.worker ended \(killed by SIGKILL\); starting it again")
    await running.says(r"^invoice\.worker is ready again")
    assert running.pid_of("services.invoice", "worker") != killed


async def test_stopped_by_sigterm_it_leaves_no_process(running: Run) -> None:
    left = set(children(running.process.pid))
    assert len(left) >= 10
    running.process.send_signal(signal.SIGTERM)
    await running.says("^Stopped", within=15)
    assert await running.process.wait() == 0
    assert not [pid for pid in left if (Path("/proc") / str(pid)).exists()]


def children(parent: int) -> dict[int, str]:
    """Command lines of a process's children, by pid."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                line = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(stat.parent.name)] = line
        except OSError:
            continue
    return found
