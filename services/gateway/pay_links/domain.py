"""A pay link opens one invoice of a client, and nothing else. Decisions only."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from contracts import pay_links
from contracts.http.clinics import ClinicOut
from contracts.http.invoices import InvoiceOut
from contracts.http.payments import PaymentOut
from contracts.pay_links import PayLink
from services.chassis.http.auth import Caller
from services.chassis.locale.formats import Formats

ADDRESS_PER_MINUTE = 300
"""Requests with pay links of one address, in one process: a waiting room may share one."""
INVOICE_PER_MINUTE = 60
"""Requests with links of one invoice, in one process."""


class PayLinkEnded(Exception):
    """The link does not work: forged, expired, revoked or switched off. `clinic` if the link is one of ours.

    `portal` is the address that shows the same behind a login.
    """

    def __init__(self, clinic: ClinicOut | None = None, portal: str = "/login") -> None:
        super().__init__("this link does not work")
        self.clinic = clinic
        self.portal = portal


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A link that works, with what it opens as invoice answered a moment ago. `caller` is the invoice's client."""

    token: str
    clinic: ClinicOut
    invoice: InvoiceOut

    @property
    def path(self) -> str:
        return pay_links.path(self.token)

    @property
    def caller(self) -> Caller:
        return Caller(self.invoice.client_id, "client", self.clinic.id)

    @property
    def streams(self) -> bytes:
        """All open pages of the invoice's links count together."""
        return hashlib.sha256(b"pay link\n" + self.clinic.id.bytes + self.invoice.id.bytes).digest()

    def opens(self, payment: PaymentOut) -> bool:
        """Whether the payment is of this invoice alone."""
        return [part.invoice_id for part in payment.invoices] == [self.invoice.id]


def reader(link: PayLink) -> Caller:
    """Who reads the invoice before its client is known. The link's signature is what proves that this may be read."""
    return Caller(link.invoice_id, "staff", link.clinic_id)


def is_over(link: PayLink, clinic: ClinicOut, now: datetime) -> bool:
    """Whether the link's last day has ended, by the clinic's clock."""
    return link.expires_on < Formats.of(clinic).local(now).date()


def honored(link: PayLink, clinic: ClinicOut, invoice: InvoiceOut) -> bool:
    """Whether the clinic still opens this link."""
    return clinic.pay_links and clinic.billing_shown and link.generation == invoice.pay_link_generation


def portal_path(clinic: ClinicOut, invoice: InvoiceOut | None) -> str:
    """The invoice behind a login, or the portal where the clinic has no such invoice."""
    return f"/c/{clinic.slug}/invoices/{invoice.id}" if invoice else f"/c/{clinic.slug}"
