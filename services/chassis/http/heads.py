"""Refusals of a request's head that would be read in two ways, at every edge, the webhooks' too."""

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from services.chassis.errors import DomainError

SINGLE = frozenset({b"authorization", b"content-type", b"idempotency-key", b"stripe-signature"})
"""Headers that decide who asks, and for what. Readers differ in which of two they use, so there may be one."""


class DuplicateHeader(DomainError):
    code = "duplicate_header"
    status = 400


class ContentEncodingUnsupported(DomainError):
    """Nobody here unpacks a body, so a packed one would be read as garbage, or checked by its packed size."""

    code = "content_encoding_unsupported"
    status = 415


def check_head(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises `DuplicateHeader`, `ContentEncodingUnsupported`. ASGI has headers' names in small letters."""
    seen = set()
    for name, value in headers:
        if name in seen:
            raise DuplicateHeader(f"The request has the header {name.decode().title()} twice: send it once.")
        if name in SINGLE:
            seen.add(name)
        if name == b"content-encoding" and not _is_plain(value):
            raise ContentEncodingUnsupported("Send the body as it is, without a Content-Encoding.")


def _is_plain(codings: bytes) -> bool:
    return all(each.strip().lower() in (b"", b"identity") for each in codings.split(b","))


class CheckedHeads(ASGIMiddleware):
    """Refuses such a request before anything else reads it."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        check_head(scope["headers"])
        await next_app(scope, receive, send)
