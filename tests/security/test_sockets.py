"""Requests that no HTTP client would send, on a raw socket to a server process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local.process import free_port
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY
from tests.running.databases import ServiceDb
from tests.running.settings import LOGIN_KEY, NOBODY, OPERATOR_KEY, PAY_LINK_KEY
from tests.running.system import ROOT, until

HOST = b"Host: portal.test\r\n"
PATH = b"/api/v1/clinics"
AUTHORIZATION = f"Authorization: Bearer {OPERATOR_KEY}\r\nIdempotency-Key: k\r\n".encode()


@pytest.fixture(scope="module")
async def port(dbs: dict[str, ServiceDb]) -> AsyncIterator[int]:
    """The gateway as a process of its own, with its real server."""
    async with a_gateway(dbs["gateway"]) as number:
        yield number


@asynccontextmanager
async def a_gateway(db: ServiceDb, **settings: str) -> AsyncIterator[int]:
    """The port of a gateway's process with these settings."""
    number = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.gateway", "api"),
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HTTP_PORT": str(number),
            "DATABASE_URL": db.api_dsn,
            "KAFKA_BOOTSTRAP_SERVERS": NOBODY,
            "INTERNAL_TOKEN_PUBLIC_KEY": PUBLIC_KEY,
            "INTERNAL_TOKEN_PRIVATE_KEY": PRIVATE_KEY,
            **{f"{name}_URL": f"http://{NOBODY}" for name in ("INVOICE", "PAYMENT", "NOTIFICATION")},
            "PUBLIC_URL": "http://portal.test",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
            "LOGIN_KEY": LOGIN_KEY,
            "PAY_LINK_KEY": PAY_LINK_KEY,
            "BOOTSTRAP_OPERATOR_KEY": OPERATOR_KEY,
            **settings,
        },
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: _answers(number), 120)
        yield number
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        return b" 200 " in await say(
            port, b"GET /healthz/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        )
    except OSError:
        return False


async def say(port: int, raw: bytes) -> bytes:
    """The server's answer to these bytes, until it closes or sends nothing for half a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        reply = b""
        try:
            while more := await asyncio.wait_for(reader.read(65536), 10 if not reply else 0.5):
                reply += more
        except (TimeoutError, ConnectionResetError):
            pass
        return reply
    finally:
        writer.close()


def post(headers: bytes, body: bytes) -> bytes:
    return b"POST " + PATH + b" HTTP/1.1\r\n" + HOST + AUTHORIZATION + headers + b"\r\n" + body


SMUGGLED = b"GET /healthz/live HTTP/1.1\r\n" + HOST + b"\r\n"
REFUSED = {
    "two lengths": post(b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}" + SMUGGLED),
    "two lengths in one": post(b"Content-Length: 2, 40\r\n", b"{}" + SMUGGLED),
    "a length and chunks": post(
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED
    ),
    "a negative length": post(b"Content-Length: -1\r\n", b"{}"),
    "a length that is none": post(b"Content-Length: two\r\n", b"{}"),
    "a chunk that is none": post(b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
    "a space before the colon": post(b"Content-Length : 2\r\n", b"{}"),
    "a header that is none": post(b"no colon here\r\n", b""),
    "a NUL in a header": post(b"X: a\0b\r\nContent-Length: 2\r\n", b"{}"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "garbage": b"\x00\xff" * 200 + b"\r\n\r\n",
    "another version": b"GET / HTTP/3.7\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_clear_request_is_refused_once(port: int, what: str) -> None:
    """And bytes hidden behind it are not read as another request."""
    reply = await say(port, REFUSED[what])

    assert b"HTTP/1.1 5" not in reply and b'"live"' not in reply, reply
    assert reply.count(b"HTTP/1.1 ") <= 1 and (reply == b"" or b"HTTP/1.1 4" in reply), reply


@pytest.mark.parametrize(
    ("what", "raw"),
    {
        "HTTP/1.0": b"GET /login HTTP/1.0\r\n\r\n",
        "no host": b"GET /login HTTP/1.1\r\nConnection: close\r\n\r\n",
        "two hosts": b"GET /login HTTP/1.1\r\nHost: a\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
        "a whole address": b"GET http://evil.test/login HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        "100 kB of baggage": b"GET /login HTTP/1.1\r\n"
        + HOST
        + b"baggage: a="
        + b"b" * 100_000
        + b"\r\n\r\n",
        "5000 headers": b"GET /login HTTP/1.1\r\n"
        + HOST
        + b"X-A: b\r\n" * 5000
        + b"Connection: close\r\n\r\n",
        "an unknown method": b"BREW /login HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        "a long address": b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    }.items(),
)
async def test_what_is_odd_ends_in_an_answer_that_is_no_500(port: int, what: str, raw: bytes) -> None:
    reply = await say(port, raw)

    assert b"HTTP/1.1 5" not in reply and b"evil.test" not in reply.split(b"\r\n\r\n")[0], reply[:500]
    assert await _answers(port), "the server lives on"


async def test_a_body_without_end_is_cut_off_at_the_cap(port: int) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    reply = await say(port, post(b"Transfer-Encoding: chunked\r\n", chunk * 40))

    assert b"HTTP/1.1 413" in reply, reply[:500]
