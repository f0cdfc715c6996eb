"""A client who is erased at invoice has no login here any more (ADR 0068).

Invoice is asked for what is true now, rather than told by an event: that needs no reader of Kafka here, and holds after
a restore of either database too.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from services.chassis import audit
from services.chassis.db.database import Database, Key
from services.chassis.http.auth import Caller
from services.gateway.accounts.erasures import store
from services.gateway.upstream.services import Upstreams

AT_ONCE = 100


async def end_erased(db: Database, upstreams: Upstreams) -> None:
    """End memberships and invitations of erased clients. A login that opens nothing any more is erased with them.

    Raises `UpstreamError` while invoice does not answer: the rest has its turn at the next call.
    """
    after: Key = (UUID(int=0), UUID(int=0))
    while True:
        async with db.tx(None, operator=True) as tx:
            clients = await store.list_clients(tx, after, AT_ONCE)
        for clinic_id, of_clinic in groupby(clients, itemgetter(0)):
            await _end(db, upstreams, clinic_id, (client_id for _, client_id in of_clinic))
        if len(clients) < AT_ONCE:
            return
        after = clients[-1]


async def _end(db: Database, upstreams: Upstreams, clinic_id: UUID, client_ids: Iterable[UUID]) -> None:
    caller = Caller(audit.INSTALLATION, "operator", clinic_id)
    erased = [each.id for each in await upstreams.clients_of(caller, client_ids) if each.erased]
    if not erased:
        return
    async with db.tx(clinic_id, operator=True) as tx:
        await store.delete_invitations(tx, clinic_id, erased)
        await store.delete_unused(tx, await store.delete_memberships(tx, clinic_id, erased))
