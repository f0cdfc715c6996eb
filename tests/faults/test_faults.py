"""The quick subset of `./clinicpay faults`, and that what it is made of can be relied on."""

import asyncio
import sys

from tests.faults import suite
from tests.faults.crashing import name_of
from tests.faults.proxy import Link, http_request
from tests.faults.soak import blows
from tests.faults.whole_requests import numbered


async def test_a_spread_of_faults_loses_doubles_and_leaks_nothing() -> None:
    matrix = await suite.run(suite.Options(quick=True), lambda line: print(line, file=sys.stderr))

    assert not matrix.breaches, "\n".join(f"{row.fault}: {row.remark}" for row in matrix.breaches)
    assert len(matrix.rows) > 20


def test_a_seed_strikes_the_same_blows() -> None:
    processes = ["gateway", "payment.worker", "postgres"]

    assert blows(7, processes, 60) == blows(7, processes, 60)
    assert blows(7, processes, 60) != blows(8, processes, 60)


def test_a_point_is_named_by_what_its_statement_does() -> None:
    assert name_of("SELECT id FROM invoices\n WHERE id = $1 FOR UPDATE") == "SELECT invoices for update"
    assert name_of("INSERT INTO outbox (id) VALUES ($1)") == "INSERT outbox"
    assert name_of("SELECT set_config('app.clinic', $1, true)") == "set the clinic"


def test_a_request_is_struck_at_its_calls_and_commits_each_time_that_it_passes_one() -> None:
    call, commit = "before call POST /clients/…", "after commit of INSERT operations"
    others = [
        "before SELECT api_keys",
        "after commit of SELECT logins",
        "before commit of UPDATE operations for update",
    ]

    assert numbered([*others, call, commit, call]) == [(call, 1), (call, 2), (commit, 1)]


async def test_a_lost_reply_is_lost_after_the_server_has_acted() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.write(b"done")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = await Link.open("one", lambda: int(server.sockets[0].getsockname()[1]))
    loss = link.lose(http_request("POST"))

    answers = [await _asked(link.port, request) for request in (b"GET", b"POST", b"POST")]
    await link.close()
    server.close()

    assert heard == [b"GET", b"POST", b"POST"]
    assert answers == [b"done", b"", b"done"]
    assert loss.lost == 1


async def _asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()
