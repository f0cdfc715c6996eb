"""A service's HTTP side: problem+json, health, tokens, and a transaction that commits before the answer leaves."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http import problems
from services.chassis.http.auth import Caller, TokenCheck, any_caller, caller_of
from services.chassis.http.heads import CheckedHeads
from services.chassis.http.health import Check, health_routes
from services.chassis.http.scraping import show_pool
from services.chassis.settings import ServiceSettings
from services.chassis.telemetry import attributes, logs
from services.chassis.telemetry.spans import RequestSpans, tell_request_id

log = structlog.get_logger()

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


MERGE_PATCH = "application/merge-patch+json"


class MediaTypeUnsupported(DomainError):
    code = "media_type_unsupported"
    status = 415


def service_app(
    *,
    name: str,
    settings: ServiceSettings,
    db: Database,
    route_handlers: Sequence[Any] = (),
    lifespan: Sequence[Lifespan] = (),
    needed: Mapping[str, Check] | None = None,
    reported: Mapping[str, Check] | None = None,
    database_needed: bool = True,
    dependencies: Mapping[str, Provide] | None = None,
    other_callers: Mapping[str, str] | None = None,
) -> Litestar:
    """A service's app. Every route needs a token unless its `opt` says `public`.

    Routes may take `caller: Caller`, `tx: Connection` (one transaction with the caller's clinic, committed before the
    answer leaves) or `db: Database` (routes that call Stripe: no connection is held meanwhile).

    needed              what else has to answer for the process to be ready, by name
    reported            what some of its work needs, by name
    database_needed     False: it has work to do without its database, whose loss is reported only
    other_callers       public keys of other services than the gateway, for the routes that name one
    """
    database = {"database": db.ping}
    show_pool(db)
    checks = {**(database if database_needed else {}), **(needed or {})}
    told = {**({} if database_needed else database), **(reported or {})}
    return Litestar(
        route_handlers=[*route_handlers, *health_routes(checks, told)],
        lifespan=[*lifespan, _closing(db)],
        guards=[any_caller],
        before_request=json_only,
        before_send=[tell_request_id],
        dependencies={
            "caller": Provide(caller_of_request, sync_to_thread=False),
            "db": Provide(lambda: db, sync_to_thread=False),
            "tx": Provide(transaction_of(db)),
            **(dependencies or {}),
        },
        exception_handlers={**problems.HANDLERS, DomainError: on_refusal},
        state=State(
            {
                "token_check": TokenCheck(settings.internal_token_public_key, name),
                "other_checks": {
                    other: TokenCheck(key, name, other) for other, key in (other_callers or {}).items()
                },
                "db": db,
            }
        ),
        middleware=[RequestSpans(), CheckedHeads()],
        openapi_config=OpenAPIConfig(
            title=f"ClinicPay {name}",
            version="1",
            path="/openapi",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        request_max_body_size=1024 * 1024,
        debug=False,
        logging_config=None,
    )


async def json_only(request: problems.AnyRequest) -> None:
    """Refuse a body whose content type is not JSON: the framework would read it as JSON all the same."""
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    takes_json = request.method in {"POST", "PUT", "PATCH"} and not request.route_handler.opt.get("public")
    is_json = given == "application/json" or (request.method == "PATCH" and given == MERGE_PATCH)
    if takes_json and not is_json:
        raise MediaTypeUnsupported("Send JSON, with `Content-Type: application/json`.")


def on_refusal(request: problems.AnyRequest, error: DomainError) -> problems.AnyResponse:
    """The problem. A refused change has a line in the log with its ids, and its trace is kept."""
    if error.status < 500 and request.method not in ("GET", "HEAD"):
        attributes.keep(attributes.REFUSED)
        caller = request.scope["state"].get("caller")
        named = {
            **error.fields,
            **request.scope["path_params"],
            "clinic_id": caller and caller.clinic_id,
            "client_id": caller and caller.role == "client" and caller.subject,
        }
        log.info(
            "change_refused",
            code=error.code,
            status=error.status,
            path=request.scope["path_template"],
            method=request.method,
            **{name: str(named[name]) for name in logs.IDS if named.get(name)},
            **error.about,
        )
    return problems.on_domain_error(request, error)


def caller_of_request(request: problems.AnyRequest) -> Caller:
    return caller_of(request)


def transaction_of(db: Database) -> Callable[..., AsyncIterator[Connection]]:
    """The `tx` dependency. Litestar ends it after the handler and before the answer is sent."""

    async def transaction(caller: NamedDependency[Caller]) -> AsyncIterator[Connection]:
        async with db.tx(caller.clinic_id, operator=caller.role == "operator") as tx:
            yield tx

    return transaction


def _closing(db: Database) -> Lifespan:
    @asynccontextmanager
    async def closing(_: Litestar) -> AsyncIterator[None]:
        yield
        await db.close()

    return closing
