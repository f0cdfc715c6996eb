"""The clinic's portal to which a page of the logins leads, for its name and colours."""

from uuid import UUID

from contracts.http.clinics import ClinicOut
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.accounts import store
from services.gateway.accounts.domain import slug_of
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams


async def clinic_of(target: str, db: Database, upstreams: Upstreams) -> ClinicOut | None:
    """The clinic whose portal the address is in; None without one, and while it cannot be read."""
    slug = slug_of(target)
    if slug is None:
        return None
    async with db.tx(None) as tx:
        clinic_id: UUID | None = await store.get_clinic_of_portal(tx, slug)
    if clinic_id is None:
        return None
    try:
        return await upstreams.clinic(Caller(clinic_id, "client", clinic_id))
    except UpstreamError:
        return None
