"""The gateway's process: portal, public API, webhooks and streams in one app."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import FrameType

import httpx2
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import Middleware

from services.chassis.db.database import Database
from services.chassis.http.app import Lifespan
from services.chassis.http.auth import TokenMint
from services.chassis.http.heads import CheckedHeads
from services.chassis.http.scraping import show_pool
from services.chassis.signing import keys_of
from services.chassis.telemetry.spans import RequestSpans, tell_request_id
from services.gateway.accounts import errors as account_errors
from services.gateway.accounts.dependencies import PORTAL
from services.gateway.accounts.devices.actions import Devices
from services.gateway.accounts.invitations.routes import invitation_routes
from services.gateway.accounts.letters.actions import Letters
from services.gateway.accounts.mailed_codes.routes import mailed_code_routes
from services.gateway.accounts.passkey_logins.routes import passkey_login_routes
from services.gateway.accounts.passkeys.domain import PasskeySite
from services.gateway.accounts.passwords import Passwords
from services.gateway.accounts.profile.routes import email_routes
from services.gateway.accounts.resets.routes import reset_routes
from services.gateway.accounts.routes import account_routes
from services.gateway.accounts.sealing import MailedCodes, Sealer
from services.gateway.accounts.second_steps.routes import second_step_routes
from services.gateway.accounts.sessions.backend import STORE, SessionStore, hash_shown, session_config
from services.gateway.api.document import openapi_config
from services.gateway.api.keys import dependencies as keys
from services.gateway.api.operations.actions import Operations
from services.gateway.api.routes import api_router
from services.gateway.jobs import Jobs
from services.gateway.live.hub import Hub
from services.gateway.live.streams import link_live, live
from services.gateway.pay_links import dependencies as pay_links
from services.gateway.pay_links import errors as link_errors
from services.gateway.pay_links.domain import ADDRESS_PER_MINUTE, INVOICE_PER_MINUTE
from services.gateway.portal.links.routes import link_routes
from services.gateway.portal.mail.routes import mail_routes
from services.gateway.portal.routes import portal_routes
from services.gateway.settings import Settings
from services.gateway.upstream.calls import Calls, Service
from services.gateway.upstream.services import Upstreams
from services.gateway.upstream.webhooks import stripe_webhook
from services.gateway.web import errors as web_errors
from services.gateway.web.csrf import csrf
from services.gateway.web.limits import PerMinute, RequestLimit, tell_what_is_left
from services.gateway.web.proxies import ClientAddresses
from services.gateway.web.ready import Readiness, readiness_routes
from services.gateway.web.security import (
    MAIL,
    NOT_PAGES,
    PAY_LINKS,
    PUBLIC_FILES,
    SameSiteOnly,
    asks_for,
    on_every_answer,
    security_headers,
)
from services.gateway.web.templating import template_config


def api(
    settings: Settings, transports: Mapping[Service, httpx2.AsyncBaseTransport] | None = None
) -> Litestar:
    """The app. `transports` replace the network to a service, by its name, with an app in this process."""
    db = Database(settings.database_urls)
    show_pool(db)
    urls: dict[Service, str] = {
        "invoice": str(settings.invoice_url),
        "payment": str(settings.payment_url),
        "notification": str(settings.notification_url),
    }
    mint = TokenMint(settings.internal_token_private_key.get_secret_value())
    calls = Calls(urls, mint, transports)
    upstreams = Upstreams(calls)
    operations = Operations(db, upstreams)
    hub = Hub(settings.kafka_bootstrap_servers, settings.kafka_security)
    login_keys = keys_of(settings.login_key.get_secret_value())
    mailed_codes = MailedCodes(login_keys)
    letters = Letters(db, upstreams, mailed_codes)
    sealer = Sealer(login_keys)
    jobs = Jobs(db, settings, operations, letters, sealer, upstreams)
    parts = {name: str(url) for name, url in settings.ready_parts.items()}
    readiness = Readiness({"database": jobs.check, "live": hub.check}, parts, calls.clocks)
    headers = security_headers(settings.stripe_origin, https=settings.https)
    shared = {
        "db": db,
        "hub": hub,
        "passwords": Passwords(),
        "sealer": sealer,
        "devices": Devices(login_keys, settings.https),
        "mailed_codes": mailed_codes,
        "passkey_site": PasskeySite(settings.passkey_host, settings.public_origin)
        if settings.passkey_host
        else None,
        "settings": settings,
        "upstreams": upstreams,
        "operations": operations,
    }
    return Litestar(
        route_handlers=[
            _pages(),
            _pay_links(),
            Router(
                "/",
                route_handlers=mail_routes,
                middleware=[RequestLimit(ADDRESS_PER_MINUTE)],
                include_in_schema=False,
            ),
            api_router,
            _webhooks(settings),
            *readiness_routes(readiness),
        ],
        lifespan=[_lifespan(hub, jobs, (db.close, calls.close, readiness.close))],
        dependencies={name: _provide(value) for name, value in shared.items()},
        middleware=_middleware(settings),
        stores={STORE: SessionStore(db)},
        exception_handlers={**web_errors.HANDLERS, **account_errors.HANDLERS},
        before_send=[on_every_answer(headers), tell_what_is_left, tell_request_id],
        template_config=template_config(),
        openapi_config=openapi_config(),
        request_max_body_size=1024 * 1024,
        state=State(shared),
        debug=False,
        logging_config=None,
    )


def _pages() -> Router:
    """The pages for people, which are left out of the API's document."""
    return Router(
        path="/",
        route_handlers=[
            *account_routes,
            *second_step_routes,
            *mailed_code_routes,
            *passkey_login_routes,
            *reset_routes,
            *invitation_routes,
            *email_routes,
            *portal_routes,
            live,
        ],
        dependencies=PORTAL,
        include_in_schema=False,
    )


