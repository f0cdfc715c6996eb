"""The public API's part about clinics and their settings."""

from uuid import UUID

from litestar import get, patch, post, put
from litestar.params import FromPath, JSONBody

from contracts.http.clinics import ClinicOut
from contracts.http.common import Page
from services.gateway.api.clinics import actions
from services.gateway.api.clinics.schemas import ClinicAnswer, ClinicPatch, ClinicSettings, NewClinic
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.idempotency.dependencies import BodyFingerprint
from services.gateway.api.idempotency.domain import derived_id
from services.gateway.api.keys.dependencies import CurrentKey, as_operator, at_clinic
from services.gateway.api.operations.actions import InjectedOperations
from services.gateway.api.schemas import Cursor, ExternalId, IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.bodies import members_of


@post("/clinics", summary="Put a clinic on")
async def create_clinic(
    data: JSONBody[NewClinic],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    operations: InjectedOperations,
    upstreams: InjectedUpstreams,
) -> ClinicAnswer:
    """Operators only. Its Stripe account is chosen by another request. 409 `slug_taken`."""
    caller = as_operator(key, derived_id(key.id, "clinic", idempotency_key))
    request = IdempotentRequest(key.id, f"clinic:{idempotency_key}", fingerprint)
    await actions.create_clinic(operations, upstreams, caller, data, request)
    return await actions.get_clinic(upstreams, caller)


@put("/clinics/{clinic_id:uuid}", summary="Put a clinic's settings whole")
async def put_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicSettings],
    key: CurrentKey,
    operations: InjectedOperations,
    upstreams: InjectedUpstreams,
) -> ClinicAnswer:
    """Operators only. A setting that is left out takes its default; settings about money are required.

    To change some settings and leave the others as they are, use PATCH.
    """
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await actions.change_clinic(operations, upstreams, caller, "PUT", members_of(data))


@patch("/clinics/{clinic_id:uuid}", summary="Change some of a clinic's settings")
async def change_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicPatch],
    key: CurrentKey,
    operations: InjectedOperations,
    upstreams: InjectedUpstreams,
) -> ClinicAnswer:
    """Operators only. A JSON merge patch (RFC 7396): an absent setting stays, null resets it to its default."""
    caller = as_operator(key, clinic_id)
    return await actions.change_clinic(operations, upstreams, caller, "PATCH", members_of(data))


@get("/clinics", summary="List clinics")
async def list_clinics(
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    external_id: ExternalId = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ClinicOut]:
    """Every clinic for an operator, or the one with `external_id`; for a clinic's key, its own."""
    if key.clinic_id is not None:
        return Page(items=[await upstreams.clinic(at_clinic(key, key.clinic_id))])
    return await upstreams.clinics(as_operator(key), cursor, limit, external_id)


@get("/clinics/{clinic_id:uuid}", summary="Get a clinic")
async def get_clinic(
    clinic_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> ClinicAnswer:
    """The clinic's settings and its Stripe account."""
    return await actions.get_clinic(upstreams, at_clinic(key, clinic_id))


clinic_routes = [create_clinic, put_clinic, change_clinic, list_clinics, get_clinic]
