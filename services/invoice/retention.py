"""How long each table of this service keeps its rows: legal books, kept for ever."""

from services.chassis.retention import CHASSIS, kept

RULES = (
    *CHASSIS,
    kept("clinics", "for ever: the seller of its invoices"),
    kept("clients", "for ever, or until the client is erased: the payer of invoices"),
    kept("invoice_counters", "for ever: numbers are given once"),
    kept("credit_note_counters", "for ever: numbers are given once"),
    kept("invoice_documents", "for ever: legal books"),
    kept("invoice_document_taxes", "for ever: legal books"),
    kept("invoice_document_lines", "for ever: legal books"),
    kept("invoices", "for ever: legal books"),
    kept("invoice_lines", "for ever: legal books"),
    kept("movements", "for ever: legal books"),
    kept("invoice_payments", "as long as the invoice: a late event must find that it is late"),
    kept("invoice_identities", "as long as the invoice; name and address until `erase_after`, then blank"),
    kept("corrections", "for ever: why a movement was taken out of its invoice, and by whom"),
    kept("erasures", "for ever: ids and times, so that erasures can be repeated after a restore"),
    kept("lost_invoices", "for ever: their numbers stay taken"),
    kept("lost_documents", "for ever: their numbers stay taken"),
)
