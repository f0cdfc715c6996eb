"""The load generator, built and run against a real server of this process."""

import asyncio
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.bench import loadgen

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go to build the load generator")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loadgen.build(tmp_path_factory.mktemp("loadgen"))


def test_its_own_tests_pass() -> None:
    subprocess.run(["go", "test", "./..."], cwd=loadgen.SOURCE, check=True, capture_output=True)


async def test_it_sends_the_file_once_and_reads_back_what_was_answered(program: Path, tmp_path: Path) -> None:
    bodies: Counter[bytes] = Counter()
    paths: Counter[bytes] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            bodies[await reader.readexactly(length)] += 1
            paths[line] += 1
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    requests = tmp_path / "requests"
    wanted = [f"body {number}".encode() for number in range(300)]
    written = loadgen.write_requests(
        requests, (loadgen.request("POST", "/things", "here", {"X-Kind": "a"}, body) for body in wanted)
    )
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        load = await loadgen.send(
            program, f"{host}:{port}", requests, connections=3, rate=2_000, seconds=30, log=tmp_path / "log"
        )

    assert written == 300
    assert bodies == Counter(wanted)
    assert paths == {b"POST /things HTTP/1.1\r\n": 300}
    assert (load.sent, load.failed, load.statuses) == (300, 0, {201: 300})
    assert 0 < load.p50_us <= load.p90_us <= load.p99_us <= load.max_us
    log = loadgen.read_log(tmp_path / "log")
    assert [line.index for line in log] == list(range(300))
    assert log[-1].start - log[0].start == pytest.approx(299 / 2_000, abs=0.1)


async def test_an_error_is_one_line(program: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(b"\x00\x00\x00\x09abc")
    with pytest.raises(loadgen.LoadgenFailed, match="a request of 9 bytes where 3 are left"):
        await loadgen.send(program, "127.0.0.1:1", tmp_path / "cut", connections=1)


def test_a_machine_without_go_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(loadgen.LoadgenUnavailable, match="no `go` on the PATH"):
        loadgen.build(tmp_path)
