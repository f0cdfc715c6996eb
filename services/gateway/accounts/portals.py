"""The clinic's portal to which a page of the logins leads, for its name and colours."""

from uuid import UUID

from contracts.http.clinics import ClinicOut
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.accounts import store
from services.gateway.accounts.domain import slug_of
from services.gateway.settings import DEMO_LOGINS, Settings
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


async def demo_logins(target: str, settings: Settings, db: Database) -> dict[str, str]:
    """The demo's logins that open the clinic whose portal the address is in; all of them at an address of no clinic.

    None outside the demo.
    """
    slug = slug_of(target)
    if not settings.demo or slug is None:
        return DEMO_LOGINS if settings.demo else {}
    async with db.tx(None) as tx:
        clinic_id = await store.get_clinic_of_portal(tx, slug)
    if clinic_id is None:
        return {}
    async with db.tx(clinic_id) as tx:
        there = await store.emails_at(tx, clinic_id, DEMO_LOGINS.values())
    return {who: email for who, email in DEMO_LOGINS.items() if email in there}
