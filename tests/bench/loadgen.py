"""The load generator: a small Go program, so that what measures takes as little of the machine as can be.

Requests are prepared as raw bytes in a file; the program sends them and answers with one JSON object
(`generator/main.go` has the form of the file). It is built on first use, from the standard library alone.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "generator"


class LoadgenUnavailable(Exception):
    """The machine cannot build the load generator. The message is one line that a person can act on."""


class LoadgenFailed(Exception):
    """The load generator ended with an error, which the message gives."""


@dataclass(frozen=True)
class Load:
    """The result of a run. Latencies: µs, of answered requests, from when each was due (without a rate: sent)."""

    sent: int
    statuses: Mapping[int, int]
    failed: int
    seconds: float
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Requests answered a second, whatever the answer."""
        return (self.sent - self.failed) / self.seconds


@dataclass(frozen=True)
class Logged:
    """One line of a log: `start` in seconds since 1970, `latency_us`, `status` (0: no whole answer)."""

    index: int
    start: float
    latency_us: int
    status: int


def build(directory: Path) -> Path:
    """The program, built into the directory. LoadgenUnavailable where there is no Go."""
    go = shutil.which("go")
    if go is None:
        raise LoadgenUnavailable(
            "the benchmark's load generator is built with Go, and there is no `go` on the PATH"
        )
    program = directory / "loadgen"
    directory.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    built = subprocess.run(
        [go, "build", "-trimpath", "-o", str(program), "."],
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        raise LoadgenUnavailable(f"`go build` of the load generator failed: {built.stderr.strip()}")
    return program


def request(method: str, path: str, host: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request that keeps its connection, as raw bytes."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body or method not in {"GET", "HEAD"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def write_requests(path: Path, requests: Iterable[bytes]) -> int:
    """Write the requests' file and return how many it holds."""
    count = 0
    with path.open("wb") as file:
        for one in requests:
            file.write(len(one).to_bytes(4, "big") + one)
            count += 1
    return count


async def send(
    program: Path,
    address: str,
    requests: Path,
    *,
    connections: int,
    rate: float = 0,
    seconds: float = 0,
    log: Path | None = None,
    loop: bool = False,
) -> Load:
    """Send the file's requests and wait for the end. LoadgenFailed says why there is none."""
    arguments = [f"-address={address}", f"-requests={requests}", f"-connections={connections}"]
    arguments += [f"-rate={rate}", f"-seconds={seconds}"]
    arguments += [f"-log={log}"] if log else []
    arguments += ["-loop"] if loop else []
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=pipe, stderr=pipe)
    try:
        answer, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise LoadgenFailed(complaint.decode(errors="replace").strip())
    return _load(json.loads(answer))


def read_log(path: Path) -> list[Logged]:
    """Every request of a run that was given `log`, in the order of the file."""
    lines = (line.split() for line in path.read_text("ascii").splitlines())
    return [
        Logged(int(index), int(start) / 1e6, int(latency), int(status))
        for index, start, latency, status in lines
    ]


def _load(answer: dict[str, object]) -> Load:
    statuses, latency = answer["statuses"], answer["latency_us"]
    assert isinstance(statuses, dict)
    assert isinstance(latency, dict)
    return Load(
        sent=int(str(answer["sent"])),
        statuses={int(status): count for status, count in statuses.items()},
        failed=int(str(answer["failed"])),
        seconds=float(str(answer["seconds"])),
        p50_us=latency["p50"],
        p90_us=latency["p90"],
        p99_us=latency["p99"],
        max_us=latency["max"],
        cpu_seconds=float(str(answer["cpu_seconds"])),
    )
