"""Security headers of every answer, and the check that a request comes from our own pages."""

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

NOT_PAGES = ["^/api/", "^/webhooks/", "^/healthz/"]
"""Paths without cookies: no session, no CSRF token."""
PUBLIC_FILES = ["^/static/", r"^/c/[^/]+/theme\.css$"]
"""Files that shared caches may keep: none of them sets a cookie."""
PAY_LINKS = ["^/pay/"]
"""Paths whose address is all that a visitor has: nobody is logged in there, and nobody else may learn the address."""
MAIL = ["^/mail/"]
"""Like pay links. Mail servers send there too (RFC 8058), from any site and with no cookie: the token decides."""

_STRIPE = "https://js.stripe.com"


def asks_for(paths: Iterable[str]) -> Callable[[Scope], bool]:
    """A test whether a request's path matches one of these regular expressions. Without any: never."""
    any_of_them = re.compile("|".join(paths) or "(?!)")
    return lambda scope: any_of_them.match(scope["path"]) is not None


def content_security_policy(stripe_origin: str | None) -> str:
    """Only our own scripts and styles, and the payment script with its frames, as Stripe requires.

    None: there is no payment on these pages.
    """
    live = stripe_origin == _STRIPE
    scripts = f"{_STRIPE} https://*.js.stripe.com" if live else stripe_origin
    frames = f"{scripts} https://hooks.stripe.com" if live else stripe_origin
    calls = "https://api.stripe.com" if live else stripe_origin
    return "; ".join(
        (
            "default-src 'none'",
            _sources("script-src", "'self'", scripts),
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "manifest-src 'self'",
            _sources("connect-src", "'self'", calls),
            _sources("frame-src", frames or "'none'"),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _sources(directive: str, *sources: str | None) -> str:
    return " ".join((directive, *filter(None, sources)))


_OF_PAY_LINKS = {
    # Their forms are sent by scripts, which name the origin all the same.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "no-store",
}


def security_headers(stripe_origin: str | None, *, https: bool) -> dict[str, str]:
    headers = {
        "Content-Security-Policy": content_security_policy(stripe_origin),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not `no-referrer`: browsers would send our own pages' forms with `Origin: null`.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=(), interest-cohort=()",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers


def on_every_answer(ours: Mapping[str, str]) -> Callable[[Message, Scope], Coroutine[Any, Any, None]]:
    """A `before_send` hook: adds the headers, and `no-store` where the route sets no `Cache-Control`."""
    is_by_address = asks_for([*PAY_LINKS, *MAIL])

    async def add_headers(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = MutableScopeHeaders.from_message(message)
        for name, value in ours.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if is_by_address(scope):
            headers.update(_OF_PAY_LINKS)

    return add_headers


class SameSiteOnly(ASGIMiddleware):
    """Refuses requests from other sites' pages, in addition to the CSRF token and the cookie's SameSite."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, public_origin: str) -> None:
        self.should_bypass_for_scope = asks_for([*NOT_PAGES, *MAIL])
        self._public_origin = public_origin

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        connection = ASGIConnection[Any, Any, Any, Any](scope)
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"} and not self._is_ours(connection):  # type: ignore[typeddict-item]
            raise PermissionDeniedException("This request came from another site.")
        await next_app(scope, receive, send)

    def _is_ours(self, connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
        site = connection.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in {"same-origin", "none"}
        origin = connection.headers.get("Origin")
        if origin is None or origin == self._public_origin:
            return True
        return urlsplit(origin).netloc == connection.headers.get("Host")
