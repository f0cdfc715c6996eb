"""Steps of a login, bound to one browser by a cookie of their own.

A step is no session: it signs in nobody, and only the pages of the login look at it. A new step has a new random id, so
a cookie that somebody planted before is worth nothing.
"""

import hashlib
import re
import secrets
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.datastructures import Cookie

from services.chassis.db.database import Connection
from services.gateway.accounts.steps import store
from services.gateway.accounts.steps.domain import LASTS, Step, StepKind

STEP_COOKIES = ("step", "__Host-step")
"""The cookie's name over plain HTTP, and over HTTPS."""
_ID = re.compile(r"[0-9a-f]{64}")


async def begin(
    tx: Connection,
    request: Request[Any, Any, Any],
    https: bool,
    kind: StepKind,
    email: str,
    login_id: UUID | None = None,
    challenge: bytes | None = None,
) -> Cookie:
    """Begin a step, and return the cookie that binds it to this browser. The browser's step before ends."""
    step_id = secrets.token_hex(32)
    await _end(tx, request, https)
    await store.add_step(tx, Step(_hashed(step_id), kind, email, login_id, challenge), LASTS)
    return _cookie(https, step_id)


async def begin_code(
    tx: Connection, request: Request[Any, Any, Any], https: bool, email: str
) -> tuple[bytes, Cookie]:
    """Begin the step of a browser that asks for a code: its key in the table, and the cookie.

    The browser's step before ends. One for a code to the same address goes on under the new key, so that an earlier
    code stays good until another letter comes.
    """
    step_id, before = secrets.token_hex(32), _shown(request, https)
    step = Step(_hashed(step_id), "code", email)
    if before is None or not await store.renew_step(tx, before, step, LASTS):
        await _end(tx, request, https)
        await store.add_step(tx, step, LASTS)
    return step.id_hash, _cookie(https, step_id)


async def use(tx: Connection, step: Step) -> bool:
    """Use the step up; False when it was used before, or has ended."""
    return await store.delete_step(tx, step.id_hash)


async def current(tx: Connection, request: Request[Any, Any, Any], https: bool) -> Step | None:
    """The step that the browser shows, if it lasts."""
    id_hash = _shown(request, https)
    return None if id_hash is None else await store.get_step(tx, id_hash)


async def end(tx: Connection, request: Request[Any, Any, Any], https: bool) -> list[Cookie]:
    """End the browser's step; the cookies to send with that."""
    return [_cookie(https, "")] if await _end(tx, request, https) else []


async def _end(tx: Connection, request: Request[Any, Any, Any], https: bool) -> bool:
    id_hash = _shown(request, https)
    if id_hash is not None:
        await store.delete_step(tx, id_hash)
    return id_hash is not None


def _cookie(https: bool, step_id: str) -> Cookie:
    return Cookie(
        key=STEP_COOKIES[https],
        value=step_id,
        max_age=int(LASTS.total_seconds()) if step_id else 0,
        path="/",
        secure=https,
        httponly=True,
        samesite="lax",
    )


def _shown(request: Request[Any, Any, Any], https: bool) -> bytes | None:
    step_id = request.cookies.get(STEP_COOKIES[https], "")
    return _hashed(step_id) if _ID.fullmatch(step_id) else None


def _hashed(step_id: str) -> bytes:
    return hashlib.sha256(step_id.encode()).digest()
