"""Every body that a person or a program sends to the gateway as JSON is read strictly."""

import inspect

from litestar import Router
from litestar.handlers import HTTPRouteHandler

from services.gateway.api.routes import api_router
from services.gateway.portal.routes import portal_routes


def _handlers(of: object) -> list[HTTPRouteHandler]:
    if isinstance(of, HTTPRouteHandler):
        return [of]
    if isinstance(of, Router):
        return [handler for route in of.routes for handler in route.route_handlers]  # type: ignore[union-attr]
    return [handler for each in of for handler in _handlers(each)]  # type: ignore[attr-defined]


def test_what_takes_json_also_takes_its_raw_bytes() -> None:
    """Litestar's own reading takes "5000" for 5000. `strictly` reads the raw body again, as JSON says it."""
    taking = [
        handler
        for handler in _handlers([api_router, *portal_routes])
        if "RequestEncodingType.JSON" in str(inspect.signature(handler.fn).parameters.get("data"))
    ]
    names = {handler.fn.__name__ for handler in taking}

    assert {"start_payment", "create_invoice", "put_account"} <= names
    assert [
        handler.fn.__name__ for handler in taking if "body" not in inspect.signature(handler.fn).parameters
    ] == []
