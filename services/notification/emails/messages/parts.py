"""Pieces that several e-mails share. Pure.

No e-mail names a service, an employee or an appointment: it is read on lock screens and in shared mailboxes. It says
who asks for how much; the portal shows for which services.
"""

from dataclasses import dataclass
from uuid import UUID

from contracts.currencies import charge_of
from contracts.events.envelope import Method
from contracts.events.payment import PaymentState
from contracts.vocabulary import is_payable, method_name
from services.chassis.locale.formats import Formats
from services.chassis.reach import contact_words, is_reachable
from services.chassis.texts import is_unprintable
from services.notification.emails.domain import Email, EmailData, LetterEmail, Links
from services.notification.projections.domain import Clinic, Invoice

LONGEST_NAME = 60
"""Letters of a clinic's name in headers."""


@dataclass(frozen=True, slots=True)
class Action:
    """The one button, and where it leads."""

    label: str
    link: str


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    amount: str


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which could start another header or line.

    Joiners and marks of direction stay: names are written with them.
    """
    return " ".join("".join(" " if is_unprintable(char) else char for char in text).split())


def ask_clinic(clinic: Clinic, purpose: str) -> str:
    """`To pay, please contact the clinic: its details are below.`"""
    below = ": its details are below" if is_reachable(clinic) else ""
    return f"{purpose}, please {contact_words(clinic)}{below}."


def question(clinic: Clinic, about: str) -> str:
    """The line above the clinic's details, at the end of every e-mail."""
    words = contact_words(clinic)
    return f"Questions about this {about}? {words.capitalize()}."


def until(email: LetterEmail) -> str:
    """`until Monday 30 November 2026, 09:40 (Ireland Time)`, as the clinic's clock has it."""
    ends_at = email.delivery.ends_at
    assert ends_at is not None, "a letter with a link has its end"
    write = Formats.of(email.clinic)
    return f"until {write.moment(ends_at)} ({write.zone_name()})"


def sum_in_subject(email: Email, before: str, amount: str) -> str:
    """` of €125.00`, where the clinic wants sums in subjects; else nothing, since lock screens show them."""
    return f" {before} {amount}" if email.clinic.amounts_in_subjects else ""


def formats(email: Email) -> Formats:
    """How the e-mail writes sums and days: as its invoice does, else as the clinic does now."""
    invoice = _newest(email)
    return Formats.of(invoice if invoice and invoice.locale and invoice.time_zone else email.clinic)


def seller_name(email: Email) -> str:
    """The clinic's name as the e-mail's invoice has it, on one line."""
    invoice = _newest(email)
    return one_line(invoice.seller_name if invoice and invoice.seller_name else email.clinic.name)


def _newest(email: Email) -> Invoice | None:
    """The last issued of the e-mail's invoices, as the receipt's page takes it; ids are in order of time."""
    return max(email.invoices.values(), key=lambda invoice: invoice.id, default=None)


def invoice_action(clinic: Clinic, invoice: Invoice, portal: str, write: Formats) -> Action | None:
    if not clinic.billing_shown:
        return None
    link = f"{portal}/invoices/{invoice.id}"
    if is_payable_online(clinic, invoice):
        return Action(f"View and pay {write.money(invoice.due)}", link)
    return Action("View invoice", link)


def pay_actions(
    clinic: Clinic, invoice: Invoice, links: Links, write: Formats
) -> dict[str, Action | str | None]:
    """The button of an e-mail about one unpaid invoice, how long its link works, and a second link beside it.

    It leads to the page that takes the payment without a login, unless the clinic has switched that off.
    """
    in_portal = invoice_action(clinic, invoice, links.portal, write)
    if in_portal is None or not clinic.pay_links:
        return {"action": in_portal}
    online = is_payable_online(clinic, invoice)
    label = f"Pay {write.money(invoice.due)}" if online else "View invoice"
    second = Action("Log in to see what it is for", in_portal.link)
    link, last_day = links.pay(invoice)
    until = f"The link works until {write.day(last_day)}."
    return {"action": Action(label, link), "link_until": until, "second": second}


def is_payable_online(clinic: Clinic, invoice: Invoice) -> bool:
    """Whether the portal, or a pay link, has a Pay button for it: also the amount must be one that can be charged."""
    possible = charge_of(invoice.due.minor, invoice.due.currency) == "possible"
    return clinic.online_payment and is_payable(invoice.status) and possible


def invoice_number(invoice: Invoice) -> str:
    """The invoice's number on one line: the clinic chose its prefix."""
    return one_line(invoice.number)


def invoice_name(email: Email, invoice_id: UUID) -> str:
    invoice = email.invoices.get(invoice_id)
    return f"Invoice {invoice_number(invoice)}" if invoice else "Invoice"


def method_of(paid_with: Method | None) -> str | None:
    """`Visa ending 4242`; None when the method is not known."""
    return method_name(paid_with.kind, paid_with.brand, paid_with.last4) if paid_with else None


def payment_data(event: PaymentState) -> EmailData:
    return EmailData(
        amount=event.amount,
        at=event.captured_at or event.time,
        invoices=event.invoices,
        method=event.method,
        surplus=event.surplus,
        failure_code=event.failure_code,
    )
