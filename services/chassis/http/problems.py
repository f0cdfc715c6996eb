"""Errors as RFC 9457 problem+json with a stable `code`. No answer quotes a message of the database."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Receive, Scope, Send

from services.chassis.db.database import TRANSIENT, is_transient
from services.chassis.errors import DomainError, Unavailable
from services.chassis.http import faults
from services.chassis.incidents import incidents

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]
AnyResponse = Response[Any]
PROBLEM_JSON = "application/problem+json"

_CODES = {
    400: "request_invalid",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "media_type_unsupported",
    429: "too_many_requests",
}

CHALLENGES = {401: {"WWW-Authenticate": 'Bearer realm="ClinicPay"'}}
"""Headers that a status must have: a 401 names the way to authenticate (RFC 9110, 11.6.1)."""


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **fields: Any
) -> Response[dict[str, Any]]:
    """An answer of type application/problem+json."""
    body = members(status, code, detail, **fields)
    headers = {**CHALLENGES.get(status, {}), **(headers or {})}
    return Response(body, status_code=status, media_type=PROBLEM_JSON, headers=headers)


def members(status: int, code: str, detail: str, **fields: Any) -> dict[str, Any]:
    """The body of such an answer."""
    return {
        **fields,
        "type": f"urn:clinicpay:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }


def on_domain_error(_: AnyRequest, error: DomainError) -> Response[Any]:
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else None
    return problem(error.status, error.code, error.detail, headers=headers, **_fields(error))


def _fields(error: DomainError) -> dict[str, Any]:
    """The further members: the error's, those of other refusals of the request, and `errors` with all of them."""
    fields = {name: value for each in reversed(error.every) for name, value in each.fields.items()}
    errors = [
        _refused(each) for each in error.every[: faults.MOST] if isinstance(each.fields.get("field"), str)
    ]
    return {"errors": errors, **fields} if errors else fields


def _refused(error: DomainError) -> faults.Fault:
    """The place of a value that is refused by its meaning, with the code of the refusal."""
    return {**faults.body_fault(faults.path_of(error.fields["field"]), error.detail), "code": error.code}


def on_validation_error(_: AnyRequest, error: ValidationException) -> Response[Any]:
    """Names the fields that are wrong and what they should be, without the values that were sent."""
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [_fault(each) for each in extra if isinstance(each, dict)]
    return problem(400, "request_invalid", "Some fields are missing or wrong.", errors=errors)


_NO_BODY = "'data'"
"""The framework's message about a request without a body: the name of the routes' argument, quoted."""


def _fault(found: dict[str, Any]) -> faults.Fault:
    """The fault that the framework found: of a parameter, or the first of a body."""
    name, message = str(found.get("key", "")), faults.without_value(str(found.get("message", "")))
    where = str(found.get("source", "body"))
    if message == _NO_BODY:
        return faults.body_fault((), faults.NO_BODY)
    if where in ("query", "header", "path"):
        return faults.parameter_fault(where, name, message)  # type: ignore[arg-type]
    return faults.body_fault(faults.path_of(name if name != "data" else ""), message)


def on_http_error(_: AnyRequest, error: HTTPException) -> Response[Any]:
    code = _CODES.get(error.status_code, "request_invalid" if error.status_code < 500 else "internal_error")
    headers = {str(name): str(value) for name, value in (error.headers or {}).items()}
    if error.status_code == 400:
        return problem(400, code, "The request is malformed.", headers=headers)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, code, f"{phrase}.", headers=headers)


def on_recursion(_: AnyRequest, __: RecursionError) -> Response[Any]:
    return problem(400, "request_invalid", "The body is nested too deeply.")


def on_untaken_text(_: AnyRequest, __: asyncpg.CharacterNotInRepertoireError) -> Response[Any]:
    """A NUL, which is text to all but PostgreSQL."""
    return problem(400, "request_invalid", "No text may hold a NUL character.")


def on_transient(request: AnyRequest, error: Exception) -> Response[Any]:
    incidents.failed("request_without_database", path=_route(request), error=type(error).__name__)
    unavailable = Unavailable("The database is away for now. Ask again in a moment.")
    return on_domain_error(request, unavailable)


def on_interface_error(request: AnyRequest, error: asyncpg.InterfaceError) -> Response[Any]:
    """asyncpg's class for a lost connection and for a wrong call of ours alike."""
    return (on_transient if is_transient(error) else on_any_error)(request, error)


def on_any_error(request: AnyRequest, error: Exception) -> Response[Any]:
    log.error("request_failed", path=_route(request), method=request.method, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side. It has been noted.")


def _route(request: AnyRequest) -> str:
    return str(getattr(request.scope.get("route_handler"), "handler_name", "unknown"))


HANDLERS: dict[int | type[Exception], Callable[[AnyRequest, Any], Response[Any]]] = {
    DomainError: on_domain_error,
    ValidationException: on_validation_error,
    HTTPException: on_http_error,
    RecursionError: on_recursion,
    asyncpg.CharacterNotInRepertoireError: on_untaken_text,
    asyncpg.InterfaceError: on_interface_error,
    Exception: on_any_error,
    **dict.fromkeys(TRANSIENT, on_transient),
}


async def answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to an error of an ASGI app that stands before Litestar's routes, the same as theirs."""
    request: AnyRequest = Request(scope)
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response = handler(request, error).to_asgi_response(app=None, request=request)
    await response(scope, receive, send)
