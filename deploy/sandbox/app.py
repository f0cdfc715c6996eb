"""The sandbox as one ASGI application: /v1 is Stripe's API, the rest is pages, control and health."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from deploy.sandbox.api import Api
from deploy.sandbox.control import control_router
from deploy.sandbox.errors import Json
from deploy.sandbox.hosted import HANDLERS
from deploy.sandbox.resources import accounts, webhook_endpoints
from deploy.sandbox.sandbox import PLATFORM, Sandbox
from deploy.sandbox.settings import Settings

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@get("/healthz/live", sync_to_thread=False)
def live() -> Json:
    return {"status": "ready"}


@get("/healthz/ready", sync_to_thread=False)
def ready(sandbox: NamedDependency[Sandbox]) -> Json:
    sandbox.store.setting("clock_offset", "0")
    return {"status": "ready", "checks": {"database": "ok"}}


def application(settings: Settings) -> tuple[Application, Sandbox]:
    """The application, and the sandbox inside it, for tests that live in the same process."""
    sandbox = Sandbox(settings)
    if sandbox.store.get(PLATFORM, PLATFORM) is None:
        sandbox.run(PLATFORM, lambda call: call.put(accounts.shape(call, PLATFORM)))
    sandbox.run(PLATFORM, lambda call: webhook_endpoints.keep_own(call, settings.webhook_url))
    pages = Litestar(
        [live, ready, control_router(), *HANDLERS],
        dependencies={"sandbox": Provide(lambda: sandbox, sync_to_thread=False)},
        state=State({"sandbox": sandbox}),
        lifespan=[_lifespan],
        openapi_config=None,
        logging_config=None,
    )
    api = Api(sandbox)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith("/v1/"):
            await api(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return serve, sandbox


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    sandbox: Sandbox = app.state.sandbox
    async with sandbox.sender:
        yield
    sandbox.store.close()
