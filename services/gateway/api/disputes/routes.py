"""The public API's part about disputes: payments that a payer takes back through the bank."""

from datetime import datetime
from uuid import UUID

from litestar import get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from contracts.http.common import Page
from contracts.http.disputes import DisputeOut, EvidenceIn, EvidenceOut, EvidencePreview, SubmissionIn
from contracts.vocabulary import DisputeStatus
from services.gateway.api.disputes import actions
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/disputes", summary="List disputes")
async def list_disputes(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    status: FromQuery[DisputeStatus | None] = None,
    due_before: FromQuery[datetime | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[DisputeOut]:
    """Payments that a payer takes back through the bank, by the deadline of evidence, the nearest first."""
    return await upstreams.disputes(at_clinic(key, clinic_id), status, due_before, cursor, limit)


@get("/clinics/{clinic_id:uuid}/disputes/{dispute_id:uuid}", summary="Get a dispute")
async def get_dispute(
    clinic_id: FromPath[UUID], dispute_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> DisputeOut:
    """A dispute as the bank has it now. 404 `dispute_not_found`."""
    return await upstreams.dispute(at_clinic(key, clinic_id), dispute_id)


@get("/clinics/{clinic_id:uuid}/disputes/{dispute_id:uuid}/evidence", summary="Get a dispute's evidence")
async def get_evidence(
    clinic_id: FromPath[UUID], dispute_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> EvidenceOut:
    """The draft, and what became of what was submitted. 404 `dispute_not_found`."""
    return await upstreams.evidence(at_clinic(key, clinic_id), dispute_id)


@put("/clinics/{clinic_id:uuid}/disputes/{dispute_id:uuid}/evidence", summary="Write a dispute's evidence")
async def put_evidence(
    clinic_id: FromPath[UUID],
    dispute_id: FromPath[UUID],
    data: JSONBody[EvidenceIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> EvidenceOut:
    """The draft whole; nothing is sent. An empty text is filled from the clinic's records when it is sent.

    Those name the client, the invoices and the payment, and what was done when only with `with_services`.
    404 `dispute_not_found`. 409 `dispute_not_answerable`, `evidence_too_late`, `evidence_already_submitted`.
    """
    return await upstreams.put_evidence(at_clinic(key, clinic_id), dispute_id, data)


@get(
    "/clinics/{clinic_id:uuid}/disputes/{dispute_id:uuid}/evidence/preview",
    summary="Preview a dispute's evidence",
)
async def preview_evidence(
    clinic_id: FromPath[UUID], dispute_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> EvidencePreview:
    """All that would be sent to the bank, text by text, with Stripe's limits. 404 `dispute_not_found`."""
    return await actions.preview(upstreams, at_clinic(key, clinic_id), dispute_id)


@post(
    "/clinics/{clinic_id:uuid}/disputes/{dispute_id:uuid}/evidence/submission",
    summary="Submit a dispute's evidence",
    status_code=200,
)
async def submit_evidence(
    clinic_id: FromPath[UUID],
    dispute_id: FromPath[UUID],
    data: JSONBody[SubmissionIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> EvidenceOut:
    """Sends what the preview with this `digest` showed. The bank takes it once and for good.

    While Stripe does not answer it is `sending`, and continues by itself. 404 `dispute_not_found`. 409
    `dispute_not_answerable`, `evidence_too_late`, `evidence_already_submitted`, `evidence_changed` (look at the preview
    again), `evidence_refused` with `reason`: nothing was sent, and it can be corrected. 422 `evidence_empty`,
    `evidence_too_long`.
    """
    caller = at_clinic(key, clinic_id)
    return await actions.submit(upstreams, caller, dispute_id, data.digest, idempotency_key)


dispute_routes = [
    list_disputes,
    get_dispute,
    get_evidence,
    put_evidence,
    preview_evidence,
    submit_evidence,
]
