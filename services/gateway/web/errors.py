"""Errors as people and programs get them: an HTML page in a browser, problem+json for everything else."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.response import Template

from services.chassis.http import problems
from services.chassis.telemetry.spans import request_id_of
from services.gateway.upstream.calls import UpstreamError
from services.gateway.web.parameters import path_faults

AnyRequest = Request[Any, Any, Any]
Handler = Callable[[AnyRequest, Any], Response[Any]]

SCRIPTS = "scripts"
"""A route's option: only our pages' scripts call it, never a person."""
_MACHINES = ("/api/", "/ops/api/", "/webhooks/", "/healthz/")

_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("That did not work", "Something about the address or the form is not right.", "Start again"),
    403: (
        "This page is out of date",
        "Nothing was changed. Please go back, load the page again and repeat what you did.",
        "Go to the start",
    ),
    404: (
        "We cannot find this page",
        "The address may be mistyped, or it belongs to somebody else's login.",
        "Go to the start",
    ),
    413: ("That is too large", "What was sent is larger than we take.", "Start again"),
    429: ("Too many requests", "Please wait a minute, then try again.", "Try again"),
    500: ("Something went wrong on our side", "It has been noted. Please try again shortly.", "Try again"),
    503: (
        "We are back in a moment",
        "A part of the portal does not answer. Nothing was charged by this. Please try again shortly.",
        "Try again",
    ),
}


def wants_page(request: AnyRequest) -> bool:
    """Whether the answer must be an HTML page: a person asks for a portal address, not a script.

    A route for scripts (`opt={SCRIPTS: True}`) and a JSON body mean a script, whatever `Accept` holds.
    """
    if path_of(request).startswith(_MACHINES) or _is_for_scripts(request):
        return False
    accept = request.headers.get("accept", "")
    return "text/html" in accept or not ("json" in accept or "event-stream" in accept)


def _is_for_scripts(request: AnyRequest) -> bool:
    handler = request.scope.get("route_handler")
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return sent == "application/json" or bool(handler and handler.opt.get(SCRIPTS))


def path_of(request: AnyRequest) -> str:
    """The request's path. `request.url` is not used: a malformed Host header makes it raise."""
    return request.scope["path"]


def error_page(status: int, headers: dict[str, str] | None = None, reference: str = "") -> Template:
    """`reference` is the request's id, by which our logs tell more of it."""
    title, message, label = _WORDS.get(status) or _WORDS[503 if status in (502, 504) else status // 100 * 100]
    context = {
        "status": status,
        "title": title,
        "message": message,
        "action_url": "/",
        "action_label": label,
        "reference": reference,
    }
    return Template("error.html", context=context, status_code=status, headers=headers or {})


def on_upstream_error(_: AnyRequest, error: UpstreamError) -> Response[Any]:
    """The service's refusal as it is; 502 for a 401, since then our token is wrong, not the request."""
    if error.code == "clock_skew":
        return problems.problem(502, "clock_skew", error.detail)
    if error.status == 401:
        return problems.problem(502, "upstream_error", "A part of ClinicPay refused to answer.")
    headers = {"Retry-After": str(max(1, round(error.retry_after or 1)))} if error.temporary else None
    return problems.problem(error.status, error.code, error.detail, headers=headers, **error.fields)


def on_not_found(request: AnyRequest, error: NotFoundException) -> Response[Any]:
    """Says which id in the address is none, if that is what is wrong with it."""
    faults = path_faults(request) if path_of(request).startswith("/api/") else []
    if faults:
        return problems.problem(404, "not_found", "An id in the address is not a UUID.", errors=faults)
    return problems.on_http_error(request, error)


def on_forbidden(_: AnyRequest, error: PermissionDeniedException) -> Response[Any]:
    return problems.problem(403, "not_allowed", error.detail)


def page_or(problem_of: Handler) -> Handler:
    """The problem, or for people an HTML page with the same status and headers."""

    def answer(request: AnyRequest, error: Any) -> Response[Any]:
        found = problem_of(request, error)
        if not wants_page(request):
            return found
        status = found.status_code or 500
        return error_page(status, dict(found.headers), request_id_of(request.scope))

    return answer


HANDLERS: dict[int | type[Exception], Handler] = {
    **{error: page_or(handler) for error, handler in problems.HANDLERS.items()},
    UpstreamError: page_or(on_upstream_error),
    NotFoundException: page_or(on_not_found),
    PermissionDeniedException: page_or(on_forbidden),
}
