"""Evidence of a dispute: the draft is payment's, what the clinic's records say is gathered from all services."""

import asyncio
from uuid import UUID

from contracts.http.disputes import EvidenceOut, EvidencePreview, EvidenceTexts, HeldIn, SubmitIn
from services.chassis.http.auth import Caller
from services.gateway.api.disputes.held import held_texts
from services.gateway.upstream.calls import found_or_none
from services.gateway.upstream.services import Upstreams


async def preview(upstreams: Upstreams, caller: Caller, dispute_id: UUID) -> EvidencePreview:
    """All that would be sent now."""
    held = await _held(upstreams, caller, dispute_id)
    return await upstreams.preview_evidence(caller, dispute_id, HeldIn(held=held))


async def submit(
    upstreams: Upstreams, caller: Caller, dispute_id: UUID, digest: str, key: str
) -> EvidenceOut:
    """Send what the preview with this digest showed."""
    held = await _held(upstreams, caller, dispute_id)
    return await upstreams.submit_evidence(caller, dispute_id, SubmitIn(held=held, digest=digest), key)


async def _held(upstreams: Upstreams, caller: Caller, dispute_id: UUID) -> EvidenceTexts:
    dispute = await upstreams.dispute(caller, dispute_id)
    draft, payment, clinic, client, contact = await asyncio.gather(
        upstreams.evidence(caller, dispute_id),
        upstreams.payment(caller, dispute.payment_id),
        upstreams.clinic(caller),
        # A restore may have lost a client or an invoice whose payment is there: the bank waits for no record of ours.
        found_or_none(upstreams.client(caller, dispute.client_id)),
        found_or_none(upstreams.contact(caller, dispute.client_id)),
    )
    found = await asyncio.gather(
        *(found_or_none(upstreams.invoice(caller, share.invoice_id)) for share in payment.invoices)
    )
    invoices = [invoice for invoice in found if invoice is not None]
    name = client.name if client else ""
    return held_texts(clinic, name, contact, payment, invoices, draft.with_services)
