"""Whether an issued document can be an e-invoice by EN 16931, and why not. Pure.

The seller is whole: a clinic without a tax number and an address cannot issue e-invoices.
"""

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from contracts.currencies import CURRENCIES
from contracts.http.invoices import BillTo, DocumentOut, EInvoice, InvoiceOut, Seller
from contracts.vocabulary import EInvoiceGap, TaxCategory

MOST_DECIMALS = 2
"""Of an amount, by EN 16931."""


def with_e_invoices(found: InvoiceOut) -> InvoiceOut:
    """The invoice with the state of its e-invoice and of those of its credit notes."""
    two_taxes = any(len(line.taxes) > 1 for line in found.lines)
    of_tax = {tax.code: tax.category for tax in found.taxes}

    def state(seller: Seller | None, codes: Collection[str]) -> EInvoice | None:
        if seller is None or not seller.e_invoices or found.bill_to is None:
            return None
        categories = {of_tax.get(code) for code in codes}
        missing = tuple(_missing(found.bill_to, found.currency, categories, two_taxes=two_taxes))
        return EInvoice(available=not missing, missing=missing)

    def with_state(document: DocumentOut) -> DocumentOut:
        if document.kind != "credit_note":
            return document
        return replace(document, e_invoice=state(document.seller, [tax.code for tax in document.taxes]))

    return replace(
        found,
        e_invoice=state(found.seller, of_tax),
        documents=tuple([with_state(each) for each in found.documents]),
    )


def _missing(
    client: BillTo, currency: str, categories: Collection[TaxCategory | None], *, two_taxes: bool
) -> Iterator[EInvoiceGap]:
    if client.erased:
        yield "client_erased"
    elif not client.billing_address.country:
        yield "client_country"
    if "AE" in categories and not client.tax_number:
        yield "client_tax_number"
    if two_taxes:
        yield "two_taxes"
    if "O" in categories and len(categories) > 1:
        yield "mixed_categories"
    if CURRENCIES[currency].decimals > MOST_DECIMALS:
        yield "currency_decimals"
