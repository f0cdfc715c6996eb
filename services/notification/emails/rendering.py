"""What an e-mail says: a letter in, its subject and its HTML and text parts out. No I/O but reading templates.

Nothing here names a service, a practitioner or an appointment: an e-mail is read on lock screens and by
whoever shares a mailbox, so it says who asks for how much, and the portal says what for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from mjml import mjml2html

from contracts.currencies import charge_of
from contracts.events import Method
from contracts.money import Money
from contracts.payment import receipt_number
from contracts.vocabulary import decline, is_payable, method_name
from services.chassis.locale.colours import from_hex, text_on, to_hex
from services.chassis.locale.formats import Formats
from services.notification.emails import domain
from services.notification.emails.domain import Clinic, Invoice, Letter

_FOLDER = Path(__file__).parent / "templates"
_ASK_CLINIC = "To pay, please contact the clinic: its details are below."


@dataclass(frozen=True, slots=True)
class Mail:
    """The written e-mail, before it has headers."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Action:
    """The one button: what it says is what happens."""

    label: str
    link: str


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    amount: str


class Letters:
    """The templates, compiled once: MJML to table HTML first, then both parts as Jinja2 templates."""

    def __init__(self, portal_url: str) -> None:
        self._portal = portal_url.rstrip("/")
        html = Environment(autoescape=True, undefined=StrictUndefined)
        text = Environment(  # noqa: S701 - plain text, where an entity would be shown as it stands
            loader=FileSystemLoader(_FOLDER), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
        )
        names: tuple[domain.Template, ...] = get_args(domain.Template)
        self._html = {name: html.from_string(_compile(name)) for name in names}
        self._text = {name: text.get_template(f"{name}.txt") for name in names}

    def write(self, letter: Letter) -> Mail:
        """Render all of it; amounts and days as the clinic's locale and time zone have them."""
        template = letter.delivery.template
        clinic = letter.clinic
        content = _CONTENT[template](letter, f"{self._portal}/c/{clinic.slug}")
        common = {
            "clinic": _tidy(clinic),
            "name": one_line(letter.contact.name),
            "accent": clinic.accent,
            "ink": to_hex(text_on(from_hex(clinic.accent))),
            "phone_link": "tel:" + re.sub(r"[^0-9+]", "", clinic.phone),
            "email_link": f"mailto:{one_line(clinic.email)}",
        }
        context = common | content
        return Mail(
            context["subject"], _render(self._text[template], context), self._html[template].render(context)
        )


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which could start another header or line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _tidy(clinic: Clinic) -> dict[str, str]:
    parts = {name: one_line(getattr(clinic, name)) for name in ("name", "phone", "email", "hours")}
    lines = (one_line(line).strip(", ") for line in clinic.address.splitlines())
    return parts | {"address": ", ".join(line for line in lines if line)}


def _compile(name: str) -> str:
    layout, content, action = (
        (_FOLDER / f"{part}.mjml").read_text(encoding="utf-8") for part in ("layout", name, "action")
    )
    mjml = layout.replace("<!-- content -->", content).replace("<!-- action -->", action)
    return str(mjml2html(mjml, disable_comments=True))


def _render(template: Template, context: dict[str, Any]) -> str:
    return re.sub(r"\n{3,}", "\n\n", template.render(context)).strip() + "\n"


def _invoice_ready(letter: Letter, portal: str) -> dict[str, Any]:
    clinic = letter.clinic
    invoice = letter.invoices[letter.delivery.subject_id]
    amount = Formats.of(clinic).money(invoice.due)
    return {
        "subject": f"Invoice {_number(invoice)} is ready",
        "preview": f"{amount}, due by {Formats.of(clinic).day(invoice.due_on)}",
        "lead": f"Invoice {_number(invoice)} from {one_line(clinic.name)} is ready for you.",
        "amount": amount,
        "due_words": f"Due by {Formats.of(clinic).day(invoice.due_on)}",
        "action": _invoice_action(clinic, invoice, portal),
        "note": _invoice_note(clinic, invoice),
        "question": "Questions about this invoice? Contact the clinic.",
    }


def _invoice_action(clinic: Clinic, invoice: Invoice, portal: str) -> Action | None:
    if not clinic.billing_shown:
        return None
    link = f"{portal}/invoices/{invoice.id}"
    if _payable(clinic, invoice):
        return Action(f"View and pay {Formats.of(clinic).money(invoice.due)}", link)
    return Action("View invoice", link)


def _payable(clinic: Clinic, invoice: Invoice) -> bool:
    """Whether the portal has a Pay button for it: also the amount must be one that can be charged."""
    possible = charge_of(invoice.due.minor, invoice.due.currency) == "possible"
    return clinic.online_payment and is_payable(invoice.status) and possible


