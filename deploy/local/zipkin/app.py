"""Takes OTLP over HTTP, and gives Zipkin the spans. The sender keeps spans while Zipkin cannot take them."""

import asyncio
import gzip
import urllib.request
from typing import Any

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import ClientException

from deploy.local.zipkin.spans import zipkin_of

SECONDS = 5.0


def translating(zipkin: str) -> Litestar:
    """The app; `zipkin` is the address of Zipkin's server."""

    @post("/v1/traces", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        try:
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            spans = zipkin_of(body)
        except (DecodeError, OSError, EOFError):
            raise ClientException("This is no OTLP in protobuf.") from None
        try:
            await asyncio.to_thread(_give, zipkin, msgspec.json.encode(spans))
        except OSError:
            return Response(b"", status_code=503, headers={"Retry-After": "1"})
        return Response(b"", media_type="application/x-protobuf")

    @get("/healthz/ready")
    async def ready() -> None: ...

    return Litestar([take, ready], openapi_config=None, logging_config=None, request_max_body_size=64 * 2**20)


def _give(zipkin: str, spans: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{zipkin}/api/v2/spans", spans, headers)  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
        pass
