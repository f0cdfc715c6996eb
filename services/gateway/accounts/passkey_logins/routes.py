"""A login by a passkey. It stands for the password and the second factor: its device asked its owner to unlock it."""

from dataclasses import dataclass
from typing import Any

from litestar import MediaType, Request, Response, post
from litestar.exceptions import NotFoundException
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from services.gateway.accounts import entry
from services.gateway.accounts.devices.actions import InjectedDevices
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.passkeys import actions, domain
from services.gateway.accounts.passkeys.actions import InjectedPasskeySite
from services.gateway.accounts.passkeys.domain import PasskeyRefused
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits.domain import passkey_limits
from services.gateway.accounts.steps import actions as steps
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """`credential` is the browser's answer to the challenge, as JSON."""

    credential: str = ""
    next: str = ""
    _csrf_token: str = ""


@post("/login/passkey/options", status_code=200, media_type=MediaType.JSON)
async def give_challenge(
    request: AnyRequest, db: Db, passkey_site: InjectedPasskeySite, settings: InjectedSettings
) -> Response[str]:
    """A challenge for this browser, for ten minutes. 404 where there are no passkeys, 429 after too many."""
    if passkey_site is None:
        raise NotFoundException
    await limits.count(db, passkey_limits(address_of(request.scope)))
    challenge = domain.new_challenge()
    async with db.tx(None) as tx:
        cookie = await steps.begin(tx, request, settings.https, "passkey", "", challenge=challenge)
    options = domain.options_to_log_in(passkey_site, challenge)
    return Response(options, media_type=MediaType.JSON, cookies=[cookie])


@post("/login/passkey", status_code=303, request_max_body_size=16 * 1024)
async def log_in(
    request: AnyRequest,
    data: URLEncodedBody[AnswerForm],
    db: Db,
    devices: InjectedDevices,
    passkey_site: InjectedPasskeySite,
    settings: InjectedSettings,
) -> Redirect:
    """Begin a session. To the login, with words, for an answer that is not accepted."""
    target = safe_next(data.next)
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, settings.https)
    try:
        if passkey_site is None or step is None or step.kind != "passkey":
            raise domain.refused()
        login = await actions.log_in(db, passkey_site, step, data.credential)
    except PasskeyRefused:
        return Redirect(f"/login{entry.query_of(target, why='passkey')}", status_code=303)
    return await entry.enter(request, db, settings, devices, login.id, target)


passkey_login_routes = [give_challenge, log_in]