def _invoice_note(clinic: Clinic, invoice: Invoice) -> str | None:
    if invoice.status == "processing":
        return "A payment for it is on its way, so there is nothing you need to do now."
    if not clinic.billing_shown:
        return "To see this invoice or to pay it, please contact the clinic: its details are below."
    return None if _payable(clinic, invoice) or not is_payable(invoice.status) else _ASK_CLINIC


def _number(invoice: Invoice) -> str:
    """Its prefix is a text of the clinic's."""
    return one_line(invoice.number)


def _receipt(letter: Letter, portal: str) -> dict[str, Any]:
    clinic, facts = letter.clinic, letter.delivery.facts
    amount = Formats.of(clinic).money(facts.amount)
    paid_on = Formats.of(clinic).day_of(facts.at)
    paid_with = _method(facts.method)
    link = f"{portal}/payments/{letter.delivery.subject_id}"
    return {
        "subject": f"Receipt for your payment of {amount}",
        "preview": f"Paid on {paid_on}",
        "lead": f"Thank you. {one_line(clinic.name)} has received your payment.",
        "amount": amount,
        "paid_words": f"Paid on {paid_on}" + (f" with {paid_with}" if paid_with else ""),
        "number": f"Receipt {receipt_number(letter.delivery.subject_id)}",
        "rows": _receipt_rows(letter),
        "action": Action("View receipt", link) if clinic.billing_shown else None,
        "note": None if clinic.billing_shown else "Please keep this e-mail as your receipt.",
        "question": "Questions about this payment? Contact the clinic.",
    }


def _method(paid_with: Method | None) -> str | None:
    return method_name(paid_with.kind, paid_with.brand, paid_with.last4) if paid_with else None


def _receipt_rows(letter: Letter) -> list[Row]:
    facts = letter.delivery.facts

    def row(label: str, amount: Money) -> Row:
        return Row(label, Formats.of(letter.clinic).money(amount))

    rows = [row(_invoice_name(letter, share.invoice_id), share.amount) for share in facts.invoices]
    if facts.surplus is not None and facts.surplus.minor > 0:
        rows.append(row("Kept as your credit with the clinic", facts.surplus))
    return rows


def _invoice_name(letter: Letter, invoice_id: Any) -> str:
    invoice = letter.invoices.get(invoice_id)
    return f"Invoice {_number(invoice)}" if invoice else "Invoice"


def _payment_failed(letter: Letter, portal: str) -> dict[str, Any]:
    clinic, facts = letter.clinic, letter.delivery.facts
    amount = Formats.of(clinic).money(facts.amount)
    retry = clinic.billing_shown and clinic.online_payment
    why = decline(facts.failure_code)
    return {
        "subject": f"Your payment of {amount} did not go through",
        "preview": "No money was taken. Here is what you can do next.",
        "lead": f"Your payment to {one_line(clinic.name)} did not go through. No money was taken.",
        "amount": amount,
        "about": ", ".join(_invoice_name(letter, share.invoice_id) for share in facts.invoices),
        "reason": why.reason,
        "next_step": why.advice if retry else _ASK_CLINIC,
        "action": _retry_action(letter, portal) if retry else None,
        "question": "Questions about this payment? Contact the clinic.",
    }


def _retry_action(letter: Letter, portal: str) -> Action | None:
    shares = letter.delivery.facts.invoices
    invoice = letter.invoices.get(shares[0].invoice_id) if len(shares) == 1 else None
    if invoice is None:
        return Action("View your invoices", f"{portal}/billing")
    return _invoice_action(letter.clinic, invoice, portal)


def _refund(letter: Letter, portal: str) -> dict[str, Any]:
    clinic, facts = letter.clinic, letter.delivery.facts
    amount = Formats.of(clinic).money(facts.amount)
    sent_on = Formats.of(clinic).day_of(facts.at)
    sent_to = _method(facts.method)
    by_card = facts.method is not None and facts.method.kind == "card"
    place = "your card" if by_card else "where you paid from"
    return {
        "subject": f"We sent {amount} back to {place}",
        "preview": "You paid more than was open. Banks take up to ten days to show it.",
        "lead": f"You had paid {one_line(clinic.name)} more than was open. We sent the rest back to {place}.",
        "amount": amount,
        "sent_words": f"Sent on {sent_on}" + (f" to {sent_to}" if sent_to else ""),
        "note": "Banks take up to ten days to show it. There is nothing you need to do.",
        "action": Action("View your payments", f"{portal}/billing") if clinic.billing_shown else None,
        "question": "Questions about this refund? Contact the clinic.",
    }


_CONTENT: dict[domain.Template, Callable[[Letter, str], dict[str, Any]]] = {
    "invoice_ready": _invoice_ready,
    "receipt": _receipt,
    "payment_failed": _payment_failed,
    "refund": _refund,
}
