"""The page between password and session: a code of the login's app, or a recovery code."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.errors import DomainError
from services.chassis.http.problems import CHALLENGES
from services.gateway.accounts import entry, store
from services.gateway.accounts.devices.actions import InjectedDevices
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.portals import clinic_of
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.sealing import InjectedSealer, SealBroken
from services.gateway.accounts.second_factors import actions
from services.gateway.accounts.second_factors.actions import NoSecondFactor, UsedCode, WrongCode
from services.gateway.accounts.steps import actions as steps
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class CodeForm:
    """`by` is `recovery` on the form for such a code. Each form takes both kinds."""

    code: str = ""
    by: str = ""
    next: str = ""
    _csrf_token: str = ""


@get("/login/second")
async def second_page(
    request: AnyRequest,
    db: Db,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    next: FromQuery[str] = "",
    by: FromQuery[str] = "",
) -> Template | Redirect:
    """Ask for a code. Without a first factor that was right a moment ago: to the login."""
    target = safe_next(next)
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, settings.https)
    if request.session or step is None or step.login_id is None:
        return _to_login(target, late=not request.session)
    return await _page(db, upstreams, target, by)


@post("/login/second", status_code=303, request_max_body_size=16 * 1024)
async def check_code(
    request: AnyRequest,
    data: URLEncodedBody[CodeForm],
    db: Db,
    sealer: InjectedSealer,
    devices: InjectedDevices,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Begin the session; 401 for a code that is wrong or used, 429 after too many tries."""
    target = safe_next(data.next)
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, settings.https)
        login = await store.get_login_by_id(tx, step.login_id) if step and step.login_id else None
    if step is None or login is None or login.disabled:
        return _to_login(target)
    try:
        await actions.check(db, sealer, login.id, data.code)
    except NoSecondFactor:
        return _to_login(target)
    except (WrongCode, UsedCode, SealBroken, TooManyTries) as error:
        return await _page(db, upstreams, target, data.by, data.code, error)
    async with db.tx(None) as tx:
        is_first = await steps.use(tx, step)
    if not is_first:
        return _to_login(target)
    return await entry.enter(request, db, settings, devices, login.id, target)


def _to_login(target: str, *, late: bool = True) -> Redirect:
    return Redirect(f"/login{entry.query_of(target, why='late' if late else '')}", status_code=303)


async def _page(
    db: Db,
    upstreams: Upstreams,
    target: str,
    by: str,
    typed: str = "",
    error: DomainError | TooManyTries | None = None,
) -> Template:
    status, words, headers = 200, "", dict[str, str]()
    if isinstance(error, TooManyTries):
        status, words, headers = 429, words_of(error), {"Retry-After": str(error.retry_after)}
    elif error is not None:
        status, words, headers = error.status, error.detail, CHALLENGES.get(error.status, {})
    context = {
        "next": target,
        "clinic": await clinic_of(target, db, upstreams),
        "recovery": by == "recovery",
        "typed": typed[:64],
        "error": words,
    }
    return Template("second.html", context=context, status_code=status, headers=headers)


second_step_routes = [second_page, check_code]
