"""Plain ASGI, for what needs more control over the connection than a framework gives."""

from collections.abc import Mapping

from litestar.types import Receive, Send

from deploy.sandbox.errors import StripeError


async def read_body(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message["body"])
        size += len(message["body"])
        if size > most:
            raise StripeError(413, "invalid_request_error", "The request is too large.")
        if not message.get("more_body"):
            return b"".join(parts)


async def send_bytes(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    pairs = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def wait_until_gone(receive: Receive) -> None:
    """Answer nothing until the caller has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass
