"""The stream of one open page: first the current state, then each change, a heartbeat in between."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import ServerSentEvent, ServerSentEventMessage

from services.chassis.db.database import UNREACHABLE, Database
from services.chassis.http.auth import Caller
from services.gateway.accounts.dependencies import CurrentCaller, CurrentMembership, CurrentSession
from services.gateway.accounts.sessions import store as sessions
from services.gateway.live.hub import REFRESH, Hub, Kind, Listener, StateChange
from services.gateway.pay_links.dependencies import CurrentLink, opened, payment_of
from services.gateway.pay_links.domain import PayLinkEnded
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.errors import SCRIPTS

HEARTBEAT_SECONDS = 15.0
ASK_AGAIN_SECONDS = 60.0
"""How long a page may be wrong if a change is lost unnoticed."""


@dataclass
class Page:
    """The invoice and payment of an open page, and the last change that it was sent of each id."""

    caller: Caller
    upstreams: Upstreams
    invoice: UUID | None
    payment: UUID | None
    alone: bool = False
    """Changes of other invoices and payments of the client are not for this page."""
    last_sent: dict[UUID, StateChange] = field(default_factory=dict)

    async def current(self, listener: Listener) -> list[tuple[Kind, StateChange]]:
        """The current state of the page's invoice and payment. After a temporary error it is asked for again."""
        found: list[tuple[Kind, StateChange]] = []
        try:
            if self.invoice is not None:
                found.append(("invoice", await self._invoice(self.invoice)))
            if self.payment is not None:
                found.append(("payment", await self._payment(self.payment)))
        except UpstreamError as error:
            listener.behind = error.status >= 500
        return found

    def is_for(self, change: StateChange) -> bool:
        return not self.alone or change.id in (self.invoice, self.payment)

    def is_new(self, change: StateChange) -> bool:
        """Whether the page was sent neither this change nor a newer one; remembers it as sent."""
        if change.status == REFRESH:
            return True
        last = self.last_sent.get(change.id)
        if last is not None and (change == last or 0 < change.version <= last.version):
            return False
        if len(self.last_sent) > 1000:
            self.last_sent.clear()
        self.last_sent[change.id] = change
        return True

    async def _invoice(self, invoice_id: UUID) -> StateChange:
        invoice = await self.upstreams.invoice(self.caller, invoice_id)
        return StateChange(invoice.id, invoice.status, invoice.version, invoice.number)

    async def _payment(self, payment_id: UUID) -> StateChange:
        payment = await self.upstreams.payment(self.caller, payment_id)
        return StateChange(payment.id, payment.status, payment.version)


@get("/c/{slug:str}/live", include_in_schema=False, opt={SCRIPTS: True})
async def live(
    member: CurrentMembership,
    caller: CurrentCaller,
    login_session: CurrentSession,
    upstreams: InjectedUpstreams,
    hub: NamedDependency[Hub],
    db: Db,
    invoice: FromQuery[UUID | None] = None,
    payment: FromQuery[UUID | None] = None,
) -> ServerSentEvent:
    """`event: invoice` or `payment` with `{"id","status","version","number"?}`, until the session ends."""
    page = Page(caller, upstreams, invoice, payment)
    session = login_session.id_hash
    hub.check_room(session)

    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        with hub.listening(member.clinic_id, caller.subject, session) as listener:
            async for message in stream(listener, page, lambda: _alive(db, session)):
                yield message

    return ServerSentEvent(messages())


@get("/pay/{token:str}/live", include_in_schema=False, opt={SCRIPTS: True})
async def link_live(
    link: CurrentLink,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    hub: NamedDependency[Hub],
    payment: FromQuery[UUID | None] = None,
) -> ServerSentEvent:
    """The same about the link's invoice and its payment, until the link ends."""
    hub.check_room(link.streams)
    named = await payment_of(link, payment, upstreams) if payment else None
    page = Page(link.caller, upstreams, link.invoice.id, named.id if named else None, alone=True)

    async def works() -> bool:
        try:
            await opened(link.token, settings, upstreams)
        except PayLinkEnded:
            return False
        except UpstreamError:
            return True
        return True

    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        with hub.listening(link.clinic.id, link.caller.subject, link.streams) as listener:
            async for message in stream(listener, page, works):
                yield message

    return ServerSentEvent(messages())


async def stream(
    listener: Listener, page: Page, alive: Callable[[], Awaitable[bool]]
) -> AsyncIterator[ServerSentEventMessage]:
    """The page's messages, until the listener is closed or the page's session or link has ended."""
    yield ServerSentEventMessage(data=None, comment="open", retry=2000)
    asked_at = 0.0
    beat_at = time.monotonic()
    while not listener.closed:
        if listener.behind or time.monotonic() - asked_at > ASK_AGAIN_SECONDS:
            asked_at = time.monotonic()
            listener.behind = False
            heard = await page.current(listener)
        else:
            heard = listener.waiting()
        for kind, change in heard:
            if page.is_for(change) and page.is_new(change):
                yield ServerSentEventMessage(event=kind, data=msgspec.json.encode(change).decode())
        if not heard:
            await listener.wait(beat_at + HEARTBEAT_SECONDS - time.monotonic())
        if time.monotonic() - beat_at >= HEARTBEAT_SECONDS:
            if not await alive():
                return
            beat_at = time.monotonic()
            yield ServerSentEventMessage(data=None, comment="still here")


async def _alive(db: Database, id_hash: bytes) -> bool:
    """Whether the session is alive; the check does not prolong it. An unreachable database ends no session."""
    try:
        async with db.tx(None) as tx:
            return await sessions.session_seconds(tx, id_hash) is not None
    except UNREACHABLE:
        return True
