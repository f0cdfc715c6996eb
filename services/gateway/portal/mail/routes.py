"""The page at which a client ends one kind of e-mail, by the link in such an e-mail and without a login."""

from typing import Any

from litestar import post
from litestar.params import FromPath
from litestar.response import Template

from contracts.unsubscribing import Choice
from contracts.vocabulary import CHOSEN_MAIL
from services.chassis.http.auth import Caller
from services.gateway.settings import Settings
from services.gateway.upstream.calls import found_or_none
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import InjectedSettings
from services.gateway.web.heads import readable


@readable("/mail/{token:str}")
async def mail_page(
    token: FromPath[str], upstreams: InjectedUpstreams, settings: InjectedSettings
) -> Template:
    """The button that ends such e-mails. Changes nothing: programs in mailboxes open links before people do."""
    return await _page(token, settings, upstreams, done=False)


@post("/mail/{token:str}", status_code=200, request_max_body_size=16 * 1024)
async def end_mail(
    token: FromPath[str], upstreams: InjectedUpstreams, settings: InjectedSettings
) -> Template:
    """End such e-mails to the client: by the page's button, or by a mail program (RFC 8058). The body is not read."""
    choice = settings.unsubscribing.read(token)
    if choice is not None:
        chosen = upstreams.choose_mail(_caller(choice), choice.client_id, choice.kind, wanted=False)
        await found_or_none(chosen)  # who has no address here any more gets no e-mails
    return await _page(token, settings, upstreams, done=True)


def _caller(choice: Choice) -> Caller:
    return Caller(choice.client_id, "client", choice.clinic_id)


async def _page(token: str, settings: Settings, upstreams: Upstreams, *, done: bool) -> Template:
    choice = settings.unsubscribing.read(token)
    clinic = await found_or_none(upstreams.clinic(_caller(choice))) if choice else None
    context = {
        "clinic": clinic,
        "kind": CHOSEN_MAIL[choice.kind] if choice and clinic else None,
        "done": done,
        "here": f"/mail/{token}",
    }
    return Template("mail.html", context=context, status_code=200 if choice and clinic else 410)


mail_routes: list[Any] = [mail_page, end_mail]
