"""Stripe's webhooks, handed on to payment byte for byte: its signature covers the raw body."""

from typing import Any

from litestar import Request, Response, post

from services.gateway.upstream.services import InjectedUpstreams

LARGEST = 256 * 1024
_KEPT = ("content-type", "stripe-signature")


@post("/webhooks/stripe", status_code=200, request_max_body_size=LARGEST, include_in_schema=False)
async def stripe_webhook(request: Request[Any, Any, Any], upstreams: InjectedUpstreams) -> Response[bytes]:
    """Payment's own answer. 413 above 256 KiB; 503 while payment is away, so that Stripe comes again."""
    body = await request.body()
    headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
    answer = await upstreams.forward_webhook(body, headers)
    return Response(
        answer.content,
        status_code=answer.status,
        media_type=answer.headers.get("content-type", "application/json"),
    )
