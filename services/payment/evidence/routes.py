"""Evidence of disputes over HTTP."""

from functools import partial
from uuid import UUID

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.http.disputes import EvidenceIn, EvidenceOut, EvidencePreview, HeldIn, SubmitIn
from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.chassis.http.auth import Caller, staff
from services.payment.evidence import actions, schemas, stripe_calls
from services.payment.stripe.api import StripeApi

Tx = NamedDependency[Connection]


@get("/disputes/{dispute_id:uuid}/evidence", guards=[staff])
async def get_evidence(dispute_id: FromPath[UUID], caller: NamedDependency[Caller], tx: Tx) -> EvidenceOut:
    """The draft, and what became of what was submitted. 404 `dispute_not_found`."""
    return schemas.evidence_out(await actions.read_evidence(tx, caller, dispute_id), clock.now())


@put("/disputes/{dispute_id:uuid}/evidence", guards=[staff])
async def put_evidence(
    dispute_id: FromPath[UUID], data: JSONBody[EvidenceIn], caller: NamedDependency[Caller], tx: Tx
) -> EvidenceOut:
    """Replace the draft whole. Nothing is sent.

    404 `dispute_not_found`; 409 `dispute_not_answerable`, `evidence_too_late`, `evidence_already_submitted`.
    """
    kept = await actions.put_draft(tx, caller, dispute_id, schemas.draft_of(data))
    return schemas.evidence_out(kept, clock.now())


@post("/disputes/{dispute_id:uuid}/evidence/preview", guards=[staff], status_code=200)
async def preview_evidence(
    dispute_id: FromPath[UUID], data: JSONBody[HeldIn], caller: NamedDependency[Caller], tx: Tx
) -> EvidencePreview:
    """All that would be sent. Changes nothing. 404 `dispute_not_found`."""
    evidence = await actions.read_evidence(tx, caller, dispute_id)
    return schemas.preview_out(evidence, schemas.texts_of(data.held), clock.now())


@post("/disputes/{dispute_id:uuid}/evidence/submission", guards=[staff], status_code=200)
async def submit_evidence(
    dispute_id: FromPath[UUID],
    data: JSONBody[SubmitIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
) -> EvidenceOut:
    """Send what the preview with this digest showed, once. To repeat it is harmless.

    404 `dispute_not_found`; 409 `dispute_not_answerable`, `evidence_too_late`, `evidence_already_submitted`,
    `evidence_changed`, `evidence_refused`; 422 `evidence_empty`, `evidence_too_long`.
    """
    sent = await stripe_calls.submit(
        partial(db.tx, caller.clinic), stripe, caller, dispute_id, schemas.texts_of(data.held), data.digest
    )
    return schemas.evidence_out(sent, clock.now())


ALL = [get_evidence, put_evidence, preview_evidence, submit_evidence]
