"""The console's sessions: a cookie with a random id, whose hash is in the gateway's database."""

import re
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from deploy.ops.console.operators import actions
from deploy.ops.console.operators.domain import ABSOLUTE, Operator
from services.chassis.errors import DomainError

AnyRequest = Request[Any, Any, Any]
CurrentOperator = NamedDependency[Operator]
SESSION_COOKIES = ("ops", "__Host-ops")
"""The cookie's name over plain HTTP, and over HTTPS."""
_STATE = "clinicpay_operator"
_ID = re.compile(r"[0-9a-f]{64}")


class NotLoggedIn(DomainError):
    code = "not_signed_in"
    status = 401


async def logged_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: the request comes from an operator with a session. Raises `NotLoggedIn`."""
    state = connection.app.state
    shown = id_of(connection, state["settings"].https)
    operator = await actions.of_session(state["sources"].own, shown) if shown else None
    if operator is None:
        raise NotLoggedIn("Log in to the console.")
    connection.scope["state"][_STATE] = operator


def operator_of(request: AnyRequest) -> Operator:
    """Who asks, behind the guard."""
    operator: Operator = request.scope["state"][_STATE]
    return operator


def id_of(connection: ASGIConnection[Any, Any, Any, Any], https: bool) -> str | None:
    shown = connection.cookies.get(SESSION_COOKIES[https], "")
    return shown if _ID.fullmatch(shown) else None


def cookie_of(session_id: str, https: bool) -> Cookie:
    """An empty id takes the cookie away."""
    return Cookie(
        key=SESSION_COOKIES[https],
        value=session_id,
        max_age=int(ABSOLUTE.total_seconds()) if session_id else 0,
        path="/",
        secure=https,
        httponly=True,
        samesite="strict",
    )
