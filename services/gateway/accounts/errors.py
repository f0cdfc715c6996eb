"""The answers to a request of nobody, and to too many tries."""

from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.response import Redirect

from services.chassis.http import problems
from services.gateway.accounts.domain import InvitationWaits, NotSignedIn
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.web.errors import AnyRequest, Handler, page_or, path_of, wants_page


def on_too_many_tries(_: AnyRequest, error: TooManyTries) -> Response[Any]:
    headers = {"Retry-After": str(error.retry_after)}
    return problems.problem(429, "too_many_requests", "Too many tries. Please wait.", headers=headers)


def on_not_signed_in(request: AnyRequest, _: NotSignedIn) -> Response[Any]:
    """To the login, and back to where it was asked for if that was a page. A session of nobody ends."""
    if request.session:
        request.clear_session()
    if not wants_page(request):
        return problems.problem(401, "not_signed_in", "Please log in again.")
    return Redirect(f"/login{_back_to(request)}", status_code=303)


def on_invitation_waits(request: AnyRequest, _: InvitationWaits) -> Response[Any]:
    """To the page on which the login's owner accepts or declines, and from there back."""
    if not wants_page(request):
        words = "Please accept first that this clinic is connected to your login."
        return problems.problem(403, "invitation_waits", words, message=words)
    return Redirect(f"/clinics{_back_to(request)}", status_code=303)


def _back_to(request: AnyRequest) -> str:
    """The query that leads back to a page that was asked for."""
    query = request.scope["query_string"].decode("latin-1")
    target = path_of(request) + (f"?{query}" if query else "")
    return f"?next={quote(target, safe='')}" if request.method == "GET" and target != "/" else ""


HANDLERS: dict[int | type[Exception], Handler] = {
    TooManyTries: page_or(on_too_many_tries),
    NotSignedIn: on_not_signed_in,
    InvitationWaits: on_invitation_waits,
}
