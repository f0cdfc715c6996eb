"""Senders that are slow, large or many: each is bounded, on the real server, while others are served."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.running.databases import ServiceDb
from tests.security.test_sockets import HOST, a_gateway, post, say

ASKED = b"GET /healthz/live HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /healthz/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
WITHIN = 20
"""Seconds in which every bound below has passed, with room for a busy machine."""


@pytest.fixture(scope="module")
async def port(dbs: dict[str, ServiceDb]) -> AsyncIterator[int]:
    limits = {"HTTP_HEAD_SECONDS": "1", "HTTP_BODY_SECONDS": "2", "HTTP_CONNECTIONS": "70"}
    async with a_gateway(dbs["gateway"], **limits) as number:
        yield number


async def drip(port: int, first: bytes, then: bytes) -> bytes:
    """Send something at once, then byte for byte until the server hangs up; what it answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = asyncio.create_task(reader.read(-1))
    try:
        writer.write(first)
        async with asyncio.timeout(WITHIN):
            while not received.done():
                writer.write(then)
                await asyncio.wait([received], timeout=0.2)
        return received.result()
    except ConnectionError:
        return b""
    finally:
        received.cancel()
        writer.close()


@pytest.mark.parametrize(
    ("first", "then", "answer"),
    [
        (b"", b"", b""),
        (b"", b"G", b"HTTP/1.1 4"),
        (b"GET / HTTP/1.1\r\nX-A: ", b"a", b"HTTP/1.1 408 "),
        (b"GET /" + b"a" * 100, b"a", b"HTTP/1.1 408 "),
        (ASKED, b"\r\n", b"HTTP/1.1 200 "),
        (ASKED + b"GET / HTTP/1.1\r\nX: ", b"a", b"HTTP/1.1 200 "),
        (post(b"Content-Length: 1000\r\n", b"{"), b" ", b"HTTP/1.1 408 "),
        (post(b"Transfer-Encoding: chunked\r\n", b"1\r\n{\r\n"), b"1\r\n \r\n", b"HTTP/1.1 408 "),
        (b"POST /webhooks/stripe HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n", b"", b"HTTP/1.1 408 "),
    ],
)
async def test_whoever_is_slow_is_answered_and_hung_up_on(
    port: int, first: bytes, then: bytes, answer: bytes
) -> None:
    received = await drip(port, first, then)

    assert received.startswith(answer), received
    if b"408" in received:
        assert b"application/problem+json" in received and b"request_too_slow" in received


async def test_sixty_slow_senders_end_while_others_are_served(port: int) -> None:
    slow = [asyncio.create_task(drip(port, b"GET / HTTP/1.1\r\nX-A: ", b"a")) for _ in range(60)]
    served = 0
    while not all(each.done() for each in slow):
        assert (await say(port, LAST)).startswith(b"HTTP/1.1 200 ")
        served += 1
    assert served > 0
    assert all(each.result().startswith(b"HTTP/1.1 408 ") for each in slow)


@pytest.mark.parametrize(
    "head",
    [
        b"X-A: " + b"a" * 10_000_000,
        b"X-A: b\r\n" * 1_000_000,
        b"X-A: b\r\n" * 101,
        b"X-" + b"A" * 40_000 + b": b\r\n",
        b"Cookie: " + b"a" * 40_000 + b"\r\n",
    ],
    ids=["one of 10 MB", "a million", "101", "a long name", "40 kB"],
)
async def test_a_head_that_is_too_large_is_431_at_once(port: int, head: bytes) -> None:
    async with asyncio.timeout(WITHIN):
        received = await say(port, b"GET /login HTTP/1.1\r\n" + HOST + head + b"\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 431 "), received[:200]
    assert b"headers_too_large" in received and received.count(b"HTTP/1.1 ") == 1
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", received)


async def test_an_address_without_end_is_431(port: int) -> None:
    received = await say(port, b"GET /" + b"a" * 5_000_000)
    assert received.startswith(b"HTTP/1.1 431 "), received[:200]


async def test_more_connections_than_fit_are_told_to_come_again(port: int) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(90)]
    try:
        async with asyncio.timeout(WITHIN):
            received = await asyncio.gather(*(reader.read(-1) for reader, _ in opened))
    finally:
        for _, writer in opened:
            writer.close()
    full = [each for each in received if each]
    assert len(full) >= 20
    assert all(each.startswith(b"HTTP/1.1 503 ") and b"too_many_connections" in each for each in full)
    assert (await say(port, LAST)).startswith(b"HTTP/1.1 200 "), "and all of them are gone"


async def test_a_connection_that_keeps_to_the_limits_is_kept(port: int) -> None:
    """Idle for longer than a head may take: that is no slow request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(ASKED)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 2.5)
    writer.close()
