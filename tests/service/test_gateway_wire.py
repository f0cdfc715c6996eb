"""How the gateway reaches a service over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from services.gateway.upstream.transport import HttpTransport, Reply, Unreachable

Answer = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(answer: Answer) -> AsyncIterator[tuple[HttpTransport, list[int]]]:
    """A transport to a server that reads requests whole, and the number of requests of each connection."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(0)
        while not reader.at_eof() and (line := await reader.readline()):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or 0))
            connections[number] += 1
            await answer(line + head, body, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        transport = HttpTransport(f"http://{host}:{port}/")
        yield transport, connections
        await transport.close()


async def ask(
    transport: HttpTransport, method: str = "GET", content: bytes | None = None, seconds: float = 5.0
) -> Reply:
    return await transport.ask(method, "/things", {"a": "b c&d"}, {"X-One": "1"}, content, seconds)


async def ok(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    sent = head + body
    writer.write(b"HTTP/1.1 422 No\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n%s" % (len(sent), sent))


async def test_a_request_arrives_as_it_is_and_its_answer_comes_back_over_one_kept_connection() -> None:
    async with a_server(ok) as (transport, connections):
        replies = [await ask(transport, "POST", b"{\xff}") for _ in range(5)]

    assert connections == [5]
    assert {(reply.status, reply.headers["retry-after"]) for reply in replies} == {(422, "7")}
    head, _, body = replies[0].content.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /things?a=b+c%26d HTTP/1.1\r\n") and b"X-One: 1" in head
    assert body == b"{\xff}"
    assert b"Accept-Encoding" not in head and b"Cookie" not in head


async def test_what_has_no_body_names_no_type_of_it() -> None:
    """The services refuse every type but JSON, and a POST without a body is one of theirs."""
    async with a_server(ok) as (transport, _):
        replies = [
            await ask(transport, method, content) for method, content in (("POST", None), ("POST", b"x"))
        ]

    assert not [reply for reply in replies if b"content-type" in reply.content.lower()]


async def test_cookies_are_not_kept_and_redirects_not_followed() -> None:
    async def elsewhere(head: bytes, _: bytes, writer: asyncio.StreamWriter) -> None:
        assert b"Cookie" not in head
        writer.write(b"HTTP/1.1 303 See\r\nLocation: /a\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    async with a_server(elsewhere) as (transport, connections):
        assert [(await ask(transport)).status for _ in range(2)] == [303, 303]

    assert connections == [2]


async def test_a_connection_that_was_closed_between_calls_is_not_used_again() -> None:
    async def last(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        await ok(head, body, writer)
        writer.close()

    async with a_server(last) as (transport, connections):
        for _ in range(3):
            assert (await ask(transport, "POST", b"x")).status == 422
            while _is_connected(transport):
                await asyncio.sleep(0)

    assert connections == [1, 1, 1]


def _is_connected(transport: HttpTransport) -> bool:
    assert transport.session is not None and isinstance(transport.session.connector, aiohttp.TCPConnector)
    pool = transport.session.connector._conns  # noqa: SLF001  aiohttp shows its pool nowhere else
    return any(kept.is_connected() for all_ in pool.values() for kept, _ in all_)


async def test_a_cut_or_late_answer_is_away() -> None:
    async def cut(_: bytes, __: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    async def never(_: bytes, __: bytes, writer: asyncio.StreamWriter) -> None:
        pass

    for answer in (cut, never):
        async with a_server(answer) as (transport, _):
            with pytest.raises(Unreachable):
                await ask(transport, "POST", b"x", seconds=0.2)


async def test_nobody_there_is_away() -> None:
    transport = HttpTransport("http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        await ask(transport)
    await transport.close()
