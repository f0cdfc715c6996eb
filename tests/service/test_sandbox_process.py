"""The sandbox as the program that it is: `python -m deploy.sandbox`."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def a_process(state: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **os.environ,
        "HTTP_PORT": str(port),
        "SANDBOX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SANDBOX_WEBHOOK_SECRET": "whsec_process",
        "SANDBOX_SECRET_KEY": "sk_test_process",
        "SANDBOX_PUBLISHABLE_KEY": "pk_test_process",
        "SANDBOX_STATE": str(state),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.sandbox", cwd=ROOT, env=environment
    )
    try:
        await _ready(port, process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ready(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(20), httpx2.AsyncClient(trust_env=False) as http:
        while process.returncode is None:
            try:
                if (await http.get(f"http://127.0.0.1:{port}/healthz/ready")).is_success:
                    return
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
    raise AssertionError("the sandbox ended before it was ready")


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def test_it_remembers_after_it_was_killed_and_stops_when_told(tmp_path: Path) -> None:
    state, port = tmp_path / "new" / "sandbox.db", a_free_port()
    headers = {"Authorization": "Bearer sk_test_process", "Idempotency-Key": "once"}
    url, form = f"http://127.0.0.1:{port}/v1/payment_intents", {"amount": 500, "currency": "eur"}
    async with (
        a_process(state, port) as process,
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
    ):
        first = await http.post(url, data=form)
        process.kill()
    async with (
        a_process(state, port) as process,
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
    ):
        again = await http.post(url, data=form)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            await process.wait()

    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_is_missing_is_said_in_one_line() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.sandbox",
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await process.communicate()

    assert process.returncode == 1
    assert output.decode().count("\n") == 1
    assert "HTTP_PORT" in output.decode()
    assert "SANDBOX_SECRET_KEY" in output.decode()