def _pay_links() -> Router:
    """Pages for who has the address of one invoice. A session, if the browser has one, is not looked at."""
    return Router(
        path="/",
        route_handlers=[*link_routes, link_live],
        dependencies={"link": Provide(pay_links.link), "of_invoice": _provide(PerMinute(INVOICE_PER_MINUTE))},
        middleware=[RequestLimit(ADDRESS_PER_MINUTE)],
        exception_handlers=link_errors.HANDLERS,
        include_in_schema=False,
    )


def _webhooks(settings: Settings) -> Router:
    """Webhooks have a rate limit of their own: Stripe sends many from few addresses."""
    limit = RequestLimit(settings.webhooks_per_minute)
    return Router(path="/", route_handlers=[stripe_webhook], middleware=[limit])


def _middleware(settings: Settings) -> list[Middleware]:
    """From the outermost to the innermost."""
    for_programs, no_page = asks_for(["^/api/"]), asks_for([*NOT_PAGES, *PUBLIC_FILES])
    per_minute, sessions = settings.requests_per_minute, hash_shown(settings.https)
    behind: list[Middleware] = [ClientAddresses(settings.trusted_proxies)] if settings.trusted_proxies else []
    return [
        *behind,
        RequestSpans(),
        CheckedHeads(),
        RequestLimit(
            per_minute, bypass=lambda scope: not for_programs(scope), credential=keys.hash_shown, told=True
        ),
        RequestLimit(per_minute, bypass=no_page, credential=sessions),
        SameSiteOnly(settings.public_origin),
        session_config(settings.https, [*NOT_PAGES, *PUBLIC_FILES, *PAY_LINKS, *MAIL]).middleware,
        csrf(settings.csrf_secrets, https=settings.https, exclude=[*NOT_PAGES, *PUBLIC_FILES, *MAIL]),
    ]


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _lifespan(hub: Hub, jobs: Jobs, closing: Sequence[Callable[[], Awaitable[None]]]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for close in closing:
                stack.push_async_callback(close)
            stack.enter_context(_ending_streams(hub))
            await stack.enter_async_context(hub.running())
            await stack.enter_async_context(jobs.running())
            yield

    return lifespan


@contextmanager
def _ending_streams(hub: Hub) -> Iterator[None]:
    """End streams at the first signal to stop: otherwise the server would wait for them for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(hub.close)
        then: Callable[[int, FrameType | None], object] | int | None = earlier[signal.Signals(number)]
        if callable(then):
            then(number, frame)

    for number, handler in earlier.items():
        if callable(handler):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
