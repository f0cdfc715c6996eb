"""The token that our own pages' forms and scripts send back: it is in a cookie, and in the page."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from litestar import Request
from litestar.config.csrf import CSRFConfig
from litestar.enums import ScopeType
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware, generate_csrf_token
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from services.gateway.web.security import asks_for


def csrf(
    secrets: Sequence[str], *, https: bool, exclude: list[str], cookie: str = "csrf"
) -> DefineMiddleware:
    """Forms send the token as `_csrf_token`, scripts as a header. The first secret signs, all are accepted.

    cookie      its name; two apps on one host need two
    """
    secret, *earlier = secrets
    config = CSRFConfig(
        secret=secret,
        cookie_name=f"__Host-{cookie}" if https else cookie,
        cookie_secure=https,
        cookie_httponly=True,
        header_name="x-csrftoken",
        exclude=exclude,
    )
    return DefineMiddleware(Csrf, config=config, earlier=earlier)


class Csrf(CSRFMiddleware):
    """Litestar's, with tokens of several secrets accepted while one replaces another.

    A page that is asked for with a cookie that none of them has signed sets a new one, so that its forms work.
    """

    def __init__(self, app: ASGIApp, config: CSRFConfig, earlier: list[str]) -> None:
        super().__init__(app, config)
        self._earlier = [CSRFMiddleware(app, replace(config, secret=secret)) for secret in earlier]
        self._has_none = asks_for(config.exclude or ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_page_with_a_bad_cookie(scope):
            await super().__call__(scope, receive, send)
            return
        token = ScopeState.from_scope(scope).csrf_token = generate_csrf_token(self.config.secret)
        await self.app(scope, receive, self.create_send_wrapper(send=send, csrf_cookie=None, token=token))

    def _is_page_with_a_bad_cookie(self, scope: Scope) -> bool:
        if scope["type"] != ScopeType.HTTP or self._has_none(scope):
            return False
        request = Request[Any, Any, Any](scope)
        if request.method not in self.config.safe_methods:
            return False
        cookie = request.cookies.get(self.config.cookie_name)
        return cookie is not None and self._decode_csrf_token(cookie) is None

    def _decode_csrf_token(self, token: str) -> str | None:
        found = super()._decode_csrf_token(token)
        return found or next(filter(None, (each._decode_csrf_token(token) for each in self._earlier)), None)
