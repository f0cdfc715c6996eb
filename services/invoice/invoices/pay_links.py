"""The generation of an invoice's pay links: show it, and end all links of the earlier ones."""

from uuid import UUID

import msgspec

from contracts.http.invoices import PayLinkOut
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.outbox import outbox
from services.invoice.invoices import domain, store
from services.invoice.invoices.domain import Invoice, InvoiceNotFound


async def show_pay_link(tx: Connection, caller: Caller, invoice_id: UUID) -> PayLinkOut:
    """The generation of the links that work now; the audit log keeps who asked. Raises `InvoiceNotFound`."""
    shown = _shown(await _locked(tx, caller, invoice_id))
    await audit.record(tx, caller, "show_pay_link", invoice_id, None, shown)
    return shown


async def revoke_pay_links(
    tx: Connection, caller: Caller, invoice_id: UUID, *, key: str | None, body: bytes
) -> PayLinkOut:
    """End all links of the invoice that were made so far; the same key ends them once.

    Raises `InvoiceNotFound`, `BadIdempotencyKey`, `IdempotencyKeyReused`.
    """
    named = idempotency.named("revoke_pay_links", invoice_id, body)
    earlier = await idempotency.claim(tx, caller.clinic, key, named)
    if earlier is not None:
        return msgspec.json.decode(earlier, type=PayLinkOut)
    before = await _locked(tx, caller, invoice_id)
    after = domain.revoke_links(before, clock.now())
    await store.save_pay_link_generation(tx, after)
    await outbox.add(tx, [(domain.change_event(before, after), None)])
    shown = _shown(after)
    assert key is not None, "claimed above"
    await idempotency.keep(tx, caller.clinic, key, msgspec.json.encode(shown))
    await audit.record(tx, caller, "revoke_pay_links", invoice_id, _shown(before), shown)
    return shown


async def _locked(tx: Connection, caller: Caller, invoice_id: UUID) -> Invoice:
    found = await store.lock_invoices(tx, [(caller.clinic, invoice_id)])
    if not found:
        raise InvoiceNotFound("the clinic has no invoice with this id")
    return found[caller.clinic, invoice_id]


def _shown(invoice: Invoice) -> PayLinkOut:
    return PayLinkOut(invoice_id=invoice.id, generation=invoice.pay_link_generation)
