"""The operators' console: a process of its own, with credentials that the gateway, which faces the world, never has."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from deploy.ops.console.health import Watch
from deploy.ops.console.routes import OPEN, PAGES, PROGRAMS
from deploy.ops.console.sessions import AnyRequest, NotLoggedIn, logged_in, operator_of
from deploy.ops.console.settings import Settings
from deploy.ops.console.sources import Sources
from services.chassis.http import problems
from services.chassis.http.heads import CheckedHeads
from services.chassis.http.health import health_routes
from services.chassis.telemetry.spans import RequestSpans, tell_request_id
from services.gateway.accounts.passwords import Passwords
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sealing import Sealer
from services.gateway.web import errors
from services.gateway.web.csrf import csrf
from services.gateway.web.limits import RequestLimit
from services.gateway.web.proxies import ClientAddresses
from services.gateway.web.security import PUBLIC_FILES, SameSiteOnly, on_every_answer, security_headers
from services.gateway.web.templating import FOR_EVER, STATIC, STATIC_URL, TEMPLATES, template_config

HERE = Path(__file__).parent
_NO_PAGES = ["^/ops/api/", "^/healthz/"]


def console(settings: Settings) -> Litestar:
    sources = Sources.of(settings)
    shared = {
        "settings": settings,
        "sources": sources,
        "watch": Watch(sources),
        "passwords": Passwords(),
        "sealer": Sealer(settings.keys),
    }
    return Litestar(
        route_handlers=[
            Router("/", route_handlers=OPEN),
            Router(
                "/ops",
                route_handlers=PAGES,
                guards=[logged_in],
                dependencies={"operator": Provide(operator_of, sync_to_thread=False)},
            ),
            Router("/ops/api", route_handlers=PROGRAMS),
            create_static_files_router(STATIC_URL, [STATIC], cache_control=FOR_EVER),
            *health_routes({"database": sources.own.ping}, {}),
        ],
        lifespan=[lambda _: sources.running()],
        dependencies={name: _provide(value) for name, value in shared.items()},
        middleware=[
            *([ClientAddresses(settings.trusted_proxies)] if settings.trusted_proxies else []),
            RequestSpans(),
            CheckedHeads(),
            RequestLimit(settings.requests_per_minute),
            SameSiteOnly(settings.origin),
            csrf(
                settings.csrf_secrets,
                https=settings.https,
                exclude=[*_NO_PAGES, *PUBLIC_FILES],
                cookie="ops-csrf",
            ),
        ],
        exception_handlers={**errors.HANDLERS, NotLoggedIn: _to_login, TooManyTries: _on_too_many_tries},
        before_send=[on_every_answer(security_headers(None, https=settings.https)), tell_request_id],
        template_config=template_config((HERE / "templates", *TEMPLATES)),
        openapi_config=None,
        request_max_body_size=256 * 1024,
        state=State(shared),
        debug=False,
        logging_config=None,
    )


def _to_login(request: AnyRequest, error: NotLoggedIn) -> Response[Any]:
    """With the page that was asked for, or on which the form of an act stands: of that nothing was done."""
    if not errors.wants_page(request):
        return problems.on_domain_error(request, error)
    path = errors.path_of(request)
    if path in ("/ops", "/ops/logout"):
        return Redirect("/ops/login", status_code=303)
    if request.method not in ("GET", "HEAD"):
        page = urlsplit(request.headers.get("Referer", "")).path or "/ops"
        return Redirect("/ops/login", status_code=303, query_params={"why": "ended", "next": page})
    query = request.scope["query_string"].decode("latin-1")
    return Redirect(
        "/ops/login", status_code=303, query_params={"next": f"{path}?{query}" if query else path}
    )


def _on_too_many_tries(_: AnyRequest, error: TooManyTries) -> Response[Any]:
    return errors.error_page(429, {"Retry-After": str(error.retry_after)})


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
