"""The answers to a request of nobody, and to too many tries."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from litestar import Response
from litestar.exceptions import PermissionDeniedException
from litestar.response import Redirect

from services.chassis.http import problems
from services.gateway.accounts.domain import InvitationWaits, NotSignedIn, PortalMoved, safe_next
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sessions.backend import SESSION_COOKIES, why_ended
from services.gateway.web.errors import AnyRequest, Handler, on_forbidden, page_or, path_of, wants_page

_WITHOUT_LOGIN = ("/password", "/invitation/", "/email/", "/login/code", "/login/link/")
"""Pages with forms for those who cannot log in."""


def on_too_many_tries(_: AnyRequest, error: TooManyTries) -> Response[Any]:
    headers = {"Retry-After": str(error.retry_after)}
    return problems.problem(429, "too_many_requests", "Too many tries. Please wait.", headers=headers)


def on_not_signed_in(request: AnyRequest, error: NotSignedIn) -> Response[Any]:
    """To the login with a word why, and back to where it was asked for. A session of nobody ends."""
    if request.session:
        request.clear_session()
    if not wants_page(request):
        return problems.problem(401, "not_signed_in", "Please log in again.")
    return _to_login(request, error.why or why_ended(request))


def on_refused_form(request: AnyRequest, error: PermissionDeniedException) -> Response[Any]:
    """A form without its token, from a browser that lost its cookies: to the login, which makes new ones."""
    lost = isinstance(error.detail, str) and error.detail.startswith("CSRF") and wants_page(request)
    if lost and path_of(request).startswith(_WITHOUT_LOGIN):
        return _to_same_page(request)
    if lost and (path_of(request) == "/login" or not _had_session(request)):
        return _to_login(request, "again")
    return page_or(on_forbidden)(request, error)


def _to_same_page(request: AnyRequest) -> Redirect:
    """To the form's own page, which makes new cookies. Its address may be a link that nobody else may read."""
    came = urlsplit(request.headers.get("referer", ""))
    target = safe_next(dict(parse_qsl(came.query)).get("next"))
    query = urlencode({**({"next": target} if target != "/" else {}), "why": "again"})
    return Redirect(f"{quote(path_of(request))}?{query}", status_code=303)


def _had_session(request: AnyRequest) -> bool:
    return any(name in request.cookies for name in SESSION_COOKIES)


def _to_login(request: AnyRequest, why: str) -> Redirect:
    given = {"next": _asked_for(request), "why": why}
    query = urlencode({name: value for name, value in given.items() if value and value != "/"})
    return Redirect(f"/login?{query}" if query else "/login", status_code=303)


def on_invitation_waits(request: AnyRequest, _: InvitationWaits) -> Response[Any]:
    """To the page on which the login's owner accepts or declines, and from there back."""
    if not wants_page(request):
        words = "Please accept first that this clinic is connected to your login."
        return problems.problem(403, "invitation_waits", words, message=words)
    return Redirect(f"/clinics{_back_to(request)}", status_code=303)


def on_portal_moved(request: AnyRequest, moved: PortalMoved) -> Response[Any]:
    """To the same page at the portal's address of today; forms and scripts are sent again there.

    Not for good: the clinic may take its old address back, and browsers keep what is for good.
    """
    path = path_of(request).replace(f"/c/{moved.old}", f"/c/{moved.new}", 1)
    return Redirect(_with_query(path, request), status_code=307)


def _back_to(request: AnyRequest) -> str:
    """The query that leads back to a page that was asked for."""
    target = _asked_for(request)
    return f"?next={quote(target, safe='')}" if request.method == "GET" and target != "/" else ""


def _asked_for(request: AnyRequest) -> str:
    """The page that was asked for; for a form the page that it is on."""
    if request.method != "GET":
        return page_before(request)
    return _with_query(path_of(request), request)


def _with_query(path: str, request: AnyRequest) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return path + (f"?{query}" if query else "")


def page_before(request: AnyRequest) -> str:
    """The page of ours from which the browser says that it comes; "/" without one, or for the login."""
    came = urlsplit(request.headers.get("referer", ""))
    if came.netloc != request.headers.get("host"):
        return "/"
    if came.path == "/login" or came.path.startswith("/login/"):
        return safe_next(dict(parse_qsl(came.query)).get("next"))
    return safe_next(came.path + (f"?{came.query}" if came.query else ""))


HANDLERS: dict[int | type[Exception], Handler] = {
    TooManyTries: page_or(on_too_many_tries),
    NotSignedIn: on_not_signed_in,
    PermissionDeniedException: on_refused_form,
    InvitationWaits: on_invitation_waits,
    PortalMoved: on_portal_moved,
}
