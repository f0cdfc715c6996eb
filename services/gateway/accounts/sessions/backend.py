"""Sessions on the server: Litestar's middleware over a store in PostgreSQL.

The cookie holds a random 256-bit id, the table its hash. Three things differ from Litestar's own backend: an id is
never taken from a cookie that the store does not know (a preset cookie would fix the session), a change of the
session's data, which only signing in and out make, gives it a new id, and nobody gets a session who is not
signed in.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.middleware.session.server_side import ServerSideSessionBackend, ServerSideSessionConfig
from litestar.stores.base import Store
from litestar.types import Empty, Message, Scope, ScopeSession

from services.chassis import clock
from services.chassis.db.database import Database
from services.gateway.accounts.sessions import store
from services.gateway.accounts.sessions.domain import device_of
from services.gateway.web import limits

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
STORE = "sessions"
SESSION_COOKIES = ("session", "__Host-session")
"""The cookie's name over plain HTTP, and over HTTPS."""
_LOADED = "clinicpay_session"
_ENDED = "clinicpay_session_ended"
_ID = re.compile(r"[0-9a-f]{64}")


class SessionStore(Store):
    """A Litestar store of JSON values in `sessions`; how long they last is ours to say, not the caller's."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        data = value if isinstance(value, str) else value.decode()
        async with self._db.tx(None) as tx:
            await store.put_session(tx, _hashed(key), data, IDLE, ABSOLUTE)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        async with self._db.statements() as connection:
            found = await store.get_session(connection, _hashed(key), IDLE)
        if found is None:
            return None
        data, is_to_renew = found
        if is_to_renew and renew_for is not None:
            async with self._db.statements() as connection:
                await store.renew_session(connection, _hashed(key), IDLE)
        return data.encode()

    async def why_ended(self, key: str) -> str:
        """Why the session is no more: as in the table, or `gone`."""
        async with self._db.statements() as connection:
            return await store.why_ended(connection, _hashed(key)) or "gone"

    async def delete(self, key: str) -> None:
        async with self._db.tx(None) as tx:
            await store.delete_session(tx, _hashed(key))

    async def delete_all(self) -> None:
        async with self._db.tx(None) as tx:
            await store.delete_all_sessions(tx)

    async def exists(self, key: str) -> bool:
        return await self.expires_in(key) is not None

    async def expires_in(self, key: str) -> int | None:
        async with self._db.tx(None) as tx:
            return await store.session_seconds(tx, _hashed(key))


class SessionBackend(ServerSideSessionBackend):
    """Litestar's backend, without the holes named above."""

    def get_session_id(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        return str(connection.scope["state"].get(_LOADED, ("", {}))[0])

    async def load_from_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, Any]:
        session_id = _shown(connection, self.config.key)
        if session_id is None:
            return {}
        store = self.config.get_store_from_app(connection.scope["litestar_app"])
        data = await self.get(session_id, store)
        if data is None:
            await limits.works_not(connection.scope)
            if isinstance(store, SessionStore):
                connection.scope["state"][_ENDED] = await store.why_ended(session_id)
            return {}
        await limits.works(connection.scope)
        session = self.deserialize_data(data)
        connection.scope["state"][_LOADED] = (session_id, session)
        return dict(session)

    async def store_in_message(
        self, scope_session: ScopeSession, message: Message, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> None:
        old_id, old = connection.scope["state"].get(_LOADED, ("", {}))
        now: Any = {} if scope_session is Empty or not scope_session else scope_session
        if now == old:
            return
        store = self.config.get_store_from_app(connection.scope["litestar_app"])
        if old_id:
            await self.delete(old_id, store)
        new_id = self.generate_session_id() if now else ""
        if now:
            await self.set(new_id, self.serialize_data(now, connection.scope), store)
        connection.scope["state"][_LOADED] = (new_id, now)
        MutableScopeHeaders.from_message(message).add("Set-Cookie", self._cookie(new_id))

    def _cookie(self, session_id: str) -> str:
        config = self.config
        return Cookie(
            key=config.key,
            value=session_id,
            max_age=config.max_age if session_id else 0,
            path="/",
            secure=config.secure,
            httponly=True,
            samesite="lax",
        ).to_header(header="")


def session_config(https: bool, exclude: list[str]) -> ServerSideSessionConfig:
    """The cookie is bound to this host where the browser can promise that, which is on https alone."""
    config = ServerSideSessionConfig(
        key=SESSION_COOKIES[https],
        max_age=int(ABSOLUTE.total_seconds()),
        renew_on_access=True,
        secure=https,
        exclude=exclude,
        store=STORE,
    )
    config._backend_class = SessionBackend
    return config


def hash_shown(https: bool) -> Callable[[Scope], str | None]:
    """The hash of the session's id that a request shows, whether there is such a session or not."""

    def of(scope: Scope) -> str | None:
        session_id = _shown(ASGIConnection(scope), SESSION_COOKIES[https])
        return None if session_id is None else _hashed(session_id).hex()

    return of


def sign_in(request: Request[Any, Any, Any], login_id: UUID) -> None:
    """Begin a session; whatever session the browser had ends."""
    # The time makes the data another even when the same login signs in again, and so the id.
    device = device_of(request.headers.get("User-Agent", ""))
    at = clock.now().isoformat()
    request.set_session({"login_id": str(login_id), "signed_in_at": at, "device": device})


def renew(request: Request[Any, Any, Any]) -> None:
    """Give the session a new id, after all sessions of its login were ended."""
    request.set_session({**request.session, "renewed_at": clock.now().isoformat()})


def sign_out(request: Request[Any, Any, Any]) -> None:
    request.clear_session()


def why_ended(request: Request[Any, Any, Any]) -> str:
    """Why the session that the browser shows is no more; empty without one."""
    return str(request.scope["state"].get(_ENDED, ""))


def id_hash_of(request: Request[Any, Any, Any]) -> bytes | None:
    """The key in the table of the session that the request came with."""
    session_id, _ = request.scope["state"].get(_LOADED, ("", {}))
    return _hashed(session_id) if session_id else None


def _shown(connection: ASGIConnection[Any, Any, Any, Any], cookie: str) -> str | None:
    session_id = connection.cookies.get(cookie, "")
    return session_id if _ID.fullmatch(session_id) else None


def _hashed(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
