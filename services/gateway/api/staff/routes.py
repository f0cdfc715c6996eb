"""Staff logins over the public API."""

from uuid import UUID

from litestar import post
from litestar.params import FromPath, JSONBody

from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.idempotency.dependencies import BodyFingerprint
from services.gateway.api.keys.dependencies import CurrentKey, as_operator
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.api.staff import actions
from services.gateway.api.staff.schemas import NewStaff, Staff
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.dependencies import Db


@post("/clinics/{clinic_id:uuid}/staff", summary="Let staff sign in")
async def create_staff(
    clinic_id: FromPath[UUID],
    data: JSONBody[NewStaff],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    db: Db,
    upstreams: InjectedUpstreams,
    passwords: InjectedPasswords,
) -> Staff:
    """Operators only. An e-mail that has a login keeps its password, and its owner accepts in the portal first."""
    caller = as_operator(key, clinic_id)
    request = IdempotentRequest(key.id, f"staff:{clinic_id}:{idempotency_key}", fingerprint)
    await upstreams.clinic(caller)
    await actions.create_staff(db, passwords, caller, data, request)
    return Staff(data.email)


staff_routes = [create_staff]
